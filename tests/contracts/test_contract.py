"""What single events do: books, freezes, counters, findings, and each refusal whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import msgspec
import pytest

from contracts.audit import audit
from contracts.claims import compute_claim
from contracts.custody import ContractRecord, settle
from contracts.devices import DeviceRecord, count_device
from contracts.events import DeliveredData
from contracts.handling import Refusal
from contracts.prepaid import ConservationError
from law.days import day_of, start_of
from law.fields import BLANK
from ledger.canonical import is_normal
from ledger.stream import decode_stored_stream
from ledger.sum_tree import SumTree, compute_leaf
from ledger.transaction import Outcome, applied, refused
from tests.contracts.life_world import (
    CARD,
    LOCKED,
    PERSONS,
    LifeWorld,
    effects,
    findings,
    hash_of,
    load,
    paid_world,
)
from tests.contracts.samples import SAMPLES
from tests.contracts.world import lone_context

OTHER = "contract/card-2"
CUT = {"debited": 4800, "item": "cut", "units": 1}
FREEZE = SAMPLES["funds.frozen"]
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def audited(world: LifeWorld) -> list[str]:
    return audit(
        [(name, decode_stored_stream(raw).value) for name, raw in world.memory.streams.items()]
    )


def refusal(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


# Signing


def test_a_contract_is_signed_under_published_terms() -> None:
    world = LifeWorld()
    assert world.sign() == applied(
        ("state", "signed"),
        ("template", "hair-card"),
        ("template_version", 1),
        ("industry", "hair_beauty"),
    )
    assert world.merchant.contracts == world.custodian.contracts == 1
    static = world.record(f"signed/{CARD}")
    assert static.terms.hex() == hash_of(world.terms)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"terms": "00" * 32}, refused("unknown_terms", ("terms", "00" * 32))),
        ({"merchant": "c-1"}, refused("unknown_merchant", ("merchant", "c-1"))),
        ({"custodian": "m-2"}, refused("unknown_custodian", ("custodian", "m-2"))),
        ({"consumer_party": "x"}, refused("unknown_consumer_party", ("consumer_party", "x"))),
        (
            {"consumer_party": "m-1"},
            refused("consumer_party_not_distinct", ("consumer_party", "m-1")),
        ),
        ({"merchant": "m-2"}, refused("not_entitled", ("signer", "m-1"))),
    ],
)
def test_what_cannot_be_signed(changes: dict[str, Any], outcome: Any) -> None:
    world = LifeWorld()
    assert world.sign(**changes) == outcome
    assert world.record(CARD) is None
    assert world.record("merchant/m-1") is None


def test_old_terms_stay_executable_when_new_ones_are_published() -> None:
    world = paid_world()
    second = load("terms/hair-card.v2.json")
    world.must("terms.publish", "terms/hair-card", {"document": second}, "m-1")
    world.done("service.delivered", CUT)
    data = world.signing() | {"terms": hash_of(second)}
    outcome = world.one("contract.signed", "contract/card-2", data, "m-1")
    assert effects(outcome)["template_version"] == 2
    data = world.signing()
    outcome = world.one("contract.signed", "contract/card-3", data, "m-1")
    assert effects(outcome)["template_version"] == 1


# Money


def test_money_goes_in_out_and_back_and_the_sums_follow() -> None:
    world = paid_world()
    assert world.event("service.delivered", CUT) == applied(
        ("state", "active"), ("debited", 4800), ("deliveries", 1)
    )
    assert world.event("funds.released", {"amount": 4320}, "bank-0") == applied(
        ("state", "active"), ("locked", 95_680), ("released", 4320)
    )
    assert world.event("interest.accrued", {"amount": 12}, "bank-0") == applied(
        ("state", "active"), ("locked", 95_692), ("interest", 12)
    )
    for record in (world.card, world.merchant, world.custodian):
        assert (record.deposited, record.interest) == (100_000, 12)
        assert (record.locked, record.released, record.refunded) == (95_692, 4320, 0)
    assert audited(world) == []


def test_vouchers_bonus_and_what_the_merchant_took_itself_are_kept_apart() -> None:
    world = paid_world(
        amount=90_000,
        bonus=5_000,
        vouchers=[{"amount": 10_000, "issuer": "fund"}, {"amount": 300, "issuer": "m-1"}],
    )
    card = world.card
    assert (card.paid, card.vouchers, card.bonus, card.deposited) == (
        100_000,
        10_000,
        5_300,
        100_000,
    )
    outcome = world.event("funds.locked", LOCKED | {"custody": "none", "amount": 7}, "m-1")
    assert outcome == applied(("state", "active"), ("paid", 100_007), ("locked", 100_000))
    assert world.card.deposited == 100_000
    assert audited(world) == []


def test_more_than_is_locked_is_refused() -> None:
    world = paid_world()
    assert world.event("funds.released", {"amount": 100_001}, "bank-0") == refused(
        "insufficient_locked", ("locked", 100_000), ("amount", 100_001)
    )
    assert world.card.released == 0


def test_a_release_before_any_delivery_is_found() -> None:
    world = paid_world()
    outcome = world.event("funds.released", {"amount": 10}, "bank-0")
    assert findings(outcome) == ["released_before_delivery"]
    assert world.card.findings == world.merchant.findings == 1


def test_a_release_above_the_delivered_share_is_found() -> None:
    """Ten percent are held back until the end, by the terms: of 48.00 delivered, 43.20 may go."""
    world = paid_world()
    world.done("service.delivered", CUT)
    for amount, expected in ((4320, []), (1, ["released_above_delivered"])):
        assert findings(world.event("funds.released", {"amount": amount}, "bank-0")) == expected
    assert world.card.findings == 1


def test_after_the_end_a_release_leaves_what_is_owed() -> None:
    world = paid_world()
    world.publish_data()
    world.done("service.delivered", CUT)
    world.done("termination.requested", {"cure_until": None}, "c-1")
    world.done("refund.computed", {"as_of": "2026-01-20"}, "bank-0")
    owed = world.card.due_high
    assert owed == 95_200 + 149
    for amount, expected in ((100_000 - owed, []), (1, ["released_what_is_owed"])):
        assert findings(world.event("funds.released", {"amount": amount}, "bank-0")) == expected
    paid = {"amount": owed - 1, "payee": PERSONS["party"], "source": "custody"}
    world.done("refund.paid", paid, "bank-0")
    assert (world.card.locked, world.card.owed) == (0, 1)


@pytest.mark.parametrize("signers", [("m-1",), ("m-1", "c-1")])
@pytest.mark.parametrize("custody", ["held", "ordered"])
def test_that_money_is_in_custody_only_its_keeper_says(
    custody: str, signers: tuple[str, ...]
) -> None:
    world = paid_world()
    role = "merchant" if signers == ("m-1",) else "both"
    account = "acc-1" if custody == "ordered" else None
    data = LOCKED | {"account": account, "custody": custody}
    assert world.event("funds.locked", data, *signers) == refused(
        "custody_not_attested", ("role", role), ("custodian", "bank-0")
    )
    assert world.custodian.locked == 100_000
    assert findings(world.event("funds.locked", data, "bank-0", *signers)) == []


def pass_world(name: str) -> LifeWorld:
    """`CARD` under another template, and 1,000 yuan in custody."""
    world = LifeWorld()
    world.terms = load(f"terms/{name}.json")
    template = world.terms["template"]["id"]
    world.must("terms.publish", f"terms/{template}", {"document": world.terms}, "m-1")
    assert world.sign().code == ""
    world.done("funds.locked", LOCKED, "bank-0")
    return world


def test_a_pass_delivers_by_running_and_not_before_its_first_use() -> None:
    world = pass_world("fitness-year.v1")
    early = world.event("funds.released", {"amount": 10}, "bank-0")
    assert findings(early) == ["released_before_delivery"]
    world.done("card.activated")
    assert findings(world.event("funds.released", {"amount": 10}, "bank-0")) == []


def test_a_pass_from_a_day_delivers_from_that_day() -> None:
    world = pass_world("training-term.v1")  # from 2025-09-01 in China
    for occurred_at, expected in (
        (1_756_655_999_999, ["released_before_delivery"]),
        (1_756_656_000_000, []),
    ):
        data = {"amount": 10, "occurred_at": occurred_at}
        assert findings(world.event("funds.released", data, "bank-0")) == expected


def test_nothing_paid_and_too_much_paid() -> None:
    world = paid_world()
    assert world.event("funds.locked", LOCKED | {"amount": 0}, "bank-0") == refused(
        "nothing_paid", ("amount", 0)
    )
    context = lone_context(world, CARD, None, "bank-0")
    beyond = ContractRecord(1, "m-1", "bank-0", "", paid=2**53)
    found = refusal(lambda: settle(context, None, beyond))
    assert found.outcome() == refused("amount_too_large", ("paid", 2**53), ("allowed", 2**53 - 1))


def test_a_book_that_does_not_conserve_is_our_mistake() -> None:
    world = paid_world()
    context = lone_context(world, CARD, None, "bank-0")
    wrong = ContractRecord(1, "m-1", "bank-0", "", deposited=5, locked=4)
    with pytest.raises(ConservationError) as caught:
        settle(context, None, wrong)
    assert str(caught.value) == (
        f"{CARD}: locked 4 + released 0 + refunded 0 is not deposited 5 + interest 0"
    )


def test_the_auditor_sees_what_the_sums_hide() -> None:
    world = paid_world()
    rows = {name: decode_stored_stream(raw).value for name, raw in world.memory.streams.items()}
    value = msgspec.msgpack.decode(rows[CARD])
    value[2][13] -= 1
    rows[CARD] = msgspec.msgpack.encode(value)
    name = compute_claim(bytes.fromhex(str(PERSONS["party"])), CARD)
    totals = [
        SumTree([compute_leaf(name, locked, 0)]).total.hash.hex() for locked in (99_999, 100_000)
    ]
    assert audit(rows.items()) == [
        f"{CARD}: locked 99999 + released 0 + refunded 0 is not deposited 100000 + interest 0",
        f"merchant/m-1: its claims have total {totals[0]}, and it says {totals[1]}",
        "merchant/m-1: locked is 100000, and its contracts add up to 99999",
        "custodian/bank-0: locked is 100000, and its contracts add up to 99999",
    ]
    value[2][13], value[2][14] = 100_001, -1
    rows[CARD] = msgspec.msgpack.encode(value)
    assert f"{CARD}: released is -1, below 0" in audit(rows.items())
    del rows["merchant/m-1"]
    assert "merchant/m-1: there is no sum of its contracts" in audit(rows.items())


# Who attests


def test_a_stranger_another_merchant_and_the_wrong_side() -> None:
    world = paid_world()
    assert world.event("service.delivered", CUT, "m-2") == refused(
        "not_entitled", ("signer", "m-2")
    )
    assert world.event("service.delivered", CUT, "c-1") == refused(
        "not_attested", ("signers", "c-1"), ("needed", "merchant both")
    )
    assert world.event("funds.released", {"amount": 1}, "m-1") == refused(
        "not_attested", ("signers", "m-1"), ("needed", "custodian")
    )
    assert world.event("termination.agreed", {}, "m-1") == refused(
        "not_attested", ("signers", "m-1"), ("needed", "both")
    )


def test_a_gateway_acts_for_the_bank_that_registered_it_and_for_no_other() -> None:
    world = paid_world()
    assert world.event("interest.accrued", {"amount": 1}, "g-1").code == ""
    world.commit(world.registration("g-2", "gateway", by="bank-4"))
    assert world.event("interest.accrued", {"amount": 1}, "g-2") == refused(
        "not_entitled", ("signer", "g-2")
    )


def test_a_district_acts_for_its_own_merchants_only() -> None:
    world = paid_world()
    data = SAMPLES["dispute.opened"]
    assert world.event("dispute.opened", data, "bank-3") == refused(
        "wrong_district", ("signer", "bank-3"), ("district", "nanshan"), ("expected", "")
    )


# Deliveries: confirmed, silent, objected to, taken back


def test_answers_are_facts_of_their_own_side() -> None:
    world = paid_world()
    delivered = world.done("service.delivered", CUT)
    for answer, signer in (
        ("confirmed", "c-1"),
        ("silence", "bank-0"),
        ("objected", "c-1"),
        ("reversed", "m-1"),
    ):
        outcome = world.event("delivery.answered", {"answer": answer, "of": delivered}, signer)
        assert effects(outcome)["answer"] == answer
    assert world.event(
        "delivery.answered", {"answer": "objected", "of": delivered}, "m-1"
    ) == refused(
        "not_the_side", ("answer", "objected"), ("role", "merchant"), ("expected", "consumer")
    )


def test_silence_is_found_and_nobody_states_his_own() -> None:
    world = paid_world()
    delivered = world.done("service.delivered", CUT)
    data = {"answer": "silence", "of": delivered}
    assert world.event("delivery.answered", data, "m-1") == applied(
        ("state", "active"),
        ("role", "merchant"),
        ("answer", "silence"),
        ("finding", "silence_stated"),
    )
    for signers, role in ((("c-1",), "consumer"), (("c-1", "m-1"), "both")):
        assert world.event("delivery.answered", data, *signers) == refused(
            "not_the_side", ("answer", "silence"), ("role", role), ("expected", "merchant")
        )


def test_an_answer_speaks_of_a_delivery_of_this_contract() -> None:
    world = paid_world()
    paid = world.done("funds.locked", LOCKED, "bank-0")
    assert world.event("delivery.answered", {"answer": "confirmed", "of": paid}, "c-1") == refused(
        "wrong_entry", ("of", paid), ("kind", "funds.locked"), ("expected", "service.delivered")
    )
    assert world.event(
        "delivery.answered", {"answer": "confirmed", "of": "00" * 32}, "c-1"
    ) == refused("unknown_entry", ("of", "00" * 32))
    world.must("contract.signed", "contract/card-2", world.signing(), "m-1")
    world.must("funds.locked", "contract/card-2", LOCKED, "bank-0")
    other = world.must("service.delivered", "contract/card-2", CUT, "m-1")
    assert world.event("delivery.answered", {"answer": "confirmed", "of": other}, "c-1") == refused(
        "unknown_entry", ("of", other)
    )


def test_an_answer_in_the_same_block_finds_its_delivery() -> None:
    from ledger.transaction import compute_tx_id, decode_transaction

    world = paid_world()
    delivery = world.submit("service.delivered", CARD, CUT, "m-1")
    tx_id = compute_tx_id(decode_transaction(delivery).envelope.body).hex()
    answer = world.submit("delivery.answered", CARD, {"answer": "confirmed", "of": tx_id}, "c-1")
    strange = world.submit("delivery.answered", CARD, {"answer": "confirmed", "of": tx_id}, "m-2")
    outcomes = world.run(delivery, strange, answer)
    assert [outcome.refused for outcome in outcomes] == [False, True, False]


def test_nobody_says_that_his_own_notice_arrived() -> None:
    world = paid_world()
    notice = world.done("termination.requested", {"cure_until": None}, "c-1")
    assert world.event("notice.arrived", {"of": notice}, "c-1") == refused(
        "own_notice", ("of", notice), ("role", "consumer")
    )
    assert world.event("notice.arrived", {"of": notice}, "m-1").code == ""


# Device counters


def test_a_counter_used_twice_is_refused_and_a_gap_is_found() -> None:
    world = paid_world()
    at_till: dict[str, Any] = CUT | {"device": "till-1"}
    assert findings(world.event("service.delivered", at_till | {"counter": 5})) == []
    assert world.event("service.delivered", at_till | {"counter": 5}) == refused(
        "counter_repeated", ("device", "till-1"), ("counter", 5)
    )
    outcome = world.event("service.delivered", at_till | {"counter": 8})
    assert findings(outcome) == ["counter_gap"]
    assert effects(outcome)["missing"] == 2
    assert findings(world.event("service.delivered", at_till | {"counter": 6})) == []
    assert world.event("service.delivered", at_till | {"counter": 6}).code == "counter_repeated"
    assert findings(world.event("service.delivered", at_till | {"counter": 100})) == ["counter_gap"]
    outcome = world.event("service.delivered", at_till | {"counter": 7})
    assert findings(outcome) == ["counter_below_window"]
    assert world.record("device/m-1/till-1") == DeviceRecord(1, 100, 1)
    assert world.card.deliveries == 5


def test_a_tills_numbers_run_through_all_contracts_of_its_merchant() -> None:
    world = paid_world()
    world.must("contract.signed", OTHER, world.signing(), "m-1", "c-1")
    world.must("funds.locked", OTHER, LOCKED, "bank-0")
    at_till: dict[str, Any] = CUT | {"device": "till-1"}
    for counter, stream in ((1, CARD), (2, OTHER), (3, CARD)):
        outcome = world.one("service.delivered", stream, at_till | {"counter": counter}, "m-1")
        assert (outcome.code, findings(outcome)) == ("", [])
    again = world.one("service.delivered", OTHER, at_till | {"counter": 3}, "m-1")
    assert again == refused("counter_repeated", ("device", "till-1"), ("counter", 3))
    assert world.record("device/m-1/till-1") == DeviceRecord(1, 3, 0b111)


def test_a_number_without_a_device_counts_within_its_contract() -> None:
    world = paid_world()
    world.must("contract.signed", OTHER, world.signing(), "m-1", "c-1")
    world.must("funds.locked", OTHER, LOCKED, "bank-0")
    for stream in (CARD, OTHER):
        first = world.one("service.delivered", stream, CUT | {"counter": 7}, "m-1")
        assert first.code == ""
        again = world.one("service.delivered", stream, CUT | {"counter": 7}, "m-1")
        assert again == refused("counter_repeated", ("device", ""), ("counter", 7))


def test_the_window_against_a_plain_reading() -> None:
    """Every order of a few numbers, against a set of all that were seen."""
    for order in permutations([1, 2, 3, 66, 67, 140]):
        context: Any = Rows()
        seen: set[int] = set()
        for counter in (*order, *order):
            data = DeliveredData(counter=counter, device="d", debited=0, item="cut", units=1)
            highest = max(seen, default=0)
            below = bool(seen) and counter <= highest - 64
            if counter in seen and not below:
                found_twice = refusal(lambda c=context, d=data: count_device(c, "m", d))
                assert found_twice.code == "counter_repeated"
                continue
            found = count_device(context, "m", data)
            assert (("finding", "counter_below_window") in found) == below
            seen.add(counter)


class Rows:
    """Rows that a transaction reads and writes, and nothing else of a context."""

    stream = CARD

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def read(self, name: str) -> Any:
        return self.rows.get(name)

    def write(self, name: str, record: Any) -> None:
        self.rows[name] = record


# Findings that come with the event


def test_a_payment_that_the_merchant_alone_dates_to_an_earlier_day_is_found() -> None:
    """It would shorten the seven days of art. 14; custodian or both sides may say so."""
    world = paid_world()
    paid = LOCKED | {"custody": "none", "amount": 7}
    days_ago = world.chain.header.time_ms - 3 * 86_400_000
    late = paid | {"occurred_at": days_ago}
    assert findings(world.event("funds.locked", late, "m-1")) == ["payment_backdated"]
    for signers in (("bank-0",), ("c-1", "m-1")):
        assert findings(world.event("funds.locked", late, *signers)) == []
    today = paid | {"occurred_at": world.chain.header.time_ms}
    for same_day in (paid, today):
        assert findings(world.event("funds.locked", same_day, "m-1")) == []


def test_a_contract_that_the_merchant_alone_dates_to_an_earlier_day_is_found() -> None:
    """The day of formation decides the rate (art. 16), and which rules held."""
    world = LifeWorld()
    days_ago = world.chain.header.time_ms - 3 * DAY_MS

    def sign(name: str, signers: Sequence[str], occurred_at: int) -> Outcome:
        data = world.signing() | {"occurred_at": occurred_at}
        return world.one("contract.signed", f"contract/{name}", data, *signers)

    assert findings(sign("alone", ["m-1"], days_ago)) == ["signing_backdated"]
    assert findings(sign("both", ["m-1", "c-1"], days_ago)) == []
    assert findings(sign("now", ["m-1"], 0)) == []
    assert findings(sign("today", ["m-1"], world.chain.header.time_ms)) == []
    ahead = world.chain.header.time_ms + DAY_MS
    assert findings(sign("ahead", ["m-1", "c-1"], ahead)) == ["occurred_in_the_future"]
    alone = world.record("contract/alone")
    assert isinstance(alone, ContractRecord)
    assert alone.findings == 1
    assert world.merchant.findings == 2


@pytest.mark.parametrize(
    ("block", "ago_ms", "is_found"),
    [
        ("00:00:05", 10_000, False),
        ("00:59:59", HOUR_MS, False),
        ("00:59:59", HOUR_MS + 1, True),
        ("12:00:00", HOUR_MS, False),
        ("12:00:00", 12 * HOUR_MS, False),
        ("12:00:00", 12 * HOUR_MS + 1, True),
    ],
)
def test_what_happens_just_before_midnight_may_be_recorded_just_after(
    block: str, ago_ms: int, is_found: bool
) -> None:
    """An honest merchant's payment at 23:59:55 is in a block of the next day."""
    world = paid_world()
    hours, minutes, seconds = map(int, block.split(":"))
    at = start_of(day_of(world.next_ms) + 1) + ((hours * 60 + minutes) * 60 + seconds) * 1_000
    world.step_ms = at - world.chain.header.time_ms
    paid = LOCKED | {"custody": "none", "occurred_at": at - ago_ms}
    found = findings(world.event("funds.locked", paid, "m-1"))
    assert found == (["payment_backdated"] if is_found else [])


def test_a_first_use_that_the_merchant_alone_dates_to_an_earlier_day_is_found() -> None:
    """Where the term of a pass runs from it: each day is money (art. 22)."""
    world = paid_world()
    early = {"occurred_at": world.chain.header.time_ms - 3 * DAY_MS}
    assert findings(world.event("card.activated", early, "m-1")) == []  # a card is no pass
    world = pass_world("fitness-year.v1")
    for data, signers, found in (
        (early, ("m-1",), ["activation_backdated"]),
        (early, ("m-1", "c-1"), []),
        ({}, ("m-1",), []),
        ({"occurred_at": world.chain.header.time_ms}, ("m-1",), []),
    ):
        assert findings(world.event("card.activated", data, *signers)) == found


def test_what_breaks_a_rule_is_done_and_found() -> None:
    world = paid_world()
    late = world.chain.header.time_ms
    world.done("service.delivered", CUT)
    outcome = world.event("price.changed", {"item": "cut", "occurred_at": late, "price": 9000})
    assert findings(outcome) == ["price_change_backdated"]
    assert findings(world.event("balance.forfeited", {"amount": 5})) == ["balance_forfeited"]
    world.done("card.lost", {}, "c-1")
    assert findings(world.event("service.delivered", CUT)) == ["debit_after_loss"]
    world.done("termination.requested", {"cure_until": None}, "c-1")
    outcome = world.event("service.delivered", CUT | {"debited": 99_000})
    assert findings(outcome) == [
        "debit_after_loss", "delivered_after_the_end", "delivered_beyond_payment",
    ]  # fmt: skip
    outcome = world.event("service.delivered", CUT | {"occurred_at": 2**42})
    assert findings(outcome)[-1] == "occurred_in_the_future"
    assert world.card.last_delivery_ms == world.chain.header.time_ms
    assert world.card.findings == world.merchant.findings == 10
    assert world.card.locked == 100_000


# Freezes


def test_nobody_lifts_what_he_could_not_have_ordered() -> None:
    """A court's freeze is not a regulator's to lift, and no regulator lifts one alone."""
    world = paid_world()
    courts = {"of": world.done("funds.frozen", FREEZE, "court-1")}
    regulators = {"of": world.done("funds.frozen", FREEZE, "bank-1", "bank-2")}
    for signers in (("bank-1",), ("bank-1", "bank-2")):
        assert world.event("funds.unfrozen", courts, *signers) == refused(
            "freeze_of_another", ("role", "regulator"), ("ordered_by", "court")
        )
    assert world.event("funds.unfrozen", regulators, "bank-1") == refused(
        "not_enough_approvers", ("approvers", 1), ("needed", 2)
    )
    assert world.event("funds.unfrozen", regulators, "bank-1", "bank-2").code == ""
    assert world.event("funds.unfrozen", courts, "court-1").code == ""
    again = {"of": world.done("funds.frozen", FREEZE, "bank-1", "bank-2")}
    assert world.event("funds.unfrozen", again, "court-1").code == ""


def test_a_freeze_holds_lapses_and_is_lifted() -> None:
    world = paid_world()
    until = world.next_ms + 5_000
    outcome = world.event("funds.frozen", FREEZE | {"amount": 99_000, "until": until}, "court-1")
    assert outcome == applied(
        ("state", "active"), ("frozen", 99_000), ("frozen_now", 99_000), ("locked", 100_000)
    )
    assert world.event("funds.released", {"amount": 1001}, "bank-0") == refused(
        "frozen", ("locked", 100_000), ("frozen", 99_000), ("amount", 1001)
    )
    while world.next_ms < until:
        world.commit()
    assert world.event("funds.released", {"amount": 1001}, "bank-0").code == ""
    second = world.done("funds.frozen", FREEZE | {"amount": 0, "share_ppm": 500_000}, "court-1")
    assert len(world.card.freezes) == 1
    assert world.card.freezes[0].amount == 49_499
    assert world.event("funds.unfrozen", {"of": second}, "court-1") == applied(
        ("state", "active"), ("frozen_now", 0), ("locked", 98_999)
    )
    assert world.event("funds.unfrozen", {"of": second}, "court-1") == refused(
        "no_such_freeze", ("of", second)
    )


def test_a_freeze_may_begin_later() -> None:
    world = paid_world()
    starts = world.next_ms + 3_000
    world.done("funds.frozen", FREEZE | {"amount": 100_000, "starts_at": starts}, "court-1")
    assert world.event("funds.released", {"amount": 1}, "bank-0").code == ""
    while world.next_ms < starts:
        world.commit()
    assert world.event("funds.released", {"amount": 1}, "bank-0").code == "frozen"


def test_blank_text_is_blank_in_every_interpreter() -> None:
    assert len(set(BLANK)) == len(BLANK) == 29
    assert not BLANK.strip()
    world = paid_world()
    for blank in filter(is_normal, BLANK):
        outcome = world.event("funds.frozen", FREEZE | {"document": f" {blank} "}, "court-1")
        assert outcome.code == "no_legal_basis", ascii(blank)
    later = "\u180e"  # Unicode took it for a space before 6.3
    assert world.event("funds.frozen", FREEZE | {"document": later}, "court-1").code == ""


def test_a_freeze_without_ground_or_approvers_is_refused_and_recorded() -> None:
    world = paid_world()
    for member in ("legal_basis", "document"):
        outcome = world.event("funds.frozen", FREEZE | {member: " "}, "court-1")
        assert outcome == refused(
            "no_legal_basis",
            ("authority", "市场监管局"),
            ("document", " " if member == "document" else "2026-17"),
        )
    assert world.event("funds.frozen", FREEZE, "bank-1") == refused(
        "not_enough_approvers", ("approvers", 1), ("needed", 2)
    )
    assert world.event("funds.frozen", FREEZE, "bank-1", "bank-2").code == ""
    assert world.event("funds.frozen", FREEZE, "m-1").code == "not_attested"
    assert world.event("funds.frozen", FREEZE | {"share_ppm": 1}, "court-1") == refused(
        "amount_or_share", ("amount", 100), ("share_ppm", 1)
    )
    now = world.next_ms
    assert world.event("funds.frozen", FREEZE | {"until": 5}, "court-1") == refused(
        "freeze_over", ("until", 5), ("time_ms", now)
    )
    for _ in range(15):
        world.done("funds.frozen", FREEZE, "court-1")
    assert world.event("funds.frozen", FREEZE, "court-1") == refused(
        "too_many_freezes", ("freezes", 16), ("allowed", 16)
    )


# Merchants


def test_a_declared_risk_suspends_intake_into_custody() -> None:
    world = paid_world()
    stream = "merchant/m-1"
    assert world.one("risk.declared", stream, {}, "bank-1").effects == [("state", "at_risk")]
    assert world.event("funds.locked", LOCKED, "bank-0") == refused(
        "intake_suspended", ("merchant", "m-1"), ("state", "at_risk")
    )
    outcome = world.event("funds.locked", LOCKED | {"custody": "none"}, "m-1")
    assert findings(outcome) == ["intake_after_risk"]
    assert world.one("risk.lifted", stream, {}, "m-1") == refused(
        "not_attested", ("signers", "m-1"), ("needed", "regulator district")
    )
    assert world.one("risk.lifted", stream, {}, "bank-2").code == ""
    assert world.event("funds.locked", LOCKED, "bank-0").code == ""
    assert world.merchant.deposited == 200_000
    assert world.one("risk.declared", "merchant/nobody", {}, "bank-1") == refused(
        "unknown_merchant", ("merchant", "nobody")
    )
    assert world.one("risk.declared", stream, {}, "c-1") == refused(
        "not_entitled", ("signer", "c-1")
    )


def test_no_person_stands_in_the_state_but_as_a_commitment() -> None:
    world = paid_world()
    assert PERSONS["party"] == "ab" * 32
    stored = b"".join(world.memory.streams.values())
    assert bytes.fromhex(PERSONS["party"]) in stored


# What was before the chain, and what stands beside a merchant


def test_a_statement_says_how_it_came_about_and_what_it_bears_out() -> None:
    """人民法院在线诉讼规则 art. 18: source, generation, capture, and corroborating records."""
    world = paid_world()
    delivery = world.done("service.delivered", CUT)
    provenance = {
        "captured_at": 2,
        "corroborates": [delivery],
        "device": "camera-1",
        "generated_at": 1,
        "method": "upload",
        "source": "door-system",
        "submitted_at": 3,
    }
    world.done("dispute.opened", SAMPLES["dispute.opened"], "c-1")
    attached = SAMPLES["evidence.attached"] | {"provenance": provenance}
    assert world.event("evidence.attached", attached).code == ""
    wrong = attached | {"provenance": provenance | {"corroborates": [delivery[:-1]]}}
    assert world.event("evidence.attached", wrong) == refused(
        "malformed_data", ("kind", "evidence.attached")
    )


def test_a_loan_to_the_merchant_is_bound_to_the_merchant() -> None:
    world = paid_world()
    loan = SAMPLES["financing.linked"]
    for signers in (("m-1",), ("bank-0",), ("m-1", "bank-0")):
        outcome = world.one("financing.linked", "merchant/m-1", loan, *signers)
        assert outcome == applied(("state", "trading"))
    assert world.one("financing.linked", "merchant/m-1", loan, "m-2") == refused(
        "not_entitled", ("signer", "m-2")
    )
    assert world.one("financing.linked", CARD, loan, "m-1") == refused(
        "unknown_merchant", ("merchant", CARD)
    )
    world.done("termination.requested", {"cure_until": None}, "c-1")
    world.publish_data()
    assert world.event("refund.computed", {"as_of": "2026-01-20"}, "c-1").code == ""
