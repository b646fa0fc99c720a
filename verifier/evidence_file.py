"""Reading an evidence file into bytes that belong together, without believing any of them.

The shape is the one that `ledger.evidence` writes: canonical JSON, exactly the members of its
kind, binary values in the one spelling of standard base64. Whatever is wrong here makes the file
unusable, which is another answer than *inconsistent*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final, NoReturn

from ledger.disclosure import Disclosure, read_disclosure
from ledger.evidence import (
    BLOCK_MEMBERS,
    CASE,
    CLAIM_MEMBERS,
    CONSISTENCY,
    DISCLOSURES,
    DISCLOSURES_MAX,
    EQUIVOCATION,
    FILE_BYTES_MAX,
    FINDINGS,
    FINDINGS_MAX,
    FINDINGS_MEMBERS,
    FORMAT,
    HISTORY,
    LAW_MEMBERS,
    LIABILITIES,
    MEMBERS,
    ONE_CHECKPOINT_KINDS,
    PLATFORM,
    PLATFORM_MAX,
    POST_QUANTUM,
    POST_QUANTUM_MEMBERS,
    RECORD,
    SCHEDULE_FORMAT,
    SCHEDULE_MEMBERS,
    SHOWN_MEMBERS,
    STATE,
    STREAM_MEMBERS,
    TIMESTAMPS,
    TIMESTAMPS_MEMBERS,
    TOKEN_MEMBERS,
    TRANSACTION,
    LawPapers,
    ProvenBlock,
    ProvenClaim,
    ProvenFindings,
    ProvenStream,
    ShownContract,
    StateClaim,
)
from ledger.hashing import HASH_BYTES
from ledger.note import decode_base64
from ledger.post_quantum import PostQuantumPart
from ledger.refusal import Reason, Rejected
from ledger.scitt import EVIDENCE, RECEIPTS, SIGN1_START, Statement, read_statement
from ledger.timestamp_part import (
    ALGORITHMS,
    AUTHORITY_PATTERN,
    TOKEN_BYTES_MAX,
    TOKENS_MAX,
    TimestampPart,
    TimestampToken,
)
from ledger.value_class import value_class
from verifier.formats import take_members
from verifier.question import Question, read_question
from verifier.strict_json import JsonValue, read_object

_CONTRACT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_AUTHORITY: Final = re.compile(AUTHORITY_PATTERN)
_GENESIS_CHARS_KEPT_MAX: Final = 80_000
"""Longest genesis document kept, in characters of base64; a network's own is no longer."""


@value_class
class TransactionFile:
    """Evidence of one transaction."""

    genesis: bytes
    entry: bytes
    proof: bytes
    header: bytes
    header_proof: bytes
    certificate: bytes
    state_header: bytes
    state_header_proof: bytes
    parties: tuple[ProvenStream, ...]
    disclosures: tuple[Disclosure, ...] = ()
    post_quantum: PostQuantumPart | None = None
    platform: tuple[bytes, ...] = ()
    timestamps: TimestampPart | None = None
    statement: Statement | None = None
    """The Transparent Statement in whose unprotected header this evidence stands, if it does."""


@value_class
class HistoryFile:
    """Evidence of a contract's whole history."""

    genesis: bytes
    contract: str
    header: bytes
    header_proof: bytes
    state: ProvenStream
    entries: tuple[bytes, ...]
    parties: tuple[ProvenStream, ...]
    law: LawPapers | None
    """In a file of kind `case`."""
    disclosures: tuple[Disclosure, ...] = ()
    post_quantum: PostQuantumPart | None = None
    platform: tuple[bytes, ...] = ()
    timestamps: TimestampPart | None = None


@value_class
class LiabilitiesFile:
    """Evidence of contracts in their merchant's total."""

    genesis: bytes
    header: bytes
    header_proof: bytes
    merchant: ProvenStream
    claims: tuple[ProvenClaim, ...]
    post_quantum: PostQuantumPart | None = None
    platform: tuple[bytes, ...] = ()
    timestamps: TimestampPart | None = None


@value_class
class ConsistencyFile:
    """Evidence that one certified tree is the beginning of a later one."""

    genesis: bytes
    older: bytes
    newer: bytes
    path: tuple[bytes, ...]


@value_class
class StateFile:
    """Evidence of one stream's value, or that it has none."""

    genesis: bytes
    header: bytes
    header_proof: bytes
    state: StateClaim
    post_quantum: PostQuantumPart | None = None
    platform: tuple[bytes, ...] = ()
    timestamps: TimestampPart | None = None


@value_class
class RecordFile:
    """Evidence of consecutive entries of a contract, with a question about them."""

    genesis: bytes
    contract: str
    header: bytes
    header_proof: bytes
    state: StateClaim
    first: int
    """Position of the first entry in the contract's record."""
    entries: tuple[bytes, ...]
    range: tuple[bytes, ...]
    blocks: tuple[ProvenBlock, ...]
    parties: tuple[ProvenStream, ...]
    question: Question
    post_quantum: PostQuantumPart | None = None
    platform: tuple[bytes, ...] = ()
    timestamps: TimestampPart | None = None


@value_class
class EquivocationFile:
    """Evidence that a validator contradicted itself."""

    genesis: bytes
    evidence: bytes


@value_class
class ScheduleFile:
    """A merchant's total, and every contract in it with its whole record."""

    genesis: bytes
    header: bytes
    header_proof: bytes
    merchant: ProvenStream
    lines: Iterator[bytes]
    """A contract each, in the order of their places, read one after another and once."""


@value_class
class BareProof:
    """An entry and its C2SP tlog-proof, each from a file of its own."""

    genesis: bytes
    entry: bytes
    proof: bytes


DecodedFile = (
    TransactionFile
    | HistoryFile
    | ConsistencyFile
    | StateFile
    | RecordFile
    | EquivocationFile
    | LiabilitiesFile
)
EvidenceFile = DecodedFile | ScheduleFile | BareProof
WITHOUT_MORE = BareProof | ConsistencyFile | EquivocationFile | ScheduleFile
"""Files that never have a post-quantum part, platform statements or time stamps."""


def kind_of(file: DecodedFile) -> str:
    """Return the kind that a file names itself."""
    match file:
        case TransactionFile():
            return TRANSACTION
        case HistoryFile():
            return HISTORY if file.law is None else CASE
        case ConsistencyFile():
            return CONSISTENCY
        case StateFile():
            return STATE
        case RecordFile():
            return RECORD
        case EquivocationFile():
            return EQUIVOCATION
        case LiabilitiesFile():
            return LIABILITIES


def read_evidence(raw: bytes) -> DecodedFile:
    """Read an evidence file; raise `Rejected` for anything but its one spelling.

    A Transparent Statement is read as the evidence in it, which then has the statement.
    """
    if len(raw) > FILE_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"more than {FILE_BYTES_MAX} bytes")
    if raw.startswith(SIGN1_START):
        return _read_transparent(raw)
    return _read_members(read_object(raw, "evidence file"))


def _read_transparent(raw: bytes) -> TransactionFile:
    """Read a Transparent Statement with the evidence of its entry; raise `Rejected`."""
    statement = read_statement(raw, (RECEIPTS, EVIDENCE), FILE_BYTES_MAX)
    if statement.evidence is None:
        _refuse(
            Reason.BAD_FIELD,
            f"statement: it has no evidence of its entry (header {EVIDENCE}); a statement alone, "
            "or with receipts alone, is not verified here",
        )
    file = _read_members(read_object(statement.evidence, "evidence file"))
    if not isinstance(file, TransactionFile):
        _refuse(
            Reason.BAD_FIELD,
            f"statement: its evidence is of kind {kind_of(file)}, not {TRANSACTION}",
        )
    return replace(file, statement=statement)


def read_schedule_head(raw: bytes, lines: Iterator[bytes]) -> ScheduleFile:
    """Read a schedule's first line; `lines` are those after it. Raises `Rejected`."""
    members = read_object(_take_line(raw), "evidence file")
    take_members(members, "evidence file", SCHEDULE_MEMBERS)
    if members["format"] != SCHEDULE_FORMAT:
        _refuse(Reason.BAD_FIELD, f"format is not {SCHEDULE_FORMAT!r}")
    return ScheduleFile(
        genesis=_take_genesis(members),
        header=_take_blob(members, "header"),
        header_proof=_take_proof(members, "header_proof"),
        merchant=_take_stream(members["merchant"], "merchant"),
        lines=lines,
    )


def read_schedule_line(raw: bytes, genesis: bytes) -> HistoryFile:
    """Read a contract's line of a schedule, which lacks `genesis`; raise `Rejected`."""
    members = read_object(_take_line(raw), "evidence file")
    if "genesis" in members:
        _refuse(Reason.BAD_FIELD, "a schedule has the member genesis in its first line alone")
    file = _read_members(dict(sorted((members | {"genesis": ""}).items())))
    if not isinstance(file, HistoryFile):
        _refuse(Reason.BAD_FIELD, f"a schedule holds no file of kind {kind_of(file)}")
    if file.post_quantum is not None:
        _refuse(Reason.BAD_FIELD, f"a schedule has no {POST_QUANTUM}")
    if file.platform:
        _refuse(Reason.BAD_FIELD, f"a schedule has no {PLATFORM}")
    if file.timestamps is not None:
        _refuse(Reason.BAD_FIELD, f"a schedule has no {TIMESTAMPS}")
    return replace(file, genesis=genesis)


def _take_line(raw: bytes) -> bytes:
    if len(raw) > FILE_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"more than {FILE_BYTES_MAX} bytes in a line")
    if not raw.endswith(b"\n"):
        _refuse(Reason.MALFORMED, "the line does not end with a line feed: the file was cut off")
    return raw[:-1]


def _read_members(members: dict[str, JsonValue]) -> DecodedFile:
    if members.get("format") != FORMAT:
        _refuse(Reason.BAD_FIELD, f"format is not {FORMAT!r}")
    kind = members.get("kind")
    part = _take_post_quantum(members) if kind in ONE_CHECKPOINT_KINDS else None
    platform = _take_platform(members) if kind in ONE_CHECKPOINT_KINDS else ()
    timestamps = _take_timestamps(members) if kind in ONE_CHECKPOINT_KINDS else None
    file = _read_kind(members, kind)
    if isinstance(file, ConsistencyFile | EquivocationFile) or not (part or platform or timestamps):
        return file
    return replace(file, post_quantum=part, platform=platform, timestamps=timestamps)


def _read_kind(members: dict[str, JsonValue], kind: JsonValue) -> DecodedFile:
    """Read what every file of its kind has, and disclosures."""
    disclosures = _take_disclosures(members) if kind in (TRANSACTION, HISTORY, CASE) else ()
    if kind == TRANSACTION:
        take_members(members, "evidence file", MEMBERS[TRANSACTION])
        return TransactionFile(
            genesis=_take_genesis(members),
            entry=_take_blob(members, "entry"),
            proof=_take_proof(members, "proof"),
            header=_take_blob(members, "header"),
            header_proof=_take_proof(members, "header_proof"),
            certificate=_take_blob(members, "certificate"),
            state_header=_take_blob(members, "state_header"),
            state_header_proof=_take_proof(members, "state_header_proof"),
            parties=_take_parties(members),
            disclosures=disclosures,
        )
    if not isinstance(kind, str) or kind not in MEMBERS:
        _refuse(Reason.BAD_FIELD, f"kind is none of {', '.join(MEMBERS)}")
    take_members(members, "evidence file", MEMBERS[kind])
    if kind == CONSISTENCY:
        return ConsistencyFile(
            genesis=_take_genesis(members),
            older=_take_proof(members, "older"),
            newer=_take_proof(members, "newer"),
            path=_take_hashes(members, "path"),
        )
    if kind == EQUIVOCATION:
        return EquivocationFile(_take_genesis(members), _take_blob(members, "evidence"))
    if kind == STATE:
        return StateFile(
            genesis=_take_genesis(members),
            header=_take_blob(members, "header"),
            header_proof=_take_proof(members, "header_proof"),
            state=_take_state_claim(members["state"]),
        )
    if kind == LIABILITIES:
        return LiabilitiesFile(
            genesis=_take_genesis(members),
            header=_take_blob(members, "header"),
            header_proof=_take_proof(members, "header_proof"),
            merchant=_take_stream(members["merchant"], "merchant"),
            claims=tuple(
                [
                    _take_claim(item, f"claims[{place}]")
                    for place, item in enumerate(_take_list(members, "claims"))
                ]
            ),
        )
    contract = members["contract"]
    if not isinstance(contract, str) or not _CONTRACT.fullmatch(contract):
        _refuse(Reason.BAD_FIELD, f"contract is not an id that matches {_CONTRACT.pattern}")
    if kind == RECORD:
        first = members["first"]
        if type(first) is not int or first < 0:
            _refuse(Reason.BAD_FIELD, "first is no position")
        return RecordFile(
            genesis=_take_genesis(members),
            contract=contract,
            header=_take_blob(members, "header"),
            header_proof=_take_proof(members, "header_proof"),
            state=_take_state_claim(members["state"]),
            first=first,
            entries=_take_entries(members),
            range=_take_hashes(members, "range"),
            blocks=tuple(
                [
                    _take_block(item, f"blocks[{place}]")
                    for place, item in enumerate(_take_list(members, "blocks"))
                ]
            ),
            parties=_take_parties(members),
            question=read_question(members["question"]),
        )
    return HistoryFile(
        genesis=_take_genesis(members),
        contract=contract,
        header=_take_blob(members, "header"),
        header_proof=_take_proof(members, "header_proof"),
        state=_take_stream(members["state"], "state"),
        entries=_take_entries(members),
        parties=_take_parties(members),
        law=_take_law(members["law"]) if kind == CASE else None,
        disclosures=disclosures,
    )


def _take_post_quantum(members: dict[str, JsonValue]) -> PostQuantumPart | None:
    """Take a member that may be absent off, so that the others can be compared exactly."""
    if POST_QUANTUM not in members:
        return None
    value = members.pop(POST_QUANTUM)
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{POST_QUANTUM} is not an object")
    take_members(value, f"evidence file: {POST_QUANTUM}", POST_QUANTUM_MEMBERS)
    return PostQuantumPart(
        checkpoint=_take_proof(value, "checkpoint", f"{POST_QUANTUM}.checkpoint").decode(),
        keys=tuple(
            [
                _decode(item, f"{POST_QUANTUM}.keys[{place}]")
                for place, item in enumerate(_take_list(value, "keys", f"{POST_QUANTUM}.keys"))
            ]
        ),
        path=_take_hashes(value, "path", f"{POST_QUANTUM}.path"),
    )


def _take_platform(members: dict[str, JsonValue]) -> tuple[bytes, ...]:
    """Take a member that may be absent off, so that the others can be compared exactly."""
    if PLATFORM not in members:
        return ()
    listed = _take_list(members, PLATFORM)
    del members[PLATFORM]
    if not 0 < len(listed) <= PLATFORM_MAX:
        _refuse(Reason.BAD_FIELD, f"{PLATFORM} has {len(listed)}; 1 to {PLATFORM_MAX} may be")
    return tuple([_decode(item, f"{PLATFORM}[{at}]") for at, item in enumerate(listed)])


def _take_timestamps(members: dict[str, JsonValue]) -> TimestampPart | None:
    """Take a member that may be absent off, so that the others can be compared exactly."""
    if TIMESTAMPS not in members:
        return None
    value = members.pop(TIMESTAMPS)
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{TIMESTAMPS} is not an object")
    take_members(value, f"evidence file: {TIMESTAMPS}", TIMESTAMPS_MEMBERS)
    checkpoint = _take_proof(value, "checkpoint", f"{TIMESTAMPS}.checkpoint").decode()
    path = _take_hashes(value, "path", f"{TIMESTAMPS}.path")
    listed = _take_list(value, "tokens", f"{TIMESTAMPS}.tokens")
    if not 0 < len(listed) <= TOKENS_MAX:
        _refuse(
            Reason.BAD_FIELD, f"{TIMESTAMPS}.tokens has {len(listed)}; 1 to {TOKENS_MAX} may be"
        )
    tokens = [_take_token(item, f"{TIMESTAMPS}.tokens[{at}]") for at, item in enumerate(listed)]
    order = [(token.authority, token.algorithm) for token in tokens]
    if order != sorted(set(order)):
        _refuse(
            Reason.BAD_FIELD,
            f"{TIMESTAMPS}.tokens are not in the order of authority and algorithm, each pair once",
        )
    return TimestampPart(checkpoint, path, tuple(tokens))


def _take_token(value: JsonValue, name: str) -> TimestampToken:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is not an object")
    take_members(value, f"evidence file: {name}", TOKEN_MEMBERS)
    algorithm, authority = value["algorithm"], value["authority"]
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        _refuse(Reason.BAD_FIELD, f"{name}.algorithm is none of {', '.join(ALGORITHMS)}")
    if not isinstance(authority, str) or not _AUTHORITY.fullmatch(authority):
        _refuse(
            Reason.BAD_FIELD, f"{name}.authority is not a name that matches {AUTHORITY_PATTERN}"
        )
    raw = _decode(value["token"], f"{name}.token")
    if len(raw) > TOKEN_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"{name}.token has more than {TOKEN_BYTES_MAX} bytes")
    return TimestampToken(algorithm, authority, raw)


def _take_disclosures(members: dict[str, JsonValue]) -> tuple[Disclosure, ...]:
    """Take the one member that may be absent off, so that the others can be compared exactly."""
    if DISCLOSURES not in members:
        return ()
    listed = _take_list(members, DISCLOSURES)
    del members[DISCLOSURES]
    if not 0 < len(listed) <= DISCLOSURES_MAX:
        _refuse(Reason.BAD_FIELD, f"{DISCLOSURES} has {len(listed)}; 1 to {DISCLOSURES_MAX} may be")
    return tuple(
        [
            read_disclosure(item, f"evidence file: {DISCLOSURES}[{place}]")
            for place, item in enumerate(listed)
        ]
    )


def _take_entries(members: dict[str, JsonValue]) -> tuple[bytes, ...]:
    return tuple(
        [
            _decode(item, f"entries[{place}]")
            for place, item in enumerate(_take_list(members, "entries"))
        ]
    )


def _take_block(value: JsonValue, name: str) -> ProvenBlock:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is not an object")
    take_members(value, f"evidence file: {name}", BLOCK_MEMBERS)
    return ProvenBlock(
        _decode(value["header"], f"{name}.header"), _take_hashes(value, "path", f"{name}.path")
    )


def _take_hashes(
    members: dict[str, JsonValue], member: str, name: str | None = None
) -> tuple[bytes, ...]:
    name = name or member
    value = members[member]
    if not isinstance(value, list):
        _refuse(Reason.BAD_FIELD, f"{name} is not a list")
    found: list[bytes] = []
    for item in value:
        node = decode_base64(item) if type(item) is str else None
        if node is None or len(node) != HASH_BYTES:
            place = f"{name}[{len(found)}]"
            node = _decode(item, place)
            _refuse(Reason.BAD_FIELD, f"{place} has {len(node)} bytes and is no hash")
        found.append(node)
    return tuple(found)


def _take_state_claim(value: JsonValue) -> StateClaim:
    """Take a state value that may be said to be absent."""
    if isinstance(value, dict) and value.get("value", "") is None:
        proven = _take_stream(value | {"value": ""}, "state")
        return StateClaim(proven.stream, None, proven.proof)
    proven = _take_stream(value, "state")
    return StateClaim(proven.stream, proven.value, proven.proof)


def _take_claim(value: JsonValue, name: str) -> ProvenClaim:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is not an object")
    take_members(value, f"evidence file: {name}", CLAIM_MEMBERS)
    numbers = []
    for member in ("place", "locked", "owed"):
        number = value[member]
        if type(number) is not int or number < 0:
            _refuse(Reason.BAD_FIELD, f"{name}.{member} is not an integer from 0 up")
        numbers.append(number)
    place, locked, owed = numbers
    return ProvenClaim(
        place=place,
        name=_decode(value["name"], f"{name}.name"),
        locked=locked,
        owed=owed,
        path=tuple(
            [
                _decode(node, f"{name}.path[{at}]")
                for at, node in enumerate(_take_list(value, "path"))
            ]
        ),
        shown=_take_shown(value["shown"], f"{name}.shown"),
    )


def _take_shown(value: JsonValue, name: str) -> ShownContract | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is neither null nor an object")
    take_members(value, f"evidence file: {name}", SHOWN_MEMBERS)
    return ShownContract(
        _take_stream(value["contract"], f"{name}.contract"),
        _take_stream(value["signed"], f"{name}.signed"),
    )


def _take_law(value: JsonValue) -> LawPapers:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, "law is not an object")
    findings = _take_findings(value)
    take_members(value, "evidence file: law", LAW_MEMBERS)
    times: list[int] = []
    for place, item in enumerate(_take_list(value, "times")):
        if type(item) is not int or item < 0:
            _refuse(Reason.BAD_FIELD, f"law.times[{place}] is no time")
        times.append(item)
    return LawPapers(
        terms=_decode(value["terms"], "law.terms"),
        times=tuple(times),
        merchant=_take_placed(value, "merchant"),
        pages=_take_placed(value, "pages"),
        findings=findings,
    )


def _take_findings(law: dict[str, JsonValue]) -> tuple[ProvenFindings, ...]:
    """Take a member that may be absent off, so that the others can be compared exactly."""
    if FINDINGS not in law:
        return ()
    listed = _take_list(law, FINDINGS, "law.findings")
    del law[FINDINGS]
    if not 0 < len(listed) <= FINDINGS_MAX:
        _refuse(Reason.BAD_FIELD, f"law.findings has {len(listed)}; 1 to {FINDINGS_MAX} may be")
    found = []
    for place, item in enumerate(listed):
        name = f"law.findings[{place}]"
        if not isinstance(item, dict):
            _refuse(Reason.BAD_FIELD, f"{name} is not an object")
        take_members(item, f"evidence file: {name}", FINDINGS_MEMBERS)
        position = item["position"]
        if type(position) is not int or position < 0:
            _refuse(Reason.BAD_FIELD, f"{name}.position is no position")
        found.append(ProvenFindings(position, _decode(item["documents"], f"{name}.documents")))
    return tuple(found)


def _take_placed(value: dict[str, JsonValue], name: str) -> tuple[dict[str, JsonValue], ...]:
    """Take a list of documents with a position; their content is the law's to read."""
    found = []
    for place, item in enumerate(_take_list(value, name)):
        if not isinstance(item, dict) or type(item.get("position")) is not int:
            _refuse(Reason.BAD_FIELD, f"law.{name}[{place}] is no document with a position")
        found.append(item)
    return tuple(found)


def _take_parties(members: dict[str, JsonValue]) -> tuple[ProvenStream, ...]:
    return tuple(
        [
            _take_stream(item, f"parties[{place}]")
            for place, item in enumerate(_take_list(members, "parties"))
        ]
    )


def _take_stream(value: JsonValue, name: str) -> ProvenStream:
    if not isinstance(value, dict):
        _refuse(Reason.BAD_FIELD, f"{name} is not an object")
    take_members(value, f"evidence file: {name}", STREAM_MEMBERS)
    stream = value["stream"]
    if not isinstance(stream, str):
        _refuse(Reason.BAD_FIELD, f"{name}.stream is not a string")
    return ProvenStream(
        stream, _decode(value["value"], f"{name}.value"), _decode(value["proof"], f"{name}.proof")
    )


def _take_list(
    members: dict[str, JsonValue], member: str, name: str | None = None
) -> list[JsonValue]:
    name = name or member
    value = members[member]
    if not isinstance(value, list):
        _refuse(Reason.BAD_FIELD, f"{name} is not a list")
    return value


def _take_genesis(members: dict[str, JsonValue]) -> bytes:
    """Take the document that all files of a chain have in common; decoded once, its hash and what
    follows from it (`verifier.trust_root`) are found again by the same bytes."""
    text = members["genesis"]
    if isinstance(text, str) and len(text) <= _GENESIS_CHARS_KEPT_MAX:
        return _decode_genesis(text)
    return _decode(text, "genesis")


@lru_cache(maxsize=4)
def _decode_genesis(text: str) -> bytes:
    return _decode(text, "genesis")


def _take_blob(members: dict[str, JsonValue], name: str) -> bytes:
    return _decode(members[name], name)


def _take_proof(members: dict[str, JsonValue], member: str, name: str | None = None) -> bytes:
    name = name or member
    value = members[member]
    if not isinstance(value, str):
        _refuse(Reason.BAD_FIELD, f"{name} is not a string")
    return value.encode()


def _decode(value: JsonValue, name: str) -> bytes:
    blob = decode_base64(value) if isinstance(value, str) else None
    if blob is None:
        _refuse(Reason.BAD_FIELD, f"{name} is not canonical standard base64")
    return blob


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise Rejected(reason, f"evidence file: {detail}")
