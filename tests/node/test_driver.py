"""The driver by itself: whose vote it is, what waits, what is durable before it is said."""

from __future__ import annotations

import base64
import gc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from consensus.messages import (
    PROPOSAL_TRANSACTIONS_MAX,
    Commit,
    Prepare,
    PrePrepare,
    ViewChange,
    encode_message,
)
from contracts.execution import Executor
from contracts.kinds import KINDS, Kind
from ledger import tags
from ledger.block import decode_header, encode_header
from ledger.hashing import tagged_hash
from ledger.transaction import Outcome, decode_transaction
from ledger.votes import (
    COMMIT,
    PREPARE,
    compute_vote_message,
    decode_commit_certificate,
    encode_commit_certificate,
)
from node.chain_tip import PAUSE_MS, SETTLE_MS, WORD_MS
from node.driver import (
    ANSWERS_PER_TICK_MAX,
    SPREAD_AGAIN_MS,
    STATUS_INTERVAL_TICKS,
)
from node.effects import (
    BroadcastFrame,
    CommitBlock,
    Committed,
    PeerChanged,
    SaveJournal,
    SendFrame,
    Started,
    VerifyEnvelopes,
)
from node.intake import parse_relayed
from node.journal_record import decode_journal_record
from node.messages import (
    FETCHED_BYTES_MAX,
    Blocks,
    CertifiedBlock,
    Consensus,
    Cosigned,
    FetchBlocks,
    FetchedProposal,
    FetchedTransactions,
    FetchProposal,
    FetchTransactions,
    Frame,
    Status,
    Transactions,
)
from node.serving import find_envelopes
from sim.deployment import TICK_MS, TIMING
from tests.node.driving import Drivers, Machine

NEXT = 1
"""Height after genesis; its primary in view 0 is replica 1."""


def vote(
    network: Drivers, replica: int, kind: type[Prepare | Commit], block_hash: bytes
) -> Consensus:
    phase = COMMIT if kind is Commit else PREPARE
    chain_id = network.deployment.genesis.chain_id
    message = compute_vote_message(phase, chain_id, NEXT, 0, block_hash)
    signature = network.deployment.signers[replica].vote.sign(message)
    return Consensus(encode_message(kind(NEXT, 0, block_hash, replica, signature)))


def proposed(
    network: Drivers, before: Callable[[], None] = lambda: None
) -> tuple[Machine, PrePrepare]:
    """A machine 3 that was given the proposal of height 1 and nothing else."""
    network.start()
    network.loses = lambda _sender, receiver, _frame: receiver != 1
    network.submit(1, network.transaction("r1"))
    network.tick(1, 1, 3)
    [proposal] = [item for item in network.machines[1].voted() if isinstance(item, PrePrepare)]
    machine = network.machines[3]
    before()
    for frame in network.machines[1].sent(Transactions):
        machine.hear(1, frame)
    machine.hear(1, Consensus(encode_message(proposal)))
    return machine, proposal


def test_a_replica_that_executes_otherwise_prepares_nothing_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever of the two is wrong, an operator has to look: it is a warning."""
    network = Drivers()
    kind = KINDS[("prepaid.prepay", 1)]

    def apply(*_: object) -> Outcome:
        return Outcome(refused=False, code="", effects=(("locked", 7),))

    def spoil() -> None:
        mistaken = Kind(kind.data, apply, kind.summary)
        monkeypatch.setitem(KINDS, ("prepaid.prepay", 1), mistaken)

    machine, proposal = proposed(network, spoil)
    raw = network.machines[1].sent(Transactions)[0].envelopes[0]
    tx_id = decode_transaction(raw).tx_id.hex()
    [line] = machine.said("warning")
    assert line.startswith(
        f"height 1 view 0: block {proposal.proposal.block_hash.hex()} from replica 1: "
        f"entries_differ: transaction 0 ({tx_id}) is the first that differs: here it is "
    )
    assert machine.voted() == []


def test_a_vote_is_its_signers_whoever_brings_it() -> None:
    """Trap 4: identity is the signature inside the message, not the connection."""
    network = Drivers()
    machine, proposal = proposed(network)
    block_hash = proposal.proposal.block_hash
    machine.hear(2, vote(network, 2, Prepare, bytes(32)))
    assert [type(item) for item in machine.voted()] == [Prepare, PrePrepare], "shown to its signer"
    machine.hear(1, vote(network, 0, Prepare, block_hash))
    assert [type(item) for item in machine.voted()] == [Prepare, PrePrepare, Commit]


def test_a_connection_lends_its_name_to_nobody() -> None:
    """Trap 4: a peer that puts its own signature under another's number is refused."""
    network = Drivers()
    machine, proposal = proposed(network)
    block_hash = proposal.proposal.block_hash
    message = compute_vote_message(
        PREPARE, network.deployment.genesis.chain_id, NEXT, 0, block_hash
    )
    signature = network.deployment.signers[2].vote.sign(message)
    forged = Prepare(NEXT, 0, block_hash, 0, signature)
    machine.hear(2, Consensus(encode_message(forged)))
    assert [type(item) for item in machine.voted()] == [Prepare]
    assert machine.said("info")[-1] == (
        "bad_signature: prepare of height 1 view 0: the signature of replica 0 does not verify"
    )


def test_transactions_wait_until_their_block_is_on_disk() -> None:
    """Trap 26: what is proposed is not sealed; if the view fails, it is proposed again."""
    network = Drivers()
    machine, _ = proposed(network)
    primary = network.machines[1]
    assert (len(primary.driver.pool), len(machine.driver.pool)) == (1, 1)
    for frame in primary.sent(Transactions):
        for replica in (0, 2):
            network.machines[replica].hear(1, frame)
    network.loses = lambda sender, receiver, _frame: 1 in {sender, receiver}
    network.tick(60, 0, 2, 3)
    assert [network.machines[i].height for i in (0, 2, 3)] == [1, 1, 1]
    assert len(machine.driver.pool) == 0
    header = machine.driver.chain.header
    assert (header.proposer, header.count) == (2, 1)


def test_a_decided_block_is_committed_once_though_it_comes_twice() -> None:
    """Trap 27: while a block is being written, a peer's blocks bring the same height again."""
    network = Drivers()
    machine, proposal = proposed(network)
    block_hash = proposal.proposal.block_hash
    machine.holds = lambda effect: isinstance(effect, CommitBlock)
    machine.hear(0, vote(network, 0, Prepare, block_hash))
    for replica in (0, 1):
        machine.hear(replica, vote(network, replica, Commit, block_hash))
    assert len(machine.held) == 1
    certificate = machine.held[0].certificate  # type: ignore[union-attr]
    block = machine.held[0].block  # type: ignore[union-attr]
    machine.step(PeerChanged(0, True))
    for _ in range(2):
        machine.hear(0, Status(1, block.header_bytes, certificate, False))
    machine.hear(0, Blocks([CertifiedBlock(list(block.entries), certificate)]))
    machine.hear(2, vote(network, 2, Commit, block_hash))
    assert len(machine.held) == 1
    machine.holds = lambda _effect: False
    machine.perform(machine.held[0])
    machine.step(machine.caused.popleft())
    assert machine.height == 1
    network.tick(5, 3)
    commits = [item for item in machine.done if isinstance(item, CommitBlock)]
    assert [item.block.header.height for item in commits] == [1]


def test_a_block_that_is_fetched_and_then_decided_is_committed_once() -> None:
    """Trap 27: the other way round, the votes come while a fetched block is being written."""
    network = Drivers()
    machine, proposal = proposed(network)
    block_hash = proposal.proposal.block_hash
    network.loses = lambda _sender, receiver, _frame: receiver == 3
    network.tick(1, 0, 2)
    for replica in (0, 2):
        for frame in network.machines[1].sent(Transactions):
            network.machines[replica].hear(1, frame)
        network.machines[replica].hear(1, Consensus(encode_message(proposal)))
    network.settle()
    status = network.machines[0].driver._status()
    assert status.height == 1
    entries, certificate = network.machines[0].store.block(1)
    machine.holds = lambda effect: isinstance(effect, CommitBlock)
    machine.step(PeerChanged(0, True))
    for _ in range(2):
        machine.hear(0, status)
    machine.hear(0, Blocks([CertifiedBlock(list(entries), certificate)]))
    assert len(machine.held) == 1
    for replica in (0, 1, 2):
        machine.hear(replica, vote(network, replica, Commit, block_hash))
    assert len(machine.held) == 1


def test_a_report_of_a_commit_nobody_asked_for_is_our_own_mistake() -> None:
    network = Drivers().start()
    with pytest.raises(
        LookupError, match="height 1 was reported committed, and none was asked for"
    ):
        network.machines[0].step(Committed(1))


def test_a_cosignature_is_in_the_journal_before_it_is_sent() -> None:
    """Trap 50: check, save, send; in this order, in one step."""
    network = Drivers().start()
    network.grow(2)
    for machine in network.machines:
        saved = 0
        for effect in machine.done:
            if isinstance(effect, SaveJournal):
                saved = decode_journal_record(effect.record)[1]
            elif isinstance(effect, BroadcastFrame | SendFrame) and isinstance(
                effect.frame, Cosigned
            ):
                assert effect.frame.size <= saved
        assert saved == machine.driver.chain.header.log_size


def test_a_cosignature_that_was_lost_is_sent_again() -> None:
    """Trap 50: a failed delivery is repeated, at intervals and to whoever connects."""
    network = Drivers().start()
    network.loses = lambda _sender, _receiver, frame: isinstance(frame, Cosigned)
    network.grow(1)
    assert {m.driver.certification.certified_height for m in network.machines} == {0}
    network.loses = lambda _sender, _receiver, _frame: False
    network.tick(STATUS_INTERVAL_TICKS)
    heights = {m.driver.certification.certified_height for m in network.machines}
    assert heights == {network.machines[0].height}
    machine = network.machines[0]
    before = len(machine.sent(Cosigned))
    machine.step(PeerChanged(2, True))
    assert len(machine.sent(Cosigned)) == before + 1


def test_a_proposal_that_nobody_asked_for_is_not_even_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Drivers().start()
    machine = network.machines[0]

    def hash_nothing(tag: bytes, raw: bytes) -> bytes:
        raise AssertionError("an envelope was hashed")

    monkeypatch.setattr("node.driver.tagged_hash", hash_nothing)
    machine.hear(1, FetchedProposal(b"header", b"", [b"envelope"]))
    assert machine.driver.halted is None


def test_of_an_answer_what_a_proposal_lacks_is_named_to_be_dealt_with_first() -> None:
    network = Drivers()
    network.loses = lambda _sender, _receiver, frame: isinstance(
        frame, Transactions | FetchedTransactions
    )
    network.start()
    network.submit(1, wanted := network.transaction("r1"))
    network.tick(1, 1, 3)
    machine = network.machines[3]
    machine.holds = lambda effect: isinstance(effect, VerifyEnvelopes)
    [proposal] = [item for item in network.machines[1].voted() if isinstance(item, PrePrepare)]
    [asked] = machine.sent(FetchTransactions)
    hashes = proposal.proposal.envelope_hashes
    assert hashes == asked.envelope_hashes == tagged_hash(tags.ENVELOPE, wanted)
    answer = [network.transaction("unasked"), wanted]
    machine.hear(1, FetchedTransactions(answer))
    machine.hear(2, Transactions(answer))
    assert machine.held == [VerifyEnvelopes(answer, 1, hashes), VerifyEnvelopes(answer, 2)]


def test_a_cosignature_says_a_second_by_which_the_tree_existed() -> None:
    """Rounded up: one that is rounded down would speak of a tree from before it was there."""
    network = Drivers()
    network.now_ms += 1
    network.start()
    times = {
        int.from_bytes(item.signature[:8], "big") for item in network.machines[0].sent(Cosigned)
    }
    assert times == {network.now_ms // 1000 + 1}


def test_a_certified_checkpoint_is_not_cosigned_anew_after_a_restart() -> None:
    """Its lines say by when the tree existed: later ones, of those who are up, would say less."""
    network = Drivers().start()
    network.grow(2)
    network.tick(STATUS_INTERVAL_TICKS)  # the fourth cosignature comes after the note
    kept = [machine.store.checkpoint(machine.height) for machine in network.machines]
    said = [machine.driver.certification.own for machine in network.machines]
    network.now_ms += 60_000
    for machine in network.machines:
        machine.store.chain_store.flush_checkpoints()
        machine.done.clear()
        machine.start()
        assert machine.driver.certification.certified_height == machine.height
    for machine in network.machines:
        for peer in network.machines:
            machine.step(PeerChanged(peer.number, True))
    network.tick(STATUS_INTERVAL_TICKS)
    assert [machine.store.checkpoint(machine.height) for machine in network.machines] == kept
    assert [set(machine.sent(Cosigned)) for machine in network.machines] == [{own} for own in said]
    network.grow(1)
    assert {m.driver.certification.certified_height for m in network.machines} == {
        network.machines[0].height
    }


def cosigned_by_all() -> tuple[Machine, list[bytes]]:
    """A machine whose newest checkpoint all four have cosigned, and that note's lines."""
    network = Drivers().start()
    network.grow(1)
    network.tick(STATUS_INTERVAL_TICKS)
    machine = network.machines[0]
    note = machine.store.checkpoint(machine.height)
    assert note is not None
    return machine, note.split(b"\n")


def spoil(line: bytes) -> bytes:
    """Return a signature line with one bit of its signature turned."""
    name, _, value = line.rpartition(b" ")
    wrong = bytearray(base64.b64decode(value))
    wrong[-1] ^= 1
    return name + b" " + base64.b64encode(wrong)


@pytest.mark.parametrize("spoilt", ["line", "tree", "all"])
def test_what_is_wrong_in_a_kept_checkpoint_is_not_taken_up(spoilt: str) -> None:
    machine, lines = cosigned_by_all()
    count = len(lines)
    if spoilt == "tree":
        lines[2] = base64.b64encode(bytes(32))
    elif spoilt == "all":
        lines = [b"rot"]
    else:
        lines[-3] = spoil(lines[-3])
    certification = machine.driver.certification
    header = machine.driver.chain.header
    certification.open_height(machine.height, header.log_size, machine.driver.chain.log.root())
    certification.resume(machine.height, b"\n".join(lines))
    made = certification.make_note(machine.height)
    if spoilt != "line":
        assert made is None
    else:
        assert made is not None
        assert len(made.split(b"\n")) == count - 1


def test_a_kept_checkpoint_that_one_line_spoils_is_noted_anew_by_the_start() -> None:
    """Nobody can use it as it lies, and whose line it is may be away for long."""
    machine, [*others, last, _] = cosigned_by_all()
    spoilt = b"\n".join([*others, spoil(last), b""])
    machine.store.chain_store.put_checkpoint(machine.height, spoilt)
    machine.store.chain_store.flush_checkpoints()
    machine.start()
    assert machine.store.checkpoint(machine.height) == b"\n".join([*others, b""])
    assert machine.driver.certification.certified_height == machine.height


def test_a_smaller_tree_is_never_cosigned_after_a_larger_one() -> None:
    network = Drivers().start()
    network.grow(3)
    machine = network.machines[2]
    size = machine.driver.chain.header.log_size
    machine.segments.wipe()
    machine.index = type(machine.index)()
    machine.done.clear()
    machine.start()
    assert machine.height == 0
    assert machine.sent(Cosigned) == []
    assert decode_journal_record(machine.journal.load().record or b"")[1] == size


def test_another_root_of_the_same_size_is_told_and_not_counted() -> None:
    """Trap 34: a divergent checkpoint is named with both roots; the own one stays."""
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    root = machine.driver.chain.log.root()
    liar = network.machines[1].driver.certification
    size = machine.driver.chain.header.log_size
    liar.open_height(machine.height, size, bytes(32))
    machine.hear(1, liar.cosign(machine.height, network.now_ms // 1000))
    told = (
        f"validator bank-1 cosigned size {size} with root {'00' * 32}, where this node's log has "
        f"root {root.hex()}: one of the two has forked "
        f"验证节点 bank-1 联署的大小 {size} 的根哈希与本节点的日志不同：二者之一已分叉"
    )
    convicted = (
        f"validator bank-1 contradicted itself: checkpoint/{size} "
        f"验证节点 bank-1 自相矛盾，证据将上链：checkpoint/{size}"
    )
    assert machine.said("error")[-2:] == [
        told,
        convicted,
    ]
    note = machine.driver.certification.make_note(machine.height)
    assert note is not None
    assert note.split(b"\n")[2] == base64.b64encode(root)


def test_requests_of_one_peer_are_answered_so_often_per_tick() -> None:
    """Trap 35: a peer that asks without end costs a bounded number of answers."""
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    machine.done.clear()
    for _ in range(3 * ANSWERS_PER_TICK_MAX):
        machine.hear(2, FetchBlocks(1))
    assert len(machine.done) == ANSWERS_PER_TICK_MAX
    machine.hear(3, FetchBlocks(1))
    assert len(machine.done) == ANSWERS_PER_TICK_MAX + 1
    network.tick(1, 0)
    machine.done.clear()
    machine.hear(2, FetchBlocks(1))
    assert len(machine.done) == 1


def test_a_cosignature_that_anybody_could_have_made_up_is_no_error() -> None:
    """The log thins out warnings of one shape, and errors never: they would fill the disk."""
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    size, own = machine.driver.chain.header.log_size, machine.driver.chain.log.root()
    machine.done.clear()
    for root in (bytes(32), own):
        machine.driver.certification.open_height(machine.height, size, own)
        machine.hear(1, Cosigned(machine.height, size, root, bytes(72)))
    assert machine.said("error") == []
    assert len(machine.said("warning")) == 2


def chain_bytes(machine: Machine) -> int:
    """Bytes of all entries after genesis."""
    blocks = [machine.store.block(height)[0] for height in range(1, machine.height + 1)]
    return sum(len(entry) for entries in blocks for entry in entries)


def test_large_answers_count_as_several_and_what_is_asked_too_soon_waits_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks of eight mebibytes take longer to read than eight of them have time in a tick."""
    network = Drivers().start()
    network.grow(3)
    machine = network.machines[0]
    monkeypatch.setattr("node.serving.ANSWER_WEIGHT_BYTES", chain_bytes(machine) // 10)
    machine.done.clear()
    for _ in range(ANSWERS_PER_TICK_MAX):
        machine.hear(2, FetchBlocks(1))
    machine.hear(2, FetchBlocks(machine.height))
    assert [len(frame.blocks) for frame in machine.sent(Blocks)] == [machine.height]
    machine.done.clear()
    network.tick(1, 0)
    assert [len(frame.blocks) for frame in machine.sent(Blocks)] == [1], "the newest request"
    network.tick(1, 0)
    assert len(machine.sent(Blocks)) == 1, "answered once"


def test_what_a_peer_was_given_beyond_a_tick_it_pays_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    weight_bytes = chain_bytes(machine) // (3 * ANSWERS_PER_TICK_MAX)
    monkeypatch.setattr("node.serving.ANSWER_WEIGHT_BYTES", weight_bytes)
    machine.done.clear()
    answers = []
    for _ in range(7):
        machine.hear(2, FetchBlocks(1))
        answers.append(len(machine.sent(Blocks)))
        network.tick(1, 0)
    assert answers == [1, 1, 1, 2, 2, 2, 3]


def test_an_envelope_is_given_once_however_often_it_is_named() -> None:
    """A request of a mebibyte would else be answered with two gibibytes."""
    network = Drivers().start()
    machine = network.machines[0]
    raw = network.transaction("once")
    network.submit(0, raw)
    name = parse_relayed(raw, machine.driver.chain.chain_id).candidate.transaction.envelope_hash
    machine.hear(1, FetchTransactions(name * 1000))
    assert machine.sent(FetchedTransactions) == [FetchedTransactions([raw])]


def test_no_more_envelopes_are_given_than_fit_in_a_block() -> None:
    network = Drivers().start()
    chain_id = network.deployment.genesis.chain_id
    candidate = parse_relayed(network.transaction("one"), chain_id).candidate
    size = len(candidate.transaction.raw)
    names = b"".join(at.to_bytes(32, "big") for at in range(FETCHED_BYTES_MAX // size + 9))
    frames = list(find_envelopes(names, lambda _: candidate))
    assert sum(len(frame.envelopes) for frame in frames) == FETCHED_BYTES_MAX // size


@pytest.mark.parametrize(
    "frame",
    [
        Transactions([b""] * (PROPOSAL_TRANSACTIONS_MAX + 1)),
        FetchedTransactions([b""] * (PROPOSAL_TRANSACTIONS_MAX + 1)),
        FetchedProposal(b"", b"", [b""] * (PROPOSAL_TRANSACTIONS_MAX + 1)),
        FetchTransactions(bytes(32 * (PROPOSAL_TRANSACTIONS_MAX + 1))),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_frame_of_more_envelopes_than_a_block_has_is_refused_unread(frame: Frame) -> None:
    """One of 24 MiB has room for twelve million empty ones, and refusing each takes 2 kB."""
    network = Drivers().start()
    machine = network.machines[0]
    machine.hear(1, frame)
    assert machine.said("warning")[-1].startswith("replica 1 sent what is refused: malformed: ")


def test_requests_for_what_is_not_here_are_not_answered() -> None:
    network = Drivers().start()
    machine = network.machines[0]
    machine.done.clear()
    machine.hear(1, FetchBlocks(machine.height + 1))
    machine.hear(2, FetchProposal(NEXT, bytes(32)))
    machine.hear(3, FetchTransactions(bytes(64)))
    assert machine.sent(FetchedProposal) == []
    assert machine.sent(FetchedTransactions) == []
    assert [frame for frame in machine.done if isinstance(frame, SendFrame)] == []


def test_a_transaction_that_was_just_committed_is_not_taken_again() -> None:
    """Trap 38: the same bytes, again, from a client and from a peer."""
    network = Drivers().start()
    raw = network.transaction("once")
    network.submit(0, raw)
    network.tick(3)
    machine = network.machines[0]
    tx_id = parse_relayed(raw, machine.driver.chain.chain_id).candidate.transaction.tx_id
    assert machine.driver.is_recent(tx_id)
    assert machine.driver.is_known(tx_id)
    network.submit(0, raw)
    network.submit(0, raw, is_local=False)
    assert len(machine.driver.pool) == 0


def test_a_transaction_nobody_took_is_spread_again() -> None:
    """Trap 22: what only this node holds reaches the others in the end."""
    network = Drivers().start()
    network.loses = lambda _sender, _receiver, frame: isinstance(frame, Transactions)
    network.submit(3, network.transaction("r1"))
    network.tick(1)
    assert [len(machine.driver.pool) for machine in network.machines] == [0, 0, 0, 1]
    network.loses = lambda _sender, _receiver, _frame: True
    machine = network.machines[3]
    machine.done.clear()
    network.now_ms += SPREAD_AGAIN_MS
    network.tick(STATUS_INTERVAL_TICKS, 3)
    assert len(machine.sent(Transactions)) == 1


@pytest.mark.parametrize("stepped_back_ms", [0, 3_600_000])
def test_a_peer_that_connects_is_sent_what_it_has_missed(stepped_back_ms: int) -> None:
    """After all nodes have stopped, each takes up what it promised before any peer is there, and
    perhaps before its machine has been told the time."""
    network = Drivers().start()
    network.loses = lambda _sender, _receiver, _frame: True
    kept = [network.transaction(f"r{number}") for number in range(3)]
    for raw in kept:
        network.submit(3, raw)
    network.submit(3, network.transaction("relayed"), is_local=False)
    machine = network.machines[3]
    machine.done.clear()
    network.now_ms -= stepped_back_ms
    machine.step(PeerChanged(0, True))
    assert [
        (item.replica, item.frame.envelopes)
        for item in machine.done
        if isinstance(item, SendFrame) and isinstance(item.frame, Transactions)
    ] == [(0, kept)]


def test_what_a_peer_is_sent_as_it_connects_leaves_room_for_what_it_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Drivers().start()
    network.loses = lambda _sender, _receiver, _frame: True
    kept = [network.transaction(f"r{number}") for number in range(10)]
    for raw in kept:
        network.submit(3, raw)
    monkeypatch.setattr("node.serving.GOSSIP_BYTES_MAX", 2 * len(kept[0]))
    machine = network.machines[3]
    machine.done.clear()
    machine.step(PeerChanged(0, True))
    sent = [each.envelopes for each in machine.sent(Transactions)]
    assert sent == [kept[begin : begin + 2] for begin in (0, 2, 4, 6)]


def test_a_restarted_driver_serves_and_votes_for_its_pending_block() -> None:
    """Trap 9: the bytes of what it committed to are there after a power cut, and executed again."""
    network = Drivers()
    machine, proposal = proposed(network)
    block_hash = proposal.proposal.block_hash
    machine.hear(0, vote(network, 0, Prepare, block_hash))
    said = machine.voted()
    machine.done.clear()
    machine.start()
    machine.step(PeerChanged(0, True))
    assert machine.voted() == said
    machine.hear(0, FetchProposal(NEXT, block_hash))
    [served] = machine.sent(FetchedProposal)
    assert served.header == proposal.proposal.header
    assert len(served.envelopes) == decode_header(served.header).count == 1
    for replica in (0, 1):
        machine.hear(replica, vote(network, replica, Commit, block_hash))
    assert machine.height == 1


def test_what_cannot_be_executed_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One poisonous transaction stops neither primary nor chain, and is not taken again."""
    network = Drivers().start()
    kind = KINDS[("prepaid.prepay", 1)]

    def apply(context: Any, data: Any) -> Any:
        if context.stream == "contract/poison":
            raise ZeroDivisionError("our own mistake")
        return kind.apply(context, data)

    monkeypatch.setitem(KINDS, ("prepaid.prepay", 1), Kind(kind.data, apply, kind.summary))
    poison = network.transaction("poison", stream="contract/poison")
    network.submit(1, poison)
    network.grow(6)
    primary = network.machines[1]
    [line] = [text for text in primary.said("error") if text.startswith("set aside")]
    assert line.endswith(
        "could not be executed: ZeroDivisionError: our own mistake "
        "该交易执行时出错，已搁置，不再提议"
    )
    for machine in network.machines:
        assert len(machine.driver.pool) == 0
        assert len([text for text in machine.said("error") if "ZeroDivision" in text]) == 1
        assert not any(isinstance(item, ViewChange) for item in machine.voted())
    network.submit(1, poison)
    network.submit(1, poison, is_local=False)
    assert len(primary.driver.pool) == 0


def test_a_view_change_of_idle_nodes_does_not_wait_for_stale_transactions() -> None:
    """What no block may take is no work, or it would look like a silent primary."""
    network = Drivers().start()
    network.loses = lambda _sender, _receiver, _frame: True
    machine = network.machines[3]
    network.submit(3, network.transaction("r1"))
    assert len(machine.driver.pool) == 1
    network.now_ms += 2 * 3_600_000
    network.tick(20, 3)
    view = machine.driver.replica.view
    network.tick(2 * TIMING.view_timeout_ticks, 3)
    assert machine.driver.replica.view == view


def test_a_halted_driver_does_nothing_more() -> None:
    network = Drivers().start()
    machine = network.machines[0]
    machine.driver._halt("for a test")
    machine.done.clear()
    network.tick(50, 0)
    machine.hear(1, FetchBlocks(0))
    assert machine.done == []


def test_a_status_is_believed_with_its_proof_only() -> None:
    """Trap 29: a height counts by its commit certificate."""
    network = Drivers().start()
    network.grow(3)
    status = network.machines[1].driver._status()
    fresh = Drivers()
    fresh.machines[0].start()
    machine = fresh.machines[0]
    machine.step(PeerChanged(1, True))
    first = network.machines[1].store.block(1)[1]
    true = decode_commit_certificate(status.certificate)
    thin = msgspec.structs.replace(true, commits=true.commits[:2])
    unsigned = msgspec.structs.replace(true.commits[0], signature=bytes(64))
    forged = msgspec.structs.replace(true, commits=(unsigned, *true.commits[1:]))
    for lie in (
        msgspec.structs.replace(status, height=status.height + 5),
        msgspec.structs.replace(status, certificate=b""),
        msgspec.structs.replace(status, certificate=first),
        msgspec.structs.replace(status, certificate=encode_commit_certificate(thin)),
        msgspec.structs.replace(status, certificate=encode_commit_certificate(forged)),
    ):
        machine.hear(1, lie)
        assert machine.said("warning")[-1].startswith("replica 1 sent what is refused: ")
    assert machine.sent(FetchBlocks) == []
    machine.hear(1, status)
    assert machine.sent(FetchBlocks) == [FetchBlocks(1)]


def test_one_block_behind_is_late_when_nothing_has_moved() -> None:
    """A block that was being voted on here was fetched and executed a second time."""
    network = Drivers().start(1, 2, 3)
    network.grow(2)
    store = network.machines[1].store
    one, two = (
        Status(height, encode_header(store.header(height)), store.certificate(height) or b"", False)
        for height in (1, 2)
    )
    machine = network.machines[0]
    machine.start()
    machine.step(PeerChanged(1, True))
    machine.hear(1, one)
    machine.hear(2, one)
    assert machine.sent(FetchBlocks) == []
    machine.hear(1, one)
    assert machine.sent(FetchBlocks) == [FetchBlocks(1)]
    network.settle()
    other = Drivers().start(0).machines[0]
    other.step(PeerChanged(1, True))
    other.hear(1, two)
    assert other.sent(FetchBlocks) == [FetchBlocks(1)]


def start_behind(heights: int) -> tuple[Drivers, Machine, Status]:
    """Start a machine while the others are so many heights on; return their status as well."""
    network = Drivers().start(1, 2, 3)
    network.grow(heights)
    machine = network.machines[0]
    machine.start()
    return network, machine, network.machines[1].driver._status()


def test_far_behind_relayed_transactions_are_let_go() -> None:
    """Their signatures cost more than the blocks that hold them."""
    network, machine, status = start_behind(2)
    machine.step(PeerChanged(1, True))
    machine.hear(1, Transactions([network.transaction("r-taken")]))
    assert len(machine.driver.pool) == 1
    machine.hear(1, status)
    assert machine.driver.is_far_behind
    machine.hear(1, Transactions([network.transaction("r-let-go")]))
    assert len(machine.driver.pool) == 1
    network.settle()
    assert machine.height == status.height
    machine.hear(1, Transactions([network.transaction("r-taken-again")]))
    assert len(machine.driver.pool) == 2


def test_after_a_start_the_tip_is_known_once_a_quorum_has_told_its_height() -> None:
    """A node that had been down promised blocks that the others had decided long ago."""
    _, machine, status = start_behind(3)
    assert machine.driver.tip_height is None
    machine.hear(1, msgspec.structs.replace(status, certificate=b""))
    machine.hear(1, status)
    machine.hear(1, status)
    assert machine.driver.tip_height is None, "one member, and itself"
    machine.hear(2, msgspec.structs.replace(status, height=0, certificate=b""))
    assert (machine.height, machine.driver.tip_height) == (0, status.height)


def test_after_a_pause_what_was_said_before_it_tells_nothing_of_the_tip() -> None:
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    before = machine.driver._status()
    network.now_ms += PAUSE_MS - TICK_MS
    network.tick(1, 0)
    assert machine.driver.tip_height == machine.height, "a machine is slow at times"
    network.now_ms += PAUSE_MS
    network.tick(1, 0)
    machine.hear(1, before)
    machine.hear(2, before)
    assert machine.driver.tip_height is None
    network.tick(SETTLE_MS // TICK_MS, 0)
    machine.hear(1, before)
    machine.hear(2, before)
    assert machine.driver.tip_height == machine.height
    network.now_ms -= 3_600_000
    network.tick(1, 0)
    assert machine.driver.tip_height == machine.height, "a clock that is put back changes nothing"


def test_a_node_that_is_cut_off_soon_does_not_know_the_tip() -> None:
    """It promised on and on from where it stood, and the others went past what it promised. What a
    member cosigns tells where it is as well, unless that is farther than anybody has proven."""
    network = Drivers().start()
    network.grow(1)
    machine, other = network.machines[0], network.machines[1]
    status, cosigned = other.driver._status(), other.driver.certification.own
    assert cosigned is not None
    ahead = msgspec.structs.replace(cosigned, height=machine.height + 2)
    for frames, is_known in (
        ((status, status), True),
        ((status, cosigned), True),
        ((cosigned, cosigned), True),
        ((status, ahead), False),
        ((), False),
    ):
        for _ in range(2):  # who was silent has to tell for a while
            machine.hear(1, status)
            machine.hear(2, status)
            network.tick(SETTLE_MS // TICK_MS, 0)
        network.tick((WORD_MS - SETTLE_MS) // TICK_MS, 0)
        for replica, frame in enumerate(frames, 1):
            machine.hear(replica, frame)
        network.tick(WORD_MS // TICK_MS, 0)
        assert machine.driver.tip_height == (machine.height if is_known else None), frames
        network.tick(1, 0)
        assert machine.driver.tip_height is None, "its word is good for a while"


def test_the_tip_is_known_while_bulk_fills_every_queue() -> None:
    """Statuses went as bulk, which is refused where the queue is full: without a block for five
    seconds no node knew any more how far the chain is, and the door was shut."""
    network = Drivers().start()
    network.grow(1)
    height = network.machines[0].height
    for machine in network.machines:
        machine.holds = lambda effect: (
            isinstance(effect, SendFrame | BroadcastFrame) and effect.is_bulk
        )
    for machine in network.machines:  # and nobody says to the replica that time passes
        machine.driver.replica.step = lambda _: ()  # type: ignore[method-assign]
    network.tick(2 * WORD_MS // TICK_MS)
    for machine in network.machines:
        assert machine.driver.tip_height == machine.height == height


def test_a_word_grows_old_where_steps_take_long_and_ticks_are_few() -> None:
    """A node that catches up, or whose disk is slow, makes one tick between two batches: in ticks
    what it had been told a minute ago was fresh, and it promised from there."""
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    assert machine.driver.tip_height == machine.height
    for _ in range(WORD_MS // 1_000 + 1):
        network.now_ms += 1_000
        machine.step(PeerChanged(3, True))
    assert machine.driver.tip_height is None


def test_what_lay_on_the_way_through_a_cut_tells_nothing_of_the_tip() -> None:
    """A cut of 20 s closes no connection: what a member sent as it began is read first after it,
    and it is no word of now. The member is believed once it has told for a while again."""
    network = Drivers().start()
    network.grow(1)
    machine = network.machines[0]
    before = machine.driver._status()
    network.tick(2 * WORD_MS // TICK_MS, 0)
    assert machine.driver.tip_height is None
    machine.hear(1, before)
    machine.hear(2, before)
    assert machine.driver.tip_height is None
    network.tick(SETTLE_MS // TICK_MS, 0)
    machine.hear(1, before)
    machine.hear(2, before)
    assert machine.driver.tip_height == machine.height


def test_a_cosignature_kept_for_who_was_away_is_no_word_of_now() -> None:
    """To who comes back a member sends the last votes and cosignatures it kept for it, the oldest
    first, and how far it is behind them."""
    network = Drivers().start(1, 2, 3)
    network.grow(1)
    machine = network.machines[0]
    kept = [network.machines[number].driver.certification.own for number in (1, 2)]
    network.grow(8)
    machine.start()
    for number, cosigned in zip((1, 2), kept, strict=True):
        assert cosigned is not None
        assert cosigned.height == machine.height + 1
        machine.step(PeerChanged(number, True))
        machine.hear(number, cosigned)
    assert machine.driver.tip_height is None
    for number in (1, 2):
        machine.hear(number, network.machines[number].driver._status())
    assert machine.driver.tip_height == machine.height + 9


def test_no_view_change_is_sent_while_all_is_well() -> None:
    network = Drivers().start()
    network.grow(4)
    for machine in network.machines:
        assert not any(isinstance(item, ViewChange) for item in machine.voted())
        assert isinstance(machine.sent(Status)[0], Status)


def test_started_comes_first() -> None:
    network = Drivers()
    machine = network.machines[0]
    machine.start()
    with pytest.raises(RuntimeError, match="restored once"):
        machine.step(Started(None, None))


def test_blocks_are_freed_without_the_collector() -> None:
    """A node runs with it off: what a block is made of must not hold itself."""
    network = Drivers().start()
    gc.collect()
    gc.disable()
    try:
        for height in range(1, 4):
            network.submit(0, network.transaction(f"R-{height}"))
            network.tick(3)
            assert [type(item) for item in gc.get_objects() if isinstance(item, Executor)] == []
    finally:
        gc.enable()
