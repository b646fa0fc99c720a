"""A contract's life as a file: its terms, its events in order, who signs them, the refund by hand.

Meant to be written and read by people: days as China writes them, roles instead of parties, names
for events that later ones speak of. `read_life` refuses what is not one, with place and reason;
`make_draft` turns one event into a transaction of a given cast. Which contract, which keys and when
it is sent are for `cli.playing`. examples/lives/README.md has the file member by member.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from cli.arguments import read_input
from cli.drafts import Draft
from cli.failure import unusable
from contracts.lifecycle import EVENTS, MERCHANT_EVENTS
from contracts.prepaid import compute_consumer_commitment
from law.refusal import Refused
from law.terms import Terms, read_terms

CHINA: Final = datetime.timezone(datetime.timedelta(hours=8))
SIGNED: Final = "contract.signed"
COMPUTED: Final = "refund.computed"
FINDINGS: Final = "findings.computed"
SALT_BYTES: Final = 16
"""128 bits, the least a commitment takes."""

FILE_BYTES_MAX: Final = 1024 * 1024
"""A life is written by hand."""

Role = Literal[
    "merchant", "consumer", "assignee", "custodian", "issuer", "regulator", "district", "court",
    "arbitrator",
]  # fmt: skip
Shape = TypeVar("Shape")
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$(?!\n)")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Fen = Annotated[int, msgspec.Meta(ge=0)]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same in two languages."""

    en: Text
    zh: Text


class Owed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Principal and interest by the lowest and the highest result, in fen."""

    low: Fen
    high: Fen
    results: int


class AccountRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a supervised account bears from a day on, in millionths a year."""

    from_: str = msgspec.field(name="from")
    ppm: int


class ByHand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last refund as a person works it out: articles, and the working line by line."""

    articles: list[str]
    en: list[Text]
    zh: list[Text]


class LifeEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event, and what is to become of it."""

    at: str
    """`2026-04-24 09:00`, in China."""
    by: Annotated[list[Role], msgspec.Meta(min_length=1)]
    event: str
    data: dict[str, Any] = {}
    name: Word | None = None
    of: Word | None = None
    """The `name` of the earlier event that this one speaks of."""
    refused: str = ""
    """The code with which it is to be refused; empty: it is to be applied."""
    finding: str = ""
    rules: list[str] = []
    """Of `findings.computed`: the rules it is to find broken, each once."""
    owed: Owed | None = None
    """Of `refund.computed`: what it is to come to."""

    @property
    def at_ms(self) -> int:
        """When it happened, milliseconds since 1970."""
        moment = datetime.datetime.strptime(self.at, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
        return int(moment.timestamp()) * 1000


class LifeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A life as it is written."""

    format: Literal["evidence-ledger/life"]
    version: Literal[1]
    title: Told
    story: Told
    terms: str
    card: Literal["named", "bearer"]
    age_band: Literal["adult", "8_to_17", "under_8", "unknown"]
    events: Annotated[list[LifeEvent], msgspec.Meta(min_length=1, max_length=1_000)]
    by_hand: ByHand
    persons: list[Word] = []
    """Persons beside the contract's party, each of whom gets a commitment."""
    account: AccountRate | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """A life with its terms at hand."""

    name: str
    file: LifeFile
    terms: Terms
    terms_document: dict[str, Any]

    @property
    def packs(self) -> list[str]:
        """Return the rule packs that its computations of findings name."""
        named = [event.data["packs"] for event in self.file.events if event.event == FINDINGS]
        return [pack for packs in named for pack in packs]

    @property
    def owed(self) -> Owed:
        """What the last computation is to come to, by hand."""
        return [event.owed for event in self.file.events if event.owed is not None][-1]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a life: the contract's id, the party of each role, and the persons' commitments."""

    contract: str
    parties: dict[str, str]
    """By role."""
    commitments: dict[str, str] = field(default_factory=dict)
    """By person; `party` is the contract's own."""

    @property
    def stream(self) -> str:
        """The contract's stream."""
        return f"contract/{self.contract}"

    @property
    def account(self) -> str:
        """The id of the account that keeps the money; no wallet's number."""
        return f"{self.contract}-account"


def make_commitments(life: Life) -> dict[str, str]:
    """Return a fresh salted commitment for each person; the salts are forgotten here."""
    return {
        person: compute_consumer_commitment(secrets.token_bytes(SALT_BYTES), person).hex()
        for person in ("party", *life.file.persons)
    }


def read_life(path: Path) -> Life:
    """Read a life and its terms; raise `Failure` naming what is wrong where."""
    life = _decode(path, LifeFile)
    terms_path = path.parent / life.terms
    document = _decode(terms_path, dict[str, Any])
    try:
        terms = read_terms(document)
    except Refused as refused:
        raise unusable(
            f"{terms_path}: {refused.detail}.", f"{terms_path} 不是合同条款，原因见上一行。"
        ) from None
    _check_events(path, life)
    return Life(path.name.partition(".")[0], life, terms, document)


def _decode(path: Path, shape: type[Shape]) -> Shape:
    raw = read_input(path, FILE_BYTES_MAX)
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unusable(f"{path}: {error}.", f"{path} 不符合格式，原因见上一行。") from None


def _check_events(path: Path, life: LifeFile) -> None:
    known: set[str] = set()
    for number, event in enumerate(life.events, 1):
        where, where_zh = f"{path}, event {number}", f"{path}，第 {number} 个事件"
        if event.event not in (*EVENTS, *MERCHANT_EVENTS):
            raise unusable(
                f"{where}: there is no event {event.event!r}.",
                f"{where_zh}：没有名为 {event.event!r} 的事件。",
            )
        if (number == 1) != (event.event == SIGNED):
            raise unusable(
                f"{where}: a life begins with {SIGNED}, and with no other.",
                f"{where_zh}：合同的一生须以 {SIGNED} 开始，且只有一次。",
            )
        try:
            event.at_ms  # noqa: B018 - it is read to see whether it can be
        except ValueError:
            raise unusable(
                f"{where}: {event.at!r} is no time such as '2026-04-24 09:00'.",
                f"{where_zh}：{event.at!r} 不是时间，应如 '2026-04-24 09:00'。",
            ) from None
        if event.of is not None and event.of not in known:
            raise unusable(
                f"{where}: no earlier event has the name {event.of!r}.",
                f"{where_zh}：此前没有名为 {event.of!r} 的事件。",
            )
        if (event.owed is not None) != (event.event == COMPUTED):
            raise unusable(
                f"{where}: `owed` stands with {COMPUTED}, and there always.",
                f"{where_zh}：owed 须且只能与 {COMPUTED} 一并出现。",
            )
        if event.rules and event.event != FINDINGS:
            raise unusable(
                f"{where}: `rules` stands with {FINDINGS} alone.",
                f"{where_zh}：rules 只能与 {FINDINGS} 一并出现。",
            )
        if event.name is not None:
            known.add(event.name)
    if not any(event.event == COMPUTED for event in life.events):
        raise unusable(
            f"{path}: nothing computes what is owed ({COMPUTED}).",
            f"{path}：没有计算应退金额的事件（{COMPUTED}）。",
        )


def make_draft(life: Life, place: int, cast: Cast, now_ms: int) -> Draft:
    """Return the transaction of one event, dated as it happened and captured now."""
    event = life.file.events[place]
    signers = [cast.parties[role] for role in event.by]
    if event.event == SIGNED:
        data = _make_signing(life, cast)
    else:
        data = {name: _fill(value, cast) for name, value in event.data.items()}
    if event.of is not None:
        target = next(n for n, one in enumerate(life.file.events) if one.name == event.of)
        signer = cast.parties[life.file.events[target].by[0]]
        data["of"] = f"@{signer}/{_refer(cast, target)}"
    data["provenance"] = {
        "captured_at": now_ms,
        "device": "",
        "generated_at": event.at_ms,
        "method": "import",
        "source": f"examples/lives/{life.name}",
    }
    of_merchant = event.event in MERCHANT_EVENTS
    stream = f"merchant/{cast.parties['merchant']}" if of_merchant else cast.stream
    return Draft(
        kind=event.event,
        data=data,
        stream=stream,
        reference=_refer(cast, place),
        signers=signers,
        occurred_at=event.at_ms,
    )


def _refer(cast: Cast, place: int) -> str:
    return f"{cast.contract}-{place + 1}"


def _make_signing(life: Life, cast: Cast) -> dict[str, Any]:
    others = ("payer", "beneficiary", "holder", "guardian")
    return {
        "card": life.file.card,
        "consumer_party": cast.parties["consumer"],
        "custodian": cast.parties["custodian"],
        "merchant": cast.parties["merchant"],
        "persons": {
            "age_band": life.file.age_band,
            "party": cast.commitments["party"],
            **{person: cast.commitments.get(person) for person in others},
            **dict.fromkeys(("lender", "franchisor", "landlord", "liquidation_obligor")),
        },
        "prompted": [
            {"clause": clause.id, "proof": hashlib.sha256(clause.text.zh.encode()).hexdigest()}
            for clause in life.terms.clauses
            if clause.burdensome
        ],
        "terms": life.terms.hash,
    }


def _fill(value: Any, cast: Cast) -> Any:
    """Return a value with `$party`, `$account` and `$hash` in their places filled in."""
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    name = value[1:]
    if name == "hash":
        return secrets.token_hex(32)
    if name == "account":
        return cast.account
    if name == "assignee-party":
        return cast.parties["assignee"]
    if name not in cast.commitments:
        raise unusable(
            f"{value} names nobody; `persons` has {', '.join(cast.commitments)}.",
            f"{value} 未指任何人；persons 中有 {'、'.join(cast.commitments)}。",
        )
    return cast.commitments[name]
