"""`private`: a contract's private fields, kept by its custodian's node beside the chain.

The node is told by --api and believed no more than any other: what it answers about a commitment is
computed again here before it is printed or written.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any, Final

from cli.arguments import (
    Parser,
    add_command,
    add_output_option,
    add_token_option,
    read_input,
    read_token,
    write_output,
)
from cli.failure import OK, Failure, unusable
from verifier.help import Pair

HELP: Final = (
    """\
Private fields of a contract: names, phone numbers, wallets.

The chain has a commitment to them and nothing else. The fields themselves are kept, sealed, by the
custodian's own node; only the custodian's token writes and erases, only it and the consumer's read.

examples:
  evidence-ledger private put m-yoga-2026-0001 fields.json --api https://bank.example:8443
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone \\
      --api https://bank.example:8443
""",
    """\
合同的非公开信息：姓名、电话、钱包。

链上只有对它们的承诺，别无其他。信息本身由托管机构自己的节点加密保存；只有托管机
构的令牌可以存入和删除，只有它和消费者的令牌可以读取。

示例：
  evidence-ledger private put m-yoga-2026-0001 fields.json \\
      --api https://bank.example:8443
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone \\
      --api https://bank.example:8443
""",
)

PUT_HELP: Final = (
    """\
Keep private fields, and print the commitment that belongs on the chain.

FILE is a JSON object of names and values, such as {"name": "张小宝", "phone": "13800138000"}. The
commitment goes into contract.signed (persons.party, …), prepaid.open (consumer) or, later, into
private.committed. A correction names the commitment of the newest record with --replaces.

example:
  evidence-ledger private put m-yoga-2026-0001 fields.json --api https://bank.example:8443 \\
      --token-file bank.token
""",
    """\
存入非公开信息，并显示应当上链的承诺。

FILE 是由名称与值组成的 JSON 对象，例如
{"name": "张小宝", "phone": "13800138000"}。承诺写入 contract.signed
（persons.party 等）、prepaid.open（consumer），或事后写入 private.committed。
更正时以 --replaces 指明最新一份的承诺。

示例：
  evidence-ledger private put m-yoga-2026-0001 fields.json \\
      --api https://bank.example:8443 --token-file bank.token
""",
)

SHOW_HELP: Final = (
    """\
Print the private fields of a contract, with every correction.

example:
  evidence-ledger private show m-yoga-2026-0001 --api https://bank.example:8443
""",
    """\
显示合同的非公开信息及其全部更正。

示例：
  evidence-ledger private show m-yoga-2026-0001 --api https://bank.example:8443
""",
)

DISCLOSE_HELP: Final = (
    """\
Fetch a disclosure of chosen fields, with what proves them.

With --into it becomes part of an evidence file of that contract, which has to verify with it.
`verify` says which fields are shown, which are withheld, and that those are unchanged.

example:
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone \\
      --api https://bank.example:8443 --into m-yoga.history.json -o court.json
""",
    """\
取得所选各项信息的披露，连同证明。

给出 --into 时，披露加入该合同的存证文件，须一并通过核验；verify 说明显示了
哪些，未披露哪些，以及未披露的没有改动。

示例：
  evidence-ledger private disclose m-yoga-2026-0001 --fields name,phone \\
      --api https://bank.example:8443 --into m-yoga.history.json \\
      -o court.json
""",
)

ERASE_HELP: Final = (
    """\
Destroy the private fields of a contract, salts and values, for good.

The commitments stay on the chain, and nobody can open them any more. There is no way back, so the
contract's id is asked for twice.

example:
  evidence-ledger private erase m-yoga-2026-0001 --confirm m-yoga-2026-0001 \\
      --api https://bank.example:8443
""",
    """\
彻底删除合同的非公开信息，包括盐与值。

承诺仍在链上，但再无人能够打开。删除不可恢复，因此合同编号须给出两次。

示例：
  evidence-ledger private erase m-yoga-2026-0001 \\
      --confirm m-yoga-2026-0001 --api https://bank.example:8443
""",
)

FIELDS_BYTES_MAX: Final = 256 * 1024


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "private", ("private fields beside the chain", "链外的非公开信息"), HELP
    )
    say = parser.say
    actions = parser.add_subparsers(metavar="action", required=True)
    put = _add(
        actions,
        "put",
        ("keep fields, print their commitment", "存入信息，显示其承诺"),
        PUT_HELP,
        run_put,
    )
    put.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help=say("JSON object of fields", "载有各项信息的 JSON 对象"),
    )
    put.add_argument(
        "--replaces",
        metavar="HASH",
        help=say("commitment of the record it corrects", "所更正的那一份的承诺"),
    )
    _add(
        actions,
        "show",
        ("print the fields, with every correction", "显示信息及其全部更正"),
        SHOW_HELP,
        run_show,
    )
    disclose = _add(
        actions, "disclose", ("show chosen fields", "选择披露"), DISCLOSE_HELP, run_disclose
    )
    disclose.add_argument(
        "--fields",
        required=True,
        metavar="NAMES",
        help=say("names of fields, joined by commas", "各项信息的名称，以逗号分隔"),
    )
    disclose.add_argument(
        "--commitment",
        metavar="HASH",
        help=say("of which record (default: newest)", "哪一份（默认：最新一份）"),
    )
    disclose.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help=say("evidence file that the disclosure is put into", "披露所加入的存证文件"),
    )
    add_output_option(disclose)
    erase = _add(
        actions, "erase", ("destroy the fields for good", "彻底删除"), ERASE_HELP, run_erase
    )
    erase.add_argument(
        "--confirm",
        required=True,
        metavar="CONTRACT",
        help=say("the id once more", "再次给出合同编号"),
    )


def _add(
    actions: argparse._SubParsersAction[Parser], name: str, summary: Pair, text: Pair, run: Any
) -> Parser:
    parser = add_command(actions, name, summary, text)
    say = parser.say
    parser.add_argument("contract", metavar="CONTRACT", help=say("contract's id", "合同编号"))
    group = parser.add_argument_group(say("which node", "连接哪个节点"))
    group.add_argument(
        "--api",
        required=True,
        metavar="URL",
        help=say("the API of the custodian's own node", "托管机构自己的节点的接口网址"),
    )
    group.add_argument(
        "--authority",
        type=Path,
        metavar="PEM",
        help=say("certificate that signed the node's", "节点证书的签发者证书"),
    )
    add_token_option(group, say)
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
    from verifier.report import describe_failure
    from verifier.trust_root import compute_chain_id
    from verifier.verify import verify_evidence

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
            document = json.loads(raw)
            chain_id = compute_chain_id(base64.b64decode(document["genesis"], validate=True))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise unusable(
                f"{arguments.into} is no evidence file.", f"{arguments.into} 不是存证文件。"
            ) from None
        failed = verify_evidence(raw, chain_id).failed  # by its own genesis: whose, others judge
        if failed is not None:
            why = describe_failure(failed)
            raise Failure(
                f"{arguments.into} with this disclosure does not verify, and nothing is written: "
                f"{why.en}",
                f"{arguments.into} 加入该披露后不能通过核验，未写出任何文件：{why.zh}",
            )
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
