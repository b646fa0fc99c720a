"""The questions that the law leaves open, and the answers that the facts still allow.

Each question stands here once, with the article and what would settle it. `find_questions` returns
those that the facts raise under one route and cause; the engine works every combination and then
drops the questions whose answers change no figure (`find_idle`). Adding a fact that settles a
question removes alternatives and never adds a figure that was not there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from law.account import BOTH, DATED, RECORDED, Account
from law.days import day_of
from law.derivation import ASSUMED
from law.ending import COOLING_OFF, INVALIDITY, TERMINATION, Ending, is_limited_in_capacity
from law.terms import (
    CONSUMER,
    DISCOUNTED,
    MERCHANT,
    NOT_DEDUCTED,
    PRO_RATA,
    UNDISCOUNTED,
    UNLIMITED,
    UNSAID,
    VOUCHER_FIRST,
    PeriodDeal,
    StoredDeal,
    Terms,
    UnitsDeal,
    Words,
)
from law.valuation import COUNTED, MARKET, NOT_COUNTED, Valuation, list_items

WHOLE: Final = "whole"
"""The whole record counts, though the end is assumed before its last day."""

ALWAYS_NAMED: Final = (ASSUMED, WHOLE)
"""Answers that are assumptions, though there is no other or none that gives another figure."""

ARTICLE_22: Final = "article_22"
ARTICLE_19: Final = "article_19"


@dataclass(frozen=True, slots=True)
class Question:
    """An open question: the article that leaves it open, and what each answer assumes."""

    article: str
    answers: Mapping[str, Words]


QUESTIONS: Final[dict[str, Question]] = {
    "ended_by": Question(
        "17(1); civil code 565(1), 565(2)",
        {
            "judgment": Words("the day the judgment names", "裁判确定之日"),
            "agreement": Words("the day of the agreement", "协议解除之日"),
            "notice": Words("the notice ended the contract when it arrived", "通知到达时解除"),
            "complaint": Words("the served complaint ended the contract", "起诉状副本送达时解除"),
            "assumed": Words("the contract ends on the as-of day", "假设合同于截止日终止"),
        },
    ),
    "disputed": Question(
        "25",
        {
            COUNTED: Words("the deliveries objected to happened", "有异议的提供确已发生"),
            NOT_COUNTED: Words("they did not happen", "有异议的提供并未发生"),
        },
    ),
    "after_end": Question(
        "15(1); civil code 566(1)",
        {
            COUNTED: Words(
                "what was delivered after the recorded end or finding counts as delivered",
                "已记录的终止或者确认之后的提供计为已提供",
            ),
            NOT_COUNTED: Words(
                "what was delivered after the recorded end or finding does not count",
                "已记录的终止或者确认之后的提供不计为已提供",
            ),
            WHOLE: Words(
                "what was paid and delivered after the as-of day counts all the same",
                "截止日之后的付款与提供一并计入",
            ),
        },
    ),
    "bonus_units": Question(
        "18(1)(2), 21",
        {
            "bonus": Words("the extra units lower the price of all", "赠送次数摊低单价"),
            "gift": Words("the extra units are gifts and are not netted", "赠送次数属于赠品"),
        },
    ),
    "topups": Question(
        "18(1)(2)",
        {
            "pooled": Words("one ratio over all top-ups", "各次充值合并计算比例"),
            "in_turn": Words("each top-up at its own ratio, oldest first", "逐笔依次按各自比例"),
        },
    ),
    "price": Question(
        "19(2)",
        {
            UNDISCOUNTED: Words("the price before discount is taken", "按打折前价格"),
            MARKET: Words("the court takes the market price", "法院按市场价格"),
        },
    ),
    "pass": Question(
        "19(1), 22(1)",
        {
            ARTICLE_22: Words("art. 22 applies whatever the cause", "适用第二十二条，不分原因"),
            ARTICLE_19: Words("art. 19 applies to a discounted pass", "折扣卡适用第十九条"),
        },
    ),
    "stopped": Question(
        "22(2), 25",
        {
            "happened": Words("the service stopped, as is claimed", "如所主张，服务已停止"),
            "not_happened": Words("it did not stop", "服务并未停止"),
        },
    ),
    "resumed": Question(
        "22(2), 25",
        {
            "happened": Words("the service came back, as is claimed", "如所主张，服务已恢复"),
            "not_happened": Words("it did not come back", "服务并未恢复"),
        },
    ),
    "interruption": Question(
        "22(2)",
        {
            "used": Words("days without service count as used", "中断期间计为已用"),
            "remaining": Words("days without service count as remaining", "中断期间计为剩余"),
        },
    ),
    "activation_day": Question(
        "15(1), 22(1)",
        {
            RECORDED: Words("first used when the ledger recorded it", "以上链之时为首次启用之日"),
            DATED: Words(
                "first used when the merchant alone says", "以经营者单方所称之日为首次启用之日"
            ),
        },
    ),
    "voucher": Question(
        "15(1), 18(1)(2)",
        {
            PRO_RATA: Words("voucher and own money were used in proportion", "按比例使用"),
            VOUCHER_FIRST: Words("the voucher was used first", "先用消费券"),
        },
    ),
    "deduction": Question(
        "10(3)",
        {
            "claimed": Words("the merchant asks for the deduction", "经营者主张抵扣"),
            "not_claimed": Words("the merchant does not ask", "经营者未主张抵扣"),
        },
    ),
    "minor_service": Question(
        "10(3)",
        {
            "lawful": Words("the service was lawfully provided", "服务系合法提供"),
            "unlawful": Words("it was unlawfully provided to a minor", "违法向未成年人提供"),
        },
    ),
    "formation_day": Question(
        "16(1), 17(2)",
        {
            RECORDED: Words("made when the ledger recorded it", "以上链之时为合同订立之时"),
            DATED: Words("made when the merchant alone says", "以经营者单方所称之时为合同订立之时"),
        },
    ),
    "request": Question(
        "14(1); civil code 137(2)",
        {
            "sent": Words("asking counts when it is sent", "以发出为准"),
            "arrived": Words("asking counts when it arrives", "以到达为准"),
        },
    ),
    "prior_use": Question(
        "14(1)(1), 14(1)(2)",
        {
            "not_proven": Words("the same had not been had before", "此前未获得过相同商品或服务"),
            "proven": Words("the same had been had before", "此前已获得过相同商品或服务"),
        },
    ),
    "payment_day": Question(
        "14(1)",
        {
            RECORDED: Words("paid when the ledger recorded it", "以上链之时为付款之日"),
            DATED: Words("paid when the merchant alone says", "以经营者单方所称之日为付款之日"),
        },
    ),
    "window": Question(
        "14(1)",
        {
            "each_payment": Words("seven days from each payment, for it", "逐笔付款各自起算"),
            "first_payment": Words("seven days from the first payment", "自首次付款起算"),
            "last_payment": Words("seven days from the last payment", "自末次付款起算"),
        },
    ),
    "use": Question(
        "14(1)",
        {
            NOT_DEDUCTED: Words("what was used is not deducted", "已用部分不扣减"),
            DISCOUNTED: Words("it is deducted at the discounted price", "按折扣价扣减"),
            UNDISCOUNTED: Words("it is deducted at the price before discount", "按打折前价格扣减"),
        },
    ),
}
"""Every question, in the order in which assumptions are named."""


def find_questions(
    terms: Terms,
    account: Account,
    valuation: Valuation,
    route: str,
    cause: str,
    endings: Sequence[Ending],
) -> dict[str, tuple[str, ...]]:
    """Return the answers that the facts still allow to each question; one if it is settled.
    `endings` are what may have ended the contract by this route."""
    allowed: dict[str, tuple[str, ...]] = {
        "disputed": (COUNTED,),
        "after_end": _find_after_end(terms, account, endings),
        "bonus_units": ("bonus",),
        "topups": ("pooled",),
        "price": (UNDISCOUNTED,),
        "pass": (ARTICLE_22,),
        "stopped": ("happened",),
        "resumed": ("happened",),
        "interruption": ("used",),
        "activation_day": (DATED,),
        "voucher": (PRO_RATA,),
        "deduction": ("claimed",),
        "minor_service": ("lawful",),
        "formation_day": (DATED,),
    }
    deal = terms.deal
    if any(delivery.objected for delivery in account.deliveries):
        allowed["disputed"] = (COUNTED, NOT_COUNTED)
    if isinstance(deal, UnitsDeal) and any(line.bonus for line in deal.lines):
        allowed["bonus_units"] = ("bonus", "gift")
    if isinstance(deal, StoredDeal) and len(account.payments) > 1:
        allowed["topups"] = ("pooled", "in_turn")
    if cause == CONSUMER and account.of("price.disputed") and list_items(terms) - valuation.shown:
        allowed["price"] = (UNDISCOUNTED, MARKET)
    if isinstance(deal, PeriodDeal):
        if deal.kind == UNLIMITED and (deal.undiscounted or 0) > deal.price:
            allowed["pass"] = (ARTICLE_22, ARTICLE_19)
        for name in ("stopped", "resumed"):
            if not all(fact.is_admitted for fact in account.of(f"service.{name}")):
                allowed[name] = ("happened", "not_happened")
        if account.of("service.resumed"):
            allowed["interruption"] = ("used", "remaining")
        begun = [account.find_activation(answer) for answer in (RECORDED, DATED)]
        if len({day_of(each[0]) for each in begun if each is not None}) > 1:
            allowed["activation_day"] = (RECORDED, DATED)
    if day_of(account.signed_latest) != day_of(account.signed_at) and route != COOLING_OFF:
        allowed["formation_day"] = (RECORDED, DATED)
    if account.issuers:
        said = terms.voucher
        allowed["voucher"] = (PRO_RATA, VOUCHER_FIRST) if said == UNSAID else (said,)
    if route == INVALIDITY and is_limited_in_capacity(account):
        allowed |= _find_capacity_questions(account)
    if route == COOLING_OFF:
        allowed |= _find_cooling_off_questions(terms, account)
    return allowed


def _find_after_end(terms: Terms, account: Account, endings: Sequence[Ending]) -> tuple[str, ...]:
    """Return whether what was delivered after the day of the end counts: the law does not say, for
    nothing had to be performed any more (civil code 566(1)) and something was. Of a contract that
    is assumed to end it was performance, and counts, but after an end on record that came later;
    so does what was paid later."""
    if not endings:
        return (COUNTED,)
    first = min([ending.day for ending in endings])
    is_valued = bool(account.deliveries) and not isinstance(terms.deal, PeriodDeal)
    last = account.deliveries[-1].day if is_valued else first
    if endings[0].how == ASSUMED:
        ended = endings[0].recorded
        if ended is not None and last > ended:
            return (WHOLE, NOT_COUNTED)
        is_later = last > first or any(day_of(payment.at) > first for payment in account.payments)
        return (WHOLE,) if is_later else (COUNTED,)
    return (COUNTED, NOT_COUNTED) if last > first else (COUNTED,)


def is_ratio_pass(terms: Terms, route: str) -> bool:
    """Whether art. 22 speaks of this contract: unlimited use, ended by termination."""
    return route == TERMINATION and terms.deal.kind == UNLIMITED


def find_prior_use(terms: Terms, account: Account) -> tuple[str, ...]:
    """Return whether the exception of art. 14(1) stands: found, admitted, or only claimed."""
    if terms.cooling_off.despite_prior:
        return ("not_proven",)
    finding = account.latest_finding("prior_use.stated")
    if finding is not None:
        return ("not_proven",) if finding.data.source == "none" else ("proven",)
    saying = {fact.role for fact in account.of("prior_use.stated") if fact.data.source != "none"}
    if CONSUMER in saying or BOTH in saying:
        return ("proven",)
    return ("not_proven", "proven") if MERCHANT in saying else ("not_proven",)


def find_payment_days(account: Account) -> tuple[str, ...]:
    """Return from when the days of art. 14 may run: from the block too, where the merchant alone
    dates a payment to an earlier day."""
    is_open = any(day_of(payment.at) != day_of(payment.latest) for payment in account.payments)
    return (RECORDED, DATED) if is_open else (DATED,)


def _find_cooling_off_questions(terms: Terms, account: Account) -> dict[str, tuple[str, ...]]:
    """Return the questions of art. 14; those that cannot matter have one answer from the start."""
    request = account.of("cooling_off.requested")[0]
    is_one_instant = account.find_arrival(request, terms) == request.at
    windows = ("each_payment", "first_payment", "last_payment")
    return {
        "request": ("sent",) if is_one_instant else ("sent", "arrived"),
        "prior_use": find_prior_use(terms, account),
        "payment_day": find_payment_days(account),
        "window": windows if len(account.payments) > 1 else windows[:1],
        "use": (NOT_DEDUCTED, DISCOUNTED, UNDISCOUNTED),
    }


def _find_capacity_questions(account: Account) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    if not account.of("deduction.claimed"):
        found["deduction"] = ("claimed", "not_claimed")
    finding = account.latest_finding("minor_service.stated")
    if finding is not None:
        found["minor_service"] = ("unlawful",) if finding.data.unlawful else ("lawful",)
    elif any(fact.data.unlawful for fact in account.of("minor_service.stated")):
        found["minor_service"] = ("lawful", "unlawful")
    return found


Answers = tuple[str, ...]
Figure = TypeVar("Figure")


def list_picks(allowed: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of answers."""
    return [dict(zip(allowed, answers, strict=True)) for answers in product(*allowed.values())]


def find_idle(
    allowed: Mapping[str, Sequence[str]], figures: Mapping[Answers, Figure]
) -> frozenset[str]:
    """Return the questions whose answers change no figure, all others being equal, but for answers
    that are always named."""
    idle = set()
    for place, (name, choices) in enumerate(allowed.items()):
        if choices[0] in ALWAYS_NAMED:
            continue
        if len(choices) == 1:
            idle.add(name)
            continue
        groups: dict[Answers, Figure] = {}
        for answers, figure in figures.items():
            rest = answers[:place] + answers[place + 1 :]
            if groups.setdefault(rest, figure) != figure:
                break
        else:
            idle.add(name)
    return frozenset(idle)
