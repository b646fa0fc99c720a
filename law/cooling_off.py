"""Leaving without a reason within seven days of payment: art. 14, civil code arts 137, 201, 203.

The day of payment is not counted; a last day on a rest day moves on; the period ends at 24:00, or
when the merchant's business ends. Only the principal comes back, and no interest. The terms can
make it longer and never shorter. A payment that the merchant alone dates to an earlier day counts
as of that day in one answer and as of its block in the other. Of several payments, older money
counts as used first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from law.account import DATED, Account, Payment
from law.days import Day, Ms, compute_deadline, compute_last_day, day_of, show_day
from law.derivation import Input, WorkedOnce, Working, from_entries, from_step, from_terms
from law.facts import Fact
from law.published import Published
from law.refusal import Refused
from law.terms import NOT_DEDUCTED, UNSAID, Terms
from law.valuation import TOUCHES_VALUE, Basis, Pick, Valuation
from law.value_class import value_class

DAYS: Final = 7
"""Art. 14: 自付款之日起七日内."""

REST_RUN_MAX: Final = 31
"""No rest days move a last day on by more: so much later it is too late by any calendar."""


@value_class
class Request:
    """The consumer's request, and when it was sent and arrived."""

    position: int
    sent: Ms
    arrived: Ms | None


def find_too_late(
    terms: Terms, account: Account, published: Published, requests: Iterable[Fact]
) -> frozenset[int]:
    """Return the positions of requests that are too late for all that was paid before them, by any
    reading; not where only rest days that nobody published would say so.

    One walk along payments and requests, both in the order of the facts.
    """
    found = set()
    latest: Ms | None = None
    place = 0
    for request in requests:
        while place < len(account.payments) and account.payments[place].at <= request.at:
            recorded = account.payments[place].latest
            latest = recorded if latest is None else max(latest, recorded)
            place += 1
        if latest is None or _is_too_late(terms, published, latest, request.at):
            found.add(request.position)
    return frozenset(found)


def _is_too_late(terms: Terms, published: Published, paid_at: Ms, instant: Ms) -> bool:
    try:
        last, _ = _find_last_day(terms, published, _compute_first(terms, paid_at), instant)
    except Refused:
        return False
    return instant >= compute_deadline(last, terms.closes_minute)


class CoolingOff:
    """Works out art. 14 for one contract on which leaving without a reason was requested."""

    __slots__ = ("_deadlines", "account", "published", "request", "terms", "valuation")

    def __init__(self, account: Account, published: Published, valuation: Valuation) -> None:
        self.terms = valuation.terms
        self.account = account
        self.published = published
        self.valuation = valuation
        first = account.of("cooling_off.requested")[0]
        arrived = account.find_arrival(first, self.terms)
        self.request = Request(first.position, first.at, arrived)
        self._deadlines: WorkedOnce[Ms] = WorkedOnce()
        """By the payment's position and instant, and the request's: the first instant that is too
        late."""

    def reduce(self, pick: Pick) -> tuple[str, ...]:
        """Return the answers that matter here, so that like cases are worked once."""
        if pick["prior_use"] == "proven":
            return ("proven", pick["request"])
        deducts = {pick["use"], self.terms.cooling_off.use} - {NOT_DEDUCTED, UNSAID}
        idle = () if deducts else TOUCHES_VALUE
        return tuple(answer for name, answer in pick.items() if name not in idle)

    def compute_principal(self, pick: Pick, working: Working) -> tuple[int, Day]:
        """Return (principal in fen, day of the request); 0 where art. 14 gives nothing.

        Raises `Refused` (MISSING_DATA) where the rest days of a deadline's year are not published
        and the request is in time by some calendars and too late by others.
        """
        request = self.request
        instant = request.sent if pick["request"] == "sent" else request.arrived
        day = day_of(request.sent if instant is None else instant)
        asked = from_entries("asked", show_day(day), [request.position])
        if instant is None:
            working.text("W", "14(1); civil code 137(2)", "the request has not arrived", "0", asked)
            return 0, day
        if pick["prior_use"] == "proven":
            positions = self.account.positions("prior_use.stated")
            said = from_entries("prior use", "proven", positions)
            article = _find_exception(self.account)
            working.text("W", article, "the same goods or service had been had before", "0", said)
            return 0, day
        paid = [payment for payment in self.account.payments if payment.at <= instant]
        if not paid:
            working.text("W", "14(1)", "nothing was paid before the request", "0", asked)
            return 0, day
        total = sum(payment.paid for payment in paid)
        within = self._find_within(paid, total, instant, pick, working)
        working.exact(
            "W", "14(1)", "W = paid within the days", within,
            from_entries("P", total, [payment.position for payment in paid]), asked,
            Input("counted from", pick["window"], "rule"),
        )  # fmt: skip
        if not within:
            return 0, day
        best = self._deduct(pick["use"], pick, within, total, day, working)
        agreed = self.terms.cooling_off.use
        if agreed not in (UNSAID, pick["use"]):
            other = self._deduct(agreed, pick, within, total, day, working)
            if other > best:
                working.exact(
                    "R", "14(2)", "R = the better agreement", other, from_terms("use", agreed)
                )
            best = max(best, other)
        return best, day

    def _find_within(
        self, paid: list[Payment], total: int, instant: Ms, pick: Pick, working: Working
    ) -> int:
        """Return what was paid and may still be asked back."""
        window, is_dated = pick["window"], pick["payment_day"] == DATED
        timely = [
            payment
            for payment in paid
            if instant
            < self._find_deadline(
                payment, payment.at if is_dated else payment.latest, instant, working
            )
        ]
        if window == "each_payment":
            return sum(payment.paid for payment in timely)
        decisive = paid[0] if window == "first_payment" else paid[-1]
        return total if decisive in timely else 0

    def _deduct(
        self, use: str, pick: Pick, within: int, total: int, day: Day, working: Working
    ) -> int:
        if use == NOT_DEDUCTED:
            return within
        value = self.valuation.compute_value(Basis(use), pick, day, working)
        assert value is not None, "only a market price can be unknown"
        rounding = self.terms.rounding
        left = max(0, min(within, rounding.round(total - value)))
        return working.rounded(
            "R", "14(1)", "R = min(W, max(0, P − v))", left, rounding,
            from_step("W", within), from_step("v", value),
        )  # fmt: skip

    def _find_deadline(self, payment: Payment, at: Ms, instant: Ms, working: Working) -> Ms:
        """Return the first instant that is too late for one payment, as far as that decides about
        a request at `instant`."""
        key = payment.position, at, instant
        return self._deadlines.of(
            key, working, partial(self._work_deadline, payment.position, at, instant)
        )

    def _work_deadline(self, position: int, at: Ms, instant: Ms, working: Working) -> Ms:
        first = _compute_first(self.terms, at)
        last, pages = _find_last_day(self.terms, self.published, first, instant)
        paid_on = day_of(at)
        working.text(
            "last day", "14(1); civil code 201(1), 203(1), 203(2)",
            "day of payment + days, past rest days",
            show_day(last), from_entries("paid on", show_day(paid_on), [position]),
            from_terms("days", first - paid_on),
            Input("rest days", "" if pages else "none published", "published", pages),
        )  # fmt: skip
        return compute_deadline(last, self.terms.closes_minute)


def _find_exception(account: Account) -> str:
    """Return the item of art. 14(1) that speaks of who gave the same before."""
    items = {"this_merchant": "14(1)(1)", "other_merchant": "14(1)(2)"}
    said = {fact.data.source for fact in account.of("prior_use.stated")} - {"none"}
    return ", ".join(items[source] for source in items if source in said)


def _compute_first(terms: Terms, paid_at: Ms) -> Day:
    """Return the last day of the period for a payment, before rest days move it on."""
    return day_of(paid_at) + max(DAYS, terms.cooling_off.days)


def _find_last_day(
    terms: Terms, published: Published, first: Day, instant: Ms
) -> tuple[Day, tuple[int, ...]]:
    """Return (last day, page of its rest days) of a period that ends on `first` at the earliest.

    Without a page the day stands as it is where that decides nothing about a request at
    `instant`: rest days only move it on, and by less than `REST_RUN_MAX`. So nobody who dates
    a payment to a year without a page keeps a refund from being computed.
    """
    try:
        last = compute_last_day(first, 0, published.is_rest)
        return last, (published.find_year(last).position,)
    except Refused:
        is_in_time = instant < compute_deadline(first, terms.closes_minute)
        if not is_in_time and day_of(instant) <= first + REST_RUN_MAX:
            raise
        return first, ()
