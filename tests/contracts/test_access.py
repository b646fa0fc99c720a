"""Who may submit what: by role, by scope (district, industry, own merchant), by key and height.

Each refusal is asserted whole. A key that is not valid makes a transaction inadmissible, so that it
stands in no block; everything else is refused on the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from contracts.custody import CUSTODIANS_MAX, MerchantRecord, join_custodian
from contracts.execution import Inadmissible
from contracts.handling import Refusal
from contracts.lifecycle import EVENTS, MERCHANT_EVENTS, find_attesters
from law.entries import choose_role
from ledger.refusal import Reason
from ledger.transaction import applied, refused
from tests.contracts.life_world import CARD, LOCKED, LifeWorld, load
from tests.contracts.samples import HASH, OF, SAMPLES, SIGNER_OF
from tests.contracts.test_lifecycle import context_of, contract_in, run
from tests.contracts.world import open_world

FREEZE = SAMPLES["funds.frozen"]
BALANCE = SAMPLES["balance.reported"]
CUT = {"debited": 4800, "item": "cut", "units": 1}


def register(
    world: LifeWorld, party: str, role: str = "merchant", by: str = "bank-0", district: str = ""
) -> Any:
    key = world.key(party).public_key.hex()
    data = {"district": district, "keys": [key], "party": party, "role": role}
    return world.one("party.register", f"party/{party}", data, by)


def competence(*regulators: dict[str, Any]) -> dict[str, Any]:
    everything = {"department": "市场监管局", "industries": ["*"], "series": []}
    return {"regulators": [everything | each for each in regulators]}


def district_world(**scope: Any) -> LifeWorld:
    """A contract of merchant m-1 of nanshan, paid; `scope` is the competence of `bank-1`."""
    world = LifeWorld()
    assert not register(world, "m-9", district="nanshan").refused
    assert not register(world, "m-8", district="futian").refused
    if scope:
        world.must(
            "competence.publish", "published/competence",
            competence({"regulator": "bank-1"} | scope, {"regulator": "bank-2"}),
            "bank-1", "bank-2",
        )  # fmt: skip
    for merchant in ("m-9", "m-8"):
        data = world.signing() | {"merchant": merchant}
        world.must("contract.signed", stream_of(merchant), data, merchant, "c-1")
        world.must("funds.locked", stream_of(merchant), LOCKED, "bank-0")
    return world


def stream_of(merchant: str) -> str:
    return f"contract/of-{merchant}"


# Roles: the lifecycle's table, in full


@pytest.mark.parametrize("event", [event for event in EVENTS if event != "contract.signed"])
def test_every_role_may_attest_what_the_table_says_and_nothing_else(event: str) -> None:
    allowed = find_attesters(event)
    record = contract_in("active", "issued", "none")
    for role, signers in SIGNER_OF.items():
        roles = ["merchant", "consumer"] if role == "both" else [role] * len(signers)
        context = context_of(event, record)
        context.signers = signers
        outcome = run(event, context)
        if choose_role(allowed, roles) is None:
            assert outcome == refused(
                "not_attested", ("signers", " ".join(signers)), ("needed", " ".join(allowed))
            )
        else:
            assert outcome.code not in ("not_attested", "not_entitled"), (event, role)


@pytest.mark.parametrize("event", MERCHANT_EVENTS)
def test_every_role_towards_a_whole_merchant(event: str) -> None:
    allowed = find_attesters(event)
    for role, signers in SIGNER_OF.items():
        if role in ("consumer", "both"):
            continue  # a merchant as a whole has no consumer
        context = context_of(event, MerchantRecord(1, custodians=["bank-0"]), "merchant/m-1")
        context.signers = signers
        outcome = run(event, context)
        if role == "issuer":
            assert outcome == refused("not_entitled", ("signer", signers[0]))
        elif choose_role(allowed, [role] * len(signers)) is None:
            assert outcome == refused(
                "not_attested", ("signers", " ".join(signers)), ("needed", " ".join(allowed))
            )
        else:
            assert outcome.code not in ("not_attested", "not_entitled"), (event, role)


# Districts


@pytest.mark.parametrize(
    ("kind", "data", "signers"),
    [
        ("funds.frozen", FREEZE, ("bank-1", "bank-2")),
        ("cause.stated", {"cause": "merchant", "standing": "finding"}, ("bank-1",)),
        ("findings.computed", {"as_of": "2026-01-20", "packs": []}, ("bank-1",)),
    ],
)
def test_a_regulator_of_one_district_does_nothing_in_another(
    kind: str, data: dict[str, Any], signers: Sequence[str]
) -> None:
    world = district_world(districts=["nanshan", "yantian"])
    outcome = world.one(kind, stream_of("m-8"), data, *signers)
    assert outcome == refused(
        "wrong_district",
        ("signer", "bank-1"),
        ("district", "nanshan yantian"),
        ("expected", "futian"),
    )
    assert world.one(kind, stream_of("m-9"), data, *signers).code in ("", "not_computable")


def test_nor_does_it_register_or_revoke_there() -> None:
    world = district_world(districts=["nanshan"])
    outside = refused(
        "wrong_district", ("signer", "bank-1"), ("district", "nanshan"), ("expected", "futian")
    )
    assert register(world, "m-7", by="bank-1", district="futian") == outside
    for kind, more in (
        ("party.revoke_key", ()), ("party.add_key", ("bank-0",)), ("party.revoke", ("bank-0",))
    ):  # fmt: skip
        data = {"party": "m-8"}
        if kind != "party.revoke":
            data["public_key"] = world.key("m-8").public_key.hex()
        assert world.one(kind, "party/m-8", data, "bank-1", *more) == outside
        assert world.one(kind, "party/m-9", data | {"party": "m-9"}, "bank-2", *more).code in (
            "", "unknown_key", "key_of_another",
        )  # fmt: skip


def test_nor_does_it_declare_a_risk_there_or_witness_there() -> None:
    world = district_world(districts=["nanshan"])
    outside = refused(
        "wrong_district", ("signer", "bank-1"), ("district", "nanshan"), ("expected", "futian")
    )
    assert world.one("risk.declared", "merchant/m-8", {}, "bank-1") == outside
    assert world.one("risk.declared", "merchant/m-9", {}, "bank-1") == applied(("state", "at_risk"))
    statement = {"statement": "witnessed", "tx_id": OF}
    assert world.one("attest", stream_of("m-8"), statement, "bank-1") == outside
    assert world.one("attest", stream_of("m-9"), statement, "bank-1").code == ""


def test_a_district_stays_in_its_own() -> None:
    world = district_world()
    outside = refused(
        "wrong_district", ("signer", "bank-3"), ("district", "nanshan"), ("expected", "futian")
    )
    statement = {"statement": "witnessed", "tx_id": OF}
    for kind, stream, data in (
        ("dispute.opened", stream_of("{}"), SAMPLES["dispute.opened"]),
        ("risk.declared", "merchant/{}", {}),
        ("liquidation.opened", "merchant/{}", {}),
        ("attest", stream_of("{}"), statement),
    ):
        assert world.one(kind, stream.format("m-8"), data, "bank-3") == outside
        assert world.one(kind, stream.format("m-9"), data, "bank-3").code == ""
    assert register(world, "m-7", by="bank-3", district="futian") == outside
    assert register(world, "m-7", by="bank-3", district="nanshan").code == ""


def test_an_authority_beside_the_parties_of_a_signing_has_its_scope_too() -> None:
    """Once an exception, for want of a record that the signing itself makes."""
    world = district_world()
    data = world.signing() | {"merchant": "m-8"}
    assert world.one("contract.signed", "contract/new", data, "m-8", "bank-3") == refused(
        "wrong_district", ("signer", "bank-3"), ("district", "nanshan"), ("expected", "futian")
    )
    assert world.record("contract/new") is None
    assert world.record("signed/contract/new") is None
    data |= {"merchant": "m-9"}
    assert world.one("contract.signed", "contract/new", data, "m-9", "bank-3").code == ""


def test_districts_are_named_as_they_are_registered() -> None:
    world = LifeWorld()
    data = competence({"districts": ["Nanshan"], "regulator": "bank-1"})
    outcome = world.one("competence.publish", "published/competence", data, "bank-1", "bank-2")
    assert outcome == refused("malformed_data", ("kind", "competence.publish"))


# Industries


def test_a_regulator_outside_its_industry() -> None:
    world = district_world(industries=["fitness", "catering"])
    outside = refused("not_competent", ("signer", "bank-1"), ("industry", "hair_beauty"))
    stream = stream_of("m-9")
    assert world.one("funds.frozen", stream, FREEZE, "bank-1", "bank-2") == outside
    assert world.one("risk.declared", "merchant/m-9", {}, "bank-1") == outside
    assert world.one("attest", stream, {"statement": "witnessed", "tx_id": OF}, "bank-1") == outside
    terms = {"document": load("terms/hair-card.v2.json")}
    assert world.one("terms.publish", "terms/hair-card", terms, "bank-1") == outside
    # A merchant without contracts is in no industry yet.
    assert world.one("risk.declared", "merchant/m-2", {}, "bank-1").code == ""


def test_a_regulator_that_is_not_named_has_no_competence_at_all() -> None:
    world = LifeWorld()
    world.must(
        "competence.publish", "published/competence", competence({"regulator": "bank-2"}),
        "bank-1", "bank-2",
    )  # fmt: skip
    assert register(world, "m-7", by="bank-1", district="futian") == refused(
        "not_competent", ("signer", "bank-1"), ("industry", "")
    )


# Own merchant, own contract, own bank


def test_a_merchant_on_anothers_contract() -> None:
    world = district_world()
    foreign = refused("not_entitled", ("signer", "m-8"))
    assert world.one("service.delivered", stream_of("m-9"), CUT, "m-8") == foreign
    assert world.one("service.delivered", stream_of("m-9"), CUT, "m-9", "m-8") == foreign
    assert world.one("risk.declared", "merchant/m-9", {}, "m-8") == foreign
    assert world.one(
        "attest", stream_of("m-9"), {"statement": "witnessed", "tx_id": OF}, "m-8"
    ) == (foreign)
    plain = open_world()
    for kind in ("prepaid.prepay", "prepaid.consume", "prepaid.refund"):
        assert plain.one(kind, CARD, {"amount": 1}, "m-2") == refused(
            "not_entitled", ("signer", "m-2")
        )


def test_a_bank_speaks_of_a_merchant_whose_money_it_keeps_and_of_no_other() -> None:
    world = district_world()
    assert world.one("balance.reported", "merchant/m-2", BALANCE, "bank-0") == refused(
        "not_entitled", ("signer", "bank-0")
    )
    assert world.one("balance.reported", "merchant/m-9", BALANCE, "bank-0").code == ""
    assert world.one("balance.reported", "merchant/m-9", BALANCE, "g-1").code == ""
    world.commit(world.registration("g-3", "gateway", by="bank-4"))
    assert world.one("balance.reported", "merchant/m-9", BALANCE, "g-3") == refused(
        "not_entitled", ("signer", "g-3")
    )


@pytest.mark.parametrize("party", ["g-1", "m-2", "court-1"])
def test_nobody_but_a_consumer_signs_for_the_consumer(party: str) -> None:
    """A bank's own gateway could otherwise attest both sides of a contract."""
    world = LifeWorld()
    assert world.sign(consumer_party=party) == refused(
        "unknown_consumer_party", ("consumer_party", party)
    )


def test_a_merchants_record_knows_its_custodians_and_industries() -> None:
    world = district_world()
    record: Any = world.record("merchant/m-9")
    assert (record.custodians, record.industries) == (["bank-0"], ["hair_beauty"])
    data = world.signing() | {"custodian": "g-1", "merchant": "m-9"}
    world.must("contract.signed", "contract/new", data, "m-9")
    record = world.record("merchant/m-9")
    assert record.custodians == ["bank-0"], "named by the merchant, and no money came to it yet"
    world.must("funds.locked", "contract/new", LOCKED, "g-1")
    record = world.record("merchant/m-9")
    assert (record.custodians, record.industries) == (["bank-0", "g-1"], ["hair_beauty"])
    full = msgspec.structs.replace(record, custodians=[f"b-{at}" for at in range(CUSTODIANS_MAX)])
    assert join_custodian(full, "b-0") is full
    with pytest.raises(Refusal) as caught:
        join_custodian(full, "one-more")
    assert caught.value.outcome() == refused(
        "too_many_custodians", ("custodians", CUSTODIANS_MAX), ("allowed", CUSTODIANS_MAX)
    )


# Keys and heights


def inadmissible(world: LifeWorld, *envelopes: bytes) -> Inadmissible:
    with pytest.raises(Inadmissible) as caught:
        world.run(*envelopes)
    return caught.value


def test_a_key_signs_in_its_heights_and_in_no_other() -> None:
    world = district_world()
    key = world.key("m-9").public_key.hex()
    record: Any = world.record("party/m-9")
    begins = record.keys[0].from_height
    ends = world.chain.header.height + 2
    data = {"party": "m-9", "public_key": key}
    last = world.submit("service.delivered", stream_of("m-9"), CUT, "m-9")
    end = world.submit("party.revoke_key", "party/m-9", data, "bank-0")
    assert [outcome.code for outcome in world.run(end, last)] == ["", ""]
    late = world.submit("service.delivered", stream_of("m-9"), CUT, "m-9")
    refusal = inadmissible(world, late)
    assert refusal.rejected.reason is Reason.KEY_NOT_VALID
    assert refusal.rejected.detail == (
        f"key {key} of party m-9 is valid for heights [{begins}, {ends}); this is {ends}"
    )


def test_a_revoked_merchant_and_a_key_that_never_was() -> None:
    world = district_world()
    world.must("party.revoke", "party/m-9", {"party": "m-9"}, "bank-0", "bank-1")
    height = world.chain.header.height + 1
    late = world.submit("service.delivered", stream_of("m-9"), CUT, "m-9")
    assert inadmissible(world, late).rejected.detail == (
        f"party m-9 is revoked from height {height}; this is {height}"
    )
    body = world.body("service.delivered", stream_of("m-8"), CUT, "m-8")
    foreign = world.signed(body, "m-9")
    assert inadmissible(world, foreign).rejected.detail == (
        f"key {world.key('m-9').public_key.hex()} was never a key of party m-8"
    )
    stranger = world.submit("service.delivered", stream_of("m-8"), CUT, "m-77")
    assert inadmissible(world, stranger).rejected.detail == (
        "party m-77 is not registered; an institution of genesis has to register it"
    )


def test_a_revoked_party_is_named_in_no_new_contract() -> None:
    world = district_world()
    world.must("party.revoke", "party/c-1", {"party": "c-1"}, "bank-0", "bank-1")
    data = world.signing() | {"merchant": "m-9"}
    assert world.one("contract.signed", "contract/new", data, "m-9") == refused(
        "unknown_consumer_party", ("consumer_party", "c-1")
    )
    world.must("party.revoke", "party/g-1", {"party": "g-1"}, "bank-0", "bank-1")
    data |= {"consumer_party": "", "custodian": "g-1"}
    assert world.one("contract.signed", "contract/new", data, "m-9") == refused(
        "unknown_custodian", ("custodian", "g-1")
    )


def test_the_hash_of_evidence_needs_a_role_too() -> None:
    """Whoever is not of the contract and no authority attaches nothing."""
    world = district_world()
    world.must("dispute.opened", stream_of("m-9"), SAMPLES["dispute.opened"], "bank-3")
    data = {"hash": HASH, "what": "photo"}
    world.commit(world.registration("c-2", "consumer"))
    assert world.one("evidence.attached", stream_of("m-9"), data, "c-2") == refused(
        "not_entitled", ("signer", "c-2")
    )
