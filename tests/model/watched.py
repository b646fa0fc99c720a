"""Networks of real replicas whose every statement is checked against the model's rules."""

from __future__ import annotations

import pytest

from consensus.messages import Message, decode_message
from ledger.refusal import Rejected
from model.refinement import Refinement
from node.messages import Consensus, decode_frame
from sim.network import Network as SimulatedNetwork
from sim.simulation import Options, Simulation
from tests.consensus.network import Network, Node


class WatchedNetwork(Network):
    """The scripted network of the consensus tests."""

    refinement: Refinement | None = None

    @property
    def watched(self) -> Refinement:
        """The check, made when it is known who lies."""
        if self.refinement is None:
            liars = frozenset(node.number for node in self.nodes if node.is_twin)
            self.refinement = Refinement(len(self.validators), liars)
        return self.refinement

    def audit(self, node: Node, message: Message) -> None:
        super().audit(node, message)
        self.watched.sent(node.number, message)

    def inject(self, receiver: int, message: Message) -> None:
        for node in self.nodes:
            if node.is_twin:
                self.watched.sent(node.number, message)
        super().inject(receiver, message)


def watch_simulation(
    seed: int, options: Options, monkeypatch: pytest.MonkeyPatch
) -> tuple[str | None, Refinement]:
    """Run a seed of the simulator; return its violation, if any, and the check.

    A first run tells who is faulty in the end: besides the plan's liars and twins, only whoever was
    put back to an old backup and not told.
    """
    first = Simulation(seed, options)
    first.run()
    liars = frozenset(first.checkers.chain.faulty)
    plain = SimulatedNetwork.send

    def send(
        network: SimulatedNetwork, sender: int, receiver: int, payload: bytes, departure_us: int
    ) -> None:
        message = read(payload)
        if message is not None:
            refinement.sent(sender, message)
        plain(network, sender, receiver, payload, departure_us)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedNetwork, "send", send)
        simulation = Simulation(seed, options)
        refinement = Refinement(simulation.plan.count, liars)
        return simulation.run().violation, refinement


def read(payload: bytes) -> Message | None:
    """The consensus message in a frame, if it is one."""
    try:
        frame = decode_frame(payload)
        return decode_message(frame.payload) if isinstance(frame, Consensus) else None
    except Rejected:
        return None
