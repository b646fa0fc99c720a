"""The quickstart as a newcomer runs it, and what it says one can do next."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.devnet_state import read_state
from cli.main import main
from tests.system.networks import ROOT
from tests.system.test_devnet_command import is_alive, wait_gone

pytestmark = pytest.mark.slow


def test_it_shows_what_it_promises_keeps_the_network_and_leaves_nothing_when_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "my net"
    done = subprocess.run(
        [sys.executable, "-m", "cli.quickstart", "--keep", "--home", str(home)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    state = read_state(home)
    pids = [node.pid for node in state.nodes]
    stop = re.search(r"^   Stop it 停止网络: kill (\d+)$", said, re.MULTILINE)
    assert stop is not None
    try:
        assert re.findall(r"^(\d)\. ", said, re.MULTILINE) == ["1", "2", "3", "4", "5", "6", "7"]
        assert re.findall(r"exit status (\d)", said) == ["0", "1", "0", "1"]
        assert re.findall(r"Conclusion: (\w+)", said) == [
            "consistent", "inconsistent", "consistent", "inconsistent",
        ]  # fmt: skip
        assert "398 applied, 6 recorded as refused, 0 not taken in." in said
        assert f"Genesis hash 创世哈希 {state.genesis_hash}" in said
        remove = re.search(r"^   Remove everything 全部删除: (.*)$", said, re.MULTILINE)
        assert remove is not None
        assert shlex.split(remove[1]) == ["rm", "-r", str(home)]
        assert len(pids) == 4
        assert all(is_alive(pid) for pid in pids)
        fetch = re.search(r"history (m-yoga-2026-0001) --devnet", said)
        assert fetch is not None
        file = tmp_path / "history.json"
        assert main(["history", fetch[1], "--devnet", str(home), "-o", str(file)]) == 0
        assert main(["verify", str(file), "--genesis-hash", state.genesis_hash]) == 0
        assert main(["inspect", "--devnet", str(home)]) == 0
    finally:
        os.kill(int(stop[1]), signal.SIGTERM)
    wait_gone([int(stop[1]), *pids])
    assert main(["inspect", "--home", f"{home}/node-0"]) == 0
    assert "every signature of " in capsys.readouterr().out


def test_a_link_to_the_script_finds_the_checkout(tmp_path: Path) -> None:
    link = tmp_path / "quickstart"
    link.symlink_to(ROOT / "scripts" / "quickstart")
    done = subprocess.run(
        [str(link), "--help"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--keep" in done.stdout
