"""Giving a fetched snapshot its place in a node's home, so that a crash leaves the old or the new.

    joining/ (fetched, COMPLETE) ─► segments/ and base/ ─► index/ built from both

`COMPLETE` is the one moment: before it the old chain stands untouched, from it on every start goes
on to the new one, whatever step a crash broke off. The index is built beside its place and renamed
when whole; one that is lost later is built again the same way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from node.home import NodeHome
from node.snapshot_files import COMPLETE_FILE, Base
from node.snapshot_index import Progress, build_index
from storage.chain import GENESIS_START, ChainStart
from storage.files import DiskDirectory, sync_directory
from storage.keyvalue import KeyValue

JOINING_SEGMENTS = "segments"
"""Folder of the blocks beside a snapshot that is being fetched."""


def is_complete(home: NodeHome) -> bool:
    """Say whether a snapshot is fetched and waits for its place."""
    return (home.joining / COMPLETE_FILE).exists()


def install(home: NodeHome) -> None:
    """Put a complete snapshot in the place of the chain that was there; any step may come again."""
    sync_directory(home.joining)  # whoever wrote `COMPLETE` may have been killed before it did
    home.join_marker.unlink(missing_ok=True)
    sync_directory(home.path)
    segments = home.joining / JOINING_SEGMENTS
    if segments.exists():
        _empty(home.index)
        home.archived.unlink(missing_ok=True)  # its numbers are the old segments'
        _remove(home.chain)
        sync_directory(home.path)  # or a power loss leaves the old index beside the new segments
        os.rename(segments, home.chain)
        sync_directory(home.joining)
        sync_directory(home.path)
    _remove(home.base)
    os.rename(home.joining, home.base)
    sync_directory(home.path)


def prepare_chain(
    home: NodeHome, open_store: Callable[[Path], KeyValue], progress: Progress
) -> ChainStart:
    """Return what a home's chain begins with, its index built if it is missing; raise `Damaged`."""
    base = open_base(home)
    if base is None:
        return GENESIS_START
    ensure_index(home, base, open_store, progress)
    return base.start


def open_base(home: NodeHome) -> Base | None:
    """Return the snapshot that this home's chain began with; None if it began with genesis.

    Raises `Damaged`.
    """
    if not home.base.exists():
        return None
    return Base(DiskDirectory(home.base, is_read_only=True))


def ensure_index(
    home: NodeHome, base: Base, open_store: Callable[[Path], KeyValue], progress: Progress
) -> None:
    """Build the index of a chain that began with `base` if there is none; raise `Damaged`."""
    if home.index.is_dir() and any(home.index.iterdir()):
        return
    partial = home.path / "index.partial"
    _remove(partial)
    partial.mkdir(mode=0o700)
    with closing(DiskDirectory(home.chain)) as segments, closing(open_store(partial)) as store:
        build_index(base, segments, store, progress)
    os.rename(partial, home.index)
    sync_directory(home.path)


def _empty(folder: Path) -> None:
    _remove(folder)
    folder.mkdir(mode=0o700)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
