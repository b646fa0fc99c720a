"""What the argument parser refuses, in Chinese: argparse has its sentences in English only.

A table of the patterns that argparse fills in; what is in none of them (another Python may word it
otherwise) is said to be wrong all the same, and the English line has the rest. A type of our own
refuses with both languages, by `unfit`.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

SENTENCES: Final = tuple(
    (re.compile(pattern, re.DOTALL), chinese)
    for pattern, chinese in (
        (r"the following arguments are required: (.+)", r"缺少必需的参数：\1"),
        (r"unrecognized arguments: (.+)", r"无法识别的参数：\1"),
        (r"one of the arguments (.+) is required", r"以下参数须给出其中一个：\1"),
        (
            r"argument (.+?): invalid choice: (.+?) \(choose from (.+)\)",
            r"参数 \1 不能取 \2；可取：\3",
        ),
        (r"argument (.+?): invalid \w+ value: (.+)", r"参数 \1 的值 \2 不符合要求"),
        (r"argument (.+?): expected (?:one|1) argument", r"参数 \1 须给出一个值"),
        (r"argument (.+?): expected .+", r"参数 \1 的值的个数不符"),
        (r"argument (.+?): not allowed with argument (.+)", r"参数 \1 与 \2 不能同时使用"),
        (r"argument (.+?): ignored explicit argument (.+)", r"参数 \1 不带值，却给出了 \2"),
    )
)
OTHERWISE: Final = "命令行参数有误，原因见上一行"


def unfit(english: str, chinese: str) -> ArgumentTypeError:
    """Return what a type of ours raises at a value that is not of it."""
    return ArgumentTypeError(f"{english}\n{chinese}")


def translate(message: str) -> tuple[str, str]:
    """Return what argparse says, in English and in Chinese, without a full stop."""
    english, _, chinese = message.partition("\n")
    if chinese:
        name = re.match(r"argument (.+?): ", english)
        return english, f"参数 {name[1]}：{chinese}" if name else chinese
    for pattern, template in SENTENCES:
        found = pattern.fullmatch(english)
        if found:
            return english, found.expand(template)
    return english, OTHERWISE
