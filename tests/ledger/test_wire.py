"""One spelling only, for every struct that is hashed, signed or sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import (
    Header,
    decode_entry,
    decode_header,
    encode_genesis_entry,
    encode_header,
    encode_header_entry,
    join_transaction_entries,
)
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    CosignedTree,
    ViewChangeEquivocation,
    VoteEquivocation,
    decode_equivocation,
    encode_equivocation,
)
from ledger.refusal import Reason, Rejected
from ledger.state_proof import StateProof
from ledger.state_tree import decode_state_proof, encode_state_proof
from ledger.stream import StreamValue, decode_stream_value, encode_stream_value
from ledger.transaction import (
    BatchPath,
    Envelope,
    Outcome,
    Signature,
    applied,
    encode_envelope,
    refused,
)
from ledger.votes import (
    CommitCertificate,
    PreparedClaim,
    SignedBy,
    ViewClaim,
    Vote,
    decode_commit_certificate,
    encode_commit_certificate,
)
from ledger.wire import StrictDecoder, encode

H = bytes(range(32))
S = bytes(range(64))
SIGNATURES = [Signature(H, S, None), Signature(H, S, BatchPath(1, 3, [H, H]))]
ENVELOPE = Envelope(b'{"a":1}', SIGNATURES)
HEADER = Header(1, H, 300, H, 1_767_225_600_000, 3, 70_000, 2, H, H, H, 1)

DECODERS = {
    "envelope": StrictDecoder(Envelope, "envelope").decode,
    "outcome": StrictDecoder(Outcome, "outcome").decode,
    "header": decode_header,
    "entry": decode_entry,
    "value": decode_stream_value,
    "proof": decode_state_proof,
    "certificate": decode_commit_certificate,
    "equivocation": decode_equivocation,
}
EXAMPLES = {
    "envelope": ("envelope", encode_envelope(b'{"a":1}', SIGNATURES)),
    "outcome-applied": ("outcome", encode(applied(("paid", 5), ("who", "m-1"), ("less", -7)))),
    "outcome-refused": ("outcome", encode(refused("insufficient_locked", ("locked", 2**40)))),
    "header": ("header", encode_header(HEADER)),
    "genesis-entry": ("entry", encode_genesis_entry(b'{"format":1}')),
    "transaction-entry": (
        "entry",
        join_transaction_entries(5, 2, [encode(ENVELOPE)], [encode(applied(("n", 1)))])[0],
    ),
    "header-entry": ("entry", encode_header_entry(HEADER)),
    "value-empty": ("value", encode_stream_value(StreamValue(0, H, None))),
    "value-party": (
        "value",
        encode_stream_value(StreamValue(3, H, ["party", "m-1", "merchant", "", [[H, 1, 0]]])),
    ),
    "proof": ("proof", encode_state_proof(StateProof(2, b"\xc0", (H, H), None))),
    "absence-proof": ("proof", encode_state_proof(StateProof(1, b"\x80", (H,), (H, H)))),
    "certificate": (
        "certificate",
        encode_commit_certificate(CommitCertificate(5, 0, H, (SignedBy(0, S), SignedBy(2, S)))),
    ),
    "equivocation": (
        "equivocation",
        encode_equivocation(
            VoteEquivocation(Vote(2, 5, 0, H, 1, S), Vote(2, 5, 0, bytes(reversed(H)), 1, S))
        ),
    ),
    "two-view-changes": (
        "equivocation",
        encode_equivocation(
            ViewChangeEquivocation(
                ViewClaim(5, 2, None, 1, S), ViewClaim(5, 2, PreparedClaim(1, H), 1, S)
            )
        ),
    ),
    "amnesia": (
        "equivocation",
        encode_equivocation(Amnesia(Vote(2, 5, 0, H, 1, S), ViewClaim(5, 1, None, 1, S))),
    ),
    "fork": (
        "equivocation",
        encode_equivocation(
            CheckpointFork(
                1,
                "n/0123456789abcdef",
                CosignedTree(5, H, S + S[:8]),
                CosignedTree(9, H, S + S[:8]),
                H,
                (H, H),
            )
        ),
    ),
}

FREE = {"value-party"}
"""Its record is any array here; contracts.execution reads it in its own type."""

parametrize = pytest.mark.parametrize("example", EXAMPLES)
parametrize_typed = pytest.mark.parametrize("example", sorted(set(EXAMPLES) - FREE))


def reason_of(example: str, raw: bytes) -> Reason:
    with pytest.raises(Rejected) as caught:
        DECODERS[EXAMPLES[example][0]](raw)
    return caught.value.reason


@parametrize
def test_reads_what_it_writes_and_msgpack_writes_the_same(example: str) -> None:
    decoder, raw = EXAMPLES[example]
    value = DECODERS[decoder](raw)
    plain = msgpack.unpackb(raw)
    assert msgpack.packb(plain) == raw
    if example.endswith("proof"):
        assert encode_state_proof(value) == raw
    else:
        assert encode(value) == raw


def spell_wider(value: Any) -> Iterator[bytes]:
    """Every MessagePack spelling of `value` whose outermost header is not the shortest."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        shortest = msgpack.packb(value)
        for head, size, signed in (
            (0xCC, 1, False), (0xCD, 2, False), (0xCE, 4, False), (0xCF, 8, False),
            (0xD0, 1, True), (0xD1, 2, True), (0xD2, 4, True), (0xD3, 8, True),
        ):  # fmt: skip
            try:
                spelling = bytes([head]) + value.to_bytes(size, "big", signed=signed)
            except OverflowError:
                continue
            if spelling != shortest:
                yield spelling
        yield b"\xcb" + msgpack.packb(float(value))[1:]
        if value in (0, 1):
            yield b"\xc3" if value else b"\xc2"
        return
    if isinstance(value, bytes):
        heads = ((0xC4, 1), (0xC5, 2), (0xC6, 4))
        content = value
    elif isinstance(value, str):
        heads = ((0xD9, 1), (0xDA, 2), (0xDB, 4))
        content = value.encode()
    else:
        heads = ((0xDC, 2), (0xDD, 4))
        content = b"".join([msgpack.packb(item) for item in value])
    shortest = msgpack.packb(value)
    for head, size in heads:
        if len(value) >= 256**size:
            continue
        spelling = bytes([head]) + len(value).to_bytes(size, "big") + content
        if spelling != shortest:
            yield spelling
    if isinstance(value, bytes):  # a string of the same bytes
        yield b"\xdb" + len(value).to_bytes(4, "big") + value
    elif isinstance(value, str):  # a byte string of the same text
        yield msgpack.packb(content)


def mutate_everywhere(value: Any) -> Iterator[bytes]:
    """`value` with exactly one of its parts in a second spelling, for every part and spelling."""
    yield from spell_wider(value)
    if isinstance(value, list):
        packed = [msgpack.packb(item) for item in value]
        head = msgpack.Packer().pack_array_header(len(value))
        for place, item in enumerate(value):
            for spelling in mutate_everywhere(item):
                yield head + b"".join([*packed[:place], spelling, *packed[place + 1 :]])


@parametrize_typed
def test_every_second_spelling_of_every_part_is_refused(example: str) -> None:
    raw = EXAMPLES[example][1]
    spellings = list(mutate_everywhere(msgpack.unpackb(raw)))
    assert len(spellings) > 10
    for spelling in spellings:
        assert spelling != raw
        assert reason_of(example, spelling) in (
            Reason.NOT_CANONICAL,
            Reason.MALFORMED,
            Reason.BAD_PROOF,
        ), spelling.hex()


def resize_everywhere(value: list[Any]) -> Iterator[list[Any]]:
    """`value` with one array in it longer or shorter by one."""
    yield [*value, None]
    yield [*value, 0]
    yield value[:-1]
    for place, item in enumerate(value):
        if isinstance(item, list) and item:
            for changed in resize_everywhere(item):
                yield [*value[:place], changed, *value[place + 1 :]]


@parametrize_typed
def test_a_longer_or_shorter_array_is_refused_or_another_value(example: str) -> None:
    decoder, raw = EXAMPLES[example]
    for changed in resize_everywhere(msgpack.unpackb(raw)):
        other = msgpack.packb(changed)
        try:
            value = DECODERS[decoder](other)
        except Rejected:
            continue
        again = encode_state_proof(value) if decoder == "proof" else encode(value)
        assert again == other != raw  # a list that may be of any length


@parametrize
def test_bytes_around_it_are_refused(example: str) -> None:
    raw = EXAMPLES[example][1]
    for other in (raw + b"\xc0", raw + raw, raw[:-1], raw[1:], b"\xc0" + raw, b"", raw + b"\0"):
        assert reason_of(example, other) in (Reason.MALFORMED, Reason.NOT_CANONICAL)


@parametrize
def test_a_map_in_place_of_an_array_is_refused(example: str) -> None:
    value = msgpack.unpackb(EXAMPLES[example][1])
    as_map = msgpack.packb(dict(enumerate(value)))
    named = msgpack.packb({f"field{at}": item for at, item in enumerate(value)})
    for other in (as_map, named):
        assert reason_of(example, other) in (Reason.MALFORMED, Reason.NOT_CANONICAL)


@parametrize
@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"\x91" * 50_000, id="deep-and-cut-off"),
        pytest.param(b"\x91" * 50_000 + b"\xc0", id="deep"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="four-billion-elements"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="four-billion-bytes"),
        pytest.param(b"\xa1\xff", id="not-utf8"),
        pytest.param(b"\xc1", id="never-used-byte"),
        pytest.param(b"\xd6\xff\x00\x00\x00\x01", id="timestamp"),
        pytest.param(b"\xcf" + b"\xff" * 8, id="2^64-1"),
        pytest.param(b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", id="nan"),
    ],
)
def test_hostile_bytes_at_any_place_are_a_named_refusal(example: str, tail: bytes) -> None:
    raw = EXAMPLES[example][1]
    decode = DECODERS[EXAMPLES[example][0]]
    for place in range(len(raw)):
        try:
            value = decode(raw[:place] + tail)
        except Rejected:
            continue
        again = encode_state_proof(value) if "proof" in example else encode(value)
        assert again == raw[:place] + tail


@given(st.sampled_from(sorted(EXAMPLES)), st.binary(max_size=80), st.data())
def test_noise_is_a_named_refusal_or_the_one_spelling(
    example: str, noise: bytes, data: st.DataObject
) -> None:
    decoder, raw = EXAMPLES[example]
    at = data.draw(st.integers(0, len(raw)))
    until = data.draw(st.integers(at, len(raw)))
    mixed = raw[:at] + noise + raw[until:]
    try:
        value = DECODERS[decoder](mixed)
    except Rejected:
        return
    again = encode_state_proof(value) if decoder == "proof" else encode(value)
    assert again == mixed


def test_a_refusal_names_what_was_read() -> None:
    with pytest.raises(Rejected) as caught:
        decode_header(b"\x01")
    assert str(caught.value) == "malformed: header: Expected `array`, got `int`"
    with pytest.raises(Rejected) as caught:
        StrictDecoder(int, "number").decode(b"\xcc\x05")
    assert str(caught.value) == (
        "not_canonical: number: these 2 bytes are not the one encoding of their value"
    )
