"""Post-quantum cosignatures of checkpoints: ML-DSA-44 (FIPS 204), C2SP tlog-cosignature type 0x06.

Validators give them beside the Ed25519 ones, so that a certified tree stays certified when Ed25519
has fallen. Genesis names a validator's key by its SHA-256, since 36 whole keys of 1,312 bytes would
burst an entry; the key itself comes with the cosignature. This module writes the signed bytes and
reads the lines; it knows no implementation of ML-DSA, so whoever verifies brings one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.checkpoint import TIMESTAMP_BYTES, TIMESTAMP_MAX_S, Checkpoint, Cosignature
from ledger.hashing import sha256
from ledger.note import Note, NoteSignature, VerifierKey, encode_base64
from ledger.refusal import Reason, Rejected

ML_DSA_44: Final = 0x06
"""Signature type of timestamped ML-DSA-44 (sub)tree cosignatures (C2SP signed-note)."""

PUBLIC_KEY_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420
"""FIPS 204, table 2."""

LABEL: Final = b"subtree/v1\n\x00"
"""First 12 bytes of a signed message (tlog-cosignature, "ML-DSA-44 signed message")."""

NAME_BYTES_MAX: Final = 255
"""Names and origins are `opaque<1..2^8-1>` in it."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) → whether it is good."""


@dataclass(frozen=True, slots=True)
class PostQuantumPart:
    """The optional part of an evidence file: a later checkpoint with ML-DSA-44 cosignatures."""

    checkpoint: str
    """A note: the checkpoint's text and one line of type 0x06 for each cosigner."""
    keys: tuple[bytes, ...]
    """The cosigners' public keys, in the order of the lines."""
    path: tuple[bytes, ...]
    """RFC 9162 consistency proof from the file's own checkpoint; empty where it is the same."""


@dataclass(frozen=True, slots=True)
class Member:
    """A validator as these cosignatures know it."""

    name: str
    """`<origin>/<institution id>`, as of its Ed25519 cosigner key."""
    key_hash: bytes | None
    """SHA-256 of its ML-DSA-44 public key; None where genesis gives it none."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a known member, with the key it claims to be of; its signature is not verified."""

    member: int
    name: str
    public_key: bytes
    time_s: int
    signature: bytes


def post_quantum_key(name: str, public_key: bytes) -> VerifierKey:
    """Return a member's verifier key; raise `Rejected` unless it has a key's length."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        _refuse(
            Reason.BAD_FIELD,
            f"Key {name}: an ML-DSA-44 public key has {PUBLIC_KEY_BYTES} bytes, "
            f"not {len(public_key)}",
        )
    return VerifierKey(name, ML_DSA_44, public_key)


def signed_message(name: str, checkpoint: Checkpoint, time_s: int) -> bytes:
    """Return what a cosigner signs of a whole tree (tlog-cosignature, `cosigned_message`).

    Label ‖ name ‖ u64 time ‖ origin ‖ u64 start (0) ‖ u64 end (the size) ‖ root; name and origin
    with their length in one byte before them.
    """
    return b"".join(
        (
            LABEL,
            _opaque(name),
            time_s.to_bytes(8, "big"),
            _opaque(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def post_quantum_cosign(
    checkpoint: Checkpoint,
    name: str,
    public_key: bytes,
    sign: Callable[[bytes], bytes],
    time_s: int,
) -> NoteSignature:
    """Cosign at `time_s`, seconds since the epoch: u64 time ‖ signature, type 0x06."""
    if not 0 < time_s <= TIMESTAMP_MAX_S:
        raise ValueError(f"{time_s} is not a cosignature time in seconds")
    signature = sign(signed_message(name, checkpoint, time_s))
    return NoteSignature(
        name,
        post_quantum_key(name, public_key).key_id,
        time_s.to_bytes(TIMESTAMP_BYTES, "big") + signature,
    )


def read_line(line: NoteSignature, public_key: bytes, members: Sequence[Member]) -> Line:
    """Read one line: of which member it is, and that this key is the one genesis gives it."""
    place = next((at for at, one in enumerate(members) if one.name == line.name), None)
    if place is None:
        _refuse(Reason.NOT_A_VALIDATOR, f"Post-quantum line: {line.name[:120]!r} is no member")
    expected = members[place].key_hash
    if expected is None:
        _refuse(
            Reason.UNKNOWN_KEY, f"Post-quantum line of {line.name}: genesis gives it no ML-DSA key"
        )
    key = post_quantum_key(line.name, public_key)
    if sha256(public_key) != expected:
        _refuse(
            Reason.UNKNOWN_KEY,
            f"Post-quantum line of {line.name}: the key's SHA-256 is {sha256(public_key).hex()}, "
            f"and genesis gives {expected.hex()}",
        )
    time_s = int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
    if (
        line.key_id != key.key_id
        or len(line.signature) != TIMESTAMP_BYTES + SIGNATURE_BYTES
        or not 0 < time_s <= TIMESTAMP_MAX_S
    ):
        _refuse(
            Reason.MALFORMED,
            f"Post-quantum line of {line.name}: key id, length or time is not as it must be",
        )
    return Line(place, line.name, public_key, time_s, line.signature[TIMESTAMP_BYTES:])


def read_lines(note: Note, keys: Sequence[bytes], members: Sequence[Member]) -> tuple[Line, ...]:
    """Read all lines of a note, each of another member, in the members' order."""
    lines = note.signatures
    if len(lines) != len(keys):
        _refuse(Reason.SIGNATURE_COUNT, f"Post-quantum part: {len(lines)} lines, {len(keys)} keys")
    found = tuple([read_line(*pair, members) for pair in zip(lines, keys, strict=True)])
    places = [line.member for line in found]
    if places != sorted(set(places)):
        _refuse(
            Reason.BAD_FIELD,
            "Post-quantum part: its lines are not in the order of the members, each once",
        )
    return found


def verify_line(line: Line, checkpoint: Checkpoint, verify: Verify) -> Cosignature:
    """Return the cosignature, verified; raise `Rejected` (BAD_SIGNATURE)."""
    message = signed_message(line.name, checkpoint, line.time_s)
    if not verify(line.public_key, message, line.signature):
        _refuse(
            Reason.BAD_SIGNATURE, f"Checkpoint: the ML-DSA-44 cosignature of {line.name} is wrong"
        )
    return Cosignature(line.member, line.name, line.time_s)


def describe_part(part: PostQuantumPart) -> dict[str, str | list[str]]:
    """Return the part as it stands in JSON."""
    return {
        "checkpoint": part.checkpoint,
        "keys": [encode_base64(key) for key in part.keys],
        "path": [encode_base64(node) for node in part.path],
    }


def _opaque(text: str) -> bytes:
    raw = text.encode()
    if not 1 <= len(raw) <= NAME_BYTES_MAX:
        _refuse(
            Reason.BAD_FIELD, f"Post-quantum cosignature: a name has {len(raw)} bytes; 1 to 255"
        )
    return bytes((len(raw),)) + raw


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
