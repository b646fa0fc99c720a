"""Nodes that mislead those who catch up, who certify, and who accuse.

What they send is well signed and false: only checking against the chain shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from consensus.messages import Commit, Prepare, ViewChange
from ledger.checkpoint import Checkpoint, cosign_checkpoint
from ledger.equivocation import (
    Amnesia,
    Equivocation,
    ViewChangeEquivocation,
    VoteEquivocation,
)
from ledger.votes import COMMIT, ViewClaim, Vote
from node.certification import cosigner_name
from node.convictions import Convictions
from node.driver import Driver
from node.messages import (
    Blocks,
    CertifiedBlock,
    Cosigned,
    Frame,
    Status,
    Transactions,
    encode_frame,
)
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.liars.liar import Liar, Packet, Sent, read_overheard
from sim.world import World


class FalseHistorian(Liar):
    """Lies to whoever catches up: changed entries, swapped certificates, false heights."""

    kind = "false historian"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        if isinstance(frame, Blocks) and self._lies(0.9):
            frame = Blocks(self._falsify(list(frame.blocks)))
        elif isinstance(frame, Status) and self._lies(0.5):
            height = frame.height + self._chance.choice([-1, 1, 5, 2**40])
            frame = msgspec.structs.replace(frame, height=max(height, 0))
        elif isinstance(frame, Cosigned) and self._lies(0.5):
            frame = msgspec.structs.replace(frame, root=self._chance.randbytes(32))
        yield from super().tamper(driver, frame, peers)

    def _falsify(self, blocks: list[CertifiedBlock]) -> list[CertifiedBlock]:
        chance = self._chance
        at = chance.randrange(len(blocks))
        victim = blocks[at]
        match chance.randrange(5):
            case 0:
                return []
            case 1:
                return blocks[at + 1 :] or blocks[:at]
            case 2:
                entry = chance.randrange(len(victim.entries))
                changed = bytearray(victim.entries[entry])
                changed[chance.randrange(len(changed))] ^= 1
                entries = [*victim.entries]
                entries[entry] = bytes(changed)
                blocks[at] = CertifiedBlock(entries, victim.certificate)
            case 3:
                blocks[at] = CertifiedBlock(victim.entries[1:], victim.certificate)
            case _:
                other = chance.choice(blocks)
                blocks[at] = CertifiedBlock(victim.entries, other.certificate[:-1] + b"\0")
        return blocks


class ForkCosigner(Liar):
    """Cosigns a log that does not exist, and to others, or later, the one that does."""

    kind = "forked cosignature"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        if not isinstance(frame, Cosigned) or not self._lies(0.4):
            yield from super().tamper(driver, frame, peers)
            return
        lie = encode_frame(self._fork(frame))
        chosen = self._some(peers)
        for peer in peers:
            if peer in chosen:
                yield Packet(peer, lie)
            if peer not in chosen or self._chance.random() < 0.5:
                yield Packet(peer, encode_frame(frame))

    def _fork(self, true: Cosigned) -> Cosigned:
        size = self._chance.randint(1, true.size)
        root = self._chance.randbytes(32)
        name = cosigner_name(self._genesis.origin, self._genesis.institutions[self.number].id)
        line = cosign_checkpoint(
            Checkpoint(self._genesis.origin, size, root),
            name,
            self._signers.cosign,
            self._world.true_ms // 1000,
        )
        return Cosigned(true.height, size, root, line.signature)


class FalseWitness(Liar):
    """Accuses honest validators with what they did say, put together wrongly, or never said."""

    kind = "false witness"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._votes: deque[Vote] = deque(maxlen=64)
        self._claims: deque[ViewClaim] = deque(maxlen=16)
        self._convictions = Convictions(self._genesis, number, self._signers.party)

    def overhear(self, payload: bytes) -> None:
        message = read_overheard(payload)
        if isinstance(message, Prepare | Commit):
            self._votes.append(message.vote)
        elif isinstance(message, ViewChange):
            self._claims.append(message.statement)

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not self._votes or not self._lies(0.02):
            return
        accusation = self._accuse()
        header = driver.chain.header
        raw = self._convictions.make_envelope(accusation, header, self._world.true_ms)
        for peer in peers:
            yield Packet(peer, encode_frame(Transactions([raw])))

    def _accuse(self) -> Equivocation:
        chance = self._chance
        said = chance.choice(self._votes)
        same = [vote for vote in self._votes if vote.replica == said.replica]
        claims = [claim for claim in self._claims if claim.replica == said.replica]
        match chance.randrange(4):
            case 0 if claims:
                return Amnesia(msgspec.structs.replace(said, phase=COMMIT), chance.choice(claims))
            case 1 if claims:
                return ViewChangeEquivocation.of(chance.choice(claims), chance.choice(claims))
            case 2:
                return VoteEquivocation.of(said, chance.choice(same))
            case _:
                false = msgspec.structs.replace(said, block_hash=chance.randbytes(32))
                return VoteEquivocation.of(said, false)
