"""What correct replicas sign at one height, and everything they ever signed as one value.

The network of this model never forgets: whatever was signed may reach anybody at any later time,
twice, or never. So a state is just the set of statements of the correct replicas. What a replica
remembers is what it signed, because nothing is sent before it is durable; a crash and a restart
therefore change nothing, and happen everywhere without being written down. What a liar signs is
not kept at all: it may have signed anything, in both senses, at any time.
This module knows no rule of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

Block = str
"""A letter and the view whose primary made it, `A0`; `X` is one that no replica can execute. In
traces of real replicas it is a block hash in hex."""


class Kind(IntEnum):
    """What a statement is, in the order in which a replica makes them in one view."""

    ASK = 0
    """A view-change: leaves every lower view and claims the highest prepared block."""
    PREPARE = 1
    """A prepare; from the view's primary its pre-prepare or new-view, which is its prepare."""
    COMMIT = 2


_ASK, _PREPARE, _COMMIT = Kind
"""By short names: a book of statements is made for each of a hundred thousand states."""


class Claim(NamedTuple):
    """The view in which a replica says it prepared a block, and that block."""

    view: int
    block: Block


class Statement(NamedTuple):
    """One signed sentence of one replica."""

    view: int
    replica: int
    kind: Kind
    block: Block | None
    """Of an ask: the claimed block, if any."""
    claim_view: int | None = None
    """Of an ask: the view of the claim, if any."""

    @property
    def claim(self) -> Claim | None:
        """What an ask claims."""
        if self.block is None or self.claim_view is None:
            return None
        return Claim(self.claim_view, self.block)


def make_ask(view: int, replica: int, claim: Claim | None) -> Statement:
    """Return the statement of a view-change."""
    if claim is None:
        return Statement(view, replica, Kind.ASK, None)
    return Statement(view, replica, Kind.ASK, claim.block, claim.view)


class Book:
    """A set of statements with what the rules ask about it at hand."""

    __slots__ = ("asks", "commits", "highest", "own", "prepares", "views")

    def __init__(self, statements: Iterable[Statement] = ()) -> None:
        self.prepares: dict[tuple[int, Block], set[int]] = {}
        """(view, block) → who prepared it."""
        self.commits: dict[tuple[int, Block], set[int]] = {}
        """(view, block) → who committed it."""
        self.asks: dict[int, dict[int, Claim | None]] = {}
        """view → replica → claim."""
        self.own: dict[tuple[int, Kind, int], list[Statement]] = {}
        """(view, kind, replica) → what it said there; more than one contradict each other."""
        self.highest: dict[int, Claim] = {}
        """replica → the highest view it committed in, and the block; absent if it never did."""
        self.views: dict[int, int] = {}
        """The highest view in which a replica said anything."""
        for statement in statements:
            self.add(statement)

    def add(self, statement: Statement) -> None:
        """Enter one more statement."""
        view, replica, kind, block, _ = statement
        slot = (view, kind, replica)
        if slot in self.own:
            self.own[slot].append(statement)
        else:
            self.own[slot] = [statement]
        if view > self.views.get(replica, 0):
            self.views[replica] = view
        if kind is _ASK:
            self.asks.setdefault(view, {})[replica] = statement.claim
        elif block is not None:
            votes = self.prepares if kind is _PREPARE else self.commits
            vote = (view, block)
            if vote in votes:
                votes[vote].add(replica)
            else:
                votes[vote] = {replica}
            if kind is _COMMIT:
                claim = Claim(view, block)
                self.highest[replica] = max(self.highest.get(replica, claim), claim)

    def view_of(self, replica: int) -> int:
        """Return the view a replica is in."""
        return self.views.get(replica, 0)

    def has(self, view: int, kind: Kind, replica: int) -> bool:
        """Return whether a replica made a statement of this kind in this view."""
        return (view, kind, replica) in self.own

    def voted_for(self, view: int, kind: Kind, replica: int) -> Block | None:
        """Return the block of a replica's first such vote."""
        said = self.own.get((view, kind, replica))
        return None if said is None else said[0].block
