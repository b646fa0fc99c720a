"""Noise: no flipped bit passes, no bytes raise, and every cut of a good file is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.refusal import Rejected
from tests.verifier.mutating import CARD, honest
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from verifier.formats import (
    read_body,
    read_certificate,
    read_header_entry,
    read_transaction_entry,
)
from verifier.report import format_json, format_text
from verifier.state_formats import (
    StateValue,
    read_state_proof,
    read_state_value,
    take_party_record,
)
from verifier.verify import verify_bare_proof, verify_evidence

FLIPS = 1_000
"""Of some 80,000 bits of a file; all of them were tried once, and none passed."""


def files() -> dict[str, bytes]:
    return {
        "transaction": honest().encode(),
        "history": busy_chain().history("card-1", CARD_SIGNERS),
    }


@pytest.mark.parametrize("kind", ["transaction", "history"])
def test_no_flipped_bit_passes(kind: str) -> None:
    raw = files()[kind]
    chance = random.Random(f"flips of a {kind}")
    for bit in chance.sample(range(len(raw) * 8), FLIPS):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        report = verify_evidence(bytes(flipped), busy_chain().chain_id)
        assert report.exit_status in (1, 2), f"bit {bit} of the {kind} file is idle"


@pytest.mark.parametrize("kind", ["transaction", "history"])
def test_no_exchanged_pieces_pass(kind: str) -> None:
    """Two pieces of one file change places, or one is left out, doubled or moved by a byte."""
    raw = files()[kind]
    chance = random.Random(f"pieces of a {kind}")
    for _ in range(FLIPS // 4):
        length = chance.randrange(1, 200)
        one, other = sorted(chance.sample(range(len(raw) - length), 2))
        first, second = raw[one : one + length], raw[other : other + length]
        if first == second or other - one < length:
            continue
        for spoilt in (
            raw[:one] + second + raw[one + length : other] + first + raw[other + length :],
            raw[:one] + raw[one + length :],
            raw[:one] + first + raw[one:],
        ):
            if spoilt != raw:
                assert verify_evidence(spoilt, busy_chain().chain_id).exit_status in (1, 2)


def test_no_cut_passes() -> None:
    raw = honest().encode()
    for end in range(0, len(raw), 37):
        assert verify_evidence(raw[:end], busy_chain().chain_id).exit_status == 2


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_bytes_never_raise(noise: bytes) -> None:
    report = verify_evidence(noise, busy_chain().chain_id)
    assert report.exit_status == 2
    assert list(format_text(report, "both"))
    assert format_json(report)


@given(st.binary(max_size=200), st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_bytes_in_any_member_never_raise(noise: bytes, place: int) -> None:
    member = ("entry", "header", "certificate", "state_header", "genesis")[place]
    parts = honest()
    setattr(parts, member, noise)
    report = verify_evidence(parts.encode(), busy_chain().chain_id)
    assert report.exit_status == 1
    assert report.failed is not None


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bare_bytes_never_raise(entry: bytes, proof: bytes) -> None:
    chain = busy_chain()
    assert verify_bare_proof(chain.genesis.raw, entry, proof, chain.chain_id).exit_status == 1


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_spoilt_formats_are_refused_or_read_never_raise(data: st.DataObject) -> None:
    """One byte of a good value is replaced: the reader refuses it by name, or reads it."""
    chain = busy_chain()
    entry = chain.leaves[chain.indices_of(CARD)[3]]
    value = chain.proven("party/m-1")
    read: Callable[[bytes, str], object]
    good, read = data.draw(
        st.sampled_from(
            [
                (entry, read_transaction_entry),
                (chain.leaves[12], read_header_entry),
                (chain.certificate(chain.headers[3]), read_certificate),
                (value.value, read_state_value),
                (value.proof, read_state_proof),
                (entry[entry.index(b'{"data"') : entry.index(b'"version":1}') + 12], read_body),
            ]
        )
    )
    at = data.draw(st.integers(0, len(good) - 1))
    with_byte = data.draw(st.integers(0, 255))
    with suppress(Rejected):
        found = read(good[:at] + bytes([with_byte]) + good[at + 1 :], "value")
        if isinstance(found, StateValue):
            take_party_record(found.record, "record")
