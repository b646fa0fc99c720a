"""The witnessed checkpoints of a node: one file for each, with the witnesses' cosignatures.

They are kept apart from the quorum's: a witness is nobody whom genesis names, and makes nothing
certified. Each cosignature is one line of a signed note; put behind the checkpoint's own lines it
makes a note that any C2SP tool reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ledger.checkpoint import parse_checkpoint_text
from ledger.note import NoteSignature, format_signature_line, parse_note, parse_signature_line
from ledger.refusal import Rejected
from node.checkpoint_files import CheckpointFiles
from storage.files import Directory

FORMAT: Final = "evidence-ledger/witnessed/v1"


class _Cosignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line: str
    """The signature line, without its newline."""
    witness: str
    """This node's name for the witness."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    asked_ms: int
    checkpoint: str
    cosignatures: list[_Cosignature]
    format: str
    size: int


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(_File)


class WitnessShelf(CheckpointFiles):
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory, "witnessed checkpoints")

    def read(self, size: int) -> bytes:
        """Return the file of a size that is here, as the API answers it; raise `Damaged`."""
        return _encoder.encode(self._decode(size))

    def asked_ms(self, size: int) -> int:
        """Return when this node first asked for a size that is here; raise `Damaged`."""
        return self._decode(size).asked_ms

    def keep(
        self, size: int, note: bytes, asked_ms: int, lines: Mapping[str, NoteSignature]
    ) -> None:
        """Write all cosignatures of a checkpoint so far, durably; raise `StorageFailure`."""
        file = _File(
            asked_ms=asked_ms,
            checkpoint=note.decode(),
            cosignatures=[
                _Cosignature(format_signature_line(lines[name]).decode().rstrip("\n"), name)
                for name in sorted(lines)
            ],
            format=FORMAT,
            size=size,
        )
        self._write(size, _encoder.encode(file))

    def _decode(self, size: int) -> _File:
        raw = self._read(size)
        try:
            file = _decoder.decode(raw)
            is_of_size = parse_checkpoint_text(parse_note(file.checkpoint.encode()).text).size
            for item in file.cosignatures:
                parse_signature_line(item.line)
        except (msgspec.DecodeError, UnicodeError, Rejected) as error:
            raise self._damaged(size, str(error)) from None
        if (file.format, file.size, is_of_size) != (FORMAT, size, size):
            raise self._damaged(size, f"it is not what is written as {FORMAT}")
        if _encoder.encode(file) != raw:
            raise self._damaged(size, f"it is not what is written as {FORMAT}")
        return file
