"""Entries that later blocks may read, kept as rows where their blocks are not sure to be at hand.

Execution reads earlier entries of some streams (`contracts.lookback`). A node that began with a
snapshot has none of the blocks before it, and one that was pruned may be without its archive. So
what of those streams stands in such blocks is a row of the index, and below `kept_before` all of
it is. Rows of contracts that are over are dropped. Blocks that stay in the home need no rows.

    a snapshot is installed   its entries become rows, `kept_before` is its first block
    segments are archived     first the rows, then `kept_before`, then the segments go
    the index is built again  from base and segments; then the rows of what is archived
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from api.problems import explain_rejected
from contracts.lookback import PREFIXES, may_look_back
from contracts.streams import (
    EntriesMissing,
    StoredEntry,
    StreamState,
    decode_stream_state,
    walk_back,
)
from ledger.block import decode_transaction_entry
from ledger.hashing import ZERO_HASH
from ledger.merkle import BackwardFrontier, leaf_hash
from ledger.refusal import Rejected
from ledger.transaction import read_head
from node.ledger_store import LedgerStore, Progress
from storage.chain import KeptEntry
from storage.files import Damaged
from storage.keyvalue import KeyValue

BATCH_BYTES: Final = 1024 * 1024
"""Entries written in one batch."""
BATCH_ROWS: Final = 1_000
"""Rows looked at between two pauses, and dropped in one batch (about 20 ms)."""

KEPT_PROGRESS: Final = "entries kept as rows"
VERIFIED_PROGRESS: Final = "entries that may be read again"


def freeze_streams(keyvalue: KeyValue) -> Generator[tuple[str, StreamState], None, None]:
    """Return the streams as they are at this call among which those to be read again are."""
    ranges = [
        keyvalue.freeze(b"s" + prefix.encode(), b"s" + _after(prefix).encode())
        for prefix in PREFIXES
    ]
    return _decode(ranges)


def _after(prefix: str) -> str:
    """Return the first name after all that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _decode(
    ranges: list[Generator[tuple[bytes, bytes], None, None]],
) -> Generator[tuple[str, StreamState], None, None]:
    try:
        for pairs in ranges:
            for key, raw in pairs:
                yield key[1:].decode(), decode_stream_state(raw)
    finally:
        for pairs in ranges:
            pairs.close()


def walk_kept(
    store: LedgerStore, stream: str, state: StreamState
) -> Iterator[tuple[bytes, StoredEntry]]:
    """Yield (tx_id, entry) of all entries of a stream as of `state`, newest first.

    Raises `Damaged` where one is not at hand, and `NotMounted`.
    """
    try:
        yield from walk_back(store.read_entry, stream, state)
    except EntriesMissing as missing:
        raise Damaged(
            "index", 0, f"lacks {missing.missing} of the {state.count} entries of {stream}",
            f"{stream} 的 {state.count} 个条目中缺少 {missing.missing} 个",
        ) from None  # fmt: skip


def verify_entries(
    store: LedgerStore, time_ms: int, progress: Progress = lambda what, done, total: None
) -> tuple[int, int]:
    """Hold all entries that blocks after `time_ms`, the newest one's, may read against the roots,
    and their applied ones against the chain in which execution finds them.

    Returns how many streams and entries these are. Raises `Damaged`, and `NotMounted`.
    """
    streams = count = 0
    for stream, state in freeze_streams(store.chain_store.keyvalue):
        if not may_look_back(stream, state, time_ms):
            continue
        edge = BackwardFrontier(state.count)
        applied, link, is_chained = 0, state.newest_applied, True
        for tx_id, entry in walk_kept(store, stream, state):
            edge.prepend(leaf_hash(entry.raw))
            if not _is_refused(stream, entry.raw):
                is_chained = is_chained and tx_id == link
                link = entry.previous_applied or entry.previous
                applied += 1
            count += 1
            progress(VERIFIED_PROGRESS, count, 0)
        if edge.peaks != state.peaks:
            raise _not_its_entries(stream)
        if not is_chained or link != ZERO_HASH or applied != state.applied:
            raise Damaged(
                "index", 0, f"the chain of applied entries of {stream} is broken",
                f"{stream} 的已执行条目链断开",
            )  # fmt: skip
        streams += 1
    return streams, count


def _is_refused(stream: str, raw: bytes) -> bool:
    try:
        return decode_transaction_entry(raw).outcome.refused
    except Rejected:
        raise _not_its_entries(stream) from None


def _not_its_entries(stream: str) -> Damaged:
    return Damaged(
        "index", 0, f"the entries of {stream} do not give its root",
        f"{stream} 的条目算不出其根哈希",
    )  # fmt: skip


def keep_before(
    store: LedgerStore,
    height: int,
    time_ms: int,
    progress: Progress = lambda what, done, total: None,
) -> int:
    """Keep as rows what blocks after `time_ms`, the newest one's, may read of those below `height`.

    Returns how many entries became rows. Raises `NotMounted` where they are in an archive that is
    not at hand.
    """
    chain_store = store.chain_store
    done = chain_store.kept_before
    if height <= done:
        return 0
    batch: list[KeptEntry] = []
    size = count = 0
    for stream, state in freeze_streams(chain_store.keyvalue):
        if not may_look_back(stream, state, time_ms):
            continue
        tx_id = state.newest
        while tx_id != ZERO_HASH:
            position = chain_store.transaction(tx_id)
            if position is None and chain_store.kept_entry(tx_id) is None:
                raise Damaged(
                    "index", 0, f"lacks entry {tx_id.hex()} of {stream}",
                    f"缺少 {stream} 的条目 {tx_id.hex()}",
                )  # fmt: skip
            if position is None or position.height < done:
                break  # kept already, with all before it
            if position.height < height:
                raw = chain_store.entry_of(position)
                block = chain_store.block_position(position.height)
                links = position.previous, position.previous_applied
                batch.append(KeptEntry(tx_id, block.time_ms, *links, raw))
                size += len(raw)
                count += 1
                progress(KEPT_PROGRESS, count, 0)
            if size >= BATCH_BYTES:
                chain_store.keep_entries(batch)
                batch, size = [], 0
            tx_id = position.previous
    chain_store.keep_entries(batch, height)
    return count


def drop_ended(store: LedgerStore, time_ms: int) -> Iterator[int]:
    """Drop the rows of contracts that no block after `time_ms`, the newest one's, looks back on.

    Yields how many rows were dropped since it last did, wherever whoever works slowly may pause.
    """
    ended: list[bytes] = []
    for seen, kept in enumerate(store.chain_store.scan_kept(), 1):
        stream = _read_stream(kept)
        raw = store.chain_store.state(stream)  # not by the rows at hand, which blocks need
        if not may_look_back(stream, decode_stream_state(raw), time_ms):
            ended.append(kept.tx_id)
        if seen % BATCH_ROWS == 0:
            yield _drop(store, ended)
            ended = []
    yield _drop(store, ended)


def _read_stream(kept: KeptEntry) -> str:
    try:
        entry = decode_transaction_entry(kept.raw)
    except Rejected as rejected:
        raise Damaged(
            "index", 0, f"keeps what is no transaction's entry: {rejected}",
            f"留存的不是交易条目：{explain_rejected(rejected)}",
        ) from None  # fmt: skip
    return read_head(entry.envelope.body).stream


def _drop(store: LedgerStore, tx_ids: list[bytes]) -> int:
    if tx_ids:
        store.chain_store.drop_kept(tx_ids)
    return len(tx_ids)
