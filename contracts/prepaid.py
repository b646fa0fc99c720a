"""The prepaid contract: money paid ahead, kept in custody, released as the service is delivered.

    open ──► prepay ──► consume … ──► refund
             paid += a   locked → released   locked → refunded

All amounts are whole fen. In custody, after every transaction:

    locked + released + refunded = paid

The contract checks that itself each time; if it ever failed, that would be a mistake of ours and
no outcome. A consumer appears as a salted commitment only. Which of merchant, custodian and
consumer must sign a prepayment, a consumption or a refund is fixed when the contract is opened
(`attesters`), so that the record later shows who attested and who did not.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec.structs import replace

from contracts.handling import Context, Refusal
from contracts.parties import CUSTODIAN_ROLES, HexKey, Word
from law.terms import INDUSTRIES
from ledger import tags
from ledger.canonical import INTEGER_MAX
from ledger.hashing import tagged_hash
from ledger.transaction import Outcome, PartyId, applied

SALT_BYTES_MIN: Final = 16
"""128 bits, as for a body's salt."""

SALT_BYTES_MAX: Final = 255
"""Its length stands before it in one byte."""

CORROBORATES_MAX: Final = 16
"""Transactions that one statement says it bears out."""

PREPAY: Final = 0
CONSUME: Final = 1
REFUND: Final = 2
"""Places in `PrepaidRecord.attesters`."""

Role = Literal["merchant", "custodian", "consumer"]
Roles = Annotated[list[Role], msgspec.Meta(min_length=1, max_length=3)]
Fen = Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
Time = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
Label = Annotated[str, msgspec.Meta(max_length=64)]


class Attesters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=False):
    """Whose signatures each kind of transaction needs."""

    prepay: Roles = msgspec.field(default_factory=lambda: ["merchant"])
    consume: Roles = msgspec.field(default_factory=lambda: ["merchant"])
    refund: Roles = msgspec.field(default_factory=lambda: ["merchant"])


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the statement came about before it reached the chain (在线诉讼规则 art. 18)."""

    captured_at: Time = 0
    corroborates: Annotated[list[HexKey], msgspec.Meta(max_length=CORROBORATES_MAX)] = []
    """Earlier transactions that this one bears out, by their ids."""
    device: Label = ""
    generated_at: Time = 0
    method: Label = ""
    """For example `api`, `scan`, `upload`."""
    source: Label = ""
    """The source system."""
    submitted_at: Time = 0
    """When the source system handed it over; when it reached the chain, the block says."""


class OpenData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prepaid.open`, in the contract's own stream, signed at least by the merchant."""

    consumer: HexKey
    """Commitment to the consumer; see `compute_consumer_commitment`."""
    custodian: PartyId
    industry: Word
    merchant: PartyId
    terms_hash: HexKey
    """SHA-256 of the contract's text."""
    attesters: Attesters = msgspec.field(default_factory=Attesters)
    consumer_party: Annotated[str, msgspec.Meta(max_length=48)] = ""
    """Party under which the consumer signs, if the consumer does."""
    provenance: Provenance | None = None


class AmountData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """`prepaid.prepay`, `prepaid.consume` and `prepaid.refund`."""

    amount: Fen
    channel: Label = ""
    """Where the money moved: `ecny`, `wechat`, `alipay`, `bank`, `cash`."""
    item: Label = ""
    """What was delivered, in the merchant's words; no personal data."""
    occurred_at: Time = 0
    """When it happened, if not when it was submitted (hard wallets arrive late)."""
    units: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Lessons, visits, washes delivered; 0 when the contract does not count."""
    provenance: Provenance | None = None


class PrepaidRecord(msgspec.Struct, frozen=True, array_like=True, tag="prepaid", gc=False):
    """A prepaid contract as the state holds it."""

    version: int
    merchant: str
    custodian: str
    consumer: bytes
    consumer_party: str
    industry: str
    terms_hash: bytes
    attesters: tuple[str, str, str]
    """Roles that must sign prepay, consume and refund, each space-separated."""
    opened_height: int
    opened_ms: int
    paid: int
    locked: int
    released: int
    refunded: int
    prepaid_count: int
    consumed_count: int
    refunded_count: int


class ConservationError(Exception):
    """locked + released + refunded differs from paid: a mistake of ours, never an outcome."""


def compute_consumer_commitment(salt: bytes, consumer_id: str) -> bytes:
    """Return the 32-byte commitment under which a consumer appears in one contract.

    `salt` is random, at least 128 bits, and another for each contract, so that one person's
    contracts cannot be linked; destroying it erases the person and leaves the record
    (PIPL arts 4, 47). Raises ValueError for a shorter salt, or one above 255 bytes.
    """
    if not SALT_BYTES_MIN <= len(salt) <= SALT_BYTES_MAX:
        raise ValueError(f"a salt has {SALT_BYTES_MIN} to {SALT_BYTES_MAX} bytes, not {len(salt)}")
    return tagged_hash(tags.CONSUMER, bytes([len(salt)]) + salt + consumer_id.encode())


def apply_open(context: Context, data: OpenData) -> Outcome:
    """Open a contract; the merchant must be among the signers."""
    if not context.stream.startswith("contract/"):
        raise Refusal("wrong_stream", ("stream", context.stream), ("expected", "contract/…"))
    if context.record is not None:
        raise Refusal("already_open", ("stream", context.stream))
    if data.industry not in INDUSTRIES:
        raise Refusal("unknown_industry", ("industry", data.industry))
    if _find_role(context, data.merchant) != "merchant":
        raise Refusal("unknown_merchant", ("merchant", data.merchant))
    if _find_role(context, data.custodian) not in CUSTODIAN_ROLES:
        raise Refusal("unknown_custodian", ("custodian", data.custodian))
    roles = (data.attesters.prepay, data.attesters.consume, data.attesters.refund)
    if not data.consumer_party and any("consumer" in needed for needed in roles):
        raise Refusal("no_consumer_party", ("attester", "consumer"))
    if data.consumer_party and _find_role(context, data.consumer_party) is None:
        raise Refusal("unknown_consumer_party", ("consumer_party", data.consumer_party))
    if data.consumer_party in (data.merchant, data.custodian):
        raise Refusal("consumer_party_not_distinct", ("consumer_party", data.consumer_party))
    record = PrepaidRecord(
        version=1,
        merchant=data.merchant,
        custodian=data.custodian,
        consumer=bytes.fromhex(data.consumer),
        consumer_party=data.consumer_party,
        industry=data.industry,
        terms_hash=bytes.fromhex(data.terms_hash),
        attesters=(" ".join(roles[0]), " ".join(roles[1]), " ".join(roles[2])),
        opened_height=context.height,
        opened_ms=context.time_ms,
        paid=0,
        locked=0,
        released=0,
        refunded=0,
        prepaid_count=0,
        consumed_count=0,
        refunded_count=0,
    )
    _check_attesters(context, record, "merchant")
    context.record = record
    return applied(("locked", 0))


def apply_prepay(context: Context, data: AmountData) -> Outcome:
    """Lock money that was paid ahead."""
    record = _require_open(context, PREPAY)
    if record.paid + data.amount > INTEGER_MAX:
        raise Refusal("amount_too_large", ("paid", record.paid), ("amount", data.amount))
    return _settle(
        context,
        replace(
            record,
            paid=record.paid + data.amount,
            locked=record.locked + data.amount,
            prepaid_count=record.prepaid_count + 1,
        ),
    )


def apply_consume(context: Context, data: AmountData) -> Outcome:
    """Release locked money for a service delivered; never more than is locked."""
    record = _require_open(context, CONSUME)
    _check_locked(record, data.amount)
    return _settle(
        context,
        replace(
            record,
            locked=record.locked - data.amount,
            released=record.released + data.amount,
            consumed_count=record.consumed_count + 1,
        ),
    )


def apply_refund(context: Context, data: AmountData) -> Outcome:
    """Give locked money back to the payer; never more than is locked."""
    record = _require_open(context, REFUND)
    _check_locked(record, data.amount)
    return _settle(
        context,
        replace(
            record,
            locked=record.locked - data.amount,
            refunded=record.refunded + data.amount,
            refunded_count=record.refunded_count + 1,
        ),
    )


def _find_role(context: Context, party: str) -> str | None:
    """Return the role of a party that stands: registered before this block and not revoked."""
    record = context.party(party)
    if record is None or record.is_revoked_at(context.height):
        return None
    return record.role


def _require_open(context: Context, action: int) -> PrepaidRecord:
    record = context.record
    if not isinstance(record, PrepaidRecord):
        raise Refusal("unknown_contract", ("stream", context.stream))
    _check_attesters(context, record, record.attesters[action])
    return record


def _check_attesters(context: Context, record: PrepaidRecord, needed: str) -> None:
    """Every needed role must have signed, and nobody who is not of this contract."""
    signers = context.signers
    if needed == "merchant" and len(signers) == 1 and signers[0] == record.merchant:
        return
    parties = {
        "merchant": record.merchant,
        "custodian": record.custodian,
        "consumer": record.consumer_party,
    }
    for signer in signers:
        if signer not in parties.values():
            raise Refusal("not_entitled", ("signer", signer))
    for role in needed.split(" "):
        if parties[role] not in signers:
            raise Refusal("missing_attester", ("role", role), ("party", parties[role]))


def _check_locked(record: PrepaidRecord, amount: int) -> None:
    if amount > record.locked:
        raise Refusal("insufficient_locked", ("locked", record.locked), ("amount", amount))


def _settle(context: Context, record: PrepaidRecord) -> Outcome:
    """Make `record` the contract's, once its balances are what was paid."""
    paid, locked, released, refunded = record.paid, record.locked, record.released, record.refunded
    if locked + released + refunded != paid or locked < 0:
        raise ConservationError(
            f"{context.stream}: locked {locked} + released {released} + refunded {refunded} "
            f"is not paid {paid}"
        )
    context.record = record
    return applied(
        ("paid", paid), ("locked", locked), ("released", released), ("refunded", refunded)
    )
