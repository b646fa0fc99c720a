"""Every checker can fail: a driver with one mistake is caught, by the rule that is meant to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.driver import Driver
from sim.node import Wait
from sim.simulation import Options, Result, Simulation
from tests.sim import broken
from tests.sim.regressions import STEP_INSIDE_A_STEP

SEEDS = range(10)


def first_violation(
    make_driver: Callable[..., Driver] = Driver,
    *,
    family: str = "crashes",
    count: int = 4,
    only: frozenset[int] | None = None,
    seeds: range = SEEDS,
) -> Result:
    for seed in seeds:
        options = Options(heights=6, count=count, family=family)
        result = Simulation(seed, options, make_driver=make_driver, broken=only).run()
        if result.violation is not None:
            return result
    pytest.fail(f"none of {len(seeds)} seeds noticed")


@pytest.mark.parametrize(
    ("make_driver", "rule"),
    [
        (broken.Forgetful, "durable before sent"),
        (broken.SendsFirst, "durable before sent"),
        (broken.DropsPending, "durable before sent"),
        (broken.VotesTwice, "double vote"),
        (broken.ForgetsCosignature, "durable before sent"),
        (broken.ForksCosignature, "cosignature"),
        (broken.Lazy, "progress"),
    ],
)
def test_a_broken_driver_is_caught(make_driver: type[Driver], rule: str) -> None:
    result = first_violation(make_driver)
    assert result.violation is not None
    assert result.violation.startswith(rule + ":"), result.violation


def test_a_driver_that_takes_an_old_journal_is_caught() -> None:
    result = first_violation(broken.Trusting, family="amnesia")
    assert result.violation is not None
    assert result.violation.split(":")[0] in {"old journal taken", "journal went back"}


def test_a_driver_that_catches_up_behind_its_journals_back_is_caught() -> None:
    """Killed on the way, it takes its own journal for an old one."""
    result = first_violation(broken.LeavesItsJournalBehind, seeds=range(13, 27))
    assert result.violation is not None
    assert result.violation.startswith("correct node halted: "), result.violation
    assert "the vote journal is older than the chain" in result.violation


def test_a_driver_that_does_not_read_its_journal_is_caught() -> None:
    result = first_violation(broken.Amnesiac, family="blackouts")
    assert result.violation is not None
    assert result.violation.split(":")[0] in {
        "double vote",
        "journal went back",
        "vote in a left view",
        "cosignature",
    }, result.violation


def test_a_quorum_off_by_one_is_caught() -> None:
    result = first_violation(broken.with_quorum(2), family="partitions")
    assert result.violation is not None
    assert result.violation.split(":")[0] in {"certificate", "agreement"}, result.violation


def test_a_block_reported_and_not_committed_is_caught() -> None:
    result = first_violation(broken.SkipsBlock, family="calm", only=frozenset({1}))
    assert result.violation is not None


@pytest.mark.parametrize("seed", sorted(STEP_INSIDE_A_STEP))
def test_a_shell_that_steps_inside_a_step_is_caught(seed: int) -> None:
    result = Simulation(seed, Options(), wait=Wait.NESTED).run()
    assert result.violation is not None
    assert result.violation.startswith(("journal went back:", "cosignature:")), result.violation


def test_evidence_that_nobody_reports_is_caught() -> None:
    for seed in range(30):
        simulation = Simulation(
            seed, Options(heights=6, count=4, family="liars"), make_driver=broken.Hushed
        )
        result = simulation.run()
        if result.counts["evidence held"]:
            break
    assert result.violation is not None
    assert result.violation.startswith("progress:")
    assert "evidence held and not on the chain" in result.violation
