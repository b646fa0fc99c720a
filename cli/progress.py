"""Progress for a person: a bar on a terminal, a plain line now and then elsewhere.

Nothing is drawn where nobody looks, so a log stays readable: every tenth of the way is one line,
or, where work comes in steps of which none is known to be long, one line in ten seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told how much more is done, by any thread."""

    def advance(self, count: int = 1) -> None:
        """Count `count` more."""


class _Lines:
    """One line for every tenth."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._said = 0
        self._guard = threading.Lock()

    def advance(self, count: int = 1) -> None:
        with self._guard:
            self._done += count
            tenth = 10 * self._done // max(self._total, 1)
            if tenth > self._said:
                self._said = tenth
                print(f"  {self._what}: {self._done} / {self._total}", flush=True)


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


STEP_INTERVAL_S = 10.0
"""Between two lines about steps, where there is no terminal."""

Step = Callable[[str, int, int], None]
"""Called with (what is done, how much of it, how much there is; 0 if unknown)."""


@contextmanager
def show_steps(clock: Callable[[], float] = time.monotonic) -> Iterator[Step]:
    """Show one step after another on standard error, until the block ends."""
    if not sys.stderr.isatty():
        yield _step_lines(clock)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        tasks = {"": bar.add_task("", total=None, visible=False)}
        drawn_s = 0.0

        def step(what: str, done: int, total: int) -> None:
            nonlocal drawn_s
            if what not in tasks:
                bar.remove_task(tasks.popitem()[1])
                tasks[what] = bar.add_task(what, total=total or None)
            elif clock() - drawn_s < 0.1:
                return
            drawn_s = clock()
            bar.update(tasks[what], completed=done, total=total or None)

        yield step


def _step_lines(clock: Callable[[], float]) -> Step:
    said_s = clock()

    def step(what: str, done: int, total: int) -> None:
        nonlocal said_s
        if clock() - said_s >= STEP_INTERVAL_S:
            said_s = clock()
            print(f"  {what}: {done}{f' / {total}' if total else ''}", file=sys.stderr, flush=True)

    return step
