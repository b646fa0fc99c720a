"""The contract under terms, its books replayed from its entries by a second reading.

    locked + released + refunded = deposited + interest

Every applied entry that moves money must state the balances it led to, nothing is moved that was
not locked, and the end must be the record in the state. Whether money was frozen at an instant is
not examined here: that turns on block times, which a plain history does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.refusal import Reason
from verifier.formats import Body, Entry
from verifier.report import NotRun, Refuted
from verifier.strict_json import JsonValue

SIGNED: Final = "contract.signed"
_RECORD_VERSION: Final = 1
_AMOUNTS: Final = (
    "paid",
    "vouchers",
    "bonus",
    "deposited",
    "interest",
    "locked",
    "released",
    "refunded",
    "repaid",
    "debited",
    "deliveries",
)
"""Members 8 to 18 of the record, in their order."""


@dataclass(slots=True)
class Books:
    """A contract's amounts in fen, as its entries make them."""

    parties: dict[str, str]
    amounts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_AMOUNTS, 0))

    def add(self, **changes: int) -> None:
        """Change some amounts."""
        for name, change in changes.items():
            self.amounts[name] += change


def replay_life(
    entries: Sequence[Entry], bodies: Sequence[Body], record: list[Any] | None
) -> Books:
    """Return the books that the entries lead to; raise `Refuted` where anything contradicts."""
    books: Books | None = None
    for place, (entry, body) in enumerate(zip(entries, bodies, strict=True)):
        if entry.outcome.refused:
            _check_refusal(place, entry, body, books)
            continue
        if body.version != 1:
            raise NotRun(
                f"第 {place + 1} 条适用 {body.kind} 第 {body.version} 版规则，本核验程序不认识。",
                f"entries[{place}] ran under {body.kind} version {body.version}, which this "
                "verifier does not know.",
            )
        if body.kind == SIGNED:
            if books is not None:
                raise _refute(place, "合同已订立", "the contract was already signed")
            books = Books({name: str(body.data.get(name, "")) for name in _PARTIES})
            continue
        if books is None:
            raise _refute(place, "合同尚未订立", "the contract was not signed")
        effects = dict(entry.outcome.effects)
        _move(place, body, effects, books)
        for name, value in effects.items():
            if name in books.amounts and value != books.amounts[name]:
                raise _refute(
                    place,
                    f"所载 {name} 为 {value}，复算为 {books.amounts[name]}（分）",
                    f"it states {name} {value}, but the entries give {books.amounts[name]} (fen)",
                )
    assert books is not None, "the first applied entry signed the contract"
    _compare(books, record)
    return books


_PARTIES: Final = ("merchant", "custodian", "consumer_party")


def _move(place: int, body: Body, effects: Mapping[str, int | str], books: Books) -> None:
    data = body.data
    if body.kind == "funds.locked":
        vouchers = own = 0
        for voucher in _list(data["vouchers"]):
            if voucher["issuer"] == books.parties["merchant"]:
                own += voucher["amount"]
            else:
                vouchers += voucher["amount"]
        paid = _int(data["amount"]) + vouchers
        kept = 0 if data["custody"] == "none" else paid
        books.add(paid=paid, vouchers=vouchers, bonus=_int(data["bonus"]) + own)
        books.add(deposited=kept, locked=kept)
    elif body.kind == "interest.accrued":
        books.add(interest=_int(data["amount"]), locked=_int(data["amount"]))
    elif body.kind == "funds.released":
        _take(place, books, _int(data["amount"]), "released")
    elif body.kind == "service.delivered":
        books.add(debited=_int(data["debited"]), deliveries=1)
    elif body.kind == "refund.paid" and effects.get("finding") != "claimed_only":
        if data["source"] == "custody":
            _take(place, books, _int(data["amount"]), "refunded")
        else:
            books.add(repaid=_int(data["amount"]))


def _take(place: int, books: Books, amount: int, name: str) -> None:
    locked = books.amounts["locked"]
    if amount > locked:
        raise _refute(
            place,
            f"动用 {amount} 分，而锁定余额仅 {locked} 分",
            f"{amount} fen were moved, but only {locked} were locked",
        )
    books.add(locked=-amount, **{name: amount})


def _check_refusal(place: int, entry: Entry, body: Body, books: Books | None) -> None:
    """A refusal for want of money names the balance that was there."""
    if entry.outcome.code != "insufficient_locked" or body.version != 1:
        return
    locked = books.amounts["locked"] if books is not None else 0
    amount = body.data.get("amount")
    if (
        type(amount) is not int
        or amount <= locked
        or entry.outcome.effects != (("locked", locked), ("amount", amount))
    ):
        raise _refute(
            place,
            f"以余额不足拒绝 {amount} 分，而锁定余额为 {locked} 分",
            f"refused {amount} fen as more than is locked, but {locked} fen were locked",
        )


def _compare(books: Books, record: list[Any] | None) -> None:
    if record is None or record[:2] != ["contract", _RECORD_VERSION] or len(record) != 27:
        raise NotRun(
            "链上状态的格式本核验程序不认识。",
            "The state's record is not of a version this verifier knows.",
        )
    held = dict(zip(_PARTIES, record[2:5], strict=True)) | dict(
        zip(_AMOUNTS, record[8:19], strict=True)
    )
    for name, expected in (books.parties | books.amounts).items():
        if held[name] != expected:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"链上状态的 {name} 为 {held[name]}，依记录复算为 {expected}。",
                f"The state holds {name} {held[name]}; the entries give {expected}.",
            )


def _int(value: JsonValue) -> int:
    assert type(value) is int, "applied data has its kind's shape"
    return value


def _list(value: JsonValue) -> list[Any]:
    assert isinstance(value, list), "applied data has its kind's shape"
    return value


def _refute(place: int, zh: str, en: str) -> Refuted:
    return Refuted(Reason.BAD_FIELD, f"第 {place + 1} 条：{zh}。", f"entries[{place}]: {en}.")
