"""The desk on which one height's proposals lie: their envelopes, and what executing them gave.

A proposal names envelopes by hash. Those that are not in the pool are asked of whoever proposed,
then of others in turn; a proposal that is complete is executed once and its result kept until the
height is decided, so that it can be persisted, served to peers and committed. Everything here
belongs to one height and is cleared when it is decided. Bounded: few proposals, and only envelopes
that one of them names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from consensus.actions import CheckProposal
from consensus.messages import PROPOSAL_TRANSACTIONS_MAX, Proposal
from contracts.execution import Candidate, ExecutedBlock
from ledger.refusal import Rejected
from node.blocks import split_hashes

KEPT_MAX: Final = 6
"""Executed proposals kept at one height: one per failed view, the prepared one among them."""

STASH_MAX: Final = PROPOSAL_TRANSACTIONS_MAX
"""Transactions of the proposal that a restarted node finds in its pending slot."""

WAITING_MAX: Final = 4
ASK_AGAIN_TICKS: Final = 10
"""Between requests for missing envelopes, each to another peer."""

EXPIRY_TICKS: Final = 200
"""After so long (10 s at 50 ms) a proposal's envelopes count as not to be had."""

FETCHING_MAX: Final = 8

FindAll = Callable[[Sequence[bytes]], list[Candidate | None]]


@dataclass(frozen=True)
class Kept:
    """A proposal that was executed here."""

    proposal: Proposal
    candidates: Sequence[Candidate]
    block: ExecutedBlock

    @cached_property
    def by_hash(self) -> dict[bytes, Candidate]:
        """Its transactions by their envelopes' hashes; nearly always the pool has what is asked."""
        return {each.transaction.envelope_hash: each for each in self.candidates}


@dataclass(slots=True)
class Waiting:
    """A proposal some of whose envelopes are not here yet."""

    action: CheckProposal
    found: list[Candidate | None]
    """In the order of the proposal; None where one is missing."""
    missing: dict[bytes, list[int]]
    """The hashes that nothing was found for, and where they stand."""
    refused: Rejected | None = None
    since_tick: int = -1
    asked_tick: int = -1
    asked_count: int = 0

    def candidates(self) -> list[Candidate] | None:
        """Return the transactions in order once they are all here."""
        if self.missing:
            return None
        return [candidate for candidate in self.found if candidate is not None]

    def take(self, envelope_hash: bytes, candidate: Candidate) -> None:
        """Put what was missing where it belongs."""
        for place in self.missing.pop(envelope_hash, ()):
            self.found[place] = candidate


@dataclass(slots=True)
class ProposalDesk:
    """See the module's text."""

    _kept: dict[bytes, Kept] = field(default_factory=dict)
    _waiting: dict[bytes, Waiting] = field(default_factory=dict)
    _stash: dict[bytes, Candidate] = field(default_factory=dict)
    _fetching: dict[bytes, None] = field(default_factory=dict)
    _pinned: bytes = b""

    def clear(self) -> None:
        """Forget the height: its block is decided."""
        self._kept.clear()
        self._waiting.clear()
        self._stash.clear()
        self._fetching.clear()
        self._pinned = b""

    def stash(self, candidates: Iterable[Candidate]) -> None:
        """Keep the transactions of the pending slot; beyond the bound the oldest go."""
        for candidate in candidates:
            self._stash[candidate.transaction.envelope_hash] = candidate
        while len(self._stash) > STASH_MAX:
            del self._stash[next(iter(self._stash))]

    def find(self, envelope_hash: bytes) -> Candidate | None:
        """Return a transaction that lies here and perhaps not in the pool."""
        found = self._stash.get(envelope_hash)
        for kept in self._kept.values():
            found = found or kept.by_hash.get(envelope_hash)
        return found

    # What was executed

    def keep(
        self, proposal: Proposal, candidates: Sequence[Candidate], block: ExecutedBlock
    ) -> None:
        """Keep an executed proposal; beyond the bound the oldest goes, never the pinned one."""
        self._kept[block.block_hash] = Kept(proposal, candidates, block)
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(name for name in self._kept if name != self._pinned)]

    def pin(self, block_hash: bytes) -> None:
        """Keep this proposal until the height is decided: it is prepared, and others may ask."""
        self._pinned = block_hash

    def find_executed(self, block_hash: bytes) -> ExecutedBlock | None:
        """Return the block that executing a proposal gave."""
        kept = self._kept.get(block_hash)
        return None if kept is None else kept.block

    def find_prepared(self, block_hash: bytes) -> tuple[Proposal, Sequence[Candidate]] | None:
        """Return an executed proposal with its transactions."""
        kept = self._kept.get(block_hash)
        return None if kept is None else (kept.proposal, kept.candidates)

    # What is awaited

    @property
    def is_waiting(self) -> bool:
        """Say whether any proposal lacks envelopes."""
        return bool(self._waiting)

    def waiting_hashes(self) -> list[bytes]:
        """Return the block hashes that wait for envelopes."""
        return list(self._waiting)

    def find_waiting(self, block_hash: bytes) -> Waiting | None:
        """Return a waiting proposal."""
        return self._waiting.get(block_hash)

    def stop_waiting(self, block_hash: bytes) -> None:
        """A proposal has its verdict."""
        self._waiting.pop(block_hash, None)

    def wait(self, action: CheckProposal, find_all: FindAll) -> None:
        """Note what a proposal still lacks; beyond the bound the oldest is forgotten."""
        hashes = split_hashes(action.proposal.envelope_hashes)
        found = find_all(hashes)
        missing: dict[bytes, list[int]] = {}
        if not all(found):
            for place, candidate in enumerate(found):
                if candidate is None:
                    missing.setdefault(hashes[place], []).append(place)
        self._waiting[action.proposal.block_hash] = Waiting(action, found, missing)
        while len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def offer(self, candidate: Candidate) -> None:
        """Give a verified transaction to the proposals that lack it."""
        envelope_hash = candidate.transaction.envelope_hash
        for waiting in self._waiting.values():
            waiting.take(envelope_hash, candidate)

    def refuse(self, envelope_hash: bytes, rejected: Rejected) -> None:
        """An envelope a proposal names is bad: the proposal is."""
        for waiting in self._waiting.values():
            if envelope_hash in waiting.missing and waiting.refused is None:
                waiting.refused = rejected

    def missing(self) -> bytes:
        """Return the concatenated hashes of all that proposals lack."""
        return b"".join([each for waiting in self._waiting.values() for each in waiting.missing])

    def requests(self, tick: int, connected: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return (peer, concatenated hashes) to ask for now: the proposer first, then others."""
        found = []
        for waiting in self._waiting.values():
            if waiting.since_tick < 0:
                waiting.since_tick = tick
            if not waiting.missing or (
                waiting.asked_tick >= 0 and tick - waiting.asked_tick < ASK_AGAIN_TICKS
            ):
                continue
            peers = [waiting.action.from_replica]
            peers += [peer for peer in connected if peer != waiting.action.from_replica]
            peer = peers[waiting.asked_count % len(peers)]
            waiting.asked_tick = tick
            waiting.asked_count += 1
            found.append((peer, b"".join(waiting.missing)))
        return found

    def expire(self, tick: int) -> list[CheckProposal]:
        """Return and forget the proposals that have waited too long."""
        expired = [
            block_hash
            for block_hash, waiting in self._waiting.items()
            if waiting.since_tick >= 0 and tick - waiting.since_tick > EXPIRY_TICKS
        ]
        return [self._waiting.pop(block_hash).action for block_hash in expired]

    # Whole proposals asked of those who claim them prepared

    def fetch(self, block_hash: bytes) -> None:
        """Expect a proposal's bytes."""
        self._fetching[block_hash] = None
        while len(self._fetching) > FETCHING_MAX:
            del self._fetching[next(iter(self._fetching))]

    def is_fetching(self, block_hash: bytes) -> bool:
        """Say whether this proposal was asked for."""
        return block_hash in self._fetching
