"""Steps 12 and 13: the record is complete, and its balances follow from it.

Completeness is one state proof and a recount: the certified state commits to how many entries name
the contract and to the RFC 9162 root over them, so an entry left out, added, altered or moved gives
another count or another root. Balances are then derived again from what was said and what became of
it, by this module's own reading of the prepaid contract, and compared with the record.
"""

from __future__ import annotations

from ledger.evidence import contract_stream
from ledger.merkle import EMPTY_ROOT, Frontier
from ledger.merkle_range import verify_range
from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import HistoryFile, RecordFile
from verifier.life_replay import SIGNED, replay_life
from verifier.prepaid_replay import replay
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.state_formats import StateValue
from verifier.wording import count_entries, format_fen, show_name


def check_completeness(case: Case) -> Said:
    """Step 12: the entries are all there are of this contract up to the header's height."""
    file = case.file
    if not isinstance(file, HistoryFile | RecordFile):
        raise NotRun(
            "此文件只涉及一笔交易；记录是否完整，须用 kind 为 history 的文件核验。",
            "This file is about one transaction; whether a record is complete is what a file of "
            "kind history shows.",
        )
    stream = contract_stream(file.contract)
    if file.state.stream != stream:
        raise Refuted(
            Reason.BAD_FIELD,
            f"状态值属于 {show_name(file.state.stream)}，而不是 {stream}。",
            f"The state value is that of {show_name(file.state.stream)}, not of {stream}.",
        )
    for place, body in enumerate(case.bodies):
        if body.stream != stream:
            raise Refuted(
                Reason.BAD_FIELD,
                f"第 {place + 1} 条归属 {body.stream}，而不是 {stream}。",
                f"entries[{place}] names stream {body.stream}, not {stream}.",
            )
    if isinstance(file, RecordFile):
        return _check_positions(case, file, stream)
    value = case.state_value = case.read_proven(file.state)
    count = len(case.entries)
    if count != value.count:
        difference = abs(value.count - count)
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"链上状态载明 {value.count} 条，文件中有 {count} 条，"
            f"{'缺少' if count < value.count else '多出'} {difference} 条。",
            f"The state counts {count_entries(value.count)} and the file holds {count}: "
            f"{difference} {'missing' if count < value.count else 'too many'}.",
        )
    root = Frontier.empty().extend([entry.leaf for entry in case.entries]).root()
    if root != value.root:
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"{count} 条记录的根为 {root.hex()}，链上状态载明 {value.root.hex()}：有记录被替换、"
            "改动或调换次序。",
            f"The root of {count_entries(count)} is {root.hex()}, the state says "
            f"{value.root.hex()}: some entry was replaced, altered or moved.",
        )
    height = case.state_header.height
    case.facts |= {"contract": file.contract, "stream_root": root.hex()}
    return Saying(
        lambda: Words(
            f"截至高度 {height}，{stream} 的全部记录恰为这 {count} 条，无遗漏、无增添、无调换；根 "
            f"{root.hex()}。",
            f"Up to height {height} {_tell_whole(count)} the whole record of {stream}: none "
            f"is missing, added or moved; root {root.hex()}.",
        )
    )


def _tell_whole(count: int) -> str:
    return "this 1 entry is" if count == 1 else f"these {count} entries are"


def _check_positions(case: Case, file: RecordFile, stream: str) -> Said:
    """The entries of a record are consecutive in the contract's own record."""
    value = case.read_claim(file.state) or StateValue(0, EMPTY_ROOT, None)
    case.state_value = value
    count = len(case.entries)
    verify_range(
        [entry.leaf for entry in case.entries], file.first, value.count, file.range, value.root
    )
    height = case.state_header.height
    case.facts |= {"contract": file.contract, "stream_count": value.count}
    if not value.count:
        return Saying(
            lambda: Words(
                f"截至高度 {height}，没有任何记录归属 {stream}。",
                f"Up to height {height} no entry ever named {stream}.",
            )
        )
    return Saying(
        lambda: Words(
            f"截至高度 {height}，{stream} 共有 {value.count} 条记录；文件所载为其中第 "
            f"{file.first + 1} 至第 {file.first + count} 条，其间无遗漏、无增添、无调换。",
            f"Up to height {height} {stream} has {count_entries(value.count)}; the file holds "
            f"numbers {file.first + 1} to {file.first + count} of them, and between these "
            "none is missing, added or moved.",
        )
    )


def check_balances(case: Case) -> Said:
    """Step 13: replaying the outcomes gives the balances that the state holds."""
    if not isinstance(case.file, HistoryFile):
        raise NotRun(
            "此文件只涉及一笔交易；余额复算须有全部记录。",
            "This file is about one transaction; balances are derived from a whole record.",
        )
    first = next(
        (
            body
            for entry, body in zip(case.entries, case.bodies, strict=True)
            if not entry.outcome.refused
        ),
        None,
    )
    if first is not None and first.kind == SIGNED:
        return _check_books(case)
    balance = replay(case.entries, case.bodies, case.state_value.record)
    if balance is None:
        case.facts["balance_fen"] = {"paid": 0, "locked": 0, "released": 0, "refunded": 0}
        return Words(
            "该合同从未开立：链上只有被拒绝的交易，没有余额。",
            "The contract was never opened: the chain holds refused attempts and no balance.",
        )
    case.facts["balance_fen"] = {
        "paid": balance.paid,
        "locked": balance.locked,
        "released": balance.released,
        "refunded": balance.refunded,
    }

    def say() -> Words:
        paid, locked, released, refunded = (
            format_fen(fen)
            for fen in (balance.paid, balance.locked, balance.released, balance.refunded)
        )
        return Words(
            f"逐条复算：锁定 {locked.zh} + 已释放 {released.zh} + 已退款 {refunded.zh} = 已付 "
            f"{paid.zh}，与链上状态一致。",
            f"Replayed: locked {locked.en} + released {released.en} + refunded {refunded.en} = "
            f"paid {paid.en}, as the state holds it.",
        )

    return Saying(say)


def _check_books(case: Case) -> Said:
    """The same of a contract under terms."""
    case.books = replay_life(case.entries, case.bodies, case.state_value.record)
    amounts = case.books.amounts
    names = ("locked", "released", "refunded", "deposited", "interest")
    case.facts["balance_fen"] = {name: amounts[name] for name in ("paid", *names)}

    def say() -> Words:
        locked, released, refunded, deposited, interest = (
            format_fen(amounts[name]) for name in names
        )
        return Words(
            f"逐条复算：锁定 {locked.zh} + 已释放 {released.zh} + 已退款 {refunded.zh} = 存入 "
            f"{deposited.zh} + 结息 {interest.zh}，与链上状态一致。",
            f"Replayed: locked {locked.en} + released {released.en} + refunded {refunded.en} = "
            f"deposited {deposited.en} + interest {interest.en}, as the state holds it.",
        )

    return Saying(say)
