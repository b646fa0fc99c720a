"""Entries, headers and blocks: the shape of the chain.

An entry is the leaf data of one global RFC 9162 log: `[index, height, kind, …]`. Its position is
inside the leaf, because an inclusion path alone does not bind it in every receipt format. A block
is its transaction entries followed by its header as the last entry, so the log's root commits to
everything. A header holds no view: the block a new primary proposes again is the same bytes.

Order of computation, which closes: transactions → outcomes → entry bytes and leaf hashes → stream
roots → state root → log root → header → block hash → votes → the header as a leaf → checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from ledger import tags
from ledger.hashing import ZERO_HASH, tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.transaction import Envelope, Outcome
from ledger.wire import WIRE_ERRORS, StrictDecoder, encode

HEADER_VERSION: Final = 1
ENTRY_BYTES_MAX: Final = 65_535
"""C2SP tlog-tiles writes an entry's length in two bytes."""

GENESIS_PARENT: Final = ZERO_HASH
"""Parent hash of height 0, which has none."""

KIND_GENESIS: Final = 0
KIND_TRANSACTION: Final = 1
KIND_HEADER: Final = 2

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a block's votes are about."""

    version: Annotated[int, msgspec.Meta(ge=HEADER_VERSION, le=HEADER_VERSION)]
    chain_id: Hash
    height: Count
    parent_hash: Hash
    """Block hash of the header one height below; 32 zero bytes at height 0."""
    time_ms: Count
    """Milliseconds since 1970 UTC, greater than the parent's."""
    proposer: Count
    """Replica number of the primary that first proposed this block."""
    first_index: Count
    """Log index of the block's first entry."""
    count: Count
    """Entries of the block before this header; the header's index is first_index + count."""
    log_root: Hash
    """RFC 9162 root of the log up to, and without, this header."""
    state_root: Hash
    """Root of the state tree after this block."""
    validators_hash: Hash
    """Hash of the validator set that votes on this block."""
    rule_pack_version: Count

    @property
    def index(self) -> int:
        """The header's own index in the log."""
        return self.first_index + self.count

    @property
    def log_size(self) -> int:
        """Size of the log once this header is in it: what this block's checkpoint names."""
        return self.first_index + self.count + 1


_header_decoder = StrictDecoder(Header, "header")


def encode_header(header: Header) -> bytes:
    """Return the header's bytes."""
    return encode(header)


def decode_header(raw: bytes) -> Header:
    """Read a header strictly; raise `Rejected`."""
    return _header_decoder.decode(raw)


def compute_block_hash(header: bytes) -> bytes:
    """Return the hash of a header's bytes, which names the block."""
    return tagged_hash(tags.BLOCK, header)


class GenesisEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Entry 0: the genesis document's exact bytes."""

    index: Count
    height: Count
    kind: Annotated[int, msgspec.Meta(ge=KIND_GENESIS, le=KIND_GENESIS)]
    document: bytes


class TransactionEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transaction with its outcome."""

    index: Count
    height: Count
    kind: Annotated[int, msgspec.Meta(ge=KIND_TRANSACTION, le=KIND_TRANSACTION)]
    envelope: Envelope
    outcome: Outcome


class HeaderEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A block's header, the last of its entries."""

    index: Count
    height: Count
    kind: Annotated[int, msgspec.Meta(ge=KIND_HEADER, le=KIND_HEADER)]
    header: Header


Entry = GenesisEntry | TransactionEntry | HeaderEntry

_entry_decoders: Final = {
    KIND_GENESIS: StrictDecoder(GenesisEntry, "genesis entry"),
    KIND_TRANSACTION: StrictDecoder(TransactionEntry, "transaction entry"),
    KIND_HEADER: StrictDecoder(HeaderEntry, "header entry"),
}


class _EntryStart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    index: Count
    height: Count
    kind: int


_start_decoder = msgspec.msgpack.Decoder(_EntryStart)


def decode_entry(raw: bytes) -> Entry:
    """Read an entry strictly; raise `Rejected`."""
    if len(raw) > ENTRY_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE, f"entry: {len(raw)} bytes; at most {ENTRY_BYTES_MAX} are allowed"
        )
    try:
        kind = _start_decoder.decode(raw).kind
    except WIRE_ERRORS as error:
        raise Rejected(Reason.MALFORMED, f"entry: {error}") from None
    decoder = _entry_decoders.get(kind)
    if decoder is None:
        raise Rejected(Reason.UNKNOWN_KIND, f"entry: kind {kind}; known kinds are 0, 1 and 2")
    return decoder.decode(raw)  # type: ignore[no-any-return,attr-defined]


def decode_transaction_entry(raw: bytes) -> TransactionEntry:
    """Read a transaction's entry strictly; raise `Rejected`, also where it is another kind's."""
    entry = decode_entry(raw)
    if not isinstance(entry, TransactionEntry):
        raise Rejected(Reason.BAD_FIELD, f"entry {entry.index} is no transaction")
    return entry


_ARRAY_OF_FIVE: Final = encode((None,) * 5)[:1]
"""How MessagePack begins an array of five."""


def encode_genesis_entry(document: bytes) -> bytes:
    """Return entry 0."""
    return encode(GenesisEntry(0, 0, KIND_GENESIS, document))


def join_transaction_entries(
    first_index: int, height: int, envelopes: Sequence[bytes], outcomes: Sequence[bytes]
) -> list[bytes]:
    """Return the entries of consecutive transactions from their envelopes' and outcomes' bytes."""
    array = _ARRAY_OF_FIVE
    middle = encode(height) + encode(KIND_TRANSACTION)
    places = [encode(index) for index in range(first_index, first_index + len(envelopes))]
    return [
        b"".join((array, place, middle, envelope, outcome))
        for place, envelope, outcome in zip(places, envelopes, outcomes, strict=True)
    ]


def encode_header_entry(header: Header) -> bytes:
    """Return a header's entry; its index and height are the header's own."""
    return encode(HeaderEntry(header.index, header.height, KIND_HEADER, header))


def read_block_header(entries: Sequence[bytes]) -> Header:
    """Return the header that a block's entries end with; raise `Rejected`."""
    if not entries:
        raise Rejected(Reason.MALFORMED, "block without entries")
    last = decode_entry(entries[-1])
    if not isinstance(last, HeaderEntry):
        raise Rejected(Reason.MALFORMED, "block whose last entry is not its header")
    if last.header.count != len(entries) - 1:
        raise Rejected(
            Reason.BAD_FIELD,
            f"header counts {last.header.count} entries before it, the block has "
            f"{len(entries) - 1}",
        )
    return last.header


def check_successor(parent: Header, header: Header) -> None:
    """Raise `Rejected` unless `header` follows `parent` on the chain."""
    expected_parent = compute_block_hash(encode_header(parent))
    if header.chain_id != parent.chain_id:
        raise Rejected(
            Reason.WRONG_CHAIN,
            f"header {header.height}: chain {header.chain_id.hex()}, not {parent.chain_id.hex()}",
        )
    if header.height != parent.height + 1:
        raise Rejected(
            Reason.WRONG_HEIGHT,
            f"header of height {header.height} cannot follow height {parent.height}",
        )
    if header.parent_hash != expected_parent:
        raise Rejected(
            Reason.BAD_FIELD,
            f"header {header.height}: parent {header.parent_hash.hex()}, but block "
            f"{parent.height} has hash {expected_parent.hex()}",
        )
    if header.first_index != parent.log_size:
        raise Rejected(
            Reason.BAD_FIELD,
            f"header {header.height}: first index {header.first_index}, but the log has size "
            f"{parent.log_size}",
        )
    if header.time_ms <= parent.time_ms:
        raise Rejected(
            Reason.BAD_FIELD,
            f"header {header.height}: time {header.time_ms} is not after the parent's "
            f"{parent.time_ms}",
        )
