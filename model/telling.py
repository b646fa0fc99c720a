"""A counterexample in words: who said what, in order, and which certificates follow from it."""

from __future__ import annotations

from collections.abc import Iterable

from model.explorer import Breach
from model.properties import describe
from model.rules import Rules
from model.statements import Book


def tell_breach(rules: Rules, breach: Breach) -> Iterable[str]:
    """Yield the lines of a breach."""
    liars = rules.setting.liars
    yield f"{breach.sentence}."
    yield f"{rules.setting.describe()}, and may have said anything that is not listed:"
    book = Book()
    for number, statement in enumerate(breach.trace, 1):
        yield f"{number:4}. {describe(statement, rules)}"
        book.add(statement)
    for (view, block), voters in sorted(book.commits.items()):
        if rules.is_decided(book, view, block):
            everybody = ", ".join(str(i) for i in sorted(voters))
            lying = "".join(f" and the liar {i}" for i in sorted(liars))
            yield f"      {block} is decided in view {view}: commits of {everybody}{lying}"
