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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.processes import find_family
from tests.campaign.invariants import Checked, Violated, check_everything
from tests.campaign.kills import Say, wait_back, wait_committed_more
from tests.campaign.load import Load
from tests.system.networks import Network

PAUSES_S: Final = ((0.3, 1.0), (1.0, 4.0), (4.0, 16.0))
"""A busy moment, more than a turn, more than what ends a connection."""

BETWEEN_S: Final = (0.0, 3.0)


@dataclass(slots=True)
class Tally:
    """What happened."""

    pauses: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    checked: Checked | None = None
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Pauses so far."""
        return sum(self.pauses.values())

    def tell_run(self) -> str:
        """Return what was done, as a row of docs/CAMPAIGN-PROCESSES.md says it."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.pauses.items()))
        return f"{self.count} pauses ({kinds or 'none'}) in {self.seconds / 60:.1f} min"

    def tell_result(self) -> str:
        """Return what came of it, likewise."""
        return f"whole: {self.checked}; no process ended, the longest pause {self.longest_s:.1f} s"


def run_pauses(
    network: Network,
    count: int,
    chance: random.Random,
    rate_per_s: float,
    say: Say,
    is_over: Callable[[], bool],
) -> Tally:
    """Pause `count` times, or until it is over, and check; raise `Violated`."""
    tally = Tally()
    begin = time.monotonic()
    load = Load(network, rate_per_s)
    try:
        while tally.count < count and not is_over():
            time.sleep(chance.uniform(*BETWEEN_S))
            _pause_some(network, load, tally, chance, say)
            _check_alive(network)
        wait_committed_more(load)
        _check_alive(network)
    finally:
        load.stop()
    wait_back(network, network.replicas)
    tally.checked = check_everything(network, load, chance)
    tally.seconds = time.monotonic() - begin
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
    tally.pauses[kind] += 1
    tally.longest_s = max(tally.longest_s, pause_s)
    say(
        f"pause {tally.count:4}  {pause_s:4.1f} s  replicas {victims}  {kind:<13}  "
        f"{len(load.promised)} promised, {len(load.committed)} seen committed"
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
