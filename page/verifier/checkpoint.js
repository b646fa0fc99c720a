// Signed notes, checkpoints and log proofs as text: C2SP signed-note, tlog-checkpoint,
// tlog-cosignature and tlog-proof.
//
// A key is known by its name and 4-byte id together. A known key's wrong signature spoils the whole
// note. Evidence has no line that nobody can check, so a line of an unknown key is refused, and so is
// a key's second line. Which keys are known follows from genesis alone (`trust_root.js`).

import { fromBase64, fromBigEndian, fromUtf8, toHex, toUtf8 } from "./bytes.js";
import { SIGNATURE_BYTES, verifySignature } from "./ed25519.js";
import { HASH_BYTES, sha256 } from "./hashing.js";
import { SIZE_MAX } from "./merkle.js";
import { quote } from "./quoting.js";
import { Refuted, refuse } from "./refusal.js";

export const ED25519 = 1;
export const ED25519_COSIGNATURE = 4;

const KEY_ID_BYTES = 4;
const TIMESTAMP_BYTES = 8;
const NOTE_BYTES_MAX = 256 * 1024;
const SIGNATURE_COUNT_MAX = 256;
const EXTRA_BYTES_MAX = 128 * 1024;
const PROOF_BYTES_MAX = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX;
const PATH_LENGTH_MAX = 63;
const TIMESTAMP_MAX_S = 2n ** 63n - 1n;
const FIRST_LINE = "c2sp.org/tlog-proof@v1";
const DASH = "\u2014";

/** Unicode spaces, plus sign and control characters: in no key name. */
const NOT_IN_A_NAME = /[\u0000-\u0020+\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

/** A key with the id that its lines carry: SHA-256(name ‖ 0A ‖ algorithm ‖ key)[:4]. */
export async function makeKey(name, algorithm, publicKey) {
  const digest = await sha256(toUtf8(name), Uint8Array.of(0x0a, algorithm), publicKey);
  return { name, algorithm, publicKey, id: toHex(digest.subarray(0, KEY_ID_BYTES)) };
}

/** The value of an ASCII decimal without leading zeros as BigInt, or null. */
function readDecimal(text, most) {
  if (!/^(?:0|[1-9][0-9]{0,19})$/u.test(text)) return null;
  const value = BigInt(text);
  return value <= most ? value : null;
}

/** Split a log proof into index, path, extra data and checkpoint; nothing is verified. */
export function readLogProof(raw) {
  if (raw.length > PROOF_BYTES_MAX) {
    refuse("too_large", `Log proof: ${raw.length} bytes, more than ${PROOF_BYTES_MAX}`);
  }
  const fail = (detail) => refuse("malformed", `Log proof: ${detail}`);
  let blank = raw.indexOf(0x0a);
  while (blank >= 0 && raw[blank + 1] !== 0x0a) blank = raw.indexOf(0x0a, blank + 1);
  const head = blank < 0 ? raw : raw.subarray(0, blank);
  if (blank < 0 || blank + 2 === raw.length || head.some((byte) => byte > 0x7f)) {
    fail("it has no checkpoint after an empty line");
  }
  const lines = fromUtf8(head).split("\n");
  if (lines.shift() !== FIRST_LINE) fail(`it does not begin with ${quote(FIRST_LINE)}`);
  let extra = null;
  if (lines.length > 0 && lines[0].startsWith("extra ")) {
    extra = fromBase64(lines.shift().slice(6));
    if (extra === null || extra.length === 0 || extra.length > EXTRA_BYTES_MAX) {
      fail(`its extra line is not 1 to ${EXTRA_BYTES_MAX} bytes of base64`);
    }
  }
  const indexLine = lines.shift() ?? "";
  const index = readDecimal(indexLine.slice(6), SIZE_MAX - 1n);
  if (!indexLine.startsWith("index ") || index === null) {
    fail(`${quote(indexLine.slice(0, 40))} is not an index line`);
  }
  if (lines.length > PATH_LENGTH_MAX) fail(`${lines.length} hashes are more than ${PATH_LENGTH_MAX}`);
  const path = lines.map((line) => {
    const node = fromBase64(line);
    return node === null || node.length !== HASH_BYTES ? fail(`${quote(line.slice(0, 80))} is not a hash`) : node;
  });
  return { index, path, extra, checkpoint: raw.subarray(blank + 2) };
}

/** Split a note into its text and signature lines; nothing is verified. */
export function readNote(raw) {
  if (raw.length > NOTE_BYTES_MAX) {
    refuse("too_large", `Note: ${raw.length} bytes, more than ${NOTE_BYTES_MAX}`);
  }
  const whole = fromUtf8(raw);
  if (whole === null) refuse("malformed", "Note: it is not valid UTF-8");
  if (/[\u0000-\u0009\u000b-\u001f]/u.test(whole)) {
    refuse("malformed", "Note: it has a control character other than newline");
  }
  const split = whole.lastIndexOf("\n\n");
  if (split < 0 || !whole.endsWith("\n") || split + 2 === whole.length) {
    refuse("malformed", "Note: it has no signature lines after an empty line");
  }
  const lines = whole.slice(split + 2, -1).split("\n");
  if (lines.length > SIGNATURE_COUNT_MAX) {
    refuse("too_large", `Note: ${lines.length} signatures, more than ${SIGNATURE_COUNT_MAX}`);
  }
  return { text: whole.slice(0, split + 1), lines: lines.map(readSignatureLine) };
}

function readSignatureLine(line) {
  const parts = line.split(" ");
  const isWellFormed =
    parts.length === 3 && parts[0] === DASH && parts[1] !== "" && !NOT_IN_A_NAME.test(parts[1]);
  const blob = isWellFormed ? fromBase64(parts[2]) : null;
  if (blob === null || blob.length <= KEY_ID_BYTES) {
    const shown = [...line].slice(0, 120).join("");
    refuse("malformed", `Note: ${quote(shown)} is not a signature line`);
  }
  return {
    name: parts[1],
    id: toHex(blob.subarray(0, KEY_ID_BYTES)),
    signature: blob.subarray(KEY_ID_BYTES),
  };
}

/** Origin, size and root of a checkpoint's text. */
export function readCheckpointText(text) {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] !== "") {
    refuse(
      "malformed",
      `Checkpoint: it has ${lines.length - 1} lines instead of origin, size and root`,
    );
  }
  const [origin, sizeText, rootText] = lines;
  if (origin === "") refuse("malformed", "Checkpoint: the origin is empty");
  const size = readDecimal(sizeText, SIZE_MAX);
  if (size === null) {
    refuse("malformed", `Checkpoint: ${quote(sizeText.slice(0, 40))} is not a tree size`);
  }
  const root = fromBase64(rootText);
  if (root === null || root.length !== HASH_BYTES) {
    refuse("malformed", `Checkpoint: ${quote(rootText.slice(0, 80))} is not a root hash`);
  }
  return { origin, size, root };
}

function keyOf(line, keys) {
  return keys.findIndex((key) => key.name === line.name && key.id === line.id);
}

/** Every line must be of a known key, and none may stand twice. */
export function checkLines(note, keys) {
  const seen = new Set();
  for (const line of note.lines) {
    const at = keyOf(line, keys);
    if (at < 0) {
      throw new Refuted(
        "unknown_key",
        `检查点含有未知密钥的签名行：${line.name}（${line.id}）。`,
        `The checkpoint has a line of an unknown key: ${line.name} (${line.id}).`,
      );
    }
    if (seen.has(at)) {
      throw new Refuted(
        "duplicate",
        `检查点中 ${line.name}（${line.id}）的签名行出现两次。`,
        `The checkpoint has the line of ${line.name} (${line.id}) twice.`,
      );
    }
    seen.add(at);
  }
}

function checkKeysAreDistinct(keys) {
  const seen = new Set();
  for (const key of keys) {
    const label = `${key.name}+${key.id}`;
    if (seen.has(label)) {
      refuse("bad_field", `Known keys: two are named ${key.name} with key id ${key.id}`);
    }
    seen.add(label);
  }
}

/** Times of the cosigners whose lines stand in the note, by their place among `keys`. */
export async function verifyCosignatures(note, keys) {
  checkKeysAreDistinct(keys);
  const times = new Map();
  for (const line of note.lines) {
    const at = keyOf(line, keys);
    if (at < 0) continue;
    times.set(at, await verifyCosignature(note.text, keys[at], line.signature));
  }
  return times;
}

/** The time in seconds of one cosignature of a checkpoint's text; throws `Rejected`. */
export async function verifyCosignature(text, key, signature) {
  const time = fromBigEndian(signature.subarray(0, TIMESTAMP_BYTES));
  const message = toUtf8(`cosignature/v1\ntime ${time}\n${text}`);
  const isGood =
    signature.length === TIMESTAMP_BYTES + SIGNATURE_BYTES &&
    time > 0n &&
    time <= TIMESTAMP_MAX_S &&
    (await verifySignature(key.publicKey, message, signature.subarray(TIMESTAMP_BYTES)));
  if (!isGood) {
    refuse("bad_signature", `Checkpoint: the cosignature of ${key.name} (${key.id}) is wrong`);
  }
  return time;
}

/** Throw `Rejected` unless at least one known key of the log signed the note, and none wrongly. */
export async function verifyLogSignatures(note, keys, origin) {
  checkKeysAreDistinct(keys);
  let count = 0;
  for (const line of note.lines) {
    const at = keyOf(line, keys);
    if (at < 0) continue;
    if (!(await verifySignature(keys[at].publicKey, toUtf8(note.text), line.signature))) {
      refuse("bad_signature", `Checkpoint: the log signature of ${line.name} (${line.id}) is wrong`);
    }
    count += 1;
  }
  if (count === 0) {
    refuse(
      "bad_signature",
      `Checkpoint: none of the ${keys.length} known keys of log ${origin} has signed it`,
    );
  }
}
