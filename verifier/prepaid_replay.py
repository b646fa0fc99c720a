"""The prepaid contract, version 1, replayed from its entries by a second reading of its rules.

    open ──► prepay ──► consume … ──► refund
             paid += a   locked → released   locked → refunded

Every entry that was applied must be one the rules allow (opened once, signed by whom the terms
name, never more than is locked) and must state the balances it led to. One that was refused changes
nothing; a refusal for want of money must name the balance that was there. The end must be the
record in the state, with locked + released + refunded = paid. A kind or version this module does
not know is no contradiction: then the step is not run, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.refusal import Reason
from verifier.formats import Body, Entry
from verifier.replaying import check_refusal, compare_with_state, is_same, refute
from verifier.report import NotRun, Refuted
from verifier.strict_json import INTEGER_MAX, JsonValue

_ACTIONS: Final = {"prepaid.prepay": 0, "prepaid.consume": 1, "prepaid.refund": 2}
_ROLES: Final = ("merchant", "custodian", "consumer")
_RECORD_VERSION: Final = 1


@dataclass(slots=True)
class Balance:
    """A contract as its entries make it: terms, amounts in fen, and how often each was done."""

    parties: dict[str, str]
    """Party of each role; empty for a consumer who does not sign."""
    consumer: str
    industry: str
    terms_hash: str
    attesters: list[str]
    """Roles that must sign prepay, consume and refund, each space-separated."""
    opened_height: int
    paid: int = 0
    locked: int = 0
    released: int = 0
    refunded: int = 0
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])

    def move(self, action: int, amount: int) -> None:
        """Prepay (0), consume (1) or refund (2) an amount."""
        if action == 0:
            self.paid += amount
            self.locked += amount
        else:
            self.locked -= amount
            if action == 1:
                self.released += amount
            else:
                self.refunded += amount
        self.counts[action] += 1

    def effects(self) -> tuple[tuple[str, int | str], ...]:
        """Return the effects that the newest transaction must state."""
        return (
            ("paid", self.paid),
            ("locked", self.locked),
            ("released", self.released),
            ("refunded", self.refunded),
        )


def replay(
    entries: Sequence[Entry], bodies: Sequence[Body], record: list[Any] | None
) -> Balance | None:
    """Return what `fold` does, compared with the record in the state."""
    balance = fold(entries, bodies)
    _compare(balance, record)
    return balance


def fold(entries: Sequence[Entry], bodies: Sequence[Body]) -> Balance | None:
    """Return the balance the entries lead to, or None if none of them opened the contract.

    Raises `Refuted` where an entry contradicts the rules, `NotRun` where they are not known here.
    """
    balance: Balance | None = None
    for place, (entry, body) in enumerate(zip(entries, bodies, strict=True)):
        if entry.outcome.refused:
            check_refusal(place, entry, body, 0 if balance is None else balance.locked)
            continue
        if body.version != 1 or not (
            body.kind in _ACTIONS or body.kind in ("prepaid.open", "attest", "private.committed")
        ):
            raise NotRun(
                f"第 {place + 1} 条适用 {body.kind} 第 {body.version} 版规则，本核验程序不认识；"
                "记录的完整性（第 12 步）不受影响。",
                f"entries[{place}] ran under {body.kind} version {body.version}, which this "
                "verifier does not know; completeness (step 12) does not depend on it.",
            )
        if body.kind == "prepaid.open":
            if balance is not None:
                raise refute(place, "合同已开立，不能再次开立", "the contract was already open")
            balance = _open(place, entry, body)
            continue
        if balance is None:
            raise refute(place, "合同尚未开立", "the contract was not open")
        if body.kind in _ACTIONS:
            _apply(place, entry, body, balance)
    return balance


def _open(place: int, entry: Entry, body: Body) -> Balance:
    data = body.data
    attesters = data.get("attesters", {})
    if not isinstance(attesters, dict):
        raise refute(place, "attesters 格式不符", "attesters is not an object")
    balance = Balance(
        parties={
            "merchant": _text(place, data, "merchant"),
            "custodian": _text(place, data, "custodian"),
            "consumer": _text(place, data, "consumer_party", ""),
        },
        consumer=_text(place, data, "consumer"),
        industry=_text(place, data, "industry"),
        terms_hash=_text(place, data, "terms_hash"),
        attesters=[_roles(place, attesters.get(a)) for a in ("prepay", "consume", "refund")],
        opened_height=entry.height,
    )
    _check_signers(place, body, balance, "merchant")
    if entry.outcome.effects != (("locked", 0),):
        raise refute(place, "开立后的余额应为 0", "an opened contract has nothing locked")
    return balance


def _apply(place: int, entry: Entry, body: Body, balance: Balance) -> None:
    action = _ACTIONS[body.kind]
    _check_signers(place, body, balance, balance.attesters[action])
    amount = body.data.get("amount")
    if type(amount) is not int or amount < 1:
        raise refute(place, f"金额 {amount} 不是正整数分", f"amount {amount} is not whole fen")
    if action and amount > balance.locked:
        raise refute(
            place,
            f"动用 {amount} 分，而锁定余额仅 {balance.locked} 分",
            f"{amount} fen were moved, but only {balance.locked} were locked",
        )
    balance.move(action, amount)
    if balance.paid > INTEGER_MAX:
        raise refute(place, "已付金额超过上限", "more was paid than the bound allows")
    if entry.outcome.effects != balance.effects():
        stated = ", ".join(f"{name} {value}" for name, value in entry.outcome.effects)
        derived = ", ".join(f"{name} {value}" for name, value in balance.effects())
        raise refute(
            place,
            f"所载余额为 {stated}，复算为 {derived}（分）",
            f"it states {stated}, but the entries give {derived} (fen)",
        )


def _check_signers(place: int, body: Body, balance: Balance, needed: str) -> None:
    """Every needed role signed, and nobody who is not of this contract."""
    strangers = [signer for signer in body.signers if signer not in balance.parties.values()]
    missing = [role for role in needed.split(" ") if balance.parties[role] not in body.signers]
    if strangers or missing:
        raise refute(
            place,
            f"签名者为 {'、'.join(body.signers)}，而合同要求 {needed} 签名且仅限合同各方",
            f"it was signed by {', '.join(body.signers)}, but {needed} must sign, and only "
            "parties of the contract may",
        )


def _compare(balance: Balance | None, record: list[Any] | None) -> None:
    if balance is None or record is None:
        if balance is not None or record is not None:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"依记录合同{'未' if balance is None else '已'}开立，链上状态却相反。",
                f"By its entries the contract was {'never ' if balance is None else ''}opened; "
                "the state says otherwise.",
            )
        return
    if not is_same(record[:2], ["prepaid", _RECORD_VERSION]) or len(record) != 18:
        raise NotRun(
            f"链上状态 {record[:2]} 的格式本核验程序不认识。",
            f"The state's record {record[:2]} is not of a version this verifier knows.",
        )
    derived = {
        "merchant": (record[2], balance.parties["merchant"]),
        "custodian": (record[3], balance.parties["custodian"]),
        "consumer": (_hex(record[4]), balance.consumer),
        "consumer_party": (record[5], balance.parties["consumer"]),
        "industry": (record[6], balance.industry),
        "terms_hash": (_hex(record[7]), balance.terms_hash),
        "attesters": (record[8], balance.attesters),
        "opened_height": (record[9], balance.opened_height),
        "paid": (record[11], balance.paid),
        "locked": (record[12], balance.locked),
        "released": (record[13], balance.released),
        "refunded": (record[14], balance.refunded),
        "counts": (record[15:18], balance.counts),
    }
    compare_with_state(derived)


def _text(place: int, data: dict[str, JsonValue], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise refute(place, f"缺少 {name}", f"{name} is missing")
    return value


def _roles(place: int, roles: JsonValue) -> str:
    if roles is None:
        return "merchant"
    if not isinstance(roles, list) or not roles or not all(role in _ROLES for role in roles):
        raise refute(place, "attesters 含未知角色", "attesters names an unknown role")
    return " ".join([str(role) for role in roles])


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
