"""The prepaid contract under its terms: what each event of its life does.

An event is checked against the table (`contracts.lifecycle`), attested by whoever may state it
(`contracts.standing`), moves the books (`contracts.custody`) and stands in the contract's stream as
a fact of the law. What breaks an invariant is refused by name; what breaks a rule is done, and the
outcome carries a `finding`, because history is not to be hidden. Nothing here judges: what is owed
is for `contracts.refunds`, which reads the same entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from contracts.claims import list_contract
from contracts.custody import (
    ASSIGNED_MAX,
    FREEZES_MAX,
    ISSUERS_MAX,
    MERCHANT_PREFIX,
    RECORD_VERSION,
    STATIC_PREFIX,
    UNKNOWN,
    Assigned,
    ContractRecord,
    Freeze,
    IssuerShare,
    MerchantRecord,
    SignedRecord,
    check_movable,
    join_industry,
    read_merchant,
    read_static,
    settle,
)
from contracts.devices import count_device
from contracts.documents import read_document
from contracts.events import (
    DAYS,
    AmountData,
    AnsweredData,
    AssignmentData,
    DeliveredData,
    Event,
    EvidenceData,
    FrozenData,
    InterestPaidData,
    LockedData,
    OfData,
    PriceData,
    RefundPaidData,
    SignedData,
)
from contracts.handling import Context, Past, Refusal
from contracts.lifecycle import (
    AFTERLIFE_MS,
    CARD,
    CONTRACT,
    DISPUTE,
    ENDING,
    ISSUED,
    LOOKING_BACK,
    LOST,
    MERCHANT,
    TRADING,
    find_attesters,
    find_next,
)
from contracts.parties import CUSTODIAN_ROLES, PartyRecord
from contracts.room import check_merchants_room, check_room
from contracts.scope import check_scope
from contracts.standing import (
    attest,
    find_past_roles,
    find_role_towards_merchant,
    find_roles,
)
from law.days import day_of, parse_day
from law.entries import choose_role
from law.facts import REFERS
from law.fields import BLANK
from law.terms import CONSUMER, LEDGER, PeriodDeal, Terms, parse_terms
from ledger.transaction import Outcome, applied

Effects = list[tuple[str, int | str]]
Deed = Callable[[Context, ContractRecord, Any, str], tuple[ContractRecord, Effects]]
"""What an event does to the books: (context, record in its new state, data, role) → record."""

PPM: Final = 1_000_000

DELAY_MS_MAX: Final = 3_600_000
"""How long after it happened an event may stand in a block without being dated back. An envelope
signed on the spot gets into a block within the replay window, which networks are founded with at an
hour (`cli.founding`), or never."""

PAYEES_TOLD_MAX: Final = 8
"""Payees that a refusal names; an outcome has room for no more than 16 KiB."""


def apply_signed(context: Context, data: SignedData) -> Outcome:
    """Sign a contract under published terms; merchant, custodian and terms must be known."""
    if not context.stream.startswith("contract/"):
        raise Refusal("wrong_stream", ("stream", context.stream), ("expected", "contract/…"))
    if context.record is not None:
        raise Refusal("already_open", ("stream", context.stream))
    merchant = _find_standing(context, data.merchant)
    if merchant is None or merchant.role != "merchant":
        raise Refusal("unknown_merchant", ("merchant", data.merchant))
    custodian = _find_standing(context, data.custodian)
    if custodian is None or custodian.role not in CUSTODIAN_ROLES:
        raise Refusal("unknown_custodian", ("custodian", data.custodian))
    _check_consumer(context, data.consumer_party, (data.merchant, data.custodian))
    raw = read_document(context, bytes.fromhex(data.terms))
    if raw is None:
        raise Refusal("unknown_terms", ("terms", data.terms))
    terms = parse_terms(raw)
    whole = read_merchant(context, data.merchant)
    record = ContractRecord(
        RECORD_VERSION, data.merchant, data.custodian, data.consumer_party, place=whole.contracts
    )
    static = SignedRecord(
        version=RECORD_VERSION,
        terms=bytes.fromhex(data.terms),
        template=terms.template,
        template_version=terms.template_version,
        industry=terms.industry,
        district=merchant.district,
        card=data.card,
        party=bytes.fromhex(data.persons.party),
        signed_height=context.height,
        signed_ms=context.time_ms,
    )
    context.write(STATIC_PREFIX + context.stream, static)
    role = attest(context, record, "contract.signed")
    found: Effects = []
    if _is_backdated(context, data, role):
        found.append(("finding", "signing_backdated"))
    found += _find_future(context, data)
    record = replace(record, findings=len(found))
    join_industry(context, data.merchant, terms.industry)
    list_contract(context, record, static.party)
    settle(context, None, record)
    return applied(
        ("state", record.phase),
        ("template", terms.template),
        ("template_version", terms.template_version),
        ("industry", terms.industry),
        *found,
    )


def make_event(event: str, deed: Deed) -> Callable[[Context, Any], Outcome]:
    """Return the handler of a contract's event that does `deed`."""

    def apply(context: Context, data: Event) -> Outcome:
        record = context.record
        if not isinstance(record, ContractRecord):
            raise Refusal("unknown_contract", ("stream", context.stream))
        is_by_merchant = len(context.signers) == 1 and context.signers[0] == record.merchant
        if is_by_merchant and "merchant" in find_attesters(event):
            role = "merchant"
        else:
            role = attest(context, record, event)
        check_room(context, record)
        moved = _move(record, event)
        _check_days(data)
        if event in LOOKING_BACK and record.is_over_at(context.time_ms):
            raise Refusal(
                "contract_over", ("closed_ms", record.closed_ms), ("allowed_ms", AFTERLIFE_MS)
            )
        if isinstance(data, OfData):
            _check_target(context, event, data.of)
        after, effects = deed(context, moved, data, role)
        effects += _find_future(context, data)
        if any(name == "finding" for name, _ in effects):
            found = sum(name == "finding" for name, _ in effects)
            after = replace(after, findings=after.findings + found)
        settle(context, record, after)
        return applied(("state", after.phase), *effects)

    return apply


def make_merchant_event(event: str) -> Callable[[Context, Any], Outcome]:
    """Return the handler of an event in the stream `merchant/<id>`."""

    def apply(context: Context, data: Event) -> Outcome:
        merchant = context.stream.removeprefix(MERCHANT_PREFIX)
        party = context.party(merchant)
        if not context.stream.startswith(MERCHANT_PREFIX) or party is None:
            raise Refusal("unknown_merchant", ("merchant", merchant))
        record = context.record
        if not isinstance(record, MerchantRecord):
            record = MerchantRecord(RECORD_VERSION)
        allowed = find_attesters(event)
        roles = []
        for signer in context.signers:
            role = find_role_towards_merchant(context.party, merchant, record, signer)
            if role is None:
                raise Refusal("not_entitled", ("signer", signer))
            roles.append(role)
        if choose_role(allowed, roles) is None:
            raise Refusal(
                "not_attested",
                ("signers", " ".join(context.signers)),
                ("needed", " ".join(allowed)),
            )
        for signer in context.signers:
            check_scope(context, signer, party.district, record.industries)
        check_merchants_room(context, roles)
        target = find_next(event, MERCHANT, record.state)
        if target is None:
            raise _not_allowed(event, MERCHANT, record.state)
        _check_days(data)
        context.record = replace(record, state=target)
        return applied(("state", target))

    return apply


def _check_consumer(context: Context, party: str, others: tuple[str, str]) -> None:
    """Refuse a party that cannot sign as the consumer beside merchant and custodian."""
    if party in others:
        raise Refusal("consumer_party_not_distinct", ("consumer_party", party))
    if party:
        consumer = _find_standing(context, party)
        if consumer is None or consumer.role != "consumer":
            raise Refusal("unknown_consumer_party", ("consumer_party", party))


def _find_standing(context: Context, party: str) -> PartyRecord | None:
    """Return a party that was registered before this block and is not revoked."""
    record = context.party(party)
    return None if record is None or record.is_revoked_at(context.height) else record


def _move(record: ContractRecord, event: str) -> ContractRecord:
    """Return the record in its states after an event; refuse one the table does not allow."""
    phase = find_next(event, CONTRACT, record.phase)
    if phase is None:
        raise _not_allowed(event, CONTRACT, record.phase)
    card = find_next(event, CARD, record.card)
    if card is None:
        raise _not_allowed(event, CARD, record.card)
    dispute = find_next(event, DISPUTE, record.dispute)
    if dispute is None:
        raise _not_allowed(event, DISPUTE, record.dispute)
    if phase == record.phase and card == record.card and dispute == record.dispute:
        return record
    return replace(record, phase=phase, card=card, dispute=dispute)


def _not_allowed(event: str, region: str, state: str) -> Refusal:
    return Refusal("transition_not_allowed", ("event", event), ("region", region), ("state", state))


def _check_days(data: Event) -> None:
    """Refuse a day that does not exist: the law could not read the contract's record any more."""
    for name in DAYS[type(data)]:
        day = getattr(data, name)
        if parse_day(day) is None:
            raise Refusal("no_such_day", ("member", name), ("day", day))


def _find_future(context: Context, data: Event) -> Effects:
    is_ahead = data.occurred_at > context.time_ms
    return [("finding", "occurred_in_the_future")] if is_ahead else []


def _is_backdated(context: Context, data: Event, role: str) -> bool:
    """Whether the merchant alone says that something happened on a day before its block, and longer
    ago than honest delay explains: what happens just before midnight is recorded just after."""
    is_dated_alone = role == "merchant" and bool(data.occurred_at)
    return (
        is_dated_alone
        and day_of(data.occurred_at) < day_of(context.time_ms)
        and data.occurred_at < context.time_ms - DELAY_MS_MAX
    )


# -- what single events do


def note(
    context: Context, record: ContractRecord, data: Event, role: str
) -> tuple[ContractRecord, Effects]:
    """The entry says all; nothing moves."""
    return record, [("role", role)]


def _lock(
    context: Context, record: ContractRecord, data: LockedData, role: str
) -> tuple[ContractRecord, Effects]:
    vouchers = bonus = 0
    for voucher in data.vouchers:
        if voucher.issuer == record.merchant:
            bonus += voucher.amount
        else:
            vouchers += voucher.amount
    paid = data.amount + vouchers
    if not paid + data.bonus + bonus:
        raise Refusal("nothing_paid", ("amount", data.amount))
    effects = count_device(context, record.merchant, data)
    if _is_backdated(context, data, role):
        effects.append(("finding", "payment_backdated"))
    issuers = _name_issuers(record, data)
    is_kept = data.custody != "none"
    if is_kept and role != "custodian":
        raise Refusal("custody_not_attested", ("role", role), ("custodian", record.custodian))
    state = read_merchant(context, record.merchant).state
    if state != TRADING:
        if is_kept:
            raise Refusal("intake_suspended", ("merchant", record.merchant), ("state", state))
        effects.append(("finding", "intake_after_risk"))
    deposited = paid if is_kept else 0
    after = replace(
        record,
        paid=record.paid + paid,
        vouchers=record.vouchers + vouchers,
        bonus=record.bonus + data.bonus + bonus,
        deposited=record.deposited + deposited,
        locked=record.locked + deposited,
        issuers=issuers,
    )
    return after, [("paid", after.paid), ("locked", after.locked), *effects]


def _name_issuers(record: ContractRecord, data: LockedData) -> list[IssuerShare]:
    """Return the issuers of a contract's vouchers, those of one more payment with them."""
    known = {share.issuer for share in record.issuers}
    named = dict.fromkeys(voucher.issuer for voucher in data.vouchers)
    more = [name for name in named if name not in known and name != record.merchant]
    count = len(known) + len(more)
    if count > ISSUERS_MAX:
        raise Refusal("too_many_issuers", ("issuers", count), ("allowed", ISSUERS_MAX))
    return [*record.issuers, *[IssuerShare(name, UNKNOWN, 0) for name in more]]


def _activate(
    context: Context, record: ContractRecord, data: Event, role: str
) -> tuple[ContractRecord, Effects]:
    """A first use; where the term of a pass runs from it, the day is money."""
    effects: Effects = [("role", role)]
    deal = _read_terms(context).deal
    is_counted = isinstance(deal, PeriodDeal) and deal.term.start is None
    if is_counted and _is_backdated(context, data, role):
        effects.append(("finding", "activation_backdated"))
    return record, effects


def _release(
    context: Context, record: ContractRecord, data: AmountData, role: str
) -> tuple[ContractRecord, Effects]:
    """Money follows delivery: at most the share of it that the terms do not hold back, by what the
    till debited; and after the end, what leaves enough for the refund that was computed."""
    check_movable(context, record, data.amount, _find_consumers_interest(context, record))
    after = replace(
        record, locked=record.locked - data.amount, released=record.released + data.amount
    )
    effects: Effects = [("locked", after.locked), ("released", after.released)]
    terms = _read_terms(context)
    if record.phase == ENDING and record.due_high >= 0:
        if after.locked < record.due_high - record.returned:
            effects.append(("finding", "released_what_is_owed"))
    elif isinstance(terms.deal, PeriodDeal):
        if not record.deliveries and not _is_pass_running(context, record, data, terms.deal):
            effects.append(("finding", "released_before_delivery"))
    elif not record.deliveries:
        effects.append(("finding", "released_before_delivery"))
    elif after.released > record.debited * (PPM - terms.release.frozen_ppm) // PPM:
        effects.append(("finding", "released_above_delivered"))
    return after, effects


def _is_pass_running(
    context: Context, record: ContractRecord, data: Event, deal: PeriodDeal
) -> bool:
    """Whether the time that the terms sell has begun: it needs no single delivery before money for
    it is released."""
    if deal.term.start is None:
        return record.card != ISSUED
    return deal.term.start <= day_of(min(data.occurred_at or context.time_ms, context.time_ms))


def _read_terms(context: Context) -> Terms:
    raw = read_document(context, read_static(context).terms)
    assert raw is not None, "a contract's terms are never removed"
    return parse_terms(raw)


def _find_consumers_interest(context: Context, record: ContractRecord) -> int:
    """Return what is locked of the account's interest and is the consumer's own."""
    left = record.interest - record.interest_paid
    return left if left and _read_terms(context).account_interest == CONSUMER else 0


def _credit(
    context: Context, record: ContractRecord, data: AmountData, role: str
) -> tuple[ContractRecord, Effects]:
    after = replace(
        record, locked=record.locked + data.amount, interest=record.interest + data.amount
    )
    return after, [("locked", after.locked), ("interest", after.interest)]


def _pay_interest(
    context: Context, record: ContractRecord, data: InterestPaidData, role: str
) -> tuple[ContractRecord, Effects]:
    """The account's interest goes to whoever owns the claim: it was never the merchant's, and is
    not taken off what the merchant owes (civil code 321(2), 547(1))."""
    owner = _read_terms(context).account_interest
    if owner != CONSUMER:
        raise Refusal("merchants_interest", ("owner", owner))
    left = record.interest - record.interest_paid
    if data.amount > left:
        raise Refusal("interest_above_credited", ("left", left), ("amount", data.amount))
    payee = _find_holder(context, record)
    if data.payee != payee:
        raise Refusal("wrong_payee", ("payee", data.payee), ("expected", payee))
    check_movable(context, record, data.amount)
    after = replace(
        record,
        locked=record.locked - data.amount,
        refunded=record.refunded + data.amount,
        interest_paid=record.interest_paid + data.amount,
    )
    return after, [
        ("payee", data.payee),
        ("locked", after.locked),
        ("refunded", after.refunded),
        ("interest_paid", after.interest_paid),
    ]


def _freeze(
    context: Context, record: ContractRecord, data: FrozenData, role: str
) -> tuple[ContractRecord, Effects]:
    if not data.legal_basis.strip(BLANK) or not data.document.strip(BLANK):
        raise Refusal("no_legal_basis", ("authority", data.authority), ("document", data.document))
    _check_approvers(context, record, role)
    if bool(data.amount) == bool(data.share_ppm):
        raise Refusal("amount_or_share", ("amount", data.amount), ("share_ppm", data.share_ppm))
    if data.until is not None and data.until <= max(context.time_ms, data.starts_at):
        raise Refusal("freeze_over", ("until", data.until), ("time_ms", context.time_ms))
    standing = [
        freeze
        for freeze in record.freezes
        if not freeze.until_ms or context.time_ms < freeze.until_ms
    ]
    if len(standing) >= FREEZES_MAX:
        raise Refusal("too_many_freezes", ("freezes", len(standing)), ("allowed", FREEZES_MAX))
    amount = data.amount or max(1, record.locked * data.share_ppm // PPM)
    freeze = Freeze(context.tx_id, amount, data.starts_at, data.until or 0, data.rank)
    after = replace(record, freezes=[*standing, freeze])
    return after, [
        ("frozen", amount),
        ("frozen_now", after.compute_frozen(context.time_ms)),
        ("locked", record.locked),
    ]


def _check_approvers(context: Context, record: ContractRecord, role: str) -> None:
    """Refuse one regulator alone, for whom money is neither stopped nor let go."""
    roles = find_roles(context, record, context.signers)
    approvers = sum(each in ("regulator", "district") for each in roles)
    if role == "regulator" and approvers < 2:
        raise Refusal("not_enough_approvers", ("approvers", approvers), ("needed", 2))


def _unfreeze(
    context: Context, record: ContractRecord, data: OfData, role: str
) -> tuple[ContractRecord, Effects]:
    """A freeze is lifted by an authority of the sort that ordered it, or by a court."""
    order = context.find(bytes.fromhex(data.of))
    assert order is not None, "the entry it speaks of was found before"
    roles = find_past_roles(context, record, order.signers)
    ordered = choose_role(find_attesters(order.kind), roles)
    if role not in ("court", ordered):
        raise Refusal("freeze_of_another", ("role", role), ("ordered_by", str(ordered)))
    _check_approvers(context, record, role)
    tx_id = bytes.fromhex(data.of)
    left = [freeze for freeze in record.freezes if freeze.tx_id != tx_id]
    if len(left) == len(record.freezes):
        raise Refusal("no_such_freeze", ("of", data.of))
    after = replace(record, freezes=left)
    return after, [("frozen_now", after.compute_frozen(context.time_ms)), ("locked", record.locked)]


def _deliver(
    context: Context, record: ContractRecord, data: DeliveredData, role: str
) -> tuple[ContractRecord, Effects]:
    effects = count_device(context, record.merchant, data)
    at = min(data.occurred_at or context.time_ms, context.time_ms)
    if record.card == LOST:
        effects.append(("finding", "debit_after_loss"))
    if record.phase == ENDING:
        effects.append(("finding", "delivered_after_the_end"))
    after = replace(
        record,
        debited=record.debited + data.debited,
        deliveries=record.deliveries + 1,
        last_delivery_ms=max(record.last_delivery_ms, at),
    )
    if after.debited > record.paid + record.bonus:
        effects.append(("finding", "delivered_beyond_payment"))
    return after, [("debited", after.debited), ("deliveries", after.deliveries), *effects]


def _answer(
    context: Context, record: ContractRecord, data: AnsweredData, role: str
) -> tuple[ContractRecord, Effects]:
    """Silence is told of the consumer by others, and is found each time: it says something only
    where law, agreement or usage lets it (civil code 140(2)), which nothing here can know."""
    side = {"reversed": "merchant", "objected": "consumer"}.get(data.answer)
    if side is not None and role not in (side, "both"):
        raise Refusal("not_the_side", ("answer", data.answer), ("role", role), ("expected", side))
    effects: Effects = [("role", role), ("answer", data.answer)]
    if data.answer == "silence":
        if role in ("consumer", "both"):
            raise Refusal(
                "not_the_side", ("answer", data.answer), ("role", role), ("expected", "merchant")
            )
        effects.append(("finding", "silence_stated"))
    return record, effects


def _change_price(
    context: Context, record: ContractRecord, data: PriceData, role: str
) -> tuple[ContractRecord, Effects]:
    effects: Effects = [("role", role)]
    if data.occurred_at and data.occurred_at <= record.last_delivery_ms:
        effects.append(("finding", "price_change_backdated"))
    return record, effects


def _forfeit(
    context: Context, record: ContractRecord, data: AmountData, role: str
) -> tuple[ContractRecord, Effects]:
    return record, [("amount", data.amount), ("finding", "balance_forfeited")]


def _arrive(
    context: Context, record: ContractRecord, data: OfData, role: str
) -> tuple[ContractRecord, Effects]:
    notice = context.find(bytes.fromhex(data.of))
    assert notice is not None, "the entry it speaks of was found before"
    roles = find_past_roles(context, record, notice.signers)
    if choose_role(find_attesters(notice.kind), roles) == role:
        raise Refusal("own_notice", ("of", data.of), ("role", role))
    if notice.kind == "assignment.notified":
        return _take_over(context, record, notice, role)
    return record, [("role", role)]


def _assign(
    context: Context, record: ContractRecord, data: AssignmentData, role: str
) -> tuple[ContractRecord, Effects]:
    """The consumer says who takes over; it takes effect when the notice arrives (art. 11(1)), at
    once where the ledger is the agreed system for notices. To whoever holds the claim already it
    passes nothing on: one assigns to a third person (civil code 545(1))."""
    _check_consumer(context, data.assignee_party, (record.merchant, record.custodian))
    _check_assignee(context, record, data.assignee)
    if _read_terms(context).notices != LEDGER:
        return record, [("role", role)]
    return _assign_to(record, context.tx_id, data.assignee, data.assignee_party, role)


def _find_holder(context: Context, record: ContractRecord) -> str:
    """Return who holds the consumer's claim: the party, or the last assignee (art. 11(1))."""
    return record.assigned[-1].assignee if record.assigned else read_static(context).party.hex()


def _check_assignee(context: Context, record: ContractRecord, assignee: str) -> None:
    if assignee == _find_holder(context, record):
        raise Refusal("assignee_holds_claim", ("assignee", assignee))


def _take_over(
    context: Context, record: ContractRecord, notice: Past, role: str
) -> tuple[ContractRecord, Effects]:
    """The notice of an assignment arrived: from now on the assignee is the consumer.

    One that arrives again changes nothing. One by somebody whose claim had passed on before has
    nothing to pass on: whose notice arrives first holds the claim (civil code 546(1)).
    """
    if any(known.tx_id == notice.tx_id for known in record.assigned):
        return record, [("role", role)]
    if record.consumer_party not in notice.signers:
        raise Refusal(
            "already_assigned",
            ("of", notice.tx_id.hex()),
            ("assignee", record.assigned[-1].assignee),
        )
    assignee = str(notice.data["assignee"])
    _check_assignee(context, record, assignee)
    party = str(notice.data.get("assignee_party", ""))
    return _assign_to(record, notice.tx_id, assignee, party, role)


def _assign_to(
    record: ContractRecord, tx_id: bytes, assignee: str, party: str, role: str
) -> tuple[ContractRecord, Effects]:
    if len(record.assigned) >= ASSIGNED_MAX:
        raise Refusal(
            "too_many_assignments",
            ("assignments", len(record.assigned)),
            ("allowed", ASSIGNED_MAX),
        )
    assigned = Assigned(tx_id, assignee, record.consumer_party)
    after = replace(record, consumer_party=party, payees=[], assigned=[*record.assigned, assigned])
    return after, [("role", role), ("assignee", assignee), ("consumer_party", party)]


def _repay(
    context: Context, record: ContractRecord, data: RefundPaidData, role: str
) -> tuple[ContractRecord, Effects]:
    if record.due_high < 0:
        raise Refusal("not_computed", ("stream", context.stream))
    is_custody = data.source == "custody"
    if _is_claim(record, data, role):
        return record, [("role", role), ("finding", "claimed_only")]
    if not record.payees:
        raise Refusal("payee_not_computed", ("assignee", record.assigned[-1].assignee))
    if data.payee not in record.payees:
        expected = " ".join(record.payees[:PAYEES_TOLD_MAX])
        raise Refusal("wrong_payee", ("payee", data.payee), ("expected", expected))
    returned = record.returned
    if returned + data.amount > record.due_high:
        raise Refusal(
            "refund_above_due",
            ("due", record.due_high),
            ("returned", returned),
            ("amount", data.amount),
        )
    issuers = _share_out(record, data)
    if is_custody:
        check_movable(context, record, data.amount, _find_consumers_interest(context, record))
        after = replace(
            record,
            locked=record.locked - data.amount,
            refunded=record.refunded + data.amount,
            issuers=issuers,
        )
    else:
        after = replace(record, repaid=record.repaid + data.amount, issuers=issuers)
    return after, [
        ("payee", data.payee),
        ("locked", after.locked),
        ("refunded", after.refunded),
        ("repaid", after.repaid),
        ("owed", after.owed),
    ]


def _is_claim(record: ContractRecord, data: RefundPaidData, role: str) -> bool:
    """Say whether neither who keeps the money nor who was paid says so, nor an authority."""
    if role == "custodian":
        return False
    is_issuers = any(
        share.issuer == data.payee and share.due != UNKNOWN for share in record.issuers
    )
    of_consumers_side = role in ("consumer", "both")
    return data.source == "custody" or role == "merchant" or (is_issuers and of_consumers_side)


def _share_out(record: ContractRecord, data: RefundPaidData) -> list[IssuerShare]:
    """Return the issuers' shares after a payment; refuse one above its payee's own share, so that
    no issuer is paid out of the consumer's and the consumer not out of an issuer's. What was paid
    to an issuer whose share is the consumer's by now counts as the consumer's."""
    apart = [place for place, share in enumerate(record.issuers) if share.due != UNKNOWN]
    place = next((each for each in apart if record.issuers[each].issuer == data.payee), None)
    if place is None:
        due = record.due_consumer
        returned = record.returned - sum(record.issuers[each].returned for each in apart)
    else:
        due, returned = record.issuers[place].due, record.issuers[place].returned
    if returned + data.amount > due:
        raise Refusal(
            "share_above_due",
            ("payee", data.payee),
            ("due", due),
            ("returned", returned),
            ("amount", data.amount),
        )
    issuers = list(record.issuers)
    if place is not None:
        issuers[place] = replace(issuers[place], returned=returned + data.amount)
    return issuers


def _close(
    context: Context, record: ContractRecord, data: Event, role: str
) -> tuple[ContractRecord, Effects]:
    if record.locked:
        raise Refusal("still_locked", ("locked", record.locked))
    after = replace(record, closed_ms=context.time_ms)
    return after, [("role", role), ("owed", record.owed)]


def _attach(
    context: Context, record: ContractRecord, data: EvidenceData, role: str
) -> tuple[ContractRecord, Effects]:
    return record, [("role", role), ("hash", data.hash)]


def _check_target(context: Context, event: str, of: str) -> None:
    """Refuse an event about an entry that is of another contract or of the wrong kind."""
    target = context.find(bytes.fromhex(of))
    if target is None or target.stream != context.stream or target.refused:
        raise Refusal("unknown_entry", ("of", of))
    if target.kind not in REFERS[event]:
        raise Refusal(
            "wrong_entry",
            ("of", of),
            ("kind", target.kind),
            ("expected", " ".join(REFERS[event])),
        )


DEEDS: Final[dict[str, Deed]] = {
    "funds.locked": _lock,
    "card.activated": _activate,
    "funds.released": _release,
    "interest.accrued": _credit,
    "interest.paid": _pay_interest,
    "assignment.notified": _assign,
    "funds.frozen": _freeze,
    "funds.unfrozen": _unfreeze,
    "service.delivered": _deliver,
    "delivery.answered": _answer,
    "notice.arrived": _arrive,
    "price.changed": _change_price,
    "balance.forfeited": _forfeit,
    "refund.paid": _repay,
    "contract.closed": _close,
    "evidence.attached": _attach,
}
"""Events that do more than stand in the record."""
