"""The consumer's claim passes on: who signs, and who is paid.

And the account's interest, which is the consumer's unless the terms say otherwise: it is paid to
whoever holds the claim, takes nothing off what the merchant owes, and is never released.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.transaction import Outcome, applied, refused
from tests.contracts.life_world import (
    CARD,
    LOCKED,
    PERSONS,
    LifeWorld,
    load,
)
from tests.contracts.test_lives import audited

AS_OF = "2026-01-20"
FRIEND = "fd" * 32
COUSIN = "c0" * 32
PARTY = PERSONS["party"]


def assigning_world(notices: str = "other", **terms: Any) -> LifeWorld:
    """`CARD` signed and paid, under terms by which notices arrive as recorded."""
    world = LifeWorld()
    world.commit(world.registration("c-2", "consumer"), world.registration("c-3", "consumer"))
    document = load("terms/hair-card.v1.json") | {"notices": notices} | terms
    document["template"] = {"id": "hair-other", "version": 1}
    world.terms = document
    world.must("terms.publish", "terms/hair-other", {"document": document}, "m-1")
    world.publish_data()
    assert world.sign().code == ""
    world.done("funds.locked", LOCKED, "bank-0")
    return world


def assign(world: LifeWorld, *signers: str, to: str = FRIEND, **more: Any) -> str:
    data = {"assignee": to, "assignee_party": "c-2", "whole": False} | more
    return world.done("assignment.notified", data, *signers)


def assigned_world(**more: Any) -> LifeWorld:
    world = assigning_world()
    notice = assign(world, "c-1", **more)
    world.done("notice.arrived", {"of": notice}, "m-1")
    return world


def pay(world: LifeWorld, payee: str, amount: int = 100) -> Outcome:
    data = {"amount": amount, "payee": payee, "source": "custody"}
    return world.event("refund.paid", data, "bank-0")


# Who signs


def test_until_the_notice_arrives_the_consumer_signs_and_the_assignee_does_not() -> None:
    world = assigning_world()
    assign(world, "c-1")
    assert world.card.consumer_party == "c-1"
    assert world.event("price.disputed", {}, "c-2") == refused("not_entitled", ("signer", "c-2"))
    assert world.event("price.disputed", {}, "c-1").code == ""


def test_from_its_arrival_the_assignee_signs_and_the_consumer_before_is_refused_by_name() -> None:
    world = assigning_world()
    notice = assign(world, "c-1")
    assert world.event("notice.arrived", {"of": notice}, "m-1") == applied(
        ("state", "active"), ("role", "merchant"), ("assignee", FRIEND), ("consumer_party", "c-2")
    )
    assert world.event("price.disputed", {}, "c-1") == refused(
        "claim_assigned", ("signer", "c-1"), ("assignee", FRIEND)
    )
    assert world.event("termination.agreed", {}, "m-1", "c-1") == refused(
        "claim_assigned", ("signer", "c-1"), ("assignee", FRIEND)
    )
    assert world.event("price.disputed", {}, "c-2").code == ""
    assert world.event("termination.agreed", {}, "m-1", "c-2").code == ""


def test_where_the_ledger_is_the_system_for_notices_it_takes_effect_when_recorded() -> None:
    world = assigning_world("ledger")
    data = {"assignee": FRIEND, "assignee_party": "c-2", "whole": False}
    assert world.event("assignment.notified", data, "c-1") == applied(
        ("state", "active"), ("role", "consumer"), ("assignee", FRIEND), ("consumer_party", "c-2")
    )
    assert world.event("price.disputed", {}, "c-1").code == "claim_assigned"


def test_an_assignee_who_signs_nothing_leaves_nobody_to_sign_for_the_consumer() -> None:
    world = assigned_world(assignee_party="")
    assert world.card.consumer_party == ""
    assert world.event("price.disputed", {}, "c-1").code == "claim_assigned"


def test_holder_payer_and_beneficiary_stay_who_they_were() -> None:
    before = assigning_world()
    static = before.record(f"signed/{CARD}")
    notice = assign(before, "c-1")
    before.done("notice.arrived", {"of": notice}, "m-1")
    assert before.record(f"signed/{CARD}") == static


def test_only_a_registered_consumer_who_is_neither_side_can_sign_for_the_assignee() -> None:
    world = assigning_world()
    for party, outcome in (
        ("m-1", refused("consumer_party_not_distinct", ("consumer_party", "m-1"))),
        ("bank-0", refused("consumer_party_not_distinct", ("consumer_party", "bank-0"))),
        ("m-2", refused("unknown_consumer_party", ("consumer_party", "m-2"))),
        ("c-9", refused("unknown_consumer_party", ("consumer_party", "c-9"))),
    ):
        data = {"assignee": FRIEND, "assignee_party": party, "whole": False}
        assert world.event("assignment.notified", data, "c-1") == outcome


def test_of_two_assignments_the_one_that_arrives_first_holds() -> None:
    world = assigning_world()
    first = assign(world, "c-1")
    second = assign(world, "c-1", to=COUSIN, assignee_party="c-3")
    world.done("notice.arrived", {"of": first}, "m-1")
    assert world.event("notice.arrived", {"of": second}, "m-1") == refused(
        "already_assigned", ("of", second), ("assignee", FRIEND)
    )
    assert world.event("notice.arrived", {"of": first}, "m-1") == applied(
        ("state", "active"), ("role", "merchant")
    ), "that it arrived may be said again and changes nothing"
    assert world.card.consumer_party == "c-2"


@pytest.mark.parametrize("notices", ["ledger", "other"])
def test_nobody_assigns_a_claim_to_whoever_holds_it(notices: str) -> None:
    """It would pass nothing on, and yet end the consumer's signature and the computed payees."""
    world = assigning_world(notices)
    own = {"assignee": PARTY, "assignee_party": "c-2", "whole": False}
    assert world.event("assignment.notified", own, "c-1") == refused(
        "assignee_holds_claim", ("assignee", PARTY)
    )
    whole = own | {"assignee_party": "c-1", "whole": True}
    assert world.event("assignment.notified", whole, "m-1", "c-1").code == "assignee_holds_claim"
    assert world.card.consumer_party == "c-1"
    notice = assign(world, "c-1")
    if notices == "other":
        world.done("notice.arrived", {"of": notice}, "m-1")
    again = {"assignee": FRIEND, "assignee_party": "c-3", "whole": False}
    assert world.event("assignment.notified", again, "c-2") == refused(
        "assignee_holds_claim", ("assignee", FRIEND)
    )
    assert assign(world, "c-2", to=PARTY, assignee_party="c-1"), "back to whoever held it before"


def test_of_two_notices_to_one_assignee_who_signs_as_the_assignor_did_the_second_is_refused() -> (
    None
):
    world = assigning_world()
    first, second = (assign(world, "c-1", assignee_party="c-1") for _ in range(2))
    world.done("notice.arrived", {"of": first}, "m-1")
    assert world.event("notice.arrived", {"of": second}, "m-1") == refused(
        "assignee_holds_claim", ("assignee", FRIEND)
    )


def test_a_claim_comes_back_and_an_old_notice_does_not_move_it_again() -> None:
    world = assigning_world()
    there = assign(world, "c-1")
    world.done("notice.arrived", {"of": there}, "m-1")
    back = assign(world, "c-2", to=PARTY, assignee_party="c-1")
    world.done("notice.arrived", {"of": back}, "m-1")
    assert world.event("notice.arrived", {"of": there}, "m-1").effects == [
        ("state", "active"), ("role", "merchant")
    ]  # fmt: skip
    assert world.card.consumer_party == "c-1"
    assert world.event("price.disputed", {}, "c-1").code == ""
    assert world.event("price.disputed", {}, "c-2").code == "claim_assigned"


def test_a_notice_that_the_consumer_before_sent_may_arrive_afterwards() -> None:
    world = assigning_world()
    notice = world.done("termination.requested", {"cure_until": None}, "c-1")
    assignment = assign(world, "c-1")
    world.done("notice.arrived", {"of": assignment}, "m-1")
    assert world.event("notice.arrived", {"of": notice}, "c-2") == refused(
        "own_notice", ("of", notice), ("role", "consumer")
    )
    assert world.event("notice.arrived", {"of": notice}, "m-1").code == ""


def test_too_many_assignments() -> None:
    world = assigning_world("ledger")
    for turn in range(16):
        here, there, to = (("c-1", "c-2", FRIEND), ("c-2", "c-1", PARTY))[turn % 2]
        assign(world, here, to=to, assignee_party=there)
    data = {"assignee": FRIEND, "assignee_party": "c-2", "whole": False}
    assert world.event("assignment.notified", data, "c-1") == refused(
        "too_many_assignments", ("assignments", 16), ("allowed", 16)
    )


# Who is paid


def test_what_is_owed_is_computed_from_what_each_signed_in_the_role_of_its_time() -> None:
    world = assigning_world()
    world.done("price.disputed", {}, "c-1")
    notice = assign(world, "c-1")
    world.done("notice.arrived", {"of": notice}, "m-1")
    world.done("termination.agreed", {}, "m-1", "c-2")
    world.done("refund.computed", {"as_of": AS_OF}, "c-2")
    assert world.card.payees == [FRIEND, PARTY], "a bare assignment: art. 11 leaves it open"
    assert pay(world, "ee" * 32) == refused(
        "wrong_payee", ("payee", "ee" * 32), ("expected", f"{FRIEND} {PARTY}")
    )
    assert pay(world, FRIEND).code == ""
    assert audited(world) == []


def test_with_the_merchants_consent_to_the_whole_only_the_assignee_is_paid() -> None:
    world = assigning_world()
    notice = assign(world, "m-1", "c-1", whole=True)
    world.done("notice.arrived", {"of": notice}, "bank-0")
    world.done("termination.agreed", {}, "m-1", "c-2")
    world.done("refund.computed", {"as_of": AS_OF}, "c-2")
    assert pay(world, PARTY) == refused("wrong_payee", ("payee", PARTY), ("expected", FRIEND))
    assert pay(world, FRIEND).code == ""


def test_after_an_assignment_it_is_computed_again_who_is_paid() -> None:
    world = assigning_world()
    world.done("termination.agreed", {}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    assert world.card.payees == [PARTY]
    notice = assign(world, "c-1")
    world.done("notice.arrived", {"of": notice}, "m-1")
    assert pay(world, PARTY) == refused("payee_not_computed", ("assignee", FRIEND))
    world.done("refund.computed", {"as_of": AS_OF}, "c-2")
    assert pay(world, FRIEND).code == ""


# The account's interest


def test_the_consumer_is_paid_the_accounts_interest_and_the_merchant_owes_no_less() -> None:
    world = assigning_world()
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    world.done("termination.agreed", {}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    owed = world.card.owed
    data = {"amount": 12, "payee": PARTY}
    assert world.event("interest.paid", data, "bank-0") == applied(
        ("state", "ending"), ("payee", PARTY), ("locked", 100_000), ("refunded", 12),
        ("interest_paid", 12),
    )  # fmt: skip
    assert world.card.owed == world.merchant.owed == owed
    assert pay(world, PARTY, world.card.due_high).code == (
        "" if world.card.due_high <= 100_000 else "insufficient_locked"
    )
    assert audited(world) == []


def test_interest_is_nobodys_but_the_holders_of_the_claim_and_only_once() -> None:
    world = assigned_world()
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    assert world.event("interest.paid", {"amount": 12, "payee": PARTY}, "bank-0") == refused(
        "wrong_payee", ("payee", PARTY), ("expected", FRIEND)
    )
    assert world.event("interest.paid", {"amount": 13, "payee": FRIEND}, "bank-0") == refused(
        "interest_above_credited", ("left", 12), ("amount", 13)
    )
    world.done("interest.paid", {"amount": 12, "payee": FRIEND}, "bank-0")
    assert world.event("interest.paid", {"amount": 1, "payee": FRIEND}, "bank-0") == refused(
        "interest_above_credited", ("left", 0), ("amount", 1)
    )


def test_the_consumers_interest_is_never_released_nor_returned_in_place_of_a_refund() -> None:
    world = assigning_world()
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    assert world.event("funds.released", {"amount": 100_001}, "bank-0") == refused(
        "consumers_interest", ("locked", 100_012), ("interest", 12), ("amount", 100_001)
    )
    world.done("funds.released", {"amount": 99_950}, "bank-0")
    world.done("termination.agreed", {}, "m-1", "c-1")
    world.done("refund.computed", {"as_of": AS_OF}, "c-1")
    assert pay(world, PARTY, 51) == refused(
        "consumers_interest", ("locked", 62), ("interest", 12), ("amount", 51)
    )


def test_where_the_terms_give_it_to_the_merchant_it_is_released_like_all_else() -> None:
    world = assigning_world(account_interest="merchant")
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    assert world.event("interest.paid", {"amount": 1, "payee": PARTY}, "bank-0") == refused(
        "merchants_interest", ("owner", "merchant")
    )
    assert world.event("funds.released", {"amount": 100_012}, "bank-0").code == ""


def test_what_is_frozen_of_it_is_not_paid() -> None:
    world = assigning_world()
    world.done("interest.accrued", {"amount": 12}, "bank-0")
    order = {
        "amount": 100_010, "authority": "court", "document": "1", "legal_basis": "art. 106",
        "until": None,
    }  # fmt: skip
    world.done("funds.frozen", order, "court-1")
    assert world.event("interest.paid", {"amount": 12, "payee": PARTY}, "bank-0") == refused(
        "frozen", ("locked", 100_012), ("frozen", 100_010), ("amount", 12)
    )
