// Interest on what is returned: arts 16 and 17 of 法释〔2025〕4号, civil code art. 561.
//
//     standard   agreed; else by cause: LPR (merchant), deposit benchmark (consumer), of neither's all
//     account    money supervised by order bears that account's rate, if the consumer asks
//     from       the end, or the finding; a better agreed start prevails
//
// It runs day by day on what is still owed and is exact until the one rounding, but that what a payment
// left owed is carried on in billionths of a fen. Money from custody returns principal; the merchant's goes
// to interest first, unless the terms say otherwise. What is paid on a day counts from the next.

import { dayOf, daysInYear, startOfYear, yearOf } from "./law_days.js";
import { isAdmitted } from "./law_facts.js";
import { least, most, round } from "./law_fractions.js";
import { ACCOUNT, rateAt } from "./law_published.js";

const PPM = 1_000_000n;
/** Parts of a fen in which what a payment left owed is carried on. */
const CARRIED = 1_000_000_000n;
const AT_ACCOUNT = "+account";
/** Art. 16(1), and what stands where it says nothing. */
const BY_CAUSE = {
  merchant: ["lpr_1y"],
  consumer: ["deposit_1y"],
  neither: ["lpr_1y", "deposit_1y", "none"],
};

function standardsOf({ interest }, route, cause) {
  if (route === "cooling_off") return [];
  if (interest.ppm === null) return BY_CAUSE[cause];
  // In a contract found invalid the agreed rate is itself a term of it.
  return route === "termination" ? ["agreed"] : ["agreed", ...BY_CAUSE[cause]];
}

/** Works out the interest of one contract's results as of a day. */
export class Accrual {
  #known = new Map();

  constructor(account, published, asOf, payees) {
    this.account = account;
    this.published = published;
    this.asOf = asOf;
    this.supervisedMost = least(account.pot, account.ordered);
    /** An issuer holds the consumer's claim never, or from the day on which it may have got it. */
    const holding = new Map(account.issuers.map(([issuer]) => [issuer, payees.get(issuer) ?? Infinity]));
    const repaid = account.of("refund.paid").filter((fact) => {
      const day = dayOf(fact.at);
      return isAdmitted(fact) && (holding.get(fact.data.payee) ?? 0) <= day && day <= asOf;
    });
    /** What was paid back to whoever holds the consumer's share, in order: [day, from custody, fen]. */
    this.repaid = repaid.map(({ at, data }) => [dayOf(at), data.source === "custody", data.amount]);
    this.returned = repaid.reduce((sum, { data }) => sum + data.amount, 0n);
    this.accountRates = published.ratesOf(ACCOUNT + account.accountId);
  }

  /** [standard, fen, still owed] by each standard that may apply; the two null without a rate. */
  compute(route, cause, principal, ended, formedAt) {
    const { terms } = this.account;
    const supervised = least(principal, this.supervisedMost);
    const isAsked = this.account.has("actual_rate.requested");
    const found = [];
    for (const standard of standardsOf(terms, route, cause)) {
      const run = (part) => this.#accrue(standard, principal, part, ended, formedAt);
      if (supervised === 0n || !isAsked) found.push([standard, ...run(0n)]);
      if (supervised > 0n) found.push([standard + AT_ACCOUNT, ...run(supervised)]);
    }
    return found;
  }

  #accrue(standard, principal, supervised, ended, formedAt) {
    const key = [standard, principal, supervised, ended, formedAt].join(" ");
    if (!this.#known.has(key)) {
      const ppm = this.#findRate(standard, formedAt);
      const begin = this.#findStart(ended, formedAt);
      this.#known.set(key, this.#run(principal, supervised, ppm, begin));
    }
    return this.#known.get(key);
  }

  #findRate(standard, formedAt) {
    if (standard === "agreed") return this.account.terms.interest.ppm;
    return standard === "none" ? 0 : this.published.findRate(standard, formedAt);
  }

  /** The day from which interest runs: the end, or a better agreed one (art. 17). */
  #findStart(ended, formedAt) {
    const { account } = this;
    const { start } = account.terms.interest;
    const days = [ended];
    if (start === "formation") days.push(dayOf(formedAt));
    if (start === "first_payment") days.push(...account.payments.slice(0, 1).map(({ at }) => dayOf(at)));
    if (start === "request") {
      for (const kind of ["termination.requested", "cooling_off.requested"]) {
        days.push(...account.of(kind).slice(0, 1).map(({ at }) => dayOf(at))); // the first is the earliest
      }
    }
    return Math.min(...days);
  }

  #run(principal, supervised, ppm, start) {
    const { debts, interest, rounding } = this.account.terms;
    const begin = interest.firstDay ? start : start + 1;
    const end = interest.lastDay ? this.asOf + 1 : this.asOf;
    const rates = supervised > 0n ? this.accountRates : [];
    const debt = new Debt(principal, supervised, debts === "principal_first", interest.basis);
    const cuts = this.#findCuts(begin, end, rates, interest.basis);
    let next = 0;
    for (const [place, day] of cuts.slice(0, -1).entries()) {
      for (; next < this.repaid.length && this.repaid[next][0] < day; next += 1) {
        const [, isFromCustody, amount] = this.repaid[next];
        debt.settle(amount, isFromCustody);
      }
      if (!debt.accrue(ppm, rateAt(rates, day), day, cuts[place + 1])) return [null, null];
    }
    const fen = round(debt.accrued, rounding);
    return [fen, most(0n, principal + fen - this.returned)];
  }

  /** The days at which something changes, from the first that bears interest to past the last. */
  #findCuts(begin, end, rates, basis) {
    if (begin >= end) return [];
    const cuts = new Set([begin, end]);
    const addWithin = (day) => {
      if (day > begin && day < end) cuts.add(day);
    };
    for (const [day] of this.repaid) addWithin(day + 1);
    for (const [since] of rates) addWithin(since);
    if (basis === "actual") {
      for (let year = yearOf(begin) + 1; year <= yearOf(end); year += 1) addWithin(startOfYear(year));
    }
    return [...cuts].sort((one, other) => one - other);
  }
}

/**
 * What is owed while interest runs.
 *
 * Amounts owed are whole billionths of a fen, interest is in parts of such a billionth of which `share`
 * make one: the least that a day's interest can be. What a payment that goes first to interest leaves owed
 * is carried on in whole billionths, the rest of one counting whole.
 */
class Debt {
  #accrued = 0n;
  #unpaid = 0n;

  constructor(principal, supervised, isPrincipalFirst, basis) {
    this.owed = principal * CARRIED;
    this.supervised = supervised * CARRIED;
    this.isPrincipalFirst = isPrincipalFirst;
    this.basis = basis;
    this.share = PPM * (basis === "actual" ? 365n * 366n : BigInt(basis));
  }

  get accrued() {
    return { over: this.#accrued, under: CARRIED * this.share };
  }

  /** Take account of so many fen paid back. */
  settle(fen, isFromCustody) {
    let left = fen * CARRIED * this.share;
    if (isFromCustody) {
      this.supervised = most(0n, this.supervised - least(fen * CARRIED, this.owed));
    } else if (!this.isPrincipalFirst) {
      const toInterest = least(left, this.#unpaid);
      this.#unpaid -= toInterest;
      left -= toInterest;
    }
    const toPrincipal = least(left, this.owed * this.share);
    this.owed -= toPrincipal / this.share; // what is over of a billionth stays owed
    this.#unpaid = most(0n, this.#unpaid - (left - toPrincipal));
  }

  /** Let the days of one year from `begin` to before `end` pass; false if a rate that it needs is not known. */
  accrue(ppm, accountPpm, begin, end) {
    const atAccount = least(this.supervised, this.owed);
    const rest = this.owed - atAccount;
    if ((atAccount > 0n && accountPpm === null) || (rest > 0n && ppm === null)) return false;
    const year = this.basis === "actual" ? BigInt(daysInYear(yearOf(begin))) : BigInt(this.basis);
    const bearing = atAccount * BigInt(accountPpm ?? 0) + rest * BigInt(ppm ?? 0);
    const more = bearing * BigInt(end - begin) * (this.share / (PPM * year));
    this.#accrued += more;
    this.#unpaid += more;
    return true;
  }
}
