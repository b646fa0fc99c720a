"""Two faults at one place: power goes before a vote's mark is synced, then the vote itself rots.

The vote may be out in the world. Seed 201302 was such a run: one copy, unmarked and broken, looks
like a record that was never finished, and the node went back by one.
"""

from __future__ import annotations

import pytest

from sim.disk import Survival
from sim.node import PlannedCrash
from sim.plan import Plan
from sim.simulation import Options, Result, Simulation
from sim.world import MS
from storage.journal import SLOT_BYTES, VOTES_FILE
from tests.sim import broken

PLAN = Plan(count=4, families=frozenset({"disks"}), is_stream=True, victims=(1,))


def run(sends: int, survival: Survival, copy: int) -> Result:
    """Node 1 loses power after so many sends; then a copy of the slot it wrote last rots."""
    simulation = Simulation(7, Options(heights=3, until_ms=2_000), plan=PLAN)
    node = simulation.nodes[1]

    def crash() -> None:
        slot = node.save_count % 2
        node.end(survival)
        node.rot(node.votes, VOTES_FILE, (2 * copy + slot) * SLOT_BYTES + 10, 0x01)
        simulation.world.after(100 * MS, node.start)

    node.planned_crash = PlannedCrash("after a send", sends, crash)
    result = simulation.run()
    assert result.counts["bit rot"] == 1
    return result


@pytest.mark.parametrize("survival", [Survival.NONE, Survival.TORN], ids=lambda each: each.value)
def test_a_vote_of_which_one_copy_rots_is_not_forgotten(survival: Survival) -> None:
    for sends, copy in ((11, 0), (15, 1)):
        assert run(sends, survival, copy).violation is None


def test_a_journal_of_one_copy_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    broken.reads_one_copy(monkeypatch)
    assert run(11, Survival.NONE, 0).rule == "journal went back"
