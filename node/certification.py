"""Collecting cosignatures: when is a decided block's checkpoint certified?

After each block every validator cosigns the checkpoint of the log that ends with it. A quorum of
cosignatures makes the block *certified*: what a court needs is then a C2SP note that any
tlog tool can read. Cosignatures that come before this node has the block wait, one per replica.
One of a tree that is not this log is a `Doubt`: said at once, and evidence as soon as the same
validator is seen to contradict it (`node.forks`). Pure; it holds a bounded number of heights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from genesis.document import Genesis
from ledger.checkpoint import (
    Checkpoint,
    LogTrust,
    cosign_checkpoint,
    cosigner_verifier_key,
    log_verifier_key,
    sign_checkpoint,
    verify_cosignature,
)
from ledger.equivocation import CheckpointFork, CosignedTree
from ledger.log import ReadTile, root_from_tiles
from ledger.note import NoteSignature, VerifierKey, format_note, match_known_keys, parse_note
from ledger.refusal import Rejected
from ledger.signing import Signer
from ledger.votes import VerifySignature
from node.forks import ForkWatch
from node.messages import Cosigned

HEIGHTS_MAX: Final = 256
"""Heights whose cosignatures are still collected; a later checkpoint covers the older ones."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is wrong with a cosignature, and what it proves against its signer."""

    complaint: str
    """A sentence for people; empty when only earlier doubts are proven by it."""
    evidence: tuple[CheckpointFork, ...]
    is_signed: bool
    """Whether the validator said it; what anybody could have made up is no reason for alarm."""


@dataclass(slots=True)
class _Height:
    checkpoint: Checkpoint
    signatures: dict[int, bytes]
    noted_count: int = 0
    """Cosignatures in the newest note that was made of it."""


def cosigner_name(origin: str, institution: str) -> str:
    """Return a cosigner's key name: origin '/' institution id."""
    return f"{origin}/{institution}"


def cosigner_keys(genesis: Genesis) -> list[VerifierKey]:
    """Return every validator's cosigner key, in replica order."""
    return [
        cosigner_verifier_key(cosigner_name(genesis.origin, validator.id), validator.cosign_key)
        for validator in genesis.validators.validators
    ]


def log_trust(genesis: Genesis) -> LogTrust:
    """Return whose lines make a checkpoint of this log a certified one."""
    keys = [
        log_verifier_key(genesis.origin, item.log_key) for item in genesis.validators.validators
    ]
    return LogTrust(
        genesis.origin, tuple(keys), tuple(cosigner_keys(genesis)), genesis.validators.quorum
    )


class Certification:
    """Cosignatures of recent heights; see the module's text."""

    def __init__(
        self,
        genesis: Genesis,
        replica: int,
        cosign: Signer,
        log: Signer,
        read_tile: ReadTile,
        verify: VerifySignature,
        size_min: int = 0,
    ) -> None:
        """`size_min`: a node that began with a snapshot knows no root of a smaller tree."""
        self._genesis = genesis
        self._size_min = size_min
        self._read_tile = read_tile
        self._verify = verify
        self._forks = ForkWatch(genesis.origin, read_tile)
        self._replica = replica
        self._cosign = cosign
        self._log = log
        self._keys = cosigner_keys(genesis)
        self._heights: dict[int, _Height] = {}
        self._early: dict[int, Cosigned] = {}
        self.certified_height = -1
        """Newest height this node has seen certified."""
        self.own: Cosigned | None = None
        """This node's newest cosignature, to be sent again to whoever reconnects."""

    def open_height(self, height: int, size: int, root: bytes) -> None:
        """Begin collecting for a block that has just been applied here."""
        self._heights[height] = _Height(Checkpoint(self._genesis.origin, size, root), {})
        while len(self._heights) > HEIGHTS_MAX:
            del self._heights[min(self._heights)]

    def resume(self, height: int, note: bytes) -> None:
        """Take the cosignatures of an opened height from the certified checkpoint kept of it.

        Nobody says anew what stands there: a later time says less. A line in fault is left out; it
        spoils the whole note, so another one is to be made as soon as it can be.
        """
        opened = self._heights[height]
        try:
            kept = parse_note(note)
        except Rejected:
            return  # rot, which `inspect` names; the checkpoint is cosigned again
        if kept.text != opened.checkpoint.text():
            return
        size, root = opened.checkpoint.size, opened.checkpoint.root
        is_sound = True
        for replica, _, signature in match_known_keys(kept, self._keys):
            line = Cosigned(height, size, root, signature)
            if self._find_fault(replica, line, opened.checkpoint):
                is_sound = False
                continue
            opened.signatures[replica] = signature
            self._forks.add_true(replica, _tree_of(line))  # sent again, it is not looked at
            if replica == self._replica:
                self.own = line
        if is_sound and len(opened.signatures) >= self._genesis.validators.quorum:
            opened.noted_count = len(opened.signatures)
            self.certified_height = max(self.certified_height, height)

    def cosign(self, height: int, time_s: int) -> Cosigned:
        """Return this node's cosignature of an opened height; the caller makes it durable first."""
        opened = self._heights[height]
        line = cosign_checkpoint(
            opened.checkpoint, self._keys[self._replica].name, self._cosign, time_s
        )
        opened.signatures[self._replica] = line.signature
        self.own = Cosigned(height, opened.checkpoint.size, opened.checkpoint.root, line.signature)
        return self.own

    def take_early(self, height: int) -> list[tuple[int, Cosigned]]:
        """Return and forget the cosignatures that were waiting for this height."""
        found = [(replica, item) for replica, item in self._early.items() if item.height == height]
        for replica, _ in found:
            del self._early[replica]
        return found

    def add(self, replica: int, item: Cosigned, applied_height: int) -> Doubt | None:
        """Take a peer's cosignature; return what is doubtful about it, if anything is."""
        if item.height > applied_height:
            early = self._early.get(replica)
            if early is None or early.height < item.height:
                self._early[replica] = item
            return None
        opened = self._heights.get(item.height)
        if opened is None:
            return None
        checkpoint = Checkpoint(self._genesis.origin, item.size, item.root)
        if checkpoint != opened.checkpoint:
            return self._doubt(replica, item, checkpoint, self._heights[applied_height])
        if replica in opened.signatures:
            return None
        complaint = self._find_fault(replica, item, checkpoint)
        if complaint:
            return Doubt(complaint, (), is_signed=False)
        opened.signatures[replica] = item.signature
        proven = self._forks.add_true(replica, _tree_of(item))
        return Doubt("", tuple(proven), is_signed=True) if proven else None

    def _doubt(
        self, replica: int, item: Cosigned, checkpoint: Checkpoint, newest: _Height
    ) -> Doubt | None:
        """Judge a cosigned tree that is not the one this node has after that block."""
        if not max(self._size_min, 1) <= item.size <= newest.checkpoint.size:
            return None
        if not self._forks.is_news(replica, item.size, item.root):
            return None
        complaint = self._find_fault(replica, item, checkpoint)
        if complaint:
            return Doubt(complaint, (), is_signed=False)
        root = root_from_tiles(item.size, self._read_tile)
        if root == item.root:
            return None
        complaint = (
            f"validator {self._genesis.institutions[replica].id} cosigned size {item.size} with "
            f"root {item.root.hex()}, where this node's log has root {root.hex()}: one of the two "
            f"has forked 验证节点 {self._genesis.institutions[replica].id} 联署的大小 {item.size} "
            "的根哈希与本节点的日志不同：二者之一已分叉"
        )
        proven = self._forks.add_strange(replica, _tree_of(item))
        return Doubt(complaint, tuple(proven), is_signed=True)

    def _find_fault(self, replica: int, item: Cosigned, checkpoint: Checkpoint) -> str:
        """Return why a cosignature is not its validator's word; empty if it is."""
        try:
            verify_cosignature(checkpoint.text(), self._keys[replica], item.signature, self._verify)
        except Rejected as rejected:
            return rejected.detail
        return ""

    def certify(self, height: int) -> bytes | None:
        """Return the certified checkpoint of a height as soon as a quorum has cosigned it."""
        opened = self._heights.get(height)
        if opened is None or opened.noted_count:
            return None
        return self.make_note(height)

    def find_grown(self) -> list[int]:
        """Return the certified heights that have been cosigned by more since they were noted."""
        return [
            height
            for height, opened in self._heights.items()
            if 0 < opened.noted_count < len(opened.signatures)
        ]

    def make_note(self, height: int) -> bytes | None:
        """Return a height's checkpoint with all its cosignatures, if they are a quorum."""
        opened = self._heights.get(height)
        if opened is None or len(opened.signatures) < self._genesis.validators.quorum:
            return None
        opened.noted_count = len(opened.signatures)
        self.certified_height = max(self.certified_height, height)
        lines = [sign_checkpoint(opened.checkpoint, self._log)]
        for replica in sorted(opened.signatures):
            key = self._keys[replica]
            lines.append(NoteSignature(key.name, key.key_id, opened.signatures[replica]))
        return format_note(opened.checkpoint.text(), lines)


def _tree_of(item: Cosigned) -> CosignedTree:
    return CosignedTree(item.size, item.root, item.signature)
