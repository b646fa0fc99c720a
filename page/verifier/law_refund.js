// What is owed under a contract: arts 10 to 22 of 法释〔2025〕4号, worked for the figures alone.
//
// Every result that the law leaves possible stands beside the others: by route, by cause while none was
// found, and by the answers to the questions that are open and change a figure. The page's own reading,
// written from docs/LAW.md: a derivation's working, its sentences and their hash are not here.

import { Account } from "./law_account.js";
import { CoolingOff } from "./law_cooling_off.js";
import { dayOf } from "./law_days.js";
import { FEN, fraction, greater, least, most, round, subtract, times } from "./law_fractions.js";
import { Accrual } from "./law_interest.js";
import { findEndings, findLaterEnd, findPayees, findQuestions, findTelling, isLimitedInCapacity, listPicks } from "./law_questions.js";
import { CAUSES, isOfPeriod, isOfUnits, isStored } from "./law_terms.js";
import { Valuation } from "./law_value.js";

const DISCOUNTED = { word: "discounted" };

/**
 * All results as of a day, in the order in which a derivation has them; `pause` is awaited now and then.
 *
 * Amounts are BigInts in fen, and `principal` is null where a price is not known. `{ paid, results }`.
 */
export async function deriveRefund(terms, facts, published, asOf, pause = async () => {}) {
  const account = new Account(terms, facts);
  const engine = new Engine(account, published, asOf, pause);
  const routes = findRoutes(account, asOf);
  const results = [];
  for (const route of routes) results.push(...(await engine.workRoute(route)));
  // Whoever asked in vain within the days has lost nothing by asking.
  const isInVain = results.some(({ principal }) => principal === null || principal === 0n);
  if (routes.join(" ") === "cooling_off" && isInVain) {
    results.push(...(await engine.workRoute("termination")));
  }
  return { paid: account.paid, results };
}

function findRoutes(account, asOf) {
  const routes = [];
  if (account.has("cooling_off.requested")) routes.push("cooling_off");
  if (account.has("invalidity.found")) routes.push("invalidity");
  if (findEndings(account, asOf).size > 0 || routes.length === 0) routes.push("termination");
  return routes;
}

/**
 * The lowest and the highest of principal and interest over all results. One whose price is not known
 * counts from nothing to all that was paid; interest whose rate is not known counts as none.
 */
export function findRange({ paid, results }) {
  const sums = results.flatMap(({ principal, interest }) => {
    if (principal === null) return [0n, paid];
    return interest.length === 0 ? [principal] : interest.map(([, fen]) => principal + (fen ?? 0n));
  });
  return { low: sums.reduce(least), high: sums.reduce(most) };
}

class Engine {
  constructor(account, published, asOf, pause) {
    this.account = account;
    this.pause = pause;
    this.valuation = new Valuation(account);
    this.coolingOff = account.has("cooling_off.requested")
      ? new CoolingOff(account, published, this.valuation)
      : null;
    this.accrual = new Accrual(account, published, asOf, findPayees(account, asOf));
    const endings = findEndings(account, asOf);
    this.endings = endings.size > 0 ? endings : new Map([["assumed", asOf]]);
    this.laterEnd = findLaterEnd(account);
    const found = account.latest("invalidity.found");
    this.invalidOn = found === undefined ? null : dayOf(found.at);
  }

  async workRoute(route) {
    const found = this.account.latestFinding("cause.stated");
    const causes = found === undefined ? CAUSES : [found.data.cause];
    const results = [];
    for (const cause of route === "cooling_off" ? ["any"] : causes) {
      results.push(...(await this.#work(route, cause)));
    }
    return results;
  }

  async #work(route, cause) {
    const questions = findQuestions(this.account, this.valuation, route, cause, this.#endingsOf(route));
    const picks = listPicks(questions);
    const figures = [];
    for (const [place, pick] of picks.entries()) {
      await this.pause(place, picks.length);
      figures.push(this.#workCase(route, cause, pick));
    }
    const spelled = figures.map((figure) => spell(figure));
    const telling = findTelling(questions, spelled);
    const results = new Map();
    for (const [place, pick] of picks.entries()) {
      const assumptions = telling.map((name) => [name, pick[name]]);
      const key = assumptions.join(" ");
      if (!results.has(key)) results.set(key, { route, cause, assumptions, ...figures[place] });
    }
    return [...results.values()];
  }

  #endingsOf(route) {
    if (route === "termination") return this.endings;
    return new Map(route === "invalidity" ? [["found", this.invalidOn]] : []);
  }

  /** The figures of one combination of answers. */
  #workCase(route, cause, pick) {
    const { account } = this;
    // `until`: what came before the end on record was performance, also where an earlier one is assumed.
    let [principal, ended, until] = [null, this.invalidOn, null];
    if (route === "cooling_off") {
      [principal, ended] = this.coolingOff.compute(pick);
    } else {
      if (route === "termination") ended = this.endings.get(pick.ended_by);
      until = pick.ended_by === "assumed" && !isOfPeriod(account.terms.deal) ? this.laterEnd : ended;
      principal = this.#findPrincipal(route, cause, pick, until);
    }
    if (principal === null) return { principal, interest: [] };
    const [consumer, issuers] = this.#share(principal, pick);
    const custody = least(principal, account.pot);
    const formedAt = account.formedAt(pick.formation_day);
    return {
      principal,
      consumer,
      issuers,
      custody,
      merchant: principal - custody,
      interest: this.accrual.compute(route, cause, consumer, ended, formedAt),
      beyond: route === "cooling_off" ? 0n : this.#tellBeyond(pick, until),
    };
  }

  /** By the articles, or by a better agreement (arts 18(2), 19(3)); null where a price is not known. */
  #findPrincipal(route, cause, pick, ended) {
    const { paid, terms } = this.account;
    const byLaw = this.#applyLaw(route, cause, pick, ended);
    if (byLaw === null) return null;
    const less = (basis) => {
      const value = this.valuation.compute(basis, pick, ended);
      return value === null ? null : subtract(fraction(paid), value);
    };
    const offers = [byLaw];
    for (const [number, agreement] of terms.agreements.entries()) {
      const { when, what, basis, prices, share } = agreement;
      if (!when.includes(cause) || what === "fee") continue;
      if (what === "share") offers.push(times(share, paid));
      else offers.push(less({ word: basis ?? "prices", number, prices }));
    }
    if (this.#hasBonus() && terms.spendOrder !== "unsaid") {
      offers.push(less({ word: terms.spendOrder }));
    }
    // Never below 0 (art. 20 and ours), never above what was paid.
    const settled = offers
      .filter((offer) => offer !== null)
      .map((offer) => most(0n, least(paid, round(offer, terms.rounding))));
    return settled.reduce(most);
  }

  /** Arts 10, 15, 18, 19 and 22: exact. */
  #applyLaw(route, cause, pick, ended) {
    const { account, valuation } = this;
    const { deal } = account.terms;
    if (route === "invalidity" && isLimitedInCapacity(account)) {
      const isDeducted = pick.deduction === "claimed" && pick.minor_service === "lawful";
      if (!isDeducted) return fraction(account.paid);
    }
    const isByConsumer = cause === "consumer";
    const isByRatio = route === "termination" && deal.kind === "unlimited";
    if (isByRatio && !(isByConsumer && pick.pass === "article_19")) {
      return valuation.computeRemaining(pick, ended);
    }
    const value = valuation.compute(isByConsumer ? { word: pick.price } : DISCOUNTED, pick, ended);
    return value === null ? null : subtract(fraction(account.paid), value);
  }

  #hasBonus() {
    const { deal } = this.account.terms;
    if (isOfUnits(deal)) return deal.lines.some(({ bonus }) => bonus > 0n);
    return isStored(deal) && this.account.bonus > 0n;
  }

  /** What was delivered beyond the prepayment: told, since art. 20 does not decide it. */
  #tellBeyond(pick, ended) {
    const value = this.valuation.compute(DISCOUNTED, pick, ended);
    return round(greater(fraction(0n), subtract(value, fraction(this.account.paid))), FEN);
  }

  /** The consumer's share and each issuer's, the issuers' part rounded down together. */
  #share(principal, pick) {
    const { issuers, paid, vouchers } = this.account;
    if (vouchers === 0n) return [principal, []];
    const part =
      pick.voucher === "voucher_first"
        ? most(0n, vouchers - (paid - principal))
        : (principal * vouchers) / paid;
    let [reached, given] = [0n, 0n];
    const shares = issuers.map(([issuer, amount]) => {
      reached += amount;
      const own = (part * reached) / vouchers - given;
      given += own;
      return [issuer, own];
    });
    return [principal - part, shares];
  }
}

/** Figures as a text that is the same where they are. */
function spell(figures) {
  return JSON.stringify(figures, (_, value) => (typeof value === "bigint" ? String(value) : value));
}
