"""`statement`: sign a SCITT statement, register it, and write it with its receipts and evidence.

The issuer's key signs twice: the statement (COSE, RFC 9943), and the `attest` that registers it.
Nodes are believed in nothing: what they answered is verified, as a court would, before it is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    add_output_option,
    add_passphrase_option,
    check_output,
    make_clients,
    read_input,
    write_output,
)
from cli.failure import OK, Failure, unusable
from cli.passed_on import explain
from cli.refusals import check_tx_id

if TYPE_CHECKING:
    from cli.client import Client
    from genesis.document import Genesis
    from ledger.scitt import Statement
    from ledger.signing import Signer

HELP: Final = (
    """\
SCITT statements (RFC 9943): signed, registered on the chain, verified by others.

A statement is what a party of a contract says of a transaction, in COSE, signed with the party's
key. An attest puts its hash on the chain; receipts (RFC 9942) make of it a Transparent Statement.

examples:
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… --issuer m-yoga \\
      --document report.pdf --type application/pdf --keys keys.json --devnet ./net -o report.cose
  evidence-ledger verify report.cose --genesis-hash HASH
""",
    """\
SCITT 声明（RFC 9943）：签名、登记上链、由他人核验。

声明是合同一方就某笔交易所作的表示，采用 COSE 格式，以该方密钥签名。attest 将其
哈希登记上链；附上收据（RFC 9942）即成透明声明。

示例：
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… \\
      --issuer m-yoga --document report.pdf --type application/pdf \\
      --keys keys.json --devnet ./net -o report.cose
  evidence-ledger verify report.cose --genesis-hash HASH
""",
)

REGISTER_HELP: Final = (
    """\
Sign a statement and register it, or register one signed elsewhere.

With --document the statement is made here: it has the document's SHA-256 (RFC 9995), or with
--inline the document itself. With --statement it was made by another COSE tool, with the issuer's
key: alg EdDSA, kid the COSE Key Thumbprint, claims iss <origin>/<party> and sub
urn:evidence-ledger:transaction:<tx_id>. The issuer is a party of the contract, or an institution.

The file written holds the statement, receipts of every node that answers, and the evidence of the
entry, which takes an access token for the contract. It is verified before it is written.

examples:
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… --issuer m-yoga \\
      --document report.pdf --type application/pdf --keys keys.json --devnet ./net -o report.cose
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… --issuer bank-a \\
      --statement signed.cose --home ./home --api https://node.example:8443 -o report.cose
""",
    """\
签署声明并登记，或登记在别处签署的声明。

给出 --document 时，声明在此制作：内容为该文件的 SHA-256（RFC 9995），加
--inline 则为文件本身。给出 --statement 时，声明已由其他 COSE 工具以签发者的密钥
制作：alg 为 EdDSA，kid 为 COSE Key Thumbprint，声明项 iss 为 <origin>/<party>，
sub 为 urn:evidence-ledger:transaction:<tx_id>。签发者是合同一方，或一家机构。

写出的文件含有声明、每个应答节点的收据以及该条目的证据；取得证据须有该合同的访问
令牌。写出之前先行核验。

示例：
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… \\
      --issuer m-yoga --document report.pdf --type application/pdf \\
      --keys keys.json --devnet ./net -o report.cose
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… \\
      --issuer bank-a --statement signed.cose --home ./home \\
      --api https://node.example:8443 -o report.cose
""",
)

COLLECT_HELP: Final = (
    """\
Fetch receipts and evidence of a statement that is registered already.

example:
  evidence-ledger statement collect signed.cose --entry 4be1… --devnet ./net -o report.cose
""",
    """\
取得已登记的声明的收据与证据。

示例：
  evidence-ledger statement collect signed.cose --entry 4be1… \\
      --devnet ./net -o report.cose
""",
)

EXTRACT_HELP: Final = (
    """\
Take a part out of a Transparent Statement.

evidence: the evidence file of the entry, for certificates and the verification page; payload: what
the issuer said (or the SHA-256 of it); statement: what was registered, without receipts.

example:
  evidence-ledger statement extract report.cose --part evidence -o report.evidence.json
""",
    """\
取出透明声明的一部分。

evidence：条目的存证文件，可用于证书与核验网页；payload：签发者的声明内容（或其
SHA-256）；statement：所登记的声明，不含收据。

示例：
  evidence-ledger statement extract report.cose --part evidence \\
      -o report.evidence.json
""",
)

SAYS: Final = ("witnessed", "confirmed", "objected", "reversed")
"""What an attest may say (`contracts.attest.STATEMENTS`); the first is the default."""

PARTS_ZH: Final = {"evidence": "存证文件", "payload": "声明内容", "statement": "声明"}


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "statement", ("SCITT statements", "SCITT 声明"), HELP)
    say = parser.say
    actions = parser.add_subparsers(metavar="action", required=True)
    register = add_command(
        actions, "register", ("sign a statement, register it", "签署声明并登记"), REGISTER_HELP
    )
    register.add_argument("contract", metavar="CONTRACT", help=say("contract's id", "合同编号"))
    register.add_argument(
        "--about",
        required=True,
        metavar="TX_ID",
        help=say("transaction that it speaks of", "声明所述的交易"),
    )
    register.add_argument(
        "--issuer", required=True, metavar="PARTY", help=say("who says it", "声明的签发者")
    )
    what = register.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--document", type=Path, metavar="FILE", help=say("what is stated", "声明的内容")
    )
    what.add_argument(
        "--statement",
        type=Path,
        metavar="FILE",
        help=say("a COSE_Sign1 made elsewhere", "在别处制作的 COSE_Sign1"),
    )
    register.add_argument(
        "--type", metavar="TYPE", help=say("media type of the document", "文件的媒体类型")
    )
    register.add_argument(
        "--inline",
        action="store_true",
        help=say("the document itself, not its hash", "写入文件本身，而非其哈希"),
    )
    register.add_argument(
        "--say",
        choices=SAYS,
        default=SAYS[0],
        metavar="WORD",
        help=say(
            "witnessed, confirmed, objected or reversed (default: %(default)s)",
            "作何表示：witnessed 见证、confirmed 确认、objected 有异议、reversed 收回"
            "（默认：%(default)s）",
        ),
    )
    register.add_argument(
        "--keys",
        type=Path,
        metavar="KEYS",
        help=say("seeds of the signing parties", "各签名主体的密钥种子"),
    )
    register.add_argument(
        "--home",
        type=Path,
        metavar="HOME",
        help=say("a node's home: sign as its institution", "节点目录：以该机构的名义签名"),
    )
    _finish(register, run_register)
    add_passphrase_option(register)
    collect = add_command(
        actions, "collect", ("fetch receipts and evidence", "取得收据与证据"), COLLECT_HELP
    )
    collect.add_argument(
        "statement", type=Path, metavar="FILE", help=say("the signed statement", "已签名的声明")
    )
    collect.add_argument(
        "--entry",
        required=True,
        metavar="TX_ID",
        help=say("that registered it", "登记该声明的交易"),
    )
    _finish(collect, run_collect)
    extract = add_command(
        actions, "extract", ("take a part out of it", "取出其中一部分"), EXTRACT_HELP
    )
    extract.add_argument(
        "file", type=Path, metavar="FILE", help=say("a Transparent Statement", "透明声明")
    )
    extract.add_argument(
        "--part",
        choices=("evidence", "payload", "statement"),
        required=True,
        help=say("which", "取出哪一部分"),
    )
    add_output_option(extract)
    extract.set_defaults(run=run_extract)


def _finish(parser: Parser, run: object) -> None:
    say = parser.say
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help=say("the file to write", "写出的文件")
    )
    add_node_options(parser)
    parser.set_defaults(run=run)


def run_register(arguments: argparse.Namespace) -> int:
    """Make or read a statement, register it, write the Transparent Statement."""
    import time

    from cli.client import ask_first
    from cli.drafts import Draft, complete_body
    from cli.submit_command import read_institution, read_signers
    from ledger.cose_statement import with_envelope
    from ledger.refusal import Rejected
    from ledger.scitt import ATTEST, check_registration
    from ledger.transaction import compute_tx_id, sign_transaction

    about = check_tx_id(arguments.about)
    check_output(arguments.output)
    signers = read_signers(arguments.keys, arguments.devnet)
    if arguments.home is not None:
        signers |= read_institution(arguments.home, arguments.passphrase_file)
    signer = signers.get(arguments.issuer)
    if signer is None:
        raise unusable(
            f"No key is given for {arguments.issuer}.", f"未给出 {arguments.issuer} 的密钥。"
        )
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in make_clients(arguments)]
        genesis = _fetch_genesis(clients)
        if arguments.statement is not None:
            statement = _read(arguments.statement, ())
        else:
            statement = _sign(arguments, genesis, about, signer)
        data = {"note_hash": statement.digest.hex(), "statement": arguments.say, "tx_id": about}
        body = complete_body(
            Draft(
                kind=ATTEST,
                data=data,
                stream=f"contract/{arguments.contract.removeprefix('contract/')}",
                reference=f"scitt-{statement.digest.hex()[:32]}",
                signers=[arguments.issuer],
            ),
            time.time_ns() // 1_000_000 + genesis.parameters.replay_window_ms // 2,
            {},
        )
        try:
            check_registration(
                statement,
                genesis.origin,
                {"kind": ATTEST, "data": data},
                {arguments.issuer: signer.public_key},
            )
        except Rejected as rejected:
            raise unusable(
                f"It cannot be registered: {rejected.detail}.",
                f"该声明不能登记：{explain(rejected)}。",
            ) from None
        envelope = sign_transaction(body, genesis.chain_id, [signer])
        tx_id = compute_tx_id(body).hex()
        registered = with_envelope(statement, envelope)
        ask_first(clients, lambda client: client.register(registered))
        print(f"Registered by transaction {tx_id}. 已由该交易登记。")
        raw = _collect(clients, genesis, statement, tx_id)
    write_output(arguments.output, raw, "the Transparent Statement", "透明声明")
    return OK


def run_collect(arguments: argparse.Namespace) -> int:
    """Fetch receipts and evidence of a registered statement."""
    from ledger.scitt import ENVELOPE, EVIDENCE, RECEIPTS

    tx_id = check_tx_id(arguments.entry)
    check_output(arguments.output)
    statement = _read(arguments.statement, (ENVELOPE, EVIDENCE, RECEIPTS))
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in make_clients(arguments)]
        raw = _collect(clients, _fetch_genesis(clients), statement, tx_id)
    write_output(arguments.output, raw, "the Transparent Statement", "透明声明")
    return OK


def run_extract(arguments: argparse.Namespace) -> int:
    """Take a part out."""
    from ledger.scitt import ENVELOPE, EVIDENCE, RECEIPTS

    statement = _read(arguments.file, (ENVELOPE, EVIDENCE, RECEIPTS))
    parts = {
        "evidence": statement.evidence,
        "payload": statement.payload,
        "statement": statement.registered,
    }
    part = parts[arguments.part]
    if part is None:
        raise unusable(
            f"{arguments.file} has no evidence in it.", f"{arguments.file} 中没有存证文件。"
        )
    write_output(arguments.output, part, f"the {arguments.part}", PARTS_ZH[arguments.part])
    return OK


def _sign(arguments: argparse.Namespace, genesis: Genesis, about: str, signer: Signer) -> Statement:
    from ledger.cose_statement import sign_statement
    from ledger.hashing import sha256
    from ledger.scitt import format_issuer, format_subject

    if arguments.type is None:
        raise unusable(
            "--document needs its media type: --type application/pdf, say.",
            "--document 须注明媒体类型，例如 --type application/pdf。",
        )
    document = read_input(arguments.document)
    raw = sign_statement(
        document if arguments.inline else sha256(document),
        arguments.type,
        issuer=format_issuer(genesis.origin, arguments.issuer),
        subject=format_subject(about),
        signer=signer,
        is_hash=not arguments.inline,
    )
    return _parse(raw, (), str(arguments.document))


def _read(path: Path, labels: Sequence[int]) -> Statement:
    from ledger.evidence import FILE_BYTES_MAX

    return _parse(read_input(path, FILE_BYTES_MAX), labels, str(path))


def _parse(raw: bytes, labels: Sequence[int], name: str) -> Statement:
    from ledger.evidence import FILE_BYTES_MAX
    from ledger.refusal import Rejected
    from ledger.scitt import read_statement

    try:
        return read_statement(raw, labels, FILE_BYTES_MAX)
    except Rejected as rejected:
        raise unusable(
            f"{name}: {rejected.detail}.", f"{name} 不是可读的声明，原因见上一行。"
        ) from None


def _fetch_genesis(clients: Sequence[Client]) -> Genesis:
    from cli.client import ask_first
    from genesis.document import parse_genesis

    return parse_genesis(ask_first(clients, lambda client: client.genesis()))


def _collect(
    clients: Sequence[Client], genesis: Genesis, statement: Statement, tx_id: str
) -> bytes:
    """Return the Transparent Statement, with a receipt of each node that gives one, verified."""
    from cli.client import ApiError, Unreachable
    from ledger.cose_statement import make_transparent
    from verifier.report import describe_failure
    from verifier.verify import verify_evidence

    receipts: dict[bytes, None] = {}
    evidence = b""
    last: Failure | None = None
    for client in clients:
        try:
            receipts[client.entry_receipt(tx_id)] = None
            evidence = evidence or client.evidence(tx_id)
        except (ApiError, Unreachable) as error:
            last = error
    if not receipts or not evidence:
        why, why_zh = (last.english, last.chinese) if last is not None else ("", "")
        raise Failure(
            f"Transaction {tx_id} registers it, but receipts and evidence could not be fetched: "
            f"{why} Fetch them later with `evidence-ledger statement collect`.",
            f"交易 {tx_id} 已登记该声明，但未能取得收据与证据：{why_zh}"
            "可稍后以 evidence-ledger statement collect 取得。",
        )
    raw = make_transparent(statement, list(receipts), evidence)
    failed = verify_evidence(raw, genesis.chain_id).failed
    if failed is not None:
        reason = describe_failure(failed)
        raise Failure(
            f"What the nodes answered does not verify, and nothing is written: {reason.en}",
            f"节点的答复未通过核验，未写出任何文件：{reason.zh}",
        )
    return raw
