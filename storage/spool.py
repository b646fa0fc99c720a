"""The spool: what this node has promised to put on the chain, kept until it is there.

An intake receipt is a promise, so the transaction must survive this process before the receipt is
signed. Envelopes are appended to the active one of two files and synced. When that file has grown,
whatever is still owed is appended to it once more, so that it holds everything; then the other file
is begun anew and becomes the active one. After a crash what is found goes back into the pool; what
is already on the chain is recognised there. A torn end was never promised and is cut off; damaged
bytes are said, and the whole records behind them are kept.

    File     "spool/1" LF, then records
    Record   length(u32) crc32c(u32) envelope

A file comes under its name with its header, so in a node that is in use one that is missing or has
no byte has lost what it held, and that is said. Whole records cut off the end leave no trace: how
much a file held is written nowhere else, because that would be a second sync before each receipt.
Older versions wrote no header; their files are read as they are, and get one when they are begun
anew.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from google_crc32c import value as crc32c

from ledger.words import Words
from storage.files import Directory, write_whole

SPOOL_FILES: Final = ("spool-0", "spool-1")
SPOOL_BYTES: Final = 64 * 1024 * 1024
"""Size after which the other file is tried; twice this is what the spool normally takes."""

HEADER: Final = b"spool/1\n"
"""What a file begins with. No record does: the length of one is at most 64 KiB."""

RECORD_BYTES_MAX: Final = 64 * 1024
"""No envelope is larger: its entry has to stay under 65,536 bytes."""

_DRAFT: Final = "spool-new"
_RECORD: Final = struct.Struct(">II")
_LENGTH: Final = re.compile(rb"(?=\x00\x00(?!\x00\x00)|\x00\x01\x00\x00)", re.DOTALL)
"""The length of a record, 1 to `RECORD_BYTES_MAX`, or what looks like one."""


class Spool:
    """Promised envelopes on disk; see the module's text."""

    def __init__(
        self,
        directory: Directory,
        file_bytes: int = SPOOL_BYTES,
        *,
        is_read_only: bool = False,
        is_expected: bool = False,
    ) -> None:
        """Open, and begin the files that are not there; one that is read only is looked at.

        `is_expected`: the node has been in use, so what is not there is missed. Else it is where
        something stands in the other file: a crash may leave one of the two when they are begun.
        """
        self._directory = directory
        self._file_bytes = file_bytes
        self._is_read_only = is_read_only
        self.notices: list[Words] = []
        self._sizes = [0, 0]
        self._active = 0
        here = [name for name in SPOOL_FILES if name in directory.names()]
        empty = [name for name in here if not directory.size(name)]
        is_used = is_expected or any(directory.size(name) > len(HEADER) for name in here)
        if is_expected and not here:
            self.notices.append(_NONE)
        elif is_used and len(empty) == len(SPOOL_FILES):
            self.notices.append(BOTH_EMPTY)
        elif is_used and not any(self._is_older(name) for name in here):
            self.notices += [_lost(name, name in here) for name in SPOOL_FILES if name not in here]
            self.notices += [_lost(name, name in here) for name in empty]
        if not is_read_only:
            for name in SPOOL_FILES:
                if name in empty or name not in here:
                    self._begin(name)

    def load(self) -> list[bytes]:
        """Return every envelope found, oldest file first; cut off a torn end.

        What is returned is durable, and so are the names of the files: a killed process leaves
        bytes and renames that only the page cache holds, and power lost later would take them, and
        with a file that was begun anew all that was promised since.
        """
        here = self._directory.names()
        found = [self._read(at) if SPOOL_FILES[at] in here else [] for at in (0, 1)]
        if not self._is_read_only:
            for name in SPOOL_FILES:
                self._directory.fsync(name)
            self._directory.fsync_directory()
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
        self._begin(SPOOL_FILES[other])
        self._sizes[other] = len(HEADER)
        self._active = other

    def _begin(self, name: str) -> None:
        """Put a file without records in the place of whatever it was, at once and durably."""
        write_whole(self._directory, _DRAFT, name, HEADER)

    def _is_older(self, name: str) -> bool:
        """Say whether a file has records and no header, as versions before it wrote them."""
        return self._record_at(name, 0, self._directory.size(name)) is not None

    def _read(self, file: int) -> list[bytes]:
        name = SPOOL_FILES[file]
        size = self._directory.size(name)
        records: list[bytes] = []
        at = len(HEADER) if self._directory.pread(name, 0, len(HEADER)) == HEADER else 0
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
                        f"{name}：共 {size} 字节，自第 {at} 字节起残缺，启动时自该处截去",
                        f"{name}: torn at byte {at} of {size}; a start cuts it off there",
                    )
                )
                if at or self._is_read_only:
                    self._directory.truncate(name, at)
                    self._directory.fsync(name)
                else:
                    self._begin(name)
                    at = len(HEADER)
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


_NONE: Final = Words(
    f"缺少 {'、'.join(SPOOL_FILES)}，新机器上本当如此：本节点承诺过而尚未上链的交易，"
    "此处已无从知道",
    f"{' and '.join(SPOOL_FILES)} missing, as on a new machine: what this node has promised and is "
    "not on the chain is not known here",
)

BOTH_EMPTY: Final = Words(
    f"{'、'.join(SPOOL_FILES)}：均为空文件，旧版本在尚未作出承诺时如此留下；若非如此，其中承诺上链"
    "的交易已丢失，仍在对方手中的可凭收据再次提交",
    f"{' and '.join(SPOOL_FILES)}: have no byte, as an earlier version leaves them where nothing "
    "was promised; otherwise the promised transactions in them are lost here, and whoever has one "
    "can submit it again",
)
"""Said of two files of which neither tells whether it ever held anything."""


def _lost(name: str, is_here: bool) -> Words:
    what, what_zh = ("has no byte", "为空文件") if is_here else ("is missing", "缺失")
    return Words(
        f"{name}：{what_zh}，而本软件写入的文件至少有 {len(HEADER)} 字节：其中承诺上链的交易"
        "已丢失，仍在对方手中的可凭收据再次提交",
        f"{name}: {what}, and none is written with less than {len(HEADER)} bytes: the promised "
        "transactions in it are lost here; whoever has one can submit it again",
    )
