"""The votes of one height, counted by (phase, view, block hash), and contradictions among them.

The first vote of a validator in a slot (phase, height, view) stays; the same again is ignored; one
for another block becomes evidence, once, and is never counted. Votes of every view are kept, also
older and newer ones than the replica's own, because a quorum of commits decides whenever it comes
together; votes of different views never count together. Bounded: per validator and phase the
`VIEWS_KEPT` highest views, so a liar can only crowd out its own votes.
Everything given to `add` has been verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.votes import COMMIT, CommitCertificate, Equivocation, SignedBy, Vote

VIEWS_KEPT: Final = 8
"""Views per validator and phase whose votes are kept. A correct replica votes in rising views and
repeats only its newest votes, so two would do for it; eight forgive reordering."""


@dataclass(slots=True)
class _Slot:
    vote: Vote
    is_reported: bool = False


class VoteBook:
    """All votes seen at one height."""

    def __init__(self) -> None:
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
        return len(views) < VIEWS_KEPT or vote.view > min(views)

    def add(self, vote: Vote) -> Equivocation | None:
        """Count a verified vote, or return the evidence that it contradicts an earlier one."""
        if not self.is_news(vote):
            return None
        views = self._slots.setdefault((vote.phase, vote.replica), {})
        slot = views.get(vote.view)
        if slot is not None:
            slot.is_reported = True
            return Equivocation.of(slot.vote, vote)
        if len(views) >= VIEWS_KEPT:
            self._forget(views.pop(min(views)).vote)
        views[vote.view] = _Slot(vote)
        self._tallies.setdefault((vote.phase, vote.view, vote.block_hash), {})[vote.replica] = vote
        return None

    def votes(self, phase: int, view: int, block_hash: bytes) -> tuple[Vote, ...]:
        """Return the votes for one block in one slot, ascending by replica."""
        tally = self._tallies.get((phase, view, block_hash), {})
        return tuple(tally[replica] for replica in sorted(tally))

    def find_commit_certificate(self, quorum: int) -> CommitCertificate | None:
        """Return a certificate if some block has a quorum of commits in one view."""
        for (phase, view, block_hash), tally in self._tallies.items():
            if phase == COMMIT and len(tally) >= quorum:
                voters = sorted(tally)[:quorum]
                height = tally[voters[0]].height
                commits = tuple(SignedBy(voter, tally[voter].signature) for voter in voters)
                return CommitCertificate(height, view, block_hash, commits)
        return None

    def _forget(self, vote: Vote) -> None:
        key = (vote.phase, vote.view, vote.block_hash)
        tally = self._tallies[key]
        del tally[vote.replica]
        if not tally:
            del self._tallies[key]
