"""All entries of some streams as of one moment, read while consensus goes on.

A stream may have a hundred thousand entries, by whoever wants to be a nuisance. They never change,
so they are read a few at a time between other work of the event loop, and again what came after
them meanwhile, until nothing has: what `read` returns then is of the turn in which it returns.

What is read is held until the answer made of it is: for one answer not more than a bound, and only
a few long walks at once. What is small is answered whatever the others hold; beyond that all walks
together have a bound, and who comes over it is told to come again. Of either bound whoever asks for
one record, be it a hundred times, has a part only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, TypeVar

from api.ports import TooLong, Unavailable
from contracts.streams import StoredEntry, StreamState, walk_applied, walk_back
from node.turns import Turns

ENTRIES_PER_TURN: Final = 128
"""Usual entries read and looked at between two pauses (about 4 ms); a larger one counts as so many
as it has whole `USUAL_BYTES` more."""
USUAL_BYTES: Final = 1024

LONG_ENTRIES: Final = 1_000

READ_BYTES_MAX: Final = 176 * 1024 * 1024
"""Entries held for one answer, some 200,000 usual ones: the file then just stays within the 256 MiB
that the page reads. An answer takes about five times as much while it is made."""
SMALL_BYTES: Final = 256 * 1024
"""What each walk may hold whatever the others do: some 280 usual entries."""
HELD_BYTES_MAX: Final = 192 * 1024 * 1024
"""What all walks together hold beyond that: one of the largest, and others beside it."""
HELD_OF_STREAM_BYTES_MAX: Final = HELD_BYTES_MAX // 2
"""Of that, what is held for one record; a single answer may be made of more."""

RETRY_AFTER_S: Final = 1

IN_WINDOWS: Final = "ask for shorter windows, one after another"
"""What is told to whoever asks for more than an answer holds: together they are the whole record,
and each is proven complete."""
IN_WINDOWS_ZH: Final = "请改用较短的时间段，逐段查询"

T = TypeVar("T")


class StreamTooLarge(TooLong):
    """A stream has more entries, or longer ones, than an answer may be made of."""

    def __init__(self, stream: str, detail: str, detail_zh: str) -> None:
        super().__init__(detail, detail_zh)
        self.stream = stream


class WalksFull(Unavailable):
    """The walks under way hold all that walks may hold."""

    def __init__(self) -> None:
        super().__init__(
            "other long records are being answered; ask again",
            "正在应答其他较长的记录；请稍后再试",
            RETRY_AFTER_S,
        )


class StreamWalk(Generic[T]):
    """What is made of each entry of one stream, oldest first, but for what is made to nothing."""

    def __init__(
        self,
        stream: str,
        look: Callable[[bytes, StoredEntry], T | None],
        *,
        applied: bool = False,
        weigh: Callable[[T], int] | None = None,
    ) -> None:
        """`look` is given each entry once, as (tx_id, entry); `applied`: only what was applied,
        without a step over what was refused, on streams that may be looked back on; `weigh` says
        how many bytes of memory what was made of an entry takes, if not as many as the entry."""
        self.stream: Final = stream
        self.found: list[T] = []
        self.held_bytes = 0
        """Of what was made of the entries."""
        self._look = look
        self._weigh = weigh
        self._applied = applied
        self._newest: bytes | None = None
        """Id of the newest entry seen, or 32 zero bytes; None before the first look."""

    @property
    def weight(self) -> int:
        """As how many usual entries what was found counts, where work is made of it."""
        return len(self.found) + self.held_bytes // USUAL_BYTES

    def count_in(self, state: StreamState) -> int:
        """Return how many entries there are to look at."""
        return state.applied if self._applied else state.count

    def newest_in(self, state: StreamState) -> bytes:
        """Return the id of the newest of them, 32 zero bytes where it is none or not held."""
        return state.newest_applied if self._applied else state.newest

    async def go_on(
        self,
        read: Callable[[bytes], StoredEntry | None],
        state: StreamState,
        hold: Callable[[StreamWalk[Any], int], None],
    ) -> None:
        """Look at the entries that `state` has beyond those seen; `hold` is told the bytes of each
        that is kept, before it is. Raises as `hold` and `walk_back` do."""
        fresh: list[T] = []
        newest = self.newest_in(state)  # zeros where it is not held, which the walk refuses
        walk = walk_applied if self._applied else walk_back
        turn = 0
        for tx_id, stored in walk(read, self.stream, state):
            if tx_id == self._newest:
                break
            seen = self._look(tx_id, stored)
            if seen is not None:
                hold(self, len(stored.raw) if self._weigh is None else self._weigh(seen))
                fresh.append(seen)
            turn += 1 + len(stored.raw) // USUAL_BYTES
            if turn >= ENTRIES_PER_TURN:
                turn = 0
                await asyncio.sleep(0)
        self.found += reversed(fresh)
        self._newest = newest

    def is_at(self, state: StreamState) -> bool:
        """Whether nothing has come since."""
        return self._newest == self.newest_in(state)


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
        self._long = Turns(WalksFull)
        self._held_bytes = 0
        """By all walks, each beyond what it may hold whatever the others do."""
        self._held_for: Counter[str] = Counter()
        """Of that, by the record that is asked for."""

    @asynccontextmanager
    async def read(self, *walks: StreamWalk[Any]) -> AsyncIterator[None]:
        """Bring all walks to the turn in which this is entered, and hold what they found until it
        is left. The first is over the record that is asked for, the others stand beside it.

        Raises as `walk_back` does, `WalksFull`, and `StreamTooLarge`: where all together are too
        large, and none of them alone, it names the last.
        """
        asked = walks[0].stream
        try:
            if max([walk.count_in(self._state(walk.stream)) for walk in walks]) <= LONG_ENTRIES:
                await self._go_on(walks)
                yield
                return
            async with self._long.take(asked):
                await self._go_on(walks)
                yield
        finally:
            for walk in walks:
                self._held_bytes -= _weigh(walk)
            self._held_for -= Counter({asked: sum(map(_weigh, walks))})

    async def _go_on(self, walks: tuple[StreamWalk[Any], ...]) -> None:
        while True:
            behind = [walk for walk in walks if not walk.is_at(self._state(walk.stream))]
            if not behind:
                return
            for walk in behind:
                await walk.go_on(self._read, self._state(walk.stream), partial(self._hold, walks))

    def _hold(
        self, walks: tuple[StreamWalk[Any], ...], walk: StreamWalk[Any], count_bytes: int
    ) -> None:
        if sum([each.held_bytes for each in walks]) + count_bytes > READ_BYTES_MAX:
            is_alone = walk.held_bytes + count_bytes > READ_BYTES_MAX
            named = [walk.stream] if is_alone else [each.stream for each in walks]
            raise StreamTooLarge(
                named[-1],
                f"the entries of {', '.join(named)} that are asked for have more than "
                f"{READ_BYTES_MAX} bytes; an answer holds at most so many: {IN_WINDOWS}",
                f"所求 {'、'.join(named)} 的条目超过 {READ_BYTES_MAX} 字节，而一份应答至多容纳"
                f"这么多：{IN_WINDOWS_ZH}",
            )
        before = _weigh(walk)
        walk.held_bytes += count_bytes
        more = _weigh(walk) - before
        if more:
            try:
                self._take(walks, more)
            except WalksFull:
                walk.held_bytes -= count_bytes
                raise

    def _take(self, walks: tuple[StreamWalk[Any], ...], more: int) -> None:
        """Count bytes that `walks` hold more by now; raise `WalksFull`."""
        asked = walks[0].stream
        held = self._held_for[asked] + more
        is_single = held == sum(map(_weigh, walks))
        if self._held_bytes + more > HELD_BYTES_MAX:
            raise WalksFull()
        if held > HELD_OF_STREAM_BYTES_MAX and not is_single:
            raise WalksFull()
        self._held_bytes += more
        self._held_for[asked] = held


def _weigh(walk: StreamWalk[Any]) -> int:
    return max(0, walk.held_bytes - SMALL_BYTES)
