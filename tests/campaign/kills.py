"""Kill -9 at random moments over the nodes of a loaded network, and count what that cost.

A kill takes one node, sometimes two, sometimes all, sometimes one that is just starting. It is
started again by the same command, at once or after a while; nothing else is ever done for it. Then
everything that was promised is looked for.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cli.failure import Failure
from tests.campaign.invariants import (
    Checked,
    Violated,
    check_everything,
    height_of,
    wait_until,
)
from tests.campaign.load import Load
from tests.system.networks import Network

Say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    """From the start's command until the node was ready."""
    checked: Checked | None = None
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Kills so far."""
        return sum(self.kills.values())

    def tell_run(self) -> str:
        """Return what was done, as a row of docs/CAMPAIGN-PROCESSES.md says it."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return f"{self.count} kills ({kinds or 'none'}) in {self.seconds / 60:.1f} min"

    def tell_result(self) -> str:
        """Return what came of it, likewise."""
        slowest = max(self.recoveries_s, default=0.0)
        return (
            f"whole: {self.checked}; every recovery unattended, the slowest ready after "
            f"{slowest:.1f} s"
        )


def run_kills(
    network: Network,
    count: int,
    chance: random.Random,
    rate_per_s: float,
    say: Say,
    is_over: Callable[[], bool],
) -> Tally:
    """Kill `count` times, or until it is over, and check; raise `Violated`."""
    tally = Tally()
    begin = time.monotonic()
    load = Load(network, rate_per_s)
    try:
        while tally.count < count and not is_over():
            time.sleep(chance.uniform(0.0, 2.0))
            _kill_some(network, load, tally, chance, count, say)
        wait_committed_more(load)
    finally:
        load.stop()
    tally.checked = check_everything(network, load, chance)
    tally.seconds = time.monotonic() - begin
    return tally


def _kill_some(
    network: Network, load: Load, tally: Tally, chance: random.Random, count: int, say: Say
) -> None:
    """Kill one or several, start them again, and wait until they have caught up."""
    left = count - tally.count
    kind = chance.choices(["alone", "starting", "of a pair", "of all"], [80, 8, 8, 4])[0]
    number = {"of a pair": 2, "of all": len(network.replicas)}.get(kind, 1)
    if number > left:
        kind, number = "alone", 1
    victims = chance.sample(list(network.replicas), number)
    if kind == "starting" and left > 1:
        _kill(network, victims[0], tally, kind, load, say)
        network.devnet.start(victims)
        time.sleep(chance.uniform(0.0, 1.5))
    for victim in victims:
        _kill(network, victim, tally, kind, load, say)
    if chance.random() < 0.4:
        time.sleep(chance.uniform(0.0, 4.0))
    target = max(height_of(network, replica) for replica in network.replicas)
    for victim in victims:
        started = time.monotonic()
        network.devnet.start([victim])
        if number == 1:
            wait_back(network, [victim])
            tally.recoveries_s.append(time.monotonic() - started)
    if number > 1:
        started = time.monotonic()
        wait_back(network, victims)
        tally.recoveries_s.append(time.monotonic() - started)
    for victim in victims:
        wait_until(
            lambda victim=victim: height_of(network, victim) >= target,  # type: ignore[misc]
            lambda victim=victim: f"replica {victim} is not at {target}",  # type: ignore[misc]
        )


def _kill(network: Network, victim: int, tally: Tally, kind: str, load: Load, say: Say) -> None:
    process = network.devnet.process(victim)
    network.devnet.kill(victim)
    if process.returncode != -signal.SIGKILL:
        raise Violated(f"replica {victim} had ended with {process.returncode} before it was killed")
    tally.kills[kind] += 1
    say(
        f"kill {tally.count:4}  replica {victim}  {kind:<9}  "
        f"{len(load.promised)} promised, {len(load.committed)} seen committed"
    )


def wait_back(network: Network, replicas: Sequence[int]) -> None:
    """Nodes are ready again, and nobody did anything for them."""
    try:
        network.devnet.wait_ready(replicas)
    except Failure as failure:
        raise Violated(f"a node did not come back by itself: {failure}") from None


def wait_committed_more(load: Load) -> None:
    """The network that was left alone commits again."""
    seen = len(load.committed)
    wait_until(
        lambda: len(load.committed) > seen + 3,
        lambda: "nothing is committed after the last fault",
    )
