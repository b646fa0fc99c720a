// RFC 8785 canonical JSON, read by a grammar that has no second spelling.
//
// No white space, shortest escapes, members ascending by UTF-16 units and hence never twice, integers
// of at most 2^53−1 only, text that is normal, at most 8 levels and 4,194,304 values, because the
// smallest values take many times their spelling in memory, strings of at most 4 MiB as they are spelled.
// What matches is canonical.
// Objects become Maps, so that no member's name can mean anything to JavaScript. The reader keeps its
// place in a list of its own and not on the call stack: `advance` reads for a while and returns, so
// that a page reads a large file without freezing.

import { fromUtf8 } from "./bytes.js";
import { quote, quoteBytes } from "./quoting.js";
import { refuse } from "./refusal.js";
import { isNormal } from "./unicode_3_2.js";

export const INTEGER_MAX = Number.MAX_SAFE_INTEGER;
export const DEPTH_MAX = 8;
const VALUES_MAX = 4 * 1024 * 1024;
const STRING_BYTES_MAX = 4 * 1024 * 1024;
const INTEGER_CHARS_MAX = String(-INTEGER_MAX).length;
const SHOWN = 24;
const VALUES_IN_A_ROW = 2048;
const BYTES_IN_A_ROW = 256 * 1024;

const [QUOTE, BACKSLASH, COMMA, COLON, MINUS] = [0x22, 0x5c, 0x2c, 0x3a, 0x2d];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];
const [ZERO, NINE] = [0x30, 0x39];
const WHITE = new Set([0x20, 0x0a, 0x0d, 0x09]);
const SHORT_ESCAPES = new Set([..."\"\\bfnrt"].map((one) => one.charCodeAt(0)));
const LITERALS = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** The Map that `raw` is the canonical spelling of; throws `Rejected`. */
export function readObject(raw, name) {
  const reader = new Reader(raw, name);
  while (!reader.advance());
  return reader.finish();
}

/** The same, with `pause` awaited now and then and told how many bytes are read. */
export async function readObjectSlowly(raw, name, pause) {
  const reader = new Reader(raw, name);
  while (!reader.advance()) await pause(reader.at);
  return reader.finish();
}

class Reader {
  constructor(raw, name) {
    this.raw = raw;
    this.name = name;
    this.at = 0;
    this.open = []; // containers that are not closed yet, the outermost first
    this.count = 0;
    this.value = undefined;
    this.isDone = false;
  }

  /** Read up to some values or bytes; return whether the outermost is complete. */
  advance() {
    const end = this.at + BYTES_IN_A_ROW;
    for (let count = 0; count < VALUES_IN_A_ROW && this.at < end && !this.isDone; count += 1) {
      this.readOne();
    }
    return this.isDone;
  }

  finish() {
    const { raw, name, at } = this;
    if (at !== raw.length) {
      refuse("not_canonical", `${name}: ${raw.length - at} bytes follow the value's end at ${at}`);
    }
    if (!(this.value instanceof Map)) {
      refuse("bad_field", `${name}: an object is expected, not ${quoteBytes(raw.subarray(0, SHOWN))}`);
    }
    return this.value;
  }

  /** Read one value; a container's opening counts as one, and its members follow. */
  readOne() {
    this.count += 1;
    if (this.count > VALUES_MAX) refuse("too_large", `${this.name}: more than ${VALUES_MAX} values`);
    const first = this.raw[this.at];
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (this.open.length >= DEPTH_MAX) {
        refuse("too_deep", `${this.name}: nested deeper than ${DEPTH_MAX} levels`);
      }
      const isObject = first === OPEN_OBJECT;
      const value = isObject ? new Map() : [];
      this.at += 1;
      if (this.raw[this.at] === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        this.at += 1;
        this.take(value);
        return;
      }
      this.open.push({ value, member: null });
      if (isObject) this.readMember();
      return;
    }
    this.take(this.readScalar(first));
  }

  /** Put a complete value where it belongs, and close what it completes. */
  take(value) {
    let complete = value;
    while (this.open.length > 0) {
      const frame = this.open[this.open.length - 1];
      const isObject = frame.value instanceof Map;
      if (isObject) frame.value.set(frame.member, complete);
      else frame.value.push(complete);
      const next = this.raw[this.at];
      if (next === COMMA) {
        this.at += 1;
        if (isObject) this.readMember();
        return;
      }
      if (next !== (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        this.fail(this.at, isObject ? "',' or '}'" : "',' or ']'");
      }
      this.at += 1;
      this.open.pop();
      complete = frame.value;
    }
    this.value = complete;
    this.isDone = true;
  }

  readMember() {
    const frame = this.open[this.open.length - 1];
    const start = this.at;
    const member = this.readString();
    // JavaScript compares strings by their UTF-16 units, as RFC 8785 section 3.2.3 sorts them.
    if (frame.member !== null && member <= frame.member) {
      const fault = member === frame.member ? "stands twice" : "is not in order";
      refuse("not_canonical", `${this.name}: member ${quote(member)} at byte ${start} ${fault}`);
    }
    if (this.raw[this.at] !== COLON) this.fail(this.at, "':'");
    this.at += 1;
    frame.member = member;
  }

  readScalar(first) {
    if (first === QUOTE) return this.readString();
    for (const [spelling, value] of LITERALS) {
      if (startsWith(this.raw, this.at, spelling)) {
        this.at += spelling.length;
        return value;
      }
    }
    return this.readInteger();
  }

  readString() {
    const { raw, at: start } = this;
    const expected = "a string with the shortest escapes";
    if (raw[start] !== QUOTE) this.fail(start, expected);
    let at = start + 1;
    let isPlain = true;
    let isAscii = true;
    for (;;) {
      const byte = raw[at];
      if (byte === undefined || byte < 0x20) this.fail(start, expected);
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        isPlain = false;
        const length = escapeLength(raw, at);
        if (length === 0) this.fail(start, expected);
        at += length;
      } else {
        if (byte > 0x7f) isAscii = false;
        at += 1;
      }
      if (at - start - 1 > STRING_BYTES_MAX) {
        const held = `the string at byte ${start} has more than ${STRING_BYTES_MAX} bytes`;
        refuse("too_large", `${this.name}: ${held}`);
      }
    }
    const text = fromUtf8(raw.subarray(start + 1, at));
    if (text === null) {
      refuse("malformed", `${this.name}: the string at byte ${start} is not valid UTF-8`);
    }
    if (!isAscii && !isNormal(text)) {
      refuse("not_canonical", `${this.name}: the string at byte ${start} is not in Normalization Form C`);
    }
    this.at = at + 1;
    return isPlain ? text : JSON.parse(`"${text}"`);
  }

  readInteger() {
    const { raw, at: start, name } = this;
    let at = raw[start] === MINUS ? start + 1 : start;
    const digits = at;
    while (raw[at] >= ZERO && raw[at] <= NINE) at += 1;
    // A leading zero ends the number, and then a digit follows where none may.
    if (at === digits || (raw[digits] === ZERO && at > digits + 1)) this.fail(start, "a value");
    if (raw[at] === 0x2e || raw[at] === 0x65 || raw[at] === 0x45) {
      refuse(
        "not_integer",
        `${name}: the number at byte ${start} is not a whole one; only integers are allowed (money is whole fen)`,
      );
    }
    const token = String.fromCharCode(...raw.subarray(start, Math.min(at, start + SHOWN)));
    if (at - start > INTEGER_CHARS_MAX || !Number.isSafeInteger(Number(token))) {
      refuse("not_integer", `${name}: the integer at byte ${start} is beyond ±${INTEGER_MAX} (2^53−1)`);
    }
    if (token === "-0") this.fail(start, "0 instead of -0");
    this.at = at;
    return Number(token);
  }

  fail(at, expected) {
    const { raw, name } = this;
    const found = at < raw.length ? quoteBytes(raw.subarray(at, at + SHOWN)) : "the end";
    // Text that any JSON reader takes has merely another spelling; other bytes are no JSON.
    const isOtherSpelling = WHITE.has(raw[at]) || expected === "0 instead of -0";
    refuse(
      isOtherSpelling ? "not_canonical" : "malformed",
      `${name}: ${expected} is expected at byte ${at}, not ${found}`,
    );
  }
}

function startsWith(raw, at, spelling) {
  for (let place = 0; place < spelling.length; place += 1) {
    if (raw[at + place] !== spelling.charCodeAt(place)) return false;
  }
  return true;
}

/** Length of the escape at `at` if it is one that RFC 8785 section 3.2.2.2 writes, else 0. */
function escapeLength(raw, at) {
  if (SHORT_ESCAPES.has(raw[at + 1])) return 2;
  const digits = String.fromCharCode(...raw.subarray(at + 1, at + 6));
  return /^u00(?:0[0-7be-f]|1[0-9a-f])$/u.test(digits) ? 6 : 0;
}
