"""Reading envelopes and having their signatures checked: the same for clients and for peers.

What was found good is remembered by batch (`node.batch_book`), so that the hundred transactions
under one signature cost one check. The checks themselves are made elsewhere (`node.verification`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger.refusal import Rejected
from ledger.transaction import Check
from node.batch_book import BatchBook
from node.intake import (
    Parsed,
    mark_good,
    parse_all_relayed,
    parse_submissions,
    select_checks,
)


class Verifier(Protocol):
    """Checks signatures off the event loop (`node.verification.SignatureVerifier`)."""

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        """Return, in order, whether each check is good."""


class Examiner:
    """Of one chain; see the module's text."""

    def __init__(self, verifier: Verifier, chain_id: bytes) -> None:
        self._verifier = verifier
        self._chain_id = chain_id
        self._book = BatchBook()

    def parse_submitted(self, raws: Sequence[bytes]) -> list[Parsed | Rejected]:
        """Read what a client submitted, each in its place."""
        return parse_submissions(raws, self._chain_id, self._book)

    def parse_relayed(self, raws: Sequence[bytes]) -> list[Parsed | Rejected]:
        """Read what a peer relayed, each in its place."""
        return parse_all_relayed(raws, self._chain_id, self._book)

    async def verify(self, parsed: Sequence[Parsed]) -> tuple[list[Parsed], list[Parsed]]:
        """Return (those all of whose signatures are good, the others).

        Raises `VerifierUnavailable` when nothing can be said.
        """
        checks = select_checks(parsed)
        if not checks:
            return list(parsed), []
        results = await self._verifier.verify(checks)
        if all(results):
            mark_good(parsed, self._book)
            return list(parsed), []
        is_good = dict(zip(checks, results, strict=True))
        good: list[Parsed] = []
        bad: list[Parsed] = []
        for item in parsed:
            (good if all(is_good[check] for check in item.checks) else bad).append(item)
        mark_good(good, self._book)
        return good, bad
