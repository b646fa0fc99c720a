"""All checkers of one simulation; a breach of any raises `Violation` and ends it.

The checkers know nothing of how the driver works: they watch what correct nodes commit, save, send
and receive. `chain_checker`, `vote_checker` and `evidence_checker` say what must hold; what must
hold at the end, once everything is healed, stands in `ending`. Here are the bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.validators import ValidatorSet
from sim.chain_checker import ChainChecker
from sim.coverage import Coverage
from sim.deployment import SignatureMemory
from sim.evidence_checker import EvidenceChecker
from sim.violation import Violation
from sim.vote_checker import VoteChecker

if TYPE_CHECKING:
    from sim.node import Node

INBOX_MAX: Final = 20_000
"""Events one node may have waiting; a tenth of it is never seen in a healthy campaign."""

POOL_MAX: Final = 2_000
"""Transactions waiting at one node: far more than any workload here makes."""


class Checkers:
    """See the module's text."""

    def __init__(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        memory: SignatureMemory,
        coverage: Coverage,
    ) -> None:
        self.chain: Final = ChainChecker(validators, chain_id, memory, coverage)
        self.votes: Final = VoteChecker(validators, chain_id, self.chain, coverage)
        self.evidence: Final = EvidenceChecker(validators, chain_id, memory, self.chain, coverage)

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
