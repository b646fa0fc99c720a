"""What must hold, checked after every event on every correct node; a breach ends the simulation.

The checkers know nothing of how the driver works: they watch what is committed, saved and sent,
and read the disk as a power loss would leave it. Quorums are computed here again. What is checked:
- agreement: one block hash and the same entry bytes per height; dense, monotone, nothing lost by a
  crash; a certificate of enough distinct valid commits; no transaction id twice on the chain;
- votes: nothing said twice differently in one slot, over a node's whole life; durable as of the
  last fsync before sent, a commit with its prepared block's bytes; nothing new below a view left;
  the journal never goes back; cosigned sizes never shrink and never fork;
- evidence: what contradicts itself before one correct node's eyes comes onto the chain;
- bounds: inbox, pool and links.
Equality and progress after healing are `sim.ending`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from consensus.durable import DurableRecord, decode_record
from consensus.messages import (
    Commit,
    Decided,
    NewView,
    Prepare,
    PreparedClaim,
    PrePrepare,
    ViewChange,
    claim_of,
    decode_message,
)
from contracts.execution import Chain, ExecutedBlock
from ledger.block import (
    HeaderEntry,
    TransactionEntry,
    compute_block_hash,
    decode_entry,
    encode_header,
)
from ledger.merkle import compute_root, leaf_hash
from ledger.refusal import Rejected
from ledger.transaction import compute_tx_id, decode_body
from ledger.validators import ValidatorSet
from ledger.votes import (
    COMMIT,
    PHASE_NAMES,
    PRE_PREPARE,
    PREPARE,
    CommitCertificate,
    Vote,
    compute_vote_message,
    decode_commit_certificate,
    decode_equivocation,
)
from node.driver import decode_node_record
from node.ledger_store import LedgerStore
from node.messages import Blocks, Consensus, Cosigned, FetchedProposal, Frame, decode_frame
from sim.coverage import Coverage
from sim.deployment import SignatureMemory
from storage.journal import Journal

if TYPE_CHECKING:
    from sim.node import Node

INBOX_MAX: Final = 20_000
"""Events one node may have waiting; a tenth of it is never seen in a healthy campaign."""

POOL_MAX: Final = 2_000
"""Transactions waiting at one node: far more than any workload here makes."""

Slot = tuple[int, int, int, int]
"""(replica, phase, height, view)."""


class Violation(Exception):
    """Something that must hold does not."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class Checkers:
    """See the module's text. Every method raises `Violation`."""

    def __init__(
        self, validators: ValidatorSet, chain_id: bytes, memory: SignatureMemory,
        coverage: Coverage, *, watches_liars: bool,
    ) -> None:  # fmt: skip
        self.blocks: list[tuple[bytes, tuple[bytes, ...]]] = []
        """(block hash, entries) by height, as the first correct node had it."""
        self.tx_heights: dict[bytes, int] = {}
        self.outcomes: dict[bytes, tuple[bool, str]] = {}
        self.evidence: set[Slot] = set()
        """Slots whose equivocation is recorded on the chain."""
        self._validators = validators
        self._chain_id = chain_id
        self._memory = memory
        self._coverage = coverage
        self._watches_liars = watches_liars
        self._decided: dict[int, bytes] = {}
        self._durable_height: dict[int, int] = {}
        self._votes: dict[Slot, bytes] = {}
        self._claims: dict[tuple[int, int, int], PreparedClaim | None] = {}
        self._left: dict[tuple[int, int], int] = {}
        self._saved: dict[int, tuple[int, int]] = {}
        self._cosigned: dict[int, tuple[int, bytes]] = {}
        self._cosigned_saved: dict[int, int] = {}
        self._roots: dict[int, tuple[int, bytes]] = {}
        self._journal_seen: dict[int, tuple[int, DurableRecord | None, int, bytes | None]] = {}
        self._heard: dict[int, dict[Slot, bytes]] = {}
        self._owed: dict[int, set[Slot]] = {}

    # The chain

    def started(self, node: Node, store: LedgerStore, chain: Chain) -> None:
        """A node opened its disk: everything it had committed must be there, byte for byte."""
        height = chain.header.height
        wanted = self._durable_height.get(node.number, 0)
        if height < wanted:
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

    def _take(
        self, node: Node, height: int, block_hash: bytes, entries: Sequence[bytes], raw: bytes
    ) -> None:
        self._check_certificate(node, decode_commit_certificate(raw), height, block_hash)
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
            phase, at, view = proof.slot
            self.evidence.add((proof.replica, phase, at, view))
            self._coverage.count("evidence on chain")

    def _check_certificate(
        self, node: Node, certificate: CommitCertificate, height: int, block_hash: bytes
    ) -> None:
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

    # Votes

    def saved(self, node: Node, raw: bytes) -> None:
        """A node saved its record: it may not take back what it promised before."""
        record, cosigned_size = self._decode(node, raw)
        if cosigned_size < self._cosigned_saved.get(node.number, 0):
            raise Violation(
                "journal went back",
                f"{node.name} saves cosigned size {cosigned_size} after "
                f"{self._cosigned_saved[node.number]}",
            )
        self._cosigned_saved[node.number] = cosigned_size
        if record is None:
            return
        at = (record.height, record.view)
        before = self._saved.get(node.number, (0, 0))
        if at < before:
            raise Violation(
                "journal went back",
                f"{node.name} saves a record of height {at[0]} view {at[1]} after one of height "
                f"{before[0]} view {before[1]}",
            )
        self._saved[node.number] = at
        for vote in record.votes:
            self._sign(node, vote.phase, record.height, vote.view, vote.block_hash)

    def forgot(self, node: Node) -> None:
        """A node lost its journal; its statements are still remembered here, for ever."""
        self._saved.pop(node.number, None)
        self._cosigned_saved.pop(node.number, None)

    def sending(self, node: Node, frame: Frame) -> None:
        """A correct node is about to put a frame on the wire."""
        if isinstance(frame, Blocks):
            self._coverage.count("catch-up")
        if isinstance(frame, Cosigned):
            self._send_cosignature(node, frame)
        if not isinstance(frame, Consensus):
            return
        message = decode_message(frame.payload)
        match message:
            case PrePrepare() | NewView():
                if self._validators.primary(message.height, message.view) == node.number:
                    block_hash = message.proposal.block_hash
                    self._send_vote(node, PRE_PREPARE, message.height, message.view, block_hash)
                    if isinstance(message, NewView):
                        self._coverage.count("new view")
                        if message.prepared is not None:
                            self._coverage.count("re-proposal")
            case Prepare():
                self._send_vote(node, PREPARE, message.height, message.view, message.block_hash)
            case Commit():
                self._send_vote(node, COMMIT, message.height, message.view, message.block_hash)
            case ViewChange():
                self._send_view_change(node, message)
            case Decided():
                certificate = message.certificate
                self._check_certificate(
                    node, certificate, certificate.height, certificate.block_hash
                )

    def _sign(self, node: Node, phase: int, height: int, view: int, block_hash: bytes) -> None:
        slot = (node.number, phase, height, view)
        known = self._votes.get(slot)
        if known is None:
            if view < self._left.get((node.number, height), 0):
                raise Violation(
                    "vote in a left view",
                    f"{node.name} signs a {PHASE_NAMES[phase]} of height {height} view {view} "
                    f"after it asked for view {self._left[node.number, height]}",
                )
            self._votes[slot] = block_hash
        elif known != block_hash:
            raise Violation(
                "double vote",
                f"{node.name} signs {PHASE_NAMES[phase]}s of height {height} view {view} for "
                f"{known.hex()} and {block_hash.hex()}",
            )

    def _send_vote(self, node: Node, phase: int, height: int, view: int, block_hash: bytes) -> None:
        self._sign(node, phase, height, view, block_hash)
        record, _, pending = self._durable(node)
        name = f"{PHASE_NAMES[phase]} of height {height} view {view}"
        if (
            record is None
            or record.height != height
            or not any(
                (vote.phase, vote.view, vote.block_hash) == (phase, view, block_hash)
                for vote in record.votes
            )
        ):
            raise Violation("durable before sent", f"{node.name} sends a {name} it has not synced")
        if phase == COMMIT and view == max(v.view for v in record.votes if v.phase == COMMIT):
            prepared = record.prepared
            if prepared is None or (prepared.view, prepared.block_hash) != (view, block_hash):
                raise Violation(
                    "durable before sent", f"{node.name} sends a {name} without its certificate"
                )
            if pending != block_hash:
                raise Violation(
                    "durable before sent", f"{node.name} sends a {name} without the block's bytes"
                )

    def _send_view_change(self, node: Node, message: ViewChange) -> None:
        key = (node.number, message.height, message.view)
        claim = claim_of(message.prepared)
        if key not in self._claims:
            self._coverage.count("view change")
        if self._claims.setdefault(key, claim) != claim:
            raise Violation(
                "double vote",
                f"{node.name} signs two view-changes of height {message.height} to view "
                f"{message.view}",
            )
        record, _, _ = self._durable(node)
        if record is None or record.view_change != message:
            raise Violation(
                "durable before sent",
                f"{node.name} sends a view-change of height {message.height} to view "
                f"{message.view} it has not synced",
            )
        at = (node.number, message.height)
        self._left[at] = max(self._left.get(at, 0), message.view)

    def _send_cosignature(self, node: Node, frame: Cosigned) -> None:
        size, root = self._cosigned.get(node.number, (0, b""))
        true = self._root_after(frame.height)
        if (frame.size, frame.root) != true or frame.size < size:
            raise Violation(
                "cosignature",
                f"{node.name} cosigns size {frame.size} root {frame.root.hex()} after block "
                f"{frame.height}; the agreed log has size {true[0]} root {true[1].hex()}, and "
                f"before it cosigned size {size} root {root.hex()}",
            )
        self._cosigned[node.number] = (frame.size, frame.root)
        if self._durable(node)[1] < frame.size:
            raise Violation(
                "durable before sent", f"{node.name} cosigns size {frame.size} before it is synced"
            )

    def _root_after(self, height: int) -> tuple[int, bytes]:
        """Return (size, RFC 9162 root) of the agreed log after a block, computed plainly."""
        if height not in self._roots:
            leaves = [
                leaf_hash(entry) for _, entries in self.blocks[: height + 1] for entry in entries
            ]
            self._roots[height] = (len(leaves), compute_root(leaves))
        return self._roots[height]

    def _durable(self, node: Node) -> tuple[DurableRecord | None, int, bytes | None]:
        """Return (record, cosigned size, pending block hash) as a power loss now would leave it."""
        seen = self._journal_seen.get(node.number)
        key = (node.incarnation << 32) | node.save_count
        if seen is not None and seen[0] == key:
            return seen[1:]
        state = Journal.open(node.votes.durable_copy()).load()
        record, size = (None, 0) if state.record is None else self._decode(node, state.record)
        pending = None
        if state.pending is not None:
            stored = decode_frame(state.pending)
            if isinstance(stored, FetchedProposal):
                pending = compute_block_hash(stored.header)
        self._journal_seen[node.number] = (key, record, size, pending)
        return record, size, pending

    def _decode(self, node: Node, raw: bytes) -> tuple[DurableRecord | None, int]:
        replica, cosigned_size = decode_node_record(raw)
        if replica is None:
            return None, cosigned_size
        return decode_record(replica, self._chain_id, node.number), cosigned_size

    # Evidence

    def received(self, node: Node, payload: bytes) -> None:
        """A correct node gets a frame: remember the votes it now holds."""
        if not self._watches_liars or node.driver is None:
            return
        try:
            frame = decode_frame(payload)
            if not isinstance(frame, Consensus):
                return
            vote = self._vote_in(decode_message(frame.payload))
        except Rejected:
            return
        if vote is None or vote.height != node.driver.replica.height:
            return
        if vote.replica == node.number:
            return
        slot = (vote.replica, vote.phase, vote.height, vote.view)
        known = self._heard.setdefault(node.number, {}).setdefault(slot, vote.block_hash)
        owed = self._owed.setdefault(node.number, set())
        if known != vote.block_hash and slot not in owed:
            owed.add(slot)
            self._coverage.count("evidence held")

    def _vote_in(self, message: object) -> Vote | None:
        """Return the verified vote a message is, if it is one that counts."""
        if isinstance(message, PrePrepare):
            vote = Vote(
                PRE_PREPARE,
                message.height,
                0,
                message.proposal.block_hash,
                self._validators.primary(message.height, 0),
                message.signature,
            )
        elif isinstance(message, Prepare | Commit):
            vote = message.vote
            primary = self._validators.primary(vote.height, vote.view)
            if vote.phase == PREPARE and vote.replica == primary:
                return None  # a primary's prepare is no vote
        else:
            return None
        vote.verify(self._validators, self._chain_id, self._memory.verify)
        return vote

    def ended(self, node: Node) -> None:
        """A process ended: what it held only in memory is gone, and nobody owes it any more."""
        self._heard.pop(node.number, None)
        self._owed.pop(node.number, None)

    def evidence_missing(self) -> list[tuple[int, Slot]]:
        """Return (node, slot) of what a node held that is not on the chain."""
        return [
            (number, slot)
            for number, slots in sorted(self._owed.items())
            for slot in sorted(slots)
            if slot not in self.evidence
        ]

    # Bounds

    def settled(self, node: Node) -> None:
        """A node has dealt with an event."""
        driver = node.driver
        if driver is None:
            return
        if node.inbox_count > INBOX_MAX or len(driver.pool) > POOL_MAX:
            raise Violation(
                "bounds",
                f"{node.name} has {node.inbox_count} events and {len(driver.pool)} transactions "
                "waiting",
            )


def _member(data: Mapping[str, object], name: str) -> str:
    return str(data[name])


def _hash_of(entries: Sequence[bytes]) -> bytes:
    """Return the block hash of the header that ends these entries."""
    last = decode_entry(entries[-1])
    if not isinstance(last, HeaderEntry):
        raise Violation("agreement", "a block does not end with its header")
    return compute_block_hash(encode_header(last.header))
