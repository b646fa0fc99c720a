"""Attempts are on record as evidence, and nobody can make a record too long with them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Accepted, Refused
from ledger.refusal import Reason, Rejected
from node.attempts import Arrivals, check_attempt
from node.batch_book import BatchBook
from node.effects import Admitted
from node.intake import Parsed
from node.mempool import Mempool
from node.pool_admission import PoolAdmission
from node.submissions import Quota, Submissions
from storage.files import StorageFailure
from tests.contracts.world import CARD, World, open_world, read

FEW = 3


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.attempts.ATTEMPTS_MAX", FEW)


def attempt(world: World, stream: str = CARD) -> bytes:
    """What nobody but the merchant may say."""
    return world.submit("prepaid.prepay", stream, {"amount": 1}, "m-2")


def payment(world: World) -> bytes:
    return world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1")


def check(world: World, envelope: bytes, undecided: int = 0) -> None:
    check_attempt(world.chain, read(envelope), undecided, world.next_ms)


def test_a_crowded_record_takes_what_is_applied_and_no_more_attempts() -> None:
    world = open_world()
    for _ in range(FEW):
        check(world, attempt(world))
        assert world.run(attempt(world))[0].refused
    with pytest.raises(Rejected) as refused:
        check(world, attempt(world))
    assert refused.value.reason is Reason.TOO_MANY_ATTEMPTS
    assert refused.value.detail == (
        f"{CARD} has 3 attempts that were refused or that no block holds yet; from 3 on only what "
        f"would be applied is taken in, and as of block {world.chain.header.height} this would be "
        "refused as not_entitled"
    )
    assert "3 笔被拒或尚未入块的提交" in refused.value.detail_zh
    check(world, payment(world))
    check(world, attempt(world, "contract/card-2"))
    assert not world.run(payment(world))[0].refused


def test_what_no_block_holds_yet_counts_as_an_attempt() -> None:
    """A flood comes faster than blocks do."""
    world = open_world()
    check(world, attempt(world), undecided=FEW - 1)
    with pytest.raises(Rejected, match="has 3 attempts"):
        check(world, attempt(world), undecided=FEW)
    check(world, payment(world), undecided=FEW)


def test_other_streams_are_not_held_to_it() -> None:
    """How many were refused there a node that joined does not know."""
    world = open_world()
    check(world, world.submit("key.add", "party/m-2", {}, "m-1"), undecided=FEW)


def test_a_used_reference_is_an_attempt_too() -> None:
    world = open_world()
    first = world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1", reference="bill-1")
    world.run(first)
    again = world.submit("prepaid.prepay", CARD, {"amount": 2}, "m-1", reference="bill-1")
    with pytest.raises(Rejected, match=r"would be refused as reference_reused$"):
        check(world, again, undecided=FEW)


def test_the_pool_counts_what_waits_of_a_stream() -> None:
    world, pool = open_world(), Mempool()
    waiting = [read(attempt(world)) for _ in range(4)]
    for candidate in [*waiting, waiting[0]]:
        pool.add(candidate, is_local=False, now_ms=0)
    assert (pool.count_of(CARD), pool.count_of("contract/card-2")) == (4, 0)
    gone = [candidate.transaction.tx_id for candidate in waiting[:3]]
    pool.remove([*gone, gone[0], bytes(32)])
    assert pool.count_of(CARD) == 1
    pool.quarantine(waiting[3].transaction.tx_id)
    assert pool.count_of(CARD) == 0


def test_arrivals_end_as_often_as_they_begin() -> None:
    arrivals = Arrivals()
    for stream in ("a", "b", "a"):
        arrivals.begin(stream)
    arrivals.end(["a", "b"])
    assert [arrivals.of(stream) for stream in ("a", "b", "c")] == [1, 0, 0]


class Door:
    """A node's intake over a chain in memory; signatures are taken for good."""

    def __init__(self) -> None:
        self.world = open_world()
        self.pool = Mempool()
        admission = PoolAdmission(self.world.chain, self.pool, lambda level, text: None)
        self.fails = False
        self.counted: list[Reason] = []

        async def verify(items: Sequence[Parsed]) -> tuple[Sequence[Parsed], list[Parsed]]:
            return items, []

        async def write_spool(write: Any) -> None:
            if self.fails:
                raise StorageFailure("the disk is full")

        async def perform(event: Admitted) -> None:
            admission.admit(event.candidates, self.world.next_ms, is_local=event.is_local)

        genesis = self.world.genesis
        identity = SimpleNamespace(
            genesis=genesis, replica=0, signers=SimpleNamespace(party=self.world.key("bank-0"))
        )
        driver = SimpleNamespace(
            identity=identity,
            pool=self.pool,
            is_known=lambda tx_id: False,
            is_recent=admission.is_recent,
            check_admission=lambda candidate: admission.check(candidate, self.world.next_ms),
            check_attempt=lambda candidate, arriving: admission.check_attempt(
                candidate, arriving, self.world.next_ms
            ),
        )
        shell: Any = SimpleNamespace(
            chain=self.world.chain,
            driver=driver,
            book=BatchBook(),
            verify=verify,
            write_spool=write_spool,
            perform=perform,
            now_ms=lambda: self.world.next_ms,
            fail=lambda text: None,
            disk=SimpleNamespace(spool=SimpleNamespace(append=None)),
        )
        self.submissions = Submissions(
            shell, Quota(1_000, 1_000), lambda tx_id: None, self.counted.append
        )


async def test_attempts_of_one_request_count_before_any_is_in_the_pool() -> None:
    door = Door()
    answers = await door.submissions.submit([attempt(door.world) for _ in range(2 * FEW)])
    assert [type(answer) for answer in answers] == [Accepted] * FEW + [Refused] * FEW
    assert door.counted == [Reason.TOO_MANY_ATTEMPTS] * FEW
    assert door.pool.count_of(CARD) == FEW
    (answer,) = await door.submissions.submit([attempt(door.world)])
    assert isinstance(answer, Refused)
    assert (answer.rejected.reason, answer.retry_after_s) == (Reason.TOO_MANY_ATTEMPTS, None)
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Accepted)


async def test_what_was_promised_is_promised_again() -> None:
    """The same envelope is no further attempt."""
    door = Door()
    envelopes = [attempt(door.world) for _ in range(FEW)]
    first = await door.submissions.submit(envelopes)
    again = await door.submissions.submit(envelopes)
    assert [type(answer) for answer in [*first, *again]] == [Accepted] * (2 * FEW)


async def test_what_never_got_into_the_pool_is_not_counted() -> None:
    door = Door()
    door.fails = True
    with pytest.raises(StorageFailure):
        await door.submissions.submit([attempt(door.world) for _ in range(FEW)])
    door.fails = False
    answers = await door.submissions.submit([attempt(door.world) for _ in range(FEW)])
    assert [type(answer) for answer in answers] == [Accepted] * FEW
