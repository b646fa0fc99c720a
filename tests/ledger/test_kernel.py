"""The compiled kernel against the plain one, to the byte, and the plain one against hashlib."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import kernel, kernel_plain
from ledger.state_bucket import LEAF_RECORD, bucket_id

try:
    from ledger import kernel_native
except ImportError:
    kernel_native = None  # type: ignore[assignment]

NEEDS_NATIVE = pytest.mark.skipif(
    kernel_native is None, reason="the compiled kernel was not built here: no C compiler?"
)
KERNELS = [
    pytest.param(kernel_plain, id="plain"),
    pytest.param(kernel_native, id="native", marks=NEEDS_NATIVE),
]
hashes = st.binary(min_size=32, max_size=32)


def digest(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


KEY: Final = digest("key")


@NEEDS_NATIVE
def test_the_compiled_kernel_serves_where_it_was_built() -> None:
    assert kernel.KERNEL == "native"
    assert kernel.leaf_hash is kernel_native.leaf_hash


@NEEDS_NATIVE
def test_both_offer_the_same_names() -> None:
    for name in kernel.__all__:
        if name not in ("KERNEL", "ITEM_BYTES", "KEY_BITS", "Signed"):
            assert hasattr(kernel_plain, name), name
            assert hasattr(kernel_native, name), name


@pytest.mark.parametrize("module", KERNELS)
@pytest.mark.parametrize("size", [*range(300), 1_000, 65_535, 1 << 20])
def test_every_length_is_hashed_as_hashlib_does(module: ModuleType, size: int) -> None:
    data = random.Random(size).randbytes(size)
    tag = data[: size % 40]
    assert module.sha256(data) == hashlib.sha256(data).digest()
    assert module.leaf_hash(data) == hashlib.sha256(b"\0" + data).digest()
    assert module.tagged_hash(tag, data) == hashlib.sha256(tag + data).digest()
    assert module.tagged_hashes(tag, [data, tag]) == [
        module.tagged_hash(tag, data),
        module.tagged_hash(tag, tag),
    ]
    assert module.leaf_hashes((data, tag)) == [module.leaf_hash(data), module.leaf_hash(tag)]
    assert module.leaf_hashes([]) == module.tagged_hashes(tag, ()) == []


@pytest.mark.parametrize("module", KERNELS)
def test_nodes_and_pairs(module: ModuleType) -> None:
    row = [digest(at) for at in range(9)]
    node = hashlib.sha256(b"\1" + row[0] + row[1]).digest()
    assert module.node_hash(row[0], row[1]) == node
    assert module.hash_pairs(row)[0] == node
    assert len(module.hash_pairs(row)) == 4
    assert module.hash_pairs(tuple(row)) == module.hash_pairs(row)
    assert module.hash_pairs(row[:1]) == module.hash_pairs([]) == []


def same(call: Callable[[Any], Any]) -> None:
    """Both kernels give the same value, or raise the same error with the same words."""
    answers = []
    for module in (kernel_plain, kernel_native):
        try:
            answers.append(call(module))
        except (ValueError, IndexError) as error:
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]


@NEEDS_NATIVE
@given(
    hashes,
    st.integers(-2, 2**64),
    st.one_of(st.integers(-1, 70), st.integers(2**62, 2**64)),
    st.lists(hashes, max_size=66),
)
def test_paths_fold_alike(leaf: bytes, index: int, size: int, path: list[bytes]) -> None:
    same(lambda module: module.fold_path(leaf, index, size, path))
    if size > 0:
        same(lambda module: module.fold_path(leaf, index % size, size, path))


@NEEDS_NATIVE
@pytest.mark.parametrize("size", range(1, 40))
def test_true_paths_fold_alike_and_are_found(size: int) -> None:
    from ledger.merkle import compute_root, inclusion_proofs, path_length

    leaves = [digest(at) for at in range(size)]
    root = compute_root(leaves)
    for index, path in enumerate(inclusion_proofs(leaves)):
        assert len(path) == path_length(index, size)
        for module in (kernel_plain, kernel_native):
            assert module.fold_path(leaves[index], index, size, path) == root
            assert module.fold_path(leaves[index], index, size, tuple(path)) == root
            assert module.fold_path(leaves[index], index, size, [*path, leaves[0]]) is None
            assert module.fold_path(leaves[index], index, size, path[:-1]) is None or size == 1


@NEEDS_NATIVE
@given(st.integers(0, 2**20), hashes)
def test_peaks_grow_and_fold_alike(size: int, leaf: bytes) -> None:
    peaks = b"".join([digest(at) for at in range(size.bit_count())])
    same(lambda module: module.append_peak(size, peaks, leaf))
    if peaks:
        same(lambda module: module.fold_peaks(peaks))


@NEEDS_NATIVE
@given(
    st.dictionaries(st.one_of(st.integers(0, 2**256 - 1), st.integers(0, 40)), hashes, min_size=1),
    st.integers(0, 256),
)
def test_buckets_fold_alike(pairs: dict[int, bytes], depth: int) -> None:
    shared = (1 << 256) - (1 << (256 - depth)) if depth else 0
    prefix = int.from_bytes(digest("prefix"), "big") & shared
    keys = sorted({prefix | key & ~shared & ((1 << 256) - 1) for key in pairs})
    items = b"".join([key.to_bytes(32, "big") + digest(key) for key in keys])
    same(lambda module: module.fold_bucket(items, depth))


@NEEDS_NATIVE
@pytest.mark.parametrize(
    ("items", "depth"),
    [
        (b"", 0),
        (b"x" * 63, 0),
        (b"x" * 128, 0),
        (b"y" * 64 + b"x" * 64, 0),
        (b"x" * 64, -1),
        (b"x" * 64, 257),
        (b"a" * 64 + b"b" * 64, 200),
    ],
)
def test_bad_buckets_are_refused_alike(items: bytes, depth: int) -> None:
    same(lambda module: module.fold_bucket(items, depth))
    with pytest.raises(ValueError):
        kernel_plain.fold_bucket(items, depth)


@pytest.mark.parametrize("module", KERNELS)
def test_what_is_no_hash_is_refused(module: ModuleType) -> None:
    for wrong in (b"", b"x" * 31, b"x" * 33):
        with pytest.raises(ValueError, match=r"^a hash is 32 bytes$"):
            module.node_hash(wrong, digest(1))
        with pytest.raises(ValueError, match=r"^a hash is 32 bytes$"):
            module.hash_pairs([digest(1), wrong])


@pytest.mark.parametrize("module", KERNELS)
def test_only_bytes_are_hashed(module: ModuleType) -> None:
    for wrong in ("text", 7, None):
        with pytest.raises(TypeError):
            module.leaf_hashes([b"", wrong])
        with pytest.raises(TypeError):
            module.tagged_hashes(b"tag", [wrong])


@NEEDS_NATIVE
@given(st.lists(st.dictionaries(st.integers(0, 31), st.integers(1, 2), max_size=32), max_size=6))
def test_tops_change_alike(steps: list[dict[int, int]]) -> None:
    plain, native = kernel_plain.TreeTop(5), kernel_native.TreeTop(5)
    for number, step in enumerate(steps):
        places = [32 + place for place in sorted(step)]
        nodes = [digest((number, place)) for place in places]
        kinds = [max(step[place - 32], plain.kind_at(place)) for place in places]
        keys = [bytes([(place - 32) << 3]) + bytes(31) for place in places]
        changes = [top.plan(places, nodes, kinds, keys) for top in (plain, native)]
        assert changes[0].root == changes[1].root
        for top, change in zip((plain, native), changes, strict=True):
            assert change == top.plan(places, nodes, kinds, keys)
            if places:
                assert change != top.plan(places, nodes, kinds, [digest("other")] * len(keys))
        before = native.root
        assert before == plain.root
        plain.apply(changes[0])
        native.apply(changes[1])
        assert plain.root == native.root == changes[0].root
        for place in range(1, 64):
            assert plain.hash_at(place) == native.hash_at(place)
            assert plain.kind_at(place) == native.kind_at(place)
        every = [(bytes([at << 3]) + bytes(31), digest(at)) for at in range(32)]
        assert plain.plan_lone(every) == native.plan_lone(every)
    rebuilt = [kernel_plain.TreeTop(5), kernel_native.TreeTop(5)]
    for top in rebuilt:
        for place in range(32, 64):
            top.set_lowest(place, plain.hash_at(place), plain.kind_at(place), digest(place))
        top.join_all()
        assert top.root == plain.root


@NEEDS_NATIVE
def test_a_compiled_top_touches_nothing_outside_itself() -> None:
    top = kernel_native.TreeTop(3)
    for place in (0, 16, 2**31):
        with pytest.raises(IndexError, match=r"^there is no such place in the top$"):
            top.kind_at(place)
    for places in ([7], [16], [9, 8], [8, 8]):
        with pytest.raises(ValueError, match=r"^places must be of the lowest level and ascend$"):
            top.plan(places, *[[one] * len(places) for one in (digest(1), 1, digest(2))])
    for hashes_, kinds, keys in ([], [1], [KEY]), ([KEY], [], [KEY]), ([KEY], [1], []):
        with pytest.raises(ValueError, match=r"^places, hashes, kinds and keys differ in number$"):
            top.plan([8], hashes_, kinds, keys)
    for place in (0, 7, 16, 2**31):
        with pytest.raises(IndexError, match=r"^there is no such lowest place in the top$"):
            top.set_lowest(place, digest(1), 1, KEY)
    for depth, place in ((4, 31), (2, 7)):
        other = kernel_native.TreeTop(depth).plan([place], [digest(1)], [1], [KEY])
        with pytest.raises(ValueError, match=r"^the change was planned on another top$"):
            top.apply(other)
    with pytest.raises(ValueError, match=r"^a top has 0 to 26 levels below its root$"):
        kernel_native.TreeTop(27)


@NEEDS_NATIVE
@given(st.integers(1, 400), st.lists(hashes, max_size=60), st.lists(hashes, max_size=60))
def test_filters_agree_and_forget_nothing(
    count_max: int, held: list[bytes], others: list[bytes]
) -> None:
    filters = [kernel_plain.KeyFilter(count_max), kernel_native.KeyFilter(count_max)]
    for each in filters:
        each.add_all(held[:20])
        each.add_all(held[20:])
        assert each.count == len(held)
        assert each.select(held) == held
    answers = [each.select(others) for each in filters]
    assert answers[0] == answers[1]
    for wrong in (b"", b"x" * 31):
        same(lambda module, wrong=wrong: module.KeyFilter(8).select([wrong]))  # type: ignore[misc]
        same(lambda module, wrong=wrong: module.KeyFilter(8).add_all([wrong]))  # type: ignore[misc]


@NEEDS_NATIVE
@given(st.lists(st.tuples(st.integers(0, 30), hashes), max_size=40))
def test_items_are_set_alike(updates: list[tuple[int, bytes]]) -> None:
    records = {kernel_plain: b"\0", kernel_native: b"\0"}
    model: dict[bytes, bytes] = {}
    for number, value in updates:
        model[digest(number)] = value
        for module, record in records.items():
            records[module] = module.set_item(record, digest(number), value)
        expected = b"\0" + b"".join([key + model[key] for key in sorted(model)])
        assert set(records.values()) == {expected}


@NEEDS_NATIVE
@given(
    st.lists(st.tuples(st.integers(0, 63), hashes), max_size=30),
    st.lists(st.tuples(st.integers(0, 255), hashes), max_size=12),
)
def test_lone_leaves_are_planned_alike(
    before: list[tuple[int, bytes]], after: list[tuple[int, bytes]]
) -> None:
    """Keys over a top of 16 places: some empty, some alone, some not."""
    held = {(number << 248).to_bytes(32, "big"): value for number, value in before}
    updates = {(number << 248).to_bytes(32, "big"): value for number, value in after}
    inside = {place: [key for key in held if key[0] >> 4 == place] for place in range(16)}
    answers = []
    for module in (kernel_plain, kernel_native):
        top = module.TreeTop(4)
        for place, keys in inside.items():
            if keys:
                kind = module.ONE if len(keys) == 1 else module.MANY
                top.set_lowest(16 + place, digest(place), kind, keys[0])
        answers.append(top.plan_lone(sorted(updates.items())))
    assert answers[0] == answers[1]
    places, nodes, kinds, keys, rows, others = answers[0]
    assert sorted({16 + (key[0] >> 4) for key in updates}) == places
    assert len(nodes) == len(kinds) == len(keys) == len(places) == len(rows) + len(others)
    lone, ranges = dict(rows), {at: (begin, end) for at, begin, end in others}
    for at, (place, node) in enumerate(zip(places, nodes, strict=True)):
        new = sorted(key for key in updates if key[0] >> 4 == place - 16)
        assert keys[at] == new[0]
        if len(new) == 1 and inside[place - 16] in ([], new):
            assert node == kernel_plain.leaf_hash(new[0] + updates[new[0]])
            assert lone[bucket_id(4, new[0])] == LEAF_RECORD + new[0] + updates[new[0]]
        else:
            assert node is None
            begin, end = ranges[at]
            assert sorted(updates)[begin:end] == new


@NEEDS_NATIVE
@pytest.mark.parametrize("depth", [0, 9])
@pytest.mark.parametrize("at", [0, 1])
def test_what_is_no_item_is_refused_and_never_read(depth: int, at: int) -> None:
    """The compiled kernel once took the second item of a place for a tuple whatever it was, and
    the process died of a number there."""
    good, value = (bytes(32), digest("value")), digest("value")
    for wrong in (
        7, None, b"x" * 32, [KEY, value], (), (KEY,), (KEY, value, value), (KEY, b""),
        (b"x" * 31, value),
    ):  # fmt: skip
        items: list[Any] = [good, good]
        items[at] = wrong
        same(lambda module, items=items: module.TreeTop(depth).plan_lone(items))  # type: ignore[misc]
