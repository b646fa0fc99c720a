"""When Python looks for cycles of objects: while nothing waits, not in the middle of a block.

The server turns the automatic collector off; this stands in for it.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from node.mempool import Mempool

COLLECT_INTERVAL_S: Final = 60.0
COLLECT_OVERDUE_S: Final = 600.0
"""The collector of reference cycles walks everything alive, many times a block, and finds nothing:
what blocks are made of has no cycles and is freed by counting (measured: a third of execution). So
it runs once a minute when no transaction waits, and every ten minutes whatever happens."""


async def collect_cycles(pool: Mempool) -> None:
    """Collect reference cycles when there is nothing better to do."""
    loop = asyncio.get_running_loop()
    last_s = loop.time()
    while True:
        await asyncio.sleep(COLLECT_INTERVAL_S)
        if len(pool) == 0 or loop.time() - last_s > COLLECT_OVERDUE_S:
            gc.collect()
            last_s = loop.time()
