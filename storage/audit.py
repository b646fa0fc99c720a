"""The full check of a stored chain, for `inspect`: segments, index, and each against the other.

Checksums find bytes that changed; they do not find a row that vanished whole, or one that is intact
and says something else. So every entry of every block is read, the caller tells what it is (storage
knows no entry formats and checks no hashes), and the rows that must follow from it are compared
with the rows that are there, and counted, so that one too many is seen as well. State, buckets and
tiles are the caller's to compare: their roots stand in the headers that pass through `identify`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.words import Words
from storage.chain import ZERO_TX_ID, ChainStore, TransactionPosition
from storage.files import Damaged
from storage.records import StoredBlock

_ROWS_PREFIXES = (
    (b"t", Words("交易", "transaction")),
    (b"r", Words("业务编号", "reference")),
    (b"b", Words("区块", "block")),
    (b"f", Words("首条目序号", "first index")),
)


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What the caller reads out of a transaction entry, its hashes checked."""

    tx_id: bytes
    stream: str
    reference_key: bytes
    """As in `TransactionRow`: empty when this transaction did not take its reference. One that was
    free again, its time being over, is taken a second time; its row is the newest taker's."""
    refused: bool


Identify = Callable[[int, bytes], EntryFacts | None]
"""Called with (index, entry); None for an entry that is no transaction. It raises `Damaged` if the
entry is not what the chain says stands there."""


Progress = Callable[[str, int, int], None]
"""Called with (what is read, done, total)."""


def verify_chain(
    store: ChainStore, identify: Identify, progress: Progress = lambda what, done, total: None
) -> None:
    """Read everything stored; raise `Damaged` at the first thing that is wrong."""
    if store.unapplied_count:
        raise ValueError(f"{store.unapplied_count} blocks are to be replayed before the check")
    store.segments.verify(lambda done, total: progress("bytes of the segments", done, total))
    store.flush_checkpoints()
    store.keyvalue.verify()
    ends: dict[str, tuple[bytes, bytes | None]] = {}
    counts = dict.fromkeys((b"t", b"r", b"b", b"f"), 0)
    awaited: dict[bytes, bytes] = {}
    index = store.start.log_size
    for block in store.segments.scan():
        _verify_block(store, block, index)
        counts[b"b"] += 1
        counts[b"f"] += 1
        located = store.segments.locate(block.place)
        time_ms = store.block_position(block.place.height).time_ms
        for at, entry in enumerate(block.entries):
            facts = identify(index + at, entry)
            if facts is None:
                continue
            expected = TransactionPosition(
                index + at, block.place.height, block.place.segment, located.offsets[at],
                located.lengths[at], located.crcs[at], *_find_links(store, facts, ends),
            )  # fmt: skip
            _verify_transaction(store, facts, expected)
            counts[b"t"] += 1
            if facts.reference_key:
                counts[b"r"] += _verify_reference(store, facts, expected, time_ms, awaited)
        index += len(block.entries)
        progress("rows of blocks", block.place.height + 1, store.segments.next_height)
    for tx_id in awaited.values():
        raise Damaged(
            "index", 0,
            f"has a reference taken by transaction {tx_id.hex()}, which did not take it",
            f"载明某业务编号由交易 {tx_id.hex()} 占用，而该交易并未占用",
        )  # fmt: skip
    for prefix, name in _ROWS_PREFIXES:
        if prefix == b"r" and store.start.height:
            continue  # references from before the snapshot: the caller holds them against its rows
        found = sum(1 for _ in store.keyvalue.scan(prefix, bytes([prefix[0] + 1])))
        if found != counts[prefix]:
            raise Damaged(
                "index", 0, f"has {found} {name.en} rows, the segments {counts[prefix]}",
                f"有 {found} 条{name.zh}行，而数据段中为 {counts[prefix]}",
            )  # fmt: skip


def _find_links(
    store: ChainStore, facts: EntryFacts, ends: dict[str, tuple[bytes, bytes | None]]
) -> tuple[bytes, bytes]:
    """Return `previous` and `previous_applied` of this entry, and let `ends` know it.

    `ends` has the newest entry of each stream and the newest applied one, None where it is not
    known. Where one may stand before the snapshot that the chain began with, what the row says is
    taken: the caller holds the entries kept from before it against their stream's root.
    """
    row = store.transaction(facts.tx_id) if store.start.height else None
    previous, applied = ends.get(facts.stream) or (
        (ZERO_TX_ID, ZERO_TX_ID) if row is None else (row.previous, None)
    )
    ends[facts.stream] = facts.tx_id, applied if facts.refused else facts.tx_id
    if facts.refused or applied == previous:
        return previous, b""
    if applied is None:
        return previous, b"" if row is None else row.previous_applied
    return previous, applied


def _verify_block(store: ChainStore, block: StoredBlock, index: int) -> None:
    position = store.block_position(block.place.height)
    if (position.place, position.first_index, position.entry_count) != (
        block.place, index, len(block.entries),
    ):  # fmt: skip
        raise Damaged(
            "index", 0,
            f"has block {block.place.height} as {position}, it is {block.place} from entry {index}",
            f"载明区块 {block.place.height} 为 {position}，实为自条目 {index} 起的 {block.place}",
        )  # fmt: skip
    if store.block_of(index) != position:
        raise Damaged(
            "index", 0, f"finds another block than {block.place.height} for {index}",
            f"为条目 {index} 找到的区块不是 {block.place.height}",
        )  # fmt: skip


def _verify_transaction(
    store: ChainStore, facts: EntryFacts, expected: TransactionPosition
) -> None:
    tx_id = facts.tx_id.hex()
    row = store.transaction(facts.tx_id)
    if row is None:
        raise Damaged(
            "index", 0, f"lacks the row of transaction {tx_id}, entry {expected.index}",
            f"缺少交易 {tx_id}（条目 {expected.index}）的行",
        )  # fmt: skip
    if row != expected:
        raise Damaged(
            "index", 0, f"has transaction {tx_id} as {row}, it is {expected}",
            f"载明交易 {tx_id} 为 {row}，实为 {expected}",
        )  # fmt: skip


def _verify_reference(
    store: ChainStore,
    facts: EntryFacts,
    position: TransactionPosition,
    time_ms: int,
    awaited: dict[bytes, bytes],
) -> bool:
    """Say whether the row of a taken reference is this taker's, the last one.

    It may be a later one's, which is then awaited: it must turn up and have taken the reference.
    """
    key = facts.reference_key
    row = store.reference(key)
    if row == (facts.tx_id, time_ms):
        awaited.pop(key, None)
        return True
    later = None if row is None else store.transaction(row[0])
    if row is None or later is None or later.index <= position.index:
        tx_id = facts.tx_id.hex()
        raise Damaged(
            "index", 0,
            f"has the reference of transaction {tx_id} as {row}, it is ({tx_id}, {time_ms})",
            f"载明交易 {tx_id} 的业务编号为 {row}，实为 ({tx_id}, {time_ms})",
        )  # fmt: skip
    awaited[key] = row[0]
    return False
