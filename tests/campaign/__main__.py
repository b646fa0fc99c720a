"""`scripts/campaign`: a real network of processes under faults for as long as wanted.

`lives` needs no network: it is the law's engine alone, over as many random lives as wanted.

Exit status 0: everything promised holds. 1: a promise was broken, and its sentence says which; the
network's directory is then kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cli.progress import show_progress
from tests.campaign.devnets import PatientDevnet, SmallDevnet, WorkerDevnet
from tests.campaign.invariants import Violated
from tests.campaign.kills import run_kills
from tests.campaign.pauses import run_pauses
from tests.campaign.soak import run_soak
from tests.law.lives import run_lives
from tests.system.networks import running_network

DESCRIPTION = """\
Run a network of real processes on loopback under load, break it, and check through the REST API and
the offline verifier alone that nothing promised was lost, doubled or changed, and that every node
came back by itself."""

EPILOG = """\
examples:
  scripts/campaign kills --count 100 --seed 1      a hundred kill -9 at random moments
  scripts/campaign pauses --count 50 --seed 1      fifty pauses of one, two or all nodes
  scripts/campaign soak --minutes 20 --rate 40     twenty minutes of load with kills and pauses
  scripts/campaign soak --minutes 240 --csv soak.csv
  scripts/campaign lives --seeds 0:1000000         a million contracts' lives, on every core

Ctrl-C ends the faults early; what was promised is checked all the same.
docs/CAMPAIGN-PROCESSES.md keeps what was run, and says how to read it."""


BY_COUNT: Final = {"kills": run_kills, "pauses": run_pauses}
"""Campaigns that go on until so much has happened."""


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/campaign",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    kills = commands.add_parser("kills", help="kill -9 at random moments over all nodes")
    kills.add_argument("--count", type=int, default=100, help="kills (default 100)")
    pauses = commands.add_parser("pauses", help="stop and continue nodes, up to 16 s at a time")
    pauses.add_argument("--count", type=int, default=50, help="pauses (default 50)")
    soak = commands.add_parser("soak", help="load with faults; memory, descriptors, disk, latency")
    soak.add_argument("--minutes", type=float, default=20, help="how long (default 20)")
    soak.add_argument("--csv", type=Path, default=Path("soak.csv"), help="samples, one a line")
    lives = commands.add_parser(
        "lives", help="random lives of contracts, the law's engine against a second reading"
    )
    lives.add_argument(
        "--seeds", type=_parse_range, default=range(10_000), metavar="FIRST:END",
        help="half-open range of seeds (default 0:10000)",
    )  # fmt: skip
    lives.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    for command in (kills, pauses, soak):
        command.add_argument("--seed", type=int, default=1, help="of faults and their moments")
        command.add_argument("--nodes", type=int, default=4, help="nodes (default 4)")
        command.add_argument("--rate", type=float, default=60, help="transactions per second")
        command.add_argument("--home", type=Path, help="directory of the network, kept afterwards")
    return parser.parse_args(argv)


def _parse_range(text: str) -> range:
    first, _, end = text.partition(":")
    try:
        seeds = range(int(first), int(end))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:END, such as 0:1000") from None
    if not seeds or seeds[0] < 0:
        raise argparse.ArgumentTypeError(f"{text!r} names no seed; 0:1000 names a thousand")
    return seeds


def _campaign_lives(arguments: argparse.Namespace) -> int:
    """Run the lives of a range of seeds; print the row that docs/CAMPAIGN.md keeps."""
    seeds: range = arguments.seeds
    begin = time.monotonic()
    tally = run_lives(seeds, arguments.workers)
    hours = (time.monotonic() - begin) / 3_600
    failed = ", ".join(str(seed) for seed in tally.failed) or "none"
    print(
        f"\n| `{_name_commit()}` | {seeds[0]}:{seeds[-1] + 1} | {tally.results:,} | {hours:.2f} | "
        f"{failed} | {arguments.workers} of {os.cpu_count()} cores, {platform.machine()} |"
    )
    return 1 if tally.failed else 0


def main(argv: list[str]) -> int:
    """Run one campaign; return the exit status."""
    arguments = parse_arguments(argv)
    if arguments.command == "lives":
        return _campaign_lives(arguments)
    chance = random.Random(f"{arguments.command} {arguments.seed}")
    home = arguments.home or Path(tempfile.mkdtemp(prefix="campaign-"))
    is_kept = arguments.home is not None
    over = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: over.set())
    try:
        make = {"soak": SmallDevnet, "pauses": WorkerDevnet}.get(arguments.command, PatientDevnet)
        with running_network(home, node_count=arguments.nodes, make=make) as network:
            if arguments.command in BY_COUNT:
                with show_progress(arguments.command, arguments.count) as progress:
                    tally = BY_COUNT[arguments.command](
                        network,
                        arguments.count,
                        chance,
                        arguments.rate,
                        _saying(progress.advance),
                        over.is_set,
                    )
                print(_write_row(arguments, tally.tell_run(), [tally.tell_result()]))
            else:
                with show_progress("minutes", round(arguments.minutes)) as progress:
                    verdict = run_soak(
                        network, arguments, chance, print, progress.advance, over.is_set
                    )
                print(_write_row(arguments, verdict.run, verdict.lines))
                return 0 if verdict.is_good else 1
    except Violated as violated:
        is_kept = True
        print(f"VIOLATED: {violated}\nThe network is kept in {home}.", file=sys.stderr)
        return 1
    finally:
        if not is_kept:
            shutil.rmtree(home, ignore_errors=True)
    return 0


def _write_row(arguments: argparse.Namespace, run: str, result: Sequence[str]) -> str:
    """Return what came of it line by line, and the row that docs/CAMPAIGN-PROCESSES.md keeps."""
    name = (
        f"{arguments.command}, {arguments.nodes} nodes, {arguments.rate:g}/s, seed {arguments.seed}"
    )
    lines = "\n".join([f"{run}.", *[f"{line}." for line in result]])
    return f"{lines}\n\n| {name} | `{_name_commit()}` | {run} | {'; '.join(result)} |"


def _name_commit() -> str:
    """Return the checkout's commit, with a plus sign if something else stands in the tree."""
    described = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "no commit"


def _saying(advance: Callable[[], None]) -> Callable[[str], None]:
    def say(line: str) -> None:
        print(line, flush=True)
        advance()

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
