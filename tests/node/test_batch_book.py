"""The book of batch signatures: one verification serves a batch, and nothing but that batch."""

from __future__ import annotations

import pytest

from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.transaction import (
    BatchPath,
    Signature,
    Transaction,
    encode_envelope,
    sign_batch,
    sign_transaction,
)
from node.batch_book import BatchBook
from node.intake import Parsed, mark_good, parse_relayed, select_checks
from tests.node.bodies import make_bodies

CHAIN = b"c" * 32
SIGNER = SeedSigner(b"s" * 32)


def parsed_batch(size: int, book: BatchBook) -> list[Parsed]:
    return [parse_relayed(raw, CHAIN, book) for raw in sign_batch(make_bodies(size), CHAIN, SIGNER)]


def with_signature(transaction: Transaction, signature: Signature) -> bytes:
    """The same body under another signature."""
    return encode_envelope(transaction.envelope.body, [signature])


def passes_for_good(raw: bytes, book: BatchBook) -> bool:
    """Whether the envelope is taken without a verification."""
    try:
        return parse_relayed(raw, CHAIN, book).checks == ()
    except Rejected as rejected:
        return rejected.reason is not Reason.BAD_BATCH_PATH


@pytest.mark.parametrize("size", [1, 2, 7, 100, 129])
def test_a_batch_is_one_check_and_none_once_it_was_good(size: int) -> None:
    book = BatchBook()
    parsed = parsed_batch(size, book)
    assert len(select_checks(parsed)) == 1
    assert parsed[0].candidate.transaction.signed[0] not in book
    mark_good(parsed, book)
    assert parsed[-1].candidate.transaction.signed[0] in book
    assert select_checks(parsed_batch(size, book)) == []


def test_an_individual_signature_is_not_remembered() -> None:
    book = BatchBook()
    parsed = [parse_relayed(sign_transaction(make_bodies(1)[0], CHAIN, [SIGNER]), CHAIN, book)]
    mark_good(parsed, book)
    assert parsed[0].candidate.transaction.signed[0] not in book


@pytest.mark.parametrize("size", [2, 7, 100])
def test_no_change_of_a_path_passes_for_good(size: int) -> None:
    book = BatchBook()
    parsed = parsed_batch(size, book)
    mark_good(parsed, book)
    for item in parsed:
        transaction = item.candidate.transaction
        signature = transaction.envelope.signatures[0]
        path = signature.batch
        assert path is not None
        mutants = [
            BatchPath(path.index, path.size, [*path.hashes, bytes(32)]),
            BatchPath(path.index, path.size, path.hashes[:-1]),
            BatchPath((path.index + 1) % size, path.size, path.hashes),
            BatchPath(path.index, path.size + 1, path.hashes),
        ]
        for at, sibling in enumerate(path.hashes):
            flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
            hashes = [*path.hashes[:at], flipped, *path.hashes[at + 1 :]]
            mutants.append(BatchPath(path.index, path.size, hashes))
        for mutant in mutants:
            changed = Signature(signature.public_key, signature.signature, mutant)
            assert not passes_for_good(with_signature(transaction, changed), book)


def test_another_key_or_signature_is_not_known() -> None:
    book = BatchBook()
    parsed = parsed_batch(10, book)
    mark_good(parsed, book)
    transaction = parsed[3].candidate.transaction
    signature = transaction.envelope.signatures[0]
    for changed in (
        Signature(bytes(32), signature.signature, signature.batch),
        Signature(signature.public_key, bytes(64), signature.batch),
    ):
        assert len(parse_relayed(with_signature(transaction, changed), CHAIN, book).checks) == 1


def test_the_older_half_is_forgotten() -> None:
    book = BatchBook(signed_max=4)
    batches = [(bytes([at]) * 32, bytes(64), bytes(32), 2) for at in range(6)]
    for signed in batches:
        book.add(signed)
    assert [signed in book for signed in batches] == [False, False, True, True, True, True]
