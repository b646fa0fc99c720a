"""Whose turns are skipped: one dead institution must not cost a timeout at every n-th height.

A turn is view 0 of a height whose primary the replica is. It failed when the block decided there
was first proposed by somebody else. After a failed turn the replica's next 1 turns are skipped (the
others ask for view 1 at once), after another failed turn the next 2, then 4, … up to
`SKIPPED_TURNS_MAX`, until a block of its own is decided. The whole table follows from the headers
of the chain, but nothing depends on two replicas having the same: a skip is only an early
view-change, which is always allowed and never unsafe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SKIPPED_TURNS_MAX: Final = 64
"""Most turns skipped in a row: with 36 validators and a block a second, a returning institution
proposes again within 40 minutes, and a dead one costs a timeout no more often."""


@dataclass(slots=True)
class _Skip:
    length: int
    remaining: int


class TurnTable:
    """Failed turns by replica; at most one small entry per validator."""

    def __init__(self) -> None:
        self._skips: dict[int, _Skip] = {}

    def is_skipped(self, replica: int) -> bool:
        """Return whether this replica's turn now is one to skip."""
        skip = self._skips.get(replica)
        return skip is not None and skip.remaining > 0

    def block_applied(self, primary: int, proposer: int) -> None:
        """Learn who proposed a decided block whose view 0 belonged to `primary`."""
        self._skips.pop(proposer, None)
        if proposer == primary:
            return
        skip = self._skips.get(primary)
        if skip is None:
            self._skips[primary] = _Skip(1, 1)
        elif skip.remaining > 0:
            skip.remaining -= 1
        else:
            skip.length = min(2 * skip.length, SKIPPED_TURNS_MAX)
            skip.remaining = skip.length
