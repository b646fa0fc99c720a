"""Nodes that send garbage, too much, and too large.

Each connection has bounded queues and requests have a price, so that what they send costs their
own connection and no one else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from consensus.messages import MESSAGE_BYTES_MAX, Commit, Prepare
from ledger.votes import COMMIT, PREPARE
from node.driver import Driver
from node.messages import (
    Consensus,
    FetchBlocks,
    FetchedTransactions,
    FetchProposal,
    FetchTransactions,
    Frame,
    Transactions,
    encode_frame,
)
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.liars.liar import Liar, Packet, Sent, write
from sim.world import World

FLOOD_COUNT: Final = 24
"""Frames of one burst to one peer: enough, repeated, to fill whatever is not bounded."""


class Babbler(Liar):
    """Adds garbage: random bytes, cut and changed frames, old frames again."""

    kind = "babbler"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._old: list[bytes] = []

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        payload = encode_frame(frame)
        if len(self._old) < 64:
            self._old.append(payload)
        else:
            self._old[self._chance.randrange(64)] = payload
        if not self._lies(0.3):
            return
        for peer in self._halves(peers)[0]:
            yield Packet(peer, self._garbage(payload))

    def _garbage(self, payload: bytes) -> bytes:
        chance = self._chance
        match chance.randrange(5):
            case 0:
                return chance.randbytes(chance.randint(0, 300))
            case 1:
                return payload[: chance.randrange(len(payload))]
            case 2:
                changed = bytearray(payload)
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
                return bytes(changed)
            case 3:
                return payload + b"\0"
            case _:
                return chance.choice(self._old)


class Oversizer(Liar):
    """Sends frames as large as a connection takes, and larger than what they carry may be."""

    kind = "oversized frames"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not isinstance(frame, Consensus) or not self._lies(0.02):
            return
        payload = self._huge()
        for peer in self._some(peers):
            yield Packet(peer, payload)

    def _huge(self) -> bytes:
        chance = self._chance
        match chance.randrange(4):
            case 0:
                return encode_frame(Consensus(bytes(MESSAGE_BYTES_MAX + 1)))
            case 1:
                return encode_frame(Transactions([bytes(100_000)] * 12))
            case 2:
                return encode_frame(FetchTransactions(chance.randbytes(32) * 70_000))
            case _:
                return encode_frame(FetchedTransactions([b""] * 200_000))


class Flooder(Liar):
    """Votes in every view there could be, asks for everything, and makes transactions up."""

    kind = "flooder"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not isinstance(frame, Consensus) or not self._lies(0.1):
            return
        peer = self._chance.choice(list(peers))
        for payload in self._burst(driver):
            yield Packet(peer, payload)

    def _burst(self, driver: Driver) -> Iterator[bytes]:
        chance, height = self._chance, driver.replica.height
        match chance.randrange(5):
            case 0 | 1:
                at = height + chance.randint(0, 2)
                is_commit = chance.random() < 0.5
                for view in chance.sample(range(500), FLOOD_COUNT):
                    block_hash = chance.randbytes(32)
                    signature = self._sign(COMMIT if is_commit else PREPARE, at, view, block_hash)
                    if is_commit:
                        yield write(Commit(at, view, block_hash, self.number, signature))
                    else:
                        yield write(Prepare(at, view, block_hash, self.number, signature))
            case 2:
                at = height + chance.randint(0, 1)
                for view in range(1, FLOOD_COUNT):
                    yield write(self._view_change(at, view, None))
            case 3:
                for number in range(FLOOD_COUNT):
                    yield encode_frame(FetchBlocks(max(height - number, 0)))
                    yield encode_frame(FetchProposal(height, chance.randbytes(32)))
                    yield encode_frame(FetchTransactions(chance.randbytes(32 * 8)))
            case _:
                for _ in range(FLOOD_COUNT):
                    yield encode_frame(Transactions([chance.randbytes(chance.randint(0, 200))]))
