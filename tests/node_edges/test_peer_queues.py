"""Frames, send queues and the fair inbox, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.frames import HEARTBEAT, FrameReader, encode_prefix
from node.peer_queues import (
    FRAME_COST,
    TURN_COST,
    WRITE_BYTES_MAX,
    Dropped,
    FairInbox,
    QueueLimits,
    SendQueue,
)
from node.tls import PeerRefusal, PeerRefused

LIMITS = QueueLimits(
    consensus_bytes_max=1000,
    consensus_count_max=5,
    away_count_max=2,
    bulk_bytes_max=1000,
    bulk_count_max=5,
    inbox_bytes_max=1000,
    inbox_count_max=8,
)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=20), st.data())
def test_frames_survive_any_cutting(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(encode_prefix(len(payload)) + payload for payload in payloads)
    reader = FrameReader(600)
    out: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        out += reader.feed(memoryview(stream[:size]))
        stream = stream[size:]
    assert out == payloads
    assert reader.pending_bytes == 0


def test_heartbeat_is_the_empty_frame() -> None:
    assert FrameReader().feed(memoryview(HEARTBEAT * 2)) == [b"", b""]


def test_announced_length_reserves_nothing() -> None:
    reader = FrameReader(2**31)
    assert reader.feed(memoryview(encode_prefix(2**31) + b"x")) == []
    assert reader.pending_bytes == 5


@pytest.mark.parametrize("cut", range(1, 5))
def test_length_above_the_bound_is_refused(cut: int) -> None:
    reader = FrameReader(100)
    raw = encode_prefix(101)
    if cut < 4:
        assert reader.feed(memoryview(raw[:cut])) == []
        raw = raw[cut:]
    with pytest.raises(PeerRefused) as caught:
        reader.feed(memoryview(raw))
    assert caught.value.refusal is PeerRefusal.FRAME_TOO_LARGE
    assert caught.value.detail == "a frame of 101 bytes was announced; at most 100 are taken here"


def drain(queue: SendQueue) -> list[bytes]:
    """Everything the queue would write, cut into payloads again."""
    reader = FrameReader(2**31)
    out: list[bytes] = []
    while queue:
        data = queue.next_write()
        assert 0 < len(data) <= WRITE_BYTES_MAX
        out += reader.feed(memoryview(data))
    assert reader.pending_bytes == 0
    assert queue.held_bytes == 0
    return out


def here(limits: QueueLimits = LIMITS) -> SendQueue:
    queue = SendQueue(limits)
    queue.arrive()
    return queue


def test_consensus_goes_before_bulk_in_one_write() -> None:
    queue = here()
    queue.push(b"t1", bulk=True)
    queue.push(b"v1", bulk=False)
    queue.push(b"t2", bulk=True)
    queue.push(b"v2", bulk=False)
    assert len(queue.next_write()) == 4 * 6
    assert not queue
    queue.push(b"t1", bulk=True)
    queue.push(b"v1", bulk=False)
    assert drain(queue) == [b"v1", b"t1"]


def test_full_consensus_keeps_the_newest() -> None:
    queue = here()
    dropped = [queue.push(b"%d" % number, bulk=False) for number in range(8)]
    assert dropped == [Dropped()] * 5 + [Dropped(consensus=1)] * 3
    assert drain(queue) == [b"3", b"4", b"5", b"6", b"7"]
    assert queue.push(bytes(600), bulk=False) == Dropped()
    assert queue.push(bytes(500), bulk=False) == Dropped(consensus=1)
    assert queue.push(bytes(2000), bulk=False) == Dropped(consensus=1)  # the newest stays, alone
    assert drain(queue) == [bytes(2000)]


def test_full_bulk_refuses_the_newest() -> None:
    queue = here()
    assert queue.push(bytes(900), bulk=True) == Dropped()
    assert queue.push(bytes(101), bulk=True) == Dropped(bulk=1)
    for number in range(4):
        assert queue.push(b"%d" % number, bulk=True) == Dropped()
    assert queue.push(b"x", bulk=True) == Dropped(bulk=1)
    assert drain(queue) == [bytes(900), b"0", b"1", b"2", b"3"]


def test_absent_peer_gets_the_last_consensus_frames_only() -> None:
    queue = here()
    for number in range(4):
        queue.push(b"%d" % number, bulk=False)
    queue.push(b"t", bulk=True)
    assert queue.leave() == Dropped(consensus=2, bulk=1)
    assert queue.push(b"t", bulk=True) == Dropped(bulk=1)
    assert queue.push(b"4", bulk=False) == Dropped(consensus=1)
    queue.arrive()
    assert drain(queue) == [b"3", b"4"]


def test_news_go_first_the_newest_and_where_bulk_is_full() -> None:
    queue = here()
    while queue.push(b"t", bulk=True) == Dropped():
        pass
    queue.push(b"v", bulk=False)
    assert queue.tell(b"old")
    assert queue.tell(b"news")
    assert queue.held_bytes == len(queue._bulk) + 1 + len(b"news")
    out = drain(queue)
    assert out[:3] == [b"news", b"v", b"t"]
    assert b"old" not in out
    queue.tell(b"alone")
    assert drain(queue) == [b"alone"]
    queue.push(bytes(900), bulk=False)
    queue.tell(b"news")
    assert [len(payload) for payload in drain(queue)] == [4, 900]


def test_news_are_not_kept_for_who_is_away() -> None:
    """A vote is as good later; a height told after a cut, as it was before it, is a lie."""
    queue = here()
    queue.push(b"v", bulk=False)
    queue.tell(b"news")
    queue.leave()
    assert not queue.tell(b"news")
    queue.arrive()
    assert drain(queue) == [b"v"]


def test_half_written_frame_is_forgotten_with_its_connection() -> None:
    queue = here(QueueLimits())
    queue.push(bytes(3 * WRITE_BYTES_MAX), bulk=False)
    queue.push(b"next", bulk=False)
    queue.next_write()
    queue.next_write()
    queue.leave()
    queue.arrive()
    assert drain(queue) == [b"next"]


def test_bulk_passes_a_never_empty_consensus_queue() -> None:
    queue = here(QueueLimits())
    for size in (10, WRITE_BYTES_MAX - 10, 2 * WRITE_BYTES_MAX):
        queue.push(bytes([7]) * size, bulk=True)
    reader = FrameReader(2**31)
    seen: list[int] = []
    for _ in range(40):
        while len(queue._consensus) < 100:
            queue.push(b"v" * 10_000, bulk=False)
        seen += [len(p) for p in reader.feed(memoryview(queue.next_write())) if p[0] == 7]
    assert seen == [10, WRITE_BYTES_MAX - 10, 2 * WRITE_BYTES_MAX]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 700_000), st.booleans()), max_size=30))
def test_every_frame_leaves_once_and_in_order(frames: list[tuple[int, bool]]) -> None:
    queue = here(QueueLimits())
    sent: dict[bool, list[bytes]] = {False: [], True: []}
    for number, (size, bulk) in enumerate(frames):
        payload = bytes([bulk, number]) + bytes(size)
        if queue.push(payload, bulk=bulk) == Dropped():
            sent[bulk].append(payload)
    out = drain(queue)
    assert [p for p in out if p[0] == 0] == sent[False]
    assert [p for p in out if p[0] == 1] == sent[True]


def take_turns(inbox: FairInbox, count: int) -> list[tuple[int, int]]:
    """Give turns; return (replica, frames taken) for each."""
    turns = []
    for _ in range(count):
        replica = inbox.begin_turn()
        if replica is None:
            break
        taken = 0
        while inbox.take(replica) is not None:
            taken += 1
        turns.append((replica, taken))
    return turns


def test_peers_take_turns_of_equal_cost() -> None:
    inbox = FairInbox(4, QueueLimits())
    inbox.push(1, [b"x"] * 1000)
    inbox.push(2, [b"x"] * 3)
    inbox.push(3, [bytes(TURN_COST)] * 3)
    per_turn = -(-TURN_COST // (FRAME_COST + 1))
    turns = take_turns(inbox, 9)
    assert turns[:4] == [(1, per_turn), (2, 3), (3, 1), (1, per_turn)]
    # No peer takes more than its turn, whatever its frames look like.
    assert {taken for replica, taken in turns if replica == 1} == {per_turn}
    assert {taken for replica, taken in turns if replica == 3} <= {0, 1}
    take_turns(inbox, 10_000)
    assert not inbox.is_waiting
    assert [inbox.held_bytes(replica) for replica in range(4)] == [0, 0, 0, 0]


def test_debt_of_a_huge_frame_is_paid_by_waiting() -> None:
    inbox = FairInbox(3, QueueLimits())
    inbox.push(1, [bytes(10 * TURN_COST), b"after"])
    inbox.push(2, [b"x"] * 10_000)
    turns = take_turns(inbox, 40)
    assert turns[0] == (1, 1)
    paid = next(at for at, (replica, taken) in enumerate(turns) if replica == 1 and taken and at)
    assert sum(taken for replica, taken in turns[:paid] if replica == 2) >= 300


def test_lone_peer_waits_for_nobody() -> None:
    inbox = FairInbox(3, QueueLimits())
    inbox.push(1, [bytes(10 * TURN_COST)] * 4)
    assert take_turns(inbox, 4) == [(1, 1)] * 4


def test_held_peer_gets_no_turn_and_loses_nothing() -> None:
    inbox = FairInbox(3, LIMITS)
    inbox.hold(1)
    inbox.push(1, [b"a"])
    assert inbox.begin_turn() is None
    inbox.release(1)
    inbox.push(1, [b"b"])
    assert inbox.begin_turn() == 1
    assert inbox.take(1) == b"a"
    inbox.hold(1)  # within its turn
    assert inbox.take(1) is None
    assert inbox.begin_turn() is None
    inbox.release(1)
    inbox.release(1)
    assert take_turns(inbox, 5) == [(1, 1)]


def test_full_and_low() -> None:
    inbox = FairInbox(2, LIMITS)
    inbox.push(1, [bytes(100)] * 7)
    assert not inbox.is_full(1)
    inbox.push(1, [b"x"])
    assert inbox.is_full(1)
    assert not inbox.is_low(1)
    inbox.begin_turn()
    for _ in range(4):
        inbox.take(1)
    assert inbox.is_low(1)
    inbox.push(1, [bytes(700)])
    assert inbox.is_full(1)
