"""Help is in Chinese and in English, every text of it, and fits a terminal of 80 columns.

Read from the parsers themselves, built once in each language: a text that is given in one language
only is the same in both, and has no Chinese in the Chinese one.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

import bench.main
from cli import quickstart
from cli.arguments import ChineseParser, Parser
from cli.main import make_parser
from verifier.columns import measure
from verifier.help import HelpParser
from verifier.main import make_parser as make_verifier_parser

COLUMNS_MAX = 80
CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
QUOTED = re.compile(r"“[^”]*”|'[^'\s]*'|\"[^\"]*\"")
"""Chinese that an English text shows as such: a name, a word of a report."""


def walk(parser: HelpParser) -> Iterator[HelpParser]:
    """Yield a parser and all of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from walk(command)


def texts_of(parser: HelpParser) -> Iterator[tuple[str, str]]:
    """Yield (what it is, text) of everything that a parser shows in words; empty where it has none.

    A choice of commands needs no words of its own, each of them has some.
    """
    yield "description", parser.description or ""
    if parser.epilog:
        yield "epilog", parser.epilog
    for group in parser._action_groups:
        yield "title", group.title or ""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                yield choice.dest, choice.help or ""
        else:
            yield action.dest, action.help or ""


ENGLISH = [
    *walk(make_parser(Parser)),
    *walk(make_verifier_parser("python -m verifier", "en")),
    *walk(bench.main.make_parser(Parser)),
    *walk(quickstart.make_parser(Parser)),
]
BOTH = list(
    zip(
        ENGLISH,
        [
            *walk(make_parser(ChineseParser)),
            *walk(make_verifier_parser("python -m verifier", "zh")),
            *walk(bench.main.make_parser(ChineseParser)),
            *walk(quickstart.make_parser(ChineseParser)),
        ],
        strict=True,
    )
)
NAMES = [parser.prog for parser in ENGLISH]


def lacks(english: HelpParser, chinese: HelpParser) -> list[str]:
    """Return what is wrong with the words of a command."""
    found = []
    for (what, en), (_, zh) in zip(texts_of(english), texts_of(chinese), strict=True):
        if not en or CHINESE.search(QUOTED.sub("", en)):
            found.append(f"{what} has no English: {en!r}")
        if not CHINESE.search(zh):
            found.append(f"{what} has no Chinese: {zh!r}")
    return found


@pytest.mark.parametrize(("english", "chinese"), BOTH, ids=NAMES)
def test_every_text_of_help_is_in_both_languages(english: HelpParser, chinese: HelpParser) -> None:
    assert lacks(english, chinese) == []


@pytest.mark.parametrize(("english", "chinese"), BOTH, ids=NAMES)
def test_chinese_help_fits_a_terminal(
    english: HelpParser, chinese: HelpParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS_MAX))
    text = chinese.format_help()
    assert [line for line in text.splitlines() if measure(line) > COLUMNS_MAX] == []
    assert text.startswith(f"用法： {english.prog}")
    assert text.endswith(f"\nEnglish: EVIDENCE_LEDGER_LANG=en {english.prog} --help\n")
    assert not re.search(r"usage:|options:|arguments:|show this|[\u4e00-\u9fff]:$", text, re.M)


def examples(text: str) -> list[str]:
    """Return the commands that a help shows, each in one line."""
    whole = re.sub(r"\s*\\\n\s+", " ", text)
    return [" ".join(line.split()) for line in re.findall(r"^  (evidence-ledger .+)$", whole, re.M)]


@pytest.mark.parametrize(("english", "chinese"), BOTH, ids=NAMES)
def test_both_languages_show_the_same_examples(english: HelpParser, chinese: HelpParser) -> None:
    def said(parser: HelpParser) -> list[list[str]]:
        shown = examples(f"{parser.description}\n{parser.epilog or ''}")
        return [sorted(CHINESE_WORDS.sub("…", line).split()) for line in shown]

    assert said(english) == said(chinese)


CHINESE_WORDS = re.compile(r"--reason '[^']*'")
"""What a person would write in the language that is theirs."""


def test_the_commands_are_found() -> None:
    """There are many, so a walk that finds few is no walk."""
    assert len(ENGLISH) > 50
    assert sum(len(list(texts_of(parser))) for parser in ENGLISH) > 500


def test_help_in_one_language_is_noticed() -> None:
    def lacking(program: type[Parser]) -> Parser:
        parser = program(prog="x", description=program.say("to try", "试用"))
        parser.add_argument("--home", help="the node's directory")
        parser.add_argument("--name", help=program.say("名称", "名称"))
        parser.add_argument("--time")
        return parser

    assert lacks(lacking(Parser), lacking(ChineseParser)) == [
        'home has no Chinese: "the node\'s directory"',
        "name has no English: '名称'",
        "time has no English: ''",
        "time has no Chinese: ''",
    ]
