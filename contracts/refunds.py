"""What is owed, computed on the ledger: the facts are the contract's own entries.

`refund.computed` reads every applied entry of the contract and of its merchant, the terms by their
hash and the published pages by their positions, and lets `law.refund` derive. The outcome keeps the
derivation's hash, the lowest and the highest that may be owed, and the hash of what was read; the
derivation itself is longer than an outcome may be, and whoever holds the same entries derives the
same bytes. `findings.computed` lets the rule packs in force look at the same facts. What both read
is bounded by `contracts.handling.READS_MAX` for all of a block, and `contracts.room` sees to it
that one contract and its merchant stay below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from contracts.contract import Effects
from contracts.custody import (
    MERCHANT_PREFIX,
    STATIC_PREFIX,
    UNKNOWN,
    ContractRecord,
    MerchantRecord,
    SignedRecord,
    read_static,
)
from contracts.documents import (
    DOCUMENT_PREFIX,
    RULES_PREFIX,
    DocumentRecord,
    VersionsRecord,
    account_stream,
    published_stream,
    read_pack,
    refused_by_law,
)
from contracts.events import ComputedData, FindingsData
from contracts.handling import Context, Past, Refusal
from contracts.lifecycle import MERCHANT_EVENTS
from contracts.parties import PartyRecord
from contracts.standing import find_role, find_role_towards_merchant
from law.account import fold
from law.canonical import compute_hash, encode
from law.case import Case, CaseReader, find_range, find_series, find_shares
from law.checks import find_breaches
from law.clauses import check_clauses, check_prompting
from law.days import day_of, parse_day, show_day
from law.derivation import Derivation
from law.ending import find_endings
from law.entries import StreamEntry, find_consumer, to_facts
from law.finding import Finding
from law.published import ACCOUNT
from law.refund import derive
from law.rules import Pack, schedule

AHEAD_DAYS_MAX: Final = 366
"""Days by which an as-of day may lie after the block's: a plan for a year is a plan, and interest
of a thousand years is no debt."""

LOOKS_PER_READ: Final = 64
"""Facts at which one rule looks in about the time in which an entry is read (1 µs each)."""

COMPUTATION_READS: Final = 50
"""What reading a case and deriving from it costs however short the record, in reads: some 3 ms. It
uses up what the block may read and never keeps the computation itself from being done."""
RULES_NAMED_MAX: Final = 32
"""Broken rules that an outcome names; the count says how many there are."""


def read_case(context: Context, record: ContractRecord) -> Case:
    """Return the case of the contract whose stream this is; refuse what cannot be read."""
    merchant = MERCHANT_PREFIX + record.merchant
    past = context.history(context.stream)
    merchant_past = context.history(merchant)
    context.charge(min(COMPUTATION_READS, context.reads_left), context.stream)
    with refused_by_law("not_computable"):
        papers = gather(context.read, context.party, context.stream, record, past, merchant_past)
        return CaseReader().build(papers.terms, papers.entries, papers.merchant_facts, papers.pages)


@dataclass(frozen=True, slots=True)
class Papers:
    """What a case is built from, for the node itself and for a stranger's evidence file."""

    terms: bytes
    entries: list[StreamEntry]
    merchant_facts: list[dict[str, Any]]
    pages: list[dict[str, Any]]


def gather(
    read: Callable[[str], Any],
    party: Callable[[str], PartyRecord | None],
    stream: str,
    record: ContractRecord,
    past: Sequence[Past],
    merchant_past: Sequence[Past],
) -> Papers:
    """Return a contract's papers; `read` gives the record of a row.

    Pages stand by series and position, in the one order that verifiers take. Accounts whose names
    differ by a stroke and a full stop share a stream, and only some of them may be the contract's.
    """
    static = read(STATIC_PREFIX + stream)
    assert isinstance(static, SignedRecord), "a contract's record has its static part beside it"
    terms = read(DOCUMENT_PREFIX + static.terms.hex())
    assert isinstance(terms, DocumentRecord), "a contract's terms are never removed"
    entries = _read_entries(party, record, past)
    institution = _find_institution(party, record.custodian)
    series = find_series([{"data": entry.data, "kind": entry.kind} for entry in entries])
    streams = [
        account_stream(institution, name.removeprefix(ACCOUNT))
        if name.startswith(ACCOUNT)
        else published_stream(name)
        for name in series
    ]
    pages = []
    for stream_name in dict.fromkeys(streams):
        versions = read(stream_name)
        if isinstance(versions, VersionsRecord):
            for version in versions.versions:
                page = read(DOCUMENT_PREFIX + version.hash.hex())
                assert isinstance(page, DocumentRecord), "a published page is never removed"
                pages.append({**json.loads(page.raw), "position": version.position})
    pages = [page for page in pages if page["series"] in series]
    pages.sort(key=lambda page: (series.index(page["series"]), page["position"]))
    merchant_entries = _read_merchants_entries(read, party, record.merchant, merchant_past)
    return Papers(terms.raw, entries, to_facts(merchant_entries), pages)


def _find_institution(party: Callable[[str], PartyRecord | None], custodian: str) -> str:
    """Return the institution that a custodian is, or whose gateway it is: what an account bears is
    for whoever keeps it to say."""
    known = party(custodian)
    return known.registrar if known is not None and known.role == "gateway" else custodian


def _read_merchants_entries(
    read: Callable[[str], Any],
    party: Callable[[str], PartyRecord | None],
    merchant: str,
    past: Sequence[Past],
) -> list[StreamEntry]:
    """Return the applied events of a merchant as the law reads them; each signer in its role
    towards the merchant, whichever contract is looked at."""
    whole = read(MERCHANT_PREFIX + merchant)
    assert isinstance(whole, MerchantRecord), "a merchant with contracts has a record"
    return [
        _read_entry(
            each,
            [
                find_role_towards_merchant(party, merchant, whole, signer) or "stranger"
                for signer in each.signers
            ],
        )
        for each in past
        if not each.refused and each.kind in MERCHANT_EVENTS
    ]


def _read_entry(past: Past, roles: list[str]) -> StreamEntry:
    return StreamEntry(
        position=past.position,
        tx_id=past.tx_id.hex(),
        recorded=past.time_ms,
        kind=past.kind,
        data=past.data,
        signers=past.signers,
        roles=roles,
        effects=past.effects,
    )


def _read_entries(
    party: Callable[[str], PartyRecord | None], record: ContractRecord, past: Sequence[Past]
) -> list[StreamEntry]:
    """Return the applied entries as the law reads them; each signer in the role of that time, for
    an assignment makes another the consumer."""
    found = []
    then = record
    consumer = record.consumer_party
    for each in past:
        if each.refused:
            continue
        if each.kind == "contract.signed":
            consumer = find_consumer("", each.kind, each.data, each.effects)
        if consumer != then.consumer_party:
            then = replace(record, consumer_party=consumer)
        found.append(
            _read_entry(
                each, [find_role(party, then, signer) or "stranger" for signer in each.signers]
            )
        )
        consumer = find_consumer(consumer, each.kind, each.data, each.effects)
    return found


def compute(
    context: Context, record: ContractRecord, data: ComputedData, role: str
) -> tuple[ContractRecord, Effects]:
    """`refund.computed`: derive what is owed as of a day."""
    as_of = _read_day(context, data)
    case = read_case(context, record)
    with refused_by_law("not_computable"):
        _refuse_day_before_end(context, case, as_of)
        derivation = derive(case.terms, case.facts, case.published, as_of)
    low, high = find_range(derivation)
    consumer, issuers = find_shares(derivation)
    payees = _list_payees(derivation)
    own = sum(issuers.pop(name, 0) for name in payees)
    after = replace(
        record,
        due_low=low,
        due_high=high,
        payees=[*payees, *issuers],
        due_consumer=consumer + own,
        issuers=[
            replace(share, due=UNKNOWN if share.issuer in payees else issuers.get(share.issuer, 0))
            for share in record.issuers
        ],
    )
    return after, [
        ("derivation", compute_hash(derivation.encode())),
        ("basis", case.basis),
        ("results", len(derivation.results)),
        ("facts", len(case.facts)),
        ("due_low", low),
        ("due_high", high),
        ("owed", after.owed),
    ]


def _refuse_day_before_end(context: Context, case: Case, as_of: int) -> None:
    """Refuse an as-of day on which a contract that has ended had not: what is owed follows from its
    end, and nobody chooses another by choosing a day."""
    today = day_of(context.time_ms)
    if as_of >= today:
        return
    endings = find_endings(case.terms, fold(case.terms, case.facts), today)
    first = min((ending.day for ending in endings if ending.day <= today), default=as_of)
    if as_of < first:
        raise Refusal("as_of_before_end", ("as_of", show_day(as_of)), ("day", show_day(first)))


def _list_payees(derivation: Derivation) -> list[str]:
    """Return who may be paid the consumer's share, and whoever acts for one of them."""
    names = [name for each in derivation.payees for name in (each.payee, each.through) if name]
    return list(dict.fromkeys(names))


def compute_findings(
    context: Context, record: ContractRecord, data: FindingsData, role: str
) -> tuple[ContractRecord, Effects]:
    """`findings.computed`: let clauses and rule packs look at the contract's facts."""
    as_of = _read_day(context, data)
    packs = _read_packs(context, data.packs)
    district = read_static(context).district
    case = read_case(context, record)
    rules = sum(len(pack.rules) for pack in packs)
    context.charge(rules * len(case.facts) // LOOKS_PER_READ, context.stream)
    with refused_by_law("not_computable"):
        found = find_all(case, packs, as_of, district)
    named = list(dict.fromkeys(finding.rule for finding in found))[:RULES_NAMED_MAX]
    return record, [
        ("findings", compute_hash(encode_findings(found))),
        ("basis", case.basis),
        ("count", len(found)),
        *[("rule", rule) for rule in named],
    ]


def find_all(case: Case, packs: Sequence[Pack], as_of: int, district: str) -> list[Finding]:
    """Return what clauses and rule packs find in a case, each once; raise `law.refusal.Refused`."""
    found = [
        *check_clauses(case.terms),
        *check_prompting(case.terms, fold(case.terms, case.facts)),
        *find_breaches(schedule(packs), case.terms, case.facts, case.published, as_of, district),
    ]
    return list(dict.fromkeys(found))


def encode_findings(found: Sequence[Finding]) -> bytes:
    """Return findings in the one spelling of which an outcome has the hash."""
    return encode({"findings": [finding.to_document() for finding in found]})


def _read_packs(context: Context, names: Sequence[str]) -> list[Pack]:
    packs: list[Pack] = []
    for name in dict.fromkeys(names):
        record = context.read(RULES_PREFIX + name)
        if not isinstance(record, VersionsRecord):
            raise Refusal("unknown_rules", ("rules", name))
        packs += [read_pack(context, RULES_PREFIX + name, version) for version in record.versions]
    return packs


def _read_day(context: Context, data: ComputedData | FindingsData) -> int:
    """Return the day as of which something is computed; refuse one too far after the block's."""
    day = parse_day(data.as_of)
    assert day is not None, "an event's days were looked at before (`contracts.contract`)"
    ahead = day - day_of(context.time_ms)
    if ahead > AHEAD_DAYS_MAX:
        raise Refusal(
            "as_of_too_far_ahead",
            ("as_of", data.as_of),
            ("days_ahead", ahead),
            ("allowed", AHEAD_DAYS_MAX),
        )
    return day
