"""The genesis document: one spelling, every bound, and nothing of it twice."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from consensus.messages import PROPOSAL_TRANSACTIONS_MAX
from contracts.parties import INSTITUTION_ROLES
from genesis.document import (
    CERTIFICATE_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    INSTITUTIONS_MAX,
    Genesis,
    encode_genesis,
    parse_genesis,
)
from ledger.block import ENTRY_BYTES_MAX, encode_genesis_entry
from ledger.canonical import encode_canonical
from ledger.hashing import sha256
from ledger.refusal import Reason, Rejected
from ledger.validators import VALIDATORS_MAX
from tests.verifier.small_chain import make_genesis

RAW = make_genesis(4, "test.evidence.example")
Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> bytes:
    document = json.loads(RAW)
    change(document)
    return encode_canonical(document)


def refusal(raw: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_genesis(raw)
    return caught.value


def test_a_document_is_read_whole() -> None:
    genesis = parse_genesis(RAW)
    assert genesis.raw == RAW
    assert genesis.chain_id == sha256(b"evidence-ledger/v1/chain-id\0" + RAW)
    assert genesis.origin == f"test.evidence.example/{genesis.chain_id.hex()[:16]}"
    assert len(genesis.validators) == len(genesis.institutions) == 4
    for replica, institution in enumerate(genesis.institutions):
        validator = genesis.validators[replica]
        assert validator.id == institution.id
        assert validator.vote_key.hex() == institution.keys.vote
        assert validator.cosign_key.hex() == institution.keys.cosign
        assert validator.log_key.hex() == institution.keys.log
        assert validator.party_key.hex() == institution.keys.party
        assert genesis.certificate(replica) == b"certificate %d" % replica


def test_what_is_read_is_written_the_same() -> None:
    def write(genesis: Genesis) -> bytes:
        return encode_genesis(
            network=genesis.network,
            time_ms=genesis.time_ms,
            institutions=list(genesis.institutions),
            parameters=genesis.parameters,
            rule_pack=genesis.rule_pack,
        )

    assert write(parse_genesis(RAW)) == RAW


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + b"\n",
        lambda raw: b" " + raw,
        lambda raw: raw.replace(b'"district":', b'"district": '),
        lambda raw: json.dumps(json.loads(raw), separators=(",", ":")).encode(),
    ],
)
def test_another_spelling_is_no_genesis(spoil: Callable[[bytes], bytes]) -> None:
    assert refusal(spoil(RAW)).reason is Reason.NOT_CANONICAL


def set_path(*path: Any) -> Change:
    *way, name, value = path

    def change(document: Any) -> None:
        for step in way:
            document = document[step]
        document[name] = value

    return change


FIRST = ("institutions", 0)


@pytest.mark.parametrize(
    "path",
    [
        ("more", 1),
        ("network", ""),
        ("network", "a/b"),
        ("network", "Net"),
        ("network", "net\n"),
        ("network", "n" * 64),
        ("time", 0),
        ("time", "1"),
        ("format", None),
        ("rule_pack", "version", 0),
        ("rule_pack", "id", ""),
        ("rule_pack", "more", 1),
        ("parameters", "more", 1),
        ("parameters", "block_bytes_max", 131_071),
        ("parameters", "block_bytes_max", 16 * 1024 * 1024 + 1),
        ("parameters", "block_transactions_max", 0),
        ("parameters", "block_transactions_max", PROPOSAL_TRANSACTIONS_MAX + 1),
        ("parameters", "replay_window_ms", 0),
        ("parameters", "reference_window_ms", 10**14 + 1),
        ("parameters", "intake_heights", 0),
        ("institutions", []),
        (*FIRST, "id", "Bank"),
        (*FIRST, "id", "bank-0\n"),
        (*FIRST, "id", "b" * 49),
        (*FIRST, "name", "en", ""),
        (*FIRST, "name", "zh", "名" * 121),
        (*FIRST, "name", {"en": "only"}),
        (*FIRST, "district", "D"),
        (*FIRST, "more", 1),
        (*FIRST, "keys", "vote", "0" * 63),
        (*FIRST, "keys", "vote", "A" * 64),
        (*FIRST, "keys", "vote", "0" * 64 + "\n"),
        (*FIRST, "keys", "more", "0" * 64),
        (*FIRST, "endpoints", "api", "a b"),
        (*FIRST, "endpoints", "api", "https://n\n"),
        (*FIRST, "endpoints", "peer", ""),
        (*FIRST, "endpoints", "peer", "p" * 201),
    ],
)
def test_a_field_out_of_bounds_is_refused(path: tuple[Any, ...]) -> None:
    assert refusal(changed(set_path(*path))).reason is Reason.BAD_FIELD


def test_a_block_is_never_larger_than_a_proposal_can_name() -> None:
    raw = changed(set_path("parameters", "block_transactions_max", PROPOSAL_TRANSACTIONS_MAX))
    assert parse_genesis(raw).parameters.block_transactions_max == PROPOSAL_TRANSACTIONS_MAX


@pytest.mark.parametrize("member", ["format", "institutions", "network", "parameters", "time"])
def test_no_member_may_be_missing(member: str) -> None:
    assert refusal(changed(lambda document: document.pop(member))).reason is Reason.BAD_FIELD


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            ("format", "evidence-ledger/genesis/v2"),
            (
                "format is 'evidence-ledger/genesis/v2'; this software reads "
                "'evidence-ledger/genesis/v1'"
            ),
        ),
        (
            (*FIRST, "id", "bank-1"),
            "institution ids ['bank-1', 'bank-1', 'bank-2', 'bank-3'] are not distinct",
        ),
        (
            (*FIRST, "role", "merchant"),
            (
                "institution bank-0: role 'merchant'; known roles are bank, payment, "
                "credit_bureau, regulator, district, consumer_council"
            ),
        ),
        (
            (*FIRST, "tls_certificate", "Zg"),
            "institution bank-0: tls_certificate: Incorrect padding",
        ),
        (
            (*FIRST, "tls_certificate", "证书"),
            (
                "institution bank-0: tls_certificate: string argument should contain only ASCII "
                "characters"
            ),
        ),
        (
            (*FIRST, "tls_certificate", "Zh=="),
            "institution bank-0: tls_certificate is not canonical base64",
        ),
        (
            (*FIRST, "tls_certificate", ""),
            "institution bank-0: tls_certificate has 0 bytes; 1 to 2048 are allowed",
        ),
        (
            (
                *FIRST,
                "tls_certificate",
                base64.b64encode(bytes(CERTIFICATE_BYTES_MAX + 1)).decode(),
            ),
            "institution bank-0: tls_certificate has 2049 bytes; 1 to 2048 are allowed",
        ),
        (
            (*FIRST, "tls_certificate", base64.b64encode(b"certificate 1").decode()),
            "institution bank-1: tls_certificate is another's too",
        ),
    ],
)
def test_a_refusal_is_a_sentence(path: tuple[Any, ...], sentence: str) -> None:
    rejected = refusal(changed(set_path(*path)))
    assert str(rejected) == f"bad_field: genesis: {sentence}"


@pytest.mark.parametrize("purpose", ["cosign", "log", "party"])
@pytest.mark.parametrize("owner", [0, 1])
def test_all_keys_of_all_institutions_differ(purpose: str, owner: int) -> None:
    key = json.loads(RAW)["institutions"][owner]["keys"][purpose]
    rejected = refusal(changed(set_path(*FIRST, "keys", "vote", key)))
    assert rejected.reason is Reason.BAD_FIELD
    assert f"key {key} stands for bank-" in rejected.detail


@pytest.mark.parametrize("role", INSTITUTION_ROLES)
def test_each_role_of_an_institution_is_known(role: str) -> None:
    parse_genesis(changed(set_path(*FIRST, "role", role)))


def test_the_city_fits_one_entry() -> None:
    """36 institutions with names and certificates of ordinary length, and then no more."""

    def crowd(count: int) -> Change:
        def change(document: dict[str, Any]) -> None:
            template = document["institutions"][0]
            document["institutions"] = [
                template
                | {
                    "id": f"institution-{number}",
                    "name": {"en": "An Institution of Usual Length", "zh": "名" * 20},
                    "keys": {
                        purpose: sha256(f"{number} {purpose}".encode()).hex()
                        for purpose in ("cosign", "log", "party", "vote")
                    },
                    "tls_certificate": base64.b64encode(
                        sha256(bytes([number])) + bytes(500)
                    ).decode(),
                }
                for number in range(count)
            ]

        return change

    raw = changed(crowd(INSTITUTIONS_MAX))
    assert len(parse_genesis(raw).institutions) == INSTITUTIONS_MAX <= VALIDATORS_MAX
    assert refusal(changed(crowd(INSTITUTIONS_MAX + 1))).reason is Reason.BAD_FIELD
    assert len(encode_genesis_entry(bytes(DOCUMENT_BYTES_MAX))) <= ENTRY_BYTES_MAX
    rejected = refusal(b" " * (DOCUMENT_BYTES_MAX + 1))
    assert str(rejected) == "too_large: genesis: 60001 bytes; at most 60000 allowed"
