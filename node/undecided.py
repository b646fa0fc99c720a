"""Who has signed what no block holds yet, stream by stream.

Counted at two places: of what waits in the pool (`node.mempool`), and of what is on its way there
(`node.submissions`). `node.attempts` asks both, and only of a record that is full of refused
attempts: nearly never. So nothing is counted until it asks. Then all that is there is counted once,
and from there on whatever comes and goes, until for some blocks nobody has asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ledger.transaction import Transaction

UNASKED_BLOCKS_MAX: Final = 64
"""Blocks through which is counted on although nobody asks. Counting a full pool anew takes some 50
ms, counting on a few µs for each transaction: nobody can have the one by asking now and then."""


def _pairs(transactions: Iterable[Transaction]) -> Iterator[tuple[str, str]]:
    """Yield (stream, signer) of every signature."""
    for transaction in transactions:
        for signer in transaction.body.signers:
            yield transaction.body.stream, signer


class Undecided:
    """Transactions counted by stream and signer; each is taken out once."""

    def __init__(self, present: Callable[[], Iterable[Transaction]]) -> None:
        """`present` yields all that are in, whenever they are to be counted."""
        self._present = present
        self._counts: dict[tuple[str, str], int] | None = None
        self._unasked_blocks = 0

    def add(self, transactions: Iterable[Transaction]) -> None:
        """So many more."""
        if self._counts is not None:
            for pair in _pairs(transactions):
                self._counts[pair] = self._counts.get(pair, 0) + 1

    def remove(self, transactions: Iterable[Transaction]) -> None:
        """These are decided, or will never be."""
        if self._counts is not None:
            for pair in _pairs(transactions):
                self._counts[pair] -= 1
                if not self._counts[pair]:
                    del self._counts[pair]

    def count_of(self, stream: str, signer: str) -> int:
        """Return how many of a stream this party signed."""
        self._unasked_blocks = 0
        if self._counts is None:
            self._counts = {}
            self.add(self._present())
        return self._counts.get((stream, signer), 0)

    def block_applied(self) -> None:
        """Stop counting where nobody has asked for long."""
        self._unasked_blocks += 1
        if self._unasked_blocks > UNASKED_BLOCKS_MAX:
            self._counts = None


class Arrivals:
    """What is on its way into the pool: each transaction counts once, however often it comes."""

    def __init__(self) -> None:
        self._present: dict[bytes, Transaction] = {}
        self._again: dict[bytes, int] = {}
        """How often more than once; of the few that come again while they are under way."""
        self.undecided: Final = Undecided(self._present.values)

    def __contains__(self, tx_id: bytes) -> bool:
        return tx_id in self._present

    def begin(self, transaction: Transaction) -> None:
        """It is, once more."""
        tx_id = transaction.tx_id
        if tx_id in self._present:
            self._again[tx_id] = self._again.get(tx_id, 0) + 1
        else:
            self._present[tx_id] = transaction
            self.undecided.add((transaction,))

    def end(self, transactions: Iterable[Transaction]) -> None:
        """These are in the pool, or will never be."""
        gone = [each for each in transactions if not self._comes_again(each.tx_id)]
        for transaction in gone:
            del self._present[transaction.tx_id]
        self.undecided.remove(gone)

    def _comes_again(self, tx_id: bytes) -> bool:
        """Say whether it is under way once more, and end it once."""
        if tx_id not in self._again:
            return False
        self._again[tx_id] -= 1
        if not self._again[tx_id]:
            del self._again[tx_id]
        return True
