"""Leaving a view and entering a later one (Castro & Liskov, OSDI '99, sections 4.4 and 4.5.2).

A replica whose timer ran out, or that sees f+1 others ask for higher views, signs a view-change
that claims its highest prepared block. The new primary takes a quorum of them and proposes the
highest prepared block again, byte for byte, or a fresh one if the quorum claims none. Why nothing
committed is lost: a block committed in view v was prepared by a quorum, whoever claims later has
left v, and every quorum of claims contains a correct one of those (also IBFT, arXiv 1901.07160).
Nobody proposes or prepares what it could not execute itself, prepared certificate or not.
"""

from __future__ import annotations

import msgspec

from consensus.actions import Broadcast, Send
from consensus.messages import Decided, NewView, Proposal, ViewChange
from consensus.normal_case import (
    accept,
    build,
    is_open,
    may_accept,
    remember_proposal,
    sign_pre_prepare,
)
from consensus.proposal import check_fresh, check_proposal
from consensus.state import Accepted, HeightState
from consensus.view_change_book import choose_plan, find_claimers, find_wanted
from ledger.refusal import Rejected
from ledger.votes import VIEW_MAX, Vote


def ask_for_view(state: HeightState, view: int, why: str) -> None:
    """Leave the current view for good and ask for a later one."""
    if state.is_silent or state.decided is not None or not state.view < view <= VIEW_MAX:
        return
    state.note(f"asks for view {view}: {why}")
    state.enter_view(view, is_changing=True)
    state.emit(Broadcast(state.sign_view_change()))


def join_higher_view(state: HeightState) -> None:
    """Follow f+1 others to the smallest view they ask for, as often as that applies.

    Only the last of these views is asked for: a step signs at most one view-change, so that the
    durable record holds the very one that is sent.
    """
    membership = state.membership
    view = state.view
    while True:
        higher = state.view_changes.find_join_view(view, membership.own, membership.weak_quorum)
        if higher is None:
            break
        view = higher
    if view > state.view:
        ask_for_view(state, view, f"{membership.weak_quorum} others ask for higher views")


def take_view_change(state: HeightState, message: ViewChange) -> None:
    """Count a verified view-change, and the votes its certificate consists of."""
    state.record_claim(message.statement)
    state.view_changes.add(message)
    if message.prepared is not None:
        for vote in message.prepared.votes(state.height, state.membership.validators):
            state.record_vote(vote)


def help_replica(state: HeightState, replica: int) -> None:
    """Send a replica stuck in an older view what it missed, not too often."""
    last = state.helped_at_tick.get(replica)
    if last is not None and state.ticks < last + state.timing.resend_interval_ticks:
        return
    state.helped_at_tick[replica] = state.ticks
    send_all(state, replica)


def send_all(state: HeightState, replica: int) -> None:
    """Send one replica the accepted proposal, the own votes and the decision, if any.

    Of another's proposal only a body that was executed here is passed on: one that still lacks
    envelopes may be a lie, and whoever passed it on would be counted as bringing it.
    """
    if state.decided is not None:
        state.emit(Send(replica, Decided(state.decided)))
    own = state.own_messages()
    accepted = state.accepted
    if accepted is not None and accepted.message is not None and not state.is_primary:
        held = state.proposals.get(accepted.block_hash)
        if held is not None and held.is_ok:
            told = msgspec.structs.replace(accepted.message, proposal=held.proposal)
            state.emit(Send(replica, told))
    for message in own:
        state.emit(Send(replica, message))


def propose_new_view(state: HeightState) -> None:
    """As the primary of the view asked for, work towards its new-view."""
    if state.is_silent or state.decided is not None:
        return
    if not state.is_changing or not state.is_primary:
        return
    view_changes = state.view_changes.exactly(state.view)
    prepared = None if state.plan is None else state.plan.prepared
    if prepared is not None and state.proposals.get(prepared.block_hash) is None:
        state.plan = None  # the bytes were refused by the own execution; choose again
    if state.plan is None:
        state.plan = choose_plan(
            state.view,
            view_changes,
            state.membership.quorum,
            lambda block_hash: state.proposals.get(block_hash) is not None,
        )
    if state.plan is None:
        wanted = find_wanted(view_changes)
        if wanted is not None and len(view_changes) >= state.membership.quorum:
            state.fetch(wanted.block_hash, find_claimers(view_changes, wanted.block_hash))
        return
    if state.plan.prepared is None:
        build(state, allow_empty=True)
        return
    held = state.proposals.get(state.plan.prepared.block_hash)
    if held is None:
        return
    block_hash = state.plan.prepared.block_hash
    if not held.is_ok and held.brought_by is not None:
        # It may name envelopes that nobody has; whoever prepared the block has all of it.
        state.fetch(block_hash, find_claimers(view_changes, block_hash))
    # Asked again in this view: of what was executed in an earlier one the driver keeps no more than
    # a few blocks, and this one has to be durable before it is proposed.
    state.check_body(held.proposal, block_hash, held.source)
    if held.is_ok:
        send_new_view(state, held.proposal)


def send_new_view(state: HeightState, proposal: Proposal) -> None:
    """Enter the view as its primary and propose, with the justification."""
    plan = state.plan
    if plan is None or not state.is_changing or not state.is_primary:
        return
    state.enter_view(state.view, is_changing=False)
    vote = sign_pre_prepare(state, proposal)
    message = NewView(
        state.height, state.view, plan.view_changes, plan.prepared, proposal, vote.signature
    )
    state.accepted = Accepted(state.view, vote.block_hash, vote.signature, message)
    state.emit(Broadcast(message))


def is_new_view_useful(state: HeightState, message: NewView, brought_by: int) -> bool:
    """Return whether a new-view could still be entered; asked before it is verified."""
    if state.decided is not None or message.view < state.view:
        return False
    return _enters_view(state, message) or is_open(state, message, brought_by)


def _enters_view(state: HeightState, message: NewView) -> bool:
    """Return whether accepting a new-view is to enter its view."""
    return message.view > state.view or state.is_changing


def accept_new_view(
    state: HeightState, message: NewView, vote: Vote, now_ms: int | None, brought_by: int
) -> None:
    """Enter a later view with its verified new-view.

    The time of a block proposed again is not checked against the clock; it was when it was fresh,
    and doing it again would keep a view change from ever ending.
    """
    state.record_vote(vote)
    for signed in message.view_changes:
        state.record_claim(signed.at(message.height, message.view))
    if not is_new_view_useful(state, message, brought_by) or not may_accept(state, vote):
        return
    remember_proposal(state, message)
    try:
        header = check_proposal(message.proposal, state.parent, state.membership.validators)
        if message.prepared is None:
            check_fresh(header, vote.replica, now_ms, state.timing.clock_skew_ms_max)
    except Rejected as error:
        state.note(f"new-view of replica {vote.replica} refused: {error}")
        return
    if message.prepared is not None:
        for earlier in message.prepared.votes(state.height, state.membership.validators):
            state.record_vote(earlier)
    if _enters_view(state, message):
        state.enter_view(message.view, is_changing=False)
    accept(state, message, vote, brought_by)
