"""From bytes somebody sent to a candidate for the pool: parse, then name what must be verified.

Parsing is done here, once, and is pure. The signatures themselves are checked elsewhere (off the
event loop); this says which Ed25519 checks they amount to. Transactions of one batch signature
amount to the same check, so it is asked for once: `VerifiedBatches` remembers, by the whole triple
of key, message and signature, which have been found good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from contracts.execution import Candidate, parse_candidate
from contracts.kinds import parse_data
from ledger.transaction import Transaction, compute_signature_check, decode_transaction

Check = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""

VERIFIED_BATCHES_MAX: Final = 4096
"""Batch signatures remembered; one covers up to 65,536 transactions."""


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A candidate and the signature checks that still stand between it and the pool."""

    candidate: Candidate
    checks: tuple[Check, ...]


def parse_submission(raw: bytes, chain_id: bytes) -> Parsed:
    """Read what a client submitted; raise `Rejected`, also for an unknown kind or misshapen data.

    A client is told at the door. Only a lying primary can put misshapen data into a block, where
    it becomes a refused outcome.
    """
    transaction = decode_transaction(raw)
    kind, data = parse_data(transaction.body)
    return Parsed(Candidate(transaction, kind, data), compute_checks(transaction, chain_id))


def parse_relayed(raw: bytes, chain_id: bytes) -> Parsed:
    """Read what a block holds or a peer relays; misshapen data is for execution to refuse."""
    transaction = decode_transaction(raw)
    return Parsed(parse_candidate(transaction), compute_checks(transaction, chain_id))


def compute_checks(transaction: Transaction, chain_id: bytes) -> tuple[Check, ...]:
    """Return the Ed25519 checks an envelope's signatures amount to; raise `Rejected`."""
    tx_id = transaction.tx_id
    return tuple(
        [
            compute_signature_check(signature, chain_id, tx_id)
            for signature in transaction.envelope.signatures
        ]
    )


class VerifiedBatches:
    """Batch signatures found good, bounded; the older half is forgotten when it is full."""

    def __init__(self) -> None:
        self._young: set[Check] = set()
        self._old: set[Check] = set()

    def select_unverified(self, parsed: Iterable[Parsed]) -> list[Check]:
        """Return the distinct checks not known to be good, in order of first appearance."""
        wanted: dict[Check, None] = {}
        for item in parsed:
            for check in item.checks:
                if check not in self._young and check not in self._old:
                    wanted[check] = None
        return list(wanted)

    def add(self, transaction: Transaction, checks: Iterable[Check]) -> None:
        """Remember good checks that other transactions may share."""
        for signature, check in zip(transaction.envelope.signatures, checks, strict=True):
            if signature.batch is None or check in self._young:
                continue
            if len(self._young) >= VERIFIED_BATCHES_MAX // 2:
                self._old, self._young = self._young, set()
            self._young.add(check)
