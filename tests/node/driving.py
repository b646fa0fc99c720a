"""A few real drivers on memory, stepped by hand: effects are performed in order, frames queue up.

No clock runs and nothing is lost unless a test says so. What a driver asks to be made durable is
written to a real journal and a real chain store on a directory in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from consensus.actions import KEEP
from consensus.messages import Message, decode_message
from ledger.hashing import sha256
from ledger.transaction import encode_body, sign_transaction
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
from node.intake import parse_relayed
from node.ledger_store import open_ledger
from node.messages import Consensus, FetchTransactions, Frame, encode_frame
from node.snapshot_serving import ShelfAnswers
from node.snapshot_shelf import SnapshotShelf
from sim.deployment import REPLAY_WINDOW_MS, TICK_MS, TIMING, SignatureMemory, make_deployment
from sim.disk import VirtualDirectory
from sim.world import EPOCH_MS
from storage.chain import GENESIS_START, ChainStart
from storage.journal import Journal
from storage.journal import Keep as JournalKeep
from storage.memory import MemoryStore
from tests.storage.crashing import CrashingDirectory

NOW_MS = EPOCH_MS + 10_000
MEMORY = SignatureMemory()

Loses = Callable[[int, int, Frame], bool]
"""(from, to, frame) → whether it is lost on the way."""


@dataclass
class Machine:
    """A driver, its disks, and everything it did."""

    number: int
    network: Drivers
    segments: CrashingDirectory = field(default_factory=CrashingDirectory)
    votes: CrashingDirectory = field(default_factory=CrashingDirectory)
    index: MemoryStore = field(default_factory=MemoryStore)
    shelf: SnapshotShelf = field(
        default_factory=lambda: SnapshotShelf(VirtualDirectory("snapshots"))
    )
    begins: ChainStart = GENESIS_START
    """What the chain on the disks begins with."""
    done: list[Effect] = field(default_factory=list)
    """Effects in the order in which they were performed."""
    holds: Callable[[Effect], bool] = lambda _: False
    """Effects that are not performed (a test stands between them)."""
    held: list[Effect] = field(default_factory=list)

    def start(self, *, is_recovering: bool = False) -> None:
        """Open what is on the disks and begin."""
        deployment = self.network.deployment
        store, chain = open_ledger(self.segments, self.index, deployment.genesis, start=self.begins)
        if not self.votes.names():
            Journal.create(self.votes)
        self.journal = Journal.open(self.votes)
        state = self.journal.load()
        self.store = store
        self.driver = Driver(
            Identity(self.number, deployment.genesis, deployment.signers[self.number]),
            chain,
            store,
            TIMING,
            is_recovering=is_recovering,
            verify=MEMORY.verify,
            snapshots=ShelfAnswers(self.shelf, store),
        )
        self.caused: deque[NodeEvent] = deque()
        self.step(Started(state.record, state.pending))

    @property
    def height(self) -> int:
        """The newest applied height."""
        return self.driver.chain.header.height

    def step(self, event: NodeEvent) -> None:
        """Step the driver and perform all it asks, as the shell does."""
        self.caused.append(event)
        if len(self.caused) > 1:
            return
        while self.caused:
            for effect in self.driver.step(self.caused[0], self.network.now_ms):
                self.done.append(effect)
                if self.holds(effect):
                    self.held.append(effect)
                else:
                    self.perform(effect)
            self.caused.popleft()

    def perform(self, effect: Effect) -> None:
        """Do what an effect asks."""
        match effect:
            case SaveJournal():
                pending = JournalKeep.KEEP if effect.pending is KEEP else effect.pending
                self.journal.save(effect.record, pending)
            case CommitBlock():
                self.store.commit(effect.block, effect.certificate, self.driver.chain.log)
                self.caused.append(Committed(effect.block.header.height))
            case SendFrame():
                self.network.send(self.number, effect.replica, effect.frame)
            case BroadcastFrame():
                for machine in self.network.machines:
                    if machine.number != self.number:
                        self.network.send(self.number, machine.number, effect.frame)
            case VerifyEnvelopes():
                chain_id = self.driver.chain.chain_id
                good = [parse_relayed(raw, chain_id).candidate for raw in effect.envelopes]
                self.caused.append(Admitted(good, [], is_local=False))
            case FetchEnvelopes():
                frame = FetchTransactions(effect.envelope_hashes)
                self.network.send(self.number, effect.replica, frame)
            case PutCheckpoint():
                self.store.chain_store.put_checkpoint(effect.height, effect.note)
            case RecoveryEnded() | Halted() | Said():
                pass

    def hear(self, replica: int, frame: Frame) -> None:
        """A frame of a peer arrives now."""
        self.step(FrameReceived(replica, encode_frame(frame)))

    def sent(self, kind: type[Any]) -> list[Any]:
        """The frames of a type this driver sent or broadcast, in order."""
        frames: list[Frame] = []
        for item in self.done:
            if isinstance(item, SendFrame | BroadcastFrame):
                frames.append(item.frame)
            elif isinstance(item, FetchEnvelopes):
                frames.append(FetchTransactions(item.envelope_hashes))
        return [frame for frame in frames if isinstance(frame, kind)]

    def said(self, level: str = "") -> list[str]:
        """Lines for the log."""
        return [
            item.text
            for item in self.done
            if isinstance(item, Said) and item.level.startswith(level)
        ]

    def voted(self) -> list[Message]:
        """The consensus messages this driver sent, each once."""
        payloads = dict.fromkeys(frame.payload for frame in self.sent(Consensus))
        return [decode_message(payload) for payload in payloads]


class Drivers:
    """Machines of one network, all connected, and the frames between them."""

    def __init__(self, count: int = 4, roles: tuple[str, ...] = ()) -> None:
        self.deployment = make_deployment(count, roles)
        self.now_ms = NOW_MS
        self.machines = [Machine(number, self) for number in range(count)]
        self.in_flight: deque[tuple[int, int, bytes]] = deque()
        self.loses: Loses = lambda _sender, _receiver, _frame: False
        self.salts = 0

    def start(self, *numbers: int) -> Drivers:
        """Start and connect these machines (all by default)."""
        chosen = numbers or tuple(range(len(self.machines)))
        for number in chosen:
            self.machines[number].start()
        for number in chosen:
            for other in chosen:
                if other != number:
                    self.machines[number].step(PeerChanged(other, True))
        return self

    def send(self, sender: int, receiver: int, frame: Frame) -> None:
        """Put a frame on the wire."""
        if hasattr(self.machines[receiver], "driver") and not self.loses(sender, receiver, frame):
            self.in_flight.append((sender, receiver, encode_frame(frame)))

    def settle(self) -> None:
        """Deliver everything, and what it causes, in order."""
        for _ in range(100_000):
            if not self.in_flight:
                return
            sender, receiver, payload = self.in_flight.popleft()
            self.machines[receiver].step(FrameReceived(sender, payload))
        raise AssertionError("the network does not settle")

    def tick(self, count: int = 1, *numbers: int) -> None:
        """Let ticks pass on these machines (all by default) and deliver what comes of it."""
        for _ in range(count):
            self.now_ms += TICK_MS
            for number in numbers or range(len(self.machines)):
                if hasattr(self.machines[number], "driver"):
                    self.machines[number].step(Ticked())
            self.settle()

    def transaction(
        self,
        note: str,
        by: int = 0,
        stream: str = "contract/c-1",
        left_ms: int = REPLAY_WINDOW_MS // 2,
    ) -> bytes:
        """Return an envelope of an institution: on the record whatever its outcome."""
        self.salts += 1
        body = encode_body(
            data={"amount": 1},
            kind="prepaid.prepay",
            not_after=self.now_ms + left_ms,
            reference=note,
            salt=sha256(b"%d" % self.salts).hex()[:32],
            signers=[f"bank-{by}"],
            stream=stream,
            version=1,
        )
        genesis = self.deployment.genesis
        return sign_transaction(body, genesis.chain_id, [self.deployment.signers[by].party])

    def submit(self, number: int, raw: bytes, *, is_local: bool = True) -> None:
        """Give a verified transaction to a machine."""
        machine = self.machines[number]
        candidate = parse_relayed(raw, machine.driver.chain.chain_id).candidate
        machine.step(Admitted([candidate], [], is_local=is_local))

    def grow(self, heights: int) -> None:
        """Decide so many more blocks, each with one transaction, on all that are up."""
        up = [machine for machine in self.machines if hasattr(machine, "driver")]
        target = max(machine.height for machine in up) + heights
        for _ in range(heights * 120):
            if min(machine.height for machine in up) >= target:
                return
            self.submit(up[0].number, self.transaction(f"r{self.salts}"))
            self.tick()
        raise AssertionError(f"no height {target}: {[machine.height for machine in up]}")
