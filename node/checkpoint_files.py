"""What is said of certified checkpoints beside the quorum, on disk: a JSON file for each tree size.

A file is written whole and replaces the one before it when something is added. What outsiders said
is never removed, because nobody can be asked again about the past. What is read is compared with
what a node would have written. What was said, and whether it is of this checkpoint, is for who
keeps it (`node.timestamp_shelf`, `node.witness_shelf`, `node.post_quantum_shelf`).
"""

from __future__ import annotations

import binascii
import bisect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from api.problems import explain_rejected
from ledger.checkpoint import parse_checkpoint_text
from ledger.note import NOTE_BYTES_MAX, parse_note
from ledger.refusal import Rejected
from ledger.shape import describe_shape_zh
from ledger.system_words import explain_system
from ledger.words import Words
from storage.files import Damaged, Directory, write_whole

FILE_BYTES_MAX: Final = 16 * NOTE_BYTES_MAX
"""A note, and 16 tokens of 64 kB or cosignatures of 16 kB, in base64."""

_NAME: Final = re.compile(r"([0-9]{20})\.json")
_DRAFT: Final = "draft"
_OTHER_SIZE: Final = Words("其中检查点的大小不同", "its checkpoint is of another size")

_encoder = msgspec.json.Encoder(order="sorted")


class CheckpointFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every such file holds; what was said stands beside it."""

    checkpoint: str
    format: str
    size: int

    @property
    def note(self) -> bytes:
        """The checkpoint's exact bytes."""
        return self.checkpoint.encode()


class AskedFile(CheckpointFile, frozen=True, kw_only=True):
    """A file of what outsiders were asked for."""

    asked_ms: int
    """When this node first asked for it."""


F = TypeVar("F", bound=CheckpointFile)
A = TypeVar("A", bound=AskedFile)


class CheckpointFiles(ABC, Generic[F]):
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory, what: Words, form: type[F], format: str) -> None:
        """Open; a draft that a crash left is removed. `what` names the content for people."""
        self.notices: list[Words] = []
        self._directory = directory
        self._decoder = msgspec.json.Decoder(form)
        self._format = format
        self._sizes: Sequence[int] = ()
        """In order; never changed but replaced whole, for readers are on other threads."""
        sizes = []
        for name in directory.names():
            match = _NAME.fullmatch(name)
            if match is not None:
                sizes.append(int(match[1]))
            elif name == _DRAFT:
                directory.remove(name)
            else:
                self.notices.append(
                    Words(
                        f"{directory.path}/{name} 不是{what.zh}的文件；不予理会。",
                        f"{directory.path}/{name} is no file of {what.en}; ignored.",
                    )
                )
        self._sizes = sorted(sizes)
        directory.fsync_directory()  # what is seen may be in the page cache only, after a kill

    @property
    def newest_size(self) -> int:
        """Size of the newest checkpoint here; 0 while there is none."""
        sizes = self._sizes
        return sizes[-1] if sizes else 0

    def first_size_at_or_after(self, size: int) -> int | None:
        """Return the size of the first checkpoint here that covers `size` entries."""
        sizes = self._sizes
        place = bisect.bisect_left(sizes, size)
        return sizes[place] if place < len(sizes) else None

    def find(self, size: int) -> tuple[F, bytes] | None:
        """Return the first file that covers `size` entries; raise `Damaged`.

        The writing thread may replace or remove a file while it is read here, so it is looked for
        once more before it is called damaged.
        """
        at = self.first_size_at_or_after(size)
        if at is None:
            return None
        try:
            return self.read(at)
        except Damaged:
            at = self.first_size_at_or_after(size)
            return None if at is None else self.read(at)

    def read(self, size: int) -> tuple[F, bytes]:
        """Return the file of a size that is here, and its bytes; raise `Damaged`."""
        try:
            raw = self._directory.pread(_name(size), 0, FILE_BYTES_MAX)
            file = self._decoder.decode(raw)
            if parse_checkpoint_text(parse_note(file.note).text).size != size:
                raise self._damaged(size, _OTHER_SIZE)
            wrong = self._find_wrong(file)
        except OSError as error:
            unread = Words(
                f"无法读取：{explain_system(error)}", f"cannot be read: {error.strerror}"
            )
            raise self._damaged(size, unread) from None
        except Rejected as rejected:
            refused = Words(explain_rejected(rejected), str(rejected))
            raise self._damaged(size, refused) from None
        except (msgspec.DecodeError, UnicodeError, binascii.Error) as error:
            raise self._damaged(size, Words(describe_shape_zh(str(error)), str(error))) from None
        if wrong:
            raise self._damaged(size, wrong)
        if (file.format, file.size) != (self._format, size) or _encoder.encode(file) != raw:
            other = Words(
                f"不是按 {self._format} 写入的内容", f"it is not what is written as {self._format}"
            )
            raise self._damaged(size, other)
        return file, raw

    def verify(self, judge: Callable[[F], Words | None]) -> int:
        """Have every file judged; return how many there are, or raise `Damaged`.

        `judge` returns what is wrong with a file, or nothing; it may raise `Rejected`.
        """
        for size in self._sizes:
            file, _ = self.read(size)
            try:
                wrong = judge(file)
            except Rejected as rejected:
                wrong = Words(explain_rejected(rejected), rejected.detail)
            if wrong:
                raise self._damaged(size, wrong)
        return len(self._sizes)

    @abstractmethod
    def _find_wrong(self, file: F) -> Words | None:
        """Return what is wrong with what was said, or nothing; may raise as decoding does."""

    def _write(self, file: F) -> None:
        """Write a file durably; raise `StorageFailure`."""
        write_whole(self._directory, _DRAFT, _name(file.size), _encoder.encode(file))
        if file.size not in self._sizes:
            self._sizes = sorted([*self._sizes, file.size])

    def _remove(self, size: int) -> None:
        self._sizes = [known for known in self._sizes if known != size]
        self._directory.remove(_name(size))

    def _damaged(self, size: int, what: Words) -> Damaged:
        return Damaged(f"{self._directory.path}/{_name(size)}", 0, what.en, what.zh)


def _name(size: int) -> str:
    return f"{size:020d}.json"


class AskedFiles(CheckpointFiles[A]):
    """Files of what outsiders were asked for."""

    def newest_asked_ms(self) -> int:
        """Return when the newest was first asked for, 0 while there is none; raise `Damaged`."""
        return self.read(self.newest_size)[0].asked_ms if self.newest_size else 0
