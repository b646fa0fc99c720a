// What was delivered is worth: arts 15, 18, 19 and 22 of 法释〔2025〕4号.
//
//     units      Σ units × amount/(units bought + bonus)      at the discounted price (18)
//                Σ units × price before discount              (19)
//     card       face × paid/(paid + bonus)                   at the ratio (18(2))
//     period     price × used/whole                           and of unlimited use what remains (22)
//
// Exact; null where a price is not known. A basis is a word, and for agreed prices the list of them.

import { chooseFinding, lastRecorded } from "./law_account.js";
import { BOTH } from "./law_facts.js";
import { add, fraction, greater, smaller, subtract, times } from "./law_fractions.js";
import { computeUsed } from "./law_period.js";
import { PASS, isOfPeriod, isOfUnits, isStored } from "./law_terms.js";

const BY_ORDER = ["bonus_first", "principal_first"];
/** The questions whose answers a value depends on. */
const TOUCHING = [
  "disputed", "after_end", "bonus_units", "topups", "stopped", "resumed", "interruption", "activation_day",
];
const ZERO = fraction(0n);

/** Values one contract's deliveries. */
export class Valuation {
  #known = new Map();
  #market = new Map();
  #tallies = new Map();

  constructor(account) {
    this.account = account;
    const { deal } = account.terms;
    this.shown = findShown(account);
    /** Everything that has a price. */
    this.items = isOfPeriod(deal) ? [PASS] : (deal.lines ?? deal.prices).map(({ item }) => item);
    for (const [item, rows] of groupBy(account.of("market_price.stated"), ({ data }) => data.item)) {
      this.#market.set(item, findMarketPrice(rows));
    }
  }

  /** What counts as delivered of a contract that ended on a day, by item. */
  #tallyOf({ disputed, after_end: afterEnd }, until) {
    const last = afterEnd === "not_counted" ? until : Infinity;
    const key = `${disputed} ${last}`;
    if (!this.#tallies.has(key)) {
      const taken = this.account.deliveries.filter(({ isObjected, day }) => {
        return (disputed === "counted" || !isObjected) && day <= last;
      });
      this.#tallies.set(key, tally(taken));
    }
    return this.#tallies.get(key);
  }

  /** The value in fen at a basis, by the answers assumed, of a contract that ended on a day. */
  compute(basis, pick, until) {
    const answers = TOUCHING.map((name) => pick[name]);
    const key = [basis.word, basis.number ?? "", until, ...answers].join(" ");
    if (!this.#known.has(key)) this.#known.set(key, this.#work(basis, pick, until));
    return this.#known.get(key);
  }

  /** paid × remaining/whole (art. 22). */
  computeRemaining(pick, until) {
    const [used, whole] = this.#use(pick, until);
    return fraction(this.account.paid * (whole - used), whole);
  }

  #work(basis, pick, until) {
    const { deal } = this.account.terms;
    if (isOfUnits(deal)) return this.#valueUnits(basis, pick, until);
    if (isStored(deal)) return this.#valueCard(basis, pick, until);
    return this.#valuePeriod(basis, pick, until);
  }

  #use(pick, until) {
    const answers = TOUCHING.map((name) => pick[name]);
    const key = ["used", until, ...answers].join(" ");
    if (!this.#known.has(key)) this.#known.set(key, computeUsed(this.account, pick, until));
    return this.#known.get(key);
  }

  #isAtMarket(basis, item) {
    return basis.word === "market" && !this.shown.has(item);
  }

  #valueUnits(basis, pick, until) {
    const tallies = this.#tallyOf(pick, until);
    let total = ZERO;
    for (const line of this.account.terms.deal.lines) {
      const charged = this.#chargeUnits(line, tallies.get(line.item)?.units ?? 0n, basis, pick);
      const price = this.#priceUnit(line, basis, pick);
      if (price !== null) total = add(total, times(price, charged));
      else if (charged > 0n) return null;
    }
    return total;
  }

  /** How many of the units taken are charged: gifts are not (art. 21). */
  #chargeUnits({ bonus, units }, taken, basis, pick) {
    if (isSpread(basis, pick)) return taken;
    const order = BY_ORDER.includes(basis.word) ? basis.word : this.account.terms.spendOrder;
    const beyond = order === "bonus_first" ? taken : taken - units;
    const given = beyond < bonus ? beyond : bonus;
    return given > 0n ? taken - given : taken;
  }

  #priceUnit({ item, amount, units, bonus, undiscounted }, basis, pick) {
    if (this.#isAtMarket(basis, item)) {
      const price = this.#market.get(item);
      return price === undefined ? null : fraction(price);
    }
    if (["undiscounted", "market"].includes(basis.word)) {
      return undiscounted === null ? fraction(amount, units) : fraction(undiscounted);
    }
    if (basis.prices?.has(item)) return fraction(basis.prices.get(item));
    return fraction(amount, isSpread(basis, pick) ? units + bonus : units);
  }

  #valueCard(basis, pick, until) {
    const tallies = this.#tallyOf(pick, until);
    if (["undiscounted", "market", "prices"].includes(basis.word)) {
      return this.#valueByItem(basis, tallies);
    }
    const { paid, bonus, payments } = this.account;
    const face = fraction([...tallies.values()].reduce((sum, one) => sum + one.face, 0n));
    if (basis.word === "bonus_first") return greater(ZERO, subtract(face, fraction(bonus)));
    if (basis.word === "principal_first") {
      const beyond = greater(ZERO, subtract(face, fraction(paid + bonus)));
      return add(smaller(face, fraction(paid)), beyond);
    }
    if (pick.topups === "pooled") return applyRatio(face, paid, bonus);
    let [total, left] = [ZERO, face];
    for (const payment of payments) {
      if (left.over === 0n) break;
      const part = smaller(left, fraction(payment.paid + payment.bonus));
      total = add(total, applyRatio(part, payment.paid, payment.bonus));
      left = subtract(left, part);
    }
    return add(total, left);
  }

  /** At prices of single items, without the ratio (art. 19). */
  #valueByItem(basis, tallies) {
    let total = 0n;
    for (const [item, { units, face, before }] of tallies) {
      if (this.#isAtMarket(basis, item) && this.items.includes(item)) {
        const price = this.#market.get(item);
        if (price === undefined) return null;
        total += units * price;
      } else if (basis.word === "prices") {
        const price = basis.prices.get(item);
        total += price === undefined ? face : units * price;
      } else {
        total += before;
      }
    }
    return fraction(total);
  }

  #valuePeriod(basis, pick, until) {
    const { deal } = this.account.terms;
    let { price } = deal;
    if (["undiscounted", "market"].includes(basis.word)) price = deal.undiscounted ?? price;
    if (this.#isAtMarket(basis, PASS)) {
      price = this.#market.get(PASS);
      if (price === undefined) return null;
    }
    price = basis.prices?.get(PASS) ?? price;
    const [used, whole] = this.#use(pick, until);
    return fraction(price * used, whole);
  }
}

/**
 * Items at whose price before discount the merchant says that it has shown sales (art. 19(2)), but for
 * those whose price the consumer disputed again after that: nobody proves by his own word.
 */
function findShown(account) {
  const disputed = account.latest("price.disputed")?.position ?? -1;
  const first = new Map();
  for (const { data, position } of account.of("sales_records.produced")) {
    for (const item of data.items) first.set(item, Math.min(position, first.get(item) ?? position));
  }
  return new Set([...first].filter(([, position]) => position > disputed).map(([item]) => item));
}

/** The finding that stands, else what the consumer asserts, else any claim; the latest of its rank. */
function findMarketPrice(rows) {
  const asserted = rows.filter(({ role }) => role === "consumer" || role === BOTH);
  const last = chooseFinding(rows) ?? lastRecorded(asserted.length > 0 ? asserted : rows);
  return last.data.price;
}

/** Whether units that were given lower the price of all, and are charged like all. */
function isSpread({ word }, pick) {
  return word === "proportional" || (!BY_ORDER.includes(word) && pick.bonus_units !== "gift");
}

function groupBy(rows, keyOf) {
  const groups = new Map();
  for (const row of rows) {
    const key = keyOf(row);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return groups;
}

/** Units, face value and price before discount of all deliveries of each item. */
function tally(deliveries) {
  const items = new Map();
  for (const { item, units, face, before } of deliveries) {
    const sums = items.get(item) ?? { units: 0n, face: 0n, before: 0n };
    items.set(item, {
      units: sums.units + units,
      face: sums.face + face,
      before: sums.before + before,
    });
  }
  return items;
}

/** Face value at paid/(paid + bonus); what is beyond the card's value counts in full. */
function applyRatio(face, paid, bonus) {
  const held = paid + bonus;
  if (face.over >= held * face.under) return subtract(face, fraction(bonus));
  return { over: face.over * paid, under: face.under * held };
}
