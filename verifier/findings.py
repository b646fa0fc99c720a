"""What the law found, in words: the outcome of a `findings.computed` has their hash.

An outcome names the broken rules and has no room for sentences, so a case brings them. They are the
chain's own: a quorum executed the computation and put the hash of exactly these bytes on record,
which is compared here, in step 10. Nothing is derived again, so a verifier that holds no law, as
the page, shows the same.
"""

from __future__ import annotations

from typing import Final, NoReturn

from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from verifier.case import Case
from verifier.evidence_file import HistoryFile
from verifier.report import Refuted, Words
from verifier.strict_json import JsonValue, read_object
from verifier.wording import show_text

COMPUTED: Final = "findings.computed"
TEXTS: Final = ("article", "en", "rule", "severity", "zh")
MEMBERS: Final = ("article", "en", "positions", "rule", "severity", "values", "zh")


def check_findings(case: Case) -> Words:
    """Compare the findings that a case brings with their outcomes; say how many there are."""
    file = case.file
    if not isinstance(file, HistoryFile) or file.law is None or not file.law.findings:
        return Words("", "")
    places = {entry.index: place for place, entry in enumerate(case.entries)}
    told: list[dict[str, object]] = []
    total = 0
    before = -1
    for number, given in enumerate(file.law.findings):
        place = places.get(given.position)
        if (
            place is None
            or case.bodies[place].kind != COMPUTED
            or case.entries[place].outcome.refused
            or given.position <= before
        ):
            raise Refuted(
                Reason.BAD_FIELD,
                f"所附第 {number + 1} 份查核发现指日志第 {given.position} 位，该处不是排在前一份"
                f"之后、已生效的 {COMPUTED} 条目。",
                f"law.findings[{number}] is of index {given.position}, where no applied {COMPUTED} "
                "stands after the one before it.",
            )
        before = given.position
        entry, body = case.entries[place], case.bodies[place]
        effects = dict(entry.outcome.effects)
        found = read_findings(given.documents, f"law.findings[{number}]")
        for name, said, value in (
            ("findings", effects.get("findings"), sha256(given.documents).hex()),
            ("count", effects.get("count"), len(found)),
        ):
            if said != value:
                raise Refuted(
                    Reason.ROOT_MISMATCH,
                    f"日志第 {given.position} 位的条目所载 {name} 为 {show_text(str(said))}，而所附"
                    f"查核发现为 {value}。",
                    f"The entry at index {given.position} states {name} {show_text(str(said))}; "
                    f"of the findings in the file it is {value}.",
                )
        total += len(found)
        told.append(
            {
                "as_of": str(body.data.get("as_of")),
                "findings": found,
                "position": given.position,
            }
        )
    case.facts["findings"] = told
    return Words(
        f"所附 {len(told)} 次查核的 {total} 项发现与链上所载哈希相符。",
        f" The {total} findings of {len(told)} computations in the file are those whose hash is on "
        "the chain.",
    )


def read_findings(raw: bytes, name: str) -> list[dict[str, JsonValue]]:
    """Read `{"findings":[…]}`; raise `Rejected`."""
    members = read_object(raw, name)
    listed = members.get("findings")
    if list(members) != ["findings"] or not isinstance(listed, list):
        _refuse(name)
    found = []
    for item in listed:
        if (
            not isinstance(item, dict)
            or tuple(item) != MEMBERS
            or not all(isinstance(item[text], str) for text in TEXTS)
            or not isinstance(item["positions"], list)
            or not isinstance(item["values"], list)
        ):
            _refuse(name)
        found.append(item)
    return found


def _refuse(name: str) -> NoReturn:
    raise Rejected(Reason.BAD_FIELD, f"{name}: it is not a list of findings")
