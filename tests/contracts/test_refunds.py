"""What is owed, computed on the chain: the outcome is what the law derives from the entries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import handling
from contracts.custody import ISSUERS_MAX
from contracts.refunds import AHEAD_DAYS_MAX
from law.canonical import compute_hash, encode
from law.days import day_of, parse_day, show_day
from law.entries import StreamEntry, to_facts
from law.facts import read_facts
from law.published import read_published
from law.refund import derive
from law.terms import read_terms
from ledger.block import TransactionEntry, decode_entry
from ledger.transaction import compute_tx_id, refused
from tests.contracts.life_world import (
    CARD,
    LOCKED,
    PERSONS,
    LifeWorld,
    effects,
    findings,
    load,
    paid_world,
)
from tests.contracts.test_contract import CUT, audited

ROLE = {"m-1": "merchant", "c-1": "consumer", "bank-0": "custodian", "court-1": "court"}
AS_OF = "2026-01-20"


def entries_of(world: LifeWorld, stream: str) -> list[StreamEntry]:
    """The stream read from the leaves alone, as one who holds an evidence file would."""
    found = []
    for position in world.indices_of(stream):
        entry = decode_entry(world.leaves[position])
        assert isinstance(entry, TransactionEntry)
        body = json.loads(entry.envelope.body)
        if entry.outcome.refused:
            continue
        time_ms = next(h.time_ms for h in world.headers if h.height == entry.height)
        found.append(
            StreamEntry(
                position,
                compute_tx_id(entry.envelope.body).hex(),
                time_ms,
                body["kind"],
                body["data"],
                body["signers"],
                [ROLE.get(signer, "regulator") for signer in body["signers"]],
                dict(entry.outcome.effects),
            )
        )
    return found


def derive_anew(world: LifeWorld, count: int | None = None) -> Any:
    """The derivation from leaves, terms and pages, without the chain's state."""
    entries = [*entries_of(world, CARD)[:count], *entries_of(world, "merchant/m-1")]
    pages = []
    for series in ("lpr_1y", "deposit_1y", "rest_days"):
        for entry in entries_of(world, f"published/{series}"):
            pages.append(entry.data["document"] | {"position": entry.position})
    facts = read_facts(to_facts(entries))
    day = parse_day(AS_OF)
    assert day is not None
    return derive(read_terms(world.terms), facts, read_published(pages), day)


def busy_world() -> LifeWorld:
    world = paid_world()
    world.publish_data()
    world.done("service.delivered", CUT)
    disputed = world.done("service.delivered", CUT)
    world.done("delivery.answered", {"answer": "objected", "of": disputed}, "c-1")
    world.done("funds.frozen", {
        "amount": 0, "share_ppm": 10_000, "authority": "court", "document": "1",
        "legal_basis": "civil procedure law art. 106", "until": None,
    }, "court-1")  # fmt: skip
    notice = world.done("termination.requested", {"cure_until": None}, "c-1")
    world.done("notice.arrived", {"of": notice}, "m-1")
    world.must("risk.declared", "merchant/m-1", {}, "bank-1")
    return world


def test_the_outcome_is_what_anybody_derives_from_the_entries() -> None:
    world = busy_world()
    derivation = derive_anew(world)
    outcome = world.event("refund.computed", {"as_of": AS_OF}, "c-1")
    said = effects(outcome)
    assert said["derivation"] == compute_hash(derivation.encode())
    assert said["results"] == len(derivation.results) > 1
    assert said["facts"] == 9
    sums = [
        (result.figures.principal or 0) + (interest.fen or 0)
        for result in derivation.results
        for interest in result.figures.interest
    ]
    assert said["due_low"] == min(sums) == world.card.due_low
    assert said["due_high"] == max(sums) == world.card.due_high
    assert said["owed"] == said["due_high"] == world.merchant.owed
    assert audited(world) == []


def test_entries_of_the_same_block_count() -> None:
    world = busy_world()
    computed = {"as_of": AS_OF}
    outcomes = world.run(
        world.submit("cause.stated", CARD, {"cause": "merchant", "standing": "finding"}, "court-1"),
        world.submit("cause.stated", CARD, {"cause": "consumer", "standing": "finding"}, "m-2"),
        world.submit("contract.signed", "contract/card-2", world.signing(), "m-1", "c-1"),
        world.submit("refund.computed", CARD, computed, "c-1"),
    )
    assert [outcome.refused for outcome in outcomes] == [False, True, False, False], (
        "a refused one does not, and another contract's does not"
    )
    assert effects(outcomes[3])["derivation"] == compute_hash(derive_anew(world, -1).encode())


def test_a_refund_is_computed_first_paid_once_and_never_above_what_is_due() -> None:
    world = busy_world()
    pay = {"amount": 100, "payee": "ab" * 32, "source": "custody"}
    assert world.event("refund.paid", pay, "bank-0") == refused("not_computed", ("stream", CARD))
    world.done("refund.computed", {"as_of": AS_OF}, "bank-0")
    due = world.card.due_high
    assert world.event("refund.paid", pay | {"amount": due + 1}, "bank-0") == refused(
        "refund_above_due", ("due", due), ("returned", 0), ("amount", due + 1)
    )
    assert world.event("refund.paid", pay, "m-1").effects == [
        ("state", "ending"), ("role", "merchant"), ("finding", "claimed_only"),
    ]  # fmt: skip
    assert world.event("refund.paid", pay | {"amount": 90_000}, "bank-0").code == ""
    repaid = world.event("refund.paid", pay | {"source": "merchant"}, "c-1")
    assert effects(repaid)["repaid"] == 100
    rest = due - 90_100
    assert world.event("refund.paid", pay | {"amount": rest + 1}, "bank-0") == refused(
        "refund_above_due", ("due", due), ("returned", 90_100), ("amount", rest + 1)
    )
    assert world.merchant.owed == rest
    assert world.event("contract.closed", {}, "bank-0") == refused(
        "still_locked", ("locked", 10_000)
    )
    assert audited(world) == []


@pytest.mark.parametrize("custodian", ["bank-0", "g-1"])
def test_what_an_account_bears_is_said_by_whoever_keeps_it(custodian: str) -> None:
    """Any institution could say it first, keep the custodian from it, and so set the interest."""
    world = LifeWorld()
    assert not world.sign(custodian=custodian).refused
    world.done("funds.locked", LOCKED | {"account": "acc-1", "custody": "ordered"}, custodian)
    world.publish_data()
    notice = world.done("termination.requested", {"cure_until": None}, "c-1")
    world.done("notice.arrived", {"of": notice}, "m-1")

    def compute() -> dict[str, int | str]:
        return effects(world.event("refund.computed", {"as_of": AS_OF}, "c-1"))

    def say(institution: str) -> None:
        page = {
            "format": "evidence-ledger/published",
            "points": [{"from": "2025-01-01", "ppm": 400_000}],
            "series": "account/acc-1",
            "source": "what it says",
            "version": 1,
        }
        stream = f"published/account.{institution}.acc-1"
        world.must("data.publish", stream, {"document": page}, institution)

    unsaid = compute()
    say("bank-4")
    assert compute() == unsaid
    say("bank-0")  # the gateway's bank
    said = compute()
    assert said["basis"] != unsaid["basis"]
    assert said["derivation"] != unsaid["derivation"]


def test_what_cannot_be_computed_is_said() -> None:
    """Asked nine days after payment: in time or not by rest days that nobody published."""
    world = LifeWorld()
    paid_at = world.chain.header.time_ms - 9 * 86_400_000
    assert world.sign().code == ""
    world.done("funds.locked", LOCKED | {"occurred_at": paid_at}, "bank-0")
    assert world.event("refund.computed", {"as_of": "2026-02-31"}, "bank-0") == refused(
        "no_such_day", ("member", "as_of"), ("day", "2026-02-31")
    )
    world.done("cooling_off.requested", {}, "c-1")
    outcome = world.event("refund.computed", {"as_of": AS_OF}, "bank-0")
    assert outcome.code == "not_computable"
    assert dict(outcome.effects)["why"] == "missing_data"
    assert str(dict(outcome.effects)["detail"]).startswith(
        "the rest days of 2025 are not published"
    )


def test_a_block_reads_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy_world()
    monkeypatch.setattr(handling, "READS_MAX", 15)
    one = world.submit("refund.computed", CARD, {"as_of": AS_OF}, "c-1")
    two = world.submit("refund.computed", CARD, {"as_of": AS_OF}, "bank-0")
    outcomes = world.run(one, two)
    assert outcomes[0].code == ""
    assert outcomes[1] == refused("too_much_to_read", ("stream", CARD), ("allowed", 15))
    assert world.event("refund.computed", {"as_of": AS_OF}, "bank-0").code == ""


def test_computations_of_short_records_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes as long as fifty reads, however little it reads."""
    world = busy_world()
    asked = [
        world.submit("refund.computed", CARD, {"as_of": AS_OF}, signer)
        for signer in ("c-1", "bank-0", "c-1")
    ]
    monkeypatch.setattr(handling, "READS_MAX", 2 * (50 + 11))
    codes = [outcome.code for outcome in world.run(*asked)]
    assert codes == ["", "", "too_much_to_read"]


@pytest.mark.parametrize(
    ("reads", "stream"),
    [
        (4, "rules/consumer-regulation-22"),
        (9, CARD),
        (9 + 50 + 1, ""),
    ],
)
def test_rule_packs_count_among_what_a_block_reads(
    monkeypatch: pytest.MonkeyPatch, reads: int, stream: str
) -> None:
    """By their bytes, and by how many facts their rules look at: 32 names of 256 versions each, all
    of the largest, would keep every node busy for a minute."""
    world = paid_world()
    rules = load("rules/consumer-regulation-22.v1.json") | {"publisher": "bank-1"}
    world.must("rules.publish", "rules/consumer-regulation-22", {"document": rules}, "bank-1")
    monkeypatch.setattr(handling, "READS_MAX", reads)
    monkeypatch.setattr("contracts.refunds.LOOKS_PER_READ", 8)
    wanted = {"as_of": AS_OF, "packs": ["consumer-regulation-22"]}
    outcome = world.event("findings.computed", wanted, "bank-4")
    if stream:
        assert outcome == refused("too_much_to_read", ("stream", stream), ("allowed", reads))
    else:
        assert outcome.code == ""


def test_rule_packs_find_and_block_nothing() -> None:
    world = paid_world()
    world.done("price.changed", {"item": "cut", "price": 9000})
    rules = load("rules/consumer-regulation-22.v1.json") | {"publisher": "bank-1"}
    world.must("rules.publish", "rules/consumer-regulation-22", {"document": rules}, "bank-1")
    wanted = {"as_of": AS_OF, "packs": ["consumer-regulation-22"]}
    outcome = world.event("findings.computed", wanted, "bank-4")
    rules_named = [value for name, value in outcome.effects if name == "rule"]
    assert "consumer-regulation-22@1/rise" in rules_named
    assert effects(outcome)["count"] == len(rules_named)
    assert world.event("findings.computed", wanted | {"packs": ["nothing"]}, "bank-4") == refused(
        "unknown_rules", ("rules", "nothing")
    )
    assert world.event("findings.computed", wanted | {"as_of": "2026-13-01"}, "bank-4").code == (
        "no_such_day"
    )


def test_what_the_merchant_as_a_whole_keeps_in_custody_is_looked_at_with_its_contracts() -> None:
    world = paid_world()
    rules = load("rules/single-purpose-card.v1.json") | {"publisher": "bank-1"}
    world.must("rules.publish", "rules/single-purpose-card", {"document": rules}, "bank-1")
    report = {
        "balance": 1_000_000,
        "custody": 199_999,
        "issuer_class": "scale",
        "quarter_end": "2025-12-31",
    }
    world.must("balance.reported", "merchant/m-1", report, "m-1")
    wanted = {"as_of": AS_OF, "packs": ["single-purpose-card"]}
    outcome = world.event("findings.computed", wanted, "bank-1")
    assert ("rule", "single-purpose-card@1/custody") in outcome.effects


def test_no_payee_is_paid_out_of_anothers_share() -> None:
    """It once took an issuer's name for the whole refund, and left the consumer nothing."""
    world = LifeWorld()
    assert world.sign().code == ""
    voucher = {"amount": 30_000, "issuer": "city"}
    world.done("funds.locked", LOCKED | {"amount": 70_000, "vouchers": [voucher]}, "bank-0")
    world.publish_data()
    world.done("service.delivered", CUT | {"debited": 20_000, "units": 5}, "m-1")
    world.done("termination.agreed", {}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    party, due = PERSONS["party"], world.card.due_high
    consumer, (city,) = world.card.due_consumer, world.card.issuers
    assert city.due < 30_000
    assert due - city.due <= consumer < 70_000

    def pay(payee: str, amount: int) -> Any:
        data = {"amount": amount, "payee": payee, "source": "custody"}
        return world.event("refund.paid", data, "bank-0")

    assert pay("city", city.due + 1) == refused(
        "share_above_due",
        ("payee", "city"),
        ("due", city.due),
        ("returned", 0),
        ("amount", city.due + 1),
    )
    assert pay(party, consumer + 1) == refused(
        "share_above_due",
        ("payee", party),
        ("due", consumer),
        ("returned", 0),
        ("amount", consumer + 1),
    )
    assert pay("city", 100).code == ""
    world.done("refund.computed", {"as_of": AS_OF}, "bank-0")
    assert [share.returned for share in world.card.issuers] == [100]
    assert pay("city", city.due - 99) == refused(
        "share_above_due",
        ("payee", "city"),
        ("due", city.due),
        ("returned", 100),
        ("amount", city.due - 99),
    )
    assert pay("city", city.due - 100).code == ""
    assert pay(party, due - city.due).code == ""
    assert pay(party, 1) == refused(
        "refund_above_due", ("due", due), ("returned", due), ("amount", 1)
    )
    assert audited(world) == []


def test_an_issuer_that_is_the_consumer_is_paid_both_shares() -> None:
    """A voucher in the consumer's own name of one fen once left the consumer that fen alone."""
    world = LifeWorld()
    assert world.sign().code == ""
    party = PERSONS["party"]
    vouchers = [{"amount": 1, "issuer": party}, {"amount": 10_000, "issuer": "city"}]
    world.done("funds.locked", LOCKED | {"amount": 89_999, "vouchers": vouchers}, "bank-0")
    world.publish_data()
    world.done("termination.agreed", {}, "m-1", "c-1")
    pay = {"amount": 90_000, "payee": party, "source": "custody"}
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    assert world.card.payees == [party, "city"]
    assert [(share.issuer, share.due) for share in world.card.issuers] == [
        (party, -1),
        ("city", 10_000),
    ]
    world.done("refund.paid", pay, "bank-0")
    more = world.card.due_consumer - 90_000 + 1
    assert world.event("refund.paid", pay | {"amount": more}, "bank-0") == refused(
        "share_above_due",
        ("payee", party),
        ("due", world.card.due_consumer),
        ("returned", 90_000),
        ("amount", more),
    )
    world.done("refund.paid", pay | {"amount": 10_000, "payee": "city"}, "bank-0")
    assert audited(world) == []


@pytest.mark.parametrize("signers", [("c-1",), ("c-1", "m-1")])
def test_the_consumer_does_not_say_that_an_issuer_was_paid(signers: tuple[str, ...]) -> None:
    """They once said it of an issuer that had got nothing, and so it was owed nothing."""
    world = LifeWorld()
    assert world.sign().code == ""
    voucher = {"amount": 30_000, "issuer": "city"}
    world.done("funds.locked", LOCKED | {"amount": 70_000, "vouchers": [voucher]}, "bank-0")
    world.publish_data()
    world.done("termination.agreed", {}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    owed = world.card.owed
    outcome = world.event(
        "refund.paid", {"amount": 30_000, "payee": "city", "source": "merchant"}, *signers
    )
    assert findings(outcome) == ["claimed_only"]
    assert (world.card.repaid, world.card.owed) == (0, owed)
    assert derive_anew(world).returned == (0, 0)
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    assert [share.returned for share in world.card.issuers] == [0]
    world.done("refund.paid", {"amount": 30_000, "payee": "city", "source": "custody"}, "bank-0")
    assert audited(world) == []


def test_the_issuers_of_one_contract_are_bounded() -> None:
    """Every event writes the contract's record anew, and it names them all."""
    world = LifeWorld()
    assert world.sign().code == ""

    def pay(first: int, count: int) -> Any:
        vouchers = [
            {"amount": 1, "issuer": f"issuer-{number}"} for number in range(first, first + count)
        ]
        return world.event("funds.locked", LOCKED | {"vouchers": vouchers}, "bank-0")

    assert pay(0, 16).code == ""
    assert pay(15, 16).code == ""
    assert pay(31, 2) == refused("too_many_issuers", ("issuers", 33), ("allowed", ISSUERS_MAX))
    vouchers = [{"amount": 1, "issuer": name} for name in ("m-1", "issuer-7", "new", "new")]
    world.done("funds.locked", LOCKED | {"vouchers": vouchers}, "bank-0")
    assert [share.issuer for share in world.card.issuers] == [
        *[f"issuer-{number}" for number in range(31)],
        "new",
    ]
    assert {(share.due, share.returned) for share in world.card.issuers} == {(-1, 0)}


@pytest.mark.parametrize("kind", ["refund.computed", "findings.computed"])
def test_nothing_is_computed_as_of_a_day_more_than_a_year_ahead(kind: str) -> None:
    """As of the year 2999, 1,000 yuan once were 30,239 in the merchant's total."""
    world = busy_world()
    today = day_of(world.chain.header.time_ms)
    data: dict[str, Any] = {} if kind == "refund.computed" else {"packs": []}
    late = show_day(today + AHEAD_DAYS_MAX + 1)
    assert world.event(kind, data | {"as_of": late}, "bank-0") == refused(
        "as_of_too_far_ahead",
        ("as_of", late),
        ("days_ahead", AHEAD_DAYS_MAX + 1),
        ("allowed", AHEAD_DAYS_MAX),
    )
    world.done(kind, data | {"as_of": show_day(today + AHEAD_DAYS_MAX)}, "bank-0")


def test_the_basis_names_what_was_read() -> None:
    world = busy_world()
    first = effects(world.event("refund.computed", {"as_of": AS_OF}, "c-1"))
    again = effects(world.event("refund.computed", {"as_of": AS_OF}, "bank-0"))
    assert first["basis"] == again["basis"]
    world.done("service.stopped")
    later = effects(world.event("refund.computed", {"as_of": AS_OF}, "bank-0"))
    assert later["basis"] != first["basis"]
    assert len(encode({"basis": later["basis"]})) == 76


def test_a_payment_dated_ahead_takes_no_consumers_seven_days() -> None:
    """It once came after every request, so that leaving without a reason gave nothing."""
    world = LifeWorld()
    assert world.sign().code == ""
    ahead = LOCKED | {"occurred_at": 2**42}
    outcome = world.event("funds.locked", ahead, "bank-0")
    assert effects(outcome)["finding"] == "occurred_in_the_future"
    assert world.card.findings == 1
    world.publish_data()
    request = world.done("cooling_off.requested", {}, "c-1")
    world.done("notice.arrived", {"of": request}, "m-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    assert (world.card.due_low, world.card.due_high) == (100_000, 100_000)


def test_a_release_dated_ahead_does_not_hide_that_a_pass_has_not_begun() -> None:
    world = LifeWorld()
    world.terms = load("terms/training-term.v1.json")
    start = "2027-01-01"
    world.terms["deal"]["term"]["start"] = start
    template = world.terms["template"]["id"]
    world.must("terms.publish", f"terms/{template}", {"document": world.terms}, "m-1")
    assert world.sign().code == ""
    world.done("funds.locked", LOCKED, "bank-0")
    outcome = world.event("funds.released", {"amount": 10, "occurred_at": 2**42}, "bank-0")
    assert [value for name, value in outcome.effects if name == "finding"] == [
        "released_before_delivery", "occurred_in_the_future",
    ]  # fmt: skip


def test_a_contract_that_has_ended_is_computed_as_of_no_day_before_its_end() -> None:
    """Who computed as of the day before the end had all counted that it alone had recorded since,
    or less use of a pass."""
    world = paid_world()
    world.publish_data()
    world.done("service.delivered", CUT)
    world.step_ms = 86_400_000
    world.done("termination.requested", {"cure_until": None}, "c-1")
    ended = day_of(world.chain.header.time_ms)
    world.done("service.delivered", CUT | {"units": 10, "debited": 48_000})
    world.done("refund.computed", {"as_of": show_day(ended)}, "m-1")
    assert world.card.due_high == 95_200
    before = show_day(ended - 1)
    assert world.event("refund.computed", {"as_of": before}, "m-1") == refused(
        "as_of_before_end", ("as_of", before), ("day", show_day(ended))
    )
    assert world.card.due_high == 95_200
