"""Step 18: what the file is for: one question, answered from what the steps before established.

Growth of the log, a value in the state, two statements of a validator, or a question about a part
of a contract's record. A question about a record is answered only where the entries in the file are
exactly those that it turns on: an entry before and one after a span of time show that nothing of it
is missing, because positions are consecutive (step 12) and times of blocks ascend (step 6).
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from ledger.merkle import verify_consistency
from ledger.refusal import Reason
from verifier.case import Case
from verifier.duty_answers import answer_attestation, answer_omission, answer_production
from verifier.equivocation import check_equivocation
from verifier.evidence_file import (
    BareProof,
    ConsistencyFile,
    EquivocationFile,
    HistoryFile,
    LiabilitiesFile,
    RecordFile,
    ScheduleFile,
    StateFile,
    TransactionFile,
)
from verifier.formats import is_stream_name
from verifier.log_steps import certify, split_cosigners
from verifier.question import Attestation, Balance, Omission, Production, Terms, Window
from verifier.record_answers import answer_balance, answer_terms, answer_window
from verifier.replaying import is_same
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.strict_msgpack import take_integer
from verifier.wording import count_entries, format_fen, format_time_ms, show_text

_CUSTODIAN: Final = 9
"""Members of a custodian's record (docs/FORMATS.md, State)."""


def check_answer(case: Case) -> Said:
    """Step 18: the question that the file answers, and its answer."""
    match case.file:
        case ConsistencyFile() as file:
            return _check_consistency(case, file)
        case StateFile() as file:
            return _check_state(case, file)
        case EquivocationFile() as file:
            return check_equivocation(case, file)
        case RecordFile() as file:
            return _answer(case, file)
        case TransactionFile() | HistoryFile() | LiabilitiesFile() | ScheduleFile() | BareProof():
            raise NotRun("此文件没有提出问题。", "The file asks no question.")


def _answer(case: Case, file: RecordFile) -> Said:
    case.facts["ask"] = type(file.question).__name__.lower()
    match file.question:
        case Window() as question:
            return answer_window(case, file, question)
        case Terms() as question:
            return answer_terms(case, file, question)
        case Balance() as question:
            return answer_balance(case, file, question)
        case Attestation() as question:
            return answer_attestation(case, file, question)
        case Omission() as question:
            return answer_omission(case, file, question)
        case Production() as question:
            return answer_production(case, file, question)
        case _ as unreachable:
            assert_never(unreachable)


def _check_consistency(case: Case, file: ConsistencyFile) -> Said:
    """Both trees are certified, and the newer begins with the older (RFC 9162, 2.1.4)."""
    newer = case.checkpoint.checkpoint
    certified, cosigners = certify(case.root, file.older)
    older = certified.checkpoint
    verify_consistency(older.size, newer.size, file.path, older.root, newer.root)
    existed_by_s = certified.existed_by_s(case.root.faulty_max)
    case.facts |= {"older_size": older.size, "older_root": older.root.hex()}

    def say() -> Words:
        signed, unsigned = split_cosigners(case.root, cosigners)
        by = format_time_ms(existed_by_s * 1000)
        return Words(
            f"较早的检查点：树大小 {older.size}，根 {older.root.hex()}，最迟于{by.zh} 已存在；由 "
            f"{len(cosigners)} 家机构联署：{signed.zh}；文件中未见联署：{unsigned.zh}。其全部条目"
            f"原样是树大小 {newer.size} 的开头：只增未改，无删除、无调换。",
            f"The older checkpoint of size {older.size}, root {older.root.hex()}, existed by "
            f"{by.en}, cosigned by {len(cosigners)}: {signed.en}; no cosignature here of: "
            f"{unsigned.en}. All its entries are, as they were, the beginning of the tree of size "
            f"{newer.size}: entries were only added, none changed, removed or moved.",
        )

    return Saying(say)


def _check_state(case: Case, file: StateFile) -> Said:
    """The state under the header maps the stream to this value, or to none.

    Absence is proven of any name whatever, so one that no entry may bear is refused: that there is
    no `contract/Card-1` says nothing of `contract/card-1`.
    """
    if not is_stream_name(file.state.stream):
        shown = file.state.stream[:100]
        raise Refuted(
            Reason.BAD_FIELD,
            f"{shown!r} 不是账本中记录可用的名称；其不存在不说明任何事。",
            f"{shown!r} is no name that a record of the ledger may bear; its absence says nothing.",
        )
    value = case.read_claim(file.state)
    height, time_ms = case.state_header.height, case.state_header.time_ms
    stream = file.state.stream
    case.facts |= {"stream": stream, "stream_count": value.count if value else 0}
    if value is None:
        return Saying(lambda: _say_absence(stream, height, format_time_ms(time_ms)))
    kind = show_text(str(value.record[0])) if value.record else "nil"
    root = value.root.hex()
    case.facts |= {"stream_root": root, "record": kind}
    sums = _describe_custody(value.record)

    def say() -> Words:
        time = format_time_ms(time_ms)
        return Words(
            f"高度 {height}（{time.zh}）的状态中，{stream} 共有 {value.count} 条记录，根 "
            f"{root}，其登记为 {kind}。{sums.zh}",
            f"In the state of height {height} ({time.en}) {stream} has "
            f"{count_entries(value.count)} with root {root}; its record is {kind}.{sums.en}",
        )

    return Saying(say)


def _say_absence(stream: str, height: int, time: Words) -> Words:
    return Words(
        f"高度 {height}（{time.zh}）的状态中没有 {stream}：截至该高度，没有任何记录归属于它；"
        "记录从不删除，故在此前任何高度也没有。",
        f"The state of height {height} ({time.en}) has no {stream}: up to it no entry ever "
        "named it, and, as entries are never removed, none had at any earlier height.",
    )


def _describe_custody(record: list[Any] | None) -> Words:
    """Say what a custodian's record holds, above all how many statements there are to be shown."""
    if record is None or not is_same(record[:1], ["custodian"]):
        return Words("", "")
    if len(record) != _CUSTODIAN or not is_same(record[1], 1):
        return Words(
            "此登记的格式不为本软件所识，其金额与余额陈述（custody.stated）次数未予说明。",
            " The form of this record is not known here: its sums, and how many statements of a "
            "balance (custody.stated) there are, are not told.",
        )
    contracts, locked, stated = (
        take_integer(record[at], f"custodian: {name}")
        for at, name in ((2, "contracts"), (5, "locked"), (8, "stated"))
    )
    fen = format_fen(locked)
    return Words(
        f"该机构保管 {contracts} 份合同的资金，账本锁定 {fen.zh}；其余额陈述（custody.stated）"
        f"共 {stated} 次，编号 1 至 {stated}：出示不足此数的，即有未出示者。"
        if stated
        else f"该机构保管 {contracts} 份合同的资金，账本锁定 {fen.zh}；其从未陈述余额"
        "（custody.stated）。",
        f" Contracts whose money it keeps: {contracts}, with {fen.en} locked; "
        + (
            f"its statements of a balance (custody.stated) have the numbers 1 to {stated}: whoever "
            "is shown fewer is not shown all."
            if stated
            else "it never stated a balance (custody.stated)."
        ),
    )
