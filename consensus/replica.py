"""One replica of the per-height PBFT as a pure state machine: `step(event) -> actions`.

What always holds:
- a step reads no clock, no chance and no disk; the same events give the same actions;
- the actions' order is the order of durability: a step that signed anything starts with the one
  `Persist` that covers all of it;
- nothing a message says is remembered before its signer and its justification are verified;
- memory is bounded by the number of validators, whatever is received.
It knows headers and hashes; transactions, execution, storage and the network belong to the driver.
This module is the part that outlives a height: restart, silence, the next height's messages, being
late. The height itself: `normal_case`, `view_change`, `decision`, `progress`.
The validator set is fixed for the life of a replica.
"""

from __future__ import annotations

from typing import Final, assert_never

import msgspec

from consensus.actions import KEEP, Action, Note, Persist, SendDecided
from consensus.admission import (
    height_of,
    pre_prepare_vote,
    statement_of,
    verify_justification,
    verify_signer,
)
from consensus.decision import decide
from consensus.durable import DurableRecord, decode_record, encode_record
from consensus.events import (
    BlockApplied,
    Event,
    PeerConnected,
    ProposalBuilt,
    ProposalChecked,
    ProposalFetched,
    Received,
    Restored,
    SilenceSet,
    Tick,
)
from consensus.lateness import Lateness
from consensus.membership import Membership
from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    SignedMessage,
    ViewChange,
)
from consensus.next_height import NextHeightInbox
from consensus.normal_case import (
    accept_pre_prepare,
    ask_for_proposal,
    is_open,
    pre_prepare,
    take_built,
    take_verdict,
)
from consensus.progress import advance, tick
from consensus.proposal import check_proposal
from consensus.restart import compose_record, resume
from consensus.state import HeightState, Outbox
from consensus.statements import Statements
from consensus.timers import Timing
from consensus.turns import TurnTable
from consensus.view_change import (
    accept_new_view,
    help_replica,
    is_new_view_useful,
    send_all,
    send_new_view,
    take_view_change,
)
from ledger import signing
from ledger.block import Header, compute_block_hash, encode_header
from ledger.refusal import Rejected
from ledger.signing import Signer
from ledger.validators import ValidatorSet
from ledger.votes import VerifySignature, ViewClaim, Vote

ANSWERS_PER_TICK_MAX: Final = 4
"""Certificates of decided heights sent to one replica per tick; it votes on one height at a time,
so more are asked for only by a flood."""


class Replica:
    """One validator's consensus."""

    def __init__(
        self,
        *,
        own: int,
        validators: ValidatorSet,
        chain_id: bytes,
        signer: Signer,
        verify_signature: VerifySignature = signing.verify_signature,
        timing: Timing | None = None,
    ) -> None:
        self._membership: Final = Membership(own, validators, chain_id, signer, verify_signature)
        self._timing: Final = timing or Timing()
        self._outbox: Final = Outbox()
        self._inbox: Final = NextHeightInbox()
        self._decided = Statements()
        """Of the height below: what contradicts one of these is evidence still."""
        self._lateness: Final = Lateness(self._membership, self._timing)
        self._turns: Final = TurnTable()
        self._state_or_none: HeightState | None = None
        self._silent_through_height = 0
        self._floor: DurableRecord | None = None
        """A record of a height above the applied blocks: nothing is signed below it."""
        self._floor_event: Restored | None = None
        self._pending_on_disk: bytes | None = None
        self._now_ms: int | None = None
        self._work_pending = False
        self._ticks = 0
        self._answers: dict[int, int] = {}

    @property
    def height(self) -> int:
        """The height being decided."""
        return self._state.height

    @property
    def view(self) -> int:
        """The current view of that height."""
        return self._state.view

    @property
    def views_entered_count(self) -> int:
        """Views above 0 entered since the process began, at any height."""
        return self._outbox.views_entered_count

    @property
    def is_changing_view(self) -> bool:
        """Whether the current view was asked for and its new-view is awaited."""
        return self._state.is_changing

    @property
    def primary(self) -> int:
        """The primary of the current view."""
        return self._state.primary

    @property
    def applied(self) -> Header:
        """The newest applied block's header."""
        return self._state.parent

    @property
    def silent_through_height(self) -> int:
        """Nothing is signed at heights up to this one."""
        return self._silent_through_height

    @property
    def _state(self) -> HeightState:
        if self._state_or_none is None:
            raise RuntimeError("the first event of a replica is Restored")
        return self._state_or_none

    def step(self, event: Event) -> tuple[Action, ...]:
        """Take one event and return what it asks for, in the order of durability."""
        match event:
            case Restored():
                self._restore(event)
            case Tick():
                self._tick(event)
            case Received():
                self._receive(event)
            case PeerConnected():
                if event.replica != self._membership.own:
                    # What was on the way to it may be lost.
                    self._state.shown_to.discard(event.replica)
                    send_all(self._state, event.replica)
            case ProposalBuilt():
                self._proposal_built(event)
            case ProposalChecked():
                is_refused = take_verdict(self._state, event)
                if is_refused:
                    decide(self._state)
                else:
                    advance(self._state)
            case ProposalFetched():
                self._proposal_fetched(event)
            case BlockApplied():
                self._block_applied(event.header)
            case SilenceSet():
                self._set_silence(event.through_height)
            case _ as unreachable:
                assert_never(unreachable)
        return self._drain()

    def _drain(self) -> tuple[Action, ...]:
        actions = tuple(self._outbox.actions)
        self._outbox.actions.clear()
        if not self._outbox.is_dirty:
            return actions
        self._outbox.is_dirty = False
        return (self._persist(), *actions)

    # Durability and restart

    def _persist(self) -> Persist:
        if self._floor is not None:
            # Nothing is signed below the record's height, so only the silence can have changed.
            kept = msgspec.structs.replace(
                self._floor, silent_through_height=self._silent_through_height
            )
            return Persist(encode_record(kept), KEEP)
        state = self._state
        record = encode_record(compose_record(state, self._silent_through_height))
        pending = state.pending_hash()
        if pending == self._pending_on_disk:
            return Persist(record, KEEP)
        if pending is not None and state.proposals.get(pending) is None:
            # Restored without its bytes: the slot was damaged, and nobody here can fill it again.
            return Persist(record, KEEP)
        self._pending_on_disk = pending
        return Persist(record, pending)

    def _restore(self, event: Restored) -> None:
        if self._state_or_none is not None:
            raise RuntimeError("a replica is restored once")
        record = None
        if event.record is not None:
            record = decode_record(event.record, self._membership.chain_id, self._membership.own)
        self._silent_through_height = max(
            event.silent_through_height, 0 if record is None else record.silent_through_height
        )
        if event.pending is not None:
            self._pending_on_disk = event.pending.block_hash
        if record is not None and record.height > event.applied.height:
            self._floor = record
            self._floor_event = event
        self._enter_height(event.applied)
        if record is None or record.silent_through_height != self._silent_through_height:
            self._outbox.is_dirty = self._silent_through_height > 0
        advance(self._state)

    def _enter_height(self, applied: Header, statements: Statements | None = None) -> None:
        floor, event = self._floor, self._floor_event
        height = applied.height + 1
        if floor is not None and floor.height <= height:
            self._floor = self._floor_event = None
        self._state_or_none = HeightState(
            self._membership, self._timing, self._outbox, applied, self._is_silent_at(height)
        )
        if statements is not None:
            self._state_or_none.statements = statements
        if floor is not None and event is not None and floor.height == height:
            resume(self._state, floor, event.pending)

    def _is_silent_at(self, height: int) -> bool:
        is_below_floor = self._floor is not None and height < self._floor.height
        return is_below_floor or height <= self._silent_through_height

    def _set_silence(self, through_height: int) -> None:
        if through_height != self._silent_through_height:
            self._silent_through_height = through_height
            self._state.is_silent = self._is_silent_at(self._state.height)
            self._outbox.is_dirty = True
            advance(self._state)

    # Time

    def _tick(self, event: Tick) -> None:
        state = self._state
        self._ticks += 1
        self._now_ms = event.now_ms
        self._work_pending = event.work_pending
        self._answers.clear()
        tick(state, event.work_pending, self._turns.is_skipped(state.primary))
        self._ask_to_catch_up()

    # Blocks

    def _proposal_built(self, event: ProposalBuilt) -> None:
        state = self._state
        proposal = take_built(state, event, self._now_ms)
        if proposal is None:
            return
        if state.view == 0:
            pre_prepare(state, proposal)
        elif state.plan is not None and state.plan.prepared is None:
            send_new_view(state, proposal)
        advance(state)

    def _proposal_fetched(self, event: ProposalFetched) -> None:
        state = self._state
        if event.proposal.block_hash != event.block_hash or state.fetching != event.block_hash:
            return
        accepted = None if state.decided is not None else state.accepted
        if accepted is not None and accepted.block_hash == event.block_hash:
            return  # asked for in an earlier view; now it is its primary's to bring
        try:
            check_proposal(event.proposal, state.parent, self._membership.validators)
        except Rejected as error:
            state.note(f"fetched from replica {event.from_replica}: {error}")
            return
        state.check_body(event.proposal, event.block_hash, event.from_replica)
        advance(state)

    def _block_applied(self, header: Header) -> None:
        state = self._state
        if header.height < state.height:
            return
        if header.height == state.height and state.decided is not None:
            applied_hash = compute_block_hash(encode_header(header))
            if applied_hash != state.decided.block_hash:
                raise RuntimeError(
                    f"height {header.height}: block {applied_hash.hex()} was applied, but "
                    f"{state.decided.block_hash.hex()} is decided"
                )
        self._turns.block_applied(
            self._membership.validators.primary(header.height, 0), header.proposer
        )
        self._lateness.block_applied(header.height)
        self._decided = state.statements if header.height == state.height else Statements()
        statements, kept = self._inbox.take(header.height + 1)
        self._enter_height(header, statements)
        for message, brought_by in kept:
            self._take(message, brought_by)
        ask_for_proposal(self._state, self._work_pending)
        advance(self._state)

    # Messages

    def _receive(self, event: Received) -> None:
        try:
            self._admit(event.message, event.from_replica)
        except Rejected as error:
            self._outbox.actions.append(Note(str(error)))

    def _admit(self, message: Message, from_replica: int | None) -> None:
        """Verify a message as far as it is of any use, and put it where it belongs."""
        if isinstance(message, Decided):
            self._admit_decided(message)
            return
        state = self._state
        height = height_of(message)
        statement = statement_of(message, self._membership)
        signer = statement.replica
        if signer == self._membership.own:
            return
        brought_by = signer if from_replica is None else from_replica
        inbox = self._inbox
        if height < state.height:
            self._compare_late(height, message, statement)
            self._answer_late(signer, message)
        elif height == state.height:
            self._admit_now(message, statement, brought_by)
        elif height == state.height + 1 and inbox.is_news(height, message, statement, brought_by):
            self._admit_early(message, statement, brought_by)
        elif self._lateness.is_claim_news(signer, height):
            verify_signer(message, self._membership)
            self._lateness.add_claim(signer, height)
            self._ask_to_catch_up()

    def _admit_early(
        self, message: SignedMessage, statement: Vote | ViewClaim, brought_by: int
    ) -> None:
        """Keep a message of the next height; what contradicts an earlier one is reported."""
        height, signer = height_of(message), statement.replica
        verify_signer(message, self._membership)
        self._state.report(self._inbox.add(height, statement))
        self._lateness.add_claim(signer, height)
        verify_justification(message, self._membership)
        self._inbox.put(height, signer, message, brought_by)

    def _admit_now(
        self, message: SignedMessage, statement: Vote | ViewClaim, brought_by: int
    ) -> None:
        state, signer = self._state, statement.replica
        is_news = state.statements.is_news(statement)
        match message:
            case PrePrepare():
                is_current = state.view == 0 and not state.is_changing
                is_useful = is_current and is_open(state, message, brought_by)
                if not is_useful and not is_news:
                    return
            case NewView():
                if not is_new_view_useful(state, message, brought_by):
                    self._note_said(message, statement)
                    return
            case Prepare() | Commit():
                if not is_news:
                    return
            case ViewChange():
                if message == state.view_changes.get(signer):
                    self._help(signer, message)
                    return
                if not state.view_changes.is_news(message):
                    self._note_said(message, statement)
                    return
            case _ as unreachable:
                assert_never(unreachable)
        verify_signer(message, self._membership)
        if isinstance(message, NewView | ViewChange):
            # Said by its signature alone: what it says is compared, justified or not.
            state.report(state.statements.add(statement))
        verify_justification(message, self._membership)
        self._take(message, brought_by)
        advance(self._state)

    def _note_said(self, message: SignedMessage, statement: Vote | ViewClaim) -> None:
        """Compare what is of no other use any more with what its signer said before."""
        if self._state.statements.is_news(statement):
            verify_signer(message, self._membership)
            self._state.report(self._state.statements.add(statement))

    def _take(self, message: SignedMessage, brought_by: int) -> None:
        """Act on a verified message of the current height."""
        state = self._state
        match message:
            case PrePrepare():
                vote = pre_prepare_vote(message, self._membership)
                accept_pre_prepare(state, message, vote, self._now_ms, brought_by)
            case NewView():
                vote = pre_prepare_vote(message, self._membership)
                accept_new_view(state, message, vote, self._now_ms, brought_by)
            case Prepare() | Commit():
                state.record_vote(message.vote)
            case ViewChange():
                take_view_change(state, message)
                self._help(message.replica, message)
            case _ as unreachable:
                assert_never(unreachable)

    def _help(self, signer: int, message: ViewChange) -> None:
        state = self._state
        is_behind = message.view <= state.view and not state.is_changing
        if is_behind or state.decided is not None:
            help_replica(state, signer)

    # Other heights

    def _compare_late(self, height: int, message: Message, statement: Vote | ViewClaim) -> None:
        """Report what contradicts a statement of the height just decided.

        Whoever decides without a slow replica would otherwise never look at the other proposal
        that its primary gave to that one.
        """
        if height == self._state.height - 1 and self._decided.is_news(statement):
            verify_signer(message, self._membership)
            self._state.report(self._decided.add(statement))

    def _answer_late(self, signer: int, message: Message) -> None:
        """Have a replica that votes on a decided height sent its certificate.

        Ordinary stragglers of the height just decided are not answered: whoever is really stuck
        there repeats itself after an interval.
        """
        state = self._state
        is_straggler = (
            height_of(message) == state.height - 1
            and state.ticks < self._timing.resend_interval_ticks
            and not isinstance(message, ViewChange)
        )
        if is_straggler or self._answers.get(signer, 0) >= ANSWERS_PER_TICK_MAX:
            return
        verify_signer(message, self._membership)
        self._answers[signer] = self._answers.get(signer, 0) + 1
        state.emit(SendDecided(height_of(message), signer))

    def _admit_decided(self, message: Decided) -> None:
        state = self._state
        height = height_of(message)
        if height == state.height and state.decided is None:
            verify_signer(message, self._membership)
            decide(state, message.certificate)
            advance(state)
        elif height > state.height and self._lateness.is_certificate_news(message.certificate):
            verify_signer(message, self._membership)
            self._lateness.add_certificate(message.certificate)
            self._ask_to_catch_up()

    def _ask_to_catch_up(self) -> None:
        state = self._state
        request = self._lateness.ask(state.height, self._ticks, state.is_decide_sent)
        if request is not None:
            state.emit(request)
