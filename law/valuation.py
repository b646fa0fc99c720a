"""What was delivered is worth: arts 15, 18, 19 and 22 of 法释〔2025〕4号.

    units      v = Σ k · a/(n + b)            at the discounted price (18)
               v = Σ k · u                    at the price before discount (19)
    card       v = F · P/(P + B)              at the ratio of paid and bonus (18(2))
    period     v = price · used/whole         and for unlimited use P · remaining/whole (22)

Everything is exact; nothing is rounded here. A `Basis` says at which price, the assumptions say
what is open (`law.questions`). The value is None where a price is not known: that is a result, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Final, NamedTuple

from law.account import BOTH, Account, Tally, choose_finding, read_period, tally
from law.amounts import Exact, divide
from law.days import Day, count_months_begun, day_of, end_of_months, show_day
from law.derivation import Input, WorkedOnce, Working, from_entries, from_step, from_terms
from law.terms import (
    BONUS_FIRST,
    CONSUMER,
    DISCOUNTED,
    PASS_ITEM,
    PRINCIPAL_FIRST,
    PROPORTIONAL,
    UNDISCOUNTED,
    UNLIMITED,
    Agreement,
    Line,
    PeriodDeal,
    StoredDeal,
    Terms,
    UnitsDeal,
)

COUNTED: Final = "counted"
NOT_COUNTED: Final = "not_counted"
MARKET: Final = "market"
PRICES: Final = "prices"

Pick = Mapping[str, str]
"""The answer assumed for each open question."""

TOUCHES_TIME: Final = ("stopped", "resumed", "interruption", "activation_day")
"""The questions whose answers the time used depends on."""
TOUCHES_VALUE: Final = ("disputed", "after_end", "bonus_units", "topups", *TOUCHES_TIME)
"""The questions whose answers a value depends on."""
_touched: Final = itemgetter(*TOUCHES_VALUE)


class Basis(NamedTuple):
    """At which price: discounted, before discount, market, agreed, or by an order of spending."""

    word: str
    agreement: Agreement | None = None

    def agreed_price(self, item: str) -> int | None:
        """Return the agreed price of one, if this basis is a list of them."""
        if self.agreement is not None:
            for known, price in self.agreement.prices:
                if known == item:
                    return price
        return None


ARTICLES: Final = {
    DISCOUNTED: "15(1), 18(1)(1)",
    UNDISCOUNTED: "19(1)",
    MARKET: "19(2)",
    PRICES: "18(2), 19(3)",
    BONUS_FIRST: "18(2), 19(3)",
    PRINCIPAL_FIRST: "18(2), 19(3)",
    PROPORTIONAL: "18(2), 19(3)",
}

BY_ORDER: Final = (BONUS_FIRST, PRINCIPAL_FIRST)
"""Orders by which what was given stands apart from what was paid."""


def list_items(terms: Terms) -> frozenset[str]:
    """Return everything that has a price."""
    deal = terms.deal
    if isinstance(deal, PeriodDeal):
        return frozenset((PASS_ITEM,))
    rows = deal.lines if isinstance(deal, UnitsDeal) else deal.prices
    return frozenset(row.item for row in rows)


class Valuation:
    """Values one contract's deliveries."""

    __slots__ = ("_tallied", "_used", "_values", "account", "shown", "terms")

    def __init__(self, terms: Terms, account: Account) -> None:
        self.terms = terms
        self.account = account
        self._tallied: dict[tuple[bool, Day | None], Mapping[str, Tally]] = {}
        self._values: WorkedOnce[Exact | None] = WorkedOnce()
        self._used: WorkedOnce[tuple[int, int]] = WorkedOnce()
        self.shown: frozenset[str] = _find_shown(account)
        """Items at whose price before discount the merchant has shown sales (art. 19(2))."""

    def compute_value(self, basis: Basis, pick: Pick, until: Day, working: Working) -> Exact | None:
        """Return the value of what was delivered, in fen; None where a price is not known."""
        key = (basis, until, _touched(pick))
        return self._values.of(key, working, lambda own: self._work_value(basis, pick, until, own))

    def _work_value(self, basis: Basis, pick: Pick, until: Day, working: Working) -> Exact | None:
        deal = self.terms.deal
        if isinstance(deal, UnitsDeal):
            return self._value_units(deal, basis, pick, until, working)
        if isinstance(deal, StoredDeal):
            return self._value_card(deal, basis, pick, until, working)
        return self._value_period(deal, basis, pick, until, working)

    def find_market_price(self, item: str) -> tuple[int, int] | None:
        """Return (price, entry): the finding that stands, else what the consumer asserts, alone or
        with the merchant, else any claim; the latest of its rank."""
        rows = [fact for fact in self.account.of("market_price.stated") if fact.data.item == item]
        asserted = [fact for fact in rows if fact.role in (CONSUMER, BOTH)]
        last = choose_finding(rows)
        if last is None:
            last = max(asserted or rows, key=lambda fact: fact.position, default=None)
        return None if last is None else (last.data.price, last.position)

    # -- units and milestones

    def _value_units(
        self, deal: UnitsDeal, basis: Basis, pick: Pick, until: Day, working: Working
    ) -> Exact | None:
        total: Exact = 0
        parts: list[Input] = []
        tallies = self._find_tallies(pick, until)
        for line in deal.lines:
            taken = tallies.get(line.item, NOTHING)
            charged = self._charged_units(line, taken.units, basis, pick)
            priced = self._price_unit(line, basis, pick)
            if priced is None:
                if charged:
                    self._note_unknown(line.item, working)
                    return None
                continue
            each, source = priced
            total += charged * each
            parts.append(from_entries(f"k {line.item}", charged, taken.positions))
            parts.append(source)
        return working.exact("v", ARTICLES[basis.word], "v = Σ k × price", total, *parts)

    @staticmethod
    def _note_unknown(item: str, working: Working) -> None:
        working.text("v", "19(2)", "market price not stated", "unknown", from_terms("item", item))

    def _charged_units(self, line: Line, taken: int, basis: Basis, pick: Pick) -> int:
        """Return how many of the units taken are charged: gifts are not (art. 21)."""
        if self._is_spread(basis, pick):
            return taken
        by_order = basis.word in BY_ORDER
        if (basis.word if by_order else self.terms.spend_order) == BONUS_FIRST:
            return max(0, taken - line.bonus)
        return taken - min(line.bonus, max(0, taken - line.units))

    @staticmethod
    def _is_spread(basis: Basis, pick: Pick) -> bool:
        """Whether units that were given lower the price of all, and are charged like all."""
        if basis.word in BY_ORDER:
            return False
        return basis.word == PROPORTIONAL or pick["bonus_units"] != "gift"

    def _price_unit(self, line: Line, basis: Basis, pick: Pick) -> tuple[Exact, Input] | None:
        """Return the price of one unit and where it comes from."""
        item = line.item
        paid_units = divide(line.amount, line.units)
        before = paid_units if line.undiscounted is None else line.undiscounted
        if basis.word == MARKET and item not in self.shown:
            found = self.find_market_price(item)
            if found is None:
                return None
            return found[0], from_entries(f"m {item}", found[0], [found[1]])
        if basis.word in (UNDISCOUNTED, MARKET):
            return before, from_terms(f"u {item}", before)
        is_spread = self._is_spread(basis, pick)
        each: Exact = divide(line.amount, line.units + line.bonus) if is_spread else paid_units
        agreed = basis.agreed_price(item)
        if agreed is not None:
            each = agreed
        return each, from_terms(f"a {item}", each)

    # -- stored value

    def _value_card(
        self, deal: StoredDeal, basis: Basis, pick: Pick, until: Day, working: Working
    ) -> Exact | None:
        tallies = self._find_tallies(pick, until)
        article = ARTICLES[basis.word]
        if basis.word in (UNDISCOUNTED, MARKET, PRICES):
            return self._value_card_by_item(deal, basis, tallies, working)
        face = working.exact(
            "F", "12, 15(1)", "F = Σ min(debited, units × contract price)",
            sum(taken.face for taken in tallies.values()),
            *(from_entries(f"F {i}", t.face, t.positions) for i, t in tallies.items()),
        )  # fmt: skip
        paid, bonus = self.account.paid, self.account.bonus
        payments = [payment.position for payment in self.account.payments]
        given = (
            from_step("F", face),
            from_entries("P", paid, payments),
            from_entries("B", bonus, payments),
        )
        if basis.word == BONUS_FIRST:
            return working.exact("v", article, "v = max(0, F − B)", max(face - bonus, 0), *given)
        if basis.word == PRINCIPAL_FIRST:
            beyond = max(face - paid - bonus, 0)
            value = min(face, paid) + beyond
            return working.exact("v", article, "v = min(F, P) + max(0, F − P − B)", value, *given)
        if basis.word != PROPORTIONAL:
            article = "18(1)(2)"
        if pick["topups"] == "pooled":
            return working.exact(
                "v", article, "v = F × P/(P + B)", _apply_ratio(face, paid, bonus), *given
            )
        total: Exact = 0
        left = face
        for payment in self.account.payments:
            part = min(left, payment.paid + payment.bonus)
            total += _apply_ratio(part, payment.paid, payment.bonus)
            left -= part
        return working.exact(
            "v", article, "v = Σ over top-ups, oldest first: F × P/(P + B)", total + left, *given
        )

    def _value_card_by_item(
        self, deal: StoredDeal, basis: Basis, tallies: Mapping[str, Tally], working: Working
    ) -> Exact | None:
        """Return the value at prices of single items, without the ratio (art. 19)."""
        listed = {price.item for price in deal.prices}
        total = 0
        parts: list[Input] = []
        for item, taken in tallies.items():
            at_market = basis.word == MARKET and item in listed and item not in self.shown
            found = self.find_market_price(item) if at_market else None
            agreed = basis.agreed_price(item)
            if at_market and found is None:
                self._note_unknown(item, working)
                return None
            if found is not None:
                total += taken.units * found[0]
                parts.append(from_entries(f"k {item}", taken.units, taken.positions))
                parts.append(from_entries(f"m {item}", found[0], [found[1]]))
            elif agreed is not None:
                total += taken.units * agreed
                parts.append(from_entries(f"k {item}", taken.units, taken.positions))
                parts.append(from_terms(f"a {item}", agreed))
            elif basis.word == PRICES:
                total += taken.face
                parts.append(from_entries(f"F {item}", taken.face, taken.positions))
            else:
                total += taken.before
                parts.append(from_entries(f"U {item}", taken.before, taken.positions))
        return working.exact(
            "v", ARTICLES[basis.word], "v = Σ k × price + Σ U + Σ F", total, *parts
        )

    # -- periods

    def _value_period(
        self, deal: PeriodDeal, basis: Basis, pick: Pick, until: Day, working: Working
    ) -> Exact | None:
        price, source = deal.price, from_terms("price", deal.price)
        if basis.word in (UNDISCOUNTED, MARKET) and deal.undiscounted is not None:
            price = deal.undiscounted
            source = from_terms("price before discount", price)
        if basis.word == MARKET and PASS_ITEM not in self.shown:
            found = self.find_market_price(PASS_ITEM)
            if found is None:
                working.text("v", "19(2)", "market price not stated", "unknown")
                return None
            price, source = found[0], from_entries("market price", found[0], [found[1]])
        agreed = basis.agreed_price(PASS_ITEM)
        if agreed is not None:
            price, source = agreed, from_terms("agreed price", agreed)
        used, whole = self.compute_used(deal, pick, until, working)
        return working.exact(
            "v", ARTICLES[basis.word], "v = price × used/whole", divide(price * used, whole),
            source, from_step("used", used), from_step("whole", whole),
        )  # fmt: skip

    def compute_used(
        self, deal: PeriodDeal, pick: Pick, until: Day, working: Working
    ) -> tuple[int, int]:
        """Return (used, whole) in the term's unit of count, as of the day the contract ended or,
        if the merchant had stopped before, of the stop (art. 22 paragraphs 1 and 2)."""
        key = (until, *[pick[name] for name in TOUCHES_TIME])
        return self._used.of(key, working, lambda own: self._work_used(deal, pick, until, own))

    def _work_used(
        self, deal: PeriodDeal, pick: Pick, until: Day, working: Working
    ) -> tuple[int, int]:
        term = deal.term
        claims = frozenset(
            f"service.{name}" for name in ("stopped", "resumed") if pick[name] == "happened"
        )
        clock = read_period(
            self.account, deal, until, claims=claims, activation=pick["activation_day"]
        )
        anchor = day_of(self.account.signed_at) if clock.start is None else clock.start
        days = term.length
        if term.unit == "month":
            days = end_of_months(anchor, term.length) - anchor
        in_months = term.counted_in == "month"
        whole = term.length if in_months else days
        last = until if clock.stopped is None else clock.stopped
        takes_last = term.last == "used"
        if clock.start is None:
            used = 0
        elif in_months:
            begun = min(count_months_begun(clock.start, last), term.length)
            under_way = begun > 0 and last < end_of_months(clock.start, begun)
            used = begun - (under_way and not takes_last)
        else:
            end = max(clock.start, min(clock.start + days, last + takes_last))
            used = end - clock.start
            if pick["interruption"] == "remaining":
                gaps = [
                    (max(clock.start, gap.stopped + takes_last), min(end, gap.resumed))
                    for gap in clock.interruptions
                ]
                used -= _count_union(gaps)
        start = "not begun" if clock.start is None else show_day(clock.start)
        inputs = [
            from_terms("start", start)
            if clock.start_position is None
            else from_entries("start", start, [clock.start_position]),
            from_terms("counted in", term.counted_in),
            from_terms("last", term.last),
        ]
        if clock.stop_position is None:
            inputs.append(Input("until", show_day(last), "step"))
        else:
            inputs.append(from_entries("stopped", show_day(last), [clock.stop_position]))
        gap_positions = [p for gap in clock.interruptions for p in gap.positions]
        if gap_positions:
            inputs.append(from_entries("interrupted", pick["interruption"], gap_positions))
        article = "15(1)"
        if deal.kind == UNLIMITED:
            article = "22(1)" if clock.stop_position is None else "22(2)"
        working.exact("used", article, "used = part of the term before the end", used, *inputs)
        working.exact("whole", article, "whole = the full term", whole, *inputs[:2])
        return used, whole

    def compute_remaining(
        self, deal: PeriodDeal, pick: Pick, until: Day, working: Working
    ) -> Exact:
        """Return paid × remaining/whole (art. 22)."""
        used, whole = self.compute_used(deal, pick, until, working)
        paid = self.account.paid
        return working.exact(
            "R", working.steps[-1].article, "R = P × (whole − used)/whole",
            divide(paid * (whole - used), whole),
            from_entries("P", paid, [p.position for p in self.account.payments]),
            from_step("used", used), from_step("whole", whole),
        )  # fmt: skip

    def _find_tallies(self, pick: Pick, until: Day) -> Mapping[str, Tally]:
        """Return what counts as delivered, by item, of a contract that ended on a day."""
        has_disputed = pick["disputed"] == "counted"
        last = until if pick["after_end"] == NOT_COUNTED else None
        found = self._tallied.get((has_disputed, last))
        if found is None:
            found = self._tallied[has_disputed, last] = tally(
                [
                    delivery
                    for delivery in self.account.deliveries
                    if (has_disputed or not delivery.objected)
                    and (last is None or delivery.day <= last)
                ]
            )
        return found


NOTHING: Final = Tally(0, 0, 0, ())


def _find_shown(account: Account) -> frozenset[str]:
    """Return the items at whose price before discount the merchant says that it has shown sales,
    but for those whose price the consumer disputed again after that: nobody proves by his own
    word."""
    last = account.latest("price.disputed")
    first: dict[str, int] = {}
    for fact in account.of("sales_records.produced"):
        for item in fact.data.items:
            first[item] = min(fact.position, first.get(item, fact.position))
    return frozenset(item for item, at in first.items() if last is None or last.position < at)


def _apply_ratio(face: int, paid: int, bonus: int) -> Exact:
    """Return face value at paid/(paid + bonus); what is beyond the card's value counts in full."""
    held = paid + bonus
    if face >= held:
        return paid + (face - held)
    return divide(face * paid, held)


def _count_union(spans: list[tuple[int, int]]) -> int:
    """Return how many days lie in at least one half-open span."""
    total, reached = 0, None
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        start = begin if reached is None else max(begin, reached)
        if end > start:
            total += end - start
            reached = end
    return total
