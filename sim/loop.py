"""The event loop of a simulated process: asyncio's futures and tasks on the world's time.

It has what these ask of their loop, and nothing else: no selector, no real time, no thread. What is
ready runs in the order in which it was scheduled, until nothing is ready any more; what is due
later is an event of the world. No failure is swallowed: the first, of a task or of a callback, is
told to whoever made the loop. When the process ends so do its tasks, and nothing of them is called
any more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Final, ParamSpec, TypeVar, cast

from sim.world import SECOND, World

T = TypeVar("T")
P = ParamSpec("P")


Call = tuple[Callable[..., object], tuple[Any, ...], Context]
"""A callback, its arguments, and the context it is called in."""


class Timer:
    """A call that is due later."""

    __slots__ = ("is_cancelled",)

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        """Let it not happen."""
        self.is_cancelled = True


class VirtualLoop:
    """See the module's text. To asyncio it is an event loop by what it can do."""

    def __init__(
        self,
        world: World,
        failed: Callable[[BaseException], None],
        goes_on_us: Callable[[], int] = lambda: 0,
    ) -> None:
        """`failed` is called with what a task or callback raised, when no callback runs.

        `goes_on_us` is asked when the process goes on: until then nothing of it runs.
        """
        self._world: Final = world
        self._goes_on_us = goes_on_us
        self._itself: Final = cast(asyncio.AbstractEventLoop, self)
        """This loop, as asyncio's functions take one."""
        self._failed = failed
        self._ready: deque[Call] = deque()
        self._tasks: dict[asyncio.Task[Any], None] = {}
        """Those that have not ended, in the order of their beginning."""
        self._failure: BaseException | None = None
        self._is_expected = False
        """Whether the world will let what is ready run."""
        self._is_closed = False

    def enter(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function that begins tasks; they run when it has returned."""
        asyncio._set_running_loop(self._itself)
        try:
            return function(*arguments, **named)
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """End every task where it is, as the end of the process would."""
        self._goes_on_us = lambda: 0
        for task in self._tasks:
            task.cancel()
        self._run()
        if self._tasks:
            raise RuntimeError(f"{len(self._tasks)} tasks do not end when they are cancelled")
        self._is_closed = True

    def abandon(self) -> None:
        """Let go of tasks that have not begun: their world ends, and they are not missed."""
        for task in self._tasks:
            work = task.get_coro()
            if (
                inspect.iscoroutine(work)
                and inspect.getcoroutinestate(work) == inspect.CORO_CREATED
            ):
                work.close()

    # What futures and tasks ask for

    def time(self) -> float:
        """Return the world's time in seconds."""
        return self._world.now_us / SECOND

    def get_debug(self) -> bool:
        """Say no: nothing is checked but what the simulator checks."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self._itself)

    def create_task(
        self,
        work: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Begin a task; since Python 3.13 `asyncio.create_task` gives its name along."""
        task = asyncio.Task(work, loop=self._itself, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def call_soon(
        self, callback: Callable[..., object], *arguments: Any, context: Context | None = None
    ) -> None:
        """Have something called after all that is ready now."""
        self._ready.append((callback, arguments, context or copy_context()))
        if not self._is_expected:
            self._is_expected = True
            self._world.after(0, self._run)

    def call_later(self, delay_s: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Have something called after a span."""
        return self.call_at(self.time() + delay_s, callback, *arguments)

    def call_at(self, when_s: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Have something called at a time."""
        timer, context = Timer(), copy_context()

        def due() -> None:
            if not timer.is_cancelled:
                self._ready.append((callback, arguments, context))
                self._run()

        self._world.at(round(when_s * SECOND), due)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Take note of a failure."""
        self._fail(context.get("exception") or RuntimeError(context["message"]))

    # Running

    def _run(self) -> None:
        """Run what is ready, and what becomes ready by that."""
        self._is_expected = True
        goes_on_us = self._goes_on_us()
        if goes_on_us > self._world.now_us:
            self._world.at(goes_on_us, self._run)
            return
        self.enter(self._run_ready)
        self._is_expected = False
        failure, self._failure = self._failure, None
        if failure is not None:
            self._failed(failure)

    def _run_ready(self) -> None:
        ready = self._ready
        while ready and self._failure is None and not self._is_closed:
            callback, arguments, context = ready.popleft()
            try:
                context.run(callback, *arguments)
            except Exception as error:  # noqa: BLE001 - it is told when nothing runs
                self._fail(error)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
