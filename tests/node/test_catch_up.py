"""Catching up: one peer at a time, nothing believed, and a lie costs one retry."""

from __future__ import annotations

import msgspec
import pytest

from contracts.kinds import KINDS, Kind
from ledger.block import HeaderEntry, decode_entry
from ledger.refusal import Reason, Rejected
from ledger.transaction import Outcome
from ledger.votes import decode_commit_certificate, encode_commit_certificate
from ledger.wire import encode
from node.catch_up import ANSWER_TICKS_MAX, CatchUp, read_certified_block
from node.effects import CommitBlock, Halted, PeerChanged
from node.messages import BLOCKS_MAX, Blocks, CertifiedBlock, FetchBlocks
from tests.node.driving import MEMORY, Drivers, Machine

PEERS = {0, 1, 2}
BLOCK = CertifiedBlock([b"entry"], b"certificate")


def late_machine(heights: int = 4) -> tuple[Drivers, Machine]:
    """Machine 3 comes to a network that is some heights ahead; frames wait for the test."""
    network = Drivers()
    network.start(0, 1, 2)
    network.grow(heights)
    machine = network.machines[3]
    machine.start()
    network.loses = lambda _sender, _receiver, _frame: True
    for peer in PEERS:
        machine.step(PeerChanged(peer, True))
    machine.hear(0, network.machines[0].driver._status())
    return network, machine


def blocks_of(network: Drivers, first: int, last: int) -> list[CertifiedBlock]:
    store = network.machines[0].store
    found = []
    for height in range(first, last + 1):
        entries, certificate = store.block(height)
        found.append(CertifiedBlock(list(entries), certificate))
    return found


def asked(machine: Machine) -> list[tuple[int, int]]:
    """(peer, height) of every request for blocks, in order."""
    return [
        (effect.replica, effect.frame.height)  # type: ignore[union-attr]
        for effect in machine.done
        if isinstance(getattr(effect, "frame", None), FetchBlocks)
    ]


def test_blocks_are_asked_of_whoever_proved_its_height_and_applied_in_order() -> None:
    network, machine = late_machine()
    assert asked(machine) == [(0, 1)]
    machine.hear(0, Blocks(blocks_of(network, 1, 2)))
    assert machine.height == 2
    assert asked(machine) == [(0, 1), (1, 3)]
    machine.hear(1, Blocks(blocks_of(network, 3, 4)))
    assert machine.height == 4
    assert len(asked(machine)) == 2, "nothing more is known to be missing"
    commits = [item.block.header.height for item in machine.done if isinstance(item, CommitBlock)]
    assert commits == [1, 2, 3, 4]
    assert machine.driver.chain.tree.root == network.machines[0].driver.chain.tree.root


def test_only_the_peer_that_was_asked_is_heard() -> None:
    network, machine = late_machine()
    for peer in (1, 2):
        machine.hear(peer, Blocks(blocks_of(network, 1, 4)))
    assert machine.height == 0


@pytest.mark.parametrize(
    "lie",
    ["thin certificate", "another block's votes", "entry changed", "entry left out", "no header",
     "nothing", "later block", "forged signature"],
)  # fmt: skip
def test_a_lie_costs_one_retry_and_nothing_of_it_is_applied(lie: str) -> None:
    """Trap 29 and 4: every part of a block is checked against what a quorum signed."""
    network, machine = late_machine()
    [first, second] = blocks_of(network, 1, 2)
    certificate = decode_commit_certificate(first.certificate)
    thin = msgspec.structs.replace(certificate, commits=certificate.commits[:2])
    commit = msgspec.structs.replace(certificate.commits[0], signature=bytes(64))
    forged = msgspec.structs.replace(certificate, commits=(commit, *certificate.commits[1:]))
    changed = first.entries[0][:-1] + bytes([first.entries[0][-1] ^ 1])
    blocks = {
        "thin certificate": CertifiedBlock(first.entries, encode_commit_certificate(thin)),
        "another block's votes": CertifiedBlock(first.entries, second.certificate),
        "entry changed": CertifiedBlock([changed, *first.entries[1:]], first.certificate),
        "entry left out": CertifiedBlock(first.entries[1:], first.certificate),
        "no header": CertifiedBlock(first.entries[:-1], first.certificate),
        "nothing": CertifiedBlock([], first.certificate),
        "later block": second,
        "forged signature": CertifiedBlock(first.entries, encode_commit_certificate(forged)),
    }
    machine.hear(0, Blocks([blocks[lie], second]))
    assert machine.height == 0
    assert asked(machine) == [(0, 1), (1, 1)], "the rest is dropped and another peer is asked"
    machine.hear(1, Blocks([first]))
    assert machine.height == 1


def test_a_header_of_other_bytes_is_not_the_block_that_was_voted_on() -> None:
    network, machine = late_machine()
    [block] = blocks_of(network, 1, 1)
    entry = decode_entry(block.entries[-1])
    assert isinstance(entry, HeaderEntry)
    other = msgspec.structs.replace(entry.header, time_ms=entry.header.time_ms + 1)
    entries = [*block.entries[:-1], encode(msgspec.structs.replace(entry, header=other))]
    with pytest.raises(Rejected) as caught:
        read_certified_block(
            CertifiedBlock(entries, block.certificate), machine.driver.chain, MEMORY.verify
        )
    assert caught.value.reason is Reason.BAD_PROOF


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("raises", "could not be executed: ArithmeticError: a bug here"),
        ("differs", "entry 2 came out differently here"),
    ],
)
def test_a_decided_block_that_comes_out_differently_here_halts_this_node(
    mistake: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nobody's lie: the certificate is valid, so the mistake is here."""
    network, machine = late_machine()

    def apply(*_: object) -> Outcome:
        if mistake == "raises":
            raise ArithmeticError("a bug here")
        return Outcome(refused=False, code="", effects=())

    kind = KINDS[("prepaid.prepay", 1)]
    monkeypatch.setitem(KINDS, ("prepaid.prepay", 1), Kind(kind.data, apply, kind.summary))
    machine.hear(0, Blocks(blocks_of(network, 1, 1)))
    [halted] = [item for item in machine.done if isinstance(item, Halted)]
    assert halted.reason.en.startswith("block 1 is decided and cannot be reproduced: ")
    assert halted.reason.en.endswith(reason)
    assert (machine.height, machine.driver.halted) == (0, halted.reason)


def test_a_peer_that_does_not_answer_is_left_for_the_next() -> None:
    _, machine = late_machine()
    machine.network.tick(ANSWER_TICKS_MAX - 1, 3)
    assert asked(machine) == [(0, 1)]
    machine.network.tick(1, 3)
    assert asked(machine) == [(0, 1), (1, 1)]
    machine.network.tick(ANSWER_TICKS_MAX, 3)
    assert asked(machine)[-1] == (2, 1)


def test_nothing_is_proposed_at_a_height_whose_block_is_being_written() -> None:
    network, machine = late_machine()
    machine.holds = lambda effect: (
        isinstance(effect, CommitBlock) and effect.block.header.height == 3
    )
    machine.hear(0, Blocks(blocks_of(network, 1, 2)))
    machine.hear(1, Blocks(blocks_of(network, 3, 3)))
    assert machine.driver.replica.primary == machine.number
    network.submit(3, network.transaction("waits"))
    network.tick(3, 3)
    assert [item for item in machine.voted() if item.height == 3] == []  # type: ignore[union-attr]
    (held,) = machine.held
    machine.holds = lambda _: False
    machine.perform(held)
    machine.step(machine.caused.popleft())
    assert machine.height == 3


# The book by itself


def test_nothing_is_asked_for_what_is_applied() -> None:
    book = CatchUp(4, 3)
    assert book.begin(5, 0, 5, PEERS) is None
    assert book.begin(5, 0, 4, PEERS) == 0
    assert (book.is_active, book.target) == (True, 5)
    assert book.begin(9, 1, 4, PEERS) is None, "one peer at a time"
    assert book.target == 9
    assert book.begin(6, 2, 4, PEERS) is None
    assert book.target == 9, "a peer that is behind the others takes nothing back"


def test_a_peer_that_is_not_connected_is_passed_over() -> None:
    book = CatchUp(4, 3)
    assert book.begin(5, 0, 4, {2}) == 2
    assert CatchUp(4, 3).begin(5, 0, 4, set()) is None


def test_an_empty_answer_of_who_claimed_more_leads_to_the_next_peer_at_once() -> None:
    """Though it proves its height again in the same breath, it is not asked once more."""
    network, machine = late_machine()
    machine.hear(0, Blocks([]))
    machine.hear(0, network.machines[0].driver._status())
    assert asked(machine) == [(0, 1)]
    machine.network.tick(1, 3)
    assert asked(machine) == [(0, 1), (1, 1)]


def test_a_peer_that_gives_one_block_at_a_time_holds_nobody_back() -> None:
    """Peers take turns, or the first of them would set the pace for ever."""
    network, machine = late_machine()
    machine.hear(0, Blocks(blocks_of(network, 1, 1)))
    assert asked(machine) == [(0, 1), (1, 2)]
    machine.hear(1, Blocks(blocks_of(network, 2, 2)))
    machine.hear(2, Blocks(blocks_of(network, 3, 3)))
    assert asked(machine) == [(0, 1), (1, 2), (2, 3), (0, 4)]


def test_answers_are_bounded_and_taken_once() -> None:
    book = CatchUp(4, 3)
    book.begin(5, 0, 4, PEERS)
    assert book.take(0, [BLOCK] * (BLOCKS_MAX + 5), 4)
    assert not book.take(0, [BLOCK], 4)
    count = 0
    while book.next_block() is not None:
        count += 1
    assert count == BLOCKS_MAX
    assert not book.has_blocks


def test_after_a_lie_the_rest_is_dropped() -> None:
    book = CatchUp(4, 3)
    book.begin(5, 0, 4, PEERS)
    book.take(0, [BLOCK, BLOCK], 4)
    assert book.give_up(0, PEERS) == 1
    assert not book.has_blocks
    assert book.take(1, [BLOCK], 4)


def test_who_comes_while_nobody_holds_the_block_is_asked_at_once() -> None:
    book = CatchUp(4, 3)
    book.begin(5, 0, 4, {0})
    assert book.lacks(0, {0}) is True
    assert book.lacks(0, {0}) is None, "said already"
    assert book.lacks(1, {0}) is None, "not asked"
    assert [book.tick({0}) for _ in range(3)] == [None] * 3
    assert book.tick({0, 1}) == 1
    assert book.lacks(1, {0, 1}) is True
