"""Replicas that vote twice, deny what they voted, and claim what they never prepared.

Each contradiction is signed, and so is evidence against its maker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from consensus.messages import Commit, NewView, Prepare, ViewChange
from ledger.votes import (
    PREPARE,
    VIEW_MAX,
    PreparedCertificate,
    PreparedClaim,
    SignedBy,
)
from node.driver import Driver
from node.messages import Consensus, Frame
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.liars.liar import Liar, Packet, Sent, read, read_overheard, write
from sim.world import World

OVERHEARD_MAX: Final = 64
"""Frames of others that a replayer keeps."""


class DoubleVoter(Liar):
    """Votes for a block nobody proposed too, in the same slot."""

    kind = "double voter"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        yield from super().tamper(driver, frame, peers)
        if isinstance(message, Prepare | Commit) and self._lies():
            lie = write(self._vote(message, self._chance.randbytes(32)))
            for peer in self._halves(peers)[0]:
                yield Packet(peer, lie)


class TwoFacedPrimary(Liar):
    """As primary prepares another block than it proposed, or two others."""

    kind = "primary that prepares"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        own = self._own_proposal(read(frame))
        yield from super().tamper(driver, frame, peers)
        if own is None or not self._lies():
            return
        for _ in range(self._chance.randint(1, 2)):
            other = self._chance.randbytes(32)
            signature = self._sign(PREPARE, own.height, own.view, other)
            lie = write(Prepare(own.height, own.view, other, self.number, signature))
            for peer in self._some(peers):
                yield Packet(peer, lie)


class ClaimChanger(Liar):
    """Asks for one view with two claims: something prepared, and nothing or something else."""

    kind = "two claims for one view"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        yield from super().tamper(driver, frame, peers)
        if not isinstance(message, ViewChange) or not self._lies():
            return
        prepared = None
        if message.prepared is None:
            false = self._chance.randbytes(32)
            view = self._chance.randrange(message.view)
            signature = self._sign(PREPARE, message.height, view, false)
            prepared = PreparedCertificate(view, false, signature, ())
        lie = write(self._view_change(message.height, message.view, prepared))
        for peer in self._some(peers):
            yield Packet(peer, lie)


class Denier(Liar):
    """Commits, and then asks for later views as if it had prepared nothing."""

    kind = "denied commit"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        if isinstance(message, ViewChange) and message.prepared is not None and self._lies():
            lie = write(self._view_change(message.height, message.view, None))
            for peer in peers:
                yield Packet(peer, lie)
            return
        yield from super().tamper(driver, frame, peers)
        if isinstance(message, Commit) and self._lies(0.2):
            lie = write(self._view_change(message.height, message.view + 1, None))
            for peer in self._some(peers):
                yield Packet(peer, lie)


class Replayer(Liar):
    """Says again what others said long ago: view-changes, new-views and votes of left views."""

    kind = "stale messages"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._overheard: deque[bytes] = deque(maxlen=OVERHEARD_MAX)
        self._rare: deque[bytes] = deque(maxlen=OVERHEARD_MAX)

    def overhear(self, payload: bytes) -> None:
        message = read_overheard(payload)
        if isinstance(message, ViewChange | NewView):
            self._rare.append(payload)
        elif message is not None:
            self._overheard.append(payload)

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        for kept in (self._overheard, self._rare):
            if kept and self._lies(0.2):
                old = self._chance.choice(kept)
                for peer in self._some(peers):
                    yield Packet(peer, old)


class ViewChangeForger(Liar):
    """Asks for views in the name of others."""

    kind = "forged view-change"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not isinstance(frame, Consensus) or not self._lies(0.2):
            return
        own = self._view_change(driver.replica.height, driver.replica.view + 1, None)
        for replica in range(len(self._validators)):
            if replica != self.number:
                lie = write(msgspec.structs.replace(own, replica=replica))
                for peer in peers:
                    yield Packet(peer, lie)


class FalsePreparer(Liar):
    """Claims to have prepared, with certificates that prove nothing."""

    kind = "wrong prepared certificate"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._seen: deque[PreparedCertificate] = deque(maxlen=8)
        self._votes: deque[Prepare] = deque(maxlen=OVERHEARD_MAX)

    def overhear(self, payload: bytes) -> None:
        message = read_overheard(payload)
        if isinstance(message, ViewChange | NewView) and message.prepared is not None:
            self._seen.append(message.prepared)
        elif isinstance(message, Prepare):
            self._votes.append(message)

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not isinstance(frame, Consensus) or not self._lies(0.2):
            return
        height, view = driver.replica.height, driver.replica.view + self._chance.randint(1, 2)
        lie = write(self._view_change(height, view, self._make_certificate(height, view)))
        for peer in peers:
            yield Packet(peer, lie)

    def _make_certificate(self, height: int, view: int) -> PreparedCertificate:
        chance, quorum = self._chance, self._validators.quorum
        block_hash = chance.randbytes(32)
        prepared_view = chance.randrange(view)
        signature = self._sign(PREPARE, height, prepared_view, block_hash)
        primary = self._validators.primary(height, prepared_view)
        others = [number for number in range(len(self._validators)) if number != primary]
        match chance.randrange(4):
            case 0:  # a quorum of its own signature
                prepares = tuple(SignedBy(number, signature) for number in others[: quorum - 1])
            case 1:  # itself, again and again
                prepares = (SignedBy(self.number, signature),) * (quorum - 1)
            case 2 if self._seen:  # a true one of another height or view
                old = chance.choice(self._seen)
                return msgspec.structs.replace(old, view=prepared_view)
            case _:  # true prepares, of whatever views and blocks
                kept = {vote.replica: vote for vote in self._votes}
                prepares = tuple(
                    SignedBy(number, kept[number].signature) for number in others if number in kept
                )[: quorum - 1]
                if self._votes:
                    block_hash = self._votes[-1].block_hash
        return PreparedCertificate(prepared_view, block_hash, signature, prepares)


class Rusher(Liar):
    """Asks for huge views, votes at huge heights, and claims them in its status."""

    kind = "huge views and heights"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        message = read(frame)
        if message is None or not self._lies(0.2):
            return
        chance, replica = self._chance, driver.replica
        view = chance.choice([replica.view + 1, replica.view + 7, VIEW_MAX])
        height = chance.choice([replica.height, replica.height + 1, 2**53 - 1])
        lies = [write(self._view_change(height, view, None))]
        if isinstance(message, Prepare | Commit):
            far = msgspec.structs.replace(message, height=height, view=min(view, VIEW_MAX))
            lies.append(write(self._vote(far, chance.randbytes(32))))
        claim = PreparedClaim(view - 1, chance.randbytes(32))
        if chance.random() < 0.2:
            bare = PreparedCertificate(view - 1, claim.block_hash, bytes(64), ())
            lies.append(write(self._view_change(height, view, bare)))
        for lie in lies:
            for peer in peers:
                yield Packet(peer, lie)
