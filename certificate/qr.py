"""The QR code: which file and which chain a printed certificate is about, for comparing.

It holds two hashes and no address: a code that led somewhere would ask the reader to trust
whoever printed it. All characters are of QR's alphanumeric set (ISO/IEC 18004 section 7.4.4).
"""

from __future__ import annotations

import io
from typing import Final

import segno

PREFIX: Final = "EVIDENCE-LEDGER/CERTIFICATE/V1"


def format_code(file_sha256: str, genesis_hash: str) -> str:
    """Return the text of the code; the hashes are hex."""
    return f"{PREFIX} SHA256:{file_sha256.upper()} GENESIS:{genesis_hash.upper()}"


def draw_code(text: str) -> str:
    """Return the code as SVG; error correction M survives a stamp on a seventh of it."""
    code = segno.make_qr(text, error="m", mode="alphanumeric", boost_error=False)
    stream = io.BytesIO()
    code.save(stream, kind="svg", xmldecl=False, border=2, light="#fff", dark="#000")
    return stream.getvalue().decode()
