"""What the network owes in situations that people ask about, each made and not drawn.

Censorship, one dead institution, too many silent ones; the numbers are in virtual time.
"""

from __future__ import annotations

import math
import re

import pytest

from ledger.block import TransactionEntry, decode_entry
from ledger.transaction import decode_body
from sim.deployment import CENSORED_MERCHANT, TICK_MS, TIMING
from sim.disk import Survival
from sim.liars.proposing import Censor
from sim.plan import Plan
from sim.simulation import Options, Simulation
from sim.world import SECOND

CALM = Plan(count=4, families=frozenset({"calm"}), is_stream=True)


def is_censored(raw: bytes) -> bool:
    """Whether an entry holds a transaction of the merchant that liars leave out."""
    entry = decode_entry(raw)
    if not isinstance(entry, TransactionEntry):
        return False
    return decode_body(entry.envelope.body).signers == [CENSORED_MERCHANT]


@pytest.mark.parametrize("count", [4, 7, 10])
def test_a_censored_merchant_is_in_within_f_plus_1_heights_of_honest_primaries(count: int) -> None:
    faulty = (count - 1) // 3
    censors = dict.fromkeys(range(faulty), Censor)
    plan = Plan(count, frozenset({"liars"}), is_stream=True, liars=censors)
    simulation = Simulation(3, Options(heights=30), plan=plan)
    result = simulation.run()
    assert result.violation is None
    assert result.counts["liar: censoring primary"] > 5
    chain = simulation.checkers.chain
    proposers = [decode_entry(entries[-1]).header.proposer for _, entries in chain.blocks]  # type: ignore[union-attr]
    for height, (_, entries) in enumerate(chain.blocks):
        if proposers[height] in censors and height:
            assert not any(is_censored(raw) for raw in entries)
    waited = []
    for item in simulation.clients.ordered:
        if item.must_commit and item.promised_height is not None:
            begin, end = item.promised_height + 1, chain.tx_heights[item.tx_id]
            honest = [at for at in range(begin, end + 1) if proposers[at] not in censors]
            waited.append(len(honest))
    assert len(waited) > 30
    assert max(waited) <= faulty + 1


def commit_times(lines: list[str]) -> dict[int, float]:
    """Virtual seconds at which each height was first committed anywhere."""
    times: dict[int, float] = {}
    for line in lines:
        match = re.match(r" *([0-9.]+) \S+ +commits (\d+):", line)
        if match is not None:
            times.setdefault(int(match[2]), float(match[1]))
    return times


@pytest.mark.parametrize("count", [4, 7])
def test_one_dead_institution_costs_a_timeout_ever_more_seldom(count: int) -> None:
    dead = 2
    plan = Plan(count, frozenset({"dead"}), is_stream=True, dead=(dead,))
    lines: list[str] = []
    simulation = Simulation(1, Options(heights=24 * count), plan=plan, show=lines.append)
    assert simulation.run().violation is None
    times = commit_times(lines)
    timeout_s = TIMING.view_timeout_ticks * TICK_MS / 1000
    turns = [height for height in times if height % count == dead and height - 1 in times]
    slow = [height for height in turns if times[height] - times[height - 1] >= timeout_s]
    assert len(turns) >= 20
    assert 1 <= len(slow) <= 1 + math.log2(len(turns)), f"{slow} of {turns}"
    assert simulation.coverage.counts["skipped turn"] > 0


@pytest.mark.parametrize("count", [4, 5, 6, 7, 10])
def test_without_a_quorum_nothing_is_decided_and_it_resumes_by_itself(count: int) -> None:
    """n − quorum + 1 are away: no block, nothing lost; one comes back, and it goes on."""
    faulty = (count - 1) // 3
    quorum = (count + faulty) // 2 + 1
    away = range(count - quorum + 1)
    plan = Plan(count, frozenset({"calm"}), is_stream=True)
    lines: list[str] = []
    options = Options(heights=2, until_ms=30_000)
    simulation = Simulation(2, options, plan=plan, show=lines.append)
    world = simulation.world
    simulation._is_tried = lambda: False  # type: ignore[method-assign]
    for number in away:
        node = simulation.nodes[number]
        world.at(2 * SECOND, lambda node=node: node.end(Survival.NONE))  # type: ignore[misc]
    world.at(8 * SECOND, simulation.nodes[0].start)
    assert simulation.run().violation is None
    times = commit_times(lines)
    assert any(time < 2 for time in times.values())
    assert not any(2.1 < time < 8 for time in times.values())
    assert any(8 < time < 30 for time in times.values()), "before the others were started again"
