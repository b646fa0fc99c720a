"""The ledger's binary formats, read a second time and independently.

Each class is one array of `docs/EVIDENCE.md`, in its field order, and is made in that order; each
`read_` function raises `Rejected` for anything that is not the one spelling of such a value. They
check shape and bounds only. Whether a value belongs to this chain, this height or this contract is
the steps' question.
"""

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.merkle import leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from ledger.value_class import value_class
from verifier.strict_json import JsonValue, read_object
from verifier.strict_msgpack import (
    named,
    read_array,
    take_array,
    take_boolean,
    take_bytes,
    take_integer,
    take_text,
    write_array,
)

ENTRY_BYTES_MAX: Final = 65_535
"""C2SP tlog-tiles writes an entry's length in two bytes."""

BODY_BYTES_MAX: Final = 32 * 1024
SIGNERS_MAX: Final = 8
BATCH_SIZE_MAX: Final = 65_536
BATCH_PATH_MAX: Final = 16
HEADER_VERSION: Final = 1
VIEW_MAX: Final = 1_000_000
"""Highest view of any height (`ledger.votes.VIEW_MAX`)."""

KIND_TRANSACTION: Final = 1
KIND_HEADER: Final = 2
_KINDS: Final = ("genesis", "transaction", "header")

_STREAM: Final = re.compile(
    r"(?:contract|custodian|merchant|party|published|rules|terms|validator)"
    r"/[a-z0-9][a-z0-9._-]{0,79}"
)
_PARTY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){0,3}")
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


@value_class
class Signature:
    """One signer's signature; `batch` is (index, size, path) when it covers many transactions."""

    public_key: bytes
    signature: bytes
    batch: tuple[int, int, tuple[bytes, ...]] | None


@value_class
class Outcome:
    """What executing a transaction did; `code` names the refusal, or is empty."""

    refused: bool
    code: str
    effects: tuple[tuple[str, int | str], ...]


@value_class
class Entry:
    """A transaction's entry: leaf data of the log."""

    index: int
    height: int
    body: bytes
    signatures: tuple[Signature, ...]
    outcome: Outcome
    leaf: bytes
    """RFC 9162 hash of the leaf."""


@value_class
class Envelope:
    """A body with its signatures, as it was handed in."""

    body: bytes
    signatures: tuple[Signature, ...]


@value_class
class Header:
    """A block's header, and the hashes that name it."""

    chain_id: bytes
    height: int
    parent_hash: bytes
    time_ms: int
    proposer: int
    first_index: int
    count: int
    log_root: bytes
    state_root: bytes
    validators_hash: bytes
    rule_pack_version: int
    block_hash: bytes
    """Tagged hash of the header's own bytes: what the commits sign."""
    leaf: bytes
    """RFC 9162 hash of the header's entry."""

    @property
    def index(self) -> int:
        """The header's own index in the log."""
        return self.first_index + self.count


@value_class
class Body:
    """What the signers said."""

    data: dict[str, JsonValue]
    kind: str
    not_after: int
    reference: str
    salt: str
    signers: tuple[str, ...]
    stream: str
    version: int
    tx_id: bytes


@value_class
class Certificate:
    """Commits of one view: (replica, signature), ascending."""

    height: int
    view: int
    block_hash: bytes
    commits: tuple[tuple[int, bytes], ...]


def read_transaction_entry(raw: bytes, name: str) -> Entry:
    """Read `[index, height, 1, [body, [signature…]], outcome]`."""
    return _take_transaction_entry(name, _read_entry(KIND_TRANSACTION, raw, name, 5), raw)


@named
def _take_transaction_entry(fields: list[Any], raw: bytes) -> Entry:
    index, height, _, signed, outcome = fields
    envelope = _take_envelope(take_array(signed, "envelope", 2))
    return Entry(
        take_integer(index, "index"),
        take_integer(height, "height"),
        envelope.body,
        envelope.signatures,
        _take_outcome(outcome),
        leaf_hash(raw),
    )


def read_envelope(raw: bytes, name: str) -> Envelope:
    """Read `[body, [signature…]]`."""
    if len(raw) > ENTRY_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{name}: {len(raw)} bytes; at most {ENTRY_BYTES_MAX}")
    return named(_take_envelope)(name, read_array(raw, name, 2))


def read_header_entry(raw: bytes, name: str) -> Header:
    """Read `[index, height, 2, header]`; its position must be the header's own."""
    return _take_header_entry(name, _read_entry(KIND_HEADER, raw, name, 4), raw)


@named
def _take_header_entry(entry: list[Any], raw: bytes) -> Header:
    index, height, _, header_fields = entry
    fields = take_array(header_fields, "header", 12)
    take_integer(fields[0], "version", HEADER_VERSION, HEADER_VERSION)
    header = Header(
        take_bytes(fields[1], "chain id", HASH_BYTES),
        take_integer(fields[2], "height"),
        take_bytes(fields[3], "parent hash", HASH_BYTES),
        take_integer(fields[4], "time"),
        take_integer(fields[5], "proposer"),
        take_integer(fields[6], "first index"),
        take_integer(fields[7], "count"),
        take_bytes(fields[8], "log root", HASH_BYTES),
        take_bytes(fields[9], "state root", HASH_BYTES),
        take_bytes(fields[10], "validators hash", HASH_BYTES),
        take_integer(fields[11], "rule pack version"),
        tagged_hash(tags.BLOCK, write_array(fields)),
        leaf_hash(raw),
    )
    if (
        take_integer(index, "index") != header.index
        or take_integer(height, "height") != header.height
    ):
        _refuse(
            Reason.BAD_FIELD,
            f"the entry stands at index {index}, height {height}, but its header says "
            f"index {header.index}, height {header.height}",
        )
    return header


def read_body(raw: bytes, name: str) -> Body:
    """Read a body's exact bytes: RFC 8785 JSON with exactly its eight members."""
    if len(raw) > BODY_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{name}: {len(raw)} bytes; at most {BODY_BYTES_MAX}")
    members = read_object(raw, name)
    take_members(
        members,
        name,
        ("data", "kind", "not_after", "reference", "salt", "signers", "stream", "version"),
    )
    return _take_body(name, members, raw)


@named
def _take_body(members: dict[str, JsonValue], raw: bytes) -> Body:
    data = members["data"]
    if not isinstance(data, dict):
        _refuse(Reason.BAD_FIELD, "data is not an object")
    signers = members["signers"]
    if not isinstance(signers, list) or not 1 <= len(signers) <= SIGNERS_MAX:
        _refuse(Reason.BAD_FIELD, f"signers is not a list of 1 to {SIGNERS_MAX} parties")
    parties = tuple([_take_pattern(signer, "signer", _PARTY) for signer in signers])
    if len(set(parties)) != len(parties):
        _refuse(Reason.BAD_FIELD, f"signers {list(parties)} names a party twice")
    reference = take_text(members["reference"], "reference")
    if not 1 <= len(reference) <= 64:
        _refuse(Reason.BAD_FIELD, f"a reference of {len(reference)} characters; 1 to 64")
    return Body(
        data,
        _take_pattern(members["kind"], "kind", _KIND),
        take_integer(members["not_after"], "not_after"),
        reference,
        _take_pattern(members["salt"], "salt", _SALT),
        parties,
        _take_pattern(members["stream"], "stream", _STREAM),
        take_integer(members["version"], "version", 1, 65_535),
        tagged_hash(tags.TX_ID, raw),
    )


def read_certificate(raw: bytes, name: str) -> Certificate:
    """Read `[height, view, block hash, [[replica, signature]…]]`."""
    *fields, commits = read_array(raw, name, 4)
    return _take_certificate(name, fields, take_array(commits, name))


@named
def _take_certificate(fields: list[Any], commits: list[Any]) -> Certificate:
    height, view, block_hash = fields
    pairs = [take_array(item, "commit", 2) for item in commits]
    return Certificate(
        take_integer(height, "height", 1),
        take_integer(view, "view", 0, VIEW_MAX),
        take_bytes(block_hash, "block hash", HASH_BYTES),
        tuple(
            [
                (
                    take_integer(replica, "replica"),
                    take_bytes(signature, "signature", SIGNATURE_BYTES),
                )
                for replica, signature in pairs
            ]
        ),
    )


def is_stream_name(text: str) -> bool:
    """Say whether an entry may name this stream; no other name can ever stand in the state."""
    return _STREAM.fullmatch(text) is not None


def take_members(value: dict[str, JsonValue], name: str, expected: tuple[str, ...]) -> None:
    """Refuse an object that has not exactly the `expected` members, given in their order."""
    if tuple(value) != expected:
        missing = [member for member in expected if member not in value]
        unknown = [member for member in value if member not in expected]
        _refuse(
            Reason.BAD_FIELD,
            f"{name}: members missing: {', '.join(missing) or 'none'}; "
            f"unknown: {', '.join(repr(member[:40]) for member in unknown[:8]) or 'none'}",
        )


def _read_entry(expected: int, raw: bytes, name: str, length: int) -> list[Any]:
    if len(raw) > ENTRY_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{name}: {len(raw)} bytes; at most {ENTRY_BYTES_MAX}")
    fields = read_array(raw, name)
    if len(fields) < 3:
        _refuse(Reason.MALFORMED, f"{name}: {len(fields)} elements; {length} are expected")
    kind = take_integer(fields[2], f"{name}: kind", 0, len(_KINDS) - 1)
    if kind != expected:
        _refuse(Reason.BAD_FIELD, f"{name}: it is a {_KINDS[kind]} entry, not a {_KINDS[expected]}")
    return take_array(fields, name, length)


def _take_envelope(fields: list[Any]) -> Envelope:
    body, signatures = fields
    items = take_array(signatures, "signatures")
    if not 1 <= len(items) <= SIGNERS_MAX:
        _refuse(Reason.SIGNATURE_COUNT, f"{len(items)} signatures; 1 to {SIGNERS_MAX}")
    return Envelope(take_bytes(body, "body"), tuple([_take_signature(item) for item in items]))


def _take_signature(item: Any) -> Signature:
    public_key, signature, batch = take_array(item, "signature", 3)
    path = None
    if batch is not None:
        index, size, hashes = take_array(batch, "signature: batch", 3)
        items = take_array(hashes, "signature: batch path")
        if len(items) > BATCH_PATH_MAX:
            _refuse(
                Reason.BAD_BATCH_PATH, f"signature: {len(items)} hashes; at most {BATCH_PATH_MAX}"
            )
        path = (
            take_integer(index, "signature: batch index", 0, BATCH_SIZE_MAX - 1),
            take_integer(size, "signature: batch size", 1, BATCH_SIZE_MAX),
            tuple([take_bytes(hash_, "signature: batch path", HASH_BYTES) for hash_ in items]),
        )
    return Signature(
        take_bytes(public_key, "signature: public key", PUBLIC_KEY_BYTES),
        take_bytes(signature, "signature", SIGNATURE_BYTES),
        path,
    )


def _take_outcome(value: Any) -> Outcome:
    refused, code, effects = take_array(value, "outcome", 3)
    outcome = Outcome(
        take_boolean(refused, "outcome: refused"),
        take_text(code, "outcome: code"),
        tuple([_take_effect(effect) for effect in take_array(effects, "outcome")]),
    )
    if outcome.refused != bool(outcome.code):
        _refuse(Reason.BAD_FIELD, f"outcome: refused is {refused}, but its code is {code!r}")
    return outcome


def _take_effect(effect: Any) -> tuple[str, int | str]:
    label, value = take_array(effect, "outcome: effect", 2)
    if type(value) not in (int, str):
        _refuse(Reason.MALFORMED, f"outcome: effect: a {type(value).__name__} has no place in it")
    return take_text(label, "outcome: effect"), value


def _take_pattern(value: Any, name: str, pattern: re.Pattern[str]) -> str:
    text = take_text(value, name)
    if pattern.fullmatch(text) is None:
        _refuse(Reason.BAD_FIELD, f"{name}: {text[:100]!r} does not match {pattern.pattern}")
    return text


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
