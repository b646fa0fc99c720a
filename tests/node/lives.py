"""A contract under terms lives on hand-stepped drivers: real facts, real law, real nodes."""

from __future__ import annotations

import json
from typing import Any

from contracts.custody import ContractRecord
from ledger.block import TransactionEntry, decode_entry
from ledger.hashing import sha256
from ledger.signing import SeedSigner, Signer
from ledger.transaction import Outcome, decode_transaction, encode_body, sign_transaction
from sim.deployment import REPLAY_WINDOW_MS
from tests.contracts.life_world import LOCKED, PERSONS, hash_of, load
from tests.node.driving import Drivers, Machine
from tests.node.snapshotting import JOINER, make_snapshot

ROLES = ("bank", "regulator", "regulator", "bank")
CARD = "contract/card-1"
AS_OF = "2024-01-20"
CUT = {"debited": 4800, "item": "cut", "units": 1}
PAGES = ("lpr-1y", "deposit-1y", "rest-days-2025", "rest-days-2026")


class Lives(Drivers):
    """Drivers of two banks and two regulators, of which three go on."""

    def __init__(self) -> None:
        super().__init__(roles=ROLES)
        self.count = 0

    def key(self, party: str) -> Signer:
        """The key of a party; each but the institutions has one by its name."""
        if party.startswith("bank-"):
            return self.deployment.signers[int(party[5:])].party
        return SeedSigner(sha256(party.encode()))

    def envelope(self, kind: str, stream: str, data: dict[str, Any], *signers: str) -> bytes:
        self.count += 1
        body = encode_body(
            data=data,
            kind=kind,
            not_after=self.now_ms + REPLAY_WINDOW_MS // 2,
            reference=f"{kind}-{self.count}",
            salt=sha256(b"life %d" % self.count).hex()[:32],
            signers=list(signers),
            stream=stream,
            version=1,
        )
        return sign_transaction(
            body, self.deployment.genesis.chain_id, [self.key(signer) for signer in signers]
        )

    def attempt(self, kind: str, stream: str, data: dict[str, Any], *signers: str) -> Outcome:
        """Have all that are up decide a transaction; return its outcome."""
        raw = self.envelope(kind, stream, data, *signers)
        tx_id = decode_transaction(raw).tx_id
        up = [machine for machine in self.machines if self.is_up(machine)]
        for machine in up:
            self.submit(machine.number, raw, is_local=machine is up[0])
        for _ in range(400):
            stored = [machine.store.entry(tx_id) for machine in up]
            if all(each is not None for each in stored):
                break
            self.tick(1, *(machine.number for machine in up))
        entries = {None if each is None else each.raw for each in stored}
        assert len(entries) == 1, f"{kind} is not the same, or not at all, on all that are up"
        (entry,) = entries
        assert entry is not None, f"{kind} is not decided"
        decoded = decode_entry(entry)
        assert isinstance(decoded, TransactionEntry)
        return decoded.outcome

    def is_up(self, machine: Machine) -> bool:
        return hasattr(machine, "driver") and machine.number not in self.down

    down: frozenset[int] = frozenset()

    def must(self, kind: str, stream: str, data: dict[str, Any], *signers: str) -> str:
        """Decide a transaction that has to be applied; return its id."""
        outcome = self.attempt(kind, stream, data, *signers)
        assert not outcome.refused, (kind, outcome)
        newest = self.machines[0].driver.chain.stream(stream).newest
        return newest.hex()

    def card(self, machine: Machine) -> ContractRecord:
        record = machine.driver.chain.stream(CARD).record
        assert isinstance(record, ContractRecord)
        return record

    def begin_life(self) -> None:
        """Publish what the law needs; sign, pay, deliver, and end the contract `CARD`."""
        for party, role in (("m-1", "merchant"), ("c-1", "consumer")):
            data = {"keys": [self.key(party).public_key.hex()], "party": party, "role": role}
            self.must("party.register", f"party/{party}", data, "bank-0")
        terms = load("terms/hair-card.v1.json")
        self.must("terms.publish", "terms/hair-card", {"document": terms}, "m-1")
        for name in PAGES:
            document = load(f"published/{name}.json")
            document.pop("position", None)
            stream = f"published/{document['series']}"
            self.must("data.publish", stream, {"document": document}, "bank-1")
        early = self.attempt("funds.locked", CARD, LOCKED, "bank-0")
        assert early.code == "unknown_contract", "also what came before the contract is read again"
        signing = {
            "card": "named", "consumer_party": "c-1", "custodian": "bank-0", "merchant": "m-1",
            "persons": PERSONS, "prompted": [], "terms": hash_of(terms),
        }  # fmt: skip
        self.must("contract.signed", CARD, signing, "m-1", "c-1")
        self.must("funds.locked", CARD, LOCKED, "bank-0")
        self.must("service.delivered", CARD, CUT, "m-1")
        disputed = self.must("service.delivered", CARD, CUT, "m-1")
        self.must("delivery.answered", CARD, {"answer": "objected", "of": disputed}, "c-1")
        self.must("risk.declared", "merchant/m-1", {}, "bank-1")
        self.notice = self.must("termination.requested", CARD, {"cure_until": None}, "c-1")

    def snapshot(self) -> None:
        """Have all that are up make one of their newest block."""
        for machine in self.machines:
            if self.is_up(machine):
                make_snapshot(machine)


def old_lives() -> Lives:
    """Three machines on which `CARD` lives, most of it longer ago than the replay window."""
    network = Lives()
    network.start(*range(JOINER))
    network.begin_life()
    network.grow(1)  # the last block before the window comes along
    network.now_ms += REPLAY_WINDOW_MS
    network.grow(2)
    network.must("cause.stated", CARD, {"cause": "merchant", "standing": "claim"}, "c-1")
    network.grow(1)
    network.snapshot()
    return network


def members(evidence: bytes) -> dict[str, Any]:
    """What an evidence file says of the chain, without the proofs of the day."""
    document: dict[str, Any] = json.loads(evidence)
    return {name: document[name] for name in ("contract", "entries", "kind", "law")}


__all__ = ["AS_OF", "CARD", "CUT", "Lives", "members", "old_lives"]
