"""What peers have sent to one process and it has not dealt with: counted, and held if too much.

The shell counts each peer's frames from their arrival to their step, and those with transactions
until these are dealt with; of a peer that has too many nothing more is delivered until half of them
are (`node.shell`). What is not delivered waits here, as it does with the transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from node.shell import FRAMES_IN_FLIGHT_MAX
from sim.coverage import Coverage
from sim.world import World

Deliver = Callable[[int, bytes], None]
"""(from replica, payload)."""


class PeerLines:
    """Of one process, from its start to its end; see the module's text."""

    def __init__(self, world: World, coverage: Coverage, deliver: Deliver, count: int) -> None:
        """`count` is that of the replicas; `deliver` may begin and end frames."""
        self._world: Final = world
        self._coverage: Final = coverage
        self._deliver = deliver
        self._in_flight = [0] * count
        self._held: dict[int, deque[bytes]] = {}
        """What waits, of each peer that is held, or was and has not had its turn yet."""
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight or waits."""
        return any(self._in_flight) or bool(self._held)

    def arrive(self, replica: int, payload: bytes) -> None:
        """Deliver what a peer sent, or keep it until the peer is released."""
        if replica in self._held:
            self._held[replica].append(payload)
        else:
            self._deliver(replica, payload)

    def begin(self, replica: int, weight: int) -> None:
        """Count a frame that is taken and not dealt with."""
        count = self._in_flight[replica]
        self._in_flight[replica] = count + weight
        if count < FRAMES_IN_FLIGHT_MAX <= count + weight and replica not in self._held:
            self._coverage.count("peer held")
            self._held[replica] = deque()

    def end(self, replica: int, weight: int) -> None:
        """Count one that is dealt with."""
        count = self._in_flight[replica]
        self._in_flight[replica] = count - weight
        half = FRAMES_IN_FLIGHT_MAX // 2
        if count - weight <= half < count and replica in self._held:
            self._world.after(0, lambda: self._release(replica))

    def close(self) -> None:
        """The process ends, and its connections."""
        self._is_closed = True

    def _release(self, replica: int) -> None:
        waiting = self._held.get(replica)
        while waiting and self._in_flight[replica] < FRAMES_IN_FLIGHT_MAX and not self._is_closed:
            self._deliver(replica, waiting.popleft())
        if not waiting and self._in_flight[replica] < FRAMES_IN_FLIGHT_MAX:
            self._held.pop(replica, None)
