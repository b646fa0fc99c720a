"""Intake receipts: an institution's signed promise that a transaction will be on the chain.

A node signs a receipt only once the transaction cannot be lost with it (durable here, or held by
f+1 others). It promises a height: in a block at or before `height_max`. If a certified block of
that height exists and the complete stream has no such transaction, receipt and stream together
prove the omission to anybody. The signature is the institution's party key, which genesis names;
the bytes signed are

    INTAKE_RECEIPT tag ‖ chain_id ‖ tx_id ‖ u64be received_ms ‖ u64be height_max

For many transactions of one request the node signs once, over the RFC 9162 root of their ids:

    BATCH_RECEIPT tag ‖ chain_id ‖ root ‖ u64be size ‖ u64be received_ms ‖ u64be height_max

`node` is not signed: it says in which institution's name to look the key up, and a receipt counts
only if genesis gives that institution that very key (`verify_receipt` takes it as an argument).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from ledger import tags
from ledger.canonical import check_canonical
from ledger.hashing import HASH_BYTES
from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Signer, verify_signature

FORMAT: Final = "evidence-ledger/intake-receipt/v1"
BATCH_FORMAT: Final = "evidence-ledger/batch-receipt/v1"

RECEIPT_BYTES_MAX: Final = 1024
"""The JSON form has about 560 bytes: three hashes or keys, one signature, three short fields."""

NUMBER_MAX: Final = 2**53 - 1
"""Times and heights stay where every JSON reader holds an integer exactly."""


class IntakeReceipt(msgspec.Struct, frozen=True, gc=False):
    """What a node promised about one transaction."""

    chain_id: bytes
    tx_id: bytes
    node: str
    """Id of the institution in genesis."""
    received_ms: int
    """When the node took the transaction in, by its own clock, milliseconds since 1970."""
    height_max: int
    """The transaction is to be in a block of this height or below."""
    public_key: bytes
    """The institution's party key."""
    signature: bytes


class BatchReceipt(msgspec.Struct, frozen=True, gc=False):
    """What a node promised about all transactions of one request that it took in."""

    chain_id: bytes
    root: bytes
    """RFC 9162 root over the accepted transaction ids (each the data of a leaf), in order."""
    size: int
    """How many there are."""
    node: str
    received_ms: int
    height_max: int
    public_key: bytes
    signature: bytes


_Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Hash = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * HASH_BYTES}}}$(?!\n)")]
_Key = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}}$(?!\n)")]
_Signature = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * SIGNATURE_BYTES}}}$(?!\n)")]
# Python's `$` also matches before a final newline; the lookahead, which other dialects read the
# same way, takes that second spelling out.


class ReceiptForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The JSON form: hashes, key and signature in lower-case hex, members in RFC 8785 order."""

    chain_id: _Hash
    format: str
    height_max: _Number
    node: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$(?!\n)")]
    public_key: _Key
    received_ms: _Number
    signature: _Signature
    tx_id: _Hash


class BatchReceiptForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The JSON form of a batch receipt, members in RFC 8785 order."""

    chain_id: _Hash
    format: str
    height_max: _Number
    node: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$(?!\n)")]
    public_key: _Key
    received_ms: _Number
    root: _Hash
    signature: _Signature
    size: _Number


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ReceiptForm)


def compute_receipt_message(
    chain_id: bytes, tx_id: bytes, received_ms: int, height_max: int
) -> bytes:
    """Return the bytes an institution signs; raise ValueError for what no receipt can say."""
    if len(chain_id) != HASH_BYTES or len(tx_id) != HASH_BYTES:
        raise ValueError(f"chain id and tx id have {HASH_BYTES} bytes each")
    if not (0 <= received_ms <= NUMBER_MAX and 0 <= height_max <= NUMBER_MAX):
        raise ValueError(f"received_ms {received_ms} or height_max {height_max} is out of range")
    return (
        tags.INTAKE_RECEIPT
        + chain_id
        + tx_id
        + received_ms.to_bytes(8, "big")
        + height_max.to_bytes(8, "big")
    )


def sign_receipt(
    signer: Signer, node: str, chain_id: bytes, tx_id: bytes, *, received_ms: int, height_max: int
) -> IntakeReceipt:
    """Return the promise of institution `node`, signed with its party key."""
    message = compute_receipt_message(chain_id, tx_id, received_ms, height_max)
    return IntakeReceipt(
        chain_id, tx_id, node, received_ms, height_max, signer.public_key, signer.sign(message)
    )


def verify_receipt(receipt: IntakeReceipt, chain_id: bytes, party_key: bytes) -> None:
    """Raise `Rejected` unless the receipt is for this chain and signed by `party_key`.

    `party_key` is the one genesis (or a later record) gives the institution `receipt.node`.
    Reasons: WRONG_CHAIN, UNKNOWN_KEY, BAD_SIGNATURE.
    """
    _check_origin("intake receipt", receipt, chain_id, party_key)
    message = compute_receipt_message(
        receipt.chain_id, receipt.tx_id, receipt.received_ms, receipt.height_max
    )
    if not verify_signature(party_key, message, receipt.signature):
        raise Rejected(
            Reason.BAD_SIGNATURE,
            f"intake receipt for {receipt.tx_id.hex()}: the signature of {receipt.node} with key "
            f"{party_key.hex()} does not verify",
        )


def compute_batch_receipt_message(
    chain_id: bytes, root: bytes, size: int, received_ms: int, height_max: int
) -> bytes:
    """Return the bytes an institution signs once for `size` transactions."""
    return (
        tags.BATCH_RECEIPT
        + chain_id
        + root
        + size.to_bytes(8, "big")
        + received_ms.to_bytes(8, "big")
        + height_max.to_bytes(8, "big")
    )


def sign_batch_receipt(
    signer: Signer,
    node: str,
    chain_id: bytes,
    tx_ids: Sequence[bytes],
    *,
    received_ms: int,
    height_max: int,
) -> BatchReceipt:
    """Return the promise of institution `node` about all of `tx_ids`, in this order."""
    root = compute_root([leaf_hash(tx_id) for tx_id in tx_ids])
    size = len(tx_ids)
    message = compute_batch_receipt_message(chain_id, root, size, received_ms, height_max)
    return BatchReceipt(
        chain_id,
        root,
        size,
        node,
        received_ms,
        height_max,
        signer.public_key,
        signer.sign(message),
    )


def verify_batch_receipt(
    receipt: BatchReceipt, chain_id: bytes, party_key: bytes, tx_ids: Sequence[bytes]
) -> None:
    """Raise `Rejected` unless `party_key` signed a promise about exactly these transactions.

    Reasons: WRONG_CHAIN, UNKNOWN_KEY, ROOT_MISMATCH, BAD_SIGNATURE.
    """
    _check_origin("batch receipt", receipt, chain_id, party_key)
    root = compute_root([leaf_hash(tx_id) for tx_id in tx_ids])
    if (root, len(tx_ids)) != (receipt.root, receipt.size):
        raise Rejected(
            Reason.ROOT_MISMATCH,
            f"batch receipt: {len(tx_ids)} transactions give root {root.hex()}, the receipt is for "
            f"{receipt.size} with root {receipt.root.hex()}",
        )
    message = compute_batch_receipt_message(
        chain_id, root, receipt.size, receipt.received_ms, receipt.height_max
    )
    if not verify_signature(party_key, message, receipt.signature):
        raise Rejected(
            Reason.BAD_SIGNATURE,
            f"batch receipt: the signature of {receipt.node} with key {party_key.hex()} does not "
            "verify",
        )


def _check_origin(
    name: str, receipt: IntakeReceipt | BatchReceipt, chain_id: bytes, party_key: bytes
) -> None:
    """Raise `Rejected` unless the receipt names this chain and this key."""
    if receipt.chain_id != chain_id:
        raise Rejected(
            Reason.WRONG_CHAIN,
            f"{name}: chain {receipt.chain_id.hex()}, not {chain_id.hex()}",
        )
    if receipt.public_key != party_key:
        raise Rejected(
            Reason.UNKNOWN_KEY,
            f"{name}: key {receipt.public_key.hex()} is not the party key of "
            f"{receipt.node}, which is {party_key.hex()}",
        )


def batch_receipt_form(receipt: BatchReceipt) -> BatchReceiptForm:
    """Return what the JSON form of a batch receipt says."""
    return BatchReceiptForm(
        receipt.chain_id.hex(),
        BATCH_FORMAT,
        receipt.height_max,
        receipt.node,
        receipt.public_key.hex(),
        receipt.received_ms,
        receipt.root.hex(),
        receipt.signature.hex(),
        receipt.size,
    )


def receipt_form(receipt: IntakeReceipt) -> ReceiptForm:
    """Return what the JSON form says."""
    return ReceiptForm(
        receipt.chain_id.hex(),
        FORMAT,
        receipt.height_max,
        receipt.node,
        receipt.public_key.hex(),
        receipt.received_ms,
        receipt.signature.hex(),
        receipt.tx_id.hex(),
    )


def encode_receipt(receipt: IntakeReceipt) -> bytes:
    """Return the receipt's canonical JSON (RFC 8785)."""
    return _encoder.encode(receipt_form(receipt))


def decode_receipt(raw: bytes) -> IntakeReceipt:
    """Read a receipt's canonical JSON strictly; raise `Rejected`. Verifies no signature."""
    if len(raw) > RECEIPT_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"intake receipt: {len(raw)} bytes; at most {RECEIPT_BYTES_MAX} are allowed",
        )
    return _intake_receipt(check_canonical(raw, _decoder, "intake receipt"))


def read_receipt(value: object) -> IntakeReceipt | BatchReceipt:
    """Return the receipt in a node's answer, which was read as JSON; raise `Rejected` (BAD_FIELD).

    Verifies no signature.
    """
    try:
        if isinstance(value, dict) and "root" in value:
            return _batch_receipt(msgspec.convert(value, BatchReceiptForm))
        return _intake_receipt(msgspec.convert(value, ReceiptForm))
    except msgspec.ValidationError as error:
        raise Rejected(Reason.BAD_FIELD, f"receipt: {error}") from None


def _intake_receipt(form: ReceiptForm) -> IntakeReceipt:
    """Return what the JSON form says; raise `Rejected`."""
    _check_format("intake receipt", form.format, FORMAT)
    return IntakeReceipt(
        chain_id=bytes.fromhex(form.chain_id),
        tx_id=bytes.fromhex(form.tx_id),
        node=form.node,
        received_ms=form.received_ms,
        height_max=form.height_max,
        public_key=bytes.fromhex(form.public_key),
        signature=bytes.fromhex(form.signature),
    )


def _batch_receipt(form: BatchReceiptForm) -> BatchReceipt:
    """Return what the JSON form says; raise `Rejected`."""
    _check_format("batch receipt", form.format, BATCH_FORMAT)
    return BatchReceipt(
        chain_id=bytes.fromhex(form.chain_id),
        root=bytes.fromhex(form.root),
        size=form.size,
        node=form.node,
        received_ms=form.received_ms,
        height_max=form.height_max,
        public_key=bytes.fromhex(form.public_key),
        signature=bytes.fromhex(form.signature),
    )


def _check_format(name: str, given: str, known: str) -> None:
    if given != known:
        raise Rejected(
            Reason.BAD_FIELD, f"{name}: format is {given!r}; this software reads {known!r}"
        )
