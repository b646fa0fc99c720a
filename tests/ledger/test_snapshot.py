"""Snapshots as values: the log's edge, manifests, chunks and rows, and what each is refused for.

Manifests with votes and checkpoints, and the blocks beside a snapshot, are tested on a real chain
in `tests/node/test_snapshot.py`.
"""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import snapshot as snapshots
from ledger.hashing import ZERO_HASH, sha256
from ledger.log import (
    extend_tiles,
    frontier_from_tiles,
    inclusion_proof_from_tiles,
)
from ledger.merkle import Frontier, compute_root, leaf_hash, verify_inclusion
from ledger.refusal import Reason, Rejected
from ledger.snapshot import (
    ChunkId,
    Manifest,
    ReferenceRow,
    Row,
    StreamRow,
    check_chunk,
    compute_base,
    decode_chunk,
    decode_manifest,
    edge_from_tiles,
    encode_manifest,
    name_chunk,
    pack_chunks,
    read_rows,
)
from ledger.stream import StreamValue, encode_stream_value

LEAVES = [leaf_hash(b"%d" % number) for number in range(70_000)]


def grow(tiles: dict[tuple[int, int], bytes], frontier: Frontier, end: int) -> Frontier:
    extension = extend_tiles(
        frontier, LEAVES[frontier.size : end], lambda level, index: tiles[level, index]
    )
    tiles.update(((level, index), data) for level, index, data in extension.tiles)
    return extension.frontier


@pytest.fixture(scope="module")
def whole() -> dict[tuple[int, int], bytes]:
    tiles: dict[tuple[int, int], bytes] = {}
    grow(tiles, Frontier.empty(), len(LEAVES))
    return tiles


def manifest_of(size: int, edge: tuple[bytes, ...]) -> Manifest:
    return Manifest(2, ZERO_HASH, b"header", 7, size, edge, (ChunkId(ZERO_HASH, 5),))


SIZES = [1, 2, 255, 256, 257, 511, 65_535, 65_536, 65_537, 65_792]


@pytest.mark.parametrize("size", SIZES)
def test_the_edge_alone_grows_into_the_log_and_proves_everything_after_it(
    size: int, whole: dict[tuple[int, int], bytes]
) -> None:
    """Also from tiles that have grown since, as a node that goes on has them."""
    edge = edge_from_tiles(size, lambda level, index: whole[level, index])
    base = compute_base(manifest_of(size, edge))
    assert base.root() == compute_root(LEAVES[:size])
    tiles: dict[tuple[int, int], bytes] = {}
    for level, data in enumerate(edge):
        if data:
            tiles[level, (size >> 8 * level) // 256] = data
    end = size + 700
    grown = grow(tiles, grow(tiles, base, size + 1), end)
    root = compute_root(LEAVES[:end])
    assert grown.root() == root == frontier_from_tiles(end, lambda *tile: tiles[tile]).root()
    for index in (size, size + 1, size + 300, end - 1):
        proof = inclusion_proof_from_tiles(index, end, lambda *tile: tiles[tile])
        verify_inclusion(LEAVES[index], index, end, proof, root)


@given(st.integers(0, 70_000), st.randoms(use_true_random=False))
def test_an_edge_of_any_size_is_bound_by_its_root(
    whole: dict[tuple[int, int], bytes], size: int, chance: random.Random
) -> None:
    edge = edge_from_tiles(size, lambda level, index: whole[level, index])
    raw = encode_manifest(manifest_of(size, edge))
    root = compute_root(LEAVES[:size])
    assert compute_base(decode_manifest(raw)).root() == root
    filled = [level for level, tile in enumerate(edge) if tile]
    if filled:
        level = chance.choice(filled)
        wrong = bytearray(edge[level])
        wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        changed = (*edge[:level], bytes(wrong), *edge[level + 1 :])
        assert compute_base(manifest_of(size, changed)).root() != root


def test_an_edge_that_does_not_fit_the_size_is_refused() -> None:
    raw = encode_manifest(manifest_of(257, (bytes(32), bytes(64))))
    with pytest.raises(Rejected) as refused:
        decode_manifest(raw)
    assert refused.value.reason is Reason.BAD_FIELD
    assert refused.value.detail == (
        "snapshot manifest: its edge has tiles of [32, 64] bytes, and a log of 257 entries has "
        "[32, 32]"
    )


def test_a_tile_that_is_too_narrow_is_our_own_damage() -> None:
    with pytest.raises(ValueError, match=r"^tile 0/0 has 0 bytes where 3 hashes are needed$"):
        edge_from_tiles(3, lambda _level, _index: b"")


# Rows


def stream(name: str, count: int = 0, record: list[object] | None = None) -> StreamRow:
    frontier = Frontier.empty().extend(LEAVES[:count])
    value = StreamValue(count, frontier.root(), record)
    return StreamRow(name, frontier.peaks, encode_stream_value(value))


def reference(number: int) -> ReferenceRow:
    return ReferenceRow(sha256(b"%d" % number), sha256(b"tx %d" % number), number)


def chunks_of(rows: list[Row]) -> list[bytes]:
    return [chunk for chunk in pack_chunks(rows) if chunk is not None]


@given(
    st.dictionaries(st.text(min_size=1, max_size=9), st.integers(0, 40), max_size=30),
    st.sets(st.integers(0, 999), max_size=30),
    st.integers(1, 900),
)
def test_rows_come_back_as_they_were_whatever_the_size_of_a_chunk(
    counts: dict[str, int], numbers: set[int], chunk_bytes: int
) -> None:
    names = sorted(counts, key=str.encode)
    rows: list[Row] = [stream(name, counts[name]) for name in names]
    rows += sorted((reference(number) for number in numbers), key=lambda row: row.key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "CHUNK_BYTES", chunk_bytes)
        chunks = chunks_of(rows)
    assert list(read_rows(chunks)) == rows
    for chunk in chunks:
        assert len({type(row) for row in decode_chunk(chunk).rows}) == 1
    if rows and len(chunks) == 1:
        assert len(chunks[0]) < chunk_bytes + 200 * len(rows)


def test_a_pause_is_passed_on_and_splits_nothing() -> None:
    packed = list(pack_chunks([stream("a"), None, stream("b"), None, None]))
    assert packed == [None, None, None, *chunks_of([stream("a"), stream("b")])]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([stream("b"), stream("a")], "snapshot: row b'a' stands after b'b'"),
        ([stream("a"), stream("a")], "snapshot: row b'a' stands after b'a'"),
        ([reference(1), reference(1)], None),
        ([reference(1), stream("a")], None),
    ],
)
def test_rows_out_of_order_are_refused(rows: list[Row], sentence: str | None) -> None:
    with pytest.raises(Rejected) as refused:
        list(read_rows([snapshots._close([row]) for row in rows]))
    assert refused.value.reason is Reason.BAD_FIELD
    if sentence is not None:
        assert refused.value.detail == sentence


def test_peaks_that_are_not_the_value_s_are_refused() -> None:
    good = stream("contract/1", 5)
    wrong = msgspec.structs.replace(good, peaks=good.peaks[32:] + good.peaks[:32])
    with pytest.raises(Rejected) as refused:
        list(read_rows([snapshots._close([wrong])]))
    assert refused.value.reason is Reason.ROOT_MISMATCH
    assert refused.value.detail.startswith("snapshot: the peaks of stream contract/1 give root ")
    short = msgspec.structs.replace(good, peaks=good.peaks[32:])
    with pytest.raises(Rejected, match="bytes of peaks do not belong to a tree of size 5"):
        list(read_rows([snapshots._close([short])]))


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_chunk_is_its_bytes_and_no_others(chunk: bytes, data: st.DataObject) -> None:
    manifest = msgspec.structs.replace(manifest_of(0, ()), chunks=(name_chunk(chunk),))
    check_chunk(manifest, 0, chunk)
    at = data.draw(st.integers(0, len(chunk) - 1))
    flipped = chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
    for wrong in (flipped, chunk + b"\0", chunk[:-1], b""):
        with pytest.raises(Rejected) as refused:
            check_chunk(manifest, 0, wrong)
        assert refused.value.reason is Reason.BAD_PROOF
    for index in (-1, 1):
        with pytest.raises(Rejected, match=f"snapshot: there is no chunk {index}$"):
            check_chunk(manifest, index, chunk)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for decode in (decode_manifest, decode_chunk):
        try:
            decode(raw)
        except Rejected:
            continue
