"""View timeouts are bounded: in a healed network nobody stays in one view for long.

A view lasts at most as long as the cap of the doubling timeouts, counted from when a quorum wants
it (Castro & Liskov, OSDI '99, section 4.5.2). So once everything is healed, a correct node that is
in the same view of the newest height for twice the cap has a timer that runs away, or none. A node
that is behind is not judged here: it owes progress. Nor is one that must be silent: it asks for no
view, and stays where it is until a new-view arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.chain_checker import ChainChecker
from sim.deployment import TICK_MS, TIMING
from sim.violation import Violation
from sim.world import MS, SECOND, World

if TYPE_CHECKING:
    from sim.node import Node

CAPS_MAX: Final = 2
"""Longest view timeouts that one view may last in a healed network."""

VIEW_US_MAX: Final = CAPS_MAX * TIMING.view_timeout_ticks_max * TICK_MS * MS


class ViewChecker:
    """When each correct node came into the view it is in."""

    def __init__(self, world: World, chain: ChainChecker) -> None:
        self.longest_us = 0
        self._world = world
        self._chain = chain
        self._healed_us: int | None = None
        self._since: dict[str, tuple[tuple[int, int], int]] = {}

    def healed(self) -> None:
        """From now on the bound holds."""
        self._healed_us = self._world.now_us

    def ended(self, node: Node) -> None:
        """A process ended."""
        self._since.pop(node.name, None)

    def settled(self, node: Node) -> None:
        """A node has dealt with an event."""
        if self._healed_us is None or node.driver is None:
            return
        replica = node.driver.replica
        at = (replica.height, replica.view)
        now_us = self._world.now_us
        known = self._since.get(node.name)
        is_behind = replica.height < len(self._chain.blocks)
        is_silent = replica.height <= replica.silent_through_height
        if is_behind or is_silent or known is None or known[0] != at:
            self._since[node.name] = (at, now_us)
            return
        span_us = now_us - max(known[1], self._healed_us)
        self.longest_us = max(self.longest_us, span_us)
        if span_us > VIEW_US_MAX:
            raise Violation(
                "view timeouts",
                f"{node.name} is in view {at[1]} of height {at[0]} for {span_us // SECOND} s; a "
                f"view lasts at most {VIEW_US_MAX // CAPS_MAX // SECOND} s",
            )
