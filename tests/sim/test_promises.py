"""What a simulated node promises: by production's own way, and kept by whoever was away."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.receipt import IntakeReceipt
from node.submissions import Submissions
from sim.plan import Plan
from sim.promise_checker import Promise
from sim.simulation import Options, Simulation, run_seed
from sim.violation import Violation
from sim.world import MS, SECOND
from storage.spool import Spool
from tests.sim import broken
from tests.sim.test_checkers import first_violation

AWAY = Options(count=4, family="absences")
CALM = Plan(count=4, families=frozenset({"calm"}), is_stream=True)


def test_who_was_away_breaks_no_promise() -> None:
    counts: Counter[str] = Counter()
    for seed in (2, 7):
        result = run_seed(seed, AWAY)
        assert result.violation is None, f"python -m sim --seed {seed}{AWAY.arguments()}"
        counts += result.counts
    for name in ("promise", "promise of a batch", "promise from below the tip", "long pause",
                 "long cut", "nothing promised: the tip is not known or not reached"):  # fmt: skip
        assert counts[name], name


@pytest.mark.parametrize("seeds", [range(2, 3), range(7, 8)], ids=["cut", "pause"])
def test_who_promises_from_where_it_stands_is_caught(
    seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.promises_from_where_it_stands(monkeypatch)
    result = first_violation(family="absences", heights=20, seeds=seeds)
    assert result.rule == "promise"
    assert "broken as it is signed" in str(result.violation)


def test_what_a_node_forgets_to_keep_is_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promised to a client, and neither spread nor put into its own pool."""
    broken.takes_for_kept(monkeypatch)
    result = Simulation(1, Options(heights=40), plan=CALM).run()
    assert result.rule == "promise", result.violation
    assert "is not on the chain" in str(result.violation)


@pytest.mark.parametrize(
    ("away", "is_left_out", "losses", "is_correct", "is_excused"),
    [
        (3, False, 0, True, False),
        (4, False, 0, True, True),
        (8, True, 0, True, False),
        (0, True, 1, True, True),
        (0, True, 0, False, True),
    ],
    ids=["there", "away", "away and left out by others", "disk lost", "faulty by now"],
)
def test_what_excuses_a_broken_promise(
    away: int, is_left_out: bool, losses: int, is_correct: bool, is_excused: bool
) -> None:
    """Of eight heights that were left."""
    node: Any = SimpleNamespace(name="node-1", is_correct=is_correct, disk_losses=losses)
    simulation = Simulation(0, Options(heights=1), plan=CALM)
    promise = Promise(node, bytes(32), 9, tip=1, losses=0, away=away, is_left_out=is_left_out)
    with nullcontext() if is_excused else pytest.raises(Violation, match=r"^promise: node-1 "):
        simulation.checkers.promises._excuse(promise, "is not on the chain")


def test_a_receipt_that_proves_nothing_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def sign(*_: object, **named: int) -> IntakeReceipt:
        tx_id, node, key = bytes(32), "bank-0", bytes(32)
        return IntakeReceipt(bytes(32), tx_id, node, 0, named["height_max"], key, bytes(64))

    monkeypatch.setattr("node.submissions.sign_receipt", sign)
    result = Simulation(1, Options(heights=2), plan=CALM).run()
    assert result.rule == "promise"
    assert "proves nothing" in str(result.violation)


def test_a_paused_process_answers_nobody_until_it_goes_on() -> None:
    lines: list[str] = []
    options = Options(heights=3, until_ms=9_000)
    simulation = Simulation(0, options, plan=CALM, show=lines.append)
    simulation._is_tried = lambda: False  # type: ignore[method-assign]
    simulation.world.at(2 * SECOND, lambda: simulation.nodes[1].pause(4 * SECOND))
    assert simulation.run().violation is None
    times = [float(line.split()[0]) for line in lines if " node-1 " in line and " answers " in line]
    assert any(time < 2 for time in times)
    assert not any(2.001 < time < 6 for time in times)
    assert any(time >= 6 for time in times)


def test_a_spool_that_fails_stops_the_node_and_nothing_is_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    simulation = Simulation(0, Options(heights=3, until_ms=6_000), plan=CALM, show=lines.append)
    node = simulation.nodes[1]

    def fail() -> None:
        node.promises.fsyncs_until_failure = 0

    simulation.world.at(1_500 * MS, fail)
    assert simulation.run().violation is None
    (stop,) = [at for at, line in enumerate(lines) if "Input/output" in line and "stops" in line]
    starts = [at for at, line in enumerate(lines) if "node-1" in line and "starts at" in line]
    between = lines[stop : next(at for at in starts if at > stop)]
    assert not any("node-1 " in line and "answers" in line for line in between)


def test_intake_of_the_simulator_is_productions() -> None:
    simulation = Simulation(0, Options(heights=1), plan=CALM)
    simulation.run()
    promising = simulation.nodes[0]._promising
    assert promising is not None
    assert type(promising._submissions) is Submissions
    assert Spool is type(simulation.nodes[0]._spool)
