"""Which streams have transactions that no block holds yet, how many, and whose.

Counted at two places: of what waits in the pool (`node.mempool`), and of what is on its way there
(`node.submissions`). `node.attempts` asks both.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.transaction import Transaction


class Undecided:
    """Transactions counted by stream, and by stream and signer; each is taken out once."""

    def __init__(self) -> None:
        self._streams: dict[str, int] = {}
        self._signed: dict[tuple[str, str], int] = {}

    def add(self, transaction: Transaction) -> None:
        """One more."""
        stream, signers = transaction.body.stream, transaction.body.signers
        self._streams[stream] = self._streams.get(stream, 0) + 1
        signed = self._signed
        for signer in signers:
            signed[stream, signer] = signed.get((stream, signer), 0) + 1

    def remove(self, transactions: Iterable[Transaction]) -> None:
        """These are decided, or will never be."""
        streams, signed = self._streams, self._signed
        for transaction in transactions:
            stream = transaction.body.stream
            streams[stream] -= 1
            if not streams[stream]:
                del streams[stream]
            for signer in transaction.body.signers:
                signed[stream, signer] -= 1
                if not signed[stream, signer]:
                    del signed[stream, signer]

    def count_of(self, stream: str) -> int:
        """Return how many of a stream there are."""
        return self._streams.get(stream, 0)

    def has_of(self, stream: str, signer: str) -> bool:
        """Say whether there is one of a stream that this party signed."""
        return (stream, signer) in self._signed


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
