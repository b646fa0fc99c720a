"""A claim that passed on and an account's interest: both verifiers replay them, and find lies.

The quorum that lies is ours: whatever it signs, who may sign for the consumer and who was paid the
interest follow from the entries, and the replay says where they do not.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from ledger.canonical import encode_canonical
from ledger.transaction import compute_tx_id
from tests.contracts.life_world import CARD, LifeWorld
from tests.contracts.test_assignment import AS_OF, FRIEND, assign, assigning_world, pay
from tests.page.conftest import JavaScript
from tests.page.test_agreement import told, told_by_page
from tests.verifier.small_chain import alter, forge
from verifier.report import Report, Result
from verifier.verify import verify_evidence

BALANCES, OWED = 13, 14
SIGNERS = ("m-1", "c-1", "c-2", "bank-0")


@functools.cache
def whole_life() -> LifeWorld:
    """An assignment, interest paid to the assignee, and a refund to the assignee."""
    world = assigning_world()
    cut = world.done("service.delivered", {"debited": 4800, "item": "cut", "units": 1})
    world.done("delivery.answered", {"answer": "confirmed", "of": cut}, "c-1")
    notice = assign(world, "c-1")
    world.done("notice.arrived", {"of": notice}, "m-1")
    world.event("price.disputed", {}, "c-1")
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    world.done("interest.paid", {"amount": 12, "payee": FRIEND}, "bank-0")
    world.done("termination.agreed", {}, "m-1", "c-2")
    world.done("refund.computed", {"as_of": AS_OF}, "c-2")
    assert pay(world, FRIEND, 500).code == ""
    return world


def examine(javascript: JavaScript, raw: bytes) -> Report:
    """Both say the same of the file, but for what is owed, which the page does not derive."""
    ours = verify_evidence(raw, whole_life().chain_id)
    page = javascript.verify(raw, whole_life().chain_id)
    said, by_page = (
        [row for row in rows if row[0] != OWED] for rows in (told(ours), told_by_page(page))
    )
    assert by_page == said
    return ours


def test_both_follow_the_claim_to_the_assignee(javascript: JavaScript) -> None:
    world = whole_life()
    report = examine(javascript, world.history("card-1", SIGNERS))
    assert report.is_consistent, [s.explanation.en for s in report.steps if s.reason]
    assert report.steps[BALANCES - 1].result is Result.OK
    assert "civil code 321(2)" in report.facts["owed_articles"]


def edited(kind: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """The file when a quorum lies about the first entry of a kind: (effects, record's changes)."""
    world = whole_life()
    for index in world.indices_of(CARD):
        leaf = msgpack.unpackb(world.leaves[index])
        if kind.encode() in world.leaves[index]:
            break
    effects = dict(leaf[4][2])
    change(effects, {})

    def set_effects(fields: list[Any]) -> None:
        fields[4][2] = [[name, value] for name, value in effects.items()]

    lied = forge(world, {index: alter(world.leaves[index], set_effects)})
    return lied.history("card-1", SIGNERS)


def no_effect(effects: dict[str, Any], _: Any) -> None:
    del effects["assignee"], effects["consumer_party"]


def another(effects: dict[str, Any], _: Any) -> None:
    effects["consumer_party"] = "c-3"


LIES = {
    "no-effect": (
        "notice.arrived", no_effect, "a notice of assignment arrived without effect."
    ),
    "another-consumer": (
        "notice.arrived", another,
        "it makes c-3 the consumer, which no notice of assignment names.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_quorums_lie_about_an_assignment_is_found(javascript: JavaScript, name: str) -> None:
    kind, change, sentence = LIES[name]
    raw = edited(kind, change)
    report = examine(javascript, raw)
    failed = next(step for step in report.steps if step.reason)
    assert failed.explanation.en.endswith(sentence)


def forged_record(place: int, value: Any) -> bytes:
    """The contract's record in the state says something else."""
    world = whole_life()
    record = msgpack.unpackb(world.proven(CARD).value)[2]
    assert record[place] != value
    record[place] = value
    return forge(world, records={CARD: record}).history("card-1", SIGNERS)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (4, "c-1", "The state holds consumer_party c-1; the entries give c-2."),
        (26, 0, "The state holds interest_paid 0; the entries give 12."),
    ],
)
def test_a_record_that_forgets_it_is_found(
    javascript: JavaScript, place: int, value: Any, sentence: str
) -> None:
    raw = forged_record(place, value)
    report = examine(javascript, raw)
    assert next(s for s in report.steps if s.reason).explanation.en == sentence


def restated(changes: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]]) -> bytes:
    """The file when liars had the first entry of each kind say something else: (data, effects).

    It is rightly signed, and what speaks of an entry that was changed speaks of it by its new id.
    """
    world = whole_life()
    left = dict(changes)
    ids: dict[str, str] = {}
    leaves = {}
    for index in world.indices_of(CARD):
        fields = msgpack.unpackb(world.leaves[index])
        body = json.loads(fields[3][0])
        before = compute_tx_id(fields[3][0]).hex()
        effects = dict(fields[4][2])
        if change := left.pop(body["kind"], None):
            change(body["data"], effects)
        if isinstance(of := body["data"].get("of"), str):
            body["data"]["of"] = ids.get(of, of)
        raw = encode_canonical(body)
        ids[before] = compute_tx_id(raw).hex()
        fields[3] = msgpack.unpackb(world.signed(raw, *body["signers"]))
        fields[4][2] = [[name, value] for name, value in effects.items()]
        leaves[index] = msgpack.packb(fields)
    return forge(world, leaves).history("card-1", SIGNERS)


def listed_of(data: dict[str, Any], _: dict[str, Any]) -> None:
    data["of"] = [data["of"]]


def null_party(data: dict[str, Any], _: dict[str, Any]) -> None:
    data["assignee_party"] = None


def none_effect(_: dict[str, Any], effects: dict[str, Any]) -> None:
    effects["consumer_party"] = "None"


def null_assignee(data: dict[str, Any], _: dict[str, Any]) -> None:
    data["assignee"] = None


def no_assignee(_: dict[str, Any], effects: dict[str, Any]) -> None:
    del effects["assignee"]


def null_payee(data: dict[str, Any], _: dict[str, Any]) -> None:
    data["payee"] = None


def beyond(data: dict[str, Any], effects: dict[str, Any]) -> None:
    data["amount"] = 2**53 - 1
    data["vouchers"] = [{"amount": 2, "issuer": "bank-0"}]
    effects.clear()


def below_0(data: dict[str, Any], effects: dict[str, Any]) -> None:
    data["bonus"] = -1
    effects.clear()


RESTATED = {
    "of-in-a-list": (
        {"notice.arrived": listed_of},
        "it makes c-2 the consumer, which no notice of assignment names.",
    ),
    "party-null": (
        {"assignment.notified": null_party, "notice.arrived": none_effect},
        "The state holds consumer_party c-2; the entries give None.",
    ),
    "payee-null": (
        {
            "assignment.notified": null_assignee,
            "notice.arrived": no_assignee,
            "interest.paid": null_payee,
        },
        "12 fen of interest were paid, where 12 were left, or not to whoever holds the claim.",
    ),
    "beyond-the-bound": ({"funds.locked": beyond}, "paid is more than the bound allows."),
    "below-0": ({"funds.locked": below_0}, "bonus is no whole number from 0."),
}


@pytest.mark.parametrize("name", RESTATED)
def test_a_lie_in_an_entry_is_found_by_both(javascript: JavaScript, name: str) -> None:
    changes, sentence = RESTATED[name]
    report = examine(javascript, restated(changes))
    assert report.failed is not None
    assert report.failed.number == BALANCES
    assert report.failed.explanation.en.endswith(sentence)


@pytest.mark.parametrize("assigned", [0, [0], [["00", FRIEND, "c-1"]], []])
def test_a_record_of_assignments_that_did_not_take_effect_is_found(
    javascript: JavaScript, assigned: Any
) -> None:
    report = examine(javascript, forged_record(28, assigned))
    assert report.failed is not None
    assert report.failed.explanation.en.startswith(f"The state holds assigned {assigned}; the ")


def test_an_assignment_named_by_text_is_not_that_of_the_bytes(javascript: JavaScript) -> None:
    world = whole_life()
    held = msgpack.unpackb(world.proven(CARD).value)[2][28]
    report = examine(javascript, forged_record(28, [[held[0][0].hex(), *held[0][1:]]]))
    assert report.failed is not None
    assert report.failed.number == BALANCES
