"""What has been fetched of a snapshot, on disk: a manifest, its rows, and the blocks beside them.

    manifest    the manifest with its certified checkpoint, first and under its name only when whole
    rows        all chunks, each at its own offset
    COMPLETE    written last: everything before it is durable

A chunk is there if its bytes are what the manifest says, so a crash costs the chunks and blocks
that were not synced, and nothing is taken for what it is not. Once complete, the folder is this
node's base: its index is built from these rows and the segments, today and whenever it is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from api.problems import explain_rejected
from ledger.block import Header, decode_header
from ledger.refusal import Reason, Rejected
from ledger.snapshot import Manifest, SnapshotTrust, check_chunk, decode_manifest
from ledger.snapshot_blocks import SnapshotBlocks
from ledger.wire import StrictDecoder, encode
from node.messages import CertifiedBlock
from node.snapshot_shelf import find_offsets
from storage.chain import ChainStart
from storage.files import Damaged, Directory, write_whole
from storage.segments import SegmentLog

MANIFEST_FILE: Final = "manifest"
ROWS_FILE: Final = "rows"
COMPLETE_FILE: Final = "COMPLETE"
_PARTIAL: Final = "manifest.partial"

SYNC_CHUNKS: Final = 64
"""Chunks written between two syncs: 32 MiB are fetched again at most after a crash."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    manifest: bytes
    note: bytes


_decoder = StrictDecoder(_Kept, "kept manifest")


class Base:
    """A complete snapshot: what a chain that did not begin with genesis begins with."""

    def __init__(self, directory: Directory) -> None:
        """Open it; raise `Damaged` if it cannot be read."""
        self._directory = directory
        self.manifest, self.note = _load(directory)
        try:
            self.header: Header = decode_header(self.manifest.header)
        except Rejected as rejected:
            raise Damaged(
                f"{directory.path}/{MANIFEST_FILE}", 0, str(rejected), explain_rejected(rejected)
            ) from None
        self.start = ChainStart(self.manifest.base_height, self.manifest.base_size)
        self._offsets = find_offsets(self.manifest.chunks)

    def chunks(self) -> Iterator[bytes]:
        """Yield the chunks in order, each compared with the manifest; raise `Damaged`."""
        for index in range(len(self.manifest.chunks)):
            yield _read_chunk(self._directory, self.manifest, self._offsets, index)


class SnapshotFiles:
    """A snapshot that is being fetched. One thread; raises `StorageFailure`."""

    def __init__(self, directory: Directory, segments: Directory) -> None:
        self._directory = directory
        self._segments = segments
        self._manifest: Manifest | None = None
        self._offsets: list[int] = []
        self._log: SegmentLog | None = None
        self._unsynced = 0

    def resume(self, trust: SnapshotTrust) -> tuple[Manifest, SnapshotBlocks, set[int]] | None:
        """Return what is kept and which chunks are missing; None, with nothing kept, if nothing is.

        Chunks and blocks are checked as they were when they came.
        """
        if MANIFEST_FILE not in self._directory.names():
            self.discard()
            return None
        manifest, _ = _load(self._directory)
        self._open(manifest)
        missing = set()
        for index in range(len(manifest.chunks)):
            try:
                _read_chunk(self._directory, manifest, self._offsets, index)
            except Damaged:
                missing.add(index)
        blocks = SnapshotBlocks(manifest, decode_header(manifest.header), trust)
        for stored in self._opened().scan():
            blocks.add(stored.entries, stored.certificate)
        return manifest, blocks, missing

    def keep_manifest(self, raw: bytes, note: bytes) -> None:
        """Begin with a manifest."""
        self.discard()
        self._directory.create(ROWS_FILE)
        self._directory.fsync(ROWS_FILE)
        write_whole(self._directory, _PARTIAL, MANIFEST_FILE, encode(_Kept(raw, note)))
        self._open(decode_manifest(raw))

    def keep_chunk(self, index: int, chunk: bytes) -> None:
        """Write a chunk; it is durable after some more."""
        self._directory.pwrite(ROWS_FILE, self._offsets[index], chunk)
        self._unsynced += 1
        if self._unsynced >= SYNC_CHUNKS:
            self._directory.fsync(ROWS_FILE)
            self._unsynced = 0

    def keep_block(self, height: int, block: CertifiedBlock) -> None:
        """Write the next block, durably."""
        log = self._opened()
        log.append_block(height, block.entries, block.certificate)
        log.sync()

    def complete(self) -> None:
        """Make everything durable, and then say so."""
        self._directory.fsync(ROWS_FILE)
        self._directory.create(COMPLETE_FILE)
        self._directory.fsync(COMPLETE_FILE)
        self._directory.fsync_directory()

    def discard(self) -> None:
        """Keep nothing: the manifest goes first, so that what is left counts for nothing."""
        for directory in (self._directory, self._segments):
            for name in sorted(directory.names(), key=lambda name: name != MANIFEST_FILE):
                directory.remove(name)
                directory.fsync_directory()
        self._manifest = self._log = None
        self._unsynced = 0

    def _open(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._offsets = find_offsets(manifest.chunks)
        self._log = SegmentLog.open(self._segments, None, first_height=manifest.base_height)

    def _opened(self) -> SegmentLog:
        if self._log is None:
            raise LookupError("no snapshot is begun")
        return self._log


def _load(directory: Directory) -> tuple[Manifest, bytes]:
    raw = directory.pread(MANIFEST_FILE, 0, directory.size(MANIFEST_FILE))
    try:
        kept = _decoder.decode(raw)
        return decode_manifest(kept.manifest), kept.note
    except Rejected as rejected:
        raise Damaged(
            f"{directory.path}/{MANIFEST_FILE}", 0, str(rejected), explain_rejected(rejected)
        ) from None


def _read_chunk(directory: Directory, manifest: Manifest, offsets: list[int], index: int) -> bytes:
    """Return a chunk; raise `Damaged` unless it is what the manifest says."""
    data = directory.pread(ROWS_FILE, offsets[index], manifest.chunks[index].size)
    try:
        check_chunk(manifest, index, data)
    except Rejected as rejected:
        if rejected.reason is not Reason.BAD_PROOF:
            raise
        raise Damaged(
            f"{directory.path}/{ROWS_FILE}", offsets[index], rejected.detail,
            explain_rejected(rejected),
        ) from None  # fmt: skip
    return data
