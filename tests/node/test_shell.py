"""The shell performs effects in order, one step after another, and nothing after a failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Executor, Future
from types import SimpleNamespace

import pytest

from consensus.actions import KEEP
from ledger.words import Words
from node.effects import (
    BroadcastFrame,
    CommitBlock,
    Committed,
    FrameReceived,
    Halted,
    PutCheckpoint,
    Said,
    SaveJournal,
    Ticked,
    VerifyEnvelopes,
)
from node.mempool import Mempool
from node.messages import Status, encode_frame
from node.shell import TICK_S, Disk, Shell
from storage.files import StorageFailure
from tests.contracts.world import CARD, World


class ScriptedDriver:
    """Answers each event with the effects the script gives for its type."""

    def __init__(self, script):
        self.script = script
        self.events = []
        self.chain = SimpleNamespace(log=None, chain_id=bytes(32))

    def step(self, event, now_ms):
        self.events.append(event)
        return self.script.get(type(event), [])


class RecordingDisk:
    def __init__(self, failing=()):
        self.done = []
        self.failing = failing

    def save(self, record, pending):
        if record in self.failing:
            raise StorageFailure("the disk is full", "磁盘空间不足")
        self.done.append(("save", record))

    def prepare(self, block, certificate, before):
        return SimpleNamespace(height=block.header.height)

    def append_block(self, write):
        self.done.append(("append", write.height))
        return "place"

    def finish(self, write, appended):
        assert appended == "place"
        self.done.append(("index", write.height))

    def put_checkpoint(self, height, note):
        self.done.append(("checkpoint", height))


def make_shell(script, failing=(), disk_thread=None):
    disk = RecordingDisk(failing)
    said = []
    stopped = []
    shell = Shell(
        ScriptedDriver(script),
        Disk(
            SimpleNamespace(prepare=disk.prepare, finish=disk.finish, chain_store=disk), disk, None
        ),
        None,
        SimpleNamespace(committed=lambda _: None, certified=lambda _: None),
        say=lambda level, text: said.append((level, text)),
        stop=stopped.append,
        end_recovery=lambda: None,
        clock_ms=lambda: 1,
        disk_thread=disk_thread,
    )
    return shell, disk, said, stopped


BLOCK = SimpleNamespace(header=SimpleNamespace(height=7))


def test_what_a_commit_causes_waits_for_the_effects_of_its_own_step():
    shell, disk, _, _ = make_shell(
        {
            Ticked: [CommitBlock(BLOCK, b""), SaveJournal(b"older", KEEP)],
            Committed: [SaveJournal(b"newer", KEEP)],
        }
    )
    shell.dispatch(Ticked())
    assert disk.done == [("append", 7), ("index", 7), ("save", b"older"), ("save", b"newer")]
    assert shell.driver.events == [Ticked(), Committed(7)]


def test_nothing_is_performed_after_a_failing_disk():
    shell, disk, said, stopped = make_shell(
        {Ticked: [SaveJournal(b"vote", KEEP), PutCheckpoint(1, b"note")]}, failing=(b"vote",)
    )
    shell.dispatch(Ticked())
    assert disk.done == []
    assert stopped == [Words("磁盘出错：磁盘空间不足", "the disk failed: the disk is full")]
    assert said == [
        (
            "error",
            "stopping: the disk failed: the disk is full 即将停止：磁盘出错：磁盘空间不足",
        )
    ]
    shell.dispatch(Ticked())
    assert len(shell.driver.events) == 1


def test_nothing_is_performed_after_a_halt():
    shell, disk, _, stopped = make_shell(
        {
            Ticked: [
                Halted(Words("区块 3 无法复现", "block 3 cannot be reproduced")),
                SaveJournal(b"vote", KEEP),
            ]
        }
    )
    shell.dispatch(Ticked())
    assert disk.done == []
    assert stopped == [Words("区块 3 无法复现", "block 3 cannot be reproduced")]


def test_a_mistake_of_our_own_stops_the_node():
    shell, disk, _, stopped = make_shell(
        {Ticked: [Said("info", "x"), "no effect at all", SaveJournal(b"vote", KEEP)]}
    )
    with pytest.raises(AssertionError):
        shell.dispatch(Ticked())
    assert shell.is_stopped
    assert stopped[0].en.startswith("a mistake of this program: AssertionError: ")
    shell.dispatch(Ticked())
    assert disk.done == []


class SlowDisk(Executor):
    """A thread that finishes its work when the test says so."""

    def __init__(self):
        self.waiting = []

    def submit(self, work):
        future = Future()
        self.waiting.append((work, future))
        return future

    async def finish(self):
        work, future = self.waiting.pop(0)
        future.set_result(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_time_passes_in_a_node_that_is_never_idle():
    """Found by a soak: a node far behind on a busy machine had its clock stand still."""
    disk_thread = SlowDisk()
    shell, _, _, _ = make_shell(
        {FrameReceived: [SaveJournal(b"vote", KEEP)]}, disk_thread=disk_thread
    )
    for _ in range(10):  # a next frame always waits before the disk has done with the last
        shell.frame_arrived(1, b"frame")
        shell.frame_arrived(1, b"frame")
        shell.tick()
        await disk_thread.finish()
    while disk_thread.waiting:
        await disk_thread.finish()
    assert Counter(map(type, shell.driver.events)) == {FrameReceived: 20, Ticked: 3}


async def test_a_disk_that_takes_long_costs_one_tick():
    disk_thread = SlowDisk()
    shell, _, _, _ = make_shell(
        {FrameReceived: [SaveJournal(b"vote", KEEP)]}, disk_thread=disk_thread
    )
    shell.frame_arrived(1, b"frame")
    for _ in range(100):
        shell.tick()
    await disk_thread.finish()
    assert list(map(type, shell.driver.events)) == [FrameReceived, Ticked]


class HoldingCarrier:
    """Notes which peers are held."""

    def __init__(self):
        self.held = []

    def hold(self, replica):
        self.held.append(replica)

    def release(self, replica):
        self.held.remove(replica)


async def test_what_is_true_now_is_told_before_all_that_waits():
    told = []

    class Carrier(HoldingCarrier):
        def tell(self, payload):
            told.append(("news", payload))

        def broadcast(self, payload, bulk=False):
            told.append((bulk, payload))

    status = Status(1, b"header", b"", False)
    frames = [BroadcastFrame(status, is_news=True), BroadcastFrame(status, is_bulk=True)]
    shell, _, _, _ = make_shell({FrameReceived: frames})
    shell.carrier = Carrier()
    shell.frame_arrived(1, b"frame")
    assert told == [("news", encode_frame(status)), (True, encode_frame(status))]


async def test_large_frames_of_transactions_count_as_large_while_they_are_verified():
    """Two of twenty mebibytes are as many as forty small ones; forty would be 800 MiB."""
    large = VerifyEnvelopes([bytes(1024 * 1024)] * 20, 1)
    shell, _, _, _ = make_shell({FrameReceived: [large]})
    shell.carrier = carrier = HoldingCarrier()
    shell.frame_arrived(1, b"frame")
    assert carrier.held == []
    shell.frame_arrived(1, b"frame")
    assert carrier.held == [1]
    shell.driver.chain.chain_id = bytes(32)
    for _ in range(10):
        await asyncio.sleep(0)
    assert carrier.held == [], "given back when they are dealt with"


async def test_what_an_answer_was_asked_for_is_named_to_who_deals_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = [bytes([number]) * 32 for number in range(2)]
    effect = VerifyEnvelopes([b"envelope"], 1, b"".join(hashes))
    shell, _, _, _ = make_shell({FrameReceived: [effect]})
    taken = []
    monkeypatch.setattr(
        shell.relayed, "take", lambda replica, raws, ended, wanted: taken.append((raws, wanted))
    )
    shell.frame_arrived(1, b"frame")
    assert taken == [([b"envelope"], hashes)]


async def test_what_is_promised_and_set_aside_stays_in_the_spool() -> None:
    """Two change-overs and it was on this disk no more: mended software could not keep the word."""
    world = World()
    waiting, aside, others, decided = (
        world.candidate("prepaid.prepay", CARD, {"amount": 1}, "m-1") for _ in range(4)
    )
    pool = Mempool()
    for candidate in (waiting, aside, others, decided):
        pool.add(candidate, is_local=candidate is not others, now_ms=0)
    for candidate in (aside, others, decided):
        pool.quarantine(candidate.transaction.tx_id)
    pool.remove([decided.transaction.tx_id])
    shell, _, _, _ = make_shell({})
    shell.driver.pool = pool
    kept: list[bytes] = []
    shell.disk.spool = SimpleNamespace(change_over=kept.extend)
    await shell._change_spool()
    assert kept == [aside.transaction.raw, waiting.transaction.raw]


async def test_what_a_chain_that_is_behind_cannot_take_is_tried_again_when_it_has_caught_up() -> (
    None
):
    """Its blocks lost and its spool whole, a node did not know who had signed what it promised, and
    let it go."""
    candidate = World().candidate("prepaid.prepay", CARD, {"amount": 1}, "m-1")
    raw = candidate.transaction.raw
    shell, _, _, _ = make_shell({})
    driver, tried, kept = shell.driver, [], []
    driver.pool, driver.tip_height = Mempool(), 9
    driver.chain = SimpleNamespace(header=SimpleNamespace(height=8))
    driver.is_known = lambda tx_id: False

    async def take_own(raws: list[bytes]) -> None:
        tried.append(raws)
        if driver.chain.header.height == 9:
            driver.pool.add(candidate, is_local=True, now_ms=0)

    shell.relayed.take_own = take_own
    shell.disk.journal = SimpleNamespace(load=lambda: SimpleNamespace(record=None, pending=None))
    shell.disk.spool = SimpleNamespace(load=lambda: [raw], change_over=kept.append, is_full=False)
    await shell.start()
    await shell._take_untaken()
    await shell._change_spool()
    assert (tried, kept) == ([[raw]], [[raw]]), "it stays in the spool meanwhile"
    driver.chain.header.height = 9
    await asyncio.sleep(3 * TICK_S)
    assert tried == [[raw], [raw]]
    await shell._change_spool()
    assert kept[1] == [raw], "once: it waits in the pool"
    await shell.close()
