"""Making snapshots while the chain goes on: still, bounded, and never at the node's cost."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.snapshot import decode_manifest
from node.snapshot_export import SnapshotExport, find_base, freeze
from node.snapshot_shelf import SnapshotShelf
from sim.deployment import REPLAY_WINDOW_MS
from sim.disk import VirtualDirectory
from tests.node.driving import Drivers, Machine
from tests.node.snapshotting import make_snapshot


def grown(heights: int = 3) -> tuple[Drivers, Machine]:
    network = Drivers()
    network.start()
    network.grow(heights)
    return network, network.machines[0]


class Export:
    """An export with its shelf and what it said."""

    def __init__(self, machine: Machine, interval: int = 1) -> None:
        self.directory = VirtualDirectory("snapshots")
        self.shelf = SnapshotShelf(self.directory)
        self.said: list[tuple[str, str]] = []
        self.thread = ThreadPoolExecutor(1)
        self.export = SnapshotExport(
            machine.store,
            machine.driver.chain.limits,
            self.shelf,
            interval,
            self.thread,
            lambda level, text: self.said.append((level, text)),
        )

    async def finish(self) -> None:
        if self.export._task is not None:
            await self.export._task


async def test_what_is_written_is_the_state_of_its_block_while_the_chain_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ledger.snapshot.CHUNK_BYTES", 200)
    network, machine = grown()
    make_snapshot(machine)
    export = Export(machine)
    header = machine.driver.chain.header
    export.export.block_applied(header)
    network.grow(4)
    await export.finish()
    assert export.shelf.offers() == machine.shelf.offers()
    assert export.shelf.heights == [header.height] != [machine.height]
    ((level, text),) = export.said
    assert level == "info"
    assert text.startswith(f"made a snapshot of block {header.height}: ")


async def test_only_every_nth_block_has_a_snapshot_and_none_is_begun_beside_another() -> None:
    _, machine = grown(4)
    export = Export(machine, interval=4)
    headers = [machine.store.header(height) for height in range(5)]
    for header in headers[:4]:
        export.export.block_applied(header)
    assert export.export._task is None, "not for genesis either"
    export.export.block_applied(headers[4])
    export.export.block_applied(headers[4])
    ((level, text),) = export.said
    assert level == "warning"
    assert text == (
        "no snapshot of block 4: the one before it is still being written; the state has outgrown "
        "snapshot.interval_blocks 未制作区块 4 的快照：前一份仍在写入；状态已大到 "
        "snapshot.interval_blocks 不敷使用"
    )
    await export.finish()
    assert export.shelf.heights == [4]
    never = Export(machine, interval=0)
    never.export.block_applied(headers[4])
    assert never.export._task is None


async def test_a_full_disk_costs_the_snapshot_and_not_the_node() -> None:
    network, machine = grown()
    export = Export(machine)
    export.directory.room_bytes = 100
    export.export.block_applied(machine.driver.chain.header)
    await export.finish()
    assert export.shelf.offers() == []
    ((level, text),) = export.said
    assert level == "error"
    assert text == (
        f"the snapshot of block {machine.height} failed, and none is made until the node is "
        f"started again: snapshots/{machine.height:016d}.rows: write failed: No space left on "
        f"device 区块 {machine.height} 的快照制作失败，节点重新启动前不再制作"
    )
    export.export.block_applied(machine.driver.chain.header)
    await asyncio.sleep(0)
    assert len(export.said) == 1
    network.grow(1)


async def test_one_that_is_given_up_is_removed_at_the_next_start() -> None:
    _, machine = grown()
    export = Export(machine)
    export.export.block_applied(machine.driver.chain.header)
    await asyncio.sleep(0)
    await export.export.close()
    again = SnapshotShelf(export.directory)
    assert again.heights == []
    assert export.directory.names() == []


def test_the_base_is_the_last_block_older_than_the_replay_window() -> None:
    network, machine = grown(3)
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(4)
    store = machine.store.chain_store
    height = machine.height
    times = [store.block_position(at).time_ms for at in range(height + 1)]
    for before_ms in (0, *times[1:], times[-1] + 1):
        older = [at for at in range(1, height + 1) if times[at] < before_ms]
        assert find_base(store, height, before_ms) == max(older, default=1)
    frozen = freeze(machine.store, machine.driver.chain.header, machine.driver.chain.limits)
    manifest = decode_manifest(frozen.manifest(()))
    frozen.close()
    assert manifest.base_height == find_base(store, height, times[height] - REPLAY_WINDOW_MS)
    assert 1 < manifest.base_height < height
    assert manifest.base_size == store.block_position(manifest.base_height).first_index
