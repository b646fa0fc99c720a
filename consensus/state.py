"""The state of one height at one replica, and the only place where votes are signed.

A `HeightState` lives from the block below being applied until its own block is. What must be
durable is marked in the outbox; `Replica.step` then puts one `Persist` before everything the step
sends. `sign_vote` and `sign_view_change` refuse to contradict what this replica signed before:
such a call would be our own mistake, and stopping is better than equivocating.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from consensus.actions import Action, Broadcast, CheckProposal, FetchProposal, Note, ReportEvidence
from consensus.durable import NewViewPlan
from consensus.membership import Membership
from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ViewChange,
)
from consensus.proposal import HeldProposal, ProposalStore
from consensus.statements import Statements
from consensus.timers import Timing
from consensus.view_change_book import ViewChangeBook
from consensus.vote_book import VoteBook
from ledger.block import Header
from ledger.equivocation import Equivocation
from ledger.votes import (
    COMMIT,
    PHASE_NAMES,
    PRE_PREPARE,
    CommitCertificate,
    PreparedCertificate,
    ViewClaim,
    Vote,
    claim_of,
    compute_view_change_message,
    compute_vote_message,
)


@dataclass(slots=True)
class Outbox:
    """What the current step asks for."""

    actions: list[Action] = field(default_factory=list)
    is_dirty: bool = False
    """Whether the durable record changed."""
    views_entered_count: int = 0
    """Views above 0 entered since the process began; for people."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The one proposal a replica works on in its current view."""

    view: int
    block_hash: bytes
    signature: bytes
    """The primary's pre-prepare."""
    message: PrePrepare | NewView | None
    """What to repeat to others; None after a restart of a replica that was not the primary."""


@dataclass(slots=True)
class HeightState:
    """Everything a replica knows about the height it works on."""

    membership: Membership
    timing: Timing
    outbox: Outbox
    parent: Header
    is_silent: bool
    """Whether this replica must not sign at this height."""

    view: int = 0
    is_changing: bool = False
    """Whether `view` was asked for and its new-view is awaited."""
    accepted: Accepted | None = None
    refused_bodies: Counter[int] = field(default_factory=Counter)
    """Bodies of this view that could not be used, by who brought them; bounds how often another one
    of the same is tried."""
    proposed: PrePrepare | NewView | None = None
    """What the primary of the newest view proposed first, without its body: kept when that view is
    left, too, and when it is refused."""
    shown_to: set[int] = field(default_factory=set)
    """Who was sent that because it prepared another block in that view."""
    prepared: PreparedCertificate | None = None
    own_votes: dict[tuple[int, int], Vote] = field(default_factory=dict)
    own_view_change: ViewChange | None = None
    plan: NewViewPlan | None = None
    is_building: bool = False
    build_from_tick: int = 0
    """No new `BuildProposal` before this tick of the height."""
    has_skipped: bool = False
    """Whether view 0 was left because of its primary's failed turns, not of a failed batch."""

    decided: CommitCertificate | None = None
    is_decide_sent: bool = False
    is_halted: bool = False
    bad_sources: set[int] = field(default_factory=set)
    """Who was asked for the decided block and gave a body that could not be reproduced."""

    statements: Statements = field(default_factory=Statements)
    view_changes: ViewChangeBook = field(default_factory=ViewChangeBook)
    proposals: ProposalStore = field(default_factory=ProposalStore)

    ticks: int = 0
    """Ticks since the block below was applied."""
    view_ticks: int = 0
    """Ticks that count against the current view's timeout."""
    fetch_from_tick: int = 0
    """The same block is not asked for again before this tick."""
    fetching: bytes | None = None
    helped_at_tick: dict[int, int] = field(default_factory=dict)
    """When each replica was last sent what it missed."""

    @property
    def height(self) -> int:
        """The height being decided."""
        return self.parent.height + 1

    @property
    def votes(self) -> VoteBook:
        """The votes seen at this height."""
        return self.statements.votes

    @property
    def primary(self) -> int:
        """The primary of the current view."""
        return self.membership.validators.primary(self.height, self.view)

    @property
    def is_primary(self) -> bool:
        """Whether this replica is the primary of its current view."""
        return self.primary == self.membership.own

    def own_vote(self, phase: int) -> Vote | None:
        """Return this replica's own vote of a phase in the current view."""
        return self.own_votes.get((phase, self.view))

    def emit(self, action: Action) -> None:
        """Ask the driver for something."""
        self.outbox.actions.append(action)

    def note(self, text: str, *, is_warning: bool = False) -> None:
        """Write a line to the log."""
        self.emit(Note(f"height {self.height} view {self.view}: {text}", is_warning))

    def record_vote(self, vote: Vote) -> None:
        """Count a verified vote of anybody, reporting a contradiction."""
        self.report(self.statements.add(vote))

    def record_claim(self, claim: ViewClaim) -> None:
        """Keep what somebody's view-change says, reporting a contradiction."""
        self.report(self.statements.add(claim))

    def report(self, evidence: tuple[Equivocation, ...]) -> None:
        """Have evidence put on the chain."""
        for equivocation in evidence:
            self.emit(ReportEvidence(equivocation))
            self.note(f"replica {equivocation.replica} contradicted itself: {equivocation.slot}")

    def sign_vote(self, phase: int, block_hash: bytes) -> Vote:
        """Sign the one vote of a phase in the current view."""
        if self.is_silent:
            raise RuntimeError(f"height {self.height}: a silent replica does not vote")
        if self.is_changing:
            raise RuntimeError(
                f"height {self.height} view {self.view}: no vote before the view is entered"
            )
        if (phase, self.view) in self.own_votes:
            raise RuntimeError(
                f"height {self.height} view {self.view}: the own {PHASE_NAMES[phase]} is already "
                "signed"
            )
        message = compute_vote_message(
            phase, self.membership.chain_id, self.height, self.view, block_hash
        )
        vote = Vote(
            phase,
            self.height,
            self.view,
            block_hash,
            self.membership.own,
            self.membership.signer.sign(message),
        )
        self.own_votes[(phase, self.view)] = vote
        self.record_vote(vote)
        self.outbox.is_dirty = True
        return vote

    def sign_view_change(self) -> ViewChange:
        """Sign the one view-change to the current view."""
        if self.is_silent:
            raise RuntimeError(f"height {self.height}: a silent replica asks for no view")
        if self.own_view_change is not None and self.own_view_change.view >= self.view:
            raise RuntimeError(
                f"height {self.height} view {self.view}: a view-change to view "
                f"{self.own_view_change.view} is already signed"
            )
        message = compute_view_change_message(
            self.membership.chain_id, self.height, self.view, claim_of(self.prepared)
        )
        self.own_view_change = ViewChange(
            self.height,
            self.view,
            self.prepared,
            self.membership.own,
            self.membership.signer.sign(message),
        )
        self.view_changes.add(self.own_view_change)
        self.outbox.is_dirty = True
        return self.own_view_change

    def enter_view(self, view: int, is_changing: bool) -> None:
        """Go to a view, as one who asks for it or one who accepts its new-view.

        Own votes of left views are forgotten, except the newest commit, which others may need: the
        promise not to vote below `view` takes their place.
        """
        if view > self.view:
            self.view_ticks = 0
            self.outbox.views_entered_count += 1
            commits = [key for key in self.own_votes if key[0] == COMMIT]
            newest = max(commits, default=None)
            self.own_votes = {} if newest is None else {newest: self.own_votes[newest]}
            self.plan = None
        self.view = view
        self.votes.own_view = view
        self.is_changing = is_changing
        self.accepted = None
        self.refused_bodies.clear()
        self.is_building = False
        self.build_from_tick = 0

    def pending_hash(self) -> bytes | None:
        """Return which block's bytes must survive: the prepared one, else the own proposal."""
        if self.prepared is not None:
            return self.prepared.block_hash
        own_proposal = self.own_vote(PRE_PREPARE)
        return None if own_proposal is None else own_proposal.block_hash

    def needed_hashes(self) -> tuple[bytes, ...]:
        """Return the blocks whose bytes must stay in memory."""
        hashes = [
            None if self.accepted is None else self.accepted.block_hash,
            self.pending_hash(),
            None if self.decided is None else self.decided.block_hash,
            None
            if self.plan is None or self.plan.prepared is None
            else self.plan.prepared.block_hash,
        ]
        return tuple(item for item in hashes if item is not None)

    def check_body(
        self, proposal: Proposal, block_hash: bytes, source: int, *, brought_by: int | None = None
    ) -> None:
        """Keep a proposal and have the driver execute it for the current view.

        A body that stood in a proposal and was not executed yet gives way to another one for the
        same block: it may name envelopes that nobody has, and waiting for them would cost every
        later view in which the block is proposed again.
        """
        held = self.proposals.hold(
            block_hash,
            HeldProposal(proposal, source, is_ok=False, brought_by=brought_by),
            self.needed_hashes(),
        )
        if held is None:
            self.note(f"no room for block {block_hash.hex()}")
            return
        if held.may_give_way(proposal):
            held.proposal, held.source, held.brought_by = proposal, source, brought_by
            held.checking_view = None
        if held.checking_view != self.view:
            held.is_ok = False
            held.checking_view = self.view
            self.emit(CheckProposal(self.height, self.view, held.proposal, held.source))

    def fetch(self, block_hash: bytes, from_replicas: tuple[int, ...]) -> None:
        """Ask for a block's bytes, not more often than messages are repeated."""
        others = tuple(item for item in from_replicas if item != self.membership.own)
        if not others or (self.fetching == block_hash and self.ticks < self.fetch_from_tick):
            return
        self.fetching = block_hash
        self.fetch_from_tick = self.ticks + self.timing.resend_interval_ticks
        self.emit(FetchProposal(self.height, block_hash, others))

    def own_messages(self) -> tuple[Message, ...]:
        """Return what this replica says at this height, to be repeated unchanged."""
        if self.is_silent:
            return ()
        messages: list[Message] = []
        if self.is_changing:
            if self.own_view_change is not None:
                messages.append(self.own_view_change)
        elif self.accepted is not None and self.accepted.message is not None and self.is_primary:
            messages.append(self.accepted.message)
        for (phase, _), vote in sorted(self.own_votes.items()):
            if phase != PRE_PREPARE:
                messages.append(vote_message(vote))
        return tuple(messages)

    def broadcast_own(self) -> None:
        """Repeat everything this replica says."""
        for message in self.own_messages():
            self.emit(Broadcast(message))


def vote_message(vote: Vote) -> Prepare | Commit:
    """Return the message that carries a prepare or commit vote."""
    kind = Commit if vote.phase == COMMIT else Prepare
    return kind(vote.height, vote.view, vote.block_hash, vote.replica, vote.signature)
