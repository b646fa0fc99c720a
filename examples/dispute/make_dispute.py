#!/usr/bin/env python3
"""Write the dispute of docs/DISPUTE.md: a gym, forty consumers, a hidden debit, a freeze.

What is written are drafts as tills, a bank, a court and an authority would hand them over; salt,
deadline and signatures are added when they are submitted. Everything is invented. Consumers appear
as salted commitments; one of them, who objects, signs with a key of her own. Keys are drawn here
and belong to nobody.

    python examples/dispute/make_dispute.py ./gym      writes drafts and keys into a new folder
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[2]))

from contracts.prepaid import compute_consumer_commitment
from law.terms import read_terms
from ledger.signing import SeedSigner

HERE: Final = Path(__file__).parent
CONSUMERS: Final = 40
HIDDEN, FROZEN = 17, 23
"""Whose till debited sessions that she says she never took, and whose money a court froze."""
HIDDEN_UNITS: Final = 3
MERCHANT, COURT, CONSUMER = "m-lift", "court-lift", f"c-lift-{HIDDEN}"
BANK, REGULATOR = "bank-a", "regulator-a"
PRICE, FEN_A_SESSION, RELEASED_FEN = 200_000, 10_000, 9_000
"""Twenty sessions for 2,000.00; a tenth of each session's price is released at the end only."""

PAGES: Final = ("lpr-1y", "deposit-1y", "rest-days-2025", "rest-days-2026")
CHINA: Final = timezone(timedelta(hours=8))
Draft = dict[str, Any]


def taken(number: int) -> int:
    """Sessions that the consumer of this number took: 0 to 7."""
    return number % 8


def draft(
    kind: str,
    stream: str,
    reference: str,
    signers: list[str],
    data: dict[str, Any] | None = None,
    at: str = "",
) -> Draft:
    """Return one transaction as `evidence-ledger submit` reads it; `at` is China's time."""
    made: Draft = {
        "data": data or {},
        "kind": kind,
        "reference": reference,
        "signers": signers,
        "stream": stream,
    }
    if at:
        moment = datetime.strptime(at, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
        made["occurred_at"] = int(moment.timestamp()) * 1000
    return made


def register(keys: dict[str, str]) -> list[Draft]:
    """Register the gym and the consumer who signs (by the bank), and the court (by two)."""
    roles = {
        MERCHANT: ("merchant", [BANK]),
        CONSUMER: ("consumer", [BANK]),
        COURT: ("court", [REGULATOR, BANK]),
    }
    made = []
    for party, (role, registrars) in roles.items():
        key = SeedSigner(bytes.fromhex(keys[party])).public_key.hex()
        data = {"district": "", "keys": [key], "party": party, "role": role}
        made.append(
            draft("party.register", f"party/{party}", f"register-{party}", registrars, data)
        )
    return made


def publish() -> list[Draft]:
    """Publish the terms, and the rates and rest days that the law reads."""
    terms = json.loads((HERE / "gym-sessions.v1.json").read_text("utf-8"))
    stream = f"terms/{terms['template']['id']}"
    made = [draft("terms.publish", stream, "terms-gym-sessions", [BANK], {"document": terms})]
    for name in PAGES:
        page = json.loads((HERE.parent / "published" / f"{name}.json").read_text("utf-8"))
        page.pop("position", None)  # the ledger gives it
        stream = f"published/{page['series']}"
        reference = f"published-{name}"
        made.append(draft("data.publish", stream, reference, [REGULATOR], {"document": page}))
    return made


class Contract:
    """One consumer's contract and how its events are written."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = f"lift-{number:02}"
        salt = secrets.token_bytes(16)
        self.party = compute_consumer_commitment(salt, f"consumer {number}").hex()

    def event(
        self,
        kind: str,
        at: str,
        signers: list[str],
        data: dict[str, Any] | None = None,
        name: str = "",
    ) -> Draft:
        reference = f"{self.id}-{name or kind.partition('.')[2]}"
        return draft(kind, f"contract/{self.id}", reference, signers, data, at)

    def sign(self) -> Draft:
        terms = read_terms(json.loads((HERE / "gym-sessions.v1.json").read_text("utf-8")))
        nobody = ("payer", "beneficiary", "holder", "guardian", "lender", "franchisor", "landlord")
        data = {
            "card": "named",
            "custodian": BANK,
            "merchant": MERCHANT,
            "persons": {
                "age_band": "adult",
                "liquidation_obligor": None,
                "party": self.party,
                **dict.fromkeys(nobody),
            },
            "prompted": [],
            "terms": terms.hash,
        }
        if self.number == HIDDEN:
            return self.event(
                "contract.signed", "2025-09-06 10:00", [MERCHANT, CONSUMER],
                data | {"consumer_party": CONSUMER},
            )  # fmt: skip
        return self.event("contract.signed", "2025-09-06 10:00", [MERCHANT], data)

    def live(self) -> list[Draft]:
        """Signed, paid into custody, used, released in step with use; one consumer objects."""
        payment = {
            "account": None, "amount": PRICE, "bonus": 0, "channel": "ecny", "custody": "held",
            "vouchers": [],
        }  # fmt: skip
        made = [self.sign(), self.event("funds.locked", "2025-09-06 10:10", [BANK], payment)]
        units = taken(self.number)
        if units:
            made.append(self.deliver(units, "2025-12-20 19:00", "delivered"))
        if self.number == HIDDEN:
            made.append(self.deliver(HIDDEN_UNITS, "2026-01-05 23:40", "hidden"))
            units += HIDDEN_UNITS
        if units:
            released = {"amount": units * RELEASED_FEN}
            made.append(self.event("funds.released", "2026-01-06 00:00", [BANK], released))
        if self.number == HIDDEN:
            hidden = {"of": f"@{MERCHANT}/{self.id}-hidden"}
            request = {"of": f"@{CONSUMER}/{self.id}-requested"}
            made += [
                self.event(
                    "delivery.answered", "2026-01-08 20:00", [CONSUMER],
                    hidden | {"answer": "objected"},
                ),
                self.event(
                    "dispute.opened", "2026-01-08 20:05", [CONSUMER],
                    {"matter": "three-sessions-of-5-january", "note_hash": secrets.token_hex(32)},
                ),
                self.event(
                    "records.requested", "2026-01-08 20:10", [CONSUMER], {"until": "2026-01-20"}
                ),
                self.event(
                    "records.refused", "2026-01-12 17:00", [MERCHANT],
                    request | {"reason": "none-kept"},
                ),
            ]  # fmt: skip
        return made

    def deliver(self, units: int, at: str, name: str) -> Draft:
        data = {"debited": units * FEN_A_SESSION, "item": "session", "units": units}
        return self.event("service.delivered", at, [MERCHANT], data, name)

    def close(self) -> list[Draft]:
        """What follows the closing: the freeze, the complaint served, the cause found."""
        made = []
        if self.number == FROZEN:
            freeze = {
                "amount": 0,
                "authority": "example-court",
                "document": "(2026)示0305财保88号",
                "legal_basis": "民事诉讼法第一百零三条",
                "share_ppm": 1_000_000,
                "until": None,
            }
            made = [
                self.event("funds.frozen", "2026-01-20 15:00", [COURT], freeze),
                self.event(
                    "funds.released", "2026-02-01 00:00", [BANK], {"amount": RELEASED_FEN}, "late"
                ),
            ]
        return [
            *made,
            self.event("complaint.served", "2026-02-20 10:00", [COURT]),
            self.event(
                "cause.stated", "2026-03-10 10:00", [COURT],
                {"cause": "merchant", "standing": "finding"},
            ),
        ]  # fmt: skip

    def compute(self) -> Draft:
        return self.event("refund.computed", "2026-03-22 10:00", [BANK], {"as_of": "2026-03-22"})

    def pay(self) -> list[Draft]:
        """The principal, out of custody; what is disputed or frozen waits."""
        if self.number in (HIDDEN, FROZEN):
            return []
        amount = PRICE - taken(self.number) * FEN_A_SESSION
        data = {"amount": amount, "payee": self.party, "source": "custody"}
        return [self.event("refund.paid", "2026-03-22 15:00", [BANK], data, "paid")]


def gym() -> list[Draft]:
    """What befalls the gym as a whole."""
    stream = f"merchant/{MERCHANT}"
    return [
        draft("risk.declared", stream, "lift-risk", [REGULATOR], at="2026-01-14 09:00"),
        draft("liquidation.opened", stream, "lift-liquidation", [COURT], at="2026-03-15 10:00"),
    ]


def write(path: Path, drafts: list[Draft]) -> None:
    """Write drafts, one a line."""
    lines = [json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n" for each in drafts]
    path.write_text("".join(lines), "utf-8")


def main() -> None:
    """Write everything into a new folder."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    keys = {party: secrets.token_hex(32) for party in (MERCHANT, CONSUMER, COURT)}
    with open(os.open(folder / "keys.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(keys, file)
    contracts = [Contract(number) for number in range(1, CONSUMERS + 1)]
    write(folder / "1-parties.jsonl", register(keys) + publish())
    write(folder / "2-contracts.jsonl", [each for one in contracts for each in one.live()])
    write(folder / "3-closing.jsonl", gym() + [each for one in contracts for each in one.close()])
    write(folder / "4-owed.jsonl", [one.compute() for one in contracts])
    write(folder / "5-paid.jsonl", [each for one in contracts for each in one.pay()])


if __name__ == "__main__":
    main()
