"""Large answers are sent in pieces, and all that are being sent have a bound together.

An answer is in memory until its last byte is handed on, and a client may take it as slowly as it
likes. So a large one is handed on piece by piece as it is taken, in a time that its size gives, and
one that would bring all of them over the bound is not begun: 503, and whoever asks comes again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, render_problem

LARGE_BYTES: Final = 2 * 1024 * 1024
"""Answers up to here are handed on at once and not counted: nearly all, and what everybody may ask
for and is in memory once (the documentation's script has 1.5 MB)."""

PIECE_BYTES: Final = 64 * 1024

BYTES_PER_S_MIN: Final = 64 * 1024
"""How fast a large answer must be taken, beside `GRACE_S`: half a megabit a second."""
GRACE_S: Final = 60.0

RETRY_AFTER_S: Final = 5


class LargeAnswers:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        """All large answers being sent have at most `bytes_max` together, or are a single one."""
        self._app = app
        self._bytes_max = bytes_max
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head: Message | None = None
        is_refused = False

        async def send_bounded(message: Message) -> None:
            nonlocal head, is_refused
            if message["type"] == "http.response.start":
                head = message  # until what follows is seen to fit
                return
            if is_refused:
                return
            body: bytes = message.get("body", b"")
            begin, head = head, None
            if len(body) <= LARGE_BYTES:
                if begin is not None:
                    await send(begin)
                await send(message)
            elif begin is not None and self._held and self._held + len(body) > self._bytes_max:
                is_refused = True
                await render_problem(scope, _busy())(scope, receive, send)
            else:
                await self._send_large(begin, message, body, send)

        await self._app(scope, receive, send_bounded)

    async def _send_large(
        self, begin: Message | None, message: Message, body: bytes, send: Send
    ) -> None:
        self._held += len(body)
        try:
            async with asyncio.timeout(GRACE_S + len(body) / BYTES_PER_S_MIN):
                if begin is not None:
                    await send(begin)
                for at in range(0, len(body), PIECE_BYTES):
                    piece = body[at : at + PIECE_BYTES]
                    await send({**message, "body": piece, "more_body": True})
                await send({**message, "body": b""})
        except TimeoutError:
            raise ClientDisconnect from None
        finally:
            self._held -= len(body)


def _busy() -> Problem:
    return Problem(
        "unavailable",
        "other large answers are being sent; ask again in a moment",
        retry_after_s=RETRY_AFTER_S,
    )
