"""Conversations of replicas are, to the byte, what they were when somebody last read them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.consensus import transcripts
from tests.consensus.transcripts import FOLDER, SCRIPTS, make_transcript

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SCRIPTS)
def test_transcript_is_what_replicas_say(name: str) -> None:
    kept = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert make_transcript(name) == kept, "python -m tests.consensus.transcripts shows the change"


def test_no_transcript_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(SCRIPTS)


@pytest.mark.parametrize("hash_seed", ["1", "271828"])
def test_transcripts_are_the_same_under_any_hash_seed(hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.consensus.transcripts"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_change_is_shown_and_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transcripts, "FOLDER", tmp_path / "transcripts")
    monkeypatch.setattr(
        transcripts, "SCRIPTS", {name: SCRIPTS[name] for name in ("normal-1", "normal-4")}
    )
    assert transcripts.main([]) == 1
    assert transcripts.main(["--write"]) == 0
    capsys.readouterr()
    assert transcripts.main([]) == 0
    path = tmp_path / "transcripts/normal-4.txt"
    path.write_text(path.read_text("utf-8").replace("  2  A executed: ok ", "  2  A executed: no "))
    assert transcripts.main([]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("--- normal-4.txt (kept)\n+++ normal-4.txt (now)\n")
    assert shown.count("\n-  2  A executed: no") == shown.count("\n+  2  A executed: ok") == 1
