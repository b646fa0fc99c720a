"""The replica's parts by themselves: spelling, counting, choosing, skipping, remembering."""

from __future__ import annotations

import msgspec
import pytest

from consensus.actions import CatchUp
from consensus.durable import (
    RECORD_BYTES_MAX,
    DurableRecord,
    NewViewPlan,
    decode_record,
    encode_record,
)
from consensus.lateness import HeightClaims, Lateness
from consensus.membership import Membership
from consensus.messages import (
    MESSAGE_BYTES_MAX,
    PROPOSAL_TRANSACTIONS_MAX,
    Decided,
    Message,
    PrePrepare,
    Proposal,
    SignedClaim,
    ViewChange,
    decode_message,
    encode_message,
)
from consensus.next_height import NextHeightInbox
from consensus.proposal import PROPOSALS_KEPT, HeldProposal, ProposalStore
from consensus.replica import Replica
from consensus.timers import Timing, compute_batch_divisor
from consensus.turns import SKIPPED_TURNS_MAX, TurnTable
from consensus.view_change_book import ViewChangeBook, choose_plan
from consensus.vote_book import VIEWS_KEPT, VoteBook
from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner, verify_signature
from ledger.validators import VALIDATORS_MAX, Validator, ValidatorSet
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    VIEW_MAX,
    PreparedCertificate,
    SignedBy,
    Vote,
    claim_of,
    compute_view_change_message,
)
from tests.consensus.network import (
    CHAIN_ID,
    START_MS,
    FakeSigner,
    make_certificate,
    make_genesis,
    make_prepared,
    make_proposal,
    make_validators,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
    sign_vote,
)

VALIDATORS = make_validators(4)
BLOCK = make_proposal(make_genesis(VALIDATORS), 1, START_MS + 1, b"a")
HASH, OTHER = BLOCK.block_hash, sha256(b"other")


def all_messages() -> list[Message]:
    prepared = make_prepared(VALIDATORS, 1, 0, HASH)
    changes = [sign_view_change(i, 1, 1, prepared if i == 1 else None) for i in range(3)]
    return [
        sign_pre_prepare(1, 1, BLOCK),
        sign_prepare(0, 1, 0, HASH),
        sign_commit(0, 1, 3, HASH),
        changes[0],
        changes[1],
        sign_new_view(2, 1, 1, changes, BLOCK),
        Decided(make_certificate(VALIDATORS, 1, 0, HASH)),
    ]


@pytest.mark.parametrize("message", all_messages(), ids=lambda message: type(message).__name__)
def test_messages_round_trip_and_no_second_spelling_is_read(message: Message) -> None:
    raw = encode_message(message)
    assert decode_message(raw) == message
    assert encode_message(decode_message(raw)) == raw
    for mutant in (raw + b"\x00", raw[:-1], bytes([raw[0] + 1]) + raw[1:] + b"\xc0", b""):
        with pytest.raises(Rejected):
            decode_message(mutant)
    longer_type = bytes([raw[0], 0xCC]) + raw[1:]
    with pytest.raises(Rejected) as caught:
        decode_message(longer_type)
    assert caught.value.reason in {Reason.NOT_CANONICAL, Reason.MALFORMED}


@pytest.mark.parametrize(
    "message",
    [
        msgspec.structs.replace(sign_prepare(0, 1, 0, HASH), view=VIEW_MAX + 1),
        msgspec.structs.replace(sign_prepare(0, 1, 0, HASH), replica=VALIDATORS_MAX),
        msgspec.structs.replace(sign_prepare(0, 1, 0, HASH), signature=bytes(63)),
        msgspec.structs.replace(sign_prepare(0, 1, 0, HASH), block_hash=bytes(31)),
        msgspec.structs.replace(sign_prepare(0, 1, 0, HASH), height=2**53),
        msgspec.structs.replace(sign_pre_prepare(1, 1, BLOCK), view=1),
        PrePrepare(1, 0, Proposal(bytes(513), b"", b""), bytes(64)),
        PrePrepare(1, 0, Proposal(b"", bytes(32 * PROPOSAL_TRANSACTIONS_MAX + 1), b""), bytes(64)),
    ],
)
def test_fields_out_of_range_are_not_even_decoded(message: Message) -> None:
    with pytest.raises(Rejected, match="malformed"):
        decode_message(encode_message(message))


def test_largest_messages_fit_and_longer_bytes_are_not_parsed() -> None:
    hashes = bytes(32 * PROPOSAL_TRANSACTIONS_MAX)
    proposal = Proposal(bytes(512), hashes, hashes)
    signatures = tuple(SignedBy(63, bytes(64)) for _ in range(VALIDATORS_MAX))
    prepared = PreparedCertificate(VIEW_MAX, bytes(32), bytes(64), signatures)
    changes = [ViewChange(2**53 - 1, VIEW_MAX, prepared, 63, bytes(64))] * VALIDATORS_MAX
    largest = msgspec.structs.replace(
        sign_new_view(2, 1, 1, changes, proposal), height=2**53 - 1, view=VIEW_MAX
    )
    assert len(encode_message(largest)) < MESSAGE_BYTES_MAX
    decode_message(encode_message(largest))
    with pytest.raises(Rejected, match="too_large"):
        decode_message(bytes(MESSAGE_BYTES_MAX + 1))


def test_largest_record_fits() -> None:
    signatures = tuple(SignedBy(63, bytes(64)) for _ in range(VALIDATORS_MAX))
    prepared = PreparedCertificate(VIEW_MAX, bytes(32), bytes(64), signatures)
    claim = SignedClaim(63, claim_of(prepared), bytes(64))
    vote = Vote(2, 2**53 - 1, VIEW_MAX, bytes(32), 63, bytes(64))
    record = DurableRecord(
        1,
        CHAIN_ID,
        63,
        2**53 - 1,
        2**53 - 1,
        VIEW_MAX,
        True,
        (vote,) * 4,
        ViewChange(2**53 - 1, VIEW_MAX, prepared, 63, bytes(64)),
        prepared,
        NewViewPlan(VIEW_MAX, (claim,) * VALIDATORS_MAX, prepared),
    )
    raw = encode_record(record)
    assert len(raw) < RECORD_BYTES_MAX
    assert decode_record(raw, CHAIN_ID, 63) == record
    for chain_id, replica, reason in (
        (bytes(32), 63, Reason.WRONG_CHAIN),
        (CHAIN_ID, 1, Reason.BAD_FIELD),
    ):
        with pytest.raises(Rejected) as caught:
            decode_record(raw, chain_id, replica)
        assert caught.value.reason is reason
    with pytest.raises(Rejected, match="too_large"):
        decode_record(bytes(RECORD_BYTES_MAX + 1), CHAIN_ID, 63)


def test_view_change_bytes_bind_the_claim() -> None:
    prepared = make_prepared(VALIDATORS, 1, 0, HASH)
    start = b"evidence-ledger/v1/view-change\0" + CHAIN_ID + bytes(7) + b"\x01" + bytes(7) + b"\x02"
    assert compute_view_change_message(CHAIN_ID, 1, 2, None) == start + b"\0"
    assert compute_view_change_message(CHAIN_ID, 1, 2, claim_of(prepared)) == (
        start + b"\1" + bytes(8) + HASH
    )


@pytest.mark.parametrize("own_view", [0, 3, 19, 400])
def test_vote_book_keeps_the_highest_views_and_those_near_the_own(own_view: int) -> None:
    book = VoteBook()
    book.own_view = own_view
    views = [*range(400, 420), *range(20)]
    for view in views:
        book.add(sign_vote(0, COMMIT, 1, view, HASH))
    highest = {*range(420 - VIEWS_KEPT, 420)}
    nearest = sorted(views, key=lambda view: (abs(view - own_view), view))[:VIEWS_KEPT]
    assert {vote.view for vote in book.of(COMMIT, 0)} == highest | {*nearest}
    assert not any(book.is_news(sign_vote(0, COMMIT, 1, view, HASH)) for view in views)


def test_a_vote_book_has_its_bound_wherever_the_replica_goes() -> None:
    book = VoteBook()
    for view in range(200):
        book.own_view = 37 * view % 200
        book.add(sign_vote(0, COMMIT, 1, view, HASH))
        assert len(book.of(COMMIT, 0)) <= 2 * VIEWS_KEPT


def test_vote_book_keeps_the_highest_views_and_counts_by_digest() -> None:
    book = VoteBook()
    for view in range(20):
        assert book.add(sign_vote(0, COMMIT, 1, view, HASH)) is None
    assert book.find_commit_certificate(2) is None
    assert book.add(sign_vote(1, COMMIT, 1, 15, OTHER)) is None
    assert book.find_commit_certificate(2) is None
    assert book.add(sign_vote(2, COMMIT, 1, 15, HASH)) is None
    assert book.add(sign_vote(2, PREPARE, 1, 16, HASH)) is None
    found = book.find_commit_certificate(2)
    assert found is not None
    assert [item.replica for item in found.commits] == [0, 2]
    assert (found.height, found.view) == (1, 15)


def test_view_change_book_keeps_the_newest_and_joins_the_smallest() -> None:
    book = ViewChangeBook()
    book.add(sign_view_change(0, 1, 3, None))
    book.add(sign_view_change(0, 1, 2, None))
    book.add(sign_view_change(1, 1, 5, None))
    book.add(sign_view_change(3, 1, 9, None))
    assert [book.count_from(view) for view in (2, 3, 4, 5, 9, 10)] == [3, 3, 2, 2, 1, 0]
    assert [item.replica for item in book.exactly(3)] == [0]
    assert book.find_join_view(0, own=3, weak_quorum=2) == 3
    assert book.find_join_view(3, own=3, weak_quorum=2) is None, "the own one does not count"
    assert book.find_join_view(3, own=2, weak_quorum=2) == 5
    assert book.find_join_view(5, own=2, weak_quorum=2) is None


def test_plan_prefers_the_highest_prepared_block_at_hand() -> None:
    low, high = make_prepared(VALIDATORS, 1, 0, HASH), make_prepared(VALIDATORS, 1, 2, OTHER)
    changes = [
        sign_view_change(0, 1, 3, low),
        sign_view_change(1, 1, 3, high),
        sign_view_change(2, 1, 3, None),
        sign_view_change(3, 1, 3, low),
    ]
    best = choose_plan(3, changes, 3, lambda _: True)
    assert best is not None
    assert best.prepared == high
    assert len(best.view_changes) == 4
    second = choose_plan(3, changes, 3, lambda block_hash: block_hash == HASH)
    assert second is not None
    assert second.prepared == low
    assert [claim.replica for claim in second.view_changes] == [0, 2, 3]
    assert choose_plan(3, changes, 3, lambda _: False) is None
    assert choose_plan(3, changes, 4, lambda block_hash: block_hash == HASH) is None
    assert choose_plan(3, changes[:2], 3, lambda _: True) is None


def test_skips_double_up_to_the_bound_and_end_with_an_own_block() -> None:
    table = TurnTable()
    pattern = []
    for _ in range(300):
        pattern.append(table.is_skipped(1))
        table.block_applied(1, 2)
    runs = [len(run) for run in "".join("s" if item else " " for item in pattern).split()]
    assert runs[:8] == [1, 2, 4, 8, 16, 32, 64, 64]
    assert max(runs) == SKIPPED_TURNS_MAX
    assert not table.is_skipped(2)
    table.block_applied(2, 1)
    assert not table.is_skipped(1)


def test_divisors_halve_and_stop_growing() -> None:
    assert [compute_batch_divisor(i) for i in range(4)] == [1, 2, 4, 8]
    assert PROPOSAL_TRANSACTIONS_MAX // compute_batch_divisor(15) == 0
    assert compute_batch_divisor(VIEW_MAX) == compute_batch_divisor(30)


def test_timing_refuses_spans_that_are_none() -> None:
    with pytest.raises(ValueError, match="resend_interval_ticks is 0"):
        Timing(resend_interval_ticks=0)


def test_proposal_store_is_bounded_and_keeps_what_is_needed() -> None:
    store = ProposalStore()
    needed = [bytes([i]) * 32 for i in range(3)]
    for key in needed:
        assert store.hold(key, HeldProposal(BLOCK, 0, False), needed) is not None
    for i in range(3, 20):
        assert store.hold(bytes([i]) * 32, HeldProposal(BLOCK, 0, False), needed) is not None
    assert all(store.get(key) is not None for key in needed)
    assert sum(store.get(bytes([i]) * 32) is not None for i in range(20)) == PROPOSALS_KEPT
    full = [*needed, bytes([19]) * 32]
    assert store.hold(b"new", HeldProposal(BLOCK, 0, False), full) is None
    first = store.get(needed[0])
    assert store.hold(needed[0], HeldProposal(BLOCK, 9, False), full) is first


def test_inbox_keeps_one_height_and_a_place_of_each_kind_for_each_replica() -> None:
    inbox = NextHeightInbox()
    early, late = sign_view_change(0, 2, 2, None), sign_view_change(0, 2, 3, None)
    messages = (late, early, sign_view_change(1, 2, 2, None))
    for message in messages:
        assert inbox.is_news(2, message, message.statement, message.replica)
        inbox.add(2, message.statement)
        inbox.put(2, message.replica, message, message.replica)
    for message in messages:
        assert not inbox.is_news(2, message, message.statement, message.replica)
    statements, kept = inbox.take(2)
    assert [(item.replica, item.view) for item, _ in kept] == [(0, 3), (1, 2)]
    assert statements.votes.of(COMMIT, 0) == ()
    assert inbox.take(2)[1] == ()
    inbox.put(2, 0, early, 0)
    inbox.put(2, 0, late, 0)
    assert inbox.take(2)[1] == ((late, 0),), "the later of a kind is the one that counts"
    inbox.put(3, 0, sign_view_change(0, 3, 1, None), 0)
    inbox.put(4, 0, sign_view_change(0, 4, 1, None), 0)
    assert inbox.take(3)[1] == ()


def test_inbox_keeps_what_its_signer_brought_rather_than_what_another_passed_on() -> None:
    """No signature covers the hashes beside a proposal's header: a liar nearer than the primary
    filled its place with a changed body, which then counted as the primary's own."""
    inbox = NextHeightInbox()
    true = sign_pre_prepare(2, 2, BLOCK)
    changed = msgspec.structs.replace(
        true, proposal=msgspec.structs.replace(BLOCK, leaf_hashes=HASH)
    )
    for message, brought_by in ((changed, 3), (true, 2)):
        vote = sign_vote(2, PRE_PREPARE, 2, 0, HASH)
        assert inbox.is_news(2, message, vote, brought_by)
        inbox.add(2, vote)
        inbox.put(2, 2, message, brought_by)
    for message, brought_by in ((changed, 3), (changed, 2), (true, 2)):
        vote = sign_vote(2, PRE_PREPARE, 2, 0, HASH)
        assert not inbox.is_news(2, message, vote, brought_by)
    assert inbox.take(2)[1] == ((true, 2),)


def test_inbox_keeps_votes_as_the_current_height_does() -> None:
    inbox = NextHeightInbox()
    for view in range(50):
        message = sign_prepare(0, 2, view, HASH)
        assert inbox.is_news(2, message, message.vote, 0)
        inbox.add(2, message.vote)
        assert not inbox.is_news(2, message, message.vote, 0)
    other = sign_prepare(0, 2, 49, OTHER)
    assert inbox.is_news(2, other, other.vote, 0)
    assert [item.slot for item in inbox.add(2, other.vote)] == ["prepare/2/49"]
    assert not inbox.is_news(2, other, other.vote, 0)
    statements, kept = inbox.take(2)
    assert len(statements.votes.of(PREPARE, 0)) == 2 * VIEWS_KEPT
    assert kept == ()


def test_height_claims_take_the_weak_quorum_th_highest() -> None:
    claims = HeightClaims()
    for replica, height in ((0, 2**50), (1, 7), (2, 5), (1, 6)):
        claims.add(replica, height)
    assert [claims.find_decided_height(k) for k in (1, 2, 3, 4)] == [2**50 - 1, 6, 4, 0]
    assert claims.ahead_of(5) == (0, 1)
    claims.forget_through(7)
    assert claims.ahead_of(0) == (0,)


def test_a_block_being_applied_is_no_reason_to_catch_up() -> None:
    membership = Membership(3, VALIDATORS, CHAIN_ID, FakeSigner(3), verify_signature)
    lateness = Lateness(membership, Timing(catch_up_interval_ticks=4))
    lateness.add_claim(0, 6)
    lateness.add_claim(1, 6)
    assert lateness.ask(5, 0, is_applying=True) is None
    assert lateness.ask(5, 100, is_applying=True) is None
    assert lateness.ask(5, 100, is_applying=False) == CatchUp(5, 0)
    assert lateness.ask(5, 103, is_applying=False) is None
    assert lateness.ask(4, 104, is_applying=True) == CatchUp(5, 1), "two heights behind is late"
    lateness.block_applied(6)
    assert lateness.ask(7, 200, is_applying=False) is None


def test_a_replica_must_hold_its_own_vote_key() -> None:
    with pytest.raises(ValueError, match="is not the vote key"):
        Replica(own=0, validators=VALIDATORS, chain_id=CHAIN_ID, signer=FakeSigner(1))
    with pytest.raises(ValueError, match="replica 4 is not one of 4"):
        Replica(own=4, validators=VALIDATORS, chain_id=CHAIN_ID, signer=FakeSigner(1))


def test_the_default_signatures_are_ed25519() -> None:
    signer = SeedSigner(bytes(32))
    validators = ValidatorSet(
        [Validator("one", signer.public_key, sha256(b"c"), sha256(b"l"), sha256(b"p"))]
    )
    from consensus import actions as act
    from consensus import events as ev

    replica = Replica(own=0, validators=validators, chain_id=CHAIN_ID, signer=signer)
    genesis = make_genesis(validators)
    replica.step(ev.Restored(None, None, genesis))
    [build] = replica.step(ev.Tick(START_MS, True))
    assert build == act.BuildProposal(1, 0, 1, False)
    block = make_proposal(genesis, 0, START_MS + 1, b"a")
    persist, pre_prepare, commit, decide = replica.step(ev.ProposalBuilt(1, 0, block))
    assert isinstance(persist, act.Persist)
    assert persist.pending == block.block_hash
    assert isinstance(pre_prepare, act.Broadcast)
    assert isinstance(commit, act.Broadcast)
    assert isinstance(decide, act.Decide)
    decide.certificate.verify(validators, CHAIN_ID)
    assert verify_signature(
        signer.public_key,
        b"evidence-ledger/v1/commit\0" + CHAIN_ID + bytes(7) + b"\1" + bytes(8) + block.block_hash,
        decide.certificate.commits[0].signature,
    )
