"""Intake: parsed once, told at the door, and each signature asked for once."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from contracts.kinds import KINDS
from ledger.hashing import sha256
from ledger.merkle import leaf_hash, node_hash
from ledger.refusal import Reason, Rejected
from ledger.signing import verify_signature
from ledger.transaction import (
    BatchPath,
    Envelope,
    Signature,
    compute_batch_message,
    compute_tx_id,
    decode_transaction,
    encode_envelope,
    sign_batch,
)
from node.batch_book import BatchBook
from node.intake import (
    compute_checks,
    mark_good,
    parse_all_relayed,
    parse_relayed,
    parse_submission,
    select_checks,
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
    book = BatchBook()
    raws = batch(7)
    parsed = [parse_submission(raw, WORLD.chain_id, book) for raw in raws]
    single = parse_submission(submit(), WORLD.chain_id, book)
    (check,) = select_checks(parsed)
    assert verify_signature(*check)
    assert select_checks([*parsed, single, *parsed]) == [check, *single.checks]
    mark_good([parsed[0], single], book)
    for raw in raws:
        assert parse_submission(raw, WORLD.chain_id, book).checks == ()
        assert parse_relayed(raw, WORLD.chain_id, book).checks == ()
        assert parse_submission(raw, WORLD.chain_id).checks == (check,)
    again = parse_submission(single.candidate.transaction.raw, WORLD.chain_id, book)
    assert again.checks == single.checks


def test_a_remembered_batch_vouches_for_nothing_else() -> None:
    book = BatchBook()
    raws = batch(3)
    mark_good([parse_submission(raws[0], WORLD.chain_id, book)], book)
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
        parsed = parse_submission(raw, WORLD.chain_id, book)
        assert parsed.checks == parse_submission(raw, WORLD.chain_id).checks
        assert not verify_signature(*parsed.checks[0])
    body = WORLD.body("prepaid.prepay", CARD, {"amount": 9}, "m-1")
    stranger = encode_envelope(body, [signature])
    assert not verify_signature(*parse_submission(stranger, WORLD.chain_id, book).checks[0])


def judge(raw: bytes, book: BatchBook | None) -> bool:
    """Whether a node takes the envelope, given what it remembers."""
    try:
        parsed = parse_relayed(raw, WORLD.chain_id, book)
    except Rejected:
        return False
    is_good = all(verify_signature(*check) for check in parsed.checks)
    if is_good and book is not None:
        mark_good([parsed], book)
    return is_good


def test_a_signer_cannot_make_nodes_differ_by_what_they_remember() -> None:
    """A path of hashes of another length: the signer may build a tree over anything it likes."""
    bodies = [WORLD.body("prepaid.prepay", CARD, {"amount": 1}, "m-1") for _ in range(3)]
    leaves = [leaf_hash(compute_tx_id(body)) for body in bodies]
    key = WORLD.key("m-1")
    for odd in (b"x" * 31, b"x" * 33, b"", b"x" * 64):
        left, right = node_hash(leaves[0], leaves[1]), sha256(b"\x01" + leaves[2] + odd)
        signature = key.sign(compute_batch_message(WORLD.chain_id, node_hash(left, right), 4))

        def envelope(at: int, hashes: list[bytes], signature: bytes = signature) -> bytes:
            path = BatchPath(at, 4, hashes)
            return encode_envelope(bodies[at], [Signature(key.public_key, signature, path)])

        book = BatchBook()
        assert judge(envelope(0, [leaves[1], right]), book)
        assert not judge(envelope(2, [odd, left]), book)
        assert not judge(envelope(2, [odd, left]), None)


@pytest.mark.parametrize("seed", range(20))
def test_a_node_that_remembers_judges_as_one_that_does_not(seed: int) -> None:
    chance = random.Random(seed)
    book = BatchBook()
    size = chance.choice((1, 2, 3, 5, 8, 21))
    transactions = [decode_transaction(raw) for raw in batch(size)]
    seen = [0, 0]
    for _ in range(60):
        transaction = chance.choice(transactions)
        (signature,) = transaction.envelope.signatures
        path = signature.batch
        assert path is not None
        index, count, hashes = path.index, path.size, list(path.hashes)
        match chance.randrange(6):
            case 0:
                index = chance.randrange(size + 1)
            case 1:
                count = max(1, count + chance.randrange(-1, 3))
            case 2 if hashes:
                hashes[chance.randrange(len(hashes))] = chance.randbytes(32)
            case 3 if hashes:
                del hashes[chance.randrange(len(hashes))]
            case _:
                pass
        changed = Signature(
            signature.public_key, signature.signature, BatchPath(index, count, hashes)
        )
        raw = encode_envelope(transaction.envelope.body, [changed])
        plain = judge(raw, None)
        assert judge(raw, book) is plain
        seen[plain] += 1
    assert seen[True]


def test_what_comes_together_has_the_checks_that_each_has_alone() -> None:
    """Nobody's signature stands for another transaction because it came along with it."""
    good = submit()
    (signed,) = decode_transaction(good).signed
    body = WORLD.body("prepaid.prepay", CARD, {"amount": 9}, "m-1")
    copied = encode_envelope(body, [Signature(signed[0], signed[1], None)])
    bodies = [
        WORLD.body("prepaid.prepay", CARD, {"amount": 1}, *signers)
        for signers in (["m-1"], ["m-1"], ["m-1", "m-2"])
    ]
    members = sign_batch(bodies, WORLD.chain_id, WORLD.key("m-1"))
    first = msgspec.msgpack.decode(members[2], type=Envelope).signatures[0]
    second = Signature(WORLD.key("m-2").public_key, bytes(64), None)
    members[2] = encode_envelope(bodies[2], [first, second])
    raws = [good, copied, *members, submit("m-1", "bank-1")]
    together = parse_all_relayed(raws, WORLD.chain_id)
    for raw, parsed in zip(raws, together, strict=True):
        assert not isinstance(parsed, Rejected)
        alone = compute_checks(decode_transaction(raw), WORLD.chain_id)
        assert parsed.checks == alone
