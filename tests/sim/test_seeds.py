"""Seeds over all families, those that once failed, and the promise that a seed is everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.coverage import Coverage
from sim.faults import FAMILIES
from sim.simulation import Options, run_seed
from tests.sim.regressions import REGRESSIONS

ROOT = Path(__file__).parents[2]
SEEDS_PER_FAMILY = 7
MUST_MEET = (
    "crash at an effect", "crash at a disk step", "restart", "all nodes cut",
    "power loss: scattered", "partition", "partition one way", "frame lost", "frame doubled",
    "disk full", "fsync failed", "bit rot", "damage found", "recovery ended", "clock far off",
    "slow node", "view change", "new view", "re-proposal", "catch-up", "evidence on chain",
    "transaction refused outcome", "reference reused",
)  # fmt: skip


@pytest.mark.parametrize("seed", sorted(REGRESSIONS))
def test_a_seed_that_once_failed(seed: int) -> None:
    assert run_seed(seed, Options()).violation is None, REGRESSIONS[seed]


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_of_a_family(family: str) -> None:
    first = 1000 + FAMILIES.index(family)
    for seed in range(first, first + SEEDS_PER_FAMILY * len(FAMILIES), len(FAMILIES)):
        result = run_seed(seed, Options(heights=6))
        assert result.violation is None, f"python -m sim --seed {seed} --heights 6"
        assert f"family: {family}" in result.counts


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_other_sizes(count: int) -> None:
    result = run_seed(2000 + count, Options(heights=6, count=count, family="crashes"))
    assert result.violation is None
    assert result.counts[f"nodes: {count}"] == 1


def test_the_families_together_meet_what_they_should() -> None:
    coverage = Coverage()
    for seed in range(1000, 1010):
        for shift in (0, 10, 20):
            coverage.add(run_seed(seed + shift, Options(heights=6)).counts)
    assert [name for name in MUST_MEET if not coverage.counts[name]] == []


@pytest.mark.parametrize("seed", [3, 19])
def test_a_seed_gives_the_same_bytes_under_any_hash_seed(seed: int) -> None:
    outputs = set()
    for hash_seed in ("1", "271828"):
        done = subprocess.run(
            [sys.executable, "-m", "sim", "--seed", str(seed), "--heights", "4"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=120,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert b"VIOLATION" not in outputs.pop()


def test_different_seeds_differ() -> None:
    first, second = (run_seed(seed, Options(heights=4)) for seed in (10, 20))
    assert first.trace_digest != second.trace_digest
    assert first.chain_digest != second.chain_digest
