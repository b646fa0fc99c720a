"""A running devnet: one process for each node, started, watched and stopped together.

Each node is `evidence-ledger node run --home …` in a process group of its own, so that a Ctrl-C in
a terminal reaches `devnet` alone, which then stops them in order. Its standard input is a pipe from
here: when this process dies, however it dies, the pipe closes and the node stops by itself. Nothing
is restarted unasked. A node that ends too early is said with the last lines of its log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from cli.client import Client
from cli.devnet_addresses import Layout
from cli.devnet_homes import create_devnet, move_ports
from cli.devnet_state import DevnetNode, DevnetState, is_initialised, read_state, write_state
from cli.failure import Failure
from node.server import LOCK_FILE
from storage.files import DiskDirectory, InUse
from verifier.report import Words

READY_S: Final = 300.0
"""How long nodes may take to start: on two cores that are busy with other things four of them have
taken more than a minute. One that ends meanwhile is told at once."""

STOP_S: Final = 15.0
"""How long a node may take to stop in order before it is killed."""

ASK_INTERVAL_S: Final = 0.05
LOG_TAIL_LINES: Final = 12

Say = Callable[[str], None]


def open_devnet(layout: Layout, say: Say) -> DevnetState:
    """Make the devnet, or take the one that is there; return its state, ports put right."""
    if not is_initialised(layout.directory):
        say(f"Making keys, genesis and homes of {layout.node_count} nodes in {layout.directory}.")
        say(f"正在为 {layout.node_count} 个节点生成密钥、创世文件与节点目录。")
        return create_devnet(layout)
    state = read_state(layout.directory)
    _await_homes(state, say)
    for sentence in move_ports(state):
        say(sentence)
    write_state(layout.directory, state)
    return state


def _await_homes(state: DevnetState, say: Say) -> None:
    """Wait until no process holds a node's home; raise `Failure` if one keeps it.

    The nodes of a devnet that was killed stop by themselves a moment later. Those of one that runs
    must not have their addresses changed: its own `devnet.json` would name ports of nobody.
    """
    deadline = time.monotonic() + STOP_S
    is_said = False
    for node in state.nodes:
        while (held := _find_holder(Path(node.home))) is not None:
            if time.monotonic() >= deadline:
                raise Failure(
                    f"{held}; stop it first. Nothing was changed.",
                    f"{node.home} 正被占用；请先停止该进程。未作任何更改。",
                )
            if not is_said:
                say(f"{held}; waiting for its end. 目录被占用，等待其结束。")
                is_said = True
            time.sleep(ASK_INTERVAL_S)


def _find_holder(home: Path) -> str | None:
    with closing(DiskDirectory(home, is_read_only=True)) as directory:
        try:
            directory.lock(LOCK_FILE)
        except InUse as error:
            return str(error)
    return None


class Devnet:
    """The processes of a devnet; `stop` leaves nothing running."""

    def __init__(self, directory: Path, state: DevnetState) -> None:
        self.directory = directory
        self.state = state
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Devnet:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Processes

    def start(self, replicas: Iterable[int] | None = None) -> None:
        """Start nodes (all by default) without waiting for them."""
        for replica in range(len(self.state.nodes)) if replicas is None else replicas:
            self._start(self.state.nodes[replica])
        write_state(self.directory, self.state)

    def _start(self, node: DevnetNode) -> None:
        with open(node.log, "ab") as log:
            process = subprocess.Popen(
                self.command(node),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                process_group=0,
                env=self.environment(node),
            )
        self._processes[node.replica] = process
        node.pid = process.pid

    def command(self, node: DevnetNode) -> list[str]:
        """Return the command line of a node's process."""
        run = [sys.executable, "-P", "-m", "cli", "node", "run", "--home", node.home]
        return [*run, "--until-stdin-closes"]

    def environment(self, node: DevnetNode) -> dict[str, str]:
        """Return the environment of a node's process: from a checkout, it finds this very code."""
        environment = dict(os.environ)
        root = Path(__file__).parents[1]
        if (root / "pyproject.toml").exists():
            path = environment.get("PYTHONPATH", "")
            environment["PYTHONPATH"] = f"{root}{os.pathsep}{path}" if path else str(root)
        return environment

    def process(self, replica: int) -> subprocess.Popen[bytes]:
        """Return a node's process, for whoever watches it."""
        return self._processes[replica]

    def kill(self, replica: int) -> None:
        """Kill a node without warning (SIGKILL) and wait until it is gone."""
        process = self._processes[replica]
        process.kill()
        process.wait()
        self._forget(replica)

    def wait_ready(self, replicas: Iterable[int] | None = None, ready_s: float = READY_S) -> None:
        """Wait until nodes (all by default) are ready; raise `Failure` if one ends or the time."""
        waiting = list(range(len(self.state.nodes)) if replicas is None else replicas)
        deadline = time.monotonic() + ready_s
        while waiting:
            replica = waiting[0]
            with self.client(replica) as client:
                while reason := client.readiness():
                    self.check_alive()
                    if time.monotonic() > deadline:
                        node = self.state.nodes[replica]
                        raise Failure(
                            f"Node {node.id} is not ready after {ready_s:g} s: {reason}.",
                            f"节点 {node.id} 在 {ready_s:g} 秒后仍未就绪。\n{log_tail(node)}",
                        )
                    time.sleep(ASK_INTERVAL_S)
            waiting.pop(0)

    def check_alive(self) -> None:
        """Raise `Failure` with the log's end if a node that was started has ended."""
        for replica, process in self._processes.items():
            if process.poll() is not None:
                node, status = self.state.nodes[replica], process.returncode
                ended = describe_end(node, status)
                raise Failure(ended.en, f"{ended.zh}\n{log_tail(node)}")

    def stop(self, replicas: Iterable[int] | None = None) -> None:
        """Stop nodes (all by default) in order, and kill what does not; nothing is left of them."""
        stopped = list(self._processes if replicas is None else replicas)
        for replica in stopped:
            self._processes[replica].terminate()
        deadline = time.monotonic() + STOP_S
        for replica in stopped:
            process = self._processes[replica]
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._forget(replica)
        write_state(self.directory, self.state)

    def _forget(self, replica: int) -> None:
        process = self._processes.pop(replica)
        if process.stdin is not None:
            process.stdin.close()
        self.state.nodes[replica].pid = 0

    # Clients

    def client(self, replica: int, scope: str = "operator") -> Client:
        """Return a client of one node with the token of a scope."""
        return make_client(self.state, replica, scope)


def make_client(state: DevnetState, replica: int, scope: str = "operator") -> Client:
    """Return a client of one node of a devnet."""
    node = state.nodes[replica]
    authority = Path(state.authority) if state.authority else None
    return Client(node.api, authority=authority, token=node.tokens.get(scope, ""))


def describe_end(node: DevnetNode, status: int) -> Words:
    """Return a sentence about a node's end."""
    how, how_zh = f"ended with status {status}", f"已退出，退出码 {status}"
    if status < 0:
        how, how_zh = f"was killed by signal {-status}", f"被信号 {-status} 终止"
    return Words(
        f"节点 {node.id}（第 {node.replica} 号副本）{how_zh}。",
        f"Node {node.id} (replica {node.replica}) {how}.",
    )


def log_tail(node: DevnetNode) -> str:
    """Return the last lines of a node's log."""
    try:
        lines = Path(node.log).read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    shown = "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:]) or "    (empty 空)"
    return f"The end of 日志末尾 {node.log}:\n{shown}"
