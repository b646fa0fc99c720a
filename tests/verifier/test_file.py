"""Step 1: what is no evidence file at all. Every other spelling of a good one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ledger.evidence import MEMBERS
from ledger.refusal import Reason
from tests.verifier.mutating import check, honest
from tests.verifier.small_chain import busy_chain, edit
from verifier.verify import verify_evidence


def text(old: bytes, new: bytes) -> bytes:
    raw = honest().encode()
    assert old in raw
    return raw.replace(old, new, 1)


FILES: dict[str, tuple[Callable[[], bytes], Reason, str]] = {
    "empty": (lambda: b"", Reason.MALFORMED, "not the end"),
    "not-json": (lambda: b"\x89PNG\r\n", Reason.MALFORMED, "a value is expected at byte 0"),
    "truncated": (lambda: honest().encode()[:-2], Reason.MALFORMED, "shortest escapes"),
    "half": (lambda: honest().encode()[:4000], Reason.MALFORMED, "at byte"),
    "an-array": (lambda: b"[]", Reason.BAD_FIELD, "an object is expected"),
    "empty-object": (lambda: b"{}", Reason.BAD_FIELD, "format is not"),
    "newline-at-end": (lambda: honest().encode() + b"\n", Reason.NOT_CANONICAL, "1 bytes follow"),
    "byte-order-mark": (lambda: b"\xef\xbb\xbf" + honest().encode(), Reason.MALFORMED, "byte 0"),
    "utf-16": (lambda: honest().encode().decode().encode("utf-16"), Reason.MALFORMED, "byte 0"),
    "white-space": (
        lambda: text(b'"kind":', b'"kind": '),
        Reason.NOT_CANONICAL,
        "a value is expected at byte",
    ),
    "pretty-printed": (
        lambda: json.dumps(json.loads(honest().encode()), indent=1).encode(),
        Reason.NOT_CANONICAL,
        "shortest escapes is expected at byte 1",
    ),
    "another-spelling": (
        lambda: text(b'"kind":"t', b'"kind":"\\u0074'),
        Reason.MALFORMED,
        "shortest escapes",
    ),
    "escaped-dash": (lambda: text("—".encode(), b"\\u2014"), Reason.MALFORMED, "escapes"),
    "not-utf-8": (lambda: text("—".encode(), b"\x80\x80\x80"), Reason.MALFORMED, "valid UTF-8"),
    "member-twice": (
        lambda: text(b'"kind":', b'"kind":"transaction","kind":'),
        Reason.NOT_CANONICAL,
        "member 'kind' at byte",
    ),
    "out-of-order": (
        lambda: text(b'{"certificate"', b'{"entry":"","certificate"'),
        Reason.NOT_CANONICAL,
        "is not in order",
    ),
    "float": (
        lambda: edit(honest().encode(), entry=1).replace(b'"entry":1', b'"entry":1.0'),
        Reason.NOT_INTEGER,
        "not a whole one",
    ),
    "integer-too-large": (
        lambda: edit(honest().encode(), entry=1).replace(b'"entry":1', b'"entry":%d' % 2**53),
        Reason.NOT_INTEGER,
        "2^53",
    ),
    "too-deep": (
        lambda: text(b'"parties":[', b'"parties":[' + b"[" * 100_000),
        Reason.TOO_DEEP,
        "deeper than 8",
    ),
    "number-for-text": (
        lambda: edit(honest().encode(), entry=7),
        Reason.BAD_FIELD,
        "entry is not canonical standard base64",
    ),
    "proof-no-text": (
        lambda: edit(honest().encode(), proof=["a"]),
        Reason.BAD_FIELD,
        "proof is not a string",
    ),
    "parties-no-list": (
        lambda: edit(honest().encode(), parties={}),
        Reason.BAD_FIELD,
        "parties is not a list",
    ),
    "party-no-object": (
        lambda: edit(honest().encode(), parties=["m-1"]),
        Reason.BAD_FIELD,
        "parties[0] is not an object",
    ),
    "party-incomplete": (
        lambda: edit(honest().encode(), parties=[{"stream": "party/m-1", "value": ""}]),
        Reason.BAD_FIELD,
        "parties[0]: members missing: proof; unknown: none",
    ),
    "party-stream-number": (
        lambda: edit(honest().encode(), parties=[{"proof": "", "stream": 1, "value": ""}]),
        Reason.BAD_FIELD,
        "parties[0].stream is not a string",
    ),
    "unknown-member": (
        lambda: edit(honest().encode(), comment="see page 3"),
        Reason.BAD_FIELD,
        "unknown: 'comment'",
    ),
    "other-format": (
        lambda: edit(honest().encode(), format="evidence-ledger/evidence/v2"),
        Reason.BAD_FIELD,
        "format is not 'evidence-ledger/evidence/v1'",
    ),
    "other-kind": (
        lambda: edit(honest().encode(), kind="receipt"),
        Reason.BAD_FIELD,
        "kind is none of",
    ),
    "kind-of-the-other": (
        lambda: edit(honest().encode(), kind="history"),
        Reason.BAD_FIELD,
        "members missing: contract, entries, state; unknown: 'certificate'",
    ),
    "base64-without-padding": (
        lambda: edit(honest().encode(), certificate="AAA"),
        Reason.BAD_FIELD,
        "certificate is not canonical",
    ),
    "base64-url": (
        lambda: edit(honest().encode(), certificate="-_-_"),
        Reason.BAD_FIELD,
        "certificate is not canonical",
    ),
    "base64-idle-bits": (
        lambda: edit(honest().encode(), certificate="AB=="),
        Reason.BAD_FIELD,
        "certificate is not canonical",
    ),
    "base64-newline": (
        lambda: edit(honest().encode(), certificate="AAAA\nAAAA"),
        Reason.BAD_FIELD,
        "certificate is not canonical",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_file_is_unusable(name: str) -> None:
    make, reason, says = FILES[name]
    check(make(), 1, reason, says)


@pytest.mark.parametrize("member", MEMBERS["transaction"])
def test_missing_member(member: str) -> None:
    raw = edit(honest().encode(), **{member: None})
    check(raw, 1, Reason.BAD_FIELD, member if member in ("format", "kind") else "members missing")


def test_of_a_file_that_an_editor_saved_again_the_original_is_asked_for() -> None:
    saved = json.dumps(json.loads(honest().encode()), indent=2).encode()
    step = verify_evidence(saved, busy_chain().chain_id).steps[0]
    assert step.reason is Reason.NOT_CANONICAL
    assert step.explanation.en.endswith(
        ". If an editor opened and saved the file, take the original, byte for byte."
    )
    assert step.explanation.zh.endswith("。文件若曾由编辑软件打开并另存，请改用未经改动的原件。")


def test_of_a_file_that_is_cut_short_the_original_is_asked_for() -> None:
    step = verify_evidence(honest().encode()[:5000], busy_chain().chain_id).steps[0]
    assert step.reason is Reason.MALFORMED
    assert step.explanation.en.endswith(
        ". The file may be cut short, packed, or no evidence file: take the original."
    )
    assert step.explanation.zh.endswith("。文件可能不完整、被压缩，或并非存证文件，请改用原件。")
