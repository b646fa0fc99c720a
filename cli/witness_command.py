"""`witness`: cosign checkpoints of logs without being a member of them (C2SP tlog-witness).

A home holds the sealed key, the witness's name and the newest checkpoint of each log.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.arguments import (
    Parser,
    add_command,
    add_passphrase_option,
    passphrase_prompt,
    read_passphrase_option,
)
from cli.failure import OK, unusable

HELP = """\
Be a witness: a court, a notary or an association cosigns the checkpoints that a ledger's members
certify, and so sees that nobody is shown another log. It needs no copy of the log.
对账本检查点作见证副署。

example:
  evidence-ledger witness init --home ./witness --name court.example/witness
  evidence-ledger witness run --home ./witness --genesis genesis.json --listen 127.0.0.1:8444
      then give the members the key that init printed, and your address
"""

INIT_HELP = """\
Make a witness's key and name. Prints its verifier key, which the members put into node.toml.
"""

RUN_HELP = """\
Serve C2SP tlog-witness over plain HTTP on a loopback address; put your own proxy with TLS before
it. Whoever has the key's file but not its `logs` folder could vouch for a second history: back both
up together, and never run two copies.
"""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    parser = add_command(commands, "witness", "cosign a ledger's checkpoints: 见证副署", HELP)
    parser.set_defaults(run=None, help_of=parser)
    actions = parser.add_subparsers(metavar="action", title="actions")
    init = add_command(actions, "init", "make a witness's key", INIT_HELP)
    _add_home(init)
    init.add_argument(
        "--name", required=True, help="key name: a URL without a scheme, such as court.example/w"
    )
    add_passphrase_option(init)
    init.set_defaults(run=run_init)
    run = add_command(actions, "run", "answer requests for cosignatures", RUN_HELP)
    _add_home(run)
    run.add_argument(
        "--genesis",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="genesis document of a log to witness; may be repeated",
    )
    run.add_argument("--listen", default="127.0.0.1:8444", help="address (default: %(default)s)")
    add_passphrase_option(run)
    run.set_defaults(run=run_serve)


def _add_home(parser: Parser) -> None:
    parser.add_argument("--home", type=Path, required=True, metavar="DIR", help="witness's folder")


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
