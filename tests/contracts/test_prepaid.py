"""The prepaid contract: each refusal by name, with its effects, and what an attester may do."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from contracts.parties import CUSTODIAN_ROLES
from contracts.prepaid import (
    AmountData,
    Attesters,
    ConservationError,
    OpenData,
    PrepaidRecord,
    apply_consume,
    apply_prepay,
    compute_consumer_commitment,
)
from law.terms import INDUSTRIES
from ledger.canonical import INTEGER_MAX
from ledger.hashing import sha256
from ledger.transaction import Outcome, applied, refused
from tests.contracts.world import CARD, World, lone_context, open_world, settled_world, terms

MERCHANT = ["merchant"]


def balances(paid: int, locked: int, released: int, refunded: int) -> Outcome:
    return applied(
        ("paid", paid), ("locked", locked), ("released", released), ("refunded", refunded)
    )


def move(world: World, action: str, amount: int, *signers: str) -> Outcome:
    return world.one(f"prepaid.{action}", CARD, {"amount": amount}, *(signers or ("m-1",)))


def attesters(**needed: list[str]) -> dict[str, list[str]]:
    return {"prepay": MERCHANT, "consume": MERCHANT, "refund": MERCHANT} | needed


# Opening


def test_a_contract_is_opened_as_its_terms_say() -> None:
    world = open_world(consumer_party="c-1", attesters=attesters(refund=["merchant", "consumer"]))
    assert world.block.outcomes == [applied(("locked", 0))]
    assert world.record(CARD) == PrepaidRecord(
        version=1,
        merchant="m-1",
        custodian="bank-1",
        consumer=bytes.fromhex("ab" * 32),
        consumer_party="c-1",
        industry="fitness",
        terms_hash=bytes.fromhex("cd" * 32),
        attesters=("merchant", "merchant", "merchant consumer"),
        opened_height=2,
        opened_ms=world.block.header.time_ms,
        paid=0,
        locked=0,
        released=0,
        refunded=0,
        prepaid_count=0,
        consumed_count=0,
        refunded_count=0,
    )


@pytest.mark.parametrize("industry", INDUSTRIES)
def test_the_ten_industries_are_known(industry: str) -> None:
    assert len(set(INDUSTRIES)) == 10
    assert open_world(industry=industry).record(CARD) is not None


@pytest.mark.parametrize("custodian", ["bank-0", "bank-1", "g-1"])
def test_a_bank_or_its_gateway_keeps_the_money(custodian: str) -> None:
    assert "payment" in CUSTODIAN_ROLES
    assert open_world(custodian=custodian).record(CARD) is not None


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"industry": "casino"}, refused("unknown_industry", ("industry", "casino"))),
        ({"industry": ""}, refused("unknown_industry", ("industry", ""))),
        ({"merchant": "m-9"}, refused("unknown_merchant", ("merchant", "m-9"))),
        ({"merchant": "bank-0"}, refused("unknown_merchant", ("merchant", "bank-0"))),
        ({"merchant": "c-1"}, refused("unknown_merchant", ("merchant", "c-1"))),
        ({"custodian": "b-9"}, refused("unknown_custodian", ("custodian", "b-9"))),
        ({"custodian": "m-2"}, refused("unknown_custodian", ("custodian", "m-2"))),
        ({"custodian": "c-1"}, refused("unknown_custodian", ("custodian", "c-1"))),
        (
            {"attesters": attesters(consume=["merchant", "consumer"])},
            refused("no_consumer_party", ("attester", "consumer")),
        ),
        (
            {"consumer_party": "c-9"},
            refused("unknown_consumer_party", ("consumer_party", "c-9")),
        ),
        (
            {"consumer_party": "m-1"},
            refused("consumer_party_not_distinct", ("consumer_party", "m-1")),
        ),
        (
            {"consumer_party": "bank-1"},
            refused("consumer_party_not_distinct", ("consumer_party", "bank-1")),
        ),
        # m-1 signs, and is not of this contract.
        ({"merchant": "m-2"}, refused("not_entitled", ("signer", "m-1"))),
    ],
)
def test_opening_is_refused_by_name(changes: dict[str, Any], outcome: Outcome) -> None:
    world = settled_world()
    assert world.one("prepaid.open", CARD, terms(**changes), "m-1") == outcome
    assert world.record(CARD) is None


def test_a_contract_is_opened_once_and_in_a_contracts_stream() -> None:
    world = open_world()
    before = world.record(CARD)
    again = world.one("prepaid.open", CARD, terms(industry="pets"), "m-1")
    assert again == refused("already_open", ("stream", CARD))
    assert world.record(CARD) == before
    for stream in ("party/m-1", "validator/bank-0"):
        outcome = world.one("prepaid.open", stream, terms(), "m-1")
        assert outcome == refused("wrong_stream", ("stream", stream), ("expected", "contract/…"))


def test_the_merchant_must_be_among_who_opens() -> None:
    world = settled_world()
    alone = world.one("prepaid.open", CARD, terms(), "bank-1")
    assert alone == refused("missing_attester", ("role", "merchant"), ("party", "m-1"))
    assert not world.one("prepaid.open", CARD, terms(), "bank-1", "m-1").refused


@pytest.mark.parametrize("who", ["custodian", "consumer_party"])
def test_nobody_who_was_revoked_is_named(who: str) -> None:
    world = settled_world()
    party = {"custodian": "g-1", "consumer_party": "c-1"}[who]
    two = ("bank-0", "bank-1")
    revocation = world.submit("party.revoke", f"party/{party}", {"party": party}, *two)
    same_block = world.submit("prepaid.open", "contract/early", terms(**{who: party}), "m-1")
    assert [outcome.code for outcome in world.run(revocation, same_block)] == ["", ""]
    late = world.one("prepaid.open", CARD, terms(**{who: party}), "m-1")
    assert late == refused(f"unknown_{who}", (who, party))


# Moving money


def test_money_is_locked_released_and_given_back() -> None:
    world = open_world()
    assert move(world, "prepay", 10_000) == balances(10_000, 10_000, 0, 0)
    assert move(world, "consume", 2_500) == balances(10_000, 7_500, 2_500, 0)
    assert move(world, "refund", 500) == balances(10_000, 7_000, 2_500, 500)
    assert move(world, "prepay", 1) == balances(10_001, 7_001, 2_500, 500)
    assert move(world, "consume", 7_001) == balances(10_001, 0, 9_501, 500)
    record = world.record(CARD)
    assert isinstance(record, PrepaidRecord)
    assert (record.prepaid_count, record.consumed_count, record.refunded_count) == (2, 2, 1)


@pytest.mark.parametrize("action", ["consume", "refund"])
def test_never_more_than_is_locked(action: str) -> None:
    world = open_world()
    none = refused("insufficient_locked", ("locked", 0), ("amount", 1))
    assert move(world, action, 1) == none
    move(world, "prepay", 100)
    before = world.record(CARD)
    over = refused("insufficient_locked", ("locked", 100), ("amount", 101))
    assert move(world, action, 101) == over
    assert world.record(CARD) == before
    assert not move(world, action, 100).refused
    assert move(world, action, 1) == none


def test_overspending_within_one_block_is_seen() -> None:
    world = open_world()
    move(world, "prepay", 100)
    outcomes = world.run(
        *[world.submit("prepaid.consume", CARD, {"amount": 60}, "m-1") for _ in range(2)],
        world.submit("prepaid.refund", CARD, {"amount": 40}, "m-1"),
    )
    assert [outcome.code for outcome in outcomes] == ["", "insufficient_locked", ""]
    assert outcomes[2] == balances(100, 0, 60, 40)


def test_amounts_stay_where_every_reader_holds_them() -> None:
    world = open_world()
    assert move(world, "prepay", INTEGER_MAX) == balances(INTEGER_MAX, INTEGER_MAX, 0, 0)
    full = refused("amount_too_large", ("paid", INTEGER_MAX), ("amount", 1))
    assert move(world, "prepay", 1) == full
    assert move(world, "consume", INTEGER_MAX) == balances(INTEGER_MAX, 0, INTEGER_MAX, 0)
    assert move(world, "prepay", 1) == full
    most = refused("insufficient_locked", ("locked", 0), ("amount", INTEGER_MAX))
    assert move(world, "refund", INTEGER_MAX) == most


@pytest.mark.parametrize("action", ["prepay", "consume", "refund"])
def test_without_a_contract_nothing_moves(action: str) -> None:
    world = settled_world()
    assert move(world, action, 1) == refused("unknown_contract", ("stream", CARD))
    outcome = world.one(f"prepaid.{action}", "party/m-1", {"amount": 1}, "m-1")
    assert outcome == refused("unknown_contract", ("stream", "party/m-1"))
    assert world.record("party/m-1") is not None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"amount": 0},
        {"amount": -1},
        {"amount": True},
        {"amount": "1"},
        {"amount": None},
        {"amount": 1, "more": 1},
        {"amount": 1, "units": 1_000_001},
        {"amount": 1, "units": -1},
        {"amount": 1, "occurred_at": -1},
        {"amount": 1, "item": "i" * 65},
        {"amount": 1, "channel": "c" * 65},
        {"amount": 1, "provenance": {"more": 1}},
        {"amount": 1, "provenance": {"method": "m" * 65}},
        {"amount": 1, "provenance": []},
        {"amount": 1, "provenance": {"corroborates": ["AB" * 32]}},
        {"amount": 1, "provenance": {"corroborates": ["ab" * 32] * 17}},
    ],
)
def test_misshapen_amounts_are_recorded_as_refused(data: dict[str, Any]) -> None:
    world = open_world()
    outcome = world.one("prepaid.prepay", CARD, data, "m-1")
    assert outcome == refused("malformed_data", ("kind", "prepaid.prepay"))


@pytest.mark.parametrize(
    "changes",
    [
        {"industry": "i" * 33},
        {"consumer": "ab" * 31},
        {"consumer": "AB" * 32},
        {"terms_hash": "cd" * 32 + "\n"},
        {"merchant": ""},
        {"custodian": None},
        {"consumer_party": "c" * 49},
        {"attesters": {"prepay": []}},
        {"attesters": {"prepay": ["owner"]}},
        {"attesters": {"prepay": ["merchant"] * 4}},
        {"attesters": {"close": ["merchant"]}},
        {"attesters": ["merchant"]},
    ],
)
def test_misshapen_terms_are_recorded_as_refused(changes: dict[str, Any]) -> None:
    outcome = settled_world().one("prepaid.open", CARD, terms(**changes), "m-1")
    assert outcome == refused("malformed_data", ("kind", "prepaid.open"))


def test_what_may_be_left_out_has_its_default() -> None:
    assert OpenData(
        consumer="", custodian="", industry="", merchant="", terms_hash=""
    ).attesters == (Attesters(MERCHANT, MERCHANT, MERCHANT))
    world = open_world(attesters={"refund": ["merchant", "custodian"]})
    record = world.record(CARD)
    assert isinstance(record, PrepaidRecord)
    assert record.attesters == ("merchant", "merchant", "merchant custodian")


# Attesters

ROLES = {"merchant": "m-1", "custodian": "bank-1", "consumer": "c-1"}
SETS = [
    list(roles) for count in (1, 2, 3) for roles in itertools.combinations(sorted(ROLES), count)
]


@pytest.mark.parametrize("needed", SETS, ids=" ".join)
def test_exactly_who_must_attest(needed: list[str]) -> None:
    """Every set of the contract's parties as signers, against every set that must sign."""
    world = open_world(consumer_party="c-1", attesters=attesters(prepay=needed))
    for signing in SETS:
        signers = [ROLES[role] for role in signing]
        outcome = move(world, "prepay", 1, *signers)
        missing = [role for role in needed if role not in signing]
        if missing:
            assert outcome == refused(
                "missing_attester", ("role", missing[0]), ("party", ROLES[missing[0]])
            )
        else:
            assert not outcome.refused


@pytest.mark.parametrize(
    "signers", [("m-2",), ("m-1", "m-2"), ("m-2", "m-1"), ("m-1", "bank-0"), ("m-1", "c-1")]
)
def test_nobody_else_may_sign_along(signers: tuple[str, ...]) -> None:
    world = open_world()  # its consumer does not sign, so c-1 is a stranger to it
    stranger = next(signer for signer in signers if signer != "m-1")
    assert move(world, "prepay", 1, *signers) == refused("not_entitled", ("signer", stranger))


def test_each_action_has_its_own_attesters() -> None:
    world = open_world(
        consumer_party="c-1",
        attesters={
            "prepay": ["custodian"],
            "consume": ["consumer", "merchant"],
            "refund": MERCHANT,
        },
    )
    missing = refused("missing_attester", ("role", "custodian"), ("party", "bank-1"))
    assert move(world, "prepay", 9) == missing
    assert not move(world, "prepay", 9, "bank-1").refused
    missing = refused("missing_attester", ("role", "consumer"), ("party", "c-1"))
    assert move(world, "consume", 1) == missing
    assert not move(world, "consume", 1, "m-1", "c-1").refused
    assert not move(world, "consume", 1, "c-1", "m-1").refused
    assert not move(world, "refund", 1).refused


# Our own mistakes


@pytest.mark.parametrize(("locked", "released"), [(11, 0), (5, 6), (12, -2)])
def test_a_record_that_does_not_conserve_is_our_mistake_and_no_outcome(
    locked: int, released: int
) -> None:
    record = open_world().record(CARD)
    assert isinstance(record, PrepaidRecord)
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    spoilt = PrepaidRecord(**fields | {"paid": 10, "locked": locked, "released": released + 1})
    world = open_world()
    context = lone_context(world, CARD, spoilt, "m-1")
    with pytest.raises(ConservationError, match="is not paid 10"):
        apply_consume(context, AmountData(amount=1))
    assert context.record is spoilt


def test_a_negative_balance_is_our_mistake_even_where_the_sum_is_right() -> None:
    world = open_world()
    record = world.record(CARD)
    assert isinstance(record, PrepaidRecord)
    spoilt = msgspec.structs.replace(record, paid=10, locked=-5, released=15)
    context = lone_context(world, CARD, spoilt, "m-1")
    with pytest.raises(ConservationError):
        apply_prepay(context, AmountData(amount=1))


# The consumer


def test_a_consumer_is_a_salted_commitment() -> None:
    salt = bytes(range(16))
    commitment = compute_consumer_commitment(salt, "440300-消费者")
    assert commitment == sha256(
        b"evidence-ledger/v1/consumer-commitment\0" + b"\x10" + salt + "440300-消费者".encode()
    )
    assert compute_consumer_commitment(bytes(16), "440300-消费者") != commitment
    # The salt's length keeps the border between salt and identity where it was.
    assert compute_consumer_commitment(salt + b"A", "B") != compute_consumer_commitment(salt, "AB")


@pytest.mark.parametrize("length", [0, 15, 256])
def test_a_salt_has_a_length(length: int) -> None:
    with pytest.raises(ValueError, match=f"not {length}"):
        compute_consumer_commitment(bytes(length), "c")
