// Which questions the facts leave open, and which of them change a figure.
//
// Every question has its answers in the table of docs/LAW.md. One that is settled, or that cannot arise in
// this contract, has one answer. `ended_by` is among them where the contract was terminated.

import { BOTH, isAdmitted } from "./law_facts.js";
import { dayOf } from "./law_days.js";
import { isOfPeriod, isOfUnits, isStored } from "./law_terms.js";

/** Whether the contract was found invalid for want of capacity (art. 10). */
export function isLimitedInCapacity(account) {
  return account.latest("invalidity.found")?.data.ground === "capacity";
}

/** The day on which it had ended by the as-of day, by what may have: none, one, or two to choose from. */
export function findEndings(account, asOf) {
  return new Map([...listEndings(account, asOf)].filter(([, day]) => day <= asOf));
}

/**
 * Who may be paid the consumer's share (arts 10 and 11), two where an assignment leaves it open, and from
 * which day each may have held the claim: the party always did.
 */
export function findPayees(account, asOf) {
  const { party, guardian } = account.signed.data.persons;
  const since = new Map();
  const ended = Math.min(...listEndings(account, asOf).values());
  const arrived = account
    .of("assignment.notified")
    .map((fact) => ({ fact, at: account.arrivalOf(fact) }))
    .filter(({ at }) => at !== null)
    .sort((one, other) => one.at - other.at || one.fact.position - other.fact.position);
  let holders = [party];
  for (const { fact, at } of arrived) {
    const { assignee } = fact.data;
    since.set(assignee, since.get(assignee) ?? dayOf(at)); // the first is the earliest
    const isWhole = fact.data.whole && fact.role === BOTH;
    if (isWhole || dayOf(at) > ended) holders = [];
    holders.push(assignee);
  }
  const payees = isLimitedInCapacity(account) ? [party, guardian] : holders.slice(-2);
  return new Map(payees.map((payee) => [payee, since.get(payee) ?? 0]));
}

/** Of an end that is assumed: the day of the one on record that came later, however late; else Infinity. */
export function findLaterEnd(account) {
  return Math.min(...listEndings(account, Infinity).values());
}

function listEndings(account, asOf) {
  const judged = account.latest("termination.judged");
  if (judged !== undefined) return new Map([["judgment", judged.data.day]]);
  const [agreed] = account.of("termination.agreed");
  if (agreed !== undefined) return new Map([["agreement", dayOf(agreed.at)]]);
  const endings = new Map();
  for (const notice of account.of("termination.requested")) {
    const arrived = account.arrivalOf(notice);
    if (arrived === null) continue;
    const { cure_until: cureUntil } = notice.data;
    const until = cureUntil === null ? 0 : dayOf(cureUntil);
    if (until > asOf) continue; // the time to perform still runs (civil code 565(1))
    const day = Math.max(dayOf(arrived), until);
    endings.set("notice", Math.min(day, endings.get("notice") ?? day));
  }
  const [served] = account.of("complaint.served");
  if (served !== undefined) endings.set("complaint", dayOf(served.at));
  return endings;
}

/**
 * The answers that the facts still allow to each question, in the order in which assumptions are named;
 * `endings` are the days on which it may have ended by this route, by what ended it.
 */
export function findQuestions(account, valuation, route, cause, endings) {
  const { terms } = account;
  const { deal } = terms;
  const isCoolingOff = route === "cooling_off";
  const isByCapacity = route === "invalidity" && isLimitedInCapacity(account);
  const isPeriod = isOfPeriod(deal);
  const ask = (isOpen, ...answers) => (isOpen ? answers : answers.slice(0, 1));
  const dated = (isOpen) => (isOpen ? ["recorded", "dated"] : ["dated"]);
  const isClaimed = (name) => isPeriod && !account.of(`service.${name}`).every(isAdmitted);
  const questions = new Map();
  if (route === "termination") questions.set("ended_by", [...endings.keys()]);
  const isObjected = account.deliveries.some((delivery) => delivery.isObjected);
  questions.set("disputed", ask(isObjected, "counted", "not_counted"));
  questions.set("after_end", askAfterEnd(account, isPeriod, endings));
  const hasBonus = isOfUnits(deal) && deal.lines.some(({ bonus }) => bonus > 0n);
  questions.set("bonus_units", ask(hasBonus, "bonus", "gift"));
  const hasTopUps = isStored(deal) && account.payments.length > 1;
  questions.set("topups", ask(hasTopUps, "pooled", "in_turn"));
  const isPriceOpen =
    cause === "consumer" &&
    account.has("price.disputed") &&
    valuation.items.some((item) => !valuation.shown.has(item));
  questions.set("price", ask(isPriceOpen, "undiscounted", "market"));
  const isDiscounted = deal.kind === "unlimited" && (deal.undiscounted ?? 0n) > deal.price;
  questions.set("pass", ask(isDiscounted, "article_22", "article_19"));
  for (const name of ["stopped", "resumed"]) {
    questions.set(name, ask(isClaimed(name), "happened", "not_happened"));
  }
  const hasBreak = isPeriod && account.has("service.resumed");
  questions.set("interruption", ask(hasBreak, "used", "remaining"));
  const [recorded, stated] = ["recorded", "dated"].map((answer) => account.activatedAt(answer));
  const isStartOpen = isPeriod && recorded !== null && dayOf(recorded) !== dayOf(stated);
  questions.set("activation_day", dated(isStartOpen));
  const isShareOpen = account.vouchers > 0n && terms.voucher === "unsaid";
  const share = account.vouchers > 0n && !isShareOpen ? [terms.voucher] : null;
  questions.set("voucher", share ?? ask(isShareOpen, "pro_rata", "voucher_first"));
  const isDeductionOpen = isByCapacity && !account.has("deduction.claimed");
  questions.set("deduction", ask(isDeductionOpen, "claimed", "not_claimed"));
  questions.set("minor_service", isByCapacity ? askMinorService(account) : ["lawful"]);
  const [signedOn, signedAt] = ["recorded", "dated"].map((answer) => account.formedAt(answer));
  questions.set("formation_day", dated(!isCoolingOff && dayOf(signedOn) !== dayOf(signedAt)));
  if (isCoolingOff) addCoolingOff(account, questions, ask, dated);
  return questions;
}

/** Whether what came after the end counts: open, but of an end that is assumed the whole record does. */
function askAfterEnd(account, isPeriod, endings) {
  const first = Math.min(...endings.values());
  const delivered = isPeriod ? [] : account.deliveries.map(({ day }) => day);
  const isAfter = (day) => day > first;
  if (endings.has("assumed")) {
    const days = [...delivered, ...account.payments.map(({ at }) => dayOf(at))];
    if (!days.some(isAfter)) return ["counted"];
    const ended = findLaterEnd(account);
    return delivered.some((day) => day > ended) ? ["whole", "not_counted"] : ["whole"];
  }
  return delivered.some(isAfter) ? ["counted", "not_counted"] : ["counted"];
}

function askMinorService(account) {
  const finding = account.latestFinding("minor_service.stated");
  if (finding !== undefined) return [finding.data.unlawful ? "unlawful" : "lawful"];
  const isSaid = account.of("minor_service.stated").some(({ data }) => data.unlawful);
  return isSaid ? ["lawful", "unlawful"] : ["lawful"];
}

function addCoolingOff(account, questions, ask, dated) {
  const [request] = account.of("cooling_off.requested");
  questions.set("request", ask(account.arrivalOf(request) !== request.at, "sent", "arrived"));
  questions.set("prior_use", askPriorUse(account));
  questions.set("payment_day", dated(account.payments.some((one) => dayOf(one.at) !== dayOf(one.latest))));
  const isSeveral = account.payments.length > 1;
  questions.set("window", ask(isSeveral, "each_payment", "first_payment", "last_payment"));
  questions.set("use", ["not_deducted", "discounted", "undiscounted"]);
}

/** Whether the exception of art. 14(1) stands: found, admitted, or only claimed. */
function askPriorUse(account) {
  if (account.terms.coolingOff.despitePrior) return ["not_proven"];
  const finding = account.latestFinding("prior_use.stated");
  if (finding !== undefined) return [finding.data.from === "none" ? "not_proven" : "proven"];
  const said = account.of("prior_use.stated").filter(({ data }) => data.from !== "none");
  const saying = new Set(said.map(({ role }) => role));
  if (saying.has("consumer") || saying.has("both")) return ["proven"];
  return saying.has("merchant") ? ["not_proven", "proven"] : ["not_proven"];
}

/** Every combination of answers, those to the last question changing first. */
export function listPicks(questions) {
  let picks = [{}];
  for (const [name, answers] of questions) {
    picks = picks.flatMap((pick) => answers.map((answer) => ({ ...pick, [name]: answer })));
  }
  return picks;
}

/**
 * The questions whose answers change a figure, all others being equal; `figures` in order of the picks.
 * That a contract ends which nothing has ended is an assumption, though there is no other answer to it,
 * and so is that what came later counts.
 */
export function findTelling(questions, figures) {
  const telling = [];
  let span = figures.length;
  for (const [name, answers] of questions) {
    const block = span; // so many picks share the answers before this question
    span /= answers.length;
    const isTelling = figures.some((figure, place) => {
      const first = place - (Math.floor((place % block) / span) * span);
      return figure !== figures[first];
    });
    if (isTelling || ["assumed", "whole"].includes(answers[0])) telling.push(name);
  }
  return telling;
}
