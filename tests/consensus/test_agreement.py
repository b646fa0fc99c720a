"""Whole groups of replicas: agreement and progress, with and without failures."""

from __future__ import annotations

import os

import pytest

from consensus.messages import Commit, Message, NewView, Prepare, PrePrepare, ViewChange
from tests.consensus.network import (
    Network,
    Node,
    make_proposal,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
)

COUNTS = [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("count", [*COUNTS, 13, 36])
def test_blocks_are_decided_without_failures(count: int) -> None:
    network = Network(count).start()
    heights = 3 if count > 7 else 6
    network.run_to(heights, ticks_max=20)
    for node in network.nodes:
        assert all(node.disk.certificates[height].view == 0 for height in range(1, heights + 1))
        assert node.running.views_entered_count == 0
        assert node.evidence == []
        proposers = [header.proposer for header in node.disk.headers[1 : heights + 1]]
        assert proposers == [height % count for height in range(1, heights + 1)]


@pytest.mark.parametrize("count", COUNTS)
def test_lost_messages_only_delay(count: int) -> None:
    network = Network(count, seed=count)
    network.drop_probability = 0.2
    network.start().run_to(8, ticks_max=600)


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_dead_primary_is_replaced_and_then_skipped(count: int) -> None:
    network = Network(count).start()
    dead = 1
    network.nodes[dead].crash()
    network.run_to(count * 8, ticks_max=400)
    views = [
        network.nodes[0].disk.certificates[height].view
        for height in range(1, count * 8)
        if network.validators.primary(height, 0) == dead
    ]
    assert set(views) == {1}
    assert network.nodes[0].running.views_entered_count == len(views)
    timeouts = [
        note
        for note in network.nodes[0].notes
        if "no decision" in note and "asks for view 1" in note
    ]
    skips = [note for note in network.nodes[0].notes if "failed its last turns" in note]
    # Turns of the dead one: fail, skip 1, fail, skip 2, fail, skip 4 …
    assert len(timeouts) <= 4
    assert len(skips) >= 3


def test_returned_primary_gets_its_turn_back() -> None:
    network = Network(4).start()
    network.nodes[1].crash()
    network.run_to(14, ticks_max=200)
    network.nodes[1].start()
    network.run_to(60, ticks_max=400)
    assert any(header.proposer == 1 for header in network.nodes[0].disk.headers[20:])


@pytest.mark.parametrize("count", [4, 7])
def test_idle_group_decides_header_only_blocks(count: int) -> None:
    network = Network(count).start()
    for node in network.nodes:
        node.work_pending = False
    network.run(39)
    assert all(len(node.disk.headers) == 1 for node in network.nodes)
    network.run(3)
    assert all(len(node.disk.headers) == 2 for node in network.nodes)
    assert network.nodes[0].disk.headers[1].count == 0
    assert network.nodes[0].disk.certificates[1].view == 0


def test_idle_group_replaces_a_dead_primary() -> None:
    network = Network(4).start()
    for node in network.nodes:
        node.work_pending = False
    network.nodes[1].crash()
    network.run_to(1, ticks_max=60)
    assert network.nodes[0].disk.certificates[1].view == 1


@pytest.mark.parametrize("count", COUNTS)
def test_power_cut_of_all_at_every_persist_boundary(count: int) -> None:
    """Trap 8 and 9: only durable records and the pending slot survive, everywhere at once."""
    for moment in ("before", "after"):
        for persist in range(1, 10):
            network = Network(count).start()
            for node in network.nodes:
                node.crash_at_persist = (persist, moment)
            network.run(6)
            network.power_on()
            network.settle()
            network.run_to(5, ticks_max=200)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_power_cut_of_one_at_every_persist_boundary(count: int) -> None:
    for victim in range(count):
        for moment in ("before", "after"):
            for persist in range(1, 8):
                network = Network(count)
                network.nodes[victim].crash_at_persist = (persist, moment)
                network.start().run(5)
                network.power_on()
                network.run_to(5, ticks_max=200)


@pytest.mark.parametrize("count", [4, 7])
def test_power_cut_of_all_during_view_changes_at_every_persist_boundary(count: int) -> None:
    """The same, with commits of views 0 and 1 lost, so that prepared blocks change views."""

    def lose_commits(sender: int, receiver: int, message: Message) -> bool:
        return not (isinstance(message, Commit) and message.view < 2)

    for moment in ("before", "after"):
        for persist in range(1, 9):
            network = Network(count)
            network.filter = lose_commits
            network.start()
            for node in network.nodes:
                node.crash_at_persist = (persist, moment)
            network.run(30)
            network.power_on()
            network.run_to(1, ticks_max=300)
            header = network.nodes[0].disk.headers[1]
            if persist > 2:
                assert header.proposer == 1, "prepared in view 0, so it is the block of view 0"
            network.filter = None
            network.run_to(3, ticks_max=300)


def twin(network: Network, number: int, sides: dict[int, int]) -> Node:
    """Make a replica two-faced: a second instance with the same key talks to the other side."""
    evil = network.nodes[number]
    evil.is_twin = True
    other = Node(network, number, is_twin=True)
    other.build_count = 1_000_000  # so that its blocks differ from the other face's
    network.nodes.append(other)
    plain_send = network.send

    def send(sender: Node, receiver: Node, message: Message) -> None:
        if sender.number == number and sides.get(receiver.number, 0) != (sender is other):
            return
        if receiver.number == number and sides.get(sender.number, 0) != (receiver is other):
            return
        plain_send(sender, receiver, message)

    network.send = send  # type: ignore[method-assign]
    return other


@pytest.mark.parametrize("count", [4, 5, 6, 7, 10])
def test_equivocating_primary_forks_nobody_and_is_reported(count: int) -> None:
    network = Network(count)
    sides = {i: int(i > count // 2) for i in range(count)}
    twin(network, 1, sides)
    network.start()
    honest = [i for i in range(count) if i != 1]
    network.run_to(5, ticks_max=400, only=honest)
    proposed = {
        message.proposal.block_hash
        for sender, message in network.log
        if sender == 1 and isinstance(message, PrePrepare) and message.height == 1
    }
    assert len(proposed) == 2, "it did propose two blocks"


def test_random_schedules_agree_and_progress() -> None:
    for seed in range(60):
        run_random_schedule(seed)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CAMPAIGN"), reason="more of the same: CAMPAIGN=1")
def test_many_random_schedules_agree_and_progress() -> None:
    for seed in range(1_000, 1_200):
        run_random_schedule(seed)


def run_random_schedule(seed: int) -> None:
    """Chaos (loss, duplication, reordering, power cuts, perhaps a twin), then calm."""
    network = Network(1 + seed % 7, seed=seed)
    rng = network.random
    assert rng is not None
    count = len(network.validators)
    network.drop_probability = rng.choice([0.0, 0.05, 0.2, 0.4])
    network.duplicate_probability = rng.choice([0.0, 0.2])
    evil: set[int] = set()
    if count >= 4 and rng.random() < 0.5:
        number = rng.randrange(count)
        twin(network, number, {i: rng.randrange(2) for i in range(count)})
        evil = {number}
    honest = [i for i in range(count) if i not in evil]
    network.start()
    for _ in range(80):
        network.ticks += 1
        for node in network.nodes:
            if rng.random() < 0.8:
                node.tick()
        for number in evil:
            attack(network, number, honest)
        for _ in range(rng.randrange(60)):
            network.step()
        for node in network.nodes:
            if node.is_up and rng.random() < 0.02:
                node.crash()
            elif node.is_up and rng.random() < 0.03:
                node.crash_at_persist = (node.persist_count + 1, rng.choice(["before", "after"]))
            elif not node.is_up and rng.random() < 0.2:
                node.start()
    network.drop_probability = 0.0
    network.power_on()
    reached = max(len(node.disk.headers) for node in network.nodes if node.number in honest)
    try:
        network.run_to(reached + 3, ticks_max=1_500, only=honest)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error


def attack(network: Network, evil: int, honest: list[int]) -> None:
    """Have a liar say something well signed and ill meant to everybody or to one."""
    rng = network.random
    assert rng is not None
    target = network.nodes[rng.choice(honest)]
    if not target.is_up:
        return
    parent = target.disk.headers[-1]
    height = parent.height + rng.choice([0, 1, 1, 1, 1, 2, 50])
    view = rng.choice([0, 1, 1, 2, 3, 5, 1_000_000])
    seen = [
        message.proposal.block_hash
        for _, message in network.log[-200:]
        if isinstance(message, PrePrepare | NewView)
    ]
    proposal = make_proposal(parent, evil, target.now_ms() + 1, rng.randbytes(4))
    block_hash = rng.choice([*seen, proposal.block_hash])
    old = [
        message.prepared
        for _, message in network.log[-2_000:]
        if isinstance(message, ViewChange) and message.prepared is not None
    ]
    prepared = rng.choice([None, None, *old])
    messages: list[Message] = [
        sign_prepare(evil, height, view, block_hash),
        sign_commit(evil, height, view, block_hash),
        sign_view_change(evil, height, max(view, 1), prepared),
        sign_pre_prepare(evil, height, proposal),
    ]
    changes = {
        message.replica: message
        for _, message in network.log[-2_000:]
        if isinstance(message, ViewChange) and (message.height, message.view) == (height, view)
    }
    changes[evil] = sign_view_change(evil, height, max(view, 1), prepared)
    chosen = [changes[number] for number in sorted(changes)]
    messages.append(sign_new_view(evil, height, max(view, 1), chosen, proposal))
    message = rng.choice(messages)
    for receiver in rng.choice([honest, [target.number]]):
        network.inject(receiver, message)


def test_the_whole_run_is_deterministic() -> None:
    def record() -> list[tuple[int, Message]]:
        network = Network(4, seed=7)
        network.drop_probability = 0.5
        network.start().run(60)
        return network.log

    first = record()
    assert len(first) > 200
    assert {type(message) for _, message in first} >= {
        PrePrepare,
        Prepare,
        Commit,
        ViewChange,
        NewView,
    }
    assert first == record()
