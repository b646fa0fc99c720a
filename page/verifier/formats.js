// The ledger's binary formats, each one array of docs/EVIDENCE.md in its field order.
//
// Shape and bounds only; whether a value belongs to this chain, this height or this contract is the
// steps' question. Hashes are computed here where they name the value: a leaf, a block, a transaction.

import { HASH_BYTES, TAGS, leafHash, sha256 } from "./hashing.js";
import { quote } from "./quoting.js";
import { refuse } from "./refusal.js";
import { readObject } from "./strict_json.js";
import {
  readArray,
  takeArray,
  takeBoolean,
  takeBytes,
  takeEffectValue,
  takeInteger,
  takeText,
  writeArray,
} from "./strict_msgpack.js";
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "./ed25519.js";

const ENTRY_BYTES_MAX = 65_535;
const BODY_BYTES_MAX = 32 * 1024;
const SIGNERS_MAX = 8;
const BATCH_SIZE_MAX = 65_536;
const BATCH_PATH_MAX = 16;
const HEADER_VERSION = 1;
export const VIEW_MAX = 1_000_000;
const PARTY_KEYS_MAX = 16;
const KIND_TRANSACTION = 1;
const KIND_HEADER = 2;
const KINDS = ["genesis", "transaction", "header"];
const BODY_MEMBERS = [
  "data", "kind", "not_after", "reference", "salt", "signers", "stream", "version",
];

const STREAM = pattern(
  "(?:contract|custodian|merchant|party|published|rules|terms|validator)/[a-z0-9][a-z0-9._-]{0,79}",
);
const PARTY = pattern("[a-z0-9][a-z0-9-]{0,47}");
const KIND = pattern("[a-z][a-z0-9_]{0,31}(?:\\.[a-z][a-z0-9_]{0,31}){0,3}");
const SALT = pattern("[A-Za-z0-9_-]{22,64}");

/** A pattern that the whole of a text must match. */
export function pattern(source) {
  return { source, whole: new RegExp(`^(?:${source})$`) };
}

/** Read `[index, height, 1, [body, [signature…]], outcome]`. */
export async function readTransactionEntry(raw, name) {
  const [index, height, , fields, outcome] = readEntry(KIND_TRANSACTION, raw, name, 5);
  const envelope = takeEnvelope(takeArray(fields, `${name}: envelope`, 2), name);
  return {
    index: takeInteger(index, `${name}: index`),
    height: takeInteger(height, `${name}: height`),
    ...envelope,
    outcome: takeOutcome(outcome, `${name}: outcome`),
    leaf: await leafHash(raw),
  };
}

/** Read `[body, [signature…]]`. */
export function readEnvelope(raw, name) {
  if (raw.length > ENTRY_BYTES_MAX) {
    refuse("too_large", `${name}: ${raw.length} bytes; at most ${ENTRY_BYTES_MAX}`);
  }
  return takeEnvelope(readArray(raw, name, 2), name);
}

/** Read `[index, height, 2, header]`; its position must be the header's own. */
export async function readHeaderEntry(raw, name) {
  const [index, height, , inner] = readEntry(KIND_HEADER, raw, name, 4);
  const fields = takeArray(inner, `${name}: header`, 12);
  takeInteger(fields[0], `${name}: version`, HEADER_VERSION, HEADER_VERSION);
  const header = {
    chainId: takeBytes(fields[1], `${name}: chain id`, HASH_BYTES),
    height: takeInteger(fields[2], `${name}: height`),
    parentHash: takeBytes(fields[3], `${name}: parent hash`, HASH_BYTES),
    timeMs: takeInteger(fields[4], `${name}: time`),
    proposer: takeInteger(fields[5], `${name}: proposer`),
    firstIndex: takeInteger(fields[6], `${name}: first index`),
    count: takeInteger(fields[7], `${name}: count`),
    logRoot: takeBytes(fields[8], `${name}: log root`, HASH_BYTES),
    stateRoot: takeBytes(fields[9], `${name}: state root`, HASH_BYTES),
    validatorsHash: takeBytes(fields[10], `${name}: validators hash`, HASH_BYTES),
    rulePackVersion: takeInteger(fields[11], `${name}: rule pack version`),
    blockHash: await sha256(TAGS.block, writeArray(fields)),
    leaf: await leafHash(raw),
  };
  header.index = BigInt(header.firstIndex) + BigInt(header.count);
  const isInPlace =
    BigInt(takeInteger(index, `${name}: index`)) === header.index &&
    takeInteger(height, `${name}: height`) === header.height;
  if (!isInPlace) {
    refuse(
      "bad_field",
      `${name}: the entry stands at index ${index}, height ${height}, but its header says index ` +
        `${header.index}, height ${header.height}`,
    );
  }
  return header;
}

/** Read a body's exact bytes: RFC 8785 JSON with exactly its eight members. */
export async function readBody(raw, name) {
  if (raw.length > BODY_BYTES_MAX) {
    refuse("too_large", `${name}: ${raw.length} bytes; at most ${BODY_BYTES_MAX}`);
  }
  const members = readObject(raw, name);
  takeMembers(members, name, BODY_MEMBERS);
  const data = members.get("data");
  if (!(data instanceof Map)) refuse("bad_field", `${name}: data is not an object`);
  const signers = members.get("signers");
  if (!Array.isArray(signers) || signers.length < 1 || signers.length > SIGNERS_MAX) {
    refuse("bad_field", `${name}: signers is not a list of 1 to ${SIGNERS_MAX} parties`);
  }
  for (const signer of signers) takePattern(signer, `${name}: signer`, PARTY);
  if (new Set(signers).size !== signers.length) {
    const listed = signers.map((one) => quote(one)).join(", ");
    refuse("bad_field", `${name}: signers [${listed}] names a party twice`);
  }
  const reference = takeText(members.get("reference"), `${name}: reference`);
  const characters = [...reference].length;
  if (characters < 1 || characters > 64) {
    refuse("bad_field", `${name}: a reference of ${characters} characters; 1 to 64`);
  }
  return {
    data,
    kind: takePattern(members.get("kind"), `${name}: kind`, KIND),
    notAfter: takeInteger(members.get("not_after"), `${name}: not_after`),
    reference,
    salt: takePattern(members.get("salt"), `${name}: salt`, SALT),
    signers,
    stream: takePattern(members.get("stream"), `${name}: stream`, STREAM),
    version: takeInteger(members.get("version"), `${name}: version`, 1, 65_535),
    txId: await sha256(TAGS.txId, raw),
  };
}

/** Read `[height, view, block hash, [[replica, signature]…]]`. */
export function readCertificate(raw, name) {
  const [height, view, blockHash, commits] = readArray(raw, name, 4);
  const pairs = takeArray(commits, name).map((item) => takeArray(item, `${name}: commit`, 2));
  return {
    height: takeInteger(height, `${name}: height`, 1),
    view: takeInteger(view, `${name}: view`, 0, VIEW_MAX),
    blockHash: takeBytes(blockHash, `${name}: block hash`, HASH_BYTES),
    commits: pairs.map(([replica, signature]) => ({
      replica: takeInteger(replica, `${name}: replica`),
      signature: takeBytes(signature, `${name}: signature`, SIGNATURE_BYTES),
    })),
  };
}

/** Read a state value, `[count, root, record]`. */
export function readStateValue(raw, name) {
  const [count, root, record] = readArray(raw, name, 3);
  return {
    count: takeInteger(count, `${name}: count`),
    root: takeBytes(root, `${name}: root`, HASH_BYTES),
    record: record === null ? null : takeArray(record, `${name}: record`),
  };
}

/** Read a state proof, `[depth, bitmap, [sibling…], nil | [key hash, value hash]]`. */
export function readStateProof(raw, name) {
  const [depth, bitmap, siblings, other] = readArray(raw, name, 4);
  let pair = null;
  if (other !== null) {
    const [keyHash, valueHash] = takeArray(other, `${name}: other leaf`, 2);
    pair = [
      takeBytes(keyHash, `${name}: key hash`, HASH_BYTES),
      takeBytes(valueHash, `${name}: value hash`, HASH_BYTES),
    ];
  }
  return {
    depth: takeInteger(depth, `${name}: depth`),
    bitmap: takeBytes(bitmap, `${name}: bitmap`),
    siblings: takeArray(siblings, `${name}: siblings`).map((sibling) =>
      takeBytes(sibling, `${name}: sibling`, HASH_BYTES),
    ),
    other: pair,
  };
}

/** Take `["party", id, role, district, registrar, registered, revoked, [key…]]`. */
export function takePartyRecord(record, name) {
  if (record === null || record[0] !== "party") {
    refuse("bad_field", `${name}: the state holds no party here`);
  }
  const [, party, role, district, registrar, registered, revoked, keys] = takeArray(record, name, 8);
  const items = takeArray(keys, `${name}: keys`);
  if (items.length < 1 || items.length > PARTY_KEYS_MAX) {
    refuse("bad_field", `${name}: ${items.length} keys; 1 to ${PARTY_KEYS_MAX}`);
  }
  return {
    party: takeText(party, `${name}: id`),
    role: takeText(role, `${name}: role`),
    district: takeText(district, `${name}: district`),
    registrar: takeText(registrar, `${name}: registrar`),
    registeredHeight: takeInteger(registered, `${name}: registered height`),
    revokedHeight: takeInteger(revoked, `${name}: revoked height`),
    keys: items.map((item) => {
      const [publicKey, fromHeight, untilHeight, vouchedBy] = takeArray(item, `${name}: key`, 4);
      const signers = takeArray(vouchedBy, `${name}: key: vouched by`);
      return {
        publicKey: takeBytes(publicKey, `${name}: key`, PUBLIC_KEY_BYTES),
        fromHeight: takeInteger(fromHeight, `${name}: key: from height`),
        untilHeight: takeInteger(untilHeight, `${name}: key: until height`),
        vouchedBy: signers.map((signer) => takeText(signer, `${name}: key: vouched by`)),
      };
    }),
  };
}

/** Whether an entry may name this stream; no other name can ever stand in the state. */
export function isStreamName(text) {
  return STREAM.whole.test(text);
}

/** Refuse an object that has not exactly the `expected` members, given in their order. */
export function takeMembers(members, name, expected) {
  const found = [...members.keys()];
  if (found.length === expected.length && found.every((one, at) => one === expected[at])) return;
  const missing = expected.filter((one) => !members.has(one));
  const unknown = found.filter((one) => !expected.includes(one)).slice(0, 8);
  const shown = unknown.map((one) => quote([...one].slice(0, 40).join("")));
  refuse(
    "bad_field",
    `${name}: members missing: ${missing.join(", ") || "none"}; unknown: ${shown.join(", ") || "none"}`,
  );
}

function readEntry(expected, raw, name, length) {
  if (raw.length > ENTRY_BYTES_MAX) {
    refuse("too_large", `${name}: ${raw.length} bytes; at most ${ENTRY_BYTES_MAX}`);
  }
  const fields = readArray(raw, name);
  if (fields.length < 3) {
    refuse("malformed", `${name}: ${fields.length} elements; ${length} are expected`);
  }
  const kind = takeInteger(fields[2], `${name}: kind`, 0, KINDS.length - 1);
  if (kind !== expected) {
    refuse("bad_field", `${name}: it is a ${KINDS[kind]} entry, not a ${KINDS[expected]}`);
  }
  return takeArray(fields, name, length);
}

function takeEnvelope([body, signatures], name) {
  const items = takeArray(signatures, `${name}: signatures`);
  if (items.length < 1 || items.length > SIGNERS_MAX) {
    refuse("signature_count", `${name}: ${items.length} signatures; 1 to ${SIGNERS_MAX}`);
  }
  return {
    body: takeBytes(body, `${name}: body`),
    signatures: items.map((item) => takeSignature(item, `${name}: signature`)),
  };
}

function takeSignature(item, name) {
  const [publicKey, signature, batch] = takeArray(item, name, 3);
  let path = null;
  if (batch !== null) {
    const [index, size, hashes] = takeArray(batch, `${name}: batch`, 3);
    const items = takeArray(hashes, `${name}: batch path`);
    if (items.length > BATCH_PATH_MAX) {
      refuse("bad_batch_path", `${name}: ${items.length} hashes; at most ${BATCH_PATH_MAX}`);
    }
    path = {
      index: takeInteger(index, `${name}: batch index`, 0, BATCH_SIZE_MAX - 1),
      size: takeInteger(size, `${name}: batch size`, 1, BATCH_SIZE_MAX),
      hashes: items.map((hash) => takeBytes(hash, `${name}: batch path`, HASH_BYTES)),
    };
  }
  return {
    publicKey: takeBytes(publicKey, `${name}: public key`, PUBLIC_KEY_BYTES),
    signature: takeBytes(signature, name, SIGNATURE_BYTES),
    batch: path,
  };
}

function takeOutcome(value, name) {
  const [refused, code, effects] = takeArray(value, name, 3);
  const outcome = {
    refused: takeBoolean(refused, `${name}: refused`),
    code: takeText(code, `${name}: code`),
    effects: takeArray(effects, name).map((effect) => {
      const [label, held] = takeArray(effect, `${name}: effect`, 2);
      takeEffectValue(held, `${name}: effect`);
      return [takeText(label, `${name}: effect`), held];
    }),
  };
  if (outcome.refused !== (outcome.code !== "")) {
    const said = outcome.refused ? "True" : "False";
    refuse("bad_field", `${name}: refused is ${said}, but its code is ${quote(outcome.code)}`);
  }
  return outcome;
}

function takePattern(value, name, { source, whole }) {
  const text = takeText(value, name);
  if (!whole.test(text)) {
    const shown = [...text].slice(0, 100).join("");
    refuse("bad_field", `${name}: ${quote(shown)} does not match ${source}`);
  }
  return text;
}
