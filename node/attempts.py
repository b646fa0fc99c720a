"""Who may add another attempt to a record that is full of refused ones.

What is refused stands in its contract's record like what is applied: the attempt is evidence too.
So anybody registered could make a record as long as they please, and with it every answer that
proves it whole, its merchant's schedule among them: a merchant who is about to vanish has reason
to. From `ATTEMPTS_MAX` refused entries of a contract's or merchant's stream on, this node therefore
tries a submission on the applied state, and turns it away with the reason where it would only be
one more refused attempt. Whatever would be applied passes, so nobody is shut out; but only one at a
time of each signer, because of many that would be applied each by itself (a bill under one
reference with ever another amount) a block may refuse all but one.

Until then nothing is tried, however much waits: what comes in bulk builds on itself, an opening,
its payment and a thousand visits in one request. So a flood may get in what the pool holds before
its first thousand are decided.

A trial costs what the transaction's execution costs, and what is turned away comes again. So all
trials at one height together read no more than a block may (`READS_MAX`).

This is a rule of the door. A block is not held to it, and what a node let in it has promised.
"""

from __future__ import annotations

from typing import Final

from contracts.execution import Candidate, Chain, Executor
from contracts.handling import READS_MAX
from contracts.lookback import PREFIXES
from ledger.refusal import Reason, Rejected
from ledger.stream import count_refused
from node.undecided import Undecided

ATTEMPTS_MAX: Final = 1_000
"""Of the largest, some 40 MB of record: a third of what one answer may be made of."""


class Trials:
    """What is tried on one node's applied state; see the module's text."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._reads_left = READS_MAX

    def block_applied(self) -> None:
        """There is a new state to try things on."""
        self._reads_left = READS_MAX

    def is_due(self, candidate: Candidate) -> bool:
        """Say whether a submission's record is so full that it is tried first."""
        return self._count_refused(candidate.transaction.body.stream) >= ATTEMPTS_MAX

    def check(self, candidate: Candidate, time_ms: int, *undecided: Undecided) -> None:
        """Raise `Rejected` for one more attempt on a full record.

        Reasons: TOO_MANY_ATTEMPTS where a block would refuse it, QUOTA_EXCEEDED where an earlier
        one of a signer has to be decided first, POOL_FULL where no more is tried at this height,
        and those of `Executor.admit`. `undecided` is what no block holds yet.
        """
        body = candidate.transaction.body
        attempts = self._count_refused(body.stream)
        if attempts < ATTEMPTS_MAX:
            return
        for signer in body.signers:
            if any(each.count_of(body.stream, signer) for each in undecided):
                raise _waits(body.stream, attempts, signer)
        allowed = self._reads_left
        height = self._chain.header.height
        executor = Executor(
            self._chain, max(time_ms, self._chain.header.time_ms + 1), reads_max=allowed
        )
        (rejected,) = executor.admit([candidate.transaction])
        if rejected is not None:
            raise rejected
        failures = executor.execute([candidate])
        self._reads_left = executor.reads_left
        if failures or not executor.outcomes[0].refused:
            return
        code = executor.outcomes[0].code
        if code == "too_much_to_read" and allowed < READS_MAX:
            raise Rejected(
                Reason.POOL_FULL,
                f"{body.stream} has {attempts} attempts that were refused, and what was tried as "
                f"of block {height} leaves no room to try this; try again after the next block",
                f"{body.stream} 已有 {attempts} 笔被拒的提交，而按区块 {height} 的状态已试算的交易"
                "未留下余量；请在下一区块之后重试",
            )
        raise Rejected(
            Reason.TOO_MANY_ATTEMPTS,
            f"{body.stream} has {attempts} attempts that were refused; from {ATTEMPTS_MAX} on only "
            f"what would be applied is taken in, and as of block {height} this would be refused as "
            f"{code}",
            f"{body.stream} 已有 {attempts} 笔被拒的提交；自 {ATTEMPTS_MAX} 笔起只收录会生效的"
            f"交易，而按区块 {height} 的状态，本笔将以 {code} 被拒",
        )

    def _count_refused(self, stream: str) -> int:
        """Return how many of a stream were refused; 0 where nobody counts."""
        raw = self._chain.reader.state(stream) if stream.startswith(PREFIXES) else None
        return 0 if raw is None else count_refused(raw)


def _waits(stream: str, attempts: int, signer: str) -> Rejected:
    return Rejected(
        Reason.QUOTA_EXCEEDED,
        f"{stream} has {attempts} attempts that were refused; from {ATTEMPTS_MAX} on each signer's "
        f"next is taken in once the one before is decided, and one of {signer} waits",
        f"{stream} 已有 {attempts} 笔被拒的提交；自 {ATTEMPTS_MAX} 笔起，每个签名者须待前一笔入块后"
        f"方收录下一笔，而 {signer} 尚有一笔等待入块",
    )
