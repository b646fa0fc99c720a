"""Everything a replica asks for. The order of a step's tuple is the order of durability.

A `Persist` stands first in its tuple and covers every vote sent after it: the driver must have it
on disk before it performs any later action of the same tuple, and steps' tuples in order.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from consensus.messages import Message, Proposal
from ledger.equivocation import Equivocation
from ledger.votes import CommitCertificate


class Keep(Enum):
    """The pending slot stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class Persist(msgspec.Struct, frozen=True):
    """Make durable, as one: the replica's complete record and the one pending slot."""

    record: bytes
    """Replaces the previous record."""
    pending: bytes | Keep | None
    """Hash of the block whose bytes (envelopes too) must be in the slot, None to empty it."""


class Broadcast(msgspec.Struct, frozen=True):
    """Send to every other replica. The replica has already counted its own."""

    message: Message


class Send(msgspec.Struct, frozen=True):
    """Send to one other replica."""

    replica: int
    message: Message


class BuildProposal(msgspec.Struct, frozen=True):
    """Build and execute a block on the applied one; answer with `ProposalBuilt`.

    `header.proposer` is this replica, `header.time_ms` greater than the parent's.
    """

    height: int
    view: int
    batch_divisor: int
    """Take at most (usual batch count // this) transactions; none left means the header alone."""
    allow_empty: bool
    """Whether a block without transactions is wanted; if not and there are none, answer None."""


class CheckProposal(msgspec.Struct, frozen=True):
    """Execute this and compare; answer with `ProposalChecked`. Asked again for a block already
    executed, answer from memory. Keep its bytes: a `Persist` or `Decide` may name the block."""

    height: int
    view: int
    proposal: Proposal
    from_replica: int
    """Who surely holds the envelopes."""


class FetchProposal(msgspec.Struct, frozen=True):
    """Get this block's bytes from any of these replicas; answer with `ProposalFetched`."""

    height: int
    block_hash: bytes
    from_replicas: tuple[int, ...]


class Decide(msgspec.Struct, frozen=True):
    """The block is decided and was executed here with the same result: apply it."""

    height: int
    certificate: CommitCertificate
    block_hash: bytes


class CatchUp(msgspec.Struct, frozen=True):
    """Blocks up to about this height are decided elsewhere: fetch them with their certificates."""

    height_hint: int
    from_replica: int
    """Whom to ask first; the next `CatchUp` names another."""


class SendDecided(msgspec.Struct, frozen=True):
    """Answer a replica that is still voting on a decided height with its `Decided`."""

    height: int
    to_replica: int


class ReportEvidence(msgspec.Struct, frozen=True):
    """A validator contradicted itself; submit this as a transaction."""

    equivocation: Equivocation


class Halt(msgspec.Struct, frozen=True):
    """A committed block cannot be reproduced here; stop before it."""

    height: int
    block_hash: bytes
    detail: str


class Note(msgspec.Struct, frozen=True):
    """A line for the log."""

    text: str
    is_warning: bool = False
    """Whether somebody should look at it, because two executed one block otherwise."""


Action = (
    Persist
    | Broadcast
    | Send
    | BuildProposal
    | CheckProposal
    | FetchProposal
    | Decide
    | CatchUp
    | SendDecided
    | ReportEvidence
    | Halt
    | Note
)
