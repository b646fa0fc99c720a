"""COSE Receipts and keys, read by two libraries that know nothing of ours."""

from __future__ import annotations

from hashlib import sha256

import cbor2
import httpx
import pytest
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey, VerifyError

from ledger.cose_receipt import encode_cose_key, encode_cose_key_set, sign_cose_receipt
from ledger.merkle import compute_root, inclusion_proofs, leaf_hash
from ledger.scitt import compute_key_thumbprint
from ledger.signing import SeedSigner
from tests.api.fake import FakeNode, make_envelope

SIGNER = SeedSigner(sha256(b"log").digest())
ISSUER = "example.test/0011223344556677/bank-a"
SUBJECT = "urn:evidence-ledger:transaction:00"


def public_pem(key: bytes) -> bytes:
    """Return a public key as OpenSSL writes it."""
    return Ed25519PublicKey.from_public_bytes(key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def make_receipt(size: int, index: int) -> tuple[bytes, bytes, bytes]:
    """Return (entry, root, receipt) of one leaf of a tree."""
    entries = [b"entry %d" % number for number in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    root = compute_root(leaves)
    receipt = sign_cose_receipt(
        root=root,
        size=size,
        index=index,
        path=inclusion_proofs(leaves)[index],
        issuer=ISSUER,
        subject=SUBJECT,
        signer=SIGNER,
    )
    return entries[index], root, receipt


def check(receipt: bytes, entry: bytes, key: bytes = SIGNER.public_key) -> scitt_cose.ReceiptResult:
    return scitt_cose.verify_receipt(
        receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(key)
    )


@pytest.mark.parametrize(("size", "index"), [(2, 0), (2, 1), (3, 2), (8, 5), (100, 64), (257, 256)])
def test_an_independent_verifier_accepts_every_receipt(size: int, index: int) -> None:
    entry, root, receipt = make_receipt(size, index)
    result = check(receipt, entry)
    assert (result.ok, result.errors) == (True, [])
    assert (result.root, result.tree_size, result.leaf_index) == (root.hex(), size, index)
    assert (result.issuer, result.subject) == (ISSUER, SUBJECT)
    assert result.protected_header_ext == {4: compute_key_thumbprint(SIGNER.public_key)}


def test_a_second_library_reads_the_signature_with_the_published_key() -> None:
    _, root, receipt = make_receipt(8, 5)
    key = COSEKey.new(cbor2.loads(encode_cose_key(SIGNER.public_key)))
    assert COSE.new().decode(receipt, key, detached_payload=root) == root
    with pytest.raises(VerifyError):
        COSE.new().decode(receipt, key, detached_payload=bytes(32))


def test_no_flipped_bit_and_no_other_entry_or_key_is_accepted() -> None:
    entry, _, receipt = make_receipt(8, 5)
    place = receipt.index(cbor2.dumps([8, 5])[1:])  # size and index, which no signature covers
    accepted = []
    for position in range(len(receipt)):
        for bit in range(8):
            changed = bytearray(receipt)
            changed[position] ^= 1 << bit
            if check(bytes(changed), entry).ok:
                accepted.append(position)
    assert set(accepted) <= {place, place + 1}
    assert check(receipt, entry + b".").failed_at == "signature"
    other = SeedSigner(sha256(b"other").digest())
    assert check(receipt, entry, other.public_key).failed_at == "signature"
    assert not check(receipt[:-1], entry).ok
    assert not check(receipt + b"\0", entry).ok


def test_a_receipt_does_not_bind_index_and_size() -> None:
    """Why the tlog-proof is the first proof for a court, and an entry names its own place."""
    entry, _, receipt = make_receipt(8, 5)
    value = cbor2.loads(receipt)
    protected, _, _, signature = value.value
    [proof] = value.value[1][396][-1]
    _, _, path = cbor2.loads(proof)
    for size, index in ((7, 5), (11, 9), (20, 17)):
        moved = cbor2.dumps([size, index, path])
        shifted = cbor2.CBORTag(18, [protected, {396: {-1: [moved]}}, None, signature])
        assert check(cbor2.dumps(shifted), entry).ok


def test_a_tree_of_one_leaf_has_no_receipt() -> None:
    with pytest.raises(ValueError) as refused:
        make_receipt(1, 0)
    assert str(refused.value) == "a receipt's path has one hash at least (RFC 9942 section 5.2)"


def test_keys_by_the_letter() -> None:
    """RFC 9679 section 3: the required members alone, in deterministic order."""
    key = SIGNER.public_key
    by_hand = bytes.fromhex("a3 01 01 20 06 21 58 20") + key
    assert compute_key_thumbprint(key) == sha256(by_hand).digest()
    expected = {1: 1, 2: sha256(by_hand).digest(), 3: -8, -1: 6, -2: key}
    assert cbor2.loads(encode_cose_key(key)) == expected
    assert cbor2.loads(encode_cose_key_set([key, key])) == [expected, expected]


def test_a_receipt_is_never_a_checkpoints_signature() -> None:
    """One key signs both; what it signs begins with 0x84 here and with a letter or digit there."""
    seen = []

    class Watching:
        public_key = SIGNER.public_key

        def sign(self, message: bytes) -> bytes:
            seen.append(message)
            return SIGNER.sign(message)

    sign_cose_receipt(
        root=bytes(32),
        size=2,
        index=0,
        path=[bytes(32)],
        issuer="a",
        subject="b",
        signer=Watching(),
    )
    [message] = seen
    assert message.startswith(b"\x84\x6aSignature1")
    with pytest.raises(UnicodeDecodeError):
        message.decode()


async def test_receipt_and_keys_over_http(client: httpx.AsyncClient, node: FakeNode) -> None:
    tx_id = node.take_in(make_envelope(0)).tx_id  # type: ignore[union-attr]
    path = f"/v1/transactions/{tx_id.hex()}/receipt"
    assert (await client.get(path)).status_code == 503, "taken in, and in no block yet"
    node.commit()
    early = await client.get(path)
    assert (early.status_code, early.headers["retry-after"]) == (503, "2")
    node.certify()
    found = await client.get(path)
    assert (found.status_code, found.content) == (200, b"receipt 2")
    assert found.headers["content-type"] == "application/scitt-receipt+cose"
    keys = await client.get("/.well-known/scitt-keys")
    assert keys.headers["content-type"] == "application/cbor"
    [key] = cbor2.loads(keys.content)
    assert key[-2] == node.genesis.validators[0].log_key
    for wrong in ("AA", "A" * 43, "%", "~"):
        answer = await client.get(f"/.well-known/scitt-keys/{wrong}")
        assert answer.status_code == 404
        assert cbor2.loads(answer.content)[-2] == f"no key of this log has the id {wrong!r}"
