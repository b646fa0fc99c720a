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
from typing import Any

from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    make_clients,
    read_input,
    write_output,
)
from cli.failure import FAILED, OK, Failure, unusable

HELP = """\
Fetch the first timestamped checkpoint that covers a transaction, as files: the checkpoint, the
transaction's log proof in it, and each authority's RFC 3161 token. 取得可信时间戳。
With --file, take the checkpoint and the tokens out of an evidence file, and ask no node.
以 --file 从证据文件中取出时间戳，不访问节点。

examples:
  evidence-ledger stamps 9f2c… --devnet ./net -o ./stamped
  evidence-ledger stamps --file card.evidence.json -o ./stamped
  openssl ts -verify -data stamped/checkpoint -in stamped/tsa-1.sm3.tsr -CAfile root.pem \\
      -untrusted signer.pem
"""


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "stamps", "fetch the time-stamps that cover a transaction", HELP)
    parser.add_argument("of", metavar="TX_ID", nargs="?", help="transaction id, 64 hex digits")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="an evidence file with time stamps, no node"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder; made if need be"
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch from the first node that has them, or take them out of a file."""
    from cli.client import ApiError, Unreachable

    if (arguments.of is None) == (arguments.file is None):
        raise unusable("Name a transaction or, with --file, an evidence file; one of the two.")
    if arguments.file is not None:
        return _take_out(arguments.file, arguments.output)
    tx_id: str = arguments.of
    if not re.fullmatch(r"[0-9a-f]{64}", tx_id):
        raise unusable(f"{tx_id!r} is not a transaction id of 64 lower-case hex digits.")
    last: Failure | None = None
    for client in make_clients(arguments):
        with client:
            try:
                answer = client.timestamps(tx_id)
            except (ApiError, Unreachable) as error:
                last = error
                continue
        return _write(arguments.output, tx_id, answer)
    raise last or unusable("No node was named.")


def _take_out(path: Path, folder: Path) -> int:
    from ledger.evidence import FILE_BYTES_MAX
    from ledger.refusal import Rejected
    from verifier.evidence_file import read_evidence
    from verifier.timestamp_step import find_timestamps

    try:
        part = find_timestamps(read_evidence(read_input(path, FILE_BYTES_MAX)))
    except Rejected as rejected:
        raise unusable(f"{path}: {rejected.detail}.") from None
    if part is None:
        raise unusable(f"{path} has no time stamps; `proof timestamps` puts them into a file.")
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
            f"The node's answer is not of the format of timestamps: {error}.", FAILED
        ) from None
    return _write_files(folder, files)


def _write_files(folder: Path, files: dict[str, bytes]) -> int:
    """Write all or, where one is there, none: a checkpoint never lies beside another's token."""
    for name in files:
        if os.path.lexists(folder / name):
            raise unusable(f"{folder / name} exists and is not overwritten.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(f"{folder} cannot be made: {error.strerror}.") from None
    for name, content in files.items():
        write_output(folder / name, content, name.rpartition(".")[2] or "the file")
    return OK
