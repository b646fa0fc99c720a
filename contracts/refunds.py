"""What is owed, computed on the ledger: the facts are the contract's own entries.

`refund.computed` reads every entry of the contract and of its merchant, the terms by their hash and
the published pages by their positions, and lets `law.refund` derive. The outcome keeps the
derivation's hash, the lowest and the highest that may be owed, and the hash of what was read; the
derivation itself is longer than an outcome may be, and whoever holds the same entries derives the
same bytes. `findings.computed` lets the rule packs in force look at the same facts. What both read
is bounded by `contracts.handling.READS_MAX` for all of a block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from contracts.contract import Effects
from contracts.custody import MERCHANT_PREFIX, ContractRecord, read_static
from contracts.documents import (
    DETAIL_CHARS_MAX,
    RULES_PREFIX,
    VersionsRecord,
    published_stream,
    read_document,
)
from contracts.events import ComputedData, FindingsData
from contracts.handling import Context, Past, Refusal
from contracts.lifecycle import MERCHANT_EVENTS
from contracts.standing import find_role
from law.account import fold
from law.canonical import compute_hash, encode
from law.checks import find_breaches
from law.clauses import check_clauses, check_prompting
from law.days import parse_day
from law.derivation import Derivation
from law.entries import StreamEntry, to_facts
from law.facts import Fact, read_facts
from law.published import ACCOUNT, DEPOSIT_1Y, LPR_1Y, REST_DAYS, Published, read_published
from law.refund import derive
from law.refusal import Refused
from law.rules import Pack, parse_pack, schedule
from law.terms import Terms, parse_terms

RULES_NAMED_MAX: Final = 32
"""Broken rules that an outcome names; the count says how many there are."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the law reads about one contract, and the hash that names it."""

    terms: Terms
    facts: tuple[Fact, ...]
    published: Published
    basis: str
    """SHA-256 of the list of (position, hash) of terms and pages and of the facts' documents."""


def read_case(context: Context, record: ContractRecord) -> Case:
    """Return the case of the contract whose stream this is; refuse what cannot be read."""
    static = read_static(context)
    raw = read_document(context, static.terms)
    assert raw is not None, "a contract's terms are never removed"
    entries = [
        *_read_entries(context, record, context.history(context.stream)),
        *_read_entries(
            context, record, context.history(MERCHANT_PREFIX + record.merchant), MERCHANT_EVENTS
        ),
    ]
    documents = to_facts(entries)
    try:
        facts = read_facts(documents)
        pages = _read_pages(context, facts)
        published = read_published(pages)
        basis = compute_hash(encode({"facts": _digest(documents), "pages": _digest(pages)}))
    except Refused as refused:
        raise _not_computable(refused) from None
    return Case(parse_terms(raw), facts, published, basis)


def _digest(documents: Sequence[Any]) -> str:
    """Return the SHA-256 of documents one after another, each in its one spelling."""
    return compute_hash(b"".join([encode(document) for document in documents]))


def _read_entries(
    context: Context,
    record: ContractRecord,
    past: Sequence[Past],
    kinds: Sequence[str] | None = None,
) -> list[StreamEntry]:
    """Return the applied entries as the law reads them, perhaps of some kinds only."""
    return [
        StreamEntry(
            position=each.position,
            tx_id=each.tx_id.hex(),
            recorded=each.time_ms,
            kind=each.kind,
            data=each.data,
            signers=each.signers,
            roles=[find_role(context, record, signer) or "stranger" for signer in each.signers],
            effects=each.effects,
        )
        for each in past
        if not each.refused and (kinds is None or each.kind in kinds)
    ]


def _read_pages(context: Context, facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Return the published pages that a derivation may select from, each with its position."""
    series = [LPR_1Y, DEPOSIT_1Y, REST_DAYS]
    for fact in facts:
        if fact.kind == "funds.locked" and fact.data.account is not None:
            name = ACCOUNT + fact.data.account
            if name not in series:
                series.append(name)
    pages = []
    for name in series:
        record = context.read(published_stream(name))
        if isinstance(record, VersionsRecord):
            for version in record.versions:
                raw = read_document(context, version.hash)
                assert raw is not None, "a published page is never removed"
                pages.append({**json.loads(raw), "position": version.position})
    return pages


def compute(
    context: Context, record: ContractRecord, data: ComputedData, role: str
) -> tuple[ContractRecord, Effects]:
    """`refund.computed`: derive what is owed as of a day."""
    as_of = parse_day(data.as_of)
    if as_of is None:
        raise Refusal("no_such_day", ("as_of", data.as_of))
    case = read_case(context, record)
    try:
        derivation = derive(case.terms, case.facts, case.published, as_of)
    except Refused as refused:
        raise _not_computable(refused) from None
    low, high = find_range(derivation)
    after = replace(record, due_low=low, due_high=high)
    return after, [
        ("derivation", compute_hash(derivation.encode())),
        ("basis", case.basis),
        ("results", len(derivation.results)),
        ("facts", len(case.facts)),
        ("due_low", low),
        ("due_high", high),
        ("owed", after.owed),
    ]


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


def compute_findings(
    context: Context, record: ContractRecord, data: FindingsData, role: str
) -> tuple[ContractRecord, Effects]:
    """`findings.computed`: let clauses and rule packs look at the contract's facts."""
    as_of = parse_day(data.as_of)
    if as_of is None:
        raise Refusal("no_such_day", ("as_of", data.as_of))
    packs = _read_packs(context, data.packs)
    case = read_case(context, record)
    try:
        found = dict.fromkeys(
            [
                *check_clauses(case.terms),
                *check_prompting(case.terms, fold(case.terms, case.facts)),
                *find_breaches(schedule(packs), case.terms, case.facts, as_of),
            ]
        )
    except Refused as refused:
        raise _not_computable(refused) from None
    documents = [finding.to_document() for finding in found]
    named = list(dict.fromkeys(finding.rule for finding in found))[:RULES_NAMED_MAX]
    return record, [
        ("findings", compute_hash(encode({"findings": documents}))),
        ("basis", case.basis),
        ("count", len(found)),
        *[("rule", rule) for rule in named],
    ]


def _read_packs(context: Context, names: Sequence[str]) -> list[Pack]:
    packs = []
    for name in dict.fromkeys(names):
        record = context.read(RULES_PREFIX + name)
        if not isinstance(record, VersionsRecord):
            raise Refusal("unknown_rules", ("rules", name))
        for version in record.versions:
            raw = read_document(context, version.hash)
            assert raw is not None, "a published pack is never removed"
            packs.append(parse_pack(raw))
    return packs


def _not_computable(refused: Refused) -> Refusal:
    return Refusal(
        "not_computable", ("why", str(refused.code)), ("detail", refused.detail[:DETAIL_CHARS_MAX])
    )
