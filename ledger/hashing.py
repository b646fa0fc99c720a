"""SHA-256, plain and with a domain tag.

`hashlib` goes through OpenSSL and uses the processor's SHA extensions; on short inputs it is as
fast as anything reachable from Python (0.6 µs for 65 bytes, measured), so nothing else is used.
"""

from __future__ import annotations

from hashlib import sha256 as _sha256
from typing import Final

HASH_BYTES: Final = 32
"""Length of every hash on the ledger (SHA-256, FIPS 180-4)."""

ZERO_HASH: Final = bytes(HASH_BYTES)
"""Parent of height 0, and the root of an empty subtree of the state tree."""


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return _sha256(data).digest()


def tagged_hash(tag: bytes, data: bytes) -> bytes:
    """Return SHA-256(tag ‖ data); `tag` is one of `ledger.tags`."""
    return _sha256(tag + data).digest()
