"""Days, months, rest days and deadlines, against Python's own calendar and a slow reading."""

from __future__ import annotations

import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from law.amounts import Rounding, show_exact, show_percent, show_yuan
from law.days import (
    compute_deadline,
    compute_last_day,
    count_months_begun,
    day_of,
    days_in_year,
    end_of_months,
    parse_day,
    show_day,
    start_of,
    start_of_year,
    year_of,
)
from law.published import read_published
from law.refusal import Code, Refused
from tests.law.test_cases import PUBLISHED

DAYS = st.integers(datetime.date(1992, 1, 1).toordinal(), datetime.date(2200, 1, 1).toordinal())
CHINA = ZoneInfo("Asia/Shanghai")


def date(text: str) -> int:
    day = parse_day(text)
    assert day is not None
    return day


@given(st.datetimes(datetime.datetime(1992, 1, 1), datetime.datetime(2200, 1, 1)))  # noqa: DTZ001
def test_the_day_of_an_instant_is_the_day_in_china(naive: datetime.datetime) -> None:
    moment = naive.replace(tzinfo=datetime.UTC)
    instant = int(moment.timestamp()) * 1000
    day = day_of(instant)
    assert show_day(day) == moment.astimezone(CHINA).date().isoformat()
    assert start_of(day) <= instant < start_of(day + 1)


@given(DAYS)
def test_days_are_written_and_read_back(day: int) -> None:
    assert parse_day(show_day(day)) == day
    year = datetime.date.fromordinal(day).year
    assert year_of(day) == year
    assert start_of_year(year) <= day < start_of_year(year) + days_in_year(year)


@pytest.mark.parametrize(
    "text", ["2025-2-01", "2025-02-30", "20250201", "2025-02-01T", "0999-01-01"]
)
def test_what_is_no_day(text: str) -> None:
    assert parse_day(text) is None


@given(DAYS, st.integers(1, 60))
def test_months_end_before_the_corresponding_day_or_with_the_month(day: int, months: int) -> None:
    first = datetime.date.fromordinal(day)
    last = datetime.date.fromordinal(end_of_months(day, months) - 1)
    reached = first.year * 12 + first.month + months
    if first.day == 1:
        assert last.year * 12 + last.month == reached - 1
        assert (last + datetime.timedelta(1)).day == 1
        return
    assert last.year * 12 + last.month == reached
    if last.day != first.day - 1:
        assert last.day < first.day - 1
        assert (last + datetime.timedelta(1)).day == 1


@pytest.mark.parametrize(
    ("start", "months", "last"),
    [
        ("2027-01-31", 1, "2027-02-28"),
        ("2027-01-30", 1, "2027-02-28"),
        ("2027-01-29", 1, "2027-02-28"),
        ("2027-01-28", 1, "2027-02-27"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2028-02-29", 48, "2032-02-28"),
        ("2027-02-01", 1, "2027-02-28"),
        ("2027-03-31", 1, "2027-04-30"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2027-01-31", 2, "2027-03-30"),
        ("2027-12-31", 0, "2027-12-30"),
    ],
)
def test_the_last_day_of_a_term_of_months(start: str, months: int, last: str) -> None:
    """Civil code 202: where there is no corresponding day, the month's last ends the term. It once
    ended a day before that."""
    assert show_day(end_of_months(date(start), months) - 1) == last


@given(DAYS, st.integers(-40, 900))
def test_months_begun_are_counted_as_one_counts_them(start: int, later: int) -> None:
    count = 0
    while end_of_months(start, count) <= start + later:
        count += 1
    assert count_months_begun(start, start + later) == count


def test_the_rest_days_of_2025() -> None:
    published = read_published(PUBLISHED)
    rest = {text: published.is_rest(date(text)) for text in (
        "2025-01-26", "2025-01-28", "2025-02-08", "2025-05-05", "2025-06-01", "2025-06-03",
        "2025-09-28", "2025-10-08", "2025-10-09", "2025-10-11", "2025-10-12", "2026-01-04",
    )}  # fmt: skip
    assert rest == {
        "2025-01-26": False, "2025-01-28": True, "2025-02-08": False, "2025-05-05": True,
        "2025-06-01": True, "2025-06-03": False, "2025-09-28": False, "2025-10-08": True,
        "2025-10-09": False, "2025-10-11": False, "2025-10-12": True, "2026-01-04": False,
    }  # fmt: skip


def test_every_weekend_that_is_not_worked_rests() -> None:
    published = read_published(PUBLISHED)
    for day in range(date("2025-01-01"), date("2027-01-01")):
        year = published.find_year(day)
        weekend = datetime.date.fromordinal(day).weekday() >= 5
        assert published.is_rest(day) == (day in year.rest or (weekend and day not in year.worked))


def test_a_year_nobody_published_is_refused_and_not_guessed() -> None:
    published = read_published(PUBLISHED)
    with pytest.raises(Refused) as caught:
        published.is_rest(date("2027-01-02"))
    assert caught.value.code == Code.MISSING_DATA
    assert caught.value.detail == (
        "the rest days of 2027 are not published; a deadline on 2027-01-02 needs the page "
        "rest_days of that year"
    )


def test_a_deadline_moves_past_rest_days_and_ends_with_the_day_or_with_business() -> None:
    published = read_published(PUBLISHED)
    last = compute_last_day(date("2025-09-25"), 7, published.is_rest)
    assert show_day(last) == "2025-10-09"
    assert compute_deadline(last, None) == start_of(last + 1)
    assert compute_deadline(last, 21 * 60) == start_of(last) + 21 * 3_600_000 + 1


def test_rates_are_the_last_published_and_later_pages_correct() -> None:
    page = {
        "format": "evidence-ledger/published", "position": 50, "series": "lpr_1y",
        "source": "correction", "version": 1,
        "points": [{"ppm": 29_000, "published": PUBLISHED[1]["points"][-1]["published"]}],
    }  # fmt: skip
    assert PUBLISHED[1]["series"] == "lpr_1y"
    fell = PUBLISHED[1]["points"][-1]["published"]
    before, after = read_published(PUBLISHED), read_published([page, *PUBLISHED])
    assert [before.find_rate("lpr_1y", fell + n).ppm for n in (-1, 0, 1)] == [
        31_000,
        30_000,
        30_000,
    ]  # type: ignore[union-attr]
    corrected = after.find_rate("lpr_1y", fell)
    assert corrected is not None
    assert (corrected.ppm, corrected.position) == (29_000, 50)
    assert before.find_rate("lpr_1y", 0) is None
    assert before.find_rate("account/nobody", 0) is None


PAGES = [
    ({"series": "lpr_5y", "points": []},
     "published[0].series is 'lpr_5y'; lpr_1y, deposit_1y, rest_days or account/… is expected"),
    ({"series": "lpr_1y", "points": []},
     "published[0].points has 0 elements; 1 to 1000 are expected"),
    ({"series": "rest_days", "published": 0, "year": 2025, "rest": ["2026-01-01"], "worked": []},
     "published[0].rest holds 2026-01-01; days of 2025 are expected"),
    ({"series": "rest_days", "published": 0, "year": 2026, "rest": ["2025-01-01", "2025-01-08"],
      "worked": []},
     "published[0].rest holds 2025-01-01; days of 2026 are expected"),
    ({"series": "account/a", "points": [{"from": "2025-01-01", "ppm": 2_000_000}]},
     "published[0].points[0].ppm is 2000000; 0 to 1000000 is expected"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "sentence"), PAGES)
def test_pages_are_refused_by_name(page: dict[str, object], sentence: str) -> None:
    whole = {
        "format": "evidence-ledger/published", "position": 1, "source": "x", "version": 1, **page,
    }  # fmt: skip
    with pytest.raises(Refused) as caught:
        read_published([whole])
    assert caught.value.detail == sentence


def test_two_pages_of_one_position_are_refused() -> None:
    with pytest.raises(Refused, match="two pages have one position; each entry is one page"):
        read_published([PUBLISHED[0], PUBLISHED[0]])


@given(st.fractions(0, 10**9, max_denominator=10**6), st.sampled_from([1, 7, 10, 100]))
def test_rounding_is_what_its_name_says(amount: Fraction, unit: int) -> None:
    near = [Rounding(mode, unit).round(amount) for mode in ("half_up", "half_even")]
    down, up = Rounding("down", unit).round(amount), Rounding("up", unit).round(amount)
    assert down <= amount <= up
    assert up - down == (0 if amount % unit == 0 else unit)
    for rounded in near:
        assert rounded % unit == 0
        assert 2 * abs(rounded - amount) <= unit
    if 2 * (amount - down) == unit:
        assert near == [up, up if (up // unit) % 2 == 0 else down]
    else:
        assert near[0] == near[1]


def test_amounts_are_written_for_people_and_for_machines() -> None:
    assert [show_exact(v) for v in (120, Fraction(15000, 7), Fraction(4, 2))] == [
        "120",
        "15000/7",
        "2",
    ]
    assert [show_yuan(v) for v in (0, 5, 123_456_789, -150)] == [
        "0.00",
        "0.05",
        "1,234,567.89",
        "-1.50",
    ]
    assert [show_percent(v) for v in (31_000, 3_500, 0, 1_000_000, 1)] == [
        "3.1",
        "0.35",
        "0",
        "100",
        "0.0001",
    ]
