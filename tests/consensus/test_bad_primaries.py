"""Primaries that keep to the letter and hurt: selective, slow, or with a taste for some clients."""

from __future__ import annotations

import pytest

from consensus import actions as act
from consensus import events as ev
from consensus.messages import Message, PrePrepare
from tests.consensus.network import TIMING, Network, Node


@pytest.mark.parametrize(("count", "reached"), [(4, 0), (4, 1), (7, 0), (7, 2), (7, 3)])
def test_a_primary_that_proposes_to_few_only_is_replaced(count: int, reached: int) -> None:
    """Trap 22: those who see its proposal prepare and wait; those who do not have work and wait."""
    network = Network(count)
    chosen = [i for i in range(count) if i != 1][:reached]

    def rule(sender: int, receiver: int, message: Message) -> bool:
        is_first = isinstance(message, PrePrepare) and message.height == 1
        return not is_first or receiver in chosen

    network.filter = rule
    network.start().run_to(1, ticks_max=60)
    certificate = network.nodes[0].disk.certificates[1]
    assert certificate.view == 1
    assert network.nodes[0].disk.headers[1].proposer == 2


def delay_proposals(network: Network, slow: Node, ticks: int) -> list[tuple[int, ev.Event]]:
    """Have one node give its blocks only after so many ticks; return the list that waits."""
    waiting: list[tuple[int, ev.Event]] = []
    perform = slow.perform

    def perform_late(action: act.Action) -> None:
        perform(action)
        if isinstance(action, act.BuildProposal):
            event = slow.queue.pop()
            if isinstance(event, ev.ProposalBuilt) and event.proposal is not None:
                waiting.append((network.ticks + ticks, event))
            else:
                slow.queue.append(event)

    slow.perform = perform_late  # type: ignore[method-assign]
    return waiting


def test_a_primary_just_under_the_timeout_slows_its_own_turns_only() -> None:
    """Trap 23: rotation bounds what it costs, one timeout in n heights, and it is nobody else's."""
    network = Network(4)
    late = TIMING.view_timeout_ticks - 2
    waiting = delay_proposals(network, network.nodes[1], late)
    network.start()
    applied_at: dict[int, int] = {}
    for _ in range(10 * TIMING.view_timeout_ticks):
        network.run(1)
        due = [event for tick, event in waiting if tick <= network.ticks]
        waiting[:] = [(tick, event) for tick, event in waiting if tick > network.ticks]
        for event in due:
            network.nodes[1].handle(event)
        network.settle()
        for height in range(len(network.nodes[0].disk.headers)):
            applied_at.setdefault(height, network.ticks)
    headers = network.nodes[0].disk.headers
    assert len(headers) > 30
    assert [network.nodes[0].disk.certificates[h].view for h in range(1, 30)] == [0] * 29
    for height in range(1, 30):
        span = applied_at[height] - applied_at[height - 1]
        assert span <= (late + 1 if headers[height].proposer == 1 else 1)


def test_every_institution_proposes_in_turn() -> None:
    """Trap 23: whoever leaves something out has one height in n to do so."""
    network = Network(7).start()
    network.run_to(14, ticks_max=40)
    assert [header.proposer for header in network.nodes[0].disk.headers[1:15]] == [
        height % 7 for height in range(1, 15)
    ]
