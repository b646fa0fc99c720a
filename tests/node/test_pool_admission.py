"""What may wait in the pool, and what leaves it with a block."""

from __future__ import annotations

from types import SimpleNamespace

from contracts.execution import Candidate
from contracts.parties import PartyKey, PartyRecord
from ledger.signing import SeedSigner
from ledger.transaction import decode_transaction, sign_transaction
from node.driver import Driver, Identity
from node.ledger_store import open_ledger
from node.mempool import Mempool
from node.pool_admission import PoolAdmission
from sim.deployment import TIMING, make_deployment
from sim.disk import VirtualDirectory, VirtualStore
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
    chain = SimpleNamespace(header=SimpleNamespace(height=4), party=records.get)
    admission = PoolAdmission(chain, pool, lambda level, text: said.append(text))
    admission.block_applied([], ["contract/c-1"])
    assert len(pool) == 2
    admission.block_applied([], ["party/m-1"])
    assert [candidate.transaction.body.signers for candidate in pool.candidates()] == [["m-2"]]
    assert "party m-1 is revoked from height 5; this is 5" in said[0]


def test_the_pool_that_an_operator_limits_is_the_pool_that_is_used():
    """A pool begins empty, and an empty pool is false: its limits were once lost that way."""
    deployment = make_deployment(1)
    store, chain = open_ledger(VirtualDirectory("segments"), VirtualStore(), deployment.genesis)
    pool = Mempool(transactions_max=1)
    identity = Identity(0, deployment.genesis, deployment.signers[0])
    assert Driver(identity, chain, store, TIMING, pool=pool).pool is pool
