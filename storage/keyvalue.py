"""The six methods that the chain needs of a sorted key-value store.

LevelDB is behind it today, RocksDB can take over (plyvel is dormant), and an in-memory twin serves
the simulator; all three pass the same contract tests. What always holds: a batch is written whole
or not at all, and it is durable when `write` returns; no write is unsynced, so a power loss can
tear only the one that nobody was told about. Everything kept here can be built again from the
segments, except checkpoints, which any peer can serve; so a store that is `Damaged` is removed and
replayed, never patched.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Protocol

from ledger.words import Words


class KeyValue(Protocol):
    """A sorted map of byte strings. Reads may come from any thread, writes from one."""

    notices: list[Words]
    """Sentences for the operator about what opening had to repair."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        ...

    def write(self, puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes] = ()) -> None:
        """Apply one batch, deletes after puts: whole or not at all, durable on return.

        `StorageFailure` is final: the batch may have been kept or not, and all later ones are
        refused.
        """
        ...

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs with start ≤ key < stop in key order, or backwards.

        Whether a scan sees writes made after it began is not promised.
        """
        ...

    def freeze(self, start: bytes, stop: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        """Return the pairs with start ≤ key < stop as they are at this call, in key order.

        They may be read slowly, from any thread, whatever is written meanwhile. What is not read to
        its end is closed, and before the store itself is.
        """
        ...

    def verify(self) -> None:
        """Read everything and raise `Damaged` where the bytes at rest are not those written.

        No other call may run at the same time.
        """
        ...

    def close(self) -> None:
        """Release the store; a second call does nothing."""
        ...
