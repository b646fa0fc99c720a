"""The spool: what this node has promised to put on the chain, kept until it is there.

An intake receipt is a promise, so the transaction must survive this process before the receipt is
signed. Envelopes are appended to one of two files and synced; when the active file has grown and
everything in the other is settled, the other is emptied and becomes the active one. After a crash
what is found goes back into the pool; what is already on the chain is recognised there. A torn end
was never promised and is cut off; damage before it is said, never skipped in silence.

Record   length(u32) crc32c(u32) envelope
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from google_crc32c import value as crc32c

from storage.files import Directory

SPOOL_FILES: Final = ("spool-0", "spool-1")
SPOOL_BYTES: Final = 64 * 1024 * 1024
"""Size after which the other file is tried; twice this is what the spool normally takes."""

RECORD_BYTES_MAX: Final = 64 * 1024
"""No envelope is larger: its entry has to stay under 65,536 bytes."""

_RECORD: Final = struct.Struct(">II")


class Spool:
    """Promised envelopes on disk; see the module's text."""

    def __init__(self, directory: Directory, file_bytes: int = SPOOL_BYTES) -> None:
        self._directory = directory
        self._file_bytes = file_bytes
        self.notices: list[str] = []
        self._sizes = [0, 0]
        self._active = 0
        for name in SPOOL_FILES:
            if name not in directory.names():
                directory.create(name)

    def load(self) -> list[bytes]:
        """Return every envelope found, oldest file first; cut off a torn end."""
        found: list[list[bytes]] = []
        for at, name in enumerate(SPOOL_FILES):
            records, end, complaint = self._read(name)
            size = self._directory.size(name)
            if complaint:
                self.notices.append(f"{name}: {complaint} at byte {end} of {size}; cut off there")
                self._directory.truncate(name, end)
                self._directory.fsync(name)
            self._sizes[at] = end
            found.append(records)
        self._active = 0 if self._sizes[0] <= self._sizes[1] else 1
        return [*found[1 - self._active], *found[self._active]]

    def append(self, envelopes: Sequence[bytes]) -> None:
        """Make these durable; they count as promised once this returns."""
        data = b"".join([_RECORD.pack(len(raw), crc32c(raw)) + raw for raw in envelopes])
        self._directory.append(SPOOL_FILES[self._active], data)
        self._directory.fsync(SPOOL_FILES[self._active])
        self._sizes[self._active] += len(data)

    @property
    def is_full(self) -> bool:
        """Say whether the active file has grown enough to change over."""
        return self._sizes[self._active] >= self._file_bytes

    def change_over(self, waiting: Sequence[bytes]) -> None:
        """Begin the other file anew with `waiting`: every promised envelope not settled yet.

        The active file is emptied by the next call, when what it holds stands in the new one.
        """
        other = 1 - self._active
        self._directory.truncate(SPOOL_FILES[other], 0)
        self._sizes[other] = 0
        self._active = other
        self.append(waiting)

    def _read(self, name: str) -> tuple[list[bytes], int, str]:
        size = self._directory.size(name)
        records: list[bytes] = []
        at = 0
        while at < size:
            head = self._directory.pread(name, at, min(_RECORD.size, size - at))
            if len(head) < _RECORD.size:
                return records, at, "a torn record"
            length, crc = _RECORD.unpack(head)
            if length > RECORD_BYTES_MAX or at + _RECORD.size + length > size:
                return records, at, "a torn record"
            raw = self._directory.pread(name, at + _RECORD.size, length)
            if crc32c(raw) != crc:
                return records, at, "a record with a wrong checksum"
            records.append(raw)
            at += _RECORD.size + length
        return records, at, ""
