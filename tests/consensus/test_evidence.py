"""Which contradictions one replica notices, at its own height and at the next (trap 5).

Replica 3 of four is real; everybody else is a script. Height 1 belongs to primary 1 in view 0, 2 in
view 1, 3 in view 2; height 2 to primary 2.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from consensus.events import PeerConnected
from consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
    encode_message,
)
from ledger.equivocation import Amnesia, ViewChangeEquivocation, VoteEquivocation
from ledger.hashing import sha256
from tests.consensus.network import (
    START_MS,
    TIMING,
    Network,
    Node,
    make_prepared,
    make_proposal,
    sign_commit,
    sign_new_view,
    sign_pre_prepare,
    sign_prepare,
    sign_view_change,
)
from tests.consensus.test_traps import Alone, changes

ONE, OTHER, THIRD = sha256(b"one"), sha256(b"other"), sha256(b"third")


def slots(one: Alone) -> list[tuple[int, str]]:
    """(replica, slot) of everything reported, each proof verified by the network's node."""
    return [(item.equivocation.replica, item.equivocation.slot) for item in one.node.evidence]


# A primary's prepare


def test_a_primary_that_prepares_another_block_than_it_proposed_is_convicted() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(1, 1, 0, OTHER))
    assert slots(one) == [(1, "pre-prepare/1/0")]
    one.hear(sign_prepare(1, 1, 0, THIRD))
    assert slots(one)[1:] == [(1, "prepare/1/0")]
    one.hear(sign_pre_prepare(1, 1, one.block(salt=b"b")))
    assert len(slots(one)) == 2, "each slot is reported once"
    assert [vote.block_hash for vote in one.of(Prepare)] == [block.block_hash]


def test_in_the_other_order_too() -> None:
    one = Alone()
    one.hear(sign_prepare(1, 1, 0, OTHER), sign_pre_prepare(1, 1, one.block()))
    assert slots(one) == [(1, "pre-prepare/1/0")]


def test_a_primary_that_prepares_what_it_proposed_is_foolish_and_not_convicted() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block), sign_prepare(1, 1, 0, block.block_hash))
    one.hear(sign_prepare(0, 1, 0, OTHER))
    assert slots(one) == [], "replica 0 prepared one block, and proposed none"


# View-changes


def test_two_claims_for_one_view_convict_and_the_first_counts() -> None:
    one = Alone()
    prepared = one.prepared(0, one.block())
    one.hear(sign_view_change(0, 1, 1, None), sign_view_change(0, 1, 1, prepared))
    assert slots(one) == [(0, "view-change/1/1")]
    assert isinstance(one.node.evidence[0].equivocation, ViewChangeEquivocation)
    one.hear(sign_view_change(0, 1, 1, prepared))
    assert len(slots(one)) == 1


def test_a_claim_convicts_even_if_its_certificate_is_worthless() -> None:
    """The signature says it; what travels beside it only proves it."""
    one = Alone()
    prepared = one.prepared(0, one.block())
    empty = msgspec.structs.replace(prepared, prepares=())
    one.hear(sign_view_change(0, 1, 1, None), sign_view_change(0, 1, 1, empty))
    assert slots(one) == [(0, "view-change/1/1")]
    other = Alone()
    other.hear(sign_view_change(0, 1, 1, empty))
    assert other.node.notes[-1].startswith("no_quorum:")
    other.hear(sign_view_change(0, 1, 1, None))
    assert slots(other) == [(0, "view-change/1/1")]


def test_a_claim_inside_a_new_view_counts_as_said() -> None:
    one = Alone()
    block = one.block(proposer=2)
    one.hear(sign_view_change(0, 1, 1, one.prepared(0, one.block())))
    one.hear(sign_new_view(2, 1, 1, changes(1, replicas=(0, 1, 2)), block))
    assert slots(one) == [(0, "view-change/1/1")]


def test_two_new_views_of_one_view_convict_even_if_their_justification_is_worthless() -> None:
    """The signature is the primary's pre-prepare, whatever travels beside it."""
    one = Alone()
    for salt in (b"a", b"b"):
        one.hear(sign_new_view(2, 1, 1, changes(1, replicas=(0, 1)), one.block(2, salt)))
        assert one.node.notes[-1].startswith("no_quorum:")
    assert slots(one) == [(2, "pre-prepare/1/1")]
    assert one.node.running.view == 0
    again = sign_new_view(2, 1, 1, changes(1, replicas=(0, 1, 3)), one.block(2, b"b"))
    one.hear(again)
    assert [vote.view for vote in one.of(Prepare)] == [1], "what is justified counts all the same"


def test_a_certificate_inside_a_new_view_can_convict() -> None:
    one = Alone()
    block, other = one.block(), one.block(salt=b"b")
    one.hear(sign_prepare(0, 1, 0, other.block_hash))
    one.hear(sign_new_view(2, 1, 1, changes(1, one.prepared(0, block)), block))
    assert slots(one) == [(0, "prepare/1/0")]


def test_the_same_claim_again_and_later_views_convict_nobody() -> None:
    one = Alone()
    prepared = one.prepared(0, one.block())
    one.hear(sign_view_change(0, 1, 1, None), sign_view_change(0, 1, 1, None))
    one.hear(sign_view_change(0, 1, 2, prepared), sign_view_change(0, 1, 3, prepared))
    assert slots(one) == []


# Amnesia


def test_a_commit_that_a_view_change_denies_convicts_in_either_order() -> None:
    said: list[Message] = [sign_commit(0, 1, 0, OTHER), sign_view_change(0, 1, 1, None)]
    for messages in (said, said[::-1]):
        one = Alone()
        one.hear(*messages)
        assert slots(one) == [(0, "view-change/1/1")]
        assert isinstance(one.node.evidence[0].equivocation, Amnesia)


def test_a_commit_that_is_claimed_or_overtaken_convicts_nobody() -> None:
    one = Alone()
    block = one.block()
    prepared = one.prepared(0, block)
    one.hear(sign_commit(0, 1, 0, block.block_hash), sign_view_change(0, 1, 1, prepared))
    again = make_prepared(one.network.validators, 1, 1, block.block_hash)
    one.hear(sign_commit(0, 1, 1, block.block_hash), sign_view_change(0, 1, 2, again))
    one.hear(sign_commit(0, 1, 2, block.block_hash))
    assert slots(one) == []


def test_a_view_change_that_no_longer_counts_is_still_a_word() -> None:
    """Its sender has asked for a later view since; what it denies may come to light afterwards."""
    one = Alone()
    one.hear(sign_view_change(0, 1, 900, None), sign_view_change(0, 1, 3, None))
    one.hear(sign_commit(0, 1, 2, OTHER))
    assert sorted(slots(one)) == [(0, "view-change/1/3"), (0, "view-change/1/900")]


def test_the_replica_itself_never_denies_its_commit() -> None:
    one = Alone()
    one.prepare_block(one.block())
    one.hear(*changes(1, replicas=(0, 1, 2)))
    mine = [message for message in one.of(ViewChange) if message.replica == 3]
    assert [message.prepared is not None for message in mine] == [True]
    assert slots(one) == []


# Bounded memory


@pytest.mark.parametrize("own_view", [0, 40])
@pytest.mark.parametrize("sign", [sign_prepare, sign_commit])
def test_nobody_crowds_out_its_votes_of_the_view_the_others_are_in(
    sign: Callable[[int, int, int, bytes], Prepare | Commit], own_view: int
) -> None:
    """Votes of many other views, which anybody can sign, leave room for a lie of now."""
    one = Alone()
    if own_view:
        one.hear(*changes(own_view))
    assert one.node.running.view == own_view
    one.hear(*[sign(0, 1, view, ONE) for view in range(140) if view != own_view])
    before = len(slots(one))
    one.hear(sign(0, 1, own_view, ONE), sign(0, 1, own_view, OTHER))
    assert [slot for _, slot in slots(one)[before:]] == [f"{sign.__name__[5:]}/1/{own_view}"]


def test_nor_its_view_changes() -> None:
    one = Alone()
    prepared = one.prepared(0, one.block())
    one.hear(*[sign_view_change(0, 1, view, prepared) for view in range(2, 40)])
    one.hear(sign_view_change(0, 1, 1, prepared), sign_view_change(0, 1, 1, None))
    assert slots(one) == [(0, "view-change/1/1")]


@pytest.mark.parametrize("height", [1, 2])
def test_nor_its_proposals(height: int) -> None:
    """New-views of later views of its own are said by their signature, justified or not."""
    one = Alone()
    first = one.block()
    one.hear(*[sign_new_view(height, height, 4 * k, [], first) for k in range(1, 20)])
    if height == 2:
        one.hear(sign_pre_prepare(1, 1, first))
        one.commit_in(0, first)
    assert one.node.running.height == height
    for salt in (b"a", b"b"):
        block = one.block(proposer=height, time_ms=START_MS + 2, salt=salt)
        one.hear(sign_pre_prepare(height, height, block))
    assert slots(one) == [(height, f"pre-prepare/{height}/0")]


# Two proposals of which each replica saw one


def header_of(message: PrePrepare | NewView) -> PrePrepare | NewView:
    """The same without its body."""
    proposal = msgspec.structs.replace(message.proposal, envelope_hashes=b"", leaf_hashes=b"")
    return msgspec.structs.replace(message, proposal=proposal)


def shown(one: Alone) -> list[tuple[int, PrePrepare | NewView]]:
    """To whom the replica sent its primary's proposal, and which."""
    return [
        (receiver.number, message)
        for _, receiver, raw in one.network.in_flight
        if isinstance(message := decode_message(raw), PrePrepare | NewView)
    ]


@pytest.mark.parametrize("is_prepare_first", [True, False], ids=["prepare first", "proposal first"])
def test_the_accepted_proposal_is_shown_once_to_each_who_prepared_another(
    is_prepare_first: bool,
) -> None:
    one = Alone(count=7)
    mine = sign_pre_prepare(1, 1, one.block())
    header = header_of(mine)
    others: list[Message] = [
        sign_prepare(2, 1, 0, OTHER),
        sign_prepare(0, 1, 0, OTHER),
        sign_prepare(4, 1, 0, mine.proposal.block_hash),
        sign_prepare(1, 1, 0, OTHER),  # the primary's own needs no answer: it convicts at once
        sign_prepare(5, 1, 1, OTHER),  # of another view
    ]
    one.hear(*([*others, mine] if is_prepare_first else [mine, *others]))
    expected = [(0, header), (2, header)] if is_prepare_first else [(2, header), (0, header)]
    assert shown(one) == expected
    one.hear(sign_prepare(0, 1, 0, THIRD), *others)
    one.tick(TIMING.resend_interval_ticks)
    assert shown(one) == expected


def test_a_new_view_is_shown_too_and_each_view_anew() -> None:
    one = Alone(count=7)
    first = sign_pre_prepare(1, 1, one.block())
    one.hear(first, sign_prepare(0, 1, 0, OTHER))
    asked = changes(1, replicas=(0, 1, 2, 4, 5))
    second = sign_new_view(2, 1, 1, asked, one.block(proposer=2))
    one.hear(*asked, second, sign_prepare(0, 1, 1, OTHER))
    assert shown(one) == [(0, header_of(first)), (0, header_of(second))]


def test_a_replica_shows_what_it_cannot_execute_and_will_not_prepare() -> None:
    """To show is to pass on what another signed; nothing is said for the block."""
    one = Alone(count=7)
    one.node.bad_state = True
    mine = sign_pre_prepare(1, 1, one.block())
    one.hear(mine, sign_prepare(2, 1, 0, OTHER), sign_prepare(0, 1, 0, OTHER))
    assert shown(one) == [(2, header_of(mine)), (0, header_of(mine))]
    assert one.of(Prepare) == []


def test_a_silent_replica_shows_without_signing_anything() -> None:
    one = Alone(count=7)
    one.node.crash()
    one.node.start(silent_through_height=1)
    one.tick()
    mine = sign_pre_prepare(1, 1, one.block())
    one.hear(mine, sign_prepare(0, 1, 0, OTHER))
    assert shown(one) == [(0, header_of(mine))]
    assert one.sent == [header_of(mine)]


def test_a_restarted_replica_shows_what_it_prepared() -> None:
    """Its record keeps the block, and in the certificate the primary's signature."""
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.node.crash()
    one.node.start()
    one.answer()
    one.hear(sign_prepare(2, 1, 0, OTHER))
    assert shown(one) == [(2, header_of(sign_pre_prepare(1, 1, block)))]
    assert {message.block_hash for message in one.of(Commit)} == {block.block_hash}


def test_what_justified_a_new_view_is_not_shown_after_a_restart_and_is_not_needed() -> None:
    one = Alone()
    block = one.block(proposer=2)
    asked = changes(1, replicas=(0, 1, 2))
    one.hear(*asked, sign_new_view(2, 1, 1, asked, block))
    one.hear(sign_prepare(0, 1, 1, block.block_hash))
    assert {message.block_hash for message in one.of(Commit)} == {block.block_hash}
    one.node.crash()
    one.node.start()
    one.answer()
    one.hear(sign_prepare(1, 1, 1, OTHER))
    expected = header_of(sign_new_view(2, 1, 1, [], block))
    assert shown(one) == [(1, expected)]
    victim = Alone()
    victim.hear(
        *asked, sign_new_view(2, 1, 1, asked, victim.block(proposer=2, salt=b"b")), expected
    )
    assert slots(victim) == [(2, "pre-prepare/1/1")]


def test_a_restarted_replica_without_a_certificate_has_no_proposal_to_show() -> None:
    """The record of a bare prepare lacks the primary's signature."""
    one = Alone()
    one.hear(sign_pre_prepare(1, 1, one.block()))
    assert len(one.of(Prepare)) == 1
    one.node.crash()
    one.node.start()
    one.answer()
    one.hear(sign_prepare(2, 1, 0, OTHER))
    assert shown(one) == []


def test_prepares_that_came_before_the_height_are_answered_when_its_proposal_comes() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_prepare(0, 2, 0, OTHER), sign_pre_prepare(1, 1, block))
    one.commit_in(0, block)
    assert one.node.running.height == 2
    mine = sign_pre_prepare(2, 2, one.block(proposer=2, time_ms=START_MS + 2))
    one.hear(mine)
    assert shown(one) == [(0, header_of(mine))]


def test_a_primary_shows_nothing_because_its_own_proposal_is_repeated_anyway() -> None:
    one = Alone(own=1, count=7)
    one.node.work_pending = True
    one.tick()
    (mine,) = one.of(PrePrepare)
    one.network.in_flight.clear()
    one.hear(sign_prepare(0, 1, 0, OTHER))
    assert mine.proposal.block_hash != OTHER
    assert shown(one) == []


def test_whoever_is_shown_another_proposal_holds_the_evidence_in_a_later_view_too() -> None:
    one = Alone(count=7)
    other = one.block(salt=b"b")
    one.hear(sign_pre_prepare(1, 1, one.block()), *changes(1, replicas=(0, 2)))
    one.hear(*changes(1, replicas=(4, 5)))
    assert one.node.running.view == 1
    one.hear(sign_pre_prepare(1, 1, other))
    assert slots(one) == [(1, "pre-prepare/1/0")]


@pytest.mark.parametrize("view", [0, 1])
@pytest.mark.parametrize("split", [1, 2, 3, 4, 5])
def test_an_equivocating_primary_of_seven_is_named_however_it_splits_the_others(
    view: int, split: int
) -> None:
    """Split three and three, neither of its blocks finds a quorum and each correct replica holds
    one of its signatures; split one and five, the five decide without ever having met the other
    block. A primary that said both and no more was not named by anybody then."""
    network = Network(7)
    primary = network.validators.primary(1, view)
    honest = [node for node in network.nodes if node.number != primary]
    if view == 1:
        network.filter = lambda sender, receiver, message: not isinstance(message, PrePrepare)
    for node in honest:
        node.start()
    asked = changes(1, replicas=(0, 1, 3, 4, 5))
    network.run(1)
    while any(node.running.view < view for node in honest):
        network.run(1)
    for salt, group in ((b"a", honest[:split]), (b"b", honest[split:])):
        block = make_proposal(network.genesis, primary, START_MS + 1, salt)
        message: PrePrepare | NewView = sign_pre_prepare(primary, 1, block)
        if view == 1:
            message = sign_new_view(primary, 1, 1, asked, block)
        for node in group:
            network.inject(node.number, message)
    network.settle()
    named = {
        (item.equivocation.replica, item.equivocation.slot)
        for node in honest
        for item in node.evidence
    }
    assert named == {(primary, f"pre-prepare/1/{view}")}
    network.filter = None
    network.run_to(1, ticks_max=100)


@pytest.mark.parametrize(("count", "split"), [(4, 1), (5, 2), (6, 2), (7, 3)])
def test_one_that_equivocates_at_the_end_of_its_view_is_named(count: int, split: int) -> None:
    """When the halves' prepares cross, everybody has given the view up."""
    network = Network(count)
    honest = [node for node in network.nodes if node.number != 1]
    for node in honest:
        node.start()
    network.run(TIMING.view_timeout_ticks - 1)
    late: list[tuple[Node, Node, bytes]] = []

    def hold_back(sender: int, receiver: int, message: Message) -> bool:
        late.append((network.nodes[sender], network.nodes[receiver], encode_message(message)))
        return False

    network.filter = hold_back
    for salt, group in ((b"a", honest[:split]), (b"b", honest[split:])):
        block = make_proposal(network.genesis, 1, START_MS + 1, salt)
        for node in group:
            network.inject(node.number, sign_pre_prepare(1, 1, block))
    network.settle()
    network.run(1)
    assert {(node.running.view, node.running.is_changing_view) for node in honest} == {(1, True)}
    network.filter = None
    network.in_flight.extend(late)
    network.settle()
    for node in honest:
        named = {(item.equivocation.replica, item.equivocation.slot) for item in node.evidence}
        assert named == {(1, "pre-prepare/1/0")}


def test_the_same_block_in_a_later_view_is_shown_anew() -> None:
    one = Alone(count=7)
    block = one.block()
    first = sign_pre_prepare(1, 1, block)
    asked = changes(1, one.prepared(0, block), replicas=(0, 1, 2, 4, 5))
    second = sign_new_view(2, 1, 1, asked, block)
    one.hear(first, sign_prepare(6, 1, 0, OTHER), second, sign_prepare(6, 1, 1, OTHER))
    assert shown(one) == [(6, header_of(first)), (6, header_of(second))]


def test_a_proposal_is_shown_again_to_whoever_connects_again() -> None:
    one = Alone(count=7)
    mine = sign_pre_prepare(1, 1, one.block())
    one.hear(mine, *[sign_prepare(replica, 1, 0, OTHER) for replica in (0, 2)])
    one.hear(*changes(1, replicas=(0, 2, 4)))
    assert one.node.running.view == 1
    one.network.in_flight.clear()
    one.node.handle(PeerConnected(0))
    one.tick()
    assert shown(one) == [(0, header_of(mine))]


@pytest.mark.parametrize("what", ["time", "body"])
def test_a_proposal_of_no_use_is_shown_too(what: str) -> None:
    """Whoever is given one that it must refuse prepares nothing, and holds a signature all the
    same."""
    one = Alone(count=7)
    block = one.block(time_ms=START_MS + 10**9 if what == "time" else START_MS + 1)
    if what == "body":
        block = msgspec.structs.replace(block, leaf_hashes=bytes(len(block.leaf_hashes)))
    refused = sign_pre_prepare(1, 1, block)
    one.hear(refused, sign_prepare(2, 1, 0, OTHER))
    assert one.of(Prepare) == []
    assert shown(one) == [(2, header_of(refused))]
    one.hear(sign_pre_prepare(1, 1, one.block(salt=b"b")), refused)
    assert slots(one) == [(1, "pre-prepare/1/0")]
    assert len(one.of(Prepare)) == 1
    assert shown(one) == [(2, header_of(refused))], "once, and not to itself, who took the other"


def test_a_header_shown_first_does_not_keep_the_proposal_out() -> None:
    one = Alone(count=7)
    mine = sign_pre_prepare(1, 1, one.block())
    one.hear(header_of(mine))
    assert one.of(Prepare) == []
    one.hear(mine)
    assert [vote.block_hash for vote in one.of(Prepare)] == [mine.proposal.block_hash]
    second = sign_new_view(2, 1, 1, changes(1, replicas=(0, 1, 2, 4, 5)), one.block(proposer=2))
    one.hear(header_of(second), second)
    assert one.of(Prepare)[-1].block_hash == second.proposal.block_hash


@pytest.mark.parametrize("count", [4, 7])
@pytest.mark.parametrize("victim", [0, 3])
def test_whoever_decided_one_block_still_looks_at_the_other_a_height_later(
    count: int, victim: int
) -> None:
    """All but one are given a block and decide it; the one was given another, and is so slow that
    the others are at the next height when its prepare and its proposal come."""
    network = Network(count)
    honest = [node for node in network.nodes if node.number != 1]
    for node in honest:
        node.work_pending = False
        node.start()
    network.run(1)
    blocks = [make_proposal(network.genesis, 1, START_MS + 1, salt) for salt in (b"a", b"b")]
    late: list[tuple[Node, Node, bytes]] = []

    def hold_back(sender: int, receiver: int, message: Message) -> bool:
        if victim in (sender, receiver):
            late.append((network.nodes[sender], network.nodes[receiver], encode_message(message)))
            return False
        return True

    network.filter = hold_back
    for node in honest:
        block = blocks[node.number == victim]
        network.inject(node.number, sign_pre_prepare(1, 1, block))
        if node.number != victim:
            network.inject(node.number, sign_commit(1, 1, 0, block.block_hash))
    network.settle()
    assert {node.running.height for node in honest if node.number != victim} == {2}
    network.filter = None
    network.in_flight.extend(late)
    network.settle()
    for node in honest:
        named = {(item.equivocation.replica, item.equivocation.slot) for item in node.evidence}
        assert named == (set() if node.number == victim else {(1, "pre-prepare/1/0")})


def test_of_the_height_before_that_nothing_is_compared_any_more() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.commit_in(0, block)
    second = one.block(proposer=2, time_ms=START_MS + 2)
    one.hear(sign_pre_prepare(2, 2, second))
    one.hear(*[sign_commit(replica, 2, 0, second.block_hash) for replica in (0, 1, 2)])
    assert one.node.running.height == 3
    one.hear(sign_pre_prepare(1, 1, make_proposal(one.network.genesis, 1, START_MS + 1, b"b")))
    assert slots(one) == []
    one.hear(sign_pre_prepare(2, 2, make_proposal(one.node.disk.headers[1], 2, START_MS + 3, b"c")))
    assert slots(one) == [(2, "pre-prepare/2/0")]


def test_a_forged_contradiction_of_the_height_below_convicts_nobody() -> None:
    one = Alone()
    block = one.block()
    one.hear(sign_pre_prepare(1, 1, block))
    one.commit_in(0, block)
    true = sign_prepare(0, 1, 0, block.block_hash)
    one.hear(true, msgspec.structs.replace(true, block_hash=OTHER))
    assert slots(one) == []


def test_a_restarted_replica_compares_with_the_certificate_in_its_record() -> None:
    one = Alone()
    block = one.block()
    one.prepare_block(block)
    one.node.crash()
    one.node.start()
    one.tick()
    one.hear(sign_pre_prepare(1, 1, one.block(salt=b"b")), sign_prepare(0, 1, 0, OTHER))
    assert slots(one) == [(1, "pre-prepare/1/0"), (0, "prepare/1/0")]


# The next height


@pytest.mark.parametrize(
    ("messages", "slot"),
    [
        ([sign_prepare(0, 2, 0, ONE), sign_prepare(0, 2, 0, OTHER)], "prepare/2/0"),
        ([sign_commit(0, 2, 3, ONE), sign_commit(0, 2, 3, OTHER)], "commit/2/3"),
        ([sign_commit(0, 2, 0, ONE), sign_view_change(0, 2, 1, None)], "view-change/2/1"),
    ],
    ids=["prepare", "commit", "amnesia"],
)
def test_contradictions_of_the_next_height_are_reported_at_once(
    messages: list[Message], slot: str
) -> None:
    one = Alone()
    one.hear(*messages, *messages[::-1])
    assert slots(one) == [(0, slot)]


def test_two_proposals_for_the_next_height_are_reported() -> None:
    one = Alone()
    block = one.block()
    parent = make_proposal(one.node.disk.headers[-1], 1, START_MS + 1, b"a")
    assert parent.block_hash == block.block_hash
    first, second = (
        msgspec.structs.replace(block, header=block.header[:-1] + bytes([end])) for end in (1, 2)
    )
    one.hear(sign_pre_prepare(2, 2, first), sign_pre_prepare(2, 2, second))
    assert slots(one) == [(2, "pre-prepare/2/0")]
    assert isinstance(one.node.evidence[0].equivocation, VoteEquivocation)


def test_a_forged_contradiction_convicts_nobody() -> None:
    one = Alone()
    for height in (1, 2):
        true = sign_prepare(0, height, 0, ONE)
        forged = msgspec.structs.replace(true, block_hash=OTHER)
        one.hear(true, forged)
        claim = sign_view_change(0, height, 1, None)
        prepared = make_prepared(one.network.validators, height, 0, ONE)
        one.hear(claim, msgspec.structs.replace(claim, prepared=prepared))
    assert slots(one) == []
    assert one.of(NewView) == []
