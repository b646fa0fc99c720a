"""The validator set: who votes at a height, and how many of them decide.

Replica i is the i-th institution of the genesis document. With n replicas of which at most
f = ⌊(n−1)/3⌋ lie, a quorum is ⌊(n+f)/2⌋+1: two quorums then share at least f+1 replicas, hence a
correct one (Castro & Liskov, OSDI '99, section 3, argue it for n = 3f+1; Malkhi & Reiter 1998 for
every n), and the n−f correct replicas are always enough for one. 2f+1 would be unsafe for other n:
with n = 36 it is 23, and two sets of 23 may share only 10 of 11 liars.
Nothing here knows a key's use except `vote_key`; the others stand beside it so that one hash binds
an institution to all its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from ledger import tags
from ledger.hashing import tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES
from ledger.wire import encode

VALIDATORS_MAX: Final = 64
"""Most validators of one chain: the plan names 36, and every vote message stays under 64 kB."""

VALIDATOR_ID_CHARS_MAX: Final = 64
"""Longest institution id; the same bound as a business reference's."""

PublicKey = Annotated[bytes, msgspec.Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]


class Validator(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One institution that votes, with its keys; all keys of a set are distinct."""

    id: str
    vote_key: PublicKey
    """Signs consensus messages."""
    cosign_key: PublicKey
    """Signs checkpoints as a witness (C2SP tlog-cosignature)."""
    log_key: PublicKey
    """Signs checkpoints as the log."""
    party_key: PublicKey
    """Signs the institution's own transactions."""

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key of this institution."""
        return (self.vote_key, self.cosign_key, self.log_key, self.party_key)


def compute_faulty_max(replica_count: int) -> int:
    """Return f, the most replicas that may lie: ⌊(n−1)/3⌋ (Castro & Liskov, section 3)."""
    return (replica_count - 1) // 3


def compute_quorum(replica_count: int) -> int:
    """Return ⌊(n+f)/2⌋+1, which is right for every n ≥ 1."""
    return (replica_count + compute_faulty_max(replica_count)) // 2 + 1


class ValidatorSet:
    """The ordered validators of a chain; immutable, compared by hash."""

    __slots__ = ("_hash", "faulty_max", "quorum", "validators")

    def __init__(self, validators: Sequence[Validator]) -> None:
        """Check and keep the set; raise `Rejected` (BAD_FIELD or DUPLICATE)."""
        self.validators: Final = tuple(validators)
        _check(self.validators)
        self.faulty_max: Final = compute_faulty_max(len(self.validators))
        self.quorum: Final = compute_quorum(len(self.validators))
        self._hash: Final = tagged_hash(tags.VALIDATOR_SET, encode(self.validators))

    def __len__(self) -> int:
        return len(self.validators)

    def __getitem__(self, replica: int) -> Validator:
        if not self.is_member(replica):
            raise IndexError(f"replica {replica} is not one of {len(self.validators)}")
        return self.validators[replica]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValidatorSet) and self._hash == other._hash

    def __hash__(self) -> int:
        return int.from_bytes(self._hash[:8], "big")

    def __repr__(self) -> str:
        return f"ValidatorSet(count={len(self.validators)}, hash={self._hash.hex()})"

    @property
    def hash(self) -> bytes:
        """Tagged hash of the encoded validators, which every header names."""
        return self._hash

    def is_member(self, replica: int) -> bool:
        """Return whether a replica number names a validator; negative numbers do not."""
        return 0 <= replica < len(self.validators)

    def primary(self, height: int, view: int) -> int:
        """Return the replica that proposes in a view of a height: (height + view) mod n."""
        return (height + view) % len(self.validators)


def _check(validators: tuple[Validator, ...]) -> None:
    if not 1 <= len(validators) <= VALIDATORS_MAX:
        raise Rejected(
            Reason.BAD_FIELD,
            f"validator set: {len(validators)} validators; 1 to {VALIDATORS_MAX} are allowed",
        )
    ids: set[str] = set()
    keys: dict[bytes, str] = {}
    for validator in validators:
        if not 1 <= len(validator.id) <= VALIDATOR_ID_CHARS_MAX:
            raise Rejected(
                Reason.BAD_FIELD,
                f"validator set: id {validator.id!r} has {len(validator.id)} characters; 1 to "
                f"{VALIDATOR_ID_CHARS_MAX} are allowed",
            )
        if validator.id in ids:
            raise Rejected(Reason.DUPLICATE, f"validator set: id {validator.id!r} stands twice")
        ids.add(validator.id)
        for key in validator.keys:
            if len(key) != PUBLIC_KEY_BYTES:
                raise Rejected(
                    Reason.BAD_FIELD,
                    f"validator set: a key of {validator.id!r} has {len(key)} bytes, not "
                    f"{PUBLIC_KEY_BYTES}",
                )
            if key in keys:
                raise Rejected(
                    Reason.DUPLICATE,
                    f"validator set: key {key.hex()} of {validator.id!r} is already a key of "
                    f"{keys[key]!r}",
                )
            keys[key] = validator.id
