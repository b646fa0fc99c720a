"""Who this replica is, among whom, and how it signs. All of it is fixed for a replica's life."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.signing import Signer
from ledger.validators import ValidatorSet
from ledger.votes import VerifySignature


@dataclass(frozen=True, slots=True)
class Membership:
    """The set, this replica's place in it, and the two injected functions of its key."""

    own: int
    validators: ValidatorSet
    chain_id: bytes
    signer: Signer
    """Signs with the vote key; must be deterministic (RFC 8032 is)."""
    verify_signature: VerifySignature

    def __post_init__(self) -> None:
        if not self.validators.is_member(self.own):
            raise ValueError(f"replica {self.own} is not one of {len(self.validators)}")
        if self.signer.public_key != self.validators[self.own].vote_key:
            raise ValueError(
                f"the signer's key {self.signer.public_key.hex()} is not the vote key "
                f"{self.validators[self.own].vote_key.hex()} of replica {self.own}"
            )

    @property
    def quorum(self) -> int:
        """Votes that decide."""
        return self.validators.quorum

    @property
    def weak_quorum(self) -> int:
        """f+1: at least one of so many is correct."""
        return self.validators.faulty_max + 1
