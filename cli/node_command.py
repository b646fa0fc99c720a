"""`node init`, `run`, `backup`, `restore`, `recover`, `join`, `prune`, `token`: of one node.

A node's home is one directory; every command but `run` wants the node stopped, except `token list`.
A chain that comes from a backup has forgotten what this node signed after it, so `restore` and
`recover` leave the mark that makes the node ask a quorum how far it is before it votes again, and
`join` leaves it beside its own.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import (
    Parser,
    add_command,
    add_passphrase_option,
    passphrase_prompt,
    read_passphrase_option,
)
from cli.failure import OK, Failure, unusable
from cli.refusals import unreadable

if TYPE_CHECKING:
    from node.home import NodeHome
    from node.keystore import Keystore

INIT_HELP: Final = (
    """\
Finish a member's home with the genesis document, so that a node can run in it.

Which institution this is follows from the certificate that `genesis member` made in HOME. Without
--api-certificate and --api-key the API gets a certificate from an authority made for it alone;
clients then need HOME/keys/api-authority.crt. HOME/node.toml says what may be set, with comments.

example:
  evidence-ledger node init --home ./home --genesis genesis.json --passphrase-file ./passphrase
""",
    """\
以创世文件完成成员机构的节点目录，使节点可以运行。

所属机构由 genesis member 在 HOME 中生成的证书确定。未给出 --api-certificate 与
--api-key 时，接口使用专为它建立的签发者所签发的证书，客户端须有
HOME/keys/api-authority.crt。可设置的各项及说明见 HOME/node.toml。

示例：
  evidence-ledger node init --home ./home --genesis genesis.json \\
      --passphrase-file ./passphrase
""",
)

RUN_HELP: Final = (
    """\
Run the node of a home until SIGTERM or Ctrl-C.

The keystore's passphrase comes from the file that HOME/node.toml names, else from the variable
EVIDENCE_LEDGER_PASSPHRASE, else from a question at the terminal.

example:
  evidence-ledger node run --home ./home
""",
    """\
运行节点，直至收到 SIGTERM 或 Ctrl-C。

密钥库口令依次取自：HOME/node.toml 指明的文件；环境变量
EVIDENCE_LEDGER_PASSPHRASE；终端询问。

示例：
  evidence-ledger node run --home ./home
""",
)

BACKUP_HELP: Final = (
    """\
Back a stopped node's chain up to a new directory or tar file.

Keys are not in it (back HOME/keys up by itself), nor is the vote journal: whoever restores has
forgotten its newest votes and must go through recovery. The backup is checked by SHA-256 per file.

example:
  evidence-ledger node backup --home ./home --output /backups/2026-03-08.tar
""",
    """\
将已停止的节点的链数据备份到新目录或 tar 文件。

备份不含密钥（HOME/keys 请另行备份），也不含投票日志：以备份恢复的节点不记得自己
最新的投票，必须经过恢复启动。备份中的每个文件都附有 SHA-256 供核对。

示例：
  evidence-ledger node backup --home ./home \\
      --output /backups/2026-03-08.tar
""",
)

RESTORE_HELP: Final = (
    """\
Restore a backup into a home that holds the keys and no chain.

HOME needs keys/, node.toml and genesis.json, brought back from where you keep them; keys made anew
are of no use, because genesis names the old ones. What else is missing in HOME is made. The whole
backup is checked before anything of the chain is written. The node then starts in recovery (see
`node recover --help`, also for how many may at once).

example:
  cp -a /safe/keys /safe/node.toml /safe/genesis.json ./home
  evidence-ledger node restore /backups/2026-03-08.tar --home ./home
  evidence-ledger node run --home ./home
""",
    """\
将备份恢复到有密钥而无链数据的节点目录。

HOME 中须有 keys/、node.toml 与 genesis.json，由您从保管处取回；新生成的密钥无
用，因为创世文件载明的是原有密钥。HOME 中缺少的其他部分会自动建立。先检查整个备
份，再写入链数据。此后节点以恢复方式启动（见 node recover --help，可同时恢复的
节点数亦见该处）。

示例：
  cp -a /safe/keys /safe/node.toml /safe/genesis.json ./home
  evidence-ledger node restore /backups/2026-03-08.tar --home ./home
  evidence-ledger node run --home ./home
""",
)

RECOVER_HELP: Final = (
    """\
Mark a home whose vote journal is lost or old: the node starts in recovery.

A node that has forgotten its votes could contradict them, which is what a traitor does. In recovery
it asks its peers how far they are, needs a quorum of answers without its own, and signs nothing
until the chain is two heights past the highest that was proven to it. It then votes again by
itself. The node must be stopped.

At most n minus the quorum may recover at once: one of four, two of seven. Beyond that the chain
stands still, because nobody is left who could prove what was decided; docs/OPERATING.md says what
the operators can do then. In a network of one or two that is so from the first: this command
refuses, unless the node is only to serve what it has (--serve-only).

example:
  evidence-ledger node recover --home ./home --reason 'disk replaced on 8 March'
""",
    """\
投票日志丢失或过旧的，为其节点目录作标记：节点以恢复方式启动。

不记得自己投票的节点，可能投出互相矛盾的票，与作恶无异。恢复期间，节点向其他节点
询问链的进度，须得到除自己以外法定多数的答复；待链到达所证明的最高高度之上两个高
度，方自动恢复投票，此前不作任何签名。执行时节点须已停止。

同时恢复的节点至多为 n 减去法定多数：四个中一个，七个中两个。超过此数，链即停
止，因为没有人能证明已经决定了什么；各机构此时可采取的办法见 docs/OPERATING.md。
只有一两个节点的网络从一开始便是如此：本命令拒绝执行，除非节点只提供已有数据
（--serve-only）。

示例：
  evidence-ledger node recover --home ./home --reason '三月八日更换磁盘'
""",
)

JOIN_HELP: Final = (
    """\
Mark a home to take a snapshot of its peers at the next start.

For a new home, or one that is so far behind that catching up block by block would take too long.
The state comes from the members' newest common snapshot (they make one at every height divisible by
snapshot.interval_blocks), checked against what a quorum has signed; blocks after it are fetched and
executed as ever. It takes as long as the state is large, however long the chain is. A node that is
stopped meanwhile goes on where it was.

What comes before the snapshot and its replay window this node will not hold: it says so when asked,
and other members answer. A home that holds blocks gives them up; that has to be allowed with
--discard-blocks. The node also starts in recovery (see `node recover --help`).

example:
  evidence-ledger node join --home ./home --reason 'new machine, 8 March'
  evidence-ledger node run --home ./home
""",
    """\
为节点目录作标记：下次启动时从其他节点取得快照。

用于新的节点目录，或落后太多、逐块追赶耗时过长的节点。状态取自各成员共有的最新快
照（每逢高度能被 snapshot.interval_blocks 整除时生成），并对照法定多数的签名核
验；其后的区块照常取得并执行。所需时间取决于状态的大小，与链的长短无关。中途停止
的，下次从原处继续。

快照及其重放窗口之前的内容，此节点不保存：被问及时会说明，由其他成员答复。节点目
录中已有区块的，将放弃这些区块；须以 --discard-blocks 允许。节点同时以恢复方式启
动（见 node recover --help）。

示例：
  evidence-ledger node join --home ./home --reason '三月八日启用新机器'
  evidence-ledger node run --home ./home
""",
)

PRUNE_HELP: Final = (
    """\
Move old segments of a stopped node to its archive.

The archive is the folder that storage.archive in HOME/node.toml names, on another disk perhaps.
Index, state, tiles and checkpoints stay: proofs are served as before. Entries, evidence and blocks
in moved segments are read from the archive while it is mounted, and otherwise refused by name.

Only whole segments move, and only such as are older than the replay window, than every snapshot
that is served, and than the newest --keep-blocks. Each is read whole, copied, and read back before
the original is removed; nothing is moved where that is not certain. Whatever step it is killed in,
run it again.

example:
  evidence-ledger node prune --home ./home
""",
    """\
将已停止的节点的旧数据段移入归档。

归档是 HOME/node.toml 中 storage.archive 指明的文件夹，可在另一磁盘。索引、状
态、瓦片与检查点保留，证明照常提供。已移动的数据段中的条目、证据与区块，归档挂载
时从归档读取，否则说明原因并拒绝。

只移动整个数据段，且须早于重放窗口、早于对外提供的每个快照、早于最新的
--keep-blocks 个区块。每段先完整读取、复制并回读，再删除原件；不能确认时不作任何
移动。无论在哪一步被中断，重新执行即可。

示例：
  evidence-ledger node prune --home ./home
""",
)

ACCESS_HELP: Final = (
    """\
Access tokens of this node's API.

A token is shown once; the home keeps only its SHA-256. Scopes:
  regulator | auditor | operator    everything
  merchant:<party>                  the contracts of that merchant
  custodian:<party>                 the contracts whose money that institution holds
  consumer:<contract>               that one contract
A running node takes a change at once; it reads the file again when it has changed.

examples:
  evidence-ledger node token issue --home ./home --name inspection --scope regulator --days 30
  evidence-ledger node token list --home ./home
  evidence-ledger node token revoke --home ./home --name inspection
""",
    """\
本节点接口的访问令牌。

令牌只显示一次，节点目录中只存其 SHA-256。权限范围：
  regulator | auditor | operator    全部
  merchant:<主体>                   该经营者的合同
  custodian:<主体>                  由该机构托管资金的合同
  consumer:<合同>                   该份合同
运行中的节点随文件变化重新读取，改动即刻生效。

示例：
  evidence-ledger node token issue --home ./home --name inspection \\
      --scope regulator --days 30
  evidence-ledger node token list --home ./home
  evidence-ledger node token revoke --home ./home --name inspection
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    text = (
        "Make, run and look after the node of one institution.",
        "建立、运行和维护一家机构的节点。",
    )
    parser = add_command(
        commands, "node", ("make, run and look after a node", "建立、运行和维护节点"), text
    )
    say = parser.say
    inner = parser.add_subparsers(metavar="command", required=True)
    init = add_command(
        inner,
        "init",
        ("finish a home with the genesis document", "以创世文件完成节点目录"),
        INIT_HELP,
    )
    _add_home(init)
    init.add_argument(
        "--genesis",
        type=Path,
        required=True,
        metavar="FILE",
        help=say("the genesis document", "创世文件"),
    )
    init.add_argument(
        "--peer-listen",
        default="0.0.0.0:7443",
        metavar="HOST:PORT",
        help=say(
            "where peers connect (default: %(default)s)",
            "供其他节点连接的监听地址（默认：%(default)s）",
        ),
    )
    init.add_argument(
        "--api-listen",
        default="0.0.0.0:8443",
        metavar="HOST:PORT",
        help=say(
            "where clients connect (default: %(default)s)", "接口的监听地址（默认：%(default)s）"
        ),
    )
    init.add_argument(
        "--no-tls",
        action="store_true",
        help=say("plain HTTP, on loopback only", "明文 HTTP，只用于本机回环地址"),
    )
    init.add_argument(
        "--api-certificate",
        type=Path,
        metavar="PEM",
        help=say("your certificate chain", "您的证书链"),
    )
    init.add_argument(
        "--api-key",
        type=Path,
        metavar="PEM",
        help=say("its private key, unencrypted", "其未加密的私钥"),
    )
    init.add_argument(
        "--backend",
        choices=("leveldb", "rocksdb"),
        help=say("store of index and state", "索引与状态所用的存储引擎"),
    )
    add_passphrase_option(init)
    init.set_defaults(run=run_init)
    run = add_command(inner, "run", ("run the node", "运行节点"), RUN_HELP)
    _add_home(run)
    run.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help=say(
            "stop as well when standard input closes, for a supervisor that may die",
            "标准输入关闭时也停止，供可能先行退出的管理进程使用",
        ),
    )
    run.set_defaults(run=run_run)
    backup = add_command(inner, "backup", ("back the chain up", "备份链数据"), BACKUP_HELP)
    _add_home(backup)
    backup.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help=say("new directory or .tar", "新目录或 .tar 文件"),
    )
    backup.set_defaults(run=run_backup)
    restore = add_command(inner, "restore", ("restore a backup", "从备份恢复"), RESTORE_HELP)
    restore.add_argument(
        "backup",
        type=Path,
        metavar="BACKUP",
        help=say("what `backup` wrote", "node backup 写出的备份"),
    )
    _add_home(restore)
    restore.set_defaults(run=run_restore)
    recover = add_command(
        inner, "recover", ("start as one that has forgotten", "标记为恢复启动"), RECOVER_HELP
    )
    _add_home(recover)
    recover.add_argument(
        "--reason",
        required=True,
        help=say("kept in HOME/RECOVER for the record", "原因，存于 HOME/RECOVER 备查"),
    )
    recover.add_argument(
        "--serve-only",
        action="store_true",
        help=say(
            "also where recovery can never end: the node serves what it has and never signs",
            "恢复永远无法完成时也执行：节点只提供已有数据，绝不签名",
        ),
    )
    recover.set_defaults(run=run_recover)
    join = add_command(
        inner, "join", ("start from a snapshot of the peers", "标记为以快照加入"), JOIN_HELP
    )
    _add_home(join)
    join.add_argument(
        "--reason",
        required=True,
        help=say("kept in HOME/JOIN for the record", "原因，存于 HOME/JOIN 备查"),
    )
    join.add_argument(
        "--discard-blocks",
        action="store_true",
        help=say(
            "give up the blocks that the home holds, once a snapshot is fetched",
            "取得快照之后，放弃节点目录中已有的区块",
        ),
    )
    join.set_defaults(run=run_join)
    pruning = add_command(
        inner, "prune", ("move old segments to the archive", "将旧数据段移入归档"), PRUNE_HELP
    )
    _add_home(pruning)
    pruning.add_argument(
        "--keep-blocks",
        type=int,
        default=10_000,
        metavar="N",
        help=say("newest blocks that stay (default 10000)", "保留的最新区块数（默认 10000）"),
    )
    pruning.set_defaults(run=run_prune)
    _add_token(inner)


def _add_home(parser: Parser) -> None:
    say = parser.say
    parser.add_argument(
        "--home", type=Path, required=True, help=say("the node's directory", "节点目录")
    )


def _add_token(inner: argparse._SubParsersAction[Parser]) -> None:
    token = add_command(inner, "token", ("access tokens of the API", "接口的访问令牌"), ACCESS_HELP)
    say = token.say
    actions = token.add_subparsers(metavar="action", required=True)
    issue = add_command(
        actions, "issue", ("issue a token and print it once", "签发令牌，只显示一次"), ACCESS_HELP
    )
    _add_home(issue)
    issue.add_argument("--name", required=True, help=say("what you call it", "令牌的名称"))
    issue.add_argument("--scope", required=True, help=say("what it allows", "权限范围"))
    issue.add_argument(
        "--days",
        type=int,
        help=say("how long it counts (default: until revoked)", "有效天数（默认：直至撤销）"),
    )
    issue.set_defaults(run=run_token_issue)
    listing = add_command(
        actions,
        "list",
        ("list the tokens' names and scopes", "列出令牌的名称与权限范围"),
        ACCESS_HELP,
    )
    _add_home(listing)
    listing.set_defaults(run=run_token_list)
    revoke = add_command(
        actions, "revoke", ("revoke a token by its name", "按名称撤销令牌"), ACCESS_HELP
    )
    _add_home(revoke)
    revoke.add_argument("--name", required=True, help=say("what you called it", "令牌的名称"))
    revoke.set_defaults(run=run_token_revoke)


def run_init(arguments: argparse.Namespace) -> int:
    """Finish a home."""
    from urllib.parse import urlsplit

    from cli.founding import Authority, default_backend, find_replica, make_home, read_genesis
    from node.certificates import LOOPBACK_HOSTS
    from node.config import (
        ApiConfig,
        KeysConfig,
        NodeConfig,
        PeerConfig,
        StorageConfig,
        parse_config,
        render_config,
    )
    from node.home import NodeHome
    from node.keystore import Keystore

    home = NodeHome(arguments.home)
    genesis = read_genesis(arguments.genesis)
    replica = find_replica(home, genesis)
    has_own = arguments.api_certificate is not None
    if has_own != (arguments.api_key is not None):
        raise unusable(
            "--api-certificate and --api-key go together.",
            "--api-certificate 与 --api-key 须一并给出。",
        )
    file = arguments.passphrase_file
    config = NodeConfig(
        replica=replica,
        peer=PeerConfig(listen=arguments.peer_listen),
        api=ApiConfig(listen=arguments.api_listen, tls=not arguments.no_tls),
        keys=KeysConfig(passphrase_file=str(file.absolute()) if file is not None else ""),
        storage=StorageConfig(backend=arguments.backend or default_backend()),
    )
    parse_config(render_config(config), "node.toml")
    keystore = Keystore.open(home.keystore, read_passphrase_option(file, is_new=False))
    institution = genesis.institutions[replica]
    if has_own:
        _import_certificate(home, arguments.api_certificate, arguments.api_key, keystore)
    authority = None
    if not has_own and not arguments.no_tls:
        authority = Authority.make(f"{institution.id} API authority")
    host = urlsplit(institution.endpoints.api).hostname or ""
    hosts = tuple(dict.fromkeys((host, *LOOPBACK_HOSTS)))
    make_home(home, genesis, config, keystore, authority=authority, hosts=hosts)
    print(f"{home.path} is the home of {institution.id}, replica {replica} of {genesis.network}.")
    print(f"已完成 {institution.id} 的节点目录，为 {genesis.network} 的第 {replica} 号副本。")
    print(f"Genesis hash 创世哈希: {genesis.chain_id.hex()}")
    print(f"Run it 运行: evidence-ledger node run --home {shlex.quote(str(home.path))}")
    return OK


def _import_certificate(home: NodeHome, certificate: Path, key: Path, keystore: Keystore) -> None:
    """Put the operator's own API certificate and key into the home, the key sealed."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from node.certificates import write_private_key
    from node.private_files import PUBLIC, write_file

    try:
        private = load_pem_private_key(key.read_bytes(), None)
        chain = certificate.read_bytes()
    except OSError as error:
        raise unreadable(error.filename, error) from None
    except (TypeError, ValueError):
        raise unusable(
            f"{key} is not an unencrypted private key in PEM.",
            f"{key} 不是未加密的 PEM 私钥。",
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        kind = type(private).__name__
        raise unusable(
            f"{key} is a {kind}; ECDSA P-256 is what browsers take.",
            f"{key} 的类型为 {kind}；浏览器接受的是 ECDSA P-256。",
        )
    write_private_key(home.api_key, private, keystore.tls_passphrase, replace=True)
    write_file(home.api_certificate, chain, mode=PUBLIC, replace=True)


def run_run(arguments: argparse.Namespace) -> int:
    """Run the node."""
    prompt = None
    if arguments.until_stdin_closes:  # a supervisor's pipe, never a place to ask
        _stop_with_stdin()
    else:
        prompt = passphrase_prompt(is_new=False)
    from node.server import run_node

    return run_node(arguments.home, prompt)


def _stop_with_stdin() -> None:
    """Send this process SIGTERM once its standard input is at its end."""
    import os
    import signal
    import threading

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="stdin", daemon=True).start()


def run_backup(arguments: argparse.Namespace) -> int:
    """Back a chain up."""
    from cli.node_storage import open_stopped_chain
    from node.home import NodeHome
    from storage.archive import NotMounted
    from storage.backup import back_up

    home = NodeHome(arguments.home)
    with open_stopped_chain(home) as store:
        if store.unapplied_count:
            raise Failure(
                f"The node was killed with {store.unapplied_count} blocks not yet applied; start "
                "it and stop it once, then back up.",
                f"节点曾被强行终止，尚有 {store.unapplied_count} 个区块未执行；"
                "请启动并正常停止一次，再行备份。",
            )
        try:
            manifest = back_up(store, arguments.output, home.path, ("genesis.json",))
        except NotMounted as missing:
            raise Failure(
                f"A backup is of the whole chain: {missing}.",
                f"备份须含整条链，而归档未挂载；本机只有自 {missing.held_from} 起的区块。",
            ) from None
    print(
        f"Backed up {manifest.log_size} entries up to height {manifest.applied_height} to "
        f"{arguments.output} ({sum(file.size_bytes for file in manifest.files)} bytes)."
    )
    print(f"已备份至高度 {manifest.applied_height}，共 {manifest.log_size} 个条目。")
    print(f"The keys are not in it: back {home.keys} up by itself, and keep it apart.")
    print("备份不含密钥：请单独备份上述目录，并另行保管。")
    return OK


def run_restore(arguments: argparse.Namespace) -> int:
    """Restore a backup into a home without a chain."""
    from cli.node_storage import restore_chain
    from node.home import NodeHome

    manifest, needed = restore_chain(arguments.backup, NodeHome(arguments.home))
    print(
        f"Restored {manifest.log_size} entries up to height {manifest.applied_height}. The node "
        "starts in recovery: it asks a quorum how far the chain is before it votes again."
    )
    print(
        f"已恢复至高度 {manifest.applied_height}，共 {manifest.log_size} 个条目。"
        "节点将以恢复方式启动：先向法定多数询问链的进度，再行投票。"
    )
    print(needed.en)
    print(needed.zh)
    return OK


def run_recover(arguments: argparse.Namespace) -> int:
    """Leave the mark."""
    from cli.node_storage import mark_recovery
    from node.home import NodeHome

    home = NodeHome(arguments.home)
    needed = mark_recovery(home, arguments.reason, is_serving_only=arguments.serve_only)
    print(f"Left {home.recover_marker}. When the node starts, it will not vote until a quorum of")
    print("its peers has proven to it how far the chain is, and two heights more have passed.")
    print("The journal that is there is put aside under another name, not removed.")
    print(
        "已留下标记。节点启动后，须由法定多数的其他节点证明链的进度，且再经过两个高度，方可投票。"
    )
    print("原有投票日志改名保留，不会删除。")
    print(needed.en)
    print(needed.zh)
    return OK


def run_join(arguments: argparse.Namespace) -> int:
    """Leave the marks."""
    from cli.node_storage import mark_join
    from node.home import NodeHome

    home = NodeHome(arguments.home)
    gives_up = mark_join(home, arguments.reason, is_discarding=arguments.discard_blocks)
    print(f"Left {home.join_marker}. When the node starts, it takes a snapshot from its peers and")
    print(f"then recovers: {home.recover_marker} is there as well.")
    print("已留下标记。节点启动后，先从其他节点取得快照，再进入恢复。")
    if gives_up:
        print(f"The blocks in {home.chain} are removed once a snapshot is fetched.")
        print("取得快照后，上述目录中的区块将被删除。")
    return OK


def run_prune(arguments: argparse.Namespace) -> int:
    """Move old segments."""
    from cli.pruning import prune
    from node.home import NodeHome
    from storage.archive import NotMounted
    from storage.files import Damaged, StorageFailure

    if arguments.keep_blocks < 1:
        raise unusable(
            f"--keep-blocks {arguments.keep_blocks}: at least the newest block stays.",
            f"--keep-blocks {arguments.keep_blocks}：至少须保留最新的区块。",
        )
    try:
        pruned = prune(NodeHome(arguments.home), arguments.keep_blocks)
    except (Damaged, NotMounted, StorageFailure) as error:
        raise Failure(
            f"{error}. What was moved before is in the archive and listed.",
            "移动数据段时中止，原因见上一行；此前已移动的在归档中，且已登记。",
        ) from None
    print(
        f"Moved {pruned.count} segments ({pruned.size_bytes} bytes); blocks from "
        f"{pruned.kept_from} on are in the home. "
        f"已移动 {pruned.count} 个数据段；节点目录中有自 {pruned.kept_from} 起的区块。"
    )
    if not pruned.count:
        print(f"Segments that hold block {pruned.limit} or a later one stay.")
        print(f"含区块 {pruned.limit} 或其后区块的数据段须保留。")
    return OK


def run_token_issue(arguments: argparse.Namespace) -> int:
    """Issue a token."""
    import time

    from api.tokens import issue_token
    from cli.node_storage import read_tokens, write_tokens
    from node.home import NodeHome

    home = NodeHome(arguments.home)
    records = read_tokens(home)
    if any(record.name == arguments.name for record in records):
        raise unusable(
            f"There is a token {arguments.name!r} already; revoke it or choose a name.",
            f"已有名为 {arguments.name!r} 的令牌；请先撤销，或另取名称。",
        )
    if arguments.days is not None and arguments.days < 1:
        raise unusable(
            f"--days {arguments.days} is in the past; give at least 1.",
            f"--days {arguments.days} 已成过去；至少为 1。",
        )
    now_ms = time.time_ns() // 1_000_000
    expires_ms = None if arguments.days is None else now_ms + arguments.days * 86_400_000
    token, record = issue_token(arguments.name, arguments.scope, now_ms, expires_ms=expires_ms)
    write_tokens(home, [*records, record])
    print(token)
    return OK


def run_token_list(arguments: argparse.Namespace) -> int:
    """List tokens."""
    from datetime import UTC, datetime

    from cli.node_storage import read_tokens
    from node.home import NodeHome

    for record in read_tokens(NodeHome(arguments.home)):
        until = "until revoked 直至撤销"
        if record.expires_ms is not None:
            until = f"until {datetime.fromtimestamp(record.expires_ms / 1000, UTC):%Y-%m-%d %H:%M}Z"
        print(f"{record.name:<32} {record.scope:<40} {until}")
    return OK


def run_token_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a token."""
    from cli.node_storage import read_tokens, write_tokens
    from node.home import NodeHome

    home = NodeHome(arguments.home)
    records = read_tokens(home)
    kept = [record for record in records if record.name != arguments.name]
    if len(kept) == len(records):
        raise Failure(
            f"There is no token {arguments.name!r}; `node token list` shows them.",
            f"没有名为 {arguments.name!r} 的令牌；可用 node token list 查看。",
        )
    write_tokens(home, kept)
    print(f"Revoked {arguments.name!r}; a running node refuses it from now on. 已撤销，即刻生效。")
    return OK
