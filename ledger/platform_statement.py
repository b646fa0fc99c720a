"""Platform statements: what an institution says of the node it runs, signed.

A court asks who ran the system, with what software, by what clock, and whether it was well
(人民法院在线诉讼规则 art. 17). The answer is one RFC 8785 JSON object

    {"format":"evidence-ledger/platform-statement/v1","signature":"<128 hex>","statement":{…}}

of which the bytes of `statement`, as they stand, are signed behind their domain tag and the chain
id. The key is the institution's log key: genesis fixes it for good, so a statement is checked with
genesis alone, while a party key may be replaced on the chain. It is the institution's own word;
nothing here makes it true.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ledger import tags
from ledger.signing import SIGNATURE_BYTES, Signer

FORMAT: Final = "evidence-ledger/platform-statement/v1"

BYTES_MAX: Final = 32 * 1024
"""Largest statement that is read: the two texts have 4,000 characters each at the most."""

HEAD: Final = f'{{"format":"{FORMAT}","signature":"'.encode()
MIDDLE: Final = b'","statement":'
TAIL: Final = b"}"
"""What stands around the signature and the statement, byte for byte."""

SIGNATURE_HEX_CHARS: Final = 2 * SIGNATURE_BYTES

MEMBERS: Final = (
    "build",
    "chain_id",
    "conflicts_of_interest",
    "cryptography",
    "health",
    "kernel",
    "node",
    "operator",
    "time_ms",
    "time_source",
    "version",
    "versions",
)
"""Members of `statement`."""

HEALTH_MEMBERS: Final = (
    "certified_height",
    "detail",
    "height",
    "is_ready",
    "mode",
    "peers_connected",
)
TIME_SOURCE_MEMBERS: Final = ("error_max_us", "is_synchronized", "text")

CRYPTOGRAPHY: Final = (
    "SHA-256 (FIPS 180-4), with domain tags",
    "Ed25519 (RFC 8032), strict as libsodium is",
    "Merkle tree log (RFC 9162)",
    "checkpoints and cosignatures (C2SP tlog-checkpoint, tlog-cosignature)",
    "canonical JSON (RFC 8785)",
    "TLS 1.3 between nodes, certificates fixed by genesis",
)
"""Schemes that every node uses."""

POST_QUANTUM: Final = "ML-DSA-44 (FIPS 204), cosignatures of type 0x06"
"""One more, where genesis names a key for it."""


def compute_statement_message(chain_id: bytes, statement: bytes) -> bytes:
    """Return the bytes that are signed: tag ‖ chain id ‖ canonical JSON of `statement`."""
    return tags.PLATFORM_STATEMENT + chain_id + statement


def sign_platform_statement(signer: Signer, chain_id: bytes, statement: Mapping[str, Any]) -> bytes:
    """Return the signed statement; its texts are in NFC and its numbers whole (`ledger.canonical`).

    Raises ValueError unless it has exactly `MEMBERS`.
    """
    if tuple(sorted(statement)) != MEMBERS:
        raise ValueError(f"a statement has {MEMBERS}, not {tuple(sorted(statement))}")
    raw = json.dumps(
        statement, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    ).encode()
    signature = signer.sign(compute_statement_message(chain_id, raw))
    return HEAD + signature.hex().encode() + MIDDLE + raw + TAIL
