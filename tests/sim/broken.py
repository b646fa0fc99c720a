"""One mistake each, of the kind this code could have had: a checker must see it.

Some are drivers, made in place of `Driver`; some are patches of what the drivers, the storage or
the contracts call, made with pytest's `MonkeyPatch` and undone after the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import contracts.execution
import node.catch_up
import node.pool_admission
from consensus import progress, view_change
from consensus.messages import Commit, Prepare, ViewChange, decode_message, encode_message
from consensus.replica import Replica
from consensus.statements import Statements
from consensus.timers import Timing
from consensus.vote_book import VoteBook
from contracts.execution import Candidate, ExecutedBlock
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    ViewChangeEquivocation,
    VoteEquivocation,
)
from ledger.state_tree import StateTree
from ledger.votes import COMMIT, PREPARE, compute_vote_message
from node.convictions import Convictions
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
from node.mempool import Mempool
from node.messages import Consensus, Cosigned
from node.pool_admission import PoolAdmission
from node.submissions import Submissions
from node.workbench import Workbench
from sim.deployment import CENSORED_MERCHANT
from sim.disk import VirtualDirectory
from storage.journal import Journal

# Drivers: what is saved, and when


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
            msgspec.structs.replace(item, pending=None) if isinstance(item, SaveJournal) else item
            for item in super().step(event, now_ms)
        ]


class ForgetsCosignature(Driver):
    """Saves its votes, and not how far it has cosigned."""

    def _save(self, pending: object) -> None:
        self._emit(SaveJournal(encode_journal_record(self._record, 0, 2**40), pending))  # type: ignore[arg-type]


class SavesAnOldRecord(Driver):
    """Now and then saves the record it saved before, instead of the new one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._saved: list[SaveJournal] = []

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects = super().step(event, now_ms)
        for at, item in enumerate(effects):
            if isinstance(item, SaveJournal):
                self._saved.append(item)
                if len(self._saved) % 40 == 0:
                    effects[at] = self._saved[-20]
        return effects


# Drivers: what is said


class VotesTwice(Driver):
    """Sends a second vote for another block after every vote."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for effect in super().step(event, now_ms):
            effects.append(effect)
            message = _message_in(effect)
            if isinstance(message, Prepare | Commit):
                effects.append(_vote(self, message, bytes(32), message.view))
        return effects


class LooksBack(Driver):
    """Prepares once more in the view it has just left."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for effect in super().step(event, now_ms):
            effects.append(effect)
            message = _message_in(effect)
            if isinstance(message, ViewChange):
                late = Prepare(message.height, message.view, bytes(32), message.replica, bytes(64))
                effects.append(_vote(self, late, bytes(32), message.view - 1))
        return effects


class ForksCosignature(Driver):
    """Cosigns a root that is not the log's."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            msgspec.structs.replace(item, frame=msgspec.structs.replace(item.frame, root=bytes(32)))
            if isinstance(item, BroadcastFrame | SendFrame) and isinstance(item.frame, Cosigned)
            else item
            for item in super().step(event, now_ms)
        ]


class Lazy(Driver):
    """Never lets time pass: no timeout, no repetition."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [] if isinstance(event, Ticked) else super().step(event, now_ms)


class Hushed(Driver):
    """Holds contradictory statements and reports nothing."""

    def _report(self, equivocation: object) -> None:
        pass


class Stumbles(Driver):
    """Breaks off in the middle of a step, at the fifth height."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        if self.chain.header.height == 5:
            raise ValueError("an unexpected value")
        return super().step(event, now_ms)


# Drivers: what is kept and committed


class SkipsBlock(Driver):
    """Forgets to commit a decided block, every third height."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            item
            for item in super().step(event, now_ms)
            if not (isinstance(item, CommitBlock) and item.block.header.height % 3 == 0)
        ]


class AltersEntry(Driver):
    """Commits a decided block with one byte of an entry changed."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects = super().step(event, now_ms)
        for at, item in enumerate(effects):
            if isinstance(item, CommitBlock) and item.block.header.count:
                first = item.block.entries[0]
                entries = [first[:-1] + bytes([first[-1] ^ 1]), *item.block.entries[1:]]
                block = replace(item.block, entries=entries)
                effects[at] = msgspec.structs.replace(item, block=block)
        return effects


class DropsRow(Driver):
    """Commits a block without the index row of its last transaction."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        effects = super().step(event, now_ms)
        for at, item in enumerate(effects):
            if isinstance(item, CommitBlock) and item.block.header.count > 1:
                rows = item.block.rows[:-1]
                block = replace(item.block, rows=rows)
                effects[at] = msgspec.structs.replace(item, block=block)
        return effects


class Hoarder(Driver):
    """Keeps everything it ever heard."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.heard: list[object] = []

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        self.heard += [event] * 20
        return super().step(event, now_ms)


class _ForgetfulPool(Mempool):
    """A pool that shows a merchant's transactions to nobody who builds a block."""

    def candidates(self) -> Iterator[Candidate]:
        for candidate in super().candidates():
            if candidate.transaction.body.signers[0] != CENSORED_MERCHANT:
                yield candidate


def leaves_a_merchant_out(*arguments: Any, **named: Any) -> Driver:
    """Return a driver whose primary never proposes one merchant's transactions."""
    named["pool"] = _ForgetfulPool()
    return Driver(*arguments, **named)


class NeverCommits(Driver):
    """Prepares, and says no commit."""

    def step(self, event: NodeEvent, now_ms: int) -> list[Effect]:
        return [
            item
            for item in super().step(event, now_ms)
            if not isinstance(_message_in(item), Commit)
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


def _message_in(effect: Effect) -> object:
    if isinstance(effect, BroadcastFrame | SendFrame) and isinstance(effect.frame, Consensus):
        return decode_message(effect.frame.payload)
    return None


def _vote(driver: Driver, like: Prepare | Commit, block_hash: bytes, view: int) -> BroadcastFrame:
    phase = COMMIT if isinstance(like, Commit) else PREPARE
    signed = compute_vote_message(phase, driver.chain.chain_id, like.height, view, block_hash)
    signature = driver.identity.signers.vote.sign(signed)
    lie = msgspec.structs.replace(like, view=view, block_hash=block_hash, signature=signature)
    return BroadcastFrame(Consensus(encode_message(lie)))


# Patches

Patch = Callable[[pytest.MonkeyPatch], None]


def waits_without_bound(patch: pytest.MonkeyPatch) -> None:
    """Replicas whose view timeouts grow with every view, and have no cap."""

    def compute(view: int, timing: Timing) -> int:
        return timing.view_timeout_ticks << (5 * view)

    patch.setattr(progress, "compute_view_timeout_ticks", compute)


def denies_its_lock(patch: pytest.MonkeyPatch) -> None:
    """A replica that asks for a later view as if it had prepared nothing."""
    original = view_change.ask_for_view

    def ask(state: Any, view: int, why: str) -> None:
        state.prepared = None
        original(state, view, why)

    patch.setattr(view_change, "ask_for_view", ask)
    patch.setattr("consensus.progress.ask_for_view", ask)


def believes_accusations(patch: pytest.MonkeyPatch) -> None:
    """A contract that records evidence without looking at it."""
    for kind in (VoteEquivocation, ViewChangeEquivocation, Amnesia, CheckpointFork):
        patch.setattr(kind, "verify", lambda *_: None)


def convicts_again(patch: pytest.MonkeyPatch) -> None:
    """A contract that does not remember what it has recorded."""
    from contracts import equivocation, kinds

    original = equivocation.apply_equivocation

    def apply(context: Any, data: Any) -> Any:
        context.record = None
        return original(context, data)

    key = ("validator.equivocation", 1)
    patch.setitem(kinds.KINDS, key, replace(kinds.KINDS[key], apply=apply))


def takes_duplicates(patch: pytest.MonkeyPatch) -> None:
    """An executor, and a pool, that do not ask whether a transaction is on the chain."""
    patch.setattr(contracts.execution, "is_on_chain", lambda *_: False)
    patch.setattr(node.pool_admission, "is_on_chain", lambda *_: False)
    patch.setattr(PoolAdmission, "is_recent", lambda *_: False)
    patch.setattr("node.recent_ids.RecentIds.__contains__", lambda *_: False)


def takes_any_key(patch: pytest.MonkeyPatch) -> None:
    """An executor that does not ask whose key signed."""
    patch.setattr(contracts.execution, "check_keys", lambda *_: None)
    patch.setattr(node.pool_admission, "check_keys", lambda *_: None)


def takes_any_time(patch: pytest.MonkeyPatch) -> None:
    """Replicas that accept a block from the future."""
    for module in ("normal_case", "view_change"):
        patch.setattr(f"consensus.{module}.check_fresh", lambda *_: None)


def promises_from_where_it_stands(patch: pytest.MonkeyPatch) -> None:
    """A node that counts its promises from its own height, and asks nobody how far the chain is."""

    async def reach(_: Submissions) -> None:
        return

    patch.setattr(Submissions, "_reach_tip", reach)


def takes_for_kept(patch: pytest.MonkeyPatch) -> None:
    """A node that takes every ninth submission for one that it has promised and kept already."""
    original = Submissions._is_kept

    def is_kept(self: Submissions, tx_id: bytes) -> bool:
        return tx_id[0] % 9 == 0 or original(self, tx_id)

    patch.setattr(Submissions, "_is_kept", is_kept)


def forgets_the_tree(patch: pytest.MonkeyPatch) -> None:
    """A chain that moves on without its state tree, now and then."""
    original, count = StateTree.apply, iter(range(10**9))

    def apply(self: StateTree, update: Any) -> None:
        if next(count) % 13:
            original(self, update)

    patch.setattr(StateTree, "apply", apply)


def cannot_reproduce(patch: pytest.MonkeyPatch) -> None:
    """A node to which every fifth block comes out differently when it catches up."""
    original = node.catch_up.reproduce_block

    def reproduce(entries: Any, chain: Any) -> Any:
        block = original(entries, chain)
        return block if isinstance(block, str) or block.header.height % 5 else "it differs"

    patch.setattr(node.catch_up, "reproduce_block", reproduce)


def skips_fsync(patch: pytest.MonkeyPatch) -> None:
    """Storage that does not sync its segments."""
    original = VirtualDirectory.fsync

    def fsync(self: VirtualDirectory, name: str) -> None:
        if self._name != "segments":
            original(self, name)

    patch.setattr(VirtualDirectory, "fsync", fsync)


def loses_the_ledger(patch: pytest.MonkeyPatch) -> None:
    """Storage that syncs neither its segments nor its index."""
    skips_fsync(patch)
    from sim.disk import Survival
    from sim.node import Node

    original = Node._lose

    def lose(self: Node, survival: Survival) -> None:
        original(self, survival)
        if survival is not Survival.ALL:
            self.index.wipe()

    patch.setattr(Node, "_lose", lose)


# Mistakes that were made, and made again by a test


def purges_by_a_wrong_clock(patch: pytest.MonkeyPatch) -> None:
    """A node that drops what it promised once its own clock says that it is too late."""

    def purge(self: PoolAdmission, now_ms: int, skew_ms: int) -> None:
        time_ms = max(now_ms - skew_ms, self._chain.header.time_ms)
        self._pool.remove(self._pool.find_stale(time_ms, 5_000))

    patch.setattr(PoolAdmission, "purge", purge)
    patch.setattr(Workbench, "_may_wait", lambda *_: False)


def forgets_overtaken_view_changes(patch: pytest.MonkeyPatch) -> None:
    """A replica that compares only the view-changes it counts."""
    original = Statements.is_news

    def is_news(self: Statements, statement: Any) -> bool:
        views = self._claims.get(statement.replica, {})
        is_overtaken = not hasattr(statement, "phase") and statement.view < max(views, default=0)
        return not is_overtaken and original(self, statement)

    patch.setattr(Statements, "is_news", is_news)


def dates_evidence_by_its_clock(patch: pytest.MonkeyPatch) -> None:
    """A node that gives its evidence a time by its own clock, however wrong that is."""
    original = Convictions.make_envelope

    def make(self: Convictions, equivocation: Any, header: Any, now_ms: int) -> bytes:
        return original(self, equivocation, msgspec.structs.replace(header, time_ms=now_ms), now_ms)

    patch.setattr(Convictions, "make_envelope", make)


def ignores_a_primarys_prepares(patch: pytest.MonkeyPatch) -> None:
    """A replica that does not compare a primary's prepares with its pre-prepare."""
    patch.setattr(VoteBook, "_compare_phases", lambda *_: None)


def shows_no_proposal(patch: pytest.MonkeyPatch) -> None:
    """A replica that keeps its primary's proposal from whoever prepared another block."""
    patch.setattr(progress, "show_proposal", lambda _: None)


def looks_at_no_height_below(patch: pytest.MonkeyPatch) -> None:
    """A replica that compares nothing of the height it has just decided."""
    patch.setattr(Replica, "_compare_late", lambda *_: None)


def reads_one_copy(patch: pytest.MonkeyPatch) -> None:
    """A journal that has one copy of each slot, as it once did."""

    def read_copies(self: Journal, at: int) -> list[Any]:
        return 2 * [self._read_copy(at, 0)]

    patch.setattr(Journal, "_read_copies", read_copies)
