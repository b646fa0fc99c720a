"""A peer with too many frames in flight is held, and no frame is lost or overtaken by it."""

from __future__ import annotations

import pytest

from node.backlog import FRAMES_MAX
from sim.coverage import Coverage
from sim.peer_lines import PeerLines
from sim.world import World

FRAMES = [b"%d" % number for number in range(3 * FRAMES_MAX)]


class Process:
    """A process that begins each frame it is given, and ends it when it is told to."""

    def __init__(self) -> None:
        self.world = World(0)
        self.coverage = Coverage()
        self.lines = PeerLines(self.world, self.coverage, self.deliver)
        self.got: list[tuple[int, bytes]] = []

    def deliver(self, replica: int, payload: bytes) -> None:
        self.lines.backlog.begin(replica, 1)
        self.got.append((replica, payload))

    def end(self, replica: int, count: int) -> None:
        for _ in range(count):
            self.lines.backlog.end(replica, 1)
        while self.world.step():
            pass


def test_a_peer_is_held_until_half_is_dealt_with_and_others_are_not() -> None:
    process = Process()
    for payload in FRAMES:
        process.lines.arrive(1, payload)
    process.lines.arrive(2, b"other")
    delivered = [(1, payload) for payload in FRAMES[:FRAMES_MAX]]
    assert process.got == [*delivered, (2, b"other")]
    process.end(1, FRAMES_MAX // 2 - 1)
    assert len(process.got) == FRAMES_MAX + 1
    process.end(1, 1)
    assert len(process.got) == FRAMES_MAX * 3 // 2 + 1, "until there are as many again"
    process.lines.arrive(1, b"later")
    while len(process.got) < len(FRAMES) + 2:
        process.end(1, FRAMES_MAX // 2)
    assert [payload for replica, payload in process.got if replica == 1] == [*FRAMES, b"later"]
    process.end(1, FRAMES_MAX // 2 + 1)
    process.end(2, 1)
    assert not process.lines.is_busy
    assert process.coverage.counts["peer held"] == 1


@pytest.mark.parametrize("weight", [FRAMES_MAX, 10 * FRAMES_MAX])
def test_one_frame_may_be_too_much(weight: int) -> None:
    process = Process()
    process.lines.backlog.begin(0, weight)
    process.lines.arrive(0, b"next")
    assert (process.got, process.lines.is_busy) == ([], True)
    process.lines.backlog.end(0, weight)
    process.end(0, 0)
    assert process.got == [(0, b"next")]


def test_what_waits_when_the_process_ends_is_lost() -> None:
    process = Process()
    process.lines.backlog.begin(1, FRAMES_MAX)
    process.lines.arrive(1, b"next")
    process.lines.close()
    process.lines.backlog.end(1, FRAMES_MAX)
    process.end(1, 0)
    assert process.got == []
