"""Steps 20 and 21: a merchant's schedule of claims, contract by contract, and that it is whole.

The first line of the file proves the merchant's record at one height: how many contracts there are,
the sums over them, and the hash of the sum tree whose leaves they are. Each further line is the
complete record of one contract, proven under a checkpoint of its own, which is of that height or a
later one. So a node can make the file line by line while the chain goes on: what a contract had
locked and owed at the height of the total follows from those of its entries that are not later. The
leaves made of that, in the order of the lines, must give the hash in the merchant's record. A
contract left out, added, moved, doubled or exchanged gives another number or another hash.

One line is in memory at a time, and one row of the table for each contract; besides them the
parties of the line before and the published pages that were read, which most lines have in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from ledger import tags
from ledger.evidence import contract_stream
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.refusal import Reason, Rejected
from ledger.sum_tree import SumFrontier, compute_leaf
from verifier.case import Case
from verifier.evidence_file import ScheduleFile, read_schedule_line
from verifier.formats import Body
from verifier.liability_steps import compute_owed
from verifier.life_replay import Books, fold_life
from verifier.report import NotRun, Refuted, Said, Words, words_of
from verifier.wording import count_contracts, count_entries, format_fen

COLUMNS: Final = ("paid", "released", "refunded", "locked", "owed")
"""Of the table, in fen."""

_ADDED: Final = ("paid", "deposited", "interest", "locked", "released", "refunded")
_COMPARED: Final = ("deposited", "interest", "locked", "released", "refunded", "owed")
_COMMITMENT: Final = re.compile(f"[0-9a-f]{{{2 * HASH_BYTES}}}")
_READING: Final = Words("文件可读", "the file can be read")

Plan = tuple[tuple[int, Words, Callable[[Case], Said]], ...]


def check_contracts(case: Case, *, plan: Plan) -> Words:
    """Step 20: each line proves one contract's whole record; `plan` are the steps of one."""
    file = case.file
    assert isinstance(file, ScheduleFile), "the step concerns a schedule"
    frontier = SumFrontier()
    sums = dict.fromkeys((*_ADDED, "owed"), 0)
    rows: list[dict[str, object]] = []
    entries = 0
    for place in range(case.total.size):
        raw = next(file.lines, None)
        if raw is None:
            break
        contract, books, owed = _check_line(case, file, raw, place, plan)
        amounts = books.amounts | {"owed": owed}
        stream = contract_stream(contract.contract)
        name = tagged_hash(tags.CLAIM, contract.party + stream.encode())
        frontier.append(compute_leaf(name, amounts["locked"], owed))
        for member in sums:
            sums[member] += amounts[member]
        entries += contract.entries
        row: dict[str, object] = {"contract": contract.contract, "height": contract.height}
        rows.append(row | {member: amounts[member] for member in COLUMNS})
        case.stated_count += contract.is_owed_stated
    case.reached, case.reached_sums = frontier.total, sums
    case.facts["schedule"] = rows
    count = len(rows)
    return Words(
        f"文件所载 {count} 份合同，逐份核验：各份记录完整（共 {entries} 条），签名、密钥与余额均"
        "复核一致。",
        f"{count_contracts(count)} in the file, each examined by itself: its record is complete "
        f"({count_entries(entries)} in all), and signatures, keys and balances hold.",
    )


def check_whole(case: Case) -> Words:
    """Step 21: the contracts are all that the merchant's record counts, with its sums."""
    file = case.file
    assert isinstance(file, ScheduleFile), "the step concerns a schedule"
    total, reached = case.total, case.reached
    extra = 0 if reached.size < total.size else sum(1 for _ in file.lines)
    count = reached.size + extra
    if count != total.size:
        difference = abs(total.size - count)
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"经营者的记录载明 {total.size} 份合同，文件中有 {count} 份，"
            f"{'缺少' if count < total.size else '多出'} {difference} 份。",
            f"The merchant's record counts {count_contracts(total.size)} and the file holds "
            f"{count}: {difference} {'missing' if count < total.size else 'too many'}.",
        )
    if reached.hash != total.hash:
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"{count} 份合同的和树为 {reached.hash.hex()}，经营者的记录载明 {total.hash.hex()}：有"
            "合同被遗漏、重复、替换或调换次序。",
            f"The sum tree of {count_contracts(count)} is {reached.hash.hex()}, the merchant's "
            f"record says {total.hash.hex()}: some contract was left out, doubled, "
            "replaced or moved.",
        )
    for name in _COMPARED:
        if case.reached_sums[name] != case.sums[name]:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"各合同的 {name} 合计 {case.reached_sums[name]} 分，经营者的记录载明 "
                f"{case.sums[name]} 分。",
                f"The contracts' {name} add up to {case.reached_sums[name]} fen, the merchant's "
                f"record says {case.sums[name]} fen.",
            )
    case.facts["schedule_fen"] = {name: case.reached_sums[name] for name in COLUMNS}
    paid, released, refunded, locked, owed = (
        format_fen(case.reached_sums[name]) for name in COLUMNS
    )
    return Words(
        f"这 {count} 份即为该经营者截至高度 {case.state_header.height} 按条款订立的全部合同，无"
        f"遗漏、无重复：已付 {paid.zh}，已释放 {released.zh}，已退款 {refunded.zh}，锁定 "
        f"{locked.zh}，应退余额至多 {owed.zh}。",
        f"These {count} are all contracts under terms that the merchant has as of height "
        f"{case.state_header.height}; none is left out and none counted twice: {paid.en} paid, "
        f"{released.en} released, {refunded.en} refunded, {locked.en} locked, at most {owed.en} "
        "owed.",
    )


class _Contract:
    """What a line established beside its books."""

    __slots__ = ("contract", "entries", "height", "is_owed_stated", "party")

    def __init__(
        self, contract: str, entries: int, height: int, party: bytes, is_owed_stated: bool
    ) -> None:
        self.contract = contract
        self.entries = entries
        self.height = height
        self.party = party
        self.is_owed_stated = is_owed_stated
        """What is owed is as its outcome says, and was not derived again."""


def _check_line(
    case: Case, file: ScheduleFile, raw: bytes, place: int, plan: Plan
) -> tuple[_Contract, Books, int]:
    """Examine one line; return its contract with its books and what is owed at the total's height.

    Raises `Refuted`, naming the line and the step of it that failed.
    """
    inner = Case(case.trusted_chain_id)
    case.share(inner)
    number, name = 1, _READING
    try:
        inner.file = line = read_schedule_line(raw, file.genesis)
        for number, name, check in plan:  # noqa: B007 - they are told where one fails
            try:
                check(inner)
            except NotRun as why:
                if number == _BALANCES:
                    raise Refuted(Reason.UNKNOWN_KIND, why.words.zh, why.words.en) from None
        number, name = 21, Words("债权表齐全", "the schedule is whole")
        books, due, party = _derive_at(case, inner)
    except (Refuted, Rejected) as why:
        said = why.words if isinstance(why, Refuted) else words_of(why)
        raise Refuted(
            why.reason,
            f"第 {place + 1} 份合同，第 {number} 步（{name.zh}）：{said.zh}",
            f"Contract {place + 1}, step {number} ({name.en}): {said.en}",
        ) from None
    height = inner.state_header.height
    is_owed_stated = due is not None and inner.working is None
    contract = _Contract(line.contract, len(inner.entries), height, party, is_owed_stated)
    amounts = books.amounts
    owed = compute_owed(due or 0, amounts["refunded"], amounts["interest_paid"], amounts["repaid"])
    return contract, books, owed


_BALANCES: Final = 13
"""The step without which a contract's amounts are not known."""


def _derive_at(case: Case, inner: Case) -> tuple[Books, int | None, bytes]:
    """Return (books, due, commitment to the consumer) as of the height of the total; due is None
    where nothing was computed."""
    height = case.state_header.height
    if inner.state_header.height < height:
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"该合同证明到高度 {inner.state_header.height}，而合计是高度 {height} 的。",
            f"The contract is proven up to height {inner.state_header.height}, and the total is "
            f"that of height {height}.",
        )
    entries = [entry for entry in inner.entries if entry.height <= height]
    bodies = inner.bodies[: len(entries)]
    books = inner.books if len(entries) == len(inner.entries) else None
    books = books or fold_life(entries, bodies)
    if books is None:
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"该合同在高度 {height} 尚未按条款订立。",
            f"The contract was not signed under terms by height {height}.",
        )
    merchant = case.facts["merchant"]
    if books.parties["merchant"] != merchant:
        raise Refuted(
            Reason.BAD_FIELD,
            f"该合同的经营者为 {books.parties['merchant']}，而不是 {merchant}。",
            f"The contract is of merchant {books.parties['merchant']}, not of {merchant}.",
        )
    due: int | None = None
    party = b""
    for entry, body in zip(entries, bodies, strict=True):
        if entry.outcome.refused:
            continue
        if body.kind == "refund.computed":
            due = _take_due(dict(entry.outcome.effects))
        elif body.kind == "contract.signed":
            party = _take_party(body)
    return books, due, party


def _take_due(effects: dict[str, Any]) -> int:
    due = effects.get("due_high")
    if type(due) is not int or due < 0:
        raise Refuted(
            Reason.BAD_FIELD,
            "应退金额的计算没有载明 due_high。",
            "A computation of what is owed states no due_high.",
        )
    return due


def _take_party(body: Body) -> bytes:
    persons = body.data.get("persons")
    party = persons.get("party") if isinstance(persons, dict) else None
    if not isinstance(party, str) or not _COMMITMENT.fullmatch(party):
        raise Refuted(
            Reason.BAD_FIELD,
            "订立合同的记录没有载明消费者承诺值。",
            "The entry that signed the contract has no commitment to the consumer.",
        )
    return bytes.fromhex(party)
