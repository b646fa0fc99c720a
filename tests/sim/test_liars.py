"""Every kind of liar, f of them among four and among seven: the others go on, and proof names it.

Now and then a node is paused, so that there are view changes for those who lie about views.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from sim.liars.kinds import LIARS, TWINS
from sim.liars.liar import Liar
from sim.liars.proposing import Equivocator
from sim.plan import Fault, Plan
from sim.simulation import Options, Result, Simulation
from sim.world import MS
from tests.sim import broken

HEIGHTS = 12
CONVICTED_OF = {
    "equivocating primary": "pre-prepare",
    "wrong root": None,
    "primary just under the timeout": None,
    "censoring primary": None,
    "forged new-view": None,
    "double voter": "commit",
    "primary that prepares": "pre-prepare",
    "two claims for one view": "view-change",
    "denied commit": "view-change",
    "stale messages": None,
    "forged view-change": None,
    "wrong prepared certificate": "view-change",
    "huge views and heights": "view-change",
    "silent": None,
    "selective": None,
    "withholder": None,
    "babbler": None,
    "oversized frames": None,
    "flooder": "view-change",
    "false historian": None,
    "forked cosignature": "checkpoint",
    "false witness": None,
}
"""What each kind signs itself into; None where it says nothing that two signatures disprove."""


def pauses(count: int) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"slowness-{at}", 1_500 * MS * (at + 1), "paused node") for at in range(count)
    )


def run(plan: Plan, seed: int) -> Result:
    return Simulation(seed, Options(heights=HEIGHTS), plan=plan).run()


KINDS_OF_SEVEN = [
    kind for kind in LIARS if CONVICTED_OF[kind.kind] is not None or os.environ.get("CAMPAIGN")
]
"""Two of seven: those who can be convicted, and all of them with CAMPAIGN=1."""


@pytest.mark.parametrize(
    ("kind", "count"),
    [*((kind, 4) for kind in LIARS), *((kind, 7) for kind in KINDS_OF_SEVEN)],
    ids=lambda value: str(getattr(value, "kind", value)),
)
def test_f_liars_of_a_kind(kind: type[Liar], count: int) -> None:
    liars = dict.fromkeys(range(1, 1 + (count - 1) // 3), kind)
    plan = Plan(count, frozenset({"liars"}), is_stream=True, liars=liars, schedule=pauses(6))
    wanted = CONVICTED_OF[kind.kind]
    for seed in range(12):
        result = run(plan, seed)
        assert result.violation is None, f"seed {seed}"
        has_lied = result.counts[f"liar: {kind.kind}"] > 0
        if has_lied and (wanted is None or result.counts[f"convicted: {wanted}"]):
            return
    pytest.fail(f"none of the seeds saw {kind.kind} lie and be convicted of {wanted}")


class OneVictim(Equivocator):
    """Gives one a block of its own, and all others another, which they decide without it."""

    def _halves(self, peers: Sequence[int]) -> tuple[list[int], list[int]]:
        victim = self._chance.choice(list(peers))
        return [peer for peer in peers if peer != victim], [victim]


def split_calmly(count: int, seed: int, kind: type[Liar] = Equivocator) -> Result:
    """Run f primaries that propose two blocks, where nothing else goes wrong."""
    liars = dict.fromkeys(range(1, 1 + (count - 1) // 3), kind)
    return run(Plan(count, frozenset({"liars"}), is_stream=True, liars=liars), seed)


@pytest.mark.parametrize("count", [4, 5, 6, 7] if os.environ.get("CAMPAIGN") else [5, 7])
def test_who_has_two_blocks_prepared_is_named_although_nobody_is_late(count: int) -> None:
    results = [split_calmly(count, seed) for seed in range(5)]
    assert [result.violation for result in results] == [None] * len(results)
    assert any(result.counts["two blocks prepared in one view"] for result in results)


@pytest.mark.parametrize("count", [5, 7])
def test_replicas_that_show_nobody_their_proposal_are_noticed(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A quorum of four of five, or of five of seven, is not met by one half and the primary."""
    broken.shows_no_proposal(monkeypatch)
    found = (split_calmly(count, seed) for seed in range(12))
    assert next((result.rule for result in found if result.violation), None) == "evidence"


def test_replicas_that_compare_nothing_of_the_height_below_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others have decided when what their primary gave to the one comes to light."""
    assert split_calmly(7, 0, OneVictim).violation is None
    broken.looks_at_no_height_below(monkeypatch)
    found = (split_calmly(7, seed, OneVictim) for seed in range(40))
    assert next((result.rule for result in found if result.violation), None) == "evidence"


def test_every_kind_is_in_the_table() -> None:
    assert list(CONVICTED_OF) == [kind.kind for kind in LIARS]


@pytest.mark.parametrize("count", [4, 7])
def test_two_processes_with_one_identity(count: int) -> None:
    twins = tuple(range(1, 1 + (count - 1) // 3))
    plan = Plan(count, frozenset({"twins"}), is_stream=True, twins=twins, schedule=pauses(4))
    for seed in range(12):
        result = run(plan, seed)
        assert result.violation is None, f"seed {seed}"
        assert result.counts[f"liar: {TWINS}"] == len(twins)
        if result.counts["evidence on chain"]:
            return
    pytest.fail("none of the seeds saw twins contradict each other")
