"""`python -m tests.law.lives`: random lives by the million, on every core.

Each seed is one contract with its whole life, run through the engine and through the plain second
implementation, with the properties of `tests.law.life_checks`. A failure is one line that
reproduces it, and exit status 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.law.life_checks import check_life

BATCH = 100
"""Lives given to a worker at once: about two seconds of work."""

WAITING_PER_WORKER = 4


def run_batch(seeds: range) -> tuple[range, int, list[tuple[int, str]]]:
    """Return (seeds, results worked, failures) of some lives."""
    results, failed = 0, []
    for seed in seeds:
        try:
            results += check_life(seed)
        except Exception as error:  # noqa: BLE001  whatever it is, it is this seed's failure
            failed.append((seed, f"{type(error).__name__}: {error}"))
    return seeds, results, failed


def run_batches(
    batches: Iterator[range], workers: int
) -> Iterator[tuple[range, int, list[tuple[int, str]]]]:
    """Yield what the batches gave, as they end."""
    if workers == 1:
        yield from map(run_batch, batches)
        return
    with ProcessPoolExecutor(workers) as pool:
        running: set[Future[tuple[range, int, list[tuple[int, str]]]]] = set()
        running |= {
            pool.submit(run_batch, b) for b in islice(batches, workers * WAITING_PER_WORKER)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(run_batch, batch) for batch in islice(batches, len(done))}
            for future in done:
                yield future.result()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.law.lives",
        description="Random lives of prepaid contracts, engine against second implementation.",
        epilog="examples:\n"
        "  python -m tests.law.lives --lives 1000000     a million lives on every core\n"
        "  python -m tests.law.lives --first 4711 --lives 1   one seed again",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lives", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    arguments = parser.parse_args(argv)
    seeds = range(arguments.first, arguments.first + arguments.lives)
    return 1 if run_lives(seeds, arguments.workers).failed else 0


@dataclass(slots=True)
class Tally:
    """What a range of lives came to."""

    lives: int = 0
    results: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds."""


def run_lives(seeds: range, workers: int) -> Tally:
    """Check the lives of some seeds in so many processes, with a progress bar; tell each failure
    in one line that runs it again."""
    batches = (seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH))
    console = Console()
    tally = Tally()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("lives", total=len(seeds))
        for done, worked, broken in run_batches(iter(batches), workers):
            progress.advance(task, len(done))
            tally.lives += len(done)
            tally.results += worked
            for seed, sentence in broken:
                tally.failed.append(seed)
                console.print(
                    f"seed {seed}: {sentence}\n"
                    f"  python -m tests.law.lives --first {seed} --lives 1",
                    highlight=False,
                    soft_wrap=True,
                )
    tally.failed.sort()
    console.print(
        f"{tally.lives} lives, {tally.results} results, {len(tally.failed)} failed",
        soft_wrap=True,
    )
    return tally


if __name__ == "__main__":
    sys.exit(main())
