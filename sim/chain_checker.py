"""Agreement, watched from outside: one chain, whatever the nodes do and wherever they stop.

One block hash and the same entry bytes per height on every correct node; heights dense and never
going back, nothing committed lost by a crash; a certificate of enough distinct valid commits, by a
quorum computed here again; no transaction id twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from contracts.execution import Chain, ExecutedBlock
from ledger.block import (
    HeaderEntry,
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    encode_header,
)
from ledger.equivocation import decode_equivocation
from ledger.merkle import compute_root, leaf_hash
from ledger.transaction import compute_tx_id, decode_body
from ledger.validators import ValidatorSet
from ledger.votes import (
    COMMIT,
    CommitCertificate,
    compute_vote_message,
    decode_commit_certificate,
)
from node.ledger_store import LedgerStore
from sim.coverage import Coverage
from sim.deployment import SignatureMemory
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.node import Node

Slot = tuple[int, int, int, int]
"""(replica, phase, height, view)."""


class ChainChecker:
    """The agreed chain, as the first correct node had each block."""

    def __init__(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        memory: SignatureMemory,
        coverage: Coverage,
    ) -> None:
        self.blocks: list[tuple[bytes, tuple[bytes, ...]]] = []
        """(block hash, entries) by height."""
        self.tx_heights: dict[bytes, int] = {}
        self.outcomes: dict[bytes, tuple[bool, str]] = {}
        """(whether applied, code) by transaction id."""
        self.evidence: set[tuple[int, str]] = set()
        """(replica, slot) of every equivocation recorded on the chain."""
        self._validators = validators
        self._chain_id = chain_id
        self._memory = memory
        self._coverage = coverage
        self._decided: dict[int, bytes] = {}
        self._durable_height: dict[int, int] = {}
        self._roots: dict[int, tuple[int, bytes]] = {}

    def started(self, node: Node, store: LedgerStore, chain: Chain) -> None:
        """A node opened its disk: everything it had committed must be there, byte for byte."""
        height = chain.header.height
        wanted = self._durable_height.get(node.number, 0)
        if height < wanted and node.may_lose_tail:
            self._coverage.count("rotten tail cut off")
        elif height < wanted:
            raise Violation(
                "committed block lost", f"{node.name} starts at {height}, it had committed {wanted}"
            )
        for at in range(height + 1):
            entries, certificate = store.block(at)
            if at == len(self.blocks) == 0:
                self.blocks.append((chain.header_hash, tuple(entries)))
            if at < len(self.blocks):
                self._agree(node, at, self.blocks[at][0], entries)
            else:  # committed by a process that ended before it could be watched
                self._take(node, at, _hash_of(entries), entries, certificate)
        if chain.header_hash != self.blocks[height][0]:
            raise Violation("agreement", f"{node.name} opened another header at height {height}")
        self._durable_height[node.number] = height

    def committed(self, node: Node, block: ExecutedBlock, certificate: bytes) -> None:
        """A node made a block durable."""
        height = block.header.height
        expected = self._durable_height.get(node.number, 0) + 1
        if height != expected:
            raise Violation(
                "prefix", f"{node.name} commits {height}, the next height there is {expected}"
            )
        self._durable_height[node.number] = height
        self._take(node, height, block.block_hash, block.entries, certificate)

    def ledger_removed(self, node: Node) -> None:
        """The operator removed a damaged ledger."""
        self._durable_height[node.number] = 0

    def root_after(self, height: int) -> tuple[int, bytes]:
        """Return (size, RFC 9162 root) of the agreed log after a block, computed plainly."""
        if height not in self._roots:
            leaves = [
                leaf_hash(entry) for _, entries in self.blocks[: height + 1] for entry in entries
            ]
            self._roots[height] = (len(leaves), compute_root(leaves))
        return self._roots[height]

    def check_certificate(
        self, node: Node, certificate: CommitCertificate, height: int, block_hash: bytes
    ) -> None:
        """Raise `Violation` unless a quorum committed to this block, and to no other."""
        count = len(self._validators)
        quorum = (count + (count - 1) // 3) // 2 + 1
        message = compute_vote_message(
            COMMIT, self._chain_id, height, certificate.view, certificate.block_hash
        )
        voters = {
            item.replica
            for item in certificate.commits
            if item.replica < count
            and self._memory.verify(
                self._validators[item.replica].vote_key, message, item.signature
            )
        }
        if certificate.block_hash != block_hash or len(voters) < quorum:
            raise Violation(
                "certificate",
                f"{node.name}: block {block_hash.hex()} of height {height} has {len(voters)} valid "
                f"commits of distinct replicas; a quorum is {quorum}",
            )
        known = self._decided.setdefault(height, block_hash)
        if known != block_hash:
            raise Violation(
                "agreement",
                f"height {height}: certificates for {known.hex()} and {block_hash.hex()}",
            )

    def _take(
        self, node: Node, height: int, block_hash: bytes, entries: Sequence[bytes], raw: bytes
    ) -> None:
        self.check_certificate(node, decode_commit_certificate(raw), height, block_hash)
        if height < len(self.blocks):
            self._agree(node, height, block_hash, entries)
            return
        if _hash_of(entries) != block_hash:
            raise Violation("agreement", f"{node.name}: block {height} has not its header's hash")
        self.blocks.append((block_hash, tuple(entries)))
        if len(entries) == 1:
            self._coverage.count("header-only block")
        for raw_entry in entries[:-1]:
            entry = decode_entry(raw_entry)
            if isinstance(entry, TransactionEntry):
                self._take_transaction(height, entry)

    def _agree(self, node: Node, height: int, block_hash: bytes, entries: Sequence[bytes]) -> None:
        known_hash, known_entries = self.blocks[height]
        if block_hash != known_hash:
            raise Violation(
                "agreement",
                f"height {height}: {node.name} has {block_hash.hex()}, others {known_hash.hex()}",
            )
        if tuple(entries) != known_entries:
            raise Violation("agreement", f"height {height}: {node.name} has other entry bytes")

    def _take_transaction(self, height: int, entry: TransactionEntry) -> None:
        tx_id = compute_tx_id(entry.envelope.body)
        if tx_id in self.tx_heights:
            raise Violation(
                "exactly once",
                f"transaction {tx_id.hex()} is in blocks {self.tx_heights[tx_id]} and {height}",
            )
        self.tx_heights[tx_id] = height
        self.outcomes[tx_id] = (not entry.outcome.refused, entry.outcome.code)
        if entry.outcome.refused:
            self._coverage.count("transaction refused outcome")
            return
        body = decode_body(entry.envelope.body)
        if body.kind == "validator.equivocation":
            proof = decode_equivocation(bytes.fromhex(_member(body.data, "evidence")))
            self.evidence.add((proof.replica, proof.slot))
            self._coverage.count("evidence on chain")


def _member(data: Mapping[str, object], name: str) -> str:
    return str(data[name])


def _hash_of(entries: Sequence[bytes]) -> bytes:
    """Return the block hash of the header that ends these entries."""
    last = decode_entry(entries[-1])
    if not isinstance(last, HeaderEntry):
        raise Violation("agreement", "a block does not end with its header")
    return compute_block_hash(encode_header(last.header))
