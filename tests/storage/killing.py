"""The real disk's changes, numbered, so that a test can kill the process before each one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """The process is killed here."""


class Changes:
    """Counts changes, and has the `number`-th one crash; with 0 none does."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.done: list[str] = []
        """Names of those that were begun."""

    def counted(
        self, name: str, real: Callable[..., Any], half: Callable[..., None] | None = None
    ) -> Callable[..., Any]:
        """Return what stands for `real`; it crashes before anything is done, or after `half`."""

        def change(*arguments: Any, **more: Any) -> Any:
            self.done.append(name)
            if len(self.done) == self._number:
                if half is not None:
                    half(*arguments)
                raise Crash
            return real(*arguments, **more)

        return change
