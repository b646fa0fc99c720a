"""The contract under terms, its books replayed from its entries by a second reading.

    locked + released + refunded = deposited + interest

Every applied entry that moves money must state the balances it led to, nothing is moved that was
not locked, and the end must be the record in the state. An assignment that took effect makes the
assignee's party the consumer's, and from then on interest of the account goes to the assignee.
Whether money was frozen at an instant is not examined here: that turns on block times, which a
plain history does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from verifier.formats import Body, Entry
from verifier.replaying import check_refusal, compare_with_state, is_same, refute
from verifier.report import NotRun
from verifier.strict_json import INTEGER_MAX, JsonValue

SIGNED: Final = "contract.signed"
_RECORD_VERSION: Final = 1
_RECORD_FIELDS: Final = 31
_CONSUMER: Final = "consumer_party"
_PARTIES: Final = ("merchant", "custodian", _CONSUMER)
"""Members 2 to 4 of the record, in their order."""
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
_INTEREST_PAID: Final = "interest_paid"
"""Member 27."""


@dataclass(slots=True)
class Books:
    """A contract's amounts in fen, as its entries make them."""

    parties: dict[str, str]
    holder: object = None
    """Commitment to whoever holds the claim: the contract's party, then an assignee."""
    amounts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((*_AMOUNTS, _INTEREST_PAID), 0)
    )
    notified: dict[str, tuple[object, str]] = field(default_factory=dict)
    """Assignee and the assignee's party, by the id of the notice's transaction."""
    assigned: list[list[object]] = field(default_factory=list)
    """Assignments that took effect: transaction, assignee, the assignor's party."""

    def add(self, **changes: int) -> None:
        """Change some amounts."""
        for name, change in changes.items():
            self.amounts[name] += change


def replay_life(
    entries: Sequence[Entry], bodies: Sequence[Body], record: list[Any] | None
) -> Books:
    """Return what `fold_life` does, compared with the record in the state."""
    books = fold_life(entries, bodies)
    assert books is not None, "the first applied entry signed the contract"
    _compare(books, record)
    return books


def fold_life(entries: Sequence[Entry], bodies: Sequence[Body]) -> Books | None:
    """Return the books that the entries lead to; raise `Refuted` where anything contradicts."""
    books: Books | None = None
    for place, (entry, body) in enumerate(zip(entries, bodies, strict=True)):
        if entry.outcome.refused:
            locked = 0 if books is None else books.amounts["locked"]
            check_refusal(place, entry, body, locked)
            continue
        if body.version != 1:
            raise NotRun(
                f"第 {place + 1} 条适用 {body.kind} 第 {body.version} 版规则，本核验程序不认识。",
                f"entries[{place}] ran under {body.kind} version {body.version}, which this "
                "verifier does not know.",
            )
        if body.kind == SIGNED:
            if books is not None:
                raise refute(place, "合同已订立", "the contract was already signed")
            books = Books({name: str(body.data.get(name, "")) for name in _PARTIES})
            persons = body.data.get("persons")
            books.holder = persons.get("party") if isinstance(persons, dict) else None
            continue
        if books is None:
            raise refute(place, "合同尚未订立", "the contract was not signed")
        effects = dict(entry.outcome.effects)
        _move(place, body, effects, books)
        for name in _AMOUNTS:
            if books.amounts[name] > INTEGER_MAX:
                raise refute(place, f"{name} 超过上限", f"{name} is more than the bound allows")
        _assign(place, body, effects, books)
        for name, value in effects.items():
            if name in books.amounts and value != books.amounts[name]:
                raise refute(
                    place,
                    f"所载 {name} 为 {value}，复算为 {books.amounts[name]}（分）",
                    f"it states {name} {value}, but the entries give {books.amounts[name]} (fen)",
                )
    return books


def _move(place: int, body: Body, effects: Mapping[str, int | str], books: Books) -> None:
    data = body.data
    if body.kind == "funds.locked":
        vouchers = own = 0
        listed = data.get("vouchers")
        for voucher in listed if isinstance(listed, list) else [None]:
            fields = voucher if isinstance(voucher, dict) else {}
            if fields.get("issuer") == books.parties["merchant"]:
                own += _int(place, fields, "amount")
            else:
                vouchers += _int(place, fields, "amount")
        paid = _int(place, data, "amount") + vouchers
        kept = 0 if data.get("custody") == "none" else paid
        books.add(paid=paid, vouchers=vouchers, bonus=_int(place, data, "bonus") + own)
        books.add(deposited=kept, locked=kept)
    elif body.kind == "interest.accrued":
        amount = _int(place, data, "amount")
        books.add(interest=amount, locked=amount)
    elif body.kind == "funds.released":
        _take(place, books, _int(place, data, "amount"), "released")
    elif body.kind == "interest.paid":
        amount, left = _int(place, data, "amount"), books.amounts["interest"]
        left -= books.amounts[_INTEREST_PAID]
        payee = data.get("payee")
        if amount > left or not isinstance(payee, str) or payee != books.holder:
            raise refute(
                place,
                f"支付账户利息 {amount} 分，而未付利息仅 {left} 分，或收款人并非债权人",
                f"{amount} fen of interest were paid, where {left} were left, or not to whoever "
                "holds the claim",
            )
        _take(place, books, amount, "refunded")
        books.add(interest_paid=amount)
    elif body.kind == "service.delivered":
        books.add(debited=_int(place, data, "debited"), deliveries=1)
    elif body.kind == "refund.paid" and effects.get("finding") != "claimed_only":
        amount = _int(place, data, "amount")
        if data.get("source") == "custody":
            _take(place, books, amount, "refunded")
        else:
            books.add(repaid=amount)


def _assign(place: int, body: Body, effects: Mapping[str, int | str], books: Books) -> None:
    """Follow an assignment: what took effect is one that was notified, and takes effect once."""
    tx_id = body.tx_id.hex() if body.kind == "assignment.notified" else str(body.data.get("of"))
    if body.kind == "assignment.notified":
        party = str(body.data.get("assignee_party", ""))
        books.notified[tx_id] = body.data.get("assignee"), party
    known = books.notified.get(tx_id)
    if _CONSUMER not in effects:
        took = any(tx_id == one[0].hex() for one in books.assigned if isinstance(one[0], bytes))
        if body.kind == "notice.arrived" and known is not None and not took:
            raise refute(
                place,
                "债权转让通知到达而受让人未生效",
                "a notice of assignment arrived without effect",
            )
        return
    made = [effects.get("assignee"), effects[_CONSUMER]]
    is_notice = body.kind in ("assignment.notified", "notice.arrived")
    if not is_notice or known is None or not is_same(made, list(known)):
        raise refute(
            place,
            f"所载消费者主体 {effects[_CONSUMER]} 不是所通知的受让人",
            f"it makes {effects[_CONSUMER]} the consumer, which no notice of assignment names",
        )
    books.holder = known[0]
    books.assigned.append([bytes.fromhex(tx_id), known[0], books.parties[_CONSUMER]])
    books.parties[_CONSUMER] = known[1]


def _take(place: int, books: Books, amount: int, name: str) -> None:
    locked = books.amounts["locked"]
    if amount > locked:
        raise refute(
            place,
            f"动用 {amount} 分，而锁定余额仅 {locked} 分",
            f"{amount} fen were moved, but only {locked} were locked",
        )
    books.add(locked=-amount, **{name: amount})


def _compare(books: Books, record: list[Any] | None) -> None:
    if (
        record is None
        or not is_same(record[:2], ["contract", _RECORD_VERSION])
        or len(record) != _RECORD_FIELDS
    ):
        raise NotRun(
            "链上状态的格式本核验程序不认识。",
            "The state's record is not of a version this verifier knows.",
        )
    derived: dict[str, object] = {**books.parties, **books.amounts, "assigned": books.assigned}
    held = [*record[2:5], *record[8:19], record[26], record[28]]
    names = (*_PARTIES, *_AMOUNTS, _INTEREST_PAID, "assigned")
    compare_with_state(
        {name: (value, derived[name]) for name, value in zip(names, held, strict=True)}
    )


def _int(place: int, data: Mapping[str, JsonValue], name: str) -> int:
    value = data.get(name)
    if type(value) is not int or value < 0:
        raise refute(place, f"{name} 不是非负整数", f"{name} is no whole number from 0")
    return value
