"""Normal text (ADR 0025): the same in every Python, in three implementations, for every character.

The page's is the fourth, and asked in tests/page.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import law.canonical
import ledger.canonical
import verifier.strict_json
from law.refusal import Refused
from ledger.refusal import Rejected
from tests.vectors.normal_texts import list_normal_texts

READINGS: list[tuple[Callable[[str], bool], Callable[[bytes, str], object]]] = [
    (ledger.canonical.is_normal, ledger.canonical.decode_canonical),
    (law.canonical.is_normal, law.canonical.decode),
    (verifier.strict_json.is_normal, verifier.strict_json.read_object),
]
UNICODE_3_2 = unicodedata.ucd_3_2_0
SCALARS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
ASSIGNED = [one for one in SCALARS if UNICODE_3_2.category(one) not in ("Cn", "Co")]
LATER = [
    one
    for one in SCALARS
    if UNICODE_3_2.category(one) == "Cn" and (one < "\U00034000" or one >= "\U000e0000")
]
"""Not assigned by Unicode 3.2; between the two, no version has assigned anything."""


@pytest.mark.parametrize("case", list_normal_texts(), ids=lambda case: case["name"])
def test_vectors(case: dict[str, str]) -> None:
    raw = f'{{"a":"{case["text"]}"}}'.encode()
    for is_normal, read in READINGS:
        assert is_normal(case["text"]) == case["normal"]
        if case["normal"]:
            read(raw, "document")
        else:
            with pytest.raises((Rejected, Refused), match="Normalization Form C"):
                read(raw, "document")


class CountingMoves:
    """The tables, counting how often the library's sorting moves a mark past another."""

    category = staticmethod(UNICODE_3_2.category)
    combining = staticmethod(UNICODE_3_2.combining)

    def __init__(self) -> None:
        self.moves = 0

    def is_normalized(self, form: str, text: str) -> bool:
        """Answer as the tables do; text is decomposed, then each mark is put in its place."""
        marks: Counter[int] = Counter()
        for one in "".join([UNICODE_3_2.normalize("NFD", one) for one in text]):
            order = UNICODE_3_2.combining(one)
            if order == 0:
                marks.clear()
            self.moves += sum([count for other, count in marks.items() if other > order > 0])
            marks[order] += 1
        return UNICODE_3_2.is_normalized(form, text)


DISORDERLY = {
    "marks-of-two-kinds": ("a" + "\u0301" * 2_000 + "\u0323" * 2_000, False),
    "characters-of-two-marks": ("a" + "\u0f73" * 2_000, False),
    "letters-with-a-mark-and-another": ("\u00e9\u0323" * 1_000, False),
    "marks-in-order-behind-a-composite": ("\u1f82" + "\u0323" * 2_000, True),
    "marks-in-order": ("a" + "\u0329" * 2_000 + "\u030d" * 2_000, True),
    "marks-in-disorder-behind-an-emoji": ("\U0001f9e7" + "\u030d\u0329" * 2_000, False),
}


@pytest.mark.parametrize("module", [ledger.canonical, law.canonical, verifier.strict_json])
@pytest.mark.parametrize("name", DISORDERLY)
def test_no_text_takes_the_square_of_its_length(
    module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = CountingMoves()
    monkeypatch.setattr(module, "NORMALIZATION", tables)
    text, expected = DISORDERLY[name]
    assert module.is_normal(text) is expected
    assert tables.moves <= 4 * len(text)


def test_tables_of_unicode_3_2_are_frozen_where_we_ask_them() -> None:
    """Every character that 3.2 assigns, and how it combines, as CPython 3.11 to 3.13 hold it."""
    table = sha256()
    for one in ASSIGNED:
        composed, decomposed = (UNICODE_3_2.normalize(form, one) for form in ("NFC", "NFD"))
        row = (one, str(UNICODE_3_2.combining(one)), composed, decomposed)
        table.update("\t".join(row).encode() + b"\n")
    assert table.hexdigest() == "5197186f3abbf4c52064a43d52ce6572360547df504a9dc1ae206c58837acac9"


def test_every_character_of_3_2_is_judged_as_by_every_other_interpreter() -> None:
    """Alone, twice, and between a letter and a mark that may compose with it or sort before it."""
    judged = sha256()
    for one in ASSIGNED:
        texts = (one, one + one, f"a{one}\u0323", f"e{one}\u0301")
        first, *others = [bytes(map(is_normal, texts)) for is_normal, _ in READINGS]
        assert all(other == first for other in others), ascii(one)
        judged.update(first)
    assert judged.hexdigest() == "f258a3e4bc71256e1226e0a07a8c38c64ab80698fc89a6e20905f67ea970be72"


def test_a_later_character_is_never_at_fault() -> None:
    text = "".join([f"\u0301{one}\u0323{one}{one}e{one}\u0301" for one in LATER])
    for is_normal, _ in READINGS:
        assert is_normal(text)
        assert not is_normal(text + "\u0323")


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("e\u0301\u0323\u1dc4")))
def test_what_a_library_of_today_writes_is_normal(text: str) -> None:
    today = unicodedata.normalize("NFC", text)
    assert all(is_normal(today) for is_normal, _ in READINGS)
    assert len({is_normal(text) for is_normal, _ in READINGS}) == 1


def test_each_character_that_a_library_of_today_leaves_alone_is_normal() -> None:
    for one in ASSIGNED:
        if unicodedata.is_normalized("NFC", one):
            assert ledger.canonical.is_normal(one), ascii(one)
