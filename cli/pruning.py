"""Moving old segments of a stopped node to its archive; nothing is lost at any step.

Only sealed segments move, and of those only such as neither the node nor its peers need soon: all
their blocks are older than the replay window, than every snapshot the node serves, and than the
newest `keep_blocks`. What later blocks may read of their entries is first kept as rows of the index
(`node.kept_entries`), so that the node executes without its archive. Each segment is read whole
before it is copied, the copy is read back, and the home's list names it durably before the original
goes.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cli.failure import Failure, unusable
from cli.founding import read_genesis
from cli.node_storage import hold_home, open_index
from cli.progress import show_progress, show_steps
from genesis.document import Genesis
from node.archived import encode_mark, is_mounted, open_segments, read_archived
from node.config import NodeConfig
from node.home import NodeHome
from node.kept_entries import drop_ended, keep_before
from node.ledger_store import LedgerStore
from node.private_files import write_file
from node.snapshot_export import find_base
from node.snapshot_install import open_base
from node.snapshot_shelf import SnapshotShelf
from storage.archive import MARK_FILE, ArchivedFile, copy_to_archive, encode_list
from storage.chain import GENESIS_START, ChainStore
from storage.files import Directory, DiskDirectory
from storage.segments import SealedSegment


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was moved."""

    count: int
    size_bytes: int
    kept_from: int
    """First block that is still in the home."""
    limit: int
    """Blocks from here on had to stay."""


def prune(home: NodeHome, keep_blocks: int) -> Pruned:
    """Move what may move; raise `Failure`, with nothing lost, where that is not certain."""
    with hold_home(home) as (config, directory):
        genesis = read_genesis(home.resolve(config.genesis))
        place = _find_archive(home, config, genesis)
        base = open_base(home)
        start = GENESIS_START if base is None else base.start
        segments = open_segments(home, config, genesis.chain_id, directory)
        keyvalue = open_index(home, config)
        with closing(ChainStore.open(segments, keyvalue, start=start)) as store:
            if store.applied_height is None or store.unapplied_count:
                raise Failure(
                    "The node has blocks that are not applied yet; start it and stop it once, then "
                    "prune.",
                    "节点尚有未执行的区块；请启动并正常停止一次，再行归档。",
                )
            limit = _find_limit(home, store, genesis, keep_blocks)
            here = set(directory.names())
            movable = [
                sealed
                for sealed in store.segments.sealed()
                if sealed.name in here and sealed.last_height < limit
            ]
            if movable:
                _keep_entries(LedgerStore(store), movable[-1].last_height + 1)
            size = 0
            with (
                closing(DiskDirectory(place)) as archive,
                show_progress("segments moved 已移动的数据段", len(movable)) as bar,
            ):
                for sealed in movable:
                    _check(store, sealed)
                    size += _move(home, directory, archive, sealed)
                    bar.advance()
            kept = [each for each in store.segments.sealed() if each.name in directory.names()]
            newest = store.segments.last_first_height
            kept_from = min((each.first_height for each in kept), default=newest)
        return Pruned(len(movable), size, kept_from, limit)


def _find_archive(home: NodeHome, config: NodeConfig, genesis: Genesis) -> Path:
    """Return the archive's folder, marked; raise `Failure` if it is not there or not this chain's.

    A folder without a mark is taken only if it is empty and nothing was ever moved: otherwise it
    may be the mount point of an archive that is not mounted.
    """
    if not config.storage.archive:
        raise unusable(
            f"{home.config} names no archive: set storage.archive to a folder on the disk that is "
            "to hold old segments.",
            f"{home.config} 未指明归档：请将 storage.archive 设为存放旧数据段的文件夹。",
        )
    place = home.resolve(config.storage.archive)
    if not place.is_dir():
        raise Failure(
            f"{place} (storage.archive) is no folder, or not mounted.",
            f"{place}（storage.archive）不是文件夹，或未挂载。",
        )
    if is_mounted(place, genesis.chain_id):
        return place
    if any(place.iterdir()):
        raise Failure(
            f"{place} is not empty and not the archive of this chain; nothing was moved.",
            f"{place} 不为空，又不是本链的归档；未作任何移动。",
        )
    if read_archived(home):
        raise Failure(
            f"{place} is empty, and segments were moved there: mount the archive first.",
            f"{place} 为空，而此前已有数据段移入：请先挂载归档。",
        )
    write_file(place / MARK_FILE, encode_mark(genesis.chain_id))
    return place


def _find_limit(home: NodeHome, store: ChainStore, genesis: Genesis, keep_blocks: int) -> int:
    """Return the first block that must stay."""
    newest = store.applied_height or 0
    time_ms = store.block_position(newest).time_ms
    window = find_base(store, newest, time_ms - genesis.parameters.replay_window_ms)
    needed = [newest - keep_blocks + 1, window]
    if home.snapshots.is_dir():
        with closing(DiskDirectory(home.snapshots)) as directory:
            needed += SnapshotShelf(directory).base_heights
    return max(min(needed), 0)


def _keep_entries(store: LedgerStore, height: int) -> None:
    """Keep what later blocks may read of the entries below `height`, and nothing that they never
    will."""
    time_ms = store.header(store.chain_store.applied_height or 0).time_ms
    with show_steps() as progress:
        keep_before(store, height, time_ms, progress)
    for _ in drop_ended(store, time_ms):
        pass


def _check(store: ChainStore, sealed: SealedSegment) -> None:
    """Read every block of a segment; raise `Damaged` rather than archive what is not whole."""
    for height in range(sealed.first_height, sealed.last_height + 1):
        store.block(height)


def _move(home: NodeHome, segments: Directory, archive: Directory, sealed: SealedSegment) -> int:
    size, sha256, head = copy_to_archive(segments, archive, sealed.name)
    moved = [file for file in read_archived(home) if file.name != sealed.name]
    moved.append(ArchivedFile(sealed.name, size, sha256, head, sealed.last_height))
    moved.sort(key=lambda file: file.name)
    write_file(home.archived, encode_list(moved), replace=True)
    segments.remove(sealed.name)
    segments.fsync_directory()
    return size
