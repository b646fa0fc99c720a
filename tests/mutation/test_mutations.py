"""The mutation check: every patch fits, every mutant is caught, and a survivor would be said."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.catalogue import MUTANTS
from tests.mutation.document import DOCUMENT, PACKAGES, make_document
from tests.mutation.mutant import Mutant, Stale

ROOT = Path(__file__).parents[2]
PARTS = 48
"""So many processes share the work when the tests run side by side. One of them runs each time, and
all of them with CAMPAIGN=1 or by `scripts/mutate`."""


def run(*arguments: str, check: bool = True) -> str:
    """What a Python process prints; each runs by itself, because the check forks."""
    environment = {name: os.environ[name] for name in os.environ if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout + done.stderr


@cache
def dumped(file: str) -> str:
    """The syntax of a file as it is."""
    return ast.dump(ast.parse((ROOT / file).read_text("utf-8")))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_patch_fits_once_and_what_it_makes_is_other_code(mutant: Mutant) -> None:
    assert ast.dump(ast.parse(mutant.apply(ROOT))) != dumped(mutant.file)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_named_test_is_there(mutant: Mutant) -> None:
    file, _, name = mutant.caught_by.partition("::")
    name = name.partition("[")[0]
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_list_is_long_without_repetitions_and_everywhere() -> None:
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.file.partition("/")[0] for mutant in MUTANTS} == set(PACKAGES)
    for mutant in MUTANTS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mutant.name)
        assert "|" not in mutant.mistake
        assert not mutant.mistake.endswith(".")


def test_page_is_made_from_the_list() -> None:
    assert (ROOT / DOCUMENT).read_text("utf-8") == make_document(MUTANTS), (
        "scripts/mutate --write makes it anew"
    )


@pytest.mark.parametrize("part", range(1, PARTS + 1) if "CAMPAIGN" in os.environ else (1,))
def test_every_mutant_is_caught_by_its_test(part: int) -> None:
    run("-m", "tests.mutation", "--part", f"{part}/{PARTS}", "--workers", "1")


# What is no catch

TRIAL = """
from tests.mutation.__main__ import run_quickest
from tests.mutation.mutant import Mutant

TAGS = ("ledger/tags.py", '"tx-id"', '"tx-id" ""')
run_quickest(
    [
        Mutant("harmless", *TAGS, "", "tests/ledger/test_transaction.py::test_stream_names"),
        Mutant("elsewhere", *TAGS, "",
               "tests/house/test_dependencies.py::test_the_tests_have_rocksdb_on_every_python"),
        Mutant("no-such-test", *TAGS, "", "tests/ledger/test_transaction.py::test_nothing"),
        Mutant("broken", "ledger/tags.py", "def _tag", "raise OSError\\ndef _tag", "",
               "tests/ledger/test_transaction.py::test_stream_names"),
        Mutant("stale", "ledger/tags.py", "no such thing", "", "", "tests/ledger/test_block.py"),
    ],
    1,
    is_talkative=True,
)
"""


def test_what_is_no_catch() -> None:
    """Nothing noticed, the wrong test, no test, code that does not load, a patch without place."""
    text = run("-c", TRIAL)
    answers = dict(re.findall(r"SURVIVED  (\S+) .*\n.*\n.*\n +(.*)\n", text))
    assert answers["harmless"] == "all passed"
    assert answers["elsewhere"] == "the test does not load ledger/tags.py"
    assert answers["no-such-test"] == "pytest ended with <ExitCode.USAGE_ERROR: 4>"
    assert answers["broken"].startswith("not collected: ")
    assert answers["stale"] == "stale: stale: ledger/tags.py holds this 0 times instead of once:"
    assert "0 of 5 mutants caught" in text


def test_stale_patch_names_file_and_piece(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n", "utf-8")
    for old, count in (("x = 1", 2), ("y = 1", 0)):
        with pytest.raises(Stale, match=f"^name: a.py holds this {count} times .*:\n{old}$"):
            Mutant("name", "a.py", old, "", "", "").apply(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n", "utf-8")
    assert Mutant("name", "a.py", "y = 2", "y = 3", "", "").apply(tmp_path) == "x = 1\ny = 3\n"


# The command


def test_help_teaches() -> None:
    text = run("-m", "tests.mutation", "--help")
    for word in ("scripts/mutate --sample 20 --seed 7", "--against", "into a copy", "write it"):
        assert word in " ".join(text.split())


def test_what_would_run_can_be_seen() -> None:
    every = run("-m", "tests.mutation", "--list")
    assert re.findall(r"^\S+$", every, re.MULTILINE) == [mutant.name for mutant in MUTANTS]
    drawn = [run("-m", "tests.mutation", "--list", "--sample", "5", "--seed", "7") for _ in "12"]
    assert drawn[0] == drawn[1] != run("-m", "tests.mutation", "--list", "--sample", "5")
    assert len(re.findall(r"^\S+$", drawn[0], re.MULTILINE)) == 5
    storage = run("-m", "tests.mutation", "--list", "storage")
    assert set(re.findall(r"^ +(\w+)/", storage, re.MULTILINE)) == {"storage"}
    parts = [run("-m", "tests.mutation", "--list", "--part", f"{part}/3") for part in (1, 2, 3)]
    assert sum(len(re.findall(r"^\S+$", part, re.MULTILINE)) for part in parts) == len(MUTANTS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["quorum"], "there is no mutant or package quorum"),
        (["--part", "4/3"], "--part wants I/N with 1 ≤ I ≤ N, not 4/3"),
        (["--part", "x"], "--part wants I/N with 1 ≤ I ≤ N, not x"),
        (["--write", "storage"], "--write is for all mutants"),
        (["--list", "--seeds"], "not allowed with argument --list"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: list[str], sentence: str) -> None:
    assert sentence in run("-m", "tests.mutation", *arguments, check=False)
