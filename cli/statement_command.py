"""`statement`: sign a SCITT statement, register it, and write it with its receipts and evidence.

The issuer's key signs twice: the statement (COSE, RFC 9943), and the `attest` that registers it.
Nodes are believed in nothing: what they answered is verified, as a court would, before it is kept.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
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
    read_input,
    write_output,
)
from cli.failure import OK, Failure, unusable

if TYPE_CHECKING:
    from cli.client import Client
    from genesis.document import Genesis
    from ledger.scitt import Statement
    from ledger.signing import Signer

HELP = """\
SCITT statements (RFC 9943): signed, registered on the chain, verified by others. 已登记的声明。

A statement is what a party of a contract says of a transaction, in COSE, signed with the party's
key. An attest puts its hash on the chain; receipts (RFC 9942) make of it a Transparent Statement.

examples:
  evidence-ledger statement register m-yoga-2026-0001 --about 9f2c… --issuer m-yoga \\
      --document report.pdf --type application/pdf --keys keys.json --devnet ./net -o report.cose
  evidence-ledger verify report.cose --genesis-hash HASH
"""

REGISTER_HELP = """\
Sign a statement and register it, or register one signed elsewhere. 签署并登记声明。

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
"""

COLLECT_HELP = """\
Fetch receipts and evidence of a statement that is registered already. 取得收据与证据。

example:
  evidence-ledger statement collect signed.cose --entry 4be1… --devnet ./net -o report.cose
"""

EXTRACT_HELP = """\
Take a part out of a Transparent Statement. 取出声明的一部分。

evidence: the evidence file of the entry, for certificates and the verification page; payload: what
the issuer said (or the SHA-256 of it); statement: what was registered, without receipts.

example:
  evidence-ledger statement extract report.cose --part evidence -o report.evidence.json
"""

SAYS: Final = ("witnessed", "confirmed", "objected", "reversed")
"""What an attest may say (`contracts.attest.STATEMENTS`); the first is the default."""

_TX_ID: Final = re.compile(r"[0-9a-f]{64}")


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "statement", "SCITT statements: 已登记的声明", HELP)
    actions = parser.add_subparsers(metavar="action", required=True)
    register = add_command(actions, "register", "sign a statement, register it", REGISTER_HELP)
    register.add_argument("contract", metavar="CONTRACT", help="contract's id")
    register.add_argument(
        "--about", required=True, metavar="TX_ID", help="transaction that it speaks of"
    )
    register.add_argument("--issuer", required=True, metavar="PARTY", help="who says it")
    what = register.add_mutually_exclusive_group(required=True)
    what.add_argument("--document", type=Path, metavar="FILE", help="what is stated")
    what.add_argument("--statement", type=Path, metavar="FILE", help="a COSE_Sign1 made elsewhere")
    register.add_argument("--type", metavar="TYPE", help="media type of the document")
    register.add_argument("--inline", action="store_true", help="the document itself, not its hash")
    register.add_argument("--say", choices=SAYS, default=SAYS[0], help="(default: %(default)s)")
    register.add_argument("--keys", type=Path, metavar="KEYS", help="seeds of the signing parties")
    register.add_argument(
        "--home", type=Path, metavar="HOME", help="a node's home: sign as its institution"
    )
    _finish(register, run_register)
    add_passphrase_option(register)
    collect = add_command(actions, "collect", "fetch receipts and evidence", COLLECT_HELP)
    collect.add_argument("statement", type=Path, metavar="FILE", help="the signed statement")
    collect.add_argument("--entry", required=True, metavar="TX_ID", help="that registered it")
    _finish(collect, run_collect)
    extract = add_command(actions, "extract", "take a part out of it", EXTRACT_HELP)
    extract.add_argument("file", type=Path, metavar="FILE", help="a Transparent Statement")
    extract.add_argument(
        "--part", choices=("evidence", "payload", "statement"), required=True, help="which"
    )
    extract.add_argument("-o", "--output", type=Path, help="file (default: standard output)")
    extract.set_defaults(run=run_extract)


def _finish(parser: Parser, run: object) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    add_node_options(parser)
    parser.set_defaults(run=run)


def run_register(arguments: argparse.Namespace) -> int:
    """Make or read a statement, register it, write the Transparent Statement."""
    import time

    from cli.drafts import Draft, complete_body
    from cli.submit_command import read_institution, read_signers
    from genesis.document import parse_genesis
    from ledger.cose_statement import with_envelope
    from ledger.refusal import Rejected
    from ledger.scitt import ATTEST, check_registration
    from ledger.transaction import compute_tx_id, sign_transaction

    about = _tx_id_of(arguments.about)
    check_output(arguments.output)
    signers = read_signers(arguments.keys, arguments.devnet)
    if arguments.home is not None:
        signers |= read_institution(arguments.home, arguments.passphrase_file)
    signer = signers.get(arguments.issuer)
    if signer is None:
        raise unusable(f"No key is given for {arguments.issuer}.")
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in make_clients(arguments)]
        genesis = parse_genesis(clients[0].genesis())
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
            raise unusable(f"It cannot be registered: {rejected.detail}.") from None
        envelope = sign_transaction(body, genesis.chain_id, [signer])
        tx_id = compute_tx_id(body).hex()
        _post(clients, with_envelope(statement, envelope))
        print(f"Registered by transaction {tx_id}.")
        raw = _collect(clients, genesis, statement, tx_id)
    write_output(arguments.output, raw, "the Transparent Statement")
    return OK


def run_collect(arguments: argparse.Namespace) -> int:
    """Fetch receipts and evidence of a registered statement."""
    from genesis.document import parse_genesis
    from ledger.scitt import ENVELOPE, EVIDENCE, RECEIPTS

    tx_id = _tx_id_of(arguments.entry)
    check_output(arguments.output)
    statement = _read(arguments.statement, (ENVELOPE, EVIDENCE, RECEIPTS))
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in make_clients(arguments)]
        raw = _collect(clients, parse_genesis(clients[0].genesis()), statement, tx_id)
    write_output(arguments.output, raw, "the Transparent Statement")
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
        raise unusable(f"{arguments.file} has no evidence in it.")
    write_output(arguments.output, part, f"the {arguments.part}")
    return OK


def _sign(arguments: argparse.Namespace, genesis: Genesis, about: str, signer: Signer) -> Statement:
    from ledger.cose_statement import sign_statement
    from ledger.hashing import sha256
    from ledger.scitt import format_issuer, format_subject

    if arguments.type is None:
        raise unusable("--document needs its media type: --type application/pdf, say.")
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
        raise unusable(f"{name}: {rejected.detail}.") from None


def _post(clients: Sequence[Client], raw: bytes) -> None:
    """Register at the first node that answers; what one refuses, all would."""
    from cli.client import Unreachable

    last: Unreachable | None = None
    for client in clients:
        try:
            client.register(raw)
            return
        except Unreachable as error:
            last = error
    raise last or unusable("No node was named.")


def _collect(
    clients: Sequence[Client], genesis: Genesis, statement: Statement, tx_id: str
) -> bytes:
    """Return the Transparent Statement, with a receipt of each node that gives one, verified."""
    from cli.client import ApiError, Unreachable
    from ledger.cose_statement import make_transparent
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
        raise Failure(
            f"Transaction {tx_id} registers it, but receipts and evidence could not be fetched: "
            f"{last} Fetch them later with `evidence-ledger statement collect`."
        )
    raw = make_transparent(statement, list(receipts), evidence)
    failed = verify_evidence(raw, genesis.chain_id).failed
    if failed is not None:
        raise Failure(
            f"What the nodes answered does not verify, and nothing is written: step "
            f"{failed.number}, {failed.name.en}. {failed.explanation.en}"
        )
    return raw


def _tx_id_of(text: str) -> str:
    if not _TX_ID.fullmatch(text):
        raise unusable(f"{text!r} is not a transaction id of 64 lower-case hex digits.")
    return text
