"""How far the chain is elsewhere: known while enough members tell, and not since this node slept.

A receipt promises a block at or before a height, so whoever signs one has to know at which height
the others are. A node that was down, stopped or cut off for a while stands where it stood, and they
have gone on: a promise counted from its own height may be broken as it is signed. So nothing is
known after a start until a quorum, this node included, has told its height, and a member's word is
good for a while only: it tells its height every two seconds, and with its cosignature of each
block. After a pause, in which what they said before it is still to be read, all have to tell anew.
"""

from __future__ import annotations

from typing import Final

PAUSE_MS: Final = 5_000
"""Without a step for so long the process was stopped, or its disk: a tick comes 20 times a second.
A clock that was set ahead looks the same, and costs a moment's wait."""

SETTLE_TICKS: Final = 40
"""After a pause: what is read in this time (2 s at 50 ms) may have been sent before it."""

WORD_TICKS: Final = 100
"""How long a member's word is good: 5 s at 50 ms."""


class ChainTip:
    """Whose word of the chain's height has come; see the module's text."""

    def __init__(self, quorum: int) -> None:
        self._others_needed = quorum - 1
        self._told: dict[int, int] = {}
        """When another member last told, in ticks."""
        self._last_ms: int | None = None
        self._from_tick = 0

    def is_known(self, ticks: int) -> bool:
        """Say whether a quorum, this node included, has told its height lately."""
        told = [at for at in self._told.values() if ticks - at <= WORD_TICKS]
        return len(told) >= self._others_needed

    def step(self, now_ms: int, ticks: int) -> None:
        """A step begins at this node's clock."""
        if self._last_ms is not None and now_ms - self._last_ms > PAUSE_MS:
            self._told.clear()
            self._from_tick = ticks + SETTLE_TICKS
        self._last_ms = now_ms

    def hear(self, replica: int, ticks: int) -> None:
        """Another member told its height; one above this node's own is proven (`node.driver`)."""
        if ticks >= self._from_tick:
            self._told[replica] = ticks
