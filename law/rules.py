"""Rule packs: a regulator's rules as data, versioned, with an article for every rule.

A pack names its publisher, the industries and districts it holds for, and the days from and until
which it holds; a later version ends an earlier one on the day it begins. A draft without a date
does nothing; with a date it gives notices only. Which checks there are stands in `law.checks`,
their parameters here; a pack gives the numbers. Old versions stay: an event is judged by the
version of its own day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from law.canonical import compute_hash, decode, encode
from law.days import Day
from law.fields import FEN_MAX, PPM_MAX, Fields
from law.finding import SEVERITIES
from law.refusal import Code, Refused
from law.terms import EFFECTS, INDUSTRIES, UNITS_MAX, Words

FORMAT: Final = "evidence-ledger/rules"
VERSION: Final = 1

IN_FORCE: Final = "in_force"
DRAFT: Final = "draft"

EVERYWHERE: Final = ("*",)
"""The districts of a pack that holds in all of the city; what a pack means that names none."""

FOREVER: Final = 10**7
"""A day past every day: the end of what has no end."""

PARAMETERS: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "payment_max": {"fen": (1, FEN_MAX)},
    "units_max": {"units": (1, UNITS_MAX)},
    "span_max": {"months": (1, 120)},
    "account_required": {},
    "no_loan": {},
    "release_in_step": {},
    "ends_by": {"minute": (0, 24 * 60)},
    "card_value_max": {"bearer_fen": (1, FEN_MAX), "named_fen": (1, FEN_MAX)},
    "real_name": {"bearer_from_fen": (1, FEN_MAX)},
    "no_cash": {"from_fen": (1, FEN_MAX)},
    "card_validity": {"bearer_months": (1, 120)},
    "custody_ratio": {
        "brand_ppm": (0, PPM_MAX),
        "group_ppm": (0, PPM_MAX),
        "scale_ppm": (0, PPM_MAX),
    },
    "written_terms": {},
    "no_intake_after_risk": {},
    "notice_before_closing": {"lead_days": (0, 365)},
    "no_unilateral_rise": {},
    "no_forfeiture": {},
    "no_debit_after_loss": {},
    "records_in_time": {},
    "refund_within": {"cooling_off_days": (1, 365), "ended_days": (0, 365)},
    "void_phrases": {},
}
"""Every check with its whole-number parameters and their bounds. `void_phrases` has words instead;
`ended_days` of 0 asks nothing after a termination."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack."""

    id: str
    check: str
    article: str
    severity: str
    parameters: Mapping[str, int]
    effect: str = ""
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """One version of a pack."""

    raw: bytes
    hash: str
    id: str
    version: int
    publisher: str
    department: str
    status: str
    effective_from: Day | None
    effective_until: Day | None
    """First day on which it does not hold any more."""
    industries: tuple[str, ...]
    districts: tuple[str, ...]
    """Of the merchants it holds for; `EVERYWHERE` for all, also those of no district."""
    title: Words
    source: Words
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        """`id@version`."""
        return f"{self.id}@{self.version}"

    def binds(self, industry: str, district: str) -> bool:
        """Whether it holds for a contract of this industry whose merchant is of this district."""
        is_there = self.districts == EVERYWHERE or district in self.districts
        return is_there and industry in self.industries


@dataclass(frozen=True, slots=True)
class InForce:
    """A pack with the days on which it holds: `[begin, end)`."""

    pack: Pack
    begin: Day
    end: Day

    def holds_on(self, day: Day) -> bool:
        """Whether an event of this day is judged by this version."""
        return self.begin <= day < self.end


def parse_pack(raw: bytes) -> Pack:
    """Return the pack that `raw` spells canonically; raise `Refused`."""
    fields = Fields(decode(raw, "rules"), "rules")
    fields.format(FORMAT, VERSION)
    identity = fields.object("pack")
    pack_id, version = identity.word("id"), identity.integer("version", 1, 1_000_000)
    identity.end()
    rules = tuple(_read_rule(inner) for inner in fields.objects("rules", 128, 1))
    ids = [rule.id for rule in rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            fields.refuse(Code.INCONSISTENT, "rules", f"has {rule_id!r} more than once")
    pack = Pack(
        raw=raw,
        hash=compute_hash(raw),
        id=pack_id,
        version=version,
        publisher=fields.word("publisher"),
        department=fields.word("department"),
        status=fields.choice("status", (IN_FORCE, DRAFT)),
        effective_from=fields.optional_day("effective_from"),
        effective_until=fields.optional_day("effective_until"),
        industries=fields.words("industries", INDUSTRIES),
        districts=_read_districts(fields),
        title=_read_words(fields.object("title")),
        source=_read_words(fields.object("source")),
        rules=rules,
    )
    fields.end()
    if pack.status == IN_FORCE and pack.effective_from is None:
        raise Refused(
            Code.INCONSISTENT,
            f"rules {pack.name} are in force and have no effective_from; only a draft may lack it",
        )
    return pack


def read_pack(document: dict[str, Any]) -> Pack:
    """Return the pack of a document that is not in its one spelling yet."""
    return parse_pack(encode(document, "rules"))


def schedule(packs: Sequence[Pack]) -> tuple[InForce, ...]:
    """Return every pack that ever holds, with its days: a later version ends an earlier one.

    Raises `Refused` (INCONSISTENT) for one version twice.
    """
    names = [pack.name for pack in packs]
    for name in names:
        if names.count(name) > 1:
            raise Refused(Code.INCONSISTENT, f"rules {name} are there twice")
    found = []
    for pack in sorted(packs, key=lambda pack: (pack.id, pack.version)):
        if pack.effective_from is None:
            continue
        end = FOREVER if pack.effective_until is None else pack.effective_until
        for later in packs:
            if (
                later.id == pack.id
                and later.version > pack.version
                and later.effective_from is not None
            ):
                end = min(end, later.effective_from)
        if pack.effective_from < end:
            found.append(InForce(pack, pack.effective_from, end))
    return tuple(found)


def find_replaced(newest_first: Iterable[Pack], pack: Pack) -> Iterator[Pack]:
    """Yield the versions of a pack whose place a later one takes: the newest, and each that would
    go on to hold on a day from which the later one holds.

    No version is asked for beyond one that ends all before it by that day.
    """
    begin = FOREVER if pack.effective_from is None else pack.effective_from
    end = FOREVER
    for place, each in enumerate(newest_first):
        since = FOREVER if each.effective_from is None else each.effective_from
        until = FOREVER if each.effective_until is None else each.effective_until
        if place == 0 or max(since, begin) < min(until, end):
            yield each
        end = min(end, since)
        if end <= begin:
            return


def check_replaced(
    replaced: Iterable[Pack], pack: Pack, industries: Sequence[str], districts: Sequence[str]
) -> None:
    """Refuse a version whose publisher is not competent for all that those held for whose place it
    takes; `industries` and `districts` are the publisher's, `*` for all.

    Else whoever may speak for one district could end what holds in all the others. Raises `Refused`
    (NOT_ENTITLED).
    """
    for each in replaced:
        for held, own in ((each.industries, industries), (each.districts, districts)):
            outside = [name for name in held if name not in own and "*" not in own]
            if outside:
                where = "every district" if outside == ["*"] else ", ".join(outside)
                raise Refused(
                    Code.NOT_ENTITLED,
                    f"rules {pack.name} take the place of {each.name}, which hold for {where}; "
                    f"{pack.publisher} is competent for {', '.join(own) or 'none'}",
                )


def check_publisher(
    pack: Pack, competence: Mapping[str, Sequence[str]], districts: Sequence[str]
) -> None:
    """Refuse a pack whose department is not competent for one of its industries, or its publisher
    not for one of its districts.

    `competence` is data: department → industries; `*` is every one. `districts` are the
    publisher's, `EVERYWHERE` for all. Raises `Refused` (NOT_ENTITLED).
    """
    allowed = competence.get(pack.department, ())
    for industry in pack.industries:
        if industry not in allowed and "*" not in allowed:
            raise Refused(
                Code.NOT_ENTITLED,
                f"rules {pack.name} are published by the department {pack.department} for "
                f"{industry}; it is competent for {', '.join(allowed) or 'nothing'}",
            )
    for district in pack.districts:
        if district not in districts and "*" not in districts:
            where = "every district" if pack.districts == EVERYWHERE else district
            raise Refused(
                Code.NOT_ENTITLED,
                f"rules {pack.name} are published by {pack.publisher} for {where}; it is competent "
                f"in {', '.join(districts) or 'none'}",
            )


def _read_districts(fields: Fields) -> tuple[str, ...]:
    """Return the districts of a pack; every one where it names none."""
    if not fields.has("districts"):
        return EVERYWHERE
    districts = fields.words("districts")
    if not districts or ("*" in districts and len(districts) > 1):
        fields.refuse(
            Code.INCONSISTENT,
            "districts",
            f"is {list(districts)}; districts are expected, or * alone for all of them",
        )
    return districts


def _read_words(fields: Fields) -> Words:
    words = Words(fields.text("en"), fields.text("zh"))
    fields.end()
    return words


def _read_rule(fields: Fields) -> Rule:
    rule_id = fields.word("id")
    check = fields.choice("check", tuple(PARAMETERS))
    article = fields.text("article", 200, 1)
    severity = fields.choice("severity", SEVERITIES)
    inner = fields.object("parameters")
    values = {
        name: inner.integer(name, lowest, highest)
        for name, (lowest, highest) in PARAMETERS[check].items()
    }
    effect = ""
    phrases: tuple[str, ...] = ()
    if check == "void_phrases":
        effect = inner.choice("effect", EFFECTS[1:])
        phrases = inner.words("phrases")
    inner.end()
    fields.end()
    return Rule(rule_id, check, article, severity, values, effect, phrases)
