"""Evidence: what contradicts itself before a correct node's eyes must come onto the chain.

A node *holds* two contradictory statements of a validator when one process of it received both,
verified, while it kept them: votes and view-changes while it was at their height, one below or one
above, cosignatures while it had the block and collected for it. It then owes the proof to the
chain, until that process ends. What counts as kept is what the bounds of the books promise,
modelled here anew.

A primary may also give each correct node one of its two proposals, so that none of them holds both.
Where nothing else goes wrong they owe that proof together as soon as they prepared two blocks in
one view, unless one of these is decided: who voted for it may be two heights further, where what
comes of this one no longer counts, before it hears of the other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
)
from genesis.document import Genesis
from ledger.checkpoint import Checkpoint, cosigner_verifier_key, verify_cosignature
from ledger.refusal import Rejected
from ledger.validators import ValidatorSet
from ledger.votes import COMMIT, PHASE_NAMES, PRE_PREPARE, PREPARE, ViewClaim, Vote
from node.messages import Consensus, Cosigned, decode_frame
from sim.chain_checker import ChainChecker
from sim.coverage import Coverage
from sim.deployment import MEMORY
from sim.world import World

if TYPE_CHECKING:
    from sim.node import Node

VIEWS_KEPT: Final = 8
"""Views per validator and phase whose statements a node keeps; the highest win."""

CONVICTIONS_MAX: Final = 128
"""Convictions of one validator after which the chain takes no more."""

STRANGE_KEPT: Final = 8
"""Cosigned trees of one validator that are not the log's, kept unproven."""

FRAMES_KEPT: Final = 4_096
"""Frames whose reading is remembered."""

T = TypeVar("T")

ALL: Final = "all together"
"""Stands for a node's name where each correct node holds a part of the proof."""

Accusation = tuple[int, str]
"""(replica, slot)."""


@dataclass(slots=True)
class _Signed:
    """What the sender of a message signed, if anything; whether rightly is found out once, when it
    first matters."""

    statement: Vote | ViewClaim | None
    is_valid: bool | None = None


@dataclass(slots=True)
class _Height:
    """What one process holds of one height."""

    votes: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)
    """(replica, phase) → view → block hash."""
    claims: dict[int, dict[int, ViewClaim]] = field(default_factory=dict)
    """replica → view → what its view-change to that view said."""


@dataclass(slots=True)
class _Cosigned:
    """What one process holds of one validator's cosignatures."""

    strange: dict[int, bytes] = field(default_factory=dict)
    newest_true: int = 0


@dataclass(slots=True)
class _Held:
    """What one process holds."""

    begun_height: int
    heights: dict[int, _Height] = field(default_factory=dict)
    cosigned: dict[int, _Cosigned] = field(default_factory=dict)
    owed: dict[Accusation, int] = field(default_factory=dict)
    """Since when, in virtual µs."""


class EvidenceChecker:
    """Who has seen which contradiction."""

    def __init__(
        self, genesis: Genesis, world: World, chain: ChainChecker, coverage: Coverage
    ) -> None:
        self._genesis = genesis
        self._world = world
        self._validators = genesis.validators
        self._chain = chain
        self._coverage = coverage
        self._keys = [
            cosigner_verifier_key(f"{genesis.origin}/{item.id}", item.cosign_key)
            for item in genesis.validators.validators
        ]
        self.is_calm = False
        """Whether nothing goes wrong but that some lie: no message is lost and no process ends."""
        self._held: dict[str, _Held] = {}
        self._prepared: dict[tuple[int, int], dict[bytes, int]] = {}
        """(height, view) → block hash → when a correct node's prepare for it was first heard."""
        # Most frames come to many nodes, and what one says does not depend on who hears it.
        self._read = lru_cache(FRAMES_KEPT)(self._read_frame)

    def received(self, node: Node, sender: int, payload: bytes) -> None:
        """A correct node gets a frame: remember what it now holds."""
        if node.driver is None:
            return
        said = self._read(payload)
        if said is None:
            return
        held = self._held.get(node.name)
        if held is None:
            held = self._held[node.name] = _Held(node.driver.chain.header.height)
        if isinstance(said, Cosigned):
            self._hear_cosignature(node, held, sender, said)
        else:
            self._hear(node, held, said)

    def _read_frame(self, payload: bytes) -> _Signed | Cosigned | None:
        """Return what a frame says, of what matters here."""
        try:
            frame = decode_frame(payload)
            if isinstance(frame, Cosigned):
                return frame
            if not isinstance(frame, Consensus):
                return None
            statement = _statement_in(decode_message(frame.payload), self._validators)
        except Rejected:
            return None
        return _Signed(statement)

    def ended(self, node: Node) -> None:
        """A process ended: what it held only in memory is gone, and nobody owes it any more."""
        self._held.pop(node.name, None)

    def find_missing(self, held_us: int = 0) -> list[tuple[str, Accusation]]:
        """Return (node, accusation) of what a node has owed for so long, and the chain does not
        have."""
        until_us = self._world.now_us - held_us
        convictions = Counter(replica for replica, _ in self._chain.evidence)
        owed = [
            (name, accusation, since_us)
            for name, held in sorted(self._held.items())
            for accusation, since_us in sorted(held.owed.items())
        ]
        return [
            (name, accusation)
            for name, accusation, since_us in owed + self._find_splits()
            if since_us <= until_us
            and accusation not in self._chain.evidence
            and convictions[accusation[0]] < CONVICTIONS_MAX
        ]

    def _find_splits(self) -> list[tuple[str, Accusation, int]]:
        """Return whom the nodes owe together, and since when."""
        if not self.is_calm:
            return []
        blocks = self._chain.blocks
        owed = []
        for (height, view), prepared in sorted(self._prepared.items()):
            decided = blocks[height][0] if height < len(blocks) else None
            if len(prepared) > 1 and decided not in prepared:
                primary = self._validators.primary(height, view)
                slot = f"{PHASE_NAMES[PRE_PREPARE]}/{height}/{view}"
                owed.append((ALL, (primary, slot), max(prepared.values())))
        return owed

    def _owe(self, held: _Held, replica: int, slot: str) -> None:
        if (replica, slot) not in held.owed:
            held.owed[replica, slot] = self._world.now_us
            self._coverage.count("evidence held")
            self._coverage.count(f"held: {slot.partition('/')[0]}")

    # Votes and view-changes

    def _hear(self, node: Node, held: _Held, signed: _Signed) -> None:
        statement = signed.statement
        if statement is None or node.driver is None or statement.replica == node.number:
            return
        current = node.driver.replica.height
        if statement.height not in {current - 1, current, current + 1}:
            return
        if signed.is_valid is None:
            signed.is_valid = self._is_signed(statement)
        if not signed.is_valid:
            return
        book = held.heights.get(statement.height)
        if book is None:
            held.heights = {at: kept for at, kept in held.heights.items() if at >= current - 1}
            book = held.heights[statement.height] = _Height()
        if isinstance(statement, ViewClaim):
            self._hear_claim(held, book, statement)
        else:
            self._hear_vote(held, book, statement)

    def _hear_vote(self, held: _Held, book: _Height, vote: Vote) -> None:
        replica, phase, view = vote.replica, vote.phase, vote.view
        views = book.votes.setdefault((replica, phase), {})
        if view in views:
            if views[view] != vote.block_hash:
                self._owe(held, replica, f"{PHASE_NAMES[phase]}/{vote.height}/{view}")
            return
        if not _make_room(views, view):
            return
        views[view] = vote.block_hash
        if phase == PREPARE and replica not in self._chain.faulty:
            prepared = self._prepared.setdefault((vote.height, view), {})
            if vote.block_hash not in prepared:
                prepared[vote.block_hash] = self._world.now_us
                if len(prepared) == 2:
                    self._coverage.count("two blocks prepared in one view")
        other = {PRE_PREPARE: PREPARE, PREPARE: PRE_PREPARE}.get(phase)
        is_primary = replica == self._validators.primary(vote.height, view)
        if other is not None and is_primary:
            paired = book.votes.get((replica, other), {}).get(view)
            if paired is not None and paired != vote.block_hash:
                self._owe(held, replica, f"pre-prepare/{vote.height}/{view}")
        if phase == COMMIT:
            for claim in book.claims.get(replica, {}).values():
                if _denies(claim, view, vote.block_hash):
                    self._owe(held, replica, f"view-change/{vote.height}/{claim.view}")

    def _hear_claim(self, held: _Held, book: _Height, said: ViewClaim) -> None:
        views = book.claims.setdefault(said.replica, {})
        slot = f"view-change/{said.height}/{said.view}"
        if said.view in views:
            if views[said.view].claim != said.claim:
                self._owe(held, said.replica, slot)
            return
        if not _make_room(views, said.view):
            return
        views[said.view] = said
        commits = book.votes.get((said.replica, COMMIT), {})
        if any(_denies(said, view, block_hash) for view, block_hash in commits.items()):
            self._owe(held, said.replica, slot)

    def _is_signed(self, statement: Vote | ViewClaim) -> bool:
        try:
            statement.verify(self._validators, self._genesis.chain_id, MEMORY.verify)
        except Rejected:
            return False
        return True

    # Cosignatures

    def _hear_cosignature(self, node: Node, held: _Held, sender: int, item: Cosigned) -> None:
        if node.driver is None:
            return
        applied = node.driver.chain.header.height
        if not held.begun_height <= item.height <= applied:
            return
        size, root = self._chain.root_after(item.height)
        newest_size, _ = self._chain.root_after(applied)
        is_true = (item.size, item.root) == (size, root)
        if not is_true and not 0 < item.size <= newest_size:
            return
        if not is_true and self._chain.root_at(item.size) == item.root:
            return
        text = Checkpoint(self._genesis.origin, item.size, item.root).text()
        try:
            verify_cosignature(text, self._keys[sender], item.signature, MEMORY.verify)
        except Rejected:
            return
        of_sender = held.cosigned.setdefault(sender, _Cosigned())
        if is_true:
            of_sender.newest_true = max(of_sender.newest_true, item.size)
            for strange in [at for at in of_sender.strange if at <= item.size]:
                del of_sender.strange[strange]
                self._owe(held, sender, f"checkpoint/{strange}")
            return
        known = of_sender.strange.get(item.size)
        if of_sender.newest_true >= item.size or known not in {None, item.root}:
            of_sender.strange.pop(item.size, None)
            self._owe(held, sender, f"checkpoint/{item.size}")
        elif len(of_sender.strange) < STRANGE_KEPT:
            of_sender.strange[item.size] = item.root


def _statement_in(message: Message, validators: ValidatorSet) -> Vote | ViewClaim | None:
    """Return what the signature of a message is on, whatever else may be wrong with it."""
    match message:
        case PrePrepare() | NewView():
            height, view = message.height, message.view
            primary = validators.primary(height, view)
            block_hash = message.proposal.block_hash
            return Vote(PRE_PREPARE, height, view, block_hash, primary, message.signature)
        case Prepare() | Commit():
            return message.vote
        case ViewChange():
            return message.statement
        case _:
            return None


def _make_room(views: dict[int, T], view: int) -> bool:
    """Make room for a view if it is among the highest; return whether it is."""
    if len(views) >= VIEWS_KEPT:
        if view <= min(views):
            return False
        del views[min(views)]
    return True


def _denies(claim: ViewClaim, commit_view: int, block_hash: bytes) -> bool:
    """Return whether a view-change says that what was committed in a view was never prepared."""
    if claim.view <= commit_view:
        return False
    said = claim.claim
    if said is None:
        return True
    return said.view < commit_view or (said.view == commit_view and said.block_hash != block_hash)
