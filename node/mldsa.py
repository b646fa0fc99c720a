"""ML-DSA-44 (FIPS 204) with pyca/cryptography, behind the interface of every other signer.

The library stands at the edge: what is signed, and whose key it is, `ledger.post_quantum` says.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey


class MlDsaSigner:
    """A signer of a 32-byte seed. Neither `repr` nor pickling gives it away."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign with an empty context; no two signatures are the same."""
        return self._key.sign(message)

    def __reduce__(self) -> str:
        raise TypeError("a signer holds a private key and is not pickled")


def verify_mldsa(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether an ML-DSA-44 key, of its right length, signed this message."""
    try:
        MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
