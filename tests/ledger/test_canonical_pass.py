"""Canonical text in one pass: what the compiled kernel takes, the careful reading takes too."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import kernel_plain, transaction
from ledger.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    PLAIN_TEXT,
    decode_canonical,
    encode_sorted,
    is_plain,
)
from ledger.refusal import Rejected
from ledger.transaction import decode_bodies
from tests.ledger.test_transaction import body

try:
    from ledger import kernel_native
except ImportError:
    pytest.skip("the compiled kernel was not built here: no C compiler?", allow_module_level=True)

NAME = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F, exclude_characters='"\\'))
PLAIN = [
    chr(one)
    for one in range(0x10000)
    if not 0xD800 <= one <= 0xDFFF and PLAIN_TEXT.fullmatch(chr(one))
]
TEXT = st.text(st.characters(max_codepoint=0x7F)) | st.text(st.sampled_from(PLAIN))
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(NAME, VALUE, max_size=4)
DAMAGE = list(
    b' \n"\\{}[],:0123456789-.eEtfnu/abx\x00\x1f\x7f\x80\xb8\xbf\xc0\xc2\xcc\xe0\xe4\xed\xf0\xff'
)


def takes(raw: bytes, head: bytes = b"", depth_max: int = DEPTH_MAX) -> bool:
    return kernel_native.are_canonical([raw], head, depth_max)


def spell(text: bytes) -> bytes:
    return b'{"a":"' + text + b'"}'


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def is_canonical(raw: bytes) -> bool:
    try:
        decode_canonical(raw)
    except Rejected:
        return False
    return True


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max([depth_of(item) for item in inner], default=0)
    return 0


@given(OBJECT)
def test_all_plain_text_in_its_spelling_is_taken(value: dict[str, Any]) -> None:
    raw = rfc8785.dumps(value)
    depth = depth_of(value)
    assert takes(raw, depth_max=depth)
    assert not takes(raw, depth_max=depth - 1)
    assert is_canonical(raw) is (depth <= DEPTH_MAX)


@settings(max_examples=400)
@given(OBJECT, st.data())
def test_damaged_text_is_taken_only_where_it_is_canonical(
    value: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(rfc8785.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        change = data.draw(st.sampled_from(["flip", "insert", "delete", "double"]))
        byte = data.draw(st.sampled_from(DAMAGE))
        match change:
            case "flip":
                raw[place : place + 1] = bytes([byte])
            case "insert":
                raw.insert(place, byte)
            case "delete":
                del raw[place : place + 1]
            case _:
                raw[place:place] = raw[place : place + 7]
    if takes(bytes(raw)):
        assert is_canonical(bytes(raw))
        assert is_plain(bytes(raw))


def test_of_all_characters_those_are_taken_that_are_plain() -> None:
    escaped = {*range(0x20), ord('"'), ord("\\")}
    for one in range(sys.maxunicode + 1):
        if not 0xD800 <= one <= 0xDFFF and one not in escaped:
            raw = spell(chr(one).encode())
            assert takes(raw) is is_plain(raw), hex(one)


def test_no_other_bytes_are_taken_for_a_character() -> None:
    """Cut short, spelled longer than need be, halves of pairs, or beyond all characters."""
    edges = (0x22, 0x5C, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0xA5, 0xA6, 0xB5, 0xB6, 0xBF, 0xC0, 0xFF)
    for first, second in itertools.product(range(0x80, 0x100), range(0x20, 0x100)):
        for text in ([first], [first, second], *[[first, second, third] for third in edges]):
            raw = spell(bytes(text))
            if takes(raw):
                assert is_plain(raw)
                assert is_canonical(raw)
                assert not any(takes(raw[:end]) for end in range(len(raw)))
            else:
                assert not is_plain(raw) or not is_canonical(raw)


NOT_TAKEN = [
    b"", b"{", b"}", b"null", b"1", b'"a"', b"[]", b'{"a"}', b'{"a":}', b'{"a":1', b'{"a":1,}',
    b'{,"a":1}', b'{"a":1}}', b'{"a":1} ', b' {"a":1}', b'{"a": 1}', b'{"a" :1}', b'{ "a":1}',
    b'{"a":1}\n', b'{"a":1;"b":2}', b'{"b":1,"a":2}', b'{"a":1,"a":2}', b'{"ab":1,"a":2}',
    b'{"a ":1,"a":2}', b'{"a!":1,"a":2}', b'{"ab":1,"aa":2}', b'{"a":1,"":2}',
    b'{"a":-0}', b'{"a":00}', b'{"a":01}', b'{"a":-}', b'{"a":-01}', b'{"a":+1}', b'{"a":1.0}',
    b'{"a":1e1}', b'{"a":9007199254740992}', b'{"a":-9007199254740992}',
    b'{"a":90071992547409910}', b'{"a":99999999999999999999999999}',
    b'{"a":18446744073709551617}', b'{"a":-18446744073709551617}', b'{"a":True}', b'{"a":tru}',
    b'{"a":nul}', b'{"a":fals}', b'{"a":nulll}', b'{"a":[}', b'{"a":[1,]}', b'{"a":[,1]}',
    b'{"a":[1 ,2]}', b'{"a":[1}', b'{"a":[1]', b'{"a":{}', b'{"a":"', b'{"a":"b}', b'{"a":"\\"}',
    b'{"a":"\\/"}', b'{"a":"\\u0061"}', b'{"a":"\\u000A"}', b'{"a":"\\u000a"}', b'{"a":"\\u0008"}',
    b'{"a":"\\u0009"}', b'{"a":"\\u000c"}', b'{"a":"\\u000d"}', b'{"a":"\\u001F"}',
    b'{"a":"\\u001g"}', b'{"a":"\\u0020"}', b'{"a":"\\u007f"}', b'{"a":"\\u0100"}',
    b'{"a":"\\u1000"}', b'{"a":"\\ud800"}', b'{"a":"\\u00"}', b'{"a":"\\u001"}', b'{"a":"\\u001f',
    b'{"a":"\\x"}', b'{"a":"\x00"}', b'{"a":"\x1f"}', b'{"a":"\n"}', b'{"a":"\xff"}',
    b'{"\x1f":1}', b'{"\\x":1}', b'{"\\u0061":1}', b'{"\\/":1}', b'{"\\":1}',
    b'{"a":1\x00}', b'{"a":1}\x00', b'{"a":NaN}', b'{"a":Infinity}', b"{'a':1}",
]  # fmt: skip


@pytest.mark.parametrize("raw", NOT_TAKEN)
def test_no_other_spelling_is_taken(raw: bytes) -> None:
    assert not takes(raw)
    assert not is_canonical(raw), "and the careful reading refuses it"


@pytest.mark.parametrize(
    "value",
    [
        "".join(map(chr, range(0x80))), "团课 × 20，５折 é", INTEGER_MAX, -INTEGER_MAX, 0, 7, -1,
        10, True, False, None,
        "", [], {}, [[], {}, [1, -2, "x"]], {"": 1, " ": 2, "a": 3, "aa": 4, "b": 5, "~": 6},
    ],
)  # fmt: skip
def test_each_kind_of_value_is_taken(value: Any) -> None:
    raw = rfc8785.dumps({"a": value, "b": [value, value]})
    assert takes(raw)
    assert is_canonical(raw)
    for end in range(len(raw)):
        assert not takes(raw[:end])


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":"\u0370"}'.encode(),
        '{"中":1}'.encode(),
        b'{"\\"":1}',
        b'{"\\\\":1}',
        b'{"\\n":1}',
        '{"é":1}'.encode(),
    ],
)
def test_what_it_does_not_know_it_leaves_to_the_careful_reading(raw: bytes) -> None:
    assert not takes(raw)
    assert is_canonical(raw)


def test_depth_is_counted_as_the_careful_reading_does() -> None:
    for depth in range(1, DEPTH_MAX + 3):
        for opening, closing in (('{"a":', "}"), ("[", "]")):
            raw = ('{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}").encode()
            assert json.loads(raw)
            assert takes(raw) is is_canonical(raw) is (depth <= DEPTH_MAX)


def test_all_of_them_begin_as_is_asked() -> None:
    good, other = b'{"data":{},"kind":"a"}', b'{"data":[],"kind":"a"}'
    head = b'{"data":{'
    for kernel in (kernel_native, kernel_plain):
        assert not kernel.are_canonical([good, other], head, DEPTH_MAX)
        assert not kernel.are_canonical([good[:5]], head, DEPTH_MAX)
        assert not kernel.are_canonical([good, bytearray(good)], head, DEPTH_MAX)
    assert kernel_native.are_canonical([good, good], head, DEPTH_MAX)
    assert kernel_native.are_canonical((good,), head, DEPTH_MAX)
    assert kernel_native.are_canonical([good, other], b"", DEPTH_MAX)


def test_bodies_are_read_alike_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [
        [body(reference=f"R-{number}") for number in range(3)],
        [body(), body(data={"text": "中"})],
        [body(), body(data={"text": "\u0370"})],
        [body(), body(data={"中": 1})],
        [body(), body(data={"text": "é"}).replace("é".encode(), "e\u0301".encode())],
        [body(), body(data={"a": {"b": [True, None, -3]}})],
        [body(), body().replace(b'{"amount":500}', b"[]")],
        [body(), body().replace(b"500", b"5.5")],
        [body(), body().replace(b":500", b": 500")],
        [body(), body().replace(b"500", b"-0")],
        [],
        [body(data=nested(DEPTH_MAX - 1))],
        [body(), body(data={}).replace(b"{}", encode_sorted(nested(DEPTH_MAX)))],
    ]
    quick = [decode_bodies(group) for group in groups]
    monkeypatch.setattr(transaction, "are_canonical", kernel_plain.are_canonical)
    assert [decode_bodies(group) for group in groups] == quick
    assert [at for at, each in enumerate(quick) if each is not None] == [0, 1, 3, 5, 10, 11]
