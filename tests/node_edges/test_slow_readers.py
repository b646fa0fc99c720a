"""Large answers at the socket: whoever does not take them holds nothing for ever, and others go on.

The server is the real one, with TLS and without; its readers never read, leave, pipeline, ask for a
part, or are there when it stops. What they held comes back in every case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import api.app
from api.large_answers import LARGE_BYTES, LargeAnswers
from api.tokens import encode_tokens, issue_token
from node.private_files import write_file
from tests.api.fake import TIME_MS, make_envelope
from tests.node_edges.test_api_server import GUARD_S, Ends, Served, answer, ask, served

__all__ = ["served"]

LARGE = bytes(range(256)) * (64 * LARGE_BYTES // 256)
"""16 MiB: more than sockets and transports on the way take without a reader."""


class Watched(LargeAnswers):
    """The layer, in sight, with room for two such answers."""

    made: Watched

    def __init__(self, app: Any, bytes_max: int) -> None:
        super().__init__(app, 2 * len(LARGE))
        Watched.made = self


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.app, "LargeAnswers", Watched)


class Readers:
    """Requests of several tokens to one server whose histories are large."""

    def __init__(self, server: Served) -> None:
        self.server = server
        server.service.take_in(make_envelope(0))
        server.service.commit(certified=True)
        server.service.history = self._history  # type: ignore[method-assign]
        issued = [issue_token(name, "operator", TIME_MS) for name in "abc"]
        write_file(server.home.tokens, encode_tokens([record for _, record in issued]))
        self.tokens = [token for token, _ in issued]

    async def _history(self, contract_id: str) -> bytes:
        return LARGE

    def request(self, who: int, method: str = "GET", extra: str = "") -> bytes:
        return (
            f"{method} /v1/contracts/c1/history HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self.tokens[who]}\r\n{extra}\r\n"
        ).encode()

    async def get(self, who: int, extra: str = "") -> tuple[int, bytes]:
        reader, writer = await self.server.open()
        writer.write(self.request(who, extra=extra))
        async with asyncio.timeout(GUARD_S):
            head, _, body = (await answer(reader)).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split(b" ")[1]), body

    async def stall(self, who: int) -> Ends:
        """Ask, and take no more than the head."""
        ends = await self.server.open()
        ends[1].write(self.request(who))
        await ends[0].readuntil(b"\r\n\r\n")
        return ends

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(GUARD_S):
            while not holds():  # noqa: ASYNC110 it sets no event
                await asyncio.sleep(0.005)

    def held(self) -> int:
        return sum(Watched.made._held.values())


async def test_who_never_reads_leaves_room_for_others_and_small_answers(
    served: Served,
) -> None:
    readers = Readers(served)
    stalled = [await readers.stall(0), await readers.stall(1)]
    assert readers.held() == 2 * len(LARGE)
    assert (await readers.get(2))[0] == 503
    assert (await readers.get(0))[0] == 503
    assert await ask(await served.open()) == b"HTTP/1.1 200 OK"
    stalled[0][1].transport.abort()
    await readers.until(lambda: readers.held() == len(LARGE))
    assert await readers.get(2) == (200, LARGE)
    assert (await readers.get(1))[0] == 503
    stalled[1][1].transport.abort()
    await readers.until(lambda: readers.held() == 0)


async def test_who_pipelines_has_one_answer_at_a_time(
    served: Served,
) -> None:
    readers = Readers(served)
    reader, writer = await served.open()
    writer.write(readers.request(0) * 5)
    await reader.readuntil(b"\r\n\r\n")
    assert readers.held() == len(LARGE)
    assert await readers.get(1) == (200, LARGE)
    async with asyncio.timeout(GUARD_S):
        assert await reader.readexactly(len(LARGE)) == LARGE
        for _ in range(4):
            assert (await answer(reader)).endswith(LARGE[-1000:])
    assert readers.held() == 0


async def test_head_and_ranges_get_what_is_whole_or_nothing(
    served: Served,
) -> None:
    readers = Readers(served)
    reader, writer = await served.open()
    for _ in range(3):
        writer.write(readers.request(0, "HEAD"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"content-length: {len(LARGE)}".encode() in head.lower()
    assert await ask((reader, writer)) == b"HTTP/1.1 200 OK"
    for ranges in ("bytes=0-0", "bytes=" + ",".join(["0-"] * 500), "bytes=-1"):
        assert await readers.get(0, f"Range: {ranges}\r\n") == (200, LARGE)
    assert readers.held() == 0


async def test_a_server_that_stops_gets_back_what_its_readers_held(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = Readers(served)
    _, writer = await readers.stall(0)
    served.server._server.config.timeout_graceful_shutdown = 0
    served.server.stop()
    await readers.until(lambda: readers.held() == 0)
    writer.transport.abort()
    await served.until_counted(0)
