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

/** Quote a text. */
export function quote(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let quoted = mark;
  for (const character of text) quoted += escape(character, mark);
  return quoted + mark;
}

/** Quote bytes. */
export function quoteBytes(bytes) {
  const text = String.fromCharCode(...bytes);
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let quoted = `b${mark}`;
  for (const byte of bytes) {
    quoted +=
      byte > 0x7e ? `\\x${byte.toString(16)}` : escape(String.fromCharCode(byte), mark);
  }
  return quoted + mark;
}

/** Quote a value of any kind that a file can hold. */
export function quoteValue(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return quote(value);
  if (value instanceof Uint8Array) return quoteBytes(value);
  if (Array.isArray(value)) return `[${value.map(quoteValue).join(", ")}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([name, held]) => `${quote(name)}: ${quoteValue(held)}`).join(", ")}}`;
  }
  return String(value);
}

/** A value as it stands: text without its quotes. */
export function show(value) {
  return typeof value === "string" ? value : quoteValue(value);
}
