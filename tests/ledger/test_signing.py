"""Ed25519: exactly what libsodium accepts, by value on the public edge cases."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from ledger.signing import SeedSigner, Signer, public_key_of, verify_signature

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "ed25519"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="Ed25519 vectors (../shared/vectors/ed25519) are not here"
)

# RFC 8032 section 7.1, test 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC_KEY = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def test_rfc_8032() -> None:
    signer: Signer = SeedSigner(SEED)
    assert signer.public_key == public_key_of(SEED) == PUBLIC_KEY
    assert signer.sign(MESSAGE) == SIGNATURE
    assert verify_signature(PUBLIC_KEY, MESSAGE, SIGNATURE)


def test_a_wrong_signature_is_false_and_never_an_exception() -> None:
    for bit in range(0, 512, 37):
        flipped = bytearray(SIGNATURE)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not verify_signature(PUBLIC_KEY, MESSAGE, bytes(flipped))
    assert not verify_signature(PUBLIC_KEY, MESSAGE + b"\0", SIGNATURE)
    for length in (0, 1, 31, 33, 64):
        assert not verify_signature(bytes(length), MESSAGE, SIGNATURE)
    for length in (0, 63, 65, 128):
        assert not verify_signature(PUBLIC_KEY, MESSAGE, bytes(length))
    # A shorter signature whose missing end is the message's beginning must not pass.
    assert not verify_signature(PUBLIC_KEY, SIGNATURE[-2:] + MESSAGE, SIGNATURE[:-2])


def test_s_plus_the_group_order_is_refused() -> None:
    s = int.from_bytes(SIGNATURE[32:], "little") + GROUP_ORDER
    assert not verify_signature(PUBLIC_KEY, MESSAGE, SIGNATURE[:32] + s.to_bytes(32, "little"))


def test_the_seed_is_never_shown() -> None:
    signer = SeedSigner(SEED)
    for text in (repr(signer), str(signer), f"{signer}"):
        assert text == f"SeedSigner(public_key={PUBLIC_KEY.hex()})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)
    with pytest.raises(ValueError, match="an Ed25519 seed has 32 bytes, not 31"):
        SeedSigner(SEED[:31])


@needs_vectors
def test_cctv_accepts_exactly_what_the_flags_leave() -> None:
    """C2SP/CCTV: 43 of 914, which are those where nothing is small, mixed badly or re-encoded."""
    cases = json.loads((VECTORS / "cctv.json").read_text())
    accepted = [
        case
        for case in cases
        if verify_signature(
            bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"])
        )
    ]
    assert (len(cases), len(accepted)) == (914, 43)
    forbidden = {"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R"}
    for case in accepted:
        assert not forbidden & set(case["flags"] or ()), case["number"]


@needs_vectors
def test_wycheproof_has_no_mismatch() -> None:
    groups = json.loads((VECTORS / "wycheproof.json").read_text())["testGroups"]
    seen = 0
    for group in groups:
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            seen += 1
            valid = verify_signature(
                public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            )
            assert valid == (case["result"] == "valid"), case["tcId"]
    assert seen == 151
