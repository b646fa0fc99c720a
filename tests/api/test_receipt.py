"""Intake receipts: the bytes signed, the one spelling, and each way they can be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import msgspec
import pytest

from ledger.receipt import (
    IntakeReceipt,
    compute_receipt_message,
    decode_receipt,
    encode_receipt,
    sign_receipt,
    verify_receipt,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner, verify_signature

CHAIN = sha256(b"chain").digest()
TX_ID = sha256(b"tx").digest()
SIGNER = SeedSigner(bytes(32))
RECEIPT = sign_receipt(SIGNER, "bank-a", CHAIN, TX_ID, received_ms=7, height_max=2**32 + 1)


def test_bytes_signed() -> None:
    message = (
        b"evidence-ledger/v1/intake-receipt\0"
        + CHAIN
        + TX_ID
        + bytes.fromhex("0000000000000007")
        + bytes.fromhex("0000000100000001")
    )
    assert compute_receipt_message(CHAIN, TX_ID, 7, 2**32 + 1) == message
    assert verify_signature(SIGNER.public_key, message, RECEIPT.signature)


def test_round_trip_is_canonical() -> None:
    raw = encode_receipt(RECEIPT)
    assert decode_receipt(raw) == RECEIPT
    assert encode_receipt(decode_receipt(raw)) == raw
    assert (
        raw
        == (
            f'{{"chain_id":"{CHAIN.hex()}","format":"evidence-ledger/intake-receipt/v1",'
            f'"height_max":4294967297,"node":"bank-a","public_key":"{SIGNER.public_key.hex()}",'
            f'"received_ms":7,"signature":"{RECEIPT.signature.hex()}","tx_id":"{TX_ID.hex()}"}}'
        ).encode()
    )
    verify_receipt(RECEIPT, CHAIN, SIGNER.public_key)


@dataclass
class Mutant:
    name: str
    changes: dict[str, object]
    reason: Reason
    detail: str


OTHER = SeedSigner(bytes(31) + b"\1").public_key
NOT_VERIFIED = f"the signature of bank-a with key {SIGNER.public_key.hex()} does not verify"


@pytest.mark.parametrize(
    "mutant",
    [
        Mutant("time", {"received_ms": 8}, Reason.BAD_SIGNATURE, NOT_VERIFIED),
        Mutant("height", {"height_max": 9}, Reason.BAD_SIGNATURE, NOT_VERIFIED),
        Mutant("signature", {"signature": bytes(64)}, Reason.BAD_SIGNATURE, NOT_VERIFIED),
        Mutant(
            "chain",
            {"chain_id": TX_ID},
            Reason.WRONG_CHAIN,
            f"intake receipt: chain {TX_ID.hex()}, not {CHAIN.hex()}",
        ),
        Mutant(
            "key",
            {"public_key": OTHER},
            Reason.UNKNOWN_KEY,
            f"intake receipt: key {OTHER.hex()} is not the party key of bank-a, which is "
            f"{SIGNER.public_key.hex()}",
        ),
    ],
    ids=lambda mutant: mutant.name,
)
def test_mutants_do_not_verify(mutant: Mutant) -> None:
    spoilt: IntakeReceipt = msgspec.structs.replace(RECEIPT, **mutant.changes)
    with pytest.raises(Rejected) as caught:
        verify_receipt(spoilt, CHAIN, SIGNER.public_key)
    assert caught.value.reason is mutant.reason
    detail = mutant.detail
    if detail is NOT_VERIFIED:
        detail = f"intake receipt for {TX_ID.hex()}: {detail}"
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"node"', b' "node"', Reason.NOT_CANONICAL),
        (b'"format":"evidence-ledger/intake-receipt/v1"', b'"format":"v2"', Reason.BAD_FIELD),
        (b'"received_ms":7', b'"received_ms":-7', Reason.BAD_FIELD),
        (b'"received_ms":7', b'"received_ms":7.5', Reason.NOT_INTEGER),
        (b'"received_ms":7', b'"received_ms":9007199254740992', Reason.NOT_INTEGER),
        (b'"bank-a"', b'"bank-a\\n"', Reason.BAD_FIELD),
        (TX_ID.hex().encode(), TX_ID.hex()[:-1].encode() + b"\\n", Reason.BAD_FIELD),
        (TX_ID.hex().encode(), TX_ID.hex().encode() + b"\\n", Reason.BAD_FIELD),
        (TX_ID.hex().encode(), TX_ID.hex().upper().encode(), Reason.BAD_FIELD),
        (b"}", b',"z":1}', Reason.BAD_FIELD),
        (b"}", b"}" + b" " * 1024, Reason.TOO_LARGE),
        (b"}", b"", Reason.MALFORMED),
    ],
)
def test_any_other_spelling_is_refused(old: bytes, new: bytes, reason: Reason) -> None:
    raw = encode_receipt(RECEIPT)
    assert raw.count(old) == 1
    with pytest.raises(Rejected) as caught:
        decode_receipt(raw.replace(old, new))
    assert caught.value.reason is reason
    assert caught.value.detail.startswith("intake receipt: ")


def test_nothing_out_of_range_is_signed() -> None:
    for message in (
        (CHAIN[:31], TX_ID, 0, 0),
        (CHAIN, TX_ID + b"x", 0, 0),
        (CHAIN, TX_ID, -1, 0),
        (CHAIN, TX_ID, 0, 2**53),
    ):
        with pytest.raises(ValueError):
            compute_receipt_message(*message)
