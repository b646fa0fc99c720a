"""Has the kernel keep this process's memory in pages of 2 MiB where it is dense.

A node under load walks through hundreds of megabytes of small objects, and for nearly each of them
the processor must first look up in the page tables where it lies, on a virtual machine twice over.
Python's allocator takes memory by the mebibyte, so that a fault never has room for a page of 2 MiB;
asked for it later (`MADV_COLLAPSE` of madvise(2), Linux 6.1) the kernel moves together what lies
there. Only where bytes lie changes. On another system, an older kernel, or one whose operator has
switched such pages off, nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

HUGE_PAGE_BYTES: Final = 2 * 1024 * 1024
"""On x86-64, and on arm64 with pages of 4 kB."""

MADV_COLLAPSE: Final = 25
"""Of Linux' mman.h."""

INTERVAL_S: Final = 5.0
DENSE: Final = 0.75
"""Least part of a mapping in use: a thread's stack is mapped whole and would be filled."""

SWITCH: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPPINGS: Final = Path("/proc/self/smaps")

_MAPPING: Final = re.compile(r"^(?=[0-9a-f]+-[0-9a-f]+ )", re.MULTILINE)
_ANONYMOUS: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *(?:\[heap\])?\n")
_SIZE: Final = re.compile(r"^(Rss|AnonHugePages): +(\d+) kB$", re.MULTILINE)


def find_dense(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of the whole huge pages inside each private anonymous mapping that is
    mostly in use and not yet huge; `smaps` is the text of proc(5)'s file."""
    for mapping in _MAPPING.split(smaps):
        head = _ANONYMOUS.match(mapping)
        if head is None:
            continue
        begin, end = int(head[1], 16), int(head[2], 16)
        first = -(-begin // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
        whole = (end - first) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
        used = {name: int(count) * 1024 for name, count in _SIZE.findall(mapping)}
        is_dense = used.get("Rss", 0) >= DENSE * (end - begin)
        if whole > 0 and is_dense and used.get("AnonHugePages", 0) < whole:
            yield first, whole


def find_madvise() -> Callable[[int, int, int], int] | None:
    """Return madvise(2), or None where huge pages are not to be had."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        if "[never]" in SWITCH.read_text("ascii"):
            return None
        madvise = ctypes.CDLL(None).madvise
    except (AttributeError, OSError):
        return None
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return madvise


def collapse(madvise: Callable[[int, int, int], int]) -> int:
    """Ask for huge pages wherever memory is dense; return how many bytes the kernel gave.

    What it has no room for just now it refuses, and is asked for again the next time.
    """
    return sum(
        size
        for address, size in find_dense(MAPPINGS.read_text("ascii"))
        if madvise(address, size, MADV_COLLAPSE) == 0
    )


async def keep_huge() -> None:
    """Look for dense memory every few seconds, beside the event loop."""
    madvise = find_madvise()
    while madvise is not None:
        await asyncio.sleep(INTERVAL_S)
        await asyncio.to_thread(collapse, madvise)
