"""What peers relay in a simulation: it waits for its turn, and nothing is lost or left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from node.messages import Transactions, encode_frame
from node.relayed import DISTRUST_S, Relayed
from sim.disk import Survival
from sim.liars.liar import Liar
from sim.plan import Plan
from sim.simulation import Options, Simulation
from sim.world import MS, SECOND

CALM = Plan(count=4, families=frozenset({"calm"}), is_stream=True)


def make_busy(simulation: Simulation) -> None:
    """More is ordered than can be checked as it comes."""
    simulation.clients.interval_us = 50 * MS
    for node in simulation.nodes:
        node.pace.verify_us = 300 * MS


def test_what_is_named_goes_first_and_nothing_is_lost() -> None:
    counts: Counter[str] = Counter()
    for seed, loss in enumerate((0.0, 0.0, 0.1, 0.1)):
        simulation = Simulation(seed, Options(heights=6), plan=replace(CALM, is_stream=not loss))
        make_busy(simulation)
        simulation.network.conditions = replace(simulation.network.conditions, loss=loss)
        result = simulation.run()
        assert result.violation is None, f"seed {seed}"
        counts += result.counts
    for name in ("named envelopes hastened", "urgent turn first", "only the rest asked for",
                 "peer held"):  # fmt: skip
        assert counts[name], name


def test_who_relays_what_is_refused_is_passed_over_until_it_is_trusted_again() -> None:
    plan = replace(CALM, liars={0: Liar})
    simulation = Simulation(1, Options(heights=2, until_ms=25_000), plan=plan)
    simulation._is_tried = lambda: False  # type: ignore[method-assign]
    world, counts = simulation.world, simulation.coverage.counts
    garbage = encode_frame(Transactions([b"garbage"]))
    begun_us, passed_over = 2 * SECOND, [0, 0]

    def look(at: int) -> None:
        passed_over[at] = counts["relayer passed over"]

    world.at(begun_us, lambda: simulation.network.send(0, 1, garbage, begun_us))
    world.at(begun_us - 1, lambda: look(0))
    world.at(begun_us + round(DISTRUST_S * SECOND) + 100 * MS, lambda: look(1))
    result = simulation.run()
    assert result.violation is None
    assert passed_over[0] == 0
    assert passed_over[1] > 5
    assert counts["relayer passed over"] == passed_over[1], "for ever, or of another"


def test_a_correct_node_that_is_passed_over_is_a_violation() -> None:
    simulation = Simulation(1, Options(heights=2), plan=CALM)
    garbage = encode_frame(Transactions([b"garbage"]))
    begun_us = 2 * SECOND
    simulation.world.at(begun_us, lambda: simulation.network.send(0, 1, garbage, begun_us))
    assert simulation.run().rule == "correct node distrusted"


def test_nothing_of_a_process_reaches_the_next() -> None:
    lines: list[str] = []
    until_ms = 7_000
    options = Options(heights=3, until_ms=until_ms)
    simulation = Simulation(0, options, plan=CALM, show=lines.append)
    simulation._is_tried = lambda: False  # type: ignore[method-assign]
    make_busy(simulation)
    world, node = simulation.world, simulation.nodes[1]
    left: list[int] = []
    seen: list[str] = []

    def end() -> None:
        if node.relayed_count < 5:
            world.after(MS, end)
            return
        node.end(Survival.NONE)
        left.append(node.relayed_count)
        simulation.network.block(simulation.network.pairs)
        lines.clear()
        node.start()

    world.at(2 * SECOND, end)
    world.at(until_ms * MS - 1, lambda: seen.extend(line for line in lines if " node-1 " in line))
    assert simulation.run().violation is None
    assert left == [0]
    assert any("reads its journal" in line for line in seen)
    assert not any(" relayed, " in line for line in seen)


@pytest.mark.parametrize("error", [LookupError("wrong"), SystemError("worse")])
def test_a_task_that_breaks_off_is_a_violation(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def parse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Relayed, "_parse", parse)
    result = Simulation(0, Options(heights=2), plan=CALM).run()
    assert result.violation is not None
    assert result.violation.startswith("driver raised: node-")
    assert result.violation.endswith(f": {type(error).__name__}: {error}")
