"""Making a snapshot of the state at every N-th block, while the chain goes on.

All nodes of a network make them at the same heights, so that what they say of one can be compared.
What is written is the state as it was when the block was applied: the store's rows are frozen
(`KeyValue.freeze`) in the same turn of the event loop, and then read slowly, at most a tenth of the
time, and written by a thread of its own. A disk that fails here costs the snapshot and not the
node: nothing that was promised to anybody depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from contracts.execution import Limits
from contracts.lookback import may_look_back
from contracts.streams import StreamState
from ledger.block import Header, encode_header
from ledger.refusal import Rejected
from ledger.snapshot import (
    SNAPSHOT_VERSION,
    ChunkId,
    KeptRow,
    Manifest,
    ReferenceRow,
    Row,
    StreamRow,
    edge_from_tiles,
    encode_manifest,
    name_chunk,
    pack_chunks,
)
from ledger.stream import decode_stored_stream
from node.effects import Say
from node.kept_entries import drop_ended, freeze_streams, walk_kept
from node.ledger_store import LedgerStore
from node.snapshot_shelf import SnapshotShelf
from storage.archive import NotMounted
from storage.chain import ChainStore
from storage.files import Damaged, StorageFailure
from storage.rows import decode_reference

PAUSE_FACTOR: Final = 9
"""Time left to others for each span of work: a tenth of one core goes into a snapshot."""

PAUSE_S_MIN: Final = 0.001
ROWS_SKIPPED_MAX: Final = 2_000
"""References that are free again, or streams that nothing looks back on, between two pauses (about
3 ms, and 10)."""
ENTRIES_READ_MAX: Final = 256
"""Entries read between two pauses (about 5 ms)."""

Pairs = Generator[tuple[bytes, bytes], None, None]


@dataclass(slots=True)
class Frozen:
    """The state after one block, held still."""

    header: Header
    base_height: int
    base_size: int
    edge: tuple[bytes, ...]
    reference_ms_min: int
    """References taken before this can be of no consequence any more."""
    streams: Pairs
    references: Pairs
    looked_back: Generator[tuple[str, StreamState], None, None]
    store: LedgerStore
    """For entries alone: they do not change, and rows of them go only when this is written."""

    def rows(self) -> Iterator[Row | None]:
        """Yield the rows in order, and None where many were skipped."""
        for key, raw in self.streams:
            stored = decode_stored_stream(raw)
            yield StreamRow(key[1:].decode(), stored.peaks, stored.value)
        skipped = 0
        for key, raw in self.references:
            tx_id, time_ms = decode_reference(raw)
            if time_ms >= self.reference_ms_min:
                yield ReferenceRow(key[1:], tx_id, time_ms)
            else:
                skipped += 1
                if skipped % ROWS_SKIPPED_MAX == 0:
                    yield None
        read = 0
        for stream, state in self.looked_back:
            if may_look_back(stream, state, self.header.time_ms):
                for _, entry in walk_kept(self.store, stream, state):
                    yield KeptRow(entry.time_ms, entry.raw)
                    read += 1
                    if read % ENTRIES_READ_MAX == 0:
                        yield None
            else:
                skipped += 1
                if skipped % ROWS_SKIPPED_MAX == 0:
                    yield None

    def manifest(self, chunks: tuple[ChunkId, ...]) -> bytes:
        """Return the manifest's bytes."""
        return encode_manifest(
            Manifest(
                SNAPSHOT_VERSION,
                self.header.chain_id,
                encode_header(self.header),
                self.base_height,
                self.base_size,
                self.edge,
                chunks,
            )
        )

    def close(self) -> None:
        """Let go of the store."""
        self.streams.close()
        self.references.close()
        self.looked_back.close()


def freeze(store: LedgerStore, header: Header, limits: Limits) -> Frozen:
    """Hold the state still as it is now, `header` being the newest applied one."""
    chain_store = store.chain_store
    window_start_ms = header.time_ms - limits.replay_window_ms
    base_height = find_base(chain_store, header.height, window_start_ms)
    base_size = chain_store.block_position(base_height).first_index
    return Frozen(
        header,
        base_height,
        base_size,
        edge_from_tiles(base_size, store.read_tile),
        # A body repeated within the replay window must be found by the reference it came under,
        # which may have been taken a whole reference window before (`Executor._is_on_chain`).
        window_start_ms - limits.reference_window_ms,
        chain_store.keyvalue.freeze(b"s", b"t"),
        chain_store.keyvalue.freeze(b"r", b"s"),
        freeze_streams(chain_store.keyvalue),
        store,
    )


def find_base(store: ChainStore, height: int, before_ms: int) -> int:
    """Return the last block up to `height` whose time is below `before_ms`, or the first held.

    Header times rise from block to block.
    """
    low, high = max(store.start.height, 1), height
    while low < high:
        middle = (low + high + 1) // 2
        if store.block_position(middle).time_ms < before_ms:
            low = middle
        else:
            high = middle - 1
    return low


class SnapshotExport:
    """See the module's text. Methods are called on the event loop."""

    def __init__(
        self,
        store: LedgerStore,
        limits: Limits,
        shelf: SnapshotShelf,
        interval_blocks: int,
        thread: Executor,
        say: Say,
    ) -> None:
        """`interval_blocks` is N; 0 makes none. `thread` has one worker."""
        self._store = store
        self._limits = limits
        self._shelf = shelf
        self._interval = interval_blocks
        self._thread = thread
        self._say = say
        self._task: asyncio.Task[None] | None = None

    def block_applied(self, header: Header) -> None:
        """A block is applied: if a snapshot is due, begin it; one under way is finished first."""
        if self._interval == 0 or header.height == 0 or header.height % self._interval:
            return
        if self._task is not None and not self._task.done():
            self._say(
                "warning",
                f"no snapshot of block {header.height}: the one before it is still being written; "
                "the state has outgrown snapshot.interval_blocks "
                f"未制作区块 {header.height} 的快照：前一份仍在写入；状态已大到 "
                "snapshot.interval_blocks 不敷使用",
            )
            return
        self._task = asyncio.create_task(self._write(freeze(self._store, header, self._limits)))

    async def close(self) -> None:
        """Give up what is being written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self, frozen: Frozen) -> None:
        height = frozen.header.height
        try:
            chunks = await self._write_rows(height, frozen)
            await self._on_thread(lambda: self._shelf.finish(height, frozen.manifest(chunks)))
        except (StorageFailure, Damaged, NotMounted, OSError, Rejected) as error:
            self._interval = 0
            self._say(
                "error",
                f"the snapshot of block {height} failed, and none is made until the node is "
                f"started again: {error} 区块 {height} 的快照制作失败，节点重新启动前不再制作",
            )
        else:
            size = sum(chunk.size for chunk in chunks)
            self._say("info", f"made a snapshot of block {height}: {size} bytes of rows")
            await self._drop_ended(frozen.header)
        finally:
            frozen.close()

    async def _write_rows(self, height: int, frozen: Frozen) -> tuple[ChunkId, ...]:
        loop = asyncio.get_running_loop()
        chunks: list[ChunkId] = []
        await self._on_thread(lambda: self._shelf.begin(height))
        begun_s = loop.time()
        for chunk in pack_chunks(frozen.rows()):
            spent_s = loop.time() - begun_s
            if chunk is not None:
                chunks.append(name_chunk(chunk))
                await self._on_thread(lambda part=chunk: self._shelf.append(height, part))  # type: ignore[misc]
            await asyncio.sleep(max(PAUSE_FACTOR * spent_s, PAUSE_S_MIN))
            begun_s = loop.time()
        return tuple(chunks)

    async def _drop_ended(self, header: Header) -> None:
        """Drop the rows of contracts that are over: the snapshot that still needed them is made."""
        loop = asyncio.get_running_loop()
        count = 0
        begun_s = loop.time()
        for dropped in drop_ended(self._store, header.time_ms):
            count += dropped
            await asyncio.sleep(max(PAUSE_FACTOR * (loop.time() - begun_s), PAUSE_S_MIN))
            begun_s = loop.time()
        if count:
            self._say("info", f"dropped {count} kept entries of contracts that are over")

    async def _on_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)
