"""Random lives before the engine and before the page's reading of the law, as many as one likes.

    .venv/bin/python -m tests.page.laws --lives 10000 --first 0

Each life comes as it was drawn, as of a day within it, and bent: to where something turns that few
drawn lives come to.
What differs is printed with the seed that makes it again, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from typing import Any

from law.case import find_range
from law.refusal import Refused
from law.terms import read_terms
from tests.law.case_language import Case
from tests.law.life_checks import DAY_MS, draw_early, run_engine, seal, show_figures
from tests.law.random_lives import make_life
from tests.page.conftest import ANSWER, NODE, JavaScript

Result = tuple[str, str, list[Any], dict[str, Any]]
"""Route, cause, assumptions, figures."""


def told_by_engine(case: Case) -> Any:
    """Return what was paid, the lowest and highest sum, and every result; or a refusal's words."""
    try:
        derivation = run_engine(case)
    except Refused as refused:
        return refused.detail
    results = [
        (one.route, one.cause, [list(pair) for pair in one.assumptions], show_figures(one))
        for one in derivation.results
    ]
    return derivation.paid, find_range(derivation), results


def told_by_page(javascript: JavaScript, case: Case) -> Any:
    """Return the same of the page."""
    terms = read_terms(case.terms)
    answer = javascript.ask(
        "refund",
        terms=terms.raw.hex(),
        facts=[seal(fact, terms) for fact in case.facts],
        published=case.published,
        as_of=case.as_of,
    )
    if "detail" in answer:
        return answer["detail"]
    value = answer["value"]
    return value["paid"], (value["low"], value["high"]), [shape(one) for one in value["results"]]


def shape(result: dict[str, Any]) -> Result:
    """Return a result of the page in the shape of the engine's."""
    figures: dict[str, Any] = {"principal": result["principal"]}
    if result["principal"] is not None:
        figures |= {name: result[name] for name in ("beyond", "consumer", "custody", "merchant")}
        figures["issuers"] = dict(result["issuers"])
        figures["interest"] = {
            standard: None if fen is None else (fen, outstanding)
            for standard, fen, outstanding in result["interest"]
        }
    return result["route"], result["cause"], result["assumptions"], figures


def compare_case(javascript: JavaScript, case: Case) -> str:
    """Return what differs, or nothing."""
    engine, page = told_by_engine(case), told_by_page(javascript, case)
    if engine == page:
        return ""
    if isinstance(engine, str) or isinstance(page, str) or engine[:2] != page[:2]:
        return f"the engine says {str(engine)[:300]}, the page {str(page)[:300]}"
    for one, other in zip(engine[2], page[2], strict=False):
        if one != other:
            return f"the engine says {one}, the page {other}"
    return f"the engine has {len(engine[2])} results, the page {len(page[2])}"


def bend(seed: int) -> Case:
    """Return the life of a seed with silence by the consumer, halves of a fen, instants beside the
    turn of a day, months that are too short, a leap year, money paid back day after day, and a
    year's rest days corrected."""
    rng = random.Random(f"bent {seed}")
    case = make_life(seed)
    case.terms["rounding"]["mode"] = rng.choice(("half_even", "half_up", "up"))
    case.terms["interest"]["basis"] = rng.choice(("actual", "actual", "365"))
    case.terms["account_interest"] = rng.choice(("consumer", "merchant"))
    case.as_of = rng.choice((case.as_of, "2028-02-29", "2029-01-31"))
    term = case.terms["deal"].get("term", {})
    if "start" in term:
        term["start"] = rng.choice(("2025-01-29", "2025-03-31", "2025-05-31", "2024-02-29"))
    for line in case.terms["deal"].get("lines", ()):
        line |= {"amount": line["amount"] * rng.choice((1, 2)) + 1, "undiscounted": None}
    year = next(page for page in case.published if page["series"] == "rest_days")
    corrected = {"position": 100, "rest": year["worked"], "worked": year["rest"]}
    case.published.insert(rng.choice((0, len(case.published))), year | corrected)
    for fact in case.facts:
        fact["at"] += rng.choice((0, 0, 1, -1, 60_000 - 1))
        fact["recorded"] = max(fact["recorded"], fact["at"])
    first = max(fact["at"] for fact in case.facts)

    def add(kind: str, at: int, role: str, data: dict[str, Any]) -> None:
        position = max(fact["position"] for fact in case.facts) + 1
        said = {"author": role, "role": role, "kind": kind, "data": data}
        case.facts.append(said | {"at": at, "recorded": at, "position": position})

    for fact in [fact for fact in case.facts if fact["data"].get("answer") == "objected"]:
        if rng.random() < 0.5:
            silence = {"answer": "silence", "of": fact["data"]["of"]}
            add("delivery.answered", fact["at"], "consumer", silence)
    for _ in range(rng.randrange(3)):
        add("interest.accrued", first, "custodian", {"amount": rng.randrange(1, 500)})
    at = first - DAY_MS * rng.choice((0, 20))
    for source in rng.choices(("custody", "merchant", "merchant"), k=rng.choice((0, 2, 9))):
        at += DAY_MS * rng.choice((1, 1, 40))
        paid = {"amount": rng.randrange(1, 90), "payee": "c", "source": source}
        add("refund.paid", at, "custodian", paid)
    return case


def compare_life(javascript: JavaScript, seed: int) -> str:
    """Return what differs in the life of a seed, or nothing."""
    drawn, early = make_life(seed), draw_early(seed)
    for name, case in (("drawn", drawn), ("early", early), ("bent", bend(seed))):
        if found := compare_case(javascript, case):
            return f"seed {seed}, {name}: {found}"
    return ""


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=1_000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    arguments = parser.parse_args()
    if NODE is None:
        parser.error("the page's law needs Node.js to run outside a browser: no `node` on PATH")
    differing = 0
    with subprocess.Popen(
        [NODE, str(ANSWER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        javascript = JavaScript(process)
        for seed in range(arguments.first, arguments.first + arguments.lives):
            if told := compare_life(javascript, seed):
                differing += 1
                print(told)
        assert process.stdin is not None
        process.stdin.close()
    print(f"{arguments.lives} lives, {differing} worked otherwise")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
