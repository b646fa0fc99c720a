"""What stands in a span of time, which terms were in force, and whether a balance is right.

The entries are proven and consecutive before anything is asked of them; times are those of their
blocks. Balances are derived by the same replays as step 13, from the record's first entry on, and
rules that these do not know are refused: nothing is said to be right that was not derived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.hashing import sha256
from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import RecordFile
from verifier.life_replay import SIGNED, fold_life
from verifier.prepaid_replay import fold
from verifier.question import Balance, Terms, Window
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.span import describe_span, take_span
from verifier.wording import (
    count_entries,
    describe_kind,
    find_kind,
    format_fen,
    format_time_ms,
    show_text,
)

LISTED_MAX: Final = 8
"""Entries that a sentence names; the file holds them all."""

TERMS_MEMBER: Final = {SIGNED: "terms", "prepaid.open": "terms_hash"}
"""Where the first entry of a contract names the hash of its terms."""

PRICE_CHANGED: Final = "price.changed"

ENDS: Final = (
    "cooling_off.requested",
    "termination.requested",
    "complaint.served",
    "termination.agreed",
    "termination.judged",
    "invalidity.found",
    "contract.closed",
)
"""What ends a contract or is on the way to it (docs/CONTRACTS.md, Its life)."""


def answer_window(case: Case, file: RecordFile, question: Window) -> Said:
    """Say what of some kinds stands in a span of time, above all that nothing does."""
    inside = take_span(case, file, question.from_ms, question.until_ms)
    found = [
        place for place in inside if not question.kinds or case.bodies[place].kind in question.kinds
    ]
    refused = sum(case.entries[place].outcome.refused for place in found)
    there = {case.bodies[place].kind for place in found}
    unknown = [kind for kind in question.kinds if find_kind(kind) is None and kind not in there]
    case.facts |= {
        "inside": len(inside),
        "found": len(found),
        "found_refused": refused,
        "unknown_kinds": unknown,
    }

    def say() -> Words:
        caution = _caution(unknown)
        span = describe_span(question.from_ms, question.until_ms)
        kinds = ", ".join(question.kinds)
        kinds_zh = f" {'、'.join(question.kinds)} " if kinds else ""
        stream = f"contract/{file.contract}"
        if not found:
            return Words(
                f"{span.zh}，{stream} 没有{kinds_zh or '任何'}记录；该期间共有 {len(inside)} 条"
                f"记录。{caution.zh}",
                f"{span.en} {stream} has no entry{' of ' * bool(kinds)}{kinds}; in that time it "
                f"has {count_entries(len(inside))} in all.{caution.en}",
            )
        listed = [_describe_entry(case, file, place) for place in found[:LISTED_MAX]]
        more = len(found) - len(listed)
        return Words(
            f"{span.zh}，{stream} 有 {len(found)} 条{kinds_zh or '任何种类的'}记录（其中已记录为拒"
            f"绝 {refused} 条），该期间共有 {len(inside)} 条：{'；'.join(one.zh for one in listed)}"
            f"{f'；另有 {more} 条' * bool(more)}。{caution.zh}",
            f"{span.en} {stream} has {count_entries(len(found))}{' of ' * bool(kinds)}{kinds} ("
            f"{refused} of them recorded as refused), of {count_entries(len(inside))} in that "
            f"time: {'; '.join(one.en for one in listed)}{f'; and {more} more' * bool(more)}."
            f"{caution.en}",
        )

    return Saying(say)


def _caution(unknown: Sequence[str]) -> Words:
    """A word that no kind of transaction bears has no entries, whatever happened."""
    if not unknown:
        return Words("", "")
    listed = ", ".join(unknown)
    return Words(
        f"本核验程序不认识种类 {listed}：若系误写，没有记录不说明任何事。",
        f" This verifier does not know the kind {listed}: if it is misspelt, that it has no entry "
        "says nothing.",
    )


def answer_terms(case: Case, file: RecordFile, question: Terms) -> Said:
    """Say which terms were in force at a moment, by what the record held until then."""
    inside = take_span(case, file, None, question.at_ms + 1)
    applied = [place for place in inside if not case.entries[place].outcome.refused]
    if not applied:
        if question.document is not None:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                "此时合同尚未订立，文件所附条款不是其条款。",
                "The contract was not open then; the document in the file is not its terms.",
            )
        case.facts["terms"] = ""
        return Saying(lambda: _say_no_terms(format_time_ms(question.at_ms)))
    opened = applied[0]
    body = case.bodies[opened]
    member = TERMS_MEMBER.get(body.kind)
    terms = body.data.get(member) if member else None
    if not isinstance(terms, str):
        raise Refuted(
            Reason.BAD_FIELD,
            f"第 {opened + 1} 条已生效，却未载明条款。",
            f"entries[{opened}] took effect and names no terms.",
        )
    if question.document is not None and sha256(question.document).hex() != terms:
        raise Refuted(
            Reason.ROOT_MISMATCH,
            f"文件所附条款的 SHA-256 为 {sha256(question.document).hex()}，合同载明 {terms}。",
            f"The document in the file has SHA-256 {sha256(question.document).hex()}; the "
            f"contract names {terms}.",
        )
    changed = [place for place in applied if case.bodies[place].kind == PRICE_CHANGED]
    ends = [place for place in applied if case.bodies[place].kind in ENDS]
    case.facts |= {"terms": terms, "price_changes": len(changed), "ends": len(ends)}

    def say() -> Words:
        at = format_time_ms(question.at_ms)
        since = format_time_ms(case.time_of(opened))
        changes = [_describe_change(case, place) for place in changed]
        attached = question.document is not None
        lead, ended = _describe_ends(case, at, ends)
        return Words(
            f"{lead.zh}{since.zh} 订立的条款，SHA-256 {terms}"
            f"{'，即文件所附者' if attached else '（文件未附全文）'}；其后至此时记录的价格变更 "
            f"{len(changes)} 项{'：' * bool(changes)}{'；'.join(one.zh for one in changes)}。"
            f"未经消费者同意的涨价不生效力（法释〔2025〕4号第十二条）。{ended.zh}",
            f"{lead.en} agreed at {since.en}, SHA-256 {terms}"
            f"{', which is the document in the file' if attached else ' (not in the file)'}; price "
            f"changes recorded until then: {len(changes)}{': ' * bool(changes)}"
            f"{'; '.join(one.en for one in changes)}. A rise without the consumer's consent has no "
            f"effect (法释〔2025〕4号 art. 12).{ended.en}",
        )

    return Saying(say)


def _say_no_terms(at: Words) -> Words:
    return Words(
        f"截至{at.zh}，合同尚未订立，没有条款。",
        f"At {at.en} the contract was not open and had no terms.",
    )


def _describe_ends(case: Case, at: Words, ends: Sequence[int]) -> tuple[Words, Words]:
    """Return how the sentence begins, and how it ends: terms of what was ended may bind nobody."""
    if not ends:
        return Words(f"{at.zh} 有效的是", f"In force at {at.en} were the terms"), Words("", "")
    told = [
        (describe_kind(case.bodies[place].kind, 1), format_time_ms(case.time_of(place)))
        for place in ends
    ]
    return Words(f"截至{at.zh}，条款为", f"The terms up to {at.en} were those"), Words(
        f"其后至此时记录的终结事项 {len(ends)} 项："
        f"{'；'.join(f'{kind.zh}（{time.zh}）' for kind, time in told)}。条款是否仍有约束力，"
        "此处不作判断。",
        f" Recorded of its end until then: {len(ends)}: "
        f"{'; '.join(f'{kind.en} at {time.en}' for kind, time in told)}. Whether they still bound "
        "anybody is not said here.",
    )


def answer_balance(case: Case, file: RecordFile, question: Balance) -> Said:
    """Derive what was locked: opening + paid in − delivered − refunded."""
    inside = take_span(case, file, None, question.until_ms)
    opening = sum(case.time_of(place) < question.from_ms for place in inside)
    try:
        before, after = (_fold(case, count) for count in (opening, inside.stop))
    except NotRun as unknown:
        # An answer that is not derived must not look like one that was.
        raise Refuted(Reason.UNKNOWN_KIND, unknown.words.zh, unknown.words.en) from None
    moved = {name: after[name] - before[name] for name in after}
    closing = after["locked"]
    case.facts["balance_fen"] = {
        "opening": before["locked"],
        "paid": moved["paid"],
        "interest": moved["interest"],
        "released": moved["released"],
        "refunded": moved["refunded"],
        "closing": closing,
    }
    if closing != question.stated_fen:
        stated, derived = format_fen(question.stated_fen), format_fen(closing)
        raise Refuted(
            Reason.BAD_FIELD,
            f"所称余额为 {stated.zh}，复算为 {derived.zh}。",
            f"The balance is said to be {stated.en}; the entries give {derived.en}.",
        )

    def say() -> Words:
        span = describe_span(question.from_ms, question.until_ms)
        first, paid, interest, released, refunded, last = (
            format_fen(fen)
            for fen in (
                before["locked"],
                moved["paid"],
                moved["interest"],
                moved["released"],
                moved["refunded"],
                closing,
            )
        )
        return Words(
            f"{span.zh}：期初 {first.zh} + 预付 {paid.zh} + 结息 {interest.zh} − 交付 "
            f"{released.zh} − 退款 {refunded.zh} = 期末 {last.zh}，与所称一致。",
            f"{span.en}: opening {first.en} + paid in {paid.en} + interest {interest.en} − "
            f"delivered {released.en} − refunded {refunded.en} = closing {last.en}, as stated.",
        )

    return Saying(say)


def _fold(case: Case, count: int) -> Mapping[str, int]:
    """Return the amounts after the first `count` entries."""
    entries, bodies = case.entries[:count], case.bodies[:count]
    opened = next((b for e, b in zip(entries, bodies, strict=True) if not e.outcome.refused), None)
    if opened is not None and opened.kind == SIGNED:
        books = fold_life(entries, bodies)
        assert books is not None, "an applied entry signed the contract"
        amounts = books.amounts
        return {
            "paid": amounts["deposited"],
            "interest": amounts["interest"],
            "released": amounts["released"],
            "refunded": amounts["refunded"],
            "locked": amounts["locked"],
        }
    balance = fold(entries, bodies)
    if balance is None:
        return dict.fromkeys(("paid", "interest", "released", "refunded", "locked"), 0)
    return {
        "paid": balance.paid,
        "interest": 0,
        "released": balance.released,
        "refunded": balance.refunded,
        "locked": balance.locked,
    }


def _describe_entry(case: Case, file: RecordFile, place: int) -> Words:
    entry, body = case.entries[place], case.bodies[place]
    kind, time = describe_kind(body.kind, body.version), format_time_ms(case.time_of(place))
    refused, number = entry.outcome.refused, file.first + place + 1
    return Words(
        f"第 {number} 条，{time.zh}，{kind.zh}{'，已记录为拒绝' * refused}",
        f"number {number} at {time.en}, {kind.en}{', recorded as refused' * refused}",
    )


def _describe_change(case: Case, place: int) -> Words:
    body, time = case.bodies[place], format_time_ms(case.time_of(place))
    item, price = body.data.get("item"), body.data.get("price")
    fen = format_fen(price) if type(price) is int else Words("？", "?")
    signers = ", ".join(body.signers)
    name = show_text(item) if isinstance(item, str) else "?"
    return Words(
        f"{name} 改为 {fen.zh}（{time.zh}，签名：{signers}）",
        f"{name} at {fen.en} ({time.en}, signed by {signers})",
    )
