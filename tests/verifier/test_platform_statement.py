"""Platform statements: what is signed is read, and one changed byte anywhere is refused."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.evidence import add_platform
from ledger.platform_statement import (
    BYTES_MAX,
    HEAD,
    MIDDLE,
    compute_statement_message,
    sign_platform_statement,
)
from ledger.refusal import Reason, Rejected
from ledger.signing import SeedSigner
from tests.verifier.small_chain import SmallChain
from tests.verifier.small_chain import signer as bank_signer
from verifier.platform_statement import describe_platform_statement, read_platform_statement
from verifier.platform_step import PLATFORM_LIMIT
from verifier.trust_root import Institution, TrustRoot, read_trust_root
from verifier.verify import verify_evidence

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
    assert words["Conflicts of interest"] == ("未声明", "none declared")
    assert words["Source of time"] == (
        '"NTP 国家授时"，已同步，系统估计误差不超过 1500 微秒',
        '"NTP 国家授时", synchronized, to within 1500 microseconds as the system estimates',
    )
    assert words["Health"] == (
        "normal，可用，高度 9，已认证至 8，连接节点 3 个",
        "normal, ready, height 9, certified to 8, 3 peers connected",
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
        f"platform statement: chain '{'ee' * 32}', not {ROOT.chain_id.hex()}",
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


@functools.cache
def chain() -> tuple[SmallChain, bytes]:
    made = SmallChain()
    data = {"keys": [made.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    made.commit(made.submit("party.register", "party/m-1", data, "bank-0"))
    made.commit(made.submit("prepaid.prepay", "contract/card-1", {"amount": 1}, "m-1"))
    return made, made.history("card-1", ["m-1"])


def of_bank(at: int, signer: int | None = None, **changed: Any) -> bytes:
    """The statement of a bank of the chain, signed with a bank's log key."""
    made, _ = chain()
    root = read_trust_root(made.genesis.raw)
    name = {"en": root.institutions[at].name_en, "zh": root.institutions[at].name_zh}
    own = {"chain_id": made.chain_id.hex(), "node": f"bank-{at}", "operator": name}
    key = bank_signer(f"{made.network} bank-{at if signer is None else signer} log")
    return sign_platform_statement(key, made.chain_id, statement(**own | changed))


def with_statements(*raw: bytes) -> bytes:
    return add_platform(chain()[1], raw)


def _names_of(at: int) -> tuple[str, str]:
    """The operator's names in English and in Chinese."""
    one = read_trust_root(chain()[0].genesis.raw).institutions[at]
    return one.name_en, one.name_zh


def _flipped(raw: bytes) -> bytes:
    """The statement with the last digit of its signature changed."""
    at = len(HEAD) + 127
    return raw[:at] + (b"0" if raw[at : at + 1] != b"0" else b"1") + raw[at + 1 :]


FILES: dict[str, tuple[Callable[[], bytes], Reason | None]] = {
    "one": (lambda: with_statements(of_bank(0)), None),
    "all": (lambda: with_statements(*map(of_bank, range(4))), None),
    "quoting": (
        lambda: with_statements(
            of_bank(1, conflicts_of_interest='持股 5 %; "m-1"\n', version="1；2", versions={})
        ),
        None,
    ),
    "clock-unknown": (
        lambda: with_statements(
            of_bank(1, time_source={"error_max_us": None, "is_synchronized": None, "text": ""})
        ),
        None,
    ),
    "clock-free": (
        lambda: with_statements(
            of_bank(1, time_source={"error_max_us": 1, "is_synchronized": False, "text": "x"})
        ),
        None,
    ),
    "clock-vague": (
        lambda: with_statements(
            of_bank(1, time_source={"error_max_us": None, "is_synchronized": True, "text": "x"})
        ),
        None,
    ),
    "ill": (
        lambda: with_statements(
            of_bank(
                2,
                health=statement()["health"]
                | {"detail": "behind height 9", "is_ready": False, "mode": "catching_up"},
            )
        ),
        None,
    ),
    "twice": (lambda: with_statements(of_bank(0), of_bank(0)), Reason.BAD_FIELD),
    "out-of-order": (lambda: with_statements(of_bank(1), of_bank(0)), Reason.BAD_FIELD),
    "anothers-key": (lambda: with_statements(of_bank(0, signer=1)), Reason.BAD_SIGNATURE),
    "tampered": (
        lambda: with_statements(of_bank(0).replace(b'"normal"', b'"narmol"')),
        Reason.BAD_SIGNATURE,
    ),
    "stranger": (lambda: with_statements(of_bank(0, node="bank-9")), Reason.NOT_A_VALIDATOR),
    "other-chain": (
        lambda: with_statements(of_bank(0, chain_id="it's " + "é" * 80)),
        Reason.WRONG_CHAIN,
    ),
    "other-name": (
        lambda: with_statements(of_bank(0, operator={"en": "x", "zh": "y"})),
        Reason.BAD_FIELD,
    ),
    "member-missing": (
        lambda: with_statements(of_bank(0, kernel={"kind": "plain"})),
        Reason.BAD_FIELD,
    ),
    "no-object": (lambda: with_statements(of_bank(0, build=[])), Reason.BAD_FIELD),
    "no-hash": (
        lambda: with_statements(of_bank(0, build={"files": 1, "sha256": "AB" * 32})),
        Reason.BAD_FIELD,
    ),
    "no-text": (lambda: with_statements(of_bank(0, version=1)), Reason.BAD_FIELD),
    "no-list": (lambda: with_statements(of_bank(0, cryptography="all")), Reason.BAD_FIELD),
    "no-time": (lambda: with_statements(of_bank(0, time_ms="now")), Reason.MALFORMED),
    "no-truth": (
        lambda: with_statements(of_bank(0, health=statement()["health"] | {"is_ready": 1})),
        Reason.BAD_FIELD,
    ),
    "cut-off": (lambda: with_statements(of_bank(0)[:-1]), Reason.MALFORMED),
    "longer": (lambda: with_statements(of_bank(0) + b"}"), Reason.NOT_CANONICAL),
    "empty": (lambda: with_statements(b""), Reason.MALFORMED),
    "head-alone": (
        lambda: with_statements(HEAD + b"0" * 128 + MIDDLE[:-1] + b"}"),
        Reason.MALFORMED,
    ),
    "nothing-signed": (
        lambda: with_statements(HEAD + b"0" * 128 + MIDDLE + b"}"),
        Reason.MALFORMED,
    ),
    "too-large": (lambda: with_statements(b" " * (BYTES_MAX + 1)), Reason.TOO_LARGE),
    "member-more": (
        lambda: with_statements(of_bank(0, build=statement()["build"] | {"remark": "x"})),
        Reason.BAD_FIELD,
    ),
    "names-swapped": (
        lambda: with_statements(
            of_bank(0, operator=dict(zip(("zh", "en"), _names_of(0), strict=True)))
        ),
        Reason.BAD_FIELD,
    ),
    "no-number": (
        lambda: with_statements(of_bank(0, health=statement()["health"] | {"height": "9"})),
        Reason.MALFORMED,
    ),
    "a-negative-number": (
        lambda: with_statements(of_bank(0, build={"files": -1, "sha256": "ab" * 32})),
        Reason.BAD_FIELD,
    ),
    "no-libraries": (lambda: with_statements(of_bank(0, versions=["x"])), Reason.BAD_FIELD),
    "a-library-without-version": (
        lambda: with_statements(of_bank(0, versions={"python": None})),
        Reason.BAD_FIELD,
    ),
    "no-scheme": (lambda: with_statements(of_bank(0, cryptography=[1])), Reason.BAD_FIELD),
    "kernel-hash-short": (
        lambda: with_statements(of_bank(0, kernel={"kind": "native", "sha256": "ab"})),
        Reason.BAD_FIELD,
    ),
    "signature-flipped": (lambda: with_statements(_flipped(of_bank(0))), Reason.BAD_SIGNATURE),
    "signature-of-another": (
        lambda: with_statements(
            of_bank(0)[: len(HEAD)]
            + of_bank(1)[len(HEAD) : len(HEAD) + 128]
            + of_bank(0)[len(HEAD) + 128 :]
        ),
        Reason.BAD_SIGNATURE,
    ),
    "second-of-two": (
        lambda: with_statements(of_bank(0), of_bank(1, signer=2)),
        Reason.BAD_SIGNATURE,
    ),
    "not-base64": (
        lambda: encode_canonical(json.loads(chain()[1]) | {"platform": ["?"]}),
        Reason.BAD_FIELD,
    ),
    "not-a-list": (
        lambda: encode_canonical(json.loads(chain()[1]) | {"platform": {}}),
        Reason.BAD_FIELD,
    ),
    "none": (with_statements, Reason.BAD_FIELD),
    "too-many": (lambda: with_statements(*[b""] * 65), Reason.BAD_FIELD),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_statements(name: str) -> None:
    make, reason = FILES[name]
    report = verify_evidence(make(), chain()[0].chain_id)
    if reason is None:
        assert report.is_consistent
        assert (report.steps[-1].number, report.limits[-1]) == (22, PLATFORM_LIMIT)
        return
    assert report.failed is not None
    number = 1 if name in ("none", "too-many", "not-base64", "not-a-list") else 22
    assert (report.failed.number, report.failed.reason) == (number, reason)


def test_a_statement_of_years_later_is_not_said_to_be_of_the_entrys_time() -> None:
    """Whoever hands on a file may choose which statement goes with it."""
    report = verify_evidence(
        with_statements(of_bank(0, time_ms=2_000_000_000_000)), chain()[0].chain_id
    )
    assert report.is_consistent
    assert "Said at: 2033-05-18 03:33:20.000 UTC" in report.steps[-1].explanation.en
    assert "Each speaks of the time that it names, which need not be the entry's." in (
        report.limits[-1].en
    )
    assert "所述为其声明时间的情形，未必是条目上链之时的" in report.limits[-1].zh


def test_the_verdict_without_statements_is_the_same() -> None:
    report = verify_evidence(chain()[1], chain()[0].chain_id)
    assert report.is_consistent
    assert 22 not in [step.number for step in report.steps]
