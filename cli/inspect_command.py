"""`inspect`: how a node is, or whether everything a stopped node stores is what it should be.

Online it asks every node named and compares what they say; offline it checks one home to the last
byte (see `cli.inspection`).
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Final

from cli.arguments import Parser, add_command, add_node_options, make_clients
from cli.failure import FAILED, OK, unusable

HELP: Final = (
    """\
Show how nodes are, or check everything a stopped node stores.

With --build the hash of this program's source is printed, or of a checkout's: the one that nodes
name in their platform statements.

With --home the node must be stopped, and not a byte of the home is changed: a copy of it, or one on
a medium that cannot be written, will do. Read are: the configuration, keys and genesis; every byte
of segments, journal and index against its checksum; every block, executed again and compared; every
client's and validator's signature; every checkpoint; archive, snapshots, and what outsiders and
members said of checkpoints; private fields, where the passphrase is at hand. What is damaged is
named with file and offset; WARNING is what may be in order and ought to be looked at.
It takes half a second of one core and 1 MB of memory for a thousand transactions, and 128 MB where
temporary files go (TMPDIR), more while the index is tidied up there; nothing is left behind.

examples:
  evidence-ledger inspect --devnet ./net
  evidence-ledger inspect --api https://ledger.bank-a.example:8443
  evidence-ledger inspect --home ./home
  evidence-ledger inspect --build ./evidence-ledger

exit status: 0 all is well, 1 something is damaged, or nodes contradict one another or are not ready
""",
    """\
查看各节点的状态，或检查已停止的节点所存的全部数据。

给出 --build 时，显示本程序或某一源码目录的构建哈希，即各节点在平台声明中所称的
哈希。

给出 --home 时，该节点须已停止；目录中不会改动任何字节，因此也可检查副本或只读介
质。检查内容：配置、密钥与创世文件；数据段、投票日志与索引的每个字节及其校验和；
每个区块，重新执行并比较；每个提交方与验证者的签名；每个检查点；归档、快照，以及
外部机构与成员机构对检查点的签署；能取得口令时，还有非公开信息。有损坏的，指明文
件与偏移；WARNING（请留意）未必有误，但应当查看。每一千笔交易约需单核半秒、内存
1 MB；另需临时目录（TMPDIR）128 MB，整理索引时更多；不留下任何文件。

示例：
  evidence-ledger inspect --devnet ./net
  evidence-ledger inspect --api https://ledger.bank-a.example:8443
  evidence-ledger inspect --home ./home
  evidence-ledger inspect --build ./evidence-ledger

退出码：0 一切正常；1 有损坏，或各节点互相矛盾，或尚未就绪
""",
)


CHECKS_ZH: Final = {
    "genesis": "创世文件",
    "identity": "身份与证书",
    "secrets": "密钥、访问令牌与非公开信息",
    "audit": "非公开信息的查阅记录",
    "vote journal": "投票日志",
    "spool": "待上链交易",
    "chain": "链数据",
    "torn ends": "残缺的末尾",
    "index": "索引的进度",
    "votes and chain": "投票与链的进度",
    "files and rows": "文件与索引行",
    "execution": "重新执行",
    "state": "状态",
    "earlier entries": "早前条目",
    "client signatures": "提交方签名",
    "commit certificates": "提交证书",
    "checkpoints": "检查点",
    "base": "起始快照",
    "archive": "归档",
    "snapshots": "快照",
    "statements": "时间戳、见证副署与后量子联署",
}
"""The checks of `cli.inspection`, by their names."""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "inspect",
        ("show a node's status, or check its storage", "查看节点状态，或检查其存储"),
        HELP,
    )
    say = parser.say
    parser.add_argument(
        "--home",
        type=Path,
        help=say("a stopped node's home, checked offline", "已停止的节点的目录，离线检查"),
    )
    parser.add_argument(
        "--build",
        nargs="?",
        const="",
        metavar="DIR",
        help=say(
            "print the build hash of the source in DIR (without DIR: of this program)",
            "显示 DIR 中源码的构建哈希（不写 DIR 时为本程序的）",
        ),
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Inspect nodes, a home or source."""
    if arguments.build is not None:
        if arguments.home is not None or arguments.api or arguments.devnet is not None:
            raise unusable(
                "Give --build alone, or --home, or --devnet or --api.",
                "--build、--home、--devnet 或 --api 只能给出一类。",
            )
        return _inspect_build(arguments.build)
    if arguments.home is not None:
        if arguments.api or arguments.devnet is not None:
            raise unusable(
                "Give --home alone, or --devnet or --api.",
                "--home 不能与 --devnet 或 --api 同时给出。",
            )
        return _inspect_home(arguments.home)
    return _inspect_nodes(arguments)


def _inspect_build(folder: str) -> int:
    """Print the build hash that platform statements have (`node.build_hash`)."""
    from node.build_hash import compute_build, find_own_root

    build = compute_build(Path(folder) if folder else find_own_root())
    if build.file_count == 0:
        raise unusable(
            f"{folder} holds no source of this program.", f"{folder} 中没有本程序的源码。"
        )
    print(f"{build.sha256}  {build.file_count} source files")
    return OK


def _inspect_home(path: Path) -> int:
    from cli.inspection import Inspection
    from cli.progress import show_steps
    from node.home import NodeHome

    damages = cautions = 0
    with show_steps() as step, closing(Inspection(NodeHome(path), step).run()) as findings:
        for finding in findings:
            damages += not finding.is_good
            cautions += finding.is_caution
            mark, result = ("ok      ", "通过") if finding.is_good else ("DAMAGED ", "未通过")
            if finding.is_caution:
                mark, result = "WARNING ", "请留意"
            print(
                f"{mark} {finding.what}: {finding.said.en} {CHECKS_ZH[finding.what]}：{result}。"
                f"{finding.said.zh}",
                flush=True,
            )
    if damages:
        print(f"{damages} checks of {path} failed. 有 {damages} 项检查未通过。")
        return FAILED
    if cautions:
        print(
            f"Nothing in {path} is damaged; {cautions} checks found what you should look at. "
            f"未发现损坏；有 {cautions} 项请留意。"
        )
        return OK
    print(f"Everything in {path} is as it should be. 全部检查通过。")
    return OK


def _inspect_nodes(arguments: argparse.Namespace) -> int:
    from cli.client import Unreachable

    statuses = []
    is_well = True
    for client in make_clients(arguments):
        with client:
            try:
                status = client.status()
                reason = client.readiness()
            except Unreachable as error:
                print(error)
                is_well = False
                continue
        is_well = is_well and not reason
        statuses.append(status)
        print(
            f"{status['node']:<14} {client.url}  {status['mode']}, height {status['height']}, "
            f"{status['log_size']} entries, certified to height {status['certified_height']}, "
            f"{status['peers_connected']} peers, {status['pool_count']} waiting"
            f"{'; not ready: ' + reason if reason else ''}"
        )
        print(
            f"  高度 {status['height']}，条目 {status['log_size']} 个，已认证至高度 "
            f"{status['certified_height']}，已连接 {status['peers_connected']} 个节点，"
            f"{status['pool_count']} 笔待上链{'；未就绪' if reason else ''}"
        )
    chains = {status["chain_id"] for status in statuses}
    if len(chains) > 1:
        print(f"These nodes are of {len(chains)} different chains: {', '.join(sorted(chains))}.")
        print(f"这些节点分属 {len(chains)} 条不同的链。")
        return FAILED
    if not _agree(arguments, statuses):
        return FAILED
    return OK if is_well else FAILED


def _agree(arguments: argparse.Namespace, statuses: list[dict[str, object]]) -> bool:
    """Compare the block at the lowest height that all have applied."""
    from cli.client import Unreachable

    heights = [int(str(status["height"])) for status in statuses]
    if len(heights) < 2:
        return True
    height = min(heights)
    hashes = {}
    for client in make_clients(arguments):
        with client:
            try:
                hashes[client.url] = client.block(height)["block_hash"]
            except Unreachable:
                continue
    if len(set(hashes.values())) > 1:
        print(f"The nodes contradict one another at height {height} 各节点在此高度互相矛盾:")
        for url, block_hash in hashes.items():
            print(f"  {url}  {block_hash}")
        return False
    print(f"All have the same block at height {height}. 各节点在此高度的区块一致。")
    return True
