"""The snapshots that this node has made and serves: a few, each in two files.

`<height>.rows` holds the chunks one after another and is written first; `<height>.manifest` makes
the snapshot one, and comes under its name only once all is durable. So what a crash leaves behind
has no manifest and is removed at the next start. Disk space is bounded: `KEPT` snapshots and the
one being written. A chunk is compared with its manifest before it is given away.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from api.problems import explain_rejected
from ledger.refusal import Rejected
from ledger.snapshot import ChunkId, Manifest, compute_digest, decode_manifest, name_chunk
from ledger.system_words import explain_system
from ledger.words import Words
from storage.files import Damaged, Directory, write_whole

KEPT: Final = 2
"""Snapshots served: whoever is fetching one may go on while the next is made."""

_NAME: Final = re.compile(r"([0-9]{16})\.(rows|manifest|partial)")


log = logging.getLogger("evidence_ledger.snapshots")


@dataclass(frozen=True, slots=True)
class _Held:
    raw: bytes
    digest: bytes
    manifest: Manifest
    offsets: list[int]


class SnapshotShelf:
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory) -> None:
        """Open, and remove what no manifest makes whole."""
        self.notices: list[Words] = []
        """What was found when it was opened."""
        self.unfinished: list[str] = []
        """Rows without a manifest, removed when it was opened: a crash leaves them."""
        self._directory = directory
        self._held: dict[int, _Held] = {}
        """Replaced as a whole, never changed: others read while one writes."""
        names = set(directory.names())
        for name in sorted(names):
            match = _NAME.fullmatch(name)
            if match is not None and match[2] == "manifest":
                self._load(int(match[1]), names)
        for name in sorted(names):
            match = _NAME.fullmatch(name)
            if match is None:
                self.notices.append(
                    Words(
                        f"{directory.path}/{name} 不是快照的文件；不予理会。",
                        f"{directory.path}/{name} is no file of a snapshot; ignored.",
                    )
                )
            elif match[2] == "partial" or int(match[1]) not in self._held:
                directory.remove(name)
                if match[2] == "rows" and match[1] + ".manifest" not in names:
                    self.unfinished.append(name)

    @property
    def heights(self) -> list[int]:
        """Heights of the snapshots held, ascending."""
        return sorted(self._held)

    @property
    def base_heights(self) -> list[int]:
        """First block that belongs to each."""
        return [held.manifest.base_height for held in self._held.values()]

    def offers(self) -> list[tuple[int, bytes]]:
        """Return (height, digest) of each, ascending."""
        return [(height, held.digest) for height, held in sorted(self._held.items())]

    def manifest(self, height: int) -> tuple[bytes, bytes] | None:
        """Return (manifest, header) of a snapshot, or None."""
        held = self._held.get(height)
        return None if held is None else (held.raw, held.manifest.header)

    def chunk(self, height: int, index: int) -> bytes | None:
        """Return a chunk; None where there is none, or where the disk has changed it."""
        held = self._held.get(height)
        if held is None or not 0 <= index < len(held.manifest.chunks):
            return None
        try:
            return self._read(held, height, index)
        except FileNotFoundError:
            return None  # a newer snapshot has just taken its place
        except Damaged as damaged:
            self._forget(height)
            log.error(
                "%s; this snapshot is no longer served %s；不再提供此快照",
                damaged,
                damaged.detail_zh,
            )
        return None

    def verify(self, height: int) -> Manifest:
        """Read every chunk of a snapshot held here; return its manifest, or raise `Damaged`."""
        held = self._held[height]
        for index in range(len(held.manifest.chunks)):
            self._read(held, height, index)
        return held.manifest

    def _read(self, held: _Held, height: int, index: int) -> bytes:
        """Return a chunk; raise `Damaged`, or `FileNotFoundError`."""
        offset, wanted = held.offsets[index], held.manifest.chunks[index]
        place = f"{self._directory.path}/{_rows(height)}"
        try:
            data = self._directory.pread(_rows(height), offset, wanted.size)
        except FileNotFoundError:
            raise
        except OSError as error:
            what = f"chunk {index} cannot be read ({error.strerror})"
            what_zh = f"第 {index} 块无法读取（{explain_system(error)}）"
            raise Damaged(place, offset, what, what_zh) from None
        if name_chunk(data) != wanted:
            raise Damaged(
                place, offset, f"chunk {index} is not what its manifest says",
                f"第 {index} 块与清单所载不符",
            )  # fmt: skip
        return data

    # One writer

    def begin(self, height: int) -> None:
        """Start the rows of a snapshot."""
        if _rows(height) in self._directory.names():
            self._directory.remove(_rows(height))
        self._directory.create(_rows(height))

    def append(self, height: int, chunk: bytes) -> None:
        """Write the next chunk."""
        self._directory.append(_rows(height), chunk)

    def finish(self, height: int, raw: bytes) -> None:
        """Make the snapshot durable and serve it; the oldest one too many is removed."""
        self._directory.fsync(_rows(height))
        write_whole(self._directory, f"{height:016d}.partial", _manifest(height), raw)
        self._keep(height, raw, decode_manifest(raw))
        for old in self.heights[:-KEPT]:
            self._forget(old)
            self._directory.remove(_manifest(old))
            self._directory.remove(_rows(old))
        self._directory.fsync_directory()

    # Inside

    def _load(self, height: int, names: set[str]) -> None:
        name = _manifest(height)
        raw = self._directory.pread(name, 0, self._directory.size(name))
        try:
            manifest = decode_manifest(raw)
        except Rejected as rejected:
            self.notices.append(
                Words(
                    f"{self._directory.path}/{name}：启动时删除；{explain_rejected(rejected)}。",
                    f"{self._directory.path}/{name}: a start removes it; {rejected}.",
                )
            )
            return
        size = sum(chunk.size for chunk in manifest.chunks)
        found = self._directory.size(_rows(height)) if _rows(height) in names else 0
        if found == size:
            self._keep(height, raw, manifest)
        else:
            self.notices.append(
                Words(
                    f"{self._directory.path}/{name}：启动时删除；其行应有 {size} 字节，只有 "
                    f"{found} 字节。",
                    f"{self._directory.path}/{name}: a start removes it; there are {found} of "
                    f"{size} bytes of its rows.",
                )
            )

    def _keep(self, height: int, raw: bytes, manifest: Manifest) -> None:
        offsets = find_offsets(manifest.chunks)
        self._held = {**self._held, height: _Held(raw, compute_digest(raw), manifest, offsets)}

    def _forget(self, height: int) -> None:
        self._held = {each: held for each, held in self._held.items() if each != height}


def find_offsets(chunks: tuple[ChunkId, ...]) -> list[int]:
    """Return where each chunk begins in a file of all chunks, and where the last one ends."""
    return list(accumulate((chunk.size for chunk in chunks), initial=0))


def _rows(height: int) -> str:
    return f"{height:016d}.rows"


def _manifest(height: int) -> str:
    return f"{height:016d}.manifest"
