"""A chain on which contracts live under terms, and the shortest way to their events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.custody import ContractRecord, CustodianRecord, MerchantRecord
from law.canonical import compute_hash, encode
from ledger.transaction import Outcome
from tests.contracts.world import CARD, World

ROOT = Path(__file__).parents[2]
ROLES = ("bank", "regulator", "regulator", "district", "consumer_council")
"""Of `bank-0` to `bank-4`; all of them are of the district nanshan."""
PERSONS: dict[str, Any] = {
    "age_band": "adult",
    "beneficiary": None,
    "franchisor": None,
    "guardian": None,
    "holder": None,
    "landlord": None,
    "lender": None,
    "liquidation_obligor": None,
    "party": "ab" * 32,
    "payer": None,
}
LOCKED: dict[str, Any] = {
    "account": None,
    "amount": 100_000,
    "bonus": 0,
    "channel": "ecny",
    "custody": "held",
    "vouchers": [],
}


def load(name: str) -> dict[str, Any]:
    """A document of `examples/`."""
    document: dict[str, Any] = json.loads((ROOT / "examples" / name).read_text("utf-8"))
    return document


def hash_of(document: dict[str, Any]) -> str:
    return compute_hash(encode(document))


class LifeWorld(World):
    """`World` with a bank, two regulators, a district and a consumer council; `HAIR` published."""

    def __init__(self) -> None:
        super().__init__(count=len(ROLES), roles=ROLES)
        self.commit(
            self.registration("m-1"),
            self.registration("m-2"),
            self.registration("c-1", "consumer"),
            self.registration("court-1", "court", by="bank-1 bank-4"),
            self.registration("g-1", "gateway"),
        )
        self.terms = load("terms/hair-card.v1.json")
        self.must("terms.publish", "terms/hair-card", {"document": self.terms}, "m-1")

    def must(self, kind: str, stream: str, data: dict[str, Any], *signers: str) -> str:
        """Commit a transaction that has to be applied; return its id."""
        envelope = self.submit(kind, stream, data, *signers)
        outcome = self.run(envelope)[0]
        if outcome.refused:
            raise AssertionError(f"{kind}: {outcome}")
        return self.block.rows[0].tx_id.hex()

    def event(self, kind: str, data: dict[str, Any] | None = None, *signers: str) -> Outcome:
        """Commit an event of `CARD`; the merchant signs where nobody is named."""
        return self.one(kind, CARD, data or {}, *(signers or ("m-1",)))

    def done(self, kind: str, data: dict[str, Any] | None = None, *signers: str) -> str:
        """Commit an event of `CARD` that has to be applied; return its transaction's id."""
        return self.must(kind, CARD, data or {}, *(signers or ("m-1",)))

    def sign(self, **changes: Any) -> Outcome:
        data = self.signing() | changes
        return self.event("contract.signed", data, "m-1", "c-1")

    def signing(self) -> dict[str, Any]:
        return {
            "card": "named",
            "consumer_party": "c-1",
            "custodian": "bank-0",
            "merchant": "m-1",
            "persons": PERSONS,
            "prompted": [],
            "terms": hash_of(self.terms),
        }

    def publish_data(self, more_ppm: int = 0) -> None:
        """Publish rates, each so much higher than it was, and rest days."""
        for name in ("lpr-1y", "deposit-1y", "rest-days-2025", "rest-days-2026"):
            document = load(f"published/{name}.json")
            document.pop("position", None)
            for point in document.get("points", ()):
                point["ppm"] += more_ppm
            stream = f"published/{document['series']}"
            self.must("data.publish", stream, {"document": document}, "bank-1")

    @property
    def card(self) -> ContractRecord:
        record = self.record(CARD)
        assert isinstance(record, ContractRecord)
        return record

    @property
    def merchant(self) -> MerchantRecord:
        record = self.record("merchant/m-1")
        assert isinstance(record, MerchantRecord)
        return record

    @property
    def custodian(self) -> CustodianRecord:
        record = self.record("custodian/bank-0")
        assert isinstance(record, CustodianRecord)
        return record


def paid_world(**changes: Any) -> LifeWorld:
    """`CARD` signed by merchant and consumer, and 1,000 yuan in custody."""
    world = LifeWorld()
    outcome = world.sign()
    if outcome.refused:
        raise AssertionError(str(outcome))
    world.done("funds.locked", LOCKED | changes, "bank-0")
    return world


def effects(outcome: Outcome) -> dict[str, int | str]:
    return dict(outcome.effects)


def findings(outcome: Outcome) -> Sequence[str]:
    return [str(value) for name, value in outcome.effects if name == "finding"]


__all__ = [
    "CARD",
    "LOCKED",
    "PERSONS",
    "LifeWorld",
    "effects",
    "findings",
    "hash_of",
    "load",
    "paid_world",
]
