"""The authenticated map of all streams: a compact binary sparse Merkle tree over 256-bit keys.

The commitment is defined in `ledger.state_proof`; this is how it is kept and updated in batches.
The nodes of the top levels stand in memory as an array in heap order (node i has the children 2i
and 2i+1), and below each of its last places lies a bucket in storage (`ledger.state_bucket`). An
update is planned as a value (new root, new nodes, new bucket records) and changes nothing, so that
a proposal that is executed and never committed leaves no trace; applying it is a separate step,
taken once storage holds the records. Keys are never removed. Proofs are computed from what is
stored and checked against the root before they are handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256 as _sha256
from itertools import compress
from typing import Final

import msgspec

from ledger.hashing import HASH_BYTES, ZERO_HASH
from ledger.state_bucket import (
    EMPTY,
    FAN_OUT_BITS,
    INNER_RECORD,
    LEAF_RECORD,
    MANY,
    ONE,
    Node,
    ReadBucket,
    StateDamagedError,
    bucket_id,
    child_of,
    compute_inner_rows,
    compute_stored_node,
    join_nodes,
    split_children,
    split_items,
    update_bucket,
    walk_items,
)
from ledger.state_proof import (
    KEY_BITS,
    LEAF,
    NODE,
    StateProof,
    check_state_proof,
    compute_leaf_hash,
    fold_state_proof,
)
from ledger.wire import StrictDecoder, encode

TOP_DEPTH: Final = 18
"""Levels kept in memory: with a million keys a bucket holds four, and the array takes 40 MB."""

_BUCKETS: Final = 1 << TOP_DEPTH
_PREFIX_BYTES: Final = (TOP_DEPTH + 7) // 8
_PREFIX_SHIFT: Final = _PREFIX_BYTES * 8 - TOP_DEPTH

_NAME_BASE: Final = TOP_DEPTH << (8 * _PREFIX_BYTES)
_NAME_BYTES: Final = 1 + _PREFIX_BYTES

_ONE_ITEM_RECORD_BYTES: Final = 1 + 2 * HASH_BYTES

PROGRESS_STEP: Final = 65_536
"""Buckets between two calls of a rebuild's progress callback: a few per second."""


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """A planned change: what the tree and its storage would become."""

    parent_root: bytes
    """Root of the tree that this was planned on."""
    root: bytes
    buckets: list[tuple[bytes, bytes | None]]
    """(bucket id, new record), for storage. Nothing is ever removed, so no record is None."""
    nodes: list[tuple[list[int], list[bytes], list[int]]]
    """Per level from the lowest: places in the array, their new hashes, their new kinds."""


class StateTree:
    """The tree at one committed height; buckets are read through a port."""

    __slots__ = ("_hashes", "_kinds", "_read_bucket")

    def __init__(self, read_bucket: ReadBucket) -> None:
        """Start as the empty tree."""
        self._read_bucket = read_bucket
        self._hashes: list[bytes] = [b""] * (2 * _BUCKETS)
        self._kinds = bytearray(2 * _BUCKETS)

    @property
    def root(self) -> bytes:
        """The root hash; 32 zero bytes for the empty tree."""
        return self._hashes[1] or ZERO_HASH

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
            node = compute_stored_node(name, record, promised)
            if name[0] == TOP_DEPTH:
                place = _BUCKETS + (int.from_bytes(name[1:], "big") >> _PREFIX_SHIFT)
                tree._hashes[place], tree._kinds[place] = node
            else:
                found[name] = node
            if progress is not None and count % PROGRESS_STEP == 0:
                progress(count)
        if found != promised:
            differing = min(
                name
                for name in found.keys() | promised.keys()
                if found.get(name) != promised.get(name)
            )
            raise StateDamagedError(f"bucket {differing.hex()} is not what its parent says")
        tree._compute_all_nodes()
        return tree

    def _compute_all_nodes(self) -> None:
        """Join level by level, touching only what is above an occupied bucket."""
        hashes, kinds = self._hashes, self._kinds
        places = list(compress(range(_BUCKETS, 2 * _BUCKETS), kinds[_BUCKETS:]))
        for _ in range(TOP_DEPTH):
            places = list(dict.fromkeys([place >> 1 for place in places]))
            for place in places:
                left, right = 2 * place, 2 * place + 1
                hashes[place], kinds[place] = join_nodes(
                    (hashes[left], kinds[left]), (hashes[right], kinds[right])
                )

    def plan(self, updates: Mapping[bytes, bytes]) -> TreeUpdate:
        """Return what setting key hash → value hash would change; changes nothing."""
        lengths = {*map(len, updates.keys()), *map(len, updates.values())}
        if lengths - {HASH_BYTES}:
            raise ValueError(f"hashes of the state tree have lengths {sorted(lengths)}")
        buckets: list[tuple[bytes, bytes | None]] = []
        level = self._plan_buckets(updates, buckets)
        nodes = [level]
        for _ in range(TOP_DEPTH if level[0] else 0):
            level = self._plan_parents(*level)
            nodes.append(level)
        root = level[1][0] if level[0] else self.root
        return TreeUpdate(self.root, root, buckets, nodes)

    def _plan_buckets(
        self, updates: Mapping[bytes, bytes], buckets: list[tuple[bytes, bytes | None]]
    ) -> tuple[list[int], list[bytes], list[int]]:
        """Recompute each bucket that an update falls into, in key order."""
        sha256 = _sha256
        read_bucket, old_kinds = self._read_bucket, self._kinds
        places: list[int] = []
        hashes: list[bytes] = []
        kinds: list[int] = []
        items = sorted(updates.items())
        prefixes = [int.from_bytes(key[:_PREFIX_BYTES], "big") >> _PREFIX_SHIFT for key, _ in items]
        prefixes.append(-1)
        begin, count = 0, len(items)
        while begin < count:
            prefix = prefixes[begin]
            end = begin + 1
            while prefixes[end] == prefix:
                end += 1
            place = _BUCKETS + prefix
            places.append(place)
            kind = old_kinds[place]
            if end - begin == 1 and kind != MANY:
                # The common case at up to a few hundred thousand keys: one key, alone or new.
                key, value = items[begin]
                name = (_NAME_BASE | prefix << _PREFIX_SHIFT).to_bytes(_NAME_BYTES, "big")
                record = read_bucket(name) if kind else None
                if record is None and kind:
                    raise StateDamagedError(f"bucket {name.hex()} is missing from storage")
                if record is None or (
                    len(record) == _ONE_ITEM_RECORD_BYTES and record.startswith(key, 1)
                ):
                    item = key + value
                    hashes.append(sha256(LEAF + item).digest())
                    kinds.append(ONE)
                    buckets.append((name, LEAF_RECORD + item))
                    begin = end
                    continue
            reader = read_bucket if kind else None
            node, kind = update_bucket(TOP_DEPTH, items[begin:end], reader, buckets)
            hashes.append(node)
            kinds.append(kind)
            begin = end
        return places, hashes, kinds

    def _plan_parents(
        self, places: list[int], hashes: list[bytes], kinds: list[int]
    ) -> tuple[list[int], list[bytes], list[int]]:
        """Compute the parents of one level's changed nodes, which are in ascending order."""
        sha256 = _sha256
        old_hashes = self._hashes
        up_places: list[int] = []
        up_hashes: list[bytes] = []
        up_kinds: list[int] = []
        add_place, add_hash, add_kind = up_places.append, up_hashes.append, up_kinds.append
        skip = -1
        at = 0
        for place, own in zip(places, hashes, strict=True):
            at += 1
            if place == skip:
                continue
            add_place(place >> 1)
            if place & 1:
                left, right = old_hashes[place - 1], own
            else:
                left = own
                right = old_hashes[place + 1]
                if at < len(places) and places[at] == place + 1:
                    skip = place + 1
                    right = hashes[at]
            if left and right:
                add_hash(sha256(NODE + left + right).digest())
                add_kind(MANY)
            elif kinds[at - 1] == ONE:
                add_hash(own)
                add_kind(ONE)
            else:
                # A changed node is never empty, so the empty side is its sibling.
                pair = left + ZERO_HASH if left else ZERO_HASH + right
                add_hash(sha256(NODE + pair).digest())
                add_kind(MANY)
        return up_places, up_hashes, up_kinds

    def apply(self, update: TreeUpdate) -> None:
        """Become what was planned; storage must hold the update's buckets from here on."""
        if update.parent_root != self.root:
            raise ValueError(
                f"an update planned on root {update.parent_root.hex()} "
                f"does not apply to {self.root.hex()}"
            )
        all_hashes, all_kinds = self._hashes, self._kinds
        for places, hashes, kinds in update.nodes:
            for place, node, kind in zip(places, hashes, kinds, strict=True):
                all_hashes[place] = node
                all_kinds[place] = kind

    def prove(self, key_hash: bytes) -> StateProof:
        """Return the proof that the key is present or absent, whichever is so."""
        siblings: list[bytes] = []
        value_hash, other = self._walk(key_hash, siblings)
        # The last sibling on the way is never empty, so what follows it was not walked.
        depth = len(siblings)
        bits = 0
        for sibling in siblings:
            bits = bits << 1 | bool(sibling)
        proof = StateProof(
            depth,
            (bits << (-depth % 8)).to_bytes((depth + 7) // 8, "big"),
            tuple([sibling for sibling in siblings if sibling]),
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
        place = 1
        key = int.from_bytes(key_hash, "big")
        for depth in range(TOP_DEPTH):
            if self._kinds[place] != MANY:
                break
            place = 2 * place | (key >> (KEY_BITS - 1 - depth) & 1)
            siblings.append(self._hashes[place ^ 1])
        kind = self._kinds[place]
        if kind == EMPTY:
            return None, None
        if kind == MANY:
            return self._walk_bucket(TOP_DEPTH, key_hash, siblings)
        while place < _BUCKETS:
            place = 2 * place | (self._kinds[2 * place] == EMPTY)
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
