"""What was found about IBFT and proven about its successors, one test for each result.

- Saltini and Hyland-Wood, "Correctness Analysis of Istanbul Byzantine Fault Tolerance"
  (arXiv 1901.07160): IBFT as deployed in 2018 kept neither persistence nor liveness, and why.
- Moniz, "The Istanbul BFT Consensus Algorithm" (arXiv 2002.03613): Algorithms 1 to 4.
- The QBFT specification in Dafny (Consensys/qbft-formal-spec-and-verification, dafny/spec/L1):
  predicates by name. Its round is our view, its proposal our pre-prepare or new-view, its
  round-change our view-change.

Sentences are in our own words; "Here:" marks what this protocol does otherwise, and why that is
sound.
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
from consensus.messages import Commit, Decided, NewView, Prepare, PrePrepare, ViewChange
from consensus.timers import compute_view_timeout_ticks
from ledger.block import decode_header, encode_header
from ledger.refusal import Rejected
from ledger.validators import VALIDATORS_MAX, compute_faulty_max, compute_quorum
from ledger.votes import PreparedCertificate
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

# Saltini and Hyland-Wood: what broke


def test_two_f_plus_one_is_no_quorum_for_other_sizes() -> None:
    """arXiv 1901.07160, persistence: with a quorum of 2f+1 two quorums of an n that is not 3f+1
    may share only liars, so two blocks can be final at one height.

    Here: ⌊(n+f)/2⌋+1; it equals 2f+1 for n = 3f+1 and is more elsewhere.
    """
    unsafe = []
    for count in range(1, VALIDATORS_MAX + 1):
        faulty = compute_faulty_max(count)
        assert 2 * compute_quorum(count) - count > faulty
        if 2 * (2 * faulty + 1) - count <= faulty:
            unsafe.append(count)
        if count == 3 * faulty + 1:
            assert compute_quorum(count) == 2 * faulty + 1
    assert {5, 6, 8, 9, 36} <= set(unsafe)


def test_a_lock_without_its_proof_binds_nobody_else() -> None:
    """arXiv 1901.07160, persistence: IBFT let a new proposer ignore that others were locked; two
    quorums could then finalize two blocks.

    Here: the lock is a prepared certificate inside the view-change, and a new-view that ignores
    the highest one of its quorum is invalid.
    """
    one = Alone()
    block = one.block()
    ignoring = sign_new_view(
        2, 1, 1, changes(1, one.prepared(0, block)), one.block(proposer=2, salt=b"other")
    )
    one.hear(ignoring, msgspec.structs.replace(ignoring, prepared=None))
    assert (one.node.running.view, one.of(Prepare)) == (0, [])


def test_a_lock_is_given_up_for_a_proven_higher_one() -> None:
    """arXiv 1901.07160, liveness: in IBFT a locked validator accepted no other block until its own
    was final, so two groups locked on two blocks waited for each other for ever.

    Here: whoever is prepared in view 0 prepares what a later view's new-view proves, for that
    proof shows that its own block was not committed.
    """
    one = Alone()
    own, other = one.block(), one.block(proposer=2, salt=b"other")
    one.prepare_block(own)
    assert len(one.of(Commit)) == 1
    proven = one.prepared(1, other)
    one.hear(sign_new_view(0, 1, 3, changes(3, proven), other))
    assert [message.block_hash for message in one.of(Prepare)] == [
        own.block_hash,
        other.block_hash,
    ]


def test_groups_prepared_on_two_blocks_come_together() -> None:
    """arXiv 1901.07160, liveness: the deadlock itself. Replica 3 alone is prepared on the block of
    view 0, replica 2 alone on the block of view 1; then everybody correct is heard."""
    network = Network(4)
    cut = {"on": True}

    def rule(sender: int, receiver: int, message: object) -> bool:
        if not cut["on"]:
            return True
        if isinstance(message, Prepare | Commit):
            # Prepares reach one replica only, and no commit reaches anybody.
            return isinstance(message, Prepare) and receiver == 3 - message.view
        return not (isinstance(message, ViewChange) and sender == 3)

    network.filter = rule
    network.start()
    for node in network.nodes:
        node.work_pending = True
    network.run(TIMING.view_timeout_ticks + 4)
    locked = {
        node.number: claim.block_hash
        for node in network.nodes
        if (claim := node.running._state.prepared) is not None
    }
    assert set(locked) == {2, 3}
    assert len(set(locked.values())) == 2
    cut["on"] = False
    network.run_to(1, ticks_max=200)
    assert network.applied[1] == locked[2], "the higher one"


def test_a_final_block_proves_itself() -> None:
    """arXiv 1901.07160 and QBFT `validNewBlock`: a block is final with commit seals of a quorum of
    the validators of its height, and anybody can check that."""
    validators = make_validators(4)
    good = make_certificate(validators, 3, 0, bytes(32))
    good.verify(validators, CHAIN_ID, fake_verify)
    for bad, reason in (
        (msgspec.structs.replace(good, commits=good.commits[:2]), "no_quorum"),
        (msgspec.structs.replace(good, height=4), "bad_signature"),
        (msgspec.structs.replace(good, view=1), "bad_signature"),
        (msgspec.structs.replace(good, block_hash=bytes([1] * 32)), "bad_signature"),
        (msgspec.structs.replace(good, commits=(good.commits[0],) * 3), "duplicate"),
    ):
        with pytest.raises(Rejected, match=reason):
            bad.verify(validators, CHAIN_ID, fake_verify)
    with pytest.raises(Rejected, match="no_quorum"):
        good.verify(make_validators(7), CHAIN_ID, fake_verify)


# Moniz: the algorithm


def test_the_leader_of_the_first_view_proposes_without_justification() -> None:
    """arXiv 2002.03613, Algorithm 1: in round 1 the leader broadcasts its input value at once."""
    one = Alone(own=1)
    one.node.work_pending = True
    one.tick()
    assert [message.view for message in one.of(PrePrepare)] == [0]


def test_a_prepared_pair_is_kept_when_prepared() -> None:
    """arXiv 2002.03613, Algorithm 2: on a quorum of prepares a process sets its prepared round and
    value, and broadcasts a commit."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    prepared = one.node.running._state.prepared
    assert prepared is not None
    assert (prepared.view, prepared.block_hash) == (0, block.block_hash)
    assert len(one.of(Commit)) == 1


def test_a_timeout_moves_to_the_next_round_with_the_prepared_pair() -> None:
    """arXiv 2002.03613, Algorithm 3: when its timer expires a process goes to the next round, sets
    the timer anew and broadcasts a round-change with its prepared pair."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.tick(TIMING.view_timeout_ticks)
    [message] = one.of(ViewChange)
    assert (message.view, message.prepared is not None) == (1, True)
    assert one.node.running._state.view_ticks == 0


def test_the_timer_grows_with_the_round() -> None:
    """arXiv 2002.03613, on timers: a timer's duration is exponential in the round.

    Here: up to a cap; see the tests by Castro & Liskov's sentences.
    """
    spans = [compute_view_timeout_ticks(view, TIMING) for view in range(4)]
    assert [later / earlier for earlier, later in pairwise(spans)] == [2, 2, 2]


def test_f_plus_one_round_changes_move_to_the_least_of_them() -> None:
    """arXiv 2002.03613, Algorithm 3: with f+1 round-changes for higher rounds a process moves to
    the smallest of them and broadcasts its own."""
    one = Alone()
    one.hear(sign_view_change(0, 1, 8, None), sign_view_change(1, 1, 3, None))
    assert [message.view for message in one.of(ViewChange)] == [3]


def test_the_leader_proposes_the_highest_prepared_value() -> None:
    """arXiv 2002.03613, Algorithm 3: with a justified quorum of round-changes the leader proposes
    the value of the highest prepared pair, or its own input if there is none."""
    one = Alone(own=3)
    low, high = one.block(salt=b"low"), one.block(proposer=2, salt=b"high")
    for block in (low, high):
        one.node.remember(block)
    one.hear(
        sign_view_change(0, 1, 2, one.prepared(1, high)),
        sign_view_change(1, 1, 2, one.prepared(0, low)),
    )
    one.node.handle(ev.ProposalFetched(high.block_hash, high, 0))
    one.answer()
    assert [message.proposal for message in one.of(NewView)] == [high]


def test_a_round_change_of_a_decided_height_is_answered_with_the_commits() -> None:
    """arXiv 2002.03613, Algorithm 3: a process that decided answers a round-change with the quorum
    of commits it decided by."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    one.network.log.clear()
    one.hear(sign_view_change(1, 1, 4, None))
    [message] = one.of(Decided)
    message.certificate.verify(one.network.validators, CHAIN_ID, fake_verify)


def test_a_claim_needs_its_quorum_of_prepares() -> None:
    """arXiv 2002.03613, Algorithm 4 (JustifyRoundChange): every prepared pair of a round-change is
    backed by a quorum of prepares of that round and value."""
    one = Alone(own=2)
    block = one.block()
    proof = one.prepared(0, block)
    for bad in (
        msgspec.structs.replace(proof, prepares=proof.prepares[:1]),
        msgspec.structs.replace(proof, block_hash=one.block(salt=b"x").block_hash),
        PreparedCertificate(0, block.block_hash, bytes(64), proof.prepares),
    ):
        one.hear(sign_view_change(0, 1, 1, bad))
    one.hear(sign_view_change(1, 1, 1, None))
    assert (one.node.running.view, one.sent) == (0, []), "one valid view-change, not two"


def test_a_later_proposal_needs_a_quorum_of_round_changes() -> None:
    """arXiv 2002.03613, Algorithm 4 (JustifyPrePrepare): a proposal of a later round carries a
    quorum of round-changes that justify its value."""
    one = Alone()
    block = one.block(proposer=2)
    one.hear(sign_new_view(2, 1, 1, changes(1)[:2], block))
    assert one.node.running.view == 0
    one.hear(sign_new_view(2, 1, 1, changes(1), block))
    assert one.node.running.view == 1


# The QBFT specification


def test_a_proposal_of_a_later_round_is_accepted_without_having_asked_for_it() -> None:
    """QBFT `isValidProposal`: a proposal is accepted for the current round if none was accepted in
    it, or for a later round."""
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    block = one.block(proposer=0, salt=b"later")
    one.hear(sign_new_view(0, 1, 3, changes(3), block))
    assert (one.node.running.view, one.of(ViewChange)) == (3, [])
    assert [message.view for message in one.of(Prepare)] == [0, 3]


def test_a_proposal_is_accepted_once_per_round() -> None:
    """QBFT `isValidProposal`: once a proposal is accepted for the current round, no other is."""
    one = Alone()
    blocks = [one.block(proposer=2, salt=salt) for salt in (b"1", b"2")]
    one.hear(*(sign_new_view(2, 1, 1, changes(1), block) for block in blocks))
    assert [message.block_hash for message in one.of(Prepare)] == [blocks[0].block_hash]


def test_a_fresh_block_names_its_proposer_and_height() -> None:
    """QBFT `isProposalJustification` and `validateNonPreparedBlock`: without a prepared value the
    block is valid on the chain, of this height, and its proposer is the round's leader."""
    good = Alone().block(proposer=2)
    header = decode_header(good.header)
    for bad in (
        msgspec.structs.replace(header, proposer=1),
        msgspec.structs.replace(header, height=2),
        msgspec.structs.replace(header, parent_hash=bytes(32)),
    ):
        one = Alone()
        proposal = msgspec.structs.replace(good, header=encode_header(bad))
        one.hear(sign_new_view(2, 1, 1, changes(1), proposal))
        assert (one.node.running.view, one.of(Prepare)) == (0, [])


def test_a_block_proposed_again_is_the_same_bytes() -> None:
    """QBFT `replaceRoundInBlock`: a prepared block is proposed again with the new round written
    into it, so its digest changes.

    Here: no view stands in a header. The block is proposed byte for byte, keeps its hash, its
    proposer and its time, and one certificate of it never has to be matched with another form.
    """
    one = Alone(own=2)
    block = one.block()
    one.node.remember(block)
    one.hear(*changes(1, one.prepared(0, block), replicas=(0, 1)))
    one.node.handle(ev.ProposalFetched(block.block_hash, block, 0))
    one.answer()
    [message] = one.of(NewView)
    assert message.proposal == block
    assert decode_header(message.proposal.header).proposer == 1


def test_round_changes_of_a_justification_are_valid_and_of_distinct_senders() -> None:
    """QBFT `isProposalJustification`: a quorum of distinct senders, each round-change valid for
    this height and round."""
    block = Alone().block(proposer=2)
    asked = changes(1)
    for bad in (
        [asked[0], asked[0], asked[1]],
        [*asked[:2], sign_view_change(2, 1, 2, None)],
        [*asked[:2], sign_view_change(2, 2, 1, None)],
        [*asked[:2], msgspec.structs.replace(asked[2], replica=3)],
    ):
        one = Alone()
        one.hear(sign_new_view(2, 1, 1, bad, block))
        assert one.node.running.view == 0


def test_a_claimed_round_is_an_earlier_one() -> None:
    """QBFT `validRoundChange`: prepared round and value are both there or both absent, and the
    prepared round is below the new one.

    Here: both are one optional value, so a half claim cannot be written.
    """
    one = Alone(own=2)
    block = one.block()
    for view in (1, 2, 5):
        proof = one.prepared(view, block)
        one.hear(*(sign_view_change(replica, 1, 1, proof) for replica in (0, 1, 3)))
    assert (one.node.running.view, one.sent) == (0, [])


def test_one_commit_per_round() -> None:
    """QBFT `UponPrepare`: a commit is sent only if none was sent in this round."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(sign_prepare(2, 1, 0, block.block_hash), sign_prepare(0, 1, 0, block.block_hash))
    assert len(one.of(Commit)) == 1


def test_prepares_of_the_leader_are_its_proposal() -> None:
    """QBFT `UponPrepare`: a quorum of prepares, the leader's own among them.

    Here: the pre-prepare counts as the primary's, so it sends one message less; a prepare from it
    besides never counts.
    """
    one = Alone(own=3, count=7)
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(1, 1, 0, block.block_hash))
    one.hear(sign_prepare(0, 1, 0, block.block_hash), sign_prepare(2, 1, 0, block.block_hash))
    assert one.of(Commit) == [], "1, 3, 0 and 2 are four; five are needed"


def test_commits_count_only_together_with_their_round() -> None:
    """QBFT `UponCommit`: a quorum of commits for height, round and digest; of the current round.

    Here: of any one round. What is proven is proven; waiting for it to be the current one would
    lose decisions that come late.
    """
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(*(sign_commit(i, 1, i, block.block_hash) for i in (0, 1, 2)))
    assert len(one.node.disk.headers) == 1
    one.commit_in(4, block)
    assert one.node.disk.certificates[1].view == 4


def test_a_final_block_is_taken_from_anybody_at_any_time() -> None:
    """QBFT `UponNewBlock`: a valid final block is adopted whatever the node is doing, and the next
    height begins at round 0."""
    one = Alone()
    block = one.block()
    one.hear(*changes(1, replicas=(0, 1)))
    one.network.nodes[0].start()
    one.network.nodes[0].remember(block)
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    assert (one.node.running.height, one.node.running.view) == (2, 0)
    assert not one.node.running.is_changing_view


def test_whoever_is_no_validator_is_not_heard() -> None:
    """QBFT `validSignedPrepareForHeightRoundAndDigest` and its like: authors are validators of the
    height."""
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    for message in (
        sign_prepare(7, 1, 0, block.block_hash),
        sign_commit(9, 1, 0, block.block_hash),
    ):
        one.hear(message)
        assert one.node.notes[-1].startswith("not_a_validator: ")


def test_proposals_of_an_idle_chain_come_with_the_block_time() -> None:
    """QBFT `UponBlockTimeout`: the leader of round 0 proposes when the block time is over, work or
    no work.

    Here: at once when there is work, and a header alone after the idle interval.
    """
    one = Alone(own=1)
    one.tick(TIMING.idle_interval_ticks - 2)
    assert one.of(PrePrepare) == []
    one.tick()
    [message] = one.of(PrePrepare)
    assert decode_header(message.proposal.header).count == 0
    busy = Alone(own=1)
    busy.node.work_pending = True
    busy.tick()
    assert len(busy.of(PrePrepare)) == 1


def test_nothing_is_sent_by_a_node_that_does_not_validate() -> None:
    """QBFT `NodeNextSubStep`: only a validator proposes and votes; every node adopts final blocks.

    Here: a silent replica, which must not sign at this height, behaves like such a node.
    """
    one = Alone()
    one.node.handle(ev.SilenceSet(1))
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    assert one.sent == []
    assert len(one.node.disk.headers) == 2
    second = make_proposal(one.node.disk.headers[1], 2, START_MS + 2, b"2")
    one.hear(sign_pre_prepare(2, 2, second))
    assert [message.height for message in one.of(Prepare)] == [2]


def test_a_decision_needs_the_block_as_well_as_the_votes() -> None:
    """QBFT `UponCommit`: the block is the one whose proposal was accepted.

    Here: or one that is fetched by its hash, and executed, once a certificate names it.
    """
    one = Alone()
    block = one.block()
    actions = one.node.running.step(
        ev.Received(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    )
    assert act.FetchProposal(1, block.block_hash, (0, 1, 2)) in actions
    assert not any(isinstance(action, act.Decide) for action in actions)


def test_every_test_here_names_its_source() -> None:
    tests = [
        (name, inspect.getdoc(function) or "")
        for name, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
        if name.startswith("test_") and name != "test_every_test_here_names_its_source"
    ]
    assert len(tests) > 25
    cited = r"^(arXiv 1901\.07160[,a-zA-Z` ]*|arXiv 2002\.03613, [^:]+|QBFT `[^:]+): "
    assert [name for name, text in tests if re.match(cited, text) is None] == []
