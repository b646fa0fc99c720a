"""Random lives before the engine and before the page's reading of the law, as many as one likes.

    .venv/bin/python -m tests.page.laws --lives 10000 --first 0

What differs is printed with the seed that makes it again, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from law.refusal import Refused
from law.terms import read_terms
from tests.law.case_language import Case
from tests.law.life_checks import run_engine, seal, show_figures
from tests.law.random_lives import make_life
from tests.page.conftest import ANSWER, NODE, JavaScript

Result = tuple[str, str, list[Any], dict[str, Any]]
"""Route, cause, assumptions, figures."""


def told_by_engine(case: Case) -> Any:
    """Return what was paid and every result; or the sentence of a refusal."""
    try:
        derivation = run_engine(case)
    except Refused as refused:
        return refused.detail
    results = [
        (one.route, one.cause, [list(pair) for pair in one.assumptions], show_figures(one))
        for one in derivation.results
    ]
    return derivation.paid, results


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
    return value["paid"], [shape(one) for one in value["results"]]


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
    if isinstance(engine, str) or isinstance(page, str) or engine[0] != page[0]:
        return f"the engine says {str(engine)[:300]}, the page {str(page)[:300]}"
    for one, other in zip(*(results for _, results in (engine, page)), strict=False):
        if one != other:
            return f"the engine says {one}, the page {other}"
    return f"the engine has {len(engine[1])} results, the page {len(page[1])}"


def compare_life(javascript: JavaScript, seed: int) -> str:
    """Return what differs in the life of a seed, or nothing."""
    found = compare_case(javascript, make_life(seed))
    return f"seed {seed}: {found}" if found else ""


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
