"""RocksDB's own failures are told apart: damage, a torn log, another process."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rocksdict", exc_type=ImportError)

from storage.files import Damaged
from storage.rocks import RocksStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    for turn in range(2):
        store = RocksStore(path)
        store.write([(b"key%d%03d" % (turn, n), bytes(50)) for n in range(300)])
        store.close()
    return path


def test_a_broken_footer_is_damage_and_not_another_process(database: Path) -> None:
    """RocksDB speaks of a block there, which holds the word it has for its lock."""
    table = max(database.glob("*.sst"))
    data = bytearray(table.read_bytes())
    data[-60] ^= 4
    table.write_bytes(data)
    with pytest.raises(Damaged, match="index, offset 0: RocksDB "):
        RocksStore(database).verify()


def test_a_torn_log_is_cut_at_a_start_and_damage_to_whoever_is_strict(tmp_path: Path) -> None:
    path, copy = tmp_path / "index", tmp_path / "copy"
    store = RocksStore(path)
    for turn in range(3):
        store.write([(b"key%d" % turn, bytes(500))])
    log = next(file for file in path.glob("*.log") if file.stat().st_size)
    copy.mkdir()
    for file in path.iterdir():
        data = file.read_bytes()
        (copy / file.name).write_bytes(data[:-200] if file == log else data)
    store.close()
    with pytest.raises(Damaged, match="copy, offset 0: RocksDB cannot open it: Corruption"):
        RocksStore(copy, is_strict=True)
    again = RocksStore(copy)
    assert [key for key, _ in again.scan(b"", b"z")] == [b"key0", b"key1"]
    again.close()
