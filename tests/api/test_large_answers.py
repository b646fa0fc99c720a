"""Large answers go out in pieces, and only so many are in memory at once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message

from api import large_answers
from api.large_answers import LARGE_BYTES, PIECE_BYTES, LargeAnswers

LARGE = bytes(range(256)) * (LARGE_BYTES // 256) + b"more"


class Client:
    """One request and what comes back; takes a message only while it may."""

    def __init__(self, app: ASGIApp, *, takes: bool = True) -> None:
        self.app = app
        self.messages: list[Message] = []
        self.may_take = asyncio.Event()
        if takes:
            self.may_take.set()

    async def ask(self, path: str = "/") -> Client:
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await self.app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Message:
        raise RuntimeError("nobody reads a body here")

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        await self.may_take.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        assert self.messages[-1].get("more_body", False) is False
        assert all(each["more_body"] for each in self.messages[1:-1])
        return b"".join([each["body"] for each in self.messages[1:]])


def answering(body: bytes, bytes_max: int) -> LargeAnswers:
    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await Response(body)(scope, receive, send)

    return LargeAnswers(app, bytes_max)


async def test_a_large_answer_goes_out_whole_in_pieces_and_a_small_one_at_once() -> None:
    client = await Client(answering(LARGE, len(LARGE))).ask()
    assert client.body == LARGE
    assert client.headers[b"content-length"] == str(len(LARGE)).encode()
    assert max(len(each["body"]) for each in client.messages[1:]) == PIECE_BYTES
    small = await Client(answering(LARGE[:LARGE_BYTES], 0)).ask()
    assert len(small.messages) == 2
    assert small.body == LARGE[:LARGE_BYTES]


async def test_what_would_be_too_much_at_once_is_asked_for_again() -> None:
    app = answering(LARGE, 2 * len(LARGE))
    slow = [Client(app, takes=False) for _ in range(2)]
    asking = [asyncio.create_task(each.ask()) for each in slow]
    await asyncio.sleep(0)
    for _ in range(3):
        refused = await Client(app).ask()
        assert refused.status == 503
        assert refused.headers[b"retry-after"] == b"5"
        assert b"other large answers are being sent; ask again in a moment" in refused.body
    slow[0].may_take.set()
    await asking[0]
    assert (await Client(app).ask()).body == LARGE
    slow[1].may_take.set()
    await asking[1]
    assert [each.body for each in slow] == [LARGE, LARGE]


async def test_a_single_answer_may_have_any_size_and_nothing_stays_held() -> None:
    app = answering(LARGE, 1)
    for _ in range(3):
        assert (await Client(app).ask()).body == LARGE


async def test_who_does_not_take_a_large_answer_in_time_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_answers, "GRACE_S", 0.01)
    monkeypatch.setattr(large_answers, "BYTES_PER_S_MIN", 10**12)
    app = answering(LARGE, 1)
    with pytest.raises(ClientDisconnect):
        await Client(app, takes=False).ask()
    monkeypatch.setattr(large_answers, "GRACE_S", 60.0)
    assert (await Client(app).ask()).body == LARGE


async def test_an_answer_in_parts_goes_on_in_its_parts() -> None:
    parts = [b"one", LARGE, b"three"]

    async def lines():  # type: ignore[no-untyped-def]
        for part in parts:
            yield part

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await StreamingResponse(lines()).stream_response(send)

    client = await Client(LargeAnswers(app, 1)).ask()
    assert client.body == b"".join(parts)


async def test_a_route_that_fails_before_its_answer_has_begun_none() -> None:
    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a mistake")

    client = Client(LargeAnswers(app, 1))
    with pytest.raises(RuntimeError, match="a mistake"):
        await client.ask()
    assert client.messages == []
