"""`docs/EVIDENCE.md` and the Chinese one beside it show what the verifier really prints and does.

The words cover every outcome.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from contracts.kinds import KINDS
from contracts.parties import INSTITUTION_ROLES, SUBMITTER_ROLES
from ledger.evidence import FORMAT, MEMBERS, QUESTIONS
from ledger.refusal import Reason
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from verifier import verify
from verifier.main import main
from verifier.report import REASON_ZH
from verifier.verify import (
    ANSWER,
    FILE_STEP,
    LIABILITY_STEPS,
    PLATFORM,
    POST_QUANTUM,
    SCHEDULE_STEPS,
    STATEMENT,
    STEPS,
    TIMESTAMPS,
)
from verifier.wording import (
    CAUSE_NAMES,
    EFFECTS_ZH,
    FINDING_WORDS,
    MONEY,
    REFUSAL_WORDS,
    ROLE_WORDS,
    list_kinds,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/EVIDENCE.md").read_text("utf-8")
CHINESE = (ROOT / "docs/EVIDENCE.zh-CN.md").read_text("utf-8")


def blocks(document: str) -> list[str]:
    """Return what stands in the blocks of text, in order."""
    return re.findall(r"^```text\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("lang", "document"), [("en", DOCUMENT), ("zh", CHINESE)], ids=["en", "zh"]
)
def test_example_is_what_is_printed(tmp_path: Path, lang: str, document: str) -> None:
    path = tmp_path / "card-1.evidence.json"
    path.write_bytes(busy_chain().history("card-1", CARD_SIGNERS))
    out = io.StringIO()
    chain_id = busy_chain().chain_id.hex()
    assert main([str(path), "--genesis-hash", chain_id, "--lang", lang], out=out) == 0
    command, continued, printed = blocks(document)[0].split("\n", 2)
    assert command == f"$ python -m verifier card-1.evidence.json --lang {lang} \\"
    assert chain_id in continued
    assert printed == out.getvalue()


def test_every_effect_that_is_documented_has_a_name_in_chinese() -> None:
    formats = (ROOT / "docs/FORMATS.md").read_text("utf-8")
    _, kinds, outcome, *_ = re.split(r"^## (?=Kinds|Outcome|Entries)", formats, flags=re.MULTILINE)
    rows = re.findall(
        r"^\| `.*\| ([^|]*) \|$", kinds.partition("- `role`")[0] + outcome, re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert {"statement", "tx_id", "vouched_by", "slot", "allowed"} <= named
    assert named - set(EFFECTS_ZH) - set(MONEY) - set(CAUSE_NAMES) == {"finding"}


def test_every_role_has_its_words() -> None:
    assert {*INSTITUTION_ROLES, *SUBMITTER_ROLES} <= set(ROLE_WORDS)


def test_annotated_bytes_are_a_header_entry() -> None:
    annotated = blocks(DOCUMENT)[1]
    shown = "".join(re.findall(r"^((?:[0-9a-f]{2,}| )+)  ", annotated, flags=re.MULTILINE))
    assert bytes.fromhex(shown) == busy_chain().leaves[12]


@pytest.mark.parametrize("document", [DOCUMENT, CHINESE], ids=["en", "zh"])
def test_steps_are_numbered_alike_in_document_docstring_and_code(document: str) -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|", document, flags=re.MULTILINE)
    steps = [*STEPS, *LIABILITY_STEPS[4:], ANSWER, POST_QUANTUM, *SCHEDULE_STEPS[5:]]
    steps += [PLATFORM, *STATEMENT, TIMESTAMPS]
    names = [(1, FILE_STEP), *[(number, name) for number, name, _ in steps]]
    assert rows == [(str(number), name.zh, name.en) for number, name in names]
    docstring = verify.__doc__ or ""
    numbered = re.findall(r"^ ?(\d+)\. ", docstring, flags=re.MULTILINE)
    assert numbered == [str(number) for number, _ in names]
    for number, _, check in steps:
        doc = getattr(check, "func", check).__doc__ or ""
        assert doc.startswith(f"Step {number}: ")


def test_the_chinese_document_names_every_kind_in_order() -> None:
    table = CHINESE.split("| 种类 | 内容 |")[1].split("\n\n")[0]
    kinds = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert kinds == re.findall(r'^`"kind":"(\w+)"`', DOCUMENT, flags=re.MULTILINE)
    assert set(kinds) == set(MEMBERS)


def test_members_are_documented() -> None:
    for kind in MEMBERS:
        table = DOCUMENT.split(f'`"kind":"{kind}"`')[1].split("\n\n")[1]
        assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(MEMBERS[kind])
        assert f"| `format` | `{FORMAT}` |" in table


def test_questions_are_documented() -> None:
    table = DOCUMENT.split("| ask | members |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(QUESTIONS)
    for name, members in rows:
        assert all(f"`{member}`" in members for member in QUESTIONS[name][1:])


def test_every_kind_and_refusal_has_words() -> None:
    assert set(list_kinds()) == {kind for kind, _ in KINDS}
    codes = set()
    for path in (ROOT / "contracts").glob("*.py"):
        codes |= set(re.findall(r'(?:Refusal|refused)\(\s*"([a-z_]+)"', path.read_text("utf-8")))
    assert codes - set(REFUSAL_WORDS) == set()
    assert set(REASON_ZH) == set(Reason)
    for table in (list_kinds(), REFUSAL_WORDS, FINDING_WORDS):
        for code, words in table.items():
            assert is_chinese(words.zh), code
            assert words.en.isascii(), code
    for reason, zh in REASON_ZH.items():
        assert is_chinese(zh), reason


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)


def test_every_finding_has_words_and_stands_in_the_document() -> None:
    found = set()
    for path in (ROOT / "contracts").glob("*.py"):
        found |= set(re.findall(r'\("finding", "([a-z_]+)"\)', path.read_text("utf-8")))
    assert found == set(FINDING_WORDS)
    table = (ROOT / "docs/CONTRACTS.md").read_text("utf-8").split("### What is found")[1]
    rows = re.findall(r"^\| (`.*) \| ", table.split("###")[0], flags=re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} >= found
