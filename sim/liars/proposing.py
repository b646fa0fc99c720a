"""Primaries that misuse their turn: two blocks, false blocks, left-out merchants, late blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from consensus.messages import Commit, NewView, Prepare, PrePrepare, Proposal, SignedClaim
from consensus.timers import compute_view_timeout_ticks
from contracts.execution import Candidate
from ledger.block import decode_header, encode_header
from ledger.votes import PRE_PREPARE, PreparedClaim
from node.blocks import Limits, build_block, proposal_of
from node.driver import Driver
from node.mempool import Mempool
from node.messages import Frame, Transactions
from sim.coverage import Coverage
from sim.deployment import CENSORED_MERCHANT, TICK_MS, TIMING, Deployment
from sim.liars.liar import Liar, Packet, Sent, read, write
from sim.world import MS, World

SLOW_SHARE: Final = (0.6, 0.98)
"""Between which parts of the view timeout a primary just under it proposes."""


def build_empty(driver: Driver, time_ms: int) -> Proposal:
    """Return a valid block of a header alone on what this driver has applied."""
    genesis = driver.identity.genesis
    limits = Limits(
        genesis.parameters.block_transactions_max,
        genesis.parameters.block_bytes_max,
        genesis.rule_pack.version,
    )
    built = build_block(
        driver.chain,
        [],
        limits,
        replica=driver.identity.replica,
        now_ms=time_ms,
        batch_divisor=1,
    )
    return proposal_of(built.block, built.candidates)


class Equivocator(Liar):
    """As primary proposes two valid blocks, one to each half, and votes for both."""

    kind = "equivocating primary"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._twins: dict[bytes, bytes] = {}
        self._groups: dict[bytes, tuple[list[int], list[int]]] = {}

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        own = self._own_proposal(message)
        if own is not None and own.height == driver.chain.header.height + 1 and self._lies(0.9):
            twin = self._make_twin(driver, own)
            block_hash = own.proposal.block_hash
            self._twins[block_hash] = twin.proposal.block_hash
            groups = self._groups.setdefault(block_hash, self._halves(peers))
            for peer in peers:
                yield Packet(peer, write(own if peer in groups[0] else twin))
            return
        if isinstance(message, Commit | Prepare) and message.block_hash in self._twins:
            twin_vote = self._vote(message, self._twins[message.block_hash])
            groups = self._groups.get(message.block_hash, (list(peers), []))
            for peer in peers:
                yield Packet(peer, write(message if peer in groups[0] else twin_vote))
            return
        yield from super().tamper(driver, frame, peers)

    def _make_twin(self, driver: Driver, own: PrePrepare | NewView) -> PrePrepare | NewView:
        """Return another proposal for the slot: the same time plus one, and no transactions."""
        time_ms = decode_header(own.proposal.header).time_ms
        return self._propose(own, build_empty(driver, time_ms + 1))


class WrongRoot(Liar):
    """As primary proposes a header with a false root or other false fields, well signed."""

    kind = "wrong root"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        own = self._own_proposal(read(frame))
        if own is None or not self._lies():
            yield from super().tamper(driver, frame, peers)
            return
        header = decode_header(own.proposal.header)
        change: dict[str, object] = self._chance.choice(
            [
                {"state_root": self._chance.randbytes(32)},
                {"log_root": self._chance.randbytes(32)},
                {"time_ms": header.time_ms + 3_600_000},
                {"time_ms": max(header.time_ms - 3_600_000, 1)},
                {"proposer": (header.proposer + 1) % len(driver.chain.validators)},
                {"count": header.count + 1},
                {"parent_hash": self._chance.randbytes(32)},
            ]
        )
        false = encode_header(msgspec.structs.replace(header, **change))
        lie = write(self._propose(own, msgspec.structs.replace(own.proposal, header=false)))
        for peer in peers:
            yield Packet(peer, lie)


class Laggard(Liar):
    """As primary waits with its proposal until just before the others would give it up."""

    kind = "primary just under the timeout"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._due_us: dict[tuple[int, int], int] = {}

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        own = self._own_proposal(read(frame))
        if own is None:
            yield from super().tamper(driver, frame, peers)
            return
        slot = (own.height, own.view)
        if slot not in self._due_us:
            span_us = compute_view_timeout_ticks(own.view, TIMING) * TICK_MS * MS
            share = self._chance.uniform(*SLOW_SHARE) if self._lies(0.9) else 0.0
            self._due_us = {slot: self._world.now_us + int(share * span_us)}
            delay_us = self._due_us[slot] - self._world.now_us
            for peer in peers:
                yield Packet(peer, write(own), delay_us)
        elif self._world.now_us >= self._due_us[slot]:
            yield from super().tamper(driver, frame, peers)


class _CensoringPool(Mempool):
    """A pool that shows a merchant's transactions to nobody who builds a block."""

    def __init__(self, merchant: str) -> None:
        super().__init__()
        self._merchant = merchant

    def candidates(self) -> Iterator[Candidate]:
        for candidate in super().candidates():
            if candidate.transaction.body.signers[0] != self._merchant:
                yield candidate


class Censor(Liar):
    """As primary never proposes one merchant's transactions, and never passes them on."""

    kind = "censoring primary"
    merchant: ClassVar[str] = CENSORED_MERCHANT

    @classmethod
    def make_pool(cls) -> Mempool:
        return _CensoringPool(cls.merchant)

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        if isinstance(frame, Transactions):
            mark = f'"signers":["{self.merchant}"'.encode()
            kept = [raw for raw in frame.envelopes if mark not in raw]
            if len(kept) < len(frame.envelopes):
                self._lies(1.0)
                frame = Transactions(kept)
        own = self._own_proposal(read(frame))
        hidden = len([*Mempool.candidates(driver.pool)]) - len([*driver.pool.candidates()])
        if own is not None and hidden:
            self._lies(1.0)
        yield from super().tamper(driver, frame, peers)


class NewViewForger(Liar):
    """As primary of a later view justifies its proposal falsely, or drops what was prepared."""

    kind = "forged new-view"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        own = self._own_proposal(message)
        if isinstance(own, NewView) and own.height == driver.chain.header.height + 1:
            if self._lies():
                lie = write(self._falsify(driver, own))
                for peer in peers:
                    yield Packet(peer, lie)
                return
        elif message is not None and self._lies(0.1):
            lie = write(self._invent(driver))
            for peer in peers:
                yield Packet(peer, lie)
        yield from super().tamper(driver, frame, peers)

    def _falsify(self, driver: Driver, own: NewView) -> NewView:
        changes = own.view_changes
        first = changes[0]
        match self._chance.randrange(6):
            case 0:
                return msgspec.structs.replace(own, view_changes=changes[1:])
            case 1:
                return msgspec.structs.replace(own, view_changes=(first, *changes[:-1]))
            case 2:
                return msgspec.structs.replace(own, view_changes=changes[::-1])
            case 3:
                claim = PreparedClaim(own.view - 1, self._chance.randbytes(32))
                false = SignedClaim(
                    self.number, claim, self._sign_claim(own.height, own.view, claim)
                )
                rest = tuple(item for item in changes if item.replica != self.number)
                both = tuple(sorted((false, *rest), key=lambda item: item.replica))
                return msgspec.structs.replace(own, view_changes=both)
            case 4:
                return msgspec.structs.replace(own, prepared=None)
            case _:
                time_ms = decode_header(own.proposal.header).time_ms + 1
                fresh = build_empty(driver, time_ms)
                signature = self._sign(PRE_PREPARE, own.height, own.view, fresh.block_hash)
                return msgspec.structs.replace(own, proposal=fresh, signature=signature)

    def _invent(self, driver: Driver) -> NewView:
        """Return a new-view of a view it leads, with everybody's view-changes signed by itself."""
        height, count = driver.chain.header.height + 1, len(self._validators)
        view = (self.number - height) % count or count
        changes = tuple(
            SignedClaim(replica, None, self._sign_claim(height, view, None))
            for replica in range(self._validators.quorum)
        )
        proposal = build_empty(driver, driver.chain.header.time_ms + 1)
        signature = self._sign(PRE_PREPARE, height, view, proposal.block_hash)
        return NewView(height, view, changes, None, proposal, signature)
