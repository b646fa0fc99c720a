"""The optional part of an evidence file with time stamps: RFC 3161 tokens over a checkpoint.

A token is of a checkpoint's exact bytes, signatures included, and a node stamps one now and then
(ADR 0029); so the part brings the stamped note and the path that joins the file's own checkpoint to
it. Who an authority is, the file does not know: `authority` is the name that the node which asked
has for it. Nothing is read here of what is inside a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ledger.note import encode_base64

SHA256: Final = "sha256"
SM3: Final = "sm3"
ALGORITHMS: Final = (SHA256, SM3)
"""The hashes that an imprint may be made with."""

AUTHORITY_PATTERN: Final = "[a-z0-9][a-z0-9-]{0,47}"
"""What a node calls an authority; it is a file's name when the tokens are taken out."""

TOKENS_MAX: Final = 16
"""Of one file: eight authorities, each asked with both hashes."""

ACCURACY_MAX_S: Final = 2**31 - 1
"""Largest accuracy that is read. How exact is exact enough, the reader of the token says."""

TOKEN_BYTES_MAX: Final = 64 * 1024
"""Largest token: those with four certificates have 8 kB."""


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """One token, as an authority answered it; nothing in it is believed yet."""

    algorithm: str
    authority: str
    raw: bytes
    """The whole TimeStampResp in DER, as `openssl ts` reads it."""


@dataclass(frozen=True, slots=True)
class TimestampPart:
    """The stamped checkpoint, what joins the file to it, and the tokens."""

    checkpoint: str
    """The note whose bytes were stamped, signatures included."""
    path: tuple[bytes, ...]
    """RFC 9162 consistency proof from the file's own checkpoint; empty where the size is equal."""
    tokens: tuple[TimestampToken, ...]
    """By authority and algorithm, ascending; each pair at most once."""


def describe_timestamps(part: TimestampPart) -> dict[str, Any]:
    """Return the part as it stands in JSON."""
    return {
        "checkpoint": part.checkpoint,
        "path": [encode_base64(node) for node in part.path],
        "tokens": [
            {
                "algorithm": token.algorithm,
                "authority": token.authority,
                "token": encode_base64(token.raw),
            }
            for token in part.tokens
        ],
    }
