"""What a record is asked: the members of `question`, read strictly and believed in nothing.

One file answers one question, and the question stands in the file, so that nobody can take an
answer for another. Who puts it does not matter: the steps say whether these entries answer it.
Whatever is wrong here makes the file unusable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.evidence import BATCH_MEMBERS, QUESTIONS, RECEIPTS
from ledger.hashing import HASH_BYTES
from ledger.note import decode_base64
from ledger.refusal import Reason, Rejected
from verifier.formats import take_members
from verifier.strict_json import JsonValue

KINDS_MAX: Final = 32
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){0,3}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Window:
    """What stands in `[from_ms, until_ms)`, of some kinds or of all?"""

    from_ms: int
    until_ms: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """Are `stated_fen` what was locked before `until_ms`?"""

    from_ms: int
    until_ms: int
    stated_fen: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Which terms were in force at a moment?"""

    at_ms: int
    document: bytes | None


@dataclass(frozen=True, slots=True)
class Attestation:
    """Who attested this transaction, and who did not?"""

    tx_id: bytes


@dataclass(frozen=True, slots=True)
class Production:
    """Was what this request asks for produced by its deadline?"""

    tx_id: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node promised; `tx_id`, or `root` and `size` of several, is what it is about."""

    chain_id: bytes
    node: str
    received_ms: int
    height_max: int
    public_key: bytes
    signature: bytes
    tx_id: bytes | None
    root: bytes | None
    size: int


@dataclass(frozen=True, slots=True)
class Omission:
    """Is the transaction of this envelope missing although a node promised it?"""

    envelope: bytes
    receipt: Receipt
    batch: tuple[int, tuple[bytes, ...]] | None
    """(index, path) of its id among those the receipt covers."""


Question = Window | Balance | Terms | Attestation | Production | Omission


def read_question(value: JsonValue) -> Question:
    """Read `question`; raise `Rejected`(BAD_FIELD)."""
    members = _take_object(value, "question")
    ask = members.get("ask")
    if not isinstance(ask, str) or ask not in QUESTIONS:
        _refuse(f"question.ask is none of {', '.join(QUESTIONS)}")
    take_members(members, "evidence file: question", QUESTIONS[ask])
    match ask:
        case "window":
            from_ms, until_ms = _take_span(members)
            return Window(from_ms, until_ms, _take_kinds(members["kinds"]))
        case "balance":
            from_ms, until_ms = _take_span(members)
            return Balance(from_ms, until_ms, _take_number(members, "stated"))
        case "terms":
            document = members["document"]
            return Terms(
                _take_number(members, "at"),
                None if document is None else _take_blob(document, "question.document"),
            )
        case "attestation":
            return Attestation(_take_hex(members, "transaction", _HASH))
        case "production":
            return Production(_take_hex(members, "request", _HASH))
        case _:
            return _take_omission(members)


def _take_omission(members: dict[str, JsonValue]) -> Omission:
    receipt = _take_object(members["receipt"], "question.receipt")
    form = receipt.get("format")
    if not isinstance(form, str) or form not in RECEIPTS:
        _refuse(f"question.receipt.format is none of {', '.join(RECEIPTS)}")
    take_members(receipt, "evidence file: question.receipt", RECEIPTS[form])
    is_batch = "root" in receipt
    node = receipt["node"]
    if not isinstance(node, str):
        _refuse("question.receipt.node is not a string")
    batch = None
    if is_batch:
        place = _take_object(members["batch"], "question.batch")
        take_members(place, "evidence file: question.batch", BATCH_MEMBERS)
        path = place["path"]
        if not isinstance(path, list):
            _refuse("question.batch.path is not a list")
        nodes = [_take_blob(item, f"question.batch.path[{at}]") for at, item in enumerate(path)]
        if any(len(node) != HASH_BYTES for node in nodes):
            _refuse("question.batch.path holds what is no hash")
        batch = (_take_number(place, "index"), tuple(nodes))
    elif members["batch"] is not None:
        _refuse("question.batch belongs to a receipt for several transactions")
    return Omission(
        envelope=_take_blob(members["envelope"], "question.envelope"),
        receipt=Receipt(
            chain_id=_take_hex(receipt, "chain_id", _HASH),
            node=node,
            received_ms=_take_number(receipt, "received_ms"),
            height_max=_take_number(receipt, "height_max"),
            public_key=_take_hex(receipt, "public_key", _HASH),
            signature=_take_hex(receipt, "signature", _SIGNATURE),
            tx_id=None if is_batch else _take_hex(receipt, "tx_id", _HASH),
            root=_take_hex(receipt, "root", _HASH) if is_batch else None,
            size=_take_number(receipt, "size") if is_batch else 0,
        ),
        batch=batch,
    )


def _take_span(members: dict[str, JsonValue]) -> tuple[int, int]:
    from_ms, until_ms = _take_number(members, "from"), _take_number(members, "until")
    if from_ms >= until_ms:
        _refuse(f"question: nothing lies from {from_ms} to {until_ms}")
    return from_ms, until_ms


def _take_kinds(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > KINDS_MAX:
        _refuse(f"question.kinds is not a list of at most {KINDS_MAX} kinds")
    kinds = [kind for kind in value if isinstance(kind, str) and _KIND.fullmatch(kind)]
    if len(kinds) != len(value) or kinds != sorted(set(kinds)):
        _refuse("question.kinds are not kinds in ascending order, each once")
    return tuple(kinds)


def _take_object(value: JsonValue, name: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        _refuse(f"{name} is not an object")
    return value


def _take_number(members: dict[str, JsonValue], member: str) -> int:
    value = members[member]
    if type(value) is not int or value < 0:
        _refuse(f"question: {member} is no whole number from 0 on")
    return value


def _take_hex(members: dict[str, JsonValue], member: str, pattern: re.Pattern[str]) -> bytes:
    value = members[member]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        _refuse(f"question: {member} does not match {pattern.pattern}")
    return bytes.fromhex(value)


def _take_blob(value: JsonValue, name: str) -> bytes:
    blob = decode_base64(value) if isinstance(value, str) else None
    if blob is None:
        _refuse(f"{name} is not canonical standard base64")
    return blob


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_FIELD, f"evidence file: {detail}")
