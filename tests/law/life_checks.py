"""What must hold of every life: conservation, bounds, one replay, no order, better is better.

`check_life` runs one life through the engine and through the plain second implementation and raises
`Broken` with a sentence where anything differs. It is used by the tests and by
`python -m tests.law.lives`.
"""

from __future__ import annotations

import copy
import datetime
import random
from fractions import Fraction
from typing import Any

from law.days import parse_day
from law.derivation import Derivation, Result, Sets
from law.facts import read_facts
from law.published import read_published
from law.refund import derive
from law.terms import Terms, read_terms
from tests.law.case_language import CAUSES, Case, Document
from tests.law.paper_interest import work_again
from tests.law.plain_refunds import Clerk
from tests.law.random_lives import Life, make_life

DAY_MS = 86_400_000
CHINA_MS = 8 * 3_600_000
INDEPENDENT = {"service.delivered", "gift.given", "funds.released", "funds.frozen"}
"""Facts of one day whose order among themselves means nothing, unless a price changed that day."""

Key = tuple[str, str, frozenset[tuple[str, str]]]


class Broken(AssertionError):
    """Something that must hold does not."""


def run_engine(case: Case, terms: Terms | None = None) -> Derivation:
    """Return what the engine makes of a case; `terms` are the case's if they were read before."""
    day = parse_day(case.as_of)
    if day is None:
        raise Broken(f"{case.as_of} is no day")
    terms = terms or read_terms(case.terms)
    facts = read_facts([seal(fact, terms) for fact in case.facts])
    return derive(terms, facts, read_published(case.published), day)


def seal(fact: Document, terms: Terms) -> Document:
    """Return the fact; the one that signs the contract with the hash of its terms."""
    if fact["kind"] != "contract.signed":
        return fact
    return {**fact, "data": {**fact["data"], "terms": terms.hash}}


def show_figures(result: Result) -> dict[str, Any]:
    """Return a result's figures in the shape of the plain implementation."""
    figures = result.figures
    shown: dict[str, Any] = {"principal": figures.principal}
    if figures.principal is not None:
        shown |= {
            "beyond": figures.beyond,
            "consumer": figures.consumer,
            "custody": figures.custody,
            "interest": {
                one.standard: None if one.fen is None else (one.fen, one.outstanding)
                for one in figures.interest
            },
            "issuers": dict(figures.issuers),
            "merchant": figures.merchant,
        }
    return shown


def figures_of(derivation: Derivation) -> dict[Key, dict[str, Any]]:
    """Return all figures by route, cause and assumptions."""
    return {
        (result.route, result.cause, frozenset(result.assumptions)): show_figures(result)
        for result in derivation.results
    }


def run_plain(case: Case) -> dict[Key, dict[str, Any]]:
    """Return what the second implementation makes of a case."""
    return Clerk(case.terms, case.facts, case.published, case.as_of).results()


def check_agreement(case: Case, derivation: Derivation) -> None:
    """Both implementations give the same figures under the same assumptions."""
    engine, plain = figures_of(derivation), run_plain(case)
    if engine != plain:
        keys = set(engine) ^ set(plain) or {k for k in engine if engine[k] != plain[k]}
        key = min(keys, key=repr)
        raise Broken(
            f"{key[0]}, {key[1]}, {sorted(key[2])}: the engine says {engine.get(key)}, "
            f"the plain reading {plain.get(key)}"
        )


def check_conservation(derivation: Derivation) -> None:
    """Nothing is made or lost, nothing is below 0, nothing above what was paid."""
    for result in derivation.results:
        figures = result.figures
        if figures.principal is None:
            continue
        paid, principal = derivation.paid, figures.principal
        shares = [figures.consumer, *(fen for _, fen in figures.issuers)]
        if not 0 <= principal <= paid:
            raise Broken(f"principal {principal} is not within 0 and {paid}")
        if sum(shares) != principal or min(shares) < 0:
            raise Broken(f"the shares {shares} are not the principal {principal}")
        if figures.custody + figures.merchant != principal or figures.merchant < 0:
            raise Broken(f"{figures.custody} + {figures.merchant} is not {principal}")
        by_source = {"custody": 0, "merchant": 0}
        by_payee: dict[str, int] = {}
        for payment in result.payments:
            by_source[payment.source] += payment.fen
            by_payee[payment.payee] = by_payee.get(payment.payee, 0) + payment.fen
        if by_source != {"custody": figures.custody, "merchant": figures.merchant}:
            raise Broken(f"the payments {by_source} are not {figures.custody}, {figures.merchant}")
        expected = {"consumer": figures.consumer, **dict(figures.issuers)}
        if by_payee != {payee: fen for payee, fen in expected.items() if fen}:
            raise Broken(f"the payments {by_payee} are not the shares {expected}")
        for one in figures.interest:
            if one.fen is not None and (one.fen < 0 or (one.outstanding or 0) < 0):
                raise Broken(f"interest {one} is below 0")


def check_working_of_interest(derivation: Derivation) -> None:
    """Each line of interest gives its figure to whoever has that line and nothing else."""
    for step in {step for result in derivation.results for step in result.steps}:
        if not step.name.startswith("I ") or step.rounding is None:
            continue
        document = step.to_document(Sets())
        said = next(given.value for given in step.inputs if given.name == "exact")
        worked = work_again(document)
        if worked != Fraction(said):
            raise Broken(f"{step.name} says {said} and its line comes to {worked}: {document}")


def check_replay(case: Case, terms: Terms, derivation: Derivation, rng: random.Random) -> None:
    """The same entries, handed over in another order, give the same bytes."""
    again = copy.copy(case)
    again.facts = rng.sample(case.facts, len(case.facts))
    again.published = rng.sample(case.published, len(case.published))
    if run_engine(again, terms) != derivation:
        raise Broken("another order of the same entries gives another derivation")


def check_order(case: Case, terms: Terms, derivation: Derivation, rng: random.Random) -> None:
    """Independent facts of one day may swap their times."""
    days: dict[int, list[Document]] = {}
    for fact in case.facts:
        days.setdefault((fact["at"] + CHINA_MS) // DAY_MS, []).append(fact)
    swapped = copy.copy(case)
    swapped.facts = []
    for facts in days.values():
        free = [fact for fact in facts if fact["kind"] in INDEPENDENT]
        if any(fact["kind"] == "price.changed" for fact in facts):
            free = []
        times = [fact["at"] for fact in free]
        rng.shuffle(times)
        moved = {fact["position"]: at for fact, at in zip(free, times, strict=True)}
        swapped.facts += [{**fact, "at": moved.get(fact["position"], fact["at"])} for fact in facts]
    if figures_of(run_engine(swapped, terms)) != figures_of(derivation):
        raise Broken("the order of independent facts of one day changes a figure")


def check_better(case: Case, derivation: Derivation, rng: random.Random) -> None:
    """One more agreement, a longer window, an earlier start of interest: never less."""
    better = copy.copy(case)
    better.terms = copy.deepcopy(case.terms)
    change = rng.randrange(4)
    if change == 0:
        better.terms["cooling_off"]["days"] += rng.randrange(1, 20)
    elif change == 1:
        better.terms["cooling_off"]["use"] = "not_deducted"
    elif change == 2:
        better.terms["interest"]["start"] = "formation"
    else:
        drawer = Life(rng)
        deal = case.terms["deal"]
        rows = deal.get("lines") or deal.get("prices") or []
        drawer.items = [row["item"] for row in rows]
        better.terms["agreements"].append(drawer.draw_agreement())
    results = run_engine(better).results
    for old in derivation.results:
        for new in results:
            if (old.route, old.cause) != (new.route, new.cause) or contradict(old, new):
                continue
            days = {dict(one.assumptions).get("formation_day") for one in (old, new)}
            if change == 2 and "recorded" in days:
                continue  # the day of the record may be later than what the terms said before
            check_not_less(old, new)


def contradict(old: Result, new: Result) -> bool:
    """Whether two results assume different answers to one question."""
    answers = dict(old.assumptions)
    return any(answers.get(name, answer) != answer for name, answer in new.assumptions)


def check_not_less(old: Result, new: Result) -> None:
    """A result under better terms is not lower."""
    if old.figures.principal is None or new.figures.principal is None:
        if old.figures.principal is not new.figures.principal:
            raise Broken("a better agreement changes what is known")
        return
    if new.figures.principal < old.figures.principal:
        raise Broken(f"{new.figures.principal} is less than {old.figures.principal}")
    if new.figures.consumer < old.figures.consumer:
        raise Broken(f"the consumer's {new.figures.consumer} is less than {old.figures.consumer}")
    if new.figures.principal > old.figures.principal:
        return  # more principal, of which payments made may have taken off more
    after = {one.standard: one.fen for one in new.figures.interest}
    for one in old.figures.interest:
        later = after.get(one.standard)
        if one.fen is not None and later is not None and later < one.fen:
            raise Broken(f"interest {later} is less than {one.fen}")


def check_finding(case: Case, terms: Terms, derivation: Derivation, rng: random.Random) -> None:
    """A finding of the cause leaves exactly the results of that cause, unchanged."""
    before = figures_of(derivation)
    cause = rng.choice(CAUSES)
    if not any(key[1] == cause for key in before):
        return  # another cause was found already
    at = max(fact["at"] for fact in case.facts)
    position = max(fact["position"] for fact in case.facts) + 1
    finding = {
        "at": at,
        "author": "court",
        "data": {"cause": cause, "standing": "finding"},
        "kind": "cause.stated",
        "position": position,
        "recorded": at,
        "role": "court",
    }
    found = copy.copy(case)
    found.facts = [*case.facts, finding]
    kept = {key: figure for key, figure in before.items() if key[1] in (cause, "any")}
    if figures_of(run_engine(found, terms)) != kept:
        raise Broken(f"finding {cause} changes the results of that cause")


def draw_early(seed: int) -> Case:
    """Return the life of a seed as of some day within it, or a few after: before or after its end,
    its payments and its deliveries."""
    rng = random.Random(f"early {seed}")
    case = make_life(seed)
    days = [(fact["at"] + CHINA_MS) // DAY_MS for fact in case.facts]
    day = rng.randint(min(days), max(days) + 5)
    case.as_of = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
    return case


def check_early(seed: int) -> None:
    """What does not turn on later days holds of a life as of an early one."""
    case = draw_early(seed)
    derivation = run_engine(case)
    check_agreement(case, derivation)
    check_conservation(derivation)
    check_working_of_interest(derivation)


def check_life(seed: int) -> int:
    """Check one life; return how many results it has.

    Agreement and conservation are checked of every life, also as of an early day, the other four
    by turns.
    """
    check_early(seed)
    case = make_life(seed)
    rng = random.Random(f"checks {seed}")
    terms = read_terms(case.terms)
    derivation = run_engine(case, terms)
    check_agreement(case, derivation)
    check_conservation(derivation)
    check_working_of_interest(derivation)
    if seed % 4 == 0:
        check_replay(case, terms, derivation, rng)
    elif seed % 4 == 1:
        check_order(case, terms, derivation, rng)
    elif seed % 4 == 2:
        check_better(case, derivation, rng)
    else:
        check_finding(case, terms, derivation, rng)
    return len(derivation.results)
