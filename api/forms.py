"""The hot routes' JSON, as msgspec types: what a client posts, and what it gets back.

msgspec decodes and writes these about as fast as bytes can be copied; the OpenAPI document takes
their schemas from these very types, so the two cannot drift apart. Hashes, keys and signatures are
lower-case hex. A form is shape only: whether a body is canonical, in size and signed is decided by
the ledger, on the envelope's bytes, which are the same whichever way they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from api.ports import Accepted, Pending, Position
from api.problems import ProblemForm
from api.requests import shown
from ledger.disclosure import FIELDS
from ledger.hashing import HASH_BYTES
from ledger.outcome_words import REFUSALS
from ledger.receipt import BatchReceipt, BatchReceiptForm, ReceiptForm, receipt_form
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from ledger.transaction import BatchPath, Signature, encode_envelope


def _hex_schema(length: int) -> msgspec.Meta:
    """Say in the schema what `_read_hex` checks with a better sentence than a pattern's."""
    return msgspec.Meta(extra_json_schema={"pattern": f"^[0-9a-f]{{{2 * length}}}$"})


Hash = Annotated[str, _hex_schema(HASH_BYTES)]
KeyHex = Annotated[str, _hex_schema(PUBLIC_KEY_BYTES)]
SignatureHex = Annotated[str, _hex_schema(SIGNATURE_BYTES)]

Place = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""Fits an envelope's encoding; the ledger's own bounds are tighter."""

HashHex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]

SIGNATURES_MAX: Final = 64
"""Far beyond the ledger's own bound, which names the signers; here it only bounds memory."""


class BatchPathForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Where this transaction stands in its batch (RFC 9162 section 2.1.3)."""

    index: Place
    size: Place
    path: Annotated[list[Hash], msgspec.Meta(max_length=SIGNATURES_MAX)]


class SignatureForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One signer's Ed25519 signature; the i-th is that of the body's i-th signer."""

    public_key: KeyHex
    signature: SignatureHex
    batch: BatchPathForm | None = None
    """Present when the signature is over a batch's root."""


class SubmissionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A signed transaction."""

    body: str
    """The exact RFC 8785 text that was signed, as a string."""
    signatures: Annotated[
        list[SignatureForm], msgspec.Meta(min_length=1, max_length=SIGNATURES_MAX)
    ]


class BatchSubmissionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Many signed transactions."""

    transactions: Annotated[list[SubmissionForm], msgspec.Meta(min_length=1)]


class AcceptedForm(msgspec.Struct, frozen=True, gc=False):
    """Taken in; the receipt is the node's signed promise."""

    tx_id: str
    status: Literal["accepted"]
    receipt: ReceiptForm | msgspec.UnsetType = msgspec.UNSET
    """Absent inside a batch, whose one receipt covers all that were accepted."""


class PendingForm(msgspec.Struct, frozen=True, gc=False):
    """Held by this node, in no block yet."""

    tx_id: str
    status: Literal["pending"]
    received_ms: int
    height_max: int


class PositionForm(msgspec.Struct, frozen=True, gc=False):
    """On the chain. `title` and `title_zh` say what the code of one that is recorded as refused
    means; `stream` and `effects` only for those who may read the body."""

    tx_id: str
    status: Literal["applied", "refused"]
    certified: bool
    index: int
    height: int
    time_ms: int
    code: str
    title: str | msgspec.UnsetType = msgspec.UNSET
    title_zh: str | msgspec.UnsetType = msgspec.UNSET
    stream: str | msgspec.UnsetType = msgspec.UNSET
    effects: Sequence[tuple[str, int | str]] | msgspec.UnsetType = msgspec.UNSET


class BatchItemForm(msgspec.Struct, frozen=True, gc=False):
    """What posting one transaction alone would have answered, under one of three names."""

    http_status: int
    accepted: AcceptedForm | msgspec.UnsetType = msgspec.UNSET
    position: PositionForm | msgspec.UnsetType = msgspec.UNSET
    problem: ProblemForm | msgspec.UnsetType = msgspec.UNSET


class BatchResultForm(msgspec.Struct, frozen=True, gc=False):
    """Results in the order of the request."""

    accepted: int
    known: int
    refused: int
    results: list[BatchItemForm]
    receipt: BatchReceiptForm | msgspec.UnsetType = msgspec.UNSET
    """The node's one signature over all accepted ids, in the order of the results."""


class PrivateForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Private fields of a contract, to be kept beside the chain."""

    fields: Annotated[dict[str, str], msgspec.Meta(max_length=len(FIELDS))]
    """By name; one that is empty is left out."""
    replaces: HashHex | None = None
    """Commitment of the record that this one corrects."""


_encoder = msgspec.json.Encoder()
encode_form = _encoder.encode


def compute_envelope(form: SubmissionForm, prefix: str = "") -> bytes:
    """Return the envelope a JSON submission stands for.

    Raises `Rejected` (BAD_FIELD) for hex that is none; `prefix` says where in the request.
    """
    signatures = []
    for place, signature in enumerate(form.signatures):
        where = f"{prefix}signatures[{place}]"
        batch = signature.batch
        path = None
        if batch is not None:
            nodes = [_read_hex(node, HASH_BYTES, f"{where}.batch.path") for node in batch.path]
            path = BatchPath(batch.index, batch.size, nodes)
        key = _read_hex(signature.public_key, PUBLIC_KEY_BYTES, f"{where}.public_key")
        raw = _read_hex(signature.signature, SIGNATURE_BYTES, f"{where}.signature")
        signatures.append(Signature(key, raw, path))
    return encode_envelope(form.body.encode(), signatures)


def _read_hex(text: str, length: int, where: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != length or raw.hex() != text:
        raise Rejected(
            Reason.BAD_FIELD,
            f"{where} is {shown(text)}, not {2 * length} lower-case hex digits",
            f"{where} 为 {shown(text)}，应为 {2 * length} 位小写十六进制数字",
        )
    return raw


def accepted_form(accepted: Accepted) -> AcceptedForm:
    """Return the answer to a transaction taken in."""
    receipt = accepted.receipt
    if isinstance(receipt, BatchReceipt):
        return AcceptedForm(accepted.tx_id.hex(), "accepted")
    return AcceptedForm(accepted.tx_id.hex(), "accepted", receipt_form(receipt))


def position_form(position: Position, *, with_body_facts: bool) -> PositionForm:
    """Return the answer for a transaction on the chain."""
    title_zh, title = REFUSALS.get(position.code, ("", ""))
    return PositionForm(
        position.tx_id.hex(),
        position.status,
        position.certified,
        position.index,
        position.height,
        position.time_ms,
        position.code,
        f"{title[0].upper()}{title[1:]}" if title else msgspec.UNSET,
        title_zh or msgspec.UNSET,
        position.stream if with_body_facts else msgspec.UNSET,
        position.effects if with_body_facts else msgspec.UNSET,
    )


def pending_form(pending: Pending) -> PendingForm:
    """Return the answer for a transaction that waits for a block."""
    return PendingForm(pending.tx_id.hex(), "pending", pending.received_ms, pending.height_max)
