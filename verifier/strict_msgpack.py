"""MessagePack arrays in one spelling, read with the plain `msgpack` package.

The ledger writes and reads with msgspec; this is the independent reading. A value is decoded,
written again in the shortest spelling and compared, so a second spelling of it is refused. Only
arrays, integers, strings, byte strings, booleans and nil exist on the ledger: a map, a float or an
extension type is refused wherever it stands. Nothing here takes a boolean for an integer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import msgpack

from ledger.refusal import Reason, Rejected

COUNT_MAX: Final = 2**53 - 1
"""Largest count, height, index or time (`ledger.block.Count`)."""

BYTES_MAX: Final = 1024 * 1024
"""Largest value read; the largest entry is a sixteenth of it. Decoded, the smallest elements take
eight times their spelling and more."""

DEPTH_MAX: Final = 16
"""Deepest nesting read; a party's keys inside its record inside its value need four."""


def read_array(raw: bytes, name: str, length: int | None = None) -> list[Any]:
    """Return the array that `raw` spells, of `length` elements if that is given.

    Raises `Rejected`: TOO_LARGE, MALFORMED, TOO_DEEP, NOT_CANONICAL.
    """
    if len(raw) > BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{name}: {len(raw)} bytes; at most {BYTES_MAX}")
    try:
        value = msgpack.unpackb(raw, raw=False, use_list=True, ext_hook=_refuse_extension)
        _check_types([value], name, 0)
        spelled = write_array(value)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        # Not the library's own words: those of its next version would be others.
        sentence = f"{name}: these {len(raw)} bytes are not MessagePack"
        raise Rejected(Reason.MALFORMED, sentence) from None
    if spelled != raw:
        _refuse(
            Reason.NOT_CANONICAL,
            f"{name}: these {len(raw)} bytes are not the one encoding of their value",
        )
    return take_array(value, name, length)


def write_array(value: Any) -> bytes:
    """Return the one encoding of nested arrays, for what is hashed."""
    # A packer of its own: where none is compiled, two threads would write into one another's text.
    encoded: bytes = msgpack.Packer(use_bin_type=True).pack(value)
    return encoded


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} of {len(data)} bytes")


_LEAVES: Final = frozenset((int, str, bytes, bool, type(None)))


def _check_types(values: list[Any], name: str, depth: int) -> None:
    """Refuse what exists nowhere on the ledger; `depth` levels are around and of `values`."""
    for value in values:
        kind = type(value)
        if kind is list:
            if depth == DEPTH_MAX:
                _refuse(Reason.TOO_DEEP, f"{name}: nested deeper than {DEPTH_MAX} levels")
            _check_types(value, name, depth + 1)
        elif kind not in _LEAVES:
            _refuse(Reason.MALFORMED, f"{name}: a {kind.__name__} has no place in it")


Given = ParamSpec("Given")
Read = TypeVar("Read")


def named(read: Callable[Given, Read]) -> Callable[Concatenate[str, Given], Read]:
    """Return a reader that is told first how what it reads is named, for its refusals to begin
    with. So names are put together where something is refused and nowhere else."""

    def read_named(name: str, /, *given: Given.args, **options: Given.kwargs) -> Read:
        try:
            return read(*given, **options)
        except Rejected as rejected:
            raise Rejected(rejected.reason, f"{name}: {rejected.detail}") from None

    return read_named


def take_array(value: Any, name: str, length: int | None = None) -> list[Any]:
    """Return an array, of `length` elements if that is given; raise `Rejected`(MALFORMED)."""
    if type(value) is not list:
        _refuse(Reason.MALFORMED, f"{name}: an array is expected, not {type(value).__name__}")
    if length is not None and len(value) != length:
        _refuse(Reason.MALFORMED, f"{name}: {len(value)} elements; {length} are expected")
    return value


def take_integer(value: Any, name: str, least: int = 0, most: int = COUNT_MAX) -> int:
    """Return an integer in `[least, most]`, never a boolean; raise `Rejected`."""
    if type(value) is not int:
        _refuse(Reason.MALFORMED, f"{name}: an integer is expected, not {type(value).__name__}")
    if not least <= value <= most:
        _refuse(Reason.BAD_FIELD, f"{name}: {value} is not between {least} and {most}")
    return value


def take_bytes(value: Any, name: str, length: int | None = None) -> bytes:
    """Return a byte string, of `length` bytes if that is given; raise `Rejected`(MALFORMED)."""
    if type(value) is not bytes:
        _refuse(Reason.MALFORMED, f"{name}: bytes are expected, not {type(value).__name__}")
    if length is not None and len(value) != length:
        _refuse(Reason.MALFORMED, f"{name}: {len(value)} bytes; {length} are expected")
    return value


def take_text(value: Any, name: str) -> str:
    """Return a string; raise `Rejected`(MALFORMED)."""
    if type(value) is not str:
        _refuse(Reason.MALFORMED, f"{name}: a string is expected, not {type(value).__name__}")
    return value


def take_boolean(value: Any, name: str) -> bool:
    """Return a boolean, never an integer; raise `Rejected`(MALFORMED)."""
    if type(value) is not bool:
        _refuse(Reason.MALFORMED, f"{name}: a boolean is expected, not {type(value).__name__}")
    return value


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, detail)
