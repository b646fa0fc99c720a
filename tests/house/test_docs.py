"""What the documents show is what there is: commands, help, links, names, packages, metrics."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import stat
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pytest

from cli.main import main
from genesis.document import parse_genesis
from node.metrics import NodeMetrics
from sim.deployment import make_deployment
from sim.plan import FAMILIES
from verifier.verify import FILE_STEP, STEPS

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
PROGRAM = "evidence-ledger"


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def fences(name: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text(name), re.MULTILINE | re.DOTALL)


def prose(name: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text(name), flags=re.MULTILINE | re.DOTALL)


def squeeze(value: str) -> str:
    """One space for any run of white space: Pythons wrap usage lines differently."""
    return " ".join(value.split())


@cache
def help_of(*words: str) -> str:
    """What `evidence-ledger WORDS --help` prints; empty where there is no such command."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            status = main([*words, "--help"])
        except SystemExit as end:
            status = int(end.code or 0)
    return out.getvalue() if status == 0 else ""


@cache
def help_of_module(module: str) -> str:
    """What `python -m MODULE --help` prints."""
    return subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def shown_commands(name: str) -> list[str]:
    """Every command line a document shows, in blocks and in the text."""
    found = []
    for language, content in fences(name):
        for line in re.sub(r"\\\n\s*", " ", content).splitlines():
            bare = line.strip().removeprefix("$ ")
            if language in {"sh", "text", ""} and (language == "sh" or line.strip()[:2] == "$ "):
                found.append(bare)
            elif bare.startswith("ExecStart="):
                found.append(bare.removeprefix("ExecStart="))
    return found + re.findall(r"`([^`\n]+)`", prose(name))


def own_commands(name: str) -> list[tuple[str, list[str]]]:
    """(program, arguments) of the shown commands that are ours."""
    found = []
    for line in shown_commands(name):
        try:
            words = shlex.split(re.split(r" [|>] ", line)[0], comments=True)
        except ValueError:
            continue
        if not words:
            continue
        if words[0].rpartition("/")[2] == PROGRAM:
            found.append((PROGRAM, words[1:]))
        elif words[1:2] == ["-m"] and words[0].rpartition("/")[2] in {"python", "python3"}:
            found.append((words[2], words[3:]))
        elif words[0].startswith("scripts/"):
            found.append((words[0], words[1:]))
    return found


def complaint_about(program: str, arguments: list[str]) -> str | None:
    """What is wrong with a shown command, if anything is."""
    if program.startswith("scripts/"):
        path = ROOT / program
        if not path.is_file() or not path.stat().st_mode & stat.S_IXUSR:
            return f"{program} is no script"
        known = path.read_text("utf-8")
        shown = program
    elif program == PROGRAM:
        commands: list[str] = []
        for word in arguments:
            if word.startswith("-") or not help_of(*commands, word):
                break
            commands.append(word)
            if re.search(r"^ {4}\w", help_of(*commands), re.MULTILINE) is None:
                break
        known = help_of(*commands)
        shown = f"{PROGRAM} {' '.join(commands)}"
        rest = arguments[len(commands) :]
        usage = squeeze(known.partition("\n\n")[0])
        if rest and usage.endswith(" ...") and not rest[0].startswith("-"):
            return f"{shown}: there is no command {rest[0]!r}"
    elif program in {"venv", "pip", "pytest"}:
        return None
    else:
        known = help_of_module(program)
        shown = f"python -m {program}"
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("-") and not re.search(
            rf"(?<![\w-]){re.escape(option)}(?![\w-])", known
        ):
            return f"{shown}: there is no option {option}"
    return None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_shown_exists_with_its_options(name: str) -> None:
    complaints = [complaint_about(*command) for command in own_commands(name)]
    assert [c for c in complaints if c is not None] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert (
        complaint_about(PROGRAM, ["node", "rum"])
        == "evidence-ledger node: there is no command 'rum'"
    )
    assert complaint_about(PROGRAM, ["node", "token", "new"]) == (
        "evidence-ledger node token: there is no command 'new'"
    )
    assert complaint_about(PROGRAM, ["node", "run", "--hom", "x"]) == (
        "evidence-ledger node run: there is no option --hom"
    )
    assert complaint_about("sim", ["--sed", "8"]) == "python -m sim: there is no option --sed"
    assert complaint_about("scripts/tset", []) == "scripts/tset is no script"
    assert complaint_about(PROGRAM, ["node", "token", "issue", "--home", "x"]) is None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_help_shown_is_the_help_there_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for _, content in fences(name):
        head, _, body = content.partition("\n")
        if not re.fullmatch(rf"\$ {PROGRAM}( \w+)* --help", head):
            continue
        words = head.split()[2:-1]
        help_of.cache_clear()
        assert squeeze(body) == squeeze(help_of(*words)), head


def test_the_readme_shows_the_help_of_program_and_verifier() -> None:
    heads = [content.partition("\n")[0] for _, content in fences("README.md")]
    assert f"$ {PROGRAM} --help" in heads
    assert f"$ {PROGRAM} verify --help" in heads


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_resolves(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(name)) + re.findall(
        r'(?:src|href)="([^"]+)"', prose(name)
    )
    broken = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(file: Path) -> set[str]:
    """The fragments that a Markdown file's headings give."""
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_quickstart_excerpt_is_what_the_quickstart_says() -> None:
    excerpt = next(content for _, content in fences("README.md") if content.startswith("1. "))
    source = text("cli/quickstart.py")
    for number, zh, en in re.findall(r"^(\d)\. (\S+) · (.+)$", excerpt, re.MULTILINE):
        assert f'_head({number}, "{zh}", "{en}")' in source
    steps = re.findall(r"^ +(\d+) +(?:ok|failed) +(\S+) · (.+)$", excerpt, re.MULTILINE)
    assert len(steps) >= 5
    names = {1: FILE_STEP} | {number: words for number, words, _ in STEPS}
    for number, zh, en in steps:
        assert (names[int(number)].zh, names[int(number)].en) == (zh, en)


def test_the_architecture_lists_the_layers_that_are_checked() -> None:
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    section = text("docs/ARCHITECTURE.md").partition("## Packages and their order")[2]
    table = section.partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [
        re.split(r"\s*\|\s*", layer) for layer in layers
    ]


def test_the_manual_lists_every_metric() -> None:
    metrics = NodeMetrics(parse_genesis(make_deployment(4).genesis.raw)).render().decode()
    names = {
        name.removesuffix("_created")
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", metrics, re.MULTILINE)
        if not name.endswith("_created") or kind != "gauge"
    }
    listed = re.findall(r"^\| `(evidence_ledger_\w+)` \|", text("docs/OPERATING.md"), re.MULTILINE)
    assert sorted(listed) == sorted(names)


def test_what_the_manual_quotes_from_the_log_is_logged() -> None:
    table = text("docs/OPERATING.md").partition("### What each alarm means")[2]
    quoted = re.findall(r"^\| `([^`]*? [^`]*)` (?:in the log|at start)?", table, re.MULTILINE)
    sources = "".join(
        re.sub(r'"\s*f?"', "", path.read_text("utf-8"))
        for package in ("node", "consensus", "storage")
        for path in sorted((ROOT / package).glob("*.py"))
    )
    assert len(quoted) >= 6
    assert [sentence for sentence in quoted if sentence not in sources] == []


def test_the_manual_of_the_simulator_lists_every_family() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", text("docs/SIMULATION.md"), re.MULTILINE)
    assert rows == list(FAMILIES)


def test_pictures_are_well_formed_and_ask_nobody() -> None:
    pictures = sorted((ROOT / "docs/images").glob("*.svg"))
    assert pictures
    for path in pictures:
        raw = path.read_text("utf-8")
        root = ET.fromstring(raw)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None, path.name
        assert "prefers-color-scheme: dark" in raw, path.name
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", raw))
        assert addresses == {"http://www.w3.org/2000/svg"}, path.name


def test_the_bench_table_has_its_marks() -> None:
    assert re.search(
        r"^<!-- bench:begin -->\n.+\n<!-- bench:end -->$",
        text("bench/README.md"),
        re.MULTILINE | re.DOTALL,
    )
