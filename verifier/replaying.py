"""What the replays of a contract's entries share, whatever rules they replay.

A refusal for want of money names the balance that was there; the end is compared with the record in
the state, member by member; what contradicts is told by the entry's place. Values are the same only
with their type: `True` is no amount of one fen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.refusal import Reason
from verifier.formats import Body, Entry
from verifier.report import Refuted


def check_refusal(place: int, entry: Entry, body: Body, locked: int) -> None:
    """Raise `Refuted` unless a refusal for want of money names `locked` fen and more wanted."""
    if entry.outcome.code != "insufficient_locked" or body.version != 1:
        return
    amount = body.data.get("amount")
    if (
        type(amount) is not int
        or amount <= locked
        or entry.outcome.effects != (("locked", locked), ("amount", amount))
    ):
        raise refute(
            place,
            f"以余额不足拒绝 {amount} 分，而锁定余额为 {locked} 分",
            f"refused {amount} fen as more than is locked, but {locked} fen were locked",
        )


def compare_with_state(derived: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise `Refuted` unless each member, as (held in the state, derived), is the same twice."""
    for name, (held, expected) in derived.items():
        if not is_same(held, expected):
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"链上状态的 {name} 为 {held}，依记录复算为 {expected}。",
                f"The state holds {name} {held}; the entries give {expected}.",
            )


def is_same(held: Any, expected: Any) -> bool:
    """Say whether two values are the same, type included."""
    if type(held) is list and type(expected) is list:
        return len(held) == len(expected) and all(map(is_same, held, expected))
    return type(held) is type(expected) and bool(held == expected)


def refute(place: int, zh: str, en: str) -> Refuted:
    """Return what contradicts in the entry at `place`, from 0."""
    return Refuted(Reason.BAD_FIELD, f"第 {place + 1} 条：{zh}。", f"entries[{place}]: {en}.")
