// CBOR (RFC 8949) as COSE needs it: few types, one spelling, every length checked.
//
// Integers of 64 bits, byte and text strings, arrays, maps whose keys are integers or texts, false,
// true, null, and tags; heads in their shortest form, lengths definite, no key twice. Keys may come in
// any order: a header that somebody else signed is read as it was signed. At most 8 levels and 1,024
// values, so a few bytes never become much memory. Maps become Maps, in which an integer is a number
// where it is a safe one and a BigInt beyond.

import { concat, fromBigEndian, fromUtf8, u64 } from "./bytes.js";
import { firstCharacters, quoteValue } from "./quoting.js";
import { refuse } from "./refusal.js";

const DEPTH_MAX = 8;
const VALUES_MAX = 1024;
const KEY_SHOWN_CHARS = 40;
/** Of each part of a tagged value that is quoted; no sentence shows more. */
const TAGGED_SHOWN_MAX = 128;
const [UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE] = [0, 1, 2, 3, 4, 5, 6, 7];
const CONSTANTS = new Map([[20, false], [21, true], [22, null]]);

/** A value under a tag. */
export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }

  toString() {
    return `Tagged(tag=${this.tag}, value=${quoteValue(this.value, TAGGED_SHOWN_MAX)})`;
  }
}

/** The one value that `raw` spells, to its last byte; throws `Rejected`. */
export function readCbor(raw, name) {
  const reader = new Reader(raw, name);
  const value = reader.read(1);
  if (reader.at !== raw.length) reader.fail("malformed", `${raw.length - reader.at} bytes follow its value`);
  return value;
}

/** A byte string's encoding. */
export function writeByteString(value) {
  const { length } = value;
  const size = u64(length);
  if (length < 24) return concat(Uint8Array.of((BYTES << 5) | length), value);
  const short = length <= 0xff ? 0 : length <= 0xffff ? 1 : 2; // no file is of 4 GiB
  return concat(Uint8Array.of((BYTES << 5) | (24 + short)), size.subarray(8 - (1 << short)), value);
}

class Reader {
  constructor(raw, name) {
    this.raw = raw;
    this.name = name;
    this.at = 0;
    this.count = 0;
  }

  fail(reason, detail) {
    refuse(reason, `${this.name}: not CBOR as it must be: ${detail}`);
  }

  read(depth) {
    this.count += 1;
    if (this.count > VALUES_MAX) this.fail("too_large", `more than ${VALUES_MAX} values`);
    if (depth > DEPTH_MAX) this.fail("too_deep", `nested deeper than ${DEPTH_MAX} levels`);
    const start = this.at;
    const [major, argument] = this.readHead();
    switch (major) {
      case UNSIGNED: return argument;
      case NEGATIVE: return narrow(-1n - BigInt(argument));
      case BYTES: return this.take(argument);
      case TEXT: {
        const text = fromUtf8(this.take(argument));
        return text === null ? this.fail("malformed", `the text at byte ${start} is not UTF-8`) : text;
      }
      case ARRAY: return this.readItems(argument, depth);
      case MAP: return this.readMap(argument, depth);
      case TAG: return new Tagged(argument, this.read(depth + 1));
      default:
        if (!CONSTANTS.has(argument)) {
          this.fail("malformed", `the simple value at byte ${start} has no place in it`);
        }
        return CONSTANTS.get(argument);
    }
  }

  readItems(count, depth) {
    this.checkCount(count);
    const items = [];
    for (let place = 0; place < count; place += 1) items.push(this.read(depth + 1));
    return items;
  }

  readMap(count, depth) {
    this.checkCount(2n * BigInt(count));
    const found = new Map();
    for (let place = 0; place < count; place += 1) {
      const start = this.at;
      const key = this.read(depth + 1);
      if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") {
        this.fail("malformed", `the key at byte ${start} is neither integer nor text`);
      }
      if (found.has(key)) {
        const shown = typeof key === "string" ? firstCharacters(key, KEY_SHOWN_CHARS) : key;
        this.fail("not_canonical", `the key ${quoteValue(shown)} stands twice in one map`);
      }
      found.set(key, this.read(depth + 1));
    }
    return found;
  }

  /** Major type and argument (RFC 8949 section 3). */
  readHead() {
    const start = this.at;
    const [first] = this.take(1);
    const [major, short] = [first >> 5, first & 31];
    if (short < 24) return [major, short];
    if (short > 27 || major === SIMPLE) {
      const shown = first.toString(16).padStart(2, "0");
      this.fail("malformed", `the head 0x${shown} at byte ${start} has no place in it`);
    }
    const argument = fromBigEndian(this.take(1 << (short - 24)));
    // What the next shorter head holds: 23, and then all of 1, 2 and 4 bytes.
    const shorterMax = short === 24 ? 23n : (1n << BigInt(8 << (short - 25))) - 1n;
    if (argument <= shorterMax) this.fail("not_canonical", `the head at byte ${start} is not the shortest`);
    return [major, narrow(argument)];
  }

  take(count) {
    this.checkCount(count);
    const start = this.at;
    this.at += count;
    return this.raw.subarray(start, this.at);
  }

  /** What is left holds as many bytes, and an item has one byte at least. */
  checkCount(count) {
    if (count > this.raw.length - this.at) {
      this.fail("malformed", `it ends within the value at byte ${this.at}`);
    }
  }
}

function narrow(integer) {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
