"""What a custodian says it keeps, held against what the ledger has locked with it.

A bank, or its gateway for it, signs what stands in custody, of all its contracts or of one
merchant's. Every node compares it at that very position with the sums of `contracts.custody`, so
that the outcome itself says what is short. That the money is there nobody knows by this: only that
the custodian said so, and against what. Each statement bears its number among the custodian's, and
the custodian's record how many there are: whoever is shown some of them sees what is kept back.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from contracts.custody import CUSTODIAN_PREFIX, read_custodian, read_merchant
from contracts.events import Event, Total
from contracts.handling import Context, Refusal
from contracts.parties import CUSTODIAN_ROLES
from contracts.standing import speaks_for_custodian
from ledger.transaction import Outcome, applied


class StatedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`custody.stated`, in the custodian's own stream; `occurred_at`: when the balance stood so."""

    balance: Total
    """Fen that stand in custody, interest included."""
    merchant: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,47})?$(?!\n)")] = ""
    """Of this merchant's contracts alone; empty: of all whose money the custodian keeps."""


def apply_stated(context: Context, data: StatedData) -> Outcome:
    """Compare a stated balance with what is locked here."""
    custodian = context.stream.removeprefix(CUSTODIAN_PREFIX)
    if not context.stream.startswith(CUSTODIAN_PREFIX):
        raise Refusal("wrong_stream", ("stream", context.stream), ("expected", "custodian/…"))
    party = context.party(custodian)
    if party is None or party.role not in CUSTODIAN_ROLES:
        raise Refusal("unknown_custodian", ("custodian", custodian))
    for signer in context.signers:
        speaker = context.party(signer)
        if speaker is None or not speaks_for_custodian(speaker, custodian):
            raise Refusal("not_entitled", ("signer", signer))
    record = read_custodian(context, custodian)
    of: list[tuple[str, int | str]] = []
    locked = record.locked
    if data.merchant:
        of = [("merchant", data.merchant)]
        locked = _find_locked(context, custodian, data.merchant)
    after = replace(record, stated=record.stated + 1)
    context.record = after
    gap = max(0, locked - data.balance)
    found = [("finding", "custody_short")] if gap else []
    if data.occurred_at > context.time_ms:
        found.append(("finding", "occurred_in_the_future"))
    return applied(
        ("number", after.stated),
        *of,
        ("balance", data.balance),
        ("locked", locked),
        ("gap", gap),
        ("excess", max(0, data.balance - locked)),
        *found,
    )


def _find_locked(context: Context, custodian: str, merchant: str) -> int:
    """Return what is locked of a merchant's money, if this custodian alone keeps it: the ledger has
    no sum of each custodian's share of a merchant."""
    party = context.party(merchant)
    if party is None or party.role != "merchant":
        raise Refusal("unknown_merchant", ("merchant", merchant))
    record = read_merchant(context, merchant)
    if custodian not in record.custodians:
        raise Refusal("not_its_custodian", ("merchant", merchant), ("custodian", custodian))
    if len(record.custodians) > 1:
        raise Refusal(
            "several_custodians", ("merchant", merchant), ("custodians", len(record.custodians))
        )
    return record.locked
