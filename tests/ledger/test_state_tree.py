"""The state tree against a plain recursive twin, on random and on ground keys."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.refusal import Reason, Rejected
from ledger.state_bucket import LEAF_COUNT_MAX, StateDamagedError
from ledger.state_proof import (
    StateProof,
    compute_leaf_hash,
    fold_state_proof,
    verify_state_proof,
)
from ledger.state_tree import (
    TOP_DEPTH,
    StateTree,
    TreeUpdate,
    decode_state_proof,
    encode_state_proof,
)

ZERO = bytes(32)


def twin_root(pairs: dict[bytes, bytes], depth: int = 0) -> bytes:
    """The definition of the commitment, word for word."""
    if not pairs:
        return ZERO
    if len(pairs) == 1:
        ((key, value),) = pairs.items()
        return hashlib.sha256(b"\x00" + key + value).digest()
    left = {key: value for key, value in pairs.items() if not twin_bit(key, depth)}
    right = {key: value for key, value in pairs.items() if twin_bit(key, depth)}
    return hashlib.sha256(
        b"\x01" + twin_root(left, depth + 1) + twin_root(right, depth + 1)
    ).digest()


def twin_bit(key: bytes, depth: int) -> int:
    return key[depth // 8] >> (7 - depth % 8) & 1


def digest(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


class World:
    """A tree with its storage, and the plain map beside it."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.tree = StateTree(self.stored.get)
        self.pairs: dict[bytes, bytes] = {}

    def commit(self, updates: dict[bytes, bytes]) -> TreeUpdate:
        update = self.tree.plan(updates)
        for name, record in update.buckets:
            assert record is not None
            self.stored[name] = record
        self.tree.apply(update)
        self.pairs.update(updates)
        assert self.tree.root == update.root
        return update


def ground_keys(prefix_bits: int, count: int, seed: int = 1) -> list[bytes]:
    """Different keys that share their first bits, as if somebody had ground for them."""
    chance = random.Random(seed)
    prefix = chance.getrandbits(prefix_bits) << (256 - prefix_bits) if prefix_bits else 0
    tails: set[int] = set()
    while len(tails) < count:
        tails.add(chance.getrandbits(256 - prefix_bits))
    return [(prefix | tail).to_bytes(32, "big") for tail in sorted(tails)]


keys_strategy = st.builds(
    lambda bits, number: ((0xA5 << 248 >> (256 - bits) << (256 - bits)) | number).to_bytes(
        32, "big"
    ),
    st.sampled_from([0, 3, 17, 18, 19, 22, 31, 100, 250, 252, 254]),
    st.integers(0, 7),
)
maps_strategy = st.dictionaries(
    st.one_of(keys_strategy, st.integers(0, 999).map(digest)),
    st.integers(0, 99).map(digest),
    max_size=80,
)


@given(st.lists(maps_strategy, max_size=4), st.lists(keys_strategy, max_size=5))
def test_roots_and_proofs_are_the_twins(
    steps: list[dict[bytes, bytes]], strangers: list[bytes]
) -> None:
    world = World()
    assert world.tree.root == ZERO
    for updates in steps:
        world.commit(updates)
        assert world.tree.root == twin_root(world.pairs)
    for key in [*world.pairs, *strangers, digest("nobody")]:
        proof = world.tree.prove(key)
        verify_state_proof(world.tree.root, key, world.pairs.get(key), proof)
        assert decode_state_proof(encode_state_proof(proof)) == proof


@pytest.mark.parametrize("prefix_bits", [0, 12, 18, 20, 22, 30, 61, 200, 246])
def test_ground_keys(prefix_bits: int) -> None:
    """Names chosen so that all keys fall into one bucket: same root, bounded records."""
    world = World()
    keys = ground_keys(prefix_bits, 300)
    chance = random.Random(prefix_bits)
    honest = {digest(number): digest(-number) for number in range(50)}
    world.commit(honest)
    for start in range(0, 300, 60):
        world.commit({key: digest(chance.random()) for key in keys[start : start + 60]})
        assert world.tree.root == twin_root(world.pairs)
    world.commit({keys[7]: digest("new"), keys[299]: digest("newer")})
    assert world.tree.root == twin_root(world.pairs)
    longest = max(len(record) for record in world.stored.values())
    assert longest <= 1 + 64 * LEAF_COUNT_MAX
    for key in [*keys[::9], digest(3), digest("nobody"), bytes(32), b"\xff" * 32]:
        proof = world.tree.prove(key)
        verify_state_proof(world.tree.root, key, world.pairs.get(key), proof)
    near = (int.from_bytes(keys[0], "big") ^ 1).to_bytes(32, "big")
    verify_state_proof(world.tree.root, near, world.pairs.get(near), world.tree.prove(near))
    rebuilt = StateTree.rebuild(reversed(world.stored.items()), world.stored.get)
    assert rebuilt.root == world.tree.root
    assert rebuilt.prove(keys[5]) == world.tree.prove(keys[5])


def test_one_update_of_a_ground_bucket_reads_and_writes_little() -> None:
    world = World()
    keys = ground_keys(TOP_DEPTH, 5_000)
    world.commit({key: digest(key) for key in keys})
    reads: list[bytes] = []

    def read(name: bytes) -> bytes | None:
        reads.append(name)
        return world.stored.get(name)

    tree = StateTree.rebuild(world.stored.items(), read)
    update = tree.plan({keys[2_500]: digest("new")})
    assert len(reads) == len(update.buckets) <= 4
    assert sum(len(record or b"") for _, record in update.buckets) < 4_000


def test_a_second_key_of_a_bucket_stands_beside_the_first() -> None:
    world = World()
    for number in (0, 1, 2, 1):
        world.commit({bytes(31) + bytes([number]): digest(number + len(world.pairs))})
        assert world.tree.root == twin_root(world.pairs)
    assert len(world.pairs) == 3


def test_a_key_that_is_alone_is_changed_without_reading_its_bucket() -> None:
    """Put there by an update or read at a start: nearly every key of a tree is alone."""

    def refuse(name: bytes) -> bytes | None:
        raise AssertionError(name.hex())

    world = World()
    keys = [bytes([number]) + bytes(31) for number in range(64)]
    world.commit({key: digest(key) for key in keys})
    for tree in (world.tree, StateTree.rebuild(world.stored.items(), refuse)):
        tree._read_bucket = refuse
        for again in "xy":
            update = tree.plan({key: digest(again) for key in keys})
            assert update.root == twin_root(dict.fromkeys(keys, digest(again)))
            tree.apply(update)
        beside = keys[7][:31] + b"\x01"
        with pytest.raises(AssertionError, match=update.buckets[7][0].hex()):
            tree.plan({beside: digest("z")})


def test_the_order_and_grouping_of_updates_do_not_matter() -> None:
    pairs = {digest(number): digest(-number) for number in range(400)}
    pairs.update({key: digest(key) for key in ground_keys(24, 100)})
    whole = World()
    whole.commit(pairs)
    shuffled = list(pairs.items())
    random.Random(3).shuffle(shuffled)
    stepped = World()
    for start in range(0, len(shuffled), 37):
        stepped.commit(dict(shuffled[start : start + 37]))
    assert stepped.tree.root == whole.tree.root == twin_root(pairs)
    assert stepped.stored == whole.stored
    backwards = World()
    backwards.commit(dict(reversed(shuffled)))
    assert list(backwards.stored.items()) == list(whole.stored.items())


def test_a_plan_leaves_no_trace() -> None:
    world = World()
    world.commit({digest(number): digest(-number) for number in range(200)})
    before, stored = world.tree.root, dict(world.stored)
    proof = world.tree.prove(digest(5))
    abandoned = world.tree.plan({digest(5): digest("x"), digest("new"): digest("y")})
    assert abandoned.root != before
    assert world.tree.root == before
    assert world.stored == stored
    assert world.tree.prove(digest(5)) == proof
    first = world.tree.plan({digest(6): digest("a")})
    assert world.tree.plan({digest(6): digest("a")}) == first
    world.commit({digest(7): digest("b")})
    with pytest.raises(ValueError, match="does not apply to") as caught:
        world.tree.apply(first)
    assert str(caught.value) == (
        f"an update planned on root {before.hex()} does not apply to {world.tree.root.hex()}"
    )


def test_an_empty_plan_is_the_same_root() -> None:
    world = World()
    assert world.tree.plan({}).root == ZERO
    world.commit({digest(1): digest(2)})
    update = world.tree.plan({})
    assert (update.root, update.buckets) == (world.tree.root, [])
    world.tree.apply(update)
    assert world.tree.root == twin_root(world.pairs)


def test_hashes_of_another_length_are_our_own_mistake() -> None:
    for updates in ({b"short": digest(1)}, {digest(1): b"short"}):
        with pytest.raises(ValueError, match=r"hashes of the state tree have lengths \[5, 32\]"):
            World().tree.plan(updates)


def test_rebuild_reports_progress() -> None:
    world = World()
    world.commit({number.to_bytes(4, "big") + bytes(28): digest(number) for number in range(64)})
    wide = {(number << 14).to_bytes(4, "big") + bytes(28): ZERO for number in range(70_000)}
    world.commit(wide)
    seen: list[int] = []
    tree = StateTree.rebuild(world.stored.items(), world.stored.get, seen.append)
    assert tree.root == world.tree.root
    assert seen == [65_536]


def test_damage_is_said_and_never_proved() -> None:
    world = World()
    keys = ground_keys(20, 200)
    world.commit({key: digest(key) for key in keys})
    world.commit({digest(number): digest(-number) for number in range(100)})
    root = world.tree.root
    for name, record in list(world.stored.items()):
        for at in {0, 1, len(record) // 2, len(record) - 1}:
            world.stored[name] = record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]
            try:
                rebuilt = StateTree.rebuild(world.stored.items(), world.stored.get)
            except StateDamagedError:
                pass
            else:
                assert rebuilt.root != root
        world.stored[name] = record
    deepest = max(world.stored)
    lost = world.stored.pop(deepest)
    with pytest.raises(StateDamagedError, match=f"bucket {deepest.hex()} is not what its parent"):
        StateTree.rebuild(world.stored.items(), world.stored.get)
    key = lost[1:33]
    with pytest.raises(StateDamagedError, match=f"bucket {deepest.hex()} is missing"):
        world.tree.plan({key: digest("x")})
    world.stored[deepest] = lost[:33] + digest("forged") + lost[65:]
    with pytest.raises(StateDamagedError, match="give another root"):
        world.tree.prove(key)


def refused(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> str:
    with pytest.raises(Rejected) as caught:
        verify_state_proof(root, key, value, proof)
    assert caught.value.reason == Reason.BAD_PROOF
    return caught.value.detail


def make_world() -> World:
    world = World()
    world.commit({digest(number): digest(-number) for number in range(60)})
    world.commit({key: digest(key) for key in ground_keys(40, 50)})
    return world


@pytest.mark.parametrize(
    "key", [digest(5), ground_keys(40, 50)[20], digest("absent"), digest("also absent")]
)
def test_every_mutant_of_a_state_proof_is_refused(key: bytes) -> None:
    world = make_world()
    root, value, proof = world.tree.root, world.pairs.get(key), world.tree.prove(key)
    verify_state_proof(root, key, value, proof)
    if value is None:
        refused(root, key, digest("claimed"), proof)
    else:
        refused(root, key, None, proof)
        refused(root, key, digest("other"), proof)
        refused(root, key, value[:31], proof)
        refused(root, key, value, replace(proof, other=(digest(1), digest(-1))))
        refused(root, key, None, replace(proof, other=(key, value)))
    refused(digest(root), key, value, proof)
    refused(root, key[:31], value, proof)
    refused(root, bytes([key[0] ^ 128]) + key[1:], value, proof)
    for at, sibling in enumerate(proof.siblings):
        for changed in (bytes([sibling[0] ^ 1]) + sibling[1:], ZERO, sibling[:31], sibling + b"x"):
            siblings = (*proof.siblings[:at], changed, *proof.siblings[at + 1 :])
            refused(root, key, value, replace(proof, siblings=siblings))
        less = proof.siblings[:at] + proof.siblings[at + 1 :]
        refused(root, key, value, replace(proof, siblings=less))
    refused(root, key, value, replace(proof, siblings=(*proof.siblings, root)))
    refused(root, key, value, replace(proof, siblings=(root, *proof.siblings)))
    for bit in range(8 * len(proof.bitmap)):
        flipped = int.from_bytes(proof.bitmap, "big") ^ 1 << bit
        bitmap = flipped.to_bytes(len(proof.bitmap), "big")
        refused(root, key, value, replace(proof, bitmap=bitmap))
    for depth in (-1, proof.depth - 1, proof.depth + 1, 256, 257):
        refused(root, key, value, replace(proof, depth=depth))
        width = (max(depth, 0) + 7) // 8
        refused(root, key, value, replace(proof, depth=depth, bitmap=bytes(width)))
        refused(
            root, key, value, replace(proof, depth=depth, bitmap=proof.bitmap.ljust(width, b"\0"))
        )
    if proof.other is not None:
        refused(root, key, value, replace(proof, other=None))
        refused(root, key, value, replace(proof, other=(proof.other[0], digest("x"))))
        refused(root, key, value, replace(proof, other=(proof.other[0], b"x")))
        far = bytes([proof.other[0][0] ^ 128]) + proof.other[0][1:]
        refused(root, key, value, replace(proof, other=(far, proof.other[1])))


def test_a_leaf_off_the_way_proves_no_absence_whatever_the_root() -> None:
    """Also under a root that liars made so, another key's leaf stands only on its own way."""
    key, stranger = digest(5), bytes([digest(5)[0] ^ 128]) + digest(5)[1:]
    proof = StateProof(1, b"\x80", (digest(1),), (stranger, digest(2)))
    root = fold_state_proof(key, compute_leaf_hash(stranger, digest(2)), proof)
    assert "shares 0 bits" in refused(root, key, None, proof)


def test_a_second_spelling_of_a_proof_is_refused_whatever_the_root() -> None:
    """Under a root that fits it: a walk that goes on below its end, and bits below the depth."""
    key, value = digest(5), digest(6)
    below = StateProof(2, b"\x80", (digest(1),), None)
    idle = StateProof(1, b"\xc0", (digest(1), digest(2)), None)
    for proof, sentence in (
        (below, "State proof: the sibling at depth 2 is empty, so the walk ends above it"),
        (idle, "State proof: the bitmap c0 has bits below depth 1"),
    ):
        root = fold_state_proof(key, compute_leaf_hash(key, value), proof)
        assert refused(root, key, value, proof) == sentence


def test_absence_ends_at_another_leaf_or_at_nothing() -> None:
    world = World()
    empty = world.tree.prove(digest("a"))
    assert empty == StateProof(0, b"", (), None)
    verify_state_proof(ZERO, digest("a"), None, empty)
    low, high = bytes(32), b"\x40" + bytes(31)
    world.commit({low: digest(1)})
    assert world.tree.prove(high) == StateProof(0, b"", (), (low, digest(1)))
    world.commit({high: digest(2)})
    leaf = hashlib.sha256(b"\x00" + low + digest(1)).digest()
    assert world.tree.prove(high) == StateProof(2, b"\x40", (leaf,), None)
    aside = world.tree.prove(b"\x80" + bytes(31))
    assert (aside.depth, aside.bitmap, aside.other) == (1, b"\x80", None)


def test_whole_sentences() -> None:
    world = make_world()
    root, key, value = world.tree.root, digest(5), digest(-5)
    proof = world.tree.prove(key)
    assert refused(root, key, value, replace(proof, depth=300)) == (
        "State proof: depth 300 is not between 0 and 256"
    )
    assert refused(root, key, digest("x"), proof).endswith(f", not to {root.hex()}")
    assert refused(root, key, None, replace(proof, other=(key, value))) == (
        f"State proof: the leaf of {key.hex()} shares 256 bits with {key.hex()} "
        f"and cannot stand at depth {proof.depth} on its way"
    )


def test_the_wire_form_is_plain_messagepack_in_one_spelling() -> None:
    world = make_world()
    for key in (digest(5), digest("absent"), digest("also absent")):
        proof = world.tree.prove(key)
        raw = encode_state_proof(proof)
        depth, bitmap, siblings, other = msgpack.unpackb(raw)
        assert (depth, bitmap, tuple(siblings)) == (proof.depth, proof.bitmap, proof.siblings)
        assert other == (None if proof.other is None else list(proof.other))
        for mutant in (
            raw + b"\0",
            raw[:-1],
            b"\x95" + raw[1:] + b"\xc0",
            b"\xdc\0\x04" + raw[1:],
            msgpack.packb([depth, bitmap, siblings]),
            msgpack.packb([str(depth), bitmap, siblings, other]),
            msgpack.packb([depth, bitmap + b"\0", siblings, other]),
        ):
            with pytest.raises(Rejected):
                decode_state_proof(mutant)
