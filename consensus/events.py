"""Everything a replica is told. Time, chance and other processes reach it only through these.

The first event is `Restored`; before it the replica refuses to step. Answers to
actions (`ProposalBuilt`, `ProposalChecked`, `ProposalFetched`, `BlockApplied`) may come late, twice
or never.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from consensus.messages import Message, Proposal
from ledger.block import Header


class Verdict(StrEnum):
    """What came of executing a proposal and comparing it with its header."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    """The envelopes could not be had; says nothing about the block. It may be asked again."""
    BAD_BODY = "bad_body"
    """The leaf hashes do not give the header's log root: whoever sent this body is at fault."""
    INADMISSIBLE = "inadmissible"
    """A transaction that may not stand in this block."""
    ENTRIES_DIFFER = "entries_differ"
    """Executing gave another entry; `detail` names the first differing transaction."""
    STATE_DIFFERS = "state_differs"
    """All entries agree and only the state root differs."""
    CANNOT_EXECUTE = "cannot_execute"
    """An unexpected failure of our own; never an outcome."""


class Restored(msgspec.Struct, frozen=True):
    """The start: what this node's disk holds."""

    record: bytes | None
    """The last durable record, or None on a journal that was never written."""
    pending: Proposal | None
    """The block in the pending slot, if there is one."""
    applied: Header
    """The newest applied block's header (height 0 right after genesis)."""
    silent_through_height: int = 0
    """Sign nothing at heights up to this one (recovery from amnesia); the record may say more."""


class Tick(msgspec.Struct, frozen=True):
    """A fixed span passed."""

    now_ms: int
    """This node's clock, used only to refuse fresh proposals from the future."""
    work_pending: bool
    """Whether transactions wait here."""


class Received(msgspec.Struct, frozen=True):
    """A decoded message came; nothing about it is believed yet."""

    message: Message
    from_replica: int | None = None
    """Whose connection brought it; None where that is not told. It lends its name to no statement,
    and answers for what no signature covers: a proposal's body."""


class PeerConnected(msgspec.Struct, frozen=True):
    """A connection to a replica came up: it is sent again whatever it may have missed."""

    replica: int


class ProposalBuilt(msgspec.Struct, frozen=True):
    """The answer to `BuildProposal`: an executed block, or None if there is nothing to propose."""

    height: int
    view: int
    proposal: Proposal | None


class ProposalChecked(msgspec.Struct, frozen=True):
    """The answer to `CheckProposal`."""

    height: int
    view: int
    block_hash: bytes
    verdict: Verdict
    detail: str = ""
    """A sentence for people: the first differing transaction and both hashes."""


class ProposalFetched(msgspec.Struct, frozen=True):
    """The answer to `FetchProposal`: a block's bytes, as one replica gave them."""

    block_hash: bytes
    proposal: Proposal
    from_replica: int


class BlockApplied(msgspec.Struct, frozen=True):
    """A block is durable and applied, after `Decide` or by catch-up."""

    header: Header


class SilenceSet(msgspec.Struct, frozen=True):
    """The driver learned (or changed) through which height this node must not sign."""

    through_height: int


Event = (
    Restored
    | Tick
    | Received
    | PeerConnected
    | ProposalBuilt
    | ProposalChecked
    | ProposalFetched
    | BlockApplied
    | SilenceSet
)
