"""The chain on disk: block bodies in segments, and everything found by key in a key-value store.

One order makes it safe: `commit_block` appends the block to its segment and syncs it, then writes
one atomic synced batch that holds everything else, the applied height included. So the index is
never ahead of the segments, and whatever a crash takes from the index stands in the segments:
`unapplied_blocks` yields it, the caller executes it again and calls `commit_block` as before, and
the segment is then compared, not written twice. With the index removed altogether every block is
unapplied, which is how it is rebuilt. It does not know what entries, states, tiles or notes mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.words import Words
from storage.files import Damaged, Directory, StorageFailure
from storage.keyvalue import KeyValue
from storage.records import Appended, StoredBlock
from storage.rows import (
    APPLIED,
    APPLIED_KEY,
    HEIGHT,
    INDEX_VERSION,
    KEPT,
    KEPT_BEFORE_KEY,
    REPLAY_KEY,
    TILE,
    ZERO_TX_ID,
    BlockPosition,
    BlockWrite,
    KeptEntry,
    TransactionPosition,
    TransactionRow,
    block_rows,
    decode_block,
    decode_kept,
    decode_reference,
    decode_transaction,
    encode_kept,
    index_damaged,
    transaction_rows,
)
from storage.segments import SEGMENT_BYTES, SegmentLog

__all__ = [
    "ZERO_TX_ID",
    "BlockPosition",
    "BlockWrite",
    "ChainStart",
    "ChainStore",
    "GENESIS_START",
    "KeptEntry",
    "NotHeld",
    "TransactionPosition",
    "TransactionRow",
]


@dataclass(frozen=True, slots=True)
class ChainStart:
    """What a chain on disk begins with: genesis, or the first block beside a snapshot."""

    height: int
    """Its first block."""
    log_size: int
    """Entries of the log before that block."""

    @property
    def not_held(self) -> str:
        """The end of a sentence about something before it."""
        return (
            "is not held here: this node began with a snapshot and holds blocks from "
            f"{self.height} and entries from {self.log_size} on; ask another node"
        )

    @property
    def not_held_zh(self) -> str:
        """The same in Chinese."""
        return (
            f"不在本节点：本节点自快照开始，只存有高度 {self.height} 起的区块和序号 "
            f"{self.log_size} 起的条目；请向其他节点查询"
        )


GENESIS_START: Final = ChainStart(0, 0)


class NotHeld(Exception):
    """What is asked for stands before this chain's start: another node has to be asked."""

    def __init__(self, what: str, start: ChainStart) -> None:
        super().__init__(f"{what} {start.not_held}")


_APPLIED_BYTES_V1: Final = 16
_AFTER_KEPT: Final = bytes([KEPT[0] + 1])
_CHECKPOINTS_WAITING_MAX: Final = 16
"""Checkpoints held for the next block's batch; with one per block there are one or two, and an
idle chain still makes a block a minute."""


class ChainStore:
    """The chain of one node. One thread commits; any thread may read what is applied."""

    def __init__(
        self,
        segments: SegmentLog,
        keyvalue: KeyValue,
        applied: BlockPosition | None,
        start: ChainStart = GENESIS_START,
    ):
        self.start: Final = start
        self.segments: Final = segments
        self.keyvalue: Final = keyvalue
        self.notices: list[Words] = [*keyvalue.notices, *segments.notices]
        self._applied = applied
        self.lacked_count: Final = self.unapplied_count
        """Blocks that the index lacked when it was opened: a kill leaves one of them at most, or
        what is left of a replay."""
        behind = HEIGHT.pack(segments.next_height)
        self.is_replay_cut_off: Final = keyvalue.get(REPLAY_KEY) == behind
        """Whether it was being replayed to where the segments still end; they grow only after."""
        self._failure: StorageFailure | None = None
        self._checkpoints_waiting: dict[int, bytes] = {}

    @classmethod
    def open(
        cls,
        directory: Directory,
        keyvalue: KeyValue,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        start: ChainStart = GENESIS_START,
    ) -> ChainStore:
        """Open the segments in `directory` and the index beside them, and compare the two.

        `directory` holds segments only. Check `notices`, then replay `unapplied_blocks`.
        """
        applied = _read_applied(keyvalue)
        place = applied.place if applied is not None else None
        segments = SegmentLog.open(
            directory, place, segment_bytes=segment_bytes, first_height=start.height
        )
        store = cls(segments, keyvalue, applied, start)
        count = store.lacked_count
        if count:
            at, at_zh = ("is empty", "为空")
            if applied is not None:
                height = applied.place.height
                at, at_zh = f"is at block {height}", f"到区块 {height}"
            store.notices.append(
                Words(
                    f"索引{at_zh}，数据段到区块 {segments.next_height - 1}：有 {count} 个待重放。",
                    f"The index {at} and the segments reach block {segments.next_height - 1}: "
                    f"{count} to replay.",
                )
            )
        return store

    @property
    def applied_height(self) -> int | None:
        """Height of the last block committed here; None when empty."""
        return None if self._applied is None else self._applied.place.height

    @property
    def log_size(self) -> int:
        """Number of entries of all applied blocks."""
        return self.start.log_size if self._applied is None else self._applied.end_index

    @property
    def unapplied_count(self) -> int:
        """Number of blocks that the segments hold beyond the applied height."""
        return self.segments.next_height - self._next_height

    def unapplied_blocks(self) -> Iterator[StoredBlock]:
        """Yield the blocks to execute and commit again, lowest first; `commit_block` may run
        between two of them."""
        yield from self.segments.scan(None if self._applied is None else self._applied.place)

    def begin_replay(self) -> None:
        """Note that many blocks are to be replayed, if they are: an index that lacks as many
        would else be one that has lost rows."""
        if self.unapplied_count > 1:
            self.keyvalue.write([(REPLAY_KEY, HEIGHT.pack(self.segments.next_height))])

    def end_replay(self) -> None:
        """Note that every block of the segments is applied."""
        if self.keyvalue.get(REPLAY_KEY) is not None:
            self.keyvalue.write([], [REPLAY_KEY])

    def commit_block(self, block: BlockWrite) -> None:
        """Make a decided and executed block durable: its segment first, then one batch."""
        self.index_block(block, self.append_block(block))

    def append_block(self, block: BlockWrite) -> Appended:
        """The first half of `commit_block`: the block in its segment, synced.

        Nobody can read it yet, so this may run on another thread than the readers'.
        """
        if block.height != self._next_height:
            raise ValueError(f"block {block.height} cannot follow, {self._next_height} is next")
        if block.first_index != self.log_size:
            raise ValueError(
                f"block {block.height} begins at entry {block.first_index}, the log has "
                f"{self.log_size}"
            )
        if self._failure is not None:
            raise StorageFailure(
                f"block {block.height} is refused, because {self._failure}",
                f"不写入区块 {block.height}，因为{self._failure.detail_zh}",
            )
        try:
            return self._append(block)
        except StorageFailure as failure:
            # The segment may hold a block that its fsync did not make durable: only a new process
            # may look whether it is there.
            self._failure = failure
            raise

    def index_block(self, block: BlockWrite, appended: Appended) -> None:
        """The second half: everything else in one atomic synced batch; then it is applied."""
        try:
            self._write_index(block, appended)
        except StorageFailure as failure:
            self._failure = failure
            raise

    # -- blocks and entries

    def block_position(self, height: int) -> BlockPosition:
        """Return where an applied block lies; `KeyError` above the applied height.

        Raises `NotHeld` for one before this chain's start.
        """
        self._check_held(height, "block", self.start.height)
        if not 0 <= height < self._next_height:
            raise KeyError(f"block {height} is not applied here, {self._next_height} is next")
        row = self.keyvalue.get(b"b" + HEIGHT.pack(height))
        if row is None:
            raise index_damaged(f"the row of block {height} is missing", f"缺少区块 {height} 的行")
        return decode_block(height, row)

    def block(self, height: int) -> tuple[list[bytes], bytes]:
        """Return a block's entries and commit certificate."""
        stored = self.segments.read_block(self.block_position(height).place)
        return stored.entries, stored.certificate

    def header_entry(self, height: int) -> bytes:
        """Return a block's last entry."""
        position = self.block_position(height)
        count = position.entry_count
        return self.segments.read_entries(position.place, count - 1, count)[0]

    def block_ends(self, height: int) -> tuple[bytes, bytes]:
        """Return a block's last entry and its commit certificate."""
        return self.segments.read_ends(self.block_position(height).place)

    def block_of(self, index: int) -> BlockPosition:
        """Return the block that holds an entry of the log; `KeyError` beyond the log.

        Raises `NotHeld` for an entry before this chain's start.
        """
        self._check_held(index, "entry", self.start.log_size)
        if not 0 <= index < self.log_size:
            raise KeyError(f"entry {index} is not in the log of {self.log_size}")
        rows = self.keyvalue.scan(b"f", b"f" + HEIGHT.pack(index + 1), reverse=True)
        row = next(rows, None)
        if row is None or len(row[1]) != HEIGHT.size:
            raise index_damaged(
                f"no block is found for entry {index}", f"找不到条目 {index} 所在的区块"
            )
        position = self.block_position(HEIGHT.unpack(row[1])[0])
        if not position.first_index <= index < position.end_index:
            raise index_damaged(
                f"the block found for entry {index} does not hold it",
                f"为条目 {index} 找到的区块不含该条目",
            )
        return position

    def entry(self, index: int) -> bytes:
        """Return one entry of the log."""
        position = self.block_of(index)
        at = index - position.first_index
        return self.segments.read_entries(position.place, at, at + 1)[0]

    def entries(self, begin: int, end: int) -> list[bytes]:
        """Return the entries [begin, end) of the log; `KeyError` beyond it, `NotHeld` before."""
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
        return None if row is None else decode_transaction(row)

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
        return decode_reference(row)

    def scan_references(self) -> Iterator[bytes]:
        """Yield every reference key that was ever used."""
        for key, _ in self.keyvalue.scan(b"r", b"s"):
            yield key[1:]

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
        return self.keyvalue.get(TILE.pack(b"h", level, index))

    # -- entries kept as rows

    def kept_entry(self, tx_id: bytes) -> KeptEntry | None:
        """Return an entry that is kept as a row, or None."""
        row = self.keyvalue.get(KEPT + tx_id)
        return None if row is None else decode_kept(tx_id, row)

    def scan_kept(self) -> Iterator[KeptEntry]:
        """Yield every kept entry as they are at this call, by transaction id."""
        for key, row in self.keyvalue.freeze(KEPT, _AFTER_KEPT):
            yield decode_kept(key[len(KEPT) :], row)

    @property
    def kept_before(self) -> int:
        """Height below which every entry that may be read again is kept as a row."""
        row = self.keyvalue.get(KEPT_BEFORE_KEY)
        return 0 if row is None else HEIGHT.unpack(row)[0]

    def keep_entries(self, entries: Sequence[KeptEntry], before: int | None = None) -> None:
        """Keep these as rows; with `before`, all below that height are now kept."""
        puts = [encode_kept(entry) for entry in entries]
        if before is not None:
            puts.append((KEPT_BEFORE_KEY, HEIGHT.pack(before)))
        self.keyvalue.write(puts)

    def drop_kept(self, tx_ids: Sequence[bytes]) -> None:
        """Keep these as rows no more."""
        self.keyvalue.write([], [KEPT + tx_id for tx_id in tx_ids])

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
            self.keyvalue.write([(b"c" + HEIGHT.pack(height), note) for height, note in waiting])
        self._forget_waiting(waiting)

    def checkpoint(self, height: int) -> bytes | None:
        """Return the certified checkpoint of a height, or None."""
        waiting = self._checkpoints_waiting.get(height)
        return waiting if waiting is not None else self.keyvalue.get(b"c" + HEIGHT.pack(height))

    def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Return the (height, note) of the highest certified checkpoint, or None."""
        waiting = max(self._checkpoints_waiting.copy().items(), default=None)
        row = next(self.keyvalue.scan(b"c", b"d", reverse=True), None)
        stored = None if row is None else (HEIGHT.unpack(row[0][1:])[0], row[1])
        return max((found for found in (waiting, stored) if found is not None), default=None)

    def first_checkpoint_at_or_after(self, height: int) -> tuple[int, bytes] | None:
        """Return the lowest certified checkpoint that covers a height, or None."""
        waiting = min(
            (pair for pair in self._checkpoints_waiting.copy().items() if pair[0] >= height),
            default=None,
        )
        row = next(self.keyvalue.scan(b"c" + HEIGHT.pack(height), b"d"), None)
        stored = None if row is None else (HEIGHT.unpack(row[0][1:])[0], row[1])
        return min((found for found in (waiting, stored) if found is not None), default=None)

    def scan_checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """Yield every certified checkpoint that is durable, lowest first."""
        for key, note in self.keyvalue.scan(b"c", b"d"):
            yield HEIGHT.unpack(key[1:])[0], note

    def close(self) -> None:
        """Write what waits and release the index; the directory is the caller's."""
        self.flush_checkpoints()
        self.keyvalue.close()

    # -- inside

    def _append(self, block: BlockWrite) -> Appended:
        if block.height < self.segments.next_height:
            return self._appended_before(block)
        appended = self.segments.append_block(block.height, block.entries, block.certificate)
        self.segments.sync()
        return appended

    def _write_index(self, block: BlockWrite, appended: Appended) -> None:
        position = BlockPosition(
            block.first_index, len(block.entries), block.time_ms, appended.place
        )
        puts = transaction_rows(block, appended)
        puts += block_rows(position)
        waiting = list(self._checkpoints_waiting.items())
        puts += [(b"c" + HEIGHT.pack(height), note) for height, note in waiting]
        puts += [(b"s" + stream.encode(), value) for stream, value in block.state]
        puts += [(b"k" + key, record) for key, record in block.buckets]
        puts += [(TILE.pack(b"h", level, index), tile) for level, index, tile in block.tiles]
        self.keyvalue.write(puts)
        self._applied = position
        self._forget_waiting(waiting)

    @property
    def _next_height(self) -> int:
        return self.start.height if self._applied is None else self._applied.place.height + 1

    def _check_held(self, number: int, what: str, first: int) -> None:
        if 0 <= number < first:
            raise NotHeld(f"{what} {number}", self.start)

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
                f"所存区块 {block.height} 的条目与现在写入的不同",
            )  # fmt: skip
        return self.segments.locate(place)

    def _forget_waiting(self, written: Sequence[tuple[int, bytes]]) -> None:
        for height, note in written:
            if self._checkpoints_waiting.get(height) == note:
                del self._checkpoints_waiting[height]


def _read_applied(keyvalue: KeyValue) -> BlockPosition | None:
    applied = keyvalue.get(APPLIED_KEY)
    if applied is None:
        for key, _ in keyvalue.scan(b"b", b"c"):
            raise index_damaged(
                f"the applied height is missing, yet there is block {int.from_bytes(key[1:])}",
                f"缺少已执行高度，却存有区块 {int.from_bytes(key[1:])}",
            )
        return None
    if len(applied) == _APPLIED_BYTES_V1:
        raise index_damaged(*_other_version(1))
    if len(applied) != APPLIED.size:
        raise index_damaged(
            f"the applied height has {len(applied)} bytes", f"已执行高度有 {len(applied)} 字节"
        )
    version, height, log_size = APPLIED.unpack(applied)
    if version != INDEX_VERSION:
        raise index_damaged(*_other_version(version))
    row = keyvalue.get(b"b" + HEIGHT.pack(height))
    if row is None:
        raise index_damaged(
            f"block {height} is applied and its row is missing",
            f"区块 {height} 已执行，却缺少其行",
        )
    position = decode_block(height, row)
    if position.end_index != log_size:
        raise index_damaged(
            f"block {height} ends at entry {position.end_index}, the log has {log_size}",
            f"区块 {height} 止于条目 {position.end_index}，而日志有 {log_size} 个条目",
        )
    return position


def _other_version(version: int) -> tuple[str, str]:
    return (
        f"it is of version {version}, and this node writes version {INDEX_VERSION}",
        f"其版本为 {version}，而本节点写入版本 {INDEX_VERSION}",
    )
