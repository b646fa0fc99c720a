"""From bytes somebody sent to a candidate for the pool: parse, then name what must be verified.

Parsing is done here, once, and is pure. The signatures themselves are checked elsewhere (off the
event loop); this says which Ed25519 checks they amount to. Transactions of one batch signature
amount to the same check, and to none at all once it was found good (`node.batch_book`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contracts.execution import Candidate, parse_candidate
from contracts.kinds import parse_data
from ledger import tags
from ledger.transaction import Transaction, compute_signature_check, decode_transaction
from node.batch_book import BatchBook, Check

NO_CHECKS: tuple[Check, ...] = ()


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A candidate and the signature checks that still stand between it and the pool."""

    candidate: Candidate
    checks: tuple[Check, ...]


def parse_submission(raw: bytes, chain_id: bytes, book: BatchBook | None = None) -> Parsed:
    """Read what a client submitted; raise `Rejected`, also for an unknown kind or misshapen data.

    A client is told at the door. Only a lying primary can put misshapen data into a block, where
    it becomes a refused outcome.
    """
    transaction = decode_transaction(raw)
    kind, data = parse_data(transaction.body)
    return Parsed(Candidate(transaction, kind, data), compute_checks(transaction, chain_id, book))


def parse_relayed(raw: bytes, chain_id: bytes, book: BatchBook | None = None) -> Parsed:
    """Read what a block holds or a peer relays; misshapen data is for execution to refuse."""
    transaction = decode_transaction(raw)
    return Parsed(parse_candidate(transaction), compute_checks(transaction, chain_id, book))


def compute_checks(
    transaction: Transaction, chain_id: bytes, book: BatchBook | None = None
) -> tuple[Check, ...]:
    """Return the Ed25519 checks that an envelope's signatures still amount to.

    Raises `Rejected` (BAD_BATCH_PATH).
    """
    tx_id = transaction.tx_id
    signatures = transaction.envelope.signatures
    checks = tuple(
        [compute_signature_check(signature, chain_id, tx_id) for signature in signatures]
    )
    if book is None:
        return checks
    if len(checks) == 1:
        return NO_CHECKS if checks[0] in book else checks
    return tuple([check for check in checks if check not in book])


def select_checks(parsed: Iterable[Parsed]) -> list[Check]:
    """Return the distinct checks to make, in order of first appearance."""
    return list(dict.fromkeys([check for item in parsed for check in item.checks]))


def mark_good(parsed: Iterable[Parsed], book: BatchBook) -> None:
    """Remember the batch signatures of transactions all of whose signatures are good."""
    for item in parsed:
        for check in item.checks:
            if check[1].startswith(tags.BATCH_SIGNATURE) and check not in book:
                book.add(check)
