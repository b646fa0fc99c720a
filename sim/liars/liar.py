"""A liar: a node that runs the real driver and says something else than it told it to.

A liar sits between its driver and the wire. It hears whatever its node hears; it may drop, change,
double, delay or invent frames, and it signs whatever it likes with its own keys, but with no
others: what Castro & Liskov assume of a faulty replica (OSDI '99, section 2). At most f of them are
in one simulation. Each kind does one thing, most of the time and not always, because a liar that is
always caught hides later states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

import msgspec

from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ViewChange,
    decode_message,
    encode_message,
)
from ledger.refusal import Rejected
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    PreparedCertificate,
    PreparedClaim,
    claim_of,
    compute_view_change_message,
    compute_vote_message,
)
from node.driver import Driver
from node.mempool import Mempool
from node.messages import Consensus, Frame, decode_frame, encode_frame
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.world import World


class Packet(NamedTuple):
    """A frame for one replica, sent a span later."""

    replica: int
    payload: bytes
    delay_us: int = 0


Sent = Iterator[Packet]


class Liar:
    """An honest node, for the others to be derived from."""

    kind: ClassVar[str] = "honest"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        self.number: Final = number
        self._genesis = deployment.genesis
        self._chain_id = deployment.genesis.chain_id
        self._validators = deployment.genesis.validators
        self._signers = deployment.signers[number]
        self._world = world
        self._chance = world.chance(f"liar-{number}")
        self._coverage = coverage

    @classmethod
    def make_pool(cls) -> Mempool:
        """Return the pool that the driver of such a liar uses."""
        return Mempool()

    def overhear(self, payload: bytes) -> None:
        """A frame has come for this node."""

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        """Yield what to send instead of this frame to these replicas."""
        payload = encode_frame(frame)
        for peer in peers:
            yield Packet(peer, payload)

    def _lies(self, probability: float = 0.7) -> bool:
        if self._chance.random() >= probability:
            return False
        self._coverage.count(f"liar: {self.kind}")
        return True

    def _halves(self, peers: Sequence[int]) -> tuple[list[int], list[int]]:
        shuffled = list(peers)
        self._chance.shuffle(shuffled)
        cut = self._chance.randint(0, len(shuffled))
        return shuffled[:cut], shuffled[cut:]

    def _some(self, peers: Sequence[int]) -> list[int]:
        """Return some of these, one at least."""
        return self._chance.sample(list(peers), self._chance.randint(1, len(peers)))

    # Its own keys

    def _sign(self, phase: int, height: int, view: int, block_hash: bytes) -> bytes:
        return self._signers.vote.sign(
            compute_vote_message(phase, self._chain_id, height, view, block_hash)
        )

    def _vote(self, like: Prepare | Commit, block_hash: bytes) -> Prepare | Commit:
        """Return the same vote for another block."""
        phase = COMMIT if isinstance(like, Commit) else PREPARE
        signature = self._sign(phase, like.height, like.view, block_hash)
        return msgspec.structs.replace(like, block_hash=block_hash, signature=signature)

    def _view_change(
        self, height: int, view: int, prepared: PreparedCertificate | None
    ) -> ViewChange:
        signature = self._sign_claim(height, view, claim_of(prepared))
        return ViewChange(height, view, prepared, self.number, signature)

    def _sign_claim(self, height: int, view: int, claim: PreparedClaim | None) -> bytes:
        signed = compute_view_change_message(self._chain_id, height, view, claim)
        return self._signers.vote.sign(signed)

    def _own_proposal(self, message: Message | None) -> PrePrepare | NewView | None:
        """Return the message if it is this node's own proposal."""
        if not isinstance(message, PrePrepare | NewView):
            return None
        primary = self._validators.primary(message.height, message.view)
        return message if primary == self.number else None

    def _propose(self, like: PrePrepare | NewView, proposal: Proposal) -> PrePrepare | NewView:
        """Return the same message with another block."""
        signature = self._sign(PRE_PREPARE, like.height, like.view, proposal.block_hash)
        return msgspec.structs.replace(like, proposal=proposal, signature=signature)


def read_overheard(payload: bytes) -> Message | None:
    """Return the consensus message in what came from the wire, if it is one."""
    try:
        return read(decode_frame(payload))
    except Rejected:
        return None


def read(frame: Frame) -> Message | None:
    """Return the consensus message in a frame, if it is one."""
    return decode_message(frame.payload) if isinstance(frame, Consensus) else None


def write(message: Message) -> bytes:
    """Return a consensus message's frame."""
    return encode_frame(Consensus(encode_message(message)))
