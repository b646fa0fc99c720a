"""`python -m sim`: one seed with its whole trace, or a range of seeds on every core.

A failure is one line that reproduces it, made as short as it gets, and exit status 1. A range shows
its progress and ends with what it has met, by number of nodes, and what it never met although it
should.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sim.campaign import Campaign, run_all
from sim.coverage import SIZES
from sim.plan import FAMILIES, KINDS, draw_plan
from sim.shrink import RUNS_MAX, Shrinker
from sim.simulation import Options, Result, run_seed
from sim.world import World

SHRUNK_MAX: Final = 3
"""Failures of a range that are shrunk, the first ones; each takes minutes."""

SAVED_EVERY: Final = 50
"""Seeds between two writes of a range's sums, so that a long campaign leaves something behind."""

SEEDS_MAX: Final = 10_000_000
"""Seeds of one range: some months of a machine; more is a slip of the finger."""

TABLE_WIDTH: Final = 160
"""Columns a table needs that has one for each number of nodes."""

EPILOG: Final = """\
examples:
  python -m sim --seed 8                       one seed, with one line per event
  python -m sim --seed 8 --quiet               its plan and its digests only
  python -m sim --seeds 0:200 --keep-going     a range, on all cores, and what it met
  python -m sim --seeds 0:50 --family liars --nodes 7

A seed that fails is shrunk: run again with fewer faults, earlier healing and fewer liars, as long
as the same rule is broken. The line that is printed then runs the shortest of these.

exit status: 0 nothing failed, 1 a seed failed, 2 not asked rightly
"""


def reproduction(seed: int, options: Options) -> str:
    """Return the line that runs a seed again."""
    return f"python -m sim --seed {seed}{options.arguments()}"


def run_one(seed: int, options: Options, *, is_quiet: bool, shrinks: bool) -> int:
    """Run one seed, printing its trace."""
    strangers = find_strangers(seed, options)
    if strangers:
        print(f"seed {seed}: {strangers}", file=sys.stderr)
        return 2
    result = run_seed(seed, options, None if is_quiet else print)
    print(f"plan   {result.plan}")
    print(
        f"seed {seed}: height {result.height}, {result.event_count} events, "
        f"{result.virtual_ms} virtual ms; {result.resuming_ms} ms after healing a new block "
        f"everywhere, {result.settling_ms} ms after the last order everything well"
    )
    print(f"trace  {result.trace_digest}")
    print(f"chain  {result.chain_digest}")
    if result.violation is None:
        return 0
    print(f"FAILED {result.violation}\n{reproduction(seed, options)}")
    if shrinks:
        _shrink(Console(stderr=True), Console(), result, options)
    return 1


def run_range(
    campaign: Campaign, workers: int, path: Path | None, *, keeps_going: bool, shrinks: bool
) -> int:
    """Run many seeds; print each failure as it comes and the coverage at the end.

    The sums are written to `path`, now and then and at the end.
    """
    console = Console()
    options = campaign.options
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("seeds", total=len(campaign.seeds))
        for result in run_all(campaign.seeds, options, workers):
            progress.advance(task)
            campaign.add(result)
            if path is not None and campaign.done % SAVED_EVERY == 0:
                campaign.save(path)
            if result.violation is not None:
                console.print(
                    f"[red]seed {result.seed}[/red] {result.violation}\n  {result.plan}\n"
                    f"  {reproduction(result.seed, options)}",
                    highlight=False,
                    soft_wrap=True,
                )
                if not keeps_going:
                    break
    if path is not None:
        campaign.save(path)
    _print_table(console, campaign)
    for result in campaign.failed[:SHRUNK_MAX] if shrinks else ():
        _shrink(console, console, result, options)
    seeds = sorted(result.seed for result in campaign.failed)
    console.print(f"{len(seeds)} of {campaign.done} seeds failed: {seeds}", soft_wrap=True)
    return 1 if campaign.failed else 0


def _shrink(progress_console: Console, console: Console, result: Result, options: Options) -> None:
    """Make a failure short, and print the line that runs it."""
    seed = result.seed
    shrinker = Shrinker(seed, options, result, lambda asked: run_seed(seed, asked), RUNS_MAX)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=progress_console, transient=True) as progress:
        task = progress.add_task(f"shrinking seed {seed}", total=RUNS_MAX)
        shortest = shrinker.shrink(lambda count, _: progress.update(task, completed=count))
    console.print(
        f"shortest of {shrinker.run_count} runs: {shrinker.result.violation}\n"
        f"  {reproduction(seed, shortest)}",
        highlight=False,
        soft_wrap=True,
    )


def _print_table(console: Console, campaign: Campaign) -> None:
    table = campaign.table
    sizes = [size for size in SIZES if table.count("seeds", size)]
    view = Table("what", "all", *[f"n={size}" for size in sizes], title="coverage")
    for column in view.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for name in ("seeds", "heights"):
        view.add_row(name, *[_number(table.count(name, size)) for size in (None, *sizes)])
    view.add_section()
    for name in table.names():
        if name not in {"seeds", "heights"}:
            view.add_row(name, *[_number(table.count(name, size)) for size in (None, *sizes)])
    Console(width=max(console.width, TABLE_WIDTH), file=console.file).print(view)
    empty = campaign.empty_cells()
    console.print(f"never met: {'; '.join(empty) or 'nothing'}", soft_wrap=True, highlight=False)
    console.print(
        f"in virtual ms: from healing to a new block everywhere at most "
        f"{campaign.slowest_resuming_ms}, from the last order until all is well at most "
        f"{campaign.slowest_settling_ms}, longest in one view {campaign.longest_view_ms}; most "
        f"items in a driver {campaign.most_items}",
        highlight=False,
        soft_wrap=True,
    )


def _number(count: int) -> str:
    """Return a count that fits in a narrow column."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count // 1_000:,}k"


def parse_range(text: str) -> range:
    """Return the seeds A, …, B−1 that `A:B` names; raise `ArgumentTypeError`."""
    begin, _, end = text.partition(":")
    try:
        seeds = range(int(begin), int(end))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not A:B with two whole numbers") from None
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} names no seed")
    if seeds[-1] - seeds[0] >= SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} names more than {SEEDS_MAX:,} seeds")
    return seeds


def parse_names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas; `none` is the empty one.

    A name is a family and a place in its schedule, as in `crashes-3`; raise `ArgumentTypeError`.
    """
    if text == "none":
        return ()
    names = tuple(text.split(","))
    for name in names:
        family, _, place = name.rpartition("-")
        if family not in KINDS or not place.isdecimal():
            raise argparse.ArgumentTypeError(
                f"{name!r} is no fault; one is named like 'crashes-3', after {', '.join(KINDS)}"
            )
    return names


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the replica numbers of a list with commas; raise `ArgumentTypeError`."""
    numbers = text.split(",")
    for number in numbers:
        if not number.isdecimal() or int(number) >= SIZES[-1]:
            raise argparse.ArgumentTypeError(f"{number!r} is no replica from 0 to {SIZES[-1] - 1}")
    return tuple(sorted({int(number) for number in numbers}))


def parse_count(text: str) -> int:
    """Return a whole number from 1 on; raise `ArgumentTypeError`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def parse_new_file(text: str) -> Path:
    """Return where a file can be written; raise `ArgumentTypeError`."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"no file can be written at {text!r}")
    return path


def find_strangers(seed: int, options: Options) -> str:
    """Return what the options name and the seed's plan does not have; empty if there is nothing."""
    plan = draw_plan(World(seed), options.count, options.family)
    faults = {*(options.faults or ())} - {fault.name for fault in plan.schedule}
    if faults:
        return f"its plan has no fault {', '.join(sorted(faults))}"
    honest = {*options.honest} - plan.faulty
    if honest:
        return f"in its plan these are not faulty: {', '.join(map(str, sorted(honest)))}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    usual = Options()
    parser = argparse.ArgumentParser(
        prog="python -m sim",
        description="Simulate a network of nodes that everything happens to, from a seed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="one seed, with its trace")
    which.add_argument("--seeds", type=parse_range, metavar="A:B", help="seeds A to B-1")
    parser.add_argument(
        "--heights", type=parse_count, default=usual.heights, help="default: %(default)s"
    )
    parser.add_argument("--nodes", type=int, choices=SIZES, help="default: the seed decides")
    parser.add_argument("--family", choices=FAMILIES, help="main family of faults")
    parser.add_argument(
        "--faults", type=parse_names, metavar="NAME,…", help="only these faults; none for none"
    )
    parser.add_argument(
        "--honest", type=parse_numbers, default=(), metavar="N,N", help="faulty nodes that behave"
    )
    parser.add_argument(
        "--until", type=parse_count, default=usual.until_ms, metavar="MS",
        help="virtual time at which everything heals at the latest; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=parse_count, default=os.cpu_count() or 1, help="default: cores"
    )
    parser.add_argument("--quiet", action="store_true", help="no trace")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--no-shrink", action="store_true", help="do not shorten failures")
    parser.add_argument(
        "--json", type=parse_new_file, metavar="FILE", help="write the sums of a range"
    )
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None and chosen.json is not None:
        parser.error("argument --json: only with --seeds")
    options = Options(
        chosen.heights, chosen.nodes, chosen.family, chosen.faults, chosen.honest, chosen.until
    )
    shrinks = not chosen.no_shrink
    if chosen.seed is not None:
        return run_one(chosen.seed, options, is_quiet=chosen.quiet, shrinks=shrinks)
    return run_range(
        Campaign(chosen.seeds, options),
        chosen.workers,
        chosen.json,
        keeps_going=chosen.keep_going,
        shrinks=shrinks,
    )


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly, as it does any tool
    sys.exit(main())
