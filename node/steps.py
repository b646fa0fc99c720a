"""One event after another, and the effects of each step in order before the next event.

The driver steps on an event and says what must be done; an effect that syncs the disk is done on a
thread, and everything behind it waits, while the event loop turns. What an effect itself causes
comes next, once its own step is done with: a step inside a step would save a newer record, and the
outer one's older record over it. A failure ends everything: nothing that came after it may happen
as if it had succeeded. What the events and effects are is not known here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ledger.words import Words
from node.exceptions import describe_failure
from storage.files import StorageFailure

Event = TypeVar("Event")
Effect = TypeVar("Effect")


@dataclass(frozen=True, slots=True)
class DiskWork:
    """What an effect has to do on the disk, and what follows on the event loop."""

    work: Callable[[], Any]
    then: Callable[[Any], None]
    """Given what `work` returned."""


class Steps(Generic[Event, Effect]):
    """See the module's text. All methods are called on the event loop."""

    def __init__(
        self,
        step: Callable[[Event], Iterable[Effect]],
        perform: Callable[[Effect], DiskWork | None],
        failed: Callable[[Words], None],
        thread: Executor | None,
    ) -> None:
        """`perform` does an effect, or returns what the thread (None: this one) has to do.

        `failed` is told once, with the reason; from then on nothing happens any more.
        """
        self._step = step
        self._perform = perform
        self._failed = failed
        self._thread = thread
        self._events: deque[tuple[Event, asyncio.Future[None] | None]] = deque()
        self._effects: deque[Effect] = deque()
        self._performed: asyncio.Future[None] | None = None
        """Who waits for the step whose effects these are."""
        self._disk_work: asyncio.Future[Any] | None = None
        self._is_going = False
        self.is_stopped = False

    @property
    def is_busy(self) -> bool:
        """Say whether a step's effects wait for the disk."""
        return self._is_going

    def put(self, event: Event) -> None:
        """Have an event stepped and its effects performed, after all that came before it."""
        self._put(event, None)

    def put_first(self, event: Event) -> None:
        """Have an event that an effect caused stepped next."""
        self._events.appendleft((event, None))

    async def perform(self, event: Event) -> None:
        """Put an event and wait until its effects are performed; raise `StorageFailure`."""
        performed = asyncio.get_running_loop().create_future()
        self._put(event, performed)
        await performed

    def _put(self, event: Event, performed: asyncio.Future[None] | None) -> None:
        if self.is_stopped:
            _give_up(performed)
            return
        self._events.append((event, performed))
        if not self._is_going:
            self._go_on()

    def stop(self) -> None:
        """Do nothing more; whoever waits is told so."""
        self.is_stopped = True
        self._effects.clear()
        _give_up(self._performed)
        for _, performed in self._events:
            _give_up(performed)
        self._events.clear()

    async def close(self) -> None:
        """Stop, and wait for the disk."""
        self.stop()
        if self._disk_work is not None:
            await asyncio.gather(self._disk_work, return_exceptions=True)

    def _go_on(self) -> None:
        """Perform effects until there are none, or until one has gone to the disk."""
        self._is_going = True
        try:
            while not self.is_stopped:
                if self._effects:
                    if self._is_waiting_after(self._effects.popleft()):
                        return  # `_disk_answered` goes on
                    continue
                if self._performed is not None and not self._performed.done():
                    self._performed.set_result(None)
                self._performed = None
                if not self._events:
                    break
                event, self._performed = self._events.popleft()
                self._effects.extend(self._step(event))
        except Exception as error:
            self._fail(error)
            if not isinstance(error, StorageFailure):
                raise
        self._is_going = False

    def _is_waiting_after(self, effect: Effect) -> bool:
        """Perform an effect; say whether the rest has to wait for the disk."""
        wanted = self._perform(effect)
        if wanted is None:
            return False
        if self._thread is None:
            wanted.then(wanted.work())
            return False
        self._disk_work = asyncio.get_running_loop().run_in_executor(self._thread, wanted.work)
        self._disk_work.add_done_callback(lambda done: self._disk_answered(done, wanted))
        return True

    def _disk_answered(self, done: asyncio.Future[Any], wanted: DiskWork) -> None:
        try:
            wanted.then(done.result())
        except Exception as error:
            self._fail(error)
            if not isinstance(error, StorageFailure):
                raise
        else:
            self._go_on()

    def _fail(self, error: Exception) -> None:
        """Tell why nothing goes on.

        A step that broke off may have voted in memory and not on disk, so nothing may follow it.
        """
        self.stop()
        self._failed(describe_failure(error))


def _give_up(performed: asyncio.Future[None] | None) -> None:
    if performed is not None and not performed.done():
        performed.set_exception(
            StorageFailure(
                "the node stops; nothing more is performed", "节点正在停止，不再执行任何操作"
            )
        )
