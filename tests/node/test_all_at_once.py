"""What is asked of many transactions at once is what is asked of each of them.

A block's content, the pool's door and the pool first ask whether there is anything to be said of
any transaction, and of each only where there is. Here a node that always asks of each goes beside.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import pytest

from contracts.execution import Candidate, Executor
from ledger.refusal import Rejected
from ledger.transaction import sign_batch
from node.mempool import Mempool
from node.pool_admission import INTAKE_MARGIN_MS, PoolAdmission
from tests.contracts.world import CARD, World, open_world, read

SEEDS: Final = range(12)


def say_nothing(level: str, text: str) -> None:
    """Nobody listens."""


def never(*_: Any, **__: Any) -> bool:
    return False


class Mix:
    """Transactions of which most may stand in the next block, and of the others one of each kind
    that may not, or is a refused attempt there."""

    def __init__(self, chance: random.Random) -> None:
        self.world = open_world()
        self.world.run(self.pay(reference="taken"))
        self.committed = self.pay()
        self.world.run(self.committed, self.world.registration("m-9"))
        data = {"party": "m-9"}
        self.world.run(self.world.submit("party.revoke", "party/m-9", data, "bank-0", "bank-1"))
        self.chance = chance

    def pay(self, *signers: str, **changes: Any) -> bytes:
        return self.world.submit(
            "prepaid.prepay", CARD, {"amount": 1}, *(signers or ("m-1",)), **changes
        )

    def odd(self) -> list[bytes]:
        """What there is something to be said of."""
        world = self.world
        body = world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1")
        return [
            self.pay(not_after=world.next_ms - 1),
            self.pay(not_after=world.next_ms + world.chain.limits.replay_window_ms + 1),
            self.committed,
            self.pay(reference="taken"),
            world.signed(world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1"), "m-2"),
            self.pay("m-9"),
            self.pay("nobody"),
            self.pay("m-1", "nobody"),
            *[world.signed(body, "m-1"), *sign_batch([body], world.chain_id, world.key("m-1"))],
        ]

    def plain(self, count: int) -> list[bytes]:
        """What nothing is to be said of."""
        bodies = [self.world.body("prepaid.prepay", CARD, {"amount": 1}, "m-1") for _ in range(3)]
        batch = sign_batch(bodies, self.world.chain_id, self.world.key("m-1"))
        signers = (("m-1",), ("m-2",), ("bank-0", "m-1"))
        return batch + [self.pay(*signers[at % 3]) for at in range(count)]

    def draw(self) -> list[Candidate]:
        """Some, in some order, some of them twice."""
        envelopes = self.plain(self.chance.randrange(6))
        if self.chance.random() < 0.7:
            envelopes += self.chance.sample(self.odd(), self.chance.choice((1, 1, 1, 2, 3)))
        self.chance.shuffle(envelopes)
        if self.chance.random() < 0.3:
            envelopes.append(self.chance.choice(envelopes))
        return [read(envelope) for envelope in envelopes]


def reasons(verdicts: Sequence[Rejected | None]) -> list[str | None]:
    return [None if verdict is None else str(verdict) for verdict in verdicts]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_block_admits_together_what_it_admits_one_by_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mix = Mix(random.Random(seed))
    world = mix.world
    ours, plain = (Executor(world.chain, world.next_ms) for _ in range(2))
    monkeypatch.setattr(plain, "_admit_all", never)
    seen: list[Candidate] = []
    for _ in range(8):
        drawn = mix.draw() + mix.chance.sample(seen, min(len(seen), mix.chance.randrange(3)))
        seen += drawn
        transactions = [candidate.transaction for candidate in drawn]
        verdicts = ours.admit(transactions)
        assert reasons(verdicts) == reasons(plain.admit(transactions))
        good = [each for each, verdict in zip(drawn, verdicts, strict=True) if verdict is None]
        assert ours.execute(good) == plain.execute(good) == []
    assert ours.outcomes == plain.outcomes
    finished = [executor.finish(0, 1) for executor in (ours, plain)]
    assert finished[0].header == finished[1].header
    assert finished[0].rows == finished[1].rows
    assert finished[0].stored == finished[1].stored


def test_what_nothing_is_to_be_said_of_is_admitted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mix = Mix(random.Random(0))
    executor = Executor(mix.world.chain, mix.world.next_ms)
    monkeypatch.setattr(executor, "_check_admissible", None)
    transactions = [read(envelope).transaction for envelope in mix.plain(6)]
    assert executor.admit(transactions) == [None] * len(transactions)


def holds(pool: Mempool, candidates: Sequence[Candidate]) -> list[Any]:
    """All that can be seen of a pool."""
    everyone = ("m-1", "m-2", "bank-0")
    return [
        list(pool.candidates()),
        pool.local_candidates(),
        pool.find_local_before(2**60, 10**6),
        pool.bytes,
        [pool.find_envelope(each.transaction.envelope_hash) for each in candidates],
        [pool.undecided.count_of(CARD, signer) for signer in everyone],
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pool_takes_together_what_it_takes_one_by_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    mix = Mix(chance)
    world = mix.world
    size = len(mix.pay())
    limits = {"transactions_max": 40, "bytes_max": 60 * size, "submitter_max": 25}
    if chance.random() < 0.5:
        limits |= {"transactions_max": 90, "bytes_max": 30 * size, "submitter_max": 80}
    pools = [Mempool(**limits) for _ in range(2)]
    ours, plain = (PoolAdmission(world.chain, pool, say_nothing) for pool in pools)
    monkeypatch.setattr(plain, "_may_all_wait", never)
    seen: list[Candidate] = []
    set_aside: list[Candidate] = []
    for step in range(16):
        drawn = mix.draw()
        drawn += chance.sample(seen, min(len(seen), chance.randrange(3)))
        seen += drawn
        if set_aside and chance.random() < 0.5:
            drawn.append(chance.choice(set_aside))
        is_local = chance.random() < 0.5
        now_ms = world.next_ms + step
        taken = [door.admit(drawn, now_ms, is_local=is_local) for door in (ours, plain)]
        assert taken[0] == taken[1]
        assert holds(pools[0], seen) == holds(pools[1], seen)
        waiting = [each.transaction.tx_id for each in pools[0].candidates()]
        if chance.random() < 0.3:
            gone = chance.sample(waiting, len(waiting) // 2)
            for door in (ours, plain):
                door.block_applied(gone, [CARD])
        elif waiting and chance.random() < 0.2:
            set_aside += list(pools[0].candidates())[:1]
            for pool in pools:
                pool.quarantine(waiting[0])
    for pool in pools:
        pool.remove([each.transaction.tx_id for each in seen])
        assert pool.bytes == 0
        assert not pool._submitters
        assert not pool._submitter_bytes


def test_what_is_new_and_has_room_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = Mix(random.Random(0))
    pool = Mempool()
    door = PoolAdmission(mix.world.chain, pool, say_nothing)
    monkeypatch.setattr(pool, "add", None)
    candidates = [read(envelope) for envelope in mix.plain(6)]
    for is_local, some in ((True, candidates[:4]), (False, candidates[4:])):
        assert door.admit(some, mix.world.next_ms, is_local=is_local) == some
    assert list(pool.candidates()) == candidates


def test_all_may_be_promised_only_where_each_may() -> None:
    said = []
    for seed in SEEDS:
        chance = random.Random(seed)
        mix = Mix(chance)
        pool = Mempool(transactions_max=30, submitter_max=18)
        door = PoolAdmission(mix.world.chain, pool, say_nothing)
        now_ms = mix.world.next_ms
        for _ in range(10):
            drawn = mix.draw()
            if chance.random() < 0.3:
                left_ms = INTAKE_MARGIN_MS + chance.choice((99, 100))
                drawn.append(read(mix.pay(not_after=now_ms + left_ms)))
            said.append(door.may_promise_all(drawn, now_ms, 100))
            for candidate in drawn if said[-1] else ():
                assert not door.is_on_chain(candidate.transaction)
                door.check(candidate, now_ms, 100)
            door.admit(drawn, now_ms, is_local=False)
    assert said.count(True) > 5


@pytest.mark.parametrize("left_ms", [INTAKE_MARGIN_MS + 99, INTAKE_MARGIN_MS + 100])
def test_what_is_nearly_too_late_is_asked_about_by_itself(left_ms: int) -> None:
    mix = Mix(random.Random(0))
    door = PoolAdmission(mix.world.chain, Mempool(), say_nothing)
    now_ms = mix.world.next_ms
    drawn = [read(mix.pay()), read(mix.pay(not_after=now_ms + left_ms))]
    assert door.may_promise_all(drawn, now_ms, 100) == (left_ms == INTAKE_MARGIN_MS + 100)


def test_there_is_room_for_all_up_to_each_bound() -> None:
    world: World = open_world()
    signers = ["m-1", "m-2"] + 6 * ["m-1"]
    many = [world.candidate("prepaid.prepay", CARD, {"amount": 1}, signer) for signer in signers]
    size = sum(len(each.transaction.raw) for each in many)
    own = size - len(many[1].transaction.raw)
    for limits, fits in (
        ({"transactions_max": 8, "submitter_max": 7}, True),
        ({"transactions_max": 7, "submitter_max": 7}, False),
        ({"submitter_max": 6}, False),
        ({"bytes_max": 2 * own}, True),
        ({"bytes_max": 2 * own - 2}, False),
    ):
        pool = Mempool(**limits)
        assert pool.has_room([each.transaction for each in many]) == fits
        assert pool.add_all(many, is_local=False, now_ms=0) == fits
        assert len(pool) == (8 if fits else 0)
    three = [
        world.candidate("prepaid.prepay", CARD, {"amount": 1}, signer)
        for signer in ("m-1", "m-2", "bank-0")
    ]
    size = sum(len(each.transaction.raw) for each in three)
    assert Mempool(bytes_max=size).add_all(three, is_local=False, now_ms=0)
    assert not Mempool(bytes_max=size - 1).add_all(three, is_local=False, now_ms=0)
    size = own + len(many[1].transaction.raw)
    for limits in ({"submitter_max": 7}, {"bytes_max": 2 * own}, {"bytes_max": size}):
        pool = Mempool(**limits)
        assert pool.add_all(many[:4], is_local=False, now_ms=0)
        more = world.candidate("prepaid.prepay", CARD, {"amount": 1}, "m-1")
        assert not pool.add_all([*many[4:], more], is_local=False, now_ms=0), "what it holds counts"
        assert len(pool) == 4
