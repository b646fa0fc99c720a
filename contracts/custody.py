"""A contract's books: what moves with every event, what never changes, and the totals above it.

In custody, after every event, for the contract and for the sums of merchant and custodian:

    locked + released + refunded = deposited + interest,    none below 0

`deposited` is what was paid into custody; what a merchant took in itself counts in `paid` alone.
Bonuses are no money and vouchers are kept apart. The static part of a contract is a row of its own
and is not touched again, so that an event reads and writes only what moves. The check is made here
each time; were it ever to fail, that would be a mistake of ours and no outcome. `contracts.audit`
adds everything up again by itself.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from contracts.handling import Context, Refusal
from contracts.lifecycle import AFTERLIFE_MS, CARD, CONTRACT, DISPUTE, REGIONS, TRADING
from contracts.prepaid import ConservationError
from ledger.canonical import INTEGER_MAX
from ledger.sum_tree import AMOUNT_MAX, EMPTY

RECORD_VERSION: Final = 1

CUSTODIANS_MAX: Final = 64
"""Banks and gateways that keep one merchant's money: more than genesis names."""
FREEZES_MAX: Final = 16
"""Freezes of one contract at a time."""
ASSIGNED_MAX: Final = 16
"""Assignments of one contract that took effect."""
ISSUERS_MAX: Final = 32
"""Issuers of vouchers in one contract: its record names each, and every event writes it anew."""

STATIC_PREFIX: Final = "signed/"
MERCHANT_PREFIX: Final = "merchant/"
LISTED_PREFIX: Final = "listed/merchant/"
CUSTODIAN_PREFIX: Final = "custodian/"

UNKNOWN: Final = -1
"""What is owed before it was computed."""


class Freeze(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount that may not move."""

    tx_id: bytes
    amount: int
    starts_ms: int
    until_ms: int
    """First millisecond at which it has lapsed; 0: it stands until it is lifted."""
    rank: int


class Assigned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An assignment of the consumer's claim that took effect (art. 11)."""

    tx_id: bytes
    """Of `assignment.notified`."""
    assignee: str
    """Commitment to whoever holds the claim from then on, hex."""
    assignor_party: str
    """Party under which the consumer before signed; empty: none."""


class IssuerShare(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a voucher's issuer is due of a refund, and was paid."""

    issuer: str
    due: int
    """Its highest share by any of the possible results, as computed last. `UNKNOWN` before, and
    where the issuer is whom the consumer's share goes to: it is then a part of that."""
    returned: int


class ContractRecord(msgspec.Struct, frozen=True, array_like=True, tag="contract", gc=False):
    """A contract as it moves; the state value of its stream."""

    version: int
    merchant: str
    custodian: str
    consumer_party: str
    phase: str = REGIONS[CONTRACT][1]
    card: str = REGIONS[CARD][0]
    dispute: str = REGIONS[DISPUTE][0]
    paid: int = 0
    """By the consumer and voucher issuers, wherever it went."""
    vouchers: int = 0
    """Of it, by issuers."""
    bonus: int = 0
    """What the merchant added; no money."""
    deposited: int = 0
    """Of what was paid, into custody."""
    interest: int = 0
    """Credited by the account."""
    locked: int = 0
    released: int = 0
    refunded: int = 0
    """From custody."""
    repaid: int = 0
    """By the merchant itself, as the other side or an authority says."""
    debited: int = 0
    """What the till took for deliveries, at face value."""
    deliveries: int = 0
    last_delivery_ms: int = 0
    due_low: int = UNKNOWN
    """Principal and interest by the lowest of the possible results, as computed last."""
    due_high: int = UNKNOWN
    findings: int = 0
    freezes: list[Freeze] = []
    closed_ms: int = 0
    """When it was closed; 0 while it is not."""
    place: int = 0
    """Among its merchant's contracts, the first being 0 (`contracts.claims`)."""
    interest_paid: int = 0
    """Of the account's interest, to the consumer whose it is; part of `refunded`."""
    payees: list[str] = []
    """Who may be paid back, as computed last."""
    assigned: list[Assigned] = []
    """Assignments in the order in which they took effect."""
    due_consumer: int = UNKNOWN
    """The consumer's highest share of what is owed, with its interest, as computed last."""
    issuers: list[IssuerShare] = []
    """All that vouchers name, in the order in which they came: what they are due is not the
    consumer's, nor the other way round."""

    def is_over_at(self, time_ms: int) -> bool:
        """Say whether it was closed so long ago that nothing looks back on its entries any more."""
        return bool(self.closed_ms) and self.closed_ms + AFTERLIFE_MS < time_ms

    def compute_frozen(self, time_ms: int) -> int:
        """Return what freezes hold at a time, at most what is locked."""
        if not self.freezes:
            return 0
        held = sum(
            freeze.amount
            for freeze in self.freezes
            if freeze.starts_ms <= time_ms and (not freeze.until_ms or time_ms < freeze.until_ms)
        )
        return min(self.locked, held)

    @property
    def owed(self) -> int:
        """The highest that is still to be paid, as far as it was computed."""
        return max(0, self.due_high - self.returned)

    @property
    def returned(self) -> int:
        """What came back of it; the account's interest is the consumer's own and no part of it."""
        return self.refunded - self.interest_paid + self.repaid


class SignedRecord(msgspec.Struct, frozen=True, array_like=True, tag="signed", gc=False):
    """What a contract is from its signing on."""

    version: int
    terms: bytes
    """SHA-256 of the terms."""
    template: str
    template_version: int
    industry: str
    district: str
    """The merchant's."""
    card: str
    party: bytes
    """Commitment to the consumer."""
    signed_height: int
    signed_ms: int


class MerchantRecord(msgspec.Struct, frozen=True, array_like=True, tag="merchant", gc=False):
    """A merchant as a whole: its state and the sums over its contracts."""

    version: int
    state: str = TRADING
    contracts: int = 0
    deposited: int = 0
    interest: int = 0
    locked: int = 0
    released: int = 0
    refunded: int = 0
    owed: int = 0
    """Sum of what its contracts still owe at most, as far as computed."""
    findings: int = 0
    claims: bytes = EMPTY.hash
    """Hash of the total of its sum tree (`contracts.claims`)."""
    industries: list[str] = []
    """Of its contracts, in the order in which they came."""
    custodians: list[str] = []
    """Who keeps money of its contracts."""


class ListedRecord(msgspec.Struct, frozen=True, array_like=True, tag="listed", gc=False):
    """The contract at one place among its merchant's (`contracts.claims`).

    Rows of their own, so that whoever is shown one contract or the merchant's record learns no
    other contract's id.
    """

    version: int
    contract: str
    """Its stream."""
    claim: bytes
    """Its name in the merchant's sum tree."""


class CustodianRecord(msgspec.Struct, frozen=True, array_like=True, tag="custodian", gc=False):
    """A custodian as a whole: the sums over the contracts whose money it keeps, and how often it
    stated what it keeps (`contracts.custody_statement`)."""

    version: int
    contracts: int = 0
    deposited: int = 0
    interest: int = 0
    locked: int = 0
    released: int = 0
    refunded: int = 0
    stated: int = 0
    """Its applied statements of a balance; each has its number among them, from 1."""


_SUMS: Final = ("deposited", "interest", "locked", "released", "refunded")


def read_static(context: Context) -> SignedRecord:
    """Return the static part of the contract whose stream this is."""
    static = context.read(STATIC_PREFIX + context.stream)
    assert isinstance(static, SignedRecord), "a contract's record has its static part beside it"
    return static


def read_merchant(context: Context, merchant: str) -> MerchantRecord:
    """Return a merchant as a whole; one not heard of yet trades and has nothing."""
    record = context.read(MERCHANT_PREFIX + merchant)
    return record if isinstance(record, MerchantRecord) else MerchantRecord(RECORD_VERSION)


def read_custodian(context: Context, custodian: str) -> CustodianRecord:
    """Return a custodian as a whole; one not heard of yet keeps nothing."""
    record = context.read(CUSTODIAN_PREFIX + custodian)
    return record if isinstance(record, CustodianRecord) else CustodianRecord(RECORD_VERSION)


def listed_row(merchant: str, place: int) -> str:
    """Return the name of the row that says which contract has a place."""
    return f"{LISTED_PREFIX}{merchant}/{place}"


def join_industry(context: Context, merchant: str, industry: str) -> None:
    """Let a merchant's record know in which industry it contracts."""
    record = read_merchant(context, merchant)
    if industry not in record.industries:
        industries = [*record.industries, industry]
        context.write(MERCHANT_PREFIX + merchant, replace(record, industries=industries))


def join_custodian(record: MerchantRecord, custodian: str) -> MerchantRecord:
    """Let a merchant's record know who keeps its money, from the first that came there: whom the
    merchant names in a contract keeps nothing yet, and has not been asked."""
    if custodian in record.custodians:
        return record
    if len(record.custodians) >= CUSTODIANS_MAX:
        raise Refusal(
            "too_many_custodians",
            ("custodians", len(record.custodians)),
            ("allowed", CUSTODIANS_MAX),
        )
    return replace(record, custodians=[*record.custodians, custodian])


def check_movable(context: Context, record: ContractRecord, amount: int, kept: int = 0) -> None:
    """Refuse an amount that is not locked, or is frozen now, or is not above what is `kept`."""
    if amount > record.locked:
        raise Refusal("insufficient_locked", ("locked", record.locked), ("amount", amount))
    frozen = record.compute_frozen(context.time_ms)
    if amount > record.locked - frozen:
        raise Refusal("frozen", ("locked", record.locked), ("frozen", frozen), ("amount", amount))
    if amount > record.locked - kept:
        raise Refusal(
            "consumers_interest",
            ("locked", record.locked),
            ("interest", kept),
            ("amount", amount),
        )


def settle(context: Context, before: ContractRecord | None, after: ContractRecord) -> None:
    """Make `after` the contract's record and carry the difference into the sums above it."""
    if after.paid > INTEGER_MAX:
        raise Refusal("amount_too_large", ("paid", after.paid), ("allowed", INTEGER_MAX))
    check_conservation(context.stream, after)
    context.record = after
    opened = int(before is None)
    old = before or ContractRecord(RECORD_VERSION, after.merchant, after.custodian, "")
    is_moved = (
        after.locked != old.locked
        or after.deposited != old.deposited
        or after.released != old.released
    )
    owed, found = after.owed - old.owed, after.findings - old.findings
    if not (opened or owed or found or is_moved):
        return
    moved = {name: getattr(after, name) - getattr(old, name) for name in _SUMS}
    merchant = read_merchant(context, after.merchant)
    if is_moved:
        merchant = join_custodian(merchant, after.custodian)
    merchant = replace(
        merchant,
        contracts=merchant.contracts + opened,
        owed=merchant.owed + owed,
        findings=merchant.findings + found,
        **{name: getattr(merchant, name) + moved[name] for name in _SUMS},
    )
    if merchant.deposited + merchant.interest > AMOUNT_MAX or merchant.owed > AMOUNT_MAX:
        raise Refusal(
            "total_too_large",
            ("merchant", after.merchant),
            ("deposited", merchant.deposited),
            ("owed", merchant.owed),
            ("allowed", AMOUNT_MAX),
        )
    check_conservation(MERCHANT_PREFIX + after.merchant, merchant)
    context.write(MERCHANT_PREFIX + after.merchant, merchant)
    if opened or is_moved:
        name = CUSTODIAN_PREFIX + after.custodian
        custodian = read_custodian(context, after.custodian)
        custodian = replace(
            custodian,
            contracts=custodian.contracts + opened,
            **{each: getattr(custodian, each) + moved[each] for each in _SUMS},
        )
        if custodian.deposited + custodian.interest > AMOUNT_MAX:
            raise Refusal(
                "total_too_large",
                ("custodian", after.custodian),
                ("deposited", custodian.deposited),
                ("allowed", AMOUNT_MAX),
            )
        check_conservation(name, custodian)
        context.write(name, custodian)


def check_conservation(
    name: str, record: ContractRecord | MerchantRecord | CustodianRecord
) -> None:
    """Raise `ConservationError` unless what is in custody is what went in."""
    parts = (record.locked, record.released, record.refunded)
    if sum(parts) != record.deposited + record.interest or min(parts) < 0:
        raise ConservationError(
            f"{name}: locked {record.locked} + released {record.released} + refunded "
            f"{record.refunded} is not deposited {record.deposited} + interest {record.interest}"
        )
