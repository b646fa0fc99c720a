"""docs/FORMATS.md and docs/CONTRACTS.md name what the code has, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.attest import STATEMENTS
from contracts.equivocation import EVIDENCE_HEX_MAX, SLOTS_MAX
from contracts.events import DATA
from contracts.kinds import KINDS
from contracts.lifecycle import AFTERLIFE_MS
from contracts.lookback import PREFIXES
from contracts.parties import INSTITUTION_ROLES, KEYS_MAX, KEYS_OWN_MAX, SUBMITTER_ROLES
from contracts.prepaid import SALT_BYTES_MAX, SALT_BYTES_MIN, Attesters, Provenance
from genesis.document import (
    CERTIFICATE_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    INSTITUTIONS_MAX,
    Parameters,
)
from law.terms import INDUSTRIES
from ledger import tags
from ledger.block import ENTRY_BYTES_MAX
from ledger.canonical import DEPTH_MAX
from ledger.disclosure import FIELDS, VALUE_BYTES_MAX
from ledger.disclosure import SALT_BYTES as PRIVATE_SALT_BYTES
from ledger.refusal import Reason
from ledger.snapshot import (
    CHUNK_BYTES,
    SNAPSHOT_VERSION,
    KeptChunk,
    ReferenceChunk,
    StreamChunk,
)
from ledger.transaction import (
    BATCH_SIZE_MAX,
    BODY_BYTES_MAX,
    EFFECTS_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    SIGNERS_MAX,
    Body,
)

ROOT = Path(__file__).parents[2]
FORMATS = (ROOT / "docs/FORMATS.md").read_text("utf-8")
CONTRACTS = (ROOT / "docs/CONTRACTS.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    section = FORMATS.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\|\n)+", section, flags=re.MULTILINE)
    if rows is None:
        raise ValueError(f"no table under {heading}")
    return [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in rows.group().splitlines()[2:]
    ]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def listed(name: str) -> list[str]:
    """The words of the bullet that begins with a name."""
    match = re.search(rf"^- `{name}`: (.*)$", FORMATS, flags=re.MULTILINE)
    if match is None:
        raise ValueError(f"no bullet for {name}")
    return words(match.group(1))


def test_every_tag() -> None:
    named = [name for cells in table("## Ground rules") for name in words(cells[0])]
    values = [value for name, value in vars(tags).items() if name.isupper()]
    assert sorted(named) == sorted(
        value.removeprefix(b"evidence-ledger/v1/").rstrip(b"\0").decode() for value in values
    )


def test_every_member_of_a_body() -> None:
    named = [words(cells[0])[0] for cells in table("## Body")]
    members = [field.encode_name for field in msgspec.structs.fields(Body)]
    assert named == sorted(members) == members


def test_every_kind_with_its_data() -> None:
    rows = {words(cells[0])[0]: cells for cells in table("## Kinds")}
    kinds = {key: kind for key, kind in KINDS.items() if key[0] not in DATA}
    assert list(rows) == [name for name, _ in kinds]
    assert {version for _, version in KINDS} == {1}
    shown = ""
    for (name, _), kind in kinds.items():
        cell = shown = shown if rows[name][3] == "the same" else rows[name][3]
        fields = msgspec.structs.fields(kind.data)
        optional = set(re.findall(r"\*`(\w+)`\*", cell))
        assert optional == {field.name for field in fields if not field.required}, name
        required = {word for word in words(cell) if "-" not in word and "," not in word} - optional
        assert required == {field.name for field in fields if field.required}, name


def test_every_word_of_every_list() -> None:
    role = listed("role")
    assert role == [*SUBMITTER_ROLES, *INSTITUTION_ROLES]
    assert listed("industry") == list(INDUSTRIES)
    assert listed("statement") == list(STATEMENTS)
    assert set(Attesters.__struct_fields__) <= set(listed("attesters"))
    assert sorted(listed("provenance")) == sorted(Provenance.__struct_fields__)
    assert sorted(listed("parameters")) == sorted(Parameters.__struct_fields__)


def test_every_private_field() -> None:
    line = next(line for line in FORMATS.splitlines() if line.startswith("Every contract has the"))
    assert words(line) == list(FIELDS)


def refusals_in_code() -> dict[str, set[tuple[str, ...]]]:
    """Each code with the names of its effects, as the contracts raise it."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for path in sorted((ROOT / "contracts").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            match call:
                case ast.Call(
                    func=ast.Name(id="Refusal" | "refused"),
                    args=[ast.Constant(str(code)), *effects],
                ):
                    names = [ast.literal_eval(pair.elts[0]) for pair in effects]  # type: ignore[attr-defined]
                    found.setdefault(code, set()).add(tuple(names))
                case ast.Call(func=ast.Name(id="refused_by_law"), args=[ast.Constant(str(code))]):
                    found.setdefault(code, set()).add(("why", "detail"))
    return found


def test_every_refusal_with_its_effects() -> None:
    named = {
        words(cells[0])[0]: {tuple(words(part)) for part in cells[2].split(";")}
        for cells in table("## Outcome")
    }
    assert named == refusals_in_code()
    assert set(words(CONTRACTS.split("### What is refused", 1)[1].split("## ", 1)[0])) <= (
        set(named)
    )


def test_every_reason() -> None:
    assert [words(cells[0])[0] for cells in table("## Reasons")] == [str(r) for r in Reason]


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("at most {:,} bytes. `tx_id`", BODY_BYTES_MAX),
        ("At most {:,} bytes. The *envelope hash*", ENVELOPE_BYTES_MAX),
        ("in fixed order; at most {:,} bytes", EFFECTS_BYTES_MAX),
        ("is shorter than {:,} bytes", ENTRY_BYTES_MAX + 1),
        ("the leaves of a tree of 1 to {:,}", BATCH_SIZE_MAX),
        ("1 to {} party ids", SIGNERS_MAX),
        ("at most {} deep", DEPTH_MAX),
        ("Salt: {} to", SALT_BYTES_MIN),
        ("to {} random bytes", SALT_BYTES_MAX),
        ("a party ever holds at most {} keys", KEYS_MAX),
        ("gives itself none beyond the {}th", KEYS_OWN_MAX),
        ("{} slots of this validator", SLOTS_MAX),
        ("at most {:,} digits", EVIDENCE_HEX_MAX),
        ("At most {:,} bytes and", DOCUMENT_BYTES_MAX),
        ("bytes and {} institutions", INSTITUTIONS_MAX),
        ("A leaf's data is the tag, {} random", PRIVATE_SALT_BYTES),
        ("the value: 1 to {:,} bytes of UTF-8", VALUE_BYTES_MAX),
        ("`fields` has 1 to {} of `name`", len(FIELDS)),
        ("X.509 DER, at most {:,} bytes", CERTIFICATE_BYTES_MAX),
    ],
)
def test_every_bound(sentence: str, number: int) -> None:
    assert sentence.format(number) in FORMATS


def test_bounds_of_the_parameters() -> None:
    bounds: dict[str, tuple[Any, Any]] = {}
    hints = msgspec.inspect.type_info(Parameters)
    for field in hints.fields:  # type: ignore[union-attr]
        bounds[field.name] = (field.type.ge, field.type.le)
    assert bounds == {
        "block_bytes_max": (131_072, 16_777_216),
        "block_transactions_max": (1, 16_384),
        "intake_heights": (1, 1_000_000),
        "reference_window_ms": (1, 10**14),
        "idle_block_interval_ms": (1, 10**12),
        "proposal_clock_skew_ms": (1, 10**12),
        "replay_window_ms": (1, 10**12),
        "view_timeout_ms": (1, 10**12),
    }
    line = next(line for line in FORMATS.splitlines() if line.startswith("- `parameters`"))
    for part in ("131,072 to 16,777,216", "1 to 16,384", "1 to 1,000,000", "to 10^14", "10^12"):
        assert part in line


def test_what_a_snapshot_carries() -> None:
    section = FORMATS.split("\n## Snapshots\n", 1)[1].split("\n## ", 1)[0]
    assert f"*Manifest*: `[{SNAPSHOT_VERSION}, chain id, header, " in section
    assert f"{CHUNK_BYTES:,} bytes or more closes it" in section
    assert f"closed more than {AFTERLIFE_MS:,} ms before the header's time" in section
    for prefix in PREFIXES:
        assert f"`{prefix}`" in section
    shapes = (StreamChunk, ReferenceChunk, KeptChunk)
    assert re.findall(r"`\[([0-9]), \[\[[a-z]", section) == [
        str(shape.__struct_config__.tag) for shape in shapes
    ]


def test_every_finding_of_the_contracts_is_explained() -> None:
    section = CONTRACTS.partition("### What is found\n")[2].partition("\n### ")[0]
    explained = {
        name
        for row in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
        if name != "finding"
    }
    written = {
        name
        for path in (ROOT / "contracts").glob("*.py")
        for name in re.findall(r'"finding", "(\w+)"', path.read_text("utf-8"))
    }
    assert explained == written
