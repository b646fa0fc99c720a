"""`proof …`, `evidence`, `history`, `claim`: files that a court verifies offline, from any node.

What comes from a node is not believed here either: `verify` is the judge. A proof that no certified
checkpoint covers yet is waited for. Times are given as people write them, with their zone, or in
milliseconds; what is asked of a node is milliseconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.argument_refusals import unfit
from cli.arguments import (
    Parser,
    add_command,
    add_node_options,
    add_output_option,
    make_clients,
    read_input,
    write_output,
)
from cli.failure import OK, Failure, unusable
from cli.passed_on import explain
from cli.refusals import check_tx_id, no_node
from verifier.help import Pair

if TYPE_CHECKING:
    from cli.client import Client

PROOF_HELP: Final = (
    """\
Fetch one proof: of what was, of what was not, of who signed, of a word that was broken.

examples:
  evidence-ledger proof inclusion 9f2c… --devnet ./net -o 9f2c.tlog-proof
  evidence-ledger proof consistency 100 250 --devnet ./net -o grown.json
  evidence-ledger proof state contract/m-yoga-2026-0001 --devnet ./net
  evidence-ledger proof window m-yoga-2026-0001 --from 2026-03-01T00:00+08:00 \\
      --until 2026-04-01T00:00+08:00 --kind service.delivered --devnet ./net -o none.json
  evidence-ledger proof balance m-yoga-2026-0001 --until 2026-04-01T00:00+08:00 \\
      --stated 45000 --devnet ./net
  evidence-ledger proof terms m-yoga-2026-0001 --at 2026-03-15T12:00+08:00 --devnet ./net
  evidence-ledger proof attestation m-yoga-2026-0001 9f2c… --devnet ./net
  evidence-ledger proof production m-yoga-2026-0001 77ab… --devnet ./net
  evidence-ledger proof omission m-yoga-2026-0001 --kept promises.jsonl --devnet ./net
  evidence-ledger proof equivocation bank-c --devnet ./net
  evidence-ledger proof post-quantum card.evidence.json --devnet ./net -o lasting.json
  evidence-ledger proof timestamps card.evidence.json --devnet ./net -o stamped.json
  evidence-ledger verify none.json --genesis-hash HASH
""",
    """\
取得一项证明：曾有什么、没有什么、谁签了名、谁违背了承诺。

示例：
  evidence-ledger proof inclusion 9f2c… --devnet ./net -o 9f2c.tlog-proof
  evidence-ledger proof consistency 100 250 --devnet ./net -o grown.json
  evidence-ledger proof state contract/m-yoga-2026-0001 --devnet ./net
  evidence-ledger proof window m-yoga-2026-0001 \\
      --from 2026-03-01T00:00+08:00 --until 2026-04-01T00:00+08:00 \\
      --kind service.delivered --devnet ./net -o none.json
  evidence-ledger proof balance m-yoga-2026-0001 \\
      --until 2026-04-01T00:00+08:00 --stated 45000 --devnet ./net
  evidence-ledger proof terms m-yoga-2026-0001 \\
      --at 2026-03-15T12:00+08:00 --devnet ./net
  evidence-ledger proof attestation m-yoga-2026-0001 9f2c… --devnet ./net
  evidence-ledger proof production m-yoga-2026-0001 77ab… --devnet ./net
  evidence-ledger proof omission m-yoga-2026-0001 --kept promises.jsonl \\
      --devnet ./net
  evidence-ledger proof equivocation bank-c --devnet ./net
  evidence-ledger proof post-quantum card.evidence.json --devnet ./net \\
      -o lasting.json
  evidence-ledger proof timestamps card.evidence.json --devnet ./net \\
      -o stamped.json
  evidence-ledger verify none.json --genesis-hash HASH
""",
)

EVIDENCE_HELP: Final = (
    """\
Fetch a transaction's evidence file: everything `verify` needs, in one file.

example:
  evidence-ledger evidence 9f2c… --devnet ./net -o card.evidence.json
  evidence-ledger verify card.evidence.json --genesis-hash HASH
""",
    """\
取得一笔交易的存证文件：verify 所需的一切都在这一个文件之中。

示例：
  evidence-ledger evidence 9f2c… --devnet ./net -o card.evidence.json
  evidence-ledger verify card.evidence.json --genesis-hash HASH
""",
)

HISTORY_HELP: Final = (
    """\
Fetch a contract's complete history with the proof that nothing is left out.

example:
  evidence-ledger history m-yoga-2026-0001 --devnet ./net -o m-yoga.history.json
  evidence-ledger verify m-yoga.history.json --genesis-hash HASH
""",
    """\
取得合同的完整记录，连同没有遗漏的证明。

示例：
  evidence-ledger history m-yoga-2026-0001 --devnet ./net \\
      -o m-yoga.history.json
  evidence-ledger verify m-yoga.history.json --genesis-hash HASH
""",
)

CLAIM_HELP: Final = (
    """\
Fetch the proof that a contract is in its merchant's total.

One contract is shown with its own rows. Several are a class: so many contracts, so much in all,
none counted twice, and not whose they are.

examples:
  evidence-ledger claim m-yoga-2026-0001 --devnet ./net -o m-yoga.claim.json
  evidence-ledger claim m-yoga-2026-0001 m-yoga-2026-0007 --devnet ./net -o class.json
  evidence-ledger verify class.json --genesis-hash HASH
""",
    """\
取得合同计入经营者合计的证明。

一份合同的，显示其自身各项。多份合同为集体证明：份数与合计，不重复计算，不显示属
于谁。

示例：
  evidence-ledger claim m-yoga-2026-0001 --devnet ./net -o m-yoga.claim.json
  evidence-ledger claim m-yoga-2026-0001 m-yoga-2026-0007 --devnet ./net \\
      -o class.json
  evidence-ledger verify class.json --genesis-hash HASH
""",
)

_TX_ID: Final = re.compile(r"[0-9a-f]{64}")

Fetch = Callable[["Client", argparse.Namespace], bytes]


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    proof = add_command(
        commands, "proof", ("fetch one proof for a court", "取得一项证明，供法院使用"), PROOF_HELP
    )
    say = proof.say
    kinds = proof.add_subparsers(dest="kind", metavar="kind", required=True)
    one = _add(
        kinds,
        "inclusion",
        ("a transaction's C2SP tlog-proof (hashes only)", "一笔交易的 C2SP tlog-proof（只含哈希）"),
        _inclusion,
    )
    one.add_argument(
        "of", metavar="TX_ID", help=say("transaction id, 64 hex digits", "交易号，64 位十六进制")
    )
    one = _add(kinds, "consistency", ("that the log only grew", "日志只增不改的证明"), _consistency)
    one.add_argument(
        "older",
        metavar="OLDER_HEIGHT",
        type=_height,
        help=say("height of the earlier block", "较早区块的高度"),
    )
    one.add_argument(
        "newer",
        metavar="NEWER_HEIGHT",
        type=_height,
        help=say("height of the later block", "较晚区块的高度"),
    )
    one = _add(
        kinds,
        "state",
        ("a stream's value, or that there is none", "记录流的状态，或不存在的证明"),
        _state,
    )
    one.add_argument(
        "of",
        metavar="STREAM",
        help=say("such as contract/m-yoga-2026-0001", "记录流，例如 contract/m-yoga-2026-0001"),
    )
    one = _add_question(
        kinds,
        "window",
        (
            "what stands in a span of time, or that nothing does",
            "一段时间内有哪些记录，或没有任何记录",
        ),
    )
    _add_span(one, is_from_needed=True)
    one.add_argument(
        "--kind", dest="kind_names", action="append", default=[], metavar="KIND",
        help=say(
            "look for these kinds of transaction (default: all); may be repeated",
            "所查找的交易类型（默认：全部）；可多次给出",
        ),
    )  # fmt: skip
    one = _add_question(
        kinds,
        "balance",
        (
            "opening + paid in − delivered − refunded = stated",
            "期初 + 预付 − 交付 − 退款 = 所称余额",
        ),
    )
    _add_span(one, is_from_needed=False)
    one.add_argument(
        "--stated",
        type=_fen,
        required=True,
        metavar="FEN",
        help=say("what is claimed", "所称的余额，以分计"),
    )
    one = _add_question(kinds, "terms", ("the terms in force at a moment", "某一时刻有效的条款"))
    one.add_argument(
        "--at",
        type=_time,
        required=True,
        metavar="TIME",
        help=say(
            "the moment, such as 2026-03-15T12:00+08:00, or ms since 1970",
            "时刻，例如 2026-03-15T12:00+08:00，或自 1970 年起的毫秒数",
        ),
    )
    one.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help=say("the terms, to be compared", "条款文本，用以比较"),
    )
    one = _add_question(
        kinds,
        "attestation",
        ("who signed a transaction, and who did not", "一笔交易由谁签名，谁没有签名"),
    )
    one.add_argument(
        "transaction",
        metavar="TX_ID",
        type=_tx_id,
        help=say("transaction id, 64 hex digits", "交易号，64 位十六进制"),
    )
    one = _add_question(
        kinds,
        "production",
        ("that requested records were not produced in time", "所请求的记录未按期提供的证明"),
    )
    one.add_argument(
        "request",
        metavar="TX_ID",
        type=_tx_id,
        help=say("of records.requested", "records.requested 的交易号"),
    )
    one = _add_question(
        kinds, "omission", ("that a node broke its promise to include", "节点违背收录承诺的证明")
    )
    one.add_argument(
        "--kept",
        type=Path,
        metavar="FILE",
        help=say("what submit --keep wrote", "submit --keep 所写的文件"),
    )
    one.add_argument(
        "--transaction",
        type=_tx_id,
        metavar="TX_ID",
        help=say("which of it, if several", "其中哪一笔（有多笔时）"),
    )
    one.add_argument(
        "--receipt",
        type=Path,
        metavar="FILE",
        help=say("instead of --kept: its receipt", "不用 --kept 时：收录回执"),
    )
    one.add_argument(
        "--envelope",
        type=Path,
        metavar="FILE",
        help=say("and what was sent", "以及当时发送的交易（信封）"),
    )
    one = _add(
        kinds,
        "equivocation",
        ("that a validator contradicted itself", "验证者自相矛盾的证明"),
        _equivocation,
    )
    one.add_argument("of", metavar="VALIDATOR", help=say("the institution's id", "机构代号"))
    one.add_argument(
        "--number",
        type=_height,
        default=0,
        help=say("which, from 0 (default: 0)", "第几项，自 0 起（默认：0）"),
    )
    one = _add(
        kinds,
        "post-quantum",
        ("ML-DSA-44 cosignatures into a file", "将 ML-DSA-44 联署加入存证文件"),
        _post_quantum,
    )
    one.add_argument("file", metavar="FILE", type=Path, help=say("an evidence file", "存证文件"))
    one = _add(
        kinds,
        "timestamps",
        ("RFC 3161 time stamps into a file", "将 RFC 3161 时间戳加入存证文件"),
        _timestamps,
    )
    one.add_argument("file", metavar="FILE", type=Path, help=say("an evidence file", "存证文件"))
    one = _add(
        kinds, "platform", ("platform statements into a file", "将平台声明加入存证文件"), _platform
    )
    one.add_argument("file", metavar="FILE", type=Path, help=say("an evidence file", "存证文件"))
    one.add_argument(
        "--statement",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help=say(
            "another institution's, as `platform -o` wrote it; may be repeated",
            "另一机构的平台声明，即 platform -o 写出的文件；可多次给出",
        ),
    )
    summary = ("fetch a transaction's evidence file", "取得一笔交易的存证文件")
    one = add_command(commands, "evidence", summary, EVIDENCE_HELP)
    one.add_argument(
        "of", metavar="TX_ID", help=say("transaction id, 64 hex digits", "交易号，64 位十六进制")
    )
    _finish(one, "evidence", "存证文件", _evidence)
    summary = ("fetch a contract's complete history", "取得合同的完整记录")
    one = add_command(commands, "history", summary, HISTORY_HELP)
    one.add_argument("of", metavar="CONTRACT", help=say("the contract's id", "合同编号"))
    _finish(one, "history", "合同完整记录", _history)
    summary = ("prove that a contract is in its merchant's total", "证明合同已计入经营者合计")
    one = add_command(commands, "claim", summary, CLAIM_HELP)
    one.add_argument(
        "of",
        metavar="CONTRACT",
        nargs="+",
        help=say("contracts' ids, of one merchant", "合同编号，均属同一经营者"),
    )
    _finish(one, "claim", "计入经营者合计的证明", _claim)


def _add(
    kinds: argparse._SubParsersAction[Parser], name: str, summary: Pair, fetch: Fetch
) -> Parser:
    english, chinese = summary
    text = (
        f"Fetch {english}.\n\nexamples: evidence-ledger proof --help\n",
        f"{chinese}。\n\n示例见 evidence-ledger proof --help\n",
    )
    parser = add_command(kinds, name, summary, text)
    _finish(parser, f"proof of {name}", "证明文件", fetch)
    return parser


def _add_question(kinds: argparse._SubParsersAction[Parser], name: str, summary: Pair) -> Parser:
    parser = _add(kinds, name, summary, _ask)
    say = parser.say
    parser.add_argument("of", metavar="CONTRACT", help=say("the contract's id", "合同编号"))
    return parser


def _add_span(parser: Parser, *, is_from_needed: bool) -> None:
    say = parser.say
    parser.add_argument(
        "--from", dest="from_ms", type=_time, required=is_from_needed, default=0, metavar="TIME",
        help=say(
            "first moment, such as 2026-03-01T00:00+08:00, or ms since 1970",
            "起始时刻，例如 2026-03-01T00:00+08:00，或自 1970 年起的毫秒数",
        ),
    )  # fmt: skip
    parser.add_argument(
        "--until",
        dest="until_ms",
        type=_time,
        required=True,
        metavar="TIME",
        help=say("its end", "结束时刻"),
    )


def _finish(parser: Parser, what: str, what_zh: str, fetch: Fetch) -> None:
    add_output_option(parser)
    add_node_options(parser)
    parser.set_defaults(run=run, what=what, what_zh=what_zh, fetch=fetch)


def run(arguments: argparse.Namespace) -> int:
    """Fetch a file from the first node that has it."""
    from cli.client import ApiError, Unreachable

    if arguments.what in ("proof of inclusion", "evidence"):
        check_tx_id(arguments.of)
    last: Failure | None = None
    for client in make_clients(arguments):
        with client:
            try:
                content = arguments.fetch(client, arguments)
            except (ApiError, Unreachable) as error:
                last = error
                continue
        write_output(arguments.output, content, f"the {arguments.what}", arguments.what_zh)
        return OK
    raise last or no_node()


def make_question(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the question that the arguments ask."""
    match arguments.kind:
        case "window":
            return {
                "ask": "window",
                "from": arguments.from_ms,
                "kinds": sorted(set(arguments.kind_names)),
                "until": arguments.until_ms,
            }
        case "balance":
            return {
                "ask": "balance",
                "from": arguments.from_ms,
                "stated": arguments.stated,
                "until": arguments.until_ms,
            }
        case "terms":
            document = None if arguments.document is None else read_document(arguments.document)
            return {
                "ask": "terms",
                "at": arguments.at,
                "document": None if document is None else base64.b64encode(document).decode(),
            }
        case "attestation":
            return {"ask": "attestation", "transaction": arguments.transaction}
        case "production":
            return {"ask": "production", "request": arguments.request}
        case _:
            return _make_omission(arguments)


def _make_omission(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the question about a broken promise, from what was kept of it."""
    given = [arguments.receipt is not None, arguments.envelope is not None]
    if arguments.kept is not None and not any(given):
        from cli.promises import find_promise

        contract = arguments.of.removeprefix("contract/")
        kept = find_promise(arguments.kept, contract, arguments.transaction)
        envelope, receipt, batch = kept.sent, kept.receipt, kept.batch
    elif arguments.kept is None and arguments.transaction is None and all(given):
        envelope = read_input(arguments.envelope)
        receipt, batch = read_receipt(arguments.receipt, envelope)
    else:
        raise unusable(
            "Name what submit --keep wrote with --kept (and --transaction, if it has several), or "
            "both --receipt and --envelope.",
            "请以 --kept 给出 submit --keep 所写的文件（其中有多笔的，另以 --transaction 指定），"
            "或同时给出 --receipt 与 --envelope。",
        )
    return {
        "ask": "omission",
        "batch": batch,
        "envelope": base64.b64encode(envelope).decode(),
        "receipt": receipt,
    }


def read_document(path: Path) -> bytes:
    """Return the terms in the one spelling that has their hash; another document as it is.

    A template is a file for people, with line breaks; a plain prepaid contract may name the hash of
    any document.
    """
    from law.refusal import Refused
    from law.terms import read_terms

    raw = read_input(path)
    try:
        document = json.loads(raw)
        return read_terms(document).raw if isinstance(document, dict) else raw
    except (ValueError, RecursionError, Refused):
        return raw


def read_receipt(path: Path, envelope: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return a receipt, and the transaction's place under it if it is for several.

    The file holds the receipt, or what the node answered when the transaction or its batch was
    posted. Raises `Failure`.
    """
    from ledger.merkle import inclusion_proof, leaf_hash
    from ledger.refusal import Rejected
    from ledger.transaction import decode_transaction

    try:
        answer = json.loads(read_input(path))
        receipt = answer.get("receipt", answer)
        if "root" not in receipt:
            return receipt, None
        results = answer.get("results", [])
        accepted = [each["accepted"] for each in results if each.get("accepted")]
        tx_ids = [bytes.fromhex(each["tx_id"]) for each in accepted]
        index = tx_ids.index(decode_transaction(envelope).tx_id)
    except Rejected as rejected:
        raise unusable(
            f"The envelope cannot be read: {rejected.detail}.",
            f"无法读取信封：{explain(rejected)}。",
        ) from None
    except (ValueError, AttributeError, KeyError, TypeError):
        raise unusable(
            f"{path} is neither a receipt for this transaction nor what a node answered to it. "
            "(A receipt for several needs the whole answer to the batch.)",
            f"{path} 既不是该交易的回执，也不是节点对它的答复。（多笔交易共用的回执，"
            "须给出对整批的完整答复。）",
        ) from None
    proof = inclusion_proof([leaf_hash(tx_id) for tx_id in tx_ids], index)
    return receipt, {
        "index": index,
        "path": [base64.b64encode(node).decode() for node in proof],
    }


def _inclusion(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.proof(arguments.of)


def _evidence(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.evidence(arguments.of)


def _history(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.history(arguments.of.removeprefix("contract/"))


def _claim(client: Client, arguments: argparse.Namespace) -> bytes:
    contracts = [name.removeprefix("contract/") for name in arguments.of]
    if len(contracts) == 1:
        return client.claim(contracts[0])
    from api.problems import Problem
    from api.requests import check_each_once

    try:
        check_each_once(contracts)  # as the node will, before it is asked
    except Problem as problem:
        english = f"{problem.detail[:1].upper()}{problem.detail[1:]}."
        raise unusable(english, f"{problem.detail_zh}。") from None
    return client.claims(contracts)


def _consistency(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.consistency(arguments.older, arguments.newer)


def _state(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.state(arguments.of)


def _equivocation(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.equivocation(arguments.of, arguments.number)


def _post_quantum(client: Client, arguments: argparse.Namespace) -> bytes:
    """Return the file with the cosignatures of the first checkpoint that covers its own."""
    from ledger.evidence import add_post_quantum
    from ledger.post_quantum import PostQuantumPart

    raw, size = _read_resting(arguments.file, "post-quantum cosignatures go", "后量子联署")
    try:
        answer = json.loads(client.post_quantum(size))
        part = PostQuantumPart(
            checkpoint=answer["checkpoint"],
            keys=tuple([base64.b64decode(key) for key in answer["keys"]]),
            path=tuple([base64.b64decode(node) for node in answer["path"]]),
        )
        return add_post_quantum(raw, part)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Failure(
            f"{client.url} answered what is no post-quantum checkpoint.",
            f"{client.url} 答复的不是后量子联署的检查点。",
        ) from None


def _timestamps(client: Client, arguments: argparse.Namespace) -> bytes:
    """Return the file with the tokens of the first stamped checkpoint that covers its own."""
    from ledger.evidence import add_timestamps
    from ledger.refusal import Rejected
    from ledger.timestamp_part import TimestampPart, TimestampToken
    from verifier.evidence_file import read_evidence

    raw, size = _read_resting(arguments.file, "time stamps go", "时间戳")
    try:
        answer = json.loads(client.joined_timestamps(size))
        part = TimestampPart(
            checkpoint=answer["checkpoint"],
            path=tuple([base64.b64decode(node) for node in answer["path"]]),
            tokens=tuple(
                [
                    TimestampToken(one["hash"], one["authority"], base64.b64decode(one["token"]))
                    for one in answer["timestamps"]
                ]
            ),
        )
        made = add_timestamps(raw, part)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Failure(
            f"{client.url} answered what is no timestamped checkpoint.",
            f"{client.url} 答复的不是带时间戳的检查点。",
        ) from None
    try:
        read_evidence(made)
    except Rejected as rejected:
        raise Failure(
            f"{arguments.file} with what {client.url} answered is no evidence file: "
            f"{rejected.detail}.",
            f"{arguments.file} 加入 {client.url} 的答复后不是存证文件：{explain(rejected)}。",
        ) from None
    return made


def _read_resting(path: Path, what: str, what_zh: str) -> tuple[bytes, int]:
    """Return a file that rests on one checkpoint, and that checkpoint's size."""
    from ledger.checkpoint import parse_checkpoint_text
    from ledger.evidence import FILE_BYTES_MAX
    from ledger.note import parse_note
    from ledger.refusal import Rejected
    from ledger.tlog_proof import parse_tlog_proof

    raw = read_input(path, FILE_BYTES_MAX)
    try:
        document = json.loads(raw)
        _check_kind(path, document["kind"], what, what_zh)
        proof = parse_tlog_proof(document["header_proof"].encode())
        size = parse_checkpoint_text(parse_note(proof.checkpoint).text).size
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, Rejected):
        raise _no_evidence(path) from None
    return raw, size


def _no_evidence(path: Path) -> Failure:
    return unusable(f"{path} is not an evidence file.", f"{path} 不是存证文件。")


def _check_kind(path: Path, kind: str, what: str, what_zh: str) -> None:
    """Refuse a file of a kind that takes no further part."""
    from ledger.evidence import ONE_CHECKPOINT_KINDS

    if kind not in ONE_CHECKPOINT_KINDS:
        raise unusable(
            f"{path} is of kind {kind!r}; {what} into {', '.join(ONE_CHECKPOINT_KINDS)}.",
            f"{path} 的类型为 {kind!r}；{what_zh}只能加入以下类型："
            f"{'、'.join(ONE_CHECKPOINT_KINDS)}。",
        )


def _platform(client: Client, arguments: argparse.Namespace) -> bytes:
    """Return the file with the asked node's platform statement, and those given, in order."""
    from ledger.evidence import FILE_BYTES_MAX, add_platform
    from ledger.platform_statement import BYTES_MAX
    from ledger.refusal import Rejected
    from verifier.platform_statement import read_platform_statement
    from verifier.trust_root import read_trust_root

    raw = read_input(arguments.file, FILE_BYTES_MAX)
    try:
        document = json.loads(raw)
        kind = document["kind"]
        root = read_trust_root(base64.b64decode(document["genesis"]))
    except (ValueError, TypeError, KeyError, Rejected):
        raise _no_evidence(arguments.file) from None
    _check_kind(arguments.file, kind, "platform statements go", "平台声明")
    given = [(str(path), read_input(path, BYTES_MAX)) for path in arguments.statement]
    found = {}
    for where, statement in [(client.url, client.platform()), *given]:
        try:
            found[read_platform_statement(statement, root).node] = statement
        except Rejected as rejected:
            raise Failure(
                f"{where}: {rejected.detail}.", f"{where} 的平台声明不予采信：{explain(rejected)}。"
            ) from None
    return add_platform(raw, [found[one.id] for one in root.institutions if one.id in found])


def _ask(client: Client, arguments: argparse.Namespace) -> bytes:
    return client.question(arguments.of.removeprefix("contract/"), make_question(arguments))


def _tx_id(text: str) -> str:
    if not _TX_ID.fullmatch(text):
        raise unfit(
            f"{text!r} is not 64 lower-case hex digits", f"{text!r} 不是 64 位小写十六进制数"
        )
    return text


def _height(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,14}", text):
        raise unfit(f"{text!r} is not a whole number", f"{text!r} 不是自然数")
    return int(text)


def _fen(text: str) -> int:
    """Return a sum in fen."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise unfit(
            f"{text!r} is no sum in whole fen; 1,640.00 yuan are 164000",
            f"{text!r} 不是以整数分计的金额；1,640.00 元写作 164000",
        )
    return int(text)


def _time(text: str) -> int:
    """Return milliseconds since 1970 of a moment with its time zone, or in milliseconds."""
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise unfit(
            f"{text!r} is no moment with its time zone, such as 2026-03-01T00:00+08:00",
            f"{text!r} 不是带时区的时刻，例如 2026-03-01T00:00+08:00",
        )
    return round(moment.timestamp() * 1000)
