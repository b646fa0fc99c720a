"""Build hash: one SHA-256 that names the source a program runs.

It is the hash of the list that `sha256sum` would write of the packages' source files, in the order
of their paths' bytes, so that it is the same in a checkout and where the packages are installed,
and anybody can make it with ordinary tools (docs/FORMATS.md). Compiled files are not in it: they
differ from compiler to compiler, and `find_kernel` names the one that serves by its own hash.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import node
from ledger.kernel import KERNEL

PACKAGES: Final = (
    "api",
    "bench",
    "certificate",
    "cli",
    "consensus",
    "contracts",
    "genesis",
    "law",
    "ledger",
    "model",
    "node",
    "page",
    "sim",
    "storage",
    "verifier",
)
SUFFIXES: Final = frozenset({".css", ".html", ".js", ".json", ".py", ".pyx", ".toml", ".typ"})
"""Of the files that are source."""


@dataclass(frozen=True, slots=True)
class Build:
    """The source that was found."""

    sha256: str
    file_count: int


def find_own_root() -> Path:
    """Return the folder this program's packages lie in."""
    return Path(node.__file__).resolve().parent.parent


def list_sources(root: Path) -> list[str]:
    """Return the source files' paths below `root`, with '/', in the order of their bytes."""
    found = [
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.suffix in SUFFIXES and path.is_file()
    ]
    return sorted(found, key=str.encode)


def compute_build(root: Path) -> Build:
    """Return the hash of the source below `root`; raise OSError where a file cannot be read."""
    whole = sha256()
    sources = list_sources(root)
    for name in sources:
        digest = sha256((root / name).read_bytes()).hexdigest()
        whole.update(f"{digest}  {name}\n".encode())
    return Build(whole.hexdigest(), len(sources))


def find_kernel() -> dict[str, str | None]:
    """Return which kernel serves, and the SHA-256 of its compiled file if it has one."""
    file = getattr(sys.modules.get("ledger.kernel_native"), "__file__", None)
    if KERNEL != "native" or file is None:
        return {"kind": KERNEL, "sha256": None}
    return {"kind": KERNEL, "sha256": sha256(Path(file).read_bytes()).hexdigest()}
