"""What replicas say to one another, and how it is spelled.

The names are Castro & Liskov's (OSDI '99, section 4): pre-prepare, prepare, commit, view-change,
new-view; the protocol is their per-height form (IBFT, arXiv 1901.07160; QBFT). On the wire each
message is a MessagePack array `[type, …]`, decoded strictly. The signer stands inside the message
and is verified; which connection brought it means nothing.

A view-change signs a *claim* (prepared view and block hash, or none); the prepared certificate that
proves the claim travels beside it. So a new-view repeats only claims, plus the one certificate that
proves the highest claim: O(n) signatures instead of O(n²), as in QBFT. A lower claim needs no proof
there, because it changes nothing; a higher one without its proof makes the new-view invalid.
A new-view carries the proposal of its view; its signature is the primary's pre-prepare vote.
This module reads and writes; what may be believed is decided in `consensus.admission`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ledger.block import Count, Hash, compute_block_hash
from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected
from ledger.validators import VALIDATORS_MAX
from ledger.votes import (
    COMMIT,
    PREPARE,
    CommitCertificate,
    PreparedCertificate,
    PreparedClaim,
    ReplicaNumber,
    Signature,
    View,
    ViewClaim,
    Vote,
    claim_of,
)
from ledger.wire import StrictDecoder, encode

PROPOSAL_TRANSACTIONS_MAX: Final = 16_384
"""Most transactions of one proposal: a second of the best measured rate (15.6k/s), 1 MiB here."""

HEADER_BYTES_MAX: Final = 512
"""A header is at most 256 bytes (five hashes, six integers of nine bytes, framing); twice that."""

MESSAGE_BYTES_MAX: Final = 1_500_000
"""Longest message: the largest proposal (2 × 16,384 hashes = 1,048,576 bytes), a new-view's claims
(64 × 150 bytes) and certificate (64 × 70 bytes), with a third to spare."""

_HashList = Annotated[bytes, msgspec.Meta(max_length=PROPOSAL_TRANSACTIONS_MAX * HASH_BYTES)]


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """A block as consensus sees it: the header and, per transaction, two hashes."""

    header: Annotated[bytes, msgspec.Meta(max_length=HEADER_BYTES_MAX)]
    """The header's exact bytes."""
    envelope_hashes: _HashList
    """32 bytes per transaction, in block order: which envelopes to execute."""
    leaf_hashes: _HashList
    """32 bytes per transaction, in block order: what each entry's leaf hash came out as."""

    @property
    def block_hash(self) -> bytes:
        """The hash that votes name."""
        return compute_block_hash(self.header)


class PrePrepare(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The primary of view 0 proposes; signed with its pre-prepare vote by primary(height, 0)."""

    height: Count
    view: Annotated[int, msgspec.Meta(ge=0, le=0)]
    """Always 0: in a later view a proposal needs the justification of a `NewView`."""
    proposal: Proposal
    signature: Signature


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A replica other than the primary executed the proposal and found it right."""

    height: Count
    view: View
    block_hash: Hash
    replica: ReplicaNumber
    signature: Signature

    @property
    def vote(self) -> Vote:
        """The signed vote this message is."""
        return Vote(PREPARE, self.height, self.view, self.block_hash, self.replica, self.signature)


class Commit(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """A replica holds a prepared certificate for the block, on disk, with the block's bytes."""

    height: Count
    view: View
    block_hash: Hash
    replica: ReplicaNumber
    signature: Signature

    @property
    def vote(self) -> Vote:
        """The signed vote this message is."""
        return Vote(COMMIT, self.height, self.view, self.block_hash, self.replica, self.signature)


class ViewChange(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A replica leaves every view below `view` and will not vote in them again."""

    height: Count
    view: View
    prepared: PreparedCertificate | None
    """Its highest prepared certificate; the signature covers its view and block hash."""
    replica: ReplicaNumber
    signature: Signature

    @property
    def claim(self) -> SignedClaim:
        """What a new-view repeats of this."""
        return SignedClaim(self.replica, claim_of(self.prepared), self.signature)

    @property
    def statement(self) -> ViewClaim:
        """What the signature is on."""
        return self.claim.at(self.height, self.view)


class SignedClaim(msgspec.Struct, frozen=True, array_like=True):
    """A view-change without its certificate, as a new-view lists it."""

    replica: ReplicaNumber
    claim: PreparedClaim | None
    signature: Signature

    def at(self, height: int, view: int) -> ViewClaim:
        """Return the whole statement; a new-view lists claims of its own height and view."""
        return ViewClaim(height, view, self.claim, self.replica, self.signature)


class NewView(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The primary of view > 0 proposes, with a quorum's claims that justify what it proposes."""

    height: Count
    view: Annotated[int, msgspec.Meta(ge=1)]
    view_changes: Annotated[tuple[SignedClaim, ...], msgspec.Meta(max_length=VALIDATORS_MAX)]
    """Claims of a quorum for exactly this view, ascending by replica."""
    prepared: PreparedCertificate | None
    """Proof of the highest claim; None exactly when nobody claims a prepared block."""
    proposal: Proposal
    signature: Signature
    """The primary's pre-prepare vote in this view."""


class Decided(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The answer to whoever is still voting on a decided height; it proves itself."""

    certificate: CommitCertificate


SignedMessage = PrePrepare | Prepare | Commit | ViewChange | NewView
"""What a replica says in its own name."""

Message = SignedMessage | Decided

_decoder: StrictDecoder[Message] = StrictDecoder(Message, "message")  # type: ignore[arg-type]


def encode_message(message: Message) -> bytes:
    """Return the message's bytes."""
    return encode(message)


def decode_message(raw: bytes) -> Message:
    """Read a message strictly, without believing it; raise `Rejected`."""
    if len(raw) > MESSAGE_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE, f"message: {len(raw)} bytes; at most {MESSAGE_BYTES_MAX} are allowed"
        )
    return _decoder.decode(raw)
