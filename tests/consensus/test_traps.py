"""Where PBFT ledgers have broken: one scripted replica (or a small group) per trap.

Most tests run replica 3 of a group of four alone; everybody else is a script. Height 1 belongs to
primary 1 in view 0, 2 in view 1, 3 in view 2.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest

from consensus import actions as act
from consensus import events as ev
from consensus.durable import decode_record
from consensus.messages import (
    Commit,
    Decided,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ViewChange,
    decode_message,
    encode_message,
)
from consensus.normal_case import BUILDS_PER_TURN_MAX, REFUSED_BODIES_PER_VIEW_MAX
from consensus.replica import Replica
from consensus.timers import compute_view_timeout_ticks
from consensus.vote_book import VIEWS_KEPT
from ledger.block import decode_header, encode_header
from ledger.refusal import Rejected
from ledger.votes import VIEW_MAX, PreparedCertificate
from tests.consensus.network import (
    CHAIN_ID,
    START_MS,
    TICK_MS,
    TIMING,
    FakeSigner,
    Network,
    Node,
    fake_verify,
    make_certificate,
    make_prepared,
    make_proposal,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
)

M = TypeVar("M", PrePrepare, Prepare, Commit, ViewChange, NewView, Decided)


class Alone:
    """One real replica of a group; the test speaks for the others and sees what it sends."""

    def __init__(self, own: int = 3, count: int = 4) -> None:
        self.network = Network(count)
        self.node: Node = self.network.nodes[own]
        self.node.start()
        self.node.work_pending = False
        self.tick()

    @property
    def sent(self) -> list[Message]:
        """Each message sent so far to anybody, once."""
        unique = {encode_message(message): message for _, message in self.network.log}
        return list(unique.values())

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.sent if isinstance(message, kind)]

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.network.ticks += 1
            self.node.tick()
            self.answer()

    def answer(self) -> None:
        while self.node.queue:
            self.node.handle(self.node.queue.popleft())

    def hear(self, *messages: Message) -> None:
        for message in messages:
            self.network.inject(self.node.number, message)
            self.answer()

    def block(self, proposer: int = 1, salt: bytes = b"a", time_ms: int = START_MS + 1) -> Proposal:
        return make_proposal(self.node.disk.headers[-1], proposer, time_ms, salt)

    def prepared(self, view: int, proposal: Proposal) -> PreparedCertificate:
        return make_prepared(self.network.validators, 1, view, proposal.block_hash)

    def commit_in(self, view: int, proposal: Proposal) -> None:
        for replica in (0, 1, 2):
            self.hear(sign_commit(replica, 1, view, proposal.block_hash))

    def prepare_block(self, proposal: Proposal) -> None:
        """Bring replica 3 to a commit of view 0."""
        self.hear(sign_pre_prepare(1, 1, proposal))
        self.hear(sign_prepare(0, 1, 0, proposal.block_hash))


def changes(
    view: int, prepared: PreparedCertificate | None = None, replicas: tuple[int, ...] = (0, 1, 2)
) -> list[ViewChange]:
    """View-changes of height 1, the first of which claims `prepared`."""
    return [
        sign_view_change(replica, 1, view, prepared if i == 0 else None)
        for i, replica in enumerate(replicas)
    ]


def test_trap_01_four_replicas_send_one_new_view() -> None:
    """With n = 4, f+1 view-changes of others and the own one are already a quorum."""
    one = Alone(own=2)
    one.hear(*changes(1, replicas=(0, 1, 3)))
    assert len(one.of(NewView)) == 1
    assert len(one.node.built) == 1


def test_trap_02_prepare_from_the_primary_never_counts() -> None:
    one = Alone(own=3, count=7)
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(0, 1, 0, block.block_hash))
    one.hear(sign_prepare(2, 1, 0, block.block_hash), sign_prepare(1, 1, 0, block.block_hash))
    assert one.of(Commit) == [], "pre-prepare, 0, 2 and 3 are four of five"
    one.hear(sign_prepare(4, 1, 0, block.block_hash))
    assert len(one.of(Commit)) == 1


def test_trap_03_votes_are_grouped_by_digest() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(sign_prepare(0, 1, 0, other.block_hash))
    assert one.of(Commit) == []
    one.hear(*(sign_commit(i, 1, 0, other.block_hash) for i in (0, 1)))
    one.hear(sign_commit(2, 1, 0, block.block_hash))
    assert one.node.running.height == 1
    assert len(one.node.disk.headers) == 1


@pytest.mark.parametrize("replica", [0, 2])
def test_trap_04_the_signer_is_verified(replica: int) -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    forged = msgspec.structs.replace(sign_prepare(1, 1, 0, block.block_hash), replica=replica)
    one.hear(forged)
    assert one.of(Commit) == []
    assert one.node.notes[-1] == (
        f"bad_signature: prepare of height 1 view 0: the signature of replica {replica} does not "
        "verify"
    )
    one.hear(sign_prepare(0, 1, 0, block.block_hash))
    assert len(one.of(Commit)) == 1, "the forgery took nobody's place"


def test_trap_04_replica_numbers_outside_the_set_are_refused() -> None:
    one = Alone()
    one.hear(msgspec.structs.replace(sign_prepare(0, 1, 0, bytes(32)), replica=4))
    assert one.node.notes[-1] == (
        "not_a_validator: prepare of height 1 view 0: replica 4 is not one of 4"
    )


def test_trap_05_conflicting_votes_are_evidence_once_and_the_first_counts() -> None:
    one = Alone()
    block, other, third = one.block(), one.block(salt=b"b"), one.block(salt=b"c")
    one.hear(sign_prepare(0, 1, 0, block.block_hash), sign_prepare(0, 1, 0, other.block_hash))
    assert len(one.node.evidence) == 1
    assert one.node.evidence[0].equivocation.replica == 0
    one.hear(sign_prepare(0, 1, 0, third.block_hash), sign_prepare(0, 1, 0, block.block_hash))
    assert len(one.node.evidence) == 1
    one.hear(sign_pre_prepare(1, 1, block))
    assert len(one.of(Commit)) == 1
    one.hear(sign_prepare(0, 1, 1, other.block_hash), sign_prepare(0, 1, 1, third.block_hash))
    assert len(one.node.evidence) == 2, "another slot"


def test_trap_05_two_proposals_of_a_primary_are_evidence() -> None:
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()), sign_pre_prepare(1, 1, one.block(salt=b"b")))
    assert [item.equivocation.slot for item in one.node.evidence] == ["pre-prepare/1/0"]
    assert len(one.of(Prepare)) == 1


def test_trap_05_a_certificate_inside_a_view_change_can_convict() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(sign_prepare(0, 1, 0, other.block_hash))
    one.hear(sign_view_change(2, 1, 1, one.prepared(0, block)))
    assert [item.equivocation.replica for item in one.node.evidence] == [0]


def test_trap_07_a_prepare_is_no_commit_and_another_chain_is_not_ours() -> None:
    one = Alone()
    block = one.block()
    prepare = sign_prepare(0, 1, 0, block.block_hash)
    as_commit = Commit(1, 0, block.block_hash, 0, prepare.signature)
    one.hear(as_commit)
    assert one.node.notes[-1] == (
        "bad_signature: commit of height 1 view 0: the signature of replica 0 does not verify"
    )
    message = b"evidence-ledger/v1/prepare\0" + bytes(32) + bytes(7) + b"\x01" + bytes(8)
    other_chain = Prepare(1, 0, block.block_hash, 0, FakeSigner(0).sign(message + block.block_hash))
    one.hear(other_chain)
    assert "bad_signature" in one.node.notes[-1]


def test_trap_08_restart_repeats_the_same_vote_and_never_another() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(sign_pre_prepare(1, 1, block))
    before = one.of(Prepare)
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    assert one.sent == before
    one.tick()
    one.hear(sign_pre_prepare(1, 1, other))
    assert one.sent == before
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(0, 1, 0, block.block_hash))
    assert [message.block_hash for message in one.of(Commit)] == [block.block_hash]


def test_trap_08_restarted_replica_commits_no_other_block_than_it_prepared() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(sign_pre_prepare(1, 1, block))
    one.node.crash()
    one.node.start()
    one.tick()
    one.hear(sign_pre_prepare(1, 1, other))
    one.hear(*(sign_prepare(replica, 1, 0, other.block_hash) for replica in (0, 2)))
    assert one.of(Commit) == []


def test_trap_08_restarted_primary_repeats_its_proposal() -> None:
    one = Alone(own=1)
    one.node.work_pending = True
    one.tick()
    before = one.of(PrePrepare)
    assert len(before) == 1
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    one.tick(2)
    assert one.of(PrePrepare) == before
    assert one.node.build_count == 1


def test_trap_08_restarted_primary_of_a_later_view_repeats_its_new_view() -> None:
    one = Alone(own=2)
    one.hear(*changes(1, replicas=(0, 1, 3)))
    before = one.of(NewView)
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    assert one.of(NewView) == before


def test_trap_09_the_pending_block_is_executed_again_before_it_is_decided() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    commits = one.of(Commit)
    assert len(commits) == 1
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    assert one.of(Commit) == commits
    assert [type(event) for event in one.node.queue] == [ev.ProposalChecked]
    one.node.queue.clear()
    for replica in (0, 1):
        one.network.inject(3, sign_commit(replica, 1, 0, block.block_hash))
    assert len(one.node.disk.headers) == 1, "decided, but not executed here yet"
    one.node.handle(ev.ProposalChecked(1, 0, block.block_hash, ev.Verdict.OK))
    assert len(one.node.disk.headers) == 2


def test_trap_14_new_primary_proposes_the_highest_prepared_block_again() -> None:
    one = Alone(own=3)
    low, high = one.block(salt=b"low"), one.block(proposer=2, salt=b"high")
    one.node.remember(low)
    one.node.remember(high)
    one.hear(
        sign_view_change(0, 1, 2, one.prepared(0, low)),
        sign_view_change(1, 1, 2, one.prepared(1, high)),
    )
    assert one.of(NewView) == [], "its bytes are asked for first"
    one.node.handle(ev.ProposalFetched(high.block_hash, high, 1))
    one.answer()
    [new_view] = one.of(NewView)
    assert new_view.proposal == high
    assert encode_message(new_view).count(high.header) == 1, "trap 17: byte for byte"
    assert one.node.built == []


def test_trap_14_unreachable_prepared_block_is_dropped_once_a_quorum_does_not_claim_it() -> None:
    one = Alone(own=3, count=4)
    lost = one.block(salt=b"lost")
    one.hear(
        sign_view_change(0, 1, 2, one.prepared(0, lost)),
        sign_view_change(1, 1, 2, None),
    )
    assert one.of(NewView) == []
    one.hear(sign_view_change(2, 1, 2, None))
    [new_view] = one.of(NewView)
    assert new_view.prepared is None
    assert [claim.replica for claim in new_view.view_changes] == [1, 2, 3]


def refused_new_views() -> list[tuple[str, str]]:
    return [
        (
            "drops",
            (
                "bad_proof: new-view of height 1 view 1: the highest claim is of view 0, but "
                "nothing is proven"
            ),
        ),
        (
            "adds",
            (
                "bad_proof: new-view of height 1 view 1: it proves view 0, which none of its "
                "view-changes claims"
            ),
        ),
        ("other block", "bad_proof: new-view of height 1 view 1: it proposes "),
        ("no quorum", "no_quorum: new-view of height 1 view 1: 2 view-changes; a quorum is 3"),
        ("twice", "duplicate: new-view of height 1 view 1: replica 1 is counted twice"),
        ("order", "not_canonical: new-view of height 1 view 1: replica 0 stands after replica 1"),
        (
            "other view",
            (
                "bad_signature: view-change of height 1 to view 1: the signature of "
                "replica 0 does not verify"
            ),
        ),
        (
            "thin proof",
            "no_quorum: prepared certificate of height 1 view 0: 2 of 4 replicas; a quorum is 3",
        ),
        (
            "stripped claim",
            (
                "bad_signature: view-change of height 1 to view 1: the signature of "
                "replica 0 does not verify"
            ),
        ),
        (
            "not the primary",
            (
                "bad_signature: pre-prepare of height 1 view 1: the signature of "
                "replica 2 does not verify"
            ),
        ),
    ]


@pytest.mark.parametrize(("how", "note"), refused_new_views())
def test_trap_14_verifier_recomputes_the_choice(how: str, note: str) -> None:
    one = Alone()
    block, fresh = one.block(), one.block(proposer=2, salt=b"fresh")
    prepared = one.prepared(0, block)
    claiming, plain = changes(1, prepared), changes(1)
    good = sign_new_view(2, 1, 1, claiming, block)
    bad = {
        "drops": sign_new_view(2, 1, 1, claiming, fresh),
        "adds": msgspec.structs.replace(sign_new_view(2, 1, 1, plain, block), prepared=prepared),
        "other block": sign_new_view(2, 1, 1, claiming, fresh),
        "no quorum": sign_new_view(2, 1, 1, claiming[:2], block),
        "twice": sign_new_view(2, 1, 1, [claiming[0], plain[1], plain[1]], block),
        "order": sign_new_view(2, 1, 1, [plain[1], claiming[0], plain[2]], block),
        "other view": sign_new_view(2, 1, 1, changes(2, prepared), block),
        "thin proof": good,
        "stripped claim": sign_new_view(2, 1, 1, claiming, fresh),
        "not the primary": sign_new_view(0, 1, 1, claiming, block),
    }[how]
    if how == "drops":
        bad = msgspec.structs.replace(bad, prepared=None)
    if how == "thin proof":
        thin = msgspec.structs.replace(prepared, prepares=prepared.prepares[:1])
        bad = msgspec.structs.replace(bad, prepared=thin)
    if how == "stripped claim":
        stripped = msgspec.structs.replace(bad.view_changes[0], claim=None)
        bad = msgspec.structs.replace(
            bad, view_changes=(stripped, *bad.view_changes[1:]), prepared=None
        )
    one.hear(bad)
    assert one.node.notes[-1].startswith(note)
    assert one.node.running.view == 0
    one.hear(good)
    assert one.node.running.view == 1
    if bad.proposal == good.proposal or how == "not the primary":
        assert [message.block_hash for message in one.of(Prepare)] == [block.block_hash]


@pytest.mark.parametrize("how", ["thin", "later view", "primary twice", "forged"])
def test_trap_14_certificates_inside_view_changes_are_verified(how: str) -> None:
    one = Alone(own=2)
    block = one.block()
    prepared = one.prepared(0, block)
    first = prepared.prepares[0]
    bad = {
        "thin": msgspec.structs.replace(prepared, prepares=prepared.prepares[:1]),
        "later view": one.prepared(1, block),
        "primary twice": msgspec.structs.replace(
            prepared, prepares=(first, msgspec.structs.replace(first, replica=1))
        ),
        "forged": msgspec.structs.replace(prepared, block_hash=one.block(salt=b"x").block_hash),
    }[how]
    one.hear(sign_view_change(0, 1, 1, bad), sign_view_change(1, 1, 1, bad))
    assert one.sent == [], "nobody joins for invalid view-changes"
    one.hear(*changes(1, replicas=(0, 1)))
    assert len(one.of(NewView)) == 1


def test_trap_14_false_claim_without_proof_does_not_outrank_a_proven_one() -> None:
    """A liar's claim of a higher view cannot be proven, so no valid new-view contains it."""
    one = Alone()
    block = one.block()
    liar = sign_view_change(1, 1, 2, one.prepared(1, one.block(salt=b"never")))
    honest = [sign_view_change(0, 1, 2, one.prepared(0, block)), sign_view_change(2, 1, 2, None)]
    ordered = sorted([liar, *honest], key=lambda item: item.replica)
    message = sign_new_view(3, 1, 2, ordered, block)
    message = msgspec.structs.replace(message, prepared=honest[0].prepared)
    other = Alone(own=0)
    other.hear(message)
    assert other.node.notes[-1] == (
        "bad_proof: new-view of height 1 view 2: the highest claim is of view 1, but view 0 is "
        "proven"
    )


def test_trap_16_block_proposed_again_keeps_its_time_whatever_the_clock_says() -> None:
    future = START_MS + 1_000_000
    one = Alone()
    block = one.block(time_ms=future)
    one.hear(sign_pre_prepare(1, 1, block))
    assert one.of(Prepare) == [], "fresh, and from the future"
    assert "is more than 10000 ms after this clock's" in one.node.notes[-1]
    one.hear(sign_new_view(2, 1, 1, changes(1, one.prepared(0, block)), block))
    assert [message.view for message in one.of(Prepare)] == [1]


def test_trap_17_fresh_block_in_a_later_view_names_its_own_primary() -> None:
    one = Alone()
    old = one.block(proposer=1)
    one.hear(sign_new_view(2, 1, 1, changes(1), old))
    assert one.node.running.view == 0
    assert one.node.notes[-1].endswith(
        "fresh proposal of height 1: proposer 1, but the primary is 2"
    )


def test_trap_18_one_replica_drags_nobody_to_a_huge_view() -> None:
    one = Alone()
    for view in (5, 1_000, VIEW_MAX):
        one.hear(sign_view_change(0, 1, view, None))
    assert (one.node.running.view, one.sent) == (0, [])
    one.hear(sign_view_change(1, 1, 7, None))
    assert one.node.running.view == 7, "two of four: one of them is correct; the smaller view"
    too_high = msgspec.structs.replace(sign_view_change(0, 1, 1, None), view=VIEW_MAX + 1)
    with pytest.raises(Rejected, match="malformed"):
        decode_message(encode_message(too_high))
    one.node.handle(ev.Received(too_high))
    assert one.node.notes[-1].startswith("bad_field")


def test_trap_19_timeouts_double_are_bounded_and_start_again_with_a_height() -> None:
    base, cap = TIMING.view_timeout_ticks, TIMING.view_timeout_ticks_max
    assert [compute_view_timeout_ticks(view, TIMING) for view in range(5)] == [
        base,
        2 * base,
        4 * base,
        8 * base,
        cap,
    ]
    assert compute_view_timeout_ticks(VIEW_MAX, TIMING) == cap


def test_trap_20_split_views_one_committed() -> None:
    """Replicas 0 and 3 in view 0 (3 committed), 1 and 2 ask for view 1: the block survives."""
    network = Network(4)
    only_three_hears_commits = {"on": True}

    def rule(sender: int, receiver: int, message: Message) -> bool:
        if not only_three_hears_commits["on"]:
            return True
        return not isinstance(message, Commit | Decided) or receiver == 3

    network.filter = rule
    network.start()
    for node in network.nodes:
        node.work_pending = node.number == 1
    network.run(1)
    assert [len(node.disk.headers) for node in network.nodes] == [1, 1, 1, 2]
    decided = network.applied[1]
    silent = network.nodes[3]
    silent.crash()
    network.run(12)
    assert {node.running.view for node in network.nodes[:3]} == {1}
    only_three_hears_commits["on"] = False
    network.run_to(1, ticks_max=60, only=[0, 1, 2])
    assert network.applied[1] == decided
    assert network.nodes[0].disk.headers[1].proposer == 1


def test_trap_20_two_and_two_come_together() -> None:
    network = Network(4)
    network.start()
    network.filter = lambda sender, receiver, message: (sender < 2) == (receiver < 2)
    for node in network.nodes[2:]:
        node.work_pending = False
    network.run(30)
    network.filter = None
    network.run_to(2, ticks_max=120)


def test_trap_21_commits_during_a_view_change_decide_once() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(*changes(1, replicas=(0, 1)))
    assert one.node.running.is_changing_view
    one.hear(sign_commit(0, 1, 0, block.block_hash), sign_commit(1, 1, 0, block.block_hash))
    assert len(one.node.disk.headers) == 2
    assert (one.node.running.height, one.node.running.view) == (2, 0), "trap 30"
    one.hear(sign_commit(2, 1, 0, block.block_hash))
    assert len(one.node.disk.headers) == 2


def test_trap_21_commits_of_a_view_never_entered_decide() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.commit_in(5, block)
    assert len(one.node.disk.headers) == 2
    assert one.node.disk.certificates[1].view == 5


def test_commits_of_two_views_never_mix() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(sign_commit(0, 1, 1, block.block_hash), sign_commit(1, 1, 1, block.block_hash))
    one.hear(sign_commit(2, 1, 2, block.block_hash))
    assert len(one.node.disk.headers) == 1
    one.hear(sign_commit(2, 1, 1, block.block_hash))
    assert len(one.node.disk.headers) == 2


def test_trap_22_silence_after_the_proposal_leads_to_a_view_change() -> None:
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    one.tick(TIMING.view_timeout_ticks)
    assert one.node.running.is_changing_view, "no work waits here, but a proposal is under way"


def test_idle_replica_without_a_proposal_waits() -> None:
    one = Alone()
    one.tick(TIMING.idle_interval_ticks - 2)
    assert one.node.running.view == 0
    one.tick(TIMING.view_timeout_ticks + 1)
    assert one.node.running.view == 1


def test_trap_24_timer_of_a_view_starts_at_a_quorum_of_view_changes() -> None:
    one = Alone()
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    assert one.node.running.view == 1
    one.tick(500)
    assert one.node.running.view == 1, "alone, nobody runs ahead"
    one.hear(*changes(1, replicas=(0, 1)))
    one.tick(2 * TIMING.view_timeout_ticks - 1)
    assert one.node.running.view == 1
    one.tick()
    assert one.node.running.view == 2


def test_trap_24_replicas_already_further_count_for_the_timer() -> None:
    one = Alone()
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    one.hear(sign_view_change(0, 1, 1, None), sign_view_change(1, 1, 2, None))
    one.tick(2 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 2


def test_trap_25_view_changes_are_repeated_and_the_lagging_are_helped() -> None:
    one = Alone()
    one.node.work_pending = True
    one.tick(TIMING.view_timeout_ticks)
    one.network.log.clear()
    one.tick(TIMING.resend_interval_ticks)
    assert len(one.of(ViewChange)) == 1
    block = one.block(proposer=2, salt=b"n")
    new_view = sign_new_view(2, 1, 1, changes(1), block)
    one.hear(new_view)
    one.network.log.clear()
    one.hear(sign_view_change(0, 1, 1, None))
    assert new_view in one.sent
    assert len(one.of(Prepare)) == 1
    count = len(one.network.log)
    one.hear(sign_view_change(0, 1, 1, None))
    assert len(one.network.log) == count, "helped once per interval"
    one.tick(TIMING.resend_interval_ticks)
    one.network.log.clear()
    one.hear(sign_view_change(0, 1, 1, None))
    assert new_view in one.sent


def test_connected_peer_is_sent_everything_at_once() -> None:
    one = Alone()
    proposal = sign_pre_prepare(1, 1, one.block())
    one.hear(proposal)
    one.network.log.clear()
    one.node.handle(ev.PeerConnected(0))
    assert one.sent == [proposal, *one.of(Prepare)]
    assert len(one.of(Prepare)) == 1


def test_trap_26_block_built_too_late_is_not_proposed() -> None:
    one = Alone(own=1)
    block = one.block()
    for late in (
        ev.ProposalBuilt(1, 0, block),
        ev.ProposalBuilt(1, 1, block),
        ev.ProposalBuilt(2, 0, block),
    ):
        one.node.handle(late)
    assert one.sent == []


def test_trap_27_the_same_height_applied_twice_is_nothing() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    assert one.node.running.height == 2
    second = make_proposal(decode_header(block.header), 2, START_MS + 2, b"2")
    one.hear(sign_pre_prepare(2, 2, second))
    assert one.node.running.step(ev.BlockApplied(one.node.disk.headers[1])) == ()
    one.network.log.clear()
    one.tick(TIMING.resend_interval_ticks)
    assert [message.height for message in one.of(Prepare)] == [2], "the votes of 2 are remembered"


def test_applying_another_block_than_the_decided_one_stops_the_node() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"other")
    one.prepare_block(block)
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    fresh = Alone()
    fresh.prepare_block(block)
    for replica in (0, 1):
        fresh.network.inject(3, sign_commit(replica, 1, 0, block.block_hash))
    with pytest.raises(RuntimeError, match="is decided"):
        fresh.node.running.step(ev.BlockApplied(decode_header(other.header)))


def test_trap_28_votes_of_the_next_height_wait_for_it() -> None:
    one = Alone()
    block = one.block()
    second = make_proposal(decode_header(block.header), 2, START_MS + 2, b"2")
    one.hear(
        sign_pre_prepare(2, 2, second), *(sign_prepare(i, 2, 0, second.block_hash) for i in (0, 1))
    )
    one.hear(*(sign_commit(i, 2, 0, second.block_hash) for i in (0, 1, 2)))
    assert one.sent == []
    one.prepare_block(block)
    one.commit_in(0, block)
    one.answer()
    assert len(one.node.disk.headers) == 3


def test_trap_29_one_liar_about_its_height_causes_no_catch_up() -> None:
    one = Alone()
    for height in (3, 9, 2**50):
        one.hear(sign_commit(0, height, 0, bytes(32)))
    one.tick(50)
    assert one.node.catch_ups == []
    one.hear(sign_commit(1, 6, 0, bytes(32)))
    assert one.node.catch_ups == [act.CatchUp(5, 0)]
    one.tick(2 * TIMING.catch_up_interval_ticks)
    assert [item.from_replica for item in one.node.catch_ups] == [0, 1, 0]


def test_trap_29_heights_are_believed_only_when_signed() -> None:
    one = Alone()
    for replica in (0, 1, 2):
        one.hear(msgspec.structs.replace(sign_commit(3, 9, 0, bytes(32)), replica=replica))
        one.hear(msgspec.structs.replace(sign_commit(3, 2, 0, bytes(32)), replica=replica))
    one.tick(50)
    assert one.node.catch_ups == []
    assert one.node.running._lateness._claims._highest == {}


def test_trap_29_one_height_behind_is_given_a_moment() -> None:
    one = Alone()
    one.hear(sign_commit(0, 2, 0, bytes(32)), sign_commit(1, 2, 0, bytes(32)))
    assert one.node.catch_ups == []
    one.tick(TIMING.catch_up_interval_ticks + 1)
    assert one.node.catch_ups == [act.CatchUp(1, 0)]


def test_a_certificate_from_ahead_is_verified_and_causes_catch_up() -> None:
    one = Alone()
    good = make_certificate(one.network.validators, 7, 2, bytes(32))
    one.hear(Decided(msgspec.structs.replace(good, commits=good.commits[:2])))
    assert one.node.catch_ups == []
    assert one.node.notes[-1] == (
        "no_quorum: commit certificate of height 7 view 2: 2 of 4 replicas; a quorum is 3"
    )
    one.hear(Decided(good))
    assert one.node.catch_ups == [act.CatchUp(7, 0)]


def test_a_certificate_of_the_own_height_decides_and_the_block_is_fetched() -> None:
    one = Alone()
    block = one.block()
    one.network.nodes[1].start()
    one.network.nodes[1].remember(block)
    one.hear(Decided(make_certificate(one.network.validators, 1, 3, block.block_hash)))
    assert len(one.node.disk.headers) == 2
    assert one.node.disk.certificates[1].view == 3


def test_late_votes_are_answered_with_the_certificate() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    certificate = one.node.disk.certificates[1]
    one.network.log.clear()
    vote = sign_commit(2, 1, 0, block.block_hash)
    one.hear(vote)
    assert one.of(Decided) == [], "an ordinary straggler"
    one.hear(sign_view_change(2, 1, 1, None))
    assert one.of(Decided) == [Decided(certificate)]
    one.network.log.clear()
    one.tick(TIMING.resend_interval_ticks)
    one.hear(vote)
    assert one.of(Decided) == [Decided(certificate)]
    one.network.log.clear()
    for _ in range(50):
        one.hear(vote)
    answered = len(one.network.log)
    assert answered <= 4
    one.tick()
    one.hear(vote)
    assert len(one.network.log) == answered + 1
    forged = msgspec.structs.replace(vote, signature=bytes(64))
    one.tick()
    one.network.log.clear()
    one.hear(forged)
    assert one.of(Decided) == []


def test_trap_33_silent_replica_follows_and_signs_nothing() -> None:
    one = Alone()
    one.node.crash()
    one.node.start(silent_through_height=1)
    one.tick()
    one.node.work_pending = True
    block = one.block()
    one.prepare_block(block)
    one.tick(30)
    assert one.sent == []
    one.node.crash()
    one.node.start()
    one.tick()
    assert one.node.running.silent_through_height == 1, "silence survives a restart"
    one.hear(sign_pre_prepare(1, 1, block))
    one.commit_in(0, block)
    assert len(one.node.disk.headers) == 2
    assert one.sent == []
    second = make_proposal(one.node.disk.headers[1], 2, START_MS + 2, b"2")
    one.hear(sign_pre_prepare(2, 2, second))
    assert len(one.of(Prepare)) == 1, "the silence is over at height 2"


def test_trap_33_silence_can_be_set_and_lifted_by_the_driver() -> None:
    one = Alone()
    one.node.handle(ev.SilenceSet(9))
    one.hear(sign_pre_prepare(1, 1, one.block()))
    assert one.sent == []
    one.node.handle(ev.SilenceSet(0))
    assert len(one.of(Prepare)) == 1


def crash_with_votes_above_the_blocks() -> tuple[Alone, Proposal, Proposal]:
    """A block store restored from a backup, with the journal of later votes intact: return the
    replica, which is down, its lost block 1 and the block 2 that it prepared last."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.commit_in(0, block)
    second = make_proposal(one.node.disk.headers[1], 2, START_MS + 2, b"2")
    one.hear(sign_pre_prepare(2, 2, second))
    one.node.crash()
    del one.node.disk.headers[1:]
    return one, block, second


def test_record_above_the_applied_blocks_forbids_signing_below_it() -> None:
    one, block, _ = crash_with_votes_above_the_blocks()
    prepares = one.of(Prepare)[-1:]
    one.network.log.clear()
    one.node.start()
    one.tick()
    one.hear(sign_pre_prepare(1, 1, one.block(salt=b"other")))
    assert one.sent == []
    one.node.disk.headers.append(decode_header(block.header))
    one.node.handle(ev.BlockApplied(decode_header(block.header)))
    assert one.sent == prepares


def test_silence_that_ends_above_the_applied_blocks_is_durable() -> None:
    """The record is of a later height than the blocks: only how long to be silent has changed."""
    one, _, second = crash_with_votes_above_the_blocks()
    one.node.start(silent_through_height=2**53 - 1)
    one.node.handle(ev.SilenceSet(7))
    one.node.crash()
    one.node.start()
    assert one.node.running.silent_through_height == 7
    assert one.node.disk.record is not None
    record = decode_record(one.node.disk.record, CHAIN_ID, 3)
    assert [vote.block_hash for vote in record.votes if vote.height == 2] == [second.block_hash]


@pytest.mark.parametrize("is_new_view", [True, False], ids=["new-view", "view-change"])
def test_what_comes_early_is_justified_like_what_comes_in_time(is_new_view: bool) -> None:
    """Trap 14 of the next height: what is kept for it is acted on without being looked at again."""
    one = Alone(own=0)
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    second = make_proposal(decode_header(block.header), 3, START_MS + 2, b"2")
    false = make_prepared(one.network.validators, 2, 0, second.block_hash)
    false = msgspec.structs.replace(false, prepares=false.prepares[1:])
    claims = [sign_view_change(replica, 2, 1, None) for replica in (1, 2, 3)]
    if is_new_view:
        one.hear(sign_new_view(3, 2, 1, claims[:2], second))
    else:
        one.hear(sign_view_change(2, 2, 1, false))
    notes = list(one.node.notes)
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    assert len(one.node.disk.headers) == 2
    assert [item for item in one.of(Prepare) if item.height == 2] == []
    assert one.node.running._state.view_changes.get(2) is None
    assert ["no_quorum" in note for note in notes] == [True]


def test_trap_35_flooding_leaves_memory_bounded() -> None:
    one = Alone()
    replica = one.node.running
    for view in range(300):
        block_hash = view.to_bytes(32, "big")
        for height in (1, 2, 3, 1_000 + view):
            one.hear(
                sign_prepare(0, height, view, block_hash),
                sign_commit(0, height, view, block_hash),
                sign_view_change(0, height, view + 1, None),
            )
    state = replica._state
    kept = 2 * VIEWS_KEPT
    assert len(state.votes._slots) == 2
    assert all(len(views) == kept for views in state.votes._slots.values())
    assert sum(len(tally) for tally in state.votes._tallies.values()) == 2 * kept
    assert len(state.view_changes._newest) == 1
    assert len(replica._inbox._places) <= 1
    early = replica._inbox._statements
    assert all(len(views) == kept for views in early.votes._slots.values())
    assert [len(views) for views in early._claims.values()] == [kept]
    assert len(replica._lateness._claims._highest) == 1
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(2, 1, 0, block.block_hash))
    assert len(one.of(Commit)) == 1, "the others' votes still count"


def test_trap_39_replica_that_differs_does_not_prepare_and_says_where() -> None:
    one = Alone()
    one.node.bad_state = True
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    assert one.of(Prepare) == []
    assert one.node.notes[-1].endswith(
        f"block {block.block_hash.hex()} from replica 1: state_differs"
    )


def test_trap_39_committed_block_that_cannot_be_reproduced_halts() -> None:
    one = Alone()
    one.node.bad_state = True
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    for other in (0, 2):
        one.network.nodes[other].start()
        one.network.nodes[other].remember(block)
    one.network.filter = lambda sender, receiver, message: 1 not in {sender, receiver}
    one.commit_in(0, block)
    one.tick(3 * TIMING.resend_interval_ticks)
    assert len(one.node.halts) == 1
    assert len(one.node.disk.headers) == 1


def test_one_false_body_of_a_committed_block_does_not_halt() -> None:
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=b"\x01" * 64)
    assert false.block_hash == block.block_hash
    one.hear(sign_pre_prepare(1, 1, false))
    one.network.nodes[2].start()
    one.network.nodes[2].remember(block)
    one.commit_in(0, block)
    one.tick(2 * TIMING.resend_interval_ticks)
    assert one.node.halts == []
    assert len(one.node.disk.headers) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"envelope_hashes": b"\x01" * 64},
        {"leaf_hashes": b"\x01" * 64},
    ],
    ids=["envelopes", "leaves"],
)
def test_a_proposal_changed_on_its_way_keeps_nobody_from_the_true_one(
    change: dict[str, bytes],
) -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, msgspec.structs.replace(block, **change)))
    assert one.of(Prepare) == []
    one.hear(sign_pre_prepare(1, 1, block))
    assert [item.block_hash for item in one.of(Prepare)] == [block.block_hash]


def test_one_liar_that_changes_a_proposal_on_its_way_does_not_halt() -> None:
    """The signature covers the block hash alone: replica 2 passes on replica 1's proposal with
    another body, and gives that body again when asked. Only what it gave itself counts."""
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=b"\x01" * 64)
    one.network.inject(one.node.number, sign_pre_prepare(1, 1, false))
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    one.node.handle(ev.ProposalFetched(block.block_hash, false, 2))
    one.answer()
    one.tick(TIMING.resend_interval_ticks)
    assert one.node.halts == []
    one.node.handle(ev.ProposalFetched(block.block_hash, block, 0))
    one.answer()
    assert len(one.node.disk.headers) == 2


def test_one_false_body_fetched_for_a_decided_block_does_not_halt() -> None:
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=b"\x01" * 64)
    one.commit_in(0, block)
    one.node.handle(ev.ProposalFetched(block.block_hash, false, 0))
    one.answer()
    assert one.node.halts == []
    assert len(one.node.disk.headers) == 1
    one.node.handle(ev.ProposalFetched(block.block_hash, block, 2))
    one.answer()
    assert len(one.node.disk.headers) == 2


def test_trap_40_own_block_that_would_be_refused_is_not_proposed() -> None:
    one = Alone(own=1)
    one.node.work_pending = True
    one.node.clock_offset_ms = 0
    header = decode_header(one.block().header)
    bad = msgspec.structs.replace(header, time_ms=START_MS)
    one.network.ticks += 1
    one.node.tick()
    one.node.queue.clear()
    one.node.handle(ev.ProposalBuilt(1, 0, Proposal(encode_header(bad), b"", b"")))
    assert one.sent == []
    assert "is not proposed" in one.node.notes[-1]
    one.tick()
    assert len(one.of(PrePrepare)) == 1, "asked again with the next tick"


def test_trap_42_a_primary_behind_the_chains_time_does_not_execute_at_every_tick() -> None:
    """Its block must be later than the parent, which is further ahead than its clock allows."""
    one = Alone(own=1)
    one.node.work_pending = True
    one.node.clock_offset_ms = -3_600_000
    one.tick(TIMING.view_timeout_ticks - 1)
    refused = [note for note in one.node.notes if "is not proposed: too_far_ahead" in note]
    assert len(refused) == BUILDS_PER_TURN_MAX < TIMING.view_timeout_ticks - 1
    assert one.of(PrePrepare) == []


def test_trap_42_a_primary_whose_clock_is_put_right_proposes_in_the_same_view() -> None:
    one = Alone(own=1)
    one.node.work_pending = True
    one.node.clock_offset_ms = -3_600_000
    one.tick()
    one.node.clock_offset_ms = 0
    one.tick(TIMING.view_timeout_ticks // BUILDS_PER_TURN_MAX)
    assert len(one.of(PrePrepare)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parent_hash", bytes(32)),
        ("chain_id", bytes(32)),
        ("height", 2),
        ("time_ms", START_MS),
        ("first_index", 3),
        ("count", 3),
        ("validators_hash", bytes(32)),
        ("proposer", 2),
        ("proposer", 4),
    ],
)
def test_trap_40_proposals_that_may_not_stand_here_are_refused(field: str, value: object) -> None:
    one = Alone()
    good = one.block()
    bad_header = msgspec.structs.replace(decode_header(good.header), **{field: value})
    bad = msgspec.structs.replace(good, header=encode_header(bad_header))
    one.hear(sign_pre_prepare(1, 1, bad))
    assert one.of(Prepare) == []
    assert "refused" in one.node.notes[-1]


@pytest.mark.parametrize("lost", ["envelope_hashes", "leaf_hashes"])
def test_trap_40_hash_lists_have_the_header_s_length(lost: str) -> None:
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, msgspec.structs.replace(one.block(), **{lost: bytes(32)})))
    assert one.of(Prepare) == []
    assert "bytes of" in one.node.notes[-1]


def test_trap_42_skewed_clock_of_one_replica_stops_nobody() -> None:
    network = Network(4)
    network.nodes[0].clock_offset_ms = -3_600_000
    network.nodes[2].clock_offset_ms = 3_600_000
    network.start().run_to(3, ticks_max=300, only=[1, 3])


def test_batches_are_halved_with_every_failed_view_down_to_the_header() -> None:
    one = Alone(own=2)
    for view in (1, 5, 9, 33, 201):
        one.hear(*(sign_view_change(i, 1, view, None) for i in (0, 1, 3)))
    divisors = [(item.view, item.batch_divisor) for item in one.node.built]
    assert divisors == [(1, 2), (5, 32), (9, 512), (33, 1 << 30), (201, 1 << 30)]
    assert all(item.allow_empty for item in one.node.built)


def test_a_skipped_turn_is_not_a_failed_batch() -> None:
    network = Network(4).start()
    network.nodes[1].crash()
    network.run_to(6, ticks_max=200)
    skipped = [item for item in network.nodes[2].built if item.view == 1]
    assert [item.batch_divisor for item in skipped] == [2, 1]


def test_first_event_is_restored_and_only_once() -> None:
    one = Alone()
    with pytest.raises(RuntimeError, match="restored once"):
        one.node.running.step(ev.Restored(None, None, one.network.genesis))
    cold = Replica(
        own=0,
        validators=one.network.validators,
        chain_id=CHAIN_ID,
        signer=FakeSigner(0),
        verify_signature=fake_verify,
    )
    with pytest.raises(RuntimeError, match="first event"):
        cold.step(ev.Tick(0, work_pending=True))


def test_own_messages_coming_back_are_ignored() -> None:
    one = Alone()
    one.hear(sign_commit(3, 1, 0, bytes(32)), sign_view_change(3, 1, 9, None))
    assert (one.sent, one.node.running.view) == ([], 0)
    primary = Alone(own=2)
    primary.hear(sign_view_change(2, 1, 9, None), *changes(1, replicas=(0, 1)))
    assert len(primary.of(NewView)) == 1


def test_new_primary_fetches_only_what_a_valid_certificate_names() -> None:
    one = Alone()
    before = one.node.running.step(ev.ProposalFetched(one.block().block_hash, one.block(), 0))
    assert before == ()


def test_commit_certificate_holds_exactly_a_quorum() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(sign_commit(2, 1, 0, block.block_hash), sign_commit(0, 1, 0, block.block_hash))
    certificate = one.node.disk.certificates[1]
    assert [item.replica for item in certificate.commits] == [0, 2, 3]
    certificate.verify(one.network.validators, CHAIN_ID, fake_verify)


def test_conflicting_new_views_are_evidence_and_only_the_first_is_prepared() -> None:
    one = Alone()
    first, second = one.block(proposer=2, salt=b"1"), one.block(proposer=2, salt=b"2")
    one.hear(sign_new_view(2, 1, 1, changes(1), first))
    one.hear(sign_new_view(2, 1, 1, changes(1), second))
    assert [item.equivocation.slot for item in one.node.evidence] == ["pre-prepare/1/1"]
    assert [message.block_hash for message in one.of(Prepare)] == [first.block_hash]


def test_new_view_of_a_view_left_behind_is_not_entered() -> None:
    one = Alone()
    one.hear(*changes(3, replicas=(0, 1)))
    assert one.node.running.view == 3
    one.hear(sign_new_view(2, 1, 1, changes(1), one.block(proposer=2)))
    assert (one.node.running.view, one.of(Prepare)) == (3, [])


def test_trap_14_proof_of_a_block_nobody_claims_is_refused() -> None:
    """The highest claim is a lie about another block; a genuine proof of its view is no excuse."""
    one = Alone()
    block = one.block()
    lie = one.prepared(0, one.block(salt=b"never"))
    message = sign_new_view(2, 1, 1, changes(1, lie), block)
    one.hear(msgspec.structs.replace(message, prepared=one.prepared(0, block)))
    assert one.node.running.view == 0
    assert one.node.notes[-1].startswith("bad_proof: new-view of height 1 view 1: the highest")


def test_trap_14_primary_that_cannot_execute_the_prepared_block_chooses_again() -> None:
    one = Alone(own=2)
    block = one.block()
    one.node.bad_state = True
    one.hear(sign_pre_prepare(1, 1, block))
    one.node.memory.clear()
    one.hear(*changes(1, one.prepared(0, block), replicas=(0, 1)))
    one.node.handle(ev.ProposalFetched(block.block_hash, block, 0))
    one.hear(sign_view_change(3, 1, 1, None))
    one.tick()
    [new_view] = one.of(NewView)
    assert (new_view.prepared, new_view.proposal.block_hash != block.block_hash) == (None, True)


def test_prepared_block_proposed_again_is_executed_again_before_it_is_prepared() -> None:
    """The driver may have thrown the execution away (trap 12); its answer is waited for."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.network.inject(3, sign_new_view(2, 1, 1, changes(1, one.prepared(0, block)), block))
    assert [message.view for message in one.of(Prepare)] == [0]
    one.node.handle(ev.ProposalChecked(1, 0, block.block_hash, ev.Verdict.OK))
    assert [message.view for message in one.of(Prepare)] == [0], "a verdict of view 0 is stale"
    one.answer()
    assert [message.view for message in one.of(Prepare)] == [0, 1]


def test_new_view_of_a_second_turn_is_justified_afresh() -> None:
    one = Alone(own=2)
    one.hear(*(sign_view_change(i, 1, 1, None) for i in (0, 1, 3)))
    one.network.nodes[2].queue.clear()
    one.hear(*(sign_view_change(i, 1, 5, None) for i in (0, 1, 3)))
    other = Alone(own=3)
    other.hear(one.of(NewView)[-1])
    assert other.node.running.view == 5


def test_commit_of_a_left_view_is_still_repeated() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.hear(*changes(1, replicas=(0, 1)))
    one.network.log.clear()
    one.tick(TIMING.resend_interval_ticks)
    assert [message.view for message in one.of(Commit)] == [0]
    assert one.of(Prepare) == []
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    assert [message.view for message in one.of(Commit)] == [0]
    assert [message.view for message in one.of(ViewChange)] == [1]


def test_view_changes_end_at_the_highest_view() -> None:
    one = Alone()
    one.hear(*(sign_view_change(i, 1, VIEW_MAX, None) for i in (0, 1)))
    one.tick(2 * TIMING.view_timeout_ticks_max)
    assert one.node.running.view == VIEW_MAX


def test_nobody_leaves_a_decided_height() -> None:
    one = Alone()
    block = one.block()
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    one.hear(*changes(1, replicas=(0, 1)))
    one.tick(3 * TIMING.view_timeout_ticks)
    assert one.of(ViewChange) == []


def test_unavailable_bodies_are_asked_for_at_intervals_and_convict_nobody() -> None:
    one = Alone()
    block = one.block()
    fetches = []
    for _ in range(4):
        actions = one.node.running.step(
            ev.Received(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
        )
        fetches += [item for item in actions if isinstance(item, act.FetchProposal)]
        for source in (0, 1, 2):
            one.node.running.step(ev.ProposalFetched(block.block_hash, block, source))
            actions = one.node.running.step(
                ev.ProposalChecked(1, 0, block.block_hash, ev.Verdict.UNAVAILABLE)
            )
            assert not any(isinstance(item, act.Halt | act.FetchProposal) for item in actions)
    assert fetches == [act.FetchProposal(1, block.block_hash, (0, 1, 2))]


def test_one_false_body_served_for_a_committed_block_does_not_halt() -> None:
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=b"\x01" * 64)
    for replica, body in ((0, false), (1, block)):
        one.network.nodes[replica].start()
        one.network.nodes[replica].remember(body)
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    assert len(one.node.disk.headers) == 1
    one.tick(TIMING.resend_interval_ticks)
    assert one.node.halts == []
    assert len(one.node.disk.headers) == 2


def test_primary_s_false_body_is_executed_a_bounded_number_of_times() -> None:
    one = Alone()
    false = msgspec.structs.replace(one.block(), leaf_hashes=bytes(64))
    for _ in range(10):
        one.hear(sign_pre_prepare(1, 1, false))
    assert sum("bad_body" in note for note in one.node.notes) == 3


def test_timer_counts_when_the_bodies_that_came_were_of_no_use() -> None:
    """Nothing waits here, and the primary's turn is under way all the same."""
    one = Alone()
    false = msgspec.structs.replace(one.block(), leaf_hashes=bytes(64))
    for _ in range(4):
        one.hear(sign_pre_prepare(1, 1, false))
    one.tick(TIMING.view_timeout_ticks - 1)
    assert one.of(ViewChange) == []
    one.tick()
    assert [item.view for item in one.of(ViewChange)] == [1]


@pytest.mark.parametrize("has_left", [False, True], ids=["still-there", "left-by-the-timer"])
def test_bodies_refused_in_a_view_say_nothing_of_the_next_one(has_left: bool) -> None:
    one = Alone()
    false = msgspec.structs.replace(one.block(), leaf_hashes=bytes(64))
    for _ in range(4):
        one.hear(sign_pre_prepare(1, 1, false))
    if has_left:
        one.node.work_pending = True
        one.tick(TIMING.view_timeout_ticks)
        assert [item.view for item in one.of(ViewChange)] == [1]
    fresh = one.block(proposer=2)
    changed = msgspec.structs.replace(fresh, leaf_hashes=bytes(64))
    for block in (changed, fresh):
        one.network.inject(one.node.number, sign_new_view(2, 1, 1, changes(1), block), 1)
        one.answer()
    assert [(item.view, item.block_hash) for item in one.of(Prepare)] == [(1, fresh.block_hash)]


def proposals_of(view: int, *blocks: Proposal) -> list[PrePrepare | NewView]:
    """The same view's proposal of height 1 with these bodies."""
    if view == 0:
        return [sign_pre_prepare(1, 1, block) for block in blocks]
    return [sign_new_view(1 + view, 1, view, changes(view), block) for block in blocks]


@pytest.mark.parametrize("view", [0, 1])
def test_the_true_body_is_taken_while_another_one_waits(view: int) -> None:
    """A member that is nearer than the primary passes its proposal on with the hash of an envelope
    that nobody has. No verdict comes on that; the true one was thrown away meanwhile, every honest
    primary's turn was lost, and with one silent member nothing was decided."""
    one = Alone()
    block = one.block(proposer=1 + view)
    false = msgspec.structs.replace(block, envelope_hashes=bytes(64))
    changed, true = proposals_of(view, false, block)
    for _ in range(2):
        one.network.inject(one.node.number, changed, 0)
        one.node.queue.clear()
    assert one.of(Prepare) == []
    one.hear(true)
    assert [(item.view, item.block_hash) for item in one.of(Prepare)] == [(view, block.block_hash)]
    one.hear(changed)
    held = one.node.running._state.proposals.get(block.block_hash)
    assert held is not None
    assert held.proposal == block, "what was executed gives way to nothing"


def test_a_body_that_cannot_be_executed_keeps_nobody_from_the_true_one() -> None:
    """The changed one may name a transaction that stops the execution here, which the block does
    not hold."""
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=bytes(64))
    one.network.inject(one.node.number, sign_pre_prepare(1, 1, false), 0)
    one.node.queue.clear()
    one.node.handle(ev.ProposalChecked(1, 0, block.block_hash, ev.Verdict.CANNOT_EXECUTE))
    one.hear(sign_pre_prepare(1, 1, block))
    assert [item.block_hash for item in one.of(Prepare)] == [block.block_hash]


def test_what_was_asked_for_in_an_earlier_view_takes_no_accepted_bodys_place() -> None:
    """Whoever was asked for a block may answer as late, and as often, as it likes."""
    one = Alone()
    block = one.block()
    prepared = one.prepared(0, block)
    one.hear(*changes(2, prepared, replicas=(0, 1)))
    assert one.node.running._state.fetching == block.block_hash, "it is the primary of view 2"
    one.network.inject(one.node.number, sign_new_view(0, 1, 3, changes(3, prepared), block), 0)
    one.node.queue.clear()
    false = msgspec.structs.replace(block, envelope_hashes=bytes(64))
    one.node.handle(ev.ProposalFetched(block.block_hash, false, 1))
    held = one.node.running._state.proposals.get(block.block_hash)
    assert held is not None
    assert held.proposal == block


@pytest.mark.parametrize("view", [0, 1])
def test_nobody_passes_on_a_body_that_is_not_executed(view: int) -> None:
    """It may be a liar's; whoever is told it counts it against who brought it. And of a block
    proposed again with other envelopes the body that was executed is passed on."""
    one = Alone()
    block = one.block()
    false = msgspec.structs.replace(block, envelope_hashes=bytes(64))
    if view == 0:
        one.network.inject(one.node.number, sign_pre_prepare(1, 1, false), 0)
        one.node.queue.clear()
        one.node.handle(ev.PeerConnected(2))
        assert one.of(PrePrepare) == []
    one.hear(sign_pre_prepare(1, 1, block))
    told: PrePrepare | NewView = sign_pre_prepare(1, 1, block)
    if view == 1:
        plan = changes(1, one.prepared(0, block))
        one.hear(sign_new_view(2, 1, 1, plan, false))
        told = sign_new_view(2, 1, 1, plan, block)
    one.node.handle(ev.PeerConnected(2))
    assert one.of(type(told)) == [told]


@pytest.mark.parametrize("view", [0, 1])
def test_of_one_views_proposal_so_many_bodies_are_tried(view: int) -> None:
    """In a later view they were once counted from nothing with each of them."""
    one = Alone()
    block = one.block(proposer=1 + view)
    false = [msgspec.structs.replace(block, envelope_hashes=bytes([n]) * 64) for n in range(9)]
    tried = 0
    perform = one.node.perform

    def count(action: act.Action) -> None:
        nonlocal tried
        tried += isinstance(action, act.CheckProposal)
        perform(action)

    one.node.perform = count  # type: ignore[method-assign]
    one.hear(*proposals_of(view, *false))
    assert tried == REFUSED_BODIES_PER_VIEW_MAX
    assert one.of(Prepare) == []


def test_restarted_replica_works_on_the_new_view_it_had_entered() -> None:
    one = Alone()
    fresh = one.block(proposer=2)
    new_view = sign_new_view(2, 1, 1, changes(1), fresh)
    one.hear(new_view)
    assert len(one.of(Prepare)) == 1
    one.node.crash()
    one.node.start()
    one.tick()
    one.hear(new_view, sign_prepare(0, 1, 1, fresh.block_hash))
    assert [(item.view, item.block_hash) for item in one.of(Commit)] == [(1, fresh.block_hash)]


def test_restarted_replica_keeps_its_prepared_claim_through_later_views() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.node.crash()
    one.node.start()
    one.tick()
    one.hear(*changes(1, replicas=(0, 1)))
    [message] = one.of(ViewChange)
    assert message.prepared is not None
    assert message.prepared.block_hash == block.block_hash
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    assert one.of(ViewChange) == [message]
    assert one.node.running.is_changing_view


def test_restarted_replica_stays_in_the_view_it_had_entered() -> None:
    one = Alone()
    one.hear(sign_new_view(2, 1, 1, changes(1), one.block(proposer=2)))
    before = one.of(Prepare)
    assert [message.view for message in before] == [1]
    one.node.crash()
    one.network.log.clear()
    one.node.start()
    one.tick()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    assert one.of(Prepare) == before


def test_second_proposal_of_a_view_does_not_replace_the_first() -> None:
    one = Alone()
    first, second = one.block(), one.block(salt=b"2")
    for block in (first, second):
        one.network.inject(3, sign_pre_prepare(1, 1, block))
    one.answer()
    assert [message.block_hash for message in one.of(Prepare)] == [first.block_hash]
    assert len(one.node.evidence) == 1


def test_second_new_view_of_a_view_does_not_replace_the_first() -> None:
    one = Alone()
    first, second = one.block(proposer=2, salt=b"1"), one.block(proposer=2, salt=b"2")
    for block in (first, second):
        one.network.inject(3, sign_new_view(2, 1, 1, changes(1), block))
    one.answer()
    assert [message.block_hash for message in one.of(Prepare)] == [first.block_hash]
    assert len(one.node.evidence) == 1


def test_a_step_signs_one_view_change_however_far_the_others_are() -> None:
    one = Alone(count=7)
    block = one.block()
    one.hear(
        *(sign_view_change(i, 2, view, None) for i, view in enumerate((2, 5, 5, 9, 9, 9)) if i != 3)
    )
    one.hear(sign_pre_prepare(1, 1, block))
    one.hear(*(sign_commit(i, 1, 0, block.block_hash) for i in (0, 1, 2, 4, 5)))
    assert [message.view for message in one.of(ViewChange)] == [5]


def test_timer_counts_while_a_refused_proposal_is_under_way() -> None:
    one = Alone()
    one.node.bad_state = True
    one.hear(sign_pre_prepare(1, 1, one.block()))
    one.tick(TIMING.view_timeout_ticks)
    assert one.node.running.view == 1


def test_timer_counts_after_a_restart_with_a_vote() -> None:
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    one.node.crash()
    one.node.start()
    one.tick(TIMING.view_timeout_ticks)
    assert one.node.running.view == 1


def test_timer_counts_in_a_later_view_whose_body_was_false() -> None:
    one = Alone()
    false = msgspec.structs.replace(one.block(proposer=2), leaf_hashes=bytes(64))
    one.hear(sign_new_view(2, 1, 1, changes(1), false))
    assert (one.node.running.view, one.of(Prepare)) == (1, [])
    one.tick(2 * TIMING.view_timeout_ticks)
    assert one.node.running.view == 2


def test_skipped_turn_is_asked_for_with_the_first_work_only() -> None:
    one = Alone()
    one.node.running._turns.block_applied(1, 0)
    one.tick(3)
    assert one.node.running.view == 0, "no work, no view-change"
    one.node.work_pending = True
    one.tick()
    assert one.node.running.view == 1


def test_turn_is_not_skipped_once_its_proposal_is_there_or_by_oneself() -> None:
    one = Alone()
    one.node.running._turns.block_applied(1, 0)
    one.network.inject(3, sign_pre_prepare(1, 1, one.block()))
    one.node.work_pending = True
    one.node.tick()
    assert one.node.running.view == 0
    primary = Alone(own=1)
    primary.node.running._turns.block_applied(1, 0)
    primary.node.work_pending = True
    primary.tick()
    assert len(primary.of(PrePrepare)) == 1


def test_fetched_bytes_of_another_block_are_ignored() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(Decided(make_certificate(one.network.validators, 1, 0, block.block_hash)))
    assert one.node.running.step(ev.ProposalFetched(block.block_hash, other, 0)) == ()
    assert one.node.running.step(ev.ProposalFetched(other.block_hash, other, 0)) == ()


def test_trap_42_time_bounds_are_inclusive_above_and_exclusive_below() -> None:
    now_ms = START_MS + TICK_MS
    for time_ms, accepted in (
        (now_ms + TIMING.clock_skew_ms_max, True),
        (now_ms + TIMING.clock_skew_ms_max + 1, False),
        (START_MS + 1, True),
        (START_MS, False),
    ):
        one = Alone()
        one.hear(sign_pre_prepare(1, 1, one.block(time_ms=time_ms)))
        assert bool(one.of(Prepare)) is accepted
