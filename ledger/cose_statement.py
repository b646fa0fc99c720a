"""Writing Signed Statements and Transparent Statements (RFC 9943); `ledger.scitt` reads them.

What is signed is said there. A statement is signed once; what is put into its unprotected header
later, a transaction, receipts, evidence, changes neither its signature nor what is registered.
"""

from __future__ import annotations

from collections.abc import Sequence

import cbor2

from ledger.scitt import (
    ALGORITHM,
    ALGORITHMS,
    CONTENT_TYPE,
    CWT_CLAIMS,
    ENVELOPE,
    EVIDENCE,
    ISSUER,
    KEY_ID,
    PAYLOAD_HASH_ALGORITHM,
    PREIMAGE_CONTENT_TYPE,
    RECEIPTS,
    SHA_256,
    SIGN1,
    SUBJECT,
    Statement,
    compute_key_thumbprint,
    compute_sign1_message,
)
from ledger.signing import Signer


def sign_statement(
    payload: bytes,
    content_type: str,
    *,
    issuer: str,
    subject: str,
    signer: Signer,
    is_hash: bool = False,
) -> bytes:
    """Return a statement signed by `signer`, its unprotected header empty.

    `is_hash`: the payload is the SHA-256 of a document of that type (RFC 9995), not the document.
    """
    kind: dict[int, object] = {CONTENT_TYPE: content_type}
    if is_hash:
        kind = {PAYLOAD_HASH_ALGORITHM: SHA_256, PREIMAGE_CONTENT_TYPE: content_type}
    protected = cbor2.dumps(
        {
            ALGORITHM: ALGORITHMS[0],
            KEY_ID: compute_key_thumbprint(signer.public_key),
            CWT_CLAIMS: {ISSUER: issuer, SUBJECT: subject},
            **kind,
        },
        canonical=True,
    )
    signature = signer.sign(compute_sign1_message(protected, payload))
    return _encode(protected, {}, payload, signature)


def with_envelope(statement: Statement, envelope: bytes) -> bytes:
    """Return the statement with the transaction that shall register it, for `POST /entries`."""
    return _with(statement, {ENVELOPE: envelope})


def make_transparent(statement: Statement, receipts: Sequence[bytes], evidence: bytes) -> bytes:
    """Return the Transparent Statement: with receipts of its entry, and the evidence of it."""
    return _with(statement, {RECEIPTS: list(receipts), EVIDENCE: evidence})


def _with(statement: Statement, unprotected: dict[int, object]) -> bytes:
    return _encode(statement.protected, unprotected, statement.payload, statement.signature)


def _encode(
    protected: bytes, unprotected: dict[int, object], payload: bytes, signature: bytes
) -> bytes:
    parts = [protected, unprotected, payload, signature]
    return cbor2.dumps(cbor2.CBORTag(SIGN1, parts), canonical=True)
