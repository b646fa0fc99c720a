"""The private fields that a file discloses: each by its name and value, what is withheld by count.

Whoever holds the fields chose these, to be read; so a value that step 15 found under its commitment
is printed whole, also where it has the form of a mobile or identity number, which is masked in
every other place (`certificate.showing`). It is still text of somebody's making: every character
that cannot be shown, or could mislead, stands as its code, and every value is between marks that
it cannot contain, so that none reads like another line of the page.
"""

from __future__ import annotations

from typing import Any, Final

from certificate.document import Block, Chosen, Exact, Fields, Section, Sentences, Value
from ledger.disclosure import FIELDS, Disclosure
from verifier.disclosure_step import find_correction
from verifier.evidence_file import HistoryFile, TransactionFile
from verifier.field_words import FIELD_WORDS
from verifier.formats import Body, Entry, read_body, read_transaction_entry
from verifier.report import Report, Words
from verifier.wording import describe_kind

DISCLOSURES_SHOWN_MAX: Final = 24
"""Commitments whose fields are printed, some eight pages at most; a contract has one or two."""

EMPTY: Final = Words("（为空）", "(empty)")


def describe_disclosed(file: TransactionFile | HistoryFile, report: Report) -> list[Section]:
    """Return the section about disclosed fields; none where the file discloses nothing.

    The report must be of this file and consistent.
    """
    if not file.disclosures:
        return []
    raws = (file.entry,) if isinstance(file, TransactionFile) else file.entries
    entries = [read_transaction_entry(raw, "entry") for raw in raws]
    record = [(entry, read_body(entry.body, "body")) for entry in entries]
    facts: Any = report.facts["disclosed"]
    blocks: list[Block] = []
    pairs = list(zip(file.disclosures, facts, strict=True))
    for disclosure, fact in pairs[:DISCLOSURES_SHOWN_MAX]:
        place = next(pair for pair in record if pair[0].index == fact["index"])
        is_whole = isinstance(file, HistoryFile)
        blocks.append(_list_fields(disclosure, str(fact["member"]), place, record, is_whole))
    more = len(pairs) - DISCLOSURES_SHOWN_MAX
    if more > 0:
        blocks.append(
            Sentences(
                (
                    Words(
                        f"另有 {more} 份披露未在此列出，见附件；均已核验。",
                        f"{more} more disclosures are not listed here: they are in the attachment, "
                        "and each was verified.",
                    ),
                )
            )
        )
    blocks.append(Sentences((_EXPLANATION,), are_marked=False))
    return [Section(Words("披露的非公开信息", "Private fields disclosed"), tuple(blocks))]


_EXPLANATION: Final = Words(
    "引号“”之间为所披露的值，逐字照录；不能显示或可能误导的字符以 \\u{…} 表示。"
    "本节经披露者选择，不作遮蔽，请依法保管本文件。",
    "A disclosed value stands between “ and ”, as it was committed to; characters that cannot be "
    "shown, or could mislead, stand as \\u{…}. Whoever holds these fields chose to show them, so "
    "nothing in this section is masked: keep this document accordingly.",
)


def _list_fields(
    disclosure: Disclosure,
    member: str,
    place: tuple[Entry, Body],
    record: list[tuple[Entry, Body]],
    is_whole: bool,
) -> Fields:
    entry, body = place
    kind = describe_kind(body.kind, body.version)
    withheld = len(disclosure.withheld)
    rows: list[tuple[Words, Value]] = [
        (
            Words("承诺所在", "Committed to by"),
            Words(
                f"第 {entry.index} 号条目（高度 {entry.height}），{kind.zh}，{member}",
                f"the entry at index {entry.index} (height {entry.height}), {kind.en}, {member}",
            ),
        ),
        (Words("承诺值", "Commitment"), Exact(disclosure.commitment.hex())),
    ]
    for shown in disclosure.shown:
        name, value = shown.field.name, shown.field.value
        said = FIELD_WORDS[name]
        label = Words(f"{said.zh} ({name})", f"{said.en} ({name})")
        rows.append((label, EMPTY if value is None else Chosen(value)))
    rows.append(
        (
            Words("未披露", "Withheld"),
            Words(
                f"{len(FIELDS)} 项中的 {withheld} 项：有无内容不可知，经证明自承诺以来未被改动",
                f"{withheld} of {len(FIELDS)} fields: filled or empty is not known; proven "
                "unchanged since they were committed to",
            ),
        )
    )
    corrected = find_correction(record, body.tx_id)
    if corrected is not None:
        rows.append(
            (
                Words("其后更正", "Corrected later"),
                Words(
                    f"是，以第 {corrected.index} 号条目；以上为更正前的内容",
                    f"yes, by the entry at index {corrected.index}; the above is what stood before",
                ),
            )
        )
    elif is_whole:
        rows.append((Words("其后更正", "Corrected later"), Words("无", "no")))
    return Fields(tuple(rows))
