// How a value of the file is quoted inside a sentence: text between apostrophes, bytes as b'…'.
//
// The same signs as the other implementation uses, so that the sentences can be compared; what is
// shown is cut short by the caller and is only ever text.

const NAMED = new Map([["\\", "\\\\"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

function escape(character, quote) {
  if (NAMED.has(character)) return NAMED.get(character);
  if (character === quote) return `\\${quote}`;
  const code = character.codePointAt(0);
  if (code < 0x20 || (code >= 0x7f && code < 0xa1) || code === 0xad) {
    return `\\x${code.toString(16).padStart(2, "0")}`;
  }
  if (code > 0xff && /^[\p{C}\p{Z}]$/u.test(character)) {
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  }
  return character;
}

/** Quote a text, or the first `most` characters of it. */
export function quote(text, most = Infinity) {
  const mark = markFor(text.includes("'"), text.includes('"'));
  let quoted = mark;
  for (const character of firstCharacters(text, most)) quoted += escape(character, mark);
  return quoted + mark;
}

/** Quote bytes, or the first `most` of them. */
export function quoteBytes(bytes, most = Infinity) {
  const mark = markFor(bytes.includes(0x27), bytes.includes(0x22));
  let quoted = `b${mark}`;
  for (const byte of bytes.subarray(0, most)) {
    quoted +=
      byte > 0x7e ? `\\x${byte.toString(16)}` : escape(String.fromCharCode(byte), mark);
  }
  return quoted + mark;
}

/** Quote a value of any kind that a file can hold; of each text or bytes in it, the first `most`. */
export function quoteValue(value, most = Infinity) {
  const within = (held) => quoteValue(held, most);
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return quote(value, most);
  if (value instanceof Uint8Array) return quoteBytes(value, most);
  if (Array.isArray(value)) return `[${value.map(within).join(", ")}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([name, held]) => `${within(name)}: ${within(held)}`).join(", ")}}`;
  }
  return String(value);
}

/** The first `most` signs of a quoted value, in ASCII alone, with a sign of what was cut. */
export function quoteAscii(value, most) {
  const quoted = quoteValue(value, most).replace(/[^\0-\x7f]/gu, (character) => {
    const code = character.codePointAt(0).toString(16);
    if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
  });
  return quoted.length <= most ? quoted : `${quoted.slice(0, most)}…`;
}

/** The first `most` characters of a text, however long it is. */
export function firstCharacters(text, most) {
  return most === Infinity ? text : [...text.slice(0, 2 * most)].slice(0, most).join("");
}

function markFor(hasSingle, hasDouble) {
  return hasSingle && !hasDouble ? '"' : "'";
}

/** A value as it stands: text without its quotes. */
export function show(value) {
  return typeof value === "string" ? value : quoteValue(value);
}
