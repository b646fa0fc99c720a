"""Facts: the vocabulary, who may say what, and what about what."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from law.facts import ADMITS, KINDS, REFERS, ROLES, read_facts, read_stream
from law.refusal import Code, Refused
from tests.law.case_language import bare_persons

ROOT = Path(__file__).parents[2]
SIGNED = {"card": "named", "persons": bare_persons("c", "m"), "prompted": [], "terms": "0" * 64}
PAID = {
    "account": None, "amount": 100, "bonus": 0, "channel": "ecny", "custody": "none",
    "vouchers": [],
}  # fmt: skip


def fact(kind: str, position: int, data: Any, role: str, **more: Any) -> dict[str, Any]:
    return {
        "at": 1_750_000_000_000, "author": role, "data": data, "kind": kind, "position": position,
        "recorded": 1_750_000_000_000, "role": role, **more,
    }  # fmt: skip


def signed() -> dict[str, Any]:
    return fact("contract.signed", 1, SIGNED, "merchant")


def test_facts_come_in_the_order_in_which_they_happened() -> None:
    late = fact("funds.locked", 3, PAID, "custodian", at=5)
    early = fact("funds.locked", 9, PAID, "custodian", at=4)
    same = fact("funds.locked", 2, PAID, "custodian", at=5)
    positions = [f.position for f in read_facts([signed(), late, early, same])]
    assert positions == [9, 2, 3, 1]


REFUSALS: list[tuple[list[dict[str, Any]], Code, str]] = [
    ([fact("contract.torn", 1, {}, "merchant")], Code.UNKNOWN_WORD,
     "facts[0].kind is 'contract.torn'; one of "),
    ([fact("funds.released", 1, {"amount": 1}, "merchant")], Code.NOT_ENTITLED,
     "facts[0]: funds.released is stated by merchant; custodian is expected"),
    ([fact("termination.judged", 1, {"day": "2025-01-01"}, "consumer")], Code.NOT_ENTITLED,
     "facts[0]: termination.judged is stated by consumer; court or arbitrator is expected"),
    ([fact("funds.locked", 1, {**PAID, "amount": -1}, "custodian")], Code.OUT_OF_RANGE,
     "facts[0].data.amount is -1; 0 to 10000000000 is expected"),
    ([fact("funds.locked", 1, {**PAID, "tip": 1}, "custodian")], Code.UNKNOWN_MEMBER,
     "facts[0].data has the unknown member 'tip'"),
    ([fact("service.stopped", 1, {"day": 1}, "merchant")], Code.UNKNOWN_MEMBER,
     "facts[0].data has the unknown member 'day'"),
    ([fact("prior_use.stated", 1, {"from": "nowhere", "standing": "claim"}, "merchant")],
     Code.UNKNOWN_WORD,
     "facts[0].data.from is 'nowhere'; one of none, this_merchant, other_merchant is expected"),
    ([signed(), fact("funds.locked", 1, PAID, "custodian")], Code.INCONSISTENT,
     "two facts have one position; each entry is one fact"),
    ([fact("funds.locked", 1, PAID, "custodian")], Code.INCONSISTENT,
     "0 facts are contract.signed; exactly one is expected"),
    ([signed(), {**signed(), "position": 2}], Code.INCONSISTENT,
     "2 facts are contract.signed; exactly one is expected"),
    ([signed(), fact("delivery.answered", 2, {"answer": "objected", "of": 1}, "consumer")],
     Code.INCONSISTENT,
     ("the delivery.answered at entry 2 is about entry 1, which is contract.signed; "
     "service.delivered is expected")),
    ([signed(), fact("records.produced", 2, {"of": 7}, "merchant")], Code.INCONSISTENT,
     ("the records.produced at entry 2 is about entry 7, which is no fact of this contract; "
     "records.requested is expected")),
    ([signed(), fact("delivery.answered", 2, {"answer": "reversed", "of": 3}, "consumer")],
     Code.NOT_ENTITLED,
     ("the delivery.answered at entry 2 says reversed and is stated by consumer; merchant or both "
     "is expected")),
    ([signed(), fact("delivery.answered", 2, {"answer": "objected", "of": 3}, "merchant")],
     Code.NOT_ENTITLED,
     ("the delivery.answered at entry 2 says objected and is stated by merchant; consumer or both "
     "is expected")),
    ([signed(), fact("termination.requested", 2, {"cure_until": None}, "consumer"),
      fact("notice.arrived", 3, {"of": 2}, "consumer")], Code.NOT_ENTITLED,
     ("the notice.arrived at entry 3 is stated by consumer, who sent the notice; whoever received "
     "it, or a third, says that it arrived")),
]  # fmt: skip


@pytest.mark.parametrize(("documents", "code", "sentence"), REFUSALS)
def test_facts_are_refused_by_name(
    documents: list[dict[str, Any]], code: Code, sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        read_facts(documents)
    assert caught.value.code == code
    if sentence.endswith("one of "):
        assert caught.value.detail.startswith(sentence)
    else:
        assert caught.value.detail == sentence


def test_a_merchants_own_stream_needs_no_contract() -> None:
    documents = [fact("risk.declared", 4, {}, "regulator")]
    assert [f.kind for f in read_stream(documents)] == ["risk.declared"]


@pytest.mark.parametrize(
    ("kind", "role", "admitted"),
    [
        ("service.stopped", "merchant", True),
        ("service.stopped", "consumer", False),
        ("service.stopped", "consumer_council", False),
        ("service.stopped", "district", True),
        ("service.resumed", "merchant", False),
        ("service.resumed", "consumer", True),
        ("service.resumed", "both", True),
    ],
)
def test_whose_word_settles_what(kind: str, role: str, admitted: bool) -> None:
    (read,) = read_stream([fact(kind, 1, {}, role)])
    assert read.is_admitted is admitted


@pytest.mark.parametrize(
    ("source", "role", "admitted"),
    [
        ("custody", "custodian", True),
        ("custody", "merchant", False),
        ("custody", "consumer", False),
        ("merchant", "merchant", False),
        ("merchant", "consumer", True),
        ("merchant", "custodian", True),
    ],
)
def test_nobody_proves_his_own_payment(source: str, role: str, admitted: bool) -> None:
    data = {"amount": 5, "payee": "c", "source": source}
    (read,) = read_stream([fact("refund.paid", 1, data, role)])
    assert read.is_admitted is admitted


def test_a_finding_is_one_only_from_those_who_can_find() -> None:
    data = {"cause": "merchant", "standing": "finding"}
    findings = {
        role: read_stream([fact("cause.stated", 1, data, role)])[0].is_finding for role in ROLES
    }
    assert {role for role, found in findings.items() if found} == {
        "court", "arbitrator", "regulator", "both",
    }  # fmt: skip
    claim = fact("cause.stated", 1, {**data, "standing": "claim"}, "court")
    assert not read_stream([claim])[0].is_finding


def test_the_tables_are_about_kinds_that_exist() -> None:
    assert set(ADMITS) | set(REFERS) <= set(KINDS)
    assert {target for targets in REFERS.values() for target in targets} <= set(KINDS)
    for kind in KINDS.values():
        assert set(kind.roles) <= set(ROLES)
        assert kind.en
        assert kind.zh


def test_the_document_lists_every_kind_with_its_members() -> None:
    text = (ROOT / "docs/TERMS.md").read_text("utf-8")
    table = text.partition("## Facts")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` (.+) \((.+)\) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    listed = {
        name: (en, zh, set(re.findall(r"`(\w+)`", who)), set(re.findall(r"`(\w+)`", members)))
        for name, en, zh, who, members in rows
    }
    expected = {}
    for name, kind in KINDS.items():
        members = set(kind.data.__slots__)
        if name == "prior_use.stated":
            members = members - {"source"} | {"from"}
        roles = set() if kind.roles == ROLES else set(kind.roles)
        expected[name] = (kind.en, kind.zh, roles, members)
    assert listed == expected


def test_every_fact_is_small_enough_for_a_transaction() -> None:
    """A body is at most 32 KiB; the largest lists of a fact stay far below."""
    vouchers = [{"amount": 10**10, "issuer": "i" * 64}] * 16
    whole = fact("funds.locked", 1, {**PAID, "vouchers": vouchers}, "custodian")
    assert len(json.dumps(whole)) < 4_096
    prompted = [{"clause": "c" * 64, "proof": "0" * 64}] * 64
    whole = fact("contract.signed", 1, {**SIGNED, "prompted": prompted}, "merchant")
    assert len(json.dumps(whole)) < 16_384
