"""The network between processes: delay, loss, duplication, reordering, partitions, broken links.

Two manners. A *stream* network is what TLS over TCP gives: per link in order, nothing lost while
the connection stands; trouble breaks the connection, loses what is in flight and is told to both
ends. A *datagram* network loses, doubles and reorders frames and tells nobody, which is harsher
than production and must be survived too. A block is directed: a → b can be cut while b → a works.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sim.coverage import Coverage
from sim.world import MS, World

NOTICE_US: Final = 20 * MS
"""Until both ends of a broken or new connection have been told."""

Deliver = Callable[[int, int, bytes], None]
"""(from, to, payload)."""
Notify = Callable[[int, int, bool], None]
"""(process that is told, its peer, whether connected)."""


@dataclass(slots=True)
class Conditions:
    """How the network treats frames now."""

    delay_us_min: int = 500
    delay_us_max: int = 5 * MS
    loss: float = 0.0
    duplication: float = 0.0
    straggling: float = 0.0
    """Part of the frames that take up to `straggle_us_max` longer."""
    straggle_us_max: int = 2_000 * MS


class _Link:
    __slots__ = ("generation", "in_flight", "is_blocked", "is_connected", "last_us")

    def __init__(self) -> None:
        self.generation = 0
        self.in_flight = 0
        self.is_blocked = False
        self.is_connected = False
        self.last_us = 0


class Network:
    """All directed links among processes; two of one identity (twins) have none."""

    def __init__(
        self, world: World, identities: Sequence[int], is_stream: bool, deliver: Deliver,
        notify: Notify, coverage: Coverage,
    ) -> None:  # fmt: skip
        self.conditions = Conditions()
        self.is_stream: Final = is_stream
        self.most_in_flight = 0
        """Most frames that were ever on one link at once."""
        self._world = world
        self._chance: random.Random = world.chance("network")
        self._peers = [
            [peer for peer, other in enumerate(identities) if other != identity]
            for identity in identities
        ]
        self._links = {
            (process, peer): _Link() for process, peers in enumerate(self._peers) for peer in peers
        }
        self._up = [False] * len(identities)
        self._deliver = deliver
        self._notify = notify
        self._coverage = coverage

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every directed link."""
        return list(self._links)

    def send(self, sender: int, receiver: int, payload: bytes, at_us: int) -> None:
        """Put a frame on its way at a time."""
        link = self._links[sender, receiver]
        if not self._up[receiver] or (self.is_stream and not link.is_connected):
            self._coverage.count("frame dropped: not connected")
            return
        if link.is_blocked:
            self._coverage.count("frame dropped: partition")
            return
        conditions, chance = self.conditions, self._chance
        copies = 1
        if not self.is_stream:
            if chance.random() < conditions.loss:
                self._coverage.count("frame lost")
                return
            if chance.random() < conditions.duplication:
                self._coverage.count("frame doubled")
                copies = 2
        for _ in range(copies):
            span_us = conditions.delay_us_max - conditions.delay_us_min
            delay_us = conditions.delay_us_min + int(chance.random() * span_us)
            if conditions.straggling and chance.random() < conditions.straggling:
                self._coverage.count("frame late")
                delay_us += chance.randint(0, conditions.straggle_us_max)
            arrival_us = at_us + delay_us
            if arrival_us < link.last_us:
                if self.is_stream:
                    arrival_us = link.last_us
                else:
                    self._coverage.count("frame overtaken")
            link.last_us = arrival_us
            self._fly(sender, receiver, link, payload, arrival_us)

    def node_up(self, process: int) -> None:
        """A process started: connect it with everyone it can reach."""
        self._up[process] = True
        for peer in self._peers[process]:
            if self._up[peer]:
                self._connect(process, peer)

    def node_down(self, process: int) -> None:
        """A process ended: its connections break."""
        self._up[process] = False
        for peer in self._peers[process]:
            self._disconnect(process, peer)

    def block(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Cut directed links."""
        for sender, receiver in pairs:
            self._links[sender, receiver].is_blocked = True
            if self.is_stream:
                self._disconnect(sender, receiver)

    def unblock(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Mend directed links."""
        for sender, receiver in pairs:
            self._links[sender, receiver].is_blocked = False
            self._connect(sender, receiver)

    def reset(self, one: int, other: int) -> None:
        """Break one connection; it comes up again at once."""
        self._disconnect(one, other)
        self._world.after(NOTICE_US, lambda: self._connect(one, other))

    def heal(self) -> None:
        """Make everything well."""
        self.conditions = Conditions()
        self.unblock([pair for pair, link in self._links.items() if link.is_blocked])

    def _connect(self, one: int, other: int) -> None:
        there, back = self._links[one, other], self._links[other, one]
        is_cut = self.is_stream and (there.is_blocked or back.is_blocked)
        if is_cut or there.is_connected or not (self._up[one] and self._up[other]):
            return
        there.is_connected = back.is_connected = True
        self._tell(one, other, True)
        self._tell(other, one, True)

    def _disconnect(self, one: int, other: int) -> None:
        there, back = self._links[one, other], self._links[other, one]
        if not there.is_connected:
            return
        for link in (there, back):
            link.is_connected = False
            link.generation += 1
            link.in_flight = 0
        self._tell(one, other, False)
        self._tell(other, one, False)

    def _tell(self, process: int, peer: int, is_connected: bool) -> None:
        generation = self._links[process, peer].generation

        def tell() -> None:
            if self._up[process] and self._links[process, peer].generation == generation:
                self._notify(process, peer, is_connected)

        self._world.after(NOTICE_US if is_connected else 0, tell)

    def _fly(
        self, sender: int, receiver: int, link: _Link, payload: bytes, arrival_us: int
    ) -> None:
        generation = link.generation
        link.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, link.in_flight)

        def land() -> None:
            if link.generation != generation:
                return
            link.in_flight -= 1
            self._deliver(sender, receiver, payload)

        self._world.at(arrival_us, land)
