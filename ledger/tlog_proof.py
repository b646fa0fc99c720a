"""Offline proofs of inclusion as text (C2SP tlog-proof, of 2026-05): our first proof for a court.

An index, the inclusion path, and a checkpoint with its signatures, in one small file that any
tool of that ecosystem can check. Since the checkpoint signs the size, the index is bound too,
which a COSE receipt does not do. Read in its one spelling only; extra data is not authenticated
and never trusted. The leaf's own bytes are not in it and come beside it.
"""

from __future__ import annotations

from typing import Final, NoReturn

from ledger.checkpoint import CertifiedCheckpoint, LogTrust, parse_decimal, verify_checkpoint
from ledger.hashing import HASH_BYTES
from ledger.merkle import SIZE_MAX, verify_inclusion
from ledger.note import NOTE_BYTES_MAX, decode_base64, encode_base64
from ledger.refusal import Reason, Rejected
from ledger.value_class import value_class

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
FILE_EXTENSION: Final = ".tlog-proof"

PATH_LENGTH_MAX: Final = 63
"""Longest inclusion path: trees have fewer than 2^63 leaves."""

EXTRA_BYTES_MAX: Final = 128 * 1024
"""Most extra data read: an entry (64 kB) and a header in base64, with room."""

PROOF_BYTES_MAX: Final = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX
"""Largest proof read: checkpoint, extra data in base64, and a path of 3 kB."""


@value_class
class TlogProof:
    """A parsed, unverified proof."""

    index: int
    path: tuple[bytes, ...]
    """Inclusion proof from the leaf's sibling up."""
    checkpoint: bytes
    """The signed note, verbatim."""
    extra: bytes | None = None
    """Opaque and not authenticated; None when there is none."""


def format_tlog_proof(proof: TlogProof) -> bytes:
    """Return the proof's text (tlog-proof, "Format")."""
    if not 0 <= proof.index < SIZE_MAX or len(proof.path) > PATH_LENGTH_MAX:
        raise ValueError(f"no log has a leaf {proof.index} with {len(proof.path)} hashes above")
    if proof.extra is not None and not 0 < len(proof.extra) <= EXTRA_BYTES_MAX:
        raise ValueError(f"extra data has 1 to {EXTRA_BYTES_MAX} bytes, not {len(proof.extra)}")
    lines = [FIRST_LINE]
    if proof.extra is not None:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += [encode_base64(node) for node in proof.path]
    return "\n".join([*lines, "", ""]).encode("ascii") + proof.checkpoint


def parse_tlog_proof(raw: bytes) -> TlogProof:
    """Read a proof strictly, verifying nothing; raise `Rejected`."""
    if len(raw) > PROOF_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE, f"Log proof: {len(raw)} bytes, more than {PROOF_BYTES_MAX}"
        )
    head, blank, checkpoint = raw.partition(b"\n\n")
    if not blank or not checkpoint or not head.isascii():
        _refuse("it has no checkpoint after an empty line")
    lines = head.decode("ascii").split("\n")
    if lines.pop(0) != FIRST_LINE:
        _refuse(f"it does not begin with {FIRST_LINE!r}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0)[6:])
        if not extra or len(extra) > EXTRA_BYTES_MAX:
            _refuse(f"its extra line is not 1 to {EXTRA_BYTES_MAX} bytes of base64")
    index_line = lines.pop(0) if lines else ""
    index = parse_decimal(index_line[6:], SIZE_MAX - 1)
    if not index_line.startswith("index ") or index is None:
        _refuse(f"{index_line[:40]!r} is not an index line")
    if len(lines) > PATH_LENGTH_MAX:
        _refuse(f"{len(lines)} hashes are more than {PATH_LENGTH_MAX}")
    path = []
    for line in lines:
        node = decode_base64(line)
        if node is None or len(node) != HASH_BYTES:
            _refuse(f"{line[:80]!r} is not a hash")
        path.append(node)
    return TlogProof(index, tuple(path), checkpoint, extra)


def verify_tlog_proof(
    raw: bytes, leaf: bytes, trust: LogTrust
) -> tuple[TlogProof, CertifiedCheckpoint]:
    """Verify a proof for leaf hash `leaf` (tlog-proof, "Verifying a tlog proof"); raise `Rejected`.

    1. The leaf hash was computed by the caller, from the entry's bytes.
    2. The checkpoint is of the trusted origin and signed by one of its keys.
    3. A quorum of known cosigners has signed it.
    4. The path leads from the leaf at the index to the checkpoint's root.
    """
    proof = parse_tlog_proof(raw)
    certified = verify_checkpoint(proof.checkpoint, trust)
    checkpoint = certified.checkpoint
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)
    return proof, certified


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.MALFORMED, f"Log proof: {detail}")
