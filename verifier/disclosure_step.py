"""Step 15: the private fields that the file shows are those that an entry of it commits to.

A contract's fields are the leaves of one tree (`ledger.disclosure`). A field that is shown leads,
with its salt and its path, to a commitment; that one must stand in an applied entry of this file,
whose place and signatures the earlier steps have established. What is withheld is then unchanged as
well, since any other value of it would have been another commitment. Nothing is said of it, not
even whether there is any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.disclosure import FIELDS, Disclosure, PrivateField, verify_disclosure
from ledger.refusal import Reason, Rejected
from verifier.case import Case
from verifier.evidence_file import HistoryFile, TransactionFile
from verifier.field_words import FIELD_WORDS
from verifier.formats import Body, Entry
from verifier.report import NotRun, Refuted, Said, Saying, Words
from verifier.wording import show_text

COMMITTED: Final = "private.committed"
_PERSONS: Final = ("party", "payer", "beneficiary", "holder", "guardian")
"""Members of `persons` in `contract.signed` that are commitments."""

DISCLOSED_LIMIT: Final = Words(
    "披露的信息自承诺上链起未被改动；其内容在当时是否属实，此文件不能证明。未披露者是否有内容，亦不可知。",
    "The disclosed fields are unchanged since their commitment was put on the chain; whether they "
    "were true then, this file does not prove. Whether a withheld field has a value is not known.",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where on the chain a commitment stands."""

    entry: Entry
    body: Body
    member: str


def check_disclosures(case: Case) -> Said:
    """Step 15: every disclosure belongs to this contract and to a commitment in its entries."""
    file = case.file
    if not isinstance(file, TransactionFile | HistoryFile) or not file.disclosures:
        raise NotRun("此文件未披露非公开信息。", "The file discloses no private fields.")
    disclosures = file.disclosures
    places: list[_Place] = []
    facts: list[dict[str, object]] = []
    seen: set[bytes] = set()
    for number, disclosure in enumerate(disclosures):
        name = f"disclosures[{number}]"
        _check_contract(case, disclosure, number)
        try:
            verify_disclosure(disclosure)
        except Rejected as rejected:
            raise Refuted(
                rejected.reason,
                f"第 {number + 1} 份披露不成立（{rejected.reason}）。原文：{rejected.detail}",
                f"{name}: {rejected.detail}.",
            ) from None
        commitment = disclosure.commitment.hex()
        if disclosure.commitment in seen:
            raise Refuted(
                Reason.DUPLICATE,
                f"第 {number + 1} 份披露与前一份针对同一承诺 {commitment}。",
                f"{name}: commitment {commitment} has a disclosure already.",
            )
        seen.add(disclosure.commitment)
        place = next((at for at in _find_places(case) if commitment == _read(at)), None)
        if place is None:
            raise Refuted(
                Reason.ROOT_MISMATCH,
                f"第 {number + 1} 份披露的承诺 {commitment} 不在此文件任何已生效的记录中。",
                f"{name}: no applied entry of this file holds commitment {commitment}.",
            )
        places.append(place)
        facts.append(
            {
                "commitment": commitment,
                "fields": {shown.field.name: shown.field.value for shown in disclosure.shown},
                "index": place.entry.index,
                "member": place.member,
                "withheld": list(disclosure.withheld),
            }
        )
    case.facts["disclosed"] = facts

    def say() -> Words:
        said = [_describe(case, *pair) for pair in zip(disclosures, places, strict=True)]
        return Words("".join([words.zh for words in said]), " ".join([words.en for words in said]))

    return Saying(say)


def _check_contract(case: Case, disclosure: Disclosure, number: int) -> None:
    file = case.file
    stream = f"contract/{file.contract}" if isinstance(file, HistoryFile) else case.bodies[0].stream
    if stream != f"contract/{disclosure.contract}":
        raise Refuted(
            Reason.BAD_FIELD,
            f"第 {number + 1} 份披露属于 contract/{disclosure.contract}，而此文件属于 {stream}。",
            f"disclosures[{number}]: it is of contract/{disclosure.contract}; the file is of "
            f"{stream}.",
        )


def _find_places(case: Case) -> Iterator[_Place]:
    """Yield every place of an applied entry where a commitment may stand."""
    for entry, body in zip(case.entries, case.bodies, strict=True):
        if entry.outcome.refused:
            continue
        if body.kind == COMMITTED:
            yield _Place(entry, body, "commitment")
        elif body.kind == "prepaid.open":
            yield _Place(entry, body, "consumer")
        elif body.kind == "contract.signed":
            for person in _PERSONS:
                yield _Place(entry, body, f"persons.{person}")


def _read(place: _Place) -> object:
    value: object = place.body.data
    for member in place.member.split("."):
        value = value.get(member) if isinstance(value, dict) else None
    return value


def find_correction(record: Iterable[tuple[Entry, Body]], tx_id: bytes) -> Entry | None:
    """Return the last applied entry of a record that replaces what `tx_id` committed to, if any."""
    found, replaced = None, {tx_id.hex()}
    for entry, body in record:
        if body.kind == COMMITTED and not entry.outcome.refused and body.data.get("of") in replaced:
            found = entry
            replaced.add(body.tx_id.hex())
    return found


def _describe_field(field: PrivateField) -> Words:
    name = FIELD_WORDS[field.name].zh
    if field.value is None:
        return Words(f"{name}为空", f"{field.name} is empty")
    value = show_text(field.value)
    return Words(f"{name} = {value}", f"{field.name} = {value}")


def _describe(case: Case, disclosure: Disclosure, place: _Place) -> Words:
    shown = [_describe_field(each.field) for each in disclosure.shown]
    zh, en = "、".join([one.zh for one in shown]), ", ".join([one.en for one in shown])
    withheld = disclosure.withheld
    names_zh = "、".join([f"{FIELD_WORDS[name].zh}（{name}）" for name in withheld])
    names = ", ".join(withheld)
    later = find_correction(zip(case.entries, case.bodies, strict=True), place.body.tx_id)
    if later is not None:
        corrected = Words(
            f"该承诺其后已被更正（第 {later.index} 号条目）。",
            f" This commitment was corrected later, in the entry at index {later.index}.",
        )
    elif isinstance(case.file, HistoryFile):
        corrected = Words("其后未有更正。", " It was not corrected since.")
    else:
        corrected = Words("", "")
    return Words(
        f"第 {place.entry.index} 号条目（高度 {place.entry.height}）的 {place.body.kind} 以 "
        f"{place.member} 承诺了 {len(FIELDS)} 项信息；披露 {len(shown)} 项：{zh}；未披露 "
        f"{len(withheld)} 项（有无内容不可知），经证明未改动：{names_zh or '无'}。{corrected.zh}",
        f"The entry at index {place.entry.index} (height {place.entry.height}, {place.body.kind}) "
        f"commits to {len(FIELDS)} fields as {place.member}; {len(shown)} disclosed: {en}; "
        f"{len(withheld)} withheld, filled or empty, and proven unchanged: {names or 'none'}."
        f"{corrected.en}",
    )
