"""Merchants' sum trees: kept by execution, proven, rebuilt from the state, and audited again."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from contracts.audit import audit
from contracts.claims import Claims, ClaimsDamagedError, compute_claim, seal
from contracts.custody import ContractRecord, MerchantRecord, settle
from contracts.execution import execute_block, make_claims
from contracts.handling import Refusal
from contracts.prepaid import ConservationError
from contracts.streams import decode_stream_state
from ledger.stream import decode_stored_stream
from ledger.sum_tree import EMPTY, SumTotal, compute_leaf, verify_claim
from ledger.transaction import applied, refused
from tests.contracts.life_world import LOCKED, PERSONS, LifeWorld
from tests.contracts.test_contract import audited
from tests.contracts.world import lone_context

PARTY = bytes.fromhex(PERSONS["party"])


def stream_of(at: int) -> str:
    return f"contract/k-{at}"


def crowded(count: int, merchant: str = "m-1") -> LifeWorld:
    """`count` contracts of one merchant, the i-th with i + 1 yuan in custody, in a few blocks."""
    world = LifeWorld()
    data = world.signing() | {"merchant": merchant}
    for begin in range(0, count, 7):
        world.run(
            *[
                world.submit("contract.signed", stream_of(at), data, merchant, "c-1")
                for at in range(begin, min(begin + 7, count))
            ]
        )
    world.run(
        *[
            world.submit(
                "funds.locked", stream_of(at), LOCKED | {"amount": 100 * (at + 1)}, "bank-0"
            )
            for at in range(count)
        ]
    )
    return world


def check_proofs(world: LifeWorld, merchant: str = "m-1") -> None:
    """Each contract of a merchant is in its total, by the tree kept and by one built anew."""
    whole: Any = world.record(f"merchant/{merchant}")
    total = SumTotal(whole.claims, whole.contracts, whole.locked, whole.owed)
    anew = make_claims(world.chain.reader)
    for name in world.memory.streams:
        record = world.record(name)
        if isinstance(record, ContractRecord) and record.merchant == merchant:
            leaf = compute_leaf(compute_claim(PARTY, name), record.locked, record.owed)
            for claims in (world.chain.claims, anew):
                path = claims.prove(merchant, record.place)
                verify_claim(total, record.place, leaf, path)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 21])
def test_every_contract_is_in_its_merchants_total(count: int) -> None:
    world = crowded(count)
    assert world.merchant.contracts == count
    assert world.merchant.locked == 100 * count * (count + 1) // 2
    check_proofs(world)
    assert audited(world) == []


def test_the_total_follows_what_is_locked_and_what_is_owed() -> None:
    world = crowded(5)
    world.publish_data()
    seen = {world.merchant.claims}
    for kind, data, *signers in (
        ("funds.released", {"amount": 50}, "bank-0"),
        ("interest.accrued", {"amount": 3}, "bank-0"),
        ("termination.requested", {"cure_until": None}, "c-1"),
        ("refund.computed", {"as_of": "2026-01-20"}, "bank-0"),
        ("refund.paid", {"amount": 20, "payee": "ab" * 32, "source": "custody"}, "bank-0"),
    ):
        world.must(kind, stream_of(3), data, *signers)  # type: ignore[arg-type]
        check_proofs(world)
        assert audited(world) == []
        moved = kind != "termination.requested"
        assert (world.merchant.claims not in seen) is moved
        seen.add(world.merchant.claims)
    assert world.merchant.owed > 0


def test_what_moves_nothing_leaves_the_root() -> None:
    world = crowded(3)
    before = world.merchant.claims
    world.must("service.delivered", stream_of(1), {"debited": 5, "item": "cut", "units": 1}, "m-1")
    assert world.block.claims == {}
    world.must("risk.declared", "merchant/m-1", {}, "m-1")
    assert world.merchant.claims == before


def test_a_merchant_without_contracts_has_the_empty_trees_root() -> None:
    world = LifeWorld()
    world.must("risk.declared", "merchant/m-1", {}, "m-1")
    assert world.merchant.claims == EMPTY.hash
    assert audited(world) == []


def test_two_merchants_of_one_block_have_a_tree_each() -> None:
    world = LifeWorld()
    streams = [stream_of(at) for at in range(6)]
    world.run(
        *[
            world.submit(
                "contract.signed", stream, world.signing() | {"merchant": f"m-{at % 2 + 1}"},
                f"m-{at % 2 + 1}", "c-1",
            )
            for at, stream in enumerate(streams)
        ]
    )  # fmt: skip
    world.run(*[world.submit("funds.locked", stream, LOCKED, "bank-0") for stream in streams])
    assert set(world.block.claims) == {"m-1", "m-2"}
    for merchant in ("m-1", "m-2"):
        check_proofs(world, merchant)
    assert audited(world) == []


def test_a_refused_signing_takes_no_place() -> None:
    world = crowded(2)
    refusal = world.one("contract.signed", stream_of(0), world.signing(), "m-1", "c-1")
    assert refusal == refused("already_open", ("stream", stream_of(0)))
    world.must("contract.signed", stream_of(9), world.signing(), "m-1", "c-1")
    record: Any = world.record(stream_of(9))
    assert record.place == 2
    listed: Any = world.record("listed/merchant/m-1/2")
    assert (listed.contract, listed.claim) == (stream_of(9), compute_claim(PARTY, stream_of(9)))


def test_no_merchants_total_passes_what_json_can_say() -> None:
    world = crowded(2)
    full = msgspec.structs.replace(world.merchant, deposited=2**53 - 1 - 99, locked=2**53 - 1 - 99)
    context = world_context(world, full)
    record: Any = world.record(stream_of(0))
    after = msgspec.structs.replace(record, deposited=200, locked=200, paid=200)
    with pytest.raises(Refusal) as caught:
        settle(context, record, after)
    assert caught.value.outcome() == refused(
        "total_too_large",
        ("merchant", "m-1"),
        ("deposited", 2**53),
        ("owed", 0),
        ("allowed", 2**53 - 1),
    )


def test_no_custodians_total_passes_what_json_can_say() -> None:
    """Many merchants' totals could: the row of their custodian would then hold no integer."""
    world = crowded(2)
    sums: Any = {"deposited": 2**53 - 1 - 99, "locked": 2**53 - 1 - 99}
    context = world_context(world, world.merchant)
    context.writes["custodian/bank-0"] = msgspec.structs.replace(world.custodian, **sums)
    record: Any = world.record(stream_of(0))
    after = msgspec.structs.replace(record, deposited=200, locked=200, paid=200)
    with pytest.raises(Refusal) as caught:
        settle(context, record, after)
    assert caught.value.outcome() == refused(
        "total_too_large",
        ("custodian", "bank-0"),
        ("deposited", 2**53),
        ("allowed", 2**53 - 1),
    )


def world_context(world: LifeWorld, merchant: MerchantRecord) -> Any:
    context = lone_context(world, stream_of(0), world.record(stream_of(0)), "bank-0")
    context.writes["merchant/m-1"] = merchant
    return context


def test_a_total_that_is_not_the_trees_is_our_mistake() -> None:
    claims = Claims({}.get)
    record = ContractRecord(1, "m-1", "bank-0", "", locked=5, deposited=5)
    listed = crowded(1).record("listed/merchant/m-1/0")
    update = claims.plan("m-1", [record], lambda _: listed)
    assert update is not None
    with pytest.raises(ConservationError) as caught:
        seal("m-1", MerchantRecord(1, contracts=1, deposited=4, locked=4), update)
    assert str(caught.value) == (
        "merchant/m-1: its 1 contracts have 4 locked and 0 owed, and the 1 claims add up to 5 and 0"
    )


# The trees in memory


def test_a_proposal_that_is_dropped_leaves_no_trace() -> None:
    world = crowded(3)
    root = world.merchant.claims
    path = world.chain.claims.prove("m-1", 1)
    candidate = world.candidate("funds.released", stream_of(1), {"amount": 7}, "bank-0")
    dropped = execute_block(
        world.chain, world.chain.header.time_ms + 1, [candidate], proposer=0, rule_pack_version=1
    )
    assert dropped.outcomes == [
        applied(
            ("state", "active"), ("locked", 193), ("released", 7),
            ("finding", "released_before_delivery"),
        )
    ]  # fmt: skip
    assert dropped.claims["m-1"].tree.total.hash != root
    assert world.merchant.claims == root
    assert world.chain.claims.prove("m-1", 1) == path
    check_proofs(world)


def test_only_so_many_claims_are_kept() -> None:
    world = LifeWorld()
    for at in range(6):
        merchant = f"m-{at % 2 + 1}"
        world.must(
            "contract.signed",
            stream_of(at),
            world.signing() | {"merchant": merchant},
            merchant,
            "c-1",
        )
    claims = Claims(world.record, claims_max=3)
    for merchant in ("m-1", "m-2", "m-1"):
        for place in range(3):
            claims.prove(merchant, place)
        assert list(claims._kept) == [merchant]


@pytest.mark.parametrize("seed", range(4))
def test_trees_kept_are_trees_built_however_the_blocks_fall(seed: int) -> None:
    chance = random.Random(seed)
    world = LifeWorld()
    signed = 0
    for _ in range(12):
        envelopes = []
        for _ in range(chance.randrange(1, 9)):
            if signed == 0 or chance.random() < 0.4:
                data = world.signing()
                envelopes.append(
                    world.submit("contract.signed", stream_of(signed), data, "m-1", "c-1")
                )
                signed += 1
            else:
                at = chance.randrange(signed)
                amount = chance.randrange(1, 500)
                kind, data = chance.choice(
                    [
                        ("funds.locked", LOCKED | {"amount": amount}),
                        ("funds.released", {"amount": amount}),
                    ]
                )
                envelopes.append(world.submit(kind, stream_of(at), data, "bank-0"))
        if chance.random() < 0.3:
            world.chain.claims = make_claims(world.chain.reader)  # a node that started again
        world.run(*envelopes)
        check_proofs(world)
        assert audited(world) == [], f"seed {seed}"


def test_a_state_that_contradicts_itself_is_named() -> None:
    world = crowded(3)
    rows = {name: world.record(name) for name in world.memory.streams}
    record: Any = rows[stream_of(1)]
    rows[stream_of(1)] = msgspec.structs.replace(record, locked=1)
    with pytest.raises(ClaimsDamagedError) as caught:
        Claims(rows.get).prove("m-1", 0)
    assert str(caught.value).startswith("the 3 contracts of merchant m-1 have the total ")
    assert str(caught.value).endswith(f", and its record says {world.merchant.claims.hex()}")
    rows[stream_of(1)] = msgspec.structs.replace(record, place=2)
    with pytest.raises(ClaimsDamagedError) as caught:
        Claims(rows.get).prove("m-1", 0)
    assert str(caught.value) == "'contract/k-1' is not contract 1 of merchant m-1"
    del rows["listed/merchant/m-1/2"]
    rows[stream_of(1)] = record
    with pytest.raises(ClaimsDamagedError) as caught:
        Claims(rows.get).prove("m-1", 0)
    assert str(caught.value) == "no contract is listed at 2 of merchant m-1"


# The auditor


def test_the_auditor_builds_the_trees_again() -> None:
    world = crowded(4)
    rows = {name: decode_stored_stream(raw).value for name, raw in world.memory.streams.items()}

    def spoilt(name: str, place: int, value: Any) -> list[str]:
        changed = msgspec.msgpack.decode(rows[name])
        changed[2][place] = value
        return audit((rows | {name: msgspec.msgpack.encode(changed)}).items())

    root = world.merchant.claims.hex()
    assert spoilt("merchant/m-1", 11, bytes(32)) == [
        f"merchant/m-1: its claims have total {root}, and it says {bytes(32).hex()}"
    ]
    assert spoilt(stream_of(2), 25, 7)[0] == (
        "merchant/m-1: its 4 contracts have the places [0, 1, 3, 7]"
    )
    name = compute_claim(PARTY, stream_of(2)).hex()
    row = "listed/merchant/m-1/2"
    for place, value in ((2, stream_of(1)), (3, bytes(32))):
        assert spoilt(row, place, value) == [
            f"{row}: it does not list {stream_of(2)} under the name {name}"
        ]
    more = {"listed/merchant/m-1/9": rows[row]}
    assert audit((rows | more).items()) == ["listed/merchant/m-1/9: there is no such contract"]
    other = compute_claim(bytes(32), stream_of(2)).hex()
    unlisted, wrong = spoilt(f"signed/{stream_of(2)}", 8, bytes(32))
    assert unlisted == f"{row}: it does not list {stream_of(2)} under the name {other}"
    assert wrong.startswith("merchant/m-1: its claims have total ")
    del rows[f"signed/{stream_of(1)}"]
    assert audit(rows.items())[0] == f"merchant/m-1: {stream_of(1)} has no static part"


def test_the_state_as_stored_is_what_the_claims_read() -> None:
    world = crowded(2)
    raw = world.memory.streams["merchant/m-1"]
    assert decode_stream_state(raw).record == world.merchant
