"""Nodes that keep silent, speak with some only, or keep the data to themselves.

Silence is signed by nobody: it proves nothing, and the others must go on without them.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.messages import NewView, PrePrepare
from node.driver import Driver
from node.messages import (
    Blocks,
    Consensus,
    FetchedProposal,
    FetchedTransactions,
    Frame,
    Transactions,
)
from sim.coverage import Coverage
from sim.deployment import Deployment
from sim.liars.liar import Liar, Sent, read
from sim.world import World


class Silent(Liar):
    """Says nothing, for a while or for ever, or only no consensus."""

    kind = "silent"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._probability = self._chance.choice([0.5, 0.95, 1.0])
        self._is_total = self._chance.random() < 0.5

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        if (self._is_total or isinstance(frame, Consensus)) and self._lies(self._probability):
            return
        yield from super().tamper(driver, frame, peers)


class Selective(Liar):
    """Speaks with some peers only, always the same, or proposes to some only."""

    kind = "selective"

    def __init__(
        self, number: int, deployment: Deployment, world: World, coverage: Coverage
    ) -> None:
        super().__init__(number, deployment, world, coverage)
        self._only_proposals = self._chance.random() < 0.5

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        message = read(frame)
        is_meant = not self._only_proposals or isinstance(message, PrePrepare | NewView)
        favoured = {peer for peer in peers if (peer + self.number) % 2}
        if is_meant and self._lies(0.95):
            peers = [peer for peer in peers if peer in favoured]
        yield from super().tamper(driver, frame, peers)


class Withholder(Liar):
    """Keeps transactions, proposals and blocks to itself, and proposes them all the same."""

    kind = "withholder"

    def tamper(self, driver: Driver, frame: Frame, peers: Sequence[int]) -> Sent:
        is_data = isinstance(frame, Transactions | FetchedTransactions | FetchedProposal | Blocks)
        if is_data and self._lies(0.95):
            return
        yield from super().tamper(driver, frame, peers)
