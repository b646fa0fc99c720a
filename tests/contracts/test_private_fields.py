"""`private.committed`: who may commit, and what a correction may name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.kinds import parse_data
from ledger.canonical import encode_canonical
from ledger.refusal import Rejected
from ledger.transaction import Body, Outcome, applied, refused
from tests.contracts.life_world import paid_world
from tests.contracts.world import CARD, World, open_world

KIND = "private.committed"
ONE, OTHER = "11" * 32, "22" * 32
NOWHERE = "ef" * 32


def commit(world: World, data: dict[str, Any], *signers: str) -> Outcome:
    return world.one(KIND, CARD, data, *signers)


def newest(world: World) -> str:
    """Id of the newest block's transaction."""
    return world.block.rows[0].tx_id.hex()


def test_the_custodian_commits_and_nothing_else_changes() -> None:
    world = open_world()
    before = world.record(CARD)
    assert commit(world, {"commitment": ONE}, "bank-1") == applied(("commitment", ONE))
    assert commit(world, {"commitment": ONE}, "bank-1", "m-1") == applied(("commitment", ONE))
    assert world.record(CARD) == before


def test_a_correction_names_what_it_replaces() -> None:
    world = open_world()
    opened = newest(world)
    first = commit(world, {"commitment": ONE, "of": opened}, "bank-1")
    assert first == applied(("commitment", ONE), ("of", opened))
    of = newest(world)
    second = commit(world, {"commitment": OTHER, "of": of}, "bank-1")
    assert second == applied(("commitment", OTHER), ("of", of))


def test_under_terms_it_is_the_same() -> None:
    world = paid_world()
    before = world.record(CARD)
    outcome = commit(world, {"commitment": ONE}, "bank-0")
    assert outcome == applied(("commitment", ONE))
    assert world.record(CARD) == before


def test_each_refusal_is_named() -> None:
    world = open_world(consumer_party="c-1")
    data = {"commitment": ONE}
    for signer in ("m-1", "c-1"):
        assert commit(world, data, signer) == refused(
            "missing_attester", ("role", "custodian"), ("party", "bank-1")
        )
    for signers in (("bank-2",), ("bank-1", "m-2")):
        assert commit(world, data, *signers) == refused("not_entitled", ("signer", signers[-1]))
    outcome = world.one(KIND, "contract/none", data, "bank-1")
    assert outcome == refused("unknown_contract", ("stream", "contract/none"))
    world = paid_world()
    of = newest(world)
    assert commit(world, data | {"of": NOWHERE}, "bank-0") == refused(
        "unknown_entry", ("of", NOWHERE)
    )
    outcome = commit(world, data | {"of": of}, "bank-0")
    assert (outcome.code, outcome.effects[0]) == ("wrong_entry", ("of", of))
    assert outcome.effects[-1] == (
        "expected",
        "prepaid.open contract.signed private.committed",
    )


def test_of_a_plain_contract_no_earlier_entry_is_read() -> None:
    """A node that joined by a snapshot has none of its entries, and came to another outcome."""
    world = open_world()
    assert commit(world, {"commitment": ONE, "of": NOWHERE}, "bank-1") == applied(
        ("commitment", ONE), ("of", NOWHERE)
    )


def test_a_correction_of_another_contracts_or_of_a_refused_entry_is_refused() -> None:
    world = paid_world()
    commit(world, {"commitment": ONE}, "m-1")
    of = newest(world)
    assert commit(world, {"commitment": ONE, "of": of}, "bank-0") == refused(
        "unknown_entry", ("of", of)
    )
    other = {
        "consumer": "ab" * 32,
        "custodian": "bank-1",
        "industry": "fitness",
        "merchant": "m-1",
        "terms_hash": "cd" * 32,
    }
    world.one("prepaid.open", "contract/card-2", other, "m-1")
    of = newest(world)
    assert commit(world, {"commitment": ONE, "of": of}, "bank-0") == refused(
        "unknown_entry", ("of", of)
    )


@pytest.mark.parametrize(
    "data", [{}, {"commitment": "11"}, {"commitment": ONE, "of": "x"}, {"commitment": ONE, "a": 1}]
)
def test_another_shape_is_told_at_the_door(data: dict[str, Any]) -> None:
    text = msgspec.Raw(encode_canonical(data))
    body = Body(text, KIND, 0, "r", "A" * 22, ["bank-1"], CARD, 1)
    with pytest.raises(Rejected, match=r"^bad_field: data of private\.committed: "):
        parse_data(body)
