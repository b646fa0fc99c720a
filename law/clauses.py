"""Standard terms against art. 9 of 法释〔2025〕4号 (seven kinds of void clause) and civil code 496.

Three ways lead to a finding for a clause: what it is declared to do (`effects`), what the terms'
members say by themselves (a window below seven days, a balance that is forfeited), and words that
courts know (`Phrases`, data of a rule pack), which are looked for in every text of the terms and
whatever blanks stand between their signs. A finding says that a clause *may* be void; that it
is, only a court says. For a burdensome clause the proof of prompting must be with the signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from law.account import Account
from law.cooling_off import DAYS
from law.fields import BLANK
from law.finding import BREACH, NOTICE, Finding
from law.terms import (
    EFFECTS,
    FORFEITS,
    MERCHANT,
    NEITHER,
    PASS_ITEM,
    UNDISCOUNTED,
    Agreement,
    Clause,
    Deal,
    PeriodDeal,
    Terms,
    UnitsDeal,
    Words,
)

KINDS: Final[dict[str, Words]] = {
    "no_refund": Words(
        "excludes ending the contract or claiming the prepayment back",
        "排除消费者依法解除合同或者请求返还预付款的权利",
    ),
    "no_transfer": Words(
        "unreasonably restricts transfer of the consumer's claim",
        "不合理地限制消费者转让预付式消费合同债权",
    ),
    "no_reissue": Words("refuses to reissue a lost named card", "约定消费者遗失记名预付卡后不补办"),
    "unilateral_change": Words(
        "lets the merchant alone change price, kind, quality or quantity",
        "约定经营者有权单方变更价款、种类、质量、数量等实质性内容",
    ),
    "no_liability": Words(
        "excludes liability for defects or for the consumer's loss",
        "免除经营者瑕疵担保责任或者赔偿责任",
    ),
    "costly_dispute": Words(
        "settles disputes in a way that unreasonably adds to the consumer's cost",
        "约定的解决争议方法不合理增加消费者维权成本",
    ),
    "unfair_other": Words(
        "takes the consumer's rights, lessens the merchant's liability or adds to the consumer's",
        "其他排除或者限制消费者权利、减轻或者免除经营者责任、加重消费者责任的不公平情形",
    ),
}
"""Art. 9 (一) to (七), in order."""

ITEMS: Final = "一二三四五六七"

NOON: Final = 12 * 60
"""A business that ends before it has hardly a day (ours)."""

_CLOSED_UP: Final = dict.fromkeys(map(ord, BLANK + "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""Takes out of a text what stands between two signs and is not seen."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Words of one kind of void clause, as a rule pack lists them."""

    effect: str
    words: tuple[str, ...]
    rule: str


def article_of(effect: str) -> str:
    """Return `9(1)` to `9(7)`."""
    return f"9({EFFECTS.index(effect)})"


def check_clauses(terms: Terms, phrases: Sequence[Phrases] = ()) -> tuple[Finding, ...]:
    """Return a finding for each clause, and each member of the terms, that may be void."""
    found = []
    for clause in terms.clauses:
        declared = [effect for effect in clause.effects if effect != "none"]
        for effect in declared:
            found.append(_declared(clause, effect))
        for phrase in phrases:
            word = _find_word(phrase, clause.text, clause.prompt)
            if word and phrase.effect not in declared:
                place = f"Clause {clause.id} says “{word}”", f"条款 {clause.id} 含有“{word}”"
                found.append(_phrased(clause.id, place, phrase, word))
        if clause.burdensome and not (clause.prompt.zh and clause.prompt.en):
            found.append(
                Finding(
                    f"art9/{clause.id}",
                    "civil code 496; consumer law 26",
                    BREACH,
                    f"Clause {clause.id} is of great interest to the consumer, and the terms do "
                    "not say how it is pointed out.",
                    f"条款 {clause.id} 与消费者有重大利害关系，合同未写明以何种方式提示。",
                )
            )
    for name, text in _list_texts(terms):
        for phrase in phrases:
            if word := _find_word(phrase, text):
                place = f"The terms say “{word}” under {name}", f"合同 {name} 项含有“{word}”"
                found.append(_phrased(name, place, phrase, word))
    found += _check_members(terms)
    return tuple(found)


def _list_texts(terms: Terms) -> Iterator[tuple[str, Words]]:
    """Yield the terms' texts beside the clauses, by the member that holds each."""
    yield "title", terms.title
    for number, item in enumerate(terms.items):
        yield f"items[{number}]", item.name
    yield "refund", terms.refund_method
    yield "liability", terms.liability
    yield "disputes", terms.disputes_text
    yield "legal_basis", terms.custody_text


def _find_word(phrase: Phrases, *texts: Words) -> str:
    """Return the first of a kind's words that one of the texts says; none: empty."""
    said = [text.zh.translate(_CLOSED_UP) for text in texts]
    for word in phrase.words:
        if any(word.translate(_CLOSED_UP) in text for text in said):
            return word
    return ""


def check_prompting(terms: Terms, account: Account) -> tuple[Finding, ...]:
    """Return a finding for each burdensome clause whose prompting was not proven at signing: the
    consumer may claim that it is no part of the contract (civil code 496 paragraph 2)."""
    proven = {prompted.clause for prompted in account.signed.prompted}
    return tuple(
        Finding(
            f"art9/{clause.id}",
            "civil code 496(2)",
            BREACH,
            f"No proof was recorded that clause {clause.id} was pointed out and explained; the "
            "consumer may claim that it is no part of the contract.",
            f"未记录已提示并说明条款 {clause.id} 的证明；消费者可以主张该条款不成为合同的内容。",
            (),
            (account.signed_position,),
        )
        for clause in terms.clauses
        if clause.burdensome and clause.id not in proven
    )


def _declared(clause: Clause, effect: str) -> Finding:
    kind = KINDS[effect]
    item = ITEMS[EFFECTS.index(effect) - 1]
    return Finding(
        f"art9/{clause.id}",
        article_of(effect),
        BREACH,
        f"Clause {clause.id} may be void: it {kind.en}.",
        f"条款 {clause.id} 可能无效：{kind.zh}（第九条第{item}项）。",
        (("effect", effect),),
    )


def _phrased(name: str, place: tuple[str, str], phrase: Phrases, word: str) -> Finding:
    kind = KINDS[phrase.effect]
    item = ITEMS[EFFECTS.index(phrase.effect) - 1]
    return Finding(
        f"{phrase.rule}/{name}",
        article_of(phrase.effect),
        NOTICE,
        f"{place[0]}, words known from void clauses: it {kind.en}.",
        f"{place[1]}，此类用语常见于无效条款：{kind.zh}（第九条第{item}项）。",
        (("effect", phrase.effect), ("phrase", word)),
    )


def _member(effect: str, severity: str, member: str, en: str, zh: str) -> Finding:
    return Finding(f"art9/{member}", article_of(effect), severity, en, zh, (("effect", effect),))


def _check_members(terms: Terms) -> Iterator[Finding]:
    if terms.cooling_off.days < DAYS:
        yield _member(
            "no_refund",
            BREACH,
            "cooling_off",
            f"The terms give {terms.cooling_off.days} days to leave without a reason; art. 14 "
            f"gives {DAYS}, and the engine counts those.",
            f"合同约定的无理由退款期间为 {terms.cooling_off.days} 日，少于第十四条的 {DAYS} 日；"
            "推算仍按七日。",
        )
    closes = terms.closes_minute
    if closes is not None and closes < NOON:
        clock = f"{closes // 60:02d}:{closes % 60:02d}"
        yield _member(
            "no_refund",
            NOTICE,
            "closes",
            f"By the terms business ends at {clock}, and with it the last day to leave without a "
            "reason; whether it does must be weighed.",
            f"合同约定 {clock} 停止营业，无理由退款期间的最后一日亦止于此时；是否属实须予衡量。",
        )
    if terms.transfer == "forbidden":
        yield _member(
            "no_transfer",
            BREACH,
            "transfer",
            "The terms forbid any transfer of the consumer's claim.",
            "合同一律禁止转让债权。",
        )
    if terms.reissue == "none":
        yield _member(
            "no_reissue",
            BREACH,
            "reissue",
            "The terms refuse to reissue a lost card; a named one must be reissued (art. 24).",
            "合同约定遗失不补；尚有余额的记名卡应当补办（第二十四条）。",
        )
    if terms.price_changes == "unilateral":
        yield _member(
            "unilateral_change",
            BREACH,
            "price_changes",
            "The terms let the merchant change prices alone; that has no effect (art. 12).",
            "合同约定经营者可单方变更价格；该变更不影响推算（第十二条）。",
        )
    if terms.disputes != "statutory":
        yield _member(
            "costly_dispute",
            NOTICE,
            "disputes",
            "The terms choose how disputes are settled; whether that adds to the consumer's cost "
            "must be weighed.",
            "合同约定了解决争议的方法，是否不合理增加消费者维权成本须予衡量。",
        )
    if terms.expiry_after == FORFEITS:
        yield _member(
            "unfair_other",
            BREACH,
            "expiry",
            "The terms forfeit a balance on expiry; expiry never takes a balance (art. 24).",
            "合同约定过期余额作废；过期不没收余额（第二十四条）。",
        )
    if terms.interest.ppm == 0:
        yield _member(
            "unfair_other",
            NOTICE,
            "interest",
            "The terms exclude interest on what is returned.",
            "合同约定返还预付款不计利息。",
        )
    for number, agreement in enumerate(terms.agreements):
        if _is_worse(terms, agreement):
            yield _member(
                "unfair_other",
                BREACH,
                f"agreements[{number}]",
                f"Agreement {number} is less than the law gives; the engine lists it and does not "
                "apply it.",
                f"约定 {number} 低于法律规定；引擎列出而不适用。",
            )


def _is_worse(terms: Terms, agreement: Agreement) -> bool:
    """Whether an agreement can only be less than the articles give."""
    if agreement.what == "fee":
        return agreement.share > 0
    if agreement.what == "share":
        return agreement.share == 0
    if agreement.what == "prices":
        highest = _find_highest_prices(terms.deal)
        pairs = [(price, highest[item]) for item, price in agreement.prices if item in highest]
        return any(agreed > most for agreed, most in pairs) and all(
            agreed >= most for agreed, most in pairs
        )
    not_consumer = MERCHANT in agreement.when or NEITHER in agreement.when
    return agreement.basis == UNDISCOUNTED and not_consumer


def _find_highest_prices(deal: Deal) -> dict[str, Fraction]:
    """Return the price before discount of one of each item: the articles take none above it."""
    if isinstance(deal, PeriodDeal):
        return {PASS_ITEM: Fraction(deal.undiscounted or deal.price)}
    if isinstance(deal, UnitsDeal):
        return {
            line.item: Fraction(line.undiscounted or Fraction(line.amount, line.units))
            for line in deal.lines
        }
    return {row.item: Fraction(row.undiscounted or row.price) for row in deal.prices}
