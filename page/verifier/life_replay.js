// The contract under terms, its books replayed from its entries by a third reading.
//
//     locked + released + refunded = deposited + interest
//
// Every applied entry that moves money must state the balances it led to, nothing is moved that was
// not locked, and the end must be the record in the state.

import { show } from "./quoting.js";
import { NotRun } from "./refusal.js";
import { checkRefusal, compareWithState, fail } from "./replaying.js";

export const SIGNED = "contract.signed";

const RECORD_VERSION = 1;
const RECORD_FIELDS = 27;
const PARTIES = ["merchant", "custodian", "consumer_party"];
const AMOUNTS = [
  "paid", "vouchers", "bonus", "deposited", "interest", "locked", "released", "refunded", "repaid",
  "debited", "deliveries",
];

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
      books = { parties: {}, amounts: {} };
      for (const name of PARTIES) books.parties[name] = String(body.data.get(name) ?? "");
      for (const name of AMOUNTS) books.amounts[name] = 0;
      continue;
    }
    if (books === null) fail(place, "合同尚未订立", "the contract was not signed");
    const effects = new Map(entry.outcome.effects);
    move(place, body, effects, books);
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
  } else if (kind === "service.delivered") {
    amounts.debited += int(place, data, "debited");
    amounts.deliveries += 1;
  } else if (kind === "refund.paid" && effects.get("finding") !== "claimed_only") {
    const amount = int(place, data, "amount");
    if (data.get("source") === "custody") take(place, amounts, amount, "refunded");
    else amounts.repaid += amount;
  }
}

function int(place, data, name) {
  const value = data.get(name);
  if (typeof value !== "number") fail(place, `${name} 不是整数`, `${name} is no whole number`);
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
  ]);
}
