// Leaving without a reason within seven days of payment: art. 14, civil code arts 137, 201 and 203.
//
// The day of payment is not counted, a last day of rest moves on, and the period ends at 24:00 or when the
// merchant's business ends. Only the principal comes back. What the merchant alone dates counts as of that
// day in one answer and as of its block in the other. Of several payments, older money counts as used first.

import { dayOf, deadlineOf, showDay, yearOf } from "./law_days.js";
import { refuseLaw } from "./law_fields.js";
import { fraction, least, most, round, subtract } from "./law_fractions.js";

const DAYS = 7;
/** No rest days move a last day on by more. */
const REST_RUN_MAX = 31;

/** Works art. 14 out for a contract on which leaving without a reason was requested. */
export class CoolingOff {
  #within = new Map();

  constructor(account, published, valuation) {
    this.account = account;
    this.published = published;
    this.valuation = valuation;
    [this.request] = account.of("cooling_off.requested");
    this.arrived = account.arrivalOf(this.request);
  }

  /** [principal in fen, day of the request]; refuses where rest days decide that nobody published. */
  compute(pick) {
    const instant = pick.request === "sent" ? this.request.at : this.arrived;
    const day = dayOf(instant ?? this.request.at);
    if (instant === null || pick.prior_use === "proven") return [0n, day];
    const key = [pick.request, pick.payment_day, pick.window].join(" ");
    if (!this.#within.has(key)) this.#within.set(key, this.#findWithin(pick, instant));
    const { total, within } = this.#within.get(key);
    if (within === 0n) return [0n, day];
    const { use } = this.account.terms.coolingOff;
    const left = this.#deduct(pick.use, pick, total, within, day);
    if (use === "unsaid") return [left, day];
    return [most(left, this.#deduct(use, pick, total, within, day)), day];
  }

  /** What was paid before the request, and what of it may still be asked back. */
  #findWithin({ payment_day: counting, window }, instant) {
    const paid = this.account.payments.filter(({ at }) => at <= instant);
    const timely = paid.filter((payment) => {
      return this.#isTimely(counting === "dated" ? payment.at : payment.latest, instant);
    });
    const sum = (payments) => payments.reduce((total, one) => total + one.paid, 0n);
    const total = sum(paid);
    if (window === "each_payment") return { total, within: sum(timely) };
    const decisive = window === "first_payment" ? paid[0] : paid[paid.length - 1];
    return { total, within: timely.includes(decisive) ? total : 0n };
  }

  #isTimely(paidAt, instant) {
    const { closes, coolingOff } = this.account.terms;
    const first = dayOf(paidAt) + Math.max(DAYS, coolingOff.days);
    const last = this.#findLastDay(first, instant, closes);
    return instant < deadlineOf(last, closes);
  }

  /** The last day, past rest days; as it stands where no page has them and they decide nothing. */
  #findLastDay(first, instant, closes) {
    let day = first;
    while (this.published.knows(day)) {
      if (!this.published.isRest(day)) return day;
      day += 1;
    }
    const isInTime = instant < deadlineOf(first, closes);
    if (!isInTime && dayOf(instant) <= first + REST_RUN_MAX) {
      refuseLaw(
        `the rest days of ${yearOf(day)} are not published; a deadline on ${showDay(day)} needs ` +
          "the page rest_days of that year",
      );
    }
    return first;
  }

  #deduct(use, pick, total, within, day) {
    if (use === "not_deducted") return within;
    const value = this.valuation.compute({ word: use }, pick, day);
    const left = round(subtract(fraction(total), value), this.account.terms.rounding);
    return most(0n, least(within, left));
  }
}
