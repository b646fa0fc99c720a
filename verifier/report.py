"""What the verifier says: numbered steps, a conclusion, and its limits, in Chinese and English.

A report is a value; how it looks on a terminal or as JSON is decided here and nowhere else. Text
that came from the file is never trusted with the terminal: whatever cannot be printed is shown as
its code point. A step that could not be reached because an earlier one failed is *not run*, never
*ok*.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, Final, Protocol

from ledger.outcome_words import CAUSES
from ledger.refusal import Reason, Rejected
from ledger.value_class import value_class
from verifier.columns import measure, pad

REPORT_FORMAT: Final = "evidence-ledger/verification/v1"

FactValue = str | int | list[str] | dict[str, int] | list[dict[str, object]]


@value_class
class Words:
    """One sentence, twice."""

    zh: str
    en: str


class Saying:
    """A sentence that is put into words when somebody reads it; of most files nobody reads any.

    What it says is settled before: `write` gives it no more than its wording, and cannot fail.
    """

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[], Words]) -> None:
        self._write = write

    @property
    def words(self) -> Words:
        """The sentence."""
        return self._write()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Saying) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return repr(self.words)


Said = Words | Saying


class Bilingual(Protocol):
    """A text in Chinese and in English, one of which may never be asked for."""

    @property
    def zh(self) -> str:
        """The text in Chinese."""

    @property
    def en(self) -> str:
        """The text in English."""


class Refuted(Exception):
    """A step failed: why, as a word for programs and as a sentence for people."""

    def __init__(self, reason: Reason, zh: str, en: str) -> None:
        super().__init__(f"{reason}: {en}")
        self.reason = reason
        self.words = Words(zh, en)


class NotRun(Exception):
    """A step does not apply to this file, or says nothing about it; `words` say why."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.words = Words(zh, en)


class Result(StrEnum):
    """Result of one step."""

    OK = "ok"
    FAILED = "failed"
    NOT_RUN = "not-run"


RESULT_ZH: Final = {Result.OK: "通过", Result.FAILED: "失败", Result.NOT_RUN: "未执行"}


@value_class
class Step:
    """One numbered step and what came of it."""

    number: int
    name: Words
    result: Result
    said: Said
    reason: Reason | None = None
    """Set when it failed."""

    @property
    def explanation(self) -> Words:
        """What the step says."""
        return self.said.words if isinstance(self.said, Saying) else self.said


@value_class
class Report:
    """Everything that verification established about one file."""

    steps: tuple[Step, ...]
    facts: Mapping[str, FactValue]
    """Values established by steps that passed, for programs and certificates."""
    tell_limits: Callable[[], tuple[Words, ...]] = field(compare=False)
    """Gives what the conclusion does not say; put into words like a `Saying`."""
    file_sha256: str
    working: Bilingual | None = None
    """How what is owed was derived again, line by line, if it was."""

    @property
    def limits(self) -> tuple[Words, ...]:
        """What the conclusion does not say."""
        return self.tell_limits()

    @property
    def failed(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.result is Result.FAILED), None)

    @property
    def is_consistent(self) -> bool:
        """Whether the evidence is consistent with itself and with the trusted genesis."""
        return self.failed is None

    @property
    def exit_status(self) -> int:
        """0 consistent, 1 inconsistent, 2 the file could not be used at all."""
        if self.failed is None:
            return 0
        return 2 if self.failed.number == 1 else 1

    @property
    def conclusion(self) -> Words:
        """The conclusion in one word."""
        if self.exit_status == 2:
            return Words("无法核验", "unusable")
        return (
            Words("一致", "consistent") if self.is_consistent else Words("不一致", "inconsistent")
        )


REASON_ZH: Final[Mapping[Reason, str]] = {reason: CAUSES[reason][0] for reason in Reason}
"""What each reason is, in Chinese."""


def words_of(rejected: Rejected) -> Words:
    """Return a refusal's sentence; in Chinese its reason, with the exact finding behind it."""
    meaning = REASON_ZH[rejected.reason]
    return Words(f"{meaning}（{rejected.reason}）。原文：{rejected.detail}", f"{rejected.detail}.")


FILE_ADVICE: Final[Mapping[Reason, Words]] = {
    Reason.MALFORMED: Words(
        "文件可能不完整、被压缩，或并非存证文件，请改用原件。",
        "The file may be cut short, packed, or no evidence file: take the original.",
    ),
    Reason.NOT_CANONICAL: Words(
        "文件若曾由编辑软件打开并另存，请改用未经改动的原件。",
        "If an editor opened and saved the file, take the original, byte for byte.",
    ),
}
"""What may have become of a file that cannot be read, by the reason."""


def words_of_file(rejected: Rejected) -> Words:
    """Return why a file cannot be read, and what to do about it."""
    words = words_of(rejected)
    advice = FILE_ADVICE.get(rejected.reason)
    if advice is None:
        return words
    return Words(f"{words.zh}。{advice.zh}", f"{words.en} {advice.en}")


def describe_failure(step: Step) -> Words:
    """Return which step failed and why, as a terminal may show it."""
    why = step.explanation
    return Words(
        f"第 {step.number} 步，{step.name.zh}。{printable(why.zh)}",
        f"step {step.number}, {step.name.en}. {printable(why.en)}",
    )


def printable(text: str) -> str:
    """Return `text` with everything that a terminal might obey shown as its code point."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in text])


def format_text(report: Report, language: str) -> Iterator[str]:
    """Yield the lines people read; `language` is zh, en or both."""
    zh, en = language != "en", language != "zh"
    for step in report.steps:
        name = " · ".join([step.name.zh] * zh + [step.name.en] * en)
        mark = RESULT_ZH[step.result] if not en else step.result.value
        yield printable(f"{step.number:>2}  {mark:<7}  {name}")
        for sentence in [step.explanation.zh] * zh + [step.explanation.en] * en:
            yield printable(f"             {sentence}")
    yield ""
    if zh:
        yield printable(f"结论：{report.conclusion.zh}{_failing(report, '（第 {} 步失败）')}")
    if en:
        yield printable(
            f"Conclusion: {report.conclusion.en}{_failing(report, ' (step {} failed)')}"
        )
    yield f"SHA-256: {report.file_sha256}"
    for limit in report.limits:
        for sentence in [limit.zh] * zh + [limit.en] * en:
            yield printable(f"  - {sentence}")


_SCHEDULE_HEADS: Final = (
    Words("合同", "contract"),
    Words("已付", "paid"),
    Words("已释放", "released"),
    Words("已退款", "refunded"),
    Words("锁定", "locked"),
    Words("应退余额", "owed"),
)


def format_schedule(report: Report, language: str) -> Iterator[str]:
    """Yield the table of a merchant's contracts, in yuan, the sums last; nothing without one."""
    rows, sums = report.facts.get("schedule"), report.facts.get("schedule_fen")
    if not report.is_consistent or not isinstance(rows, list) or not isinstance(sums, dict):
        return
    zh, en = language != "en", language != "zh"
    names = list(sums)
    heads = [" ".join([head.zh] * zh + [head.en] * en) for head in _SCHEDULE_HEADS]
    whole: dict[str, object] = {"contract": " ".join(["合计"] * zh + ["all"] * en), **sums}
    first = max(measure(str(row["contract"])) for row in (whole, *_dicts(rows)))
    yield ""
    yield pad(heads[0], first) + "".join([pad(head, -18) for head in heads[1:]])
    for row in (*_dicts(rows), whole):
        amounts = [f"{_yuan(row[name]):>18}" for name in names]
        yield printable(pad(str(row["contract"]), first) + "".join(amounts))


SEVERITIES: Final[Mapping[str, Words]] = {
    "notice": Words("提示", "notice"),
    "breach": Words("违规", "breach"),
    "grave": Words("严重违规", "grave breach"),
}
"""How much a finding weighs, by `law.finding`."""


def format_findings(report: Report, language: str) -> Iterator[str]:
    """Yield what the law found, computation by computation; nothing without findings."""
    told = report.facts.get("findings")
    if not report.is_consistent or not isinstance(told, list):
        return
    zh, en = language != "en", language != "zh"
    for computed in _dicts(told):
        position, as_of, found = computed["position"], computed["as_of"], computed["findings"]
        listed = list(_dicts(found)) if isinstance(found, list) else []
        yield ""
        if zh:
            yield printable(
                f"查核发现 {len(listed)} 项（日志第 {position} 位的条目，截至 {as_of}）"
            )
        if en:
            yield printable(
                f"Findings: {len(listed)} (entry at index {position} of the log, as of {as_of})"
            )
        for number, one in enumerate(listed, 1):
            severity = SEVERITIES.get(str(one["severity"]), Words(str(one["severity"]), ""))
            weight = " ".join([severity.zh] * zh + [severity.en or severity.zh] * en)
            yield printable(f"{number:>3}. [{weight}] {one['article']} · {one['rule']}")
            for sentence in [one["zh"]] * zh + [one["en"]] * en:
                yield printable(f"     {sentence}")


def _dicts(rows: list[Any]) -> Iterator[dict[str, object]]:
    for row in rows:
        if isinstance(row, dict):
            yield row


def _yuan(fen: object) -> str:
    return f"{fen // 100}.{fen % 100:02}" if isinstance(fen, int) else ""


def format_working(report: Report, language: str) -> Iterator[str]:
    """Yield the lines of the working; one sentence where there is none."""
    zh, en = language != "en", language != "zh"
    working: Bilingual = report.working or Words(
        "没有复算应退金额。", "What is owed was not derived."
    )
    for text in [working.zh] * zh + [working.en] * en:
        yield ""
        for line in text.splitlines():
            yield printable(line)


def _failing(report: Report, text: str) -> str:
    return text.format(report.failed.number) if report.failed else ""


def format_json(report: Report, encoding: str = "utf-8") -> str:
    """Return the report as one JSON object, for programs, and harmless to a terminal.

    What cannot be written in `encoding` is escaped, so that the object stays the same.
    """
    failed = report.failed
    document = {
        "conclusion": report.conclusion.en,
        "conclusion_zh": report.conclusion.zh,
        "exit_status": report.exit_status,
        "facts": dict(report.facts),
        "failed_step": failed.number if failed else 0,
        "file_sha256": report.file_sha256,
        "format": REPORT_FORMAT,
        "limits": [{"en": limit.en, "zh": limit.zh} for limit in report.limits],
        "steps": [
            {
                "explanation": {"en": step.explanation.en, "zh": step.explanation.zh},
                "name": {"en": step.name.en, "zh": step.name.zh},
                "number": step.number,
                "reason": str(step.reason) if step.reason else "",
                "result": step.result.value,
            }
            for step in report.steps
        ],
    }
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    escaped = {
        ord(one): json.dumps(one)[1:-1]
        for one in set(text) - {"\n"}
        if not one.isprintable() or not _is_in(encoding, one)
    }
    return text.translate(escaped)


def _is_in(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
