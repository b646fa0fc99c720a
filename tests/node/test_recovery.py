"""A node that lost its journal is silent until it knows what it may have signed."""

from __future__ import annotations

import pytest

from consensus.messages import Commit, Prepare, ViewChange
from node.effects import PeerChanged, RecoveryEnded
from node.messages import Cosigned, Status
from node.recovery import MARGIN_HEIGHTS, SILENT_ALWAYS, Recovery
from storage.journal import Journal
from tests.consensus.network import make_validators
from tests.node.driving import Drivers


@pytest.mark.parametrize("count", [4, 5, 7])
def test_a_quorum_of_others_must_answer(count: int) -> None:
    """Trap 32: more than n − quorum nodes without memory cannot end their silence by themselves."""
    validators = make_validators(count)
    recovery = Recovery(validators, count - 1, is_active=True)
    for replica in range(validators.quorum - 1):
        assert recovery.hear(replica, 10 + replica) is None
        assert recovery.hear(replica, 10 + replica) is None, "nobody counts twice"
    assert recovery.hear(count - 1, 99) is None, "nor does the node itself"
    assert recovery.is_active
    assert recovery.hear(validators.quorum - 1, 3) == 10 + validators.quorum - 2 + MARGIN_HEIGHTS
    assert not recovery.is_active
    assert recovery.hear(0, 10**6) is None


def test_a_later_answer_of_the_same_peer_counts_if_it_is_higher() -> None:
    recovery = Recovery(make_validators(4), 3, is_active=True)
    recovery.hear(0, 8)
    recovery.hear(0, 5)
    recovery.hear(1, 2)
    assert recovery.hear(2, 2) == 8 + MARGIN_HEIGHTS


def test_a_node_that_does_not_recover_hears_nothing() -> None:
    recovery = Recovery(make_validators(4), 3, is_active=False)
    assert recovery.hear(0, 8) is None


def test_a_recovering_node_signs_nothing_through_two_heights_more() -> None:
    """Trap 10 and 33: it follows, votes again after D+2, and not one height earlier."""
    network = Drivers().start()
    network.grow(3)
    machine = network.machines[3]
    machine.votes.wipe()
    Journal.create(machine.votes)
    machine.done.clear()
    machine.start(is_recovering=True)
    assert machine.driver.replica.silent_through_height == SILENT_ALWAYS
    decided = machine.height
    network.tick(2)
    assert not any(isinstance(item, RecoveryEnded) for item in machine.done)
    for peer in (0, 1, 2):
        machine.step(PeerChanged(peer, True))
    network.settle()
    assert machine.sent(Status)[0].wants_answer
    assert sum(isinstance(item, RecoveryEnded) for item in machine.done) == 1
    silent_through = machine.driver.replica.silent_through_height
    assert silent_through == decided + 2
    network.grow(5)
    heights = [
        item.height for item in machine.voted() if isinstance(item, Prepare | Commit | ViewChange)
    ]
    assert min(heights) == silent_through + 1
    assert min(frame.height for frame in machine.sent(Cosigned)) == silent_through + 1


def test_a_status_without_proof_does_not_end_a_recovery() -> None:
    """Trap 29: three liars' numbers would set the silence too low."""
    network = Drivers().start()
    network.grow(3)
    true = network.machines[0].driver._status()
    machine = network.machines[3]
    machine.start(is_recovering=True)
    lie = Status(1, true.header, true.certificate, False)
    for peer in (0, 1, 2):
        machine.hear(peer, lie)
    assert machine.driver.recovery.is_active
    for peer in (0, 1, 2):
        machine.hear(peer, true)
    assert not machine.driver.recovery.is_active
