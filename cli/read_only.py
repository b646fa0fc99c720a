"""A directory that is looked at and not touched: every write is refused.

Opening segments may cut off a torn end; an inspection must not, because what it is given may be the
only trace of what happened. `fsync` changes nothing and is allowed.
"""

from __future__ import annotations

from typing import NoReturn

from storage.files import Directory, StorageFailure


class ReadOnlyDirectory:
    """A `storage.files.Directory` over another one, without its writes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @property
    def path(self) -> str:
        """Where the directory is."""
        return self._directory.path

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return self._directory.names()

    def size(self, name: str) -> int:
        """Return a file's size."""
        return self._directory.size(name)

    def pread(self, name: str, offset: int, length: int) -> bytes:
        """Return bytes of a file."""
        return self._directory.pread(name, offset, length)

    def fsync(self, name: str) -> None:
        """Do nothing: nothing was written."""

    def fsync_directory(self) -> None:
        """Do nothing: nothing was written."""

    def create(self, name: str) -> None:
        """Refuse."""
        self._refuse("create", name)

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        """Refuse."""
        self._refuse("write", name)

    def append(self, name: str, data: bytes) -> None:
        """Refuse."""
        self._refuse("write", name)

    def truncate(self, name: str, size: int) -> None:
        """Refuse."""
        self._refuse("cut", name)

    def rename(self, old: str, new: str) -> None:
        """Refuse."""
        self._refuse("rename", old)

    def remove(self, name: str) -> None:
        """Refuse."""
        self._refuse("remove", name)

    def lock(self, name: str) -> None:
        """Refuse."""
        self._refuse("lock", name)

    def close(self) -> None:
        """Do nothing: the directory below is its owner's."""

    def _refuse(self, verb: str, name: str) -> NoReturn:
        raise StorageFailure(f"{self.path}/{name}: an inspection does not {verb} files")
