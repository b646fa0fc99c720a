"""docs/DISPUTE.md and its Chinese twin are run, command by command, and every figure compared.

The commands of a `sh` block are run in their order on the network that the lives are played on;
the `text` block behind it must be what they print, line by line, `…` standing for what differs from
run to run (hashes, heights, times). What is piped and what is no command of ours goes to bash. Ours
run in this process: the same code as the installed command, without a start for each.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from tests.system.networks import Network

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("industries")]

ROOT = Path(__file__).parents[2]
PAGES = {"en": ROOT / "docs/DISPUTE.md", "zh": ROOT / "docs/DISPUTE.zh-CN.md"}
FENCE = re.compile(r"^```(sh|text)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PROGRAM = "evidence-ledger"


class Terminal:
    """A folder, what is set in it, and commands run there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._set: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def run(self, line: str) -> str:
        """Run one line, unless it was run before; return what it prints."""
        if line not in self._said:
            self._said[line] = self._run(line)
        return self._said[line]

    def _run(self, line: str) -> str:
        assigned = re.fullmatch(r"(\w+)=\$\((.*)\)", line)
        if assigned:
            self._set[assigned[1]] = self._run(assigned[2]).strip()
            return ""
        line = re.sub(r"\$(\w+)", lambda name: self._set[name[1]], line)
        first, pipe, rest = line.partition(" | ")
        command, redirected, target = first.partition(" > ")
        words = shlex.split(command)
        if words[0] != PROGRAM:
            return self._bash(line, "")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main(words[1:])
        if redirected:
            (self._folder / target).write_text(said.getvalue(), "utf-8")
            return ""
        return self._bash(rest, said.getvalue()) if pipe else said.getvalue()

    def _bash(self, line: str, given: str) -> str:
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self._folder,
            env=os.environ | {"PATH": binaries, "LC_ALL": "C.UTF-8"},
            input=given,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.stderr == "", (line, done.stderr)
        return done.stdout


def blocks_of(page: Path) -> Iterator[tuple[list[str], str | None]]:
    """Yield the lines of each `sh` block with the `text` block that follows it, if one does."""
    found = list(FENCE.finditer(page.read_text("utf-8")))
    for at, fence in enumerate(found):
        if fence[1] != "sh":
            continue
        after = found[at + 1] if at + 1 < len(found) else None
        between = "" if after is None else page.read_text("utf-8")[fence.end() : after.start()]
        is_told = after is not None and after[1] == "text" and not between.strip()
        yield fence[2].splitlines(), after[2] if after is not None and is_told else None


def matches(shown: str, printed: str) -> bool:
    """Say whether what is printed is what is shown, `…` standing for anything within a line."""
    pattern = ".*".join(map(re.escape, shown.split("…")))
    return re.fullmatch(pattern, printed) is not None


@pytest.fixture(scope="module")
def printed(
    lives_network: Network, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """What each block of each page prints; a line that stands in both pages is run once."""
    folder = tmp_path_factory.mktemp("dispute")
    (folder / "net").symlink_to(Path(lives_network.devnet.state.genesis).parent)
    (folder / "examples").symlink_to(ROOT / "examples")
    terminal = Terminal(folder)
    with contextlib.chdir(folder):
        return {
            language: [
                "".join([terminal.run(line) for line in lines]) for lines, _ in blocks_of(page)
            ]
            for language, page in PAGES.items()
        }


@pytest.mark.parametrize("language", PAGES)
def test_every_figure_is_what_the_commands_print(
    printed: dict[str, list[str]], language: str
) -> None:
    shown = [text for _, text in blocks_of(PAGES[language])]
    assert sum(text is not None for text in shown) >= 12
    for text, said in zip(shown, printed[language], strict=True):
        told, lines = (text or "").splitlines(), said.splitlines()
        differing = [pair for pair in zip(told, lines, strict=False) if not matches(*pair)]
        assert not differing, differing
        assert len(told) == len(lines), (text, said)


def test_the_table_by_hand_adds_up_to_what_the_chain_owes(printed: dict[str, list[str]]) -> None:
    rows = re.findall(
        r"^\| (\d) \| (\d) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
        PAGES["en"].read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert [int(row[0]) for row in rows] == list(range(8))
    whole = 0
    for taken, count, principal, interest, owed in rows:
        fen = [round(float(text) * 100) for text in (principal, interest, owed)]
        assert fen[0] == 200_000 - 10_000 * int(taken)
        assert fen[0] + fen[1] == fen[2]
        whole += int(count) * fen[2]
    assert any(f"at most {whole / 100:.2f} yuan owed" in text for text in printed["en"])


def test_the_pages_are_twins() -> None:
    """The same commands but for the language of the answer, headings, tables and figures."""
    english, chinese = (page.read_text("utf-8") for page in PAGES.values())
    commands = [[line for lines, _ in blocks_of(page) for line in lines] for page in PAGES.values()]
    assert commands[0] == [
        line.replace("--lang zh", "--lang en")
        .replace("^结论", "^Conclusion").replace("|结论", "|Conclusion")
        .replace("|合计|合同)", "|all|contract)").replace("|合计|", "|all|")
        for line in commands[1]
    ]  # fmt: skip
    for pattern in (r"^## ", r"^\| ", r"^```"):
        counts = [len(re.findall(pattern, text, flags=re.MULTILINE)) for text in (english, chinese)]
        assert counts[0] == counts[1], pattern
    figures = [sorted(re.findall(r"\d[\d,]*\.\d\d", text)) for text in (english, chinese)]
    assert figures[0] == figures[1]
