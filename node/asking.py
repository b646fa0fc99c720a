"""Asking outsiders about certified checkpoints: when, over HTTP, and how much of it is believed.

Time-stamping authorities and witnesses are no members of the ledger: whatever they answer has a
bounded size and time, redirects are not followed, cookies are not kept, and every failure is one
sentence that names nothing of their address, which may hold a password. When somebody is due is
counted from what is kept, so that a restart asks no sooner; a clock that was set back costs one
interval at most. Who could not be asked is asked again within the interval, less and less often.
What an answer means is for who asks (`node.timestamping`, `node.witnessing`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Final, Protocol
from urllib.request import Request

import httpx

from node.effects import Say
from node.linear_http import use_linear_patterns
from storage.files import Damaged

ANSWER_TIMEOUT_S: Final = 30.0
"""An outsider answers within a second or two; the whole answer has to be here by then."""

POLL_S: Final = 5.0
"""Pause before looking again for a checkpoint."""

RETRY_FIRST_S: Final = 60
RETRY_MAX_S: Final = 3600
"""Pause before asking again who failed: doubled each time, up to this."""

Checkpoint = tuple[int, bytes]
"""A certified checkpoint as (height, note)."""


class NoAnswer(Exception):
    """Nothing came that could be judged; the sentence, whose subject is the outsider, says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, unjudged."""

    status: int
    media_type: str
    """In lower case, without parameters."""
    raw: bytes


class _NoCookies(DefaultCookiePolicy):
    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


def open_client() -> httpx.AsyncClient:
    """Return the client that outsiders are asked with."""
    use_linear_patterns()
    return httpx.AsyncClient(
        timeout=ANSWER_TIMEOUT_S,
        follow_redirects=False,
        cookies=CookieJar(_NoCookies()),
        headers={"Accept-Encoding": "identity"},  # what comes is bounded before it is unpacked
    )


async def post(
    client: httpx.AsyncClient,
    url: str,
    content: bytes,
    bytes_max: int,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request; raise `NoAnswer` unless an answer of bounded size is here whole in time."""
    try:
        async with (
            asyncio.timeout(ANSWER_TIMEOUT_S),
            client.stream("POST", url, content=content, headers=headers) as response,
        ):
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            raw = bytearray()
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > bytes_max:
                    raise NoAnswer(f"it answered with more than {bytes_max} bytes")
            return Answer(response.status_code, media_type, bytes(raw))
    except TimeoutError:
        raise NoAnswer(f"it did not answer within {ANSWER_TIMEOUT_S:g} s") from None
    except httpx.InvalidURL:
        raise NoAnswer("its URL in node.toml cannot be used") from None
    except httpx.HTTPError as error:
        raise NoAnswer(f"it cannot be asked: {str(error) or type(error).__name__}") from None


class Kept(Protocol):
    """What was kept of earlier answers (`node.checkpoint_files`)."""

    def newest_asked_ms(self) -> int:
        """Return when the newest was first asked for, 0 while there is none; raise `Damaged`."""


class Rounds:
    """When the outsiders of one kind are asked; see the module's text."""

    def __init__(
        self,
        interval_s: int,
        newest: Callable[[], Checkpoint | None],
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`newest` returns the newest certified checkpoint."""
        self.clock_ms: Final = clock_ms
        self.sleep: Final = sleep
        self._interval_ms = interval_s * 1000
        self._newest = newest
        self.due_ms = 0

    def resume(self, kept: Kept, say: Say) -> None:
        """Count the first interval from the newest answer kept; what is damaged counts as none."""
        try:
            asked_ms = kept.newest_asked_ms()
        except Damaged as damaged:
            say("error", f"{damaged} 已损坏：{damaged.detail_zh}")
            asked_ms = 0
        self.due_ms = asked_ms + self._interval_ms if asked_ms else 0

    def left_ms(self) -> int:
        """Return the time until the next round: never more than an interval, whatever the clock."""
        now_ms = self.clock_ms()
        self.due_ms = min(self.due_ms, now_ms + self._interval_ms)
        return self.due_ms - now_ms

    async def next(self, is_wanted: Callable[[bytes], bool] = lambda note: True) -> bytes:
        """Return the note to ask about once a round is due and there is one that is wanted."""
        while True:
            left_ms = self.left_ms()
            found = self._newest() if left_ms <= 0 else None
            if found is not None and is_wanted(found[1]):
                self.due_ms = self.clock_ms() + self._interval_ms
                return found[1]
            await self.sleep(max(POLL_S, left_ms / 1000))

    async def pause(self, failures: int) -> bool:
        """Sleep before who failed so many times is asked again; False if a round is due first."""
        pause_s = RETRY_FIRST_S
        for _ in range(1, failures):
            pause_s = min(2 * pause_s, RETRY_MAX_S)
        if pause_s * 1000 >= self.left_ms():
            return False
        await self.sleep(pause_s)
        return True
