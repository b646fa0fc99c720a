"""What the vote journal's slot says: the replica's record, the largest size cosigned, a height.

The first two are promises not to contradict oneself, so they are saved as one. The height is how
far this node had come: a journal below its chain is an old one, put back.
"""

from __future__ import annotations

import msgspec

from ledger.wire import StrictDecoder, encode


class _JournalRecord(msgspec.Struct, frozen=True, array_like=True):
    replica: bytes
    cosigned_size: int
    height: int


_decoder = StrictDecoder(_JournalRecord, "journal record")


def encode_journal_record(replica: bytes, cosigned_size: int, height: int) -> bytes:
    """Return what the journal holds; `replica` is empty while it has never voted.

    The height is the one after the node's newest block, or that of the block it is applying.
    """
    return encode(_JournalRecord(replica, cosigned_size, height))


def decode_journal_record(raw: bytes) -> tuple[bytes | None, int, int]:
    """Read a journal record; the replica's is None while it has never voted."""
    record = _decoder.decode(raw)
    return record.replica or None, record.cosigned_size, record.height
