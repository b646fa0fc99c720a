"""The authenticated map of all streams: a compact binary sparse Merkle tree over 256-bit keys.

The commitment is defined in `ledger.state_proof`; this is how it is kept and updated in batches.
The nodes of the top levels stand in memory (`ledger.kernel.TreeTop`), and below each of its lowest
places lies a bucket in storage (`ledger.state_bucket`). An update is planned as a value (new root,
new nodes, new bucket records) and changes nothing, so that a proposal that is executed and never
committed leaves no trace; applying it is a separate step, taken once storage holds the records.
Keys are never removed. Proofs are computed from what is stored and checked against the root before
they are handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.hashing import HASH_BYTES, ZERO_HASH
from ledger.kernel import (
    EMPTY,
    KEY_BITS,
    MANY,
    TopChange,
    TreeTop,
)
from ledger.state_bucket import (
    FAN_OUT_BITS,
    INNER_RECORD,
    Node,
    ReadBucket,
    StateDamagedError,
    bucket_id,
    child_of,
    compute_inner_rows,
    compute_stored_node,
    split_children,
    split_items,
    update_bucket,
    walk_items,
)
from ledger.state_proof import (
    StateProof,
    check_state_proof,
    compute_leaf_hash,
    fold_state_proof,
)
from ledger.wire import StrictDecoder, encode

TOP_DEPTH: Final = 18
"""Levels kept in memory: with a million keys a bucket holds four, and the top takes 26 MB."""

_BUCKETS: Final = 1 << TOP_DEPTH
_PREFIX_BYTES: Final = (TOP_DEPTH + 7) // 8
_PREFIX_SHIFT: Final = _PREFIX_BYTES * 8 - TOP_DEPTH

PROGRESS_STEP: Final = 65_536
"""Buckets between two calls of a rebuild's progress callback: a few per second."""


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """A planned change: what the tree and its storage would become."""

    parent_root: bytes
    """Root of the tree that this was planned on."""
    root: bytes
    buckets: list[tuple[bytes, bytes]]
    """(bucket id, new record), for storage. Nothing is ever removed."""
    top: TopChange


class StateTree:
    """The tree at one committed height; buckets are read through a port."""

    __slots__ = ("_read_bucket", "_top")

    def __init__(self, read_bucket: ReadBucket) -> None:
        """Start as the empty tree."""
        self._read_bucket = read_bucket
        self._top = TreeTop(TOP_DEPTH)

    @property
    def root(self) -> bytes:
        """The root hash; 32 zero bytes for the empty tree."""
        return self._top.root

    @staticmethod
    def rebuild(
        scan: Iterable[tuple[bytes, bytes]],
        read_bucket: ReadBucket,
        progress: Callable[[int], None] | None = None,
    ) -> StateTree:
        """Compute the tree from every stored bucket, in any order.

        Every leaf is hashed again, and children of inner buckets are compared with what their
        parents say; raises `StateDamagedError`. The caller compares the root with the header's.
        """
        tree = StateTree(read_bucket)
        promised: dict[bytes, Node] = {}
        found: dict[bytes, Node] = {}
        for count, (name, record) in enumerate(scan, 1):
            node, kind = compute_stored_node(name, record, promised)
            if name[0] == TOP_DEPTH:
                place = _BUCKETS + (int.from_bytes(name[1:], "big") >> _PREFIX_SHIFT)
                tree._top.set_lowest(place, node, kind, record[1 : 1 + HASH_BYTES])
            else:
                found[name] = node, kind
            if progress is not None and count % PROGRESS_STEP == 0:
                progress(count)
        if found != promised:
            differing = min(
                name
                for name in found.keys() | promised.keys()
                if found.get(name) != promised.get(name)
            )
            raise StateDamagedError(f"bucket {differing.hex()} is not what its parent says")
        tree._top.join_all()
        return tree

    def plan(self, updates: Mapping[bytes, bytes]) -> TreeUpdate:
        """Return what setting key hash → value hash would change; changes nothing."""
        lengths = {*map(len, updates.keys()), *map(len, updates.values())}
        if lengths - {HASH_BYTES}:
            raise ValueError(f"hashes of the state tree have lengths {sorted(lengths)}")
        items = sorted(updates.items())
        places, hashes, kinds, keys, buckets, others = self._top.plan_lone(items)
        for at, begin, end in others:
            reader = self._read_bucket if self._top.kind_at(places[at]) else None
            hashes[at], kinds[at] = update_bucket(TOP_DEPTH, items[begin:end], reader, buckets)
        nodes = [node for node in hashes if node is not None]
        change = self._top.plan(places, nodes, kinds, keys)
        return TreeUpdate(self.root, change.root, buckets, change)

    def apply(self, update: TreeUpdate) -> None:
        """Become what was planned; storage must hold the update's buckets from here on."""
        if update.parent_root != self.root:
            raise ValueError(
                f"an update planned on root {update.parent_root.hex()} "
                f"does not apply to {self.root.hex()}"
            )
        self._top.apply(update.top)

    def prove(self, key_hash: bytes) -> StateProof:
        """Return the proof that the key is present or absent, whichever is so."""
        siblings: list[bytes] = []
        value_hash, other = self._walk(key_hash, siblings)
        # The last sibling on the way is never empty, so what follows it was not walked.
        depth = len(siblings)
        bits = 0
        for sibling in siblings:
            bits = bits << 1 | (sibling != ZERO_HASH)
        proof = StateProof(
            depth,
            (bits << (-depth % 8)).to_bytes((depth + 7) // 8, "big"),
            tuple([sibling for sibling in siblings if sibling != ZERO_HASH]),
            other,
        )
        if value_hash is not None:
            node = compute_leaf_hash(key_hash, value_hash)
        else:
            node = ZERO_HASH if other is None else compute_leaf_hash(*other)
        if fold_state_proof(key_hash, node, proof) != self.root:
            raise StateDamagedError(f"the buckets on the way of {key_hash.hex()} give another root")
        return proof

    def _walk(
        self, key_hash: bytes, siblings: list[bytes]
    ) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
        """Collect siblings downward; return the key's value hash or the other leaf met."""
        top = self._top
        place = 1
        key = int.from_bytes(key_hash, "big")
        for depth in range(TOP_DEPTH):
            if top.kind_at(place) != MANY:
                break
            place = 2 * place | (key >> (KEY_BITS - 1 - depth) & 1)
            siblings.append(top.hash_at(place ^ 1))
        kind = top.kind_at(place)
        if kind == EMPTY:
            return None, None
        if kind == MANY:
            return self._walk_bucket(TOP_DEPTH, key_hash, siblings)
        while place < _BUCKETS:
            place = 2 * place | (top.kind_at(2 * place) == EMPTY)
        prefix = (place - _BUCKETS) << (KEY_BITS - TOP_DEPTH)
        return self._read_single(TOP_DEPTH, prefix.to_bytes(HASH_BYTES, "big"), key_hash)

    def _walk_bucket(
        self, depth: int, key_hash: bytes, siblings: list[bytes]
    ) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
        """Go on below a bucket of at least two keys."""
        record = self._read_stored(depth, key_hash)
        if record[:1] != INNER_RECORD:
            return walk_items(split_items(record), depth, key_hash, siblings)
        rows = compute_inner_rows(split_children(record))
        child = child_of(key_hash, depth)
        for height in range(FAN_OUT_BITS, 0, -1):
            if rows[height][child >> height][1] != MANY:
                break
            siblings.append(rows[height - 1][child >> (height - 1) ^ 1][0])
        else:
            height = 0
        kind = rows[height][child >> height][1]
        if kind == EMPTY:
            return None, None
        if kind == MANY:
            return self._walk_bucket(depth + FAN_OUT_BITS, key_hash, siblings)
        first = child >> height << height
        lone = next(at for at in range(first, first + (1 << height)) if rows[0][at][1])
        below = KEY_BITS - depth - FAN_OUT_BITS
        prefix = (int.from_bytes(key_hash, "big") >> below & -(1 << FAN_OUT_BITS) | lone) << below
        return self._read_single(depth + FAN_OUT_BITS, prefix.to_bytes(HASH_BYTES, "big"), key_hash)

    def _read_stored(self, depth: int, key_hash: bytes) -> bytes:
        name = bucket_id(depth, key_hash)
        record = self._read_bucket(name)
        if record is None:
            raise StateDamagedError(f"bucket {name.hex()} is missing from storage")
        return record

    def _read_single(
        self, depth: int, prefix: bytes, key_hash: bytes
    ) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
        """Read the only leaf below a subtree and say whether it is this key's."""
        items = split_items(self._read_stored(depth, prefix))
        key, value = next(iter(items.items()))
        return (value, None) if key == key_hash else (None, (key, value))


class _WireProof(msgspec.Struct, frozen=True, array_like=True):
    depth: int
    bitmap: bytes
    siblings: tuple[bytes, ...]
    other: tuple[bytes, bytes] | None


_proof_decoder = StrictDecoder(_WireProof, "state proof")


def encode_state_proof(proof: StateProof) -> bytes:
    """Return MessagePack [depth, bitmap, [sibling…], [other key hash, value hash] | nil]."""
    return encode((proof.depth, proof.bitmap, proof.siblings, proof.other))


def decode_state_proof(raw: bytes) -> StateProof:
    """Read a proof strictly; raise `Rejected`."""
    wire = _proof_decoder.decode(raw)
    proof = StateProof(wire.depth, wire.bitmap, wire.siblings, wire.other)
    check_state_proof(proof)
    return proof
