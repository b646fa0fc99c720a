"""Streams: every record of one contract, countable from one state value.

A contract's state value holds the count and the RFC 9162 root of the log entries that name it,
whatever their outcome. A proof of that one value, with the entries themselves, proves that the
record is complete: a missing, extra or reordered entry gives another root. The tree's peaks and
the id of its newest transaction stand beside the value in storage and are not part of what is
committed: anyone can compute them from the entries.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import msgspec

from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.merkle import Frontier
from ledger.wire import StrictDecoder, encode

EMPTY_STREAM_ROOT: Final = Frontier.empty().root()
"""Root of a stream without entries: SHA-256 of nothing (RFC 9162 section 2.1.1)."""

_PEAKS_START: Final = 1 + HASH_BYTES


class StreamValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The authenticated value of a stream."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    root: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    record: list[Any] | None
    """The contract or party, as its module encodes it; None while only refused attempts exist."""


class StoredStream(NamedTuple):
    """What storage keeps for a stream: the committed value and what lets it grow.

    As bytes: number of peaks (u8) ‖ newest ‖ peaks ‖ value, so that the value is cut out, not
    encoded anew.
    """

    value: bytes
    """An encoded `StreamValue`."""
    peaks: bytes
    """The peaks of the stream's tree: 32 bytes per set bit of the count."""
    newest: bytes
    """Transaction id of the newest entry; 32 zero bytes while there is none."""


_value_decoder = StrictDecoder(StreamValue, "state value")


def encode_stream_value(value: StreamValue) -> bytes:
    """Return the bytes that the state tree commits to."""
    return encode(value)


def decode_stream_value(raw: bytes) -> StreamValue:
    """Read a state value strictly; raise `Rejected`."""
    return _value_decoder.decode(raw)


def encode_stored_stream(value: bytes, peaks: bytes, newest: bytes) -> bytes:
    """Return what storage keeps."""
    return b"%c%b%b%b" % (len(peaks) // HASH_BYTES, newest, peaks, value)


def decode_stored_stream(raw: bytes) -> StoredStream:
    """Read what this node itself stored."""
    end = _PEAKS_START + raw[0] * HASH_BYTES
    return StoredStream(raw[end:], raw[_PEAKS_START:end], raw[1:_PEAKS_START])


def compute_state_key(stream: str) -> bytes:
    """Return a stream's 256-bit place in the state tree."""
    return tagged_hash(tags.STATE_KEY, stream.encode())


def compute_value_hash(value: bytes) -> bytes:
    """Return the hash of a state value's bytes."""
    return tagged_hash(tags.STATE_VALUE, value)
