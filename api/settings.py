"""What an operator may set about the API, and the bounds that nobody exceeds.

One frozen value, given to `create_app`. Every bound says where its number comes from; a request
beyond one is answered with a problem that names it, and is never buffered further.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

TRANSACTION_BYTES_MAX: Final = 128 * 1024
"""One transaction: a 32 KiB body grows threefold at most when its text is escaped in JSON
(two UTF-8 bytes become the six of `\\uXXXX`), and eight signatures with paths add 11 KiB."""

BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""A batch: a thousand transactions of 8 KiB, where a usual one has under 1 KiB."""

BATCH_COUNT_MAX: Final = 1000
"""Transactions of one request: about 0.1 s of signature checks on one core."""

BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bodies being received, of all requests together: thirty of the largest batches at once."""

ANSWERS_BYTES_MAX: Final = 256 * 1024 * 1024
"""Large answers being sent, of all requests together: a dozen records of twenty thousand entries.
The largest there is has as much alone, and counts as half (`api.large_answers`)."""

WAIT_TIMEOUT_MAX_S: Final = 60
"""Proxies commonly cut a silent connection after 60 s."""

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def wall_clock_ms() -> int:
    """Return the time for the expiry of tokens; nothing on the chain reads it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the API."""

    cors_origins: tuple[str, ...] = ()
    """Web origins whose scripts may call the API; none by default."""
    transaction_bytes_max: int = TRANSACTION_BYTES_MAX
    batch_bytes_max: int = BATCH_BYTES_MAX
    batch_count_max: int = BATCH_COUNT_MAX
    bodies_bytes_max: int = BODIES_BYTES_MAX
    answers_bytes_max: int = ANSWERS_BYTES_MAX
    wait_timeout_default_s: int = 10
    """Several blocks, and the cosignatures of the last one."""
    wait_timeout_max_s: int = WAIT_TIMEOUT_MAX_S
    waiters_max: int = 1000
    """Requests that wait at once; a further one gets its receipt without waiting."""
    body_timeout_s: float = 30.0
    """Time a client has to send a request's body: 8 MiB at 2.2 Mbit/s."""
    metrics_on_loopback: bool = True
    """Serve /metrics without a token to this machine itself."""
    now_ms: Callable[[], int] = wall_clock_ms

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake."""
        for origin in self.cors_origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(
                    f"cors_origins: {origin!r} is not an origin like https://audit.example"
                )
        if not 1 <= self.wait_timeout_default_s <= self.wait_timeout_max_s:
            raise ValueError(
                f"wait_timeout_default_s {self.wait_timeout_default_s} is not between 1 and "
                f"wait_timeout_max_s {self.wait_timeout_max_s}"
            )
