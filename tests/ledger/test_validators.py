"""The validator set: quorums for every size, and what a set may not be."""

from __future__ import annotations

import pytest

from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.validators import (
    VALIDATORS_MAX,
    Validator,
    ValidatorSet,
    compute_faulty_max,
    compute_quorum,
)


def make(i: int, **changes: object) -> Validator:
    fields: dict[str, object] = {
        "id": f"v{i}",
        **{
            f"{name}_key": sha256(f"{name} {i}".encode())
            for name in ("vote", "cosign", "log", "party")
        },
    }
    return Validator(**{**fields, **changes})  # type: ignore[arg-type]


def test_quorums_intersect_in_a_correct_replica_and_the_correct_are_enough() -> None:
    for count in range(1, 200):
        faulty, quorum = compute_faulty_max(count), compute_quorum(count)
        assert 3 * faulty + 1 <= count < 3 * (faulty + 1) + 1
        assert 2 * quorum - count >= faulty + 1, "two quorums share a correct replica"
        assert quorum <= count - faulty, "the correct ones are a quorum"
        assert 2 * (quorum - 1) - count < faulty + 1, "and none smaller would do"


def test_known_quorums() -> None:
    known = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 10: 7, 36: 24}
    assert {count: compute_quorum(count) for count in known} == known


def test_primary_rotates_with_height_and_view() -> None:
    validators = ValidatorSet([make(i) for i in range(4)])
    assert [validators.primary(height, 0) for height in range(1, 6)] == [1, 2, 3, 0, 1]
    assert [validators.primary(1, view) for view in range(5)] == [1, 2, 3, 0, 1]


def test_hash_binds_order_ids_and_every_key() -> None:
    base = [make(0), make(1)]
    hashes = {ValidatorSet(base).hash, ValidatorSet(base[::-1]).hash}
    hashes.add(ValidatorSet([make(0, id="other"), make(1)]).hash)
    for name in ("vote_key", "cosign_key", "log_key", "party_key"):
        hashes.add(ValidatorSet([make(0, **{name: sha256(b"new")}), make(1)]).hash)
    assert len(hashes) == 7
    assert ValidatorSet(base) == ValidatorSet([make(0), make(1)])
    assert ValidatorSet(base) != ValidatorSet(base[::-1])


def test_members_are_counted_from_zero_and_negative_numbers_are_nobody() -> None:
    validators = ValidatorSet([make(0), make(1)])
    assert [validators.is_member(i) for i in (-1, 0, 1, 2)] == [False, True, True, False]
    assert validators[1].id == "v1"
    with pytest.raises(IndexError, match="replica -1 is not one of 2"):
        validators[-1]


@pytest.mark.parametrize(
    ("validators", "reason", "detail"),
    [
        ([], Reason.BAD_FIELD, "validator set: 0 validators; 1 to 64 are allowed"),
        (
            [make(i) for i in range(VALIDATORS_MAX + 1)],
            Reason.BAD_FIELD,
            "validator set: 65 validators; 1 to 64 are allowed",
        ),
        (
            [make(0), make(1, id="v0")],
            Reason.DUPLICATE,
            "validator set: id 'v0' stands twice",
        ),
        (
            [make(0, id="")],
            Reason.BAD_FIELD,
            "validator set: id '' has 0 characters; 1 to 64 are allowed",
        ),
        (
            [make(0), make(1, log_key=make(0).vote_key)],
            Reason.DUPLICATE,
            f"validator set: key {make(0).vote_key.hex()} of 'v1' is already a key of 'v0'",
        ),
        (
            [make(0, cosign_key=make(0).vote_key)],
            Reason.DUPLICATE,
            f"validator set: key {make(0).vote_key.hex()} of 'v0' is already a key of 'v0'",
        ),
        (
            [make(0, party_key=b"short")],
            Reason.BAD_FIELD,
            "validator set: a key of 'v0' has 5 bytes, not 32",
        ),
    ],
)
def test_sets_that_are_refused(validators: list[Validator], reason: Reason, detail: str) -> None:
    with pytest.raises(Rejected) as caught:
        ValidatorSet(validators)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)
