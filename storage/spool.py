"""The spool: what this node has promised to put on the chain, kept until it is there.

An intake receipt is a promise, so the transaction must survive this process before the receipt is
signed. Envelopes are appended to the active one of two files and synced. When that file has grown,
whatever is still owed is appended to it once more, so that it holds everything; then the other file
is emptied and becomes the active one. After a crash what is found goes back into the pool; what is
already on the chain is recognised there. A torn end was never promised and is cut off; damaged
bytes are said, and the whole records behind them are kept.

Record   length(u32) crc32c(u32) envelope
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from google_crc32c import value as crc32c

from ledger.words import Words
from storage.files import Directory

SPOOL_FILES: Final = ("spool-0", "spool-1")
SPOOL_BYTES: Final = 64 * 1024 * 1024
"""Size after which the other file is tried; twice this is what the spool normally takes."""

RECORD_BYTES_MAX: Final = 64 * 1024
"""No envelope is larger: its entry has to stay under 65,536 bytes."""

_RECORD: Final = struct.Struct(">II")
_LENGTH: Final = re.compile(rb"(?=\x00\x00(?!\x00\x00)|\x00\x01\x00\x00)", re.DOTALL)
"""The length of a record, 1 to `RECORD_BYTES_MAX`, or what looks like one."""


class Spool:
    """Promised envelopes on disk; see the module's text."""

    def __init__(
        self, directory: Directory, file_bytes: int = SPOOL_BYTES, *, is_expected: bool = False
    ) -> None:
        """Open it, with files that are missing made anew; said if they are `is_expected`."""
        self._directory = directory
        self._file_bytes = file_bytes
        self.notices: list[Words] = []
        self._sizes = [0, 0]
        self._active = 0
        missing = [name for name in SPOOL_FILES if name not in directory.names()]
        for name in missing:
            directory.create(name)
            directory.fsync(name)
            directory.fsync_directory()
        if missing and is_expected:
            self.notices.append(
                Words(
                    f"缺少 {'、'.join(missing)}，新机器上本当如此：本节点承诺过而尚未上链的交易，"
                    "此处已无从知道",
                    f"{' and '.join(missing)} missing, as on a new machine: what this node has "
                    "promised and is not on the chain is not known here",
                )
            )

    def load(self) -> list[bytes]:
        """Return every envelope found, oldest file first; cut off a torn end."""
        found = [self._read(at) for at in range(len(SPOOL_FILES))]
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

    def change_over(self, owed: Sequence[bytes]) -> None:
        """Begin the other file anew; `owed` is every promised envelope that is not settled."""
        self.append(owed)
        other = 1 - self._active
        self._directory.truncate(SPOOL_FILES[other], 0)
        self._directory.fsync(SPOOL_FILES[other])
        self._sizes[other] = 0
        self._active = other

    def _read(self, file: int) -> list[bytes]:
        name = SPOOL_FILES[file]
        size = self._directory.size(name)
        records: list[bytes] = []
        at = 0
        while at < size:
            raw = self._record_at(name, at, size)
            if raw is not None:
                records.append(raw)
                at += _RECORD.size + len(raw)
                continue
            following = self._find_record(name, at + 1, size)
            if following is None:
                self.notices.append(
                    Words(
                        f"{name}：共 {size} 字节，自第 {at} 字节起残缺，已自该处截去",
                        f"{name}: torn at byte {at} of {size}; cut off there",
                    )
                )
                self._directory.truncate(name, at)
                self._directory.fsync(name)
                size = at
            else:
                self.notices.append(
                    Words(
                        f"{name}：第 {at} 至 {following} 字节已损坏，予以略过",
                        f"{name}: bytes {at} to {following} are damaged and left out",
                    )
                )
                at = following
        self._sizes[file] = size
        return records

    def _record_at(self, name: str, at: int, size: int) -> bytes | None:
        """Return the envelope whose record begins here, or None if none whole does.

        Zeros are what a file is that grew and lost power before its bytes were there.
        """
        head = self._directory.pread(name, at, min(_RECORD.size, size - at))
        if len(head) < _RECORD.size:
            return None
        length, crc = _RECORD.unpack(head)
        if not 0 < length <= RECORD_BYTES_MAX or at + _RECORD.size + length > size:
            return None
        raw = self._directory.pread(name, at + _RECORD.size, length)
        return raw if crc32c(raw) == crc else None

    def _find_record(self, name: str, begin: int, size: int) -> int | None:
        """Return where the next whole record begins: the damaged one's length may be what rotted.

        What an envelope holds may look like a record; whoever takes it for one finds no more than
        an envelope, which is read and verified as any other.
        """
        rest = self._directory.pread(name, begin, size - begin)
        for found in _LENGTH.finditer(rest):
            if self._record_at(name, begin + found.start(), size) is not None:
                return begin + found.start()
        return None
