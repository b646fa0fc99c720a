"""`python -m model`: explore the protocol's rules, the real replica beside them, or broken rules.

Every combination of liars is a world of its own and runs on a core of its own. A breach is printed
as a short numbered trace, and the exit status is 1; for a mutant it is the other way round: a
mutant without a breach is a check that does not see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import combinations
from multiprocessing.sharedctypes import Synchronized

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from model.explorer import Explorer
from model.mutants import MUTANTS, Mutant
from model.questions import Replicas
from model.rules import Rules, Setting
from model.telling import tell_breach

DESCRIPTION = """\
Explore every state that correct replicas and liars can bring about at one height.

The rules are written a second time, plainly, in model/rules.py. All states are visited and each is
judged: at most one block is decided; it is a block that was proposed and can be executed; no
correct replica contradicts itself; and once the network heals, a decision is reached from there."""

EPILOG = """\
examples:
  python -m model                        four replicas, three views, each replica the liar in turn
  python -m model --real --views 2       in every state, real replicas are asked what they say
  python -m model --mutants              rules with one mistake each: every one must be found out
  python -m model --mutant ViewNotSigned       a shortest counterexample, statement by statement
  python -m model --replicas 5 --views 2       another number of replicas

exit status: 0 all well, 1 a property does not hold (or a mutant's mistake went unnoticed)
docs/MODEL.md says what is modelled, what is left out, and why nothing is lost by it."""

_visited: Synchronized[int] | None = None


@dataclass(frozen=True)
class Outcome:
    """How one world ended."""

    setting: Setting
    state_count: int
    step_count: int
    decided_count: int
    situation_count: int
    depth: int
    question_count: int
    seconds: float
    lines: tuple[str, ...]
    """The breach in words; empty if there was none."""


def explore(setting: Setting, *, is_real: bool) -> Outcome:
    """Visit one world."""
    started = time.monotonic()
    rules = Rules(setting)
    replicas = Replicas(rules) if is_real else None
    explorer = Explorer(rules, merges_letters=replicas is None)
    if replicas is None:
        seen = explorer.run(report=_report)
    else:
        seen = explorer.run(look=replicas.look, report=_report)
    return Outcome(
        setting,
        seen.state_count,
        seen.step_count,
        seen.decided_count,
        len(seen.situations),
        seen.depth,
        0 if replicas is None else replicas.question_count,
        time.monotonic() - started,
        () if seen.breach is None else tuple(tell_breach(rules, seen.breach)),
    )


def worlds(replica_count: int, view_count: int, liars: frozenset[int] | None) -> list[Setting]:
    """Return the worlds asked for: each combination of f liars, or the one given."""
    setting = Setting(replica_count=replica_count, view_count=view_count)
    chosen = (
        [frozenset(item) for item in combinations(range(replica_count), setting.faulty_max)]
        if liars is None
        else [liars]
    )
    return [
        Setting(replica_count=replica_count, view_count=view_count, liars=item) for item in chosen
    ]


def run_worlds(settings: Sequence[Setting], *, is_real: bool, workers: int) -> int:
    """Visit all worlds and print a table; return the exit status."""
    console = Console()
    visited = multiprocessing.Value("q", 0)
    outcomes: list[Outcome] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        ProcessPoolExecutor(workers, initializer=_share, initargs=(visited,)) as pool,
    ):
        task = progress.add_task("worlds", total=len(settings))
        waiting: set[Future[Outcome]] = {
            pool.submit(explore, setting, is_real=is_real) for setting in settings
        }
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            outcomes += [future.result() for future in done]
            progress.update(
                task,
                completed=len(outcomes),
                description=f"{visited.value:,} states",
            )
    outcomes.sort(key=lambda item: sorted(item.setting.liars))
    console.print(_table(outcomes, is_real=is_real))
    for outcome in outcomes:
        for line in outcome.lines:
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    return int(any(outcome.lines for outcome in outcomes))


def run_mutants(mutants: Sequence[type[Mutant]], *, is_brief: bool) -> int:
    """Look for each mutant's counterexample; return the exit status."""
    blind = 0
    for mutant in mutants:
        rules = mutant(mutant.setting_for_it)
        breach = Explorer(rules).run(opening=mutant.opening).breach
        what = (mutant.__doc__ or "").partition("\n\n")[0].replace("\n    ", " ")
        if breach is None or not breach.sentence.startswith(mutant.breaks + ":"):
            blind += 1
            print(f"{mutant.__name__}: NOT NOTICED; it should break {mutant.breaks}")
        elif is_brief:
            print(f"{mutant.__name__}: {breach.sentence} ({len(breach.trace)} statements)")
        else:
            print(f"{mutant.__name__}: {what}")
            print("\n".join(tell_breach(rules, breach)))
    return int(blind > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m model",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--replicas", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--views", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument(
        "--liars",
        type=_parse_liars,
        metavar="R[,R]",
        help="who lies (default: every f of the replicas, one world after another)",
    )
    parser.add_argument(
        "--real",
        action="store_true",
        help="ask real replicas in every state; needs four or more replicas",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="default: cores")
    broken = parser.add_mutually_exclusive_group()
    broken.add_argument("--mutants", action="store_true", help="all rules with one mistake")
    broken.add_argument(
        "--mutant",
        choices=[mutant.__name__ for mutant in MUTANTS],
        metavar="NAME",
        help=f"one of them: {', '.join(mutant.__name__ for mutant in MUTANTS)}",
    )
    chosen = parser.parse_args(arguments)
    if chosen.mutants:
        return run_mutants(MUTANTS, is_brief=True)
    if chosen.mutant is not None:
        named = [mutant for mutant in MUTANTS if mutant.__name__ == chosen.mutant]
        return run_mutants(named, is_brief=False)
    complaint = _complain(chosen.replicas, chosen.views, chosen.liars, is_real=chosen.real)
    if complaint is not None:
        parser.error(complaint)
    settings = worlds(chosen.replicas, chosen.views, chosen.liars)
    return run_worlds(settings, is_real=chosen.real, workers=chosen.workers)


def _complain(
    replica_count: int, view_count: int, liars: frozenset[int] | None, *, is_real: bool
) -> str | None:
    """Return what is wrong with a wish, if anything is."""
    faulty_max = Setting(replica_count=replica_count).faulty_max
    if replica_count < 1 or view_count < 1:
        return "there is at least one replica and one view"
    if liars is not None and not liars <= set(range(replica_count)):
        return f"liars are among the replicas 0 to {replica_count - 1}"
    if liars is not None and len(liars) > faulty_max:
        return f"of {replica_count} replicas at most {faulty_max} may lie; more promises nothing"
    if is_real and replica_count < 4:
        return (
            "--real needs four or more replicas: with fewer, one message can cause two statements"
        )
    return None


def _parse_liars(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(","))


def _share(visited: Synchronized[int]) -> None:
    global _visited  # noqa: PLW0603 - a worker process is given its counter once
    _visited = visited


def _report(count: int) -> None:
    if _visited is not None:
        with _visited.get_lock():
            _visited.value += count


def _table(outcomes: Sequence[Outcome], *, is_real: bool) -> Table:
    titles = ["liars", "states", "steps", "decided in", "healed from", "longest", "seconds"]
    if is_real:
        titles.insert(-1, "questions")
    table = Table(*titles, title=f"{len(outcomes)} worlds")
    for column in table.columns[1:]:
        column.justify = "right"
    for outcome in outcomes:
        cells = [
            outcome.state_count,
            outcome.step_count,
            outcome.decided_count,
            outcome.situation_count,
            outcome.depth,
            *([outcome.question_count] if is_real else []),
        ]
        liars = ", ".join(str(i) for i in sorted(outcome.setting.liars)) or "nobody"
        table.add_row(liars, *(f"{cell:,}" for cell in cells), f"{outcome.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
