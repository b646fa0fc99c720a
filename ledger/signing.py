"""Ed25519 (RFC 8032) with one rule of validity everywhere: what libsodium accepts.

Libraries disagree on edge cases (of C2SP's 914 CCTV vectors OpenSSL accepts 208 and libsodium 43),
and two nodes that disagree about one signature disagree about a block. libsodium refuses S >= L,
non-canonical encodings of A and R, and points of small order; nodes, auditors and the verifier all
call it and nothing else. Verification never raises: a wrong length is merely a wrong signature.
Signing goes through the `Signer` port, so that a key may live in a hardware module; `SeedSigner`
is the one whose seed is in this process.
"""

from __future__ import annotations

from typing import Final, Protocol

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

PUBLIC_KEY_BYTES: Final = 32
"""Length of an Ed25519 public key (RFC 8032 section 5.1.5)."""

SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature (RFC 8032 section 5.1.6)."""

SEED_BYTES: Final = 32
"""Length of an Ed25519 private key, called a seed by libsodium (RFC 8032 section 5.1.5)."""


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether libsodium accepts `signature` on `message`."""
    if len(signature) != SIGNATURE_BYTES or len(public_key) != PUBLIC_KEY_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


def public_key_of(seed: bytes) -> bytes:
    """Return the public key of a 32-byte seed."""
    return crypto_sign_seed_keypair(seed)[0]


class Signer(Protocol):
    """Something that holds one private key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The key's public half; 32 bytes of Ed25519."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature on `message`; 64 bytes of Ed25519."""


class SeedSigner:
    """Signs with a seed held in memory; neither `repr` nor pickling gives the seed away."""

    __slots__ = ("_public_key", "_secret_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        self._public_key, self._secret_key = crypto_sign_seed_keypair(seed)

    @property
    def public_key(self) -> bytes:
        """The key's 32-byte public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature on `message` (deterministic, RFC 8032 section 5.1.6)."""
        return crypto_sign(message, self._secret_key)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SeedSigner(public_key={self._public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a SeedSigner holds a private key and is not pickled")
