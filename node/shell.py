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

from api.problems import explain_rejected
from consensus.actions import KEEP
from contracts.execution import Chain
from ledger import tags
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.transaction import Check, decode_transaction
from ledger.words import Words
from node.batch_book import BatchBook
from node.driver import Driver
from node.effects import (
    Admitted,
    BroadcastFrame,
    CommitBlock,
    Committed,
    Effect,
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
from node.exceptions import describe_failure
from node.intake import Parsed, mark_good, parse_all_relayed, select_checks
from node.ledger_store import LedgerStore
from node.messages import (
    POST_QUANTUM_START,
    TRANSACTIONS_START,
    Transactions,
    decode_frame,
    encode_frame,
)
from node.steps import DiskWork, Steps
from node.verification import VerifierUnavailable
from storage.files import StorageFailure
from storage.journal import Journal
from storage.journal import Keep as JournalKeep
from storage.records import Appended
from storage.spool import Spool

TICK_S: Final = 0.05
"""Length of a tick; `consensus.timers` counts in these."""

FRAMES_IN_FLIGHT_MAX: Final = 40
"""Frames of one peer that may wait, for the driver or for verification, before that peer is held; a
large one counts as several."""

FRAME_WEIGHT_BYTES: Final = 1024 * 1024

PARSE_SLICE: Final = 128
"""Transactions parsed before others get a turn on the event loop (about 3 ms)."""

DISTRUST_S: Final = 10.0
"""How long nothing that a peer relays is looked at after something that no correct peer would have:
each has verified what it passes on, and one that has not could keep all our workers busy."""

CLOCK_STEP_S: Final = 0.001


def weight_of(parts: Sequence[bytes]) -> int:
    """Return as how many a waiting frame counts, given in parts."""
    return 1 + sum(map(len, parts)) // FRAME_WEIGHT_BYTES


class Carrier(Protocol):
    """The transport, as the shell needs it (`node.transport.Transport`)."""

    def send(self, replica: int, payload: bytes, bulk: bool = False) -> bool:
        """Queue a frame for one peer."""

    def broadcast(self, payload: bytes, bulk: bool = False) -> int:
        """Queue a frame for every peer."""

    def hold(self, replica: int) -> None:
        """Stop delivering a peer's frames."""

    def release(self, replica: int) -> None:
        """Deliver them again."""


class Verifier(Protocol):
    """Checks signatures off the event loop (`node.verification.SignatureVerifier`)."""

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        """Return, in order, whether each check is good."""


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
        self.book = BatchBook()
        self._verifier = verifier
        self._observer = observer
        self._say = say
        self._stop = stop
        self._end_recovery = end_recovery
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: dict[int, int] = {}
        self._distrusted: dict[int, float] = {}
        """Until when, on the event loop's clock, what a peer relays is passed over."""
        self._spool_thread = spool_thread
        self._steps = Steps(self._step, self._perform, self._failed, disk_thread)
        self._ticker: asyncio.Task[None] | None = None
        self._is_tick_waiting = False

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
            self._end_frame(event.replica, weight_of([event.payload]))
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
        if spooled:
            await self._verify_envelopes([raw for raw in spooled if self._is_owed(raw)], None)
        self._ticker = asyncio.create_task(self._tick())
        self._ticker.add_done_callback(self._ticker_ended)

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
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
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
                self._start_verification(VerifyEnvelopes(frame.envelopes, replica, is_urgent=False))
            return
        if payload.startswith(POST_QUANTUM_START):
            if self.on_post_quantum is not None:
                self.on_post_quantum(replica, payload)
            return
        self._begin_frame(replica, weight_of([payload]))
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
        owed = [candidate.transaction.raw for candidate in self.driver.pool.local_candidates()]
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
                if self.carrier is not None:
                    self.carrier.broadcast(encode_frame(effect.frame), effect.is_bulk)
            case VerifyEnvelopes():
                self._start_verification(effect)
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

    def _begin_frame(self, replica: int, weight: int = 1) -> None:
        """Count a frame that is taken and not dealt with; hold the peer that has too many."""
        count = self._in_flight.get(replica, 0)
        self._in_flight[replica] = count + weight
        if count < FRAMES_IN_FLIGHT_MAX <= count + weight and self.carrier is not None:
            self.carrier.hold(replica)

    def _end_frame(self, replica: int, weight: int = 1) -> None:
        count = self._in_flight[replica]
        self._in_flight[replica] = count - weight
        half = FRAMES_IN_FLIGHT_MAX // 2
        if count - weight <= half < count and self.carrier is not None:
            self.carrier.release(replica)

    def _start_verification(self, effect: VerifyEnvelopes) -> None:
        replica = effect.from_replica
        if asyncio.get_running_loop().time() < self._distrusted.get(replica, 0.0):
            return
        weight = weight_of(effect.envelopes)
        self._begin_frame(replica, weight)
        task = asyncio.create_task(self._verify_relayed(effect.envelopes, replica, weight))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _verify_relayed(self, envelopes: Sequence[bytes], replica: int, weight: int) -> None:
        """Verify what a peer relayed, which counts among its frames until that is done."""
        try:
            await self._verify_envelopes(envelopes, replica)
        finally:
            self._end_frame(replica, weight)

    async def _verify_envelopes(self, envelopes: Sequence[bytes], replica: int | None) -> None:
        """Verify what a peer relayed (or this node's own spool) and hand it to the driver.

        Who relays one thing that is refused has not looked at the rest either: it is dropped.
        """
        try:
            parsed: list[Parsed] = []
            rejected: list[tuple[bytes, Rejected]] = []
            chain_id = self.chain.chain_id
            for begin in range(0, len(envelopes), PARSE_SLICE):
                if begin:
                    await asyncio.sleep(0)
                raws = envelopes[begin : begin + PARSE_SLICE]
                items = parse_all_relayed(raws, chain_id, self.book)
                for raw, item in zip(raws, items, strict=True):
                    if isinstance(item, Rejected):
                        if not rejected or replica is None:
                            self._say(
                                "warning",
                                f"replica {replica} relayed what is refused: {item} "
                                f"第 {replica} 号副本转来的交易被拒绝：{explain_rejected(item)}",
                            )
                        rejected.append((tagged_hash(tags.ENVELOPE, raw), item))
                    elif replica is None or not self._find_same(item):
                        parsed.append(item)
                if rejected and replica is not None:
                    break
            try:
                good, bad = await self.verify(parsed)
            except VerifierUnavailable as error:
                # Nothing is known of these signatures, so nobody is blamed; peers send them again.
                self._say(
                    "warning",
                    f"{len(parsed)} relayed transactions dropped: {error} "
                    f"放弃转来的 {len(parsed)} 笔交易：{error.detail_zh}",
                )
                return
            for item in bad:
                transaction = item.candidate.transaction
                reason = Rejected(
                    Reason.BAD_SIGNATURE,
                    f"transaction {transaction.tx_id.hex()}: a signature does not verify",
                )
                rejected.append((transaction.envelope_hash, reason))
            if rejected and replica is not None:
                self._distrusted[replica] = asyncio.get_running_loop().time() + DISTRUST_S
            candidates = [item.candidate for item in good]
            await self.perform(Admitted(candidates, rejected, is_local=replica is None))
        except StorageFailure:
            return  # the node stops, and has said why

    def _find_same(self, item: Parsed) -> bool:
        """Say whether the pool holds exactly this envelope, so that it is verified already."""
        envelope_hash = item.candidate.transaction.envelope_hash
        return self.driver.pool.find_envelope(envelope_hash) is not None

    async def verify(self, parsed: Sequence[Parsed]) -> tuple[list[Parsed], list[Parsed]]:
        """Return (those all of whose signatures are good, the others)."""
        checks = select_checks(parsed)
        if not checks:
            return list(parsed), []
        results = await self._verifier.verify(checks)
        if all(results):
            mark_good(parsed, self.book)
            return list(parsed), []
        is_good = dict(zip(checks, results, strict=True))
        good: list[Parsed] = []
        bad: list[Parsed] = []
        for item in parsed:
            (good if all(is_good[check] for check in item.checks) else bad).append(item)
        mark_good(good, self.book)
        return good, bad
