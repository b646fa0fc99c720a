"""A long stream is read beside other work, and what is read is of one moment."""

from __future__ import annotations

import asyncio

from contracts.execution import StoredEntry, StreamState
from node.stream_walk import ENTRIES_PER_TURN, LONG_AT_ONCE, LONG_ENTRIES, StreamWalk, Walker

LONG = 10 * ENTRIES_PER_TURN


class Streams:
    """Streams that grow."""

    def __init__(self) -> None:
        self.entries: dict[bytes, StoredEntry] = {}
        self.states: dict[str, StreamState] = {}
        self.reads = 0
        self.walker = Walker(self.state, self.read)

    def state(self, stream: str) -> StreamState:
        return self.states.setdefault(stream, StreamState())

    def read(self, tx_id: bytes) -> StoredEntry | None:
        self.reads += 1
        return self.entries.get(tx_id)

    def grow(self, stream: str, count: int = 1) -> None:
        for _ in range(count):
            before = self.state(stream)
            name = f"{stream}-{before.count}".encode()
            tx_id = name.rjust(32, b".")
            self.entries[tx_id] = StoredEntry(name, before.count, before.newest, b"")
            self.states[stream] = StreamState(count=before.count + 1, newest=tx_id)


def walk(stream: str) -> StreamWalk[bytes]:
    return StreamWalk(stream, lambda _, stored: stored.raw)


def all_of(stream: str, count: int) -> list[bytes]:
    return [f"{stream}-{number}".encode() for number in range(count)]


async def test_others_have_their_turns_and_what_comes_meanwhile_is_read_too() -> None:
    streams = Streams()
    streams.grow("a", LONG)
    streams.grow("b", 5)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            if turns == 3:
                streams.grow("a", 2)
                streams.grow("b")
            await asyncio.sleep(0)

    working = asyncio.create_task(others())
    one, two = walk("a"), walk("b")
    await streams.walker.read(one, two)
    seen = turns
    working.cancel()
    assert seen >= LONG // ENTRIES_PER_TURN
    assert one.found == all_of("a", LONG + 2)
    assert two.found == all_of("b", 6)
    assert streams.reads <= LONG + 2 + 6 + 2, "what was read is not read again"


async def test_what_is_made_to_nothing_is_left_out_and_an_empty_stream_is_empty() -> None:
    streams = Streams()
    streams.grow("a", 6)
    odd = StreamWalk("a", lambda _, stored: stored.raw if stored.time_ms % 2 else None)
    none = walk("b")
    await streams.walker.read(odd, none)
    assert (odd.found, none.found) == ([b"a-1", b"a-3", b"a-5"], [])


async def test_few_long_walks_are_under_way_at_once_and_short_ones_do_not_wait() -> None:
    streams = Streams()
    streams.grow("long", LONG_ENTRIES + 1)
    streams.grow("short", LONG_ENTRIES)
    inside: list[str] = []
    leave = asyncio.Event()

    async def hold(*names: str) -> None:
        async with streams.walker.place(*names):
            inside.append(names[0])
            await leave.wait()

    held = [asyncio.create_task(hold("long")) for _ in range(LONG_AT_ONCE + 3)]
    held.append(asyncio.create_task(hold("short")))
    held.append(asyncio.create_task(hold("short", "long")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert sorted(inside) == ["long"] * LONG_AT_ONCE + ["short"]
    leave.set()
    await asyncio.gather(*held)
    assert len(inside) == len(held)
