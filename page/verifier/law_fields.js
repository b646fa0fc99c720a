// Reads the members of a document of the law one by one and refuses whatever is not expected.
//
// A `Fields` stands for one object and knows where it stands, so that every sentence names the place. A
// reader takes each member it wants and ends with `end()`, which refuses members that nobody took.
// Every refusal is `bad_field` with the sentence that the other implementation gives.

import { parseDay } from "./law_days.js";
import { quote } from "./quoting.js";
import { refuse } from "./refusal.js";

/** One hundred million yuan. */
export const FEN_MAX = 10 ** 10;
/** A rate of one hundred per cent a year, in millionths. */
export const PPM_MAX = 1_000_000;
/** Milliseconds since 1970: the year 2248. */
export const MS_MAX = 2 ** 43;
const LIST_MAX = 256;
export const WORD_CHARS_MAX = 64;
const TEXT_CHARS_MAX = 4_000;
const SHOWN_MAX = 48;

/** Refuse what cannot be read, in a sentence without its full stop. */
export function refuseLaw(sentence) {
  refuse("bad_field", sentence);
}

export class Fields {
  #left;

  constructor(value, path) {
    if (!(value instanceof Map)) refuseLaw(`${path} is ${shown(value)}; an object is expected`);
    this.path = path;
    this.#left = new Map(value);
  }

  refuse(member, sentence) {
    refuseLaw(`${this.path}.${member} ${sentence}`);
  }

  take(member) {
    if (!this.#left.has(member)) refuseLaw(`${this.path} lacks the member ${quote(member)}`);
    const value = this.#left.get(member);
    this.#left.delete(member);
    return value;
  }

  has(member) {
    return this.#left.has(member);
  }

  end() {
    if (this.#left.size === 0) return;
    const [first] = [...this.#left.keys()].sort();
    refuseLaw(`${this.path} has the unknown member ${shown(first)}`);
  }

  /** A whole number within bounds. */
  integer(member, lowest, highest) {
    const value = this.take(member);
    if (typeof value !== "number") {
      this.refuse(member, `is ${shown(value)}; a whole number is expected`);
    }
    if (value < lowest || value > highest) {
      this.refuse(member, `is ${value}; ${lowest} to ${highest} is expected`);
    }
    return value;
  }

  /** What a reader gives of a member, or null where it is null. */
  optional(member, read) {
    if (this.#left.get(member) !== null) return read(this, member);
    this.#left.delete(member);
    return null;
  }

  /** An amount in fen, a BigInt: sums and products of amounts go beyond 2^53. */
  fen(member, lowest = 0) {
    return BigInt(this.integer(member, lowest, FEN_MAX));
  }

  optionalFen(member) {
    return this.optional(member, (fields) => fields.fen(member));
  }

  ms(member) {
    return this.integer(member, 0, MS_MAX);
  }

  flag(member) {
    const value = this.take(member);
    if (typeof value !== "boolean") {
      this.refuse(member, `is ${shown(value)}; true or false is expected`);
    }
    return value;
  }

  text(member, mostChars = TEXT_CHARS_MAX, leastChars = 0) {
    const value = this.take(member);
    if (typeof value !== "string") this.refuse(member, `is ${shown(value)}; text is expected`);
    const length = [...value].length;
    if (length < leastChars || length > mostChars) {
      this.refuse(
        member,
        `has ${length} characters; ${leastChars} to ${mostChars} are expected`,
      );
    }
    return value;
  }

  /** An identifier: 1 to 64 characters. */
  word(member) {
    return this.text(member, WORD_CHARS_MAX, 1);
  }

  /** One of a few words. */
  choice(member, choices) {
    const value = this.take(member);
    if (!choices.includes(value)) {
      this.refuse(member, `is ${shown(value)}; one of ${choices.join(", ")} is expected`);
    }
    return value;
  }

  day(member) {
    const value = this.take(member);
    const day = parseDay(value);
    if (day === null) this.refuse(member, `is ${shown(value)}; a day YYYY-MM-DD is expected`);
    return day;
  }

  hash(member) {
    const value = this.take(member);
    if (typeof value !== "string" || !/^[0-9a-f]{64}$/u.test(value)) {
      this.refuse(member, `is ${shown(value)}; 64 hex digits are expected`);
    }
    return value;
  }

  items(member, mostItems = LIST_MAX, leastItems = 0) {
    const value = this.take(member);
    if (!Array.isArray(value)) this.refuse(member, `is ${shown(value)}; a list is expected`);
    if (value.length < leastItems || value.length > mostItems) {
      this.refuse(
        member,
        `has ${value.length} elements; ${leastItems} to ${mostItems} are expected`,
      );
    }
    return value;
  }

  days(member) {
    return this.items(member).map((value) => {
      const day = parseDay(value);
      if (day === null) {
        this.refuse(`${member}.day`, `is ${shown(value)}; a day YYYY-MM-DD is expected`);
      }
      return day;
    });
  }

  /** Different words, perhaps of a few known ones; the same twice is taken once where `mayRepeat`. */
  words(member, choices = null, mayRepeat = false) {
    const found = new Set();
    for (const value of this.items(member)) {
      const length = typeof value === "string" ? [...value].length : 0;
      if (length < 1 || length > WORD_CHARS_MAX) {
        this.refuse(
          member,
          `holds ${shown(value)}; words of 1 to ${WORD_CHARS_MAX} characters are expected`,
        );
      }
      if (choices !== null && !choices.includes(value)) {
        this.refuse(member, `holds ${shown(value)}; some of ${choices.join(", ")} are expected`);
      }
      if (!mayRepeat && found.has(value)) this.refuse(member, `holds ${shown(value)} twice`);
      found.add(value);
    }
    return [...found];
  }

  object(member) {
    return new Fields(this.take(member), `${this.path}.${member}`);
  }

  /** What a reader gives of each object of a list, one after another. */
  objects(member, read, mostItems = LIST_MAX, leastItems = 0) {
    return this.items(member, mostItems, leastItems).map((value, place) => {
      return read(new Fields(value, `${this.path}.${member}[${place}]`));
    });
  }

  /** Take `format` and `version` and refuse any others. */
  format(name, version) {
    const [found, foundVersion] = [this.take("format"), this.take("version")];
    if (found !== name || foundVersion !== version) {
      refuseLaw(
        `${this.path} is ${shown(found)} version ${shown(foundVersion)}; ${quote(name)} version ` +
          `${version} is expected`,
      );
    }
  }
}

function shown(value) {
  if (value instanceof Map) return "an object";
  if (Array.isArray(value)) return "a list";
  if (typeof value !== "string") return String(value);
  const quoted = [...quote(value, 2 * SHOWN_MAX)];
  return quoted.length <= SHOWN_MAX ? quoted.join("") : `${quoted.slice(0, SHOWN_MAX).join("")}…`;
}
