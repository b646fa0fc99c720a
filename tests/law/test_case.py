"""Pages that many contracts' cases have in common: known again, and never taken for another."""

from __future__ import annotations

from typing import Any

import pytest

from law.case import CaseReader, KnownPage
from tests.law.test_cases import PUBLISHED

PAGE: dict[str, Any] = PUBLISHED[0]


def test_a_page_is_spelled_once_however_many_contracts_select_it() -> None:
    known: dict[str, KnownPage] = {}
    bases = {CaseReader(known).gather([], [], [dict(PAGE)]).basis for _ in range(3)}
    assert bases == {CaseReader().gather([], [], [PAGE]).basis}
    assert len(known) == 1


@pytest.mark.parametrize(
    "other",
    [
        PAGE | {"version": True},
        PAGE | {"version": "1"},
        PAGE | {"position": PAGE["position"] + 1},
        PAGE | {"points": [*PAGE["points"], {"ppm": 0, "published": 0}]},
        PAGE | {"source": PAGE["source"] + "'"},
        PAGE | {"source": PAGE["source"] + "\\u0031"},
    ],
)
def test_a_page_that_differs_in_anything_is_another(other: dict[str, Any]) -> None:
    known: dict[str, KnownPage] = {}
    first = CaseReader(known).gather([], [], [PAGE]).basis
    second = CaseReader(known).gather([], [], [other]).basis
    assert second == CaseReader().gather([], [], [other]).basis != first
    assert len(known) == 2
