// Bytes, hex, text and base64, each in one spelling.
//
// Text is UTF-8 read strictly: a byte order mark is a character like any other. Base64 is RFC 4648
// section 4 with padding; another spelling of the same bytes is no base64 here.

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SEXTETS = new Int8Array(128).fill(-1);
for (let at = 0; at < 64; at += 1) SEXTETS[ALPHABET.charCodeAt(at)] = at;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex of bytes. */
export function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Bytes of an even number of hex digits; the caller has checked them. */
export function fromHex(text) {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

/** UTF-8 of a text. */
export function toUtf8(text) {
  return ENCODER.encode(text);
}

/** The text that the bytes spell, or null where they are not UTF-8. */
export function fromUtf8(bytes) {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** All parts in one. */
export function concat(...parts) {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two byte strings are the same. */
export function equal(left, right) {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return false;
  return true;
}

/** Eight bytes, big-endian, of a whole number or BigInt. */
export function u64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** The number that bytes spell big-endian, as BigInt. */
export function fromBigEndian(bytes) {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** The number that bytes spell little-endian, as BigInt (Ed25519's order). */
export function fromLittleEndian(bytes) {
  return fromBigEndian(Uint8Array.from(bytes).reverse());
}

/** Bytes of canonical standard base64, or null for any other spelling. */
export function fromBase64(text) {
  const length = text.length;
  if (length % 4 !== 0) return null;
  if (length === 0) return new Uint8Array(0);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((length / 4) * 3 - padding);
  const digits = length - padding;
  let held = 0;
  let bits = 0;
  let filled = 0;
  for (let at = 0; at < digits; at += 1) {
    const code = text.charCodeAt(at);
    const sextet = code < 128 ? SEXTETS[code] : -1;
    if (sextet < 0) return null;
    held = (held << 6) | sextet;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[filled] = held >> bits;
      filled += 1;
      held &= (1 << bits) - 1;
    }
  }
  return held === 0 ? bytes : null;
}

/** Standard base64 with padding. */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += ALPHABET[group >> 18] + ALPHABET[(group >> 12) & 63];
    text += left > 1 ? ALPHABET[(group >> 6) & 63] : "=";
    text += left > 2 ? ALPHABET[group & 63] : "=";
  }
  return text;
}
