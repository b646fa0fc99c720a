"""Proofs of presence and absence in the state tree, and their verification.

The tree is a compact binary sparse Merkle tree over 256-bit key hashes, most significant bit
first: a leaf is SHA-256(00 ‖ key hash ‖ value hash), a node SHA-256(01 ‖ left ‖ right), a subtree
with one leaf is that leaf, and an empty one is 32 zero bytes. A walk along the key's bits ends at
the key's own leaf (presence), at another key's leaf, or at an empty subtree (both absence). A proof
is the depth where it ends and the siblings met on the way, empty ones only as a bit; there is one
proof for each key and tree. This module does not know how the tree is stored (`ledger.state_tree`).
"""

from __future__ import annotations

from typing import NoReturn

from ledger.hashing import HASH_BYTES, ZERO_HASH
from ledger.kernel import KEY_BITS, leaf_hash, node_hash
from ledger.refusal import Reason, Rejected
from ledger.value_class import value_class


@value_class
class StateProof:
    """Where the walk along a key ends, and what stands beside it."""

    depth: int
    """Number of nodes above the place where the walk ends."""
    bitmap: bytes
    """Bit i, most significant first: whether the sibling below node i is not empty."""
    siblings: tuple[bytes, ...]
    """The siblings that are not empty, from the root downward."""
    other: tuple[bytes, bytes] | None
    """(key hash, value hash) of the other key's leaf that the walk ends at, if it does."""


def compute_leaf_hash(key_hash: bytes, value_hash: bytes) -> bytes:
    """Return the hash of one key's leaf."""
    return leaf_hash(key_hash + value_hash)


def check_state_proof(proof: StateProof) -> None:
    """Refuse a proof that has another spelling; raise `Rejected`(BAD_PROOF)."""
    if not 0 <= proof.depth <= KEY_BITS:
        _refuse(f"depth {proof.depth} is not between 0 and {KEY_BITS}")
    if len(proof.bitmap) != (proof.depth + 7) // 8:
        _refuse(f"{len(proof.bitmap)} bytes of bitmap do not belong to depth {proof.depth}")
    bits = int.from_bytes(proof.bitmap, "big")
    padding = -proof.depth % 8
    if bits & ((1 << padding) - 1):
        _refuse(f"the bitmap {proof.bitmap.hex()} has bits below depth {proof.depth}")
    if bits.bit_count() != len(proof.siblings):
        _refuse(
            f"{len(proof.siblings)} siblings do not match the {bits.bit_count()} bits "
            f"of bitmap {proof.bitmap.hex()}"
        )
    for sibling in proof.siblings:
        if len(sibling) != HASH_BYTES or sibling == ZERO_HASH:
            _refuse(f"{sibling.hex()!r} is not the hash of a sibling that is not empty")
    # A subtree of fewer than two leaves is not a node, so the last sibling cannot be empty.
    if proof.depth and not bits >> padding & 1:
        _refuse(f"the sibling at depth {proof.depth} is empty, so the walk ends above it")
    if proof.other is not None and not all(len(part) == HASH_BYTES for part in proof.other):
        _refuse("the other leaf is not a key hash and a value hash")


def verify_state_proof(
    root: bytes, key_hash: bytes, value_hash: bytes | None, proof: StateProof
) -> None:
    """Check that the tree maps the key to this value, or to none; raise `Rejected`(BAD_PROOF)."""
    check_state_proof(proof)
    if len(key_hash) != HASH_BYTES or len(root) != HASH_BYTES:
        _refuse(f"key {key_hash.hex()!r} or root {root.hex()!r} is not a hash")
    if value_hash is not None:
        if proof.other is not None:
            _refuse(f"key {key_hash.hex()} is claimed present beside another leaf")
        if len(value_hash) != HASH_BYTES:
            _refuse(f"value {value_hash.hex()!r} is not a hash")
        node = compute_leaf_hash(key_hash, value_hash)
    elif proof.other is None:
        node = ZERO_HASH
    else:
        shared = count_shared_bits(key_hash, proof.other[0])
        if shared == KEY_BITS or shared < proof.depth:
            _refuse(
                f"the leaf of {proof.other[0].hex()} shares {shared} bits with "
                f"{key_hash.hex()} and cannot stand at depth {proof.depth} on its way"
            )
        node = compute_leaf_hash(*proof.other)
    reached = fold_state_proof(key_hash, node, proof)
    if reached != root:
        claim = "absent" if value_hash is None else f"{value_hash.hex()}"
        _refuse(
            f"key {key_hash.hex()} as {claim} leads to root {reached.hex()}, not to {root.hex()}"
        )


def fold_state_proof(key_hash: bytes, node: bytes, proof: StateProof) -> bytes:
    """Return the root over `node` at the proof's depth on the way of `key_hash`."""
    key = int.from_bytes(key_hash, "big") >> (KEY_BITS - proof.depth)
    bits = int.from_bytes(proof.bitmap, "big") >> (-proof.depth % 8)
    siblings = list(proof.siblings)
    for _ in range(proof.depth):
        sibling = siblings.pop() if bits & 1 else ZERO_HASH
        if key & 1:
            node = node_hash(sibling, node)
        else:
            node = node_hash(node, sibling)
        key >>= 1
        bits >>= 1
    return node


def count_shared_bits(left: bytes, right: bytes) -> int:
    """Return how many leading bits two hashes share."""
    difference = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return KEY_BITS - difference.bit_length()


def _refuse(detail: str) -> NoReturn:
    raise Rejected(Reason.BAD_PROOF, f"State proof: {detail}")
