"""Recovery from amnesia: a node that lost its vote journal must not contradict what it once signed.

A node on restored or empty storage asks its peers how far they are, each answer proven by a commit
certificate. Once a quorum has answered, D is the highest height certified to it. Whatever this node
signed before it lost its memory was for heights up to D+1, or it had helped decide a height above D
that a quorum would know of; so it signs nothing at heights up to D+2 and may vote again after that.
"""

from __future__ import annotations

from typing import Final

from ledger.validators import ValidatorSet

SILENT_ALWAYS: Final = 2**53 - 1
"""Sign nothing at any height: what holds until a quorum has answered."""

MARGIN_HEIGHTS: Final = 2


class Recovery:
    """Counts the answers of a recovering node's peers."""

    def __init__(self, validators: ValidatorSet, replica: int, is_active: bool) -> None:
        self._validators = validators
        self._replica = replica
        self._heights: dict[int, int] = {}
        self.is_active = is_active

    def hear(self, replica: int, height: int) -> int | None:
        """Take a peer's certified height; return through which height to be silent, once known.

        The node itself does not count: it remembers nothing. So in a network of n the recovery
        needs a quorum of n among the other n−1.
        """
        if not self.is_active or replica == self._replica:
            return None
        self._heights[replica] = max(height, self._heights.get(replica, 0))
        if len(self._heights) < self._validators.quorum:
            return None
        self.is_active = False
        return max(self._heights.values()) + MARGIN_HEIGHTS
