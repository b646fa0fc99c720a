"""The contract of `storage.keyvalue`, put to every back end."""

from __future__ import annotations

import importlib.util
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.files import InUse, StorageFailure
from storage.keyvalue import KeyValue
from storage.memory import Fault, MemoryStore

Open = Callable[[], KeyValue]


@pytest.fixture(params=["memory", "leveldb", "rocks"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """A function that opens the same store again, after `close`."""
    if request.param == "memory":
        store = MemoryStore()

        def reopened() -> KeyValue:
            store.reopen()
            return store

        return reopened
    module = "plyvel" if request.param == "leveldb" else "rocksdict"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} has no wheel for this Python")
    if request.param == "leveldb":
        from storage.leveldb import LevelDBStore

        return lambda: LevelDBStore(tmp_path / "index")
    from storage.rocks import RocksStore

    return lambda: RocksStore(tmp_path / "index")


@pytest.fixture
def store(opened: Open) -> Iterator[KeyValue]:
    store = opened()
    yield store
    store.close()


def test_get_returns_what_was_put_and_none_for_the_rest(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"b", b""), (b"\0\xff", b"\0" * 70000)])
    assert store.get(b"a") == b"1"
    assert store.get(b"b") == b""
    assert store.get(b"\0\xff") == b"\0" * 70000
    assert store.get(b"") is None
    assert store.get(b"aa") is None


def test_batch_overwrites_and_deletes_after_its_puts(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    store.write([(b"c", b"4"), (b"b", b"5")], [b"b", b"absent"])
    assert list(store.scan(b"", b"z")) == [(b"a", b"3"), (b"c", b"4")]


def test_nothing_is_left_of_a_batch_that_could_not_be_put_together(store: KeyValue) -> None:
    """Nor of one that was written, in the next."""
    store.write([(b"a", b"1"), (b"b", b"2")])
    if not isinstance(store, MemoryStore):
        with pytest.raises((TypeError, ValueError)):
            store.write([(b"c", b"3"), (b"d", None)])  # type: ignore[list-item]
    store.write([(b"e", b"4")], [b"a"])
    store.write([(b"a", b"5")])
    assert list(store.scan(b"", b"z")) == [(b"a", b"5"), (b"b", b"2"), (b"e", b"4")]


def test_deleted_key_can_be_put_again(store: KeyValue) -> None:
    store.write([(b"a", b"1")])
    store.write([], [b"a"])
    store.write([(b"a", b"2")])
    assert list(store.scan(b"", b"z")) == [(b"a", b"2")]


def test_scan_is_half_open_in_both_directions(store: KeyValue) -> None:
    keys = [b"a", b"b", b"b\0", b"c", b"d"]
    store.write([(key, key) for key in keys])
    assert [key for key, _ in store.scan(b"b", b"d")] == [b"b", b"b\0", b"c"]
    assert [key for key, _ in store.scan(b"b", b"d", reverse=True)] == [b"c", b"b\0", b"b"]
    assert [key for key, _ in store.scan(b"aa", b"cc", reverse=True)] == [b"c", b"b\0", b"b"]
    assert list(store.scan(b"d", b"b")) == []
    assert list(store.scan(b"x", b"z", reverse=True)) == []
    assert next(store.scan(b"", b"z", reverse=True)) == (b"d", b"d")


def test_scan_dropped_half_way_leaves_the_store_usable(store: KeyValue) -> None:
    store.write([(bytes([n]), b"") for n in range(100)])
    for key, _ in store.scan(b"\0", b"\xff"):
        if key == b"\x10":
            break
    store.write([(b"\x10", b"new")])
    assert store.get(b"\x10") == b"new"


def test_everything_is_there_after_closing_and_opening(opened: Open) -> None:
    store = opened()
    store.write([(b"a", b"1"), (b"b", b"2")], [])
    store.write([], [b"a"])
    store.close()
    store.close()
    store = opened()
    assert list(store.scan(b"", b"z")) == [(b"b", b"2")]
    assert store.notices == []
    store.verify()
    assert store.get(b"b") == b"2"
    store.close()


def test_store_agrees_with_a_dictionary(opened: Open) -> None:
    chance = random.Random(7)
    model: dict[bytes, bytes] = {}
    store = opened()
    for turn in range(60):
        puts = [
            (chance.randbytes(chance.choice((1, 2))), chance.randbytes(chance.randrange(40)))
            for _ in range(chance.randrange(20))
        ]
        deletes = chance.sample(sorted(model), min(len(model), chance.randrange(4)))
        store.write(puts, deletes)
        model.update(puts)
        for key in deletes:
            del model[key]
        begin, end = sorted((chance.randbytes(1), chance.randbytes(1)))
        expected = sorted((k, v) for k, v in model.items() if begin <= k < end)
        assert list(store.scan(begin, end)) == expected
        assert list(store.scan(begin, end, reverse=True)) == expected[::-1]
        if turn % 20 == 19:
            store.close()
            store = opened()
    store.verify()
    assert dict(store.scan(b"", b"\xff\xff\xff")) == model
    store.close()


def test_second_opening_of_a_database_in_use_is_refused(opened: Open) -> None:
    store = opened()
    if isinstance(store, MemoryStore):
        pytest.skip("one process holds the only twin")
    with pytest.raises(InUse, match="is in use by another process"):
        opened()
    store.close()


def test_twin_fails_a_batch_before_or_after_keeping_it_and_refuses_the_next() -> None:
    for fault, kept in ((Fault.FAILS, None), (Fault.FAILS_AFTERWARDS, b"2")):
        store = MemoryStore()
        store.plan_faults(None, fault)
        store.write([(b"a", b"1")])
        with pytest.raises(StorageFailure, match="write failed as planned"):
            store.write([(b"b", b"2")])
        with pytest.raises(StorageFailure, match="refused after a failed write"):
            store.write([(b"c", b"3")])
        store.reopen()
        assert [store.get(key) for key in (b"a", b"b", b"c")] == [b"1", kept, None]


def test_twin_loses_a_batch_in_silence() -> None:
    store = MemoryStore()
    store.plan_faults(Fault.IS_LOST)
    store.write([(b"a", b"1")])
    store.write([(b"b", b"2")])
    assert list(store.scan(b"", b"z")) == [(b"b", b"2")]


def test_frozen_pairs_are_those_of_the_call_whatever_is_written_before_they_are_read(
    store: KeyValue,
) -> None:
    store.write([(b"a%d" % at, b"%d" % at) for at in range(9)])
    begun, waiting, left = (store.freeze(b"a1", b"a7") for _ in range(3))
    assert next(begun) == (b"a1", b"1")
    assert next(left) == (b"a1", b"1")
    store.write([(b"a3", b"new"), (b"a55", b"new"), (b"b", b"new")], [b"a5"])
    old = [(b"a%d" % at, b"%d" % at) for at in range(1, 7)]
    assert list(begun) == old[1:]
    assert list(waiting) == old
    left.close()
    assert list(store.freeze(b"a5", b"z"))[:2] == [(b"a55", b"new"), (b"a6", b"6")]


def test_a_store_that_finds_no_room_to_open_is_not_called_damaged(opened: Open) -> None:
    """Whoever reads of damage removes the index; here there is only room to be made."""
    store = opened()
    if isinstance(store, MemoryStore):
        return
    store.write([(b"key%03d" % n, bytes(100)) for n in range(300)])
    store.close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageFailure, match="cannot open it"):
            opened()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    again = opened()
    assert sum(1 for _ in again.scan(b"key", b"kez")) == 300
    again.close()
