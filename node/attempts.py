"""Who may add another attempt to a record that is full of refused ones.

What is refused stands in its contract's record like what is applied: the attempt is evidence too.
So anybody registered could make a record as long as they please, and with it every answer that
proves it whole, its merchant's schedule among them: a merchant who is about to vanish has reason
to. From `ATTEMPTS_MAX` refused or undecided entries of a contract's or merchant's stream on, this
node therefore tries a submission on the applied state, and turns it away with the reason where it
would only be one more refused attempt. Whatever would be applied passes, so nobody is shut out.

This is a rule of the door. A block is not held to it, and what a node let in it has promised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from contracts.execution import Candidate, Chain, Executor
from contracts.lookback import PREFIXES
from ledger.refusal import Reason, Rejected
from ledger.stream import decode_stored_stream

ATTEMPTS_MAX: Final = 1_000
"""Of the largest, some 40 MB of record: a third of what one answer may be made of."""


class Arrivals:
    """How many submissions of each stream are on their way into the pool."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, stream: str) -> int:
        """Return how many of this stream's are."""
        return self._counts[stream]

    def begin(self, stream: str) -> None:
        """One more is."""
        self._counts[stream] += 1

    def end(self, streams: Iterable[str]) -> None:
        """These are in the pool, or will never be."""
        for stream in streams:
            self._counts[stream] -= 1
            if not self._counts[stream]:
                del self._counts[stream]


def check_attempt(chain: Chain, candidate: Candidate, undecided: int, time_ms: int) -> None:
    """Raise `Rejected` (TOO_MANY_ATTEMPTS) for one more attempt that a block would refuse.

    `undecided` counts the stream's submissions that no block holds yet.
    """
    stream = candidate.transaction.body.stream
    if not stream.startswith(PREFIXES):
        return
    raw = chain.reader.state(stream)
    attempts = undecided + (0 if raw is None else decode_stored_stream(raw).refused)
    if attempts < ATTEMPTS_MAX:
        return
    executor = Executor(chain, max(time_ms, chain.header.time_ms + 1))
    (rejected,) = executor.admit([candidate.transaction])
    if rejected is not None:
        raise rejected
    if executor.execute([candidate]) or not executor.outcomes[0].refused:
        return
    code = executor.outcomes[0].code
    raise Rejected(
        Reason.TOO_MANY_ATTEMPTS,
        f"{stream} has {attempts} attempts that were refused or that no block holds yet; from "
        f"{ATTEMPTS_MAX} on only what would be applied is taken in, and as of block "
        f"{chain.header.height} this would be refused as {code}",
        f"{stream} 已有 {attempts} 笔被拒或尚未入块的提交；自 {ATTEMPTS_MAX} 笔起只收录会生效的"
        f"交易，而按区块 {chain.header.height} 的状态，本笔将以 {code} 被拒",
    )
