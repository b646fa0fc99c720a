"""Who has signed what no block holds yet, stream by stream.

Counted at two places: of what waits in the pool (`node.mempool`), and of what is on its way there
(`node.submissions`). `node.attempts` asks both.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.transaction import Transaction


class Undecided:
    """Transactions counted by stream and signer; each is taken out once."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, transaction: Transaction) -> None:
        """One more."""
        counts, stream = self._counts, transaction.body.stream
        for signer in transaction.body.signers:
            counts[stream, signer] = counts.get((stream, signer), 0) + 1

    def remove(self, transactions: Iterable[Transaction]) -> None:
        """These are decided, or will never be."""
        counts = self._counts
        for transaction in transactions:
            stream = transaction.body.stream
            for signer in transaction.body.signers:
                counts[stream, signer] -= 1
                if not counts[stream, signer]:
                    del counts[stream, signer]

    def count_of(self, stream: str, signer: str) -> int:
        """Return how many of a stream this party signed."""
        return self._counts.get((stream, signer), 0)


class Arrivals(Undecided):
    """What is on its way into the pool: each transaction counts once, however often it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._times: dict[bytes, int] = {}

    def __contains__(self, tx_id: bytes) -> bool:
        return tx_id in self._times

    def begin(self, transaction: Transaction) -> None:
        """It is, once more."""
        tx_id = transaction.tx_id
        if tx_id not in self._times:
            self.add(transaction)
        self._times[tx_id] = self._times.get(tx_id, 0) + 1

    def end(self, transactions: Iterable[Transaction]) -> None:
        """These are in the pool, or will never be."""
        for transaction in transactions:
            tx_id = transaction.tx_id
            self._times[tx_id] -= 1
            if not self._times[tx_id]:
                del self._times[tx_id]
                self.remove([transaction])
