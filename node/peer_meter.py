"""What the transport counts, as a port: the metrics stand behind it, tests put a list there.

Replica numbers and reasons are the only labels; both come from closed lists.
"""

from __future__ import annotations

from typing import Final, Protocol


class PeerMeter(Protocol):
    """What the transport counts."""

    def peer_sent(self, replica: int, count_bytes: int) -> None:
        """Bytes of frames were written."""

    def peer_received(self, replica: int, count_bytes: int) -> None:
        """Bytes of frames were read."""

    def peer_dropped(self, replica: int, traffic: str, count: int) -> None:
        """Frames of a class ("consensus" or "bulk") were forgotten or refused."""

    def peer_connected(self, replica: int, is_connected: bool) -> None:
        """The sending connection was made or lost."""

    def peer_refused(self, refusal: str) -> None:
        """A connection was refused or dropped, for a named reason."""


class _NoMeter:
    def peer_sent(self, replica: int, count_bytes: int) -> None:
        pass

    def peer_received(self, replica: int, count_bytes: int) -> None:
        pass

    def peer_dropped(self, replica: int, traffic: str, count: int) -> None:
        pass

    def peer_connected(self, replica: int, is_connected: bool) -> None:
        pass

    def peer_refused(self, refusal: str) -> None:
        pass


NO_METER: Final[PeerMeter] = _NoMeter()
