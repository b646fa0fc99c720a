"""What msgspec finds wrong with a value's shape, in Chinese.

The library says it in English, in the few forms listed here. A sentence of another form stands as
it is, behind a word that says so: it may come with a newer version.
"""

from __future__ import annotations

import re
from typing import Final

_PLACE: Final = re.compile(
    r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<place>[^`]*)`)?", re.DOTALL
)

_FORMS: Final = tuple(
    [
        (re.compile(form, re.DOTALL), chinese)
        for form, chinese in (
            (r"Expected `(.+)`, got `(.+)`", "应为 {0}，而不是 {1}"),
            (r"Expected `(.+)` of length (>=|<=|==)? ?(\d+)", "{0} 的长度应{1} {2}"),
            (r"Expected `(.+)` of length (\d+), got (\d+)", "{0} 的长度应为 {1}，而不是 {2}"),
            (
                r"Expected `(.+)` of at (?:least|most) length (\d+), got (\d+)",
                "{0} 的长度为 {2}，而界限为 {1}",
            ),
            (r"Expected `(.+)` (>=|<=|>|<) (-?\d+)", "{0} 应{1} {2}"),
            (r"Expected `(.+)` matching regex (.+)", "{0} 应符合 {1}"),
            (r"Object missing required field `(.+)`", "缺少成员 {0}"),
            (r"Object contains unknown field `(.+)`", "有未知的成员 {0}"),
            (r"Invalid (?:enum )?value (.+)", "不允许的值 {0}"),
        )
    ]
)
_SIGNS: Final = {">=": "不小于", "<=": "不大于", ">": "大于", "<": "小于", "==": "为", None: "为"}


def describe_shape_zh(said: str) -> str:
    """Return a `msgspec.ValidationError`'s sentence in Chinese."""
    whole = _PLACE.fullmatch(said)
    what = whole["what"] if whole else said
    for form, chinese in _FORMS:
        found = form.fullmatch(what)
        if found is not None:
            words = chinese.format(*[_SIGNS.get(one, one) for one in found.groups()])
            if whole and whole["place"]:
                return f"{words}（位于 {whole['place']}{' 的键' if whole['key'] else ''}）"
            return words
    return f"不合格式。原文：{said}"
