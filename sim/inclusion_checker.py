"""No honest primary leaves a transaction out: what waits everywhere is in its next block.

A transaction that waited in the pool of every correct node when a height began, and still waits in
the proposer's when that height is decided, had to be in the block, unless the block was full or of
a late view (whose batch is halved with every failed one). So whoever censors delays a transaction
by its own turns and no more: it is in within f+1 heights of honest primaries, and in fact in the
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from contracts.execution import ExecutedBlock
from genesis.document import Genesis
from ledger.votes import decode_commit_certificate
from node.mempool import Mempool
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.node import Node

VIEW_MAX: Final = 1
"""Highest view whose block had to hold what waits: in view 1 half a batch at least."""


class InclusionChecker:
    """What waited everywhere when the current height began."""

    def __init__(self, genesis: Genesis) -> None:
        self._room = genesis.parameters.block_transactions_max // 2
        self._waiting: frozenset[bytes] = frozenset()
        self._incarnations: dict[int, int] = {}

    def committed(self, nodes: Sequence[Node], block: ExecutedBlock, certificate: bytes) -> None:
        """A block is decided that was not before."""
        self._check(nodes, block, certificate)
        correct = [node for node in nodes if node.is_correct and node.driver is not None]
        held = {row.tx_id for row in block.rows}
        pools = [{tx_id for tx_id in _pool_ids(node) if tx_id not in held} for node in correct]
        self._waiting = frozenset(set.intersection(*pools)) if pools else frozenset()
        self._incarnations = {node.number: node.incarnation for node in correct}

    def _check(self, nodes: Sequence[Node], block: ExecutedBlock, certificate: bytes) -> None:
        proposer = block.header.proposer
        node = next((item for item in nodes if item.number == proposer and item.is_correct), None)
        if node is None or node.driver is None or node.is_astray or not self._waiting:
            return
        if self._incarnations.get(proposer) != node.incarnation:
            return  # a restarted node's pool is another
        if decode_commit_certificate(certificate).view > VIEW_MAX:
            return
        if block.header.count >= self._room:
            return
        held = {row.tx_id for row in block.rows}
        left_out = [
            tx_id
            for tx_id in sorted(self._waiting)
            if tx_id not in held and tx_id in node.driver.pool
        ]
        left_out = [
            tx_id for tx_id in left_out if _is_admissible(node, tx_id, block.header.time_ms)
        ]
        if left_out:
            raise Violation(
                "inclusion",
                f"{node.name} proposed block {block.header.height} without "
                f"{len(left_out)} transactions that waited at every correct node, among them "
                f"{left_out[0].hex()}",
            )


def _pool_ids(node: Node) -> list[bytes]:
    """Return what waits, asked of the pool as it is and not of one that hides something."""
    if node.driver is None:
        return []
    return [candidate.transaction.tx_id for candidate in Mempool.candidates(node.driver.pool)]


def _is_admissible(node: Node, tx_id: bytes, time_ms: int) -> bool:
    """Return whether a waiting transaction's time lets it into a block of this time."""
    candidate = None if node.driver is None else node.driver.pool.get(tx_id)
    if node.driver is None or candidate is None:
        return False
    window_ms = node.driver.chain.limits.replay_window_ms
    return 0 <= candidate.transaction.body.not_after - time_ms <= window_ms
