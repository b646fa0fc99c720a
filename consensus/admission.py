"""What must hold of a message before anything of it is remembered.

Two checks, so that cheap refusals come first: `verify_signer` (the named replica signed this
statement) and `verify_justification` (what the statement rests on is proven: the prepared
certificate inside a view-change, the claims and the certificate inside a new-view). Both are pure
functions of message, validator set and chain. What needs the parent block or a clock is checked in
`consensus.proposal`.
"""

from __future__ import annotations

from typing import assert_never

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
from ledger.refusal import Reason, Rejected
from ledger.votes import PRE_PREPARE, ViewClaim, Vote, claim_of


def pre_prepare_vote(message: PrePrepare | NewView, membership: Membership) -> Vote:
    """Return the primary's vote that a proposal carries."""
    return Vote(
        PRE_PREPARE,
        message.height,
        message.view,
        message.proposal.block_hash,
        membership.validators.primary(message.height, message.view),
        message.signature,
    )


def statement_of(message: SignedMessage, membership: Membership) -> Vote | ViewClaim:
    """Return what a message's own signature is on."""
    match message:
        case PrePrepare() | NewView():
            return pre_prepare_vote(message, membership)
        case Prepare() | Commit():
            return message.vote
        case ViewChange():
            return message.statement
        case _ as unreachable:
            assert_never(unreachable)


def height_of(message: Message) -> int:
    """Return the height a message is about."""
    return message.certificate.height if isinstance(message, Decided) else message.height


def verify_signer(message: Message, membership: Membership) -> None:
    """Raise `Rejected` unless the replica named in the message signed its statement."""
    match message:
        case PrePrepare():
            if message.view != 0:
                raise Rejected(
                    Reason.BAD_FIELD,
                    f"pre-prepare of height {message.height}: view {message.view} needs the "
                    "justification of a new-view",
                )
            _verify_vote(pre_prepare_vote(message, membership), membership)
        case NewView():
            if message.view == 0:
                raise Rejected(
                    Reason.BAD_FIELD,
                    f"new-view of height {message.height}: view 0 has no new-view",
                )
            _verify_vote(pre_prepare_vote(message, membership), membership)
        case Prepare() | Commit():
            _verify_vote(message.vote, membership)
        case ViewChange():
            _verify_claim(message.statement, membership)
        case Decided():
            message.certificate.verify(
                membership.validators, membership.chain_id, membership.verify_signature
            )
        case _ as unreachable:
            assert_never(unreachable)


def verify_justification(message: Message, membership: Membership) -> None:
    """Raise `Rejected` unless everything a message rests on is proven inside it."""
    match message:
        case ViewChange():
            _verify_prepared(message, membership)
        case NewView():
            _verify_new_view(message, membership)
        case PrePrepare() | Prepare() | Commit() | Decided():
            pass
        case _ as unreachable:
            assert_never(unreachable)


def _verify_vote(vote: Vote, membership: Membership) -> None:
    vote.verify(membership.validators, membership.chain_id, membership.verify_signature)


def _verify_claim(claim: ViewClaim, membership: Membership) -> None:
    claim.verify(membership.validators, membership.chain_id, membership.verify_signature)


def _verify_prepared(message: ViewChange | NewView, membership: Membership) -> None:
    # That its view is an earlier one is checked where the claim is (`_verify_claim`).
    if message.prepared is not None:
        message.prepared.verify(
            message.height,
            membership.validators,
            membership.chain_id,
            membership.verify_signature,
        )


def _verify_new_view(message: NewView, membership: Membership) -> None:
    """Recompute what must be proposed from the quorum of claims (Castro & Liskov, section 4.4).

    The verifier computes O from V itself: it refuses a new-view that drops the highest prepared
    block, adds one nobody claims, or proposes a fresh one although one is claimed.
    """
    name = f"new-view of height {message.height} view {message.view}"
    previous = -1
    for signed in message.view_changes:
        if signed.replica == previous:
            raise Rejected(Reason.DUPLICATE, f"{name}: replica {signed.replica} is counted twice")
        if signed.replica < previous:
            raise Rejected(
                Reason.NOT_CANONICAL,
                f"{name}: replica {signed.replica} stands after replica {previous}",
            )
        previous = signed.replica
    if len(message.view_changes) < membership.quorum:
        raise Rejected(
            Reason.NO_QUORUM,
            f"{name}: {len(message.view_changes)} view-changes; a quorum is {membership.quorum}",
        )
    claims = [signed.claim for signed in message.view_changes if signed.claim is not None]
    proven = claim_of(message.prepared)
    if not claims:
        if proven is not None:
            raise Rejected(
                Reason.BAD_PROOF,
                f"{name}: it proves view {proven.view}, which none of its view-changes claims",
            )
    else:
        highest = max(claim.view for claim in claims)
        # Two claims of one view can name two blocks only if one of them lies; the certificate says
        # which, because two quorums of one view share a correct replica.
        if proven is None or proven.view != highest or proven not in claims:
            raise Rejected(
                Reason.BAD_PROOF,
                f"{name}: the highest claim is of view {highest}, but "
                + ("nothing" if proven is None else f"view {proven.view}")
                + " is proven",
            )
        if message.proposal.block_hash != proven.block_hash:
            raise Rejected(
                Reason.BAD_PROOF,
                f"{name}: it proposes {message.proposal.block_hash.hex()}, but "
                f"{proven.block_hash.hex()} was prepared in view {proven.view}",
            )
    _verify_prepared(message, membership)
    for signed in message.view_changes:
        _verify_claim(signed.at(message.height, message.view), membership)
