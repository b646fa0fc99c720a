"""Interest worked again from one line of a derivation, as who holds nothing but the paper would.

It reads a step's inputs, goes through the days one by one and imports nothing of the engine: what
the line does not say, this cannot know. What a payment left is carried in billionths of a fen
(docs/LAW.md, How a figure comes about).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

CARRIED = 10**9
ACCOUNT_FROM = "account ppm from "
BACK = ("paid back from custody on ", "paid back by the merchant on ")


def day_of(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()


def days_in_year(day: int, basis: str) -> int:
    if basis != "actual":
        return int(basis)
    year = datetime.date.fromordinal(day).year
    return (datetime.date(year + 1, 1, 1) - datetime.date(year, 1, 1)).days


def read_dated(given: Sequence[tuple[str, str]], head: str) -> list[tuple[int, int]]:
    """The days that stand behind a name, each with its value, in the order of the line."""
    return [(day_of(name.removeprefix(head)), int(value)) for name, value in given if head in name]


def work_again(step: dict[str, Any]) -> Fraction:
    """The exact interest of a step as its inputs give it; `step` as a derivation writes it."""
    given = [(each["name"], each["value"]) for each in step["inputs"]]
    said = dict(given)
    owed = Fraction(said["principal"])
    in_account = Fraction(said.get("in the account", "0"))
    rates = read_dated(given, ACCOUNT_FROM)
    from_custody, by_merchant = (read_dated(given, head) for head in BACK)
    is_interest_first = "civil code 561" in step["article"]
    first = day_of(said["from"]) + (said["first day"] == "not counted")
    last = day_of(said["to"]) - (said["last day"] == "not counted")
    unpaid = total = Fraction(0)
    paid_on = [day for day, _ in (*from_custody, *by_merchant)]
    for day in range(min([first, *paid_on]), last + 1):
        if day >= first:
            more = Fraction(0)
            part = min(in_account, owed)
            year = 1_000_000 * days_in_year(day, said["basis"])
            if part:
                more += part * max(rate for rate in rates if rate[0] <= day)[1]
            if owed > part:
                more += (owed - part) * int(said["ppm"])
            unpaid += more / year
            total += more / year
        for fen in (amount for on, amount in from_custody if on == day):
            in_account = max(Fraction(0), in_account - min(fen, owed))
            owed, unpaid = take_off(Fraction(fen), owed, unpaid, is_interest_first=False)
        for fen in (amount for on, amount in by_merchant if on == day):
            owed, unpaid = take_off(Fraction(fen), owed, unpaid, is_interest_first)
    return total


def take_off(
    fen: Fraction, owed: Fraction, unpaid: Fraction, is_interest_first: bool
) -> tuple[Fraction, Fraction]:
    """What a payment leaves of principal and of interest."""
    to_interest = min(fen, unpaid) if is_interest_first else Fraction(0)
    to_principal = min(fen - to_interest, owed)
    left = unpaid - to_interest
    owed = Fraction(-(-(owed - to_principal) * CARRIED // 1), CARRIED)
    return owed, max(Fraction(0), left - (fen - to_interest - to_principal))
