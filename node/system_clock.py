"""What the operating system knows of its clock's synchronization.

Linux' kernel keeps it for whatever daemon steers the clock (adjtimex(2)); reading needs no right.
Elsewhere, or where it may not be asked, nothing is known, and that is what is said.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Final

TIME_ERROR: Final = 5
"""The state of a clock that nothing synchronizes (timex.h)."""

TIMEX_BYTES_MAX: Final = 512
"""`struct timex` has 208 bytes on 64-bit Linux; zeros mean: change nothing, tell."""


class _Timex(ctypes.Structure):
    """The first members of `struct timex`; room for the others behind them."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * TIMEX_BYTES_MAX),
    )


@dataclass(frozen=True, slots=True)
class ClockState:
    """None where it is not known."""

    is_synchronized: bool | None
    error_max_us: int | None
    """The most that it may be wrong, in microseconds, as the kernel estimates."""


def read_clock_state() -> ClockState:
    """Return what is known of the system's clock; never raises."""
    if not sys.platform.startswith("linux"):
        return ClockState(None, None)
    answer = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(answer))
    except (AttributeError, OSError):
        return ClockState(None, None)
    if state < 0:
        return ClockState(None, None)
    if state == TIME_ERROR:
        return ClockState(False, None)
    return ClockState(True, answer.maxerror)
