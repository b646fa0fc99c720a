"""Batch signatures seen lately, and what of their trees is known, so that nothing is hashed twice.

A batch signature covers the RFC 9162 root over many transaction ids, and each envelope carries its
path. Hashing every path anew costs seven hashes for a batch of a hundred; but neighbours share
nearly all of their paths. A node that was once hashed up to the root is remembered with the rest of
its path, and a later transaction is done as soon as it meets such a node with the very same rest:
the path is then checked to its last byte. That a node leads to a root is a fact of hashing, true
whether or not the signature is good; which signatures are good is remembered apart, by key, root
and signature together. Bounded: the older half is forgotten when it is full.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger.merkle import leaf_hash, node_hash, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.transaction import BatchPath, Signature

BATCHES_MAX: Final = 128
"""Batches remembered, in two halves: more than clients send at a time."""

NODES_MAX: Final = 1024
"""Nodes remembered of one batch: all of a batch of five hundred. A node takes some 350 bytes, so
all batches together at most 45 MB."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    """A node of a batch's tree: its hash and the siblings from it up to the root."""

    node: bytes
    rest: list[bytes]


class _Batch(msgspec.Struct):
    """One batch: its root, and its nodes by (index, last index) at their level."""

    public_key: bytes
    size: int
    root: bytes
    nodes: dict[tuple[int, int], _Known]
    is_good: bool = False


class BatchBook:
    """See the module's text."""

    def __init__(self) -> None:
        self._young: dict[bytes, _Batch] = {}
        self._old: dict[bytes, _Batch] = {}

    def find_root(self, signature: Signature, tx_id: bytes) -> tuple[bytes, bool]:
        """Return (the batch's root, whether its signature is known to be good).

        Raises `Rejected` (BAD_BATCH_PATH) for a path that cannot belong to a tree of that size.
        """
        path = signature.batch
        if path is None:
            raise ValueError("an individual signature has no batch")
        batch = self._find(signature, path)
        if batch is None:
            root = _fold(tx_id, path)
            self._remember(signature, path, root, tx_id)
            return root, False
        root = self._climb(batch, path, tx_id)
        return root, batch.is_good and root == batch.root

    def mark_good(self, signature: Signature, root: bytes) -> None:
        """Remember that libsodium accepted this key's signature over this root."""
        path = signature.batch
        batch = None if path is None else self._find(signature, path)
        if batch is not None and batch.root == root:
            batch.is_good = True

    def _find(self, signature: Signature, path: BatchPath) -> _Batch | None:
        key = signature.signature
        batch = self._young.get(key) or self._old.get(key)
        if batch is None or batch.public_key != signature.public_key or batch.size != path.size:
            return None
        return batch

    def _remember(self, signature: Signature, path: BatchPath, root: bytes, tx_id: bytes) -> None:
        if len(self._young) >= BATCHES_MAX // 2:
            self._old, self._young = self._young, {}
        batch = _Batch(signature.public_key, path.size, root, {})
        self._young[signature.signature] = batch
        self._climb(batch, path, tx_id)

    def _climb(self, batch: _Batch, path: BatchPath, tx_id: bytes) -> bytes:
        """Return the root that a path leads to, hashing only what is not known of it.

        The steps are those of RFC 9162 section 2.1.3.2. Only nodes below the batch's own root are
        remembered: what leads elsewhere is the word of somebody else.
        """
        index, last = path.index, path.size - 1
        if index > last:
            raise _bad_path(path)
        node = leaf_hash(tx_id)
        siblings = path.hashes
        climbed: list[tuple[tuple[int, int], _Known]] = []
        known = batch.nodes
        for at, sibling in enumerate(siblings):
            if last == 0:
                raise _bad_path(path)
            place = (index, last)
            found = known.get(place)
            if found is not None and found.node == node and found.rest == siblings[at:]:
                root = batch.root
                break
            climbed.append((place, _Known(node, siblings[at:])))
            if index & 1 or index == last:
                if index & 1:
                    climbed.append(
                        ((index - 1, last), _Known(sibling, [node, *siblings[at + 1 :]]))
                    )
                node = node_hash(sibling, node)
                while not index & 1 and index:
                    index >>= 1
                    last >>= 1
            else:
                climbed.append(((index + 1, last), _Known(sibling, [node, *siblings[at + 1 :]])))
                node = node_hash(node, sibling)
            index >>= 1
            last >>= 1
        else:
            if last:
                raise _bad_path(path)
            root = node
        if root == batch.root and len(known) < NODES_MAX:
            known.update(climbed)
        return root


def _fold(tx_id: bytes, path: BatchPath) -> bytes:
    try:
        return root_from_inclusion(leaf_hash(tx_id), path.index, path.size, path.hashes)
    except Rejected as error:
        raise Rejected(Reason.BAD_BATCH_PATH, f"batch signature: {error.detail}") from None


def _bad_path(path: BatchPath) -> Rejected:
    return Rejected(
        Reason.BAD_BATCH_PATH,
        f"batch signature: {len(path.hashes)} hashes are no path of leaf {path.index} in a tree "
        f"of {path.size}",
    )
