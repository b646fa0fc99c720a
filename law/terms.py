"""A contract's terms as data: what is sold, for how much, and what the parties agreed.

The document is canonical JSON (docs/TERMS.md); its SHA-256 stands on the chain. What the law leaves
to the parties is a member here, and where they said nothing the member says `unsaid`, so that the
refund engine shows alternatives and never guesses. `parse_terms` refuses whatever is not exactly
this shape; a `Terms` that exists is consistent. It does not know whether a term is valid: that is
`law.clauses`, and for a worse agreement the engine itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from law.amounts import ROUNDING_MODES, Rounding
from law.canonical import compute_hash, decode, encode
from law.days import Day
from law.fields import FEN_MAX, PPM_MAX, WORD_CHARS_MAX, Fields
from law.refusal import Code, Refused

FORMAT: Final = "evidence-ledger/terms"
VERSION: Final = 1

INDUSTRIES: Final = (
    "training",
    "catering",
    "housekeeping",
    "fitness",
    "vocational",
    "culture_sports",
    "pets",
    "hair_beauty",
    "driving",
    "car_wash",
)
"""The ten industries of 深市监联〔2023〕15号: 教育培训, 餐饮, 家政, 健身娱乐, 职业技能培训,
文化体育, 宠物服务, 理发及美容服务, 驾驶培训, 车身清洁."""

MERCHANT: Final = "merchant"
NEITHER: Final = "neither"
CONSUMER: Final = "consumer"
CAUSES: Final = (MERCHANT, NEITHER, CONSUMER)

COUNTED_UNITS: Final = "counted_units"
MILESTONE: Final = "milestone"
STORED_VALUE: Final = "stored_value"
STORED_VALUE_BONUS: Final = "stored_value_bonus"
PERIOD_PASS: Final = "period_pass"  # noqa: S105  a pass, no password
UNLIMITED: Final = "unlimited"
DEAL_KINDS: Final = (
    COUNTED_UNITS,
    STORED_VALUE,
    STORED_VALUE_BONUS,
    PERIOD_PASS,
    UNLIMITED,
    MILESTONE,
)

PASS_ITEM: Final = "pass"  # noqa: S105  a pass, no password
"""Under this name a period's price before discount, or its market price, is spoken of."""

UNSAID: Final = "unsaid"
BONUS_FIRST: Final = "bonus_first"
PRINCIPAL_FIRST: Final = "principal_first"
PROPORTIONAL: Final = "proportional"
PRO_RATA: Final = "pro_rata"
VOUCHER_FIRST: Final = "voucher_first"
LEDGER: Final = "ledger"
INTEREST_OWNERS: Final = (CONSUMER, MERCHANT)
FORFEITS: Final = "forfeits"

DISCOUNTED: Final = "discounted"
UNDISCOUNTED: Final = "undiscounted"
NOT_DEDUCTED: Final = "not_deducted"

TERMS_KEPT_MAX: Final = 256
"""Terms kept parsed, some 40 kB each."""

UNITS_MAX: Final = 100_000
LENGTH_MAX: Final = 3_660
"""Days or months of a term: ten years of days."""

EFFECTS: Final = (
    "none",
    "no_refund",
    "no_transfer",
    "no_reissue",
    "unilateral_change",
    "no_liability",
    "costly_dispute",
    "unfair_other",
)
"""What a clause does, in the order of art. 9 items (一) to (七)."""


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is delivered, under the name that facts use."""

    id: str
    name: Words


@dataclass(frozen=True, slots=True)
class Line:
    """`units` of an item, and `bonus` more, for `amount`."""

    item: str
    amount: int
    units: int
    bonus: int
    undiscounted: int | None
    """Price of one before discount, in fen; None where there is no discount."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one of an item is debited at."""

    item: str
    price: int
    undiscounted: int | None


@dataclass(frozen=True, slots=True)
class Tier:
    """Pay this, get that as a bonus."""

    pay: int
    bonus: int


@dataclass(frozen=True, slots=True)
class UnitsDeal:
    """Counted units, or milestones (one unit each)."""

    kind: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class StoredDeal:
    """Value on a card, drawn on at a price list."""

    kind: str
    prices: tuple[Price, ...]
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """The period of a pass."""

    start: Day | None
    """First day of the term, itself counted; None: the day of `card.activated`."""
    length: int
    unit: str
    counted_in: str
    last: str
    """Whether the day (or month) in which the contract ends counts as `used` or `remaining`."""


@dataclass(frozen=True, slots=True)
class PeriodDeal:
    """A service by the period, or unlimited use for a period (art. 22)."""

    kind: str
    price: int
    undiscounted: int | None
    term: Term


Deal = UnitsDeal | StoredDeal | PeriodDeal


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed about the value of deliveries, or the refund, for some causes."""

    when: tuple[str, ...]
    what: str
    """`value_at`, `prices`, `share` (of what was paid) or `fee` (of the refund)."""
    basis: str = ""
    prices: tuple[tuple[str, int], ...] = ()
    share: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class CoolingOff:
    """What was agreed about leaving without a reason (art. 14 paragraph 2)."""

    days: int
    despite_prior: bool
    use: str


@dataclass(frozen=True, slots=True)
class Interest:
    """What was agreed about interest (arts 16 and 17), and how it is counted."""

    ppm: int | None
    basis: str
    first_day: bool
    last_day: bool
    start: str


@dataclass(frozen=True, slots=True)
class Release:
    """When the custodian releases, and which share it holds back."""

    every: str
    frozen_ppm: int


@dataclass(frozen=True, slots=True)
class Clause:
    """A standard clause in words, with what it does."""

    id: str
    text: Words
    effects: tuple[str, ...]
    burdensome: bool
    """Of great interest to the consumer: must be pointed out (civil code 496, consumer law 26)."""
    prompt: Words
    """How it is pointed out; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one contract; `raw` is their one spelling and `hash` its SHA-256."""

    raw: bytes
    hash: str
    template: str
    template_version: int
    industry: str
    title: Words
    deal: Deal
    items: tuple[Item, ...]
    release: Release
    cooling_off: CoolingOff
    expiry_months: int | None
    expiry_after: str
    rounding: Rounding
    interest: Interest
    debts: str
    agreements: tuple[Agreement, ...]
    spend_order: str
    voucher: str
    notices: str
    closes_minute: int | None
    price_changes: str
    transfer: str
    reissue: str
    disputes: str
    disputes_text: Words
    refund_within_days: int
    refund_method: Words
    liability: Words
    custody_basis: str
    custody_text: Words
    account_interest: str
    """Whose the interest is that the account in custody bears (civil code 321(2))."""
    account_interest_said: bool
    """Whether the terms say so; else it is the consumer's, whose the money is until delivery."""
    clauses: tuple[Clause, ...]

    def item_name(self, item: str) -> Words:
        """Return an item's name in both languages, or the bare id where the terms have none."""
        for known in self.items:
            if known.id == item:
                return known.name
        return Words(item, item)


@lru_cache(TERMS_KEPT_MAX)
def parse_terms(raw: bytes) -> Terms:
    """Return the terms that `raw` spells; raise `Refused` with place and what would be right.

    The same bytes are the same value, so what was parsed is kept: each contract signed under one
    template would parse it anew, which costs more than all else of its signing.
    """
    fields = Fields(decode(raw, "terms"), "terms")
    fields.format(FORMAT, VERSION)
    items = tuple(_read_item(inner) for inner in fields.objects("items", length_min=0))
    _check_unique([item.id for item in items], "terms.items")
    deal = _read_deal(fields.object("deal"))
    _check_items(deal, {item.id for item in items})
    template, template_version = _read_template(fields.object("template"))
    expiry_months, expiry_after = _read_expiry(fields.object("expiry"))
    disputes, disputes_text = _read_named_words(
        fields.object("disputes"), "forum", ("statutory", "merchant_court", "arbitration")
    )
    custody_basis, custody_text = _read_named_words(fields.object("legal_basis"), "custody", None)
    refund = fields.object("refund")
    refund_within_days = refund.integer("within_days", 0, 365)
    refund_method = _read_words(refund)
    liability = _read_words(fields.object("liability"))
    title = _read_words(fields.object("title"))
    clauses = tuple(_read_clause(inner) for inner in fields.objects("clauses", 64))
    _check_unique([clause.id for clause in clauses], "terms.clauses")
    rounding = fields.object("rounding")
    mode = rounding.choice("mode", ROUNDING_MODES)
    unit = rounding.integer("unit", 1, 100)
    rounding.end()
    account_interest_said = fields.has("account_interest")
    account_interest = CONSUMER
    if account_interest_said:
        account_interest = fields.choice("account_interest", INTEREST_OWNERS)
    terms = Terms(
        raw=raw,
        hash=compute_hash(raw),
        template=template,
        template_version=template_version,
        industry=fields.choice("industry", INDUSTRIES),
        title=title,
        deal=deal,
        items=items,
        release=_read_release(fields.object("release")),
        cooling_off=_read_cooling_off(fields.object("cooling_off")),
        expiry_months=expiry_months,
        expiry_after=expiry_after,
        rounding=Rounding(mode, unit),
        interest=_read_interest(fields.object("interest")),
        debts=fields.choice("debts", ("interest_first", PRINCIPAL_FIRST)),
        agreements=tuple(_read_agreement(inner) for inner in fields.objects("agreements", 16)),
        spend_order=fields.choice(
            "spend_order", (UNSAID, PROPORTIONAL, BONUS_FIRST, PRINCIPAL_FIRST)
        ),
        voucher=fields.choice("voucher", (UNSAID, PRO_RATA, VOUCHER_FIRST)),
        notices=fields.choice("notices", (LEDGER, "other")),
        closes_minute=fields.optional_integer("closes", 0, 24 * 60 - 1),
        price_changes=fields.choice("price_changes", ("with_consent", "unilateral")),
        transfer=fields.choice("transfer", ("free", "consent", "forbidden")),
        reissue=fields.choice("reissue", ("free", "at_cost", "none")),
        disputes=disputes,
        disputes_text=disputes_text,
        refund_within_days=refund_within_days,
        refund_method=refund_method,
        liability=liability,
        custody_basis=custody_basis,
        custody_text=custody_text,
        account_interest=account_interest,
        account_interest_said=account_interest_said,
        clauses=clauses,
    )
    fields.end()
    return terms


def read_terms(document: dict[str, Any]) -> Terms:
    """Return the terms of a document that is not in its one spelling yet (a template file)."""
    return parse_terms(encode(document, "terms"))


def _read_words(fields: Fields) -> Words:
    words = Words(fields.text("en"), fields.text("zh"))
    fields.end()
    return words


def _read_named_words(
    fields: Fields, member: str, choices: tuple[str, ...] | None
) -> tuple[str, Words]:
    name = fields.word(member) if choices is None else fields.choice(member, choices)
    return name, _read_words(fields)


def _read_item(fields: Fields) -> Item:
    return Item(fields.word("id"), _read_words(fields))


def _read_template(fields: Fields) -> tuple[str, int]:
    found = fields.word("id"), fields.integer("version", 1, 1_000_000)
    fields.end()
    return found


def _read_expiry(fields: Fields) -> tuple[int | None, str]:
    found = (
        fields.optional_integer("months", 1, LENGTH_MAX),
        fields.choice("after", ("reactivates", "extends", FORFEITS)),
    )
    fields.end()
    return found


def _read_release(fields: Fields) -> Release:
    release = Release(
        fields.choice("every", ("unit", "week", "month", "milestone")),
        fields.integer("frozen_ppm", 0, PPM_MAX),
    )
    fields.end()
    return release


def _read_cooling_off(fields: Fields) -> CoolingOff:
    found = CoolingOff(
        fields.integer("days", 0, 365),
        fields.flag("despite_prior"),
        fields.choice("use", (UNSAID, NOT_DEDUCTED, DISCOUNTED, UNDISCOUNTED)),
    )
    fields.end()
    return found


def _read_interest(fields: Fields) -> Interest:
    found = Interest(
        fields.optional_integer("ppm", 0, PPM_MAX),
        fields.choice("basis", ("365", "360", "actual")),
        fields.flag("first_day"),
        fields.flag("last_day"),
        fields.choice("start", ("ended", "request", "first_payment", "formation")),
    )
    fields.end()
    return found


def _read_agreement(fields: Fields) -> Agreement:
    when = fields.words("when", CAUSES)
    if not when:
        fields.refuse(Code.OUT_OF_RANGE, "when", "is empty; at least one cause is expected")
    what = fields.choice("what", ("value_at", "prices", "share", "fee"))
    if what == "value_at":
        found = Agreement(when, what, basis=fields.choice("basis", (DISCOUNTED, UNDISCOUNTED)))
    elif what == "prices":
        prices = []
        for inner in fields.objects("prices", length_min=1):
            prices.append((inner.word("item"), inner.fen("price")))
            inner.end()
        _check_unique([item for item, _ in prices], f"{fields.path}.prices")
        found = Agreement(when, what, prices=tuple(prices))
    else:
        den = fields.integer("den", 1, PPM_MAX)
        found = Agreement(when, what, share=Fraction(fields.integer("num", 0, den), den))
    fields.end()
    return found


def _read_clause(fields: Fields) -> Clause:
    prompt = fields.object("prompt")
    clause = Clause(
        fields.word("id"),
        Words(fields.text("en", chars_min=1), fields.text("zh", chars_min=1)),
        fields.words("effects", EFFECTS),
        fields.flag("burdensome"),
        _read_words(prompt),
    )
    fields.end()
    return clause


def _read_deal(fields: Fields) -> Deal:
    kind = fields.choice("kind", DEAL_KINDS)
    deal: Deal
    if kind in (COUNTED_UNITS, MILESTONE):
        lines = tuple(_read_line(inner, kind) for inner in fields.objects("lines", length_min=1))
        _check_unique([line.item for line in lines], f"{fields.path}.lines")
        deal = UnitsDeal(kind, lines)
    elif kind in (STORED_VALUE, STORED_VALUE_BONUS):
        prices = tuple(_read_price(inner) for inner in fields.objects("prices"))
        _check_unique([price.item for price in prices], f"{fields.path}.prices")
        tiers: tuple[Tier, ...] = ()
        if kind == STORED_VALUE_BONUS:
            tiers = tuple(_read_tier(inner) for inner in fields.objects("tiers", 32, 1))
        deal = StoredDeal(kind, prices, tiers)
    else:
        price = fields.fen("price", 1)
        undiscounted = fields.optional_integer("undiscounted", 0, FEN_MAX)
        _check_discount(fields, undiscounted, Fraction(price))
        deal = PeriodDeal(kind, price, undiscounted, _read_term(fields.object("term")))
    fields.end()
    return deal


def _read_line(fields: Fields, kind: str) -> Line:
    units_max = 1 if kind == MILESTONE else UNITS_MAX
    line = Line(
        fields.word("item"),
        fields.fen("amount"),
        fields.integer("units", 1, units_max),
        fields.integer("bonus", 0, 0 if kind == MILESTONE else UNITS_MAX),
        fields.optional_integer("undiscounted", 0, FEN_MAX),
    )
    _check_discount(fields, line.undiscounted, Fraction(line.amount, line.units))
    fields.end()
    return line


def _read_price(fields: Fields) -> Price:
    price = Price(
        fields.word("item"),
        fields.fen("price"),
        fields.optional_integer("undiscounted", 0, FEN_MAX),
    )
    _check_discount(fields, price.undiscounted, Fraction(price.price))
    fields.end()
    return price


def _read_tier(fields: Fields) -> Tier:
    tier = Tier(fields.fen("pay", 1), fields.fen("bonus"))
    fields.end()
    return tier


def _read_term(fields: Fields) -> Term:
    start: Day | None = None
    if fields.choice("begins", ("on_day", "activation")) == "on_day":
        start = fields.day("start")
    unit = fields.choice("unit", ("day", "month"))
    term = Term(
        start,
        fields.integer("length", 1, LENGTH_MAX if unit == "day" else LENGTH_MAX // 30),
        unit,
        fields.choice("counted_in", ("day",) if unit == "day" else ("day", "month")),
        fields.choice("last", ("used", "remaining")),
    )
    fields.end()
    return term


def _check_discount(fields: Fields, undiscounted: int | None, price: Fraction) -> None:
    if undiscounted is not None and undiscounted < price:
        fields.refuse(
            Code.INCONSISTENT,
            "undiscounted",
            f"is {undiscounted} fen, less than the price of one; null is expected where there is "
            "no discount",
        )


def _check_items(deal: Deal, known: set[str]) -> None:
    if isinstance(deal, PeriodDeal):
        return
    rows = deal.lines if isinstance(deal, UnitsDeal) else deal.prices
    for row in rows:
        if row.item not in known:
            raise Refused(
                Code.INCONSISTENT,
                f"terms.deal sells the item {row.item!r}, which terms.items does not name",
            )


def _check_unique(names: list[str], path: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise Refused(Code.INCONSISTENT, f"{path} has {name[:WORD_CHARS_MAX]!r} more than once")
