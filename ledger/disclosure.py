"""Private fields of a contract: salted Merkle leaves, of which some can be shown and none moved.

    leaf        = SHA-256(00 ‖ tag ‖ salt ‖ length of name ‖ name ‖ 00, or 01 ‖ value)
    commitment  = SHA-256(tag ‖ length of stream ‖ stream ‖ RFC 9162 root of the 32 leaves)

Every contract has the same 32 fields, one leaf each, in the order of `FIELDS`; one that is empty is
a leaf as well, under its own salt. So number and places say nothing of what is there (not even that
there is a guardian), a name has one place and cannot be committed twice, and that a field is empty
can be shown. The commitment names the contract's stream: it is worth nothing under another one.
Each leaf has a salt of its own, so two contracts of one person have nothing in common, a shown leaf
helps nobody to guess its neighbours, and whoever destroys salts and values has erased the person.
Chance is an argument; what stands on the chain, and where, is not known here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NoReturn

from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.merkle import compute_root, inclusion_proof, leaf_hash, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.value_class import value_class

FORMAT: Final = "evidence-ledger/disclosure/v1"

FIELDS: Final = (
    "account_number",
    "address",
    "beneficiary_id_number",
    "beneficiary_name",
    "beneficiary_phone",
    "birth_date",
    "card_number",
    "consumer_id",
    "device_id",
    "email",
    "guardian_id_number",
    "guardian_name",
    "guardian_phone",
    "guardian_relation",
    "health",
    "holder_id_number",
    "holder_name",
    "holder_phone",
    "id_number",
    "id_type",
    "name",
    "note_1",
    "note_2",
    "note_3",
    "note_4",
    "payer_account",
    "payer_id_number",
    "payer_name",
    "phone",
    "vehicle_plate",
    "wallet_id",
    "wallet_provider",
)
"""The fields of every contract, ascending; a field's place is its leaf's index, for ever. Who signs
under no prefix is the consumer of the contract (`party`); `consumer_id` is the custodian's own
number for them; `note_1` to `note_4` are for whatever has no name here."""

SALT_BYTES: Final = 16
"""128 random bits, as SD-JWT (RFC 9901) recommends: names and numbers can be guessed, salts not."""

VALUE_BYTES_MAX: Final = 1024
"""Of a value in UTF-8: the longest address has a third of it."""

CONTRACT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
DISCLOSURE_MEMBERS: Final = ("commitment", "contract", "fields", "format")
FIELD_MEMBERS: Final = ("name", "path", "salt", "value")

_NORMALIZATION: Final = unicodedata.ucd_3_2_0
"""As in `ledger.canonical`: frozen, so that a text is normal for everybody or for nobody."""

_PLACES: Final = {name: place for place, name in enumerate(FIELDS)}
_DEPTH: Final = (len(FIELDS) - 1).bit_length()


@value_class
class PrivateField:
    """One leaf: a field, its salt, and its value, or None where it is empty."""

    name: str
    salt: bytes
    value: str | None

    def compute_leaf_hash(self) -> bytes:
        """Return the leaf's hash in the tree."""
        name = self.name.encode("ascii")
        value = b"\0" if self.value is None else b"\1" + self.value.encode()
        return leaf_hash(tags.PRIVATE_FIELD + self.salt + bytes([len(name)]) + name + value)


@value_class
class ShownField:
    """A field with the hashes that lead from its leaf to the root."""

    field: PrivateField
    path: tuple[bytes, ...]


@value_class
class Disclosure:
    """Chosen fields of one contract; nothing in it is believed before `verify_disclosure`."""

    contract: str
    """The contract's id, without `contract/`."""
    commitment: bytes
    """What stands on the chain."""
    shown: tuple[ShownField, ...]

    @property
    def withheld(self) -> tuple[str, ...]:
        """Names of the fields that are not shown; each may have a value or be empty."""
        names = {shown.field.name for shown in self.shown}
        return tuple([name for name in FIELDS if name not in names])


def make_fields(values: Mapping[str, str], salts: Sequence[bytes]) -> tuple[PrivateField, ...]:
    """Return all 32 fields of a contract, those not in `values` empty; raise `Rejected`(BAD_FIELD).

    `salts` are 32 times 16 random bytes that were never used before.
    """
    if len(salts) != len(FIELDS) or len(set(salts)) != len(FIELDS):
        raise ValueError(f"{len(FIELDS)} different salts are needed, one for each field")
    if any(len(salt) != SALT_BYTES for salt in salts):
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    for name, value in values.items():
        if name not in _PLACES:
            _refuse(Reason.BAD_FIELD, _say_unknown(name), _say_unknown_zh(name))
        _check_value(name, value)
    return tuple(
        [
            PrivateField(name, salt, values.get(name))
            for name, salt in zip(FIELDS, salts, strict=True)
        ]
    )


def compute_commitment(contract: str, fields: Sequence[PrivateField]) -> bytes:
    """Return the 32 bytes that stand for all fields of a contract on the chain."""
    if tuple([field.name for field in fields]) != FIELDS:
        raise ValueError("a commitment is over all fields, in their order")
    root = compute_root([field.compute_leaf_hash() for field in fields])
    return _commit(contract, root)


def disclose(contract: str, fields: Sequence[PrivateField], names: Collection[str]) -> Disclosure:
    """Return the disclosure of the named fields; raise `Rejected`(BAD_FIELD)."""
    if not names:
        _refuse(
            Reason.BAD_FIELD,
            "it names no field; name at least one to show",
            "没有写明字段；请至少写明一个要披露的字段",
        )
    for name in names:
        if name not in _PLACES:
            _refuse(Reason.BAD_FIELD, _say_unknown(name), _say_unknown_zh(name))
    leaves = [field.compute_leaf_hash() for field in fields]
    shown = [
        ShownField(fields[place], tuple(inclusion_proof(leaves, place)))
        for place in sorted({_PLACES[name] for name in names})
    ]
    return Disclosure(contract, compute_commitment(contract, fields), tuple(shown))


def verify_disclosure(disclosure: Disclosure) -> None:
    """Raise `Rejected` unless every field shown is one of those that the commitment is over.

    Then what is withheld is unchanged too: another value, salt or order of any leaf would be
    another root, and so another commitment (RFC 9162 section 2.1.3).
    """
    previous = -1
    for shown in disclosure.shown:
        place = _PLACES[shown.field.name]
        if place == previous:
            _refuse(Reason.DUPLICATE, f"field {shown.field.name} is shown twice")
        if place < previous:
            _refuse(
                Reason.NOT_CANONICAL,
                f"field {shown.field.name} stands behind {FIELDS[previous]}; fields are ascending",
            )
        previous = place
        leaf = shown.field.compute_leaf_hash()
        root = root_from_inclusion(leaf, place, len(FIELDS), shown.path)
        reached = _commit(disclosure.contract, root)
        if reached != disclosure.commitment:
            _refuse(
                Reason.BAD_PROOF,
                f"field {shown.field.name} with its value, salt and path leads to commitment "
                f"{reached.hex()}, not to {disclosure.commitment.hex()}",
            )


def encode_disclosure(disclosure: Disclosure) -> bytes:
    """Return the disclosure's file: RFC 8785 JSON, as `describe_disclosure` has it."""
    return json.dumps(
        describe_disclosure(disclosure), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode()


def describe_disclosure(disclosure: Disclosure) -> dict[str, object]:
    """Return the disclosure as a JSON document, to stand alone or in an evidence file."""
    return {
        "commitment": disclosure.commitment.hex(),
        "contract": disclosure.contract,
        "fields": [
            {
                "name": shown.field.name,
                "path": [hash_.hex() for hash_ in shown.path],
                "salt": shown.field.salt.hex(),
                "value": shown.field.value,
            }
            for shown in disclosure.shown
        ],
        "format": FORMAT,
    }


def read_disclosure(document: object, where: str = "disclosure") -> Disclosure:
    """Return the disclosure that a JSON document describes; raise `Rejected` for another shape."""
    members = _take_members(document, where, DISCLOSURE_MEMBERS)
    if members["format"] != FORMAT:
        _refuse(Reason.BAD_FIELD, f"{where}: format is not {FORMAT!r}")
    contract = members["contract"]
    if not isinstance(contract, str) or not CONTRACT.fullmatch(contract):
        _refuse(Reason.BAD_FIELD, f"{where}: contract is not an id that matches {CONTRACT.pattern}")
    listed = members["fields"]
    if not isinstance(listed, list) or not 0 < len(listed) <= len(FIELDS):
        _refuse(Reason.BAD_FIELD, f"{where}: fields is not a list of 1 to {len(FIELDS)} fields")
    return Disclosure(
        contract,
        _take_hex(members["commitment"], f"{where}: commitment", HASH_BYTES),
        tuple([_read_field(item, f"{where}: fields[{at}]") for at, item in enumerate(listed)]),
    )


def _read_field(document: object, where: str) -> ShownField:
    members = _take_members(document, where, FIELD_MEMBERS)
    name, value, path = members["name"], members["value"], members["path"]
    if not isinstance(name, str) or name not in _PLACES:
        _refuse(Reason.BAD_FIELD, f"{where}: {_say_unknown(name)}")
    if value is not None:
        _check_value(f"{where}: {name}", value)
    if not isinstance(path, list) or len(path) != _DEPTH:
        _refuse(Reason.BAD_FIELD, f"{where}: path is not a list of {_DEPTH} hashes")
    return ShownField(
        PrivateField(
            name,
            _take_hex(members["salt"], f"{where}: salt", SALT_BYTES),
            value if isinstance(value, str) else None,
        ),
        tuple([_take_hex(hash_, f"{where}: path", HASH_BYTES) for hash_ in path]),
    )


def _commit(contract: str, root: bytes) -> bytes:
    stream = f"contract/{contract}".encode("ascii")
    return tagged_hash(tags.PRIVATE_COMMITMENT, bytes([len(stream)]) + stream + root)


def _check_value(name: str, value: object) -> None:
    """A value is text with one spelling: not empty, in NFC, and encodable at all."""
    if not isinstance(value, str):
        _refuse(Reason.BAD_FIELD, f"{name}: the value is no text")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        _refuse(
            Reason.BAD_FIELD,
            f"{name}: the value holds half of a surrogate pair",
            f"{name}：值含有不成对的代理码位",
        )
    if not 0 < length <= VALUE_BYTES_MAX:
        _refuse(
            Reason.BAD_FIELD,
            f"{name}: the value has {length} bytes in UTF-8; 1 to {VALUE_BYTES_MAX} are allowed, "
            "and an empty field is left out",
            f"{name}：值的 UTF-8 编码有 {length} 字节；应为 1 至 {VALUE_BYTES_MAX} 字节，空字段请勿"
            "写出",
        )
    if not value.isascii() and not _is_normal(value):
        _refuse(
            Reason.NOT_CANONICAL,
            f"{name}: the value is not in Normalization Form C",
            f"{name}：值不是 Unicode 规范化形式 C",
        )


def _is_normal(text: str) -> bool:
    """As `ledger.canonical.is_normal` (ADR 0025), which the verifier has no package for."""
    later = {ord(one): "\0" for one in set(text) if _NORMALIZATION.category(one) == "Cn"}
    return _NORMALIZATION.is_normalized("NFC", text.translate(later) if later else text)


def _take_members(value: object, where: str, expected: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != set(expected):
        _refuse(Reason.BAD_FIELD, f"{where} is not an object of exactly {', '.join(expected)}")
    return value


def _take_hex(value: object, where: str, length: int) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", value):
        _refuse(Reason.BAD_FIELD, f"{where} is not {2 * length} lower-case hex digits")
    return bytes.fromhex(value)


def _say_unknown(name: object) -> str:
    if not isinstance(name, str):
        return "the name is no text"
    return f"there is no field {name[:40]!r}; fields are {', '.join(FIELDS)}"


def _say_unknown_zh(name: str) -> str:
    return f"没有名为 {name[:40]!r} 的字段；可用的字段：{'、'.join(FIELDS)}"


def _refuse(reason: Reason, detail: str, detail_zh: str = "") -> NoReturn:
    """In Chinese too what a custodian's node refuses at its door; the rest is read in files."""
    raise Rejected(reason, detail, detail_zh)
