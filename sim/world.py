"""The world one seed makes: a virtual clock, a queue of what will happen, named streams of chance.

Nothing in a simulation asks the real clock or an unseeded source. Events happen one at a time,
ordered by (time, sequence), so two runs of one seed are the same to the byte; the digest of the
trace says so. Every part draws from its own stream, named after it: a new draw in one part leaves
the others as they were.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Final, TypeVar

MS: Final = 1_000
"""Microseconds in a millisecond: the world counts time in microseconds."""

SECOND: Final = 1_000 * MS

EPOCH_MS: Final = 1_700_000_000_000
"""What the true clock shows, in milliseconds since 1970, when a simulation begins."""

EVENTS_MAX: Final = 5_000_000
"""Events of one simulation; an ordinary one needs ten to two hundred thousand."""

Action = Callable[[], None]
Print = Callable[[str], None]
T = TypeVar("T")


class World:
    """Virtual time and seeded chance."""

    def __init__(self, seed: int, show: Print | None = None) -> None:
        self.seed: Final = seed
        self.now_us = 0
        self.event_count = 0
        self._queue: list[tuple[int, int, Action]] = []
        self._sequence = 0
        self._digest = hashlib.sha256()
        self._show = show

    @property
    def true_ms(self) -> int:
        """The true time in milliseconds since 1970; nodes' clocks are off from it."""
        return EPOCH_MS + self.now_us // MS

    @property
    def digest(self) -> str:
        """SHA-256 of the trace so far."""
        return self._digest.hexdigest()

    def chance(self, name: str) -> random.Random:
        """Return the stream of chance of this name; the same name gives a fresh, equal stream."""
        material = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(material[:8], "big"))

    def at(self, time_us: int, action: Action) -> None:
        """Have something happen at a time; never in the past."""
        self._sequence += 1
        due_us = time_us if time_us > self.now_us else self.now_us
        heapq.heappush(self._queue, (due_us, self._sequence, action))

    def after(self, delay_us: int, action: Action) -> None:
        """Have something happen after a span."""
        self.at(self.now_us + delay_us, action)

    def step(self) -> bool:
        """Let the next event happen; return False when nothing is left."""
        if not self._queue:
            return False
        self.event_count += 1
        if self.event_count > EVENTS_MAX:
            raise RuntimeError(f"seed {self.seed}: more than {EVENTS_MAX} events")
        self.now_us, _, action = heapq.heappop(self._queue)
        action()
        return True

    def trace(self, who: str, text: str) -> None:
        """Write one line of the trace: something that happened."""
        self._digest.update(f"{self.now_us} {who} {text}".encode())
        if self._show is not None:
            self._show(f"{self.now_us / SECOND:12.6f} {who:<9} {text}")

    def trace_event(self, who: str, raw: bytes, describe: Callable[[T], str], event: T) -> None:
        """Write one line of the trace: an event a node takes. Its words are made only to be read;
        the digest is over what it was."""
        self._digest.update(b"%d %d " % (self.now_us, len(raw)) + who.encode() + raw)
        if self._show is not None:
            self._show(f"{self.now_us / SECOND:12.6f} {who:<9} {describe(event)}")
