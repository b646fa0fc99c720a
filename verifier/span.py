"""Which entries of a record a question turns on, and that the file holds exactly these.

A span of time is covered by the entries inside it with the one before and the one after, where the
contract's record has them; its end must have passed by the header's own time. More entries than
that are refused too: a file discloses what was asked for.
"""

from __future__ import annotations

from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import RecordFile
from verifier.report import Refuted, Words
from verifier.wording import format_time_ms


def take_span(case: Case, file: RecordFile, from_ms: int | None, until_ms: int | None) -> range:
    """Return the places of the entries in `[from_ms, until_ms)`; None: the record's own ends.

    Raises `Refuted` where an entry is missing at an end, is there for nothing, or may still come.
    """
    times = [case.time_of(place) for place in range(len(case.entries))]
    begin = 0
    if from_ms is None:
        if file.first:
            raise _refuse_start(file.first + 1)
    else:
        begin = sum(time < from_ms for time in times)
        if begin > 1 or (begin == 0 and file.first):
            raise _refuse_start(file.first + 1)
    return range(begin, take_end(case, file, until_ms))


def take_after(case: Case, file: RecordFile, tx_id: bytes, until_ms: int | None) -> range:
    """Return the places of the entries after the first one, which must be this transaction."""
    if not case.bodies or case.bodies[0].tx_id != tx_id:
        raise Refuted(
            Reason.BAD_PROOF,
            f"文件的第一条不是所问的交易 {tx_id.hex()}。",
            f"The first entry of the file is not transaction {tx_id.hex()}, which is asked about.",
        )
    return range(1, take_end(case, file, until_ms))


def take_end(case: Case, file: RecordFile, until_ms: int | None) -> int:
    """Return the place after the last entry before `until_ms`; raise `Refuted`."""
    count = len(case.entries)
    is_last = file.first + count == case.state_value.count
    if until_ms is None:
        if not is_last:
            raise _refuse_end(file.first + count, case.state_value.count)
        return count
    after = sum(case.time_of(place) >= until_ms for place in range(count))
    if after > 1 or (after == 0 and not is_last):
        raise _refuse_end(file.first + count, case.state_value.count)
    if after == 0 and case.state_header.time_ms < until_ms:
        until, time = format_time_ms(until_ms), format_time_ms(case.state_header.time_ms)
        raise Refuted(
            Reason.WRONG_HEIGHT,
            f"所问的时间至{until.zh} 为止，而文件只证明到{time.zh} 的区块；其后仍可能有记录。",
            f"What is asked ends at {until.en}, and the file proves up to a block of {time.en}; "
            "an entry may still come.",
        )
    return count - after


def describe_span(from_ms: int, until_ms: int) -> Words:
    """Return a span of time in words."""
    first, last = format_time_ms(from_ms), format_time_ms(until_ms)
    return Words(f"自{first.zh} 起至{last.zh} 前", f"From {first.en} to before {last.en}")


def _refuse_start(number: int) -> Refuted:
    return Refuted(
        Reason.BAD_PROOF,
        f"文件自第 {number} 条记录起，与所问的开始不合：缺少其前一条，或多附了无关的记录。",
        f"The file starts with entry number {number}, which does not fit where the question "
        "starts: the entry before it is missing, or entries are there that it does not turn on.",
    )


def _refuse_end(number: int, count: int) -> Refuted:
    return Refuted(
        Reason.BAD_PROOF,
        f"文件至第 {number} 条记录（共 {count} 条）止，与所问的结束不合：缺少其后一条，或多附了"
        "无关的记录。",
        f"The file ends with entry number {number} of {count}, which does not fit where the "
        "question ends: the entry after it is missing, or entries are there that it does not turn "
        "on.",
    )
