"""Who is paid the consumer's share: arts 3, 10 and 11, civil code art. 555.

The party of the contract is paid: a guardian who contracted for a child, a minor through the legal
representative where the contract was invalid for want of capacity. An assignment counts from the
arrival of its notice; whether a bare one covers the refund the law does not say, so both stand. One
that arrives after the day of the end covers it: nothing else was left to assign (civil code 545).
"""

from __future__ import annotations

from collections.abc import Sequence

from law.account import BOTH, Account
from law.days import Day, day_of
from law.derivation import Payee
from law.ending import Ending, find_invalidity, is_limited_in_capacity
from law.facts import Fact
from law.terms import Terms


def find_takeovers(terms: Terms, account: Account) -> dict[str, Day]:
    """Return the day on which the first notice of an assignment to each assignee arrived."""
    days: dict[str, Day] = {}
    for fact in account.of("assignment.notified"):
        arrived = account.find_arrival(fact, terms)
        if arrived is not None:
            day, assignee = day_of(arrived), fact.data.assignee
            days[assignee] = min(day, days.get(assignee, day))
    return days


def find_payees(terms: Terms, account: Account, endings: Sequence[Ending]) -> tuple[Payee, ...]:
    """Return who is paid the consumer's share of a contract that so ended; more than one where the
    law leaves it open."""
    persons = account.persons
    signed = (account.signed_position,)
    if is_limited_in_capacity(account):
        _, found = find_invalidity(account)
        return (Payee(persons.party, persons.guardian or "", "", (*signed, *found.positions)),)
    ended = min((ending.day for ending in endings), default=None)
    effective: list[tuple[int, int, Fact]] = []
    for fact in account.of("assignment.notified"):
        arrived = account.find_arrival(fact, terms)
        if arrived is not None:
            effective.append((arrived, fact.position, fact))
    if not effective:
        return (Payee(persons.party, "", "", signed),)
    effective.sort(key=lambda one: one[:2])
    holders = [persons.party]
    positions = [*signed]
    for arrived, position, fact in effective:
        positions.append(position)
        is_of_refund = ended is not None and day_of(arrived) > ended
        if is_of_refund or (fact.data.whole and fact.role == BOTH):
            holders = []
        holders.append(fact.data.assignee)
    if len(holders) == 1:
        return (Payee(holders[0], "", "", tuple(positions)),)
    return (
        Payee(holders[-1], "", "the assignment covers the refund", tuple(positions)),
        Payee(holders[-2], "", "the assignment does not cover the refund", tuple(positions)),
    )
