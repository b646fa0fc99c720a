#!/usr/bin/env python3
"""Write `week.jsonl`: one invented week of prepaid cards at eight merchants.

Every run writes the same bytes: chance comes from a fixed seed and the clock is never asked. A line
is what a merchant's till would hand over: what happened, on which contract, under which reference,
and who has to sign. Salt, deadline and signatures are added when it is submitted. See README.md.

    python examples/make_week.py            writes week.jsonl beside this file
    python examples/make_week.py --check    exits 1 if week.jsonl is not what would be written
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from cli.demo import CONSUMER, GATEWAY, MERCHANTS, DemoSubmitter
from contracts.prepaid import compute_consumer_commitment

WEEK = Path(__file__).with_name("week.jsonl")
SEED = "evidence-ledger/example-week/1"
MONDAY = datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=8)))
CONTRACTS_PER_MERCHANT = 6

Line = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """What a merchant sells ahead."""

    item: str
    unit_fen: int
    units: int
    per_day_max: int
    """Deliveries of one contract on one day, at most."""
    first_hour: int
    last_hour: int
    channels: tuple[str, ...]


OFFERS = {
    "m-yoga": Offer("团课", 9_900, 20, 1, 7, 21, ("ecny", "wechat")),
    "m-art": Offer("素描课", 15_000, 24, 1, 9, 19, ("ecny", "bank")),
    "m-wash": Offer("标准洗车", 3_500, 10, 1, 8, 19, ("ecny", "wechat", "alipay")),
    "m-hair": Offer("剪发", 6_800, 8, 1, 10, 21, ("ecny", "alipay")),
    "m-pet": Offer("宠物洗护", 12_000, 6, 1, 10, 19, ("ecny", "wechat")),
    "m-noodle": Offer("午市套餐", 2_600, 30, 2, 11, 20, ("ecny", "wechat", "alipay")),
    "m-drive": Offer("科目二练车（小时）", 20_000, 16, 2, 8, 18, ("ecny", "bank")),
    "m-home": Offer("日常保洁（小时）", 5_500, 12, 3, 9, 18, ("ecny",)),
}


@dataclass
class Card:
    """One contract on its way through the week."""

    merchant: DemoSubmitter
    number: int
    opened: datetime
    attesters: dict[str, list[str]]
    locked: int = 0
    lines: list[Line] = field(default_factory=list)

    @property
    def stream(self) -> str:
        return f"contract/{self.merchant.party}-2026-{self.number:04d}"


class Week:
    """Writes the lines; every choice comes from one seeded source."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)
        self.references: dict[str, int] = {}

    def reference(self, party: str, at: datetime) -> str:
        """Return a party's next business reference."""
        count = self.references[party] = self.references.get(party, 0) + 1
        return f"{at:%Y%m%d}-{count:04d}"

    def moment(self, day: int, offer: Offer) -> datetime:
        """Return a time within opening hours."""
        minutes = self.chance.randrange(offer.first_hour * 60, offer.last_hour * 60)
        seconds = self.chance.randrange(60)
        return MONDAY + timedelta(days=day, minutes=minutes, seconds=seconds)

    def add(
        self, card: Card, kind: str, data: Line, at: datetime, signers: list[str], name: str = ""
    ) -> str:
        """Append a line to a card and return its reference."""
        reference = name or self.reference(signers[0], at)
        card.lines.append(
            {
                "kind": kind,
                "data": data,
                "stream": card.stream,
                "reference": reference,
                "signers": signers,
                "occurred_at": round(at.timestamp() * 1000),
            }
        )
        return reference

    def signers(self, card: Card, action: str) -> list[str]:
        """Return who signs: the roles that were agreed when the contract was opened."""
        party = {"merchant": card.merchant.party, "custodian": GATEWAY, "consumer": CONSUMER}
        return [party[role] for role in card.attesters[action]]

    def open(self, merchant: DemoSubmitter, number: int) -> Card:
        """Open a contract and pay the first package."""
        offer = OFFERS[merchant.party]
        opened = self.moment(self.chance.choice((0, 0, 0, 0, 1, 2)), offer)
        attesters = {"prepay": ["merchant"], "consume": ["merchant"], "refund": ["merchant"]}
        if merchant.industry in {"training", "driving"}:
            attesters["prepay"] = ["merchant", "custodian"]
        if merchant.industry in {"training", "housekeeping"}:
            attesters["refund"] = ["merchant", "custodian"]
        is_signing = merchant.industry == "fitness" and number == 1
        if is_signing:
            attesters["consume"] = ["merchant", "consumer"]
        card = Card(merchant, number, opened, attesters)
        secret = hashlib.sha256(f"{SEED}/{card.stream}".encode()).digest()
        data: Line = {
            "attesters": attesters,
            "consumer": compute_consumer_commitment(secret[:16], f"consumer-{number}").hex(),
            "custodian": GATEWAY,
            "industry": merchant.industry,
            "merchant": merchant.party,
            "provenance": {
                "generated_at": round(opened.timestamp() * 1000),
                "method": "api",
                "source": f"{merchant.party}-till",
            },
            "terms_hash": hashlib.sha256(f"{offer.item} x {offer.units}".encode()).hexdigest(),
        }
        if is_signing:
            data["consumer_party"] = CONSUMER
        self.add(card, "prepaid.open", data, opened, [merchant.party])
        self.prepay(card, opened + timedelta(minutes=self.chance.randrange(1, 6)))
        return card

    def prepay(self, card: Card, at: datetime) -> None:
        """Lock the money of one package; now and then the bank confirms it afterwards."""
        offer = OFFERS[card.merchant.party]
        amount = offer.unit_fen * offer.units * self.chance.choice((9, 10)) // 10
        channel = self.chance.choice(offer.channels)
        signers = self.signers(card, "prepay")
        data = {"amount": amount, "channel": channel, "item": f"{offer.item} × {offer.units}"}
        reference = self.add(card, "prepaid.prepay", data, at, signers)
        card.locked += amount
        if self.chance.random() < 0.7:
            told = at + timedelta(minutes=self.chance.randrange(2, 40))
            self.attest(card, "confirmed", signers[0], reference, told)

    def attest(self, card: Card, statement: str, party: str, reference: str, at: datetime) -> None:
        """Let the bank's gateway say something of an earlier line."""
        data = {"statement": statement, "tx_id": f"@{party}/{reference}"}
        self.add(card, "attest", data, at, [GATEWAY])

    def consume(self, card: Card, at: datetime, units: int) -> str:
        """Deliver, and release what it costs."""
        offer = OFFERS[card.merchant.party]
        amount = min(offer.unit_fen * units, card.locked)
        data: Line = {"amount": amount, "item": offer.item, "units": units}
        if self.chance.random() < 0.25:
            data["provenance"] = {
                "captured_at": round(at.timestamp() * 1000),
                "device": f"pos-{self.chance.randrange(1, 4)}",
                "method": "scan",
                "source": f"{card.merchant.party}-till",
            }
        reference = self.add(card, "prepaid.consume", data, at, self.signers(card, "consume"))
        card.locked -= amount
        return reference

    def live(self, card: Card) -> None:
        """Let the rest of the week happen to a card."""
        offer = OFFERS[card.merchant.party]
        for day in range(7):
            visits = self.chance.choice((0, 1, 1, offer.per_day_max))
            times = sorted(self.moment(day, offer) for _ in range(visits))
            for at in times:
                if round(at.timestamp() * 1000) > card.lines[-1]["occurred_at"] and card.locked:
                    self.consume(card, at, self.chance.choice((1, 1, 1, 2)))

    def refund(self, card: Card, at: datetime, amount: int) -> None:
        """Give back what is left, or part of it."""
        data = {"amount": amount, "channel": "ecny", "item": "退款"}
        self.add(card, "prepaid.refund", data, at, self.signers(card, "refund"))
        card.locked -= amount

    def lines(self) -> Iterator[Line]:
        """Yield the week's lines as they happened."""
        cards = [
            self.open(merchant, number)
            for number in range(1, CONTRACTS_PER_MERCHANT + 1)
            for merchant in MERCHANTS
        ]
        for card in cards:
            self.live(card)
        sunday = MONDAY + timedelta(days=6, hours=21, minutes=30)
        paying = [card for card in cards if card.locked > 100]
        for place, card in enumerate(self.chance.sample(paying, 8)):
            amount = card.locked if place % 2 else card.locked // 2
            self.refund(card, sunday + timedelta(minutes=2 * place), amount)
        self.break_rules(cards, sunday + timedelta(hours=1))
        yield from sorted(
            (line for card in cards for line in card.lines),
            key=lambda line: (line["occurred_at"], line["stream"], line["reference"]),
        )

    def break_rules(self, cards: list[Card], at: datetime) -> None:
        """Add what the ledger records as refused: the attempt is evidence too."""
        over, again, early, stranger, torn = self.chance.sample(cards[len(MERCHANTS) :], 5)
        for card, what in ((over, "prepaid.consume"), (torn, "prepaid.refund")):
            action = what.removeprefix("prepaid.")
            data = {"amount": card.locked + 100, "item": "超出余额"}
            self.add(card, what, data, at, self.signers(card, action))
        first = next(line for line in again.lines if line["kind"] == "prepaid.consume")
        data = {**first["data"], "amount": first["data"]["amount"] + 500}
        self.add(again, first["kind"], data, at, list(first["signers"]), first["reference"])
        self.add(early, "prepaid.open", early.lines[0]["data"], at, [early.merchant.party])
        other = next(m.party for m in MERCHANTS if m.party != stranger.merchant.party)
        self.add(stranger, "prepaid.consume", {"amount": 100, "item": "他店代扣"}, at, [other])
        nowhere = Card(over.merchant, 9999, at, over.attesters)
        self.add(nowhere, "prepaid.consume", {"amount": 100}, at, self.signers(over, "consume"))
        cards.append(nowhere)


def make_week() -> bytes:
    """Return the file's bytes."""
    return b"".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for line in Week().lines()
    )


def main() -> int:
    """Write the file, or compare it."""
    written = make_week()
    if "--check" in sys.argv[1:]:
        is_same = WEEK.exists() and WEEK.read_bytes() == written
        print(f"{WEEK.name} {'is' if is_same else 'is not'} what this script writes.")
        return 0 if is_same else 1
    WEEK.write_bytes(written)
    print(f"Wrote {written.count(bytes([10]))} lines to {WEEK}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
