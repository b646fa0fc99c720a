"""Tokens and scopes: the whole matrix of who may read what."""

from __future__ import annotations

import httpx
import pytest

from api.settings import ApiSettings
from api.tokens import (
    TokenRecord,
    TokenSet,
    encode_tokens,
    issue_token,
    parse_scope,
    parse_token,
    parse_tokens,
)
from ledger.refusal import Rejected
from ledger.transaction import compute_tx_id
from tests.api.conftest import SCOPES, Connect
from tests.api.fake import TIME_MS, FakeNode, make_body, make_envelope

TX_ID = compute_tx_id(make_body(0)).hex()

PUBLIC = [
    f"/v1/transactions/{TX_ID}",
    f"/v1/transactions/{TX_ID}/proof",
    "/v1/blocks/1",
    "/v1/genesis",
    "/v1/status",
    "/v1/platform",
    "/v1/consistency/0/1",
    "/v1/validators/bank-a/equivocations/0",
    "/checkpoint",
    "/tile/0/000",
    "/healthz",
    "/readyz",
    "/docs",
    "/verify",
    "/openapi.json",
]
OF_C1 = [
    f"/v1/transactions/{TX_ID}/evidence",
    f"/v1/transactions/{TX_ID}/entry",
    "/v1/contracts/c1",
    "/v1/contracts/c1/history",
    "/v1/state/contract/c1",
    "/v1/contracts/c1/claim",
    "/v1/claims?contract=c1",
]
OF_M1 = ["/v1/merchants/m1/schedule"]
OF_CUSTODY = ["/v1/state/custodian/bank-a"]
FULL_ONLY = ["/tile/entries/000", "/metrics", "/v1/state/validator/bank-a"]
FULL = {"regulator", "auditor", "operator"}
ENTITLED_TO_C1 = FULL | {"merchant", "custodian", "consumer"}


@pytest.fixture
def node() -> FakeNode:
    made = FakeNode()
    made.take_in(make_envelope(0))
    made.commit(certified=True)
    return made


@pytest.mark.parametrize("name", [None, *SCOPES])
async def test_matrix(connect: Connect, name: str | None) -> None:
    async with connect(name) as client:
        for path in PUBLIC:
            assert (await client.get(path)).status_code == 200, path
        for paths, entitled in (
            (OF_C1, ENTITLED_TO_C1),
            (OF_M1, FULL | {"merchant"}),
            (OF_CUSTODY, FULL | {"custodian"}),
            (FULL_ONLY, FULL),
        ):
            for path in paths:
                status = (await client.get(path)).status_code
                expected = 401 if name is None else 200 if name in entitled else 403
                assert (path, status) == (path, expected)


@pytest.mark.parametrize("name", [None, *SCOPES])
async def test_effects_are_shown_to_the_entitled_only(connect: Connect, name: str | None) -> None:
    async with connect(name) as client:
        answer = (await client.get(f"/v1/transactions/{TX_ID}")).json()
    assert ("effects" in answer, "stream" in answer) == ((name in ENTITLED_TO_C1,) * 2)


async def test_what_a_custodian_stated_is_its_own_to_read(connect: Connect, node: FakeNode) -> None:
    body = make_body(0, stream="custodian/bank-a")
    node.take_in(make_envelope(0, stream="custodian/bank-a"))
    node.commit(certified=True)
    tx_id = compute_tx_id(body).hex()
    for name in SCOPES:
        async with connect(name) as client:
            status = (await client.get(f"/v1/transactions/{tx_id}/evidence")).status_code
        assert (name, status) == (name, 200 if name in FULL | {"custodian"} else 403)


async def test_forbidden_names_the_token(connect: Connect) -> None:
    async with connect("other-merchant") as client:
        response = await client.get("/v1/contracts/c1")
    assert response.json()["detail"] == (
        "token 'other-merchant' with scope merchant:m2 does not cover contract/c1"
    )
    assert response.headers["www-authenticate"] == (
        'Bearer realm="evidence-ledger", error="insufficient_scope"'
    )


async def test_a_class_needs_the_right_to_each_of_its_contracts(connect: Connect) -> None:
    async with connect("merchant") as client:
        response = await client.get("/v1/claims?contract=c1&contract=c2")
    assert response.json()["detail"].endswith(" does not cover contract/c2")
    assert response.status_code == 403


async def test_nobody_can_probe_for_contracts(connect: Connect) -> None:
    async with connect("merchant") as client:
        foreign = (await client.get("/v1/contracts/c2")).json()
        absent = (await client.get("/v1/contracts/c3")).json()
    assert foreign["detail"].replace("c2", "c3") == absent["detail"]
    assert (foreign["status"], absent["status"]) == (403, 403)


@pytest.mark.parametrize(
    ("header", "detail", "challenge"),
    [
        (None, "this needs the header Authorization: Bearer <access token>", ""),
        ("Basic eDp5", "the Authorization header is not of the scheme Bearer", ""),
        *(
            (
                header,
                "the access token is unknown, revoked or expired",
                ', error="invalid_token"',
            )
            for header in ("Bearer", "Bearer el1_x", f"bearer el1_{'A' * 43}", "Bearer é")
        ),
    ],
)
async def test_unauthenticated(
    client: httpx.AsyncClient, header: str | None, detail: str, challenge: str
) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    response = await client.get("/v1/contracts/c1", headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["detail"]) == (401, detail)
    assert response.headers["www-authenticate"] == f'Bearer realm="evidence-ledger"{challenge}'


async def test_expired_token(connect: Connect, node: FakeNode) -> None:
    async with connect("expired") as client:
        for path in ("/v1/contracts/c1", f"/v1/transactions/{TX_ID}"):
            assert (await client.get(path)).status_code == 401
    before = ApiSettings(now_ms=lambda: TIME_MS - 1)
    async with connect("expired", settings=before) as client:
        assert (await client.get("/v1/contracts/c1")).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_metrics_on_loopback(connect: Connect, address: str) -> None:
    async with connect(address=address) as client:
        response = await client.get("/metrics")
        assert (response.status_code, response.text) == (200, "ledger_height 1\n")
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        passed_on = await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
        assert passed_on.status_code == 401
    closed = ApiSettings(metrics_on_loopback=False)
    async with connect(address=address, settings=closed) as client:
        assert (await client.get("/metrics")).status_code == 401


async def test_metrics_not_for_a_socket_without_address(connect: Connect) -> None:
    async with connect(address="unix") as client:
        assert (await client.get("/metrics")).status_code == 401


def test_token_round_trip_and_file() -> None:
    token, record = issue_token("till-7", "merchant:m1", 5, expires_ms=9)
    assert (len(token), token[:4]) == (47, "el1_")
    raw = encode_tokens([record])
    assert token not in raw.decode()
    assert parse_tokens(raw).records == (record,)
    grant = parse_tokens(raw).find(token, 8)
    assert grant is not None
    assert (grant.name, grant.role, grant.subject, grant.scope) == (
        "till-7",
        "merchant",
        "m1",
        "merchant:m1",
    )
    assert parse_tokens(raw).find(token, 9) is None
    assert TokenSet().find(token, 8) is None


def test_tokens_that_share_a_prefix_of_their_hash() -> None:
    token, record = issue_token("a", "auditor", 0)
    twin = TokenRecord("b", "operator", record.sha256[:16] + "0" * 48, 0)
    grant = TokenSet([twin, record]).find(token, 0)
    assert grant is not None
    assert grant.name == "a"


def test_a_token_has_one_spelling() -> None:
    token, _ = issue_token("a", "auditor", 0, random_bytes=bytes)
    assert parse_token(token) == bytes(32)
    assert token[-1] == "A"
    for spelling in (token[:-1] + "B", token + "=", token + "\n", token[4:], token.upper(), ""):
        assert parse_token(spelling) is None


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "admin",
        "regulator:",
        "merchant",
        "merchant:",
        "merchant:M1",
        "consumer:a/b",
        "auditor:x",
    ],
)
def test_scope_that_does_not_exist(scope: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_scope(scope)
    assert caught.value.detail == (
        f"token scope {scope!r} is none of regulator, auditor, operator, merchant:<party>, "
        "custodian:<party>, consumer:<contract>"
    )


def test_bad_token_files() -> None:
    _, record = issue_token("a", "auditor", 0)
    for records, detail in (
        ([record, record], "token file: the name 'a' stands twice"),
        (
            [record, TokenRecord("b", "auditor", record.sha256, 0)],
            "token file: 'b' has the hash of another token",
        ),
    ):
        with pytest.raises(Rejected) as caught:
            parse_tokens(encode_tokens(records))
        assert caught.value.detail == detail
    for raw in (b"", b"{}", b"[{}]", b"\xff", b"[" * 100_000):
        with pytest.raises(Rejected) as caught:
            parse_tokens(raw)
        assert caught.value.detail.startswith("token file: ")
    with pytest.raises(Rejected, match="token 'A b'"):
        issue_token("A b", "auditor", 0)
