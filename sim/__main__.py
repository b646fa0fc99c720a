"""`python -m sim`: one seed with its whole trace, or a range of seeds on every core.

A failure is one line that reproduces it, and exit code 1. A range shows its progress and ends with
what it has met: a table of faults and protocol events, and what it never met although it should.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sim.coverage import Coverage
from sim.faults import FAMILIES
from sim.simulation import Options, Result, run_seed

WAITING_PER_WORKER = 4
"""Seeds given out in advance: enough to keep a worker busy, few enough to stop at once."""


def reproduction(seed: int, options: Options) -> str:
    """Return the line that runs a seed again."""
    return f"python -m sim --seed {seed}{options.arguments()}"


def run_one(seed: int, options: Options, *, is_quiet: bool) -> int:
    """Run one seed, printing its trace."""
    result = run_seed(seed, options, None if is_quiet else print)
    print(f"plan   {result.plan}")
    print(
        f"seed {seed}: height {result.height}, {result.event_count} events, "
        f"{result.virtual_ms} virtual ms, well {result.healing_ms} ms after healing"
    )
    print(f"trace  {result.trace_digest}")
    print(f"chain  {result.chain_digest}")
    if result.violation is None:
        return 0
    print(f"FAILED {result.violation}\n{reproduction(seed, options)}")
    return 1


def run_range(seeds: range, options: Options, workers: int, *, keeps_going: bool) -> int:
    """Run many seeds; print each failure as it comes and the coverage at the end."""
    console = Console()
    coverage = Coverage()
    failed: list[int] = []
    slowest_ms = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("seeds", total=len(seeds))
        for result in _results(seeds, options, workers):
            progress.advance(task)
            coverage.add(result.counts)
            slowest_ms = max(slowest_ms, result.healing_ms)
            if result.violation is not None:
                failed.append(result.seed)
                console.print(
                    f"[red]seed {result.seed}[/red] {result.violation}\n  {result.plan}\n"
                    f"  {reproduction(result.seed, options)}",
                    highlight=False,
                    soft_wrap=True,
                )
                if not keeps_going:
                    break
    console.print(_table(coverage))
    missing = coverage.missing()
    if missing:
        console.print(f"never met: {', '.join(missing)}", soft_wrap=True)
    console.print(f"slowest healing: {slowest_ms} virtual ms")
    console.print(f"{len(failed)} of {len(seeds)} seeds failed: {sorted(failed)}", soft_wrap=True)
    return 1 if failed else 0


def _results(seeds: range, options: Options, workers: int) -> Iterator[Result]:
    """Yield results as they come, with a bounded number of seeds given out."""
    if workers == 1:
        yield from (run_seed(seed, options) for seed in seeds)
        return
    left = iter(seeds)
    with ProcessPoolExecutor(workers) as pool:
        waiting: set[Future[Result]] = {
            pool.submit(run_seed, seed, options)
            for seed in islice(left, workers * WAITING_PER_WORKER)
        }
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                for seed in islice(left, len(done)):
                    waiting.add(pool.submit(run_seed, seed, options))
        finally:
            pool.shutdown(cancel_futures=True)


def _table(coverage: Coverage) -> Table:
    table = Table("what", "times", title="coverage")
    table.columns[1].justify = "right"
    for name, count in sorted(coverage.counts.items()):
        table.add_row(name, f"{count:,}")
    return table


def parse_range(text: str) -> range:
    """Return the seeds A, …, B−1 that `A:B` names."""
    begin, _, end = text.partition(":")
    seeds = range(int(begin), int(end))
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} names no seed")
    return seeds


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m sim",
        description="Simulate a network of nodes that everything happens to, from a seed.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="one seed, with its trace")
    which.add_argument("--seeds", type=parse_range, metavar="A:B", help="seeds A to B-1")
    parser.add_argument("--heights", type=int, default=Options().heights, help="default: 10")
    parser.add_argument("--nodes", type=int, default=None, help="default: the seed decides")
    parser.add_argument("--family", choices=FAMILIES, default=None, help="main family of faults")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="default: cores")
    parser.add_argument("--quiet", action="store_true", help="no trace")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    chosen = parser.parse_args(arguments)
    options = Options(chosen.heights, chosen.nodes, chosen.family)
    if chosen.seed is not None:
        return run_one(chosen.seed, options, is_quiet=chosen.quiet)
    return run_range(chosen.seeds, options, chosen.workers, keeps_going=chosen.keep_going)


if __name__ == "__main__":
    sys.exit(main())
