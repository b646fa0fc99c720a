"""For the simulator's tests: what one network leaves behind is freed before the next is made.

Its nodes hold one another in cycles, and each has memory that the collector, which counts objects,
takes for little: a worker grew to 4 GB. What was there before the first of these tests is not
looked through again after each.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sim import allocator


@pytest.fixture(autouse=True, scope="session")
def _what_was_there_before() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _freed() -> Iterator[None]:
    yield
    allocator.collect()
