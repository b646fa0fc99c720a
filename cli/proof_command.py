"""`proof`, `evidence`, `history`, `claim`: files that a court verifies offline, from any node.

What comes from a node is not believed here either: `verify` is the judge. A proof that no certified
checkpoint covers yet is waited for.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from cli.arguments import Parser, add_command, add_node_options, make_clients, write_output
from cli.failure import OK, Failure, unusable

PROOF_HELP = """\
Fetch a transaction's C2SP tlog-proof (hashes only; no token needed). 取得日志证明。

example:
  evidence-ledger proof 9f2c… --devnet ./net -o 9f2c.tlog-proof
"""

EVIDENCE_HELP = """\
Fetch a transaction's evidence file: everything `verify` needs, in one file. 取得存证文件。

example:
  evidence-ledger evidence 9f2c… --devnet ./net -o card.evidence.json
  evidence-ledger verify card.evidence.json --genesis-hash HASH
"""

HISTORY_HELP = """\
Fetch a contract's complete history with the proof that nothing is left out. 取得合同完整记录。

example:
  evidence-ledger history m-yoga-2026-0001 --devnet ./net -o m-yoga.history.json
  evidence-ledger verify m-yoga.history.json --genesis-hash HASH
"""

CLAIM_HELP = """\
Fetch the proof that a contract is in its merchant's total. 取得合同计入经营者合计的证明。

example:
  evidence-ledger claim m-yoga-2026-0001 --devnet ./net -o m-yoga.claim.json
  evidence-ledger verify m-yoga.claim.json --genesis-hash HASH
"""

OF_CONTRACTS = ("history", "claim")


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    for name, summary, text in (
        ("proof", "fetch a transaction's log proof", PROOF_HELP),
        ("evidence", "fetch a transaction's evidence file", EVIDENCE_HELP),
        ("history", "fetch a contract's complete history", HISTORY_HELP),
        ("claim", "prove that a contract is in its merchant's total", CLAIM_HELP),
    ):
        parser = add_command(commands, name, summary, text)
        is_contract = name in OF_CONTRACTS
        what = "contract's id" if is_contract else "transaction id, 64 hex digits"
        parser.add_argument("of", metavar="CONTRACT" if is_contract else "TX_ID", help=what)
        parser.add_argument("-o", "--output", type=Path, help="file (default: standard output)")
        add_node_options(parser)
        parser.set_defaults(run=run, what=name)


def run(arguments: argparse.Namespace) -> int:
    """Fetch a file from the first node that has it."""
    from cli.client import ApiError, Client, Unreachable

    name: str = arguments.of.removeprefix("contract/")
    if arguments.what not in OF_CONTRACTS and not re.fullmatch(r"[0-9a-f]{64}", name):
        raise unusable(f"{name!r} is not a transaction id of 64 lower-case hex digits.")
    fetch = {
        "proof": Client.proof,
        "evidence": Client.evidence,
        "history": Client.history,
        "claim": Client.claim,
    }
    last: Failure | None = None
    for client in make_clients(arguments):
        with client:
            try:
                content = fetch[arguments.what](client, name)
            except (ApiError, Unreachable) as error:
                last = error
                continue
        write_output(arguments.output, content, f"the {arguments.what}")
        return OK
    raise last or unusable("No node was named.")
