"""Evidence files: everything a stranger needs to check one transaction or one whole history.

A file is one RFC 8785 JSON object without a byte around it, so that every byte counts: binary
values in standard base64, proofs as the text of a C2SP tlog-proof. `MEMBERS` is the one definition
of its shape; the functions here write it and `verifier` reads it. Nothing is verified here, and
nothing is chosen either: the caller brings bytes that belong together. All proofs of a file carry
the same checkpoint, byte for byte, signed by institutions of genesis alone, each at most once as
the log and once as a cosigner (a line that nobody can check has no place in evidence).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from ledger.disclosure import Disclosure, describe_disclosure
from ledger.note import encode_base64
from ledger.post_quantum import PostQuantumPart, describe_part
from ledger.timestamp_part import TimestampPart, describe_timestamps
from ledger.value_class import value_class

FORMAT: Final = "evidence-ledger/evidence/v1"
MEDIA_TYPE: Final = "application/vnd.evidence-ledger.evidence+json"

TRANSACTION: Final = "transaction"
HISTORY: Final = "history"
CASE: Final = "case"
"""A history with everything that the law reads about the contract."""
CONSISTENCY: Final = "consistency"
"""Two checkpoints, and that the older tree is the beginning of the newer one."""
STATE: Final = "state"
"""One stream's value at a height, or that the state has none."""
RECORD: Final = "record"
"""Consecutive entries of one contract with their blocks, and a question about them."""
EQUIVOCATION: Final = "equivocation"
"""Two statements of one validator that contradict each other."""
LIABILITIES: Final = "liabilities"
"""Contracts in their merchant's total."""

SCHEDULE_FORMAT: Final = "evidence-ledger/schedule/v1"
SCHEDULE_MEDIA_TYPE: Final = "application/jsonl"
"""JSON Lines: a schedule is one object a line."""

SCHEDULE_START: Final = f'{{"format":"{SCHEDULE_FORMAT}",'.encode()
"""What a schedule begins with, and no other file."""

SCHEDULE_MEMBERS: Final = ("format", "genesis", "header", "header_proof", "merchant")
"""Members of a schedule's first line. Each further line is a `case` or `history` without
`genesis`, which the first line has for all."""

CONTRACT_PREFIX: Final = "contract/"

MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    TRANSACTION: (
        "certificate",
        "entry",
        "format",
        "genesis",
        "header",
        "header_proof",
        "kind",
        "parties",
        "proof",
        "state_header",
        "state_header_proof",
    ),
    HISTORY: (
        "contract",
        "entries",
        "format",
        "genesis",
        "header",
        "header_proof",
        "kind",
        "parties",
        "state",
    ),
    CASE: (
        "contract",
        "entries",
        "format",
        "genesis",
        "header",
        "header_proof",
        "kind",
        "law",
        "parties",
        "state",
    ),
    CONSISTENCY: ("format", "genesis", "kind", "newer", "older", "path"),
    STATE: ("format", "genesis", "header", "header_proof", "kind", "state"),
    RECORD: (
        "blocks",
        "contract",
        "entries",
        "first",
        "format",
        "genesis",
        "header",
        "header_proof",
        "kind",
        "parties",
        "question",
        "range",
        "state",
    ),
    EQUIVOCATION: ("evidence", "format", "genesis", "kind"),
    LIABILITIES: (
        "claims",
        "format",
        "genesis",
        "header",
        "header_proof",
        "kind",
        "merchant",
    ),
}
"""Members of each kind of file, all of them required."""

QUESTIONS: Final[dict[str, tuple[str, ...]]] = {
    "attestation": ("ask", "transaction"),
    "balance": ("ask", "from", "stated", "until"),
    "omission": ("ask", "batch", "envelope", "receipt"),
    "production": ("ask", "request"),
    "terms": ("ask", "at", "document"),
    "window": ("ask", "from", "kinds", "until"),
}
"""Members of `question` for each thing that can be asked about a record."""

RECEIPTS: Final[dict[str, tuple[str, ...]]] = {
    "evidence-ledger/batch-receipt/v1": (
        "chain_id",
        "format",
        "height_max",
        "node",
        "public_key",
        "received_ms",
        "root",
        "signature",
        "size",
    ),
    "evidence-ledger/intake-receipt/v1": (
        "chain_id",
        "format",
        "height_max",
        "node",
        "public_key",
        "received_ms",
        "signature",
        "tx_id",
    ),
}
"""Members of a receipt of each format (`ledger.receipt`, which needs msgspec)."""

BLOCK_MEMBERS: Final = ("header", "path")
"""Members of each of `blocks`."""

BATCH_MEMBERS: Final = ("index", "path")
"""Members of `batch`: where a transaction's id stands among those that one receipt covers."""

DISCLOSURES: Final = "disclosures"
"""Member that a transaction, a history or a case may have besides: shown private fields."""

DISCLOSURES_MAX: Final = 64
"""Disclosures of one file: every correction of a contract's fields, at the most."""

POST_QUANTUM: Final = "post_quantum"
"""Member that a file with one checkpoint may have besides (`ledger.post_quantum`)."""

POST_QUANTUM_MEMBERS: Final = ("checkpoint", "keys", "path")
"""Members of `post_quantum`."""

ONE_CHECKPOINT_KINDS: Final = (TRANSACTION, HISTORY, CASE, STATE, RECORD, LIABILITIES)
"""Kinds of file that rest on one checkpoint: those that may have such further members."""

TIMESTAMPS: Final = "timestamps"
"""Member that the same kinds may have besides: RFC 3161 tokens (`ledger.timestamp_part`)."""

TIMESTAMPS_MEMBERS: Final = ("checkpoint", "path", "tokens")
"""Members of `timestamps`."""

TOKEN_MEMBERS: Final = ("algorithm", "authority", "token")
"""Members of each of its tokens."""

PLATFORM: Final = "platform"
"""Member that the same kinds may have besides: signed platform statements
(`ledger.platform_statement`), each in base64, in the order of genesis."""

PLATFORM_MAX: Final = 64
"""Statements of one file: one of each institution, at the most."""

LAW_MEMBERS: Final = ("merchant", "pages", "terms", "times")
"""Members of `law`, beside `FINDINGS`, which may be absent."""

FINDINGS: Final = "findings"
FINDINGS_MEMBERS: Final = ("documents", "position")
FINDINGS_MAX: Final = 16
"""`findings.computed` of which a case has the words: the newest."""

STREAM_MEMBERS: Final = ("proof", "stream", "value")
"""Members of `state` and of each of `parties`."""

CLAIM_MEMBERS: Final = ("locked", "name", "owed", "path", "place", "shown")
"""Members of each of `claims`."""

SHOWN_MEMBERS: Final = ("contract", "signed")
"""Members of `shown`, where it is not null."""

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Largest file that is read: some 400,000 entries of one contract. Verifying it takes about eight
times as much memory (measured 99 MB for 11 MB), which an ordinary computer has."""


STRING_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest string of a file, as it is spelled between its quotation marks. All are base64 or text of
what has a bound of its own, most of it under 64 KiB; `FINDINGS_BYTES_MAX` alone comes up to it."""

FINDINGS_BYTES_MAX: Final = STRING_BYTES_MAX // 4 * 3
"""Longest `documents` of findings: in base64 it is the longest string."""


@value_class
class ProvenStream:
    """A stream's state value and the proof that the state tree holds it."""

    stream: str
    value: bytes
    """`ledger.stream.StreamValue`, encoded."""
    proof: bytes
    """`ledger.state_proof.StateProof`, encoded (`ledger.state_tree.encode_state_proof`)."""


@value_class
class StateClaim:
    """A stream's state value, or that there is none, and the proof of it."""

    stream: str
    value: bytes | None
    """None: no entry ever named the stream."""
    proof: bytes


@value_class
class ProvenBlock:
    """A header entry and its inclusion path under the file's checkpoint."""

    header: bytes
    path: tuple[bytes, ...]


@value_class
class ShownContract:
    """The two rows of a contract whose claim is not only counted but named."""

    contract: ProvenStream
    """`contract/<id>`."""
    signed: ProvenStream
    """`signed/contract/<id>`."""


@value_class
class ProvenClaim:
    """One leaf of a merchant's sum tree (`ledger.sum_tree`)."""

    place: int
    name: bytes
    locked: int
    """Fen in custody."""
    owed: int
    """Fen still to be paid at most, as far as computed."""
    path: tuple[bytes, ...]
    """Encoded nodes beside the way to the top."""
    shown: ShownContract | None


@value_class
class ProvenFindings:
    """The findings of one `findings.computed`, of which its outcome has the hash."""

    position: int
    """Index of the entry in the log."""
    documents: bytes
    """`{"findings":[…]}` in its one spelling (`law.finding.Finding.to_document`)."""


@value_class
class LawPapers:
    """What the law reads about a contract beside its entries."""

    terms: bytes
    """The terms in their one spelling; their hash is in the contract's first entry."""
    times: tuple[int, ...]
    """Time of each entry's block, milliseconds since 1970."""
    merchant: tuple[dict[str, Any], ...]
    """Facts of the merchant's own stream (`law.facts`)."""
    pages: tuple[dict[str, Any], ...]
    """Published pages (`law.published`), each with its position."""
    findings: tuple[ProvenFindings, ...] = ()
    """What was found, in words: of the newest computations, oldest first."""


def encode_transaction_evidence(
    *,
    genesis: bytes,
    entry: bytes,
    proof: bytes,
    header: bytes,
    header_proof: bytes,
    certificate: bytes,
    state_header: bytes,
    state_header_proof: bytes,
    parties: Iterable[ProvenStream],
) -> bytes:
    """Return the evidence file of one transaction.

    `entry`, `header` and `state_header` are leaf data, each with its tlog-proof; `header` ends the
    block of `entry`, `certificate` holds that block's commits, and `parties` are the records of
    the transaction's signers under the state root of `state_header`, which is `header` or a later
    one.
    """
    return _encode(
        {
            "certificate": encode_base64(certificate),
            "entry": encode_base64(entry),
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "header": encode_base64(header),
            "header_proof": header_proof.decode(),
            "kind": TRANSACTION,
            "parties": _parties(parties),
            "proof": proof.decode(),
            "state_header": encode_base64(state_header),
            "state_header_proof": state_header_proof.decode(),
        }
    )


def encode_history_evidence(
    *,
    contract: str,
    genesis: bytes | None,
    header: bytes,
    header_proof: bytes,
    state: ProvenStream,
    entries: Iterable[bytes],
    parties: Iterable[ProvenStream],
    law: LawPapers | None = None,
) -> bytes:
    """Return the evidence file of a contract's whole history, with papers for the law as a `case`.

    `state` is the contract's stream and `parties` the records of all its signers, under the state
    root of `header`; `entries` is the leaf data of all the stream's entries up to it, in order.
    Without `genesis` it is the line of a schedule, its line feed included.
    """
    members: dict[str, Any] = {
        "contract": contract,
        "entries": [encode_base64(entry) for entry in entries],
        "format": FORMAT,
        "header": encode_base64(header),
        "header_proof": header_proof.decode(),
        "kind": HISTORY if law is None else CASE,
        "parties": _parties(parties),
        "state": _stream(state),
    }
    if law is not None:
        members["law"] = {
            "merchant": list(law.merchant),
            "pages": list(law.pages),
            "terms": encode_base64(law.terms),
            "times": list(law.times),
        }
        if law.findings:
            members["law"][FINDINGS] = [
                {"documents": encode_base64(one.documents), "position": one.position}
                for one in law.findings
            ]
    if genesis is None:
        return _encode(members) + b"\n"
    return _encode(members | {"genesis": encode_base64(genesis)})


def encode_consistency_evidence(
    *, genesis: bytes, older: bytes, newer: bytes, path: Iterable[bytes]
) -> bytes:
    """Return the evidence file of append-only growth between two certified checkpoints."""
    return _encode(
        {
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "kind": CONSISTENCY,
            "newer": newer.decode(),
            "older": older.decode(),
            "path": [encode_base64(node) for node in path],
        }
    )


def encode_state_evidence(
    *, genesis: bytes, header: bytes, header_proof: bytes, state: StateClaim
) -> bytes:
    """Return the evidence file of one stream's value, or of its absence, at a height."""
    return _encode(
        {
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "header": encode_base64(header),
            "header_proof": header_proof.decode(),
            "kind": STATE,
            "state": _claim(state),
        }
    )


def encode_record_evidence(
    *,
    contract: str,
    genesis: bytes,
    header: bytes,
    header_proof: bytes,
    state: StateClaim,
    first: int,
    entries: Iterable[bytes],
    range_: Iterable[bytes],
    blocks: Iterable[ProvenBlock],
    parties: Iterable[ProvenStream],
    question: dict[str, Any],
) -> bytes:
    """Return the evidence file of a part of a contract's record that answers a question.

    `entries` are consecutive from position `first` of the stream, `range_` proves that
    (`ledger.merkle_range`), `blocks` are the headers of their heights.
    """
    return _encode(
        {
            "blocks": [
                {
                    "header": encode_base64(block.header),
                    "path": [encode_base64(node) for node in block.path],
                }
                for block in blocks
            ],
            "contract": contract,
            "entries": [encode_base64(entry) for entry in entries],
            "first": first,
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "header": encode_base64(header),
            "header_proof": header_proof.decode(),
            "kind": RECORD,
            "parties": _parties(parties),
            "question": question,
            "range": [encode_base64(node) for node in range_],
            "state": _claim(state),
        }
    )


def encode_equivocation_evidence(*, genesis: bytes, evidence: bytes) -> bytes:
    """Return the evidence file of a validator's two contradictory statements."""
    return _encode(
        {
            "evidence": encode_base64(evidence),
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "kind": EQUIVOCATION,
        }
    )


def encode_liabilities_evidence(
    *,
    genesis: bytes,
    header: bytes,
    header_proof: bytes,
    merchant: ProvenStream,
    claims: Iterable[ProvenClaim],
) -> bytes:
    """Return the evidence file of contracts in their merchant's total.

    `merchant` and what the claims show are under the state root of `header`.
    """
    return _encode(
        {
            "claims": [
                {
                    "locked": claim.locked,
                    "name": encode_base64(claim.name),
                    "owed": claim.owed,
                    "path": [encode_base64(node) for node in claim.path],
                    "place": claim.place,
                    "shown": None
                    if claim.shown is None
                    else {
                        "contract": _stream(claim.shown.contract),
                        "signed": _stream(claim.shown.signed),
                    },
                }
                for claim in sorted(claims, key=lambda claim: claim.place)
            ],
            "format": FORMAT,
            "genesis": encode_base64(genesis),
            "header": encode_base64(header),
            "header_proof": header_proof.decode(),
            "kind": LIABILITIES,
            "merchant": _stream(merchant),
        }
    )


def encode_schedule_head(
    *, genesis: bytes, header: bytes, header_proof: bytes, merchant: ProvenStream
) -> bytes:
    """Return the first line of a merchant's schedule, its line feed included.

    `merchant` is under the state root of `header`; a line for each of its contracts follows, in the
    order of their places (`encode_history_evidence` without genesis).
    """
    head = {
        "format": SCHEDULE_FORMAT,
        "genesis": encode_base64(genesis),
        "header": encode_base64(header),
        "header_proof": header_proof.decode(),
        "merchant": _stream(merchant),
    }
    return _encode(head) + b"\n"


def add_disclosures(raw: bytes, disclosures: Iterable[Disclosure]) -> bytes:
    """Return an evidence file with these disclosures in it, beside those that are there.

    The file's other members are not looked at; whoever adds one verifies the result.
    """
    document = json.loads(raw)
    added = [describe_disclosure(disclosure) for disclosure in disclosures]
    document[DISCLOSURES] = [*document.get(DISCLOSURES, ()), *added]
    return _encode(document)


def add_post_quantum(raw: bytes, part: PostQuantumPart) -> bytes:
    """Return an evidence file with this part in it, in the place of one that is there.

    The file's other members are not looked at; whoever adds one verifies the result.
    """
    document = json.loads(raw)
    document[POST_QUANTUM] = describe_part(part)
    return _encode(document)


def add_timestamps(raw: bytes, part: TimestampPart) -> bytes:
    """Return an evidence file with these time stamps in it, in the place of any that are there.

    The file's other members are not looked at; whoever adds them verifies the result.
    """
    document = json.loads(raw)
    document[TIMESTAMPS] = describe_timestamps(part)
    return _encode(document)


def add_platform(raw: bytes, statements: Iterable[bytes]) -> bytes:
    """Return an evidence file with these platform statements, in the place of any that are there.

    The file's other members are not looked at; whoever adds one verifies the result.
    """
    document = json.loads(raw)
    document[PLATFORM] = [encode_base64(statement) for statement in statements]
    return _encode(document)


def contract_stream(contract: str) -> str:
    """Return the stream of a contract's records."""
    return CONTRACT_PREFIX + contract


def _parties(parties: Iterable[ProvenStream]) -> list[dict[str, str]]:
    """Each party once, in the order of their streams."""
    by_stream = {party.stream: party for party in parties}
    return [_stream(by_stream[stream]) for stream in sorted(by_stream)]


def _stream(proven: ProvenStream) -> dict[str, str]:
    return {
        "proof": encode_base64(proven.proof),
        "stream": proven.stream,
        "value": encode_base64(proven.value),
    }


def _claim(claim: StateClaim) -> dict[str, str | None]:
    return {
        "proof": encode_base64(claim.proof),
        "stream": claim.stream,
        "value": None if claim.value is None else encode_base64(claim.value),
    }


def _encode(document: dict[str, Any]) -> bytes:
    """Write RFC 8785: names are ASCII and sorted, and Python escapes strings as it asks."""
    return json.dumps(
        document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    ).encode()
