"""How a command says that it cannot go on: one plain sentence and an exit status.

A command raises `Failure`; `cli.main` prints the sentence and returns the status. Every sentence
names what was wrong and, where there is one, what to do about it.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""The command did its work and the answer is no: damaged, refused, not reachable."""
UNUSABLE: Final = 2
"""The command was not given what it needs; nothing was done."""


class Failure(Exception):
    """A command cannot go on; the text is the sentence to print."""

    def __init__(self, sentence: str, status: int = FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def unusable(sentence: str) -> Failure:
    """Return the failure of a command that was not given what it needs."""
    return Failure(sentence, UNUSABLE)
