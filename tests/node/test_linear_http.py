"""h11's patterns and those in their place match the same lines, and these in no square of time."""

from __future__ import annotations

import random
import re
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import h11
import pytest
from h11 import _readers

from node.asking import open_client
from node.http_bounds import BoundedHttp
from node.linear_http import CHUNK_LINE, FIELD, WRITTEN_FOR

BEGIN = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
BLANKS = b" " * 16_000
PIECES = [b"a", b":", b" ", b"\t", b"\r", b"\n", b"\0", b";", b"1", b"F", b"\x0b", b"\xff"]


def fresh() -> ModuleType:
    """h11's own module once more, as nobody has changed it."""
    spec = find_spec("h11._readers")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_use() -> dict[str, bytes]:
    return {name: getattr(_readers, name).pattern for name in WRITTEN_FOR}


LINEAR = {"header_field_re": FIELD.encode(), "chunk_header_re": CHUNK_LINE.encode()}


def test_they_were_written_for_the_patterns_that_h11_has() -> None:
    module = fresh()
    for name, pattern in WRITTEN_FOR.items():
        assert getattr(module, name).pattern == pattern.encode()


@pytest.mark.parametrize("begin", [open_client, lambda: BoundedHttp(16_384)], ids=["asks", "is"])
def test_they_are_used_by_what_asks_and_by_what_is_asked(
    begin: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fresh()
    for name in WRITTEN_FOR:
        monkeypatch.setattr(_readers, name, getattr(module, name))
    assert in_use() != LINEAR
    begin()  # type: ignore[operator]
    assert in_use() == LINEAR


def test_another_pattern_than_they_were_written_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_readers, "header_field_re", re.compile(b"of a later version"))
    BoundedHttp(16_384)
    assert in_use()["header_field_re"] == b"of a later version"


@pytest.mark.parametrize("name", WRITTEN_FOR)
@pytest.mark.parametrize("begin", [b"", b"a:", b"1", b"f;"])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_they_match_the_same_lines(name: str, begin: bytes, end: bytes) -> None:
    chance = random.Random(7)
    own, linear = re.compile(WRITTEN_FOR[name].encode()), re.compile(LINEAR[name])
    groups = list(linear.groupindex)
    for _ in range(20_000):
        line = begin + b"".join(chance.choices(PIECES, k=chance.randrange(9))) + end
        expected, found = own.fullmatch(line), linear.fullmatch(line)
        assert (expected is None) == (found is None), line
        if expected is not None and found is not None:
            assert expected.group(*groups) == found.group(*groups), line


@pytest.mark.parametrize(
    "raw",
    [
        BEGIN + b"a:" + BLANKS + b"\x00\r\n\r\n",
        BEGIN + b"a:" + BLANKS + b"\r\r\n\r\n",
        BEGIN + b"a:\n" + b" \n" * 7_000 + b" \x00\n\n",
        CHUNKED + b"0\r\na:" + BLANKS + b"\x00\r\n\r\n",
        CHUNKED + b"1;" + BLANKS * 16 + b"\nx\r\n",
    ],
    ids=["NUL", "CR", "folded", "trailer", "chunk"],
)
def test_a_line_that_took_long_to_be_found_wrong_is_refused(raw: bytes) -> None:
    """The last took a minute and a half."""
    with pytest.raises(h11.RemoteProtocolError):
        read(raw)


@pytest.mark.parametrize(
    "raw",
    [
        BEGIN + b"a:" + BLANKS + b"\r\nContent-Length: 1\r\n\r\n.",
        BEGIN + b"a: x" + BLANKS + b"\xe4\t\r\n y\r\nContent-Length: 1\r\n\r\n.",
        CHUNKED + b"1;" + BLANKS + b"\r\n.\r\n0\r\na: x\r\n\r\n",
    ],
    ids=["blanks", "folded", "chunk"],
)
def test_what_is_right_is_read(raw: bytes) -> None:
    assert read(raw) == [h11.Request, h11.Data, h11.EndOfMessage]


def read(raw: bytes) -> list[type]:
    """Return of what kinds the events of these bytes are, all of which come at once."""
    http = BoundedHttp(16_384)
    http.receive_data(raw)
    kinds: list[type] = []
    while (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        kinds.append(type(event))
    return kinds
