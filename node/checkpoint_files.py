"""What is said of certified checkpoints beside the quorum, on disk: a JSON file for each tree size.

A file is written whole and replaces the one before it when something is added. What outsiders said
is never removed, because nobody can be asked again about the past. This module knows names and
sizes; what is in a file, and whether it is what was written, is for who keeps it
(`node.timestamp_shelf`, `node.witness_shelf`, `node.post_quantum_shelf`).
"""

from __future__ import annotations

import bisect
import re
from typing import Final

from ledger.note import NOTE_BYTES_MAX
from storage.files import Damaged, Directory, write_whole

FILE_BYTES_MAX: Final = 4 * NOTE_BYTES_MAX
"""A note, and 16 tokens or cosignatures of at most 8 kB in base64, with room."""

_NAME: Final = re.compile(r"([0-9]{20})\.json")
_DRAFT: Final = "draft"


class CheckpointFiles:
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory, what: str) -> None:
        """Open; a draft that a crash left is removed. `what` names the content for people."""
        self.notices: list[str] = []
        self._directory = directory
        self._sizes: list[int] = []
        for name in directory.names():
            match = _NAME.fullmatch(name)
            if match is not None:
                self._sizes.append(int(match[1]))
            elif name == _DRAFT:
                directory.remove(name)
            else:
                self.notices.append(f"{directory.path}/{name} is no file of {what}; ignored.")
        self._sizes.sort()

    @property
    def newest_size(self) -> int:
        """Size of the newest checkpoint here; 0 while there is none."""
        return self._sizes[-1] if self._sizes else 0

    def first_size_at_or_after(self, size: int) -> int | None:
        """Return the size of the first checkpoint here that covers `size` entries."""
        place = bisect.bisect_left(self._sizes, size)
        return self._sizes[place] if place < len(self._sizes) else None

    def _read(self, size: int) -> bytes:
        return self._directory.pread(_name(size), 0, FILE_BYTES_MAX)

    def _write(self, size: int, raw: bytes) -> None:
        write_whole(self._directory, _DRAFT, _name(size), raw)
        place = bisect.bisect_left(self._sizes, size)
        if self._sizes[place : place + 1] != [size]:
            self._sizes.insert(place, size)

    def _remove(self, size: int) -> None:
        self._sizes.remove(size)
        self._directory.remove(_name(size))

    def _damaged(self, size: int, what: str) -> Damaged:
        return Damaged(f"{self._directory.path}/{_name(size)}", 0, what)


def _name(size: int) -> str:
    return f"{size:020d}.json"
