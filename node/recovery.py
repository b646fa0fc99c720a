"""Recovery from amnesia: a node that lost its vote journal must not contradict what it once signed.

A node on restored or empty storage asks its peers how far they are, each answer proven by a commit
certificate. Once a quorum has answered, D is the highest height certified to it. Whatever this node
signed before it lost its memory was for heights up to D+1, or it had helped decide a height above D
that a quorum would know of; so it signs nothing at heights up to D+2 and may vote again after that.

A journal that was put back from an old copy has forgotten as well, and says nothing of it. It is
told by its height: the driver has the journal hear of each height before the chain has the block,
so a journal below its chain is never its own. One of another node or network is told by the record
in it. (Where the whole home is an old copy nothing here tells; such a node counts among the f.)
"""

from __future__ import annotations

from typing import Final

from api.problems import explain_rejected
from consensus.durable import decode_record
from ledger.refusal import Rejected
from ledger.validators import ValidatorSet
from ledger.words import Words

SILENT_ALWAYS: Final = 2**53 - 1
"""Sign nothing at any height: what holds until a quorum has answered."""

MARGIN_HEIGHTS: Final = 2


def find_amnesia(journal_height: int, chain_height: int) -> Words | None:
    """Return why a node must not vote on with the journal it has; None if it may."""
    if chain_height <= journal_height:
        return None
    return Words(
        f"投票日志比链旧：它止于高度 {journal_height}，而区块 {chain_height} 已执行；本节点此后"
        "签署过什么无从知道，因此在运行 `evidence-ledger node recover` 之前不得投票",
        f"the vote journal is older than the chain: it ends at height {journal_height}, and block "
        f"{chain_height} is applied; what this node has signed since is unknown, so it must not "
        "vote before `evidence-ledger node recover`",
    )


def find_stranger(record: bytes | None, chain_id: bytes, replica: int) -> Words | None:
    """Return why the replica's record in a journal is not this replica's own; None if it is."""
    if record is None:
        return None
    try:
        decode_record(record, chain_id, replica)
    except Rejected as rejected:
        return Words(
            f"投票日志不是本节点的：{explain_rejected(rejected)}；本节点签署过什么无从知道，因此在"
            "运行 `evidence-ledger node recover` 之前不得投票",
            f"the vote journal is not this node's own: {rejected.detail}; what this node has "
            "signed is unknown, so it must not vote before `evidence-ledger node recover`",
        )
    return None


class Recovery:
    """Counts the answers of a recovering node's peers."""

    def __init__(self, validators: ValidatorSet, replica: int, is_active: bool) -> None:
        self._validators = validators
        self._replica = replica
        self._heights: dict[int, int] = {}
        self.is_active = is_active

    def hear(self, replica: int, height: int) -> int | None:
        """Take a peer's certified height; return through which height to be silent, once known.

        The node itself does not count: it remembers nothing. So in a network of n the recovery
        needs a quorum of n among the other n−1.
        """
        if not self.is_active or replica == self._replica:
            return None
        self._heights[replica] = max(height, self._heights.get(replica, 0))
        if len(self._heights) < self._validators.quorum:
            return None
        self.is_active = False
        return max(self._heights.values()) + MARGIN_HEIGHTS
