"""How much is fuzzed: little in every test run, as much as wanted by hand.

    FUZZ_COUNT=100000 FUZZ_SEED=7 scripts/test tests/fuzz

`FUZZ_COUNT` is how many inputs each decoder gets; the other tests take their share of it.
"""

from __future__ import annotations

import os
import random
from typing import Final

COUNT: Final = int(os.environ.get("FUZZ_COUNT", "600"))
SEED: Final = os.environ.get("FUZZ_SEED", "1")


def chance_of(what: str) -> random.Random:
    """Return the chance of one test, from the seed."""
    return random.Random(f"{SEED} {what}")


def share(part: float) -> int:
    """Return a part of the count, one at least."""
    return max(1, round(COUNT * part))
