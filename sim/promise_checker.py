"""Every promise that a correct node signs is kept: the transaction stands by the promised height.

Whatever goes wrong, a signed receipt is evidence (`proof omission`), so an honest node must never
give one that it may break. The receipt is read here again, to the bytes that are signed, and each
promise is followed until a block holds its transaction. When the promised height is decided without
it, the promise is broken; one that is broken as it is signed has no excuse at all. Otherwise the
excuses are these:

- *The disk was lost*: what the node had synced was destroyed after it signed (disk lost, an older
  backup put back, a bit of its spool rotten). ADR 0008 grants this only where nothing had been
  spread. That others had it is no help here: they wait for nobody's promise, and a crash empties
  their pools. So all of these are let pass, and their number is counted.
- *Away, and it reached nobody*: the node was down, or behind by more than what is being decided, at
  half of the heights left to it or more, and no block of these has a correct proposer that held
  the transaction when the height began. Nobody can then put it onto the chain but who is away; the
  ADR names this among what a receipt costs. A node that is cut off for good is of this kind.
  Neither half alone is enough: one that is there has its own turns, and what others hold they
  propose. And who promises while it is away, from below what is decided, is excused by this only
  as far as its promise could still have been kept.
- *Faulty by now*: liars, twins, and a node whose vote record was lost without its knowing, or that
  was put back in silence, are among the f; nobody vouches for what they sign.

What the verifier's rule of omission excuses besides cannot happen here and excuses nothing: no key
ends in a simulation, and every transaction is valid for longer than one lasts. Promises of heights
that no run comes to are held to what the run owes in the end: all that was ordered is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.ports import Accepted, Intake
from contracts.execution import ExecutedBlock
from genesis.document import Genesis
from ledger import tags
from ledger.merkle import compute_root, leaf_hash
from ledger.receipt import BatchReceipt, IntakeReceipt
from ledger.transaction import decode_transaction
from ledger.votes import decode_commit_certificate
from node.mempool import Mempool
from sim.chain_checker import ChainChecker
from sim.coverage import Coverage
from sim.deployment import MEMORY
from sim.inclusion_checker import VIEW_MAX
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.node import Node

BEHIND_MAX: Final = 2
"""Blocks that a node which is there may lack of one that is being decided: it is applying them."""


@dataclass(slots=True)
class Promise:
    """What a correct node signed, and what has been since."""

    node: Node
    tx_id: bytes
    height_max: int
    tip: int
    """Newest height decided anywhere when it was signed."""
    losses: int
    """How often its disk had been lost by then."""
    away: int = 0
    """Heights since at which the node was away."""
    held_by: frozenset[int] = frozenset()
    """Correct nodes in whose pools it was when the current height began."""
    is_left_out: bool = False
    """Whether one of these has proposed the block of its height, without it."""


class PromiseChecker:
    """See the module's text."""

    def __init__(self, genesis: Genesis, chain: ChainChecker, coverage: Coverage) -> None:
        self._genesis = genesis
        self._heights = genesis.parameters.intake_heights
        self._chain = chain
        self._coverage = coverage
        self._open: list[Promise] = []

    def answered(self, node: Node, envelopes: Sequence[bytes], answers: Sequence[Intake]) -> None:
        """A correct node answered a request."""
        tip = len(self._chain.blocks) - 1
        taken = [answer for answer in answers if isinstance(answer, Accepted)]
        for answer in taken:
            receipt = answer.receipt
            self._check_receipt(node, receipt, [each.tx_id for each in taken])
            self._coverage.count("promise")
            if isinstance(receipt, BatchReceipt):
                self._coverage.count("promise of a batch")
            promise = Promise(node, answer.tx_id, receipt.height_max, tip, losses=node.disk_losses)
            if tip > receipt.height_max - self._heights:
                self._coverage.count("promise from below the tip")
            if receipt.height_max <= tip and not self._is_kept(promise):
                raise Violation(
                    "promise",
                    f"{node.name} promises {answer.tx_id.hex()} for height {receipt.height_max} "
                    f"when {tip} is decided: broken as it is signed",
                )
            self._open.append(promise)
        if len(answers) != len(envelopes) or {each.tx_id for each in taken} - {
            decode_transaction(raw).tx_id for raw in envelopes if taken
        }:
            raise Violation("promise", f"{node.name} answers what it was not asked")

    def committed(self, nodes: Sequence[Node], block: ExecutedBlock, certificate: bytes) -> None:
        """A block is decided that was not before."""
        height, proposer = block.header.height, block.header.proposer
        is_roomy = decode_commit_certificate(certificate).view <= VIEW_MAX and (
            block.header.count < self._genesis.parameters.block_transactions_max // 2
        )
        pools = {
            node.number: node.driver.pool
            for node in nodes
            if node.is_correct and node.driver is not None
        }
        still_open = []
        for promise in self._open:
            if promise.tx_id in self._chain.tx_heights:
                self._settle(promise)
                continue
            promise.away += is_away(promise.node, height)
            holders = [number for number, pool in pools.items() if Mempool.get(pool, promise.tx_id)]
            if is_roomy and proposer in promise.held_by and proposer in holders:
                promise.is_left_out = True
            promise.held_by = frozenset(holders)
            if height >= promise.height_max:
                self._excuse(promise, "is not on the chain")
            else:
                still_open.append(promise)
        self._open = still_open

    def _settle(self, promise: Promise) -> None:
        if not self._is_kept(promise):
            at = self._chain.tx_heights[promise.tx_id]
            self._excuse(promise, f"stands at height {at}")

    def _is_kept(self, promise: Promise) -> bool:
        at = self._chain.tx_heights.get(promise.tx_id)
        return at is not None and at <= promise.height_max

    def _excuse(self, promise: Promise, what: str) -> None:
        """Raise `Violation` unless there is an excuse."""
        node = promise.node
        since = promise.height_max - promise.tip
        if not node.is_correct:
            self._coverage.count("promise of a node that is faulty by now")
        elif node.disk_losses > promise.losses:
            self._coverage.count("promise lost with its disk")
        elif 2 * promise.away >= since and not promise.is_left_out:
            self._coverage.count("promise of who was away, and it reached nobody")
        else:
            raise Violation(
                "promise",
                f"{node.name} promised {promise.tx_id.hex()} for height {promise.height_max} when "
                f"{promise.tip} was decided, and it {what}; it was away at {promise.away} heights "
                f"since, and {'a' if promise.is_left_out else 'no'} correct proposer held it",
            )

    def _check_receipt(
        self, node: Node, receipt: IntakeReceipt | BatchReceipt, tx_ids: Sequence[bytes]
    ) -> None:
        """Raise `Violation` unless this institution has signed exactly this, for this chain."""
        institution = self._genesis.institutions[node.number]
        key = bytes.fromhex(institution.keys.party)
        if isinstance(receipt, IntakeReceipt):
            subject, is_about = tags.INTAKE_RECEIPT, [receipt.tx_id] == list(tx_ids)
            about = receipt.tx_id
        else:
            subject = tags.BATCH_RECEIPT
            is_about = receipt.root == compute_root([leaf_hash(tx_id) for tx_id in tx_ids])
            about = receipt.root + receipt.size.to_bytes(8, "big")
        message = (
            subject
            + self._genesis.chain_id
            + about
            + receipt.received_ms.to_bytes(8, "big")
            + receipt.height_max.to_bytes(8, "big")
        )
        is_own = receipt.node == institution.id and receipt.public_key == key
        if not (is_about and is_own and MEMORY.verify(key, message, receipt.signature)):
            raise Violation("promise", f"{node.name} signs a receipt that proves nothing")


def is_away(node: Node, height: int) -> bool:
    """Say whether a node has no part in what is decided at a height."""
    return node.driver is None or node.height < height - BEHIND_MAX
