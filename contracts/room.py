"""How much a party may write into a stream, so that what reads all of it can.

Most events of a contract and of a merchant may be stated again and again: a gift, a changed price,
a reported balance, one more piece of evidence. `refund.computed` reads every applied entry of both
streams and may read `READS_MAX`. Whoever could fill them up could put an end to a consumer's
refund; so each role has room for its statements, and those who decide about money never lack it:

    contract/…   platform and issuer 4,000; merchant 8,000; consumer 12,000
    merchant/…   merchant 2,000; custodian and platform 4,000

each counted from the stream's beginning, whoever stated them. A statement needs room for one of
its signers. Others (in a contract its custodian and the authorities, in a merchant's stream the
authorities) are not bounded here; they have 4,000 entries left when all the rest is used up, and
the consumer 4,000 that no merchant can take, the merchant 4,000 that no platform and no bank that
has nothing to do with the contract can. Whom the consumer leaves no room states with the custodian.
A contract with a delivery every day reaches 8,000 after 21 years.

Only applied entries count, so attempts that are refused take nobody's room, and that is what
these are refused as: `too_many_entries`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.custody import ContractRecord
from contracts.handling import Context, Refusal
from contracts.standing import find_role

CONTRACT_ROOM: Final[dict[str, int]] = {
    "merchant": 8_000,
    "platform": 4_000,
    "issuer": 4_000,
    "consumer": 12_000,
}
"""Applied entries of a contract's stream from which on a role states no more."""

MERCHANT_ROOM: Final[dict[str, int]] = {
    "merchant": 2_000,
    "custodian": 4_000,
    "platform": 4_000,
}
"""The same in a merchant's own stream."""


def check_room(context: Context, record: ContractRecord) -> None:
    """Refuse a statement of a contract that none of its signers has room for.

    Nothing reads a contract that is over, and how much it has a node may not know any more.
    """
    if record.is_over_at(context.time_ms) or context.entries < min(CONTRACT_ROOM.values()):
        return
    _check(
        context, (find_role(context.party, record, each) for each in context.signers), CONTRACT_ROOM
    )


def check_merchants_room(context: Context, roles: Iterable[str]) -> None:
    """Refuse a statement of a merchant that none of its signers has room for."""
    _check(context, roles, MERCHANT_ROOM)


def _check(context: Context, roles: Iterable[str | None], room: dict[str, int]) -> None:
    most = 0
    for role in roles:
        if role is not None and role not in room:
            return
        most = max(most, room.get(role or "", 0))
    if context.entries >= most:
        raise Refusal("too_many_entries", ("entries", context.entries), ("allowed", most))
