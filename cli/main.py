"""The command line: `evidence-ledger <command> …`.

A table of commands and the one place where failures become sentences and an exit status: 0 done,
1 the answer is no, 2 not asked rightly. `verify` is handed over before anything else is imported,
so a court's machine needs nothing but the verifier's own two packages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from cli.arguments import Parser, choose_parser
from cli.failure import OK, UNUSABLE, Failure
from cli.passed_on import pass_on
from verifier.standard_streams import prepare_standard_streams

PROGRAM: Final = "evidence-ledger"
INTERRUPTED: Final = 130
"""What shells expect of a command that Ctrl-C ended: 128 + SIGINT."""

HEAD: Final = (
    """\
A permissioned ledger of evidence for prepaid cards.

Several institutions run one node each; what a quorum of them committed can be proven to anybody,
offline, with one file and the genesis hash.
""",
    """\
预付卡存证账本（许可制）。

若干机构各自运行一个节点；经法定多数决定的内容，凭一个文件和创世哈希，即可离线
向任何人证明。
""",
)

TAIL: Final = (
    """\
try it on this machine:
  %(prog)s devnet --home ./net
      four nodes; Ctrl-C stops them
  %(prog)s submit examples/week.jsonl --devnet ./net
      a week of receipts (another terminal)
  %(prog)s play --devnet ./net
      ten contracts from signing to refund
  %(prog)s evidence TX_ID --devnet ./net -o card.evidence.json
  %(prog)s verify card.evidence.json --genesis-hash HASH

run an institution's node:
  %(prog)s genesis member --home ./home …
      keys here, a public file for the others
  %(prog)s genesis make bank.json pay.json … -o genesis.json
  %(prog)s node init --home ./home --genesis genesis.json
  %(prog)s node run --home ./home

Every command has its own --help. exit status: 0 done, 1 the answer is no, 2 not asked rightly.
""",
    """\
在本机试用：
  %(prog)s devnet --home ./net
      四个节点；按 Ctrl-C 停止
  %(prog)s submit examples/week.jsonl --devnet ./net
      一周的凭证（在另一终端执行）
  %(prog)s play --devnet ./net
      十份合同，从订立到退款
  %(prog)s evidence TX_ID --devnet ./net -o card.evidence.json
  %(prog)s verify card.evidence.json --genesis-hash HASH

运行机构的节点：
  %(prog)s genesis member --home ./home …
      密钥留在本机，另成一个公开文件交给其他机构
  %(prog)s genesis make bank.json pay.json … -o genesis.json
  %(prog)s node init --home ./home --genesis genesis.json
  %(prog)s node run --home ./home

每个命令都有自己的 --help。退出码：0 已完成，1 答案为否，2 命令有误。
""",
)


def make_parser(program: type[Parser] = Parser) -> Parser:
    """Return the parser of all commands, in the language of `program`."""
    from cli import (
        bench_command,
        certificate_command,
        devnet_command,
        genesis_command,
        inspect_command,
        node_command,
        page_command,
        platform_command,
        play_command,
        private_command,
        proof_command,
        schedule_command,
        stamps_command,
        statement_command,
        submit_command,
        verify_command,
        witness_command,
    )

    say = program.say
    parser = program(prog=PROGRAM, description=say(*HEAD), epilog=say(*TAIL))
    parser.add_argument("--version", action="store_true", help=say("print the version", "显示版本"))
    commands = parser.add_subparsers(metavar="command", title=say("commands", "命令"))
    for module in (
        genesis_command,
        node_command,
        devnet_command,
        submit_command,
        play_command,
        proof_command,
        schedule_command,
        private_command,
        stamps_command,
        statement_command,
        verify_command,
        certificate_command,
        page_command,
        witness_command,
        platform_command,
        inspect_command,
        bench_command,
    ):
        module.add_to(commands)
    parser.set_defaults(run=None, help_of=parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    prepare_standard_streams()
    if given[:1] == ["verify"]:
        from cli.certificate_command import unpack
        from verifier.main import main as verify

        return run_guarded(lambda: verify(given[1:], f"{PROGRAM} verify", unpack=unpack))
    if given[:1] == ["bench"]:
        from cli.bench_command import run_bench

        return run_guarded(lambda: run_bench(given[1:]))
    try:
        arguments = make_parser(choose_parser(given)).parse_args(given)
    except SystemExit as end:  # argparse has printed help, or what is wrong
        return end.code if isinstance(end.code, int) else UNUSABLE
    if arguments.version:
        return run_guarded(_print_version)
    if arguments.run is None:
        arguments.help_of.print_help(sys.stderr)
        return UNUSABLE
    return run_guarded(lambda: int(arguments.run(arguments)))


def _print_version() -> int:
    from node.service import VERSION

    print(f"{PROGRAM} {VERSION}")
    return OK


def run_guarded(run: Callable[[], int]) -> int:
    """Run a command and turn its failures into sentences."""
    try:
        status = run()
        sys.stdout.flush()
        return status
    except Failure as failure:
        return _tell(failure)
    except KeyboardInterrupt:
        print("Interrupted. 已中断。", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # its reader has left, and no answer of ours is in what it has
        sys.stderr.close()
        return UNUSABLE
    except Exception as error:
        passed_on = pass_on(error)
        if passed_on is None:
            raise
        return _tell(passed_on)


def _tell(failure: Failure) -> int:
    print(failure, file=sys.stderr)
    return failure.status
