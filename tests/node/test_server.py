"""What surrounds a running node: progress, sizes, exceptions nobody caught, and why none starts."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.devnet_addresses import Layout
from cli.devnet_homes import create_devnet
from ledger.words import Words
from node.config import load_config
from node.descriptors import CONNECTIONS_MIN, count_own
from node.disk_usage import DiskUsage, count_bytes
from node.endpoint import parse_endpoint
from node.exceptions import make_exception_handler
from node.home import NodeHome
from node.ledger_store import REPLAY_PROGRESS, STATE_PROGRESS
from node.restored_checkpoints import RESTORED_PROGRESS
from node.server import ProgressLog, _Server, log_notices
from node.verification import VerifierUnavailable
from storage.files import Damaged, StorageFailure
from tests.cli.running import StoredChain, encode_votes, write_journal

ROOT = Path(__file__).parents[2]


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_progress_is_said_every_two_seconds_and_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = ProgressLog(clock)
    for done in range(1, 1001):
        clock.now_s += 1 / 128
        progress(REPLAY_PROGRESS, done, 1000)
    assert caplog.messages == [
        "replayed 256 of 1000 blocks",
        "replayed 512 of 1000 blocks",
        "replayed 768 of 1000 blocks",
        "replayed 1000 of 1000 blocks",
    ]


def test_progress_without_a_known_end_is_said_as_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = ProgressLog(clock)
    progress(STATE_PROGRESS, 5, 0)
    clock.now_s += 2
    progress(STATE_PROGRESS, 10, 0)
    assert caplog.messages == ["read 10 buckets of the state"]


def test_progress_with_a_backups_checkpoints_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ProgressLog(Clock())(RESTORED_PROGRESS, 9, 9)
    assert caplog.messages == ["verified 9 of 9 checkpoints of the backup"]


def test_notices_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    log_notices([Words("spool-0：残缺", "spool-0: torn at byte 7 of 9; cut off there")])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "storage: spool-0: torn at byte 7 of 9; cut off there 存储：spool-0：残缺")
    ]


def test_a_file_that_goes_while_sizes_are_read_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index").mkdir()
    for name in ("000001.ldb", "000002.ldb"):
        (tmp_path / "index" / name).write_bytes(bytes(100))
    (tmp_path / "node.toml").write_bytes(bytes(7))
    assert count_bytes(tmp_path) == 207
    real = os.stat

    def losing(path: str) -> os.stat_result:
        Path(tmp_path / "index" / "000001.ldb").unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr("node.disk_usage.os.stat", losing)
    assert count_bytes(tmp_path) == 107


async def test_a_mistake_in_asking_outsiders_ends_neither_the_node_nor_the_asking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a disk that fails stops the node."""
    monkeypatch.setattr("node.server.AGAIN_S", 0)
    ends: list[Exception] = [
        StorageFailure("draft: write failed", "写入失败"),
        KeyError("what they said"),
    ]

    async def run() -> None:
        raise ends.pop()

    server = _Server.__new__(_Server)
    failed: list[Words] = []
    monkeypatch.setattr(server, "_fail", failed.append)
    asking: Any = SimpleNamespace(run=run)
    await server._ask_outsiders(asking)
    assert failed == [
        Words("磁盘出错：写入失败", "the disk failed: draft: write failed"),
    ]
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        "asking outsiders broke off; it begins again in 0 s 向外部机构的请求中断，0 秒后重新开始"
    )


async def test_a_home_is_counted_on_a_thread_and_asked_for_its_last_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for metrics does not make the event loop look at every file."""
    counted = threading.Event()
    where: list[threading.Thread] = []

    def count(path: Path) -> int:
        where.append(threading.current_thread())
        counted.set()
        return 7

    monkeypatch.setattr("node.disk_usage.count_bytes", count)
    usage = DiskUsage(tmp_path)
    watching = asyncio.create_task(usage.watch())
    while not usage.bytes:  # noqa: ASYNC110 it sets no event of the loop
        await asyncio.sleep(0)
    watching.cancel()
    assert (usage.bytes, counted.is_set()) == (7, True)
    assert where != [threading.current_thread()]


async def handled(make: object) -> list[str]:
    """Return why the node would stop after what `make` starts has gone wrong unseen."""
    reasons: list[Words] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(make_exception_handler(reasons.append))
    make()  # type: ignore[operator]
    for _ in range(5):
        await asyncio.sleep(0)
    return [reason.en for reason in reasons]


async def breaks(error: Exception) -> None:
    raise error


async def test_a_task_that_breaks_off_stops_the_node(caplog: pytest.LogCaptureFixture) -> None:
    error = KeyError("peer")
    reasons = await handled(lambda: asyncio.ensure_future(breaks(error)) and None)
    assert reasons == ["a mistake of this program: KeyError: 'peer'"]
    assert "event loop: Task exception was never retrieved 事件循环出错" in caplog.messages
    assert "in breaks" in caplog.text


async def test_a_timer_that_breaks_off_stops_the_node() -> None:
    def timer() -> None:
        raise ZeroDivisionError("by nothing")

    reasons = await handled(lambda: asyncio.get_running_loop().call_soon(timer))
    assert reasons == ["a mistake of this program: ZeroDivisionError: by nothing"]


async def test_what_has_rotted_on_the_disk_is_no_mistake_of_the_program() -> None:
    error = Damaged(
        "chain/000000000000.seg", 4096, "a frame's checksum does not match", "校验和不符"
    )
    reasons = await handled(lambda: asyncio.ensure_future(breaks(error)) and None)
    assert reasons == [f"what is stored here is damaged: {error}"]


@pytest.mark.parametrize(
    "error", [OSError(104, "reset"), VerifierUnavailable("a worker died", "验签进程已终止")]
)
async def test_what_passes_by_itself_is_said_and_not_the_end(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    assert await handled(lambda: asyncio.ensure_future(breaks(error)) and None) == []
    assert "event loop: Task exception was never retrieved 事件循环出错" in caplog.messages


async def test_one_connections_mistake_is_not_the_nodes_end() -> None:
    class Failing(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise ValueError("a request nobody thought of")

    reasons: list[str] = []
    loop = asyncio.get_running_loop()
    handle = make_exception_handler(reasons.append)
    calls: list[dict[str, object]] = []
    loop.set_exception_handler(lambda at, context: (calls.append(context), handle(at, context)))
    server = await loop.create_server(Failing, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    assert await reader.read() == b""
    writer.close()
    server.close()
    assert len(calls) == 1
    assert reasons == []


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = create_devnet(
        Layout(directory=tmp_path_factory.mktemp("founded") / "net", node_count=1)
    )
    return Path(state.nodes[0].home)


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> NodeHome:
    return NodeHome(Path(shutil.copytree(founded, tmp_path / "home")))


def run(home: NodeHome, *before: str) -> tuple[int, str]:
    """Run a node that is not expected to start, as an argument of another command perhaps."""
    result = subprocess.run(
        [*before, sys.executable, "-m", "cli", "node", "run", "--home", str(home.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return result.returncode, result.stderr


def test_another_certificate_than_genesis_pins_is_said_with_status_2(home: NodeHome) -> None:
    shutil.copy(home.api_certificate, home.tls_certificate)
    text = home.config.read_text().replace('format = "human"', 'format = "json"')
    home.config.write_text(text)
    status, err = run(home)
    line = json.loads(err.splitlines()[-1])
    assert status == 2, err
    assert line["event"] == (
        f"this node cannot start: {home.tls_certificate} is not the certificate genesis lists for "
        f"this replica; its peers would refuse it 节点无法启动：{home.tls_certificate} "
        "不是创世文件为本副本载明的证书；其他节点会拒绝它"
    )
    assert (line["node"], line["replica"]) == ("bank-a", 0)
    assert "Traceback" not in err


def test_an_api_key_that_fits_not_is_said_with_status_2(home: NodeHome) -> None:
    shutil.copy(home.tls_key, home.api_key)
    status, err = run(home)
    assert status == 2, err
    assert f"api: {home.api_certificate} and {home.api_key} are no certificate with its key" in err
    assert "Traceback" not in err


def test_too_few_descriptors_are_said_with_status_2(home: NodeHome) -> None:
    status, err = run(home, "sh", "-c", 'ulimit -n 300; exec "$@"', "sh")
    assert status == 2, err
    workers = load_config(home).verification.workers
    needed = count_own(300, peer_count=0, worker_count=workers) + CONNECTIONS_MIN
    assert (
        f"this node cannot start: this process may have 300 open files, and a node needs {needed}: "
        "raise the limit (LimitNOFILE= in a systemd unit, ulimit -n in a shell)"
    ) in err
    assert "Traceback" not in err


def test_an_api_address_that_is_taken_is_said_with_status_1(home: NodeHome) -> None:
    host, port = parse_endpoint(load_config(home).api.listen)
    with socket.create_server((host, port)):
        status, err = run(home)
    assert status == 1, err
    assert "this node cannot start: [Errno 98] Address already in use" in err
    assert "Traceback" not in err


def test_a_spool_that_is_gone_is_said_and_the_node_goes_on(tmp_path: Path) -> None:
    chain = StoredChain(tmp_path / "net")
    chain.append([])
    shutil.rmtree(chain.home.spool)
    host, port = parse_endpoint(load_config(chain.home).api.listen)
    with socket.create_server((host, port)):  # so that it ends
        status, err = run(chain.home)
    assert status == 1, err
    assert "storage: spool-0 and spool-1 missing, as on a new machine: what this node has " in err
    assert "Address already in use" in err


def test_a_worker_that_does_not_live_is_said_with_status_1(home: NodeHome, tmp_path: Path) -> None:
    """It may the next time, so a supervisor has to try again."""
    text = home.config.read_text()
    home.config.write_text(re.sub(r"(?m)^workers = \d+$", "workers = 1", text))
    assert load_config(home).verification.workers == 1
    (tmp_path / "sitecustomize.py").write_text(
        'import os, sys\nif "node.verification_worker" in sys.orig_argv:\n    os._exit(1)\n'
    )
    status, err = run(home, "env", f"PYTHONPATH={tmp_path}")
    assert status == 1, err
    assert "this node cannot start: 1 signatures were not checked: the worker process ended" in err
    assert "Traceback" not in err


def test_an_old_journal_under_a_newer_chain_is_said_and_nobody_hears_of_the_node(
    tmp_path: Path,
) -> None:
    chain = StoredChain(tmp_path / "net")
    chain.append([])
    old = shutil.copytree(chain.home.journal, tmp_path / "old")
    chain.append([], [])
    shutil.rmtree(chain.home.journal)
    shutil.copytree(old, chain.home.journal)
    status, err = run(chain.home)
    assert status == 1, err
    assert (
        "this node stops: the vote journal is older than the chain: it ends at height 2, and block "
        "3 is applied; what this node has signed since is unknown, so it must not vote before "
        "`evidence-ledger node recover`"
    ) in err
    assert "at height 3, chain" not in err, "it went on to listen"
    assert "the disk failed" not in err
    assert "Traceback" not in err


def test_another_nodes_journal_is_said_and_nobody_hears_of_the_node(tmp_path: Path) -> None:
    """As after a disk was put into the wrong machine: no mistake of this program's."""
    chain = StoredChain(tmp_path / "net")
    chain.append([])
    write_journal(chain.home, encode_votes(chain.genesis.chain_id, 1, 2), 4, 2)
    status, err = run(chain.home)
    assert status == 1, err
    assert (
        "this node stops: the vote journal is not this node's own: consensus record: written by "
        "replica 1, but this is 0; what this node has signed is unknown, so it must not vote "
        "before `evidence-ledger node recover`"
    ) in err
    assert "at height 1, chain" not in err, "it went on to listen"
    assert "a mistake of this program" not in err
    assert "Traceback" not in err


def without_passphrase(home: NodeHome) -> None:
    lines = home.config.read_text().splitlines(keepends=True)
    kept = ["" if line.startswith("passphrase_file") else line for line in lines]
    home.config.write_text("".join(kept))


def test_without_passphrase_and_terminal_no_node_starts(home: NodeHome) -> None:
    without_passphrase(home)
    status, err = run(home)
    assert status == 2
    assert "no passphrase: name a file in node.toml" in err


def test_at_a_terminal_the_passphrase_is_asked_for(home: NodeHome) -> None:
    without_passphrase(home)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "node", "run", "--home", str(home.path)],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = b""
        while "Passphrase of the keystore 密钥库口令: ".encode() not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, b"not this one\n")
        assert process.wait(60) == 2
        shown += os.read(ours, 4096)
        assert b"this node cannot start: " in shown
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
