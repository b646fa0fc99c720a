"""What processes used, as the kernel counts it (`/proc`): CPU seconds and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def find_family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    family = [pid]
    for parent in family:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            family += [int(child) for child in task.read_text().split()]
    return family


def read_cpu_s(pid: int) -> float:
    """Return the CPU seconds (user and system) of a process and its descendants so far."""
    total = 0
    for member in find_family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_S


def read_memory_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants."""
    total = 0
    for member in find_family(pid):
        for line in Path(f"/proc/{member}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total
