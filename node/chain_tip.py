"""How far the chain is elsewhere: known once enough members have told, since this node last slept.

A receipt promises a block at or before a height, so whoever signs one has to know at which height
the others are. A node that was down or stopped for a while stands where it stood, and they have
gone on: a promise counted from its own height may be broken as it is signed. So nothing is known
after a start until a quorum, this node included, has told its height. Nor is it after a pause, in
which what they said before it is still to be read.
"""

from __future__ import annotations

from typing import Final

PAUSE_MS: Final = 5_000
"""Without a step for so long the process was stopped, or its disk: a tick comes 20 times a second.
A clock that was set ahead looks the same, and costs a moment's wait."""

SETTLE_TICKS: Final = 40
"""After a pause: what is read in this time (2 s at 50 ms) may have been sent before it."""


class ChainTip:
    """Whose word of the chain's height has come; see the module's text."""

    def __init__(self, quorum: int, own: int) -> None:
        self._quorum = quorum
        self._own = own
        self._heard = {own}
        self._last_ms: int | None = None
        self._from_tick = 0

    @property
    def is_known(self) -> bool:
        """Say whether a quorum has told its height."""
        return len(self._heard) >= self._quorum

    def step(self, now_ms: int, ticks: int) -> None:
        """A step begins at this node's clock."""
        if self._last_ms is not None and now_ms - self._last_ms > PAUSE_MS:
            self._heard = {self._own}
            self._from_tick = ticks + SETTLE_TICKS
        self._last_ms = now_ms

    def hear(self, replica: int, ticks: int) -> None:
        """A member told its height; one above this node's own is proven (`node.driver`)."""
        if ticks >= self._from_tick:
            self._heard.add(replica)
