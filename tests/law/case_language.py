"""The words of docs/REFUND-CASES.md: sentences to terms, facts and published data, and back.

One sentence is one clause of the terms or one fact; positions are given in the order of the row.
It knows no rule of law: whatever a row leaves out is at the default that the document states.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

MS = 60_000
POSITION_FIRST = 10
CAUSES = ["consumer", "merchant", "neither"]
ANSWERS = (
    ("objected", "objected", "consumer"),
    ("withdrawn", "confirmed", "consumer"),
    ("insisted", "confirmed", "merchant"),
    ("reversed", "reversed", "merchant"),
)

Document = dict[str, Any]


def instant(day: str, clock: str) -> int:
    """Milliseconds since 1970 of a time in China."""
    hours, minutes = clock.split(":")
    date = datetime.date.fromisoformat(day)
    days = date.toordinal() - datetime.date(1970, 1, 1).toordinal()
    return ((days * 24 + int(hours) - 8) * 60 + int(minutes)) * MS


def fen(text: str) -> int:
    amount = Fraction(text) * 100
    if amount.denominator != 1:
        raise AssertionError(f"{text} yuan is no whole number of fen")
    return int(amount)


def bare_terms(deal: Document) -> Document:
    """Terms in which everything but the deal is at its default."""
    return {
        "agreements": [],
        "clauses": [],
        "closes": None,
        "cooling_off": {"days": 7, "despite_prior": False, "use": "unsaid"},
        "deal": deal,
        "debts": "interest_first",
        "disputes": {"en": "as the law says", "forum": "statutory", "zh": "依法"},
        "expiry": {"after": "reactivates", "months": None},
        "format": "evidence-ledger/terms",
        "industry": "training",
        "interest": {
            "basis": "365",
            "first_day": False,
            "last_day": True,
            "ppm": None,
            "start": "ended",
        },
        "items": [],
        "legal_basis": {"custody": "none", "en": "", "zh": ""},
        "liability": {"en": "as the law says", "zh": "依法承担"},
        "notices": "ledger",
        "price_changes": "with_consent",
        "refund": {"en": "to the way of payment", "within_days": 15, "zh": "原路退回"},
        "reissue": "free",
        "release": {"every": "unit", "frozen_ppm": 0},
        "rounding": {"mode": "half_up", "unit": 1},
        "spend_order": "unsaid",
        "template": {"id": "case", "version": 1},
        "title": {"en": "case", "zh": "案例"},
        "transfer": "free",
        "version": 1,
        "voucher": "unsaid",
    }


def bare_persons(party: str, merchant: str) -> Document:
    """Persons of a contract between two, and nobody else in it."""
    others = ("beneficiary", "franchisor", "guardian", "holder", "landlord", "lender")
    return {
        **dict.fromkeys((*others, "liquidation_obligor", "payer")),
        "age_band": "adult",
        "merchant": merchant,
        "party": party,
    }


@dataclass
class Case:
    """One row, as an engine is given it."""

    terms: Document
    facts: list[Document] = field(default_factory=list)
    published: list[Document] = field(default_factory=list)
    as_of: str = ""


class Reader:
    """Reads one row's facts."""

    def __init__(self, published: list[Document]) -> None:
        self.deal: Document = {}
        self.terms = bare_terms(self.deal)
        self.facts: list[Document] = []
        self.published = list(published)
        self.account: list[Document] = []
        self.signed: tuple[str, str] | None = None
        self.signed_recorded = ""
        self.as_of = ""
        self.days: list[str] = []
        self.persons: Document = bare_persons("consumer", "merchant")

    def read(self, text: str) -> Case:
        for sentence in text.split(";"):
            words = sentence.split()
            self.days += [w for w in words if re.fullmatch(r"\d{4}-\d\d-\d\d", w)]
            getattr(self, "on_" + words[0].replace("-", "_"))(words[1:])
        first = next(f for f in self.facts if f["kind"] == "funds.locked")
        if self.signed is None:
            at = first["at"] - 60 * MS
        else:
            at = instant(*self.signed)
        data = {"card": "named", "persons": self.persons, "prompted": [], "terms": "00" * 32}
        self.facts.insert(0, self.fact("contract.signed", at, data, "merchant", position=9))
        if self.signed_recorded:
            self.facts[0]["recorded"] = instant(self.signed_recorded, "10:00")
        names = {row["item"] for row in self.deal.get("lines", []) + self.deal.get("prices", [])}
        self.terms["items"] = [{"en": name, "id": name, "zh": name} for name in sorted(names)]
        if self.account:
            series = "account/a-1"
            self.published.append(self.page(series, points=self.account))
        if not self.as_of:
            self.as_of = max(self.days)
        return Case(self.terms, self.facts, self.published, self.as_of)

    def page(self, series: str, **more: Any) -> Document:
        return {
            "format": "evidence-ledger/published",
            "position": len(self.published) + 1,
            "series": series,
            "source": "case",
            "version": 1,
            **more,
        }

    def fact(
        self, kind: str, at: int, data: Document, role: str = "consumer", position: int = -1
    ) -> Document:
        return {
            "at": at,
            "author": role,
            "data": data,
            "kind": kind,
            "position": POSITION_FIRST + len(self.facts) if position < 0 else position,
            "recorded": at,
            "role": role,
        }

    def add(self, kind: str, words: list[str], data: Document, role: str = "consumer") -> Document:
        """Add a fact; its day, and perhaps the time, stand somewhere among the words."""
        place = next(n for n, w in enumerate(words) if re.fullmatch(r"\d{4}-\d\d-\d\d", w))
        clock = "12:00"
        if words[place + 1 : place + 2] and re.fullmatch(r"\d\d:\d\d", words[place + 1]):
            clock = words[place + 1]
        elif kind == "funds.locked":
            clock = "10:00"
        self.facts.append(self.fact(kind, instant(words[place], clock), data, role))
        return self.facts[-1]

    # -- the deal

    def on_units(self, words: list[str]) -> None:
        item, units, _, amount = words[:4]
        rest = words[4:]
        bonus = int(rest.pop(0)) if rest and rest[0].startswith("+") else 0
        self.line("counted_units", item, int(units), amount, bonus, rest)

    def on_stage(self, words: list[str]) -> None:
        item, _, amount = words[:3]
        self.line("milestone", item, 1, amount, 0, words[3:])

    def line(
        self, kind: str, item: str, units: int, amount: str, bonus: int, rest: list[str]
    ) -> None:
        self.deal["kind"] = kind
        self.deal.setdefault("lines", []).append(
            {
                "amount": fen(amount),
                "bonus": bonus,
                "item": item,
                "undiscounted": fen(rest[1]) if rest else None,
                "units": units,
            }
        )

    def on_card(self, words: list[str]) -> None:
        self.deal |= {"kind": "stored_value", "prices": []}

    def on_price(self, words: list[str]) -> None:
        before = fen(words[3]) if words[2:] else None
        row = {"item": words[0], "price": fen(words[1]), "undiscounted": before}
        self.deal["prices"].append(row)

    def on_unlimited(self, words: list[str], kind: str = "unlimited") -> None:
        length, unit, _, start, _, amount = words[:6]
        rest = words[6:]
        self.deal |= {
            "kind": kind,
            "price": fen(amount),
            "term": {
                "begins": "activation",
                "counted_in": "day",
                "last": "used",
                "length": int(length),
                "unit": unit.removesuffix("s"),
            },
            "undiscounted": fen(rest[1]) if rest else None,
        }
        if start != "activation":
            self.deal["term"] |= {"begins": "on_day", "start": start}

    def on_pass(self, words: list[str]) -> None:
        self.on_unlimited(words, "period_pass")

    # -- the terms

    def on_round(self, words: list[str]) -> None:
        self.terms["rounding"] = {"mode": words[0], "unit": fen(words[1])}

    def on_basis(self, words: list[str]) -> None:
        self.terms["interest"]["basis"] = words[0]

    def on_rate(self, words: list[str]) -> None:
        self.terms["interest"]["ppm"] = self.ppm(words[0])

    @staticmethod
    def ppm(text: str) -> int:
        return int(Fraction(text.removesuffix("%")) * 10_000)

    def on_start(self, words: list[str]) -> None:
        self.terms["interest"]["start"] = words[0]

    def on_debt(self, words: list[str]) -> None:
        self.terms["debts"] = words[0]

    def on_order(self, words: list[str]) -> None:
        self.terms["spend_order"] = words[0]

    def on_voucher(self, words: list[str]) -> None:
        self.terms["voucher"] = words[0]

    def on_window(self, words: list[str]) -> None:
        self.terms["cooling_off"]["days"] = int(words[0])
        self.terms["cooling_off"]["despite_prior"] = words[1:] == ["despite_prior"]

    def on_use(self, words: list[str]) -> None:
        self.terms["cooling_off"]["use"] = words[0]

    def on_closes(self, words: list[str]) -> None:
        hours, minutes = words[0].split(":")
        self.terms["closes"] = int(hours) * 60 + int(minutes)

    def on_count(self, words: list[str]) -> None:
        self.deal["term"]["counted_in"] = words[0].removesuffix("s")

    def on_end(self, words: list[str]) -> None:
        self.deal["term"]["last"] = words[0]

    def on_notices(self, words: list[str]) -> None:
        self.terms["notices"] = words[0]

    def on_agreed(self, words: list[str]) -> None:
        when = CAUSES if words[0] == "any" else [words[0]]
        agreement: Document = {"when": when}
        if words[1] in ("share", "fee"):
            num, den = words[2].split("/")
            agreement |= {"what": words[1], "num": int(num), "den": int(den)}
        elif words[1] == "price":
            rows = [{"item": words[2], "price": fen(words[3])}]
            agreement |= {"what": "prices", "prices": rows}
        else:
            agreement |= {"what": "value_at", "basis": words[1]}
        self.terms["agreements"].append(agreement)

    def on_persons(self, words: list[str]) -> None:
        if words[0] == "guardian":
            self.persons |= {"beneficiary": "child", "guardian": "guardian", "party": "guardian"}
        else:
            self.persons |= {"age_band": "8_to_17", "guardian": "guardian", "party": "minor"}

    # -- the facts

    def on_signed(self, words: list[str]) -> None:
        self.signed = words[0], words[1]
        self.signed_recorded = words[3] if words[2:3] == ["recorded"] else ""

    def on_paid(self, words: list[str]) -> None:
        data: Document = {
            "account": None,
            "amount": fen(words[0]),
            "bonus": 0,
            "channel": "ecny",
            "custody": "none",
            "vouchers": [],
        }
        if "bonus" in words:
            data["bonus"] = fen(words[words.index("bonus") + 1])
        if "voucher" in words:
            place = words.index("voucher")
            voucher = {"amount": fen(words[place + 1]), "issuer": words[place + 2]}
            data["vouchers"].append(voucher)
        if "held" in words or "ordered" in words:
            data["custody"] = "held" if "held" in words else "ordered"
            data["account"] = "a-1"
        if "recorded" in words:
            self.add_late("funds.locked", words, data)
        else:
            self.add("funds.locked", words, data, "custodian")

    def add_late(self, kind: str, words: list[str], data: Document) -> None:
        """Add what the merchant alone puts on the ledger later than the day it is dated to."""
        place = words.index("recorded")
        fact = self.add(kind, words[:place], data, "merchant")
        fact["recorded"] = instant(words[place + 1], "10:00")

    def on_took(self, words: list[str]) -> None:
        data: Document = {"debited": 0, "item": words[1], "units": int(words[0])}
        if "debit" in words:
            data["debited"] = fen(words[words.index("debit") + 1])
        fact = self.add("service.delivered", words, data, "merchant")
        for word, answer, role in ANSWERS:
            if word in words:
                of = {"answer": answer, "of": fact["position"]}
                self.facts.append(self.fact("delivery.answered", fact["at"] + MS, of, role))

    def on_gift(self, words: list[str]) -> None:
        data = {"item": words[0], "worth": fen(words[1])}
        self.add("gift.given", words, data, "merchant")

    def on_raised(self, words: list[str], role: str = "merchant") -> None:
        self.add("price.changed", words, {"item": words[0], "price": fen(words[1])}, role)

    def on_consented(self, words: list[str]) -> None:
        self.on_raised(words, "both")

    def on_released(self, words: list[str]) -> None:
        self.add("funds.released", words, {"amount": fen(words[0])}, "custodian")

    def on_repaid(self, words: list[str]) -> None:
        data = {"amount": fen(words[0]), "payee": self.persons["party"], "source": words[1]}
        self.add("refund.paid", words, data, "merchant" if "claimed" in words else "custodian")

    def on_stopped(self, words: list[str]) -> None:
        self.add("service.stopped", words, {}, "consumer" if "claimed" in words else "merchant")

    def on_resumed(self, words: list[str]) -> None:
        self.add("service.resumed", words, {}, "merchant" if "claimed" in words else "both")

    def on_activated(self, words: list[str]) -> None:
        if "recorded" in words:
            self.add_late("card.activated", words, {})
        else:
            self.add("card.activated", words, {}, "merchant")

    def on_notice(self, words: list[str]) -> None:
        cure = None
        if "cure" in words:
            cure = instant(words[words.index("cure") + 1], "12:00")
        fact = self.add("termination.requested", words, {"cure_until": cure})
        self.arrives(fact, words)

    def arrives(self, fact: Document, words: list[str]) -> None:
        if "arrived" in words:
            day = words[words.index("arrived") + 1 :]
            self.add("notice.arrived", day, {"of": fact["position"]}, "merchant")

    def on_served(self, words: list[str]) -> None:
        self.add("complaint.served", words, {}, "court")

    def on_judgment(self, words: list[str]) -> None:
        self.add("termination.judged", words, {"day": words[0]}, "court")

    def on_cooling_off(self, words: list[str]) -> None:
        self.arrives(self.add("cooling_off.requested", words, {}), words)

    def on_invalid(self, words: list[str]) -> None:
        self.add("invalidity.found", words, {"ground": words[0]}, "court")

    def on_assigned(self, words: list[str]) -> None:
        whole = "whole" in words or "claimed-whole" in words
        role = "both" if "whole" in words else "consumer"
        self.add("assignment.notified", words, {"assignee": words[0], "whole": whole}, role)

    # -- what somebody says; its day is the last of the row

    def say(self, kind: str, data: Document, role: str) -> None:
        self.add(kind, [max(self.days)], data, role)

    def on_cause(self, words: list[str]) -> None:
        role = words[1] if words[1:] else "court"
        self.say("cause.stated", {"cause": words[0], "standing": "finding"}, role)

    def on_disputes(self, words: list[str]) -> None:
        self.say("price.disputed", {}, "consumer")

    def on_sales(self, words: list[str]) -> None:
        self.say("sales_records.produced", {"items": words}, "merchant")

    def on_market(self, words: list[str]) -> None:
        data = {"item": words[0], "price": fen(words[1]), "standing": "claim"}
        self.say("market_price.stated", data, "consumer")

    def on_prior(self, words: list[str]) -> None:
        role = {"finding": "court", "claim": "merchant", "admitted": "consumer"}[words[1]]
        standing = "finding" if words[1] == "finding" else "claim"
        data = {"from": words[0] + "_merchant", "standing": standing}
        self.say("prior_use.stated", data, role)

    def on_deduction(self, words: list[str]) -> None:
        self.say("deduction.claimed", {}, "merchant")

    def on_unlawful(self, words: list[str]) -> None:
        role = "court" if words[0] == "finding" else "consumer"
        self.say("minor_service.stated", {"standing": words[0], "unlawful": True}, role)

    def on_asks(self, words: list[str]) -> None:
        self.say("actual_rate.requested", {}, "consumer")

    def on_account(self, words: list[str]) -> None:
        self.days.remove(words[1])
        self.account.append({"from": words[1], "ppm": self.ppm(words[0])})

    def on_as(self, words: list[str]) -> None:
        self.as_of = words[1]


def parse_case(text: str, published: list[Document]) -> Case:
    """Return the terms, facts and data that a row's sentences say."""
    return Reader(published).read(text)


# -- by hand and results

TOKEN = re.compile(r"\d{4}-\d\d-\d\d|\d+(?:\.\d+)?|[a-z]+|[−+×/(),]")


class Arithmetic:
    """Evaluates one side of a line of arithmetic, exactly."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s", "", text):
            raise AssertionError(f"not arithmetic: {text}")
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def whole(self) -> Fraction:
        value = self.sum()
        if self.peek():
            raise AssertionError(f"left over: {self.tokens[self.at :]}")
        return value

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "−"):
            value += self.product() if self.take() == "+" else -self.product()
        return value

    def product(self) -> Fraction:
        value = self.one()
        while self.peek() in ("×", "/"):
            if self.take() == "×":
                value *= self.one()
            else:
                value /= self.one()
        return value

    def one(self) -> Fraction:
        token = self.take()
        if token == "(":
            value = self.sum()
            if self.take() != ")":
                raise AssertionError("an open parenthesis")
            return value
        if token.isalpha():
            return self.call(token)
        if "-" in token:
            return Fraction(datetime.date.fromisoformat(token).toordinal())
        return Fraction(token)

    def call(self, name: str) -> Fraction:
        if self.take() != "(":
            raise AssertionError(f"{name} of what?")
        first = self.sum()
        if self.take() != ",":
            raise AssertionError(f"{name} takes two values")
        second = self.sum()
        if self.take() != ")":
            raise AssertionError("an open parenthesis")
        if name == "max":
            return max(first, second)
        steps = first / second
        floor = steps.numerator // steps.denominator
        if name == "down":
            return floor * second
        if name == "up":
            return (floor + (steps != floor)) * second
        raise AssertionError(name)


def check_arithmetic(line: str) -> Fraction:
    """Return what a line of arithmetic comes to; raise AssertionError where it does not."""
    left, sign, right = re.split(r" ([=≈]) ", line)
    value, stated = Arithmetic(left).whole(), Fraction(right)
    digits = len(right.partition(".")[2])
    scale = 10**digits
    rounded = Fraction((2 * value * scale + 1) // 2, scale) if sign == "≈" else value
    if rounded != stated or (sign == "≈" and value == stated):
        raise AssertionError(f"{left} is {value} ({float(value):.6f}), not {sign} {right}")
    return stated


@dataclass(frozen=True)
class Line:
    """One entry of a result: what, under which causes and assumptions, and how much in fen."""

    quantity: str
    causes: tuple[str, ...]
    assumptions: frozenset[tuple[str, str]]
    standard: str
    amount: int | str | None


LETTERS = {"A": "any", "C": "consumer", "M": "merchant", "N": "neither"}
QUANTITIES = {
    "beyond", "consumer", "custody", "fee", "gifts", "interest", "issuer", "merchant",
    "outstanding", "overcharge", "payee",
}  # fmt: skip


def parse_results(text: str) -> list[Line]:
    """Return the entries of a result cell."""
    lines = []
    for part in text.split("; "):
        key, _, amount = part.partition(": ")
        words = key.split()
        quantity = words.pop(0) if words[0] in QUANTITIES else "principal"
        causes = tuple(LETTERS[w] for w in words if w in LETTERS)
        pairs = [w.split("=") for w in words if "=" in w]
        rest = [w for w in words if w not in LETTERS and "=" not in w]
        value: int | str | None
        if quantity == "payee":
            value = amount
        else:
            value = None if amount == "unknown" else fen(amount)
        lines.append(
            Line(
                quantity,
                causes,
                frozenset((name, option) for name, option in pairs),
                rest[0] if rest else "",
                value,
            )
        )
    return lines
