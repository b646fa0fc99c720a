"""RFC 9162 section 2.1: the public vectors, a literal reading of the RFC, and mutants."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY_ROOT,
    SIZE_MAX,
    BackwardFrontier,
    Frontier,
    compute_root,
    consistency_proof,
    inclusion_proof,
    inclusion_proofs,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)
from ledger.refusal import Reason, Rejected

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "rfc9162"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="RFC 9162 vectors (../shared/vectors/rfc9162) are not here"
)
VECTOR_FILES = sorted(VECTORS.rglob("*.json"))

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


# The RFC's definitions, word for word, over leaf data already hashed.


def rfc_mth(d: list[bytes]) -> bytes:
    n = len(d)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return d[0]
    k = rfc_split(n)
    return hashlib.sha256(b"\x01" + rfc_mth(d[:k]) + rfc_mth(d[k:])).digest()


def rfc_split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def rfc_path(m: int, d: list[bytes]) -> list[bytes]:
    n = len(d)
    if n == 1:
        return []
    k = rfc_split(n)
    if m < k:
        return [*rfc_path(m, d[:k]), rfc_mth(d[k:])]
    return [*rfc_path(m - k, d[k:]), rfc_mth(d[:k])]


def rfc_proof(m: int, d: list[bytes]) -> list[bytes]:
    return rfc_subproof(m, d, True)


def rfc_subproof(m: int, d: list[bytes], b: bool) -> list[bytes]:
    n = len(d)
    if m == n:
        return [] if b else [rfc_mth(d)]
    k = rfc_split(n)
    if m <= k:
        return [*rfc_subproof(m, d[:k], b), rfc_mth(d[k:])]
    return [*rfc_subproof(m - k, d[k:], False), rfc_mth(d[:k])]


def refused(function: object, *arguments: object) -> str:
    with pytest.raises(Rejected) as caught:
        function(*arguments)  # type: ignore[operator]
    assert caught.value.reason == Reason.BAD_PROOF
    return caught.value.detail


def test_known_hashes() -> None:
    assert EMPTY_ROOT.hex().startswith("e3b0c442")
    assert EMPTY_ROOT.hex().endswith("b855")
    assert leaf_hash(b"").hex().startswith("6e340b9c")
    assert leaf_hash(b"L123456").hex().startswith("395aa064")
    left, right = leaf_hash(b"N123"), leaf_hash(b"N456")
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(len(LEAVES)))
def test_roots_and_proofs_are_the_rfcs(size: int) -> None:
    leaves = LEAVES[:size]
    root = compute_root(leaves)
    assert root == rfc_mth(leaves)
    for index in range(size):
        proof = inclusion_proof(LEAVES, index, size)
        assert proof == rfc_path(index, leaves)
        verify_inclusion(leaves[index], index, size, proof, root)
    for size1 in range(1, size + 1):
        proof = consistency_proof(LEAVES, size1, size)
        assert proof == rfc_proof(size1, leaves)
        verify_consistency(size1, size, proof, compute_root(LEAVES[:size1]), root)


@given(st.lists(st.binary(max_size=4).map(leaf_hash), max_size=300), st.data())
def test_a_frontier_grown_in_any_steps_has_the_trees_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    frontier = Frontier.empty()
    at = 0
    while at < len(leaves):
        step = data.draw(st.integers(0, len(leaves) - at))
        old = frontier
        if step == 0:
            frontier = frontier.append(leaves[at])
            at += 1
        else:
            frontier = frontier.extend(leaves[at : at + step])
            at += step
        assert old.root() == compute_root(leaves[: old.size])
    assert frontier.size == len(leaves)
    assert frontier.root() == compute_root(leaves)
    assert Frontier.from_peaks(frontier.size, frontier.peaks) == frontier


@pytest.mark.parametrize("count", [0, 1, 5, 31, 33, 64, 255])
def test_peaks_of_another_size_are_refused(count: int) -> None:
    with pytest.raises(Rejected) as caught:
        Frontier.from_peaks(7, bytes(count))
    assert caught.value.detail == (
        f"Frontier: {count} bytes of peaks do not belong to a tree of size 7"
    )


def test_a_doubled_last_leaf_has_another_root() -> None:
    for size in (1, 3, 5, 7):
        assert compute_root(LEAVES[:size]) != compute_root([*LEAVES[:size], LEAVES[size - 1]])


@given(st.integers(1, 40), st.data())
def test_every_mutant_of_an_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = compute_root(LEAVES[:size])
    leaf, proof = LEAVES[index], inclusion_proof(LEAVES, index, size)
    for at, node in enumerate(proof):
        flipped = bytes([node[0] ^ 1]) + node[1:]
        refused(verify_inclusion, leaf, index, size, [*proof[:at], flipped, *proof[at + 1 :]], root)
        refused(verify_inclusion, leaf, index, size, proof[:at], root)
        refused(verify_inclusion, leaf, index, size, [*proof[:at], root, *proof[at:]], root)
        swapped = list(proof)
        swapped[at - 1], swapped[at] = swapped[at], swapped[at - 1]
        if swapped != proof:
            refused(verify_inclusion, leaf, index, size, swapped, root)
    refused(verify_inclusion, leaf, index, size, [*proof, root], root)
    refused(verify_inclusion, leaf_hash(leaf), index, size, proof, root)
    refused(verify_inclusion, leaf, index, size, proof, leaf_hash(root))
    for other in range(size):
        if other != index:
            refused(verify_inclusion, leaf, other, size, proof, root)
    for bad_index, bad_size in ((-1, size), (size, size), (index, 0), (index, SIZE_MAX + 1)):
        refused(verify_inclusion, leaf, bad_index, bad_size, proof, root)


@given(st.integers(1, 40), st.data())
def test_every_mutant_of_a_consistency_proof_is_refused(size2: int, data: st.DataObject) -> None:
    size1 = data.draw(st.integers(1, size2))
    root1, root2 = compute_root(LEAVES[:size1]), compute_root(LEAVES[:size2])
    proof = consistency_proof(LEAVES, size1, size2)
    for at, node in enumerate(proof):
        flipped = node[:-1] + bytes([node[-1] ^ 0x80])
        mutant = [*proof[:at], flipped, *proof[at + 1 :]]
        refused(verify_consistency, size1, size2, mutant, root1, root2)
        refused(verify_consistency, size1, size2, proof[:at], root1, root2)
        refused(verify_consistency, size1, size2, [*proof[:at], root1, *proof[at:]], root1, root2)
    refused(verify_consistency, size1, size2, [*proof, root2], root1, root2)
    refused(verify_consistency, size1, size2, proof, leaf_hash(root1), root2)
    refused(verify_consistency, size1, size2, proof, root1, leaf_hash(root2))
    refused(verify_consistency, size2 + 1, size2, proof, root1, root2)
    if size1 != size2:
        refused(verify_consistency, size2, size1, proof, root1, root2)
        refused(verify_consistency, size1, size2, proof, root2, root1)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_a_proof_longer_than_its_place_is_refused_though_it_leads_to_the_root(size: int) -> None:
    more = leaf_hash(b"more")
    root = compute_root(LEAVES[:size])
    for index in range(size):
        proof = inclusion_proof(LEAVES, index, size)
        refused(verify_inclusion, LEAVES[index], index, size, [*proof, more], node_hash(more, root))
    for size1 in range(1, size):
        proof = consistency_proof(LEAVES, size1, size)
        roots = [node_hash(more, each) for each in (compute_root(LEAVES[:size1]), root)]
        refused(verify_consistency, size1, size, [*proof, more], *roots)


def test_whole_sentences() -> None:
    root = compute_root(LEAVES[:5])
    proof = inclusion_proof(LEAVES, 2, 5)
    assert refused(verify_inclusion, LEAVES[2], 5, 5, proof, root) == (
        "Inclusion proof: leaf 5 is not in a tree of size 5"
    )
    assert refused(verify_inclusion, LEAVES[2], 2, 5, proof[:-1], root) == (
        "Inclusion proof: 2 hashes are too few for leaf 2 of 5"
    )
    assert refused(verify_inclusion, LEAVES[2], 2, 5, [*proof, root], root) == (
        "Inclusion proof: 4 hashes are too many for leaf 2 of 5"
    )
    assert refused(verify_inclusion, LEAVES[2], 2, 5, [*proof[:2], b"x"], root) == (
        "Inclusion proof: a hash has 32 bytes, not 1"
    )
    assert refused(verify_inclusion, LEAVES[2], 2, 5, proof, bytes(32)) == (
        f"Inclusion proof: leaf 2 of 5 leads to root {root.hex()}, not to {'00' * 32}"
    )
    assert refused(verify_consistency, 0, 0, [], EMPTY_ROOT, EMPTY_ROOT) == (
        "Consistency proof: nothing leads from size 0 to size 0"
    )
    assert refused(verify_consistency, 3, 5, [], root, root) == (
        "Consistency proof: it is empty, from size 3 to size 5"
    )


def test_position_is_not_bound_without_the_size() -> None:
    """Why the checkpoint must stand beside a path: leaf 5 of 8 also reads as leaf 5 of 7."""
    root = compute_root(LEAVES[:8])
    proof = inclusion_proof(LEAVES, 5, 8)
    assert root_from_inclusion(LEAVES[5], 5, 7, proof) == root


@pytest.mark.parametrize("call", [(LEAVES, 70), (LEAVES, -1), (LEAVES, 3, 3), (LEAVES, 0, 71)])
def test_proofs_of_leaves_that_are_not_there_are_our_own_mistake(
    call: tuple[list[bytes], int],
) -> None:
    with pytest.raises(ValueError, match="leaves"):
        inclusion_proof(*call)


@needs_vectors
@pytest.mark.parametrize(
    "path", VECTOR_FILES, ids=[str(path.relative_to(VECTORS)) for path in VECTOR_FILES]
)
def test_public_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    raw = {
        name: base64.b64decode(value)
        for name, value in vector.items()
        if name in {"root", "leafHash", "root1", "root2"} and value is not None
    }
    proof = [base64.b64decode(node) for node in vector["proof"] or []]
    try:
        if "leafHash" in vector:
            verify_inclusion(
                raw["leafHash"], vector["leafIdx"], vector["treeSize"], proof, raw["root"]
            )
        else:
            verify_consistency(vector["size1"], vector["size2"], proof, raw["root1"], raw["root2"])
        reason = None
    except Rejected as rejected:
        reason = rejected.reason
    assert reason == (Reason.BAD_PROOF if vector["wantErr"] else None), vector["desc"]


@needs_vectors
def test_all_public_vectors_were_found() -> None:
    assert len(VECTOR_FILES) == 196


@pytest.mark.parametrize("size", [*range(1, 40), 100, 257])
def test_all_proofs_at_once_are_the_proofs_one_by_one(size: int) -> None:
    leaves = [leaf_hash(index.to_bytes(4, "big")) for index in range(size)]
    expected = [inclusion_proof(leaves, index) for index in range(size)]
    assert inclusion_proofs(leaves) == expected


@given(st.integers(0, 700))
def test_leaves_that_come_last_first_give_the_same_peaks(size: int) -> None:
    leaves = [leaf_hash(b"%d" % at) for at in range(size)]
    backward = BackwardFrontier(size)
    for at in range(size - 1, -1, -1):
        assert backward.left == at + 1
        backward.prepend(leaves[at])
    assert backward.peaks == Frontier.empty().extend(leaves).peaks
    with pytest.raises(ValueError, match="all leaves have come"):
        backward.prepend(bytes(32))
    if size > 1:
        exchanged = BackwardFrontier(size)
        for leaf in leaves:
            exchanged.prepend(leaf)
        assert exchanged.peaks != backward.peaks
