"""Batch signatures found good lately, so that each is verified once and not for every transaction.

What is remembered is the whole check (public key, signed message, signature): the message holds the
batch's root and size, and every envelope's own path must lead to that root. Two envelopes that
amount to the same check are under the same good signature; nothing else is ever taken for good.
Bounded: the older half is forgotten when the younger is full.
"""

from __future__ import annotations

from typing import Final

Check = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""

CHECKS_MAX: Final = 4096
"""About 2 MB; clients have far fewer batches under way at a time."""


class BatchBook:
    """See the module's text."""

    def __init__(self, checks_max: int = CHECKS_MAX) -> None:
        self._half = checks_max // 2
        self._young: set[Check] = set()
        self._old: set[Check] = set()

    def __contains__(self, check: Check) -> bool:
        return check in self._young or check in self._old

    def add(self, check: Check) -> None:
        """Remember that libsodium accepted this check."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.add(check)
