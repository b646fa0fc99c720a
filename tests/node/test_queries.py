"""Who waits for what, and that nobody is remembered who no longer waits."""

from __future__ import annotations

import asyncio
import threading
from asyncio import Event
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Unavailable
from node.queries import Queries, work_aside
from node.stream_walk import LONG_ENTRIES, USUAL_BYTES
from node.turns import LONG_AT_ONCE, LONG_OF_ONE_MAX, LONG_WAITING_MAX


def make_queries() -> Queries:
    store = SimpleNamespace(first_checkpoint_at_or_after=lambda height: None)
    shell: Any = SimpleNamespace(
        driver=SimpleNamespace(is_known=lambda tx_id: False),
        disk=SimpleNamespace(store=SimpleNamespace(chain_store=store)),
    )
    return Queries(shell)


async def test_who_waits_in_vain_is_forgotten() -> None:
    """While no quorum cosigns, every request for the newest proof waits: thousands an hour."""
    queries = make_queries()
    waits = [queries.wait_certified(5, 0.01), queries.wait_committed(b"x", 0.01)]
    assert await asyncio.gather(*waits) == [False, False]
    left = [asyncio.create_task(queries.wait_certified(5, 60))]
    left.append(asyncio.create_task(queries.wait_committed(b"x", 60)))
    await asyncio.sleep(0)
    for task in left:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (queries._certified, queries._committed) == ({}, {})


async def test_who_waits_is_woken_by_what_covers_it() -> None:
    queries = make_queries()
    low, high, also_low = [
        asyncio.create_task(queries.wait_certified(height, 60)) for height in (5, 9, 6)
    ]
    waiting = [asyncio.create_task(queries.wait_committed(b"x", 60)) for _ in range(2)]
    await asyncio.sleep(0)
    queries.height_certified(6)
    queries.block_committed([b"y", b"x"])
    assert await asyncio.gather(low, also_low, *waiting) == [True] * 4
    assert not high.done()
    queries.height_certified(9)
    assert await high
    assert (queries._certified, queries._committed) == ({}, {})


async def test_at_the_end_of_a_node_nobody_waits_for_what_is_to_come() -> None:
    """A request that waited a minute held the node up, and was cut off with an error in its log."""
    queries = make_queries()
    waiting = [asyncio.create_task(queries.wait_committed(b"x", 60)) for _ in range(2)]
    waiting.append(asyncio.create_task(queries.wait_certified(5, 60)))
    await asyncio.sleep(0)
    queries.end_waiting()
    assert await asyncio.gather(*waiting) == [False] * 3
    assert not await queries.wait_committed(b"y", 60)
    assert not await queries.wait_certified(6, 60)
    assert (queries._certified, queries._committed) == ({}, {})


async def test_who_is_cancelled_waits_for_its_thread_which_still_holds_everything() -> None:
    begun, leave = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        leave.wait()

    task = asyncio.create_task(work_aside(LONG_ENTRIES + 1, work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    was_done = task.done()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not was_done
    assert await work_aside(LONG_ENTRIES + 1, lambda: 7) == 7


def queries_of_blocks(monkeypatch: pytest.MonkeyPatch, begun: list[int], go: Event) -> Queries:
    """Blocks of which those at even heights are long; each is begun and then waits for `go`."""

    def position(height: int) -> Any:
        length = LONG_ENTRIES * USUAL_BYTES if height % 2 == 0 else 100
        return SimpleNamespace(entry_count=1, place=SimpleNamespace(length=length))

    def block(height: int) -> tuple[list[bytes], bytes]:
        begun.append(height)
        return [b"an entry"], b""

    async def aside(weight: int, work: Callable[[], Any]) -> list[bytes]:
        await go.wait()
        return []

    monkeypatch.setattr("node.queries.work_aside", aside)
    monkeypatch.setattr("node.queries.encode_header", lambda header: b"")
    queries = make_queries()
    queries._shell.chain = SimpleNamespace(header=SimpleNamespace(height=1_000))  # type: ignore[misc,assignment]
    disk: Any = queries._shell.disk.store
    disk.header = lambda height: None
    disk.chain_store.start = SimpleNamespace(height=0)
    disk.chain_store.block_position = position
    disk.chain_store.block = block
    return queries


async def test_few_long_blocks_are_read_at_a_time_and_who_finds_the_line_full_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is some megabytes in memory and a thread, and anybody may ask for any."""
    begun: list[int] = []
    go = Event()
    queries = queries_of_blocks(monkeypatch, begun, go)
    asked = [
        asyncio.create_task(queries.block(2 * number))
        for number in range(LONG_AT_ONCE + LONG_WAITING_MAX)
    ]
    await asyncio.sleep(0)
    assert len(begun) == LONG_AT_ONCE
    with pytest.raises(Unavailable, match="other long blocks are being read; ask again"):
        await queries.block(998)
    short = asyncio.create_task(queries.block(1))
    await asyncio.sleep(0)
    assert begun[-1] == 1
    asked.pop().cancel()
    await asyncio.sleep(0)
    asked.append(asyncio.create_task(queries.block(998)))
    go.set()
    found = await asyncio.gather(short, *asked)
    assert len(found) == len(asked) + 1
    assert len(begun) == len(found)


async def test_who_asks_for_one_long_block_again_and_again_leaves_places_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = Event()
    queries = queries_of_blocks(monkeypatch, [], go)
    same = [asyncio.create_task(queries.block(8)) for _ in range(LONG_OF_ONE_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await queries.block(8)
    other = asyncio.create_task(queries.block(10))
    go.set()
    await asyncio.gather(other, *same)
