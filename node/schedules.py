"""A merchant's schedule of claims, line by line: every contract with its whole record.

The head is the merchant's total at one height; each line is a contract's history, proven at that
height or a later one. Lines are made a few at a time and with pauses, so that the longest schedule
takes a quarter of a core and holds a few lines; how many are under way is bounded, of all and of
one reader.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from api.ports import NotCertified, NotFound, Unavailable
from contracts.custody import MERCHANT_PREFIX, ListedRecord, MerchantRecord, listed_row
from ledger.evidence import CONTRACT_PREFIX, encode_schedule_head
from node.queries import Queries
from node.shell import Shell
from node.stream_walk import WalksFull
from storage.files import Damaged

SCHEDULES_MAX: Final = 4
"""Under way at a time; each holds a few lines."""
SCHEDULES_OF_READER_MAX: Final = 2
"""Of them, those of one reader: however slowly it takes them, others find a place."""
SCHEDULE_AT_ONCE: Final = 8
"""Lines of a schedule made together, so that they wait for one checkpoint and not one each."""
SCHEDULE_ENTRIES_AT_ONCE: Final = 256
"""Entries of lines made together: of the largest, 15 MB. A longer record's line is made alone."""
SCHEDULE_PAUSE_FACTOR: Final = 3
"""Time left to others for each span of work on a schedule: it takes a quarter of a core."""
SCHEDULE_PAUSE_S_MAX: Final = 1.0
SCHEDULE_TRIES: Final = 20
"""How often a line waits for its checkpoint, some four seconds each, before the answer is cut off.
"""


class Schedules:
    """Makes the schedules of one node; see the module's text."""

    def __init__(self, shell: Shell, queries: Queries) -> None:
        self._shell = shell
        self._queries = queries
        self._under_way: Counter[str] = Counter()
        """By reader."""

    async def schedule(self, merchant: str, reader: str) -> AsyncGenerator[bytes, None]:
        """Return a merchant's schedule of claims, line by line; raise `NotFound` or `NotCertified`.

        The total is of one height, and each contract is proven at that height or a later one, as
        the chain stands when its line is made: nothing is held still, and a few lines are in
        memory at a time.
        """
        lines = self._lines(merchant, reader)
        head = await anext(lines)  # begun, and so counted and closed with whoever goes on with it
        return _begin_with(head, lines)

    async def _lines(self, merchant: str, reader: str) -> AsyncGenerator[bytes, None]:
        if (own := self._under_way[reader]) >= SCHEDULES_OF_READER_MAX:
            raise Unavailable(
                f"{own} schedules are being made here for {reader} already",
                f"本节点已在为 {reader} 制作 {own} 份债权表",
            )
        if (count := self._under_way.total()) >= SCHEDULES_MAX:
            raise Unavailable(
                f"{count} schedules are being made here already",
                f"本节点已在制作 {count} 份债权表",
            )
        self._under_way[reader] += 1
        try:
            head, count = await self._make_head(merchant)
            yield head
            async for lines in self._make_lines(merchant, count):
                for line in lines:
                    yield line
        finally:
            self._under_way -= Counter([reader])

    async def _make_head(self, merchant: str) -> tuple[bytes, int]:
        """Return the first line, and how many contracts' lines belong to it."""
        chain = self._shell.chain
        height = chain.header.height
        stream = MERCHANT_PREFIX + merchant
        record = chain.stream(stream).record
        if not isinstance(record, MerchantRecord):
            raise NotFound(
                f"merchant {merchant} has no contract under terms",
                f"经营者 {merchant} 没有依条款订立的合同",
            )
        proven = self._queries.prove_stream(stream)
        note, size = await self._queries.certified_checkpoint(height)
        store = self._shell.disk.store
        header = store.header(height)
        head = encode_schedule_head(
            genesis=self._shell.driver.identity.genesis.raw,
            header=store.chain_store.header_entry(height),
            header_proof=self._queries.prove_entry(header.index, note, size),
            merchant=proven,
        )
        return head, record.contracts

    async def _make_lines(self, merchant: str, count: int) -> AsyncIterator[list[bytes]]:
        for contracts in self._plan_lines(merchant, count):
            begun_s = time.process_time()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._make_line(each)) for each in contracts]
            spent_s = time.process_time() - begun_s
            yield [task.result() for task in tasks]
            # CPU of the whole process: the busier the node, the longer is the pause.
            await asyncio.sleep(min(SCHEDULE_PAUSE_FACTOR * spent_s, SCHEDULE_PAUSE_S_MAX))

    def _plan_lines(self, merchant: str, count: int) -> Iterator[list[str]]:
        """Yield the contracts, in their order, whose lines are made together."""
        together: list[str] = []
        entries = 0
        for place in range(count):
            listed = self._shell.chain.stream(listed_row(merchant, place)).record
            if not isinstance(listed, ListedRecord):
                sentence = f"no contract is listed at {place} of merchant {merchant}"
                sentence_zh = f"经营者 {merchant} 的第 {place} 位没有列出合同"
                raise Damaged("index", 0, sentence, sentence_zh)
            more = self._shell.chain.stream(listed.contract).count
            is_full = len(together) >= SCHEDULE_AT_ONCE
            if together and (is_full or entries + more > SCHEDULE_ENTRIES_AT_ONCE):
                yield together
                together, entries = [], 0
            together.append(listed.contract.removeprefix(CONTRACT_PREFIX))
            entries += more
        if together:
            yield together

    async def _make_line(self, contract: str) -> bytes:
        """Return the line of one contract, trying again while no checkpoint covers it yet."""
        for _ in range(SCHEDULE_TRIES - 1):
            try:
                return await self._queries.history(contract, is_line=True)
            except (NotCertified, WalksFull) as later:
                pause_s = later.retry_after_s
            await asyncio.sleep(pause_s)  # here, where no exception holds what was read any more
        return await self._queries.history(contract, is_line=True)


async def _begin_with(
    head: bytes, lines: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(lines):
        yield head
        async for line in lines:
            yield line
