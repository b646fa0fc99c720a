"""One view without failures: pre-prepare, prepare, commit (Castro & Liskov, OSDI '99, section 4.2).

The primary executes a block before it proposes it; every other replica executes it before it
prepares. One that comes to another result does not prepare, says where it differs and lets the
view's timer run. The primary's pre-prepare is its prepare, and a prepare from it never counts.
Every function here takes the state of the height, changes it and writes to its outbox; each asks
for all its own preconditions, so calling one too often does nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from consensus.actions import Broadcast, BuildProposal, Send
from consensus.events import ProposalBuilt, ProposalChecked, Verdict
from consensus.messages import NewView, PrePrepare, Proposal
from consensus.proposal import HeldProposal, check_fresh, check_proposal
from consensus.state import Accepted, HeightState, vote_message
from consensus.timers import compute_batch_divisor
from ledger.refusal import Reason, Rejected
from ledger.votes import COMMIT, PRE_PREPARE, PREPARE, PreparedCertificate, SignedBy, Vote

REFUSED_BODIES_PER_VIEW_MAX: Final = 3
"""Bodies of one view's proposal that one replica may bring to no use: more attempts at what it
repeats would mostly execute the same thing again. What others bring is tried all the same, or a
liar nearer than the primary could use up the attempts for it."""

BUILDS_PER_TURN_MAX: Final = 4
"""How often, of one view timeout, the primary builds what its own clock says is ahead of it:
building executes, and a clock that is behind stays so for longer than a tick."""

_RETRYABLE: Final = frozenset(
    {
        Verdict.UNAVAILABLE,
        Verdict.BAD_BODY,
        Verdict.INADMISSIBLE,
        Verdict.ENTRIES_DIFFER,
        Verdict.CANNOT_EXECUTE,
    }
)
"""Verdicts that may be about the bytes that came and not about the block: the envelopes' hashes do
not enter the block hash, so whoever passed a proposal on may have named others. The true bytes,
repeated by the primary, are still taken in this view."""


_EXECUTED_OTHERWISE: Final = frozenset(
    {Verdict.ENTRIES_DIFFER, Verdict.STATE_DIFFERS, Verdict.CANNOT_EXECUTE}
)
"""Verdicts by which either the primary or this node executes wrongly."""


def ask_for_proposal(state: HeightState, work_pending: bool) -> None:
    """In view 0, have the primary build a block if there is work, or none has come for long."""
    if state.view != 0 or state.is_changing or state.own_vote(PRE_PREPARE) is not None:
        return
    is_idle_over = state.ticks >= state.timing.idle_interval_ticks
    if work_pending or is_idle_over:
        build(state, allow_empty=is_idle_over)


def build(state: HeightState, allow_empty: bool) -> None:
    """Ask the driver for a fresh block of the current view, once per view and tick."""
    if state.is_silent or state.decided is not None or not state.is_primary:
        return
    if state.is_building or state.ticks < state.build_from_tick:
        return
    state.is_building = True
    failed_view_count = state.view - int(state.has_skipped and state.view > 0)
    state.emit(
        BuildProposal(
            state.height, state.view, compute_batch_divisor(failed_view_count), allow_empty
        )
    )


def take_built(state: HeightState, event: ProposalBuilt, now_ms: int | None) -> Proposal | None:
    """Return the block the driver built, if it still fits and its replicas will accept it."""
    if event.height != state.height or event.view != state.view or not state.is_building:
        return None
    state.is_building = False
    state.build_from_tick = state.ticks + 1
    if event.proposal is None or state.decided is not None or state.is_silent:
        return None
    try:
        header = check_proposal(event.proposal, state.parent, state.membership.validators)
        check_fresh(header, state.membership.own, now_ms, state.timing.clock_skew_ms_max)
    except Rejected as error:
        state.note(f"the block built here is not proposed: {error}")
        if error.reason is Reason.TOO_FAR_AHEAD and now_ms is not None:
            rest_ticks = -(-state.timing.view_timeout_ticks // BUILDS_PER_TURN_MAX)
            state.build_from_tick = state.ticks + rest_ticks
        return None
    return event.proposal


def pre_prepare(state: HeightState, proposal: Proposal) -> None:
    """Propose a fresh block in view 0."""
    if state.view != 0 or state.is_changing or state.own_vote(PRE_PREPARE) is not None:
        return
    vote = sign_pre_prepare(state, proposal)
    message = PrePrepare(state.height, 0, proposal, vote.signature)
    state.accepted = Accepted(0, vote.block_hash, vote.signature, message)
    state.emit(Broadcast(message))


def sign_pre_prepare(state: HeightState, proposal: Proposal) -> Vote:
    """Sign a proposal that this replica executed, and keep its bytes."""
    vote = state.sign_vote(PRE_PREPARE, proposal.block_hash)
    held = state.proposals.hold(
        vote.block_hash,
        HeldProposal(proposal, state.membership.own, is_ok=True, checking_view=state.view),
        state.needed_hashes(),
    )
    if held is None:
        raise RuntimeError(f"height {state.height}: no room for the own proposal")
    held.is_ok = True
    return vote


def accept_pre_prepare(
    state: HeightState, message: PrePrepare, vote: Vote, now_ms: int | None, brought_by: int
) -> None:
    """Accept the verified proposal of view 0's primary: the first one, if it may stand here."""
    state.record_vote(vote)
    if state.view != 0 or state.is_changing or not is_open(state, message, brought_by):
        return
    if not may_accept(state, vote):
        return
    remember_proposal(state, message)
    try:
        header = check_proposal(message.proposal, state.parent, state.membership.validators)
        check_fresh(header, vote.replica, now_ms, state.timing.clock_skew_ms_max)
    except Rejected as error:
        state.note(f"proposal of replica {vote.replica} refused: {error}")
        return
    accept(state, message, vote, brought_by)


def is_open(state: HeightState, message: PrePrepare | NewView, brought_by: int) -> bool:
    """Return whether a proposal of the current view could be of use.

    That is so until one was accepted. Then the primary's own body is taken instead of one that
    somebody else passed on and that still lacks envelopes: it may name what nobody has, and have
    been faster. Nobody else's takes a place, or a liar could push out the true one again and again.
    """
    accepted = state.accepted
    if accepted is None:
        return state.refused_bodies[brought_by] < REFUSED_BODIES_PER_VIEW_MAX
    held = state.proposals.get(accepted.block_hash)
    primary = state.membership.validators.primary(message.height, message.view)
    return (
        held is not None
        and brought_by == primary != held.brought_by
        and held.may_give_way(message.proposal)
        and accepted.block_hash == message.proposal.block_hash
    )


def may_accept(state: HeightState, vote: Vote) -> bool:
    """Return whether a primary's proposal may still become the accepted one of its view."""
    if state.decided is not None or vote.replica == state.membership.own:
        return False
    # After a restart the own durable prepare says which block was accepted before.
    own_prepare = state.own_votes.get((PREPARE, vote.view))
    return own_prepare is None or own_prepare.block_hash == vote.block_hash


def accept(state: HeightState, message: PrePrepare | NewView, vote: Vote, brought_by: int) -> None:
    """Work on this proposal in this view, beginning with executing it."""
    state.accepted = Accepted(vote.view, vote.block_hash, vote.signature, message)
    state.check_body(message.proposal, vote.block_hash, vote.replica, brought_by=brought_by)


def take_verdict(state: HeightState, event: ProposalChecked) -> bool:
    """Learn what came of executing a proposal; return whether it was refused."""
    held = state.proposals.get(event.block_hash)
    if event.height != state.height or held is None or held.checking_view != event.view:
        return False
    if held.is_ok:
        return False
    if event.verdict is Verdict.OK:
        held.is_ok = True
        return False
    state.note(
        f"block {event.block_hash.hex()} from replica {held.source}: {event.verdict}"
        + (f": {event.detail}" if event.detail else ""),
        is_warning=event.verdict in _EXECUTED_OTHERWISE,
    )
    state.proposals.drop(event.block_hash)
    is_accepted = state.accepted is not None and state.accepted.block_hash == event.block_hash
    if is_accepted and event.verdict in _RETRYABLE:
        state.accepted = None
        if held.brought_by is not None:
            state.refused_bodies[held.brought_by] += 1
    is_decided = state.decided is not None and state.decided.block_hash == event.block_hash
    if is_decided and held.brought_by is None and event.verdict is not Verdict.UNAVAILABLE:
        state.bad_sources.add(held.source)
    return True


def remember_proposal(state: HeightState, message: PrePrepare | NewView) -> None:
    """Keep the first that the primary of a view signed there, to be shown.

    What it signed is the header's hash, so the header is kept and no body.
    """
    if state.proposed is None or message.view > state.proposed.view:
        header_alone = Proposal(message.proposal.header, b"", b"")
        state.proposed = msgspec.structs.replace(message, proposal=header_alone)
        state.shown_to.clear()


def show_proposal(state: HeightState) -> None:
    """Send the newest proposal to those who prepared another block in its view, once to each.

    A primary that proposed one block to some and another to others may have left every correct
    replica with one of its two signatures, and nobody with the evidence; a prepare tells who has
    the other one. That may come when the view is over, as it does if the primary waits until then.
    """
    proposed = state.proposed
    if proposed is None:
        return
    known = {state.membership.own, state.membership.validators.primary(state.height, proposed.view)}
    block_hash = proposed.proposal.block_hash
    for replica in state.votes.find_others(PREPARE, proposed.view, block_hash):
        if replica not in known | state.shown_to:
            state.shown_to.add(replica)
            state.emit(Send(replica, proposed))


def prepare(state: HeightState) -> None:
    """Sign a prepare for the accepted proposal once it was executed with the same result."""
    accepted = _find_executed(state)
    if accepted is None or state.is_primary or state.own_vote(PREPARE) is not None:
        return
    vote = state.sign_vote(PREPARE, accepted.block_hash)
    state.emit(Broadcast(vote_message(vote)))


def commit(state: HeightState) -> None:
    """Sign a commit once the accepted proposal is prepared.

    *Prepared* (section 4.2): the pre-prepare and matching prepares of other replicas, a quorum
    together; a prepare of the view's primary itself is never one of them. The certificate and the
    block's bytes are durable before the commit is sent.
    """
    accepted = _find_executed(state)
    if accepted is None or state.own_vote(COMMIT) is not None:
        return
    quorum = state.membership.quorum
    prepares = [
        vote
        for vote in state.votes.votes(PREPARE, state.view, accepted.block_hash)
        if vote.replica != state.primary
    ]
    if 1 + len(prepares) < quorum:
        return
    state.prepared = PreparedCertificate(
        state.view,
        accepted.block_hash,
        accepted.signature,
        tuple(SignedBy(vote.replica, vote.signature) for vote in prepares[: quorum - 1]),
    )
    vote = state.sign_vote(COMMIT, accepted.block_hash)
    state.emit(Broadcast(vote_message(vote)))


def _find_executed(state: HeightState) -> Accepted | None:
    """Return the accepted proposal of the current view if this replica may vote for it now."""
    if state.is_silent or state.is_changing or state.decided is not None:
        return None
    accepted = state.accepted
    if accepted is None or accepted.view != state.view:
        return None
    held = state.proposals.get(accepted.block_hash)
    return accepted if held is not None and held.is_ok else None
