"""A real node process in which something is arranged: `python -m tests.system.arranged_node`.

Its clock is ahead, so that no test sits out a replay window, or its segments are short: one has
256 MiB, more than any test writes. Everything else is the node's own.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from cli.devnet import Devnet
from cli.devnet_state import DevnetNode, DevnetState
from cli.main import main
from storage.chain import ChainStore


class Arranged(Devnet):
    """Runs its nodes so; what is changed counts for those that are started afterwards."""

    def __init__(self, directory: Path, state: DevnetState, segment_bytes: int = 0) -> None:
        super().__init__(directory, state)
        self.segment_bytes = segment_bytes
        self.ahead_ms = 0

    def command(self, node: DevnetNode) -> list[str]:
        """Return the command line of a node's process."""
        arranged = [str(self.segment_bytes), str(self.ahead_ms)]
        return [sys.executable, "-m", "tests.system.arranged_node", node.home, *arranged]


def run(home: str, segment_bytes: int, ahead_ms: int) -> int:
    """Run a node; 0 for segments as they are, and 0 for the time as it is."""
    if segment_bytes:
        defaults = ChainStore.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
        defaults["segment_bytes"] = segment_bytes
    time_ns = time.time_ns
    time.time_ns = lambda: time_ns() + ahead_ms * 1_000_000
    return main(["node", "run", "--home", home, "--until-stdin-closes"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("home")
    parser.add_argument("segment_bytes", type=int)
    parser.add_argument("ahead_ms", type=int)
    sys.exit(run(**vars(parser.parse_args())))
