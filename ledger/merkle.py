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

from collections.abc import Iterable, Sequence
from hashlib import sha256 as _sha256
from typing import Final, NamedTuple, NoReturn

from ledger.hashing import HASH_BYTES
from ledger.refusal import Reason, Rejected

EMPTY_ROOT: Final = _sha256(b"").digest()
"""Root of the tree without leaves: SHA-256 of nothing (RFC 9162 section 2.1.1)."""

SIZE_MAX: Final = 2**63 - 1
"""Largest tree size: what a signed 64-bit integer holds, as in tlog-tiles' reference code."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Return HASH(0x00 ‖ data) (RFC 9162 section 2.1.1)."""
    return _sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return HASH(0x01 ‖ left ‖ right) (RFC 9162 section 2.1.1)."""
    return _sha256(_NODE + left + right).digest()


def compute_parents(row: Sequence[bytes]) -> list[bytes]:
    """Hash a row of nodes pairwise; an odd last node has no parent yet and is left out."""
    sha256 = _sha256
    nodes = iter(row)
    pairs = zip(nodes, nodes, strict=False)
    return [sha256(_NODE + left + right).digest() for left, right in pairs]


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of these leaves (RFC 9162 section 2.1.1)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    row = leaf_hashes
    while len(row) > 1:
        row = _compute_row_above(row)
    return row[0]


def _compute_row_above(row: Sequence[bytes]) -> list[bytes]:
    parents = compute_parents(row)
    if len(row) & 1:
        parents.append(row[-1])
    return parents


class Frontier(NamedTuple):
    """The right edge of a tree: roots of its perfect subtrees, largest first.

    One peak for each set bit of `size`. Appending makes a new frontier; the old one stays valid,
    so a proposal that is never committed leaves no trace. A tuple, because one is made for every
    transaction.
    """

    size: int
    peaks: tuple[bytes, ...]

    @staticmethod
    def empty() -> Frontier:
        """Return the frontier of the tree without leaves."""
        return _EMPTY

    @staticmethod
    def from_peaks(size: int, raw: bytes) -> Frontier:
        """Rebuild from `size` and the peaks' concatenated hashes; raise `Rejected`(BAD_FIELD)."""
        if not 0 <= size <= SIZE_MAX or len(raw) != size.bit_count() * HASH_BYTES:
            raise Rejected(
                Reason.BAD_FIELD,
                f"Frontier: {len(raw)} bytes of peaks do not belong to a tree of size {size}",
            )
        return Frontier(
            size, tuple([raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)])
        )

    def encode_peaks(self) -> bytes:
        """Return the peaks' hashes, concatenated."""
        return b"".join(self.peaks)

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier with one more leaf hash; one hash on average."""
        size = self.size
        if not size & 1:
            return Frontier(size + 1, (*self.peaks, leaf))
        peaks = list(self.peaks)
        node = leaf
        carry = size
        while carry & 1:
            node = _sha256(_NODE + peaks.pop() + node).digest()
            carry >>= 1
        peaks.append(node)
        return Frontier(size + 1, tuple(peaks))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier with these leaf hashes appended in order."""
        row = leaves if isinstance(leaves, list) else list(leaves)
        return self.extend_rows(row)[0]

    def extend_rows(self, leaves: list[bytes]) -> tuple[Frontier, list[list[bytes]]]:
        """Return the grown frontier and, per height, the nodes this completed (height 0: leaves).

        Row h holds the perfect subtrees of 2^h leaves that end inside the new leaves; a log takes
        every eighth row as new hashes of its tiles. The lists must not be changed by the caller.
        """
        count = len(leaves)
        if count == 0:
            return self, []
        old = list(self.peaks)
        old_size = self.size
        rows = [leaves]
        peaks: list[bytes] = []
        row = leaves
        carry = old_size
        while row:
            waiting = [old.pop(), *row] if carry & 1 else row
            if len(waiting) & 1:
                peaks.append(waiting[-1])
            row = compute_parents(waiting)
            if row:
                rows.append(row)
            carry >>= 1
        return Frontier(old_size + count, (*old, *reversed(peaks))), rows

    def root(self) -> bytes:
        """Return the root of the tree (RFC 9162 section 2.1.1)."""
        peaks = self.peaks
        if not peaks:
            return EMPTY_ROOT
        node = peaks[-1]
        for peak in peaks[-2::-1]:
            node = _sha256(_NODE + peak + node).digest()
        return node


_EMPTY: Final = Frontier(0, ())


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
    fn, sn = index, size - 1
    node = leaf
    for sibling in proof:
        if sn == 0:
            _refuse(f"Inclusion proof: {len(proof)} hashes are too many for leaf {index} of {size}")
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            node = node_hash(node, sibling)
        fn >>= 1
        sn >>= 1
    if sn:
        _refuse(f"Inclusion proof: {len(proof)} hashes are too few for leaf {index} of {size}")
    return node


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
