"""What a reader must know and the engine does not decide: overcharges, gifts, grounds, freezes.

Each report has its article and the entries it stands on. None of it enters a figure; a gift is
never netted (art. 21), a ground is a finding and not an event (art. 13), a payment that only its
payer claims is not taken off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from law.account import Account, Payment
from law.days import Day, day_of
from law.derivation import Told
from law.ending import Ending, find_invalidity
from law.facts import Fact
from law.terms import StoredDeal, Terms, UnitsDeal
from law.valuation import list_items

GROUND_ARTICLES: Final[dict[str, str]] = {
    "premises_moved": "13(1)(1)",
    "obligation_transferred": "13(1)(2)",
    "unlimited_not_available": "13(1)(3)",
    "grave_change": "13(2)",
    "breach": "13(1)(4)",
    "agreed_ground": "13(1)(4)",
    "other": "13(1)(4)",
}
"""Where art. 13 names each ground of `law.facts.GroundStated`."""


CAUSE_ARTICLES: Final = "16(1), 18(1)(1), 18(1)(2), 19(1)"


def tell(
    terms: Terms,
    account: Account,
    as_of: Day,
    endings: Sequence[Ending],
    payees: Collection[str],
) -> tuple[Told, ...]:
    """Return what a reader must know and the engine does not decide; `endings` are what had ended
    the contract by the as-of day, `payees` who may be paid the consumer's share."""
    told = []
    overcharged = [delivery for delivery in account.deliveries if delivery.overcharge > 0]
    if isinstance(terms.deal, StoredDeal) and overcharged:
        told.append(
            Told(
                "overcharge",
                "12",
                sum(delivery.overcharge for delivery in overcharged),
                "debited above the contract's price without recorded consent",
                tuple(delivery.position for delivery in overcharged),
            )
        )
    gifts = account.of("gift.given")
    if gifts:
        told.append(
            Told(
                "gifts",
                "21",
                sum(gift.data.worth for gift in gifts),
                "never netted; the court may support the merchant's claim from 0 up to this value",
                tuple(gift.position for gift in gifts),
            )
        )
    sold = list_items(terms)
    has_card = isinstance(terms.deal, StoredDeal) and bool(sold)
    is_listed = has_card or isinstance(terms.deal, UnitsDeal)
    unknown = [d for d in account.deliveries if is_listed and d.item not in sold]
    if unknown:
        told.append(
            Told(
                "unpriced",
                "8, 15(1)",
                sum(delivery.face for delivery in unknown) if has_card else None,
                "delivered, but the terms have no price for it",
                tuple(delivery.position for delivery in unknown),
            )
        )
    for fact in account.of("ground.stated"):
        standing = "found" if fact.is_finding else "claimed"
        detail = f"{fact.data.ground}, {standing} by {fact.role}"
        told.append(
            Told("ground", GROUND_ARTICLES[fact.data.ground], None, detail, (fact.position,))
        )
    for fact in account.of("cause.stated"):
        standing = "found" if fact.is_finding else "claimed"
        detail = f"{fact.data.cause}, {standing} by {fact.role}"
        told.append(
            Told("cause", "16(1), 18(1)(1), 18(1)(2), 19(1)", None, detail, (fact.position,))
        )
    claimed = [fact for fact in account.of("refund.paid") if not account.is_repaid(fact, payees)]
    if claimed:
        told.append(
            Told(
                "refund_claimed",
                "",
                sum(fact.data.amount for fact in claimed),
                "said to be paid back, but by nobody who was paid, keeps the money or can find it",
                tuple(fact.position for fact in claimed),
            )
        )
    later = [
        fact.position
        for kind in ("cooling_off.requested", "invalidity.found")
        for fact in account.of(kind)
        if day_of(fact.at) > as_of
    ]
    if later:
        told.append(
            Told(
                "after_as_of",
                "",
                None,
                "came after the as-of day, and counts all the same",
                tuple(later),
            )
        )
    late = _find_paid_after(account, endings)
    if late:
        told.append(
            Told(
                "paid_after_end",
                "17(1)",
                sum(payment.paid for payment in late),
                "paid after the end, and counted as paid from the end on",
                tuple(payment.position for payment in late),
            )
        )
    credited = account.of("interest.accrued")
    if credited:
        paid = account.of("interest.paid")
        said = "as the terms say" if terms.account_interest_said else "the terms do not say"
        told.append(
            Told(
                "account_interest",
                "civil code 321(2)",
                sum(fact.data.amount for fact in credited) - sum(fact.data.amount for fact in paid),
                f"{terms.account_interest}, {said}",
                tuple(fact.position for fact in (*credited, *paid)),
            )
        )
    frozen = _find_frozen(account, as_of)
    if frozen:
        told.append(
            Told(
                "frozen",
                "",
                sum(fact.data.amount for fact in frozen),
                "in custody and frozen: paid only when it is lifted",
                tuple(fact.position for fact in frozen),
            )
        )
    return tuple(told)


def _find_paid_after(account: Account, endings: Sequence[Ending]) -> list[Payment]:
    """Return the payments after the day of the end, or of the finding of invalidity: interest runs
    from that day on all that is returned (art. 17), which of it they are the law does not say."""
    days = [ending.day for ending in endings]
    if account.of("invalidity.found"):
        days.append(find_invalidity(account)[1].day)
    if not days:
        return []
    return [payment for payment in account.payments if day_of(payment.at) > min(days)]


def _find_frozen(account: Account, as_of: Day) -> list[Fact]:
    """Return the freezes that stand: not lifted, and not lapsed by themselves."""
    lifted = {fact.data.of for fact in account.of("funds.unfrozen")}
    return [
        fact
        for fact in account.of("funds.frozen")
        if fact.position not in lifted
        and (fact.data.until is None or day_of(fact.data.until) >= as_of)
    ]
