"""`scripts/mutate`: break the code in one way after another, and see that a test notices.

Exit status 0: every mutant was caught by the test that is named for it. 1: one survived, or a patch
no longer fits the source.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.mutation.catalogue import MUTANTS
from tests.mutation.document import DOCUMENT, make_document
from tests.mutation.mutant import Mutant, Outcome, Stale
from tests.mutation.running import ROOT, Scratch, preload, run_in_pieces

DESCRIPTION = """\
Break consensus, proofs, storage, contracts, node, inspection and verifier in one way after another,
and see that a test notices each. A mutant is an exact piece of source and what replaces it; it is
put into a copy of the tree, never into the tree. If the source has moved on, the patch says so and
fails."""

EPILOG = """\
examples:
  scripts/mutate                         each mutant against the quickest test that catches it
  scripts/mutate quorum-one-less         one of them, with the way it was noticed
  scripts/mutate --list                  names and mistakes
  scripts/mutate --sample 20 --seed 7    twenty of them, drawn by a seed
  scripts/mutate --whole storage         every test against each: who else notices?
  scripts/mutate lock-forgotten-at-view-change --against tests/consensus
                                         the same, of these tests alone
  scripts/mutate --seeds                 the simulator's seeds that are named for some of them
  scripts/mutate --search 50 node        look for such seeds among the first fifty
  scripts/mutate --write                 all of them, and then docs/MUTATIONS.md anew

A mutant that survives means that a test is missing: write it, and name it in
tests/mutation/of_*.py."""

WHOLE = (
    "tests/ledger", "tests/genesis", "tests/contracts", "tests/consensus", "tests/storage",
    "tests/verifier", "tests/vectors", "tests/node", "tests/node_edges", "tests/api", "tests/model",
    "tests/sim",
)  # fmt: skip
"""What `--whole` runs: everything but the tests of style, of commands and of real networks."""

SHOWN_TESTS_MAX = 6
"""Failing tests of one file that `--against` names."""


def run_quickest(mutants: Sequence[Mutant], workers: int, *, is_talkative: bool) -> int:
    """Run each mutant against its own test; return how many were not caught."""
    survivors: list[Outcome] = []
    started = time.monotonic()
    cpu_s = 0.0
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        outcomes = run_in_pieces(mutants, Path(folder), examine, workers)
        for count, outcome in enumerate(outcomes, 1):
            cpu_s += outcome.cpu_s
            if not outcome.is_caught:
                survivors.append(outcome)
            word = "caught" if outcome.is_caught else "SURVIVED"
            print(
                f"{count:4} of {len(mutants)}  {word:8}  {outcome.mutant.name}"
                f"  ({outcome.cpu_s:.1f} s)"
            )
            if is_talkative or not outcome.is_caught:
                print(f"      {outcome.mutant.file}: {outcome.mutant.mistake}")
                print(f"      {outcome.catcher}\n      {outcome.how or 'all passed'}", flush=True)
    print(
        f"{len(mutants) - len(survivors)} of {len(mutants)} mutants caught in "
        f"{time.monotonic() - started:.0f} s ({cpu_s:.0f} s of processors)."
    )
    return len(survivors)


def examine(scratch: Scratch, mutant: Mutant) -> Outcome:
    """Run a mutant's own test."""
    try:
        scratch.put(mutant)
    except Stale as stale:
        return Outcome(mutant, mutant.caught_by, (), f"stale: {stale}", 0.0)
    try:
        return scratch.run([mutant.caught_by], mutant, stops=True)
    finally:
        scratch.put(None)


def check_baseline() -> list[str]:
    """Run every named test on the unbroken tree; return those that fail, for whatever reason."""
    preload()
    tests = sorted({mutant.caught_by for mutant in MUTANTS})
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        outcome = Scratch(Path(folder)).run(tests, None, stops=False)
    return [*outcome.failed] if not outcome.how or outcome.failed else [outcome.how]


def run_against(mutants: Sequence[Mutant], tests: Sequence[str], workers: int) -> int:
    """Run tests against each mutant and tell which notice; return how many mutants survive."""

    def run(scratch: Scratch, mutant: Mutant) -> Outcome:
        scratch.put(mutant)
        try:
            return scratch.run(tests, mutant, stops=False)
        finally:
            scratch.put(None)

    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        for outcome in run_in_pieces(mutants, Path(folder), run, workers):
            survivors += not outcome.failed
            print(f"{outcome.mutant.name}: {len(outcome.failed)} tests fail")
            for file, several in groupby(
                sorted(outcome.failed), key=lambda name: name.partition("::")[0]
            ):
                names = [name.partition("::")[2] for name in several]
                print(f"      {len(names):4} {file}: {', '.join(names[:SHOWN_TESTS_MAX])}")
            if not outcome.failed:
                print(f"      {outcome.how or 'all passed'}", flush=True)
    return survivors


def run_seeds(mutants: Sequence[Mutant], workers: int) -> int:
    """Run the simulator's seeds that are named for some mutants; return how many find nothing."""
    missed = 0
    chosen = [mutant for mutant in mutants if mutant.seed]
    for outcome in simulate(chosen, lambda mutant: (mutant.seed,), workers):
        missed += not outcome.how
        print(f"{outcome.mutant.name}: python -m sim {outcome.catcher}")
        print(f"      {outcome.how or 'NOTHING FOUND'}", flush=True)
    return missed


def search_seeds(mutants: Sequence[Mutant], count: int, workers: int) -> None:
    """Look among the simulator's first seeds for one that finds each mutant."""
    seeds = [f"--seed {seed}" for seed in range(count)]
    for outcome in simulate(mutants, lambda _: seeds, workers):
        found = f"python -m sim {outcome.catcher}" if outcome.how else "no seed finds it"
        print(f"{outcome.mutant.name}: {found}\n      {outcome.how}", flush=True)


def simulate(
    mutants: Sequence[Mutant], seeds: Callable[[Mutant], Sequence[str]], workers: int
) -> Iterator[Outcome]:
    """Yield what the first of its seeds that finds a mutant says, or what the last did not say."""

    def run(scratch: Scratch, mutant: Mutant) -> Outcome:
        scratch.put(mutant)
        outcome = Outcome(mutant, "", (), "", 0.0)
        for seed in seeds(mutant):
            how = " ".join(scratch.find_violation(seed, mutant).split())[:200]
            outcome = Outcome(mutant, seed, (), how, 0.0)
            if how:
                break
        scratch.put(None)
        return outcome

    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        yield from run_in_pieces(mutants, Path(folder), run, workers)


def choose(names: Sequence[str], sample: int | None, seed: int) -> list[Mutant]:
    """Return the mutants that are meant by names (or packages) and a sample size."""
    unknown = [
        name
        for name in names
        if not any(name in (mutant.name, mutant.file.partition("/")[0]) for mutant in MUTANTS)
    ]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no mutant or package {', '.join(unknown)}")
    chosen = [
        mutant
        for mutant in MUTANTS
        if not names or mutant.name in names or mutant.file.partition("/")[0] in names
    ]
    if sample is not None and sample < len(chosen):
        drawn = set(random.Random(seed).sample(range(len(chosen)), sample))
        chosen = [mutant for at, mutant in enumerate(chosen) if at in drawn]
    return chosen


def read_part(text: str) -> slice:
    """Return which of the mutants are the I-th of N parts."""
    part = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if part is None or int(part[1]) > int(part[2]):
        raise argparse.ArgumentTypeError(f"--part wants I/N with 1 ≤ I ≤ N, not {text}")
    return slice(int(part[1]) - 1, None, int(part[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="scripts/mutate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="mutants or packages (default: all)"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--list", action="store_true", help="print names and mistakes, run nothing")
    how.add_argument("--whole", action="store_true", help="all tests against each; takes hours")
    how.add_argument("--against", action="append", metavar="TESTS", help="the same, of these tests")
    how.add_argument("--seeds", action="store_true", help="run the simulator's named seeds")
    how.add_argument("--search", type=int, metavar="N", help="look for seeds among 0 to N−1")
    how.add_argument("--write", action="store_true", help="run all, then write docs/MUTATIONS.md")
    how.add_argument(
        "--baseline", action="store_true", help="see that the named tests pass on the whole tree"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="draw N of them")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--part", metavar="I/N", default="1/1", help="the I-th of N parts")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="default: cores")
    chosen = parser.parse_args(arguments)
    try:
        mutants = choose(chosen.names, chosen.sample, chosen.seed)[read_part(chosen.part)]
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    if chosen.list:
        for mutant in mutants:
            print(f"{mutant.name}\n      {mutant.file}: {mutant.mistake}")
        return 0
    if chosen.baseline:
        failed = check_baseline()
        print("\n".join(failed) or "Every named test passes on the tree as it stands.")
        return int(bool(failed))
    if chosen.whole or chosen.against:
        return int(run_against(mutants, chosen.against or WHOLE, chosen.workers) > 0)
    if chosen.search:
        search_seeds(mutants, chosen.search, chosen.workers)
        return 0
    if chosen.seeds:
        return int(run_seeds(mutants, chosen.workers) > 0)
    if chosen.write and len(mutants) < len(MUTANTS):
        parser.error("--write is for all mutants")
    survivors = run_quickest(mutants, chosen.workers, is_talkative=bool(chosen.names))
    if chosen.write:
        survivors += run_seeds(mutants, chosen.workers)
    if chosen.write and not survivors:
        (ROOT / DOCUMENT).write_text(make_document(MUTANTS), "utf-8")
        print(f"{DOCUMENT} is written.")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
