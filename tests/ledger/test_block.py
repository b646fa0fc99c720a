"""Entries and headers: what stands in the log, and what may follow what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.block import (
    ENTRY_BYTES_MAX,
    GENESIS_PARENT,
    GenesisEntry,
    Header,
    HeaderEntry,
    TransactionEntry,
    check_successor,
    compute_block_hash,
    decode_entry,
    decode_header,
    encode_genesis_entry,
    encode_header,
    encode_header_entry,
    join_transaction_entries,
)
from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.transaction import (
    BODY_BYTES_MAX,
    EFFECTS_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    SIGNERS_MAX,
    BatchPath,
    Envelope,
    Signature,
    encode_envelope,
    refused,
)
from ledger.wire import encode

CHAIN = bytes([7]) * 32
PARENT = Header(1, CHAIN, 4, bytes(32), 1_000, 2, 10, 3, bytes(32), bytes(32), bytes(32), 1)
CHILD = Header(
    1, CHAIN, 5, compute_block_hash(encode_header(PARENT)), 1_001, 0, 14, 0, *[bytes(32)] * 3, 1
)
NUMBER_MAX = 2**53 - 1


def refusal(function: Any, *arguments: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        function(*arguments)
    return caught.value


def test_a_block_hash_is_the_tagged_hash_of_the_header() -> None:
    raw = encode_header(PARENT)
    assert compute_block_hash(raw) == sha256(b"evidence-ledger/v1/block\0" + raw)
    assert bytes(32) == GENESIS_PARENT


def test_a_header_names_its_own_place() -> None:
    assert (PARENT.index, PARENT.log_size) == (13, 14)
    entry = decode_entry(encode_header_entry(PARENT))
    assert entry == HeaderEntry(13, 4, 2, PARENT)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("version", 2),
        ("chain_id", bytes(31)),
        ("parent_hash", bytes(33)),
        ("height", -1),
        ("height", 2**53),
        ("time_ms", -1),
        ("time_ms", 2**53),
        ("proposer", -1),
        ("first_index", 2**64 - 1),
        ("count", -1),
        ("log_root", b""),
        ("state_root", bytes(31)),
        ("validators_hash", bytes(64)),
        ("rule_pack_version", -1),
    ],
)
def test_a_header_field_out_of_bounds_is_refused(field: str, value: Any) -> None:
    raw = encode(msgspec.structs.replace(PARENT, **{field: value}))
    assert refusal(decode_header, raw).reason is Reason.MALFORMED


def test_a_header_at_its_bounds_is_read() -> None:
    widest = Header(
        1, CHAIN, NUMBER_MAX, CHAIN, NUMBER_MAX, 63, NUMBER_MAX, NUMBER_MAX, *[CHAIN] * 3,
        NUMBER_MAX,
    )  # fmt: skip
    raw = encode_header(widest)
    assert decode_header(raw) == widest
    assert len(raw) <= 256


def test_entries_are_read_by_their_kind() -> None:
    envelope = Envelope(b"{}", [Signature(bytes(32), bytes(64), None)])
    outcome = refused("not_entitled", ("signer", "m-2"))
    assert decode_entry(encode_genesis_entry(b"{}")) == GenesisEntry(0, 0, 0, b"{}")
    assert decode_entry(
        join_transaction_entries(9, 2, [encode(envelope)], [encode(outcome)])[0]
    ) == TransactionEntry(9, 2, 1, envelope, outcome)


def test_an_entry_joined_from_bytes_is_the_same_entry() -> None:
    path = BatchPath(0, 2, [bytes(32)])
    envelope = Envelope(b"{}" * 200, [Signature(bytes(32), bytes(64), path)] * 2)
    outcome = refused("not_entitled", ("signer", "m-2"), ("n", 2**40))
    for first in (0, 126, 254, 2**16 - 2, 2**32 - 2, 2**33):
        joined = join_transaction_entries(first, 300, [encode(envelope)] * 3, [encode(outcome)] * 3)
        assert joined == [encode((first + at, 300, 1, envelope, outcome)) for at in range(3)]


@pytest.mark.parametrize("kind", [-1, 3, 255, 2**64 - 1])
def test_an_unknown_kind_of_entry_is_refused_by_name(kind: int) -> None:
    rejected = refusal(decode_entry, encode([0, 0, kind, b""]))
    assert str(rejected) == f"unknown_kind: entry: kind {kind}; known kinds are 0, 1 and 2"


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_one_kinds_content_is_not_anothers(kind: int) -> None:
    contents = [
        b"{}",
        [[b"{}", [[bytes(32), bytes(64), None]]], [False, "", []]],
        msgspec.msgpack.decode(encode_header(PARENT)),
    ]
    for content in range(3):
        parts = contents[content] if content == 1 else [contents[content]]
        raw = encode([0, 0, kind, *parts])
        if content == kind:
            decode_entry(raw)
        else:
            assert refusal(decode_entry, raw).reason in (Reason.MALFORMED, Reason.NOT_CANONICAL)


def test_an_entry_has_less_than_64_kib() -> None:
    raw = encode_genesis_entry(bytes(ENTRY_BYTES_MAX - 7))
    assert len(raw) == ENTRY_BYTES_MAX < 65_536
    decode_entry(raw)
    rejected = refusal(decode_entry, raw + b"\0")
    assert str(rejected) == "too_large: entry: 65536 bytes; at most 65535 are allowed"


def test_the_largest_transaction_with_the_largest_outcome_fits_an_entry() -> None:
    path = BatchPath(65_535, 65_536, [bytes(32)] * 16)
    signatures = [Signature(bytes(32), bytes(64), path)] * SIGNERS_MAX
    envelope = Envelope(bytes(BODY_BYTES_MAX), signatures)
    assert len(encode_envelope(envelope.body, signatures)) < ENVELOPE_BYTES_MAX
    name = "n" * 1_000
    outcome = refused("c", *[(name, 1)] * 16, ("rest", "r" * (EFFECTS_BYTES_MAX - 16_100)))
    assert EFFECTS_BYTES_MAX - 100 < len(encode(outcome)) <= EFFECTS_BYTES_MAX
    entry = join_transaction_entries(NUMBER_MAX, NUMBER_MAX, [encode(envelope)], [encode(outcome)])[
        0
    ]
    assert len(entry) <= ENTRY_BYTES_MAX
    # Even an envelope that is as long as one may be at all.
    assert ENVELOPE_BYTES_MAX + EFFECTS_BYTES_MAX + len(b"\x95" + 2 * b"\xcf12345678" + b"\1") <= (
        ENTRY_BYTES_MAX
    )


def test_a_successor_is_taken() -> None:
    check_successor(PARENT, CHILD)


@pytest.mark.parametrize(
    ("field", "value", "reason", "sentence"),
    [
        (
            "chain_id",
            bytes(32),
            Reason.WRONG_CHAIN,
            f"header 5: chain {bytes(32).hex()}, not {CHAIN.hex()}",
        ),
        ("height", 6, Reason.WRONG_HEIGHT, "header of height 6 cannot follow height 4"),
        ("height", 4, Reason.WRONG_HEIGHT, "header of height 4 cannot follow height 4"),
        (
            "parent_hash",
            bytes(32),
            Reason.BAD_FIELD,
            f"header 5: parent {bytes(32).hex()}, but block 4 has hash {CHILD.parent_hash.hex()}",
        ),
        (
            "first_index",
            13,
            Reason.BAD_FIELD,
            "header 5: first index 13, but the log has size 14",
        ),
        (
            "first_index",
            15,
            Reason.BAD_FIELD,
            "header 5: first index 15, but the log has size 14",
        ),
        (
            "time_ms",
            1_000,
            Reason.BAD_FIELD,
            "header 5: time 1000 is not after the parent's 1000",
        ),
        (
            "time_ms",
            999,
            Reason.BAD_FIELD,
            "header 5: time 999 is not after the parent's 1000",
        ),
    ],
)
def test_a_header_that_does_not_follow_is_refused(
    field: str, value: Any, reason: Reason, sentence: str
) -> None:
    wrong = msgspec.structs.replace(CHILD, **{field: value})
    rejected = refusal(check_successor, PARENT, wrong)
    assert (rejected.reason, rejected.detail) == (reason, sentence)
