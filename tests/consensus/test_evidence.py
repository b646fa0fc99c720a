"""Which contradictions one replica notices, at its own height and at the next (trap 5).

Replica 3 of four is real; everybody else is a script. Height 1 belongs to primary 1 in view 0, 2 in
view 1, 3 in view 2; height 2 to primary 2.
"""

from __future__ import annotations

import msgspec
import pytest

from consensus.messages import Message, NewView, Prepare, ViewChange
from ledger.equivocation import Amnesia, ViewChangeEquivocation, VoteEquivocation
from ledger.hashing import sha256
from tests.consensus.network import (
    START_MS,
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
