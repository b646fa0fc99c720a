"""A peer with too much waiting is held, until half of it is dealt with."""

from __future__ import annotations

import pytest

from node.backlog import FRAME_WEIGHT_BYTES, FRAMES_MAX, Backlog, weight_of


class Peers:
    """Notes who is held, and refuses to hold or release anybody twice."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.backlog = Backlog(self.hold, self.release)

    def hold(self, replica: int) -> None:
        assert replica not in self.held
        self.held.add(replica)

    def release(self, replica: int) -> None:
        self.held.remove(replica)


def test_a_peer_is_held_at_the_most_and_released_at_half() -> None:
    peers = Peers()
    backlog = peers.backlog
    for _ in range(FRAMES_MAX - 1):
        backlog.begin(1, 1)
    assert (peers.held, backlog.is_full(1)) == (set(), False)
    backlog.begin(1, 1)
    assert (peers.held, backlog.is_full(1), backlog.is_full(2)) == ({1}, True, False)
    backlog.begin(1, 1)
    for _ in range(FRAMES_MAX // 2):
        backlog.end(1, 1)
    assert (peers.held, backlog.is_full(1)) == ({1}, False), "one more than half is left"
    backlog.end(1, 1)
    assert (peers.held, backlog.is_empty) == (set(), False)
    for _ in range(FRAMES_MAX // 2):
        backlog.end(1, 1)
    assert backlog.is_empty


@pytest.mark.parametrize("weight", [FRAMES_MAX, 10 * FRAMES_MAX])
def test_one_large_frame_holds_its_sender_and_nobody_else(weight: int) -> None:
    peers = Peers()
    peers.backlog.begin(0, 1)
    peers.backlog.begin(1, weight)
    assert peers.held == {1}
    peers.backlog.end(1, weight)
    assert peers.held == set()
    peers.backlog.end(0, 1)
    assert peers.backlog.is_empty


@pytest.mark.parametrize(
    ("sizes", "weight"),
    [
        ([], 1),
        ([1], 1),
        ([FRAME_WEIGHT_BYTES - 1], 1),
        ([FRAME_WEIGHT_BYTES], 2),
        ([FRAME_WEIGHT_BYTES // 2] * 5, 3),
    ],
)
def test_a_frame_counts_once_and_once_more_for_every_mebibyte(
    sizes: list[int], weight: int
) -> None:
    assert weight_of([bytes(size) for size in sizes]) == weight
