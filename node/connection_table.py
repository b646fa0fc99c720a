"""Who holds the API's connections, and who must make room when they are all taken.

A connection is idle while no request is under way on it: in its TLS handshake, before its first
request, between two. What always holds: there are never more connections than places; a newcomer
takes a free place, else the place of the connection that has been idle longest; one address has at
most a quarter of the places, so no stranger shuts out the others by what it keeps busy. This
machine itself has no such share, because a proxy in front brings everybody's requests from one
address, and its idle connections give way last. Where nothing is idle a newcomer is told so, and
only while too many are being told already is it cut off. Pure; it knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from api.client_address import LOOPBACK, group_of

SHARES: Final = 4
"""One address has at most one place in so many."""

REFUSAL_PLACES: Final = 16
"""Of all places, those in which newcomers are only told that there is none: an answer is a matter
of milliseconds."""


class ApiDrop(StrEnum):
    """Why a client's connection was dropped or refused."""

    FULL = "full"
    """All places were taken, and it had been idle longest."""
    ADDRESS_SHARE = "address_share"
    """Its address had its share, and it had been idle longest of that address's."""
    REFUSED = "refused"
    """All places, or its address's, were taken by requests under way."""
    HANDSHAKE = "handshake"
    """TLS did not come about, or not in time."""
    NO_REQUEST = "no_request"
    """No whole head of a request came in time."""
    STALLED = "stalled"
    """The client did not take its answer."""


@dataclass(slots=True, eq=False)
class Place:
    """The place of one connection."""

    group: str
    drop: Callable[[], None]
    is_refusal: bool
    """Whether whoever holds it is only told that there is no place."""
    is_held: bool = True


@dataclass(slots=True)
class _Holder:
    """The connections of one address."""

    count: int = 0
    idle: dict[Place, None] = field(default_factory=dict)
    """Longest idle first."""


class ConnectionTable:
    """The places and who holds them."""

    def __init__(self, places: Callable[[], int], tell: Callable[[ApiDrop], None]) -> None:
        """`places` says how many there are at the moment; `tell` counts the reasons."""
        self.tell: Final = tell
        self._places = places
        self._holders: dict[str, _Holder] = {}
        self._idle_strangers: dict[Place, None] = {}
        self._refusal_count = 0
        self.count = 0
        """Connections there are, those being refused among them."""

    @property
    def limit(self) -> int:
        """How many there may be."""
        return self._places()

    def admit(self, address: str, drop: Callable[[], None]) -> Place | None:
        """Return a newcomer's place, idle at first; None if it must be cut off.

        Whose place it takes is told by its own `drop`, and has left already.
        """
        group = group_of(address)
        victims = self._must_leave(group)
        is_refusal = victims is not None and not victims[0]
        if is_refusal:
            self.tell(ApiDrop.REFUSED)
            if self._refusal_count >= REFUSAL_PLACES:
                return None
        elif victims is not None:
            victim = next(iter(victims[0]))
            self.leave(victim)
            self.tell(victims[1])
            victim.drop()
        place = Place(group, drop, is_refusal)
        self.count += 1
        if is_refusal:
            self._refusal_count += 1
        else:
            self._holders.setdefault(group, _Holder()).count += 1
            self.rest(place)
        return place

    def _must_leave(self, group: str) -> tuple[dict[Place, None], ApiDrop] | None:
        """Return who may have to leave for a newcomer and why, longest idle first; None if no one.

        With nobody in it, the newcomer is refused.
        """
        places = self._places() - REFUSAL_PLACES
        holder = self._holders.get(group)
        if holder is not None and group != LOOPBACK and holder.count >= max(places // SHARES, 1):
            return holder.idle, ApiDrop.ADDRESS_SHARE
        if self.count - self._refusal_count < places:
            return None
        own = self._holders.get(LOOPBACK)
        if self._idle_strangers or own is None:
            return self._idle_strangers, ApiDrop.FULL
        return own.idle, ApiDrop.FULL

    def work(self, place: Place) -> None:
        """A request began."""
        if not place.is_refusal and place.is_held:
            self._holders[place.group].idle.pop(place, None)
            self._idle_strangers.pop(place, None)

    def rest(self, place: Place) -> None:
        """The connection is idle from now on."""
        if not place.is_refusal and place.is_held:
            self._holders[place.group].idle[place] = None
            if place.group != LOOPBACK:
                self._idle_strangers[place] = None

    def leave(self, place: Place) -> None:
        """The connection is gone; a second call does nothing."""
        if not place.is_held:
            return
        self.work(place)
        place.is_held = False
        self.count -= 1
        if place.is_refusal:
            self._refusal_count -= 1
            return
        holder = self._holders[place.group]
        holder.count -= 1
        if not holder.count:
            del self._holders[place.group]
