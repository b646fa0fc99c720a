"""What waits between the node and its peers, bounded per peer and without a socket.

`SendQueue` holds what one peer has not been sent yet. Consensus goes first and, when full, forgets
its oldest frame (a newer vote supersedes it, and PBFT sends again); bulk (transactions, catch-up)
is refused when full, so that its sender notices. What is true now (a status) goes before both: the
newest takes the place of one that still waits, and none is kept for a peer that is away, to whom it
would later say what was. `FairInbox` holds what peers sent and nobody has
looked at yet: peers take turns by deficit round robin (Shreedhar and Varghese 1995), each turn
worth the same work, so that a flooding peer waits in its own line and nobody else's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from node.frames import FRAME_BYTES_MAX, PREFIX_BYTES, encode_prefix

WRITE_BYTES_MAX: Final = 256 * 1024
"""One write: many small frames joined, or one slice of a large one. At 256 KiB TLS runs at full
speed (measured 1.0 GB/s against 0.75 at 64 KiB) and holds the event loop for a quarter of a ms."""

TURN_COST: Final = 128 * 1024
"""What a peer may spend in one turn, in bytes."""

FRAME_COST: Final = 4 * 1024
"""What a frame costs beside its bytes: a vote of 200 bytes takes about 100 µs to judge, as long as
some kilobytes take to decode. So a turn is about 32 votes."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of one peer's queues."""

    consensus_bytes_max: int = 2 * FRAME_BYTES_MAX
    """Two proposals of full size: the one in flight and its successor in the next view."""
    consensus_count_max: int = 4096
    """About 40 heights of three votes in a network of 33."""
    away_count_max: int = 256
    """Consensus frames kept for a peer that is away: the last few heights. Older ones are of no
    use to it; it catches up by certificates."""
    bulk_bytes_max: int = 32 * 1024 * 1024
    bulk_count_max: int = 8192
    inbox_bytes_max: int = 4 * 1024 * 1024
    """Reading from the peer stops above it. One more frame (the unfinished one) may be held."""
    inbox_count_max: int = 2048


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames that were forgotten or refused, by class."""

    consensus: int = 0
    bulk: int = 0


NOTHING_DROPPED: Final = Dropped()


class SendQueue:
    """Frames for one peer, in order within their class."""

    __slots__ = (
        "_away",
        "_bulk",
        "_bulk_bytes",
        "_bulk_owed",
        "_consensus",
        "_consensus_bytes",
        "_limits",
        "_news",
        "_rest",
    )

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._consensus: deque[bytes] = deque()
        self._consensus_bytes = 0
        self._bulk: deque[bytes] = deque()
        self._bulk_bytes = 0
        self._bulk_owed = False
        self._news = b""
        self._rest = memoryview(b"")
        """What is still to be written of a frame larger than one write."""
        self._away = True

    def __bool__(self) -> bool:
        return bool(self._rest or self._news or self._consensus or self._bulk)

    @property
    def held_bytes(self) -> int:
        """Bytes waiting, prefixes not counted."""
        return self._consensus_bytes + self._bulk_bytes + len(self._news) + len(self._rest)

    def push(self, payload: bytes, *, bulk: bool) -> Dropped:
        """Queue a payload; say what had to give way (for bulk: the payload itself)."""
        limits = self._limits
        size = len(payload)
        if bulk:
            if (
                self._away
                or len(self._bulk) >= limits.bulk_count_max
                or self._bulk_bytes + size > limits.bulk_bytes_max
            ):
                return Dropped(bulk=1)
            self._bulk.append(payload)
            self._bulk_bytes += size
            return NOTHING_DROPPED
        self._consensus.append(payload)
        self._consensus_bytes += size
        return self._trim_consensus()

    def tell(self, payload: bytes) -> bool:
        """Queue a payload that says what is true now; return False if the peer is away."""
        if not self._away:
            self._news = payload
        return not self._away

    def arrive(self) -> None:
        """The peer is here: what waits may be written."""
        self._away = False

    def leave(self) -> Dropped:
        """The peer went away: forget all but recent consensus, the half-written frame too."""
        self._away = True
        self._rest = memoryview(b"")
        self._news = b""
        bulk = len(self._bulk)
        self._bulk.clear()
        self._bulk_bytes = 0
        return Dropped(consensus=self._trim_consensus().consensus, bulk=bulk)

    def next_write(self) -> bytes | memoryview:
        """Return the next bytes for the wire, at most `WRITE_BYTES_MAX`; empty if nothing waits.

        News first, then consensus, bulk in the room these leave. Where they leave none, the next
        write opens with one bulk frame, or votes without end would keep transactions from
        spreading.
        """
        if self._rest:
            part = self._rest[:WRITE_BYTES_MAX]
            self._rest = self._rest[WRITE_BYTES_MAX:]
            return part
        parts: list[bytes] = []
        room = WRITE_BYTES_MAX
        if self._news:
            parts += [encode_prefix(len(self._news)), self._news]
            room -= len(self._news) + PREFIX_BYTES
            self._news = b""
        bulk_count = len(self._bulk)
        if self._bulk_owed:
            room = self._gather(self._bulk, parts, room, count_max=1)
        room = self._gather(self._consensus, parts, room)
        self._gather(self._bulk, parts, room)
        self._bulk_owed = 0 < bulk_count == len(self._bulk)
        return b"".join(parts)

    def _gather(
        self,
        queue: deque[bytes],
        parts: list[bytes],
        room: int,
        *,
        count_max: int = WRITE_BYTES_MAX,
    ) -> int:
        """Move frames from `queue` to `parts`; return the room left.

        A frame larger than a write opens one, and the rest of it fills the writes that follow.
        """
        taken = 0
        while queue and count_max and not self._rest:
            payload = queue[0]
            size = len(payload) + PREFIX_BYTES
            if size > room and parts:
                break
            queue.popleft()
            taken += len(payload)
            room -= size
            count_max -= 1
            parts.append(encode_prefix(len(payload)))
            if size > WRITE_BYTES_MAX:
                self._rest = memoryview(payload)
            else:
                parts.append(payload)
        if queue is self._bulk:
            self._bulk_bytes -= taken
        else:
            self._consensus_bytes -= taken
        return room

    def _trim_consensus(self) -> Dropped:
        limits = self._limits
        count_max = limits.away_count_max if self._away else limits.consensus_count_max
        dropped = 0
        while len(self._consensus) > count_max or (
            self._consensus_bytes > limits.consensus_bytes_max and len(self._consensus) > 1
        ):
            self._consensus_bytes -= len(self._consensus.popleft())
            dropped += 1
        return Dropped(consensus=dropped) if dropped else NOTHING_DROPPED


class FairInbox:
    """Frames from all peers that nobody has looked at yet."""

    __slots__ = ("_bytes", "_credit", "_frames", "_held", "_limits", "_turns")

    def __init__(self, replica_count: int, limits: QueueLimits) -> None:
        self._limits = limits
        self._frames: list[deque[bytes]] = [deque() for _ in range(replica_count)]
        self._bytes = [0] * replica_count
        self._credit = [0] * replica_count
        self._held: set[int] = set()
        self._turns: deque[int] = deque()
        """Peers with frames that are not held, each once, in the order of their turns."""

    def push(self, replica: int, payloads: list[bytes]) -> None:
        """Append what a peer sent."""
        frames = self._frames[replica]
        if not frames and replica not in self._held:
            # Credit does not outlive a turn; debt does, or one huge frame at a time would be free.
            self._credit[replica] = min(self._credit[replica], 0)
            self._turns.append(replica)
        frames.extend(payloads)
        self._bytes[replica] += sum(map(len, payloads))

    def is_full(self, replica: int) -> bool:
        """Whether reading from the peer must stop."""
        return (
            self._bytes[replica] >= self._limits.inbox_bytes_max
            or len(self._frames[replica]) >= self._limits.inbox_count_max
        )

    def is_low(self, replica: int) -> bool:
        """Whether reading may go on: half empty, so that it does not stop and go by the frame."""
        return (
            self._bytes[replica] * 2 <= self._limits.inbox_bytes_max
            and len(self._frames[replica]) * 2 <= self._limits.inbox_count_max
        )

    def held_bytes(self, replica: int) -> int:
        """Bytes of the peer's frames waiting here."""
        return self._bytes[replica]

    def hold(self, replica: int) -> None:
        """Give the peer no turns until `release`."""
        self._held.add(replica)
        if replica in self._turns:
            self._turns.remove(replica)

    def release(self, replica: int) -> None:
        """Give the peer turns again."""
        if replica in self._held:
            self._held.remove(replica)
            if self._frames[replica]:
                self._turns.append(replica)

    def begin_turn(self) -> int | None:
        """Return whose turn it is, with its credit renewed; None if nobody waits."""
        if not self._turns:
            return None
        replica = self._turns.popleft()
        self._turns.append(replica)
        alone = len(self._turns) == 1
        debt = 0 if alone else min(self._credit[replica], 0)
        self._credit[replica] = debt + TURN_COST
        return replica

    def take(self, replica: int) -> bytes | None:
        """Return the peer's next frame; None when its turn is over.

        A frame may cost more than the credit left; the debt is paid with later turns.
        """
        frames = self._frames[replica]
        if self._credit[replica] <= 0 or replica in self._held or not frames:
            return None
        payload = frames.popleft()
        self._bytes[replica] -= len(payload)
        self._credit[replica] -= len(payload) + FRAME_COST
        if not frames:
            self._turns.remove(replica)
        return payload

    @property
    def is_waiting(self) -> bool:
        """Whether some peer has a turn to come."""
        return bool(self._turns)
