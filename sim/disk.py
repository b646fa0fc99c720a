"""A machine's disk in memory: it forgets what was not synced, tears, rots, fills up and fails.

`VirtualDirectory` implements `storage.files.Directory`. Writes land in the page cache (`live`) and
become `durable` with `fsync`; names become durable with `fsync_directory`. Every change is one
step, and a process can be ended before any of them. `power_loss` decides what of the unsynced
survives, as file systems and drives do: nothing, everything, sectors in any order, a torn last
write, or sizes without contents (Pillai et al., OSDI '14; Rebello et al., USENIX ATC 2020).
`VirtualStore` is the in-memory key-value store, able to fail or lose a batch, or lose everything.
Both can be copied and put back: an old backup is what a disk once held.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from storage.files import StorageFailure
from storage.memory import MemoryStore

SECTOR_BYTES: Final = 512
"""Smallest unit a drive writes whole."""

SCATTERED_SECTORS_MAX: Final = 4096
"""Sectors of one write that are decided one by one; of a longer one, runs of sectors."""

Change = tuple[int, bytes | None]
"""(offset, bytes written there) or (new size, None)."""

StepHook = Callable[[str], None]
"""Called before each change with its name: `journal fsync`, `index write`."""


class ProcessEnded(BaseException):
    """The process ended here: a kill, a power cut. No code of the node may catch it."""


class Survival(Enum):
    """What becomes of the changes that were not synced."""

    ALL = "all"
    """The process was killed, the machine was not."""
    NONE = "none"
    TORN = "torn"
    """All but the last change of each file, and half of that."""
    SCATTERED = "scattered"
    """Each sector on its own, in any order."""
    ZEROS = "zeros"
    """Sizes survive, contents do not (delayed allocation)."""


@dataclass(slots=True)
class _File:
    live: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    changes: list[Change] = field(default_factory=list)


class VirtualDirectory:
    """One flat directory; see the module's text."""

    def __init__(self, path: str, hook: StepHook | None = None) -> None:
        self._path = path
        self._name = path.rpartition("/")[2]
        self._hook = hook
        self._files: dict[str, _File] = {}
        self._durable_files: dict[str, _File] = {}
        self._failure: str | None = None
        self.fsync_count = 0
        """Fsyncs that went well so far."""
        self.room_bytes: int | None = None
        """Bytes that may still be written beyond the present sizes; None while there is plenty."""
        self.fsyncs_until_failure: int | None = None
        """How many more fsyncs go well before one fails."""

    # storage.files.Directory

    @property
    def path(self) -> str:
        return self._path

    def names(self) -> list[str]:
        return sorted(self._files)

    def size(self, name: str) -> int:
        return len(self._file(name).live)

    def create(self, name: str) -> None:
        self._step("create")
        if name in self._files:
            raise FileExistsError(name)
        self._files[name] = _File()

    def pread(self, name: str, offset: int, length: int) -> bytes:
        return bytes(memoryview(self._file(name).live)[offset : offset + length])

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        self._step("pwrite")
        file = self._file(name)
        growth = max(offset + len(data) - len(file.live), 0)
        is_full = self.room_bytes is not None and growth > self.room_bytes
        if self.room_bytes is not None:
            missing = max(growth - self.room_bytes, 0)
            data = data[: max(len(data) - missing, 0)]
            self.room_bytes -= growth - missing
        _apply(file.live, (offset, data))
        file.changes.append((offset, data))
        if is_full:
            raise self._failed("write", name, "No space left on device")

    def append(self, name: str, data: bytes) -> None:
        self.pwrite(name, self.size(name), data)

    def truncate(self, name: str, size: int) -> None:
        self._step("truncate")
        file = self._file(name)
        _apply(file.live, (size, None))
        file.changes.append((size, None))

    def fsync(self, name: str) -> None:
        self._step("fsync")
        file = self._file(name)
        self._count_fsync(name)
        for change in file.changes:
            _apply(file.durable, change)
        file.changes.clear()

    def fsync_directory(self) -> None:
        self._step("fsync_directory")
        self._count_fsync(".")
        self._durable_files = dict(self._files)

    def rename(self, old: str, new: str) -> None:
        self._step("rename")
        self._files[new] = self._files.pop(old)

    def remove(self, name: str) -> None:
        self._step("remove")
        if name not in self._files:
            raise FileNotFoundError(name)
        del self._files[name]

    def lock(self, name: str) -> None:
        """Nobody else is in this world's directory."""

    def close(self) -> None:
        """Nothing to release."""

    # What happens to it

    def power_loss(self, survival: Survival, chance: random.Random) -> None:
        """End the process that used it; lose what the survival says. Space and fsync are well."""
        self.mend()
        if survival is Survival.ALL:
            return
        if survival is Survival.NONE or (survival is not Survival.ZEROS and chance.random() < 0.3):
            self._files = dict(self._durable_files)
        for name in sorted(self._files):
            file = self._files[name]
            if file.changes:  # otherwise all of it is durable
                file.live = _survivor(file, survival, chance)
                file.durable = bytearray(file.live)
                file.changes.clear()
        self._durable_files = dict(self._files)

    def durable_copy(self) -> VirtualDirectory:
        """Return the directory as it would be found after the worst power loss now."""
        copy = VirtualDirectory(self._path)
        copy.restore(self.backup())
        return copy

    def durable_view(self) -> DurableView:
        """Return the same to be read only: it shares the bytes, and what is written to it is lost.

        Good until the next change of this directory.
        """
        view = DurableView(self._path)
        view._files = {
            name: _File(file.durable, file.durable) for name, file in self._durable_files.items()
        }
        return view

    def has_unsynced(self, matters: Callable[[str, int], bool]) -> bool:
        """Say whether a write is unsynced that matters, by file name and offset."""
        return any(
            matters(name, offset)
            for name, file in self._files.items()
            for offset, _ in file.changes
        )

    def backup(self) -> dict[str, bytes]:
        """Return what is durable now, by name."""
        return {name: bytes(file.durable) for name, file in self._durable_files.items()}

    def restore(self, backup: Mapping[str, bytes]) -> None:
        """Put an old backup in place of everything."""
        self._files = {
            name: _File(bytearray(data), bytearray(data)) for name, data in backup.items()
        }
        self._durable_files = dict(self._files)
        self._failure = None

    def draw_bit(self, chance: random.Random) -> tuple[str, int, int] | None:
        """Return (file, offset, mask) of one bit at rest, or None if there is nothing."""
        names = [name for name in self.names() if self._files[name].durable]
        if not names:
            return None
        name = chance.choice(names)
        file = self._files[name]
        used = len(file.durable.rstrip(b"\0")) or len(file.durable)
        return name, chance.randrange(used), 1 << chance.randrange(8)

    def flip(self, name: str, offset: int, mask: int = 0x01) -> None:
        """Change the bits of `mask` of one byte at rest."""
        file = self._file(name)
        for data in (file.live, file.durable):
            if offset < len(data):
                data[offset] ^= mask

    def mend(self) -> None:
        """There is room again, fsync goes well, and what failed may be tried again."""
        self._failure = None
        self.room_bytes = self.fsyncs_until_failure = None

    def wipe(self) -> None:
        """The disk was replaced by an empty one."""
        self.restore({})

    def _failed(self, verb: str, name: str, why: str) -> StorageFailure:
        """Refuse everything from now on, with the sentences of `storage.files.DiskDirectory`."""
        self._failure = f"{verb} of {name} failed: {why}"
        said = f"{self._path}/{name}: {verb} failed: {why}"
        return StorageFailure(said, f"模拟磁盘出错。原文：{said}")

    def _step(self, what: str) -> None:
        if self._failure is not None:
            said = f"{self._path}: refused, because {self._failure}"
            raise StorageFailure(said, f"模拟磁盘出错。原文：{said}")
        if self._hook is not None:
            self._hook(f"{self._name} {what}")

    def _count_fsync(self, name: str) -> None:
        if self.fsyncs_until_failure != 0:
            self.fsync_count += 1
            if self.fsyncs_until_failure is not None:
                self.fsyncs_until_failure -= 1
            return
        for file in self._files.values():
            # What could not be written is dropped from the cache, as the drive has the old bytes.
            file.live = bytearray(file.durable)
            file.changes.clear()
        raise self._failed("fsync", name, "Input/output error")

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is None:
            raise FileNotFoundError(name)
        return file


class DurableView(VirtualDirectory):
    """What a directory would be after the worst power loss now, to be read; it never changes."""

    def _step(self, what: str) -> None:
        pass

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        pass

    def truncate(self, name: str, size: int) -> None:
        pass


class VirtualStore(MemoryStore):
    """The index: batches are atomic and durable, unless the world takes them away."""

    def __init__(self, hook: StepHook | None = None) -> None:
        super().__init__()
        self._hook = hook
        self._undo: list[tuple[bytes, bytes | None]] = []

    def write(self, puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes] = ()) -> None:
        if self._hook is not None:
            self._hook("index write")
        puts, deletes = list(puts), list(deletes)
        undo = [(key, self.get(key)) for key in [*(key for key, _ in puts), *deletes]]
        try:
            super().write(puts, deletes)
        except StorageFailure:
            if any(self._values.get(key) != value for key, value in puts):
                raise  # nothing of it was kept
            self._undo = undo
            raise
        self._undo = undo

    def lose_newest_batch(self) -> None:
        """A drive that lied: the newest batch is not there after all."""
        for key, value in reversed(self._undo):
            self._set(key, value)
        self._undo = []

    def wipe(self) -> None:
        """The index was removed."""
        self.restore([])

    def backup(self) -> list[tuple[bytes, bytes]]:
        """Return every row."""
        return [*self.scan(b"", b"\xff" * 8)]

    def restore(self, backup: Sequence[tuple[bytes, bytes]]) -> None:
        """Put an old backup in place of everything."""
        self.reopen()
        super().write(backup, {key for key, _ in self.backup()} - {key for key, _ in backup})
        self._undo = []


def _apply(data: bytearray, change: Change) -> None:
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


def _survivor(file: _File, survival: Survival, chance: random.Random) -> bytearray:
    data = bytearray(file.durable)
    match survival:
        case Survival.ALL:
            return bytearray(file.live)
        case Survival.NONE:
            pass
        case Survival.TORN:
            for change in file.changes[:-1]:
                _apply(data, change)
            for offset, new in file.changes[-1:]:
                _apply(data, (offset, None if new is None else new[: len(new) // 2]))
        case Survival.ZEROS:
            data.extend(bytes(max(len(file.live) - len(data), 0)))
        case Survival.SCATTERED:
            for offset, new in file.changes:
                if new is None:
                    _apply(data, (offset, None))
                else:
                    _scatter(data, offset, new, chance)
    return data


def _scatter(data: bytearray, offset: int, new: bytes, chance: random.Random) -> None:
    run_bytes = SECTOR_BYTES * max(1, len(new) // (SECTOR_BYTES * SCATTERED_SECTORS_MAX))
    at = offset
    while at < offset + len(new):
        end = min((at // run_bytes + 1) * run_bytes, offset + len(new))
        if chance.random() < 0.5:
            _apply(data, (at, new[at - offset : end - offset]))
        at = end
