"""What is closed, full or read no further costs no command its status, and shows no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.devnet_state import STATE_FILE

ROOT = Path(__file__).parents[2]
PROGRAM = f"{sys.executable} -m cli"
QUICKSTART = f"{sys.executable} -m cli.quickstart"

needs_full_disk = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full"
)


def run(command: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_costs_nothing(closed: str) -> None:
    status, _, err = run(f"{PROGRAM} page {closed}")
    assert (status, err) == (0, "")
    status, _, err = run(f"{PROGRAM} inspect --home /nowhere {closed}")
    assert status == 2
    assert "Traceback" not in err


def test_what_is_said_nowhere_stands_in_no_file_either(tmp_path: Path) -> None:
    page = tmp_path / "verify.html"
    assert run(f"{PROGRAM} page -o {page} <&- >&- 2>&-") == (0, "", "")
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    assert page.read_bytes().rstrip().endswith(b"</html>")


@needs_full_disk
def test_a_version_that_could_not_be_written_is_a_sentence() -> None:
    status, _, err = run(f"{PROGRAM} --version >/dev/full")
    assert (status, err) == (1, "No space left on device.\n操作未能完成：磁盘空间不足。\n")


def test_a_quickstart_whose_reader_leaves_ends_in_silence(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = subprocess.run(
            [*QUICKSTART.split(), "--home", str(tmp_path / "net")],
            cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, encoding="utf-8", check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")


def test_a_quickstart_does_not_submit_its_week_twice(tmp_path: Path) -> None:
    home = tmp_path / "my net"
    home.mkdir()
    (home / STATE_FILE).write_text("{}", "utf-8")
    status, out, err = run(f"{QUICKSTART} --home '{home}'")
    assert (status, out) == (2, "")
    english, chinese = err.splitlines()
    assert english.startswith(f"{home} holds a network already, and its chain may hold this week.")
    assert english.endswith(f"evidence-ledger devnet --home '{home}'")
    assert chinese.endswith(f"evidence-ledger devnet --home '{home}'")


def test_the_script_takes_a_relative_home_from_where_it_is_called(tmp_path: Path) -> None:
    checkout = tmp_path / "a checkout"
    (checkout / "scripts").mkdir(parents=True)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    scripts = {
        "scripts/quickstart": (ROOT / "scripts" / "quickstart").read_text("utf-8"),
        "scripts/setup": "#!/bin/sh\n",
        ".venv/bin/python": '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n',
    }
    for name, text in scripts.items():
        (checkout / name).write_text(text, "utf-8")
        (checkout / name).chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts" / "quickstart", "--home", "my net"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        str(tmp_path.resolve()), "-P", "-m", "cli.quickstart", "--home", "my net",
    ]  # fmt: skip
