"""Stop and continue nodes of a loaded network, as a machine does that has no time for them.

A pause takes one node, sometimes two, sometimes all, for a moment or longer than any of their
timeouts, with the processes that check its signatures, without them, or these alone. Nobody is
killed, so nobody may end: every node is the same process afterwards, and what was promised is
looked for.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Final

from bench.processes import find_family
from tests.campaign.faults import Say, Tally, run_faults, tell_load
from tests.campaign.invariants import Violated
from tests.campaign.load import Load
from tests.system.networks import Network

PAUSES_S: Final = ((0.3, 1.0), (1.0, 4.0), (4.0, 16.0))
"""A busy moment, more than a turn, more than what ends a connection."""

REST_S: Final = 3.0


def run_pauses(
    network: Network,
    count: int,
    chance: random.Random,
    rate_per_s: float,
    say: Say,
    is_over: Callable[[], bool],
) -> Tally:
    """Pause `count` times, or until it is over, and check; raise `Violated`."""
    tally = Tally("pauses", "no process ended, the longest pause {:.1f} s")

    def strike(load: Load) -> None:
        _pause_some(network, load, tally, chance, say)
        _check_alive(network)

    run_faults(network, tally, count, chance, rate_per_s, is_over, strike, REST_S)
    _check_alive(network)
    return tally


def _pause_some(
    network: Network, load: Load, tally: Tally, chance: random.Random, say: Say
) -> None:
    """Stop some processes of one, two or all nodes, and continue them in any order."""
    everyone = len(network.replicas)
    number = chance.choices([1, 2, everyone], [60, 25, 15])[0]
    victims = sorted(chance.sample(list(network.replicas), min(number, everyone)))
    kind = chance.choices(["whole nodes", "nodes alone", "workers alone"], [50, 25, 25])[0]
    pids = [pid for victim in victims for pid in _choose(network, victim, kind)]
    pause_s = chance.uniform(*chance.choice(PAUSES_S))
    chance.shuffle(pids)
    try:
        _signal(pids, signal.SIGSTOP)
        time.sleep(pause_s)
    finally:
        chance.shuffle(pids)
        _signal(pids, signal.SIGCONT)
    tally.kinds[kind] += 1
    tally.took(pause_s)
    say(
        f"pause {tally.count:4}  {pause_s:4.1f} s  replicas {victims}  {kind:<13}  "
        f"{tell_load(load)}"
    )


def _choose(network: Network, victim: int, kind: str) -> list[int]:
    """Return the process ids that a pause of this kind takes of one node."""
    node, *workers = find_family(network.devnet.process(victim).pid)
    return {"whole nodes": [node, *workers], "nodes alone": [node]}.get(kind, workers)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:  # a worker that its node has replaced meanwhile
            continue


def _check_alive(network: Network) -> None:
    """Raise `Violated` if a node has ended: nothing that happened here is a reason to."""
    for replica in network.replicas:
        status = network.devnet.process(replica).poll()
        if status is not None:
            raise Violated(f"replica {replica} ended with {status}, and was only paused")
