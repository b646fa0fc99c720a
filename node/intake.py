"""From bytes somebody sent to a candidate for the pool: parse, then name what must be verified.

Parsing is done here, once, and is pure. The signatures themselves are checked elsewhere (off the
event loop); this says which Ed25519 checks they amount to. Transactions of one batch signature
amount to the same check, and to none at all once it was found good (`node.batch_book`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from contracts.execution import Candidate, parse_candidate
from contracts.kinds import parse_data
from ledger.kernel import Signed
from ledger.refusal import Rejected
from ledger.transaction import Check, Transaction, compute_check, decode_transactions
from node.batch_book import BatchBook

NO_CHECKS: tuple[Check, ...] = ()


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A candidate and the signature checks that still stand between it and the pool."""

    candidate: Candidate
    checks: tuple[Check, ...]


def parse_submissions(
    raws: Sequence[bytes], chain_id: bytes, book: BatchBook | None = None
) -> list[Parsed | Rejected]:
    """Read what a client submitted, each in its place; also misshapen data is rejected.

    A client is told at the door. Only a lying primary can put misshapen data into a block, where
    it becomes a refused outcome.
    """
    return _parse(raws, chain_id, book, _submitted)


def parse_all_relayed(
    raws: Sequence[bytes], chain_id: bytes, book: BatchBook | None = None
) -> list[Parsed | Rejected]:
    """Read what blocks hold or peers relay; misshapen data is for execution to refuse."""
    return _parse(raws, chain_id, book, parse_candidate)


def parse_submission(raw: bytes, chain_id: bytes, book: BatchBook | None = None) -> Parsed:
    """Read one submission; raise `Rejected`."""
    return _only(parse_submissions([raw], chain_id, book))


def parse_relayed(raw: bytes, chain_id: bytes, book: BatchBook | None = None) -> Parsed:
    """Read one relayed envelope; raise `Rejected`."""
    return _only(parse_all_relayed([raw], chain_id, book))


def _only(parsed: Sequence[Parsed | Rejected]) -> Parsed:
    (item,) = parsed
    if isinstance(item, Rejected):
        raise item
    return item


def _parse(
    raws: Sequence[bytes],
    chain_id: bytes,
    book: BatchBook | None,
    to_candidate: Callable[[Transaction], Candidate | Rejected],
) -> list[Parsed | Rejected]:
    transactions = decode_transactions(raws)
    candidates = [
        each if isinstance(each, Rejected) else to_candidate(each) for each in transactions
    ]
    checks = _Checks(chain_id, book)
    return [
        each if isinstance(each, Rejected) else Parsed(each, checks.of(each.transaction))
        for each in candidates
    ]


class _Checks:
    """The checks that some transactions still amount to; of one batch, computed once."""

    __slots__ = ("_book", "_chain_id", "_of_batch")

    def __init__(self, chain_id: bytes, book: BatchBook | None) -> None:
        self._chain_id = chain_id
        self._book = book
        self._of_batch: dict[Signed, tuple[Check, ...]] = {}

    def of(self, transaction: Transaction) -> tuple[Check, ...]:
        signed = transaction.signed
        if len(signed) > 1 or not signed[0][3]:
            return compute_checks(transaction, self._chain_id, self._book)
        known = self._of_batch.get(signed[0])
        if known is None:
            known = compute_checks(transaction, self._chain_id, self._book)
            self._of_batch[signed[0]] = known
        return known


def _submitted(transaction: Transaction) -> Candidate | Rejected:
    try:
        kind, data = parse_data(transaction.body)
    except Rejected as rejected:
        return rejected
    return Candidate(transaction, kind, data)


def compute_checks(
    transaction: Transaction, chain_id: bytes, book: BatchBook | None = None
) -> tuple[Check, ...]:
    """Return the Ed25519 checks that an envelope's signatures still amount to."""
    checks = [
        compute_check(signed, chain_id, transaction.tx_id)
        for signed in transaction.signed
        if book is None or signed not in book
    ]
    return tuple(checks) if checks else NO_CHECKS


def select_checks(parsed: Iterable[Parsed]) -> list[Check]:
    """Return the distinct checks to make, in order of first appearance."""
    return list(dict.fromkeys([check for item in parsed for check in item.checks]))


def mark_good(parsed: Iterable[Parsed], book: BatchBook) -> None:
    """Remember the batch signatures of transactions all of whose signatures are good."""
    for item in parsed:
        if item.checks:
            for signed in item.candidate.transaction.signed:
                if signed[3] and signed not in book:
                    book.add(signed)
