"""Checkpoints: the log's signed root, and the cosignatures that certify it.

The text of a checkpoint is three lines: origin, size, root (C2SP tlog-checkpoint v1.0.0); extension
lines are refused, since nothing of ours has them. Each institution signs it twice over: as the log
(type 0x01, key name = origin) and as a cosigner (type 0x04, C2SP tlog-cosignature), which adds a
time and is PBFT's CHECKPOINT message. A checkpoint is *certified* when a quorum of cosigners has
signed it. An institution counts once, however many lines it has. When to cosign, and never two
inconsistent trees, is the node's care; this module only makes and checks the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.hashing import HASH_BYTES
from ledger.merkle import SIZE_MAX
from ledger.note import (
    ED25519,
    ED25519_COSIGNATURE,
    Note,
    NoteSignature,
    VerifierKey,
    decode_base64,
    encode_base64,
    make_verifier_key,
    match_known_keys,
    parse_note,
    sign_note,
    verify_note_signature,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SIGNATURE_BYTES, Signer, verify_signature
from ledger.value_class import value_class

TIMESTAMP_BYTES: Final = 8
"""Length of the big-endian timestamp before a cosignature (tlog-cosignature, "Format")."""

TIMESTAMP_MAX_S: Final = 2**63 - 1
"""Largest cosignature time (tlog-cosignature, "Format")."""


@value_class
class Checkpoint:
    """A tree of the log `origin`: `size` leaves with this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text that is signed (tlog-checkpoint, "Note text")."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class LogTrust:
    """Whom to believe about one log: computed from genesis, never from what is verified."""

    origin: str
    log_keys: tuple[VerifierKey, ...]
    """Keys of type 0x01 named as the origin, one for each institution."""
    cosigner_keys: tuple[VerifierKey, ...]
    """Keys of type 0x04, one for each institution, in replica order."""
    quorum: int
    """How many different cosigners certify a checkpoint."""

    def __post_init__(self) -> None:
        if self.quorum < 1:
            raise ValueError(f"a quorum of {self.quorum} certifies nothing")


@value_class
class Cosignature:
    """A verified cosignature: the cosigner's place in the list of keys, its name and its time."""

    cosigner: int
    name: str
    time_s: int


@value_class
class CertifiedCheckpoint:
    """A checkpoint with a valid log signature and a quorum of cosignatures."""

    checkpoint: Checkpoint
    log_keys: tuple[VerifierKey, ...]
    cosignatures: tuple[Cosignature, ...]
    """One for each cosigner, in the order of the known keys."""

    def existed_by_s(self, fault_count: int) -> int:
        """Return the (f+1)-th smallest cosignature time, in seconds since the epoch.

        At least one of f+1 cosigners is honest, so the tree existed no later than this,
        whatever f clocks say.
        """
        return self._times_s(fault_count)[fault_count]

    def cosigned_from_s(self, fault_count: int) -> int:
        """Return the (f+1)-th largest cosignature time, in seconds since the epoch.

        At least one of f+1 cosigners is honest, so this note, with these cosignatures, did not
        exist before, whatever f clocks say.
        """
        return self._times_s(fault_count)[-1 - fault_count]

    def _times_s(self, fault_count: int) -> list[int]:
        """Return the cosignature times, ascending; so many liars must not outvote them."""
        times = sorted([cosignature.time_s for cosignature in self.cosignatures])
        if not 0 <= fault_count < len(times):
            raise ValueError(f"{len(times)} cosignatures do not outvote {fault_count} liars")
        return times


def parse_checkpoint_text(text: str) -> Checkpoint:
    """Read the three lines of a checkpoint; raise `Rejected`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        _refuse(
            Reason.MALFORMED,
            f"Checkpoint: it has {len(lines) - 1} lines instead of origin, size and root",
        )
    origin, size_text, root_text, _ = lines
    if not origin:
        _refuse(Reason.MALFORMED, "Checkpoint: the origin is empty")
    size = parse_decimal(size_text, SIZE_MAX)
    if size is None:
        _refuse(Reason.MALFORMED, f"Checkpoint: {size_text[:40]!r} is not a tree size")
    root = decode_base64(root_text)
    if root is None or len(root) != HASH_BYTES:
        _refuse(Reason.MALFORMED, f"Checkpoint: {root_text[:80]!r} is not a root hash")
    return Checkpoint(origin, size, root)


def parse_decimal(text: str, most: int) -> int | None:
    """Return the value of an ASCII decimal without leading zeros, or None."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        return None
    value = int(text)
    return value if str(value) == text and value <= most else None


def log_verifier_key(origin: str, public_key: bytes) -> VerifierKey:
    """Return an institution's key for signing as the log; its name is the origin."""
    return make_verifier_key(origin, ED25519, public_key)


def cosigner_verifier_key(name: str, public_key: bytes) -> VerifierKey:
    """Return a cosigner's key; by convention its name is `<origin>/<institution id>`."""
    return make_verifier_key(name, ED25519_COSIGNATURE, public_key)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> NoteSignature:
    """Sign as the log: type 0x01, with the origin as key name (tlog-checkpoint, "Signatures")."""
    return sign_note(checkpoint.text(), checkpoint.origin, signer)


def cosign_checkpoint(
    checkpoint: Checkpoint, name: str, signer: Signer, time_s: int
) -> NoteSignature:
    """Cosign at `time_s`, seconds since the epoch: type 0x04 (tlog-cosignature)."""
    if not 0 < time_s <= TIMESTAMP_MAX_S:
        raise ValueError(f"{time_s} is not a cosignature time in seconds")
    key = cosigner_verifier_key(name, signer.public_key)
    signature = signer.sign(_cosigned_message(checkpoint.text(), time_s))
    return NoteSignature(name, key.key_id, time_s.to_bytes(TIMESTAMP_BYTES, "big") + signature)


def _cosigned_message(text: str, time_s: int) -> bytes:
    """Header line, time line, whole note text (tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def verify_cosignature(
    text: str,
    key: VerifierKey,
    signature: bytes,
    verify: Callable[[bytes, bytes, bytes], bool] = verify_signature,
) -> int:
    """Return the time of this cosignature, in seconds; raise `Rejected`(BAD_SIGNATURE).

    `text` is a checkpoint's text and `signature` the bytes after the key id. A time of zero is
    refused: it would make no statement as to when.
    """
    time_s = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
    if (
        key.algorithm != ED25519_COSIGNATURE
        or len(signature) != TIMESTAMP_BYTES + SIGNATURE_BYTES
        or not 0 < time_s <= TIMESTAMP_MAX_S
        or not verify(key.public_key, _cosigned_message(text, time_s), signature[TIMESTAMP_BYTES:])
    ):
        _refuse(
            Reason.BAD_SIGNATURE,
            f"Checkpoint: the cosignature of {key.name} ({key.key_id.hex()}) is wrong",
        )
    return time_s


def count_cosignatures(note: Note, cosigner_keys: Sequence[VerifierKey]) -> tuple[Cosignature, ...]:
    """Verify every line of a known cosigner and return one cosignature for each of them.

    A known cosigner's wrong line refuses the note. Of several good lines of one cosigner the
    earliest time counts: all of them are its word, and the earliest says most.
    """
    check_cosigner_keys(cosigner_keys)
    earliest: dict[int, int] = {}
    for position, key, signature in match_known_keys(note, cosigner_keys):
        time_s = verify_cosignature(note.text, key, signature)
        earliest[position] = min(time_s, earliest.get(position, time_s))
    return tuple(
        [
            Cosignature(position, cosigner_keys[position].name, earliest[position])
            for position in sorted(earliest)
        ]
    )


def check_cosigner_keys(cosigner_keys: Sequence[VerifierKey]) -> None:
    """Refuse a list in which one name or one public key stands twice: it could count twice.

    The Ed25519 cosigned message does not name its cosigner (tlog-cosignature, "Ed25519 signed
    message"), so one key under two names would make two votes of one signature.
    """
    names = {key.name for key in cosigner_keys}
    public_keys = {key.public_key for key in cosigner_keys}
    if len(names) != len(cosigner_keys) or len(public_keys) != len(cosigner_keys):
        _refuse(
            Reason.BAD_FIELD,
            f"Cosigners: {len(cosigner_keys)} keys have {len(names)} names "
            f"and {len(public_keys)} public keys",
        )


def verify_checkpoint(raw: bytes, trust: LogTrust) -> CertifiedCheckpoint:
    """Verify a checkpoint note against what is trusted; raise `Rejected`.

    1. The text is a checkpoint of the trusted origin.
    2. At least one known log key signed it, and no known log key's signature is wrong.
    3. At least a quorum of different known cosigners signed it, and none of theirs is wrong.
    """
    note = parse_note(raw)
    checkpoint = parse_checkpoint_text(note.text)
    if checkpoint.origin != trust.origin:
        _refuse(
            Reason.WRONG_CHAIN,
            f"Checkpoint: its origin is {checkpoint.origin!r} instead of {trust.origin!r}",
        )
    log_keys = verify_log_signatures(note, trust)
    cosignatures = count_cosignatures(note, trust.cosigner_keys)
    if len(cosignatures) < trust.quorum:
        _refuse(
            Reason.NO_QUORUM,
            f"Checkpoint: {len(cosignatures)} of {len(trust.cosigner_keys)} cosigners signed "
            f"size {checkpoint.size}, and {trust.quorum} are needed",
        )
    return CertifiedCheckpoint(checkpoint, log_keys, cosignatures)


def verify_log_signatures(note: Note, trust: LogTrust) -> tuple[VerifierKey, ...]:
    """Return the log keys that signed the note of a checkpoint, in the order in which they are
    known; raise `Rejected` (BAD_SIGNATURE) if none did, or if one of theirs is wrong."""
    signed_by_log: dict[int, VerifierKey] = {}
    for position, key, signature in match_known_keys(note, trust.log_keys):
        if key.name != trust.origin or not verify_note_signature(note.text, key, signature):
            _refuse(
                Reason.BAD_SIGNATURE,
                f"Checkpoint: the log signature of {key.name} ({key.key_id.hex()}) is wrong",
            )
        signed_by_log[position] = key
    if not signed_by_log:
        _refuse(
            Reason.BAD_SIGNATURE,
            f"Checkpoint: none of the {len(trust.log_keys)} known keys of log {trust.origin} "
            "has signed it",
        )
    return tuple([signed_by_log[position] for position in sorted(signed_by_log)])


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
