// The papers beside a contract's entries: that they are those which the computations read.
//
// A computation of what is owed names, as its `basis`, the hash of the facts it read and of the published
// pages that it could select from; the contract names the hash of its terms. So without any law it is
// found here whether terms, times, facts and pages in the file are the ones, and none is left out, added
// or altered. What follows from them by the law is not derived in this page.

import { concat, fromBase64, toHex, toUtf8 } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { SIGNED } from "./life_replay.js";
import { Refuted } from "./refusal.js";
import { show } from "./quoting.js";

const COMPUTED = "refund.computed";
const LOCKED = "funds.locked";
const FROZEN = "funds.frozen";
const BOTH = "both";
const SERIES = ["lpr_1y", "deposit_1y", "rest_days"];
const ACCOUNT = "account/";

const LEDGER_MEMBERS = [
  "assignee_party", "consumer_party", "counter", "custodian", "device", "merchant", "occurred_at",
  "provenance",
];
/** Further ones of `funds.frozen`: on what authority, and a share that its outcome has as a sum. */
const FREEZE_MEMBERS = ["authority", "document", "legal_basis", "rank", "share_ppm", "starts_at"];

const AUTHORITY = ["court", "arbitrator", "regulator"];
const ANYBODY = [
  "consumer", "merchant", "custodian", "issuer", "platform", "consumer_council", "district",
  "regulator", "arbitrator", "court", BOTH,
];

/** Every kind of entry that states a fact, and the roles in which it is stated, the first one counting. */
export const FACT_ROLES = new Map([
  ["contract.signed", ["merchant", "both"]],
  ["funds.locked", ["custodian", "merchant", "both"]],
  ["funds.released", ["custodian"]],
  ["funds.frozen", AUTHORITY],
  ["funds.unfrozen", AUTHORITY],
  ["interest.accrued", ["custodian"]],
  ["interest.paid", ["custodian"]],
  ["card.activated", ["merchant", "both"]],
  ["service.delivered", ["merchant", "both"]],
  ["delivery.answered", ["consumer", "merchant", "both", "custodian", "platform"]],
  ["gift.given", ["merchant", "both"]],
  ["price.changed", ["merchant", "both"]],
  ["premises.moved", ANYBODY],
  ["obligation.transferred", ANYBODY],
  ["service.stopped", ANYBODY],
  ["service.resumed", ANYBODY],
  ["cooling_off.requested", ["consumer"]],
  ["prior_use.stated", ANYBODY],
  ["termination.requested", ["consumer", "merchant"]],
  ["notice.arrived", ["merchant", "consumer", "custodian", "platform", ...AUTHORITY, "both"]],
  ["complaint.served", ["court", "arbitrator"]],
  ["termination.agreed", ["both"]],
  ["termination.judged", ["court", "arbitrator"]],
  ["invalidity.found", ["court", "arbitrator"]],
  ["cause.stated", ANYBODY],
  ["ground.stated", ANYBODY],
  ["deduction.claimed", ["merchant"]],
  ["minor_service.stated", ANYBODY],
  ["price.disputed", ["consumer"]],
  ["sales_records.produced", ["merchant"]],
  ["market_price.stated", ANYBODY],
  ["assignment.notified", ["consumer", "both"]],
  ["actual_rate.requested", ["consumer"]],
  ["refund.paid", ["custodian", "merchant", "consumer", ...AUTHORITY, "both"]],
  ["card.lost", ["consumer", "both"]],
  ["card.reissued", ["merchant", "both"]],
  ["balance.forfeited", ["merchant"]],
  ["records.requested", ANYBODY],
  ["records.produced", ["merchant", "custodian"]],
  ["records.refused", ["merchant"]],
  ["risk.declared", ["merchant", "regulator", "district"]],
  ["closing.notified", ["merchant"]],
  ["moving.notified", ["merchant"]],
  ["balance.reported", ["merchant", "custodian"]],
  ["business.closed", ANYBODY],
  ["liquidation.opened", ANYBODY],
]);

/**
 * Compare terms, times, facts and pages with what the entries say of them; return how many computations
 * there are. Throws `Refuted` as step 14 does elsewhere.
 */
export async function checkPapers(subject) {
  const { law } = subject.file;
  const stated = await readStated(subject, law);
  let count = 0;
  for (const [place, entry] of stated.entries()) {
    if (entry.kind !== COMPUTED) continue;
    count += 1;
    const derived = await computeBasis(stated.slice(0, place), entry.position, law);
    const said = entry.effects.get("basis");
    if (said !== derived) {
      const shown = said === undefined ? "None" : show(said);
      throw new Refuted(
        "root_mismatch",
        `第 ${entry.position} 号条目所载 basis 为 ${shown}，复算为 ${derived}。`,
        `Entry ${entry.position} states basis ${shown}; derived again it is ${derived}.`,
      );
    }
  }
  return count;
}

/** The entries that took effect, with the time and the roles of their signers. */
async function readStated({ entries, bodies, records }, law) {
  const times = law.get("times");
  if (times.length !== entries.length) {
    throw new Refuted(
      "bad_field",
      `文件有 ${entries.length} 条记录，而时间有 ${times.length} 个。`,
      `The file has ${entries.length} entries and ${times.length} times.`,
    );
  }
  const stated = [];
  let signed = null;
  let consumer = "";
  for (const [place, entry] of entries.entries()) {
    if (entry.outcome.refused) continue;
    const { kind, data, signers, txId } = bodies[place];
    const effects = new Map(entry.outcome.effects);
    if (signed === null) {
      signed = data;
      const terms = toHex(await sha256(fromBase64(law.get("terms"))));
      if (kind !== SIGNED || data.get("terms") !== terms) {
        throw new Refuted(
          "root_mismatch",
          "所附条款不是合同订立时的条款。",
          "The terms in the file are not those that the contract was signed on.",
        );
      }
      consumer = String(data.get("consumer_party") ?? "");
    }
    const roles = signers.map((signer) => findRole(records.get(signer), signed, consumer));
    const position = entry.index;
    stated.push({ position, txId: toHex(txId), recorded: times[place], kind, data, signers, roles, effects });
    if (effects.has("consumer_party")) consumer = String(effects.get("consumer_party"));
    else if (kind === SIGNED) consumer = String(data.get("consumer_party") ?? "");
  }
  return stated;
}

/** A signer's role towards the contract while the consumer signs as `consumer`. */
function findRole({ party, role, registrar }, signed, consumer) {
  for (const member of ["merchant", "custodian"]) {
    if (signed.get(member) === party) return member;
  }
  if (party === consumer) return "consumer";
  if (role === "gateway") return registrar === signed.get("custodian") ? "custodian" : "stranger";
  return role === "bank" || role === "payment" ? "issuer" : role;
}

async function computeBasis(stated, before, law) {
  const earlier = (name) => law.get(name).filter((document) => document.get("position") < before);
  const positions = new Map(stated.map(({ txId, position }) => [txId, position]));
  const facts = stated
    .filter(({ kind }) => FACT_ROLES.has(kind))
    .map((entry) => toFact(entry, positions, before));
  const documents = [...facts, ...earlier("merchant")];
  const series = new Set(SERIES);
  for (const document of documents) {
    const data = document.get("data");
    const account = document.get("kind") === LOCKED && data instanceof Map ? data.get("account") : null;
    if (typeof account === "string") series.add(ACCOUNT + account);
  }
  const pages = earlier("pages").filter((page) => series.has(page.get("series")));
  pages.sort((one, other) => one.get("position") - other.get("position"));
  const hashes = new Map([["facts", await digest(documents)], ["pages", await digest(pages)]]);
  return digest([hashes]);
}

/** The fact that an entry states; throws `Refuted` where it cannot be one. */
function toFact({ position, recorded, kind, data, signers, roles, effects }, positions, before) {
  const allowed = FACT_ROLES.get(kind);
  const isBoth = allowed.includes(BOTH) && roles.includes("merchant") && roles.includes("consumer");
  const role = isBoth ? BOTH : allowed.find((one) => roles.includes(one));
  if (role === undefined) {
    throw refuseFact(
      before,
      `entry ${position}: ${kind} is signed by ${roles.join(", ")}; ${allowed.join(" or ")} is expected`,
    );
  }
  const taken = kind === FROZEN ? [...LEDGER_MEMBERS, ...FREEZE_MEMBERS] : LEDGER_MEMBERS;
  const own = new Map([...data].filter(([name]) => !taken.includes(name)));
  if (kind === SIGNED) {
    own.set("persons", new Map(data.get("persons")).set("merchant", data.get("merchant")));
  } else if (kind === FROZEN) {
    own.set("amount", effects.get("frozen"));
  }
  if (own.has("of")) {
    const of = positions.get(own.get("of"));
    if (of === undefined) {
      throw refuseFact(
        before,
        `entry ${position} speaks of transaction ${show(own.get("of"))}, which is not among the entries`,
      );
    }
    own.set("of", of);
  }
  return new Map([
    ["at", Math.min(data.get("occurred_at") || recorded, recorded)],
    ["author", signers[0]],
    ["data", own],
    ["kind", kind],
    ["position", position],
    ["recorded", recorded],
    ["role", role],
  ]);
}

function refuseFact(before, detail) {
  return new Refuted(
    "bad_field",
    `第 ${before} 号条目：无法复算：${detail}`,
    `Entry ${before} cannot be derived again: ${detail}`,
  );
}

async function digest(documents) {
  return toHex(await sha256(concat(...documents.map((document) => toUtf8(spell(document))))));
}

/** A value that was read from JSON in its one spelling (RFC 8785). */
function spell(value) {
  if (Array.isArray(value)) return `[${value.map(spell).join(",")}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  const names = [...value.keys()].sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${spell(value.get(name))}`).join(",")}}`;
}
