"""What is said of the next height before it begins.

A replica slightly slower than the others must not lose the votes of the height it is about to
enter. Statements are kept and compared as those of the current height are, and become its own when
it begins; of messages with more to them, one pre-prepare, new-view and view-change per replica,
and rather as that replica brought it than as another one did, who may have changed its body.
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
        self._places: dict[tuple[int, type[Whole]], tuple[Whole, int]] = {}
        """(signer, kind) → the message and who brought it."""

    def is_news(
        self, height: int, message: Message, statement: Vote | ViewClaim, brought_by: int
    ) -> bool:
        """Return whether this would be kept or prove something; asked before it is verified."""
        if height != self._height or self._statements.is_news(statement):
            return True
        replica = statement.replica
        return isinstance(message, Whole) and self._has_place(replica, message, brought_by)

    def add(self, height: int, statement: Vote | ViewClaim) -> tuple[Equivocation, ...]:
        """Keep a verified statement; return the evidence that it contradicts others."""
        self._begin(height)
        return self._statements.add(statement)

    def put(self, height: int, replica: int, message: Message, brought_by: int) -> None:
        """Keep a verified and justified message if its replica has a place for it."""
        self._begin(height)
        if isinstance(message, Whole) and self._has_place(replica, message, brought_by):
            self._places[replica, type(message)] = (message, brought_by)

    def take(self, height: int) -> tuple[Statements, tuple[tuple[Whole, int], ...]]:
        """Return what was kept for this height, messages in the order they came and with who
        brought them; forget it all."""
        self._begin(height)
        statements, kept = self._statements, tuple(self._places.values())
        self._begin(0)
        return statements, kept

    def _has_place(self, replica: int, message: Whole, brought_by: int) -> bool:
        place = self._places.get((replica, type(message)))
        if place is None:
            return True
        present, present_by = place
        is_own = brought_by == replica != present_by
        return message.view > present.view or (is_own and message.view == present.view)

    def _begin(self, height: int) -> None:
        if height != self._height:
            self._height = height
            self._places = {}
            self._statements = Statements()
