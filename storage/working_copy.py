"""A working copy of a closed key-value store, so that opening it changes nothing of the store.

Opening is a write: LevelDB moves its log into a table and begins a new manifest, RocksDB likewise.
Tables make up nearly all of a store and are never changed once written, so the copy holds symbolic
links to them, and copies of the few files that may change: logs, manifest, CURRENT. It takes the
space of the logs (128 MB at the most as this ledger writes them), and while it is in use as much
more as the store then tidies up. What always holds: no file of the original is opened for writing.
A store removes and creates names, which are the copy's own; and it would create a table under a
number that only a left-over table of the original has, so LevelDB is told that all numbers up to
there are used (RocksDB looks for itself).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final, Literal

from storage.leveldb_files import is_unmade, reserve_numbers

_TABLE: Final = re.compile(r"[0-9]{6,}\.(ldb|sst)")
_NUMBER: Final = re.compile(r"(?:MANIFEST-)?([0-9]{6,})(?:\.[a-z]+)?")
_WITHOUT_DATA: Final = re.compile(r"LOCK|LOG|LOG\.old.*")


def make_working_copy(original: Path, copy: Path, backend: Literal["leveldb", "rocksdb"]) -> None:
    """Fill an empty directory; raise `Damaged` when LevelDB's CURRENT or manifest is."""
    numbers = [0]
    for file in sorted(original.iterdir()):
        number = _NUMBER.fullmatch(file.name)
        if number is not None:
            numbers.append(int(number[1]))
        if _TABLE.fullmatch(file.name):
            (copy / file.name).symlink_to(file.absolute())
        elif not _WITHOUT_DATA.fullmatch(file.name):
            shutil.copyfile(file, copy / file.name)
    # One that a crash left unmade has no numbers, and its manifest stays what tells.
    if backend == "leveldb" and (copy / "CURRENT").exists() and not is_unmade(copy):
        reserve_numbers(copy, max(numbers) + 1)
