"""Step 25: tokens are of a certified checkpoint that the file's own leads to, and well-formed."""

from __future__ import annotations

import base64
import functools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.evidence import add_timestamps
from ledger.hashing import sha256
from ledger.merkle import consistency_proof, leaf_hash
from ledger.refusal import Reason, Rejected
from ledger.timestamp_part import (
    SHA256,
    SM3,
    TOKEN_BYTES_MAX,
    TOKENS_MAX,
    TimestampPart,
    TimestampToken,
    describe_timestamps,
)
from tests.verifier.small_chain import SmallChain
from tests.verifier.tokens import ACCURACY, NULL, SM3_OID, TIME, element, make_info, make_token
from verifier.report import Report, Result
from verifier.timestamp_step import TIMESTAMP_LIMIT
from verifier.timestamp_token import read_token
from verifier.verify import verify_evidence

CARD = "contract/card-1"
OTHER = SmallChain(network="other.evidence.example")
NAME = "timestamps.tokens[0]"
TOO_EARLY = (
    f"{NAME}: it says 2025-12-31 23:56:59.000 UTC, and its checkpoint was not cosigned before"
)
INTEGER_9 = element(0x02, b"\x09")


@functools.cache
def chain() -> tuple[SmallChain, bytes]:
    """A chain, and a history that is older than its newest checkpoint."""
    made = SmallChain()
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 1}, "m-1"))
    raw = made.history("card-1", ["m-1"])
    made.commit(made.submit("prepaid.prepay", CARD, {"amount": 2}, "m-1"))
    return made, raw


@functools.cache
def older_size() -> int:
    return chain()[0].headers[-2].index + 1


@functools.cache
def note(size: int | None = None) -> bytes:
    made, _ = chain()
    return made.note(made.leaves[:size])


def path_to(size: int | None = None) -> tuple[bytes, ...]:
    leaves = [leaf_hash(leaf) for leaf in chain()[0].leaves[:size]]
    return tuple(consistency_proof(leaves, older_size()) if older_size() < len(leaves) else [])


def sm3_token(**changes: Any) -> bytes:
    """SM3 is not computed here: any 32 bytes are its imprint."""
    return make_token(make_info(b"", oid=SM3_OID, imprint=bytes(32), **changes))


@functools.cache
def part() -> TimestampPart:
    raw = make_token(make_info(note()))
    tokens = (TimestampToken(SHA256, "tsa-1", raw), TimestampToken(SM3, "tsa-1", sm3_token()))
    return TimestampPart(note().decode(), path_to(), tokens)


@functools.cache
def good() -> bytes:
    return add_timestamps(chain()[1], part())


def with_part(**changes: Any) -> bytes:
    return add_timestamps(chain()[1], replace(part(), **changes))


def with_raw(raw: bytes, algorithm: str = SHA256) -> bytes:
    return with_part(tokens=(TimestampToken(algorithm, "tsa-1", raw),))


def with_token(**changes: Any) -> bytes:
    """The good file with its token bent outside of the TSTInfo."""
    return with_raw(make_token(make_info(note()), **changes))


def with_info(**changes: Any) -> bytes:
    return with_raw(make_token(make_info(note(), **changes)))


def with_member(**changes: Any) -> bytes:
    document = json.loads(chain()[1])
    document["timestamps"] = describe_timestamps(part()) | changes
    return encode_canonical(document)


def with_listed(**changes: Any) -> bytes:
    """The good file with members of its first token set to what no writer of ours writes."""
    first, *others = describe_timestamps(part())["tokens"]
    return with_member(tokens=[first | changes, *others])


def with_value(value: Any) -> bytes:
    return encode_canonical(json.loads(chain()[1]) | {"timestamps": value})


def relabelled(order: list[tuple[str, str]]) -> bytes:
    raws = {token.algorithm: token.raw for token in part().tokens}
    return with_part(tokens=tuple([TimestampToken(alg, who, raws[alg]) for who, alg in order]))


def token() -> bytes:
    return part().tokens[0].raw


Made = tuple[Callable[[], bytes], int, Reason, str]
MALFORMED, BAD_FIELD = Reason.MALFORMED, Reason.BAD_FIELD
NO_TIME = f"{NAME}: genTime is no moment since 1970 as YYYYMMDDhhmmss[.f]Z."
NO_LENGTH = "has a length that is not DER, or too large."


def bad_time(time: bytes) -> Made:
    return (lambda: with_info(time=time), 25, BAD_FIELD, NO_TIME)


def accuracy(parts: str) -> bytes:
    """An Accuracy (RFC 3161 section 2.4.2) of elements in hex."""
    return element(0x30, bytes.fromhex(parts))


def bad_accuracy(parts: str, name: str, least: int, greatest: int) -> Made:
    said = f"{NAME}: accuracy.{name} is no number from {least} to {greatest}."
    return (lambda: with_info(tail=accuracy(parts)), 25, BAD_FIELD, said)


MUTATIONS: dict[str, Made] = {
    # The checkpoint and what joins it
    "another-log": (
        lambda: with_part(checkpoint=OTHER.note().decode()), 25, Reason.WRONG_CHAIN,
        "The checkpoint is of log",
    ),
    "no-quorum": (
        lambda: with_part(checkpoint=chain()[0].note(cosigners=range(2)).decode()),
        25,
        Reason.NO_QUORUM,
        "Only 2 institutions cosigned the checkpoint",
    ),
    "signature-flipped": (
        lambda: with_part(checkpoint=bent_signature()), 25, Reason.BAD_SIGNATURE, "Checkpoint:",
    ),
    "older-than-the-file": (
        lambda: with_part(checkpoint=note(older_size() - 1).decode()), 25, Reason.BAD_PROOF, "",
    ),
    "path-dropped": (lambda: with_part(path=part().path[:-1]), 25, Reason.BAD_PROOF, ""),
    "path-added": (lambda: with_part(path=(*part().path, bytes(32))), 25, Reason.BAD_PROOF, ""),
    "path-of-a-file-that-needs-none": (
        lambda: with_part(checkpoint=note(older_size()).decode()), 25, Reason.BAD_PROOF, "",
    ),
    "no-checkpoint": (lambda: with_part(checkpoint="text\n"), 25, MALFORMED, ""),
    # The imprint
    "token-of-another-note": (
        lambda: with_raw(make_token(make_info(note(older_size())))),
        25,
        Reason.ROOT_MISMATCH,
        f"{NAME}: the imprint is ",
    ),
    "imprint-of-the-text-alone": (
        lambda: with_info(imprint=sha256(note().partition(b"\n\n")[0] + b"\n")),
        25,
        Reason.ROOT_MISMATCH,
        f"{NAME}: the imprint is ",
    ),
    "line-dropped-from-the-note": (
        lambda: with_part(checkpoint=chain()[0].note(cosigners=range(3)).decode()),
        25,
        Reason.ROOT_MISMATCH,
        f"{NAME}: the imprint is ",
    ),
    "stamped-before-it-was-cosigned": (
        lambda: with_info(time=b"20251231235659Z"),
        25,
        BAD_FIELD,
        f"{TOO_EARLY} 2026-01-01 00:02:00.000 UTC.",
    ),
    "sm3-stamped-before-it-was-cosigned": (
        lambda: with_raw(sm3_token(time=b"20251231235659Z"), SM3), 25, BAD_FIELD,
        f"{TOO_EARLY} ",
    ),
    "sm3-said-to-be-sha256": (
        lambda: with_raw(sm3_token()), 25, BAD_FIELD,
        f"{NAME}: hashAlgorithm is the identifier 2a811ccf55018311 instead of 608648016503040201.",
    ),
    "sha256-said-to-be-sm3": (
        lambda: with_raw(token(), SM3), 25, BAD_FIELD,
        f"{NAME}: hashAlgorithm is the identifier 608648016503040201 instead of 2a811ccf55018311.",
    ),
    "imprint-short": (
        lambda: with_info(imprint=bytes(31)), 25, BAD_FIELD,
        f"{NAME}: hashedMessage has 31 bytes instead of 32.",
    ),
    "sm3-imprint-long": (
        lambda: with_raw(
            make_token(make_info(b"", oid=SM3_OID, imprint=bytes(33))), SM3
        ),
        25,
        BAD_FIELD,
        f"{NAME}: hashedMessage has 33 bytes instead of 32.",
    ),
    "imprint-tail": (
        lambda: with_info(imprint_tail=NULL), 25, MALFORMED,
        f"{NAME}: 2 bytes too many in messageImprint.",
    ),
    "parameters-not-null": (
        lambda: with_info(parameters=INTEGER_9), 25, MALFORMED,
        f"{NAME}: hashAlgorithm.parameters has tag 0x02 instead of 0x05.",
    ),
    "parameters-full": (
        lambda: with_info(parameters=element(0x05, b"x")), 25, MALFORMED,
        f"{NAME}: hashAlgorithm.parameters is not empty.",
    ),
    "parameters-twice": (
        lambda: with_info(parameters=NULL * 2), 25, MALFORMED,
        f"{NAME}: 2 bytes too many in hashAlgorithm.",
    ),
    # The rest of the TSTInfo
    "info-version": (
        lambda: with_info(version=element(0x02, b"\x02")), 25, BAD_FIELD,
        f"{NAME}: TSTInfo.version is not 1.",
    ),
    "no-policy": (
        lambda: with_info(policy=b""), 25, MALFORMED,
        f"{NAME}: policy has tag 0x30 instead of 0x06.",
    ),
    "no-serial": (
        lambda: with_info(serial=b""), 25, MALFORMED,
        f"{NAME}: serialNumber has tag 0x18 instead of 0x02.",
    ),
    "utc-time": (
        lambda: with_info(time_tag=0x17), 25, MALFORMED,
        f"{NAME}: genTime has tag 0x17 instead of 0x18.",
    ),
    "time-before-1970": bad_time(b"19691231235959Z"),
    "time-of-february-30": bad_time(b"20260230000000Z"),
    "time-of-month-13": bad_time(b"20261301000000Z"),
    "time-of-day-0": bad_time(b"20260100000000Z"),
    "time-at-24": bad_time(b"20260101240000Z"),
    "time-at-second-60": bad_time(b"20260101000060Z"),
    "time-without-seconds": bad_time(b"202601010000Z"),
    "time-with-an-offset": bad_time(b"20260101000000+0800"),
    "time-with-a-zero-at-the-end": bad_time(b"20260101000000.50Z"),
    "time-with-an-empty-fraction": bad_time(b"20260101000000.Z"),
    "time-empty": bad_time(b""),
    "time-with-a-line-feed": bad_time(TIME + b"\n"),
    "time-in-the-year-0": bad_time(b"00000101000000Z"),
    "time-of-many-bytes": bad_time(TIME + bytes(5000)),
    "accuracy-over-68-years": bad_accuracy("02050080000000", "seconds", 0, 2**31 - 1),
    "accuracy-of-ages": bad_accuracy("02081122334455667788", "seconds", 0, 2**31 - 1),
    "accuracy-below-zero": bad_accuracy("0201ff", "seconds", 0, 2**31 - 1),
    "accuracy-of-no-digits": bad_accuracy("0200", "seconds", 0, 2**31 - 1),
    "accuracy-of-two-spellings": bad_accuracy("02020001", "seconds", 0, 2**31 - 1),
    "accuracy-of-1000-millis": bad_accuracy("800203e8", "millis", 0, 999),
    "accuracy-below-zero-millis": bad_accuracy("8001ff", "millis", 0, 999),
    "accuracy-of-1000-micros": bad_accuracy("020101810203e8", "micros", 0, 999),
    "accuracy-out-of-order": (
        lambda: with_info(tail=accuracy("800101020101")), 25, MALFORMED,
        f"{NAME}: 3 bytes too many in accuracy.",
    ),
    "accuracy-of-something-else": (
        lambda: with_info(tail=accuracy("040101")), 25, MALFORMED,
        f"{NAME}: 3 bytes too many in accuracy.",
    ),
    "accuracy-cut": (
        lambda: with_info(tail=accuracy("0202")), 25, MALFORMED,
        f"{NAME}: accuracy.seconds is cut off.",
    ),
    "info-tail-cut": (
        lambda: with_info(tail=b"\x02\x08x"), 25, MALFORMED,
        f"{NAME}: an element of TSTInfo is cut off.",
    ),
    "info-tail-one-byte": (
        lambda: with_info(tail=b"\x02"), 25, MALFORMED,
        f"{NAME}: an element of TSTInfo is cut off.",
    ),
    "info-tail-of-a-long-tag": (
        lambda: with_info(tail=b"\xbf\x81\x01\x00"), 25, MALFORMED,
        f"{NAME}: an element of TSTInfo has a tag of several bytes.",
    ),
    # CMS
    "status-rejection": (
        lambda: with_token(status=element(0x30, element(0x02, b"\x02"))), 25, BAD_FIELD,
        f"{NAME}: status.status is not 0 (granted).",
    ),
    "status-alone": (
        lambda: with_raw(element(0x30, element(0x30, element(0x02, b"\x00")))), 25, MALFORMED,
        f"{NAME}: timeStampToken is missing.",
    ),
    "not-signed-data": (
        lambda: with_token(content_type=element(0x06, SM3_OID)), 25, BAD_FIELD,
        f"{NAME}: contentType is the identifier 2a811ccf55018311 instead of 2a864886f70d010702.",
    ),
    "not-a-tst-info": (
        lambda: with_token(info_type=element(0x06, bytes(60))), 25, BAD_FIELD,
        f"{NAME}: eContentType is the identifier {'00' * 20} instead of 2a864886f70d0109100104.",
    ),
    "no-signers": (
        lambda: with_token(signers=b""), 25, MALFORMED, f"{NAME}: signerInfos is missing.",
    ),
    "signers-empty": (
        lambda: with_token(signers=element(0x31)), 25, MALFORMED,
        f"{NAME}: signerInfos is empty.",
    ),
    "signed-tail": (
        lambda: with_token(signed_tail=NULL), 25, MALFORMED,
        f"{NAME}: 2 bytes too many in SignedData.",
    ),
    "content-tail": (
        lambda: with_token(content_tail=NULL), 25, MALFORMED,
        f"{NAME}: 2 bytes too many in timeStampToken.",
    ),
    "response-tail": (
        lambda: with_token(response_tail=NULL), 25, MALFORMED,
        f"{NAME}: 2 bytes too many in TimeStampResp.",
    ),
    "two-infos": (
        lambda: with_token(info_tail=make_info(note())), 25, MALFORMED,
        f"{NAME}: {len(make_info(note()))} bytes too many in eContent.",
    ),
    "octets-constructed": (
        lambda: with_token(info_tag=0x24), 25, MALFORMED,
        f"{NAME}: eContent has tag 0x24 instead of 0x04.",
    ),
    # DER
    "empty": (lambda: with_raw(b""), 25, MALFORMED, f"{NAME}: TimeStampResp is missing."),
    "one-byte": (lambda: with_raw(b"\x30"), 25, MALFORMED, f"{NAME}: TimeStampResp is cut off."),
    "length-cut": (
        lambda: with_raw(b"\x30\x82\x01"), 25, MALFORMED, f"{NAME}: TimeStampResp is cut off.",
    ),
    "text": (
        lambda: with_raw(b"<html>"), 25, MALFORMED,
        f"{NAME}: TimeStampResp has tag 0x3c instead of 0x30.",
    ),
    "cut": (lambda: with_raw(token()[:-1]), 25, MALFORMED, f"{NAME}: TimeStampResp is cut off."),
    "tail": (
        lambda: with_raw(token() + b"\0"), 25, MALFORMED, f"{NAME}: 1 bytes too many in the token.",
    ),
    "indefinite": (
        lambda: with_raw(b"\x30\x80" + token()[4:] + b"\0\0"), 25, MALFORMED,
        f"{NAME}: TimeStampResp {NO_LENGTH}",
    ),
    "length-in-three-bytes": (
        lambda: with_raw(b"\x30\x83\0" + token()[2:]), 25, MALFORMED,
        f"{NAME}: TimeStampResp {NO_LENGTH}",
    ),
    "length-not-the-shortest": (
        lambda: with_token(status=b"\x30\x81\x03" + element(0x02, b"\x00")), 25, MALFORMED,
        f"{NAME}: status {NO_LENGTH}",
    ),
    "length-in-two-bytes-not-the-shortest": (
        lambda: with_token(status=b"\x30\x82\x00\x03" + element(0x02, b"\x00")), 25, MALFORMED,
        f"{NAME}: status {NO_LENGTH}",
    ),
    "second-token": (
        lambda: with_part(
            tokens=(part().tokens[0], TimestampToken(SM3, "tsa-1", sm3_token(time=b"")))
        ),
        25,
        BAD_FIELD,
        "timestamps.tokens[1]: genTime",
    ),
    # The file
    "not-an-object": (lambda: with_value([]), 1, BAD_FIELD, "evidence file: timestamps is not"),
    "null": (lambda: with_value(None), 1, BAD_FIELD, "evidence file: timestamps is not an object."),
    "member-unknown": (lambda: with_member(more=1), 1, BAD_FIELD, "evidence file: timestamps"),
    "member-missing": (lambda: with_value({"path": []}), 1, BAD_FIELD, "evidence file: timestamps"),
    "checkpoint-number": (
        lambda: with_member(checkpoint=1), 1, BAD_FIELD,
        "evidence file: timestamps.checkpoint is not a string.",
    ),
    "node-short": (
        lambda: with_member(path=["AAAA"]), 1, BAD_FIELD,
        "evidence file: timestamps.path[0] has 3 bytes and is no hash.",
    ),
    "tokens-an-object": (
        lambda: with_member(tokens={}), 1, BAD_FIELD,
        "evidence file: timestamps.tokens is not a list.",
    ),
    "no-tokens": (
        lambda: with_part(tokens=()), 1, BAD_FIELD,
        "evidence file: timestamps.tokens has 0; 1 to 16 may be.",
    ),
    "too-many-tokens": (
        lambda: with_part(
            tokens=tuple([TimestampToken(SHA256, f"a-{at}", b"") for at in range(TOKENS_MAX + 1)])
        ),
        1,
        BAD_FIELD,
        "evidence file: timestamps.tokens has 17; 1 to 16 may be.",
    ),
    "token-a-text": (
        lambda: with_member(tokens=["AAAA"]), 1, BAD_FIELD,
        "evidence file: timestamps.tokens[0] is not an object.",
    ),
    "token-member-unknown": (
        lambda: with_listed(policy=""), 1, BAD_FIELD, "evidence file: timestamps.tokens[0]",
    ),
    "algorithm-unknown": (
        lambda: with_listed(algorithm="md5"), 1, BAD_FIELD,
        "evidence file: timestamps.tokens[0].algorithm is none of sha256, sm3.",
    ),
    "algorithm-a-list": (
        lambda: with_listed(algorithm=["sha256"]), 1, BAD_FIELD,
        "evidence file: timestamps.tokens[0].algorithm is none of sha256, sm3.",
    ),
    "authority-a-path": (
        lambda: with_listed(authority="../tsa"), 1, BAD_FIELD,
        ("evidence file: timestamps.tokens[0].authority is not a name that matches "
        "[a-z0-9][a-z0-9-]{0,47}."),
    ),
    "authority-with-a-line-feed": (
        lambda: with_listed(authority="tsa-1\n"), 1, BAD_FIELD, "evidence file: timestamps.tokens",
    ),
    "token-not-base64": (
        lambda: with_listed(token="AA=A"), 1, BAD_FIELD,
        "evidence file: timestamps.tokens[0].token is not canonical standard base64.",
    ),
    "token-too-large": (
        lambda: with_raw(bytes(TOKEN_BYTES_MAX + 1)), 1, Reason.TOO_LARGE,
        "evidence file: timestamps.tokens[0].token has more than 65536 bytes.",
    ),
    "tokens-exchanged": (
        lambda: with_part(tokens=part().tokens[::-1]), 1, BAD_FIELD,
        ("evidence file: timestamps.tokens are not in the order of authority and algorithm, each "
        "pair once."),
    ),
    "token-twice": (
        lambda: with_part(tokens=part().tokens[:1] * 2), 1, BAD_FIELD,
        "evidence file: timestamps.tokens are not in the order",
    ),
    "authorities-exchanged": (
        lambda: relabelled([("tsa-1", SHA256), ("tsa", SHA256)]), 1, BAD_FIELD,
        "evidence file: timestamps.tokens are not in the order",
    ),
}  # fmt: skip
"""What is refused: maker, step, reason, and how the sentence begins."""


def bent_signature() -> str:
    """The note with one bit of its last cosignature flipped."""
    lines = note().decode().split("\n")
    raw = bytearray(base64.b64decode(lines[-2].rpartition(" ")[2]))
    raw[-1] ^= 1
    lines[-2] = f"{lines[-2].rpartition(' ')[0]} {base64.b64encode(raw).decode()}"
    return "\n".join(lines)


UNNOTICED: dict[str, Callable[[], bytes]] = {
    "another-time": lambda: with_info(time=TIME.replace(b"2026", b"2029")),
    "another-policy": lambda: with_info(policy=element(0x06, SM3_OID)),
    "another-serial": lambda: with_info(serial=INTEGER_9),
    "another-nonce": lambda: with_info(tail=ACCURACY),
    "another-accuracy": lambda: with_info(tail=accuracy("0203015180")),
    "no-certificates": lambda: with_token(certificates=b""),
    "other-certificates": lambda: with_token(certificates=element(0xA0, b"nothing")),
    "other-signers": lambda: with_token(signers=element(0x31, b"nothing")),
    "crls": lambda: with_token(signers=element(0xA1, b"x") + element(0x31, b"x")),
    "another-sm3-imprint": lambda: with_part(
        tokens=(
            part().tokens[0],
            TimestampToken(
                SM3, "tsa-1", make_token(make_info(b"", oid=SM3_OID, imprint=b"x" * 32))
            ),
        )
    ),
    "another-name": lambda: relabelled([("a", SHA256), ("a-b", SHA256), ("b", SM3)]),
}
"""What only the authority's signature shows, and is not refused here: docs/EVIDENCE.md says so."""

GOOD: dict[str, Callable[[], bytes]] = {
    "good": good,
    "same-tree": lambda: with_part(
        checkpoint=note(older_size()).decode(),
        path=(),
        tokens=(TimestampToken(SHA256, "tsa-1", make_token(make_info(note(older_size())))),),
    ),
    "sm3-alone": lambda: with_part(tokens=part().tokens[1:]),
    "fraction": lambda: with_info(time=b"20260101001500.123456789Z"),
    "fraction-of-one-digit": lambda: with_info(time=b"20260101001500.5Z"),
    "as-early-as-can-be": lambda: with_info(time=b"20251231235700Z"),
    "leap-day": lambda: with_info(time=b"20280229235959Z"),
    "year-9999": lambda: with_info(time=b"99991231235959Z"),
    "no-parameters": lambda: with_info(parameters=b""),
    "accuracy-of-all-parts": lambda: with_info(tail=accuracy("02010a800105810201f4")),
    "accuracy-of-micros": lambda: with_info(tail=accuracy("810101")),
    "accuracy-of-a-day": lambda: with_info(tail=accuracy("0203015180")),
    "accuracy-of-a-month": lambda: with_info(tail=accuracy("0203278d00")),
    "accuracy-of-68-years": lambda: with_info(tail=accuracy("02047fffffff800203e7810203e7")),
    "accuracy-of-no-millis": lambda: with_info(tail=accuracy("800100")),
    "accuracy-of-nothing": lambda: with_info(tail=accuracy("")),
    "nothing-after-the-time": lambda: with_info(tail=b""),
    "status-with-text": lambda: with_token(
        status=element(0x30, element(0x02, b"\0"), element(0x30, element(0x0C, "好".encode())))
    ),
}


def judge(raw: bytes) -> Report:
    return verify_evidence(raw, chain()[0].chain_id)


def test_what_the_tokens_say_is_told_and_not_believed() -> None:
    report = judge(good())
    assert report.is_consistent
    step, size = report.steps[-1], len(chain()[0].leaves)
    assert (step.number, step.result) == (25, Result.OK)
    assert step.explanation.en == (
        f"A quorum cosigned the checkpoint of size {size}; this file's log is the beginning of it. "
        "What its 2 time stamps say: tsa-1 (sha256): 2026-01-01 00:15:00.000 UTC to within 1 s, of "
        "these bytes; tsa-1 (sm3): 2026-01-01 00:15:00.000 UTC to within 1 s, imprint not "
        "compared. The authorities' signatures and certificates are not checked here; to check "
        "them: evidence-ledger stamps --file FILE -o stamped && openssl ts -verify -data "
        "stamped/checkpoint -in stamped/tsa-1.sha256.tsr -CAfile root.pem -untrusted signer.pem"
    )
    assert step.explanation.zh == (
        f"大小为 {size} 的检查点由法定多数联署，此文件的日志是其开头；其 2 个时间戳自称的时间："
        "tsa-1（sha256）：北京时间 2026-01-01 08:15:00.000，误差至多 1 秒，摘要相符；tsa-1（sm3）："
        "北京时间 2026-01-01 08:15:00.000，误差至多 1 秒，摘要未比对。时间戳机构的签名与证书"
        "未在此核验，核验命令："
        "evidence-ledger stamps --file FILE -o stamped && openssl ts -verify -data "
        "stamped/checkpoint -in stamped/tsa-1.sha256.tsr -CAfile root.pem -untrusted signer.pem"
    )
    assert report.limits[-1] == TIMESTAMP_LIMIT
    assert report.facts["timestamps_size"] == size
    assert report.facts["timestamps"] == [
        {
            "accuracy_us": 1_000_000,
            "algorithm": algorithm,
            "authority": "tsa-1",
            "is_imprint_compared": algorithm == SHA256,
            "time_ms": 1_767_226_500_000,
        }
        for algorithm in (SHA256, SM3)
    ]


def test_the_same_tree_needs_no_path_and_the_very_same_note_is_certified_once() -> None:
    report = judge(GOOD["same-tree"]())
    assert report.is_consistent
    assert f"checkpoint of size {older_size()};" in report.steps[-1].explanation.en


def test_where_sm3_alone_was_asked_for_the_step_is_not_run() -> None:
    report = judge(GOOD["sm3-alone"]())
    assert report.is_consistent
    assert report.steps[-1].result is Result.NOT_RUN
    assert "tsa-1 (sm3): 2026-01-01 00:15:00.000 UTC to within 1 s, imprint not compared." in (
        report.steps[-1].explanation.en
    )
    assert report.limits[-1] == TIMESTAMP_LIMIT


def test_a_file_without_them_has_no_such_step() -> None:
    assert [step.number for step in judge(chain()[1]).steps] == list(range(1, 16))


@pytest.mark.parametrize("name", GOOD)
def test_good_tokens_are_read(name: str) -> None:
    assert judge(GOOD[name]()).is_consistent


def test_what_is_smaller_than_a_millisecond_is_cut_off() -> None:
    for name, shown in (("fraction", "00:15:00.123"), ("fraction-of-one-digit", "00:15:00.500")):
        assert f"2026-01-01 {shown} UTC" in judge(GOOD[name]()).steps[-1].explanation.en


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("nothing-after-the-time", "，未载明误差，", "UTC, accuracy not stated, of"),
        ("accuracy-of-micros", "，误差至多 0.000001 秒，", "UTC to within 0.000001 s, of"),
        ("accuracy-of-a-day", "，误差至多 86400 秒，", "UTC to within 86400 s, of"),
        ("accuracy-of-a-month", "，误差至多 2592000 秒，", "UTC to within 2592000 s, of"),
        (
            "accuracy-of-68-years",
            "，误差至多 2147483647.999999 秒，",
            "to within 2147483647.999999 s,",
        ),
        ("accuracy-of-no-millis", "，误差至多 0 秒，", "UTC to within 0 s, of"),
        ("accuracy-of-nothing", "，误差至多 0 秒，", "UTC to within 0 s, of"),
    ],
)
def test_how_exact_a_time_is_said_to_be_is_told(name: str, zh: str, en: str) -> None:
    said = judge(GOOD[name]()).steps[-1].explanation
    assert (zh in said.zh, en in said.en) == (True, True)


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_is_not_a_token_of_this_log_is_refused(name: str) -> None:
    make, number, reason, sentence = MUTATIONS[name]
    failed = judge(make()).failed
    assert failed is not None
    assert (failed.number, failed.reason) == (number, reason)
    said = failed.explanation.en
    assert said == sentence if sentence.endswith(".") else said.startswith(sentence)


@pytest.mark.parametrize("name", UNNOTICED)
def test_what_only_the_authoritys_signature_shows_is_not_noticed(name: str) -> None:
    """If one of these is refused one day, the documents say too little."""
    assert UNNOTICED[name]() != good()
    report = judge(UNNOTICED[name]())
    assert report.is_consistent
    assert report.limits[-1] == TIMESTAMP_LIMIT


def test_a_token_is_read_or_refused_by_name_whatever_is_done_to_it() -> None:
    chance = random.Random("time stamps: noise")
    said = Counter[bool]()
    for _ in range(3000):
        raw = bytearray(token())
        for _ in range(chance.choice((1, 1, 2, 5))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        cut = bytes(raw[: chance.choice((len(raw), len(raw), chance.randrange(len(raw))))])
        said[refusal_of(cut).startswith(f"{NAME}: ")] += 1
    assert said[True] > 500
    assert said[False] > 500


def refusal_of(raw: bytes) -> str:
    """Why a token is refused; empty where it is read."""
    try:
        read_token(raw, SHA256, NAME)
    except Rejected as rejected:
        return rejected.detail
    return ""
