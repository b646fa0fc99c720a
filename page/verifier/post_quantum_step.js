// Step 19: the file's tree is the beginning of one that a quorum cosigned with ML-DSA-44.
//
// Keys, lines and the consistency path are looked at in any case. The signatures need a WebCrypto with
// ML-DSA; where there is none the step is *not run* and a limit says so, whatever the other steps found.

import { concat, equal, fromBigEndian, toHex, toUtf8, u64 } from "./bytes.js";
import { makeKey, readCheckpointText, readNote } from "./checkpoint.js";
import { sha256 } from "./hashing.js";
import { verifyConsistency } from "./merkle.js";
import { findVerify } from "./mldsa.js";
import { quote } from "./quoting.js";
import { NotRun, Refuted, refuse } from "./refusal.js";

const ML_DSA_44 = 6;
const PUBLIC_KEY_BYTES = 1312;
const TIMESTAMP_BYTES = 8;
const SIGNATURE_BYTES = 2420;
const TIMESTAMP_MAX_S = 2n ** 63n - 1n;
/** The first bytes of a signed message (tlog-cosignature, "ML-DSA-44 signed message"). */
const LABEL = toUtf8("subtree/v1\n\0");

export const UNCHECKED_LIMIT = {
  zh:
    "后量子联署未核验：请安装 Python 包 cryptography>=48 后用 evidence-ledger verify 核验；" +
    "在此之前本结论只凭 Ed25519 签名。",
  en:
    "The post-quantum cosignatures were not checked: install the Python package cryptography>=48 and " +
    "run evidence-ledger verify. Until then this conclusion rests on Ed25519 alone.",
};

/** Step 19: one tree, a quorum of genesis' ML-DSA-44 keys, and every line good. */
export async function checkPostQuantum(subject) {
  const { file, root, tree } = subject;
  const { checkpoint, keys, path } = file.postQuantum;
  const note = readNote(checkpoint);
  const newer = readCheckpointText(note.text);
  if (newer.origin !== root.origin) {
    throw new Refuted(
      "wrong_chain",
      `后量子检查点的来源是 ${quote(newer.origin)}，而不是 ${quote(root.origin)}。`,
      `The post-quantum checkpoint's origin is ${quote(newer.origin)} instead of ${quote(root.origin)}.`,
    );
  }
  const count = await checkLines(note.lines, keys, root);
  if (count < root.quorum) {
    throw new Refuted(
      "no_quorum",
      `只有 ${count} 家机构作了后量子联署，法定多数为 ${root.quorum} 家。`,
      `Only ${count} institutions gave post-quantum cosignatures, and a quorum is ${root.quorum}.`,
    );
  }
  await verifyConsistency(tree.size, newer.size, path, tree.root, newer.root);
  const verify = await findVerify();
  if (verify === null) throw unchecked(count);
  for (const [at, { name, signature }] of note.lines.entries()) {
    const message = signedMessage(name, signature.subarray(0, TIMESTAMP_BYTES), newer);
    if (!(await verify(keys[at], message, signature.subarray(TIMESTAMP_BYTES)))) {
      refuse("bad_signature", `Checkpoint: the ML-DSA-44 cosignature of ${name} is wrong`);
    }
  }
  subject.isPostQuantumVerified = true;
  return {
    zh: `${count} 家机构以 ML-DSA-44 联署了大小为 ${newer.size} 的检查点，此文件的日志是其开头。`,
    en:
      `${count} institutions cosigned the checkpoint of size ${newer.size} with ML-DSA-44; this file's ` +
      "log is the beginning of it.",
  };
}

function unchecked(count) {
  return new NotRun(
    `${count} 份 ML-DSA-44 签名未核验：请安装 Python 包 cryptography>=48 后用 evidence-ledger verify ` +
      "核验。密钥与日志路径相符。",
    `${count} ML-DSA-44 signatures not checked: install the Python package cryptography>=48 and run ` +
      "evidence-ledger verify. Their keys are those of genesis, and the log's path holds.",
  );
}

/** What a cosigner signs of a whole tree (tlog-cosignature, `cosigned_message`), given its u64 time. */
function signedMessage(name, time, { origin, size, root }) {
  return concat(LABEL, opaque(name), time, opaque(origin), u64(0), u64(size), root);
}

/** A text with its length in one byte before it. */
function opaque(text) {
  const raw = toUtf8(text);
  return concat(Uint8Array.of(raw.length), raw);
}

/** Every line is of another member, in the order of genesis, with the key that genesis gives it. */
async function checkLines(lines, keys, root) {
  if (lines.length !== keys.length) {
    refuse("signature_count", `Post-quantum part: ${lines.length} lines, ${keys.length} keys`);
  }
  const places = [];
  for (const [at, line] of lines.entries()) places.push(await checkLine(line, keys[at], root));
  if (places.some((place, at) => at > 0 && place <= places[at - 1])) {
    refuse("bad_field", "Post-quantum part: its lines are not in the order of the members, each once");
  }
  return places.length;
}

async function checkLine({ name, id, signature }, publicKey, { origin, institutions }) {
  const place = institutions.findIndex((one) => `${origin}/${one.id}` === name);
  if (place < 0) {
    const shown = [...name].slice(0, 120).join("");
    refuse("not_a_validator", `Post-quantum line: ${quote(shown)} is no member`);
  }
  const expected = institutions[place].mldsa44;
  if (expected === null) {
    refuse("unknown_key", `Post-quantum line of ${name}: genesis gives it no ML-DSA key`);
  }
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    refuse(
      "bad_field",
      `Key ${name}: an ML-DSA-44 public key has ${PUBLIC_KEY_BYTES} bytes, not ${publicKey.length}`,
    );
  }
  const hash = await sha256(publicKey);
  if (!equal(hash, expected)) {
    refuse(
      "unknown_key",
      `Post-quantum line of ${name}: the key's SHA-256 is ${toHex(hash)}, and genesis gives ` +
        toHex(expected),
    );
  }
  const key = await makeKey(name, ML_DSA_44, publicKey);
  const time = fromBigEndian(signature.subarray(0, TIMESTAMP_BYTES));
  const isWhole = signature.length === TIMESTAMP_BYTES + SIGNATURE_BYTES;
  if (id !== key.id || !isWhole || time <= 0n || time > TIMESTAMP_MAX_S) {
    refuse("malformed", `Post-quantum line of ${name}: key id, length or time is not as it must be`);
  }
  return place;
}
