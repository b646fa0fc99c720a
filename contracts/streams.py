"""Streams as execution reads them: a stored value decoded, and its entries one behind another.

What storage holds of a stream is its committed value with what the next entry needs: the peaks of
its entries' tree, and the newest entry's id, from which the older ones are found one by one. Each
reader gets a state of its own, to change as its block goes on. Pure: rows come through
`StateReader`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec

from contracts.handling import Past
from contracts.kinds import Record
from contracts.parties import PARTY_PREFIX, PartyRecord, party_stream
from ledger.block import decode_transaction_entry
from ledger.hashing import ZERO_HASH
from ledger.kernel import fold_peaks
from ledger.stream import (
    EMPTY_STREAM_ROOT,
    compute_state_keys,
    compute_value_hashes,
    decode_stored_stream,
    encode_stored_stream,
)
from ledger.transaction import Body, Outcome, read_body
from ledger.wire import encode


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A transaction's entry as storage has it."""

    raw: bytes
    """Leaf data."""
    time_ms: int
    """Of its block's header."""
    previous: bytes
    """Transaction id of the stream's entry before it, or 32 zero bytes."""
    previous_applied: bytes
    """Of the stream's applied entry before it, or 32 zero bytes; empty where that is `previous`,
    and of a refused one."""


class StateReader(Protocol):
    """What execution reads of the state before the block; storage implements it."""

    def state(self, stream: str) -> bytes | None:
        """Return a stream's stored value."""

    def states(self, streams: Sequence[str]) -> list[bytes | None]:
        """Return the stored value of each stream."""

    def transaction_height(self, tx_id: bytes) -> int | None:
        """Return the height of a transaction already on the chain."""

    def references(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """Return of each reference key (tx_id, header time) of the last transaction under it."""

    def entry(self, tx_id: bytes) -> StoredEntry | None:
        """Return a transaction's entry, or None; read only by the few kinds that look back."""


class _Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `ledger.stream.StreamValue` whose record has its own type."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    root: bytes
    record: Record | None


_value_decoder: Final = msgspec.msgpack.Decoder(_Value)


class StreamState(msgspec.Struct, gc=False):
    """One stream, decoded: the reader's own, to change as its block goes on."""

    count: int = 0
    """Its entries."""
    peaks: bytes = b""
    """Their tree's peaks, as `ledger.merkle.Frontier` holds them."""
    record: Record | None = None
    newest: bytes = ZERO_HASH
    """Transaction id of the newest entry, or 32 zero bytes."""
    applied: int = 0
    """Entries whose transaction was applied. A node that began with a snapshot knows them only of
    streams on which may be looked back (`contracts.lookback`); of others nobody may ask."""
    newest_applied: bytes = ZERO_HASH
    """Transaction id of the newest applied entry, or 32 zero bytes; known as `applied` is."""

    @property
    def refused(self) -> int:
        """Entries whose transaction was refused."""
        return self.count - self.applied

    @property
    def root(self) -> bytes:
        """RFC 9162 root of the stream's entries."""
        return fold_peaks(self.peaks) if self.count else EMPTY_STREAM_ROOT

    def encode(self) -> bytes:
        """Return the value to commit: `ledger.stream.StreamValue`."""
        return encode((self.count, self.root, self.record))


def commit_states(
    states: Sequence[tuple[str, StreamState]],
) -> tuple[dict[bytes, bytes], list[tuple[str, bytes]]]:
    """Return what a block commits of some named streams, and what storage keeps of them.

    That is key hash → value hash, as the state tree has it, and (name, stored value) of each. Step
    by step over all of them, which costs less than one after another.
    """
    values = [state.encode() for _, state in states]
    keys = compute_state_keys([name for name, _ in states])
    hashes = compute_value_hashes(values)
    stored = [
        (
            name,
            encode_stored_stream(
                value, state.peaks, state.newest, state.count - state.applied, state.newest_applied
            ),
        )
        for (name, state), value in zip(states, values, strict=True)
    ]
    return dict(zip(keys, hashes, strict=True)), stored


def decode_stream_state(raw: bytes | None) -> StreamState:
    """Return the stream stored as `raw`; an empty one for None."""
    if raw is None:
        return StreamState()
    stored = decode_stored_stream(raw)
    decoded = _value_decoder.decode(stored.value)
    count = decoded.count
    return StreamState(
        count, stored.peaks, decoded.record, stored.newest,
        count - stored.refused, stored.newest_applied,
    )  # fmt: skip


def decode_record(value: bytes) -> Record | None:
    """Return the record inside a committed state value."""
    return _value_decoder.decode(value).record


PARTIES_MAX: Final = 16_384
"""Party records kept decoded: every submitter of a city's pilot, at about 1 kB each."""


class Parties:
    """Party records at the applied height; nearly every transaction asks for the same few.

    Contracts are not kept decoded: a city has more of them than a block touches twice, and keeping
    one costs more than reading it again (measured: 14 µs against 5 with 100,000 contracts).
    """

    def __init__(self, reader: StateReader, records_max: int = PARTIES_MAX) -> None:
        self._reader = reader
        self._records_max = records_max
        self._records: dict[str, PartyRecord | None] = {}

    def get(self, party: str) -> PartyRecord | None:
        """Return a party's record as of the applied height."""
        records = self._records
        if party not in records:
            if len(records) >= self._records_max:
                records.clear()
            record = decode_stream_state(self._reader.state(party_stream(party))).record
            records[party] = record if isinstance(record, PartyRecord) else None
        return records[party]

    def forget(self, streams: Iterable[str]) -> None:
        """A committed block changed these streams."""
        for stream in streams:
            if stream.startswith(PARTY_PREFIX):
                self._records.pop(stream.removeprefix(PARTY_PREFIX), None)


def read_history(reader: StateReader, stream: str, count_max: int) -> list[Past] | None:
    """Return a stream's applied transactions at the applied height, oldest first.

    None if they are more: that is known before any is read. Refused ones, however many anybody
    heaps up between them, cost nothing.
    """
    state = decode_stream_state(reader.state(stream))
    if state.applied > count_max:
        return None
    found = [read_past(tx_id, entry) for tx_id, entry in walk_applied(reader.entry, stream, state)]
    found.reverse()
    return found


class EntriesMissing(LookupError):
    """Some entries of a stream, its oldest ones, are not at hand."""

    def __init__(self, stream: str, missing: int, count: int) -> None:
        super().__init__(f"{missing} of the {count} entries of {stream} are not at hand")
        self.stream = stream
        self.missing = missing
        self.count = count


def walk_back(
    read: Callable[[bytes], StoredEntry | None], stream: str, state: StreamState
) -> Iterator[tuple[bytes, StoredEntry]]:
    """Yield (tx_id, entry) of all entries of a stream as of `state`, newest first.

    Raises `EntriesMissing` where `read` does not give one, and whatever it raises itself.
    """
    return _walk(read, stream, state.newest, state.count, lambda stored: stored.previous)


def walk_applied(
    read: Callable[[bytes], StoredEntry | None], stream: str, state: StreamState
) -> Iterator[tuple[bytes, StoredEntry]]:
    """Yield (tx_id, entry) of the applied entries of a stream as of `state`, newest first.

    Raises as `walk_back` does.
    """
    return _walk(
        read,
        stream,
        state.newest_applied,
        state.applied,
        lambda stored: stored.previous_applied or stored.previous,
    )


def _walk(
    read: Callable[[bytes], StoredEntry | None],
    stream: str,
    tx_id: bytes,
    count: int,
    before: Callable[[StoredEntry], bytes],
) -> Iterator[tuple[bytes, StoredEntry]]:
    for left in range(count, 0, -1):
        stored = None if tx_id == ZERO_HASH else read(tx_id)
        if stored is None:
            raise EntriesMissing(stream, left, count)
        yield tx_id, stored
        tx_id = before(stored)


def read_past(tx_id: bytes, stored: StoredEntry) -> Past:
    """Return an earlier transaction from its entry."""
    entry = decode_transaction_entry(stored.raw)
    body = read_body(entry.envelope.body)
    return make_past(entry.index, tx_id, stored.time_ms, body, entry.outcome)


def make_past(position: int, tx_id: bytes, time_ms: int, body: Body, outcome: Outcome) -> Past:
    return Past(
        position, tx_id, time_ms, body.stream, body.kind, body.data, body.signers,
        outcome.refused, dict(outcome.effects),
    )  # fmt: skip
