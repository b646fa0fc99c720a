"""The chain on disk as execution and the driver see it: opened, replayed, moved on by blocks.

Opening compares the index with the segments and executes again whatever the index lacks, so a
crash between the two is healed by the code that runs every day. What cannot be reproduced is
damage, and is said; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from api.problems import explain_rejected
from contracts.execution import Chain, ExecutedBlock
from contracts.streams import StoredEntry
from genesis.block import chain_at, compute_genesis_block
from genesis.document import Genesis
from ledger.block import Header, HeaderEntry, decode_entry
from ledger.log import extend_tiles, frontier_from_tiles
from ledger.merkle import Frontier
from ledger.refusal import Rejected
from ledger.state_bucket import LONE_BYTES, StateDamagedError
from ledger.state_tree import StateTree
from node.catch_up import reproduce_block
from node.known_references import KnownReferences
from node.recent_rows import RecentRows
from storage.archive import NotMounted
from storage.chain import GENESIS_START, BlockWrite, ChainStart, ChainStore
from storage.files import Damaged, Directory
from storage.keyvalue import KeyValue
from storage.records import Appended

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total); total is 0 where it is not known."""

STATE_PROGRESS: Final = "state"
REPLAY_PROGRESS: Final = "replay"

ROWS_MAX: Final = 262_144
"""Streams kept at hand, about 0.6 kB each, and as many buckets, about 0.3 kB each: 240 MB when all
are in use, and every bucket of a tree of a million keys."""


class OtherChain(Damaged):
    """The segments are of another chain than the genesis document; one of the two is wrong."""

    def __init__(self, held: bytes, named: bytes) -> None:
        super().__init__(
            "segments",
            0,
            f"hold chain {held.hex()}, and the genesis document is of chain {named.hex()}",
            f"所存的链为 {held.hex()}，而创世文件的链为 {named.hex()}",
        )
        self.held = held
        self.named = named

    def of(self, genesis: str, segments: str) -> Damaged:
        """Return the same with the names of both files, which only the caller knows."""
        return Damaged(
            genesis,
            0,
            f"is the genesis document of chain {self.named.hex()}, and {segments} holds chain "
            f"{self.held.hex()}: this file was changed since, or one of the two is another "
            "network's; every member has the right genesis document",
            f"是链 {self.named.hex()} 的创世文件，而 {segments} 所存的链为 {self.held.hex()}："
            "本文件已被改动，或二者之一属于另一网络；任一机构均有正确的创世文件",
        )


class LedgerStore:
    """A `ChainStore` that knows what the bytes mean; see the module's text."""

    def __init__(self, chain_store: ChainStore, rows_max: int = ROWS_MAX) -> None:
        self.chain_store: Final = chain_store
        self._state: Final = RecentRows[str](chain_store.state, rows_max)
        self._buckets: Final = RecentRows[bytes](chain_store.bucket, rows_max)
        self._references: Final = KnownReferences()

    # Ports of contracts.streams.StateReader and node.catch_up.BlockSource

    def state(self, stream: str) -> bytes | None:
        """Return a stream's stored value."""
        return self._state.get(stream)

    def states(self, streams: Sequence[str]) -> list[bytes | None]:
        """Return the stored value of each stream."""
        return self._state.get_all(streams)

    def bucket(self, bucket_id: bytes) -> bytes | None:
        """Return a bucket record of the state tree."""
        return self._buckets.get(bucket_id)

    def transaction_height(self, tx_id: bytes) -> int | None:
        """Return the height of a transaction on the chain."""
        position = self.chain_store.transaction(tx_id)
        return None if position is None else position.height

    def references(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """Return of each (tx_id, header time) of the transaction that took a reference."""
        used = self._references.select(keys)
        if not used:
            return [None] * len(keys)
        return [self.chain_store.reference(key) if key in used else None for key in keys]

    def entry(self, tx_id: bytes) -> StoredEntry | None:
        """Return a transaction's entry, or None where it is not at hand.

        What execution may read is at hand (`node.kept_entries`). Of the rest it may only ask
        whether an entry belongs to the contract it executes, which this one then does not.
        """
        try:
            return self.read_entry(tx_id)
        except NotMounted:
            return None

    def read_entry(self, tx_id: bytes) -> StoredEntry | None:
        """Return a transaction's entry with its block's time and its stream's entry before it.

        None if it is neither kept as a row nor in a block held here. Raises `NotMounted`.
        """
        kept = self.chain_store.kept_entry(tx_id)
        if kept is not None:
            return StoredEntry(kept.raw, kept.time_ms, kept.previous, kept.previous_applied)
        position = self.chain_store.transaction(tx_id)
        if position is None:
            return None
        return StoredEntry(
            self.chain_store.entry_of(position),
            self.chain_store.block_position(position.height).time_ms,
            position.previous,
            position.previous_applied,
        )

    async def fill_references(self) -> None:
        """Learn every reference that the index holds, in turns with other work."""
        await self._references.fill(self.chain_store.scan_references())

    def block(self, height: int) -> tuple[Sequence[bytes], bytes]:
        """Return (entries, commit certificate) of an applied block."""
        return self.chain_store.block(height)

    @property
    def first_height(self) -> int:
        """The first block held here."""
        return self.chain_store.start.height

    @property
    def first_size(self) -> int:
        """Entries of the log before that block."""
        return self.chain_store.start.log_size

    def certificate(self, height: int) -> bytes | None:
        """Return the commit certificate of an applied block that is held here."""
        if not self.first_height <= height <= (self.chain_store.applied_height or 0):
            return None
        try:
            return self.chain_store.block(height)[1] or None
        except NotMounted:
            return None

    def checkpoint(self, height: int) -> bytes | None:
        """Return the certified checkpoint kept of a height, or None."""
        return self.chain_store.checkpoint(height)

    def read_tile(self, level: int, index: int) -> bytes:
        """Return a log tile's hashes; empty when there is none."""
        return self.chain_store.tile(level, index) or b""

    def header(self, height: int) -> Header:
        """Return an applied block's header."""
        entry = decode_entry(self.chain_store.header_entry(height))
        if not isinstance(entry, HeaderEntry):
            raise Damaged(
                "segments", 0, f"the last entry of block {height} is not its header",
                f"区块 {height} 的最后一个条目不是其区块头",
            )  # fmt: skip
        return entry.header

    def commit(self, block: ExecutedBlock, certificate: bytes, before: Frontier) -> None:
        """Make a decided block durable; `before` is the log it grows from."""
        write = self.prepare(block, certificate, before)
        self.finish(write, self.chain_store.append_block(write))

    def prepare(self, block: ExecutedBlock, certificate: bytes, before: Frontier) -> BlockWrite:
        """Return what has to be written; `chain_store.append_block` and `finish` write it."""
        return BlockWrite(
            height=block.header.height,
            first_index=block.header.first_index,
            time_ms=block.header.time_ms,
            entries=block.entries,
            certificate=certificate,
            tiles=extend_tiles(before, block.leaf_hashes, self.read_tile).tiles,
            state=block.stored,
            buckets=block.tree.buckets,
            transactions=block.rows,
        )

    def finish(self, write: BlockWrite, appended: Appended) -> None:
        """Write the index of a block that is in its segment; from here on it is read."""
        self.chain_store.index_block(write, appended)
        self._state.update(write.state)
        # A key alone in its bucket is set without reading it (below an inner bucket it is read), so
        # such a bucket is read again only when a second key comes.
        self._buckets.update([row for row in write.buckets if len(row[1]) != LONE_BYTES])
        self._buckets.replace([row for row in write.buckets if len(row[1]) == LONE_BYTES])
        self._references.add([row.reference_key for row in write.transactions if row.reference_key])


def open_ledger(
    directory: Directory,
    keyvalue: KeyValue,
    genesis: Genesis,
    progress: Progress | None = None,
    start: ChainStart = GENESIS_START,
    rows_max: int = ROWS_MAX,
) -> tuple[LedgerStore, Chain]:
    """Open a chain, beginning it with genesis if it is empty; return it as it stands.

    One that began with a snapshot has its `start` there, and the snapshot's state in its index
    already (`node.snapshot_index`). Raises `Damaged` when what is stored is not this chain or does
    not reproduce.
    """
    store = LedgerStore(ChainStore.open(directory, keyvalue, start=start), rows_max)
    chain_store = store.chain_store
    if chain_store.applied_height is None:
        if start.height:
            raise Damaged(
                "index", 0, "is empty, and this chain did not begin with genesis",
                "为空，而本链并非自创世开始",
            )  # fmt: skip
        _check_first(chain_store, genesis)
        chain_store.begin_replay()
        chain = _begin(store, genesis)
    else:
        chain = _resume(store, genesis, progress)
        chain_store.begin_replay()
    total = chain_store.unapplied_count
    for done, stored in enumerate(chain_store.unapplied_blocks()):
        _replay(store, chain, stored.entries, stored.certificate)
        if progress is not None:
            progress(REPLAY_PROGRESS, done + 1, total)
    chain_store.end_replay()
    return store, chain


def _check_first(chain_store: ChainStore, genesis: Genesis) -> None:
    """Raise `OtherChain` where an empty index stands beside another chain's segments."""
    for first in chain_store.unapplied_blocks():
        entry = decode_entry(first.entries[-1])
        if isinstance(entry, HeaderEntry) and entry.header.chain_id != genesis.chain_id:
            raise OtherChain(entry.header.chain_id, genesis.chain_id)
        return


def _begin(store: LedgerStore, genesis: Genesis) -> Chain:
    """Commit block 0; with segments already there it must be the same block 0."""
    tree = StateTree(store.bucket)
    block = compute_genesis_block(genesis, tree)
    store.commit(block, b"", Frontier.empty())
    tree.apply(block.tree)
    return chain_at(genesis, store, tree, block.header, block.log)


def _resume(store: LedgerStore, genesis: Genesis, progress: Progress | None) -> Chain:
    chain_store = store.chain_store
    header = store.header(chain_store.applied_height or 0)
    if header.chain_id != genesis.chain_id:
        raise OtherChain(header.chain_id, genesis.chain_id)
    try:
        tree = StateTree.rebuild(
            chain_store.scan_buckets(),
            store.bucket,
            None if progress is None else lambda done: progress(STATE_PROGRESS, done, 0),
        )
    except StateDamagedError as error:
        raise Damaged(
            "index", 0, f"state buckets: {error}", f"状态分桶不符。原文：{error}"
        ) from None
    if tree.root != header.state_root:
        raise Damaged(
            "index",
            0,
            f"the state buckets give root {tree.root.hex()}, and the header of block "
            f"{header.height} has {header.state_root.hex()}",
            f"状态分桶算得根哈希 {tree.root.hex()}，而区块 {header.height} 的区块头载明 "
            f"{header.state_root.hex()}",
        )
    try:
        log = frontier_from_tiles(header.log_size, store.read_tile)
        before = frontier_from_tiles(header.index, store.read_tile)
    except ValueError as error:
        raise Damaged("index", 0, f"log tiles: {error}", f"日志瓦片不符。原文：{error}") from None
    if before.root() != header.log_root:
        raise Damaged(
            "index",
            0,
            f"the log tiles give root {before.root().hex()} for size {header.index}, and the "
            f"header of block {header.height} has {header.log_root.hex()}",
            f"日志瓦片在大小 {header.index} 时算得根哈希 {before.root().hex()}，而区块 "
            f"{header.height} 的区块头载明 {header.log_root.hex()}",
        )
    return chain_at(genesis, store, tree, header, log)


def _replay(store: LedgerStore, chain: Chain, entries: Sequence[bytes], certificate: bytes) -> None:
    height = chain.header.height + 1
    try:
        block = reproduce_block(entries, chain)
    except Rejected as rejected:
        raise Damaged(
            "segments", 0, f"block {height} does not follow: {rejected}",
            f"区块 {height} 不能接续：{explain_rejected(rejected)}",
        ) from None  # fmt: skip
    if isinstance(block, str):
        raise Damaged(
            "segments", 0, f"block {height} does not reproduce: {block}",
            f"区块 {height} 无法复现。原文：{block}",
        )  # fmt: skip
    before = chain.log
    store.commit(block, certificate, before)
    chain.adopt(block)
