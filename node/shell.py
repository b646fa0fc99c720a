"""The asyncio shell: moves bytes between the driver, the disk, the peers and the API.

It decides nothing. Every event goes through `dispatch`; one after another they step the driver, and
the effects of a step are performed in their order before the next (`node.steps`). What syncs the
disk is done on a thread; meanwhile the event loop reads what arrives and answers who asks, from the
state as it is applied. A disk that fails stops the node there, with nothing after it performed.
Signature checks run in worker processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from consensus.actions import KEEP
from contracts.execution import Chain
from ledger.refusal import Rejected
from ledger.transaction import decode_transaction
from ledger.words import Words
from node.backlog import Backlog, weight_of
from node.blocks import split_hashes
from node.driver import Driver
from node.effects import (
    BroadcastFrame,
    CommitBlock,
    Committed,
    Effect,
    FetchEnvelopes,
    FrameReceived,
    Halted,
    NodeEvent,
    PeerChanged,
    PutCheckpoint,
    RecoveryEnded,
    Said,
    SaveJournal,
    Say,
    SendFrame,
    Started,
    Ticked,
    VerifyEnvelopes,
)
from node.examiner import Examiner, Verifier
from node.exceptions import describe_failure
from node.fair_turns import FairTurns
from node.ledger_store import LedgerStore
from node.messages import (
    POST_QUANTUM_START,
    TRANSACTIONS_START,
    FetchTransactions,
    Transactions,
    decode_frame,
    encode_frame,
)
from node.relayed import Relayed
from node.steps import DiskWork, Steps
from node.verification import VerifierUnavailable
from storage.files import StorageFailure
from storage.journal import Journal
from storage.journal import Keep as JournalKeep
from storage.records import Appended
from storage.spool import Spool

TICK_S: Final = 0.05
"""Length of a tick; `consensus.timers` counts in these."""

TURNS_PER_PROCESS: Final = 4
"""Turns at a time (`node.fair_turns`) for this process and for each that checks signatures: so that
none of them waits for another."""

CLOCK_STEP_S: Final = 0.001


class Carrier(Protocol):
    """The transport, as the shell needs it (`node.transport.Transport`)."""

    def send(self, replica: int, payload: bytes, bulk: bool = False) -> bool:
        """Queue a frame for one peer."""

    def broadcast(self, payload: bytes, bulk: bool = False) -> int:
        """Queue a frame for every peer."""

    def tell(self, payload: bytes) -> int:
        """Queue for every peer that is here what is true now, before all else."""

    def hold(self, replica: int) -> None:
        """Stop delivering a peer's frames."""

    def release(self, replica: int) -> None:
        """Deliver them again."""


class Observer(Protocol):
    """Who is told what happened: metrics and waiting requests."""

    def committed(self, effect: CommitBlock) -> None:
        """A block is durable."""

    def certified(self, height: int) -> None:
        """A checkpoint is certified."""


@dataclass(slots=True)
class Disk:
    """Everything this node writes."""

    store: LedgerStore
    journal: Journal
    spool: Spool


class Shell:
    """Performs a driver's effects in one process; see the module's text."""

    def __init__(
        self,
        driver: Driver,
        disk: Disk,
        verifier: Verifier,
        observer: Observer,
        *,
        say: Say,
        stop: Callable[[Words], None],
        end_recovery: Callable[[], None],
        clock_ms: Callable[[], int] | None = None,
        turns: int = TURNS_PER_PROCESS,
        disk_thread: Executor | None = None,
        spool_thread: Executor | None = None,
    ) -> None:
        """Without threads the disk is synced where it is asked for.

        The two threads, of one worker each, are the caller's; it ends them after `close`.
        """
        self.driver = driver
        self.disk = disk
        self.carrier: Carrier | None = None
        self.on_post_quantum: Callable[[int, bytes], None] | None = None
        """Who takes a replica's frame with a post-quantum cosignature; nobody else reads it."""
        self.examiner = Examiner(verifier, driver.chain.chain_id)
        self.turns = FairTurns(turns)
        """At reading what peers and clients bring, and having it checked."""
        self.relayed = Relayed(
            self.examiner,
            self.turns,
            find_pooled=self._find_pooled,
            admit=self.perform,
            say=say,
        )
        self._observer = observer
        self._say = say
        self._stop = stop
        self._end_recovery = end_recovery
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._backlog = Backlog(self._hold, self._release)
        self._spool_thread = spool_thread
        self._steps = Steps(self._step, self._perform, self._failed, disk_thread)
        self._ticker: asyncio.Task[None] | None = None
        self._is_tick_waiting = False
        self._untaken: list[bytes] = []
        """What is promised and the pool did not take at the start."""

    @property
    def chain(self) -> Chain:
        """The applied state."""
        return self.driver.chain

    def now_ms(self) -> int:
        """Return this node's clock, milliseconds since 1970."""
        return self._clock_ms()

    # Events

    @property
    def is_stopped(self) -> bool:
        """Say whether nothing happens any more."""
        return self._steps.is_stopped

    def dispatch(self, event: NodeEvent) -> None:
        """Have an event stepped and its effects performed, after all that came before it."""
        self._steps.put(event)

    async def perform(self, event: NodeEvent) -> None:
        """Dispatch an event and wait until its effects are performed; raise `StorageFailure`."""
        await self._steps.perform(event)

    def _step(self, event: NodeEvent) -> list[Effect]:
        if isinstance(event, FrameReceived):
            self._backlog.end(event.replica, weight_of([event.payload]))
        elif isinstance(event, Ticked):
            self._is_tick_waiting = False
        return self.driver.step(event, self._clock_ms())

    def fail(self, reason: Words) -> None:
        """Stop at once: nothing that came after the failure may happen."""
        self._steps.stop()
        self._failed(reason)

    def _failed(self, reason: Words) -> None:
        self._say("error", f"stopping: {reason.en} 即将停止：{reason.zh}")
        self._stop(reason)

    async def start(self) -> None:
        """Resume from the journal, take the spool back into the pool, begin ticking."""
        state = self.disk.journal.load()
        await self.perform(Started(state.record, state.pending))
        spooled = self.disk.spool.load()
        self._untaken = await self._take_own(spooled)
        self._ticker = asyncio.create_task(self._tick())
        self._ticker.add_done_callback(self._ticker_ended)

    async def _take_own(self, promised: Sequence[bytes]) -> list[bytes]:
        """Take promised transactions into the pool; return what is owed and it did not take."""
        owed = [raw for raw in promised if self._is_owed(raw)]
        if owed:
            await self.relayed.take_own(owed)
        pool = self.driver.pool
        return [raw for raw in owed if decode_transaction(raw).tx_id not in pool]

    async def _take_untaken(self) -> None:
        """Once the chain has been caught up with, try again what was promised and not taken: where
        blocks were lost, those who signed it may stand in the ones that have come since."""
        tip_height = self.driver.tip_height
        if tip_height is None or tip_height > self.chain.header.height:
            return
        try:
            await self._take_own(self._untaken)
        except VerifierUnavailable:
            return  # it is tried at the next tick
        self._untaken = []

    def _is_owed(self, raw: bytes) -> bool:
        """Say whether a promised transaction is not on the chain yet."""
        try:
            return not self.driver.is_known(decode_transaction(raw).tx_id)
        except Rejected:
            return False

    def _ticker_ended(self, ticker: asyncio.Task[None]) -> None:
        """A node whose time stands still must not look alive."""
        if not self.is_stopped and not ticker.cancelled():
            error = ticker.exception()
            self.fail(Words(f"计时中断。原文：{error}", f"the ticker ended: {error}"))

    async def close(self) -> None:
        """Stop ticking and wait for what is under way."""
        self._steps.stop()
        if self._ticker is not None:
            self._ticker.cancel()
        await self.relayed.close()
        await self._steps.close()

    def frame_arrived(self, replica: int, payload: bytes) -> None:
        """A peer's frame (called by the transport).

        While a step waits for the disk, relayed transactions are read all the same: the driver
        would only say to do so.
        """
        if self._steps.is_busy and payload.startswith(TRANSACTIONS_START):
            try:
                frame = decode_frame(payload)
            except Rejected as rejected:
                self._say(
                    "warning",
                    f"replica {replica} sent what is refused: {rejected} "
                    f"第 {replica} 号副本发来的内容被拒绝，原因见前",
                )
                return
            if isinstance(frame, Transactions) and not self.driver.is_far_behind:
                self._take_relayed(replica, frame.envelopes)
            return
        if payload.startswith(POST_QUANTUM_START):
            if self.on_post_quantum is not None:
                self.on_post_quantum(replica, payload)
            return
        self._backlog.begin(replica, weight_of([payload]))
        self.dispatch(FrameReceived(replica, payload))

    def peer_changed(self, replica: int, is_connected: bool) -> None:
        """A connection came up or went down (called by the transport)."""
        self.dispatch(PeerChanged(replica, is_connected))

    async def _tick(self) -> None:
        """Tick at a steady pace; a late tick is not made up for."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self.is_stopped:
            due = max(due + TICK_S, loop.time() + CLOCK_STEP_S)
            await asyncio.sleep(due - loop.time())
            self.tick()
            if self._untaken:
                await self._take_untaken()
            if self.disk.spool.is_full:
                await self._change_spool()

    def tick(self) -> None:
        """Have a tick stepped in its turn, unless one is waiting already.

        A disk that takes long costs one tick and no pile of them; in a node that is never idle,
        because it is behind or its machine is busy, time passes all the same.
        """
        if not self._is_tick_waiting:
            self._is_tick_waiting = True
            self.dispatch(Ticked())

    async def _change_spool(self) -> None:
        owed = [candidate.transaction.raw for candidate in self.driver.pool.owed_candidates()]
        owed += self._untaken
        try:
            await self.write_spool(lambda: self.disk.spool.change_over(owed))
        except StorageFailure as failure:
            self.fail(describe_failure(failure))

    async def write_spool(self, work: Callable[[], None]) -> None:
        """Write to the spool, in the order of the calls; raise `StorageFailure`."""
        if self._spool_thread is None:
            work()
        else:
            await asyncio.get_running_loop().run_in_executor(self._spool_thread, work)

    # Effects

    def _perform(self, effect: Effect) -> DiskWork | None:
        """Perform an effect, or return what it has to do on the disk."""
        match effect:
            case SaveJournal():
                return self._save_journal(effect)
            case CommitBlock():
                return self._commit(effect)
            case SendFrame():
                if self.carrier is not None:
                    self.carrier.send(effect.replica, encode_frame(effect.frame), effect.is_bulk)
            case BroadcastFrame():
                self._broadcast(effect)
            case VerifyEnvelopes():
                self._take_relayed(
                    effect.from_replica, effect.envelopes, split_hashes(effect.wanted)
                )
            case FetchEnvelopes():
                self._fetch(effect)
            case PutCheckpoint():
                self.disk.store.chain_store.put_checkpoint(effect.height, effect.note)
                self._observer.certified(effect.height)
            case RecoveryEnded():
                self._end_recovery()
            case Halted():
                self.fail(effect.reason)
            case Said():
                self._say(effect.level, effect.text)
            case _:
                assert_never(effect)
        return None

    def _broadcast(self, effect: BroadcastFrame) -> None:
        if self.carrier is None:
            return
        payload = encode_frame(effect.frame)
        if effect.is_news:
            self.carrier.tell(payload)
        else:
            self.carrier.broadcast(payload, effect.is_bulk)

    def _save_journal(self, effect: SaveJournal) -> DiskWork:
        pending = JournalKeep.KEEP if effect.pending is KEEP else effect.pending
        journal = self.disk.journal
        return DiskWork(lambda: journal.save(effect.record, pending), lambda _: None)

    def _commit(self, effect: CommitBlock) -> DiskWork:
        """Append to the segment on the thread; what readers see changes here, on the loop."""
        store = self.disk.store
        write = store.prepare(effect.block, effect.certificate, self.chain.log)

        def finish(appended: Appended) -> None:
            store.finish(write, appended)
            self._steps.put_first(Committed(write.height))
            self._observer.committed(effect)

        return DiskWork(lambda: store.chain_store.append_block(write), finish)

    # What peers send

    def _hold(self, replica: int) -> None:
        if self.carrier is not None:
            self.carrier.hold(replica)

    def _release(self, replica: int) -> None:
        if self.carrier is not None:
            self.carrier.release(replica)

    def _take_relayed(
        self, replica: int, envelopes: Sequence[bytes], wanted: Sequence[bytes] = ()
    ) -> None:
        """Have relayed transactions verified: until then they count among a peer's frames."""
        if self.relayed.is_trusted(replica):
            weight = weight_of(envelopes)
            self._backlog.begin(replica, weight)
            self.relayed.take(
                replica, envelopes, lambda: self._backlog.end(replica, weight), wanted
            )

    def _fetch(self, effect: FetchEnvelopes) -> None:
        """Ask a peer for the envelopes that are not on their way already."""
        missing = self.relayed.hasten(split_hashes(effect.envelope_hashes))
        if missing and self.carrier is not None:
            self.carrier.send(effect.replica, encode_frame(FetchTransactions(b"".join(missing))))

    def _find_pooled(self, envelope_hashes: Sequence[bytes]) -> Sequence[object]:
        return self.driver.pool.find_envelopes(envelope_hashes)
