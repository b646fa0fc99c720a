// A contract's terms: what is sold, for how much, and what the parties agreed (docs/TERMS.md).
//
// The whole document is read and whatever is not exactly of its shape is refused; kept is what a figure
// can depend on. Amounts are BigInts in fen.

import { Fields, PPM_MAX, WORD_CHARS_MAX, refuseLaw } from "./law_fields.js";
import { fraction } from "./law_fractions.js";
import { quote } from "./quoting.js";
import { readObject } from "./strict_json.js";

export const CAUSES = ["merchant", "neither", "consumer"];
export const UNITS_MAX = 100_000;
/** A period's own name among the items that have a price. */
export const PASS = "pass";

const BYTES_MAX = 32 * 1024;
const LENGTH_MAX = 3_660;
const INDUSTRIES = [
  "training", "catering", "housekeeping", "fitness", "vocational", "culture_sports", "pets",
  "hair_beauty", "driving", "car_wash",
];
const EFFECTS = [
  "none", "no_refund", "no_transfer", "no_reissue", "unilateral_change", "no_liability",
  "costly_dispute", "unfair_other",
];
const DEALS = [
  "counted_units", "stored_value", "stored_value_bonus", "period_pass", "unlimited", "milestone",
];

export function isOfUnits({ kind }) {
  return kind === "counted_units" || kind === "milestone";
}

export function isStored({ kind }) {
  return kind === "stored_value" || kind === "stored_value_bonus";
}

export function isOfPeriod({ kind }) {
  return kind === "period_pass" || kind === "unlimited";
}

/** The terms that these bytes spell; refuses anything else. */
export function readTerms(raw) {
  if (raw.length > BYTES_MAX) {
    refuseLaw(`terms: ${raw.length} bytes; at most ${BYTES_MAX} are allowed`);
  }
  const fields = new Fields(readObject(raw, "terms"), "terms");
  fields.format("evidence-ledger/terms", 1);
  const items = fields.objects("items", readItem);
  checkUnique(items, "terms.items");
  const deal = readDeal(fields.object("deal"));
  for (const { item } of deal.lines ?? deal.prices ?? []) {
    if (!items.includes(item)) {
      refuseLaw(`terms.deal sells the item ${quote(item)}, which terms.items does not name`);
    }
  }
  const template = fields.object("template");
  template.word("id");
  template.integer("version", 1, 1_000_000);
  template.end();
  const expiry = fields.object("expiry");
  expiry.optional("months", (held, name) => held.integer(name, 1, LENGTH_MAX));
  expiry.choice("after", ["reactivates", "extends", "forfeits"]);
  expiry.end();
  const disputes = fields.object("disputes");
  disputes.choice("forum", ["statutory", "merchant_court", "arbitration"]);
  readWords(disputes);
  const basis = fields.object("legal_basis");
  basis.word("custody");
  readWords(basis);
  const refund = fields.object("refund");
  refund.integer("within_days", 0, 365);
  readWords(refund);
  readWords(fields.object("liability"));
  readWords(fields.object("title"));
  checkUnique(fields.objects("clauses", readClause, 64), "terms.clauses");
  const rounding = readRounding(fields.object("rounding"));
  const owner = fields.has("account_interest")
    ? fields.choice("account_interest", ["consumer", "merchant"])
    : "consumer";
  fields.choice("industry", INDUSTRIES);
  readRelease(fields.object("release"));
  const coolingOff = readCoolingOff(fields.object("cooling_off"));
  const interest = readInterest(fields.object("interest"));
  const debts = fields.choice("debts", ["interest_first", "principal_first"]);
  const agreements = fields.objects("agreements", readAgreement, 16);
  const spendOrder = fields.choice(
    "spend_order", ["unsaid", "proportional", "bonus_first", "principal_first"],
  );
  const voucher = fields.choice("voucher", ["unsaid", "pro_rata", "voucher_first"]);
  const notices = fields.choice("notices", ["ledger", "other"]);
  const closes = fields.optional("closes", (held, name) => held.integer(name, 0, 24 * 60 - 1));
  fields.choice("price_changes", ["with_consent", "unilateral"]);
  fields.choice("transfer", ["free", "consent", "forbidden"]);
  fields.choice("reissue", ["free", "at_cost", "none"]);
  fields.end();
  return {
    deal, rounding, coolingOff, interest, debts, agreements, spendOrder, voucher, notices, closes,
    interestOwner: owner,
  };
}

function readWords(fields) {
  fields.text("en");
  fields.text("zh");
  fields.end();
}

function readItem(fields) {
  const id = fields.word("id");
  readWords(fields);
  return id;
}

function readClause(fields) {
  const prompt = fields.object("prompt");
  const id = fields.word("id");
  fields.text("en", undefined, 1);
  fields.text("zh", undefined, 1);
  fields.words("effects", EFFECTS);
  fields.flag("burdensome");
  readWords(prompt);
  fields.end();
  return id;
}

function readRounding(fields) {
  const mode = fields.choice("mode", ["half_up", "half_even", "up", "down"]);
  const unit = BigInt(fields.integer("unit", 1, 100));
  fields.end();
  return { mode, unit };
}

function readRelease(fields) {
  fields.choice("every", ["unit", "week", "month", "milestone"]);
  fields.integer("frozen_ppm", 0, PPM_MAX);
  fields.end();
}

function readCoolingOff(fields) {
  const days = fields.integer("days", 0, 365);
  const despitePrior = fields.flag("despite_prior");
  const use = fields.choice("use", ["unsaid", "not_deducted", "discounted", "undiscounted"]);
  fields.end();
  return { days, despitePrior, use };
}

function readInterest(fields) {
  const ppm = fields.optional("ppm", (held, name) => held.integer(name, 0, PPM_MAX));
  const basis = fields.choice("basis", ["365", "360", "actual"]);
  const firstDay = fields.flag("first_day");
  const lastDay = fields.flag("last_day");
  const start = fields.choice("start", ["ended", "request", "first_payment", "formation"]);
  fields.end();
  return { ppm, basis, firstDay, lastDay, start };
}

function readAgreement(fields) {
  const when = fields.words("when", CAUSES);
  if (when.length === 0) fields.refuse("when", "is empty; at least one cause is expected");
  const what = fields.choice("what", ["value_at", "prices", "share", "fee"]);
  const agreement = { when, what };
  if (what === "value_at") {
    agreement.basis = fields.choice("basis", ["discounted", "undiscounted"]);
  } else if (what === "prices") {
    const rows = fields.objects("prices", readAgreedPrice, undefined, 1);
    checkUnique(rows.map(([item]) => item), `${fields.path}.prices`);
    agreement.prices = new Map(rows);
  } else {
    const under = fields.integer("den", 1, PPM_MAX);
    agreement.share = fraction(fields.integer("num", 0, under), under);
  }
  fields.end();
  return agreement;
}

function readAgreedPrice(fields) {
  const row = [fields.word("item"), fields.fen("price")];
  fields.end();
  return row;
}

function readDeal(fields) {
  const kind = fields.choice("kind", DEALS);
  const deal = { kind };
  if (isOfUnits(deal)) {
    deal.lines = fields.objects("lines", (held) => readLine(held, kind), undefined, 1);
    checkUnique(deal.lines.map(({ item }) => item), `${fields.path}.lines`);
  } else if (isStored(deal)) {
    deal.prices = fields.objects("prices", readPrice);
    checkUnique(deal.prices.map(({ item }) => item), `${fields.path}.prices`);
    if (kind === "stored_value_bonus") fields.objects("tiers", readTier, 32, 1);
  } else {
    deal.price = fields.fen("price", 1);
    deal.undiscounted = fields.optionalFen("undiscounted");
    checkDiscount(fields, deal.undiscounted, deal.price);
    deal.term = readTerm(fields.object("term"));
  }
  fields.end();
  return deal;
}

function readLine(fields, kind) {
  const most = kind === "milestone" ? [1, 0] : [UNITS_MAX, UNITS_MAX];
  const line = {
    item: fields.word("item"),
    amount: fields.fen("amount"),
    units: BigInt(fields.integer("units", 1, most[0])),
    bonus: BigInt(fields.integer("bonus", 0, most[1])),
    undiscounted: fields.optionalFen("undiscounted"),
  };
  checkDiscount(fields, line.undiscounted, line.amount, line.units);
  fields.end();
  return line;
}

function readPrice(fields) {
  const row = {
    item: fields.word("item"),
    price: fields.fen("price"),
    undiscounted: fields.optionalFen("undiscounted"),
  };
  checkDiscount(fields, row.undiscounted, row.price);
  fields.end();
  return row;
}

function readTier(fields) {
  fields.fen("pay", 1);
  fields.fen("bonus");
  fields.end();
}

function readTerm(fields) {
  const isOnDay = fields.choice("begins", ["on_day", "activation"]) === "on_day";
  const start = isOnDay ? fields.day("start") : null;
  const unit = fields.choice("unit", ["day", "month"]);
  const most = unit === "day" ? LENGTH_MAX : Math.floor(LENGTH_MAX / 30);
  const length = fields.integer("length", 1, most);
  const countedIn = fields.choice("counted_in", unit === "day" ? ["day"] : ["day", "month"]);
  const last = fields.choice("last", ["used", "remaining"]);
  fields.end();
  return { start, unit, length, countedIn, last };
}

/** The price before discount of one is not below `amount` for so many. */
function checkDiscount(fields, undiscounted, amount, units = 1n) {
  if (undiscounted !== null && undiscounted * units < amount) {
    fields.refuse(
      "undiscounted",
      `is ${undiscounted} fen, less than the price of one; null is expected where there is no discount`,
    );
  }
}

function checkUnique(names, path) {
  const twice = names.find((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (twice !== undefined) refuseLaw(`${path} has ${quote(twice, WORD_CHARS_MAX)} more than once`);
}
