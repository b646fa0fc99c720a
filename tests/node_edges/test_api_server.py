"""The API's socket: what one client may hold open, with TLS and without, and the tokens."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h11
import pytest

import node.api_listener
from api.tokens import encode_tokens, issue_token
from node.api_listener import BoundedProtocol
from node.api_server import HEAD_BYTES_MAX, KEEP_ALIVE_S, ApiServer, LiveTokens
from node.certificates import (
    make_api_certificate,
    make_authority,
    write_certificate,
    write_private_key,
)
from node.config import ApiConfig
from node.config_section import ConfigError
from node.connection_table import REFUSAL_PLACES, ApiDrop, ConnectionTable
from node.home import NodeHome
from node.private_files import write_file
from tests.api.fake import TIME_MS, FakeNode, make_envelope

PLACES = 6
GUARD_S = 60.0
"""Only against waiting for ever."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A running server with few places, and clients of it."""

    def __init__(self, home: NodeHome, is_tls: bool) -> None:
        self.told: list[ApiDrop] = []
        self.table = ConnectionTable(lambda: PLACES + REFUSAL_PLACES, self.told.append)
        self.is_tls = is_tls
        self.home = home
        self.service = FakeNode()
        config = ApiConfig(listen="127.0.0.1:0", tls=is_tls)
        self.server = ApiServer(self.service, home, config, b"secret", self.table)
        self._open: list[asyncio.StreamWriter] = []
        self.sockets: list[socket.socket] = []

    async def open(self, source: str = "127.0.0.1") -> Ends:
        context = None
        if self.is_tls:
            context = ssl.create_default_context(cafile=str(self.home.api_authority))
        ends = await asyncio.open_connection(
            *self.server.addresses[0],
            ssl=context,
            server_hostname="localhost" if self.is_tls else None,
            local_addr=(source, 0),
        )
        self._open.append(ends[1])
        return ends

    def open_raw(self) -> socket.socket:
        """Connect and say nothing: with TLS, not even hello."""
        self.sockets.append(socket.create_connection(self.server.addresses[0]))
        return self.sockets[-1]

    async def until_counted(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while self.table.count != count:  # noqa: ASYNC110 it sets no event
                await asyncio.sleep(0.005)

    async def until_none_is_idle(self) -> None:
        """Requests are written by clients at once, and begin when the server has read them."""
        async with asyncio.timeout(GUARD_S):
            while any(holder.idle for holder in self.table._holders.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        for one in self.sockets:
            one.close()
        for writer in self._open:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the server's patience alone: on a busy machine every client is slow."""
    monkeypatch.setattr(node.api_listener, "LOOK_INTERVAL_S", 0.2)
    monkeypatch.setattr(node.api_listener, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(node.api_listener, "GOODBYE_S", 0.1)


@pytest.fixture(params=[False, True], ids=["http", "https"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    home = NodeHome(tmp_path)
    home.create()
    now = dt.datetime.now(dt.UTC)
    authority_key, authority = make_authority("of the tests", now=now)
    key, certificate = make_api_certificate(authority_key, authority, now=now)
    write_private_key(home.api_key, key, b"secret")
    write_certificate(home.api_certificate, certificate)
    write_certificate(home.api_authority, authority)
    running = Served(home, request.param)
    serving = asyncio.create_task(running.server.serve())
    while not running.server.addresses:  # noqa: ASYNC110 it sets no event
        await asyncio.sleep(0.005)
    yield running
    await running.close()
    running.server.stop()
    await serving
    assert running.table.count == 0, "a place is held by nobody"


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = (
    b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 4\r\n\r\n{"
)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer whose body has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(GUARD_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def read_raw(raw: socket.socket) -> bytes:
    raw.setblocking(False)
    said = b""
    async with asyncio.timeout(GUARD_S):
        while data := await asyncio.get_running_loop().sock_recv(raw, 4096):
            said += data
    return said


async def ask(ends: Ends) -> bytes:
    ends[1].write(REQUEST)
    return (await answer(ends[0])).split(b"\r\n")[0]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_brings_no_whole_head_is_closed(
    served: Served, sent: bytes
) -> None:
    reader, writer = await served.open()
    writer.write(sent)
    assert await read_to_end(reader) == b""
    assert served.told == [ApiDrop.NO_REQUEST]


@pytest.mark.usefixtures("impatient")
async def test_a_head_begun_after_an_answer_is_not_waited_for_either(served: Served) -> None:
    reader, writer = ends = await served.open()
    assert await ask(ends) == b"HTTP/1.1 200 OK"
    writer.write(b"GET / HTTP/1.1\r\n")
    assert await read_to_end(reader) == b""
    assert served.told == [ApiDrop.NO_REQUEST]


@pytest.mark.usefixtures("impatient")
async def test_between_two_requests_a_connection_may_rest_as_long_as_proxies_let_it(
    served: Served,
) -> None:
    assert KEEP_ALIVE_S > 60
    ends = await served.open()
    assert await ask(ends) == b"HTTP/1.1 200 OK"
    await asyncio.sleep(1)  # five times as long as a head may take
    assert await ask(ends) == b"HTTP/1.1 200 OK"
    assert served.told == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"https://ledger.example:8443/healthz", 200),
        (b"HTTP://ledger.example/healthz?by=probe", 200),
        (b"http://ledger.example", 404),
        (b"http:///healthz", 404),
        (b"/http://ledger.example/healthz", 404),
    ],
)
async def test_a_target_may_name_the_server_too(served: Served, target: bytes, status: int) -> None:
    """RFC 9112 section 3.2.2."""
    reader, writer = await served.open()
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: ledger.example\r\n\r\n")
    assert (await answer(reader)).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.usefixtures("impatient")
async def test_a_body_under_way_is_not_cut_off_by_the_heads_time(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(BEGUN)
    await asyncio.sleep(0.7)
    writer.write(b"   ")
    assert (await answer(reader)).startswith(b"HTTP/1.1 400")


async def test_a_head_that_is_too_large_is_refused(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (HEAD_BYTES_MAX + 1))
    assert (await read_to_end(reader)).startswith(b"HTTP/1.1 400")


CHUNKED = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\0\1\2\3\r\n\r\n", "illegal request line"),
        (b"\1\2\3\r\n\r\n", "illegal request line"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "Missing mandatory Host: header"),
        (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n",
            "bad Content-Length",
        ),
        (
            b"POST /v1/transactions HTTP/1.1\r\nContent-Type: application/json\r\n"
            + CHUNKED
            + b"zz\r\n",
            "illegal chunk header",
        ),
    ],
    ids=["NUL", "garbage", "no host", "a length that is none", "a chunk without a length"],
)
async def test_what_is_no_http_gets_a_named_problem(
    served: Served, sent: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await served.open()
    writer.write(sent)
    head, body = (await read_to_end(reader)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    headers = head.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in headers
    assert b"connection: close" in headers
    assert b"x-content-type-options: nosniff" in headers
    problem = json.loads(body)
    assert problem["reason"] == "bad_request"
    assert problem["detail"] == f"what was sent is no HTTP/1.1 request: {why!r}"
    assert problem["request_id"].encode() in head
    assert [record.levelname for record in caplog.records if record.exc_info] == []


async def test_a_request_of_two_lengths_is_refused_and_nothing_behind_it_is_read(
    served: Served,
) -> None:
    """A proxy that goes by the other length holds what follows for the body, or for a request."""
    reader, writer = await served.open()
    writer.write(
        b"POST /v1/transactions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 4\r\n"
        + CHUNKED
        + b"0\r\n\r\n"
        + REQUEST
    )
    head, body = (await read_to_end(reader)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in head.lower().split(b"\r\n")
    problem = json.loads(body)
    assert problem["reason"] == "bad_request"
    assert problem["detail"] == (
        "the request has both Content-Length and Transfer-Encoding, and two lengths are none"
    )


@pytest.mark.parametrize("begun", [b"ffffffffffffffffff\r\n", b"800001\r\n", b"80000b\r\n{}"])
async def test_a_chunk_longer_than_any_body_is_refused_before_it_comes(
    served: Served, begun: bytes
) -> None:
    """RFC 9112 section 7.1: a recipient must anticipate large numerals."""
    reader, writer = await served.open()
    writer.write(b"POST /v1/transactions HTTP/1.1\r\nContent-Type: application/json\r\n" + CHUNKED)
    await served.until_none_is_idle()
    writer.write(begun)
    head, body = (await read_to_end(reader)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in head.lower().split(b"\r\n")
    problem = json.loads(body)
    assert problem["reason"] == "too_large"
    assert problem["detail"] == (
        "a chunk of the request's body announces more than 8388608 bytes, and no body may have more"
    )


BATCH = b"POST /v1/transactions:batch HTTP/1.1\r\nContent-Type: application/json\r\n" + CHUNKED


async def test_a_body_in_very_small_chunks_is_not_read_to_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read of them would keep the event loop, and the node's votes, for most of a second."""
    taken = 0
    next_event = h11.Connection.next_event

    def count(conn: h11.Connection) -> object:
        nonlocal taken
        taken += 1
        return next_event(conn)

    monkeypatch.setattr(h11.Connection, "next_event", count)
    reader, writer = await served.open()
    writer.write(BATCH + b"1\r\n \r\n" * 2_000)  # all of it is read, so no reset follows
    head, body = (await read_to_end(reader)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["detail"] == (
        "the request's body comes in more than 256 chunks of fewer than 64 bytes on average; send "
        "it in larger ones, or with a Content-Length"
    )
    assert taken < 300


@pytest.mark.parametrize(("count", "size"), [(250, 1), (2_000, 64)])
async def test_a_body_in_chunks_as_programs_write_them_is_read(
    served: Served, count: int, size: int
) -> None:
    reader, writer = await served.open()
    writer.write(BATCH + (b"%x\r\n" % size + b" " * size + b"\r\n") * count + b"0\r\n\r\n")
    assert json.loads((await answer(reader)).split(b"\r\n\r\n")[1])["reason"] == "malformed"


async def test_the_chunks_of_one_request_do_not_count_for_the_next(served: Served) -> None:
    reader, writer = await served.open()
    for _ in range(3):
        writer.write(BATCH + b"1\r\n \r\n" * 200 + b"0\r\n\r\n")
        assert json.loads((await answer(reader)).split(b"\r\n\r\n")[1])["reason"] == "malformed"


async def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 4_000 + b"\r\n")
    assert (await read_to_end(reader)).startswith(b"HTTP/1.1 400")
    again, writer = await served.open()
    writer.write(REQUEST * 1_000)  # together larger than a head may be
    for _ in range(1_000):
        assert (await answer(again)).startswith(b"HTTP/1.1 200")


async def test_fields_behind_the_last_chunk_are_bounded_as_a_head_is(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(BATCH + b"0\r\n" + b"a:b\r\n" * 4_000 + b"\r\n")
    assert (await read_to_end(reader)).startswith(b"HTTP/1.1 400")
    again, writer = await served.open()
    writer.write(BATCH + b"0\r\na:b\r\n\r\n" + REQUEST * 1_000)  # and so much behind them
    assert json.loads((await answer(again)).split(b"\r\n\r\n")[1])["reason"] == "malformed"
    for _ in range(1_000):
        assert (await answer(again)).startswith(b"HTTP/1.1 200")
    writer.write(BATCH + b"0\r\n\r\n" + REQUEST * 1_000)
    assert json.loads((await answer(again)).split(b"\r\n\r\n")[1])["reason"] == "malformed"
    for _ in range(1_000):
        assert (await answer(again)).startswith(b"HTTP/1.1 200")


async def test_a_chunk_as_long_as_the_longest_body_is_waited_for(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(
        b"POST /v1/transactions:batch HTTP/1.1\r\nContent-Type: application/json\r\n"
        + CHUNKED
        + b"800000\r\n"
        + b" " * 0x800000
        + b"\r\n0\r\n\r\n"
    )
    assert json.loads((await answer(reader)).split(b"\r\n\r\n")[1])["reason"] == "malformed"


POSTED = make_envelope(1)
WAITING = (
    b"POST /v1/transactions?wait=committed HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/msgpack\r\nContent-Length: %d\r\n\r\n" % len(POSTED) + POSTED
)


def end_side(ends: Ends) -> None:
    """Say that nothing more is sent, as `nc -N` does: what comes can still be read."""
    # uvloop's own socket has no such half.
    with socket.socket(fileno=os.dup(ends[1].get_extra_info("socket").fileno())) as same:
        same.shutdown(socket.SHUT_WR)


@pytest.mark.usefixtures("impatient")
async def test_who_ends_its_side_behind_a_whole_request_is_answered(served: Served) -> None:
    """Behind TLS there is no such half: its end is the connection's."""
    ends = await served.open()
    ends[1].write(WAITING)
    async with asyncio.timeout(GUARD_S):
        await served.service.arrived.wait()
    end_side(ends)
    await asyncio.sleep(0.7)  # more than two looks at what is waited for
    served.service.commit()
    said = await read_to_end(ends[0])
    if served.is_tls:
        assert said == b""
    else:
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(said.partition(b"\r\n\r\n")[2])["status"] == "applied"
    await served.until_counted(0)
    assert served.told == []


async def test_who_ends_its_side_behind_two_requests_is_answered_both(served: Served) -> None:
    ends = await served.open()
    ends[1].write(WAITING + REQUEST + BEGUN)
    async with asyncio.timeout(GUARD_S):
        await served.service.arrived.wait()
    end_side(ends)
    await asyncio.sleep(0.1)
    served.service.commit()
    said = await read_to_end(ends[0])
    assert said.count(b"HTTP/1.1 200 OK") == (0 if served.is_tls else 2)
    assert b"HTTP/1.1 4" not in said
    await served.until_counted(0)


async def test_who_ends_its_side_within_a_request_is_not_waited_for(served: Served) -> None:
    ends = await served.open()
    ends[1].write(BEGUN)
    await served.until_none_is_idle()
    end_side(ends)
    assert await read_to_end(ends[0]) == b""
    await served.until_counted(0)


async def test_who_has_ended_its_side_makes_room(served: Served) -> None:
    """Perhaps nobody is there any more; nothing tells."""
    for number in range(PLACES):
        ends = await served.open()
        ends[1].write(WAITING)
        async with asyncio.timeout(GUARD_S):
            while len(served.service.submitted) <= number:  # noqa: ASYNC110 it sets no event
                await asyncio.sleep(0.005)
        end_side(ends)
    assert await ask(await served.open()) == b"HTTP/1.1 200 OK"
    served.service.commit()
    await served.until_counted(1)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_what_is_no_http_behind_an_answer_closes_and_is_no_mistake_of_ours(
    served: Served, method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is sent before the body was there, so no second one can be."""
    reader, writer = await served.open()
    writer.write(method + b" /healthz HTTP/1.1\r\n" + CHUNKED)
    first = await reader.readuntil(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    writer.write(b"zz\r\n")
    rest = await read_to_end(reader)
    assert rest in (b"", b'{"status":"ok"}')
    assert [str(record.msg) for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_head_request_without_a_readable_body_has_no_answers_body(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(b"HEAD /healthz HTTP/1.1\r\n" + CHUNKED + b"zz\r\n")
    head, body = (await read_to_end(reader)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert body == b""


@pytest.mark.usefixtures("impatient")
async def test_a_handshake_has_its_time(served: Served) -> None:
    """Without TLS the same silence is a head that does not come."""
    raw = served.open_raw()
    assert await read_raw(raw) == b""
    await served.until_counted(0)
    assert served.told == [ApiDrop.HANDSHAKE if served.is_tls else ApiDrop.NO_REQUEST]


@pytest.mark.usefixtures("impatient")
async def test_what_is_neither_tls_nor_http_is_cut_off(served: Served) -> None:
    raw = served.open_raw()
    raw.sendall(b"\x16\x03\x01 no hello" * 10 + b"\r\n\r\n")
    said = await read_raw(raw)
    await served.until_counted(0)
    assert said.startswith(b"HTTP/1.1 400") == (not served.is_tls)
    assert served.told == ([ApiDrop.HANDSHAKE] if served.is_tls else [])


async def test_idle_connections_make_room_for_requests_the_oldest_first(served: Served) -> None:
    first = await served.open()
    assert await ask(first) == b"HTTP/1.1 200 OK"
    for _ in range(PLACES - 1):
        served.open_raw()
    await served.until_counted(PLACES)
    other = await served.open()
    assert await read_to_end(first[0]) == b""
    assert await ask(other) == b"HTTP/1.1 200 OK"
    assert served.told == [ApiDrop.FULL]


async def test_silent_ones_in_any_number_keep_nobody_out(served: Served) -> None:
    for _ in range(5 * PLACES):
        served.open_raw()
    ends = await served.open()
    assert await ask(ends) == b"HTTP/1.1 200 OK"
    assert served.table.count <= PLACES
    assert served.told.count(ApiDrop.FULL) == 4 * PLACES + 1


async def test_a_request_under_way_is_not_dropped_for_a_newcomer(served: Served) -> None:
    busy = [await served.open() for _ in range(PLACES)]
    for _, writer in busy:
        writer.write(BEGUN)
    await served.until_none_is_idle()
    late = await served.open()
    late[1].write(REQUEST)
    said = await answer(late[0])
    assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 1\r\n" in said.lower()
    problem = json.loads(said.partition(b"\r\n\r\n")[2])
    assert (problem["reason"], problem["instance"]) == ("unavailable", "/healthz")
    assert problem["detail"] == (
        "every connection that this node takes, or takes from one address, is in use by a request "
        "under way; ask again in a moment"
    )
    assert await read_to_end(late[0]) == b""
    for reader, writer in busy:
        writer.write(b"   ")
        assert (await answer(reader)).startswith(b"HTTP/1.1 400")
    assert await ask(await served.open()) == b"HTTP/1.1 200 OK"
    assert served.told == [ApiDrop.REFUSED, ApiDrop.FULL]


async def test_a_stranger_has_a_quarter_and_the_others_the_rest(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.connection_table.LOOPBACK", "no such group")
    monkeypatch.setattr("node.connection_table.group_of", lambda address: address)
    one = await served.open("127.0.0.2")
    one[1].write(BEGUN)
    await served.until_none_is_idle()
    again = await served.open("127.0.0.2")
    assert await ask(again) == b"HTTP/1.1 503 Service Unavailable"
    for number in range(PLACES - 1):
        assert await ask(await served.open(f"127.0.0.{3 + number}")) == b"HTTP/1.1 200 OK"
    assert served.told == [ApiDrop.REFUSED]


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_does_not_take_its_answer_is_cut_off(served: Served) -> None:
    reader, writer = await served.open()
    writer.transport.pause_reading()
    reader._limit = 1
    # The documentation's script has 1.5 MB, and asking again fills every buffer on the way.
    for _ in range(8):
        writer.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
    await served.until_counted(0)
    assert served.told == [ApiDrop.STALLED]


async def test_a_client_that_takes_its_answer_slowly_has_all_of_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looks far apart: on a busy machine this client itself has its turn late, and is not slow.
    monkeypatch.setattr(node.api_listener, "LOOK_INTERVAL_S", 1.0)
    reader, writer = await served.open()
    writer.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while left:
        left -= len(await reader.read(min(left, 64 * 1024)))
        await asyncio.sleep(0.1)
    assert served.told == []


async def test_a_look_that_is_due_as_a_connection_ends_is_no_mistake(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under TLS the socket is closed first; after a pause of the machine timers come before it is
    told."""
    lost = BoundedProtocol.connection_lost

    def look_and_lose(protocol: BoundedProtocol, exc: Exception | None) -> None:
        protocol._look()
        lost(protocol, exc)

    monkeypatch.setattr(BoundedProtocol, "connection_lost", look_and_lose)
    mistakes: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: mistakes.append(said))
    for _ in range(3):
        reader, writer = await served.open()
        writer.write(REQUEST)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
    await served.until_counted(0)
    assert mistakes == []


async def test_an_address_that_cannot_be_had_is_an_error_and_not_the_end(
    served: Served, tmp_path: Path
) -> None:
    host, port = served.server.addresses[0]
    config = ApiConfig(listen=f"{host}:{port}", tls=False)
    second = ApiServer(FakeNode(), NodeHome(tmp_path), config, b"", served.table)
    with pytest.raises(OSError, match="Address already in use"):
        await second.serve()


async def test_stopping_gives_up_handshakes_and_lets_answers_end(served: Served) -> None:
    reader, writer = await served.open()
    writer.write(BEGUN)
    await served.until_none_is_idle()
    served.open_raw()
    await served.until_counted(2)
    served.server.stop()
    assert served.server.addresses == []
    writer.write(b"   ")
    assert (await answer(reader)).startswith(b"HTTP/1.1 400")


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    table = ConnectionTable(lambda: 99, lambda reason: None)
    with pytest.raises(ConfigError) as refused:
        ApiServer(FakeNode(), home, ApiConfig(), b"", table)
    assert str(refused.value).startswith(
        f"api: {home.api_certificate} and {home.api_key} are no certificate with its key: "
    )


def test_tokens_follow_their_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token, record = issue_token("inspection", "regulator", TIME_MS)
    tokens = LiveTokens(path)
    assert tokens.find(token, TIME_MS) is None
    path.write_bytes(encode_tokens([record]))
    assert tokens.find(token, TIME_MS) is not None
    kept = path.rename(tmp_path / "kept.json")
    assert tokens.find(token, TIME_MS) is None
    kept.rename(path)  # with the time it had
    assert tokens.find(token, TIME_MS) is not None
    path.write_bytes(b"not tokens")
    assert tokens.find(token, TIME_MS) is not None, "a file that cannot be read changes nothing"
    path.write_bytes(encode_tokens([]))
    assert tokens.find(token, TIME_MS) is None


def test_a_token_revoked_in_the_instant_of_its_issue_is_revoked(tmp_path: Path) -> None:
    """Times of files tick every few milliseconds."""
    path = tmp_path / "tokens.json"
    token, record = issue_token("inspection", "regulator", TIME_MS)
    tokens = LiveTokens(path)
    write_file(path, encode_tokens([record]))
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert tokens.find(token, TIME_MS) is not None
    write_file(path, encode_tokens([]), replace=True)
    os.utime(path, ns=times)
    assert tokens.find(token, TIME_MS) is None


def test_a_bad_token_file_is_read_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have megabytes, and anybody may ask."""
    path = tmp_path / "tokens.json"
    path.write_bytes(b"not tokens")
    tokens = LiveTokens(path)
    reads: list[Path] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or real(self))
    for _ in range(3):
        assert tokens.find("el1_x", TIME_MS) is None
    assert reads == [path]
    [line] = [each.getMessage() for each in caplog.records]
    assert line.startswith("tokens: malformed: token file: JSON is malformed: ")
    assert "; those known before still count 访问令牌：" in line
    assert line.endswith("；此前已知的令牌仍然有效")
