"""Rules of the house that hold for every file: what style asks, as far as a machine can see it."""

from __future__ import annotations

import ast
import re
import shutil
import stat
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["importlinter"]["root_packages"]

NOT_PACKAGES = {"docs", "examples", "requirements", "scripts", "tests", "vectors"}

NOT_OURS = ("vectors/", "requirements/", "LICENSE", "tests/fuzz/corpus/")
"""Written by others or by a tool, or no text: their bytes are as they came."""

PROVENANCE = [
    r"/work/",
    r"/tmp/(?:v|h)\b",
    r"\bSPEC\.md\b",
    r"\b(?:this|that|an?|earlier|previous|next|other|helper) (?:coding |agent )?session\b",
    r"\bsub-?agents?\b|\blanguage model\b|\bAI[- ]generated\b",
    r"\b(?:issues?|tickets?|PR)\s+#?\d+\b",
    r"(?<![\w/&('\"`#:])#\d+\b(?!-)|\(#\d+\)",
    r"\b(?:FIXME|XXX|HACK)\b|\bTODO\b",
]
"""How a file came about is no part of it; `owner/name#12` in another's tracker is a source."""


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, in the repository."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone: which files are the repository's own?")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    names = {name for name in listing.decode().split("\0") if name}
    return tuple(ROOT / name for name in sorted(names) if (ROOT / name).is_file())


@cache
def texts() -> dict[str, str]:
    """Our own text files, by name."""
    found = {}
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_OURS) or ".min." in name:
            continue
        raw = path.read_bytes()
        if b"\0" not in raw:
            found[name] = raw.decode("utf-8")
    return found


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


GO_SOURCE = "tests/outside/go/"


def test_text_is_clean() -> None:
    spoilt = {
        # gofmt indents with tabs, and nothing else may.
        "a tab": [n for n, t in texts().items() if "\t" in t and not n.startswith(GO_SOURCE)],
        "a carriage return": [n for n, t in texts().items() if "\r" in t],
        "a space before a line's end": [
            n for n, t in texts().items() if re.search(r"[ ]$", t, flags=re.MULTILINE)
        ],
        "no newline at its end": [n for n, t in texts().items() if t and not t.endswith("\n")],
    }
    assert {what: names for what, names in spoilt.items() if names} == {}


def test_no_file_tells_how_it_came_about() -> None:
    myself = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts().items()
        if name != myself
        for number, line in enumerate(text.splitlines(), 1)
        if any(re.search(pattern, line) for pattern in PROVENANCE)
    ]
    assert found == []


def test_the_merchant_has_one_name_in_chinese() -> None:
    """That of the interpretation of 2025 (docs/LAW.zh-CN.md); other law is quoted as it stands."""
    other = "\u5546\u6237"
    assert [n for n, t in texts().items() if other in t and not n.startswith("law/")] == []


def test_scripts_are_executable_and_say_what_they_do() -> None:
    scripts = [p for p in tracked_files() if p.parent in (ROOT / "scripts", ROOT / ".ci")]
    assert ROOT / "scripts/test" in scripts
    for path in scripts:
        if path.suffix == ".md":
            continue
        first, second = path.read_text("utf-8").splitlines()[:2]
        assert first.startswith("#!"), path
        assert second.startswith(("# ", '"""')), path
        assert path.stat().st_mode & stat.S_IXUSR, f"{path} is not executable"


def test_every_module_opens_with_its_theory() -> None:
    poor = []
    for path in modules():
        tree = ast.parse(path.read_bytes())
        if not tree.body:  # an empty __init__.py only marks the package
            continue
        sentences = re.findall(r"[.!?:](?=\s|$)", ast.get_docstring(tree) or "")
        if len(sentences) < 2:
            poor.append(str(path.relative_to(ROOT)))
    assert poor == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"util", "utils", "common", "helper", "helpers", "core", "misc"}
    assert [str(p) for p in modules() if {p.stem, p.parent.name} & drawers] == []


def test_every_package_stands_in_every_list() -> None:
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")} - NOT_PACKAGES
    tool = PYPROJECT["tool"]
    layers = tool["importlinter"]["contracts"][0]["layers"]
    lists = {
        "importlinter.root_packages": set(PACKAGES),
        "importlinter layers": {name.strip() for layer in layers for name in layer.split("|")},
        "mypy.packages": set(tool["mypy"]["packages"]),
        "ruff known-first-party": set(tool["ruff"]["lint"]["isort"]["known-first-party"])
        - {"tests"},
        "setuptools": {n.rstrip("*") for n in tool["setuptools"]["packages"]["find"]["include"]},
        ".dockerignore": set(
            re.findall(r"^!(\w+)/$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
        ),
    }
    assert {where: folders ^ names for where, names in lists.items() if names != folders} == {}


def test_decisions_are_numbered_on_and_name_their_cost() -> None:
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(p.name[:4]) for p in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text("utf-8")
        headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert headings == ["Decision", "Options", "What it costs"], path.name


def test_the_changelog_knows_the_version() -> None:
    versions = re.findall(
        r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    released = versions[1:]
    assert versions[0] == "Unreleased"
    assert not released or released[0] == PYPROJECT["project"]["version"]
