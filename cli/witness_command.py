"""`witness`: cosign checkpoints of logs without being a member of them (C2SP tlog-witness).

A home holds the sealed key, the witness's name and the newest checkpoint of each log.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from cli.arguments import (
    Parser,
    add_command,
    add_passphrase_option,
    passphrase_prompt,
    read_passphrase_option,
)
from cli.failure import OK, unusable

HELP: Final = (
    """\
Be a witness: a court, a notary or an association cosigns the checkpoints that a ledger's members
certify, and so sees that nobody is shown another log. It needs no copy of the log.

example:
  evidence-ledger witness init --home ./witness --name court.example/witness
  evidence-ledger witness run --home ./witness --genesis genesis.json --listen 127.0.0.1:8444
      then give the members the key that init printed, and your address
""",
    """\
担任见证者：法院、公证机构或行业协会对账本成员所认证的检查点作见证副署，由此确认
任何人看到的都是同一份日志。不需保存日志的副本。

示例：
  evidence-ledger witness init --home ./witness --name court.example/witness
  evidence-ledger witness run --home ./witness --genesis genesis.json \\
      --listen 127.0.0.1:8444
      然后将 init 显示的密钥与您的地址交给各成员
""",
)

INIT_HELP: Final = (
    """\
Make a witness's key and name. Prints its verifier key, which the members put into node.toml.

example:
  evidence-ledger witness init --home ./witness --name court.example/witness
""",
    """\
生成见证者的密钥与名称，并显示其验证密钥，供各成员写入 node.toml。

示例：
  evidence-ledger witness init --home ./witness --name court.example/witness
""",
)

RUN_HELP: Final = (
    """\
Serve C2SP tlog-witness over plain HTTP on a loopback address; put your own proxy with TLS before
it. Whoever has the key's file but not its `logs` folder could vouch for a second history: back both
up together, and never run two copies.

example:
  evidence-ledger witness run --home ./witness --genesis genesis.json
""",
    """\
在本机回环地址以明文 HTTP 提供 C2SP tlog-witness 服务；请在其前设置您自己的带
TLS 的代理。若只有密钥文件而没有 logs 文件夹，便可能为另一份历史作见证：两者须一
并备份，且绝不可同时运行两份。

示例：
  evidence-ledger witness run --home ./witness --genesis genesis.json
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "witness", ("cosign a ledger's checkpoints", "对账本检查点作见证副署"), HELP
    )
    say = parser.say
    parser.set_defaults(run=None, help_of=parser)
    actions = parser.add_subparsers(metavar="action", title=say("actions", "操作"))
    init = add_command(actions, "init", ("make a witness's key", "生成见证者的密钥"), INIT_HELP)
    _add_home(init)
    init.add_argument(
        "--name",
        required=True,
        help=say(
            "key name: a URL without a scheme, such as court.example/w",
            "密钥名称：不含协议的网址，例如 court.example/w",
        ),
    )
    add_passphrase_option(init)
    init.set_defaults(run=run_init)
    run = add_command(
        actions, "run", ("answer requests for cosignatures", "答复副署请求"), RUN_HELP
    )
    _add_home(run)
    run.add_argument(
        "--genesis",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help=say(
            "genesis document of a log to witness; may be repeated",
            "所见证的日志的创世文件；可多次给出",
        ),
    )
    run.add_argument(
        "--listen",
        default="127.0.0.1:8444",
        help=say("address (default: %(default)s)", "监听地址（默认：%(default)s）"),
    )
    add_passphrase_option(run)
    run.set_defaults(run=run_serve)


def _add_home(parser: Parser) -> None:
    say = parser.say
    parser.add_argument(
        "--home",
        type=Path,
        required=True,
        metavar="DIR",
        help=say("witness's folder", "见证者的目录"),
    )


def run_init(arguments: argparse.Namespace) -> int:
    """Make a home."""
    from ledger.checkpoint import cosigner_verifier_key
    from node.keystore import KeyPurpose, Keystore, Strength
    from node.witness_server import write_identity

    home: Path = arguments.home
    cosigner_verifier_key(arguments.name, bytes(32))  # the name is judged before anything is made
    passphrase = read_passphrase_option(arguments.passphrase_file, is_new=True)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    keystore = Keystore.create(home / "keystore.json", passphrase, strength=Strength.MODERATE)
    key = write_identity(home, arguments.name, keystore.public_keys[KeyPurpose.COSIGN])
    print(f"Made {home}. The witness's key, for the members' node.toml and for verifiers:")
    print(f"已创建 {home}。见证密钥如下，供各成员写入 node.toml 并供核验方使用：")
    print(key.format())
    return OK


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    import ipaddress
    import os

    from cli.founding import read_genesis
    from node.config import LogConfig
    from node.endpoint import parse_endpoint
    from node.keystore import KeyPurpose, Keystore, read_passphrase
    from node.logs import configure_logs
    from node.witness_server import run_witness

    try:
        host, _ = parse_endpoint(arguments.listen)
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise unusable(
            f"--listen: {error}.", f"--listen {arguments.listen!r} 不是“主机:端口”。"
        ) from None
    if not is_loopback:
        raise unusable(
            f"--listen {arguments.listen} is not a loopback address; put a proxy with TLS before a "
            "witness that others reach.",
            f"--listen {arguments.listen} 不是本机回环地址；供他人访问的见证服务，"
            "请在其前设置带 TLS 的代理。",
        )
    logs = [read_genesis(path) for path in arguments.genesis]
    passphrase = read_passphrase(
        arguments.passphrase_file, environ=os.environ, prompt=passphrase_prompt(is_new=False)
    )
    keystore = Keystore.open(arguments.home / "keystore.json", passphrase)
    configure_logs(LogConfig())
    try:
        return run_witness(
            arguments.home, keystore.signer(KeyPurpose.COSIGN), logs, arguments.listen
        )
    except ValueError as error:
        raise unusable(f"{error}.", "见证服务无法启动，原因见上一行。") from None
