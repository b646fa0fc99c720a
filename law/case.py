"""A case: everything that is read about one contract, and the hash that names all of it.

The node that computes what is owed and the verifier that computes it again both build the case
here: facts from the contract's entries, facts of its merchant, and of the published pages those
that a derivation may select from. The `basis` is the hash of facts and pages as they were read; it
stands in the outcome, so that whoever brings facts or pages to a stranger brings those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from law.canonical import compute_hash, encode
from law.derivation import Derivation
from law.entries import StreamEntry, to_facts
from law.facts import Fact, read_facts
from law.published import ACCOUNT, DEPOSIT_1Y, LPR_1Y, REST_DAYS, Published, read_published
from law.terms import Terms, parse_terms


@dataclass(frozen=True, slots=True)
class Case:
    """What the law reads about one contract."""

    terms: Terms
    facts: tuple[Fact, ...]
    published: Published
    basis: str


def build_case(
    terms: bytes,
    entries: Sequence[StreamEntry],
    merchant_facts: Sequence[dict[str, Any]],
    pages: Sequence[dict[str, Any]],
) -> Case:
    """Return the case; `entries` are the applied ones of the contract, oldest first, `pages` all
    that might be needed. Raises `Refused` for whatever of it cannot be read."""
    documents = [*to_facts(entries), *merchant_facts]
    facts = read_facts(documents)
    series = find_series(facts)
    selected = sorted(
        [page for page in pages if page.get("series") in series], key=lambda page: page["position"]
    )
    basis = compute_hash(encode({"facts": _digest(documents), "pages": _digest(selected)}))
    return Case(parse_terms(terms), facts, read_published(selected), basis)


def find_series(facts: Sequence[Fact]) -> list[str]:
    """Return the published series that a derivation from these facts may select from."""
    series = [LPR_1Y, DEPOSIT_1Y, REST_DAYS]
    for fact in facts:
        if fact.kind == "funds.locked" and fact.data.account is not None:
            name = ACCOUNT + fact.data.account
            if name not in series:
                series.append(name)
    return series


def find_range(derivation: Derivation) -> tuple[int, int]:
    """Return the lowest and the highest of principal and interest over all results.

    A result whose price is not known counts from nothing to everything that was paid; interest
    whose rate is not known counts as none.
    """
    sums = []
    for result in derivation.results:
        principal = result.figures.principal
        if principal is None:
            sums += [0, derivation.paid]
            continue
        interest = [each.fen or 0 for each in result.figures.interest] or [0]
        sums += [principal + min(interest), principal + max(interest)]
    return min(sums), max(sums)


def _digest(documents: Sequence[Any]) -> str:
    """Return the SHA-256 of documents one after another, each in its one spelling."""
    return compute_hash(b"".join([encode(document) for document in documents]))
