"""The table of a contract's life: every transition in it is taken, every other refused by name."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any, get_type_hints

import msgspec
import pytest

from contracts.custody import ContractRecord, CustodianRecord, MerchantRecord, SignedRecord
from contracts.documents import DocumentRecord
from contracts.events import DATA, DeviceEvent, Event
from contracts.handling import Context, Past, Refusal
from contracts.kinds import KINDS
from contracts.lifecycle import (
    AFTERLIFE_MS,
    CLOSED,
    CONTRACT,
    DISPUTE,
    EVENTS,
    LOOKING_BACK,
    MERCHANT,
    MERCHANT_EVENTS,
    NONE,
    REGIONS,
    ROWS,
    TABLE,
    find_attesters,
    find_next,
)
from contracts.lifecycle import (
    CARD as CARD_REGION,
)
from contracts.parties import PartyRecord
from law.canonical import encode
from law.entries import FREEZE_MEMBERS, LEDGER_MEMBERS, StreamEntry, to_facts
from law.facts import KINDS as FACTS
from law.facts import REFERS, read_fact
from ledger.transaction import Outcome, refused
from tests.contracts.life_world import CARD, PERSONS, load
from tests.contracts.make_tables import DOCUMENTS, ROOT, redraw
from tests.contracts.samples import OF, SAMPLES, SIGNER_OF
from tests.contracts.world import World

PARTIES = {
    "m-1": "merchant",
    "c-1": "consumer",
    "bank-0": "bank",
    "pay-1": "payment",
    "bank-1": "regulator",
    "bank-2": "regulator",
    "bank-3": "district",
    "bank-4": "consumer_council",
    "platform-1": "platform",
    "court-1": "court",
    "arbitrator-1": "arbitrator",
}
SUMS = ("deposited", "interest", "locked", "released", "refunded")
VALIDATORS = World().chain.validators
TERMS = encode(load("terms/hair-card.v1.json"))


def party(name: str) -> PartyRecord | None:
    role = PARTIES.get(name)
    return None if role is None else PartyRecord(name, role, "nanshan", "bank-0", 1, 0, [])


def context_of(event: str, record: Any, stream: str = CARD) -> Context:
    """A context in which everything but the state is as the event wants it."""
    rows: dict[str, Any] = {
        f"signed/{CARD}": SignedRecord(
            1,
            bytes(32),
            "hair-card",
            1,
            "hair_beauty",
            "nanshan",
            "named",
            bytes.fromhex(PERSONS["party"]),
            2,
            2,
        ),
        "document/" + "cd" * 32: DocumentRecord(TERMS),
        "document/" + "00" * 32: DocumentRecord(TERMS),
    }
    if isinstance(record, MerchantRecord):
        rows["merchant/m-1"] = record
    if isinstance(record, ContractRecord):
        sums = {each: getattr(record, each) for each in SUMS}
        rows["merchant/m-1"] = MerchantRecord(1, contracts=1, owed=record.owed, **sums)
        rows["custodian/bank-0"] = CustodianRecord(1, contracts=1, **sums)
    about = REFERS.get(event, ("contract.signed",))[0]
    earlier = Past(7, bytes.fromhex(OF), 5, CARD, about, {}, ["c-1"], False, {})
    signers = SIGNER_OF[find_attesters(event)[0]]
    if event == "notice.arrived":
        signers = ("m-1",)
    context = Context(
        9, 10_000, stream, signers, record, party, b"", VALIDATORS,
        rows.get, lambda _: earlier, lambda _name, _max: [],
    )  # fmt: skip
    context.tx_id = b"t" * 32
    return context


def run(event: str, context: Context) -> Outcome:
    kind = KINDS[event, 1]
    data = msgspec.convert(SAMPLES.get(event, {}), kind.data)
    try:
        return kind.apply(context, data)
    except Refusal as refusal:
        return refusal.outcome()


def contract_in(phase: str, card: str, dispute: str) -> ContractRecord | None:
    if phase == NONE:
        return None
    freezes = [msgspec.convert([bytes.fromhex(OF), 1, 0, 0, 1], type=FREEZE)]
    return ContractRecord(
        1, "m-1", "bank-0", "c-1", phase, card, dispute,
        paid=997, deposited=997, interest=3, payees=[PERSONS["party"]], due_consumer=1000,
        locked=0 if phase == CLOSED else 400,
        released=1000 if phase == CLOSED else 600, due_low=400, due_high=1400, deliveries=1,
        freezes=freezes,
    )  # fmt: skip


FREEZE = get_type_hints(ContractRecord)["freezes"].__args__[0]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_in_every_state(event: str) -> None:
    taken = set()
    regions = (CONTRACT, CARD_REGION, DISPUTE)
    for states in product(*(REGIONS[region] for region in regions)):
        record = contract_in(*states)
        if record is None and states[1:] != (REGIONS[CARD_REGION][0], REGIONS[DISPUTE][0]):
            continue
        if event == "contract.closed" and record is not None:
            record = msgspec.structs.replace(record, locked=0, released=1000)
        if event == "refund.paid" and record is not None and states[0] == CLOSED:
            record = msgspec.structs.replace(record, locked=400, released=600)
        context = context_of(event, record)
        outcome = run(event, context)
        expected = [find_next(event, *pair) for pair in zip(regions, states, strict=True)]
        if record is None:
            if event == "contract.signed":
                assert outcome.code == "", outcome
                assert context.record.phase == expected[0]
                taken.add((CONTRACT, states[0]))
            else:
                assert outcome == refused("unknown_contract", ("stream", CARD))
            continue
        if event == "contract.signed":
            assert outcome == refused("already_open", ("stream", CARD))
            continue
        blocked = next((n for n, state in enumerate(expected) if state is None), None)
        if blocked is not None:
            assert outcome == refused(
                "transition_not_allowed",
                ("event", event),
                ("region", regions[blocked]),
                ("state", states[blocked]),
            )
            assert context.record is record
            continue
        taken.update(zip(regions, states, strict=True))
        if event in ("refund.computed", "findings.computed"):
            assert outcome.code == "not_computable"
            continue
        assert outcome.code == "", outcome
        after = context.record
        assert [after.phase, after.card, after.dispute] == expected
        assert dict(outcome.effects)["state"] == after.phase
    for row in TABLE:
        if row.event == event:
            assert {(row.region, state) for state in row.sources} <= taken


@pytest.mark.parametrize("event", EVENTS)
def test_what_reads_earlier_entries_is_refused_once_a_contract_is_over(event: str) -> None:
    """And nothing else reads them: what a node must keep is what this set says."""
    looked: list[object] = []
    for closed_ms, is_over in ((1, True), (10_000, False), (0, False)):
        time_ms = AFTERLIFE_MS + 2
        phase = CLOSED if closed_ms else "ending"
        record = contract_in(phase, REGIONS[CARD_REGION][1], "open")
        assert record is not None
        record = msgspec.structs.replace(record, closed_ms=closed_ms)
        context = context_of(event, record)
        context.time_ms = time_ms
        find, history = context._find, context._history
        context._find = lambda tx_id, find=find: looked.append(tx_id) or find(tx_id)  # type: ignore[misc]
        context._history = lambda *of, history=history: looked.append(of) or history(*of)  # type: ignore[misc]
        outcome = run(event, context)
        if is_over and event in LOOKING_BACK and outcome.code != "transition_not_allowed":
            assert outcome == refused(
                "contract_over", ("closed_ms", 1), ("allowed_ms", AFTERLIFE_MS)
            )
            assert not looked, "it was not even looked for"
        else:
            assert outcome.code != "contract_over"
    assert bool(looked) <= (event in LOOKING_BACK)


def test_a_contract_is_over_five_years_after_its_closing() -> None:
    context = context_of("contract.closed", contract_in("ending", "issued", NONE))
    context.record = msgspec.structs.replace(context.record, locked=0, released=1000)
    assert run("contract.closed", context).code == ""
    closed = context.record
    assert closed.closed_ms == context.time_ms
    assert not closed.is_over_at(closed.closed_ms + AFTERLIFE_MS)
    assert closed.is_over_at(closed.closed_ms + AFTERLIFE_MS + 1)
    assert not msgspec.structs.replace(closed, closed_ms=0).is_over_at(10**15)
    assert AFTERLIFE_MS >= 5 * 365.25 * 86_400_000


@pytest.mark.parametrize("event", MERCHANT_EVENTS)
def test_every_event_of_a_merchant_in_every_state(event: str) -> None:
    for state in REGIONS[MERCHANT]:
        context = context_of(event, MerchantRecord(1, state), "merchant/m-1")
        outcome = run(event, context)
        after = find_next(event, MERCHANT, state)
        if after is None:
            assert outcome == refused(
                "transition_not_allowed",
                ("event", event),
                ("region", MERCHANT),
                ("state", state),
            )
        else:
            assert outcome.effects == [("state", after)]
            assert context.record.state == after


STATES = {
    "none": "contract.signed",
    "signed active": "wallet.opened funds.locked card.activated gift.given price.changed",
    "active ending": "funds.released funds.frozen funds.unfrozen interest.accrued interest.paid "
    "service.delivered cooling_off.requested refund.computed",
    "active ending closed": "delivery.answered",
    "ending closed": "refund.paid",
    "signed active ending": "card.replaced card.lost card.reissued card.expired premises.moved "
    "obligation.transferred service.stopped service.resumed termination.requested "
    "complaint.served termination.agreed termination.judged invalidity.found assignment.notified "
    "contract.closed finance.linked",
    "signed active ending closed": "notice.arrived prior_use.stated cause.stated ground.stated "
    "deduction.claimed minor_service.stated price.disputed sales_records.produced "
    "market_price.stated actual_rate.requested balance.forfeited findings.computed "
    "records.requested records.produced records.refused dispute.opened evidence.attached "
    "dispute.resolved court.linked",
}
MOVES = {
    "signed": "contract.signed",
    "active": "funds.locked",
    "ending": "cooling_off.requested termination.requested complaint.served termination.agreed "
    "termination.judged invalidity.found",
    "closed": "contract.closed",
}
BESIDE = [
    "card.activated card: issued in_use expired -> in_use",
    "card.replaced card: in_use expired -> in_use",
    "card.lost card: issued in_use expired -> lost",
    "card.reissued card: lost -> in_use",
    "card.expired card: issued in_use -> expired",
    "dispute.opened dispute: none resolved -> open",
    "evidence.attached dispute: open -> ",
    "dispute.resolved dispute: open -> resolved",
    "court.linked dispute: open resolved -> ",
    "risk.declared merchant: trading at_risk -> at_risk",
    "risk.lifted merchant: at_risk -> trading",
    "closing.notified merchant: trading at_risk -> ",
    "moving.notified merchant: trading at_risk -> ",
    "financing.linked merchant: trading at_risk liquidation closed -> ",
    "balance.reported merchant: trading at_risk liquidation closed -> ",
    "liquidation.opened merchant: trading at_risk closed -> liquidation",
    "business.closed merchant: trading at_risk liquidation -> closed",
]


def test_the_table_has_no_row_more_and_none_less() -> None:
    """Said a second time, the other way round: the walks above take their answers from the table,
    so a row that is added, widened or lost would pass them."""
    contract = [row for row in TABLE if row.region == CONTRACT]
    by_states: dict[str, list[str]] = {}
    moves: dict[str, list[str]] = {}
    for row in contract:
        by_states.setdefault(" ".join(row.sources), []).append(row.event)
        if row.target:
            moves.setdefault(row.target, []).append(row.event)
    assert {states: sorted(events) for states, events in by_states.items()} == {
        states: sorted(events.split()) for states, events in STATES.items()
    }
    assert moves == {target: events.split() for target, events in MOVES.items()}
    assert [
        f"{row.event} {row.region}: {' '.join(row.sources)} -> {row.target}"
        for row in TABLE
        if row.region != CONTRACT
    ] == BESIDE


def test_the_table_is_consistent() -> None:
    assert len(ROWS) == len(TABLE), "a row stands twice"
    for row in TABLE:
        assert set(row.sources) <= set(REGIONS[row.region])
        assert row.target in {"", *REGIONS[row.region]}
    assert set(DATA) == {*EVENTS, *MERCHANT_EVENTS}
    facts_elsewhere: set[str] = set()
    assert set(FACTS) - {*EVENTS, *MERCHANT_EVENTS} == facts_elsewhere
    for event in (*EVENTS, *MERCHANT_EVENTS):
        assert set(find_attesters(event)) <= set(SIGNER_OF)
        if event in FACTS:
            assert set(find_attesters(event)) <= set(FACTS[event].roles)
            assert event in MERCHANT_EVENTS or find_attesters(event) == FACTS[event].roles


@pytest.mark.parametrize("event", [event for event in DATA if event in FACTS])
def test_an_event_carries_what_the_law_reads(event: str) -> None:
    """Every member of the law's fact, required, and what an example says is read by the law."""
    own = set(LEDGER_MEMBERS) | (
        {"share_ppm", *FREEZE_MEMBERS} if event == "funds.frozen" else set()
    )
    fields = {field.encode_name: field for field in msgspec.structs.fields(DATA[event])}
    carried = set(fields) - own
    shape = FACTS[event].data
    expected = {"from" if n == "source" and event == "prior_use.stated" else n
                for n in (field.name for field in dataclasses.fields(shape))}  # fmt: skip
    assert carried == expected
    assert all(fields[name].required for name in carried)
    data = SAMPLES.get(event, {})
    role = find_attesters(event)[0]
    roles = ["merchant", "consumer"] if role == "both" else [role]
    entries = [
        StreamEntry(3, OF, 5, "wallet.opened", {}, ["x"], ["custodian"], {}),
        StreamEntry(4, "t", 5, event, data, ["x"], roles, {"frozen": 100}),
    ]
    document = to_facts(entries)[-1]
    fact = read_fact(document, "fact")
    assert fact.kind == event
    assert fact.at == fact.recorded == 5


def test_every_event_may_say_when_it_happened() -> None:
    for shape in DATA.values():
        assert issubclass(shape, Event)
        assert ("counter" in shape.__struct_fields__) == issubclass(shape, DeviceEvent)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_drawn_from_the_tables(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert text.count("<!-- table: ") >= 1
    assert redraw(text) == text
