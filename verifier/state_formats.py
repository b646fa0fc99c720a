"""State values, their proofs and the records of parties, read a second time and independently.

A state value is what the certified state commits to under a stream's name; a party's record in it
says with which keys, and at which heights, that party signs. Shape and bounds are checked here,
whether a proof leads to the right root is not.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES
from ledger.state_proof import StateProof
from ledger.value_class import value_class
from verifier.strict_msgpack import (
    named,
    read_array,
    take_array,
    take_bytes,
    take_integer,
    take_text,
)

KEYS_MAX: Final = 16
"""Keys a party may ever hold (`contracts.parties.KEYS_MAX`)."""


@value_class
class StateValue:
    """A stream's authenticated value."""

    count: int
    root: bytes
    record: list[Any] | None


@value_class
class PartyKey:
    """A key, the heights `[from_height, until_height)` at which it signs (0: open), and who signed
    for its being the party's."""

    public_key: bytes
    from_height: int
    until_height: int
    vouched_by: tuple[str, ...]

    def is_valid_at(self, height: int) -> bool:
        """Say whether it signs for a transaction of a block at `height`."""
        return self.from_height <= height and (not self.until_height or height < self.until_height)


@value_class
class PartyRecord:
    """A party as the state holds it."""

    party: str
    role: str
    district: str
    registrar: str
    registered_height: int
    revoked_height: int
    keys: tuple[PartyKey, ...]

    def find_key(self, public_key: bytes) -> PartyKey | None:
        """Return the newest entry for `public_key`, if this party ever held it."""
        for key in reversed(self.keys):
            if key.public_key == public_key:
                return key
        return None


def read_state_value(raw: bytes, name: str) -> StateValue:
    """Read `[count, root, record]`."""
    return _take_state_value(name, read_array(raw, name, 3))


@named
def _take_state_value(fields: list[Any]) -> StateValue:
    count, root, record = fields
    return StateValue(
        take_integer(count, "count"),
        take_bytes(root, "root", HASH_BYTES),
        None if record is None else take_array(record, "record"),
    )


def read_state_proof(raw: bytes, name: str) -> StateProof:
    """Read `[depth, bitmap, [sibling…], nil | [key hash, value hash]]`."""
    return _take_state_proof(name, read_array(raw, name, 4))


@named
def _take_state_proof(fields: list[Any]) -> StateProof:
    depth, bitmap, siblings, other = fields
    pair = None
    if other is not None:
        key_hash, value_hash = take_array(other, "other leaf", 2)
        pair = (
            take_bytes(key_hash, "key hash", HASH_BYTES),
            take_bytes(value_hash, "value hash", HASH_BYTES),
        )
    return StateProof(
        take_integer(depth, "depth"),
        take_bytes(bitmap, "bitmap"),
        tuple(
            [
                take_bytes(sibling, "sibling", HASH_BYTES)
                for sibling in take_array(siblings, "siblings")
            ]
        ),
        pair,
    )


def take_party_record(record: list[Any] | None, name: str) -> PartyRecord:
    """Take `["party", id, role, district, registrar, registered, revoked, [key…]]`."""
    if record is None or record[:1] != ["party"]:
        raise Rejected(Reason.BAD_FIELD, f"{name}: the state holds no party here")
    return _take_party(name, take_array(record, name, 8))


@named
def _take_party(fields: list[Any]) -> PartyRecord:
    _, party, role, district, registrar, registered, revoked, keys = fields
    items = take_array(keys, "keys")
    if not 1 <= len(items) <= KEYS_MAX:
        raise Rejected(Reason.BAD_FIELD, f"{len(items)} keys; 1 to {KEYS_MAX}")
    return PartyRecord(
        take_text(party, "id"),
        take_text(role, "role"),
        take_text(district, "district"),
        take_text(registrar, "registrar"),
        take_integer(registered, "registered height"),
        take_integer(revoked, "revoked height"),
        tuple([_take_party_key(item) for item in items]),
    )


def _take_party_key(item: Any) -> PartyKey:
    public_key, from_height, until_height, vouched_by = take_array(item, "key", 4)
    signers = take_array(vouched_by, "key: vouched by")
    return PartyKey(
        take_bytes(public_key, "key", PUBLIC_KEY_BYTES),
        take_integer(from_height, "key: from height"),
        take_integer(until_height, "key: until height"),
        tuple([take_text(signer, "key: vouched by") for signer in signers]),
    )
