"""Which entries of a record a question turns on, and which questions it cannot answer."""

from __future__ import annotations

import pytest

from contracts.questions import Production, Row, find_span
from law.days import parse_day, start_of
from ledger.refusal import Reason, Rejected
from ledger.time_words import format_time_ms

REQUEST = bytes([5]) * 32


def span(recorded_ms: int, newest_ms: int) -> tuple[int, int]:
    """Of a record of three in which the second asks for records by 20 January 2026."""
    rows = [
        Row(recorded_ms - 1, bytes(32)),
        Row(recorded_ms, REQUEST),
        Row(recorded_ms + 1, bytes([6]) * 32),
    ]
    asked = Production(request=REQUEST.hex())
    return find_span(asked, rows, newest_ms, lambda place: {"until": "2026-01-20"})


def deadline_ms() -> int:
    day = parse_day("2026-01-20")
    assert day is not None
    return start_of(day + 1)


def test_production_turns_on_the_request_and_what_follows_to_its_deadline() -> None:
    assert span(deadline_ms() - 2, deadline_ms()) == (1, 3)
    assert span(deadline_ms() - 1, deadline_ms()) == (1, 3)  # the last is the one after the end


@pytest.mark.parametrize("after_ms", [0, 1, 86_400_000])
def test_a_request_recorded_after_its_own_deadline_is_refused_by_name(after_ms: int) -> None:
    """No file is made of it: that nothing was produced before it was asked for says nothing."""
    recorded_ms = deadline_ms() + after_ms
    with pytest.raises(Rejected) as refused:
        span(recorded_ms, recorded_ms + 10)
    assert refused.value.reason is Reason.BAD_FIELD
    assert refused.value.detail == (
        f"question: request {REQUEST.hex()} was recorded at {format_time_ms(recorded_ms).en}, "
        "after its own deadline 2026-01-20 16:00:00.000 UTC: nothing on record was due by then"
    )
    assert refused.value.detail_zh == (
        f"问题：请求 {REQUEST.hex()} 于{format_time_ms(recorded_ms).zh}才上链，已过其自身的期限"
        "北京时间 2026-01-21 00:00:00.000：届时并无在链的请求要求提供任何记录"
    )
