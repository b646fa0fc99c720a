"""A derivation as a person reads it, in Chinese or English: every result with its working.

The text repeats what the derivation says and adds nothing: amounts in yuan, the assumption under
which each alternative holds, the article of each step, the entries it comes from. It ends with what
is told and not decided, and says that a court decides what is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from law.amounts import FEN, show_yuan
from law.articles import cite, order_article, split_articles
from law.days import show_day
from law.derivation import ASSUMED, SPEND_ORDER, Derivation, Figures, Result, Step
from law.ending import COOLING_OFF, INVALIDITY
from law.interest import ACCOUNT_PPM, PAID_BACK
from law.questions import QUESTIONS
from law.terms import Words
from law.terms_text import LANGUAGES, NAMES, name, pick

ROUTES: Final[dict[str, Words]] = {
    "cooling_off": Words(
        "without a reason within seven days (art. 14)", "七日无理由退款（第十四条）"
    ),
    "invalidity": Words(
        "invalid, revoked or without effect (arts 10, 15)",
        "无效、被撤销或不发生效力（第十、十五条）",
    ),
    "termination": Words("ended (arts 13, 15)", "合同解除（第十三、十五条）"),
}

STANDARDS: Final[dict[str, Words]] = {
    "agreed": Words("agreed rate", "约定利率"),
    "lpr_1y": Words("one-year LPR", "一年期 LPR"),
    "deposit_1y": Words("one-year deposit benchmark", "一年期存款基准利率"),
    "none": Words("none", "不计利息"),
}

OF_PAYEE: Final = "11(1)"
"""The article of an assignment, which leaves open whether it covers the refund."""

TOLD: Final[dict[str, Words]] = {
    "overcharge": Words("debited above the contract's price", "超过合同价格扣款"),
    "gifts": Words("gifts, never netted; from 0 to this value", "赠品，从不冲抵；0 至此数"),
    "unpriced": Words("delivered without a price in the terms", "合同中没有价格的提供"),
    "ground": Words("ground", "解除事由"),
    "cause": Words("cause", "原因"),
    "refund_claimed": Words(
        "refunds only claimed by others than who was paid", "并非由收款人证实的退款"
    ),
    "frozen": Words("frozen in custody", "托管资金被冻结"),
    "after_as_of": Words(
        "came after the as-of day, and counts all the same", "在截止日之后，仍予计入"
    ),
    "paid_after_end": Words(
        "paid after the end, and counted as paid from the end on",
        "终止之后的付款，计息时视同终止时已付",
    ),
    "account_interest": Words(
        "interest of the account, not yet paid to whose it is", "账户利息，尚未支付给所有人"
    ),
}

OWNERS: Final[dict[str, str]] = {
    "consumer, as the terms say": "依条款归消费者",
    "consumer, the terms do not say": "条款未约定，归消费者",
    "merchant, as the terms say": "依条款归经营者",
}
"""Whose the account's interest is (`law.told`), in Chinese."""

GROUNDS: Final[dict[str, str]] = {
    "premises_moved": "变更经营场所",
    "obligation_transferred": "义务转移",
    "unlimited_not_available": "不限次服务无法实现",
    "grave_change": "重大变化",
    "breach": "违约",
    "agreed_ground": "约定事由",
    "other": "其他",
}
"""Each ground of `law.facts.GroundStated` in Chinese."""

SPEAKERS: Final[dict[str, str]] = {
    "consumer": "消费者",
    "merchant": "经营者",
    "custodian": "托管机构",
    "issuer": "其他金融机构",
    "platform": "平台",
    "consumer_council": "消委会",
    "district": "区政府",
    "regulator": "监管部门",
    "arbitrator": "仲裁机构",
    "court": "法院",
    "both": "双方",
}
"""Each role of `law.facts.ROLES` in Chinese."""

LEGEND: Final = Words(
    "P paid, B bonus, F face value charged, U the same before discount, k units, a price of one, "
    "u before discount, m market, "
    "v value delivered, W paid within the days, R to return before rounding, I interest",
    "P 已付，B 赠送金额，F 计费面值，U 打折前面值，k 数量，a 单价，u 打折前单价，m 市场单价，"
    "v 已提供价款，W 期间内已付，R 取整前应退，I 利息",
)

FORMULAS: Final[dict[str, str]] = {
    "F = Σ min(debited, units × contract price)": "F = Σ min(实扣, 数量 × 合同单价)",
    "I = Σ owed × ppm/1000000 × days/basis": "I = Σ 未还本金 × 利率/1000000 × 日数/年日数",
    "I = Σ (in the account × account ppm + rest × ppm)/1000000 × days/basis": (
        "I = Σ (账户内部分 × 账户利率 + 其余未还本金 × 利率)/1000000 × 日数/年日数"
    ),
    "R = P": "R = P",
    "R = P × (whole − used)/whole": "R = P × (全部期限 − 已用)/全部期限",
    "R = P − v": "R = P − v",
    "R = min(W, max(0, P − v))": "R = min(W, max(0, P − v))",
    "R = the better agreement": "R = 更有利的约定",
    "W = paid within the days": "W = 期间内的付款",
    "consumer = principal − issuers": "消费者份额 = 本金 − 发券方份额",
    "day of payment + days, past rest days": "付款日 + 日数，逢休息日顺延",
    "issuers = max(0, vouchers − (P − principal))": "发券方份额 = max(0, 消费券合计 − (P − 本金))",
    "issuers = ⌊principal × vouchers/P⌋": "发券方份额 = ⌊本金 × 消费券合计/P⌋",
    "market price not stated": "尚无市场价格",
    "nothing was paid before the request": "提出请求前没有付款",
    "principal = max(0, min(P, best of law and agreements))": (
        "本金 = max(0, min(P, 条文与约定中较高者))"
    ),
    "the account's rate is not published": "账户利率未公布",
    "the rate is not published": "利率未公布",
    "the request has not arrived": "请求尚未到达",
    "the same goods or service had been had before": "此前已获得过相同商品或服务",
    "used = part of the term before the end": "已用 = 终止前的期限",
    "v = F × P/(P + B)": "v = F × P/(P + B)",
    "v = max(0, F − B)": "v = max(0, F − B)",
    "v = min(F, P) + max(0, F − P − B)": "v = min(F, P) + max(0, F − P − B)",
    "v = price × used/whole": "v = 价款 × 已用/全部期限",
    "v = Σ k × price": "v = Σ k × 单价",
    "v = Σ over top-ups, oldest first: F × P/(P + B)": "v = Σ 逐笔（先充先用）F × P/(P + B)",
    "v = Σ k × price + Σ U + Σ F": "v = Σ k × 单价 + Σ U + Σ F",
    "whole = the full term": "全部期限",
}
"""Every formula a step can have, in Chinese; in English it stands as it is."""

LABELS: Final[dict[str, str]] = {
    "account ppm from": "起的账户利率（百万分之）",
    "agreed price": "约定价款",
    "agreement": "约定",
    "asked": "请求日",
    "basis": "年日数",
    "consumer": "消费者份额",
    "counted from": "起算",
    "counted in": "计量",
    "days": "日数",
    "exact": "精确值",
    "first day": "首日",
    "from": "起算日",
    "in the account": "账户内部分",
    "interrupted": "中断",
    "issuers": "发券方份额",
    "item": "项目",
    "last": "末日",
    "last day": "末日",
    "market price": "市场价款",
    "paid back by the merchant on": "经营者已退",
    "paid back from custody on": "托管已退",
    "paid on": "付款日",
    "ppm": "利率（百万分之）",
    "price": "价款",
    "price before discount": "打折前价款",
    "principal": "本金",
    "prior use": "此前使用",
    "rest days": "休息日",
    "start": "起始日",
    "stopped": "停业日",
    "to": "截止日",
    "until": "计至",
    "use": "已用部分",
    "used": "已用",
    "vouchers": "消费券合计",
    "whole": "全部期限",
    "without a rate on": "无利率之日",
}
"""Every name a value can have, in Chinese, but for single letters."""

_COUNTED: Final = {
    "counted": Words("counted", "计入"),
    "not counted": Words("not counted", "不计"),
}
_COUNTED_AS: Final = {
    "used": Words("counts as used", "计为已用"),
    "remaining": Words("counts as remaining", "计为剩余"),
}

VALUES: Final[dict[str, dict[str, Words]]] = {
    "basis": {"actual": Words("actual", "当年实际日数")},
    "counted from": {
        "each_payment": Words("each payment", "各笔付款"),
        "first_payment": Words("the first payment", "首次付款"),
        "last_payment": Words("the last payment", "末次付款"),
    },
    "counted in": {"day": Words("days", "日"), "month": Words("months", "月")},
    "first day": _COUNTED,
    "interrupted": _COUNTED_AS,
    "last": _COUNTED_AS,
    "last day": _COUNTED,
    "prior use": {"proven": Words("proven", "成立")},
    "rest days": {"none published": Words("none published", "未公布")},
    "start": {"not begun": Words("not begun", "尚未开始")},
    "use": {word: NAMES[word] for word in ("not_deducted", "discounted", "undiscounted")},
}
"""Values that are words, by their names."""

DATED: Final = (ACCOUNT_PPM, *PAID_BACK.values())
"""Names that a day follows."""

UNKNOWN: Final = Words("unknown", "未知")

AGREED: Final[dict[str, Words]] = {
    "value_at": Words("what was delivered is valued as agreed", "已提供部分按约定计价"),
    "prices": Words("agreed prices", "约定单价"),
    "share": Words("a share of what was paid", "退还已付款的约定份额"),
}
"""What an agreement of the terms is about."""

ORDER: Final = Words("order of spending", "扣用顺序")
"""The order in which bonus and principal are spent: an agreement without a number."""

COVERS: Final[dict[str, str]] = {
    "the assignment covers the refund": "债权转让及于退款",
    "the assignment does not cover the refund": "债权转让不及于退款",
}
"""What a payee stands on (`law.payees`), in Chinese."""

AMOUNTS: Final = frozenset(
    (
        *"vRWFPBaumIU", "agreed price", "agreement", "consumer", "exact", "in the account",
        "issuers", "market price", "price", "price before discount", "principal", "vouchers",
        *PAID_BACK.values(),
    )
)  # fmt: skip
"""Names of values in fen."""


def list_articles(derivation: Derivation) -> list[str]:
    """Return the articles that its steps, its open questions and what it tells name, in order."""
    named = {step.article for result in derivation.results for step in result.steps}
    named |= {QUESTIONS[name].article for r in derivation.results for name, _ in r.assumptions}
    named |= {told.article for told in derivation.told}
    return sorted({one for words in named for one in split_articles(words)}, key=order_article)


def render_derivation(derivation: Derivation, lang: str) -> str:
    """Return the derivation as text; `lang` is `zh` or `en`."""
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r}; zh or en")
    return "\n".join(_render(derivation, lang)) + "\n"


def _render(derivation: Derivation, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    day, paid = show_day(derivation.as_of), show_yuan(derivation.paid)
    if zh:
        yield f"退款推算，截至 {day}；已付 {paid} 元；合同文书 {derivation.terms_hash}"
    else:
        yield f"Refund as of {day}; paid {paid} yuan; terms {derivation.terms_hash}"
    payees = []
    for payee in derivation.payees:
        through = "" if not payee.through else f"（由 {payee.through} 代理）"
        if not zh:
            through = "" if not payee.through else f" through {payee.through}"
        assumption = ""
        if payee.assumption:
            why = COVERS[payee.assumption] if zh else payee.assumption
            assumption = f" [{why}{'，' if zh else ', '}{cite(OF_PAYEE, lang)}]"
        payees.append(f"{payee.payee}{through}{assumption}")
    yield ("收款人：" if zh else "Payee: ") + (" | ".join(payees))
    custody, merchant = derivation.returned
    if custody or merchant:
        parts = show_yuan(custody), show_yuan(merchant)
        yield (
            "至该日已退：托管 {}，经营者 {}"
            if zh
            else "Paid back by that day: from custody {}, by the merchant {}"
        ).format(*parts)
    yield pick(LEGEND, lang)
    for number, result in enumerate(derivation.results, 1):
        yield ""
        yield from _render_result(number, result, lang)
    if derivation.told:
        yield ""
        yield "报告而不裁断：" if zh else "Told, not decided:"
    for told in derivation.told:
        amount = "" if told.fen is None else f" {show_yuan(told.fen)}"
        words = TOLD.get(told.what)
        label = told.what if words is None else pick(words, lang)
        article = f" ({cite(told.article, lang)})" if told.article else ""
        entries = _show_entries(told.positions, lang)
        detail = ""
        if told.what in ("ground", "cause"):
            detail = _show_statement(told.detail, lang)
        elif told.what == "account_interest":
            detail = f"：{OWNERS[told.detail]}" if zh else f": {told.detail}"
        yield f"  {label}{amount}{article}{detail}{entries}"
    yield ""
    yield (
        "条文未定之处并列各种结果及其假设，由法院或仲裁机构决定。"
        if zh
        else "Where the law leaves a choice, the results stand side by side; a court or tribunal "
        "decides."
    )


def _render_result(number: int, result: Result, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    route = pick(ROUTES[result.route], lang)
    yield f"{number}. {route} · {name(result.cause, lang)}"
    for question, answer in result.assumptions:
        known = QUESTIONS[question]
        article = cite(known.article, lang)
        assumption = pick(known.answers[answer], lang)
        head = "假设" if zh else "Assuming"
        yield f"   {head} {question}={answer}: {assumption} ({article})"
    ended = show_day(result.ended)
    if ("ended_by", ASSUMED) in result.assumptions:
        ended = f"{ended}?"
    if result.route == COOLING_OFF:  # asked too late, it ends nothing
        yield ("   请求日 " if zh else "   Asked ") + ended
    elif result.route == INVALIDITY:
        yield ("   确认之日 " if zh else "   Found ") + ended
    else:
        yield ("   终止日 " if zh else "   Ended ") + ended
    for step in result.steps:
        yield "     " + _render_step(step, lang)
    yield from _render_figures(result, result.figures, lang)


def _render_step(step: Step, lang: str) -> str:
    inputs = []
    for given in step.inputs:
        entries = _show_entries(given.positions, lang)
        shown = f"{_show_label(given.name, lang)} {_show_value(given.name, given.value, lang)}"
        inputs.append(shown.rstrip() + entries)
    value = _show_value(step.name, step.value, lang)
    if step.rounding is not None:
        value += f" ({name(step.rounding.mode, lang)})"
    formula = FORMULAS[step.formula] if lang == "zh" else step.formula
    working = f"[{cite(step.article, lang)}] {formula} : {_show_label(step.name, lang)} = {value}"
    return f"{working}  ← {', '.join(inputs)}" if inputs else working


def _show_statement(detail: str, lang: str) -> str:
    """Write what `law.told` says of a ground or cause: what, found or claimed, by whom."""
    if lang != "zh":
        return f": {detail}"
    what, _, how = detail.partition(", ")
    standing, _, role = how.partition(" by ")
    shown = GROUNDS.get(what) or name(what, lang)
    return f"：{shown}（{SPEAKERS[role]}{'认定' if standing == 'found' else '主张'}）"


def split_label(label: str) -> tuple[str, str]:
    """Split `k lesson` and the like into the name and what it is of, or the day."""
    if label in LABELS:
        return label, ""
    for dated in DATED:
        if label.startswith(dated):
            return dated, label[len(dated) + 1 :]
    head, _, rest = label.partition(" ")
    return head, rest


def _show_label(label: str, lang: str) -> str:
    head, rest = split_label(label)
    if label == f"agreement {SPEND_ORDER}":
        return pick(ORDER, lang)
    if lang == "zh":
        shown = LABELS.get(head, head)
        return f"{rest} {shown}" if head in DATED else f"{shown} {rest}".rstrip()
    return label


def _show_value(label: str, value: str, lang: str) -> str:
    """Write fen as yuan where a value is an amount, a fraction by its nearest fen; and words."""
    if value == UNKNOWN.en:
        return pick(UNKNOWN, lang)
    words = VALUES.get(label, {}).get(value)
    if words is not None:
        return pick(words, lang)
    if split_label(label)[0] not in AMOUNTS:
        return value
    amount = Fraction(value)
    return show_yuan(FEN.round(amount)) + ("" if amount.denominator == 1 else "…")


def _show_entries(positions: tuple[int, ...], lang: str) -> str:
    if not positions:
        return ""
    listed = ", ".join(str(position) for position in positions[:8])
    more = "…" if len(positions) > 8 else ""
    return f"（第 {listed}{more} 条）" if lang == "zh" else f" (entries {listed}{more})"


def _render_figures(result: Result, figures: Figures, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    if figures.principal is None:
        yield "   本金：未知" if zh else "   Principal: not known"
        return
    yield ("   本金：" if zh else "   Principal: ") + show_yuan(figures.principal)
    for payment in result.payments:
        source = {"custody": ("托管", "custody"), "merchant": ("经营者", "the merchant")}
        payee = {"consumer": ("消费者", "consumer")}.get(payment.payee, (payment.payee,) * 2)
        which = 0 if zh else 1
        amount = show_yuan(payment.fen)
        yield (
            f"     {source[payment.source][which]} → {payee[which]}：{amount}"
            if zh
            else f"     {source[payment.source][which]} → {payee[which]}: {amount}"
        )
    for interest in figures.interest:
        standard, _, account = interest.standard.partition("+")
        label = pick(STANDARDS[standard], lang)
        if account:
            label += "，监管账户部分按实际利率" if zh else ", the account's rate for its part"
        if interest.fen is None or interest.outstanding is None:
            amount = "未知" if zh else "not known"
        else:
            owed = show_yuan(interest.outstanding)
            amount = f"{show_yuan(interest.fen)}，" if zh else f"{show_yuan(interest.fen)}, "
            amount += f"尚欠 {owed}" if zh else f"still owed {owed}"
        yield (f"   利息（{label}）：" if zh else f"   Interest ({label}): ") + amount
    if figures.beyond:
        amount = show_yuan(figures.beyond)
        yield (
            f"   超出预付款的提供：{amount}（报告，不裁断）"
            if zh
            else f"   Delivered beyond the prepayment: {amount} (told, not decided)"
        )
    for agreement in result.considered:
        value = "?" if agreement.fen is None else show_yuan(agreement.fen)
        if agreement.prevails:
            verdict = "更有利，从约定" if zh else "more favourable, prevails"
        else:
            verdict = "并非更有利，不适用" if zh else "not more favourable"
        if agreement.number == SPEND_ORDER:
            title, about = pick(ORDER, lang), name(agreement.what, lang)
        else:
            title, about = str(agreement.number), pick(AGREED[agreement.what], lang)
        yield (
            f"   约定 {title}（{about}）：{value}（{verdict}）"
            if zh
            else f"   Agreement {title} ({about}): {value} ({verdict})"
        )
    for number, fen in result.fees:
        yield (
            f"   约定 {number} 的手续费 {show_yuan(fen)}：不扣减，另行主张"
            if zh
            else f"   Fee of agreement {number}, {show_yuan(fen)}: not deducted, a claim of its own"
        )
