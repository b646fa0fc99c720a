"""The page's reading of the law against the engine's: every figure of every result, in their order.

The hand-worked cases of docs/REFUND-CASES.md and random lives; `python -m tests.page.laws` puts as
many more lives before both as one likes.
"""

from __future__ import annotations

import os
from fractions import Fraction

import pytest

from law import days
from law.amounts import ROUNDING_MODES, Rounding
from law.articles import cite
from law.derivation_text import ROUTES, STANDARDS
from law.published import SATURDAY
from law.questions import QUESTIONS
from law.terms import CAUSES, Words
from law.terms_text import NAMES
from tests.law.test_cases import NUMBERS, by_number
from tests.law.test_refund import issuer_holds_the_claim
from tests.page.conftest import JavaScript
from tests.page.laws import compare_case, compare_life

LIVES = 20_000 if os.environ.get("CAMPAIGN") else 400


@pytest.mark.parametrize("number", NUMBERS)
def test_a_case_worked_by_hand_is_worked_alike(javascript: JavaScript, number: str) -> None:
    case, _, _ = by_number(number)
    assert not compare_case(javascript, case)


@pytest.mark.parametrize("paid_on", ["2025-08-10", "2025-08-05", "2025-08-03"])
@pytest.mark.parametrize("assigned", ["2025-08-05", "2025-07-15"])
def test_an_issuer_who_holds_the_claim_is_paid_alike(
    javascript: JavaScript, assigned: str, paid_on: str
) -> None:
    assert not compare_case(javascript, issuer_holds_the_claim(assigned, 36_000, paid_on))
    assert not compare_case(javascript, issuer_holds_the_claim(assigned, paid_on=paid_on))


def test_random_lives_are_worked_alike(javascript: JavaScript) -> None:
    assert [told for seed in range(LIVES) if (told := compare_life(javascript, seed))] == []


@pytest.mark.parametrize("months", [1, 5, 12, 37])
def test_days_are_counted_alike(javascript: JavaScript, months: int) -> None:
    """Each day of seven years, two of them of leap, and the turns of the months and centuries."""
    counted = [*range(parse("2023-12-25"), parse("2031-01-10"))]
    counted += [parse(f"{year}-{at}") for year in (2096, 2100, 2999) for at in ("02-28", "12-31")]
    assert javascript.ask("days", days=counted, months=months, closes=21 * 60)["value"] == [
        [
            days.show_day(day),
            day,
            days.year_of(day),
            days.days_in_year(days.year_of(day)),
            day % 7 in (0, SATURDAY),
            days.start_of(day),
            day - 1,
            day,
            days.compute_deadline(day, 21 * 60),
            days.compute_deadline(day, None),
            days.end_of_months(day, months),
            days.count_months_begun(counted[0], day),
        ]
        for day in counted
    ]


def parse(text: str) -> int:
    day = days.parse_day(text)
    assert day is not None
    return day


@pytest.mark.parametrize("mode", ROUNDING_MODES)
@pytest.mark.parametrize("unit", [1, 10, 100])
def test_amounts_are_rounded_alike(javascript: JavaScript, mode: str, unit: int) -> None:
    amounts = [(over, under) for under in (1, 2, 3, 4, 7, 20) for over in range(-70, 701)]
    assert javascript.ask("round", amounts=amounts, mode=mode, unit=unit)["value"] == [
        Rounding(mode, unit).round(Fraction(*amount)) for amount in amounts
    ]


def test_words_are_those_of_the_derivation(javascript: JavaScript) -> None:
    def both(words: Words) -> list[str]:
        return [words.zh, words.en]

    assert javascript.ask("owed_words")["value"] == {
        "routes": {route: both(words) for route, words in ROUTES.items()},
        "causes": {cause: both(NAMES[cause]) for cause in (*CAUSES, "any")},
        "standards": {standard: both(words) for standard, words in STANDARDS.items()},
        "questions": [
            [
                name,
                [cite(question.article, "zh"), cite(question.article, "en")],
                [[answer, both(words)] for answer, words in question.answers.items()],
            ]
            for name, question in QUESTIONS.items()
        ],
    }
