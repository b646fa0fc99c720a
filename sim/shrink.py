"""From a seed that fails to the shortest run of it that still fails, for the same rule.

A plan's faults are drawn beforehand and each from a stream of its own, so some can be left out
without changing the others. Left out are, in turn: what would come after the failure, faults (by
halves, then quarters, then one by one: Zeller & Hildebrandt, "Simplifying and Isolating
Failure-Inducing Input", 2002), faulty replicas, heights. What is left is a line that runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sim.plan import draw_plan
from sim.simulation import BEGIN_US, Options, Result
from sim.world import MS, World

RUNS_MAX: Final = 300
"""Runs that shrinking may take: some minutes."""

Run = Callable[[Options], Result]


class Shrinker:
    """Shrinks one seed; see the module's text."""

    def __init__(
        self, seed: int, options: Options, first: Result, run: Run, runs_max: int = RUNS_MAX
    ) -> None:
        self.options = options
        self.result = first
        self.run_count = 0
        self._seed = seed
        self._run = run
        self._runs_max = runs_max
        self._tried: set[Options] = set()

    def shrink(self, tell: Callable[[int, Options], None] = lambda *_: None) -> Options:
        """Return the shortest options found; `tell` hears the runs so far and the best so far."""
        self._tell = tell
        plan = draw_plan(World(self._seed), self.options.count, self.options.family)
        kept = self.options.faults
        if kept is None:
            kept = tuple(fault.name for fault in plan.schedule)
        self._shorten()
        end_us = self.options.until_ms * MS - BEGIN_US
        times = {fault.name: fault.at_us for fault in plan.schedule}
        self._try(replace(self.options, faults=tuple(at for at in kept if times[at] < end_us)))
        while True:
            before = self.options
            self._drop_faults()
            for number in sorted(plan.faulty):
                if number not in self.options.honest:
                    honest = tuple(sorted({*self.options.honest, number}))
                    self._try(replace(self.options, honest=honest))
            self._lower_heights()
            self._shorten()
            if self.options == before or self.run_count >= self._runs_max:
                return self.options

    def _try(self, options: Options) -> bool:
        """Keep these options if they still break the same rule."""
        if options == self.options or options in self._tried or self.run_count >= self._runs_max:
            return False
        self._tried.add(options)
        self.run_count += 1
        result = self._run(options)
        is_same = result.rule == self.result.rule
        if is_same:
            self.options, self.result = options, result
        self._tell(self.run_count, self.options)
        return is_same

    def _shorten(self) -> None:
        """Heal earlier: when it failed, then after half of that, and so on."""
        self._try(replace(self.options, until_ms=min(self.options.until_ms, self._failed_ms())))
        for part in (2, 4 / 3, 8 / 7):
            while self._try(replace(self.options, until_ms=int(self.options.until_ms / part) or 1)):
                pass

    def _failed_ms(self) -> int:
        return self.result.virtual_ms + 1

    def _lower_heights(self) -> None:
        while self.options.heights > 1:
            if not self._try(replace(self.options, heights=self.options.heights // 2)):
                break

    def _drop_faults(self) -> None:
        size = max(len(self.options.faults or ()) // 2, 1)
        while self.options.faults:
            size = min(size, len(self.options.faults))
            if not self._drop_one_of(list(self.options.faults), size):
                if size == 1:
                    return
                size //= 2

    def _drop_one_of(self, faults: Sequence[str], size: int) -> bool:
        for begin in range(0, len(faults), size):
            left = (*faults[:begin], *faults[begin + size :])
            if self._try(replace(self.options, faults=left)):
                return True
        return False
