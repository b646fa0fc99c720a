"""No refusal of the command line is in English alone.

Read from the source: whoever makes a refusal gives a Chinese sentence as its second argument, or
hands on one that was given elsewhere. The sentences themselves are tested where they are said.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.test_both_languages import CHINESE

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cli").glob("*.py"))

MAKERS = {"Failure", "Unreachable", "unusable", "unfit"}
"""What makes a refusal of an English and a Chinese sentence."""


def find_refusals(source: str) -> list[ast.Call]:
    """Return every call that makes a refusal."""
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS
    ]


def is_in_both(call: ast.Call) -> bool:
    """Say whether a refusal has a Chinese sentence, and its English one is none."""
    if any(isinstance(argument, ast.Starred) for argument in call.args) or len(call.args) < 2:
        return False
    english, chinese = call.args[:2]
    return not CHINESE.search(ast.unparse(english)) and is_chinese(chinese)


def is_chinese(sentence: ast.expr) -> bool:
    """Say whether an expression has Chinese words of its own, or is a refusal's `chinese`."""
    if isinstance(sentence, ast.Name | ast.Attribute):
        name = sentence.id if isinstance(sentence, ast.Name) else sentence.attr
        return name in {"chinese", "detail_zh", "zh"}
    return bool(CHINESE.search(ast.unparse(sentence))) or any(
        isinstance(part, ast.FormattedValue)
        and isinstance(part.value, ast.Attribute)
        and part.value.attr in {"chinese", "zh", "detail_zh"}
        for part in ast.walk(sentence)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_refusal_is_in_both_languages(path: Path) -> None:
    text = path.read_text("utf-8")
    lacking = [
        f"line {call.lineno}: {ast.unparse(call)}"
        for call in find_refusals(text)
        if not is_in_both(call)
    ]
    assert not lacking, lacking


def test_the_refusals_are_found() -> None:
    """There are many, so a reading that finds none is no reading."""
    assert sum(len(find_refusals(path.read_text("utf-8"))) for path in FILES) > 150


@pytest.mark.parametrize(
    "lacking",
    [
        'unusable("The file is gone.")',
        'unusable("The file is gone.", "The file is gone.")',
        'Failure("The file is gone.", f"{path}")',
        'Failure("文件不在。", "文件不在。")',
        "Failure(*sentences)",
        "Failure(str(error), str(error))",
        'unfit("no number", "no number")',
    ],
)
def test_a_refusal_in_one_language_is_noticed(lacking: str) -> None:
    [call] = find_refusals(f"def refuse():\n    raise {lacking}\n")
    assert not is_in_both(call)


def test_argparse_is_refused_through_one_door() -> None:
    """Its own error type has room for one sentence only, and its parser speaks English."""
    for path in FILES:
        text = path.read_text("utf-8")
        if path.name != "argument_refusals.py":
            assert "ArgumentTypeError" not in text, path
        assert "ArgumentParser" not in text, path
