"""Reads the members of a document, one by one, and refuses by name whatever is not expected.

`Fields` stands for one object and knows where it stands, so that every sentence names the place. A
reader takes each member it wants and ends with `end()`, which refuses members nobody took: a
document never says something that is silently ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NoReturn

from law.days import Day, parse_day
from law.refusal import Code, Refused

FEN_MAX: Final = 10**10
"""One hundred million yuan: a contract's hundred thousand facts cannot sum up to 2^53."""

PPM_MAX: Final = 1_000_000
"""A rate of one hundred per cent a year."""

BLANK: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""White space, written out: what `str.strip` takes for it is up to the interpreter's Unicode, and
two nodes would disagree about an outcome (ADR 0025)."""

MS_MAX: Final = 2**43
"""Milliseconds since 1970: the year 2248."""

LIST_MAX: Final = 256
"""Most elements of any list in a document."""

WORD_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 4_000


class Fields:
    """The members of one object, taken one after another."""

    __slots__ = ("_left", "path")

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise Refused(Code.WRONG_TYPE, f"{path} is {_show(value)}; an object is expected")
        self.path = path
        self._left = dict(value)

    def refuse(self, code: Code, member: str, sentence: str) -> NoReturn:
        """Raise `Refused` for a member: "<path>.<member> <sentence>"."""
        raise Refused(code, f"{self.path}.{member} {sentence}")

    def take(self, member: str) -> Any:
        """Return a member's value as it is."""
        try:
            return self._left.pop(member)
        except KeyError:
            sentence = f"{self.path} lacks the member {member!r}"
            raise Refused(Code.MISSING_MEMBER, sentence) from None

    def has(self, member: str) -> bool:
        """Return whether a member is there that may be left out."""
        return member in self._left

    def end(self) -> None:
        """Refuse members that were not taken."""
        if self._left:
            raise Refused(
                Code.UNKNOWN_MEMBER,
                f"{self.path} has the unknown member {_show(min(self._left))}",
            )

    def integer(self, member: str, lowest: int, highest: int) -> int:
        """Return a whole number within bounds."""
        value = self.take(member)
        if type(value) is not int:
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; a whole number is expected")
        if not lowest <= value <= highest:
            self.refuse(Code.OUT_OF_RANGE, member, f"is {value}; {lowest} to {highest} is expected")
        return value

    def optional_integer(self, member: str, lowest: int, highest: int) -> int | None:
        """Return a whole number within bounds, or None for null."""
        if self._left.get(member, 0) is None:
            del self._left[member]
            return None
        return self.integer(member, lowest, highest)

    def fen(self, member: str, lowest: int = 0) -> int:
        """Return an amount in fen."""
        return self.integer(member, lowest, FEN_MAX)

    def ms(self, member: str) -> int:
        """Return an instant, in milliseconds since 1970."""
        return self.integer(member, 0, MS_MAX)

    def flag(self, member: str) -> bool:
        """Return true or false."""
        value = self.take(member)
        if type(value) is not bool:
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; true or false is expected")
        return value

    def text(self, member: str, chars_max: int = TEXT_CHARS_MAX, chars_min: int = 0) -> str:
        """Return text of bounded length."""
        value = self.take(member)
        if type(value) is not str:
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; text is expected")
        if not chars_min <= len(value) <= chars_max:
            self.refuse(
                Code.OUT_OF_RANGE,
                member,
                f"has {len(value)} characters; {chars_min} to {chars_max} are expected",
            )
        return value

    def word(self, member: str) -> str:
        """Return an identifier: 1 to 64 characters."""
        return self.text(member, WORD_CHARS_MAX, 1)

    def optional_word(self, member: str) -> str | None:
        """Return an identifier, or None for null."""
        if self._left.get(member, 0) is None:
            del self._left[member]
            return None
        return self.word(member)

    def choice(self, member: str, choices: Collection[str]) -> str:
        """Return one of a few words."""
        value = self.take(member)
        if type(value) is not str or value not in choices:
            self.refuse(
                Code.UNKNOWN_WORD,
                member,
                f"is {_show(value)}; one of {', '.join(choices)} is expected",
            )
        return value

    def day(self, member: str) -> Day:
        """Return a day, written YYYY-MM-DD."""
        value = self.take(member)
        day = parse_day(value) if type(value) is str else None
        if day is None:
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; a day YYYY-MM-DD is expected")
        return day

    def optional_day(self, member: str) -> Day | None:
        """Return a day, or None for null."""
        if self._left.get(member, 0) is None:
            del self._left[member]
            return None
        return self.day(member)

    def hash(self, member: str) -> str:
        """Return a SHA-256 as 64 lower-case hex digits."""
        value = self.take(member)
        if type(value) is not str or len(value) != 64 or set(value) - set("0123456789abcdef"):
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; 64 hex digits are expected")
        return value

    def items(self, member: str, length_max: int = LIST_MAX, length_min: int = 0) -> list[Any]:
        """Return a list of bounded length."""
        value = self.take(member)
        if type(value) is not list:
            self.refuse(Code.WRONG_TYPE, member, f"is {_show(value)}; a list is expected")
        if not length_min <= len(value) <= length_max:
            self.refuse(
                Code.OUT_OF_RANGE,
                member,
                f"has {len(value)} elements; {length_min} to {length_max} are expected",
            )
        return value

    def days(self, member: str) -> list[Day]:
        """Return a list of days, each written YYYY-MM-DD."""
        found = []
        for value in self.items(member):
            day = parse_day(value) if type(value) is str else None
            if day is None:
                self.refuse(
                    Code.WRONG_TYPE,
                    f"{member}.day",
                    f"is {_show(value)}; a day YYYY-MM-DD is expected",
                )
            found.append(day)
        return found

    def words(self, member: str, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of different words, perhaps of a few known ones."""
        found: list[str] = []
        for value in self.items(member):
            if type(value) is not str or not 1 <= len(value) <= WORD_CHARS_MAX:
                self.refuse(
                    Code.WRONG_TYPE,
                    member,
                    f"holds {_show(value)}; words of 1 to {WORD_CHARS_MAX} characters are expected",
                )
            if choices is not None and value not in choices:
                self.refuse(
                    Code.UNKNOWN_WORD,
                    member,
                    f"holds {_show(value)}; some of {', '.join(choices)} are expected",
                )
            if value in found:
                self.refuse(Code.INCONSISTENT, member, f"holds {_show(value)} twice")
            found.append(value)
        return tuple(found)

    def object(self, member: str) -> Fields:
        """Return the fields of an inner object."""
        return Fields(self.take(member), f"{self.path}.{member}")

    def objects(
        self, member: str, length_max: int = LIST_MAX, length_min: int = 0
    ) -> Iterator[Fields]:
        """Return the fields of each object of a list."""
        for place, value in enumerate(self.items(member, length_max, length_min)):
            yield Fields(value, f"{self.path}.{member}[{place}]")

    def format(self, name: str, version: int) -> None:
        """Take `format` and `version` and refuse any others."""
        found, found_version = self.take("format"), self.take("version")
        if found != name or type(found_version) is not int or found_version != version:
            raise Refused(
                Code.UNKNOWN_FORMAT,
                f"{self.path} is {_show(found)} version {_show(found_version)}; "
                f"{name!r} version {version} is expected",
            )


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 48 else text[:48] + "…"
