"""The chain store: crash at every step of a commit, replay, rebuild, and the cross-check."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sim.disk import ProcessEnded, Survival
from storage.audit import EntryFacts, verify_chain
from storage.chain import ZERO_TX_ID, BlockWrite, ChainStore, KeptEntry
from storage.files import Damaged, DiskDirectory, StorageFailure
from storage.keyvalue import KeyValue
from storage.memory import Fault, MemoryStore
from storage.records import StoredBlock
from storage.rows import APPLIED_KEY
from tests.storage.crashing import CrashingDirectory

SEGMENT_BYTES = 1500
BLOCKS = 6


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def entry_of(index: int) -> bytes:
    """A transaction entry: a JSON line that `facts_of` reads back."""
    text = {
        "index": index,
        "tx": f"tx {index}",
        "stream": f"card/{index % 3}",
        "reference": f"order {index}" if index % 5 else "",
        "refused": index // 3 % 3 == 0,
        "filling": "x" * (index * 37 % 120),
    }
    return json.dumps(text).encode()


def facts_of(index: int, entry: bytes) -> EntryFacts | None:
    if entry.startswith(b"header"):
        return None
    text = json.loads(entry)
    if text["index"] != index:
        raise Damaged("segment", 0, f"entry {index} says that it is {text['index']}", "不符")
    reference = digest(text["reference"]) if text["reference"] else b""
    return EntryFacts(digest(text["tx"]), text["stream"], reference, text.get("refused", False))


class Row(NamedTuple):
    """A `storage.rows.TransactionRow`."""

    tx_id: bytes
    reference_key: bytes
    previous: bytes
    previous_applied: bytes


class Chain:
    """Makes blocks 0, 1, 2 … as execution would, from what is already in the chain."""

    def __init__(self) -> None:
        self.height = 0
        self.index = 0
        self.previous: dict[str, bytes] = {}
        self.applied: dict[str, bytes] = {}

    def next_block(self) -> BlockWrite:
        height, first = self.height, self.index
        count = random.Random(height).randrange(0, 5) if height else 0
        entries = [entry_of(first + at) for at in range(count)]
        rows = []
        for at, entry in enumerate(entries):
            facts = facts_of(first + at, entry)
            assert facts is not None
            previous = self.previous.get(facts.stream, ZERO_TX_ID)
            applied = self.applied.get(facts.stream, ZERO_TX_ID)
            link = b"" if facts.refused or applied == previous else applied
            rows.append(Row(facts.tx_id, facts.reference_key, previous, link))
            if not facts.refused:
                self.applied[facts.stream] = facts.tx_id
            self.previous[facts.stream] = facts.tx_id
        entries.append(f"header {height}".encode())
        self.height += 1
        self.index += len(entries)
        return BlockWrite(
            height=height,
            first_index=first,
            time_ms=1000 + height,
            entries=entries,
            certificate=f"certificate {height}".encode() if height else b"",
            tiles=[(0, 0, b"t" * 32 * self.index), (1, height, b"u" * 32)],
            state=[(stream, tx_id + bytes([height])) for stream, tx_id in self.previous.items()],
            buckets=[(bytes([at]), b"b%d" % height) for at in range(height // 2, height + 1)],
            transactions=rows,
        )


def blocks_of(count: int) -> list[BlockWrite]:
    chain = Chain()
    return [chain.next_block() for _ in range(count)]


def assert_is_chain(store: ChainStore, count: int) -> None:
    """Every read agrees with the blocks that were committed."""
    blocks = blocks_of(count)
    entries = [entry for block in blocks for entry in block.entries]
    assert store.applied_height == (count - 1 if count else None)
    assert store.log_size == len(entries)
    assert [store.entry(index) for index in range(len(entries))] == entries
    for begin in range(0, len(entries) + 1, 3):
        for end in range(begin, len(entries) + 1, 2):
            assert store.entries(begin, end) == entries[begin:end]
    for block in blocks:
        assert store.block(block.height) == (block.entries, block.certificate)
        assert store.header_entry(block.height) == block.entries[-1]
        for at, row in enumerate(block.transactions):
            position = store.transaction(row.tx_id)
            assert position is not None
            assert position.index == block.first_index + at
            assert position.height == block.height
            assert position.previous == row.previous
            assert position.previous_applied == row.previous_applied
            assert store.entry_of(position) == block.entries[at]
            if row.reference_key:
                assert store.reference(row.reference_key) == (row.tx_id, block.time_ms)
        for level, index, _ in block.tiles:
            newest = [t for b in blocks for lv, i, t in b.tiles if (lv, i) == (level, index)]
            assert store.tile(level, index) == newest[-1]
    state = {stream: value for block in blocks for stream, value in block.state}
    assert dict(store.scan_state()) == state
    assert all(store.state(stream) == value for stream, value in state.items())
    buckets = {bucket: record for block in blocks for bucket, record in block.buckets}
    assert dict(store.scan_buckets()) == buckets
    assert all(store.bucket(bucket) == record for bucket, record in buckets.items())
    verify_chain(store, facts_of)


def opened(disk: CrashingDirectory, keyvalue: KeyValue) -> ChainStore:
    return ChainStore.open(disk, keyvalue, segment_bytes=SEGMENT_BYTES)


def replay(store: ChainStore) -> list[StoredBlock]:
    """Execute the unapplied blocks again, as the node does."""
    chain = Chain()
    for _ in range(store.segments.next_height - store.unapplied_count):
        chain.next_block()
    replayed = []
    for stored in store.unapplied_blocks():
        block = chain.next_block()
        assert stored.entries == block.entries
        assert stored.certificate == block.certificate
        store.commit_block(block)
        replayed.append(stored)
    return replayed


def filled(count: int = BLOCKS) -> tuple[CrashingDirectory, MemoryStore]:
    disk, keyvalue = CrashingDirectory(), MemoryStore()
    store = opened(disk, keyvalue)
    for block in blocks_of(count):
        store.commit_block(block)
    return disk, keyvalue


def make_memory(path: Path) -> KeyValue:
    return MemoryStore()


def make_leveldb(path: Path) -> KeyValue:
    leveldb = pytest.importorskip("storage.leveldb", exc_type=ImportError)
    store: KeyValue = leveldb.LevelDBStore(path)
    return store


def make_rocks(path: Path) -> KeyValue:
    rocks = pytest.importorskip("storage.rocks", exc_type=ImportError)
    store: KeyValue = rocks.RocksStore(path)
    return store


@pytest.mark.parametrize("make", [make_memory, make_leveldb, make_rocks])
def test_chain_on_disk_over_every_back_end(
    make: Callable[[Path], KeyValue], tmp_path: Path
) -> None:
    disk = DiskDirectory(tmp_path / "segments", create=True)
    keyvalue = make(tmp_path / "index")
    store = ChainStore.open(disk, keyvalue, segment_bytes=SEGMENT_BYTES)
    assert_is_chain(store, 0)
    for count, block in enumerate(blocks_of(12), start=1):
        store.commit_block(block)
        if count % 4 == 0:
            assert_is_chain(store, count)
    assert store.notices == []
    store.close()
    disk.close()
    if isinstance(keyvalue, MemoryStore):
        keyvalue.reopen()
    else:
        keyvalue = make(tmp_path / "index")
    disk = DiskDirectory(tmp_path / "segments")
    store = ChainStore.open(disk, keyvalue, segment_bytes=SEGMENT_BYTES)
    assert store.notices == []
    assert_is_chain(store, 12)
    store.close()
    disk.close()
    # The index removed altogether: everything is built again from the segments.
    disk = DiskDirectory(tmp_path / "segments")
    store = ChainStore.open(disk, make(tmp_path / "again"), segment_bytes=SEGMENT_BYTES)
    assert [one.en for one in store.notices] == [
        "The index is empty and the segments reach block 11: 12 to replay."
    ]
    assert len(replay(store)) == 12
    assert_is_chain(store, 12)
    store.close()
    disk.close()


@pytest.mark.parametrize("survival", list(Survival))
@pytest.mark.parametrize("seed", range(3))
def test_crash_at_every_disk_step_of_every_commit(survival: Survival, seed: int) -> None:
    steps = filled()[0].step
    for step in range(steps + 1):
        disk, keyvalue = CrashingDirectory(), MemoryStore()
        disk.crash_at = step
        committed = 0
        try:
            store = opened(disk, keyvalue)
            for block in blocks_of(BLOCKS):
                store.commit_block(block)
                committed += 1
        except ProcessEnded:
            pass
        disk.lose_power(survival, seed=seed * 1000 + step)
        store = opened(disk, keyvalue)
        assert (store.applied_height if committed else -1) == committed - 1
        assert 0 <= store.unapplied_count <= 1
        reached = committed + store.unapplied_count
        replay(store)
        assert_is_chain(store, reached)
        for block in blocks_of(BLOCKS)[reached:]:
            store.commit_block(block)
        assert_is_chain(store, BLOCKS)


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.FAILS_AFTERWARDS])
def test_crash_at_every_index_batch(fault: Fault) -> None:
    for batch in range(BLOCKS):
        disk, keyvalue = CrashingDirectory(), MemoryStore()
        keyvalue.plan_faults(*[None] * batch, fault)
        store = opened(disk, keyvalue)
        blocks = blocks_of(BLOCKS)
        for block in blocks[:batch]:
            store.commit_block(block)
        with pytest.raises(StorageFailure):
            store.commit_block(blocks[batch])
        disk.lose_power(Survival.NONE)
        keyvalue.reopen()
        store = opened(disk, keyvalue)
        sizes = {name: disk.size(name) for name in disk.names()}
        assert len(replay(store)) == (1 if fault is Fault.FAILS else 0)
        # Not appended twice.
        assert {name: disk.size(name) for name in disk.names()} == sizes
        assert_is_chain(store, batch + 1)


def test_index_behind_by_several_blocks_is_said_and_replayed() -> None:
    disk, keyvalue = CrashingDirectory(), MemoryStore()
    store = opened(disk, keyvalue)
    for block in blocks_of(3):
        store.commit_block(block)
    keyvalue.plan_faults(Fault.IS_LOST, Fault.IS_LOST)
    for block in blocks_of(5)[3:]:
        store.commit_block(block)
    store = opened(disk, keyvalue)
    assert [one.en for one in store.notices] == [
        "The index is at block 2 and the segments reach block 4: 2 to replay."
    ]
    assert [block.place.height for block in replay(store)] == [3, 4]
    assert_is_chain(store, 5)


def test_batch_lost_between_two_kept_ones_is_noticed_by_the_cross_check() -> None:
    for lost in range(BLOCKS - 1):
        disk, keyvalue = CrashingDirectory(), MemoryStore()
        keyvalue.plan_faults(*[None] * lost, Fault.IS_LOST)
        store = opened(disk, keyvalue)
        for block in blocks_of(BLOCKS):
            store.commit_block(block)
        with pytest.raises(Damaged, match=f"index, offset 0: the row of block {lost} is missing"):
            verify_chain(opened(disk, keyvalue), facts_of)


def test_every_row_that_vanishes_or_changes_is_noticed() -> None:
    disk, keyvalue = filled(10)
    derived = [
        pair
        for prefix in (b"a", b"b", b"f", b"t", b"r")
        for pair in keyvalue.scan(prefix, bytes([prefix[0] + 1]))
    ]
    assert len(derived) > 30
    for key, value in derived:
        for changed in (None, value[:-1] + bytes([value[-1] ^ 1]), value + b"\0"):
            keyvalue.write([] if changed is None else [(key, changed)],
                           [key] if changed is None else [])  # fmt: skip
            with pytest.raises(Damaged):
                verify_chain(opened(disk, keyvalue), facts_of)
            keyvalue.write([(key, value)])
    for prefix in (b"t", b"r"):
        row = next(keyvalue.scan(prefix, bytes([prefix[0] + 1])))[1]
        keyvalue.write([(prefix + b"q" * 32, row)])
        with pytest.raises(Damaged, match=r"index, offset 0: has \d+ \w+ rows, the segments \d+"):
            verify_chain(opened(disk, keyvalue), facts_of)
        keyvalue.write([], [prefix + b"q" * 32])
    verify_chain(opened(disk, keyvalue), facts_of)


def with_takers(*takers: str) -> tuple[ChainStore, MemoryStore]:
    """A chain in which each block after the first is a transaction that takes one reference."""
    disk, keyvalue = CrashingDirectory(), MemoryStore()
    store = opened(disk, keyvalue)
    store.commit_block(blocks_of(1)[0])
    for height, name in enumerate(takers, start=1):
        index = store.log_size
        text = {"index": index, "tx": name, "stream": name, "reference": "order"}
        entry = json.dumps(text).encode()
        row = Row(digest(name), digest("order"), ZERO_TX_ID, b"")
        entries = [entry, b"header"]
        store.commit_block(
            BlockWrite(height, index, 1000 + height, entries, b"", [], [], [], [row])
        )
    return store, keyvalue


def reference_row(name: str, height: int) -> tuple[bytes, bytes]:
    """The row in which this transaction has taken the reference of `with_takers`."""
    return b"r" + digest("order"), digest(name) + (1000 + height).to_bytes(8, "big")


def test_a_reference_taken_again_is_the_newest_takers() -> None:
    store, keyvalue = with_takers("a", "b", "c")
    assert list(keyvalue.scan(b"r", b"s")) == [reference_row("c", 3)]
    verify_chain(store, facts_of)


@pytest.mark.parametrize(("name", "height"), [("a", 1), ("b", 2), ("c", 2), ("nobody", 3)])
def test_a_reference_of_anybody_but_the_newest_taker_is_damage(name: str, height: int) -> None:
    store, keyvalue = with_takers("a", "b", "c")
    keyvalue.write([reference_row(name, height)])
    with pytest.raises(Damaged, match="index, offset 0: has the reference of transaction"):
        verify_chain(store, facts_of)


def test_a_reference_of_a_later_transaction_that_did_not_take_it_is_damage() -> None:
    store, keyvalue = with_takers("a", "b")
    text = {"index": store.log_size, "tx": "c", "stream": "c", "reference": ""}
    row = Row(digest("c"), b"", ZERO_TX_ID, b"")
    entries = [json.dumps(text).encode(), b"header"]
    store.commit_block(BlockWrite(3, store.log_size, 1003, entries, b"", [], [], [], [row]))
    verify_chain(store, facts_of)
    keyvalue.write([reference_row("c", 3)])
    with pytest.raises(Damaged, match=r"has a reference taken by transaction .* did not take it"):
        verify_chain(store, facts_of)


def test_index_ahead_of_the_segments_is_damage() -> None:
    disk, keyvalue = filled()
    last = max(disk.names())
    disk.truncate(last, disk.size(last) - 1)
    with pytest.raises(Damaged, match=last):
        opened(disk, keyvalue)
    disk.remove(last)
    with pytest.raises(Damaged, match=f"{last}, offset 0: is missing, and the index has applied"):
        opened(disk, keyvalue)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (struct.pack(">QQ", 0, 3), "it is of version 1, and this node writes version 2"),
        (struct.pack(">BQQ", 3, 0, 3), "it is of version 3, and this node writes version 2"),
        (b"\x02", "the applied height has 1 bytes"),
    ],
)
def test_an_index_of_another_version_is_not_read(row: bytes, what: str) -> None:
    """What another version wrote may lack what execution reads; it is built from the segments."""
    index = MemoryStore()
    index.write([(APPLIED_KEY, row)])
    with pytest.raises(Damaged) as damaged:
        ChainStore.open(CrashingDirectory(), index)
    assert str(damaged.value) == (
        f"index, offset 0: {what}; remove the index directory and it is built again"
    )


def test_another_block_at_a_stored_height_is_refused() -> None:
    disk, _ = filled(3)
    store = opened(disk, MemoryStore())
    first = blocks_of(1)[0]
    other = BlockWrite(0, 0, 1, [b"header other"], b"", [], [], [], [])
    with pytest.raises(Damaged, match="holds block 0 with other entries than the ones now"):
        store.commit_block(other)
    store.commit_block(first)


def test_replay_keeps_the_stored_certificate() -> None:
    disk, _ = filled(2)
    store = opened(disk, MemoryStore())
    blocks = blocks_of(2)
    store.commit_block(blocks[0])
    store.commit_block(dataclasses.replace(blocks[1], certificate=b"another quorum's"))
    assert store.block(1)[1] == b"certificate 1"


def test_wrong_height_and_wrong_index_are_refused_by_name() -> None:
    disk, keyvalue = filled(2)
    store = opened(disk, keyvalue)
    with pytest.raises(ValueError, match="block 1 cannot follow, 2 is next"):
        store.commit_block(blocks_of(2)[1])
    for wrong in (0, store.log_size + 1):
        with pytest.raises(ValueError, match=f"block 2 begins at entry {wrong}, the log has"):
            store.commit_block(BlockWrite(2, wrong, 1, [b"header"], b"", [], [], [], []))


def test_reads_beyond_what_is_applied_are_key_errors() -> None:
    disk, keyvalue = filled(2)
    keyvalue.plan_faults(Fault.IS_LOST)
    store = opened(disk, keyvalue)
    store.commit_block(blocks_of(3)[2])
    store = opened(disk, keyvalue)
    size = store.log_size
    with pytest.raises(KeyError, match="block 2 is not applied here, 2 is next"):
        store.block(2)
    with pytest.raises(KeyError, match=f"entry {size} is not in the log of {size}"):
        store.entry(size)
    with pytest.raises(KeyError, match="are not all in the log"):
        store.entries(0, size + 1)
    assert store.transaction(b"?" * 32) is None
    assert store.reference(b"?" * 32) is None
    assert store.state("nobody") is None
    assert store.bucket(b"?") is None
    assert store.tile(9, 9) is None
    with pytest.raises(ValueError, match="1 blocks are to be replayed before the check"):
        verify_chain(store, facts_of)


def test_checkpoints_are_readable_at_once_and_durable_with_the_next_block() -> None:
    disk, keyvalue = filled(2)
    store = opened(disk, keyvalue)
    assert store.newest_checkpoint() is None
    assert store.first_checkpoint_at_or_after(0) is None
    store.put_checkpoint(0, b"note 0")
    assert store.checkpoint(0) == b"note 0"
    assert store.newest_checkpoint() == (0, b"note 0")
    assert opened(disk, keyvalue).checkpoint(0) is None
    store.commit_block(blocks_of(3)[2])
    assert opened(disk, keyvalue).checkpoint(0) == b"note 0"
    store.put_checkpoint(300, b"note 300")
    store.put_checkpoint(2, b"note 2")
    assert store.newest_checkpoint() == (300, b"note 300")
    assert store.first_checkpoint_at_or_after(1) == (2, b"note 2")
    assert store.first_checkpoint_at_or_after(3) == (300, b"note 300")
    assert store.first_checkpoint_at_or_after(301) is None
    for height in range(10, 40):
        store.put_checkpoint(height, b"note %d" % height)
    assert len(list(store.scan_checkpoints())) >= 16, "few wait for a block that may never come"
    store.close()
    keyvalue.reopen()
    store = opened(disk, keyvalue)
    assert store.newest_checkpoint() == (300, b"note 300")
    assert [h for h, _ in store.scan_checkpoints()] == [0, 2, *range(10, 40), 300]
    assert store.first_checkpoint_at_or_after(11) == (11, b"note 11")


def test_full_disk_and_failing_fsync_leave_the_chain_whole() -> None:
    probe = filled()[0]
    total = sum(probe.size(name) for name in probe.names())
    cases = [(capacity, None) for capacity in range(0, total, 61)]
    for capacity, fsync in [*cases, *((None, n) for n in range(probe.fsync_count))]:
        disk, keyvalue = CrashingDirectory(), MemoryStore()
        disk.room_bytes, disk.fsyncs_until_failure = capacity, fsync
        committed = 0
        store = opened(disk, keyvalue)
        try:
            for block in blocks_of(BLOCKS):
                store.commit_block(block)
                committed += 1
        except StorageFailure:
            with pytest.raises(StorageFailure):
                store.commit_block(blocks_of(BLOCKS)[committed])
        assert committed < BLOCKS
        disk.lose_power(Survival.NONE if capacity is None else Survival.ALL)
        store = opened(disk, keyvalue)
        reached = committed + len(replay(store))
        assert_is_chain(store, reached)
        for block in blocks_of(BLOCKS)[reached:]:
            store.commit_block(block)
        assert_is_chain(store, BLOCKS)


def test_entries_are_kept_as_rows_and_dropped() -> None:
    store = ChainStore.open(CrashingDirectory(), MemoryStore())
    entries = [
        KeptEntry(
            digest(f"tx {at}"),
            at,
            digest(f"tx {at - 1}"),
            digest("tx applied") if at % 2 else b"",
            entry_of(at),
        )
        for at in range(5)
    ]
    assert store.kept_before == 0
    store.keep_entries(entries[:3])
    assert store.kept_before == 0
    store.keep_entries(entries[3:], 7)
    assert store.kept_before == 7
    assert sorted(store.scan_kept(), key=lambda entry: entry.time_ms) == entries
    assert store.kept_entry(entries[2].tx_id) == entries[2]
    store.drop_kept([entry.tx_id for entry in entries[:4]])
    assert list(store.scan_kept()) == entries[4:]
    assert store.kept_entry(entries[2].tx_id) is None
    store.keyvalue.write([(b"e" + entries[4].tx_id, bytes(40))])
    with pytest.raises(Damaged) as told:
        store.kept_entry(entries[4].tx_id)
    assert told.value.what == (
        f"the row of kept entry {entries[4].tx_id.hex()} has 40 bytes; remove the index directory "
        "and it is built again"
    )
