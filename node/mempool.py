"""The pool: verified transactions that wait for a block, in the order they came.

A transaction is in the pool once, by its id. It enters verified (its signatures once, on this
node) and leaves when a block holds it, when its `not_after` has passed, or when executing it
raised here. The pool is bounded in number and bytes, and no submitter may hold more than its share
of either, so one merchant's flood cannot shut another out. Pure: time comes in with each call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from contracts.execution import Candidate
from ledger.refusal import Reason, Rejected
from ledger.transaction import Transaction
from node.undecided import Undecided

POOL_TRANSACTIONS_MAX: Final = 100_000
"""About 20 seconds of the fastest measured load."""

POOL_BYTES_MAX: Final = 256 * 1024 * 1024
SUBMITTER_SHARE: Final = 0.5
"""Largest part of the pool that one submitter may fill, in number and in bytes."""

QUARANTINE_MAX: Final = 1024
"""Transactions remembered as not executable here."""


class PoolItem(msgspec.Struct, frozen=True, gc=False):
    """A waiting transaction."""

    candidate: Candidate
    is_local: bool
    """Whether it was submitted to this node, which then answers for spreading it."""
    arrived_ms: int


class Mempool:
    """See the module's text; every refusal is a `Rejected` with its reason."""

    def __init__(
        self,
        transactions_max: int = POOL_TRANSACTIONS_MAX,
        bytes_max: int = POOL_BYTES_MAX,
        submitter_max: int | None = None,
    ) -> None:
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._submitter_max = submitter_max or max(1, int(transactions_max * SUBMITTER_SHARE))
        self._items: dict[bytes, PoolItem] = {}
        self._by_envelope: dict[bytes, Candidate] = {}
        self._submitter_bytes_max = int(bytes_max * SUBMITTER_SHARE)
        self._submitters: dict[str, int] = {}
        self._submitter_bytes: dict[str, int] = {}
        self._quarantine: dict[bytes, Candidate | None] = {}
        """What could not be executed here, by id; the transaction itself where it is promised."""
        self.bytes = 0
        self.undecided = Undecided(self._transactions)
        """What waits, by stream and signer."""

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, tx_id: bytes) -> bool:
        return tx_id in self._items

    def check_room(self, candidate: Candidate) -> None:
        """Raise `Rejected` (POOL_FULL, QUOTA_EXCEEDED) when there is no room for one more."""
        if (
            len(self._items) >= self._transactions_max
            or self.bytes + len(candidate.transaction.raw) > self._bytes_max
        ):
            raise Rejected(
                Reason.POOL_FULL,
                f"the pool holds {len(self._items)} transactions and {self.bytes} bytes; "
                "try again shortly",
                f"交易池已有 {len(self._items)} 笔、{self.bytes} 字节，请稍后重试",
            )
        submitter = candidate.transaction.body.signers[0]
        held = self._submitters.get(submitter, 0)
        if held >= self._submitter_max:
            raise Rejected(
                Reason.QUOTA_EXCEEDED,
                f"submitter {submitter} has {held} transactions waiting; at most "
                f"{self._submitter_max} may wait",
                f"提交者 {submitter} 有 {held} 笔交易在等待，至多 {self._submitter_max} 笔",
            )
        held_bytes = self._submitter_bytes.get(submitter, 0)
        size = len(candidate.transaction.raw)
        if held and held_bytes + size > self._submitter_bytes_max:
            raise Rejected(
                Reason.QUOTA_EXCEEDED,
                f"submitter {submitter} has {held_bytes} bytes of transactions waiting; at most "
                f"{self._submitter_bytes_max} may wait",
                f"提交者 {submitter} 有 {held_bytes} 字节的交易在等待，至多 "
                f"{self._submitter_bytes_max} 字节",
            )

    def add(self, candidate: Candidate, *, is_local: bool, now_ms: int) -> bool:
        """Add a verified transaction; return False if it is there already or cannot be executed.

        What is submitted here takes the place of the same transaction in an envelope that a peer
        relayed: that one may be signed with another key, which may end, and this one is promised.
        """
        transaction = candidate.transaction
        tx_id = transaction.tx_id
        if self._quarantine and tx_id in self._quarantine:
            return False
        held = self._items.get(tx_id)
        if held is not None:
            if is_local and not held.is_local:
                self._exchange(held, candidate)
            return False
        self.check_room(candidate)
        self._put([candidate], [transaction], _weigh([transaction]), is_local, now_ms)
        return True

    def add_all(self, candidates: Sequence[Candidate], *, is_local: bool, now_ms: int) -> bool:
        """Add verified transactions that are all new and for all of which there is room, in order.

        Returns False, and adds none, where that is not so: then `add` says of each what it is.
        Step by step over all of them, which costs a third of one after another.
        """
        transactions = [candidate.transaction for candidate in candidates]
        ids = [transaction.tx_id for transaction in transactions]
        if (
            len(set(ids)) != len(ids)
            or not self._items.keys().isdisjoint(ids)
            or not self._quarantine.keys().isdisjoint(ids)
        ):
            return False
        weights = _weigh(transactions)
        if not self._has_room(len(ids), weights):
            return False
        self._put(candidates, transactions, weights, is_local, now_ms)
        return True

    def _put(
        self,
        candidates: Sequence[Candidate],
        transactions: Sequence[Transaction],
        weights: dict[str, tuple[int, int]],
        is_local: bool,
        now_ms: int,
    ) -> None:
        """Put in what is new and has room; `transactions` are the candidates' own."""
        for candidate, transaction in zip(candidates, transactions, strict=True):
            self._items[transaction.tx_id] = PoolItem(candidate, is_local, now_ms)
            self._by_envelope[transaction.envelope_hash] = candidate
        for submitter, (count, size) in weights.items():
            self._submitters[submitter] = self._submitters.get(submitter, 0) + count
            self._submitter_bytes[submitter] = self._submitter_bytes.get(submitter, 0) + size
            self.bytes += size
        self.undecided.add(transactions)

    def has_room(self, transactions: Sequence[Transaction]) -> bool:
        """Say whether there is room for all of these, were they all new."""
        return self._has_room(len(transactions), _weigh(transactions))

    def _has_room(self, count: int, weights: dict[str, tuple[int, int]]) -> bool:
        size = sum([each for _, each in weights.values()])
        return (
            len(self._items) + count <= self._transactions_max
            and self.bytes + size <= self._bytes_max
            and all(
                self._submitters.get(submitter, 0) + each <= self._submitter_max
                and self._submitter_bytes.get(submitter, 0) + each_bytes
                <= self._submitter_bytes_max
                for submitter, (each, each_bytes) in weights.items()
            )
        )

    def _exchange(self, held: PoolItem, candidate: Candidate) -> None:
        """Keep this envelope of a waiting transaction instead, as a local one, in its place."""
        old, new = held.candidate.transaction, candidate.transaction
        self._items[new.tx_id] = PoolItem(candidate, True, held.arrived_ms)
        del self._by_envelope[old.envelope_hash]
        self._by_envelope[new.envelope_hash] = candidate
        grown = len(new.raw) - len(old.raw)
        self.bytes += grown
        self._submitter_bytes[new.body.signers[0]] += grown

    def find_envelope(self, envelope_hash: bytes) -> Candidate | None:
        """Return the waiting transaction with exactly these envelope bytes."""
        return self._by_envelope.get(envelope_hash)

    def find_envelopes(self, envelope_hashes: Iterable[bytes]) -> list[Candidate | None]:
        """Return of each the waiting transaction with exactly these envelope bytes."""
        return list(map(self._by_envelope.get, envelope_hashes))

    def get(self, tx_id: bytes) -> Candidate | None:
        """Return a waiting transaction."""
        item = self._items.get(tx_id)
        return None if item is None else item.candidate

    def candidates(self) -> Iterator[Candidate]:
        """Yield what waits, oldest first; the pool must not be changed meanwhile."""
        for item in self._items.values():
            yield item.candidate

    def _transactions(self) -> Iterator[Transaction]:
        return (item.candidate.transaction for item in self._items.values())

    def local_candidates(self) -> list[Candidate]:
        """Return what was submitted to this node and still waits."""
        return [item.candidate for item in self._items.values() if item.is_local]

    def owed_candidates(self) -> list[Candidate]:
        """Return what was submitted to this node and is on no chain: also what is set aside, which
        may be executed once this software is mended."""
        aside = [each for each in self._quarantine.values() if each is not None]
        return aside + self.local_candidates()

    def find_local_before(self, arrived_ms: int, count_max: int) -> list[Candidate]:
        """Return local transactions that have waited since before `arrived_ms`, in their order.

        All are looked at: the first may be the latest by a clock that was put back since.
        """
        waiting = (
            item.candidate
            for item in self._items.values()
            if item.is_local and item.arrived_ms <= arrived_ms
        )
        return list(islice(waiting, count_max))

    def find_stale(self, time_ms: int, count_max: int) -> list[bytes]:
        """Return ids, among the oldest `count_max`, whose `not_after` is before `time_ms`."""
        return [
            tx_id
            for tx_id, item in islice(self._items.items(), count_max)
            if item.candidate.transaction.body.not_after < time_ms
        ]

    def remove(self, tx_ids: Sequence[bytes]) -> None:
        """Forget transactions that a block holds or that may no longer enter one."""
        items = [self._items.pop(tx_id, None) for tx_id in tx_ids]
        gone = [item.candidate.transaction for item in items if item is not None]
        if self._quarantine:
            for tx_id in self._quarantine.keys() & set(tx_ids):
                self._quarantine[tx_id] = None
        for transaction in gone:
            del self._by_envelope[transaction.envelope_hash]
        self.undecided.remove(gone)
        held, held_bytes = self._submitters, self._submitter_bytes
        for submitter, (count, size) in _weigh(gone).items():
            self.bytes -= size
            held[submitter] -= count
            held_bytes[submitter] -= size
            if not held[submitter]:
                del held[submitter], held_bytes[submitter]

    def quarantine(self, tx_id: bytes) -> None:
        """Set aside a transaction whose execution raised here: it must not stop the chain."""
        held = self._items.get(tx_id)
        self.remove([tx_id])
        if len(self._quarantine) >= QUARANTINE_MAX:
            del self._quarantine[next(iter(self._quarantine))]
        self._quarantine[tx_id] = held.candidate if held is not None and held.is_local else None

    def is_set_aside(self, tx_id: bytes) -> bool:
        """Say whether executing this transaction raised here, so that it is not let in again."""
        return tx_id in self._quarantine


def _weigh(transactions: Sequence[Transaction]) -> dict[str, tuple[int, int]]:
    """Return number and bytes of transactions by submitter."""
    submitters = [transaction.body.signers[0] for transaction in transactions]
    if len(set(submitters)) == 1:
        size = sum([len(transaction.raw) for transaction in transactions])
        return {submitters[0]: (len(submitters), size)}
    sizes = dict.fromkeys(submitters, 0)
    for submitter, transaction in zip(submitters, transactions, strict=True):
        sizes[submitter] += len(transaction.raw)
    return {name: (count, sizes[name]) for name, count in Counter(submitters).items()}
