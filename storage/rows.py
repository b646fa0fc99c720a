"""The rows of the index: their keys and values, and the values that come back from them.

A key is one letter and then what it names; numbers are big-endian, so keys sort as numbers do.

a                version, applied height, log size     b height(8)       first_index, time, place
f first_index(8) height                                t tx_id           position, previous tx_ids
r reference_key  tx_id, time                           s stream name     state value
k bucket id      bucket record                         h level(1) i(8)   tile
c height(8)      checkpoint note                       u                height after a replay
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from storage.files import Damaged
from storage.records import Appended, Place

ZERO_TX_ID: Final = bytes(32)
"""`previous` of a stream's first transaction."""

APPLIED_KEY: Final = b"a"
APPLIED: Final = struct.Struct(">BQQ")
INDEX_VERSION: Final = 2
"""Of all rows together: one that another version wrote is not read but built again. 1 had no
version and no applied entries of their own (docs/adr/0032)."""
_BLOCK: Final = struct.Struct(">QIQIQI")
_TRANSACTION: Final = struct.Struct(">QQIQII")
HEIGHT: Final = struct.Struct(">Q")
_KEPT_HEAD: Final = struct.Struct(">QB")
"""Time, and length of `previous_applied`."""
KEPT: Final = b"e"
"""Before the transaction id of a kept entry."""
KEPT_BEFORE_KEY: Final = b"g"
"""Of the height below which all entries that may be read again are kept."""
REPLAY_KEY: Final = b"u"
"""While many blocks of the segments are replayed: a process that ends then leaves them lacking."""
TILE: Final = struct.Struct(">cBQ")
_TX_ID_BYTES: Final = 32


class TransactionRow(Protocol):
    """What the index keeps of one transaction, as whoever executed it says."""

    @property
    def tx_id(self) -> bytes:
        """32 bytes."""

    @property
    def reference_key(self) -> bytes:
        """32 bytes; empty when it must not take the reference (it was used before)."""

    @property
    def previous(self) -> bytes:
        """tx_id of the stream's entry before this one, or `ZERO_TX_ID`."""

    @property
    def previous_applied(self) -> bytes:
        """Of an applied one: tx_id of the stream's applied entry before it, or `ZERO_TX_ID`.

        Empty where that is `previous`, as nearly always, and of a refused one.
        """


@dataclass(frozen=True, slots=True)
class BlockWrite:
    """One block and everything that its execution changed."""

    height: int
    first_index: int
    time_ms: int
    entries: Sequence[bytes]
    """Leaf data; the header entry is last."""
    certificate: bytes
    tiles: Sequence[tuple[int, int, bytes]]
    """(level, index, hashes) of the log's tiles that changed."""
    state: Sequence[tuple[str, bytes]]
    """(stream name, state value)."""
    buckets: Sequence[tuple[bytes, bytes]]
    """(bucket id, record) of the state tree."""
    transactions: Sequence[TransactionRow]
    """Of the first entries, in order: a block's other entries are no transactions."""


@dataclass(frozen=True, slots=True)
class TransactionPosition:
    """Where a transaction's entry lies, in the log and on disk."""

    index: int
    height: int
    segment: int
    offset: int
    length: int
    crc: int
    previous: bytes
    """tx_id of the stream's entry before this one, or `ZERO_TX_ID`."""
    previous_applied: bytes
    """As in `TransactionRow`."""


@dataclass(frozen=True, slots=True)
class BlockPosition:
    """Where a block lies, in the log and on disk."""

    first_index: int
    entry_count: int
    time_ms: int
    place: Place

    @property
    def end_index(self) -> int:
        """Index of the first entry after the block."""
        return self.first_index + self.entry_count


def transaction_rows(block: BlockWrite, appended: Appended) -> list[tuple[bytes, bytes]]:
    """Return the rows of a block's transactions: the hot path, two rows for each."""
    pack = _TRANSACTION.pack
    count = len(block.transactions)
    # The header's entry, the last one, has no row.
    offsets, lengths = appended.offsets[:count], appended.lengths[:count]
    crcs = appended.crcs[:count]
    first_index, height, segment = block.first_index, block.height, appended.place.segment
    time = HEIGHT.pack(block.time_ms)
    rows = block.transactions
    indices = range(first_index, first_index + count)
    places = zip(rows, indices, offsets, lengths, crcs, strict=True)
    puts = [
        (
            b"t" + row.tx_id,
            pack(index, height, segment, offset, length, crc) + row.previous + row.previous_applied,
        )
        for row, index, offset, length, crc in places
    ]
    puts += [(b"r" + row.reference_key, row.tx_id + time) for row in rows if row.reference_key]
    return puts


def block_rows(position: BlockPosition) -> list[tuple[bytes, bytes]]:
    """Return the three rows that say where a block lies and that it is applied."""
    place = position.place
    height = HEIGHT.pack(place.height)
    row = _BLOCK.pack(
        position.first_index, position.entry_count, position.time_ms,
        place.segment, place.offset, place.length,
    )  # fmt: skip
    return [
        (APPLIED_KEY, APPLIED.pack(INDEX_VERSION, place.height, position.end_index)),
        (b"b" + height, row),
        (b"f" + HEIGHT.pack(position.first_index), height),
    ]


def decode_block(height: int, row: bytes) -> BlockPosition:
    """Read a block row."""
    if len(row) != _BLOCK.size:
        raise index_damaged(
            f"the row of block {height} has {len(row)} bytes",
            f"区块 {height} 的行有 {len(row)} 字节",
        )
    first_index, count, time_ms, segment, offset, length = _BLOCK.unpack(row)
    return BlockPosition(first_index, count, time_ms, Place(height, segment, offset, length))


def decode_transaction(row: bytes) -> TransactionPosition:
    """Read a transaction row."""
    end = _TRANSACTION.size + _TX_ID_BYTES
    if len(row) not in (end, end + _TX_ID_BYTES):
        raise index_damaged(
            f"a transaction's row has {len(row)} bytes", f"一条交易行有 {len(row)} 字节"
        )
    index, height, segment, offset, length, crc = _TRANSACTION.unpack_from(row)
    previous, applied = row[_TRANSACTION.size : end], row[end:]
    return TransactionPosition(index, height, segment, offset, length, crc, previous, applied)


def encode_reference(tx_id: bytes, time_ms: int) -> bytes:
    """Return a reference row, as `transaction_rows` writes one for each transaction of a block."""
    return tx_id + HEIGHT.pack(time_ms)


def decode_reference(row: bytes) -> tuple[bytes, int]:
    """Read a reference row: (tx_id, block time in ms)."""
    if len(row) != _TX_ID_BYTES + HEIGHT.size:
        raise index_damaged(
            f"a reference's row has {len(row)} bytes", f"一条业务编号行有 {len(row)} 字节"
        )
    return row[:_TX_ID_BYTES], HEIGHT.unpack_from(row, _TX_ID_BYTES)[0]


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry kept as a row, because its block is not at hand or may not always be."""

    tx_id: bytes
    time_ms: int
    """Of its block."""
    previous: bytes
    """tx_id of the stream's entry before this one, or `ZERO_TX_ID`."""
    previous_applied: bytes
    """As in `TransactionRow`."""
    raw: bytes
    """Leaf data."""


def encode_kept(entry: KeptEntry) -> tuple[bytes, bytes]:
    """Return the row of a kept entry."""
    head = _KEPT_HEAD.pack(entry.time_ms, len(entry.previous_applied))
    return KEPT + entry.tx_id, head + entry.previous + entry.previous_applied + entry.raw


def decode_kept(tx_id: bytes, row: bytes) -> KeptEntry:
    """Read the row of a kept entry."""
    end = _KEPT_HEAD.size + _TX_ID_BYTES
    if len(row) <= end:
        raise index_damaged(
            f"the row of kept entry {tx_id.hex()} has {len(row)} bytes",
            f"留存条目 {tx_id.hex()} 的行有 {len(row)} 字节",
        )
    time_ms, size = _KEPT_HEAD.unpack_from(row)
    applied, raw = row[end : end + size], row[end + size :]
    return KeptEntry(tx_id, time_ms, row[_KEPT_HEAD.size : end], applied, raw)


def index_damaged(what: str, what_zh: str) -> Damaged:
    """Return the `Damaged` to raise for a row that is missing or wrong."""
    return Damaged(
        "index", 0, f"{what}; remove the index directory and it is built again",
        f"{what_zh}；删除索引目录，节点会重新建立",
    )  # fmt: skip
