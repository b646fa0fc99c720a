"""The kernel in plain Python: short hashes by the thousand, and the top of the state tree.

This is the definition. `ledger.kernel_native` computes the same in compiled code, `ledger.kernel`
chooses, and the tests hold the two against each other. Every function takes and gives `bytes`;
nothing here knows what is hashed or where it is kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import sha256 as _sha256
from itertools import compress, pairwise
from typing import Final

HASH_BYTES: Final = 32

KEY_BITS: Final = 256
"""Length of a key hash of the state tree, and so the greatest depth of a leaf."""

ITEM_BYTES: Final = 2 * HASH_BYTES
"""A key hash and its value hash."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_ZERO: Final = bytes(HASH_BYTES)

EMPTY: Final = 0
ONE: Final = 1
MANY: Final = 2
"""Kinds of a subtree of the state tree by its number of leaves: a parent must know whether a hash
stands for one leaf or for a node."""


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data` (FIPS 180-4)."""
    return _sha256(data).digest()


def tagged_hash(tag: bytes, data: bytes) -> bytes:
    """Return SHA-256(tag ‖ data)."""
    return _sha256(tag + data).digest()


def leaf_hash(data: bytes) -> bytes:
    """Return HASH(0x00 ‖ data) (RFC 9162 section 2.1.1)."""
    return _sha256(_LEAF + data).digest()


def tagged_hashes(tag: bytes, datas: Sequence[bytes]) -> list[bytes]:
    """Return `tagged_hash` of each of `datas`."""
    return [tagged_hash(tag, data) for data in datas]


def leaf_hashes(datas: Sequence[bytes]) -> list[bytes]:
    """Return `leaf_hash` of each of `datas`."""
    return [leaf_hash(data) for data in datas]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return HASH(0x01 ‖ left ‖ right) (RFC 9162 section 2.1.1); `ValueError` for no hashes."""
    if len(left) != HASH_BYTES or len(right) != HASH_BYTES:
        raise ValueError("a hash is 32 bytes")
    return _sha256(_NODE + left + right).digest()


def hash_pairs(row: Sequence[bytes]) -> list[bytes]:
    """Hash a row of nodes pairwise; an odd last node has no parent yet and is left out."""
    nodes = iter(row)
    return [node_hash(left, right) for left, right in zip(nodes, nodes, strict=False)]


def fold_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an inclusion path leads to (RFC 9162 section 2.1.3.2).

    None when `path` has not exactly the length that this place in a tree of `size` asks for.
    """
    if not 0 <= index < size:
        return None
    fn, sn = index, size - 1
    node = leaf
    for sibling in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            node = node_hash(node, sibling)
        fn >>= 1
        sn >>= 1
    return None if sn else node


Signed = tuple[bytes, bytes, bytes, int]
"""Public key, signature, and what it covers: a batch's root and size, or empty and 0 for the
transaction alone."""


def read_envelope(raw: bytes, id_tag: bytes) -> tuple[bytes, bytes, tuple[Signed, ...]] | None:
    """Return (body, transaction id, what each signature covers) of an envelope in its one spelling.

    None for whatever `ledger.transaction` has to read slowly, to take it or to say what is wrong
    with it. That is everything here; the compiled kernel reads the usual envelope at once.
    """
    return None


def are_canonical(texts: Sequence[bytes], head: bytes, depth_max: int) -> bool:
    """Say whether each text begins with `head` and surely is an object in its RFC 8785 spelling.

    Plain text (`ledger.canonical.PLAIN_TEXT`) with members' names in ASCII and no escape in them,
    integers within ±(2^53 − 1), at most `depth_max` arrays and objects inside one another. False
    for whatever `ledger.canonical` has to decide slowly. That is everything here; the compiled
    kernel looks at each byte once.
    """
    return False


def append_peak(size: int, peaks: bytes, leaf: bytes) -> bytes:
    """Return the peaks of a tree of `size` leaves after one more leaf hash.

    Peaks are the roots of the perfect subtrees, largest first, one for each set bit of `size`,
    concatenated.
    """
    node = leaf
    end = len(peaks)
    while size & 1:
        end -= HASH_BYTES
        node = node_hash(peaks[end : end + HASH_BYTES], node)
        size >>= 1
    return peaks[:end] + node


def fold_peaks(peaks: bytes) -> bytes:
    """Return the root over concatenated peaks, at least one (RFC 9162 section 2.1.1)."""
    at = len(peaks) - HASH_BYTES
    node = peaks[at:]
    while at:
        at -= HASH_BYTES
        node = node_hash(peaks[at : at + HASH_BYTES], node)
    return node


def fold_bucket(items: bytes, depth: int) -> bytes:
    """Return the hash of the subtree at `depth` bits over some keys of the state tree.

    `items` is each key's hash and its value's, concatenated, keys strictly ascending and at least
    one, all of one prefix of `depth` bits. Raises `ValueError` for anything else.
    """
    starts = range(0, len(items), ITEM_BYTES)
    names = [items[at : at + HASH_BYTES] for at in starts]
    if not names or len(items) % ITEM_BYTES or not 0 <= depth <= KEY_BITS:
        raise ValueError(f"{len(items)} bytes are no items at depth {depth}")
    if any(left >= right for left, right in pairwise(names)):
        raise ValueError("the keys are not in ascending order")
    keys = [int.from_bytes(name, "big") for name in names]
    if (keys[0] ^ keys[-1]) >> (KEY_BITS - depth):
        raise ValueError(f"the keys do not share their first {depth} bits")
    leaves = [leaf_hash(items[at : at + ITEM_BYTES]) for at in starts]
    return _fold_range(keys, leaves, 0, len(keys), depth)


def _fold_range(
    keys: Sequence[int], leaves: Sequence[bytes], begin: int, end: int, depth: int
) -> bytes:
    if end - begin == 1:
        return leaves[begin]
    first, last = keys[begin], keys[end - 1]
    # The subtree branches at the first bit in which its outermost keys differ; above that it is
    # a chain of nodes with one empty side.
    height = (first ^ last).bit_length() - 1
    middle = bisect_left(keys, last >> height << height, begin, end)
    branch = KEY_BITS - 1 - height
    node = node_hash(
        _fold_range(keys, leaves, begin, middle, branch + 1),
        _fold_range(keys, leaves, middle, end, branch + 1),
    )
    for above in range(height + 1, KEY_BITS - depth):
        node = node_hash(_ZERO, node) if first >> above & 1 else node_hash(node, _ZERO)
    return node


FILTER_BITS: Final = 16
"""Bits of a `KeyFilter` for each key: one absent key in some 400 is taken for present."""

_BLOCK_BITS: Final = 512
_PROBES: Final = 6


class KeyFilter:
    """A Bloom filter over hashes: tells for sure that a key was never added.

    All bits of one key lie in one block of 64 bytes, a line of the processor's cache (Putze,
    Sanders, Singler 2007).
    """

    __slots__ = ("_bits", "_blocks", "count")

    def __init__(self, count_max: int) -> None:
        """Make room for so many keys; more make it say "perhaps" more often."""
        self._blocks = max(1, -(-count_max * FILTER_BITS // _BLOCK_BITS))
        self._bits = bytearray(self._blocks * _BLOCK_BITS // 8)
        self.count = 0
        """Keys added."""

    def add_all(self, keys: Sequence[bytes]) -> None:
        """Add keys of 32 bytes."""
        for key in keys:
            for bit in self._places(key):
                self._bits[bit >> 3] |= 1 << (bit & 7)
        self.count += len(keys)

    def select(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return those of the keys that may have been added; the others never were."""
        return [
            key
            for key in keys
            if all(self._bits[bit >> 3] >> (bit & 7) & 1 for bit in self._places(key))
        ]

    def _places(self, key: bytes) -> list[int]:
        if len(key) != HASH_BYTES:
            raise ValueError("a hash is 32 bytes")
        first = int.from_bytes(key[:8], "little") % self._blocks * _BLOCK_BITS
        probes = [int.from_bytes(key[at : at + 2], "little") for at in range(8, 20, 2)]
        return [first + probe % _BLOCK_BITS for probe in probes]


def set_item(record: bytes, key: bytes, value: bytes) -> bytes:
    """Return a record (one byte, then items ascending by key) with one key's value set."""
    at = 1
    while at < len(record) and record[at : at + HASH_BYTES] < key:
        at += ITEM_BYTES
    end = at + ITEM_BYTES if record[at : at + HASH_BYTES] == key else at
    return record[:at] + key + value + record[end:]


Lone = tuple[
    list[int],
    list[bytes | None],
    list[int],
    list[bytes],
    list[tuple[bytes, bytes]],
    list[tuple[int, int, int]],
]
"""Places, hashes, kinds and first keys of lowest nodes, ascending; bucket ids and records of those
with a single key (`ledger.state_bucket`); and of the others, whose hash is None: (which of these
nodes, its first item, the item after its last)."""


class TopChange:
    """What setting some lowest nodes would make of a `TreeTop`; applies to nothing else."""

    __slots__ = ("keys", "levels", "root")

    def __init__(
        self,
        root: bytes,
        levels: list[tuple[list[int], list[bytes], list[int]]],
        keys: list[bytes],
    ) -> None:
        self.root = root
        """32 bytes; zeros for the empty tree."""
        self.levels = levels
        """From the lowest: places, their hashes, their kinds."""
        self.keys = keys
        """Of the lowest places."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopChange):
            return NotImplemented
        return (self.root, self.levels, self.keys) == (other.root, other.levels, other.keys)

    __hash__ = None  # type: ignore[assignment]


class TreeTop:
    """The nodes of a binary tree's top levels, in heap order: node i has children 2i and 2i+1.

    A subtree without leaves has the hash of zeros; one with a single leaf is that leaf. Of a lowest
    place with a single leaf its key is known, so that whoever changes it need not look below.
    """

    __slots__ = ("_first", "_hashes", "_keys", "_kinds")

    def __init__(self, depth: int) -> None:
        """Make the empty top with 2^`depth` lowest places."""
        self._first = 1 << depth
        self._hashes = [_ZERO] * (2 << depth)
        self._kinds = bytearray(2 << depth)
        self._keys = [_ZERO] * (1 << depth)

    @property
    def root(self) -> bytes:
        """The root's hash; 32 zero bytes for the empty tree."""
        return self._hashes[1]

    def hash_at(self, place: int) -> bytes:
        """Return a node's hash; zeros where nothing is below."""
        return self._hashes[place]

    def kind_at(self, place: int) -> int:
        """Return a node's kind: EMPTY, ONE or MANY."""
        return self._kinds[place]

    def set_lowest(self, place: int, node: bytes, kind: int, key: bytes) -> None:
        """Set one of the lowest nodes, while a tree is rebuilt; `join_all` completes it.

        `key` is that of its only leaf, and of no account where there are more.
        """
        self._hashes[place] = node
        self._kinds[place] = kind
        self._keys[place - self._first] = key

    def join_all(self) -> None:
        """Compute every node above the lowest level, touching only what is above something."""
        first, hashes, kinds = self._first, self._hashes, self._kinds
        places = list(compress(range(first, 2 * first), kinds[first:]))
        while places and places[0] > 1:
            places = list(dict.fromkeys([place >> 1 for place in places]))
            for place in places:
                hashes[place], kinds[place] = _join(
                    hashes[2 * place], kinds[2 * place],
                    hashes[2 * place + 1], kinds[2 * place + 1],
                )  # fmt: skip

    def plan_lone(self, items: Sequence[tuple[bytes, bytes]]) -> Lone:
        """Plan the lowest nodes that hold a single key, new or known, of (key, value) hashes.

        `items` ascend by key. What the caller has to look up comes last (`Lone`). Raises
        `ValueError` for what is not two hashes.
        """
        if any(type(item) is not tuple or len(item) != 2 for item in items):
            raise ValueError("an item is two hashes")
        if any(len(each) != HASH_BYTES for item in items for each in item):
            raise ValueError("a hash is 32 bytes")
        depth = self._first.bit_length() - 1
        whole, rest = divmod(depth, 8)
        places: list[int] = []
        hashes: list[bytes | None] = []
        keys: list[bytes] = []
        rows: list[tuple[bytes, bytes]] = []
        others: list[tuple[int, int, int]] = []
        begin = 0
        while begin < len(items):
            key, value = items[begin]
            prefix = int.from_bytes(key, "big") >> (KEY_BITS - depth)
            end = begin + 1
            while end < len(items) and (
                int.from_bytes(items[end][0], "big") >> (KEY_BITS - depth) == prefix
            ):
                end += 1
            place = self._first + prefix
            kind = self._kinds[place]
            if end == begin + 1 and (
                kind == EMPTY or (kind == ONE and self._keys[place - self._first] == key)
            ):
                hashes.append(leaf_hash(key + value))
                name = bytes((depth, *key[:whole]))
                if rest:
                    name += bytes((key[whole] & (0xFF00 >> rest) & 0xFF,))
                rows.append((name, b"\0" + key + value))
            else:
                others.append((len(places), begin, end))
                hashes.append(None)
            places.append(place)
            keys.append(key)
            begin = end
        return places, hashes, [ONE] * len(places), keys, rows, others

    def plan(
        self,
        places: Sequence[int],
        hashes: Sequence[bytes],
        kinds: Sequence[int],
        keys: Sequence[bytes],
    ) -> TopChange:
        """Return what these lowest nodes, at ascending places, would change; changes nothing.

        `keys` has one of each place's keys: the only one where the kind is ONE.
        """
        level = (list(places), list(hashes), list(kinds))
        levels = [level]
        while level[0] and level[0][0] > 1:
            level = self._plan_parents(*level)
            levels.append(level)
        return TopChange(level[1][0] if level[1] else self.root, levels, list(keys))

    def apply(self, change: TopChange) -> None:
        """Become what was planned."""
        for place, key in zip(change.levels[0][0], change.keys, strict=True):
            self._keys[place - self._first] = key
        for places, hashes, kinds in change.levels:
            for place, node, kind in zip(places, hashes, kinds, strict=True):
                self._hashes[place] = node
                self._kinds[place] = kind

    def _plan_parents(
        self, places: list[int], hashes: list[bytes], kinds: list[int]
    ) -> tuple[list[int], list[bytes], list[int]]:
        changed = {
            place: (node, kind) for place, node, kind in zip(places, hashes, kinds, strict=True)
        }
        up: tuple[list[int], list[bytes], list[int]] = ([], [], [])
        for parent in dict.fromkeys([place >> 1 for place in places]):
            pair = [
                changed.get(place) or (self._hashes[place], self._kinds[place])
                for place in (2 * parent, 2 * parent + 1)
            ]
            node, kind = _join(*pair[0], *pair[1])
            up[0].append(parent)
            up[1].append(node)
            up[2].append(kind)
        return up


def _join(left: bytes, left_kind: int, right: bytes, right_kind: int) -> tuple[bytes, int]:
    """Return the parent of two subtrees: (hash, kind)."""
    if left_kind == EMPTY and right_kind != MANY:
        return right, right_kind
    if right_kind == EMPTY and left_kind != MANY:
        return left, left_kind
    return node_hash(left, right), MANY
