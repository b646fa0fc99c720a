"""Questions about a contract's record, and which of its entries answer them.

A question is the object `question` of an evidence file of kind `record` (`ledger.evidence`). Here
it is read as it comes from a client, and the entries are chosen that the answer turns on: those
inside a span of time with the one before and the one after, or all after a transaction. Whether the
answer holds is the verifier's to say, by a reading of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from law.days import parse_day, start_of
from ledger.note import decode_base64
from ledger.receipt import NUMBER_MAX
from ledger.refusal import Reason, Rejected
from ledger.shape import describe_shape_zh
from ledger.time_words import format_time_ms, quote_time_ms
from ledger.transaction import decode_transaction
from ledger.words import Words

QUESTION_BYTES_MAX: Final = 128 * 1024
"""An envelope in base64 with a receipt and a batch path, or a document of terms."""

_Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
_Kind = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,3}$(?!\n)")
]


class _Question(
    msgspec.Struct, frozen=True, tag_field="ask", forbid_unknown_fields=True, kw_only=True
):
    """What all have: `ask` says which it is."""


class Window(_Question, frozen=True, tag="window", kw_only=True):
    """What stands in `[from, until)`, of these kinds or of all?"""

    from_: _Number = msgspec.field(name="from")
    kinds: Annotated[list[_Kind], msgspec.Meta(max_length=32)]
    until: _Number


class Balance(_Question, frozen=True, tag="balance", kw_only=True):
    """Is `stated` what was locked before `until`, in fen?"""

    from_: _Number = msgspec.field(name="from")
    stated: _Number
    until: _Number


class Terms(_Question, frozen=True, tag="terms", kw_only=True):
    """Which terms were in force at a moment, and is this document those?"""

    at: _Number
    document: str | None


class Attestation(_Question, frozen=True, tag="attestation", kw_only=True):
    """Who attested this transaction, and who did not?"""

    transaction: _Hash


class Production(_Question, frozen=True, tag="production", kw_only=True):
    """Was what this request asks for produced by its deadline?"""

    request: _Hash


class BatchPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a transaction's id stands among those that one receipt covers."""

    index: _Number
    path: Annotated[list[str], msgspec.Meta(max_length=16)]


class Omission(_Question, frozen=True, tag="omission", kw_only=True):
    """Is this transaction missing although a node promised it?"""

    batch: BatchPlace | None
    envelope: Annotated[str, msgspec.Meta(max_length=QUESTION_BYTES_MAX)]
    receipt: dict[str, str | _Number]


Question = Window | Balance | Terms | Attestation | Production | Omission

_decoder = msgspec.json.Decoder(Question)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One entry of a contract's record: its block's time and its transaction."""

    time_ms: int
    tx_id: bytes


def read_question(raw: bytes) -> Question:
    """Read a client's question; raise `Rejected`(MALFORMED, TOO_LARGE, BAD_FIELD)."""
    if len(raw) > QUESTION_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"question: {len(raw)} bytes; at most {QUESTION_BYTES_MAX}",
            f"问题：{len(raw)} 字节；至多 {QUESTION_BYTES_MAX} 字节",
        )
    try:
        question: Question = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _refuse(str(error), describe_shape_zh(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(
            Reason.MALFORMED, f"question: {error}", f"问题：不是 JSON。原文：{error}"
        ) from None
    if isinstance(question, Window | Balance) and question.from_ >= question.until:
        first, end = quote_time_ms(question.from_), quote_time_ms(question.until)
        raise _refuse(
            f"nothing lies from {first.en} to {end.en}",
            f"自{first.zh}至{end.zh}之间没有任何时间",
        )
    if isinstance(question, Window) and question.kinds != sorted(set(question.kinds)):
        raise _refuse(
            "kinds are not in ascending order, each once", "kinds 须按升序排列，每种只写一次"
        )
    if isinstance(question, Terms) and question.document is not None:
        _check_base64("document", [question.document])
    if isinstance(question, Omission):
        find_promise(question)
        _check_base64("batch.path", question.batch.path if question.batch else [])
    return question


def to_member(question: Question) -> dict[str, Any]:
    """Return the member `question` of the file."""
    member: dict[str, Any] = msgspec.to_builtins(question)
    return member


def find_promise(question: Question) -> tuple[int, tuple[str, ...]] | None:
    """Return (promised height, signers) of what an omission is asked for; raise `Rejected`."""
    if not isinstance(question, Omission):
        return None
    height = question.receipt.get("height_max")
    envelope = decode_base64(question.envelope)
    if not isinstance(height, int) or envelope is None:
        raise _refuse(
            "receipt.height_max is no height, or the envelope is no base64",
            "receipt.height_max 不是高度，或 envelope 不是 base64",
        )
    return height, tuple(decode_transaction(envelope).body.signers)


def is_inside(question: Question, time_ms: int) -> bool:
    """Say whether an entry of a block of that time may be part of the answer.

    Of a window nothing else is, but for the entries next to it.
    """
    return not isinstance(question, Window) or question.from_ <= time_ms < question.until


def find_span(
    question: Question,
    rows: Sequence[Row],
    newest_ms: int,
    read_data: Callable[[int], Mapping[str, Any]],
) -> tuple[int, int]:
    """Return which of a record's entries, `[first, end)`, answer a question.

    `newest_ms` is the time of the newest block, `read_data(place)` what an entry's body says.
    Raises `Rejected`(BAD_FIELD, WRONG_HEIGHT) where the record cannot answer it (yet).
    """
    match question:
        case Window():
            first = sum(row.time_ms < question.from_ for row in rows)
            return max(0, first - 1), _find_end(rows, question.until, newest_ms, quote_time_ms)
        case Balance():
            return 0, _find_end(rows, question.until, newest_ms, quote_time_ms)
        case Terms():
            return 0, _find_end(rows, question.at + 1, newest_ms, format_time_ms)
        case Attestation():
            return _find(rows, question.transaction), len(rows)
        case Omission():
            return 0, len(rows)
        case Production():
            first = _find(rows, question.request)
            day = parse_day(str(read_data(first).get("until")))
            if day is None:
                raise _refuse(
                    f"transaction {question.request} is no request with a deadline",
                    f"交易 {question.request} 不是有期限的提供记录请求",
                )
            deadline_ms = start_of(day + 1)
            if rows[first].time_ms >= deadline_ms:
                time, deadline = format_time_ms(rows[first].time_ms), format_time_ms(deadline_ms)
                raise _refuse(
                    f"request {question.request} was recorded at {time.en}, after its own deadline "
                    f"{deadline.en}: nothing on record was due by then",
                    f"请求 {question.request} 于{time.zh}才上链，已过其自身的期限{deadline.zh}："
                    "届时并无在链的请求要求提供任何记录",
                )
            return first, _find_end(rows, deadline_ms, newest_ms, format_time_ms)


def _check_base64(name: str, texts: Sequence[str]) -> None:
    if any(decode_base64(text) is None for text in texts):
        raise _refuse(f"{name} is not canonical standard base64", f"{name} 不是规范的标准 base64")


def _find(rows: Sequence[Row], tx_id: str) -> int:
    raw = bytes.fromhex(tx_id)
    for place, row in enumerate(rows):
        if row.tx_id == raw:
            return place
    raise _refuse(
        f"transaction {tx_id} is not in this contract's record",
        f"交易 {tx_id} 不在该合同的记录中",
    )


def _find_end(
    rows: Sequence[Row], until_ms: int, newest_ms: int, say: Callable[[int], Words]
) -> int:
    """Return the place after the last entry before `until_ms`; `say` puts that end into words."""
    inside = sum(row.time_ms < until_ms for row in rows)
    if inside == len(rows) and newest_ms < until_ms:
        until, newest = say(until_ms), format_time_ms(newest_ms)
        raise Rejected(
            Reason.WRONG_HEIGHT,
            f"question: it ends at {until.en}, and the newest block is of {newest.en}; an entry "
            "may still come",
            f"问题：所问的时间至{until.zh}为止，而最新区块的时间为{newest.zh}；其后仍可能有记录",
        )
    return min(inside + 1, len(rows))


def _refuse(detail: str, detail_zh: str) -> Rejected:
    return Rejected(Reason.BAD_FIELD, f"question: {detail}", f"问题：{detail_zh}")
