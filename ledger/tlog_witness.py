"""The witness protocol's request and its judgement (C2SP tlog-witness, of 2026-07), effect-free.

A witness knows one tree of each log, the largest it has cosigned, and cosigns another one only if
the known tree is a prefix of it. Ours also asks for the log's quorum: a witness of this ledger
vouches for what the members have certified, and not for what one of them shows it alone. What is
refused has the HTTP status that the protocol names. To remember the new tree durably before the
cosignature leaves is the caller's care, and so is to judge one request of a log at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ledger.checkpoint import LogTrust, parse_decimal, verify_checkpoint
from ledger.hashing import HASH_BYTES
from ledger.merkle import EMPTY_ROOT, SIZE_MAX, verify_consistency
from ledger.note import NOTE_BYTES_MAX, decode_base64, encode_base64, parse_note
from ledger.refusal import Reason, Rejected

PROOF_LENGTH_MAX: Final = 63
"""tlog-witness, "add-checkpoint": a client sends no more consistency proof lines."""

REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 4096
"""A checkpoint, 63 hashes of 45 bytes, and the old size."""

SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of a conflict's answer: the size that the witness knows."""


class Status(IntEnum):
    """What a witness answers (tlog-witness, "add-checkpoint")."""

    BAD_REQUEST = 400
    FORBIDDEN = 403
    NOT_FOUND = 404
    CONFLICT = 409
    UNPROCESSABLE = 422


class Refused(Exception):
    """A checkpoint that is not cosigned: the status, and a sentence that says why."""

    def __init__(self, status: Status, detail: str, size: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.size = size
        """On a conflict, the size of the newest tree that the witness cosigned."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request, read but not judged."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes
    """The submitted checkpoint, a signed note."""
    origin: str
    """Its first line; what follows is read once the log is known to be witnessed."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What a witness knows of a log: the newest tree it cosigned."""

    size: int
    root: bytes


NOTHING: Final = Tree(0, EMPTY_ROOT)
"""What it knows of a log it never cosigned."""


def format_add_checkpoint(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return a request's body."""
    lines = [f"old {old_size}", *map(encode_base64, proof), "", ""]
    return "\n".join(lines).encode("ascii") + note


def parse_add_checkpoint(raw: bytes) -> AddCheckpoint:
    """Read a request's body strictly; raise `Refused`(BAD_REQUEST)."""
    head, blank, note = raw.partition(b"\n\n")
    if not blank or not head.isascii() or len(raw) > REQUEST_BYTES_MAX:
        raise Refused(
            Status.BAD_REQUEST,
            "the request is not an old size, proof lines, an empty line and a checkpoint, of at "
            f"most {REQUEST_BYTES_MAX} bytes",
        )
    first, *rest = head.decode("ascii").split("\n")
    old_size = parse_decimal(first[4:], SIZE_MAX) if first.startswith("old ") else None
    if old_size is None:
        raise Refused(Status.BAD_REQUEST, f"{first[:40]!r} is not a line like 'old 42'")
    if len(rest) > PROOF_LENGTH_MAX:
        raise Refused(
            Status.BAD_REQUEST, f"{len(rest)} proof lines are more than {PROOF_LENGTH_MAX}"
        )
    proof = []
    for line in rest:
        node = decode_base64(line)
        if node is None or len(node) != HASH_BYTES:
            raise Refused(Status.BAD_REQUEST, f"{line[:80]!r} is not a hash in base64")
        proof.append(node)
    try:
        text = parse_note(note).text
    except Rejected as rejected:
        raise Refused(Status.BAD_REQUEST, rejected.detail) from None
    return AddCheckpoint(old_size, tuple(proof), note, text.partition("\n")[0])


def find_trust(request: AddCheckpoint, trusts: Mapping[str, LogTrust]) -> LogTrust:
    """Return what the witness believes about the log; raise `Refused`(NOT_FOUND)."""
    trust = trusts.get(request.origin)
    if trust is None:
        raise Refused(Status.NOT_FOUND, f"log {request.origin[:200]!r} is not witnessed here")
    return trust


def judge(request: AddCheckpoint, trust: LogTrust, known: Tree) -> Tree:
    """Return the tree that may be cosigned; raise `Refused`. In the order of the protocol:

    1. The log and a quorum of its members signed the checkpoint (403).
    2. The old size is not above its size (400), and is that of the known tree (409, with it).
    3. A tree of the known size has the known root; that of nothing is known to all (422).
    4. The proof leads from the known tree to this one; from nothing there is none (422).

    Up to v1.0.0 the text had 409 in 3, which a client takes for another size and asks again.
    """
    try:
        checkpoint = verify_checkpoint(request.note, trust).checkpoint
    except Rejected as rejected:
        if rejected.reason not in (Reason.BAD_SIGNATURE, Reason.NO_QUORUM):
            raise Refused(Status.BAD_REQUEST, rejected.detail) from None
        raise Refused(Status.FORBIDDEN, rejected.detail) from None
    if request.old_size > checkpoint.size:
        raise Refused(
            Status.BAD_REQUEST,
            f"old size {request.old_size} is above the checkpoint's {checkpoint.size}",
        )
    if request.old_size != known.size:
        raise Refused(
            Status.CONFLICT,
            f"the newest tree cosigned here has size {known.size}, not {request.old_size}",
            known.size,
        )
    tree = Tree(checkpoint.size, checkpoint.root)
    if tree.size == known.size and tree.root != known.root:
        raise Refused(
            Status.UNPROCESSABLE,
            f"size {tree.size} has two roots, {known.root.hex()} and {tree.root.hex()}: the log "
            "has forked",
        )
    if known.size in (0, tree.size):
        if request.proof:
            raise Refused(
                Status.UNPROCESSABLE,
                f"{len(request.proof)} hashes lead from size {known.size} to size {tree.size}, "
                "where there is nothing to prove",
            )
        return tree
    try:
        verify_consistency(known.size, tree.size, request.proof, known.root, tree.root)
    except Rejected as rejected:
        raise Refused(Status.UNPROCESSABLE, rejected.detail) from None
    return tree
