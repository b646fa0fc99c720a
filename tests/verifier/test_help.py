"""In which language help comes, and how it is broken into lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.columns import CLOSING, OPENING, measure, pad, wrap
from verifier.help import HelpParser, choose_language


class InChinese(HelpParser):
    language = "zh"


@pytest.mark.parametrize(
    ("argv", "environ", "language"),
    [
        ("--help", {}, "en"),
        ("--help", {"LANG": "C"}, "en"),
        ("--help", {"LANG": "en_GB.UTF-8"}, "en"),
        ("--help", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("--help", {"LANG": "zh_CN.GB18030"}, "zh"),
        ("--help", {"LANG": "ZH_cn"}, "zh"),
        ("--help", {"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ("--help", {"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ("--help", {"LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ("--help", {"LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ("--help", {"LC_ALL": "C.UTF-8", "EVIDENCE_LEDGER_LANG": "zh"}, "zh"),
        ("--help", {"LC_ALL": "zh_CN.UTF-8", "EVIDENCE_LEDGER_LANG": "en"}, "en"),
        ("--help --lang zh", {"EVIDENCE_LEDGER_LANG": "en"}, "zh"),
        ("--lang=zh --help", {}, "zh"),
        ("--lang en --help", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("--lang both --help", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("--lang zhou --help", {}, "en"),
        ("x--lang zh --help", {}, "en"),
        ("--help --lang", {}, "en"),
    ],
)
def test_who_says_the_language(argv: str, environ: dict[str, str], language: str) -> None:
    assert choose_language(argv.split(), environ) == language


def make(program: type[HelpParser]) -> HelpParser:
    parser = program(prog="try", description=program.say("Try it.", "试一试。"))
    parser.add_argument("file", help=parser.say("what to read", "所读取的文件"))
    parser.add_argument(
        "--days",
        help=parser.say(
            "how long it counts, in days, from when it was issued (default: for ever)",
            "自签发之时起的有效天数，以日计算，期满自动失效，无须撤销（默认：直至撤销，不会失效）",
        ),
    )
    return parser


def test_help_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert make(HelpParser).format_help() == (
        "usage: try [-h] [--days DAYS] file\n"
        "\n"
        "Try it.\n"
        "\n"
        "positional arguments:\n"
        "  file         what to read\n"
        "\n"
        "options:\n"
        "  -h, --help   show this help message and exit\n"
        "  --days DAYS  how long it counts, in days, from when it\n"
        "               was issued (default: for ever)\n"
        "\n"
        "中文：EVIDENCE_LEDGER_LANG=zh try --help\n"
    )


def test_help_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert make(InChinese).format_help() == (
        "用法： try [-h] [--days DAYS] file\n"
        "\n"
        "试一试。\n"
        "\n"
        "位置参数：\n"
        "  file         所读取的文件\n"
        "\n"
        "选项：\n"
        "  -h, --help   显示本帮助并退出\n"
        "  --days DAYS  自签发之时起的有效天数，以日计算，期满自动\n"
        "               失效，无须撤销（默认：直至撤销，不会失效）\n"
        "\n"
        "English: EVIDENCE_LEDGER_LANG=en try --help\n"
    )


def test_a_refusal_shows_the_usage_in_its_language() -> None:
    assert make(HelpParser).format_usage() == "usage: try [-h] [--days DAYS] file\n"
    assert make(InChinese).format_usage() == "用法： try [-h] [--days DAYS] file\n"


def test_a_chinese_character_takes_two_columns() -> None:
    assert (measure("节点 node"), measure("（）")) == (9, 4)
    assert (pad("节点", 6), pad("节点", -6)) == ("节点  ", "  节点")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("一二三四五", ["一二三四", "五"]),
        ("一二三四，五", ["一二三", "四，五"]),
        ("一二三“四”", ["一二三", "“四”"]),
        ("以 --home 指明", ["以", "--home", "指明"]),
        ("longerthanaline 一", ["longerthanaline", "一"]),
    ],
)
def test_lines_end_where_they_may(text: str, lines: list[str]) -> None:
    assert list(wrap(text, 8)) == lines


@given(st.text(alphabet=f"ab1 /-一二三{OPENING}{CLOSING}"), st.integers(8, 40))
def test_nothing_is_lost_and_no_line_is_too_long(text: str, width: int) -> None:
    lines = list(wrap(text, width))
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert measure(line) <= width or " " not in line


@given(st.text(alphabet="一二三ab 。，）"), st.integers(8, 40))
def test_no_line_begins_with_punctuation(text: str, width: int) -> None:
    joined = "一" + text.replace(" ", "")
    for line in wrap(joined, width):
        assert line[0] not in CLOSING
