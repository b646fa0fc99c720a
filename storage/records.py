"""One block's record in a segment file: its format, and where a record lies.

The lengths and CRCs of the entries stand together in a table in front, so that any entry is found
and checked without reading the others, and every byte lies under exactly one CRC-32C.

Record  magic(4) height(u64) entry_count(u32) certificate_bytes(u32) entries_bytes(u32)
        table_crc(u32: table and certificate) crc(u32: of this header)
        entry_count × length(u32), entry_count × crc(u32), certificate, entries
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google_crc32c import value as crc32c

ENTRIES_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Most bytes of entries in one block: 16,384 entries of the 64 KiB that tlog-tiles allows, and
below the u32 of the record header. Genesis bounds blocks far lower."""

CERTIFICATE_BYTES_MAX: Final = 1024 * 1024
"""Most bytes of a commit certificate: 36 validators need about 4 kB."""

RECORD_HEADER: Final = struct.Struct(">4sQIIIII")
RECORD_MAGIC: Final = b"EVBK"
_CRC: Final = struct.Struct(">I")
_CRC_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block's record lies."""

    height: int
    segment: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Offset just past the record."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a block and each of its entries lie; all entries are in the block's segment."""

    place: Place
    offsets: Sequence[int]
    lengths: Sequence[int]
    crcs: Sequence[int]


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block read back whole, every CRC checked."""

    place: Place
    entries: list[bytes]
    certificate: bytes


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """The fixed front of a record."""

    height: int
    entry_count: int
    certificate_bytes: int
    entries_bytes: int
    table_crc: int

    @property
    def table_bytes(self) -> int:
        return 8 * self.entry_count

    @property
    def entries_start(self) -> int:
        """Bytes from the record's start to its first entry."""
        return RECORD_HEADER.size + self.table_bytes + self.certificate_bytes

    @property
    def length(self) -> int:
        return self.entries_start + self.entries_bytes


def encode_record(
    height: int, entries: Sequence[bytes], certificate: bytes
) -> tuple[RecordHeader, list[int], list[int], list[bytes]]:
    """Return the header, the entries' lengths and CRCs, and the parts to write one by one."""
    lengths = list(map(len, entries))
    entries_bytes = sum(lengths)
    if not entries:
        raise ValueError(f"block {height} has no entries; its header is always one")
    if entries_bytes > ENTRIES_BYTES_MAX:
        raise ValueError(
            f"block {height} has {entries_bytes} bytes of entries, the most is {ENTRIES_BYTES_MAX}"
        )
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise ValueError(
            f"block {height} has a certificate of {len(certificate)} bytes, the most is "
            f"{CERTIFICATE_BYTES_MAX}"
        )
    crcs = list(map(crc32c, entries))
    table = struct.pack(f">{2 * len(entries)}I", *lengths, *crcs)
    record = RecordHeader(
        height, len(entries), len(certificate), entries_bytes, crc32c(table + certificate)
    )
    head = RECORD_HEADER.pack(
        RECORD_MAGIC, height, len(entries), len(certificate), entries_bytes, record.table_crc, 0
    )[:-_CRC_BYTES]
    return record, lengths, crcs, [head, _CRC.pack(crc32c(head)), table, certificate, *entries]


def decode_header(data: bytes) -> RecordHeader | None:
    """Return the header, or None if these are not the bytes of one."""
    if len(data) != RECORD_HEADER.size:
        return None
    magic, height, count, certificate_bytes, entries_bytes, table_crc, crc = RECORD_HEADER.unpack(
        data
    )
    if magic != RECORD_MAGIC or crc32c(data[:-_CRC_BYTES]) != crc:
        return None
    return RecordHeader(height, count, certificate_bytes, entries_bytes, table_crc)
