"""The index of a chain that began with a snapshot, built from its base and its segments.

The rows become streams, state buckets, references and kept entries; the blocks beside them, from
the base's first to the snapshot's own, become rows of blocks, transactions and log tiles without
being executed. The root of all streams must be the one in the header, which a quorum certified, and
the entries must be exactly those of the streams that later blocks may read (`contracts.lookback`),
each held against its stream's root. Which of them were applied, and how they follow on one another,
is read in the entries themselves. Of other streams the newest entry, the newest applied one and
the number of refused ones are those of these blocks alone, so that links between entries held here
are true; what lies before is not held, and how many were applied is asked by nobody.

An index is built in an empty store and counts only as a whole: the caller gives it its place when
this has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final, cast

from api.problems import explain_rejected
from contracts.execution import EntryRow
from contracts.lookback import may_look_back
from ledger.block import TransactionEntry, decode_entry, read_block_header
from ledger.checkpoint import parse_checkpoint_text
from ledger.hashing import ZERO_HASH
from ledger.log import TILE_HEIGHT, TILE_WIDTH, extend_tiles
from ledger.merkle import leaf_hash
from ledger.note import parse_note
from ledger.refusal import Reason, Rejected
from ledger.snapshot import (
    KeptEntryHead,
    KeptRow,
    ReferenceRow,
    Row,
    StreamRow,
    compute_base,
    read_kept,
    read_rows,
    take_entries,
)
from ledger.state_tree import StateTree
from ledger.stream import (
    compute_state_key,
    compute_value_hash,
    decode_stored_stream,
    encode_stored_stream,
)
from ledger.transaction import compute_tx_id, read_head
from node.kept_entries import BATCH_BYTES, freeze_streams
from node.snapshot_files import Base
from storage.chain import BlockWrite, ChainStore, KeptEntry
from storage.files import Damaged, Directory
from storage.keyvalue import KeyValue
from storage.records import StoredBlock
from storage.rows import HEIGHT, TILE, encode_reference

BATCH_ROWS: Final = 10_000
"""Rows put into the store, and streams into the state tree, at a time."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total; 0 where it is not known)."""

ROWS_PROGRESS: Final = "rows of the snapshot"
BLOCKS_PROGRESS: Final = "blocks beside the snapshot"
KEPT_PROGRESS: Final = "entries of the snapshot"


@dataclass(slots=True)
class _Ends:
    """What a stream ends with, as far as its entries are at hand: 32 zero bytes where none is."""

    newest: bytes = ZERO_HASH
    newest_applied: bytes = ZERO_HASH
    refused: int = 0

    def append(self, tx_id: bytes, is_refused: bool) -> None:
        """Take the entry after those taken."""
        self.newest = tx_id
        if is_refused:
            self.refused += 1
        else:
            self.newest_applied = tx_id

    def prepend(self, head: KeptEntryHead) -> None:
        """Take the entry before those taken."""
        if self.newest == ZERO_HASH:
            self.newest = head.tx_id
        if head.refused:
            self.refused += 1
        elif self.newest_applied == ZERO_HASH:
            self.newest_applied = head.tx_id

    def encode(self, value: bytes, peaks: bytes) -> bytes:
        """Return the stream's row."""
        return encode_stored_stream(value, peaks, self.newest, self.refused, self.newest_applied)


def build_index(
    base: Base,
    segments: Directory,
    keyvalue: KeyValue,
    progress: Progress = lambda what, done, total: None,
) -> None:
    """Fill an empty store; raise `Damaged` if base or segments are not what they should be."""
    store = ChainStore.open(segments, keyvalue, start=base.start)
    if store.applied_height is not None:
        raise ValueError("this index is not empty")
    ends = _find_ends(base, store)
    rows = read_rows(base.chunks())
    first_kept: list[KeptRow] = []
    try:
        _put_rows(base, keyvalue, ends, _until_kept(rows, first_kept), progress)
        kept = cast("Iterator[KeptRow]", chain(first_kept, rows))  # only such come after one
        earlier = _put_kept(base, store, ends, kept, progress)
    except Rejected as rejected:
        raise Damaged(
            "base", 0, f"its rows are refused: {rejected}",
            f"其中的行被拒绝：{explain_rejected(rejected)}",
        ) from None  # fmt: skip
    _put_blocks(base, store, earlier, progress)
    checkpoint = parse_checkpoint_text(parse_note(base.note).text)
    if checkpoint.size == base.header.log_size:
        keyvalue.write([(b"c" + HEIGHT.pack(base.header.height), base.note)])


def _blocks(base: Base, store: ChainStore) -> Iterator[StoredBlock]:
    """Yield the blocks beside the snapshot; the segments may hold later ones."""
    height = base.start.height
    for block in store.segments.scan():
        if block.place.height > base.header.height:
            break
        yield block
        height = block.place.height + 1
    if height != base.header.height + 1:
        raise Damaged(
            "segments", 0, f"end before block {height}, the snapshot is of {base.header.height}",
            f"止于区块 {height} 之前，而快照属于区块 {base.header.height}",
        )  # fmt: skip


def _find_ends(base: Base, store: ChainStore) -> dict[str, _Ends]:
    """Return what each stream that has entries in the blocks ends with, as far as these say."""
    found: dict[str, _Ends] = {}
    for block in _blocks(base, store):
        for tx_id, stream, is_refused in _transactions(block.entries):
            found.setdefault(stream, _Ends()).append(tx_id, is_refused)
    return found


def _transactions(entries: Sequence[bytes]) -> Iterator[tuple[bytes, str, bool]]:
    """Yield (tx_id, stream, whether it was refused) of a block's transactions."""
    for raw in entries[:-1]:
        entry = decode_entry(raw)
        if not isinstance(entry, TransactionEntry):
            raise Damaged(
                "segments", 0, f"entry {entry.index} is no transaction",
                f"条目 {entry.index} 不是交易",
            )  # fmt: skip
        body = entry.envelope.body
        yield compute_tx_id(body), read_head(body).stream, entry.outcome.refused


def _until_kept(rows: Iterator[Row], first_kept: list[KeptRow]) -> Iterator[Row]:
    """Yield rows up to the first kept entry, which is put into `first_kept`."""
    for row in rows:
        if isinstance(row, KeptRow):
            first_kept.append(row)
            return
        yield row


def _put_rows(
    base: Base,
    keyvalue: KeyValue,
    ends: dict[str, _Ends],
    all_rows: Iterator[Row],
    progress: Progress,
) -> None:
    tree = StateTree(lambda name: keyvalue.get(b"k" + name))
    nothing = _Ends()
    count = 0
    for rows in _batches(all_rows):
        puts: list[tuple[bytes, bytes]] = []
        updates: dict[bytes, bytes] = {}
        for row in rows:
            if isinstance(row, StreamRow):
                stored = ends.get(row.name, nothing).encode(row.value, row.peaks)
                puts.append((b"s" + row.name.encode(), stored))
                updates[compute_state_key(row.name)] = compute_value_hash(row.value)
            elif isinstance(row, ReferenceRow):
                puts.append((b"r" + row.key, encode_reference(row.tx_id, row.time_ms)))
        plan = tree.plan(updates)
        puts += [(b"k" + name, record) for name, record in plan.buckets]
        keyvalue.write(puts)
        tree.apply(plan)
        count += len(rows)
        progress(ROWS_PROGRESS, count, 0)
    if tree.root != base.header.state_root:
        raise Damaged(
            "base",
            0,
            f"its streams give state root {tree.root.hex()}, and the header of block "
            f"{base.header.height} has {base.header.state_root.hex()}",
            f"其中各流算得状态根 {tree.root.hex()}，而区块 {base.header.height} 的区块头载明 "
            f"{base.header.state_root.hex()}",
        )


def _put_kept(
    base: Base,
    store: ChainStore,
    ends: dict[str, _Ends],
    rows: Iterator[KeptRow],
    progress: Progress,
) -> dict[str, _Ends]:
    """Keep the entries that later blocks may read and that stand before the blocks fetched.

    Returns what each stream that goes on in those blocks, and so is in `ends`, ends with before
    them. Raises `Rejected` unless `rows` are all entries of all streams that need it, and no more.
    """
    earlier: dict[str, _Ends] = {}
    batch: list[KeptEntry] = []
    size = count = 0
    for stream, state in freeze_streams(store.keyvalue):
        if not state.count or not may_look_back(stream, state, base.header.time_ms):
            continue
        whole, before = _Ends(), _Ends()
        taken = take_entries(stream, state.count, state.peaks, rows)
        for position, entry in _link(_note(taken, whole, before, base.start.log_size)):
            if position < base.start.log_size:
                batch.append(entry)
                size += len(entry.raw)
                count += 1
                progress(KEPT_PROGRESS, count, 0)
            if size >= BATCH_BYTES:
                store.keep_entries(batch)
                batch, size = [], 0
        if stream in ends:
            earlier[stream] = before
        key = b"s" + stream.encode()
        stored = store.keyvalue.get(key)
        if stored is None:
            raise Damaged(
                "index", 0, f"the row of stream {stream} is missing", f"缺少流 {stream} 的行"
            )
        value = decode_stored_stream(stored).value
        store.keyvalue.write([(key, whole.encode(value, state.peaks))])
    for row in rows:
        extra = read_kept(row)
        raise Rejected(
            Reason.BAD_FIELD,
            f"snapshot: entry {extra.position} of stream {extra.stream} is one too many: no later "
            "block reads that stream's entries, or they have all come",
        )
    store.keep_entries(batch, base.start.height)
    return earlier


def _note(
    taken: Iterable[tuple[KeptEntryHead, KeptRow]], whole: _Ends, before: _Ends, log_size: int
) -> Iterator[tuple[KeptEntryHead, KeptRow]]:
    """Pass a stream's entries on, noting its ends, as a whole and before a size of the log."""
    for head, row in taken:
        whole.prepend(head)
        if head.position < log_size:
            before.prepend(head)
        yield head, row


def _link(taken: Iterable[tuple[KeptEntryHead, KeptRow]]) -> Iterator[tuple[int, KeptEntry]]:
    """Yield (position, entry) of a stream's entries, which come newest first, each as soon as the
    one before it is known, and of an applied one the applied one before it: two wait at most."""
    last: tuple[KeptEntryHead, KeptRow] | None = None
    unlinked: tuple[int, KeptEntry] | None = None
    for head, row in taken:
        if last is not None:
            newer = _keep(last, head.tx_id)
            if head.refused and not last[0].refused:
                unlinked = newer
            else:
                yield newer
        if unlinked is not None and not head.refused:
            yield unlinked[0], replace(unlinked[1], previous_applied=head.tx_id)
            unlinked = None
        last = head, row
    if unlinked is not None:
        yield unlinked[0], replace(unlinked[1], previous_applied=ZERO_HASH)
    if last is not None:
        yield _keep(last, ZERO_HASH)


def _keep(taken: tuple[KeptEntryHead, KeptRow], previous: bytes) -> tuple[int, KeptEntry]:
    head, row = taken
    return head.position, KeptEntry(head.tx_id, row.time_ms, previous, b"", row.entry)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH_ROWS)):
        yield batch


def _put_blocks(
    base: Base,
    store: ChainStore,
    ends: dict[str, _Ends],
    progress: Progress,
) -> None:
    """Write the blocks' rows; `ends` has what streams end with before them, and moves on."""
    size = base.start.log_size
    edge = []
    for level, tile in enumerate(base.manifest.edge):
        edge.append((TILE.pack(b"h", level, size // TILE_WIDTH), tile))
        size >>= TILE_HEIGHT
    store.keyvalue.write([row for row in edge if row[1]])
    log = compute_base(base.manifest)
    total = base.header.height - base.start.height + 1
    for done, block in enumerate(_blocks(base, store), 1):
        header = read_block_header(block.entries)
        rows = []
        for tx_id, stream, refused in _transactions(block.entries):
            end = ends.setdefault(stream, _Ends())
            link = b"" if refused or end.newest_applied == end.newest else end.newest_applied
            rows.append(EntryRow(tx_id, b"", end.newest, link))
            end.append(tx_id, refused)
        leaves = [leaf_hash(entry) for entry in block.entries]
        grown = extend_tiles(log, leaves, lambda level, index: store.tile(level, index) or b"")
        store.commit_block(
            BlockWrite(
                height=header.height,
                first_index=header.first_index,
                time_ms=header.time_ms,
                entries=block.entries,
                certificate=block.certificate,
                tiles=grown.tiles,
                state=(),
                buckets=(),
                transactions=rows,
            )
        )
        log = grown.frontier
        progress(BLOCKS_PROGRESS, done, total)
