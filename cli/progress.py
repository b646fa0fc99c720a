"""Progress for a person: a bar on a terminal, a plain line now and then elsewhere.

Nothing is drawn where nobody looks, so a log stays readable: every tenth of the way is one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told how much more is done."""

    def advance(self, count: int = 1) -> None:
        """Count `count` more."""


class _Lines:
    """One line for every tenth."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._said = 0

    def advance(self, count: int = 1) -> None:
        self._done += count
        tenth = 10 * self._done // max(self._total, 1)
        if tenth > self._said:
            self._said = tenth
            print(f"  {self._what}: {self._done} of {self._total}", flush=True)


@contextmanager
def show_progress(what: str, total: int) -> Iterator[Progress]:
    """Show progress towards `total` until the block ends."""
    if not sys.stdout.isatty():
        yield _Lines(what, total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task(what, total=total)

        class _Bar:
            def advance(self, count: int = 1) -> None:
                bar.advance(task, count)

        yield _Bar()
