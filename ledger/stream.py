"""Streams: every record of one contract, countable from one state value.

A contract's state value holds the count and the RFC 9162 root of the log entries that name it,
whatever their outcome. A proof of that one value, with the entries themselves, proves that the
record is complete: a missing, extra or reordered entry gives another root. The tree's peaks and
the id of its newest transaction stand beside the value in storage and are not part of what is
committed: anyone can compute them from the entries.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ledger import tags
from ledger.hashing import ZERO_HASH, tagged_hash
from ledger.merkle import Frontier
from ledger.wire import StrictDecoder, encode

EMPTY_STREAM_ROOT: Final = Frontier.empty().root()
"""Root of a stream without entries: SHA-256 of nothing (RFC 9162 section 2.1.1)."""


class StreamValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The authenticated value of a stream."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    root: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    record: list[Any] | None
    """The contract or party, as its module encodes it; None while only refused attempts exist."""


class StoredStream(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What storage keeps for a stream: the committed value and what lets it grow."""

    value: bytes
    peaks: bytes
    """The compact range of the stream's tree: 32 bytes per set bit of the count."""
    newest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)] = ZERO_HASH
    """Transaction id of the newest entry; 32 zero bytes while there is none."""


_value_decoder = StrictDecoder(StreamValue, "state value")
_stored_decoder: msgspec.msgpack.Decoder[StoredStream] = msgspec.msgpack.Decoder(StoredStream)


def encode_stream_value(value: StreamValue) -> bytes:
    """Return the bytes that the state tree commits to."""
    return encode(value)


def decode_stream_value(raw: bytes) -> StreamValue:
    """Read a state value strictly; raise `Rejected`."""
    return _value_decoder.decode(raw)


def decode_stored_stream(raw: bytes) -> StoredStream:
    """Read what this node itself stored."""
    return _stored_decoder.decode(raw)


def compute_state_key(stream: str) -> bytes:
    """Return a stream's 256-bit place in the state tree."""
    return tagged_hash(tags.STATE_KEY, stream.encode())


def compute_value_hash(value: bytes) -> bytes:
    """Return the hash of a state value's bytes."""
    return tagged_hash(tags.STATE_VALUE, value)
