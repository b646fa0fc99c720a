"""The simulator's event loop: order, the world's time, failures, and the end of a process."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from sim.loop import VirtualLoop
from sim.world import MS, SECOND, World


class Process:
    """A loop in a world of its own, and what happened in it."""

    def __init__(self) -> None:
        self.world = World(0)
        self.failures: list[BaseException] = []
        self.loop = VirtualLoop(self.world, self.failures.append)
        self.log: list[tuple[int, str]] = []
        """(Time in µs, what)."""

    def note(self, what: str) -> None:
        self.log.append((self.world.now_us, what))

    async def pause(self, name: str, *spans_us: int) -> None:
        self.note(name)
        for span_us in spans_us:
            await asyncio.sleep(span_us / SECOND)
            self.note(name)

    def run(self) -> None:
        while self.world.step():
            pass


def test_what_is_ready_runs_in_its_order_and_what_is_later_at_its_time() -> None:
    process = Process()
    process.world.after(5, lambda: process.note("world"))
    process.loop.create_task(process.pause("a", 0, 7, 0))
    process.loop.create_task(process.pause("b", 3, 4))
    process.loop.call_soon(process.note, "c")
    assert process.log == [], "nothing runs before the world's next event"
    process.run()
    assert process.log == [
        (0, "a"), (0, "b"), (0, "c"), (0, "a"), (3, "b"), (5, "world"), (7, "a"), (7, "a"),
        (7, "b"),
    ]  # fmt: skip
    assert process.failures == []


def test_a_task_begins_as_every_python_asks_for_it() -> None:
    """`asyncio.create_task` gives a context along, and since 3.13 always a name."""
    process = Process()
    held: ContextVar[str] = ContextVar("held")
    context = copy_context()
    context.run(held.set, "b")

    async def tell() -> None:
        process.note(held.get())

    assert process.loop.create_task(tell(), name="named", context=context).get_name() == "named"
    process.run()
    assert process.log == [(0, "b")]


def test_its_clock_is_the_worlds() -> None:
    process = Process()
    process.world.after(1_500 * MS, lambda: process.note(str(process.loop.time())))
    process.run()
    assert process.log == [(1_500 * MS, "1.5")]


def test_nothing_of_a_stopped_process_runs_until_it_goes_on() -> None:
    process = Process()
    until_us = [5]
    process.loop = VirtualLoop(process.world, process.failures.append, lambda: until_us[0])
    process.loop.create_task(process.pause("a", 2, 9))
    process.loop.call_at(3 / SECOND, process.note, "b")
    process.run()
    assert process.log == [(5, "a"), (5, "b"), (7, "a"), (16, "a")]
    until_us[0] = 10**9
    process.loop.create_task(process.pause("c"))
    process.loop.close()
    assert process.log[4:] == [], "one that ends is not waited for"


def test_what_is_begun_from_outside_runs_afterwards() -> None:
    process = Process()

    def begin() -> str:
        asyncio.create_task(process.pause("task", 2))  # noqa: RUF006 - the loop holds it
        process.note("begun")
        return "answer"

    assert process.loop.enter(begin) == "answer"
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    process.run()
    assert process.log == [(0, "begun"), (0, "task"), (2, "task")]


@pytest.mark.parametrize("error", [ValueError("wrong"), asyncio.CancelledError(), SystemError()])
def test_what_a_task_raises_is_told_even_if_another_waits_for_it(error: BaseException) -> None:
    process = Process()

    async def fail() -> None:
        await asyncio.sleep(1 / SECOND)
        raise error

    async def wait() -> None:
        await asyncio.gather(fail(), return_exceptions=True)

    process.loop.create_task(wait())
    process.run()
    is_end = isinstance(error, asyncio.CancelledError)
    assert process.failures == ([] if is_end else [error])


def test_what_a_callback_raises_is_told_when_nothing_runs() -> None:
    process = Process()
    told_inside = []

    def tell(error: BaseException) -> None:
        process.failures.append(error)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            told_inside.append(False)

    loop = VirtualLoop(process.world, tell)
    loop.call_soon([].pop)
    process.run()
    assert [type(error) for error in process.failures] == [IndexError]
    assert told_inside == [False]


def test_the_end_of_a_process_is_the_end_of_its_tasks() -> None:
    process = Process()
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
            process.note("not reached")
        finally:
            ended.append("work")

    process.loop.create_task(work())
    process.loop.call_later(0.5, process.note, "not called")
    process.world.after(100 * MS, process.loop.close)
    process.run()
    assert (process.log, ended, process.failures) == ([], ["work"], [])


def test_a_task_that_does_not_end_is_told() -> None:
    process = Process()

    async def work() -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                process.note("goes on")

    process.loop.create_task(work())
    assert process.world.step()
    with pytest.raises(RuntimeError, match=r"^1 tasks do not end when they are cancelled$"):
        process.loop.close()
    assert process.log == [(0, "goes on")]
