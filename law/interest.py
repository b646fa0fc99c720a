"""Interest on what is returned: arts 16 and 17 of 法释〔2025〕4号.

    standard   agreed; else by cause: 1-year LPR (merchant), 1-year deposit benchmark (consumer);
               neither's cause: not said, so all stand. Rates are those at formation (16(1)).
    account    money supervised by order bears that account's rate, if the consumer asks (16(2))
    from       the end, or the finding; a better agreed start prevails (17)

Interest runs day by day on what is still owed; it is exact until the one rounding at the end. A
payment out of custody returns principal; one by the merchant goes to interest first (civil code
561) unless the terms say otherwise, and what that leaves owed is carried in billionths of a fen.
Payments of a day count from the next day on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Final

from law.account import Account
from law.amounts import Exact
from law.days import Day, Ms, day_of, days_in_year, show_day, start_of_year, year_of
from law.derivation import Input, Interest, WorkedOnce, Working, from_entries, from_step, from_terms
from law.ending import COOLING_OFF, TERMINATION, Ending
from law.facts import Fact
from law.payees import find_takeovers
from law.published import ACCOUNT, DEPOSIT_1Y, LPR_1Y, Published, Rate
from law.terms import CONSUMER, MERCHANT, NEITHER, PRINCIPAL_FIRST, Terms
from law.value_class import value_class

AGREED: Final = "agreed"
NONE: Final = "none"
AT_ACCOUNT: Final = "+account"
PPM: Final = 1_000_000
CARRIED: Final = 10**9
"""Parts of a fen in which what a payment left owed is carried on."""

_ARTICLE_OF_RATE: Final = {False: "16(1)", True: "16(1), 16(2)"}
"""By whether the account's own rate is taken for its part."""

_FORMULA: Final = {
    False: "I = Σ owed × ppm/1000000 × days/basis",
    True: "I = Σ (in the account × account ppm + rest × ppm)/1000000 × days/basis",
}
"""The same."""

_COUNTED: Final = {False: "not counted", True: "counted"}

ACCOUNT_PPM: Final = "account ppm from"
PAID_BACK: Final = {
    "custody": "paid back from custody on",
    "merchant": "paid back by the merchant on",
}
"""Names of inputs, each of which a day follows; payments by their source."""

BY_CAUSE: Final[dict[str, tuple[str, ...]]] = {
    MERCHANT: (LPR_1Y,),
    CONSUMER: (DEPOSIT_1Y,),
    NEITHER: (LPR_1Y, DEPOSIT_1Y, NONE),
}
"""Art. 16(1), and what stands where it says nothing."""


def find_standards(terms: Terms, route: str, cause: str) -> tuple[str, ...]:
    """Return the standards of interest that may apply."""
    if route == COOLING_OFF:
        return ()
    if terms.interest.ppm is None:
        return BY_CAUSE[cause]
    if route == TERMINATION:
        return (AGREED,)
    # In a contract found invalid the agreed rate is itself a term of it (civil code 155, 157).
    return (AGREED, *BY_CAUSE[cause])


def find_start(
    terms: Terms, account: Account, ending: Ending, formed_at: Ms
) -> tuple[Day, tuple[int, ...]]:
    """Return the day from which interest runs: the end, or a better agreed day (art. 17)."""
    start: list[tuple[Day, tuple[int, ...]]] = [(ending.day, ending.positions)]
    agreed = terms.interest.start
    if agreed == "formation":
        start.append((day_of(formed_at), (account.signed_position,)))
    elif agreed == "first_payment" and account.payments:
        first = account.payments[0]
        start.append((day_of(first.at), (first.position,)))
    elif agreed == "request":
        for kind in ("termination.requested", "cooling_off.requested"):
            start += [(day_of(fact.at), (fact.position,)) for fact in account.of(kind)]
    return min(start)


@value_class
class _Run:
    """What every standard of one result has in common."""

    principal: int
    supervised: int
    begin: Day
    """First day that bears interest."""
    end: Day
    """First day that does not any more."""
    is_earlier: bool
    """Whether an agreed start before the end prevails (art. 17(2))."""
    cuts: tuple[Day, ...]
    """The days at which something changes, but for the rate of the account."""
    since: Input
    given: tuple[Input, ...]
    """What a step of working says of all this."""


class Accrual:
    """Works out the interest of a contract's results."""

    __slots__ = (
        "_is_interest_first", "_paid_back", "_repaid", "_returned", "_runs", "account", "as_of",
        "published", "terms",
    )  # fmt: skip

    def __init__(
        self,
        terms: Terms,
        account: Account,
        published: Published,
        as_of: Day,
        payees: Collection[str],
    ) -> None:
        self._runs: dict[tuple[int, Ending, Ms], tuple[_Run, WorkedOnce[Interest]]] = {}
        """Runs, with the interest of each by every standard: causes and answers have many of them
        in common."""
        self.terms = terms
        self.account = account
        self.published = published
        self.as_of = as_of
        holding: dict[str, Day] = {}
        if account.issuers:
            holding = {issuer: as_of + 1 for issuer, _ in account.issuers}
            held = find_takeovers(terms, account)
            holding |= {payee: held.get(payee, 0) for payee in payees}
        repaid = [
            fact
            for fact in account.of("refund.paid")
            if fact.is_admitted and holding.get(fact.data.payee, 0) <= day_of(fact.at) <= as_of
        ]
        self._repaid = tuple(sorted(repaid, key=lambda fact: (day_of(fact.at), fact.key)))
        """What was paid back to whoever holds the consumer's share, by days. To an issuer, from the
        day on which it holds it, that share is paid first: it bears interest and burdens the debtor
        more (civil code 560(2)). What an issuer was paid before was its own."""
        self._returned: int = sum(fact.data.amount for fact in repaid)
        self._paid_back = _list_paid_back(self._repaid)
        self._is_interest_first = terms.debts != PRINCIPAL_FIRST and any(
            fact.data.source == "merchant" for fact in self._repaid
        )
        """Whether something paid back went to interest first (civil code 561)."""

    def compute(
        self,
        route: str,
        cause: str,
        consumer: int,
        ending: Ending,
        formed_at: Ms,
        working: Working,
    ) -> tuple[Interest, ...]:
        """Return interest on the consumer's share by every standard that may apply, on a contract
        made at `formed_at`: art. 16(1) takes the rates of that time."""
        key = (consumer, ending, formed_at)
        begun = self._runs.get(key)
        if begun is None:
            run = self._begin(consumer, ending, formed_at)
            begun = self._runs[key] = run, WorkedOnce()
        run, known = begun
        asked = bool(self.account.of("actual_rate.requested"))
        found = []
        for standard in find_standards(self.terms, route, cause):
            names = [] if run.supervised and asked else [standard]
            if run.supervised:
                names.append(standard + AT_ACCOUNT)
            for name in names:
                found.append(
                    known.of(name, working, partial(self._accrue, name, standard, formed_at, run))
                )
        return tuple(found)

    def _begin(self, principal: int, ending: Ending, formed_at: Ms) -> _Run:
        how = self.terms.interest
        start, positions = find_start(self.terms, self.account, ending, formed_at)
        begin = start if how.first_day else start + 1
        end = self.as_of + 1 if how.last_day else self.as_of
        since = from_entries("from", show_day(start), positions)
        return _Run(
            principal,
            min(principal, self.account.pot, self.account.ordered),
            begin,
            end,
            start < ending.day,
            self._find_cuts(begin, end),
            since,
            (
                from_step("principal", principal),
                since,
                Input("to", show_day(self.as_of), "as_of"),
                from_terms("first day", _COUNTED[how.first_day]),
                from_terms("last day", _COUNTED[how.last_day]),
                from_terms("basis", how.basis),
            ),
        )

    def _find_rate(self, standard: str, formed_at: Ms) -> tuple[int, Input] | None:
        if standard == AGREED:
            ppm = self.terms.interest.ppm or 0
            return ppm, from_terms("ppm", ppm)
        if standard == NONE:
            return 0, Input("ppm", "0", "rule")
        rate = self.published.find_rate(standard, formed_at)
        if rate is None:
            return None
        return rate.ppm, Input("ppm", str(rate.ppm), "published", (rate.position,))

    def _accrue(
        self, name: str, standard: str, formed_at: Ms, run: _Run, working: Working
    ) -> Interest:
        """Return interest by a standard, called `name` where the account's rate stands beside."""
        rate = self._find_rate(standard, formed_at)
        supervised = run.supervised if name.endswith(AT_ACCOUNT) else 0
        account_rates: tuple[Rate, ...] = ()
        if supervised:
            account_rates = self.published.rates.get(f"{ACCOUNT}{self.account.account_id}", ())
        debt = _Debt(run.principal, supervised, self._repaid, self.terms.debts == PRINCIPAL_FIRST)
        ppm = None if rate is None else rate[0]
        cuts = run.cuts
        if cuts and account_rates:
            days = {rate.since for rate in account_rates if run.begin <= rate.since <= run.end}
            cuts = tuple(sorted(days.union(cuts)))
        for begin, end in pairwise(cuts):
            debt.settle_before(begin)
            account = _rate_on(account_rates, begin)
            if not debt.accrue(ppm, account, end - begin, self._year(begin)):
                article = _ARTICLE_OF_RATE[AT_ACCOUNT in name]
                missing, given = "the rate is not published", [run.since]
                if debt.lacks_account(account):
                    missing = "the account's rate is not published"
                    given.append(Input("without a rate on", show_day(begin), "step"))
                working.text(f"I {name}", article, missing, "unknown", *given)
                return Interest(name, None, None)
        accrued = debt.accrued
        fen = self.terms.rounding.round(accrued)
        inputs = [
            *run.given,
            Input("exact", _show(accrued), "step"),
        ]
        if rate is not None and (debt.bore_standard or not supervised):
            inputs.append(rate[1])
        if supervised:
            inputs.append(from_step("in the account", supervised))
            inputs += [
                Input(
                    f"{ACCOUNT_PPM} {show_day(point.since)}",
                    str(point.ppm),
                    "published",
                    (point.position,),
                )
                for point in debt.account_rates
            ]
        article = f"{_ARTICLE_OF_RATE[AT_ACCOUNT in name]}, 17({2 if run.is_earlier else 1})"
        inputs += self._paid_back
        if self._is_interest_first:
            article += "; civil code 561"
        working.rounded(
            f"I {name}", article, _FORMULA[AT_ACCOUNT in name], fen, self.terms.rounding, *inputs
        )
        return Interest(name, fen, max(0, run.principal + fen - self._returned))

    def _find_cuts(self, begin: Day, end: Day) -> tuple[Day, ...]:
        """Return the days at which something changes, from the first to past the last."""
        if begin >= end:
            return ()
        cuts = {begin, end}
        cuts |= {day_of(fact.at) + 1 for fact in self._repaid}
        if self.terms.interest.basis == "actual":
            years = range(year_of(begin) + 1, year_of(end) + 1)
            cuts |= {start_of_year(year) for year in years}
        return tuple(sorted(day for day in cuts if begin <= day <= end))

    def _year(self, day: Day) -> int:
        basis = self.terms.interest.basis
        return days_in_year(year_of(day)) if basis == "actual" else int(basis)


def _list_paid_back(repaid: Sequence[Fact]) -> tuple[Input, ...]:
    """Return what was paid back on each day, from where: without the days nobody could work it
    again."""
    found: dict[tuple[Day, str], list[Fact]] = {}
    for fact in repaid:
        found.setdefault((day_of(fact.at), fact.data.source), []).append(fact)
    return tuple(
        from_entries(
            f"{PAID_BACK[source]} {show_day(day)}",
            sum(fact.data.amount for fact in facts),
            [fact.position for fact in facts],
        )
        for (day, source), facts in found.items()
    )


class _Debt:
    """What is owed while interest runs."""

    __slots__ = (
        "_borne", "_left", "_principal_first", "account_rates", "bore_standard", "owed",
        "supervised", "unpaid",
    )  # fmt: skip

    def __init__(
        self, principal: int, supervised: int, repaid: Sequence[Fact], principal_first: bool
    ) -> None:
        self.owed: Fraction | int = principal
        """Whole fen, as `supervised` is, until a payment goes to interest first."""
        self.supervised: Fraction | int = supervised
        self.unpaid: Fraction | int = 0
        """Interest that nothing was paid on yet; kept while payments are left to settle."""
        self._borne: dict[int, Fraction | int] = {}
        """Fen × ppm × days, by the days of the year that they are counted in: whole numbers until
        the end, but for the rare owed fraction."""
        self.account_rates: list[Rate] = []
        """Those of the account that something bore."""
        self.bore_standard = False
        """Whether something bore the rate of the standard."""
        self._left = list(reversed(repaid))
        self._principal_first = principal_first

    @property
    def accrued(self) -> Exact:
        """All interest so far."""
        parts = [Fraction(borne, basis * PPM) for basis, borne in self._borne.items()]
        return sum(parts[1:], parts[0]) if parts else 0

    def settle_before(self, day: Day) -> None:
        """Take account of what was paid back on earlier days."""
        while self._left and day_of(self._left[-1].at) < day:
            self._settle(self._left.pop())

    def _settle(self, fact: Fact) -> None:
        amount: Fraction | int = fact.data.amount
        if fact.data.source == "custody":
            self.supervised = max(0, self.supervised - min(amount, self.owed))
        elif not self._principal_first:
            to_interest = min(amount, self.unpaid)
            self.unpaid -= to_interest
            amount -= to_interest
        to_principal = min(amount, self.owed)
        self.owed = _carry(self.owed - to_principal)
        self.unpaid = max(0, self.unpaid - (amount - to_principal))

    def lacks_account(self, account: Rate | None) -> bool:
        """Whether something in the account bears a rate that is not known."""
        return account is None and min(self.supervised, self.owed) > 0

    def accrue(self, ppm: int | None, account: Rate | None, days: int, basis: int) -> bool:
        """Let a stretch of days pass; False if a rate that it needs is not known."""
        at_account = min(self.supervised, self.owed)
        rest = self.owed - at_account
        if self.lacks_account(account) or (rest and ppm is None):
            return False
        if at_account and account is not None and account not in self.account_rates[-1:]:
            self.account_rates.append(account)
        self.bore_standard = self.bore_standard or bool(rest)
        bearing = at_account * (0 if account is None else account.ppm) + rest * (ppm or 0)
        borne = bearing * days
        self._borne[basis] = self._borne.get(basis, 0) + borne
        if self._left:
            self.unpaid += Fraction(borne, basis * PPM)
        return True


def _carry(owed: Fraction | int) -> Fraction | int:
    """Return what a payment leaves owed, as it is carried on: a billionth of a fen, in the
    creditor's favour. Exact fractions grew with every payment that went to interest first, to
    thousands of digits that took every node minutes."""
    if isinstance(owed, int) or owed.denominator == 1:
        return owed
    return Fraction(-(-owed.numerator * CARRIED // owed.denominator), CARRIED)


def _rate_on(rates: Sequence[Rate], day: Day) -> Rate | None:
    found = None
    for rate in rates:
        if rate.since <= day:
            found = rate
    return found


def _show(amount: Exact) -> str:
    return f"{amount.numerator}/{amount.denominator}"
