"""Evidence files that answer one question: growth, a value or its absence, a contradiction.

As in `node.queries`, whatever a file says of the state is taken in one turn of the event loop, so
its parts belong to one height; only then is the checkpoint waited for. Nothing is chosen here that
a verifier would not check: which entries a question turns on is `contracts.questions`' to say.

State proofs are served at the newest height alone: the tree of an older one is not kept. What was
at an earlier height follows from the record, without any bound: entries are never removed, so a
stream absent now was never there, and a prefix of a contract's record (`balance`, `terms` and
`window` at a moment of the past) says what its state was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from api.ports import NotFound
from contracts.equivocation import validator_stream
from contracts.parties import party_stream
from contracts.questions import (
    Question,
    Row,
    Window,
    find_promise,
    find_span,
    is_inside,
    to_member,
)
from contracts.streams import StoredEntry
from ledger.block import TransactionEntry, decode_transaction_entry
from ledger.evidence import (
    ProvenBlock,
    StateClaim,
    contract_stream,
    encode_consistency_evidence,
    encode_equivocation_evidence,
    encode_record_evidence,
    encode_state_evidence,
)
from ledger.log import TileProver, consistency_proof_from_tiles
from ledger.merkle import SIZE_MAX, leaf_hash
from ledger.merkle_range import range_proof
from ledger.refusal import Reason, Rejected
from ledger.state_tree import encode_state_proof
from ledger.stream import compute_state_key
from ledger.transaction import read_head
from node.queries import HISTORY_ENTRIES_MAX, Queries, work_aside
from node.shell import Shell
from node.stream_walk import IN_WINDOWS, IN_WINDOWS_ZH, StreamTooLarge, StreamWalk
from storage.files import Damaged

HELD_BYTES: Final = 320
"""Of memory for an entry of which only time and hashes are held (measured: 263, and its places in
lists)."""

BLOCKS_PER_TURN: Final = 64
"""Blocks proven between two pauses: some milliseconds. A record of a hundred thousand entries may
stand in as many blocks."""


class Proofs:
    """Builds the files; see the module's text."""

    def __init__(self, shell: Shell, queries: Queries) -> None:
        self._shell = shell
        self._queries = queries

    async def consistency(self, older_height: int, newer_height: int) -> bytes:
        """Return the evidence that the log only grew between two heights' checkpoints."""
        newest = self._shell.chain.header.height
        if not older_height <= newer_height <= newest:
            raise NotFound(
                f"heights {older_height} and {newer_height} are not two of 0 to {newest} in order",
                f"高度 {older_height} 与 {newer_height} 应在 0 至 {newest} 之内，且先小后大",
            )
        older, older_size = await self._queries.certified_checkpoint(older_height)
        newer, newer_size = await self._queries.certified_checkpoint(newer_height)
        read_tile = self._shell.disk.store.read_tile
        return encode_consistency_evidence(
            genesis=self._genesis,
            older=older,
            newer=newer,
            path=consistency_proof_from_tiles(older_size, newer_size, read_tile),
        )

    async def state(self, stream: str) -> bytes:
        """Return the evidence of a stream's value at the newest height, or of its absence."""
        height = self._shell.chain.header.height
        claim = self._claim(stream)
        note, size = await self._queries.certified_checkpoint(height)
        store = self._shell.disk.store
        return encode_state_evidence(
            genesis=self._genesis,
            header=store.chain_store.header_entry(height),
            header_proof=self._queries.prove_entry(store.header(height).index, note, size),
            state=claim,
        )

    async def record(self, contract: str, question: Question) -> bytes:
        """Return the part of a contract's record that answers a question.

        Raises `Rejected` where the record cannot answer it (yet), `NotFound` where this node does
        not hold it.
        """
        walk = StreamWalk(contract_stream(contract), _look_for(question), weigh=_Held.weigh)
        # Of what lies outside a window only its hash is held: a record of 576,000 entries has them.
        count_max = SIZE_MAX if isinstance(question, Window) else None
        async with self._queries.walk(walk, count_max=count_max):
            return await self._answer(contract, question, walk)

    async def _answer(self, contract: str, question: Question, walk: StreamWalk[_Held]) -> bytes:
        """Answer from a whole record, in the turn in which it was read."""
        newest = self._shell.chain.header
        claim = self._claim(walk.stream)
        record = walk.found
        store = self._shell.disk.store
        first, end = find_span(
            question,
            [held.row for held in record],
            newest.time_ms,
            lambda place: _read_data(decode_transaction_entry(record[place].raw)),
        )
        if end - first > HISTORY_ENTRIES_MAX:
            raise StreamTooLarge(
                walk.stream,
                f"{end - first} entries of {walk.stream} answer this; an answer holds at most "
                f"{HISTORY_ENTRIES_MAX}: {IN_WINDOWS}",
                f"{walk.stream} 中有 {end - first} 个条目与此问题相关；一份应答至多容纳 "
                f"{HISTORY_ENTRIES_MAX} 个：{IN_WINDOWS_ZH}",
            )
        chosen = [held if held.raw else self._read(held) for held in record[first:end]]
        heights = {held.height for held in chosen}
        signers = {signer for held in chosen for signer in held.signers}
        promise = find_promise(question)
        if promise is not None:
            heights.add(promise[0])
            signers |= set(promise[1])
        if max(heights, default=0) > newest.height:
            raise Rejected(
                Reason.WRONG_HEIGHT,
                f"question: the promised height {max(heights)} is not reached; the chain is at "
                f"{newest.height}",
                f"问题：所承诺的高度 {max(heights)} 尚未到达；链的高度为 {newest.height}",
            )
        for height in heights:
            self._queries.check_held(height)
        for signer in signers:
            if store.chain_store.state(party_stream(signer)) is None:
                raise Rejected(
                    Reason.UNKNOWN_PARTY,
                    f"question: {signer} is not registered",
                    f"问题：主体 {signer} 未登记",
                )
        parties = self._queries.prove_parties(sorted(signers))
        note, size = await self._queries.certified_checkpoint(newest.height)
        header = store.chain_store.header_entry(newest.height)
        header_proof = self._queries.prove_entry(newest.index, note, size)
        blocks = await self._prove_blocks(sorted(heights), size)
        leaves = [held.leaf for held in record]

        def encode() -> bytes:
            return encode_record_evidence(
                contract=contract,
                genesis=self._genesis,
                header=header,
                header_proof=header_proof,
                state=claim,
                first=first,
                entries=[held.raw for held in chosen],
                range_=range_proof(leaves, first, end) if chosen else (),
                blocks=blocks,
                parties=parties,
                question=to_member(question),
            )

        return await work_aside(walk.weight, encode)

    async def equivocation(self, validator: str, number: int) -> bytes:
        """Return the `number`-th proof, from 0, that a validator contradicted itself.

        They are few, and found among any number of refused attempts: whoever is convicted could
        send those.
        """
        genesis = self._shell.driver.identity.genesis
        names = [institution.id for institution in genesis.institutions]
        if validator not in names:
            raise NotFound(
                f"{validator!r} is no validator; they are {', '.join(names)}",
                f"{validator!r} 不是验证节点；验证节点为：{'、'.join(names)}",
            )
        walk = StreamWalk(validator_stream(validator), _read_applied)
        async with self._queries.walk(walk, count_max=SIZE_MAX, is_public=True):
            found = walk.found
        if number >= len(found):
            raise NotFound(
                f"the chain holds {len(found)} proofs against {validator}, counted from 0",
                f"链上有 {len(found)} 份针对 {validator} 的自相矛盾证据，自 0 起编号",
            )
        evidence = _read_data(found[number]).get("evidence", "")
        return encode_equivocation_evidence(
            genesis=self._genesis, evidence=bytes.fromhex(str(evidence))
        )

    def _read(self, held: _Held) -> _Held:
        """Read an entry next to a window again, with what its proof needs."""
        tx_id = held.row.tx_id
        stored = self._shell.disk.store.read_entry(tx_id)
        if stored is None:
            raise Damaged(
                "index", 0, f"transaction {tx_id.hex()} was there a moment ago",
                f"交易 {tx_id.hex()} 方才还在",
            )  # fmt: skip
        return _open(tx_id, stored)

    @property
    def _genesis(self) -> bytes:
        return self._shell.driver.identity.genesis.raw

    def _claim(self, stream: str) -> StateClaim:
        """What the newest state says of a stream, be it nothing."""
        chain = self._shell.chain
        proof = encode_state_proof(chain.tree.prove(compute_state_key(stream)))
        is_there = self._shell.disk.store.chain_store.state(stream) is not None
        return StateClaim(stream, chain.stream(stream).encode() if is_there else None, proof)

    async def _prove_blocks(self, heights: Sequence[int], size: int) -> list[ProvenBlock]:
        """Prove blocks, which never change, a few at a time between other work."""
        store = self._shell.disk.store
        prover = TileProver(size, store.read_tile)
        blocks: list[ProvenBlock] = []
        for height in heights:
            path = tuple(prover.inclusion(store.header(height).index))
            blocks.append(ProvenBlock(store.chain_store.header_entry(height), path))
            if not len(blocks) % BLOCKS_PER_TURN:
                await asyncio.sleep(0)
        return blocks


class _Held(msgspec.Struct, frozen=True, gc=False):
    """What is held of one entry of a record until the answer is made."""

    row: Row
    leaf: bytes
    """Its leaf hash in the stream's tree."""
    raw: bytes = b""
    """Leaf data; this and the rest is held only of what may be part of the answer."""
    height: int = 0
    signers: tuple[str, ...] = ()

    def weigh(self) -> int:
        """Return about how many bytes of memory it takes."""
        return HELD_BYTES + len(self.raw)


def _look_for(question: Question) -> Callable[[bytes, StoredEntry], _Held]:
    def look(tx_id: bytes, stored: StoredEntry) -> _Held:
        if is_inside(question, stored.time_ms):
            return _open(tx_id, stored)
        return _Held(Row(stored.time_ms, tx_id), leaf_hash(stored.raw))

    return look


def _open(tx_id: bytes, stored: StoredEntry) -> _Held:
    entry = decode_transaction_entry(stored.raw)
    signers = tuple(read_head(entry.envelope.body).signers)
    row = Row(stored.time_ms, tx_id)
    return _Held(row, leaf_hash(stored.raw), stored.raw, entry.height, signers)


def _read_applied(_: bytes, stored: StoredEntry) -> TransactionEntry | None:
    entry = decode_transaction_entry(stored.raw)
    return None if entry.outcome.refused else entry


def _read_data(entry: TransactionEntry) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(entry.envelope.body)["data"]
    return data
