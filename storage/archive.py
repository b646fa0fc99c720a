"""Segments of which some were moved to an archive, and are read from there where it is mounted.

`ArchivedSegments` is a directory of segments to whoever reads it. Which files have moved stands in
a list beside the segments, with size, SHA-256 and the first bytes of each, so that a chain opens
without its archive; what only the archive holds is then refused by name (`NotMounted`), never taken
for damage. A file is moved by copying it, reading the copy back, and naming it in the list, each
durable before the next; only then is it removed, so at any moment at least one whole file is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from storage.files import Damaged, Directory, Refusal, StorageFailure
from storage.segments import segment_name

LIST_FILE: Final = "archived.json"
"""In the home, beside the folder of segments."""

MARK_FILE: Final = "ARCHIVE"
"""In the archive: which chain's it is. An empty mount point has none."""

HEAD_BYTES: Final = 24
"""First bytes of a segment kept in the list: its file header (`storage.segments`)."""

_FORMAT: Final = "evidence-ledger/archived-segments/v1"
_COPY_BYTES: Final = 4 * 1024 * 1024
_LIST_BYTES_MAX: Final = 64 * 1024 * 1024
"""200 bytes for each segment of 256 MiB: 80 PB of chain."""


class NotMounted(Refusal):
    """Only the archive holds this, and it cannot be read; says which file, and where it belongs."""

    def __init__(self, name: str, place: str, held_from: int, found: str = "") -> None:
        """`found` is the file in a mounted archive that cannot be this one."""
        if found:
            why, why_zh = (
                f"where {found} is missing, cannot be read or has another size",
                f"而其中的 {found} 缺失、无法读取或大小不符",
            )
        elif place:
            why, why_zh = (
                f"which is not mounted at {place} (no {MARK_FILE} of this chain is there)",
                f"而归档未挂载在 {place}（该处没有本链的 {MARK_FILE} 文件）",
            )
        else:
            why, why_zh = (
                "which is not mounted anywhere: storage.archive in node.toml is empty",
                "而归档未挂载（node.toml 的 storage.archive 为空）",
            )
        super().__init__(
            f"{name} was moved to the archive, {why}; blocks from {held_from} on are held here",
            f"{name} 已移至归档，{why_zh}；本节点存有高度 {held_from} 起的区块",
        )
        self.held_from = held_from
        """First block that can be read without the archive."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A segment that has moved."""

    name: str
    size_bytes: int
    sha256: str
    head: str
    """Its first bytes, in hex."""
    last_height: int


class ArchivedSegments:
    """The segments of a home as one directory; see the module's text."""

    def __init__(
        self,
        segments: Directory,
        archive: Directory | None,
        moved: Sequence[ArchivedFile],
        place: str = "",
    ) -> None:
        """`archive` is None where none is mounted; `place` says where it should be."""
        self._segments = segments
        self._archive = archive
        self._place = place
        here = set(segments.names())
        self._moved = {file.name: file for file in moved if file.name not in here}

    @property
    def path(self) -> str:
        return self._segments.path

    def names(self) -> list[str]:
        return sorted({*self._segments.names(), *self._moved})

    def size(self, name: str) -> int:
        moved = self._moved.get(name)
        return self._segments.size(name) if moved is None else moved.size_bytes

    def pread(self, name: str, offset: int, length: int) -> bytes:
        moved = self._moved.get(name)
        if moved is None:
            return self._segments.pread(name, offset, length)
        if offset + length <= HEAD_BYTES:
            return bytes.fromhex(moved.head)[offset : offset + length]
        try:
            if self._archive is None or self._archive.size(name) != moved.size_bytes:
                raise FileNotFoundError(name)
            return self._archive.pread(name, offset, length)
        except OSError:
            raise self._not_mounted(name) from None

    def create(self, name: str) -> None:
        self._segments.create(name)

    def pwrite(self, name: str, offset: int, data: bytes) -> None:
        self._check_here(name)
        self._segments.pwrite(name, offset, data)

    def append(self, name: str, data: bytes) -> None:
        self._check_here(name)
        self._segments.append(name, data)

    def truncate(self, name: str, size: int) -> None:
        self._check_here(name)
        self._segments.truncate(name, size)

    def fsync(self, name: str) -> None:
        self._check_here(name)
        self._segments.fsync(name)

    def fsync_directory(self) -> None:
        self._segments.fsync_directory()

    def rename(self, old: str, new: str) -> None:
        self._check_here(old)
        self._segments.rename(old, new)

    def remove(self, name: str) -> None:
        self._check_here(name)
        self._segments.remove(name)

    def lock(self, name: str) -> None:
        self._segments.lock(name)

    def close(self) -> None:
        self._segments.close()
        if self._archive is not None:
            self._archive.close()

    def _check_here(self, name: str) -> None:
        if name in self._moved:
            raise StorageFailure(
                f"{self.path}/{name}: is in the archive, which is never changed",
                f"{self.path}/{name}：已在归档中，归档绝不更改",
            )

    def _not_mounted(self, name: str) -> NotMounted:
        held_from = 1 + max(file.last_height for file in self._moved.values())
        found = "" if self._archive is None else f"{self._archive.path}/{name}"
        return NotMounted(name, self._place, held_from, found)


# The list


def encode_list(files: Sequence[ArchivedFile]) -> bytes:
    """Return the list's bytes."""
    value = {"format": _FORMAT, "segments": [asdict(file) for file in files]}
    return json.dumps(value, indent=1).encode() + b"\n"


def decode_list(raw: bytes, name: str = LIST_FILE) -> list[ArchivedFile]:
    """Read a list; raise `Damaged` unless it is spelled as `encode_list` spells it."""
    try:
        value = json.loads(raw[:_LIST_BYTES_MAX])
        files = [
            ArchivedFile(
                str(file["name"]),
                int(file["size_bytes"]),
                str(file["sha256"]),
                str(file["head"]),
                int(file["last_height"]),
            )
            for file in value["segments"]
        ]
        if any(len(bytes.fromhex(file.head)) != HEAD_BYTES for file in files):
            raise ValueError(f"a segment's head has {HEAD_BYTES} bytes")
        if [file.name for file in files] != [segment_name(at) for at in range(len(files))]:
            raise ValueError("it does not name the first segments in their order")
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(name, 0, f"cannot be read: {error}", f"无法解读。原文：{error}") from None
    if encode_list(files) != raw:
        raise Damaged(name, 0, f"is no list of format {_FORMAT}", f"不是 {_FORMAT} 格式的清单")
    return files


# Moving


def copy_to_archive(segments: Directory, archive: Directory, name: str) -> tuple[int, str, str]:
    """Copy a segment durably and read the copy back; return (size, SHA-256, head in hex).

    Raises `StorageFailure`, with the segment untouched, if what is read back is not what was
    copied.
    """
    size = segments.size(name)
    partial = name + ".partial"
    for left in (partial, name):
        if left in archive.names():
            archive.remove(left)  # of a move that was broken off: the list did not name it
    archive.create(partial)
    source = hashlib.sha256()
    offset = 0
    for part in _read(segments, name, size):
        source.update(part)
        archive.pwrite(partial, offset, part)
        offset += len(part)
    archive.fsync(partial)
    archive.rename(partial, name)
    archive.fsync_directory()
    copy = hashlib.sha256()
    for part in _read(archive, name, size):
        copy.update(part)
    if archive.size(name) != size or copy.digest() != source.digest():
        raise StorageFailure(
            f"{archive.path}/{name}: has SHA-256 {copy.hexdigest()} where {source.hexdigest()} was "
            "written; nothing was removed",
            f"{archive.path}/{name}：写入内容的 SHA-256 为 {source.hexdigest()}，读回的为 "
            f"{copy.hexdigest()}；未删除任何数据",
        )
    return size, source.hexdigest(), segments.pread(name, 0, HEAD_BYTES).hex()


def _read(directory: Directory, name: str, size: int) -> Iterator[bytes]:
    for offset in range(0, size, _COPY_BYTES):
        yield directory.pread(name, offset, min(_COPY_BYTES, size - offset))
