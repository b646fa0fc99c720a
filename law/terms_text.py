"""A contract's terms as a person reads them, in Chinese or English.

Every member of the document appears, in the order in which a consumer asks: what is sold, how money
moves, how one leaves, what happens to the rest, the clauses. The text is made from the data and has
no force of its own; the document and its hash have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from law.amounts import show_percent, show_yuan
from law.clauses import ITEMS
from law.days import show_day
from law.terms import (
    CONSUMER,
    EFFECTS,
    UNSAID,
    Agreement,
    PeriodDeal,
    StoredDeal,
    Terms,
    UnitsDeal,
    Words,
)

LANGUAGES: Final = ("zh", "en")

NAMES: Final[dict[str, Words]] = {
    "training": Words("education and training", "教育培训"),
    "catering": Words("catering", "餐饮"),
    "housekeeping": Words("housekeeping", "家政"),
    "fitness": Words("fitness and leisure", "健身娱乐"),
    "vocational": Words("vocational training", "职业技能培训"),
    "culture_sports": Words("culture and sports", "文化体育"),
    "pets": Words("pet services", "宠物服务"),
    "hair_beauty": Words("hair and beauty", "理发及美容服务"),
    "driving": Words("driving lessons", "驾驶培训"),
    "car_wash": Words("car cleaning", "车身清洁"),
    "counted_units": Words("counted units", "计次"),
    "milestone": Words("by milestone", "分阶段"),
    "stored_value": Words("stored value", "储值"),
    "stored_value_bonus": Words("stored value with a bonus", "储值并赠送金额"),
    "period_pass": Words("a service by the period", "按期服务"),
    "unlimited": Words("unlimited use for a period", "期限内不限次"),
    "merchant": Words("the merchant's cause", "因经营者原因"),
    "neither": Words("neither's cause", "双方均无原因"),
    "consumer": Words("the consumer's cause", "因消费者原因"),
    "any": Words("whatever the cause", "不论原因"),
    "unit": Words("each delivery", "每次提供"),
    "week": Words("each week", "每周"),
    "month": Words("each month", "每月"),
    "day": Words("each day", "每日"),
    "unsaid": Words("not agreed", "未约定"),
    "proportional": Words("in proportion", "按比例"),
    "bonus_first": Words("the bonus first", "先用赠送金额"),
    "principal_first": Words("the principal first", "先用本金"),
    "interest_first": Words("interest first", "先抵利息"),
    "pro_rata": Words("in proportion", "按比例"),
    "voucher_first": Words("the voucher first", "先用消费券"),
    "discounted": Words("the discounted price", "折扣价"),
    "undiscounted": Words("the price before discount", "打折前价格"),
    "not_deducted": Words("not deducted", "不扣减"),
    "ended": Words("the end of the contract", "合同终止时"),
    "request": Words("the request", "提出请求时"),
    "first_payment": Words("the first payment", "首次付款时"),
    "formation": Words("the making of the contract", "合同成立时"),
    "half_up": Words("half up", "四舍五入"),
    "half_even": Words("half to even", "四舍六入五成双"),
    "up": Words("up", "进位"),
    "down": Words("down", "舍去"),
    "used": Words("used", "已用"),
    "remaining": Words("remaining", "剩余"),
    "free": Words("free", "免费办理"),
    "at_cost": Words("at cost", "收取工本费"),
    "none": Words("none", "不办理"),
    "consent": Words("with the merchant's consent", "须经营者同意"),
    "forbidden": Words("forbidden", "禁止"),
    "reactivates": Words("is activated again with its balance", "激活后余额继续使用"),
    "extends": Words("is extended with its balance", "延期后余额继续使用"),
    "forfeits": Words("loses its balance", "余额作废"),
    "with_consent": Words("only with the consumer's consent", "须经消费者同意"),
    "unilateral": Words("by the merchant alone", "经营者可单方变更"),
    "statutory": Words("as the law says", "依法处理"),
    "merchant_court": Words("the court of the merchant's place", "经营者所在地法院"),
    "arbitration": Words("arbitration", "仲裁"),
    "ledger": Words("when the ledger records them", "自账本记录时到达"),
    "other": Words("when they reach the merchant", "自到达经营者时"),
    "zero": Words("nothing", "无"),
}
"""What the words of a document mean to a reader."""


def name(word: str, lang: str) -> str:
    """Return what a word means; the word itself where there is nothing to add."""
    words = NAMES.get(word)
    return word if words is None else pick(words, lang)


def pick(words: Words, lang: str) -> str:
    """Return a text in one of the two languages."""
    return words.zh if lang == "zh" else words.en


def render_terms(terms: Terms, lang: str) -> str:
    """Return the terms as text; `lang` is `zh` or `en`."""
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r}; zh or en")
    return "\n".join(_render(terms, lang)) + "\n"


def _render(terms: Terms, lang: str) -> Iterator[str]:
    zh = lang == "zh"

    def say(chinese: str, english: str) -> str:
        return chinese if zh else english

    yield pick(terms.title, lang)
    yield say(
        f"模板 {terms.template} 第 {terms.template_version} 版 · {name(terms.industry, lang)} · "
        f"SHA-256 {terms.hash}",
        f"Template {terms.template} version {terms.template_version} · "
        f"{name(terms.industry, lang)} · SHA-256 {terms.hash}",
    )
    yield ""
    yield say("一、所售内容：", "1. What is sold: ") + name(terms.deal.kind, lang)
    yield from _render_deal(terms, lang)
    yield ""
    yield say("二、资金", "2. Money")
    yield say(
        f"  释放：{name(terms.release.every, lang)}；冻结比例 "
        f"{show_percent(terms.release.frozen_ppm)}%",
        f"  Released with {name(terms.release.every, lang)}; "
        f"{show_percent(terms.release.frozen_ppm)} % stays frozen",
    )
    custody = pick(terms.custody_text, lang)
    yield say(
        f"  托管的法律性质（{terms.custody_basis}）：{custody}",
        f"  Legal nature of custody ({terms.custody_basis}): {custody}",
    )
    if terms.account_interest_said:
        zh_owner = "消费者" if terms.account_interest == CONSUMER else "经营者"
        yield say(
            f"  托管账户的利息归{zh_owner}所有",
            f"  Interest of the account in custody is the {terms.account_interest}'s",
        )
    order, voucher = name(terms.spend_order, lang), name(terms.voucher, lang)
    yield say(
        f"  赠送金额与本金的扣用顺序：{order}；消费券：{voucher}",
        f"  Bonus and principal are spent: {order}; vouchers: {voucher}",
    )
    yield say("  价格变更：", "  Prices are changed: ") + name(terms.price_changes, lang)
    yield ""
    yield say("三、退款", "3. Leaving and refund")
    yield from _render_refund(terms, lang)
    yield ""
    yield say("四、卡与合同", "4. Card and contract")
    months = terms.expiry_months
    yield say(
        "  有效期：" + ("不设" if months is None else f"{months} 个月，到期")
        + ("" if months is None else name(terms.expiry_after, lang)),
        "  Validity: " + ("unlimited" if months is None else f"{months} months, then the card ")
        + ("" if months is None else name(terms.expiry_after, lang)),
    )  # fmt: skip
    yield say(
        f"  转让：{name(terms.transfer, lang)}；遗失补办：{name(terms.reissue, lang)}；"
        f"通知：{name(terms.notices, lang)}",
        f"  Transfer: {name(terms.transfer, lang)}; lost cards: {name(terms.reissue, lang)}; "
        f"notices arrive {name(terms.notices, lang)}",
    )
    if terms.closes_minute is not None:
        clock = f"{terms.closes_minute // 60:02d}:{terms.closes_minute % 60:02d}"
        yield say(f"  停止营业时间：{clock}", f"  Business ends at {clock}")
    yield say("  违约责任：", "  Liability: ") + pick(terms.liability, lang)
    disputes = pick(terms.disputes_text, lang)
    yield say(
        f"  争议解决（{name(terms.disputes, lang)}）：{disputes}",
        f"  Disputes ({name(terms.disputes, lang)}): {disputes}",
    )
    yield from _render_clauses(terms, lang)


def _render_deal(terms: Terms, lang: str) -> Iterator[str]:
    zh, deal = lang == "zh", terms.deal

    def before(price: int | None) -> str:
        if price is None:
            return ""
        shown = show_yuan(price)
        return f"（打折前单价 {shown} 元）" if zh else f" ({shown} each before discount)"

    if isinstance(deal, UnitsDeal):
        for line in deal.lines:
            item, amount = pick(terms.item_name(line.item), lang), show_yuan(line.amount)
            more = before(line.undiscounted)
            if zh:
                bonus = f"，另送 {line.bonus}" if line.bonus else ""
                yield f"  {line.units} × {item}{bonus}：{amount} 元{more}"
            else:
                bonus = f", and {line.bonus} more" if line.bonus else ""
                yield f"  {line.units} × {item}{bonus}: {amount} yuan{more}"
        total = show_yuan(sum(line.amount for line in deal.lines))
        yield f"  合计 {total} 元" if zh else f"  In all {total} yuan"
    elif isinstance(deal, StoredDeal):
        for tier in deal.tiers:
            pay, bonus = show_yuan(tier.pay), show_yuan(tier.bonus)
            yield f"  充 {pay} 元送 {bonus} 元" if zh else f"  Pay {pay} yuan, get {bonus} more"
        for row in deal.prices:
            item, price = pick(terms.item_name(row.item), lang), show_yuan(row.price)
            more = before(row.undiscounted)
            yield f"  {item}：{price} 元{more}" if zh else f"  {item}: {price} yuan{more}"
    else:
        yield from _render_period(deal, lang)


def _render_period(deal: PeriodDeal, lang: str) -> Iterator[str]:
    zh, term = lang == "zh", deal.term
    unit = {"day": ("天", "days"), "month": ("个月", "months")}
    length = f"{term.length} {unit[term.unit][0 if zh else 1]}"
    if term.start is None:
        start = "首次启用之日" if zh else "the day of first use"
    else:
        start = show_day(term.start)
    yield (
        f"  自{start}起 {length}：{show_yuan(deal.price)} 元"
        if zh
        else f"  {length} from {start}: {show_yuan(deal.price)} yuan"
    )
    if deal.undiscounted is not None:
        price = show_yuan(deal.undiscounted)
        yield f"  打折前 {price} 元" if zh else f"  {price} yuan before discount"
    counted = unit[term.counted_in][0 if zh else 1]
    last = name(term.last, lang)
    yield (
        f"  以{counted}计，终止当{'日' if term.counted_in == 'day' else '月'}计为{last}"
        if zh
        else f"  Counted in {counted}; the one in which the contract ends counts as {last}"
    )


def _render_refund(terms: Terms, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    away = terms.cooling_off
    if zh:
        prior = "，不论此前是否用过" if away.despite_prior else ""
        use = "" if away.use == UNSAID else f"；期间内已用部分：{name(away.use, lang)}"
        yield f"  付款之日起 {away.days} 日内无理由退款{prior}{use}"
    else:
        prior = ", whether or not the same had been had before" if away.despite_prior else ""
        use = "" if away.use == UNSAID else f"; use in the meantime: {name(away.use, lang)}"
        yield f"  Without a reason within {away.days} days of payment{prior}{use}"
    for number, agreement in enumerate(terms.agreements):
        yield "  " + _render_agreement(terms, number, agreement, lang)
    how = terms.interest
    first, last = ("计" if zh else "counts"), ("不计" if zh else "does not")
    days = (first if how.first_day else last, first if how.last_day else last)
    if zh:
        rate = "依法" if how.ppm is None else f"年利率 {show_percent(how.ppm)}%"
        yield (
            f"  利息：{rate}，自{name(how.start, lang)}起，首日{days[0]}、末日{days[1]}，"
            f"一年按{'实际' if how.basis == 'actual' else how.basis}日；"
            f"付款{name(terms.debts, lang)}"
        )
    else:
        rate = "as the law says" if how.ppm is None else f"{show_percent(how.ppm)} % a year"
        yield (
            f"  Interest: {rate}, from {name(how.start, lang)}; the first day {days[0]}, the last "
            f"{days[1]}; a year has {how.basis} days; payments go to {name(terms.debts, lang)}"
        )
    unit = show_yuan(terms.rounding.unit)
    mode = name(terms.rounding.mode, lang)
    yield f"  取整：{mode}到 {unit} 元" if zh else f"  Rounded {mode}, to {unit} yuan"
    yield (
        f"  {terms.refund_within_days} 日内退还：{terms.refund_method.zh}"
        if zh
        else f"  Paid back within {terms.refund_within_days} days: {terms.refund_method.en}"
    )


def _render_agreement(terms: Terms, number: int, agreement: Agreement, lang: str) -> str:
    zh = lang == "zh"
    when = ("、" if zh else ", ").join(name(cause, lang) for cause in agreement.when)
    if agreement.what == "value_at":
        what = (
            f"已提供部分按{name(agreement.basis, lang)}计算"
            if zh
            else f"deliveries count at {name(agreement.basis, lang)}"
        )
    elif agreement.what == "prices":
        rows = ", ".join(
            f"{pick(terms.item_name(item), lang)} {show_yuan(price)}"
            for item, price in agreement.prices
        )
        what = f"已提供部分按约定单价：{rows}" if zh else f"deliveries count at {rows}"
    elif agreement.what == "share":
        what = f"退还已付款的 {agreement.share}" if zh else f"{agreement.share} of what was paid"
    else:
        what = (
            f"退款收取 {agreement.share} 手续费（不予扣减，另行主张）"
            if zh
            else f"a fee of {agreement.share} of the refund (not deducted, a claim of its own)"
        )
    return f"约定 {number}（{when}）：{what}" if zh else f"Agreement {number} ({when}): {what}"


def _render_clauses(terms: Terms, lang: str) -> Iterator[str]:
    if not terms.clauses:
        return
    zh = lang == "zh"
    yield ""
    yield "五、条款" if zh else "5. Clauses"
    for clause in terms.clauses:
        marks = []
        if clause.burdensome:
            how = pick(clause.prompt, lang) or ("未写明" if zh else "not said how")
            marks.append(f"重大利害关系，提示方式：{how}" if zh else f"pointed out: {how}")
        for effect in clause.effects:
            if effect != "none":
                item = EFFECTS.index(effect)
                marks.append(f"第九条第{ITEMS[item - 1]}项" if zh else f"art. 9({item})")
        note = f" [{'; '.join(marks)}]" if marks else ""
        yield f"  {clause.id}. {pick(clause.text, lang)}{note}"
