"""Canonical JSON: the quick reading against the `rfc8785` library and against the verifier's."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    PLAIN_TEXT,
    decode_canonical,
    encode_canonical,
    is_normal,
)
from ledger.refusal import Reason, Rejected
from verifier.strict_json import read_object

TEXT = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from('\ue000\uffff\U00010000\U0010ffffe\u0301\\"/\b\f\n\r\t\x00\x1f\x7f\u2028é中')
)
INTEGER = st.integers(-INTEGER_MAX, INTEGER_MAX)
VALUE = st.recursive(
    st.none() | st.booleans() | INTEGER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, VALUE, max_size=4)


def reason_of(raw: bytes) -> Reason:
    with pytest.raises(Rejected) as caught:
        decode_canonical(raw)
    return caught.value.reason


def depth_of(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max([depth_of(item) for item in inner], default=0)
    return 0


@given(OBJECT)
def test_reads_what_rfc8785_writes_and_nothing_else(value: dict[str, Any]) -> None:
    reference = rfc8785.dumps(value)
    if depth_of(value) > DEPTH_MAX:
        assert reason_of(reference) is Reason.TOO_DEEP
    elif not is_normal(reference.decode()):
        assert reason_of(reference) is Reason.NOT_CANONICAL
    else:
        assert decode_canonical(reference) == value
        assert encode_canonical(value) == reference
        assert read_object(reference, "document") == value
        other = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        if other != reference:
            assert reason_of(other) is Reason.NOT_CANONICAL


@given(OBJECT, st.data())
def test_agrees_with_the_verifiers_grammar_on_damaged_text(
    value: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(rfc8785.dumps(value))
    place = data.draw(st.integers(0, len(raw) - 1))
    change = data.draw(st.sampled_from(["flip", "insert", "delete", "swap"]))
    byte = data.draw(st.sampled_from(list(b' \n"\\{}[],:0123456789-.eEtfn\x00\xc3\xff')))
    if change == "flip":
        raw[place] = byte
    elif change == "insert":
        raw.insert(place, byte)
    elif change == "delete":
        del raw[place]
    else:
        raw[place:] = raw[place + 1 :] + raw[place : place + 1]
    accepted = []
    for read in (decode_canonical, lambda text: read_object(text, "document")):
        try:
            accepted.append(read(bytes(raw)))
        except Rejected:
            accepted.append(None)
    assert accepted[0] == accepted[1]


def test_members_sort_by_utf16_unit_and_no_other_order_is_read() -> None:
    by_unit = '{"\U00010000":1,"\ue000":2}'.encode()
    by_code_point = '{"\ue000":2,"\U00010000":1}'.encode()
    assert decode_canonical(by_unit) == {"\U00010000": 1, "\ue000": 2}
    assert encode_canonical({"\ue000": 2, "\U00010000": 1}) == by_unit
    assert reason_of(by_code_point) is Reason.NOT_CANONICAL


@pytest.mark.parametrize("code", range(0x20))
def test_control_characters_have_one_escape(code: int) -> None:
    raw = rfc8785.dumps({"a": chr(code)})
    assert decode_canonical(raw) == {"a": chr(code)}
    for other in (f'{{"a":"\\u{code:04x}"}}', f'{{"a":"\\u{code:04X}"}}'):
        if other.encode() != raw:
            assert reason_of(other.encode()) is Reason.NOT_CANONICAL


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b'{"a":1,"a":1}', Reason.NOT_CANONICAL, id="duplicate-member"),
        pytest.param(b'{"a":1,"a":2}', Reason.NOT_CANONICAL, id="duplicate-member-other-value"),
        pytest.param(b'{"b":1,"a":1}', Reason.NOT_CANONICAL, id="unsorted"),
        pytest.param(b'{"a": 1}', Reason.NOT_CANONICAL, id="space"),
        pytest.param(b'{"a":1}\n', Reason.NOT_CANONICAL, id="trailing-newline"),
        pytest.param(b' {"a":1}', Reason.NOT_CANONICAL, id="leading-space"),
        pytest.param(b'{"a":1}{}', Reason.MALFORMED, id="trailing-value"),
        pytest.param(b'{"a":1}\x00', Reason.MALFORMED, id="trailing-nul"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', Reason.MALFORMED, id="byte-order-mark"),
        pytest.param(b'{"a":"\\u0061"}', Reason.NOT_CANONICAL, id="needless-escape"),
        pytest.param(b'{"a":"\\/"}', Reason.NOT_CANONICAL, id="escaped-slash"),
        pytest.param(b'{"a":"\\u4e2d"}', Reason.NOT_CANONICAL, id="escaped-chinese"),
        pytest.param(b'{"a":-0}', Reason.NOT_CANONICAL, id="minus-zero"),
        pytest.param(b'{"a":01}', Reason.MALFORMED, id="leading-zero"),
        pytest.param(b'{"a":+1}', Reason.MALFORMED, id="plus"),
        pytest.param(b'{"a":1.0}', Reason.NOT_INTEGER, id="integral-float"),
        pytest.param(b'{"a":[{"b":0.1}]}', Reason.NOT_INTEGER, id="float-inside"),
        pytest.param(b'{"a":1e2}', Reason.NOT_INTEGER, id="exponent"),
        pytest.param(b'{"a":-0.0}', Reason.NOT_INTEGER, id="minus-zero-float"),
        pytest.param(b'{"a":NaN}', Reason.MALFORMED, id="nan"),
        pytest.param(b'{"a":9007199254740992}', Reason.NOT_INTEGER, id="2^53"),
        pytest.param(b'{"a":-9007199254740992}', Reason.NOT_INTEGER, id="-2^53"),
        pytest.param(b'{"a":18446744073709551616}', Reason.NOT_INTEGER, id="2^64"),
        pytest.param(b'{"a":%s}' % (b"9" * 400), Reason.NOT_INTEGER, id="400-digits"),
        pytest.param(b'{"a":%s}' % (b"9" * 30_000), Reason.MALFORMED, id="30000-digits"),
        pytest.param(b'{"a":1e400}', Reason.MALFORMED, id="infinite"),
        pytest.param(b'{"a":"\xff"}', Reason.MALFORMED, id="not-utf8"),
        pytest.param(b'{"\xff":1}', Reason.MALFORMED, id="member-not-utf8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', Reason.MALFORMED, id="encoded-surrogate"),
        pytest.param(b'{"a":"\\ud800"}', Reason.MALFORMED, id="lone-surrogate-at-end"),
        pytest.param(b'{"a":"\\ud800 and more"}', Reason.MALFORMED, id="lone-high-surrogate"),
        pytest.param(b'{"a":"\\udc00 and more"}', Reason.MALFORMED, id="lone-low-surrogate"),
        pytest.param(b'{"a":"\\ud800\\udc00"}', Reason.NOT_CANONICAL, id="escaped-pair"),
        pytest.param('{"a":"e\u0301"}'.encode(), Reason.NOT_CANONICAL, id="not-nfc"),
        pytest.param('{"e\u0301":1}'.encode(), Reason.NOT_CANONICAL, id="member-not-nfc"),
        pytest.param('{"a":"\u212b"}'.encode(), Reason.NOT_CANONICAL, id="angstrom-sign"),
        pytest.param('{"a":"\\n\u0301"}'.encode(), Reason.NOT_CANONICAL, id="text-not-nfc"),
        pytest.param(b"[]", Reason.BAD_FIELD, id="array"),
        pytest.param(b"1", Reason.BAD_FIELD, id="number"),
        pytest.param(b"", Reason.MALFORMED, id="empty"),
        pytest.param(b'{"a":' * 9 + b"1" + b"}" * 9, Reason.TOO_DEEP, id="nine-objects"),
        pytest.param(b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", Reason.TOO_DEEP, id="nine-levels"),
        pytest.param(b"[" * 10_000, Reason.TOO_DEEP, id="10000-open"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, Reason.TOO_DEEP, id="10000-objects"),
        pytest.param(
            b'{"a":' + b'[{"a":' * 5_000 + b"1" + b"}]" * 5_000 + b"}",
            Reason.TOO_DEEP,
            id="10000-mixed",
        ),
    ],
)
def test_every_other_spelling_is_refused_by_name(raw: bytes, reason: Reason) -> None:
    assert reason_of(raw) is reason
    with pytest.raises(Rejected):
        read_object(raw, "document")


def test_bounds_are_inclusive() -> None:
    for raw in (
        b'{"a":%d}' % INTEGER_MAX,
        b'{"a":-%d}' % INTEGER_MAX,
        b'{"a":' * DEPTH_MAX + b"1" + b"}" * DEPTH_MAX,
        b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}",
    ):
        assert decode_canonical(raw) == json.loads(raw) == read_object(raw, "document")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            b'{"a":[1,0.5]}',
            "document: $.a.1 is 0.5; only integers are allowed (money is whole fen)",
        ),
        (
            b'{"a":9007199254740993}',
            "document: $.a is 9007199254740993, beyond ±9007199254740991 (2^53−1)",
        ),
        (
            b'{"a":%s}' % (b"9" * 300),
            "document: $.a is an integer of 997 bits, beyond ±9007199254740991 (2^53−1)",
        ),
        (
            b'{"%s":{"b":0.5}}' % (b"k" * 100),
            f"document: $.{'k' * 80}….b is 0.5; only integers are allowed (money is whole fen)",
        ),
        (
            b'{"b":1,"a":2}',
            (
                "document: not the RFC 8785 spelling (members sorted, no spaces, shortest "
                "escapes, no duplicate members)"
            ),
        ),
        (
            '{"a":"e\u0301"}'.encode(),
            "document: strings must be in Unicode Normalization Form C",
        ),
        (b"[" * 9 + b"]" * 9, "document: nested deeper than 8 levels"),
        (b"[]", "document: Expected `object`, got `array`"),
    ],
)
def test_a_refusal_is_a_sentence(raw: bytes, sentence: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode_canonical(raw)
    assert caught.value.detail == sentence


def test_a_sentence_stays_short_whatever_was_sent() -> None:
    key = b"k" * 16_000
    body = b'{"%s":[%s0.5]}' % (key, b"1," * 8_000)
    with pytest.raises(Rejected) as caught:
        decode_canonical(body)
    assert len(caught.value.detail) < 300


def make_endless() -> dict[str, Any]:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    return endless


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param({"a": 1.0}, Reason.NOT_INTEGER, id="integral-float"),
        pytest.param({"a": -0.0}, Reason.NOT_INTEGER, id="minus-zero"),
        pytest.param({"a": float("nan")}, Reason.NOT_INTEGER, id="nan"),
        pytest.param({"a": float("inf")}, Reason.NOT_INTEGER, id="infinite"),
        pytest.param({"a": 2**53}, Reason.NOT_INTEGER, id="2^53"),
        pytest.param({"a": "e\u0301"}, Reason.NOT_CANONICAL, id="not-nfc"),
        pytest.param({"a": "\ud800"}, Reason.MALFORMED, id="surrogate"),
        pytest.param({"\ud800": 1}, Reason.MALFORMED, id="surrogate-member"),
        pytest.param({1: 1}, Reason.MALFORMED, id="integer-member"),
        pytest.param({"a": b"1"}, Reason.MALFORMED, id="bytes"),
        pytest.param({"a": {1}}, Reason.MALFORMED, id="set"),
        pytest.param(make_endless(), Reason.TOO_DEEP, id="endless"),
        pytest.param(json.loads("[" * 500 + "]" * 500), Reason.TOO_DEEP, id="deep"),
    ],
)
def test_the_encoder_refuses_what_the_decoder_would(value: Any, reason: Reason) -> None:
    with pytest.raises(Rejected) as caught:
        encode_canonical(value)
    assert caught.value.reason is reason


def test_plain_text_is_normal_in_every_unicode_whatever_stands_beside_what() -> None:
    """Why plain text may skip normalisation: no character of it changes, moves or composes."""
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000 and PLAIN_TEXT.fullmatch(chr(code))
    ]
    assert len(characters) > 28_000
    seconds = {
        unicodedata.normalize("NFD", chr(code))[1:]
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000
    }
    for tables in (unicodedata, unicodedata.ucd_3_2_0):
        for character in characters:
            assert character <= "\uffff"
            assert tables.combining(character) == 0, hex(ord(character))
            assert tables.is_normalized("NFC", character), hex(ord(character))
            assert character not in seconds, hex(ord(character))
    assert all(
        unicodedata.ucd_3_2_0.category(character) != "Cn"
        for character in characters
        if character > "\u02ff"
    )


def test_normalisation_does_not_change_with_the_interpreter() -> None:
    """A Python knows what its own Unicode added: a decomposition, composites, an order of marks."""
    for text in (
        "\ufa70",
        "\U00011935\U00011930",
        "\U00016d67\U00016d67",
        "a\u1dc4\u0323",
        "a\U0001e08f\u0323",
    ):
        raw = f'{{"a":"{text}"}}'.encode()
        assert decode_canonical(raw) == read_object(raw, "document") == {"a": text}


def test_the_quick_encoder_would_be_wrong_beyond_plain_text() -> None:
    """What the slow way is for: if msgspec sorted by UTF-16 unit, it could go."""
    value = {"\U00010000": 1, "\ue000": 2}
    assert msgspec.json.encode(value, order="sorted") != rfc8785.dumps(value)
