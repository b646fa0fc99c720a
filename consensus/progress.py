"""What the passing of ticks does at one height: timeouts, skipped turns, repetition.

The view timer guards progress only. In view 0 it counts while there is something to decide: work
waits here, the idle interval is over, or a proposal is under way (a primary may fall silent right
after it). In a view that was asked for it counts only from a quorum of view-changes on (Castro &
Liskov, OSDI '99, section 4.5.2), so that nobody runs ahead of the others; it goes on through the
new-view, and starts afresh with the next view or height.
"""

from __future__ import annotations

from consensus.actions import Broadcast
from consensus.decision import decide
from consensus.messages import Decided
from consensus.normal_case import ask_for_proposal, commit, prepare, show_proposal
from consensus.state import HeightState
from consensus.timers import compute_view_timeout_ticks
from consensus.view_change import ask_for_view, join_higher_view, propose_new_view


def advance(state: HeightState) -> None:
    """Do everything that the votes and view-changes at hand allow. Doing it twice does nothing."""
    join_higher_view(state)
    propose_new_view(state)
    show_proposal(state)
    prepare(state)
    commit(state)
    decide(state)


def tick(state: HeightState, work_pending: bool, is_turn_skipped: bool) -> None:
    """Let one tick pass."""
    state.ticks += 1
    if state.decided is None:
        if _is_counting(state, work_pending):
            _count(state, is_turn_skipped)
        ask_for_proposal(state, work_pending)
    if state.ticks % state.timing.resend_interval_ticks == 0:
        _repeat(state)
    advance(state)


def _is_counting(state: HeightState, work_pending: bool) -> bool:
    if state.is_changing:
        return state.view_changes.count_from(state.view) >= state.membership.quorum
    return (
        work_pending
        or state.view > 0
        or state.accepted is not None
        or bool(state.refused_bodies)
        or bool(state.own_votes)
        or state.ticks >= state.timing.idle_interval_ticks
    )


def _count(state: HeightState, is_turn_skipped: bool) -> None:
    is_untouched = state.view == 0 and not state.is_changing and state.accepted is None
    if is_turn_skipped and is_untouched and not state.is_primary and not state.own_votes:
        state.has_skipped = True
        ask_for_view(state, 1, f"replica {state.primary} failed its last turns")
        return
    state.view_ticks += 1
    timeout_ticks = compute_view_timeout_ticks(state.view, state.timing)
    if state.view_ticks >= timeout_ticks:
        ask_for_view(state, state.view + 1, f"no decision in {timeout_ticks} ticks")


def _repeat(state: HeightState) -> None:
    if state.decided is not None and not state.is_silent:
        state.emit(Broadcast(Decided(state.decided)))
    state.broadcast_own()
