"""What clients submit to one simulated process, on its way to a signed promise: the node's own way.

`Submissions` is that of production, with the process's own turns, examiner and relayed envelopes
(`sim.relaying`), and signs receipts with the institution's key. It stands where the API's routes
begin: HTTP, tokens and the reading of a request's body are not here. Syncing the spool takes a span
on a thread of its own, as there; the process can end before any change of the disk, and a request
that is under way ends with it unanswered, as a broken connection would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from api.ports import Intake, Position, Unavailable
from contracts.execution import Chain
from ledger.words import Words
from node.driver import Driver
from node.effects import Admitted
from node.examiner import Examiner
from node.fair_turns import FairTurns
from node.ledger_store import LedgerStore
from node.relayed import Relayed
from node.shell import Disk
from node.submissions import Quota, Submissions
from sim.coverage import Coverage
from sim.loop import VirtualLoop
from sim.relaying import Relaying
from storage.files import StorageFailure

QUOTA_PER_S: Final = 1_000.0
"""No client here is over its quota: what it is refused for says nothing about promises."""

Answered = Callable[[Sequence[Intake]], None]
"""Told what a request is answered, in the order of its envelopes; never, where it is not."""

DiskWork = Callable[[], None]


class Promising:
    """Of one process, from its start to its end; see the module's text."""

    def __init__(self, coverage: Coverage, loop: VirtualLoop, shell: ProcessShell) -> None:
        self._coverage = coverage
        self._loop = loop
        self._submissions = Submissions(
            shell,
            Quota(QUOTA_PER_S, QUOTA_PER_S),
            lambda tx_id: find_position(shell.disk.store, tx_id),
            lambda reason: coverage.count(f"refused at the door: {reason.value}"),
        )

    def submit(self, envelopes: Sequence[bytes], answered: Answered) -> None:
        """Take a request; its answer comes when the process has come to it."""

        async def work() -> None:
            try:
                answers = await self._submissions.submit(envelopes)
            except Unavailable:
                self._coverage.count("nothing promised: the tip is not known or not reached")
            except StorageFailure:
                return  # the node stops, and has said why
            else:
                answered(answers)

        self._loop.create_task(work())

    def settle(self, tx_ids: Sequence[bytes]) -> None:
        """A block with these is durable."""
        self._submissions.settle(tx_ids)


class ProcessShell:
    """What `node.submissions.Surroundings` says, of a simulated process."""

    def __init__(
        self,
        relaying: Relaying,
        driver: Driver,
        disk: Disk,
        *,
        now_ms: Callable[[], int],
        perform: Callable[[Admitted], Awaitable[None]],
        write: Callable[[DiskWork, asyncio.Future[None]], None],
        fail: Callable[[Words], None],
    ) -> None:
        """`write` has something done on the spool's thread and tells the future of its end; `fail`
        stops the node, later."""
        self.driver = driver
        self.disk = disk
        self.examiner: Examiner = relaying.examiner
        self.turns: FairTurns = relaying.turns
        self.relayed: Relayed = relaying.relayed
        self.is_stopped = False
        self._now_ms = now_ms
        self._perform = perform
        self._write = write
        self._fail = fail

    @property
    def chain(self) -> Chain:
        return self.driver.chain

    def now_ms(self) -> int:
        return self._now_ms()

    def fail(self, reason: Words) -> None:
        self.is_stopped = True
        self._fail(reason)

    async def perform(self, event: Admitted) -> None:
        await self._perform(event)

    async def write_spool(self, work: DiskWork) -> None:
        written = asyncio.get_running_loop().create_future()
        self._write(work, written)
        await written


def find_position(store: LedgerStore, tx_id: bytes) -> Position | None:
    """Return where a transaction stands; of what became of it nothing, for intake does not ask."""
    found = store.chain_store.transaction(tx_id)
    if found is None:
        return None
    return Position(
        tx_id=tx_id,
        index=found.index,
        height=found.height,
        time_ms=0,
        status="applied",
        code="",
        effects=(),
        certified=False,
        stream="",
    )
