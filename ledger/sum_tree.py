"""A Merkle sum tree: what is locked and what is owed, claim by claim, proven to be in one total.

A node is `hash ‖ u64 locked ‖ u64 owed`. A leaf's hash covers a claim's name and its two amounts;
an inner hash covers both children whole, hash and amounts of each, and its amounts are theirs
added:

    leaf    H(sum-leaf ‖ name ‖ u64 locked ‖ u64 owed)
    inner   H(sum-node ‖ left node ‖ right node)
    total   H(sum-total ‖ u64 number of leaves ‖ top node)

Maxwell's proof of liabilities (2013) hashed only the sum of the children, so that holders could be
shown totals too small; hashing both apart mends that (Hu, Zhang and Guo, ePrint 2018/1139).
Amounts are unsigned and every sum is bounded by `AMOUNT_MAX`: none is negative, none overflows. The
name must be a holder's own, or one leaf could be shown to two (Chalkias, Lewi, Mohassel and
Nikolaenko, ePrint 2020/468). The shape is RFC 9162's: an odd node is carried up as it is. This
module does not know what a claim is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.refusal import Reason, Rejected

AMOUNT_MAX: Final = 2**53 - 1
"""Largest amount and largest sum, in fen: the largest integer that JSON holds everywhere."""

SIZE_MAX: Final = 2**32
"""Most leaves of one tree; a path then has at most 32 nodes."""

NODE_BYTES: Final = HASH_BYTES + 16

_LOW: Final = 2**64 - 1


class SumNode(NamedTuple):
    """One node: its hash, and what is locked and owed below it, in fen."""

    hash: bytes
    locked: int
    owed: int


class SumTotal(NamedTuple):
    """What a tree says as a whole; `hash` covers the rest."""

    hash: bytes
    size: int
    """Leaves."""
    locked: int
    owed: int


def encode_node(node: SumNode) -> bytes:
    """Return a node's 48 bytes."""
    return node.hash + node.locked.to_bytes(8, "big") + node.owed.to_bytes(8, "big")


def decode_node(raw: bytes) -> SumNode:
    """Read a node; raise `Rejected`: MALFORMED, BAD_FIELD."""
    if len(raw) != NODE_BYTES:
        raise Rejected(Reason.MALFORMED, f"Sum tree: a node has {NODE_BYTES} bytes, not {len(raw)}")
    node = _unpack(raw)
    check_amounts(node.locked, node.owed)
    return node


def compute_total(size: int, top: SumNode) -> SumTotal:
    """Return the total of a tree of `size` leaves below `top`."""
    digest = tagged_hash(tags.SUM_TOTAL, size.to_bytes(8, "big") + encode_node(top))
    return SumTotal(digest, size, top.locked, top.owed)


NOTHING: Final = SumNode(bytes(HASH_BYTES), 0, 0)
"""Stands as the top node of the tree without leaves."""

EMPTY: Final = compute_total(0, NOTHING)
"""Total of the tree without leaves."""


def check_amounts(locked: int, owed: int) -> None:
    """Refuse amounts below 0 or above `AMOUNT_MAX`; raise `Rejected` (BAD_FIELD)."""
    for name, amount in (("locked", locked), ("owed", owed)):
        if not 0 <= amount <= AMOUNT_MAX:
            raise Rejected(
                Reason.BAD_FIELD, f"Sum tree: {name} {amount} is not between 0 and {AMOUNT_MAX}"
            )


def compute_leaf(name: bytes, locked: int, owed: int) -> bytes:
    """Return the leaf of a claim, encoded; `name` has 32 bytes. Raises `Rejected` (BAD_FIELD)."""
    check_amounts(locked, owed)
    if len(name) != HASH_BYTES:
        raise Rejected(
            Reason.BAD_FIELD, f"Sum tree: a name has {HASH_BYTES} bytes, not {len(name)}"
        )
    amounts = locked.to_bytes(8, "big") + owed.to_bytes(8, "big")
    return tagged_hash(tags.SUM_LEAF, name + amounts) + amounts


def _unpack(raw: bytes) -> SumNode:
    return SumNode(
        raw[:HASH_BYTES],
        int.from_bytes(raw[HASH_BYTES : HASH_BYTES + 8], "big"),
        int.from_bytes(raw[HASH_BYTES + 8 :], "big"),
    )


def _join(left: bytes, right: bytes) -> bytes:
    """Return the node above two; raise `Rejected` (BAD_FIELD) if a sum is above `AMOUNT_MAX`."""
    # Both amounts in one addition: each is below 2^53, so neither sum reaches the other's bits.
    total = int.from_bytes(left[HASH_BYTES:], "big") + int.from_bytes(right[HASH_BYTES:], "big")
    locked, owed = total >> 64, total & _LOW
    if locked > AMOUNT_MAX or owed > AMOUNT_MAX:
        check_amounts(locked, owed)
    return tagged_hash(tags.SUM_NODE, left + right) + total.to_bytes(16, "big")


class SumUpdate(NamedTuple):
    """A planned change: nodes by place, level by level, and the total they lead to."""

    total: SumTotal
    levels: list[dict[int, bytes]]
    """Level 0 holds the leaves."""


class SumTree:
    """A tree in memory; a change is planned as a value first and then applied, or dropped."""

    __slots__ = ("_levels", "size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Build the tree over encoded leaves; raise `Rejected` if a sum is too large."""
        row = list(leaves)
        self.size = len(row)
        self._levels: list[list[bytes]] = []
        """Encoded nodes of each level; the last level is the top node alone."""
        while row:
            self._levels.append(row)
            if len(row) == 1:
                break
            above = [_join(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            if len(row) & 1:
                above.append(row[-1])
            row = above

    @property
    def total(self) -> SumTotal:
        """The tree as a whole."""
        return compute_total(self.size, _unpack(self._levels[-1][0])) if self.size else EMPTY

    def leaf(self, index: int) -> bytes:
        """Return an encoded leaf."""
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of {self.size}")
        return self._levels[0][index]

    def plan(self, changes: Mapping[int, bytes]) -> SumUpdate:
        """Return what other or further leaves would make of the tree; changes nothing.

        Further leaves follow on the last without a gap. Raises `Rejected` if a sum is too large.
        """
        size = max(self.size, max(changes, default=-1) + 1)
        if any(place not in changes for place in range(self.size, size)):
            raise ValueError(f"leaves {self.size} to {size - 1} are not all given")
        levels: list[dict[int, bytes]] = []
        changed = dict(changes)
        width = size
        while changed:
            row = self._levels[len(levels)] if len(levels) < len(self._levels) else []
            levels.append(changed)
            if width == 1:
                break
            above: dict[int, bytes] = {}
            for parent in {place >> 1 for place in changed}:
                at = parent << 1
                left = changed.get(at) or row[at]
                at += 1
                above[parent] = left if at == width else _join(left, changed.get(at) or row[at])
            changed = above
            width = (width + 1) >> 1
        total = compute_total(size, _unpack(levels[-1][0])) if levels else self.total
        return SumUpdate(total, levels)

    def apply(self, update: SumUpdate) -> None:
        """Become what was planned on this tree."""
        for level, nodes in enumerate(update.levels):
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            for place in sorted(nodes):
                if place < len(row):
                    row[place] = nodes[place]
                else:
                    row.append(nodes[place])
        self.size = update.total.size

    def prove(self, index: int) -> list[bytes]:
        """Return the encoded siblings from a leaf up to below the root (RFC 9162, 2.1.3.1)."""
        self.leaf(index)
        path: list[bytes] = []
        width = self.size
        for level in range(len(self._levels) - 1):
            sibling = index ^ 1
            if sibling < width:
                path.append(self._levels[level][sibling])
            index >>= 1
            width = (width + 1) >> 1
        return path


class SumFrontier:
    """A tree's leaves one after another: the total without the tree, some 33 nodes at most."""

    __slots__ = ("_tops", "size")

    def __init__(self) -> None:
        self.size = 0
        self._tops: list[tuple[int, bytes]] = []
        """(leaves below, encoded node) of the whole subtrees, the largest first."""

    def append(self, leaf: bytes) -> None:
        """Add an encoded leaf; raise `Rejected` if a sum is too large."""
        width, node = 1, leaf
        while self._tops and self._tops[-1][0] == width:
            _, left = self._tops.pop()
            width, node = 2 * width, _join(left, node)
        self._tops.append((width, node))
        self.size += 1

    @property
    def total(self) -> SumTotal:
        """The tree over the leaves so far; raise `Rejected` if a sum is too large."""
        if not self._tops:
            return EMPTY
        node = self._tops[-1][1]
        for _, left in reversed(self._tops[:-1]):
            node = _join(left, node)
        return compute_total(self.size, _unpack(node))


def fold_sum_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> SumTotal:
    """Return the total that an encoded leaf and its siblings lead to.

    Raises `Rejected`: BAD_PROOF for a place outside the tree or a path of another length, BAD_FIELD
    and MALFORMED for a node that is none or a sum that is too large.
    """
    if not 0 <= index < size <= SIZE_MAX:
        _refuse(f"leaf {index} is not in a tree of {size} leaves")
    node = encode_node(decode_node(leaf))
    siblings = list(reversed(path))
    width = size
    while width > 1:
        sibling = index ^ 1
        if sibling < width:
            if not siblings:
                _refuse(f"a path of {len(path)} nodes is too short for its place in {size} leaves")
            beside = siblings.pop()
            decode_node(beside)
            node = _join(beside, node) if index & 1 else _join(node, beside)
        index >>= 1
        width = (width + 1) >> 1
    if siblings:
        _refuse(f"a path of {len(path)} nodes is too long for its place in {size} leaves")
    return compute_total(size, _unpack(node))


def verify_claim(total: SumTotal, index: int, leaf: bytes, path: Sequence[bytes]) -> None:
    """Check that a leaf is the `index`-th of a tree and in its total.

    Raises `Rejected`: BAD_PROOF, BAD_FIELD, MALFORMED.
    """
    reached = fold_sum_path(leaf, index, total.size, path)
    if reached != total:
        _refuse(
            f"leaf {index} of {total.size} leads to {reached.hash.hex()} with locked "
            f"{reached.locked} and owed {reached.owed}, not to {total.hash.hex()} with locked "
            f"{total.locked} and owed {total.owed}"
        )


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_PROOF, f"Sum tree: {detail}")
