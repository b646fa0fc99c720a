"""COSE Receipts (RFC 9942) of entries of this log, and its keys as COSE keys (RFC 9943).

A receipt is an inclusion proof that ends in one signature: a COSE_Sign1 whose payload, the root, is
left out, so that a reader must compute it from the entry. It binds neither index nor size and is
the word of one institution; the tlog-proof, which binds both and carries a quorum, remains the
first proof for a court. The key that signs is the institution's `log` key of genesis: the statement
is the one it makes on every checkpoint, that this root is a root of this log. The two can never be
taken for one another: a checkpoint begins with the letter or digit that begins its origin, a
COSE signature's input with the byte 0x84. We only write receipts; others' software reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cbor2

from ledger.scitt import ALGORITHM, CWT_CLAIMS, KEY_ID, SIGN1, compute_key_thumbprint
from ledger.signing import Signer

PROOF_STRUCTURE: Final = 395
PROOFS: Final = 396
"""Header labels (RFC 9942 section 2); `ledger.scitt` has those of every COSE_Sign1."""

EDDSA: Final = -8
"""RFC 9053's identifier, which current verifiers know. RFC 9864 prefers -19 (Ed25519)."""

RFC9162_SHA256: Final = 1
INCLUSION: Final = -1
"""The proof structure and its kind of proof (RFC 9942 sections 5.1 and 5.2)."""

MEDIA_TYPE: Final = "application/scitt-receipt+cose"
KEYS_MEDIA_TYPE: Final = "application/cbor"


def encode_cose_key(public_key: bytes) -> bytes:
    """Return an Ed25519 key as a COSE_Key (RFC 9053 section 7.2)."""
    return _encode(_cose_key(public_key))


def encode_cose_key_set(public_keys: Sequence[bytes]) -> bytes:
    """Return a COSE_KeySet (RFC 9052 section 7) of Ed25519 keys."""
    return _encode([_cose_key(key) for key in public_keys])


def _cose_key(public_key: bytes) -> dict[int, object]:
    return {1: 1, 2: compute_key_thumbprint(public_key), 3: EDDSA, -1: 6, -2: public_key}


def sign_cose_receipt(
    *,
    root: bytes,
    size: int,
    index: int,
    path: Sequence[bytes],
    issuer: str,
    subject: str,
    signer: Signer,
) -> bytes:
    """Return the receipt of the entry at `index` in the tree of `size` entries with this root.

    `path` is its inclusion proof, which RFC 9942 wants to have a hash at least: the tree has more
    than one leaf. RFC 9943 section 6 asks for issuer, subject and a key id in the protected header.
    """
    if not path:
        raise ValueError("a receipt's path has one hash at least (RFC 9942 section 5.2)")
    protected = _encode(
        {
            ALGORITHM: EDDSA,
            KEY_ID: compute_key_thumbprint(signer.public_key),
            CWT_CLAIMS: {1: issuer, 2: subject},
            PROOF_STRUCTURE: RFC9162_SHA256,
        }
    )
    signature = signer.sign(_encode(["Signature1", protected, b"", root]))
    proof = _encode([size, index, list(path)])
    return _encode(
        cbor2.CBORTag(SIGN1, [protected, {PROOFS: {INCLUSION: [proof]}}, None, signature])
    )


def _encode(value: object) -> bytes:
    """Return deterministic CBOR (RFC 8949 section 4.2.1; with our small keys the two orders of
    RFC 8949 and RFC 7049 are one)."""
    return cbor2.dumps(value, canonical=True)
