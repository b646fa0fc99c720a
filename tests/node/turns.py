"""Other work of the event loop beside what is tested, and how many turns it had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Turns:
    count: int = 0


@asynccontextmanager
async def other_work(at_turn: Callable[[int], None] = lambda _: None) -> AsyncIterator[Turns]:
    """Take one turn after another, the first at the next pause; `at_turn` is told its number."""
    turns = Turns()

    async def work() -> None:
        while True:
            turns.count += 1
            at_turn(turns.count)
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    try:
        yield turns
    finally:
        working.cancel()
