"""Published data: rates and rest days, each page signed onto the ledger by who is competent.

A page says a series and its points; later pages add to earlier ones, and one that speaks again of
the same instant or day corrects it. Which date selects a point is the rule's: arts 16(1) take the
rate at the formation of the contract, that is the last one published at or before it; art. 16(2)
takes an account's rate day by day; civil code 203 takes the rest days of a deadline's year. What no
page says is not guessed: a rate is then unknown, a missing year of rest days is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from law.days import Day, Ms, show_day, start_of_year, year_of
from law.fields import PPM_MAX, Fields
from law.refusal import Code, Refused
from law.value_class import value_class

FORMAT: Final = "evidence-ledger/published"
VERSION: Final = 1

LPR_1Y: Final = "lpr_1y"
"""一年期贷款市场报价利率."""
DEPOSIT_1Y: Final = "deposit_1y"
"""中国人民银行公布的一年定期存款基准利率."""
REST_DAYS: Final = "rest_days"
ACCOUNT: Final = "account/"
"""Before a supervised account's id: the rate it actually bears."""

POINTS_MAX: Final = 1_000
SATURDAY: Final = 6
"""`Day % 7`: day 1 was a Monday, so Saturday leaves 6 and Sunday 0."""


@value_class
class Rate:
    """A rate a year in millionths, since an instant or day, and the page that says so."""

    since: int
    ppm: int
    position: int


@value_class
class RestYear:
    """One year's rest days beside the weekends, and weekends that are worked."""

    rest: frozenset[Day]
    worked: frozenset[Day]
    position: int


@value_class
class Published:
    """All pages together."""

    rates: dict[str, tuple[Rate, ...]]
    """By series, in order of `since`: instants for LPR and deposit benchmark, days for accounts."""
    years: dict[int, RestYear]

    def find_rate(self, series: str, since: Ms | Day) -> Rate | None:
        """Return the last rate of a series at or before an instant (or day)."""
        points = self.rates.get(series, ())
        place = bisect_right(points, since, key=lambda rate: rate.since)
        return points[place - 1] if place else None

    def find_year(self, day: Day) -> RestYear:
        """Return the rest days of a day's year; raise `Refused` (MISSING_DATA) without a page."""
        year = year_of(day)
        found = self.years.get(year)
        if found is None:
            raise Refused(
                Code.MISSING_DATA,
                f"the rest days of {year} are not published; a deadline on {show_day(day)} needs "
                f"the page {REST_DAYS} of that year",
            )
        return found

    def is_rest(self, day: Day) -> bool:
        """Whether a day is a rest day (civil code 203): a published one, or a weekend that is not
        worked. Raises `Refused` (MISSING_DATA)."""
        year = self.find_year(day)
        if day in year.worked:
            return False
        return day in year.rest or day % 7 in (0, SATURDAY)


class Page:
    """One page: what it says of its series."""

    __slots__ = ("position", "rates", "series", "year")

    def __init__(self, document: Any, path: str) -> None:
        fields = Fields(document, path)
        fields.format(FORMAT, VERSION)
        self.position = fields.integer("position", 0, 2**53 - 1)
        self.series = fields.word("series")
        fields.text("source")
        self.rates: dict[int, Rate] = {}
        """By the instant or day since which each holds."""
        self.year: tuple[int, RestYear] | None = None
        if self.series == REST_DAYS:
            fields.ms("published")
            year = fields.integer("year", 1990, 2248)
            rest, worked = (_read_days(fields, name, year) for name in ("rest", "worked"))
            self.year = year, RestYear(rest, worked, self.position)
        elif self.series.startswith(ACCOUNT):
            for point in fields.objects("points", POINTS_MAX, 1):
                self._add_rate(point, point.day("from"))
        elif self.series in (LPR_1Y, DEPOSIT_1Y):
            for point in fields.objects("points", POINTS_MAX, 1):
                self._add_rate(point, point.ms("published"))
        else:
            fields.refuse(
                Code.UNKNOWN_WORD,
                "series",
                f"is {self.series!r}; {LPR_1Y}, {DEPOSIT_1Y}, {REST_DAYS} or {ACCOUNT}… is "
                "expected",
            )
        fields.end()

    def _add_rate(self, point: Fields, since: int) -> None:
        self.rates[since] = Rate(since, point.integer("ppm", 0, PPM_MAX), self.position)
        point.end()


def _read_days(fields: Fields, member: str, year: int) -> frozenset[Day]:
    days = fields.days(member)
    begin, end = start_of_year(year), start_of_year(year + 1)
    for day in days:
        if not begin <= day < end:
            fields.refuse(
                Code.INCONSISTENT,
                member,
                f"holds {show_day(day)}; days of {year} are expected",
            )
    return frozenset(days)


def read_published(documents: Sequence[Any], read: Callable[[Any, str], Page] = Page) -> Published:
    """Return the pages' data; raise `Refused` for a page that is not one. `read` gives what `Page`
    does."""
    rates: dict[str, dict[int, Rate]] = {}
    years: dict[int, RestYear] = {}
    pages = [read(document, f"published[{n}]") for n, document in enumerate(documents)]
    positions = [page.position for page in pages]
    if len(set(positions)) != len(positions):
        raise Refused(Code.INCONSISTENT, "two pages have one position; each entry is one page")
    for page in sorted(pages, key=lambda page: page.position):
        if page.year is None:
            rates.setdefault(page.series, {}).update(page.rates)
        else:
            year, days = page.year
            years[year] = days
    return Published(
        {
            series: tuple(sorted(points.values(), key=lambda rate: rate.since))
            for series, points in rates.items()
        },
        years,
    )
