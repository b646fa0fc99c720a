"""Which streams' earlier entries execution may still read.

`refund.computed` and `findings.computed` read all applied entries of a contract and of its
merchant, and an event about an earlier one reads that one (`contracts.lifecycle.LOOKING_BACK`). So
a node can execute only as long as it has at hand, of streams that begin with one of `PREFIXES`:

    contract/…   with a record of a contract under terms, until `ContractRecord.is_over_at`;
                 and without any record yet, for it may be signed there later
    merchant/…   always: its contracts may be computed

The refused ones are kept beside them, because only all together give the stream's root; how many
were applied a node knows of these streams alone.

Whether that is so follows from the state and the time of the newest block, and once it is not it
never is again. Of every other stream only the state is read.
"""

from __future__ import annotations

from typing import Final

from contracts.custody import MERCHANT_PREFIX, ContractRecord
from contracts.streams import StreamState

CONTRACT_PREFIX: Final = "contract/"
PREFIXES: Final = (CONTRACT_PREFIX, MERCHANT_PREFIX)
"""In the order of names."""


def may_look_back(stream: str, state: StreamState, time_ms: int) -> bool:
    """Say whether a block after `time_ms`, the newest one's time, may read a stream's entries."""
    if stream.startswith(CONTRACT_PREFIX):
        record = state.record
        return record is None or (
            isinstance(record, ContractRecord) and not record.is_over_at(time_ms)
        )
    return stream.startswith(MERCHANT_PREFIX)
