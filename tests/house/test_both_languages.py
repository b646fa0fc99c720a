"""Whoever asks the API is told in Chinese whatever it is told in English.

Types ask for two sentences wherever there is no answer; that the second is not English again is
seen here: in each call that makes a problem, or an exception that becomes one, no more arguments
are English sentences than are Chinese ones.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANSWERS = ("api", "node")
REFUSING = ("api/scitt.py", "contracts/questions.py", "ledger/scitt.py", "node/proofs.py")
"""What they refuse is an answer to whoever asked, too."""

ENGLISH = re.compile(r"\S [a-z]")
CHINESE = re.compile("[\u4e00-\u9fff]")


@cache
def sources() -> Mapping[str, ast.Module]:
    """Whatever answers, by name."""
    paths = {path for package in ANSWERS for path in (ROOT / package).rglob("*.py")}
    paths |= {ROOT / name for name in REFUSING}
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(paths)
    }


def name_of(node: ast.expr | None) -> str:
    """Return `NotFound` of `NotFound` and of `ports.NotFound`; of another expression nothing."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def find_classes(trees: Mapping[str, ast.Module]) -> set[str]:
    """Return `Problem`, and all that is derived from `Unanswered`."""
    found, count = {"Problem", "Unanswered"}, 0
    classes = [each for tree in trees.values() for each in ast.walk(tree)]
    while count < len(found):
        count = len(found)
        for each in classes:
            if isinstance(each, ast.ClassDef) and found & set(map(name_of, each.bases)):
                found.add(each.name)
    return found


def find_makers(tree: ast.Module, classes: Set[str]) -> set[str]:
    """Return the functions that return one of them."""
    return {
        each.name
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and name_of(each.returns) in classes
    }


def list_sayings(tree: ast.Module, names: Set[str], classes: Set[str]) -> Iterator[ast.Call]:
    """Yield each call of one of `names`, and of the initializer above a class of `classes`."""
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef) and each.name in classes:
            for inner in ast.walk(each):
                if isinstance(inner, ast.Call) and name_of(inner.func) == "__init__":
                    yield inner
        elif isinstance(each, ast.Call) and name_of(each.func) in names:
            yield each


def read_text(part: ast.expr) -> str:
    """Return what an argument says by itself, each value in it as a dot."""
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(
                "…" if isinstance(v, ast.FormattedValue) else read_text(v) for v in values
            )
        case ast.IfExp(body=body, orelse=orelse):
            return f"{read_text(body)} | {read_text(orelse)}"
        case ast.BinOp(left=left, right=right):
            return read_text(left) + read_text(right)
        case _:
            return ""


def count_languages(call: ast.Call) -> tuple[int, int]:
    """Return how many arguments are English sentences, and how many Chinese ones."""
    given = [*call.args, *[each.value for each in call.keywords if each.arg != "headers"]]
    said = list(map(read_text, given))
    chinese = [text for text in said if CHINESE.search(text)]
    return sum(bool(ENGLISH.search(text)) for text in said if text not in chinese), len(chinese)


def list_one_sided(trees: Mapping[str, ast.Module]) -> tuple[list[str], int]:
    """Return where only English is spoken, and how many calls were looked at that speak."""
    classes = find_classes(trees)
    names = set(classes).union(*(find_makers(tree, classes) for tree in trees.values()))
    wrong, count = [], 0
    for file, tree in trees.items():
        of_file = set(names)
        if file in REFUSING:
            of_file |= {"Rejected", "Unregistrable"} | find_makers(tree, {"Rejected", "NoReturn"})
        for call in list_sayings(tree, of_file, classes):
            english, chinese = count_languages(call)
            count += bool(english or chinese)
            if english > chinese:
                wrong.append(f"{file}:{call.lineno}")
    return wrong, count


def test_no_answer_is_in_english_alone() -> None:
    wrong, count = list_one_sided(sources())
    assert wrong == []
    assert count > 100  # fewer, and the names above are no longer those that the code uses


SAMPLE = """
class Later(Unanswered):
    def __init__(self):
        super().__init__({late})

def _refuse(detail: str, detail_zh: str) -> Problem:
    return Problem("bad_parameter", detail, detail_zh)

def answer(path):
    if path:
        raise _refuse({refused})
    raise Later({said})
"""
BOTH = 'f"there is no route {path}", f"没有路径 {path}"'


@pytest.mark.parametrize(
    "alone",
    [
        'f"there is no route {path}"',
        'f"there is no route {path}", f"there is no route {path}"',
        'f"there is no route {path}", ""',
    ],
)
@pytest.mark.parametrize("place", ["late", "refused", "said"])
def test_a_sentence_alone_is_found_wherever_it_stands(place: str, alone: str) -> None:
    places = {"late": BOTH, "refused": BOTH, "said": BOTH}
    assert list_one_sided({"x.py": ast.parse(SAMPLE.format(**places))}) == ([], 3)
    wrong, count = list_one_sided({"x.py": ast.parse(SAMPLE.format(**places | {place: alone}))})
    assert (len(wrong), count) == (1, 3)
