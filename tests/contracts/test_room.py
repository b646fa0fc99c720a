"""Nobody fills up what a consumer's refund has to read: neither by attempts nor by statements."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import execution, handling
from contracts.lifecycle import AFTERLIFE_MS
from contracts.room import CONTRACT_ROOM, MERCHANT_ROOM
from contracts.streams import decode_stream_state, read_past, walk_applied, walk_back
from ledger.hashing import ZERO_HASH
from ledger.transaction import Outcome, refused
from tests.contracts.life_world import CARD, LifeWorld, effects
from tests.contracts.test_refunds import AS_OF, busy_world

COMPUTED = {"as_of": AS_OF}
MERCHANT = "merchant/m-1"
REPORT = {
    "balance": 1, "custody": 1, "issuer_class": "other", "quarter_end": "2026-03-31",
}  # fmt: skip


def compute(world: LifeWorld, signer: str = "c-1") -> Outcome:
    return world.event("refund.computed", COMPUTED, signer)


def attempts(world: LifeWorld, count: int, stream: str, signer: str) -> list[bytes]:
    """Return attempts to write into a stream that are recorded as refused."""
    kind = "service.stopped" if stream == CARD else "risk.declared"
    return [world.submit(kind, stream, {}, signer) for _ in range(count)]


def flood(world: LifeWorld, count: int, stream: str, signer: str) -> None:
    """Put such attempts into a stream."""
    outcomes = world.run(*attempts(world, count, stream, signer))
    assert {outcome.code for outcome in outcomes} == {"not_entitled"}


def bounded_world(monkeypatch: pytest.MonkeyPatch) -> tuple[LifeWorld, Outcome, int]:
    """Return a world, a refund computed in it, and its applied entries: two reads more are left."""
    world = busy_world()
    quiet = compute(world)
    applied = sum(
        decode_stream_state(world.memory.state(each)).applied for each in (CARD, MERCHANT)
    )
    monkeypatch.setattr(handling, "READS_MAX", applied + 2)
    return world, quiet, applied


class CountedReads:
    """Counts the earlier entries that execution reads of a world."""

    def __init__(self, world: LifeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = world.memory.entry

        def counted(tx_id: bytes) -> Any:
            self.count += 1
            return read(tx_id)

        monkeypatch.setattr(world.memory, "entry", counted)


@pytest.mark.parametrize("stream", [CARD, MERCHANT])
def test_attempts_of_strangers_cost_a_refund_nothing(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused attempts are entries of the stream, and once used up what a block may read."""
    world, quiet, applied = bounded_world(monkeypatch)
    flood(world, 3 * applied, stream, "m-2")
    reads = CountedReads(world, monkeypatch)
    outcome = compute(world)
    assert outcome == quiet
    assert reads.count == applied
    flood(world, 1, stream, "m-2")
    world.run(
        world.submit("service.stopped", CARD, {}, "m-2"),
        world.submit("service.stopped", CARD, {}, "m-1"),
    )
    monkeypatch.setattr(handling, "READS_MAX", applied + 4)
    assert compute(world).code == "", "and what comes between attempts is found"
    assert reads.count == applied + applied + 2


@pytest.mark.parametrize("stream", [CARD, MERCHANT])
def test_attempts_of_strangers_in_the_same_block_cost_a_refund_nothing(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, quiet, applied = bounded_world(monkeypatch)
    computed = world.submit("refund.computed", CARD, COMPUTED, "c-1")
    outcomes = world.run(*attempts(world, 2 * applied, stream, "m-2"), computed)
    assert {outcome.code for outcome in outcomes[:-1]} == {"not_entitled"}
    assert outcomes[-1] == quiet


def test_a_merchants_statements_leave_room_for_the_consumers_refund(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = busy_world()
    monkeypatch.setitem(CONTRACT_ROOM, "merchant", 12)
    monkeypatch.setitem(MERCHANT_ROOM, "merchant", 4)
    monkeypatch.setattr(handling, "READS_MAX", 24)
    given = [world.event("service.stopped", {}, "m-1") for _ in range(20)]
    stated = [world.one("risk.declared", MERCHANT, {}, "m-1") for _ in range(20)]
    before = sum(not outcome.refused for outcome in given)
    assert 0 < before < 12
    assert set(map(str, given[before:])) == {
        str(refused("too_many_entries", ("entries", 12), ("allowed", 12)))
    }
    assert [outcome.code for outcome in stated[:3]] == ["", "", ""]
    assert set(map(str, stated[3:])) == {
        str(refused("too_many_entries", ("entries", 4), ("allowed", 4)))
    }
    assert compute(world, "m-1") == refused("too_many_entries", ("entries", 12), ("allowed", 12)), (
        "its room is used up for whatever it states"
    )
    outcome = compute(world)
    assert outcome.code == ""
    assert effects(outcome)["due_high"] == world.card.due_high


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("risk.declared", {}),
        ("closing.notified", {"effective": "2026-05-01"}),
        ("moving.notified", {"effective": "2026-05-01"}),
        ("balance.reported", REPORT),
        ("liquidation.opened", {}),
        ("business.closed", {}),
    ],
)
def test_every_event_of_a_merchant_that_may_be_repeated_is_bounded(
    event: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = busy_world()
    monkeypatch.setitem(MERCHANT_ROOM, "merchant", 1)
    assert world.one(event, MERCHANT, data, "m-1") == refused(
        "too_many_entries", ("entries", 1), ("allowed", 1)
    )


def test_room_is_that_of_the_signer_who_has_most(monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy_world()
    count = decode_stream_state(world.memory.state(CARD)).applied
    for role in CONTRACT_ROOM:
        monkeypatch.setitem(CONTRACT_ROOM, role, count)
    full = refused("too_many_entries", ("entries", count), ("allowed", count))
    assert world.event("service.stopped", {}, "m-1") == full
    assert world.event("price.disputed", {}, "c-1") == full
    assert world.event("service.stopped", {}, "m-1", "c-1") == full
    newest = world.block.rows[0].tx_id.hex()
    confirmed = {"statement": "confirmed", "tx_id": newest}
    assert world.one("attest", CARD, confirmed, "c-1") == full
    assert world.one("attest", CARD, confirmed, "bank-1").code == ""
    monkeypatch.setitem(CONTRACT_ROOM, "consumer", count + 2)
    assert world.event("service.stopped", {}, "m-1", "c-1").code == ""
    full = refused("too_many_entries", ("entries", count + 2), ("allowed", count + 2))
    assert world.event("service.stopped", {}, "m-1", "c-1") == full
    for authority in ("bank-0", "bank-1", "bank-4", "court-1"):
        assert world.event("findings.computed", COMPUTED | {"packs": []}, authority).code == ""
    assert compute(world, "bank-4").code == ""
    assert compute(world, "bank-0").code == ""


def test_in_a_merchants_stream_authorities_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy_world()
    monkeypatch.setitem(MERCHANT_ROOM, "merchant", 1)
    monkeypatch.setitem(MERCHANT_ROOM, "custodian", 2)
    assert world.one("balance.reported", MERCHANT, REPORT, "bank-0").code == ""
    assert world.one("balance.reported", MERCHANT, REPORT, "bank-0") == refused(
        "too_many_entries", ("entries", 2), ("allowed", 2)
    )
    assert world.one("risk.declared", MERCHANT, {}, "bank-1").code == ""
    assert world.one("liquidation.opened", MERCHANT, {}, "court-1").code == ""


def test_nothing_is_bounded_once_a_contract_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many were applied a node may not know any more then, so it must not be asked."""
    world = busy_world()
    monkeypatch.setitem(CONTRACT_ROOM, "merchant", 1)
    assert world.event("service.stopped", {}, "m-1").code == "too_many_entries"
    compute(world, "bank-0")
    frozen = world.card.freezes[0].tx_id.hex()
    world.done("funds.unfrozen", {"of": frozen}, "court-1")
    world.done("funds.released", {"amount": world.card.locked}, "bank-0")
    world.done("contract.closed", {}, "bank-0")
    assert world.event("prior_use.stated", {"from": "none", "standing": "claim"}, "m-1").code == (
        "too_many_entries"
    )
    world.step_ms = AFTERLIFE_MS + 1
    assert world.event("prior_use.stated", {"from": "none", "standing": "claim"}, "m-1").code == ""


def test_the_bound_falls_on_the_same_statement_however_a_block_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A primary takes a block through its stages in other pieces than who checks it."""
    found = []
    for chunk in (1, 3, 256):
        with monkeypatch.context() as patch:
            patch.setattr(execution, "CHUNK", chunk)
            world = busy_world()
            count = decode_stream_state(world.memory.state(CARD)).applied
            patch.setitem(CONTRACT_ROOM, "merchant", count + 4)
            signers = ["m-1", "m-2", "m-1", "m-2", "m-1", "m-1", "m-1", "m-2"]
            outcomes = world.run(
                *[world.submit("service.stopped", CARD, {}, signer) for signer in signers]
            )
            codes = [outcome.code for outcome in outcomes]
            links = [row.previous_applied for row in world.block.rows]
            found.append((codes, links, world.block.header_bytes, world.block.stored))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == [
        "", "not_entitled", "", "not_entitled", "", "", "too_many_entries", "not_entitled",
    ]  # fmt: skip


def test_the_applied_entries_of_a_stream_are_a_chain_of_their_own() -> None:
    world = busy_world()
    for signers in (["m-2"] * 3, ["m-1"], ["m-1", "m-2", "m-2", "m-1", "m-2"]):
        world.run(*[world.submit("service.stopped", CARD, {}, signer) for signer in signers])
    for stream in (CARD, MERCHANT, "contract/none", "party/m-1", "signed/" + CARD):
        if stream == "contract/none":
            flood(world, 2, CARD, "m-2")
            world.one("service.stopped", stream, {}, "m-1")
        state = decode_stream_state(world.memory.state(stream))
        expected = [
            tx_id
            for tx_id, entry in walk_back(world.memory.entry, stream, state)
            if not read_past(tx_id, entry).refused
        ]
        walked = [tx_id for tx_id, _ in walk_applied(world.memory.entry, stream, state)]
        assert walked == expected
        assert state.applied == len(walked)
        assert state.refused == state.count - len(walked)
        assert state.newest_applied == (walked[0] if walked else ZERO_HASH)


def test_the_room_of_all_together_is_less_than_a_block_may_read() -> None:
    assert max(CONTRACT_ROOM.values()) + max(MERCHANT_ROOM.values()) + 4_000 <= handling.READS_MAX
    assert CONTRACT_ROOM["merchant"] < CONTRACT_ROOM["consumer"]
    for third in ("platform", "issuer"):
        assert CONTRACT_ROOM[third] < CONTRACT_ROOM["merchant"], "no stranger silences a side"


def test_a_merchant_without_room_states_with_its_custodian(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer who fills the record does not keep deliveries off it."""
    world = busy_world()
    monkeypatch.setitem(CONTRACT_ROOM, "merchant", 1)
    delivered = {"debited": 4800, "item": "cut", "units": 1}
    assert world.event("service.delivered", delivered, "m-1").code == "too_many_entries"
    assert world.event("service.delivered", delivered, "m-1", "bank-0").code == ""
    assert "custodian" not in CONTRACT_ROOM
