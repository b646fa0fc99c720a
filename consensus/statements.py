"""What validators signed about one height, and where one of them contradicts itself.

Votes are counted in the vote book and view-changes in the view-change book; this is the one place
that compares a statement with the others of its signer, so that two votes in one slot, two claims
for one view, and a commit that a later view-change denies all become evidence, once per slot
(`ledger.equivocation`). A view-change counts as said by its signature alone: the certificate that
travels with it proves the claim and is no part of it. Bounded: the votes the book keeps, and one
claim per validator. Everything given to it has its signature verified.
"""

from __future__ import annotations

from consensus.vote_book import VoteBook
from ledger.equivocation import Amnesia, Equivocation, ViewChangeEquivocation, is_forgotten
from ledger.votes import COMMIT, ViewClaim, Vote


class Statements:
    """All statements of one height that are kept."""

    def __init__(self) -> None:
        self.votes = VoteBook()
        self._claims: dict[int, ViewClaim] = {}
        """Each validator's claim for the highest view."""
        self._reported: dict[int, int] = {}
        """The highest view for which a validator's view-change was reported as false."""

    def is_contradiction(self, statement: Vote | ViewClaim) -> bool:
        """Return whether this contradicts what is kept; asked before it is verified."""
        if isinstance(statement, ViewClaim):
            return self._find(statement) is not None
        return self.votes.is_contradiction(statement) or self._find_denied(statement) is not None

    def add(self, statement: Vote | ViewClaim) -> Equivocation | None:
        """Keep a statement; return the evidence if it contradicts another one."""
        if isinstance(statement, ViewClaim):
            return self.add_claim(statement)
        return self.add_vote(statement)

    def add_vote(self, vote: Vote) -> Equivocation | None:
        """Count a vote; return the evidence if it contradicts another statement."""
        evidence = self.votes.add(vote)
        denied = self._find_denied(vote) if evidence is None else None
        if denied is None:
            return evidence
        self._reported[denied.replica] = denied.view
        return Amnesia(vote, denied)

    def add_claim(self, claim: ViewClaim) -> Equivocation | None:
        """Keep what a view-change says; return the evidence if it contradicts another statement."""
        evidence = self._find(claim)
        if evidence is not None:
            self._reported[claim.replica] = claim.view
        known = self._claims.get(claim.replica)
        if known is None or claim.view > known.view:
            self._claims[claim.replica] = claim
        return evidence

    def _find(self, claim: ViewClaim) -> Equivocation | None:
        if not self._is_open(claim):
            return None
        known = self._claims.get(claim.replica)
        if known is not None and known.view == claim.view and known.claim != claim.claim:
            return ViewChangeEquivocation.of(known, claim)
        for commit in self.votes.of(COMMIT, claim.replica):
            if is_forgotten(commit, claim):
                return Amnesia(commit, claim)
        return None

    def _find_denied(self, vote: Vote) -> ViewClaim | None:
        """Return the view-change that denies a commit which comes after it."""
        claim = self._claims.get(vote.replica)
        if vote.phase != COMMIT or claim is None or not self._is_open(claim):
            return None
        return claim if is_forgotten(vote, claim) else None

    def _is_open(self, claim: ViewClaim) -> bool:
        return claim.view > self._reported.get(claim.replica, 0)
