"""Canonical documents: one spelling, the same as the ledger's and the verifier's readers take."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from law.canonical import DOCUMENT_BYTES_MAX, compute_hash, decode, encode
from law.fields import Fields
from law.refusal import Code, Refused
from ledger.canonical import decode_canonical
from ledger.refusal import Rejected
from verifier.strict_json import read_object

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)


def accepts(read: Any, raw: bytes) -> bool:
    try:
        read(raw, "document")
    except (Refused, Rejected):
        return False
    return True


@given(OBJECTS)
def test_writing_is_rfc_8785_and_reading_gives_it_back(value: dict[str, Any]) -> None:
    try:
        raw = encode(value)
    except Refused as refused:
        if refused.code not in (Code.NOT_CANONICAL, Code.TOO_DEEP):
            raise
        return
    assert raw == rfc8785.dumps(value)
    assert decode(raw) == value
    assert encode(decode(raw)) == raw


@given(OBJECTS, st.integers(0, 400), st.binary(min_size=1, max_size=2))
def test_three_readers_take_the_same_bytes(value: dict[str, Any], at: int, noise: bytes) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    spoilt = raw[:at] + noise + raw[at + 1 :]
    for candidate in (raw, rfc8785.dumps(value), spoilt):
        taken = accepts(decode, candidate)
        assert taken == accepts(decode_canonical, candidate) == accepts(read_object, candidate)


REFUSALS = [
    (b'{"a":1.5}', Code.NOT_INTEGER,
     "terms: 1.5 is not a whole number; money is whole fen, rates are millionths"),
    (b'{"a":1e3}', Code.NOT_INTEGER,
     "terms: 1e3 is not a whole number; money is whole fen, rates are millionths"),
    (b'{"a":NaN}', Code.NOT_INTEGER,
     "terms: NaN is not a whole number; money is whole fen, rates are millionths"),
    (b'{"a":9007199254740992}', Code.NOT_INTEGER,
     "terms: $.a is beyond ±9007199254740991 (2^53−1)"),
    (b'{"a":' + b"9" * 40 + b"}", Code.NOT_INTEGER,
     "terms: 999999999999999999999999… is beyond ±9007199254740991"),
    (b'{"a":1,"a":1}', Code.NOT_CANONICAL, "terms: member 'a' stands twice"),
    (b'{"b":1,"a":1}', Code.NOT_CANONICAL,
     "terms: not the RFC 8785 spelling (members sorted, no spaces, shortest escapes)"),
    (b'{"a": 1}', Code.NOT_CANONICAL,
     "terms: not the RFC 8785 spelling (members sorted, no spaces, shortest escapes)"),
    ('{"a":"e\u0301"}'.encode(), Code.NOT_CANONICAL, "terms: $.a is not in Normalization Form C"),
    (b'{"a":"\\ud800"}', Code.MALFORMED, "terms: text holds half a surrogate pair"),
    (b"[1]", Code.WRONG_TYPE, "terms: an object is expected, not b'[1]'"),
    (b'{"a":' + b"[" * 9 + b"]" * 9 + b"}", Code.TOO_DEEP, "terms: nested deeper than 8 levels"),
    (b'{"a":' + b"[" * 100_000, Code.TOO_LARGE,
     f"terms: 100005 bytes; at most {DOCUMENT_BYTES_MAX} are allowed"),
    (b'{"a":' + b"[" * 30_000, Code.TOO_DEEP, "terms: nested deeper than 8 levels"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "code", "sentence"), REFUSALS)
def test_refusals(raw: bytes, code: Code, sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        decode(raw, "terms")
    assert (caught.value.code, caught.value.detail) == (code, sentence)


def test_what_is_no_json_is_refused() -> None:
    for raw in (b"", b"{", b'{"a":}', b"\xff", b'{"a":1}x'):
        with pytest.raises(Refused, match=r"^malformed: terms: not JSON in UTF-8: "):
            decode(raw, "terms")
    for value in ({"a": 1.0}, {"a": b"x"}, {"a": {1, 2}}):
        with pytest.raises(Refused, match=r"not JSON of whole numbers$"):
            encode(value)
    with pytest.raises(Refused, match=re.escape("$ has a member named 1, not text")):
        encode({1: 2})


def test_names_beyond_the_basic_plane_sort_by_utf_16() -> None:
    value = {"\U0001f600": 1, "\ufb01": 2, "é": 3}
    assert encode(value) == rfc8785.dumps(value)
    assert list(json.loads(encode(value))) == ["é", "\U0001f600", "\ufb01"]
    assert compute_hash(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


FIELDS = [
    (lambda f: f.integer("n", 0, 9), {"n": 10}, "doc.n is 10; 0 to 9 is expected"),
    (lambda f: f.integer("n", 0, 9), {"n": "1"}, "doc.n is '1'; a whole number is expected"),
    (lambda f: f.integer("n", 0, 9), {"n": True}, "doc.n is true; a whole number is expected"),
    (lambda f: f.integer("n", 0, 9), {}, "doc lacks the member 'n'"),
    (lambda f: f.flag("n"), {"n": 1}, "doc.n is 1; true or false is expected"),
    (lambda f: f.text("n"), {"n": None}, "doc.n is null; text is expected"),
    (lambda f: f.word("n"), {"n": ""}, "doc.n has 0 characters; 1 to 64 are expected"),
    (lambda f: f.choice("n", ("a", "b")), {"n": "c"}, "doc.n is 'c'; one of a, b is expected"),
    (lambda f: f.choice("n", ("a", "b")), {"n": ["a"]},
     "doc.n is a list; one of a, b is expected"),
    (lambda f: f.day("n"), {"n": "2025-02-29"},
     "doc.n is '2025-02-29'; a day YYYY-MM-DD is expected"),
    (lambda f: f.day("n"), {"n": "20250228"},
     "doc.n is '20250228'; a day YYYY-MM-DD is expected"),
    (lambda f: f.hash("n"), {"n": "AB"}, "doc.n is 'AB'; 64 hex digits are expected"),
    (lambda f: f.items("n", 1), {"n": [1, 2]}, "doc.n has 2 elements; 0 to 1 are expected"),
    (lambda f: f.items("n"), {"n": {}}, "doc.n is an object; a list is expected"),
    (lambda f: f.words("n"), {"n": ["a", "a"]}, "doc.n holds 'a' twice"),
    (lambda f: f.words("n", ("a",)), {"n": ["b"]},
     "doc.n holds 'b'; some of a are expected"),
    (lambda f: f.words("n"), {"n": [3]}, "doc.n holds 3; words of 1 to 64 characters are expected"),
    (lambda f: f.object("n"), {"n": 3}, "doc.n is 3; an object is expected"),
    (lambda f: list(f.objects("n")), {"n": [3]}, "doc.n[0] is 3; an object is expected"),
    (lambda f: f.format("x", 1), {"format": "y", "version": 1},
     "doc is 'y' version 1; 'x' version 1 is expected"),
    (lambda f: f.end(), {"z": 1}, "doc has the unknown member 'z'"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "value", "sentence"), FIELDS)
def test_fields_refuse_by_name(read: Any, value: Any, sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        read(Fields(value, "doc"))
    assert caught.value.detail == sentence


def test_optional_members_are_null_or_the_real_thing() -> None:
    fields = Fields({"a": None, "b": None, "c": None, "d": 1, "e": "x"}, "doc")
    assert fields.optional_integer("a", 0, 1) is None
    assert fields.optional_word("b") is None
    assert fields.optional_day("c") is None
    assert fields.optional_integer("d", 0, 1) == 1
    assert fields.optional_word("e") == "x"
    fields.end()
    with pytest.raises(Refused, match="lacks the member 'f'"):
        fields.optional_day("f")
