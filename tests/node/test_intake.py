"""Intake: parsed once, told at the door, and each signature asked for once."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.kinds import KINDS
from ledger.refusal import Reason, Rejected
from ledger.signing import verify_signature
from ledger.transaction import (
    BatchPath,
    Signature,
    decode_transaction,
    encode_envelope,
    sign_batch,
)
from node.intake import (
    VERIFIED_BATCHES_MAX,
    VerifiedBatches,
    parse_relayed,
    parse_submission,
)
from tests.contracts.world import CARD, World

WORLD = World()


def submit(*signers: str, amount: int = 1, **changes: Any) -> bytes:
    signers = signers or ("m-1",)
    return WORLD.submit("prepaid.prepay", CARD, {"amount": amount}, *signers, **changes)


def batch(count: int) -> list[bytes]:
    bodies = [WORLD.body("prepaid.prepay", CARD, {"amount": 1}, "m-1") for _ in range(count)]
    return sign_batch(bodies, WORLD.chain_id, WORLD.key("m-1"))


def test_a_submission_becomes_a_candidate_and_its_checks() -> None:
    raw = submit("m-1", "bank-1")
    parsed = parse_submission(raw, WORLD.chain_id)
    assert parsed.candidate.transaction.raw == raw
    assert parsed.candidate.kind is KINDS[("prepaid.prepay", 1)]
    assert parsed.candidate.data.amount == 1
    assert [check[0] for check in parsed.checks] == [
        WORLD.key("m-1").public_key,
        WORLD.key("bank-1").public_key,
    ]
    assert all(verify_signature(*check) for check in parsed.checks)
    elsewhere = parse_submission(raw, bytes(32))
    assert not any(verify_signature(*check) for check in elsewhere.checks)
    assert parse_relayed(raw, WORLD.chain_id) == parsed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"amount": 0}, Reason.BAD_FIELD), ({"version": 2}, Reason.UNKNOWN_KIND)],
)
def test_misshapen_data_is_told_at_the_door_and_recorded_from_a_block(
    changes: dict[str, Any], reason: Reason
) -> None:
    raw = submit(**changes)
    with pytest.raises(Rejected) as caught:
        parse_submission(raw, WORLD.chain_id)
    assert caught.value.reason is reason
    relayed = parse_relayed(raw, WORLD.chain_id).candidate
    assert (relayed.kind, relayed.data) == (None, None)


@pytest.mark.parametrize("parse", [parse_submission, parse_relayed])
def test_what_cannot_be_read_or_has_no_path_is_refused_by_both(parse: Any) -> None:
    transaction = decode_transaction(submit())
    (signature,) = transaction.envelope.signatures
    lost = Signature(signature.public_key, signature.signature, BatchPath(0, 2, []))
    for raw, reason in (
        (b"", Reason.MALFORMED),
        (transaction.raw + b"\0", Reason.MALFORMED),
        (encode_envelope(transaction.envelope.body, [lost]), Reason.BAD_BATCH_PATH),
        (encode_envelope(b"{}", [signature]), Reason.BAD_FIELD),
    ):
        with pytest.raises(Rejected) as caught:
            parse(raw, WORLD.chain_id)
        assert caught.value.reason is reason


def test_a_batch_is_verified_once() -> None:
    known = VerifiedBatches()
    parsed = [parse_submission(raw, WORLD.chain_id) for raw in batch(7)]
    (check,) = known.select_unverified(parsed)
    assert verify_signature(*check)
    known.add(parsed[0].candidate.transaction, parsed[0].checks)
    assert known.select_unverified(parsed) == []
    single = parse_submission(submit(), WORLD.chain_id)
    assert known.select_unverified([*parsed, single]) == list(single.checks)


def test_only_batch_signatures_are_remembered() -> None:
    known = VerifiedBatches()
    single = parse_submission(submit(), WORLD.chain_id)
    known.add(single.candidate.transaction, single.checks)
    assert known.select_unverified([single]) == list(single.checks)


def test_a_remembered_batch_vouches_for_nothing_else() -> None:
    """The memory is keyed by key, message and signature, never by a transaction's id."""
    known = VerifiedBatches()
    raws = batch(3)
    first = parse_submission(raws[0], WORLD.chain_id)
    known.add(first.candidate.transaction, first.checks)
    transaction = decode_transaction(raws[1])
    (signature,) = transaction.envelope.signatures
    path = signature.batch
    assert path is not None
    for changed in (
        Signature(WORLD.key("m-2").public_key, signature.signature, path),
        Signature(signature.public_key, bytes(64), path),
        Signature(signature.public_key, signature.signature, BatchPath(0, 3, path.hashes)),
        Signature(signature.public_key, signature.signature, None),
    ):
        raw = encode_envelope(transaction.envelope.body, [changed])
        parsed = parse_submission(raw, WORLD.chain_id)
        assert known.select_unverified([parsed]) == list(parsed.checks)
    elsewhere = parse_submission(raws[1], bytes(32))
    assert known.select_unverified([elsewhere]) == list(elsewhere.checks)


def test_the_memory_is_bounded_and_keeps_the_newest() -> None:
    known = VerifiedBatches()
    transaction = parse_submission(batch(1)[0], WORLD.chain_id).candidate.transaction
    checks = [(bytes(32), number.to_bytes(4, "big"), bytes(64)) for number in range(6_000)]
    for check in checks:
        known.add(transaction, [check])
    kept = len(known._young) + len(known._old)
    assert VERIFIED_BATCHES_MAX // 2 <= kept <= VERIFIED_BATCHES_MAX
    assert set(checks[-VERIFIED_BATCHES_MAX // 2 :]) <= known._young | known._old
    known.add(transaction, [checks[-1]])
    assert len(known._young) + len(known._old) == kept
