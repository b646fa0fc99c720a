"""From a height's state to its durable record, and back after a restart.

A restarted replica repeats exactly the statements in its record. Its own votes are counted again,
and the pending block is executed again before anything new is signed about it.
"""

from __future__ import annotations

from consensus.durable import RECORD_VERSION, DurableRecord
from consensus.messages import NewView, PrePrepare, Proposal
from consensus.normal_case import remember_proposal
from consensus.proposal import check_proposal
from consensus.state import Accepted, HeightState
from ledger.refusal import Rejected
from ledger.votes import PRE_PREPARE, PreparedCertificate


def compose_record(state: HeightState, silent_through_height: int) -> DurableRecord:
    """Return everything about this height that must survive."""
    return DurableRecord(
        version=RECORD_VERSION,
        chain_id=state.membership.chain_id,
        replica=state.membership.own,
        silent_through_height=silent_through_height,
        height=state.height,
        view=state.view,
        is_changing=state.is_changing,
        votes=tuple(state.own_votes[key] for key in sorted(state.own_votes)),
        view_change=state.own_view_change,
        prepared=state.prepared,
        plan=None if state.is_changing else state.plan,
    )


def resume(state: HeightState, record: DurableRecord, pending: Proposal | None) -> None:
    """Continue at the record's height."""
    state.view = record.view
    state.votes.own_view = record.view
    state.is_changing = record.is_changing
    state.prepared = record.prepared
    state.own_view_change = record.view_change
    state.plan = record.plan
    for vote in record.votes:
        state.own_votes[(vote.phase, vote.view)] = vote
        state.record_vote(vote)
    if record.prepared is not None:
        for vote in record.prepared.votes(state.height, state.membership.validators):
            state.record_vote(vote)
    if record.view_change is not None:
        state.view_changes.add(record.view_change)
    if pending is not None and pending.block_hash == state.pending_hash():
        _resume_pending(state, pending)
    state.broadcast_own()


def _resume_pending(state: HeightState, pending: Proposal) -> None:
    try:
        check_proposal(pending, state.parent, state.membership.validators)
    except Rejected as error:
        state.note(f"the pending block does not fit: {error}")
        return
    block_hash = pending.block_hash
    if state.prepared is not None:
        remember_proposal(state, _compose_prepared(state.height, state.prepared, pending))
    if not state.is_changing:
        state.accepted = _find_accepted(state, pending, block_hash)
    state.check_body(pending, block_hash, state.membership.own)


def _find_accepted(state: HeightState, pending: Proposal, block_hash: bytes) -> Accepted | None:
    """Return the pending block as the accepted one, if it was that in the current view."""
    own_proposal = state.own_vote(PRE_PREPARE)
    if own_proposal is not None:
        if own_proposal.block_hash != block_hash:
            return None
        message = _compose_proposal(state, pending, own_proposal.signature)
        return Accepted(state.view, block_hash, own_proposal.signature, message)
    if state.prepared is not None and state.prepared.view == state.view:
        return Accepted(state.view, block_hash, state.prepared.pre_prepare, None)
    return None


def _compose_prepared(
    height: int, prepared: PreparedCertificate, pending: Proposal
) -> NewView | PrePrepare:
    """Return what the primary signed when the block was prepared, to be shown: the record has its
    signature, but nothing of what justified a new-view."""
    if prepared.view == 0:
        return PrePrepare(height, 0, pending, prepared.pre_prepare)
    return NewView(height, prepared.view, (), None, pending, prepared.pre_prepare)


def _compose_proposal(
    state: HeightState, pending: Proposal, signature: bytes
) -> NewView | PrePrepare | None:
    if state.view == 0:
        return PrePrepare(state.height, 0, pending, signature)
    plan = state.plan
    if plan is None or plan.view != state.view:
        return None
    return NewView(state.height, state.view, plan.view_changes, plan.prepared, pending, signature)
