"""Votes, certificates and evidence, with real Ed25519 signatures and every mutant refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.validators import Validator, ValidatorSet
from ledger.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    VIEW_MAX,
    CommitCertificate,
    PreparedCertificate,
    SignedBy,
    Vote,
    compute_vote_message,
    decode_commit_certificate,
    encode_commit_certificate,
)

CHAIN = sha256(b"chain")
BLOCK, OTHER = sorted([sha256(b"block"), sha256(b"other")])
SIGNERS = [SeedSigner(sha256(b"seed %d" % i)) for i in range(4)]
VALIDATORS = ValidatorSet(
    [
        Validator(
            f"v{i}",
            SIGNERS[i].public_key,
            sha256(b"c%d" % i),
            sha256(b"l%d" % i),
            sha256(b"p%d" % i),
        )
        for i in range(4)
    ]
)


def sign(
    replica: int,
    phase: int = COMMIT,
    view: int = 0,
    block_hash: bytes = BLOCK,
    height: int = 5,
) -> Vote:
    message = compute_vote_message(phase, CHAIN, height, view, block_hash)
    return Vote(phase, height, view, block_hash, replica, SIGNERS[replica].sign(message))


def commits(*replicas: int, **kwargs: Any) -> tuple[SignedBy, ...]:
    return tuple(SignedBy(i, sign(i, **kwargs).signature) for i in replicas)


def refusal(value: Any, *arguments: Any) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        value.verify(*arguments, VALIDATORS, CHAIN)
    return caught.value.reason, caught.value.detail


def test_signed_bytes_are_spelled_out() -> None:
    assert compute_vote_message(COMMIT, CHAIN, 5, 2, BLOCK) == (
        b"evidence-ledger/v1/commit\0" + CHAIN + bytes(7) + b"\x05" + bytes(7) + b"\x02" + BLOCK
    )
    starts = {compute_vote_message(phase, CHAIN, 5, 2, BLOCK)[:30] for phase in (0, 1, 2)}
    assert len(starts) == 3


def test_vote_verifies_and_each_changed_field_is_refused() -> None:
    vote = sign(1)
    vote.verify(VALIDATORS, CHAIN)
    bad = (
        Reason.BAD_SIGNATURE,
        "commit of height 5 view 0: the signature of replica 1 does not verify",
    )
    assert refusal(msgspec.structs.replace(vote, block_hash=OTHER)) == bad
    for changes in (
        {"phase": PREPARE},
        {"phase": PRE_PREPARE},
        {"height": 6},
        {"view": 1},
        {"replica": 2},
        {"signature": bytes(64)},
    ):
        assert refusal(msgspec.structs.replace(vote, **changes))[0] is Reason.BAD_SIGNATURE
    with pytest.raises(Rejected, match="bad_signature"):
        vote.verify(VALIDATORS, sha256(b"other chain"))


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        (
            {"height": 0},
            Reason.BAD_FIELD,
            "commit of height 0 view 0: voted heights are 1 to 2^53-1",
        ),
        (
            {"height": 2**53},
            Reason.BAD_FIELD,
            f"commit of height {2**53} view 0: voted heights are 1 to 2^53-1",
        ),
        ({"view": -1}, Reason.BAD_FIELD, "commit of height 5 view -1: views are 0 to 1000000"),
        (
            {"view": VIEW_MAX + 1},
            Reason.BAD_FIELD,
            "commit of height 5 view 1000001: views are 0 to 1000000",
        ),
        (
            {"replica": 4},
            Reason.NOT_A_VALIDATOR,
            "commit of height 5 view 0: replica 4 is not one of 4",
        ),
        (
            {"replica": -1},
            Reason.NOT_A_VALIDATOR,
            "commit of height 5 view 0: replica -1 is not one of 4",
        ),
        ({"phase": 3}, Reason.BAD_FIELD, "vote of height 5 view 0: phase 3 is not 0, 1 or 2"),
    ],
)
def test_votes_outside_every_range_are_refused(
    changes: dict[str, int], reason: Reason, detail: str
) -> None:
    assert refusal(msgspec.structs.replace(sign(1), **changes)) == (reason, detail)


def test_commit_certificate_round_trips_and_verifies() -> None:
    for voters in ((0, 1, 2), (1, 2, 3), (0, 1, 2, 3)):
        certificate = CommitCertificate(5, 2, BLOCK, commits(*voters, view=2))
        certificate.verify(VALIDATORS, CHAIN)
        raw = encode_commit_certificate(certificate)
        assert decode_commit_certificate(raw) == certificate
        with pytest.raises(Rejected):
            decode_commit_certificate(raw + b"\x00")


@pytest.mark.parametrize(
    ("voters", "reason", "detail"),
    [
        ((0, 1), Reason.NO_QUORUM, "2 of 4 replicas; a quorum is 3"),
        ((), Reason.NO_QUORUM, "0 of 4 replicas; a quorum is 3"),
        ((0, 1, 1), Reason.DUPLICATE, "replica 1 is counted twice"),
        ((0, 2, 1), Reason.NOT_CANONICAL, "replica 1 stands after replica 2"),
    ],
)
def test_commit_certificates_that_are_refused(
    voters: tuple[int, ...], reason: Reason, detail: str
) -> None:
    certificate = CommitCertificate(5, 0, BLOCK, commits(*voters))
    assert refusal(certificate) == (reason, f"commit certificate of height 5 view 0: {detail}")


def test_commit_certificate_with_a_number_outside_the_set() -> None:
    outside = CommitCertificate(5, 0, BLOCK, (*commits(0, 1), SignedBy(4, bytes(64))))
    assert refusal(outside)[0] is Reason.NOT_A_VALIDATOR


def test_commit_certificate_cannot_mix_views_phases_blocks_or_heights() -> None:
    for odd in (
        commits(2, view=1),
        commits(2, phase=PREPARE),
        commits(2, block_hash=OTHER),
        commits(2, height=6),
    ):
        mixed = CommitCertificate(5, 0, BLOCK, (*commits(0, 1), *odd))
        assert refusal(mixed) == (
            Reason.BAD_SIGNATURE,
            "commit certificate of height 5 view 0: the signature of replica 2 does not verify",
        )


def prepared(view: int, *voters: int) -> PreparedCertificate:
    primary = VALIDATORS.primary(5, view)
    return PreparedCertificate(
        view,
        BLOCK,
        sign(primary, PRE_PREPARE, view).signature,
        commits(*voters, phase=PREPARE, view=view),
    )


def test_prepared_certificate_counts_the_primary_once() -> None:
    prepared(0, 0, 2).verify(5, VALIDATORS, CHAIN)
    prepared(0, 0, 2, 3).verify(5, VALIDATORS, CHAIN)
    assert [(vote.phase, vote.replica) for vote in prepared(0, 0, 2).votes(5, VALIDATORS)] == [
        (PRE_PREPARE, 1),
        (PREPARE, 0),
        (PREPARE, 2),
    ]
    for vote in prepared(0, 0, 2).votes(5, VALIDATORS):
        vote.verify(VALIDATORS, CHAIN)
    assert refusal(prepared(0, 0, 1), 5) == (
        Reason.DUPLICATE,
        (
            "prepared certificate of height 5 view 0: replica 1 is the primary; its pre-prepare "
            "is its prepare"
        ),
    )
    assert refusal(prepared(0, 0), 5)[0] is Reason.NO_QUORUM
    assert refusal(prepared(0, 0, 0), 5)[0] is Reason.DUPLICATE
    assert refusal(prepared(0, 2, 0), 5)[0] is Reason.NOT_CANONICAL
    assert refusal(prepared(0, 0, 2), 9)[0] is Reason.BAD_SIGNATURE
    wrong = msgspec.structs.replace(prepared(0, 0, 2), pre_prepare=sign(1, PREPARE).signature)
    assert refusal(wrong, 5)[0] is Reason.BAD_SIGNATURE
    as_commits = msgspec.structs.replace(prepared(0, 0, 2), prepares=commits(0, 2))
    assert refusal(as_commits, 5)[0] is Reason.BAD_SIGNATURE
