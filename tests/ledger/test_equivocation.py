"""Evidence of every kind, with real signatures: what convicts, and what must never convict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.checkpoint import Checkpoint, cosign_checkpoint
from ledger.equivocation import (
    Amnesia,
    CheckpointFork,
    CosignedTree,
    Equivocation,
    ViewChangeEquivocation,
    VoteEquivocation,
    decode_equivocation,
    encode_equivocation,
)
from ledger.hashing import sha256
from ledger.merkle import compute_root, consistency_proof, leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.validators import Validator, ValidatorSet
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

CHAIN = sha256(b"chain")
ORIGIN = f"example.test/{CHAIN.hex()[:16]}"
BLOCK, OTHER = sorted([sha256(b"block"), sha256(b"other")])
SIGNERS = [SeedSigner(sha256(b"seed %d" % i)) for i in range(4)]
COSIGNERS = [SeedSigner(sha256(b"cosign seed %d" % i)) for i in range(4)]
VALIDATORS = ValidatorSet(
    [
        Validator(
            f"v{i}",
            SIGNERS[i].public_key,
            COSIGNERS[i].public_key,
            sha256(b"l%d" % i),
            sha256(b"p%d" % i),
        )
        for i in range(4)
    ]
)
LEAVES = [leaf_hash(b"%d" % i) for i in range(12)]


def vote(
    replica: int = 1,
    phase: int = COMMIT,
    view: int = 0,
    block_hash: bytes = BLOCK,
    height: int = 5,
) -> Vote:
    message = compute_vote_message(phase, CHAIN, height, view, block_hash)
    return Vote(phase, height, view, block_hash, replica, SIGNERS[replica].sign(message))


def change(
    view: int = 2,
    claim: PreparedClaim | None = None,
    replica: int = 1,
    height: int = 5,
) -> ViewClaim:
    message = compute_view_change_message(CHAIN, height, view, claim)
    return ViewClaim(height, view, claim, replica, SIGNERS[replica].sign(message))


def cosigned(size: int, root: bytes, replica: int = 1, origin: str = ORIGIN) -> CosignedTree:
    checkpoint = Checkpoint(origin, size, root)
    line = cosign_checkpoint(checkpoint, f"{origin}/v{replica}", COSIGNERS[replica], 1_700_000_000)
    return CosignedTree(size, root, line.signature)


def root_at(size: int) -> bytes:
    return compute_root(LEAVES[:size])


def fork(size: int = 5, size2: int = 12, **changes: Any) -> CheckpointFork:
    proof = tuple(consistency_proof(LEAVES, size, size2)) if size < size2 else ()
    evidence = CheckpointFork(
        1, ORIGIN, cosigned(size, sha256(b"fork")), cosigned(size2, root_at(size2)),
        root_at(size), proof,
    )  # fmt: skip
    return msgspec.structs.replace(evidence, **changes)


def refusal(evidence: Equivocation) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        evidence.verify(VALIDATORS, CHAIN)
    return caught.value.reason, caught.value.detail


def convicts(evidence: Equivocation) -> tuple[int, str]:
    evidence.verify(VALIDATORS, CHAIN)
    assert decode_equivocation(encode_equivocation(evidence)) == evidence
    return evidence.replica, evidence.slot


# Votes


def test_two_votes_in_one_slot_convict_in_either_order() -> None:
    one, other = vote(phase=PREPARE), vote(phase=PREPARE, block_hash=OTHER)
    evidence = VoteEquivocation.of(other, one)
    assert evidence == VoteEquivocation.of(one, other) == VoteEquivocation(one, other)
    assert convicts(evidence) == (1, "prepare/5/0")


def test_votes_that_do_not_contradict_each_other() -> None:
    one, other = vote(), vote(block_hash=OTHER)
    assert refusal(VoteEquivocation(one, vote(2, block_hash=OTHER))) == (
        Reason.BAD_FIELD,
        "equivocation of height 5 view 0: statements of two validators, 1 and 2",
    )
    for elsewhere in (
        vote(view=1, block_hash=OTHER),
        vote(phase=PREPARE, block_hash=OTHER),
        vote(phase=PRE_PREPARE, block_hash=OTHER),
        vote(height=6, block_hash=OTHER),
    ):
        assert "do not contradict each other" in refusal(VoteEquivocation(one, elsewhere))[1]
    assert refusal(VoteEquivocation(one, one)) == (
        Reason.BAD_FIELD,
        f"equivocation of height 5 view 0: both votes are for block {BLOCK.hex()}",
    )
    assert refusal(VoteEquivocation(other, one))[0] is Reason.NOT_CANONICAL
    forged = msgspec.structs.replace(other, signature=one.signature)
    assert refusal(VoteEquivocation(one, forged))[0] is Reason.BAD_SIGNATURE
    forged = msgspec.structs.replace(one, signature=other.signature)
    assert refusal(VoteEquivocation(forged, other))[0] is Reason.BAD_SIGNATURE


def test_a_primarys_prepare_is_its_pre_prepare_and_nobody_elses_is() -> None:
    primary = VALIDATORS.primary(5, 0)
    proposed = vote(primary, PRE_PREPARE)
    prepared = vote(primary, PREPARE, block_hash=OTHER)
    assert convicts(VoteEquivocation.of(prepared, proposed)) == (primary, "pre-prepare/5/0")
    another = (primary + 1) % 4
    pair = VoteEquivocation(vote(another, PRE_PREPARE), vote(another, PREPARE, block_hash=OTHER))
    assert refusal(pair) == (
        Reason.BAD_FIELD,
        (
            "equivocation of height 5 view 0: slots (0, 5, 0) and (1, 5, 0) (phase, height, view) "
            "differ, so the votes do not contradict each other"
        ),
    )
    same = VoteEquivocation(proposed, vote(primary, PREPARE))
    assert "both votes are for block" in refusal(same)[1]


# View-changes


def test_two_claims_for_one_view_convict() -> None:
    nothing, something = change(), change(claim=PreparedClaim(1, BLOCK))
    evidence = ViewChangeEquivocation.of(something, nothing)
    assert evidence == ViewChangeEquivocation(nothing, something)
    assert convicts(evidence) == (1, "view-change/5/2")
    blocks = ViewChangeEquivocation.of(
        change(claim=PreparedClaim(1, OTHER)), change(claim=PreparedClaim(1, BLOCK))
    )
    assert convicts(blocks) == (1, "view-change/5/2")


def test_view_changes_that_do_not_contradict_each_other() -> None:
    nothing, something = change(), change(claim=PreparedClaim(1, BLOCK))
    assert refusal(ViewChangeEquivocation(nothing, change(replica=2)))[1] == (
        "equivocation of height 5 view 2: statements of two validators, 1 and 2"
    )
    later = change(view=3, claim=PreparedClaim(1, BLOCK))
    assert refusal(ViewChangeEquivocation(nothing, later)) == (
        Reason.BAD_FIELD,
        (
            "equivocation of height 5 view 2: view-changes of height 5 to view 2 and of height 5 "
            "to view 3 do not contradict each other"
        ),
    )
    assert refusal(ViewChangeEquivocation(nothing, nothing))[1] == (
        "equivocation of height 5 view 2: both view-changes claim the same"
    )
    assert refusal(ViewChangeEquivocation(something, nothing))[0] is Reason.NOT_CANONICAL
    forged = msgspec.structs.replace(something, signature=nothing.signature)
    assert refusal(ViewChangeEquivocation(nothing, forged)) == (
        Reason.BAD_SIGNATURE,
        "view-change of height 5 to view 2: the signature of replica 1 does not verify",
    )


# Amnesia


@pytest.mark.parametrize("claim", [None, PreparedClaim(0, BLOCK), PreparedClaim(1, OTHER)], ids=str)
def test_a_commit_that_is_denied_later_convicts(claim: PreparedClaim | None) -> None:
    assert convicts(Amnesia(vote(view=1), change(claim=claim))) == (1, "view-change/5/2")


@pytest.mark.parametrize(
    ("commit", "view_change"),
    [
        pytest.param(vote(view=1), change(claim=PreparedClaim(1, BLOCK)), id="claimed"),
        pytest.param(vote(view=0), change(claim=PreparedClaim(1, OTHER)), id="a later one"),
        pytest.param(vote(view=2), change(), id="committed after it entered that view"),
        pytest.param(vote(view=3), change(), id="committed in a later view"),
    ],
)
def test_a_commit_that_is_kept_never_convicts(commit: Vote, view_change: ViewClaim) -> None:
    reason, detail = refusal(Amnesia(commit, view_change))
    assert reason is Reason.BAD_FIELD
    assert detail == (
        f"amnesia of height 5 view 2: the view-change does not deny the commit of view "
        f"{commit.view}"
    )


def test_amnesia_of_another_phase_height_or_validator_is_none() -> None:
    assert refusal(Amnesia(vote(phase=PREPARE), change()))[1] == (
        "amnesia of height 5 view 2: a prepare of height 5 says nothing about what was prepared "
        "at height 5"
    )
    assert refusal(Amnesia(vote(height=6), change()))[0] is Reason.BAD_FIELD
    assert refusal(Amnesia(vote(2), change()))[0] is Reason.BAD_FIELD
    forged = msgspec.structs.replace(vote(), signature=vote(view=1).signature)
    assert refusal(Amnesia(forged, change()))[0] is Reason.BAD_SIGNATURE


# Checkpoints


@pytest.mark.parametrize(
    ("size", "size2"), [(size, size2) for size2 in (5, 8, 12) for size in range(1, size2)]
)
def test_a_cosigned_tree_that_is_no_prefix_of_another_convicts(size: int, size2: int) -> None:
    assert convicts(fork(size, size2)) == (1, f"checkpoint/{size}")


def test_two_roots_of_one_size_convict() -> None:
    trees = sorted([cosigned(9, sha256(b"a")), cosigned(9, sha256(b"b"))], key=lambda t: t.root)
    evidence = CheckpointFork(1, ORIGIN, trees[0], trees[1], trees[1].root, ())
    assert convicts(evidence) == (1, "checkpoint/9")
    swapped = CheckpointFork(1, ORIGIN, trees[1], trees[0], trees[0].root, ())
    assert refusal(swapped)[0] is Reason.NOT_CANONICAL
    same = CheckpointFork(1, ORIGIN, trees[0], trees[0], trees[0].root, ())
    assert refusal(same)[0] is Reason.NOT_CANONICAL


def test_one_log_cosigned_twice_never_convicts() -> None:
    honest = fork(smaller=cosigned(5, root_at(5)))
    assert refusal(honest) == (
        Reason.BAD_FIELD,
        "fork of the log at size 5: the tree of size 12 begins with this one",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"replica": 4}, Reason.NOT_A_VALIDATOR, id="no-replica"),
        pytest.param({"replica": 2}, Reason.BAD_SIGNATURE, id="another-cosigner"),
        pytest.param({"origin": "example.test/0123456789abcdef"}, Reason.WRONG_CHAIN, id="chain"),
        pytest.param({"origin": f"other.test/{CHAIN.hex()[:16]}"}, Reason.BAD_SIGNATURE, id="log"),
        pytest.param({"prefix_root": sha256(b"x")}, Reason.BAD_PROOF, id="prefix"),
        pytest.param({"proof": ()}, Reason.BAD_PROOF, id="no-proof"),
        pytest.param({"smaller": cosigned(0, root_at(0))}, Reason.BAD_PROOF, id="empty-tree"),
        pytest.param(
            {"smaller": cosigned(5, sha256(b"fork"), replica=2)}, Reason.BAD_SIGNATURE, id="smaller"
        ),
        pytest.param(
            {"larger": cosigned(12, root_at(12), replica=2)}, Reason.BAD_SIGNATURE, id="larger"
        ),
    ],
)
def test_a_fork_that_is_not_proven_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert refusal(fork(**changes))[0] is reason


def test_a_fork_cannot_be_proven_with_a_forged_consistency_proof() -> None:
    """Whatever prefix is claimed: the proof binds it to the larger tree's root."""
    good = fork()
    for at in range(len(good.proof)):
        proof = (*good.proof[:at], sha256(b"forged"), *good.proof[at + 1 :])
        assert refusal(fork(proof=proof))[0] is Reason.BAD_PROOF
    assert refusal(fork(proof=good.proof[:-1]))[0] is Reason.BAD_PROOF
    assert refusal(fork(proof=(*good.proof, sha256(b"more"))))[0] is Reason.BAD_PROOF
