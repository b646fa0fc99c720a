"""Every route of the OpenAPI document with every scope of token, and both API documents' tables.

`WHO` has one row for each operation; a route without one fails. What is asked for exists, so that
whoever may is answered below 400 and everybody else with the status that the row's right implies.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from api.app import create_app
from api.settings import ApiSettings
from api.tokens import TokenSet
from ledger.transaction import compute_tx_id
from node.private_records import PrivateRecords
from storage.files import DiskDirectory
from tests.api.conftest import SCOPES
from tests.api.fake import TIME_MS, FakeNode, make_body, make_envelope
from tests.api.test_entries import COSE, POSTED

FULL = frozenset({"regulator", "auditor", "operator"})
PUBLIC = "public"
RIGHTS: dict[str, frozenset[str]] = {
    "by token": FULL | {"merchant", "custodian", "consumer"},
    "full token": FULL,
    "of the merchant": FULL | {"merchant"},
    "the custodian": frozenset({"custodian"}),
    "the custodian, the consumer": frozenset({"custodian", "consumer"}),
}
"""Who may, of contract c1, merchant m1 and custodian bank-a; tokens of others are in none."""

WHO: dict[str, str] = {
    "POST /v1/transactions": PUBLIC,
    "POST /v1/transactions:batch": PUBLIC,
    "GET /v1/transactions/{tx_id}": PUBLIC,
    "GET /v1/transactions/{tx_id}/proof": PUBLIC,
    "GET /v1/transactions/{tx_id}/receipt": PUBLIC,
    "GET /v1/transactions/{tx_id}/timestamps": PUBLIC,
    "GET /v1/transactions/{tx_id}/evidence": "by token",
    "GET /v1/transactions/{tx_id}/entry": "by token",
    "GET /v1/contracts/{contract_id}": "by token",
    "GET /v1/contracts/{contract_id}/history": "by token",
    "POST /v1/contracts/{contract_id}/proofs": "by token",
    "GET /v1/state/{kind}/{name}": "by token",
    "GET /v1/consistency/{older_height}/{newer_height}": PUBLIC,
    "GET /v1/validators/{validator}/equivocations/{number}": PUBLIC,
    "GET /v1/contracts/{contract_id}/claim": "by token",
    "GET /v1/claims": "by token",
    "GET /v1/merchants/{merchant}/schedule": "of the merchant",
    "PUT /v1/contracts/{contract_id}/private": "the custodian",
    "GET /v1/contracts/{contract_id}/private": "the custodian, the consumer",
    "DELETE /v1/contracts/{contract_id}/private": "the custodian",
    "GET /v1/contracts/{contract_id}/disclosure": "the custodian, the consumer",
    "GET /v1/blocks/{height}": PUBLIC,
    "GET /v1/checkpoints/{size}/timestamps": PUBLIC,
    "GET /v1/checkpoints/{size}/witnesses": PUBLIC,
    "GET /v1/checkpoints/{size}/post-quantum": PUBLIC,
    "GET /v1/platform": PUBLIC,
    "GET /v1/genesis": PUBLIC,
    "GET /v1/status": PUBLIC,
    "GET /checkpoint": PUBLIC,
    "GET /tile/{level}/{index}": PUBLIC,
    "GET /tile/{level}/{index}.p/{width}": PUBLIC,
    "GET /tile/entries/{index}": "full token",
    "GET /tile/entries/{index}.p/{width}": "full token",
    "POST /entries": PUBLIC,
    "GET /entries/{tx_id}": PUBLIC,
    "GET /.well-known/scitt-keys": PUBLIC,
    "GET /.well-known/scitt-keys/{kid}": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": "full token",
}

ENGLISH = {
    "anybody who signed": PUBLIC,
    "public": PUBLIC,
    "public; stream and effects by token": PUBLIC,
    "by token": "by token",
    "by token, of each": "by token",
    "full token": "full token",
    "full token, or the merchant's own": "of the merchant",
    "this machine, or full token": "full token",
    "the custodian": "the custodian",
    "the custodian, the consumer": "the custodian, the consumer",
}
"""How docs/API.md says it."""

CHINESE = {
    "任何签名者": PUBLIC,
    "公开": PUBLIC,
    "公开；记录流与执行结果的各项数值凭令牌": PUBLIC,
    "凭令牌": "by token",
    "凭令牌，逐份均须有权": "by token",
    "全权令牌": "full token",
    "全权令牌，或该商户自己的": "of the merchant",
    "本机，或全权令牌": "full token",
    "托管机构": "the custodian",
    "托管机构、消费者": "the custodian, the consumer",
}
"""How docs/API.zh-CN.md says it."""

TX_ID = compute_tx_id(make_body(0)).hex()
PLACES = {
    "tx_id": TX_ID,
    "contract_id": "c1",
    "kind": "contract",
    "name": "c1",
    "older_height": "0",
    "newer_height": "1",
    "validator": "bank-a",
    "number": "0",
    "merchant": "m1",
    "height": "1",
    "size": "3",
    "level": "0",
    "index": "000",
    "width": "3",
}
QUERIES = {
    "GET /v1/claims": "?contract=c1",
    "GET /v1/contracts/{contract_id}/disclosure": "?fields=name",
}
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/transactions": {
        "content": make_envelope(1),
        "headers": {"Content-Type": "application/msgpack"},
    },
    "POST /v1/transactions:batch": {
        "content": msgspec.msgpack.encode([make_envelope(1)]),
        "headers": {"Content-Type": "application/msgpack"},
    },
    "POST /entries": {"content": POSTED, "headers": COSE},
    "POST /v1/contracts/{contract_id}/proofs": {
        "json": {"ask": "window", "from": 0, "kinds": ["prepaid.consume"], "until": TIME_MS}
    },
    "PUT /v1/contracts/{contract_id}/private": {"json": {"fields": {"name": "张小宝"}}},
}


@pytest.fixture
def node() -> FakeNode:
    made = FakeNode()
    made.take_in(make_envelope(0))
    made.commit(certified=True)
    return made


@pytest.fixture
def private(tmp_path: Path, node: FakeNode) -> Iterator[PrivateRecords]:
    directory = DiskDirectory(tmp_path / "private", create=True)
    thread = ThreadPoolExecutor(1)

    def custodian_of(contract: str) -> str:
        view = node.contract(f"contract/{contract}")
        return "" if view is None else view.custodian

    yield PrivateRecords(
        directory,
        bytes(range(32)),
        custodian_of=custodian_of,
        thread=thread,
        stop=lambda sentence: None,
        now_ms=lambda: TIME_MS,
    )
    thread.shutdown()
    directory.close()


@pytest.fixture
async def client(
    node: FakeNode, token_set: TokenSet, private: PrivateRecords
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(node, token_set, ApiSettings(now_ms=lambda: TIME_MS, waiters_max=0), private)
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as made:
        yield made


def list_operations() -> list[str]:
    document = create_app(FakeNode(), TokenSet()).openapi()
    return [
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    ]


def test_every_route_has_its_row() -> None:
    assert sorted(WHO) == sorted(list_operations())


@pytest.mark.parametrize(("name", "words"), [("API.md", ENGLISH), ("API.zh-CN.md", CHINESE)])
def test_the_documents_say_who_may(name: str, words: dict[str, str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / name).read_text("utf-8")
    table = re.findall(
        r"^\| `((?:GET|POST|PUT|DELETE) \S+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE
    )
    assert {route: words[who] for route, who in table} == WHO


def test_the_openapi_document_asks_for_a_token_where_one_is_needed() -> None:
    document = create_app(FakeNode(), TokenSet()).openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            is_public = WHO[f"{method.upper()} {path}"] == PUBLIC
            assert (not operation["security"] or {} in operation["security"]) == is_public, path


@pytest.mark.parametrize("operation", sorted(WHO))
async def test_each_token_at_each_route(
    client: httpx.AsyncClient, secrets_by_name: dict[str, str], operation: str
) -> None:
    """The refused come first, so that a route that changes something is seen unchanged by them."""
    right = WHO[operation]
    revoked = {"expired": secrets_by_name["expired"], "revoked": "el1_" + "A" * 43}
    names = [None, *revoked, *SCOPES]
    allowed = frozenset(SCOPES) | {None} if right == PUBLIC else RIGHTS[right]
    if "/private" in operation or "/disclosure" in operation:
        put = "PUT /v1/contracts/{contract_id}/private"
        assert (await send(client, put, secrets_by_name["custodian"])).status_code == 201
    for name in sorted(names, key=lambda name: (name in allowed, str(name))):
        secret = None if name is None else revoked.get(name) or secrets_by_name[name]
        answer = await send(client, operation, secret)
        if name in allowed:
            reasons = GIVEN.get(operation, ())
            is_done = answer.status_code < 400 or answer.json()["reason"] in reasons
            assert is_done, (operation, name, answer.text)
        elif right == PUBLIC:
            assert answer.status_code in (200, 202, 303, 401, 404), (operation, name, answer.text)
        else:
            expected = 401 if name is None or name in revoked else 403
            assert answer.status_code == expected, (operation, name, answer.text)


GIVEN = {
    "GET /.well-known/scitt-keys/{kid}": ("not_found",),
    "PUT /v1/contracts/{contract_id}/private": ("conflict",),
    "DELETE /v1/contracts/{contract_id}/private": ("erased",),
}
"""What may be answered to somebody entitled, besides what was asked for."""


async def send(client: httpx.AsyncClient, operation: str, secret: str | None) -> httpx.Response:
    method, path = operation.split(" ")
    path = re.sub(r"{(\w+)}", lambda found: PLACES.get(found[1], "A" * 43), path)
    asked = dict(BODIES.get(operation, {}))
    headers = {"Accept": "application/problem+json"} | asked.pop("headers", {})
    if secret is not None:
        headers["Authorization"] = f"Bearer {secret}"
    return await client.request(method, path + QUERIES.get(operation, ""), headers=headers, **asked)
