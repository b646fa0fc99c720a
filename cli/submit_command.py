"""`submit`: sign receipts and put them on the chain through one node or several.

See `cli.drafts` for the file, `cli.submission` for the order. A transaction that the contracts
refuse is on the chain as well: the attempt is evidence too, and no failure of the command.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    add_passphrase_option,
    check_output,
    make_clients,
    passphrase_prompt,
    write_output,
)
from cli.failure import FAILED, OK, unusable
from cli.refusals import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.promises import PromiseBook
    from cli.submission import Result
    from ledger.signing import Signer

HELP: Final = (
    """\
Sign receipts and submit them.

FILE holds one JSON object a line (or a JSON list): drafts, to which salt, deadline and signatures
are added here, or transactions signed elsewhere. A transaction is sent once the one before it in
its stream is on the chain; --any-order sends everything at once.

KEYS is a JSON object {"<party>": "<seed in hex>", …}, readable by you only; --devnet brings the
demo submitters' own. An institution signs with the party key that lies sealed in its node's HOME
(registering a merchant, say); the node may run meanwhile.

A node answers what it takes in with a signed promise of a height. --keep writes promises, and what
they are about, to a new file as they come: with it whoever broke one is convicted, see
evidence-ledger proof omission --help. The file may be submitted again, at another node.

examples:
  evidence-ledger submit examples/week.jsonl --devnet ./net
  evidence-ledger submit receipts.jsonl --api https://ledger.bank-a.example:8443 --keys keys.json \\
      --sign batch --wait certified --output results.jsonl
  evidence-ledger submit receipts.jsonl --api https://ledger.bank-a.example:8443 --keys keys.json \\
      --keep promises.jsonl
  evidence-ledger submit register.json --api https://ledger.bank-a.example:8443 --home ./home

exit status: 0 everything is on the chain (applied or refused), 1 something was not taken in
""",
    """\
签署凭证并提交。

FILE 每行一个 JSON 对象（或为一个 JSON 列表）：可为草稿，由本命令补上盐、截止时
间与签名；也可为在别处签署的交易。同一记录流中，前一笔上链之后才发送下一笔；加
--any-order 则一并发送。

KEYS 是 JSON 对象 {"<主体>": "<十六进制种子>", …}，须只有您可读取；--devnet 自带
示例提交主体的密钥。机构以其节点目录 HOME 中加密保存的主体密钥签名（例如登记经营
者时）；节点可同时运行。

节点对收下的交易，答以签名的承诺：至迟在某一高度上链。--keep 随收随写，将承诺与
所承诺的交易存入新文件；有节点违背承诺时，可凭此证明，参见
evidence-ledger proof omission --help。该文件可原样再提交给其他节点。

示例：
  evidence-ledger submit examples/week.jsonl --devnet ./net
  evidence-ledger submit receipts.jsonl --keys keys.json \\
      --api https://ledger.bank-a.example:8443 \\
      --sign batch --wait certified --output results.jsonl
  evidence-ledger submit receipts.jsonl --keys keys.json \\
      --api https://ledger.bank-a.example:8443 --keep promises.jsonl
  evidence-ledger submit register.json --home ./home \\
      --api https://ledger.bank-a.example:8443

退出码：0 全部上链（已执行或被拒绝）；1 有未被收下的
""",
)


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "submit", ("sign receipts and submit them", "签署凭证并提交"), HELP
    )
    say = parser.say
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=say("JSON or JSONL; see above", "JSON 或 JSONL，见上文"),
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="KEYS",
        help=say("seeds of the signing parties", "各签名主体的密钥种子"),
    )
    parser.add_argument(
        "--home",
        type=Path,
        metavar="HOME",
        help=say("a node's home: sign as its institution", "节点目录：以该机构的名义签名"),
    )
    parser.add_argument(
        "--sign",
        choices=("each", "batch"),
        default="each",
        help=say(
            "each: one signature a transaction (default); batch: one over many of a submitter",
            "each：每笔交易一个签名（默认）；batch：同一提交主体的多笔交易合用一个签名",
        ),
    )
    parser.add_argument(
        "--wait",
        choices=("committed", "certified"),
        default="committed",
        help=say(
            "committed: a quorum decided (default); certified: a checkpoint covers all",
            "committed：法定多数已决定（默认）；certified：已为检查点所涵盖",
        ),
    )
    parser.add_argument(
        "--any-order",
        action="store_true",
        help=say("do not keep streams in order", "不按记录流的先后次序发送"),
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help=say("results, one JSON object a line", "结果，每行一个 JSON 对象"),
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help=say(
            "promises of the nodes, one JSON object a line",
            "保存节点的承诺，每行一个 JSON 对象",
        ),
    )
    add_node_options(parser)
    add_passphrase_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Submit a file."""
    import time

    from cli.client import ask_first
    from cli.drafts import read_items
    from cli.progress import show_progress
    from cli.promises import PromiseBook
    from cli.submission import Submitter, summarise
    from genesis.document import parse_genesis

    items = read_items(arguments.file)
    check_output(arguments.output)
    signers = read_signers(arguments.keys, arguments.devnet)
    if arguments.home is not None:
        signers |= read_institution(arguments.home, arguments.passphrase_file)
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in make_clients(arguments)]
        genesis = parse_genesis(ask_first(clients, lambda client: client.genesis()))
        promises = None
        if arguments.keep is not None:
            promises = stack.enter_context(PromiseBook.create(arguments.keep, genesis))
        submitter = Submitter(
            genesis=genesis,
            clients=clients,
            signers=signers,
            now_ms=lambda: time.time_ns() // 1_000_000,
            is_batch=arguments.sign == "batch",
            level=arguments.wait,
            promises=promises,
        )
        begun = time.monotonic()
        try:
            with show_progress("settled 已有结果", len(items)) as progress:
                results = submitter.submit(items, progress, is_ordered=not arguments.any_order)
        except BaseException:  # what is on the chain stays there: its results must not be lost
            if submitter.settled:
                done = len(submitter.settled)
                print(
                    f"Broken off: {done} of {len(items)} have a result. 中断：{done} 笔已有结果。"
                )
                _write_results(arguments.output, submitter.settled)
            _tell_promises(promises)
            raise
    seconds = f"{time.monotonic() - begun:.1f}"
    print(f"{len(results)} transactions in {seconds} s. 共 {len(results)} 笔，用时 {seconds} 秒。")
    for sentence in summarise(results):
        print(sentence)
    _write_results(arguments.output, results)
    _tell_promises(promises)
    return FAILED if any(one.status == "rejected" for one in results) else OK


def _write_results(output: Path | None, results: Sequence[Result]) -> None:
    import dataclasses

    import msgspec

    if output is not None:
        lines = b"".join(msgspec.json.encode(dataclasses.asdict(one)) + b"\n" for one in results)
        write_output(output, lines, "the results", "结果")


def _tell_promises(promises: PromiseBook | None) -> None:
    """Say what was kept, and which nodes' receipts prove nothing."""
    if promises is None:
        return
    from cli.passed_on import explain

    if promises.count:
        print(
            f"Kept {promises.count} promises in {promises.path}. "
            f"已将 {promises.count} 项承诺存入该文件。"
        )
    else:
        print("No promise was kept, so there is no file of them. 没有可保存的承诺，未留下文件。")
    for url, rejected in promises.worthless.items():
        print(
            f"{url} gave no receipt, or one that proves nothing, not kept: {rejected.detail}. "
            f"该节点未给出回执，或其回执无证明力，未予保存：{explain(rejected)}。"
        )


def read_signers(keys: Path | None, devnet: Path | None) -> dict[str, Signer]:
    """Return the signers of a key file, and of a devnet's demo submitters and institutions."""
    import msgspec

    from ledger.signing import SeedSigner
    from node.private_files import readable_by_others

    seeds: dict[str, str] = {}
    if devnet is not None:
        from cli.devnet_state import read_state

        state = read_state(devnet)
        seeds |= {who.party: who.seed for who in state.submitters}
        seeds |= {one.id: one.party_seed for one in state.institutions}
    if keys is not None:
        try:
            if readable_by_others(keys):
                raise unusable(
                    f"{keys} is open to other users; run: chmod 600 {keys}",
                    f"其他用户可读取 {keys}；请执行 chmod 600 {keys}",
                )
            seeds |= msgspec.json.decode(keys.read_bytes(), type=dict[str, str])
        except OSError as error:
            raise unreadable(keys, error) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise unusable(
                f"{keys} is not a JSON object of seeds: {error}.",
                f"{keys} 不是载有密钥种子的 JSON 对象。",
            ) from None
    try:
        return {party: SeedSigner(bytes.fromhex(seed)) for party, seed in seeds.items()}
    except ValueError:
        raise unusable(
            f"{keys}: a seed is not 64 hex digits.", f"{keys}：有种子不是 64 位十六进制数。"
        ) from None


def read_institution(path: Path, passphrase_file: Path | None) -> dict[str, Signer]:
    """Return the signer of a home's institution: its party key, sealed in the keystore."""
    import os

    from cli.founding import read_genesis
    from node.config import load_config
    from node.home import NodeHome
    from node.keystore import KeyPurpose, Keystore, read_passphrase

    home = NodeHome(path)
    config = load_config(home)
    file = passphrase_file
    if file is None and config.keys.passphrase_file:
        file = home.resolve(config.keys.passphrase_file)
    passphrase = read_passphrase(file, environ=os.environ, prompt=passphrase_prompt(is_new=False))
    keystore = Keystore.open(home.resolve(config.keys.keystore), passphrase)
    institutions = read_genesis(home.resolve(config.genesis)).institutions
    return {institutions[config.replica].id: keystore.signer(KeyPurpose.PARTY)}
