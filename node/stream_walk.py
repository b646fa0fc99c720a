"""All entries of some streams as of one moment, read while consensus goes on.

A stream may have a hundred thousand entries, by whoever wants to be a nuisance. They never change,
so they are read a few at a time between other work of the event loop, and again what came after
them meanwhile, until nothing has: what `read` returns then is of the turn in which it returns. Only
a few walks that are long are under way at once, for each may hold a hundred megabytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar

from contracts.execution import StoredEntry, StreamState, walk_back

ENTRIES_PER_TURN: Final = 128
"""Entries read and looked at between two pauses (about 4 ms)."""

LONG_ENTRIES: Final = 1_000
LONG_AT_ONCE: Final = 2

T = TypeVar("T")


class StreamWalk(Generic[T]):
    """What is made of each entry of one stream, oldest first, but for what is made to nothing."""

    def __init__(self, stream: str, look: Callable[[bytes, StoredEntry], T | None]) -> None:
        """`look` is given each entry once, as (tx_id, entry)."""
        self.stream: Final = stream
        self.found: list[T] = []
        self._look = look
        self._newest: bytes | None = None
        """Id of the newest entry seen, or 32 zero bytes; None before the first look."""

    async def go_on(self, read: Callable[[bytes], StoredEntry | None], state: StreamState) -> None:
        """Look at the entries that `state` has beyond those seen. Raises as `walk_back` does."""
        fresh: list[T] = []
        newest = state.newest  # 32 zero bytes where it is not held, which `walk_back` refuses
        for count, (tx_id, stored) in enumerate(walk_back(read, self.stream, state), 1):
            if tx_id == self._newest:
                break
            seen = self._look(tx_id, stored)
            if seen is not None:
                fresh.append(seen)
            if count % ENTRIES_PER_TURN == 0:
                await asyncio.sleep(0)
        self.found += reversed(fresh)
        self._newest = newest

    def is_at(self, state: StreamState) -> bool:
        """Whether nothing has come since."""
        return self._newest == state.newest


class Walker:
    """Walks over one node's streams; see the module's text."""

    def __init__(
        self,
        state: Callable[[str], StreamState],
        read: Callable[[bytes], StoredEntry | None],
    ) -> None:
        """`state` returns a stream as it is now, `read` an entry."""
        self._state = state
        self._read = read
        self._long = asyncio.Semaphore(LONG_AT_ONCE)

    @asynccontextmanager
    async def place(self, *streams: str) -> AsyncIterator[None]:
        """Hold one of the few places while these are walked and answered from, if they are long."""
        if max([self._state(stream).count for stream in streams]) <= LONG_ENTRIES:
            yield
            return
        async with self._long:
            yield

    async def read(self, *walks: StreamWalk[T]) -> None:
        """Bring all walks to the turn in which this returns. Raises as `walk_back` does."""
        while True:
            behind = [walk for walk in walks if not walk.is_at(self._state(walk.stream))]
            if not behind:
                return
            for walk in behind:
                await walk.go_on(self._read, self._state(walk.stream))
