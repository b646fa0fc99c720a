"""Whatever the ledger applies, the law can read: nobody ends a refund by a statement of his own.

What is computed reads the whole record of a contract and of its merchant, and one entry that the
law refuses would end all computing of it for good. So the bounds of an event are those of the
law's fact, in its extremes too; and who stated something of the merchant has a role towards it
whichever of its contracts is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from contracts.custody import MerchantRecord
from contracts.events import DATA, DAYS
from contracts.lifecycle import MERCHANT_EVENTS, find_attesters, find_next
from law.days import parse_day, start_of
from law.entries import StreamEntry, to_facts
from law.facts import KINDS as FACTS
from law.facts import read_fact
from ledger.transaction import Outcome, refused
from tests.contracts.life_world import CARD, LOCKED, LifeWorld, effects, paid_world
from tests.contracts.samples import HASH, OF, SAMPLES
from tests.contracts.test_lifecycle import context_of, contract_in, run

AS_OF = {"as_of": "2026-01-20"}
NO_DAY = "2026-02-30"
EXTREMES: tuple[Any, ...] = (
    None, 0, 1, -1, 10**10, 10**10 + 1, 2**43, 2**43 + 1, 2**53 - 1, True, False, "", "x",
    "字" * 64, "x" * 65, HASH, OF, NO_DAY, "2999-12-31", "1000-01-01", [], ["x", "x"], ["x"] * 256,
)  # fmt: skip


def variants(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data with one member at a time at each extreme, lists with their elements twice."""
    for name, value in data.items():
        for extreme in EXTREMES:
            yield data | {name: extreme}
        if isinstance(value, list):
            yield data | {name: value * 2}
        if isinstance(value, dict):
            for inner in variants(value):
                yield data | {name: inner}


def is_shaped(event: str, data: dict[str, Any]) -> bool:
    try:
        msgspec.convert(data, DATA[event])
    except msgspec.ValidationError:
        return False
    return True


def apply(event: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Outcome:
    monkeypatch.setitem(SAMPLES, event, data)
    if event in MERCHANT_EVENTS:
        state = next(s for s in ("trading", "at_risk") if find_next(event, "merchant", s))
        return run(event, context_of(event, MerchantRecord(1, state), "merchant/m-1"))
    phase = next(s for s in ("active", "ending") if find_next(event, "contract", s))
    card = next(s for s in ("issued", "in_use", "lost") if find_next(event, "card", s))
    return run(event, context_of(event, contract_in(phase, card, "none")))


@pytest.mark.parametrize(
    "event", [event for event in DATA if event in FACTS and event != "contract.signed"]
)
def test_whatever_is_applied_the_law_reads(event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    role = find_attesters(event)[0]
    roles = ["merchant", "consumer"] if role == "both" else [role]
    base = SAMPLES.get(event, {})
    applied = 0
    for data in [base, *variants(base)]:
        if not is_shaped(event, data):
            continue
        outcome = apply(event, data, monkeypatch)
        if outcome.refused:
            continue
        applied += 1
        entries = [
            StreamEntry(3, OF, 5, "wallet.opened", {}, ["x"], ["custodian"], {}),
            StreamEntry(4, "t", 5, event, data, ["x"], roles, dict(outcome.effects)),
        ]
        if data.get("of", OF) == OF:
            read_fact(to_facts(entries)[-1], "fact")
    assert applied


@pytest.mark.parametrize(
    ("stream", "event", "signer"),
    [
        (CARD, "records.requested", "m-1"),
        (CARD, "termination.judged", "court-1"),
        ("merchant/m-1", "closing.notified", "m-1"),
        ("merchant/m-1", "moving.notified", "m-1"),
        ("merchant/m-1", "balance.reported", "m-1"),
    ],
)
def test_a_day_that_does_not_exist_is_refused(stream: str, event: str, signer: str) -> None:
    world = paid_world()
    (name,) = DAYS[DATA[event]]
    outcome = world.one(event, stream, SAMPLES[event] | {name: NO_DAY}, signer)
    assert outcome == refused("no_such_day", ("member", name), ("day", NO_DAY))


def test_a_quarters_balance_is_read_under_another_custodian_too() -> None:
    """It once kept what is owed from ever being computed in contracts that another bank keeps:
    towards those the reporting bank has another role."""
    world = paid_world()
    signing = world.signing() | {"custodian": "g-1"}
    world.must("contract.signed", "contract/other", signing, "m-1", "c-1")
    world.must("balance.reported", "merchant/m-1", SAMPLES["balance.reported"], "bank-0")
    world.must("funds.locked", "contract/other", LOCKED, "g-1")
    world.must("termination.agreed", "contract/other", {}, "m-1", "c-1")
    world.publish_data()
    outcome = world.one("refund.computed", "contract/other", AS_OF, "c-1")
    assert effects(outcome)["due_low"] == LOCKED["amount"]


def test_a_share_of_much_money_is_frozen_and_read() -> None:
    world = paid_world()
    for _ in range(2):
        world.done("funds.locked", LOCKED | {"amount": 10**10}, "bank-0")
    freeze = SAMPLES["funds.frozen"] | {"amount": 0, "share_ppm": 1_000_000}
    world.done("funds.frozen", freeze, "court-1")
    world.publish_data()
    assert world.event("refund.computed", AS_OF, "c-1").code == ""


def test_no_payment_of_a_year_without_a_calendar_ends_a_consumers_seven_days() -> None:
    world: LifeWorld = paid_world()
    day = parse_day("1995-03-03")
    assert day is not None
    early = {"amount": 1, "custody": "none", "occurred_at": start_of(day)}
    world.done("funds.locked", LOCKED | early, "m-1")
    world.publish_data()
    world.done("cooling_off.requested", {}, "c-1")
    outcome = world.event("refund.computed", AS_OF, "c-1")
    assert effects(outcome)["due_high"] == LOCKED["amount"] + 1
