"""`devnet`: a whole network on one machine, to try things on.

`devnet` (or `devnet up`) makes the homes if they are not there, starts every node, registers the
demo submitters and stays until it is interrupted; `devnet init` only makes the homes, as the
containers of compose.yaml need them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import Parser, add_command
from cli.failure import OK, Failure, unusable

if TYPE_CHECKING:
    from cli.devnet import Devnet
    from cli.devnet_addresses import Layout

HELP: Final = (
    """\
Run a network of several nodes on this machine, to try things on.

Each node is a process of its own with its own keys, chain and API. HOME/devnet.json holds every
address, token and demo key; all of them are known to you, so a devnet proves nothing to anybody.
A home that is there is resumed with the same keys and chain. Ctrl-C stops every node. A node that
is killed stays down and the others go on; it is told how to start it again.

examples:
  evidence-ledger devnet --home ./net
      four nodes on free ports
  evidence-ledger devnet --home ./net --nodes 7 --base-port 21000
  evidence-ledger devnet --home ./net --no-tls
      plain HTTP, for a quick look with curl
  evidence-ledger devnet init --directory ./homes --replicas 4 --host 'node-{replica}'
      homes only, for containers
""",
    """\
在本机运行由若干节点组成的试验网络。

每个节点各为一个进程，有自己的密钥、链与接口。HOME/devnet.json 载有全部地址、访
问令牌与示例密钥；这些都为您一人所知，因此试验网络对任何人都不构成证明。目录已存
在的，以原有密钥与链继续运行。按 Ctrl-C 停止全部节点。某一节点被终止时，其余继续
运行，并提示如何重新启动它。

示例：
  evidence-ledger devnet --home ./net
      四个节点，使用空闲端口
  evidence-ledger devnet --home ./net --nodes 7 --base-port 21000
  evidence-ledger devnet --home ./net --no-tls
      明文 HTTP，便于用 curl 查看
  evidence-ledger devnet init --directory ./homes --replicas 4 \\
      --host 'node-{replica}'
      只建立节点目录，供容器使用
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "devnet", ("run a whole network on this machine", "在本机运行试验网络"), HELP
    )
    say = parser.say
    parser.add_argument(
        "action",
        nargs="?",
        choices=("up", "init"),
        default="up",
        help=say(
            "up: make and run (default); init: make the homes only",
            "up：建立并运行（默认）；init：只建立节点目录",
        ),
    )
    parser.add_argument(
        "--home",
        "--directory",
        dest="home",
        type=Path,
        required=True,
        help=say("where it lies", "试验网络所在的目录"),
    )
    parser.add_argument(
        "--nodes",
        "--replicas",
        dest="nodes",
        type=int,
        default=4,
        help=say("how many (default: 4)", "节点数（默认：4）"),
    )
    parser.add_argument(
        "--base-port",
        type=int,
        default=0,
        help=say("first port (default: free ones)", "起始端口（默认：空闲端口）"),
    )
    parser.add_argument(
        "--host",
        default="",
        help=say("host of each node, with {replica} in it", "各节点的主机名，其中须有 {replica}"),
    )
    parser.add_argument(
        "--api-port",
        type=int,
        default=0,
        help=say("API port, with --host", "接口端口，与 --host 一并使用"),
    )
    parser.add_argument(
        "--peer-port",
        type=int,
        default=0,
        help=say("peer port, with --host", "节点互联端口，与 --host 一并使用"),
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        default=True,
        help=say(
            "HTTPS by an authority of the devnet's own (default)",
            "HTTPS，证书由试验网络自己的签发者签发（默认）",
        ),
    )
    parser.add_argument(
        "--no-tls",
        dest="tls",
        action="store_false",
        help=say("plain HTTP on loopback", "本机回环地址上使用明文 HTTP"),
    )
    parser.add_argument(
        "--backend",
        choices=("leveldb", "rocksdb"),
        help=say("store of index, state", "索引与状态所用的存储引擎"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the homes, and run the nodes unless only that was asked."""
    from cli.devnet_addresses import Layout

    layout = Layout(
        directory=arguments.home,
        node_count=arguments.nodes,
        host=arguments.host,
        api_port=arguments.api_port,
        peer_port=arguments.peer_port,
        base_port=arguments.base_port,
        is_tls=arguments.tls,
        backend=arguments.backend,
    )
    if arguments.action == "init":
        return _init(layout)
    if layout.host:
        raise unusable(
            "--host goes with `devnet init`; `devnet up` runs on loopback.",
            "--host 用于 devnet init；devnet up 在本机回环地址运行。",
        )
    return _up(layout)


def _init(layout: Layout) -> int:
    from cli.devnet_homes import create_devnet
    from cli.devnet_state import is_initialised

    if is_initialised(layout.directory):
        print(f"{layout.directory} holds a devnet already; nothing was changed. 未作任何更改。")
        return OK
    state = create_devnet(layout)
    print(f"Made {len(state.nodes)} homes in {layout.directory}. 已建立各节点目录。")
    print(f"Genesis hash 创世哈希: {state.genesis_hash}")
    return OK


def _up(layout: Layout) -> int:
    from cli.devnet import Devnet, open_devnet

    state = open_devnet(layout, _say)
    if len(state.nodes) != layout.node_count:
        count = len(state.nodes)
        _say(f"{layout.directory} has {count} nodes and is resumed as it is. 按原样继续运行。")
    with Devnet(layout.directory.absolute(), state) as devnet:
        return _watch(devnet)


def _watch(devnet: Devnet) -> int:
    """Start, tell, and stay until a signal or the last end; the processes are the caller's."""
    import queue
    import signal
    import threading

    from cli.devnet import describe_end, log_tail
    from cli.registration import register_submitters

    ends: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()

    def interrupt(*_: object) -> None:
        ends.put(None)
        raise KeyboardInterrupt

    previous = [signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        try:
            _say(f"Starting {len(devnet.state.nodes)} nodes. 正在启动。")
            devnet.start()
            for node in devnet.state.nodes:
                process = devnet.process(node.replica)
                threading.Thread(
                    target=lambda at=node.replica, of=process: ends.put((at, of.wait())),
                    daemon=True,
                ).start()
            devnet.wait_ready()
            count = register_submitters(devnet.state)
            _say(
                f"Registered {count} demo submitters. 已登记示例提交主体。"
                if count
                else "All submitters are known. 示例提交主体均已登记。"
            )
            _tell(devnet)
            running = len(devnet.state.nodes)
            while (ended := ends.get()) is not None:
                running -= 1
                node = devnet.state.nodes[ended[0]]
                ending = describe_end(node, ended[1])
                if not running:
                    raise Failure(
                        f"{ending.en} No node is left.",
                        f"{ending.zh}已没有节点运行。\n{log_tail(node)}",
                    )
                _say(f"{ending.en}\n{ending.zh}\n{log_tail(node)}")
                _say("The others go on 其余继续运行. Start it again, in another terminal 另行启动:")
                _say(f"  evidence-ledger node run --home {shlex.quote(node.home)}")
        except KeyboardInterrupt:
            pass
        _say("Stopping. 正在停止。")
        return OK
    finally:
        for one, handler in zip((signal.SIGINT, signal.SIGTERM), previous, strict=True):
            signal.signal(one, signal.SIG_IGN if handler is None else handler)
        # A second Ctrl-C while the nodes are stopped must not leave one behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        devnet.stop()
        signal.signal(signal.SIGINT, previous[0] if previous[0] is not None else signal.SIG_DFL)


def _tell(devnet: Devnet) -> None:
    state, place = devnet.state, shlex.quote(str(devnet.directory))
    _say("")
    _say(f"Genesis hash 创世哈希  {state.genesis_hash}")
    for node in state.nodes:
        _say(f"{node.id:<14}{node.api}   docs 接口文档: {node.api}/docs")
    if state.authority:
        _say(f"TLS authority 证书签发者 {state.authority}")
    _say(f"Everything else stands in 其余信息见 {devnet.directory / 'devnet.json'}")
    _say(f"Try 可试: evidence-ledger submit examples/week.jsonl --devnet {place}")
    _say(f"         evidence-ledger play --devnet {place}")
    _say("Ready. Ctrl-C stops every node. 已就绪，按 Ctrl-C 停止全部节点。")


def _say(sentence: str) -> None:
    # In one piece: whoever waits for this line may send a signal as soon as it begins.
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
