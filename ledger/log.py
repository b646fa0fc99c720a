"""The global log as tiles of 256 hashes (C2SP tlog-tiles), and proofs computed from tiles.

Tile (level, index) holds the roots of perfect subtrees of 256^level leaves, in order; only the
right edge has partial tiles, and a partial tile is never hashed into the level above. Growing the
log is planned here as a value: the new frontier and the new bytes of each tile that changes. A
proof is planned the same way: first the nodes, then the tiles that hold them, then reading. A tile
that was read may be wider than the tree asked for, since the log may have grown; the prefix that
counts is cut out. This module does not know where tiles are kept, nor who may read entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.hashing import HASH_BYTES
from ledger.merkle import EMPTY_ROOT, SIZE_MAX, Frontier, hash_pairs, node_hash
from ledger.refusal import Reason, Rejected

TILE_WIDTH: Final = 256
"""Hashes in a full tile (tlog-tiles, "Merkle Tree")."""

TILE_HEIGHT: Final = 8
"""Tree levels that a tile spans: 2^8 = `TILE_WIDTH`."""

TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES

TILE_LEVEL_MAX: Final = 63
"""Highest level that a tile path may name (tlog-tiles, "Merkle Tree")."""

ENTRY_BYTES_MAX: Final = 65_535
"""Largest entry: its length in a bundle is a uint16 (tlog-tiles, "Log entries")."""

ReadTile = Callable[[int, int], bytes]
"""Port: the bytes of tile (level, index), at least as wide as the tree asked for needs."""

Tile = tuple[int, int]
"""(level, index)."""


@dataclass(frozen=True, slots=True)
class LogExtension:
    """What appending some leaves changes: the frontier, and tiles by (level, index) ascending."""

    frontier: Frontier
    tiles: tuple[tuple[int, int, bytes], ...]

    def then(self, leaf_hashes: list[bytes], read_tile: ReadTile) -> LogExtension:
        """Return this extension grown by more leaves (a block's header, after its entries)."""
        changed = {(level, index): data for level, index, data in self.tiles}

        def read_changed(level: int, index: int) -> bytes:
            data = changed.get((level, index))
            return read_tile(level, index) if data is None else data

        later = extend_tiles(self.frontier, leaf_hashes, read_changed)
        for level, index, data in later.tiles:
            changed[level, index] = data
        tiles = [(level, index, changed[level, index]) for level, index in sorted(changed)]
        return LogExtension(later.frontier, tuple(tiles))


def extend_tiles(frontier: Frontier, leaf_hashes: list[bytes], read_tile: ReadTile) -> LogExtension:
    """Plan the log's growth from `frontier` by these leaf hashes.

    Reads only the partial tiles at the right edge that grow, one at most for each level.
    """
    grown, rows = frontier.extend_rows(leaf_hashes)
    tiles: list[tuple[int, int, bytes]] = []
    for level, row in enumerate(rows[::TILE_HEIGHT]):
        first = frontier.size >> (TILE_HEIGHT * level)
        index, width = divmod(first, TILE_WIDTH)
        data = b"".join(row)
        if width:
            data = _read_prefix(read_tile, level, index, width) + data
        for start in range(0, len(data), TILE_BYTES):
            tiles.append((level, index + start // TILE_BYTES, data[start : start + TILE_BYTES]))
    return LogExtension(grown, tuple(tiles))


def tile_width(level: int, index: int, size: int) -> int:
    """Return how many hashes tile (level, index) has in a tree of `size` (0: there is none)."""
    return min(max((size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH, 0), TILE_WIDTH)


def _read_prefix(read_tile: ReadTile, level: int, index: int, width: int) -> bytes:
    data = read_tile(level, index)
    if len(data) < width * HASH_BYTES:
        raise ValueError(
            f"tile {level}/{index} has {len(data)} bytes where {width} hashes are needed"
        )
    return data[: width * HASH_BYTES]


# Proofs. A range [begin, end) stands for the root of the subtree over those leaves. Each node of
# a proof in RFC 9162 section 2.1 is such a range, and each range is a few perfect subtrees.

Range = tuple[int, int]


def plan_inclusion(index: int, size: int) -> list[Range]:
    """Return the ranges whose roots are PATH(index, D[size]), leaf upwards (section 2.1.3.1)."""
    if not 0 <= index < size <= SIZE_MAX:
        raise ValueError(f"leaf {index} is not in a log of size {size}")
    return _plan_path(index, 0, size)


def plan_consistency(size1: int, size2: int) -> list[Range]:
    """Return the ranges whose roots are PROOF(size1, D[size2]) (RFC 9162 section 2.1.4.1)."""
    if not 0 < size1 <= size2 <= SIZE_MAX:
        raise ValueError(f"no consistency proof leads from size {size1} to size {size2}")
    if size1 == size2:
        return []
    width = size1 & -size1  # the last perfect subtree of the old tree
    begin = size1 - width
    own = [] if begin == 0 else [(begin, size1)]
    return own + _plan_path(begin, width.bit_length() - 1, size2)


def _plan_path(begin: int, height: int, size: int) -> list[Range]:
    """Siblings met going up from the perfect subtree [begin, begin + 2^height)."""
    ranges = []
    width = 1 << height
    while width < size:
        if begin & width:
            begin -= width
            ranges.append((begin, begin + width))
        elif begin + width < size:
            ranges.append((begin + width, min(begin + 2 * width, size)))
        width *= 2
    return ranges


def perfect_nodes(begin: int, end: int) -> list[tuple[int, int]]:
    """Return (height, index) of the perfect subtrees that make up a range, left to right."""
    nodes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        nodes.append((height, begin >> height))
        begin += 1 << height
    return nodes


def plan_tiles(ranges: Iterable[Range]) -> list[Tile]:
    """Return the tiles that hold the nodes of these ranges, ascending, each once."""
    tiles = {
        _find_tile(height, index)[:2]
        for begin, end in ranges
        for height, index in perfect_nodes(begin, end)
    }
    return sorted(tiles)


def _find_tile(height: int, index: int) -> tuple[int, int, int]:
    """Return (tile level, tile index, height above the tile's hashes) of a perfect node."""
    level, above = divmod(height, TILE_HEIGHT)
    return level, (index << above) // TILE_WIDTH, above


class TileProver:
    """Proofs for one tree size from tiles read through a port, each tile at most once kept.

    Keeps the inner nodes of the last few tiles, so that many proofs of one checkpoint cost a
    few microseconds each. Not shared between threads; a bigger log asks for a new prover.
    """

    def __init__(self, size: int, read_tile: ReadTile, tiles_kept_max: int = 64) -> None:
        """64 tiles with inner nodes are 2 MB; `size` is the tree that proofs lead to."""
        self._size = size
        self._read_tile = read_tile
        self._tiles_kept_max = tiles_kept_max
        self._rows: dict[Tile, list[Sequence[bytes]]] = {}

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of a leaf in the tree of this size."""
        return self._compute_hashes(plan_inclusion(index, self._size))

    def consistency(self, size1: int) -> list[bytes]:
        """Return the consistency proof from an older size to this one."""
        return self._compute_hashes(plan_consistency(size1, self._size))

    def frontier(self) -> Frontier:
        """Return the frontier of the tree of this size."""
        nodes = perfect_nodes(0, self._size)
        return Frontier(self._size, b"".join([self._find_node(*node) for node in nodes]))

    def _compute_hashes(self, ranges: list[Range]) -> list[bytes]:
        hashes = []
        for begin, end in ranges:
            width = end - begin
            if width & (width - 1) == 0 and begin % width == 0:  # perfect, as nearly all are
                hashes.append(self._find_node(width.bit_length() - 1, begin // width))
                continue
            nodes = perfect_nodes(begin, end)
            node = self._find_node(*nodes[-1])
            for left in nodes[-2::-1]:
                node = node_hash(self._find_node(*left), node)
            hashes.append(node)
        return hashes

    def _find_node(self, height: int, index: int) -> bytes:
        level, tile_index, above = _find_tile(height, index)
        return self._load((level, tile_index))[above][index - (tile_index * TILE_WIDTH >> above)]

    def _load(self, tile: Tile) -> list[Sequence[bytes]]:
        rows = self._rows.get(tile)
        if rows is None:
            level, index = tile
            width = tile_width(level, index, self._size)
            data = _read_prefix(self._read_tile, level, index, width)
            row = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
            rows = [row]
            while len(row) > 1:
                row = hash_pairs(row)
                rows.append(row)
            if len(self._rows) >= self._tiles_kept_max:
                del self._rows[next(iter(self._rows))]
            self._rows[tile] = rows
        return rows


def inclusion_proof_from_tiles(index: int, size: int, read_tile: ReadTile) -> list[bytes]:
    """Return the inclusion proof of leaf `index` in the tree of `size`."""
    return TileProver(size, read_tile).inclusion(index)


def consistency_proof_from_tiles(size1: int, size2: int, read_tile: ReadTile) -> list[bytes]:
    """Return the consistency proof between two sizes of the log."""
    return TileProver(size2, read_tile).consistency(size1)


def frontier_from_tiles(size: int, read_tile: ReadTile) -> Frontier:
    """Return the frontier of the tree of `size`, for a node that starts."""
    return TileProver(size, read_tile).frontier()


def root_from_tiles(size: int, read_tile: ReadTile) -> bytes:
    """Return the root of the tree of `size`."""
    return frontier_from_tiles(size, read_tile).root() if size else EMPTY_ROOT


# Paths and entry bundles.


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a tile path asks for; `level` None means the entry bundle at this index."""

    level: int | None
    index: int
    width: int


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """Return `/tile/<L>/<N>[.p/<W>]`, or `/tile/entries/<N>[.p/<W>]` when `level` is None."""
    if not (level is None or 0 <= level <= TILE_LEVEL_MAX):
        raise ValueError(f"a tile has a level of 0 to {TILE_LEVEL_MAX}, not {level}")
    if not 0 <= index <= SIZE_MAX or not 0 < width <= TILE_WIDTH:
        raise ValueError(f"there is no tile at index {index} with width {width}")
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    path = f"/tile/{'entries' if level is None else level}/{'/'.join(reversed(groups))}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def parse_tile_path(path: str) -> TilePath:
    """Read a tile or bundle path in its one spelling; raise `Rejected`(MALFORMED)."""
    parts = path.split("/")
    if len(path) > 64 or len(parts) < 4 or parts[:2] != ["", "tile"]:
        _refuse_path(path)
    level = None if parts[2] == "entries" else _parse_number(parts[2])
    width: int | None = TILE_WIDTH
    groups = parts[3:]
    if len(groups) > 1 and groups[-2].endswith(".p"):
        width = _parse_number(groups.pop())
        groups[-1] = groups[-1][:-2]
    index = _parse_number("".join(group.removeprefix("x") for group in groups).lstrip("0") or "0")
    if index is None or width is None or (level is None and parts[2] != "entries"):
        _refuse_path(path)
    # What was read must be the only way to write it: this also checks x's, zeros and bounds.
    try:
        canonical = tile_path(level, index, width) == path
    except ValueError:
        canonical = False
    if not canonical:
        _refuse_path(path)
    return TilePath(level, index, width)


def _parse_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _refuse_path(path: str) -> NoReturn:
    raise Rejected(Reason.MALFORMED, f"Tile path: {path[:80]!r} names no tile or entry bundle")


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries, each behind its big-endian uint16 length (tlog-tiles, "Log entries")."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise ValueError(f"an entry of {len(entry)} bytes exceeds {ENTRY_BYTES_MAX}")
        parts.append(len(entry).to_bytes(2, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_bundle(raw: bytes) -> list[bytes]:
    """Split an entry bundle; raise `Rejected`(MALFORMED)."""
    entries: list[bytes] = []
    at = 0
    while at < len(raw):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if at + 2 > len(raw) or end > len(raw) or len(entries) == TILE_WIDTH:
            raise Rejected(
                Reason.MALFORMED,
                f"Entry bundle: entry {len(entries)} at byte {at} of {len(raw)} is cut off "
                f"or past the {TILE_WIDTH}th",
            )
        entries.append(raw[at + 2 : end])
        at = end
    return entries
