"""Agreement, watched from outside: one chain, whatever the nodes do and wherever they stop.

Agreement: one block hash and the same entry bytes per height on every correct node, and each node's
state is what its newest header says. Prefix: heights dense and never going back, nothing committed
lost by a crash. Validity: a certificate of enough distinct valid commits, by a quorum computed here
again; every transaction ordered by a client or an accusation by an institution, with all its
signatures good; no time that no correct clock would take. Exactly once: no transaction id twice. A
conviction names somebody who is faulty, once per slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from contracts.execution import Chain, ExecutedBlock
from genesis.document import Genesis
from ledger.block import (
    Header,
    HeaderEntry,
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    encode_header,
)
from ledger.equivocation import decode_equivocation
from ledger.merkle import compute_root, leaf_hash
from ledger.transaction import compute_check, compute_tx_id, decode_body, decode_transaction
from ledger.votes import (
    COMMIT,
    CommitCertificate,
    compute_vote_message,
    decode_commit_certificate,
)
from ledger.wire import encode
from node.ledger_store import LedgerStore
from sim.coverage import Coverage
from sim.deployment import MEMORY, TIMING
from sim.violation import Violation
from sim.world import World

if TYPE_CHECKING:
    from sim.node import Node

CLOCK_ERROR_MS_MAX: Final = 5_000
"""How far a clock that is not among the f wrong ones may be off here."""

Slot = tuple[int, int, int, int]
"""(replica, phase, height, view)."""


class ChainChecker:
    """The agreed chain, as the first correct node had each block."""

    def __init__(
        self,
        genesis: Genesis,
        world: World,
        coverage: Coverage,
    ) -> None:
        self.blocks: list[tuple[bytes, tuple[bytes, ...]]] = []
        """(block hash, entries) by height."""
        self.tx_heights: dict[bytes, int] = {}
        self.outcomes: dict[bytes, tuple[bool, str]] = {}
        """(whether applied, code) by transaction id."""
        self.evidence: set[tuple[int, str]] = set()
        """(replica, slot) of every equivocation recorded on the chain."""
        self.ordered: set[bytes] = set()
        """Ids of what clients ordered and signed rightly."""
        self.faulty: set[int] = set()
        """Replicas that a conviction may name."""
        self._genesis = genesis
        self._validators = genesis.validators
        self._chain_id = genesis.chain_id
        self._world = world
        self._coverage = coverage
        self._leaves: list[bytes] = []
        self._sizes: list[int] = []
        """Entries of the log after each block."""
        self._settled: dict[str, Header] = {}
        """The header at which each node's state was last compared."""
        self._decided: dict[int, bytes] = {}
        self._durable_height: dict[int, int] = {}
        self._roots: dict[int, bytes] = {}

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
                self._append(chain.header_hash, entries)
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

    def settled(self, node: Node) -> None:
        """A node has dealt with an event: its state is its newest header's."""
        if node.driver is None:
            return
        chain = node.driver.chain
        header = chain.header
        if self._settled.get(node.name) is header:
            return
        self._settled[node.name] = header
        if chain.tree.root != header.state_root or chain.log.size != header.log_size:
            raise Violation(
                "state root",
                f"{node.name} is at height {header.height} with state root "
                f"{chain.tree.root.hex()} and log size {chain.log.size}; its header has "
                f"{header.state_root.hex()} and {header.log_size}",
            )

    def ledger_removed(self, node: Node) -> None:
        """The ledger is gone, or an old one is in its place."""
        self._durable_height[node.number] = 0

    def root_after(self, height: int) -> tuple[int, bytes]:
        """Return (size, RFC 9162 root) of the agreed log after a block, computed plainly."""
        size = self._sizes[height]
        return size, self.root_at(size)

    def root_at(self, size: int) -> bytes:
        """Return the RFC 9162 root of the agreed log's first leaves, computed plainly."""
        if size not in self._roots:
            self._roots[size] = compute_root(self._leaves[:size])
        return self._roots[size]

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
            and MEMORY.verify(self._validators[item.replica].vote_key, message, item.signature)
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
        leaves = [*self._leaves, *[leaf_hash(entry) for entry in entries[:-1]]]
        if compute_root(leaves) != _header_of(entries).log_root:
            raise Violation(
                "agreement", f"{node.name}: the entries of block {height} are not its header's"
            )
        self._append(block_hash, entries)
        if len(entries) == 1:
            self._coverage.count("header-only block")
        self._check_time(entries)
        for raw_entry in entries[:-1]:
            entry = decode_entry(raw_entry)
            if isinstance(entry, TransactionEntry):
                self._take_transaction(height, entry)

    def _append(self, block_hash: bytes, entries: Sequence[bytes]) -> None:
        self.blocks.append((block_hash, tuple(entries)))
        self._leaves += [leaf_hash(entry) for entry in entries]
        self._sizes.append(len(self._leaves))

    def _check_time(self, entries: Sequence[bytes]) -> None:
        """At most f clocks are far off and f replicas lie, and 2f are no quorum."""
        header = _header_of(entries)
        ahead_ms = header.time_ms - self._world.true_ms
        if ahead_ms > TIMING.clock_skew_ms_max + CLOCK_ERROR_MS_MAX:
            raise Violation(
                "validity",
                f"block {header.height} is {ahead_ms} ms ahead of the true time",
            )

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
        self._check_transaction(tx_id, entry)
        self.outcomes[tx_id] = (not entry.outcome.refused, entry.outcome.code)
        if entry.outcome.refused:
            self._coverage.count("transaction refused outcome")
            return
        body = decode_body(entry.envelope.body)
        if body.kind == "validator.equivocation":
            proof = decode_equivocation(bytes.fromhex(_member(body.data, "evidence")))
            self._convict(proof.replica, proof.slot)

    def _check_transaction(self, tx_id: bytes, entry: TransactionEntry) -> None:
        transaction = decode_transaction(encode(entry.envelope))
        body = transaction.body
        is_signed = all(
            MEMORY.verify(*compute_check(signed, self._chain_id, tx_id))
            for signed in transaction.signed
        )
        is_known = tx_id in self.ordered or body.kind == "validator.equivocation"
        if not is_signed or not is_known:
            raise Violation(
                "validity",
                f"transaction {tx_id.hex()} of kind {body.kind} is on the chain, and "
                + ("nobody ordered it" if is_signed else "its signatures are wrong"),
            )

    def _convict(self, replica: int, slot: str) -> None:
        self._coverage.count("evidence on chain")
        self._coverage.count(f"convicted: {slot.partition('/')[0]}")
        if replica not in self.faulty:
            raise Violation("honest convicted", f"replica {replica} is convicted of {slot}")
        if (replica, slot) in self.evidence:
            raise Violation("convicted twice", f"replica {replica} is convicted of {slot} again")
        self.evidence.add((replica, slot))


def _member(data: Mapping[str, object], name: str) -> str:
    return str(data[name])


def _hash_of(entries: Sequence[bytes]) -> bytes:
    """Return the block hash of the header that ends these entries."""
    return compute_block_hash(encode_header(_header_of(entries)))


def _header_of(entries: Sequence[bytes]) -> Header:
    last = decode_entry(entries[-1])
    if not isinstance(last, HeaderEntry):
        raise Violation("agreement", "a block does not end with its header")
    return last.header
