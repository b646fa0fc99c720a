"""The door to the disk: one small port that every segment and journal byte goes through.

`Directory` names what storage needs of a flat directory of files; `DiskDirectory` is the real one,
and a simulator implements the same protocol with torn writes, bit rot, full disks and lying fsync.
What always holds: nothing counts as durable before `fsync` (and `fsync_directory` for a new name)
has returned, and a write or fsync that failed is fatal. After a failed fsync the kernel may have
thrown the dirty pages away and marked them clean, so a second fsync that succeeds proves nothing
(Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). The directory
therefore refuses everything after one, and only a new process may look again.
It does not know what the bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from ledger.system_words import explain_system
from ledger.words import Words

OPEN_FILES_MAX: Final = 64
"""Descriptors kept open by one directory: far below the usual 1,024 of a process, far above the
two or three files that are hot at once."""


class Refusal(Exception):
    """What is stored, or a store, refuses something; says so in English and in Chinese."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail_zh = detail_zh


class StorageFailure(Refusal):
    """The disk refused or failed a write; the process must stop, never retry as if it were fine."""


class Damaged(Refusal):
    """Bytes at rest are not the bytes that were written; names the file, the offset and what."""

    def __init__(self, file: str, offset: int, what: str, what_zh: str) -> None:
        super().__init__(f"{file}, offset {offset}: {what}", f"{file}，偏移 {offset}：{what_zh}")
        self.file = file
        self.offset = offset
        self.what = what
        self.what_zh = what_zh


class InUse(Refusal):
    """Another process holds the directory."""


_VERBS_ZH: Final = {
    "create": "创建",
    "fsync": "同步（fsync）",
    "open": "打开",
    "remove": "删除",
    "rename": "改名",
    "truncate": "截短",
    "write": "写入",
}
"""What is done to a file, by its English name."""


class Directory(Protocol):
    """A flat directory of files. Names contain no separator; offsets and sizes are in bytes."""

    @property
    def path(self) -> str:
        """Where this is, for people: the beginning of every sentence about a file in it."""
        ...

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        ...

    def size(self, name: str) -> int:
        """Return a file's size; `FileNotFoundError` if there is none."""
        ...

    def create(self, name: str) -> None:
        """Create an empty file; `FileExistsError` if there is one. Durable after both fsyncs."""
        ...

    def pread(self, name: str, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only where the file ends."""
        ...

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset` of an existing file, or raise `StorageFailure`."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Write all of `data` at the end of an existing file, or raise `StorageFailure`."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut an existing file to `size` bytes."""
        ...

    def fsync(self, name: str) -> None:
        """Make the file's bytes and size durable, or raise `StorageFailure` for good."""
        ...

    def fsync_directory(self) -> None:
        """Make creations, renames and removals durable, or raise `StorageFailure` for good."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, atomically replacing what had it."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def lock(self, name: str) -> None:
        """Hold the directory against other processes until `close`, or raise `InUse`."""
        ...

    def close(self) -> None:
        """Release descriptors and the lock."""
        ...


class _Descriptor:
    """An open file that closes when its last user lets go, so another thread's read is safe."""

    __slots__ = ("fd", "is_dirty")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_dirty = False

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.fd)


class DiskDirectory:
    """The real directory. Reads may come from any thread; writes from one at a time."""

    def __init__(
        self, path: str | os.PathLike[str], *, create: bool = False, is_read_only: bool = False
    ) -> None:
        """Open a directory; one that is read only needs no right to write and refuses to."""
        self._path = Path(path)
        self._is_read_only = is_read_only
        if create and not self._path.is_dir():
            self._path.mkdir(parents=True)
            sync_directory(self._path.parent)
        if not self._path.is_dir():
            raise FileNotFoundError(f"{self._path} is not a directory")
        self._open: dict[str, _Descriptor] = {}
        self._guard = Lock()
        self._changes = 0
        """Names that were given to other files, or to none: what was opened before is not kept."""
        self._lock: _Descriptor | None = None
        self._failure: Words | None = (
            Words("目录仅以只读方式打开", "the directory is open for reading only")
            if is_read_only
            else None
        )

    @property
    def path(self) -> str:
        return str(self._path)

    def names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self._path) if entry.is_file())

    def size(self, name: str) -> int:
        return os.fstat(self._descriptor(name).fd).st_size

    def create(self, name: str) -> None:
        self._refuse_after_failure(name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(self._file(name), flags, 0o600)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed("create", name, error) from error
        self._keep(name, _Descriptor(fd), self._changes).is_dirty = True

    def pread(self, name: str, offset: int, length: int) -> bytes:
        descriptor = self._descriptor(name)
        data = os.pread(descriptor.fd, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        have = len(data)
        while have < length:  # one pread returns at most 2 GiB, and may return less
            data = os.pread(descriptor.fd, length - have, offset + have)
            if not data:
                break
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        descriptor = self._open_to_write(name)
        descriptor.is_dirty = True
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(descriptor.fd, view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            raise self._failed("write", name, error) from error

    def append(self, name: str, data: bytes) -> None:
        self.pwrite(name, os.fstat(self._open_to_write(name).fd).st_size, data)

    def truncate(self, name: str, size: int) -> None:
        descriptor = self._open_to_write(name)
        descriptor.is_dirty = True
        try:
            os.ftruncate(descriptor.fd, size)
        except OSError as error:
            raise self._failed("truncate", name, error) from error

    def fsync(self, name: str) -> None:
        descriptor = self._open_to_write(name)
        try:
            _fsync_data(descriptor.fd)
        except OSError as error:
            raise self._failed("fsync", name, error) from error
        descriptor.is_dirty = False

    def fsync_directory(self) -> None:
        self._refuse_after_failure(".")
        try:
            sync_directory(self._path)
        except OSError as error:
            raise self._failed("fsync", ".", error) from error

    def rename(self, old: str, new: str) -> None:
        self._refuse_after_failure(old)
        try:
            os.replace(self._file(old), self._file(new))
        except OSError as error:
            raise self._failed("rename", old, error) from error
        self._forget(old, new)

    def remove(self, name: str) -> None:
        self._refuse_after_failure(name)
        try:
            os.unlink(self._file(name))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._failed("remove", name, error) from error
        finally:
            self._forget(name)

    def lock(self, name: str) -> None:
        """Hold the directory; read only, beside others that read, and without making the file."""
        flags, kind = os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX
        if self._is_read_only:
            flags, kind = os.O_RDONLY, fcntl.LOCK_SH
        try:
            descriptor = _Descriptor(os.open(self._file(name), flags | os.O_CLOEXEC, 0o600))
        except FileNotFoundError:
            if self._is_read_only:
                return  # nobody has ever held it
            raise
        try:
            fcntl.flock(descriptor.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _describe_holder(descriptor.fd)
            raise InUse(
                f"{self._path} is in use by {holder.en}", f"{self._path} 正被{holder.zh}占用"
            ) from None
        self._lock = descriptor

    def close(self) -> None:
        with self._guard:
            self._open.clear()
        self._lock = None

    def _file(self, name: str) -> str:
        if not name or "/" in name or name in (".", ".."):
            raise ValueError(f"{name!r} is not a file name")
        return os.path.join(self._path, name)

    def _descriptor(self, name: str) -> _Descriptor:
        descriptor = self._open.get(name)
        if descriptor is not None:
            return descriptor
        changes = self._changes
        flags = os.O_RDONLY if self._is_read_only else os.O_RDWR
        opened = _Descriptor(os.open(self._file(name), flags | os.O_CLOEXEC))
        return self._keep(name, opened, changes)

    def _open_to_write(self, name: str) -> _Descriptor:
        """Return the descriptor of a file that is about to be changed; raise `StorageFailure`."""
        self._refuse_after_failure(name)
        try:
            return self._descriptor(name)
        except OSError as error:
            raise self._failed("open", name, error) from error

    def _keep(self, name: str, descriptor: _Descriptor, changes: int) -> _Descriptor:
        with self._guard:
            if changes != self._changes:
                return descriptor  # perhaps of the file that had the name before
            if len(self._open) >= OPEN_FILES_MAX:
                # A dirty file stays open: a new descriptor could miss its pending write error.
                idle = next((key for key, value in self._open.items() if not value.is_dirty), None)
                if idle is not None:
                    del self._open[idle]
            return self._open.setdefault(name, descriptor)

    def _forget(self, *names: str) -> None:
        with self._guard:
            self._changes += 1
            for name in names:
                self._open.pop(name, None)

    def _refuse_after_failure(self, name: str) -> None:
        if self._failure is not None:
            raise StorageFailure(
                f"{self._path}/{name}: refused, because {self._failure.en}",
                f"{self._path}/{name}：不再执行，因为{self._failure.zh}",
            )

    def _failed(self, verb: str, name: str, error: OSError) -> StorageFailure:
        why, why_zh = error.strerror or error, explain_system(error)
        self._failure = Words(
            f"{name} 的{_VERBS_ZH[verb]}失败：{why_zh}", f"{verb} of {name} failed: {why}"
        )
        return StorageFailure(
            f"{self._path}/{name}: {verb} failed: {why}",
            f"{self._path}/{name}：{_VERBS_ZH[verb]}失败：{why_zh}",
        )


def write_whole(directory: Directory, partial: str, name: str, data: bytes) -> None:
    """Write a file that is under its name only when all of it is durable, replacing what had it.

    Until then it is under `partial`, as a write that was broken off may have left one.
    """
    if partial in directory.names():
        directory.remove(partial)
    directory.create(partial)
    directory.pwrite(partial, 0, data)
    directory.fsync(partial)
    directory.rename(partial, name)
    directory.fsync_directory()


_REFUSALS: Final = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE,
    errno.ENFILE, errno.EIO,
)  # fmt: skip
"""No room, no right, no descriptor, no disk: what tells nothing of the bytes that lie there."""


def is_refusal(sentence: str) -> bool:
    """Say whether a store's sentence tells of the disk's or the system's refusal, not of damage."""
    return any(os.strerror(number) in sentence for number in _REFUSALS)


def _describe_holder(fd: int) -> Words:
    """Return who holds a lock on this file, as far as the system says (Linux does)."""
    status = os.fstat(fd)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == device and int(words[4]) > 0:
                command = Path(f"/proc/{words[4]}/cmdline").read_bytes().replace(b"\0", b" ")
                shown = command.decode("utf-8", "replace").strip()
                return Words(f"进程 {words[4]}（{shown}）", f"process {words[4]} ({shown})")
    return Words("另一进程", "another process")


def _fsync_data(fd: int) -> None:
    """Flush bytes and size; `fdatasync` leaves out the times of change, which nothing reads."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_directory(path: Path) -> None:
    """Make creations, renames and removals in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
