"""`stamps`: the tokens that cover a transaction, as files that others' software verifies.

What the node answers, or an evidence file holds, is split into its parts and believed in nothing;
`openssl ts` and any tlog-proof tool are the judges.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any, Final

from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    make_clients,
    read_input,
    write_output,
)
from cli.failure import OK, Failure, unusable
from cli.refusals import check_tx_id, in_the_way, no_node, not_made

HELP: Final = (
    """\
Fetch the first timestamped checkpoint that covers a transaction, as files: the checkpoint, the
transaction's log proof in it, and each authority's RFC 3161 token.
With --file, take the checkpoint and the tokens out of an evidence file, and ask no node.

examples:
  evidence-ledger stamps 9f2c… --devnet ./net -o ./stamped
  evidence-ledger stamps --file card.evidence.json -o ./stamped
  openssl ts -verify -data stamped/checkpoint -in stamped/tsa-1.sm3.tsr -CAfile root.pem \\
      -untrusted signer.pem
""",
    """\
取得涵盖某笔交易的最早一个带时间戳的检查点，写成若干文件：检查点、该交易在其中的
日志证明、各时间戳机构的 RFC 3161 时间戳。给出 --file 时，从存证文件中取出检查点
与时间戳，不访问节点。

示例：
  evidence-ledger stamps 9f2c… --devnet ./net -o ./stamped
  evidence-ledger stamps --file card.evidence.json -o ./stamped
  openssl ts -verify -data stamped/checkpoint \\
      -in stamped/tsa-1.sm3.tsr -CAfile root.pem -untrusted signer.pem
""",
)


KINDS_ZH: Final = {"checkpoint": "检查点", "tlog-proof": "日志证明", "tsr": "时间戳"}
"""What is written, by the last part of its name."""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "stamps",
        ("fetch the time-stamps that cover a transaction", "取得涵盖一笔交易的时间戳"),
        HELP,
    )
    say = parser.say
    parser.add_argument(
        "of",
        metavar="TX_ID",
        nargs="?",
        help=say("transaction id, 64 hex digits", "交易号，64 位十六进制"),
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help=say("an evidence file with time stamps, no node", "附有时间戳的存证文件，不访问节点"),
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help=say("folder; made if need be", "写入的文件夹；没有则建立"),
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch from the first node that has them, or take them out of a file."""
    from cli.client import ApiError, Unreachable

    if (arguments.of is None) == (arguments.file is None):
        raise unusable(
            "Name a transaction or, with --file, an evidence file; one of the two.",
            "请给出一笔交易，或以 --file 给出一个存证文件，二者择一。",
        )
    if arguments.file is not None:
        return _take_out(arguments.file, arguments.output)
    tx_id = check_tx_id(arguments.of)
    last: Failure | None = None
    for client in make_clients(arguments):
        with client:
            try:
                answer = client.timestamps(tx_id)
            except (ApiError, Unreachable) as error:
                last = error
                continue
        return _write(arguments.output, tx_id, answer)
    raise last or no_node()


def _take_out(path: Path, folder: Path) -> int:
    from ledger.evidence import FILE_BYTES_MAX
    from ledger.refusal import Rejected
    from verifier.evidence_file import read_evidence
    from verifier.timestamp_step import find_timestamps

    try:
        part = find_timestamps(read_evidence(read_input(path, FILE_BYTES_MAX)))
    except Rejected as rejected:
        raise unusable(
            f"{path}: {rejected.detail}.", f"{path} 不是可读的存证文件，原因见上一行。"
        ) from None
    if part is None:
        raise unusable(
            f"{path} has no time stamps; `proof timestamps` puts them into a file.",
            f"{path} 中没有时间戳；可用 proof timestamps 加入。",
        )
    files = {"checkpoint": part.checkpoint.encode()}
    files |= {f"{one.authority}.{one.algorithm}.tsr": one.raw for one in part.tokens}
    return _write_files(folder, files)


def _write(folder: Path, tx_id: str, answer: dict[str, Any]) -> int:
    from ledger.timestamp_part import ALGORITHMS, AUTHORITY_PATTERN

    token_name = re.compile(rf"{AUTHORITY_PATTERN}\.({'|'.join(ALGORITHMS)})\.tsr")
    try:
        stamped = answer["timestamps"]
        files = {
            "checkpoint": stamped["checkpoint"].encode(),
            f"{tx_id}.tlog-proof": answer["proof"].encode(),
        }
        for item in stamped["timestamps"]:
            name = f"{item['authority']}.{item['hash']}.tsr"
            if not token_name.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a token")
            files[name] = base64.b64decode(item["token"], validate=True)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Failure(
            f"The node's answer is not of the format of timestamps: {error}.",
            "节点的答复不符合时间戳的格式。",
        ) from None
    return _write_files(folder, files)


def _write_files(folder: Path, files: dict[str, bytes]) -> int:
    """Write all or, where one is there, none: a checkpoint never lies beside another's token."""
    for name in files:
        if os.path.lexists(folder / name):
            raise in_the_way(folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_made(folder, error) from None
    for name, content in files.items():
        kind = name.rpartition(".")[2]
        write_output(folder / name, content, kind, KINDS_ZH[kind])
    return OK
