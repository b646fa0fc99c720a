"""Streams: one value from which a whole record can be counted."""

from __future__ import annotations

import msgpack
import pytest

from ledger.hashing import sha256
from ledger.merkle import Frontier, compute_root
from ledger.refusal import Reason, Rejected
from ledger.stream import (
    EMPTY_STREAM_ROOT,
    StoredStream,
    StreamValue,
    compute_state_key,
    compute_value_hash,
    count_refused,
    decode_stored_stream,
    decode_stream_value,
    encode_stored_stream,
    encode_stream_value,
)


def test_an_empty_stream_has_the_root_of_nothing() -> None:
    assert sha256(b"") == EMPTY_STREAM_ROOT


@pytest.mark.parametrize("record", [None, ["party", "m-1"], ["prepaid", 1, b"\0"]])
def test_a_value_is_count_root_and_record(record: list[object] | None) -> None:
    raw = encode_stream_value(StreamValue(2, bytes(32), record))
    assert msgpack.unpackb(raw) == [2, bytes(32), record]
    assert decode_stream_value(raw) == StreamValue(2, bytes(32), record)


@pytest.mark.parametrize("value", [[-1, bytes(32), None], [0, bytes(31), None], [0, bytes(32), 1]])
def test_a_value_out_of_bounds_is_refused(value: list[object]) -> None:
    with pytest.raises(Rejected) as caught:
        decode_stream_value(msgpack.packb(value))
    assert caught.value.reason is Reason.MALFORMED


def test_key_and_value_have_hashes_of_their_own() -> None:
    assert compute_state_key("contract/卡") == sha256(
        b"evidence-ledger/v1/state-key\0" + "contract/卡".encode()
    )
    assert compute_value_hash(b"v") == sha256(b"evidence-ledger/v1/state-value\0v")


def test_what_storage_keeps_lets_the_stream_grow() -> None:
    leaves = [sha256(bytes([number])) for number in range(11)]
    frontier = Frontier.empty().extend(leaves[:7])
    value = encode_stream_value(StreamValue(7, frontier.root(), None))
    stored = decode_stored_stream(encode_stored_stream(value, frontier.peaks, leaves[6]))
    assert stored.newest == leaves[6]
    grown = Frontier.from_peaks(decode_stream_value(stored.value).count, stored.peaks)
    assert grown.extend(leaves[7:]).root() == compute_root(leaves)
    assert stored == StoredStream(value, frontier.peaks, leaves[6], 0, leaves[6])


@pytest.mark.parametrize("count", [0, 1, 7, 2**53 - 1])
def test_what_storage_keeps_of_refused_entries_stands_only_where_there_are_some(count: int) -> None:
    peaks = bytes(range(32)) * count.bit_count()
    newest, applied = sha256(b"newest"), sha256(b"applied")
    plain = encode_stored_stream(b"value", peaks, newest, 0, applied)
    assert plain == encode_stored_stream(b"value", peaks, newest)
    assert decode_stored_stream(plain) == StoredStream(b"value", peaks, newest, 0, newest)
    assert count_refused(plain) == 0
    for refused in (1, 300, 2**53 - 1):
        raw = encode_stored_stream(b"value", peaks, newest, refused, applied)
        assert len(raw) == len(plain) + 40
        assert count_refused(raw) == refused
        assert decode_stored_stream(raw) == StoredStream(b"value", peaks, newest, refused, applied)
