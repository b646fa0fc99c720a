"""Parties and their keys: who may sign, from which height, until which height.

A party is registered by an institution of genesis and lives in the state under `party/<id>`. Its
id is a name chosen at registration, never derived from a key, so a key can be replaced without
the party becoming another (JR/T 0184-2020, 13). Every key carries the half-open range of heights
`[from_height, until_height)` in which it signs; a change made in block h holds from h+1, because
whether a transaction may enter a block is decided by the state before that block.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.handling import Context, Refusal
from contracts.scope import check_scope
from ledger.refusal import Reason, Rejected
from ledger.transaction import PARTY_PATTERN, Outcome, PartyId, applied

KEYS_MAX: Final = 16
"""Keys a party may ever hold; a record stays far below an entry's 64 KiB."""

INSTITUTION_ROLES: Final = (
    "bank",
    "payment",
    "credit_bureau",
    "regulator",
    "district",
    "consumer_council",
)
"""Roles an institution of genesis may have."""

SUBMITTER_ROLES: Final = ("merchant", "gateway", "consumer", "platform", "court", "arbitrator")
"""Roles that are registered on the chain; a gateway acts for the bank that registered it."""

AUTHORITY_ROLES: Final = ("court", "arbitrator")
"""Who decides, freezes and finds is registered by a regulator."""

PARTY_PREFIX: Final = "party/"

CUSTODIAN_ROLES: Final = ("bank", "payment", "gateway")
"""Roles that may keep a contract's money; a gateway keeps it for the bank that registered it."""

HexKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Word = Annotated[str, msgspec.Meta(max_length=32)]
"""A word of a fixed list. A refusal repeats it, and an outcome is at most 16 KiB."""
District = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,32}$(?!\n)")]


class PartyKey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One Ed25519 key and the heights at which it signs."""

    public_key: bytes
    from_height: int
    until_height: int
    """First height at which it no longer signs; 0 while it is open."""

    def is_valid_at(self, height: int) -> bool:
        """Say whether this key signs for transactions of a block at `height`."""
        return self.from_height <= height and (not self.until_height or height < self.until_height)


class PartyRecord(msgspec.Struct, frozen=True, array_like=True, tag="party", gc=False):
    """A party as the state holds it."""

    party: str
    role: str
    district: str
    registrar: str
    """Institution of genesis that registered it; its own id for an institution."""
    registered_height: int
    revoked_height: int
    """First height at which nothing of this party is admissible; 0 while it stands."""
    keys: list[PartyKey]

    @property
    def is_institution(self) -> bool:
        """Say whether genesis itself names this party."""
        return self.registrar == self.party

    def is_revoked_at(self, height: int) -> bool:
        """Say whether nothing this party signs may stand in a block at `height`."""
        return bool(self.revoked_height) and height >= self.revoked_height

    def find_key(self, public_key: bytes) -> PartyKey | None:
        """Return the newest entry for `public_key`, if this party ever held it."""
        for key in reversed(self.keys):
            if key.public_key == public_key:
                return key
        return None


def party_stream(party: str) -> str:
    """Return the stream under which a party's record is kept."""
    return PARTY_PREFIX + party


def check_key(record: PartyRecord | None, party: str, public_key: bytes, height: int) -> None:
    """Raise `Rejected` unless `public_key` signs for `party` in a block at `height`."""
    if record is None:
        raise Rejected(
            Reason.UNKNOWN_PARTY,
            f"party {party} is not registered; an institution of genesis has to register it",
        )
    key = record.find_key(public_key)
    if key is None:
        raise Rejected(
            Reason.UNKNOWN_KEY, f"key {public_key.hex()} was never a key of party {party}"
        )
    if record.is_revoked_at(height):
        raise Rejected(
            Reason.KEY_NOT_VALID,
            f"party {party} is revoked from height {record.revoked_height}; this is {height}",
        )
    if not key.is_valid_at(height):
        until = key.until_height or "open"
        raise Rejected(
            Reason.KEY_NOT_VALID,
            f"key {public_key.hex()} of party {party} is valid for heights "
            f"[{key.from_height}, {until}); this is {height}",
        )


class RegisterData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.register`, by an institution of genesis, in the new party's own stream."""

    party: PartyId
    role: Word
    keys: Annotated[list[HexKey], msgspec.Meta(min_length=1, max_length=4)]
    district: District = ""


class RevokeData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.revoke`, by the institution that registered the party or by a regulator."""

    party: PartyId


class KeyData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.add_key` and `party.revoke_key`, by the same."""

    party: PartyId
    public_key: HexKey


def apply_register(context: Context, data: RegisterData) -> Outcome:
    """Register a new party; its keys sign from the next height on."""
    _check_stream(context, data.party)
    signer = _require_institution(context)
    if context.record is not None:
        raise Refusal("party_exists", ("party", data.party))
    if data.role not in SUBMITTER_ROLES:
        raise Refusal("unknown_role", ("role", data.role), ("known", " ".join(SUBMITTER_ROLES)))
    if data.role in AUTHORITY_ROLES and signer.role != "regulator":
        raise Refusal("not_entitled", ("signer", signer.party))
    check_scope(context, signer.party, data.district)
    if len(set(data.keys)) != len(data.keys):
        raise Refusal("key_exists", ("party", data.party))
    start = context.height + 1
    context.record = PartyRecord(
        party=data.party,
        role=data.role,
        district=data.district,
        registrar=context.signers[0],
        registered_height=context.height,
        revoked_height=0,
        keys=[PartyKey(bytes.fromhex(key), start, 0) for key in data.keys],
    )
    return applied(("from_height", start))


def apply_revoke(context: Context, data: RevokeData) -> Outcome:
    """Revoke a party: nothing it signs is admissible from the next height on."""
    record = _require_registrar(context, data.party)
    if record.revoked_height:
        raise Refusal("already_revoked", ("revoked_height", record.revoked_height))
    start = context.height + 1
    context.record = msgspec.structs.replace(record, revoked_height=start)
    return applied(("revoked_height", start))


def apply_add_key(context: Context, data: KeyData) -> Outcome:
    """Give a party a further key, which signs from the next height on."""
    record = _require_registrar(context, data.party)
    if record.revoked_height:
        raise Refusal("already_revoked", ("revoked_height", record.revoked_height))
    public_key = bytes.fromhex(data.public_key)
    if record.find_key(public_key) is not None:
        raise Refusal("key_exists", ("public_key", data.public_key))
    if len(record.keys) >= KEYS_MAX:
        raise Refusal("too_many_keys", ("keys", len(record.keys)), ("allowed", KEYS_MAX))
    start = context.height + 1
    context.record = msgspec.structs.replace(
        record, keys=[*record.keys, PartyKey(public_key, start, 0)]
    )
    return applied(("from_height", start))


def apply_revoke_key(context: Context, data: KeyData) -> Outcome:
    """End one key of a party from the next height on; what it signed before stays signed."""
    record = _require_registrar(context, data.party)
    public_key = bytes.fromhex(data.public_key)
    key = record.find_key(public_key)
    if key is None:
        raise Refusal("unknown_key", ("public_key", data.public_key))
    if key.until_height:
        raise Refusal("already_revoked", ("until_height", key.until_height))
    until = context.height + 1
    context.record = msgspec.structs.replace(
        record,
        keys=[
            msgspec.structs.replace(k, until_height=until) if k.public_key == public_key else k
            for k in record.keys
        ],
    )
    return applied(("until_height", until))


def _check_stream(context: Context, party: str) -> None:
    if context.stream != party_stream(party):
        raise Refusal("wrong_stream", ("stream", context.stream), ("expected", party_stream(party)))


def _require_institution(context: Context) -> PartyRecord:
    signer = context.party(context.signers[0])
    if len(context.signers) != 1 or signer is None or not signer.is_institution:
        raise Refusal("not_an_institution", ("signers", " ".join(context.signers)))
    return signer


def _require_registrar(context: Context, party: str) -> PartyRecord:
    """Return the party's record if the signer may change it."""
    _check_stream(context, party)
    signer = _require_institution(context)
    record = context.record
    if not isinstance(record, PartyRecord):
        raise Refusal("unknown_party", ("party", party))
    if record.registrar != signer.party and signer.role != "regulator":
        raise Refusal("not_entitled", ("signer", signer.party), ("registrar", record.registrar))
    if record.is_institution:
        raise Refusal("institution_of_genesis", ("party", party))
    if record.registrar != signer.party:
        check_scope(context, signer.party, record.district)
    return record


__all__ = ["PARTY_PATTERN", "PartyKey", "PartyRecord", "check_key", "party_stream"]
