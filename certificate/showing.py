"""Text as a page may show it: what has a glyph as it is, everything else as its code point.

A certificate is read by people who cannot see control characters, marks that change the order of
what follows, or letters their font lacks; so none of these is ever on a page as itself. What has
the form of a mobile number or of a resident's identity number is masked: personal data has no
place on the ledger, but a free text may hold some. The attached file is never altered.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

TEXT_CHARS_MAX: Final = 1_000
"""Longest text of one cell, a third of a page of Chinese; more is cut, and the cut is said."""

PIECE_CHARS: Final = 8
RUN_CHARS_MAX: Final = 16
"""A run of letters and digits longer than this may be broken after every piece."""

QUOTES: Final = "“”"
"""Between them stands what somebody disclosed; in it they are written by their codes."""

LINE_CHARS: Final = 64
"""Of an exact value on one line: a SHA-256 in hex, or half a signature."""

_RUN: Final = re.compile(rf"[!-~]{{{RUN_CHARS_MAX + 1},}}")
_GAP: Final = "[- \u00a0\u2010-\u2013\u3000\uff0d]"
_COUNTRY: Final = rf"(?:\+|00)?86{_GAP}?"
_MOBILE: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:{_COUNTRY})?1[3-9][0-9]{{9}}(?![0-9A-Za-z]|\.[0-9])"
)
_GROUPED: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?<![0-9A-Za-z]-)(1[3-9][0-9]{_GAP})(?!(?:19|20)[0-9]{{2}})[0-9]{{4}}"
    rf"({_GAP}[0-9]{{4}})(?![0-9A-Za-z]|[-.][0-9A-Za-z])"
)
"""3-4-4, as mobile numbers are written; not what may be a part of a longer number, nor a number
whose middle may be a year (150-2026-0101)."""
_ABROAD: Final = re.compile(
    rf"(?<![0-9A-Za-z])({_COUNTRY}1[3-9][0-9]{_GAP})[0-9]{{4}}({_GAP}[0-9]{{4}})(?![0-9A-Za-z])"
)
"""The same with the country's code before it, and then nothing else."""
_RESIDENT: Final = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
"""GB 11643-1999: the weights and check characters of a resident's identity number."""


def show_text(text: str) -> Sequence[str]:
    """Return `text` in pieces between which a line may break; joined they are what is shown."""
    cut = ""
    if len(text) > TEXT_CHARS_MAX:
        cut = f"…[+{len(text) - TEXT_CHARS_MAX}]"
        text = text[:TEXT_CHARS_MAX]
    return _split(_make_visible(_mask(text)) + cut)


def show_chosen(text: str) -> Sequence[str]:
    """Return a disclosed value in pieces: whole, never masked, and without “ and ” of its own.

    A backslash is doubled, so that no value spells the code of a character that it does not hold.
    """
    doubled = text.replace("\\", "\\\\")
    return _split("".join([_show_quoted(one) for one in doubled]))


def _show_quoted(character: str) -> str:
    if character in QUOTES or not is_shown(character):
        return f"\\u{{{ord(character):x}}}"
    return character


def show_exact(text: str) -> Sequence[str]:
    """Return a hash, key or signature in pieces of the same length, one a line."""
    shown = "".join(show_text(text))
    if " " in shown:
        return _split(shown)
    return [shown[at : at + LINE_CHARS] for at in range(0, len(shown), LINE_CHARS)]


def _mask(text: str) -> str:
    text = _MOBILE.sub(lambda found: f"{found[0][:-8]}****{found[0][-4:]}", text)
    for pattern in (_ABROAD, _GROUPED):
        text = pattern.sub(r"\1****\2", text)
    return _RESIDENT.sub(
        lambda found: (
            f"{found[0][:6]}********{found[0][-4:]}" if _is_resident(found[0]) else found[0]
        ),
        text,
    )


def _is_resident(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()


def _make_visible(text: str) -> str:
    return "".join([one if is_shown(one) else f"\\u{{{ord(one):x}}}" for one in text])


def is_shown(character: str) -> bool:
    """Say whether a page shows this character as itself."""
    firsts, lasts = _coverage()
    at = bisect_right(firsts, ord(character)) - 1
    return at >= 0 and ord(character) <= lasts[at]


@cache
def _coverage() -> tuple[list[int], list[int]]:
    ranges = json.loads((files("certificate") / "fonts/coverage.json").read_text("ascii"))
    return [first for first, _ in ranges], [last for _, last in ranges]


def _split(text: str) -> list[str]:
    cuts = [0]
    for run in _RUN.finditer(text):
        cuts += range(run.start() + PIECE_CHARS, run.end(), PIECE_CHARS)
    cuts.append(len(text))
    return [text[at:end] for at, end in pairwise(cuts)]
