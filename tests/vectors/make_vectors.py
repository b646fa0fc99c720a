#!/usr/bin/env python3
"""Write the test vectors, and the examples inside docs/FORMATS.md.

python tests/vectors/make_vectors.py            writes them
python tests/vectors/make_vectors.py --check    exits 1 if one is not what would be written
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

from tests.vectors.annotate import annotate
from tests.vectors.normal_texts import list_normal_texts
from tests.vectors.refusals import compute_refusals
from tests.vectors.worked_example import compute_vectors, make_example

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
DOCUMENT = ROOT / "docs/FORMATS.md"

SIGNATURE = ("a signature", ["public key", "Ed25519 signature", ("batch path", ["index", "size",
             ("hashes, from the sibling up", ["hash"])])])  # fmt: skip
ENVELOPE = ("the envelope", ["body: the exact text that was signed", ("signatures", [SIGNATURE])])
OUTCOME = ("the outcome", ["refused", "code",
           ("effects", [("an effect", ["name", "value"])])])  # fmt: skip
HEADER = ("the header", [
    "version", "chain id", "height", "parent hash", "time, ms since 1970", "proposer",
    "first index", "count of entries before this header", "log root before this header",
    "state root", "validator set", "rule pack version",
])  # fmt: skip
PROOF = ("a state proof", ["depth", "bitmap", ("siblings, from the root down", ["sibling"]),
         ("the other leaf", ["key hash", "value hash"])])  # fmt: skip
PREPAID = ("the record", [
    "its kind", "record version", "merchant", "custodian", "consumer commitment",
    "consumer's party", "industry", "terms hash",
    ("who must sign prepay, consume, refund", [""]),
    "opened at height", "opened at, ms", "paid, fen", "locked", "released", "refunded",
    "prepayments", "consumptions", "refunds",
])  # fmt: skip
PARTY = ("the record", [
    "its kind", "party", "role", "district", "registrar", "registered at height",
    "revoked from height (0: it stands)",
    ("keys", [("a key", ["public key", "from height", "until height (0: it is open)",
                         ("who vouched for it", [""])])]),
])  # fmt: skip
VOTE = ("a vote", ["phase (2: commit)", "height", "view", "block hash", "replica", "signature"])
CLAIM = ("a view-change", [
    "height", "view", ("claim: what was prepared before", ["view", "block hash"]), "replica",
    "signature",
])  # fmt: skip
TREE = ("a cosigned tree", ["size", "root", "u64 seconds ‖ signature"])


def main() -> int:
    """Write everything, or compare it."""
    vectors = compute_vectors(make_example())
    wanted = {
        FOLDER / "formats.json": to_file(vectors),
        FOLDER / "refused.json": to_file(compute_refusals()),
        FOLDER / "normal.json": json.dumps(list_normal_texts(), indent=1) + "\n",
        DOCUMENT: fill(DOCUMENT.read_text("utf-8"), vectors),
    }
    if "--check" in sys.argv[1:]:
        wrong = [
            path.name
            for path, text in wanted.items()
            if not path.exists() or path.read_text("utf-8") != text
        ]
        print(f"Not what would be written: {', '.join(wrong)}." if wrong else "All as written.")
        return 1 if wrong else 0
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
        print(f"Wrote {path.relative_to(ROOT)}.")
    return 0


def to_file(vectors: Any) -> str:
    """Return readable JSON."""
    return json.dumps(vectors, ensure_ascii=False, indent=1) + "\n"


def fill(document: str, vectors: dict[str, dict[str, Any]]) -> str:
    """Return the document with every example between its two comments made anew."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        language, text = EXAMPLES[name](vectors)
        return f"<!-- example: {name} -->\n```{language}\n{text.rstrip()}\n```\n<!-- end -->"

    filled, count = re.subn(
        r"<!-- example: (\w+) -->\n.*?<!-- end -->", replace, document, flags=re.DOTALL
    )
    named = set(re.findall(r"<!-- example: (\w+) -->", document))
    if count != len(EXAMPLES) or named != set(EXAMPLES):
        raise ValueError(f"examples {named ^ set(EXAMPLES)} stand in only one of text and script")
    return filled


def facts(*pairs: tuple[str, str]) -> tuple[str, str]:
    """Return lines of a name and a value."""
    width = max(len(name) for name, _ in pairs) + 2
    return "text", "".join([f"{name:<{width}}{value}\n" for name, value in pairs])


def show_genesis(vectors: dict[str, Any]) -> tuple[str, str]:
    document = json.loads(vectors["genesis"]["document"])
    document["institutions"] = document["institutions"][:1]
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return "json", text.replace('\n  }\n ],\n "network"', '\n  }, …three more\n ],\n "network"')


def show_signing(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["transaction"]
    return facts(
        ("tx_id", part["tx_id"]),
        ("chain id", vectors["genesis"]["chain_id"]),
        ("signed", '"evidence-ledger/v1/tx-signature" ‖ 00 ‖ chain id ‖ tx_id'),
        ("", part["signed"][:64]),
        ("", part["signed"][64:128]),
        ("", part["signed"][128:]),
        *[
            (f"by {name}", each["signature"][:64]) if half == 0 else ("", each["signature"][64:])
            for name, each in zip(
                json.loads(part["body"])["signers"], part["submission"]["signatures"], strict=True
            )
            for half in (0, 1)
        ],
        ("envelope hash", part["envelope_hash"]),
    )


def show_batch(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["batch"]
    signature = part["submission"]["signatures"][0]
    count = len(signature["batch"]["path"])
    return facts(
        *[(f"tx_id {place}", tx_id) for place, tx_id in enumerate(part["tx_ids"])],
        *[(f"leaf {place}", leaf) for place, leaf in enumerate(part["leaf_hashes"])],
        ("root", part["root"]),
        ("signed", '"evidence-ledger/v1/batch-signature" ‖ 00 ‖ chain id ‖ root ‖ u64 3'),
        ("signature", signature["signature"][:64]),
        ("", signature["signature"][64:]),
        (
            "path of 0",
            f"index 0, size 3, {count} hashes: leaf 1, leaf 2",
        ),
    )


def show_submission(vectors: dict[str, Any]) -> tuple[str, str]:
    return "json", json.dumps(vectors["batch"]["submission"], ensure_ascii=False, indent=1)


def dump(labels: Any, *path: str | int) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """Return what shows the bytes at `path`, annotated."""

    def show(vectors: dict[str, Any]) -> tuple[str, str]:
        value: Any = vectors
        for step in path:
            value = value[step]
        return "text", annotate(bytes.fromhex(value), labels)

    return show


def text_at(*path: str) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """Return what shows the text at `path` as it is."""

    def show(vectors: dict[str, Any]) -> tuple[str, str]:
        value: Any = vectors
        for step in path:
            value = value[step]
        return "json" if value.startswith("{") else "text", value

    return show


def show_hashes(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["state"]
    return facts(
        ("stream", part["contract"]["stream"]),
        ("key hash", part["contract"]["key_hash"]),
        ("value hash", part["contract"]["value_hash"]),
        ("state root", part["root"]),
    )


def show_block(vectors: dict[str, Any]) -> tuple[str, str]:
    return facts(
        ("block hash", vectors["block"]["block_hash"]),
        ("commit signs", '"evidence-ledger/v1/commit" ‖ 00 ‖ chain id ‖ 3 ‖ 0 ‖ block hash'),
        ("", vectors["votes"]["commit"][:64]),
        ("", vectors["votes"]["commit"][64:128]),
        ("", vectors["votes"]["commit"][128:192]),
        ("", vectors["votes"]["commit"][192:]),
    )


def show_consumer(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["consumer"]
    return facts(
        ("salt", part["salt"]),
        ("consumer id", part["consumer_id"]),
        ("hashed", '"evidence-ledger/v1/consumer-commitment" ‖ 00 ‖ 10 ‖ salt ‖ consumer id'),
        ("commitment", part["commitment"]),
    )


def show_private(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["private"]
    name, salt, value = next(item for item in part["fields"] if item[0] == "phone")
    place = [item[0] for item in part["fields"]].index(name)
    return facts(
        ("field", f"{name}, leaf {place} of {len(part['fields'])}"),
        ("salt", salt),
        ("value", value),
        ("leaf data", '"evidence-ledger/v1/private-field" ‖ 00 ‖ salt ‖ 05 ‖ name ‖ 01 ‖ value'),
        ("root", part["root"]),
        (
            "hashed",
            '"evidence-ledger/v1/private-commitment" ‖ 00 ‖ 12 ‖ "contract/yoga-0001" ‖ root',
        ),
        ("commitment", part["commitment"]),
    )


def show_identity(vectors: dict[str, Any]) -> tuple[str, str]:
    part = vectors["genesis"]
    return facts(
        ("document", f"{len(part['document'].encode())} bytes"),
        ("chain id", part["chain_id"]),
        ("origin", part["origin"]),
        ("validator set", part["validators_hash"]),
    )


EXAMPLES: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "body": text_at("transaction", "body"),
    "signing": show_signing,
    "envelope": dump(ENVELOPE, "transaction", "envelope"),
    "batch": show_batch,
    "batch_envelope": dump(ENVELOPE, "batch", "envelopes", 0),
    "submission": show_submission,
    "refused_entry": dump(
        ("the entry", ["index", "height", "kind (1: a transaction)", ENVELOPE, OUTCOME]),
        "block",
        "transaction_entries",
        2,
    ),
    "applied_entry": dump(
        ("the entry", ["index", "height", "kind (1: a transaction)", ENVELOPE, OUTCOME]),
        "block",
        "transaction_entries",
        1,
    ),
    "header_entry": dump(
        ("the entry", ["index", "height", "kind (2: a header)", HEADER]), "block", "header_entry"
    ),
    "block": show_block,
    "certificate": dump(
        ("a commit certificate", ["height", "view", "block hash",
         ("commits", [("a commit", ["replica", "signature"])])]),
        "votes",
        "certificate",
    ),
    "two_votes": dump(
        ("the evidence", ["kind (1: two votes)", VOTE, VOTE]), "evidence", "two_votes"
    ),
    "two_view_changes": dump(
        ("the evidence", ["kind (2: two view-changes)", CLAIM, CLAIM]),
        "evidence",
        "two_view_changes",
    ),
    "amnesia": dump(("the evidence", ["kind (3: amnesia)", VOTE, CLAIM]), "evidence", "amnesia"),
    "fork": dump(
        ("the evidence", ["kind (4: a fork of the log)", "replica", "origin", TREE, TREE,
         "root of the larger tree's prefix", ("consistency proof", ["hash"])]),
        "evidence",
        "fork",
    ),
    "contract_value": dump(
        ("the state value", ["count", "RFC 9162 root", PREPAID]), "state", "contract", "value"
    ),
    "party_value": dump(
        ("the state value", ["count", "RFC 9162 root", PARTY]), "state", "party", "value"
    ),
    "state_hashes": show_hashes,
    "state_proof": dump(PROOF, "state", "contract", "proof"),
    "absence_proof": dump(PROOF, "state", "absent", "proof"),
    "checkpoint": text_at("checkpoint", "note"),
    "cosigned": text_at("checkpoint", "cosigned"),
    "policy": text_at("checkpoint", "policy"),
    "proof": text_at("checkpoint", "proof"),
    "receipt": text_at("receipts", "receipt"),
    "batch_receipt": text_at("receipts", "batch_receipt"),
    "consumer": show_consumer,
    "private": show_private,
    "disclosure": text_at("private", "disclosure"),
    "genesis": show_genesis,
    "identity": show_identity,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
