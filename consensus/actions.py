"""Everything a replica asks for. The order of a step's tuple is the order of durability.

A `Persist` stands first in its tuple and covers every vote sent after it: the driver must have it
on disk before it performs any later action of the same tuple, and steps' tuples in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from consensus.messages import Message, Proposal
from ledger.equivocation import Equivocation
from ledger.votes import CommitCertificate


class Keep(Enum):
    """The pending slot stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Persist:
    """Make durable, as one: the replica's complete record and the one pending slot."""

    record: bytes
    """Replaces the previous record."""
    pending: bytes | Keep | None
    """Hash of the block whose bytes (envelopes too) must be in the slot, None to empty it."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other replica. The replica has already counted its own."""

    message: Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one other replica."""

    replica: int
    message: Message


@dataclass(frozen=True, slots=True)
class BuildProposal:
    """Build and execute a block on the applied one; answer with `ProposalBuilt`.

    `header.proposer` is this replica, `header.time_ms` greater than the parent's.
    """

    height: int
    view: int
    batch_divisor: int
    """Take at most (usual batch count // this) transactions; none left means the header alone."""
    allow_empty: bool
    """Whether a block without transactions is wanted; if not and there are none, answer None."""


@dataclass(frozen=True, slots=True)
class CheckProposal:
    """Execute this and compare; answer with `ProposalChecked`. Asked again for a block already
    executed, answer from memory. Keep its bytes: a `Persist` or `Decide` may name the block."""

    height: int
    view: int
    proposal: Proposal
    from_replica: int
    """Who surely holds the envelopes."""


@dataclass(frozen=True, slots=True)
class FetchProposal:
    """Get this block's bytes from any of these replicas; answer with `ProposalFetched`."""

    height: int
    block_hash: bytes
    from_replicas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """The block is decided and was executed here with the same result: apply it."""

    height: int
    certificate: CommitCertificate
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Blocks up to about this height are decided elsewhere: fetch them with their certificates."""

    height_hint: int
    from_replica: int
    """Whom to ask first; the next `CatchUp` names another."""


@dataclass(frozen=True, slots=True)
class SendDecided:
    """Answer a replica that is still voting on a decided height with its `Decided`."""

    height: int
    to_replica: int


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """A validator contradicted itself; submit this as a transaction."""

    equivocation: Equivocation


@dataclass(frozen=True, slots=True)
class Halt:
    """A committed block cannot be reproduced here; stop before it."""

    height: int
    block_hash: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    text: str


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
