"""How much a node's home takes on its disk, counted beside consensus.

A home has two files for each contract with private fields, so counting is a matter of seconds where
they are many: it is done on a thread, now and then, and whoever asks gets the last figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

INTERVAL_S: Final = 30.0
"""Between two counts."""


class DiskUsage:
    """The bytes of one folder, as last counted."""

    def __init__(self, path: Path) -> None:
        self.bytes = 0
        self._path = path

    async def watch(self) -> None:
        """Count until cancelled."""
        while True:
            with contextlib.suppress(OSError):  # what cannot be counted is told by who uses it
                self.bytes = await asyncio.to_thread(count_bytes, self._path)
            await asyncio.sleep(INTERVAL_S)


def count_bytes(path: Path) -> int:
    """Return the size of everything below a folder that others may be writing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # LevelDB has merged it into another
                total += os.stat(os.path.join(folder, name)).st_size
    return total
