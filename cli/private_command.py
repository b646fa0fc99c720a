"""`private`: a contract's private fields, kept by its custodian's node beside the chain.

The node is told by --api and believed no more than any other: what it answers about a commitment is
computed again here before it is printed or written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from cli.arguments import TOKEN_VARIABLE, Parser, add_command, read_input, read_token, write_output
from cli.failure import OK, Failure, unusable

HELP = """\
Private fields of a contract: names, phone numbers, wallets. 合同的非公开信息。

The chain has a commitment to them and nothing else. The fields themselves are kept, sealed, by the
custodian's own node; only the custodian's token writes and erases, only it and the consumer's read.

examples:
  evidence-ledger private put m-yoga-2026-0001 fields.json --api https://bank.example:8443
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone --api https://bank.example:8443
"""

PUT_HELP = """\
Keep private fields, and print the commitment that belongs on the chain. 存入非公开信息。

FILE is a JSON object of names and values, such as {"name": "张小宝", "phone": "13800138000"}. The
commitment goes into contract.signed (persons.party, …), prepaid.open (consumer) or, later, into
private.committed. A correction names the commitment of the newest record with --replaces.

example:
  evidence-ledger private put m-yoga-2026-0001 fields.json --api https://bank.example:8443 \\
      --token-file bank.token
"""

SHOW_HELP = """\
Print the private fields of a contract, with every correction. 查看非公开信息。

example:
  evidence-ledger private show m-yoga-2026-0001 --api https://bank.example:8443
"""

DISCLOSE_HELP = """\
Fetch a disclosure of chosen fields, with what proves them. 选择披露。

With --into it becomes part of an evidence file, which `verify` then checks against the chain: it
says which fields are shown, which are withheld, and that those are unchanged.

example:
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone \\
      --api https://bank.example:8443 --into m-yoga.history.json -o court.json
"""

ERASE_HELP = """\
Destroy the private fields of a contract, salts and values, for good. 删除非公开信息。

The commitments stay on the chain, and nobody can open them any more. There is no way back, so the
contract's id is asked for twice.

example:
  evidence-ledger private erase m-yoga-2026-0001 --confirm m-yoga-2026-0001 \\
      --api https://bank.example:8443
"""

FIELDS_BYTES_MAX: Final = 256 * 1024


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "private", "private fields beside the chain: 非公开信息", HELP)
    actions = parser.add_subparsers(metavar="action", required=True)
    put = _add(actions, "put", "keep fields, print their commitment", PUT_HELP, run_put)
    put.add_argument("file", metavar="FILE", type=Path, help="JSON object of fields")
    put.add_argument("--replaces", metavar="HASH", help="commitment of the record it corrects")
    _add(actions, "show", "print the fields, with every correction", SHOW_HELP, run_show)
    disclose = _add(actions, "disclose", "show chosen fields", DISCLOSE_HELP, run_disclose)
    disclose.add_argument(
        "--fields", required=True, metavar="NAMES", help="names of fields, joined by commas"
    )
    disclose.add_argument("--commitment", metavar="HASH", help="of which record (default: newest)")
    disclose.add_argument(
        "--into", type=Path, metavar="FILE", help="evidence file that the disclosure is put into"
    )
    disclose.add_argument("-o", "--output", type=Path, help="file (default: standard output)")
    erase = _add(actions, "erase", "destroy the fields for good", ERASE_HELP, run_erase)
    erase.add_argument("--confirm", required=True, metavar="CONTRACT", help="the id once more")


def _add(
    actions: argparse._SubParsersAction[Parser], name: str, summary: str, text: str, run: Any
) -> Parser:
    parser = add_command(actions, name, summary, text)
    parser.add_argument("contract", metavar="CONTRACT", help="contract's id")
    group = parser.add_argument_group("which node")
    group.add_argument(
        "--api", required=True, metavar="URL", help="the API of the custodian's own node"
    )
    group.add_argument(
        "--authority", type=Path, metavar="PEM", help="certificate that signed the node's"
    )
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file with your access token (default: the variable {TOKEN_VARIABLE})",
    )
    parser.set_defaults(run=run)
    return parser


def run_put(arguments: argparse.Namespace) -> int:
    """Keep fields and print the commitment."""
    values = _read_fields(arguments.file)
    with _connect(arguments) as client:
        written = client.put_private(_contract(arguments), values, arguments.replaces)
    print(written["commitment"])
    return OK


def run_show(arguments: argparse.Namespace) -> int:
    """Print the fields."""
    with _connect(arguments) as client:
        print(json.dumps(client.private(_contract(arguments)), ensure_ascii=False, indent=2))
    return OK


def run_disclose(arguments: argparse.Namespace) -> int:
    """Fetch a disclosure, check it, and write it or the evidence file with it."""
    from ledger.disclosure import read_disclosure, verify_disclosure
    from ledger.evidence import FILE_BYTES_MAX, add_disclosures
    from ledger.refusal import Rejected

    contract = _contract(arguments)
    names = arguments.fields.split(",")
    with _connect(arguments) as client:
        raw = client.disclosure(contract, names, arguments.commitment)
    try:
        disclosure = read_disclosure(json.loads(raw))
        verify_disclosure(disclosure)
    except (Rejected, ValueError) as error:
        raise Failure(
            f"The node's disclosure does not hold: {error}.", "节点给出的披露不成立，原因见上一行。"
        ) from None
    shown = [each.field.name for each in disclosure.shown]
    if disclosure.contract != contract or shown != sorted(names):
        raise Failure(
            f"The node disclosed {', '.join(shown)} of {disclosure.contract}; asked for were "
            f"{', '.join(sorted(names))} of {contract}.",
            f"节点披露的是 {disclosure.contract} 的 {'、'.join(shown)}；所请求的是 {contract} 的 "
            f"{'、'.join(sorted(names))}。",
        )
    what, what_zh = "the disclosure", "披露"
    if arguments.into is not None:
        what, what_zh = "the evidence file", "存证文件"
        evidence = read_input(arguments.into, FILE_BYTES_MAX)
        try:
            raw = add_disclosures(evidence, [disclosure])
        except (ValueError, TypeError, AttributeError):
            raise unusable(
                f"{arguments.into} is no evidence file.", f"{arguments.into} 不是存证文件。"
            ) from None
    write_output(arguments.output, raw, what, what_zh)
    return OK


def run_erase(arguments: argparse.Namespace) -> int:
    """Destroy the fields."""
    contract = _contract(arguments)
    if arguments.confirm.removeprefix("contract/") != contract:
        raise unusable(
            f"--confirm names {arguments.confirm}, not {contract}; nothing was erased.",
            f"--confirm 给出的是 {arguments.confirm}，而非 {contract}；未作任何删除。",
        )
    with _connect(arguments) as client:
        erased = client.erase_private(contract)
    count = len(erased["commitments"])
    print(f"Erased {count} records of {contract}; these commitments stay:")
    print(f"已删除 {contract} 的 {count} 份非公开信息；以下承诺仍在链上：")
    for commitment in erased["commitments"]:
        print(f"  {commitment}")
    return OK


def _connect(arguments: argparse.Namespace) -> Any:
    from cli.client import Client

    token = read_token(arguments.token_file)
    return Client(arguments.api, authority=arguments.authority, token=token)


def _contract(arguments: argparse.Namespace) -> str:
    name: str = arguments.contract
    return name.removeprefix("contract/")


def _read_fields(file: Path) -> dict[str, str]:
    raw = read_input(file, FIELDS_BYTES_MAX)
    try:
        values = json.loads(raw)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(type(value) is str for value in values.values()):
        raise unusable(
            f"{file} is not a JSON object of names and texts of at most 256 KiB.",
            f"{file} 不是名称与文本组成的 JSON 对象（至多 256 KiB）。",
        )
    return values
