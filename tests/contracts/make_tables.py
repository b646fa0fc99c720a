"""Draw the tables and diagrams of docs/CONTRACTS.md and docs/FORMATS.md from the code.

    python -m tests.contracts.make_tables           writes them between their marks
    python -m tests.contracts.make_tables --check   exits 1 where a document differs

A mark is `<!-- table: NAME -->`, and `<!-- end -->` ends what is drawn.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from contracts.custody import (
    ContractRecord,
    CustodianRecord,
    ListedRecord,
    MerchantRecord,
    SignedRecord,
)
from contracts.devices import DeviceRecord
from contracts.documents import CompetenceRecord, DocumentRecord, VersionsRecord
from contracts.events import DATA
from contracts.lifecycle import (
    ANY_PARTY,
    CONTRACT,
    NONE,
    REGIONS,
    ROWS,
    TABLE,
    Transition,
    find_attesters,
)
from contracts.parties import KeyRecord
from verifier.wording import list_kinds

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("docs/CONTRACTS.md", "docs/FORMATS.md")
MARK = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
EVERY = ("occurred_at", "provenance")


def arrows(region: str) -> list[tuple[str, str, list[str]]]:
    """(from, to, events) of everything that changes a state, in the order of the table."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in TABLE:
        if row.region == region and row.target:
            for source in row.sources:
                if source != row.target:
                    found.setdefault((source, row.target), []).append(row.event)
    return [(source, target, events) for (source, target), events in found.items()]


def draw_diagram() -> str:
    """Every region as a state diagram; what leaves the state as it is stands in the table."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for region, states in REGIONS.items():
        lines.append(f"    state {region} {{")
        first = f"{region}_{states[0]}"
        if states[0] != NONE:
            lines.append(f"        [*] --> {first}")
        for source, target, events in arrows(region):
            begin = "[*]" if source == NONE else f"{region}_{source}"
            named = ", ".join(events[:3]) + (" …" if len(events) > 3 else "")
            lines.append(f"        {begin} --> {region}_{target}: {named}")
        lines += [f"        {region}_{state}: {state}" for state in states if state != NONE]
        lines.append("    }")
    return "\n".join([*lines, "```", ""])


def draw_events() -> str:
    """One line for each event."""
    lines = ["| event | from | to | attested by | needs |", "|---|---|---|---|---|"]
    for row in TABLE:
        if row.region != CONTRACT and (row.event, CONTRACT) in ROWS:
            continue
        others = [ROWS[row.event, region] for region in REGIONS if (row.event, region) in ROWS]
        sources = "; ".join(_say(other, other.sources) for other in others)
        targets = "; ".join(_say(other, (other.target or "stays",)) for other in others)
        attesters = find_attesters(row.event)
        said = "anybody" if attesters == ANY_PARTY else ", ".join(attesters)
        words = list_kinds()[row.event].zh
        needs = "; ".join(other.needs for other in others if other.needs)
        lines.append(f"| `{row.event}` {words} | {sources} | {targets} | {said} | {needs} |")
    return "\n".join([*lines, ""])


def _say(row: Transition, states: tuple[str, ...]) -> str:
    prefix = "" if row.region == CONTRACT else f"{row.region}: "
    return prefix + ", ".join(states)


def draw_data() -> str:
    """The members of each event's data; those every event has are left out."""
    lines = ["| event | data |", "|---|---|"]
    for event, shape in DATA.items():
        names = []
        for field in msgspec.structs.fields(shape):
            if field.encode_name not in EVERY:
                named = f"`{field.encode_name}`"
                names.append(named if field.required else f"*{named}*")
        lines.append(f"| `{event}` | {', '.join(names) or '—'} |")
    return "\n".join([*lines, ""])


def draw_records() -> str:
    """The arrays of the rows beside parties, plain contracts and validators."""
    rows: list[tuple[str, type[msgspec.Struct]]] = [
        ("`contract/<id>`", ContractRecord),
        ("`signed/contract/<id>`", SignedRecord),
        ("`merchant/<id>`", MerchantRecord),
        ("`listed/merchant/<id>/<place>`", ListedRecord),
        ("`device/<merchant>/<device>`", DeviceRecord),
        ("`custodian/<id>`", CustodianRecord),
        ("`terms/<id>`, `rules/<id>`, `published/<series>`", VersionsRecord),
        ("`document/<hash>`", DocumentRecord),
        ("`key/<hex>`", KeyRecord),
        ("`published/competence`", CompetenceRecord),
    ]
    lines = ["| row | record |", "|---|---|"]
    for name, shape in rows:
        tag = shape.__struct_config__.tag
        members = ", ".join(shape.__struct_fields__)
        lines.append(f'| {name} | `["{tag}"`, {members}`]` |')
    return "\n".join([*lines, ""])


DRAWERS: dict[str, Callable[[], str]] = {
    "lifecycle-diagram": draw_diagram,
    "lifecycle-events": draw_events,
    "event-data": draw_data,
    "records": draw_records,
}


def redraw(text: str) -> str:
    """Return a document with everything between its marks drawn anew."""
    return MARK.sub(lambda mark: mark[1] + DRAWERS[mark[2]]() + mark[3], text)


def main() -> int:
    is_check = "--check" in sys.argv[1:]
    differing = 0
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text("utf-8")
        if redraw(text) != text:
            differing += 1
            if not is_check:
                path.write_text(redraw(text), "utf-8")
            print(f"{name} {'differs' if is_check else 'written'}")
    return 1 if is_check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
