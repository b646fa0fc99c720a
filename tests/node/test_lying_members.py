"""What one lying member, or a turn of bad luck, once cost honest drivers."""

from __future__ import annotations

import msgspec
import pytest

from consensus.messages import (
    Message,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ViewChange,
    encode_message,
)
from consensus.normal_case import REFUSED_BODIES_PER_VIEW_MAX
from contracts.execution import Candidate
from ledger.hashing import sha256
from ledger.refusal import Rejected
from ledger.votes import (
    PRE_PREPARE,
    PREPARE,
    PreparedCertificate,
    SignedBy,
    claim_of,
    compute_view_change_message,
    compute_vote_message,
)
from node.driver import STATUS_INTERVAL_TICKS
from node.effects import PeerChanged, Ticked
from node.intake import parse_relayed
from node.messages import (
    Consensus,
    FetchedTransactions,
    FetchTransactions,
    Status,
    Transactions,
)
from node.pool_admission import INTAKE_MARGIN_MS
from node.proposals import KEPT_MAX
from sim.deployment import TIMING
from storage.journal import Journal
from tests.node.driving import Drivers

LIAR = 1
"""The primary of height 1 in view 0."""

HONEST = (0, 2, 3)


def wire(message: Message) -> Consensus:
    return Consensus(encode_message(message))


def read(network: Drivers, raw: bytes) -> Candidate:
    return parse_relayed(raw, network.deployment.genesis.chain_id).candidate


def sign_vote(network: Drivers, replica: int, phase: int, block_hash: bytes) -> bytes:
    """Sign a vote of height 1 in view 0."""
    chain_id = network.deployment.genesis.chain_id
    message = compute_vote_message(phase, chain_id, 1, 0, block_hash)
    return network.deployment.signers[replica].vote.sign(message)


def sign_view_change(
    network: Drivers, replica: int, view: int, prepared: PreparedCertificate | None = None
) -> ViewChange:
    """Sign a view-change of height 1."""
    chain_id = network.deployment.genesis.chain_id
    message = compute_view_change_message(chain_id, 1, view, claim_of(prepared))
    signature = network.deployment.signers[replica].vote.sign(message)
    return ViewChange(1, view, prepared, replica, signature)


def make_prepared(network: Drivers, block_hash: bytes) -> PreparedCertificate:
    """Return the proof that 0, 1 and 3 prepared a block of height 1 in view 0."""
    return PreparedCertificate(
        0,
        block_hash,
        sign_vote(network, LIAR, PRE_PREPARE, block_hash),
        tuple(SignedBy(each, sign_vote(network, each, PREPARE, block_hash)) for each in (0, 3)),
    )


def propose(network: Drivers, *, is_spread: bool = True) -> PrePrepare:
    """Have the primary of height 1 propose, to nobody; the honest have the envelope if spread."""
    network.start()
    network.tick()
    network.loses = lambda sender, receiver, _frame: LIAR in {sender, receiver}
    network.submit(LIAR, network.transaction("r1"))
    network.tick(1, LIAR)
    primary = network.machines[LIAR]
    for number in HONEST if is_spread else ():
        for frame in primary.sent(Transactions):
            network.machines[number].hear(LIAR, frame)
    [message] = [item for item in primary.voted() if isinstance(item, PrePrepare)]
    return message


def test_envelopes_that_nobody_has_cost_one_view() -> None:
    """The hashes of envelopes are not in the block hash. One replica was given the block of the
    others with a hash that nobody can fill, and then the liar fell silent: the two that had
    prepared needed the third in every later view, and it went on waiting for that envelope. 24 s
    at each turn of the liar, instead of one timeout."""
    network = Drivers()
    message = propose(network)
    true = message.proposal
    false = Proposal(true.header, sha256(b"nobody has it"), true.leaf_hashes)
    for number, proposal in ((0, true), (2, true), (3, false)):
        told = msgspec.structs.replace(message, proposal=proposal)
        network.machines[number].hear(LIAR, wire(told))
    network.settle()
    network.tick(TIMING.view_timeout_ticks + 1, *HONEST)
    assert [network.machines[number].height for number in HONEST] == [1, 1, 1]
    assert network.machines[3].driver.chain.header.proposer == LIAR, "it is that very block"


def test_a_body_that_was_executed_does_not_give_way_to_another() -> None:
    """The liar tells its block again with other envelopes: who has executed it keeps it."""
    network = Drivers()
    message = propose(network)
    machine = network.machines[3]
    machine.hear(LIAR, wire(message))
    kept = machine.driver.bench.desk.find_prepared(message.proposal.block_hash)
    assert kept is not None
    view_changes = [sign_view_change(network, replica, 1) for replica in (0, LIAR, 2)]
    prepared = make_prepared(network, message.proposal.block_hash)
    view_changes[0] = sign_view_change(network, 0, 1, prepared)
    chain_id = network.deployment.genesis.chain_id
    block_hash = message.proposal.block_hash
    vote = compute_vote_message(PRE_PREPARE, chain_id, 1, 1, block_hash)
    true = message.proposal
    new_view = NewView(
        1,
        1,
        tuple(each.claim for each in view_changes),
        prepared,
        Proposal(true.header, sha256(b"nobody has it"), true.leaf_hashes),
        network.deployment.signers[2].vote.sign(vote),
    )
    machine.hear(2, wire(new_view))
    assert not machine.driver.bench.desk.is_waiting
    said = [item for item in machine.voted() if isinstance(item, Prepare)]
    assert [(vote.view, vote.block_hash) for vote in said] == [(0, block_hash), (1, block_hash)]


def test_who_passes_on_changed_bodies_keeps_nobody_from_the_primarys() -> None:
    """No signature covers the hashes beside the header. A member nearer than the primary changed
    them, again and again: what it had brought was refused, and then the primary's own."""
    network = Drivers()
    message = propose(network)
    true = message.proposal
    machine = network.machines[3]
    for number in range(REFUSED_BODIES_PER_VIEW_MAX + 1):
        changed = Proposal(true.header, true.envelope_hashes, bytes([number]) * 32)
        machine.hear(2, wire(msgspec.structs.replace(message, proposal=changed)))
    assert len([text for text in machine.said() if "bad_body" in text]) == 3
    assert not any(isinstance(item, Prepare) for item in machine.voted())
    machine.hear(LIAR, wire(message))
    [vote] = [item for item in machine.voted() if isinstance(item, Prepare)]
    assert vote.block_hash == true.block_hash


def test_a_primary_executes_again_what_it_executed_in_a_view_long_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A primary whose clock was behind built block after block that it could not propose; these
    pushed out what it had executed before, and when it was to propose that one it stopped. It rests
    between them now, so that as many are the work of many turns; here they are that of one."""
    monkeypatch.setattr("consensus.normal_case.BUILDS_PER_TURN_MAX", TIMING.view_timeout_ticks)
    network = Drivers()
    message = propose(network)
    machine = network.machines[2]
    block_hash = message.proposal.block_hash
    machine.hear(LIAR, wire(message))
    network.now_ms -= 10 * TIMING.clock_skew_ms_max
    machine.step(Ticked())
    for replica in (LIAR, 3):
        machine.hear(replica, wire(sign_view_change(network, replica, 1)))
    for number in range(KEPT_MAX + 1):
        network.submit(2, network.transaction(f"later-{number}"))
        machine.step(Ticked())
    assert machine.driver.bench.desk.find_prepared(block_hash) is None
    prepared = make_prepared(network, block_hash)
    machine.hear(0, wire(sign_view_change(network, 0, 5, prepared)))
    machine.hear(3, wire(sign_view_change(network, 3, 5)))
    [new_view] = [item for item in machine.voted() if isinstance(item, NewView)]
    assert (new_view.view, new_view.proposal.block_hash) == (5, block_hash)


def test_two_that_recover_do_not_answer_one_another_for_ever() -> None:
    """Each answer asked for one, so the two were busy with nothing else until a quorum was there,
    and every two seconds with one frame more."""
    network = Drivers().start()
    network.grow(1)
    del network.machines[2].driver, network.machines[3].driver
    for number in (0, 1):
        machine = network.machines[number]
        machine.votes.wipe()
        Journal.create(machine.votes)
        machine.done.clear()
        machine.start(is_recovering=True)
    for number in (0, 1):
        network.machines[number].step(PeerChanged(1 - number, True))
    network.settle()
    network.tick(STATUS_INTERVAL_TICKS)
    asked = [frame.wants_answer for frame in network.machines[0].sent(Status)]
    assert asked.count(True) == 2, "when it was connected, and by the clock"
    assert asked.count(False) == 2, "and it has answered what it was asked"


def test_what_is_on_the_chain_already_makes_no_work_again() -> None:
    """A member relays a decided transaction to nodes that have restarted since, and so no longer
    know by heart what was decided lately: they waited for its block, at every height, one view
    timeout and one empty block after another."""
    network = Drivers().start()
    network.tick()
    raw = network.transaction("r1")
    network.submit(0, raw)
    network.tick(3)
    for number in HONEST:
        network.machines[number].start()
        network.machines[number].hear(LIAR, Transactions([raw]))
    assert [len(network.machines[number].driver.pool) for number in HONEST] == [0, 0, 0]
    network.tick(TIMING.view_timeout_ticks + 1)
    assert [machine.height for machine in network.machines] == [1, 1, 1, 1]


def test_a_primary_ahead_of_the_clocks_breaks_nobodys_promise() -> None:
    """Its block may lie so far ahead of the clocks, and the chain's time with it: what ended in
    between was too late for every block, and an honest node had signed that it would be in one."""
    network = Drivers().start()
    network.tick()
    machine = network.machines[0]
    machine.step(Ticked())
    skew_ms = TIMING.clock_skew_ms_max
    late = network.transaction("r1", left_ms=INTAKE_MARGIN_MS + skew_ms - 1)
    with pytest.raises(Rejected, match=r"^stale: not_after is 19999 ms from now; .* 20000 ms "):
        machine.driver.check_admission(read(network, late))
    promised = network.transaction("r2", left_ms=INTAKE_MARGIN_MS + skew_ms)
    machine.driver.check_admission(read(network, promised))
    network.loses = lambda _sender, receiver, _frame: receiver == LIAR
    network.submit(0, promised)
    network.settle()
    network.submit(LIAR, network.transaction("r3"))
    now_ms = network.now_ms
    network.now_ms += skew_ms
    network.machines[LIAR].step(Ticked())
    network.now_ms = now_ms
    network.settle()
    assert machine.driver.chain.header.time_ms == now_ms + skew_ms
    network.tick(1, *HONEST)
    assert machine.store.transaction_height(read(network, promised).transaction.tx_id) == 2


def test_a_promise_is_measured_by_the_chains_time_too() -> None:
    """A clock that is behind shows more time than there is."""
    network = Drivers().start()
    network.tick()
    network.submit(1, network.transaction("r1"))
    network.tick()
    machine = network.machines[0]
    behind_ms = TIMING.clock_skew_ms_max
    raw = network.transaction("r2", left_ms=INTAKE_MARGIN_MS + TIMING.clock_skew_ms_max - 1)
    network.now_ms -= behind_ms
    machine.step(Ticked())
    with pytest.raises(Rejected, match=r"^stale: "):
        machine.driver.check_admission(read(network, raw))


def test_a_waiting_proposal_of_the_primarys_gives_way_to_nobody_elses() -> None:
    """While its envelopes were on their way a member passed it on with hashes that nobody has:
    each took its place, the true one with it, and each was asked of the primary."""
    network = Drivers()
    message = propose(network, is_spread=False)
    true = message.proposal
    machine = network.machines[3]
    machine.hear(LIAR, wire(message))
    for number in range(9):
        false = Proposal(true.header, sha256(b"nobody has %d" % number), true.leaf_hashes)
        machine.hear(2, wire(msgspec.structs.replace(message, proposal=false)))
    assert len(machine.sent(FetchTransactions)) == 1
    for frame in network.machines[LIAR].sent(Transactions):
        machine.hear(LIAR, FetchedTransactions(frame.envelopes))
    assert [item.block_hash for item in machine.voted() if isinstance(item, Prepare)] == [
        true.block_hash
    ]


def test_a_primary_that_was_given_false_envelopes_asks_who_prepared_the_block() -> None:
    """It is the next one, and what is prepared has to be proposed again: it held a body of it that
    nobody can fill, waited for that, and its turn was lost as well."""
    network = Drivers()
    message = propose(network)
    true = message.proposal
    false = Proposal(true.header, sha256(b"nobody has it"), true.leaf_hashes)
    for number, proposal in ((0, true), (3, true), (2, false)):
        told = msgspec.structs.replace(message, proposal=proposal)
        network.machines[number].hear(LIAR, wire(told))
    network.settle()
    network.tick(TIMING.view_timeout_ticks + 2, *HONEST)
    assert [network.machines[number].height for number in HONEST] == [1, 1, 1]
    assert network.machines[2].driver.chain.header.proposer == LIAR, "it is that very block"
