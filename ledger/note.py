"""Signed notes and verifier keys (C2SP signed-note v1.0.0).

A note is text ending in a newline, an empty line, and lines `— <key name> <base64>` of a key's id
and signature. A key is known by its name and 4-byte id together. Signatures of unknown keys are
ignored; a known key whose signature fails spoils the whole note. The text is not to be believed
before that. Base64 is read in its one canonical spelling, so a note that parses formats back to
the same bytes. This module does not know what the text says (`ledger.checkpoint`) nor
which algorithms there are beyond plain Ed25519.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn

from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES, Signer, verify_signature
from ledger.value_class import value_class

ED25519: Final = 0x01
"""Signature type of plain Ed25519 over the note's text (signed-note, "Signature types")."""

ED25519_COSIGNATURE: Final = 0x04
"""Signature type of timestamped Ed25519 cosignatures (C2SP tlog-cosignature)."""

KEY_ID_BYTES: Final = 4
"""Length of a key id (signed-note, "Signatures")."""

SIGNATURE_COUNT_MAX: Final = 256
"""Most signature lines read in a note: two of each of 128 institutions; the spec asks for 16."""

NOTE_BYTES_MAX: Final = 256 * 1024
"""Largest note read: `SIGNATURE_COUNT_MAX` Ed25519 lines, or 36 of ML-DSA-44, with room."""

_LAST_CHARACTERS: Final = ("", "AQgw", "AEIMQUYcgkosw048")
"""What may stand before the padding when one or two bytes are left for the last group (RFC 4648
section 3.5): four or two bits of the character are over and must be zero."""

_SIGNATURE_START: Final = "\u2014 "
_CONTROL: Final = bytes([code for code in range(0x20) if code != 0x0A])
"""Control characters that a note must not have; newline it has. In UTF-8 each is its own byte."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name and id that its signature lines carry (a *vkey*)."""

    name: str
    algorithm: int
    public_key: bytes
    key_id: bytes = field(init=False, repr=False, compare=False)
    """SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key)[:4] (signed-note, "Signatures")."""

    def __post_init__(self) -> None:
        key_id = compute_key_id(self.name, self.algorithm, self.public_key)
        object.__setattr__(self, "key_id", key_id)

    def format(self) -> str:
        """Return `<name>+<hex key id>+<base64(algorithm ‖ public key)>`."""
        material = bytes((self.algorithm,)) + self.public_key
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(material)}"


@value_class
class NoteSignature:
    """One signature line: whose key is said to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes


@value_class
class Note:
    """A parsed, unverified note: `text` with its final newline, signatures in their order."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def format(self) -> bytes:
        """Return the note's bytes."""
        return format_note(self.text, self.signatures)


@lru_cache(maxsize=1024)
def compute_key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Return the 4-byte id of a key (signed-note, "Signatures")."""
    return sha256(name.encode() + b"\n" + bytes((algorithm,)) + public_key)[:KEY_ID_BYTES]


@lru_cache(maxsize=256)
def is_key_name(name: str) -> bool:
    """Whether `name` is not empty and has no Unicode space, plus sign or control character."""
    return bool(name) and not any(
        character == "+" or character.isspace() or character < " " for character in name
    )


def make_verifier_key(name: str, algorithm: int, public_key: bytes) -> VerifierKey:
    """Return the key, having checked its name and length; raise `Rejected`(BAD_FIELD)."""
    if not is_key_name(name):
        _refuse(Reason.BAD_FIELD, f"Key name: {name!r} is empty or has a space, '+' or control")
    if algorithm not in (ED25519, ED25519_COSIGNATURE):
        _refuse(Reason.BAD_FIELD, f"Key {name}: signature type {algorithm:#04x} is not known here")
    if len(public_key) != PUBLIC_KEY_BYTES:
        _refuse(
            Reason.BAD_FIELD,
            f"Key {name}: an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, "
            f"not {len(public_key)}",
        )
    return VerifierKey(name, algorithm, public_key)


def parse_verifier_key(vkey: str) -> VerifierKey:
    """Read a vkey (signed-note, "Verifier keys"); raise `Rejected`."""
    parts = vkey.split("+", 2)  # base64 may itself contain plus signs
    material = decode_base64(parts[2]) if len(parts) == 3 else None
    if not material:
        _refuse(Reason.MALFORMED, f"Verifier key: {vkey!r} is not <name>+<key id>+<base64>")
    key = make_verifier_key(parts[0], material[0], material[1:])
    if parts[1] != key.key_id.hex():
        _refuse(
            Reason.BAD_FIELD,
            f"Verifier key {key.name}: key id {parts[1]!r} should be {key.key_id.hex()!r}",
        )
    return key


def format_note(text: str, signatures: Iterable[NoteSignature]) -> bytes:
    """Return text, empty line and signature lines."""
    lines = [format_signature_line(signature) for signature in signatures]
    if not text.endswith("\n") or not lines:
        raise ValueError("a note is text ending in a newline and at least one signature")
    return (text + "\n").encode() + b"".join(lines)


def format_signature_line(signature: NoteSignature) -> bytes:
    """Return one signature line with its newline."""
    blob = encode_base64(signature.key_id + signature.signature)
    return f"{_SIGNATURE_START}{signature.name} {blob}\n".encode()


def parse_note(raw: bytes) -> Note:
    """Split a note into text and signatures, verifying nothing; raise `Rejected`."""
    if len(raw) > NOTE_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"Note: {len(raw)} bytes, more than {NOTE_BYTES_MAX}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        _refuse(Reason.MALFORMED, "Note: it is not valid UTF-8")
    if len(raw.translate(None, _CONTROL)) != len(raw):
        _refuse(Reason.MALFORMED, "Note: it has a control character other than newline")
    # The text is separated from the signatures by the last empty line in the note.
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n") or split + 2 == len(whole):
        _refuse(Reason.MALFORMED, "Note: it has no signature lines after an empty line")
    lines = whole[split + 2 : -1].split("\n")
    if len(lines) > SIGNATURE_COUNT_MAX:
        _refuse(
            Reason.TOO_LARGE,
            f"Note: {len(lines)} signatures, more than {SIGNATURE_COUNT_MAX}",
        )
    return Note(whole[: split + 1], tuple([parse_signature_line(line) for line in lines]))


def parse_signature_line(line: str) -> NoteSignature:
    """Read `— <name> <base64>` (no newline); raise `Rejected`(MALFORMED)."""
    parts = line.split(" ")
    well_formed = len(parts) == 3 and parts[0] == _SIGNATURE_START[0] and is_key_name(parts[1])
    blob = decode_base64(parts[2]) if well_formed else None
    if blob is None or len(blob) <= KEY_ID_BYTES:
        _refuse(Reason.MALFORMED, f"Note: {line[:120]!r} is not a signature line")
    return NoteSignature(parts[1], blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def sign_note(text: str, name: str, signer: Signer) -> NoteSignature:
    """Sign a note's text as `name` with plain Ed25519 (signed-note, "Ed25519 signatures")."""
    key = make_verifier_key(name, ED25519, signer.public_key)
    return NoteSignature(name, key.key_id, signer.sign(text.encode()))


def verify_note_signature(text: str, key: VerifierKey, signature: bytes) -> bool:
    """Return whether a plain Ed25519 key signed this text."""
    return key.algorithm == ED25519 and verify_signature(key.public_key, text.encode(), signature)


def match_known_keys(
    note: Note, keys: Sequence[VerifierKey]
) -> list[tuple[int, VerifierKey, bytes]]:
    """Return (position in `keys`, key, signature) of each line by a known key, in line order.

    Raises `Rejected`(BAD_FIELD) when two known keys share name and id: one line could then be
    meant for either, and the spec's rules about known keys have no answer.
    """
    known: dict[tuple[str, bytes], int] = {}
    for position, key in enumerate(keys):
        if known.setdefault((key.name, key.key_id), position) != position:
            _refuse(
                Reason.BAD_FIELD,
                f"Known keys: two are named {key.name} with key id {key.key_id.hex()}",
            )
    matched = []
    for line in note.signatures:
        place = known.get((line.name, line.key_id))
        if place is not None:
            matched.append((place, keys[place], line.signature))
    return matched


def verify_note(
    note: Note,
    keys: Sequence[VerifierKey],
    verify: Callable[[str, VerifierKey, bytes], bool] = verify_note_signature,
) -> tuple[VerifierKey, ...]:
    """Return the known keys that signed, each once; raise `Rejected`(BAD_SIGNATURE).

    A failing signature of a known key refuses the note, and so does having none of a known key.
    """
    signed: dict[int, VerifierKey] = {}
    for position, key, signature in match_known_keys(note, keys):
        if not verify(note.text, key, signature):
            _refuse(
                Reason.BAD_SIGNATURE,
                f"Note: the signature of {key.name} ({key.key_id.hex()}) is wrong",
            )
        signed[position] = key
    if not signed:
        _refuse(Reason.BAD_SIGNATURE, f"Note: none of the {len(keys)} known keys has signed it")
    return tuple(signed.values())


def encode_base64(data: bytes) -> str:
    """Return standard base64 (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of canonical standard base64, or None for any other spelling.

    In strict mode the library takes nothing but the alphabet and, at the end, padding. Whether that
    is as much as is due, and the bits of the last character that stand for nothing, are looked at
    here.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    groups, rest = divmod(len(data), 3)
    if not rest:
        return data if len(text) == 4 * groups else None
    is_canonical = len(text) == 4 * groups + 4 and text[rest - 4] in _LAST_CHARACTERS[rest]
    return data if is_canonical else None


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
