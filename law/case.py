"""A case: everything that is read about one contract, and the hash that names all of it.

The node that computes what is owed and the verifier that computes it again both build the case
here: facts from the contract's entries, facts of its merchant, and of the published pages those
that a derivation may select from. The `basis` is the hash of facts and pages as they were read; it
stands in the outcome, so that whoever brings facts or pages to a stranger brings those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from law.canonical import compute_hash, encode
from law.derivation import Derivation
from law.entries import StreamEntry, list_positions, to_fact
from law.facts import KINDS, Fact, read_fact, read_facts
from law.published import (
    ACCOUNT,
    DEPOSIT_1Y,
    LPR_1Y,
    REST_DAYS,
    Page,
    Published,
    read_published,
)
from law.terms import Terms, parse_terms
from law.value_class import value_class


@value_class
class Case:
    """What the law reads about one contract."""

    terms: Terms
    facts: tuple[Fact, ...]
    published: Published
    basis: str


@value_class
class Gathered:
    """What a case is read from, and its hash."""

    documents: Sequence[dict[str, Any]]
    """Of the facts."""
    pages: Sequence[dict[str, Any]]
    """Those that a derivation may select from, by position."""
    basis: str


Given = TypeVar("Given")
Made = TypeVar("Made")


class KnownPage:
    """A published page: its one spelling, and what it says once that was read."""

    __slots__ = ("page", "spelled")

    def __init__(self, spelled: bytes) -> None:
        self.spelled = spelled
        self.page: Page | None = None


class CaseReader:
    """Reads cases of one contract as it grew, one for each computation of what is owed.

    A later case holds the entries and pages of an earlier one and more: each is read and spelled
    once, however many cases it is in. What is refused is not kept. Many contracts select from the
    same pages: `pages` are those that came before, and grow by what comes here. One is known again
    by what Python writes for it, which is of that page alone, as its one spelling is, and takes a
    quarter of the time.
    """

    __slots__ = ("_facts", "_known", "_pages", "_spelled", "_stated")

    def __init__(self, pages: dict[str, KnownPage] | None = None) -> None:
        self._pages = pages
        self._stated = _Once(to_fact)
        self._facts = _Once(read_fact)
        self._spelled = _Once(encode)
        self._known = _Once(self._know)

    def build(
        self,
        terms: bytes,
        entries: Sequence[StreamEntry],
        merchant_facts: Sequence[dict[str, Any]],
        pages: Sequence[dict[str, Any]],
    ) -> Case:
        """Return the case; `entries` are the applied ones of the contract, oldest first, `pages`
        all that might be needed. Raises `Refused` for whatever of it cannot be read."""
        return self.read(terms, self.gather(entries, merchant_facts, pages))

    def gather(
        self,
        entries: Sequence[StreamEntry],
        merchant_facts: Sequence[dict[str, Any]],
        pages: Sequence[dict[str, Any]],
    ) -> Gathered:
        """Return what the case is read from, named by its hash before any of it is read. Raises
        `Refused` for an entry that cannot state its fact."""
        positions = list_positions(entries)
        stated = [self._stated.of(entry, positions) for entry in entries if entry.kind in KINDS]
        documents = [*stated, *merchant_facts]
        series = find_series(documents)
        selected = sorted(
            [page for page in pages if page.get("series") in series],
            key=lambda page: page["position"],
        )
        basis = compute_hash(
            encode(
                {
                    "facts": compute_hash(
                        b"".join([self._spelled.of(fact, "document") for fact in documents])
                    ),
                    "pages": compute_hash(
                        b"".join([self._known.of(page, "document").spelled for page in selected])
                    ),
                }
            )
        )
        return Gathered(documents, selected, basis)

    def read(self, terms: bytes, gathered: Gathered) -> Case:
        """Return the case; raise `Refused` for whatever of it cannot be read."""
        facts = read_facts(gathered.documents, self._facts.of)
        published = read_published(gathered.pages, self._read_page)
        return Case(parse_terms(terms), facts, published, gathered.basis)

    def _read_page(self, document: dict[str, Any], path: str) -> Page:
        known = self._known.of(document, "document")
        if known.page is None:
            known.page = Page(document, path)
        return known.page

    def _know(self, document: dict[str, Any], name: str) -> KnownPage:
        if self._pages is None:
            return KnownPage(encode(document, name))
        written = repr(document)
        known = self._pages.get(written)
        if known is None:
            known = self._pages[written] = KnownPage(encode(document, name))
        return known


class _Once(Generic[Given, Made]):
    """Makes something of a value once, whatever it is called or stands beside the next time."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[Any, Given], Made]) -> None:
        self._make = make
        self._made: dict[int, tuple[Any, Made]] = {}
        """By the value's identity, with the value, which lives as long as it is known by that."""

    def of(self, value: Any, given: Given) -> Made:
        """Return what is made of a value."""
        found = self._made.get(id(value))
        if found is None:
            found = self._made[id(value)] = value, self._make(value, given)
        return found[1]


def find_series(documents: Sequence[dict[str, Any]]) -> list[str]:
    """Return the published series that a derivation from these facts may select from; whether the
    documents are facts was not looked at yet."""
    series = [LPR_1Y, DEPOSIT_1Y, REST_DAYS]
    for document in documents:
        data = document.get("data")
        if document.get("kind") != "funds.locked" or not isinstance(data, dict):
            continue
        account = data.get("account")
        if isinstance(account, str) and ACCOUNT + account not in series:
            series.append(ACCOUNT + account)
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


def find_shares(derivation: Derivation) -> tuple[int, dict[str, int]]:
    """Return the highest that the consumer may be paid, interest with it, and each issuer, over all
    results; where a price is not known, the consumer's may be everything that was paid."""
    consumer = 0
    issuers: dict[str, int] = {}
    for result in derivation.results:
        figures = result.figures
        if figures.principal is None:
            consumer = max(consumer, derivation.paid)
            continue
        interest = [each.fen or 0 for each in figures.interest] or [0]
        consumer = max(consumer, figures.consumer + max(interest))
        for issuer, fen in figures.issuers:
            issuers[issuer] = max(issuers.get(issuer, 0), fen)
    return consumer, dict(sorted(issuers.items()))
