"""`platform`: what institutions say of their nodes, fetched or from a file, and verified.

Signatures are checked with genesis, and genesis with the hash that the person trusts. What was
said is then shown in words, and its build hash held against this installation's own source.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    make_clients,
    read_input,
    write_output,
)
from cli.failure import FAILED, OK, unusable
from cli.passed_on import explain
from cli.refusals import not_a_hash, not_made

if TYPE_CHECKING:
    from ledger.refusal import Rejected
    from node.build_hash import Build
    from verifier.platform_statement import PlatformStatement
    from verifier.trust_root import TrustRoot

HELP: Final = (
    """\
Show what institutions say of the nodes they run, each signed with its log key: operator, software
and build hash, libraries, cryptography, source of time, conflicts of interest, and how the node is.

A good signature shows who said it and that nothing was changed; it does not make it true. Compare
the build hash with the published source: `evidence-ledger inspect --build DIR` computes it.

examples:
  evidence-ledger platform --devnet ./net
  evidence-ledger platform --api https://ledger.bank-a.example:8443 --genesis-hash HASH -o ./said
  evidence-ledger platform said/bank-a.platform.json --genesis genesis.json --genesis-hash HASH

exit status: 0 every signature is good, 1 one is not or a node does not answer, 2 not asked rightly
""",
    """\
查看平台声明：各机构就其所运行的节点所作、以日志密钥签名的说明，包括运营机构、软
件与构建哈希、软件库、密码算法、时间来源、利益冲突以及节点的状态。

签名有效，说明是谁所作、未被改动，不说明其内容属实。请将构建哈希与公布的源码比
较：可用 evidence-ledger inspect --build DIR 计算。

示例：
  evidence-ledger platform --devnet ./net
  evidence-ledger platform --api https://ledger.bank-a.example:8443 \\
      --genesis-hash HASH -o ./said
  evidence-ledger platform said/bank-a.platform.json \\
      --genesis genesis.json --genesis-hash HASH

退出码：0 签名全部有效；1 有签名无效或节点没有应答；2 命令有误
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "platform",
        ("show what institutions say of their nodes", "显示各机构的平台声明"),
        HELP,
    )
    say = parser.say
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help=say("statements, offline", "平台声明，离线核验"),
    )
    parser.add_argument(
        "--genesis",
        type=Path,
        metavar="FILE",
        help=say("the genesis document, to verify files with", "创世文件，用以核验文件"),
    )
    parser.add_argument(
        "--genesis-hash",
        metavar="HEX",
        help=say(
            "the genesis hash that you trust (a devnet's is known)",
            "您所信任的创世哈希（试验网络的为已知）",
        ),
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help=say("folder to write them to; made if need be", "写入的文件夹；没有则建立"),
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show statements of files, or of nodes."""
    from node.build_hash import compute_build, find_own_root

    own = compute_build(find_own_root())
    if arguments.files:
        return _show_files(arguments, own)
    if arguments.genesis is not None:
        raise unusable(
            "--genesis goes with files; a node's genesis document is fetched from it.",
            "--genesis 与文件一并使用；节点的创世文件从节点取得。",
        )
    return _show_nodes(arguments, own)


def _show_files(arguments: argparse.Namespace, own: Build) -> int:
    from ledger.platform_statement import BYTES_MAX
    from ledger.refusal import Rejected
    from verifier.platform_statement import read_platform_statement

    if arguments.genesis is None or arguments.genesis_hash is None:
        raise unusable(
            "Files are verified with --genesis FILE and --genesis-hash HEX.",
            "核验文件须给出 --genesis FILE 与 --genesis-hash HEX。",
        )
    if arguments.output is not None or arguments.api or arguments.devnet is not None:
        raise unusable(
            "Give either files, or nodes with --devnet or --api.",
            "请给出文件，或以 --devnet 或 --api 指明节点，二者择一。",
        )
    root = _read_root(read_input(arguments.genesis), arguments.genesis_hash)
    status = OK
    for path in arguments.files:
        try:
            said = read_platform_statement(read_input(path, BYTES_MAX), root)
        except Rejected as rejected:
            _show_refused(str(path), rejected)
            status = FAILED
            continue
        _show(str(path), said, own)
    return status


def _show_nodes(arguments: argparse.Namespace, own: Build) -> int:
    from cli.client import ApiError, Unreachable
    from ledger.refusal import Rejected
    from verifier.platform_statement import read_platform_statement

    trusted = arguments.genesis_hash
    if trusted is None:
        if arguments.devnet is None:
            raise unusable(
                "--genesis-hash is required: the hash that you trust.",
                "须以 --genesis-hash 给出可信来源的创世哈希。",
            )
        from cli.devnet_state import read_state

        trusted = read_state(arguments.devnet).genesis_hash
    if arguments.output is not None:
        try:
            arguments.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_made(arguments.output, error) from None
    status = OK
    for client in make_clients(arguments):
        with client:
            try:
                raw = client.platform()
                said = read_platform_statement(raw, _read_root(client.genesis(), trusted))
            except (ApiError, Unreachable) as error:
                print(error)
                status = FAILED
                continue
            except Rejected as rejected:
                _show_refused(client.url, rejected)
                status = FAILED
                continue
        _show(client.url, said, own)
        if arguments.output is not None:
            path = arguments.output / f"{said.node}.platform.json"
            write_output(path, raw, "the statement", "平台声明")
    return status


def _read_root(genesis: bytes, trusted: str) -> TrustRoot:
    """Return what follows from a genesis document; raise `Failure` unless its hash is the one."""
    from verifier.main import parse_hash
    from verifier.trust_root import compute_chain_id, read_trust_root

    chain_id = parse_hash(trusted)
    if chain_id is None:
        raise not_a_hash(trusted)
    own = compute_chain_id(genesis)
    if own != chain_id:
        raise unusable(
            f"The genesis document has the hash {own.hex()}, not {chain_id.hex()}.",
            f"创世文件的哈希为 {own.hex()}，而非 {chain_id.hex()}。",
        )
    return read_trust_root(genesis)


def _show_refused(where: str, rejected: Rejected) -> None:
    print(f"REFUSED 不予采信 {where}: {rejected.detail}.\n  {explain(rejected)}。")


def _show(where: str, said: PlatformStatement, own: Build) -> None:
    from verifier.platform_statement import describe_platform_statement
    from verifier.report import printable

    print(f"{said.node}: signature good 签名有效 ({where})")
    for name, words in describe_platform_statement(said):
        text = words.zh if words.zh == words.en else f"{words.zh} | {words.en}"
        print(f"  {name.zh} {name.en}: {printable(text)}")
    is_same = said.build_sha256 == own.sha256
    print(
        "  The build hash is that of the source here. 与本机源码一致。"
        if is_same
        else f"  The source here has another build hash, {own.sha256}. 与本机源码不同。"
    )
