"""The filter in front of the index never hides a reference that was used."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

from node.intake import parse_relayed
from node.known_references import SLICE_COUNT, KnownReferences
from tests.node.driving import Drivers


def key(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


async def test_everything_is_looked_up_until_the_index_was_read() -> None:
    known = KnownReferences(first_count=16)
    read: list[int] = []

    def rows() -> Iterator[bytes]:
        for number in range(3 * SLICE_COUNT):
            read.append(number)
            yield key(number)

    filling = asyncio.create_task(known.fill(rows()))
    await asyncio.sleep(0)
    assert len(read) == SLICE_COUNT
    assert known.select([key(-1)]) == {key(-1)}
    known.add([key(-2)])  # a block that is applied meanwhile
    await filling
    assert known.is_complete
    added = {key(number) for number in range(-2, 3 * SLICE_COUNT) if number + 1}
    assert known.select([*added]) == added


async def test_it_grows_and_stays_sharp() -> None:
    known = KnownReferences(first_count=16)
    await known.fill([])
    assert known.select([key(0)]) == set()
    for begin in range(0, 20_000, 100):
        known.add([key(number) for number in range(begin, begin + 100)])
    added = {key(number) for number in range(20_000)}
    assert known.select([*added]) == added
    mistaken = known.select([key(number) for number in range(20_000, 40_000)])
    assert len(mistaken) < 20_000 // 50


async def test_the_store_learns_the_references_of_its_blocks() -> None:
    network = Drivers().start()
    machine = network.machines[0]
    await machine.store.fill_references()
    raw = network.transaction("R-1")
    transaction = parse_relayed(raw, machine.driver.chain.chain_id).candidate.transaction
    assert machine.store.references([transaction.reference_key]) == [None]
    network.submit(0, raw)
    network.tick(3)
    taken, new = machine.store.references([transaction.reference_key, bytes(32)])
    assert new is None
    assert taken is not None
    assert taken[0] == transaction.tx_id
