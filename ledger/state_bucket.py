"""Buckets: how the lower part of the state tree is stored, and how one is recomputed.

A bucket is the subtree below one prefix of the key. A *leaf bucket* is its keys in order, each
with its value hash; leaf hashes are computed again, because reading them would cost as much. A
bucket of more than `LEAF_COUNT_MAX` keys becomes an *inner bucket*: the kind and hash of its
sixteen children, each a bucket of its own four bits further down. So an update never hashes more
than one leaf bucket and a few rows of sixteen, also when somebody grinds names until thousands of
them share a prefix. Nothing is ever removed, so an inner bucket never turns back. The commitment
does not depend on any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ledger.hashing import HASH_BYTES, ZERO_HASH
from ledger.kernel import EMPTY, ITEM_BYTES, KEY_BITS, MANY, ONE, fold_bucket, node_hash, set_item

LEAF_COUNT_MAX: Final = 32
"""Most keys of a leaf bucket: 63 hashes and a 2 kB record to update one of them."""

LEAF_BYTES_MAX: Final = 1 + LEAF_COUNT_MAX * ITEM_BYTES
LONE_BYTES: Final = 1 + ITEM_BYTES
"""Of the record of a leaf bucket with one key; no other record has as many."""


FAN_OUT_BITS: Final = 4
"""An inner bucket has 2^4 children: 15 hashes and a 529 byte record."""

FAN_OUT: Final = 1 << FAN_OUT_BITS

_CHILD_BYTES: Final = 1 + HASH_BYTES
_INNER_BYTES: Final = 1 + FAN_OUT * _CHILD_BYTES
LEAF_RECORD: Final = b"\x00"
INNER_RECORD: Final = b"\x01"

ReadBucket = Callable[[bytes], bytes | None]
"""Port: the stored record of a bucket, or None."""

Node = tuple[bytes, int]
"""A subtree's hash (zeros for an empty one) and its kind."""

EMPTY_NODE: Final[Node] = (ZERO_HASH, EMPTY)


class StateDamagedError(Exception):
    """What storage holds does not add up to a tree: our own damage, never somebody's input."""


def bucket_id(depth: int, key_hash: bytes) -> bytes:
    """Return the id of the bucket at `depth` bits on the way of a key: depth, then its prefix."""
    whole, rest = divmod(depth, 8)
    prefix = key_hash[:whole]
    if rest:
        prefix += bytes((key_hash[whole] & (0xFF00 >> rest) & 0xFF,))
    return bytes((depth,)) + prefix


def join_nodes(left: Node, right: Node) -> Node:
    """Return the parent of two subtrees."""
    if left[1] == EMPTY and right[1] != MANY:
        return right
    if right[1] == EMPTY and left[1] != MANY:
        return left
    return node_hash(left[0], right[0]), MANY


def compute_leaf_bucket(items: bytes, depth: int) -> Node:
    """Return the node of a leaf bucket's concatenated items (at least one), at `depth` bits."""
    try:
        return fold_bucket(items, depth), ONE if len(items) == ITEM_BYTES else MANY
    except ValueError as error:
        raise StateDamagedError(f"a bucket at depth {depth}: {error}") from None


def split_items(record: bytes) -> dict[bytes, bytes]:
    """Return key hash → value hash of a leaf bucket's record."""
    check_leaf_record(record)
    return {
        record[at : at + HASH_BYTES]: record[at + HASH_BYTES : at + ITEM_BYTES]
        for at in range(1, len(record), ITEM_BYTES)
    }


def check_leaf_record(record: bytes) -> None:
    """Raise `StateDamagedError` unless the record is as long as some leaf bucket's."""
    if record[:1] != LEAF_RECORD or len(record) % ITEM_BYTES != 1 or len(record) == 1:
        raise StateDamagedError(f"a record of {len(record)} bytes is no bucket of the state tree")


def split_children(record: bytes) -> list[Node]:
    """Return the sixteen children of an inner bucket's record."""
    if len(record) != _INNER_BYTES:
        raise StateDamagedError(f"an inner bucket has {_INNER_BYTES} bytes, not {len(record)}")
    children = []
    for at in range(1, _INNER_BYTES, _CHILD_BYTES):
        kind, node = record[at], record[at + 1 : at + _CHILD_BYTES]
        if kind > MANY or (kind == EMPTY) != (node == ZERO_HASH):
            raise StateDamagedError(f"an inner bucket has a child {node.hex()} of kind {kind}")
        children.append((node, kind))
    return children


def encode_children(children: Sequence[Node]) -> bytes:
    """Return an inner bucket's record."""
    parts = [bytes((kind,)) + node for node, kind in children]
    return INNER_RECORD + b"".join(parts)


def compute_inner_rows(children: Sequence[Node]) -> list[Sequence[Node]]:
    """Return the rows of nodes over the children, the children first and the bucket's node last."""
    rows = [children]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([join_nodes(row[at], row[at + 1]) for at in range(0, len(row), 2)])
    return rows


def update_bucket(
    depth: int,
    updates: list[tuple[bytes, bytes]],
    read_bucket: ReadBucket | None,
    changed: list[tuple[bytes, bytes]],
) -> Node:
    """Return the new node of the bucket that all `updates` (sorted, not empty) fall into.

    Appends (bucket id, new record) of this bucket and those below it to `changed`, parents first.
    `read_bucket` is None when the bucket is known to be empty.
    """
    name = bucket_id(depth, updates[0][0])
    record = LEAF_RECORD if read_bucket is None else read_bucket(name)
    if record is None:
        raise StateDamagedError(f"bucket {name.hex()} is missing from storage")
    if record[:1] == INNER_RECORD:
        place = len(changed)
        children = split_children(record)
        _update_children(depth, updates, children, read_bucket, changed)
        changed.insert(place, (name, encode_children(children)))
        return compute_inner_rows(children)[-1][0]
    if read_bucket is not None:
        check_leaf_record(record)
    if len(updates) == 1:
        record = set_item(record, *updates[0])
    else:
        items = {} if read_bucket is None else split_items(record)
        items.update(updates)
        record = LEAF_RECORD + b"".join([key + items[key] for key in sorted(items)])
    if len(record) > LEAF_BYTES_MAX and depth + FAN_OUT_BITS < KEY_BITS:
        place = len(changed)
        children = [EMPTY_NODE] * FAN_OUT
        _update_children(depth, sorted(split_items(record).items()), children, None, changed)
        changed.insert(place, (name, encode_children(children)))
        return compute_inner_rows(children)[-1][0]
    changed.append((name, record))
    return compute_leaf_bucket(record[1:], depth)


def _update_children(
    depth: int,
    updates: list[tuple[bytes, bytes]],
    children: list[Node],
    read_bucket: ReadBucket | None,
    changed: list[tuple[bytes, bytes]],
) -> None:
    """Update the child buckets in place; `updates` are sorted, so each child's stand together."""
    below = depth + FAN_OUT_BITS
    groups: list[list[tuple[bytes, bytes]]] = [[] for _ in range(FAN_OUT)]
    for update in updates:
        groups[child_of(update[0], depth)].append(update)
    for child, group in enumerate(groups):
        if group:
            reader = read_bucket if children[child][1] != EMPTY else None
            children[child] = update_bucket(below, group, reader, changed)


def child_of(key_hash: bytes, depth: int) -> int:
    """Return which child of the inner bucket at `depth` is on the way of a key."""
    return int.from_bytes(key_hash, "big") >> (KEY_BITS - FAN_OUT_BITS - depth) & (FAN_OUT - 1)


def walk_items(
    items: dict[bytes, bytes], depth: int, key_hash: bytes, siblings: list[bytes]
) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
    """Walk inside a leaf bucket, halving its sorted keys bit by bit."""
    names = sorted(items)
    keys = [int.from_bytes(name, "big") for name in names]
    joined = b"".join([name + items[name] for name in names])
    key = int.from_bytes(key_hash, "big")
    begin, end = 0, len(keys)
    while end - begin > 1:
        shift = KEY_BITS - 1 - depth
        middle = next((at for at in range(begin, end) if keys[at] >> shift & 1), end)
        depth += 1
        if key >> shift & 1:
            beside, begin = joined[begin * ITEM_BYTES : middle * ITEM_BYTES], middle
        else:
            beside, end = joined[middle * ITEM_BYTES : end * ITEM_BYTES], middle
        siblings.append(fold_bucket(beside, depth) if beside else ZERO_HASH)
    if begin == end:
        return None, None
    name = names[begin]
    return (items[name], None) if name == key_hash else (None, (name, items[name]))


def compute_stored_node(name: bytes, record: bytes, promised: dict[bytes, Node]) -> Node:
    """Return a stored bucket's node, noting what an inner bucket says of its children."""
    depth = name[0]
    if record[:1] == INNER_RECORD:
        children = split_children(record)
        prefix = int.from_bytes(name[1:].ljust(HASH_BYTES, b"\0"), "big")
        for child, node in enumerate(children):
            if node[1] != EMPTY:
                below = prefix | child << (KEY_BITS - FAN_OUT_BITS - depth)
                key = below.to_bytes(HASH_BYTES, "big")
                promised[bucket_id(depth + FAN_OUT_BITS, key)] = node
        return compute_inner_rows(children)[-1][0]
    check_leaf_record(record)
    return compute_leaf_bucket(record[1:], depth)
