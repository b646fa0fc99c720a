"""State snapshots: what a node needs to go on from a block without executing those before it.

A manifest names the block (its header), the blocks to fetch beside the state, the right edge of the
log before them, and the SHA-256 of every chunk of rows. Streams come first, by name, then business
references, by key, then the entries that later blocks may read, by stream, newest first; rows and
their order are a function of the chain, so correct nodes make the same bytes. What holds each part:

    header      a quorum's commit certificate, and a quorum's cosigned checkpoint that includes it
    streams     the state root in that header, over every row
    log edge    folds to a root that must grow, by the blocks fetched, into the header's log root
    entries     count and root of their stream, in its state value: all of them, and no other
    references  no header commits to them, nor to the time beside an entry: the digest of the
                manifest, said alike by f+1 members
    chunks      their SHA-256 in the manifest, each by itself, so that a false one is known at once

The blocks fetched reach back over the replay window: what a replay is refused by stands in them.
Nothing here knows where rows are kept or who is asked for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import msgspec

from ledger import tags
from ledger.block import (
    Header,
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    decode_header,
    encode_header_entry,
)
from ledger.checkpoint import LogTrust, verify_checkpoint
from ledger.hashing import HASH_BYTES, sha256, tagged_hash
from ledger.log import TILE_HEIGHT, TILE_WIDTH, ReadTile, frontier_from_tiles
from ledger.merkle import BackwardFrontier, Frontier, leaf_hash, verify_inclusion
from ledger.refusal import Reason, Rejected
from ledger.stream import EMPTY_STREAM_ROOT, decode_stream_value
from ledger.transaction import compute_tx_id, read_head
from ledger.validators import ValidatorSet
from ledger.votes import decode_commit_certificate
from ledger.wire import StrictDecoder, encode

SNAPSHOT_VERSION: Final = 2

CHUNK_BYTES: Final = 512 * 1024
"""A chunk is closed by the row that takes it to this size: two million streams make a thousand."""

CHUNK_BYTES_MAX: Final = 1024 * 1024
"""Largest chunk taken: what came before the last row, and the largest row (an
entry has at most 64 KiB, and so has a state value)."""

CHUNKS_MAX: Final = 262_144
"""Most chunks of a manifest: 128 GiB of rows, and a manifest of 11 MB, half of a frame."""

EDGE_TILES_MAX: Final = 7
"""Levels of a log of 2^53 entries that may have a partial tile."""

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class ChunkId(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a chunk must be."""

    sha256: Hash
    size: Annotated[int, msgspec.Meta(ge=1, le=CHUNK_BYTES_MAX)]


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot consists of; see the module's text."""

    version: Annotated[int, msgspec.Meta(ge=SNAPSHOT_VERSION, le=SNAPSHOT_VERSION)]
    chain_id: Hash
    header: bytes
    """The block whose state this is."""
    base_height: Annotated[int, msgspec.Meta(ge=1)]
    """First of the blocks to fetch; the snapshot's own is the last."""
    base_size: Count
    """Entries of the log before that block."""
    edge: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=EDGE_TILES_MAX)]
    """The partial tile of each level at that size, from level 0; empty where the tile is full."""
    chunks: Annotated[tuple[ChunkId, ...], msgspec.Meta(max_length=CHUNKS_MAX)]


class StreamRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stream, with what lets it grow."""

    name: str
    peaks: bytes
    value: bytes


class ReferenceRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A business reference that is taken, by which transaction and when."""

    key: Hash
    tx_id: Hash
    time_ms: Count


class KeptRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of a stream whose earlier entries later blocks may read."""

    time_ms: Count
    """Of its block."""
    entry: bytes
    """Leaf data, which names the stream."""


class KeptEntryHead(NamedTuple):
    """What such an entry says of itself, under its stream's root."""

    position: int
    tx_id: bytes
    stream: str
    refused: bool


class StreamChunk(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=0, tag_field="kind"):
    """Some streams, by name."""

    rows: list[StreamRow]


class ReferenceChunk(
    msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1, tag_field="kind"
):
    """Some references, by key."""

    rows: list[ReferenceRow]


class KeptChunk(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2, tag_field="kind"):
    """Some entries, by stream and newest first."""

    rows: list[KeptRow]


Row = StreamRow | ReferenceRow | KeptRow
Chunk = StreamChunk | ReferenceChunk | KeptChunk

_CHUNK_OF: Final = {StreamRow: StreamChunk, ReferenceRow: ReferenceChunk, KeptRow: KeptChunk}

_manifest_decoder = StrictDecoder(Manifest, "snapshot manifest")
_chunk_decoder: StrictDecoder[Chunk] = StrictDecoder(
    Chunk,  # type: ignore[arg-type]  # a union is no class to mypy
    "snapshot chunk",
)


# Making


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's bytes."""
    return encode(manifest)


def compute_digest(manifest: bytes) -> bytes:
    """Return the hash of a manifest's bytes, which names the snapshot."""
    return tagged_hash(tags.SNAPSHOT, manifest)


def name_chunk(chunk: bytes) -> ChunkId:
    """Return what a manifest says of a chunk."""
    return ChunkId(sha256(chunk), len(chunk))


def pack_chunks(rows: Iterable[Row | None]) -> Iterator[bytes | None]:
    """Yield the chunks of rows that come in order, streams first; None wherever a None comes.

    A None is where whoever reads slowly may pause.
    """
    waiting: list[Row] = []
    size = 0
    for row in rows:
        if row is None:
            yield None
            continue
        if waiting and (size >= CHUNK_BYTES or type(row) is not type(waiting[0])):
            yield _close(waiting)
            waiting, size = [], 0
        waiting.append(row)
        size += _size_of(row)
    if waiting:
        yield _close(waiting)


def _size_of(row: Row) -> int:
    if isinstance(row, StreamRow):
        return len(row.name) + len(row.peaks) + len(row.value)
    if isinstance(row, KeptRow):
        return len(row.entry) + 8
    return 2 * HASH_BYTES + 8


def _close(rows: list[Row]) -> bytes:
    return encode(_CHUNK_OF[type(rows[0])](rows))  # all rows are of the first one's type


def edge_from_tiles(size: int, read_tile: ReadTile) -> tuple[bytes, ...]:
    """Return the partial tiles at the right edge of the log of `size`, from level 0."""
    edge: list[bytes] = []
    while size:
        index, width = divmod(size, TILE_WIDTH)
        data = read_tile(len(edge), index) if width else b""
        if len(data) < width * HASH_BYTES:
            raise ValueError(
                f"tile {len(edge)}/{index} has {len(data)} bytes where {width} hashes are needed"
            )
        edge.append(data[: width * HASH_BYTES])
        size >>= TILE_HEIGHT
    return tuple(edge)


# Verifying


@dataclass(frozen=True, slots=True)
class SnapshotTrust:
    """What a snapshot is held against: all of it follows from genesis."""

    chain_id: bytes
    validators: ValidatorSet
    log: LogTrust
    replay_window_ms: int


def decode_manifest(raw: bytes) -> Manifest:
    """Read a manifest strictly; raise `Rejected`."""
    manifest = _manifest_decoder.decode(raw)
    size = manifest.base_size
    widths = []
    while size:
        widths.append(size % TILE_WIDTH * HASH_BYTES)
        size >>= TILE_HEIGHT
    if [len(tile) for tile in manifest.edge] != widths:
        raise Rejected(
            Reason.BAD_FIELD,
            f"snapshot manifest: its edge has tiles of {[len(tile) for tile in manifest.edge]} "
            f"bytes, and a log of {manifest.base_size} entries has {widths}",
        )
    return manifest


def compute_base(manifest: Manifest) -> Frontier:
    """Return the log before the first block to fetch, as the manifest's edge gives it."""

    def read(level: int, _index: int) -> bytes:
        return manifest.edge[level]

    return frontier_from_tiles(manifest.base_size, read)


def verify_manifest(
    manifest: Manifest,
    certificate: bytes,
    note: bytes,
    proof: Sequence[bytes],
    trust: SnapshotTrust,
) -> Header:
    """Return the header of a snapshot whose block a quorum decided and certified.

    1. The header is this chain's, of this validator set, and the blocks to fetch end with it.
    2. The certificate is a quorum's, on this header.
    3. The note is a checkpoint that a quorum cosigned, and the header's entry is in its tree.

    Raises `Rejected`. Rows, references and the log edge are not looked at here.
    """
    header = decode_header(manifest.header)
    if manifest.chain_id != trust.chain_id or header.chain_id != trust.chain_id:
        raise Rejected(
            Reason.WRONG_CHAIN,
            f"snapshot: chain {header.chain_id.hex()}, not {trust.chain_id.hex()}",
        )
    if header.validators_hash != trust.validators.hash:
        raise Rejected(Reason.BAD_FIELD, f"snapshot {header.height}: another validator set")
    if manifest.base_height > header.height or manifest.base_size > header.first_index:
        raise Rejected(
            Reason.BAD_FIELD,
            f"snapshot {header.height}: begins with block {manifest.base_height} at entry "
            f"{manifest.base_size}, which is not before it",
        )
    votes = decode_commit_certificate(certificate)
    votes.verify(trust.validators, trust.chain_id)
    if (votes.height, votes.block_hash) != (header.height, compute_block_hash(manifest.header)):
        raise Rejected(
            Reason.BAD_PROOF, f"snapshot {header.height}: the votes are for another block"
        )
    checkpoint = verify_checkpoint(note, trust.log).checkpoint
    leaf = leaf_hash(encode_header_entry(header))
    verify_inclusion(leaf, header.index, checkpoint.size, proof, checkpoint.root)
    return header


def check_chunk(manifest: Manifest, index: int, chunk: bytes) -> None:
    """Raise `Rejected` unless these are the bytes of that chunk."""
    if not 0 <= index < len(manifest.chunks):
        raise Rejected(Reason.BAD_FIELD, f"snapshot: there is no chunk {index}")
    expected = manifest.chunks[index]
    if name_chunk(chunk) != expected:
        raise Rejected(
            Reason.BAD_PROOF,
            f"snapshot: chunk {index} has {len(chunk)} bytes of SHA-256 {sha256(chunk).hex()}, "
            f"the manifest says {expected.size} of {expected.sha256.hex()}",
        )


def decode_chunk(chunk: bytes) -> Chunk:
    """Read a chunk strictly; raise `Rejected`."""
    return _chunk_decoder.decode(chunk)


def read_rows(chunks: Iterable[bytes]) -> Iterator[Row]:
    """Yield the rows of all chunks; raise `Rejected` unless each stands once and in its place.

    Entries only come last: their places are told by their streams (`take_entries`).
    """
    last: tuple[int, bytes] | None = None
    for raw in chunks:
        for row in decode_chunk(raw).rows:
            if isinstance(row, StreamRow):
                place = (0, row.name.encode())
                _check_stream(row)
            elif isinstance(row, ReferenceRow):
                place = (1, row.key)
            else:
                last = (2, b"")
                yield row
                continue
            if last is not None and place <= last:
                raise Rejected(
                    Reason.BAD_FIELD, f"snapshot: row {place[1]!r} stands after {last[1]!r}"
                )
            last = place
            yield row


def _check_stream(row: StreamRow) -> None:
    """Raise `Rejected` unless the peaks are those of the root that the state commits to."""
    value = decode_stream_value(row.value)
    frontier = Frontier.from_peaks(value.count, row.peaks)
    root = frontier.root() if value.count else EMPTY_STREAM_ROOT
    if root != value.root:
        raise Rejected(
            Reason.ROOT_MISMATCH,
            f"snapshot: the peaks of stream {row.name} give root {root.hex()}, and its value has "
            f"{value.root.hex()}",
        )


def take_entries(
    name: str, count: int, peaks: bytes, rows: Iterator[KeptRow]
) -> Iterator[tuple[KeptEntryHead, KeptRow]]:
    """Take a stream's entries off `rows`; yield each, newest first, with its head.

    `count` and `peaks` are the stream's own, held against the state. Raises `Rejected`, at the
    latest after the last one, unless these are exactly its entries.
    """
    edge = BackwardFrontier(count)
    while edge.left:
        row = next(rows, None)
        missing = f"{edge.left} of the {count} entries of stream {name} are missing"
        if row is None:
            raise Rejected(Reason.BAD_FIELD, f"snapshot: {missing}")
        head = read_kept(row)
        if head.stream != name:
            raise Rejected(
                Reason.BAD_FIELD,
                f"snapshot: entry {head.position} of stream {head.stream} stands where {missing}",
            )
        edge.prepend(leaf_hash(row.entry))
        yield head, row
    if edge.peaks != peaks:
        raise Rejected(
            Reason.ROOT_MISMATCH,
            f"snapshot: the {count} entries given for stream {name} do not give its root",
        )


def read_kept(row: KeptRow) -> KeptEntryHead:
    """Return what an entry is; raise `Rejected` if it is no transaction's."""
    entry = decode_entry(row.entry)
    if not isinstance(entry, TransactionEntry):
        raise Rejected(Reason.BAD_FIELD, f"snapshot: entry {entry.index} is no transaction")
    body = entry.envelope.body
    try:
        stream = read_head(body).stream
    except msgspec.MsgspecError:
        raise Rejected(
            Reason.MALFORMED, f"snapshot: the body of entry {entry.index} cannot be read"
        ) from None
    return KeptEntryHead(entry.index, compute_tx_id(body), stream, entry.outcome.refused)
