"""The pool: bounded, fair, in the order of arrival, each transaction once."""

from __future__ import annotations

import itertools
import random

import pytest

from contracts.execution import Candidate
from ledger.refusal import Reason, Rejected
from ledger.transaction import sign_batch
from node.mempool import QUARANTINE_MAX, Mempool
from tests.contracts.world import CARD, World, read

WORLD = World()
NUMBERS = itertools.count(1_000_000)
"""Of references: all of one length, so that transactions of one amount are of one size."""


def make(party: str = "m-1", amount: int = 1, **changes: object) -> Candidate:
    changes = {"reference": f"R-{next(NUMBERS)}"} | changes
    return WORLD.candidate("prepaid.prepay", CARD, {"amount": amount}, party, **changes)


def add(pool: Mempool, candidate: Candidate, *, is_local: bool = True, now_ms: int = 0) -> bool:
    return pool.add(candidate, is_local=is_local, now_ms=now_ms)


def refusal(pool: Mempool, candidate: Candidate) -> Rejected:
    with pytest.raises(Rejected) as caught:
        add(pool, candidate)
    return caught.value


def test_a_transaction_is_in_the_pool_once_by_its_id() -> None:
    pool = Mempool()
    body = WORLD.body("prepaid.prepay", CARD, {"amount": 1}, "m-1")
    single = read(WORLD.signed(body, "m-1"))
    batched = read(sign_batch([body], WORLD.chain_id, WORLD.key("m-1"))[0])
    assert add(pool, single)
    assert not add(pool, single)
    assert not add(pool, batched)  # the same transaction in another envelope
    assert len(pool) == 1
    assert single.transaction.tx_id in pool
    assert list(pool.candidates()) == [single]
    # By envelope it is found only under the bytes that are here.
    assert pool.find_envelope(single.transaction.envelope_hash) is single
    assert pool.find_envelope(batched.transaction.envelope_hash) is None


def test_it_yields_in_the_order_of_arrival() -> None:
    pool = Mempool()
    candidates = [make(f"m-{number % 3}") for number in range(9)]
    for candidate in candidates:
        add(pool, candidate)
    assert list(pool.candidates()) == candidates
    pool.remove([candidates[4].transaction.tx_id])
    assert list(pool.candidates()) == [*candidates[:4], *candidates[5:]]
    assert add(pool, candidates[4])
    assert list(pool.candidates())[-1] is candidates[4]


def test_it_is_bounded_in_number() -> None:
    pool = Mempool(transactions_max=3, submitter_max=9)
    for _ in range(3):
        add(pool, make())
    rejected = refusal(pool, make("m-2"))
    size = pool.bytes
    assert str(rejected) == (
        f"pool_full: the pool holds 3 transactions and {size} bytes; try again shortly"
    )
    assert (len(pool), pool.bytes) == (3, size)


def test_it_is_bounded_in_bytes() -> None:
    first, second = make("m-1"), make("m-2")
    size = len(first.transaction.raw)
    pool = Mempool(bytes_max=2 * size)
    add(pool, first)
    assert (
        refusal(pool, make("m-2", reference="a much longer reference")).reason is Reason.POOL_FULL
    )
    assert len(second.transaction.raw) == size
    assert add(pool, second)
    assert pool.bytes == 2 * size


def test_one_submitter_cannot_shut_another_out() -> None:
    pool = Mempool(transactions_max=10)
    for _ in range(5):
        add(pool, make("m-1"))
    rejected = refusal(pool, make("m-1"))
    assert str(rejected) == (
        "quota_exceeded: submitter m-1 has 5 transactions waiting; at most 5 may wait"
    )
    assert add(pool, make("m-2"))
    pool.remove([next(pool.candidates()).transaction.tx_id])
    assert add(pool, make("m-1"))


def test_one_submitter_cannot_shut_another_out_with_large_transactions() -> None:
    """A few thousand of the largest would fill the pool's bytes long before half its number."""
    size = len(make("m-1").transaction.raw)
    pool = Mempool(bytes_max=6 * size)
    for _ in range(3):
        add(pool, make("m-1"))
    rejected = refusal(pool, make("m-1"))
    assert str(rejected) == (
        f"quota_exceeded: submitter m-1 has {3 * size} bytes of transactions waiting; at most "
        f"{3 * size} may wait"
    )
    assert add(pool, make("m-2"))
    pool.remove([next(pool.candidates()).transaction.tx_id])
    assert add(pool, make("m-1"))
    assert refusal(pool, make("m-1")).reason is Reason.QUOTA_EXCEEDED


def test_a_small_pool_still_takes_one() -> None:
    assert add(Mempool(transactions_max=1), make())


def test_removal_gives_back_what_was_taken_and_forgives_strangers() -> None:
    pool = Mempool(transactions_max=4)
    candidates = [make("m-1"), make("m-1"), make("m-2")]
    for candidate in candidates:
        add(pool, candidate)
    ids = [candidate.transaction.tx_id for candidate in candidates]
    pool.remove([bytes(32), *ids, *ids])
    assert (len(pool), pool.bytes) == (0, 0)
    for candidate in candidates:
        assert pool.find_envelope(candidate.transaction.envelope_hash) is None
        assert candidate.transaction.tx_id not in pool
        assert add(pool, candidate)


def test_what_cannot_be_executed_here_is_set_aside_for_good() -> None:
    pool = Mempool()
    poison, other = make(), make()
    add(pool, poison)
    add(pool, other)
    pool.quarantine(poison.transaction.tx_id)
    assert list(pool.candidates()) == [other]
    assert not add(pool, poison)
    assert poison.transaction.tx_id not in pool
    for number in range(QUARANTINE_MAX - 1):
        pool.quarantine(number.to_bytes(32, "big"))
    assert not add(pool, poison)
    pool.quarantine(bytes([255]) * 32)  # one too many: the oldest is forgotten
    assert add(pool, poison)


def test_local_transactions_are_told_apart_and_found_by_age() -> None:
    pool = Mempool()
    mine = [make(), make(), make()]
    add(pool, mine[0], now_ms=100)
    add(pool, make(), is_local=False, now_ms=150)
    add(pool, mine[1], now_ms=200)
    add(pool, mine[2], now_ms=300)
    assert pool.local_candidates() == mine
    assert pool.find_local_before(99, 9) == []
    assert pool.find_local_before(100, 9) == mine[:1]
    assert pool.find_local_before(200, 9) == mine[:2]
    assert pool.find_local_before(900, 2) == mine[:2]


def test_a_clock_that_was_put_back_hides_nothing_that_came_after() -> None:
    pool = Mempool()
    late = make()
    add(pool, make(), now_ms=9_000)
    add(pool, late, now_ms=100)
    assert pool.find_local_before(200, 9) == [late]


def test_what_a_peer_relayed_first_is_local_once_it_is_submitted_here() -> None:
    pool = Mempool()
    candidate = make()
    add(pool, candidate, is_local=False, now_ms=100)
    assert pool.local_candidates() == []
    assert not add(pool, candidate, is_local=True, now_ms=200)
    assert pool.local_candidates() == [candidate], "it is promised now"
    add(pool, candidate, is_local=False, now_ms=300)
    assert pool.local_candidates() == [candidate], "and a repeat takes no promise back"
    assert pool.find_local_before(100, 9) == [candidate], "it has waited since it came"


def test_what_is_submitted_here_waits_in_its_own_envelope() -> None:
    """Another one that a peer relayed first may be signed with a key that ends before its turn."""
    pool = Mempool()
    body = WORLD.body("prepaid.prepay", CARD, {"amount": 1}, "m-1")
    mine = read(WORLD.signed(body, "m-1"))
    relayed = read(sign_batch([body], WORLD.chain_id, WORLD.key("m-1"))[0])
    later = make()
    add(pool, relayed, is_local=False, now_ms=100)
    add(pool, later)
    assert not add(pool, mine)
    assert list(pool.candidates()) == [mine, later], "in the place of the other"
    assert pool.find_envelope(mine.transaction.envelope_hash) is mine
    assert pool.find_envelope(relayed.transaction.envelope_hash) is None
    assert pool.bytes == len(mine.transaction.raw) + len(later.transaction.raw)
    assert not add(pool, relayed)
    assert not add(pool, relayed, is_local=False)
    assert list(pool.candidates()) == [mine, later], "what is promised gives way to nothing"
    pool.remove([mine.transaction.tx_id, later.transaction.tx_id])
    assert pool.bytes == 0
    quarter = Mempool(bytes_max=2 * len(mine.transaction.raw))
    add(quarter, relayed, is_local=False)
    add(quarter, mine)
    quarter.remove([mine.transaction.tx_id])
    assert add(quarter, mine), "nothing of the other is counted on"


def test_its_sums_hold_over_a_long_life() -> None:
    chance = random.Random("pool")
    pool = Mempool(transactions_max=20, submitter_max=8)
    made = [make(f"m-{number % 4}", 10 ** (number % 9)) for number in range(60)]
    for _ in range(3_000):
        candidate = chance.choice(made)
        if chance.random() < 0.6:
            try:
                add(pool, candidate)
            except Rejected:
                pass
        else:
            pool.remove([candidate.transaction.tx_id])
        waiting = [item.transaction for item in pool.candidates()]
        assert pool.bytes == sum(len(transaction.raw) for transaction in waiting)
        assert len(pool) == len(waiting) <= 20
        for party in range(4):
            held = sum(transaction.body.signers[0] == f"m-{party}" for transaction in waiting)
            assert held <= 8
