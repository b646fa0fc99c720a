"""docs/TRAPS.md: every trap has its test or its reason, and what it names is there and runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/TRAPS.md").read_text("utf-8")
TRAPS_COUNT = 50


def traps() -> dict[int, str]:
    """Number → what the document says of the trap."""
    parts = re.split(r"^\*\*(\d+)\. ", TEXT, flags=re.MULTILINE)[1:]
    return dict(zip(map(int, parts[::2]), parts[1::2], strict=True))


NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(test_\w+)`", TEXT)))


@cache
def functions(file: str) -> dict[str, list[str]]:
    """Test function → its decorators, as they are written."""
    tree = ast.parse((ROOT / file).read_bytes())
    return {
        node.name: [ast.unparse(item) for item in node.decorator_list]
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_the_traps_are_numbered_on() -> None:
    assert list(traps()) == list(range(1, TRAPS_COUNT + 1))


@pytest.mark.parametrize("number", range(1, TRAPS_COUNT + 1))
def test_every_trap_has_its_test_or_its_reason(number: int) -> None:
    text = traps()[number]
    tests = re.findall(r"`tests/\S+::test_\w+`", text)
    reason = re.search(r"^Cannot happen: .{40,}\.$", text, re.MULTILINE)
    assert tests or reason
    assert len(tests) == len(set(tests)), "a test is named twice"


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda item: item.removeprefix("tests/"))
def test_a_named_test_exists_and_is_not_skipped(file: str, name: str) -> None:
    decorators = functions(file)[name]
    assert [item for item in decorators if "skip" in item or "xfail" in item] == []


def test_pytest_collects_every_named_test(request: pytest.FixtureRequest) -> None:
    """What is named is what is run; what is not part of this run is collected apart, but for what
    is about a package that this Python cannot have."""
    run = {item.nodeid.partition("[")[0].partition("@")[0] for item in request.session.items}
    missing = {(file, name) for file, name in NAMED if f"{file}::{name}" not in run}
    files = sorted({file for file, _ in missing})
    if not files:
        return
    collect = ["--collect-only", "-q", "-rs", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *collect, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    left_out = re.findall(r"^SKIPPED \[1\] (\S+?):\d+: could not import", done.stdout, re.MULTILINE)
    assert done.returncode == (0 if set(files) - set(left_out) else 5), done.stdout + done.stderr
    collected = set(re.findall(r"^(tests/\S+?::test_\w+)", done.stdout, re.MULTILINE))
    assert [
        f"{file}::{name}"
        for file, name in sorted(missing)
        if file not in left_out and f"{file}::{name}" not in collected
    ] == []
