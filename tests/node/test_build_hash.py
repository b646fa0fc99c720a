"""The build hash: the one that ordinary tools compute, and of source alone."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from node.build_hash import PACKAGES, SUFFIXES, compute_build, find_own_root, list_sources
from node.system_clock import ClockState, read_clock_state

ROOT = Path(__file__).parents[2]

SHELL = "find {packages} -type f {suffixes} | LC_ALL=C sort | xargs sha256sum | sha256sum"


def test_ordinary_tools_compute_the_same() -> None:
    suffixes = " -o ".join(f"-name '*{one}'" for one in sorted(SUFFIXES))
    command = SHELL.format(packages=" ".join(PACKAGES), suffixes=f"'(' {suffixes} ')'")
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert compute_build(ROOT).sha256 == done.stdout.split()[0]


def test_it_is_of_all_packages() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = declared["tool"]["setuptools"]["packages"]["find"]["include"]
    assert [f"{one}*" for one in PACKAGES] == packages
    assert find_own_root() == ROOT
    found = list_sources(ROOT)
    assert {"ledger/kernel_native.pyx", "certificate/layout.typ", "api/app.py"} <= set(found)
    assert not [one for one in found if one.endswith((".so", ".pyc", ".c"))]


def test_a_changed_name_or_byte_is_another_build(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    file = tmp_path / "node" / "a.py"
    hashes = []
    for content in (b"1\n", b"2\n"):
        file.write_bytes(content)
        hashes.append(compute_build(tmp_path).sha256)
    file.rename(tmp_path / "node" / "b.py")
    hashes.append(compute_build(tmp_path).sha256)
    (tmp_path / "node" / "compiled.so").write_bytes(b"machine")
    (tmp_path / "elsewhere.py").write_bytes(b"")
    assert compute_build(tmp_path).sha256 == hashes[-1]
    assert len(set(hashes)) == 3
    assert compute_build(tmp_path).file_count == 1


def test_the_clock_is_asked_and_never_set() -> None:
    state = read_clock_state()
    assert state in (ClockState(None, None), ClockState(False, None)) or (
        state.is_synchronized is True and state.error_max_us is not None
    )
