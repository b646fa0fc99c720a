"""Bounded memory: whatever is received, what a node keeps depends on the number of validators.

Everything that can be reached from a driver is counted, except the ledger itself: the chain as
applied, what reads it, and the pool, which has a bound of its own. Counting by walking rather than
by a list of names sees a container that somebody adds tomorrow. Queues are bounded too: events that
wait for a node, and frames on one link.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from contracts.execution import Candidate, Chain, ExecutedBlock
from genesis.document import Genesis
from ledger.validators import ValidatorSet
from node.ledger_store import LedgerStore
from node.mempool import Mempool
from node.recent_ids import RecentIds
from sim.chain_checker import ChainChecker
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.node import Node

INBOX_MAX: Final = 20_000
"""Events one node may have waiting; a tenth of it is never seen in a healthy campaign."""

POOL_MAX: Final = 2_000
"""Transactions waiting at one node: far more than any workload here makes."""

IN_FLIGHT_MAX: Final = 20_000
"""Frames on one link at once; more means that somebody floods without bound."""

ITEMS_MAX: Final = 2_000
"""Items a driver may keep whatever the number of validators: six proposals of a height with the
hashes of their transactions, requests, what waits."""

ITEMS_PER_VALIDATOR_MAX: Final = 300
"""Items it may keep of each validator, on average: of a liar up to 48 votes and 16 view-changes of
three heights, each counted in two to four places, and the proofs against it."""

HEIGHTS_MAX: Final = 256
"""Newest heights whose cosignatures it collects, one of each validator."""

INTERVAL: Final = 512
"""Events between two counts: counting takes a millisecond or two."""

_LEDGER: Final = (Chain, LedgerStore, Mempool, RecentIds, Genesis, ValidatorSet, Candidate)
_OWN: Final = ("consensus.", "node.")
_NOT_READ: Final = ("consensus.actions", "consensus.events", "node.effects")
"""Where the structs are that nobody reads from bytes: what one of them holds has no bound but the
driver's own."""


class BoundsChecker:
    """See the module's text."""

    def __init__(self, validator_count: int, chain: ChainChecker) -> None:
        self.most_items = 0
        self._validator_count = validator_count
        self._chain = chain
        self._event_count = 0

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
        self._event_count += 1
        if self._event_count % INTERVAL:
            return
        items = count_items(driver)
        self.most_items = max(self.most_items, items)
        items_max = self._compute_items_max()
        if items > items_max:
            raise Violation(
                "bounds", f"{node.name} keeps {items} items; at most {items_max} are allowed"
            )

    def _compute_items_max(self) -> int:
        count = self._validator_count
        heights = min(len(self._chain.blocks), HEIGHTS_MAX)
        return ITEMS_MAX + count * ITEMS_PER_VALIDATOR_MAX + heights * (count + 3)

    def check_links(self, most_in_flight: int) -> None:
        """No link may ever have held more than this."""
        if most_in_flight > IN_FLIGHT_MAX:
            raise Violation("bounds", f"{most_in_flight} frames on one link")


def count_items(root: object) -> int:
    """Return how many items are reachable from a driver, the ledger apart."""
    count = 0
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (int, str, bytes, bytearray, type(None))):
            continue
        if isinstance(item, _LEDGER) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            count += len(item)
            waiting += item.values()
        elif isinstance(item, (list, tuple, set, frozenset, deque)):
            count += len(item)
            waiting += item
        elif _is_value(item):
            count += 1
        elif any(kind.__module__.startswith(_OWN) for kind in type(item).__mro__):
            waiting += getattr(item, "__dict__", {}).values()
            waiting += [
                getattr(item, name)
                for kind in type(item).__mro__
                for name in getattr(kind, "__slots__", ())
                if hasattr(item, name)
            ]
    return count


def _is_value(item: object) -> bool:
    """Return whether this is one item: what it holds was bounded when it was read, or executed."""
    if isinstance(item, msgspec.Struct):
        return type(item).__module__ not in _NOT_READ
    return isinstance(item, ExecutedBlock)
