"""Turns at work that takes the processor, one source after another.

Whoever may bring more than this node can deal with is a source: a peer, the clients. Turns are
short and few are given at a time. A source gets its own in the order it asked; among sources one
turn each goes round, so that who asks for much waits for it, and nobody else does. What the chain
waits for comes before all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairTurns:
    """So many turns at a time; see the module's text."""

    def __init__(self, width: int) -> None:
        """`width` is how many turns there are at a time, at least 1."""
        self._free = width
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._sources: dict[Hashable, deque[asyncio.Future[None]]] = {}
        """Who waits, by source; the source whose turn comes next is first."""

    @asynccontextmanager
    async def turn(self, source: Hashable | None) -> AsyncIterator[None]:
        """Wait for a turn of a source (None: before every source's), and hold it."""
        await asyncio.sleep(0)  # between two turns everything else on the event loop has its own
        mine = asyncio.get_running_loop().create_future()
        line = self._urgent if source is None else self._sources.setdefault(source, deque())
        line.append(mine)
        self._give()
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it was given just before
                self._end()
            raise
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        self._free += 1
        self._give()

    def _give(self) -> None:
        """Give the turns that are free."""
        while self._free:
            mine = self._next()
            if mine is None:
                return
            if not mine.done():
                self._free -= 1
                mine.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        if self._urgent:
            return self._urgent.popleft()
        while self._sources:
            source = next(iter(self._sources))
            waiting = self._sources.pop(source)
            if waiting:
                self._sources[source] = waiting  # behind the others
                return waiting.popleft()
        return None
