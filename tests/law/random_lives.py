"""Random contracts and their lives, from a seed.

Everything a life holds is drawn from one `random.Random`, so a seed is a life. It draws terms of
every kind of deal, facts in any order the vocabulary allows, and published data with gaps; it knows
no rule of law.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

from tests.law.case_language import (
    CAUSES,
    Case,
    Document,
    bare_persons,
    bare_terms,
    instant,
)

FIRST_DAY = datetime.date(2025, 4, 20).toordinal()
ITEMS = ("lesson", "visit", "wash")
DAY_MS = 86_400_000
ANSWERS = [
    ("confirmed", "consumer"),
    ("confirmed", "merchant"),
    ("silence", "platform"),
    ("objected", "consumer"),
    ("objected", "consumer"),
    ("objected", "both"),
    ("reversed", "merchant"),
    ("reversed", "both"),
]
EDGES = (0, 9 * 60, 21 * 60, 21 * 60 + 1, 24 * 60 - 1)
"""Minutes of the day at which something turns: midnight, rates published, business closed."""


def make_life(seed: int) -> Case:
    """Return the life of a seed."""
    return Life(random.Random(seed)).make()


class Life:
    """Draws one life."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.facts: list[Document] = []
        self.position = 10
        self.deal: Document = {}
        self.terms = bare_terms(self.deal)
        self.items: list[str] = []
        self.last = FIRST_DAY
        self.is_calm = rng.randrange(10) < 7
        self.persons: Document = bare_persons("c", "m") | {"guardian": "g"}

    def make(self) -> Case:
        rng = self.rng
        self.draw_deal()
        self.draw_terms()
        self.signed_day = FIRST_DAY + rng.randrange(60)
        data = {"card": "named", "persons": self.persons, "prompted": [], "terms": "ab" * 32}
        self.add("contract.signed", self.signed_day, data, "merchant")
        self.draw_payments()
        self.draw_deliveries()
        self.draw_interruptions()
        self.draw_endings()
        self.draw_statements()
        self.draw_money()
        tail = rng.choice([0, 0, 0, 1, 2, 10]) if self.chance(97) else rng.choice([70, 400])
        as_of = max(self.last, self.signed_day) + tail
        rng.shuffle(self.facts)
        text = datetime.date.fromordinal(as_of).isoformat()
        return Case(self.terms, self.facts, self.draw_published(), text)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def event(self, percent: int) -> bool:
        """Whether something happens that most contracts never see; a calm life has half of it."""
        return self.rng.randrange(100) < (percent // 2 if self.is_calm else percent)

    def amount(self) -> int:
        rng = self.rng
        return rng.choice(
            [rng.randrange(1, 20), rng.randrange(1, 3000), 100 * rng.randrange(1, 90)]
        )

    def add(self, kind: str, day: int, data: Document, role: str = "consumer") -> Document:
        text = datetime.date.fromordinal(day).isoformat()
        minute = self.rng.choice(EDGES) if self.chance(40) else self.rng.randrange(24 * 60)
        at = instant(text, f"{minute // 60:02d}:{minute % 60:02d}")
        late = self.rng.choice([0, 0, 0, 60_000, 2 * DAY_MS])
        fact = {
            "at": at,
            "author": role,
            "data": data,
            "kind": kind,
            "position": self.position,
            "recorded": at + late,
            "role": role,
        }
        self.position += self.rng.randrange(1, 4)
        self.last = max(self.last, day)
        self.facts.append(fact)
        return fact

    def day(self) -> int:
        return self.signed_day + self.rng.choice([0, 1, 2, 6, 7, 8, 9, 12, 15, 20])

    # -- terms

    def draw_deal(self) -> None:
        rng = self.rng
        kind = rng.choice(
            ["counted_units", "milestone", "stored_value", "stored_value_bonus"]
            + ["period_pass", "unlimited"] * 2
        )
        self.deal["kind"] = kind
        if kind in ("counted_units", "milestone"):
            self.items = list(ITEMS[: rng.randrange(1, 4)])
            self.deal["lines"] = [self.draw_line(kind, item) for item in self.items]
        elif kind.startswith("stored"):
            self.items = list(ITEMS[: rng.randrange(0, 4)])
            self.deal["prices"] = []
            for item in self.items:
                price = self.amount()
                before = price + rng.randrange(200) if self.chance(50) else None
                row = {"item": item, "price": price, "undiscounted": before}
                self.deal["prices"].append(row)
            if kind == "stored_value_bonus":
                self.deal["tiers"] = [{"bonus": 10, "pay": 100}]
        else:
            self.draw_period()
        self.terms["items"] = [{"en": i, "id": i, "zh": i} for i in self.items]

    def draw_line(self, kind: str, item: str) -> Document:
        rng = self.rng
        units = 1 if kind == "milestone" else rng.randrange(1, 13)
        amount = self.amount() * rng.choice([1, units])
        before = -(-amount // units) + rng.randrange(60) if self.chance(50) else None
        bonus = rng.randrange(1, 6) if kind == "counted_units" and self.chance(35) else 0
        return {
            "amount": amount, "bonus": bonus, "item": item, "undiscounted": before, "units": units,
        }  # fmt: skip

    def draw_period(self) -> None:
        rng = self.rng
        price = self.amount()
        unit = rng.choice(["day", "month"])
        term: Document = {
            "begins": "activation",
            "counted_in": rng.choice(["day", unit]),
            "last": rng.choice(["used", "remaining"]),
            "length": rng.randrange(1, 120) if unit == "day" else rng.randrange(1, 13),
            "unit": unit,
        }
        if self.chance(60):
            start = FIRST_DAY + rng.randrange(70)
            term |= {"begins": "on_day", "start": datetime.date.fromordinal(start).isoformat()}
        before = price + rng.randrange(2000) if self.chance(50) else None
        self.deal |= {"price": price, "term": term, "undiscounted": before}

    def draw_terms(self) -> None:
        rng, terms = self.rng, self.terms
        terms["rounding"] = {
            "mode": rng.choice(["half_up", "half_up", "half_even", "up", "down"]),
            "unit": rng.choice([1, 1, 1, 10, 100]),
        }
        terms["interest"] = {
            "basis": rng.choice(["365", "360", "actual"]),
            "first_day": self.chance(30),
            "last_day": self.chance(70),
            "ppm": rng.choice([None, None, 0, 10_000, 123_456]),
            "start": rng.choice(["ended", "ended", "request", "first_payment", "formation"]),
        }
        terms["cooling_off"] = {
            "days": rng.choice([0, 7, 7, 7, 10, 30]),
            "despite_prior": self.chance(35),
            "use": rng.choice(["unsaid", "unsaid", "not_deducted", "discounted", "undiscounted"]),
        }
        terms["debts"] = rng.choice(["interest_first", "principal_first"])
        terms["spend_order"] = rng.choice(
            ["unsaid", "unsaid", "proportional", "bonus_first", "principal_first"]
        )
        terms["voucher"] = rng.choice(["unsaid", "pro_rata", "voucher_first"])
        terms["notices"] = rng.choice(["ledger", "other"])
        terms["closes"] = rng.choice([None, None, 21 * 60])
        if self.chance(40):
            terms["agreements"] = [self.draw_agreement() for _ in range(rng.randrange(1, 3))]

    def draw_agreement(self) -> Document:
        rng = self.rng
        when = rng.sample(CAUSES, rng.randrange(1, 4))
        what = rng.choice(["value_at", "value_at", "prices", "share", "fee"])
        if what == "value_at":
            return {"basis": rng.choice(["discounted", "undiscounted"]), "what": what, "when": when}
        if what == "prices":
            names = self.items or ["pass"]
            rows = [{"item": i, "price": self.amount()} for i in names if self.chance(70)]
            rows = rows or [{"item": names[0], "price": self.amount()}]
            return {"prices": rows, "what": what, "when": when}
        den = rng.randrange(1, 12)
        return {"den": den, "num": rng.randrange(0, den + 1), "what": what, "when": when}

    # -- facts

    def draw_payments(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            vouchers = []
            if self.event(30):
                names = rng.sample(["city", "bank", "m"], rng.randrange(1, 3))
                vouchers = [{"amount": self.amount(), "issuer": name} for name in names]
            custody = rng.choice(["none", "held", "ordered"])
            bonus = self.amount() if self.deal["kind"] == "stored_value_bonus" else 0
            data = {
                "account": None if custody == "none" else rng.choice(["a-1", "a-2"]),
                "amount": self.amount() * rng.choice([1, 3]),
                "bonus": bonus,
                "channel": "ecny",
                "custody": custody,
                "vouchers": vouchers,
            }
            role = "merchant" if custody == "none" and data["amount"] % 2 else "custodian"
            self.add("funds.locked", self.signed_day + rng.choice([0, 0, 3, 20]), data, role)

    def draw_deliveries(self) -> None:
        rng = self.rng
        names = [*self.items, "other"] if self.items else ["other"]
        for _ in range(rng.choice([0, 1, 2, 3, 6])):
            name = rng.choice(names if self.chance(20) else names[:-1] or names)
            data = {"debited": self.amount(), "item": name, "units": rng.randrange(0, 5)}
            fact = self.add("service.delivered", self.day(), data, "merchant")
            while self.event(30):
                answer, role = rng.choice(ANSWERS)
                data = {"answer": answer, "of": fact["position"]}
                self.add("delivery.answered", self.day(), data, role)
        for _ in range(rng.choice([0, 0, 1, 2])):
            data = {"item": rng.choice(names), "price": self.amount()}
            self.add("price.changed", self.day(), data, rng.choice(["merchant", "both"]))
        if self.chance(15):
            self.add("gift.given", self.day(), {"item": "towel", "worth": 59}, "merchant")

    def draw_interruptions(self) -> None:
        if "price" not in self.deal:
            return
        if self.chance(80):
            self.add("card.activated", self.day(), {}, "merchant")
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            day = self.day()
            who = ["merchant", "consumer", "district", "both", "consumer_council"]
            self.add("service.stopped", day, {}, self.rng.choice(who))
            if self.chance(60):
                resumed = day + self.rng.randrange(0, 30)
                self.add("service.resumed", resumed, {}, self.rng.choice(who))

    def draw_endings(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 1, 1, 2])):
            notice = self.add("termination.requested", self.day(), {"cure_until": None})
            if self.chance(20):
                notice["data"]["cure_until"] = notice["at"] + rng.randrange(20) * DAY_MS
            self.arrive(notice)
        if self.event(30):
            self.add("complaint.served", self.day(), {}, "court")
        if self.chance(6):
            self.add("termination.agreed", self.day(), {}, "both")
        if self.chance(8):
            day = datetime.date.fromordinal(self.day()).isoformat()
            self.add("termination.judged", self.day(), {"day": day}, "court")
        if self.event(40):
            day = self.signed_day + rng.choice([5, 6, 7, 7, 8, 8, 9, 10, 11, 30])
            self.arrive(self.add("cooling_off.requested", day, {}))
        if self.event(20):
            ground = rng.choice(["capacity", "capacity", "void", "revoked", "not_effective"])
            self.add("invalidity.found", self.day(), {"ground": ground}, "court")

    def arrive(self, notice: Document) -> None:
        if self.chance(50):
            day = FIRST_DAY + (notice["at"] // DAY_MS - 20_198) + self.rng.randrange(0, 9)
            self.add("notice.arrived", day, {"of": notice["position"]}, "merchant")

    def draw_statements(self) -> None:
        rng = self.rng
        finder = ["court", "regulator", "both", "merchant", "consumer"]

        def say(percent: int, kind: str, data: Any, roles: list[str]) -> None:
            while self.event(percent):
                self.add(kind, self.day(), data(), rng.choice(roles))

        def standing() -> str:
            return rng.choice(["claim", "finding"])

        say(
            30,
            "cause.stated",
            lambda: {"cause": rng.choice(CAUSES), "standing": standing()},
            finder,
        )
        say(30, "price.disputed", dict, ["consumer"])
        names = self.items or ["pass"]
        say(
            55,
            "market_price.stated",
            lambda: {"item": rng.choice(names), "price": self.amount(), "standing": standing()},
            finder,
        )
        say(
            10,
            "sales_records.produced",
            lambda: {"items": rng.sample(names, rng.randrange(1, len(names) + 1))},
            ["merchant"],
        )
        say(
            35,
            "prior_use.stated",
            lambda: {
                "from": rng.choice(["none", "this_merchant", "other_merchant"]),
                "standing": standing(),
            },
            finder,
        )
        say(20, "deduction.claimed", dict, ["merchant"])
        say(
            20,
            "minor_service.stated",
            lambda: {"standing": standing(), "unlawful": self.chance(60)},
            finder,
        )
        say(20, "actual_rate.requested", dict, ["consumer"])

    def draw_money(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 2])):
            self.add("funds.released", self.day(), {"amount": self.amount()}, "custodian")
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            data = {
                "amount": self.amount(),
                "payee": rng.choice(["c", "c", "c", "city"]),
                "source": rng.choice(["custody", "merchant"]),
            }
            role = rng.choice(["custodian", "custodian", "merchant", "consumer", "both"])
            self.add("refund.paid", self.day() + rng.randrange(40), data, role)
        if self.chance(10):
            self.add("funds.frozen", self.day(), {"amount": 100, "until": None}, "court")

    # -- published data

    def draw_published(self) -> list[Document]:
        rng = self.rng
        pages: list[Document] = []

        def page(series: str, **more: Any) -> None:
            pages.append(
                {
                    "format": "evidence-ledger/published",
                    "position": len(pages) + 1,
                    "series": series,
                    "source": "random",
                    "version": 1,
                    **more,
                }
            )

        for series in ("lpr_1y", "deposit_1y"):
            for _ in range(rng.choice([0, 1, 1, 2])):
                points = [
                    {
                        "ppm": rng.randrange(0, 60_000),
                        "published": instant(
                            datetime.date.fromordinal(
                                FIRST_DAY + rng.randrange(-90, 70)
                            ).isoformat(),
                            "09:00",
                        ),
                    }
                    for _ in range(rng.randrange(1, 4))
                ]
                page(series, points=points)
        for name in ("a-1", "a-2"):
            if self.chance(85):
                days = [FIRST_DAY + rng.randrange(-40, 150) for _ in range(rng.randrange(1, 4))]
                points = [
                    {
                        "from": datetime.date.fromordinal(day).isoformat(),
                        "ppm": rng.randrange(0, 9_000),
                    }
                    for day in days
                ]
                page(f"account/{name}", points=points)
        for year in (2025, 2026):
            start = datetime.date(year, 1, 1).toordinal()
            near = range(FIRST_DAY - start, FIRST_DAY - start + 120) if year == 2025 else range(365)
            # A seed of its own: so many draws that mean little would drown the ones that matter.
            days = [start + n for n in random.Random(rng.randrange(10**6)).sample(near, 45)]
            texts = [datetime.date.fromordinal(day).isoformat() for day in days]
            page(
                "rest_days",
                published=0,
                rest=sorted(texts[:28]),
                worked=sorted(texts[28:]),
                year=year,
            )
        rng.shuffle(pages)
        return pages
