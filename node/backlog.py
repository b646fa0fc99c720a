"""What each peer has sent and nobody here has dealt with: counted, and a peer with too much held.

A frame counts from its arrival until its step, one with transactions until these are dealt with. A
peer that has too much is held, so nothing more of it is delivered, until half of it is dealt with:
what one sends here never takes more room than that, and the others are delivered meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

FRAMES_MAX: Final = 40
"""Frames of one peer that may wait, for the driver or for verification, before that peer is held; a
large one counts as several."""

FRAME_WEIGHT_BYTES: Final = 1024 * 1024


def weight_of(parts: Sequence[bytes]) -> int:
    """Return as how many a waiting frame counts, given in parts."""
    return 1 + sum(map(len, parts)) // FRAME_WEIGHT_BYTES


class Backlog:
    """Of all peers of one process; see the module's text."""

    def __init__(self, hold: Callable[[int], None], release: Callable[[int], None]) -> None:
        """`hold` and `release` are told a replica, each once until the other is."""
        self._hold = hold
        self._release = release
        self._weights: Counter[int] = Counter()

    @property
    def is_empty(self) -> bool:
        """Whether everything is dealt with."""
        return not any(self._weights.values())

    def is_full(self, replica: int) -> bool:
        """Say whether a peer has as much waiting as it may."""
        return self._weights[replica] >= FRAMES_MAX

    def begin(self, replica: int, weight: int) -> None:
        """Count a frame that is taken and not dealt with."""
        before = self._weights[replica]
        self._weights[replica] = after = before + weight
        if before < FRAMES_MAX <= after:
            self._hold(replica)

    def end(self, replica: int, weight: int) -> None:
        """Count one that is dealt with."""
        before = self._weights[replica]
        self._weights[replica] = after = before - weight
        if after <= FRAMES_MAX // 2 < before:
            self._release(replica)
