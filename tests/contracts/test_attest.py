"""Later statements, and proofs against a validator: the records that judge other records."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.attest import STATEMENTS
from contracts.equivocation import EVIDENCE_HEX_MAX, SLOTS_MAX, ValidatorRecord, apply_equivocation
from contracts.handling import Refusal
from contracts.kinds import parse_data
from ledger.checkpoint import Checkpoint, cosign_checkpoint
from ledger.equivocation import (
    ORIGIN_CHARS_MAX,
    PROOF_HASHES_MAX,
    Amnesia,
    CheckpointFork,
    CosignedTree,
    Equivocation,
    ViewChangeEquivocation,
    VoteEquivocation,
    encode_equivocation,
)
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.transaction import Outcome, applied, decode_body, refused
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    PreparedClaim,
    ViewClaim,
    Vote,
    compute_view_change_message,
    compute_vote_message,
)
from tests.contracts.world import CARD, World, lone_context, open_world, settled_world
from tests.verifier.small_chain import signer

TX_ID = "ef" * 32
ONE, OTHER = bytes([1]) * 32, bytes([2]) * 32


def say(world: World, statement: str, *signers: str, more: dict[str, Any] | None = None) -> Outcome:
    data = {"statement": statement, "tx_id": TX_ID} | (more or {})
    return world.one("attest", CARD, data, *signers)


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("who", ["m-1", "bank-1", "bank-3", "c-1"])
def test_the_contracts_parties_and_any_institution_may_speak(statement: str, who: str) -> None:
    world = open_world(consumer_party="c-1")
    before = world.record(CARD)
    assert say(world, statement, who) == applied(("statement", statement), ("tx_id", TX_ID))
    assert world.record(CARD) == before


def test_each_refusal_of_a_statement_is_named() -> None:
    world = open_world()
    assert say(world, "denied", "m-1") == refused("unknown_statement", ("statement", "denied"))
    for signers in (("m-2",), ("m-1", "m-2"), ("g-1",), ("c-1",)):
        stranger = next(name for name in signers if name != "m-1")
        assert say(world, "confirmed", *signers) == refused("not_entitled", ("signer", stranger))
    data = {"statement": "confirmed", "tx_id": TX_ID}
    for stream in ("contract/none", "party/m-1"):
        outcome = world.one("attest", stream, data, "m-1")
        assert outcome == refused("unknown_contract", ("stream", stream))


@pytest.mark.parametrize(
    "more",
    [
        {"note_hash": "ab"},
        {"note_hash": "ab" * 32 + "\n"},
        {"note_hash": "\n"},
        {"tx_id": "EF" * 32},
        {"statement": "s" * 33},
        {"statement": None},
        {"more": 1},
    ],
)
def test_a_misshapen_statement_is_recorded_as_refused(more: dict[str, Any]) -> None:
    outcome = say(open_world(), "confirmed", "m-1", more=more)
    assert outcome == refused("malformed_data", ("kind", "attest"))


def test_a_statement_may_name_a_document() -> None:
    assert not say(open_world(), "confirmed", "m-1", more={"note_hash": "ab" * 32}).refused
    assert not say(open_world(), "confirmed", "m-1", more={"note_hash": ""}).refused


# Equivocation


def vote(
    world: World,
    block_hash: bytes,
    *,
    phase: int = COMMIT,
    height: int = 1,
    view: int = 0,
    replica: int = 2,
    chain_id: bytes | None = None,
) -> Vote:
    message = compute_vote_message(phase, chain_id or world.chain_id, height, view, block_hash)
    key = signer(f"{world.network} bank-{replica} vote")
    return Vote(phase, height, view, block_hash, replica, key.sign(message))


def accuse(world: World, first: Vote, second: Vote, stream: str = "validator/bank-2") -> Outcome:
    raw = encode_equivocation(VoteEquivocation(first, second))
    return world.one("validator.equivocation", stream, {"evidence": raw.hex()}, "m-1")


@pytest.mark.parametrize(
    ("phase", "name"), [(PRE_PREPARE, "pre-prepare"), (PREPARE, "prepare"), (COMMIT, "commit")]
)
def test_two_contradictory_votes_are_recorded_whoever_brings_them(phase: int, name: str) -> None:
    world = settled_world()
    outcome = accuse(world, vote(world, ONE, phase=phase), vote(world, OTHER, phase=phase))
    assert outcome == applied(("validator", "bank-2"), ("slot", f"{name}/1/0"))
    assert world.record("validator/bank-2") == ValidatorRecord([f"{name}/1/0"])


def test_a_slot_is_recorded_once_and_each_slot_for_itself() -> None:
    world = settled_world()
    accuse(world, vote(world, ONE), vote(world, OTHER))
    again = accuse(world, vote(world, ONE), vote(world, bytes([3]) * 32))
    assert again == refused("evidence_known", ("slot", "commit/1/0"))
    accuse(world, vote(world, ONE, view=1), vote(world, OTHER, view=1))
    accuse(world, vote(world, ONE, phase=PREPARE), vote(world, OTHER, phase=PREPARE))
    slots = ["commit/1/0", "commit/1/1", "prepare/1/0"]
    assert world.record("validator/bank-2") == ValidatorRecord(slots)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        pytest.param({}, {"replica": 1}, "bad_field", id="two-validators"),
        pytest.param({}, {"view": 1}, "bad_field", id="two-views"),
        pytest.param({}, {"height": 2}, "bad_field", id="two-heights"),
        pytest.param({}, {"phase": PREPARE}, "bad_field", id="two-phases"),
        pytest.param({}, {"block_hash": ONE}, "bad_field", id="one-block"),
        pytest.param({"block_hash": OTHER}, {"block_hash": ONE}, "not_canonical", id="order"),
        pytest.param({"chain_id": ONE}, {"chain_id": ONE}, "bad_signature", id="other-chain"),
        pytest.param({"replica": 4}, {"replica": 4}, "not_a_validator", id="no-replica"),
        pytest.param({"height": 99}, {"height": 99}, "height_not_reached", id="future-height"),
    ],
)
def test_evidence_that_proves_nothing_is_refused(
    first: dict[str, Any], second: dict[str, Any], reason: str
) -> None:
    world = settled_world()
    one = vote(world, **{"block_hash": ONE} | first)
    other = vote(world, **{"block_hash": OTHER} | second)
    assert accuse(world, one, other) == refused("evidence_invalid", ("reason", reason))
    assert world.record("validator/bank-2") is None


def test_bytes_that_are_no_evidence_are_refused() -> None:
    world = settled_world()
    for raw, reason in (("00", "malformed"), ("c0", "malformed")):
        data = {"evidence": raw}
        outcome = world.one("validator.equivocation", "validator/bank-2", data, "m-1")
        assert outcome == refused("evidence_invalid", ("reason", reason))
    for raw in ("", "0", "0G", "00\n", "00" * 3_073):
        data = {"evidence": raw}
        outcome = world.one("validator.equivocation", "validator/bank-2", data, "m-1")
        assert outcome == refused("malformed_data", ("kind", "validator.equivocation"))


def test_evidence_stands_in_the_validators_own_stream() -> None:
    world = settled_world()
    outcome = accuse(world, vote(world, ONE), vote(world, OTHER), "validator/bank-1")
    assert outcome == refused(
        "wrong_stream", ("stream", "validator/bank-1"), ("expected", "validator/bank-2")
    )


def test_a_validators_slots_are_bounded() -> None:
    world = settled_world()
    raw = encode_equivocation(VoteEquivocation(vote(world, ONE), vote(world, OTHER)))
    stream = "validator/bank-2"
    body = world.body("validator.equivocation", stream, {"evidence": raw.hex()}, "m-1")
    _, data = parse_data(decode_body(body))
    full = ValidatorRecord([f"commit/{number}/9" for number in range(SLOTS_MAX)])
    context = lone_context(world, stream, full, "m-1")
    with pytest.raises(Refusal) as caught:
        apply_equivocation(context, data)
    assert caught.value.outcome() == refused("evidence_enough", ("slots", SLOTS_MAX))
    assert context.record is full


# The other kinds of evidence


def claim(world: World, view: int, said: PreparedClaim | None, replica: int = 2) -> ViewClaim:
    message = compute_view_change_message(world.chain_id, 1, view, said)
    key = signer(f"{world.network} bank-{replica} vote")
    return ViewClaim(1, view, said, replica, key.sign(message))


def cosign(world: World, size: int, root: bytes, replica: int = 2) -> CosignedTree:
    origin = f"{world.network}/{world.chain_id.hex()[:16]}"
    key = signer(f"{world.network} bank-{replica} cosign")
    line = cosign_checkpoint(Checkpoint(origin, size, root), f"{origin}/bank-{replica}", key, 9)
    return CosignedTree(size, root, line.signature)


def record(world: World, evidence: Equivocation) -> Outcome:
    data = {"evidence": encode_equivocation(evidence).hex()}
    return world.one("validator.equivocation", "validator/bank-2", data, "m-1")


def test_two_claims_for_one_view_and_a_denied_commit_share_a_slot() -> None:
    world = settled_world()
    said = PreparedClaim(0, ONE)
    both = ViewChangeEquivocation.of(claim(world, 1, said), claim(world, 1, None))
    outcome = record(world, both)
    assert outcome == applied(("validator", "bank-2"), ("slot", "view-change/1/1"))
    denied = Amnesia(vote(world, ONE), claim(world, 1, None))
    assert record(world, denied) == refused("evidence_known", ("slot", "view-change/1/1"))
    later = Amnesia(vote(world, ONE, view=1), claim(world, 2, said))
    assert not record(world, later).refused
    slots = ["view-change/1/1", "view-change/1/2"]
    assert world.record("validator/bank-2") == ValidatorRecord(slots)


def test_a_fork_of_the_log_is_recorded_once_per_size() -> None:
    world = settled_world()
    origin = f"{world.network}/{world.chain_id.hex()[:16]}"
    leaves = [leaf_hash(b"%d" % number) for number in range(9)]
    whole = cosign(world, 9, compute_root(leaves))
    evidence = CheckpointFork(
        2, origin, cosign(world, 4, ONE), whole, compute_root(leaves[:4]),
        tuple(consistency_proof(leaves, 4)),
    )  # fmt: skip
    outcome = record(world, evidence)
    assert outcome == applied(("validator", "bank-2"), ("slot", "checkpoint/4"))
    again = msgspec.structs.replace(evidence, smaller=cosign(world, 4, OTHER))
    assert record(world, again) == refused("evidence_known", ("slot", "checkpoint/4"))
    honest = msgspec.structs.replace(evidence, smaller=cosign(world, 4, compute_root(leaves[:4])))
    assert record(world, honest) == refused("evidence_invalid", ("reason", "bad_field"))


def test_the_longest_evidence_there_can_be_is_taken() -> None:
    deepest = CheckpointFork(
        63, "n" * ORIGIN_CHARS_MAX, CosignedTree(2**53 - 1, ONE, bytes(72)),
        CosignedTree(2**53 - 1, ONE, bytes(72)), ONE, (ONE,) * PROOF_HASHES_MAX,
    )  # fmt: skip
    assert len(encode_equivocation(deepest).hex()) <= EVIDENCE_HEX_MAX
