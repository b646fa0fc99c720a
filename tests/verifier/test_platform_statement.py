"""Platform statements: what is signed is read, and one changed byte anywhere is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.platform_statement import (
    BYTES_MAX,
    HEAD,
    MIDDLE,
    compute_statement_message,
    sign_platform_statement,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from verifier.platform_statement import describe_platform_statement, read_platform_statement
from verifier.trust_root import Institution, TrustRoot

LOG, PARTY = SeedSigner(b"l" * 32), SeedSigner(b"p" * 32)
KEY = LOG.public_key.hex()
ROOT = TrustRoot(
    chain_id=b"c" * 32,
    network="net",
    institutions=(
        Institution(
            "bank-a", "甲银行", "Bank A", b"v", b"c", LOG.public_key, PARTY.public_key, None
        ),
    ),
    replay_window_ms=1,
    intake_heights=1,
)


def statement(**changed: Any) -> dict[str, Any]:
    return {
        "build": {"files": 2, "sha256": "ab" * 32},
        "chain_id": ROOT.chain_id.hex(),
        "conflicts_of_interest": "",
        "cryptography": ["Ed25519"],
        "health": {
            "certified_height": 8,
            "detail": "",
            "height": 9,
            "is_ready": True,
            "mode": "normal",
            "peers_connected": 3,
        },
        "kernel": {"kind": "plain", "sha256": None},
        "node": "bank-a",
        "operator": {"en": "Bank A", "zh": "甲银行"},
        "time_ms": 1_767_225_600_000,
        "time_source": {"error_max_us": 1500, "is_synchronized": True, "text": "NTP 国家授时"},
        "version": "0.1.0",
        "versions": {"python": "CPython 3.11.7"},
    } | changed


def signed(signer: SeedSigner = LOG, **changed: Any) -> bytes:
    return sign_platform_statement(signer, ROOT.chain_id, statement(**changed))


def refusal(raw: bytes) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        read_platform_statement(raw, ROOT)
    return caught.value.reason, caught.value.detail


def test_a_statement_is_read_and_said_in_words() -> None:
    said = read_platform_statement(signed(), ROOT)
    assert (said.node, said.build_sha256, said.health.height) == ("bank-a", "ab" * 32, 9)
    words = {name.en: (text.zh, text.en) for name, text in describe_platform_statement(said)}
    assert words["Operator"] == ("甲银行（bank-a）", "Bank A (bank-a)")
    assert words["Said at"] == ("北京时间 2026-01-01 08:00:00.000", "2026-01-01 00:00:00.000 UTC")
    assert words["Conflicts of interest"] == ("未声明任何利害关系", "none declared")
    assert words["Source of time"] == (
        "NTP 国家授时；已同步，系统估计误差不超过 1500 微秒",
        "NTP 国家授时; synchronized, to within 1500 µs as the system estimates",
    )
    assert words["Health"] == (
        "normal，可用；高度 9，已认证至 8，连接节点 3 个",
        "normal, ready; height 9, certified to 8, 3 peers connected",
    )


def test_every_byte_counts() -> None:
    raw = signed()
    for at in range(len(raw)):
        changed = raw[:at] + bytes((raw[at] ^ 1 << at % 8,)) + raw[at + 1 :]
        with pytest.raises(Rejected):
            read_platform_statement(changed, ROOT)
    for end in range(len(raw)):
        with pytest.raises(Rejected):
            read_platform_statement(raw[:end], ROOT)


def test_it_is_canonical_json_as_a_whole() -> None:
    raw = signed()
    spelling = json.dumps(
        json.loads(raw), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    assert spelling.encode() == raw


def test_what_is_wrong_is_named() -> None:
    assert refusal(signed(PARTY)) == (
        Reason.BAD_SIGNATURE,
        f"platform statement: the signature of bank-a with its log key {KEY} does not verify",
    )
    assert refusal(signed(chain_id="ee" * 32)) == (
        Reason.WRONG_CHAIN,
        f"platform statement: chain {'ee' * 32}, not {ROOT.chain_id.hex()}",
    )
    assert refusal(signed(node="bank-b")) == (
        Reason.NOT_A_VALIDATOR,
        "platform statement: 'bank-b' is no institution of genesis",
    )
    assert refusal(signed(operator={"en": "Bank B", "zh": "甲银行"})) == (
        Reason.BAD_FIELD,
        "platform statement: the operator's names are not those genesis gives bank-a",
    )
    assert refusal(signed(time_ms=-1))[0] == Reason.BAD_FIELD
    assert refusal(signed(time_ms=True))[0] == Reason.MALFORMED
    assert refusal(signed(kernel={"kind": "plain"})) == (
        Reason.BAD_FIELD,
        "platform statement: kernel has the members kind instead of kind, sha256",
    )
    assert refusal(b"{}") == (
        Reason.MALFORMED,
        "platform statement: not of the format 'evidence-ledger/platform-statement/v1'",
    )
    assert refusal(signed(version="v" * BYTES_MAX))[0] == Reason.TOO_LARGE


def test_a_signature_for_another_purpose_or_chain_is_none() -> None:
    raw = signed()
    start = len(HEAD) + 128
    body = raw[start + len(MIDDLE) : -1]
    for message in (body, compute_statement_message(b"d" * 32, body)):
        forged = HEAD + LOG.sign(message).hex().encode() + raw[start:]
        assert refusal(forged)[0] == Reason.BAD_SIGNATURE


def test_a_statement_has_all_its_members() -> None:
    with pytest.raises(ValueError, match="a statement has"):
        sign_platform_statement(LOG, ROOT.chain_id, {"node": "bank-a"})
