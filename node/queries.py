"""Reading the chain for the API: positions, proofs, evidence, histories.

Every answer is taken from the applied state in one turn of the event loop, so its parts belong to
one height. A proof needs a checkpoint that a quorum has cosigned; where that is a moment away the
answer waits for it, and where it is not the caller is told when to come back. What was certified
for a block is kept, so a proof asked again years later is the same proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

import msgspec

from api.ports import (
    BlockView,
    CertificateView,
    ContractView,
    NotCertified,
    NotFound,
    Position,
    Unavailable,
)
from contracts.custody import (
    MERCHANT_PREFIX,
    STATIC_PREFIX,
    ContractRecord,
)
from contracts.handling import Past
from contracts.papers import find_claim, plan_papers
from contracts.parties import party_stream
from contracts.prepaid import PrepaidRecord
from contracts.streams import EntriesMissing, StoredEntry, StreamState, read_past
from ledger.block import (
    Header,
    HeaderEntry,
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    decode_transaction_entry,
    encode_header,
)
from ledger.checkpoint import parse_checkpoint_text
from ledger.cose_receipt import sign_cose_receipt
from ledger.evidence import (
    ProvenClaim,
    ProvenStream,
    ShownContract,
    contract_stream,
    encode_history_evidence,
    encode_liabilities_evidence,
    encode_transaction_evidence,
)
from ledger.hashing import ZERO_HASH
from ledger.log import (
    TILE_HEIGHT,
    TILE_WIDTH,
    TileProver,
    encode_bundle,
    tile_width,
)
from ledger.note import parse_note
from ledger.state_tree import encode_state_proof
from ledger.stream import compute_state_key
from ledger.tlog_proof import TlogProof, format_tlog_proof
from ledger.transaction import compute_tx_id, read_head
from ledger.votes import decode_commit_certificate
from node.certification import cosigner_name
from node.shell import Shell
from node.stream_walk import (
    IN_WINDOWS,
    IN_WINDOWS_ZH,
    LONG_ENTRIES,
    USUAL_BYTES,
    StreamTooLarge,
    StreamWalk,
    Walker,
)
from node.turns import Turns
from storage.archive import NotMounted
from storage.chain import ChainStore, TransactionPosition
from storage.files import Damaged

T = TypeVar("T")

CERTIFICATION_WAIT_S: Final = 3.0
"""How long an answer waits for a quorum's cosignatures before it says when to come back."""

RETRY_AFTER_S: Final = 1

TRANSACTION_URN: Final = "urn:evidence-ledger:transaction:"
"""What a receipt is about. The contract's name would be the better subject, and is no public fact.
"""
ARCHIVE_RETRY_AFTER_S: Final = 3600
"""A person has to mount the archive."""

HISTORY_ENTRIES_MAX: Final = 100_000
"""Entries of one history; the file then has some 100 MB, and no contract comes near."""


@contextmanager
def archive_named() -> Iterator[None]:
    """Answer what only an archive holds that is not mounted as unavailable, with the reason."""
    try:
        yield
    except NotMounted as missing:
        raise Unavailable(str(missing), missing.detail_zh, ARCHIVE_RETRY_AFTER_S) from None


PROVERS_MAX: Final = 4
"""Sizes of the tree whose provers are kept: the newest, and what was asked for just now."""
TILES_PER_PROVER: Final = 128
"""With their inner nodes: 4 MB each, enough for 30,000 neighbouring entries."""
ENDS_MAX: Final = 2_048
"""Blocks whose header and commit certificate are kept, 1 to 3 kB each: 6 MB."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends a block."""

    entry: bytes
    """The header's entry."""
    header: Header
    certificate: bytes


class Queries:
    """Reads over one node's chain; see the module's text."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._walker: Final = Walker(self._state, self._read_entry)
        self._public_walker: Final = Walker(self._state, self._read_entry)
        """For questions that need no token: whoever asks them has turns of their own."""
        self._long_blocks: Final = Turns(
            lambda: Unavailable(
                "other long blocks are being read; ask again",
                "正在读取其他较长的区块；请稍后再试",
                RETRY_AFTER_S,
            ),
        )
        self._committed: dict[bytes, list[asyncio.Future[bool]]] = {}
        self._certified: dict[asyncio.Future[bool], int] = {}
        """Who waits for which height. Whoever stops waiting, for whatever reason, is in neither."""
        self._is_closing = False
        self._provers: dict[int, TileProver] = {}
        self._kept_ends: dict[int, _Ends] = {}

    # Waiting

    def block_committed(self, tx_ids: list[bytes]) -> None:
        """Wake whoever waits for one of these."""
        if not self._committed:
            return
        for tx_id in tx_ids:
            for waiting in self._committed.pop(tx_id, ()):
                if not waiting.done():
                    waiting.set_result(True)

    def height_certified(self, height: int) -> None:
        """Wake whoever waits for this height or a lower one."""
        for waiting, wanted in self._certified.items():
            if wanted <= height and not waiting.done():
                waiting.set_result(True)

    def end_waiting(self) -> None:
        """Nothing more will happen here: who waits, or comes to, is told that it has not."""
        self._is_closing = True
        committed = [waiting for group in self._committed.values() for waiting in group]
        for waiting in [*committed, *self._certified]:
            if not waiting.done():
                waiting.set_result(False)

    async def wait_committed(self, tx_id: bytes, timeout_s: float) -> bool:
        """Return whether a transaction was committed within the time."""
        is_known = self._shell.driver.is_known(tx_id)
        if is_known or self._is_closing:
            return is_known
        waiting = asyncio.get_running_loop().create_future()
        self._committed.setdefault(tx_id, []).append(waiting)
        try:
            return await asyncio.wait_for(waiting, timeout_s)
        except TimeoutError:
            return False
        finally:
            left = [item for item in self._committed.pop(tx_id, []) if item is not waiting]
            if left:
                self._committed[tx_id] = left

    async def wait_certified(self, height: int, timeout_s: float) -> bool:
        """Return whether a checkpoint covering a height was certified within the time."""
        is_certified = self._is_certified(height)
        if is_certified or self._is_closing:
            return is_certified
        waiting = asyncio.get_running_loop().create_future()
        self._certified[waiting] = height
        try:
            return await asyncio.wait_for(waiting, timeout_s)
        except TimeoutError:
            return False
        finally:
            del self._certified[waiting]

    # Positions

    @archive_named()
    def position(self, tx_id: bytes) -> Position | None:
        """Return where a transaction stands, with its outcome."""
        found = self._store.transaction(tx_id)
        if found is None:
            return None
        entry = self._transaction_entry(found)
        header = self._ends(found.height).header
        return Position(
            tx_id=tx_id,
            index=found.index,
            height=found.height,
            time_ms=header.time_ms,
            status="refused" if entry.outcome.refused else "applied",
            code=entry.outcome.code,
            effects=entry.outcome.effects,
            certified=self._is_certified(found.height),
            stream=read_head(entry.envelope.body).stream,
        )

    def check_absence(self, tx_id: bytes) -> None:
        """Raise `NotFound` if what is not found here may stand before this node's start."""
        if self._store.start.height:
            raise NotFound(
                f"transaction {tx_id.hex()}, if it is on the chain, {self._store.start.not_held}",
                f"交易 {tx_id.hex()} 即使在链上，也{self._store.start.not_held_zh}",
            )

    @archive_named()
    def entry(self, tx_id: bytes) -> bytes | None:
        """Return a transaction's leaf data."""
        found = self._store.transaction(tx_id)
        return None if found is None else self._store.entry_of(found)

    def contract(self, stream: str) -> ContractView | None:
        """Return a stream's committed value."""
        if self._store.state(stream) is None:
            return None
        chain = self._shell.chain
        state = chain.stream(stream)
        record = state.record
        merchant = custodian = consumer_party = ""
        if isinstance(record, PrepaidRecord | ContractRecord):
            merchant = record.merchant
            custodian = record.custodian
            consumer_party = record.consumer_party
        return ContractView(
            stream=stream,
            height=chain.header.height,
            count=state.count,
            root=state.root,
            record=None if record is None else _describe(record),
            merchant=merchant,
            custodian=custodian,
            consumer_party=consumer_party,
        )

    async def block(self, height: int) -> BlockView | None:
        """Return a decided block without bodies; raise `NotFound`, or `Unavailable`.

        A long one is read when its turn comes, and held no longer.
        """
        if not 0 <= height <= self._shell.chain.header.height:
            return None
        self.check_held(height)
        position = self._store.block_position(height)
        weight = position.entry_count + position.place.length // USUAL_BYTES
        if weight <= LONG_ENTRIES:
            return await self._describe_block(height, weight)
        async with self._long_blocks.take(str(height)):
            return await self._describe_block(height, weight)

    async def _describe_block(self, height: int, weight: int) -> BlockView:
        with archive_named():
            entries, raw = self._store.block(height)
            header = self._shell.disk.store.header(height)
        certificate = None
        if raw:
            votes = decode_commit_certificate(raw)
            certificate = CertificateView(
                votes.view, [(commit.replica, commit.signature) for commit in votes.commits]
            )
        tx_ids = await work_aside(weight, lambda: _list_tx_ids(entries))
        return BlockView(
            header=header,
            block_hash=compute_block_hash(encode_header(header)),
            certificate=certificate,
            tx_ids=tx_ids,
            certified=self._is_certified(height),
        )

    # Proofs

    def index(self, tx_id: bytes) -> int:
        """Return the index of a transaction's entry; raise `NotFound`."""
        return self._find(tx_id).index

    async def proof(self, tx_id: bytes) -> str:
        """Return the C2SP tlog-proof of a transaction's entry."""
        found = self._find(tx_id)
        note, size = await self.certified_checkpoint(found.height)
        return self.prove_entry(found.index, note, size).decode()

    async def receipt(self, tx_id: bytes) -> bytes:
        """Return the COSE Receipt of a transaction's entry, signed with this node's log key.

        Only the root of a checkpoint that a quorum has cosigned is ever signed. The same again
        gives the same bytes.
        """
        found = self._find(tx_id)
        note, size = await self.certified_checkpoint(found.height)
        identity = self._shell.driver.identity
        return sign_cose_receipt(
            root=parse_checkpoint_text(parse_note(note).text).root,
            size=size,
            index=found.index,
            path=self._prover(size).inclusion(found.index),
            issuer=cosigner_name(
                identity.genesis.origin, identity.genesis.institutions[identity.replica].id
            ),
            subject=f"{TRANSACTION_URN}{tx_id.hex()}",
            signer=identity.signers.log,
        )

    async def evidence(self, tx_id: bytes) -> bytes:
        """Return the evidence file of a transaction."""
        found = self._find(tx_id)
        with archive_named():
            raw = self._store.entry_of(found)
            ends = self._ends(found.height)
        state_height = self._shell.chain.header.height
        parties = self.prove_parties(read_head(decode_transaction_entry(raw).envelope.body).signers)
        note, size = await self.certified_checkpoint(state_height)
        state_ends = self._ends(state_height)
        return encode_transaction_evidence(
            genesis=self._shell.driver.identity.genesis.raw,
            entry=raw,
            proof=self.prove_entry(found.index, note, size),
            header=ends.entry,
            header_proof=self.prove_entry(ends.header.index, note, size),
            certificate=ends.certificate,
            state_header=state_ends.entry,
            state_header_proof=self.prove_entry(state_ends.header.index, note, size),
            parties=parties,
        )

    async def history(self, contract: str, *, is_line: bool = False) -> bytes:
        """Return a contract's complete history with its proof; `is_line`: for a schedule."""
        stream = contract_stream(contract)
        if self._store.state(stream) is None:
            raise NotFound(
                f"no entry ever named contract {contract}", f"链上没有任何条目提及合同 {contract}"
            )
        record = self._shell.chain.stream(stream).record
        if isinstance(record, ContractRecord):
            entries, merchant = StreamWalk(stream, _read_both), _walk_merchant(record.merchant)
            try:
                async with self.walk(entries, merchant):
                    return await self._history(contract, entries, merchant, is_line=is_line)
            except StreamTooLarge as too_large:
                if too_large.stream == stream:
                    raise
                # What a merchant heaped up in its own stream hides no contract's record.
        entries = StreamWalk(stream, _read_both)
        async with self.walk(entries):
            return await self._history(contract, entries, None, is_line=is_line)

    async def _history(
        self,
        contract: str,
        entries: StreamWalk[tuple[bytes, Past]],
        merchant: StreamWalk[Past] | None,
        *,
        is_line: bool,
    ) -> bytes:
        """Answer from whole records, in the turn in which they were read."""
        chain = self._shell.chain
        height = chain.header.height
        proven = self.prove_stream(entries.stream)
        past = [each for _, each in entries.found]
        papers = None
        if merchant is not None:
            papers = plan_papers(chain, entries.stream, past, merchant.found)
        parties = self.prove_parties([signer for each in past for signer in each.signers])
        note, size = await self.certified_checkpoint(height)
        header = self._shell.disk.store.header(height)
        encode = partial(
            encode_history_evidence,
            contract=contract,
            genesis=None if is_line else self._shell.driver.identity.genesis.raw,
            header=self._store.header_entry(height),
            header_proof=self.prove_entry(header.index, note, size),
            state=proven,
            entries=[raw for raw, _ in entries.found],
            parties=parties,
        )
        if papers is None:
            return await work_aside(entries.weight, encode)
        return await work_aside(entries.weight, lambda: encode(law=papers()))

    @asynccontextmanager
    async def walk(
        self, *walks: StreamWalk[Any], count_max: int | None = None, is_public: bool = False
    ) -> AsyncIterator[None]:
        """Read all entries of some streams, as of the turn of the event loop in which this is
        entered, and hold them until it is left; at most `count_max` of each, or as many as a
        history holds.

        Raises `NotFound` where this node does not hold them all, `StreamTooLarge` where they are
        too many, and `Unavailable` where others hold too much.
        """
        walker = self._public_walker if is_public else self._walker
        most = HISTORY_ENTRIES_MAX if count_max is None else count_max
        for walk in walks:
            count = walk.count_in(self._shell.chain.stream(walk.stream))
            if count > most:
                raise StreamTooLarge(
                    walk.stream,
                    f"{walk.stream} has {count} entries; a history holds at most {most}: "
                    f"{IN_WINDOWS}",
                    f"{walk.stream} 有 {count} 个条目；一份完整记录至多容纳 {most} 个："
                    f"{IN_WINDOWS_ZH}",
                )
        try:
            with archive_named():
                async with walker.read(*walks):
                    yield
        except EntriesMissing as missing:
            raise NotFound(
                f"{missing.missing} of the {missing.count} entries of {missing.stream} "
                f"{self._store.start.not_held}",
                f"{missing.stream} 的 {missing.count} 个条目中有 {missing.missing} 个"
                f"{self._store.start.not_held_zh}",
            ) from None

    async def liabilities(self, contracts: Sequence[str], *, is_shown: bool) -> bytes:
        """Return the evidence file of contracts in their one merchant's total."""
        chain = self._shell.chain
        height = chain.header.height
        claims: dict[str, ProvenClaim] = {}
        merchants: dict[str, None] = {}
        for contract in contracts:
            stream = contract_stream(contract)
            found = find_claim(chain, stream)
            if found is None:
                raise NotFound(
                    f"no contract under terms was signed as {stream}",
                    f"没有以 {stream} 为名、依条款订立的合同",
                )
            merchants[found[0]] = None
            claims[stream] = found[1]
        if len(merchants) != 1:
            raise NotFound(
                f"the contracts are of {len(merchants)} merchants ({', '.join(merchants)}), and a "
                "total is one merchant's",
                f"所求合同属于 {len(merchants)} 个经营者（{'、'.join(merchants)}），而合计只及于"
                "一个经营者",
            )
        if is_shown:
            for stream, claim in claims.items():
                shown = ShownContract(
                    self.prove_stream(stream), self.prove_stream(STATIC_PREFIX + stream)
                )
                claims[stream] = replace(claim, shown=shown)
        merchant = self.prove_stream(MERCHANT_PREFIX + next(iter(merchants)))
        note, size = await self.certified_checkpoint(height)
        header = self._shell.disk.store.header(height)
        return encode_liabilities_evidence(
            genesis=self._shell.driver.identity.genesis.raw,
            header=self._store.header_entry(height),
            header_proof=self.prove_entry(header.index, note, size),
            merchant=merchant,
            claims=claims.values(),
        )

    # The log

    def checkpoint(self) -> str | None:
        """Return the newest certified checkpoint."""
        found = self._store.newest_checkpoint()
        return None if found is None else found[1].decode()

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return `width` hashes of a tile of the certified tree."""
        if width > tile_width(level, index, self.find_certified()[1]):
            return None
        self._check_tile(level, index)
        data = self._shell.disk.store.read_tile(level, index)
        wanted = width * len(ZERO_HASH)
        return data[:wanted] if len(data) >= wanted else None

    @archive_named()
    def entry_bundle(self, index: int, width: int) -> bytes | None:
        """Return `width` entries of the certified tree, each after its length."""
        if width > tile_width(0, index, self.find_certified()[1]):
            return None
        begin = index * TILE_WIDTH
        if begin < self._store.start.log_size:
            raise self._not_held(f"entry {begin}", f"条目 {begin} ")
        return encode_bundle(self._store.entries(begin, begin + width))

    def find_certified(self) -> tuple[int, int]:
        """Return (height, size) of the newest certified checkpoint; zeros while there is none."""
        found = self._store.newest_checkpoint()
        return (0, 0) if found is None else (found[0], _size_of(found[1]))

    # Inside

    @property
    def _store(self) -> ChainStore:
        return self._shell.disk.store.chain_store

    def _state(self, stream: str) -> StreamState:
        return self._shell.chain.stream(stream)

    def _read_entry(self, tx_id: bytes) -> StoredEntry | None:
        return self._shell.disk.store.read_entry(tx_id)

    def check_held(self, height: int) -> None:
        if height < self._store.start.height:
            raise self._not_held(f"block {height}", f"高度 {height} 的区块")

    def _check_tile(self, level: int, index: int) -> None:
        """Raise `NotFound` for a tile of which a part stands before this node's start."""
        if index < self._store.start.log_size >> (TILE_HEIGHT * level) >> TILE_HEIGHT:
            raise self._not_held(f"tile {level}/{index}", f"瓦片 {level}/{index} ")

    def _not_held(self, what: str, what_zh: str) -> NotFound:
        start = self._store.start
        return NotFound(f"{what} {start.not_held}", f"{what_zh}{start.not_held_zh}")

    def _is_certified(self, height: int) -> bool:
        return self._store.first_checkpoint_at_or_after(height) is not None

    def _find(self, tx_id: bytes) -> TransactionPosition:
        found = self._store.transaction(tx_id)
        if found is None:
            self.check_absence(tx_id)
            raise NotFound(
                f"transaction {tx_id.hex()} is not on the chain", f"交易 {tx_id.hex()} 不在链上"
            )
        return found

    @archive_named()
    def _transaction_entry(self, found: TransactionPosition) -> TransactionEntry:
        return decode_transaction_entry(self._store.entry_of(found))

    async def certified_checkpoint(self, height: int) -> tuple[bytes, int]:
        """Return (note, size) of the first certified checkpoint that covers a height."""
        await self.wait_certified(height, CERTIFICATION_WAIT_S)
        found = self._store.first_checkpoint_at_or_after(height)
        if found is None:
            raise NotCertified(
                f"block {height} is committed, and a quorum has not yet cosigned a checkpoint "
                "that covers it",
                f"高度 {height} 的区块已确定，而覆盖它的检查点尚未经法定多数联署",
                RETRY_AFTER_S,
            )
        return found[1], _size_of(found[1])

    def prove_entry(self, index: int, note: bytes, size: int) -> bytes:
        """Return the tlog-proof of an entry in the tree of a checkpoint of this log."""
        return format_tlog_proof(TlogProof(index, tuple(self._prover(size).inclusion(index)), note))

    def _prover(self, size: int) -> TileProver:
        """Return the prover of a tree's size; those used last are kept with their tiles."""
        prover = self._provers.pop(size, None)
        if prover is None:
            if len(self._provers) >= PROVERS_MAX:
                self._provers.pop(next(iter(self._provers)))
            prover = TileProver(size, self._shell.disk.store.read_tile, TILES_PER_PROVER)
        self._provers[size] = prover
        return prover

    def _ends(self, height: int) -> _Ends:
        """Return what ends an applied block, which never changes; those used last are kept."""
        ends = self._kept_ends.pop(height, None)
        if ends is None:
            if len(self._kept_ends) >= ENDS_MAX:
                self._kept_ends.pop(next(iter(self._kept_ends)))
            entry, certificate = self._store.block_ends(height)
            decoded = decode_entry(entry)
            if not isinstance(decoded, HeaderEntry):
                raise Damaged(
                    "segments", 0, f"the last entry of block {height} is no header",
                    f"区块 {height} 的最后一个条目不是区块头",
                )  # fmt: skip
            ends = _Ends(entry, decoded.header, certificate)
        self._kept_ends[height] = ends
        return ends

    def prove_stream(self, stream: str) -> ProvenStream:
        """Return a stream's value at the applied height, with its proof under the state root."""
        value = self._shell.chain.stream(stream).encode()
        proof = self._shell.chain.tree.prove(compute_state_key(stream))
        return ProvenStream(stream, value, encode_state_proof(proof))

    def prove_parties(self, parties: list[str]) -> list[ProvenStream]:
        """Return the parties' records so proven, each once, in the order they are first named."""
        return [self.prove_stream(party_stream(party)) for party in dict.fromkeys(parties)]


def _walk_merchant(merchant: str) -> StreamWalk[Past]:
    """Return the walk over what a merchant said of itself: the law reads nothing refused there."""
    return StreamWalk(MERCHANT_PREFIX + merchant, read_past, applied=True)


def _read_both(tx_id: bytes, stored: StoredEntry) -> tuple[bytes, Past]:
    """Return an entry and what it says; of a refused one without the data, which nobody reads, and
    which anybody may make twenty-five times as large in memory as the bytes that are counted."""
    past = read_past(tx_id, stored)
    return stored.raw, replace(past, data={}) if past.refused else past


async def work_aside(count: int, work: Callable[[], T]) -> T:
    """Do what takes as long as so many usual entries are; a long one on a thread, with consensus
    beside it. A thread cannot be stopped: who is cancelled waits for it and lets nothing go before.
    """
    if count <= LONG_ENTRIES:
        return work()
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _list_tx_ids(entries: Sequence[bytes]) -> list[bytes]:
    """Return the ids of a block's transactions, in their order."""
    decoded = map(decode_entry, entries[:-1])
    return [
        compute_tx_id(entry.envelope.body)
        for entry in decoded
        if isinstance(entry, TransactionEntry)
    ]


@lru_cache(maxsize=64)
def _size_of(note: bytes) -> int:
    return parse_checkpoint_text(parse_note(note).text).size


def _describe(record: Any) -> dict[str, Any]:
    """Return a record as named values, bytes in hex."""
    described: dict[str, Any] = {"type": record.__struct_config__.tag}
    for name in record.__struct_fields__:
        described[name] = _plain(getattr(record, name))
    return described


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return value
