"""Large answers are sent in pieces, and all that are being sent have a bound together.

An answer is in memory until its last byte is handed on, and a client may take it as slowly as it
likes. So a large one is handed on piece by piece as it is taken, in a time that its size gives, and
one that would bring all of them over the bound is not begun: it is let go, and whoever asked is
told to come again. Of one reader half the bound counts at most, so that none, however slow or often
it asks, keeps the others out.

What everybody may ask for and is in memory once (`Standing`) is sent in pieces and not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.client_address import group_of
from api.problems import Problem, let_go, render_problem

LARGE_BYTES: Final = 256 * 1024
"""Answers up to here are handed on at once and not counted, nearly all: of as many connections as
there may be they have 300 MB together."""

PIECE_BYTES: Final = 64 * 1024

BYTES_PER_S_MIN: Final = 64 * 1024
"""How fast a large answer must be taken, beside `GRACE_S`: half a megabit a second."""
GRACE_S: Final = 60.0

RETRY_AFTER_S: Final = 5


class LargeAnswers:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        """What counts of the large answers being sent is `bytes_max` at most.

        Of one reader a second answer is begun only while both have half of that at most; a single
        one may be of any size, and then counts as that half.
        """
        self._app = app
        self._bytes_max = bytes_max
        self._share = bytes_max // 2
        self._held: dict[bytes, int] = {}
        """Bytes by reader, without those who hold none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reader = _identify_reader(scope)
        head: Message | None = None

        async def send_bounded(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message  # until what follows is seen to fit
                return
            begin, head = head, None
            count = len(message.get("body", b""))
            if count <= LARGE_BYTES:
                if begin is not None:
                    await send(begin)
                await send(message)
            elif begin is not None and not self._has_room(reader, count):
                raise _NoRoom
            else:
                await self._send_large(reader, begin, message, send)

        try:
            await self._app(scope, receive, send_bounded)
        except _NoRoom as no_room:
            let_go(no_room)
        else:
            return
        # Here, where nothing holds what was refused any more: this too may wait for a slow client.
        await render_problem(scope, _busy())(scope, receive, send)

    def _has_room(self, reader: bytes, count: int) -> bool:
        own = self._held.get(reader, 0)
        if own and own + count > self._share:
            return False
        others = [min(held, self._share) for who, held in self._held.items() if who != reader]
        return sum(others) + min(own + count, self._share) <= self._bytes_max

    async def _send_large(
        self, reader: bytes, begin: Message | None, message: Message, send: Send
    ) -> None:
        count = len(message["body"])
        self._held[reader] = self._held.get(reader, 0) + count
        try:
            async with asyncio.timeout(GRACE_S + count / BYTES_PER_S_MIN):
                if begin is not None:
                    await send(begin)
                await _send_pieces(message, send)
        except TimeoutError:
            raise ClientDisconnect from None
        finally:
            self._held[reader] -= count
            if not self._held[reader]:
                del self._held[reader]


class Standing(Response):
    """An answer of bytes that are in memory once for everybody: no slow reader gets a copy."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in pieces."""
        begin = {"type": "http.response.start", "status": self.status_code}
        await send({**begin, "headers": self.raw_headers})
        await _send_pieces({"type": "http.response.body", "body": bytes(self.body)}, send)


class Paced(StreamingResponse):
    """An answer that is made as it is taken.

    However it ends, what makes it is closed at that moment, and not when the collector comes.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes, None], headers: Mapping[str, str], media_type: str
    ) -> None:
        self._paced = keep_pace(parts)
        super().__init__(self._paced, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with aclosing(self._paced):
            await super().__call__(scope, receive, send)


async def keep_pace(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Hand on an answer that is made as it is taken, and leave a reader that lets it wait longer,
    in all, than a large answer of so many bytes would: others wait for its place."""
    clock = asyncio.get_running_loop().time
    waited_s = 0.0
    count = 0
    async with aclosing(parts):
        async for part in parts:
            begun_s = clock()
            yield part
            waited_s += clock() - begun_s
            count += len(part)
            if waited_s > GRACE_S + count / BYTES_PER_S_MIN:
                raise ClientDisconnect


class _NoRoom(Exception):
    """An answer does not fit beside those that are being sent."""


async def _send_pieces(message: Message, send: Send) -> None:
    """Hand a message's body on piece by piece, each when the one before is nearly taken."""
    body: bytes = message["body"]
    for at in range(0, len(body), PIECE_BYTES):
        await send({**message, "body": body[at : at + PIECE_BYTES], "more_body": True})
    await send({**message, "body": b""})


def _identify_reader(scope: Scope) -> bytes:
    """Return who takes the answer: the token, however it is spelt, or else the address."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return bytes(value.partition(b" ")[2].strip(b" "))
    client = scope.get("client")
    return b"" if client is None else group_of(client[0]).encode()


def _busy() -> Problem:
    return Problem(
        "unavailable",
        "other large answers are being sent; ask again in a moment",
        "正在发送其他较大的应答，请稍后再试",
        retry_after_s=RETRY_AFTER_S,
    )
