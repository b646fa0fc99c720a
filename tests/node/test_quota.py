"""A submitter's quota on clocks that move as real ones do."""

from __future__ import annotations

import pytest

from node.submissions import Quota

DAY_S = 86_400.0


def test_what_is_taken_comes_back_with_time() -> None:
    quota = Quota(2.0, 3.0)
    assert [quota.take("m-yoga", DAY_S) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert quota.take("m-swim", DAY_S) == 0.0
    assert quota.take("m-yoga", DAY_S + 0.5) == 0.0


@pytest.mark.parametrize("step_s", [-1.0, -3 * 3600.0, 3 * 3600.0])
def test_a_clock_that_is_set_locks_nobody_out(step_s: float) -> None:
    """Somebody corrects it by hours: the submitter has what it had, and earns as before."""
    quota = Quota(2.0, 3.0)
    quota.take("m-yoga", DAY_S)
    assert [quota.take("m-yoga", DAY_S + step_s) for _ in range(2)] == [0.0, 0.0]
    assert quota.take("m-yoga", DAY_S + step_s + 1.0) == 0.0
