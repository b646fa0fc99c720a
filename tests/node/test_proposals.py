"""The desk of one height: what is kept, what is awaited, whom it is asked of, and the bounds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from consensus.actions import CheckProposal
from consensus.messages import Proposal
from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from node.proposals import (
    ASK_AGAIN_TICKS,
    EXPIRY_TICKS,
    FETCHING_MAX,
    KEPT_MAX,
    WAITING_MAX,
    FindAll,
    ProposalDesk,
)

PROPOSER = 2


def candidate(name: str) -> Any:
    """A transaction as the desk sees it: the hash of its envelope."""
    return SimpleNamespace(transaction=SimpleNamespace(envelope_hash=sha256(name.encode())))


def keep(desk: ProposalDesk, name: str) -> bytes:
    block: Any = SimpleNamespace(block_hash=sha256(name.encode()))
    desk.keep(Proposal(name.encode(), b"", b""), [candidate(name)], block)
    return sha256(name.encode())


def check(name: str, *envelopes: str) -> CheckProposal:
    hashes = b"".join(sha256(item.encode()) for item in envelopes)
    return CheckProposal(1, 0, Proposal(name.encode(), hashes, bytes(len(hashes))), PROPOSER)


def find(*names: str) -> FindAll:
    """What finds the transactions in these envelopes and no others."""
    there = {sha256(name.encode()): candidate(name) for name in names}
    return lambda hashes: [there.get(envelope_hash) for envelope_hash in hashes]


find_nothing = find()


def test_beyond_the_bound_the_oldest_goes_and_never_the_pinned_one() -> None:
    desk = ProposalDesk()
    pinned = keep(desk, "0")
    desk.pin(pinned)
    kept = [keep(desk, str(number)) for number in range(1, 2 * KEPT_MAX)]
    assert desk.find_executed(pinned) is not None, "it is prepared, and others may ask for it"
    assert [desk.find_executed(one) is not None for one in kept] == [
        number > KEPT_MAX for number in range(1, 2 * KEPT_MAX)
    ]
    assert desk.find(sha256(b"0")) is not None
    desk.clear()
    assert desk.find_executed(pinned) is None


def test_of_many_that_wait_the_oldest_is_forgotten() -> None:
    desk = ProposalDesk()
    actions = [check(str(number), f"e{number}") for number in range(WAITING_MAX + 2)]
    for action in actions:
        desk.wait(action, find_nothing)
    assert desk.waiting_hashes() == [item.proposal.block_hash for item in actions[2:]]


def test_what_is_missing_is_asked_of_the_proposer_first_and_then_of_others() -> None:
    desk = ProposalDesk()
    desk.wait(check("a", "e1", "e2", "e3"), find("e2"))
    missing = sha256(b"e1") + sha256(b"e3")
    asked = [desk.requests(tick, [0, 1, PROPOSER]) for tick in range(1, 3 * ASK_AGAIN_TICKS + 1)]
    assert [item for each in asked for item in each] == [
        (PROPOSER, missing),
        (0, missing),
        (1, missing),
    ]
    desk.offer(candidate("e3"))
    later = 4 * ASK_AGAIN_TICKS
    assert desk.requests(later, [0, 1, PROPOSER]) == [(PROPOSER, sha256(b"e1"))]


def test_a_proposal_is_whole_when_all_has_come_in_the_order_of_the_block() -> None:
    desk = ProposalDesk()
    action = check("a", "e1", "e2")
    desk.wait(action, find_nothing)
    waiting = desk.find_waiting(action.proposal.block_hash)
    assert waiting is not None
    for name in ("e2", "e9"):
        desk.offer(candidate(name))
        assert waiting.candidates() is None
    desk.offer(candidate("e1"))
    found = waiting.candidates()
    assert found is not None
    assert [item.transaction.envelope_hash for item in found] == [sha256(b"e1"), sha256(b"e2")]


def test_an_envelope_that_is_named_twice_stands_twice() -> None:
    """Executing such a proposal finds the duplicate; here nothing is left out."""
    desk = ProposalDesk()
    action = check("a", "e1", "e2", "e1")
    desk.wait(action, find("e2"))
    waiting = desk.find_waiting(action.proposal.block_hash)
    assert waiting is not None
    assert desk.missing() == sha256(b"e1")
    desk.offer(candidate("e1"))
    found = waiting.candidates()
    assert found is not None
    assert [item.transaction.envelope_hash for item in found] == [
        sha256(name) for name in (b"e1", b"e2", b"e1")
    ]


def test_only_what_a_proposal_lacks_can_be_refused() -> None:
    desk = ProposalDesk()
    action = check("a", "e1", "e2")
    desk.wait(action, find("e1"))
    waiting = desk.find_waiting(action.proposal.block_hash)
    assert waiting is not None
    desk.refuse(sha256(b"e1"), Rejected(Reason.MALFORMED, "it is here already"))
    assert waiting.refused is None
    first = Rejected(Reason.BAD_SIGNATURE, "first")
    for reason in (first, Rejected(Reason.BAD_SIGNATURE, "second")):
        desk.refuse(sha256(b"e2"), reason)
    assert waiting.refused is first


def test_waiting_ends_and_it_begins_with_the_first_tick() -> None:
    desk = ProposalDesk()
    action = check("a", "e1")
    desk.wait(action, find_nothing)
    assert desk.expire(10**6) == [], "no tick has passed for it"
    desk.requests(100, [])
    assert desk.expire(100 + EXPIRY_TICKS) == []
    assert desk.expire(101 + EXPIRY_TICKS) == [action]
    assert not desk.is_waiting


def test_few_blocks_are_expected_at_once() -> None:
    desk = ProposalDesk()
    hashes = [sha256(bytes([number])) for number in range(FETCHING_MAX + 1)]
    for block_hash in hashes:
        desk.fetch(block_hash)
    assert [desk.is_fetching(one) for one in hashes] == [False] + [True] * FETCHING_MAX
