// How much of a period was used: art. 22, civil code 200 to 202.
//
// A term runs from its first day, or from the first use; it ends with the contract or, if the merchant had
// stopped before, with the stop. A stop after which service came back is a break, and whether its days count
// as used is open. Claims of stopping and resuming count by the answer that is assumed.

import { countMonthsBegun, dayOf, endOfMonths } from "./law_days.js";
import { isAdmitted } from "./law_facts.js";

/** [used, whole] in the term's unit of count (BigInts), for a contract that ended on `until`. */
export function computeUsed(account, pick, until) {
  const { term } = account.terms.deal;
  const { start, stopped, breaks } = readClock(account, pick, until);
  const isByMonth = term.countedIn === "month";
  let days = term.length;
  if (term.unit === "month") {
    const anchor = start ?? dayOf(account.signed.at);
    days = endOfMonths(anchor, term.length) - anchor;
  }
  const whole = isByMonth ? term.length : days;
  const last = stopped ?? until;
  if (start === null) return [0n, BigInt(whole)];
  const used = isByMonth
    ? countMonths(term, start, last)
    : countDays(term, start, days, last, pick.interruption === "remaining" ? breaks : []);
  return [BigInt(used), BigInt(whole)];
}

function countMonths(term, start, last) {
  const begun = Math.min(countMonthsBegun(start, last), term.length);
  const isUnderWay = begun > 0 && last < endOfMonths(start, begun);
  return isUnderWay && term.last === "remaining" ? begun - 1 : begun;
}

function countDays(term, start, days, last, breaks) {
  const isLastUsed = term.last === "used" ? 1 : 0;
  const end = Math.max(start, Math.min(start + days, last + isLastUsed));
  const gaps = breaks.map(({ stopped, resumed }) => [
    Math.max(start, stopped + isLastUsed),
    Math.min(end, resumed),
  ]);
  return end - start - countUnion(gaps);
}

/** When the term began, when service stopped for good, and its breaks; days, or null. */
function readClock(account, pick, until) {
  let { start } = account.terms.deal.term;
  if (start === null) {
    const begun = account.activatedAt(pick.activation_day);
    if (begun !== null) start = dayOf(begun);
  }
  const taken = (name) => {
    const isClaimTaken = pick[name] === "happened";
    return account.of(`service.${name}`).filter((fact) => isClaimTaken || isAdmitted(fact));
  };
  const resumes = taken("resumed").filter(({ at }) => dayOf(at) <= until);
  let stopped = null;
  let next = 0; // the first resumption after the stop at hand; both are in order
  const breaks = [];
  for (const stop of taken("stopped")) {
    while (next < resumes.length && !isBefore(stop, resumes[next])) next += 1;
    const day = dayOf(stop.at);
    if (next < resumes.length) breaks.push({ stopped: day, resumed: dayOf(resumes[next].at) });
    else if (day < until && (stopped === null || day < stopped)) stopped = day;
  }
  return { start, stopped, breaks };
}

function isBefore(one, other) {
  return one.at < other.at || (one.at === other.at && one.position < other.position);
}

/** How many days lie in at least one of the spans `[begin, end)`. */
function countUnion(spans) {
  let [total, reached] = [0, -Infinity];
  for (const [begin, end] of spans.sort(([one], [other]) => one - other)) {
    const from = Math.max(begin, reached);
    if (end > from) {
      total += end - from;
      reached = end;
    }
  }
  return total;
}
