"""The index of a chain that began with a snapshot, built from its base and its segments.

The rows become streams, state buckets, references and kept entries; the blocks beside them, from
the base's first to the snapshot's own, become rows of blocks, transactions and log tiles without
being executed. The root of all streams must be the one in the header, which a quorum certified, and
the entries must be exactly those of the streams that later blocks may read (`contracts.lookback`),
each held against its stream's root. Of other streams the newest entry is known where it stands in
those blocks; what lies before them is not held here.

An index is built in an empty store and counts only as a whole: the caller gives it its place when
this has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, cast

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
from ledger.stream import compute_state_key, compute_value_hash, encode_stored_stream
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
    newest = _find_newest(base, store)
    rows = read_rows(base.chunks())
    first_kept: list[KeptRow] = []
    try:
        _put_rows(base, keyvalue, newest, _until_kept(rows, first_kept), progress)
        kept = cast("Iterator[KeptRow]", chain(first_kept, rows))  # only such come after one
        earlier = _put_kept(base, store, newest, kept, progress)
    except Rejected as rejected:
        raise Damaged("base", 0, f"its rows are refused: {rejected}") from None
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
            "segments", 0, f"end before block {height}, the snapshot is of {base.header.height}"
        )


def _find_newest(base: Base, store: ChainStore) -> dict[str, bytes]:
    """Return the newest transaction of each stream that has one in the blocks."""
    newest: dict[str, bytes] = {}
    for block in _blocks(base, store):
        for tx_id, stream in _transactions(block.entries):
            newest[stream] = tx_id
    return newest


def _transactions(entries: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    for raw in entries[:-1]:
        entry = decode_entry(raw)
        if not isinstance(entry, TransactionEntry):
            raise Damaged("segments", 0, f"entry {entry.index} is no transaction")
        body = entry.envelope.body
        yield compute_tx_id(body), read_head(body).stream


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
    newest: dict[str, bytes],
    all_rows: Iterator[Row],
    progress: Progress,
) -> None:
    tree = StateTree(lambda name: keyvalue.get(b"k" + name))
    count = 0
    for rows in _batches(all_rows):
        puts: list[tuple[bytes, bytes]] = []
        updates: dict[bytes, bytes] = {}
        for row in rows:
            if isinstance(row, StreamRow):
                last = newest.get(row.name, ZERO_HASH)
                stored = encode_stored_stream(row.value, row.peaks, last)
                puts.append((b"s" + row.name.encode(), stored))
                updates[compute_state_key(row.name)] = compute_value_hash(row.value)
            elif isinstance(row, ReferenceRow):
                puts.append((b"r" + row.key, encode_reference(row.tx_id, row.time_ms)))
        plan = tree.plan(updates)
        puts += [(b"k" + name, record) for name, record in plan.buckets if record is not None]
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
        )


def _put_kept(
    base: Base,
    store: ChainStore,
    newest: dict[str, bytes],
    rows: Iterator[KeptRow],
    progress: Progress,
) -> dict[str, bytes]:
    """Keep the entries that later blocks may read and that stand before the blocks fetched.

    Returns the newest of them of each stream that goes on in those blocks, which `newest` has.
    Raises `Rejected` unless `rows` are all entries of all streams that need it, and no more.
    """
    earlier: dict[str, bytes] = {}
    batch: list[KeptEntry] = []
    size = count = 0
    for stream, state in freeze_streams(store.keyvalue):
        if not state.count or not may_look_back(stream, state, base.header.time_ms):
            continue
        last = ZERO_HASH
        waiting: tuple[bytes, KeptRow] | None = None
        for tx_id, position, row in take_entries(stream, state.count, state.peaks, rows):
            if last == ZERO_HASH:
                last = tx_id
            if waiting is not None:
                batch.append(KeptEntry(waiting[0], waiting[1].time_ms, tx_id, waiting[1].entry))
            waiting = None
            if position < base.start.log_size:
                if stream in newest:
                    earlier.setdefault(stream, tx_id)
                waiting = tx_id, row
                size += len(row.entry)
                count += 1
                progress(KEPT_PROGRESS, count, 0)
            if size >= BATCH_BYTES:
                store.keep_entries(batch)
                batch, size = [], 0
        if waiting is not None:
            batch.append(KeptEntry(waiting[0], waiting[1].time_ms, ZERO_HASH, waiting[1].entry))
        stored = encode_stored_stream(state.value, state.peaks, last)
        store.keyvalue.write([(b"s" + stream.encode(), stored)])
    for row in rows:
        position, _, stream = read_kept(row)
        raise Rejected(
            Reason.BAD_FIELD,
            f"snapshot: entry {position} of stream {stream} is one too many: no later block reads "
            "that stream's entries, or they have all come",
        )
    store.keep_entries(batch, base.start.height)
    return earlier


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH_ROWS)):
        yield batch


def _put_blocks(
    base: Base, store: ChainStore, earlier: dict[str, bytes], progress: Progress
) -> None:
    size = base.start.log_size
    edge = []
    for level, tile in enumerate(base.manifest.edge):
        edge.append((TILE.pack(b"h", level, size // TILE_WIDTH), tile))
        size >>= TILE_HEIGHT
    store.keyvalue.write([row for row in edge if row[1]])
    log = compute_base(base.manifest)
    newest = earlier
    total = base.header.height - base.start.height + 1
    for done, block in enumerate(_blocks(base, store), 1):
        header = read_block_header(block.entries)
        rows = []
        for tx_id, stream in _transactions(block.entries):
            rows.append(EntryRow(tx_id, b"", newest.get(stream, ZERO_HASH)))
            newest[stream] = tx_id
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
