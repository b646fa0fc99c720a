"""What `submit` reads: drafts of transactions, or transactions already signed.

A draft is what a till hands over; salt, deadline and signatures are added here:

    {"kind", "data", "stream", "reference", "signers"}    and perhaps "occurred_at", "version",
                                                          "salt", "not_after"
    {"body": "<canonical text>", "signatures": […]}       signed elsewhere, sent as it stands
    {"batch", "envelope", "node", "receipt", "tx_id"}     kept (`cli.promises`), sent once more

`occurred_at` goes into the data of those kinds that record it. A `tx_id` or `of` in the data may be
written `@party/reference`: the id of that party's transaction of that reference earlier in the
file, which does not exist before it is salted. A file is a JSON list, one JSON object, or one
object a line.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.arguments import read_input
from cli.failure import unusable
from cli.passed_on import explain
from cli.promises import Promise
from contracts.events import DATA as EVENTS
from ledger.canonical import INTEGER_MAX
from ledger.refusal import Rejected
from ledger.transaction import decode_transaction, encode_body

SALT_BYTES: Final = 16
"""128 bits, the least a body takes."""

FILE_BYTES_MAX: Final = 512 * 1024 * 1024
"""A million receipts of 500 bytes; more is submitted in several files."""

RECORDS_TIME: Final = frozenset({"prepaid.prepay", "prepaid.consume", "prepaid.refund", *EVENTS})
"""Kinds whose data has a field `occurred_at`."""

SIGNED: Final = {"body", "signatures"}
KEPT: Final = set(Promise.__struct_fields__)
"""Members of what is signed already, here or elsewhere."""

TARGETS: Final = ("tx_id", "of")
"""Members that name an earlier transaction by its id."""

RandomBytes = Callable[[int], bytes]


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transaction before it is salted and signed."""

    kind: str
    data: dict[str, Any]
    stream: str
    reference: str
    signers: list[str]
    version: int = 1
    occurred_at: int | None = None
    salt: str = ""
    not_after: int = 0


@dataclass(frozen=True, slots=True)
class SignedItem:
    """A transaction signed elsewhere."""

    envelope: bytes
    stream: str
    kind: str
    reference: str
    signers: tuple[str, ...]


Item = Draft | SignedItem
TxIds = Mapping[tuple[str, str], str]
"""Transaction id by (first signer, reference)."""


def read_items(path: Path) -> list[Item]:
    """Read a file of drafts or signed transactions; raise `Failure` naming what is wrong where."""
    raw = read_input(path, FILE_BYTES_MAX, is_splittable=True)
    return [_read_item(value, where) for where, value in _split(raw, str(path))]


def _split(raw: bytes, name: str) -> list[tuple[str, Any]]:
    """Return (where, value) of every object in the file."""
    try:
        whole = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [
            (f"{name}, line {number}", _decode_line(line, f"{name}, line {number}"))
            for number, line in enumerate(raw.split(b"\n"), 1)
            if line.strip()
        ]
    values = whole if isinstance(whole, list) else [whole]
    return [(f"{name}, item {number}", value) for number, value in enumerate(values, 1)]


def _decode_line(line: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unusable(f"{where}: not JSON: {error}.", f"{where} 不是 JSON。") from None


def _read_item(value: Any, where: str) -> Item:
    if isinstance(value, dict) and set(value) in (SIGNED, KEPT):
        try:
            envelope = _read_envelope(value)
            body = decode_transaction(envelope).body
        except ValueError as error:  # of msgspec and of base64
            raise unusable(
                f"{where}: {error}.", f"{where} 不是已签名的交易，原因见上一行。"
            ) from None
        except Rejected as rejected:
            raise unusable(
                f"{where}: {rejected.detail}.", f"{where} 不予采用：{explain(rejected)}。"
            ) from None
        return SignedItem(envelope, body.stream, body.kind, body.reference, tuple(body.signers))
    try:
        return msgspec.convert(value, Draft)
    except msgspec.ValidationError as error:
        raise unusable(
            f"{where}: {error}; a draft has kind, data, stream, reference and signers.",
            f"{where} 不是交易草稿；草稿含 kind、data、stream、reference 与 signers。",
        ) from None


def _read_envelope(value: dict[str, Any]) -> bytes:
    """Return what is sent; raise `Rejected` or ValueError."""
    from api.forms import SubmissionForm, compute_envelope

    if set(value) == KEPT:
        return msgspec.convert(value, Promise).sent
    return compute_envelope(msgspec.convert(value, SubmissionForm))


def complete_body(
    draft: Draft,
    not_after: int,
    tx_ids: TxIds,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> bytes:
    """Return the canonical body of a draft: salted, dated, its references resolved.

    Raises `Failure` for what no node would take.
    """
    data = dict(draft.data)
    if draft.kind in RECORDS_TIME and draft.occurred_at is not None:
        data.setdefault("occurred_at", draft.occurred_at)
    for member in TARGETS:
        target = data.get(member)
        if isinstance(target, str) and target.startswith("@"):
            data[member] = _resolve(target, draft, tx_ids)
    salt = draft.salt or base64.urlsafe_b64encode(random_bytes(SALT_BYTES)).decode().rstrip("=")
    try:
        return encode_body(
            data=data,
            kind=draft.kind,
            not_after=min(draft.not_after or not_after, INTEGER_MAX),
            reference=draft.reference,
            salt=salt,
            signers=draft.signers,
            stream=draft.stream,
            version=draft.version,
        )
    except Rejected as rejected:
        raise unusable(
            f"{draft.signers[:1]} {draft.reference!r}: {rejected.detail}.",
            f"{draft.signers[:1]} {draft.reference!r} 不予采用：{explain(rejected)}。",
        ) from None


def _resolve(text: str, draft: Draft, tx_ids: TxIds) -> str:
    party, _, reference = text[1:].partition("/")
    found = tx_ids.get((party, reference))
    if found is None:
        raise unusable(
            f"{draft.reference!r} names {text}, and {party} has no transaction {reference!r} "
            "earlier in this file.",
            f"{draft.reference!r} 引用了 {text}，而本文件此前没有 {party} 的交易 {reference!r}。",
        )
    return found
