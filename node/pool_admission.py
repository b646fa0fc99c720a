"""Which transactions may wait for a block: the rule of a block's content, asked at the pool's door.

`Executor.admit` holds a block to the same rule; here it is asked against the applied
state and this node's clock, so that what cannot enter the next block does not wait for it.
Signatures come after, because they cost most, and are no concern of this module.

This node's clock may be wrong, and what was submitted here is promised. So it leaves the pool as
too late only when the chain's own time says so; while only this clock does, it waits and makes no
work: waiting for what no block takes would look like a silent primary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from contracts.execution import (
    Candidate,
    Chain,
    are_signed,
    are_timely,
    are_under_new_references,
    check_keys,
    check_time,
    is_on_chain,
)
from contracts.parties import PARTY_PREFIX
from ledger.refusal import Reason, Rejected
from ledger.transaction import Transaction
from node.attempts import Trials
from node.effects import Say
from node.mempool import Mempool
from node.recent_ids import RecentIds
from node.undecided import Undecided

PURGE_COUNT: Final = 5_000
"""Waiting transactions looked at once a second, oldest first (1 ms)."""

INTAKE_MARGIN_MS: Final = 10_000
"""What has to be left of a transaction's time when it is promised: several failed views. And beyond
that as much as a block's time may lie ahead of the clocks, for a lying primary sets the chain's
time that far ahead with a block of its own, and what ended in between is too late for all."""

ANY_WINDOW_MS: Final = 2**53
"""No bound on how late a transaction may stay valid: what is too far ahead now waits."""


class PoolAdmission:
    """The pool's door at one height; the pool itself is `node.mempool`."""

    def __init__(self, chain: Chain, pool: Mempool, say: Say) -> None:
        self._chain = chain
        self._pool = pool
        self._say = say
        self._recent = RecentIds()
        self._trials = Trials(chain)
        self._valid_keys: set[tuple[str, bytes]] = set()
        """Keys found valid for the next height; forgotten with every block."""
        self._overdue: set[bytes] = set()
        """What is promised and too late by this clock, and not by the chain's time."""

    def is_recent(self, tx_id: bytes) -> bool:
        """Say whether a transaction was committed just now; False means nothing."""
        return tx_id in self._recent

    @property
    def has_work(self) -> bool:
        """Say whether anything waits that a block may take, as far as this clock knows."""
        return len(self._pool) > len(self._overdue)

    def is_on_chain(self, transaction: Transaction) -> bool:
        """Say whether a block holds this body already.

        A peer may relay what is decided: it would wait here, and make work, until this node
        proposes, and any peer could bring it again.
        """
        reader = self._chain.reader
        (taker,) = reader.references([transaction.reference_key])
        return taker is not None and is_on_chain(reader, transaction.tx_id, taker)

    def check(self, candidate: Candidate, now_ms: int, skew_ms: int) -> None:
        """Raise `Rejected` unless this can be promised: it could enter the next block and those
        after it, and the pool has room. `skew_ms` is genesis' bound on a fresh block's time."""
        self._check_valid(candidate.transaction, now_ms)
        self._check_margin(candidate.transaction, now_ms, skew_ms)
        if candidate.transaction.tx_id not in self._pool:
            self._pool.check_room(candidate)

    def may_promise_all(self, candidates: Sequence[Candidate], now_ms: int, skew_ms: int) -> bool:
        """Say whether all of these are new and `check` has nothing against any."""
        chain = self._chain
        transactions = [candidate.transaction for candidate in candidates]
        first_ms = max(now_ms, chain.header.time_ms) + INTAKE_MARGIN_MS + skew_ms
        last_ms = max(now_ms, chain.header.time_ms + 1) + chain.limits.replay_window_ms
        return (
            are_timely(transactions, first_ms, last_ms - first_ms)
            and are_under_new_references(chain.reader, transactions)
            and are_signed(transactions, chain.header.height + 1, chain.party, self._valid_keys)
            and self._pool.has_room(transactions)
        )

    def is_on_trial(self, candidate: Candidate) -> bool:
        """Say whether `check_attempt` has to be asked."""
        return self._trials.is_due(candidate)

    def check_attempt(self, candidate: Candidate, arriving: Undecided, now_ms: int) -> None:
        """Raise `Rejected` where `node.attempts` turns this away; its signatures are good.

        `arriving` is what is on its way into the pool.
        """
        self._trials.check(candidate, now_ms, self._pool.undecided, arriving)

    def admit(
        self, candidates: Sequence[Candidate], now_ms: int, *, is_local: bool
    ) -> list[Candidate]:
        """Add what may wait; return what was not there before.

        Asked of all at once, and of each only where the answer is not yes for all.
        """
        transactions = [candidate.transaction for candidate in candidates]
        if self._may_all_wait(transactions, now_ms, is_local=is_local) and self._pool.add_all(
            candidates, is_local=is_local, now_ms=now_ms
        ):
            return list(candidates)
        fresh: list[Candidate] = []
        for candidate in candidates:
            transaction = candidate.transaction
            if transaction.tx_id in self._recent:
                continue
            try:
                if is_local:
                    self._check_promised(transaction)
                else:
                    self._check_valid(transaction, now_ms)
                    if self.is_on_chain(transaction):
                        continue
                if self._pool.add(candidate, is_local=is_local, now_ms=now_ms):
                    fresh.append(candidate)
            except Rejected as rejected:
                self._say("debug", f"transaction {transaction.tx_id.hex()}: {rejected}")
        return fresh

    def _may_all_wait(
        self, transactions: Sequence[Transaction], now_ms: int, *, is_local: bool
    ) -> bool:
        """Say whether there is nothing to be said of any of these, as `admit` asks of each."""
        chain = self._chain
        time_ms, window_ms = chain.header.time_ms, ANY_WINDOW_MS
        if not is_local:
            time_ms, window_ms = max(now_ms, time_ms + 1), chain.limits.replay_window_ms
        return (
            self._recent.isdisjoint([transaction.tx_id for transaction in transactions])
            and are_timely(transactions, time_ms, window_ms)
            and (is_local or are_under_new_references(chain.reader, transactions))
            and are_signed(transactions, chain.header.height + 1, chain.party, self._valid_keys)
        )

    def purge(self, now_ms: int, skew_ms: int) -> None:
        """Drop what no block may take any more; of what is promised the chain's time decides."""
        chain_ms = self._chain.header.time_ms
        stale = self._pool.find_stale(max(now_ms - skew_ms, chain_ms), PURGE_COUNT)
        self._overdue = set()
        if not stale:
            return
        promised = {
            candidate.transaction.tx_id
            for candidate in self._pool.local_candidates()
            if candidate.transaction.body.not_after >= chain_ms
        }
        self._overdue = promised.intersection(stale)
        self._pool.remove([tx_id for tx_id in stale if tx_id not in promised])

    def block_applied(self, tx_ids: list[bytes], streams: Iterable[str]) -> None:
        """Forget what a block holds, and what waits under keys that it has just ended."""
        self._pool.remove(tx_ids)
        self._pool.undecided.block_applied()
        self._overdue.difference_update(tx_ids)
        self._recent.add(tx_ids)
        self._valid_keys.clear()
        self._trials.block_applied()
        if any(stream.startswith(PARTY_PREFIX) for stream in streams):
            self._drop_revoked()

    def _drop_revoked(self) -> None:
        height = self._chain.header.height + 1
        lost = []
        for candidate in self._pool.candidates():
            transaction = candidate.transaction
            try:
                check_keys(transaction, height, self._chain.party, self._valid_keys)
            except Rejected as rejected:
                lost.append(transaction.tx_id)
                self._say("info", f"{transaction.tx_id.hex()} leaves the pool: {rejected}")
        self._pool.remove(lost)
        self._overdue.difference_update(lost)

    def _check_promised(self, transaction: Transaction) -> None:
        """Raise `Rejected` if the chain itself says that no block may take this any more."""
        chain = self._chain
        check_time(transaction, chain.header.time_ms, ANY_WINDOW_MS)
        check_keys(transaction, chain.header.height + 1, chain.party, self._valid_keys)

    def _check_margin(self, transaction: Transaction, now_ms: int, skew_ms: int) -> None:
        """Raise `Rejected` (STALE) for what may be too late before a block can take it."""
        margin_ms = INTAKE_MARGIN_MS + skew_ms
        left_ms = transaction.body.not_after - max(now_ms, self._chain.header.time_ms)
        if left_ms < margin_ms:
            raise Rejected(
                Reason.STALE,
                f"not_after is {left_ms} ms from now; a receipt is a promise, so at least "
                f"{margin_ms} ms have to be left; sign it anew with a later not_after",
                f"距截止时间 not_after 还有 {left_ms} 毫秒；收录回执是承诺，须至少留有 "
                f"{margin_ms} 毫秒；请以更晚的截止时间重新签名",
            )

    def _check_valid(self, transaction: Transaction, now_ms: int) -> None:
        chain = self._chain
        time_ms = max(now_ms, chain.header.time_ms + 1)
        check_time(transaction, time_ms, chain.limits.replay_window_ms)
        check_keys(transaction, chain.header.height + 1, chain.party, self._valid_keys)
