"""Text in a terminal's columns: a Chinese character takes two, and a line may end after it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

OPENING: Final = "（《〈“‘「【"
"""What no line ends with (GB/T 15834—2011, 5.1)."""
CLOSING: Final = "，。；：、？！）》〉”’」】"
"""What no line begins with (the same, 5.1)."""

_PIECE: Final = re.compile(rf"\s+|[{OPENING}]*(?:[!-~]+|[^\s])[{CLOSING}]*")
"""What stays on one line: a word of ASCII, or a character, with the punctuation that clings."""


def measure(text: str) -> int:
    """Return how many columns a terminal gives a text: two to a Chinese character."""
    return sum([1 + (unicodedata.east_asian_width(one) in "WF") for one in text])


def pad(text: str, width: int) -> str:
    """Pad on the right, or on the left where `width` is negative."""
    space = " " * (abs(width) - measure(text))
    return space + text if width < 0 else text + space


def wrap(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most `width` columns; a piece that is wider has a line of its own."""
    line = ""
    for piece in _PIECE.findall(text):
        if measure(line + piece.rstrip()) > width and line:
            yield line.rstrip()
            line = ""
        line += piece if line else piece.lstrip()
    if line:
        yield line.rstrip()
