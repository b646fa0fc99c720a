// A SCITT statement and a COSE receipt as they are read (docs/FORMATS.md, "SCITT statements").
//
// Both are COSE_Sign1 (RFC 9052) with algorithm, key id, issuer and subject in the protected header. A
// Transparent Statement has receipts (RFC 9942) and the evidence of its entry in the unprotected one,
// which nobody signs. Nothing here is believed: whose key, which entry and which root is the steps'
// question.

import { concat, toUtf8 } from "./bytes.js";
import { SIGNATURE_BYTES } from "./ed25519.js";
import { HASH_BYTES, sha256 } from "./hashing.js";
import { quoteAscii } from "./quoting.js";
import { refuse } from "./refusal.js";
import { Tagged, readCbor, writeByteString } from "./strict_cbor.js";
import { COUNT_MAX, isInteger } from "./strict_msgpack.js";

/** How what is tagged as a COSE_Sign1 begins; canonical JSON begins otherwise. */
export const SIGN1_START = 0xd2;
export const EVIDENCE = -65802;
export const ISSUER = 1;
export const SUBJECT = 2;

const SIGN1 = 18;
const [ALGORITHM, CRITICAL, CONTENT_TYPE, KEY_ID, CLAIMS] = [1, 2, 3, 4, 15];
const [HASH_ALGORITHM, PREIMAGE_TYPE, LOCATION] = [258, 259, 260];
const [RECEIPTS, PROOF_STRUCTURE, PROOFS] = [394, 395, 396];
const [EXPIRY, NOT_BEFORE] = [4, 5];
const ALGORITHMS = [-8, -19]; // EdDSA (RFC 9053) and Ed25519 (RFC 9864), with our keys the same
const SHA_256 = -16;
const RFC9162_SHA256 = 1;
const INCLUSION = -1;

const REGISTERED_BYTES_MAX = 64 * 1024;
const TEXT_CHARS_MAX = 256;
const SHOWN_CHARS_MAX = 100;
const RECEIPTS_MAX = 64;
const PATH_MAX = 53;

const SIGNED_CONTEXT = concat(Uint8Array.of(0x84, 0x6a), toUtf8("Signature1"));
const KEY_HEAD = Uint8Array.of(0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20);

/** What is signed: the `Sig_structure` of a COSE_Sign1 (RFC 9052 section 4.4), no external data. */
export function signedMessage(protectedBytes, payload) {
  const none = Uint8Array.of(0x40);
  return concat(SIGNED_CONTEXT, writeByteString(protectedBytes), none, writeByteString(payload));
}

/** The COSE Key Thumbprint (RFC 9679) of an Ed25519 key: {1: 1, -1: 6, -2: key}, hashed. */
export function keyThumbprint(publicKey) {
  return sha256(KEY_HEAD, publicKey);
}

/** Read a statement whose unprotected header has receipts and evidence at most; throws `Rejected`. */
export function readStatement(raw) {
  const name = "statement";
  const { protectedBytes, unprotected, payload, signature } = readSign1(raw, name);
  const header = readProtected(protectedBytes, name);
  if (!(payload instanceof Uint8Array) || payload.length === 0) {
    refuse(
      "bad_field",
      `${name}: the payload must be in it; sign the SHA-256 of a document that shall not be (RFC 9995)`,
    );
  }
  for (const label of unprotected.keys()) {
    if (label !== RECEIPTS && label !== EVIDENCE) {
      refuse("bad_field", `${name}: unprotected header ${show(label)} has no place in it`);
    }
  }
  const statement = {
    protectedBytes,
    payload,
    signature,
    issuer: header.get(CLAIMS).get(ISSUER),
    subject: header.get(CLAIMS).get(SUBJECT),
    keyId: header.get(KEY_ID),
    contentType: readContentType(header, payload, name),
    isHash: header.has(HASH_ALGORITHM),
    receipts: readReceipts(unprotected, name),
    evidence: unprotected.get(EVIDENCE) ?? null,
  };
  if (unprotected.has(EVIDENCE) && !(statement.evidence instanceof Uint8Array)) {
    refuse("malformed", `${name}: evidence (${EVIDENCE}) is not a byte string`);
  }
  statement.registered = concat(
    Uint8Array.of(SIGN1_START, 0x84),
    writeByteString(protectedBytes),
    Uint8Array.of(0xa0),
    writeByteString(payload),
    writeByteString(signature),
  );
  const { length } = statement.registered;
  if (length > REGISTERED_BYTES_MAX) {
    refuse(
      "too_large",
      `${name}: ${length} bytes without its unprotected header; at most ${REGISTERED_BYTES_MAX} are ` +
        "registered; sign the SHA-256 of a larger document",
    );
  }
  return statement;
}

/** Read a receipt with one inclusion proof (RFC 9942 section 5.2); throws `Rejected`. */
export function readReceipt(raw, name) {
  const { protectedBytes, unprotected, payload, signature } = readSign1(raw, name);
  const header = readProtected(protectedBytes, name);
  if (header.get(PROOF_STRUCTURE) !== RFC9162_SHA256) {
    refuse("bad_field", `${name}: vds (395) is not 1, RFC9162_SHA256`);
  }
  if (payload !== null) {
    refuse("bad_field", `${name}: the payload of a receipt is detached, and null stands`);
  }
  const proofs = unprotected.get(PROOFS);
  const isAlone =
    unprotected.size === 1 && proofs instanceof Map && proofs.size === 1 && proofs.has(INCLUSION);
  if (!isAlone) {
    refuse("bad_field", `${name}: its unprotected header is not proofs of inclusion (396, -1) alone`);
  }
  const listed = proofs.get(INCLUSION);
  if (!Array.isArray(listed) || listed.length !== 1 || !(listed[0] instanceof Uint8Array)) {
    refuse("malformed", `${name}: it has not exactly one proof of inclusion`);
  }
  const proof = readCbor(listed[0], `${name}: proof`);
  if (!Array.isArray(proof) || proof.length !== 3) {
    refuse("malformed", `${name}: the proof is not size, index and path`);
  }
  const [size, index, path] = proof;
  for (const [number, what] of [[size, "size"], [index, "index"]]) {
    if (!isInteger(number) || number < 0 || number > COUNT_MAX) {
      refuse("bad_field", `${name}: the proof's ${what} is no count`);
    }
  }
  const isPath =
    Array.isArray(path) &&
    path.length >= 1 &&
    path.length <= PATH_MAX &&
    path.every((node) => node instanceof Uint8Array && node.length === HASH_BYTES);
  if (!isPath) refuse("bad_proof", `${name}: the path is not 1 to ${PATH_MAX} hashes`);
  const [keyId, claims] = [header.get(KEY_ID), header.get(CLAIMS)];
  return { name, protectedBytes, keyId, claims, size, index, path, signature };
}

/** The four parts of a tagged COSE_Sign1; throws `Rejected`. */
function readSign1(raw, name) {
  const value = readCbor(raw, name);
  if (!(value instanceof Tagged) || value.tag !== SIGN1) {
    refuse("malformed", `${name}: it is not a COSE_Sign1 with its tag 18`);
  }
  const parts = value.value;
  if (!Array.isArray(parts) || parts.length !== 4) {
    refuse("malformed", `${name}: a COSE_Sign1 is an array of four`);
  }
  const [protectedBytes, unprotected, payload, signature] = parts;
  if (!(protectedBytes instanceof Uint8Array) || !(unprotected instanceof Map)) {
    refuse("malformed", `${name}: its headers are not a byte string and a map`);
  }
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    refuse("malformed", `${name}: its signature is not ${SIGNATURE_BYTES} bytes`);
  }
  return { protectedBytes, unprotected, payload, signature };
}

/** A protected header with algorithm, key id, issuer and subject as they must be. */
function readProtected(raw, name) {
  const header = readCbor(raw, `${name}: protected header`);
  if (!(header instanceof Map)) refuse("malformed", `${name}: the protected header is not a map`);
  if (!ALGORITHMS.includes(header.get(ALGORITHM))) {
    refuse(
      "bad_field",
      `${name}: alg (1) is ${show(header.get(ALGORITHM))}; it must be -8 (EdDSA) or -19 (Ed25519)`,
    );
  }
  if (header.has(CRITICAL)) {
    refuse("bad_field", `${name}: crit (2) names headers that must be understood; none is known here`);
  }
  const keyId = header.get(KEY_ID);
  if (!(keyId instanceof Uint8Array) || keyId.length !== HASH_BYTES) {
    refuse("bad_field", `${name}: kid (4) is not the 32 bytes of a COSE Key Thumbprint (RFC 9679)`);
  }
  const claims = header.get(CLAIMS);
  if (!(claims instanceof Map)) refuse("bad_field", `${name}: the CWT claims (15) are missing`);
  checkText(claims.get(ISSUER), `${name}: claim iss (1)`);
  checkText(claims.get(SUBJECT), `${name}: claim sub (2)`);
  for (const [label, what] of [[EXPIRY, "exp (4)"], [NOT_BEFORE, "nbf (5)"]]) {
    if (claims.has(label)) {
      refuse("bad_field", `${name}: claim ${what}: what is registered does not expire; leave it out`);
    }
  }
  return header;
}

/** What the payload, or the document that it is the hash of, is (RFC 9995). */
function readContentType(header, payload, name) {
  if (![HASH_ALGORITHM, PREIMAGE_TYPE, LOCATION].some((label) => header.has(label))) {
    return checkText(header.get(CONTENT_TYPE), `${name}: content type (3)`);
  }
  if (header.get(HASH_ALGORITHM) !== SHA_256) {
    refuse(
      "bad_field",
      `${name}: payload-hash-alg (258) is ${show(header.get(HASH_ALGORITHM))}; it must be -16 (SHA-256)`,
    );
  }
  if (header.has(CONTENT_TYPE)) {
    refuse("bad_field", `${name}: content type (3) has no place beside payload-hash-alg (258)`);
  }
  if (payload.length !== HASH_BYTES) {
    refuse(
      "bad_field",
      `${name}: the payload has ${payload.length} bytes, and a SHA-256 has ${HASH_BYTES}`,
    );
  }
  if (header.has(LOCATION)) checkText(header.get(LOCATION), `${name}: payload-location (260)`);
  return checkText(header.get(PREIMAGE_TYPE), `${name}: preimage-content-type (259)`);
}

function readReceipts(unprotected, name) {
  if (!unprotected.has(RECEIPTS)) return [];
  const receipts = unprotected.get(RECEIPTS);
  const isList =
    Array.isArray(receipts) &&
    receipts.length >= 1 &&
    receipts.length <= RECEIPTS_MAX &&
    receipts.every((one) => one instanceof Uint8Array);
  if (!isList) {
    refuse("malformed", `${name}: receipts (394) is not an array of 1 to ${RECEIPTS_MAX} byte strings`);
  }
  return receipts;
}

function checkText(value, name) {
  const isText =
    typeof value === "string" &&
    value.length >= 1 &&
    value.length <= 2 * TEXT_CHARS_MAX &&
    [...value].length <= TEXT_CHARS_MAX;
  if (!isText) refuse("bad_field", `${name} is not a text of 1 to ${TEXT_CHARS_MAX} characters`);
  return value;
}

function show(value) {
  return quoteAscii(value, SHOWN_CHARS_MAX);
}
