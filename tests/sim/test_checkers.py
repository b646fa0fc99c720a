"""Every checker can fail: code with one mistake is caught, by the rule that is meant to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consensus.actions import FetchProposal
from ledger.refusal import Reason, Rejected
from node.driver import Driver
from node.effects import Admitted, FrameReceived, VerifyEnvelopes
from sim.bounds_checker import count_items
from sim.node import Wait
from sim.simulation import Options, Result, Simulation
from tests.sim import broken


def first_violation(
    make_driver: Callable[..., Driver] = Driver,
    *,
    family: str = "crashes",
    count: int = 4,
    heights: int = 8,
    only: frozenset[int] | None = None,
    seeds: range = range(20),
    wait: Wait = Wait.AFTERWARDS,
) -> Result:
    for seed in seeds:
        options = Options(heights=heights, count=count, family=family)
        simulation = Simulation(seed, options, make_driver=make_driver, broken=only, wait=wait)
        result = simulation.run()
        if result.violation is not None:
            return result
    pytest.fail(f"none of {len(seeds)} seeds noticed")


DRIVERS: list[tuple[str, Callable[..., Driver], str, dict[str, Any]]] = [
    ("forgets to save", broken.Forgetful, "durable before sent", {}),
    ("sends before it saves", broken.SendsFirst, "durable before sent", {}),
    ("drops the pending block", broken.DropsPending, "durable before sent", {}),
    ("forgets its cosignatures", broken.ForgetsCosignature, "durable before sent", {}),
    ("saves an old record", broken.SavesAnOldRecord, "journal went back", {"family": "calm"}),
    (
        "takes an old journal",
        broken.Trusting,
        "old journal taken",
        {"family": "amnesia", "seeds": range(60)},
    ),
    (
        "catches up behind its journal's back",
        broken.LeavesItsJournalBehind,
        "correct node halted",
        {"family": "crashes"},
    ),
    ("votes twice", broken.VotesTwice, "double vote", {}),
    ("does not read its journal", broken.Amnesiac, "double vote", {"family": "blackouts"}),
    ("votes in a view it left", broken.LooksBack, "vote in a left view", {"family": "partitions"}),
    ("cosigns another tree", broken.ForksCosignature, "cosignature", {}),
    ("counts to a smaller quorum", broken.with_quorum(2), "certificate", {"family": "partitions"}),
    (
        "commits other bytes",
        broken.AltersEntry,
        "agreement",
        {"family": "calm", "only": frozenset({1})},
    ),
    (
        "loses an index row",
        broken.DropsRow,
        "equality",
        {"family": "calm", "only": frozenset({1}), "heights": 4},
    ),
    (
        "forgets to commit",
        broken.SkipsBlock,
        "progress",
        {"family": "calm", "only": frozenset({1}), "heights": 4},
    ),
    ("never votes to commit", broken.NeverCommits, "progress", {"family": "calm", "heights": 2}),
    ("lets no time pass", broken.Lazy, "view timeouts", {}),
    ("keeps what it heard", broken.Hoarder, "bounds", {"family": "calm"}),
    ("leaves a merchant out", broken.leaves_a_merchant_out, "inclusion", {"family": "calm"}),
    ("reports no evidence", broken.Hushed, "evidence", {"family": "liars"}),
    ("stumbles", broken.Stumbles, "driver raised", {"family": "calm"}),
]


@pytest.mark.parametrize(
    ("make_driver", "rule", "asked"),
    [pytest.param(*row[1:], id=row[0]) for row in DRIVERS],
)
def test_a_broken_driver_is_caught(
    make_driver: Callable[..., Driver], rule: str, asked: dict[str, Any]
) -> None:
    result = first_violation(make_driver, **asked)
    assert result.rule == rule, result.violation


PATCHES: list[tuple[broken.Patch, str, dict[str, Any]]] = [
    (broken.waits_without_bound, "view timeouts", {"family": "dead", "count": 7}),
    (broken.denies_its_lock, "honest convicted", {"family": "partitions"}),
    (broken.believes_accusations, "honest convicted", {"family": "liars", "seeds": range(60)}),
    (broken.convicts_again, "convicted twice", {"family": "liars"}),
    (broken.takes_duplicates, "exactly once", {}),
    (broken.takes_any_key, "validity", {"family": "calm"}),
    (broken.takes_any_time, "validity", {"family": "clocks"}),
    (broken.forgets_the_tree, "state root", {"family": "calm"}),
    (broken.cannot_reproduce, "correct node halted", {"family": "partitions"}),
    (broken.skips_fsync, "damage out of nothing", {"family": "blackouts"}),
    (broken.loses_the_ledger, "committed block lost", {"family": "blackouts"}),
    (
        broken.ignores_a_primarys_prepares,
        "evidence",
        {"family": "liars", "seeds": range(60), "heights": 6},
    ),
]


@pytest.mark.parametrize(
    ("patch", "rule", "asked"), [pytest.param(*row, id=row[0].__name__) for row in PATCHES]
)
def test_a_broken_part_is_caught(
    monkeypatch: pytest.MonkeyPatch, patch: broken.Patch, rule: str, asked: dict[str, Any]
) -> None:
    patch(monkeypatch)
    result = first_violation(**asked)
    assert result.rule == rule, result.violation


@pytest.mark.parametrize(
    "kept",
    [
        VerifyEnvelopes([b""] * 50, 1),
        Admitted([], [(b"", Rejected(Reason.MALFORMED, "no envelope"))] * 50, True),
        FetchProposal(1, b"", tuple(range(50))),
    ],
)
def test_what_an_event_or_effect_holds_is_counted(kept: object) -> None:
    assert count_items([kept]) >= 51
    assert count_items([FrameReceived(1, bytes(50))]) == 1  # what came over the wire is one value
