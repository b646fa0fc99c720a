// What a contract's facts come to: paid, delivered, in custody, and when notices arrived.
//
// Nothing that is open is decided: a delivery the consumer objects to is kept with that mark, a rise
// that not both signed changes no price (art. 12), a merchant's own voucher is bonus and no payment. Silence
// withdraws no objection. Money is BigInt, in fen.

import { BOTH, LOCKED, isFinding, latestOf } from "./law_facts.js";
import { dayOf } from "./law_days.js";
import { least, most } from "./law_fractions.js";
import { isStored } from "./law_terms.js";

/** A contract's facts, folded; `facts` in the order in which they happened. */
export class Account {
  #kinds = new Map();
  #arrivals = new Map();

  constructor(terms, facts) {
    this.terms = terms;
    for (const fact of facts) {
      if (!this.#kinds.has(fact.kind)) this.#kinds.set(fact.kind, []);
      this.#kinds.get(fact.kind).push(fact);
    }
    [this.signed] = this.of("contract.signed");
    this.#foldPayments();
    for (const { data, at } of this.of("notice.arrived")) {
      if (!this.#arrivals.has(data.of)) this.#arrivals.set(data.of, at);
    }
    this.deliveries = foldDeliveries(this, facts);
  }

  /** The facts of a kind, in the order in which they happened. */
  of(kind) {
    return this.#kinds.get(kind) ?? [];
  }

  has(kind) {
    return this.#kinds.has(kind);
  }

  /** The fact of a kind that was recorded last, perhaps of some alone; or undefined. */
  latest(kind, isTaken = () => true) {
    return lastRecorded(this.of(kind).filter(isTaken));
  }

  latestFinding(kind) {
    return chooseFinding(this.of(kind));
  }

  /** When a notice arrived (civil code 137), never before it was sent, in ms; null while it did not. */
  arrivalOf({ position, at, recorded }) {
    const stated = this.#arrivals.get(position);
    const arrived = stated === undefined ? null : Math.max(stated, at);
    if (this.terms.notices !== "ledger") return arrived;
    return arrived === null ? recorded : Math.min(arrived, recorded);
  }

  /** When the contract was made, by an answer to which day counts. */
  formedAt(answer) {
    return answer === "dated" ? this.signed.at : latestOf(this.signed);
  }

  /** When a pass was used first, by an answer to which day counts; null while it was not. */
  activatedAt(answer) {
    const times = this.of("card.activated").map((fact) => {
      return answer === "dated" ? fact.at : latestOf(fact);
    });
    return times.length === 0 ? null : times.reduce((one, other) => Math.min(one, other));
  }

  #foldPayments() {
    const { merchant } = this.signed.data.persons;
    const issuers = new Map();
    this.payments = [];
    this.accountId = null;
    let [own, inCustody] = [0n, 0n];
    this.ordered = 0n;
    this.bonus = 0n;
    for (const fact of this.of(LOCKED)) {
      const { amount, vouchers, custody, account } = fact.data;
      let [paid, bonus] = [amount, fact.data.bonus];
      for (const voucher of vouchers) {
        if (voucher.issuer === merchant) {
          bonus += voucher.amount;
        } else {
          paid += voucher.amount;
          issuers.set(voucher.issuer, (issuers.get(voucher.issuer) ?? 0n) + voucher.amount);
        }
      }
      own += amount;
      this.bonus += bonus;
      this.payments.push({ at: fact.at, latest: latestOf(fact), paid, bonus });
      if (custody !== "none") inCustody += paid;
      if (custody === "ordered") {
        this.ordered += paid;
        this.accountId ??= account;
      }
    }
    /** What each issuer paid, by the order of their names. */
    this.issuers = [...issuers].sort(([one], [other]) => compareNames(one, other));
    this.vouchers = this.issuers.reduce((sum, [, amount]) => sum + amount, 0n);
    this.paid = own + this.vouchers;
    const [released, interest] = ["funds.released", "interest.accrued"].map((kind) => {
      return this.of(kind).reduce((sum, { data }) => sum + data.amount, 0n);
    });
    const ofPrincipal =
      this.terms.interestOwner === "consumer" ? released : most(0n, released - interest);
    /** In custody and not released. */
    this.pot = most(0n, inCustody - ofPrincipal);
  }
}

/** The finding that stands: the last one, but a regulator's only where nobody else found anything. */
export function chooseFinding(facts) {
  const found = facts.filter(isFinding);
  const heard = found.filter(({ role }) => role !== "regulator");
  return lastRecorded(heard.length > 0 ? heard : found);
}

/** Of some facts the one that was recorded last, or undefined. */
export function lastRecorded(facts) {
  return facts.reduce(
    (last, fact) => (last === undefined || fact.position > last.position ? fact : last),
    undefined,
  );
}

/** What was delivered and not taken back, with what may be charged for it and its price before discount. */
function foldDeliveries(account, facts) {
  const takenBack = new Set();
  const answers = new Map();
  for (const fact of account.of("delivery.answered")) {
    const { of, answer } = fact.data;
    if (answer === "reversed") {
      takenBack.add(of);
    } else if (["consumer", BOTH].includes(fact.role) && answer !== "silence") {
      answers.set(of, lastRecorded([fact, answers.get(of) ?? fact]));
    }
  }
  const { deal } = account.terms;
  const listed = isStored(deal) ? deal.prices : [];
  const prices = new Map(listed.map((row) => [row.item, { ...row, listed: row.price }]));
  const deliveries = [];
  for (const { kind, role, position, at, data } of facts) {
    if (kind === "price.changed" && role === BOTH && prices.has(data.item)) {
      prices.get(data.item).price = data.price;
    } else if (kind === "service.delivered" && !takenBack.has(position)) {
      const units = BigInt(data.units);
      deliveries.push({
        item: data.item,
        day: dayOf(at),
        units,
        isObjected: answers.get(position)?.data.answer === "objected",
        ...priceDelivery(data.debited, units, prices.get(data.item)),
      });
    }
  }
  return deliveries;
}

/** At most the contract's price (art. 12), and the price before discount (art. 19). */
function priceDelivery(debited, units, row) {
  if (row === undefined) return { face: debited, before: debited };
  // What the list said at first is the price before discount of what has none.
  const before = row.undiscounted ?? row.listed;
  return { face: least(debited, units * row.price), before: units * most(before, row.price) };
}

/** Names by their code points. */
function compareNames(one, other) {
  const [left, right] = [[...one], [...other]];
  const place = left.findIndex((character, at) => character !== right[at]);
  if (place < 0) return left.length - right.length;
  return left[place].codePointAt(0) - (right[place]?.codePointAt(0) ?? -1);
}
