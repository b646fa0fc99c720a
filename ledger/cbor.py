"""Reading CBOR (RFC 8949) as COSE needs it: few types, one spelling, every length checked.

Integers of 64 bits, byte and text strings, arrays, maps whose keys are integers or texts, `false`,
`true`, `null`, and tags; heads in their shortest form, lengths definite, no key twice. Floats,
indefinite lengths and other simple values are refused wherever they stand. Keys may come in any
order, because a COSE header that somebody else signed must be read as it was signed. A length is
never believed beyond the bytes that are there. Nothing is written here: `cbor2` writes what this
reads, so the two are independent of one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.refusal import Reason, Rejected

DEPTH_MAX: Final = 8
"""Deepest nesting read; receipts, in which nothing is wrapped, need five."""

VALUES_MAX: Final = 1_024
"""Values of one reading, keys counted; a statement or receipt has some fifty."""

KEY_SHOWN_CHARS: Final = 40

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
"""Major types (RFC 8949 section 3.1)."""

_CONSTANTS: Final = {20: False, 21: True, 22: None}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under a tag."""

    tag: int
    value: Cbor


Cbor = int | bytes | str | bool | None | list["Cbor"] | dict["int | str", "Cbor"] | Tagged


def read_cbor(raw: bytes, name: str) -> Cbor:
    """Return the one value that `raw` spells, to its last byte.

    Raises `Rejected`: MALFORMED, NOT_CANONICAL, TOO_DEEP, TOO_LARGE.
    """
    reader = _Reader(raw, name)
    value = reader.read(1)
    if reader.at != len(raw):
        reader.refuse(Reason.MALFORMED, f"{len(raw) - reader.at} bytes follow its value")
    return value


def write_head(major: int, argument: int) -> bytes:
    """Return the shortest head of a value (RFC 8949 section 4.2.1)."""
    if argument < 24:
        return bytes([major << 5 | argument])
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << (8 * width))
    return bytes([major << 5 | 23 + width.bit_length()]) + argument.to_bytes(width, "big")


def write_bytes(value: bytes) -> bytes:
    """Return a byte string's encoding."""
    return write_head(_BYTES, len(value)) + value


class _Reader:
    """Where the reading stands."""

    def __init__(self, raw: bytes, name: str) -> None:
        self._raw = raw
        self._name = name
        self.at = 0
        self._count = 0

    def read(self, depth: int) -> Cbor:
        self._count += 1
        if self._count > VALUES_MAX:
            self.refuse(Reason.TOO_LARGE, f"more than {VALUES_MAX} values")
        if depth > DEPTH_MAX:
            self.refuse(Reason.TOO_DEEP, f"nested deeper than {DEPTH_MAX} levels")
        start = self.at
        major, argument = self._head()
        if major in (_UNSIGNED, _NEGATIVE):
            return argument if major == _UNSIGNED else -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            try:
                return self._take(argument).decode()
            except UnicodeDecodeError:
                self.refuse(Reason.MALFORMED, f"the text at byte {start} is not UTF-8")
        if major == _ARRAY:
            self._check_count(argument)
            return [self.read(depth + 1) for _ in range(argument)]
        if major == _MAP:
            self._check_count(2 * argument)
            return self._map(argument, depth)
        if major == _TAG:
            return Tagged(argument, self.read(depth + 1))
        if argument not in _CONSTANTS:
            self.refuse(Reason.MALFORMED, f"the simple value at byte {start} has no place in it")
        return _CONSTANTS[argument]

    def _map(self, count: int, depth: int) -> dict[int | str, Cbor]:
        found: dict[int | str, Cbor] = {}
        for _ in range(count):
            start = self.at
            key = self.read(depth + 1)
            if type(key) is not int and type(key) is not str:
                self.refuse(
                    Reason.MALFORMED, f"the key at byte {start} is neither integer nor text"
                )
            if key in found:
                shown = key[:KEY_SHOWN_CHARS] if type(key) is str else key
                self.refuse(Reason.NOT_CANONICAL, f"the key {shown!r} stands twice in one map")
            found[key] = self.read(depth + 1)
        return found

    def _head(self) -> tuple[int, int]:
        start = self.at
        (first,) = self._take(1)
        major, short = first >> 5, first & 31
        if short < 24:
            return major, short
        if short > 27 or major == _SIMPLE:
            self.refuse(
                Reason.MALFORMED, f"the head 0x{first:02x} at byte {start} has no place in it"
            )
        argument = int.from_bytes(self._take(1 << (short - 24)), "big")
        if write_head(major, argument) != self._raw[start : self.at]:
            self.refuse(Reason.NOT_CANONICAL, f"the head at byte {start} is not the shortest")
        return major, argument

    def _take(self, count: int) -> bytes:
        self._check_count(count)
        self.at += count
        return self._raw[self.at - count : self.at]

    def _check_count(self, count: int) -> None:
        """What is left holds as many bytes, and an item has one byte at least."""
        if count > len(self._raw) - self.at:
            self.refuse(Reason.MALFORMED, f"it ends within the value at byte {self.at}")

    def refuse(self, reason: Reason, detail: str) -> NoReturn:
        raise Rejected(
            reason,
            f"{self._name}: not CBOR as it must be: {detail}",
            f"CBOR 编码不合要求。原文：{self._name}: {detail}",
        )
