"""The chain on disk: block bodies in segments, and everything found by key in a key-value store.

One order makes it safe: `commit_block` appends the block to its segment and syncs it, then writes
one atomic synced batch that holds everything else, the applied height included. So the index is
never ahead of the segments, and whatever a crash takes from the index stands in the segments:
`unapplied_blocks` yields it, the caller executes it again and calls `commit_block` as before, and
the segment is then compared, not written twice. With the index removed altogether every block is
unapplied, which is how it is rebuilt. It does not know what entries, states, tiles or notes mean.

Rows (one letter, then the key; numbers big-endian so that keys sort as numbers do):
a                applied height, log size              b height(8)       first_index, time, place
f first_index(8) height                                t tx_id           position, previous tx_id
r reference_key  tx_id, time                           s stream name     state value
k bucket id      bucket record                         h level(1) i(8)   tile
c height(8)      checkpoint note
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from storage.files import Damaged, Directory
from storage.keyvalue import KeyValue
from storage.segments import SEGMENT_BYTES, Appended, Place, SegmentLog, StoredBlock

ZERO_TX_ID: Final = bytes(32)
"""`previous` of a stream's first transaction."""

_APPLIED_KEY: Final = b"a"
_APPLIED: Final = struct.Struct(">QQ")
_BLOCK: Final = struct.Struct(">QIQIQI")
_TRANSACTION: Final = struct.Struct(">QQIQII")
_HEIGHT: Final = struct.Struct(">Q")
_TILE: Final = struct.Struct(">cBQ")
_TX_ID_BYTES: Final = 32
_CHECKPOINTS_WAITING_MAX: Final = 16
"""Checkpoints held for the next block's batch; with one per block there are one or two, and an
idle chain still makes a block a minute."""


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """What the index keeps of one transaction."""

    tx_id: bytes
    entry: int
    """Position in the block's entries."""
    stream: str
    reference_key: bytes
    """32 bytes; empty when this transaction must not take the reference (it was used before)."""
    previous: bytes
    """tx_id of the stream's entry before this one, or `ZERO_TX_ID`."""


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
    buckets: Sequence[tuple[bytes, bytes | None]]
    """(bucket id, record) of the state tree; None removes it."""
    transactions: Sequence[TransactionRow]


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


class ChainStore:
    """The chain of one node. One thread commits; any thread may read what is applied."""

    def __init__(self, segments: SegmentLog, keyvalue: KeyValue, applied: BlockPosition | None):
        self.segments: Final = segments
        self.keyvalue: Final = keyvalue
        self.notices: list[str] = [*keyvalue.notices, *segments.notices]
        self._applied = applied
        self._checkpoints_waiting: dict[int, bytes] = {}

    @classmethod
    def open(
        cls,
        directory: Directory,
        keyvalue: KeyValue,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> ChainStore:
        """Open the segments in `directory` and the index beside them, and compare the two.

        `directory` holds segments only. Check `notices`, then replay `unapplied_blocks`.
        """
        applied = _read_applied(keyvalue)
        place = applied.place if applied is not None else None
        segments = SegmentLog.open(directory, place, segment_bytes=segment_bytes)
        store = cls(segments, keyvalue, applied)
        count = store.unapplied_count
        if count:
            at = "is empty" if applied is None else f"is at block {applied.place.height}"
            store.notices.append(
                f"The index {at} and the segments reach block {segments.next_height - 1}: "
                f"{count} to replay."
            )
        return store

    @property
    def applied_height(self) -> int | None:
        """Height of the last block committed here; None when empty."""
        return None if self._applied is None else self._applied.place.height

    @property
    def log_size(self) -> int:
        """Number of entries of all applied blocks."""
        return 0 if self._applied is None else self._applied.end_index

    @property
    def unapplied_count(self) -> int:
        """Number of blocks that the segments hold beyond the applied height."""
        return self.segments.next_height - self._next_height

    def unapplied_blocks(self) -> Iterator[StoredBlock]:
        """Yield the blocks to execute and commit again, lowest first; `commit_block` may run
        between two of them."""
        yield from self.segments.scan(None if self._applied is None else self._applied.place)

    def commit_block(self, block: BlockWrite) -> None:
        """Make a decided and executed block durable: its segment first, then one batch."""
        if block.height != self._next_height:
            raise ValueError(f"block {block.height} cannot follow, {self._next_height} is next")
        if block.first_index != self.log_size:
            raise ValueError(
                f"block {block.height} begins at entry {block.first_index}, the log has "
                f"{self.log_size}"
            )
        if block.height < self.segments.next_height:
            appended = self._appended_before(block)
        else:
            appended = self.segments.append_block(block.height, block.entries, block.certificate)
            self.segments.sync()
        position = BlockPosition(
            block.first_index, len(block.entries), block.time_ms, appended.place
        )
        puts = _index_rows(block, appended)
        puts += _block_rows(position)
        waiting = list(self._checkpoints_waiting.items())
        puts += [(b"c" + _HEIGHT.pack(height), note) for height, note in waiting]
        puts += [(b"s" + stream.encode(), value) for stream, value in block.state]
        puts += [(b"k" + key, record) for key, record in block.buckets if record is not None]
        puts += [(_TILE.pack(b"h", level, index), tile) for level, index, tile in block.tiles]
        self.keyvalue.write(puts, [b"k" + key for key, record in block.buckets if record is None])
        self._applied = position
        self._forget_waiting(waiting)

    # -- blocks and entries

    def block_position(self, height: int) -> BlockPosition:
        """Return where an applied block lies; `KeyError` above the applied height."""
        if not 0 <= height < self._next_height:
            raise KeyError(f"block {height} is not applied here, {self._next_height} is next")
        row = self.keyvalue.get(b"b" + _HEIGHT.pack(height))
        if row is None:
            raise _index_damaged(f"the row of block {height} is missing")
        return _decode_block(height, row)

    def block(self, height: int) -> tuple[list[bytes], bytes]:
        """Return a block's entries and commit certificate."""
        stored = self.segments.read_block(self.block_position(height).place)
        return stored.entries, stored.certificate

    def header_entry(self, height: int) -> bytes:
        """Return a block's last entry."""
        position = self.block_position(height)
        count = position.entry_count
        return self.segments.read_entries(position.place, count - 1, count)[0]

    def block_of(self, index: int) -> BlockPosition:
        """Return the block that holds an entry of the log; `KeyError` beyond the log."""
        if not 0 <= index < self.log_size:
            raise KeyError(f"entry {index} is not in the log of {self.log_size}")
        rows = self.keyvalue.scan(b"f", b"f" + _HEIGHT.pack(index + 1), reverse=True)
        row = next(rows, None)
        if row is None or len(row[1]) != _HEIGHT.size:
            raise _index_damaged(f"no block is found for entry {index}")
        position = self.block_position(_HEIGHT.unpack(row[1])[0])
        if not position.first_index <= index < position.end_index:
            raise _index_damaged(f"the block found for entry {index} does not hold it")
        return position

    def entry(self, index: int) -> bytes:
        """Return one entry of the log."""
        position = self.block_of(index)
        at = index - position.first_index
        return self.segments.read_entries(position.place, at, at + 1)[0]

    def entries(self, begin: int, end: int) -> list[bytes]:
        """Return the entries [begin, end) of the log; `KeyError` beyond it."""
        if not 0 <= begin <= end <= self.log_size:
            raise KeyError(f"entries [{begin}, {end}) are not all in the log of {self.log_size}")
        found: list[bytes] = []
        position = self.block_of(begin) if begin < end else None
        while position is not None:
            first = max(begin, position.first_index) - position.first_index
            last = min(end, position.end_index) - position.first_index
            found += self.segments.read_entries(position.place, first, last)
            is_done = position.end_index >= end
            position = None if is_done else self.block_position(position.place.height + 1)
        return found

    # -- transactions, references, state, tiles

    def transaction(self, tx_id: bytes) -> TransactionPosition | None:
        """Return where a transaction's entry lies, or None."""
        row = self.keyvalue.get(b"t" + tx_id)
        return None if row is None else _decode_transaction(row)

    def entry_of(self, position: TransactionPosition) -> bytes:
        """Return a transaction's entry in one read."""
        return self.segments.read_at(
            position.segment, position.offset, position.length, position.crc
        )

    def reference(self, key: bytes) -> tuple[bytes, int] | None:
        """Return the (tx_id, block time in ms) that took a business reference, or None."""
        row = self.keyvalue.get(b"r" + key)
        if row is None:
            return None
        return _decode_reference(row)

    def state(self, stream: str) -> bytes | None:
        """Return a stream's state value, or None."""
        return self.keyvalue.get(b"s" + stream.encode())

    def scan_state(self) -> Iterator[tuple[str, bytes]]:
        """Yield every (stream name, state value), by name."""
        for key, value in self.keyvalue.scan(b"s", b"t"):
            yield key[1:].decode(), value

    def bucket(self, key: bytes) -> bytes | None:
        """Return a bucket record of the state tree, or None."""
        return self.keyvalue.get(b"k" + key)

    def scan_buckets(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every (bucket id, record), by id."""
        for key, value in self.keyvalue.scan(b"k", b"l"):
            yield key[1:], value

    def tile(self, level: int, index: int) -> bytes | None:
        """Return the hashes of a tile of the log as last written, or None."""
        return self.keyvalue.get(_TILE.pack(b"h", level, index))

    # -- certified checkpoints

    def put_checkpoint(self, height: int, note: bytes) -> None:
        """Keep a certified checkpoint: readable at once, durable with the next block or `close`.

        Losing one in a crash is harmless (any peer has it, and a newer one covers it), and an
        unsynced batch of its own could leave a torn log behind.
        """
        self._checkpoints_waiting[height] = note
        if len(self._checkpoints_waiting) > _CHECKPOINTS_WAITING_MAX:
            self.flush_checkpoints()

    def flush_checkpoints(self) -> None:
        """Write the waiting checkpoints now."""
        waiting = list(self._checkpoints_waiting.items())
        if waiting:
            self.keyvalue.write([(b"c" + _HEIGHT.pack(height), note) for height, note in waiting])
        self._forget_waiting(waiting)

    def checkpoint(self, height: int) -> bytes | None:
        """Return the certified checkpoint of a height, or None."""
        waiting = self._checkpoints_waiting.get(height)
        return waiting if waiting is not None else self.keyvalue.get(b"c" + _HEIGHT.pack(height))

    def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Return the (height, note) of the highest certified checkpoint, or None."""
        waiting = max(self._checkpoints_waiting.copy().items(), default=None)
        row = next(self.keyvalue.scan(b"c", b"d", reverse=True), None)
        stored = None if row is None else (_HEIGHT.unpack(row[0][1:])[0], row[1])
        return max((found for found in (waiting, stored) if found is not None), default=None)

    def first_checkpoint_at_or_after(self, height: int) -> tuple[int, bytes] | None:
        """Return the lowest certified checkpoint that covers a height, or None."""
        waiting = min(
            (pair for pair in self._checkpoints_waiting.copy().items() if pair[0] >= height),
            default=None,
        )
        row = next(self.keyvalue.scan(b"c" + _HEIGHT.pack(height), b"d"), None)
        stored = None if row is None else (_HEIGHT.unpack(row[0][1:])[0], row[1])
        return min((found for found in (waiting, stored) if found is not None), default=None)

    def scan_checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """Yield every certified checkpoint that is durable, lowest first."""
        for key, note in self.keyvalue.scan(b"c", b"d"):
            yield _HEIGHT.unpack(key[1:])[0], note

    def close(self) -> None:
        """Write what waits and release the index; the directory is the caller's."""
        self.flush_checkpoints()
        self.keyvalue.close()

    # -- inside

    @property
    def _next_height(self) -> int:
        return 0 if self._applied is None else self._applied.place.height + 1

    def _appended_before(self, block: BlockWrite) -> Appended:
        """Return where a replayed block already lies, after comparing it byte for byte.

        The segment's commit certificate stays: nodes may rightly hold different ones.
        """
        after = None if self._applied is None else self._applied.place
        place = next(self.segments.places(after))
        stored = self.segments.read_block(place)
        if stored.entries != list(block.entries):
            raise Damaged(
                f"segment {place.segment}", place.offset,
                f"holds block {block.height} with other entries than the ones now committed",
            )  # fmt: skip
        return self.segments.locate(place)

    def _forget_waiting(self, written: Sequence[tuple[int, bytes]]) -> None:
        for height, note in written:
            if self._checkpoints_waiting.get(height) == note:
                del self._checkpoints_waiting[height]


def _index_rows(block: BlockWrite, appended: Appended) -> list[tuple[bytes, bytes]]:
    """Return the rows of a block's transactions: the hot path, two rows for each."""
    pack = _TRANSACTION.pack
    offsets, lengths, crcs = appended.offsets, appended.lengths, appended.crcs
    first_index, height, segment = block.first_index, block.height, appended.place.segment
    time = _HEIGHT.pack(block.time_ms)
    puts: list[tuple[bytes, bytes]] = []
    put = puts.append
    for row in block.transactions:
        at = row.entry
        tx_id = row.tx_id
        put((
            b"t" + tx_id,
            pack(first_index + at, height, segment, offsets[at], lengths[at], crcs[at])
            + row.previous,
        ))  # fmt: skip
        if row.reference_key:
            put((b"r" + row.reference_key, tx_id + time))
    return puts


def _block_rows(position: BlockPosition) -> list[tuple[bytes, bytes]]:
    place = position.place
    height = _HEIGHT.pack(place.height)
    row = _BLOCK.pack(
        position.first_index, position.entry_count, position.time_ms,
        place.segment, place.offset, place.length,
    )  # fmt: skip
    return [
        (_APPLIED_KEY, _APPLIED.pack(place.height, position.end_index)),
        (b"b" + height, row),
        (b"f" + _HEIGHT.pack(position.first_index), height),
    ]


def _read_applied(keyvalue: KeyValue) -> BlockPosition | None:
    applied = keyvalue.get(_APPLIED_KEY)
    if applied is None:
        for key, _ in keyvalue.scan(b"b", b"c"):
            raise _index_damaged(
                f"the applied height is missing, yet there is block {int.from_bytes(key[1:])}"
            )
        return None
    if len(applied) != _APPLIED.size:
        raise _index_damaged(f"the applied height has {len(applied)} bytes")
    height, log_size = _APPLIED.unpack(applied)
    row = keyvalue.get(b"b" + _HEIGHT.pack(height))
    if row is None:
        raise _index_damaged(f"block {height} is applied and its row is missing")
    position = _decode_block(height, row)
    if position.end_index != log_size:
        raise _index_damaged(
            f"block {height} ends at entry {position.end_index}, the log has {log_size}"
        )
    return position


def _decode_block(height: int, row: bytes) -> BlockPosition:
    if len(row) != _BLOCK.size:
        raise _index_damaged(f"the row of block {height} has {len(row)} bytes")
    first_index, count, time_ms, segment, offset, length = _BLOCK.unpack(row)
    return BlockPosition(first_index, count, time_ms, Place(height, segment, offset, length))


def _decode_transaction(row: bytes) -> TransactionPosition:
    if len(row) != _TRANSACTION.size + _TX_ID_BYTES:
        raise _index_damaged(f"a transaction's row has {len(row)} bytes")
    index, height, segment, offset, length, crc = _TRANSACTION.unpack_from(row)
    previous = row[_TRANSACTION.size :]
    return TransactionPosition(index, height, segment, offset, length, crc, previous)


def _decode_reference(row: bytes) -> tuple[bytes, int]:
    if len(row) != _TX_ID_BYTES + _HEIGHT.size:
        raise _index_damaged(f"a reference's row has {len(row)} bytes")
    return row[:_TX_ID_BYTES], _HEIGHT.unpack_from(row, _TX_ID_BYTES)[0]


def _index_damaged(what: str) -> Damaged:
    return Damaged("index", 0, f"{what}; remove the index directory and it is built again")
