"""Messages of the next height, kept until it begins.

A replica slightly slower than the others must not lose the votes of the height it is about to
enter. Every message kept was verified, and each replica has a few places of its own, so a flood
from one crowds out nobody else: memory is at most n × (`VOTES_KEPT` votes, a view-change and two
messages with a proposal). A statement that contradicts one of these is not kept but reported.
Messages of later heights are never kept (see `consensus.lateness`).
"""

from __future__ import annotations

from typing import Final

from consensus.messages import Message, NewView, PrePrepare, ViewChange
from consensus.statements import Statements
from ledger.equivocation import Equivocation
from ledger.votes import ViewClaim, Vote

VOTES_KEPT: Final = 8
"""Prepares and commits of the next height kept per replica: four views of both."""


class NextHeightInbox:
    """Verified messages of exactly one future height, bounded per replica."""

    def __init__(self) -> None:
        self._height = 0
        self._places: dict[tuple[int, str, int], Message] = {}
        self._statements = Statements()

    def is_news(self, replica: int, message: Message) -> bool:
        """Return whether `put` would keep this; asked before it is verified."""
        key = _place(replica, message)
        present = self._places.get(key)
        if present is None:
            return key[1] not in {"prepare", "commit"} or self._count_votes(replica) < VOTES_KEPT
        return _view(message) > _view(present)

    def is_contradiction(self, height: int, statement: Vote | ViewClaim) -> bool:
        """Return whether a statement contradicts one that is kept; asked before it is verified."""
        return height == self._height and self._statements.is_contradiction(statement)

    def compare(self, height: int, statement: Vote | ViewClaim) -> Equivocation | None:
        """Keep a verified statement; return the evidence if it contradicts another one."""
        self._begin(height)
        return self._statements.add(statement)

    def put(self, height: int, replica: int, message: Message) -> None:
        """Keep a verified message of the next height if its replica has a place for it."""
        self._begin(height)
        if self.is_news(replica, message):
            self._places[_place(replica, message)] = message

    def take(self, height: int) -> tuple[Message, ...]:
        """Return what was kept for this height, in the order it came, and forget everything."""
        kept = tuple(self._places.values()) if height == self._height else ()
        self._begin(0)
        return kept

    def _begin(self, height: int) -> None:
        if height != self._height:
            self._height = height
            self._places.clear()
            self._statements = Statements()

    def _count_votes(self, replica: int) -> int:
        return sum(key[0] == replica and key[1] in {"prepare", "commit"} for key in self._places)


def _place(replica: int, message: Message) -> tuple[int, str, int]:
    match message:
        case PrePrepare():
            return (replica, "pre-prepare", 0)
        case NewView():
            return (replica, "new-view", 0)
        case ViewChange():
            return (replica, "view-change", 0)
        case _:
            return (replica, type(message).__name__.lower(), _view(message))


def _view(message: Message) -> int:
    return getattr(message, "view", 0)
