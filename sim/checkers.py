"""All checkers of one simulation; a breach of any raises `Violation` and ends it.

They watch from outside what correct nodes commit, save, send, receive and hold; none of them shares
code with what it watches. What must hold at the end, once everything is healed, stands in `ending`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from contracts.execution import ExecutedBlock
from sim.bounds_checker import BoundsChecker
from sim.chain_checker import ChainChecker
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.evidence_checker import EvidenceChecker
from sim.inclusion_checker import InclusionChecker
from sim.promise_checker import PromiseChecker
from sim.view_checker import ViewChecker
from sim.vote_checker import VoteChecker
from sim.world import World

if TYPE_CHECKING:
    from sim.node import Node


class Checkers:
    """See the module's text."""

    def __init__(self, deployment: Deployment, world: World, coverage: Coverage) -> None:
        self.nodes: Sequence[Node] = ()
        genesis = deployment.genesis
        self.chain: Final = ChainChecker(genesis, world, coverage)
        self.votes: Final = VoteChecker(genesis.validators, genesis.chain_id, self.chain, coverage)
        self.evidence: Final = EvidenceChecker(genesis, world, self.chain, coverage)
        self.inclusion: Final = InclusionChecker(genesis)
        self.promises: Final = PromiseChecker(genesis, self.chain, coverage)
        self.views: Final = ViewChecker(world, self.chain)
        self.bounds: Final = BoundsChecker(len(genesis.validators), self.chain)

    def watch(self, nodes: Sequence[Node]) -> None:
        """Begin; these are the nodes of the simulation."""
        self.nodes = nodes
        self.chain.faulty = {node.number for node in nodes if not node.is_correct}

    def ended(self, node: Node) -> None:
        """A process ended."""
        self.evidence.ended(node)
        self.views.ended(node)

    def committed(self, node: Node, block: ExecutedBlock, certificate: bytes) -> None:
        """A correct node made a block durable."""
        is_first = block.header.height == len(self.chain.blocks)
        self.chain.committed(node, block, certificate)
        if is_first:
            self.inclusion.committed(self.nodes, block, certificate)
            self.promises.committed(self.nodes, block, certificate)

    def settled(self, node: Node) -> None:
        """A correct node has dealt with an event."""
        self.chain.settled(node)
        self.bounds.settled(node)
        self.views.settled(node)
