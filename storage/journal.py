"""The vote journal: what this node has signed and may have sent, and the block it may not lose.

A file of two slots of fixed size, written in turn with a sequence number, each as two copies far
apart, each copy under one checksum; and two pending files, written in turn, for the proposed block
with its prepared certificate. `save` syncs the pending file, then both copies of the slot that
refers to it in one fsync; only then may a vote be sent, and only then is the slot's mark written,
which says that the slot was acknowledged. One copy is enough: what rots in one place is read from
the other and written again.
The mark tells rot from an innocent power loss where both copies are broken. Unmarked, the slot was
being written when the power went: nobody saw it, the one before it holds. Marked, it held votes
that are out in the world: `load` raises `Damaged`, and the node must not vote until it has gone
through `recover` (an amnesiac node counts among the f). Each slot has a mark of its own: by the
time a slot is written again, its mark was synced together with the other slot, so a slot and its
mark that are both broken are never a power loss either. The newest mark itself is not synced, which
would be a second fsync for each vote; so what stays hidden is that both copies of the newest slot
rot after the very power loss that took its mark: it is taken for torn, and such a node is of the f.
It does not know what a record or a pending block says.

votes      slot 0, slot 1, slot 0 again, slot 1 again (65,536 bytes each), mark 0, mark 1 (4,096
           bytes each)
Slot       magic(8) sequence(u64) record_bytes(u32) pending_file(u8: 0, 1, 2 = none)
           pending_sequence(u64) pending_bytes(u64) pending_crc(u32)
           crc(u32: of all before and after it) record, zeros
Mark       magic(8) sequence(u64) zeros crc(u32)
pending-N  magic(8) sequence(u64) body_bytes(u64) body_crc(u32) crc(u32: of this header) body
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from google_crc32c import value as crc32c

from ledger.words import Words
from storage.files import Damaged, Directory, StorageFailure, write_whole

SLOT_BYTES: Final = 64 * 1024
"""Size of one copy of a slot. The record is a node's own votes of one height and its view-change,
which carries at most one certificate of 36 signatures: 10 kB, so this is ample."""

PENDING_BYTES_MAX: Final = 1024 * 1024 * 1024 + 16 * 1024 * 1024
"""Most bytes of a pending block: the largest block the segments take, and its certificate."""

VOTES_FILE: Final = "votes"
PENDING_FILES: Final = ("pending-0", "pending-1")

_MARK_BYTES: Final = 4096
"""One sector of a disk with large sectors: nothing else shares the sector a mark is written to."""
MARKS_OFFSET: Final = 4 * SLOT_BYTES
"""Where the marks begin, behind both copies of both slots."""
_FILE_BYTES: Final = MARKS_OFFSET + 2 * _MARK_BYTES

_SLOT: Final = struct.Struct(">8sQIBQQI")
_MARK: Final = struct.Struct(">8sQ")
_PENDING: Final = struct.Struct(">8sQQII")
_CRC: Final = struct.Struct(">I")
_SLOT_MAGIC: Final = b"EVLVOTE\x02"
_MARK_MAGIC: Final = b"EVLMARK\x01"
_PENDING_MAGIC: Final = b"EVLPEND\x01"
_NO_PENDING: Final = 2

RECORD_BYTES_MAX: Final = SLOT_BYTES - _SLOT.size - _CRC.size
"""Most bytes of a record: what a slot holds beside its header and checksum."""


class RecordTooLarge(ValueError):
    """A record does not fit in a slot, or a pending block in what a block may be."""


class Keep(Enum):
    """The value that tells `save` to leave the pending block as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the node knows of its own promises after a restart."""

    record: bytes | None
    """The last record saved; None in a journal that was never written to."""
    pending: bytes | None


@dataclass(frozen=True, slots=True)
class _PendingReference:
    file: int
    sequence: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class _Slot:
    sequence: int
    record: bytes
    pending: _PendingReference | None


class Journal:
    """The journal of one node, in a directory of its own. One thread uses it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._current: _Slot | None = None
        self._used = [SLOT_BYTES, SLOT_BYTES]
        self._failed = False
        self.notices: list[Words] = []

    @classmethod
    def create(cls, directory: Directory) -> Journal:
        """Write an empty journal and return it, to be loaded; `FileExistsError` if there is one.

        Only setting up a node and `recover` do this. A node that finds its journal missing must
        not: it cannot know what it signed.
        """
        if VOTES_FILE in directory.names():
            raise FileExistsError(f"{directory.path}/{VOTES_FILE} exists")
        for name in PENDING_FILES:
            if name not in directory.names():
                directory.create(name)
            directory.truncate(name, 0)
            directory.pwrite(name, 0, _encode_pending(0, b""))
            directory.fsync(name)
        write_whole(directory, VOTES_FILE + ".new", VOTES_FILE, _encode_blank())
        return cls(directory)

    @classmethod
    def open(cls, directory: Directory) -> Journal:
        """Open an existing journal; `Damaged` if a file of it is missing or of a wrong size."""
        names = directory.names()
        for name in (VOTES_FILE, *PENDING_FILES):
            if name not in names:
                raise Damaged(
                    f"{directory.path}/{name}", 0,
                    "is missing, so what this node signed is unknown",
                    "缺失，因此无从知道本节点签署过什么",
                )  # fmt: skip
        size = directory.size(VOTES_FILE)
        if size != _FILE_BYTES:
            raise Damaged(
                f"{directory.path}/{VOTES_FILE}", min(size, _FILE_BYTES),
                f"has {size} bytes, not {_FILE_BYTES}", f"有 {size} 字节，应为 {_FILE_BYTES} 字节",
            )  # fmt: skip
        return cls(directory)

    @classmethod
    def discard(cls, directory: Directory) -> None:
        """Put a journal aside as `votes.damaged-N`, for `recover` to begin anew; N from 1.

        One that was never written to says nothing and is removed: a recovery that is begun again
        and again must not fill the disk.
        """
        names = directory.names()
        if VOTES_FILE in names:
            if directory.pread(VOTES_FILE, 0, _FILE_BYTES + 1) == _encode_blank():
                directory.remove(VOTES_FILE)
                directory.fsync_directory()
                return
            number = 1
            while f"{VOTES_FILE}.damaged-{number}" in names:
                number += 1
            directory.rename(VOTES_FILE, f"{VOTES_FILE}.damaged-{number}")
            directory.fsync_directory()

    def load(self) -> JournalState:
        """Return the newest record that can have been acknowledged, and its pending block.

        What is returned is durable and marked: a process killed before its fsync leaves bytes that
        only the page cache holds, and a vote sent again from those would not survive a power loss.
        """
        for name in (VOTES_FILE, *PENDING_FILES):
            self._directory.fsync(name)
        self._directory.fsync_directory()
        copies = [self._read_copies(0), self._read_copies(1)]
        slots = [_newest(pair) for pair in copies]
        marks = [self._read_mark(0), self._read_mark(1)]
        acknowledged = max((mark for mark in marks if mark is not None), default=-1)
        newest = _newest(slots)
        is_unknown = [
            slot is None and mark is None for slot, mark in zip(slots, marks, strict=True)
        ]
        if newest is None or newest.sequence < acknowledged or any(is_unknown):
            broken = 0 if slots[0] is None else 1
            raise self._damaged(
                VOTES_FILE,
                _slot_offset(broken, 0),
                "an acknowledged record is unreadable: this node may have sent votes that it no "
                "longer knows",
                "一份已确认的记录无法读取：本节点可能发出过自己已不知道的投票",
            )
        at = newest.sequence % 2
        other = slots[1 - at]
        if other is None:
            self._notice(
                f"ignored the slot at offset {_slot_offset(1 - at, 0)}, which was being written "
                f"when the node stopped or is damaged; record {newest.sequence} holds.",
                f"未采用偏移 {_slot_offset(1 - at, 0)} 处的槽：节点停止时正在写入，或已损坏；"
                f"以第 {newest.sequence} 号记录为准。",
            )
        for number, mark in enumerate(marks):
            if mark is None:
                self._notice(
                    f"the mark at offset {_mark_offset(number)} is torn or damaged; the slots "
                    "hold.",
                    f"偏移 {_mark_offset(number)} 处的标记残缺或已损坏；以槽为准。",
                )
        pending = None if newest.pending is None else self._read_pending(newest.pending)
        is_mended = [self._mend(number, copies[number], slots[number]) for number in range(2)]
        # Also the other one's mark: torn, it would make the next torn slot look like rot.
        stale = [
            slot.sequence
            for slot, mark in zip(slots, marks, strict=True)
            if slot is not None and slot.sequence != mark and (mark is None or slot is newest)
        ]
        for sequence in stale:
            self._write_mark(sequence)
        if stale or any(is_mended):
            self._directory.fsync(VOTES_FILE)
        self._current = newest
        return JournalState(newest.record if newest.sequence > 0 else None, pending)

    def save(self, record: bytes, pending: bytes | Keep | None) -> None:
        """Make a record and its pending block durable; what they promise may then be sent."""
        current = self._current
        if current is None:
            raise RuntimeError("the journal must be loaded before it is saved to")
        if self._failed:
            raise StorageFailure(
                f"{self._directory.path}: refused after a failed write",
                f"{self._directory.path}：此前写入失败，不再写入",
            )
        if len(record) > RECORD_BYTES_MAX:
            raise RecordTooLarge(
                f"a record of {len(record)} bytes does not fit in a slot of {RECORD_BYTES_MAX}"
            )
        if isinstance(pending, bytes) and len(pending) > PENDING_BYTES_MAX:
            raise RecordTooLarge(
                f"a pending block of {len(pending)} bytes is larger than {PENDING_BYTES_MAX}"
            )
        self._failed = True  # until everything has gone well
        sequence = current.sequence + 1
        reference = current.pending if pending is KEEP else None
        if isinstance(pending, bytes):
            reference = self._write_pending(sequence, pending)
        slot = _Slot(sequence, record, reference)
        self._write_slot(slot)
        self._write_mark(sequence)
        self._current = slot
        self._failed = False

    def newest(self) -> bytes | None:
        """Return the newest intact record, acknowledged or not, and change nothing.

        To look at only: what may be voted on is what `load` returns.
        """
        newest = _newest(self._read_copies(0) + self._read_copies(1))
        return None if newest is None or newest.sequence == 0 else newest.record

    def verify(self) -> tuple[Words, ...]:
        """Return a sentence for every piece that is not intact, stale ones included.

        A stale piece may be torn from a power loss and is then harmless; `load` decides.
        """
        found = []
        copies = [self._read_copies(0), self._read_copies(1)]
        path = f"{self._directory.path}/{VOTES_FILE}"
        for at, pair in enumerate(copies):
            slot = _newest(pair)
            for copy, held in enumerate(pair):
                offset = _slot_offset(at, copy)
                place = f"{path}, offset {offset}: copy {copy} of slot {at}"
                place_zh = f"{path}，偏移 {offset}：第 {at} 槽的第 {copy} 份"
                if held is None:
                    found.append(Words(f"{place_zh}已损坏。", f"{place} is broken."))
                elif held != slot:
                    found.append(
                        Words(f"{place_zh}比另一份旧。", f"{place} is older than its other copy.")
                    )
        for at in range(2):
            if self._read_mark(at) is None:
                offset = _mark_offset(at)
                found.append(
                    Words(
                        f"{path}，偏移 {offset}：第 {at} 个标记已损坏。",
                        f"{path}, offset {offset}: mark {at} is broken.",
                    )
                )
        for file in range(2):
            try:
                self._check_pending(file)
            except Damaged as damage:
                found.append(Words(f"{damage.detail_zh}。", f"{damage}."))
        newest = _newest(copies[0] + copies[1])
        if newest is not None and newest.pending is not None:
            try:
                self._read_pending(newest.pending)
            except Damaged as damage:
                found.append(Words(f"{damage.detail_zh}。", f"{damage}."))
        return tuple(found)

    # -- slots and marks

    def _read_copies(self, at: int) -> list[_Slot | None]:
        """Return both copies of a slot, None for one that is broken or of the other slot."""
        return [self._read_copy(at, copy) for copy in range(2)]

    def _read_copy(self, at: int, copy: int) -> _Slot | None:
        slot = _decode_slot(self._directory.pread(VOTES_FILE, _slot_offset(at, copy), SLOT_BYTES))
        if slot is None or slot.sequence == 0:  # both slots of a new journal are 0
            return slot
        return slot if slot.sequence % 2 == at else None

    def _mend(self, at: int, copies: Sequence[_Slot | None], slot: _Slot | None) -> bool:
        """Write the copies again that do not hold what the slot does; return whether any."""
        broken = [copy for copy in range(2) if slot is None or copies[copy] != slot]
        self._used[at] = SLOT_BYTES if broken or slot is None else _used_bytes(slot)
        if slot is None:
            return False
        for copy in broken:
            offset = _slot_offset(at, copy)
            self._notice(
                f"the copy at offset {offset} was torn or is damaged; record {slot.sequence} was "
                "read from its other copy and written again.",
                f"偏移 {offset} 处的一份残缺或已损坏；第 {slot.sequence} 号记录已从另一份读出"
                "并重写。",
            )
            self._directory.pwrite(VOTES_FILE, offset, _encode_slot(slot))
        return bool(broken)

    def _read_mark(self, at: int) -> int | None:
        data = self._directory.pread(VOTES_FILE, _mark_offset(at), _MARK_BYTES)
        if len(data) != _MARK_BYTES:
            return None
        magic, sequence = _MARK.unpack_from(data)
        return int(sequence) if magic == _MARK_MAGIC and data == _encode_mark(sequence) else None

    def _write_slot(self, slot: _Slot) -> None:
        """Write both copies of a slot, leaving out the zeros that are already there."""
        at = slot.sequence % 2
        used = _used_bytes(slot)
        data = _encode_slot(slot)[: max(used, self._used[at])]
        for copy in range(2):
            self._directory.pwrite(VOTES_FILE, _slot_offset(at, copy), data)
        self._directory.fsync(VOTES_FILE)
        self._used[at] = used

    def _write_mark(self, sequence: int) -> None:
        self._directory.pwrite(VOTES_FILE, _mark_offset(sequence % 2), _encode_mark(sequence))

    # -- pending files

    def _write_pending(self, sequence: int, body: bytes) -> _PendingReference:
        current = self._current.pending if self._current is not None else None
        file = 0 if current is None else 1 - current.file
        name = PENDING_FILES[file]
        data = _encode_pending(sequence, body)
        self._directory.pwrite(name, 0, data)
        self._directory.truncate(name, len(data))
        self._directory.fsync(name)
        return _PendingReference(file, sequence, len(body), crc32c(body))

    def _read_pending(self, reference: _PendingReference) -> bytes:
        sequence, body = self._check_pending(reference.file)
        if (sequence, len(body), crc32c(body)) != (
            reference.sequence, reference.length, reference.crc,
        ):  # fmt: skip
            raise self._damaged(
                PENDING_FILES[reference.file], 0,
                f"holds pending block {sequence} of {len(body)} bytes, the journal refers to "
                f"{reference.sequence} of {reference.length}",
                f"存有第 {sequence} 号待决区块（{len(body)} 字节），而日志所指为第 "
                f"{reference.sequence} 号（{reference.length} 字节）",
            )  # fmt: skip
        return body

    def _check_pending(self, file: int) -> tuple[int, bytes]:
        name = PENDING_FILES[file]
        try:
            data = self._directory.pread(name, 0, self._directory.size(name))
        except FileNotFoundError:
            raise self._damaged(name, 0, "is missing", "缺失") from None
        if len(data) < _PENDING.size:
            raise self._damaged(
                name, 0, f"has {len(data)} bytes, less than its header",
                f"有 {len(data)} 字节，不足一个文件头",
            )  # fmt: skip
        magic, sequence, length, body_crc, crc = _PENDING.unpack_from(data)
        if magic != _PENDING_MAGIC or crc32c(data[: _PENDING.size - _CRC.size]) != crc:
            raise self._damaged(
                name, 0, "the header of the pending block is broken", "待决区块的文件头已损坏"
            )
        body = data[_PENDING.size :]
        if len(body) != length or crc32c(body) != body_crc:
            raise self._damaged(
                name, _PENDING.size, "the pending block is broken", "待决区块已损坏"
            )
        return sequence, body

    def _damaged(self, name: str, offset: int, what: str, what_zh: str) -> Damaged:
        return Damaged(f"{self._directory.path}/{name}", offset, what, what_zh)

    def _notice(self, said: str, said_zh: str) -> None:
        """Note what was found of the votes and mended."""
        path = f"{self._directory.path}/{VOTES_FILE}"
        self.notices.append(Words(f"{path}：{said_zh}", f"{path}: {said}"))


def _slot_offset(at: int, copy: int) -> int:
    return (2 * copy + at) * SLOT_BYTES


def _mark_offset(at: int) -> int:
    return MARKS_OFFSET + at * _MARK_BYTES


def _newest(slots: Iterable[_Slot | None]) -> _Slot | None:
    intact = (slot for slot in slots if slot is not None)
    return max(intact, key=lambda slot: slot.sequence, default=None)


def _used_bytes(slot: _Slot) -> int:
    return _SLOT.size + _CRC.size + len(slot.record)


def _encode_slot(slot: _Slot) -> bytes:
    pending = slot.pending or _PendingReference(_NO_PENDING, 0, 0, 0)
    head = _SLOT.pack(
        _SLOT_MAGIC, slot.sequence, len(slot.record),
        pending.file, pending.sequence, pending.length, pending.crc,
    )  # fmt: skip
    rest = slot.record.ljust(RECORD_BYTES_MAX, b"\0")
    return head + _CRC.pack(crc32c(head + rest)) + rest


def _decode_slot(data: bytes) -> _Slot | None:
    """Return the slot, or None if one byte of it is not as written."""
    if len(data) != SLOT_BYTES:
        return None
    head, rest = data[: _SLOT.size], data[_SLOT.size + _CRC.size :]
    if _CRC.unpack_from(data, _SLOT.size)[0] != crc32c(head + rest):
        return None
    magic, sequence, length, file, pending_sequence, pending_bytes, pending_crc = _SLOT.unpack(head)
    if magic != _SLOT_MAGIC or length > RECORD_BYTES_MAX or file > _NO_PENDING:
        return None
    pending = None
    if file != _NO_PENDING:
        pending = _PendingReference(file, pending_sequence, pending_bytes, pending_crc)
    return _Slot(sequence, rest[:length], pending)


def _encode_blank() -> bytes:
    """Return a journal that was never written to."""
    return 4 * _encode_slot(_Slot(0, b"", None)) + 2 * _encode_mark(0)


def _encode_mark(sequence: int) -> bytes:
    body = _MARK.pack(_MARK_MAGIC, sequence).ljust(_MARK_BYTES - _CRC.size, b"\0")
    return body + _CRC.pack(crc32c(body))


def _encode_pending(sequence: int, body: bytes) -> bytes:
    head = _PENDING.pack(_PENDING_MAGIC, sequence, len(body), crc32c(body), 0)[: -_CRC.size]
    return head + _CRC.pack(crc32c(head)) + body
