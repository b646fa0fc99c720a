"""What nodes say to one another: one frame, one MessagePack array that begins with its type.

Consensus messages travel as the bytes the consensus package made; everything else here serves the
pool (transactions and the proposal's missing ones), catch-up (status, blocks, snapshots) and
certification (cosignatures). A frame says nothing about who sent it: the transport knows that, and
whatever must be believed carries its own signatures.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from consensus.messages import PROPOSAL_TRANSACTIONS_MAX
from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected
from ledger.wire import WIRE_ERRORS, encode

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]

BLOCKS_BYTES_MAX: Final = 8 * 1024 * 1024
"""Entries one answer to `FetchBlocks` carries, one block at least; well below a frame."""

BLOCKS_MAX: Final = 4096
"""Blocks of one such answer: many blocks without transactions are few bytes."""

ENTRIES_MAX: Final = PROPOSAL_TRANSACTIONS_MAX + 1
"""Entries of a block: its transactions and its header."""

OFFERS_MAX: Final = 16
"""Snapshots that one peer may offer; a node keeps two."""

PROOF_HASHES_MAX: Final = 64
"""Hashes of an inclusion proof in a log of 2^53 entries, with room."""

GOSSIP_BYTES_MAX: Final = 1024 * 1024
"""Envelopes in one `Transactions` frame."""

FETCHED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Envelopes in all answers to one `FetchTransactions`: the largest block's."""

Envelopes = Annotated[list[bytes], msgspec.Meta(max_length=PROPOSAL_TRANSACTIONS_MAX)]
"""As many as a block may hold. Refused before they are read: of empty ones, two bytes each, a frame
would hold twelve million, and each costs two kilobytes to refuse."""


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False, tag_field="type"):
    """A frame; its first field is the number of its type."""


class Consensus(Message, frozen=True, array_like=True, tag=0):
    """A message of `consensus.messages`, encoded."""

    payload: bytes


class Transactions(Message, frozen=True, array_like=True, tag=1):
    """Envelopes a node was given, passed on."""

    envelopes: Envelopes


class FetchTransactions(Message, frozen=True, array_like=True, tag=2):
    """Ask for envelopes of a proposal by their hashes, concatenated."""

    envelope_hashes: Annotated[
        bytes, msgspec.Meta(max_length=PROPOSAL_TRANSACTIONS_MAX * HASH_BYTES)
    ]


class FetchedTransactions(Message, frozen=True, array_like=True, tag=3):
    """The answer: those of them the sender has."""

    envelopes: Envelopes


class FetchProposal(Message, frozen=True, array_like=True, tag=4):
    """Ask whoever claims a block is prepared for its bytes."""

    height: Count
    block_hash: Hash


class FetchedProposal(Message, frozen=True, array_like=True, tag=5):
    """The answer: the proposal and its envelopes."""

    header: bytes
    leaf_hashes: bytes
    envelopes: Envelopes


class Status(Message, frozen=True, array_like=True, tag=6):
    """How far the sender is, with the proof: its newest header and commit certificate."""

    height: Count
    header: bytes
    certificate: bytes
    wants_answer: bool
    """Set by a node that recovers and has to hear from a quorum."""


class FetchBlocks(Message, frozen=True, array_like=True, tag=7):
    """Ask for decided blocks from a height on."""

    height: Count


class CertifiedBlock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decided block with the votes that decided it."""

    entries: Annotated[list[bytes], msgspec.Meta(max_length=ENTRIES_MAX)]
    certificate: bytes


class Blocks(Message, frozen=True, array_like=True, tag=8):
    """The answer: consecutive blocks, as many as fit."""

    blocks: Annotated[list[CertifiedBlock], msgspec.Meta(max_length=BLOCKS_MAX)]


class Cosigned(Message, frozen=True, array_like=True, tag=9):
    """A C2SP cosignature of the checkpoint after block `height`: PBFT's CHECKPOINT."""

    height: Count
    size: Count
    root: Hash
    signature: Annotated[bytes, msgspec.Meta(min_length=72, max_length=72)]
    """Big-endian u64 seconds and the Ed25519 signature (tlog-cosignature)."""


class FetchSnapshots(Message, frozen=True, array_like=True, tag=10):
    """Ask which snapshots a peer has."""


class SnapshotOffer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A snapshot that the sender has."""

    height: Count
    digest: Hash
    """Hash of its manifest."""


class Snapshots(Message, frozen=True, array_like=True, tag=11):
    """The answer."""

    offers: Annotated[list[SnapshotOffer], msgspec.Meta(max_length=OFFERS_MAX)]


class FetchManifest(Message, frozen=True, array_like=True, tag=12):
    """Ask for a snapshot's manifest."""

    height: Count


class SnapshotManifest(Message, frozen=True, array_like=True, tag=13):
    """The answer, with what certifies its block; an empty manifest where there is none."""

    height: Count
    manifest: bytes
    certificate: bytes
    note: bytes
    """A certified checkpoint."""
    proof: Annotated[list[Hash], msgspec.Meta(max_length=PROOF_HASHES_MAX)]
    """Inclusion of the header's entry in it."""


class FetchChunk(Message, frozen=True, array_like=True, tag=14):
    """Ask for a chunk of a snapshot."""

    height: Count
    index: Count


class SnapshotChunk(Message, frozen=True, array_like=True, tag=15):
    """The answer; empty where the sender has that snapshot no longer."""

    height: Count
    index: Count
    chunk: bytes


class BlocksBegin(Message, frozen=True, array_like=True, tag=16):
    """The answer to `FetchBlocks` of a block the sender does not hold: the first one it does."""

    height: Count


class PostQuantumCosigned(Message, frozen=True, array_like=True, tag=17):
    """An ML-DSA-44 cosignature of the certified checkpoint after block `height`.

    The shell hands it to who keeps these (`node.post_quantum`); the driver never waits for one.
    """

    height: Count
    size: Count
    root: Hash
    public_key: Annotated[bytes, msgspec.Meta(min_length=1312, max_length=1312)]
    signature: Annotated[bytes, msgspec.Meta(min_length=2428, max_length=2428)]
    """Big-endian u64 seconds and the signature (tlog-cosignature)."""


Frame = (
    Consensus
    | Transactions
    | FetchTransactions
    | FetchedTransactions
    | FetchProposal
    | FetchedProposal
    | Status
    | FetchBlocks
    | Blocks
    | Cosigned
    | FetchSnapshots
    | Snapshots
    | FetchManifest
    | SnapshotManifest
    | FetchChunk
    | SnapshotChunk
    | BlocksBegin
    | PostQuantumCosigned
)

_decoder: Final = msgspec.msgpack.Decoder(Frame)

TRANSACTIONS_START: Final = encode(Transactions([]))[:-1]
"""How a frame of relayed transactions begins."""

POST_QUANTUM_START: Final = encode(PostQuantumCosigned(0, 0, bytes(32), bytes(1312), bytes(2428)))[
    :2
]
"""How a frame with a post-quantum cosignature begins: the array's head and the type."""


def encode_frame(frame: Frame) -> bytes:
    """Return a frame's bytes."""
    return encode(frame)


def decode_frame(raw: bytes) -> Frame:
    """Read a frame; raise `Rejected` (MALFORMED).

    Frames are not hashed or signed, so a second spelling does no harm here; what they carry is
    decoded strictly where it is read.
    """
    try:
        frame: Frame = _decoder.decode(raw)
    except WIRE_ERRORS as error:
        raise Rejected(Reason.MALFORMED, f"frame of {len(raw)} bytes: {error}") from None
    return frame
