"""Named refusals: what is wrong with a document that somebody wrote.

`Refused` means the document is at fault, never the law and never us. Its `code` is a stable word
that programs match on; its `detail` is a whole sentence with the place, the value and what would be
right. A rule of law that is broken is no refusal but a finding (`law.finding`).
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why a document was refused."""

    MALFORMED = "malformed"
    NOT_CANONICAL = "not_canonical"
    NOT_INTEGER = "not_integer"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    UNKNOWN_FORMAT = "unknown_format"
    MISSING_MEMBER = "missing_member"
    UNKNOWN_MEMBER = "unknown_member"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_WORD = "unknown_word"
    INCONSISTENT = "inconsistent"
    NOT_ENTITLED = "not_entitled"
    MISSING_DATA = "missing_data"


class Refused(Exception):
    """A document was refused; `code` names why, `detail` says it in a sentence."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
