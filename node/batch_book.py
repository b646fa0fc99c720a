"""Batch signatures found good lately, so that each is verified once and not for every transaction.

What is remembered is the whole of it: public key, signature, and the root and size that the
envelope's own path led to. Two envelopes with the same four are under the same good signature;
nothing else is ever taken for good. Bounded: the older half is forgotten when the younger is full.
"""

from __future__ import annotations

from typing import Final

from ledger.kernel import Signed

SIGNED_MAX: Final = 4096
"""About 2 MB; clients have far fewer batches under way at a time."""


class BatchBook:
    """Of one chain; see the module's text."""

    def __init__(self, signed_max: int = SIGNED_MAX) -> None:
        self._half = signed_max // 2
        self._young: set[Signed] = set()
        self._old: set[Signed] = set()

    def __contains__(self, signed: Signed) -> bool:
        return signed in self._young or signed in self._old

    def add(self, signed: Signed) -> None:
        """Remember that libsodium accepted this signature over its batch."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.add(signed)
