"""The refund rules once more, plain and slow, as a clerk would work them from the articles.

Written from 法释〔2025〕4号 and docs/LAW.md before the engine, and importing nothing of it: plain
dictionaries in, a dictionary of figures out, one day at a time and one delivery at a time. Where a
question is open it tries every answer, and afterwards forgets the questions that changed nothing.
"""

from __future__ import annotations

import datetime
import itertools
from fractions import Fraction
from typing import Any

Fact = dict[str, Any]
FINDERS = {"court", "arbitrator", "regulator", "both"}
DAY_MS = 24 * 60 * 60 * 1000
CHINA_MS = 8 * 60 * 60 * 1000
VALUED_BY = (
    "disputed", "after_end", "bonus_units", "topups", "stopped", "resumed", "interruption",
    "activation_day",
)  # fmt: skip


class NoCalendar(Exception):
    """A year whose rest days nobody has published."""


def day_of(ms: int) -> int:
    """Return the day in China as a count of days."""
    return (ms + CHINA_MS) // DAY_MS + datetime.date(1970, 1, 1).toordinal()


def iso(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()


def start_of(day: int) -> int:
    return (day - datetime.date(1970, 1, 1).toordinal()) * DAY_MS - CHINA_MS


def end_of_months(start: int, months: int) -> int:
    """The first day after months that `start` is the first day of."""
    date = datetime.date.fromordinal(start)
    year, month = date.year, date.month + months
    while month > 12:
        year, month = year + 1, month - 12
    try:
        return datetime.date(year, month, date.day).toordinal()
    except ValueError:  # the month is too short: all of it belongs to the term
        return end_of_months(datetime.date(year, month, 1).toordinal(), 1)


class Clerk:
    """One contract on one desk."""

    def __init__(
        self, terms: dict[str, Any], facts: list[Fact], published: list[dict[str, Any]], as_of: str
    ) -> None:
        self.terms = terms
        self.deal = terms["deal"]
        self.facts = sorted(facts, key=lambda fact: (fact["at"], fact["position"]))
        self.published = published
        self.as_of = iso(as_of)
        self.signed = self.one("contract.signed")
        self.persons = self.signed["data"]["persons"]
        self.notes: dict[tuple[str, str, int, int, int], dict[str, Any]] = {}
        self.values: dict[tuple[Any, ...], Fraction | None] = {}
        self.in_time: dict[tuple[int, int], bool] = {}
        self.read_payments()
        self.read_deliveries()

    def all(self, kind: str) -> list[Fact]:
        return [fact for fact in self.facts if fact["kind"] == kind]

    def one(self, kind: str) -> Fact:
        return self.all(kind)[0]

    def latest(self, kind: str) -> list[Fact]:
        return sorted(self.all(kind), key=lambda fact: fact["position"])

    @staticmethod
    def late(fact: Fact) -> Fact:
        """The fact with the latest time it may have been: what only the merchant dates may have
        been when it was written down."""
        return fact | {"late": fact["recorded"] if fact["role"] == "merchant" else fact["at"]}

    def formed(self, pick: dict[str, str]) -> int:
        at = "at" if pick["formation_day"] == "dated" else "late"
        return int(self.late(self.signed)[at])

    # -- what was paid, what was delivered

    def read_payments(self) -> None:
        self.payments: list[dict[str, Any]] = []
        self.issuers: dict[str, int] = {}
        self.own = self.bonus = 0
        in_custody = self.ordered = 0
        for fact in self.all("funds.locked"):
            data = fact["data"]
            paid, bonus = data["amount"], data["bonus"]
            for voucher in data["vouchers"]:
                if voucher["issuer"] == self.persons["merchant"]:
                    bonus += voucher["amount"]
                else:
                    paid += voucher["amount"]
                    issuer = voucher["issuer"]
                    self.issuers[issuer] = self.issuers.get(issuer, 0) + voucher["amount"]
            self.own += data["amount"]
            self.bonus += bonus
            late = self.late(fact)["late"]
            self.payments.append({"paid": paid, "bonus": bonus, "at": fact["at"], "late": late})
            if data["custody"] != "none":
                in_custody += paid
            if data["custody"] == "ordered":
                self.ordered += paid
        self.paid = self.own + sum(self.issuers.values())
        released = sum(fact["data"]["amount"] for fact in self.all("funds.released"))
        self.pot = max(0, in_custody - released)

    def read_deliveries(self) -> None:
        # The merchant takes back what is its own, the consumer's objection is the consumer's.
        answers: dict[int, str] = {}
        for fact in self.latest("delivery.answered"):
            of, answer = fact["data"]["of"], fact["data"]["answer"]
            if answer == "reversed":
                answers[of] = "reversed"
            elif answers.get(of) == "reversed" or answer == "silence":
                continue
            elif fact["role"] in ("consumer", "both"):
                answers[of] = answer
        self.deliveries: list[dict[str, Any]] = []
        self.overcharge = 0
        for fact in self.all("service.delivered"):
            answer = answers.get(fact["position"], "none")
            if answer == "reversed":
                continue
            data = fact["data"]
            line: dict[str, Any] = {
                "item": data["item"],
                "units": data["units"],
                "day": day_of(fact["at"]),
                "objected": answer == "objected",
            }
            if self.deal["kind"] in ("stored_value", "stored_value_bonus"):
                line |= self.price_at(data, fact)
                self.overcharge += data["debited"] - line["face"]
            self.deliveries.append(line)

    def price_at(self, data: dict[str, Any], fact: Fact) -> dict[str, Any]:
        """What may be charged for one debit, and what it was worth before discount (12, 19)."""
        for row in self.deal["prices"]:
            if row["item"] == data["item"]:
                price, before = row["price"], row["undiscounted"]
                if before is None:
                    before = price
                for change in self.all("price.changed"):
                    came = (change["at"], change["position"]) <= (fact["at"], fact["position"])
                    by_both = change["role"] == "both"
                    if change["data"]["item"] == row["item"] and by_both and came:
                        price = change["data"]["price"]
                face = min(data["debited"], data["units"] * price)
                return {"face": face, "before": data["units"] * max(before, price)}
        return {"face": data["debited"], "before": data["debited"]}

    # -- value of what was delivered (arts 15, 18, 19)

    def counted(self, pick: dict[str, str], until: int) -> list[dict[str, Any]]:
        rows = self.deliveries
        if pick["disputed"] == "not_counted":
            rows = [d for d in rows if not d["objected"]]
        if pick["after_end"] == "not_counted":
            if pick.get("ended_by") == "assumed":
                until = min(self.endings(until=None).values())
            rows = [d for d in rows if d["day"] <= until]
        return rows

    def value(self, basis: str, pick: dict[str, str], until: int) -> Fraction | None:
        """Price of what was delivered, at one of the bases; None where a price is not known."""
        note = basis, until, *[pick[name] for name in VALUED_BY]
        if note not in self.values:
            self.values[note] = self.work_value(basis, pick, until)
        return self.values[note]

    def work_value(self, basis: str, pick: dict[str, str], until: int) -> Fraction | None:
        kind = self.deal["kind"]
        if kind in ("counted_units", "milestone"):
            return self.value_of_units(basis, pick, until)
        if kind in ("stored_value", "stored_value_bonus"):
            return self.value_of_card(basis, pick, until)
        used, whole = self.used(pick, until)
        price = self.deal["price"]
        if basis != "discounted" and self.deal["undiscounted"] is not None:
            price = self.deal["undiscounted"]
        if basis == "market" and "pass" not in self.shown():
            found = self.market("pass")
            if found is None:
                return None
            price = found
        if basis.startswith("prices"):
            price = self.agreed_price(basis, "pass", self.deal["price"])
        return Fraction(price * used, whole)

    def value_of_units(self, basis: str, pick: dict[str, str], until: int) -> Fraction | None:
        total = Fraction(0)
        for line in self.deal["lines"]:
            units = sum(d["units"] for d in self.counted(pick, until) if d["item"] == line["item"])
            amount, bought, extra = line["amount"], line["units"], line["bonus"]
            order = "bonus_first" if basis == "bonus_first" else self.terms["spend_order"]
            in_turn = basis in ("bonus_first", "principal_first")
            if in_turn or (pick["bonus_units"] == "gift" and basis != "proportional"):
                # Of the units taken, some were paid for and some were presents.
                if order == "bonus_first":
                    units = max(0, units - extra)
                else:
                    presents = min(extra, max(0, units - bought))
                    units = units - presents
                each = Fraction(amount, bought)
            else:
                each = Fraction(amount, bought + extra)
            if basis in ("undiscounted", "market"):
                before = line["undiscounted"]
                each = Fraction(amount, bought) if before is None else Fraction(before)
            if basis == "market" and line["item"] not in self.shown():
                found = self.market(line["item"])
                if found is None:
                    if units:
                        return None
                else:
                    each = Fraction(found)
            if basis.startswith("prices"):
                each = Fraction(self.agreed_price(basis, line["item"], each))
            total += units * each
        return total

    def value_of_card(self, basis: str, pick: dict[str, str], until: int) -> Fraction | None:
        rows = self.counted(pick, until)
        face = Fraction(sum(row["face"] for row in rows))
        if basis == "undiscounted":
            return Fraction(sum(row["before"] for row in rows))
        if basis == "market":
            total = Fraction(0)
            listed = {row["item"] for row in self.deal["prices"]}
            for row in rows:
                found = self.market(row["item"])
                if row["item"] in self.shown() or row["item"] not in listed:
                    total += row["before"]
                elif found is None:
                    return None
                else:
                    total += row["units"] * found
            return total
        if basis.startswith("prices"):
            total = Fraction(0)
            for row in rows:
                each = self.agreed_price(basis, row["item"], None)
                total += row["face"] if each is None else row["units"] * each
            return total
        if basis == "bonus_first":
            return max(Fraction(0), face - self.bonus)
        if basis == "principal_first":
            beyond = max(Fraction(0), face - self.paid - self.bonus)
            return min(face, Fraction(self.paid)) + beyond
        if pick["topups"] == "pooled":
            return self.ratio(face, self.paid, self.bonus)
        total = Fraction(0)
        for payment in self.payments:
            room = payment["paid"] + payment["bonus"]
            part = min(face, Fraction(room))
            total += self.ratio(part, payment["paid"], payment["bonus"])
            face -= part
        return total + face

    @staticmethod
    def ratio(face: Fraction, paid: int, bonus: int) -> Fraction:
        """Face value at the ratio of 18(2); beyond what the card held, in full."""
        if face > paid + bonus:
            return paid + (face - paid - bonus)
        return face * paid / (paid + bonus) if paid + bonus else face

    def market(self, item: str) -> int | None:
        rows = [f for f in self.latest("market_price.stated") if f["data"]["item"] == item]
        asserted = [f for f in rows if f["role"] in ("consumer", "both")]
        for row in reversed(self.standing(rows) or asserted or rows):
            return row["data"]["price"]  # type: ignore[no-any-return]
        return None

    def shown(self) -> set[str]:
        """Items whose price before discount the merchant has shown sales at; what the consumer
        disputes after that is shown no more, however often the merchant says so."""
        shown: set[str] = set()
        contested: set[str] = set()
        for fact in sorted(self.facts, key=lambda f: f["position"]):
            if fact["kind"] == "sales_records.produced":
                shown |= set(fact["data"]["items"])
            elif fact["kind"] == "price.disputed":
                contested |= shown
        return shown - contested

    def items(self) -> set[str]:
        rows = self.deal.get("lines") or self.deal.get("prices")
        return {"pass"} if rows is None else {row["item"] for row in rows}

    def agreed_price(self, basis: str, item: str, otherwise: Any) -> Any:
        rows = self.terms["agreements"][int(basis.removeprefix("prices "))]["prices"]
        for row in rows:
            if row["item"] == item:
                return row["price"]
        return otherwise

    @staticmethod
    def is_finding(fact: Fact) -> bool:
        return fact["data"]["standing"] == "finding" and fact["role"] in FINDERS

    def standing(self, rows: list[Fact]) -> list[Fact]:
        """Findings among rows in the order of the record; a regulator's are none beside others'."""
        findings = [f for f in rows if self.is_finding(f)]
        others = [f for f in findings if f["role"] != "regulator"]
        return others or findings

    # -- time (art 22)

    def used(self, pick: dict[str, str], until: int) -> tuple[int, int]:
        """Days or months used, and of how many."""
        term = self.deal["term"]
        start: int | None
        if term["begins"] == "activation":
            since = "at" if pick["activation_day"] == "dated" else "late"
            begun = [self.late(f) for f in self.all("card.activated")]
            start = min((day_of(f[since]) for f in begun), default=None)
        else:
            start = iso(term["start"])
        anchor = day_of(self.signed["at"]) if start is None else start
        if term["unit"] == "month":
            days = end_of_months(anchor, term["length"]) - anchor
        else:
            days = term["length"]
        whole = term["length"] if term["counted_in"] == "month" else days
        if start is None:
            return 0, whole
        stops = [s for s in self.all("service.stopped") if self.holds(s, pick["stopped"])]
        resumes = [r for r in self.all("service.resumed") if self.holds(r, pick["resumed"])]
        breaks = []
        last = until
        for stop in stops:
            after = [
                resumed
                for resumed in resumes
                if self.key(resumed) > self.key(stop) and day_of(resumed["at"]) <= until
            ]
            if after:
                breaks.append((day_of(stop["at"]), day_of(after[0]["at"])))
            elif day_of(stop["at"]) < last:
                last = day_of(stop["at"])
        counts_last = term["last"] == "used"
        if term["counted_in"] == "month":
            number = 0
            while number < term["length"] and end_of_months(start, number) <= last:
                number += 1  # months begun by that day
            if not counts_last and number and last < end_of_months(start, number):
                number -= 1
            return number, whole
        used = 0
        for day in range(start, start + days):
            if day > last or (day == last and not counts_last):
                break
            away = any(
                (began < day or (began == day and not counts_last)) and day < again
                for began, again in breaks
            )
            if not (away and pick["interruption"] == "remaining"):
                used += 1
        return used, whole

    @staticmethod
    def is_admitted(fact: Fact) -> bool:
        """Whether whoever says it says it against itself, or can find it."""
        against = "merchant" if fact["kind"] == "service.stopped" else "consumer"
        return fact["role"] == against or fact["role"] in FINDERS | {"district"}

    def holds(self, fact: Fact, answer: str) -> bool:
        return answer == "happened" or self.is_admitted(fact)

    @staticmethod
    def key(fact: Fact) -> tuple[int, int]:
        return fact["at"], fact["position"]

    # -- principal

    def round(self, amount: Fraction) -> int:
        unit, mode = self.terms["rounding"]["unit"], self.terms["rounding"]["mode"]
        floor, rest = divmod(amount.numerator, amount.denominator * unit)
        half = 2 * rest - amount.denominator * unit
        up = {
            "up": rest > 0,
            "down": False,
            "half_up": half >= 0,
            "half_even": half > 0 or (half == 0 and floor % 2 == 1),
        }[mode]
        return (floor + up) * unit

    def settle(self, exact: Fraction) -> int:
        return max(0, min(self.paid, self.round(exact)))

    def principal(self, route: str, cause: str, pick: dict[str, str], ended: int) -> int | None:
        """Principal due by the articles, or by a better agreement."""
        legal = self.by_law(route, cause, pick, ended)
        if legal is None:
            return None
        best = self.settle(legal)
        for number, agreement in enumerate(self.terms["agreements"]):
            if cause not in agreement["when"] or agreement["what"] == "fee":
                continue
            if agreement["what"] == "share":
                other: Fraction | None = Fraction(self.paid * agreement["num"], agreement["den"])
            else:
                basis = f"prices {number}" if agreement["what"] == "prices" else agreement["basis"]
                value = self.value(basis, pick, ended)
                other = None if value is None else self.paid - value
            if other is not None:
                best = max(best, self.settle(other))
        order = self.terms["spend_order"]
        if order != "unsaid" and self.has_bonus():
            value = self.value(order, pick, ended)
            if value is not None:
                best = max(best, self.settle(self.paid - value))
        return best

    def has_bonus(self) -> bool:
        if self.deal["kind"] in ("counted_units", "milestone"):
            return any(line["bonus"] for line in self.deal["lines"])
        return self.deal["kind"] in ("stored_value", "stored_value_bonus") and self.bonus > 0

    def by_law(self, route: str, cause: str, pick: dict[str, str], ended: int) -> Fraction | None:
        paid = Fraction(self.paid)
        if (
            route == "invalidity"
            and self.ground() == "capacity"
            and (pick["minor_service"] == "unlawful" or pick["deduction"] == "not_claimed")
        ):
            return paid
        if cause != "consumer":
            if route == "termination" and self.deal["kind"] == "unlimited":
                used, whole = self.used(pick, ended)
                return paid * (whole - used) / whole
            value = self.value("discounted", pick, ended)
        else:
            if (
                route == "termination"
                and self.deal["kind"] == "unlimited"
                and pick["pass"] == "article_22"
            ):
                used, whole = self.used(pick, ended)
                return paid * (whole - used) / whole
            value = self.value(pick["price"], pick, ended)
        return None if value is None else paid - value

    def ground(self) -> str:
        return self.latest("invalidity.found")[-1]["data"]["ground"]  # type: ignore[no-any-return]

    # -- within seven days (art 14)

    def is_rest(self, day: int) -> bool:
        date = datetime.date.fromordinal(day)
        text = date.isoformat()
        pages = [p for p in self.published if p["series"] == "rest_days" and p["year"] == date.year]
        if not pages:
            raise NoCalendar(str(date.year))
        page = max(pages, key=lambda p: p["position"])
        if text in page["worked"]:
            return False
        return text in page["rest"] or date.weekday() >= 5

    def end_of(self, day: int) -> int:
        """First instant after business of a day."""
        closes = self.terms["closes"]
        return start_of(day + 1) if closes is None else start_of(day) + closes * 60_000 + 1

    def is_timely(self, paid_at: int, instant: int) -> bool:
        """Whether a request comes before what is too late; a calendar only where it matters."""
        note = paid_at, instant
        if note not in self.in_time:
            self.in_time[note] = self.work_timely(paid_at, instant)
        return self.in_time[note]

    def work_timely(self, paid_at: int, instant: int) -> bool:
        day = day_of(paid_at) + max(7, self.terms["cooling_off"]["days"])
        if instant < self.end_of(day):
            return True
        if day_of(instant) > day + 31:
            return False
        while self.is_rest(day):
            day += 1
        return instant < self.end_of(day)

    def cooling_off(self, pick: dict[str, str]) -> tuple[int, int]:
        """Principal, and the day of the request."""
        sent, arrived = self.request_times()
        instant = sent if pick["request"] == "sent" else arrived
        day = day_of(sent if instant is None else instant)
        if instant is None or pick["prior_use"] == "proven":
            return 0, day
        rows = [p for p in self.payments if p["at"] <= instant]
        if not rows:
            return 0, day
        since = "at" if pick["payment_day"] == "dated" else "late"
        timely = [p for p in rows if self.is_timely(p[since], instant)]
        total = sum(p["paid"] for p in rows)
        if pick["window"] == "each_payment":
            within = sum(p["paid"] for p in timely)
        elif pick["window"] == "first_payment":
            within = total if rows[0] in timely else 0
        else:
            within = total if rows[-1] in timely else 0
        if not within:
            return 0, day

        def less(use: str) -> int:
            if use == "not_deducted":
                return within
            value = self.value(use, pick, day)
            assert value is not None
            return max(0, min(within, self.round(total - value)))

        best = less(pick["use"])
        if self.terms["cooling_off"]["use"] != "unsaid":
            best = max(best, less(self.terms["cooling_off"]["use"]))
        return best, day

    def request_times(self) -> tuple[int, int | None]:
        request = self.all("cooling_off.requested")[0]
        return request["at"], self.arrival(request)

    def arrival(self, fact: Fact) -> int | None:
        times = [
            max(n["at"], fact["at"])  # nothing arrives that was not sent
            for n in self.all("notice.arrived")
            if n["data"]["of"] == fact["position"]
        ]
        if self.terms["notices"] == "ledger":
            times.append(fact["recorded"])
        return min(times, default=None)

    # -- when it ended (civil code 562, 565; art 17)

    def endings(self, until: int | None = 0) -> dict[str, int]:
        """What may have ended it, on whatever day; times to perform run out by a day, or ever."""
        until = self.as_of if until == 0 else until
        judged = self.latest("termination.judged")
        if judged:
            return {"judgment": iso(judged[-1]["data"]["day"])}
        agreed = self.all("termination.agreed")
        if agreed:
            return {"agreement": day_of(agreed[0]["at"])}
        found: dict[str, int] = {}
        for request in self.all("termination.requested"):
            arrived = self.arrival(request)
            if arrived is not None:
                day = day_of(arrived)
                if request["data"]["cure_until"] is not None:
                    cured = day_of(request["data"]["cure_until"])
                    if until is not None and cured > until:
                        continue  # there is still time to perform
                    day = max(day, cured)
                found["notice"] = min(day, found.get("notice", day))
        for served in self.all("complaint.served"):
            day = day_of(served["at"])
            found["complaint"] = min(day, found.get("complaint", day))
        return found

    def ended(self) -> dict[str, int]:
        """What has ended it by the as-of day."""
        return {how: day for how, day in self.endings().items() if day <= self.as_of}

    def holders(self) -> set[str | None]:
        """Who may be paid the consumer's share (arts 10, 11)."""
        if self.all("invalidity.found") and self.ground() == "capacity":
            return {self.persons["party"], self.persons["guardian"]}
        ended = min(self.endings().values(), default=None)
        arrived = [(self.arrival(f), f["position"], f) for f in self.all("assignment.notified")]
        names = [self.persons["party"]]
        for at, _, fact in sorted(
            [row for row in arrived if row[0] is not None], key=lambda r: r[:2]
        ):
            is_late = ended is not None and day_of(at) > ended
            if is_late or (fact["data"]["whole"] and fact["role"] == "both"):
                names = []
            names.append(fact["data"]["assignee"])
        return set(names[-2:])

    def held_from(self, name: str) -> int:
        """The day from which an assignee may have held the claim; the party always did."""
        arrived = [
            self.arrival(f) for f in self.all("assignment.notified")
            if f["data"]["assignee"] == name
        ]  # fmt: skip
        return min((day_of(at) for at in arrived if at is not None), default=0)

    def goes_on(self) -> bool:
        """Whether money or service came after the as-of day; no visit with a pass is counted."""
        days = [day_of(p["at"]) for p in self.payments]
        if "term" not in self.deal:
            days += [d["day"] for d in self.deliveries]
        return max(days, default=0) > self.as_of

    # -- shares and sources

    def share(self, principal: int, pick: dict[str, str]) -> tuple[int, dict[str, int]]:
        vouchers = sum(self.issuers.values())
        if not vouchers:
            return principal, {}
        if pick["voucher"] == "pro_rata":
            together = principal * vouchers // self.paid
        else:
            together = max(0, vouchers - (self.paid - principal))
        # One after another, each up to its part of the whole, so that no fen is lost between them.
        back: dict[str, int] = {}
        so_far = given = 0
        for issuer in sorted(self.issuers):
            so_far += self.issuers[issuer]
            back[issuer] = together * so_far // vouchers - given
            given += back[issuer]
        return principal - together, back

    # -- interest (arts 16, 17)

    def published_rate(self, series: str, formed: int) -> int | None:
        best = None
        for page in sorted(self.published, key=lambda p: p["position"]):
            if page["series"] != series:
                continue
            for point in page["points"]:
                came = point["published"] <= formed
                if came and (best is None or point["published"] >= best[0]):
                    best = (point["published"], point["ppm"])
        return None if best is None else best[1]

    def account_rate(self, day: int) -> int | None:
        names = [
            f["data"]["account"]
            for f in self.all("funds.locked")
            if f["data"]["custody"] == "ordered"
        ]
        best = None
        for page in sorted(self.published, key=lambda p: p["position"]):
            if page["series"] != f"account/{names[0]}":
                continue
            for point in page["points"]:
                began = iso(point["from"])
                if began <= day and (best is None or began >= best[0]):
                    best = (began, point["ppm"])
        return None if best is None else best[1]

    def standards(self, route: str, cause: str) -> list[str]:
        agreed = ["agreed"] if self.terms["interest"]["ppm"] is not None else []
        if route == "cooling_off":
            return []
        if agreed and route == "termination":
            return agreed
        legal = {
            "merchant": ["lpr_1y"],
            "consumer": ["deposit_1y"],
            "neither": ["lpr_1y", "deposit_1y", "none"],
        }
        return agreed + legal[cause]

    def interest(
        self, route: str, cause: str, consumer: int, ended: int, formed: int
    ) -> dict[str, Any]:
        note = route, cause, consumer, ended, formed
        if note in self.notes:
            return self.notes[note]
        supervised = min(consumer, self.pot, self.ordered)
        asked = bool(self.all("actual_rate.requested"))
        result: dict[str, Any] = {}
        self.notes[note] = result
        for standard in self.standards(route, cause):
            if standard == "agreed":
                rate: int | None = self.terms["interest"]["ppm"]
            elif standard == "none":
                rate = 0
            else:
                rate = self.published_rate(standard, formed)
            if not (supervised and asked):
                result[standard] = self.accrue(consumer, 0, rate, ended, formed)
            if supervised:
                result[standard + "+account"] = self.accrue(
                    consumer, supervised, rate, ended, formed
                )
        return result

    def first_interest_day(self, ended: int, formed: int) -> int:
        start = self.terms["interest"]["start"]
        days = [ended]
        if start == "formation":
            days.append(day_of(formed))
        if start == "first_payment" and self.payments:
            days.append(day_of(self.payments[0]["at"]))
        if start == "request":
            days += [
                day_of(f["at"])
                for kind in ("termination.requested", "cooling_off.requested")
                for f in self.all(kind)
            ]
        return min(days)

    def accrue(
        self, principal: int, supervised: int, rate: int | None, ended: int, formed: int
    ) -> tuple[int, int] | None:
        """Interest and what is still owed at the as-of day, in fen; None without a rate."""
        how = self.terms["interest"]
        start = self.first_interest_day(ended, formed)
        paid_back: dict[int, list[Fact]] = {}
        total_paid = 0
        for fact in self.all("refund.paid"):
            to = fact["data"]["payee"]
            day = day_of(fact["at"])
            if day > self.as_of or not self.is_received(fact):
                continue
            if to in self.issuers and (to not in self.holders() or day < self.held_from(to)):
                continue
            total_paid += fact["data"]["amount"]
            paid_back.setdefault(day, []).append(fact)
        owed: Fraction | int = principal
        special: Fraction | int = supervised
        # Days of one kind of year add up by themselves: amount × millionths, per length of year.
        by_year: dict[int, Fraction | int] = {}
        to_interest = Fraction(0)
        days = sorted(set(paid_back) | set(range(start, self.as_of + 1)))
        for day in days:
            counts = start <= day <= self.as_of
            if day == start and not how["first_day"]:
                counts = False
            if day == self.as_of and not how["last_day"]:
                counts = False
            if counts and owed:
                year = int(how["basis"]) if how["basis"] != "actual" else self.year_days(day)
                at_account = min(special, owed)
                more: Fraction | int = 0
                if at_account:
                    account = self.account_rate(day)
                    if account is None:
                        return None
                    more += at_account * account
                if owed > at_account:
                    if rate is None:
                        return None
                    more += (owed - at_account) * rate
                by_year[year] = by_year.get(year, 0) + more
            for fact in paid_back.get(day, []):
                amount = Fraction(fact["data"]["amount"])
                unpaid = self.add_years(by_year) - to_interest
                if fact["data"]["source"] == "custody":
                    special = max(0, special - min(amount, owed))
                elif self.terms["debts"] == "interest_first":
                    first = min(amount, unpaid)
                    to_interest += first
                    unpaid -= first
                    amount -= first
                part = min(amount, owed)
                owed -= part
                # What is left is carried in billionths of a fen, the rest of one counting whole.
                owed = Fraction(-(-owed * 10**9 // 1), 10**9)
                to_interest += min(unpaid, amount - part)
        accrued = self.add_years(by_year)
        interest = self.round(accrued)
        return interest, max(0, principal + interest - total_paid)

    @staticmethod
    def add_years(by_year: dict[int, Fraction | int]) -> Fraction:
        """Return the interest of all days, in fen."""
        return sum(
            (Fraction(amount) / (1_000_000 * year) for year, amount in by_year.items()), Fraction(0)
        )

    @staticmethod
    def is_received(fact: Fact) -> bool:
        """Whether money paid back is more than the payer's own word."""
        if fact["data"]["source"] == "custody":
            return fact["role"] == "custodian"
        return fact["role"] in FINDERS | {"custodian", "consumer"}

    @staticmethod
    def year_days(day: int) -> int:
        year = datetime.date.fromordinal(day).year
        return (datetime.date(year + 1, 1, 1) - datetime.date(year, 1, 1)).days

    # -- everything

    def causes(self) -> list[str]:
        for fact in reversed(self.standing(self.latest("cause.stated"))):
            return [fact["data"]["cause"]]
        return ["merchant", "neither", "consumer"]

    def questions(self, route: str, cause: str) -> dict[str, list[str]]:
        """Every question that the facts raise, with its possible answers."""
        asks: dict[str, list[str]] = {
            "disputed": ["counted"],
            "after_end": ["counted"],
            "bonus_units": ["bonus"],
            "topups": ["pooled"],
            "price": ["undiscounted"],
            "pass": ["article_19"],
            "stopped": ["happened"],
            "resumed": ["happened"],
            "interruption": ["used"],
            "voucher": ["pro_rata"],
            "deduction": ["claimed"],
            "minor_service": ["lawful"],
            "activation_day": ["dated"],
            "formation_day": ["dated"],
        }
        for name, fact_kind in (
            ("activation_day", "card.activated"), ("formation_day", "contract.signed")
        ):  # fmt: skip
            rows = [self.late(f) for f in self.all(fact_kind)]
            first, last = [min((day_of(f[at]) for f in rows), default=0) for at in ("at", "late")]
            if first != last:
                asks[name] = ["recorded", "dated"]
        if any(d["objected"] for d in self.deliveries):
            asks["disputed"] = ["counted", "not_counted"]
        kind = self.deal["kind"]
        if kind == "counted_units" and any(line["bonus"] for line in self.deal["lines"]):
            asks["bonus_units"] = ["bonus", "gift"]
        if kind in ("stored_value", "stored_value_bonus"):
            asks["topups"] = ["pooled", "in_turn"]
        if cause == "consumer" and self.all("price.disputed") and self.items() - self.shown():
            asks["price"] = ["undiscounted", "market"]
        if kind == "unlimited":
            before = self.deal["undiscounted"]
            discounted = before is not None and before > self.deal["price"]
            asks["pass"] = ["article_22"] + (["article_19"] if discounted else [])
        for name in ("stopped", "resumed"):
            if any(not self.is_admitted(f) for f in self.all(f"service.{name}")):
                asks[name] = ["happened", "not_happened"]
        if self.all("service.resumed"):
            asks["interruption"] = ["used", "remaining"]
        if self.issuers:
            said = self.terms["voucher"]
            asks["voucher"] = ["pro_rata", "voucher_first"] if said == "unsaid" else [said]
        if route == "invalidity" and self.ground() == "capacity":
            if not self.all("deduction.claimed"):
                asks["deduction"] = ["claimed", "not_claimed"]
            said_rows = self.latest("minor_service.stated")
            findings = self.standing(said_rows)
            if findings:
                unlawful = findings[-1]["data"]["unlawful"]
                asks["minor_service"] = ["unlawful" if unlawful else "lawful"]
            elif any(f["data"]["unlawful"] for f in said_rows):
                asks["minor_service"] = ["lawful", "unlawful"]
        if route == "cooling_off":
            asks |= self.cooling_off_questions()
        return asks

    def cooling_off_questions(self) -> dict[str, list[str]]:
        prior = ["not_proven"]
        rows = self.latest("prior_use.stated")
        findings = self.standing(rows)
        by_consumer = ("consumer", "both")
        if self.terms["cooling_off"]["despite_prior"]:
            pass
        elif findings:
            prior = ["not_proven" if findings[-1]["data"]["from"] == "none" else "proven"]
        elif any(f["role"] in by_consumer and f["data"]["from"] != "none" for f in rows):
            prior = ["proven"]
        elif any(f["role"] == "merchant" and f["data"]["from"] != "none" for f in rows):
            prior = ["not_proven", "proven"]
        return {
            "request": ["sent", "arrived"],
            "prior_use": prior,
            "payment_day": ["recorded", "dated"],
            "window": ["each_payment", "first_payment", "last_payment"],
            "use": ["not_deducted", "discounted", "undiscounted"],
        }

    def routes(self) -> list[str]:
        routes = []
        if self.all("cooling_off.requested"):
            routes.append("cooling_off")
        if self.all("invalidity.found"):
            routes.append("invalidity")
        if self.ended() or not routes:
            routes.append("termination")
        if routes == ["cooling_off"]:
            routes.append("asked in vain")
        return routes

    def results(self) -> dict[tuple[str, str, frozenset[tuple[str, str]]], dict[str, Any]]:
        """Figures by route, cause and the assumptions that change them."""
        found: dict[tuple[str, str, frozenset[tuple[str, str]]], dict[str, Any]] = {}
        for way in self.routes():
            # Art. 14 leaves the other ways to the money as they are: as if it ended that day.
            in_vain = way == "asked in vain"
            if in_vain and all(figure["principal"] for figure in found.values()):
                continue
            route = "termination" if in_vain else way
            for cause in ["any"] if route == "cooling_off" else self.causes():
                asks = self.questions(route, cause)
                days: dict[str, int] = {}
                if route == "termination":
                    days = self.ended() or {"assumed": self.as_of}
                    asks["ended_by"] = list(days)
                if "assumed" in days:
                    if self.goes_on():
                        asks["after_end"] = ["whole"]
                        came = min(self.endings(until=None).values(), default=None)
                        late = [d for d in self.deliveries if came is not None and d["day"] > came]
                        if late and "term" not in self.deal:
                            asks["after_end"].append("not_counted")
                elif route != "cooling_off" and self.deliveries:
                    asks["after_end"] = ["counted", "not_counted"]
                names = list(asks)
                table = {}
                for answers in itertools.product(*asks.values()):
                    pick = dict(zip(names, answers, strict=True))
                    table[answers] = self.figure(route, cause, pick, days)
                for answers, figure in self.forget(names, asks, table):
                    found[route, cause, answers] = figure
        return found

    def figure(
        self, route: str, cause: str, pick: dict[str, str], days: dict[str, int]
    ) -> dict[str, Any]:
        principal: int | None
        if route == "cooling_off":
            principal, ended = self.cooling_off(pick)
        else:
            if route == "termination":
                ended = days[pick["ended_by"]]
            else:
                ended = day_of(self.latest("invalidity.found")[-1]["at"])
            principal = self.principal(route, cause, pick, ended)
        figure: dict[str, Any] = {"principal": principal}
        if principal is None:
            return figure
        consumer, issuers = self.share(principal, pick)
        figure["consumer"], figure["issuers"] = consumer, issuers
        figure["custody"] = min(principal, self.pot)
        figure["merchant"] = principal - figure["custody"]
        figure["interest"] = self.interest(route, cause, consumer, ended, self.formed(pick))
        figure["beyond"] = 0
        if route != "cooling_off":
            value = self.value("discounted", pick, ended)
            assert value is not None
            figure["beyond"] = self.half_up(max(Fraction(0), value - self.paid))
        return figure

    @staticmethod
    def half_up(amount: Fraction) -> int:
        return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)

    @staticmethod
    def forget(
        names: list[str], asks: dict[str, list[str]], table: dict[tuple[str, ...], Any]
    ) -> list[tuple[frozenset[tuple[str, str]], Any]]:
        """Drop the questions whose answers change no figure."""
        kinds: list[Any] = []  # the different figures, of which there are few
        kind_of: dict[tuple[str, ...], int] = {}
        for answers, figure in table.items():
            if figure not in kinds:
                kinds.append(figure)
            kind_of[answers] = kinds.index(figure)
        matters = []
        for place, name in enumerate(names):
            if asks[name][0] in ("assumed", "whole"):
                matters.append(place)  # nothing ended it: that is always said
                continue
            if len(asks[name]) == 1:
                continue  # nothing to forget, and nothing to say
            seen: dict[tuple[str, ...], int] = {}
            for answers, kind in kind_of.items():
                others = (*answers[:place], *answers[place + 1 :])
                if seen.setdefault(others, kind) != kind:
                    matters.append(place)
                    break
        kept = {}
        for answers, figure in table.items():
            kept[frozenset((names[p], answers[p]) for p in matters)] = figure
        return list(kept.items())
