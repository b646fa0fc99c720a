"""Proofs of consecutive leaves: every range of small trees, and every way to spoil one."""

from __future__ import annotations

import pytest

from ledger.merkle import compute_root, inclusion_proof, leaf_hash
from ledger.merkle_range import range_proof, verify_range
from ledger.refusal import Reason, Rejected

LEAVES = [leaf_hash(bytes([at])) for at in range(21)]


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_range_is_proven_and_no_other_is(size: int) -> None:
    leaves = LEAVES[:size]
    root = compute_root(leaves)
    for begin in range(size):
        for end in range(begin + 1, size + 1):
            proof = range_proof(leaves, begin, end)
            verify_range(leaves[begin:end], begin, size, proof, root)
            if end - begin == 1:
                assert sorted(proof) == sorted(inclusion_proof(leaves, begin))
            spoilt = [
                (leaves[begin:end], begin + 1, size, proof),
                (leaves[begin:end], begin, size, [*proof, bytes(32)]),
                (leaves[begin : end - 1], begin, size, proof),
                ([*leaves[begin : end - 1], bytes(32)], begin, size, proof),
                (leaves[begin:end], begin, size, [bytes(32), *proof[1:]]),
            ]
            for claim in spoilt:
                with pytest.raises(Rejected) as refused:
                    verify_range(*claim, root)
                assert refused.value.reason is Reason.BAD_PROOF


def test_a_whole_tree_needs_no_proof_and_an_empty_one_has_no_range() -> None:
    assert range_proof(LEAVES, 0, 21) == []
    verify_range([], 0, 0, [], compute_root([]))
    with pytest.raises(Rejected, match="no leaves from 0 on prove nothing about a tree of 3"):
        verify_range([], 0, 3, [], compute_root(LEAVES[:3]))
    with pytest.raises(ValueError, match=r"\[2, 2\) is no range of a tree of 21 leaves"):
        range_proof(LEAVES, 2, 2)


def test_sentences() -> None:
    root = compute_root(LEAVES)
    proof = range_proof(LEAVES, 3, 7)
    with pytest.raises(Rejected) as refused:
        verify_range(LEAVES[3:7], 3, 21, proof[1:], root)
    assert refused.value.detail == (
        f"Range proof: {len(proof) - 1} hashes are too few for [3, 7) of 21"
    )
    with pytest.raises(Rejected) as refused:
        verify_range(LEAVES[3:7], 20, 21, proof, root)
    assert refused.value.detail == "Range proof: 4 leaves from 20 on are not in a tree of 21"
