"""How far the chain is elsewhere: known while enough members tell, and not since this node slept.

A receipt promises a block at or before a height, so whoever signs one has to know at which height
the others are. A node that was down, stopped or cut off for a while stands where it stood, and they
have gone on: a promise counted from its own height may be broken as it is signed. So nothing is
known after a start until a quorum, this node included, has told its height, and a member's word is
good for a while only: it tells its height every two seconds, and with its cosignature of each
block. After a pause, in which what they said before it is still to be read, all have to tell anew;
so has a member that was not heard for a while, for a cut closes no connection at once, and what
lay on the way is read first. Time is this node's clock from step to step and not its ticks, which
are few while it catches up or its disk is slow.
"""

from __future__ import annotations

from typing import Final

PAUSE_MS: Final = 5_000
"""Without a step for so long the process was stopped, or its disk: a tick comes 20 times a second.
A clock that was set ahead looks the same, and costs a moment's wait."""

SETTLE_MS: Final = 2_000
"""After a pause, or a member's silence: what is read in this time may have been sent before."""

WORD_MS: Final = 5_000
"""How long a member's word is good."""


class ChainTip:
    """Whose word of the chain's height has come; see the module's text."""

    def __init__(self, quorum: int) -> None:
        self._others_needed = quorum - 1
        self._told: dict[int, int] = {}
        """When another member last told, on this node's own time."""
        self._settled: dict[int, int] = {}
        """From when on the word of a member counts that had been silent."""
        self._last_ms: int | None = None
        self._time_ms = 0
        """What has passed since the start, without the leaps of the clock."""
        self._from_ms = 0

    @property
    def is_known(self) -> bool:
        """Say whether a quorum, this node included, has told its height lately."""
        told = [replica for replica in self._told if self._is_fresh(replica)]
        return len(told) >= self._others_needed

    def step(self, now_ms: int) -> None:
        """A step begins at this node's clock."""
        passed_ms = 0 if self._last_ms is None else now_ms - self._last_ms
        self._last_ms = now_ms
        if passed_ms > PAUSE_MS:
            self._told.clear()
            self._from_ms = self._time_ms + SETTLE_MS
        else:
            self._time_ms += max(passed_ms, 0)  # a clock that is put back stands for a moment

    def hear(self, replica: int) -> None:
        """Another member told its height; one above this node's own is proven (`node.driver`)."""
        if self._time_ms < self._from_ms:
            return
        if replica in self._told and not self._is_fresh(replica):
            del self._told[replica]
            self._settled[replica] = self._time_ms + SETTLE_MS
        if self._time_ms >= self._settled.get(replica, 0):
            self._told[replica] = self._time_ms

    def hear_again(self, replica: int) -> None:
        """A member showed where it is with what may have been kept for long: to who was away. That
        makes its word last, and is none."""
        if replica in self._told and self._is_fresh(replica):
            self._told[replica] = self._time_ms

    def leave(self, replica: int) -> None:
        """The connection to a member is gone: it has to tell anew."""
        self._told.pop(replica, None)

    def _is_fresh(self, replica: int) -> bool:
        return self._time_ms - self._told[replica] <= WORD_MS
