"""Reading an evidence file into bytes that belong together, without believing any of them.

The shape is the one that `ledger.evidence` writes: canonical JSON, exactly the members of its
kind, binary values in the one spelling of standard base64. Whatever is wrong here makes the file
unusable, which is another answer than *inconsistent*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.evidence import (
    CASE,
    CLAIM_MEMBERS,
    FILE_BYTES_MAX,
    FORMAT,
    HISTORY,
    LAW_MEMBERS,
    LIABILITIES,
    MEMBERS,
    SHOWN_MEMBERS,
    STREAM_MEMBERS,
    TRANSACTION,
    LawPapers,
    ProvenClaim,
    ProvenStream,
    ShownContract,
)
from ledger.note import decode_base64
from ledger.refusal import Reason, Rejected
from verifier.formats import take_members
from verifier.strict_json import JsonValue, read_object

_CONTRACT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class LiabilitiesFile:
    """Evidence of contracts in their merchant's total."""

    genesis: bytes
    header: bytes
    header_proof: bytes
    merchant: ProvenStream
    claims: tuple[ProvenClaim, ...]


@dataclass(frozen=True, slots=True)
class BareProof:
    """An entry and its C2SP tlog-proof, each from a file of its own."""

    genesis: bytes
    entry: bytes
    proof: bytes


EvidenceFile = TransactionFile | HistoryFile | LiabilitiesFile | BareProof


def read_evidence(raw: bytes) -> TransactionFile | HistoryFile | LiabilitiesFile:
    """Read an evidence file; raise `Rejected` for anything but its one spelling."""
    if len(raw) > FILE_BYTES_MAX:
        _refuse(Reason.TOO_LARGE, f"more than {FILE_BYTES_MAX} bytes")
    members = read_object(raw, "evidence file")
    if members.get("format") != FORMAT:
        _refuse(Reason.BAD_FIELD, f"format is not {FORMAT!r}")
    kind = members.get("kind")
    if kind == TRANSACTION:
        take_members(members, "evidence file", MEMBERS[TRANSACTION])
        return TransactionFile(
            genesis=_take_blob(members, "genesis"),
            entry=_take_blob(members, "entry"),
            proof=_take_proof(members, "proof"),
            header=_take_blob(members, "header"),
            header_proof=_take_proof(members, "header_proof"),
            certificate=_take_blob(members, "certificate"),
            state_header=_take_blob(members, "state_header"),
            state_header_proof=_take_proof(members, "state_header_proof"),
            parties=_take_parties(members),
        )
    if kind == LIABILITIES:
        take_members(members, "evidence file", MEMBERS[LIABILITIES])
        return LiabilitiesFile(
            genesis=_take_blob(members, "genesis"),
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
    if kind not in (HISTORY, CASE):
        _refuse(
            Reason.BAD_FIELD,
            f"kind is none of {TRANSACTION!r}, {HISTORY!r}, {CASE!r} and {LIABILITIES!r}",
        )
    take_members(members, "evidence file", MEMBERS[str(kind)])
    contract = members["contract"]
    if not isinstance(contract, str) or not _CONTRACT.fullmatch(contract):
        _refuse(Reason.BAD_FIELD, f"contract is not an id that matches {_CONTRACT.pattern}")
    return HistoryFile(
        genesis=_take_blob(members, "genesis"),
        contract=contract,
        header=_take_blob(members, "header"),
        header_proof=_take_proof(members, "header_proof"),
        state=_take_stream(members["state"], "state"),
        entries=tuple(
            [
                _decode(item, f"entries[{place}]")
                for place, item in enumerate(_take_list(members, "entries"))
            ]
        ),
        parties=_take_parties(members),
        law=_take_law(members["law"]) if kind == CASE else None,
    )


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
    )


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


def _take_list(members: dict[str, JsonValue], name: str) -> list[JsonValue]:
    value = members[name]
    if not isinstance(value, list):
        _refuse(Reason.BAD_FIELD, f"{name} is not a list")
    return value


def _take_blob(members: dict[str, JsonValue], name: str) -> bytes:
    return _decode(members[name], name)


def _take_proof(members: dict[str, JsonValue], name: str) -> bytes:
    value = members[name]
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
