"""How a contract ended, and on which day: arts 10, 14, 15, 17 and civil code arts 562 and 565.

There are three routes to a refund: leaving without a reason within seven days (art. 14), a finding
that the contract is invalid, revoked or without effect (art. 10, 15), and termination. What ends a
contract by termination is a judgment that names the day; else an agreement; else a notice when it
arrived (or when its time to perform ran out) or a complaint when it was served, and if there are
both, both stand. Nothing here asks whether there was a right to end it: that is a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from law.account import Account
from law.days import Day, day_of
from law.derivation import ASSUMED
from law.terms import Terms

COOLING_OFF: Final = "cooling_off"
INVALIDITY: Final = "invalidity"
TERMINATION: Final = "termination"

JUDGMENT: Final = "judgment"
AGREEMENT: Final = "agreement"
NOTICE: Final = "notice"
COMPLAINT: Final = "complaint"

CAPACITY: Final = "capacity"


class Ending(NamedTuple):
    """What may have ended the contract, and when."""

    how: str
    day: Day
    positions: tuple[int, ...]
    recorded: Day | None = None
    """Where the end is assumed: the day of the one on record that came after it."""


def find_endings(terms: Terms, account: Account, as_of: Day) -> tuple[Ending, ...]:
    """Return what ended the contract: one, two where a court must choose, none if nothing did, on
    whatever day. A time to perform that runs out after the as-of day has ended nothing yet (civil
    code 565(1)); nor has, whoever asks, an ending of a later day (`law.refund`)."""
    judged = account.latest("termination.judged")
    if judged is not None:
        return (Ending(JUDGMENT, judged.data.day, (judged.position,)),)
    agreed = account.of("termination.agreed")
    if agreed:
        return (Ending(AGREEMENT, day_of(agreed[0].at), (agreed[0].position,)),)
    found = []
    notices = []
    for notice in account.of("termination.requested"):
        arrived = account.find_arrival(notice, terms)
        if arrived is not None:
            day = day_of(arrived)
            if notice.data.cure_until is not None:
                until = day_of(notice.data.cure_until)
                if until > as_of:
                    continue
                day = max(day, until)
            notices.append(Ending(NOTICE, day, (notice.position,)))
    if notices:
        found.append(min(notices, key=lambda ending: (ending.day, ending.positions)))
    served = account.of("complaint.served")
    if served:
        found.append(Ending(COMPLAINT, day_of(served[0].at), (served[0].position,)))
    return tuple(found)


def assume_ending(terms: Terms, account: Account, as_of: Day) -> Ending:
    """Return the ending of a contract that has not ended: as if it did on the as-of day. Which end
    is on record was so by the last delivery, a time to perform that had run out by then included:
    of one after that, nothing was delivered later."""
    last = account.deliveries[-1].day if account.deliveries else as_of
    later = [ending.day for ending in find_endings(terms, account, last)] if last > as_of else []
    return Ending(ASSUMED, as_of, (), min(later, default=None))


def find_routes(account: Account, endings: Sequence[Ending]) -> tuple[str, ...]:
    """Return the routes to a refund that the facts open, these endings among them."""
    routes = []
    if account.of("cooling_off.requested"):
        routes.append(COOLING_OFF)
    if account.of("invalidity.found"):
        routes.append(INVALIDITY)
    if endings or not routes:
        routes.append(TERMINATION)
    return tuple(routes)


def find_invalidity(account: Account) -> tuple[str, Ending]:
    """Return the ground of invalidity and the day on which it was found (art. 17)."""
    found = account.latest("invalidity.found")
    assert found is not None
    return found.data.ground, Ending(found.data.ground, day_of(found.at), (found.position,))


def is_limited_in_capacity(account: Account) -> bool:
    """Whether the contract was found invalid for want of capacity (art. 10)."""
    return bool(account.of("invalidity.found")) and find_invalidity(account)[0] == CAPACITY
