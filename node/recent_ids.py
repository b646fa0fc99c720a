"""Ids of transactions committed lately: what peers still relay may be on the chain already.

A transaction often arrives from a second peer just after a block took it. This spares the pool such
repeats without asking the disk; what is older, or was decided before this process began, is looked
up. Bounded: the older half is forgotten when it is full.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

IDS_MAX: Final = 131_072
"""Some ten seconds of the fastest measured load; about 12 MB."""


class RecentIds:
    """A set of ids that forgets; see the module's text."""

    def __init__(self, ids_max: int = IDS_MAX) -> None:
        self._half = ids_max // 2
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, tx_id: bytes) -> bool:
        return tx_id in self._young or tx_id in self._old

    def isdisjoint(self, tx_ids: Collection[bytes]) -> bool:
        """Say whether none of these was committed lately."""
        return self._young.isdisjoint(tx_ids) and self._old.isdisjoint(tx_ids)

    def add(self, tx_ids: Iterable[bytes]) -> None:
        """Remember these."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.update(tx_ids)
