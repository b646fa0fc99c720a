"""What a stranger is given beside a contract's entries: terms, times, merchant's facts, pages.

All of it is bound by what stands on the chain: the terms by their hash in the first entry, the rest
by the `basis` in the outcome of each computation (`law.case`). So a node can leave something out or
alter it only in a way that whoever derives again notices.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.claims import compute_claim
from contracts.custody import STATIC_PREFIX, ContractRecord, SignedRecord
from contracts.execution import Chain
from contracts.handling import Past
from contracts.refunds import gather
from ledger.evidence import LawPapers, ProvenClaim


def make_papers(
    chain: Chain, stream: str, past: Sequence[Past], merchant: Sequence[Past]
) -> LawPapers | None:
    """Return what a stranger needs beside a contract's entries to compute again what is owed.

    `past` are those entries, all of them, and `merchant` its merchant's own. None for a contract
    without terms.
    """
    record = chain.stream(stream).record
    if not isinstance(record, ContractRecord):
        return None
    papers = gather(
        lambda name: chain.stream(name).record, chain.party, stream, record, past, merchant
    )
    return LawPapers(
        terms=papers.terms,
        times=tuple([each.time_ms for each in past]),
        merchant=tuple(papers.merchant_facts),
        pages=tuple(papers.pages),
    )


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
