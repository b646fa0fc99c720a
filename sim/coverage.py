"""What a simulation went through, counted by name: faults, protocol events, refusals.

A seed that found nothing proves little unless one can see what it tried. Counters of many seeds
add up into one table; a line that stays at zero is a fault that was never tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

EXPECTED: Final = (
    "crash at an effect", "crash at a disk step", "crash at once", "restart", "all nodes cut",
    "power loss: none", "power loss: torn", "power loss: scattered", "power loss: zeros",
    "process killed",
    "partition", "partition one way", "flapping link", "connection reset",
    "frame lost", "frame doubled", "frame late",
    "disk full", "fsync failed", "bit rot", "index lost a batch", "index removed", "damage found",
    "ledger removed", "recovery begun", "recovery ended", "journal put back", "old journal refused",
    "clock jump", "clock far off", "slow node", "paused node",
    "view change", "new view", "re-proposal", "catch-up", "evidence held", "evidence on chain",
    "transaction refused outcome", "submission repeated", "submission refused",
    "reference reused", "header-only block",
)  # fmt: skip
"""What a campaign over all families must have met; liars are counted by their own names."""


class Coverage:
    """Counters of one simulation, or of many added up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, by: int = 1) -> None:
        """Count something that happened."""
        self.counts[name] += by

    def add(self, counts: Mapping[str, int]) -> None:
        """Add another simulation's counters."""
        for name, count in counts.items():
            self.counts[name] += count

    def missing(self) -> list[str]:
        """Return what was expected and never happened."""
        return [name for name in EXPECTED if not self.counts[name]]
