"""Executing a block: transactions in, entries, roots and header out. Pure.

    transactions → admissible? → outcomes → entries, leaf hashes → streams → state root
                 → log root → header → block hash

`Admissible` is a function of the state before the block, the header's time and the envelope. One
inadmissible transaction makes the whole block invalid. Whatever comes later is an outcome,
`applied` or `refused`. An exception that is neither is a mistake of ours: the node cannot vote on
that block (`ExecutionFailed`), and says at which transaction.

Nothing here changes the state it reads: the result carries everything that commits it, so a
proposal that is never decided leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import msgspec

from contracts.handling import Context, Refusal
from contracts.kinds import Kind, Record, parse_data
from contracts.parties import PARTY_PREFIX, PartyRecord, check_key, party_stream
from ledger.block import (
    ENTRY_BYTES_MAX,
    HEADER_VERSION,
    Header,
    compute_block_hash,
    encode_header,
    encode_header_entry,
    join_transaction_entry,
)
from ledger.hashing import ZERO_HASH
from ledger.kernel import append_peak, fold_peaks, leaf_hash
from ledger.merkle import Frontier
from ledger.refusal import Reason, Rejected
from ledger.state_tree import StateTree, TreeUpdate
from ledger.stream import (
    EMPTY_STREAM_ROOT,
    compute_state_key,
    compute_value_hash,
    decode_stored_stream,
    encode_stored_stream,
)
from ledger.transaction import EFFECTS_BYTES_MAX, Outcome, Transaction, refused
from ledger.validators import ValidatorSet
from ledger.wire import encode


class ExecutionFailed(Exception):
    """Executing one transaction raised: this node cannot vote on a block that holds it."""

    def __init__(self, position: int, tx_id: bytes, cause: BaseException) -> None:
        super().__init__(
            f"transaction {position} ({tx_id.hex()}) could not be executed: "
            f"{type(cause).__name__}: {cause}"
        )
        self.position = position
        self.tx_id = tx_id


class Inadmissible(Exception):
    """A block holds a transaction that may not be in it."""

    def __init__(self, position: int, tx_id: bytes, rejected: Rejected) -> None:
        super().__init__(f"transaction {position} ({tx_id.hex()}) is inadmissible: {rejected}")
        self.position = position
        self.tx_id = tx_id
        self.rejected = rejected


class StateReader(Protocol):
    """What execution reads of the state before the block; storage implements it."""

    def state(self, stream: str) -> bytes | None:
        """Return a stream's stored value."""

    def transaction_height(self, tx_id: bytes) -> int | None:
        """Return the height of a transaction already on the chain."""

    def reference(self, key: bytes) -> tuple[bytes, int] | None:
        """Return (tx_id, header time) of the last transaction under a reference key."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The parameters of genesis that decide admissibility."""

    replay_window_ms: int
    """W: how far ahead of the header's time a transaction's `not_after` may lie."""
    reference_window_ms: int
    """How long a business reference stays taken."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A transaction with its kind's rules and data, parsed once."""

    transaction: Transaction
    kind: Kind | None
    """None when the data is misshapen or the kind unknown: such a one is recorded as refused."""
    data: Any


def parse_candidate(transaction: Transaction) -> Candidate:
    """Return the candidate; misshapen data is no exception here, see `Candidate.kind`."""
    try:
        kind, data = parse_data(transaction.body)
    except Rejected:
        return Candidate(transaction, None, None)
    return Candidate(transaction, kind, data)


class _Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `ledger.stream.StreamValue` whose record has its own type."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    root: bytes
    record: Record | None


_value_decoder: Final = msgspec.msgpack.Decoder(_Value)


class StreamState(msgspec.Struct, frozen=True, gc=False):
    """One stream, decoded."""

    count: int
    """Its entries."""
    peaks: bytes
    """Their tree's peaks, as `ledger.merkle.Frontier` holds them."""
    record: Record | None
    newest: bytes
    """Transaction id of the newest entry, or 32 zero bytes."""
    value: bytes
    """The committed value as of the applied height; empty where the stream is new."""

    @property
    def root(self) -> bytes:
        """RFC 9162 root of the stream's entries."""
        return fold_peaks(self.peaks) if self.count else EMPTY_STREAM_ROOT

    def encode(self) -> bytes:
        """Return the value to commit: `ledger.stream.StreamValue`."""
        return encode((self.count, self.root, self.record))


NEW_STREAM: Final = StreamState(0, b"", None, ZERO_HASH, b"")


def decode_stream_state(raw: bytes | None) -> StreamState:
    """Return the stream stored as `raw`; an empty one for None."""
    if raw is None:
        return NEW_STREAM
    value, peaks, newest = decode_stored_stream(raw)
    decoded = _value_decoder.decode(value)
    return StreamState(decoded.count, peaks, decoded.record, newest, value)


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


class EntryRow(msgspec.Struct, frozen=True, gc=False):
    """What the index keeps of one transaction of a block."""

    tx_id: bytes
    reference_key: bytes
    """Empty when the reference was already taken: the first one keeps it."""
    previous: bytes
    """Transaction id of the stream's previous entry, or 32 zero bytes."""


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block and everything that commits it."""

    header: Header
    header_bytes: bytes
    block_hash: bytes
    entries: list[bytes]
    """Leaf data, the header's entry last."""
    leaf_hashes: list[bytes]
    """RFC 9162 leaf hashes of `entries`."""
    outcomes: list[Outcome]
    rows: list[EntryRow]
    streams: dict[str, StreamState]
    stored: list[tuple[str, bytes]]
    tree: TreeUpdate
    log: Frontier
    """The log after this block, its header included."""


@dataclass(slots=True)
class Chain:
    """The state at the applied height, as execution needs it; `adopt` moves it on."""

    chain_id: bytes
    validators: ValidatorSet
    limits: Limits
    reader: StateReader
    parties: Parties
    tree: StateTree
    header: Header
    """The newest applied header."""
    header_bytes: bytes
    header_hash: bytes
    log: Frontier

    def adopt(self, block: ExecutedBlock) -> None:
        """Move on to `block`, which has been committed durably."""
        self.tree.apply(block.tree)
        self.parties.forget(block.streams)
        self.header = block.header
        self.header_bytes = block.header_bytes
        self.header_hash = block.block_hash
        self.log = block.log

    def stream(self, stream: str) -> StreamState:
        """Return a stream at the applied height."""
        return decode_stream_state(self.reader.state(stream))

    def party(self, party: str) -> PartyRecord | None:
        """Return a party's record at the applied height."""
        return self.parties.get(party)


def check_keys(
    transaction: Transaction,
    height: int,
    party: Callable[[str], PartyRecord | None],
    known: set[tuple[str, bytes]],
) -> None:
    """Raise `Rejected` unless each signature's key signs for its signer in a block at `height`.

    `known` holds the (party, key) pairs already found valid at that height, and grows.
    """
    for signer, signature in zip(
        transaction.body.signers, transaction.envelope.signatures, strict=True
    ):
        pair = (signer, signature.public_key)
        if pair not in known:
            check_key(party(signer), signer, signature.public_key, height)
            known.add(pair)


def check_time(transaction: Transaction, time_ms: int, window_ms: int) -> None:
    """Raise `Rejected` unless header.time ≤ not_after ≤ header.time + W."""
    not_after = transaction.body.not_after
    if not_after < time_ms:
        raise Rejected(
            Reason.STALE,
            f"not_after {not_after} is {time_ms - not_after} ms before {time_ms}; sign it anew "
            "with a later not_after",
        )
    if not_after > time_ms + window_ms:
        raise Rejected(
            Reason.TOO_FAR_AHEAD,
            f"not_after {not_after} lies {not_after - time_ms} ms after {time_ms}; at most "
            f"{window_ms} ms are allowed",
        )


class Executor:
    """Executes one block over a `Chain`, transaction by transaction, without changing it."""

    def __init__(self, chain: Chain, time_ms: int) -> None:
        self._chain = chain
        self.height = chain.header.height + 1
        self.time_ms = time_ms
        self._first_index = chain.header.log_size
        self._overlay: dict[str, StreamState] = {}
        self._tx_ids: set[bytes] = set()
        self._references: dict[bytes, bytes] = {}
        self._parties: dict[str, PartyRecord | None] = {}
        self._keys: set[tuple[str, bytes]] = set()
        self._context = Context(
            self.height, time_ms, "", (), None, self._party, chain.chain_id, chain.validators
        )
        """Set anew for each transaction."""
        self._looked_up: tuple[bytes, tuple[bytes, int] | None] = (b"", None)
        """The last reference key looked up, and who took it: each is needed twice in a row."""
        self._entries: list[bytes] = []
        self._leaf_hashes: list[bytes] = []
        self._outcomes: list[Outcome] = []
        self._rows: list[EntryRow] = []

    @property
    def count(self) -> int:
        """Transactions executed so far."""
        return len(self._entries)

    def check_admissible(self, transaction: Transaction) -> None:
        """Raise `Rejected` unless `transaction` may be the next of this block.

        Its signatures are checked apart, once per envelope and node
        (`ledger.transaction.verify_transaction_signatures`): they do not depend on the state.
        """
        check_time(transaction, self.time_ms, self._chain.limits.replay_window_ms)
        tx_id = transaction.tx_id
        if tx_id in self._tx_ids or self._is_on_chain(transaction):
            raise Rejected(Reason.DUPLICATE, f"transaction {tx_id.hex()} is already on the chain")
        check_keys(transaction, self.height, self._party, self._keys)

    def execute(self, candidate: Candidate) -> Outcome:
        """Execute an admissible transaction as the block's next; return its outcome.

        Raises `ExecutionFailed` when that raises anything but a refusal; nothing of it is kept.
        """
        transaction = candidate.transaction
        stream = transaction.body.stream
        before = self._overlay.get(stream)
        if before is None:
            before = self._chain.stream(stream)
        position = len(self._entries)
        key = transaction.reference_key
        try:
            taken_by = self._reference_taken_by(key)
            if taken_by is None:
                outcome, record = self._apply(candidate, before)
            else:
                outcome = refused("reference_reused", ("taken_by", taken_by.hex()))
                record = before.record
            outcome_bytes = encode(outcome)
            entry = join_transaction_entry(
                self._first_index + position, self.height, transaction.raw, outcome_bytes
            )
            if len(entry) > ENTRY_BYTES_MAX or len(outcome_bytes) > EFFECTS_BYTES_MAX:
                raise ValueError(f"the entry has {len(entry)} bytes, or its outcome is too large")
        except Exception as error:
            raise ExecutionFailed(position, transaction.tx_id, error) from error
        leaf = leaf_hash(entry)
        self._overlay[stream] = StreamState(
            before.count + 1,
            append_peak(before.count, before.peaks, leaf),
            record,
            transaction.tx_id,
            before.value,
        )
        self._tx_ids.add(transaction.tx_id)
        self._entries.append(entry)
        self._leaf_hashes.append(leaf)
        self._outcomes.append(outcome)
        if taken_by is None:
            self._references[key] = transaction.tx_id
        else:
            key = b""
        self._rows.append(EntryRow(transaction.tx_id, key, before.newest))
        return outcome

    def finish(self, proposer: int, rule_pack_version: int) -> ExecutedBlock:
        """Compute roots and header over what was executed."""
        chain = self._chain
        stored = []
        updates: dict[bytes, bytes] = {}
        known: dict[bytes, bytes] = {}
        for stream, state in self._overlay.items():
            value = state.encode()
            stored.append((stream, encode_stored_stream(value, state.peaks, state.newest)))
            key = compute_state_key(stream)
            updates[key] = compute_value_hash(value)
            if state.value:
                known[key] = compute_value_hash(state.value)
        tree = chain.tree.plan(updates, known)
        log = chain.log.extend(self._leaf_hashes)
        header = Header(
            version=HEADER_VERSION,
            chain_id=chain.chain_id,
            height=self.height,
            parent_hash=chain.header_hash,
            time_ms=self.time_ms,
            proposer=proposer,
            first_index=self._first_index,
            count=len(self._entries),
            log_root=log.root(),
            state_root=tree.root,
            validators_hash=chain.validators.hash,
            rule_pack_version=rule_pack_version,
        )
        header_bytes = encode_header(header)
        header_entry = encode_header_entry(header)
        header_leaf = leaf_hash(header_entry)
        return ExecutedBlock(
            header=header,
            header_bytes=header_bytes,
            block_hash=compute_block_hash(header_bytes),
            entries=[*self._entries, header_entry],
            leaf_hashes=[*self._leaf_hashes, header_leaf],
            outcomes=self._outcomes,
            rows=self._rows,
            streams=self._overlay,
            stored=stored,
            tree=tree,
            log=log.append(header_leaf),
        )

    def _apply(self, candidate: Candidate, before: StreamState) -> tuple[Outcome, Record | None]:
        transaction = candidate.transaction
        if candidate.kind is None:
            return refused("malformed_data", ("kind", transaction.body.kind)), before.record
        context = self._context
        context.stream = transaction.body.stream
        context.signers = transaction.body.signers
        context.record = before.record
        try:
            outcome = candidate.kind.apply(context, candidate.data)
        except Refusal as refusal:
            return refusal.outcome(), before.record
        return outcome, context.record

    def _is_on_chain(self, transaction: Transaction) -> bool:
        """Say whether a block already holds this body.

        One look-up does for nearly all: whatever is on the chain found its reference free and took
        it, or found it taken. So where nobody ever took the reference, the body is not there.
        """
        found = self._look_up(transaction.reference_key)
        if found is None:
            return False
        return (
            found[0] == transaction.tx_id
            or self._chain.reader.transaction_height(transaction.tx_id) is not None
        )

    def _look_up(self, key: bytes) -> tuple[bytes, int] | None:
        if self._looked_up[0] != key:
            self._looked_up = (key, self._chain.reader.reference(key))
        return self._looked_up[1]

    def _reference_taken_by(self, key: bytes) -> bytes | None:
        """Return the earlier transaction of the same submitter under the same reference."""
        tx_id = self._references.get(key)
        if tx_id is not None:
            return tx_id
        found = self._look_up(key)
        if found is None or found[1] + self._chain.limits.reference_window_ms < self.time_ms:
            return None
        return found[0]

    def _party(self, party: str) -> PartyRecord | None:
        """Return a party as it was before this block."""
        if party not in self._parties:
            self._parties[party] = self._chain.party(party)
        return self._parties[party]


def execute_block(
    chain: Chain,
    time_ms: int,
    candidates: Sequence[Candidate],
    *,
    proposer: int,
    rule_pack_version: int,
) -> ExecutedBlock:
    """Execute exactly `candidates`, in order.

    Raises `Inadmissible` or `ExecutionFailed`, each naming the first transaction at fault.
    """
    executor = Executor(chain, time_ms)
    for position, candidate in enumerate(candidates):
        try:
            executor.check_admissible(candidate.transaction)
        except Rejected as rejected:
            raise Inadmissible(position, candidate.transaction.tx_id, rejected) from None
        executor.execute(candidate)
    return executor.finish(proposer, rule_pack_version)
