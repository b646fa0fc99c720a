"""Kill -9 at random moments over the nodes of a loaded network, and count what that cost.

A kill takes one node, sometimes two, sometimes all, sometimes one that is just starting. It is
started again by the same command, at once or after a while; nothing else is ever done for it. Then
everything that was promised is looked for.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from tests.campaign.faults import Say, Tally, run_faults, tell_load, wait_back
from tests.campaign.invariants import Violated, height_of, wait_until
from tests.campaign.load import Load
from tests.system.networks import Network

REST_S = 2.0


def run_kills(
    network: Network,
    count: int,
    chance: random.Random,
    rate_per_s: float,
    say: Say,
    is_over: Callable[[], bool],
) -> Tally:
    """Kill `count` times, or until it is over, and check; raise `Violated`."""
    tally = Tally("kills", "every recovery unattended, the slowest ready after {:.1f} s")

    def strike(load: Load) -> None:
        _kill_some(network, load, tally, chance, count, say)

    return run_faults(network, tally, count, chance, rate_per_s, is_over, strike, REST_S)


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
            tally.took(time.monotonic() - started)
    if number > 1:
        started = time.monotonic()
        wait_back(network, victims)
        tally.took(time.monotonic() - started)
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
    tally.kinds[kind] += 1
    say(f"kill {tally.count:4}  replica {victim}  {kind:<9}  {tell_load(load)}")
