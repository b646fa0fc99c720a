"""A mutant: one deliberate mistake in one file, as an exact piece of source and what replaces it.

A patch applies only where its piece stands exactly once; otherwise the source has moved on and the
list must follow, and that is said with the file and the piece. Nothing here runs anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Stale(Exception):
    """The source no longer holds what a mutant replaces, or holds it more than once."""


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    file: str
    """From the root of the repository."""
    old: str
    new: str
    mistake: str
    """What is wrong now, for people: a clause without a full stop."""
    caught_by: str
    """The quickest test that fails: `path::test`, or `path::test[case]`."""
    seed: str = ""
    """A seed of the simulator that finds it too, if one is named: arguments of `python -m sim`."""

    def apply(self, root: Path) -> str:
        """Return the file's text with the mistake in it; raise `Stale`."""
        text = (root / self.file).read_text("utf-8")
        count = text.count(self.old)
        if count != 1:
            raise Stale(
                f"{self.name}: {self.file} holds this {count} times instead of once:\n{self.old}"
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant under one test."""

    mutant: Mutant
    catcher: str
    failed: tuple[str, ...]
    """The tests that failed."""
    how: str
    """The first failure in one line; what went wrong, if nothing could be run."""
    cpu_s: float

    @property
    def is_caught(self) -> bool:
        """Whether the catcher failed, and by its own doing."""
        return any(
            name == self.catcher or name.startswith(self.catcher + "[") for name in self.failed
        )
