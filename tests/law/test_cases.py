"""The tables of docs/REFUND-CASES.md: arithmetic, engine and second implementation agree with them.

The documents are the data. Every line of arithmetic is worked as it stands, every figure of a
result must be a figure of the arithmetic, and both implementations must give exactly these results.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from law.derivation import Derivation
from tests.law.case_language import (
    Case,
    Line,
    check_arithmetic,
    parse_case,
    parse_results,
)
from tests.law.life_checks import (
    check_agreement,
    check_conservation,
    check_working_of_interest,
    run_engine,
)
from tests.law.plain_refunds import Clerk

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| `(.+?)` \| (.+?) \| (.+?) \| `(.+?)` \|$", re.MULTILINE)
CASES_MIN = 60


def load_published() -> list[dict[str, Any]]:
    """The rates and rest days that the cases stand on."""
    pages = [
        json.loads(path.read_text("utf-8"))
        for path in sorted((ROOT / "examples/published").glob("*.json"))
    ]
    for number, page in enumerate(pages, 1):
        page["position"] = number
    return pages


def rows(name: str) -> list[tuple[str, ...]]:
    return ROW.findall((ROOT / "docs" / name).read_text("utf-8"))


CASES = rows("REFUND-CASES.md")
PUBLISHED = load_published()


def by_number(number: str) -> tuple[Case, list[str], list[Line]]:
    """A row's case, its arithmetic and its results."""
    _, _, facts, _, hand, result = next(row for row in CASES if row[0] == number)
    case = parse_case(facts, PUBLISHED)
    return case, re.findall(r"`(.+?)`", hand), parse_results(result)


def test_there_are_enough_cases_numbered_in_order() -> None:
    assert [row[0] for row in CASES] == [str(n) for n in range(1, len(CASES) + 1)]
    assert len(CASES) >= CASES_MIN


def test_both_languages_have_the_same_facts_arithmetic_and_results() -> None:
    chinese = rows("REFUND-CASES.zh-CN.md")
    assert [(r[0], r[2], r[4], r[5]) for r in chinese] == [(r[0], r[2], r[4], r[5]) for r in CASES]
    articles = [row[3].replace("民法典", "civil code") for row in chinese]
    assert articles == [row[3] for row in CASES]


def test_every_article_that_computes_is_worked() -> None:
    cited = set(
        re.findall(r"\b\d+\b", " ".join(row[3].partition("civil code")[0] for row in CASES))
    )
    assert cited >= {str(n) for n in (3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)}


NUMBERS = [row[0] for row in CASES]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_arithmetic_is_right_and_gives_the_results(number: str) -> None:
    _, hand, results = by_number(number)
    worked = {check_arithmetic(line) * 100 for line in hand}
    figures = {line.amount for line in results if isinstance(line.amount, int) and line.amount}
    assert figures <= worked


@pytest.mark.parametrize("number", NUMBERS)
def test_the_second_implementation_gives_the_results(number: str) -> None:
    case, _, results = by_number(number)
    found = Clerk(case.terms, case.facts, case.published, case.as_of).results()
    principals = {(cause, pick): f["principal"] for (_, cause, pick), f in found.items()}
    assert principals == expected_principals(results)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_engine_gives_the_results(number: str) -> None:
    case, _, results = by_number(number)
    derivation = run_engine(case)
    check_agreement(case, derivation)
    check_conservation(derivation)
    check_working_of_interest(derivation)
    assert {
        (result.cause, frozenset(result.assumptions)): result.figures.principal
        for result in derivation.results
    } == expected_principals(results)
    check_interest(derivation, results)
    check_others(derivation, results)
    check_told(derivation, results)


def expected_principals(results: list[Line]) -> dict[Any, Any]:
    return {
        (cause, line.assumptions): line.amount
        for line in results
        if line.quantity == "principal"
        for cause in line.causes
    }


def check_interest(derivation: Derivation, results: list[Line]) -> None:
    """Where a row states interest, it states all of it; and what is still owed."""
    found: dict[str, dict[Any, int | None]] = {"interest": {}, "outstanding": {}}
    for result in derivation.results:
        for one in result.figures.interest:
            key = result.cause, frozenset(result.assumptions), one.standard
            found["interest"][key] = one.fen
            found["outstanding"][key] = one.outstanding
    for quantity, figures in found.items():
        stated = {
            (cause, line.assumptions, line.standard): line.amount
            for line in results
            if line.quantity == quantity
            for cause in line.causes
        }
        assert not stated or stated == figures


def check_others(derivation: Derivation, results: list[Line]) -> None:
    """Shares, sources and what goes beyond, for every result that the line speaks of."""
    for line in results:
        if line.quantity not in ("consumer", "issuer", "custody", "merchant", "beyond", "fee"):
            continue
        found = set()
        for result in derivation.results:
            speaks = not line.causes or result.cause in line.causes
            if not speaks or not line.assumptions <= set(result.assumptions):
                continue
            figures = result.figures
            found.add(
                {
                    "beyond": figures.beyond,
                    "consumer": figures.consumer,
                    "custody": figures.custody,
                    "fee": sum(fen for _, fen in result.fees),
                    "issuer": sum(fen for _, fen in figures.issuers),
                    "merchant": figures.merchant,
                }[line.quantity]
            )
        assert found == {line.amount}, line


def check_told(derivation: Derivation, results: list[Line]) -> None:
    """What is reported and not decided, and who is paid."""
    amounts = {told.what: told.fen for told in derivation.told}
    payees = " | ".join(
        payee.payee + (f"/{payee.through}" if payee.through else "") for payee in derivation.payees
    )
    for line in results:
        if line.quantity in ("overcharge", "gifts"):
            assert amounts[line.quantity] == line.amount
        if line.quantity == "payee":
            assert payees == line.amount


def test_a_changed_number_is_noticed() -> None:
    for line in (
        "2000 − 8 × 2000/20 = 1200.01",
        "100 − 1 × 100/3 ≈ 66.66",
        "100 − 50 ≈ 50.00",
        "2025-10-10 − 2025-08-01 = 71",
    ):
        with pytest.raises(AssertionError, match=line.partition(" ")[2].rpartition(" ")[2]):
            check_arithmetic(line)
