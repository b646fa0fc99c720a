"""What validators signed about one height, and where one of them contradicts itself.

Votes are counted in the vote book and view-changes in the view-change book; this is the one place
that compares a statement with the others of its signer, so that two votes in one slot, two claims
for one view, and a commit that a later view-change denies all become evidence, once per slot
(`ledger.equivocation`). A view-change counts as said by its signature alone: the certificate that
travels with it proves the claim and is no part of it. Bounded per validator as the votes are, so a
liar can only crowd out its own statements, and none of where it is watched. Everything given to it
has its signature verified.
"""

from __future__ import annotations

from dataclasses import dataclass

from consensus.vote_book import VoteBook, find_crowded_out
from ledger.equivocation import Amnesia, Equivocation, ViewChangeEquivocation, is_forgotten
from ledger.votes import COMMIT, ViewClaim, Vote


@dataclass(slots=True)
class _Said:
    claim: ViewClaim
    is_reported: bool = False


class Statements:
    """All statements of one height that are kept."""

    def __init__(self) -> None:
        self.votes = VoteBook()
        self._claims: dict[int, dict[int, _Said]] = {}
        """replica → view → what its view-change to that view claims."""

    def is_news(self, statement: Vote | ViewClaim) -> bool:
        """Return whether `add` would keep this or prove something; asked before it is verified."""
        if isinstance(statement, ViewClaim):
            said = self._claims.get(statement.replica, {}).get(statement.view)
            if said is None:
                return self._find_crowded_out(statement) != statement.view
            return said.claim.claim != statement.claim and not said.is_reported
        return self.votes.is_news(statement)

    def add(self, statement: Vote | ViewClaim) -> tuple[Equivocation, ...]:
        """Keep a statement; return the evidence that it contradicts others."""
        if isinstance(statement, ViewClaim):
            return self._add_claim(statement)
        evidence = self.votes.add(statement)
        found: list[Equivocation] = [] if evidence is None else [evidence]
        for said in self._find_denials(statement):
            said.is_reported = True
            found.append(Amnesia(statement, said.claim))
        return tuple(found)

    def _add_claim(self, claim: ViewClaim) -> tuple[Equivocation, ...]:
        views = self._claims.setdefault(claim.replica, {})
        said = views.get(claim.view)
        if said is not None:
            if said.claim.claim == claim.claim or said.is_reported:
                return ()
            said.is_reported = True
            return (ViewChangeEquivocation.of(said.claim, claim),)
        crowded_out = self._find_crowded_out(claim)
        if crowded_out == claim.view:
            return ()
        if crowded_out is not None:
            del views[crowded_out]
        commit = self._find_commit(claim)
        views[claim.view] = _Said(claim, is_reported=commit is not None)
        return () if commit is None else (Amnesia(commit, claim),)

    def _find_crowded_out(self, claim: ViewClaim) -> int | None:
        views = self._claims.get(claim.replica, {})
        return find_crowded_out((*views, claim.view), self.votes.own_view)

    def _find_commit(self, claim: ViewClaim) -> Vote | None:
        """Return a commit of its signer that a view-change denies."""
        commits = self.votes.of(COMMIT, claim.replica)
        return next((commit for commit in commits if is_forgotten(commit, claim)), None)

    def _find_denials(self, vote: Vote) -> list[_Said]:
        """Return the view-changes of its signer that deny a commit which comes after them."""
        if vote.phase != COMMIT:
            return []
        views = self._claims.get(vote.replica, {})
        return [
            said
            for said in views.values()
            if not said.is_reported and is_forgotten(vote, said.claim)
        ]
