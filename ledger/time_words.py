"""A time in words: Beijing time in Chinese, UTC in English.

The chain holds whole milliseconds since 1970; whoever reads a sentence knows times by the clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ledger.words import Words

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, and then China's time
_CHINA: Final = timedelta(hours=8)
_YEAR_9999_S: Final = 253_402_214_400
"""Past it (less a day for the time zone) Python has no calendar; the bare number is shown."""


def format_time_ms(time_ms: int) -> Words:
    """Return a time in words, to the millisecond."""
    if not _has_calendar(time_ms):
        return Words(f"{time_ms} 毫秒（自 1970 年）", f"{time_ms} ms since 1970")
    seconds, rest = divmod(time_ms, 1000)
    utc = _EPOCH + timedelta(seconds=seconds)
    china = utc + _CHINA
    return Words(
        f"北京时间 {china.isoformat(' ')}.{rest:03}", f"{utc.isoformat(' ')}.{rest:03} UTC"
    )


def quote_time_ms(time_ms: int) -> Words:
    """Return a time that somebody sent: in words, and behind them the number as it was sent."""
    words = format_time_ms(time_ms)
    if not _has_calendar(time_ms):
        return words
    return Words(f"{words.zh}（{time_ms} 毫秒）", f"{words.en} ({time_ms} ms)")


def _has_calendar(time_ms: int) -> bool:
    return 0 <= time_ms // 1000 < _YEAR_9999_S
