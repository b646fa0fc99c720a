"""What a certificate says, before anybody thinks of paper: titled sections of fields and tables.

A document is a value in two languages and knows nothing of fonts, pages or PDF. `encode_document`
makes of it the JSON that the layout reads, in one language. Every piece of text passes through
`certificate.showing` on that way and nowhere else, so nothing from a file reaches a page raw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from certificate.showing import show_chosen, show_exact, show_text
from verifier.report import Words

Text = Words | str
"""In two languages, or the same in both (ids, hashes, names)."""

LANGUAGES: Final = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Exact:
    """A value to be compared character by character: a hash, a key, a signature."""

    value: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value that its holder chose to show: between marks of quotation, and never masked."""

    value: str


Value = Text | Exact | Chosen


@dataclass(frozen=True, slots=True)
class Fields:
    """Label and value, one pair a line."""

    rows: tuple[tuple[Words, Value], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head."""

    head: tuple[Words, ...]
    widths: tuple[int, ...]
    """Shares of the page's width, one for each column."""
    rows: tuple[tuple[Text | Exact, ...], ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences, each a line of its own, with a mark before it or without."""

    lines: tuple[Text, ...]
    are_marked: bool = True


Block = Fields | Table | Sentences


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: Words
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A whole certificate."""

    title: Words
    issuer: Text
    """The network whose ledger it speaks of."""
    number: str
    conclusion: Words
    is_consistent: bool
    meaning: Words
    """The conclusion as a sentence."""
    sections: tuple[Section, ...]


def encode_document(certificate: Certificate, language: str) -> dict[str, Any]:
    """Return the certificate in one language, as the layout reads it; text is a list of pieces."""
    return {
        "conclusion": _encode(certificate.conclusion, language),
        "consistent": certificate.is_consistent,
        "issuer": _encode(certificate.issuer, language),
        "language": language,
        "meaning": _encode(certificate.meaning, language),
        "number": certificate.number,
        "sections": [
            {
                "blocks": [_encode_block(block, language) for block in section.blocks],
                "title": _choose(section.title, language),
            }
            for section in certificate.sections
        ],
        "title": _choose(certificate.title, language),
    }


def _encode_block(block: Block, language: str) -> dict[str, Any]:
    match block:
        case Fields():
            rows = [
                [_encode(label, language), _encode(value, language), isinstance(value, Exact)]
                for label, value in block.rows
            ]
            return {"kind": "fields", "rows": rows}
        case Table():
            return {
                "head": [_encode(one, language) for one in block.head],
                "kind": "table",
                "rows": [
                    [[_encode(cell, language), isinstance(cell, Exact)] for cell in row]
                    for row in block.rows
                ],
                "widths": list(block.widths),
            }
        case Sentences():
            lines = [_encode(line, language) for line in block.lines]
            return {"kind": "sentences", "marked": block.are_marked, "rows": lines}


def _encode(text: Value, language: str) -> Sequence[str]:
    if isinstance(text, Exact):
        return show_exact(text.value)
    if isinstance(text, Chosen):
        return ["“", *show_chosen(text.value), "”"]
    return show_text(_choose(text, language))


def _choose(text: Text, language: str) -> str:
    if isinstance(text, str):
        return text
    return text.zh if language == "zh" else text.en
