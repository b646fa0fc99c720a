"""tlog-tiles: growth in any steps, proofs from tiles against plain ones, paths and bundles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import log
from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    compute_root,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.refusal import Reason, Rejected
from tests.ledger import independent_c2sp

SIZE = 70_000
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(SIZE)]


class Tiles:
    """Tiles in a dictionary, counting what is read."""

    def __init__(self) -> None:
        self.stored: dict[tuple[int, int], bytes] = {}
        self.reads: list[tuple[int, int]] = []

    def read(self, level: int, index: int) -> bytes:
        self.reads.append((level, index))
        return self.stored[level, index]

    def write(self, extension: log.LogExtension) -> None:
        for level, index, data in extension.tiles:
            self.stored[level, index] = data


@pytest.fixture(scope="module")
def grown() -> Tiles:
    """The log of 70,000 leaves, grown in uneven steps."""
    tiles, chance = Tiles(), random.Random(7)
    frontier = Frontier.empty()
    while frontier.size < SIZE:
        step = min(chance.choice([1, 2, 255, 256, 257, 3000]), SIZE - frontier.size)
        leaves = LEAVES[frontier.size : frontier.size + step]
        extension = log.extend_tiles(frontier, leaves, tiles.read)
        tiles.write(extension)
        frontier = extension.frontier
    assert frontier.root() == compute_root(LEAVES)
    return tiles


def test_the_tiles_of_70000_leaves_are_those_of_the_spec(grown: Tiles) -> None:
    """tlog-tiles, "Partial Tiles", has this very example."""
    widths: dict[int, list[int]] = {}
    for (level, _), data in sorted(grown.stored.items()):
        widths.setdefault(level, []).append(len(data) // 32)
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    for (level, index), data in grown.stored.items():
        assert log.tile_width(level, index, SIZE) == len(data) // 32
        span = 256**level
        first = LEAVES[index * 256 * span : (index * 256 + 1) * span]
        assert data[:32] == compute_root(first)
    assert log.tile_width(0, 274, SIZE) == log.tile_width(3, 0, SIZE) == 0


@given(st.lists(st.integers(0, 600), max_size=6), st.integers(0, 3))
def test_steps_and_headers_after_them_give_the_same_tiles(steps: list[int], tail: int) -> None:
    stepped, whole = Tiles(), Tiles()
    frontier = Frontier.empty()
    for step in steps:
        entries = LEAVES[frontier.size : frontier.size + step]
        header = LEAVES[frontier.size + step : frontier.size + step + tail]
        extension = log.extend_tiles(frontier, entries, stepped.read).then(header, stepped.read)
        assert [tile[:2] for tile in extension.tiles] == sorted(
            {tile[:2] for tile in extension.tiles}
        )
        stepped.write(extension)
        frontier = extension.frontier
    whole.write(log.extend_tiles(Frontier.empty(), LEAVES[: frontier.size], whole.read))
    assert stepped.stored == whole.stored
    assert not whole.reads
    assert log.root_from_tiles(frontier.size, stepped.read) == frontier.root()
    assert log.frontier_from_tiles(frontier.size, stepped.read) == frontier


def test_a_wider_tile_than_the_tree_needs_grows_as_the_exact_one() -> None:
    """Tiles that are ahead of the tree, as another reader of a growing log may find them."""
    tiles = Tiles()
    tiles.write(log.extend_tiles(Frontier.empty(), LEAVES[:300], tiles.read))
    ahead = log.extend_tiles(log.frontier_from_tiles(7, tiles.read), LEAVES[7:20], tiles.read)
    assert ahead.tiles == ((0, 0, b"".join(LEAVES[:20])),)
    assert ahead.frontier.root() == compute_root(LEAVES[:20])


def test_growth_reads_only_partial_tiles_at_the_right_edge(grown: Tiles) -> None:
    frontier = log.frontier_from_tiles(SIZE, grown.read)
    grown.reads.clear()
    log.extend_tiles(frontier, LEAVES[:500], grown.read)
    assert grown.reads == [(0, 273), (1, 1)]


@given(st.data())
def test_proofs_from_tiles_are_the_plain_ones(grown: Tiles, data: st.DataObject) -> None:
    size = data.draw(st.one_of(st.integers(1, 1500), st.sampled_from([65_535, 65_536, SIZE])))
    index = data.draw(st.integers(0, size - 1))
    proof = log.inclusion_proof_from_tiles(index, size, grown.read)
    root = log.root_from_tiles(size, grown.read)
    verify_inclusion(LEAVES[index], index, size, proof, root)
    older = data.draw(st.integers(1, size))
    between = log.consistency_proof_from_tiles(older, size, grown.read)
    verify_consistency(older, size, between, log.root_from_tiles(older, grown.read), root)
    if size <= 1500:
        assert root == compute_root(LEAVES[:size])
        assert proof == inclusion_proof(LEAVES, index, size)
        assert between == consistency_proof(LEAVES, older, size)


def test_a_proof_reads_each_planned_tile_once(grown: Tiles) -> None:
    ranges = log.plan_inclusion(12_345, SIZE)
    grown.reads.clear()
    assert log.inclusion_proof_from_tiles(12_345, SIZE, grown.read) == inclusion_proof(
        LEAVES, 12_345
    )
    assert sorted(grown.reads) == log.plan_tiles(ranges)
    assert (0, 12_345 // 256) in grown.reads


def test_a_prover_forgets_old_tiles_and_stays_right(grown: Tiles) -> None:
    prover = log.TileProver(SIZE, grown.read, tiles_kept_max=3)
    root = compute_root(LEAVES)
    for index in (0, 300, 69_999, 12_345, 1, 66_000):
        verify_inclusion(LEAVES[index], index, SIZE, prover.inclusion(index), root)


def test_a_flipped_byte_in_a_tile_breaks_the_proof(grown: Tiles) -> None:
    root = compute_root(LEAVES)

    def read(level: int, index: int) -> bytes:
        data = grown.stored[level, index]
        return data[:64] + bytes([data[64] ^ 1]) + data[65:] if (level, index) == (1, 0) else data

    proof = log.inclusion_proof_from_tiles(5, SIZE, read)
    with pytest.raises(Rejected):
        verify_inclusion(LEAVES[5], 5, SIZE, proof, root)


def test_a_tile_that_is_too_short_is_said(grown: Tiles) -> None:
    with pytest.raises(ValueError, match="tile 1/1 has 32 bytes where 17 hashes are needed"):
        log.root_from_tiles(SIZE, lambda level, index: grown.stored[level, index][:32])
    assert log.root_from_tiles(0, grown.read) == EMPTY_ROOT


@pytest.mark.parametrize("arguments", [(0, 0), (5, 5), (-1, 5)])
def test_plans_outside_the_log_are_our_own_mistake(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is not in a log of size"):
        log.plan_inclusion(*arguments)


@pytest.mark.parametrize(
    ("path", "level", "index", "width"),
    [
        ("/tile/0/000", 0, 0, 256),
        ("/tile/0/x001/x234/067", 0, 1_234_067, 256),
        ("/tile/63/001.p/1", 63, 1, 1),
        ("/tile/2/x001/000.p/255", 2, 1000, 255),
        ("/tile/entries/000.p/17", None, 0, 17),
        ("/tile/entries/x273/999", None, 273_999, 256),
    ],
)
def test_paths(path: str, level: int | None, index: int, width: int) -> None:
    assert log.parse_tile_path(path) == log.TilePath(level, index, width)
    assert log.tile_path(level, index, width) == path


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_paths_round_trip_and_agree_with_the_other_reader(
    level: int | None, index: int, width: int
) -> None:
    path = log.tile_path(level, index, width)
    assert log.parse_tile_path(path) == log.TilePath(level, index, width)
    name = "entries" if level is None else str(level)
    assert path == independent_c2sp.tile_url(name, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/tile", "/tile/", "/tile/0", "/tile/0/", "tile/0/000", "/tile/00/000",
        "/tile/64/000", "/tile/-1/000", "/tile/+1/000", "/tile/x/000", "/tile/0/0", "/tile/0/0000",
        "/tile/0/x000/001", "/tile/0/001/002", "/tile/0/x001", "/tile/0/x001/x002",
        "/tile/0/000/", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/01",
        "/tile/0/000.p/", "/tile/0/000.p", "/tile/0/000.p/1/2", "/tile/0/x001.p/000",
        "/tile/0/000.p/1/", "/tile/Entries/000", "/tile/entries/", "/tile/entries/xx01/000",
        "/tile/0/٠٠١", "/tile/²/000", "/tile/0/00²", "/tile/0/../000", "/tile/0/000?x=1",
        "/tile/0/000.p/1_0", "/tile/0/1_0", "/tile/0/ 01", "/tile/0/001\n",
        "/tile/0/x009/x223/x372/x036/x854/x775/808", "/tile/0/" + "x999/" * 40 + "999",
    ],
)  # fmt: skip
def test_every_other_path_is_refused(path: str) -> None:
    with pytest.raises(Rejected) as caught:
        log.parse_tile_path(path)
    assert caught.value.reason == Reason.MALFORMED
    assert caught.value.detail == f"Tile path: {path[:80]!r} names no tile or entry bundle"


@given(st.text("/tile0123x.pen", max_size=24))
def test_whatever_parses_formats_back(path: str) -> None:
    try:
        parsed = log.parse_tile_path("/tile/" + path)
    except Rejected:
        return
    assert log.tile_path(parsed.level, parsed.index, parsed.width) == "/tile/" + path


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert log.decode_bundle(log.encode_bundle(entries)) == entries


def test_bundles_have_bounds() -> None:
    largest = bytes(log.ENTRY_BYTES_MAX)
    assert log.decode_bundle(log.encode_bundle([largest, b""])) == [largest, b""]
    with pytest.raises(ValueError, match="an entry of 65536 bytes exceeds 65535"):
        log.encode_bundle([largest + b"x"])
    for raw in (b"\0", b"\0\1", b"\0\1a\0", b"\0\0" * 257):
        with pytest.raises(Rejected) as caught:
            log.decode_bundle(raw)
        assert caught.value.reason == Reason.MALFORMED


def test_the_other_reader_rebuilds_the_log_from_its_urls() -> None:
    entries = [f"entry {number}".encode() for number in range(600)]
    tiles = Tiles()
    leaves = [leaf_hash(entry) for entry in entries]
    extension = log.extend_tiles(Frontier.empty(), leaves[:400], tiles.read)
    tiles.write(extension)
    extension = log.extend_tiles(extension.frontier, leaves[400:], tiles.read)
    tiles.write(extension)

    def get(path: str) -> bytes:
        wanted = log.parse_tile_path(path)
        if wanted.level is None:
            first = wanted.index * log.TILE_WIDTH
            return log.encode_bundle(entries[first : first + wanted.width])
        return tiles.stored[wanted.level, wanted.index][: wanted.width * 32]

    root, read = independent_c2sp.read_log(600, get)
    assert root == extension.frontier.root()
    assert read == entries
