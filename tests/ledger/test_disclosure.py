"""Private fields: what is shown is proven, what is withheld is unchanged and cannot be guessed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from hashlib import sha256

import pytest

from ledger.canonical import is_normal
from ledger.disclosure import (
    FIELDS,
    Disclosure,
    PrivateField,
    compute_commitment,
    describe_disclosure,
    disclose,
    encode_disclosure,
    make_fields,
    read_disclosure,
    verify_disclosure,
)
from ledger.refusal import Reason, Rejected

VALUES = {"name": "张小宝", "phone": "13800138000", "wallet_id": "0021000312345678"}


def salts(seed: int = 0) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(16) for _ in FIELDS]


def fields(seed: int = 0, **values: str) -> tuple[PrivateField, ...]:
    return make_fields(values or VALUES, salts(seed))


def refused(disclosure: Disclosure) -> Rejected:
    with pytest.raises(Rejected) as caught:
        verify_disclosure(disclosure)
    return caught.value


def plain_commitment(contract: str, leaves: list[tuple[str, bytes, str | None]]) -> bytes:
    """The construction once more, from docs/FORMATS.md and hashlib alone."""
    row = []
    for name, salt, value in leaves:
        data = b"evidence-ledger/v1/private-field\0" + salt + bytes([len(name)]) + name.encode()
        data += b"\0" if value is None else b"\1" + value.encode()
        row.append(sha256(b"\0" + data).digest())
    while len(row) > 1:
        row = [
            sha256(b"\1" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=True)
        ]
    stream = b"contract/" + contract.encode()
    tag = b"evidence-ledger/v1/private-commitment\0"
    return sha256(tag + bytes([len(stream)]) + stream + row[0]).digest()


def test_the_fields_are_thirty_two_and_ascending() -> None:
    assert list(FIELDS) == sorted(set(FIELDS))
    assert len(FIELDS) == 32


def test_the_commitment_is_what_the_document_says() -> None:
    made = fields()
    leaves = [(field.name, field.salt, field.value) for field in made]
    assert compute_commitment("yoga-1", made) == plain_commitment("yoga-1", leaves)


@pytest.mark.parametrize("names", [["phone"], ["name", "wallet_id"], list(FIELDS), ["health"]])
def test_what_is_disclosed_is_verified_and_survives_its_file(names: list[str]) -> None:
    made = disclose("yoga-1", fields(), names)
    read = read_disclosure(json.loads(encode_disclosure(made)))
    assert read == made
    verify_disclosure(read)
    assert [shown.field.name for shown in read.shown] == sorted(names)
    assert read.withheld == tuple([name for name in FIELDS if name not in names])
    assert read.commitment == compute_commitment("yoga-1", fields())


def test_that_a_field_is_empty_can_be_shown() -> None:
    made = disclose("yoga-1", fields(), ["guardian_name"])
    verify_disclosure(made)
    assert made.shown[0].field.value is None


def test_a_disclosure_has_nothing_of_what_it_withholds() -> None:
    raw = encode_disclosure(disclose("yoga-1", fields(), ["phone"])).decode()
    made = {field.name: field for field in fields()}
    assert VALUES["phone"] in raw
    for name in ("name", "wallet_id", "health"):
        assert (made[name].value or name) not in raw
        assert made[name].salt.hex() not in raw
        assert made[name].compute_leaf_hash().hex() not in raw


def test_as_many_hashes_are_shown_whatever_is_there() -> None:
    few = disclose("c", fields(name="甲"), ["name"])
    many = disclose("c", make_fields(dict.fromkeys(FIELDS, "乙"), salts()), ["name"])
    assert [len(one.shown[0].path) for one in (few, many)] == [5, 5]


def test_two_contracts_of_one_person_have_nothing_in_common() -> None:
    one, other = fields(1), fields(2)
    assert not {a.compute_leaf_hash() for a in one} & {b.compute_leaf_hash() for b in other}
    assert compute_commitment("a", one) != compute_commitment("b", other)
    assert compute_commitment("a", one) != compute_commitment("b", one), "even under equal salts"


def spoil(**changes: object) -> Disclosure:
    """Two fields shown, the first of them changed."""
    made = disclose("yoga-1", fields(), ["name", "phone"])
    first = made.shown[0]
    field = {k: v for k, v in changes.items() if k in ("name", "salt", "value")}
    path = changes.get("path", first.path)
    spoilt = replace(first, field=replace(first.field, **field), path=path)  # type: ignore[arg-type]
    return replace(made, shown=(spoilt, *made.shown[1:]))


PATH = disclose("yoga-1", fields(), ["name"]).shown[0].path
CHANGED = {
    "value": {"value": "张小贝"},
    "value-emptied": {"value": None},
    "salt": {"salt": bytes(16)},
    "path": {"path": (bytes(32), *PATH[1:])},
    "path-swapped": {"path": (PATH[1], PATH[0], *PATH[2:])},
    "name-moved": {"name": "holder_name"},
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_refused_and_named(what: str) -> None:
    spoilt = spoil(**CHANGED[what])
    name = spoilt.shown[0].field.name
    rejected = refused(spoilt)
    assert rejected.reason is Reason.BAD_PROOF
    assert rejected.detail.startswith(
        f"field {name} with its value, salt and path leads to commitment "
    )
    assert rejected.detail.endswith(f", not to {spoilt.commitment.hex()}")


def test_a_field_shown_twice_is_refused() -> None:
    made = disclose("yoga-1", fields(), ["name"])
    twice = replace(made, shown=made.shown * 2)
    assert str(refused(twice)) == "duplicate: field name is shown twice"


def test_fields_out_of_order_are_refused() -> None:
    made = disclose("yoga-1", fields(), ["name", "phone"])
    turned = replace(made, shown=made.shown[::-1])
    assert (
        str(refused(turned))
        == "not_canonical: field name stands behind phone; fields are ascending"
    )


def test_under_another_contract_it_is_worth_nothing() -> None:
    made = disclose("yoga-1", fields(), ["name"])
    assert refused(replace(made, contract="yoga-2")).reason is Reason.BAD_PROOF


def test_an_inner_node_does_not_pass_for_a_leaf() -> None:
    """A path cut short, or grown by one, has another length than its place has."""
    made = disclose("yoga-1", fields(), ["name"])
    for path in (PATH[1:], (*PATH, bytes(32))):
        rejected = refused(replace(made, shown=(replace(made.shown[0], path=path),)))
        assert rejected.reason is Reason.BAD_PROOF


@pytest.mark.parametrize(
    ("values", "reason", "says"),
    [
        ({"nmae": "x"}, Reason.BAD_FIELD, "there is no field 'nmae'; fields are account_number, "),
        ({"name": ""}, Reason.BAD_FIELD, "name: the value has 0 bytes in UTF-8; 1 to 1024 are"),
        ({"name": "x" * 1025}, Reason.BAD_FIELD, "name: the value has 1025 bytes in UTF-8"),
        ({"name": "e\u0301"}, Reason.NOT_CANONICAL, "name: the value is not in Normalization Form"),
        ({"name": "\ud800"}, Reason.BAD_FIELD, "name: the value holds half of a surrogate pair"),
    ],
)
def test_fields_that_have_no_one_spelling_are_refused(
    values: dict[str, str], reason: Reason, says: str
) -> None:
    with pytest.raises(Rejected) as caught:
        make_fields(values, salts())
    assert caught.value.reason is reason
    assert caught.value.detail.startswith(says)


@pytest.mark.parametrize("value", ["𫠝", "e\u1dfa\u0301", "Ａ①", "\U0001f9ff\u0301", "김"])
def test_a_value_is_normal_where_a_body_would_be(value: str) -> None:
    try:
        fields(name=value)
        taken = True
    except Rejected:
        taken = False
    assert taken == is_normal(value)


def test_salts_are_never_used_twice() -> None:
    with pytest.raises(ValueError, match="32 different salts are needed, one for each field"):
        make_fields(VALUES, [bytes(16)] * 32)
    with pytest.raises(ValueError, match="a salt has 16 bytes"):
        make_fields(VALUES, [bytes([at]) for at in range(32)])


SHAPES = {
    "no-object": (lambda d: [], "disclosure is not an object of exactly commitment, contract, "),
    "member-more": (lambda d: d | {"x": 1}, "disclosure is not an object of exactly commitment"),
    "format": (lambda d: d | {"format": "v2"}, "disclosure: format is not 'evidence-ledger/disc"),
    "contract": (lambda d: d | {"contract": "A"}, "disclosure: contract is not an id that match"),
    "no-fields": (lambda d: d | {"fields": []}, "disclosure: fields is not a list of 1 to 32 fi"),
    "commitment": (
        lambda d: d | {"commitment": d["commitment"].upper()},
        "disclosure: commitment is not 64 lower-case hex digits",
    ),
    "salt": (lambda d: put(d, salt="00"), "disclosure: fields[0]: salt is not 32 lower-case hex "),
    "name": (lambda d: put(d, name="nobody"), "disclosure: fields[0]: there is no field 'nobody'"),
    "value": (lambda d: put(d, value=7), "disclosure: fields[0]: name: the value is no text"),
    "path": (lambda d: put(d, path=[]), "disclosure: fields[0]: path is not a list of 5 hashes"),
    "hash": (
        lambda d: put(d, path=["zz"] * 5),
        "disclosure: fields[0]: path is not 64 lower-case hex digits",
    ),
}


def put(document: dict[str, object], **members: object) -> dict[str, object]:
    return document | {"fields": [document["fields"][0] | members]}  # type: ignore[index,operator]


@pytest.mark.parametrize("what", SHAPES)
def test_another_shape_is_refused(what: str) -> None:
    change, says = SHAPES[what]
    document = describe_disclosure(disclose("yoga-1", fields(), ["name"]))
    with pytest.raises(Rejected) as caught:
        read_disclosure(change(document))
    assert caught.value.reason is Reason.BAD_FIELD
    assert caught.value.detail.startswith(says)


def test_showing_nothing_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        disclose("yoga-1", fields(), [])
    assert caught.value.detail == "it names no field; name at least one to show"
