"""Whoever is refused reads why in Chinese and English, at the door and on the chain."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Annotated, Literal

import httpx
import msgspec
import pytest

from api.forms import encode_form, position_form
from api.ports import Position
from law.refusal import Code
from ledger.outcome_words import CAUSES, FINDINGS, REFUSALS
from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh
from ledger.transaction import decode_body

ROOT = Path(__file__).parents[2]
AT_THE_DOOR = (
    "contracts/execution.py",
    "contracts/kinds.py",
    "contracts/parties.py",
    "contracts/questions.py",
    "ledger/canonical.py",
    "ledger/transaction.py",
    "ledger/wire.py",
    "node/mempool.py",
    "node/proofs.py",
    "node/submissions.py",
)
"""What refuses a transaction before it is in a block, and a question about a record."""


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)


def test_every_code_of_an_outcome_has_both_languages() -> None:
    for name, (zh, en) in [*REFUSALS.items(), *FINDINGS.items(), *CAUSES.items()]:
        assert is_chinese(zh), name
        assert en.isascii(), name
        assert " " in en, name


def test_every_cause_that_an_outcome_may_name_has_words() -> None:
    """`why` is one of the law's codes, `reason` one of the ledger's or of execution's own."""
    own = re.findall(
        r'Refusal\("evidence_invalid", \("reason", "([a-z_]+)"\)',
        (ROOT / "contracts/equivocation.py").read_text("utf-8"),
    )
    assert set(CAUSES) == {*map(str, Reason), *map(str, Code), *own}


@pytest.mark.parametrize("path", AT_THE_DOOR)
def test_every_refusal_at_the_door_is_said_in_chinese(path: str) -> None:
    """A third argument that is no English stands in every call."""
    calls = [
        call
        for call in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Rejected"
    ]
    assert calls
    for call in calls:
        assert len(call.args) == 3, f"{path}:{call.lineno} has no Chinese sentence"
        said = [
            part.value
            for part in ast.walk(call.args[2])
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        assert not "".join(said).isascii(), f"{path}:{call.lineno}"


class Shaped(msgspec.Struct, forbid_unknown_fields=True):
    a: Annotated[int, msgspec.Meta(ge=1, le=9)]
    b: Annotated[str, msgspec.Meta(min_length=2, max_length=3, pattern="^[a-z]+$")] = "ab"
    c: Annotated[list[int], msgspec.Meta(max_length=1)] = []
    d: Literal["x", "y"] = "x"
    e: tuple[int, int] = (1, 1)
    f: dict[Annotated[str, msgspec.Meta(max_length=2)], int] = {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "缺少成员 a"),
        ({"a": 1, "z": 1}, "有未知的成员 z"),
        ({"a": "x"}, "应为 int，而不是 str（位于 $.a）"),
        ({"a": 0}, "int 应不小于 1（位于 $.a）"),
        ({"a": 10}, "int 应不大于 9（位于 $.a）"),
        ({"a": 1, "b": "a"}, "str 的长度应不小于 2（位于 $.b）"),
        ({"a": 1, "b": "AB"}, "str 应符合 '^[a-z]+$'（位于 $.b）"),
        ({"a": 1, "c": [1, 2]}, "array 的长度应不大于 1（位于 $.c）"),
        ({"a": 1, "c": [None]}, "应为 int，而不是 null（位于 $.c[0]）"),
        ({"a": 1, "d": "z"}, "不允许的值 'z'（位于 $.d）"),
        ({"a": 1, "e": [1]}, "array 的长度应为 2，而不是 1（位于 $.e）"),
        ({"a": 1, "f": {"abc": 1}}, "str 的长度应不大于 2（位于 $.f 的键）"),
    ],
)
def test_what_is_wrong_with_a_shape_is_said_in_chinese(value: object, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, Shaped)
    assert describe_shape_zh(str(caught.value)) == said


def test_a_form_that_is_not_known_stands_as_it_is() -> None:
    assert describe_shape_zh("Quite wrong") == "不合格式。原文：Quite wrong"


def test_a_refused_body_says_so_in_both() -> None:
    with pytest.raises(Rejected) as caught:
        decode_body(b'{"data":{},"kind":1.5}')
    assert caught.value.detail == (
        "body: $.kind is 1.5; only integers are allowed (money is whole fen)"
    )
    assert caught.value.detail_zh == "正文：$.kind 为 1.5；只允许整数（金额以分为单位）"
    with pytest.raises(Rejected) as caught:
        decode_body(b"{}")
    assert caught.value.detail_zh == "正文：缺少成员 data"


async def test_the_problem_has_the_sentence_in_both(client: httpx.AsyncClient) -> None:
    form = {"body": "{}", "signatures": [{"public_key": "ab", "signature": "cd"}]}
    answer = (await client.post("/v1/transactions", json=form)).json()
    assert answer["reason"] == Reason.BAD_FIELD
    assert answer["detail"] == "signatures[0].public_key is 'ab', not 64 lower-case hex digits"
    assert answer["detail_zh"] == "signatures[0].public_key 为 'ab'，应为 64 位小写十六进制数字"


def tell(code: str) -> dict[str, str]:
    position = Position(
        tx_id=bytes(32),
        index=1,
        height=1,
        time_ms=1,
        status="refused" if code else "applied",
        code=code,
        effects=(),
        certified=True,
        stream="contract/c1",
    )
    told: dict[str, str] = msgspec.json.decode(
        encode_form(position_form(position, with_body_facts=False))
    )
    return told


def test_a_position_says_what_its_code_means() -> None:
    for code, (zh, en) in REFUSALS.items():
        told = tell(code)
        assert (told["code"], told["title_zh"]) == (code, zh)
        assert told["title"].lower() == en.lower()
    assert not {"title", "title_zh"} & set(tell(""))
