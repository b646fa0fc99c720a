"""A directory that is looked at and not touched: what would be cut off is only not seen any more.

Opening segments or a spool may cut off a torn end; an inspection must not, because what it is given
may be the only trace of what happened. So a cut is remembered here and nothing else is allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from storage.files import DiskDirectory, StorageFailure


class ReadOnlyDirectory:
    """A `storage.files.Directory` of its own, which changes nothing on disk."""

    def __init__(self, path: Path) -> None:
        self._directory = DiskDirectory(path, is_read_only=True)
        self._sizes: dict[str, int] = {}
        self._removed: set[str] = set()

    @property
    def path(self) -> str:
        """Where the directory is."""
        return self._directory.path

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return [name for name in self._directory.names() if name not in self._removed]

    def size(self, name: str) -> int:
        """Return a file's size."""
        return self._sizes.get(name, self._directory.size(name))

    def pread(self, name: str, offset: int, length: int) -> bytes:
        """Return bytes of a file."""
        end = self._sizes.get(name)
        if end is not None:
            length = max(min(length, end - offset), 0)
        return self._directory.pread(name, offset, length)

    def fsync(self, name: str) -> None:
        """Do nothing: nothing was written."""

    def fsync_directory(self) -> None:
        """Do nothing: nothing was written."""

    def truncate(self, name: str, size: int) -> None:
        """See nothing of the file beyond `size` from now on."""
        if size > self.size(name):
            self._refuse("enlarge", name)
        self._sizes[name] = size

    def remove(self, name: str) -> None:
        """See nothing of the file from now on."""
        self.size(name)
        self._removed.add(name)

    def create(self, name: str) -> None:
        """Refuse."""
        self._refuse("create", name)

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        """Refuse."""
        self._refuse("write", name)

    def append(self, name: str, data: bytes) -> None:
        """Refuse."""
        self._refuse("write", name)

    def rename(self, old: str, new: str) -> None:
        """Refuse."""
        self._refuse("rename", old)

    def lock(self, name: str) -> None:
        """Hold the directory beside others that only read it."""
        self._directory.lock(name)

    def close(self) -> None:
        """Release descriptors and the lock."""
        self._directory.close()

    def _refuse(self, verb: str, name: str) -> NoReturn:
        raise StorageFailure(
            f"{self.path}/{name}: an inspection does not {verb} files",
            f"{self.path}/{name}：检查不更改文件",
        )
