"""The verifier's own readers against the ledger's, and against the libraries of others.

The two sides were written apart and share no decoder; what one accepts the other must accept too,
with the same values, and what one refuses the other must not take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from law import canonical as law_canonical
from ledger.block import decode_entry
from ledger.canonical import decode_canonical
from ledger.evidence import STRING_BYTES_MAX
from ledger.refusal import Reason, Rejected
from ledger.state_tree import decode_state_proof
from ledger.transaction import decode_body
from ledger.votes import decode_commit_certificate
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from verifier import strict_json
from verifier.evidence_file import read_evidence
from verifier.formats import read_body, read_certificate, read_header_entry, read_transaction_entry
from verifier.state_formats import read_state_proof, read_state_value
from verifier.strict_json import INTEGER_MAX, read_object
from verifier.strict_msgpack import read_array

ROOT = Path(__file__).parents[2]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


def reading(read: Callable[[bytes], Any], raw: bytes) -> Any:
    """What a reader makes of bytes: a value, or the reason of its refusal."""
    try:
        return read(raw)
    except Rejected as rejected:
        return rejected.reason


def own_reading(raw: bytes) -> Any:
    return reading(lambda given: read_object(given, "value"), raw)


@given(st.dictionaries(st.text(max_size=6), JSON_VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_canonical_json_is_what_rfc8785_writes(value: dict[str, Any]) -> None:
    raw = rfc8785.dumps(value)
    found = own_reading(raw)
    assert found == reading(decode_canonical, raw)
    assert isinstance(found, Reason) or found == json.loads(raw)


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_no_other_json_is_read(value: dict[str, Any], data: st.DataObject) -> None:
    """A byte replaced, added or taken: both readers agree whether it is canonical."""
    raw = rfc8785.dumps(value)
    at = data.draw(st.integers(0, len(raw)))
    width = data.draw(st.integers(0, 1))
    spoilt = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + width :]
    found, expected = own_reading(spoilt), reading(decode_canonical, spoilt)
    assert found == expected or (isinstance(found, Reason) and isinstance(expected, Reason))


def read_by_grammar(raw: bytes) -> Any:
    return strict_json._Reader(raw, "value").read_value(0, 1)


@given(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_read_at_a_glance_the_grammar_reads_too(
    value: dict[str, Any], data: st.DataObject
) -> None:
    raw = rfc8785.dumps(value)
    at = data.draw(st.integers(0, len(raw)))
    spoilt = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + data.draw(st.integers(0, 1)) :]
    for given_ in (raw, spoilt):
        seen = strict_json._read_at_a_glance(given_)
        if seen is not None:
            read = read_by_grammar(given_)
            assert read == (seen, len(given_))
            assert repr(read[0]) == repr(seen)  # members in the same order, True is not 1


def test_digits_of_other_scripts_are_none_to_whatever_reader_python_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library's reader in Python, where there is no compiled one, takes them behind a digit."""
    decoder = json.JSONDecoder(
        parse_float=strict_json._leave,
        parse_constant=strict_json._leave,
        parse_int=strict_json._take_integer,
    )
    decoder.scan_once = py_make_scanner(decoder)  # type: ignore[attr-defined]
    monkeypatch.setattr(strict_json, "_decoder", decoder)
    assert strict_json._read_at_a_glance(b'{"a":12}') == {"a": 12}
    for digit in ("\uff12", "\u0662"):
        with pytest.raises(Rejected):
            strict_json.read_object(f'{{"a":1{digit}}}'.encode(), "value")


def test_long_integers_are_not_worked_out_even_where_python_is_told_to() -> None:
    """That takes the square of their length: minutes for a file of four megabytes."""
    glance = """if True:
        from verifier.strict_json import _decoder
        try:
            _decoder.raw_decode('{"a":' + "9" * 5000 + "}")
        except ValueError:
            print("left to the grammar")
    """
    for digits in ("0", "1000000", "4300"):
        assert run_python(glance, PYTHONINTMAXSTRDIGITS=digits) == "left to the grammar\n"


def test_what_is_written_while_something_else_is_written_is_written_apart() -> None:
    """As two threads do it; the packer in Python, where none is compiled, asks an integer's size
    by operators, and so can be stopped in the middle."""
    nested = """if True:
        from verifier.strict_msgpack import write_array
        class Integer(int):
            def __ge__(self, other):
                print(write_array([1, 2]).hex())
                return int.__ge__(self, other)
        print(write_array([7, Integer(8)]).hex())
    """
    assert run_python(nested, MSGPACK_PUREPYTHON="1") == "920102\n920708\n"


def run_python(program: str, **environment: str) -> str:
    """What a program prints in a Python of its own."""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stdout


def test_most_texts_are_read_at_a_glance() -> None:
    """Otherwise the grammar does all the work, rightly and slowly, and nothing tells."""
    chain = busy_chain()
    texts = [chain.genesis.raw, chain.history("card-1", CARD_SIGNERS)]
    texts += ['{"名":"甲银行（深圳）— 9 − 3 × 2"}'.encode(), b'{"a":[-9007199254740991,true,null]}']
    for raw in texts:
        assert strict_json._read_at_a_glance(raw) == read_by_grammar(raw)[0]
    for raw in ("é", "e\u0301", "\u1161", "\ufb03", "\U0001f600", "\u212b", "\u3099", "\ua000"):
        assert strict_json._read_at_a_glance(f'{{"a":"{raw}"}}'.encode()) is None, ascii(raw)
    deep = b'{"a":' + b"[" * 8 + b"]" * 8 + b"}"
    for raw in (deep, b'{"a":9007199254740992}', b'{"a":NaN}', b'{"a":1.0}', b"[]"):
        assert strict_json._read_at_a_glance(raw) is None


@pytest.mark.parametrize(
    "text", ["\u0301" * 100_000, "\U0001f9e7\u0301" * 50_000], ids=["marks", "emoji"]
)
def test_text_is_looked_at_without_an_object_for_each_character(text: str) -> None:
    tracemalloc.start()
    assert strict_json.is_normal(text)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20 * len(text)


def test_characters_that_are_no_question_are_none() -> None:
    """Each is assigned, is its own normal form, joins no other and sorts alike everywhere."""
    tables = strict_json.NORMALIZATION
    assert strict_json._QUESTIONABLE.pattern == law_canonical._QUESTIONABLE.pattern
    every = [chr(code) for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000]
    plain = [one for one in every if not strict_json._QUESTIONABLE.search(one)]
    seconds = {
        parts[-1]
        for one in every
        if len(parts := tables.decomposition(one).split()) == 2 and parts[0][0] != "<"
    }
    assert len(plain) > 21_000
    for one in plain:
        assert tables.category(one) != "Cn"
        assert tables.combining(one) == 0
        assert tables.is_normalized("NFC", one)
        assert f"{ord(one):04X}" not in seconds
        assert not 0x1100 <= ord(one) < 0x1200  # the letters that make Hangul syllables
        assert ord(one) < 0x10000


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1.0}', Reason.NOT_INTEGER),
        (b'{"a":1e3}', Reason.NOT_INTEGER),
        (b'{"a":1E400}', Reason.NOT_INTEGER),
        (b'{"a":9007199254740992}', Reason.NOT_INTEGER),
        (b'{"a":-9007199254740992}', Reason.NOT_INTEGER),
        (b'{"a":' + b"9" * 100_000 + b"}", Reason.NOT_INTEGER),
        (b'{"a":-0}', Reason.NOT_CANONICAL),
        (b'{"a":01}', Reason.MALFORMED),
        (b'{"a":+1}', Reason.MALFORMED),
        (b'{"a":NaN}', Reason.MALFORMED),
        (b'{"a":Infinity}', Reason.MALFORMED),
        (b'{"a":tru}', Reason.MALFORMED),
        (b'{"a":1,"a":1}', Reason.NOT_CANONICAL),
        (b'{"b":1,"a":1}', Reason.NOT_CANONICAL),
        (b'{"a":1,}', Reason.MALFORMED),
        (b'{"a" :1}', Reason.NOT_CANONICAL),
        (b'{"a":[1, 2]}', Reason.NOT_CANONICAL),
        (b'{"a":"\\u0041"}', Reason.MALFORMED),
        (b'{"a":"\\/"}', Reason.MALFORMED),
        (b'{"a":"\\u001F"}', Reason.MALFORMED),
        (b'{"a":"\\u000a"}', Reason.MALFORMED),
        (b'{"a":"\\ud800"}', Reason.MALFORMED),
        (b'{"a":"\x1f"}', Reason.MALFORMED),
        (b'{"a":"\xed\xa0\x80"}', Reason.MALFORMED),
        (b'{"a":"e\xcc\x81"}', Reason.NOT_CANONICAL),
        (b'{"a":"\\n\xcc\x81"}', Reason.NOT_CANONICAL),
        (b'{"a":1}\x00', Reason.NOT_CANONICAL),
        (b'{"a":"', Reason.MALFORMED),
        (b'{"a":1', Reason.MALFORMED),
        (b'{"a"', Reason.MALFORMED),
        (b"{" * 100_000, Reason.MALFORMED),
        (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", Reason.TOO_DEEP),
        (b'"a"', Reason.BAD_FIELD),
    ],
)
def test_json_of_another_spelling(raw: bytes, reason: Reason) -> None:
    with pytest.raises(Rejected) as refusal:
        read_object(raw, "value")
    assert refusal.value.reason is reason
    with pytest.raises(Rejected):
        decode_canonical(raw)


def test_members_sort_by_utf_16_units() -> None:
    """RFC 8785 section 3.2.3: a surrogate pair sorts before U+FF41, whose code point is less."""
    raw = '{"\U0001f600":1,"\uff41":2}'.encode()
    assert read_object(raw, "value") == decode_canonical(raw) == {"\U0001f600": 1, "\uff41": 2}
    with pytest.raises(Rejected):
        read_object('{"\uff41":2,"\U0001f600":1}'.encode(), "value")


def test_eight_levels_are_read_and_nine_are_not() -> None:
    for depth, accepted in ((7, True), (8, False)):
        raw = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        for read in (lambda r: read_object(r, "value"), decode_canonical):
            if accepted:
                read(raw)
            else:
                with pytest.raises(Rejected, match="too_deep"):
                    read(raw)


PACKED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=40)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=20),
    max_leaves=20,
)


@given(st.lists(PACKED, max_size=6))
@settings(max_examples=150, deadline=None)
def test_packed_arrays_are_what_msgspec_writes(value: list[Any]) -> None:
    raw = msgspec.msgpack.encode(value)
    found = read_array(raw, "value")
    assert found == value
    assert repr(found) == repr(value)  # True is not 1


@given(st.lists(PACKED, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_no_second_spelling_is_read(value: list[Any], data: st.DataObject) -> None:
    raw = msgspec.msgpack.encode(value)
    at = data.draw(st.integers(0, len(raw)))
    spoilt = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + data.draw(st.integers(0, 1)) :]
    try:
        found = read_array(spoilt, "value")
    except Rejected:
        return
    assert msgspec.msgpack.encode(found) == spoilt


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\xc1",
        b"\x91",
        b"\x90\x00",
        b"\x91\xcc\x01",
        b"\xdc\x00\x01\x01",
        b"\x91\xd9\x01a",
        b"\x91\xc5\x00\x01a",
        b"\x91\x80",
        b"\x91\x81\x01\x02",
        b"\x91\x81\xa1a\x02",
        b"\x91\x81\x90\x02",
        b"\x91\xca\x00\x00\x00\x00",
        b"\x91\xcb" + bytes(8),
        b"\x91\xd4\x05\x00",
        b"\x91\xd6\xff\x00\x00\x00\x00",
        b"\x91\xa2\xff\xfe",
        b"\x91\xa3\xed\xa0\x80",
        b"\xdd\xff\xff\xff\xff",
        b"\x91\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x91" * 40 + b"\xc0",
    ],
)
def test_packed_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected):
        read_array(raw, "value")


def test_every_value_of_the_chain_is_read_alike() -> None:
    chain = busy_chain()
    for leaf in chain.leaves[1:]:
        theirs: Any = decode_entry(leaf)
        if hasattr(theirs, "header"):
            header = read_header_entry(leaf, "header")
            expected = msgspec.structs.asdict(theirs.header)
            del expected["version"]
            assert {name: getattr(header, name) for name in expected} == expected
            continue
        entry = read_transaction_entry(leaf, "entry")
        body = read_body(entry.body, "body")
        told: Any = decode_body(theirs.envelope.body)
        assert (entry.index, entry.height) == (theirs.index, theirs.height)
        assert [s.signature for s in entry.signatures] == [
            s.signature for s in theirs.envelope.signatures
        ]
        assert (entry.outcome.refused, entry.outcome.code, list(entry.outcome.effects)) == (
            theirs.outcome.refused,
            theirs.outcome.code,
            theirs.outcome.effects,
        )
        assert (body.kind, body.stream, list(body.signers)) == (
            told.kind,
            told.stream,
            told.signers,
        )
    raw = chain.certificate(chain.headers[2])
    assert read_certificate(raw, "c").view == decode_commit_certificate(raw).view
    proven = chain.proven("party/m-1")
    assert read_state_proof(proven.proof, "p") == decode_state_proof(proven.proof)
    assert read_state_value(proven.value, "v").count == msgpack.unpackb(proven.value)[0]


def entry_with(change: Callable[[list[Any]], object]) -> bytes:
    fields = msgpack.unpackb(busy_chain().leaves[11])
    change(fields)
    raw: bytes = msgpack.packb(fields)
    return raw


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (entry_with(lambda f: f.__delitem__(slice(2, None))), "2 elements; 5 are expected"),
        (entry_with(lambda f: f.__setitem__(2, 3)), "kind: 3 is not between 0 and 2"),
        (entry_with(lambda f: f.__setitem__(2, True)), "an integer is expected, not bool"),
        (entry_with(lambda f: f.__setitem__(0, -1)), "index: -1 is not between"),
        (entry_with(lambda f: f[3].__setitem__(0, "text")), "bytes are expected, not str"),
        (entry_with(lambda f: f[3][1].extend(f[3][1] * 4)), "10 signatures; 1 to 8"),
        (entry_with(lambda f: f[3][1][0].__setitem__(0, b"")), "0 bytes; 32 are expected"),
        (
            entry_with(lambda f: f[3][1][0].__setitem__(2, [0, 1, [bytes(32)] * 17])),
            "17 hashes; at most 16",
        ),
        (entry_with(lambda f: f[4].__setitem__(0, 1)), "a boolean is expected, not int"),
        (entry_with(lambda f: f[4].__setitem__(2, [["a", None]])), "a NoneType has no place"),
        (entry_with(lambda f: f[4].__setitem__(2, [["a", b""]])), "a bytes has no place"),
        (entry_with(lambda f: f[4].__setitem__(2, [[1, 1]])), "a string is expected, not int"),
    ],
)
def test_entry_out_of_bounds(raw: bytes, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        read_transaction_entry(raw, "entry")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": []}, "data is not an object"),
        ({"data": {"x": "y" * 33_000}}, "at most 32768"),
        ({"kind": "Prepaid"}, "kind: 'Prepaid' does not match"),
        ({"not_after": -1}, "not_after: -1 is not between"),
        ({"not_after": True}, "an integer is expected, not bool"),
        ({"reference": ""}, "a reference of 0 characters"),
        ({"reference": "r" * 65}, "a reference of 65 characters"),
        ({"salt": "x" * 21}, "does not match"),
        ({"signers": []}, "a list of 1 to 8 parties"),
        ({"signers": [f"m-{at}" for at in range(9)]}, "a list of 1 to 8 parties"),
        ({"signers": "m-1"}, "a list of 1 to 8 parties"),
        ({"signers": ["M-1"]}, "signer: 'M-1' does not match"),
        ({"stream": "card-1"}, "stream: 'card-1' does not match"),
        ({"stream": "contract/a\n"}, "does not match"),
        ({"version": 0}, "version: 0 is not between 1 and 65535"),
    ],
)
def test_body_out_of_bounds(changes: dict[str, Any], says: str) -> None:
    """What the ledger refuses at the door the verifier refuses too."""
    good = msgpack.unpackb(busy_chain().leaves[11])[3][0]
    raw = rfc8785.dumps(json.loads(good) | changes)
    with pytest.raises(Rejected, match=says):
        read_body(raw, "body")
    with pytest.raises(Rejected):
        decode_body(raw)


def test_file_is_bounded_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.evidence_file.FILE_BYTES_MAX", 10)
    with pytest.raises(Rejected, match="more than 10 bytes"):
        read_evidence(b" " * 11)


def test_a_text_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest values take thirty times their spelling: 256 MiB of them were 8 GiB."""
    monkeypatch.setattr("verifier.strict_json.VALUES_MAX", 5)
    assert read_object(b'{"a":[1,{},[]]}', "value") == {"a": [1, {}, []]}
    with pytest.raises(Rejected) as caught:
        read_object(b'{"a":[1,{},[],0]}', "value")
    assert str(caught.value) == "too_large: value: more than 5 values"


def test_a_string_of_too_many_bytes_is_refused() -> None:
    """A page that reads one can neither show how far it is nor be stopped."""
    fits = b"a" * STRING_BYTES_MAX
    assert read_object(b'{"a":"' + fits + b'"}', "value") == {"a": fits.decode()}
    with pytest.raises(Rejected) as caught:
        read_object(b'{"a":"' + fits + b'a"}', "value")
    assert str(caught.value) == (
        "too_large: value: the string at byte 5 has more than 4194304 bytes"
    )


def test_values_beyond_a_mebibyte_are_refused_unread() -> None:
    fits = b"\xdd\0\x0f\xff\xfb" + b"\xc0" * (2**20 - 5)
    with pytest.raises(Rejected) as caught:
        read_array(fits + b"\xc0", "value")
    assert str(caught.value) == "too_large: value: 1048577 bytes; at most 1048576"
    assert len(read_array(fits, "value")) == 2**20 - 5
