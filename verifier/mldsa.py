"""ML-DSA-44 (FIPS 204), if an implementation of it is installed here.

The verifier needs none: what rests on Ed25519 is decided without it, and a post-quantum part is
then said not to be checked. Nothing else in the verifier may import this package.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from ledger.post_quantum import Verify

PACKAGE: Final = "cryptography>=48"
"""What to install: the first release whose wheels have ML-DSA."""


@cache
def find_verify() -> Verify | None:
    """Return how ML-DSA-44 signatures are verified here, or None where nothing can."""
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
    except ImportError:
        return None
    try:
        MLDSA44PublicKey.from_public_bytes(bytes(1312))
    except UnsupportedAlgorithm:
        return None
    except ValueError:
        pass

    def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify
