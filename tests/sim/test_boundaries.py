"""A crash at every place where a process can end: each effect's either side, each change of a disk.

The random families meet these places by chance; here each is met once, with everything lost that
was not synced, in a network that is well otherwise. Votes, blocks and promises must survive it.
"""

from __future__ import annotations

import pytest

from sim.disk import Survival
from sim.node import Node, PlannedCrash
from sim.plan import Plan
from sim.simulation import Options, Simulation
from sim.world import MS

HEIGHTS = 2
UNTIL_MS = 1_400
"""Long enough for both heights: a crash later than that would meet nothing new."""
CALM = Plan(count=4, families=frozenset({"calm"}), is_stream=True)
VICTIM = 1


class CrashAt:
    """A simulation whose node 1 ends at the n-th passing of a place, and starts again."""

    def __init__(self, where: str, passing: int, survival: Survival) -> None:
        options = Options(heights=HEIGHTS, until_ms=UNTIL_MS)
        self.simulation = Simulation(7, options, plan=CALM)
        self.has_crashed = False
        self._survival = survival
        node = self.simulation.nodes[VICTIM]
        node.planned_crash = PlannedCrash(where, passing, lambda: self._crash(node))

    def _crash(self, node: Node) -> None:
        self.has_crashed = True
        assert not self.simulation.faults.is_healed
        node.end(self._survival)
        self.simulation.world.after(300 * MS, node.start)

    def run(self) -> str | None:
        result = self.simulation.run()
        assert result.height >= HEIGHTS
        return result.violation


@pytest.mark.parametrize("survival", [Survival.NONE, Survival.ALL], ids=["power", "kill"])
@pytest.mark.parametrize(("where", "step"), [("any boundary", 6), ("disk step", 5)])
def test_a_crash_at_every_place(where: str, step: int, survival: Survival) -> None:
    """Every `step`-th place in one run, beginning at another for each way of dying."""
    passing = 0 if survival is Survival.NONE else step // 2
    crashes = 0
    while True:
        crash = CrashAt(where, passing, survival)
        assert crash.run() is None, (where, passing)
        if not crash.has_crashed:
            break
        crashes += 1
        passing += step
    assert crashes >= 10
