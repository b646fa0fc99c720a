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

from api.ports import Unavailable


class Turns:
    """See the module's text."""

    def __init__(
        self, at_once: int, waiting_max: int, same_max: int, refusal: Callable[[], Unavailable]
    ) -> None:
        """`same_max` is how many of both may be for one thing; `refusal` makes what is raised."""
        self._places = asyncio.Semaphore(at_once)
        self._count_max = at_once + waiting_max
        self._same_max = same_max
        self._refusal = refusal
        self._count = 0
        self._count_of: Counter[str] = Counter()

    @asynccontextmanager
    async def take(self, asked: str) -> AsyncIterator[None]:
        """Wait for a turn and have it until this is left."""
        if self._count >= self._count_max or self._count_of[asked] >= self._same_max:
            raise self._refusal()
        self._count += 1
        self._count_of[asked] += 1
        try:
            async with self._places:
                yield
        finally:
            self._count -= 1
            self._count_of -= Counter([asked])
