"""The line of steps: order across a thread, who is told what, and nothing after a failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.words import Words
from node.steps import DiskWork, Steps
from storage.files import StorageFailure


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "disk") as executor:
        yield executor


class Line:
    """Steps over a script: an event is its effects; `!x` syncs, `?x` fails, `+x` causes x."""

    def __init__(self, thread: ThreadPoolExecutor | None) -> None:
        self.done: list[str] = []
        self.threads: set[str] = set()
        self.failures: list[Words] = []
        self.gate = threading.Event()
        self.gate.set()
        self.steps: Steps[list[str], str] = Steps(
            self.step, self.perform, self.failures.append, thread
        )

    def step(self, event: list[str]) -> list[str]:
        self.done.append(f"step {event[0]}")
        return event[1:]

    def perform(self, effect: str) -> DiskWork | None:
        if effect[0] not in "!?":
            if effect.startswith("+"):
                self.steps.put_first([effect[1:], "caused"])
            if effect == "raise":
                raise ZeroDivisionError("our own mistake")
            self.done.append(effect)
            return None

        def work() -> str:
            self.gate.wait()
            self.threads.add(threading.current_thread().name)
            if effect.startswith("?"):
                raise StorageFailure(f"{effect[1:]} is full", "磁盘空间不足")
            return effect[1:]

        return DiskWork(work, lambda answer: self.done.append(f"synced {answer}"))


@pytest.mark.parametrize("is_threaded", [False, True])
async def test_effects_keep_their_order_and_steps_do_not_mix(
    is_threaded: bool, thread: ThreadPoolExecutor
) -> None:
    line = Line(thread if is_threaded else None)
    line.steps.put(["a", "1", "!2", "+x", "3", "!4"])
    line.steps.put(["b", "5"])
    await line.steps.perform(["c", "!6", "7"])
    assert line.done == [
        "step a", "1", "synced 2", "+x", "3", "synced 4",
        "step x", "caused",
        "step b", "5",
        "step c", "synced 6", "7",
    ]  # fmt: skip
    assert {name.startswith("disk") for name in line.threads} == {is_threaded}
    assert not line.steps.is_busy


async def test_the_loop_turns_while_the_disk_syncs(thread: ThreadPoolExecutor) -> None:
    line = Line(thread)
    line.gate.clear()
    line.steps.put(["a", "!1", "2"])
    line.steps.put(["b"])
    await asyncio.sleep(0)
    assert line.steps.is_busy
    assert line.done == ["step a"]
    line.gate.set()
    await line.steps.perform(["c"])
    assert line.done == ["step a", "synced 1", "2", "step b", "step c"]


@pytest.mark.parametrize("is_threaded", [False, True])
async def test_nothing_follows_a_failing_disk_and_whoever_waits_is_told(
    is_threaded: bool, thread: ThreadPoolExecutor
) -> None:
    line = Line(thread if is_threaded else None)
    line.gate.clear()
    waiting = [
        asyncio.create_task(line.steps.perform(event)) for event in (["a", "?disk", "1"], ["b"])
    ]
    line.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["the node stops; nothing more is performed"] * 2
    assert line.failures == [Words("磁盘出错：磁盘空间不足", "the disk failed: disk is full")]
    assert line.done == ["step a"]
    line.steps.put(["c", "2"])
    with pytest.raises(StorageFailure):
        await line.steps.perform(["d"])
    assert line.done == ["step a"]


async def test_a_mistake_of_our_own_stops_everything_and_is_raised() -> None:
    line = Line(None)
    with pytest.raises(ZeroDivisionError):
        line.steps.put(["a", "1", "raise", "2"])
    assert [one.en for one in line.failures] == [
        "a mistake of this program: ZeroDivisionError: our own mistake"
    ]
    assert line.done == ["step a", "1"]
    assert line.steps.is_stopped


async def test_closing_waits_for_the_disk_and_begins_nothing(thread: ThreadPoolExecutor) -> None:
    line = Line(thread)
    line.gate.clear()
    line.steps.put(["a", "!1", "2"])
    closing = asyncio.create_task(line.steps.close())
    await asyncio.sleep(0)
    assert not closing.done()
    line.gate.set()
    await closing
    assert line.done == ["step a", "synced 1"]
