"""A primary that never proposes one merchant's transactions delays them by its own turns only."""

from __future__ import annotations

import pytest

from consensus import actions as act
from consensus import events as ev
from node.driver import Driver
from sim.client import MERCHANT
from sim.simulation import Options, Simulation


class Censor(Driver):
    """Builds blocks as if the merchant had sent nothing; votes like everybody else."""

    left_out = 0

    def _build(self, action: act.BuildProposal) -> ev.Event | None:
        pool = self.pool
        waiting = [c for c in pool.candidates() if MERCHANT in c.transaction.body.signers]
        hidden = {candidate.transaction.tx_id for candidate in waiting}
        Censor.left_out += len(hidden)
        plain = pool.candidates
        pool.candidates = lambda: [  # type: ignore[method-assign]
            candidate for candidate in plain() if candidate.transaction.tx_id not in hidden
        ]
        try:
            return super()._build(action)
        finally:
            pool.candidates = plain  # type: ignore[method-assign]


@pytest.mark.parametrize(("count", "censors"), [(4, {2}), (7, {1, 4})])
def test_what_censors_leave_out_is_on_the_chain_within_f_plus_one_turns(
    count: int, censors: set[int]
) -> None:
    """Trap 23: f censors in a row leave the next height to somebody who is none."""
    Censor.left_out = 0
    simulation = Simulation(
        77,
        Options(heights=25, count=count, family="calm"),
        make_driver=Censor,
        broken=frozenset(censors),
    )
    committed_at: dict[bytes, int] = {}
    admitted_at: dict[bytes, int] = {}
    chain = simulation.checkers.chain
    plain = simulation.world.step

    def step() -> bool:
        for node in simulation.nodes:
            if node.driver is not None:
                for candidate in node.driver.pool.candidates():
                    tx_id = candidate.transaction.tx_id
                    admitted_at.setdefault(tx_id, len(chain.blocks) - 1)
        committed_at.update(chain.tx_heights)
        return plain()

    simulation.world.step = step  # type: ignore[method-assign]
    result = simulation.run()
    assert result.violation is None
    assert Censor.left_out > 0, "there was something to leave out"
    waits = {
        committed_at[tx_id] - height
        for tx_id, height in admitted_at.items()
        if tx_id in committed_at
    }
    # One height may be under way when a transaction comes; then at most f turns of censors. One
    # with nothing else to propose is silent, and its height goes to the next primary.
    assert max(waits) <= len(censors) + 2
