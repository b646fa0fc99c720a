"""The auditor: adds up every contract again and compares with the sums in the state.

It is given all rows of the state as bytes and shares no line with the books (`contracts.custody`):
it reads plain arrays and knows only where the amounts stand. What it finds wrong it says in
sentences; an empty answer means that every contract, every merchant and every custodian conserves,
and that the sums above are the sums of what is below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

_CONTRACT: Final = {"deposited": 11, "interest": 12, "locked": 13, "released": 14, "refunded": 15}
_REPAID: Final = 16
_DUE_HIGH: Final = 21
_MERCHANT: Final = {"deposited": 4, "interest": 5, "locked": 6, "released": 7, "refunded": 8}
_OWED: Final = 9
_CUSTODIAN: Final = {"deposited": 3, "interest": 4, "locked": 5, "released": 6, "refunded": 7}
"""Places in the records' arrays, the tag being place 0 (docs/FORMATS.md, State)."""


def audit(rows: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return what does not add up in the state's `(name, value)` rows; nothing if all does."""
    merchants: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    custodians: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sums: list[tuple[str, list[Any]]] = []
    found: list[str] = []
    for name, value in rows:
        record = msgspec.msgpack.decode(value)[2]
        kind = record[0] if record else ""
        if kind == "contract":
            amounts = {each: record[place] for each, place in _CONTRACT.items()}
            found += _check(name, amounts)
            for each, amount in amounts.items():
                merchants[record[2]][each] += amount
                custodians[record[3]][each] += amount
            merchants[record[2]]["contracts"] += 1
            custodians[record[3]]["contracts"] += 1
            owed = record[_DUE_HIGH] - amounts["refunded"] - record[_REPAID]
            merchants[record[2]]["owed"] += max(0, owed)
        elif kind in ("merchant", "custodian"):
            sums.append((name, record))
    for name, record in sums:
        is_merchant = record[0] == "merchant"
        places = _MERCHANT | {"owed": _OWED, "contracts": 3} if is_merchant else _CUSTODIAN
        if not is_merchant:
            places = places | {"contracts": 2}
        below = (merchants if is_merchant else custodians).pop(name.partition("/")[2], {})
        for each, place in places.items():
            if record[place] != below.get(each, 0):
                found.append(
                    f"{name}: {each} is {record[place]}, and its contracts add up to "
                    f"{below.get(each, 0)}"
                )
        found += _check(name, {each: record[place] for each, place in places.items()})
    for kind, left in (("merchant", merchants), ("custodian", custodians)):
        found += [f"{kind}/{name}: there is no sum of its contracts" for name in sorted(left)]
    return found


def _check(name: str, amounts: dict[str, int]) -> Iterator[str]:
    inside = amounts["locked"] + amounts["released"] + amounts["refunded"]
    if inside != amounts["deposited"] + amounts["interest"]:
        yield (
            f"{name}: locked {amounts['locked']} + released {amounts['released']} + refunded "
            f"{amounts['refunded']} is not deposited {amounts['deposited']} + interest "
            f"{amounts['interest']}"
        )
    for each, amount in amounts.items():
        if amount < 0:
            yield f"{name}: {each} is {amount}, below 0"
