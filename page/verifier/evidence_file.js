// Reading an evidence file into bytes that belong together, without believing any of them.
//
// Canonical JSON, exactly the members of its kind, binary values in the one spelling of standard
// base64. Whatever is wrong here makes the file unusable, which is another answer than inconsistent.

import { fromBase64, toBase64, toUtf8 } from "./bytes.js";
import { pattern, takeMembers } from "./formats.js";
import { quote } from "./quoting.js";
import { HASH_BYTES } from "./hashing.js";
import { readQuestion } from "./question.js";
import { refuse } from "./refusal.js";
import { readDisclosure } from "./disclosure_format.js";
import { EVIDENCE, SIGN1_START, readStatement } from "./statement_format.js";
import { readObjectSlowly } from "./strict_json.js";

export const FILE_BYTES_MAX = 256 * 1024 * 1024;
export const FORMAT = "evidence-ledger/evidence/v1";
export const TRANSACTION = "transaction";
export const HISTORY = "history";
export const CONSISTENCY = "consistency";
export const STATE = "state";
export const RECORD = "record";
export const EQUIVOCATION = "equivocation";
const CASE = "case";
export const LIABILITIES = "liabilities";

export const SCHEDULE = "schedule";
const SCHEDULE_FORMAT = "evidence-ledger/schedule/v1";
/** What a schedule begins with, and no other file. */
export const SCHEDULE_START = toUtf8(`{"format":"${SCHEDULE_FORMAT}",`);
const SCHEDULE_MEMBERS = ["format", "genesis", "header", "header_proof", "merchant"];
const LINE_FEED = 0x0a;
/** Decoded without a pause. */
const BYTES_IN_A_ROW = 256 * 1024;

const MEMBERS = {
  [TRANSACTION]: [
    "certificate", "entry", "format", "genesis", "header", "header_proof", "kind", "parties",
    "proof", "state_header", "state_header_proof",
  ],
  [HISTORY]: [
    "contract", "entries", "format", "genesis", "header", "header_proof", "kind", "parties", "state",
  ],
  [CASE]: [
    "contract", "entries", "format", "genesis", "header", "header_proof", "kind", "law", "parties",
    "state",
  ],
  [CONSISTENCY]: ["format", "genesis", "kind", "newer", "older", "path"],
  [STATE]: ["format", "genesis", "header", "header_proof", "kind", "state"],
  [RECORD]: [
    "blocks", "contract", "entries", "first", "format", "genesis", "header", "header_proof", "kind",
    "parties", "question", "range", "state",
  ],
  [EQUIVOCATION]: ["evidence", "format", "genesis", "kind"],
  [LIABILITIES]: ["claims", "format", "genesis", "header", "header_proof", "kind", "merchant"],
};
const BLOCK_MEMBERS = ["header", "path"];
const LAW_MEMBERS = ["merchant", "pages", "terms", "times"];
const FINDINGS = "findings";
const FINDINGS_MEMBERS = ["documents", "position"];
const FINDINGS_MAX = 16;
const CLAIM_MEMBERS = ["locked", "name", "owed", "path", "place", "shown"];
const SHOWN_MEMBERS = ["contract", "signed"];
const STREAM_MEMBERS = ["proof", "stream", "value"];
const DISCLOSURES = "disclosures";
const DISCLOSURES_MAX = 64;
const PLATFORM = "platform";
const PLATFORM_MAX = 64;
const POST_QUANTUM = "post_quantum";
const POST_QUANTUM_MEMBERS = ["checkpoint", "keys", "path"];
const TIMESTAMPS = "timestamps";
const TIMESTAMPS_MEMBERS = ["checkpoint", "path", "tokens"];
const TOKEN_MEMBERS = ["algorithm", "authority", "token"];
const TOKENS_MAX = 16;
const TOKEN_BYTES_MAX = 64 * 1024;
const ALGORITHMS = ["sha256", "sm3"];
const AUTHORITY = pattern("[a-z0-9][a-z0-9-]{0,47}");
/** Kinds that rest on one checkpoint, which a later one may cover with other signatures. */
const RESTING_ON_ONE = [TRANSACTION, HISTORY, CASE, STATE, RECORD, LIABILITIES];
/** Kinds about entries, which may hold a commitment to private fields. */
const SHOWING = [TRANSACTION, HISTORY, CASE];
const CONTRACT = pattern("[a-z0-9][a-z0-9._-]{0,79}");

/**
 * Read an evidence file; throws `Rejected` for anything but its one spelling. A Transparent Statement is
 * read as the evidence in it, which then has the statement.
 */
export async function readEvidence(raw, pause) {
  if (raw.length > FILE_BYTES_MAX) fail("too_large", `more than ${FILE_BYTES_MAX} bytes`);
  if (raw[0] === SIGN1_START) return readTransparent(raw, pause);
  return readMembers(await readObjectSlowly(raw, "evidence file", pause), raw.length, pause);
}

/** What a file calls its kind. */
export function kindOf({ kind, law }) {
  return law ? CASE : kind;
}

async function readTransparent(raw, pause) {
  const statement = readStatement(raw);
  const { evidence } = statement;
  if (evidence === null) {
    fail(
      "bad_field",
      `statement: it has no evidence of its entry (header ${EVIDENCE}); a statement alone, or with ` +
        "receipts alone, is not verified here",
    );
  }
  const members = await readObjectSlowly(evidence, "evidence file", pause);
  const file = await readMembers(members, evidence.length, pause);
  if (file.kind !== TRANSACTION) {
    fail("bad_field", `statement: its evidence is of kind ${kindOf(file)}, not ${TRANSACTION}`);
  }
  return { ...file, statement };
}

/** Read a schedule's first line; the others are read one after another. Throws `Rejected`. */
export async function readScheduleHead(raw, pause) {
  const lines = splitLines(raw);
  const head = lines.next().value ?? new Uint8Array();
  const members = await readObjectSlowly(takeLine(head), "evidence file", pause);
  takeMembers(members, "evidence file", SCHEDULE_MEMBERS);
  if (members.get("format") !== SCHEDULE_FORMAT) fail("bad_field", `format is not ${quote(SCHEDULE_FORMAT)}`);
  return {
    kind: SCHEDULE,
    genesis: decode(members.get("genesis"), "genesis"),
    header: decode(members.get("header"), "header"),
    headerProof: takeProof(members, "header_proof"),
    merchant: takeStream(members.get("merchant"), "merchant"),
    headBytes: head.length,
    lines,
  };
}

/** Read a contract's line of a schedule, which lacks `genesis`; throws `Rejected`. */
export async function readScheduleLine(raw, genesis) {
  const members = await readObjectSlowly(takeLine(raw), "evidence file", async () => {});
  if (members.has("genesis")) {
    fail("bad_field", "a schedule has the member genesis in its first line alone");
  }
  members.set("genesis", toBase64(genesis));
  const sorted = new Map([...members].sort(([one], [other]) => (one < other ? -1 : 1)));
  const file = await readMembers(sorted, raw.length, async () => {});
  if (file.kind !== HISTORY) fail("bad_field", `a schedule holds no file of kind ${file.kind}`);
  if (file.postQuantum) fail("bad_field", `a schedule has no ${POST_QUANTUM}`);
  if (file.platform) fail("bad_field", `a schedule has no ${PLATFORM}`);
  if (file.timestamps) fail("bad_field", `a schedule has no ${TIMESTAMPS}`);
  return file;
}

/** The lines of a file, each with its line feed. */
function* splitLines(raw) {
  for (let at = 0; at < raw.length; ) {
    const end = raw.indexOf(LINE_FEED, at);
    const next = end < 0 ? raw.length : end + 1;
    yield raw.subarray(at, next);
    at = next;
  }
}

function takeLine(raw) {
  if (raw.length > FILE_BYTES_MAX) fail("too_large", `more than ${FILE_BYTES_MAX} bytes in a line`);
  if (raw.at(-1) !== LINE_FEED) {
    fail("malformed", "the line does not end with a line feed: the file was cut off");
  }
  return raw.subarray(0, -1);
}

async function readMembers(members, size, pause) {
  if (members.get("format") !== FORMAT) fail("bad_field", `format is not ${quote(FORMAT)}`);
  const kind = members.get("kind");
  if (typeof kind !== "string" || !Object.hasOwn(MEMBERS, kind)) {
    fail("bad_field", `kind is none of ${Object.keys(MEMBERS).join(", ")}`);
  }
  const postQuantum = RESTING_ON_ONE.includes(kind) ? takePostQuantum(members) : null;
  const platform = RESTING_ON_ONE.includes(kind) ? takePlatform(members) : null;
  const timestamps = RESTING_ON_ONE.includes(kind) ? takeTimestamps(members) : null;
  const file = await readKind(members, kind, size, pause);
  return {
    ...file,
    ...(postQuantum === null ? {} : { postQuantum }),
    ...(platform === null ? {} : { platform }),
    ...(timestamps === null ? {} : { timestamps }),
  };
}

/** Read what every file of its kind has, and disclosures. */
async function readKind(members, kind, size, pause) {
  const disclosures = SHOWING.includes(kind) ? takeDisclosures(members) : [];
  takeMembers(members, "evidence file", MEMBERS[kind]);
  const blob = (name) => decode(members.get(name), name);
  if (kind === TRANSACTION) {
    return {
      kind,
      genesis: blob("genesis"),
      entry: blob("entry"),
      proof: takeProof(members, "proof"),
      header: blob("header"),
      headerProof: takeProof(members, "header_proof"),
      certificate: blob("certificate"),
      stateHeader: blob("state_header"),
      stateHeaderProof: takeProof(members, "state_header_proof"),
      parties: takeParties(members),
      disclosures,
    };
  }
  if (kind === CONSISTENCY) {
    return {
      kind,
      genesis: blob("genesis"),
      older: takeProof(members, "older"),
      newer: takeProof(members, "newer"),
      path: takeHashes(members, "path"),
    };
  }
  if (kind === EQUIVOCATION) return { kind, genesis: blob("genesis"), evidence: blob("evidence") };
  if (kind === STATE || kind === LIABILITIES) {
    return {
      kind,
      genesis: blob("genesis"),
      header: blob("header"),
      headerProof: takeProof(members, "header_proof"),
      ...(kind === STATE
        ? { state: takeStateClaim(members.get("state")) }
        : {
            merchant: takeStream(members.get("merchant"), "merchant"),
            claims: takeList(members, "claims").map((item, place) => takeClaim(item, `claims[${place}]`)),
          }),
    };
  }
  const contract = members.get("contract");
  if (typeof contract !== "string" || !CONTRACT.whole.test(contract)) {
    fail("bad_field", `contract is not an id that matches ${CONTRACT.source}`);
  }
  if (kind === RECORD) {
    const first = members.get("first");
    if (typeof first !== "number" || first < 0) fail("bad_field", "first is no position");
    return {
      kind,
      contract,
      first,
      genesis: blob("genesis"),
      header: blob("header"),
      headerProof: takeProof(members, "header_proof"),
      state: takeStateClaim(members.get("state")),
      entries: await takeEntries(members, () => pause(size)),
      range: takeHashes(members, "range"),
      blocks: takeList(members, "blocks").map((item, place) => takeBlock(item, `blocks[${place}]`)),
      parties: takeParties(members),
      question: readQuestion(members.get("question")),
    };
  }
  const file = {
    kind: HISTORY,
    contract,
    genesis: blob("genesis"),
    header: blob("header"),
    headerProof: takeProof(members, "header_proof"),
    state: takeStream(members.get("state"), "state"),
    entries: await takeEntries(members, () => pause(size)),
  };
  file.parties = takeParties(members);
  file.law = null;
  if (kind === CASE) Object.assign(file, takeLaw(members.get("law")));
  file.disclosures = disclosures;
  return file;
}

async function takeEntries(members, pause) {
  const entries = [];
  let bytes = 0;
  for (const [place, item] of takeList(members, "entries").entries()) {
    const entry = decode(item, `entries[${place}]`);
    entries.push(entry);
    bytes += entry.length;
    if (bytes < BYTES_IN_A_ROW && place % 256 !== 255) continue;
    await pause();
    bytes = 0;
  }
  return entries;
}

function takeBlock(value, name) {
  if (!(value instanceof Map)) fail("bad_field", `${name} is not an object`);
  takeMembers(value, `evidence file: ${name}`, BLOCK_MEMBERS);
  return {
    header: decode(value.get("header"), `${name}.header`),
    path: takeHashes(value, "path", `${name}.path`),
  };
}

function takeHashes(members, member, name = member) {
  const value = members.get(member);
  if (!Array.isArray(value)) fail("bad_field", `${name} is not a list`);
  return value.map((item, place) => {
    const node = decode(item, `${name}[${place}]`);
    if (node.length !== HASH_BYTES) {
      fail("bad_field", `${name}[${place}] has ${node.length} bytes and is no hash`);
    }
    return node;
  });
}

/** Take a state value that may be said to be absent. */
function takeStateClaim(value) {
  if (value instanceof Map && value.get("value") === null) {
    const { stream, proof } = takeStream(new Map(value).set("value", ""), "state");
    return { stream, value: null, proof };
  }
  return takeStream(value, "state");
}

/** What the law reads beside the entries, of which only the shape is read here, and what it found. */
function takeLaw(value) {
  if (!(value instanceof Map)) fail("bad_field", "law is not an object");
  const findings = takeFindings(value);
  takeMembers(value, "evidence file: law", LAW_MEMBERS);
  for (const [place, time] of takeList(value, "times").entries()) {
    if (typeof time !== "number" || time < 0) fail("bad_field", `law.times[${place}] is no time`);
  }
  decode(value.get("terms"), "law.terms");
  for (const name of ["merchant", "pages"]) {
    for (const [place, item] of takeList(value, name).entries()) {
      if (!(item instanceof Map) || typeof item.get("position") !== "number") {
        fail("bad_field", `law.${name}[${place}] is no document with a position`);
      }
    }
  }
  return { law: value, findings };
}

/** Take a member that may be absent off, so that the others can be compared exactly. */
function takeFindings(law) {
  if (!law.has(FINDINGS)) return [];
  const listed = law.get(FINDINGS);
  if (!Array.isArray(listed)) fail("bad_field", "law.findings is not a list");
  law.delete(FINDINGS);
  if (listed.length === 0 || listed.length > FINDINGS_MAX) {
    fail("bad_field", `law.findings has ${listed.length}; 1 to ${FINDINGS_MAX} may be`);
  }
  return listed.map((item, place) => {
    const name = `law.findings[${place}]`;
    if (!(item instanceof Map)) fail("bad_field", `${name} is not an object`);
    takeMembers(item, `evidence file: ${name}`, FINDINGS_MEMBERS);
    const position = item.get("position");
    if (typeof position !== "number" || position < 0) {
      fail("bad_field", `${name}.position is no position`);
    }
    return { position, documents: decode(item.get("documents"), `${name}.documents`) };
  });
}

function takeClaim(value, name) {
  if (!(value instanceof Map)) fail("bad_field", `${name} is not an object`);
  takeMembers(value, `evidence file: ${name}`, CLAIM_MEMBERS);
  for (const member of ["place", "locked", "owed"]) {
    const number = value.get(member);
    if (typeof number !== "number" || number < 0) {
      fail("bad_field", `${name}.${member} is not an integer from 0 up`);
    }
  }
  return {
    place: value.get("place"),
    locked: value.get("locked"),
    owed: value.get("owed"),
    name: decode(value.get("name"), `${name}.name`),
    path: takeList(value, "path").map((node, at) => decode(node, `${name}.path[${at}]`)),
    shown: takeShown(value.get("shown"), `${name}.shown`),
  };
}

function takeShown(value, name) {
  if (value === null) return null;
  if (!(value instanceof Map)) fail("bad_field", `${name} is neither null nor an object`);
  takeMembers(value, `evidence file: ${name}`, SHOWN_MEMBERS);
  return {
    contract: takeStream(value.get("contract"), `${name}.contract`),
    signed: takeStream(value.get("signed"), `${name}.signed`),
  };
}

/** Take the one member that may be absent off, so that the others can be compared exactly. */
function takeDisclosures(members) {
  if (!members.has(DISCLOSURES)) return [];
  const listed = takeList(members, DISCLOSURES);
  members.delete(DISCLOSURES);
  if (listed.length === 0 || listed.length > DISCLOSURES_MAX) {
    fail("bad_field", `${DISCLOSURES} has ${listed.length}; 1 to ${DISCLOSURES_MAX} may be`);
  }
  return listed.map((item, place) =>
    readDisclosure(item, `evidence file: ${DISCLOSURES}[${place}]`),
  );
}

/** Take a member that may be absent off, so that the others can be compared exactly. */
function takePostQuantum(members) {
  if (!members.has(POST_QUANTUM)) return null;
  const value = members.get(POST_QUANTUM);
  members.delete(POST_QUANTUM);
  if (!(value instanceof Map)) fail("bad_field", `${POST_QUANTUM} is not an object`);
  takeMembers(value, `evidence file: ${POST_QUANTUM}`, POST_QUANTUM_MEMBERS);
  const checkpoint = value.get("checkpoint");
  if (typeof checkpoint !== "string") fail("bad_field", `${POST_QUANTUM}.checkpoint is not a string`);
  const keys = value.get("keys");
  if (!Array.isArray(keys)) fail("bad_field", `${POST_QUANTUM}.keys is not a list`);
  return {
    checkpoint: toUtf8(checkpoint),
    keys: keys.map((item, place) => decode(item, `${POST_QUANTUM}.keys[${place}]`)),
    path: takeHashes(value, "path", `${POST_QUANTUM}.path`),
  };
}

/** Take a member that may be absent off, so that the others can be compared exactly. */
function takePlatform(members) {
  if (!members.has(PLATFORM)) return null;
  const listed = takeList(members, PLATFORM);
  members.delete(PLATFORM);
  if (listed.length === 0 || listed.length > PLATFORM_MAX) {
    fail("bad_field", `${PLATFORM} has ${listed.length}; 1 to ${PLATFORM_MAX} may be`);
  }
  return listed.map((item, at) => decode(item, `${PLATFORM}[${at}]`));
}

/** Take a member that may be absent off, so that the others can be compared exactly. */
function takeTimestamps(members) {
  if (!members.has(TIMESTAMPS)) return null;
  const value = members.get(TIMESTAMPS);
  members.delete(TIMESTAMPS);
  if (!(value instanceof Map)) fail("bad_field", `${TIMESTAMPS} is not an object`);
  takeMembers(value, `evidence file: ${TIMESTAMPS}`, TIMESTAMPS_MEMBERS);
  const checkpoint = value.get("checkpoint");
  if (typeof checkpoint !== "string") fail("bad_field", `${TIMESTAMPS}.checkpoint is not a string`);
  const path = takeHashes(value, "path", `${TIMESTAMPS}.path`);
  const listed = value.get("tokens");
  if (!Array.isArray(listed)) fail("bad_field", `${TIMESTAMPS}.tokens is not a list`);
  if (listed.length === 0 || listed.length > TOKENS_MAX) {
    fail("bad_field", `${TIMESTAMPS}.tokens has ${listed.length}; 1 to ${TOKENS_MAX} may be`);
  }
  const tokens = listed.map((item, at) => takeToken(item, `${TIMESTAMPS}.tokens[${at}]`));
  // No name has a space, so a name that begins another stands before it.
  const order = tokens.map(({ authority, algorithm }) => `${authority} ${algorithm}`);
  if (order.some((pair, at) => at > 0 && pair <= order[at - 1])) {
    fail(
      "bad_field",
      `${TIMESTAMPS}.tokens are not in the order of authority and algorithm, each pair once`,
    );
  }
  return { checkpoint: toUtf8(checkpoint), path, tokens };
}

function takeToken(value, name) {
  if (!(value instanceof Map)) fail("bad_field", `${name} is not an object`);
  takeMembers(value, `evidence file: ${name}`, TOKEN_MEMBERS);
  const algorithm = value.get("algorithm");
  const authority = value.get("authority");
  if (!ALGORITHMS.includes(algorithm)) {
    fail("bad_field", `${name}.algorithm is none of ${ALGORITHMS.join(", ")}`);
  }
  if (typeof authority !== "string" || !AUTHORITY.whole.test(authority)) {
    fail("bad_field", `${name}.authority is not a name that matches ${AUTHORITY.source}`);
  }
  const raw = decode(value.get("token"), `${name}.token`);
  if (raw.length > TOKEN_BYTES_MAX) {
    fail("too_large", `${name}.token has more than ${TOKEN_BYTES_MAX} bytes`);
  }
  return { algorithm, authority, raw };
}

function takeParties(members) {
  return takeList(members, "parties").map((item, place) => takeStream(item, `parties[${place}]`));
}

function takeStream(value, name) {
  if (!(value instanceof Map)) fail("bad_field", `${name} is not an object`);
  takeMembers(value, `evidence file: ${name}`, STREAM_MEMBERS);
  const stream = value.get("stream");
  if (typeof stream !== "string") fail("bad_field", `${name}.stream is not a string`);
  return {
    stream,
    value: decode(value.get("value"), `${name}.value`),
    proof: decode(value.get("proof"), `${name}.proof`),
  };
}

function takeList(members, name) {
  const value = members.get(name);
  if (!Array.isArray(value)) fail("bad_field", `${name} is not a list`);
  return value;
}

function takeProof(members, name) {
  const value = members.get(name);
  if (typeof value !== "string") fail("bad_field", `${name} is not a string`);
  return toUtf8(value);
}

function decode(value, name) {
  const blob = typeof value === "string" ? fromBase64(value) : null;
  if (blob === null) fail("bad_field", `${name} is not canonical standard base64`);
  return blob;
}

function fail(reason, detail) {
  refuse(reason, `evidence file: ${detail}`);
}
