"""The timestamped checkpoints of a node: one file for each, with the authorities' tokens.

What is stamped is a certified checkpoint as it stands, signatures included, so that a token also
shows that the quorum had signed by then. Nodes may hold different cosignatures of one size, so the
exact bytes are kept beside the tokens. What is read is compared with what a node would have
written, and each token with the checkpoint it is of.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.checkpoint import parse_checkpoint_text
from ledger.note import parse_note
from ledger.refusal import Rejected
from node.checkpoint_files import CheckpointFiles
from node.timestamp_protocol import HashName, Token, is_imprint_of
from storage.files import Directory

FORMAT: Final = "evidence-ledger/timestamps/v1"
TRANSACTION_FORMAT: Final = "evidence-ledger/transaction-timestamps/v1"


class TokenForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token as it is kept and served."""

    authority: str
    hash: HashName
    policy: str
    serial: str
    time_ms: int
    token: str
    """Base64 of the TimeStampResp."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    asked_ms: int
    checkpoint: str
    format: str
    size: int
    timestamps: list[TokenForm]


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(_File)


@dataclass(frozen=True, slots=True)
class Stamped:
    """A timestamped checkpoint."""

    size: int
    asked_ms: int
    """When this node first asked for it."""
    note: bytes
    raw: bytes
    """The file, which is also what the API answers."""


class TimestampShelf(CheckpointFiles):
    """See the module's text. Written by one thread; read by any."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory, "timestamps")

    def read(self, size: int) -> Stamped:
        """Return what is kept of a size that is here; raise `Damaged`."""
        raw = self._read(size)
        try:
            file = _decoder.decode(raw)
            note = file.checkpoint.encode()
            if parse_checkpoint_text(parse_note(note).text).size != size:
                raise self._damaged(size, "its checkpoint is of another size")
            for item in file.timestamps:
                token = base64.b64decode(item.token, validate=True)
                if not is_imprint_of(token, item.hash, note):
                    raise self._damaged(
                        size, f"the {item.hash} token of {item.authority} is of other bytes"
                    )
        except (msgspec.DecodeError, UnicodeError, binascii.Error, Rejected) as error:
            raise self._damaged(size, str(error)) from None
        if (file.format, file.size) != (FORMAT, size) or _encoder.encode(file) != raw:
            raise self._damaged(size, f"it is not what is written as {FORMAT}")
        return Stamped(size, file.asked_ms, note, raw)

    def keep(self, size: int, note: bytes, asked_ms: int, tokens: Sequence[Token]) -> None:
        """Write all tokens of a checkpoint so far, durably; raise `StorageFailure`."""
        file = _File(
            asked_ms=asked_ms,
            checkpoint=note.decode(),
            format=FORMAT,
            size=size,
            timestamps=[
                TokenForm(
                    authority=token.authority,
                    hash=token.hash_name,
                    policy=token.policy,
                    serial=str(token.serial),
                    time_ms=token.time_ms,
                    token=base64.b64encode(token.raw).decode("ascii"),
                )
                for token in tokens
            ],
        )
        self._write(size, _encoder.encode(file))


class _TransactionTimestamps(msgspec.Struct, frozen=True):
    format: str
    index: int
    proof: str
    timestamps: msgspec.Raw


def encode_transaction_timestamps(index: int, proof: bytes, stamped: Stamped) -> bytes:
    """Return what places one entry before the tokens: its proof in the stamped checkpoint."""
    return _encoder.encode(
        _TransactionTimestamps(TRANSACTION_FORMAT, index, proof.decode(), msgspec.Raw(stamped.raw))
    )
