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
            row = step.to_bytes(4, "big") if chance.random() < 0.9 else None
            if row is None:
                store.pop(key, None)
            else:
                store[key] = row
            rows.update([(key, row)])
        assert rows.get(key) == store.get(key)
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
