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
from ledger.transaction import (
    Transaction,
    compute_batch_message,
    compute_signature_check,
    decode_transaction,
)
from node.batch_book import BatchBook

Check = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""

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
    if len(signatures) == 1:
        signature = signatures[0]
        if book is not None and signature.batch is not None:
            root, is_good = book.find_root(signature, tx_id)
            if is_good:
                return NO_CHECKS
            message = compute_batch_message(chain_id, root, signature.batch.size)
            return ((signature.public_key, message, signature.signature),)
        return (compute_signature_check(signature, chain_id, tx_id),)
    return tuple([compute_signature_check(signature, chain_id, tx_id) for signature in signatures])


def select_checks(parsed: Iterable[Parsed]) -> list[Check]:
    """Return the distinct checks to make, in order of first appearance."""
    wanted: dict[Check, None] = {}
    for item in parsed:
        for check in item.checks:
            wanted[check] = None
    return list(wanted)


def mark_good(parsed: Iterable[Parsed], book: BatchBook) -> None:
    """Remember the batch signatures of transactions all of whose signatures are good."""
    seen = None
    for item in parsed:
        if len(item.checks) == 1 and item.checks[0] != seen:
            signature = item.candidate.transaction.envelope.signatures[0]
            seen = item.checks[0]
            if signature.batch is not None:
                book.mark_good(signature, seen[1][-40:-8])
