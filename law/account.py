"""What a contract's facts come to: paid, delivered, in custody, and who said what.

The fold reads facts in the order in which they happened and decides nothing that is open: a
delivery the consumer objects to is kept with that mark, a rise without consent changes no price
(art. 12), a merchant's own voucher is bonus and no payment. Sums only, so the order of independent
facts of one day does not matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from law.days import Day, Ms, day_of
from law.facts import Fact, Persons, Signed
from law.terms import CONSUMER, LEDGER, PeriodDeal, Price, StoredDeal, Terms
from law.value_class import value_class

BOTH: Final = "both"
REGULATOR: Final = "regulator"
NOWHERE: Final = "none"
ORDERED: Final = "ordered"

RECORDED: Final = "recorded"
DATED: Final = "dated"
"""Which day counts of what the merchant alone dates: its block's, or the one it is dated to."""


@value_class
class Payment:
    """One prepayment: what came from consumer and issuers, and what the merchant added."""

    position: int
    at: Ms
    paid: int
    bonus: int
    latest: Ms
    """`law.facts.Fact.latest`."""


@value_class
class Delivery:
    """One delivery that was not reversed."""

    position: int
    item: str
    day: Day
    units: int
    objected: bool
    face: int
    """Stored value: what may be charged, at most the contract's price (art. 12)."""
    before: int
    """Stored value: its price before discount (art. 19)."""
    overcharge: int


@value_class
class Tally:
    """Deliveries of one item together."""

    units: int
    face: int
    before: int
    positions: tuple[int, ...]


@value_class
class Account:
    """A contract's facts, folded."""

    signed: Signed
    signed_at: Ms
    signed_latest: Ms
    """`law.facts.Fact.latest`."""
    signed_position: int
    payments: tuple[Payment, ...]
    paid: int
    """By consumer and issuers."""
    own: int
    """Of it, by the consumer."""
    issuers: tuple[tuple[str, int], ...]
    """What each voucher issuer paid, in the order of their names."""
    bonus: int
    in_custody: int
    ordered: int
    """Of it, paid into an account supervised by order (art. 16(2))."""
    account_id: str | None
    released: int
    """To the merchant, but for interest of the account that is the merchant's own."""
    deliveries: tuple[Delivery, ...]
    """In the order in which they happened, as payments are."""
    facts: dict[str, tuple[Fact, ...]]
    """By kind, in order."""
    arrivals: dict[int, Ms]
    """When each notice arrived first, as recorded, by the notice's position."""

    @property
    def persons(self) -> Persons:
        """Who is who."""
        return self.signed.persons

    @property
    def pot(self) -> int:
        """In custody and not released: what can be returned from there."""
        return max(0, self.in_custody - self.released)

    def of(self, kind: str) -> tuple[Fact, ...]:
        """Return the facts of a kind, in the order in which they happened."""
        return self.facts.get(kind, ())

    def is_repaid(self, refund: Fact, payees: Collection[str] = ()) -> bool:
        """Whether a `refund.paid` counts: who owes it proves nothing by saying so, nor does the
        consumer about what an issuer was paid that is none of the consumer's `payees`."""
        payee = refund.data.payee
        is_issuers = payee not in payees and any(issuer == payee for issuer, _ in self.issuers)
        return refund.is_admitted and not (is_issuers and refund.role in ("consumer", BOTH))

    def formed_at(self, pick: str) -> Ms:
        """Return when the contract was made, by an answer to which day counts."""
        return self.signed_at if pick == DATED else self.signed_latest

    def find_activation(self, pick: str) -> tuple[Ms, int] | None:
        """Return (when, entry) of the first use, by an answer to which day counts."""
        found = [
            (fact.at if pick == DATED else fact.latest, fact.position)
            for fact in self.of("card.activated")
        ]
        return min(found, default=None)

    def positions(self, *kinds: str) -> list[int]:
        """Return the entries of these kinds."""
        return [fact.position for kind in kinds for fact in self.of(kind)]

    def latest(self, kind: str) -> Fact | None:
        """Return the fact of a kind that was recorded last."""
        return max(self.of(kind), key=lambda fact: fact.position, default=None)

    def latest_finding(self, kind: str) -> Fact | None:
        """Return the finding of a kind that stands; claims are passed over."""
        return choose_finding(self.of(kind))

    def find_arrival(self, notice: Fact, terms: Terms) -> Ms | None:
        """Return when a notice arrived (civil code 137): as recorded, or, where the ledger is the
        agreed system, when the ledger recorded the notice itself; never before it was sent."""
        arrived = self.arrivals.get(notice.position)
        if arrived is not None:
            arrived = max(arrived, notice.at)
        if terms.notices != LEDGER:
            return arrived
        return notice.recorded if arrived is None else min(arrived, notice.recorded)


def choose_finding(facts: Iterable[Fact]) -> Fact | None:
    """Return the finding that stands among facts of one question: the one recorded last, but a
    regulator's only where no court, no arbitrator and not both sides together found anything."""
    found = [fact for fact in facts if fact.is_finding]
    return max(found, key=lambda fact: (fact.role != REGULATOR, fact.position), default=None)


def fold(terms: Terms, facts: Sequence[Fact]) -> Account:
    """Return what the facts come to; `facts` as `law.facts.read_facts` returns them."""
    by_kind: dict[str, list[Fact]] = {}
    for fact in facts:
        by_kind.setdefault(fact.kind, []).append(fact)
    kinds = {kind: tuple(found) for kind, found in by_kind.items()}
    signed = kinds["contract.signed"][0]
    merchant = signed.data.persons.merchant
    payments: list[Payment] = []
    issuers: dict[str, int] = {}
    own = in_custody = ordered = 0
    account_id: str | None = None
    for fact in kinds.get("funds.locked", ()):
        paid, bonus = fact.data.amount, fact.data.bonus
        for voucher in fact.data.vouchers:
            if voucher.issuer == merchant:
                bonus += voucher.amount
            else:
                paid += voucher.amount
                issuers[voucher.issuer] = issuers.get(voucher.issuer, 0) + voucher.amount
        own += fact.data.amount
        payments.append(Payment(fact.position, fact.at, paid, bonus, fact.latest))
        if fact.data.custody != NOWHERE:
            in_custody += paid
        if fact.data.custody == ORDERED:
            ordered += paid
            account_id = account_id or fact.data.account
    return Account(
        signed=signed.data,
        signed_at=signed.at,
        signed_latest=signed.latest,
        signed_position=signed.position,
        payments=tuple(payments),
        paid=own + sum(issuers.values()),
        own=own,
        issuers=tuple(sorted(issuers.items())),
        bonus=sum(payment.bonus for payment in payments),
        in_custody=in_custody,
        ordered=ordered,
        account_id=account_id,
        released=_sum_released(terms, kinds),
        deliveries=_fold_deliveries(terms, kinds),
        facts=kinds,
        arrivals=_find_arrivals(kinds),
    )


def _find_arrivals(kinds: dict[str, tuple[Fact, ...]]) -> dict[int, Ms]:
    arrivals: dict[int, Ms] = {}
    for fact in kinds.get("notice.arrived", ()):
        arrivals.setdefault(fact.data.of, fact.at)  # in order, so the first is the earliest
    return arrivals


def _sum_released(terms: Terms, kinds: dict[str, tuple[Fact, ...]]) -> int:
    released, interest = (
        sum(fact.data.amount for fact in kinds.get(kind, ()))
        for kind in ("funds.released", "interest.accrued")
    )
    return int(released if terms.account_interest == CONSUMER else max(0, released - interest))


def _fold_deliveries(terms: Terms, kinds: dict[str, tuple[Fact, ...]]) -> tuple[Delivery, ...]:
    taken_back: set[int] = set()
    answers: dict[int, Fact] = {}
    for fact in kinds.get("delivery.answered", ()):
        if fact.data.answer == "reversed":
            taken_back.add(fact.data.of)
        elif fact.role in (CONSUMER, BOTH) and fact.data.answer != "silence":
            known = answers.get(fact.data.of)
            if known is None or known.position < fact.position:
                answers[fact.data.of] = fact
    tills = _Tills(terms, kinds)
    found = []
    for fact in kinds.get("service.delivered", ()):
        if fact.position in taken_back:
            continue
        answer = answers.get(fact.position)
        face, before = tills.price(fact)
        found.append(
            Delivery(
                position=fact.position,
                item=fact.data.item,
                day=day_of(fact.at),
                units=fact.data.units,
                objected=answer is not None and answer.data.answer == "objected",
                face=face,
                before=before,
                overcharge=fact.data.debited - face,
            )
        )
    return tuple(found)


def tally(deliveries: Sequence[Delivery]) -> dict[str, Tally]:
    """Return the deliveries by item, in the order of the items' names."""
    items: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        items.setdefault(delivery.item, []).append(delivery)
    return {
        item: Tally(
            sum(delivery.units for delivery in found),
            sum(delivery.face for delivery in found),
            sum(delivery.before for delivery in found),
            tuple(sorted(delivery.position for delivery in found)),
        )
        for item, found in sorted(items.items())
    }


class _Tills:
    """What one debit may be, by the price list and the changes the consumer agreed to."""

    __slots__ = ("_changes", "_prices")

    def __init__(self, terms: Terms, kinds: dict[str, tuple[Fact, ...]]) -> None:
        self._prices: dict[str, Price] = {}
        if isinstance(terms.deal, StoredDeal):
            self._prices = {price.item: price for price in terms.deal.prices}
        self._changes: dict[str, list[Fact]] = {}
        for fact in kinds.get("price.changed", ()):
            if fact.role == BOTH:
                self._changes.setdefault(fact.data.item, []).append(fact)

    def price(self, delivery: Fact) -> tuple[int, int]:
        """Return (what may be charged, its price before discount), in fen."""
        data = delivery.data
        listed = self._prices.get(data.item)
        if listed is None:
            return data.debited, data.debited
        price = listed.price
        for change in self._changes.get(data.item, ()):
            if change.key <= delivery.key:
                price = change.data.price
        before = listed.price if listed.undiscounted is None else listed.undiscounted
        return min(data.debited, data.units * price), data.units * max(before, price)


@value_class
class Interruption:
    """Days without service that were followed by service again."""

    stopped: Day
    resumed: Day
    positions: tuple[int, int]


@value_class
class Clockwork:
    """How a period ran: when it began, when the service stopped for good, and its breaks."""

    start: Day | None
    start_position: int | None
    stopped: Day | None
    stop_position: int | None
    interruptions: tuple[Interruption, ...]


def read_period(
    account: Account, deal: PeriodDeal, until: Day, *, claims: frozenset[str], activation: str
) -> Clockwork:
    """Return how a pass ran until a day; `claims` are the kinds of which mere claims count,
    `activation` says which day of a first use does."""
    start, start_position = deal.term.start, None
    begun = account.find_activation(activation) if start is None else None
    if begun is not None:
        start, start_position = day_of(begun[0]), begun[1]
    stopped: Day | None = None
    stop_position: int | None = None
    breaks = []
    stops, resumes = (
        [fact for fact in account.of(kind) if kind in claims or fact.is_admitted]
        for kind in ("service.stopped", "service.resumed")
    )
    resumes = [fact for fact in resumes if day_of(fact.at) <= until]
    for stop in stops:
        day = day_of(stop.at)
        place = bisect_right(resumes, stop.key, key=lambda fact: fact.key)
        if place < len(resumes):
            again = resumes[place]
            breaks.append(Interruption(day, day_of(again.at), (stop.position, again.position)))
        elif day < until and (stopped is None or day < stopped):
            stopped, stop_position = day, stop.position
    return Clockwork(start, start_position, stopped, stop_position, tuple(breaks))
