"""One well-formed example of every event's data, and who signs it."""

from __future__ import annotations

from typing import Any

from tests.contracts.life_world import LOCKED, PERSONS

OF = "0f" * 32
HASH = "cd" * 32

SAMPLES: dict[str, dict[str, Any]] = {
    "contract.signed": {
        "card": "named",
        "consumer_party": "c-1",
        "custodian": "bank-0",
        "merchant": "m-1",
        "persons": PERSONS,
        "prompted": [{"clause": "term", "proof": HASH}],
        "terms": HASH,
    },
    "wallet.opened": {"account": "acc-1", "legal_basis": "deposit", "wallet_kind": "soft"},
    "funds.locked": {**LOCKED, "vouchers": [{"issuer": "district-fund", "amount": 500}]},
    "funds.released": {"amount": 100},
    "funds.frozen": {
        "amount": 100,
        "authority": "市场监管局",
        "document": "2026-17",
        "legal_basis": "行政强制法 art. 29",
        "until": None,
    },
    "funds.unfrozen": {"of": OF},
    "interest.accrued": {"amount": 3},
    "interest.paid": {"amount": 3, "payee": PERSONS["party"]},
    "card.reissued": {"of": OF},
    "service.delivered": {"debited": 4800, "item": "cut", "units": 1},
    "delivery.answered": {"answer": "confirmed", "of": OF},
    "gift.given": {"item": "shampoo", "worth": 3000},
    "price.changed": {"item": "cut", "price": 5000},
    "termination.requested": {"cure_until": None},
    "termination.judged": {"day": "2026-01-05"},
    "invalidity.found": {"ground": "void"},
    "notice.arrived": {"of": OF},
    "prior_use.stated": {"from": "none", "standing": "claim"},
    "cause.stated": {"cause": "merchant", "standing": "claim"},
    "ground.stated": {"ground": "breach", "standing": "claim"},
    "minor_service.stated": {"standing": "claim", "unlawful": False},
    "sales_records.produced": {"items": ["cut"]},
    "market_price.stated": {"item": "cut", "price": 6000, "standing": "claim"},
    "assignment.notified": {"assignee": HASH, "whole": False},
    "balance.forfeited": {"amount": 10},
    "refund.computed": {"as_of": "1970-01-20"},
    "findings.computed": {"as_of": "1970-01-20", "packs": []},
    "refund.paid": {"amount": 50, "payee": "ab" * 32, "source": "custody"},
    "records.requested": {"until": "2026-01-20"},
    "records.produced": {"of": OF},
    "records.refused": {"of": OF, "reason": "lost"},
    "dispute.opened": {"matter": "closed-shop", "note_hash": HASH},
    "dispute.resolved": {"matter": "settled", "note_hash": HASH},
    "evidence.attached": {"hash": HASH, "what": "photo"},
    "court.linked": {"case_number": "2026-粤0305-民初-1", "court": "nanshan"},
    "finance.linked": {
        "amount": 10_000,
        "consent": HASH,
        "institution": "insurer-1",
        "number_hash": HASH,
        "what": "insurance_policy",
    },
    "financing.linked": {
        "amount": 5_000_000,
        "consent": HASH,
        "institution": "bank-0",
        "number_hash": HASH,
        "what": "loan",
    },
    "closing.notified": {"effective": "2026-02-01"},
    "moving.notified": {"effective": "2026-02-01"},
    "balance.reported": {
        "balance": 1_000_000,
        "custody": 300_000,
        "issuer_class": "brand",
        "quarter_end": "2026-03-31",
    },
}
"""Events that are not here carry nothing."""

SIGNER_OF = {
    "consumer": ("c-1",),
    "merchant": ("m-1",),
    "custodian": ("bank-0",),
    "issuer": ("pay-1",),
    "platform": ("platform-1",),
    "consumer_council": ("bank-4",),
    "district": ("bank-3",),
    "regulator": ("bank-1", "bank-2"),
    "arbitrator": ("arbitrator-1",),
    "court": ("court-1",),
    "both": ("m-1", "c-1"),
}
"""Who signs in a role; two regulators, as a freeze wants it."""
