"""A failure becomes a short line that runs again: shrinking, reading it back, the command."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim.__main__ import main, parse_names, parse_numbers, reproduction
from sim.campaign import Campaign, expected_cells
from sim.coverage import CoverageTable
from sim.plan import MAINS, draw_plan, narrow
from sim.shrink import Shrinker
from sim.simulation import Options, Result, Simulation, run_seed
from sim.world import World
from tests.sim import broken

ROOT = Path(__file__).parents[2]
OPTIONS = Options(heights=2, count=4, family="blackouts", until_ms=4_000)
RUNS = 40


def amnesiac(seed: int, options: Options) -> Result:
    """Run drivers that do not read their journals: what they need to fail is a loss of power."""
    return Simulation(seed, options, make_driver=broken.Amnesiac).run()


def test_a_failure_shrinks_and_its_line_fails_for_the_same_rule() -> None:
    seed = next(seed for seed in range(60) if amnesiac(seed, OPTIONS).violation is not None)
    first = amnesiac(seed, OPTIONS)
    told: list[int] = []
    shrinker = Shrinker(seed, OPTIONS, first, lambda asked: amnesiac(seed, asked), RUNS)
    shortest = shrinker.shrink(lambda count, _: told.append(count))
    assert told == list(range(1, shrinker.run_count + 1))
    assert 0 < shrinker.run_count <= RUNS
    assert shortest.faults is not None
    assert 0 < len(shortest.faults) <= 3
    again = amnesiac(seed, shortest)
    assert again.rule == first.rule
    assert len(shortest.faults) < len(draw_plan(World(seed), 4, "blackouts").schedule)
    assert run_seed(seed, shortest).violation is None, "without the mistake nothing is broken"


def test_leaving_faults_out_leaves_the_others_as_they_were() -> None:
    for seed in range(5, 40, len(MAINS)):
        plan = draw_plan(World(seed))
        kept = frozenset(fault.name for fault in plan.schedule[::3])
        narrowed = narrow(plan, kept, plan.faulty)
        assert narrowed.schedule == plan.schedule[::3]
        assert narrowed.faulty == frozenset()
        assert narrow(plan, None, frozenset()) == plan


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(heights=3, count=7, family="liars"),
        Options(faults=(), honest=(2,), until_ms=1_500),
        Options(faults=("crashes-3", "weather-14"), honest=(0, 5)),
    ],
    ids=str,
)
def test_the_line_that_is_printed_asks_for_the_same(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, Options]] = []

    def run_one(seed: int, options: Options, **_: Any) -> int:
        asked.append((seed, options))
        return 0

    monkeypatch.setattr("sim.__main__.run_one", run_one)
    line = reproduction(26, options)
    assert line.startswith("python -m sim ")
    assert main(line.split()[3:]) == 0
    assert asked == [(26, options)]


def test_lists() -> None:
    assert parse_numbers("7,3,3") == (3, 7)
    assert parse_names("crashes-7,disks-3") == ("crashes-7", "disks-3")
    assert parse_names("none") == ()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--seeds 5", "argument --seeds: '5' is not A:B with two whole numbers"),
        ("--seeds 9:5", "argument --seeds: '9:5' names no seed"),
        ("--seeds 0:10000001", "argument --seeds: '0:10000001' names more than 10,000,000 seeds"),
        (f"--seeds 0:{10**20}", f"argument --seeds: '0:{10**20}' names more than 10,000,000 seeds"),
        ("--seeds 0:1 --workers 0", "argument --workers: '0' is not a whole number from 1 on"),
        ("--seed 5 --heights -3", "argument --heights: '-3' is not a whole number from 1 on"),
        ("--seed 5 --until 0", "argument --until: '0' is not a whole number from 1 on"),
        ("--seed 5 --honest 13", "argument --honest: '13' is no replica from 0 to 12"),
        ("--seed 5 --faults crash-3", "argument --faults: 'crash-3' is no fault; one is named"),
        ("--seed 5 --faults crashes", "argument --faults: 'crashes' is no fault; one is named"),
        ("--seeds 0:1 --json /none/at/all", "no file can be written at '/none/at/all'"),
        ("--seed 5 --json sums.json", "argument --json: only with --seeds"),
    ],
)
def test_what_is_not_asked_rightly_is_refused_by_name(
    arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--faults crashes-9", "seed 0: its plan has no fault crashes-9\n"),
        ("--honest 1,2", "seed 0: in its plan these are not faulty: 1, 2\n"),
    ],
)
def test_a_fault_or_a_liar_that_a_seed_does_not_have_is_not_left_out_in_silence(
    options: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--seed", "0", "--nodes", "4", "--family", "calm", *options.split()]) == 2
    assert capsys.readouterr().err == sentence


def test_a_reader_that_has_seen_enough_ends_a_trace_without_a_word() -> None:
    """`| head`: a write that fails is no failure of the seed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", "--seed", "8"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert " plan " in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == -signal.SIGPIPE


def test_a_range_prints_what_it_met_and_names_what_it_did_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    path = tmp_path / "run.json"
    arguments = ["--seeds", "0:2", "--heights", "2", "--nodes", "4", "--workers", "1"]
    assert main([*arguments, "--family", "calm", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "0 of 2 seeds failed: []" in out
    assert "never met: partition (n = 4); " in out
    assert '"seeds": [\n  0,\n  2\n ]' in path.read_text()


def test_a_failing_range_prints_the_seed_and_its_shortest_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.campaign.run_seed", amnesiac)
    monkeypatch.setattr("sim.__main__.run_seed", amnesiac)
    monkeypatch.setattr("sim.__main__.RUNS_MAX", RUNS)
    arguments = ["--seeds", "0:60", *OPTIONS.arguments().split(), "--workers", "1"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "\n  python -m sim --seed " in out
    assert "shortest of " in out
    assert " --faults " in out.split("shortest of ")[1]


def test_empty_cells_are_named_from_the_size_where_they_can_happen() -> None:
    table = CoverageTable()
    table.add(4, {"bit rot": 2, "partition": 1})
    table.add(2, {"partition": 5})
    expected = {"bit rot": 4, "partition": 2, "restart": 1}
    assert table.empty_cells(expected, (1, 2, 4, 5)) == [
        "bit rot (n = 5)",
        "partition (n = 5)",
        "restart (n = 1, 2, 4, 5)",
    ]
    assert (table.count("partition"), table.count("partition", 4)) == (6, 1)
    assert {"liar: twins", "family: dead", "crash before a save"} <= set(expected_cells())


def test_a_campaigns_sums_are_those_of_its_seeds() -> None:
    options = Options(heights=3, count=4, family="crashes")
    campaign = Campaign(range(4), options)
    results = [run_seed(seed, options) for seed in range(4)]
    for result in results:
        campaign.add(result)
    ends = sum(
        count
        for result in results
        for name, count in result.counts.items()
        if name == "process killed" or name.startswith("power loss")
    )
    assert campaign.heights == sum(result.height for result in results)
    assert campaign.kills == ends > 0
    assert campaign.failed == []
