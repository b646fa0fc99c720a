"""`evidence-ledger devnet` as a person runs it: one process that leaves none behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.devnet import Devnet
from cli.devnet_state import DevnetState, read_state

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "evidence-ledger"

pytestmark = pytest.mark.slow


class Running:
    """A `devnet` process of our own, its output read as it comes."""

    def __init__(self, home: Path, *options: str, cwd: Path = ROOT) -> None:
        self.home = home
        self.text = ""
        self.process = subprocess.Popen(
            [COMMAND, "devnet", "--home", str(home), *options],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def read_until(self, pattern: str, timeout_s: float = 60) -> str:
        """Read until the output matches, or fail with what there was."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while re.search(pattern, self.text) is None:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.5)
            data = os.read(self.process.stdout.fileno(), 65536) if ready else None
            if data:
                self.text += data.decode()
            assert data != b"", f"ended without {pattern!r}: {self.text}"
            assert time.monotonic() < deadline, f"no {pattern!r} in: {self.text}"
        return self.text

    def end(self) -> tuple[int, str]:
        """Wait for its end; return (status, output)."""
        assert self.process.stdout is not None
        status = self.process.wait(30)
        self.text += self.process.stdout.read().decode()
        self.process.stdout.close()
        return status, self.text

    @property
    def state(self) -> DevnetState:
        return read_state(self.home)

    def pids(self) -> list[int]:
        return [node.pid for node in self.state.nodes]


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_gone(pids: list[int], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.05)


def test_killed_it_takes_its_nodes_along_and_resumes_with_the_same_keys(tmp_path: Path) -> None:
    first = Running(tmp_path / "net", "--nodes", "2")
    first.read_until(r"Ready\. Ctrl-C stops every node\. .*\n")
    assert "Registered 10 demo submitters." in first.text
    pids, genesis_hash = first.pids(), first.state.genesis_hash
    assert all(is_alive(pid) for pid in pids)
    first.process.send_signal(signal.SIGKILL)
    first.end()
    wait_gone(pids)

    second = Running(tmp_path / "net", "--nodes", "2")
    second.read_until(r"Ready\. Ctrl-C stops every node\. .*\n")
    assert "All submitters are known." in second.text
    assert second.state.genesis_hash == genesis_hash
    pids = second.pids()
    second.process.send_signal(signal.SIGINT)
    status, text = second.end()
    assert (status, text.splitlines()[-1]) == (0, "Stopping. 正在停止。")
    assert not [pid for pid in pids if is_alive(pid)]
    assert second.pids() == [0, 0]


def test_a_node_that_is_killed_leaves_the_others_and_is_started_as_it_says(tmp_path: Path) -> None:
    running = Running(tmp_path / "net", "--nodes", "2", "--no-tls")
    running.read_until(r"Ready\. Ctrl-C stops every node\. .*\n")
    nodes = running.state.nodes
    assert all(node.api.startswith("http://127.0.0.1:") for node in nodes)
    os.kill(nodes[1].pid, signal.SIGKILL)
    said = running.read_until(r"evidence-ledger node run --home \S+\n")
    assert "Node pay-a (replica 1) was killed by signal 9.\n" in said
    assert f"The end of 日志末尾 {tmp_path}/net/node-1.log:\n" in said
    assert "replica 1 of 2" in said
    assert said.endswith(
        "The others go on 其余继续运行. Start it again, in another terminal 另行启动:\n"
        f"  evidence-ledger node run --home {nodes[1].home}\n"
    )
    others = [node.pid for node in nodes if node.replica != 1]
    assert all(is_alive(pid) for pid in others)
    command = said.splitlines()[-1].split()
    again = subprocess.Popen(
        [sys.executable, "-m", "cli", *command[1:]], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        devnet = Devnet(running.home, running.state)
        devnet.wait_ready()
        running.process.send_signal(signal.SIGINT)
        status, text = running.end()
        assert (status, text.splitlines()[-1]) == (0, "Stopping. 正在停止。")
        wait_gone(others)
        assert is_alive(again.pid), "what was started by hand is stopped by hand"
    finally:
        again.terminate()
        assert again.wait(30) == 0


def test_the_last_node_that_dies_ends_it(tmp_path: Path) -> None:
    running = Running(tmp_path / "net", "--nodes", "2", "--no-tls")
    running.read_until(r"Ready\. Ctrl-C stops every node\. .*\n")
    for pid in running.pids():
        os.kill(pid, signal.SIGKILL)
    status, text = running.end()
    assert status == 1
    assert re.search(r"^Node .* No node is left\.\n节点.*已没有节点运行。\n", text, re.MULTILINE)


def test_what_lies_where_it_is_called_is_no_part_of_a_node(tmp_path: Path) -> None:
    """A folder of somebody's own scripts, one of which bears a package's name."""
    (tmp_path / "api.py").write_text("raise SystemExit('a stranger's module was run')")
    running = Running(tmp_path / "net", "--nodes", "1", cwd=tmp_path)
    running.read_until(r"Ready\. Ctrl-C stops every node\. .*\n")
    running.process.send_signal(signal.SIGINT)
    assert running.end()[0] == 0


def test_terminated_while_starting_it_leaves_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path / "net", "--nodes", "2")
    running.read_until(r"Starting 2 nodes\. .*\n")
    running.process.send_signal(signal.SIGTERM)
    assert running.end()[0] == 0
    wait_gone([pid for pid in running.pids() if pid])
