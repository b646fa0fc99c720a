"""What h11's regular expressions never see, because it would take them the square of its length."""

from __future__ import annotations

import h11
import pytest

from node.http_bounds import CHUNK_LINE_BYTES_MAX, BoundedHttp

HEAD_BYTES_MAX = 16_384
BEGIN = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
BLANKS = b" " * 16_000


def read(raw: bytes) -> list[type]:
    """Return of what kinds the events of these bytes are, all of which come at once."""
    http = BoundedHttp(HEAD_BYTES_MAX)
    http.receive_data(raw)
    kinds: list[type] = []
    while (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        kinds.append(type(event))
    return kinds


@pytest.mark.parametrize(
    "raw",
    [
        BEGIN + b"a:" + BLANKS + b"\x00\r\n\r\n",
        BEGIN + b"a:" + BLANKS + b"\x0b\r\n\r\n",
        BEGIN + b"a:" + BLANKS + b"\x0c\r\n\r\n",
        BEGIN + b"a:" + BLANKS + b"\r\r\n\r\n",
        BEGIN + b"a:\n" + b" \n" * 7_000 + b" \x00\n\n",
        CHUNKED + b"0\r\na:" + BLANKS + b"\x00\r\n\r\n",
        CHUNKED + b"1;" + BLANKS + b"\nx\r\n",
        CHUNKED + b"1;" + b"x" * CHUNK_LINE_BYTES_MAX + b"\r\n \r\n",
    ],
    ids=["NUL", "VT", "FF", "CR", "folded", "trailer", "chunk", "extension"],
)
def test_a_line_that_takes_long_to_be_found_wrong_is_refused_before(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def look(regex: object, data: bytes, *_: object) -> dict[str, bytes]:
        seen.append(len(data))
        return validate(regex, data, *_)  # type: ignore[arg-type]

    validate = h11._readers.validate  # type: ignore[attr-defined]
    monkeypatch.setattr("h11._readers.validate", look)
    with pytest.raises(h11.RemoteProtocolError):
        read(raw)
    assert max(seen, default=0) <= CHUNK_LINE_BYTES_MAX


@pytest.mark.parametrize(
    "raw",
    [
        BEGIN + b"a:" + BLANKS + b"\r\nContent-Length: 1\r\n\r\n.",
        BEGIN + b"a: x" + BLANKS + b"\xe4\t\r\n y\r\nContent-Length: 1\r\n\r\n.",
        CHUNKED + b"1;" + b" " * (CHUNK_LINE_BYTES_MAX - 4) + b"\r\n.\r\n0\r\na: x\r\n\r\n",
    ],
    ids=["blanks", "folded", "chunk"],
)
def test_what_is_right_is_read(raw: bytes) -> None:
    assert read(raw) == [h11.Request, h11.Data, h11.EndOfMessage]
