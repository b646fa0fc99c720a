"""Fault after fault on a loaded network, and the check of everything promised: kills and pauses.

What a fault is, and what must hold after each, is theirs (`tests.campaign.kills`,
`tests.campaign.pauses`); how often, under which load and what came of it is the same for both.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cli.failure import Failure
from tests.campaign.invariants import Checked, Violated, check_everything, wait_until
from tests.campaign.load import Load
from tests.system.networks import Network

Say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What happened."""

    noun: str
    """What is counted: `kills`."""
    worst: str
    """What the longest time says, a format of it: `the longest pause {:.1f} s`."""
    kinds: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    checked: Checked | None = None
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Faults so far."""
        return sum(self.kinds.values())

    def took(self, seconds: float) -> None:
        """Remember a time, if none was longer."""
        self.longest_s = max(self.longest_s, seconds)

    def tell_run(self) -> str:
        """Return what was done, as a row of docs/CAMPAIGN-PROCESSES.md says it."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return f"{self.count} {self.noun} ({kinds or 'none'}) in {self.seconds / 60:.1f} min"

    def tell_result(self) -> str:
        """Return what came of it, likewise."""
        return f"whole: {self.checked}; {self.worst.format(self.longest_s)}"


def run_faults(
    network: Network,
    tally: Tally,
    count: int,
    chance: random.Random,
    rate_per_s: float,
    is_over: Callable[[], bool],
    strike: Callable[[Load], None],
    rest_s: float,
) -> Tally:
    """Strike until the tally has `count`, or it is over, after rests of up to `rest_s`; then check.

    Raises `Violated`.
    """
    begin = time.monotonic()
    load = Load(network, rate_per_s)
    try:
        while tally.count < count and not is_over():
            time.sleep(chance.uniform(0.0, rest_s))
            strike(load)
        _wait_committed_more(load)
    finally:
        load.stop()
    wait_back(network, network.replicas)
    tally.checked = check_everything(network, load, chance)
    tally.seconds = time.monotonic() - begin
    return tally


def wait_back(network: Network, replicas: Sequence[int]) -> None:
    """Nodes are ready again, and nobody did anything for them."""
    try:
        network.devnet.wait_ready(replicas)
    except Failure as failure:
        raise Violated(f"a node did not come back by itself: {failure}") from None


def tell_load(load: Load) -> str:
    """Return how much was promised and committed so far, for a line about a fault."""
    return f"{len(load.promised)} promised, {len(load.committed)} seen committed"


def _wait_committed_more(load: Load) -> None:
    """The network that was left alone commits again."""
    seen = len(load.committed)
    wait_until(
        lambda: len(load.committed) > seen + 3,
        lambda: "nothing is committed after the last fault",
    )
