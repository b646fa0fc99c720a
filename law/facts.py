"""Facts: what somebody put on the ledger about a contract, each the content of one transaction.

A fact has its entry's position, when it happened (`at`) and when it was recorded, who said it and
in which role. A claim stays a claim: what only a court, an arbitrator, a regulator or both parties
together can settle is a finding only from them. The table `KINDS` is the vocabulary; the engine
folds facts and never edits them. Nothing personal is in a fact: persons are ids or commitments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple, get_args, get_type_hints

from law.canonical import INTEGER_MAX
from law.days import Day, Ms
from law.fields import FEN_MAX, MS_MAX, Fields
from law.refusal import Code, Refused
from law.terms import CAUSES, UNITS_MAX
from law.value_class import value_class

ROLES: Final = (
    "consumer",
    "merchant",
    "custodian",
    "issuer",
    "platform",
    "consumer_council",
    "district",
    "regulator",
    "arbitrator",
    "court",
    "both",
)
"""`both`: signed by consumer and merchant."""

FINDERS: Final = ("court", "arbitrator", "regulator", "both")
"""Who can settle a question; from anybody else a finding counts as a claim."""

FACTS_MAX: Final = 100_000
"""Facts of one contract: ten years of thirty a day."""


Reader = Callable[[Fields, str], Any]
"""Takes a member of that name from the fields."""


def _one_of(*choices: str) -> Reader:
    return lambda fields, name: fields.choice(name, choices)


def _within(lowest: int, highest: int) -> Reader:
    return lambda fields, name: fields.integer(name, lowest, highest)


def _prior_source(fields: Fields, _: str) -> str:
    return fields.choice("from", ("none", "this_merchant", "other_merchant"))


def _inner(shape: type[Any]) -> Reader:
    return lambda fields, name: _read(shape, fields.object(name))


def _each(shape: type[Any], length_max: int) -> Reader:
    return lambda fields, name: tuple(
        _read(shape, inner) for inner in fields.objects(name, length_max)
    )


def _each_once(fields: Fields, name: str) -> tuple[str, ...]:
    """Words of which one may stand twice: a record that says a thing twice is still read."""
    given = fields.items(name)
    return tuple(
        dict.fromkeys(Fields({name: [word]}, fields.path).words(name)[0] for word in given)
    )


Word = Annotated[str, Fields.word]
OptionalWord = Annotated[str | None, Fields.optional_word]
Fen = Annotated[int, Fields.fen]
SomeFen = Annotated[int, _within(1, FEN_MAX)]
Total = Annotated[int, _within(0, INTEGER_MAX)]
Flag = Annotated[bool, Fields.flag]
Hash = Annotated[str, Fields.hash]
CivilDay = Annotated[Day, Fields.day]
OptionalMs = Annotated[Ms | None, lambda fields, name: fields.optional_integer(name, 0, MS_MAX)]
Position = Annotated[int, _within(0, INTEGER_MAX)]
Standing = Annotated[str, _one_of("claim", "finding")]
"""A member's type beside its reader: `_read` takes the one, mypy the other."""


@value_class
class Persons:
    """Who is who in the contract."""

    party: Word
    """The consumer of the contract; a guardian who contracts for a child (art. 3)."""
    merchant: Word
    age_band: Annotated[str, _one_of("adult", "8_to_17", "under_8", "unknown")]
    """Of the party at signing: 18 or older, 8 to 17, below 8 (civil code 18 to 20)."""
    payer: OptionalWord
    beneficiary: OptionalWord
    holder: OptionalWord
    guardian: OptionalWord
    lender: OptionalWord
    franchisor: OptionalWord
    """Art. 5."""
    landlord: OptionalWord
    """Art. 6."""
    liquidation_obligor: OptionalWord
    """Art. 7."""


@value_class
class Prompted:
    """Proof that a burdensome clause was pointed out and explained."""

    clause: Word
    proof: Hash


@value_class
class Signed:
    """The contract was made; `terms` is the hash of its terms."""

    terms: Hash
    persons: Annotated[Persons, _inner(Persons)]
    card: Annotated[str, _one_of("named", "bearer")]
    prompted: Annotated[tuple[Prompted, ...], _each(Prompted, 64)]


@value_class
class Voucher:
    """What an issuer paid of a price."""

    issuer: Word
    amount: SomeFen


@value_class
class Locked:
    """A prepayment. `custody`: nowhere, held by a custodian, or supervised by order (16(2))."""

    amount: Fen
    bonus: Fen
    vouchers: Annotated[tuple[Voucher, ...], _each(Voucher, 16)]
    custody: Annotated[str, _one_of("none", "held", "ordered")]
    account: OptionalWord
    channel: Annotated[
        str, _one_of("ecny", "transfer", "wechat", "alipay", "bank_card", "cash", "loan")
    ]


@value_class
class Delivered:
    """So many of an item; `debited` is what the till took from the card, in fen."""

    item: Word
    units: Annotated[int, _within(0, UNITS_MAX)]
    debited: Fen


@value_class
class Answered:
    """Somebody speaks to an earlier delivery; the last answer counts."""

    of: Position
    answer: Annotated[str, _one_of("confirmed", "silence", "objected", "reversed")]


@value_class
class Gift:
    """Goods or services given along (art. 21); `worth` as the merchant stated it."""

    item: Word
    worth: Fen


@value_class
class PriceChanged:
    """A new price; it counts only if both sides signed it, so that consent is on record (12)."""

    item: Word
    price: Fen


@value_class
class Amount:
    """Money moved inside custody."""

    amount: SomeFen


@value_class
class Frozen:
    """An authority froze an amount: perhaps a share of all that is locked, of many payments."""

    amount: Annotated[int, _within(1, INTEGER_MAX)]
    until: OptionalMs


@value_class
class Of:
    """About an earlier fact."""

    of: Position


@value_class
class InterestPaid:
    """Interest of the account, paid to the consumer whose it is (civil code 321(2))."""

    amount: SomeFen
    payee: Word


@value_class
class RefundPaid:
    """Money went back to a payee."""

    amount: SomeFen
    source: Annotated[str, _one_of("custody", "merchant")]
    payee: Word


@value_class
class Nothing:
    """The fact says all by its kind."""


@value_class
class PriorUse:
    """Whether the same goods or service had been had before (art. 14(1))."""

    source: Annotated[str, _prior_source]
    standing: Standing


@value_class
class Termination:
    """A notice that ends the contract, perhaps only after a time to perform (civil code 565)."""

    cure_until: OptionalMs


@value_class
class Judged:
    """The day on which the contract ended, by judgment or award."""

    day: CivilDay


@value_class
class Invalidity:
    """The contract was found invalid, revoked or without effect."""

    ground: Annotated[str, _one_of("capacity", "void", "revoked", "not_effective")]


@value_class
class CauseStated:
    """Who caused the return of the money."""

    cause: Annotated[str, _one_of(*CAUSES)]
    standing: Standing


@value_class
class GroundStated:
    """A ground to end the contract (art. 13, civil code 563)."""

    ground: Annotated[
        str,
        _one_of(
            "premises_moved",
            "obligation_transferred",
            "unlimited_not_available",
            "grave_change",
            "breach",
            "agreed_ground",
            "other",
        ),
    ]
    standing: Standing


@value_class
class MinorService:
    """Whether online paid games and the like were unlawfully provided to a minor (art. 10(3))."""

    unlawful: Flag
    standing: Standing


@value_class
class SalesRecords:
    """Sales at the price before discount were shown for these items (art. 19(2))."""

    items: Annotated[tuple[str, ...], _each_once]


@value_class
class MarketPrice:
    """Market price of one, at the place of performance when the contract was made (art. 19(2))."""

    item: Word
    price: Fen
    standing: Standing


@value_class
class Assignment:
    """The consumer's claim passes on; `whole`: the contract does, if both sides signed it."""

    assignee: Word
    whole: Flag


@value_class
class RecordsRequested:
    """Records under the merchant's control were asked for, until a day (art. 25)."""

    until: CivilDay


@value_class
class RecordsRefused:
    """The merchant refuses earlier requested records, for a reason."""

    of: Position
    reason: Word


@value_class
class Notified:
    """The merchant told consumers of something that takes effect on a day."""

    effective: CivilDay


@value_class
class BalanceReported:
    """An issuer's prepaid balance at a quarter's end, and what of it is in custody."""

    quarter_end: CivilDay
    balance: Total
    custody: Total
    issuer_class: Annotated[str, _one_of("scale", "group", "brand", "other")]


Data = (
    Signed | Locked | Delivered | Answered | Gift | PriceChanged | Amount | Frozen | Of
    | InterestPaid | RefundPaid | Nothing | PriorUse | Termination | Judged | Invalidity
    | CauseStated | GroundStated | MinorService | SalesRecords | MarketPrice | Assignment
    | RecordsRequested | RecordsRefused | Notified | BalanceReported
)  # fmt: skip


@value_class
class Kind:
    """What a kind of fact carries, who may state it at all, and what it says."""

    data: type[Any]
    roles: tuple[str, ...]
    en: str
    zh: str


_ANYBODY: Final = ROLES
_AUTHORITY: Final = ("court", "arbitrator", "regulator")

KINDS: Final[dict[str, Kind]] = {
    "contract.signed": Kind(Signed, ("merchant", "both"), "contract signed", "合同订立"),
    "funds.locked": Kind(Locked, ("custodian", "merchant", "both"), "prepayment", "预付款"),
    "funds.released": Kind(Amount, ("custodian",), "released to the merchant", "释放给经营者"),
    "funds.frozen": Kind(Frozen, _AUTHORITY, "frozen", "冻结"),
    "funds.unfrozen": Kind(Of, _AUTHORITY, "unfrozen", "解冻"),
    "interest.accrued": Kind(Amount, ("custodian",), "account interest credited", "账户结息"),
    "interest.paid": Kind(InterestPaid, ("custodian",), "account interest paid", "支付账户利息"),
    "card.activated": Kind(Nothing, ("merchant", "both"), "first use", "首次启用"),
    "service.delivered": Kind(Delivered, ("merchant", "both"), "delivered", "已提供"),
    "delivery.answered": Kind(
        Answered,
        ("consumer", "merchant", "both", "custodian", "platform"),
        "a delivery confirmed or denied",
        "确认或异议",
    ),
    "gift.given": Kind(Gift, ("merchant", "both"), "gift given", "赠品"),
    "price.changed": Kind(PriceChanged, ("merchant", "both"), "price changed", "价格变更"),
    "premises.moved": Kind(Nothing, _ANYBODY, "premises moved", "变更经营场所"),
    "obligation.transferred": Kind(Nothing, _ANYBODY, "obligations passed on", "义务转移"),
    "service.stopped": Kind(Nothing, _ANYBODY, "service stopped", "停止提供"),
    "service.resumed": Kind(Nothing, _ANYBODY, "service resumed", "恢复提供"),
    "cooling_off.requested": Kind(Nothing, ("consumer",), "refund without reason", "无理由退款"),
    "prior_use.stated": Kind(PriorUse, _ANYBODY, "same service had before", "此前获得过"),
    "termination.requested": Kind(
        Termination, ("consumer", "merchant"), "notice of termination", "解除通知"
    ),
    "notice.arrived": Kind(
        Of,
        ("merchant", "consumer", "custodian", "platform", *_AUTHORITY, "both"),
        "notice arrived",
        "通知到达",
    ),
    "complaint.served": Kind(
        Nothing, ("court", "arbitrator"), "complaint served", "起诉状副本送达"
    ),
    "termination.agreed": Kind(Nothing, ("both",), "ended by agreement", "协议解除"),
    "termination.judged": Kind(
        Judged, ("court", "arbitrator"), "end named by judgment", "裁判确定解除日"
    ),
    "invalidity.found": Kind(
        Invalidity, ("court", "arbitrator"), "found invalid", "确认无效或撤销"
    ),
    "cause.stated": Kind(CauseStated, _ANYBODY, "cause", "退款原因"),
    "ground.stated": Kind(GroundStated, _ANYBODY, "ground to end", "解除事由"),
    "deduction.claimed": Kind(Nothing, ("merchant",), "deduction claimed", "主张抵扣"),
    "minor_service.stated": Kind(MinorService, _ANYBODY, "unlawful to minors", "违法向未成年人"),
    "price.disputed": Kind(Nothing, ("consumer",), "price disputed", "主张原价不合理"),
    "sales_records.produced": Kind(SalesRecords, ("merchant",), "sales shown", "提供交易记录"),
    "market_price.stated": Kind(MarketPrice, _ANYBODY, "market price", "市场价格"),
    "assignment.notified": Kind(Assignment, ("consumer", "both"), "assignment", "债权转让"),
    "actual_rate.requested": Kind(Nothing, ("consumer",), "account rate asked", "请求实际利率"),
    "refund.paid": Kind(
        RefundPaid,
        ("custodian", "merchant", "consumer", *_AUTHORITY, "both"),
        "refund paid",
        "已退款",
    ),
    "card.lost": Kind(Nothing, ("consumer", "both"), "loss reported", "挂失"),
    "card.reissued": Kind(Of, ("merchant", "both"), "card reissued", "补办"),
    "balance.forfeited": Kind(Amount, ("merchant",), "balance taken", "扣除余额"),
    "records.requested": Kind(RecordsRequested, _ANYBODY, "records requested", "请求提交记录"),
    "records.produced": Kind(Of, ("merchant", "custodian"), "records produced", "提交记录"),
    "records.refused": Kind(RecordsRefused, ("merchant",), "records refused", "拒绝提交"),
    "risk.declared": Kind(
        Nothing, ("merchant", "regulator", "district"), "major risk", "重大经营风险"
    ),
    "risk.lifted": Kind(Nothing, ("regulator", "district"), "risk lifted", "风险解除"),
    "closing.notified": Kind(Notified, ("merchant",), "closing announced", "停业告知"),
    "moving.notified": Kind(Notified, ("merchant",), "moving announced", "迁移告知"),
    "balance.reported": Kind(
        BalanceReported, ("merchant", "custodian"), "quarter's balance", "季末预收余额"
    ),
    "business.closed": Kind(Nothing, _ANYBODY, "business closed", "终止营业"),
    "liquidation.opened": Kind(Nothing, _ANYBODY, "liquidation opened", "进入清算"),
}
"""Every kind of fact, and who may state it."""


class Fact(NamedTuple):
    """One fact with its place on the ledger."""

    position: int
    """Index of its entry in the log."""
    kind: str
    at: Ms
    """When it happened."""
    recorded: Ms
    """The block's time."""
    author: str
    role: str
    data: Any

    @property
    def key(self) -> tuple[Ms, int]:
        """Facts are folded in this order: by when they happened, then by position."""
        return self.at, self.position

    @property
    def latest(self) -> Ms:
        """When it was recorded, where the merchant alone says when it happened: nobody proves by
        his own word that a time against the other side began to run earlier. Else `at`."""
        return self.recorded if self.role == "merchant" else self.at

    @property
    def is_finding(self) -> bool:
        """Whether this settles its question."""
        return bool(self.data.standing == "finding") and self.role in FINDERS

    @property
    def is_admitted(self) -> bool:
        """Whether whoever states this states it against itself, or can find it: a merchant's stop,
        a consumer's word that service came back or money arrived. Anybody else only claims it."""
        if self.kind == "refund.paid" and self.data.source == "custody":
            return self.role == "custodian"
        return self.role in ADMITS[self.kind]


def read_fact(document: Any, path: str) -> Fact:
    """Return a fact; raise `Refused` where it is not one."""
    outer = Fields(document, path)
    kind_name = outer.choice("kind", KINDS)
    kind = KINDS[kind_name]
    role = outer.choice("role", ROLES)
    if role not in kind.roles:
        raise Refused(
            Code.NOT_ENTITLED,
            f"{path}: {kind_name} is stated by {role}; {' or '.join(kind.roles)} is expected",
        )
    fact = Fact(
        position=outer.integer("position", 0, INTEGER_MAX),
        kind=kind_name,
        at=outer.ms("at"),
        recorded=outer.ms("recorded"),
        author=outer.word("author"),
        role=role,
        data=_read(kind.data, outer.object("data")),
    )
    outer.end()
    return fact


def read_facts(
    documents: Sequence[Any], read: Callable[[Any, str], Fact] = read_fact
) -> tuple[Fact, ...]:
    """Return a contract's facts in the order in which they are folded; its merchant's own facts may
    stand among them (a risk declared, a closing announced). `read` gives what `read_fact` does.

    Raises `Refused`: a malformed fact, one position twice, not exactly one `contract.signed`, an
    answer to what is no delivery, an arrival of what is no notice.
    """
    facts = read_stream(documents, read)
    signed = [fact for fact in facts if fact.kind == "contract.signed"]
    if len(signed) != 1:
        raise Refused(
            Code.INCONSISTENT, f"{len(signed)} facts are contract.signed; exactly one is expected"
        )
    return facts


def read_stream(
    documents: Sequence[Any], read: Callable[[Any, str], Fact] = read_fact
) -> tuple[Fact, ...]:
    """Return the facts of any stream, a merchant's for one, in the order in which they are folded;
    raise `Refused` as `read_facts` does, but for `contract.signed`."""
    if len(documents) > FACTS_MAX:
        raise Refused(
            Code.TOO_LARGE, f"{len(documents)} facts; at most {FACTS_MAX} of a contract are taken"
        )
    facts = [read(document, f"facts[{place}]") for place, document in enumerate(documents)]
    kinds = {fact.position: fact.kind for fact in facts}
    if len(kinds) != len(facts):
        raise Refused(Code.INCONSISTENT, "two facts have one position; each entry is one fact")
    for fact in facts:
        _check_answer(fact)
        targets = REFERS.get(fact.kind)
        if targets is not None and kinds.get(fact.data.of) not in targets:
            raise Refused(
                Code.INCONSISTENT,
                f"the {fact.kind} at entry {fact.position} is about entry {fact.data.of}, which is "
                f"{kinds.get(fact.data.of, 'no fact of this contract')}; "
                f"{' or '.join(targets)} is expected",
            )
    roles = {fact.position: fact.role for fact in facts}
    for fact in facts:
        if fact.kind == "notice.arrived" and fact.role == roles[fact.data.of]:
            raise Refused(
                Code.NOT_ENTITLED,
                f"the notice.arrived at entry {fact.position} is stated by {fact.role}, who sent "
                "the notice; whoever received it, or a third, says that it arrived",
            )
    return tuple(sorted(facts, key=lambda fact: fact.key))


def _check_answer(fact: Fact) -> None:
    """A delivery is taken back by the merchant, and objected to by the consumer."""
    if fact.kind != "delivery.answered":
        return
    side = {"reversed": "merchant", "objected": "consumer"}.get(fact.data.answer)
    if side is not None and fact.role not in (side, "both"):
        raise Refused(
            Code.NOT_ENTITLED,
            f"the delivery.answered at entry {fact.position} says {fact.data.answer} and is stated "
            f"by {fact.role}; {side} or both is expected",
        )


ADMITS: Final[dict[str, tuple[str, ...]]] = {
    "service.stopped": ("merchant", "district", *FINDERS),
    "service.resumed": ("consumer", "district", *FINDERS),
    "refund.paid": ("consumer", "custodian", *FINDERS),
}
"""Whose word is enough for what helps the other side."""

REFERS: Final[dict[str, tuple[str, ...]]] = {
    "delivery.answered": ("service.delivered",),
    "notice.arrived": ("termination.requested", "cooling_off.requested", "assignment.notified"),
    "funds.unfrozen": ("funds.frozen",),
    "card.reissued": ("card.lost",),
    "records.produced": ("records.requested",),
    "records.refused": ("records.requested",),
}
"""What a fact may be about."""


def _read(shape: type[Any], fields: Fields) -> Any:
    readers = _READERS.get(shape)
    if readers is None:
        hints = get_type_hints(shape, include_extras=True)
        readers = _READERS[shape] = {name: get_args(hint)[-1] for name, hint in hints.items()}
    values = {name: reader(fields, name) for name, reader in readers.items()}
    fields.end()
    return shape(**values)


_READERS: Final[dict[type[Any], dict[str, Reader]]] = {}
"""The reader of each member, as its type says it; found once for each shape."""
