"""The list of dependencies, the pins, the locks and the imports say the same thing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["importlinter"]["root_packages"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

PART_OF = {"starlette": "fastapi", "h11": "uvicorn"}
"""Starlette is FastAPI's base class by class; its types are imported from there by its own docs.
h11 is what uvicorn's protocol that the node extends speaks HTTP with, and what it hands over."""


def normal_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def declared() -> dict[str, list[str]]:
    """Every requirement of pyproject.toml, by list."""
    project = PYPROJECT["project"]
    groups = {
        name: [line for line in lines if isinstance(line, str)]
        for name, lines in PYPROJECT["dependency-groups"].items()
    }
    return {"": project["dependencies"], **project["optional-dependencies"], **groups}


def runtime_names() -> set[str]:
    return {
        normal_name(line)
        for part in ("", "node", "rocks", "certificate")
        for line in declared()[part]
    }


def locked_versions(path: Path) -> dict[str, str]:
    text = path.read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \\]+)", text, flags=re.MULTILINE))


def imported_distributions(package: str) -> dict[str, Path]:
    """The distributions that a package's modules import, each with one module that does."""
    first_party = {*PACKAGES, "__future__"}
    owners = packages_distributions()
    found: dict[str, Path] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                if top in sys.stdlib_module_names or top in first_party:
                    continue
                name = normal_name(owners.get(top, [top])[0])
                found.setdefault(PART_OF.get(name, name), path.relative_to(ROOT))
    return found


OPTIONAL = {"cryptography": "verifier/mldsa.py"}
"""What the verifier uses where it is installed, and says when it is not; `lint-imports` checks that
nothing else in it does."""


def test_every_dependency_has_exactly_one_line_that_says_why() -> None:
    text = (ROOT / "docs/DEPENDENCIES.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]+) \|$", text, flags=re.MULTILINE)
    names = [name for name, _, _ in rows]
    assert sorted(names) == sorted({normal_name(r) for part in declared().values() for r in part})
    assert [name for name, _, why in rows if not why.strip().endswith(".")] == []


def test_every_requirement_is_pinned_to_one_version() -> None:
    lines = [line for part in declared().values() for line in part]
    assert [r for r in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+(; .+)?", r)] == []
    build_requires = PYPROJECT["build-system"]["requires"]
    assert build_requires == PYPROJECT["dependency-groups"]["build"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock_has_a_hash_for_every_package_and_no_address(path: Path) -> None:
    entries = re.split(r"\n(?=[a-z])", path.read_text("utf-8").strip())
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []
    addresses = r"://|--(?:extra-)?index-url|--find-links|--trusted-host|/home/|/root/|/tmp/"
    assert re.search(addresses, path.read_text("utf-8")) is None


@pytest.mark.parametrize(
    ("lock", "parts"),
    [
        ("verifier", [""]),
        ("run", ["", "node"]),
        ("certificate", ["", "certificate"]),
        ("test", ["", "node", "rocks", "certificate", "test"]),
        ("build", ["build"]),
    ],
)
def test_lock_holds_what_pyproject_pins(lock: str, parts: list[str]) -> None:
    versions = locked_versions(ROOT / f"requirements/{lock}.txt")
    pins = {}
    for part in parts:
        for requirement in declared()[part]:
            pins[normal_name(requirement)] = requirement.partition("==")[2].partition(";")[0]
    assert {name: versions.get(name) for name in pins} == pins


def test_what_is_tested_is_what_runs() -> None:
    tested = locked_versions(ROOT / "requirements/test.txt")
    for lock in ("verifier", "run", "certificate", "build"):
        runs = locked_versions(ROOT / f"requirements/{lock}.txt")
        assert {name: tested.get(name) for name in runs} == runs, lock


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_is_declared(package: str) -> None:
    allowed = runtime_names()
    if package == "verifier":
        allowed = {normal_name(line) for line in declared()[""]}
    found = imported_distributions(package)
    others = {name: str(path) for name, path in found.items() if name not in allowed}
    assert others == (OPTIONAL if package == "verifier" else {})


def test_every_runtime_dependency_is_imported_by_some_package() -> None:
    imported = {name for package in PACKAGES for name in imported_distributions(package)}
    assert sorted(runtime_names() - imported) == []


def test_the_tests_have_rocksdb_on_every_python() -> None:
    """A node on RocksDB is tested in CI only where its package is locked without a condition."""
    text = (ROOT / "requirements/test.txt").read_text("utf-8")
    locked = re.findall(r"^rocksdict==(\S+)( ;.*)? \\$", text, flags=re.MULTILINE)
    assert locked == [(locked_versions(ROOT / "requirements/run.txt")["rocksdict"], "")]


LEVELDB = {"plyvel", "storage.leveldb"}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_a_python_without_leveldb_can_collect_the_tests(file: Path) -> None:
    """plyvel has no wheel past CPython 3.12: a module that imports it first skips without it."""
    text = file.read_text("utf-8")
    skips = text.find('importorskip("plyvel"')
    for node in ast.parse(text).body:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if LEVELDB.intersection(names):
            assert 0 <= skips < text.index(ast.get_source_segment(text, node) or "")
