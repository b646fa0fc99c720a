"""A document in two languages says in both the same, line for line.

Every paragraph, table row and list item is one line, so line n of one is line n of the other: the
same mark before it, as many cells, the same names in backticks, the same figures, the same links
but for the language, and in fenced blocks the same bytes, help of a command excepted. What the
sentences say, people compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAIRS = (
    "README.md",
    "docs/API.md",
    "docs/CERTIFICATE.md",
    "docs/EVIDENCE.md",
    "docs/LAW.md",
    "docs/OPERATING.md",
    "docs/PRIVACY.md",
    "docs/PROOFS.md",
    "docs/REFUND-CASES.md",
    "examples/lives/README.md",
)
"""The English documents that have a Chinese one beside them, whole.

docs/DISPUTE.md is not here: its commands ask for a language, and tests/system runs both.
"""

OF_LAW = frozenset({"docs/LAW.md", "docs/REFUND-CASES.md", "examples/lives/README.md"})
"""Those whose figures are not compared: articles are words in Chinese, and tests work the sums."""

IN_SHORT = {
    "docs/EVIDENCE.md": frozenset(
        {"Evidence files", "The kinds of file", "A merchant's schedule", "The values, byte by byte"}
    )
}
"""The sections of which the Chinese document has the heading, and its own words for what is there.

A court needs no bytes, and sees in Chinese what the verifier prints: tests/verifier compares that.
"""

CHINESE = "\u4e00-\u9fff"
FENCE = re.compile(r" *```")
HELP = re.compile(
    r"^(```\w*\n\$ )(?:EVIDENCE_LEDGER_LANG=\w+ )?(evidence-ledger(?: \w+)* --help\n).*?^```$",
    re.M | re.S,
)
"""A block that shows a command's help, which each document has in its own language."""
MARK = re.compile(r"#+ |\|| *- | *\d+\. |<img | *")
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"')
ARTICLES = re.compile(r"\barts?\.? \d[\d, ()]*(?:(?:and|to) [\d(][\d, ()]*)*")
FIGURE = re.compile(r"\d[\d,.]*\d(?! 月)")
"""A number of two digits or more: a smaller one may be a word, as articles and months are."""


NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of a document has in both languages."""

    mark: str
    names: frozenset[str]
    figures: frozenset[str]
    targets: tuple[str, ...]


def to_chinese(path: Path) -> Path:
    """Return where a document stands in Chinese."""
    return path.with_name(path.name.removesuffix(".md") + ".zh-CN.md")


def mark_fenced(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it belongs to a fenced block, the fences included."""
    is_within = False
    for line in text.splitlines():
        is_fence = FENCE.match(line) is not None
        yield line, is_within or is_fence
        is_within ^= is_fence


def list_headings(path: Path) -> list[str]:
    """Return a document's headings, in order."""
    lines = mark_fenced(path.read_text("utf-8"))
    return [line.lstrip("# ") for line, is_fenced in lines if not is_fenced and line[:1] == "#"]


def list_anchors(path: Path) -> list[str]:
    """Return the fragments of a document's headings, in order."""
    return [
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in list_headings(path)
    ]


def list_lines(path: Path, in_short: Set[int]) -> list[tuple[str, bool]]:
    """Return a document's lines as `mark_fenced` does, of sections `in_short` the heading alone."""
    found, section = [], -1
    for line, is_fenced in mark_fenced(HELP.sub(r"\1\2```", path.read_text("utf-8"))):
        is_heading = not is_fenced and line[:1] == "#"
        section += is_heading
        if is_heading or section not in in_short:
            found.append((line, is_fenced))
    return found


def list_targets(line: str) -> list[str]:
    """Return what a line links to, as it stands there."""
    return [link or source for link, source in LINK.findall(line)]


def find_place(target: str, document: Path) -> str:
    """Return a link's target without its language: the path, and which heading of it is meant."""
    path, _, fragment = target.partition("#")
    if ":" in path or not fragment:
        return target.replace(".zh-CN.md", ".md")
    file = document.parent / path if path else document
    anchors = list_anchors(file)
    return f"{path.replace('.zh-CN.md', '.md')}#{anchors.index(fragment)}"


def find_name(span: str) -> str:
    """Return what stands in backticks, with a dot for each word in it that stands for another."""
    return re.sub(rf"\b[A-Z][A-Z_]*\b|[{CHINESE}]+", "…", span) if " " in span else span


def read_line(line: str, document: Path) -> Line:
    """Return what a line outside the fenced blocks has in both languages."""
    bare = ARTICLES.sub("", LINK.sub("", re.sub(r"`[^`]+`", "", line)))
    mark = MARK.match(line)
    return Line(
        "|" * bare.count("|") if bare[:1] == "|" else mark[0] if mark else "",
        frozenset(map(find_name, re.findall(r"`([^`]+)`", line))),
        frozenset(figure.replace(",", "") for figure in FIGURE.findall(bare)),
        tuple(sorted(find_place(target, document) for target in list_targets(line))),
    )


def list_differences(
    english: Path, *, has_figures: bool = True, in_short: Set[str] = NONE
) -> list[str]:
    """Return where a document and the Chinese one beside it differ in more than the language."""
    chinese = to_chinese(english)
    numbers = {n for n, heading in enumerate(list_headings(english)) if heading in in_short}
    lines, others = (list_lines(path, numbers) for path in (english, chinese))
    found = []
    for number, ((one, is_fenced), (other, is_other_fenced)) in enumerate(
        zip(lines, others, strict=False), 1
    ):
        if is_fenced or is_other_fenced or not one or not other:
            if one != other:
                found.append(f"line {number}: {one!r} and {other!r}")
            continue
        first, second = read_line(one, english), read_line(other, chinese)
        if not has_figures:
            first, second = replace(first, figures=NONE), replace(second, figures=NONE)
        if first != second:
            found.append(f"line {number}: {first} and {second}")
    if len(lines) != len(others):
        found.append(f"{len(lines)} lines and {len(others)}")
    return found


def list_english_links(english: Path) -> list[str]:
    """Return the links of a Chinese document to an English one, where the line has no other."""
    found = []
    for line in to_chinese(english).read_text("utf-8").splitlines():
        targets = list_targets(line)
        paths = [target.partition("#")[0] for target in targets]
        for target, path in zip(targets, paths, strict=True):
            if not path.endswith(".md") or path == english.name:
                continue
            chinese = to_chinese(Path(path))
            if chinese.as_posix() not in paths and (english.parent / chinese).is_file():
                found.append(target)
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_both_say_the_same(name: str) -> None:
    in_short = IN_SHORT.get(name, NONE)
    assert in_short <= set(list_headings(ROOT / name))
    assert list_differences(ROOT / name, has_figures=name not in OF_LAW, in_short=in_short) == []


@pytest.mark.parametrize("name", PAIRS)
def test_each_leads_to_the_other(name: str) -> None:
    english, chinese = ROOT / name, to_chinese(ROOT / name)
    for path, other in ((english, chinese), (chinese, english)):
        assert f"]({other.name})" in "".join(path.read_text("utf-8").splitlines()[:5])


@pytest.mark.parametrize("name", PAIRS)
def test_the_chinese_leads_to_the_chinese(name: str) -> None:
    assert list_english_links(ROOT / name) == []


ENGLISH_SAMPLE = """
# Notes

[中文](NOTES.zh-CN.md). A node answers at `/readyz` within 1,200 ms; see [below](#limits).

## Limits

| name | meaning |
|---|---|
| `pool_full` | try later, as `submit FILE` does |

1. Run it:

   ```sh
   ledger run  # stays
   ```
"""
CHINESE_SAMPLE = """
# 说明

[English](NOTES.md)。节点在 1,200 毫秒内应答 `/readyz`；见[下文](#限度)。

## 限度

| 名称 | 含义 |
|---|---|
| `pool_full` | 稍后再试，`submit 文件` 即如此 |

1. 运行：

   ```sh
   ledger run  # stays
   ```
"""


def write_samples(folder: Path, chinese: str = CHINESE_SAMPLE) -> Path:
    """Write both samples into a folder; return where the English one is."""
    english = folder / "NOTES.md"
    english.write_text(ENGLISH_SAMPLE, "utf-8")
    to_chinese(english).write_text(chinese, "utf-8")
    return english


def test_the_samples_say_the_same(tmp_path: Path) -> None:
    english = write_samples(tmp_path)
    assert list_differences(english) == []
    assert list_english_links(english) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## 限度", "### 限度"),
        ("| 名称 | 含义 |", "| 名称 | 含义 | 处理 |"),
        ("| `pool_full` | 稍后再试，`submit 文件` 即如此 |\n", ""),
        ("`pool_full`", "交易池已满"),
        ("`submit 文件`", "`send 文件`"),
        ("`/readyz`", "`/healthz`"),
        ("1,200", "1,500"),
        ("](#限度)", "](#说明)"),
        ("[下文](#限度)", "下文"),
        ("ledger run  # stays", "ledger run  # 持续运行"),
        ("1. 运行", "- 运行"),
        ("   ```sh", "   ```text"),
        ("\n## 限度", "\n另有一段。\n\n## 限度"),
    ],
)
def test_what_one_language_lacks_is_noticed(tmp_path: Path, old: str, new: str) -> None:
    assert old in CHINESE_SAMPLE
    assert list_differences(write_samples(tmp_path, CHINESE_SAMPLE.replace(old, new, 1)))


def test_of_a_section_in_short_the_heading_alone_is_compared(tmp_path: Path) -> None:
    shorter = CHINESE_SAMPLE.replace("| `pool_full` | 稍后再试，`submit 文件` 即如此 |\n", "")
    in_short = {"Limits"}
    assert list_differences(write_samples(tmp_path, shorter), in_short=in_short) == []
    for old, new in (("## 限度", "### 限度"), ("1,200", "1,500")):
        text = shorter.replace(old, new)
        assert list_differences(write_samples(tmp_path, text), in_short=in_short)


def test_articles_of_law_are_words_in_chinese() -> None:
    for english in ("art. 203", "arts 56, 57", "arts 16, 17 (1) to (4), 18", "arts 4 and 47"):
        assert FIGURE.findall(ARTICLES.sub("", f"as {english}: 60 lessons, 20:30")) == [
            "60",
            "20",
            "30",
        ]


@pytest.mark.parametrize(
    ("links", "wrong"),
    [
        ("[甲](OTHER.md#x)", ["OTHER.md#x"]),
        ("[甲](OTHER.zh-CN.md)", []),
        ("[甲](OTHER.md)（[中文](OTHER.zh-CN.md)）", []),
    ],
)
def test_a_link_out_of_the_chinese_is_noticed(tmp_path: Path, links: str, wrong: list[str]) -> None:
    for name in ("OTHER.md", "OTHER.zh-CN.md"):
        (tmp_path / name).write_text("", "utf-8")
    assert list_english_links(write_samples(tmp_path, CHINESE_SAMPLE + links)) == wrong
