"""What is said of the next height before it begins.

A replica slightly slower than the others must not lose the votes of the height it is about to
enter. Statements are kept and compared as those of the current height are, and become its own when
it begins; of messages with more to them, one pre-prepare, new-view and view-change per replica.
Everything kept was verified, and each replica has a few places of its own, so a flood from one
crowds out nobody else. Nothing is kept of later heights (see `consensus.lateness`).
"""

from __future__ import annotations

from consensus.messages import Message, NewView, PrePrepare, ViewChange
from consensus.statements import Statements
from ledger.equivocation import Equivocation
from ledger.votes import ViewClaim, Vote

Whole = PrePrepare | NewView | ViewChange
"""Messages that are more than the statement they carry."""


class NextHeightInbox:
    """Verified statements and messages of exactly one future height, bounded per replica."""

    def __init__(self) -> None:
        self._height = 0
        self._statements = Statements()
        self._places: dict[tuple[int, type[Whole]], Whole] = {}

    def is_news(
        self, height: int, replica: int, message: Message, statement: Vote | ViewClaim
    ) -> bool:
        """Return whether this would be kept or prove something; asked before it is verified."""
        if height != self._height or self._statements.is_news(statement):
            return True
        return isinstance(message, Whole) and self._has_place(replica, message)

    def add(self, height: int, statement: Vote | ViewClaim) -> tuple[Equivocation, ...]:
        """Keep a verified statement; return the evidence that it contradicts others."""
        self._begin(height)
        return self._statements.add(statement)

    def put(self, height: int, replica: int, message: Message) -> None:
        """Keep a verified and justified message if its replica has a place for it."""
        self._begin(height)
        if isinstance(message, Whole) and self._has_place(replica, message):
            self._places[replica, type(message)] = message

    def take(self, height: int) -> tuple[Statements, tuple[Whole, ...]]:
        """Return what was kept for this height, messages in the order they came; forget it all."""
        self._begin(height)
        statements, kept = self._statements, tuple(self._places.values())
        self._begin(0)
        return statements, kept

    def _has_place(self, replica: int, message: Whole) -> bool:
        present = self._places.get((replica, type(message)))
        return present is None or message.view > present.view

    def _begin(self, height: int) -> None:
        if height != self._height:
            self._height = height
            self._places = {}
            self._statements = Statements()
