"""The index of a chain that began with a snapshot, built from its base and its segments.

The rows become streams, state buckets and references; the blocks beside them, from the base's first
to the snapshot's own, become rows of blocks, transactions and log tiles without being executed.
The root of all streams must be the one in the header, which a quorum certified. The newest entry of
a stream is known where it stands in those blocks; what lies before them is not held here.

An index is built in an empty store and counts only as a whole: the caller gives it its place when
this has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from contracts.execution import EntryRow
from ledger.block import TransactionEntry, decode_entry, read_block_header
from ledger.checkpoint import parse_checkpoint_text
from ledger.hashing import ZERO_HASH
from ledger.log import TILE_HEIGHT, TILE_WIDTH, extend_tiles
from ledger.merkle import leaf_hash
from ledger.note import parse_note
from ledger.refusal import Rejected
from ledger.snapshot import Row, StreamRow, compute_base, read_rows
from ledger.state_tree import StateTree
from ledger.stream import compute_state_key, compute_value_hash, encode_stored_stream
from ledger.transaction import compute_tx_id, read_head
from node.snapshot_files import Base
from storage.chain import BlockWrite, ChainStore
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
    try:
        _put_rows(base, keyvalue, newest, progress)
    except Rejected as rejected:
        raise Damaged("base", 0, f"its rows are refused: {rejected}") from None
    _put_blocks(base, store, progress)
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


def _put_rows(base: Base, keyvalue: KeyValue, newest: dict[str, bytes], progress: Progress) -> None:
    tree = StateTree(lambda name: keyvalue.get(b"k" + name))
    count = 0
    for rows in _batches(read_rows(base.chunks())):
        puts: list[tuple[bytes, bytes]] = []
        updates: dict[bytes, bytes] = {}
        for row in rows:
            if isinstance(row, StreamRow):
                last = newest.get(row.name, ZERO_HASH)
                stored = encode_stored_stream(row.value, row.peaks, last)
                puts.append((b"s" + row.name.encode(), stored))
                updates[compute_state_key(row.name)] = compute_value_hash(row.value)
            else:
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


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH_ROWS)):
        yield batch


def _put_blocks(base: Base, store: ChainStore, progress: Progress) -> None:
    size = base.start.log_size
    edge = []
    for level, tile in enumerate(base.manifest.edge):
        edge.append((TILE.pack(b"h", level, size // TILE_WIDTH), tile))
        size >>= TILE_HEIGHT
    store.keyvalue.write([row for row in edge if row[1]])
    log = compute_base(base.manifest)
    newest: dict[str, bytes] = {}
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
