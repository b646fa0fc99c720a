"""Castro & Liskov's rules, one test each, in the order of the paper, with its section.

The paper is "Practical Byzantine Fault Tolerance" (OSDI '99); its sentences are given in our own
words. Where this protocol deviates on purpose, the docstring says so after "Here:", and why the
property is kept. Sequence numbers are heights: one block is in flight, so a view change concerns
one height and there are no watermarks.

Most tests run replica 3 of four alone and speak for the others; height 1 belongs to primary 1 in
view 0, to 2 in view 1 and to 3 in view 2.
"""

from __future__ import annotations

import inspect
import re
import sys
from itertools import pairwise

import msgspec
import pytest

from consensus import actions as act
from consensus import events as ev
from consensus.durable import decode_record
from consensus.messages import (
    Commit,
    Decided,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    encode_message,
)
from consensus.timers import compute_view_timeout_ticks
from ledger.block import decode_header
from ledger.equivocation import VoteEquivocation
from ledger.refusal import Rejected
from ledger.signing import SeedSigner, verify_signature
from ledger.validators import VALIDATORS_MAX, compute_faulty_max, compute_quorum
from ledger.votes import COMMIT, PREPARE, Vote, compute_vote_message
from node.certification import Certification
from node.messages import Cosigned
from sim.deployment import make_deployment
from tests.consensus.network import (
    CHAIN_ID,
    START_MS,
    TIMING,
    Network,
    fake_verify,
    make_certificate,
    make_proposal,
    make_validators,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
)
from tests.consensus.test_traps import Alone, changes

SIZES = range(1, VALIDATORS_MAX + 1)


def record_of(one: Alone):  # type: ignore[no-untyped-def]
    assert one.node.disk.record is not None
    return decode_record(one.node.disk.record, CHAIN_ID, one.node.number)


# Section 3: the service


def test_safe_with_a_third_of_liars_less_one() -> None:
    """OSDI '99, section 3: 3f+1 is the least number of replicas that tolerates f faulty ones."""
    for count in SIZES:
        faulty = compute_faulty_max(count)
        assert 3 * faulty + 1 <= count < 3 * (faulty + 1) + 1


def test_a_quorum_can_be_had_without_the_faulty() -> None:
    """OSDI '99, section 3: it must be possible to go on after talking to n − f replicas."""
    assert all(compute_quorum(count) <= count - compute_faulty_max(count) for count in SIZES)


# Section 4: the algorithm


def test_the_primary_follows_from_the_view() -> None:
    """OSDI '99, section 4: the primary of view v is replica v mod n.

    Here: (height + view) mod n, so that every institution proposes in turn and a censor has only
    its own turns. Within one height successive views still go round all replicas, which is all
    that section 4.5.2 needs.
    """
    for count in (1, 4, 7, 36):
        validators = make_validators(count)
        for height in (1, 2, 1_000):
            views = [validators.primary(height, view) for view in range(count)]
            assert sorted(views) == list(range(count))
            assert views[0] == height % count
            for one, other in pairwise(views):
                assert other == (one + 1) % count


def test_what_was_said_is_in_a_log_that_survives() -> None:
    """OSDI '99, section 4: a replica's state includes a log of messages it accepted, and its view.

    Here: the log is the one record of what it *said*; what others said is heard again, because
    everybody repeats its messages.
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    record = record_of(one)
    assert [(vote.phase, vote.block_hash) for vote in record.votes] == [
        (PREPARE, block.block_hash),
        (COMMIT, block.block_hash),
    ]
    assert (record.height, record.view, record.is_changing) == (1, 0, False)
    assert record.prepared is not None
    assert one.node.disk.pending == block


# Section 4.1: the client


def test_a_request_that_only_a_backup_knows_is_not_lost_on_a_silent_primary() -> None:
    """OSDI '99, section 4.1: without an answer a client sends its request to all replicas; if the
    primary does not order it, it is suspected by enough replicas to cause a view change.

    Here: nodes spread transactions to all validators, so any replica that has work suspects.
    """
    network = Network(4).start()
    network.nodes[1].crash()
    for node in network.nodes:
        node.work_pending = node.number == 2
    network.run_to(1, ticks_max=80)
    assert network.nodes[0].disk.certificates[1].view > 0


def test_a_reply_is_sent_again_for_what_was_executed() -> None:
    """OSDI '99, section 4.1: a replica that already executed a request re-sends its last reply.

    Here: consensus answers any message of a decided height with its certificate; repeated
    transactions are the node's business (tests/node).
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    one.network.log.clear()
    one.hear(sign_view_change(0, 1, 1, None))
    assert one.of(Decided) == [Decided(one.node.disk.certificates[1])]


# Section 4.2: normal-case operation


def test_the_primary_orders_a_request_by_multicasting_a_pre_prepare() -> None:
    """OSDI '99, section 4.2: with a request the primary starts a three-phase protocol, multicasts
    a pre-prepare to all the others and appends it to its log."""
    one = Alone(own=1)
    one.node.work_pending = True
    one.tick()
    [message] = one.of(PrePrepare)
    assert len(one.network.log) == 3, "one to each of the others"
    assert [vote.block_hash for vote in record_of(one).votes] == [message.proposal.block_hash]


def test_the_pre_prepare_is_small() -> None:
    """OSDI '99, section 4.2: requests are not inside pre-prepares, to keep them small.

    Here: 64 bytes per transaction, its envelope's and its entry's hash; the latter lets a replica
    name the first transaction it executes differently.
    """
    one = Alone()
    message = sign_pre_prepare(1, 1, one.block())
    longer = sign_pre_prepare(
        1, 1, make_proposal(one.node.disk.headers[-1], 1, START_MS + 1, b"a", count=12)
    )
    growth = len(encode_message(longer)) - len(encode_message(message))
    assert growth == 10 * 64 + 2, "two lengths take one byte more"


def test_a_backup_accepts_a_pre_prepare_only_with_a_valid_signature() -> None:
    """OSDI '99, section 4.2: a backup accepts a pre-prepare if its signatures are correct…"""
    one = Alone()
    good = sign_pre_prepare(1, 1, one.block())
    one.hear(msgspec.structs.replace(good, signature=bytes(64)))
    assert one.of(Prepare) == []
    one.hear(good)
    assert len(one.of(Prepare)) == 1


def test_a_backup_accepts_a_pre_prepare_only_if_the_digest_is_of_the_request() -> None:
    """OSDI '99, section 4.2: … and d is the digest of m…

    Here: the header is the digest; a body that does not give its log root is not executed as it.
    """
    one = Alone()
    good = one.block()
    one.hear(sign_pre_prepare(1, 1, msgspec.structs.replace(good, leaf_hashes=bytes(64))))
    assert one.of(Prepare) == []
    one.hear(sign_pre_prepare(1, 1, good))
    assert len(one.of(Prepare)) == 1


def test_a_backup_accepts_a_pre_prepare_only_in_its_view() -> None:
    """OSDI '99, section 4.2: … it is in view v…"""
    one = Alone()
    one.hear(*changes(1, replicas=(0, 1)))
    one.hear(sign_pre_prepare(1, 1, one.block()))
    assert one.of(Prepare) == []


def test_a_backup_accepts_one_digest_per_view_and_number() -> None:
    """OSDI '99, section 4.2: … it has not accepted a pre-prepare for v and n with another digest…

    Here: it also reports the contradiction; both signatures are evidence.
    """
    one = Alone()
    first, second = one.block(), one.block(salt=b"b")
    one.hear(sign_pre_prepare(1, 1, first), sign_pre_prepare(1, 1, second))
    assert [message.block_hash for message in one.of(Prepare)] == [first.block_hash]
    assert len(one.node.evidence) == 1


def test_a_backup_accepts_only_numbers_near_its_own() -> None:
    """OSDI '99, section 4.2: … and n is between a low and a high water mark, so that a faulty
    primary cannot exhaust the space of sequence numbers.

    Here: no water marks. The only number is the height after the applied block: it is checked
    inside the header, messages of the next height wait, and all later ones are dropped.
    """
    one = Alone()
    block = one.block()
    far = make_proposal(decode_header(block.header), 2, START_MS + 2, b"2")
    one.hear(sign_pre_prepare(1, 1, far))
    assert "refused" in one.node.notes[-1]
    for height in (2, 3, 50, 2**50):
        primary = one.network.validators.primary(height, 0)
        one.hear(sign_pre_prepare(primary, height, far))
    assert one.sent == []
    assert len(one.node.running._inbox._places) <= 1


def test_an_accepted_pre_prepare_is_answered_with_a_prepare_to_all() -> None:
    """OSDI '99, section 4.2: then backup i multicasts a prepare and adds both to its log."""
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    assert [message for _, message in one.network.log] == one.of(Prepare) * 3
    assert [vote.phase for vote in record_of(one).votes] == [PREPARE]


def test_the_primary_sends_no_prepare() -> None:
    """OSDI '99, section 4.2: prepares come from backups; the pre-prepare is the primary's word."""
    network = Network(4).start()
    network.run(2)
    senders = {sender for sender, message in network.log if isinstance(message, Prepare)}
    prepares = [m for _, m in network.log if isinstance(m, Prepare)]
    assert senders == {0, 1, 2, 3}
    for message in prepares:
        assert message.replica != network.validators.primary(message.height, message.view)


def test_prepares_are_taken_before_the_pre_prepare() -> None:
    """OSDI '99, section 4.2: replicas do not rely on ordered delivery; messages are logged."""
    one = Alone()
    block = one.block()
    one.hear(sign_prepare(0, 1, 0, block.block_hash), sign_prepare(2, 1, 0, block.block_hash))
    assert one.sent == []
    one.hear(sign_pre_prepare(1, 1, block))
    assert [len(one.of(Prepare)), len(one.of(Commit))] == [1, 1]


def test_prepares_of_another_view_never_count_here() -> None:
    """OSDI '99, section 4.2: prepares are accepted if their view equals the replica's.

    Here: those of other views are kept, a bounded number of them, because the replica may enter
    that view; they never count for this one.
    """
    one = Alone(own=3, count=7)
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(*(sign_prepare(i, 1, 1, block.block_hash) for i in (0, 2, 4, 5, 6)))
    assert one.of(Commit) == []


@pytest.mark.parametrize("count", [4, 5, 6, 7, 10, 13])
def test_prepared_needs_the_pre_prepare_and_matching_prepares_of_a_quorum(count: int) -> None:
    """OSDI '99, section 4.2: prepared(m,v,n,i) is true if and only if i has the request, its
    pre-prepare, and 2f matching prepares from different backups.

    Here: as many as make a quorum together with the pre-prepare, for every n; its own counts.
    """
    one = Alone(own=3, count=count)
    block = one.block()
    quorum = one.network.validators.quorum
    others = [i for i in range(count) if i not in {1, 3}]
    one.hear(sign_pre_prepare(1, 1, block))
    for replica in others[: quorum - 3]:
        one.hear(*([sign_prepare(replica, 1, 0, block.block_hash)] * 3))
    one.hear(*(sign_prepare(i, 1, 0, bytes(32)) for i in others[quorum - 3 :]))
    assert one.of(Commit) == [], "one short, whatever is repeated or names another block"
    fresh = Alone(own=3, count=count)
    fresh.hear(sign_pre_prepare(1, 1, block))
    fresh.hear(*(sign_prepare(i, 1, 0, block.block_hash) for i in others[: quorum - 2]))
    assert len(fresh.of(Commit)) == 1


def test_prepared_needs_the_request() -> None:
    """OSDI '99, section 4.2: prepared requires the request itself in the log.

    Here: executed, with the same result; a replica that could not execute prepares nothing.
    """
    one = Alone()
    one.node.bad_state = True
    block = one.block()
    one.prepare_block(block)
    one.hear(sign_prepare(2, 1, 0, block.block_hash))
    assert one.sent == []


def test_two_blocks_are_never_prepared_in_one_view() -> None:
    """OSDI '99, section 4.2: if prepared(m,v,n,i) is true, prepared(m',v,n,j) is false for any
    correct j and other m', because the two quorums share a correct replica, which prepares once.
    """
    for count in SIZES:
        common = 2 * compute_quorum(count) - count
        assert common >= compute_faulty_max(count) + 1


def test_a_commit_is_multicast_when_prepared() -> None:
    """OSDI '99, section 4.2: replica i multicasts a commit when prepared(m,v,n,i) becomes true.

    Here: after certificate and bytes are durable.
    """
    one = Alone()
    block = one.block()
    one.node.crash_at_persist = (one.node.persist_count + 2, "before")
    one.prepare_block(block)
    assert not one.node.is_up
    assert one.of(Commit) == []
    one.node.crash_at_persist = None
    one.node.start()
    one.tick()
    one.prepare_block(block)
    assert len(one.of(Commit)) == 1
    assert record_of(one).prepared is not None


def test_commits_are_taken_whatever_the_own_view() -> None:
    """OSDI '99, section 4.2: commits are accepted if their view equals the replica's.

    Here: of any view. A certificate names one view and proves itself, so it decides in whichever
    view it comes together; waiting would only lose it (a quorum of one view is what matters).
    """
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(*changes(1, replicas=(0, 1)))
    assert one.node.running.view == 1
    one.commit_in(0, block)
    assert one.node.disk.certificates[1].view == 0


def test_committed_local_needs_a_quorum_of_matching_commits() -> None:
    """OSDI '99, section 4.2: committed-local(m,v,n,i) is true if and only if prepared(m,v,n,i) is
    and i accepted 2f+1 matching commits, possibly its own among them."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(sign_commit(0, 1, 0, block.block_hash), sign_commit(1, 1, 0, bytes(32)))
    assert len(one.node.disk.headers) == 1
    one.hear(sign_commit(2, 1, 0, block.block_hash))
    assert len(one.node.disk.headers) == 2


def test_a_certificate_decides_without_being_prepared_oneself() -> None:
    """OSDI '99, section 4.2: committed-local requires prepared.

    Here: it does not. A quorum of commits contains f+1 correct replicas that were prepared, which
    is the paper's *committed*; the block is executed here before it is applied.
    """
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.commit_in(0, block)
    assert one.of(Commit) == []
    assert len(one.node.disk.headers) == 2


def test_committed_local_implies_committed() -> None:
    """OSDI '99, section 4.2: if committed-local is true for some correct i then committed is: f+1
    correct replicas are prepared. A quorum less f liars is at least f+1."""
    for count in SIZES:
        faulty = compute_faulty_max(count)
        assert compute_quorum(count) - faulty >= faulty + 1


def test_requests_are_executed_in_the_order_of_their_numbers() -> None:
    """OSDI '99, section 4.2: i executes m once committed-local is true and all lower numbers are
    executed; so all correct replicas execute in the same order.

    Here: execution comes before the vote and is kept only when decided; a height begins when the
    one below is applied, so nothing of height 2 is executed before.
    """
    one = Alone()
    block = one.block()
    second = make_proposal(decode_header(block.header), 2, START_MS + 2, b"2")
    one.hear(
        sign_pre_prepare(2, 2, second),
        *(sign_commit(i, 2, 0, second.block_hash) for i in (0, 1, 2)),
    )
    assert (one.sent, list(one.node.memory)) == ([], [])
    one.prepare_block(block)
    one.commit_in(0, block)
    one.answer()
    assert [header.height for header in one.node.disk.headers] == [0, 1, 2]


def test_replicas_agree_in_spite_of_lost_and_repeated_messages() -> None:
    """OSDI '99, section 4.2: the three phases ensure a total order although messages are lost,
    repeated and delivered out of order (section 2)."""
    network = Network(4, seed=42)
    network.drop_probability, network.duplicate_probability = 0.3, 0.3
    network.start().run_to(5, ticks_max=600)
    assert len({tuple(node.disk.headers[:6]) for node in network.nodes}) == 1


# Section 4.3: garbage collection


def test_messages_of_an_executed_number_are_discarded_once_it_can_be_proven() -> None:
    """OSDI '99, section 4.3: messages are kept until the requests they concern are executed by f+1
    correct replicas and this can be proven to others in view changes.

    Here: until the block is applied. Its commit certificate is the proof, kept for good and
    handed to whoever still votes on that height; no view change reaches below it.
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    state = one.node.running._state
    assert (state.votes._slots, state.view_changes._newest, state.own_votes) == ({}, {}, {})
    certificate = one.node.disk.certificates[1]
    certificate.verify(one.network.validators, CHAIN_ID, fake_verify)


def no_tile(level: int, index: int) -> bytes:
    raise AssertionError("nothing of the log is asked for")


def test_a_checkpoint_is_stable_with_a_quorum_of_signatures_on_one_digest() -> None:
    """OSDI '99, section 4.3: a checkpoint with 2f+1 messages of different replicas for the same
    digest is stable.

    Here: the CHECKPOINT message is a C2SP cosignature of the log (ADR 0005), sent once the block
    is durable. The quorum and the one-digest rule are the same, and outsiders can check it.
    """
    deployment = make_deployment(4)
    genesis = deployment.genesis
    root = bytes(range(32))
    books = [
        Certification(
            genesis,
            i,
            deployment.signers[i].cosign,
            deployment.signers[i].log,
            no_tile,
            verify_signature,
        )
        for i in range(4)
    ]
    for book in books:
        book.open_height(1, 7, root)
    said = [book.cosign(1, 1_700_000_000) for book in books]
    book = books[0]
    assert book.make_note(1) is None
    assert book.add(1, said[1], 1) is None
    assert book.add(1, said[1], 1) is None, "the same again adds nothing"
    forked = Cosigned(1, 7, bytes(32), said[2].signature)
    doubt = book.add(2, forked, 1)
    assert doubt is not None
    assert "signature" in doubt.complaint, "a signature on another digest"
    assert book.make_note(1) is None
    assert book.add(3, said[3], 1) is None
    note = book.make_note(1)
    assert note is not None
    assert note.count("— ".encode()) == 4, "the log's own line and three cosignatures"


# Section 4.4: view changes


def test_the_timer_runs_while_a_request_waits_and_only_then() -> None:
    """OSDI '99, section 4.4: a backup starts a timer when it receives a request and the timer is
    not already running; it stops when it no longer waits to execute the request."""
    one = Alone()
    one.tick(3 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 0, "nothing waits"
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    assert one.node.running.view == 1


def test_the_timer_starts_again_when_another_request_waits() -> None:
    """OSDI '99, section 4.4: … but restarts if at that point it waits for some other request.

    Here: with every height, from zero.
    """
    one = Alone()
    one.node.work_pending = True
    block = one.block()
    one.tick(TIMING.view_timeout_ticks - 1)
    one.prepare_block(block)
    one.commit_in(0, block)
    one.answer()
    assert one.node.running.height == 2
    one.tick(TIMING.view_timeout_ticks - 1)
    assert one.node.running.view == 0
    one.tick()
    assert one.node.running.view == 1


def test_an_expired_timer_starts_a_view_change_to_the_next_view() -> None:
    """OSDI '99, section 4.4: if the timer of backup i expires in view v, it starts a view change
    to v+1: it multicasts a view-change with P to all replicas."""
    one = Alone()
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    assert len(one.of(ViewChange)) == 1
    assert sum(message == one.of(ViewChange)[0] for _, message in one.network.log) % 3 == 0
    assert [(message.height, message.view) for message in one.of(ViewChange)] == [(1, 1)]


def test_whoever_changes_view_votes_in_the_old_one_no_more() -> None:
    """OSDI '99, section 4.4: it stops accepting messages other than checkpoint, view-change and
    new-view ones.

    Here: it stops voting, which is what safety needs; votes of others are still counted, so a
    decision of the old view is not missed.
    """
    one = Alone()
    block = one.block()
    one.hear(*changes(1, replicas=(0, 1)))
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(0, 1, 0, block.block_hash))
    one.hear(sign_prepare(2, 1, 0, block.block_hash))
    assert (one.of(Prepare), one.of(Commit)) == ([], [])


def test_p_holds_the_pre_prepare_and_the_prepares_of_what_is_prepared() -> None:
    """OSDI '99, section 4.4: P contains for each prepared request a valid pre-prepare and 2f
    matching, valid prepares signed by different backups with the same view, number and digest.

    Here: of the one height in flight, the prepared block of the highest view; the view-change's
    signature covers its view and hash, and the certificate travels beside it.
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(*changes(1, replicas=(0, 1)))
    [message] = one.of(ViewChange)
    assert message.prepared is not None
    assert (message.prepared.view, message.prepared.block_hash) == (0, block.block_hash)
    message.prepared.verify(1, one.network.validators, CHAIN_ID, fake_verify)
    assert 1 not in {item.replica for item in message.prepared.prepares}


def test_p_is_empty_for_what_was_only_pre_prepared() -> None:
    """OSDI '99, section 4.4: a request that did not prepare at i is not in its P."""
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    one.hear(*changes(1, replicas=(0, 1)))
    assert [message.prepared for message in one.of(ViewChange)] == [None]


def test_the_new_primary_waits_for_view_changes_of_a_quorum() -> None:
    """OSDI '99, section 4.4: when the primary of v+1 receives 2f valid view-changes for v+1 from
    other replicas, it multicasts a new-view with V and O; V holds its own view-change too."""
    one = Alone(own=2)
    one.hear(sign_view_change(0, 1, 1, None))
    assert one.of(NewView) == []
    one.hear(sign_view_change(1, 1, 1, None))
    [message] = one.of(NewView)
    assert [signed.replica for signed in message.view_changes] == [0, 1, 2]
    assert sum(isinstance(item, NewView) for _, item in one.network.log) == 3


def test_view_changes_for_other_views_do_not_help_the_new_primary() -> None:
    """OSDI '99, section 4.4: the view-changes are for view v+1, exactly."""
    one = Alone(own=2)
    one.hear(sign_view_change(0, 1, 1, None), sign_view_change(1, 1, 5, None))
    assert one.node.running.view == 1, "two others ask for higher views; the lower one is joined"
    assert one.of(NewView) == []


def test_o_proposes_the_request_prepared_in_the_highest_view() -> None:
    """OSDI '99, section 4.4: for each number with a prepared request in V, O has a pre-prepare of
    the digest with the highest view number."""
    one = Alone(own=3)
    low, high = one.block(salt=b"low"), one.block(proposer=2, salt=b"high")
    one.node.remember(low)
    one.hear(
        sign_view_change(0, 1, 2, one.prepared(0, low)),
        sign_view_change(1, 1, 2, one.prepared(1, high)),
    )
    one.node.handle(ev.ProposalFetched(high.block_hash, high, 1))
    one.answer()
    [message] = one.of(NewView)
    assert message.proposal == high
    assert message.prepared == one.prepared(1, high)


def test_o_proposes_a_null_request_where_nothing_is_prepared() -> None:
    """OSDI '99, section 4.4: otherwise O has a pre-prepare of a special null request, a no-op.

    Here: a fresh block instead; with one height in flight there is no gap to fill, and the null
    block would cost a height. Half as many transactions, in case they were the cause.
    """
    one = Alone(own=2)
    one.node.work_pending = True
    one.hear(*changes(1, replicas=(0, 1)))
    [message] = one.of(NewView)
    assert message.prepared is None
    assert decode_header(message.proposal.header).proposer == 2
    assert one.node.built[-1].batch_divisor == 2


def test_the_new_primary_logs_o_before_it_sends_it() -> None:
    """OSDI '99, section 4.4: the primary appends the messages of O to its log and enters v+1."""
    one = Alone(own=2)
    one.hear(*changes(1, replicas=(0, 1)))
    record = record_of(one)
    assert (record.view, record.is_changing) == (1, False)
    assert record.plan is not None
    assert one.node.running.view == 1


def test_a_backup_accepts_a_new_view_only_if_it_is_signed_by_that_primary() -> None:
    """OSDI '99, section 4.4: a backup accepts a new-view if it is signed properly…"""
    one = Alone()
    block = one.block(proposer=2)
    for signer in (0, 1, 3):
        one.hear(sign_new_view(signer, 1, 1, changes(1), block))
    assert one.node.running.view == 0
    one.hear(sign_new_view(2, 1, 1, changes(1), block))
    assert one.node.running.view == 1


def test_a_backup_accepts_a_new_view_only_if_its_view_changes_are_valid_for_it() -> None:
    """OSDI '99, section 4.4: … if the view-changes it contains are valid for view v+1…"""
    one = Alone()
    block = one.block(proposer=2)
    forged = [msgspec.structs.replace(changes(1)[0], signature=bytes(64)), *changes(1)[1:]]
    one.hear(sign_new_view(2, 1, 1, forged, block), sign_new_view(2, 1, 1, changes(2), block))
    assert one.node.running.view == 0


def test_a_backup_accepts_a_new_view_only_if_o_is_correct() -> None:
    """OSDI '99, section 4.4: … and if O is correct; it verifies O by a similar computation."""
    one = Alone()
    block, fresh = one.block(), one.block(proposer=2, salt=b"fresh")
    claiming = changes(1, one.prepared(0, block))
    one.hear(sign_new_view(2, 1, 1, claiming, fresh))
    assert one.node.running.view == 0
    one.hear(sign_new_view(2, 1, 1, claiming, block))
    assert [message.block_hash for message in one.of(Prepare)] == [block.block_hash]


def test_a_backup_prepares_what_is_in_o_and_enters_the_view() -> None:
    """OSDI '99, section 4.4: it multicasts a prepare for each message in O, adds these to its log
    and enters view v+1."""
    one = Alone()
    block = one.block(proposer=2)
    one.hear(sign_new_view(2, 1, 1, changes(1), block))
    assert [(message.view, message.block_hash) for message in one.of(Prepare)] == [
        (1, block.block_hash)
    ]
    record = record_of(one)
    assert (record.view, [vote.view for vote in record.votes]) == (1, [1])


def test_after_the_new_view_the_protocol_proceeds_as_before() -> None:
    """OSDI '99, section 4.4: thereafter it proceeds as described in section 4.2."""
    one = Alone()
    block = one.block(proposer=2)
    one.hear(sign_new_view(2, 1, 1, changes(1), block), sign_prepare(0, 1, 1, block.block_hash))
    assert [message.view for message in one.of(Commit)] == [1]
    one.hear(*(sign_commit(i, 1, 1, block.block_hash) for i in (0, 1)))
    assert one.node.disk.certificates[1].view == 1


def test_a_request_is_not_executed_twice_across_views() -> None:
    """OSDI '99, section 4.4: replicas redo the protocol for what is in O but avoid re-executing
    client requests.

    Here: they do execute it again, since nothing of an undecided block is kept, and apply it once.
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(sign_new_view(2, 1, 1, changes(1, one.prepared(0, block)), block))
    one.hear(sign_prepare(0, 1, 1, block.block_hash))
    one.commit_in(1, block)
    one.commit_in(0, block)
    assert [header.height for header in one.node.disk.headers] == [0, 1]


def test_a_missing_request_is_had_from_another_replica() -> None:
    """OSDI '99, section 4.4: a replica that misses a request in O obtains it from another one.

    Here: from whoever claims to have prepared it, since the claim is a promise to serve the bytes.
    """
    one = Alone(own=2)
    block = one.block()
    actions = [
        action
        for replica in (0, 1)
        for action in one.node.running.step(
            ev.Received(sign_view_change(replica, 1, 1, one.prepared(0, block)))
        )
    ]
    [fetch] = [action for action in actions if isinstance(action, act.FetchProposal)]
    assert fetch == act.FetchProposal(1, block.block_hash, (0, 1))


# Section 4.5: correctness


def test_two_quorums_share_a_correct_replica() -> None:
    """OSDI '99, section 4.5.1: the quorum that prepared m and the quorum of V share a correct
    replica, so m is carried into every later view."""
    for count in SIZES:
        assert 2 * compute_quorum(count) - count > compute_faulty_max(count)


def test_a_committed_block_survives_a_change_of_view() -> None:
    """OSDI '99, section 4.5.1: if a correct replica committed m in view v, no other m' commits in
    a later view."""
    network = Network(4)
    network.filter = lambda sender, receiver, message: (
        not isinstance(message, Commit | Decided) or receiver == 3
    )
    network.start()
    for node in network.nodes:
        node.work_pending = node.number == 1
    network.run(1)
    assert len(network.nodes[3].disk.headers) == 2
    network.nodes[3].crash()
    network.run(12)
    assert {node.running.view for node in network.nodes[:3]} == {1}
    network.filter = None
    network.run_to(1, ticks_max=80, only=[0, 1, 2])
    assert len({node.disk.headers[1] for node in network.nodes}) == 1


def test_the_timer_of_a_new_view_waits_for_a_quorum() -> None:
    """OSDI '99, section 4.5.2: after its view-change for v+1 a replica waits for 2f+1 view-changes
    for v+1 and then starts its timer, so that it does not start the next one too soon."""
    one = Alone()
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    one.hear(sign_view_change(0, 1, 1, None))
    one.tick(20 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 1
    one.hear(sign_view_change(1, 1, 1, None))
    one.tick(2 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 2


def test_each_next_view_is_given_twice_the_time() -> None:
    """OSDI '99, section 4.5.2: the first timeout is T, and if it fails too the next is 2T.

    Here: doubled up to a cap, and back at T with the next height; unbounded doubling lets one
    outage cost hours. Liveness then needs delays below the cap, a minute, not below any bound.
    """
    spans = [compute_view_timeout_ticks(view, TIMING) for view in range(8)]
    base, cap = TIMING.view_timeout_ticks, TIMING.view_timeout_ticks_max
    assert spans == [min(base << view, cap) for view in range(8)]


def test_a_new_view_that_does_not_lead_to_execution_is_left_too() -> None:
    """OSDI '99, section 4.5.2: the timer covers the wait for a valid new-view and also the wait
    for the execution of a request in it."""
    one = Alone()
    one.hear(sign_new_view(2, 1, 1, changes(1), one.block(proposer=2)))
    one.tick(2 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 2


def test_f_plus_one_others_pull_a_replica_to_the_smallest_view_they_ask_for() -> None:
    """OSDI '99, section 4.5.2: a replica that receives f+1 valid view-changes from other replicas
    for views above its own sends one for the smallest of them, even if its timer has not expired.
    """
    one = Alone(count=7)
    one.hear(sign_view_change(0, 1, 9, None), sign_view_change(1, 1, 4, None))
    assert one.sent == []
    one.hear(sign_view_change(2, 1, 6, None))
    assert [message.view for message in one.of(ViewChange)] == [4]


def test_liars_cannot_force_view_changes() -> None:
    """OSDI '99, section 4.5.2: faulty replicas cannot impede progress by forcing frequent view
    changes: a replica joins only with f+1, and f liars are one too few."""
    one = Alone(count=7)
    for view in (1, 2, 3, 500):
        one.hear(sign_view_change(0, 1, view, None), sign_view_change(1, 1, view, None))
    assert (one.node.running.view, one.sent) == (0, [])


@pytest.mark.parametrize("count", [4, 7, 10])
def test_the_primary_is_faulty_in_at_most_f_views_in_a_row(count: int) -> None:
    """OSDI '99, section 4.5.2: the primary of view v is v mod n, so it cannot be faulty for more
    than f consecutive views."""
    network = Network(count).start()
    faulty = compute_faulty_max(count)
    for dead in range(1, 1 + faulty):
        network.nodes[dead].crash()
    network.run_to(1, ticks_max=200)
    assert network.nodes[0].disk.certificates[1].view == faulty


# Section 4.6: non-determinism


def test_the_primary_chooses_the_time_and_the_others_check_it() -> None:
    """OSDI '99, section 4.6: values that replicas could choose differently, as a clock's reading,
    are chosen by the primary and proposed with the request; the others decide deterministically
    whether the choice is acceptable.

    Here: later than the parent's, and not more than ten seconds ahead of one's own clock.
    """
    for time_ms, is_accepted in (
        (START_MS, False),
        (START_MS + 1, True),
        (START_MS + 100 + TIMING.clock_skew_ms_max + 1, False),
    ):
        one = Alone()
        one.hear(sign_pre_prepare(1, 1, one.block(time_ms=time_ms)))
        assert bool(one.of(Prepare)) is is_accepted


def test_a_value_chosen_once_is_not_judged_again() -> None:
    """OSDI '99, section 4.6: the choice is part of what is agreed on.

    Here: a block proposed again keeps its time, and no clock is asked.
    """
    one = Alone()
    block = one.block(time_ms=START_MS + 10**9)
    one.hear(sign_new_view(2, 1, 1, changes(1, one.prepared(0, block)), block))
    assert [message.block_hash for message in one.of(Prepare)] == [block.block_hash]


# Section 5: optimizations


def test_nothing_is_applied_tentatively() -> None:
    """OSDI '99, section 5.1: replicas may execute tentatively once prepared, and undo it if a view
    change comes.

    Here: not done. Nothing is applied or told before the commit certificate: a receipt for a
    block that can still roll back would be false evidence.
    """
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    assert len(one.of(Commit)) == 1
    assert len(one.node.disk.headers) == 1
    assert not any(isinstance(event, ev.BlockApplied) for event in one.node.queue)


def test_every_vote_can_be_shown_to_a_third_party() -> None:
    """OSDI '99, section 5.2: normal-case messages are authenticated by MACs, which are cheaper and
    convince only their receiver.

    Here: signed, all of them. Certificates are evidence for people outside, and two contradictory
    votes convict their signer before anybody.
    """
    signer = SeedSigner(bytes(32))
    validators = make_validators(1)
    one = msgspec.structs.replace(validators[0], vote_key=signer.public_key)
    votes = [
        Vote(
            PREPARE,
            1,
            0,
            block_hash,
            0,
            signer.sign(compute_vote_message(PREPARE, CHAIN_ID, 1, 0, block_hash)),
        )
        for block_hash in (bytes(32), bytes([1] * 32))
    ]
    evidence = VoteEquivocation.of(*votes)
    evidence.verify(type(validators)([one]), CHAIN_ID, verify_signature)
    with pytest.raises(Rejected, match="bad_signature"):
        evidence.verify(type(validators)([one]), bytes(32), verify_signature)


# The journal version (TOCS 20(4), 2002): retransmission and recovery


def test_messages_are_repeated_until_they_are_of_no_use() -> None:
    """TOCS '02, on retransmission: receivers recover from lost messages by having them sent again.

    Here: everybody repeats its own, at intervals, unchanged.
    """
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    said = one.of(Prepare)
    one.network.log.clear()
    one.tick(3 * TIMING.resend_interval_ticks)
    assert one.of(Prepare) == said
    assert sum(isinstance(message, Prepare) for _, message in one.network.log) >= 6


def test_a_recovering_replica_signs_nothing_it_may_have_contradicted() -> None:
    """TOCS '02, on recovery: a replica that may have lost its state must do no harm while it finds
    out; it estimates an upper bound of the numbers it may have voted on.

    Here: silence through a height that a quorum's answers bound; it follows meanwhile.
    """
    one = Alone()
    one.node.crash()
    one.node.disk.record = None
    one.node.start(silent_through_height=1)
    one.tick()
    block = one.block()
    one.prepare_block(block)
    assert one.sent == []
    one.commit_in(0, block)
    assert len(one.node.disk.headers) == 2


def test_certificates_of_a_decided_height_bring_the_late_up_to_date() -> None:
    """TOCS '02, on state transfer: a replica that is behind is brought up to date from a
    checkpoint that a quorum vouches for.

    Here: by blocks, each with its commit certificate, which proves itself.
    """
    one = Alone()
    one.hear(Decided(make_certificate(one.network.validators, 5, 0, bytes(32))))
    assert one.node.catch_ups == [act.CatchUp(5, 0)]


# Every test names its sentence


def test_every_test_here_names_its_section() -> None:
    tests = [
        (name, inspect.getdoc(function) or "")
        for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
        if name.startswith("test_") and name != "test_every_test_here_names_its_section"
    ]
    assert len(tests) > 50
    cited = r"^(OSDI '99, section [3-5](\.\d)?(\.\d)?|TOCS '02, on [a-z ]+): "
    assert [name for name, text in tests if re.match(cited, text) is None] == []
