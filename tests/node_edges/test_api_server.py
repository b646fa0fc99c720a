"""The API's socket: what one client may hold open, and the tokens as they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import node.api_server
from api.tokens import encode_tokens, issue_token
from node.api_server import CONNECTIONS_MAX, HEAD_BYTES_MAX, LiveTokens, make_api_server
from node.config import ApiConfig, ConfigError, NodeHome
from tests.api.fake import TIME_MS, FakeNode

Connect = Callable[[], Any]


@pytest.fixture
async def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """A running server with a short patience; opens connections to it."""
    monkeypatch.setattr(node.api_server, "HEAD_TIMEOUT_S", 0.2)
    config = ApiConfig(listen="127.0.0.1:0", tls=False)
    server = make_api_server(FakeNode(), NodeHome(tmp_path), config, b"")
    assert server.config.limit_concurrency == CONNECTIONS_MAX
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 uvicorn sets no event
            await asyncio.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    writers = []

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*address[:2])
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
    server.should_exit = True
    await serving


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer whose body has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_brings_no_whole_head_is_closed(
    connect: Connect, sent: bytes
) -> None:
    reader, writer = await connect()
    writer.write(sent)
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_a_head_begun_after_an_answer_is_not_waited_for_either(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(REQUEST)
    assert (await answer(reader)).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_requests_that_keep_coming_keep_the_connection(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(12):  # six times as long as one head may take
        writer.write(REQUEST)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.1)


async def test_a_body_under_way_is_not_cut_off_by_the_heads_time(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(
        b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 4\r\n\r\n{"
    )
    await asyncio.sleep(0.7)
    writer.write(b"   ")
    assert (await answer(reader)).startswith(b"HTTP/1.1 400")


async def test_a_head_that_is_too_large_is_refused(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (HEAD_BYTES_MAX + 1))
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    with pytest.raises(ConfigError) as refused:
        make_api_server(FakeNode(), home, ApiConfig(), b"")
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
