// Facts: what somebody put on the ledger about a contract, each the content of one transaction.
//
// A fact has its entry's position, when it happened and when it was recorded, who said it in which role,
// and what it says. The tables below are the vocabulary of docs/TERMS.md. Nobody settles a question by
// speaking for himself: a finding counts from those who can find, and what helps the one who says it is
// only claimed.

import { Fields, MS_MAX, refuseLaw } from "./law_fields.js";
import { CAUSES, UNITS_MAX } from "./law_terms.js";
import { INTEGER_MAX } from "./strict_json.js";

export const LOCKED = "funds.locked";
export const FROZEN = "funds.frozen";
export const BOTH = "both";

const AUTHORITY = ["court", "arbitrator", "regulator"];
const FINDERS = [...AUTHORITY, BOTH];
const ANYBODY = [
  "consumer", "merchant", "custodian", "issuer", "platform", "consumer_council", "district",
  "regulator", "arbitrator", "court", BOTH,
];
/** Facts of one contract. */
const FACTS_MAX = 100_000;

// How a member is read.

const word = (fields, name) => fields.word(name);
const optionalWord = (fields, name) => fields.optional(name, word);
const fen = (fields, name) => fields.fen(name);
const someFen = (fields, name) => fields.fen(name, 1);
const flag = (fields, name) => fields.flag(name);
const hash = (fields, name) => fields.hash(name);
const day = (fields, name) => fields.day(name);
const within = (lowest, highest) => (fields, name) => fields.integer(name, lowest, highest);
const position = within(0, INTEGER_MAX);
const total = (fields, name) => BigInt(position(fields, name));
const optionalMs = (fields, name) => fields.optional(name, within(0, MS_MAX));
const oneOf = (...choices) => (fields, name) => fields.choice(name, choices);
const inner = (shape) => (fields, name) => readShape(shape, fields.object(name));
const each = (shape, most) => (fields, name) => {
  return fields.objects(name, (held) => readShape(shape, held), most);
};
const standing = oneOf("claim", "finding");

const NOTHING = {};
const AMOUNT = { amount: someFen };
const OF = { of: position };
const NOTIFIED = { effective: day };
const PERSONS = {
  party: word,
  merchant: word,
  age_band: oneOf("adult", "8_to_17", "under_8", "unknown"),
  payer: optionalWord,
  beneficiary: optionalWord,
  holder: optionalWord,
  guardian: optionalWord,
  lender: optionalWord,
  franchisor: optionalWord,
  landlord: optionalWord,
  liquidation_obligor: optionalWord,
};

/** Every kind of entry that states a fact: the roles that may state it, the first counting, and its data. */
const KINDS = new Map([
  ["contract.signed", [["merchant", BOTH], {
    terms: hash,
    persons: inner(PERSONS),
    card: oneOf("named", "bearer"),
    prompted: each({ clause: word, proof: hash }, 64),
  }]],
  [LOCKED, [["custodian", "merchant", BOTH], {
    amount: fen,
    bonus: fen,
    vouchers: each({ issuer: word, amount: someFen }, 16),
    custody: oneOf("none", "held", "ordered"),
    account: optionalWord,
    channel: oneOf("ecny", "transfer", "wechat", "alipay", "bank_card", "cash", "loan"),
  }]],
  ["funds.released", [["custodian"], AMOUNT]],
  [FROZEN, [AUTHORITY, { amount: within(1, INTEGER_MAX), until: optionalMs }]],
  ["funds.unfrozen", [AUTHORITY, OF]],
  ["interest.accrued", [["custodian"], AMOUNT]],
  ["interest.paid", [["custodian"], { amount: someFen, payee: word }]],
  ["card.activated", [["merchant", BOTH], NOTHING]],
  ["service.delivered", [["merchant", BOTH], {
    item: word, units: within(0, UNITS_MAX), debited: fen,
  }]],
  ["delivery.answered", [["consumer", "merchant", BOTH, "custodian", "platform"], {
    of: position, answer: oneOf("confirmed", "silence", "objected", "reversed"),
  }]],
  ["gift.given", [["merchant", BOTH], { item: word, worth: fen }]],
  ["price.changed", [["merchant", BOTH], { item: word, price: fen }]],
  ["premises.moved", [ANYBODY, NOTHING]],
  ["obligation.transferred", [ANYBODY, NOTHING]],
  ["service.stopped", [ANYBODY, NOTHING]],
  ["service.resumed", [ANYBODY, NOTHING]],
  ["cooling_off.requested", [["consumer"], NOTHING]],
  ["prior_use.stated", [ANYBODY, {
    from: oneOf("none", "this_merchant", "other_merchant"), standing,
  }]],
  ["termination.requested", [["consumer", "merchant"], { cure_until: optionalMs }]],
  ["notice.arrived", [
    ["merchant", "consumer", "custodian", "platform", ...AUTHORITY, BOTH], OF,
  ]],
  ["complaint.served", [["court", "arbitrator"], NOTHING]],
  ["termination.agreed", [[BOTH], NOTHING]],
  ["termination.judged", [["court", "arbitrator"], { day }]],
  ["invalidity.found", [["court", "arbitrator"], {
    ground: oneOf("capacity", "void", "revoked", "not_effective"),
  }]],
  ["cause.stated", [ANYBODY, { cause: oneOf(...CAUSES), standing }]],
  ["ground.stated", [ANYBODY, {
    ground: oneOf(
      "premises_moved", "obligation_transferred", "unlimited_not_available", "grave_change",
      "breach", "agreed_ground", "other",
    ),
    standing,
  }]],
  ["deduction.claimed", [["merchant"], NOTHING]],
  ["minor_service.stated", [ANYBODY, { unlawful: flag, standing }]],
  ["price.disputed", [["consumer"], NOTHING]],
  ["sales_records.produced", [["merchant"], {
    items: (fields, name) => fields.words(name, null, true),
  }]],
  ["market_price.stated", [ANYBODY, { item: word, price: fen, standing }]],
  ["assignment.notified", [["consumer", BOTH], { assignee: word, whole: flag }]],
  ["actual_rate.requested", [["consumer"], NOTHING]],
  ["refund.paid", [["custodian", "merchant", "consumer", ...AUTHORITY, BOTH], {
    amount: someFen, source: oneOf("custody", "merchant"), payee: word,
  }]],
  ["card.lost", [["consumer", BOTH], NOTHING]],
  ["card.reissued", [["merchant", BOTH], OF]],
  ["balance.forfeited", [["merchant"], AMOUNT]],
  ["records.requested", [ANYBODY, { until: day }]],
  ["records.produced", [["merchant", "custodian"], OF]],
  ["records.refused", [["merchant"], { of: position, reason: word }]],
  ["risk.declared", [["merchant", "regulator", "district"], NOTHING]],
  ["risk.lifted", [["regulator", "district"], NOTHING]],
  ["closing.notified", [["merchant"], NOTIFIED]],
  ["moving.notified", [["merchant"], NOTIFIED]],
  ["balance.reported", [["merchant", "custodian"], {
    quarter_end: day,
    balance: total,
    custody: total,
    issuer_class: oneOf("scale", "group", "brand", "other"),
  }]],
  ["business.closed", [ANYBODY, NOTHING]],
  ["liquidation.opened", [ANYBODY, NOTHING]],
]);

/** Who may state each kind of fact, the first of his roles counting. */
export const FACT_ROLES = new Map([...KINDS].map(([kind, [roles]]) => [kind, roles]));

/** What a fact may be about. */
const REFERS = new Map([
  ["delivery.answered", ["service.delivered"]],
  ["notice.arrived", ["termination.requested", "cooling_off.requested", "assignment.notified"]],
  ["funds.unfrozen", [FROZEN]],
  ["card.reissued", ["card.lost"]],
  ["records.produced", ["records.requested"]],
  ["records.refused", ["records.requested"]],
]);

/** Whose word is enough for what helps the other side. */
const ADMITS = new Map([
  ["service.stopped", ["merchant", "district", ...FINDERS]],
  ["service.resumed", ["consumer", "district", ...FINDERS]],
  ["refund.paid", ["consumer", "custodian", ...FINDERS]],
]);

/** When it was recorded, where the merchant alone says when it happened; else when it happened. */
export function latestOf({ role, recorded, at }) {
  return role === "merchant" ? recorded : at;
}

/** Whether a fact settles its question. */
export function isFinding({ data, role }) {
  return data.standing === "finding" && FINDERS.includes(role);
}

/** Whether whoever states it states it against himself, or can find it. */
export function isAdmitted({ kind, data, role }) {
  if (kind === "refund.paid" && data.source === "custody") return role === "custodian";
  return ADMITS.get(kind).includes(role);
}

/** One fact out of its document; refuses what is none. */
export function readFact(document, path) {
  const outer = new Fields(document, path);
  const kind = outer.choice("kind", [...KINDS.keys()]);
  const role = outer.choice("role", ANYBODY);
  const [roles, shape] = KINDS.get(kind);
  if (!roles.includes(role)) {
    refuseLaw(`${path}: ${kind} is stated by ${role}; ${roles.join(" or ")} is expected`);
  }
  const fact = {
    kind,
    role,
    position: outer.integer("position", 0, INTEGER_MAX),
    at: outer.ms("at"),
    recorded: outer.ms("recorded"),
    author: outer.word("author"),
    data: readShape(shape, outer.object("data")),
  };
  outer.end();
  return fact;
}

function readShape(shape, fields) {
  const held = {};
  for (const [name, read] of Object.entries(shape)) held[name] = read(fields, name);
  fields.end();
  return held;
}

/**
 * A contract's facts in the order in which they happened, its merchant's among them; `read` is as
 * `readFact`. Refuses a position twice, another number of contracts than one, and what speaks of an
 * entry that it cannot be about.
 */
export function readFacts(documents, read = readFact) {
  if (documents.length > FACTS_MAX) {
    refuseLaw(`${documents.length} facts; at most ${FACTS_MAX} of a contract are taken`);
  }
  const facts = documents.map((document, place) => read(document, `facts[${place}]`));
  const known = new Map(facts.map((fact) => [fact.position, fact]));
  if (known.size !== facts.length) refuseLaw("two facts have one position; each entry is one fact");
  for (const fact of facts) checkReference(fact, known);
  for (const fact of facts) {
    if (fact.kind === "notice.arrived" && fact.role === known.get(fact.data.of).role) {
      refuseLaw(
        `the notice.arrived at entry ${fact.position} is stated by ${fact.role}, who sent the ` +
          "notice; whoever received it, or a third, says that it arrived",
      );
    }
  }
  const signed = facts.filter(({ kind }) => kind === "contract.signed").length;
  if (signed !== 1) refuseLaw(`${signed} facts are contract.signed; exactly one is expected`);
  return facts.sort((one, other) => one.at - other.at || one.position - other.position);
}

function checkReference({ kind, data, position: own, role }, known) {
  if (kind === "delivery.answered") {
    const side = { reversed: "merchant", objected: "consumer" }[data.answer];
    if (side !== undefined && role !== side && role !== BOTH) {
      refuseLaw(
        `the delivery.answered at entry ${own} says ${data.answer} and is stated by ${role}; ` +
          `${side} or both is expected`,
      );
    }
  }
  const targets = REFERS.get(kind);
  if (targets === undefined) return;
  const found = known.get(data.of)?.kind;
  if (!targets.includes(found)) {
    refuseLaw(
      `the ${kind} at entry ${own} is about entry ${data.of}, which is ` +
        `${found ?? "no fact of this contract"}; ${targets.join(" or ")} is expected`,
    );
  }
}
