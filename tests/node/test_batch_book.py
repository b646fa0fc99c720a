"""The book of batch signatures gives the root that hashing the whole path gives."""

from __future__ import annotations

import random

import pytest

from ledger.merkle import leaf_hash, root_from_inclusion
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from ledger.transaction import BatchPath, Signature, compute_tx_id, sign_batch
from ledger.transaction import decode_transaction as decode
from node.batch_book import BatchBook
from tests.node.bodies import make_bodies

CHAIN = b"c" * 32
SIGNER = SeedSigner(b"s" * 32)


def batch(size):
    return [decode(raw) for raw in sign_batch(make_bodies(size), CHAIN, SIGNER)]


def plain_root(transaction):
    path = transaction.envelope.signatures[0].batch
    return root_from_inclusion(leaf_hash(transaction.tx_id), path.index, path.size, path.hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13, 100, 129])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_gives_the_root_of_the_whole_path(size, seed):
    transactions = batch(size)
    random.Random(seed).shuffle(transactions)
    book = BatchBook()
    for transaction in transactions * 2:
        signature = transaction.envelope.signatures[0]
        assert book.find_root(signature, transaction.tx_id) == (plain_root(transaction), False)


def test_a_good_signature_is_known_for_all_of_its_batch():
    transactions = batch(20)
    book = BatchBook()
    first = transactions[0].envelope.signatures[0]
    root, is_good = book.find_root(first, transactions[0].tx_id)
    assert not is_good
    book.mark_good(first, root)
    for transaction in transactions:
        assert book.find_root(transaction.envelope.signatures[0], transaction.tx_id) == (root, True)


@pytest.mark.parametrize("size", [2, 7, 100])
def test_no_change_of_a_path_passes_for_good(size):
    transactions = batch(size)
    book = BatchBook()
    for transaction in transactions:
        signature = transaction.envelope.signatures[0]
        book.mark_good(signature, book.find_root(signature, transaction.tx_id)[0])
    for transaction in transactions:
        signature = transaction.envelope.signatures[0]
        path = signature.batch
        mutants = [
            BatchPath(path.index, path.size, [*path.hashes, bytes(32)]),
            BatchPath(path.index, path.size, path.hashes[:-1]),
            BatchPath((path.index + 1) % size, path.size, path.hashes),
            BatchPath(path.index, path.size + 1, path.hashes),
        ]
        for at, sibling in enumerate(path.hashes):
            flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
            mutants.append(
                BatchPath(
                    path.index, path.size, [*path.hashes[:at], flipped, *path.hashes[at + 1 :]]
                )
            )
        for mutant in mutants:
            changed = Signature(signature.public_key, signature.signature, mutant)
            try:
                expected = root_from_inclusion(
                    leaf_hash(transaction.tx_id), mutant.index, mutant.size, mutant.hashes
                )
            except Rejected:
                with pytest.raises(Rejected) as caught:
                    book.find_root(changed, transaction.tx_id)
                assert caught.value.reason is Reason.BAD_BATCH_PATH
            else:
                assert book.find_root(changed, transaction.tx_id) == (expected, False)
        other = compute_tx_id(b"another body")
        assert book.find_root(signature, other)[1] is False


def test_another_key_or_signature_is_not_known():
    transactions = batch(10)
    book = BatchBook()
    signature = transactions[3].envelope.signatures[0]
    root, _ = book.find_root(signature, transactions[3].tx_id)
    book.mark_good(signature, root)
    for changed in (
        Signature(bytes(32), signature.signature, signature.batch),
        Signature(signature.public_key, bytes(64), signature.batch),
    ):
        assert book.find_root(changed, transactions[3].tx_id) == (root, False)
