"""The shell performs effects in order, one step after another, and nothing after a failure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from consensus.actions import KEEP
from node.effects import CommitBlock, Committed, Halted, PutCheckpoint, Said, SaveJournal, Ticked
from node.shell import Disk, Shell
from storage.files import StorageFailure


class ScriptedDriver:
    """Answers each event with the effects the script gives for its type."""

    def __init__(self, script):
        self.script = script
        self.events = []
        self.chain = SimpleNamespace(log=None)

    def step(self, event, now_ms):
        self.events.append(event)
        return self.script.get(type(event), [])


class RecordingDisk:
    def __init__(self, failing=()):
        self.done = []
        self.failing = failing

    def save(self, record, pending):
        if record in self.failing:
            raise StorageFailure("the disk is full")
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


def make_shell(script, failing=()):
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
    assert stopped == ["the disk failed: the disk is full"]
    assert said == [("error", "stopping: the disk failed: the disk is full")]
    shell.dispatch(Ticked())
    assert len(shell.driver.events) == 1


def test_nothing_is_performed_after_a_halt():
    shell, disk, _, stopped = make_shell(
        {Ticked: [Halted("block 3 cannot be reproduced"), SaveJournal(b"vote", KEEP)]}
    )
    shell.dispatch(Ticked())
    assert disk.done == []
    assert stopped == ["block 3 cannot be reproduced"]


def test_a_mistake_of_our_own_stops_the_node():
    shell, disk, _, stopped = make_shell(
        {Ticked: [Said("info", "x"), "no effect at all", SaveJournal(b"vote", KEEP)]}
    )
    with pytest.raises(AssertionError):
        shell.dispatch(Ticked())
    assert shell.is_stopped
    assert stopped[0].startswith("a mistake of this program: AssertionError: ")
    shell.dispatch(Ticked())
    assert disk.done == []
