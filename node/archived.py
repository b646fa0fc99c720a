"""A home's segments as one directory, whether they lie there or in the archive of `node.toml`.

Which have moved stands in the home's list (`storage.archive`). A folder counts as this chain's
archive only if its mark says so: an empty mount point, or another chain's archive, is none. What is
read from where is decided in `storage.archive`, when it is read.
"""

from __future__ import annotations

from pathlib import Path

from node.config import NodeConfig
from node.home import NodeHome
from storage.archive import MARK_FILE, ArchivedFile, ArchivedSegments, decode_list
from storage.files import Directory, DiskDirectory


def read_archived(home: NodeHome) -> list[ArchivedFile]:
    """Return which segments have moved; raise `Damaged`."""
    if not home.archived.exists():
        return []
    return decode_list(home.archived.read_bytes(), str(home.archived))


def find_archived(home: NodeHome) -> int:
    """Return the height below which all blocks have moved, 0 if none has; raise `Damaged`."""
    return max((file.last_height + 1 for file in read_archived(home)), default=0)


def is_mounted(place: Path, chain_id: bytes) -> bool:
    """Say whether a folder is the archive of this chain."""
    mark = place / MARK_FILE
    return mark.is_file() and mark.read_bytes() == encode_mark(chain_id)


def encode_mark(chain_id: bytes) -> bytes:
    """Return what an archive's mark holds."""
    return b"evidence-ledger archive of chain %s\n" % chain_id.hex().encode()


def open_segments(
    home: NodeHome, config: NodeConfig, chain_id: bytes, segments: Directory
) -> Directory:
    """Return `segments` with those that have moved; raise `Damaged` if the list is damaged."""
    moved = read_archived(home)
    if not moved:
        return segments
    place = home.resolve(config.storage.archive) if config.storage.archive else None
    archive = None
    if place is not None and is_mounted(place, chain_id):
        archive = DiskDirectory(place, is_read_only=True)
    return ArchivedSegments(segments, archive, moved, "" if place is None else str(place))
