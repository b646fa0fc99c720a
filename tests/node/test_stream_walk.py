"""A long stream is read beside other work, and what is read is of one moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from contracts.streams import StoredEntry, StreamState
from ledger.hashing import ZERO_HASH
from node import stream_walk
from node.stream_walk import (
    ENTRIES_PER_TURN,
    LONG_ENTRIES,
    USUAL_BYTES,
    StreamTooLarge,
    StreamWalk,
    Walker,
    WalksFull,
)
from node.turns import LONG_AT_ONCE, LONG_OF_ONE_MAX, LONG_WAITING_MAX
from tests.node.turns import other_work

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

    def grow(self, stream: str, count: int = 1, *, refused: bool = False) -> None:
        for _ in range(count):
            before = self.state(stream)
            name = f"{stream}-{before.count}".encode()
            tx_id = name.rjust(32, b".")
            applied = before.newest_applied
            self.entries[tx_id] = StoredEntry(
                name, before.count, before.newest, b"" if refused else applied
            )
            self.states[stream] = StreamState(
                count=before.count + 1,
                newest=tx_id,
                applied=before.applied + (not refused),
                newest_applied=applied if refused else tx_id,
            )


def walk(stream: str) -> StreamWalk[bytes]:
    return StreamWalk(stream, lambda _, stored: stored.raw)


def all_of(stream: str, count: int) -> list[bytes]:
    return [f"{stream}-{number}".encode() for number in range(count)]


async def test_others_have_their_turns_and_what_comes_meanwhile_is_read_too() -> None:
    streams = Streams()
    streams.grow("a", LONG)
    streams.grow("b", 5)

    def grow(turn: int) -> None:
        if turn == 3:
            streams.grow("a", 2)
            streams.grow("b")

    one, two = walk("a"), walk("b")
    async with other_work(grow) as turns, streams.walker.read(one, two):
        assert turns.count >= LONG // ENTRIES_PER_TURN
    assert one.found == all_of("a", LONG + 2)
    assert two.found == all_of("b", 6)
    assert streams.reads <= LONG + 2 + 6 + 2, "what was read is not read again"


async def test_large_entries_are_a_turn_of_their_own() -> None:
    """Thirty kilobytes of JSON take as long as thirty usual entries, not as one."""
    streams = Streams()
    streams.grow("a", ENTRIES_PER_TURN)
    for tx_id, stored in streams.entries.items():
        streams.entries[tx_id] = replace(stored, raw=bytes(USUAL_BYTES * ENTRIES_PER_TURN))
    async with other_work() as turns, streams.walker.read(walk("a")):
        assert turns.count >= ENTRIES_PER_TURN


async def test_what_is_made_to_nothing_is_left_out_and_an_empty_stream_is_empty() -> None:
    streams = Streams()
    streams.grow("a", 6)
    odd = StreamWalk("a", lambda _, stored: stored.raw if stored.time_ms % 2 else None)
    none = walk("b")
    async with streams.walker.read(odd, none):
        pass
    assert (odd.found, none.found) == ([b"a-1", b"a-3", b"a-5"], [])


async def test_few_long_walks_are_under_way_at_once_and_short_ones_do_not_wait() -> None:
    streams = Streams()
    streams.grow("long", LONG_ENTRIES + 1)
    streams.grow("short", LONG_ENTRIES)
    inside: list[str] = []
    leave = asyncio.Event()

    async def hold(*names: str) -> None:
        async with streams.walker.read(*[walk(name) for name in names]):
            inside.append(names[0])
            await leave.wait()

    held = [asyncio.create_task(hold("long")) for _ in range(LONG_AT_ONCE + 3)]
    held.append(asyncio.create_task(hold("short")))
    held.append(asyncio.create_task(hold("short", "long")))
    for _ in range(10 * LONG_ENTRIES // ENTRIES_PER_TURN):
        await asyncio.sleep(0)
    assert sorted(inside) == ["long"] * LONG_AT_ONCE + ["short"]
    leave.set()
    await asyncio.gather(*held)
    assert len(inside) == len(held)


async def test_what_was_refused_costs_a_walk_over_the_applied_nothing() -> None:
    streams = Streams()
    streams.grow("a")
    streams.grow("a", LONG, refused=True)
    streams.grow("a")
    streams.grow("a", refused=True)
    applied = StreamWalk("a", lambda _, stored: stored.raw, applied=True)
    async with streams.walker.read(applied):
        assert applied.found == [b"a-0", f"a-{LONG + 1}".encode()]
    assert streams.reads == 2
    only = StreamWalk("b", lambda _, stored: stored.raw, applied=True)
    streams.grow("b", refused=True)
    async with streams.walker.read(only):
        assert only.found == []
    assert streams.state("b").newest_applied == ZERO_HASH


async def test_a_stream_of_too_many_bytes_is_refused_and_nothing_stays_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams()
    streams.grow("a", 5)
    monkeypatch.setattr(stream_walk, "READ_BYTES_MAX", 14)
    monkeypatch.setattr(stream_walk, "SMALL_BYTES", 0)
    monkeypatch.setattr(stream_walk, "HELD_BYTES_MAX", 15)
    for _ in range(3):
        with pytest.raises(StreamTooLarge) as refused:
            async with streams.walker.read(walk("a")):
                raise RuntimeError("not reached")
        assert str(refused.value) == (
            "the entries of a that are asked for have more than 14 bytes; an answer holds at most "
            "so many: ask for shorter windows, one after another"
        )
    monkeypatch.setattr(stream_walk, "READ_BYTES_MAX", 15)
    for _ in range(3):
        async with streams.walker.read(walk("a")) as held:
            assert held is None


async def test_who_comes_when_the_walks_are_full_comes_again_and_the_small_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams()
    streams.grow("a", 8)
    streams.grow("b", 3)
    streams.grow("c", 4)
    monkeypatch.setattr(stream_walk, "SMALL_BYTES", 9)
    monkeypatch.setattr(stream_walk, "HELD_BYTES_MAX", 17)
    async with streams.walker.read(walk("a")):  # 24 bytes, 15 of them beyond what is small
        for _ in range(3):
            small = walk("b")
            async with streams.walker.read(small):
                assert small.found == all_of("b", 3)
            with pytest.raises(WalksFull) as full:
                async with streams.walker.read(walk("c")):
                    raise RuntimeError("not reached")
            assert str(full.value) == "other long records are being answered; ask again"
            assert full.value.retry_after_s == 1
    later = walk("c")
    async with streams.walker.read(later):
        assert later.found == all_of("c", 4)


async def test_only_so_many_long_walks_wait_and_who_gives_up_leaves_the_line() -> None:
    streams = Streams()
    names = [f"long-{number}" for number in range(LONG_AT_ONCE + LONG_WAITING_MAX)]
    for name in [*names, "one-more"]:
        streams.grow(name, LONG_ENTRIES + 1)
    leave = asyncio.Event()

    async def hold(name: str) -> None:
        async with streams.walker.read(walk(name)):
            await leave.wait()

    held = [asyncio.create_task(hold(name)) for name in names]
    for _ in range(10 * LONG_ENTRIES // ENTRIES_PER_TURN):
        await asyncio.sleep(0)
    with pytest.raises(WalksFull):
        await hold("one-more")
    given_up = held.pop()
    given_up.cancel()
    await asyncio.wait([given_up])
    held.append(asyncio.create_task(hold("one-more")))
    leave.set()
    await asyncio.gather(*held)


async def test_a_read_too_large_by_itself_is_not_told_that_others_are_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked again and again it would never be answered; so what stands beside is named."""
    streams = Streams()
    streams.grow("a", 5)
    streams.grow("b", 5)
    monkeypatch.setattr(stream_walk, "READ_BYTES_MAX", 29)
    monkeypatch.setattr(stream_walk, "SMALL_BYTES", 0)
    monkeypatch.setattr(stream_walk, "HELD_BYTES_MAX", 30)
    for _ in range(3):
        with pytest.raises(StreamTooLarge) as refused:
            async with streams.walker.read(walk("a"), walk("b")):
                raise RuntimeError("not reached")
        assert refused.value.stream == "b"
        assert str(refused.value) == (
            "the entries of a, b that are asked for have more than 29 bytes; an answer holds at "
            "most so many: ask for shorter windows, one after another"
        )
    alone = walk("a")
    async with streams.walker.read(alone):
        assert alone.found == all_of("a", 5)


async def test_one_stream_does_not_take_the_others_turns() -> None:
    """Whoever may read one long record, and asks for it a hundred times, waits for itself."""
    streams = Streams()
    streams.grow("nuisance", LONG_ENTRIES + 1)
    streams.grow("other", LONG_ENTRIES + 1)
    leave = asyncio.Event()

    async def hold(name: str) -> str:
        async with streams.walker.read(walk(name)):
            await leave.wait()
        return name

    held = [asyncio.create_task(hold("nuisance")) for _ in range(LONG_OF_ONE_MAX)]
    await asyncio.sleep(0)
    beyond = [asyncio.create_task(hold("nuisance")) for _ in range(3)]
    await asyncio.sleep(0)
    assert [type(each.exception()) for each in beyond if each.done()] == [WalksFull] * 3
    held.append(asyncio.create_task(hold("other")))
    await asyncio.sleep(0)
    leave.set()
    assert (await asyncio.gather(*held))[-1] == "other"
    assert await hold("nuisance") == "nuisance"
    assert LONG_OF_ONE_MAX < LONG_AT_ONCE + LONG_WAITING_MAX


async def test_one_stream_does_not_hold_all_that_walks_may_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams()
    streams.grow("a", 4)
    streams.grow("b", 2)
    streams.grow("c", 8)
    monkeypatch.setattr(stream_walk, "SMALL_BYTES", 0)
    monkeypatch.setattr(stream_walk, "HELD_BYTES_MAX", 24)
    monkeypatch.setattr(stream_walk, "HELD_OF_STREAM_BYTES_MAX", 12)
    for _ in range(2):
        async with streams.walker.read(walk("a")):
            with pytest.raises(WalksFull):
                async with streams.walker.read(walk("a")):
                    raise RuntimeError("not reached")
            async with streams.walker.read(walk("b")), streams.walker.read(walk("b")):
                pass
        alone = walk("c")
        async with streams.walker.read(alone):
            assert alone.found == all_of("c", 8), "a single one may hold more"
