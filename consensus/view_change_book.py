"""The newest view-change of each replica at one height, and what follows from them.

One slot per replica, so memory is bounded and a liar occupies only its own. A replica's later
view-change replaces its earlier one: it has left the earlier view, and a quorum for that view must
not wait for it. All rules of Castro & Liskov's sections 4.4 and 4.5.2 that only count view-changes
are here, as pure functions of the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consensus.durable import NewViewPlan
from consensus.messages import ViewChange
from ledger.votes import PreparedCertificate


class ViewChangeBook:
    """At most one verified view-change per replica."""

    def __init__(self) -> None:
        self._newest: dict[int, ViewChange] = {}

    def get(self, replica: int) -> ViewChange | None:
        """Return a replica's newest view-change."""
        return self._newest.get(replica)

    def is_news(self, message: ViewChange) -> bool:
        """Return whether this asks for a higher view than its replica did before."""
        newest = self._newest.get(message.replica)
        return newest is None or message.view > newest.view

    def add(self, message: ViewChange) -> None:
        """Keep a verified view-change if it is news."""
        if self.is_news(message):
            self._newest[message.replica] = message

    def count_from(self, view: int) -> int:
        """Return how many replicas asked for `view` or a later one.

        A quorum of these starts the timer of `view`. Counting only `view` itself would deadlock: a
        replica that went on and whose older message was lost would never be counted again.
        """
        return sum(message.view >= view for message in self._newest.values())

    def exactly(self, view: int) -> tuple[ViewChange, ...]:
        """Return the view-changes for one view, ascending by replica."""
        return tuple(
            self._newest[replica]
            for replica in sorted(self._newest)
            if self._newest[replica].view == view
        )

    def find_join_view(self, view: int, own: int, weak_quorum: int) -> int | None:
        """Return the smallest view above `view` that f+1 others justify joining, or None.

        Castro & Liskov, section 4.5.2: with f+1 view-changes of others for higher views, join the
        smallest of them, even if the own timer has not expired. f liars cannot drag anybody.
        """
        higher = [
            message.view
            for replica, message in self._newest.items()
            if replica != own and message.view > view
        ]
        return min(higher) if len(higher) >= weak_quorum else None


def choose_plan(
    view: int,
    view_changes: Sequence[ViewChange],
    quorum: int,
    is_at_hand: Callable[[bytes], bool],
) -> NewViewPlan | None:
    """Choose a quorum of view-changes whose highest prepared block this replica can propose.

    Any quorum is a sound choice, because a block that may be committed is claimed in every one
    (Castro & Liskov, section 4.5.1). The one with the highest prepared view is preferred; if the
    bytes of its block are not at hand, a quorum without that claim proves that the block is not
    committed and may be dropped. None: there is no quorum, or the bytes must be fetched first.
    """
    if len(view_changes) < quorum:
        return None
    for prepared in _prepared_descending(view_changes):
        limit = -1 if prepared is None else prepared.view
        chosen = [message for message in view_changes if _prepared_view(message) <= limit]
        if len(chosen) < quorum:
            return None
        if prepared is None or is_at_hand(prepared.block_hash):
            return NewViewPlan(view, tuple(message.claim for message in chosen), prepared)
    return None


def find_wanted(view_changes: Sequence[ViewChange]) -> PreparedCertificate | None:
    """Return the highest prepared certificate among view-changes."""
    return next(iter(_prepared_descending(view_changes)), None)


def find_claimers(view_changes: Sequence[ViewChange], block_hash: bytes) -> tuple[int, ...]:
    """Return who claims to have prepared a block, and so must serve its bytes."""
    return tuple(
        message.replica
        for message in view_changes
        if message.prepared is not None and message.prepared.block_hash == block_hash
    )


def _prepared_view(message: ViewChange) -> int:
    return -1 if message.prepared is None else message.prepared.view


def _prepared_descending(
    view_changes: Sequence[ViewChange],
) -> tuple[PreparedCertificate | None, ...]:
    by_view = {
        message.prepared.view: message.prepared
        for message in view_changes
        if message.prepared is not None
    }
    return (*(by_view[view] for view in sorted(by_view, reverse=True)), None)
