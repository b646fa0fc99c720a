"""Equivocation: two signed statements of one validator that no correct one can both have made.

Each kind proves itself with the validator's own two signatures, so it does not matter who brings
it, and it can be checked years later from the genesis document alone:
- `VoteEquivocation`: two votes for two blocks in one slot (phase, height, view); a primary's
  pre-prepare is its prepare (Castro & Liskov, OSDI '99, section 4.2), so these two may differ in
  phase and must not in block;
- `ViewChangeEquivocation`: two view-changes to one view of a height with different claims;
- `Amnesia`: a commit of a view and a later view-change that claims less than that commit says was
  prepared (what section 4.4 rests on: "the prepared certificate a replica committed with is in
  every later view-change of it");
- `CheckpointFork`: two cosigned trees of the log of which the smaller is no prefix of the larger
  (C2SP tlog-cosignature: a cosigner vouches for one consistent log).
If two blocks were ever decided at one height, two quorums share f+1 validators: they voted twice in
one view, or committed in the earlier one and denied it in the view-changes that justify the later
proposal. An honest replica that prepared there holds the proof, so whoever breaks agreement can be
named. A slot names the statement that is false; one conviction per slot is enough.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ledger import signing
from ledger.block import Count, Hash
from ledger.checkpoint import (
    TIMESTAMP_BYTES,
    Checkpoint,
    cosigner_verifier_key,
    verify_cosignature,
)
from ledger.merkle import verify_consistency
from ledger.refusal import Reason, Rejected
from ledger.signing import SIGNATURE_BYTES
from ledger.validators import ValidatorSet
from ledger.votes import (
    COMMIT,
    PHASE_NAMES,
    PRE_PREPARE,
    PREPARE,
    ReplicaNumber,
    VerifySignature,
    ViewClaim,
    Vote,
)
from ledger.wire import StrictDecoder, encode

ORIGIN_CHARS_MAX: Final = 80
"""Longest origin: a network's name of 63 characters, a slash and 16 digits of the chain id."""

PROOF_HASHES_MAX: Final = 64
"""Longest consistency proof: one hash per level of a tree of 2^53 leaves, and one more."""


class VoteEquivocation(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Two votes in one slot for two blocks; the lower block hash stands first."""

    first: Vote
    second: Vote

    @classmethod
    def of(cls, one: Vote, other: Vote) -> VoteEquivocation:
        """Return the evidence in its one order, whichever vote came first."""
        return cls(one, other) if one.block_hash < other.block_hash else cls(other, one)

    @property
    def replica(self) -> int:
        """The validator that contradicted itself."""
        return self.first.replica

    @property
    def height(self) -> int:
        """The height whose validators are meant."""
        return self.first.height

    @property
    def slot(self) -> str:
        """`phase/height/view`; of a pre-prepare and a prepare, the pre-prepare's."""
        phase = min(self.first.phase, self.second.phase)
        return f"{PHASE_NAMES[phase]}/{self.height}/{self.first.view}"

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless both votes are genuine and contradict each other."""
        first, second = self.first, self.second
        name = f"equivocation of height {first.height} view {first.view}"
        _check_one_validator(name, first.replica, second.replica)
        if (first.height, first.view) != (second.height, second.view) or not (
            first.phase == second.phase or _is_primarys_pair(first, second, validators)
        ):
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: slots {_slot_of(first)} and {_slot_of(second)} (phase, height, view) "
                "differ, so the votes do not contradict each other",
            )
        if first.block_hash == second.block_hash:
            raise Rejected(
                Reason.BAD_FIELD, f"{name}: both votes are for block {first.block_hash.hex()}"
            )
        if first.block_hash > second.block_hash:
            raise Rejected(
                Reason.NOT_CANONICAL, f"{name}: the vote for the lower block hash stands second"
            )
        first.verify(validators, chain_id, verify_signature)
        second.verify(validators, chain_id, verify_signature)


class ViewChangeEquivocation(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Two view-changes to one view with different claims; the lower claim stands first."""

    first: ViewClaim
    second: ViewClaim

    @classmethod
    def of(cls, one: ViewClaim, other: ViewClaim) -> ViewChangeEquivocation:
        """Return the evidence in its one order, whichever view-change came first."""
        return cls(one, other) if _rank(one) < _rank(other) else cls(other, one)

    @property
    def replica(self) -> int:
        """The validator that contradicted itself."""
        return self.first.replica

    @property
    def height(self) -> int:
        """The height whose validators are meant."""
        return self.first.height

    @property
    def slot(self) -> str:
        """`view-change/height/view`."""
        return f"view-change/{self.height}/{self.first.view}"

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless both view-changes are genuine and contradict each other."""
        first, second = self.first, self.second
        name = f"equivocation of height {first.height} view {first.view}"
        _check_one_validator(name, first.replica, second.replica)
        if (first.height, first.view) != (second.height, second.view):
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: view-changes of height {first.height} to view {first.view} and of height "
                f"{second.height} to view {second.view} do not contradict each other",
            )
        if _rank(first) == _rank(second):
            raise Rejected(Reason.BAD_FIELD, f"{name}: both view-changes claim the same")
        if _rank(first) > _rank(second):
            raise Rejected(Reason.NOT_CANONICAL, f"{name}: the lower claim stands second")
        first.verify(validators, chain_id, verify_signature)
        second.verify(validators, chain_id, verify_signature)


class Amnesia(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A commit, and a later view-change that does not claim what the commit says was prepared."""

    commit: Vote
    view_change: ViewClaim

    @property
    def replica(self) -> int:
        """The validator that contradicted itself."""
        return self.commit.replica

    @property
    def height(self) -> int:
        """The height whose validators are meant."""
        return self.commit.height

    @property
    def slot(self) -> str:
        """`view-change/height/view`: the view-change is the one that is false."""
        return f"view-change/{self.height}/{self.view_change.view}"

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless both statements are genuine and contradict each other."""
        commit, view_change = self.commit, self.view_change
        name = f"amnesia of height {commit.height} view {view_change.view}"
        _check_one_validator(name, commit.replica, view_change.replica)
        if commit.phase != COMMIT or commit.height != view_change.height:
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: a {PHASE_NAMES[commit.phase]} of height {commit.height} says nothing "
                f"about what was prepared at height {view_change.height}",
            )
        if not is_forgotten(commit, view_change):
            raise Rejected(
                Reason.BAD_FIELD,
                f"{name}: the view-change does not deny the commit of view {commit.view}",
            )
        commit.verify(validators, chain_id, verify_signature)
        view_change.verify(validators, chain_id, verify_signature)


def is_forgotten(commit: Vote, view_change: ViewClaim) -> bool:
    """Return whether a view-change of the same height denies what a commit says was prepared.

    A replica commits with a prepared certificate of the commit's view, and keeps the newest one: a
    view-change to a later view claims that view and block, or a later view.
    """
    if view_change.view <= commit.view:
        return False
    claim = view_change.claim
    if claim is None or claim.view < commit.view:
        return True
    return claim.view == commit.view and claim.block_hash != commit.block_hash


class CosignedTree(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tree of the log with one validator's cosignature."""

    size: Count
    root: Hash
    signature: Annotated[
        bytes,
        msgspec.Meta(
            min_length=TIMESTAMP_BYTES + SIGNATURE_BYTES,
            max_length=TIMESTAMP_BYTES + SIGNATURE_BYTES,
        ),
    ]
    """Big-endian u64 seconds and the Ed25519 signature (tlog-cosignature)."""


class CheckpointFork(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Two cosigned trees of which the smaller is no prefix of the larger.

    That the larger has another prefix of that size is what the consistency proof shows. Of two
    trees of one size the lower root stands first, and nothing has to be shown.
    """

    replica: ReplicaNumber
    origin: Annotated[str, msgspec.Meta(max_length=ORIGIN_CHARS_MAX)]
    """The log's name, which is in what was signed and ends in the chain id's first 16 digits."""
    smaller: CosignedTree
    larger: CosignedTree
    prefix_root: Hash
    """Root of the larger tree's first `smaller.size` leaves."""
    proof: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=PROOF_HASHES_MAX)]
    """RFC 9162 section 2.1.4: from `prefix_root` to the larger tree; empty between equal sizes."""

    @property
    def height(self) -> int:
        """No height is named in a checkpoint; the set of every height is the same."""
        return 0

    @property
    def slot(self) -> str:
        """`checkpoint/size` of the smaller tree."""
        return f"checkpoint/{self.smaller.size}"

    def verify(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        verify_signature: VerifySignature = signing.verify_signature,
    ) -> None:
        """Raise `Rejected` unless both cosignatures are genuine and of inconsistent trees."""
        smaller, larger = self.smaller, self.larger
        name = f"fork of the log at size {smaller.size}"
        if not validators.is_member(self.replica):
            raise Rejected(
                Reason.NOT_A_VALIDATOR,
                f"{name}: replica {self.replica} is not one of {len(validators)}",
            )
        if not self.origin.endswith(f"/{chain_id.hex()[:16]}"):
            raise Rejected(
                Reason.WRONG_CHAIN,
                f"{name}: origin {self.origin!r} is not of chain {chain_id.hex()}",
            )
        if smaller.size == larger.size and smaller.root >= larger.root:
            raise Rejected(
                Reason.NOT_CANONICAL,
                f"{name}: of two trees of one size the lower root stands first",
            )
        verify_consistency(smaller.size, larger.size, self.proof, self.prefix_root, larger.root)
        if self.prefix_root == smaller.root:
            raise Rejected(
                Reason.BAD_FIELD, f"{name}: the tree of size {larger.size} begins with this one"
            )
        validator = validators[self.replica]
        key = cosigner_verifier_key(f"{self.origin}/{validator.id}", validator.cosign_key)
        for tree in (smaller, larger):
            text = Checkpoint(self.origin, tree.size, tree.root).text()
            verify_cosignature(text, key, tree.signature, verify_signature)


Equivocation = VoteEquivocation | ViewChangeEquivocation | Amnesia | CheckpointFork

_decoder: StrictDecoder[Equivocation] = StrictDecoder(Equivocation, "equivocation")  # type: ignore[arg-type]


def encode_equivocation(equivocation: Equivocation) -> bytes:
    """Return the evidence's bytes."""
    return encode(equivocation)


def decode_equivocation(raw: bytes) -> Equivocation:
    """Read evidence strictly, without believing it; raise `Rejected`."""
    return _decoder.decode(raw)


def _check_one_validator(name: str, one: int, other: int) -> None:
    if one != other:
        raise Rejected(Reason.BAD_FIELD, f"{name}: statements of two validators, {one} and {other}")


def _is_primarys_pair(first: Vote, second: Vote, validators: ValidatorSet) -> bool:
    """Return whether these are a pre-prepare and a prepare of the primary of their view."""
    is_primary = first.replica == validators.primary(first.height, first.view)
    return is_primary and {first.phase, second.phase} == {PRE_PREPARE, PREPARE}


def _slot_of(vote: Vote) -> tuple[int, int, int]:
    return (vote.phase, vote.height, vote.view)


def _rank(view_claim: ViewClaim) -> tuple[int, bytes]:
    claim = view_claim.claim
    return (-1, b"") if claim is None else (claim.view, claim.block_hash)
