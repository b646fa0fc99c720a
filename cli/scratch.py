"""A directory for the work of one command, gone when the command is, however it ends.

An end in order, Ctrl-C, SIGTERM and SIGHUP remove it; a command that was killed could not, so the
next one removes what it left: its lock is free, while a living one's is held.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from storage.files import DiskDirectory, InUse

PREFIX: Final = "evidence-ledger-scratch-"
_LOCK: Final = "lock"
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory where temporary files go ($TMPDIR), readable by this user alone."""
    _remove_left_over(Path(tempfile.gettempdir()))
    with ExitStack() as stack:
        for number in _ENDING:
            before = signal.signal(number, _end)
            stack.callback(signal.signal, number, before)
        yield _make(stack)


def _make(stack: ExitStack) -> Path:
    """Make and hold one; again if another command took it for left over before it was held."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        holder = DiskDirectory(path)
        stack.callback(holder.close)
        try:
            holder.lock(_LOCK)
            work = path / "work"
            work.mkdir()
        except (InUse, FileNotFoundError):
            continue
        return work


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _remove_left_over(parent: Path) -> None:
    for path in parent.glob(PREFIX + "*"):
        try:
            if path.lstat().st_uid != os.geteuid():
                continue  # another user's, who may have put anything there
            if not (path / _LOCK).exists():
                continue  # being made this moment
            holder = DiskDirectory(path, is_read_only=True)
            holder.lock(_LOCK)
        except (InUse, OSError):
            continue  # at work, or gone meanwhile
        shutil.rmtree(path, ignore_errors=True)
        holder.close()
