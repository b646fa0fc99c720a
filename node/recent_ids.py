"""What was met lately: transactions committed, signatures found good.

A transaction often arrives from a second peer just after a block took it, and an envelope from a
second one just after its signatures were checked. This spares the pool such repeats without asking
the disk, and the processor the check; what is older, or was before this process began, is looked
up, or checked again. Bounded: the older half is forgotten when it is full.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

Id = TypeVar("Id", bound=Hashable)

IDS_MAX: Final = 131_072
"""Some ten seconds of the fastest measured load; about 12 MB."""


class RecentIds(Generic[Id]):
    """A set of ids that forgets; see the module's text."""

    def __init__(self, ids_max: int = IDS_MAX) -> None:
        self._half = ids_max // 2
        self._young: set[Id] = set()
        self._old: set[Id] = set()

    def __contains__(self, one: Id) -> bool:
        return one in self._young or one in self._old

    def add(self, ids: Iterable[Id]) -> None:
        """Remember these."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.update(ids)
