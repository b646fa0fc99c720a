"""What a healed network owes: everything ordered, everywhere, in the same bytes, certified.

`find_unwell` says what is still missing while the network is given time; `check` compares the
correct nodes once it has settled, reads each node's segments, and rebuilds one node's index from
them to see that the disk alone says the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from node.ledger_store import open_ledger
from sim.checkers import Checkers
from sim.client import Clients
from sim.deployment import Deployment
from sim.disk import VirtualStore
from sim.node import Node
from sim.violation import Violation
from storage.chain import ChainStore


def find_unwell(
    nodes: Sequence[Node], clients: Clients, checkers: Checkers, held_us: int
) -> list[str]:
    """Return a sentence for everything that still keeps the network from being well.

    Evidence counts that was held for so long.
    """
    found = [f"{node.name} is down" for node in nodes if not node.is_up]
    heights = {node.name: node.height for node in nodes}
    if len(set(heights.values())) > 1:
        found.append(f"the heights differ: {heights}")
    waiting = clients.outstanding()
    if waiting:
        labels = sorted({item.label for item in waiting})
        found.append(f"{len(waiting)} transactions are not on the chain: {', '.join(labels)}")
    for node in nodes:
        driver = node.driver
        if driver is not None and driver.certification.certified_height < node.height:
            found.append(
                f"{node.name} has certified {driver.certification.certified_height} of "
                f"{node.height}"
            )
        if driver is not None and driver.recovery.is_active:
            found.append(f"{node.name} still recovers")
        if node.relayed_count:
            found.append(f"{node.name} has not dealt with {node.relayed_count} relayed envelopes")
        if node.is_holding:
            found.append(f"{node.name} has not dealt with all that its peers have sent")
    missing = checkers.evidence.find_missing(held_us)
    if missing:
        found.append(f"evidence held and not on the chain: {missing}")
    return found


def check(nodes: Sequence[Node], deployment: Deployment, checkers: Checkers, rebuilt: int) -> None:
    """Raise `Violation` unless all correct nodes hold the same, in memory and on disk.

    One of them, the `rebuilt`-th, is replayed from its segments: all run the same code on the same
    bytes, so one stands for all.
    """
    first: tuple[str, object] | None = None
    for node in nodes:
        if node.driver is None:
            raise Violation("equality", f"{node.name} is down")
        chain = node.driver.chain
        rows = [[*node.index.scan(prefix, bytes([prefix[0] + 1]))] for prefix in (b"h", b"r", b"s")]
        holds = (chain.header_bytes, chain.log.root(), chain.tree.root, rows)
        if first is None:
            first = (node.name, holds)
        elif first[1] != holds:
            raise Violation("equality", f"{node.name} and {first[0]} hold different states")
    for at, node in enumerate(nodes):
        _check_disk(node, checkers)
        if at == rebuilt % len(nodes):
            _check_rebuilt(node, deployment)


def digest(checkers: Checkers) -> str:
    """Return SHA-256 of every entry of the agreed chain."""
    whole = hashlib.sha256()
    for _, entries in checkers.chain.blocks:
        for entry in entries:
            whole.update(len(entry).to_bytes(4, "big") + entry)
    return whole.hexdigest()


def _check_disk(node: Node, checkers: Checkers) -> None:
    """Compare every block that a power loss would leave in the segments."""
    store = ChainStore.open(node.segments.durable_copy(), VirtualStore())
    blocks = [*store.unapplied_blocks()]
    held = [tuple(block.entries) for block in blocks]
    if held != [entries for _, entries in checkers.chain.blocks[: node.height + 1]]:
        raise Violation(
            "equality", f"{node.name}: its segments hold other blocks than the agreed chain"
        )


def _check_rebuilt(node: Node, deployment: Deployment) -> None:
    """Open what a power loss would leave of the segments, with an empty index."""
    if node.driver is None:
        return
    _, chain = open_ledger(node.segments.durable_copy(), VirtualStore(), deployment.genesis)
    if chain.header_bytes != node.driver.chain.header_bytes:
        raise Violation(
            "equality", f"{node.name}: its segments replay to height {chain.header.height} with "
            f"another header than the running node's of height {node.height}",
        )  # fmt: skip
