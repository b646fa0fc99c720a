"""Random lives under terms: books conserve, nothing is below 0, replay gives the same state.

A life is a seeded walk of events, right and wrong ones, through several contracts of two merchants
and two custodians, in blocks of several transactions. After every block the auditor adds up.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from contracts.kinds import KINDS
from contracts.lifecycle import EVENTS, MERCHANT_EVENTS, find_attesters
from ledger.transaction import compute_tx_id, decode_transaction
from tests.contracts.life_world import LOCKED, LifeWorld
from tests.contracts.samples import SAMPLES, SIGNER_OF
from tests.contracts.test_contract import audited

SEEDS = range(24)
BLOCKS = 25
CARDS = ("contract/a", "contract/b", "contract/c")
COMMON = (
    "funds.locked",
    "service.delivered",
    "funds.released",
    "refund.computed",
    "refund.paid",
    "interest.accrued",
    "termination.requested",
    "funds.frozen",
)
VOUCHERS = ([], SAMPLES["funds.locked"]["vouchers"])
SIGNERS = SIGNER_OF | {"regulator": ("bank-1", "bank-2"), "issuer": ("bank-0",)}
PRESENT = {"m-1", "m-2", "c-1", "bank-0", "bank-1", "bank-2", "bank-3", "bank-4", "court-1"}


class Walk:
    """Chooses events; knows nothing of what they do."""

    def __init__(self, world: LifeWorld, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.seen: dict[str, list[str]] = {}

    def next_event(self) -> bytes:
        chance = self.chance
        if chance.random() < 0.05:
            event = chance.choice(MERCHANT_EVENTS)
            stream = "merchant/m-1"
        else:
            event = chance.choice(COMMON if chance.random() < 0.7 else EVENTS)
            stream = chance.choice(CARDS)
        data = dict(SAMPLES.get(event, {}))
        if "amount" in data and event != "finance.linked":
            data["amount"] = chance.choice([1, 50, 3_000, 100_000, 10**10])
        if event == "funds.locked":
            data["custody"] = chance.choice(["none", "held", "ordered"])
            data["bonus"] = chance.choice([0, 500])
            data["vouchers"] = chance.choice(VOUCHERS)
            data["amount"] = chance.choice([0, 1, 100_000])
        if event == "funds.frozen" and chance.random() < 0.5:
            data |= {"amount": 0, "share_ppm": chance.choice([1, 300_000, 1_000_000])}
        if event == "contract.signed":
            data |= self.world.signing() | {"custodian": chance.choice(["bank-0", "g-1"])}
        if event in ("service.delivered", "funds.locked") and chance.random() < 0.5:
            data |= {"counter": chance.randrange(1, 9), "device": "till-1"}
        if "of" in data and self.seen.get(stream):
            data["of"] = chance.choice(self.seen[stream])
        role = chance.choice(find_attesters(event))
        signers = SIGNERS[role]
        if not set(signers) <= PRESENT or chance.random() < 0.06:
            signers = (chance.choice(["m-2", "c-1"]),)
        envelope = self.world.submit(event, stream, data, *signers)
        body = decode_transaction(envelope).envelope.body
        self.seen.setdefault(stream, []).append(compute_tx_id(body).hex())
        return envelope


def live(seed: int) -> tuple[LifeWorld, list[tuple[bytes, ...]], set[str]]:
    world = LifeWorld()
    for card in CARDS:
        world.must("contract.signed", card, world.signing(), "m-1", "c-1")
    walk = Walk(world, random.Random(seed))
    blocks = []
    codes: set[str] = set()
    for _ in range(BLOCKS):
        block = tuple(walk.next_event() for _ in range(walk.chance.randrange(1, 12)))
        blocks.append(block)
        codes |= {outcome.code for outcome in world.run(*block)}
        assert audited(world) == [], f"seed {seed}"
        for card in CARDS:
            record: Any = world.record(card)
            amounts = (record.locked, record.released, record.refunded, record.repaid)
            assert min(amounts) >= 0, f"seed {seed}"
    return world, blocks, codes


@pytest.mark.parametrize("seed", SEEDS)
def test_books_conserve_and_replay_gives_the_same_root(seed: int) -> None:
    world, blocks, _ = live(seed)
    again = LifeWorld()
    for card in CARDS:
        again.must("contract.signed", card, again.signing(), "m-1", "c-1")
    for block in blocks:
        again.run(*block)
    assert again.chain.header_hash == world.chain.header_hash


def test_the_walks_meet_money_freezes_refunds_and_refusals() -> None:
    met: set[str] = set()
    for seed in SEEDS[:8]:
        _, _, codes = live(seed)
        met |= codes
    assert {"", "insufficient_locked", "frozen", "refund_above_due", "not_computed"} <= met
    assert {"counter_repeated", "transition_not_allowed", "not_attested"} <= met


def test_independent_events_of_one_day_may_come_in_any_order() -> None:
    """Deliveries, a gift and a statement: each order leaves the same books."""
    ends = []
    for seed in range(6):
        world = LifeWorld()
        world.must("contract.signed", CARDS[0], world.signing(), "m-1", "c-1")
        world.must("funds.locked", CARDS[0], LOCKED, "bank-0")
        at = world.chain.header.time_ms
        events = [
            world.submit(kind, CARDS[0], SAMPLES.get(kind, {}) | {"occurred_at": at}, "m-1")
            for kind in ("service.delivered", "service.delivered", "gift.given", "cause.stated")
        ]
        random.Random(seed).shuffle(events)
        world.run(*events)
        ends.append(world.record(CARDS[0]))
    assert all(end == ends[0] for end in ends)


def test_every_kind_of_the_walk_is_a_kind() -> None:
    assert {(event, 1) for event in (*EVENTS, *MERCHANT_EVENTS)} <= set(KINDS)
