// MessagePack arrays in one spelling: the shortest for every value.
//
// Only arrays, integers, strings, byte strings, booleans and nil exist on the ledger; a map, a float
// or an extension type is refused wherever it stands. Integers beyond 2^53−1 are BigInts, so that no
// value is rounded. Decoding ends before judging: bytes that are no MessagePack are told first, then
// what has no place, then another spelling (docs/FORMATS.md, "Ground rules").

import { concat, fromUtf8, toUtf8, u64 } from "./bytes.js";
import { refuse } from "./refusal.js";

export const COUNT_MAX = Number.MAX_SAFE_INTEGER;
const BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 16;
const STACK_MAX = 1024;

class Foreign {
  constructor(kind) {
    this.kind = kind;
  }
}

/** The array that `raw` spells, of `length` elements if that is given; throws `Rejected`. */
export function readArray(raw, name, length = null) {
  if (raw.length > BYTES_MAX) refuse("too_large", `${name}: ${raw.length} bytes; at most ${BYTES_MAX}`);
  const decoder = new Decoder(raw, name);
  const value = decoder.read(1);
  if (decoder.at !== raw.length) decoder.fail();
  checkTypes(value, name, 1);
  if (!decoder.isShortest) {
    refuse("not_canonical", `${name}: these ${raw.length} bytes are not the one encoding of their value`);
  }
  return takeArray(value, name, length);
}

class Decoder {
  constructor(raw, name) {
    this.raw = raw;
    this.view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    this.name = name;
    this.at = 0;
    this.isShortest = true;
  }

  fail() {
    refuse("malformed", `${this.name}: these ${this.raw.length} bytes are not MessagePack`);
  }

  /** The next `count` bytes' place; what is not there is no MessagePack. */
  skip(count) {
    const start = this.at;
    if (start + count > this.raw.length) this.fail();
    this.at = start + count;
    return start;
  }

  number(bytes) {
    const start = this.skip(bytes);
    if (bytes === 1) return this.view.getUint8(start);
    return bytes === 2 ? this.view.getUint16(start) : this.view.getUint32(start);
  }

  /** A length of 1, 2 or 4 bytes, which must not have fitted in the next shorter spelling. */
  length(bytes, shorterMax) {
    const length = this.number(bytes);
    if (length <= shorterMax) this.isShortest = false;
    return length;
  }

  read(depth) {
    const head = this.number(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.readMap(head & 15, depth);
    if (head < 0xa0) return this.readItems(head & 15, depth);
    if (head < 0xc0) return this.readText(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.readBytes(this.number(1));
      case 0xc5: return this.readBytes(this.length(2, 0xff));
      case 0xc6: return this.readBytes(this.length(4, 0xffff));
      case 0xc7: return this.readExtension(this.number(1));
      case 0xc8: return this.readExtension(this.number(2));
      case 0xc9: return this.readExtension(this.number(4));
      case 0xca: this.skip(4); return new Foreign("float");
      case 0xcb: this.skip(8); return new Foreign("float");
      case 0xcc: return this.length(1, 0x7f);
      case 0xcd: return this.length(2, 0xff);
      case 0xce: return this.length(4, 0xffff);
      case 0xcf: return this.readLong("getBigUint64");
      case 0xd0: return this.readSigned("getInt8", 1, -32);
      case 0xd1: return this.readSigned("getInt16", 2, -0x80);
      case 0xd2: return this.readSigned("getInt32", 4, -0x8000);
      case 0xd3: return this.readLong("getBigInt64");
      case 0xd4: return this.readExtension(1);
      case 0xd5: return this.readExtension(2);
      case 0xd6: return this.readExtension(4);
      case 0xd7: return this.readExtension(8);
      case 0xd8: return this.readExtension(16);
      case 0xd9: return this.readText(this.length(1, 31));
      case 0xda: return this.readText(this.length(2, 0xff));
      case 0xdb: return this.readText(this.length(4, 0xffff));
      case 0xdc: return this.readItems(this.length(2, 15), depth);
      case 0xdd: return this.readItems(this.length(4, 0xffff), depth);
      case 0xde: return this.readMap(this.number(2), depth);
      case 0xdf: return this.readMap(this.number(4), depth);
      default: return this.fail(); // 0xc1 is never used
    }
  }

  readLong(method) {
    const value = this.view[method](this.skip(8));
    if (method === "getBigUint64" ? value <= 0xffffffffn : value >= -0x80000000n) {
      this.isShortest = false;
    }
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  readSigned(method, bytes, shorterMin) {
    const value = this.view[method](this.skip(bytes));
    if (value >= shorterMin) this.isShortest = false;
    return value;
  }

  readBytes(length) {
    const start = this.skip(length);
    return this.raw.subarray(start, this.at);
  }

  readText(length) {
    const text = fromUtf8(this.readBytes(length));
    return text === null ? this.fail() : text;
  }

  readItems(count, depth) {
    if (depth > STACK_MAX) this.fail();
    if (count > this.raw.length) this.fail();
    const items = [];
    for (let place = 0; place < count; place += 1) items.push(this.read(depth + 1));
    return items;
  }

  readMap(count, depth) {
    if (depth > STACK_MAX) this.fail();
    for (let place = 0; place < count; place += 1) {
      const key = this.read(depth + 1);
      if (typeof key !== "string" && !(key instanceof Uint8Array)) this.fail();
      this.read(depth + 1);
    }
    return new Foreign("dict");
  }

  readExtension(length) {
    const type = this.view.getInt8(this.skip(1));
    this.skip(length);
    if (type !== -1) this.fail();
    if (![4, 8, 12].includes(length)) this.fail();
    return new Foreign("Timestamp");
  }
}

function checkTypes(value, name, depth) {
  if (Array.isArray(value)) {
    if (depth > DEPTH_MAX) refuse("too_deep", `${name}: nested deeper than ${DEPTH_MAX} levels`);
    for (const item of value) checkTypes(item, name, depth + 1);
  } else if (value instanceof Foreign) {
    refuse("malformed", `${name}: a ${value.kind} has no place in it`);
  }
}

/** The one encoding of nested arrays, for what is hashed. */
export function writeArray(value) {
  if (value instanceof Uint8Array) return concat(head(value.length, null, 0, 0xc4, 0xc5, 0xc6), value);
  if (typeof value === "string") {
    const text = toUtf8(value);
    return concat(head(text.length, 0xa0, 31, 0xd9, 0xda, 0xdb), text);
  }
  if (Array.isArray(value)) {
    return concat(head(value.length, 0x90, 15, null, 0xdc, 0xdd), ...value.map(writeArray));
  }
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
    return value > 0xffffffff
      ? concat(Uint8Array.of(0xcf), u64(value))
      : head(value, 0x00, 0x7f, 0xcc, 0xcd, 0xce);
  }
  throw new Error(`nothing that is hashed holds a ${typeof value}`);
}

function head(length, fix, fixMax, one, two, four) {
  if (fix !== null && length <= fixMax) return Uint8Array.of(fix | length);
  const tail = u64(length);
  if (one !== null && length <= 0xff) return Uint8Array.of(one, tail[7]);
  if (length <= 0xffff) return Uint8Array.of(two, tail[6], tail[7]);
  return Uint8Array.of(four, ...tail.subarray(4));
}

/** What a value is, in a sentence. */
function kindOf(value) {
  if (value === null || value === undefined) return "NoneType";
  if (Array.isArray(value)) return "list";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Map) return "dict";
  return { string: "str", number: "int", bigint: "int", boolean: "bool" }[typeof value];
}

export function isInteger(value) {
  return typeof value === "number" || typeof value === "bigint";
}

export function takeArray(value, name, length = null) {
  if (!Array.isArray(value)) refuse("malformed", `${name}: an array is expected, not ${kindOf(value)}`);
  if (length !== null && value.length !== length) {
    refuse("malformed", `${name}: ${value.length} elements; ${length} are expected`);
  }
  return value;
}

export function takeInteger(value, name, least = 0, most = COUNT_MAX) {
  if (!isInteger(value)) refuse("malformed", `${name}: an integer is expected, not ${kindOf(value)}`);
  if (value < least || value > most) {
    refuse("bad_field", `${name}: ${value} is not between ${least} and ${most}`);
  }
  return value;
}

export function takeBytes(value, name, length = null) {
  if (!(value instanceof Uint8Array)) {
    refuse("malformed", `${name}: bytes are expected, not ${kindOf(value)}`);
  }
  if (length !== null && value.length !== length) {
    refuse("malformed", `${name}: ${value.length} bytes; ${length} are expected`);
  }
  return value;
}

export function takeText(value, name) {
  if (typeof value !== "string") refuse("malformed", `${name}: a string is expected, not ${kindOf(value)}`);
  return value;
}

export function takeBoolean(value, name) {
  if (typeof value !== "boolean") {
    refuse("malformed", `${name}: a boolean is expected, not ${kindOf(value)}`);
  }
  return value;
}

export function takeEffectValue(value, name) {
  if (!isInteger(value) && typeof value !== "string") {
    refuse("malformed", `${name}: a ${kindOf(value)} has no place in it`);
  }
  return value;
}
