"""Drivers with one mistake each, of the kind this code could have had: a checker must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from consensus.messages import Commit, Prepare, decode_message, encode_message
from contracts.execution import ExecutedBlock
from ledger.votes import COMMIT, PREPARE, compute_vote_message
from node.driver import Driver
from node.effects import (
    BroadcastFrame,
    CommitBlock,
    Effect,
    NodeEvent,
    SaveJournal,
    SendFrame,
    Started,
    Ticked,
)
from node.journal_record import decode_journal_record, encode_journal_record
from node.messages import Consensus, Cosigned


class Forgetful(Driver):
    """Never saves what it signs."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [item for item in super().step(event, now_ms) if not isinstance(item, SaveJournal)]


class SendsFirst(Driver):
    """Saves after it has sent."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return sorted(super().step(event, now_ms), key=lambda item: isinstance(item, SaveJournal))


class Amnesiac(Driver):
    """Reads nothing but the height of its journal when it starts."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        if isinstance(event, Started):
            height = 0 if event.record is None else decode_journal_record(event.record)[2]
            event = Started(encode_journal_record(b"", 0, height), None)
        return super().step(event, now_ms)


class Trusting(Driver):
    """Takes whatever journal it finds, however old."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        if isinstance(event, Started) and event.record is not None:
            record, cosigned_size, _ = decode_journal_record(event.record)
            event = Started(
                encode_journal_record(record or b"", cosigned_size, 2**40), event.pending
            )
        return super().step(event, now_ms)


class LeavesItsJournalBehind(Driver):
    """Catches up without telling its journal."""

    def _commit(self, block: ExecutedBlock, certificate: bytes) -> None:
        known, self._journal_height = self._journal_height, 2**40
        super()._commit(block, certificate)
        self._journal_height = known


class DropsPending(Driver):
    """Saves its votes, and never the bytes of the block it prepared."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            replace(item, pending=None) if isinstance(item, SaveJournal) else item
            for item in super().step(event, now_ms)
        ]


class VotesTwice(Driver):
    """Sends a second vote for another block after every vote."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for effect in super().step(event, now_ms):
            effects.append(effect)
            if isinstance(effect, BroadcastFrame) and isinstance(effect.frame, Consensus):
                message = decode_message(effect.frame.payload)
                if isinstance(message, Prepare | Commit):
                    effects.append(self._second(message))
        return effects

    def _second(self, message: Prepare | Commit) -> BroadcastFrame:
        phase = COMMIT if isinstance(message, Commit) else PREPARE
        other = bytes(32)
        signed = compute_vote_message(
            phase, self.chain.chain_id, message.height, message.view, other
        )
        signature = self.identity.signers.vote.sign(signed)
        lie = msgspec.structs.replace(message, block_hash=other, signature=signature)
        return BroadcastFrame(Consensus(encode_message(lie)))


class Hushed(Driver):
    """Holds contradictory votes and reports nothing."""

    def _report(self, equivocation: object) -> None:
        pass


class Lazy(Driver):
    """Never lets time pass: no timeout, no repetition."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [] if isinstance(event, Ticked) else super().step(event, now_ms)


class ForgetsCosignature(Driver):
    """Saves its votes, and not how far it has cosigned."""

    def _save(self, pending: object) -> None:
        self._emit(SaveJournal(encode_journal_record(self._record, 0, 2**40), pending))  # type: ignore[arg-type]


class SkipsBlock(Driver):
    """Reports a block committed without committing it, every third height."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            item
            for item in super().step(event, now_ms)
            if not (isinstance(item, CommitBlock) and item.block.header.height % 3 == 0)
        ]


class ForksCosignature(Driver):
    """Cosigns a root that is not the log's."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            replace(item, frame=msgspec.structs.replace(item.frame, root=bytes(32)))
            if isinstance(item, BroadcastFrame | SendFrame) and isinstance(item.frame, Cosigned)
            else item
            for item in super().step(event, now_ms)
        ]


def with_quorum(quorum: int) -> Callable[..., Driver]:
    """Return a driver factory whose replicas count to another quorum."""

    def make(*arguments: object, **named: object) -> Driver:
        driver = Driver(*arguments, **named)  # type: ignore[arg-type]
        membership = driver.replica._membership
        validators = membership.validators
        smaller = type(validators)(validators.validators)
        object.__setattr__(smaller, "quorum", quorum)
        object.__setattr__(membership, "validators", smaller)
        return driver

    return make
