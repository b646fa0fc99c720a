"""What a stranger is given beside a contract's entries: terms, times, facts, pages, findings.

All of it is bound by what stands on the chain: the terms by their hash in the first entry, facts
and pages by the `basis` in the outcome of each computation (`law.case`), findings by the hash in
the outcome of theirs. So a node can leave something out or alter it only in a way that whoever
derives again notices. Findings are derived again here, because an outcome has no room for them;
those that come out otherwise than the chain says, or too long for a file, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from contracts.claims import compute_claim
from contracts.custody import STATIC_PREFIX, ContractRecord, SignedRecord
from contracts.documents import DOCUMENT_PREFIX, RULES_PREFIX, DocumentRecord, VersionsRecord
from contracts.execution import Chain
from contracts.handling import Past
from contracts.refunds import Papers, encode_findings, find_all, gather
from law.canonical import compute_hash
from law.case import CaseReader
from law.days import parse_day
from law.refusal import Refused
from law.rules import parse_pack
from ledger.evidence import (
    FINDINGS_BYTES_MAX,
    FINDINGS_MAX,
    LawPapers,
    ProvenClaim,
    ProvenFindings,
)

FINDINGS_COMPUTED: Final = "findings.computed"


@dataclass(frozen=True, slots=True)
class _Look:
    """One `findings.computed` with the rule packs that it looked by."""

    position: int
    as_of: str
    packs: tuple[bytes, ...]
    findings: str
    """The hash in its outcome."""


def plan_papers(
    chain: Chain, stream: str, past: Sequence[Past], merchant: Sequence[Past]
) -> Callable[[], LawPapers] | None:
    """Return what makes the papers that a stranger needs beside a contract's entries.

    `past` are those entries, all of them, and `merchant` its merchant's own. What the state holds
    is read now; what is called later reads nothing, takes as long as the law, and may run on a
    thread. None for a contract without terms.
    """
    record = chain.stream(stream).record
    static = chain.stream(STATIC_PREFIX + stream).record
    if not isinstance(record, ContractRecord) or not isinstance(static, SignedRecord):
        return None
    papers = gather(
        lambda name: chain.stream(name).record, chain.party, stream, record, past, merchant
    )
    computed = [each for each in past if each.kind == FINDINGS_COMPUTED and not each.refused]
    looks = [
        _Look(
            each.position,
            each.data["as_of"],
            _read_packs(chain, each.data["packs"], each.position),
            str(each.effects["findings"]),
        )
        for each in computed[-FINDINGS_MAX:]
    ]
    times = tuple([each.time_ms for each in past])
    return partial(_make_papers, papers, times, looks, static.district)


def _make_papers(
    papers: Papers, times: tuple[int, ...], looks: Sequence[_Look], district: str
) -> LawPapers:
    reader = CaseReader()
    found = [_find_again(reader, papers, look, district) for look in looks]
    return LawPapers(
        terms=papers.terms,
        times=times,
        merchant=tuple(papers.merchant_facts),
        pages=tuple(papers.pages),
        findings=tuple([one for one in found if one is not None]),
    )


def _read_packs(chain: Chain, names: Sequence[str], before: int) -> tuple[bytes, ...]:
    """Return the versions of packs that were published before an entry."""
    raws = []
    for name in dict.fromkeys(names):
        record = chain.stream(RULES_PREFIX + name).record
        for version in record.versions if isinstance(record, VersionsRecord) else ():
            pack = chain.stream(DOCUMENT_PREFIX + version.hash.hex()).record
            if version.position < before and isinstance(pack, DocumentRecord):
                raws.append(pack.raw)
    return tuple(raws)


def _find_again(
    reader: CaseReader, papers: Papers, look: _Look, district: str
) -> ProvenFindings | None:
    """Return what an outcome's findings were, from what stood before its entry."""
    as_of = parse_day(look.as_of)
    if as_of is None:
        return None
    try:
        case = reader.build(
            papers.terms,
            [each for each in papers.entries if each.position < look.position],
            [each for each in papers.merchant_facts if each["position"] < look.position],
            [each for each in papers.pages if each["position"] < look.position],
        )
        found = find_all(case, [parse_pack(raw) for raw in look.packs], as_of, district)
    except Refused:
        return None
    documents = encode_findings(found)
    if compute_hash(documents) != look.findings or len(documents) > FINDINGS_BYTES_MAX:
        return None
    return ProvenFindings(look.position, documents)


def find_claim(chain: Chain, stream: str) -> tuple[str, ProvenClaim] | None:
    """Return (merchant, claim) of a contract under terms, named and not shown; else None."""
    record, static = chain.stream(stream).record, chain.stream(STATIC_PREFIX + stream).record
    if not isinstance(record, ContractRecord) or not isinstance(static, SignedRecord):
        return None
    return record.merchant, ProvenClaim(
        place=record.place,
        name=compute_claim(static.party, stream),
        locked=record.locked,
        owed=record.owed,
        path=tuple(chain.claims.prove(record.merchant, record.place)),
        shown=None,
    )
