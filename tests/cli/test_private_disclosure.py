"""`private disclose`: what a node answers is written only where it proves something."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.disclosure import Disclosure, describe_disclosure
from tests.cli.running import Command
from tests.verifier.small_chain import CARD_SIGNERS, busy_chain
from tests.verifier.test_disclosure import FIRST, FOREIGN, chain, show
from verifier.verify import verify_evidence

HISTORY = ("m-1", "bank-1")


class Node:
    def __init__(self, answer: Disclosure) -> None:
        self._answer = answer

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def disclosure(self, contract: str, names: Sequence[str], commitment: str | None) -> bytes:
        return json.dumps(describe_disclosure(self._answer)).encode()


def disclose(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    answer: Disclosure,
    evidence: bytes,
    folder: Path,
) -> int:
    monkeypatch.setattr("cli.private_command._connect", lambda _: Node(answer))
    into = folder / "history.json"
    into.write_bytes(evidence)
    return command.run(
        "private", "disclose", "card-1", "--fields", "name", "--api", "https://x.example",
        "--into", into, "-o", folder / "court.json",
    )  # fmt: skip


def test_a_disclosure_goes_into_the_record_that_it_is_of(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    history = chain().history("card-1", HISTORY)
    assert disclose(command, monkeypatch, show(FIRST, "name"), history, tmp_path) == 0
    report = verify_evidence((tmp_path / "court.json").read_bytes(), chain().chain_id)
    assert report.is_consistent
    assert "张小宝" in next(step.explanation.zh for step in report.steps if step.number == 15)


@pytest.mark.parametrize(
    ("answer", "of_another"), [(show(FOREIGN, "name"), False), (show(FIRST, "name"), True)]
)
def test_nothing_is_written_that_would_not_verify(
    answer: Disclosure,
    of_another: bool,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Fields to which no entry of the file commits; the record of another chain's contract."""
    history = chain().history("card-1", HISTORY)
    if of_another:
        history = busy_chain().history("card-1", CARD_SIGNERS)
    assert disclose(command, monkeypatch, answer, history, tmp_path) == 1
    assert "with this disclosure does not verify, and nothing is written: " in command.refusal
    assert not (tmp_path / "court.json").exists()


@pytest.mark.parametrize("evidence", [b"", b"[]", b"{}", b'{"genesis": 1}', b'{"genesis": "?"}'])
def test_what_is_no_evidence_file_is_said(
    evidence: bytes, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert disclose(command, monkeypatch, show(FIRST, "name"), evidence, tmp_path) == 2
    assert command.refusal == f"{tmp_path / 'history.json'} is no evidence file."
