"""What the driver is told and what it asks for; the order of effects is the order of durability.

The driver decides and touches nothing; whoever runs it (the asyncio shell, or the simulator)
performs the effects one after another and touches everything. An effect that fails stops the node:
nothing later in the list may happen as if it had succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from consensus.actions import Keep
from contracts.execution import Candidate, ExecutedBlock
from ledger.refusal import Rejected
from ledger.words import Words
from node.messages import Frame


class Started(msgspec.Struct, frozen=True):
    """The first event: what the journal held."""

    record: bytes | None
    pending: bytes | None


class Ticked(msgspec.Struct, frozen=True):
    """A fixed span passed."""


class FrameReceived(msgspec.Struct, frozen=True):
    """A peer, known by its certificate, sent this."""

    replica: int
    payload: bytes


class PeerChanged(msgspec.Struct, frozen=True):
    """A connection to a peer came up or went down."""

    replica: int
    is_connected: bool


class Admitted(msgspec.Struct, frozen=True):
    """Transactions whose signatures this node has verified, and those that failed.

    Each candidate passed `Driver.check_admission` or belongs to a proposal.
    """

    candidates: Sequence[Candidate]
    rejected: Sequence[tuple[bytes, Rejected]]
    """(envelope hash, why)."""
    is_local: bool
    """Submitted here, as opposed to relayed or fetched."""


class Committed(msgspec.Struct, frozen=True):
    """The newest `CommitBlock` is durable."""

    height: int


NodeEvent = Started | Ticked | FrameReceived | PeerChanged | Admitted | Committed


class SaveJournal(msgspec.Struct, frozen=True):
    """Make the record and the pending slot durable before anything after this."""

    record: bytes
    pending: bytes | Keep | None


class CommitBlock(msgspec.Struct, frozen=True):
    """Append the block and commit everything that belongs to it, then report `Committed`."""

    block: ExecutedBlock
    certificate: bytes


class SendFrame(msgspec.Struct, frozen=True):
    """Send to one peer; bulk frames give way to consensus."""

    replica: int
    frame: Frame
    is_bulk: bool = False


class BroadcastFrame(msgspec.Struct, frozen=True):
    """Send to every peer."""

    frame: Frame
    is_bulk: bool = False
    is_news: bool = False
    """It says what is true now: it goes before all else, and is of no use later."""


class VerifyEnvelopes(msgspec.Struct, frozen=True):
    """Parse these and verify their signatures, then report `Admitted`."""

    envelopes: Sequence[bytes]
    from_replica: int
    wanted: bytes = b""
    """Hashes, concatenated, of those that proposals wait for: to be dealt with first."""


class FetchEnvelopes(msgspec.Struct, frozen=True):
    """Proposals wait for these: deal first with those that are here and wait to be verified, and
    ask a peer for the others."""

    replica: int
    envelope_hashes: bytes
    """Concatenated."""


class PutCheckpoint(msgspec.Struct, frozen=True):
    """Keep a certified checkpoint (C2SP note) of the log after block `height`."""

    height: int
    note: bytes


class RecoveryEnded(msgspec.Struct, frozen=True):
    """The node knows again through which height it must not sign: remove the marker."""


class Halted(msgspec.Struct, frozen=True):
    """This node must not go on; a person has to look."""

    reason: Words


Say = Callable[[str, str], None]
"""Called with a line for the log: level and text, as in `Said`."""


class Said(msgspec.Struct, frozen=True):
    """A line for the log: level `debug`, `info`, `warning` or `error`."""

    level: str
    text: str


Effect = (
    SaveJournal
    | CommitBlock
    | SendFrame
    | BroadcastFrame
    | VerifyEnvelopes
    | FetchEnvelopes
    | PutCheckpoint
    | RecoveryEnded
    | Halted
    | Said
)
