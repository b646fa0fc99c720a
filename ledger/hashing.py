"""SHA-256, plain and with a domain tag.

Every hash of the ledger outside a Merkle tree has a tag of `ledger.tags` in front of what it
covers, so that bytes made for one purpose are never taken for another. `ledger.kernel` computes.
"""

from __future__ import annotations

from typing import Final

from ledger.kernel import HASH_BYTES, sha256, tagged_hash, tagged_hashes

ZERO_HASH: Final = bytes(HASH_BYTES)
"""Parent of height 0, and the root of an empty subtree of the state tree."""

__all__ = ["HASH_BYTES", "ZERO_HASH", "sha256", "tagged_hash", "tagged_hashes"]
