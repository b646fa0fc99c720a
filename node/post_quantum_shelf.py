"""Checkpoints that a quorum cosigned with ML-DSA-44: one file for each, as the API serves it.

Those at the configured heights are kept for ever. One in between, made when work had ceased, goes
when a later one is here: through the log a later one covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.checkpoint import parse_checkpoint_text
from ledger.note import decode_base64, encode_base64, parse_note
from ledger.post_quantum import PostQuantumPart, describe_part
from ledger.refusal import Rejected
from node.checkpoint_files import CheckpointFiles
from storage.files import Directory

FORMAT: Final = "evidence-ledger/post-quantum/v1"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint: str
    format: str
    height: int
    keys: list[str]
    size: int


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(_File)


class PostQuantumShelf(CheckpointFiles):
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory, interval_heights: int) -> None:
        super().__init__(directory, "post-quantum cosignatures")
        self._interval_heights = interval_heights

    def holds(self, size: int) -> bool:
        """Say whether the checkpoint of exactly this size is here."""
        return self.first_size_at_or_after(size) == size

    def answer(self, size: int, path: Sequence[bytes]) -> bytes:
        """Return what the API answers of a size that is here; raise `Damaged`.

        `path` is the consistency proof from the size that was asked for.
        """
        file = self._decode(size)
        keys = tuple([decode_base64(key) or b"" for key in file.keys])
        part = describe_part(PostQuantumPart(file.checkpoint, keys, tuple(path)))
        about = {"format": file.format, "height": file.height, "size": file.size}
        return _encoder.encode(about | part)

    def keep(self, height: int, size: int, note: bytes, keys: Sequence[bytes]) -> None:
        """Write the cosignatures so far, durably; raise `StorageFailure`."""
        older = [one for one in (self.newest_size,) if 0 < one < size]
        file = _File(
            checkpoint=note.decode(),
            format=FORMAT,
            height=height,
            keys=[encode_base64(key) for key in keys],
            size=size,
        )
        self._write(size, _encoder.encode(file))
        for one in older:
            if self._decode(one).height % self._interval_heights:
                self._remove(one)

    def _decode(self, size: int) -> _File:
        raw = self._read(size)
        try:
            file = _decoder.decode(raw)
            of_size = parse_checkpoint_text(parse_note(file.checkpoint.encode()).text).size
        except (msgspec.DecodeError, UnicodeError, Rejected) as error:
            raise self._damaged(size, str(error)) from None
        if (file.format, file.size, of_size) != (FORMAT, size, size) or (
            _encoder.encode(file) != raw or any(decode_base64(key) is None for key in file.keys)
        ):
            raise self._damaged(size, f"it is not what is written as {FORMAT}")
        return file
