"""What a custodian says it keeps, against what is locked with it.

Two merchants: m-1 has 1,000 yuan with bank-0, m-2 has 300. Outcomes are asserted whole.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.audit import audit
from contracts.custody import CustodianRecord
from contracts.execution import Inadmissible
from contracts.kinds import KINDS
from ledger.refusal import Reason, Rejected
from ledger.stream import decode_stored_stream
from ledger.transaction import Outcome, applied, refused
from tests.contracts.life_world import CARD, LOCKED, LifeWorld, paid_world
from tests.contracts.samples import SAMPLES

STREAM = "custodian/bank-0"
OTHER = "contract/of-m-2"


def kept_world() -> LifeWorld:
    world = paid_world()
    world.must("contract.signed", OTHER, world.signing() | {"merchant": "m-2"}, "m-2", "c-1")
    world.must("funds.locked", OTHER, LOCKED | {"amount": 30_000}, "bank-0")
    return world


def state(world: LifeWorld, balance: int, *signers: str, **members: Any) -> Outcome:
    data = {"balance": balance, **members}
    return world.one("custody.stated", STREAM, data, *(signers or ("bank-0",)))


def told(number: int, balance: int, locked: int, *more: tuple[str, int | str]) -> Outcome:
    """An outcome by the definition: `more` is the merchant, if any, and the findings."""
    merchant = [one for one in more if one[0] == "merchant"]
    return applied(
        ("number", number),
        *merchant,
        ("balance", balance),
        ("locked", locked),
        ("gap", locked - balance if balance < locked else 0),
        ("excess", balance - locked if balance > locked else 0),
        *[one for one in more if one not in merchant],
    )


SHORT = ("finding", "custody_short")


# What is compared with what


def test_equal_short_and_above() -> None:
    world = kept_world()
    assert state(world, 130_000) == told(1, 130_000, 130_000)
    assert state(world, 129_999) == told(2, 129_999, 130_000, SHORT)
    assert state(world, 0) == told(3, 0, 130_000, SHORT)
    assert state(world, 130_001) == told(4, 130_001, 130_000)
    assert state(world, 2**53 - 1) == told(5, 2**53 - 1, 130_000)
    assert world.custodian.stated == 5
    assert (world.custodian.locked, world.custodian.contracts) == (130_000, 2)


def test_the_ledgers_sum_is_that_of_the_very_position() -> None:
    """What precedes it in its own block counts, what follows does not."""
    world = kept_world()
    outcomes = world.run(
        world.submit("custody.stated", STREAM, {"balance": 130_000}, "bank-0"),
        world.submit("funds.released", OTHER, {"amount": 10_000}, "bank-0"),
        world.submit("custody.stated", STREAM, {"balance": 130_000}, "bank-0"),
        world.submit("funds.locked", CARD, LOCKED, "bank-0"),
        world.submit("custody.stated", STREAM, {"balance": 130_000}, "bank-0"),
    )
    assert outcomes[0] == told(1, 130_000, 130_000)
    assert outcomes[2] == told(2, 130_000, 120_000)
    assert outcomes[4] == told(3, 130_000, 220_000, SHORT)
    assert world.custodian.stated == 3
    assert world.custodian.locked == 220_000


def test_of_one_merchant_alone() -> None:
    world = kept_world()
    for merchant, locked in (("m-1", 100_000), ("m-2", 30_000)):
        number = world.custodian.stated + 1
        assert state(world, 30_000, merchant=merchant) == (
            told(number, 30_000, locked, ("merchant", merchant), *[SHORT] * (locked > 30_000))
        )
    assert state(world, 30_000, merchant="") == told(3, 30_000, 130_000, SHORT)


def test_a_merchant_with_several_custodians_has_no_sum_for_each() -> None:
    world = kept_world()
    data = world.signing() | {"custodian": "g-1", "merchant": "m-2"}
    world.must("contract.signed", "contract/with-g-1", data, "m-2", "c-1")
    assert state(world, 30_000, merchant="m-2").code == "", "a merchant alone names whom it likes"
    world.must("funds.locked", "contract/with-g-1", LOCKED, "g-1")
    assert state(world, 30_000, merchant="m-2") == refused(
        "several_custodians", ("merchant", "m-2"), ("custodians", 2)
    )
    assert state(world, 30_000, merchant="m-1").code == ""
    assert world.custodian.stated == 2


def test_a_merchant_whose_money_it_does_not_keep() -> None:
    world = LifeWorld()
    assert state(world, 0, merchant="m-1") == refused(
        "not_its_custodian", ("merchant", "m-1"), ("custodian", "bank-0")
    )
    for party in ("nobody", "c-1", "bank-0"):
        assert state(world, 0, merchant=party) == refused("unknown_merchant", ("merchant", party))
    assert world.record(STREAM) is None


def test_a_custodian_without_contracts_may_state_too() -> None:
    world = LifeWorld()
    assert state(world, 5) == told(1, 5, 0)
    assert world.custodian == CustodianRecord(1, stated=1)
    assert audit(rows_of(world)) == []
    world.sign()
    world.done("funds.locked", LOCKED, "bank-0")
    assert state(world, 5) == told(2, 5, 100_000, SHORT)
    assert audit(rows_of(world)) == []


def test_a_day_that_has_not_come_is_found() -> None:
    world = kept_world()
    later = world.chain.header.time_ms + 86_400_000
    assert state(world, 1, occurred_at=later) == told(
        1, 1, 130_000, SHORT, ("finding", "occurred_in_the_future")
    )
    provenance = {"source": "core-banking", "generated_at": 1}
    assert state(world, 130_000, occurred_at=1, provenance=provenance) == told(2, 130_000, 130_000)


# Who may say it


@pytest.mark.parametrize(
    ("signers", "stranger"),
    [
        (("m-1",), "m-1"),
        (("c-1",), "c-1"),
        (("bank-1",), "bank-1"),
        (("court-1",), "court-1"),
        (("bank-0", "m-1"), "m-1"),
        (("bank-0", "bank-3"), "bank-3"),
    ],
)
def test_nobody_speaks_for_a_custodian_nor_beside_it(
    signers: tuple[str, ...], stranger: str
) -> None:
    world = kept_world()
    before = world.record(STREAM)
    assert state(world, 0, *signers) == refused("not_entitled", ("signer", stranger))
    assert world.record(STREAM) == before


def test_a_gateway_speaks_for_the_bank_that_registered_it_and_for_no_other() -> None:
    world = LifeWorld()
    key = world.key("g-9").public_key.hex()
    world.must(
        "party.register", "party/g-9", {"keys": [key], "party": "g-9", "role": "gateway"}, "bank-4"
    )
    world.sign()
    world.done("funds.locked", LOCKED, "bank-0")
    assert state(world, 1, "g-1") == told(1, 1, 100_000, SHORT)
    assert state(world, 1, "bank-0", "g-1") == told(2, 1, 100_000, SHORT)
    assert state(world, 1, "g-9") == refused("not_entitled", ("signer", "g-9"))


def test_a_gateway_that_is_the_custodian_itself() -> None:
    """Its stream is its own, and its bank does not speak in it: as in its contracts."""
    world = LifeWorld()
    world.sign(custodian="g-1")
    world.done("funds.locked", LOCKED, "g-1")
    data = {"balance": 100_000}
    assert world.one("custody.stated", "custodian/g-1", data, "g-1") == told(1, 100_000, 100_000)
    assert world.one("custody.stated", "custodian/g-1", data, "bank-0") == refused(
        "not_entitled", ("signer", "bank-0")
    )
    assert state(world, 0) == told(1, 0, 0)


def test_streams_that_are_no_custodians() -> None:
    world = kept_world()
    data = {"balance": 1}
    for stream in (CARD, "merchant/m-1", "party/bank-0"):
        before = world.record(stream)
        assert world.one("custody.stated", stream, data, "bank-0") == refused(
            "wrong_stream", ("stream", stream), ("expected", "custodian/…")
        )
        assert world.record(stream) == before
    for name in ("nobody", "m-1", "bank-1"):
        assert world.one("custody.stated", f"custodian/{name}", data, "bank-0") == refused(
            "unknown_custodian", ("custodian", name)
        )
    with pytest.raises(Rejected, match=r"body: stream 'custodian/Bank-0' does not match "):
        world.run(world.submit("custody.stated", "custodian/Bank-0", data, "bank-0"))


def test_a_key_that_has_ended_states_nothing() -> None:
    world = kept_world()
    key = world.key("g-1").public_key.hex()
    world.must("party.revoke_key", "party/g-1", {"party": "g-1", "public_key": key}, "bank-0")
    with pytest.raises(Inadmissible) as caught:
        state(world, 1, "g-1")
    assert caught.value.rejected.reason is Reason.KEY_NOT_VALID
    assert world.custodian.stated == 0


def test_one_envelope_counts_once_and_a_reference_is_taken_once() -> None:
    world = kept_world()
    envelope = world.submit("custody.stated", STREAM, {"balance": 1}, "bank-0", reference="day-1")
    assert world.run(envelope) == [told(1, 1, 130_000, SHORT)]
    taken_by = world.block.rows[0].tx_id.hex()
    with pytest.raises(Inadmissible) as caught:
        world.run(envelope)
    assert caught.value.rejected.reason is Reason.DUPLICATE
    assert state(world, 130_000).code == ""
    again = world.submit("custody.stated", STREAM, {"balance": 2}, "bank-0", reference="day-1")
    assert world.run(again) == [refused("reference_reused", ("taken_by", taken_by))]
    assert world.custodian.stated == 2


# What must stay as it is


def test_no_other_kind_does_anything_in_a_custodians_stream() -> None:
    world = kept_world()
    before = world.record(STREAM)
    for kind, version in KINDS:
        if kind == "custody.stated":
            continue
        data = SAMPLES.get(kind, {})
        outcome = world.one(kind, STREAM, data, "bank-0")
        assert (kind, version, outcome.refused) == (kind, 1, True)
    assert world.record(STREAM) == before
    assert audit(rows_of(world)) == []


def test_statements_move_no_money() -> None:
    world = kept_world()
    card, merchant = world.card, world.merchant
    assert state(world, 1).code == ""
    assert (world.card, world.merchant) == (card, merchant)
    assert audit(rows_of(world)) == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"balance": -1},
        {"balance": 2**53},
        {"balance": 1.5},
        {"balance": True},
        {"balance": 1, "merchant": "M-1"},
        {"balance": 1, "merchant": None},
        {"balance": 1, "locked": 1},
    ],
)
def test_misshapen_statements_are_told_at_the_door(data: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, KINDS["custody.stated", 1].data)


def rows_of(world: LifeWorld) -> list[tuple[str, bytes]]:
    return [(name, decode_stored_stream(raw).value) for name, raw in world.memory.streams.items()]
