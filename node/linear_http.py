"""h11's two patterns that take the square of a line's length, as patterns that take its length.

Everything that speaks HTTP/1.1 here, uvicorn and httpx, finds lines well formed by h11's regular
expressions. Where a line does not match behind a run of n blanks, two of them try the n²/2 ways to
share the blanks between their neighbouring parts: a head of 32 kB took 4.6 s, and the interpreter
does nothing else meanwhile, no vote, no other connection. The patterns below match the same lines
with the same groups that h11 reads; where an alternative cannot change the outcome it is not tried
(possessive quantifiers, new in Python 3.11). They are put in the place of the two they were written
for and of no others; h11's version is pinned, and a test compares.
"""

from __future__ import annotations

import re
from typing import Final

from h11 import _abnf, _readers

FIELD: Final = (
    rf"(?P<field_name>{_abnf.field_name}):[ \t]*+(?P<field_value>{_abnf.field_value})[ \t]*"
)
"""RFC 9112 section 5. A value does not begin with a blank, so those before it are all its own."""

CHUNK_LINE: Final = r"(?P<chunk_size>[0-9A-Fa-f]{1,20})(?:;[^\n]*+(?<=\r)\n|[ \t]*+\r\n)"
"""RFC 9112 section 7.1. Whatever an extension says, it ends with the line."""

WRITTEN_FOR: Final = {
    "header_field_re": rf"(?P<field_name>{_abnf.field_name}):[ \t]*"
    rf"(?P<field_value>{_abnf.field_value})[ \t]*",
    "chunk_header_re": r"(?P<chunk_size>([0-9A-Fa-f]){1,20})(?P<chunk_ext>;.*)?[ \t]*\r\n",
}
"""h11's own, by their names in `h11._readers`."""


def use_linear_patterns() -> None:
    """Put the patterns in the place of those they were written for, in this process."""
    for name, pattern in (("header_field_re", FIELD), ("chunk_header_re", CHUNK_LINE)):
        if getattr(_readers, name).pattern == WRITTEN_FOR[name].encode("ascii"):
            setattr(_readers, name, re.compile(pattern.encode("ascii")))
