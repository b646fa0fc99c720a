"""Which business references may have been used before: a filter in front of the index.

Nearly every transaction comes under a new reference, and to find that out the index is searched
through all its levels (2 to 3 µs). The filter holds every reference that was ever used, and what it
does not hold is new; what it may hold is looked up. It grows by filters of twice the size, so that
a hundred million references need eight and 400 MB. After a start it is filled from the index bit by
bit while the node works; until then everything is looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from ledger.kernel import KeyFilter

FIRST_COUNT: Final = 1 << 20
"""Keys of the first filter: 2 MB."""

SLICE_COUNT: Final = 2_000
"""Rows read from the index between two looks at the event loop (about 3 ms)."""


class KnownReferences:
    """See the module's text."""

    def __init__(self, first_count: int = FIRST_COUNT) -> None:
        self._count_max = first_count
        self._filters = [KeyFilter(first_count)]
        self.is_complete = False
        """Whether what is not in the filter was never used."""

    def select(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of the references that may have been used; the others never were."""
        if not self.is_complete:
            return set(keys)
        found: set[bytes] = set()
        for each in self._filters:
            found.update(each.select(keys))
        return found

    def add(self, keys: Sequence[bytes]) -> None:
        """Add references that a block used."""
        if self._filters[-1].count + len(keys) > self._count_max:
            self._count_max = 2 * max(self._count_max, len(keys))
            self._filters.append(KeyFilter(self._count_max))
        self._filters[-1].add_all(keys)

    async def fill(self, stored: Iterable[bytes]) -> None:
        """Add every reference of the index, in turns with everything else."""
        rows = iter(stored)
        while keys := list(islice(rows, SLICE_COUNT)):
            self.add(keys)
            await asyncio.sleep(0)
        self.is_complete = True
