"""Streams: every record of one contract, countable from one state value.

A contract's state value holds the count and the RFC 9162 root of the log entries that name it,
whatever their outcome. A proof of that one value, with the entries themselves, proves that the
record is complete: a missing, extra or reordered entry gives another root. The tree's peaks, the
id of its newest transaction and, where attempts were refused, how many and the newest that was
applied stand beside the value in storage and are not part of what is committed: anyone can compute
them from the entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash, tagged_hashes
from ledger.merkle import Frontier
from ledger.wire import StrictDecoder, encode

EMPTY_STREAM_ROOT: Final = Frontier.empty().root()
"""Root of a stream without entries: SHA-256 of nothing (RFC 9162 section 2.1.1)."""

_NEWEST_END: Final = 1 + HASH_BYTES
_COUNT_END: Final = _NEWEST_END + 8
_REFUSED_END: Final = _COUNT_END + HASH_BYTES
_HAS_REFUSED: Final = 0x80
"""Beside the number of peaks, of which there are at most 64."""


class StreamValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The authenticated value of a stream."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    root: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    record: list[Any] | None
    """The contract or party, as its module encodes it; None while only refused attempts exist."""


class StoredStream(msgspec.Struct, frozen=True, gc=False):
    """What storage keeps for a stream: the committed value and what lets it grow.

    As bytes: number of peaks (u8) ‖ newest ‖ peaks ‖ value, so that the value is cut out, not
    encoded anew. Where entries were refused, 0x80 is added to the first byte, and their number
    (u64) ‖ newest_applied stand after newest.
    """

    value: bytes
    """An encoded `StreamValue`."""
    peaks: bytes
    """The peaks of the stream's tree: 32 bytes per set bit of the count."""
    newest: bytes
    """Transaction id of the newest entry; 32 zero bytes while there is none."""
    refused: int
    """Entries whose transaction was refused."""
    newest_applied: bytes
    """Transaction id of the newest entry whose transaction was applied; `newest` while none was
    refused, else 32 zero bytes while there is none."""


_value_decoder = StrictDecoder(StreamValue, "state value")


def encode_stream_value(value: StreamValue) -> bytes:
    """Return the bytes that the state tree commits to."""
    return encode(value)


def decode_stream_value(raw: bytes) -> StreamValue:
    """Read a state value strictly; raise `Rejected`."""
    return _value_decoder.decode(raw)


def encode_stored_stream(
    value: bytes, peaks: bytes, newest: bytes, refused: int = 0, newest_applied: bytes = b""
) -> bytes:
    """Return what storage keeps; `newest_applied` is looked at only where some were refused."""
    count = len(peaks) // HASH_BYTES
    if not refused:
        return b"%c%b%b%b" % (count, newest, peaks, value)
    number = refused.to_bytes(8)
    return b"%c%b%b%b%b%b" % (count | _HAS_REFUSED, newest, number, newest_applied, peaks, value)


def decode_stored_stream(raw: bytes) -> StoredStream:
    """Read what this node itself stored."""
    newest = raw[1:_NEWEST_END]
    count = raw[0]
    if count < _HAS_REFUSED:
        end = _NEWEST_END + count * HASH_BYTES
        return StoredStream(raw[end:], raw[_NEWEST_END:end], newest, 0, newest)
    refused = int.from_bytes(raw[_NEWEST_END:_COUNT_END])
    end = _REFUSED_END + (count - _HAS_REFUSED) * HASH_BYTES
    peaks = raw[_REFUSED_END:end]
    return StoredStream(raw[end:], peaks, newest, refused, raw[_COUNT_END:_REFUSED_END])


def count_refused(raw: bytes) -> int:
    """Return how many entries of a stored stream were refused, without reading the rest."""
    return int.from_bytes(raw[_NEWEST_END:_COUNT_END]) if raw[0] & _HAS_REFUSED else 0


def compute_state_key(stream: str) -> bytes:
    """Return a stream's 256-bit place in the state tree."""
    return tagged_hash(tags.STATE_KEY, stream.encode())


def compute_state_keys(streams: Sequence[str]) -> list[bytes]:
    """Return `compute_state_key` of each stream."""
    return tagged_hashes(tags.STATE_KEY, [stream.encode() for stream in streams])


def compute_value_hash(value: bytes) -> bytes:
    """Return the hash of a state value's bytes."""
    return tagged_hash(tags.STATE_VALUE, value)


def compute_value_hashes(values: Sequence[bytes]) -> list[bytes]:
    """Return `compute_value_hash` of each value."""
    return tagged_hashes(tags.STATE_VALUE, values)
