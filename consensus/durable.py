"""What one replica must find again after its power was cut: one small, complete record.

It holds the own votes of the current height, the last view-change, the prepared certificate and,
for a primary of a later view, the claims that justify its new-view; the bytes of the one block it
may have to serve stand in the pending slot beside it. Everything signed is in the record before it
is sent (Castro & Liskov assume a log on stable storage, OSDI '99, section 4.1), so a restarted
replica repeats its statements and never makes others. Votes of views that were left need not be
kept: `view` itself is the promise not to vote below it.
Chain id and replica number stand inside, so another node's journal is refused.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from consensus.messages import SignedClaim, ViewChange
from ledger.block import Count, Hash
from ledger.refusal import Reason, Rejected
from ledger.validators import VALIDATORS_MAX
from ledger.votes import PreparedCertificate, ReplicaNumber, View, Vote
from ledger.wire import StrictDecoder, encode

RECORD_VERSION: Final = 1
OWN_VOTES_MAX: Final = 4
"""Pre-prepare, prepare and commit of the current view, and the newest commit of an earlier one."""

RECORD_BYTES_MAX: Final = 32_768
"""Three certificates (64 × 70 bytes each) and 64 claims of 150 bytes make 23 kB at most."""


class NewViewPlan(msgspec.Struct, frozen=True, array_like=True):
    """What a new primary proposes and why, fixed before it asks for a block."""

    view: View
    view_changes: Annotated[tuple[SignedClaim, ...], msgspec.Meta(max_length=VALIDATORS_MAX)]
    prepared: PreparedCertificate | None


class DurableRecord(msgspec.Struct, frozen=True, array_like=True):
    """The complete durable state of a replica; written whole, replacing the previous one."""

    version: Annotated[int, msgspec.Meta(ge=RECORD_VERSION, le=RECORD_VERSION)]
    chain_id: Hash
    replica: ReplicaNumber
    silent_through_height: Count
    height: Count
    view: View
    """No vote is signed below this view at this height."""
    is_changing: bool
    """Whether `view` was asked for and its new-view not yet accepted."""
    votes: Annotated[tuple[Vote, ...], msgspec.Meta(max_length=OWN_VOTES_MAX)]
    view_change: ViewChange | None
    prepared: PreparedCertificate | None
    plan: NewViewPlan | None


_decoder = StrictDecoder(DurableRecord, "consensus record")


def encode_record(record: DurableRecord) -> bytes:
    """Return the record's bytes."""
    return encode(record)


def decode_record(raw: bytes, chain_id: bytes, replica: int) -> DurableRecord:
    """Read the record of this replica on this chain; raise `Rejected`."""
    if len(raw) > RECORD_BYTES_MAX:
        raise Rejected(
            Reason.TOO_LARGE,
            f"consensus record: {len(raw)} bytes; at most {RECORD_BYTES_MAX} are possible",
        )
    record = _decoder.decode(raw)
    if record.chain_id != chain_id:
        raise Rejected(
            Reason.WRONG_CHAIN,
            f"consensus record: written on chain {record.chain_id.hex()}, not {chain_id.hex()}",
        )
    if record.replica != replica:
        raise Rejected(
            Reason.BAD_FIELD,
            f"consensus record: written by replica {record.replica}, but this is {replica}",
        )
    return record
