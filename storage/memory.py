"""The in-memory twin of the key-value store, for tests and the simulator.

It keeps the contract of `storage.keyvalue` and can be told to break it the way disks do: the next
batch can fail before or after it is kept (the process must stop), or be lost in silence (a lying
disk). Batches are never torn: no store that is atomic tears them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator
from enum import Enum, auto

from ledger.words import Words
from storage.files import StorageFailure


class Fault(Enum):
    """What happens to one batch."""

    FAILS = auto()
    """`StorageFailure`; nothing of it is kept, and every later write is refused."""
    FAILS_AFTERWARDS = auto()
    """`StorageFailure`, yet the whole batch is kept: the answer was lost, not the write."""
    IS_LOST = auto()
    """`write` returns as if all were well; nothing is kept."""


class MemoryStore:
    """A dictionary and its sorted keys, sorted when a scan asks."""

    def __init__(self) -> None:
        self.notices: list[Words] = []
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._new_keys: list[bytes] = []
        self._has_deleted = False
        self._faults: list[Fault | None] = []
        self._is_broken = False
        self._is_closed = False

    def plan_faults(self, *faults: Fault | None) -> None:
        """Set what happens to the next batches, one after another; None means it goes well."""
        self._faults = list(faults)

    def reopen(self) -> None:
        """Open again with what was kept, as a restarted process would find it."""
        self._faults.clear()
        self._is_broken = self._is_closed = False

    def get(self, key: bytes) -> bytes | None:
        self._refuse_closed()
        return self._values.get(key)

    def write(self, puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes] = ()) -> None:
        self._refuse_closed()
        if self._is_broken:
            raise StorageFailure(
                "memory store: refused after a failed write", "内存存储：此前写入失败，不再写入"
            )
        fault = self._faults.pop(0) if self._faults else None
        if fault is Fault.IS_LOST:
            return
        if fault is Fault.FAILS:
            self._is_broken = True
            raise StorageFailure(
                "memory store: write failed as planned", "内存存储：按计划写入失败"
            )
        for key, value in puts:
            self._set(key, value)
        for key in deletes:
            self._set(key, None)
        if fault is Fault.FAILS_AFTERWARDS:
            self._is_broken = True
            raise StorageFailure(
                "memory store: write failed as planned, after it was kept",
                "内存存储：按计划写入失败，而内容已留存",
            )

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._refuse_closed()
        # Always a new list, so that a scan under way keeps the one it walks.
        if self._has_deleted:
            self._keys = sorted(self._values)
        elif self._new_keys:
            self._keys = sorted(self._keys + self._new_keys)
        self._new_keys = []
        self._has_deleted = False
        begin, end = bisect_left(self._keys, start), bisect_left(self._keys, stop)
        order = range(end - 1, begin - 1, -1) if reverse else range(begin, end)
        return self._pairs(self._keys, order)

    def freeze(self, start: bytes, stop: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        copy = list(self.scan(start, stop))
        return (pair for pair in copy)

    def verify(self) -> None:
        self._refuse_closed()

    def close(self) -> None:
        self._is_closed = True

    def _pairs(self, keys: list[bytes], order: range) -> Iterator[tuple[bytes, bytes]]:
        for at in order:
            value = self._values.get(keys[at])
            if value is not None:
                yield keys[at], value

    def _set(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            if key not in self._values:
                self._new_keys.append(key)
            self._values[key] = value
        elif key in self._values:
            del self._values[key]
            self._has_deleted = True

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the store is closed")
