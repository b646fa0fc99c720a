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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec

from contracts.claims import Claims, ClaimsUpdate, seal
from contracts.custody import MERCHANT_PREFIX, ContractRecord, MerchantRecord
from contracts.handling import Context, Past, Refusal
from contracts.kinds import Kind, Record, parse_data
from contracts.parties import PartyRecord, check_key
from contracts.streams import (
    Parties,
    StateReader,
    StreamState,
    commit_states,
    decode_stream_state,
    make_past,
    read_history,
    read_past,
)
from ledger.block import (
    HEADER_VERSION,
    Header,
    compute_block_hash,
    encode_header,
    encode_header_entry,
    join_transaction_entries,
)
from ledger.kernel import append_peak, leaf_hash, leaf_hashes
from ledger.merkle import Frontier
from ledger.refusal import Reason, Rejected
from ledger.state_tree import StateTree, TreeUpdate
from ledger.time_words import format_time_ms, quote_time_ms
from ledger.transaction import (
    EFFECTS_BYTES_MAX,
    Outcome,
    Transaction,
    decode_outcome,
    refused,
)
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


def make_claims(reader: StateReader) -> Claims:
    """Return the merchants' sum trees over `reader`."""
    return Claims(lambda name: decode_stream_state(reader.state(name)).record)


class EntryRow(msgspec.Struct, frozen=True, gc=False):
    """What the index keeps of one transaction of a block."""

    tx_id: bytes
    reference_key: bytes
    """Empty when the reference was already taken: the first one keeps it."""
    previous: bytes
    """Transaction id of the stream's previous entry, or 32 zero bytes."""
    previous_applied: bytes = b""
    """As in `contracts.streams.StoredEntry`."""


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
    encoded_outcomes: list[bytes]
    """Of its transactions, as their entries hold them."""
    refused_count: int
    rows: list[EntryRow]
    stored: list[tuple[str, bytes]]
    """Streams that changed, as storage keeps them."""
    tree: TreeUpdate
    log: Frontier
    """The log after this block, its header included."""
    claims: dict[str, ClaimsUpdate]
    """What became of the merchants' sum trees."""

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of its transactions."""
        return list(map(decode_outcome, self.encoded_outcomes))


@dataclass(slots=True)
class Chain:
    """The state at the applied height, as execution needs it; `adopt` moves it on."""

    chain_id: bytes
    validators: ValidatorSet
    limits: Limits
    reader: StateReader
    parties: Parties
    claims: Claims
    tree: StateTree
    header: Header
    """The newest applied header."""
    header_bytes: bytes
    header_hash: bytes
    log: Frontier

    def adopt(self, block: ExecutedBlock) -> None:
        """Move on to `block`, which has been committed durably."""
        self.tree.apply(block.tree)
        self.parties.forget([stream for stream, _ in block.stored])
        self.claims.apply(block.claims)
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
    signers, signed = transaction.body.signers, transaction.signed
    if len(signers) == 1 and (signers[0], signed[0][0]) in known:
        return
    for signer, (public_key, *_) in zip(signers, signed, strict=True):
        pair = (signer, public_key)
        if pair not in known:
            check_key(party(signer), signer, public_key, height)
            known.add(pair)


def check_time(transaction: Transaction, time_ms: int, window_ms: int) -> None:
    """Raise `Rejected` unless header.time ≤ not_after ≤ header.time + W."""
    not_after = transaction.body.not_after
    if time_ms <= not_after <= time_ms + window_ms:
        return
    limit, time = quote_time_ms(not_after), format_time_ms(time_ms)
    if not_after < time_ms:
        raise Rejected(
            Reason.STALE,
            f"not_after {limit.en} is {time_ms - not_after} ms before {time.en}; sign it anew "
            "with a later not_after",
            f"截止时间 not_after 为{limit.zh}，早于{time.zh}，相差 {time_ms - not_after} 毫秒；"
            "请以更晚的截止时间重新签名",
        )
    raise Rejected(
        Reason.TOO_FAR_AHEAD,
        f"not_after {limit.en} lies {not_after - time_ms} ms after {time.en}; at most "
        f"{window_ms} ms are allowed",
        f"截止时间 not_after 为{limit.zh}，晚于{time.zh}，相差 {not_after - time_ms} 毫秒；"
        f"至多允许 {window_ms} 毫秒",
    )


def are_signed(
    transactions: Sequence[Transaction],
    height: int,
    party: Callable[[str], PartyRecord | None],
    known: set[tuple[str, bytes]],
) -> bool:
    """Say whether `check_keys` has nothing against any of these; `known` grows."""
    firsts = {(each.body.signers[0], each.signed[0][0]) for each in transactions}
    if firsts <= known and sum([len(each.signed) for each in transactions]) == len(transactions):
        return True
    try:
        for transaction in transactions:
            check_keys(transaction, height, party, known)
    except Rejected:
        return False
    return True


def are_timely(transactions: Sequence[Transaction], time_ms: int, window_ms: int) -> bool:
    """Say whether `check_time` has nothing against any of these."""
    times = [transaction.body.not_after for transaction in transactions]
    return not times or (time_ms <= min(times) and max(times) <= time_ms + window_ms)


def are_under_new_references(reader: StateReader, transactions: Sequence[Transaction]) -> bool:
    """Say whether nobody ever took any of their references: then none of them is on the chain."""
    keys = [transaction.reference_key for transaction in transactions]
    return not any(reader.references(keys))


def is_on_chain(reader: StateReader, tx_id: bytes, taker: tuple[bytes, int]) -> bool:
    """Say whether a block already holds this body, whose reference `taker` took.

    Whatever is on the chain found its reference free and took it, or found it taken. So where
    nobody ever took the reference, the body is not there, and one look-up does for nearly all.
    """
    return taker[0] == tx_id or reader.transaction_height(tx_id) is not None


CHUNK: Final = 256
"""Transactions to take through one stage before the next begins. Each by itself through all stages
would meet the code of every stage anew: more than the processor's first cache holds, 1,400 misses
for each transaction (counted) instead of 470. More would not stay in the second cache."""


class _Sight:
    """What a block's transactions see of the state and of earlier entries, this block's included.

    It knows neither the executor nor the context, so that nothing of a block is kept by a cycle.
    """

    __slots__ = (
        "_first_index", "_places", "_read", "_reader", "_time_ms",
        "executed", "outcomes", "refused",
    )  # fmt: skip

    def __init__(self, reader: StateReader, first_index: int, time_ms: int) -> None:
        self._reader = reader
        self._first_index = first_index
        self._time_ms = time_ms
        self._read: dict[str, StreamState] = {}
        """Streams read so far, as this block leaves them."""
        self._places: dict[bytes, int] = {}
        """Of the executed ones, as far as somebody looked for one."""
        self.executed: list[Transaction] = []
        """In order; `outcomes` and `refused` beside it."""
        self.outcomes: list[bytes] = []
        """Encoded: nearly none is asked for again, and as objects they are most of a block."""
        self.refused: list[bool] = []

    def streams(self, names: list[str]) -> list[StreamState]:
        """Return each stream as it stands so far in this block."""
        streams = self._read
        new = [name for name in dict.fromkeys(names) if name not in streams]
        stored = self._reader.states(new)
        streams.update(zip(new, map(decode_stream_state, stored), strict=True))
        return [streams[name] for name in names]

    def record(self, name: str) -> Record | None:
        """Return a row's record as it stands so far in this block."""
        return self.stream(name).record

    def stream(self, name: str) -> StreamState:
        """Return one stream as it stands so far in this block."""
        state = self._read.get(name)
        if state is None:
            state = self._read[name] = decode_stream_state(self._reader.state(name))
        return state

    def find(self, tx_id: bytes) -> Past | None:
        """Return an earlier transaction."""
        for place in range(len(self._places), len(self.executed)):
            self._places[self.executed[place].tx_id] = place
        if tx_id in self._places:
            return self._past(self._places[tx_id])
        stored = self._reader.entry(tx_id)
        return None if stored is None else read_past(tx_id, stored)

    def history(self, stream: str, count_max: int) -> list[Past] | None:
        """Return a stream's earlier applied transactions, oldest first; None if they are more."""
        found = read_history(self._reader, stream, count_max)
        if found is None:
            return None
        found += [
            self._past(place)
            for place, transaction in enumerate(self.executed)
            if transaction.body.stream == stream and not self.refused[place]
        ]
        return found if len(found) <= count_max else None

    def _past(self, place: int) -> Past:
        """Return a transaction that this block executed."""
        transaction = self.executed[place]
        return make_past(
            self._first_index + place,
            transaction.tx_id,
            self._time_ms,
            transaction.body,
            decode_outcome(self.outcomes[place]),
        )


class Executor:
    """Executes one block over a `Chain`, stage by stage, without changing it.

    `admit` what may stand next in the block, `execute` it, and so on; then `finish`.
    """

    def __init__(self, chain: Chain, time_ms: int, *, reads_max: int | None = None) -> None:
        """`reads_max`: earlier entries that may be read, where it is not what a block may."""
        self._chain = chain
        self.height = chain.header.height + 1
        self.time_ms = time_ms
        self._first_index = chain.header.log_size
        self._tx_ids: set[bytes] = set()
        self._references: dict[bytes, bytes] = {}
        """Reference keys that are taken, by which transaction: in this block, or on the chain where
        `admit` found so."""
        self._party = chain.parties.get
        self._keys: set[tuple[str, bytes]] = set()
        self._sight = _Sight(chain.reader, self._first_index, time_ms)
        self._context = Context(
            self.height, time_ms, "", (), None, self._party, chain.chain_id, chain.validators,
            self._sight.record, self._sight.find, self._sight.history,
        )  # fmt: skip
        """Set anew for each transaction. Nothing in it leads back here: such a cycle would keep
        the whole block in memory until the collector runs."""
        if reads_max is not None:
            self._context.reads_left = reads_max
        self._changed: dict[str, StreamState] = {}
        self._entries: list[bytes] = []
        self._leaf_hashes: list[bytes] = []
        self._rows: list[EntryRow] = []

    @property
    def count(self) -> int:
        """Transactions executed so far."""
        return len(self._entries)

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What became of the transactions executed so far, in order."""
        return list(map(decode_outcome, self._sight.outcomes))

    @property
    def reads_left(self) -> int:
        """Earlier entries that may still be read."""
        return self._context.reads_left

    def admit(self, transactions: Sequence[Transaction]) -> list[Rejected | None]:
        """Say of each whether it may stand in this block after those admitted before it.

        Signatures are checked apart, once per envelope and node
        (`ledger.transaction.verify_transaction_signatures`): they do not depend on the state.
        Asked of all at once, and of each only where the answer is not yes for all.
        """
        if self._admit_all(transactions):
            return [None] * len(transactions)
        found = self._chain.reader.references([each.reference_key for each in transactions])
        verdicts: list[Rejected | None] = []
        for transaction, taker in zip(transactions, found, strict=True):
            try:
                self._check_admissible(transaction, taker)
            except Rejected as rejected:
                verdicts.append(rejected)
            else:
                verdicts.append(None)
        return verdicts

    def _admit_all(self, transactions: Sequence[Transaction]) -> bool:
        """Admit all, or none where there is something to be said of any."""
        ids = [transaction.tx_id for transaction in transactions]
        if (
            len(set(ids)) == len(ids)
            and self._tx_ids.isdisjoint(ids)
            and are_timely(transactions, self.time_ms, self._chain.limits.replay_window_ms)
            and are_under_new_references(self._chain.reader, transactions)
            and are_signed(transactions, self.height, self._party, self._keys)
        ):
            self._tx_ids.update(ids)
            return True
        return False

    def _check_admissible(self, transaction: Transaction, taker: tuple[bytes, int] | None) -> None:
        check_time(transaction, self.time_ms, self._chain.limits.replay_window_ms)
        tx_id = transaction.tx_id
        if tx_id in self._tx_ids or (
            taker is not None and is_on_chain(self._chain.reader, tx_id, taker)
        ):
            raise Rejected(
                Reason.DUPLICATE,
                f"transaction {tx_id.hex()} is already on the chain",
                f"交易 {tx_id.hex()} 已在链上",
            )
        check_keys(transaction, self.height, self._party, self._keys)
        self._tx_ids.add(tx_id)
        if taker is not None and (
            taker[1] + self._chain.limits.reference_window_ms >= self.time_ms
        ):
            self._references.setdefault(transaction.reference_key, taker[0])

    def execute(self, candidates: Sequence[Candidate]) -> list[ExecutionFailed]:
        """Execute admitted transactions as the block's next.

        Returns a failure for each that raised anything but a refusal; nothing of it is kept, and
        the others follow on one another without it.
        """
        failures: list[ExecutionFailed] = []
        context, references = self._context, self._references
        sight = self._sight
        executed = sight.executed
        begin = len(executed)
        states = sight.streams([candidate.transaction.body.stream for candidate in candidates])
        done: list[tuple[Transaction, StreamState, bytes, bool]] = []
        for candidate, state in zip(candidates, states, strict=True):
            transaction = candidate.transaction
            key = transaction.reference_key
            taken_by = references.get(key)
            record = state.record
            try:
                context.writes = {}
                context.entries = state.applied
                if taken_by is None:
                    context.position = self._first_index + len(executed)
                    outcome, record = self._apply(candidate, record)
                else:
                    outcome = refused("reference_reused", ("taken_by", taken_by.hex()))
                raw = encode(outcome)
                if len(raw) > EFFECTS_BYTES_MAX:
                    raise ValueError(f"its outcome is too large: {len(raw)} bytes")
            except Exception as error:  # noqa: BLE001 whatever a rule raises, the node goes on
                position = len(executed)
                failures.append(ExecutionFailed(position, transaction.tx_id, error))
                continue
            state.record = record
            is_refused = outcome.refused
            state.applied += not is_refused
            if context.writes:
                self._write_records(context.writes)
            executed.append(transaction)
            if taken_by is None:
                references[key] = transaction.tx_id
            else:
                key = b""
            done.append((transaction, state, key, is_refused))
            sight.outcomes.append(raw)
            sight.refused.append(is_refused)
        entries = join_transaction_entries(
            self._first_index + len(self._entries),
            self.height,
            [transaction.raw for transaction, _, _, _ in done],
            sight.outcomes[begin:],
        )
        leaves = leaf_hashes(entries)
        for (transaction, state, key, is_refused), leaf in zip(done, leaves, strict=True):
            state.peaks = append_peak(state.count, state.peaks, leaf)
            state.count += 1
            tx_id, previous, before = transaction.tx_id, state.newest, b""
            if not is_refused:
                if state.newest_applied != previous:
                    before = state.newest_applied
                state.newest_applied = tx_id
            self._rows.append(EntryRow(tx_id, key, previous, before))
            state.newest = tx_id
            self._changed[transaction.body.stream] = state
        self._entries += entries
        self._leaf_hashes += leaves
        return failures

    def finish(self, proposer: int, rule_pack_version: int) -> ExecutedBlock:
        """Compute roots and header over what was executed."""
        chain = self._chain
        claims = self._seal_claims()
        updates: dict[bytes, bytes] = {}
        stored: list[tuple[str, bytes]] = []
        changed = iter(self._changed.items())
        while chunk := list(islice(changed, CHUNK)):
            hashes, rows = commit_states(chunk)
            updates.update(hashes)
            stored += rows
        tree = chain.tree.plan(updates)
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
            encoded_outcomes=self._sight.outcomes,
            refused_count=sum(self._sight.refused),
            rows=self._rows,
            stored=stored,
            tree=tree,
            log=log.append(header_leaf),
            claims=claims,
        )

    def _seal_claims(self) -> dict[str, ClaimsUpdate]:
        """Carry what the block moved into its merchants' sum trees, and their roots into records.

        Once for a block, because contracts of one merchant share most of the way to its root.
        """
        moved: dict[str, list[ContractRecord]] = {}
        for state in self._changed.values():
            record = state.record
            if isinstance(record, ContractRecord):
                moved.setdefault(record.merchant, []).append(record)
        updates: dict[str, ClaimsUpdate] = {}
        for merchant, contracts in moved.items():
            update = self._chain.claims.plan(merchant, contracts, self._sight.record)
            if update is None:
                continue
            state = self._sight.stream(MERCHANT_PREFIX + merchant)
            whole = state.record
            assert isinstance(whole, MerchantRecord), "whoever has a contract has a record"
            state.record = seal(merchant, whole, update)
            updates[merchant] = update
        return updates

    def _apply(self, candidate: Candidate, record: Record | None) -> tuple[Outcome, Record | None]:
        body = candidate.transaction.body
        if candidate.kind is None:
            return refused("malformed_data", ("kind", body.kind)), record
        context = self._context
        context.stream = body.stream
        context.signers = body.signers
        context.record = record
        context.tx_id = candidate.transaction.tx_id
        try:
            outcome = candidate.kind.apply(context, candidate.data)
        except Refusal as refusal:
            context.writes = {}
            return refusal.outcome(), record
        return outcome, context.record

    def _write_records(self, writes: dict[str, Any]) -> None:
        """Keep the rows that a transaction changed beside its own stream's."""
        for name, record in writes.items():
            state = self._sight.stream(name)
            state.record = record
            self._changed[name] = state


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
    for begin in range(0, len(candidates), CHUNK):
        chunk = candidates[begin : begin + CHUNK]
        verdicts = executor.admit([candidate.transaction for candidate in chunk])
        for at, rejected in enumerate(verdicts):
            if rejected is not None:
                raise Inadmissible(begin + at, chunk[at].transaction.tx_id, rejected)
        for failure in executor.execute(chunk):
            raise failure
    return executor.finish(proposer, rule_pack_version)
