"""Catching up: decided blocks, one height after another, each with the votes that decided it.

One peer is asked at a time, for the height after the newest applied. Nothing it says is believed:
a block counts by its commit certificate and by executing to the same bytes. A peer that gives a
false block or none in time costs one retry, and the next connected one is asked. So it is after a
good answer too: peers take turns, or one that gives a block at a time would set the pace for ever.
A block with a valid certificate that this node cannot reproduce is no lie of the peer's: then the
node halts. Client signatures inside a decided block are not verified again: a quorum, hence at
least f+1 correct replicas, has verified them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from contracts.execution import (
    Candidate,
    Chain,
    ExecutedBlock,
    ExecutionFailed,
    Inadmissible,
    execute_block,
    parse_candidate,
)
from ledger.block import (
    Header,
    check_successor,
    compute_block_hash,
    decode_transaction_entry,
    encode_header,
    read_block_header,
)
from ledger.merkle import leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.transaction import decode_transaction
from ledger.votes import VerifySignature, decode_commit_certificate
from ledger.wire import encode
from node.messages import BLOCKS_MAX, CertifiedBlock

ANSWER_TICKS_MAX: Final = 40
"""How long one peer may take to answer (2 s at 50 ms) before another is asked."""

LACKING_TICKS: Final = 1200
"""Before all are asked again who have just said that they do not hold a block (a minute): until a
person has done something about it that is a line in the log and nothing else."""


class BlockSource(Protocol):
    """What the driver reads of the blocks already on disk."""

    def block(self, height: int) -> tuple[Sequence[bytes], bytes]:
        """Return (entries, commit certificate) of an applied block."""

    @property
    def first_height(self) -> int:
        """The first block held here; those before it are others' to give."""

    @property
    def first_size(self) -> int:
        """Entries of the log before that block: proofs lead to no smaller tree."""

    def certificate(self, height: int) -> bytes | None:
        """Return an applied block's commit certificate; None or empty at height 0."""

    def checkpoint(self, height: int) -> bytes | None:
        """Return the certified checkpoint kept of a height."""

    def transaction_height(self, tx_id: bytes) -> int | None:
        """Return the height of a transaction on the chain."""

    def read_tile(self, level: int, index: int) -> bytes:
        """Return a tile of the log's hashes."""


class CatchUp:
    """Whom to ask for which blocks, and the blocks that have come and wait to be applied."""

    def __init__(self, replica_count: int, replica: int) -> None:
        self._replica_count = replica_count
        self._replica = replica
        self._target = 0
        self._asked: int | None = None
        self._gave = replica
        """Whose blocks came last; the one after it is asked next."""
        self._ticks = 0
        self._lacking: set[int] = set()
        self._blocks: deque[tuple[int, CertifiedBlock]] = deque()
        self._one_behind: dict[int, int] = {}
        """Own height when a peer was last seen to be one ahead."""

    @property
    def has_blocks(self) -> bool:
        """Say whether fetched blocks wait to be applied."""
        return bool(self._blocks)

    @property
    def target(self) -> int:
        """Highest height a peer was seen to prove."""
        return self._target

    @property
    def is_active(self) -> bool:
        """Say whether a peer has been asked."""
        return self._asked is not None

    def is_far(self, applied: int) -> bool:
        """Say whether more than the next block is proven to be decided elsewhere."""
        return self._target > applied + 1

    def is_late(self, replica: int, height: int, applied: int) -> bool:
        """Say whether a peer's proven height, above the own, is one to catch up to.

        One block behind is ordinary for a moment: the votes are on their way or the block is being
        executed. It is late when the same peer is told of again and nothing has moved meanwhile.
        """
        if height > applied + 1:
            return True
        is_still = self._one_behind.get(replica) == applied
        self._one_behind[replica] = applied
        return is_still

    def begin(
        self, target: int, replica: int, applied: int, connected: Collection[int]
    ) -> int | None:
        """Note that `replica` is at `target`; return the peer to ask now, if any."""
        if target <= applied:
            return None
        self._target = max(self._target, target)
        if self.is_active or self.has_blocks:
            return None
        return self._ask(replica if replica in connected else self._next(replica, connected))

    def take(self, replica: int, blocks: Sequence[CertifiedBlock], applied: int) -> bool:
        """Queue an answer; return whether there is something to apply now."""
        if replica != self._asked or self.has_blocks:
            return False
        if not blocks and self._target > applied:
            self._ticks = ANSWER_TICKS_MAX  # still the one asked, or it could ask to be asked again
            return False
        self._asked = None
        self._gave = replica
        self._lacking.clear()
        self._blocks.extend([(replica, block) for block in blocks[:BLOCKS_MAX]])
        return self.has_blocks

    def lacks(self, replica: int, connected: Collection[int]) -> bool | None:
        """A peer does not hold the block asked for: another is asked at the next tick.

        Returns whether all that are connected have now said so, one after another; then it is later
        that the next one is asked. None if nobody asked, or it has been said.
        """
        if replica != self._asked or replica in self._lacking:
            return None
        self._lacking.add(replica)
        is_all = self._lacking.issuperset(connected)
        self._ticks = -LACKING_TICKS if is_all else ANSWER_TICKS_MAX
        return is_all

    def next_block(self) -> tuple[int, CertifiedBlock] | None:
        """Return and forget the next block to apply, with the peer who gave it."""
        return self._blocks.popleft() if self._blocks else None

    def advance(self, applied: int, connected: Collection[int]) -> int | None:
        """A block was applied and none waits; return the peer to ask for more, if more is known."""
        if self._target <= applied:
            self._asked = None
            return None
        if self.is_active:
            return None
        return self._ask(self._next(self._gave, connected))

    def give_up(self, replica: int, connected: Collection[int]) -> int | None:
        """A peer gave a false block: drop the rest of it and return another peer to ask."""
        self._blocks.clear()
        return self._ask(self._next(replica, connected))

    def tick(self, connected: Collection[int]) -> int | None:
        """A span passed; return another peer to ask when the last one did not answer."""
        if self._asked is None:
            return None
        self._ticks += 1
        is_lacking_all = self._lacking.issuperset(connected)
        if self._ticks < 0 and not is_lacking_all:
            self._ticks = ANSWER_TICKS_MAX  # somebody came who may hold it
        if self._ticks < ANSWER_TICKS_MAX:
            return None
        if is_lacking_all:
            self._lacking.clear()
        return self._ask(self._next(self._asked, connected))

    def _ask(self, replica: int | None) -> int | None:
        self._asked = replica
        self._ticks = 0
        return replica

    def _next(self, replica: int, connected: Collection[int]) -> int | None:
        """Return the next connected peer after `replica`, in replica order."""
        for step in range(1, self._replica_count + 1):
            peer = (replica + step) % self._replica_count
            if peer != self._replica and peer in connected:
                return peer
        return None


def read_certified_block(
    certified: CertifiedBlock, chain: Chain, verify: VerifySignature
) -> ExecutedBlock | str:
    """Return the executed block, or a sentence why this node cannot reproduce it.

    Raises `Rejected` when the block is not the decided successor of the applied one: then it is
    the peer's lie.
    """
    header, _ = _read_entries(certified.entries)
    certificate = decode_commit_certificate(certified.certificate)
    block_hash = compute_block_hash(encode_header(header))
    if certificate.height != header.height or certificate.block_hash != block_hash:
        raise Rejected(
            Reason.BAD_PROOF,
            f"block {header.height}: the certificate is for block "
            f"{certificate.block_hash.hex()} of height {certificate.height}",
        )
    certificate.verify(chain.validators, chain.chain_id, verify)
    return reproduce_block(certified.entries, chain)


def reproduce_block(entries: Sequence[bytes], chain: Chain) -> ExecutedBlock | str:
    """Execute a block's entries on the applied state and compare every byte.

    Returns a sentence when they come out differently here. Raises `Rejected` when they are not
    what their own header commits to, or the header does not follow the applied one.
    """
    header, candidates = _read_entries(entries)
    check_successor(chain.header, header)
    leaves = [leaf_hash(entry) for entry in entries[:-1]]
    if chain.log.extend(leaves).root() != header.log_root:
        raise Rejected(
            Reason.ROOT_MISMATCH,
            f"block {header.height}: its entries do not give the log root of its header",
        )
    try:
        block = execute_block(
            chain,
            header.time_ms,
            candidates,
            proposer=header.proposer,
            rule_pack_version=header.rule_pack_version,
        )
    except (Inadmissible, ExecutionFailed) as error:
        return str(error)
    for position, entry in enumerate(block.entries):
        if entry != entries[position]:
            return f"entry {header.first_index + position} came out differently here"
    return block


def _read_entries(entries: Sequence[bytes]) -> tuple[Header, list[Candidate]]:
    header = read_block_header(entries)
    candidates = []
    for raw in entries[:-1]:
        entry = decode_transaction_entry(raw)
        candidates.append(parse_candidate(decode_transaction(encode(entry.envelope))))
    return header, candidates
