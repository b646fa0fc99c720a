"""What simulations went through, counted by name and by the number of nodes.

A seed that found nothing proves little unless one can see what it tried. Counters of many seeds add
up into one table, a column per network size; a cell that should have a number and stays at zero is
a fault that was never tried there, and is named. `EXPECTED` says from which size on each can happen
at all: a liar needs n ≥ 4 to have somebody to be outvoted by, a partition two sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

SIZES: Final = tuple(range(1, 14))
"""Numbers of nodes that are simulated."""

_ANY, _PEERS, _LIARS = 1, 2, 4
"""Sizes from which on something can happen: with one node, with a peer, with f ≥ 1."""

EXPECTED: Final[Mapping[str, int]] = {
    # the network
    "partition": _PEERS,
    "partition one way": _PEERS,
    "node cut off": _PEERS,
    "flapping link": _PEERS,
    "connection reset": _PEERS,
    "frame lost": _PEERS,
    "frame doubled": _PEERS,
    "frame late": _PEERS,
    "frame overtaken": _PEERS,
    # processes
    "crash at once": _ANY,
    "crash of several at once": _PEERS,
    "all nodes cut": _ANY,
    "crash before a save": _ANY,
    "crash after a save": _ANY,
    "crash before a commit": _ANY,
    "crash after a commit": _ANY,
    "crash before a send": _PEERS,
    "crash after a send": _PEERS,
    "crash before a checkpoint": _ANY,
    "crash after a checkpoint": _ANY,
    "crash at a disk step: journal pwrite": _ANY,
    "crash at a disk step: journal fsync": _ANY,
    "crash at a disk step: segments pwrite": _ANY,
    "crash at a disk step: segments fsync": _ANY,
    "crash at a disk step: index write": _ANY,
    "crash at a disk step: spool pwrite": _ANY,
    "crash at a disk step: spool fsync": _ANY,
    "crash while starting": _ANY,
    "restart": _ANY,
    "process killed": _ANY,
    "power loss: none": _ANY,
    "power loss: torn": _ANY,
    "power loss: scattered": _ANY,
    "power loss: zeros": _ANY,
    # disks
    "disk full": _ANY,
    "disk full met": _ANY,
    "fsync failed": _ANY,
    "fsync failure met": _ANY,
    "index batch failed": _ANY,
    "index batch failed afterwards": _ANY,
    "index lost a batch": _ANY,
    "index removed": _ANY,
    "bit rot": _LIARS,
    "damage found": _LIARS,
    "ledger removed": _LIARS,
    "journal lost": _LIARS,
    "disk lost": _LIARS,
    "backup restored": _LIARS,
    "backup restored in silence": _LIARS,
    "journal put back": _LIARS,
    "old journal refused": _LIARS,
    "recovery begun": _LIARS,
    "recovery ended": _LIARS,
    # time
    "clock jump": _ANY,
    "clock drift": _ANY,
    "clock far off": _LIARS,
    "slow node": _ANY,
    "slow disk": _ANY,
    "slow signatures": _ANY,
    "paused node": _ANY,
    "long outage": _LIARS,
    "long cut": _LIARS,
    "long pause": _LIARS,
    "dead node": _LIARS,
    # the protocol
    "view change": _PEERS,
    "new view": _PEERS,
    "re-proposal": _PEERS,
    "skipped turn": _PEERS,
    "catch-up": _PEERS,
    "evidence held": _LIARS,
    "evidence on chain": _LIARS,
    "header-only block": _PEERS,  # alone a node is asked for something again within 4 s, not 10
    # what peers relay
    "named envelopes hastened": _PEERS,
    "urgent turn first": _PEERS,
    "only the rest asked for": _PEERS,
    "peer held": _PEERS,
    "relayer passed over": _LIARS,
    # clients
    "transaction refused outcome": _ANY,
    "submission repeated": _ANY,
    "submission refused": _ANY,
    "reference reused": _ANY,
    "promise": _ANY,
    "promise of a batch": _ANY,
    "promise from below the tip": _PEERS,
    "promise kept through a crash": _ANY,
    "nothing promised: the tip is not known or not reached": _PEERS,
}
"""What a campaign over all families must have met, and from which number of nodes on. Families and
liars are added by their own names."""


class Coverage:
    """Counters of one simulation."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, by: int = 1) -> None:
        """Count something that happened."""
        self.counts[name] += by


class CoverageTable:
    """Counters of many simulations, by name and number of nodes."""

    def __init__(self) -> None:
        self._cells: dict[str, Counter[int]] = {}

    def add(self, size: int, counts: Mapping[str, int]) -> None:
        """Add the counters of one simulation of so many nodes."""
        for name, count in counts.items():
            self._cells.setdefault(name, Counter())[size] += count

    def names(self) -> list[str]:
        """Return every name that was counted or is expected, sorted."""
        return sorted({*self._cells, *EXPECTED})

    def count(self, name: str, size: int | None = None) -> int:
        """Return how often something happened, with so many nodes or in all."""
        cells = self._cells.get(name, Counter())
        return sum(cells.values()) if size is None else cells[size]

    def empty_cells(self, expected: Mapping[str, int], sizes: tuple[int, ...]) -> list[str]:
        """Return a sentence part for every expected name with the sizes it never happened at."""
        found = []
        for name, smallest in expected.items():
            sizes_missed = [
                str(size) for size in sizes if size >= smallest and not self.count(name, size)
            ]
            if sizes_missed:
                found.append(f"{name} (n = {', '.join(sizes_missed)})")
        return found

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the cells for a file: name → size → count."""
        return {
            name: {str(size): cells[size] for size in sorted(cells)}
            for name, cells in sorted(self._cells.items())
        }
