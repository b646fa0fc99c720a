"""What this node answers to peers that ask for snapshots.

Each answer is one frame: the heights it has, a manifest with what certifies its block, or one chunk
of half a mebibyte. How many a peer gets in a tick is the driver's to count. What a peer asks for
and this node has no longer is said, so that the peer turns elsewhere at once.
"""

from __future__ import annotations

from typing import Protocol

from ledger.block import decode_header
from ledger.checkpoint import parse_checkpoint_text
from ledger.log import inclusion_proof_from_tiles
from ledger.note import parse_note
from node.ledger_store import LedgerStore
from node.messages import (
    FetchChunk,
    FetchManifest,
    FetchSnapshots,
    Frame,
    SnapshotChunk,
    SnapshotManifest,
    SnapshotOffer,
    Snapshots,
)
from node.snapshot_shelf import SnapshotShelf

Request = FetchSnapshots | FetchManifest | FetchChunk


class SnapshotAnswers(Protocol):
    """Port of the driver: what to answer."""

    def answer(self, request: Request) -> Frame:
        """Return the frame to send back."""


class NoSnapshots:
    """A node that makes none."""

    def answer(self, request: Request) -> Frame:
        """Say so."""
        match request:
            case FetchSnapshots():
                return Snapshots([])
            case FetchManifest():
                return SnapshotManifest(request.height, b"", b"", b"", [])
            case FetchChunk():
                return SnapshotChunk(request.height, request.index, b"")


class ShelfAnswers:
    """A node that has a shelf of them."""

    def __init__(self, shelf: SnapshotShelf, store: LedgerStore) -> None:
        self._shelf = shelf
        self._store = store

    def answer(self, request: Request) -> Frame:
        """Return the frame to send back."""
        match request:
            case FetchSnapshots():
                offers = [SnapshotOffer(height, digest) for height, digest in self._shelf.offers()]
                return Snapshots(offers)
            case FetchManifest():
                return self._manifest(request.height)
            case FetchChunk():
                chunk = self._shelf.chunk(request.height, request.index)
                return SnapshotChunk(request.height, request.index, chunk or b"")

    def _manifest(self, height: int) -> SnapshotManifest:
        held = self._shelf.manifest(height)
        certificate = self._store.certificate(height)
        covering = self._store.chain_store.first_checkpoint_at_or_after(height)
        if held is None or certificate is None or covering is None:
            return SnapshotManifest(height, b"", b"", b"", [])
        note = covering[1]
        raw, header_bytes = held
        header = decode_header(header_bytes)
        size = parse_checkpoint_text(parse_note(note).text).size
        proof = inclusion_proof_from_tiles(header.index, size, self._store.read_tile)
        return SnapshotManifest(height, raw, certificate, note, proof)
