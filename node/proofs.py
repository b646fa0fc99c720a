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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from api.ports import NotFound
from contracts.equivocation import validator_stream
from contracts.execution import StoredEntry
from contracts.parties import party_stream
from contracts.questions import Question, Row, find_promise, find_span, to_member
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
from node.queries import Queries, archive_named, work_aside
from node.shell import Shell
from node.stream_walk import StreamWalk

BLOCKS_PER_TURN: Final = 64
"""Blocks proven between two pauses: some milliseconds. A record of a hundred thousand entries may
stand in as many blocks."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry of a record with what an answer needs of it: worked out while it is read, a few
    entries at a time, and not of all of them in one turn of the event loop."""

    row: Row
    raw: bytes
    leaf: bytes
    height: int
    signers: tuple[str, ...]


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
                f"heights {older_height} and {newer_height} are not two of 0 to {newest} in order"
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
        walk = StreamWalk(contract_stream(contract), _see)
        async with self._queries.walk(walk):
            return await self._answer(contract, question, walk)

    async def _answer(self, contract: str, question: Question, walk: StreamWalk[_Seen]) -> bytes:
        """Answer from a whole record, in the turn in which it was read."""
        newest = self._shell.chain.header
        claim = self._claim(walk.stream)
        record = walk.found
        store = self._shell.disk.store
        first, end = find_span(
            question,
            [seen.row for seen in record],
            newest.time_ms,
            lambda place: _read_data(decode_transaction_entry(record[place].raw)),
        )
        chosen = record[first:end]
        heights = {seen.height for seen in chosen}
        signers = {signer for seen in chosen for signer in seen.signers}
        promise = find_promise(question)
        if promise is not None:
            heights.add(promise[0])
            signers |= set(promise[1])
        if max(heights, default=0) > newest.height:
            raise Rejected(
                Reason.WRONG_HEIGHT,
                f"question: the promised height {max(heights)} is not reached; the chain is at "
                f"{newest.height}",
            )
        for height in heights:
            self._queries.check_held(height)
        for signer in signers:
            if store.chain_store.state(party_stream(signer)) is None:
                raise Rejected(Reason.UNKNOWN_PARTY, f"question: {signer} is not registered")
        parties = self._queries.prove_parties(sorted(signers))
        note, size = await self._queries.certified_checkpoint(newest.height)
        encode = partial(
            encode_record_evidence,
            contract=contract,
            genesis=self._genesis,
            header=store.chain_store.header_entry(newest.height),
            header_proof=self._queries.prove_entry(newest.index, note, size),
            state=claim,
            first=first,
            entries=[seen.raw for seen in chosen],
            blocks=await self._prove_blocks(sorted(heights), size),
            parties=parties,
            question=to_member(question),
        )
        leaves = [seen.leaf for seen in record]
        return await work_aside(
            walk.weight, lambda: encode(range_=range_proof(leaves, first, end) if chosen else ())
        )

    async def equivocation(self, validator: str, number: int) -> bytes:
        """Return the `number`-th proof, from 0, that a validator contradicted itself.

        They are few, and found among any number of refused attempts: whoever is convicted could
        send those.
        """
        walk = StreamWalk(validator_stream(validator), _read_applied)
        async with self._queries.walk(walk, count_max=SIZE_MAX, is_public=True):
            found = walk.found
        if number >= len(found):
            raise NotFound(
                f"the chain holds {len(found)} proofs against {validator}, counted from 0"
            )
        evidence = _read_data(found[number]).get("evidence", "")
        return encode_equivocation_evidence(
            genesis=self._genesis, evidence=bytes.fromhex(str(evidence))
        )

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
        with archive_named():
            for height in heights:
                path = tuple(prover.inclusion(store.header(height).index))
                blocks.append(ProvenBlock(store.chain_store.header_entry(height), path))
                if not len(blocks) % BLOCKS_PER_TURN:
                    await asyncio.sleep(0)
        return blocks


def _see(tx_id: bytes, stored: StoredEntry) -> _Seen:
    entry = decode_transaction_entry(stored.raw)
    return _Seen(
        Row(stored.time_ms, tx_id),
        stored.raw,
        leaf_hash(stored.raw),
        entry.height,
        tuple(read_head(entry.envelope.body).signers),
    )


def _read_applied(_: bytes, stored: StoredEntry) -> TransactionEntry | None:
    entry = decode_transaction_entry(stored.raw)
    return None if entry.outcome.refused else entry


def _read_data(entry: TransactionEntry) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(entry.envelope.body)["data"]
    return data
