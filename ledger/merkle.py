"""Merkle trees of RFC 9162 section 2.1 over SHA-256: roots, proofs, and a frontier that grows.

A tree is named by its leaf hashes; positions are half-open ranges `[begin, end)` of leaves. A leaf
hash starts from a 0x00 byte and an interior node from a 0x01 byte, and an odd node is carried up
as it is (never doubled, CVE-2012-2459), so one root has one list of leaves. Section 2.1.1 splits at
the largest power of two below the size; pairing level by level and carrying the odd node up gives
the same tree and is how everything here computes. A `Frontier` holds only the roots of the perfect
subtrees, largest first, and is all that appending needs. Verifiers raise `Rejected(BAD_PROOF)`.
This module does not know what a leaf means, nor where hashes are kept (`ledger.log`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

from ledger.kernel import (
    HASH_BYTES,
    append_peak,
    fold_path,
    fold_peaks,
    hash_pairs,
    leaf_hash,
    node_hash,
    sha256,
)
from ledger.refusal import Reason, Rejected

__all__ = [
    "EMPTY_ROOT",
    "SIZE_MAX",
    "BackwardFrontier",
    "Frontier",
    "compute_root",
    "consistency_proof",
    "hash_pairs",
    "inclusion_proof",
    "inclusion_proofs",
    "leaf_hash",
    "node_hash",
    "root_from_inclusion",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT: Final = sha256(b"")
"""Root of the tree without leaves: SHA-256 of nothing (RFC 9162 section 2.1.1)."""

SIZE_MAX: Final = 2**63 - 1
"""Largest tree size: what a signed 64-bit integer holds, as in tlog-tiles' reference code."""


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of these leaves (RFC 9162 section 2.1.1)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    row = leaf_hashes
    while len(row) > 1:
        row = _compute_row_above(row)
    return row[0]


def _compute_row_above(row: Sequence[bytes]) -> list[bytes]:
    parents = hash_pairs(row)
    if len(row) & 1:
        parents.append(row[-1])
    return parents


class Frontier(NamedTuple):
    """The right edge of a tree: roots of its perfect subtrees, largest first, concatenated.

    One peak for each set bit of `size`. Appending makes a new frontier; the old one stays valid,
    so a proposal that is never committed leaves no trace. A tuple, because one is made for every
    transaction.
    """

    size: int
    peaks: bytes

    @staticmethod
    def empty() -> Frontier:
        """Return the frontier of the tree without leaves."""
        return _EMPTY

    @staticmethod
    def from_peaks(size: int, peaks: bytes) -> Frontier:
        """Rebuild from `size` and the peaks' concatenated hashes; raise `Rejected`(BAD_FIELD)."""
        if not 0 <= size <= SIZE_MAX or len(peaks) != size.bit_count() * HASH_BYTES:
            raise Rejected(
                Reason.BAD_FIELD,
                f"Frontier: {len(peaks)} bytes of peaks do not belong to a tree of size {size}",
            )
        return Frontier(size, peaks)

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier with one more leaf hash; one hash on average."""
        return Frontier(self.size + 1, append_peak(self.size, self.peaks, leaf))

    def extend(self, leaves: list[bytes]) -> Frontier:
        """Return the frontier with these leaf hashes appended in order."""
        return self.extend_rows(leaves)[0]

    def extend_rows(self, leaves: list[bytes]) -> tuple[Frontier, list[list[bytes]]]:
        """Return the grown frontier and, per height, the nodes this completed (height 0: leaves).

        Row h holds the perfect subtrees of 2^h leaves that end inside the new leaves; a log takes
        every eighth row as new hashes of its tiles. The lists must not be changed by the caller.
        """
        rows: list[list[bytes]] = []
        peaks: list[bytes] = []
        row = leaves
        carry = self.size
        end = len(self.peaks)
        while row:
            rows.append(row)
            if carry & 1:
                end -= HASH_BYTES
                row = [self.peaks[end : end + HASH_BYTES], *row]
            if len(row) & 1:
                peaks.append(row[-1])
            row = hash_pairs(row)
            carry >>= 1
        peaks.append(self.peaks[:end])
        return Frontier(self.size + len(leaves), b"".join(reversed(peaks))), rows

    def root(self) -> bytes:
        """Return the root of the tree (RFC 9162 section 2.1.1)."""
        return fold_peaks(self.peaks) if self.peaks else EMPTY_ROOT


_EMPTY: Final = Frontier(0, b"")


class BackwardFrontier:
    """The peaks of a tree of known size whose leaves come last first, in constant memory.

    The mirror of `Frontier`: a subtree is complete when its first leaf has come.
    """

    def __init__(self, size: int) -> None:
        self.left = size
        """Leaves that have not come yet."""
        self._nodes: list[tuple[int, bytes]] = []
        """(height, hash) of complete subtrees, the rightmost one first."""

    def prepend(self, leaf: bytes) -> None:
        """Take the leaf hash before those that came; raise ValueError when all have come."""
        if not self.left:
            raise ValueError("all leaves have come")
        self.left -= 1
        height, node = 0, leaf
        while self._nodes and self._nodes[-1][0] == height and not self.left >> height & 1:
            node = node_hash(node, self._nodes.pop()[1])
            height += 1
        self._nodes.append((height, node))

    @property
    def peaks(self) -> bytes:
        """What `Frontier.peaks` is for the same leaves, once all have come."""
        return b"".join([node for _, node in reversed(self._nodes)])


def inclusion_proof(
    leaf_hashes: Sequence[bytes], index: int, size: int | None = None
) -> list[bytes]:
    """Return PATH(index, D[0:size]), from the leaf's sibling up (RFC 9162 section 2.1.3.1)."""
    row = _take_prefix(leaf_hashes, size)
    if not 0 <= index < len(row):
        raise ValueError(f"leaf {index} is not in a tree of {len(row)} leaves")
    path = []
    while len(row) > 1:
        sibling = index ^ 1
        if sibling < len(row):
            path.append(row[sibling])
        row = _compute_row_above(row)
        index >>= 1
    return path


def inclusion_proofs(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return the inclusion proof of every leaf, hashing each node of the tree once."""
    paths: list[list[bytes]] = [[] for _ in leaf_hashes]
    row = leaf_hashes
    height = 0
    while len(row) > 1:
        for index, path in enumerate(paths):
            sibling = (index >> height) ^ 1
            if sibling < len(row):
                path.append(row[sibling])
        row = _compute_row_above(row)
        height += 1
    return paths


def consistency_proof(
    leaf_hashes: Sequence[bytes], size1: int, size2: int | None = None
) -> list[bytes]:
    """Return PROOF(size1, D[0:size2]) (RFC 9162 section 2.1.4.1)."""
    row = _take_prefix(leaf_hashes, size2)
    if not 0 < size1 <= len(row):
        raise ValueError(f"no consistency proof leads from size {size1} to size {len(row)}")
    if size1 == len(row):
        return []
    # The last node whose leaves all lie in the old tree; its path up is the proof.
    index = size1 - 1
    while index & 1:
        row = _compute_row_above(row)
        index >>= 1
    proof = [row[index]] if index else []
    while len(row) > 1:
        sibling = index ^ 1
        if sibling < len(row):
            proof.append(row[sibling])
        row = _compute_row_above(row)
        index >>= 1
    return proof


def _take_prefix(leaf_hashes: Sequence[bytes], size: int | None) -> Sequence[bytes]:
    if size is None or size == len(leaf_hashes):
        return leaf_hashes
    if not 0 <= size < len(leaf_hashes):
        raise ValueError(f"a tree of {len(leaf_hashes)} leaves has no prefix of size {size}")
    return leaf_hashes[:size]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that `proof` leads to from leaf hash `leaf` (RFC 9162 section 2.1.3.2).

    Raises `Rejected`(BAD_PROOF) unless the proof has exactly the length this position asks for.
    """
    if not 0 <= index < size <= SIZE_MAX:
        _refuse(f"Inclusion proof: leaf {index} is not in a tree of size {size}")
    _check_hashes("Inclusion proof", (leaf, *proof))
    root = fold_path(leaf, index, size, proof)
    if root is None:
        wanted = path_length(index, size)
        much = "many" if len(proof) > wanted else "few"
        _refuse(f"Inclusion proof: {len(proof)} hashes are too {much} for leaf {index} of {size}")
    return root


def path_length(index: int, size: int) -> int:
    """Return how many hashes PATH(index, D[size]) has (RFC 9162 section 2.1.3.1)."""
    fn, sn = index, size - 1
    count = 0
    while sn:
        count += fn & 1 or fn < sn
        fn >>= 1
        sn >>= 1
    return count


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf hash `leaf` stands at `index` in the tree (RFC 9162 section 2.1.3.2)."""
    reached = root_from_inclusion(leaf, index, size, proof)
    if reached != root:
        _refuse(
            f"Inclusion proof: leaf {index} of {size} leads to root {reached.hex()}, "
            f"not to {root.hex()}"
        )


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes
) -> None:
    """Check that the tree (size1, root1) is a prefix of (size2, root2) (section 2.1.4.2).

    Size 0 is refused also against itself: such a proof would say nothing, and RFC 9942 forbids it.
    """
    if not 0 < size1 <= size2 <= SIZE_MAX:
        _refuse(f"Consistency proof: nothing leads from size {size1} to size {size2}")
    if size1 == size2:
        if proof:
            _refuse(f"Consistency proof: {len(proof)} hashes between equal sizes {size1}")
        if root1 != root2:
            _refuse(
                f"Consistency proof: size {size1} has two roots, {root1.hex()} and {root2.hex()}"
            )
        return
    if not proof:
        _refuse(f"Consistency proof: it is empty, from size {size1} to size {size2}")
    _check_hashes("Consistency proof", (root1, root2, *proof))
    # Step 2: when size1 is a power of two its root is the first node of the path.
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if sn == 0:
            _refuse(
                f"Consistency proof: {len(proof)} hashes are too many "
                f"from size {size1} to size {size2}"
            )
        if fn & 1 or fn == sn:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, sibling)
        fn >>= 1
        sn >>= 1
    if sn:
        _refuse(
            f"Consistency proof: {len(proof)} hashes are too few from size {size1} to size {size2}"
        )
    if old != root1:
        _refuse(
            f"Consistency proof: it leads to old root {old.hex()} at size {size1}, "
            f"not to {root1.hex()}"
        )
    if new != root2:
        _refuse(
            f"Consistency proof: it leads to new root {new.hex()} at size {size2}, "
            f"not to {root2.hex()}"
        )


def _check_hashes(subject: str, hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            _refuse(f"{subject}: a hash has {HASH_BYTES} bytes, not {len(value)}")


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_PROOF, detail)
