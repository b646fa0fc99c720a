// What a record is asked: the members of `question`, read strictly and believed in nothing.
//
// One file answers one question, and the question stands in the file. Whatever is wrong here makes
// the file unusable.

import { fromBase64, fromHex } from "./bytes.js";
import { pattern, takeMembers } from "./formats.js";
import { HASH_BYTES } from "./hashing.js";
import { refuse } from "./refusal.js";

const QUESTIONS = {
  attestation: ["ask", "transaction"],
  balance: ["ask", "from", "stated", "until"],
  omission: ["ask", "batch", "envelope", "receipt"],
  production: ["ask", "request"],
  terms: ["ask", "at", "document"],
  window: ["ask", "from", "kinds", "until"],
};
const RECEIPTS = {
  "evidence-ledger/batch-receipt/v1": [
    "chain_id", "format", "height_max", "node", "public_key", "received_ms", "root", "signature", "size",
  ],
  "evidence-ledger/intake-receipt/v1": [
    "chain_id", "format", "height_max", "node", "public_key", "received_ms", "signature", "tx_id",
  ],
};
const BATCH_MEMBERS = ["index", "path"];
const KINDS_MAX = 32;
const KIND = pattern("[a-z][a-z0-9_]{0,31}(?:\\.[a-z][a-z0-9_]{0,31}){0,3}");
const HASH = pattern("[0-9a-f]{64}");
const SIGNATURE = pattern("[0-9a-f]{128}");

/** Read `question`; throws `Rejected`. */
export function readQuestion(value) {
  const members = takeObject(value, "question");
  const ask = members.get("ask");
  if (typeof ask !== "string" || !Object.hasOwn(QUESTIONS, ask)) {
    fail(`question.ask is none of ${Object.keys(QUESTIONS).join(", ")}`);
  }
  takeMembers(members, "evidence file: question", QUESTIONS[ask]);
  switch (ask) {
    case "window":
      return { ask, ...takeSpan(members), kinds: takeKinds(members.get("kinds")) };
    case "balance":
      return { ask, ...takeSpan(members), stated: takeNumber(members, "stated") };
    case "terms": {
      const document = members.get("document");
      const at = takeNumber(members, "at");
      return { ask, at, document: document === null ? null : takeBlob(document, "question.document") };
    }
    case "attestation":
      return { ask, txId: takeHex(members, "transaction", HASH) };
    case "production":
      return { ask, txId: takeHex(members, "request", HASH) };
    default:
      return takeOmission(members);
  }
}

function takeOmission(members) {
  const form = takeObject(members.get("receipt"), "question.receipt");
  const format = form.get("format");
  if (typeof format !== "string" || !Object.hasOwn(RECEIPTS, format)) {
    fail(`question.receipt.format is none of ${Object.keys(RECEIPTS).join(", ")}`);
  }
  takeMembers(form, "evidence file: question.receipt", RECEIPTS[format]);
  const isBatch = form.has("root");
  const node = form.get("node");
  if (typeof node !== "string") fail("question.receipt.node is not a string");
  let batch = null;
  if (isBatch) {
    const place = takeObject(members.get("batch"), "question.batch");
    takeMembers(place, "evidence file: question.batch", BATCH_MEMBERS);
    const path = place.get("path");
    if (!Array.isArray(path)) fail("question.batch.path is not a list");
    const nodes = path.map((item, at) => takeBlob(item, `question.batch.path[${at}]`));
    if (nodes.some((one) => one.length !== HASH_BYTES)) fail("question.batch.path holds what is no hash");
    batch = { index: takeNumber(place, "index"), path: nodes };
  } else if (members.get("batch") !== null) {
    fail("question.batch belongs to a receipt for several transactions");
  }
  const envelope = takeBlob(members.get("envelope"), "question.envelope");
  const receipt = {
    chainId: takeHex(form, "chain_id", HASH),
    node,
    receivedMs: takeNumber(form, "received_ms"),
    heightMax: takeNumber(form, "height_max"),
    publicKey: takeHex(form, "public_key", HASH),
    signature: takeHex(form, "signature", SIGNATURE),
    txId: isBatch ? null : takeHex(form, "tx_id", HASH),
    root: isBatch ? takeHex(form, "root", HASH) : null,
    size: isBatch ? takeNumber(form, "size") : 0,
  };
  return { ask: "omission", envelope, receipt, batch };
}

function takeSpan(members) {
  const [from, until] = [takeNumber(members, "from"), takeNumber(members, "until")];
  if (from >= until) fail(`question: nothing lies from ${from} to ${until}`);
  return { from, until };
}

function takeKinds(value) {
  if (!Array.isArray(value) || value.length > KINDS_MAX) {
    fail(`question.kinds is not a list of at most ${KINDS_MAX} kinds`);
  }
  const isGood = value.every(
    (kind, at) =>
      typeof kind === "string" && KIND.whole.test(kind) && (at === 0 || value[at - 1] < kind),
  );
  if (!isGood) fail("question.kinds are not kinds in ascending order, each once");
  return value;
}

function takeObject(value, name) {
  return value instanceof Map ? value : fail(`${name} is not an object`);
}

function takeNumber(members, member) {
  const value = members.get(member);
  if (typeof value !== "number" || value < 0) fail(`question: ${member} is no whole number from 0 on`);
  return value;
}

function takeHex(members, member, form) {
  const value = members.get(member);
  if (typeof value !== "string" || !form.whole.test(value)) {
    fail(`question: ${member} does not match ${form.source}`);
  }
  return fromHex(value);
}

function takeBlob(value, name) {
  const blob = typeof value === "string" ? fromBase64(value) : null;
  return blob === null ? fail(`${name} is not canonical standard base64`) : blob;
}

function fail(detail) {
  refuse("bad_field", `evidence file: ${detail}`);
}
