"""Help in Chinese or in English: every text is given as both, and one function says which is shown.

A program asks `choose_language` once and makes the parser of that language; its commands are
parsers of the same class. What a parser shows it takes from `say`, so no text is in one language
alone. The last line tells, in the other language, how to get the other one.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from verifier.columns import wrap

Language = Literal["en", "zh"]
Pair = tuple[str, str]
"""English, Chinese."""

LANGUAGE_VARIABLE: Final = "EVIDENCE_LEDGER_LANG"
LOCALE_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""In the order in which they count (POSIX.1-2017, 8.2)."""

USAGE: Final = ("usage: ", "用法： ")
"""argparse's own word and ours; of the same width, because argparse aligns what follows it."""
HEADING: Final = re.compile(r"^(\S.*[\u4e00-\u9fff]):$", re.MULTILINE)
"""A title of ours with argparse's colon after it."""


def choose_language(argv: Sequence[str], environ: Mapping[str, str]) -> Language:
    """Return the language of help: `--lang zh|en`, else the variable, the locale, or English."""
    asked = re.search(r"(?<!\S)--lang[ =](zh|en)(?!\S)", " ".join(argv))
    variables = (LANGUAGE_VARIABLE, *LOCALE_VARIABLES)
    first = next((environ[name] for name in variables if environ.get(name)), "")
    return "zh" if (asked[1] if asked else first).lower().startswith("zh") else "en"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps descriptions as they are written, and breaks lines where Chinese may be broken."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return list(wrap(" ".join(text.split()), width))


class HelpParser(argparse.ArgumentParser):
    """A parser that shows its help in one language; English, unless a class says otherwise."""

    language: ClassVar[Language] = "en"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Formatter, allow_abbrev=False, add_help=False)
        self._positionals.title = self.say("positional arguments", "位置参数")
        self._optionals.title = self.say("options", "选项")
        self.add_argument(
            "-h",
            "--help",
            action="help",
            help=self.say("show this help message and exit", "显示本帮助并退出"),
        )

    @classmethod
    def say(cls, english: str, chinese: str) -> str:
        """Return the text in the language of this parser."""
        return chinese if cls.language == "zh" else english

    def format_usage(self) -> str:
        """Return how the command is written."""
        return self._translate(super().format_usage())

    def format_help(self) -> str:
        """Return the help, and how to get it in the other language."""
        other = self.say(
            f"中文：{LANGUAGE_VARIABLE}=zh {self.prog} --help",
            f"English: {LANGUAGE_VARIABLE}=en {self.prog} --help",
        )
        return f"{self._translate(super().format_help())}\n{other}\n"

    def _translate(self, text: str) -> str:
        return HEADING.sub(r"\1：", text.replace(USAGE[0], self.say(*USAGE), 1))
