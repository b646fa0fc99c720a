"""docs/PROOFS.md says of every proof how a program and a person get it, and that is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from tests.verifier import (
    proof_files,
    test_liabilities,
    test_owed,
    test_proofs,
    test_schedule,
)
from tests.verifier.mutating import honest
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, busy_chain
from tests.verifier.statements import good
from verifier.report import Result
from verifier.verify import verify_evidence

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"^\| proof \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)


def rows(table: str) -> dict[str, list[str]]:
    """Return the cells behind each row's first, whose link is taken off."""
    found = {}
    for row in table.splitlines():
        first, *others = [cell.strip() for cell in row.strip("|").split(" | ")]
        found[re.sub(r"\[(.*)\]\(.*\)", r"\1", first)] = others
    return found


ASKED, HAD = map(rows, TABLE.findall((ROOT / "docs/PROOFS.md").read_text("utf-8")))
ROUTES = set(re.findall(r"^\| (`[A-Z]+ /[^`]*`) \|", (ROOT / "docs/API.md").read_text(), re.M))

FILES: dict[str, Callable[[], tuple[SmallChain, bytes]]] = {
    "inclusion": lambda: (busy_chain(), honest().encode()),
    "completeness": lambda: (busy_chain(), busy_chain().history("card-1", CARD_SIGNERS)),
    "state and absence": test_proofs.GOOD["state"],
    "equivocation": test_proofs.GOOD["equivocation-votes"],
    "what is owed": lambda: (test_owed.world(), test_owed.file()),
    "liabilities": lambda: (test_liabilities.world(), test_liabilities.one()),
    "custody gap": lambda: (proof_files.custody_chain(), proof_files.custody(1)),
    "class": lambda: (test_liabilities.world(), test_liabilities.several(1, 2)),
    "schedule": lambda: (test_schedule.world(), test_schedule.whole()),
    "statement": lambda: (good().chain, good().transparent()),
}
"""Those not named here have their file in `test_proofs.GOOD`."""
PARTS = {"disclosed fields", "time stamps"}
"""What stands inside another file, and adds one step to its own."""


def numbers(said: str) -> set[int]:
    """Return the steps that a cell names: `1–5, 18`."""
    spans = [part.split("–") for part in said.split(", ")]
    return {step for span in spans for step in range(int(span[0]), int(span[-1]) + 1)}


def test_every_proof_has_its_row() -> None:
    assert list(HAD) == list(ASKED)


@pytest.mark.parametrize("name", HAD)
def test_routes_and_commands_are_there(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIDENCE_LEDGER_LANG", "en")
    _, routes, commands, _ = HAD[name]
    assert set(routes.split(", ")) <= ROUTES
    for command in commands.split(", "):
        assert main([*command.strip("`").split(), "--help"]) == 0
        assert f"usage: evidence-ledger {command.strip('`')} " in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in HAD if name not in PARTS])
def test_those_steps_are_run(name: str) -> None:
    chain, raw = (FILES | test_proofs.GOOD)[name]()
    report = verify_evidence(raw, chain.chain_id)
    ran = {step.number for step in report.steps if step.result is not Result.NOT_RUN}
    assert report.is_consistent
    assert ran == numbers(HAD[name][3].partition(";")[0])
