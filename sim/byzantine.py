"""Liars: nodes that run the real driver and say something else than it told them to.

A liar sits between its driver and the wire. It may drop, change, double or invent frames, and it
signs whatever it likes with its own keys, but with no others: what Castro & Liskov assume of a
faulty replica (OSDI '99, section 2). At most f of them are in one simulation. Each kind does one
thing, most of the time and not always, because a liar that is always caught hides later states.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

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
from ledger.block import decode_header, encode_header
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    compute_view_change_message,
    compute_vote_message,
)
from node.blocks import Limits, build_block, proposal_of
from node.driver import Driver, Signers
from node.messages import (
    Blocks,
    CertifiedBlock,
    Consensus,
    Cosigned,
    FetchedProposal,
    FetchedTransactions,
    Frame,
    Status,
    Transactions,
    encode_frame,
)
from sim.coverage import Coverage

Sent = Iterator[tuple[int, bytes]]

HUGE_VIEW: Final = 1_000_000


class Liar:
    """An honest node, for the others to be derived from."""

    kind: ClassVar[str] = "honest"

    def __init__(
        self, number: int, signers: Signers, chance: random.Random, coverage: Coverage
    ) -> None:
        self.number = number
        self._signers = signers
        self._chance = chance
        self._coverage = coverage

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        """Yield (peer, payload) to send instead of this frame to these peers."""
        payload = encode_frame(frame)
        for peer in peers:
            yield peer, payload

    def _lies(self, probability: float = 0.7) -> bool:
        if self._chance.random() >= probability:
            return False
        self._coverage.count(f"liar: {self.kind}")
        return True

    def _sign(self, driver: Driver, phase: int, height: int, view: int, block_hash: bytes) -> bytes:
        chain_id = driver.identity.genesis.chain_id
        return self._signers.vote.sign(
            compute_vote_message(phase, chain_id, height, view, block_hash)
        )

    def _halves(self, peers: Sequence[int]) -> tuple[list[int], list[int]]:
        shuffled = list(peers)
        self._chance.shuffle(shuffled)
        cut = self._chance.randint(0, len(shuffled))
        return shuffled[:cut], shuffled[cut:]

    def _own_proposal(self, driver: Driver, message: Message) -> PrePrepare | NewView | None:
        """Return the message if it is this node's own proposal."""
        if not isinstance(message, PrePrepare | NewView):
            return None
        primary = driver.chain.validators.primary(message.height, message.view)
        return message if primary == self.number else None

    def _resign(
        self, driver: Driver, message: PrePrepare | NewView, proposal: Proposal
    ) -> PrePrepare | NewView:
        signature = self._sign(
            driver, PRE_PREPARE, message.height, message.view, proposal.block_hash
        )
        return msgspec.structs.replace(message, proposal=proposal, signature=signature)


def read(frame: Frame) -> Message | None:
    """Return the consensus message in a frame, if it is one."""
    return decode_message(frame.payload) if isinstance(frame, Consensus) else None


def write(message: Message) -> bytes:
    """Return a consensus message's frame."""
    return encode_frame(Consensus(encode_message(message)))


class Equivocator(Liar):
    """As primary proposes two valid blocks, one to each half, and commits to both."""

    kind = "equivocating primary"

    def __init__(
        self, number: int, signers: Signers, chance: random.Random, coverage: Coverage
    ) -> None:
        super().__init__(number, signers, chance, coverage)
        self._twins: dict[bytes, bytes] = {}
        self._groups: dict[bytes, tuple[list[int], list[int]]] = {}

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        if message is None:
            yield from super().tamper(driver, frame, peers)
            return
        own = self._own_proposal(driver, message)
        if own is not None and own.height == driver.chain.header.height + 1 and self._lies(0.9):
            twin = self._make_twin(driver, own)
            block_hash = own.proposal.block_hash
            self._twins[block_hash] = twin.proposal.block_hash
            groups = self._groups.setdefault(block_hash, self._halves(peers))
            for peer in peers:
                yield peer, write(own if peer in groups[0] else twin)
            return
        if isinstance(message, Commit | Prepare) and message.block_hash in self._twins:
            other = self._twins[message.block_hash]
            phase = COMMIT if isinstance(message, Commit) else PREPARE
            signature = self._sign(driver, phase, message.height, message.view, other)
            twin_vote = msgspec.structs.replace(message, block_hash=other, signature=signature)
            groups = self._groups.get(message.block_hash, (list(peers), []))
            for peer in peers:
                yield peer, write(message if peer in groups[0] else twin_vote)
            return
        yield from super().tamper(driver, frame, peers)

    def _make_twin(self, driver: Driver, own: PrePrepare | NewView) -> PrePrepare | NewView:
        """Return another proposal for the slot: the same time plus one, and no transactions."""
        parameters = driver.identity.genesis.parameters
        header = decode_header(own.proposal.header)
        built = build_block(
            driver.chain,
            [],
            Limits(
                parameters.block_transactions_max,
                parameters.block_bytes_max,
                driver.identity.genesis.rule_pack.version,
            ),
            replica=self.number,
            now_ms=header.time_ms + 1,
            batch_divisor=1,
        )
        return self._resign(driver, own, proposal_of(built.block, built.candidates))


class DoubleVoter(Liar):
    """Votes for a block nobody proposed too, in the same slot."""

    kind = "double voter"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        yield from super().tamper(driver, frame, peers)
        if isinstance(message, Prepare | Commit) and self._lies():
            other = self._chance.randbytes(32)
            phase = COMMIT if isinstance(message, Commit) else PREPARE
            signature = self._sign(driver, phase, message.height, message.view, other)
            lie = msgspec.structs.replace(message, block_hash=other, signature=signature)
            for peer in self._halves(peers)[0]:
                yield peer, write(lie)


class Silent(Liar):
    """Says nothing, for a while or for ever, or only no consensus."""

    kind = "silent"

    def __init__(
        self, number: int, signers: Signers, chance: random.Random, coverage: Coverage
    ) -> None:
        super().__init__(number, signers, chance, coverage)
        self._probability = chance.choice([0.5, 0.95, 1.0])
        self._is_total = chance.random() < 0.5

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        if (self._is_total or isinstance(frame, Consensus)) and self._lies(self._probability):
            return
        yield from super().tamper(driver, frame, peers)


class Selective(Liar):
    """Speaks with some peers only, always the same, or proposes to some only."""

    kind = "selective"

    def __init__(
        self, number: int, signers: Signers, chance: random.Random, coverage: Coverage
    ) -> None:
        super().__init__(number, signers, chance, coverage)
        self._only_proposals = chance.random() < 0.5

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        is_meant = not self._only_proposals or isinstance(message, PrePrepare | NewView)
        favoured = {peer for peer in peers if (peer + self.number) % 2}
        if is_meant and self._lies(0.95):
            peers = [peer for peer in peers if peer in favoured]
        yield from super().tamper(driver, frame, peers)


class WrongRoot(Liar):
    """As primary proposes a header with a false root or other false fields, well signed."""

    kind = "wrong root"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        own = None if message is None else self._own_proposal(driver, message)
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
        proposal = msgspec.structs.replace(own.proposal, header=false)
        lie = write(self._resign(driver, own, proposal))
        for peer in peers:
            yield peer, lie


class Withholder(Liar):
    """Keeps transactions, proposals and blocks to itself, and proposes them all the same."""

    kind = "withholder"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        is_data = isinstance(frame, Transactions | FetchedTransactions | FetchedProposal | Blocks)
        if is_data and self._lies(0.95):
            return
        yield from super().tamper(driver, frame, peers)


class Babbler(Liar):
    """Adds garbage: random bytes, cut and changed frames, old frames again."""

    kind = "babbler"

    def __init__(
        self, number: int, signers: Signers, chance: random.Random, coverage: Coverage
    ) -> None:
        super().__init__(number, signers, chance, coverage)
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
            yield peer, self._garbage(payload)

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


class Rusher(Liar):
    """Asks for huge views and claims to have prepared what it did not."""

    kind = "rusher"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        yield from super().tamper(driver, frame, peers)
        if not isinstance(frame, Consensus) or not self._lies(0.2):
            return
        height = driver.replica.height
        view = self._chance.choice([driver.replica.view + 1, driver.replica.view + 7, HUGE_VIEW])
        chain_id = driver.identity.genesis.chain_id
        signed = compute_view_change_message(chain_id, height, view, None)
        lie = ViewChange(height, view, None, self.number, self._signers.vote.sign(signed))
        for peer in peers:
            yield peer, write(lie)


LIARS: Final[tuple[type[Liar], ...]] = (
    Equivocator,
    DoubleVoter,
    Silent,
    Selective,
    WrongRoot,
    Withholder,
    Babbler,
    FalseHistorian,
    Rusher,
)
