"""The auditor: adds up every contract again and compares with the sums in the state.

It is given all rows of the state as bytes and shares no line with the books (`contracts.custody`):
it reads plain arrays and knows only where the amounts stand. What it finds wrong it says in
sentences; an empty answer means that every contract, every merchant and every custodian conserves,
that the sums above are the sums of what is below, and that each merchant's sum tree is the tree
over exactly its contracts, built here by the definition.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

_CONTRACT: Final = {"deposited": 11, "interest": 12, "locked": 13, "released": 14, "refunded": 15}
_REPAID: Final = 16
_DUE_HIGH: Final = 21
_PLACE: Final = 25
_INTEREST_PAID: Final = 26
_SIGNED_PARTY: Final = 8
_MERCHANT: Final = {"deposited": 4, "interest": 5, "locked": 6, "released": 7, "refunded": 8}
_OWED: Final = 9
_CLAIMS: Final = 11
_CUSTODIAN: Final = {"deposited": 3, "interest": 4, "locked": 5, "released": 6, "refunded": 7}
"""Places in the records' arrays, the tag being place 0 (docs/FORMATS.md, State)."""

_TAG: Final = b"evidence-ledger/v1/"


def audit(rows: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return what does not add up in the state's `(name, value)` rows; nothing if all does."""
    merchants: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    custodians: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    sums: list[tuple[str, list[Any]]] = []
    claims: dict[str, dict[int, tuple[str, int, int]]] = defaultdict(dict)
    signed: dict[str, list[Any]] = {}
    listed: dict[str, list[Any]] = {}
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
            interest_paid = record[_INTEREST_PAID]
            if not 0 <= interest_paid <= min(amounts["interest"], amounts["refunded"]):
                found.append(f"{name}: interest_paid {interest_paid} was not credited and refunded")
            owed = record[_DUE_HIGH] - amounts["refunded"] + interest_paid - record[_REPAID]
            merchants[record[2]]["owed"] += max(0, owed)
            claims[record[2]][record[_PLACE]] = (name, amounts["locked"], max(0, owed))
        elif kind == "signed":
            signed[name.partition("/")[2]] = record
        elif kind == "listed":
            listed[name] = record[2:]
        elif kind in ("merchant", "custodian"):
            sums.append((name, record))
    for name, record in sums:
        is_merchant = record[0] == "merchant"
        places = _MERCHANT | {"owed": _OWED, "contracts": 3} if is_merchant else _CUSTODIAN
        if not is_merchant:
            places = places | {"contracts": 2}
        owner = name.partition("/")[2]
        if is_merchant:
            found += _check_claims(name, record, claims.pop(owner, {}), signed, listed)
        below = (merchants if is_merchant else custodians).pop(owner, {})
        for each, place in places.items():
            if record[place] != below.get(each, 0):
                found.append(
                    f"{name}: {each} is {record[place]}, and its contracts add up to "
                    f"{below.get(each, 0)}"
                )
        found += _check(name, {each: record[place] for each, place in places.items()})
    found += [f"{row}: there is no such contract" for row in sorted(listed)]
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


def _check_claims(
    name: str,
    record: list[Any],
    claims: dict[int, tuple[str, int, int]],
    signed: dict[str, list[Any]],
    listed: dict[str, list[Any]],
) -> Iterator[str]:
    """Say where a merchant's sum tree is not the tree over its contracts."""
    count = record[3]
    if sorted(claims) != list(range(count)):
        yield f"{name}: its {count} contracts have the places {sorted(claims)}"
        return
    streams = [claims[place][0] for place in range(count)]
    lacking = [stream for stream in streams if stream not in signed]
    if lacking:
        yield f"{name}: {lacking[0]} has no static part"
        return
    names = [_hash("claim", signed[stream][_SIGNED_PARTY] + stream.encode()) for stream in streams]
    for place, pair in enumerate(zip(streams, names, strict=True)):
        row = f"listed/{name}/{place}"
        if listed.pop(row, None) != [*pair]:
            yield f"{row}: it does not list {pair[0]} under the name {pair[1].hex()}"
    if any(amount < 0 for _, *amounts in claims.values() for amount in amounts):
        return
    amounts = [claims[place][1:] for place in range(count)]
    top = _sum_tree([(claim, *each) for claim, each in zip(names, amounts, strict=True)])
    total = _hash("sum-total", count.to_bytes(8, "big") + top[0] + _amounts(*top[1:]))
    if total != record[_CLAIMS]:
        yield f"{name}: its claims have total {total.hex()}, and it says {record[_CLAIMS].hex()}"


def _sum_tree(leaves: list[tuple[bytes, int, int]]) -> tuple[bytes, int, int]:
    """Return (hash, locked, owed) of the tree, split as in RFC 9162 section 2.1.1."""
    if not leaves:
        return bytes(32), 0, 0
    if len(leaves) == 1:
        claim, locked, owed = leaves[0]
        return _hash("sum-leaf", claim + _amounts(locked, owed)), locked, owed
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = _sum_tree(leaves[:middle]), _sum_tree(leaves[middle:])
    both = left[0] + _amounts(*left[1:]) + right[0] + _amounts(*right[1:])
    return _hash("sum-node", both), left[1] + right[1], left[2] + right[2]


def _amounts(locked: int, owed: int) -> bytes:
    return locked.to_bytes(8, "big") + owed.to_bytes(8, "big")


def _hash(tag: str, data: bytes) -> bytes:
    return hashlib.sha256(_TAG + tag.encode() + b"\0" + data).digest()
