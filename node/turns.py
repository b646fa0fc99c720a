"""Turns at long work: a few at once, so many waiting, and for one thing asked for a part of both.

What answers a public question takes memory and a core while it is made, whoever asks. Who finds the
line full is told to come again, and whoever asks for one thing a hundred times keeps nobody out who
asks for another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.ports import Unavailable

LONG_AT_ONCE: Final = 2
LONG_WAITING_MAX: Final = 64
"""Who comes when so many wait is told to come again."""
LONG_OF_ONE_MAX: Final = 16
"""Of both, those for one thing: half a minute's work at the most."""


class Turns:
    """See the module's text."""

    def __init__(self, refusal: Callable[[], Unavailable]) -> None:
        """`refusal` makes what is raised where the line is full."""
        self._refusal = refusal
        self._places = asyncio.Semaphore(LONG_AT_ONCE)
        self._count = 0
        self._count_of: Counter[str] = Counter()

    @asynccontextmanager
    async def take(self, asked: str) -> AsyncIterator[None]:
        """Wait for a turn and have it until this is left."""
        is_full = self._count >= LONG_AT_ONCE + LONG_WAITING_MAX
        if is_full or self._count_of[asked] >= LONG_OF_ONE_MAX:
            raise self._refusal()
        self._count += 1
        self._count_of[asked] += 1
        try:
            async with self._places:
                yield
        finally:
            self._count -= 1
            self._count_of -= Counter([asked])
