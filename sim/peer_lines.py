"""What peers have sent to one process and it has not dealt with: counted, and held if too much.

Counting is the node's own (`node.backlog`). Of a peer that is held nothing more is delivered, as
with the transport; what it sends meanwhile waits here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from node.backlog import Backlog
from sim.coverage import Coverage
from sim.world import World

Deliver = Callable[[int, bytes], None]
"""(from replica, payload)."""


class PeerLines:
    """Of one process, from its start to its end; see the module's text."""

    def __init__(self, world: World, coverage: Coverage, deliver: Deliver) -> None:
        """`deliver` may begin and end frames."""
        self._world: Final = world
        self._coverage: Final = coverage
        self._deliver = deliver
        self.backlog: Final = Backlog(self._hold, self._release)
        self._held: dict[int, deque[bytes]] = {}
        """What waits, of each peer that is held, or was and has not had its turn yet."""
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight or waits."""
        return not self.backlog.is_empty or bool(self._held)

    def arrive(self, replica: int, payload: bytes) -> None:
        """Deliver what a peer sent, or keep it until the peer is released."""
        if replica in self._held:
            self._held[replica].append(payload)
        else:
            self._deliver(replica, payload)

    def close(self) -> None:
        """The process ends, and its connections."""
        self._is_closed = True

    def _hold(self, replica: int) -> None:
        if replica not in self._held:
            self._coverage.count("peer held")
            self._held[replica] = deque()

    def _release(self, replica: int) -> None:
        self._world.after(0, lambda: self._deliver_waiting(replica))

    def _deliver_waiting(self, replica: int) -> None:
        waiting = self._held.get(replica)
        while waiting and not self.backlog.is_full(replica) and not self._is_closed:
            self._deliver(replica, waiting.popleft())
        if not waiting and not self.backlog.is_full(replica):
            self._held.pop(replica, None)
