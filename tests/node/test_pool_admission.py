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
    keys = [PartyKey(SIGNER.public_key, 0, 0, ["bank"])]
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


def test_a_key_found_valid_for_one_block_is_asked_about_again_for_the_next():
    door = Door()
    assert door.admission.admit(door.candidates(1_400), now_ms=1_000, is_local=True)
    door.end_key(5)
    door.admission.block_applied([], ["party/m-1"])
    assert len(door.pool) == 0
    assert not door.admission.admit(door.candidates(1_401), now_ms=1_000, is_local=True)


def test_the_pool_that_an_operator_limits_is_the_pool_that_is_used():
    """A pool begins empty, and an empty pool is false: its limits were once lost that way."""
    deployment = make_deployment(1)
    store, chain = open_ledger(VirtualDirectory("segments"), VirtualStore(), deployment.genesis)
    pool = Mempool(transactions_max=1)
    identity = Identity(0, deployment.genesis, deployment.signers[0])
    assert Driver(identity, chain, store, TIMING, pool=pool).pool is pool


def test_a_key_that_ends_takes_no_promise_along():
    """A party with two keys had one envelope relayed and submitted the other; when the first one's
    key ended the node forgot what it had promised, and the party held the receipt."""
    door = Door()
    second = SeedSigner(b"t" * 32)
    door.party.keys.append(PartyKey(second.public_key, 0, 0, ["bank"]))
    door.admission.admit(door.candidates(1_400), now_ms=1_000, is_local=False)
    promised = door.candidates(1_400, second)
    door.admission.admit(promised, now_ms=1_000, is_local=True)
    door.end_key(5)
    door.admission.block_applied([], ["party/m-1"])
    assert list(door.pool.candidates()) == promised


# A clock that is wrong


class Door:
    """An admission over a chain whose time the test sets, with one party that may sign."""

    def __init__(self):
        keys = [PartyKey(SIGNER.public_key, 0, 0, ["bank"])]
        party = PartyRecord("m-1", "merchant", "", "bank", 0, 0, keys)
        self.header = SimpleNamespace(height=4, time_ms=1_000)
        limits = SimpleNamespace(replay_window_ms=500)
        reader = SimpleNamespace(references=lambda keys: [None] * len(keys))
        chain = SimpleNamespace(
            header=self.header, party={"m-1": party}.get, limits=limits, reader=reader
        )
        self.pool = Mempool()
        self.admission = PoolAdmission(chain, self.pool, lambda level, text: None)
        self.party = party

    def end_key(self, height):
        self.party.keys[0] = PartyKey(SIGNER.public_key, 0, height, ["bank"])

    def candidates(self, not_after, signer=SIGNER):
        return [
            Candidate(decode_transaction(sign_transaction(body, b"c" * 32, [signer])), None, None)
            for body in make_bodies(1, not_after=not_after)
        ]


def test_a_clock_that_jumped_ahead_does_not_break_a_promise():
    """An hour ahead for a second, a node once dropped all it had promised."""
    door = Door()
    door.admission.admit(door.candidates(1_400), now_ms=1_000, is_local=True)
    assert door.admission.has_work
    door.admission.purge(now_ms=3_600_000, skew_ms=10)
    assert len(door.pool) == 1
    assert not door.admission.has_work, "nothing to wait for, as far as this clock knows"
    door.admission.purge(now_ms=1_100, skew_ms=10)
    assert door.admission.has_work
    door.header.time_ms = 1_401
    door.admission.purge(now_ms=1_100, skew_ms=10)
    assert len(door.pool) == 0, "the chain itself says that it is too late"


def test_what_is_not_promised_goes_by_this_clock():
    door = Door()
    door.admission.admit(door.candidates(1_400), now_ms=1_000, is_local=False)
    door.admission.purge(now_ms=3_600_000, skew_ms=10)
    assert len(door.pool) == 0
    door.admission.admit(door.candidates(1_400), now_ms=3_600_000, is_local=False)
    assert len(door.pool) == 0


def test_a_restart_under_a_wrong_clock_takes_back_what_was_promised():
    for now_ms in (0, 3_600_000):
        door = Door()
        assert door.admission.admit(door.candidates(1_400), now_ms=now_ms, is_local=True)
        assert len(door.pool) == 1
    late = Door()
    assert not late.admission.admit(late.candidates(999), now_ms=0, is_local=True)
