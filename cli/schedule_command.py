"""`schedule`: every contract of a merchant in one file, which nobody can leave one out of.

The file may be long, so it is written as it comes, under another name until it is whole. What comes
from a node is not believed here either: `verify` is the judge.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from cli.arguments import Parser, add_command, add_node_options, make_clients, tell_written
from cli.failure import OK, Failure
from cli.refusals import in_the_way, no_node, unwritable

HELP: Final = (
    """\
Fetch a merchant's schedule of claims: every contract with its whole record.

For a bankruptcy (enterprise bankruptcy law art. 57): each contract under terms with its complete
record, and what was paid, released, refunded, is locked and is owed. The merchant's total proves
that none is left out: verify refuses the file otherwise.

examples:
  evidence-ledger schedule m-yoga --devnet ./net -o m-yoga.schedule.jsonl
  evidence-ledger verify m-yoga.schedule.jsonl --genesis-hash HASH
""",
    """\
取得经营者的债权表：全部合同及每份的完整记录。

供破产程序使用（企业破产法第五十七条）：按条款订立的每份合同的完整记录，以及已
付、已释放、已退款、锁定与应退的金额。经营者的合计证明没有遗漏；遗漏任何一份，核
验即不通过。

示例：
  evidence-ledger schedule m-yoga --devnet ./net -o m-yoga.schedule.jsonl
  evidence-ledger verify m-yoga.schedule.jsonl --genesis-hash HASH
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "schedule", ("fetch every contract of a merchant", "取得经营者的债权表"), HELP
    )
    say = parser.say
    parser.add_argument(
        "merchant", metavar="MERCHANT", help=say("the merchant's party id", "经营者的主体代号")
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=say("where to write it", "写入的文件"),
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the schedule from the first node that gives it whole."""
    from cli.client import ApiError, Unreachable
    from cli.progress import show_steps

    output: Path = arguments.output
    if output.exists():
        raise in_the_way(output)
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    last: Failure | None = None
    for client in make_clients(arguments):
        with client, show_steps() as step:
            try:
                with part.open("wb") as file:
                    for piece in client.schedule(
                        arguments.merchant,
                        lambda lines, _: step("contracts 合同", max(lines - 1, 0), 0),
                    ):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(part, output)
            except (ApiError, Unreachable) as error:
                last = error
                continue
            except FileExistsError:
                raise in_the_way(output) from None
            except OSError as error:
                raise unwritable(output, error) from None
            finally:
                part.unlink(missing_ok=True)
        english, chinese = (
            f"the schedule of {arguments.merchant}",
            f" {arguments.merchant} 的债权表",
        )
        tell_written(output, output.stat().st_size, english, chinese)
        return OK
    raise last or no_node()
