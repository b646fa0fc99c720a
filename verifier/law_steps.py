"""Step 14: what was computed to be owed is derived again, by the law, from what the file holds.

The facts are the contract's own entries, whose record was found complete (step 12). Whatever else
the law reads comes with the file and is bound by what the entries say: the terms by their hash, the
times, the merchant's facts and the published pages by the `basis` that the outcome of each
computation names. So a file that leaves one out, adds one or alters one is inconsistent. What no
computation read is bound by nothing but its order, in which every file has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from law.canonical import compute_hash
from law.case import CaseReader, find_range, find_series
from law.days import parse_day
from law.derivation import Derivation
from law.derivation_text import list_articles, render_derivation
from law.entries import StreamEntry, find_consumer
from law.refund import derive
from law.refusal import Refused
from ledger.evidence import LawPapers
from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import HistoryFile
from verifier.formats import Body
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.state_formats import PartyRecord
from verifier.wording import count_entries, format_fen

COMPUTED: Final = "refund.computed"
_ROLE_OF: Final[Mapping[str, str]] = {"bank": "issuer", "payment": "issuer"}
"""Roles of institutions that are not the contract's custodian; others keep their name."""


@dataclass(frozen=True, slots=True)
class Working:
    """How what is owed was derived, in words that are written when somebody asks for them."""

    derivation: Derivation

    @property
    def zh(self) -> str:
        """The working in Chinese, line by line."""
        return render_derivation(self.derivation, "zh")

    @property
    def en(self) -> str:
        """The working in English, line by line."""
        return render_derivation(self.derivation, "en")


def check_owed(case: Case) -> Said:
    """Step 14: each computation of what is owed gives again what its outcome says."""
    file = case.file
    assert isinstance(file, HistoryFile), "the step concerns a whole record"
    assert file.law is not None, "and the papers beside it"
    entries = _read_entries(case, file.law)
    reader = CaseReader(case.known_pages)
    last: Derivation | None = None
    count = 0
    for place, entry in enumerate(entries):
        if entry.kind == COMPUTED:
            last = _derive_again(reader, entries[:place], entry, file.law)
            count += 1
    _check_order(case, file.law, entries)
    if last is None:
        raise NotRun("尚未计算过应退金额。", "What is owed was not computed yet.")
    low, high = find_range(last)
    case.facts["owed_fen"] = {"low": low, "high": high, "results": len(last.results)}
    case.facts["owed_articles"] = list_articles(last)
    case.working = Working(last)

    def say() -> Words:
        first, second = format_fen(low), format_fen(high)
        zh, en = (
            (f"{first.zh}", f"are {first.en}")
            if low == high
            else (f"{first.zh} 至 {second.zh}", f"from {first.en} to {second.en}")
        )
        results = len(last.results)
        times = "The computation is" if count == 1 else f"All {count} computations are"
        return Words(
            f"{count} 次计算均复算一致；最近一次共 {results} 种结果，本息合计 {zh}。",
            f"{times} derived again; the last has {results} result{'s' * (results > 1)}, principal "
            f"and interest {en}.",
        )

    return Saying(say)


def _read_entries(case: Case, papers: LawPapers) -> list[StreamEntry]:
    """Return the applied entries as the law reads them, with the times the file gives."""
    if len(papers.times) != len(case.entries):
        raise Refuted(
            Reason.BAD_FIELD,
            f"文件有 {len(case.entries)} 条记录，而时间有 {len(papers.times)} 个。",
            f"The file has {count_entries(len(case.entries))} and {len(papers.times)} times.",
        )
    signed: Body | None = None
    consumer = ""
    found = []
    for entry, body, time_ms in zip(case.entries, case.bodies, papers.times, strict=True):
        if entry.outcome.refused:
            continue
        if signed is None:
            signed = body
            terms = compute_hash(papers.terms)
            if body.kind != "contract.signed" or body.data.get("terms") != terms:
                raise Refuted(
                    Reason.ROOT_MISMATCH,
                    "所附条款不是合同订立时的条款。",
                    "The terms in the file are not those that the contract was signed on.",
                )
            consumer = find_consumer("", body.kind, body.data, {})
        effects = dict(entry.outcome.effects)
        found.append(
            StreamEntry(
                position=entry.index,
                tx_id=body.tx_id.hex(),
                recorded=time_ms,
                kind=body.kind,
                data=body.data,
                signers=body.signers,
                roles=[
                    _find_role(case.parties[signer], signed, consumer) for signer in body.signers
                ],
                effects=effects,
            )
        )
        consumer = find_consumer(consumer, body.kind, body.data, effects)
    return found


def _check_order(case: Case, papers: LawPapers, entries: list[StreamEntry]) -> None:
    """Raise `Refuted` unless the papers stand as every node writes them: times as blocks follow one
    another, the merchant's facts by position, pages by series and position."""
    heights = [entry.height for entry in case.entries]
    for place in range(1, len(heights)):
        before, time_ms = papers.times[place - 1 : place + 1]
        is_later = heights[place] > heights[place - 1]
        if not (time_ms > before if is_later else time_ms == before):
            raise _disordered(
                "times",
                place,
                "同一区块的条目时间相同，其后区块的时间较晚",
                "entries of one block have one time, and a later block a later one",
            )
    positions = [int(fact["position"]) for fact in papers.merchant]
    for place in range(1, len(positions)):
        if positions[place] <= positions[place - 1]:
            raise _disordered("merchant", place, "经营者事实按位置排列", "facts stand by position")
    series = find_series(
        [*({"data": entry.data, "kind": entry.kind} for entry in entries), *papers.merchant]
    )
    last = (0, -1)
    for place, page in enumerate(papers.pages):
        named = page.get("series")
        rank = series.index(named) if named in series else -1
        if (rank, int(page["position"])) <= last:
            raise _disordered(
                "pages",
                place,
                "公布数据依次为 lpr_1y、deposit_1y、rest_days 与合同各账户，同一序列按位置排列",
                "pages stand by series (lpr_1y, deposit_1y, rest_days, then the contract's "
                "accounts), those of one series by position",
            )
        last = rank, int(page["position"])


def _disordered(name: str, place: int, zh: str, en: str) -> Refuted:
    return Refuted(
        Reason.NOT_CANONICAL,
        f"law.{name}[{place}] 次序不合：{zh}。",
        f"law.{name}[{place}] is out of order: {en}.",
    )


def _find_role(party: PartyRecord, signed: Body, consumer: str) -> str:
    """Return a signer's role towards the contract while the consumer signs as `consumer`."""
    for member in ("merchant", "custodian"):
        if signed.data.get(member) == party.party:
            return member
    if party.party == consumer:
        return "consumer"
    if party.role == "gateway":
        return "custodian" if party.registrar == signed.data.get("custodian") else "stranger"
    return _ROLE_OF.get(party.role, party.role)


def _derive_again(
    reader: CaseReader, entries: list[StreamEntry], computed: StreamEntry, papers: LawPapers
) -> Derivation:
    """Return the derivation; raise `Refuted` where the outcome says anything else."""
    before = computed.position
    merchant, pages = (
        [document for document in documents if int(document["position"]) < before]
        for documents in (papers.merchant, papers.pages)
    )
    try:
        gathered = reader.gather(entries, merchant, pages)
        if computed.effects.get("basis") != gathered.basis:
            # Before any of it is read: papers that a quorum never read are not judged.
            raise _differs(computed, "basis", str(computed.effects.get("basis")), gathered.basis)
        built = reader.read(papers.terms, gathered)
        stated = str(computed.data.get("as_of"))
        as_of = parse_day(stated)
        if as_of is None:
            raise _differs(computed, "as_of", stated, "a day")
        derivation = derive(built.terms, built.facts, built.published, as_of)
    except Refused as refused:
        raise Refuted(
            Reason.BAD_FIELD,
            f"第 {before} 号条目：无法复算：{refused.detail}",
            f"Entry {before} cannot be derived again: {refused.detail}",
        ) from None
    low, high = find_range(derivation)
    said = computed.effects
    for name, value in (
        ("derivation", compute_hash(derivation.encode())),
        ("due_low", low),
        ("due_high", high),
        ("results", len(derivation.results)),
    ):
        if said.get(name) != value:
            raise _differs(computed, name, str(said.get(name)), str(value))
    return derivation


def _differs(computed: StreamEntry, name: str, said: str, derived: str) -> Refuted:
    return Refuted(
        Reason.ROOT_MISMATCH,
        f"第 {computed.position} 号条目所载 {name} 为 {said}，复算为 {derived}。",
        f"Entry {computed.position} states {name} {said}; derived again it is {derived}.",
    )
