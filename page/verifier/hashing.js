// SHA-256 by WebCrypto, plain, tagged, and of Merkle leaves and nodes.
//
// A tag `evidence-ledger/v1/<name>` and a zero byte stand before whatever is hashed or signed for one
// purpose; RFC 9162's one-byte prefixes before leaves and nodes (docs/FORMATS.md, "Ground rules").

import { concat, toUtf8 } from "./bytes.js";

export const HASH_BYTES = 32;
export const ZERO_HASH = new Uint8Array(HASH_BYTES);
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

function tag(name) {
  return toUtf8(`evidence-ledger/v1/${name}\0`);
}

export const TAGS = Object.freeze({
  chainId: tag("chain-id"),
  validatorSet: tag("validator-set"),
  block: tag("block"),
  txId: tag("tx-id"),
  txSignature: tag("tx-signature"),
  batchSignature: tag("batch-signature"),
  privateField: tag("private-field"),
  privateCommitment: tag("private-commitment"),
  stateKey: tag("state-key"),
  stateValue: tag("state-value"),
  prePrepare: tag("pre-prepare"),
  prepare: tag("prepare"),
  claim: tag("claim"),
  sumLeaf: tag("sum-leaf"),
  sumNode: tag("sum-node"),
  sumTotal: tag("sum-total"),
  commit: tag("commit"),
  viewChange: tag("view-change"),
  intakeReceipt: tag("intake-receipt"),
  batchReceipt: tag("batch-receipt"),
  platformStatement: tag("platform-statement"),
});

/** SHA-256 of the parts, one after another. */
export async function sha256(...parts) {
  const whole = parts.length === 1 ? parts[0] : concat(...parts);
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", whole));
}

/** Hash of a leaf's data (RFC 9162 section 2.1.1). */
export function leafHash(data) {
  return sha256(LEAF, data);
}

/** Hash of an interior node (RFC 9162 section 2.1.1). */
export function nodeHash(left, right) {
  return sha256(NODE, left, right);
}
