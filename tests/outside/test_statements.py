"""SCITT statements, written and read by two libraries that know nothing of ours."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

import cbor2
import pytest
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cwt import COSE, COSEKey

from ledger.cbor import VALUES_MAX, read_cbor
from ledger.cose_receipt import encode_cose_key
from ledger.cose_statement import make_transparent, sign_statement, with_envelope
from ledger.refusal import Rejected
from ledger.scitt import (
    EVIDENCE,
    RECEIPTS,
    compute_key_thumbprint,
    format_issuer,
    format_subject,
    read_statement,
)
from tests.outside.test_cose_receipts import public_pem
from tests.verifier.small_chain import signer
from tests.verifier.statements import PAYLOAD, Registered, card_chain, good, receipt_of, register
from verifier.verify import verify_evidence


def private_pem(name: str) -> bytes:
    """The private key of a party of the small chain, as OpenSSL writes it."""
    key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_others_read_our_transparent_statement() -> None:
    made = good()
    raw = made.transparent()
    key = made.chain.key("m-1").public_key
    said = scitt_cose.parse_signed_statement(raw, public_key_pem=public_pem(key))
    assert said["issuer"] == format_issuer(made.chain.genesis.origin, "m-1")
    assert said["payload"] == PAYLOAD
    found = scitt_cose.extract_receipts(raw)
    evidence = json.loads(cbor2.loads(raw).value[1][EVIDENCE])
    entry = base64.b64decode(evidence["entry"])
    for institution, receipt in zip(("bank-0", "bank-2"), found, strict=True):
        log_key = signer(f"{made.chain.network} {institution} log").public_key
        result = scitt_cose.verify_receipt(
            receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(log_key)
        )
        assert (result.ok, result.errors) == (True, [])
        assert result.subject == format_subject(made.tx_id.hex())
    assert COSE.new().decode(raw, COSEKey.new(cbor2.loads(encode_cose_key(key)))) == PAYLOAD
    other = COSEKey.new(cbor2.loads(encode_cose_key(made.chain.key("m-2").public_key)))
    with pytest.raises(ValueError, match="key is not found"):
        COSE.new().decode(raw, other)


def finish(made: Registered, raw: bytes, attach: bool) -> bytes:
    """Attach receipts with the other library or with ours, and evidence."""
    receipts = [receipt_of(made.chain, made.index, made.tx_id)]
    evidence = made.chain.transaction(made.index, made.signers).encode()
    if not attach:
        return make_transparent(read_statement(raw, (), 1 << 20), receipts, evidence)
    value = cbor2.loads(scitt_cose.attach_receipts(raw, receipts))
    value.value[1][EVIDENCE] = evidence
    return cbor2.dumps(value)


@pytest.mark.parametrize("attach", [False, True])
def test_a_statement_that_others_made_is_registered_and_verified(attach: bool) -> None:
    """Their header has the order that their library gives it: it is kept as it was signed."""
    chain, about = card_chain()
    key = chain.key("m-1").public_key
    raw = scitt_cose.build_signed_statement(
        PAYLOAD,
        alg="EdDSA",
        private_key_pem=private_pem(f"{chain.network} m-1 party"),
        issuer=format_issuer(chain.genesis.origin, "m-1"),
        subject=format_subject(about.hex()),
        content_type="text/plain",
        kid=compute_key_thumbprint(key),
    )
    theirs = read_statement(raw, (), 1 << 20)
    assert theirs.registered == raw
    data = {"note_hash": theirs.digest.hex(), "statement": "confirmed", "tx_id": about.hex()}
    chain.commit(chain.submit("attest", "contract/card-1", data, "m-1"))
    chain.commit()
    index = chain.indices_of("contract/card-1")[-1]
    newest = chain.chain.stream("contract/card-1").newest
    made = Registered(chain, good().statement, newest, index, ("m-1",))
    report = verify_evidence(finish(made, raw, attach), chain.chain_id)
    assert report.is_consistent, report.failed


def test_a_statement_of_cwt_is_read_too() -> None:
    chain, about = card_chain()
    key = chain.key("m-1").public_key
    private = COSEKey.from_pem(private_pem(f"{chain.network} m-1 party"))
    protected = {
        15: {2: format_subject(about.hex()), 1: format_issuer(chain.genesis.origin, "m-1")},
        4: compute_key_thumbprint(key),
        3: "text/plain",
        1: -8,
    }
    raw = COSE.new().encode(PAYLOAD, private, protected=protected)
    theirs = read_statement(raw, (), 1 << 20)
    ours = sign_statement(
        PAYLOAD,
        "text/plain",
        issuer=theirs.issuer,
        subject=theirs.subject,
        signer=chain.key("m-1"),
    )
    assert cbor2.loads(theirs.protected) == cbor2.loads(read_statement(ours, (), 1 << 20).protected)


def test_what_is_put_beside_a_statement_leaves_it_as_it_was() -> None:
    statement = read_statement(good().transparent(), (RECEIPTS, EVIDENCE), 1 << 20)
    for raw in (with_envelope(statement, b"e"), make_transparent(statement, [b"r"], b"{}")):
        protected, unprotected, payload, signature = cbor2.loads(raw).value
        bare = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))
        assert bare == statement.registered
        assert len(unprotected) in (1, 2)


def test_the_reader_reads_what_cbor2_writes_and_refuses_its_other_spellings() -> None:
    values: list[object] = [0, 23, 24, 255, 256, 65_535, 65_536, 2**32, 2**64 - 1]
    values += [-1, -24, -25, -(2**64), b"", "字"]
    values += [[1, [2]], {1: b"a", "b": None}, True, False, None, b"x" * 300, "y" * 70_000]
    for value in values:
        raw = cbor2.dumps(value)
        assert read_cbor(raw, "v") == value
        for end in range(min(len(raw), 40)):
            with pytest.raises(Rejected):
                read_cbor(raw[:end], "v")
    for value in (1.5, float("nan"), cbor2.undefined, cbor2.CBORSimpleValue(99)):
        with pytest.raises(Rejected):
            read_cbor(cbor2.dumps(value), "v")
    for raw in ("1800", "190010", "5803616263", "7f6161ff", "9fff", "bfff", "ff", "1c", "f818"):
        with pytest.raises(Rejected):
            read_cbor(bytes.fromhex(raw), "v")
    for bomb in (b"\x9b" + b"\xff" * 8, b"\xbb" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\xc1" * 99):
        with pytest.raises(Rejected):
            read_cbor(bomb, "v")


def test_a_reading_has_so_many_values_and_quotes_so_much() -> None:
    """Four megabytes of empty maps took a quarter of a minute."""
    most = cbor2.dumps([{}] * (VALUES_MAX - 1))
    assert len(read_cbor(most, "v")) == VALUES_MAX - 1  # type: ignore[arg-type]
    with pytest.raises(Rejected) as refused:
        read_cbor(cbor2.dumps([{}] * VALUES_MAX), "v")
    assert str(refused.value) == ("too_large: v: not CBOR as it must be: more than 1024 values")
    long = cbor2.dumps("k" * 50_000)
    with pytest.raises(Rejected) as refused:
        read_cbor(b"\xa2" + long + b"\x01" + long + b"\x01", "v")
    assert str(refused.value) == (
        f"not_canonical: v: not CBOR as it must be: the key '{'k' * 40}' stands twice in one map"
    )


def test_registering_by_hand_and_by_the_helper_is_the_same() -> None:
    chain, about = card_chain()
    raw = sign_statement(
        PAYLOAD,
        "text/plain; charset=utf-8",
        issuer=format_issuer(chain.genesis.origin, "m-1"),
        subject=format_subject(about.hex()),
        signer=chain.key("m-1"),
    )
    assert read_statement(raw, (), 1 << 20).registered == raw
    made = register(chain, good().statement, about, "m-1")
    assert read_statement(raw, (), 1 << 20).digest.hex().encode() in chain.leaves[made.index]
