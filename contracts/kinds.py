"""The table of transaction kinds: which rules a body runs under, and what its data must look like.

Rules are versioned; a body names the version, and an old version stays in this table for ever, so
that any block can be executed again. Shape is checked at the door (`parse_data`), and a block that
carries misshapen data all the same records a refusal, because a primary must not be able to stop
the chain with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts import attest, equivocation, parties, prepaid
from contracts.attest import AttestData
from contracts.equivocation import EquivocationData, ValidatorRecord
from contracts.handling import Context
from contracts.parties import KeyData, PartyRecord, RegisterData, RevokeData
from contracts.prepaid import AmountData, OpenData, PrepaidRecord
from ledger.refusal import Reason, Rejected
from ledger.transaction import Body, Outcome

Record = PartyRecord | PrepaidRecord | ValidatorRecord
"""Whatever a stream may hold."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind at one version."""

    data: type[msgspec.Struct]
    apply: Callable[[Context, Any], Outcome]
    summary: str


KINDS: Final[dict[tuple[str, int], Kind]] = {
    ("party.register", 1): Kind(RegisterData, parties.apply_register, "register a party"),
    ("party.revoke", 1): Kind(RevokeData, parties.apply_revoke, "revoke a party"),
    ("party.add_key", 1): Kind(KeyData, parties.apply_add_key, "give a party a further key"),
    ("party.revoke_key", 1): Kind(KeyData, parties.apply_revoke_key, "end a party's key"),
    ("prepaid.open", 1): Kind(OpenData, prepaid.apply_open, "open a prepaid contract"),
    ("prepaid.prepay", 1): Kind(AmountData, prepaid.apply_prepay, "lock money paid ahead"),
    ("prepaid.consume", 1): Kind(AmountData, prepaid.apply_consume, "release for a delivery"),
    ("prepaid.refund", 1): Kind(AmountData, prepaid.apply_refund, "give locked money back"),
    ("attest", 1): Kind(AttestData, attest.apply_attest, "say something of an earlier entry"),
    ("validator.equivocation", 1): Kind(
        EquivocationData, equivocation.apply_equivocation, "two contradictory signed statements"
    ),
}


def find_kind(body: Body) -> Kind:
    """Return the rules a body runs under; raise `Rejected` (UNKNOWN_KIND)."""
    kind = KINDS.get((body.kind, body.version))
    if kind is None:
        known = ", ".join(f"{name} v{version}" for name, version in KINDS)
        raise Rejected(
            Reason.UNKNOWN_KIND, f"kind {body.kind} version {body.version}; known are: {known}"
        )
    return kind


def parse_data(body: Body) -> tuple[Kind, Any]:
    """Return a body's rules and its data in their type.

    Raises `Rejected`: UNKNOWN_KIND, BAD_FIELD.
    """
    kind = find_kind(body)
    try:
        return kind, msgspec.convert(body.data, kind.data)
    except msgspec.ValidationError as error:
        raise Rejected(Reason.BAD_FIELD, f"data of {body.kind}: {error}") from None
