"""Cosigned trees that are not this node's log, kept until they convict who signed them.

One signature on a tree that is not the log says only that somebody differs. With a second one, of
the same validator on a tree that did grow from the log, it is proof: the smaller tree is not the
prefix that the larger one has (`ledger.equivocation.CheckpointFork`). So the first few strange
trees of each validator are kept, and its newest true one. Bounded per validator, so that a liar
occupies only its own places. Pure; whoever adds a tree has verified its cosignature.
"""

from __future__ import annotations

from typing import Final

from ledger.equivocation import CheckpointFork, CosignedTree
from ledger.log import ReadTile, consistency_proof_from_tiles, root_from_tiles

FORKS_KEPT: Final = 8
"""Strange trees kept of one validator: one convicts it, and more only say so again."""

REPORTED_MAX: Final = 64
"""Sizes per validator for which proof was found: once for each, and after so many no more is
looked for, since it would only cost this node time and lines in its log."""


class ForkWatch:
    """What each validator cosigned beside this log; see the module's text."""

    def __init__(self, origin: str, read_tile: ReadTile) -> None:
        self._origin = origin
        self._read_tile = read_tile
        self._strange: dict[int, dict[int, CosignedTree]] = {}
        self._true: dict[int, CosignedTree] = {}
        self._reported: dict[int, set[int]] = {}

    def is_news(self, replica: int, size: int, root: bytes) -> bool:
        """Return whether a strange tree would be kept or proven; asked before it is verified."""
        reported = self._reported.get(replica, set())
        if size in reported or len(reported) >= REPORTED_MAX:
            return False
        kept = self._strange.get(replica, {})
        known = kept.get(size)
        return known.root != root if known is not None else len(kept) < FORKS_KEPT

    def add_true(self, replica: int, tree: CosignedTree) -> list[CheckpointFork]:
        """Note a cosigned tree of this log; return what it proves."""
        newest = self._true.get(replica)
        if newest is None or tree.size > newest.size:
            self._true[replica] = tree
        found = []
        for strange in list(self._strange.get(replica, {}).values()):
            if strange.size <= tree.size:
                found.append(self._prove(replica, strange, tree))
        return found

    def add_strange(self, replica: int, tree: CosignedTree) -> list[CheckpointFork]:
        """Note a cosigned tree that is not of this log; return what it proves."""
        known = self._strange.get(replica, {}).get(tree.size)
        if known is not None and known.root != tree.root:
            return [self._prove(replica, known, tree)]
        newest = self._true.get(replica)
        if newest is not None and newest.size >= tree.size:
            return [self._prove(replica, tree, newest)]
        self._strange.setdefault(replica, {})[tree.size] = tree
        return []

    def _prove(self, replica: int, strange: CosignedTree, other: CosignedTree) -> CheckpointFork:
        """Put two inconsistent trees together; `strange` is no larger than `other`."""
        self._strange.get(replica, {}).pop(strange.size, None)
        self._reported.setdefault(replica, set()).add(strange.size)
        if strange.size == other.size:
            smaller, larger = sorted((strange, other), key=lambda tree: tree.root)
            return CheckpointFork(replica, self._origin, smaller, larger, larger.root, ())
        proof = consistency_proof_from_tiles(strange.size, other.size, self._read_tile)
        prefix_root = root_from_tiles(strange.size, self._read_tile)
        return CheckpointFork(replica, self._origin, strange, other, prefix_root, tuple(proof))
