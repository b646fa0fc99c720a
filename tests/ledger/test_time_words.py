"""Times in words: China is eight hours ahead of UTC; beyond the calendar the number stands."""

from __future__ import annotations

import pytest

from ledger.time_words import format_time_ms, quote_time_ms

LAST_MS = 253_402_214_399_999
"""The last millisecond before the last day that Python has."""


@pytest.mark.parametrize(
    ("time_ms", "zh", "en"),
    [
        (0, "北京时间 1970-01-01 08:00:00.000", "1970-01-01 00:00:00.000 UTC"),
        (1_767_225_599_999, "北京时间 2026-01-01 07:59:59.999", "2025-12-31 23:59:59.999 UTC"),
        (LAST_MS, "北京时间 9999-12-31 07:59:59.999", "9999-12-30 23:59:59.999 UTC"),
    ],
)
def test_a_time_is_said_by_both_clocks(time_ms: int, zh: str, en: str) -> None:
    assert format_time_ms(time_ms) == (zh, en)
    assert quote_time_ms(time_ms) == (f"{zh}（{time_ms} 毫秒）", f"{en} ({time_ms} ms)")


@pytest.mark.parametrize("time_ms", [-1, LAST_MS + 1, 2**53 - 1])
def test_beyond_the_calendar_the_number_stands_once(time_ms: int) -> None:
    said = (f"{time_ms} 毫秒（自 1970 年）", f"{time_ms} ms since 1970")
    assert format_time_ms(time_ms) == quote_time_ms(time_ms) == said
