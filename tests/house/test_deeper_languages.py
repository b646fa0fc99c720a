"""What configuration, keys, storage and the node's log say stands in both languages.

The types ask whoever makes such a refusal, a pair of words or a finding for two sentences; that
one is Chinese and the other is not is read from the source here. So is that a line of the log at
warning or error, on which an operator has to act, says it in Chinese as well. Its fields and the
names of metrics are for programs, in English alone.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.test_both_languages import CHINESE, ENGLISH, name_of, read_text

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for package in ("cli", "genesis", "node", "storage")
    for path in (ROOT / package).glob("*.py")
)

REFUSALS = {
    "BackupRefused", "BadCertificates", "Damaged", "DamagedKeystore", "InUse", "KeystoreError",
    "PassphraseError", "StorageFailure", "TlsIdentityError", "VerifierUnavailable",
    "WrongPassphrase", "_bad", "_check_passphrase", "_damaged", "index_damaged",
}  # fmt: skip
"""What makes a refusal: its last two arguments say it, in English and in Chinese."""

LEVELS = {"critical", "error", "exception", "warning"}
HANDED_ON = re.compile(r"(_zh|\.zh|(explain(_rejected|_system)?|describe_shape_zh)\(.*\))$")
"""The Chinese of somebody else."""


def is_chinese(sentence: ast.expr) -> bool:
    return bool(CHINESE.search(ast.unparse(sentence)) or HANDED_ON.search(ast.unparse(sentence)))


def is_english(sentence: ast.expr) -> bool:
    """Say whether a sentence has no Chinese of its own, the values in it aside."""
    return not CHINESE.search(read_text(sentence))


def find_fault(call: ast.Call) -> str:
    """Return what is said in one language alone, empty where nothing is."""
    name, given = name_of(call.func), call.args
    if any(isinstance(one, ast.Starred) for one in given):
        return ""  # a pair that was made elsewhere
    if name in REFUSALS and len(given) >= (3 if name == "_damaged" else 2):
        return "" if is_english(given[-2]) and is_chinese(given[-1]) else ast.unparse(call)
    if name == "Words" and len(given) == 2 and ENGLISH.search(read_text(given[1])):
        return "" if is_chinese(given[0]) and is_english(given[1]) else ast.unparse(call)
    is_log = isinstance(call.func, ast.Attribute) and name in LEVELS
    if is_log and ast.unparse(call.func).split(".")[0] in {"log", "_log"}:
        return "" if CHINESE.search(ast.unparse(given[0])) else ast.unparse(call)
    if name in {"Told", "_say", "say"} and len(given) == 2 and is_level(given[0]):
        return "" if is_chinese(given[1]) or is_told(given[1]) else ast.unparse(call)
    return ""


def is_level(argument: ast.expr) -> bool:
    return any(isinstance(one, ast.Constant) and one.value in LEVELS for one in ast.walk(argument))


def is_told(text: ast.expr) -> bool:
    """Say whether the line is what another part has said, which is looked at where it is made."""
    return isinstance(text, ast.Attribute) and text.attr in {"complaint", "text"}


def list_faults(source: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [f"line {call.lineno}: {fault}" for call in calls if (fault := find_fault(call))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_said_in_one_language_alone(path: Path) -> None:
    assert list_faults(path.read_text("utf-8")) == []


def test_the_sentences_are_found() -> None:
    calls = [
        name_of(node.func)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert sum(name in REFUSALS for name in calls) > 120
    assert calls.count("Words") > 120
    assert sum(name in LEVELS for name in calls) > 25


@pytest.mark.parametrize(
    "alone",
    [
        'raise Damaged(file, 0, "is missing", "is missing")',
        'raise Damaged(file, 0, "is missing", "")',
        'raise self._damaged(name, 0, "缺失", "缺失")',
        'raise KeystoreError(f"{path} is open", f"{path}")',
        'raise StorageFailure(f"{name} failed: {why}", f"{name}：{why}")',
        'Words("the disk is full", "the disk is full")',
        'Words("磁盘已满", "the disk 磁盘 is full")',
        'log.warning("storage: %s", notice)',
        'log.error("the disk failed: %s", error)',
        'self._say("warning", f"replica {replica} sent what is refused: {rejected}")',
        'Told("warning", f"replica {replica} gave what is refused: {rejected}")',
        'self._say("error" if bad else "warning", f"size {size} differs")',
    ],
)
def test_a_sentence_in_one_language_is_noticed(alone: str) -> None:
    assert len(list_faults(alone)) == 1


@pytest.mark.parametrize(
    "both",
    [
        'raise Damaged(file, 0, "is missing", "缺失")',
        "raise Damaged(file, 0, rejected.detail, explain(rejected))",
        "raise self._damaged(number, 0, *_begins_at(found, height))",
        'raise InUse(f"{path} is in use", f"{path} 正被占用")',
        'log.info("blocks: %d", count)',
        'self._say("info", f"size {size} has {count} tokens")',
    ],
)
def test_a_sentence_in_both_is_passed(both: str) -> None:
    assert list_faults(both) == []
