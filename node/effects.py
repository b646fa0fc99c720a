"""What the driver is told and what it asks for; the order of effects is the order of durability.

The driver decides and touches nothing; whoever runs it (the asyncio shell, or the simulator)
performs the effects one after another and touches everything. An effect that fails stops the node:
nothing later in the list may happen as if it had succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consensus.actions import Keep
from contracts.execution import Candidate, ExecutedBlock
from ledger.refusal import Rejected
from node.messages import Frame


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: what the journal held."""

    record: bytes | None
    pending: bytes | None


@dataclass(frozen=True, slots=True)
class Ticked:
    """A fixed span passed."""


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A peer, known by its certificate, sent this."""

    replica: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A connection to a peer came up or went down."""

    replica: int
    is_connected: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """Transactions whose signatures this node has verified, and those that failed.

    Each candidate passed `Driver.check_admission` or belongs to a proposal.
    """

    candidates: Sequence[Candidate]
    rejected: Sequence[tuple[bytes, Rejected]]
    """(envelope hash, why)."""
    is_local: bool
    """Submitted here, as opposed to relayed or fetched."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The newest `CommitBlock` is durable."""

    height: int


NodeEvent = Started | Ticked | FrameReceived | PeerChanged | Admitted | Committed


@dataclass(frozen=True, slots=True)
class SaveJournal:
    """Make the record and the pending slot durable before anything after this."""

    record: bytes
    pending: bytes | Keep | None


@dataclass(frozen=True, slots=True)
class CommitBlock:
    """Append the block and commit everything that belongs to it, then report `Committed`."""

    block: ExecutedBlock
    certificate: bytes


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send to one peer; bulk frames give way to consensus."""

    replica: int
    frame: Frame
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class BroadcastFrame:
    """Send to every peer."""

    frame: Frame
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class VerifyEnvelopes:
    """Parse these and verify their signatures, then report `Admitted`."""

    envelopes: Sequence[bytes]
    from_replica: int
    is_urgent: bool
    """A proposal waits for them."""


@dataclass(frozen=True, slots=True)
class PutCheckpoint:
    """Keep a certified checkpoint (C2SP note) of the log after block `height`."""

    height: int
    note: bytes


@dataclass(frozen=True, slots=True)
class RecoveryEnded:
    """The node knows again through which height it must not sign: remove the marker."""


@dataclass(frozen=True, slots=True)
class Halted:
    """This node must not go on; a person has to look."""

    reason: str


Say = Callable[[str, str], None]
"""Called with a line for the log: level and text, as in `Said`."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the log: level `debug`, `info`, `warning` or `error`."""

    level: str
    text: str


Effect = (
    SaveJournal
    | CommitBlock
    | SendFrame
    | BroadcastFrame
    | VerifyEnvelopes
    | PutCheckpoint
    | RecoveryEnded
    | Halted
    | Said
)
