#!/usr/bin/env python3
"""Write the golden transcripts: what replicas hear, do and say in a few telling situations.

python -m tests.consensus.transcripts            compares; exits 1 and shows where one differs
python -m tests.consensus.transcripts --write    writes them to tests/consensus/transcripts/

One line per event that made a replica do something: who, what it heard, what it did, in the order
in which its driver does it. Blocks are named A, B, … as they appear. The last line of a file is a
hash over the bytes of every message sent and every record made durable, so that nothing the words
leave out can change unnoticed. A change of the protocol shows as a change of these files: read it,
then write them anew.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from consensus import actions as act
from consensus import events as ev
from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PreparedClaim,
    PrePrepare,
    ViewChange,
    claim_of,
    encode_message,
)
from ledger.block import decode_header
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    Equivocation,
    ViewChangeEquivocation,
    VoteEquivocation,
)
from tests.consensus.network import Network, Node
from tests.consensus.test_agreement import twin

FOLDER = Path(__file__).parent / "transcripts"

Script = Callable[[Network, Callable[[str], None]], None]
"""Runs a network; the second argument writes a line of comment."""


class Recorder:
    """Writes down what the nodes of a network hear and do."""

    def __init__(self, network: Network, title: str) -> None:
        self.network = network
        self.lines = [title, ""]
        self.names: dict[bytes, str] = {}
        self.digest = hashlib.sha256()
        self.doing: list[str] = []
        self.ticks = -1
        self.watched: set[int] = set()
        for node in network.nodes:
            self.watch(node)

    def watch(self, node: Node) -> None:
        """Have a node's events and actions written down."""
        handle, perform = node.handle, node.perform
        name = f"{node.number}'" if node.number in self.watched else f"{node.number}"
        self.watched.add(node.number)

        def watched_handle(event: ev.Event) -> None:
            was_up = node.is_up
            self.doing = []
            heard = self.tell_event(event)
            handle(event)
            if was_up and not node.is_up:
                self.doing.append("POWER CUT")
            if self.doing:
                self.write(f"  {name:2} {heard:34} {' · '.join(self.doing)}")

        def watched_perform(action: act.Action) -> None:
            did = self.tell_action(action)
            if did is not None:
                self.doing.append(did)
            perform(action)

        node.handle = watched_handle  # type: ignore[method-assign]
        node.perform = watched_perform  # type: ignore[method-assign]

    def write(self, line: str) -> None:
        """Write a line, below its tick."""
        if self.network.ticks != self.ticks:
            self.ticks = self.network.ticks
            self.lines.append(f"tick {self.ticks}")
        self.lines.append(line.rstrip())

    def comment(self, text: str) -> None:
        """Write a line between the events."""
        self.lines.append(f"# {text}")

    def name(self, block_hash: bytes) -> str:
        """The letter of a block."""
        return self.names.setdefault(block_hash, chr(ord("A") + len(self.names)))

    def claim(self, claim: PreparedClaim | None) -> str:
        """What a view-change claims."""
        return "nothing" if claim is None else f"{self.name(claim.block_hash)} of view {claim.view}"

    def pair(self, equivocation: Equivocation) -> str:
        """The two statements that contradict each other."""
        match equivocation:
            case VoteEquivocation(first, second):
                return f"{self.name(first.block_hash)} and {self.name(second.block_hash)}"
            case ViewChangeEquivocation(first, second):
                return f"claims of {self.claim(first.claim)} and of {self.claim(second.claim)}"
            case Amnesia(commit, view_change):
                claim = self.claim(view_change.claim)
                return f"a commit to {self.name(commit.block_hash)} and a claim of {claim}"
            case CheckpointFork():
                return "two trees"

    def tell_message(self, message: Message) -> str:
        """A message in a few words."""
        match message:
            case PrePrepare():
                block = self.name(message.proposal.block_hash)
                count = decode_header(message.proposal.header).count
                return f"pre-prepare {block}@{message.height} ({count})"
            case Prepare() | Commit():
                kind = type(message).__name__.lower()
                block = self.name(message.block_hash)
                return f"{kind} {block}@{message.height} view {message.view}"
            case ViewChange():
                claim = self.claim(claim_of(message.prepared))
                return f"view-change to {message.view}, claims {claim}"
            case NewView():
                block = self.name(message.proposal.block_hash)
                claims = ", ".join(
                    f"{signed.replica}: {self.claim(signed.claim)}"
                    for signed in message.view_changes
                )
                return f"new-view {message.view} {block}@{message.height} [{claims}]"
            case Decided():
                certificate = message.certificate
                voters = "".join(str(item.replica) for item in certificate.commits)
                block = self.name(certificate.block_hash)
                return f"decided {block}@{certificate.height} view {certificate.view} by {voters}"

    def tell_event(self, event: ev.Event) -> str:
        """What a replica hears."""
        match event:
            case ev.Restored():
                pending = event.pending
                kept = "" if pending is None else f" with {self.name(pending.block_hash)}"
                silent = event.silent_through_height
                return f"starts{kept}" + (f", silent through {silent}" if silent else "")
            case ev.Tick():
                return "time passes"
            case ev.Received():
                if isinstance(event.message, NewView):
                    return f"new-view {event.message.view}"
                return self.tell_message(event.message)
            case ev.ProposalBuilt():
                if event.proposal is None:
                    return "nothing to propose"
                return f"built {self.name(event.proposal.block_hash)}"
            case ev.ProposalChecked():
                return f"{self.name(event.block_hash)} executed: {event.verdict}"
            case ev.ProposalFetched():
                return f"{self.name(event.block_hash)} from {event.from_replica}"
            case ev.BlockApplied():
                return f"height {event.header.height} applied"
            case _:
                return type(event).__name__

    def tell_action(self, action: act.Action) -> str | None:
        """What a replica does."""
        match action:
            case act.Persist():
                self.digest.update(action.record)
                if isinstance(action.pending, bytes):
                    return f"saves with {self.name(action.pending)}"
                return "saves"
            case act.Broadcast():
                self.digest.update(encode_message(action.message))
                return f"says {self.tell_message(action.message)}"
            case act.Send():
                self.digest.update(encode_message(action.message))
                return f"tells {action.replica} {self.tell_message(action.message)}"
            case act.BuildProposal():
                part = "" if action.batch_divisor == 1 else f" of 1/{action.batch_divisor}"
                return f"builds a block{part}"
            case act.CheckProposal():
                return f"executes {self.name(action.proposal.block_hash)}"
            case act.FetchProposal():
                sources = "".join(str(i) for i in action.from_replicas)
                return f"fetches {self.name(action.block_hash)} from {sources}"
            case act.Decide():
                voters = "".join(str(item.replica) for item in action.certificate.commits)
                block = self.name(action.block_hash)
                view = action.certificate.view
                return f"DECIDES {block}@{action.height} by {voters} in view {view}"
            case act.CatchUp():
                return f"catches up to {action.height_hint} from {action.from_replica}"
            case act.SendDecided():
                return f"sends {action.to_replica} the certificate of {action.height}"
            case act.ReportEvidence():
                return f"REPORTS {action.equivocation.replica} for {self.pair(action.equivocation)}"
            case act.Halt():
                return f"HALTS at {action.height}"
            case act.Note():
                return None


def normal(network: Network, comment: Callable[[str], None]) -> None:
    """Three phases, in one tick without delays."""
    for node in network.nodes:
        node.work_pending = node.number == 1 % len(network.nodes)
    network.start().run(1)
    network.nodes[1 % len(network.nodes)].work_pending = False


def dead_primary(network: Network, comment: Callable[[str], None]) -> None:
    """The primary of height 1 is dead; nothing is prepared, so a fresh block is proposed."""
    network.start()
    network.nodes[1].crash()
    comment("the primary of height 1, replica 1, is dead")
    network.run_to(1, ticks_max=30)


def prepared_block(network: Network, comment: Callable[[str], None]) -> None:
    """Everybody prepares and no commit arrives; the block is proposed again and decided."""
    network.filter = lambda _sender, _receiver, message: (
        not (isinstance(message, Commit) and message.view == 0)
    )
    for node in network.nodes:
        node.work_pending = node.number == 1
    network.start()
    comment("commits of view 0 are lost")
    network.run_to(1, ticks_max=30)


def catch_up(network: Network, comment: Callable[[str], None]) -> None:
    """A replica that was away hears votes of later heights and fetches what it missed."""
    for node in network.nodes:
        node.work_pending = node.number in {1, 2}
    network.start()
    network.nodes[3].crash()
    comment("replica 3 is away")
    network.run(1)
    comment("replica 3 returns; height 3 is its turn")
    for node in network.nodes:
        node.work_pending = node.number in {0, 1}
    network.nodes[3].start()
    network.run_to(3, ticks_max=30)


def equivocation(network: Network, comment: Callable[[str], None]) -> None:
    """The primary proposes one block to replicas 0 and 2, and another to replica 3."""
    for node in network.nodes:
        node.work_pending = node.number == 1
    network.start()
    comment("replica 1 is two processes with one key: 1 talks to 0 and 2, and 1' to 3")
    network.run_to(1, ticks_max=40, only=[0, 2, 3])


def two_sides(network: Network, comment: Callable[[str], None]) -> None:
    """The same, and no commit of view 0 arrives: certificates bring both proposals together."""
    network.filter = lambda _sender, _receiver, message: (
        not (isinstance(message, Commit) and message.view == 0)
    )
    comment("commits of view 0 are lost")
    equivocation(network, comment)


def restart(network: Network, comment: Callable[[str], None]) -> None:
    """A power cut between persist and send; the same vote is sent after the restart."""
    for node in network.nodes:
        node.work_pending = node.number == 1
    network.nodes[3].crash_at_persist = (2, "after")
    network.start()
    comment("replica 3 loses power after its second record is durable and before it sends")
    network.run(2)
    network.power_on()
    network.settle()
    network.run_to(1, ticks_max=10)


def skipped_turn(network: Network, comment: Callable[[str], None]) -> None:
    """After a failed turn the next one of the same replica is skipped at once."""
    network.start()
    network.nodes[1].crash()
    comment("replica 1 stays dead; heights 1 and 5 are its turns")
    network.run_to(4, ticks_max=40)
    comment("height 5")
    network.run_to(5, ticks_max=4)


def recovery(network: Network, comment: Callable[[str], None]) -> None:
    """A replica without its journal follows and is silent through height 1."""
    for node in network.nodes:
        node.work_pending = node.number in {1, 2}
    for node in network.nodes[:3]:
        node.start()
    network.nodes[3].start(silent_through_height=1)
    network.run_to(2, ticks_max=10)


SCRIPTS: dict[str, tuple[int, str, Script]] = {
    "normal-1": (1, "One replica decides alone.", normal),
    "normal-4": (4, "Four replicas, the normal case.", normal),
    "normal-5": (5, "Five replicas, a quorum of four.", normal),
    "normal-7": (7, "Seven replicas, a quorum of five.", normal),
    "view-change-4": (4, "A view change with nothing prepared.", dead_primary),
    "view-change-5": (5, "A view change of five with nothing prepared.", dead_primary),
    "view-change-prepared-4": (4, "A view change with a prepared block.", prepared_block),
    "view-change-prepared-7": (7, "A view change of seven with a prepared block.", prepared_block),
    "skipped-turn-4": (4, "A dead institution costs one timeout, and then none.", skipped_turn),
    "catch-up-4": (4, "A replica that was away comes back.", catch_up),
    "equivocation-4": (4, "A primary that proposes two blocks.", equivocation),
    "evidence-4": (4, "Two blocks of one primary come together and are reported.", two_sides),
    "restart-4": (4, "A restart between persist and send.", restart),
    "recovery-4": (4, "A replica that lost its journal.", recovery),
}


def make_transcript(name: str) -> str:
    """Run a script and return its transcript."""
    count, title, script = SCRIPTS[name]
    network = Network(count)
    if script in {equivocation, two_sides}:
        twin(network, 1, {0: 0, 2: 0, 3: 1})
    recorder = Recorder(network, title)
    script(network, recorder.comment)
    heights = ", ".join(str(len(node.disk.headers) - 1) for node in network.nodes)
    recorder.lines += [
        "",
        f"applied heights: {heights}",
        f"sha256 of all records and messages: {recorder.digest.hexdigest()}",
    ]
    return "\n".join(recorder.lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Compare or write all transcripts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.consensus.transcripts",
        description="Compare the golden transcripts with what replicas do, or write them anew.",
    )
    parser.add_argument("--write", action="store_true", help="write the files")
    chosen = parser.parse_args(arguments)
    wrong = 0
    for name in SCRIPTS:
        path = FOLDER / f"{name}.txt"
        made = make_transcript(name)
        if chosen.write:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(made, "utf-8")
            continue
        kept = path.read_text("utf-8") if path.exists() else ""
        if kept != made:
            wrong += 1
            sys.stdout.writelines(
                difflib.unified_diff(
                    kept.splitlines(keepends=True),
                    made.splitlines(keepends=True),
                    f"{path.name} (kept)",
                    f"{path.name} (now)",
                )
            )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
