"""One node: the real driver, journal, chain store and spool on a machine that can fail anywhere.

The shell of production is replaced, and nothing inside it: effects are performed exactly as
`node.shell.Shell` does, a `Committed` after the step that caused it. What peers relay goes the
node's own way (`sim.relaying`), on an event loop that ends with the process. A process can be ended
before and after every effect and at every change of its disk; what it had sent by then is on the
wire, what it had not synced may be gone. A machine found damaged goes to the operator, who does
what the manual says: remove the index, fetch the ledger again, or `recover` a lost journal.
Twins are two nodes with one identity: each has a process and a disk of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from api.ports import Intake
from consensus.actions import KEEP
from ledger.hashing import tagged_hash
from ledger.refusal import Rejected
from ledger.transaction import decode_transaction
from ledger.words import Words
from node.backlog import weight_of
from node.driver import Driver, Identity
from node.effects import (
    Admitted,
    BroadcastFrame,
    CommitBlock,
    Committed,
    Effect,
    FetchEnvelopes,
    FrameReceived,
    Halted,
    NodeEvent,
    PutCheckpoint,
    RecoveryEnded,
    Said,
    SaveJournal,
    SendFrame,
    Started,
    Ticked,
    VerifyEnvelopes,
)
from node.journal_record import decode_journal_record
from node.ledger_store import LedgerStore, open_ledger
from node.messages import FetchTransactions, Frame, encode_frame
from node.shell import Disk
from sim.checkers import Checkers
from sim.coverage import Coverage
from sim.deployment import MEMORY, TICK_MS, TIMING, Deployment
from sim.disk import ProcessEnded, Survival, VirtualDirectory, VirtualStore
from sim.liars.liar import Liar
from sim.peer_lines import PeerLines
from sim.promising import Answered, DiskWork, ProcessShell, Promising
from sim.relaying import TURNS, ReadRelayed, Relaying
from sim.telling import describe_event
from sim.violation import Violation
from sim.world import MS, SECOND, World
from storage.files import Damaged, StorageFailure
from storage.journal import MARKS_OFFSET, SLOT_BYTES, VOTES_FILE, Journal
from storage.journal import Keep as JournalKeep
from storage.spool import Spool

OPERATOR_US: Final = 1 * SECOND
"""Until an operator has looked at a machine that will not start."""

SPOOL_BYTES: Final = 4_096
"""Size after which the spool changes over: a few dozen transactions, so that it happens."""

DriverFactory = Callable[..., Driver]
"""Called as `Driver` is; tests pass a broken one to see a checker catch it."""

Send = Callable[[int, int, bytes, int], None]
"""(from process, to replica, payload, departure in µs)."""

_EFFECTS: Final[Mapping[type[Effect], str]] = {
    SaveJournal: "a save",
    CommitBlock: "a commit",
    SendFrame: "a send",
    BroadcastFrame: "a send",
    PutCheckpoint: "a checkpoint",
}
BOUNDARIES: Final = tuple(
    f"{when} {what}" for when in ("before", "after") for what in dict.fromkeys(_EFFECTS.values())
)
"""Where between two effects a process can be made to end."""


class Wait(Enum):
    """When a `Committed` is stepped."""

    AFTERWARDS = "afterwards"
    """When all effects of the step that caused it are performed, as production's shell does."""
    NESTED = "nested"
    """At once, inside that step's effects: wrong, and kept to see that the checkers notice."""


@dataclass(slots=True)
class Pace:
    """How fast this machine is."""

    event_us: int = 100
    fsync_us: int = 500
    verify_us: int = 2 * MS


@dataclass(frozen=True, slots=True)
class Clock:
    """What a machine's clock shows: off from the true time, and running away from it."""

    offset_ms: int = 0
    drift_ppm: int = 0
    """Microseconds gained in a second; timers run on the same quartz."""
    since_us: int = 0

    def offset_at(self, now_us: int) -> int:
        """Return by how many milliseconds it is off at a time."""
        return self.offset_ms + (now_us - self.since_us) * self.drift_ppm // 1_000_000_000


@dataclass(slots=True)
class PlannedCrash:
    """Where the process will end: at the `countdown`-th passing of a place."""

    where: str
    """One of `BOUNDARIES`, `any boundary`, or `disk step`."""
    countdown: int
    then: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole disk as it once was."""

    directories: tuple[Mapping[str, bytes], ...]
    index: Sequence[tuple[bytes, bytes]]
    is_recovering: bool

    @property
    def journal(self) -> Mapping[str, bytes]:
        """The vote journal's files."""
        return self.directories[0]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes share."""

    world: World
    deployment: Deployment
    checkers: Checkers
    coverage: Coverage
    send: Send
    read_relayed: ReadRelayed
    went_up: Callable[[int], None]
    went_down: Callable[[int], None]


class Node:
    """See the module's text."""

    def __init__(
        self,
        process: int,
        number: int,
        around: Surroundings,
        *,
        make_driver: DriverFactory = Driver,
        liar: Liar | None = None,
        is_twin: bool = False,
        wait: Wait = Wait.AFTERWARDS,
    ) -> None:
        self.process: Final = process
        self.number: Final = number
        """The replica it is."""
        is_second = is_twin and process != number
        self.name: Final = f"node-{number}{'b' if is_second else ''}"
        self.liar: Final = liar
        self.driver: Driver | None = None
        self.store: LedgerStore | None = None
        self.incarnation = 0
        self.pace = Pace()
        self.clock = Clock()
        self.is_astray = False
        """Whether its clock may be far off: then it may take for stale what is not."""
        self.is_recovering = False
        """The marker that `recover` leaves on the disk until `RecoveryEnded`."""
        self.may_be_damaged = False
        """Whether this seed has damaged this disk: only then may a start find damage."""
        self.disk_losses = 0
        """How often something was destroyed that may hold what this node had promised."""
        self.may_lose_tail = False
        """Whether a bit of its segments has rotted: a rotten record above what the index has
        applied cannot be told from a torn one, is cut off, and comes again from peers."""
        self.has_old_journal = False
        """Whether somebody put back a journal that ends below this node's chain: it must say so."""
        self._rotten_copies: set[tuple[int, int]] = set()
        """(slot, copy) of each vote record that rotted since the journal was read."""
        self.planned_crash: PlannedCrash | None = None
        self.segments: Final = VirtualDirectory(f"{self.name}/segments", self._disk_step)
        self.votes: Final = VirtualDirectory(f"{self.name}/journal", self._disk_step)
        self.promises: Final = VirtualDirectory(f"{self.name}/spool", self._disk_step)
        self.index: Final = VirtualStore(self._disk_step)
        self.save_count = 0
        self.is_correct = liar is None and not is_twin
        """Whether this node is expected to keep every promise."""
        self._around = around
        self._world = around.world
        self._make_driver = make_driver
        self._wait = wait
        self._chance = around.world.chance(self.name)
        self._journal: Journal | None = None
        self._spool: Spool | None = None
        self._turns = around.world.chance(f"turns of {self.name}").choice(TURNS)
        self._lines: PeerLines | None = None
        self._relaying: Relaying | None = None
        self._promising: Promising | None = None
        """What takes clients' requests, once what is owed from before waits in the pool again."""
        self._untaken: list[bytes] = []
        """What is promised and the pool did not take at the start, as in `node.shell.Shell`."""
        self._inbox: deque[tuple[NodeEvent, asyncio.Future[None] | None]] = deque()
        """Events that wait, each with who waits until it was dealt with."""
        self._caused: deque[NodeEvent] = deque()
        self._busy_until_us = self._paused_until_us = 0
        self._is_tick_waiting = self._is_woken = self._is_taking_again = False
        self._is_failing = False
        """Whether it has said that it stops: nothing of it happens any more."""
        Journal.create(self.votes)

    # What the world sees

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.driver is not None

    @property
    def height(self) -> int:
        """Height of the newest block applied here; 0 while down."""
        return 0 if self.driver is None else self.driver.chain.header.height

    @property
    def inbox_count(self) -> int:
        """Events that wait for this node's attention."""
        return len(self._inbox)

    @property
    def relayed_count(self) -> int:
        """Envelopes that peers have relayed and that are not dealt with."""
        return 0 if self._relaying is None else self._relaying.count

    @property
    def is_holding(self) -> bool:
        """Whether a frame of a peer is not dealt with."""
        return self._lines is not None and self._lines.is_busy

    @property
    def directories(self) -> tuple[VirtualDirectory, ...]:
        """Everything on its disk but the index."""
        return (self.votes, self.segments, self.promises)

    @property
    def clock_offset_ms(self) -> int:
        """By how much its clock is off now."""
        return self.clock.offset_at(self._world.now_us)

    def now_ms(self) -> int:
        """Return what this node's clock shows."""
        world = self._world
        return world.true_ms + self.clock.offset_at(world.now_us)

    def set_clock(self, offset_ms: int, drift_ppm: int) -> None:
        """Set the clock, and how it runs from now on."""
        self.clock = Clock(offset_ms, drift_ppm, self._world.now_us)

    # Life

    def start(self) -> None:
        """Start the process on whatever the disk holds."""
        if self.is_up:
            return
        self.incarnation += 1
        around = self._around
        try:
            store, chain = open_ledger(self.segments, self.index, around.deployment.genesis)
            journal = Journal.open(self.votes)
            state = journal.load()
            self._rotten_copies.clear()
            spool = Spool(self.promises, SPOOL_BYTES)
            owed = spool.load()
            if self.is_correct:
                around.checkers.chain.started(self, store, chain)
        except ProcessEnded:
            around.coverage.count("crash while starting")
            self._crash()
            return
        except StorageFailure as failure:
            self._stop(f"does not start: {failure}")
            return
        except Damaged as damage:
            self._call_operator(damage)
            return
        self.store, self._journal, self._spool = store, journal, spool
        identity = Identity(
            self.number, around.deployment.genesis, around.deployment.signers[self.number]
        )
        self.driver = self._make_driver(
            identity,
            chain,
            store,
            TIMING,
            pool=None if self.liar is None else self.liar.make_pool(),
            is_recovering=self.is_recovering,
            verify=MEMORY.verify,
        )
        self._lines = PeerLines(self._world, around.coverage, self._deliver)
        self._relaying = Relaying(
            self._world,
            around.coverage,
            self.driver,
            self._lines.backlog,
            around.read_relayed,
            turns=self._turns,
            verify_us=lambda: self._chance.randint(1, self.pace.verify_us),
            admit=self._perform_later,
            passed_over=self._passed_over,
            failed=self._raised,
            goes_on_us=lambda: self._paused_until_us,
            say=lambda level, text: self._world.trace(self.name, f"{level}: {text}"),
        )
        self._busy_until_us = self._world.now_us
        self._world.trace(self.name, f"starts at height {chain.header.height}")
        around.went_up(self.process)
        self.receive(Started(state.record, state.pending))
        is_running = self.driver is not None
        if self.has_old_journal and is_running and not self.may_lose_tail:
            raise Violation("old journal taken", f"{self.name} goes on with a journal put back")
        ticker = self._ticker()
        owed = [raw for raw in owed if self._is_owed(raw)]
        if owed and self._relaying is not None:
            # Time stands still until they wait in the pool again.
            around.coverage.count("promise kept through a crash")
            promised = owed

            def goes_on() -> None:
                self._untaken = self._find_untaken(promised)
                self._world.after(0, ticker)
                self._open_the_door(Disk(store, journal, spool))

            self._relaying.take_own(owed, goes_on)
        else:
            self._world.after(self._chance.randint(1, self._tick_us()), ticker)
            self._open_the_door(Disk(store, journal, spool))

    def _open_the_door(self, disk: Disk) -> None:
        """Begin to take what clients submit."""
        if self._relaying is None or self.driver is None:
            return
        shell = ProcessShell(
            self._relaying,
            self.driver,
            disk,
            now_ms=self.now_ms,
            perform=self._perform_later,
            write=self._write_spool,
            fail=self._fail,
        )
        self._promising = Promising(self._around.coverage, self._relaying.loop, shell)

    def _find_untaken(self, promised: Sequence[bytes]) -> list[bytes]:
        """Return what of it is owed and not in the pool."""
        driver = self.driver
        return [
            raw
            for raw in promised
            if driver is not None
            and self._is_owed(raw)
            and decode_transaction(raw).tx_id not in driver.pool
        ]

    def _take_untaken(self) -> None:
        """At a tick: try again what was not taken, once the chain has been caught up with."""
        driver, relaying, untaken = self.driver, self._relaying, self._untaken
        if driver is None or relaying is None or not untaken or self._is_taking_again:
            return
        tip_height = driver.tip_height
        if tip_height is None or tip_height > driver.chain.header.height:
            return
        self._around.coverage.count("promise taken again after catching up")
        self._is_taking_again = True

        def taken() -> None:
            self._untaken = []
            self._is_taking_again = False

        relaying.take_own([raw for raw in untaken if self._is_owed(raw)], taken)

    def _is_owed(self, raw: bytes) -> bool:
        """Say whether a promised transaction is not on the chain yet."""
        try:
            tx_id = decode_transaction(raw).tx_id
        except Rejected:
            return False
        return self.driver is not None and not self.driver.is_known(tx_id)

    def end(self, survival: Survival) -> None:
        """End the process now; unless it was only killed, the machine loses power too."""
        name = survival.value
        self._around.coverage.count(
            "process killed" if survival is Survival.ALL else f"power loss: {name}"
        )
        self._go_down(f"ends; of what was not synced survives: {name}")
        self._lose(survival)

    def abandon(self) -> None:
        """Let go of what has not begun, at the end of the world."""
        if self._relaying is not None:
            self._relaying.abandon()

    def _lose(self, survival: Survival) -> None:
        for directory in self.directories:
            directory.power_loss(survival, self._chance)

    def _go_down(self, text: str) -> None:
        self._world.trace(self.name, text)
        was_up = self.is_up
        self.driver = self.store = self._journal = self._spool = None
        self._inbox.clear()
        self._is_tick_waiting = self._is_woken = self._is_failing = self._is_taking_again = False
        self._untaken = []
        self._promising = None
        self._paused_until_us = 0
        lines, self._lines = self._lines, None
        relaying, self._relaying = self._relaying, None
        if lines is not None and relaying is not None:
            lines.close()
            relaying.close()
        self.planned_crash = None
        self.index.reopen()
        self.incarnation += 1
        self._around.checkers.ended(self)
        if was_up:
            self._around.went_down(self.process)

    def _stop(self, why: str) -> None:
        """The node stops itself, as it must when its disk fails; the service manager restarts."""
        for sign, name in (
            ("No space left", "disk full met"),
            ("Input/output", "fsync failure met"),
            ("after it was kept", "index batch failed afterwards"),
            ("as planned", "index batch failed"),
        ):
            if sign in why:
                self._around.coverage.count(name)
                break
        self._go_down(why)
        self._lose(Survival.ALL)
        self._world.after(self._chance.randint(100 * MS, SECOND), self.start)

    def _crash(self) -> None:
        """End at the planned place."""
        planned = self.planned_crash
        self.planned_crash = None
        if planned is not None:
            planned.then()

    def _call_operator(self, damage: Damaged) -> None:
        self._around.coverage.count("damage found")
        self._go_down(f"damaged: {damage}")
        if not self.may_be_damaged and self.is_correct:
            raise Violation(
                "damage out of nothing", f"{self.name}: nobody damaged this disk: {damage}"
            )
        found = self.incarnation

        def operator() -> None:
            if self.incarnation == found:  # otherwise whoever was here since looks after it
                self._repair(damage)

        self._world.after(OPERATOR_US, operator)

    def _repair(self, damage: Damaged) -> None:
        if damage.file.startswith(self.votes.path):
            self.recover()
        elif damage.file == "index":
            self.remove_index()
        else:
            self.remove_ledger()
        self.start()

    # What operators do, and what happens to disks

    def recover(self) -> None:
        """Begin a new journal, as `recover` does, and mark the node as one that lost its memory."""
        self._around.coverage.count("recovery begun")
        self._world.trace(self.name, "recovers with an empty journal")
        self.planned_crash = None
        self.has_old_journal = False
        self.votes.power_loss(Survival.ALL, self._chance)
        self.votes.wipe()
        Journal.create(self.votes)
        self._rotten_copies.clear()
        self.is_recovering = True
        self._around.checkers.votes.forgot(self)

    def put_back_journal(self, backup: Backup) -> bool:
        """Put an old journal under the newer chain; return whether it can be read and the chain has
        outgrown it."""
        copy = VirtualDirectory(f"{self.name}/journal")
        copy.restore(backup.journal)
        try:
            record = Journal.open(copy).load().record
        except Damaged:
            return False  # it rotted before it was copied, and the node would say so at its start
        height = 0 if record is None else decode_journal_record(record)[2]
        if self.is_recovering or self.height <= height:
            return False
        self.end(Survival.ALL)
        self.votes.restore(backup.journal)
        self.has_old_journal = True
        self._world.trace(self.name, f"has its journal of height {height} put back")
        return True

    def _refuse_old_journal(self) -> None:
        """The node does not go on; its operator has it recover."""
        self._around.coverage.count("old journal refused")
        self._go_down("waits for its operator")

        def operator() -> None:
            if self.has_old_journal:
                self.recover()
                self.start()

        self._world.after(OPERATOR_US, operator)

    def remove_index(self) -> None:
        """Remove the index; it is built again from the segments."""
        self._around.coverage.count("index removed")
        self._world.trace(self.name, "index removed")
        self.index.wipe()

    def remove_ledger(self) -> None:
        """Remove segments and index; the blocks come from peers again.

        Without its chain a node cannot tell an old journal, so a journal that was put back goes
        with it, as the manual says.
        """
        self._around.coverage.count("ledger removed")
        self._world.trace(self.name, "ledger removed")
        self.segments.power_loss(Survival.ALL, self._chance)
        self.segments.wipe()
        self.index.wipe()
        self.may_lose_tail = False
        self._around.checkers.chain.ledger_removed(self)
        if self.has_old_journal:
            self.recover()

    def lose_disk(self) -> None:
        """Put an empty disk in the place of this one; the operator runs `recover`."""
        self.disk_losses += 1
        self.promises.power_loss(Survival.ALL, self._chance)
        self.promises.wipe()
        self.recover()
        self.remove_ledger()

    def rot(self, directory: VirtualDirectory, name: str, offset: int, mask: int) -> None:
        """Flip a bit at rest.

        A node of which both copies of a vote record rot before it reads them can be one that does
        not know what it lost (see `storage.journal`), so it is one of the f from then on.
        """
        directory.flip(name, offset, mask)
        self._around.coverage.count("bit rot")
        self._world.trace(self.name, f"rots: {directory.path}/{name} offset {offset}")
        self.may_be_damaged = True
        self.disk_losses += directory is self.promises
        self.may_lose_tail |= directory is self.segments
        if directory is self.votes and name == VOTES_FILE and offset < MARKS_OFFSET:
            copy, slot = divmod(offset // SLOT_BYTES, 2)
            self._rotten_copies.add((slot, copy))
            if {(slot, 0), (slot, 1)} <= self._rotten_copies:
                self._world.trace(self.name, "has lost both copies of a vote record")
                self._is_faulty_from_now_on()

    def _is_faulty_from_now_on(self) -> None:
        self.is_correct = False
        self._around.checkers.chain.faulty.add(self.number)

    def back_up(self) -> Backup:
        """Copy what is durable on this disk."""
        self._world.trace(self.name, "is backed up")
        return Backup(
            tuple(directory.backup() for directory in self.directories),
            self.index.backup(),
            self.is_recovering,
        )

    def restore(self, backup: Backup, *, is_told: bool) -> None:
        """Put the disk back as it was; whoever is not told goes on as if nothing had happened."""
        self._world.trace(self.name, "has an old backup in place of its disk")
        for directory, files in zip(self.directories, backup.directories, strict=True):
            directory.restore(files)
        self.index.restore(backup.index)
        self.is_recovering = backup.is_recovering
        self.has_old_journal = False
        self.disk_losses += 1
        if not is_told:
            self._is_faulty_from_now_on()
        self._around.checkers.chain.ledger_removed(self)

    # Events

    def frame_arrived(self, replica: int, payload: bytes) -> None:
        """Take a peer's frame, unless the peer is held."""
        if self._lines is not None:
            self._lines.arrive(replica, payload)

    def _deliver(self, replica: int, payload: bytes) -> None:
        if self._lines is not None:
            self._lines.backlog.begin(replica, weight_of([payload]))
            self.receive(FrameReceived(replica, payload))

    def receive(self, event: NodeEvent) -> None:
        """Take an event now, or when this node has time."""
        if self.driver is None or self._is_failing:
            return
        if self._inbox or self._world.now_us < self._busy_until_us:
            self._inbox.append((event, None))
            self._wake_later()
            return
        self._handle(event)

    async def _perform_later(self, event: Admitted) -> None:
        """Have an event handled in its turn and wait until it was: a task's way to the driver."""
        handled = asyncio.get_running_loop().create_future()
        self._inbox.append((event, handled))
        self._wake_later()
        await handled

    def pause(self, span_us: int) -> None:
        """Stop the process for a span, as a long collection or a suspended machine would."""
        if not self.is_up:
            return
        self._paused_until_us = max(self._paused_until_us, self._world.now_us + span_us)
        self._busy_until_us = max(self._busy_until_us, self._paused_until_us)

    def submit(self, envelopes: Sequence[bytes], answered: Answered) -> None:
        """Take a client's request; `answered` is told its answers, if there are any.

        Raises `ConnectionError` where nobody listens.
        """
        if self._promising is None:
            raise ConnectionError(f"{self.name} is down")

        def answer(answers: Sequence[Intake]) -> None:
            self._world.trace(self.name, f"answers {[type(each).__name__ for each in answers]}")
            if self.is_correct:
                self._around.checkers.promises.answered(self, envelopes, answers)
            answered(answers)

        self._promising.submit(envelopes, answer)

    def _write_spool(self, work: DiskWork, written: asyncio.Future[None]) -> None:
        """Have the spool's thread sync something; steps do not wait for it."""
        incarnation = self.incarnation

        def write() -> None:
            if self.incarnation != incarnation or written.done():
                return
            if self._paused_until_us > self._world.now_us:
                self._world.at(self._paused_until_us, write)
                return
            try:
                work()
            except ProcessEnded:
                return
            except StorageFailure as failure:
                written.set_exception(failure)
            else:
                written.set_result(None)

        self._world.after(self.pace.fsync_us, write)

    def _fail(self, reason: Words) -> None:
        """Stop, when what runs now has come to its end."""
        incarnation = self.incarnation
        self._is_failing = True

        def stop() -> None:
            if self.incarnation == incarnation:
                self._stop(f"stops: {reason.en}")

        self._world.after(0, stop)

    def _ticker(self) -> Callable[[], None]:
        incarnation = self.incarnation

        def tick() -> None:
            if self.incarnation != incarnation or self.driver is None:
                return
            if not self._is_tick_waiting:  # a late tick is not made up for
                self._is_tick_waiting = True
                self.receive(Ticked())
            self._world.after(self._tick_us(), tick)

        return tick

    def _tick_us(self) -> int:
        return TICK_MS * MS - TICK_MS * MS * self.clock.drift_ppm // 1_000_000

    def _wake_later(self) -> None:
        if self._is_woken:
            return
        self._is_woken = True
        incarnation = self.incarnation

        def wake() -> None:
            if self.incarnation != incarnation:
                return
            self._is_woken = False
            if not self._inbox or self._is_failing:
                return
            if self._world.now_us >= self._busy_until_us:
                event, handled = self._inbox.popleft()
                self._handle(event)
                if handled is not None and not handled.done():
                    handled.set_result(None)
            if self._inbox:
                self._wake_later()

        self._world.at(max(self._busy_until_us, self._world.now_us + 1), wake)

    def _handle(self, event: NodeEvent) -> None:
        self._busy_until_us = max(self._busy_until_us, self._world.now_us) + self.pace.event_us
        checkers = self._around.checkers
        if isinstance(event, FrameReceived):
            if self._lines is not None:
                self._lines.backlog.end(event.replica, weight_of([event.payload]))
            self._world.trace_event(self.name, event.payload, describe_event, event)
            if self.is_correct:
                checkers.evidence.received(self, event.replica, event.payload)
            elif self.liar is not None:
                self.liar.overhear(event.payload)
        elif isinstance(event, Ticked):
            self._is_tick_waiting = False
        else:
            self._world.trace_event(self.name, b"", describe_event, event)
        try:
            self._dispatch(event)
            if isinstance(event, Ticked):
                self._take_untaken()
                self._change_spool()
        except ProcessEnded:
            return
        except StorageFailure as failure:
            self._stop(f"stops: {failure}")
            return
        except Damaged as damage:
            self._call_operator(damage)
            return
        except Exception as error:  # noqa: BLE001 - of a correct node it is a violation
            self._raised(error)
            return
        if self.is_correct:
            checkers.settled(self)

    def _raised(self, error: BaseException) -> None:
        """The driver, or a task beside it, broke off."""
        if isinstance(error, Violation):
            raise error
        if self.is_correct:
            raise Violation(
                "driver raised", f"{self.name}: {type(error).__name__}: {error}"
            ) from error
        self._around.coverage.count("liar broke down")
        self._stop(f"the liar broke down: {error}")

    def _dispatch(self, event: NodeEvent) -> None:
        """Step the driver and perform what it asks, in order, as the shell does."""
        driver = self.driver
        if driver is None:
            raise ProcessEnded
        self._caused.clear()
        self._caused.append(event)
        while self._caused:
            self._step(driver, self._caused.popleft())

    def _step(self, driver: Driver, event: NodeEvent) -> None:
        for effect in driver.step(event, self.now_ms()):
            if self.planned_crash is None:
                self._perform(driver, effect)
                continue
            what = _EFFECTS.get(type(effect), "")
            self._boundary(f"before {what}")
            self._perform(driver, effect)
            self._boundary(f"after {what}")

    def _boundary(self, where: str) -> None:
        """Between two effects: the process may end here."""
        planned = self.planned_crash
        if planned is None or planned.where not in {where, "any boundary"}:
            return
        planned.countdown -= 1
        if planned.countdown < 0:
            self._around.coverage.count(f"crash {where}")
            self._world.trace(self.name, f"crash {where}")
            self._crash()
            raise ProcessEnded

    def _disk_step(self, what: str) -> None:
        """Before a change of the disk: the process may end here."""
        planned = self.planned_crash
        if planned is None or planned.where != "disk step":
            return
        planned.countdown -= 1
        if planned.countdown >= 0:
            return
        self._around.coverage.count(f"crash at a disk step: {what}")
        self._world.trace(self.name, f"crash at a disk step: {what}")
        if self.is_up:
            self._crash()
        raise ProcessEnded

    def _change_spool(self) -> None:
        if self._spool is not None and self._spool.is_full and self.driver is not None:
            owed = [candidate.transaction.raw for candidate in self.driver.pool.owed_candidates()]
            self._spool.change_over(owed + self._untaken)

    # Effects

    def _perform(self, driver: Driver, effect: Effect) -> None:
        match effect:
            case SaveJournal():
                self._save(effect)
            case CommitBlock():
                self._commit(driver, effect)
            case SendFrame() | BroadcastFrame() | FetchEnvelopes():
                self._send_by(effect)
            case VerifyEnvelopes():
                if self._relaying is not None:
                    self._relaying.take(effect)
            case PutCheckpoint():
                if self.store is not None:
                    self.store.chain_store.put_checkpoint(effect.height, effect.note)
            case RecoveryEnded():
                self._around.coverage.count("recovery ended")
                self._world.trace(self.name, "recovery ended")
                self.is_recovering = False
            case Halted():
                self._world.trace(self.name, f"halts: {effect.reason.en}")
                if self.has_old_journal:
                    self._refuse_old_journal()
                    raise ProcessEnded
                if self.is_correct:
                    raise Violation("correct node halted", f"{self.name}: {effect.reason.en}")
            case Said():
                self._world.trace(self.name, f"{effect.level}: {effect.text}")
                if effect.text.endswith("failed its last turns"):
                    self._around.coverage.count("skipped turn")
            case _:
                assert_never(effect)

    def _passed_over(self, replica: int) -> None:
        """Nothing of a peer is looked at, because it relayed what no correct node would."""
        self._around.coverage.count("relayer passed over")
        if self.is_correct and replica not in self._around.checkers.chain.faulty:
            raise Violation(
                "correct node distrusted", f"{self.name} passes over what node-{replica} relays"
            )

    def _send_by(self, effect: SendFrame | BroadcastFrame | FetchEnvelopes) -> None:
        match effect:
            case SendFrame():
                self._emit(effect.frame, [effect.replica])
            case BroadcastFrame():
                count = len(self._around.deployment.signers)
                self._emit(effect.frame, [peer for peer in range(count) if peer != self.number])
            case FetchEnvelopes():
                missing = [] if self._relaying is None else self._relaying.hasten(effect)
                if missing:
                    self._emit(FetchTransactions(b"".join(missing)), [effect.replica])

    def _save(self, effect: SaveJournal) -> None:
        if self._journal is None:
            raise ProcessEnded
        pending = JournalKeep.KEEP if effect.pending is KEEP else effect.pending
        self._journal.save(effect.record, pending)
        self.save_count += 1
        self._busy_until_us += self.pace.fsync_us
        self._world.trace(self.name, f"saves {tagged_hash(b'', effect.record).hex()[:12]}")
        if self.is_correct:
            self._around.checkers.votes.saved(self, effect.record, effect.pending)

    def _commit(self, driver: Driver, effect: CommitBlock) -> None:
        if self.store is None:
            raise ProcessEnded
        self.store.commit(effect.block, effect.certificate, driver.chain.log)
        self._busy_until_us += 2 * self.pace.fsync_us
        height = effect.block.header.height
        self._world.trace(
            self.name,
            f"commits {height}: {effect.block.block_hash.hex()[:12]}, "
            f"{effect.block.header.count} transactions",
        )
        if self.is_correct:
            self._around.checkers.committed(self, effect.block, effect.certificate)
        if self._promising is not None:
            self._promising.settle([row.tx_id for row in effect.block.rows])
        if self._wait is Wait.NESTED:
            self._step(driver, Committed(height))
        else:
            self._caused.append(Committed(height))

    def _emit(self, frame: Frame, peers: Sequence[int]) -> None:
        send, process, at_us = self._around.send, self.process, self._busy_until_us
        if self.liar is not None and self.driver is not None:
            if peers:
                for packet in self.liar.tamper(self.driver, frame, peers):
                    send(process, packet.replica, packet.payload, at_us + packet.delay_us)
            return
        if self.is_correct:
            self._around.checkers.votes.sending(self, frame)
        payload = encode_frame(frame)
        for peer in peers:
            send(process, peer, payload, at_us)
