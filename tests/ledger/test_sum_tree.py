"""The sum tree against its definition written plainly, and everything that must not verify."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.refusal import Rejected
from ledger.sum_tree import (
    AMOUNT_MAX,
    EMPTY,
    NOTHING,
    SIZE_MAX,
    SumFrontier,
    SumNode,
    SumTotal,
    SumTree,
    compute_leaf,
    compute_total,
    decode_node,
    encode_node,
    fold_sum_path,
    verify_claim,
)

Claim = tuple[bytes, int, int]
TAG = b"evidence-ledger/v1/sum-"


def plain_total(claims: list[Claim]) -> SumTotal:
    top = plain_top(claims) if claims else SumNode(bytes(32), 0, 0)
    data = len(claims).to_bytes(8, "big") + top.hash
    data += top.locked.to_bytes(8, "big") + top.owed.to_bytes(8, "big")
    return SumTotal(hashlib.sha256(TAG + b"total\0" + data).digest(), len(claims), *top[1:])


def plain_top(claims: list[Claim]) -> SumNode:
    """The definition: split at the largest power of two below the size."""
    if len(claims) == 1:
        name, locked, owed = claims[0]
        data = name + locked.to_bytes(8, "big") + owed.to_bytes(8, "big")
        return SumNode(hashlib.sha256(TAG + b"leaf\0" + data).digest(), locked, owed)
    middle = 1
    while middle * 2 < len(claims):
        middle *= 2
    left, right = plain_top(claims[:middle]), plain_top(claims[middle:])
    data = b"".join(
        [
            node.hash + node.locked.to_bytes(8, "big") + node.owed.to_bytes(8, "big")
            for node in (left, right)
        ]
    )
    return SumNode(
        hashlib.sha256(TAG + b"node\0" + data).digest(),
        left.locked + right.locked,
        left.owed + right.owed,
    )


def claims_of(count: int, seed: int = 7) -> list[Claim]:
    chance = random.Random(seed)
    return [
        (chance.randbytes(32), chance.randrange(10**7), chance.choice([0, chance.randrange(10**6)]))
        for _ in range(count)
    ]


def tree_of(claims: list[Claim]) -> SumTree:
    return SumTree([compute_leaf(*claim) for claim in claims])


amounts = st.integers(0, AMOUNT_MAX // 64)
some_claims = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), amounts, amounts), max_size=40
)


def test_the_empty_tree_has_a_root_and_nothing_to_prove() -> None:
    assert SumTree().total == EMPTY == plain_total([])
    with pytest.raises(IndexError):
        SumTree().prove(0)


@given(some_claims)
def test_the_root_is_the_definitions_and_its_totals_are_the_sums(claims: list[Claim]) -> None:
    tree = tree_of(claims)
    assert tree.total == plain_total(claims)
    assert tree.total.locked == sum(locked for _, locked, _ in claims)
    assert tree.total.owed == sum(owed for _, _, owed in claims)


@given(some_claims)
def test_every_claim_is_proven_in_its_place(claims: list[Claim]) -> None:
    tree = tree_of(claims)
    for index, claim in enumerate(claims):
        verify_claim(tree.total, index, compute_leaf(*claim), tree.prove(index))


@given(some_claims, st.data())
def test_planning_and_applying_is_building_anew(claims: list[Claim], data: st.DataObject) -> None:
    """Any leaves may change and any number may follow; a plan that is dropped leaves no trace."""
    tree = tree_of(claims)
    places = data.draw(st.lists(st.sampled_from(range(len(claims)))) if claims else st.just([]))
    further = data.draw(some_claims)
    changed = list(claims)
    for place in places:
        changed[place] = (claims[place][0], data.draw(amounts), data.draw(amounts))
    changed += further
    changes = {
        at: compute_leaf(*changed[at]) for at in {*places, *range(len(claims), len(changed))}
    }
    before = tree.total
    update = tree.plan(changes)
    assert tree.total == before
    assert tree.size == len(claims)
    assert update.total == plain_total(changed)
    tree.apply(update)
    assert tree.total == update.total
    assert [tree.leaf(at) for at in range(tree.size)] == [compute_leaf(*each) for each in changed]
    for index, claim in enumerate(changed):
        verify_claim(tree.total, index, compute_leaf(*claim), tree.prove(index))


def test_a_gap_is_our_mistake() -> None:
    tree = tree_of(claims_of(3))
    with pytest.raises(ValueError) as caught:
        tree.plan({4: compute_leaf(bytes(32), 1, 1)})
    assert str(caught.value) == "leaves 3 to 4 are not all given"


# What must not verify


def flip(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_no_single_bit_may_differ(size: int) -> None:
    claims = claims_of(size)
    tree = tree_of(claims)
    total = tree.total
    for index in {0, size // 2, size - 1}:
        leaf, path = tree.leaf(index), tree.prove(index)
        for bit in range(len(leaf) * 8):
            with pytest.raises(Rejected):
                verify_claim(total, index, flip(leaf, bit), path)
        for at, node in enumerate(path):
            for bit in range(len(node) * 8):
                spoilt = [*path[:at], flip(node, bit), *path[at + 1 :]]
                with pytest.raises(Rejected):
                    verify_claim(total, index, leaf, spoilt)
        for bit in range(256):
            with pytest.raises(Rejected):
                verify_claim(total._replace(hash=flip(total.hash, bit)), index, leaf, path)


Spoil = Callable[[dict[str, Any]], None]


def put(**changes: Any) -> Spoil:
    return lambda case: case.update(changes)


def totals(size: int = 0, locked: int = 0, owed: int = 0) -> Spoil:
    def spoil(case: dict[str, Any]) -> None:
        total = case["total"]
        case["total"] = SumTotal(
            total.hash, total.size + size, total.locked + locked, total.owed + owed
        )

    return spoil


def path(change: Callable[[list[bytes]], list[bytes]]) -> Spoil:
    return lambda case: case.update(path=change(list(case["path"])))


def move_between_amounts(case: dict[str, Any]) -> None:
    """One fen from locked to owed of a sibling: Maxwell's tree would not notice one sum."""
    node = decode_node(case["path"][0])
    case["path"] = [
        encode_node(SumNode(node.hash, node.locked - 1, node.owed + 1)), *case["path"][1:]
    ]  # fmt: skip


def hide_a_sibling(case: dict[str, Any]) -> None:
    """The attack of ePrint 2018/1139: a sibling with its hash and no amounts."""
    node = decode_node(case["path"][1])
    case["path"] = [case["path"][0], encode_node(SumNode(node.hash, 0, 0)), *case["path"][2:]]
    totals(0, -node.locked, -node.owed)(case)


def swap_amounts(case: dict[str, Any]) -> None:
    node = decode_node(case["leaf"])
    case["leaf"] = encode_node(SumNode(node.hash, node.owed, node.locked))


MUTATIONS: dict[str, Spoil] = {
    "the place before": put(index=4),
    "the place after": put(index=6),
    "the first place": put(index=0),
    "a place outside": put(index=11),
    "a place below 0": put(index=-1),
    "one claim fewer": totals(-1),
    "one claim more": totals(1),
    "a smaller tree": totals(-5),
    "a larger tree": totals(1013),
    "no claims at all": totals(-11),
    "more than may be": totals(SIZE_MAX),
    "a node dropped at the leaf": path(lambda nodes: nodes[1:]),
    "a node dropped at the root": path(lambda nodes: nodes[:-1]),
    "no path": path(lambda nodes: []),
    "a node twice": path(lambda nodes: [nodes[0], *nodes]),
    "a node added at the root": path(lambda nodes: [*nodes, nodes[-1]]),
    "an empty tree's node added": path(lambda nodes: [*nodes, encode_node(NOTHING)]),
    "two nodes exchanged": path(lambda nodes: [nodes[1], nodes[0], *nodes[2:]]),
    "the path from the root down": path(lambda nodes: nodes[::-1]),
    "a truncated node": path(lambda nodes: [nodes[0][:-1], *nodes[1:]]),
    "a node with a byte more": path(lambda nodes: [nodes[0] + b"\0", *nodes[1:]]),
    "a hash without amounts": path(lambda nodes: [nodes[0][:32], *nodes[1:]]),
    "a boundary shifted": path(lambda nodes: [nodes[0] + nodes[1][:1], nodes[1][1:], *nodes[2:]]),
    "a sibling above the bound": path(lambda nodes: [nodes[0][:32] + b"\xff" * 16, *nodes[1:]]),
    "one fen less locked in all": totals(locked=-1),
    "one fen more locked in all": totals(locked=1),
    "one fen less owed in all": totals(owed=-1),
    "one fen moved in the totals": totals(locked=-1, owed=1),
    "one fen moved in a sibling": move_between_amounts,
    "a sibling without amounts": hide_a_sibling,
    "the leaf's amounts exchanged": swap_amounts,
    "another claim's leaf": lambda case: case.update(leaf=case["tree"].leaf(6)),
    "an inner node as the leaf": lambda case: case.update(leaf=case["path"][2]),
    "the leaf of another name": put(leaf=compute_leaf(bytes(32), 1, 1)),
    "the root of another tree": put(total=plain_total(claims_of(11, seed=8))),
}


def test_there_are_enough_mutations() -> None:
    assert len(MUTATIONS) >= 30


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_proof_is_refused(name: str) -> None:
    tree = tree_of(claims_of(11))
    case: dict[str, Any] = {
        "index": 5, "leaf": tree.leaf(5), "path": tree.prove(5), "total": tree.total,
        "tree": tree,
    }  # fmt: skip
    verify_claim(case["total"], case["index"], case["leaf"], case["path"])
    MUTATIONS[name](case)
    with pytest.raises(Rejected):
        verify_claim(case["total"], case["index"], case["leaf"], case["path"])


LEAF = compute_leaf(bytes(32), 2, 1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: compute_leaf(bytes(32), -1, 0),
            "bad_field: Sum tree: locked -1 is not between 0 and 9007199254740991",
        ),
        (
            lambda: compute_leaf(bytes(32), 0, 2**53),
            "bad_field: Sum tree: owed 9007199254740992 is not between 0 and 9007199254740991",
        ),
        (
            lambda: compute_leaf(bytes(31), 0, 0),
            "bad_field: Sum tree: a name has 32 bytes, not 31",
        ),
        (
            lambda: SumTree([compute_leaf(bytes(32), AMOUNT_MAX, 0)] * 2),
            "bad_field: Sum tree: locked 18014398509481982 is not between 0 and 9007199254740991",
        ),
        (
            lambda: SumTree([compute_leaf(bytes(32), 0, AMOUNT_MAX)] * 2),
            "bad_field: Sum tree: owed 18014398509481982 is not between 0 and 9007199254740991",
        ),
        (lambda: decode_node(bytes(47)), "malformed: Sum tree: a node has 48 bytes, not 47"),
        (
            lambda: fold_sum_path(compute_leaf(bytes(32), 1, 1), 3, 3, []),
            "bad_proof: Sum tree: leaf 3 is not in a tree of 3 leaves",
        ),
        (
            lambda: fold_sum_path(compute_leaf(bytes(32), 1, 1), 0, 3, []),
            "bad_proof: Sum tree: a path of 0 nodes is too short for its place in 3 leaves",
        ),
        (
            lambda: fold_sum_path(compute_leaf(bytes(32), 1, 1), 0, 1, [encode_node(NOTHING)]),
            "bad_proof: Sum tree: a path of 1 nodes is too long for its place in 1 leaves",
        ),
        (
            lambda: verify_claim(EMPTY._replace(size=1), 0, LEAF, []),
            (
                f"bad_proof: Sum tree: leaf 0 of 1 leads to {SumTree([LEAF]).total.hash.hex()} "
                f"with locked 2 and owed 1, not to {EMPTY.hash.hex()} with locked 0 and owed 0"
            ),
        ),
    ],
)  # fmt: skip
def test_the_whole_sentence(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(Rejected) as caught:
        call()
    assert str(caught.value) == sentence


def test_an_amount_below_zero_takes_nothing_off_whatever_the_root() -> None:
    """2^64 − 5 is −5 to whoever adds in 64 bits: a merchant would owe its customers less."""
    leaf = compute_leaf(bytes(32), 0, 5)
    beside = bytes(32) + bytes(8) + (2**64 - 5).to_bytes(8, "big")
    total = int.from_bytes(leaf[32:], "big") + int.from_bytes(beside[32:], "big")
    digest = hashlib.sha256(b"evidence-ledger/v1/sum-node\0" + leaf + beside).digest()
    top = SumNode(digest, total >> 64, total & 2**64 - 1)
    assert (top.locked, top.owed) == (1, 0)
    with pytest.raises(Rejected) as caught:
        verify_claim(compute_total(2, top), 0, leaf, [beside])
    assert str(caught.value) == (
        f"bad_field: Sum tree: owed {2**64 - 5} is not between 0 and {AMOUNT_MAX}"
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_no_claim_stands_behind_the_last_one(size: int) -> None:
    """The walk of a place that is not there may end at the right root: of one leaf it does."""
    tree = SumTree([compute_leaf(bytes([at]) * 32, at, 1) for at in range(size)])
    path = tree.prove(size - 1)
    for beyond in (size, size + 1, 2 * size):
        with pytest.raises(Rejected) as caught:
            verify_claim(tree.total, beyond, tree.leaf(size - 1), path)
        assert str(caught.value) == (
            f"bad_proof: Sum tree: leaf {beyond} is not in a tree of {size} leaves"
        )


def test_sums_may_reach_the_bound_and_not_pass_it() -> None:
    tree = SumTree([compute_leaf(bytes(32), AMOUNT_MAX - 1, 1), compute_leaf(bytes(32), 1, 0)])
    assert tree.total.locked == AMOUNT_MAX
    with pytest.raises(Rejected):
        tree.plan({1: compute_leaf(bytes(32), 2, 0)})


@pytest.mark.parametrize("count", range(18))
def test_leaves_one_after_another_give_the_total_of_the_tree(count: int) -> None:
    leaves = [compute_leaf(bytes([at]) * 32, at, 2 * at) for at in range(count)]
    frontier = SumFrontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert frontier.total == SumTree(leaves).total
