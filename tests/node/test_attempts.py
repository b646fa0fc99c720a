"""Attempts are on record as evidence, and nobody can make a record too long with them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Accepted, Refused
from ledger.refusal import Reason, Rejected
from node.attempts import Trials
from node.batch_book import BatchBook
from node.effects import Admitted
from node.intake import Parsed
from node.mempool import Mempool
from node.pool_admission import PoolAdmission
from node.submissions import Quota, Submissions
from node.undecided import Arrivals
from storage.files import StorageFailure
from tests.contracts.test_refunds import AS_OF, busy_world
from tests.contracts.world import CARD, World, open_world, read

FEW = 3


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.attempts.ATTEMPTS_MAX", FEW)


def attempt(world: World, stream: str = CARD, signer: str = "m-2") -> bytes:
    """What nobody but the merchant may say."""
    return world.submit("prepaid.prepay", stream, {"amount": 1}, signer)


def payment(world: World) -> bytes:
    return world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1")


def check(world: World, envelope: bytes, undecided: int = 0) -> None:
    """Try it beside so many that somebody else has waiting."""
    candidate, arriving = read(envelope), Arrivals()
    for _ in range(undecided):
        stream = candidate.transaction.body.stream
        arriving.begin(
            read(world.submit("prepaid.prepay", stream, {"amount": 1}, "m-3")).transaction
        )
    Trials(world.chain).check(candidate, world.next_ms, arriving)


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
    undecided = pool.undecided
    assert (undecided.count_of(CARD), undecided.count_of("contract/card-2")) == (4, 0)
    assert [undecided.has_of(CARD, signer) for signer in ("m-2", "m-1")] == [True, False]
    gone = [candidate.transaction.tx_id for candidate in waiting[:3]]
    pool.remove([*gone, gone[0], bytes(32)])
    assert (undecided.count_of(CARD), undecided.has_of(CARD, "m-2")) == (1, True)
    pool.quarantine(waiting[3].transaction.tx_id)
    assert (undecided.count_of(CARD), undecided.has_of(CARD, "m-2")) == (0, False)


def test_arrivals_end_as_often_as_they_begin() -> None:
    world, arrivals = open_world(), Arrivals()
    one, other = (read(attempt(world)).transaction for _ in range(2))
    for transaction in (one, other, one):
        arrivals.begin(transaction)
    assert arrivals.count_of(CARD) == 2
    arrivals.end([one, other])
    assert (one.tx_id in arrivals, other.tx_id in arrivals) == (True, False)
    assert (arrivals.count_of(CARD), arrivals.has_of(CARD, "m-2")) == (1, True)
    arrivals.end([one])
    assert (arrivals.count_of(CARD), arrivals.has_of(CARD, "m-2")) == (0, False)


class Door:
    """A node's intake over a chain in memory; signatures are taken for good."""

    def __init__(self) -> None:
        self.world = open_world()
        self.pool = Mempool()
        admission = PoolAdmission(self.world.chain, self.pool, lambda level, text: None)
        self.admission = admission
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
            is_on_trial=admission.is_on_trial,
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
        self.shell = shell
        self.submissions = Submissions(
            shell, Quota(1_000, 1_000), lambda tx_id: None, self.counted.append
        )


async def test_attempts_of_one_request_count_before_any_is_in_the_pool() -> None:
    door = Door()
    flood = [attempt(door.world) for _ in range(FEW)]
    flood += [attempt(door.world, signer="bank-1") for _ in range(FEW)]
    answers = await door.submissions.submit(flood)
    assert [type(answer) for answer in answers] == [Accepted] * FEW + [Refused] * FEW
    assert door.counted == [Reason.TOO_MANY_ATTEMPTS] * FEW
    assert door.pool.undecided.count_of(CARD) == FEW
    (answer,) = await door.submissions.submit([attempt(door.world, signer="bank-1")])
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


async def test_each_signer_has_one_undecided_entry_of_a_crowded_record() -> None:
    """Each would be applied on the state as it is, and all but one would be refused in the block:
    whoever may state something cannot heap up attempts either."""
    door = Door()
    for _ in range(FEW):
        door.world.run(attempt(door.world))
    bills = [
        door.world.submit("prepaid.prepay", CARD, {"amount": at}, "m-1", reference="bill-1")
        for at in range(1, 4)
    ]
    first, second, third = await door.submissions.submit(bills)
    assert isinstance(first, Accepted)
    for answer in (second, third):
        assert isinstance(answer, Refused)
        assert answer.rejected.reason is Reason.QUOTA_EXCEEDED
        assert answer.rejected.detail == (
            f"{CARD} has 4 attempts that were refused or that no block holds yet; from 3 on each "
            "signer's next is taken in once the one before is decided, and one of m-1 waits"
        )
        assert answer.retry_after_s == 1
    (again,) = await door.submissions.submit(bills[:1])
    assert isinstance(again, Accepted)
    door.world.commit(bills[0])
    door.pool.remove([first.tx_id])
    (later,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(later, Accepted)


async def test_what_waits_here_already_is_promised_however_crowded_its_record() -> None:
    """After a start the promises are forgotten, and the spool's envelopes are in the pool; others
    were brought by peers. The same envelope twice at once is no further attempt either."""
    door = Door()
    waiting = [attempt(door.world) for _ in range(FEW)]
    for envelope in waiting:
        door.pool.add(read(envelope), is_local=True, now_ms=0)
    answers = await door.submissions.submit(waiting)
    assert [type(answer) for answer in answers] == [Accepted] * FEW
    bill = payment(door.world)
    answers = await door.submissions.submit([bill, bill])
    assert [type(answer) for answer in answers] == [Accepted] * 2


async def test_what_a_block_took_meanwhile_is_no_attempt() -> None:
    door = Door()
    for _ in range(FEW):
        door.world.run(attempt(door.world))
    bill = payment(door.world)

    async def decide(items: Sequence[Parsed]) -> tuple[Sequence[Parsed], list[Parsed]]:
        door.world.commit(bill)
        door.admission.block_applied([read(bill).transaction.tx_id], [CARD])
        return items, []

    door.shell.verify = decide
    (answer,) = await door.submissions.submit([bill])
    assert isinstance(answer, Accepted)


def test_trials_at_one_height_read_no_more_than_a_block_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each costs some sixty reads: two of them fit, and the next has to wait for a block."""
    monkeypatch.setattr("node.attempts.READS_MAX", 130)
    world = busy_world()
    for _ in range(FEW):
        assert world.run(attempt(world))[0].refused
    trials = Trials(world.chain)

    def ask() -> None:
        envelope = world.submit("refund.computed", CARD, {"as_of": AS_OF}, "c-1")
        trials.check(read(envelope), world.next_ms)

    ask()
    ask()
    with pytest.raises(Rejected, match=r"try again after the next block$") as refused:
        ask()
    assert refused.value.reason is Reason.POOL_FULL
    trials.block_applied()
    ask()
