"""Tests of LevelDB, where this Python has it: plyvel has no wheel past CPython 3.12."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

needs_leveldb = pytest.mark.skipif(
    find_spec("plyvel") is None, reason="it is about LevelDB's own files, and plyvel is not here"
)
