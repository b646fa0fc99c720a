"""Show MessagePack bytes one field a line, with what each is."""

from __future__ import annotations

import json
from typing import Any

import msgpack

WIDTH = 72
"""Column where the words begin."""

SHOWN = 68
"""Hex digits shown before a long value is cut."""

Labels = str | tuple[str, list[Any]]


def annotate(raw: bytes, labels: Labels) -> str:
    """Return the lines; their hex, in order, is `raw` except where `…` stands.

    `labels` is a word for a scalar, or a pair of a word and the elements' labels for an array; a
    single label in that list stands for each element.
    """
    lines = list(_lines(msgpack.unpackb(raw), labels))
    if b"".join([piece for piece, _ in lines]) != raw:
        raise ValueError("not the one encoding of its value")
    return "".join([f"{_shorten(piece):<{WIDTH}}{label}".rstrip() + "\n" for piece, label in lines])


def _lines(value: Any, labels: Labels) -> list[tuple[bytes, str]]:
    if not isinstance(value, list):
        label = labels if isinstance(labels, str) else labels[0]
        return [(msgpack.packb(value), f"{label}{_say(value)}".removeprefix(": "))]
    word, inner = (labels, [""]) if isinstance(labels, str) else labels
    head: bytes = msgpack.Packer().pack_array_header(len(value))
    lines = [(head, f"array of {len(value)}: {word}")]
    for place, item in enumerate(value):
        lines += _lines(item, inner[place if len(inner) > 1 else 0])
    return lines


def _say(value: Any) -> str:
    match value:
        case bytes():
            return ""
        case bool():
            return ": yes" if value else ": no"
        case None:
            return ": nil"
        case _:
            return f": {json.dumps(value, ensure_ascii=False)}"


def _shorten(piece: bytes) -> str:
    head = {0xC4: 2, 0xC5: 3, 0xD9: 2, 0xDA: 3}.get(piece[0], 1)
    if 0xA0 <= piece[0] < 0xC0 and len(piece) > 1:
        head = 1
    shown = f"{piece[:head].hex()} {piece[head:].hex()}".strip()
    return shown if len(shown) <= SHOWN else f"{shown[:44]}…{shown[-12:]}"
