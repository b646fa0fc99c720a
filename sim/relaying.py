"""What peers relay to one simulated process, on its way to the driver: the node's own way.

`Relayed`, `FairTurns` and `Examiner` are those of production, on an event loop of the world's time
that ends with the process. Only checking signatures is made up: it takes a span of chance, and the
answer comes from the simulator's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ledger.refusal import Rejected
from ledger.transaction import Check
from node.backlog import Backlog, weight_of
from node.blocks import split_hashes
from node.driver import Driver
from node.effects import Admitted, FetchEnvelopes, Say, VerifyEnvelopes
from node.examiner import Examiner, Verifier
from node.fair_turns import FairTurns
from node.intake import Parsed
from node.relayed import Relayed
from sim.coverage import Coverage
from sim.deployment import MEMORY
from sim.loop import VirtualLoop
from sim.world import SECOND, World

TURNS: Final = (1, 2, 4)
"""Turns at a time, one of these for each node: fewer than production has, because there is less to
do here, and who has a turn at once waits for nobody."""

ReadRelayed = Callable[[bytes, bytes], Parsed | Rejected]
"""From an envelope and a chain's id, as `node.intake.parse_all_relayed` reads one."""


class Relaying:
    """Of one process, from its start to its end; see the module's text."""

    def __init__(
        self,
        world: World,
        coverage: Coverage,
        driver: Driver,
        backlog: Backlog,
        read: ReadRelayed,
        *,
        turns: int,
        verify_us: Callable[[], int],
        admit: Callable[[Admitted], Awaitable[None]],
        passed_over: Callable[[int], None],
        failed: Callable[[BaseException], None],
        goes_on_us: Callable[[], int],
        say: Say,
    ) -> None:
        """`verify_us` is asked how long the next checks take; `passed_over` is told whose frame is
        not looked at, `failed` what a task raised; `goes_on_us` is until when the process is
        stopped; for the others see `node.relayed.Relayed`."""
        self._coverage = coverage
        self._passed_over = passed_over
        self._backlog = backlog
        self.loop: Final = VirtualLoop(world, failed, goes_on_us)
        self.examiner: Final = _RememberingExaminer(
            _SlowMemory(verify_us), driver.chain.chain_id, read
        )
        self.turns: Final = _WatchedTurns(turns, coverage)
        self.relayed: Final = Relayed(
            self.examiner,
            self.turns,
            find_pooled=driver.pool.find_envelopes,
            admit=admit,
            say=say,
        )

    @property
    def count(self) -> int:
        """Envelopes of peers that are here and not dealt with."""
        return self.relayed.count

    def take(self, effect: VerifyEnvelopes) -> None:
        """Have a peer's frame dealt with, if this peer is trusted."""
        self.loop.enter(self._take, effect)

    def _take(self, effect: VerifyEnvelopes) -> None:
        replica = effect.from_replica
        if not self.relayed.is_trusted(replica):
            self._passed_over(replica)
            return
        weight = weight_of(effect.envelopes)
        self._backlog.begin(replica, weight)
        self.relayed.take(
            replica,
            effect.envelopes,
            lambda: self._backlog.end(replica, weight),
            split_hashes(effect.wanted),
        )

    def hasten(self, effect: FetchEnvelopes) -> list[bytes]:
        """Have what is here dealt with first; return the hashes that a peer has to be asked for."""
        wanted = split_hashes(effect.envelope_hashes)
        missing = self.loop.enter(self.relayed.hasten, wanted)
        if 0 < len(missing) < len(wanted):
            self._coverage.count("only the rest asked for")
        return missing

    def take_own(self, envelopes: Sequence[bytes], then: Callable[[], None]) -> None:
        """Deal with what this node itself has kept, and then go on."""

        async def work() -> None:
            await self.relayed.take_own(envelopes)
            then()

        self.loop.create_task(work())

    def close(self) -> None:
        """End in the middle of anything."""
        self.loop.close()

    def abandon(self) -> None:
        """Let go of what has not begun, at the end of the world."""
        self.loop.abandon()


class _SlowMemory:
    """Checks signatures as a worker process does, after a while: a `Verifier`."""

    def __init__(self, verify_us: Callable[[], int]) -> None:
        self._verify_us = verify_us

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        """Return, in order, whether each check is good."""
        await asyncio.sleep(self._verify_us() / SECOND)
        return [MEMORY.verify(*check) for check in checks]


class _RememberingExaminer(Examiner):
    """Reads what comes to every node once: reading is pure, and what is read is frozen."""

    def __init__(self, verifier: Verifier, chain_id: bytes, read: ReadRelayed) -> None:
        super().__init__(verifier, chain_id)
        self._read = read

    def parse_relayed(self, raws: Sequence[bytes]) -> list[Parsed | Rejected]:
        """Read what a peer relayed, each in its place."""
        return [self._read(raw, self._chain_id) for raw in raws]


class _WatchedTurns(FairTurns):
    """Counts who goes before whom."""

    def __init__(self, width: int, coverage: Coverage) -> None:
        super().__init__(width)
        self._coverage = coverage

    def _next(self) -> asyncio.Future[None] | None:
        if self._urgent:
            self._coverage.count("named envelopes hastened")
            if any(self._sources.values()):
                self._coverage.count("urgent turn first")
        return super()._next()
