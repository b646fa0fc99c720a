"""The votes of one height, counted by (phase, view, block hash), and contradictions among them.

The first vote of a validator in a slot (phase, height, view) stays; the same again is ignored; one
for another block becomes evidence, once, and is never counted. A primary's pre-prepare is its
prepare, so a prepare from it for another block becomes evidence too. Votes of every view are kept,
also older and newer ones than the replica's own, because a quorum of commits decides whenever it
comes together; votes of different views never count together. Bounded: per validator and phase the
`VIEWS_KEPT` highest views, because its newest votes are what counts, and as many nearest to the
view the replica is in: so a liar can only crowd out its own votes, and none of where it is watched.
Everything given to `add` has been verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Final

from ledger.equivocation import VoteEquivocation
from ledger.votes import COMMIT, PRE_PREPARE, PREPARE, CommitCertificate, SignedBy, Vote

VIEWS_KEPT: Final = 8
"""Highest views per validator and phase whose votes are kept, and as many near the own. A correct
replica votes in rising views and repeats only its newest votes, so two would do for it; eight
forgive reordering."""


def find_crowded_out(views: Iterable[int], own_view: int) -> int | None:
    """Return which of these views to forget, if they are too many: the lowest that is neither
    among the highest nor among the nearest to the replica's own view."""
    rest = set(views)
    if len(rest) <= VIEWS_KEPT:
        return None
    nearest = nsmallest(VIEWS_KEPT, rest, key=lambda view: (abs(view - own_view), view))
    rest.difference_update(nlargest(VIEWS_KEPT, rest), nearest)
    return min(rest, default=None)


@dataclass(slots=True)
class _Slot:
    vote: Vote
    is_reported: bool = False


class VoteBook:
    """All votes seen at one height."""

    def __init__(self) -> None:
        self.own_view = 0
        """The view the replica is in, or asks for."""
        self._slots: dict[tuple[int, int], dict[int, _Slot]] = {}
        self._tallies: dict[tuple[int, int, bytes], dict[int, Vote]] = {}

    def is_news(self, vote: Vote) -> bool:
        """Return whether `add` would learn anything; asked before a signature is verified."""
        views = self._slots.get((vote.phase, vote.replica))
        if views is None:
            return True
        slot = views.get(vote.view)
        if slot is not None:
            return slot.vote.block_hash != vote.block_hash and not slot.is_reported
        return find_crowded_out((*views, vote.view), self.own_view) != vote.view

    def add(self, vote: Vote) -> VoteEquivocation | None:
        """Count a verified vote, or return the evidence that it contradicts an earlier one."""
        if not self.is_news(vote):
            return None
        views = self._slots.setdefault((vote.phase, vote.replica), {})
        slot = views.get(vote.view)
        if slot is not None:
            slot.is_reported = True
            return VoteEquivocation.of(slot.vote, vote)
        crowded_out = find_crowded_out((*views, vote.view), self.own_view)
        if crowded_out is not None:
            self._forget(views.pop(crowded_out).vote)
        views[vote.view] = _Slot(vote)
        self._tallies.setdefault((vote.phase, vote.view, vote.block_hash), {})[vote.replica] = vote
        return self._compare_phases(vote)

    def of(self, phase: int, replica: int) -> tuple[Vote, ...]:
        """Return the votes of one replica in one phase that are kept, one per view."""
        views = self._slots.get((phase, replica), {})
        return tuple(slot.vote for slot in views.values())

    def votes(self, phase: int, view: int, block_hash: bytes) -> tuple[Vote, ...]:
        """Return the votes for one block in one slot, ascending by replica."""
        tally = self._tallies.get((phase, view, block_hash), {})
        return tuple(tally[replica] for replica in sorted(tally))

    def find_others(self, phase: int, view: int, block_hash: bytes) -> tuple[int, ...]:
        """Return who voted in one slot for another block than this one, ascending."""
        return tuple(
            sorted(
                replica
                for (of_phase, of_view, voted_hash), tally in self._tallies.items()
                if of_phase == phase and of_view == view and voted_hash != block_hash
                for replica in tally
            )
        )

    def find_commit_certificate(self, quorum: int) -> CommitCertificate | None:
        """Return a certificate if some block has a quorum of commits in one view."""
        for (phase, view, block_hash), tally in self._tallies.items():
            if phase == COMMIT and len(tally) >= quorum:
                voters = sorted(tally)[:quorum]
                height = tally[voters[0]].height
                commits = tuple(SignedBy(voter, tally[voter].signature) for voter in voters)
                return CommitCertificate(height, view, block_hash, commits)
        return None

    def _compare_phases(self, vote: Vote) -> VoteEquivocation | None:
        """Return the evidence that a primary prepared another block than it proposed.

        Only the primary of a view signs a pre-prepare there, so whoever has both is one.
        """
        if vote.phase not in {PRE_PREPARE, PREPARE}:
            return None
        proposed = self._slots.get((PRE_PREPARE, vote.replica), {}).get(vote.view)
        prepared = self._slots.get((PREPARE, vote.replica), {}).get(vote.view)
        if proposed is None or prepared is None or proposed.is_reported:
            return None
        if proposed.vote.block_hash == prepared.vote.block_hash:
            return None
        proposed.is_reported = True
        return VoteEquivocation.of(proposed.vote, prepared.vote)

    def _forget(self, vote: Vote) -> None:
        key = (vote.phase, vote.view, vote.block_hash)
        tally = self._tallies[key]
        del tally[vote.replica]
        if not tally:
            del self._tallies[key]
