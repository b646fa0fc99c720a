"""A derivation's lines name article and paragraph, as the law has and the table cites.

`STRUCTURE` was counted in the text of 法释〔2025〕4号: paragraphs of each article, and the items of
a paragraph that has any. A label that is coarser or finer than the text is found here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from law.articles import ARTICLES, cite, split_articles
from law.derivation import Derivation
from law.derivation_text import OF_PAYEE
from law.questions import QUESTIONS
from law.told import CAUSE_ARTICLES, GROUND_ARTICLES
from tests.law.life_checks import run_engine
from tests.law.random_lives import make_life
from tests.law.test_cases import CASES, by_number

ROOT = Path(__file__).parents[2]
STRUCTURE: dict[int, dict[int, int]] = {
    8: {1: 0},
    10: {1: 0, 2: 0, 3: 0},
    11: {1: 0, 2: 0},
    12: {1: 0},
    13: {1: 4, 2: 0},
    14: {1: 2, 2: 0},
    15: {1: 0, 2: 0, 3: 0},
    16: {1: 0, 2: 0},
    17: {1: 0, 2: 0},
    18: {1: 2, 2: 0},
    19: {1: 0, 2: 0, 3: 0},
    20: {1: 0},
    21: {1: 0},
    22: {1: 0, 2: 0, 3: 0},
    25: {1: 0},
}
CHAPEAU = {"14(1)"}
"""Paragraphs with items that are named as a whole: the rule before its exceptions."""


def named_by(derivation: Derivation) -> set[str]:
    words = [step.article for result in derivation.results for step in result.steps]
    words += [QUESTIONS[name].article for r in derivation.results for name, _ in r.assumptions]
    words += [told.article for told in derivation.told]
    words += [OF_PAYEE for payee in derivation.payees if payee.assumption]
    return {article for each in words for article in split_articles(each)}


def test_every_line_names_a_row_of_the_table() -> None:
    derivations = [run_engine(by_number(row[0])[0]) for row in CASES]
    derivations += [run_engine(make_life(seed)) for seed in range(150)]
    named: set[str] = set()
    for derivation in derivations:
        assert all(step.article for result in derivation.results for step in result.steps)
        named |= named_by(derivation)
    everywhere = [*GROUND_ARTICLES.values(), CAUSE_ARTICLES, "8, 15(1)", "civil code 321(2)"]
    named |= {article for each in everywhere for article in split_articles(each)}
    assert named == set(ARTICLES)


@pytest.mark.parametrize("article", [a for a in ARTICLES if a[0].isdigit()])
def test_a_label_is_as_fine_as_the_law(article: str) -> None:
    number, *parts = (int(part) for part in re.findall(r"[0-9]+", article))
    paragraphs = STRUCTURE[number]
    if len(paragraphs) == 1:
        assert parts == []
        return
    items = paragraphs[parts[0]]
    if items and article not in CHAPEAU:
        assert 1 <= parts[1] <= items
    else:
        assert len(parts) == 1


@pytest.mark.parametrize(("name", "lang"), [("LAW.md", "en"), ("LAW.zh-CN.md", "zh")])
def test_the_document_has_every_row_and_cites_it(name: str, lang: str) -> None:
    text = (ROOT / "docs" / name).read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \|$", text, re.M)
    assert [row for row in rows if row[0] in ARTICLES] == [
        (article, cite(article, lang), getattr(words, lang)) for article, words in ARTICLES.items()
    ]


def test_citations_read_as_a_lawyer_writes_them() -> None:
    words = "14(1)(2); civil code 201(1), 203(2)"
    assert cite(words, "zh") == (
        "第十四条第一款第二项、民法典第二百零一条第一款、第二百零三条第二款"
    )
    assert cite(words, "en") == "art. 14(1)(2), civil code art. 201(1), 203(2)"
    assert cite("10(3), 15(1)", "zh") == "第十条第三款、第十五条第一款"
    assert cite("civil code 110", "zh") == "民法典第一百一十条"
    assert cite("", "en") == ""
