"""What is owed under a contract: the refund rules of 法释〔2025〕4号, arts 3 and 10 to 25.

`derive` takes the terms, the facts of the contract, published data and a day, and returns every
result that the law leaves possible: by route (within seven days, invalid, terminated), by cause
(all three until it is found), and by the questions that are open (`law.questions`), each with its
working. It is a function of its arguments, to the byte. Always: 0 ≤ principal ≤ paid; the
consumer's and the issuers' shares add up to the principal, and so do custody and merchant; an
agreement never lowers a figure; gifts are never netted; nothing is decided that a court must
decide. Where art. 14 may give nothing (too late, say), what the contract gives if it ends otherwise
stands beside it: whoever asked in vain has lost nothing by asking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final

from law.account import Account, fold
from law.amounts import FEN, Exact
from law.cooling_off import CoolingOff
from law.days import Day, day_of
from law.derivation import (
    SPEND_ORDER,
    Assumptions,
    Considered,
    Derivation,
    Figures,
    Payment,
    Result,
    Step,
    Working,
    from_entries,
    from_step,
    from_terms,
)
from law.ending import (
    COOLING_OFF,
    INVALIDITY,
    TERMINATION,
    Ending,
    assume_ending,
    find_endings,
    find_invalidity,
    find_routes,
    is_limited_in_capacity,
)
from law.facts import Fact
from law.interest import Accrual
from law.payees import find_payees
from law.published import Published
from law.questions import (
    ARTICLE_19,
    QUESTIONS,
    Answers,
    find_idle,
    find_questions,
    is_ratio_pass,
    list_picks,
)
from law.refusal import Code, Refused
from law.terms import (
    CAUSES,
    CONSUMER,
    DISCOUNTED,
    UNSAID,
    VOUCHER_FIRST,
    PeriodDeal,
    StoredDeal,
    Terms,
    UnitsDeal,
)
from law.told import tell
from law.valuation import PRICES, Basis, Valuation
from law.value_class import value_class

ANY: Final = "any"
"""The cause of a refund that needs no reason (art. 14)."""

PAYEE_CONSUMER: Final = "consumer"
SOURCES: Final = ("custody", "merchant")


def derive(terms: Terms, facts: Sequence[Fact], published: Published, as_of: Day) -> Derivation:
    """Return what is owed under a contract as of a day.

    `facts` are as `law.facts.read_facts` returns them. Raises `Refused`: INCONSISTENT where the
    contract was signed on other terms, MISSING_DATA where the rest days of a deadline's year are
    not published.
    """
    account = fold(terms, facts)
    if account.signed.terms != terms.hash:
        raise Refused(
            Code.INCONSISTENT,
            f"the contract at entry {account.signed_position} was signed on the terms "
            f"{account.signed.terms}, not on {terms.hash}",
        )
    recorded = find_endings(terms, account, as_of)
    endings = tuple(ending for ending in recorded if ending.day <= as_of)
    payees = find_payees(terms, account, recorded)
    names = {name for each in payees for name in (each.payee, each.through)}
    engine = _Engine(terms, account, published, as_of, endings, names)
    routes = find_routes(account, endings)
    results = [result for route in routes for result in engine.work_route(route)]
    if routes == (COOLING_OFF,) and any(not result.figures.principal for result in results):
        results += engine.work_route(TERMINATION)
    return Derivation(
        terms_hash=terms.hash,
        as_of=as_of,
        paid=account.paid,
        returned=tuple(
            sum(
                fact.data.amount
                for fact in account.of("refund.paid")
                if account.is_repaid(fact, names)
                and fact.data.source == where
                and day_of(fact.at) <= as_of
            )
            for where in SOURCES
        ),
        results=tuple(results),
        payees=payees,
        told=tell(terms, account, as_of, endings, names),
    )


def find_causes(account: Account) -> tuple[str, ...]:
    """Return the cause that was found, or all three while none was."""
    finding = account.latest_finding("cause.stated")
    return CAUSES if finding is None else (finding.data.cause,)


def _find_capacity(account: Account) -> str:
    """Return the paragraph of art. 10 for the party's age; both where it does not say."""
    band = account.persons.age_band
    return {"under_8": "10(1)", "8_to_17": "10(2)"}.get(band, "10(1), 10(2)")


@value_class
class _Case:
    """One combination of answers, worked."""

    ended: Day
    figures: Figures
    payments: tuple[Payment, ...]
    considered: tuple[Considered, ...]
    fees: tuple[tuple[int, int], ...]
    steps: tuple[Step, ...]


class _Engine:
    __slots__ = ("account", "accrual", "cooling_off", "endings", "paid", "terms", "valuation")

    def __init__(
        self,
        terms: Terms,
        account: Account,
        published: Published,
        as_of: Day,
        endings: Sequence[Ending],
        payees: Collection[str],
    ) -> None:
        self.terms = terms
        self.account = account
        self.valuation = Valuation(terms, account)
        self.cooling_off: CoolingOff | None = None
        if account.of("cooling_off.requested"):
            self.cooling_off = CoolingOff(account, published, self.valuation)
        self.accrual = Accrual(terms, account, published, as_of, payees)
        paid_by = [payment.position for payment in account.payments]
        self.paid = from_entries("P", account.paid, paid_by)
        possible = endings or (assume_ending(terms, account, as_of),)
        self.endings = {ending.how: ending for ending in possible}
        """What may have ended the contract, where it was terminated."""

    def work_route(self, route: str) -> list[Result]:
        """Return the results of one route, for every cause that is possible."""
        causes = (ANY,) if route == COOLING_OFF else find_causes(self.account)
        return [result for cause in causes for result in self.work(route, cause)]

    def work(self, route: str, cause: str) -> list[Result]:
        """Return the results of one route and cause, an alternative only where it matters."""
        endings = self.endings if route == TERMINATION else {}
        ends = tuple(endings.values())
        if route == INVALIDITY:
            ends = (find_invalidity(self.account)[1],)
        allowed = find_questions(self.terms, self.account, self.valuation, route, cause, ends)
        if endings:
            allowed = {"ended_by": tuple(endings), **allowed}
        cases: dict[Answers, _Case] = {}
        worked: dict[Answers, _Case] = {}
        picks = list_picks(allowed)
        for pick in picks:
            answers = tuple(pick.values())
            like = answers
            if route == COOLING_OFF and self.cooling_off is not None:
                like = self.cooling_off.reduce(pick)
            if like not in worked:
                ending = endings.get(pick.get("ended_by", ""))
                worked[like] = self._work_case(route, cause, pick, ending)
            cases[answers] = worked[like]
        idle = find_idle(allowed, {answers: case.figures for answers, case in cases.items()})
        named = [name for name in QUESTIONS if name in allowed and name not in idle]
        results: dict[Assumptions, Result] = {}
        for pick in picks:
            assumptions = tuple((name, pick[name]) for name in named)
            if assumptions not in results:
                case = cases[tuple(pick.values())]
                results[assumptions] = Result(
                    route,
                    cause,
                    assumptions,
                    case.ended,
                    case.figures,
                    case.payments,
                    case.considered,
                    case.fees,
                    case.steps,
                )
        return list(results.values())

    def _work_case(
        self, route: str, cause: str, pick: Mapping[str, str], ending: Ending | None
    ) -> _Case:
        working = Working()
        considered: tuple[Considered, ...] = ()
        principal: int | None
        if route == COOLING_OFF and self.cooling_off is not None:
            principal, day = self.cooling_off.compute_principal(pick, working)
            ending = Ending(COOLING_OFF, day, (self.cooling_off.request.position,))
            until = day
        else:
            if ending is None:
                ending = find_invalidity(self.account)[1]
            until = self._find_last_day(ending)
            legal = self._apply_law(route, cause, pick, until, working)
            principal, considered = self._apply_agreements(legal, cause, pick, until, working)
        if principal is None:
            steps = tuple(working.steps)
            return _Case(ending.day, Figures(None), (), considered, (), steps)
        consumer, issuers = self._share(principal, pick, working)
        payments = self._draw(consumer, issuers)
        formed_at = self.account.formed_at(pick["formation_day"])
        interest = self.accrual.compute(route, cause, consumer, ending, formed_at, working)
        beyond = 0 if route == COOLING_OFF else self._tell_beyond(pick, until)
        custody = min(principal, self.account.pot)
        figures = Figures(
            principal, consumer, issuers, custody, principal - custody, interest, beyond
        )
        fees = tuple(
            (number, FEN.round(principal * agreement.share))
            for number, agreement in enumerate(self.terms.agreements)
            if agreement.what == "fee" and cause in agreement.when
        )
        return _Case(ending.day, figures, payments, considered, fees, tuple(working.steps))

    def _find_last_day(self, ending: Ending) -> Day:
        """Return the day until which a pass is used, or a delivery was before the end: what came
        before the end on record was performance, also where an earlier one is assumed."""
        if ending.recorded is None or isinstance(self.terms.deal, PeriodDeal):
            return ending.day
        return ending.recorded

    # -- arts 10, 15, 18, 19, 22

    def _apply_law(
        self, route: str, cause: str, pick: Mapping[str, str], until: Day, working: Working
    ) -> Exact | None:
        """Return the principal by the articles, exact; None where a price is not known."""
        account = self.account
        article = "15(1)"
        if route == INVALIDITY and is_limited_in_capacity(account):
            is_deducted = pick["deduction"] == "claimed" and pick["minor_service"] == "lawful"
            if not is_deducted:
                return working.exact(
                    "R",
                    _find_capacity(account),
                    "R = P",
                    account.paid,
                    self.paid,
                )
            article = "10(3), 15(1)"
        deal = self.terms.deal
        by_price = cause == CONSUMER and pick["pass"] == ARTICLE_19
        if isinstance(deal, PeriodDeal) and is_ratio_pass(self.terms, route) and not by_price:
            return self.valuation.compute_remaining(deal, pick, until, working)
        basis = Basis(pick["price"] if cause == CONSUMER else DISCOUNTED)
        value = self.valuation.compute_value(basis, pick, until, working)
        if value is None:
            return None
        return working.exact(
            "R", article, "R = P − v", account.paid - value,
            self.paid, from_step("v", value),
        )  # fmt: skip

    def _settle(self, exact: Exact) -> int:
        """Round once; never below 0 (art. 20 and ours), never above what was paid."""
        return max(0, min(self.account.paid, self.terms.rounding.round(exact)))

    def _apply_agreements(
        self,
        legal: Exact | None,
        cause: str,
        pick: Mapping[str, str],
        until: Day,
        working: Working,
    ) -> tuple[int | None, tuple[Considered, ...]]:
        """Return the principal, and every agreement with what it would give: a better one
        prevails (arts 18(2), 19(3)), a worse one changes nothing."""
        if legal is None:
            return None, ()
        by_law = self._settle(legal)
        offers: list[tuple[int, str, int | None]] = []
        for number, agreement in enumerate(self.terms.agreements):
            if cause not in agreement.when or agreement.what == "fee":
                continue
            if agreement.what == "share":
                offer: Exact | None = self.account.paid * agreement.share
            else:
                word = PRICES if agreement.what == "prices" else agreement.basis
                offer = self._offer(Basis(word, agreement), pick, until, working)
            offers.append((number, agreement.what, None if offer is None else self._settle(offer)))
        if self._has_bonus() and self.terms.spend_order != UNSAID:
            offer = self._offer(Basis(self.terms.spend_order), pick, until, working)
            offers.append(
                (
                    SPEND_ORDER,
                    self.terms.spend_order,
                    None if offer is None else self._settle(offer),
                )
            )
        best = max([by_law, *(fen for _, _, fen in offers if fen is not None)])
        working.rounded(
            "principal", "15(1), 18(2), 19(3), 20",
            "principal = max(0, min(P, best of law and agreements))",
            best, self.terms.rounding, from_step("R", legal),
            *(from_terms(f"agreement {number}", fen) for number, _, fen in offers if fen),
        )  # fmt: skip
        considered = tuple(
            Considered(number, what, fen, fen is not None and fen == best > by_law)
            for number, what, fen in offers
        )
        return best, considered

    def _offer(
        self, basis: Basis, pick: Mapping[str, str], until: Day, working: Working
    ) -> Exact | None:
        value = self.valuation.compute_value(basis, pick, until, working)
        return None if value is None else self.account.paid - value

    def _has_bonus(self) -> bool:
        deal = self.terms.deal
        if isinstance(deal, UnitsDeal):
            return any(line.bonus for line in deal.lines)
        return isinstance(deal, StoredDeal) and self.account.bonus > 0

    def _tell_beyond(self, pick: Mapping[str, str], until: Day) -> int:
        """Return what was delivered beyond the prepayment, at the discounted price: art. 20 does
        not decide it, so it is told."""
        value = self.valuation.compute_value(Basis(DISCOUNTED), pick, until, Working())
        assert value is not None, "only a market price can be unknown"
        paid = self.account.paid
        return FEN.round(value - paid) if value > paid else 0

    # -- shares and sources

    def _share(
        self, principal: int, pick: Mapping[str, str], working: Working
    ) -> tuple[int, tuple[tuple[str, int], ...]]:
        """Return the consumer's share and each issuer's.

        The issuers' part is rounded down together, so that a better refund never lowers the
        consumer's; among them it is split so that the parts add up.
        """
        account = self.account
        if not account.issuers:
            return principal, ()
        vouchers = account.paid - account.own
        positions = [payment.position for payment in account.payments]
        given = (
            from_step("principal", principal),
            from_entries("vouchers", vouchers, positions),
            self.paid,
        )
        if pick["voucher"] == VOUCHER_FIRST:
            part = max(0, vouchers - (account.paid - principal))
            formula = "issuers = max(0, vouchers − (P − principal))"
        else:
            part = principal * vouchers // account.paid
            formula = "issuers = ⌊principal × vouchers/P⌋"
        working.exact("issuers", "15(1)", formula, part, *given)
        working.exact(
            "consumer", "15(1)", "consumer = principal − issuers", principal - part,
            given[0], from_step("issuers", part),
        )  # fmt: skip
        bounds = [0]
        for _, amount in account.issuers:
            bounds.append(bounds[-1] + amount)
        cuts = [part * bound // vouchers for bound in bounds]
        back = tuple(
            (issuer, end - begin)
            for (issuer, _), (begin, end) in zip(account.issuers, pairwise(cuts), strict=True)
        )
        return principal - part, back

    def _draw(self, consumer: int, issuers: Sequence[tuple[str, int]]) -> tuple[Payment, ...]:
        """Return who is paid from where: custody before the merchant, the consumer first."""
        left = self.account.pot
        payments = []
        for payee, fen in ((PAYEE_CONSUMER, consumer), *issuers):
            from_custody = min(left, fen)
            left -= from_custody
            for source, part in zip(SOURCES, (from_custody, fen - from_custody), strict=True):
                if part:
                    payments.append(Payment(payee, source, part))
        return tuple(payments)
