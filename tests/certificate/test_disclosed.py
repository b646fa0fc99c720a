"""Disclosed private fields on a certificate: names, values, what stays hidden; hostile values."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from certificate.contents import make_certificate
from certificate.disclosed import DISCLOSURES_SHOWN_MAX
from certificate.document import Fields, Sentences, encode_document
from certificate.showing import show_chosen
from ledger.disclosure import FIELDS, VALUE_BYTES_MAX, compute_commitment
from ledger.evidence import add_disclosures
from tests.certificate.papers import Paper, make, paper
from tests.verifier.small_chain import SmallChain
from tests.verifier.test_disclosure import FIRST, SECOND, chain, fields, history, named, show
from verifier.field_words import FIELD_WORDS
from verifier.verify import verify_evidence

pytestmark = pytest.mark.xdist_group("certificate")

RESIDENT = "11010519491231002X"


@functools.cache
def disclosed_paper() -> Paper:
    """Both commitments of a card with fields shown: the corrected one, and the one after it."""
    shown = (show(FIRST, "name", "health", "phone"), show(SECOND, "phone"))
    return make(history(*shown), chain().chain_id, "both")


def test_names_values_and_what_stays_hidden_are_on_the_pages_in_both_languages() -> None:
    made = disclosed_paper()
    assert made.report.is_consistent
    lacks = made.lacks(
        "披露的非公开信息",
        "承诺所在 第 4 号条目（高度 2），开立预付合同（prepaid.open 第 1 版），consumer",
        f"承诺值 {compute_commitment('card-1', FIRST).hex()}",
        "健康信息(health) （为空）",
        "消费者姓名(name) “张小宝”",
        "消费者电话(phone) “13800138000”",
        "未披露 32 项中的 29 项：有无内容不可知，经证明自承诺以来未被改动",
        "其后更正 是，以第 8 号条目；以上为更正前的内容",
        "消费者电话(phone) “13900139000”",
        "未披露 32 项中的 31 项",
        "其后更正 无",
        "引号“”之间为所披露的值，逐字照录",
        "Private fields disclosed",
        "Consumer's name (name) “张小宝”",
        "Health (health) (empty)",
        "Withheld 29 of 32 fields: filled or empty is not known; proven unchanged since they were "
        "committed to",
        "Corrected later yes, by the entry at index 8; the above is what stood before",
        "Corrected later no",
        "save in the section of disclosed fields",
    )
    assert lacks == []
    # The names of withheld fields stand in the steps alone: the section has a count.
    assert "Wallet (wallet_id)" not in made.text


def test_made_again_it_is_the_same() -> None:
    made = disclosed_paper()
    assert make(made.evidence, made.chain_id, "both").pdf == made.pdf


def test_a_file_that_discloses_nothing_has_no_such_section() -> None:
    assert "披露的非公开信息" not in [
        section.title.zh for section in paper("history", "both").certificate.sections
    ]


def test_of_an_inconsistent_file_nothing_is_shown() -> None:
    made = make_certificate(
        history(show(FIRST, "name")),
        verify_evidence(history(show(FIRST, "name")), bytes(32)),
        "00" * 32,
        "software",
    )
    assert [section.title.en for section in made.sections][:2] == [
        "The evidence",
        "The steps of verification",
    ]
    assert "张小宝" not in str(encode_document(made, "zh"))


def test_every_field_has_a_name_in_both_languages() -> None:
    assert tuple(FIELD_WORDS) == FIELDS
    for language in ("zh", "en"):
        assert len({getattr(said, language) for said in FIELD_WORDS.values()}) == len(FIELDS)


HOSTILE = (
    # What the committed value is, and what the page says between its marks.
    ("x” 未披露 0 项 “", "x\\u{201d} 未披露 0 项 \\u{201c}"),
    ('#eval("1") $x$ <script>alert(1)</script> [*b*]', None),
    ("\u202eabc\u202c", "\\u{202e}abc\\u{202c}"),
    ("a\nb\tc\u0000", "a\\u{a}b\\u{9}c\\u{0}"),
    ("\\u{202e}", "\\\\u{202e}"),
    ("\u05d0\u0627\u0489", "\\u{5d0}\\u{627}\\u{489}"),
    (f"13800138000 {RESIDENT}", None),
    ("w" * VALUE_BYTES_MAX, None),
)


@functools.cache
def hostile_paper() -> Paper:
    """All hostile values in the fields of one contract, disclosed at once."""
    held = fields({name: value for name, (value, _) in zip(FIELDS, HOSTILE, strict=False)}, 9)
    made = SmallChain()
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    opening: dict[str, Any] = {
        "consumer": compute_commitment("card-1", held).hex(),
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    made.commit(made.submit("prepaid.open", "contract/card-1", opening, "m-1"))
    shown = show(held, *FIELDS[: len(HOSTILE)])
    raw = add_disclosures(made.history("card-1", ["m-1"]), [shown])
    return make(raw, made.chain_id, "zh")


def test_hostile_values_are_text_between_their_marks_and_nothing_else() -> None:
    made = hostile_paper()
    assert made.report.is_consistent, made.report.failed
    said = [f"“{value if shown is None else shown}”" for value, shown in HOSTILE]
    assert made.lacks(*said) == []
    assert not any(one in made.text for one in "\u202e\u202c\u0000\u05d0\u0627\u0489")
    (section,) = [
        section for section in made.certificate.sections if section.title.zh == "披露的非公开信息"
    ]
    table, explanation = section.blocks
    assert isinstance(table, Fields)
    assert isinstance(explanation, Sentences)
    assert len(table.rows) == 2 + len(HOSTILE) + 2


def test_a_chosen_value_is_never_masked_cut_or_read_two_ways() -> None:
    for value, shown in HOSTILE:
        assert "".join(show_chosen(value)) == (value if shown is None else shown)
    texts = ["\\u{41}", "A", "\u202e", "\\u{202e}", "“", "\\u{201c}", "\\", "\\\\"]
    assert len({"".join(show_chosen(text)) for text in texts}) == len(texts)


def test_a_transaction_shows_fields_and_says_nothing_of_later_corrections() -> None:
    made = chain()
    index = made.indices_of("contract/card-1")[0]
    raw = add_disclosures(made.transaction(index, ("m-1",)).encode(), [show(FIRST, "name")])
    report = verify_evidence(raw, made.chain_id)
    assert report.is_consistent, report.failed
    certificate = make_certificate(raw, report, made.chain_id.hex(), "software")
    (section,) = [one for one in certificate.sections if one.title.en == "Private fields disclosed"]
    (table, _) = section.blocks
    assert isinstance(table, Fields)
    assert [label.en for label, _ in table.rows] == [
        "Committed to by",
        "Commitment",
        "Consumer's name (name)",
        "Withheld",
    ]


def test_more_disclosures_than_a_page_bears_are_counted() -> None:
    """A record may hold a commitment for every correction ever made."""
    made, _ = named("x")
    opened = made.chain.stream("contract/card-1").newest.hex()
    held = [fields({"name": f"n{at}"}, 100 + at) for at in range(DISCLOSURES_SHOWN_MAX + 2)]
    for each in held:
        data = {"commitment": compute_commitment("card-1", each).hex(), "of": opened}
        made.commit(made.submit("private.committed", "contract/card-1", data, "bank-1"))
    shown = [show(each, "name") for each in held]
    raw = add_disclosures(made.history("card-1", ["m-1", "bank-1"]), shown)
    report = verify_evidence(raw, made.chain_id)
    assert report.is_consistent, report.failed
    said = str(encode_document(make_certificate(raw, report, made.chain_id.hex(), "s"), "en"))
    assert said.count("Committed to by") == DISCLOSURES_SHOWN_MAX
    assert "2 more disclosures are not listed here" in said.replace("', '", "")
