"""How a command says that it cannot go on: one plain sentence in each language, an exit status.

A command raises `Failure`; `cli.main` prints the English line and then the Chinese one, and returns
the status. Every sentence names what was wrong and, where there is one, what to do about it. What a
deeper part said (the system, a decoder) stands once, in the English line.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""The command did its work and the answer is no: damaged, refused, not reachable."""
UNUSABLE: Final = 2
"""The command was not given what it needs; nothing was done."""


class Failure(Exception):
    """A command cannot go on; the text is what to print, the English line before the Chinese."""

    def __init__(self, english: str, chinese: str, status: int = FAILED) -> None:
        super().__init__(f"{english}\n{chinese}")
        self.english = english
        self.chinese = chinese
        self.status = status


def unusable(english: str, chinese: str) -> Failure:
    """Return the failure of a command that was not given what it needs."""
    return Failure(english, chinese, UNUSABLE)
