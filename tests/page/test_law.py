"""The page's reading of the law against the engine's: every figure of every result, in their order.

The hand-worked cases of docs/REFUND-CASES.md and random lives; `python -m tests.page.laws` puts as
many more lives before both as one likes.
"""

from __future__ import annotations

import os

import pytest

from law.articles import cite
from law.derivation_text import ROUTES, STANDARDS
from law.questions import QUESTIONS
from law.terms import CAUSES, Words
from law.terms_text import NAMES
from tests.law.test_cases import NUMBERS, by_number
from tests.page.conftest import JavaScript
from tests.page.laws import compare_case, compare_life

LIVES = 20_000 if os.environ.get("CAMPAIGN") else 400


@pytest.mark.parametrize("number", NUMBERS)
def test_a_case_worked_by_hand_is_worked_alike(javascript: JavaScript, number: str) -> None:
    case, _, _ = by_number(number)
    assert not compare_case(javascript, case)


def test_random_lives_are_worked_alike(javascript: JavaScript) -> None:
    assert [told for seed in range(LIVES) if (told := compare_life(javascript, seed))] == []


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
