"""The checks that rule packs name: each looks at a contract's facts and tells what breaks a rule.

A check is a generator of findings over one contract, given the rule's numbers and the days on which
it holds; every event is judged by the version of its own day. Checks see everything that was
recorded and change nothing. Each takes one walk along the facts and finds at most one thing of any:
a contract may have twenty thousand, by whoever wants to be a nuisance. `find_breaches` runs every
rule in force for the contract's industry and district; what the merchant as a whole stated stands
among the facts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from typing import Final

from law.account import BOTH, Account, fold
from law.amounts import show_percent, show_yuan
from law.clauses import Phrases, check_clauses
from law.cooling_off import find_too_late
from law.days import MINUTE_MS, Day, Ms, day_of, end_of_months, show_day, start_of
from law.facts import Fact
from law.fields import MS_MAX
from law.finding import GRAVE, NOTICE, Finding
from law.published import Published
from law.rules import DRAFT, InForce, Rule
from law.terms import PeriodDeal, StoredDeal, Terms, UnitsDeal

CARD_NAMED: Final = "named"

NEVER: Final = (MS_MAX + 1, 0)
"""A place after every fact."""

POSTPONED_DAYS_MAX: Final = 30
"""Days after the one that it names for which a notice of closing or moving still speaks: what is
put off by more is told again (ours)."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a check is given."""

    rule: Rule
    pack: InForce
    terms: Terms
    account: Account
    facts: Sequence[Fact]
    published: Published
    on: Day
    """The day on which one looks: deadlines before it have passed."""

    def number(self, name: str) -> int:
        """Return one of the rule's numbers."""
        return self.rule.parameters[name]

    def during(self, kind: str) -> Iterator[Fact]:
        """Yield the facts of a kind from the days on which the rule holds; a payment that the
        merchant alone dates is of its block's day too, for no rule is evaded by a date."""
        for fact in self.account.of(kind):
            times = (fact.at, fact.latest) if kind == "funds.locked" else (fact.at,)
            if self.holds_at(*times):
                yield fact

    def holds_at(self, *times: Ms) -> bool:
        """Whether the rule holds at one of these times."""
        return any(self.pack.holds_on(day_of(time)) for time in times)

    @property
    def is_signed_during(self) -> bool:
        """Whether the contract was made while the rule held, by its date or, where the merchant
        alone dates it, by its block."""
        return self.holds_at(self.account.signed_at, self.account.signed_latest)

    def find(
        self,
        en: str,
        zh: str,
        positions: Sequence[int],
        *values: tuple[str, int | str],
        severity: str = "",
    ) -> Finding:
        """Return a finding of this rule; one of a draft is a notice and says so."""
        draft = self.pack.pack.status == DRAFT
        return Finding(
            f"{self.pack.pack.name}/{self.rule.id}",
            self.rule.article,
            NOTICE if draft else (severity or self.rule.severity),
            f"{en} (By a draft.)" if draft else en,
            f"{zh}（依征求意见稿。）" if draft else zh,
            values,
            tuple(positions),
        )


def find_breaches(
    packs: Sequence[InForce],
    terms: Terms,
    facts: Sequence[Fact],
    published: Published,
    on: Day,
    district: str,
) -> tuple[Finding, ...]:
    """Return what breaks the rules in force for a contract, seen on a day; facts as
    `law.facts.read_facts` returns them, `district` the merchant's (empty: of none)."""
    account = fold(terms, facts)
    found: list[Finding] = []
    for pack in packs:
        if not pack.pack.binds(terms.industry, district):
            continue
        for rule in pack.pack.rules:
            found += CHECKS[rule.check](Look(rule, pack, terms, account, facts, published, on))
    return tuple(found)


# -- what is taken in


class _AtOnce:
    """What was taken at once: on one day, in however many parts (ours), so that a price that is
    split is still one. What the merchant alone dates is of either day, and the larger sum counts.
    """

    __slots__ = ("_days",)

    def __init__(self) -> None:
        self._days: tuple[dict[Day, tuple[int, int]], ...] = ({}, {})
        """(Sum, first entry) of each day: by the date, and by the latest that it may be."""

    def add(self, fact: Fact, amount: int) -> tuple[int, list[int]]:
        """Return what was taken at once with this fact, and the first and the last entry of it."""
        sums = []
        for days, at in zip(self._days, (fact.at, fact.latest), strict=True):
            known, first = days.get(day_of(at), (0, fact.position))
            days[day_of(at)] = known + amount, first
            sums.append((known + amount, first))
        taken, first = max(sums, key=lambda each: each[0])
        return taken, list(dict.fromkeys((first, fact.position)))


def _payment_max(look: Look) -> Iterator[Finding]:
    limit, at_once = look.number("fen"), _AtOnce()
    for fact in look.during("funds.locked"):
        paid = fact.data.amount + sum(voucher.amount for voucher in fact.data.vouchers)
        taken, positions = at_once.add(fact, paid)
        if taken > limit:
            yield look.find(
                f"{show_yuan(taken)} yuan were taken at once; at most {show_yuan(limit)} may be.",
                f"一次收取 {show_yuan(taken)} 元，超过 {show_yuan(limit)} 元。",
                positions,
                ("taken", taken),
                ("limit", limit),
            )


def _units_max(look: Look) -> Iterator[Finding]:
    deal, limit = look.terms.deal, look.number("units")
    if not isinstance(deal, UnitsDeal) or not look.is_signed_during:
        return
    units = sum(line.units + line.bonus for line in deal.lines)
    if units > limit:
        yield look.find(
            f"The contract sells {units} units at once; at most {limit} may be charged.",
            f"合同一次收取 {units} 课时（次）的费用，超过 {limit}。",
            [look.account.signed_position],
            ("units", units),
            ("limit", limit),
        )


def _span_max(look: Look) -> Iterator[Finding]:
    deal, limit = look.terms.deal, look.number("months")
    if not isinstance(deal, PeriodDeal) or not look.is_signed_during:
        return
    start = day_of(look.account.signed_at) if deal.term.start is None else deal.term.start
    if deal.term.unit == "month":
        end = end_of_months(start, deal.term.length)
    else:
        end = start + deal.term.length
    if end > end_of_months(start, limit):
        yield look.find(
            f"The charge spans {show_day(start)} to {show_day(end - 1)}, more than {limit} months.",
            f"收费时间跨度为 {show_day(start)} 至 {show_day(end - 1)}，超过 {limit} 个月。",
            [look.account.signed_position],
            ("days", end - start),
            ("months", limit),
        )


def _account_required(look: Look) -> Iterator[Finding]:
    accounts: set[str | None] = set()
    for fact in look.during("funds.locked"):
        accounts.add(fact.data.account)
        if fact.data.custody == "none" or fact.data.account is None:
            yield look.find(
                f"{show_yuan(fact.data.amount)} yuan did not go into the supervised account.",
                f"{show_yuan(fact.data.amount)} 元未进入监管账户。",
                [fact.position],
                ("amount", fact.data.amount),
            )
        elif len(accounts - {None}) > 1:
            yield look.find(
                "Prepayments went into more than one account.",
                "预收费进入了一个以上的账户。",
                [fact.position],
                ("account", fact.data.account),
            )


def _no_loan(look: Look) -> Iterator[Finding]:
    for fact in look.during("funds.locked"):
        if fact.data.channel == "loan":
            yield look.find(
                "The fee was paid by a training loan.",
                "以培训贷方式缴纳费用。",
                [fact.position],
                ("amount", fact.data.amount),
            )


def _no_cash(look: Look) -> Iterator[Finding]:
    limit, at_once = look.number("from_fen"), _AtOnce()
    for fact in look.during("funds.locked"):
        if fact.data.channel != "cash":
            continue
        paid, positions = at_once.add(fact, fact.data.amount)
        if paid >= limit:
            yield look.find(
                f"{show_yuan(paid)} yuan were paid in cash; from {show_yuan(limit)} a transfer is "
                "required.",
                f"以现金支付 {show_yuan(paid)} 元；{show_yuan(limit)} 元以上须转账。",
                positions,
                ("amount", paid),
                ("limit", limit),
            )


def _real_name(look: Look) -> Iterator[Finding]:
    limit, signed = look.number("bearer_from_fen"), look.account.signed
    if signed.card == CARD_NAMED or signed.persons.payer is not None:
        return
    at_once = _AtOnce()
    for fact in look.during("funds.locked"):
        paid, positions = at_once.add(fact, fact.data.amount)
        if paid >= limit:
            yield look.find(
                f"{show_yuan(paid)} yuan were paid for bearer cards at once and no buyer is "
                "recorded.",
                f"一次性购买不记名卡 {show_yuan(paid)} 元，未登记购卡人。",
                positions,
                ("amount", paid),
                ("limit", limit),
            )


def _card_value_max(look: Look) -> Iterator[Finding]:
    if not isinstance(look.terms.deal, StoredDeal):
        return
    limit = look.number(f"{look.account.signed.card}_fen")
    debits = {delivery.position: delivery.face for delivery in look.account.deliveries}
    loads = {payment.position: payment for payment in look.account.payments}
    balance = 0
    for fact in look.facts:
        balance -= debits.get(fact.position, 0)
        load = loads.get(fact.position)
        if load is None:
            continue
        balance += load.paid + load.bonus
        if balance > limit and look.holds_at(fact.at, fact.latest):
            yield look.find(
                f"The card holds {show_yuan(balance)} yuan; at most {show_yuan(limit)} may be on "
                f"a {look.account.signed.card} card.",
                f"卡内金额 {show_yuan(balance)} 元，超过限额 {show_yuan(limit)} 元。",
                [fact.position],
                ("balance", balance),
                ("limit", limit),
            )


def _card_validity(look: Look) -> Iterator[Finding]:
    months, lowest = look.terms.expiry_months, look.number("bearer_months")
    if months is None or not look.is_signed_during:
        return
    if look.account.signed.card == CARD_NAMED:
        yield look.find(
            f"The terms let a named card expire after {months} months; it must not expire.",
            f"合同约定记名卡 {months} 个月有效；记名卡不得设有效期。",
            [look.account.signed_position],
            ("months", months),
        )
    elif months < lowest:
        yield look.find(
            f"The terms let a bearer card expire after {months} months; {lowest} are the least.",
            f"合同约定不记名卡 {months} 个月有效，少于 {lowest} 个月。",
            [look.account.signed_position],
            ("months", months),
            ("lowest", lowest),
        )


# -- what is released and delivered


def _release_in_step(look: Look) -> Iterator[Finding]:
    """Releases must not run ahead of what was delivered, at the contract's price: neither by their
    dates nor by what stood on record, where the merchant alone dates a delivery."""
    ahead: dict[int, tuple[int, int]] = {}
    for facts in (look.facts, sorted(look.facts, key=_find_known)):
        progress = _Progress(look.terms)
        released = 0
        for fact in facts:
            progress.take(fact)
            if fact.kind != "funds.released":
                continue
            released += fact.data.amount
            delivered = progress.compute_value(day_of(fact.at))
            if released > delivered:
                ahead.setdefault(fact.position, (released, int(delivered)))
    for fact in look.during("funds.released"):
        if fact.position in ahead:
            released, value = ahead[fact.position]
            yield look.find(
                f"{show_yuan(released)} yuan were released when {show_yuan(value)} had been "
                "delivered.",
                f"已释放 {show_yuan(released)} 元，而当时已提供的价款为 {show_yuan(value)} 元。",
                [fact.position],
                ("released", released),
                ("delivered", value),
            )


def _find_known(fact: Fact) -> tuple[Ms, int]:
    """Return since when a fact was known to whoever released money: a release when it was recorded,
    everything else by the latest that it may have been."""
    return (fact.recorded if fact.kind == "funds.released" else fact.latest), fact.position


class _Progress:
    """The value delivered so far, kept up fact by fact."""

    __slots__ = (
        "_counted", "_deal", "_each", "_held", "_paid", "_start", "_taken_back", "_value"
    )  # fmt: skip

    def __init__(self, terms: Terms) -> None:
        self._deal = terms.deal
        self._counted: dict[int, Fraction] = {}
        self._taken_back: set[int] = set()
        self._value = Fraction(0)
        self._paid = self._held = 0
        self._start: Day | None = None
        self._each: dict[str, Fraction] = {}
        if isinstance(terms.deal, UnitsDeal):
            for line in terms.deal.lines:
                self._each[line.item] = Fraction(line.amount, line.units + line.bonus)
        elif isinstance(terms.deal, PeriodDeal):
            self._start = terms.deal.term.start

    def take(self, fact: Fact) -> None:
        """Take account of one more fact."""
        data = fact.data
        if fact.kind == "funds.locked":
            paid = data.amount + sum(voucher.amount for voucher in data.vouchers)
            self._paid += paid
            self._held += paid + data.bonus
        elif fact.kind == "card.activated" and self._start is None:
            self._start = day_of(fact.latest)
        elif fact.kind == "service.delivered" and fact.position not in self._taken_back:
            each = self._each.get(data.item)
            value = Fraction(data.debited) if each is None else data.units * each
            self._counted[fact.position] = value
            self._value += value
        elif fact.kind == "delivery.answered" and data.answer == "reversed":
            self._taken_back.add(data.of)
            self._value -= self._counted.pop(data.of, Fraction(0))

    def compute_value(self, day: Day) -> Fraction:
        """Return the value delivered by a day, in fen, at most what was paid."""
        deal = self._deal
        if isinstance(deal, PeriodDeal):
            if self._start is None or day < self._start:
                return Fraction(0)
            days = deal.term.length
            if deal.term.unit == "month":
                days = end_of_months(self._start, days) - self._start
            value = Fraction(deal.price * min(days, day - self._start + 1), days)
        elif isinstance(deal, StoredDeal) and self._held:
            value = self._value * self._paid / self._held
        else:
            value = self._value
        return min(value, Fraction(self._paid))


def _ends_by(look: Look) -> Iterator[Finding]:
    minute = look.number("minute")
    clock = f"{minute // 60:02d}:{minute % 60:02d}"
    for fact in look.during("service.delivered"):
        ended = (fact.at - start_of(day_of(fact.at))) // MINUTE_MS
        if ended > minute:
            shown = f"{ended // 60:02d}:{ended % 60:02d}"
            yield look.find(
                f"The lesson ended at {shown}; {clock} is the latest.",
                f"课程于 {shown} 结束，晚于 {clock}。",
                [fact.position],
                ("minute", int(ended)),
                ("latest", minute),
            )


def _no_debit_after_loss(look: Look) -> Iterator[Finding]:
    """Each debit once, after the first of the losses that stood when it was made."""
    reissued = {fact.data.of: fact.key for fact in look.account.of("card.reissued")}
    losses = look.account.of("card.lost")
    coming = sorted(range(len(losses)), key=lambda place: losses[place].recorded, reverse=True)
    standing: list[int] = []
    for fact in look.during("service.delivered"):
        while coming and losses[coming[-1]].recorded < fact.at:
            heappush(standing, coming.pop())
        while standing and reissued.get(losses[standing[0]].position, NEVER) <= fact.key:
            heappop(standing)  # nor does it stand for any later debit
        if standing:
            loss = losses[standing[0]]
            yield look.find(
                f"The card was debited after its loss had been reported at entry {loss.position}.",
                f"挂失（第 {loss.position} 条）之后仍有扣款。",
                [loss.position, fact.position],
                ("debited", fact.data.debited),
            )


# -- what the terms and the merchant say


def _custody_ratio(look: Look) -> Iterator[Finding]:
    """What the merchant as a whole, or whoever keeps its money, reports at a quarter's end."""
    for fact in look.account.of("balance.reported"):
        data = fact.data
        ppm = look.rule.parameters.get(f"{data.issuer_class}_ppm", 0)
        is_enough = data.custody * 1_000_000 >= data.balance * ppm
        if is_enough or not look.pack.holds_on(data.quarter_end):
            continue
        quarter = show_day(data.quarter_end)
        yield look.find(
            f"At {quarter} {show_yuan(data.custody)} yuan were in custody, less than "
            f"{show_percent(ppm)} % of the balance of {show_yuan(data.balance)}.",
            f"{quarter} 存管资金 {show_yuan(data.custody)} 元，低于预收资金余额 "
            f"{show_yuan(data.balance)} 元的 {show_percent(ppm)}%。",
            [fact.position],
            ("balance", data.balance),
            ("custody", data.custody),
            ("ppm", ppm),
        )


def _written_terms(look: Look) -> Iterator[Finding]:
    if not look.is_signed_during:
        return
    missing = [
        name
        for name, text in (
            ("refund", look.terms.refund_method),
            ("liability", look.terms.liability),
        )
        if not text.zh
    ]
    if missing:
        yield look.find(
            f"The written contract lacks {' and '.join(missing)}.",
            f"书面合同缺少：{'、'.join(_MISSING[name] for name in missing)}。",
            [look.account.signed_position],
            ("missing", " ".join(missing)),
        )


_MISSING: Final = {"refund": "预付款退还方式", "liability": "违约责任"}


def _no_intake_after_risk(look: Look) -> Iterator[Finding]:
    """Each intake once, after the declaration that began the risk in which it may have come; none
    after the risk was lifted, until one is declared again."""
    risks = _find_risks(look.account)
    ends = [end for _, end in risks]
    for fact in look.during("funds.locked"):
        place = bisect_right(ends, fact.key)
        if place == len(risks):
            continue
        risk, _ = risks[place]
        if max(fact.key, (fact.latest, fact.position)) > risk.key:
            yield look.find(
                f"{show_yuan(fact.data.amount)} yuan were taken after a major business risk was "
                f"declared at entry {risk.position}.",
                f"出现重大经营风险（第 {risk.position} 条）之后仍收取 "
                f"{show_yuan(fact.data.amount)} 元。",
                [risk.position, fact.position],
                ("amount", fact.data.amount),
                severity=GRAVE,
            )


def _find_risks(account: Account) -> list[tuple[Fact, tuple[Ms, int]]]:
    """Return each risk's first declaration and the key of the fact that lifted it, in order."""
    risks: list[tuple[Fact, tuple[Ms, int]]] = []
    both = [*account.of("risk.declared"), *account.of("risk.lifted")]
    for fact in sorted(both, key=lambda fact: fact.key):
        is_open = bool(risks) and risks[-1][1] == NEVER
        if fact.kind == "risk.declared" and not is_open:
            risks.append((fact, NEVER))
        elif fact.kind == "risk.lifted" and is_open:
            risks[-1] = risks[-1][0], fact.key
    return risks


_ANNOUNCED: Final = {
    "business.closed": ("closing.notified", "closed", "停业"),
    "premises.moved": ("moving.notified", "moved", "迁移"),
}


def _notice_before_closing(look: Look) -> Iterator[Finding]:
    """Each closing or move once, by the notice of it that was recorded first; a notice is of the
    day that it names and of the `POSTPONED_DAYS_MAX` after it."""
    lead = look.number("lead_days")
    for kind, (notice_kind, verb, word) in _ANNOUNCED.items():
        notices = look.account.of(notice_kind)
        seen = 0
        first: dict[Day, Fact] = {}
        for fact in look.during(kind):
            while seen < len(notices) and notices[seen].key < fact.key:
                named = notices[seen].data.effective
                if named not in first or notices[seen].latest < first[named].latest:
                    first[named] = notices[seen]
                seen += 1
            day = day_of(fact.at)
            window = range(day - POSTPONED_DAYS_MAX, day + 1)
            of_it = [first[named] for named in window if named in first]
            told = min(of_it, key=lambda notice: (notice.latest, notice.position), default=None)
            days = 0 if told is None else max(0, day - day_of(told.latest))
            if told is None and seen:
                other = notices[seen - 1]
                announced = show_day(other.data.effective)
                yield look.find(
                    f"The merchant {verb} on {show_day(day)} and had told consumers of "
                    f"{announced}.",
                    f"经营者于 {show_day(day)} {word}，而告知消费者的日期是 {announced}。",
                    [other.position, fact.position],
                    ("announced", announced),
                    ("lead_days", lead),
                )
            elif told is None:
                yield look.find(
                    f"The merchant {verb} on {show_day(day)} without telling consumers before.",
                    f"经营者于 {show_day(day)} {word}，未提前告知消费者。",
                    [fact.position],
                    ("lead_days", lead),
                )
            elif days < lead:
                yield look.find(
                    f"The merchant {verb} on {show_day(day)}, {days} days after telling "
                    f"consumers; {lead} are required.",
                    f"经营者于 {show_day(day)} {word}，仅提前 {days} 日告知，应提前 {lead} 日。",
                    [told.position, fact.position],
                    ("days", days),
                    ("lead_days", lead),
                )


def _no_unilateral_rise(look: Look) -> Iterator[Finding]:
    deal = look.terms.deal
    rows = deal.prices if isinstance(deal, StoredDeal) else ()
    prices = {row.item: row.price for row in rows}
    for fact in look.account.of("price.changed"):
        old = prices.get(fact.data.item)
        if fact.role == BOTH:
            prices[fact.data.item] = fact.data.price
        elif old is not None and fact.data.price > old and look.pack.holds_on(day_of(fact.at)):
            yield look.find(
                f"The price of {fact.data.item} was raised from {show_yuan(old)} to "
                f"{show_yuan(fact.data.price)} yuan without the consumer's recorded consent.",
                f"未经消费者同意，{fact.data.item} 由 {show_yuan(old)} 元涨至 "
                f"{show_yuan(fact.data.price)} 元。",
                [fact.position],
                ("from", old),
                ("to", fact.data.price),
            )


def _no_forfeiture(look: Look) -> Iterator[Finding]:
    for fact in look.during("balance.forfeited"):
        yield look.find(
            f"{show_yuan(fact.data.amount)} yuan of balance were taken; expiry never takes a "
            "balance.",
            f"扣除余额 {show_yuan(fact.data.amount)} 元；过期不没收余额。",
            [fact.position],
            ("amount", fact.data.amount),
        )


def _records_in_time(look: Look) -> Iterator[Finding]:
    """Each request once; a production that the merchant alone dates counts from its record."""
    produced: dict[int, Fact] = {}
    for fact in look.account.of("records.produced"):
        known = produced.get(fact.data.of)
        if known is None or fact.latest < known.latest:
            produced[fact.data.of] = fact
    refused = {fact.data.of: fact for fact in look.account.of("records.refused")}
    for fact in look.during("records.requested"):
        if look.on <= fact.data.until:
            continue
        until = show_day(fact.data.until)
        production = produced.get(fact.position)
        refusal = refused.get(fact.position)
        if production is not None:
            came = day_of(production.latest)
            if came > fact.data.until:
                yield look.find(
                    f"Records requested until {until} were produced on {show_day(came)} only.",
                    f"请求于 {until} 前提交的记录至 {show_day(came)} 才提交。",
                    [fact.position, production.position],
                    ("until", until),
                    ("produced", show_day(came)),
                    severity=NOTICE,
                )
        elif refusal is None:
            yield look.find(
                f"Records requested until {until} were neither produced nor refused.",
                f"请求于 {until} 前提交的记录既未提交也未说明理由。",
                [fact.position],
                ("until", until),
            )
        else:
            yield look.find(
                f"Records requested until {until} were refused for “{refusal.data.reason}”; "
                "whether that is a good reason, a court says.",
                f"请求于 {until} 前提交的记录被拒绝，理由“{refusal.data.reason}”是否正当"
                "由法院认定。",
                [fact.position, refusal.position],
                ("until", until),
                ("reason", refusal.data.reason),
                severity=NOTICE,
            )


def _refund_within(look: Look) -> Iterator[Finding]:
    """Something must have been paid back by the day; how much is due is the derivation's to say.

    What only whoever owes it says was paid is no payment (`law.account.Account.is_repaid`). A
    request under art. 14 that comes too late by any reading obliges nobody.
    """
    asked = [
        (kind, look.number(name))
        for kind, name in (
            ("cooling_off.requested", "cooling_off_days"),
            ("termination.requested", "ended_days"),
        )
        if look.number(name)
    ]
    refunds = [fact for fact in look.account.of("refund.paid") if look.account.is_repaid(fact)]
    for kind, days in asked:
        requests = list(look.during(kind))
        too_late: frozenset[int] = frozenset()
        if kind == "cooling_off.requested":
            too_late = find_too_late(look.terms, look.account, look.published, requests)
        for fact in requests:
            if fact.position in too_late:
                continue
            due = day_of(_find_asked(look, fact)) + days
            place = bisect_right(refunds, fact.key, key=lambda refund: refund.key)
            is_paid = place < len(refunds) and day_of(refunds[place].at) <= due
            if look.on > due and not is_paid:
                yield look.find(
                    f"Nothing was paid back within {days} days, by {show_day(due)}.",
                    f"未在 {days} 日内（{show_day(due)} 前）退款。",
                    [fact.position],
                    ("days", days),
                    ("due", show_day(due)),
                )


def _find_asked(look: Look, request: Fact) -> Ms:
    """Return when a request counts as made for a time that runs against the other side: by its
    record, or as that side says that it arrived before."""
    arrived = look.account.find_arrival(request, look.terms)
    return request.recorded if arrived is None else min(arrived, request.recorded)


def _void_phrases(look: Look) -> Iterator[Finding]:
    if not look.is_signed_during:
        return
    phrases = Phrases(look.rule.effect, look.rule.phrases, f"{look.pack.pack.name}/{look.rule.id}")
    for finding in check_clauses(look.terms, [phrases]):
        if finding.rule.startswith(phrases.rule):
            yield finding


CHECKS: Final[dict[str, Callable[[Look], Iterator[Finding]]]] = {
    "payment_max": _payment_max,
    "units_max": _units_max,
    "span_max": _span_max,
    "account_required": _account_required,
    "no_loan": _no_loan,
    "release_in_step": _release_in_step,
    "ends_by": _ends_by,
    "card_value_max": _card_value_max,
    "real_name": _real_name,
    "no_cash": _no_cash,
    "card_validity": _card_validity,
    "custody_ratio": _custody_ratio,
    "written_terms": _written_terms,
    "no_intake_after_risk": _no_intake_after_risk,
    "notice_before_closing": _notice_before_closing,
    "no_unilateral_rise": _no_unilateral_rise,
    "no_forfeiture": _no_forfeiture,
    "no_debit_after_loss": _no_debit_after_loss,
    "records_in_time": _records_in_time,
    "refund_within": _refund_within,
    "void_phrases": _void_phrases,
}
"""The checks, by the name a pack uses."""
