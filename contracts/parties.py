"""Parties and their keys: who may sign, from which height, until which height.

A party is registered by an institution of genesis and lives in the state under `party/<id>`. Its
id is a name chosen at registration, never derived from a key, so a key can be replaced without
the party becoming another (JR/T 0184-2020, 13). Every key carries the half-open range of heights
`[from_height, until_height)` in which it signs; a change made in block h holds from h+1, because
whether a transaction may enter a block is decided by the state before that block.

No institution speaks for another by itself. A key that its party did not sign for, a court or an
arbitrator, and the end of a party take two institutions of different roles, and every key names who
vouched for it, so that evidence tells a party's own key from one that was given to it. A key is one
party's for ever (`key/<hex>` says whose): two parties that confirm one thing are not one key. That
a party is who it is called is its registrar's word, and nothing here makes more of it.
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

KEYS_OWN_MAX: Final = KEYS_MAX // 2
"""Keys a party may come to by its own word: a thief of one must not use up the places in which two
institutions would put a new one."""

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
"""Who decides, freezes and finds; registered by a regulator and an institution of another role."""

PARTY_PREFIX: Final = "party/"
KEY_PREFIX: Final = "key/"
"""Before a public key in hex: the row that says whose it is. No transaction names such a stream."""

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
    vouched_by: list[str]
    """Who signed for its being the party's: its registrar (of genesis: itself), the party with a
    key it had, or two institutions."""

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


class KeyRecord(msgspec.Struct, frozen=True, array_like=True, tag="key", gc=False):
    """Whose a key is, also when it has ended."""

    party: str


def party_stream(party: str) -> str:
    """Return the stream under which a party's record is kept."""
    return PARTY_PREFIX + party


def check_key(record: PartyRecord | None, party: str, public_key: bytes, height: int) -> None:
    """Raise `Rejected` unless `public_key` signs for `party` in a block at `height`."""
    if record is None:
        raise Rejected(
            Reason.UNKNOWN_PARTY,
            f"party {party} is not registered; an institution of genesis has to register it",
            f"主体 {party} 未登记；须先由创世机构登记",
        )
    key = record.find_key(public_key)
    if key is None:
        raise Rejected(
            Reason.UNKNOWN_KEY,
            f"key {public_key.hex()} was never a key of party {party}",
            f"密钥 {public_key.hex()} 从来不是主体 {party} 的密钥",
        )
    if record.is_revoked_at(height):
        raise Rejected(
            Reason.KEY_NOT_VALID,
            f"party {party} is revoked from height {record.revoked_height}; this is {height}",
            f"主体 {party} 自高度 {record.revoked_height} 起已被撤销；当前高度为 {height}",
        )
    if not key.is_valid_at(height):
        until = key.until_height or "open"
        raise Rejected(
            Reason.KEY_NOT_VALID,
            f"key {public_key.hex()} of party {party} is valid for heights "
            f"[{key.from_height}, {until}); this is {height}",
            f"主体 {party} 的密钥 {public_key.hex()} 只在高度 [{key.from_height}, "
            f"{key.until_height or '不限'}) 有效；当前高度为 {height}",
        )


class RegisterData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.register`, by an institution of genesis, in the new party's own stream; a court or an
    arbitrator by a regulator and an institution of another role."""

    party: PartyId
    role: Word
    keys: Annotated[list[HexKey], msgspec.Meta(min_length=1, max_length=4)]
    district: District = ""


class RevokeData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.revoke`, by two institutions of different roles."""

    party: PartyId


class KeyData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`party.add_key`, by the party itself or by two institutions of different roles, and
    `party.revoke_key`, by the party itself, by its registrar or by a regulator."""

    party: PartyId
    public_key: HexKey


def apply_register(context: Context, data: RegisterData) -> Outcome:
    """Register a new party; its keys sign from the next height on."""
    _check_stream(context, data.party)
    if data.role in AUTHORITY_ROLES:
        signers = _require_two(context)
    else:
        signers = [_require_institution(context)]
    if context.record is not None:
        raise Refusal("party_exists", ("party", data.party))
    if data.role not in SUBMITTER_ROLES:
        raise Refusal("unknown_role", ("role", data.role), ("known", " ".join(SUBMITTER_ROLES)))
    registrar = signers[0]
    if data.role in AUTHORITY_ROLES:
        registrar = _find_regulator(signers)
    for signer in signers:
        check_scope(context, signer.party, data.district)
    if len(set(data.keys)) != len(data.keys):
        raise Refusal("key_exists", ("party", data.party))
    for key in data.keys:
        _take_key(context, data.party, key)
    start = context.height + 1
    vouched_by = [signer.party for signer in signers]
    context.record = PartyRecord(
        party=data.party,
        role=data.role,
        district=data.district,
        registrar=registrar.party,
        registered_height=context.height,
        revoked_height=0,
        keys=[PartyKey(bytes.fromhex(key), start, 0, vouched_by) for key in data.keys],
    )
    return applied(("from_height", start))


def apply_revoke(context: Context, data: RevokeData) -> Outcome:
    """Revoke a party: nothing it signs is admissible from the next height on, and for ever. To stop
    it at once, whoever may end its keys ends them; that two can mend."""
    record = _find_party(context, data.party)
    _check_entitled(context, record, _require_two(context))
    if record.revoked_height:
        raise Refusal("already_revoked", ("revoked_height", record.revoked_height))
    start = context.height + 1
    context.record = msgspec.structs.replace(record, revoked_height=start)
    return applied(("revoked_height", start))


def apply_add_key(context: Context, data: KeyData) -> Outcome:
    """Give a party a further key, which signs from the next height on."""
    record = _find_party(context, data.party)
    allowed = KEYS_OWN_MAX
    if list(context.signers) != [data.party]:
        _check_entitled(context, record, _require_two(context))
        allowed = KEYS_MAX
    if record.revoked_height:
        raise Refusal("already_revoked", ("revoked_height", record.revoked_height))
    public_key = bytes.fromhex(data.public_key)
    if record.find_key(public_key) is not None:
        raise Refusal("key_exists", ("public_key", data.public_key))
    if len(record.keys) >= allowed:
        raise Refusal("too_many_keys", ("keys", len(record.keys)), ("allowed", allowed))
    _take_key(context, data.party, data.public_key)
    start = context.height + 1
    added = PartyKey(public_key, start, 0, list(context.signers))
    context.record = msgspec.structs.replace(record, keys=[*record.keys, added])
    return applied(("from_height", start), ("vouched_by", " ".join(context.signers)))


def apply_revoke_key(context: Context, data: KeyData) -> Outcome:
    """End one key of a party from the next height on; what it signed before stays signed. One
    institution is enough, for a stolen key must not wait; a new one takes two, or another key."""
    record = _find_party(context, data.party)
    if list(context.signers) != [data.party]:
        _check_entitled(context, record, [_require_institution(context)])
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


def _require_two(context: Context) -> list[PartyRecord]:
    """Return the two institutions of different roles that sign this, and nobody else."""
    known = [context.party(signer) for signer in context.signers]
    institutions = [party for party in known if party is not None and party.is_institution]
    roles = [party.role for party in institutions]
    if not (len(known) == len(institutions) == len(set(roles)) == 2):
        raise Refusal(
            "two_roles_needed", ("signers", " ".join(context.signers)), ("roles", " ".join(roles))
        )
    return institutions


def _find_regulator(signers: list[PartyRecord]) -> PartyRecord:
    for signer in signers:
        if signer.role == "regulator":
            return signer
    raise Refusal("not_a_regulator", ("signers", " ".join([one.party for one in signers])))


def _find_party(context: Context, party: str) -> PartyRecord:
    """Return the record of the party whose stream this is; refuse to change one of genesis."""
    _check_stream(context, party)
    record = context.record
    if not isinstance(record, PartyRecord):
        raise Refusal("unknown_party", ("party", party))
    if record.is_institution:
        raise Refusal("institution_of_genesis", ("party", party))
    return record


def _check_entitled(context: Context, record: PartyRecord, signers: list[PartyRecord]) -> None:
    """Refuse institutions of which none registered the party nor is a regulator, or one of which
    reaches further than it may."""
    if not any(one.party == record.registrar or one.role == "regulator" for one in signers):
        raise Refusal(
            "not_entitled",
            ("signer", " ".join([one.party for one in signers])),
            ("registrar", record.registrar),
        )
    for signer in signers:
        if signer.party != record.registrar:
            check_scope(context, signer.party, record.district)


def _take_key(context: Context, party: str, key: str) -> None:
    """Make a key the party's for ever; refuse one that another has or had."""
    raw = bytes.fromhex(key)
    for validator in context.validators.validators:
        if raw in (
            validator.party_key, validator.vote_key, validator.cosign_key, validator.log_key
        ):  # fmt: skip
            raise Refusal("key_of_another", ("public_key", key), ("party", validator.id))
    row = KEY_PREFIX + key
    known = context.read(row)
    if isinstance(known, KeyRecord) and known.party != party:
        raise Refusal("key_of_another", ("public_key", key), ("party", known.party))
    context.write(row, KeyRecord(party))


__all__ = ["PARTY_PATTERN", "PartyKey", "PartyRecord", "check_key", "party_stream"]
