"""Properties of the refund engine over random lives, and that each check can fail.

The lives come from `tests.law.random_lives`, here with Hypothesis as their source of chance, so
that a failing one is made small. `python -m tests.law.lives` runs them by the million.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from law.derivation import Derivation, Result
from law.terms import read_terms
from tests.law.life_checks import (
    Broken,
    check_agreement,
    check_better,
    check_conservation,
    check_finding,
    check_life,
    check_not_less,
    check_order,
    check_replay,
    run_engine,
)
from tests.law.random_lives import Life, make_life

ROOT = Path(__file__).parents[2]
RANDOMS = st.randoms(use_true_random=False)
FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@FEW
@given(RANDOMS)
def test_both_implementations_agree_and_nothing_is_lost(rng: random.Random) -> None:
    case = Life(rng).make()
    derivation = run_engine(case)
    check_agreement(case, derivation)
    check_conservation(derivation)


@FEW
@given(RANDOMS)
def test_replay_order_agreements_and_findings(rng: random.Random) -> None:
    case = Life(rng).make()
    terms = read_terms(case.terms)
    derivation = run_engine(case, terms)
    check_replay(case, terms, derivation, rng)
    check_order(case, terms, derivation, rng)
    check_better(case, derivation, rng)
    check_finding(case, terms, derivation, rng)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_seeded_lives(first: int) -> None:
    for seed in range(first, first + 50):
        assert check_life(seed) >= 1, seed


def test_a_formation_that_was_recorded_late_is_no_earlier_start_of_interest() -> None:
    """Interest from the request was a day more than from a formation recorded the day after it."""
    assert check_life(88_005_538) >= 1


def test_a_formation_recorded_late_may_need_no_assumption_any_more() -> None:
    """Recorded two days late, at a higher rate: 40 fen from the first payment, 30 from the record.

    From the signature it was 30 as well, so that the better terms' result assumed nothing of the
    day and was compared with the worse terms' result of the recorded day.
    """
    assert check_life(479_678) >= 1


def test_two_issuers_never_take_more_than_a_better_refund_gives() -> None:
    """A better agreement once lowered the consumer's share by a fen: two issuers rounded apart."""
    case = make_life(0)
    case.terms["deal"] = {
        "kind": "counted_units",
        "lines": [
            {"amount": 100, "bonus": 0, "item": "lesson", "undiscounted": None, "units": 100}
        ],
    }
    case.terms |= {
        "agreements": [],
        "items": [{"en": "lesson", "id": "lesson", "zh": "课"}],
        "rounding": {"mode": "half_up", "unit": 1},
        "spend_order": "unsaid",
        "voucher": "pro_rata",
    }
    signed = next(fact for fact in case.facts if fact["kind"] == "contract.signed")
    paid = copy.deepcopy(next(fact for fact in case.facts if fact["kind"] == "funds.locked"))
    paid["data"] |= {
        "amount": 34,
        "bonus": 0,
        "vouchers": [{"amount": 33, "issuer": "bank"}, {"amount": 33, "issuer": "city"}],
    }
    delivered = {
        **paid,
        "data": {"debited": 0, "item": "lesson", "units": 0},
        "kind": "service.delivered",
        "position": 1,
        "role": "merchant",
    }
    shares = []
    for units in range(101):
        delivered["data"] = {"debited": 0, "item": "lesson", "units": units}
        case.facts = [signed, paid, delivered]
        figures = run_engine(case).results[0].figures
        assert figures.principal == 100 - units
        shares.append(figures.consumer)
    assert shares == sorted(shares, reverse=True)


def test_the_second_implementation_knows_nothing_of_the_first() -> None:
    tree = ast.parse((ROOT / "tests/law/plain_refunds.py").read_text("utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"__future__", "datetime", "fractions", "itertools", "typing"}


def altered(derivation: Derivation, **figures: int) -> Derivation:
    """The derivation with its first result's figures changed."""
    first = derivation.results[0]
    wrong = dataclasses.replace(first, figures=dataclasses.replace(first.figures, **figures))
    return dataclasses.replace(derivation, results=(wrong, *derivation.results[1:]))


def example() -> tuple[Derivation, Result]:
    derivation = run_engine(make_life(7))
    result = derivation.results[0]
    assert result.figures.principal
    return derivation, result


def test_the_checks_notice_what_is_wrong() -> None:
    derivation, result = example()
    principal, paid = result.figures.principal, derivation.paid
    assert principal is not None
    with pytest.raises(Broken, match=r"^termination.*the engine says"):
        check_agreement(make_life(7), altered(derivation, beyond=result.figures.beyond + 1))
    with pytest.raises(Broken, match=f"^principal {paid + 1} is not within 0 and {paid}$"):
        check_conservation(altered(derivation, principal=paid + 1))
    with pytest.raises(Broken, match=r"^the shares .* are not the principal"):
        check_conservation(altered(derivation, consumer=result.figures.consumer + 1))
    with pytest.raises(Broken, match=r"^\d+ \+ \d+ is not \d+$"):
        check_conservation(altered(derivation, custody=result.figures.custody + 1))
    with pytest.raises(
        Broken, match=r"^another order of the same entries gives another derivation$"
    ):
        check_replay(
            make_life(7),
            read_terms(make_life(7).terms),
            dataclasses.replace(derivation, paid=paid + 1),
            random.Random(1),
        )
    lower = dataclasses.replace(
        result, figures=dataclasses.replace(result.figures, principal=principal - 1)
    )
    with pytest.raises(Broken, match=f"^{principal - 1} is less than {principal}$"):
        check_not_less(result, lower)


def test_the_command_runs_and_reports() -> None:
    command = [sys.executable, "-m", "tests.law.lives", "--lives", "8", "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("8 lives, ")
    assert done.stdout.splitlines()[-1].endswith(" results, 0 failed")
