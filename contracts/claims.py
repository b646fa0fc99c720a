"""A merchant's claims: its contracts as the leaves of a sum tree whose total is in its record.

Contracts stand in the order in which they were signed. Each has a row that lists it under its place
(`list_contract`), and the merchant's record says how many there are, so none can be left out. A
leaf is named by a hash of the commitment to the consumer and the contract's id: nobody who does not
hold the contract can tell whose it is. After every block that moves what is locked or owed, the
record holds the new total, and what it says is what the books say.

The tree itself is no row of the state. It follows from what the state holds, is built when it is
first asked for, and then kept in memory (`Claims`), some 220 bytes for each contract.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from contracts.custody import (
    MERCHANT_PREFIX,
    RECORD_VERSION,
    ContractRecord,
    ListedRecord,
    MerchantRecord,
    listed_row,
)
from contracts.handling import Context
from contracts.prepaid import ConservationError
from ledger import tags
from ledger.hashing import HASH_BYTES, tagged_hash
from ledger.sum_tree import SumTree, SumUpdate, compute_leaf

CLAIMS_MAX: Final = 1_000_000
"""Contracts whose leaves are kept in memory, in the trees used last: some 220 MB."""


class ClaimsDamagedError(Exception):
    """What the state says of a merchant's contracts contradicts itself: storage is damaged."""


def compute_claim(party: bytes, stream: str) -> bytes:
    """Return the name of a contract's leaf; `party` is the commitment to its consumer."""
    return tagged_hash(tags.CLAIM, party + stream.encode())


def list_contract(context: Context, record: ContractRecord, party: bytes) -> None:
    """List a contract that is being signed under its place among its merchant's."""
    listed = ListedRecord(RECORD_VERSION, context.stream, compute_claim(party, context.stream))
    context.write(listed_row(record.merchant, record.place), listed)


@dataclass(frozen=True, slots=True)
class ClaimsUpdate:
    """What a block makes of one merchant's tree."""

    tree: SumUpdate
    first: int
    """Place of the first further contract."""
    names: bytes
    """Of the further contracts."""


class _Claims:
    """One merchant's tree, and the names of its leaves."""

    __slots__ = ("names", "tree")

    def __init__(self, tree: SumTree, names: bytearray) -> None:
        self.tree = tree
        self.names = names

    def name_at(self, place: int) -> bytes:
        return bytes(self.names[place * HASH_BYTES : (place + 1) * HASH_BYTES])


class Claims:
    """The merchants' trees at the applied height; see the module's text."""

    def __init__(self, read: Callable[[str], Any], claims_max: int = CLAIMS_MAX) -> None:
        """`read` gives the record that a row of the applied state holds."""
        self._read = read
        self._claims_max = claims_max
        self._kept: OrderedDict[str, _Claims] = OrderedDict()

    def plan(
        self,
        merchant: str,
        contracts: Iterable[ContractRecord],
        read: Callable[[str], Any],
    ) -> ClaimsUpdate | None:
        """Return what these contracts of one merchant change in its tree; None: nothing.

        `read` gives a row's record as the block leaves it.
        """
        claims = self._find(merchant)
        size = claims.tree.size
        changes: dict[int, bytes] = {}
        names: dict[int, bytes] = {}
        for record in contracts:
            place, locked, owed = record.place, record.locked, record.owed
            if place < size:
                amounts = locked.to_bytes(8, "big") + owed.to_bytes(8, "big")
                if claims.tree.leaf(place)[HASH_BYTES:] == amounts:
                    continue
                name = claims.name_at(place)
            else:
                name = names[place] = read(listed_row(merchant, place)).claim
            changes[place] = compute_leaf(name, locked, owed)
        if not changes:
            return None
        further = b"".join([names[place] for place in sorted(names)])
        return ClaimsUpdate(claims.tree.plan(changes), size, further)

    def apply(self, updates: dict[str, ClaimsUpdate]) -> None:
        """The block that planned these is committed; what is not kept is built when it is asked."""
        for merchant, update in updates.items():
            claims = self._kept.get(merchant)
            if claims is not None:
                claims.tree.apply(update.tree)
                claims.names[update.first * HASH_BYTES :] = update.names
        self._bound()

    def prove(self, merchant: str, place: int) -> list[bytes]:
        """Return the path of one contract in its merchant's tree, at the applied height."""
        return self._find(merchant).tree.prove(place)

    def _find(self, merchant: str) -> _Claims:
        claims = self._kept.get(merchant)
        if claims is None:
            claims = self._kept[merchant] = self._build(merchant)
            self._bound()
        self._kept.move_to_end(merchant)
        return claims

    def _bound(self) -> None:
        """Forget the trees that were not used for longest, but never the only one."""
        count = sum([claims.tree.size for claims in self._kept.values()])
        while count > self._claims_max and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            count -= forgotten.tree.size

    def _build(self, merchant: str) -> _Claims:
        """Build a merchant's tree from the state; raise `ClaimsDamagedError`."""
        whole = self._read(MERCHANT_PREFIX + merchant)
        if not isinstance(whole, MerchantRecord):
            return _Claims(SumTree(), bytearray())
        names: list[bytes] = []
        leaves: list[bytes] = []
        for place in range(whole.contracts):
            listed = self._read(listed_row(merchant, place))
            if not isinstance(listed, ListedRecord):
                raise ClaimsDamagedError(f"no contract is listed at {place} of merchant {merchant}")
            record = self._read(listed.contract)
            if not isinstance(record, ContractRecord) or (record.merchant, record.place) != (
                merchant,
                place,
            ):
                raise ClaimsDamagedError(
                    f"{listed.contract!r} is not contract {place} of merchant {merchant}"
                )
            names.append(listed.claim)
            leaves.append(compute_leaf(listed.claim, record.locked, record.owed))
        tree = SumTree(leaves)
        if tree.total.hash != whole.claims:
            raise ClaimsDamagedError(
                f"the {whole.contracts} contracts of merchant {merchant} have the total "
                f"{tree.total.hash.hex()}, and its record says {whole.claims.hex()}"
            )
        return _Claims(tree, bytearray(b"".join(names)))


def seal(merchant: str, record: MerchantRecord, update: ClaimsUpdate) -> MerchantRecord:
    """Return a merchant's record with the total of its claims.

    Raises `ConservationError` if the books say another total than the tree.
    """
    total = update.tree.total
    if (record.contracts, record.locked, record.owed) != total[1:]:
        raise ConservationError(
            f"{MERCHANT_PREFIX}{merchant}: its {record.contracts} contracts have {record.locked} "
            f"locked and {record.owed} owed, and the {total.size} claims add up to "
            f"{total.locked} and {total.owed}"
        )
    return replace(record, claims=total.hash)
