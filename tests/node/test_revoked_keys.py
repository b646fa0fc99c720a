"""A block that ends a party's keys takes what waits under them out of the pool."""

from __future__ import annotations

from types import SimpleNamespace

from contracts.execution import Candidate
from contracts.parties import PartyKey, PartyRecord
from ledger.signing import SeedSigner
from ledger.transaction import decode_transaction, sign_transaction
from node.driver import Driver
from node.mempool import Mempool
from tests.node.bodies import make_bodies

SIGNER = SeedSigner(b"s" * 32)


def test_only_what_its_party_can_no_longer_sign_leaves_the_pool():
    pool = Mempool()
    for party in ("m-1", "m-2"):
        body = make_bodies(1, party=party)[0]
        raw = sign_transaction(body, b"c" * 32, [SIGNER])
        pool.add(Candidate(decode_transaction(raw), None, None), is_local=True, now_ms=0)
    keys = [PartyKey(SIGNER.public_key, 0, 0)]
    records = {
        "m-1": PartyRecord("m-1", "merchant", "", "bank", 0, 5, keys),
        "m-2": PartyRecord("m-2", "merchant", "", "bank", 0, 0, keys),
    }
    said = []
    driver = SimpleNamespace(
        pool=pool,
        chain=SimpleNamespace(header=SimpleNamespace(height=4), party=records.get),
        _valid_keys=set(),
        _say=lambda level, text: said.append(text),
    )
    Driver._drop_revoked(driver, ["contract/c-1"])
    assert len(pool) == 2
    Driver._drop_revoked(driver, ["party/m-1"])
    assert [candidate.transaction.body.signers for candidate in pool.candidates()] == [["m-2"]]
    assert "party m-1 is revoked from height 5; this is 5" in said[0]
