"""What each event of a contract's life carries: the shapes of the kinds in `contracts.lifecycle`.

The members of a fact of the law are all required and have the law's own bounds (`law.facts`); a
test holds the two against each other. What the ledger adds may be left out: when it happened, how
the statement came about (在线诉讼规则 art. 18), which device made it under which counter. An
earlier transaction is named by its id.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from contracts.parties import HexKey
from contracts.prepaid import Provenance
from law.fields import FEN_MAX, LIST_MAX, MS_MAX
from law.terms import UNITS_MAX
from ledger.canonical import INTEGER_MAX
from ledger.transaction import PartyId

COUNTER_MAX: Final = 2**40
"""A device that makes a receipt every millisecond reaches it in 34 years."""

PACKS_MAX: Final = 32
"""Packs that one computation looks at."""

Fen = Annotated[int, msgspec.Meta(ge=0, le=FEN_MAX)]
SomeFen = Annotated[int, msgspec.Meta(ge=1, le=FEN_MAX)]
Total = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=MS_MAX)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Day = Annotated[str, msgspec.Meta(pattern=r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$(?!\n)")]
Units = Annotated[int, msgspec.Meta(ge=0, le=UNITS_MAX)]
Ppm = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Device = Annotated[str, msgspec.Meta(max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=COUNTER_MAX)]
Standing = Literal["claim", "finding"]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """An event that says all by its kind."""

    occurred_at: Ms = 0
    """When it happened, if not when it was recorded."""
    provenance: Provenance | None = None


class DeviceEvent(Event, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """An event that a device records, perhaps long before it reaches the ledger."""

    counter: Count = 0
    """The device's own running number, from 1; 0: it has none."""
    device: Device = ""


class Persons(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everybody but the merchant: commitments (`contracts.prepaid`), or ids of companies."""

    party: HexKey
    age_band: Literal["adult", "8_to_17", "under_8", "unknown"]
    payer: HexKey | None
    beneficiary: HexKey | None
    holder: HexKey | None
    guardian: HexKey | None
    lender: Name | None
    franchisor: Name | None
    landlord: Name | None
    liquidation_obligor: Name | None


class Prompted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proof that a burdensome clause was pointed out."""

    clause: Name
    proof: HexKey


class SignedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`contract.signed`, in the contract's own stream."""

    card: Literal["named", "bearer"]
    custodian: PartyId
    merchant: PartyId
    persons: Persons
    prompted: Annotated[list[Prompted], msgspec.Meta(max_length=64)]
    terms: HexKey
    """SHA-256 of a document that `terms.publish` put on the ledger."""
    consumer_party: Annotated[str, msgspec.Meta(max_length=48)] = ""
    """Party under which the consumer signs, if the consumer does."""


class Voucher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an issuer paid of a price."""

    issuer: Name
    amount: SomeFen


class LockedData(DeviceEvent, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`funds.locked`: a prepayment; what was paid and what the merchant added are apart."""

    account: Name | None
    amount: Fen
    bonus: Fen
    channel: Literal["ecny", "transfer", "wechat", "alipay", "bank_card", "cash", "loan"]
    custody: Literal["none", "held", "ordered"]
    vouchers: Annotated[list[Voucher], msgspec.Meta(max_length=16)]


class DeliveredData(DeviceEvent, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """`service.delivered`: so many of an item, and what the till took from the card."""

    debited: Fen
    item: Name
    units: Units


class AmountData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """`funds.released`, `interest.accrued`, `balance.forfeited`."""

    amount: SomeFen


class FrozenData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`funds.frozen`: an amount, or a share of what is locked, on whose authority and how long."""

    amount: Fen
    """0 where `share_ppm` says how much."""
    authority: Name
    """The body that ordered it, which need not be a party."""
    document: Annotated[str, msgspec.Meta(max_length=64)]
    """Number of the order."""
    legal_basis: Annotated[str, msgspec.Meta(max_length=200)]
    until: Ms | None
    """It lapses by itself; None: it stands until it is lifted."""
    rank: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    """Order among several freezes (轮候)."""
    share_ppm: Ppm = 0
    starts_at: Ms = 0


class OfData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event about an earlier one."""

    of: HexKey
    """Its transaction id."""


class AnsweredData(OfData, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`delivery.answered`: confirmed, silent after notice, objected to, or taken back."""

    answer: Literal["confirmed", "silence", "objected", "reversed"]


class GiftData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`gift.given`."""

    item: Name
    worth: Fen


class PriceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`price.changed`."""

    item: Name
    price: Fen


class InterestPaidData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`interest.paid`."""

    amount: SomeFen
    payee: Name


class RefundPaidData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`refund.paid`."""

    amount: SomeFen
    payee: Name
    source: Literal["custody", "merchant"]


class PriorUseData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`prior_use.stated`."""

    from_: Literal["none", "this_merchant", "other_merchant"] = msgspec.field(name="from")
    standing: Standing


class TerminationData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`termination.requested`."""

    cure_until: Ms | None


class JudgedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`termination.judged`."""

    day: Day


class InvalidityData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`invalidity.found`."""

    ground: Literal["capacity", "void", "revoked", "not_effective"]


class CauseData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`cause.stated`."""

    cause: Literal["merchant", "neither", "consumer"]
    standing: Standing


class GroundData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`ground.stated`."""

    ground: Literal[
        "premises_moved",
        "obligation_transferred",
        "unlimited_not_available",
        "grave_change",
        "breach",
        "agreed_ground",
        "other",
    ]
    standing: Standing


class MinorServiceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`minor_service.stated`."""

    standing: Standing
    unlawful: bool


class SalesRecordsData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`sales_records.produced`."""

    items: Annotated[list[Name], msgspec.Meta(max_length=LIST_MAX)]


class MarketPriceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`market_price.stated`."""

    item: Name
    price: Fen
    standing: Standing


class AssignmentData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`assignment.notified`."""

    assignee: HexKey
    whole: bool
    assignee_party: Annotated[str, msgspec.Meta(max_length=48)] = ""
    """Party under which the assignee signs from then on, if the assignee does."""


class RequestedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`records.requested`."""

    until: Day


class RecordsRefusedData(OfData, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`records.refused`."""

    reason: Name


class NotifiedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`closing.notified`, `moving.notified`."""

    effective: Day


class BalanceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`balance.reported`."""

    balance: Total
    custody: Total
    issuer_class: Literal["scale", "group", "brand", "other"]
    quarter_end: Day


class WalletData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`wallet.opened`: where the money will be kept, never a wallet's number."""

    account: Name
    legal_basis: Name
    wallet_kind: Literal["soft", "hard", "account"]


class ComputedData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`refund.computed`: what is owed as of a day."""

    as_of: Day


class FindingsData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`findings.computed`: which rules are broken, seen on a day, under these packs."""

    as_of: Day
    packs: Annotated[list[Name], msgspec.Meta(max_length=PACKS_MAX)]
    """Ids of packs; all their versions are looked at, each for its own days."""


class DisputeData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dispute.opened`, `dispute.resolved`."""

    matter: Name
    note_hash: HexKey


class EvidenceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`evidence.attached`: a document kept elsewhere, by its SHA-256."""

    hash: HexKey
    what: Name


class CourtData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`court.linked`."""

    case_number: Name
    court: Name


class FinanceData(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`finance.linked`, of a contract, and `financing.linked`, of a whole merchant: a loan, wealth
    management, a policy, a claim, a voucher issue; with the consent's hash."""

    amount: Fen
    consent: HexKey
    institution: Name
    number_hash: HexKey
    what: Literal["loan", "wealth", "insurance_policy", "insurance_claim", "voucher"]


DATA: Final[dict[str, type[msgspec.Struct]]] = {
    "contract.signed": SignedData,
    "wallet.opened": WalletData,
    "funds.locked": LockedData,
    "funds.released": AmountData,
    "funds.frozen": FrozenData,
    "funds.unfrozen": OfData,
    "interest.accrued": AmountData,
    "interest.paid": InterestPaidData,
    "card.activated": Event,
    "card.replaced": Event,
    "card.lost": Event,
    "card.reissued": OfData,
    "card.expired": Event,
    "service.delivered": DeliveredData,
    "delivery.answered": AnsweredData,
    "gift.given": GiftData,
    "price.changed": PriceData,
    "premises.moved": Event,
    "obligation.transferred": Event,
    "service.stopped": Event,
    "service.resumed": Event,
    "cooling_off.requested": Event,
    "termination.requested": TerminationData,
    "complaint.served": Event,
    "termination.agreed": Event,
    "termination.judged": JudgedData,
    "invalidity.found": InvalidityData,
    "notice.arrived": OfData,
    "prior_use.stated": PriorUseData,
    "cause.stated": CauseData,
    "ground.stated": GroundData,
    "deduction.claimed": Event,
    "minor_service.stated": MinorServiceData,
    "price.disputed": Event,
    "sales_records.produced": SalesRecordsData,
    "market_price.stated": MarketPriceData,
    "actual_rate.requested": Event,
    "assignment.notified": AssignmentData,
    "balance.forfeited": AmountData,
    "refund.computed": ComputedData,
    "findings.computed": FindingsData,
    "refund.paid": RefundPaidData,
    "contract.closed": Event,
    "records.requested": RequestedData,
    "records.produced": OfData,
    "records.refused": RecordsRefusedData,
    "dispute.opened": DisputeData,
    "evidence.attached": EvidenceData,
    "dispute.resolved": DisputeData,
    "court.linked": CourtData,
    "finance.linked": FinanceData,
    "risk.declared": Event,
    "risk.lifted": Event,
    "closing.notified": NotifiedData,
    "moving.notified": NotifiedData,
    "financing.linked": FinanceData,
    "balance.reported": BalanceData,
    "liquidation.opened": Event,
    "business.closed": Event,
}
"""The shape of each event's data."""

DAYS: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    shape: tuple(field.name for field in msgspec.structs.fields(shape) if field.type == Day)
    for shape in set(DATA.values())
}
"""The members of each shape that are days; a pattern does not say that there is such a day."""
