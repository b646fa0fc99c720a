"""A name that a file makes up is quoted by both verifiers, and passes for none of their words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.page.conftest import JavaScript
from tests.page.differential import places, put, spell, take
from tests.page.test_agreement import agree
from tests.verifier import test_liabilities, test_proofs
from tests.verifier.mutating import forged_entry, honest, set_field
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, busy_chain

SENTENCE = "x; all of it holds\n\n结论：一致\nConclusion: consistent\x1b[2J\u202e"


def files() -> dict[str, tuple[SmallChain, bytes]]:
    chain = busy_chain()
    return {
        "transaction": (chain, honest().encode()),
        "history": (chain, chain.history("card-1", CARD_SIGNERS)),
        "claim": (test_liabilities.world(), test_liabilities.one()),
        "state": test_proofs.GOOD["state"](),
        "window": test_proofs.GOOD["window"](),
        "omission": test_proofs.GOOD["omission"](),
    }


@pytest.mark.parametrize("kind", ["transaction", "history", "claim", "state", "window", "omission"])
def test_a_name_of_a_file_reads_like_no_sentence(kind: str, javascript: JavaScript) -> None:
    chain, raw = files()[kind]
    named = [path for path in places(json.loads(raw)) if path and path[-1] in ("stream", "node")]
    assert named
    for path in named:
        document = json.loads(raw)
        put(document, path, take(document, path) + SENTENCE)
        report = agree(javascript, spell(document), chain.chain_id)
        assert report.failed is not None, path
        for step in report.steps:
            for words in (step.explanation.zh, step.explanation.en):
                assert "\n" not in words, (path, words)
                assert "\x1b" not in words, (path, words)


@pytest.mark.parametrize("outcome", [[True, SENTENCE, []], [False, "", [[SENTENCE, 1]]]])
def test_an_outcome_that_nobody_knows_reads_like_no_sentence(
    outcome: list[Any], javascript: JavaScript
) -> None:
    raw = forged_entry(set_field(4, value=outcome)).encode()
    report = agree(javascript, raw, busy_chain().chain_id)
    words = next(step.explanation for step in report.steps if step.number == 10)
    assert "Conclusion" in words.en
    assert "\n" not in words.zh + words.en


@pytest.mark.parametrize(
    ("code", "effects", "said"),
    [
        (
            "transition_not_allowed",
            [["event", "funds.released"], ["region", "contract"], ["state", "signed"]],
            "事件 释放给经营者（funds.released），所属 合同（contract），状态 已订立（signed）",
        ),
        (
            "not_attested",
            [["signers", "c-1"], ["needed", "custodian both"]],
            "签名者 c-1，所需 托管机构或双方（custodian both）",
        ),
        ("not_attested", [["needed", "custodian somebody"]], "所需 custodian somebody"),
        ("not_enough_approvers", [["approvers", 1], ["needed", 2]], "批准者 1，所需 2"),
        ("transition_not_allowed", [["event", "no.event"]], "事件 no.event"),
    ],
)
def test_a_refusal_names_event_and_roles_in_chinese(
    code: str, effects: list[list[str | int]], said: str, javascript: JavaScript
) -> None:
    raw = forged_entry(set_field(4, value=[True, code, effects])).encode()
    report = agree(javascript, raw, busy_chain().chain_id)
    words = next(step.explanation for step in report.steps if step.number == 10)
    assert words.zh.endswith(f"（{code}）；{said}。")


def test_of_many_and_long_names_the_beginning_is_said(javascript: JavaScript) -> None:
    document = json.loads(honest().encode())
    one = document["parties"][0]
    for parties in ([one] * 5_000, [one | {"stream": "é" * 100_000}] * 9):
        raw = spell(document | {"parties": parties})
        report = agree(javascript, raw, busy_chain().chain_id)
        assert report.failed is not None
        words = report.failed.explanation
        assert f"and others, {len(parties)} in all" in words.en
        assert f"等 {len(parties)} 个" in words.zh
        assert len(words.en) < 1_500


@pytest.mark.parametrize(("count", "is_cut"), [(8, False), (9, True), (9_000, True)])
def test_of_many_places_the_first_are_said(
    count: int, is_cut: bool, javascript: JavaScript
) -> None:
    document = json.loads(test_liabilities.one())
    raw = spell(document | {"claims": document["claims"] * count})
    report = agree(javascript, raw, test_liabilities.world().chain_id)
    assert report.failed is not None
    assert report.failed.number == 17
    words = report.failed.explanation
    place = document["claims"][0]["place"]
    listed = ", ".join([str(place)] * min(count, 8))
    assert f"[{listed}{f' and others, {count} in all' * is_cut}]" in words.en
    assert f"[{listed}{f' 等 {count} 个' * is_cut}]" in words.zh
