"""Spoiling valid input where its structure is: in bytes, MessagePack, JSON or lines of text.

Bytes alone mostly break the outermost layer. So a value is also read, changed in one place (another
type, a bound and its neighbours, a member left out or doubled, deep nesting) and written again,
also inside byte strings that hold MessagePack themselves. One `Random` decides everything.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Final

import msgpack

NUMBERS: Final = (0, 1, -1, 127, 128, 255, 2**16, 2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64 - 1)
SCALARS: Final = (
    None, True, False, b"", "", b"\0" * 32, "\0", "\u202e", "é", b"\xff" * 64, [], {}, 0.0, -0.0,
    float("nan"), float("inf"), *NUMBERS,
)  # fmt: skip
BYTES: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x90, 0xC0, 0xC1, 0xC4, 0xC6, 0xD9, 0xDC, 0xDD, 0xDF, 0x22)
TOKENS: Final = (b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud83d", b"null", b"1e999", b"-0",
                 b"\n", b"\xe2\x80\x94", b"=", b" ")  # fmt: skip

Path = tuple[Any, ...]


def mutate(chance: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    """Return `raw` with one change, or several; `others` are valid input to splice from."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        way = chance.choice([_bytes, _bytes, _msgpack, _msgpack, _msgpack, _json, _lines, _splice])
        raw = way(chance, raw, others)
    return raw


def _bytes(chance: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    data = bytearray(raw or b"\0")
    at = chance.randrange(len(data))
    match chance.randrange(7):
        case 0:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at] = chance.choice(BYTES)
        case 2:
            del data[at : at + chance.randrange(1, 40)]
        case 3:
            del data[at:]
        case 4:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        case 5:
            data[at:at] = chance.choice(TOKENS) * chance.choice([1, 1, 300])
        case _:
            data[at : at + 4] = chance.choice(NUMBERS[:9]).to_bytes(8, "big", signed=True)[-4:]
    return bytes(data)


def _splice(chance: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    other = chance.choice(others)
    return raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other) + 1) :]


def _lines(chance: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    lines = raw.split(b"\n")
    at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case _:
            lines[at] = lines[at][::-1]
    return b"\n".join(lines)


def _msgpack(chance: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    try:
        value = msgpack.unpackb(raw, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError):
        return _bytes(chance, raw, others)
    try:
        return bytes(msgpack.packb(_change(chance, value, others)))
    except (ValueError, OverflowError, TypeError, RecursionError):
        return _bytes(chance, raw, others)


def _json(chance: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return _bytes(chance, raw, others)
    separators = (",", ":") if chance.random() < 0.9 else (", ", ": ")
    is_sorted = chance.random() < 0.9
    try:
        changed = _change(chance, value, [])
        text = json.dumps(
            changed, separators=separators, sort_keys=is_sorted, ensure_ascii=False, default=str
        )
        return text.encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError):
        return _bytes(chance, raw, others)


def _change(chance: random.Random, value: Any, others: list[bytes]) -> Any:
    """Return a value that differs in one place."""
    value = copy.deepcopy(value)
    places: list[Path] = []
    _walk(value, (), places)
    path = chance.choice(places)
    if not path:
        return _other(chance, value, others)
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    match chance.randrange(6):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), copy.deepcopy(holder[last]))
        case 1:
            holder[str(last) + "x"] = holder[last]
        case 2 if isinstance(holder, list):
            to = chance.randrange(len(holder))
            holder[last], holder[to] = holder[to], holder[last]
        case _:
            holder[last] = _other(chance, holder[last], others)
    return value


def _walk(value: Any, path: Path, places: list[Path]) -> None:
    places.append(path)
    if len(places) > 2_000:
        return
    if isinstance(value, list):
        for at, inner in enumerate(value):
            _walk(inner, (*path, at), places)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _walk(inner, (*path, key), places)


def _other(chance: random.Random, value: Any, others: list[bytes]) -> Any:
    """Return something in the place of a value: near it, or of another kind."""
    match chance.randrange(6):
        case 0 | 1 if isinstance(value, bytes) and value:
            return _msgpack(chance, value, others) if others else _bytes(chance, value, others)
        case 0 | 1 if isinstance(value, str) and value:
            return _bytes(chance, value.encode(), []).decode("utf-8", "replace")
        case 0 | 1 if isinstance(value, int):
            return value + chance.choice([-1, 1, 256, -value, 2**32])
        case 2:
            deep: Any = value
            for _ in range(chance.choice([1, 3, 600])):
                deep = [deep]
            return deep
        case 3 if isinstance(value, bytes | str | list):
            return value * chance.choice([0, 2, 40])
        case _:
            return chance.choice(SCALARS)
