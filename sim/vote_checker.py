"""What a correct node signs, watched on the wire and on its disk, over its whole life.

Nothing is said twice differently in one slot, restarts and recoveries included; a vote is durable
as of the last fsync before it is sent, a commit with its certificate and its block's bytes; nothing
new is signed below a view that was left; the journal never goes back; cosigned sizes never shrink
and are of the agreed log. The disk is read as a power loss at that moment would leave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consensus.actions import Keep
from consensus.durable import DurableRecord, decode_record
from consensus.messages import (
    Commit,
    Decided,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
)
from ledger.block import compute_block_hash
from ledger.validators import ValidatorSet
from ledger.votes import COMMIT, PHASE_NAMES, PRE_PREPARE, PREPARE, PreparedClaim, claim_of
from node.journal_record import decode_journal_record
from node.messages import Blocks, Consensus, Cosigned, FetchedProposal, Frame, decode_frame
from sim.chain_checker import ChainChecker, Slot
from sim.coverage import Coverage
from sim.disk import VirtualDirectory
from sim.violation import Violation
from storage.journal import MARKS_OFFSET, VOTES_FILE, Journal

if TYPE_CHECKING:
    from sim.node import Node


READ_EVERY: Final = 8
"""Saves of a node after which its disk is read although everything is synced."""

_VIEW_CHANGE: Final = 3
"""Stands where a vote has its phase (0 to 2)."""


@dataclass(frozen=True, slots=True)
class _Durable:
    """What a power loss leaves of a journal."""

    record: DurableRecord | None
    cosigned_size: int
    pending: bytes | None
    """Hash of the block in the pending slot."""


def _pending_hash(raw: bytes | None) -> bytes | None:
    if raw is None:
        return None
    stored = decode_frame(raw)
    return compute_block_hash(stored.header) if isinstance(stored, FetchedProposal) else None


def _is_synced(directory: VirtualDirectory) -> bool:
    """Whether everything but the marks behind the slots, which nothing rests on, is synced."""
    return not directory.has_unsynced(
        lambda name, offset: name != VOTES_FILE or offset < MARKS_OFFSET
    )


class VoteChecker:
    """Everything correct nodes ever signed."""

    def __init__(
        self, validators: ValidatorSet, chain_id: bytes, chain: ChainChecker, coverage: Coverage
    ) -> None:
        self._validators = validators
        self._chain_id = chain_id
        self._chain = chain
        self._coverage = coverage
        self._votes: dict[Slot, bytes] = {}
        self._claims: dict[tuple[int, int, int], PreparedClaim | None] = {}
        self._proven: set[Slot] = set()
        """Slots whose statement was durable when it was first sent, in this memory's life."""
        self._left: dict[tuple[int, int], int] = {}
        self._saved: dict[int, tuple[int, int]] = {}
        self._cosigned: dict[int, tuple[int, bytes]] = {}
        self._cosigned_saved: dict[int, int] = {}
        self._believed: dict[int, tuple[tuple[int, int], _Durable]] = {}
        self._read: dict[int, tuple[tuple[int, int], _Durable]] = {}

    def saved(self, node: Node, raw: bytes, pending: bytes | Keep | None) -> None:
        """A node saved its record: it may not take back what it promised before."""
        record, cosigned_size = self._decode(node, raw)
        known = self._believed.get(node.number)
        is_followed = known is not None and known[0] == (node.incarnation, node.save_count - 1)
        if not isinstance(pending, Keep):
            held = _Durable(record, cosigned_size, _pending_hash(pending))
            self._believed[node.number] = ((node.incarnation, node.save_count), held)
        elif known is not None and is_followed:
            held = _Durable(record, cosigned_size, known[1].pending)
            self._believed[node.number] = ((node.incarnation, node.save_count), held)
        if cosigned_size < self._cosigned_saved.get(node.number, 0):
            raise Violation(
                "journal went back",
                f"{node.name} saves cosigned size {cosigned_size} after "
                f"{self._cosigned_saved[node.number]}",
            )
        self._cosigned_saved[node.number] = cosigned_size
        if record is None:
            return
        at = (record.height, record.view)
        before = self._saved.get(node.number, (0, 0))
        if at < before:
            raise Violation(
                "journal went back",
                f"{node.name} saves a record of height {at[0]} view {at[1]} after one of height "
                f"{before[0]} view {before[1]}",
            )
        self._saved[node.number] = at
        for vote in record.votes:
            self._sign(node, vote.phase, record.height, vote.view, vote.block_hash)

    def forgot(self, node: Node) -> None:
        """A node lost its journal; its statements are still remembered here, for ever."""
        self._saved.pop(node.number, None)
        self._cosigned_saved.pop(node.number, None)
        self._proven = {slot for slot in self._proven if slot[0] != node.number}

    def sending(self, node: Node, frame: Frame) -> None:
        """A correct node is about to put a frame on the wire."""
        if isinstance(frame, Blocks):
            self._coverage.count("catch-up")
        if isinstance(frame, Cosigned):
            self._send_cosignature(node, frame)
        if not isinstance(frame, Consensus):
            return
        message = decode_message(frame.payload)
        match message:
            case PrePrepare() | NewView():
                if self._validators.primary(message.height, message.view) == node.number:
                    block_hash = message.proposal.block_hash
                    self._send_vote(node, PRE_PREPARE, message.height, message.view, block_hash)
                    if isinstance(message, NewView):
                        self._coverage.count("new view")
                        if message.prepared is not None:
                            self._coverage.count("re-proposal")
            case Prepare():
                self._send_vote(node, PREPARE, message.height, message.view, message.block_hash)
            case Commit():
                self._send_vote(node, COMMIT, message.height, message.view, message.block_hash)
            case ViewChange():
                self._send_view_change(node, message)
            case Decided():
                certificate = message.certificate
                self._chain.check_certificate(
                    node, certificate, certificate.height, certificate.block_hash
                )

    def _sign(self, node: Node, phase: int, height: int, view: int, block_hash: bytes) -> None:
        slot = (node.number, phase, height, view)
        known = self._votes.get(slot)
        if known is None:
            if view < self._left.get((node.number, height), 0):
                raise Violation(
                    "vote in a left view",
                    f"{node.name} signs a {PHASE_NAMES[phase]} of height {height} view {view} "
                    f"after it asked for view {self._left[node.number, height]}",
                )
            self._votes[slot] = block_hash
        elif known != block_hash:
            raise Violation(
                "double vote",
                f"{node.name} signs {PHASE_NAMES[phase]}s of height {height} view {view} for "
                f"{known.hex()} and {block_hash.hex()}",
            )

    def _send_vote(self, node: Node, phase: int, height: int, view: int, block_hash: bytes) -> None:
        self._sign(node, phase, height, view, block_hash)
        durable = self._durable(node)
        record, pending = durable.record, durable.pending
        name = f"{PHASE_NAMES[phase]} of height {height} view {view}"
        slot = (node.number, phase, height, view)
        if self._is_repetition(slot, record):
            return
        if (
            record is None
            or record.height != height
            or not any(
                (vote.phase, vote.view, vote.block_hash) == (phase, view, block_hash)
                for vote in record.votes
            )
        ):
            raise Violation("durable before sent", f"{node.name} sends a {name} it has not synced")
        self._proven.add(slot)
        if phase == COMMIT and view == max(v.view for v in record.votes if v.phase == COMMIT):
            prepared = record.prepared
            if prepared is None or (prepared.view, prepared.block_hash) != (view, block_hash):
                raise Violation(
                    "durable before sent", f"{node.name} sends a {name} without its certificate"
                )
            if pending != block_hash:
                raise Violation(
                    "durable before sent", f"{node.name} sends a {name} without the block's bytes"
                )

    def _send_view_change(self, node: Node, message: ViewChange) -> None:
        key = (node.number, message.height, message.view)
        claim = claim_of(message.prepared)
        if key not in self._claims:
            self._coverage.count("view change")
        if self._claims.setdefault(key, claim) != claim:
            raise Violation(
                "double vote",
                f"{node.name} signs two view-changes of height {message.height} to view "
                f"{message.view}",
            )
        record = self._durable(node).record
        slot = (node.number, _VIEW_CHANGE, message.height, message.view)
        if self._is_repetition(slot, record):
            return
        if record is None or record.view_change != message:
            raise Violation(
                "durable before sent",
                f"{node.name} sends a view-change of height {message.height} to view "
                f"{message.view} it has not synced",
            )
        self._proven.add(slot)
        at = (node.number, message.height)
        self._left[at] = max(self._left.get(at, 0), message.view)

    def _is_repetition(self, slot: Slot, record: DurableRecord | None) -> bool:
        """Whether this was durable when it was first said, and the view it is of was left durably.

        A step may repeat its newest statement and then leave the view: what it saves first no
        longer holds the statement, only the promise to say nothing more in that view.
        """
        _, _, height, view = slot
        is_left = record is not None and record.height == height and record.view > view
        return is_left and slot in self._proven

    def _send_cosignature(self, node: Node, frame: Cosigned) -> None:
        size, root = self._cosigned.get(node.number, (0, b""))
        true = self._chain.root_after(frame.height)
        if (frame.size, frame.root) != true or frame.size < size:
            raise Violation(
                "cosignature",
                f"{node.name} cosigns size {frame.size} root {frame.root.hex()} after block "
                f"{frame.height}; the agreed log has size {true[0]} root {true[1].hex()}, and "
                f"before it cosigned size {size} root {root.hex()}",
            )
        self._cosigned[node.number] = (frame.size, frame.root)
        if self._durable(node).cosigned_size < frame.size:
            raise Violation(
                "durable before sent", f"{node.name} cosigns size {frame.size} before it is synced"
            )

    def _durable(self, node: Node) -> _Durable:
        """Return what a power loss now would leave of the journal.

        While nothing that was saved is unsynced, that is what was saved last; now and then, and
        whenever something is unsynced, the disk is read.
        """
        believed = self._believed.get(node.number)
        key = (node.incarnation, node.save_count)
        if believed is not None and believed[0] == key:
            if node.save_count % READ_EVERY and _is_synced(node.votes):
                return believed[1]
        elif node.number in self._read and self._read[node.number][0] == key:
            return self._read[node.number][1]
        found = self._read_disk(node)
        if believed is not None and believed[0] == key and found != believed[1]:
            raise Violation(
                "durable before sent",
                f"{node.name} has saved its record, and its disk does not hold it",
            )
        self._read[node.number] = (key, found)
        return found

    def _read_disk(self, node: Node) -> _Durable:
        state = Journal.open(node.votes.durable_view()).load()
        record, size = (None, 0) if state.record is None else self._decode(node, state.record)
        return _Durable(record, size, _pending_hash(state.pending))

    def _decode(self, node: Node, raw: bytes) -> tuple[DurableRecord | None, int]:
        replica, cosigned_size, _ = decode_journal_record(raw)
        if replica is None:
            return None, cosigned_size
        return decode_record(replica, self._chain_id, node.number), cosigned_size
