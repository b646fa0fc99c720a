"""RFC 8785 canonical JSON, read by a grammar that has no second spelling.

The ledger reads canonical JSON by decoding, encoding again and comparing. This reader is another
way to the same answer, so that the two check one another: every token is matched by the one
spelling RFC 8785 section 3.2 allows (no white space, shortest escapes, members in the order of
their UTF-16 units and hence never twice, integers only, |n| ≤ 2^53−1, text that `is_normal`), and
what matches is canonical. Nothing is held but the values read; their number is bounded, because the
smallest of them take some thirty times their spelling in memory, and so is the length of a string,
because a page that reads it can do nothing else meanwhile.

The grammar says what is canonical, and it alone refuses. Most texts are seen to be so in a fraction
of its time, by their length: of all ways to write the same values, members in the same order, the
canonical one is the shortest. So the standard library's compiled reader reads the text, and it is
canonical if it has no more characters than its values need, if the members are in order and every
escape is a short one, and if there is no float, no integer beyond the bound, no nesting beyond it
and no character whose order or normal form would be a question. What is not seen to be so is read
by the grammar.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from itertools import pairwise
from typing import Any, Final, NoReturn

from ledger.evidence import STRING_BYTES_MAX
from ledger.refusal import Reason, Rejected

INTEGER_MAX: Final = 2**53 - 1
"""Largest integer that every JSON reader holds exactly (RFC 8785 section 3.2.2.3, I-JSON)."""

DEPTH_MAX: Final = 8
"""Arrays and objects inside one another, the outermost counted; the bound of a body."""

VALUES_MAX: Final = 4 * 1024 * 1024
"""Values in one text, the outermost and each container counted: a record of 100,000 entries, each
in a block of its own with a path of 30 hashes, has 3,300,000."""

GLANCE_BYTES_MAX: Final = STRING_BYTES_MAX
"""Longest text that is read at a glance: that way holds it four times over, and counts neither
values nor the bytes of a string."""

NORMALIZATION: Final = unicodedata.ucd_3_2_0
"""Unicode 3.2, which every Python holds: a file must not become wrong when a later Unicode is. Only
what 3.2 assigns may be asked about: of the rest, each Python knows what its own Unicode does."""

JsonValue = None | bool | int | str | list["JsonValue"] | dict[str, "JsonValue"]

# Possessive repetition: a string of any length is matched without a stack of alternatives.
_CHARACTERS: Final = re.compile(
    rb'(?:[^"\\\x00-\x1f]++|\\["\\bfnrt]|\\u00(?:0[0-7be-f]|1[0-9a-f]))*+'
)
_ESCAPE_BYTES: Final = len(r"\u0000")
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?![0-9])")
_LITERALS: Final[tuple[tuple[bytes, bool | None], ...]] = (
    (b"true", True),
    (b"false", False),
    (b"null", None),
)
_ASCII: Final = bytes(range(128))
_QUESTIONABLE: Final = re.compile(
    r"[^\x00-\x7f\xb1\xb7\xd7\u03a3\u2010-\u2027\u2190-\u2193\u2212\u2264\u2265\u2308-\u230b"
    r"\u3001-\u3029\u4e00-\u9fa5\uff01-\uff5e]"
)
"""What is not of ASCII, of the signs of reckoning, of dashes and quotation marks, or of Chinese and
its punctuation: of these every character is assigned, stays as it is in any normal form, joins no
other, and sorts by UTF-16 units as by code points."""
_QUESTIONABLE_ESCAPE: Final = re.compile(rb'\\[^"bfnrt]')
"""An escape that is not surely the shortest way to write a character, or not by itself a pair: of
the others each stands for one character, which may not stand as it is."""
_INTEGER_CHARS_MAX: Final = len(str(-INTEGER_MAX))
_NO_LENGTH: Final = -2 * GLANCE_BYTES_MAX
"""Stays below 0 whatever else of a text is added to it."""
_SHOWN: Final = 24
_QUOTE, _OPEN_OBJECT, _OPEN_ARRAY = b'"{['


def read_object(raw: bytes, name: str) -> dict[str, JsonValue]:
    """Return the object that `raw` is the canonical spelling of; raise `Rejected`.

    Reasons: MALFORMED, NOT_CANONICAL, NOT_INTEGER, TOO_DEEP, TOO_LARGE, BAD_FIELD. `name` opens the
    sentence.
    """
    seen = _read_at_a_glance(raw)
    if seen is not None:
        return seen
    value, end = _Reader(raw, name).read_value(0, 1)
    if end != len(raw):
        _refuse(
            Reason.NOT_CANONICAL, f"{name}: {len(raw) - end} bytes follow the value's end at {end}"
        )
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name}: an object is expected, not {raw[:_SHOWN]!r}")
    return value


class _NotSeenError(ValueError):
    """A number that the grammar has to look at."""


def _leave(token: str) -> NoReturn:
    raise _NotSeenError(token)


def _take_integer(token: str) -> int:
    """Return an integer of ASCII digits, no more than may be: the library's compiled reader takes
    no others, and Python refuses most that are longer, unless it is told not to."""
    if len(token) > _INTEGER_CHARS_MAX or not token.isascii():
        _leave(token)
    return int(token)


_is_compiled: Final = json.scanner.c_make_scanner is not None  # type: ignore[attr-defined]
_is_bounded: Final = 0 < sys.get_int_max_str_digits() <= sys.int_info.default_max_str_digits
"""Whether reading a number's digits, which takes the square of their count, ends soon."""

_decoder: Final = json.JSONDecoder(
    parse_float=_leave,
    parse_constant=_leave,
    parse_int=None if _is_compiled and _is_bounded else _take_integer,
)


def _read_at_a_glance(raw: bytes) -> dict[str, JsonValue] | None:
    """Return the object if `raw` is its canonical spelling beyond question, or None."""
    if len(raw) > min(GLANCE_BYTES_MAX, VALUES_MAX):  # no value is shorter than a byte
        return None
    try:
        text = raw.decode()
        value, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if end != len(text) or type(value) is not dict or _QUESTIONABLE_ESCAPE.search(raw):
        return None
    if _measure(value, 1) != end - raw.count(b"\\"):
        return None
    if not raw.isascii() and _QUESTIONABLE.search(raw.translate(None, _ASCII).decode()):
        return None
    return value


def _measure(outer: Any, depth: int) -> int:
    """Return how many characters the canonical spelling of a container has, each escape counted as
    the one character it stands for; less than 0 if members are out of order, an integer is beyond
    the bound or containers are nested too deeply."""
    if depth > DEPTH_MAX:
        return _NO_LENGTH
    items = outer
    length = len(outer) + 1 if outer else 2  # brackets, and commas between
    if type(outer) is dict:
        names = list(outer)
        if names != sorted(names):
            return _NO_LENGTH
        length += len("".join(names)) + 3 * len(names)  # quotation marks, colons
        items = outer.values()
    for item in items:
        kind = type(item)
        if kind is str:
            length += len(item) + 2
        elif kind is dict or kind is list:
            length += _measure(item, depth + 1)
        elif kind is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                return _NO_LENGTH
            length += len(str(item))
        else:
            length += 5 if item is False else 4
    return length


class _Reader:
    __slots__ = ("count", "name", "raw")

    def __init__(self, raw: bytes, name: str) -> None:
        self.raw = raw
        self.name = name
        self.count = 0

    def read_value(self, at: int, depth: int) -> tuple[JsonValue, int]:
        """Return the value that starts at byte `at`, and where it ends."""
        self.count += 1
        if self.count > VALUES_MAX:
            _refuse(Reason.TOO_LARGE, f"{self.name}: more than {VALUES_MAX} values")
        raw = self.raw
        first = raw[at] if at < len(raw) else 0
        if first == _QUOTE:
            return self.read_string(at)
        if first in (_OPEN_OBJECT, _OPEN_ARRAY):
            if depth > DEPTH_MAX:
                _refuse(Reason.TOO_DEEP, f"{self.name}: nested deeper than {DEPTH_MAX} levels")
            if first == _OPEN_OBJECT:
                return self.read_members(at, depth)
            return self.read_items(at, depth)
        for spelling, value in _LITERALS:
            if self.raw.startswith(spelling, at):
                return value, at + len(spelling)
        return self.read_integer(at)

    def read_members(self, at: int, depth: int) -> tuple[dict[str, JsonValue], int]:
        raw = self.raw
        members: dict[str, JsonValue] = {}
        if raw.startswith(b"}", at + 1):
            return members, at + 2
        previous = b""
        while True:
            member, colon = self.read_string(at + 1)
            order = member.encode("utf-16-be")
            if members and order <= previous:
                fault = "stands twice" if order == previous else "is not in order"
                _refuse(
                    Reason.NOT_CANONICAL,
                    f"{self.name}: member {member!r} at byte {at + 1} {fault}",
                )
            previous = order
            if not raw.startswith(b":", colon):
                self.fail(colon, "':'")
            members[member], at = self.read_value(colon + 1, depth + 1)
            if raw.startswith(b"}", at):
                return members, at + 1
            if not raw.startswith(b",", at):
                self.fail(at, "',' or '}'")

    def read_items(self, at: int, depth: int) -> tuple[list[JsonValue], int]:
        raw = self.raw
        items: list[JsonValue] = []
        if raw.startswith(b"]", at + 1):
            return items, at + 2
        while True:
            item, at = self.read_value(at + 1, depth + 1)
            items.append(item)
            if raw.startswith(b"]", at):
                return items, at + 1
            if not raw.startswith(b",", at):
                self.fail(at, "',' or ']'")

    def read_string(self, at: int) -> tuple[str, int]:
        raw, begin = self.raw, at + 1
        expected = "a string with the shortest escapes"
        if not raw.startswith(b'"', at):
            self.fail(at, expected)
        match = _CHARACTERS.match(raw, begin, begin + STRING_BYTES_MAX + _ESCAPE_BYTES)
        end = begin if match is None else match.end()
        if end - begin > STRING_BYTES_MAX:
            _refuse(
                Reason.TOO_LARGE,
                f"{self.name}: the string at byte {at} has more than {STRING_BYTES_MAX} bytes",
            )
        if not raw.startswith(b'"', end):
            self.fail(at, expected)
        token = raw[at : end + 1]
        if token.isascii() and b"\\" not in token:
            return token[1:-1].decode("ascii"), end + 1
        try:
            text = token.decode()
        except UnicodeDecodeError:
            _refuse(Reason.MALFORMED, f"{self.name}: the string at byte {at} is not valid UTF-8")
        if not text.isascii() and not is_normal(text):
            _refuse(
                Reason.NOT_CANONICAL,
                f"{self.name}: the string at byte {at} is not in Normalization Form C",
            )
        return (json.loads(text) if b"\\" in token else text[1:-1]), end + 1

    def read_integer(self, at: int) -> tuple[int, int]:
        match = _NUMBER.match(self.raw, at)
        if match is None:
            self.fail(at, "a value")
        token = match.group()
        end = match.end()
        if self.raw[end : end + 1] in (b".", b"e", b"E"):
            _refuse(
                Reason.NOT_INTEGER,
                f"{self.name}: the number at byte {at} is not a whole one; only integers are "
                "allowed (money is whole fen)",
            )
        if len(token) > _INTEGER_CHARS_MAX or abs(int(token)) > INTEGER_MAX:
            _refuse(
                Reason.NOT_INTEGER,
                f"{self.name}: the integer at byte {at} is beyond ±{INTEGER_MAX} (2^53−1)",
            )
        if token == b"-0":
            self.fail(at, "0 instead of -0")
        return int(token), end

    def fail(self, at: int, expected: str) -> NoReturn:
        found = repr(self.raw[at : at + _SHOWN]) if at < len(self.raw) else "the end"
        # Text that any JSON reader takes has merely another spelling; other bytes are no JSON.
        white = self.raw[at : at + 1] in (b" ", b"\n", b"\r", b"\t")
        reason = (
            Reason.NOT_CANONICAL if white or expected == "0 instead of -0" else Reason.MALFORMED
        )
        _refuse(reason, f"{self.name}: {expected} is expected at byte {at}, not {found}")


def is_normal(text: str) -> bool:
    """Return whether each longest run of characters that Unicode 3.2 assigns is in its NFC.

    A character of a later version stays as it is; nothing composes with it or across it (ADR 0025),
    as nothing does with U+0000, which stands for it here.
    """
    if not _QUESTIONABLE.search(text):
        return True
    later = {ord(one): "\0" for one in set(text) if NORMALIZATION.category(one) == "Cn"}
    return _is_nfc(text.translate(later) if later else text)


def _is_nfc(run: str) -> bool:
    """Return whether characters that Unicode 3.2 assigns are in NFC, asking about no disorder.

    The library sorts marks by insertion: out of order, a text of n marks would cost n² steps. Marks
    out of order and characters that are never in NFC are therefore looked for first.
    """
    orders = map(NORMALIZATION.combining, run)
    return (
        not any(0 < behind < before for before, behind in pairwise(orders))
        and all(NORMALIZATION.is_normalized("NFC", one) for one in set(run))
        and NORMALIZATION.is_normalized("NFC", run)
    )


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
