"""Which Python an environment is made with: what `scripts/interpreter` prints.

The interpreters it looks at are stand-ins, which hand what they are asked to the one that runs the
tests, but with another version or another build's configuration in place of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "interpreter"

PLAIN = "sys.prefix = '/opt'; sysconfig.get_config_vars()['CONFIG_ARGS'] = ''"
OPTIMIZED = (
    "sys.prefix = '/opt'; "
    "sysconfig.get_config_vars().update(CONFIG_ARGS=\"'--enable-optimizations'\")"
)
OF_THE_SYSTEM = "sys.prefix = '/usr'; sysconfig.get_config_vars()['CONFIG_ARGS'] = ''"
WITHOUT_HEADERS = OPTIMIZED + "; sysconfig.get_config_vars()['INCLUDEPY'] = '/nowhere'"


def make(folder: Path, name: str, version: tuple[int, int], build: str) -> None:
    stand_in = folder / name
    stand_in.write_text(
        f"#!{sys.executable}\n"
        "import sys, sysconfig\n"
        f"sys.version_info = {(*version, 0)}; {build}\n"
        "exec(sys.argv[2])\n"
    )
    stand_in.chmod(0o755)


def ask(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Only what is in the folder is found by its name, and what /usr/bin really holds."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHON"}
    return subprocess.run(
        ["/bin/sh", SCRIPT],
        env=environment | {"PATH": str(folder)} | more,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def headers(tmp_path: Path) -> None:
    """The interpreter that runs the tests may lack its own."""
    if not Path(__import__("sysconfig").get_config_var("INCLUDEPY"), "Python.h").is_file():
        pytest.skip("this Python's headers are not installed")


@pytest.mark.parametrize("quick", [OPTIMIZED, OF_THE_SYSTEM])
def test_an_optimized_one_goes_before_a_newer_one_that_is_not(tmp_path: Path, quick: str) -> None:
    make(tmp_path, "python3.12", (3, 12), PLAIN)
    make(tmp_path, "python3", (3, 11), quick)
    assert ask(tmp_path).stdout == "python3\n"


def test_the_newest_that_leveldb_is_to_be_had_for_goes_first(tmp_path: Path) -> None:
    make(tmp_path, "python3", (3, 14), OPTIMIZED)
    make(tmp_path, "python3.11", (3, 11), OPTIMIZED)
    make(tmp_path, "python3.12", (3, 12), OPTIMIZED)
    assert ask(tmp_path).stdout == "python3.12\n"


def test_one_that_the_kernel_cannot_be_compiled_for_goes_after_one_it_can(tmp_path: Path) -> None:
    make(tmp_path, "python3.12", (3, 12), WITHOUT_HEADERS)
    make(tmp_path, "python3.11", (3, 11), OPTIMIZED)
    assert ask(tmp_path).stdout == "python3.11\n"


def test_the_one_that_is_named_is_taken_if_it_will_do(tmp_path: Path) -> None:
    make(tmp_path, "old", (3, 10), OPTIMIZED)
    make(tmp_path, "mine", (3, 14), PLAIN)
    mine = str(tmp_path / "mine")
    assert ask(tmp_path, PYTHON=mine).stdout == f"{mine}\n"
    refused = ask(tmp_path, PYTHON=str(tmp_path / "old"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is not a Python 3.11 or newer" in refused.stderr
