"""The witnessed checkpoints of a node: one file for each, with the witnesses' cosignatures.

They are kept apart from the quorum's: a witness is nobody whom genesis names, and makes nothing
certified. Each cosignature is one line of a signed note; put behind the checkpoint's own lines it
makes a note that any C2SP tool reads. What one witness said stays when another is heard later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ledger.note import NoteSignature, format_signature_line, parse_note, parse_signature_line
from ledger.words import Words
from node.checkpoint_files import AskedFile, AskedFiles
from storage.files import Damaged, Directory

FORMAT: Final = "evidence-ledger/witnessed/v1"


class _Cosignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line: str
    """The signature line, without its newline."""
    witness: str
    """This node's name for the witness."""


class WitnessedCheckpoint(AskedFile, frozen=True, kw_only=True):
    """A witnessed checkpoint."""

    cosignatures: list[_Cosignature]


class WitnessShelf(AskedFiles[WitnessedCheckpoint]):
    """See the module's text."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(
            directory, Words("见证副署", "witnessed checkpoints"), WitnessedCheckpoint, FORMAT
        )

    def keep(
        self, size: int, note: bytes, asked_ms: int, lines: Mapping[str, NoteSignature]
    ) -> None:
        """Add cosignatures of a checkpoint, durably; raise `StorageFailure`.

        They are of the checkpoint's text, so those kept before stand with them, under the note that
        was shown first.
        """
        said = {
            name: _Cosignature(format_signature_line(line).decode().rstrip("\n"), name)
            for name, line in lines.items()
        }
        before = self._find_before(size, note)
        if before is not None:
            said = {item.witness: item for item in before.cosignatures} | said
        file = WitnessedCheckpoint(
            asked_ms=asked_ms if before is None else before.asked_ms,
            checkpoint=note.decode() if before is None else before.checkpoint,
            cosignatures=[said[name] for name in sorted(said)],
            format=FORMAT,
            size=size,
        )
        self._write(file)

    def _find_before(self, size: int, note: bytes) -> WitnessedCheckpoint | None:
        """Return what is kept of the same checkpoint; a file that is damaged is written anew."""
        if self.first_size_at_or_after(size) != size:
            return None
        try:
            file, _ = self.read(size)
        except Damaged:
            return None
        return file if parse_note(file.note).text == parse_note(note).text else None

    def _find_wrong(self, file: WitnessedCheckpoint) -> Words | None:
        for item in file.cosignatures:
            parse_signature_line(item.line)
        return None
