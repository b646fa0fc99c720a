"""Spans counted in ticks, never in seconds: the driver decides how long a tick is.

The defaults assume ticks of 50 ms. Timers guard a height's progress only; a view's timeout doubles
with every failed view, up to a cap (Castro & Liskov, OSDI '99, section 4.5.2; unbounded doubling
left Besu with rounds of 4096 s), and is back at its base with the next height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BATCH_HALVINGS_MAX: Final = 30
"""Halvings after which a divisor stops growing; 2^30 leaves no transaction of any batch."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a replica is."""

    view_timeout_ticks: int = 40
    """Timeout of view 0 (2 s): several times a full block's execution and three message delays."""
    view_timeout_ticks_max: int = 1_200
    """Cap of the doubling (60 s): after a long outage the next view starts within a minute."""
    resend_interval_ticks: int = 10
    """Between repetitions of one's own messages while a height is undecided (0.5 s)."""
    idle_interval_ticks: int = 1_200
    """After this long without a block the primary proposes a header alone (60 s)."""
    catch_up_interval_ticks: int = 20
    """Between requests to catch up (1 s): time for one peer to answer before another is asked."""
    clock_skew_ms_max: int = 10_000
    """How far ahead of one's own clock a fresh proposal's time may be."""

    def __post_init__(self) -> None:
        for name in (
            "view_timeout_ticks",
            "view_timeout_ticks_max",
            "resend_interval_ticks",
            "idle_interval_ticks",
            "catch_up_interval_ticks",
            "clock_skew_ms_max",
        ):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"timing: {name} is {value}; it must be positive")


def compute_view_timeout_ticks(view: int, timing: Timing) -> int:
    """Return how long a view may last: the base doubled `view` times, at most the cap."""
    doublings = min(view, timing.view_timeout_ticks_max.bit_length())
    return min(timing.view_timeout_ticks << doublings, timing.view_timeout_ticks_max)


def compute_batch_divisor(failed_view_count: int) -> int:
    """Return by what a batch is divided: halved per failed view, down to nothing.

    That cures a poisonous transaction and a block too big for the timeout.
    """
    return 1 << min(failed_view_count, BATCH_HALVINGS_MAX)
