"""Attempts are on record as evidence, and nobody can make a record too long with them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from api.ports import Accepted, Refused, Unavailable
from ledger.refusal import Reason, Rejected
from ledger.transaction import Check
from ledger.words import Words
from node.attempts import Trials
from node.effects import Admitted
from node.examiner import Examiner
from node.fair_turns import FairTurns
from node.intake import Parsed
from node.mempool import Mempool
from node.pool_admission import PoolAdmission
from node.submissions import BLOCKS_WAITING_MAX, Quota, Submissions
from node.undecided import UNASKED_BLOCKS_MAX, Arrivals, Undecided
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


def crowded() -> World:
    """A contract whose record is full of refused attempts."""
    world = open_world()
    for _ in range(FEW):
        check(world, attempt(world))
        assert world.run(attempt(world))[0].refused
    return world


def check(world: World, envelope: bytes) -> None:
    Trials(world.chain).check(read(envelope), world.next_ms, Undecided(tuple))


def test_a_crowded_record_takes_what_is_applied_and_no_more_attempts() -> None:
    world = crowded()
    with pytest.raises(Rejected) as refused:
        check(world, attempt(world))
    assert refused.value.reason is Reason.TOO_MANY_ATTEMPTS
    assert refused.value.detail == (
        f"{CARD} has 3 attempts that were refused; from 3 on only what would be applied is taken "
        f"in, and as of block {world.chain.header.height} this would be refused as not_entitled"
    )
    assert "3 笔被拒的提交" in refused.value.detail_zh
    check(world, payment(world))
    check(world, attempt(world, "contract/card-2"))
    assert not world.run(payment(world))[0].refused


def test_other_streams_are_not_held_to_it() -> None:
    """How many were refused there a node that joined does not know."""
    world = open_world()
    stranger = [world.submit("key.add", "party/m-2", {}, "m-1") for _ in range(FEW + 1)]
    assert all(outcome.refused for outcome in world.run(*stranger[:FEW]))
    check(world, stranger[FEW])


def test_a_used_reference_is_an_attempt_too() -> None:
    world = crowded()
    first = world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1", reference="bill-1")
    world.run(first)
    again = world.submit("prepaid.prepay", CARD, {"amount": 2}, "m-1", reference="bill-1")
    with pytest.raises(Rejected, match=r"would be refused as reference_reused$"):
        check(world, again)


def test_the_pool_knows_whose_transactions_of_a_stream_wait() -> None:
    world, pool = open_world(), Mempool()
    waiting = [read(attempt(world)) for _ in range(4)]
    for candidate in [*waiting, waiting[0]]:
        pool.add(candidate, is_local=False, now_ms=0)
    undecided = pool.undecided
    assert [undecided.count_of(CARD, signer) for signer in ("m-2", "m-1")] == [4, 0]
    gone = [candidate.transaction.tx_id for candidate in waiting[:3]]
    pool.remove([*gone, gone[0], bytes(32)])
    assert undecided.count_of(CARD, "m-2") == 1
    pool.quarantine(waiting[3].transaction.tx_id)
    assert undecided.count_of(CARD, "m-2") == 0


def test_whose_transactions_wait_is_counted_from_the_first_question_on() -> None:
    world, pool = open_world(), Mempool()
    waiting = [read(attempt(world)) for _ in range(5)]
    pool.add(waiting[0], is_local=False, now_ms=0)
    pool.add_all(waiting[1:3], is_local=False, now_ms=0)
    pool.remove([waiting[0].transaction.tx_id])
    assert pool.undecided._counts is None, "nobody has asked"
    assert pool.undecided.count_of(CARD, "m-2") == 2
    pool.add(waiting[3], is_local=False, now_ms=0)
    pool.add_all(waiting[4:], is_local=False, now_ms=0)
    assert pool.undecided.count_of(CARD, "m-2") == 4
    for _ in range(UNASKED_BLOCKS_MAX):
        pool.undecided.block_applied()
    assert pool.undecided._counts is not None
    assert pool.undecided.count_of(CARD, "m-2") == 4, "asked again, it goes on"
    for _ in range(UNASKED_BLOCKS_MAX + 1):
        pool.undecided.block_applied()
    assert pool.undecided._counts is None
    pool.remove([each.transaction.tx_id for each in waiting[1:3]])
    assert pool.undecided.count_of(CARD, "m-2") == 2


def test_blocks_end_the_counting_where_nobody_asks() -> None:
    door = Door()
    for counted in (door.pool.undecided, door.submissions._arrivals.undecided):
        counted.count_of(CARD, "m-2")
        for _ in range(UNASKED_BLOCKS_MAX + 1):
            assert counted._counts is not None
            door.admission.block_applied([], [])
            door.submissions.settle([])
        assert counted._counts is None


def test_arrivals_end_as_often_as_they_begin() -> None:
    world, arrivals = open_world(), Arrivals()
    one, other = (read(attempt(world)).transaction for _ in range(2))
    for transaction in (one, other, one):
        arrivals.begin(transaction)
    assert arrivals.undecided.count_of(CARD, "m-2") == 2
    arrivals.end([one, other])
    assert (one.tx_id in arrivals, other.tx_id in arrivals) == (True, False)
    assert arrivals.undecided.count_of(CARD, "m-2") == 1
    arrivals.end([one])
    assert arrivals.undecided.count_of(CARD, "m-2") == 0


class Door:
    """A node's intake over a chain in memory; signatures are taken for good."""

    def __init__(self, *, is_crowded: bool = True) -> None:
        self.world = crowded() if is_crowded else open_world()
        self.pool = Mempool()
        admission = PoolAdmission(self.world.chain, self.pool, lambda level, text: None)
        self.admission = admission
        self.fails = False
        self.counted: list[Reason] = []

        class Believer:
            async def verify(self, checks: Sequence[Check]) -> list[bool]:
                return [True] * len(checks)

        async def write_spool(write: Any) -> None:
            if self.fails:
                raise StorageFailure("the disk is full", "磁盘空间不足")

        async def perform(event: Admitted) -> None:
            admission.admit(event.candidates, self.world.next_ms, is_local=event.is_local)

        genesis = self.world.genesis
        identity = SimpleNamespace(
            genesis=genesis, replica=0, signers=SimpleNamespace(party=self.world.key("bank-0"))
        )
        driver = SimpleNamespace(
            identity=identity,
            pool=self.pool,
            tip_height=self.world.chain.header.height,
            is_on_chain=lambda transaction: False,
            is_recent=admission.is_recent,
            check_admission=lambda candidate: admission.check(candidate, self.world.next_ms, 0),
            may_admit_all=lambda candidates: admission.may_promise_all(
                candidates, self.world.next_ms, 0
            ),
            is_on_trial=admission.is_on_trial,
            check_attempt=lambda candidate, arriving: admission.check_attempt(
                candidate, arriving, self.world.next_ms
            ),
        )
        shell: Any = SimpleNamespace(
            chain=self.world.chain,
            driver=driver,
            examiner=Examiner(Believer(), self.world.chain.chain_id),
            turns=FairTurns(1),
            relayed=SimpleNamespace(count=0, bytes=0),
            write_spool=write_spool,
            perform=perform,
            now_ms=lambda: self.world.next_ms,
            fail=lambda text: None,
            is_stopped=False,
            disk=SimpleNamespace(spool=SimpleNamespace(append=None)),
        )
        self.shell = shell
        self.submissions = Submissions(
            shell, Quota(1_000, 1_000), lambda tx_id: None, self.counted.append
        )


async def test_what_comes_in_bulk_is_taken_however_much_of_it_waits() -> None:
    """It builds on itself, and there is no state yet to try it on."""
    door = Door(is_crowded=False)
    bulk = [attempt(door.world) for _ in range(3 * FEW)]
    answers = await door.submissions.submit(bulk)
    answers += await door.submissions.submit([payment(door.world)])
    assert [type(answer) for answer in answers] == [Accepted] * (3 * FEW + 1)


@pytest.mark.parametrize("count", [1, 2])
async def test_nothing_is_promised_behind_the_tip_of_the_chain(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is behind counted from its own height, and signed what was broken already; and
    counted from the tip, it took for good keys that had ended below it, which excuses nobody."""
    monkeypatch.setattr("node.submissions.ROOM_WAIT_S", 0.01)
    monkeypatch.setattr("node.submissions.TIP_LOOK_S", 0.001)
    door = Door(is_crowded=False)
    own = door.world.chain.header.height
    envelopes = [payment(door.world) for _ in range(count)]
    door.shell.driver.tip_height = own + 1
    with pytest.raises(Unavailable, match=r"^this node has not caught up with block \d+, which"):
        await door.submissions.submit(envelopes)
    assert len(door.pool) == 0
    door.shell.driver.tip_height = own
    answers = await door.submissions.submit(envelopes)
    promised = {answer.receipt.height_max for answer in answers if isinstance(answer, Accepted)}
    assert promised == {own + door.world.genesis.parameters.intake_heights}


async def test_nothing_is_promised_while_the_tip_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither before it is on the disk nor, where the node was stopped meanwhile, after."""
    monkeypatch.setattr("node.submissions.ROOM_WAIT_S", 0.01)
    monkeypatch.setattr("node.submissions.TIP_LOOK_S", 0.001)
    door = Door(is_crowded=False)
    driver, tip_height = door.shell.driver, door.shell.driver.tip_height
    envelope = payment(door.world)
    driver.tip_height = None
    with pytest.raises(Unavailable, match=r"^too few members have told this node lately"):
        await door.submissions.submit([envelope])
    assert len(door.pool) == 0
    driver.tip_height = tip_height
    perform = door.shell.perform

    async def stopped(event: Admitted) -> None:
        await perform(event)
        driver.tip_height = None

    door.shell.perform = stopped
    with pytest.raises(Unavailable):
        await door.submissions.submit([envelope])
    assert door.submissions.promise(read(envelope).transaction.tx_id) is None
    asked = asyncio.create_task(door.submissions.submit([envelope]))
    await asyncio.sleep(0)
    driver.tip_height, door.shell.perform = tip_height, perform
    (answer,) = await asked
    assert isinstance(answer, Accepted), "whoever waits is answered once it is known"


async def test_what_could_not_be_executed_here_is_told_so_and_not_that_the_pool_is_full() -> None:
    """It was spooled anew at each asking, and who asked was told that the pool had filled up."""
    door = Door(is_crowded=False)
    promised, stranger = payment(door.world), payment(door.world)
    (accepted,) = await door.submissions.submit([promised])
    for envelope in (promised, stranger):
        door.pool.quarantine(read(envelope).transaction.tx_id)
    written: list[Any] = []

    async def write_spool(write: Any) -> None:
        written.append(write)

    door.shell.write_spool = write_spool
    refused, other = await door.submissions.submit([stranger, promised])
    assert isinstance(refused, Refused)
    tx_id = read(stranger).transaction.tx_id.hex()
    assert (refused.rejected.reason, refused.retry_after_s) == (Reason.SET_ASIDE, None)
    assert f"transaction {tx_id} is set aside: executing it failed" in refused.rejected.detail
    assert f"交易 {tx_id} 已搁置" in refused.rejected.detail_zh
    assert type(other) is type(accepted) is Accepted, "what was promised stays promised"
    assert written == []


async def test_the_door_counts_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks' worth in number, if each is large, were many blocks, and what was promised behind
    them came after all of them: a member that relays such to each node for itself had time to see
    the promise broken."""
    monkeypatch.setattr("node.submissions.ROOM_WAIT_S", 0.01)
    door = Door(is_crowded=False)
    parameters = door.world.genesis.parameters
    bytes_max = BLOCKS_WAITING_MAX * parameters.block_bytes_max
    envelope = payment(door.world)
    while door.pool.bytes + len(envelope) <= bytes_max:
        door.pool.add(read(payment(door.world)), is_local=False, now_ms=0)
    assert len(door.pool) < parameters.block_transactions_max
    (answer,) = await door.submissions.submit([envelope])
    assert isinstance(answer, Refused)
    assert (answer.rejected.reason, answer.retry_after_s) == (Reason.POOL_FULL, 1)
    door.pool.remove([candidate.transaction.tx_id for candidate in [*door.pool.candidates()][:2]])
    both = [envelope, payment(door.world)]
    answers = await door.submissions.submit(both)
    assert [type(answer) for answer in answers] == [Accepted, Accepted]
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Refused), "these two count as well"


async def test_who_goes_away_as_its_turn_at_the_door_comes_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets a cancellation that meets what was waited for: a
    request that was given up went on, and the node promised it to nobody."""
    door = Door(is_crowded=False)
    held = BLOCKS_WAITING_MAX * door.world.genesis.parameters.block_transactions_max
    monkeypatch.setattr(Mempool, "__len__", lambda _: held)
    request = asyncio.create_task(door.submissions.submit([payment(door.world)]))
    await asyncio.sleep(0.01)
    held = 0
    door.submissions.settle([])
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert door.submissions._entering == 0


@pytest.mark.parametrize("measure", ["count", "bytes"])
async def test_what_peers_have_relayed_counts_at_the_door_up_to_half_of_the_room(
    monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    """It comes before what is let in now; a peer that floods does not shut the door with it."""
    monkeypatch.setattr("node.submissions.ROOM_WAIT_S", 0.01)
    door = Door(is_crowded=False)
    parameters = door.world.genesis.parameters
    envelope = payment(door.world)
    fits = {
        "count": BLOCKS_WAITING_MAX * parameters.block_transactions_max // 2,
        "bytes": BLOCKS_WAITING_MAX * parameters.block_bytes_max // 2 // len(envelope),
    }[measure]

    def holds(number: int) -> None:
        door.pool.bytes = number * len(envelope) if measure == "bytes" else 0
        length = number if measure == "count" else min(number, 1)
        monkeypatch.setattr(Mempool, "__len__", lambda _: length)

    setattr(door.shell.relayed, measure, 10**9)
    holds(fits - 1)
    (answer,) = await door.submissions.submit([envelope])
    assert isinstance(answer, Accepted), "the last for which there is room"
    holds(fits)
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Refused)
    holds(0)
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Accepted), "an empty pool takes whatever comes"
    holds(fits)
    setattr(door.shell.relayed, measure, 0)
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Accepted), "nothing is relayed"


async def test_attempts_on_a_crowded_record_are_turned_away_at_the_door() -> None:
    door = Door()
    answers = await door.submissions.submit([attempt(door.world), payment(door.world)])
    assert [type(answer) for answer in answers] == [Refused, Accepted]
    assert isinstance(answers[0], Refused)
    reason, retry_after_s = answers[0].rejected.reason, answers[0].retry_after_s
    assert (reason, retry_after_s) == (Reason.TOO_MANY_ATTEMPTS, None)
    assert door.counted == [Reason.TOO_MANY_ATTEMPTS]
    assert len(door.pool) == 1


async def test_the_quota_goes_on_while_attempts_are_tried() -> None:
    """Others have their turn at each trial, and take from the same quota by a later clock: one that
    stood still here would set it back, and what came in between would be given twice."""
    door = Door()
    now_ms = door.world.next_ms
    check_attempt = door.shell.driver.check_attempt

    def tried(*arguments: Any) -> None:
        nonlocal now_ms
        now_ms += 1_000
        check_attempt(*arguments)

    door.shell.driver.check_attempt = tried
    door.shell.now_ms = lambda: now_ms
    submissions = Submissions(door.shell, Quota(1, 1), lambda tx_id: None, door.counted.append)
    await submissions.submit([attempt(door.world) for _ in range(3)])
    assert door.counted == [Reason.TOO_MANY_ATTEMPTS] * 3


async def test_what_was_promised_is_promised_again() -> None:
    """The same envelope is no further attempt."""
    door = Door(is_crowded=False)
    envelopes = [attempt(door.world) for _ in range(2)]
    first = await door.submissions.submit(envelopes)
    for _ in range(FEW):
        door.world.run(attempt(door.world))
    again = await door.submissions.submit(envelopes)
    assert [type(answer) for answer in [*first, *again]] == [Accepted] * 4


async def test_a_spool_that_cannot_be_opened_stops_the_node_and_whoever_waits_is_told() -> None:
    """No descriptor was left, or its file was gone: those who waited were never answered, held
    their room at the door for ever, and the node went on."""
    door = Door(is_crowded=False)
    stopped: list[Words] = []
    door.shell.fail = stopped.append

    async def write_spool(write: Any) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "spool/spool-0")

    door.shell.write_spool = write_spool
    with pytest.raises(StorageFailure, match="Too many open files"):
        await asyncio.wait_for(door.submissions.submit([payment(door.world)]), 1)
    assert len(stopped) == 1
    assert door.submissions._entering == 0


async def test_a_step_that_breaks_off_leaves_nobody_waiting() -> None:
    """The node stopped, and who waited for the disk was never answered."""
    door = Door(is_crowded=False)

    async def perform(event: Admitted) -> None:
        raise LookupError("a mistake of the software")

    door.shell.perform = perform
    with pytest.raises(LookupError):
        await asyncio.wait_for(door.submissions.submit([payment(door.world)]), 1)
    assert door.submissions._entering == 0


@pytest.mark.parametrize("count", [1, 2])
async def test_what_was_promised_and_left_the_pool_is_taken_in_anew(count: int) -> None:
    """Its key ended and it was dropped; signed with another it was promised again, in a batch up to
    a later height, and neither spooled nor put into the pool."""
    door = Door(is_crowded=False)
    envelopes = [payment(door.world) for _ in range(count)]
    ids = [read(envelope).transaction.tx_id for envelope in envelopes]
    await door.submissions.submit(envelopes)
    door.pool.remove(ids)
    answers = await door.submissions.submit(envelopes)
    assert [type(answer) for answer in answers] == [Accepted] * count
    assert all(tx_id in door.pool for tx_id in ids)


async def test_what_never_got_into_the_pool_is_not_counted() -> None:
    door = Door()
    door.fails = True
    with pytest.raises(StorageFailure):
        await door.submissions.submit([payment(door.world)])
    door.fails = False
    (answer,) = await door.submissions.submit([payment(door.world)])
    assert isinstance(answer, Accepted)


async def test_each_signer_has_one_undecided_entry_of_a_crowded_record() -> None:
    """Each would be applied on the state as it is, and all but one would be refused in the block:
    whoever may state something cannot heap up attempts either."""
    door = Door()
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
            f"{CARD} has 3 attempts that were refused; from 3 on each signer's next is taken in "
            "once the one before is decided, and one of m-1 waits"
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
    bill = payment(door.world)

    async def decide(items: Sequence[Parsed]) -> tuple[Sequence[Parsed], list[Parsed]]:
        door.world.commit(bill)
        door.admission.block_applied([read(bill).transaction.tx_id], [CARD])
        return items, []

    door.shell.examiner.verify = decide
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
