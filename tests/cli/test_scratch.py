"""The scratch directory is gone when its command is, however that ended."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.scratch import PREFIX, scratch_directory
from storage.files import DiskDirectory

ROOT = Path(__file__).parents[2]
AT_WORK = """\
from cli.scratch import scratch_directory
with scratch_directory() as path:
    (path / "file").write_text("of the work")
    print(path, flush=True)
    input()
"""


def begin(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has a scratch directory and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK],
        cwd=ROOT,
        env={"TMPDIR": str(temporary), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    assert (path / "file").read_text() == "of the work"
    return process, path


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, None), (signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1)],
)
def test_an_end_that_was_asked_for_removes_it(
    tmp_path: Path, number: signal.Signals, status: int | None
) -> None:
    process, _ = begin(tmp_path)
    process.send_signal(number)
    process.communicate()
    assert status is None or process.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_goes_with_the_next_and_a_living_ones_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, left = begin(tmp_path)
    living, used = begin(tmp_path)
    killed.kill()
    killed.communicate()
    assert left.exists()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}made-this-moment").mkdir()
    before = signal.getsignal(signal.SIGTERM)
    with scratch_directory() as own:
        assert own.exists()
        assert not left.exists()
        assert (used / "file").exists()
    assert not own.exists()
    assert signal.getsignal(signal.SIGTERM) == before
    living.communicate("\n")
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}made-this-moment"]


def test_another_users_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there may be closed to this user, or no lock but something that blocks."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, left = begin(tmp_path)
    killed.kill()
    killed.communicate()
    with monkeypatch.context() as other:
        other.setattr("os.geteuid", lambda: left.stat().st_uid + 1)
        with scratch_directory():
            assert left.exists()
    with scratch_directory():
        assert not left.exists()


@pytest.mark.parametrize("is_removed", [False, True])
def test_another_command_may_look_at_it_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_removed: bool
) -> None:
    """It is held by whoever looks whether it is left over, or it is gone already."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lock = DiskDirectory.lock
    others: list[DiskDirectory] = []

    def look_first(holder: DiskDirectory, name: str) -> None:
        if not others:
            (path,) = tmp_path.iterdir()
            (path / name).touch()
            others.append(DiskDirectory(path, is_read_only=True))
            lock(others[0], name)
            if is_removed:
                shutil.rmtree(path)
        lock(holder, name)

    monkeypatch.setattr(DiskDirectory, "lock", look_first)
    with scratch_directory() as own:
        (own / "file").touch()
    others[0].close()
    assert list(tmp_path.iterdir()) == []
