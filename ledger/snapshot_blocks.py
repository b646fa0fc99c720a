"""The blocks beside a snapshot, from its base to its own, each checked as it comes.

They are not executed: a quorum has decided each, their entries are what its header's log root
commits to, and each header follows on the one before. The first proves the snapshot's log edge, for
no other edge grows into its root; it must be older than the replay window, so that whatever a
replay can repeat stands in these blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.block import (
    Header,
    check_successor,
    compute_block_hash,
    encode_header,
    read_block_header,
)
from ledger.merkle import leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.snapshot import Manifest, SnapshotTrust, compute_base
from ledger.votes import decode_commit_certificate


class SnapshotBlocks:
    """Checks the blocks of one snapshot in order; see the module's text."""

    def __init__(self, manifest: Manifest, header: Header, trust: SnapshotTrust) -> None:
        """`header` is the verified one of the manifest."""
        self._manifest = manifest
        self._last = header
        self._trust = trust
        self._log = compute_base(manifest)
        self._parent: Header | None = None
        self.next_height = manifest.base_height

    @property
    def last_height(self) -> int:
        """Height of the snapshot's own block."""
        return self._last.height

    @property
    def is_complete(self) -> bool:
        """Say whether all blocks have come."""
        return self.next_height > self._last.height

    def add(self, entries: Sequence[bytes], certificate: bytes) -> None:
        """Take the next block; raise `Rejected`, changing nothing, if it is not the one."""
        header = read_block_header(entries)
        height = self.next_height
        if self.is_complete or header.height != height:
            raise Rejected(
                Reason.WRONG_HEIGHT, f"block {header.height} where block {height} is wanted"
            )
        block_hash = compute_block_hash(encode_header(header))
        votes = decode_commit_certificate(certificate)
        votes.verify(self._trust.validators, self._trust.chain_id)
        if (votes.height, votes.block_hash) != (height, block_hash):
            raise Rejected(Reason.BAD_PROOF, f"block {height}: the votes are for another block")
        if self._parent is None:
            self._check_first(header)
        else:
            check_successor(self._parent, header)
        leaves = [leaf_hash(entry) for entry in entries]
        before = self._log.extend(leaves[:-1])
        if before.root() != header.log_root:
            raise Rejected(
                Reason.ROOT_MISMATCH,
                f"block {height}: its entries do not give the log root of its header",
            )
        if height == self._last.height and header != self._last:
            raise Rejected(Reason.BAD_FIELD, f"block {height} is not the snapshot's own")
        self._log = before.append(leaves[-1])
        self._parent = header
        self.next_height = height + 1

    def _check_first(self, header: Header) -> None:
        window_ms = self._trust.replay_window_ms
        if header.height > 1 and header.time_ms + window_ms >= self._last.time_ms:
            raise Rejected(
                Reason.BAD_FIELD,
                f"snapshot {self._last.height}: its first block {header.height} is "
                f"{self._last.time_ms - header.time_ms} ms older, and transactions may be repeated "
                f"for {window_ms} ms",
            )
        if header.first_index != self._manifest.base_size:
            raise Rejected(
                Reason.BAD_FIELD,
                f"block {header.height}: begins at entry {header.first_index}, and the snapshot's "
                f"log edge is of size {self._manifest.base_size}",
            )
