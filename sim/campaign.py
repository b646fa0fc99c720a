"""Many seeds: run them on every core, add up what they met, and keep it for the record.

A campaign's sums go into a file, of which `scripts/campaign-row` makes a row of docs/CAMPAIGN.md,
so every row can be traced to a run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sim import allocator
from sim.coverage import EXPECTED, SIZES, CoverageTable
from sim.liars.kinds import LIARS, TWINS
from sim.plan import FAMILIES, NEEDS_FAULTY
from sim.simulation import Options, Result, run_seed

WAITING_PER_WORKER: Final = 4
"""Seeds given out in advance: enough to keep a worker busy, few enough to stop at once."""

CONVICTIONS: Final = ("pre-prepare", "prepare", "commit", "view-change", "checkpoint")
"""What a liar can be convicted of."""


class Campaign:
    """The sums of many seeds."""

    def __init__(self, seeds: range, options: Options) -> None:
        self.seeds = seeds
        self.options = options
        self.table = CoverageTable()
        self.failed: list[Result] = []
        self.done = 0
        self.heights = 0
        self.events = 0
        self.virtual_ms = 0
        self.slowest_resuming_ms = 0
        self.slowest_settling_ms = 0
        self.longest_view_ms = 0
        self.most_items = 0
        self._begun_s = time.monotonic()

    def add(self, result: Result) -> None:
        """Add a seed's result."""
        self.done += 1
        self.table.add(result.count, result.counts)
        self.table.add(result.count, {"seeds": 1, "heights": result.height})
        self.heights += result.height
        self.events += result.event_count
        self.virtual_ms += result.virtual_ms
        self.slowest_resuming_ms = max(self.slowest_resuming_ms, result.resuming_ms)
        self.slowest_settling_ms = max(self.slowest_settling_ms, result.settling_ms)
        self.longest_view_ms = max(self.longest_view_ms, result.longest_view_ms)
        self.most_items = max(self.most_items, result.most_items)
        if result.violation is not None:
            self.failed.append(result)

    @property
    def kills(self) -> int:
        """How often a process was ended, by a kill or a loss of power."""
        names = self.table.names()
        return sum(
            self.table.count(name)
            for name in names
            if name == "process killed" or name.startswith("power loss: ")
        )

    def empty_cells(self) -> list[str]:
        """Return what was never met, each with the sizes at which."""
        return self.table.empty_cells(expected_cells(), self._sizes())

    def _sizes(self) -> tuple[int, ...]:
        return SIZES if self.options.count is None else (self.options.count,)

    def save(self, path: Path) -> None:
        """Write the sums as JSON."""
        sums: dict[str, Any] = {
            "seeds": [self.seeds.start, self.seeds.start + self.done],
            "asked": self.options.arguments().strip(),
            "heights": self.heights,
            "kills": self.kills,
            "events": self.events,
            "virtual_hours": round(self.virtual_ms / 3_600_000, 1),
            "hours": round((time.monotonic() - self._begun_s) / 3600, 2),
            "failed": sorted(result.seed for result in self.failed),
            "slowest_resuming_ms": self.slowest_resuming_ms,
            "slowest_settling_ms": self.slowest_settling_ms,
            "longest_view_ms": self.longest_view_ms,
            "most_items": self.most_items,
            "empty_cells": self.empty_cells(),
            "coverage": self.table.as_json(),
        }
        path.write_text(json.dumps(sums, indent=1) + "\n", "utf-8")


def expected_cells() -> dict[str, int]:
    """Return every name a campaign has to meet, with the smallest network where it can happen."""
    liars = {f"liar: {kind.kind}": 4 for kind in LIARS} | {f"liar: {TWINS}": 4}
    families = {f"family: {name}": 4 if name in NEEDS_FAULTY else 1 for name in FAMILIES}
    convicted = {f"convicted: {name}": 4 for name in CONVICTIONS}
    return dict(EXPECTED) | families | liars | convicted


def _run_one(seed: int, options: Options) -> Result:
    result = run_seed(seed, options)
    allocator.collect()
    return result


def run_all(seeds: range, options: Options, workers: int) -> Iterator[Result]:
    """Yield results as they come, with a bounded number of seeds given out."""
    if workers == 1:
        allocator.prepare()
        yield from (_run_one(seed, options) for seed in seeds)
        return
    left = iter(seeds)
    with ProcessPoolExecutor(workers, initializer=allocator.prepare) as pool:
        waiting: set[Future[Result]] = {
            pool.submit(_run_one, seed, options)
            for seed in islice(left, workers * WAITING_PER_WORKER)
        }
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                for seed in islice(left, len(done)):
                    waiting.add(pool.submit(_run_one, seed, options))
        finally:
            pool.shutdown(cancel_futures=True)
