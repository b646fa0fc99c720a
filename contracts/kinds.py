"""The table of transaction kinds: which rules a body runs under, and what its data must look like.

Rules are versioned; a body names the version, and an old version stays in this table for ever, so
that any block can be executed again. Shape is checked at the door (`parse_data`), and a block that
carries misshapen data all the same records a refusal, because a primary must not be able to stop
the chain with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from contracts import (
    attest,
    custody_statement,
    documents,
    equivocation,
    parties,
    prepaid,
    private_fields,
    refunds,
)
from contracts.attest import AttestData
from contracts.contract import DEEDS, Deed, apply_signed, make_event, make_merchant_event, note
from contracts.custody import (
    ContractRecord,
    CustodianRecord,
    ListedRecord,
    MerchantRecord,
    SignedRecord,
)
from contracts.custody_statement import StatedData
from contracts.devices import DeviceRecord
from contracts.documents import (
    CompetenceData,
    CompetenceRecord,
    DocumentRecord,
    PublishData,
    VersionsRecord,
)
from contracts.equivocation import EquivocationData, ValidatorRecord
from contracts.events import DATA
from contracts.handling import Context
from contracts.lifecycle import EVENTS, MERCHANT_EVENTS
from contracts.parties import KeyData, KeyRecord, PartyRecord, RegisterData, RevokeData
from contracts.prepaid import AmountData, OpenData, PrepaidRecord
from contracts.private_fields import CommittedData
from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh
from ledger.transaction import Body, Outcome

Record = (
    PartyRecord
    | KeyRecord
    | PrepaidRecord
    | ValidatorRecord
    | ContractRecord
    | SignedRecord
    | MerchantRecord
    | ListedRecord
    | CustodianRecord
    | DeviceRecord
    | VersionsRecord
    | DocumentRecord
    | CompetenceRecord
)
"""Whatever a row of the state may hold."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind at one version."""

    data: type[msgspec.Struct]
    apply: Callable[[Context, Any], Outcome]
    summary: str
    decoder: msgspec.json.Decoder[Any] = field(init=False)
    """Reads `data` from a body's text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", msgspec.json.Decoder(self.data))


_COMPUTED: Final[dict[str, Deed]] = {
    "refund.computed": refunds.compute,
    "findings.computed": refunds.compute_findings,
}


def _list_events() -> dict[tuple[str, int], Kind]:
    """Return the kinds of the lifecycle's table."""
    events: dict[tuple[str, int], Kind] = {}
    for event in EVENTS:
        apply = make_event(event, _COMPUTED.get(event) or DEEDS.get(event, note))
        events[event, 1] = Kind(DATA[event], apply, "an event of a contract's life")
    events["contract.signed", 1] = Kind(DATA["contract.signed"], apply_signed, "sign a contract")
    for event in MERCHANT_EVENTS:
        events[event, 1] = Kind(
            DATA[event], make_merchant_event(event), "an event of a merchant's life"
        )
    return events


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
    ("private.committed", 1): Kind(
        CommittedData, private_fields.apply_committed, "commit to a contract's private fields"
    ),
    ("custody.stated", 1): Kind(
        StatedData, custody_statement.apply_stated, "say what stands in custody"
    ),
    ("validator.equivocation", 1): Kind(
        EquivocationData, equivocation.apply_equivocation, "two contradictory signed statements"
    ),
    ("terms.publish", 1): Kind(PublishData, documents.apply_terms, "publish terms"),
    ("rules.publish", 1): Kind(PublishData, documents.apply_rules, "publish a rule pack"),
    ("data.publish", 1): Kind(PublishData, documents.apply_data, "publish rates or rest days"),
    ("competence.publish", 1): Kind(
        CompetenceData, documents.apply_competence, "say who is competent for what"
    ),
    **_list_events(),
}


def find_kind(body: Body) -> Kind:
    """Return the rules a body runs under; raise `Rejected` (UNKNOWN_KIND)."""
    kind = KINDS.get((body.kind, body.version))
    if kind is None:
        known = ", ".join(f"{name} v{version}" for name, version in KINDS)
        raise Rejected(
            Reason.UNKNOWN_KIND,
            f"kind {body.kind} version {body.version}; known are: {known}",
            f"不认识种类 {body.kind} 第 {body.version} 版；已知的有：{known}",
        )
    return kind


def parse_data(body: Body) -> tuple[Kind, Any]:
    """Return a body's rules and its data in their type.

    Raises `Rejected`: UNKNOWN_KIND, BAD_FIELD.
    """
    kind = find_kind(body)
    try:
        return kind, kind.decoder.decode(body.data_text)
    except msgspec.ValidationError as error:
        raise Rejected(
            Reason.BAD_FIELD,
            f"data of {body.kind}: {error}",
            f"{body.kind} 的数据：{describe_shape_zh(str(error))}",
        ) from None
