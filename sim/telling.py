"""Events in words, for whoever reads a trace: what came from whom, and what it says."""

from __future__ import annotations

from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
)
from ledger.refusal import Rejected
from node.effects import Admitted, FrameReceived, NodeEvent, PeerChanged, Started, Ticked
from node.messages import (
    Blocks,
    BlocksBegin,
    Consensus,
    Cosigned,
    FetchBlocks,
    FetchChunk,
    FetchedProposal,
    FetchedTransactions,
    FetchManifest,
    FetchProposal,
    FetchSnapshots,
    FetchTransactions,
    PostQuantumCosigned,
    SnapshotChunk,
    SnapshotManifest,
    Snapshots,
    Status,
    Transactions,
    decode_frame,
)

SnapshotFrame = (
    FetchSnapshots | Snapshots | FetchManifest | SnapshotManifest | FetchChunk | SnapshotChunk
)


def describe_event(event: NodeEvent) -> str:
    """Return an event in words."""
    match event:
        case FrameReceived():
            return f"<- node-{event.replica}: {describe_payload(event.payload)}"
        case PeerChanged():
            state = "connected" if event.is_connected else "gone"
            return f"node-{event.replica} is {state}"
        case Admitted():
            origin = "submitted" if event.is_local else "relayed"
            return (
                f"{len(event.candidates)} transactions {origin}, {len(event.rejected)} with a "
                "wrong signature"
            )
        case Started():
            return "reads its journal"
        case Ticked():
            return "ticks"
        case _:
            return type(event).__name__.lower()


def describe_payload(payload: bytes) -> str:
    """Return what a frame says."""
    try:
        frame = decode_frame(payload)
        if isinstance(frame, Consensus):
            return describe_message(decode_message(frame.payload))
    except Rejected as rejected:
        return f"{len(payload)} bytes that are refused: {rejected.reason}"
    match frame:
        case Transactions() | FetchedTransactions():
            return f"{len(frame.envelopes)} transactions"
        case FetchTransactions():
            return f"asks for {len(frame.envelope_hashes) // 32} transactions"
        case FetchProposal():
            return f"asks for block {_short(frame.block_hash)} of height {frame.height}"
        case FetchedProposal():
            return f"a proposal with {len(frame.envelopes)} transactions"
        case Status():
            question = ", and asks" if frame.wants_answer else ""
            return f"is at height {frame.height}{question}"
        case BlocksBegin():
            return f"holds blocks from height {frame.height} on"
        case FetchBlocks():
            return f"asks for blocks from height {frame.height} on"
        case Blocks():
            return f"{len(frame.blocks)} blocks"
        case PostQuantumCosigned():
            return f"cosigns size {frame.size} with ML-DSA-44 after {frame.height}"
        case Cosigned():
            return f"cosigns size {frame.size} root {_short(frame.root)} after {frame.height}"
        case _:
            return _describe_snapshot_frame(frame)


def _describe_snapshot_frame(frame: SnapshotFrame) -> str:
    match frame:
        case FetchSnapshots():
            return "asks for snapshots"
        case Snapshots():
            return f"has snapshots of {[offer.height for offer in frame.offers]}"
        case FetchManifest():
            return f"asks for the manifest of snapshot {frame.height}"
        case SnapshotManifest():
            return f"the manifest of snapshot {frame.height}, {len(frame.manifest)} bytes"
        case FetchChunk():
            return f"asks for chunk {frame.index} of snapshot {frame.height}"
        case SnapshotChunk():
            return f"chunk {frame.index} of snapshot {frame.height}, {len(frame.chunk)} bytes"


def describe_message(message: Message) -> str:
    """Return what a consensus message says."""
    match message:
        case PrePrepare():
            return f"pre-prepare h{message.height} v0 {_short(message.proposal.block_hash)}"
        case Prepare():
            return f"prepare h{message.height} v{message.view} {_short(message.block_hash)}"
        case Commit():
            return f"commit h{message.height} v{message.view} {_short(message.block_hash)}"
        case ViewChange():
            prepared = message.prepared
            claim = "nothing" if prepared is None else f"v{prepared.view}"
            return f"view-change h{message.height} v{message.view}, prepared: {claim}"
        case NewView():
            kind = "again" if message.prepared is not None else "fresh"
            block = _short(message.proposal.block_hash)
            return f"new-view h{message.height} v{message.view} {block} {kind}"
        case Decided():
            certificate = message.certificate
            return f"decided h{certificate.height} v{certificate.view}"


def _short(value: bytes) -> str:
    return value.hex()[:8]
