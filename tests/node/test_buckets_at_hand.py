"""Buckets of the state tree that a node keeps at hand are the stored ones, whoever wrote them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.hashing import sha256
from ledger.state_tree import TOP_DEPTH, StateTree
from node.ledger_store import LedgerStore

PLACES = 6


def key(place: int, number: int) -> bytes:
    """One of many keys below one of a few of the top's lowest places."""
    prefix = (place << (24 - TOP_DEPTH)).to_bytes(3)
    return prefix + sha256(bytes([number]))[3:]


class Disk:
    """A chain's store in memory that counts how often a bucket is read."""

    def __init__(self) -> None:
        self.buckets: dict[bytes, bytes] = {}
        self.read_count = 0

    def bucket(self, name: bytes) -> bytes | None:
        self.read_count += 1
        return self.buckets.get(name)

    def state(self, stream: str) -> bytes | None:
        return None

    def index_block(self, write: Any, _: Any) -> None:
        self.buckets.update(write.buckets)


def write_of(buckets: list[tuple[bytes, bytes]]) -> Any:
    return SimpleNamespace(state=[], transactions=[], buckets=buckets)


@pytest.mark.parametrize("seed", range(6))
def test_a_bucket_is_read_as_it_was_written_last(seed: int) -> None:
    chance = random.Random(seed)
    disk: Any = Disk()
    store = LedgerStore(disk, rows_max=8)
    tree = StateTree(store.bucket)
    held: dict[bytes, bytes] = {}
    for step in range(120):
        count = chance.randrange(1, 4)
        keys = {key(chance.randrange(PLACES), chance.randrange(step + 2)) for _ in range(count)}
        updates = {each: sha256(each + step.to_bytes(4)) for each in keys}
        update = tree.plan(updates)
        if chance.random() < 0.2:
            continue  # a proposal that was executed, and read buckets, and is never committed
        held |= updates
        store.finish(write_of(update.buckets), None)  # type: ignore[arg-type]
        tree.apply(update)
        for name, record in disk.buckets.items():
            if chance.random() < 0.3:
                assert store.bucket(name) == record
    rebuilt = StateTree(disk.bucket)
    rebuilt.apply(rebuilt.plan(held))
    assert rebuilt.root == tree.root


def test_a_key_alone_in_its_bucket_is_set_without_keeping_it_at_hand() -> None:
    disk: Any = Disk()
    store = LedgerStore(disk)
    tree = StateTree(store.bucket)
    for step in range(4):
        update = tree.plan({key(at, 1): sha256(bytes([at, step])) for at in range(PLACES)})
        store.finish(write_of(update.buckets), None)  # type: ignore[arg-type]
        tree.apply(update)
    assert disk.read_count == 0
    assert len(store._buckets._young) == 0
