"""A store opened in a working copy is the same store, and the original stays as it is."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import struct
from pathlib import Path
from typing import Literal

import pytest
from google_crc32c import value as crc32c

from storage.files import Damaged
from storage.keyvalue import KeyValue
from storage.leveldb_files import reserve_numbers, verify_log
from storage.working_copy import make_working_copy

Backend = Literal["leveldb", "rocksdb"]


def open_store(backend: Backend, path: Path) -> KeyValue:
    if backend == "leveldb":
        from storage.leveldb import LevelDBStore

        return LevelDBStore(path)
    from storage.rocks import RocksStore

    return RocksStore(path)


@pytest.fixture(params=["leveldb", "rocksdb"])
def backend(request: pytest.FixtureRequest) -> Backend:
    module = {"leveldb": "plyvel", "rocksdb": "rocksdict"}[request.param]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed for this Python")
    return request.param  # type: ignore[no-any-return]


def rows(begin: int, end: int) -> list[tuple[bytes, bytes]]:
    chance = random.Random(begin)
    return [(b"key%06d" % n, chance.randbytes(60)) for n in range(begin, end)]


@pytest.fixture
def original(backend: Backend, tmp_path: Path) -> Path:
    """A closed store with several tables and a log."""
    path = tmp_path / "index"
    for begin in range(0, 1500, 300):
        store = open_store(backend, path)
        store.write(rows(begin, begin + 300), [b"key000007"])
        store.close()
    return path


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), os.stat(file).st_mtime_ns) for file in path.iterdir()}


def everything(store: KeyValue) -> list[tuple[bytes, bytes]]:
    return list(store.scan(b"", b"\xff"))


def test_the_copy_holds_the_same_and_takes_writes_that_the_original_does_not_see(
    backend: Backend, original: Path, tmp_path: Path
) -> None:
    before = contents(original)
    copy = tmp_path / "copy"
    copy.mkdir()
    make_working_copy(original, copy, backend)
    store = open_store(backend, copy)
    assert store.notices == []
    expected = {key: value for n in range(0, 1500, 300) for key, value in rows(n, n + 300)}
    del expected[b"key000007"]
    assert dict(everything(store)) == expected
    for turn in range(4):
        store.write(rows(2000 + turn, 42_000 + turn))
    store.verify()
    store.close()
    assert contents(original) == before
    again = open_store(backend, original)
    assert dict(everything(again)) == expected
    again.close()


def test_left_over_tables_of_the_original_are_not_written_to(
    backend: Backend, original: Path, tmp_path: Path
) -> None:
    """A process killed while it tidied up leaves a table that no manifest names."""
    ending = "ldb" if backend == "leveldb" else "sst"
    names = [file.name for file in original.iterdir()]
    taken = {int(number[1]) for name in names if (number := re.search(r"\b(\d{6})\b", name))}
    for number in set(range(1, max(taken) + 60)) - taken:
        (original / f"{number:06d}.{ending}").write_bytes(b"left over")
    before = contents(original)
    copy = tmp_path / "copy"
    copy.mkdir()
    make_working_copy(original, copy, backend)
    store = open_store(backend, copy)
    for turn in range(3):
        store.write(rows(2000 + turn, 42_000 + turn))
    store.close()
    store = open_store(backend, copy)
    assert len(everything(store)) > 40_000
    store.close()
    assert contents(original) == before


def test_an_empty_store_has_an_empty_copy(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "copy").mkdir()
    make_working_copy(tmp_path / "index", tmp_path / "copy", backend)
    assert list((tmp_path / "copy").iterdir()) == []


def log_record(payload: bytes, kind: int = 1) -> bytes:
    """One whole record as LevelDB's doc/log_format.md has it, its CRC masked."""
    crc = crc32c(bytes([kind]) + payload)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<IHB", masked, len(payload), kind) + payload


@pytest.mark.parametrize("size", [0, 7, *range(32_768 - 20, 32_768 + 1), 70_000])
def test_the_record_that_reserves_numbers_fits_wherever_the_manifest_ends(
    tmp_path: Path, size: int
) -> None:
    whole, rest = divmod(size, 32_768)
    before = whole * log_record(bytes(32_768 - 7)) + (log_record(bytes(rest - 7)) if rest else b"")
    assert len(before) == size
    manifest = tmp_path / "MANIFEST-000001"
    manifest.write_bytes(before)
    (tmp_path / "CURRENT").write_bytes(b"MANIFEST-000001\n")
    for number in (127, 128, 300_000):
        reserve_numbers(tmp_path, number)
        verify_log(manifest)
    added = manifest.read_bytes()[size:]
    if size in {0, 7, 32_768, 70_000}:  # elsewhere a record is in two pieces
        edits = (b"\x03\x7f", b"\x03\x80\x01", b"\x03\xe0\xa7\x12")
        assert added == b"".join(map(log_record, edits))


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "index" / "CURRENT").write_bytes(b"MANIFEST-000004\n")
    with pytest.raises(Damaged, match="CURRENT, offset 0: names MANIFEST-000004, which is missing"):
        make_working_copy(tmp_path / "index", tmp_path / "copy", "leveldb")
