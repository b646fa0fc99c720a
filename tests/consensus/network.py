"""A tiny deterministic network of replicas: scripted or seeded, no clock, no sockets, no `sim`.

Each `Node` is a driver in miniature: it performs actions strictly in order, keeps only what was
persisted across a crash, and answers the replica through its own queue. `Network` delivers encoded
bytes and checks every statement a correct node makes: it was durable before it was sent, it never
contradicts an earlier one, and all nodes apply the same blocks.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from consensus import actions as act
from consensus import events as ev
from consensus.durable import decode_record
from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ViewChange,
    decode_message,
    encode_message,
)
from consensus.replica import Replica
from consensus.timers import Timing
from ledger.block import Header, compute_block_hash, decode_header, encode_header
from ledger.hashing import ZERO_HASH, sha256
from ledger.validators import Validator, ValidatorSet
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    CommitCertificate,
    PreparedCertificate,
    SignedBy,
    Vote,
    claim_of,
    compute_view_change_message,
    compute_vote_message,
)

CHAIN_ID = sha256(b"test chain")
TIMING = Timing(
    view_timeout_ticks=8,
    view_timeout_ticks_max=64,
    resend_interval_ticks=3,
    idle_interval_ticks=40,
    catch_up_interval_ticks=4,
    clock_skew_ms_max=10_000,
)
TICK_MS = 100
START_MS = 1_000_000


class FakeSigner:
    """Deterministic stand-in for Ed25519: anybody can verify, only tests would forge."""

    def __init__(self, replica: int) -> None:
        self.public_key = sha256(b"vote key %d" % replica)

    def sign(self, message: bytes) -> bytes:
        return fake_signature(self.public_key, message)


def fake_signature(public_key: bytes, message: bytes) -> bytes:
    return hashlib.sha512(public_key + message).digest()


def fake_verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return signature == fake_signature(public_key, message)


def make_validators(count: int) -> ValidatorSet:
    return ValidatorSet(
        [
            Validator(
                f"institution-{i}",
                FakeSigner(i).public_key,
                sha256(b"cosign %d" % i),
                sha256(b"log %d" % i),
                sha256(b"party %d" % i),
            )
            for i in range(count)
        ]
    )


def make_genesis(validators: ValidatorSet) -> Header:
    return Header(
        1, CHAIN_ID, 0, ZERO_HASH, START_MS, 0, 0, 1, ZERO_HASH, ZERO_HASH, validators.hash, 1
    )


def make_proposal(
    parent: Header, proposer: int, time_ms: int, salt: bytes, count: int = 2
) -> Proposal:
    """Return the block whose 'execution' is hashing: what every honest node would compute."""
    envelopes = b"".join(sha256(b"envelope %d " % i + salt) for i in range(count))
    leaves = execute(parent, envelopes)
    parent_hash = compute_block_hash(encode_header(parent))
    header = Header(
        1,
        CHAIN_ID,
        parent.height + 1,
        parent_hash,
        time_ms,
        proposer,
        parent.log_size,
        count,
        sha256(b"log" + parent_hash + leaves),
        sha256(b"state" + parent.state_root + leaves),
        parent.validators_hash,
        1,
    )
    return Proposal(encode_header(header), envelopes, leaves)


def execute(parent: Header, envelopes: bytes) -> bytes:
    return b"".join(
        sha256(parent.state_root + envelopes[i : i + 32]) for i in range(0, len(envelopes), 32)
    )


def check(parent: Header, proposal: Proposal) -> ev.Verdict:
    header = decode_header(proposal.header)
    leaves = execute(parent, proposal.envelope_hashes)
    if header.log_root != sha256(b"log" + header.parent_hash + proposal.leaf_hashes):
        return ev.Verdict.BAD_BODY
    if leaves != proposal.leaf_hashes:
        return ev.Verdict.ENTRIES_DIFFER
    if header.state_root != sha256(b"state" + parent.state_root + leaves):
        return ev.Verdict.STATE_DIFFERS
    return ev.Verdict.OK


def sign_vote(replica: int, phase: int, height: int, view: int, block_hash: bytes) -> Vote:
    message = compute_vote_message(phase, CHAIN_ID, height, view, block_hash)
    return Vote(phase, height, view, block_hash, replica, FakeSigner(replica).sign(message))


def sign_pre_prepare(replica: int, height: int, proposal: Proposal) -> PrePrepare:
    vote = sign_vote(replica, PRE_PREPARE, height, 0, proposal.block_hash)
    return PrePrepare(height, 0, proposal, vote.signature)


def sign_prepare(replica: int, height: int, view: int, block_hash: bytes) -> Prepare:
    vote = sign_vote(replica, PREPARE, height, view, block_hash)
    return Prepare(height, view, block_hash, replica, vote.signature)


def sign_commit(replica: int, height: int, view: int, block_hash: bytes) -> Commit:
    vote = sign_vote(replica, COMMIT, height, view, block_hash)
    return Commit(height, view, block_hash, replica, vote.signature)


def sign_view_change(
    replica: int, height: int, view: int, prepared: PreparedCertificate | None
) -> ViewChange:
    message = compute_view_change_message(CHAIN_ID, height, view, claim_of(prepared))
    return ViewChange(height, view, prepared, replica, FakeSigner(replica).sign(message))


def sign_new_view(
    replica: int, height: int, view: int, view_changes: list[ViewChange], proposal: Proposal
) -> NewView:
    certificates = [vc.prepared for vc in view_changes if vc.prepared is not None]
    vote = sign_vote(replica, PRE_PREPARE, height, view, proposal.block_hash)
    return NewView(
        height,
        view,
        tuple(vc.claim for vc in view_changes),
        max(certificates, key=lambda item: item.view, default=None),
        proposal,
        vote.signature,
    )


def make_prepared(
    validators: ValidatorSet, height: int, view: int, block_hash: bytes
) -> PreparedCertificate:
    primary = validators.primary(height, view)
    others = [i for i in range(len(validators)) if i != primary][: validators.quorum - 1]
    return PreparedCertificate(
        view,
        block_hash,
        sign_vote(primary, PRE_PREPARE, height, view, block_hash).signature,
        tuple(
            SignedBy(i, sign_vote(i, PREPARE, height, view, block_hash).signature) for i in others
        ),
    )


def make_certificate(
    validators: ValidatorSet, height: int, view: int, block_hash: bytes
) -> CommitCertificate:
    return CommitCertificate(
        height,
        view,
        block_hash,
        tuple(
            SignedBy(i, sign_vote(i, COMMIT, height, view, block_hash).signature)
            for i in range(validators.quorum)
        ),
    )


class Crashed(Exception):
    """The power was cut in the middle of performing actions."""


@dataclass
class Disk:
    record: bytes | None = None
    pending: Proposal | None = None
    headers: list[Header] = field(default_factory=list)
    certificates: dict[int, CommitCertificate] = field(default_factory=dict)
    bodies: dict[int, Proposal] = field(default_factory=dict)


class Node:
    """A driver in miniature around one replica."""

    def __init__(self, network: Network, number: int, is_twin: bool = False) -> None:
        self.network = network
        self.number = number
        self.is_twin = is_twin
        self.disk = Disk(headers=[network.genesis])
        self.replica: Replica | None = None
        self.queue: deque[ev.Event] = deque()
        self.memory: dict[bytes, Proposal] = {}
        self.work_pending = True
        self.clock_offset_ms = 0
        self.bad_state = False
        self.persist_count = 0
        self.crash_at_persist: tuple[int, str] | None = None
        self.decided_height = 0
        """Highest height decided since the last start."""
        self.build_count = 0
        self.built_at_tick = 0
        self.notes: list[str] = []
        self.evidence: list[act.ReportEvidence] = []
        self.catch_ups: list[act.CatchUp] = []
        self.built: list[act.BuildProposal] = []
        self.halts: list[act.Halt] = []

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    @property
    def running(self) -> Replica:
        assert self.replica is not None
        return self.replica

    def start(self, silent_through_height: int = 0) -> None:
        self.memory.clear()
        self.queue.clear()
        self.decided_height = 0
        self.replica = Replica(
            own=self.number,
            validators=self.network.validators,
            chain_id=CHAIN_ID,
            signer=FakeSigner(self.number),
            verify_signature=fake_verify,
            timing=TIMING,
        )
        if self.disk.pending is not None:
            self.memory[self.disk.pending.block_hash] = self.disk.pending
        self.handle(
            ev.Restored(
                self.disk.record, self.disk.pending, self.disk.headers[-1], silent_through_height
            )
        )

    def crash(self) -> None:
        self.replica = None
        self.queue.clear()
        self.memory.clear()

    def handle(self, event: ev.Event) -> None:
        if self.replica is None:
            return
        if isinstance(event, ev.BlockApplied):
            # Not before: until the replica knows, it may still name a block of that height.
            pending = self.disk.pending
            self.memory = {} if pending is None else {pending.block_hash: pending}
        actions = self.replica.step(event)
        persists = [i for i, item in enumerate(actions) if isinstance(item, act.Persist)]
        assert persists in ([], [0]), "a Persist stands first and alone"
        try:
            for action in actions:
                self.perform(action)
        except Crashed:
            self.crash()

    def perform(self, action: act.Action) -> None:
        match action:
            case act.Persist():
                self.persist(action)
            case act.Broadcast():
                self.network.audit(self, action.message)
                for other in self.network.nodes:
                    if other.number != self.number:
                        self.network.send(self, other, action.message)
            case act.Send():
                assert action.replica != self.number
                self.network.audit(self, action.message)
                for other in self.network.nodes:
                    if other.number == action.replica:
                        self.network.send(self, other, action.message)
            case act.BuildProposal():
                self.built.append(action)
                self.queue.append(self.build(action))
            case act.CheckProposal():
                self.remember(action.proposal)
                verdict = (
                    ev.Verdict.STATE_DIFFERS
                    if self.bad_state
                    else check(self.disk.headers[-1], action.proposal)
                )
                self.queue.append(
                    ev.ProposalChecked(
                        action.height, action.view, action.proposal.block_hash, verdict
                    )
                )
            case act.FetchProposal():
                self.fetch(action)
            case act.Decide():
                self.decide(action)
            case act.CatchUp():
                self.catch_ups.append(action)
                self.catch_up(action)
            case act.SendDecided():
                certificate = self.disk.certificates[action.height]
                for other in self.network.nodes:
                    if other.number == action.to_replica:
                        self.network.send(self, other, Decided(certificate))
            case act.ReportEvidence():
                action.equivocation.verify(self.network.validators, CHAIN_ID, fake_verify)
                self.evidence.append(action)
            case act.Halt():
                self.halts.append(action)
            case act.Note():
                self.notes.append(action.text)

    def persist(self, action: act.Persist) -> None:
        self.persist_count += 1
        crash = self.crash_at_persist
        if crash == (self.persist_count, "before"):
            raise Crashed
        self.disk.record = action.record
        if action.pending is None:
            self.disk.pending = None
        elif isinstance(action.pending, bytes):
            self.disk.pending = self.memory[action.pending]
        if crash == (self.persist_count, "after"):
            raise Crashed

    def build(self, action: act.BuildProposal) -> ev.ProposalBuilt:
        # Work is one batch per node and tick, so that a tick's traffic ends.
        has_work = self.work_pending and self.built_at_tick != self.network.ticks
        if not has_work and not action.allow_empty:
            return ev.ProposalBuilt(action.height, action.view, None)
        self.built_at_tick = self.network.ticks
        self.build_count += 1
        parent = self.disk.headers[-1]
        salt = b"%d %d %d %d" % (self.number, action.height, action.view, self.build_count)
        count = 2 // action.batch_divisor if self.work_pending else 0
        time_ms = max(self.now_ms(), parent.time_ms + 1)
        proposal = make_proposal(parent, self.number, time_ms, salt + bytes([self.is_twin]), count)
        self.remember(proposal)
        return ev.ProposalBuilt(action.height, action.view, proposal)

    def fetch(self, action: act.FetchProposal) -> None:
        for number in action.from_replicas:
            for other in self.network.nodes:
                if other.number != number or not other.is_up:
                    continue
                if not self.network.is_open(other, self) or not self.network.is_open(self, other):
                    continue
                found = other.memory.get(action.block_hash)
                if found is not None:
                    self.remember(found)
                    self.queue.append(ev.ProposalFetched(action.block_hash, found, number))
                    return

    def remember(self, proposal: Proposal) -> None:
        """Keep what the interface asks a driver to keep: the pending block and the 4 newest."""
        self.memory.pop(proposal.block_hash, None)
        self.memory[proposal.block_hash] = proposal
        pending = self.disk.pending
        old = [key for key in self.memory if pending is None or key != pending.block_hash]
        for key in old[:-4]:
            del self.memory[key]

    def decide(self, action: act.Decide) -> None:
        action.certificate.verify(self.network.validators, CHAIN_ID, fake_verify)
        assert self.decided_height < action.height, "no height is decided twice"
        self.decided_height = action.height
        if action.height < len(self.disk.headers):
            # Trap 27: catch-up was first, and its BlockApplied is still on the way.
            assert self.network.applied[action.height] == action.block_hash
            return
        self.apply(self.memory[action.block_hash], action.certificate)

    def apply(self, proposal: Proposal, certificate: CommitCertificate) -> None:
        header = decode_header(proposal.header)
        assert proposal.block_hash == certificate.block_hash
        assert check(self.disk.headers[-1], proposal) is ev.Verdict.OK
        self.disk.headers.append(header)
        self.disk.certificates[header.height] = certificate
        self.disk.bodies[header.height] = proposal
        self.network.audit_applied(self, proposal)
        self.queue.append(ev.BlockApplied(header))

    def catch_up(self, action: act.CatchUp) -> None:
        for other in self.network.nodes:
            if other.number != action.from_replica or not other.is_up or other.is_twin:
                continue
            if not self.network.is_open(other, self) or not self.network.is_open(self, other):
                continue
            while len(self.disk.headers) < len(other.disk.headers):
                height = len(self.disk.headers)
                self.apply(other.disk.bodies[height], other.disk.certificates[height])

    def now_ms(self) -> int:
        return START_MS + self.network.ticks * TICK_MS + self.clock_offset_ms

    def tick(self) -> None:
        self.handle(ev.Tick(self.now_ms(), self.work_pending))


Filter = Callable[[int, int, Message], bool]


class Network:
    """Nodes, the bytes between them, and the invariants."""

    def __init__(self, count: int, seed: int | None = None) -> None:
        self.validators = make_validators(count)
        self.genesis = make_genesis(self.validators)
        self.nodes = [Node(self, i) for i in range(count)]
        self.in_flight: deque[tuple[Node, Node, bytes]] = deque()
        self.random = None if seed is None else random.Random(seed)
        self.drop_probability = 0.0
        self.duplicate_probability = 0.0
        self.ticks = 0
        self.filter: Filter | None = None
        self.statements: dict[tuple[object, ...], bytes] = {}
        self.applied: dict[int, bytes] = {}
        self.log: list[tuple[int, Message]] = []

    def start(self) -> Network:
        for node in self.nodes:
            node.start()
        return self

    def power_on(self) -> None:
        """Start every node that is down, and cut no more power."""
        for node in self.nodes:
            node.crash_at_persist = None
            if not node.is_up:
                node.start()

    def is_open(self, sender: Node, receiver: Node) -> bool:
        if self.filter is None:
            return True
        probe = Decided(CommitCertificate(1, 0, ZERO_HASH, ()))
        return self.filter(sender.number, receiver.number, probe)

    def send(self, sender: Node, receiver: Node, message: Message) -> None:
        self.log.append((sender.number, message))
        if self.filter is not None and not self.filter(sender.number, receiver.number, message):
            return
        copies = 1
        if self.random is not None:
            if self.random.random() < self.drop_probability:
                return
            copies += self.random.random() < self.duplicate_probability
        for _ in range(copies):
            self.in_flight.append((sender, receiver, encode_message(message)))

    def inject(self, receiver: int, message: Message, sender: int | None = None) -> None:
        """Deliver a forged or scripted message at once, as its bytes."""
        self.nodes[receiver].handle(ev.Received(decode_message(encode_message(message)), sender))

    def settle(self, steps_max: int = 200_000) -> None:
        """Deliver everything until nothing is left to do, without letting time pass."""
        for _ in range(steps_max):
            if not self.step():
                return
        raise AssertionError("the network does not settle")

    def step(self) -> bool:
        """Deliver one message or answer; return whether there was one."""
        busy = [node for node in self.nodes if node.queue]
        if self.random is None:
            if busy:
                busy[0].handle(busy[0].queue.popleft())
                return True
            if not self.in_flight:
                return False
            _, receiver, raw = self.in_flight.popleft()
        else:
            if busy and (not self.in_flight or self.random.random() < 0.5):
                node = self.random.choice(busy)
                node.handle(node.queue.popleft())
                return True
            if not self.in_flight:
                return False
            index = min(self.random.randrange(len(self.in_flight)), 40)
            self.in_flight.rotate(-index)
            _, receiver, raw = self.in_flight.popleft()
            self.in_flight.rotate(index)
        receiver.handle(ev.Received(decode_message(raw)))
        return True

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.ticks += 1
            for node in self.nodes:
                node.tick()
            self.settle()

    def run_to(self, height: int, ticks_max: int, only: list[int] | None = None) -> None:
        """Run until the nodes (all that are up, by default) applied `height`."""
        for _ in range(ticks_max):
            watched = [
                node for node in self.nodes if (node.is_up if only is None else node.number in only)
            ]
            if all(len(node.disk.headers) > height for node in watched):
                return
            self.run(1)
        raise AssertionError(
            f"height {height} not reached in {ticks_max} ticks: "
            + ", ".join(
                f"{node.number}: {len(node.disk.headers) - 1}"
                + (f" (view {node.replica.view})" if node.replica else " (down)")
                for node in self.nodes
            )
        )

    def audit(self, node: Node, message: Message) -> None:
        """Check one outgoing message of a node: durable, and never contradicting another."""
        if node.is_twin:
            return
        own = node.number
        match message:
            case Prepare() | Commit():
                assert message.replica == own
                phase = message.vote.phase
                self.state_once((own, phase, message.height, message.view), message.block_hash)
                assert message.vote in self.record_of(node).votes
                if isinstance(message, Commit) and self.record_of(node).view == message.view:
                    assert node.disk.pending is not None
                    assert node.disk.pending.block_hash == message.block_hash
            case PrePrepare() | NewView():
                if self.validators.primary(message.height, message.view) != own:
                    return
                block_hash = message.proposal.block_hash
                self.state_once((own, PRE_PREPARE, message.height, message.view), block_hash)
                votes = self.record_of(node).votes
                assert any(
                    (vote.phase, vote.view, vote.block_hash)
                    == (PRE_PREPARE, message.view, block_hash)
                    for vote in votes
                )
            case ViewChange():
                assert message.replica == own
                self.state_once(
                    (own, "view-change", message.height, message.view), message.signature
                )
                assert self.record_of(node).view_change == message
                if message.prepared is not None:
                    assert node.disk.pending is not None
                    assert node.disk.pending.block_hash == message.prepared.block_hash
            case Decided():
                pass

    def record_of(self, node: Node):  # type: ignore[no-untyped-def]
        assert node.disk.record is not None, "nothing is sent before a record is durable"
        return decode_record(node.disk.record, CHAIN_ID, node.number)

    def state_once(self, slot: tuple[object, ...], value: bytes) -> None:
        assert self.statements.setdefault(slot, value) == value, f"{slot} signed twice"

    def audit_applied(self, node: Node, proposal: Proposal) -> None:
        header = decode_header(proposal.header)
        if node.is_twin:
            return
        known = self.applied.setdefault(header.height, proposal.block_hash)
        assert known == proposal.block_hash, f"fork at height {header.height}"
