"""Inputs that every reader must refuse, each named for what was done to a good one, and why.

A client that writes, or a tool that reads, these formats tests itself with them: a good input, one
change, and the reason's name. The signatures of the envelopes are good ones unless the name says
otherwise, so that nothing but the named fault is at fault.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack

from ledger.canonical import encode_canonical
from ledger.refusal import Rejected
from ledger.transaction import decode_body, decode_transaction, verify_transaction_signatures
from tests.vectors.worked_example import Example, make_example


def compute_refusals() -> dict[str, list[dict[str, str]]]:
    """Return refused bodies and envelopes, with the reason's name."""
    example = make_example()
    return {
        "bodies": [
            {"name": name, "hex": raw.hex(), "reason": judge_body(raw)}
            for name, raw in body_mutants(example)
        ],
        "envelopes": [
            {"name": name, "hex": raw.hex(), "reason": judge_envelope(example, raw)}
            for name, raw in envelope_mutants(example)
        ],
    }


def judge_body(raw: bytes) -> str:
    """Return why a body is refused."""
    try:
        decode_body(raw)
    except Rejected as rejected:
        return str(rejected.reason)
    raise ValueError(f"{raw!r} is a good body")


def judge_envelope(example: Example, raw: bytes) -> str:
    """Return why an envelope is refused."""
    try:
        verify_transaction_signatures(decode_transaction(raw), example.world.chain_id)
    except Rejected as rejected:
        return str(rejected.reason)
    raise ValueError(f"{raw.hex()} is a good envelope")


def body_mutants(example: Example) -> list[tuple[str, bytes]]:
    """Return a body's mutants."""
    good = example.batch[0]
    members: dict[str, Any] = json.loads(good)

    def change(**changes: Any) -> bytes:
        return encode_canonical(members | changes)

    def replace(old: bytes, new: bytes) -> bytes:
        if old not in good:
            raise ValueError(old)
        return good.replace(old, new)

    return [
        ("empty", b""),
        ("cut-off", good[:-1]),
        ("trailing-newline", good + b"\n"),
        ("byte-order-mark", b"\xef\xbb\xbf" + good),
        ("space-after-colon", replace(b'"data":', b'"data": ')),
        ("members-out-of-order", write_reversed(members)),
        ("member-twice", replace(b'"version":1', b'"version":1,"version":1')),
        ("member-unknown", change(zone="futian")),
        ("member-missing", encode_canonical({k: v for k, v in members.items() if k != "salt"})),
        ("amount-as-float", replace(b'"amount":9900', b'"amount":9900.0')),
        ("amount-as-fraction", replace(b'"amount":9900', b'"amount":99.5')),
        ("amount-with-exponent", replace(b'"amount":9900', b'"amount":99e2')),
        ("amount-minus-zero", replace(b'"amount":9900', b'"amount":-0')),
        ("amount-beyond-2^53", replace(b'"amount":9900', b'"amount":9007199254740992')),
        ("needless-escape", replace(b'"m-yoga"', b'"m\\u002dyoga"')),
        ("chinese-escaped", replace("团课".encode(), b"\\u56e2\\u8bfe")),
        ("not-nfc", replace("团课".encode(), "cafe\u0301".encode())),
        ("not-utf8", replace("团课".encode(), b"\xff")),
        ("lone-surrogate", replace("团课".encode(), b"\\ud800 ")),
        ("members-by-code-point", replace(
            b'"amount":9900', '"amount":9900,"\ue000":1,"\U00010000":1'.encode()
        )),
        ("nine-levels", replace(b'"units":1', b'"units":' + b"[" * 7 + b"]" * 7)),
        ("too-long", change(data={"filling": "f" * 32_768})),
        ("salt-of-120-bits", change(salt="A" * 20)),
        ("salt-with-padding", change(salt="A" * 22 + "==")),
        ("reference-empty", change(reference="")),
        ("reference-of-65", change(reference="r" * 65)),
        ("no-signer", change(signers=[])),
        ("signer-twice", change(signers=["m-yoga", "m-yoga"])),
        ("nine-signers", change(signers=[f"m-{number}" for number in range(9)])),
        ("signer-with-newline", change(signers=["m-yoga\n"])),
        ("stream-of-another-sort", change(stream="card/yoga-0001")),
        ("stream-with-newline", change(stream="contract/yoga-0001\n")),
        ("kind-in-capitals", change(kind="Prepaid.consume")),
        ("version-0", change(version=0)),
        ("not-after-as-text", change(not_after="2026-01-01")),
    ]  # fmt: skip


def envelope_mutants(example: Example) -> list[tuple[str, bytes]]:
    """Return an envelope's mutants: of one that two parties signed, and of one of a batch."""
    two, batched = example.envelopes[0], example.envelopes[1]
    body, (first, second) = msgpack.unpackb(two)
    alone, ((key, signature, (index, size, path)),) = msgpack.unpackb(batched)

    def flip(raw: bytes) -> bytes:
        return raw[:-1] + bytes([raw[-1] ^ 1])

    def pack(*value: Any) -> bytes:
        packed: bytes = msgpack.packb(list(value))
        return packed

    def with_path(*changed: Any) -> bytes:
        return pack(alone, [[key, signature, list(changed)]])

    return [
        ("empty", b""),
        ("trailing-byte", two + b"\0"),
        ("trailing-element", pack(body, [first, second], None)),
        ("body-as-str", b"\x92" + msgpack.packb(body.decode()) + msgpack.packb([first, second])),
        ("array-header-of-16-bits", b"\xdc\x00\x02" + two[1:]),
        ("as-a-map", msgpack.packb({"body": body, "signatures": [first, second]})),
        ("no-signatures", pack(body, [])),
        ("signature-stripped", pack(body, [first])),
        ("signature-added", pack(body, [first, second, first])),
        ("signature-without-its-path-field", pack(body, [first[:2], second[:2]])),
        ("signature-short", pack(body, [[first[0], first[1][:63], None], second])),
        ("signature-flipped", pack(body, [[first[0], flip(first[1]), None], second])),
        ("key-of-another", pack(body, [[second[0], first[1], None], second])),
        ("s-plus-order", pack(body, [[first[0], add_order(first[1]), None], second])),
        ("body-changed", pack(body.replace(b"198000", b"198001"), [first, second])),
        ("batch-path-dropped", pack(alone, [[key, signature, None]])),
        ("batch-path-on-an-individual-signature", pack(
            body, [[first[0], first[1], [0, 1, []]], second]
        )),
        ("batch-path-too-short", with_path(index, size, path[:-1])),
        ("batch-path-too-long", with_path(index, size, [*path, path[0]])),
        ("batch-path-hash-flipped", with_path(index, size, [flip(path[0]), *path[1:]])),
        ("batch-path-hash-short", with_path(index, size, [path[0][:31], *path[1:]])),
        ("batch-index-of-the-sibling", with_path(index ^ 1, size, path)),
        ("batch-index-beyond-size", with_path(size, size, path)),
        ("batch-size-of-one", with_path(0, 1, path)),
        ("batch-size-beyond-65536", with_path(index, 65_537, path)),
        ("batch-path-of-another-body", pack(
            alone.replace(b'"amount":9900', b'"amount":9901'),
            [[key, signature, [index, size, path]]],
        )),
    ]  # fmt: skip


def write_reversed(members: dict[str, Any]) -> bytes:
    """Return the same members, the last first."""
    other = dict(reversed(members.items()))
    return json.dumps(other, ensure_ascii=False, separators=(",", ":")).encode()


def add_order(signature: bytes) -> bytes:
    """Return the same signature with S + L, which RFC 8032 section 5.1.7 forbids."""
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    return signature[:32] + s.to_bytes(32, "little")
