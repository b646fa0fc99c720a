"""Building blocks as primary, and every way in which another's block can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from consensus.events import Verdict
from consensus.messages import Proposal
from contracts.execution import Candidate, Executor
from contracts.kinds import KINDS, Kind
from ledger.block import Header, decode_header, encode_header
from ledger.merkle import leaf_hash
from ledger.refusal import Reason
from node.blocks import Built, Checked, Limits, build_block, check_block, proposal_of, split_hashes
from tests.contracts.world import CARD, World, open_world, read

LIMITS = Limits(transactions_max=10, bytes_max=131_072, rule_pack_version=1)


def prepay(world: World, amount: int = 1, **changes: Any) -> Candidate:
    return read(world.submit("prepaid.prepay", CARD, {"amount": amount}, "m-1", **changes))


def build(
    world: World, waiting: Sequence[Candidate], limits: Limits = LIMITS, **changes: Any
) -> Built:
    arguments: dict[str, Any] = {"replica": 2, "now_ms": world.next_ms, "batch_divisor": 1}
    return build_block(world.chain, waiting, limits, **arguments | changes)


def check(
    world: World,
    proposal: Proposal,
    candidates: Sequence[Candidate],
    limits: Limits = LIMITS,
) -> Checked:
    return check_block(world.chain, proposal, candidates, limits)


def proposed(world: World, *amounts: int) -> tuple[Proposal, list[Candidate]]:
    built = build(world, [prepay(world, amount) for amount in amounts])
    return proposal_of(built.block, built.candidates), built.candidates


def alter(proposal: Proposal, **fields: Any) -> Proposal:
    """The proposal with another header."""
    header = msgspec.structs.replace(decode_header(proposal.header), **fields)
    return Proposal(encode_header(header), proposal.envelope_hashes, proposal.leaf_hashes)


# Building


def test_what_one_replica_builds_every_other_finds_right() -> None:
    world = open_world()
    waiting = [prepay(world, 5), prepay(world, 0), prepay(world, 7, version=9)]
    built = build(world, waiting)
    assert (built.candidates, built.dropped, built.poisoned) == (waiting, [], [])
    header = built.block.header
    assert (header.proposer, header.count, header.time_ms) == (2, 3, world.next_ms)
    proposal = proposal_of(built.block, built.candidates)
    assert split_hashes(proposal.leaf_hashes) == [
        leaf_hash(entry) for entry in built.block.entries[:-1]
    ]
    assert split_hashes(proposal.envelope_hashes) == [
        candidate.transaction.envelope_hash for candidate in waiting
    ]
    checked = check(world, proposal, waiting)
    assert (checked.verdict, checked.detail) == (Verdict.OK, "")
    assert checked.block is not None
    assert checked.block.header_bytes == built.block.header_bytes
    assert checked.block.entries == built.block.entries


def test_an_empty_block_is_a_block() -> None:
    world = open_world()
    proposal, candidates = proposed(world)
    assert check(world, proposal, candidates).verdict is Verdict.OK


def test_a_clock_behind_the_parents_time_still_moves_on() -> None:
    world = open_world()
    built = build(world, [], now_ms=5)
    assert built.block.header.time_ms == world.chain.header.time_ms + 1


def test_what_may_not_enter_is_left_out_and_said() -> None:
    world = open_world()
    good, double, stale = prepay(world), prepay(world), prepay(world, not_after=1)
    early = prepay(world, not_after=world.next_ms + 700_000)
    committed = read(envelope := world.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1"))
    world.run(envelope)
    stranger = world.candidate("prepaid.prepay", CARD, {"amount": 1}, "m-9")
    waiting = [stale, good, early, double, double, committed, stranger]
    built = build(world, waiting, now_ms=world.next_ms - 1_000)
    assert built.candidates == [good, double]
    assert [(tx_id, rejected.reason) for tx_id, rejected in built.dropped] == [
        (stale.transaction.tx_id, Reason.STALE),
        (double.transaction.tx_id, Reason.DUPLICATE),
        (committed.transaction.tx_id, Reason.DUPLICATE),
        (stranger.transaction.tx_id, Reason.UNKNOWN_PARTY),
    ]  # and the one that is too far ahead goes on waiting


def test_a_block_has_its_limits_and_each_failed_view_halves_them() -> None:
    world = open_world()
    waiting = [prepay(world) for _ in range(25)]
    assert build(world, waiting).candidates == waiting[:10]
    for divisor, count in ((2, 5), (4, 2), (8, 1), (16, 0), (1_024, 0)):
        assert build(world, waiting, batch_divisor=divisor).candidates == waiting[:count]
    size = len(waiting[0].transaction.raw)
    limits = Limits(transactions_max=10, bytes_max=3 * size + 9, rule_pack_version=1)
    built = build(world, waiting[:9], limits)
    assert built.candidates == waiting[:3]
    assert check(world, proposal_of(built.block, built.candidates), built.candidates, limits).block


def poison(monkeypatch: pytest.MonkeyPatch, amount: int = 13) -> None:
    kind = KINDS[("prepaid.prepay", 1)]

    def apply(context: Any, data: Any) -> Any:
        outcome = kind.apply(context, data)
        if data.amount == amount:
            raise RuntimeError("our own mistake")
        return outcome

    monkeypatch.setitem(KINDS, ("prepaid.prepay", 1), Kind(kind.data, apply, kind.summary))


def test_what_cannot_be_executed_is_skipped_and_named_by_whoever_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = open_world()
    poison(monkeypatch)
    first, bad, after = (
        prepay(world, 1),
        prepay(world, 13, reference="R"),
        prepay(world, 2, reference="R"),
    )
    built = build(world, [first, bad, after])
    assert built.candidates == [first, after]
    assert [(failure.position, failure.tx_id) for failure in built.poisoned] == [
        (1, bad.transaction.tx_id)
    ]
    # The reference it would have taken is free: nothing of it was kept.
    assert [outcome.code for outcome in built.block.outcomes] == ["", ""]
    proposal = proposal_of(built.block, built.candidates)
    assert check(world, proposal, built.candidates).verdict is Verdict.OK


def test_whoever_cannot_execute_says_so_and_names_the_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1, 13, 2)
    poison(monkeypatch)
    candidates = [read(candidate.transaction.raw) for candidate in candidates]
    checked = check(world, proposal, candidates)
    assert (checked.verdict, checked.block) == (Verdict.CANNOT_EXECUTE, None)
    assert checked.detail == (
        f"transaction 1 ({candidates[1].transaction.tx_id.hex()}) could not be executed: "
        "RuntimeError: our own mistake"
    )


# Lies in the body


def test_leaf_hashes_that_do_not_give_the_log_root_are_a_bad_body() -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1, 2, 3)
    leaves = split_hashes(proposal.leaf_hashes)
    for wrong in ([leaves[1], leaves[0], leaves[2]], [leaves[0], leaves[1], bytes(32)]):
        body = Proposal(proposal.header, proposal.envelope_hashes, b"".join(wrong))
        checked = check(world, body, candidates)
        assert (checked.verdict, checked.block) == (Verdict.BAD_BODY, None)
        root = decode_header(proposal.header).log_root.hex()
        assert checked.detail == f"the 3 leaf hashes do not give log root {root}"


def test_a_body_of_another_length_is_inadmissible() -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1, 2)
    short, long = proposal.leaf_hashes[:-1], proposal.leaf_hashes + bytes(32)
    for body, given in (
        (Proposal(proposal.header, proposal.envelope_hashes, short), candidates),
        (Proposal(proposal.header, proposal.envelope_hashes, long), candidates),
        (Proposal(proposal.header, b"", proposal.leaf_hashes), candidates),
        (proposal, candidates[:1]),
        (proposal, [*candidates, candidates[0]]),
    ):
        checked = check(world, body, given)
        assert (checked.verdict, checked.block) == (Verdict.INADMISSIBLE, None)
        assert checked.detail.startswith("header 3 counts 2 transactions; the proposal has ")


def relog(world: World, proposal: Proposal, leaves: list[bytes], **fields: Any) -> Proposal:
    """The proposal with other leaf hashes and the log root they give."""
    root = world.chain.log.extend(leaves).root()
    header = msgspec.structs.replace(
        decode_header(proposal.header), log_root=root, count=len(leaves), **fields
    )
    return Proposal(encode_header(header), proposal.envelope_hashes, b"".join(leaves))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_entries_that_differ_name_the_first_transaction(position: int) -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1, 2, 3)
    leaves = split_hashes(proposal.leaf_hashes)
    lied = [*leaves[:position], *[bytes([9]) * 32] * (3 - position)]
    checked = check(world, relog(world, proposal, lied), candidates)
    assert (checked.verdict, checked.block) == (Verdict.ENTRIES_DIFFER, None)
    assert checked.detail == (
        f"transaction {position} ({candidates[position].transaction.tx_id.hex()}) is the first "
        f"that differs: here it is applied with leaf hash {leaves[position].hex()}, the proposal "
        f"has {'09' * 32}"
    )


def test_another_outcome_is_another_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary whose rules give something else is found out by the entry it proposes."""
    world = open_world()
    with monkeypatch.context() as patch:
        kind = KINDS[("prepaid.prepay", 1)]

        def generous(context: Any, data: Any) -> Any:
            outcome = kind.apply(context, data)
            context.record = msgspec.structs.replace(context.record, locked=10**6)
            return outcome

        patch.setitem(KINDS, ("prepaid.prepay", 1), Kind(kind.data, generous, kind.summary))
        proposal, candidates = proposed(world, 1)
    honest = [read(candidate.transaction.raw) for candidate in candidates]
    checked = check(world, proposal, honest)
    # It wrote an honest entry and another balance: only the state tells.
    assert checked.verdict is Verdict.STATE_DIFFERS
    assert checked.detail.startswith("all 1 entries agree; the state root here is ")


# Lies in the header


@pytest.mark.parametrize(
    ("fields", "verdict", "sentence"),
    [
        pytest.param(
            {"state_root": bytes(32)}, Verdict.STATE_DIFFERS, "all 2 entries agree", id="state"
        ),
        pytest.param({"log_root": bytes(32)}, Verdict.BAD_BODY, "the 2 leaf hashes", id="log"),
        pytest.param(
            {"validators_hash": bytes(32)},
            Verdict.INADMISSIBLE,
            "the header's fields differ",
            id="validators",
        ),
        pytest.param(
            {"rule_pack_version": 2},
            Verdict.INADMISSIBLE,
            "the header's fields differ",
            id="rule-pack",
        ),
        pytest.param(
            {"proposer": 4}, Verdict.INADMISSIBLE, "proposer 4 is no replica number", id="proposer"
        ),
        pytest.param(
            {"chain_id": bytes(32)}, Verdict.INADMISSIBLE, "header 3: chain 00", id="chain"
        ),
        pytest.param(
            {"parent_hash": bytes(32)}, Verdict.INADMISSIBLE, "header 3: parent 00", id="parent"
        ),
        pytest.param(
            {"height": 4}, Verdict.INADMISSIBLE, "header of height 4 cannot follow", id="height"
        ),
        pytest.param(
            {"first_index": 0}, Verdict.INADMISSIBLE, "header 3: first index 0", id="first-index"
        ),
        pytest.param({"count": 1}, Verdict.INADMISSIBLE, "header 3 counts 1", id="count"),
        pytest.param(
            {"time_ms": 1}, Verdict.INADMISSIBLE, "header 3: time 1 is not after", id="time"
        ),
    ],
)
def test_every_lie_in_a_header_is_found(
    fields: dict[str, Any], verdict: Verdict, sentence: str
) -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1, 2)
    checked = check(world, alter(proposal, **fields), candidates)
    assert (checked.verdict, checked.block) == (verdict, None)
    assert checked.detail.startswith(sentence)


def test_every_field_of_a_header_has_its_lie_above() -> None:
    (parametrize,) = test_every_lie_in_a_header_is_found.pytestmark  # type: ignore[attr-defined]
    lied = {name for case in parametrize.args[1] for name in case.values[0]}
    assert lied | {"version"} == set(Header.__struct_fields__)


def test_the_parents_own_time_is_not_after_it() -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1)
    same = alter(proposal, time_ms=world.chain.header.time_ms)
    assert check(world, same, candidates).verdict is Verdict.INADMISSIBLE


def test_a_header_of_another_version_or_spelling_is_inadmissible() -> None:
    world = open_world()
    proposal, candidates = proposed(world, 1)
    for raw in (b"", proposal.header + b"\0", encode_header(world.chain.header)[:-1]):
        body = Proposal(raw, proposal.envelope_hashes, proposal.leaf_hashes)
        assert check(world, body, candidates).verdict is Verdict.INADMISSIBLE
    raw = encode_header(msgspec.structs.replace(decode_header(proposal.header), version=2))
    body = Proposal(raw, proposal.envelope_hashes, proposal.leaf_hashes)
    checked = check(world, body, candidates)
    assert checked.verdict is Verdict.INADMISSIBLE
    assert checked.detail == "header: Expected `int` <= 1 - at `$[0]`"


def forced(world: World, candidates: Sequence[Candidate]) -> Proposal:
    """A block that a lying primary makes without asking what is admissible."""
    executor = Executor(world.chain, world.next_ms)
    assert executor.execute(candidates) == []
    return proposal_of(executor.finish(0, 1), candidates)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda world: prepay(world, not_after=1), "stale"),
        (lambda world: prepay(world, not_after=2**52), "too_far_ahead"),
        (
            lambda world: world.candidate("prepaid.prepay", CARD, {"amount": 1}, "m-9"),
            "unknown_party",
        ),
    ],
)
def test_one_inadmissible_transaction_spoils_the_block(make: Any, reason: str) -> None:
    world = open_world()
    bad = make(world)
    candidates = [prepay(world), bad, prepay(world)]
    checked = check(world, forced(world, candidates), candidates)
    assert (checked.verdict, checked.block) == (Verdict.INADMISSIBLE, None)
    tx_id = bad.transaction.tx_id.hex()
    assert checked.detail.startswith(f"transaction 1 ({tx_id}) is inadmissible: {reason}: ")


def test_a_transaction_twice_spoils_the_block() -> None:
    world = open_world()
    one = prepay(world)
    checked = check(world, forced(world, [one, one]), [one, one])
    assert checked.verdict is Verdict.INADMISSIBLE
    assert "duplicate" in checked.detail


def test_a_block_over_its_limits_is_inadmissible() -> None:
    world = open_world()
    candidates = [prepay(world) for _ in range(4)]
    proposal = forced(world, candidates)
    size = sum(len(candidate.transaction.raw) for candidate in candidates)
    fits = Limits(transactions_max=4, bytes_max=size, rule_pack_version=1)
    assert check(world, proposal, candidates, fits).verdict is Verdict.OK
    for limits, sentence in (
        (Limits(3, size, 1), "block of 4 transactions; at most 3 are allowed"),
        (Limits(4, size - 1, 1), f"block of {size} bytes; at most {size - 1} are allowed"),
    ):
        checked = check(world, proposal, candidates, limits)
        assert (checked.verdict, checked.detail) == (Verdict.INADMISSIBLE, sentence)


def test_checking_leaves_no_trace() -> None:
    world = open_world()
    proposal, candidates = proposed(world, 5, 6)
    before = (world.chain.header, world.chain.log, world.chain.tree.root)
    for _ in range(2):
        assert check(world, proposal, candidates).verdict is Verdict.OK
        assert (world.chain.header, world.chain.log, world.chain.tree.root) == before
    other, others = proposed(world, 7)
    assert check(world, other, others).verdict is Verdict.OK
