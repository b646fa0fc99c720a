// The contract under terms, its books replayed from its entries by a third reading.
//
//     locked + released + refunded = deposited + interest
//
// Every applied entry that moves money must state the balances it led to, nothing is moved that was
// not locked, and the end must be the record in the state. An assignment that took effect makes the
// assignee's party the consumer's, and from then on interest of the account goes to the assignee.

import { fromHex, toHex } from "./bytes.js";
import { show } from "./quoting.js";
import { NotRun } from "./refusal.js";
import { checkRefusal, compareWithState, fail } from "./replaying.js";
import { INTEGER_MAX } from "./strict_json.js";

export const SIGNED = "contract.signed";

const RECORD_VERSION = 1;
const RECORD_FIELDS = 31;
const PARTIES = ["merchant", "custodian", "consumer_party"];
const AMOUNTS = [
  "paid", "vouchers", "bonus", "deposited", "interest", "locked", "released", "refunded", "repaid",
  "debited", "deliveries",
];
const INTEREST_PAID = "interest_paid";
const CONSUMER = "consumer_party";

/** Whether the first entry that took effect signed a contract under terms. */
export function isUnderTerms(entries, bodies) {
  const first = entries.findIndex((entry) => !entry.outcome.refused);
  return first >= 0 && bodies[first].kind === SIGNED;
}

/** The amounts in fen that the entries lead to, and the parties; throws `Refuted` or `NotRun`. */
export async function foldLife(entries, bodies, pause) {
  let books = null;
  for (const [place, entry] of entries.entries()) {
    const body = bodies[place];
    if (place % 512 === 511) await pause(place, entries.length);
    if (entry.outcome.refused) {
      checkRefusal(place, entry, body, books === null ? 0 : books.amounts.locked);
      continue;
    }
    if (body.version !== 1) {
      throw new NotRun(
        `第 ${place + 1} 条适用 ${body.kind} 第 ${body.version} 版规则，本核验程序不认识。`,
        `entries[${place}] ran under ${body.kind} version ${body.version}, which this verifier does not know.`,
      );
    }
    if (body.kind === SIGNED) {
      if (books !== null) fail(place, "合同已订立", "the contract was already signed");
      const persons = body.data.get("persons");
      const holder = persons instanceof Map ? persons.get("party") : null;
      books = { parties: {}, amounts: { [INTEREST_PAID]: 0 }, holder, notified: new Map(), assigned: [] };
      for (const name of PARTIES) books.parties[name] = textOf(body.data, name);
      for (const name of AMOUNTS) books.amounts[name] = 0;
      continue;
    }
    if (books === null) fail(place, "合同尚未订立", "the contract was not signed");
    const effects = new Map(entry.outcome.effects);
    move(place, body, effects, books);
    for (const name of AMOUNTS) {
      if (books.amounts[name] > INTEGER_MAX) {
        fail(place, `${name} 超过上限`, `${name} is more than the bound allows`);
      }
    }
    assign(place, body, effects, books);
    for (const [name, value] of effects) {
      if (Object.hasOwn(books.amounts, name) && value !== books.amounts[name]) {
        fail(
          place,
          `所载 ${name} 为 ${show(value)}，复算为 ${books.amounts[name]}（分）`,
          `it states ${name} ${show(value)}, but the entries give ${books.amounts[name]} (fen)`,
        );
      }
    }
  }
  return books;
}

/** The same, compared with the record in the state. */
export async function replayLife(entries, bodies, record, pause) {
  const books = await foldLife(entries, bodies, pause);
  compare(books, record);
  return books;
}

/** A member as text, whatever stands there; empty where nothing does. */
export function textOf(data, name) {
  return data.has(name) ? show(data.get(name)) : "";
}

function move(place, { kind, data }, effects, books) {
  const { amounts } = books;
  if (kind === "funds.locked") {
    let [vouchers, own] = [0, 0];
    const listed = data.get("vouchers");
    for (const voucher of Array.isArray(listed) ? listed : [null]) {
      const fields = voucher instanceof Map ? voucher : new Map();
      const amount = int(place, fields, "amount");
      if (fields.get("issuer") === books.parties.merchant) own += amount;
      else vouchers += amount;
    }
    const paid = int(place, data, "amount") + vouchers;
    const kept = data.get("custody") === "none" ? 0 : paid;
    amounts.paid += paid;
    amounts.vouchers += vouchers;
    amounts.bonus += int(place, data, "bonus") + own;
    amounts.deposited += kept;
    amounts.locked += kept;
  } else if (kind === "interest.accrued") {
    const amount = int(place, data, "amount");
    amounts.interest += amount;
    amounts.locked += amount;
  } else if (kind === "funds.released") {
    take(place, amounts, int(place, data, "amount"), "released");
  } else if (kind === "interest.paid") {
    const amount = int(place, data, "amount");
    const left = amounts.interest - amounts[INTEREST_PAID];
    const payee = data.get("payee");
    if (amount > left || typeof payee !== "string" || payee !== books.holder) {
      fail(
        place,
        `支付账户利息 ${amount} 分，而未付利息仅 ${left} 分，或收款人并非债权人`,
        `${amount} fen of interest were paid, where ${left} were left, or not to whoever holds the claim`,
      );
    }
    take(place, amounts, amount, "refunded");
    amounts[INTEREST_PAID] += amount;
  } else if (kind === "service.delivered") {
    amounts.debited += int(place, data, "debited");
    amounts.deliveries += 1;
  } else if (kind === "refund.paid" && effects.get("finding") !== "claimed_only") {
    const amount = int(place, data, "amount");
    if (data.get("source") === "custody") take(place, amounts, amount, "refunded");
    else amounts.repaid += amount;
  }
}

/** Follow an assignment: what took effect is one that was notified, and takes effect once. */
function assign(place, { kind, data, txId }, effects, books) {
  const isNotice = kind === "assignment.notified";
  const id = isNotice ? toHex(txId) : show(data.get("of"));
  if (isNotice) books.notified.set(id, [data.get("assignee") ?? null, textOf(data, "assignee_party")]);
  const known = books.notified.get(id);
  if (!effects.has(CONSUMER)) {
    const took = books.assigned.some(([txId]) => toHex(txId) === id);
    if (kind === "notice.arrived" && known !== undefined && !took) {
      fail(place, "债权转让通知到达而受让人未生效", "a notice of assignment arrived without effect");
    }
    return;
  }
  const made = effects.get(CONSUMER);
  const isOne = (isNotice || kind === "notice.arrived") && known !== undefined;
  if (!isOne || (effects.get("assignee") ?? null) !== known[0] || made !== known[1]) {
    fail(
      place,
      `所载消费者主体 ${show(made)} 不是所通知的受让人`,
      `it makes ${show(made)} the consumer, which no notice of assignment names`,
    );
  }
  books.holder = known[0];
  books.assigned.push([fromHex(id), known[0], books.parties[CONSUMER]]);
  books.parties[CONSUMER] = known[1];
}

function int(place, data, name) {
  const value = data.get(name);
  if (typeof value !== "number" || value < 0) {
    fail(place, `${name} 不是非负整数`, `${name} is no whole number from 0`);
  }
  return value;
}

function take(place, amounts, amount, name) {
  if (amount > amounts.locked) {
    fail(
      place,
      `动用 ${amount} 分，而锁定余额仅 ${amounts.locked} 分`,
      `${amount} fen were moved, but only ${amounts.locked} were locked`,
    );
  }
  amounts.locked -= amount;
  amounts[name] += amount;
}

function compare(books, record) {
  const isKnown =
    record !== null &&
    record[0] === "contract" &&
    record[1] === RECORD_VERSION &&
    record.length === RECORD_FIELDS;
  if (!isKnown) {
    throw new NotRun(
      "链上状态的格式本核验程序不认识。",
      "The state's record is not of a version this verifier knows.",
    );
  }
  compareWithState([
    ...PARTIES.map((name, at) => [name, record[2 + at], books.parties[name]]),
    ...AMOUNTS.map((name, at) => [name, record[8 + at], books.amounts[name]]),
    [INTEREST_PAID, record[26], books.amounts[INTEREST_PAID]],
    ["assigned", record[28], books.assigned],
  ]);
}
