"""Signed votes and what a quorum of them proves.

A vote is one validator's signature on (phase, chain, height, view, block hash). The phase stands
in the signed bytes as a domain tag, so a prepare can never be read as a commit, nor a vote of one
chain as one of another. Three values are made of votes:
- `PreparedCertificate`: the primary's pre-prepare and the others' prepares of one view, together a
  quorum (Castro & Liskov, OSDI '99, section 4.2, predicate *prepared*);
- `CommitCertificate`: a quorum of commits of one view, what makes a block decided (*committed*).
A certificate states its view once and its signatures are verified against that view, so votes of
different views cannot be mixed in one: there is no place to write a second view.
A view-change signs a *claim* beside them: which block its replica prepared last, if any.
Nothing here is believed before `verify`, which raises `Rejected` with the reason's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from ledger import signing, tags
from ledger.block import Count, Hash
from ledger.refusal import Reason, Rejected
from ledger.signing import SIGNATURE_BYTES
from ledger.validators import VALIDATORS_MAX, ValidatorSet
from ledger.wire import StrictDecoder, encode

VIEW_MAX: Final = 1_000_000
"""Highest view of any height. View timeouts are capped at about a minute, so an honest group would
need almost two years without one decision to get there; anything above is noise or an attack."""

PRE_PREPARE: Final = 0
PREPARE: Final = 1
COMMIT: Final = 2

_PHASE_TAGS: Final = {
    PRE_PREPARE: tags.PRE_PREPARE,
    PREPARE: tags.PREPARE,
    COMMIT: tags.COMMIT,
}
PHASE_NAMES: Final = {PRE_PREPARE: "pre-prepare", PREPARE: "prepare", COMMIT: "commit"}

VerifySignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) → whether the signature is valid; it never raises."""

Phase = Annotated[int, msgspec.Meta(ge=PRE_PREPARE, le=COMMIT)]
View = Annotated[int, msgspec.Meta(ge=0, le=VIEW_MAX)]
ReplicaNumber = Annotated[int, msgspec.Meta(ge=0, lt=VALIDATORS_MAX)]
Signature = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


def compute_vote_message(
    phase: int, chain_id: bytes, height: int, view: int, block_hash: bytes
) -> bytes:
    """Return the bytes a vote signs: tag ‖ chain id ‖ u64 height ‖ u64 view ‖ block hash."""
    return (
        _PHASE_TAGS[phase]
        + chain_id
        + height.to_bytes(8, "big")
        + view.to_bytes(8, "big")
        + block_hash
    )


class Vote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One validator's signed statement about one block in one slot (phase, height, view)."""

    phase: Phase
    height: Count
    view: View
    block_hash: Hash
    replica: ReplicaNumber
    signature: Signature

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless the named validator signed this."""
        name = f"{PHASE_NAMES.get(self.phase, 'vote')} of height {self.height} view {self.view}"
        if self.phase not in _PHASE_TAGS:
            raise Rejected(Reason.BAD_FIELD, f"{name}: phase {self.phase} is not 0, 1 or 2")
        _check_slot(name, self.height, self.view)
        _check_member(name, self.replica, validators)
        message = compute_vote_message(
            self.phase, chain_id, self.height, self.view, self.block_hash
        )
        signed = (SignedBy(self.replica, self.signature),)
        _check_signatures(name, message, signed, validators, verify_signature)


class SignedBy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A replica's number and its signature; what was signed stands in the enclosing certificate."""

    replica: ReplicaNumber
    signature: Signature


Signatures = Annotated[tuple[SignedBy, ...], msgspec.Meta(max_length=VALIDATORS_MAX)]


class CommitCertificate(msgspec.Struct, frozen=True, array_like=True):
    """Proof that a block is decided: a quorum of commits of one view, ascending by replica."""

    height: Count
    view: View
    block_hash: Hash
    commits: Signatures

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless a quorum of this height's validators signed in this view."""
        name = f"commit certificate of height {self.height} view {self.view}"
        _check_slot(name, self.height, self.view)
        _check_ascending(name, self.commits, validators)
        _check_quorum(name, len(self.commits), validators)
        message = compute_vote_message(COMMIT, chain_id, self.height, self.view, self.block_hash)
        _check_signatures(name, message, self.commits, validators, verify_signature)


class PreparedCertificate(msgspec.Struct, frozen=True, array_like=True):
    """Proof that a block was prepared in a view; the height stands in whatever carries it.

    The primary's pre-prepare is its prepare (Castro & Liskov, section 4.2): `prepares` never holds
    one of the primary's, and the two together are a quorum of distinct replicas.
    """

    view: View
    block_hash: Hash
    pre_prepare: Signature
    """The primary's signature on its pre-prepare."""
    prepares: Signatures

    def verify(
        self,
        height: int,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless the primary and enough others prepared this in this view."""
        name = f"prepared certificate of height {height} view {self.view}"
        _check_slot(name, height, self.view)
        _check_ascending(name, self.prepares, validators)
        primary = validators.primary(height, self.view)
        if any(prepare.replica == primary for prepare in self.prepares):
            raise Rejected(
                Reason.DUPLICATE,
                f"{name}: replica {primary} is the primary; its pre-prepare is its prepare",
            )
        _check_quorum(name, 1 + len(self.prepares), validators)
        message = compute_vote_message(PRE_PREPARE, chain_id, height, self.view, self.block_hash)
        signed = (SignedBy(primary, self.pre_prepare),)
        _check_signatures(name, message, signed, validators, verify_signature)
        message = compute_vote_message(PREPARE, chain_id, height, self.view, self.block_hash)
        _check_signatures(name, message, self.prepares, validators, verify_signature)

    def votes(self, height: int, validators: ValidatorSet) -> tuple[Vote, ...]:
        """Return the votes this is made of, the primary's pre-prepare first."""
        primary = validators.primary(height, self.view)
        return (
            Vote(PRE_PREPARE, height, self.view, self.block_hash, primary, self.pre_prepare),
            *(
                Vote(PREPARE, height, self.view, self.block_hash, item.replica, item.signature)
                for item in self.prepares
            ),
        )


class PreparedClaim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The highest view in which a replica says it prepared a block, and that block."""

    view: View
    block_hash: Hash


def claim_of(prepared: PreparedCertificate | None) -> PreparedClaim | None:
    """Return what a view-change signs about a certificate."""
    return None if prepared is None else PreparedClaim(prepared.view, prepared.block_hash)


def compute_view_change_message(
    chain_id: bytes, height: int, view: int, claim: PreparedClaim | None
) -> bytes:
    """Return the bytes a view-change signs.

    Tag ‖ chain id ‖ u64 height ‖ u64 view ‖ 0, or instead of 0: 1 ‖ u64 prepared view ‖ block hash.
    """
    start = tags.VIEW_CHANGE + chain_id + height.to_bytes(8, "big") + view.to_bytes(8, "big")
    if claim is None:
        return start + b"\x00"
    return start + b"\x01" + claim.view.to_bytes(8, "big") + claim.block_hash


class ViewClaim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a view-change says, without its proof: left for `view`, with this block prepared."""

    height: Count
    view: View
    claim: PreparedClaim | None
    replica: ReplicaNumber
    signature: Signature

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless the named validator signed this."""
        name = f"view-change of height {self.height} to view {self.view}"
        if not 1 <= self.height < 2**53 or not 1 <= self.view <= VIEW_MAX:
            raise Rejected(
                Reason.BAD_FIELD, f"{name}: heights start at 1, views are 1 to {VIEW_MAX}"
            )
        if self.claim is not None and not 0 <= self.claim.view < self.view:
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: replica {self.replica} claims to have prepared in view "
                f"{self.claim.view}, which is not an earlier one",
            )
        _check_member(name, self.replica, validators)
        message = compute_view_change_message(chain_id, self.height, self.view, self.claim)
        signed = (SignedBy(self.replica, self.signature),)
        _check_signatures(name, message, signed, validators, verify_signature)


_commit_certificate_decoder = StrictDecoder(CommitCertificate, "commit certificate")


def encode_commit_certificate(certificate: CommitCertificate) -> bytes:
    """Return the certificate's bytes."""
    return encode(certificate)


def decode_commit_certificate(raw: bytes) -> CommitCertificate:
    """Read a commit certificate strictly, without believing it; raise `Rejected`."""
    return _commit_certificate_decoder.decode(raw)


def _check_slot(name: str, height: int, view: int) -> None:
    if not 1 <= height < 2**53:
        raise Rejected(Reason.BAD_FIELD, f"{name}: voted heights are 1 to 2^53-1")
    if not 0 <= view <= VIEW_MAX:
        raise Rejected(Reason.BAD_FIELD, f"{name}: views are 0 to {VIEW_MAX}")


def _check_member(name: str, replica: int, validators: ValidatorSet) -> None:
    if not validators.is_member(replica):
        raise Rejected(
            Reason.NOT_A_VALIDATOR, f"{name}: replica {replica} is not one of {len(validators)}"
        )


def _check_ascending(name: str, signatures: tuple[SignedBy, ...], validators: ValidatorSet) -> None:
    previous = -1
    for item in signatures:
        _check_member(name, item.replica, validators)
        if item.replica == previous:
            raise Rejected(Reason.DUPLICATE, f"{name}: replica {item.replica} is counted twice")
        if item.replica < previous:
            raise Rejected(
                Reason.NOT_CANONICAL,
                f"{name}: replica {item.replica} stands after replica {previous}",
            )
        previous = item.replica


def _check_quorum(name: str, count: int, validators: ValidatorSet) -> None:
    if count < validators.quorum:
        raise Rejected(
            Reason.NO_QUORUM,
            f"{name}: {count} of {len(validators)} replicas; a quorum is {validators.quorum}",
        )


def _check_signatures(
    name: str,
    message: bytes,
    signatures: tuple[SignedBy, ...],
    validators: ValidatorSet,
    verify_signature: VerifySignature,
) -> None:
    for item in signatures:
        public_key = validators[item.replica].vote_key
        if not verify_signature(public_key, message, item.signature):
            raise Rejected(
                Reason.BAD_SIGNATURE,
                f"{name}: the signature of replica {item.replica} does not verify",
            )
