"""Checkpoints that a quorum cosigned with ML-DSA-44: one file for each, as the API serves it.

Those at the configured heights are kept for ever. One in between, made when work had ceased, goes
when a later one is here: through the log a later one covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.note import decode_base64, encode_base64
from ledger.post_quantum import PostQuantumPart, describe_part
from ledger.words import Words
from node.checkpoint_files import CheckpointFile, CheckpointFiles
from storage.files import Damaged, Directory

FORMAT: Final = "evidence-ledger/post-quantum/v1"


class QuantumCheckpoint(CheckpointFile, frozen=True, kw_only=True):
    """A checkpoint with ML-DSA-44 cosignatures."""

    height: int
    keys: list[str]


_encoder = msgspec.json.Encoder(order="sorted")


class PostQuantumShelf(CheckpointFiles[QuantumCheckpoint]):
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory, interval_heights: int) -> None:
        super().__init__(
            directory, Words("后量子联署", "post-quantum cosignatures"), QuantumCheckpoint, FORMAT
        )
        self._interval_heights = interval_heights

    def holds(self, size: int) -> bool:
        """Say whether the checkpoint of exactly this size is here."""
        return self.first_size_at_or_after(size) == size

    def keep(self, height: int, size: int, note: bytes, keys: Sequence[bytes]) -> None:
        """Write the cosignatures so far, durably; raise `StorageFailure`."""
        older = [one for one in (self.newest_size,) if 0 < one < size]
        file = QuantumCheckpoint(
            checkpoint=note.decode(),
            format=FORMAT,
            height=height,
            keys=[encode_base64(key) for key in keys],
            size=size,
        )
        self._write(file)
        for one in older:
            if self._is_between(one):
                self._remove(one)

    def _is_between(self, size: int) -> bool:
        """Say whether a file is of no configured height; a damaged one is left for people."""
        try:
            return bool(self.read(size)[0].height % self._interval_heights)
        except Damaged:
            return False

    def _find_wrong(self, file: QuantumCheckpoint) -> Words | None:
        is_read = all(decode_base64(key) is not None for key in file.keys)
        return None if is_read else Words("某公钥不是 base64", "a key is not base64")


def encode_answer(file: QuantumCheckpoint, path: Sequence[bytes]) -> bytes:
    """Return what the API answers of a file; `path` proves it consistent with the size asked for
    (RFC 9162 section 2.1.4)."""
    keys = tuple([decode_base64(key) or b"" for key in file.keys])
    part = describe_part(PostQuantumPart(file.checkpoint, keys, tuple(path)))
    return _encoder.encode({"format": file.format, "height": file.height, "size": file.size} | part)
