"""Joining by a snapshot: what it holds, what a liar can do, and what a crash costs."""

from __future__ import annotations

from tests.node.snapshotting import join, old_network


def rows(machine, start, stop):  # type: ignore[no-untyped-def]
    return list(machine.store.chain_store.keyvalue.scan(start, stop))


def test_a_node_joins_by_a_snapshot_and_goes_on_with_the_same_chain() -> None:
    network = old_network()
    snapshot = network.machines[0].height
    machine = join(network)
    assert machine.height == snapshot
    assert machine.begins.height > 1
    network.grow(6)
    assert {each.driver.chain.header_hash for each in network.machines} == {
        machine.driver.chain.header_hash
    }
    assert machine.voted(), "it votes again"
    for prefix in (b"k", b"r"):
        after = bytes([prefix[0] + 1])
        assert rows(machine, prefix, after) == rows(network.machines[0], prefix, after)
