"""One node: the real driver, journal and chain store on a virtual machine that can fail anywhere.

The shell of production is replaced, and nothing inside it: effects are performed exactly as
`node.shell.Shell` does, a `Committed` after the step that caused it. A process can be ended
before and after every effect and at every change of its disk; what it had sent by then is on the
wire, what it had not synced may be gone. A machine found damaged goes to the operator, who does
what the manual says: remove the index, fetch the ledger again, or `recover` a lost journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from consensus.actions import KEEP
from ledger import tags
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from node.driver import Driver, Identity
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
    SendFrame,
    Started,
    Ticked,
    VerifyEnvelopes,
)
from node.intake import Parsed, parse_relayed, parse_submission
from node.journal_record import decode_journal_record
from node.ledger_store import LedgerStore, open_ledger
from node.messages import Frame, encode_frame
from sim.byzantine import Liar
from sim.checkers import Checkers
from sim.coverage import Coverage
from sim.deployment import TICK_MS, TIMING, Deployment, SignatureMemory
from sim.disk import ProcessEnded, Survival, VirtualDirectory, VirtualStore
from sim.violation import Violation
from sim.world import MS, SECOND, World
from storage.files import Damaged, StorageFailure
from storage.journal import Journal
from storage.journal import Keep as JournalKeep

OPERATOR_US: Final = 1 * SECOND
"""Until an operator has looked at a machine that will not start."""

DriverFactory = Callable[..., Driver]
"""Called as `Driver` is; tests pass a broken one to see a checker catch it."""

Send = Callable[[int, int, bytes, int], None]
"""(from, to, payload, departure in µs)."""


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
class Surroundings:
    """What all nodes share."""

    world: World
    deployment: Deployment
    memory: SignatureMemory
    checkers: Checkers
    coverage: Coverage
    send: Send
    went_up: Callable[[int], None]
    went_down: Callable[[int], None]


class Node:
    """See the module's text."""

    def __init__(
        self,
        number: int,
        around: Surroundings,
        *,
        make_driver: DriverFactory = Driver,
        liar: Liar | None = None,
        wait: Wait = Wait.AFTERWARDS,
    ) -> None:
        self.number: Final = number
        self.name: Final = f"node-{number}"
        self.liar: Final = liar
        self.driver: Driver | None = None
        self.store: LedgerStore | None = None
        self.incarnation = 0
        self.pace = Pace()
        self.clock_offset_ms = 0
        self.tick_us = TICK_MS * MS
        self.is_recovering = False
        """The marker that `recover` leaves on the disk until `RecoveryEnded`."""
        self.may_be_damaged = False
        """Whether this seed has damaged this disk: only then may a start find damage."""
        self.may_lose_tail = False
        """Whether a bit of its segments has rotted: a rotten record above what the index has
        applied cannot be told from a torn one, is cut off, and comes again from peers."""
        self.has_old_journal = False
        """Whether somebody put back a journal that ends below this node's chain: it must say so."""
        self.effects_until_crash: int | None = None
        self.steps_until_crash: int | None = None
        self.on_crash: Callable[[Node], None] = lambda _: None
        """What a crash that was planned does next: lose power, restart later."""
        self.segments: Final = VirtualDirectory(f"{self.name}/segments", self._disk_step)
        self.votes: Final = VirtualDirectory(f"{self.name}/journal", self._disk_step)
        self.index: Final = VirtualStore(self._disk_step)
        self.save_count = 0
        self._around = around
        self._world = around.world
        self._make_driver = make_driver
        self._wait = wait
        self._chance = around.world.chance(self.name)
        self._journal: Journal | None = None
        self._inbox: deque[NodeEvent] = deque()
        self._caused: deque[NodeEvent] = deque()
        self._busy_until_us = 0
        self._is_woken = False
        Journal.create(self.votes)

    # What the world sees

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.driver is not None

    @property
    def is_correct(self) -> bool:
        """Whether this node is expected to keep every promise."""
        return self.liar is None

    @property
    def height(self) -> int:
        """Height of the newest block applied here; 0 while down."""
        return 0 if self.driver is None else self.driver.chain.header.height

    @property
    def inbox_count(self) -> int:
        """Events that wait for this node's attention."""
        return len(self._inbox)

    def now_ms(self) -> int:
        """Return what this node's clock shows."""
        return self._world.true_ms + self.clock_offset_ms

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
            if self.is_correct:
                around.checkers.chain.started(self, store, chain)
        except ProcessEnded:
            self._planned_crash("crash at a disk step")
            return
        except StorageFailure as failure:
            self._stop(f"does not start: {failure}")
            return
        except Damaged as damage:
            self._call_operator(damage)
            return
        self.store, self._journal = store, journal
        identity = Identity(
            self.number, around.deployment.genesis, around.deployment.signers[self.number]
        )
        self.driver = self._make_driver(
            identity,
            chain,
            store,
            TIMING,
            is_recovering=self.is_recovering,
            verify=around.memory.verify,
        )
        self._busy_until_us = self._world.now_us
        self._world.trace(self.name, f"starts at height {chain.header.height}")
        around.went_up(self.number)
        self.receive(Started(state.record, state.pending))
        if self.has_old_journal and self.is_up:
            raise Violation("old journal taken", f"{self.name} goes on with a journal put back")
        self._world.after(self._chance.randint(1, self.tick_us), self._ticker())

    def end(self, survival: Survival) -> None:
        """End the process now; unless it was only killed, the machine loses power too."""
        name = survival.value
        self._around.coverage.count(
            "process killed" if survival is Survival.ALL else f"power loss: {name}"
        )
        self._go_down(f"ends; of what was not synced survives: {name}")
        self.votes.power_loss(survival, self._chance)
        self.segments.power_loss(survival, self._chance)

    def _go_down(self, text: str) -> None:
        self._world.trace(self.name, text)
        was_up = self.is_up
        self.driver = self.store = self._journal = None
        self._inbox.clear()
        self.effects_until_crash = self.steps_until_crash = None
        self.index.reopen()
        self.incarnation += 1
        self._around.checkers.evidence.ended(self)
        if was_up:
            self._around.went_down(self.number)

    def _stop(self, why: str) -> None:
        """The node stops itself, as it must when its disk fails; the service manager restarts."""
        self._go_down(why)
        self.votes.power_loss(Survival.ALL, self._chance)
        self.segments.power_loss(Survival.ALL, self._chance)
        self._world.after(self._chance.randint(100 * MS, SECOND), self.start)

    def _planned_crash(self, kind: str) -> None:
        self._around.coverage.count(kind)
        self._world.trace(self.name, kind)
        self.on_crash(self)

    def _call_operator(self, damage: Damaged) -> None:
        self._around.coverage.count("damage found")
        self._go_down(f"damaged: {damage}")
        if not self.may_be_damaged:
            raise Violation(
                "damage out of nothing", f"{self.name}: nobody damaged this disk: {damage}"
            )
        self._world.after(OPERATOR_US, lambda: self._repair(damage))

    def _repair(self, damage: Damaged) -> None:
        if self.is_up:
            return
        if damage.file.startswith(self.votes.path):
            self.recover()
        elif damage.file == "index":
            self.remove_index()
        else:
            self.remove_ledger()
        self.start()

    def recover(self) -> None:
        """Begin a new journal, as `recover` does, and mark the node as one that lost its memory."""
        self._around.coverage.count("recovery begun")
        self._world.trace(self.name, "recovers with an empty journal")
        self.steps_until_crash = None
        self.has_old_journal = False
        self.votes.power_loss(Survival.ALL, self._chance)
        self.votes.wipe()
        Journal.create(self.votes)
        self.is_recovering = True
        self._around.checkers.votes.forgot(self)

    def keep_journal(self) -> Callable[[], bool]:
        """Copy the journal; return what puts the copy back once the chain has outgrown it."""
        copy = self.votes.durable_copy()
        record = Journal.open(copy).load().record
        height = 0 if record is None else decode_journal_record(record)[2]

        def put_back() -> bool:
            if self.height <= height:
                return False
            self.end(Survival.ALL)
            self.votes.put_back(copy)
            self.has_old_journal = True
            self._world.trace(self.name, f"has its journal of height {height} put back")
            return True

        return put_back

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
        """Remove segments and index; the blocks come from peers again."""
        self._around.coverage.count("ledger removed")
        self._world.trace(self.name, "ledger removed")
        self.segments.power_loss(Survival.ALL, self._chance)
        self.segments.wipe()
        self.index.wipe()
        self.may_lose_tail = False
        self._around.checkers.chain.ledger_removed(self)

    # Events

    def receive(self, event: NodeEvent) -> None:
        """Take an event now, or when this node has time."""
        if not self.is_up:
            return
        if self._inbox or self._world.now_us < self._busy_until_us:
            self._inbox.append(event)
            self._wake_later()
            return
        self._handle(event)

    def pause(self, span_us: int) -> None:
        """Stop the process for a span, as a long collection or a suspended machine would."""
        self._busy_until_us = max(self._busy_until_us, self._world.now_us + span_us)

    def submit(self, raw: bytes) -> None:
        """Take a client's submission; raise `Rejected`, or `ConnectionError` while down."""
        driver = self.driver
        if driver is None:
            raise ConnectionError(f"{self.name} is down")
        parsed = parse_submission(raw, self._around.deployment.genesis.chain_id)
        if not self._is_signed(parsed):
            raise Rejected(Reason.BAD_SIGNATURE, "a signature does not verify")
        driver.check_admission(parsed.candidate)
        self.receive(Admitted([parsed.candidate], [], is_local=True))

    def _ticker(self) -> Callable[[], None]:
        incarnation = self.incarnation

        def tick() -> None:
            if self.incarnation != incarnation or not self.is_up:
                return
            if Ticked() not in self._inbox:  # a late tick is not made up for
                self.receive(Ticked())
            self._world.after(self.tick_us, tick)

        return tick

    def _wake_later(self) -> None:
        if self._is_woken:
            return
        self._is_woken = True

        def wake() -> None:
            self._is_woken = False
            if not self.is_up or not self._inbox:
                return
            if self._world.now_us >= self._busy_until_us:
                self._handle(self._inbox.popleft())
            if self._inbox:
                self._wake_later()

        self._world.at(max(self._busy_until_us, self._world.now_us + 1), wake)

    def _handle(self, event: NodeEvent) -> None:
        self._busy_until_us = max(self._busy_until_us, self._world.now_us) + self.pace.event_us
        checkers = self._around.checkers
        if self.is_correct and isinstance(event, FrameReceived):
            checkers.evidence.received(self, event.payload)
        try:
            self._dispatch(event)
            self._boundary()
        except ProcessEnded:
            return
        except StorageFailure as failure:
            self._stop(f"stops: {failure}")
            return
        except Damaged as damage:
            self._call_operator(damage)
            return
        except Violation:
            raise
        except Exception as error:
            if self.is_correct:
                raise Violation(
                    "driver raised", f"{self.name}: {type(error).__name__}: {error}"
                ) from error
            self._around.coverage.count("liar broke down")
            self._stop(f"the liar broke down: {error}")
            return
        if self.is_correct:
            checkers.settled(self)

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
            self._boundary()
            self._perform(driver, effect)

    def _boundary(self) -> None:
        """Between two effects: the process may end here."""
        if self.effects_until_crash is None:
            return
        self.effects_until_crash -= 1
        if self.effects_until_crash < 0:
            self._planned_crash("crash at an effect")
            raise ProcessEnded

    def _disk_step(self) -> None:
        """Before a change of the disk: the process may end here."""
        if self.steps_until_crash is None:
            return
        self.steps_until_crash -= 1
        if self.steps_until_crash < 0:
            self.steps_until_crash = None
            if self.is_up:
                self._planned_crash("crash at a disk step")
            raise ProcessEnded

    # Effects

    def _perform(self, driver: Driver, effect: Effect) -> None:
        match effect:
            case SaveJournal():
                self._save(effect)
            case CommitBlock():
                self._commit(driver, effect)
            case SendFrame():
                self._emit(effect.frame, [effect.replica])
            case BroadcastFrame():
                count = len(self._around.deployment.signers)
                self._emit(effect.frame, [peer for peer in range(count) if peer != self.number])
            case VerifyEnvelopes():
                self._verify(effect)
            case PutCheckpoint():
                if self.store is not None:
                    self.store.chain_store.put_checkpoint(effect.height, effect.note)
            case RecoveryEnded():
                self._around.coverage.count("recovery ended")
                self._world.trace(self.name, "recovery ended")
                self.is_recovering = False
            case Halted():
                self._world.trace(self.name, f"halts: {effect.reason}")
                if self.has_old_journal:
                    self._refuse_old_journal()
                    raise ProcessEnded
                if self.is_correct:
                    raise Violation("correct node halted", f"{self.name}: {effect.reason}")
            case Said():
                self._world.trace(self.name, f"{effect.level}: {effect.text}")
            case _:
                assert_never(effect)

    def _save(self, effect: SaveJournal) -> None:
        if self._journal is None:
            raise ProcessEnded
        pending = JournalKeep.KEEP if effect.pending is KEEP else effect.pending
        self._journal.save(effect.record, pending)
        self.save_count += 1
        self._busy_until_us += self.pace.fsync_us
        self._world.trace(self.name, f"saves {tagged_hash(b'', effect.record).hex()[:12]}")
        if self.is_correct:
            self._around.checkers.votes.saved(self, effect.record)

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
            self._around.checkers.chain.committed(self, effect.block, effect.certificate)
        if self._wait is Wait.NESTED:
            self._step(driver, Committed(height))
        else:
            self._caused.append(Committed(height))

    def _emit(self, frame: Frame, peers: Sequence[int]) -> None:
        if self.liar is not None and self.driver is not None:
            for peer, payload in self.liar.tamper(self.driver, frame, peers):
                self._around.send(self.number, peer, payload, self._busy_until_us)
            return
        self._around.checkers.votes.sending(self, frame)
        payload = encode_frame(frame)
        for peer in peers:
            self._around.send(self.number, peer, payload, self._busy_until_us)

    def _verify(self, effect: VerifyEnvelopes) -> None:
        incarnation = self.incarnation
        candidates, rejected = [], []
        for raw in effect.envelopes:
            try:
                parsed = parse_relayed(raw, self._around.deployment.genesis.chain_id)
                if not self._is_signed(parsed):
                    raise Rejected(Reason.BAD_SIGNATURE, "a signature does not verify")
                candidates.append(parsed.candidate)
            except Rejected as error:
                rejected.append((tagged_hash(tags.ENVELOPE, raw), error))

        def done() -> None:
            if self.incarnation == incarnation:
                self.receive(Admitted(candidates, rejected, is_local=False))

        self._world.after(self._chance.randint(1, self.pace.verify_us), done)

    def _is_signed(self, parsed: Parsed) -> bool:
        return all(self._around.memory.verify(*check) for check in parsed.checks)


def peer_event(peer: int, is_connected: bool) -> PeerChanged:
    """Return what a node is told about a connection."""
    return PeerChanged(peer, is_connected)
