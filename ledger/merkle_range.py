"""Proof that consecutive leaves stand at their positions in a tree of RFC 9162 section 2.1.

The proof of the leaves `[begin, end)` is the roots of the largest subtrees that hold none of them,
from left to right. Of all leaves it is empty (the root is counted again), of one leaf it has the
hashes of its inclusion path. A range, a tree and their proof belong together in one way only: the
proof has exactly the hashes that the walk asks for. The tree's size is not proven by it, as it is
not by an inclusion proof: it stands beside the root in what is trusted. This module does not know
what a leaf means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from ledger.merkle import EMPTY_ROOT, compute_root, node_hash
from ledger.refusal import Reason, Rejected


def range_proof(leaf_hashes: Sequence[bytes], begin: int, end: int) -> list[bytes]:
    """Return the proof of `[begin, end)` in the tree over these leaf hashes."""
    if not 0 <= begin < end <= len(leaf_hashes):
        raise ValueError(f"[{begin}, {end}) is no range of a tree of {len(leaf_hashes)} leaves")
    return [
        compute_root(leaf_hashes[low:high])
        for low, high in _outside(begin, end, 0, len(leaf_hashes))
    ]


def root_from_range(
    leaves: Sequence[bytes], begin: int, size: int, proof: Sequence[bytes]
) -> bytes:
    """Return the root that these leaf hashes from position `begin` lead to.

    Raises `Rejected`(BAD_PROOF) unless the proof has exactly the hashes this range asks for. A tree
    without leaves has the empty range alone.
    """
    end = begin + len(leaves)
    if not leaves:
        if begin or size or proof:
            _refuse(f"Range proof: no leaves from {begin} on prove nothing about a tree of {size}")
        return EMPTY_ROOT
    if not 0 <= begin < end <= size:
        _refuse(f"Range proof: {len(leaves)} leaves from {begin} on are not in a tree of {size}")
    wanted = sum(1 for _ in _outside(begin, end, 0, size))
    if len(proof) != wanted:
        much = "many" if len(proof) > wanted else "few"
        _refuse(f"Range proof: {len(proof)} hashes are too {much} for [{begin}, {end}) of {size}")
    hashes = iter(proof)

    def root_of(low: int, high: int) -> bytes:
        if high <= begin or low >= end:
            return next(hashes)
        if begin <= low and high <= end:
            return compute_root(leaves[low - begin : high - begin])
        middle = low + _split(high - low)
        left = root_of(low, middle)
        return node_hash(left, root_of(middle, high))

    return root_of(0, size)


def verify_range(
    leaves: Sequence[bytes], begin: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise `Rejected`(BAD_PROOF) unless these leaves stand from `begin` on in the tree."""
    reached = root_from_range(leaves, begin, size, proof)
    if reached != root:
        _refuse(
            f"Range proof: [{begin}, {begin + len(leaves)}) of {size} leads to root "
            f"{reached.hex()}, not to {root.hex()}"
        )


def _outside(begin: int, end: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield the largest subtrees `[low, high)` that hold no leaf of `[begin, end)`."""
    if high <= begin or low >= end:
        yield low, high
    elif not (begin <= low and high <= end):
        middle = low + _split(high - low)
        yield from _outside(begin, end, low, middle)
        yield from _outside(begin, end, middle, high)


def _split(count: int) -> int:
    """Return the largest power of two below `count` (RFC 9162 section 2.1.1)."""
    return 1 << (count - 1).bit_length() - 1


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_PROOF, detail)
