"""Long records: what the law does with them grows with them and no faster, whoever made them so.

A contract and its merchant may hold twenty thousand statements, nearly all of them one party's own
(`contracts.room`). Work is counted in lines of Python, which no clock changes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from law.checks import find_breaches
from law.days import show_day
from law.facts import read_facts
from law.published import read_published
from law.refund import derive
from law.rules import read_pack, schedule
from law.terms import read_terms
from tests.law.case_language import Case, parse_case
from tests.law.life_checks import check_agreement, run_engine
from tests.law.test_rules import PACKS, add, card, day, look

ON = "2026-03-01"
REFUND = {"amount": 1, "payee": "ab" * 32, "source": "merchant"}


def a_pass() -> Case:
    return parse_case("pass 12 months from 2025-06-03 for 2400; paid 2400 2025-06-03", [])


def count_lines(call: Callable[[], Any]) -> int:
    """Return how many lines of the law run, each turn of a loop on one line being one."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if "/law/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def stop_and_go(case: Case) -> None:
    add(case, "service.stopped", "2025-07-01", {}, "merchant")
    add(case, "service.resumed", "2025-07-01", {}, "merchant")


def ask_and_arrive(case: Case) -> None:
    notice = add(case, "termination.requested", "2025-07-01", {"cure_until": None}, "consumer")
    add(case, "notice.arrived", "2025-07-01", {"of": notice}, "merchant")


def ask_and_say_paid(case: Case) -> None:
    add(case, "termination.requested", "2025-07-01", {"cure_until": None}, "consumer")
    add(case, "refund.paid", "2025-12-01", REFUND, "consumer")


def risk_and_intake(case: Case) -> None:
    add(case, "risk.declared", "2025-07-01", {}, "merchant")
    add(case, "funds.locked", "2025-07-02", case.facts[1]["data"], "merchant")


def lose_and_debit(case: Case) -> None:
    add(case, "card.lost", "2025-07-01", {}, "consumer")
    delivered = {"debited": 1, "item": "cut", "units": 1}
    add(case, "service.delivered", "2025-07-02", delivered, "merchant")


def tell_and_move(case: Case) -> None:
    add(case, "moving.notified", "2025-07-01", {"effective": "2025-07-02"}, "merchant")
    add(case, "premises.moved", "2025-07-02", {}, "merchant")


@pytest.mark.parametrize(
    ("make", "again"),
    [
        (a_pass, stop_and_go),
        (card, ask_and_arrive),
        (card, ask_and_say_paid),
        (card, risk_and_intake),
        (card, lose_and_debit),
        (card, tell_and_move),
    ],
)
def test_twice_the_statements_are_twice_the_work(
    make: Callable[[], Case], again: Callable[[Case], None]
) -> None:
    """A merchant that said a thousand times that it stopped and went on, or a consumer that gave a
    thousand notices, kept every node busy for ten seconds with one computation."""
    lines, findings = [], []
    for statements in (150, 300):
        case = make()
        for _ in range(statements):
            again(case)
        terms = read_terms(case.terms)
        case.facts[0]["data"]["terms"] = terms.hash
        facts = read_facts(case.facts)
        packs = schedule(
            [read_pack(pack | {"industries": [terms.industry]}) for pack in PACKS.values()]
        )
        pages = read_published(case.published)

        def compute() -> None:
            derive(terms, facts, pages, day(ON))  # noqa: B023 called at once
            findings.append(find_breaches(packs, terms, facts, pages, day(ON), ""))  # noqa: B023

        lines.append(count_lines(compute))
    assert lines[1] < 2.2 * lines[0], lines
    assert len(findings[1]) < 2.2 * len(findings[0])


@pytest.mark.parametrize("basis", ["365", "actual"])
def test_daily_payments_leave_amounts_of_few_digits(basis: str) -> None:
    """Each goes first to the interest of its day and then to principal. Exact fractions gained ten
    digits with each, until nobody could write them: `refund.computed` would have ended every node.
    """
    case = card()
    case.terms["interest"] |= {"basis": basis, "ppm": 30_000}
    add(case, "termination.agreed", "2022-01-03", {}, "both")
    for number in range(700):
        on = show_day(day("2022-01-04") + number)
        add(case, "refund.paid", on, REFUND | {"amount": 3 + number % 20}, "consumer")
    derivation = run_engine(case)
    check_agreement(case, derivation)
    values = [
        given.value
        for result in derivation.results
        for step in result.steps
        for given in step.inputs
        if given.name == "exact"
    ]
    assert values
    assert max(map(len, values)) < 80


def test_what_was_taken_after_several_risks_is_found_once_after_the_first() -> None:
    case = card()
    first = add(case, "risk.declared", "2025-07-01", {}, "merchant")
    add(case, "risk.declared", "2025-07-02", {}, "merchant")
    taken = add(case, "funds.locked", "2025-07-03", case.facts[1]["data"], "custodian")
    found = [f for f in look("consumer-regulation-22.v1", case) if f.rule.endswith("/risk")]
    assert [f.positions for f in found] == [(first, taken)]


def test_a_risk_that_was_declared_several_times_is_lifted_once() -> None:
    case = card()
    for on in ("2025-07-01", "2025-07-01", "2025-07-02"):
        add(case, "risk.declared", on, {}, "merchant")
    add(case, "risk.lifted", "2025-07-03", {}, "regulator")
    add(case, "funds.locked", "2025-07-04", case.facts[1]["data"], "custodian")
    found = look("consumer-regulation-22.v1", case)
    assert [f.rule for f in found if f.rule.endswith("/risk")] == []


def test_a_move_is_held_against_the_notice_that_was_recorded_first() -> None:
    case = card()
    told = add(case, "moving.notified", "2025-07-01", {"effective": "2025-07-20"}, "merchant")
    add(case, "moving.notified", "2025-07-10", {"effective": "2025-07-20"}, "merchant")
    moved = add(case, "premises.moved", "2025-07-20", {}, "merchant")
    add(case, "moving.notified", "2025-07-21", {"effective": "2025-07-20"}, "merchant")
    found = look("shanghai-2019.v1", case)
    assert [(f.en, f.positions) for f in found] == [
        ("The merchant moved on 2025-07-20, 19 days after telling consumers; 30 are required.",
         (told, moved)),
    ]  # fmt: skip


def test_debits_of_lost_cards_are_those_of_the_plain_reading() -> None:
    """Losses, reissues and debits in any order and any number, each pair looked at."""
    for seed in range(60):
        chance = random.Random(seed)
        case = card()
        losses: list[int] = []
        for _ in range(14):
            on = f"2025-07-{chance.randrange(1, 9):02d}"
            what = chance.choice(("card.lost", "card.reissued", "service.delivered"))
            if what == "card.lost":
                losses.append(add(case, what, on, {}, "consumer"))
                case.facts[-1]["recorded"] += chance.choice((0, 86_400_000))
            elif what == "service.delivered":
                add(case, what, on, {"debited": 1, "item": "cut", "units": 1}, "merchant")
            elif losses:
                add(case, what, on, {"of": chance.choice(losses)}, "merchant")
        facts = read_facts(case.facts)
        again = {fact.data.of: fact.key for fact in facts if fact.kind == "card.reissued"}
        expected = []
        for debit in facts:
            if debit.kind != "service.delivered":
                continue
            standing = [
                loss.position
                for loss in facts
                if loss.kind == "card.lost"
                and loss.recorded < debit.at
                and not (loss.position in again and again[loss.position] <= debit.key)
            ]
            if standing:
                expected.append((standing[0], debit.position))
        found = look("spc-prepaid-arts-9-24-25.v1", case)
        assert [f.positions for f in found if f.rule.endswith("/loss")] == expected, seed
