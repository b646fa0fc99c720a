// The trust root: what the genesis document says, once its hash is the one a person trusts.
//
// From the document follow the validators, an institution's place in the list being its replica
// number; the number f of them that may lie; the quorum; and the name of the log with its keys.

import { fromHex, toHex } from "./bytes.js";
import { ED25519, ED25519_COSIGNATURE, makeKey } from "./checkpoint.js";
import { pattern } from "./formats.js";
import { TAGS, sha256 } from "./hashing.js";
import { quote, quoteValue } from "./quoting.js";
import { refuse } from "./refusal.js";
import { readObject } from "./strict_json.js";
import { takeInteger, writeArray } from "./strict_msgpack.js";

const FORMAT = "evidence-ledger/genesis/v1";
const INSTITUTIONS_MAX = 64;
const KEY = pattern("[0-9a-f]{64}");
const ID = pattern("[a-z0-9][a-z0-9-]{0,47}");
const NETWORK = pattern("[a-z0-9][a-z0-9.-]{0,62}");
const PURPOSES = ["vote", "cosign", "log", "party"];

/** Hash of a genesis document's exact bytes. */
export function computeChainId(document) {
  return sha256(TAGS.chainId, document);
}

/** Read a genesis document; throws `Rejected`. */
export async function readTrustRoot(document) {
  const members = readObject(document, "genesis");
  if (members.get("format") !== FORMAT) {
    fail(`format is ${quoteValue(members.get("format"))}; this verifier reads ${quote(FORMAT)}`);
  }
  const listed = members.get("institutions");
  if (!Array.isArray(listed) || listed.length < 1 || listed.length > INSTITUTIONS_MAX) {
    fail(`institutions is not a list of 1 to ${INSTITUTIONS_MAX}`);
  }
  const institutions = listed.map(readInstitution);
  const ids = institutions.map((one) => one.id);
  if (new Set(ids).size !== ids.length) fail(`institution ids ${quoteValue(ids)} are not distinct`);
  const keys = institutions.flatMap((one) => PURPOSES.map((purpose) => toHex(one.keys[purpose])));
  const distinct = new Set(keys).size;
  if (distinct !== keys.length) fail(`${keys.length} keys, of which only ${distinct} are distinct`);
  const parameters = takeObject(members.get("parameters"), "parameters");
  const chainId = await computeChainId(document);
  const network = takeText(members.get("network"), "network", NETWORK);
  const replayWindowMs = takeInteger(
    parameters.get("replay_window_ms") ?? null,
    "genesis: replay_window_ms",
  );
  const intakeHeights = takeInteger(
    parameters.get("intake_heights") ?? null,
    "genesis: intake_heights",
  );
  const origin = `${network}/${toHex(chainId).slice(0, 16)}`;
  const faultyMax = Math.floor((institutions.length - 1) / 3);
  return {
    chainId,
    network,
    institutions,
    replayWindowMs,
    intakeHeights,
    origin,
    faultyMax,
    quorum: Math.floor((institutions.length + faultyMax) / 2) + 1,
    validatorsHash: await sha256(
      TAGS.validatorSet,
      writeArray(
        institutions.map(({ id, keys: { vote, cosign, log, party } }) => [id, vote, cosign, log, party]),
      ),
    ),
    logKeys: await Promise.all(institutions.map((one) => makeKey(origin, ED25519, one.keys.log))),
    cosignerKeys: await Promise.all(
      institutions.map((one) => makeKey(`${origin}/${one.id}`, ED25519_COSIGNATURE, one.keys.cosign)),
    ),
  };
}

function readInstitution(item) {
  const members = takeObject(item, "an institution");
  const id = takeText(members.get("id"), "an institution's id", ID);
  const name = takeObject(members.get("name"), `${id}: name`);
  const keys = takeObject(members.get("keys"), `${id}: keys`);
  const raw = {};
  for (const purpose of PURPOSES) {
    raw[purpose] = fromHex(takeText(keys.get(purpose), `${id}: ${purpose} key`, KEY));
  }
  return {
    id,
    nameZh: takeText(name.get("zh"), `${id}: name in Chinese`),
    nameEn: takeText(name.get("en"), `${id}: name in English`),
    keys: raw,
    mldsa44:
      (keys.get("mldsa44") ?? null) === null
        ? null
        : fromHex(takeText(keys.get("mldsa44"), `${id}: mldsa44 key's hash`, KEY)),
  };
}

function takeObject(value, name) {
  return value instanceof Map ? value : fail(`${name} is not an object`);
}

function takeText(value, name, form = null) {
  if (typeof value !== "string" || (form !== null && !form.whole.test(value))) {
    fail(`${name} is missing or not as it must be`);
  }
  return value;
}

function fail(detail) {
  refuse("bad_field", `genesis: ${detail}`);
}
