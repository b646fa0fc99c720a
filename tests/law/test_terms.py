"""Terms: the templates of the ten industries, refusals by name, and the text a person reads."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from law.canonical import compute_hash, encode
from law.clauses import check_clauses
from law.refusal import Code, Refused
from law.rules import read_pack
from law.terms import DEAL_KINDS, INDUSTRIES, parse_terms, read_terms
from law.terms_text import LANGUAGES, NAMES, render_terms
from tests.law.case_language import bare_terms

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "examples/terms").glob("*.json"))
}


def units(**more: Any) -> dict[str, Any]:
    line = {"amount": 200_000, "bonus": 0, "item": "lesson", "undiscounted": 15_000, "units": 20}
    terms = bare_terms({"kind": "counted_units", "lines": [line | more]})
    terms["items"] = [{"en": "lesson", "id": "lesson", "zh": "课时"}]
    return terms


def test_there_is_a_template_for_every_industry_and_every_kind_of_deal() -> None:
    assert {t["industry"] for t in TEMPLATES.values()} == set(INDUSTRIES)
    assert {t["deal"]["kind"] for t in TEMPLATES.values()} == set(DEAL_KINDS)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_named_by_its_file_and_has_nothing_void(name: str) -> None:
    terms = read_terms(TEMPLATES[name])
    assert f"{terms.template}.v{terms.template_version}" == name
    assert parse_terms(terms.raw) == terms
    assert terms.hash == compute_hash(terms.raw)
    packs = [
        read_pack(json.loads(path.read_text("utf-8")))
        for path in sorted((ROOT / "examples/rules").glob("*.v*.json"))
    ]
    words = [w for pack in packs for rule in pack.rules for w in rule.phrases]
    assert words
    assert [w for w in words if any(w in clause.text.zh for clause in terms.clauses)] == []
    assert check_clauses(terms) == ()


def test_two_versions_of_one_template_stand_side_by_side() -> None:
    first, second = read_terms(TEMPLATES["hair-card.v1"]), read_terms(TEMPLATES["hair-card.v2"])
    assert (first.template, first.template_version) == ("hair-card", 1)
    assert (second.template, second.template_version) == ("hair-card", 2)
    assert first.hash != second.hash


def test_a_hash_is_pinned_so_that_old_terms_stay_what_they_are() -> None:
    """If this fails, documents signed before are read or spelled differently."""
    assert read_terms(units()).hash == (
        "fbafddd7e796d89a6db25404f8ded9bfe31fe83755335eadbb97997ee59a9955"
    )


Change = Callable[[dict[str, Any]], None]


def at(path: str, value: Any) -> Change:
    """A change of one member."""

    def change(terms: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        inner: Any = terms
        for step in outer:
            inner = inner[int(step) if step.isdigit() else step]
        inner[int(last) if last.isdigit() else last] = value

    return change


DAY_TERM = {
    "begins": "activation", "counted_in": "day", "last": "used", "length": 30, "unit": "day",
}  # fmt: skip
REFUSALS: list[tuple[Change, Code, str]] = [
    (at("version", 2), Code.UNKNOWN_FORMAT,
     "terms is 'evidence-ledger/terms' version 2; 'evidence-ledger/terms' version 1 is expected"),
    (at("industry", "casino"), Code.UNKNOWN_WORD,
     ("terms.industry is 'casino'; one of training, catering, housekeeping, fitness, vocational, "
     "culture_sports, pets, hair_beauty, driving, car_wash is expected")),
    (at("deal.kind", "lottery"), Code.UNKNOWN_WORD,
     ("terms.deal.kind is 'lottery'; one of counted_units, stored_value, stored_value_bonus, "
     "period_pass, unlimited, milestone is expected")),
    (at("deal.lines.0.units", 0), Code.OUT_OF_RANGE,
     "terms.deal.lines[0].units is 0; 1 to 100000 is expected"),
    (at("deal.lines.0.undiscounted", 9_999), Code.INCONSISTENT,
     ("terms.deal.lines[0].undiscounted is 9999 fen, less than the price of one; null is expected "
     "where there is no discount")),
    (at("deal.lines.0.item", "wash"), Code.INCONSISTENT,
     "terms.deal sells the item 'wash', which terms.items does not name"),
    (at("deal.lines", []), Code.OUT_OF_RANGE,
     "terms.deal.lines has 0 elements; 1 to 256 are expected"),
    (at("items", [{"en": "", "id": "lesson", "zh": ""}] * 2), Code.INCONSISTENT,
     "terms.items has 'lesson' more than once"),
    (at("deal.lines.0.colour", "red"), Code.UNKNOWN_MEMBER,
     "terms.deal.lines[0] has the unknown member 'colour'"),
    (at("rounding.unit", 1_000), Code.OUT_OF_RANGE,
     "terms.rounding.unit is 1000; 1 to 100 is expected"),
    (at("interest.basis", "366"), Code.UNKNOWN_WORD,
     "terms.interest.basis is '366'; one of 365, 360, actual is expected"),
    (at("interest.ppm", -1), Code.OUT_OF_RANGE,
     "terms.interest.ppm is -1; 0 to 1000000 is expected"),
    (at("cooling_off.despite_prior", None), Code.WRONG_TYPE,
     "terms.cooling_off.despite_prior is null; true or false is expected"),
    (at("agreements", [{"basis": "market", "what": "value_at", "when": ["consumer"]}]),
     Code.UNKNOWN_WORD,
     "terms.agreements[0].basis is 'market'; one of discounted, undiscounted is expected"),
    (at("agreements", [{"den": 2, "num": 3, "what": "share", "when": ["consumer"]}]),
     Code.OUT_OF_RANGE, "terms.agreements[0].num is 3; 0 to 2 is expected"),
    (at("agreements", [{"den": 2, "num": 1, "what": "share", "when": []}]), Code.OUT_OF_RANGE,
     "terms.agreements[0].when is empty; at least one cause is expected"),
    (at("agreements", [{"prices": [{"item": "a", "price": 1}] * 2, "what": "prices",
                        "when": ["neither"]}]), Code.INCONSISTENT,
     "terms.agreements[0].prices has 'a' more than once"),
    (at("closes", 24 * 60), Code.OUT_OF_RANGE, "terms.closes is 1440; 0 to 1439 is expected"),
    (at("clauses", [{"burdensome": False, "effects": ["bad"], "en": "x", "id": "c", "prompt":
                     {"en": "", "zh": ""}, "zh": "x"}]), Code.UNKNOWN_WORD,
     ("terms.clauses[0].effects holds 'bad'; some of none, no_refund, no_transfer, no_reissue, "
     "unilateral_change, no_liability, costly_dispute, unfair_other are expected")),
    (at("deal", {"kind": "unlimited", "price": 100, "term": {**DAY_TERM, "unit": "week"},
                 "undiscounted": None}), Code.UNKNOWN_WORD,
     "terms.deal.term.unit is 'week'; one of day, month is expected"),
    (at("deal", {"kind": "unlimited", "price": 100, "term": {**DAY_TERM, "counted_in": "month"},
                 "undiscounted": None}), Code.UNKNOWN_WORD,
     "terms.deal.term.counted_in is 'month'; one of day is expected"),
    (at("deal", {"kind": "unlimited", "price": 100, "term": {**DAY_TERM, "begins": "on_day"},
                 "undiscounted": None}), Code.MISSING_MEMBER,
     "terms.deal.term lacks the member 'start'"),
    (at("deal", {"kind": "stored_value_bonus", "prices": [], "tiers": []}), Code.OUT_OF_RANGE,
     "terms.deal.tiers has 0 elements; 1 to 32 are expected"),
    (at("deal.kind", "milestone"), Code.OUT_OF_RANGE,
     "terms.deal.lines[0].units is 20; 1 to 1 is expected"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "sentence"), REFUSALS)
def test_terms_are_refused_by_name(change: Change, code: Code, sentence: str) -> None:
    terms = copy.deepcopy(units())
    change(terms)
    with pytest.raises(Refused) as caught:
        read_terms(terms)
    assert (caught.value.code, caught.value.detail) == (code, sentence)


@pytest.mark.parametrize("member", sorted(units()))
def test_every_member_is_needed(member: str) -> None:
    terms = units()
    del terms[member]
    with pytest.raises(Refused) as caught:
        read_terms(terms)
    assert caught.value.detail == f"terms lacks the member {member!r}"


def test_the_indented_file_is_not_the_signed_spelling() -> None:
    raw = (ROOT / "examples/terms/hair-card.v1.json").read_bytes()
    with pytest.raises(Refused, match="not the RFC 8785 spelling"):
        parse_terms(raw)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_person_can_read_it(name: str, lang: str) -> None:
    terms = read_terms(TEMPLATES[name])
    text = render_terms(terms, lang)
    title = terms.title.zh if lang == "zh" else terms.title.en
    assert text.startswith(title + "\n")
    assert terms.hash in text
    for clause in terms.clauses:
        assert (clause.text.zh if lang == "zh" else clause.text.en) in text
    for item in terms.items:
        assert (item.name.zh if lang == "zh" else item.name.en) in text
    if lang == "en":
        bare = re.sub(r"[“”…×·—–]", "", text)
        assert bare.isascii(), [c for c in bare if not c.isascii()]
    assert not re.search(r"\b[a-z]+_[a-z_]+\b", text.replace(terms.custody_basis, ""))


def test_every_word_of_a_document_has_a_meaning_in_both_languages() -> None:
    assert all(words.zh and words.en for words in NAMES.values())
    with pytest.raises(ValueError, match="language 'fr'; zh or en"):
        render_terms(read_terms(units()), "fr")


def test_agreements_and_oddities_are_readable() -> None:
    terms = units(bonus=2)
    everyone = ["merchant", "neither", "consumer"]
    terms["agreements"] = [
        {"basis": "discounted", "what": "value_at", "when": ["consumer"]},
        {"prices": [{"item": "lesson", "price": 12_000}], "what": "prices", "when": everyone},
        {"den": 2, "num": 1, "what": "share", "when": ["neither"]},
        {"den": 10, "num": 1, "what": "fee", "when": everyone},
    ]
    terms["closes"] = 21 * 60
    terms["expiry"] = {"after": "forfeits", "months": 12}
    text = {lang: render_terms(read_terms(terms), lang).splitlines() for lang in LANGUAGES}
    assert "  20 × lesson, and 2 more: 2,000.00 yuan (150.00 each before discount)" in text["en"]
    assert "  20 × 课时，另送 2：2,000.00 元（打折前单价 150.00 元）" in text["zh"]
    assert (
        "  Agreement 0 (the consumer's cause): deliveries count at the discounted price"
        in (text["en"])
    )
    assert (
        "  约定 1（因经营者原因、双方均无原因、因消费者原因）：已提供部分按约定单价：课时 120.00"
        in (text["zh"])
    )
    assert "  Agreement 2 (neither's cause): 1/2 of what was paid" in text["en"]
    assert any("退款收取 1/10 手续费（不予扣减，另行主张）" in line for line in text["zh"])
    assert "  Business ends at 21:00" in text["en"]
    assert "  有效期：12 个月，到期余额作废" in text["zh"]


def test_the_bytes_of_a_document_are_bounded() -> None:
    terms = units()
    terms["clauses"] = [
        {"burdensome": False, "effects": [], "en": "x" * 4_000, "id": f"c{n}",
         "prompt": {"en": "", "zh": ""}, "zh": "x"}
        for n in range(9)
    ]  # fmt: skip
    size = len(encode(terms))
    with pytest.raises(Refused, match=f"terms: {size} bytes; at most 32768 are allowed"):
        read_terms(terms)
