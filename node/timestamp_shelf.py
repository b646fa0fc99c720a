"""The timestamped checkpoints of a node: one file for each, with the authorities' tokens.

What is stamped is a certified checkpoint as it stands, signatures included, so that a token also
shows that the quorum had signed by then. Nodes may hold different cosignatures of one size, so the
exact bytes are kept beside the tokens, and each token that is read is compared with the checkpoint
it is of.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.note import encode_base64
from ledger.words import Words
from node.checkpoint_files import AskedFile, AskedFiles
from node.timestamp_protocol import HashName, Token, is_imprint_of, read_said
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


class StampedCheckpoint(AskedFile, frozen=True, kw_only=True):
    """A timestamped checkpoint."""

    timestamps: list[TokenForm]


class TimestampShelf(AskedFiles[StampedCheckpoint]):
    """See the module's text."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory, Words("时间戳", "timestamps"), StampedCheckpoint, FORMAT)

    def keep(self, size: int, note: bytes, asked_ms: int, tokens: Sequence[Token]) -> None:
        """Write all tokens of a checkpoint so far, durably; raise `StorageFailure`."""
        file = StampedCheckpoint(
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
        self._write(file)

    def _find_wrong(self, file: StampedCheckpoint) -> Words | None:
        for item in file.timestamps:
            token = base64.b64decode(item.token, validate=True)
            if not is_imprint_of(token, item.hash, file.note):
                return Words(
                    f"{item.authority} 的 {item.hash} 令牌属于另外的内容",
                    f"the {item.hash} token of {item.authority} is of other bytes",
                )
            if (item.policy, int(item.serial), item.time_ms) != read_said(token):
                return Words(
                    f"{item.authority} 的 {item.hash} 令牌自身所载与此不同",
                    f"the {item.hash} token of {item.authority} says something else of itself",
                )
        return None


class _JoinedCheckpoint(StampedCheckpoint, frozen=True, kw_only=True):
    path: list[str]


def encode_joined(file: StampedCheckpoint, path: Sequence[bytes]) -> bytes:
    """Return a file with the path from the size asked for (RFC 9162 section 2.1.4)."""
    joined = _JoinedCheckpoint(
        **msgspec.structs.asdict(file), path=[encode_base64(node) for node in path]
    )
    return msgspec.json.encode(joined, order="sorted")


class _TransactionTimestamps(msgspec.Struct, frozen=True):
    format: str
    index: int
    proof: str
    timestamps: msgspec.Raw


def encode_transaction_timestamps(index: int, proof: bytes, stamped: bytes) -> bytes:
    """Return what places one entry before the tokens: its proof in the stamped checkpoint."""
    form = _TransactionTimestamps(TRANSACTION_FORMAT, index, proof.decode(), msgspec.Raw(stamped))
    return msgspec.json.encode(form, order="sorted")
