"""Evidence: what contradicts itself before a correct node's eyes must come onto the chain.

A node *holds* two contradictory votes when one process of it received both, verified, while it was
at their height. It then owes the proof to the chain, until that process ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consensus.messages import Commit, Prepare, PrePrepare, decode_message
from ledger.refusal import Rejected
from ledger.validators import ValidatorSet
from ledger.votes import PHASE_NAMES, PRE_PREPARE, PREPARE, Vote
from node.messages import Consensus, decode_frame
from sim.chain_checker import ChainChecker, Slot
from sim.coverage import Coverage
from sim.deployment import SignatureMemory

if TYPE_CHECKING:
    from sim.node import Node


class EvidenceChecker:
    """Who has seen which contradiction."""

    def __init__(
        self,
        validators: ValidatorSet,
        chain_id: bytes,
        memory: SignatureMemory,
        chain: ChainChecker,
        coverage: Coverage,
    ) -> None:
        self._validators = validators
        self._chain_id = chain_id
        self._memory = memory
        self._chain = chain
        self._coverage = coverage
        self._heard: dict[int, dict[Slot, bytes]] = {}
        self._owed: dict[int, set[Slot]] = {}

    def received(self, node: Node, payload: bytes) -> None:
        """A correct node gets a frame: remember the votes it now holds."""
        if node.driver is None:
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

    def find_missing(self) -> list[tuple[int, Slot]]:
        """Return (node, slot) of what a node held that is not on the chain."""
        return [
            (number, slot)
            for number, slots in sorted(self._owed.items())
            for slot in sorted(slots)
            if (slot[0], f"{PHASE_NAMES[slot[1]]}/{slot[2]}/{slot[3]}") not in self._chain.evidence
        ]
