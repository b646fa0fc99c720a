"""Days as the law counts them: civil days of China, rest days, months, deadlines.

A `Day` is the count of days of Python's proleptic calendar (`date.toordinal`); an instant is whole
milliseconds since 1970. China has had one time, UTC+8, and no summer time since 1991, so an
instant's day is plain arithmetic. Periods are those of civil code arts 200 to 204. No clock.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Final

Day = int
Ms = int

DAY_MS: Final = 86_400_000
CHINA_MS: Final = 8 * 3_600_000
"""China Standard Time is UTC+8."""
EPOCH: Final = 719_163
"""1970-01-01 as a `Day`."""
MINUTE_MS: Final = 60_000

_WRITTEN: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")


def parse_day(text: str) -> Day | None:
    """Return the day written YYYY-MM-DD, or None if there is no such day."""
    if _WRITTEN.fullmatch(text) is None:
        return None
    try:
        return datetime.date.fromisoformat(text).toordinal()
    except ValueError:
        return None


def show_day(day: Day) -> str:
    """Write a day YYYY-MM-DD."""
    return datetime.date.fromordinal(day).isoformat()


def day_of(instant: Ms) -> Day:
    """Return the day in China on which an instant falls."""
    return (instant + CHINA_MS) // DAY_MS + EPOCH


def start_of(day: Day) -> Ms:
    """Return the first instant of a day in China."""
    return (day - EPOCH) * DAY_MS - CHINA_MS


def year_of(day: Day) -> int:
    """Return the calendar year of a day."""
    return datetime.date.fromordinal(day).year


def start_of_year(year: int) -> Day:
    """Return 1 January."""
    return datetime.date(year, 1, 1).toordinal()


def days_in_year(year: int) -> int:
    """Return 365, or 366 in a leap year."""
    return start_of_year(year + 1) - start_of_year(year)


def end_of_months(start: Day, months: int) -> Day:
    """Return the first day after a term of months whose first day `start` counts.

    The term ends on the day before the corresponding one; in a month that has no such day, on the
    month's last (civil code 202): a month from 31 January ends on the last of February.
    """
    date = datetime.date.fromordinal(start)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    following = datetime.date(year + (month == 11), (month + 1) % 12 + 1, 1).toordinal()
    return min(datetime.date(year, month + 1, 1).toordinal() + date.day - 1, following)


def count_months_begun(start: Day, day: Day) -> int:
    """Return how many months of a term that starts on `start` have begun by `day`."""
    if day < start:
        return 0
    first, last = datetime.date.fromordinal(start), datetime.date.fromordinal(day)
    whole = (last.year - first.year) * 12 + last.month - first.month
    return whole + (end_of_months(start, whole) <= day)


def compute_last_day(start: Day, days: int, is_rest: Callable[[Day], bool]) -> Day:
    """Return the last day of a period of days: the first day is not counted (civil code 201), and a
    last day that is a rest day moves on to the day after the rest days (civil code 203)."""
    day = start + days
    while is_rest(day):
        day += 1
    return day


def compute_deadline(last_day: Day, closes_minute: int | None) -> Ms:
    """Return the first instant that is too late: after 24:00 of the last day, or after the minute
    at which business ends (civil code 203 paragraph 2)."""
    if closes_minute is None:
        return start_of(last_day + 1)
    return start_of(last_day) + closes_minute * MINUTE_MS + 1
