"""Memory in huge pages: which mappings are asked for, and that the kernel gives them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.huge_pages import find_dense, find_madvise

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


def mapping(begin: int, mib: int, what: str, used_mib: int, huge_mib: int = 0) -> str:
    end = begin + mib * MIB
    return (
        f"{begin:x}-{end:x} {what}\n"
        f"Size:           {mib * 1024} kB\n"
        f"Rss:            {used_mib * 1024} kB\n"
        f"Pss:            {used_mib * 1024} kB\n"
        f"AnonHugePages:  {huge_mib * 1024} kB\n"
        "VmFlags: rd wr mr mw me ac sd\n"
    )


ANONYMOUS = "rw-p 00000000 00:00 0 "


def test_the_whole_huge_pages_of_dense_anonymous_memory_are_asked_for() -> None:
    at = 0x7F00_0000_0000
    smaps = mapping(at + MIB, 8, ANONYMOUS, 8) + mapping(at + 64 * MIB, 4, ANONYMOUS, 3)
    assert list(find_dense(smaps)) == [(at + 2 * MIB, 6 * MIB), (at + 64 * MIB, 4 * MIB)]
    heap = mapping(at, 4, f"{ANONYMOUS}                        [heap]", 4)
    assert list(find_dense(heap)) == [(at, 4 * MIB)]


@pytest.mark.parametrize(
    ("what", "mib", "used_mib", "huge_mib"),
    [
        (ANONYMOUS, 8, 5, 0),
        (ANONYMOUS, 8, 8, 8),
        (ANONYMOUS, 1, 1, 0),
        (f"{ANONYMOUS}                        [stack]", 8, 8, 0),
        ("r--p 00000000 00:00 0 ", 8, 8, 0),
        ("rw-p 00000000 fe:00 123    /var/lib/ledger/index/000005.ldb", 8, 8, 0),
        ("rw-s 00000000 00:01 7      /dev/zero (deleted)", 8, 8, 0),
    ],
    ids=["a thread's stack", "huge", "small", "stack", "read-only", "file", "shared"],
)
def test_other_memory_is_left_alone(what: str, mib: int, used_mib: int, huge_mib: int) -> None:
    assert list(find_dense(mapping(0x7F00_0000_0000, mib, what, used_mib, huge_mib))) == []


def test_the_kernel_gives_them_and_the_bytes_stay() -> None:
    """In a process of its own: the tests' has gigabytes, not all of which the kernel can move."""
    if find_madvise() is None:
        pytest.skip("no huge pages here: another system, or switched off by its operator")
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, check=True, capture_output=True, text=True
    )
    given, is_same, left = done.stdout.split()
    if int(given) < 15:
        pytest.skip("this kernel is older than 6.1, or has no room for huge pages just now")
    assert is_same == "True"
    assert int(left) < 2


CHILD = """
import mmap
from node.huge_pages import HUGE_PAGE_BYTES, MAPPINGS, collapse, find_dense, find_madvise

memory = mmap.mmap(-1, 16 * HUGE_PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
pattern = bytes(range(256)) * (len(memory) // 256)
memory[:] = pattern
given = collapse(find_madvise())
left = sum(size for _, size in find_dense(MAPPINGS.read_text("ascii")))
print(given // HUGE_PAGE_BYTES, memory[:] == pattern, left // HUGE_PAGE_BYTES)
"""
