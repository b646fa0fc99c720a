"""Rows kept at hand are the store's own rows, whatever is read, written, removed and forgotten."""

from __future__ import annotations

import random

from node.recent_rows import RecentRows


def test_it_never_differs_from_the_store():
    chance = random.Random(7)
    store: dict[bytes, bytes] = {}
    rows = RecentRows[bytes](store.get, 16)
    for step in range(5000):
        key = bytes([chance.randrange(60)])
        if chance.random() < 0.4:
            written = [(bytes([chance.randrange(60)]), step.to_bytes(4)) for _ in range(3)]
            store.update(written)
            chance.choice((rows.update, rows.replace))(written)
        assert rows.get(key) == store.get(key)
        asked = [bytes([chance.randrange(60)]) for _ in range(chance.randrange(4))]
        assert rows.get_all(asked) == [store.get(each) for each in asked]
        assert len(rows._young) <= 8
        assert len(rows._old) <= 8


def test_a_row_at_hand_is_not_read_again():
    asked = []

    def read(key):
        asked.append(key)
        return b"row"

    rows = RecentRows[str](read, 8)
    assert [rows.get("a") for _ in range(3)] == [b"row"] * 3
    rows.update([("b", b"written")])
    assert rows.get("b") == b"written"
    assert asked == ["a"]


def test_what_is_only_replaced_does_not_come_in():
    store = {"a": b"old", "b": b"old"}
    rows = RecentRows[str](store.get, 8)
    rows.get("a")
    store.update(a=b"new", b=b"new")
    rows.replace([*store.items()])
    store.clear()
    assert [rows.get("a"), rows.get("b")] == [b"new", None]
