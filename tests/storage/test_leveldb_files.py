"""LevelDB's files: every flipped byte of every file is noticed by opening or by `verify`."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google_crc32c import value as crc32c

plyvel = pytest.importorskip("plyvel", exc_type=ImportError)

from storage.files import Damaged  # noqa: E402
from storage.leveldb import LevelDBStore  # noqa: E402
from storage.leveldb_files import (  # noqa: E402
    cut_torn_log,
    verify_database,
    verify_log,
    verify_table,
)

DATA_FILES = ("*.ldb", "*.log", "MANIFEST-*", "CURRENT")


def rows(begin: int, end: int) -> list[tuple[bytes, bytes]]:
    chance = random.Random(begin)
    return [(b"key%06d" % n, chance.randbytes(60)) for n in range(begin, end)]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A closed database with tables and a log of several batches, one of them over 32 KiB."""
    path = tmp_path / "index"
    store = LevelDBStore(path)
    store.write(rows(0, 300))
    store.close()
    store = LevelDBStore(path)  # opening turns the log into a table
    for begin, end in ((300, 310), (310, 900), (900, 901), (901, 905)):
        store.write(rows(begin, end))
    store.close()
    assert len(list(path.glob("*.ldb"))) == 1
    assert next(path.glob("*.log")).stat().st_size > 32768
    return path


def flips(data: bytes) -> Iterator[tuple[int, int]]:
    """Every byte of the first and last 600 and of the first block's end, and some of the rest."""
    dense = {*range(600), *range(32768 - 40, 32768 + 40), *range(len(data) - 600, len(data))}
    sparse = set(range(0, len(data), 41))
    for offset in sorted(at for at in dense | sparse if 0 <= at < len(data)):
        yield offset, 1 << offset % 8


def test_whole_database_passes(database: Path) -> None:
    verify_database(database)
    store = LevelDBStore(database)
    assert store.notices == []
    store.verify()
    assert list(store.scan(b"", b"z")) == rows(0, 300) + rows(300, 310) + rows(310, 900) + rows(
        900, 901
    ) + rows(901, 905)
    store.close()


def test_a_store_in_which_damage_was_found_stays_closed(database: Path) -> None:
    store = LevelDBStore(database)
    table = next(database.glob("*.ldb"))
    data = bytearray(table.read_bytes())
    data[0] ^= 1
    table.write_bytes(data)
    with pytest.raises(Damaged):
        store.verify()
    for ask in (
        lambda: store.get(b"key000000"),
        lambda: list(store.scan(b"", b"z")),
        lambda: store.freeze(b"", b"z"),
    ):
        with pytest.raises(Damaged, match="stays closed, because damage was found in it"):
            ask()


def test_a_table_that_was_not_finished_is_no_damage(tmp_path: Path) -> None:
    """A database that is closed while it merges leaves the table it was writing: here, as measured,
    two times in five."""
    for turn in range(8):
        path, chance = tmp_path / str(turn), random.Random(turn)
        store = LevelDBStore(path, write_buffer_bytes=1 << 20)
        for _ in range(chance.randint(6, 30)):
            store.write([(chance.randbytes(8), chance.randbytes(300)) for _ in range(1500)])
        count = sum(1 for _ in store.scan(b"", b"\xff" * 9))
        store.close()
        verify_database(path)
        store = LevelDBStore(path)
        assert sum(1 for _ in store.scan(b"", b"\xff" * 9)) == count
        store.verify()
        store.close()


def test_a_table_that_nobody_names_is_passed_over_and_one_that_is_named_must_be_there(
    database: Path,
) -> None:
    (database / "000099.ldb").write_bytes(b"")
    (database / "000100.ldb").write_bytes(b"half a table")
    verify_database(database)
    table = next(file for file in database.glob("*.ldb") if file.stat().st_size > 99)
    table.rename(database / "000101.ldb")
    with pytest.raises(Damaged, match="is missing") as caught:
        verify_database(database)
    assert caught.value.file == str(table)


@pytest.mark.parametrize("pattern", DATA_FILES)
def test_every_flipped_byte_is_noticed_and_named(database: Path, pattern: str) -> None:
    files = list(database.glob(pattern))
    assert files
    for file in files:
        data = file.read_bytes()
        for offset, mask in flips(data):
            flipped = bytearray(data)
            flipped[offset] ^= mask
            file.write_bytes(flipped)
            with pytest.raises(Damaged) as caught:
                verify_database(database)
            assert caught.value.file == str(file)
        file.write_bytes(data)
    verify_database(database)


@pytest.mark.parametrize("pattern", DATA_FILES)
def test_flip_is_noticed_through_the_store(database: Path, tmp_path: Path, pattern: str) -> None:
    file = next(database.glob(pattern))
    data = file.read_bytes()
    copy = tmp_path / "copy"
    for offset in sorted({*range(0, len(data), max(len(data) // 25, 1)), len(data) - 1}):
        shutil.copytree(database, copy)
        flipped = bytearray(data)
        flipped[offset] ^= 0x10
        (copy / file.name).write_bytes(flipped)
        assert is_noticed(copy), (file.name, offset)
        shutil.rmtree(copy)


def is_noticed(path: Path) -> bool:
    try:
        store = LevelDBStore(path)
    except Damaged:
        return True
    try:
        store.verify()
    except Damaged:
        return True
    finally:
        store.close()
    return bool(store.notices)


def test_leveldb_itself_would_have_missed_some(database: Path) -> None:
    """Why this reader exists: a flipped filter or footer padding goes unseen by LevelDB."""
    file = next(database.glob("*.ldb"))
    data = bytearray(file.read_bytes())
    data[-9] ^= 1  # padding of the footer
    file.write_bytes(data)
    db = plyvel.DB(str(database), paranoid_checks=True)
    assert len(list(db.iterator(verify_checksums=True))) == 905
    db.close()
    with pytest.raises(Damaged, match="the footer's padding is not zero"):
        verify_table(file)


@pytest.mark.parametrize("pattern", ["*.ldb", "*.log", "MANIFEST-*", "CURRENT"])
def test_cut_and_lengthened_files_are_noticed(database: Path, pattern: str) -> None:
    """A log that ends at a record's end is whole; only the segments know that one is missing."""
    file = next(database.glob(pattern))
    data = file.read_bytes()
    cuts = sorted({1, 5, len(data) // 2, len(data) - 1} & set(range(len(data))))
    for changed in (*(data[:cut] for cut in cuts), data + b"\0", data + b"x"):
        file.write_bytes(changed)
        with pytest.raises(Damaged):
            verify_database(database)
    file.write_bytes(data)


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def table_of(gap: bytes) -> bytes:
    """A table of one data block, written out by hand, with `gap` between it and the next block."""

    def framed(block: bytes) -> bytes:
        crc = crc32c(block + b"\0")
        masked = (((crc >> 15 | crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
        return block + b"\0" + struct.pack("<I", masked)

    def pairs(*values: bytes) -> bytes:
        body = b"".join(bytes([0, 1, len(value)]) + b"k" + value for value in values)
        return body + struct.pack("<II", 0, 1)

    data = pairs(b"value")
    handle = varint(0) + varint(len(data))
    table = framed(data) + gap
    handles = b""
    for block in (pairs(), pairs(handle)):
        handles += varint(len(table)) + varint(len(block))
        table += framed(block)
    return table + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def test_bytes_that_no_block_covers_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "000005.ldb"
    file.write_bytes(table_of(b""))
    verify_table(file)
    file.write_bytes(table_of(b"gap"))
    with pytest.raises(Damaged, match="no block covers the bytes from 22 to 25"):
        verify_table(file)


def test_missing_and_strange_files_are_noticed(database: Path) -> None:
    (database / "stray").write_bytes(b"")
    with pytest.raises(Damaged, match="stray, offset 0: is no file of a LevelDB database"):
        verify_database(database)
    (database / "stray").unlink()
    next(database.glob("MANIFEST-*")).unlink()
    with pytest.raises(Damaged, match=r"CURRENT, offset 0: names MANIFEST-.*, which is missing"):
        verify_database(database)
    (database / "CURRENT").unlink()
    with pytest.raises(Damaged, match="CURRENT, offset 0: is missing"):
        verify_database(database)


EDIT = b"\x00" * 41
FIRST, SECOND = "MANIFEST-000001", "MANIFEST-000002"


@pytest.mark.parametrize(
    "left",
    [
        {FIRST: b""},
        {FIRST: EDIT},
        {FIRST: EDIT, "000001.dbtmp": b""},
        {FIRST: EDIT, "000001.dbtmp": b"MANIFEST-000001\n"},
        {FIRST: b"", "CURRENT": b"MANIFEST-000001\n"},
        {FIRST: b"", "CURRENT": b"MANIFEST-000001\n", "000003.log": b"", SECOND: b"", "LOG": b"x"},
    ],
    ids=lambda left: "+".join(f"{name}:{len(data)}" for name, data in left.items()),
)
def test_a_crash_while_a_database_is_made_is_no_damage(
    tmp_path: Path, left: dict[str, bytes]
) -> None:
    """A kill before each call of the making, and what a power loss leaves of an unsynced file."""
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
    with closing(LevelDBStore(tmp_path)) as store:
        store.write([(b"key", b"value")])
    verify_database(tmp_path)
    with closing(LevelDBStore(tmp_path)) as store:
        assert store.get(b"key") == b"value"


@pytest.mark.parametrize("file", ["000005.ldb", "000004.log", "MANIFEST-000004"])
def test_where_anything_was_stored_a_missing_current_is_damage(tmp_path: Path, file: str) -> None:
    (tmp_path / "MANIFEST-000001").write_bytes(EDIT)
    (tmp_path / file).write_bytes(b"stored")
    with pytest.raises(Damaged, match="CURRENT, offset 0: is missing"):
        LevelDBStore(tmp_path)


def batch_ends(database: Path) -> tuple[Path, bytes, list[int]]:
    """The log of the fixture, and where each of its four batches ends."""
    file = next(database.glob("*.log"))
    data = file.read_bytes()
    ends = []
    for size in range(len(data) + 1):
        if size < 40 or size > len(data) - 800 or size in (1000, 1100):
            file.write_bytes(data[:size])
            try:
                verify_log(file)
            except Damaged:
                continue
            ends.append(size)
    file.write_bytes(data)
    return file, data, ends


def test_unfinished_last_batch_is_cut_and_said_wherever_it_tore(database: Path) -> None:
    file, data, ends = batch_ends(database)
    last, previous = ends[-1], ends[-2]
    assert last == len(data)
    for size in range(previous + 1, last):
        for torn in (data[:size], data[:size] + bytes(last - size)):
            if torn == data:
                continue
            file.write_bytes(torn)
            with pytest.raises(Damaged):
                verify_log(file)
            notices = cut_torn_log(database)
            assert len(notices) == 1
            assert f"unfinished write off the end at offset {previous}" in notices[0].en
            assert file.read_bytes() == data[:previous]
    file.write_bytes(data[: last - 3])
    store = LevelDBStore(database)
    assert len(store.notices) == 1
    assert store.get(rows(900, 901)[0][0]) is not None
    assert store.get(rows(901, 905)[0][0]) is None
    store.close()


def test_damage_before_an_intact_batch_is_never_cut(database: Path) -> None:
    file, data, ends = batch_ends(database)
    for offset in (0, 8, 100, 5000, 32760, 33000, ends[-2] - 1):
        flipped = bytearray(data)
        flipped[offset] ^= 1
        file.write_bytes(flipped)
        with pytest.raises(Damaged) as caught:
            LevelDBStore(database)
        assert caught.value.file == str(file)
        assert file.read_bytes() == flipped


class WatchedDatabase:
    """A database of plyvel's that notes how its batches were asked for."""

    def __init__(self, database: Any, asked: list[dict[str, Any]]) -> None:
        self._database = database
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write_batch(self, **options: Any) -> Any:
        self._asked.append(options)
        return self._database.write_batch(**options)


def test_one_batch_serves_all_writes_and_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    make = plyvel.DB
    monkeypatch.setattr(plyvel, "DB", lambda *a, **b: WatchedDatabase(make(*a, **b), asked))
    store = LevelDBStore(tmp_path / "index")
    for begin in range(0, 50, 10):
        store.write(rows(begin, begin + 10))
    assert asked == [{"sync": True}]
    assert list(store.scan(b"", b"z")) == [
        row for begin in range(0, 50, 10) for row in rows(begin, begin + 10)
    ]
    store.close()


def test_no_memory_is_kept_of_a_batch_that_was_far_larger_than_a_blocks(tmp_path: Path) -> None:
    """A block's is, for the next one; what stands in few rows may be much all the same."""
    store = LevelDBStore(tmp_path / "index", write_buffer_bytes=1 << 20)
    store.write(rows(0, 100))
    assert len(store._batches) == 1
    store.write([(b"large%02d" % n, bytes(1 << 20)) for n in range(24)])
    assert store._batches == []
    store.write([(b"small", b"")])
    assert len(store._batches) == 1
    assert list(store.scan(b"small", b"t")) == [(b"small", b"")]
    store.close()


def test_a_closed_store_takes_no_more_of_what_it_had_room_for(tmp_path: Path) -> None:
    store = LevelDBStore(tmp_path / "index")
    store.write(rows(0, 10))
    store.verify()
    store.write(rows(10, 20))
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.write(rows(20, 30))
    store = LevelDBStore(tmp_path / "index")
    assert list(store.scan(b"", b"z")) == rows(0, 10) + rows(10, 20)
    store.close()
