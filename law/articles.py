"""The articles a derivation may name: one row each, cited in both languages.

An article is written `18(1)(2)`: article, paragraph (款), item (项); one of a single paragraph has
its number alone. Without a name it is of 法释〔2025〕4号; `civil code` stands before one of the
民法典. What a step, a question or a report names is made of rows of `ARTICLES` and of nothing
coarser, and docs/LAW.md shows every row: tests hold the three against each other.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from law.terms import Words

ARTICLES: Final[dict[str, Words]] = {
    "8": Words("unclear terms are read for the consumer", "约定不明，作有利于消费者的解释"),
    "10(1)": Words("no capacity: payment back", "无民事行为能力，返还预付款"),
    "10(2)": Words("limited capacity: payment back", "限制民事行为能力，返还预付款"),
    "10(3)": Words("less what was delivered, if the merchant asks", "经营者主张的抵扣"),
    "11(1)": Words("assignment from the arrival of its notice", "债权转让自通知到达时生效"),
    "12": Words("no higher price without consent", "未经同意不得提价"),
    "13(1)(1)": Words("ground: a move", "事由：变更经营场所"),
    "13(1)(2)": Words("ground: obligations passed on", "事由：义务转移"),
    "13(1)(3)": Words("ground: unlimited use not available", "事由：不限次服务不能正常提供"),
    "13(1)(4)": Words("ground: by law or agreement", "事由：法定或者约定"),
    "13(2)": Words("ground: grave change", "事由：基础条件重大变化"),
    "14(1)": Words("the principal back within seven days", "七日内返还本金"),
    "14(1)(1)": Words("not if had from this merchant before", "此前已从该经营者处获得"),
    "14(1)(2)": Words("not if had from another merchant before", "此前已从其他经营者处获得"),
    "14(2)": Words("a better agreement on leaving prevails", "无理由退款从更有利约定"),
    "15(1)": Words("what was paid less what was delivered", "预付款扣减已兑付价款"),
    "16(1)": Words("interest: agreed, or by cause", "利息：约定或者按原因"),
    "16(2)": Words("the supervised account's actual rate", "监管账户实际利率"),
    "17(1)": Words("interest from the end or the finding", "自解除或者被确认时起计息"),
    "17(2)": Words("a better agreed start prevails", "起算时间从更有利约定"),
    "18(1)(1)": Words("discounted price", "按折扣价"),
    "18(1)(2)": Words("ratio of paid and bonus", "按优惠比例"),
    "18(2)": Words("a better agreement on value prevails", "折价从更有利约定"),
    "19(1)": Words("the consumer's cause: price before discount", "因消费者原因，按打折前价格"),
    "19(2)": Words("market price, if unreasonable and unproven", "可按市场价格"),
    "19(3)": Words("a better agreement on value prevails", "折价从更有利约定"),
    "20": Words("no claim for the excess", "超出部分不予支持"),
    "21": Words("gifts are weighed by the court", "赠品由法院综合认定"),
    "22(1)": Words("unlimited use: remaining of the whole term", "不限次：按剩余期限比例"),
    "22(2)": Words("from the stop, if it stopped before", "自停止提供时起计剩余期限"),
    "25": Words("records withheld without good reason", "无正当理由拒不提交证据"),
    "civil code 137(2)": Words("a declaration takes effect on arrival", "意思表示到达时生效"),
    "civil code 201(1)": Words("the first day is not counted", "开始的当日不计入"),
    "civil code 203(1)": Words("a last day of rest moves on", "最后一日为休息日顺延"),
    "civil code 203(2)": Words("until 24:00, or close of business", "至二十四时或者停止业务"),
    "civil code 321(2)": Words("interest belongs as agreed, or by usage", "法定孳息的归属"),
    "civil code 561": Words("interest before principal", "先充抵利息"),
    "civil code 565(1)": Words("ended by notice, when it arrives", "通知到达时解除"),
    "civil code 565(2)": Words("ended by complaint, when served", "起诉状副本送达时解除"),
    "civil code 566(1)": Words("after the end nothing is performed any more", "解除后终止履行"),
}
"""Each article, and in a few words what it is named for."""

LAWS: Final[dict[str, Words]] = {
    "": Words("art.", ""),
    "civil code": Words("civil code art.", "民法典"),
}

_ARTICLE: Final = re.compile(r"(?P<law>\D*?) ?(?P<number>[0-9]+)(?P<parts>(\([0-9]+\))*)")
_DIGITS: Final = "零一二三四五六七八九"


@cache
def split_articles(words: str) -> tuple[str, ...]:
    """Return the articles of a step one by one: `14(1); civil code 201(1), 203(1)` has three.

    What the steps name is ours and not many, so that each is split once.
    """
    found = []
    for part in words.split("; ") if words else []:
        first, *others = part.split(", ")
        match = _ARTICLE.fullmatch(first)
        assert match is not None, "an article has a number"
        law = f"{match['law']} " if match["law"] else ""
        found += [first, *(f"{law}{other}" for other in others)]
    return tuple(found)


@cache
def order_article(article: str) -> tuple[str, tuple[int, ...]]:
    """Return a key that puts articles in the order of their law."""
    match = _ARTICLE.fullmatch(article)
    assert match is not None, "an article has a number"
    return match["law"], tuple([int(number) for number in re.findall(r"[0-9]+", article)])


def cite(words: str, lang: str) -> str:
    """Return the articles of a step as a lawyer cites them: 第十八条第一款第二项."""
    said = []
    before = None
    for article in split_articles(words):
        match = _ARTICLE.fullmatch(article)
        assert match is not None, "an article has a number"
        law = LAWS[match["law"]]
        if lang == "zh":
            parts = [int(part) for part in re.findall(r"[0-9]+", match["parts"])]
            text = f"第{_count(int(match['number']))}条"
            for part, unit in zip(parts, ("款", "项"), strict=False):
                text += f"第{_count(part)}{unit}"
            said.append((law.zh if match["law"] != before else "") + text)
        else:
            name = f"{law.en} " if match["law"] != before else ""
            said.append(f"{name}{match['number']}{match['parts']}")
        before = match["law"]
    return ("、" if lang == "zh" else ", ").join(said)


def _count(number: int) -> str:
    """Write a number below 1,000 in Chinese."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += "十" if tens == 1 and not hundreds else f"{_DIGITS[tens]}十"
    elif hundreds and ones:
        text += "零"
    return text + (_DIGITS[ones] if ones or not number else "")
