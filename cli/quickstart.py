"""The quickstart: a network, a week of receipts, and what a court does with one of them.

Run by `scripts/quickstart`. Everything it shows goes the way a stranger would go: receipts through
the nodes' APIs, proofs from a node, and verification in a process of its own that is given a file
and the genesis hash and nothing else. Each step that must fail is seen to fail; when anything comes
out otherwise than said, this ends with status 1. It leaves nothing running unless told to.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cli.arguments import Parser, choose_parser
from cli.client import Client
from cli.devnet import Devnet, open_devnet
from cli.devnet_addresses import Layout
from cli.devnet_state import DevnetState, is_initialised
from cli.drafts import read_items
from cli.failure import OK, Failure, unusable
from cli.founding import read_genesis
from cli.main import INTERRUPTED, run_guarded
from cli.progress import show_progress
from cli.registration import register_submitters
from cli.submission import Result, Submitter, summarise
from ledger.canonical import encode_canonical
from ledger.signing import SeedSigner
from verifier.standard_streams import prepare_standard_streams

ROOT: Final = Path(__file__).parents[1]
WEEK: Final = ROOT / "examples" / "week.jsonl"

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def make_parser(program: type[Parser] = Parser) -> Parser:
    """Return the script's arguments."""
    say = program.say
    parser = program(
        prog="scripts/quickstart",
        description=say(
            "Form a network of four institutions on this machine, submit a week of receipts, and\n"
            "verify the evidence offline.",
            "在本机组成四家机构的网络，提交一周的凭证，并离线核验证据。",
        ),
    )
    parser.add_argument(
        "--keep", action="store_true", help=say("leave the network running", "让网络继续运行")
    )
    parser.add_argument(
        "--home",
        type=Path,
        help=say("directory (default: a new temporary one)", "目录（默认：新建临时目录）"),
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the quickstart; return its exit status."""
    prepare_standard_streams()
    given = sys.argv[1:] if argv is None else argv
    arguments = make_parser(choose_parser(given)).parse_args(given)
    signal.signal(signal.SIGTERM, _interrupt)
    return run_guarded(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> int:
    """Show everything in a home that is new, and what can be done with it afterwards."""
    if arguments.home is not None and is_initialised(arguments.home):
        again = f"{_program()} devnet --home {shlex.quote(str(arguments.home))}"
        raise unusable(
            f"{arguments.home} holds a network already, and its chain may hold this week. Name "
            f"another directory, or run that network: {again}",
            f"{arguments.home} 中已有试验网络，其链上可能已有这一周的凭证。请另选目录，或运行："
            f"{again}",
        )
    home = (arguments.home or Path(tempfile.mkdtemp(prefix="evidence-ledger-"))).absolute()
    begun = time.monotonic()
    try:
        state = _run(home)
        pid = _keep(home) if arguments.keep else 0
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left running. 已中断，没有遗留进程。", file=sys.stderr)
        return INTERRUPTED
    _tell_next(home, state, pid)
    print(f"\nDone in {time.monotonic() - begun:.0f} s. 完成。")
    return OK


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _head(number: int, zh: str, en: str) -> None:
    print(f"\n{number}. {zh} · {en}", flush=True)


def _say(sentence: str) -> None:
    print(f"   {sentence}", flush=True)


def _run(home: Path) -> DevnetState:
    """Do everything that is shown; the network is stopped afterwards."""
    _head(1, "四家机构组成网络", "Four institutions form a network")
    layout = Layout(directory=home, node_count=4)
    state = open_devnet(layout, _say)
    genesis = read_genesis(Path(state.genesis))
    with Devnet(home, state) as devnet:
        devnet.start()
        devnet.wait_ready()
        for institution, node in zip(genesis.institutions, state.nodes, strict=True):
            _say(f"{institution.name.zh} {institution.name.en:<26} {node.api}")
        _say(f"Genesis hash 创世哈希 {state.genesis_hash}")
        count = register_submitters(state)
        _say(f"{count} submitters (merchants, a bank's gateway, a consumer) are on the chain.")
        _say(f"{count} 个提交主体（经营者、银行网关、消费者）已上链。")

        _head(2, "提交一周的凭证", "Submit a week of receipts, through all four nodes")
        results = _submit(devnet)

        _head(3, "被拒绝的尝试也留痕", "A refused attempt is on the record too")
        refused = next(one for one in results if one.code == "insufficient_locked")
        with devnet.client(2, "auditor") as client:
            _show_refused(client, refused)

        _head(4, "取得存证文件并离线核验", "Fetch an evidence file and verify it offline")
        evidence = home / "card.evidence.json"
        with devnet.client(1, f"merchant:{refused.signer}") as client:
            evidence.write_bytes(client.evidence(refused.tx_id))
        _say(f"{evidence} ({evidence.stat().st_size} bytes), from 取自 {state.nodes[1].id}.")
        _verify(evidence, state.genesis_hash, 0)

        _head(5, "改动一个字节", "Change one byte")
        tampered = home / "tampered.evidence.json"
        tampered.write_bytes(_tamper(evidence.read_bytes()))
        _verify(tampered, state.genesis_hash, 1)

        _head(6, "一份合同的记录是否齐全", "Is a contract's record complete?")
        contract = refused.stream.removeprefix("contract/")
        history = home / "contract.history.json"
        with devnet.client(3) as client:
            history.write_bytes(client.history(contract))
        _say(f"{history} from 取自 {state.nodes[3].id}, the whole record 完整记录: {contract}")
        _verify(history, state.genesis_hash, 0)
        shortened = home / "shortened.history.json"
        shortened.write_bytes(_leave_out(history.read_bytes()))
        _say("The same file with one entry left out 删去其中一条：")
        _verify(shortened, state.genesis_hash, 1)
    return state


def _submit(devnet: Devnet) -> list[Result]:
    state = devnet.state
    items = read_items(WEEK)
    seeds = {who.party: who.seed for who in state.submitters}
    clients = [devnet.client(node.replica) for node in state.nodes]
    submitter = Submitter(
        genesis=read_genesis(Path(state.genesis)),
        clients=clients,
        signers={party: SeedSigner(bytes.fromhex(seed)) for party, seed in seeds.items()},
        now_ms=lambda: time.time_ns() // 1_000_000,
        level="certified",
    )
    begun = time.monotonic()
    with show_progress("on the chain 已上链", len(items)) as progress:
        results = submitter.submit(items, progress)
    for client in clients:
        client.close()
    contracts, seconds = len({one.stream for one in results}), f"{time.monotonic() - begun:.1f}"
    _say(
        f"{len(results)} transactions of {contracts} contracts in {seconds} s; a quorum has "
        "certified the last of them."
    )
    _say(f"{contracts} 份合同的 {len(results)} 笔交易，用时 {seconds} 秒；均已获法定多数认证。")
    for sentence in summarise(results):
        _say(sentence)
    if any(one.status == "rejected" for one in results):
        raise Failure(
            "A receipt of the example week was not taken in.", "示例一周的凭证中有未被收下的。"
        )
    return results


def _show_refused(client: Client, refused: Result) -> None:
    place = client.position(refused.tx_id)
    if place is None or place["status"] != "refused":
        raise Failure(
            f"Transaction {refused.tx_id} was to be refused, and is {place}.",
            f"交易 {refused.tx_id} 本应被拒绝，实际并非如此。",
        )
    effects: dict[str, int] = dict(place["effects"])
    _say(f"Transaction 交易 {refused.tx_id}")
    amount, locked = f"{effects['amount'] / 100:.2f}", f"{effects['locked'] / 100:.2f}"
    _say(
        f"{refused.signer} asked for {amount} yuan of {refused.stream}, where {locked} are locked."
    )
    _say(f"{refused.signer} 就 {refused.stream} 请求 {amount} 元，而锁定余额仅 {locked} 元。")
    _say(
        f"Refused ({place['code']}) and recorded as entry {place['index']} in block "
        f"{place['height']}; no balance changed. 余额未变，尝试已入链。"
    )


def _verify(file: Path, genesis_hash: str, expected: int) -> None:
    """Verify in a process that is given the file and the hash; show what it says."""
    command = [sys.executable, "-m", "verifier", str(file), "--genesis-hash", genesis_hash]
    shown = f"python -m verifier {file.name} --genesis-hash {genesis_hash[:8]}…"
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    _say(f"$ {shown}")
    lines = result.stdout.splitlines()
    for place, line in enumerate(lines):
        is_step = line[:2].strip().isdigit() and " not-run " not in line
        if is_step:
            _say(f"  {line}")
        if is_step and " failed " in line:
            for sentence in lines[place + 1 : place + 3]:
                _say(f"  {sentence}")
        if line.startswith(("结论", "Conclusion")):
            _say(f"  {line}")
    _say(f"exit status {result.returncode} 退出码")
    if result.returncode != expected:
        raise Failure(
            f"The verifier was to end with {expected}, and ended with {result.returncode}:",
            f"核验程序的退出码应为 {expected}，实为 {result.returncode}：\n"
            f"{result.stdout}{result.stderr}",
        )


def _tamper(raw: bytes) -> bytes:
    """Return an evidence file with one character of its entry's base64 changed."""
    entry: str = json.loads(raw)["entry"]
    at = raw.index(entry.encode()) + len(entry) // 2
    other = ALPHABET[(ALPHABET.index(chr(raw[at])) + 1) % len(ALPHABET)]
    return raw[:at] + other.encode() + raw[at + 1 :]


def _leave_out(raw: bytes) -> bytes:
    """Return a history file without one of its entries."""
    document: dict[str, Any] = json.loads(raw)
    entries: list[str] = document["entries"]
    del entries[len(entries) // 2]
    return encode_canonical(document)


def _keep(home: Path) -> int:
    """Start the network again in the background; return the process to stop it by."""
    from cli.devnet_state import read_state

    with open(home / "devnet.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "devnet", "--home", str(home)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # It writes the state again once it has given the nodes their process ids.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        state = read_state(home)
        if all(node.pid for node in state.nodes):
            Devnet(home, state).wait_ready()
            return process.pid
        time.sleep(0.1)
    raise Failure(
        f"The network did not start again; see {home / 'devnet.log'}.",
        f"网络未能再次启动；见 {home / 'devnet.log'}。",
    )


def _tell_next(home: Path, state: DevnetState, pid: int) -> None:
    _head(7, "接下来", "Where to look next")
    program, place = _program(), shlex.quote(str(home))
    _say(f"The files of this run 本次文件: {home}")
    if pid:
        _say("The network is running 网络仍在运行; the API's documentation 接口文档:")
        for node in state.nodes:
            _say(f"  {node.api}/docs")
        _say(f"Ten contracts, signing to refund 十份合同: {program} play --devnet {place}")
        _say(f"Fetch more 获取更多: {program} history m-yoga-2026-0001 --devnet {place}")
        _say(f"Stop it 停止网络: kill {pid}")
    else:
        _say(f"Run the same network again 再次启动: {program} devnet --home {place}")
        _say(f"  then read 然后打开 {state.nodes[0].api}/docs (authority: {state.authority})")
    _say(f"Check a stopped node's storage 核查存储: {program} inspect --home {place}/node-0")
    _say(f"All commands 全部命令: {program} --help")
    _say(f"Remove everything 全部删除: rm -r {place}")


def _program() -> str:
    """Return how this command line is called from where the reader stands."""
    program = ROOT / ".venv" / "bin" / "evidence-ledger"
    if not program.exists():
        return "evidence-ledger"
    return shlex.quote(str(program.relative_to(ROOT) if Path.cwd() == ROOT else program))


if __name__ == "__main__":
    sys.exit(main())
