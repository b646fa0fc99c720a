"""A directory in memory that forgets what was not synced, tears, rots, fills up and fails.

It implements `storage.files.Directory`. Each change is one numbered step; `crash_at` ends the
process before that step. `power_loss` then decides what of the unsynced survives.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum, auto

from storage.files import StorageFailure

SECTOR_BYTES = 512


class Crash(BaseException):
    """The process ended here."""


class Survival(Enum):
    """What becomes of the changes that were not synced."""

    NONE = auto()
    ALL = auto()
    """The process was killed, the machine was not."""
    LAST_IS_HALF = auto()
    SCATTERED = auto()
    """Each sector on its own, in any order, as drives and file systems do."""
    ZEROS = auto()
    """Sizes survive, contents do not (delayed allocation)."""


@dataclass
class File:
    live: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)


def apply(data: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, new = change
    if new is None:
        if offset < len(data):
            del data[offset:]
        else:
            data.extend(bytes(offset - len(data)))
        return
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(new)] = new


class FakeDirectory:
    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.durable_files: dict[str, File] = {}
        self.step = 0
        self.crash_at: int | None = None
        self.capacity_bytes: int | None = None
        self.failing_fsync: int | None = None
        """Number of the fsync (counted from 0) that fails; its changes are thrown away."""
        self.fsyncs = 0
        self.is_failed = False

    @property
    def path(self) -> str:
        return "fake"

    def names(self) -> list[str]:
        return sorted(self.files)

    def size(self, name: str) -> int:
        return len(self._file(name).live)

    def create(self, name: str) -> None:
        self._step()
        if name in self.files:
            raise FileExistsError(name)
        self.files[name] = File()

    def pread(self, name: str, offset: int, length: int) -> bytes:
        return bytes(self._file(name).live[offset : offset + length])

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        self._step()
        file = self._file(name)
        if self.capacity_bytes is not None:
            others = sum(len(f.live) for f in self.files.values()) - len(file.live)
            room = self.capacity_bytes - others - offset
            if len(data) > room and offset + len(data) > len(file.live):
                data = data[: max(room, 0)]
                self.is_failed = True
        apply(file.live, (offset, data))
        file.changes.append((offset, data))
        if self.is_failed:
            raise StorageFailure(f"fake/{name}: write failed: No space left on device")

    def append(self, name: str, data: bytes) -> None:
        self.pwrite(name, self.size(name), data)

    def truncate(self, name: str, size: int) -> None:
        self._step()
        file = self._file(name)
        apply(file.live, (size, None))
        file.changes.append((size, None))

    def fsync(self, name: str) -> None:
        self._step()
        file = self._file(name)
        self._count_fsync(name)
        file.durable = bytearray(file.live)
        file.changes.clear()

    def fsync_directory(self) -> None:
        self._step()
        self._count_fsync(".")
        self.durable_files = dict(self.files)

    def rename(self, old: str, new: str) -> None:
        self._step()
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self._step()
        del self.files[name]

    def lock(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass

    def power_loss(self, survival: Survival, seed: int = 0) -> None:
        """Lose what was not synced and start again."""
        chance = random.Random(seed)
        self.crash_at = self.capacity_bytes = self.failing_fsync = None
        self.is_failed = False
        if survival is Survival.NONE or (survival is Survival.SCATTERED and chance.random() < 0.3):
            self.files = dict(self.durable_files)
        for file in self.files.values():
            if survival is not Survival.ALL:
                file.live = self._survivor(file, survival, chance)
                file.durable = bytearray(file.live)
                file.changes.clear()
        if survival is not Survival.ALL:
            self.durable_files = dict(self.files)

    def flip(self, name: str, offset: int, mask: int = 0x01) -> None:
        for data in (self.files[name].live, self.files[name].durable):
            if offset < len(data):
                data[offset] ^= mask

    def _survivor(self, file: File, survival: Survival, chance: random.Random) -> bytearray:
        data = bytearray(file.durable)
        if survival is Survival.LAST_IS_HALF:
            for change in file.changes[:-1]:
                apply(data, change)
            for offset, new in file.changes[-1:]:
                apply(data, (offset, new if new is None else new[: len(new) // 2]))
        elif survival is Survival.ZEROS:
            data.extend(bytes(max(len(file.live) - len(data), 0)))
        elif survival is Survival.SCATTERED:
            for offset, new in file.changes:
                if new is None:
                    apply(data, (offset, None))
                    continue
                at = offset
                while at < offset + len(new):
                    end = min((at // SECTOR_BYTES + 1) * SECTOR_BYTES, offset + len(new))
                    if chance.random() < 0.5:
                        apply(data, (at, new[at - offset : end - offset]))
                    at = end
        return data

    def _step(self) -> None:
        if self.is_failed:
            raise StorageFailure("fake: refused after a failure")
        if self.step == self.crash_at:
            raise Crash
        self.step += 1

    def _count_fsync(self, name: str) -> None:
        if self.fsyncs == self.failing_fsync:
            self.is_failed = True
            # The kernel marks the pages clean: what was not written never will be.
            for file in self.files.values():
                file.changes.clear()
            raise StorageFailure(f"fake/{name}: fsync failed: Input/output error")
        self.fsyncs += 1

    def _file(self, name: str) -> File:
        try:
            return self.files[name]
        except KeyError:
            raise FileNotFoundError(name) from None
