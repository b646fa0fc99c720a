"""Rows of docs/CAMPAIGN.md come from runs, and the sums are theirs."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUN: dict[str, Any] = {
    "seeds": [0, 50], "asked": "--nodes 4", "heights": 1_202, "kills": 816, "hours": 0.11,
    "failed": [],
}  # fmt: skip


def load_script() -> ModuleType:
    """Import `scripts/campaign-row`, which has no suffix."""
    path = ROOT / "scripts/campaign-row"
    loader = importlib.machinery.SourceFileLoader("campaign_script", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_run_becomes_a_row_and_the_sums_follow() -> None:
    script = load_script()
    text = f"# Campaign\n\n{script.HEAD}\n{script.RULE}\n| **all** | 0 |\n\nafter\n"
    first = script.row_of(RUN, "1a2b3c4", "2 cores")
    assert first == "| `1a2b3c4` | 0:50 | `--nodes 4` | 1,202 | 816 | 0.1 | none | 2 cores |"
    second = script.row_of(
        RUN | {"seeds": [50, 1_050], "asked": "", "failed": [60, 71]}, "5d6e7f8", "2 cores"
    )
    text = script.add_row(script.add_row(text, first), second)
    assert text.splitlines()[4:] == [
        first,
        "| `5d6e7f8` | 50:1050 |  | 1,202 | 816 | 0.1 | 60, 71 | 2 cores |",
        "| **all** | 1,050 | | 2,404 | 1,632 | 0.2 | 2 | |",
        "",
        "after",
    ]


def test_a_document_without_the_table_is_refused() -> None:
    script = load_script()
    with pytest.raises(ValueError, match=r"CAMPAIGN.md has no table that begins with \| commit"):
        script.add_row("# Campaign\n", "| x |")


def test_the_documents_sums_are_those_of_its_rows() -> None:
    script = load_script()
    lines = (ROOT / "docs/CAMPAIGN.md").read_text("utf-8").splitlines()
    begin = lines.index(script.HEAD)
    end = next(at for at in range(begin, len(lines)) if lines[at].startswith(script.SUMS))
    rows = [line for line in lines[begin:end] if line.startswith("| `")]
    assert rows
    assert [line for line in lines if line.startswith(script.SUMS)] == [script.sums_of(rows)]
